// SPDX-License-Identifier: GPL-2.0

//! What must be installed on this machine, how to tell, and which package brings it.
//!
//! Presence is judged by the file that is used, not by the package database: that holds on
//! any distribution. The package names are Debian's, of bookworm and later.

use crate::process::{command, find_program, output};
use crate::source::apt::KEYRING;
use crate::toolchain::{LLVM_RELEASES, Llvm, MIN_BINDGEN, MIN_RUSTC, RustPair};
use crate::version::Version;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Something that a plain `test` needs.
pub(crate) struct Need {
    /// What it is, for people.
    pub(crate) what: &'static str,
    /// What was found, or why what is there will not do.
    pub(crate) found: Result<String, String>,
    /// The packages that bring it.
    pub(crate) packages: Vec<String>,
}

/// The oldest make the kernel takes.
const MIN_MAKE: Version = Version::new(4, 0, 0);

/// Programs, and the packages they come from.
const PROGRAMS: [(&str, &str); 12] = [
    ("cc", "gcc"),
    ("flex", "flex"),
    ("bison", "bison"),
    ("bc", "bc"),
    ("perl", "perl"),
    ("xz", "xz-utils"),
    ("tar", "tar"),
    ("cmp", "diffutils"),
    ("awk", "mawk"),
    ("mke2fs", "e2fsprogs"),
    ("e2fsck", "e2fsprogs"),
    ("debugfs", "e2fsprogs"),
];

/// Headers and libraries, and the packages they come from. The last part of the path is
/// looked for where compilers look.
const FILES: [(&str, &str, &str); 3] = [
    ("libelf, for objtool", "libelf.h", "libelf-dev"),
    (
        "libssl, for the kernel's certificates",
        "openssl/opensslv.h",
        "libssl-dev",
    ),
    ("the static C library, for the guest", "libc.a", "libc6-dev"),
];

/// Looks at everything; quick if nothing is missing.
pub(crate) fn needs() -> Vec<Need> {
    let mut needs = vec![need_make()];
    needs.extend(PROGRAMS.map(|(name, package)| {
        Need {
            what: name,
            found: find_program(name)
                .map(|path| path.display().to_string())
                .ok_or_else(|| format!("no program {name}")),
            packages: vec![package.to_owned()],
        }
    }));
    needs.extend(FILES.map(|(what, file, package)| {
        Need {
            what,
            found: find_development_file(file)
                .map(|path| path.display().to_string())
                .ok_or_else(|| format!("no {file}")),
            packages: vec![package.to_owned()],
        }
    }));
    needs.push(Need {
        what: "keys of Debian's archive",
        found: Path::new(KEYRING)
            .is_file()
            .then(|| KEYRING.to_owned())
            .ok_or_else(|| format!("no {KEYRING}")),
        packages: vec!["debian-archive-keyring".to_owned()],
    });
    needs.extend(compilers());
    needs
}

fn need_make() -> Need {
    let found = output(command("make").arg("--version"))
        .map_err(|_| "no program make".to_owned())
        .and_then(|text| match Version::find(&text) {
            Some(version) if version >= MIN_MAKE => Ok(format!("GNU make {version}")),
            _ => Err(format!("make is not GNU make {MIN_MAKE} or later")),
        });
    Need {
        what: "make",
        found,
        packages: vec!["make".to_owned()],
    }
}

/// Rust, its formatter, and LLVM: which packages bring them depends on what this machine's
/// distribution has, which is asked only if something is missing.
fn compilers() -> Vec<Need> {
    let rust = RustPair::find();
    let llvm = Llvm::find();
    let rustfmt = rust.as_ref().ok().and_then(|pair| {
        let path = pair.bin.join("rustfmt");
        output(command(&path).arg("--version"))
            .ok()
            .map(|text| format!("{} ({text})", path.display()))
    });
    let offered = if rust.is_ok() && llvm.is_some() && rustfmt.is_some() {
        HashMap::new()
    } else {
        offers()
    };
    let flavour = match &rust {
        // The formatter has to come from where the compiler came from.
        Ok(_) => installed_flavour().unwrap_or(RUST_FLAVOURS[0]),
        Err(_) => choose_rust(&offered).unwrap_or(RUST_FLAVOURS[0]),
    };
    let release = choose_llvm(&offered);
    vec![
        Need {
            what: "Rust compiler with library source",
            found: rust
                .map(|pair| format!("{} in {}", pair.text, pair.bin.display()))
                .map_err(|reasons| reasons.join("; ")),
            packages: vec![flavour.compiler.into(), flavour.source.into()],
        },
        Need {
            what: "rustfmt of that compiler",
            found: rustfmt.ok_or_else(|| "no rustfmt beside the compiler".to_owned()),
            packages: vec![flavour.formatter.into()],
        },
        Need {
            what: "clang, lld, libclang",
            found: llvm
                .map(|llvm| llvm.text)
                .ok_or_else(|| "no complete LLVM (clang, lld, llvm, libclang)".to_owned()),
            packages: ["clang-", "lld-", "llvm-"]
                .map(|name| format!("{name}{release}"))
                .into_iter()
                .chain([format!("libclang-{release}-dev")])
                .collect(),
        },
    ]
}

