// SPDX-License-Identifier: GPL-2.0

//! `claims`: lists, prepares and runs the claims.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use clap::Subcommand;

use cohfs_selftests::bench;
use cohfs_selftests::digest;
use cohfs_selftests::digest::Detail;
use cohfs_selftests::generator;
use cohfs_selftests::partitions;
use cohfs_selftests::prepare;
use cohfs_selftests::registry;
use cohfs_selftests::registry::Claim;
use cohfs_selftests::registry::Listed;
use cohfs_selftests::runner;
use cohfs_selftests::storm;
use cohfs_selftests::verdict;

/// Claims about direct I/O, mmap and buffered I/O on the same file, tried on any directory.
#[derive(Debug, Parser)]
#[command(name = "claims", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Lists the claims: what each promises, needs, and must give under each policy of cohfs.
    List {
        /// Writes a JSON array.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Writes the files that the claims need into a directory, to make an image of.
    Prepare {
        /// The directory, which is made if it is not there.
        #[arg(long)]
        dir: PathBuf,
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Makes partitions of a disk, one for each file that the claims need, and links to them in a
    /// directory: `run` on that directory tries the claims on the raw device.
    ///
    /// What is on the disk will be written over.
    Partition {
        /// The disk: its node in /dev, or its serial.
        #[arg(long)]
        disk: String,
        /// The directory, which is made if it is not there.
        #[arg(long)]
        dir: PathBuf,
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Runs claims on a directory of any file system and writes KTAP.
    ///
    /// Exit status: 0 all kept or skipped, 1 a claim was not kept, 4 all were skipped, 2 usage.
    Run {
        /// The directory; the claims keep their files in it.
        #[arg(long)]
        dir: PathBuf,
        /// Seconds a claim may take before it counts as hung.
        #[arg(long, default_value_t = 120, value_name = "SECONDS")]
        timeout: u64,
        /// Try so often what ends otherwise each time where nobody promises it, and tell what most
        /// tries came to that did not keep it.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        tries: u32,
        /// Leaves out what others on this machine would notice: I/O errors on demand, writes to the
        /// device, a file system that is frozen or full.
        #[arg(long)]
        careful: bool,
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Prints `sha256  relative/path  size  mode` of every regular file, sorted.
    Digest {
        /// The directory.
        #[arg(long)]
        dir: PathBuf,
        /// Describes directories, links and devices too, with owners, link counts and times.
        #[arg(long)]
        everything: bool,
    },
    /// Does random steps on a directory, or the same on several, and compares.
    ///
    /// Exit status: 0 all as it must be, 1 not, 2 usage.
    Generate {
        #[command(flatten)]
        settings: generator::Settings,
    },
    /// Uses up the blocks, the inodes and the room for names of a small file system.
    ///
    /// Prints what must be the same for every file system of a format. Exit status: 0 nothing was
    /// lost, 1 something was, 2 usage.
    Exhaust {
        /// Where the file system is mounted.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Has many threads write, read, map, cut and reclaim a few files at once, and writes KTAP.
    ///
    /// Exit status: 0 nothing wrong, 1 something, 4 skipped, 2 usage.
    Storm {
        #[command(flatten)]
        settings: storm::Settings,
    },
    /// Measures how long things take, on several file systems by turns: one line of JSON a number.
    ///
    /// Exit status: 0 measured, 2 not.
    Bench {
        #[command(flatten)]
        settings: bench::Settings,
    },
    /// Writes a JSON array of the rows that `bench` knows.
    BenchRows,
    /// Copies an image to disks that hold zeros only.
    CopyImage {
        /// The image.
        from: PathBuf,
        /// The disks.
        #[arg(required = true)]
        to: Vec<PathBuf>,
    },
    /// Makes a storm in this process and writes its outcome as JSON: what `storm` starts.
    #[command(name = runner::EXEC_STORM, hide = true)]
    ExecStorm {
        #[command(flatten)]
        settings: storm::Settings,
    },
    /// Runs one claim in this process and writes its outcome as JSON: what `run` starts.
    #[command(name = runner::EXEC, hide = true)]
    Exec {
        #[arg(long)]
        dir: PathBuf,
        #[arg(long, value_parser = parse_claim)]
        claim: &'static Claim,
    },
}

#[derive(Debug, clap::Args)]
struct Chosen {
    /// Only this claim; repeat it, or separate ids by commas.
    #[arg(long = "claim", value_name = "ID", value_delimiter = ',', value_parser = parse_claim)]
    claims: Vec<&'static Claim>,
}

impl Chosen {
    fn claims(self) -> Vec<&'static Claim> {
        if self.claims.is_empty() {
            registry::all().collect()
        } else {
            self.claims
        }
    }
}

fn parse_claim(id: &str) -> Result<&'static Claim, String> {
    registry::find(id).ok_or_else(|| {
        let ids: Vec<&str> = registry::all().map(|claim| claim.id).collect();
        format!("no such claim; there are {}", ids.join(" "))
    })
}

fn main() -> ExitCode {
    match obey(Arguments::parse().verb) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("claims: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn obey(verb: Verb) -> Result<u8> {
    match verb {
        Verb::List { json, chosen } => list(json, &chosen.claims())?,
        Verb::Prepare { dir, chosen } => prepare::prepare(&dir, &chosen.claims())?,
        Verb::Partition { disk, dir, chosen } => partitions::make(&disk, &dir, &chosen.claims())?,
        Verb::Digest { dir, everything } => {
            let detail = if everything {
                Detail::Everything
            } else {
                Detail::Files
            };
            digest::digest(&dir, detail, &mut std::io::stdout().lock())?;
        }
        Verb::Run {
            dir,
            timeout,
            tries,
            careful,
            chosen,
        } => {
            anyhow::ensure!(dir.is_dir(), "{} is not a directory", dir.display());
            let timeout = Duration::from_secs(timeout);
            return Ok(runner::run(&dir, &chosen.claims(), timeout, tries, careful)?.exit_status());
        }
        Verb::Generate { settings } => {
            let result = generator::run(&settings);
            println!("{}", result.as_ref().unwrap_or_else(|failure| failure));
            return Ok(u8::from(result.is_err()));
        }
        Verb::Exhaust { dir } => {
            let result = generator::exhaust::run(&dir).map_err(|error| format!("{error:#}"));
            println!("{}", result.as_ref().unwrap_or_else(|failure| failure));
            return Ok(u8::from(result.is_err()));
        }
        Verb::Storm { settings } => {
            let dir = &settings.dir;
            anyhow::ensure!(dir.is_dir(), "{} is not a directory", dir.display());
            return Ok(runner::run_storm(&settings)?.exit_status());
        }
        Verb::Bench { settings } => bench::run(&settings)?,
        Verb::BenchRows => println!("{}", serde_json::to_string_pretty(&bench::list())?),
        Verb::CopyImage { from, to } => bench::copy_image(&from, &to)?,
        Verb::ExecStorm { settings } => {
            let result = storm::run(
                &settings.dir,
                &storm::FILES,
                settings.seconds,
                settings.seed,
            );
            println!("{}", serde_json::to_string(&verdict::settle(result))?);
        }
        Verb::Exec { dir, claim } => {
            let outcome = runner::exec(&dir, claim);
            println!("{}", serde_json::to_string(&outcome)?);
        }
    }
    Ok(0)
}

fn list(json: bool, claims: &[&Claim]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        let listed: Vec<Listed> = claims.iter().map(|claim| Listed::from(*claim)).collect();
        serde_json::to_writer_pretty(&mut out, &listed)?;
        writeln!(out)?;
    } else {
        for claim in claims {
            writeln!(out, "{:<4} {}  ({})", claim.id, claim.name, claim.rule)?;
        }
    }
    Ok(())
}
