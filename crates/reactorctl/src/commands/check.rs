//! `reactorctl check`: the configuration as the daemon would read it, without a daemon.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::cli::Place;
use crate::commands::Run;
use crate::config::{self, Checked};
use crate::exit::{Exit, Failure};
use crate::parts::upstream;
use crate::style::{BAD, END, GOOD, WARN, count};

/// Check configuration files without a daemon
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// Snippets to check alone; without any, the configuration file and all its snippets are checked together
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Only look at the files: do not ask systemd and DRBD of this machine whether there is what a promoter needs
    #[arg(long)]
    pub no_system: bool,

    /// Also print how the unit files of each promoted resource differ from those that drbd-reactor would have written
    #[arg(long)]
    pub against_upstream: bool,

    /// A folder with the files of another machine that say what its block devices are (sys, run/udev, run/lvm), in place of this one's
    #[arg(long, value_name = "FOLDER", conflicts_with = "no_system")]
    pub root: Option<PathBuf>,

    /// Print JSON
    #[arg(long, conflicts_with = "against_upstream")]
    pub json: bool,
}

impl Run for CheckArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let root = self.root.as_deref().unwrap_or(Path::new("/"));
        let checked = config::check(place, &self.files, (!self.no_system).then_some(root));
        if self.json {
            let Checked { files, errors, warnings, findings, .. } = &checked;
            let document = json!({ "files": files, "errors": errors, "warnings": warnings, "findings": findings });
            writeln!(out, "{document}")?;
            return Ok(if *errors == 0 { Exit::Ok } else { Exit::Findings });
        }
        let report = checked.report.trim_end();
        if !report.is_empty() {
            writeln!(out, "{report}\n")?;
        }
        let files = count(checked.files, "file");
        if self.against_upstream {
            let (plugins, machine) = config::against_upstream(place, &self.files, !self.no_system);
            upstream::print(&plugins, &machine, out)?;
        }
        match (checked.errors, checked.warnings) {
            (0, 0) => writeln!(out, "{GOOD}{files} checked, nothing wrong{END}")?,
            (0, warnings) => writeln!(out, "{WARN}{files} checked, {}{END}", count(warnings, "warning"))?,
            (errors, 0) => writeln!(out, "{BAD}{files} checked, {}{END}", count(errors, "error"))?,
            (errors, warnings) => {
                writeln!(out, "{BAD}{files} checked, {}, {}{END}", count(errors, "error"), count(warnings, "warning"))?;
            }
        }
        Ok(if checked.errors == 0 { Exit::Ok } else { Exit::Findings })
    }

    fn asks_one_daemon(&self) -> bool {
        false
    }

    fn is_for_people(&self) -> bool {
        false
    }
}
