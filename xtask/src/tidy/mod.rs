// SPDX-License-Identifier: GPL-2.0

//! The rules of the module's source that no other tool checks.

mod lexer;
mod panics;
mod rooms;
mod unsafety;

use crate::context::Context;
use crate::process::{command, output};
use anyhow::{Context as _, Result};
use lexer::Source;
use panics::Ban;
use std::fmt;
use std::path::{Path, PathBuf};

/// The longest a file may be, and the longest one of `coherency` may be, in lines.
const LONGEST: usize = 400;
const LONGEST_COHERENCY: usize = 150;

/// What every source file begins with.
const LICENCE: &str = "// SPDX-License-Identifier: GPL-2.0";

/// Directories of one developer's machine. Put together here, or this file would be the
/// first to be found.
const MACHINE_PATHS: [&str; 3] = [
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("../sha", "red"),
];

/// A violation of a rule.
#[derive(Debug)]
struct Finding {
    file: PathBuf,
    line: usize,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.what)
    }
}

/// Checks every file. Returns what is wrong, one finding a line, or `None`.
pub(crate) fn findings(ctx: &Context) -> Result<Option<String>> {
    let mut findings = Vec::new();
    for file in files(&ctx.repo)? {
        let path = ctx.repo.join(&file);
        let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        // What is no text is none of our business.
        if let Ok(text) = String::from_utf8(bytes) {
            findings.extend(check_file(&file, &text).iter().map(Finding::to_string));
        }
    }
    Ok((!findings.is_empty()).then(|| findings.join("\n")))
}

/// The files of the repository: what git knows, and what it would add.
fn files(repo: &Path) -> Result<Vec<PathBuf>> {
    let listed = output(command("git").arg("-C").arg(repo).args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
    ]));
    let files: Vec<_> = match listed {
        Ok(text) => text.lines().map(PathBuf::from).collect(),
        // A tarball: everything but what is hidden or built.
        Err(_) => {
            let mut files = Vec::new();
            walk(repo, Path::new(""), &mut files)?;
            files
        }
    };
    Ok(files
        .into_iter()
        .filter(|file| repo.join(file).is_file())
        .collect())
}

fn walk(repo: &Path, below: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let dir = repo.join(below);
    for entry in std::fs::read_dir(&dir).with_context(|| format!("reading {}", dir.display()))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let path = below.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() && !path.starts_with("target") {
            walk(repo, &path, files)?;
        } else if kind.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// All rules for one file, named relative to the top of the repository.
fn check_file(file: &Path, text: &str) -> Vec<Finding> {
    let mut found = machine_paths(text);
    let is_rust = file.extension().is_some_and(|extension| extension == "rs");
    if is_rust {
        found.extend(header(text));
    }
    if let Ok(inside) = file.strip_prefix("rust") {
        if is_rust {
            found.extend(check_module_file(inside, text));
        } else if inside == Path::new("bindings/helpers.c") {
            found.extend(unsorted_helpers(text));
        }
    }
    found
        .into_iter()
        .map(|(line, what)| Finding {
            file: file.to_owned(),
            line: line + 1,
            what,
        })
        .collect()
}

fn check_module_file(file: &Path, text: &str) -> Vec<(usize, String)> {
    let source = Source::new(text);
    let room = rooms::room_of(file);
    let is = |name: &str| room.is_some_and(|room| room.name == name);
    let for_tests = file
        .iter()
        .any(|part| part == "tests" || part == "tests.rs");
    let mut found = too_long(text, is("coherency"));
    if file == Path::new("cohfs_main.rs") {
        found.extend(unforbidden(&source));
    }
    if for_tests {
        return found;
    }
    found.extend(rooms::check(file, &source));
    found.extend(unsafety::check(&source, room.is_some_and(|room| room.pure)));
    let ban = Ban {
        panics: room.is_some(),
        casts: is("ext2") || is("fs"),
        indexing: is("ext2") || is("fs"),
    };
    found.extend(panics::check(&source, ban));
    found
}

/// SPDX first, then the file's documentation.
fn header(text: &str) -> Option<(usize, String)> {
    let mut lines = text.lines();
    if lines.next() != Some(LICENCE) {
        return Some((0, format!("the first line is not `{LICENCE}`")));
    }
    let (number, line) = lines.enumerate().find(|(_, line)| !line.is_empty())?;
    (!line.starts_with("//!")).then(|| (number + 1, "no `//!` says what this file is".to_owned()))
}

fn too_long(text: &str, coherency: bool) -> Vec<(usize, String)> {
    let limit = if coherency {
        LONGEST_COHERENCY
    } else {
        LONGEST
    };
    let lines = text.lines().count();
    // The limit is the first size that is too large.
    if lines < limit {
        return Vec::new();
    }
    vec![(
        lines - 1,
        format!("{lines} lines; a file here stays under {limit}"),
    )]
}

/// The rooms that `cohfs_main.rs` does not put under `#[forbid(unsafe_code)]`.
fn unforbidden(main: &Source) -> Vec<(usize, String)> {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "forbid", "(", "unsafe_code", ")", "]"];
    let words: Vec<_> = main
        .tokens
        .iter()
        .map(|token| token.text.as_str())
        .collect();
    rooms::ROOMS
        .iter()
        .filter(|room| room.pure)
        .filter_map(|room| {
            let wanted: Vec<_> = ATTRIBUTE
                .into_iter()
                .chain(["mod", room.name, ";"])
                .collect();
            let forbidden = words.windows(wanted.len()).any(|here| here == wanted);
            (!forbidden).then(|| {
                (
                    0,
                    format!("`mod {};` is not under `#[forbid(unsafe_code)]`", room.name),
                )
            })
        })
        .collect()
}

