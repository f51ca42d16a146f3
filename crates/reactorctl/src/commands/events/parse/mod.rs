//! `reactorctl events parse`: the storage events of a log. It needs no daemon, and may be run by any user.
//!
//! ```text
//!  file, stdin ──────────────────┐
//!  sosreport: folder, tar, gz, xz ┴─▶ input: logs ─▶ Reader ─▶ catalogue ─▶ pipeline ─▶ story: in order, once ─▶ one line each
//! ```

mod incidents;
mod input;
pub(crate) mod story;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use reactor_core::api;
use reactor_storage::catalogue::Catalogue;
use reactor_storage::device::DeviceMap;
use reactor_storage::event::Severity;
use reactor_storage::formats::Format;

use super::print::{Form, print};
use crate::cli::Place;
use crate::commands::Run;
use crate::config;
use crate::exit::{Exit, Failure};
use incidents::Causes;
use input::Input;
use story::Story;

/// Show the storage events of a log
///
/// It can be what dmesg prints, a file of syslog, what journalctl prints as text, JSON or export, what was read from /dev/kmsg, and a sosreport:
/// its folder, or its archive (tar, also gz or xz). Rules of the configuration's own are used, too.
#[derive(Clone, Debug, Args)]
pub struct ParseArgs {
    /// The log, or several; `-` is the standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,

    /// The log is of this machine, as it is now: say what is built on its devices
    #[arg(long)]
    pub here: bool,

    /// Tell the incidents: events of one cause together, with the cause, what it means and what to do
    #[arg(long)]
    pub incidents: bool,

    /// Only what is at least as bad as this
    #[arg(long, value_name = "SEVERITY", default_value = "info", value_parser = severity, conflicts_with = "incidents")]
    pub severity: Severity,

    /// The form of the log, if it can't be seen [kmsg, export, json, dmesg,
    /// short-monotonic, syslog, plain]
    #[arg(long, value_name = "FORM", value_parser = format)]
    pub format: Option<Format>,
}

/// How bad, as people write it.
pub(super) fn severity(text: &str) -> Result<Severity, String> {
    let all = Severity::ALL;
    let words = || all.map(Severity::as_str).join(", ");
    all.into_iter().find(|severity| severity.as_str() == text).ok_or_else(|| format!("one of {}", words()))
}

fn format(text: &str) -> Result<Format, String> {
    let all = Format::ALL;
    let words = || all.map(Format::as_str).join(", ");
    all.into_iter().find(|format| format.as_str() == text).ok_or_else(|| format!("one of {}", words()))
}

impl Run for ParseArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let map = if self.here { here()? } else { DeviceMap::default() };
        let catalogue = Catalogue::built_in().with_rules(config::event_rules(place));
        let mut told = BTreeMap::new();
        let mut causes = Causes::default();
        let form = if self.json { Form::Json } else { Form::Text };
        for file in &self.files {
            let mut tell = |event: &_| {
                if self.incidents {
                    causes.take(event);
                    return Ok(());
                }
                print(&api::event::event(event), form, out)
            };
            // What put something right is not bad at all.
            let severity = if self.incidents { Severity::Info } else { self.severity };
            let mut story = Story::new(&catalogue, &map, severity, &mut told, &mut tell);
            Input { file, format: self.format }.read(&mut story)?;
        }
        if self.incidents {
            causes.print(self.json, out)?;
        }
        Ok(Exit::Ok)
    }

    fn asks_one_daemon(&self) -> bool {
        false
    }

    fn is_for_people(&self) -> bool {
        !self.json
    }
}

/// The block devices of this machine.
fn here() -> Result<DeviceMap, Failure> {
    let listing = reactor_sysfs::Reader::new("/").list();
    listing.map(reactor_sysfs::Listing::into_map).map_err(|error| Failure::Program {
        what: "the block devices of this machine".to_owned(),
        why: reactor_sys::chain::chain(&error).to_string(),
    })
}
