//! Speed and memory of the real daemon, printed as tables beside what drbd-reactor needs and what we want.
//!
//! A look-alike `drbdsetup` feeds a real `reactord` through the real pipe. The exit code says whether the benchmark itself worked; whether a
//! target was met is printed. Numbers of a busy machine say little.

mod decisions;
mod devices;
mod events;
mod floods;
mod handlers;
mod history;
mod idle;
mod journal;
mod promotions;
mod report;
mod scrapes;
mod setup;
mod snmp;
mod status;
mod stops;
mod storage;
mod stored;

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

use crate::setup::Setup;

/// Measures speed and memory of reactord.
#[derive(Parser)]
struct Args {
    /// The daemon; default: the one beside this program
    #[arg(long)]
    reactord: Option<PathBuf>,
    /// A short run, to see that it works; its numbers say less
    #[arg(long)]
    quick: bool,
    /// Which parts to run; default: all
    #[arg(long, value_enum)]
    only: Vec<Part>,
}

/// A part of the benchmark.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// CPU and memory for each event
    Events,
    /// Duration of a scrape
    Scrapes,
    /// What SNMP costs
    Snmp,
    /// What a status costs
    Status,
    /// From event line to handler
    Handlers,
    /// Wake-ups without news, and the start
    Idle,
    /// Time for each decision of the promoter
    Decisions,
    /// From the burst to StartUnit
    Promotions,
    /// From the command to StopUnit
    Stops,
    /// What the history costs
    History,
    /// What block devices cost
    Devices,
    /// Classification of storage events
    Storage,
    /// Ten thousand errors in one second
    Floods,
    /// What a line of the journal costs, from end to end
    Journal,
    /// Questions about stored storage events: ten million, some GB and some minutes; only if it is named
    Stored,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let setup = Setup::find(args.reactord.as_deref(), args.quick)?;
    let mut text = String::new();
    for (part, measure) in [
        (Part::Events, events::measure as fn(&Setup) -> Result<String>),
        (Part::Scrapes, scrapes::measure),
        (Part::Snmp, snmp::measure),
        (Part::Status, status::measure),
        (Part::Handlers, handlers::measure),
        (Part::Idle, idle::measure),
        (Part::Decisions, decisions::measure),
        (Part::Promotions, promotions::measure),
        (Part::Stops, stops::measure),
        (Part::History, history::measure),
        (Part::Devices, devices::measure),
        (Part::Storage, storage::measure),
        (Part::Floods, floods::measure),
        (Part::Journal, journal::measure),
        (Part::Stored, stored::measure),
    ] {
        let is_for_all = part != Part::Stored || setup.quick;
        if args.only.is_empty() && is_for_all || args.only.contains(&part) {
            let table = measure(&setup)?;
            show(&table)?;
            text += &table;
        }
    }
    let missed = text.matches(report::MISSED).count();
    show(&format!("\ntargets: {} met, {missed} missed\n", text.matches(report::MET).count()))
}

fn show(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