/// A set of Rust packages that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RustFlavour {
    compiler: &'static str,
    source: &'static str,
    formatter: &'static str,
}

/// Debian's own compiler, and the newer one that it carries for web browsers.
const RUST_FLAVOURS: [RustFlavour; 2] = [
    RustFlavour {
        compiler: "rustc-web",
        source: "rust-web-src",
        formatter: "rustfmt-web",
    },
    RustFlavour {
        compiler: "rustc",
        source: "rust-src",
        formatter: "rustfmt",
    },
];

/// The first flavour on offer that is new enough, its source being of the same version: apt
/// would install unequal ones without a word.
fn choose_rust(offered: &HashMap<String, Version>) -> Option<RustFlavour> {
    RUST_FLAVOURS.into_iter().find(|flavour| {
        let compiler = offered.get(flavour.compiler);
        compiler.is_some_and(|&version| version >= MIN_RUSTC)
            && compiler == offered.get(flavour.source)
    })
}

fn choose_llvm(offered: &HashMap<String, Version>) -> u32 {
    LLVM_RELEASES
        .into_iter()
        .find(|release| offered.contains_key(&format!("clang-{release}")))
        .unwrap_or(LLVM_RELEASES[0])
}

fn installed_flavour() -> Option<RustFlavour> {
    RUST_FLAVOURS
        .into_iter()
        .find(|flavour| is_installed(flavour.compiler))
}

/// Whether the package database says so.
pub(crate) fn is_installed(package: &str) -> bool {
    output(command("dpkg-query").args(["-W", "-f", "${db:Status-Status}", package]))
        .is_ok_and(|status| status == "installed")
}

/// Whether the distribution has a bindgen that the kernel takes.
pub(crate) fn bindgen_is_offered() -> bool {
    offers()
        .get("bindgen")
        .is_some_and(|&version| version >= MIN_BINDGEN)
}

/// The versions that apt would install of the packages that differ between releases.
fn offers() -> HashMap<String, Version> {
    let names = RUST_FLAVOURS
        .iter()
        .flat_map(|flavour| [flavour.compiler, flavour.source])
        .map(str::to_owned)
        .chain(LLVM_RELEASES.map(|release| format!("clang-{release}")))
        .chain(["bindgen".to_owned()]);
    output(command("apt-cache").arg("policy").args(names))
        .map(|text| parse_policy(&text))
        .unwrap_or_default()
}

fn parse_policy(text: &str) -> HashMap<String, Version> {
    let mut offered = HashMap::new();
    let mut package = "";
    for line in text.lines() {
        if let Some(name) = line.strip_suffix(':').filter(|name| !name.starts_with(' ')) {
            package = name;
        } else if let Some(version) = line.trim_start().strip_prefix("Candidate: ") {
            // An epoch is not part of what the program says.
            let version = version.split_once(':').map_or(version, |(_, rest)| rest);
            if let Some(version) = Version::parse(version) {
                offered.insert(package.to_owned(), version);
            }
        }
    }
    offered
}

fn find_development_file(name: &str) -> Option<PathBuf> {
    [
        "/usr/include",
        "/usr/include/x86_64-linux-gnu",
        "/usr/local/include",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib64",
        "/usr/lib",
    ]
    .iter()
    .map(|dir| Path::new(dir).join(name))
    .find(|path| path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOKWORM: &str = "\
rustc-web:
  Installed: (none)
  Candidate: 1.96.0+dfsg1-1~deb12u2
  Version table:
     1.96.0+dfsg1-1~deb12u2 500
rust-web-src:
  Installed: (none)
  Candidate: 1.96.0+dfsg1-1~deb12u2
rustc:
  Candidate: 1.63.0+dfsg1-2
rust-src:
  Candidate: 1.63.0+dfsg1-2
clang-19:
  Candidate: 1:19.1.7-3~deb12u1
bindgen:
  Candidate: 0.60.1-3
clang-20:
  Candidate: (none)
";

    #[test]
    fn the_compiler_that_is_new_enough_is_chosen() {
        let offered = parse_policy(BOOKWORM);
        assert_eq!(choose_rust(&offered).unwrap().compiler, "rustc-web");
        assert_eq!(choose_llvm(&offered), 19);
        assert!(!offered.contains_key("clang-20"));
    }

    #[test]
    fn a_compiler_with_another_versions_source_is_not_chosen() {
        let mut offered = parse_policy(BOOKWORM);
        offered.insert("rust-web-src".into(), Version::new(1, 97, 0));
        assert_eq!(choose_rust(&offered), None);
        offered.insert("rustc".into(), Version::new(1, 85, 1));
        offered.insert("rust-src".into(), Version::new(1, 85, 1));
        assert_eq!(choose_rust(&offered).unwrap().compiler, "rustc");
    }
}
