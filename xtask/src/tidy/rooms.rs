// SPDX-License-Identifier: GPL-2.0

//! Which room of the module may import which: the table of rooms, checked on every path.

use super::lexer::{Source, Token};
use std::path::Path;

/// A room and what it may import.
pub(super) struct Room {
    /// The directory below `rust/`.
    pub(super) name: &'static str,
    /// Other rooms, and the seam.
    rooms: &'static [&'static str],
    /// Crates.
    crates: &'static [&'static str],
    /// Whether `unsafe` is forbidden in it.
    pub(super) pure: bool,
}

/// The crates that make up the kernel's Rust interface.
const KERNEL: &[&str] = &["core", "kernel", "pin_init"];

/// The rooms, from the bottom up.
pub(super) const ROOMS: [Room; 6] = [
    Room {
        name: "bindings",
        rooms: &[],
        crates: KERNEL,
        pure: false,
    },
    Room {
        name: "pagecache",
        rooms: &["bindings", "prelude"],
        crates: KERNEL,
        pure: false,
    },
    Room {
        name: "vfs",
        rooms: &["bindings", "pagecache"],
        crates: KERNEL,
        pure: false,
    },
    Room {
        name: "coherency",
        rooms: &["pagecache", "prelude"],
        crates: &["core"],
        pure: true,
    },
    Room {
        name: "ext2",
        rooms: &[],
        crates: &["core", "zerocopy"],
        pure: true,
    },
    Room {
        name: "fs",
        rooms: &["pagecache", "vfs", "coherency", "ext2", "prelude"],
        crates: KERNEL,
        pure: true,
    },
];

/// Crates that a path may begin with.
const CRATES: [&str; 7] = [
    "core", "alloc", "std", "kernel", "pin_init", "zerocopy", "macros",
];

/// The room of a file, named relative to `rust/`; the files at the top belong to none.
pub(super) fn room_of(path: &Path) -> Option<&'static Room> {
    let mut parts = path.iter();
    let name = parts.next()?.to_str()?;
    parts.next()?;
    ROOMS.iter().find(|room| room.name == name)
}

/// Every import that the table does not allow: its line and what is wrong.
pub(super) fn check(path: &Path, source: &Source) -> Vec<(usize, String)> {
    let Some(room) = room_of(path) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (line, path) in paths(path, &source.tokens) {
        let segments: Vec<_> = path.iter().map(String::as_str).collect();
        let allowed = match segments.as_slice() {
            ["crate", other, ..] if is_room(other) => {
                *other == room.name || room.rooms.contains(other)
            }
            ["kernel", "bindings", ..] => room.crates.contains(&"kernel") && !room.pure,
            [first, ..] if CRATES.contains(first) => room.crates.contains(first),
            _ => true,
        };
        if !allowed {
            found.push((
                line,
                format!("`{}` may not import `{}`", room.name, path.join("::")),
            ));
        }
    }
    found
}

fn is_room(name: &str) -> bool {
    name == "prelude" || ROOMS.iter().any(|room| room.name == name)
}

/// Every path in the code, with `super` resolved as far as that leads out of the room.
fn paths(file: &Path, tokens: &[Token]) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        if token.test {
            at += 1;
        } else if token.text == "use" && !is_bound(tokens, at) {
            at = use_tree(tokens, at + 1, &[], &mut found);
        } else if begins_path(tokens, at) {
            let (path, end) = plain_path(tokens, at);
            found.push((token.line, path));
            at = end;
        } else {
            at += 1;
        }
    }
    let depth = modules_of(file).len();
    for (_, path) in &mut found {
        let ups = path.iter().take_while(|part| *part == "super").count();
        // A test module inside the file is one level deeper; it is not looked at.
        if ups > 0 && ups <= depth {
            let mut full = vec!["crate".to_owned()];
            full.extend(modules_of(file).into_iter().take(depth - ups));
            full.extend(path.drain(ups..));
            *path = full;
        }
    }
    found
}

/// Whether the `use` here is that of `impl Trait + use<…>`.
fn is_bound(tokens: &[Token], at: usize) -> bool {
    tokens.get(at + 1).is_some_and(|token| token.text == "<")
}

