// SPDX-License-Identifier: GPL-2.0

//! Programs we start: in an environment of known variables, with their output kept.
//!
//! `cargo` and `make` leave variables behind (`MAKEFLAGS`, `RUSTUP_TOOLCHAIN`,
//! `LD_LIBRARY_PATH` …) that would make the kernel build with one job or the wrong
//! compiler. Hence a list of what may pass, not of what may not.

use anyhow::{Context as _, Result, bail};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// The variables that reach the programs we start.
const PASSED: [&str; 14] = [
    "HOME",
    "USER",
    "PATH",
    "TERM",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "APT_CONFIG",
];

/// A command in a clean environment, which dies with us.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LANG", "C.UTF-8");
    for name in PASSED {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    die_with_us(&mut command);
    command
}

/// A `cargo` command: besides [`PASSED`], what cargo and rustup need to work as they do for
/// the user.
pub(crate) fn cargo() -> Command {
    let mut command = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, value) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let wanted = [
            "CARGO_HOME",
            "CARGO_NET_",
            "CARGO_HTTP_",
            "CARGO_REGISTR",
            "RUSTUP_",
            "SSL_CERT_",
        ];
        if wanted.iter().any(|prefix| text.starts_with(prefix)) {
            command.env(name, value);
        }
    }
    command
}

/// Has the kernel end the child when the thread that started it ends.
fn die_with_us(command: &mut Command) {
    let set = || {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
        Ok(())
    };
    // SAFETY: Between fork and exec, the closure makes one system call and allocates nothing.
    unsafe { command.pre_exec(set) };
}

/// What a command prints, without surrounding white space. Fails if the command does.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = describe(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {name}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{name}: {}\n{}", output.status, said.trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a command; everything it prints goes to the file `log` and, line by line, to
/// `on_line`. Its standard input is empty.
pub(crate) fn logged(
    command: &mut Command,
    log: &Path,
    mut on_line: impl FnMut(&str),
) -> Result<ExitStatus> {
    let name = describe(command);
    let mut file =
        File::create(log).with_context(|| format!("creating the log {}", log.display()))?;
    let (reader, writer) = std::io::pipe().context("making a pipe")?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(writer.try_clone().context("making a pipe")?)
        .stderr(writer)
        .spawn()
        .with_context(|| format!("starting {name}"))?;
    // The command keeps its ends of the pipe open until they are replaced.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader
        .read_until(b'\n', &mut line)
        .context("reading a pipe")?
        != 0
    {
        file.write_all(&line)
            .with_context(|| format!("writing the log {}", log.display()))?;
        on_line(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    child.wait().with_context(|| format!("waiting for {name}"))
}

/// The last `count` lines of a log, indented: for the end of an error message.
pub(crate) fn tail(log: &Path, count: usize) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..]
        .iter()
        .map(|line| format!("\n    {line}"))
        .collect()
}

/// Finds a program on the search path, or in the directories of the system administrator,
/// which are not on everybody's.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|candidate| is_executable(candidate))
}

/// Whether `path` is a file that we may run.
pub(crate) fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_make_do_not_pass() {
        let names: Vec<_> = command("true")
            .get_envs()
            .filter_map(|(name, value)| value.map(|_| name.to_string_lossy().into_owned()))
            .collect();
        assert!(names.contains(&"LANG".to_owned()));
        assert!(names.iter().all(|name| !name.starts_with("CARGO")));
        assert!(!names.contains(&"MAKEFLAGS".to_owned()));
    }

    #[test]
    fn both_streams_reach_the_log_and_the_caller() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut seen = Vec::new();
        let status = logged(
            command("sh").args(["-c", "echo one; echo two >&2; exit 3"]),
            &log,
            |line| seen.push(line.to_owned()),
        )
        .unwrap();
        assert_eq!(status.code(), Some(3));
        assert_eq!(seen, ["one", "two"]);
        assert_eq!(tail(&log, 1), "\n    two");
    }

    #[test]
    fn a_failed_command_is_an_error_that_quotes_it() {
        let error = output(command("sh").args(["-c", "echo broken >&2; exit 1"])).unwrap_err();
        assert!(error.to_string().contains("broken"), "{error}");
    }
}