/// The wrappers in `helpers.c` bear our prefix and are sorted by name.
fn unsorted_helpers(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut last = "";
    for (number, line) in text.lines().enumerate() {
        // A definition begins in the first column and is no directive, comment or brace.
        if !line.starts_with(|c: char| c.is_ascii_alphabetic()) {
            continue;
        }
        let Some((before, _)) = line.split_once('(') else {
            continue;
        };
        let name = before.rsplit([' ', '*']).next().unwrap_or_default();
        // A macro of the kernel that makes functions, with their names among its arguments; data.
        if before == name && name.ends_with("_DEFINE") || before.contains('=') {
            continue;
        }
        if !name.starts_with("cohfs_") {
            found.push((number, format!("`{name}` does not begin with `cohfs_`")));
        } else if name < last {
            found.push((number, format!("`{name}` should stand before `{last}`")));
        }
        last = name;
    }
    found
}

fn machine_paths(text: &str) -> Vec<(usize, String)> {
    text.lines()
        .enumerate()
        .filter_map(|(number, line)| {
            let path = MACHINE_PATHS.iter().find(|path| line.contains(**path))?;
            Some((number, format!("`{path}` is of no use on another machine")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "// SPDX-License-Identifier: GPL-2.0\n\n//! A file.\n\n";

    fn complaints(file: &str, text: &str) -> Vec<String> {
        check_file(Path::new(file), text)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_file_opens_with_licence_and_purpose() {
        assert_eq!(complaints("xtask/src/a.rs", "fn f() {}\n").len(), 1);
        let text = format!("{LICENCE}\n\nfn f() {{}}\n");
        assert_eq!(
            complaints("xtask/src/a.rs", &text),
            ["xtask/src/a.rs:3: no `//!` says what this file is"]
        );
        assert!(complaints("xtask/src/a.rs", HEADER).is_empty());
    }

    #[test]
    fn files_stay_short() {
        let lines = |count: usize| format!("{HEADER}{}", "// a\n".repeat(count - 4));
        assert!(complaints("rust/vfs/a.rs", &lines(399)).is_empty());
        assert_eq!(complaints("rust/vfs/a.rs", &lines(400)).len(), 1);
        assert!(complaints("rust/coherency/a.rs", &lines(149)).is_empty());
        assert_eq!(complaints("rust/coherency/a.rs", &lines(150)).len(), 1);
    }

    #[test]
    fn the_pure_rooms_forbid_unsafe_code() {
        let good: String = ["coherency", "ext2", "fs"]
            .iter()
            .map(|room| format!("#[forbid(unsafe_code)]\nmod {room};\n"))
            .collect();
        assert!(complaints("rust/cohfs_main.rs", &format!("{HEADER}{good}")).is_empty());
        let bad = format!(
            "{HEADER}{}",
            good.replacen("#[forbid(unsafe_code)]\n", "", 1)
        );
        assert_eq!(
            complaints("rust/cohfs_main.rs", &bad),
            ["rust/cohfs_main.rs:1: `mod coherency;` is not under `#[forbid(unsafe_code)]`"]
        );
    }

    #[test]
    fn the_rules_of_a_room_reach_its_files() {
        let text = format!("{HEADER}fn f() {{ g(x as u32).unwrap(); }}\n");
        assert_eq!(complaints("rust/ext2/dir.rs", &text).len(), 2);
        assert_eq!(complaints("rust/vfs/dir.rs", &text).len(), 1);
        assert!(complaints("rust/ext2/tests/dir.rs", &text).is_empty());
        let text = format!("{HEADER}// SAFETY: No.\nconst X: u8 = unsafe {{ f() }};\n");
        assert_eq!(complaints("rust/fs/a.rs", &text).len(), 1);
        assert!(complaints("rust/vfs/a.rs", &text).is_empty());
    }

    #[test]
    fn helpers_are_sorted_and_ours() {
        let c = "bool cohfs_a(void)\n{\n\treturn a();\n}\n\nstruct x *cohfs_c(int i)\n{\n}\nvoid cohfs_b(void)\n";
        assert_eq!(
            complaints("rust/bindings/helpers.c", c),
            ["rust/bindings/helpers.c:9: `cohfs_b` should stand before `cohfs_c`"]
        );
        assert_eq!(
            complaints("rust/bindings/helpers.c", "int b(void)\n").len(),
            1
        );
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        let line = format!("see {}me/notes\n", MACHINE_PATHS[0]);
        assert_eq!(complaints("README.md", &line).len(), 1);
    }
}
