//! The developers' commands: `cargo xtask ci` is the whole gate, the same by hand and in CI.
//!
//! Every stage runs a command whose output is kept in `target/xtask/` and shown only when it fails. At the end a table says what was skipped
//! and how long each stage took. A skip fails if `CI=true`.

mod deb;
mod dist;
mod docs;
mod fuzz;
mod gate;
mod licences;
mod long;
#[cfg(test)]
mod makefile;
mod man;
mod mutants;
mod stages;
mod summary;
mod tools;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The developers' commands.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that must be true before a change lands
    Ci,
    /// Format and lints only
    Lint,
    /// Build and tests only
    Test,
    /// Write the generated documents
    Docs {
        /// Only say whether they are up to date
        #[arg(long)]
        check: bool,
    },
    /// Fuzz one target or all of them; without a target and minutes: see that they build
    Fuzz {
        /// A file of fuzz/fuzz_targets, without its ending; none = all, one after the other
        target: Option<String>,
        /// How long each of them runs [default: 1]
        #[arg(long)]
        minutes: Option<u32>,
    },
    /// What is worth more time than the gate has: many seeds, fuzzing, mutations; the result goes to docs/long-runs.md
    Long(long::Extent),
    /// Put small bugs into the promoter and see which of them nothing notices (needs cargo-mutants)
    Mutants {
        /// A module of the promoter; none = all that are looked at
        file: Option<String>,
    },
    /// See that everything we link may be linked
    Licences,
    /// Check units, sysusers and tmpfiles
    Dist,
    /// Write the manual pages into a folder
    Man {
        /// The folder
        folder: PathBuf,
    },
    /// Build a Debian package of what `make install` installs
    Deb {
        /// Cargo's profile of the programs in it
        #[arg(long, default_value = "release")]
        profile: String,
    },
}

fn main() -> Result<ExitCode> {
    let root = root();
    std::env::set_current_dir(&root)?;
    let run = |stages: &[gate::Stage]| gate::run(&root, stages);
    match Args::parse().command {
        Command::Ci => run(&stages::all()),
        Command::Lint => run(&stages::lints()),
        Command::Test => run(&stages::tests()),
        Command::Docs { check: true } => run(&[stages::generated()]),
        Command::Docs { check: false } => docs::write(&root).map(|()| ExitCode::SUCCESS),
        Command::Fuzz { target: None, minutes: None } => run(&[stages::fuzz()]),
        Command::Fuzz { target, minutes } => {
            fuzz::run(&root, target.as_deref(), minutes.unwrap_or(1)).map(|()| ExitCode::SUCCESS)
        }
        Command::Long(extent) => {
            let good = long::run(&root, &extent)?;
            Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Mutants { file } => {
            let counts = mutants::run(&root, file.as_deref())?;
            writeln!(std::io::stdout(), "{counts}")?;
            counts.check().map(|()| ExitCode::SUCCESS)
        }
        Command::Licences => run(&[stages::licences()]),
        Command::Dist => run(&[stages::dist()]),
        Command::Man { folder } => man::write(&folder).map(|()| ExitCode::SUCCESS),
        Command::Deb { profile } => {
            let package = deb::build(&root, &profile)?;
            writeln!(std::io::stdout(), "{}", package.display())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The top of the project, wherever we are called from.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in the project's top folder").to_owned()
}
