//! `prpt`: the command line of peripety, on what Storage Reactor knows of storage. A file for each command.
//!
//! ```text
//!   journalctl ─▶ catalogue, pipeline ─▶ filter ─▶ document: peripety's keys and words ─▶ text or JSON
//!   sysfs, udev ─▶ map of devices ─────────┴─▶ blk_info ┘
//! ```
//!
//! It needs no daemon; what one has stored is told, too.

mod blk_info;
mod document;
mod filter;
mod info;
mod journal;
mod kept;
mod list;
mod monitor;
mod print;
mod query;
mod since;
mod stored;
mod words;

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use reactor_core::settings::Mode;
use reactor_storage::catalogue::UserRule;
use reactor_storage::device::DeviceMap;
use reactor_storage::record::Record;

use crate::cli::Place;
use crate::config;
use crate::exit::Failure;
use crate::style::{BAD, END, harmless};
use filter::{Devices, Filter};
use print::FormArgs;
use words::{Level, SubSystem};

/// Storage events and block devices, in the words of peripety
#[derive(Clone, Debug, Parser)]
#[command(name = "prpt", version, after_help = "Exit codes: 0 done, 1 anything else.")]
pub struct Prpt {
    /// What to do
    #[command(subcommand)]
    command: Option<Command>,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
enum Command {
    Query(query::QueryArgs),
    Monitor(monitor::MonitorArgs),
    Info(info::InfoArgs),
    List(list::ListArgs),
}

/// Runs the program and says how it went.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut out = anstream::stdout().lock();
    let result = match Prpt::try_parse_from(args) {
        Ok(prpt) => prpt.run(&mut out).and_then(|()| Ok(out.flush()?)),
        Err(error) => {
            // If even that cannot be printed there is nobody left to tell.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // `prpt ... | head`: whoever reads has enough.
        Err(Failure::Output { source }) if source.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(anstream::stderr(), "{BAD}Error:{END} {}", harmless(&failure.chain()));
            ExitCode::FAILURE
        }
    }
}

impl Prpt {
    fn run(&self, out: &mut dyn Write) -> Result<(), Failure> {
        match &self.command {
            Some(Command::Query(args)) => args.run(out),
            Some(Command::Monitor(args)) => args.run(out),
            Some(Command::Info(args)) => args.run(out),
            Some(Command::List(args)) => args.run(out),
            None => Ok(write!(out, "{}", Self::command().render_help())?),
        }
    }
}

/// Which events, and how they are printed.
#[derive(Clone, Debug, Args)]
struct EventArgs {
    /// Only what is as bad as this, or worse: Emergency, Alert, Critical, Error, Warning, Notice, Info, Debug
    #[arg(long, value_name = "SEVERITY", default_value = "Debug", value_parser = Level::parse)]
    severity: Level,

    /// Only this type of event, by peripety's name or ours; or several
    #[arg(long = "event-type", value_name = "TYPE", num_args = 1..)]
    event_types: Vec<String>,

    /// Only this part of storage: SCSI, DM-DirtyLog, LVM-ThinProvisioning, Multipath, ext4, xfs, NVMe, jbd2, Peripety, or one of our words; or several
    #[arg(long = "sub-system", value_name = "PART", num_args = 1.., value_parser = SubSystem::parse)]
    sub_systems: Vec<String>,

    /// Only this device, by any name, what it is built on, and what is built on it
    #[arg(long, value_name = "DEVICE")]
    blk: Option<String>,

    /// It is no error if nothing of the journal may be read
    #[arg(short = 'f')]
    force: bool,

    /// The configuration whose rules for storage events count, too
    #[arg(short = 'c', long, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    form: FormArgs,

    #[command(flatten)]
    machine: MachineArgs,
}

impl EventArgs {
    /// The user's rules: those of the daemon's configuration.
    fn rules(&self) -> Vec<UserRule> {
        config::event_rules(&Place::new(Mode::Native, self.config.as_ref(), None))
    }

    fn filter(&self, map: &DeviceMap) -> Filter {
        Filter {
            severity: self.severity,
            event_types: self.event_types.clone(),
            sub_systems: self.sub_systems.clone(),
            devices: self.blk.as_ref().map(|name| Devices::named(name, map)),
        }
    }
}

/// Whose devices.
#[derive(Clone, Debug, Args)]
struct MachineArgs {
    /// A folder with the files of another machine (sys, run/udev, proc/self/mountinfo), in place of this one's
    #[arg(long, value_name = "FOLDER")]
    root: Option<PathBuf>,
}

impl MachineArgs {
    fn read(&self) -> Result<Machine, Failure> {
        let root = self.root.as_deref().unwrap_or(Path::new("/"));
        let reader = reactor_sysfs::Reader::new(root);
        let map = reader.list().map_err(|source| Failure::Devices { source })?.into_map();
        let boot = std::fs::read_to_string(root.join("proc/sys/kernel/random/boot_id"));
        Ok(Machine { reader, map, boot: boot.ok().map(|boot| boot.trim().replace('-', "")) })
    }
}

/// The devices of a machine.
struct Machine {
    reader: reactor_sysfs::Reader,
    map: DeviceMap,
    /// In which boot they have their names; `None` = in all that are looked at.
    boot: Option<String>,
}

impl Machine {
    fn is_of_this_boot(&self, record: &Record<'_>) -> bool {
        match (&self.boot, &record.place.boot) {
            (Some(this), Some(boot)) => this == boot,
            _ => true,
        }
    }

    /// Whether that went well. If not, what was known stays.
    fn read_again(&mut self) -> bool {
        let Ok(listing) = self.reader.list() else { return false };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.map.set_all(&listing.devices, u64::try_from(now.as_micros()).unwrap_or(u64::MAX));
        self.map.set_mounts(listing.mounts);
        true
    }
}
