// SPDX-License-Identifier: GPL-2.0

//! The compilers that build the kernel and the module.
//!
//! The kernel wants a Rust compiler *with the source of the very same version's standard
//! library*, bindgen with a libclang, and (for KASAN with Rust) clang. All are named by
//! absolute path, so that the module is built with what the kernel was built with.

use crate::exit::missing;
use crate::process::{command, find_program, is_executable, output};
use crate::version::Version;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// The oldest Rust compiler that the kernel takes.
pub(crate) const MIN_RUSTC: Version = Version::new(1, 85, 0);
/// The oldest bindgen that the kernel takes.
pub(crate) const MIN_BINDGEN: Version = Version::new(0, 71, 1);
/// The releases of LLVM we look for, the tested one first.
pub(crate) const LLVM_RELEASES: [u32; 7] = [19, 20, 21, 22, 23, 18, 17];

/// A Rust compiler and the matching source of its standard library.
#[derive(Clone, Debug)]
pub(crate) struct RustPair {
    /// The directory of `rustc`, `rustdoc`, and perhaps `rustfmt` and `clippy-driver`.
    pub(crate) bin: PathBuf,
    /// The directory `library` of the source.
    pub(crate) library: PathBuf,
    /// What `rustc --version` says.
    pub(crate) text: String,
}

impl RustPair {
    /// Looks at the compiler in the directory `bin`. `Err` says why it will not do.
    pub(crate) fn probe(bin: &Path) -> Result<Self, String> {
        let rustc = bin.join("rustc");
        let named = rustc.display();
        if !is_executable(&rustc) {
            return Err(format!("no {named}"));
        }
        let text =
            output(command(&rustc).arg("--version")).map_err(|e| format!("{named}: {e:#}"))?;
        let version = Version::find(&text).ok_or(format!("{named} says \"{text}\""))?;
        if version < MIN_RUSTC {
            return Err(format!(
                "{named} is {version}, the kernel needs {MIN_RUSTC}"
            ));
        }
        let library = match std::env::var_os("RUST_LIB_SRC").filter(|dir| !dir.is_empty()) {
            Some(dir) => PathBuf::from(dir),
            None => {
                let sysroot = output(command(&rustc).args(["--print", "sysroot"]))
                    .map_err(|e| format!("{named}: {e:#}"))?;
                Path::new(&sysroot).join("lib/rustlib/src/rust/library")
            }
        };
        if !library.join("core/src/lib.rs").is_file() {
            return Err(format!(
                "{named} {version} has no library source in {}",
                library.display()
            ));
        }
        // Distributions name the source directory after its version; a source newer than
        // the compiler does happen there and fails in the middle of the kernel build.
        let real = library.canonicalize().unwrap_or_else(|_| library.clone());
        if let Some(source) = source_version(&real)
            && source != version
        {
            return Err(format!(
                "{named} is {version}, but the library source {} is {source}",
                real.display()
            ));
        }
        Ok(Self {
            bin: bin.to_owned(),
            library,
            text,
        })
    }

    /// The first usable pair: `$RUSTC`'s, the distribution's, then rustup's. `Err` holds
    /// why each will not do.
    pub(crate) fn find() -> Result<Self, Vec<String>> {
        let mut reasons = Vec::new();
        for bin in rust_candidates() {
            match Self::probe(&bin) {
                Ok(pair) => return Ok(pair),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(reasons)
    }
}

/// The version in a path such as `…/rustc-1.96.0/library`, if there is one.
fn source_version(library: &Path) -> Option<Version> {
    let name = library.parent()?.file_name()?.to_str()?;
    Version::parse(name.strip_prefix("rustc-")?)
}

fn rust_candidates() -> Vec<PathBuf> {
    let parent = |path: &Path| path.parent().map(Path::to_owned);
    if let Some(rustc) = std::env::var_os("RUSTC").filter(|path| !path.is_empty()) {
        // The user has decided.
        return parent(Path::new(&rustc)).into_iter().collect();
    }
    let mut candidates = vec![PathBuf::from("/usr/bin")];
    // Not the shim that rustup puts on the path: the compiler behind it.
    if let Ok(rustc) = output(command("rustup").args(["which", "rustc"])) {
        candidates.extend(parent(Path::new(&rustc)));
    } else if let Some(rustc) = find_program("rustc") {
        candidates.extend(parent(&rustc));
    }
    candidates.dedup();
    candidates
}

/// One installed release of LLVM: clang, lld, the binary utilities, and libclang.
#[derive(Clone, Debug)]
pub(crate) struct Llvm {
    /// The release, which is also the suffix of the programs.
    pub(crate) release: u32,
    /// What `clang --version` says first.
    pub(crate) text: String,
    /// The directory of `libclang.so`.
    pub(crate) libclang: PathBuf,
}

impl Llvm {
    /// The tested release if it is complete, else the next one that is.
    pub(crate) fn find() -> Option<Self> {
        LLVM_RELEASES.into_iter().find_map(Self::probe)
    }

    fn probe(release: u32) -> Option<Self> {
        for name in [
            "clang",
            "ld.lld",
            "llvm-nm",
            "llvm-ar",
            "llvm-objcopy",
            "llvm-strip",
            "llvm-readelf",
        ] {
            find_program(&format!("{name}-{release}"))?;
        }
        let given = std::env::var_os("LIBCLANG_PATH").filter(|dir| !dir.is_empty());
        let libclang = match given {
            Some(dir) => PathBuf::from(dir),
            None => [
                format!("/usr/lib/llvm-{release}/lib"),
                format!("/usr/lib64/llvm{release}/lib64"),
            ]
            .into_iter()
            .map(PathBuf::from)
            .find(|dir| has_libclang(dir))?,
        };
        let text = output(command(format!("clang-{release}")).arg("--version")).ok()?;
        Some(Self {
            release,
            text: text.lines().next().unwrap_or_default().to_owned(),
            libclang,
        })
    }
}

fn has_libclang(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with("libclang.so")
        })
    })
}

