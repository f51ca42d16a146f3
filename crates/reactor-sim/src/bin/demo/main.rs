//! A cluster of three nodes, told in some seventy lines: the power of the active node is cut, then its network, then everybody's.
//!
//! Three unmodified daemons, each with a systemd of its own, on one simulated DRBD. No root, no network, everything in a temporary folder that is
//! removed at the end. It fails if something that it promises did not happen. With `--keep` the cluster runs on, to play with.

mod drbd;
mod layout;
mod machine;
mod scenes;
mod stage;
mod story;
mod watch;
mod writes;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::layout::Layout;
use crate::stage::{Stage, say};

/// Plays a cluster and tells what its daemons make of it.
#[derive(Parser)]
struct Args {
    /// Leave the cluster running afterwards, and say how to play with it
    #[arg(long)]
    keep: bool,
    #[command(subcommand)]
    what: Option<What>,
}

/// For a cluster that was left running.
#[derive(Subcommand)]
enum What {
    /// Process 1 of a node; started by "on"
    #[command(hide = true)]
    Machine {
        /// Folder of the cluster
        dir: PathBuf,
        /// The node
        node: String,
    },
    /// Cut the power of a node
    Off {
        /// Folder of the cluster
        dir: PathBuf,
        /// The node
        node: String,
    },
    /// Switch a node on
    On {
        /// Folder of the cluster
        dir: PathBuf,
        /// The node
        node: String,
    },
    /// Cut the network of a node
    Cut {
        /// Folder of the cluster
        dir: PathBuf,
        /// The node
        node: String,
    },
    /// Mend the network
    Heal {
        /// Folder of the cluster
        dir: PathBuf,
    },
    /// End the cluster and remove its folder
    Stop {
        /// Folder of the cluster
        dir: PathBuf,
    },
}

/// Only a demo that hangs is ended by it.
const LONGEST: Duration = Duration::from_secs(85);

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.what {
        None => demo(args.keep),
        Some(what) => carry_out(what),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be done if even this cannot be written.
            let _ = writeln!(std::io::stderr(), "demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(what: What) -> Result<()> {
    match what {
        What::Machine { dir, node } => {
            let layout = Layout::open(&dir)?;
            machine::run(&layout, layout.node(&node)?)
        }
        What::Off { dir, node } => {
            let layout = Layout::open(&dir)?;
            machine::power_off(layout.node(&node)?)?;
            layout.control(&["kill", &node]).map(drop)
        }
        What::On { dir, node } => {
            let layout = Layout::open(&dir)?;
            layout.control(&["boot", &node])?;
            machine::power_on(&layout, layout.node(&node)?)
        }
        What::Cut { dir, node } => {
            let layout = Layout::open(&dir)?;
            layout.node(&node)?;
            layout.control(&["isolate", &node]).map(drop)
        }
        What::Heal { dir } => Layout::open(&dir)?.control(&["heal"]).map(drop),
        What::Stop { dir } => Layout::open(&dir)?.end(),
    }
}

/// Ctrl-C ends the cluster too: its nodes are sessions of their own, and would go on.
fn end_with_us(layout: &Layout) {
    let dir = layout.dir().to_owned();
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        let wait = async {
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} }
            std::io::Result::Ok(())
        };
        if runtime.block_on(wait).is_ok() {
            let _ = Layout::open(&dir).and_then(|layout| layout.end());
            std::process::exit(130);
        }
    });
}

fn demo(keep: bool) -> Result<()> {
    let begin = Instant::now();
    let layout = Layout::create()?;
    end_with_us(&layout);
    let played = play(&layout, begin);
    if keep && played.is_ok() {
        return say(&layout.invitation()?);
    }
    let ended = layout.end();
    played?;
    ended.context("ending the cluster")?;
    say("  All daemons ended cleanly. Nothing is left behind.")
}

fn play(layout: &Layout, begin: Instant) -> Result<()> {
    say(
        "Three nodes, n1 n2 n3, mirror resource r1 (quorum majority, ping-int 1 s). Each has an unmodified reactord and a systemd of its own;\n\
         DRBD is simulated. counter.service writes a number to the replicated device every 20 ms, and waits for each to be acknowledged.\n\
         Times are seconds since the beginning of a scene.",
    )?;
    let mut stage = Stage::new(layout, LONGEST);
    let rows = scenes::play(&mut stage, layout)?;
    stage.catch_up()?;
    scenes::sum_up(&stage, layout, &rows)?;
    say(&format!("  It took {:.0} s.", begin.elapsed().as_secs_f64()))
}
