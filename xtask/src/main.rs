// SPDX-License-Identifier: GPL-2.0

//! The command line of the lab: `cargo xtask VERB`. Each verb is a module.
//!
//! Progress goes to stderr, results to stdout, and the exit status ([`exit::Exit`]) says how
//! it went.

mod artifacts;
mod bindgen;
mod bundle;
mod cache;
mod check;
mod clean;
mod context;
mod crates;
mod doctor;
mod exit;
mod guest;
mod kernel;
mod lab;
mod module;
mod packages;
mod paths;
mod process;
mod progress;
mod setup;
mod source;
mod tidy;
mod toolchain;
mod version;

use anyhow::Result;
use artifacts::Variant;
use clap::{Parser, Subcommand};
use context::{Context, Options};
use exit::{Exit, status_of};
use std::process::ExitCode;

/// Builds cohfs and everything it is tested with
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    verb: Verb,

    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Verb {
    #[command(flatten)]
    Lab(lab::Verb),
    /// Say which packages are missing, or install them
    Setup {
        /// Install them: as root, or through sudo if it asks no password
        #[arg(long)]
        install: bool,
    },
    /// Say what this machine lacks to run the tests, and how to get it
    Doctor {
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Forget whether KVM works here: the next boot tries it again
        #[arg(long)]
        reprobe: bool,
    },
    /// Fetch, configure or build the kernel
    #[command(subcommand)]
    Kernel(KernelVerb),
    /// Build cohfs.ko
    Module {
        /// The kernel to build it for
        #[arg(long, env = "COHFS_VARIANT", default_value = "base")]
        variant: Variant,
        /// Have clippy look at it instead
        #[arg(long)]
        clippy: bool,
    },
    /// Say where the kernel, the module and the results lie, building what is missing
    Paths {
        /// Which kernel
        #[arg(long, env = "COHFS_VARIANT", default_value = "base")]
        variant: Variant,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Check the rules of the source that no other tool checks
    Tidy,
    /// Check those rules, the formatting, and what clippy finds
    Check,
    /// Remove what was built
    Clean {
        /// The kernels, their sources and the tools in the cache as well
        #[arg(long)]
        cache: bool,
    },
}

#[derive(Subcommand)]
enum KernelVerb {
    /// Fetch and unpack the source
    Fetch,
    /// Configure, and check that every option took effect
    Config {
        /// Which kernel
        #[arg(long, env = "COHFS_VARIANT", default_value = "base")]
        variant: Variant,
    },
    /// Build
    Build {
        /// Which kernel
        #[arg(long, env = "COHFS_VARIANT", default_value = "base")]
        variant: Variant,
    },
}

fn main() -> ExitCode {
    let CommandLine { verb, options } = CommandLine::parse();
    let exit = Context::new(options)
        .and_then(|ctx| run(&ctx, verb))
        .unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            status_of(&error)
        });
    ExitCode::from(exit as u8)
}

fn run(ctx: &Context, verb: Verb) -> Result<Exit> {
    match verb {
        Verb::Lab(verb) => lab::run(ctx, verb),
        Verb::Setup { install } => setup::run(ctx, install),
        Verb::Kernel(verb) => run_kernel(ctx, verb),
        Verb::Module { variant, clippy } => {
            setup::ensure(ctx)?;
            let kernel = kernel::ensure(ctx, variant)?;
            if clippy {
                module::clippy(ctx, &kernel)?;
            } else {
                println!("{}", module::build(ctx, &kernel)?.display());
            }
            Ok(Exit::Passed)
        }
        Verb::Paths { variant, json } => paths::run(ctx, variant, json),
        Verb::Doctor { json, reprobe } => doctor::run(ctx, json, reprobe),
        Verb::Tidy => check::run(ctx, &check::CHECKS[..1]),
        Verb::Check => check::run(ctx, &check::CHECKS),
        Verb::Clean { cache } => clean::run(ctx, cache),
    }
}

fn run_kernel(ctx: &Context, verb: KernelVerb) -> Result<Exit> {
    setup::ensure(ctx)?;
    let path = match verb {
        KernelVerb::Fetch => source::ensure(ctx)?.dir,
        KernelVerb::Config { variant } => kernel::configure(ctx, variant)?,
        KernelVerb::Build { variant } => kernel::ensure(ctx, variant)?.build_tree,
    };
    println!("{}", path.display());
    Ok(Exit::Passed)
}