/// The modules that lead to a file: `fs/dir.rs` is `fs::dir`, `fs/mod.rs` is `fs`.
fn modules_of(file: &Path) -> Vec<String> {
    file.with_extension("")
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .filter(|part| part != "mod")
        .collect()
}

/// Whether a path of two or more segments begins here, rather than goes on.
fn begins_path(tokens: &[Token], at: usize) -> bool {
    let is = |index: usize, text| tokens.get(index).is_some_and(|token| token.text == text);
    let is_name = tokens[at]
        .text
        .starts_with(|c: char| c == '_' || c.is_alphabetic());
    is_name && is(at + 1, "::") && (at == 0 || !is(at - 1, "::"))
}

/// Reads `a::b::c`; returns it and the index behind it.
fn plain_path(tokens: &[Token], mut at: usize) -> (Vec<String>, usize) {
    let mut path = vec![tokens[at].text.clone()];
    at += 1;
    while let [colons, name, ..] = &tokens[at..]
        && colons.text == "::"
        && name
            .text
            .starts_with(|c: char| c == '_' || c.is_alphabetic())
    {
        path.push(name.text.clone());
        at += 2;
    }
    (path, at)
}

/// Reads what follows `use`, taking groups apart; returns the index behind it.
fn use_tree(
    tokens: &[Token],
    mut at: usize,
    prefix: &[String],
    found: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let mut path = prefix.to_vec();
    let line = tokens.get(at).map_or(0, |token| token.line);
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                // What is no group of names ends before its brace: the compiler's business.
                while tokens
                    .get(at)
                    .is_some_and(|token| !["}", ";"].contains(&&*token.text))
                {
                    at = use_tree(tokens, at, &path, found);
                    if tokens.get(at).is_some_and(|token| token.text == ",") {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "as" => at += 2,
            "," | "}" | ";" => break,
            name => {
                path.push(name.to_owned());
                at += 1;
            }
        }
    }
    found.push((line, path));
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(file: &str, text: &str) -> Vec<String> {
        check(Path::new(file), &Source::new(text))
            .into_iter()
            .map(|(line, what)| format!("{line}: {what}"))
            .collect()
    }

    #[test]
    fn the_disk_format_knows_nothing_of_the_kernel() {
        assert_eq!(
            complaints("ext2/dir.rs", "use kernel::prelude::*;\n"),
            ["0: `ext2` may not import `kernel::prelude::*`"]
        );
        assert!(complaints("ext2/dir.rs", "use zerocopy::FromBytes;\nuse core::fmt;\n").is_empty());
    }

    #[test]
    fn groups_are_taken_apart() {
        let text = "use crate::{\n    pagecache::Folio,\n    vfs::{Inode, file::File}, //\n};\n";
        assert_eq!(
            complaints("coherency/gates.rs", text),
            [
                "2: `coherency` may not import `crate::vfs::Inode`",
                "2: `coherency` may not import `crate::vfs::file::File`"
            ]
        );
    }

    #[test]
    fn paths_in_the_middle_of_code_count() {
        let text = "fn f() { let x = crate::fs::Cohfs::new(); }\n";
        assert_eq!(complaints("vfs/inode.rs", text).len(), 1);
        assert_eq!(
            complaints("fs/inode.rs", "fn f(i: kernel::bindings::inode) {}\n").len(),
            1
        );
    }

    #[test]
    fn what_is_no_import_comes_to_an_end() {
        let bound = "fn f() -> impl Sized + use<> { { g(); } }\nuse crate::fs::Inode;\n";
        assert_eq!(complaints("vfs/inode.rs", bound).len(), 1);
        assert!(complaints("vfs/inode.rs", "use a::{b; c }\n").is_empty());
    }

    #[test]
    fn super_leads_to_the_room_it_names() {
        assert_eq!(
            complaints("vfs/inode.rs", "use super::super::fs::Cohfs;\n").len(),
            1
        );
        assert!(complaints("vfs/inode.rs", "use super::file::File;\n").is_empty());
        assert_eq!(complaints("vfs/mod.rs", "use super::coherency;\n").len(), 1);
    }

    #[test]
    fn tests_may_import_what_they_like() {
        let text = "#[cfg(test)]\nmod tests { use std::vec::Vec; }\n";
        assert!(complaints("ext2/dir.rs", text).is_empty());
    }
}