/// A bindgen that is new enough: `$BINDGEN`, the distribution's, or the one in our cache.
#[derive(Clone, Debug)]
pub(crate) struct Bindgen {
    /// The program.
    pub(crate) path: PathBuf,
    /// What `bindgen --version` says.
    pub(crate) text: String,
}

impl Bindgen {
    /// Looks for one; `tools` is the root of our own installations.
    pub(crate) fn find(tools: &Path) -> Option<Self> {
        let given = std::env::var_os("BINDGEN").filter(|path| !path.is_empty());
        let candidates = given
            .map(PathBuf::from)
            .into_iter()
            .chain([PathBuf::from("/usr/bin/bindgen"), tools.join("bin/bindgen")])
            .chain(find_program("bindgen"));
        for path in candidates {
            if let Ok(text) = output(command(&path).arg("--version"))
                && Version::find(&text).is_some_and(|version| version >= MIN_BINDGEN)
            {
                return Some(Self { path, text });
            }
        }
        None
    }
}

/// Everything that takes part in a build of the kernel and the module.
#[derive(Clone, Debug)]
pub(crate) struct Toolchain {
    /// The Rust compiler with its source.
    pub(crate) rust: RustPair,
    /// clang and its family.
    pub(crate) llvm: Llvm,
    /// The generator of bindings.
    pub(crate) bindgen: Bindgen,
}

impl Toolchain {
    /// Finds all of it; `tools` is the root of our own installations.
    pub(crate) fn find(tools: &Path) -> Result<Self> {
        let rust = RustPair::find().map_err(|reasons| {
            missing(format!(
                "no Rust compiler of {MIN_RUSTC} or later with its library source:\n  {}\n\
                 Run `cargo xtask setup --install`, or `rustup component add rust-src`.",
                reasons.join("\n  ")
            ))
        })?;
        let llvm = Llvm::find().ok_or_else(|| {
            missing(format!(
                "no complete LLVM of release {LLVM_RELEASES:?} (clang, lld, llvm, libclang): \
                 run `cargo xtask setup --install`"
            ))
        })?;
        let bindgen = Bindgen::find(tools).ok_or_else(|| {
            missing(format!(
                "no bindgen of {MIN_BINDGEN} or later: run `cargo xtask setup --install`"
            ))
        })?;
        Ok(Self {
            rust,
            llvm,
            bindgen,
        })
    }

    /// What identifies these tools in a cache key.
    pub(crate) fn identity(&self) -> String {
        format!(
            "{}; {}; {}; {}",
            self.rust.text,
            self.rust.library.display(),
            self.llvm.text,
            self.bindgen.text
        )
    }

    /// The directory of the Rust programs, to go in front of the search path.
    pub(crate) fn search_path(&self) -> std::ffi::OsString {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs = [self.rust.bin.clone()]
            .into_iter()
            .chain(std::env::split_paths(&path))
            .chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
        std::env::join_paths(dirs).unwrap_or(path)
    }

    /// The variables on make's command line that name the Rust programs and bindgen.
    pub(crate) fn rust_variables(&self) -> Vec<String> {
        let program = |variable: &str, name: &str| {
            format!("{variable}={}", self.rust.bin.join(name).display())
        };
        vec![
            program("RUSTC", "rustc"),
            program("HOSTRUSTC", "rustc"),
            program("RUSTDOC", "rustdoc"),
            program("RUSTFMT", "rustfmt"),
            program("CLIPPY_DRIVER", "clippy-driver"),
            format!("BINDGEN={}", self.bindgen.path.display()),
            format!("RUST_LIB_SRC={}", self.rust.library.display()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_directory_tells_its_version() {
        let version = |path| source_version(Path::new(path));
        assert_eq!(
            version("/usr/src/rustc-1.96.0/library"),
            Some(Version::new(1, 96, 0))
        );
        assert_eq!(version("/home/u/.rustup/x/src/rust/library"), None);
    }

    #[test]
    fn a_directory_without_a_compiler_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let reason = RustPair::probe(dir.path()).unwrap_err();
        assert!(reason.starts_with("no "), "{reason}");
    }

    #[test]
    fn a_compiler_that_is_too_old_says_so() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let rustc = dir.path().join("rustc");
        std::fs::write(&rustc, "#!/bin/sh\necho 'rustc 1.63.0 (abc)'\n").unwrap();
        std::fs::set_permissions(&rustc, std::fs::Permissions::from_mode(0o755)).unwrap();
        let reason = RustPair::probe(dir.path()).unwrap_err();
        assert!(
            reason.contains("1.63.0") && reason.contains("1.85.0"),
            "{reason}"
        );
    }
}
