//! systemd, asked and told by `systemctl`: where no daemon of ours does it, and for what an operator's command has to wait for itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use reactor_core::settings::{Bus, DaemonSettings, Mode};

use crate::program::{self, ProgramError};
use crate::style::harmless;

/// How long a question may take: systemd may be busy with a `daemon-reload`.
const READ_LIMIT: Duration = Duration::from_secs(30);

/// Why systemd did not do it.
#[derive(Debug, thiserror::Error)]
pub enum SystemctlError {
    /// There is no systemctl, or it does not end.
    #[error(transparent)]
    Run(#[from] ProgramError),
    /// It says no.
    #[error("systemctl {what}: {why}")]
    Refused {
        /// Its arguments.
        what: String,
        /// What it printed.
        why: String,
    },
}

/// How a unit is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnitState {
    /// `ActiveState`.
    pub(crate) active: String,
    /// `FreezerState`; older versions of systemd have none.
    pub(crate) freezer: String,
}

impl Default for UnitState {
    fn default() -> Self {
        Self { active: "unknown".to_owned(), freezer: "unknown".to_owned() }
    }
}

/// The systemd that the daemon speaks to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Systemctl {
    is_user: bool,
}

/// The unit of the daemon.
pub(crate) fn daemon_unit(mode: Mode) -> &'static str {
    match mode {
        Mode::Native => "storage-reactor.service",
        Mode::DrbdReactor => "drbd-reactor.service",
    }
}

/// The unit that reloads the daemon when the folder changes, if it is enabled.
pub(crate) fn reload_path(mode: Mode) -> &'static str {
    match mode {
        Mode::Native => "storage-reactor-reload.path",
        Mode::DrbdReactor => "drbd-reactor-reload.path",
    }
}

impl Systemctl {
    pub(crate) fn of(daemon: &DaemonSettings) -> Self {
        Self { is_user: daemon.bus == Bus::Session }
    }

    fn output(self, arguments: &[&str], within: Option<Duration>) -> Result<Output, SystemctlError> {
        let user: &[&str] = if self.is_user { &["--user"] } else { &[] };
        Ok(program::output(Path::new("systemctl"), &[user, arguments].concat(), within)?)
    }

    /// Runs it and waits until the job is done.
    pub(crate) fn run(self, arguments: &[&str]) -> Result<(), SystemctlError> {
        // A stop takes as long as the services take.
        let output = self.output(arguments, None)?;
        if output.status.success() {
            return Ok(());
        }
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let why = if why.is_empty() { output.status.to_string() } else { why };
        Err(SystemctlError::Refused { what: arguments.join(" "), why })
    }

    /// Whether a unit is active. Without systemd nothing is.
    pub(crate) fn is_active(self, unit: &str) -> bool {
        self.output(&["is-active", "--quiet", unit], Some(READ_LIMIT)).is_ok_and(|output| output.status.success())
    }

    /// The last lines of a unit in the journal, oldest first, if anybody may read them.
    pub(crate) fn said(self, unit: &str) -> Vec<String> {
        let user = if self.is_user { "--user-unit" } else { "--unit" };
        let arguments = [user, unit, "--boot", "--lines=12", "--output=cat", "--no-pager", "--quiet"];
        let Ok(output) = program::output(Path::new("journalctl"), &arguments, Some(READ_LIMIT)) else {
            return Vec::new();
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(|line| harmless(line).into_owned()).collect()
    }

    /// How units are. Those that systemd does not tell of are unknown.
    pub(crate) fn states(self, units: &[String]) -> Result<BTreeMap<String, UnitState>, SystemctlError> {
        if units.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut arguments = vec!["show", "--property=Id,ActiveState,FreezerState", "--"];
        arguments.extend(units.iter().map(String::as_str));
        let output = self.output(&arguments, Some(READ_LIMIT))?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(SystemctlError::Refused { what: "show".to_owned(), why });
        }
        Ok(read_states(units, &String::from_utf8_lossy(&output.stdout)))
    }

    /// How one unit is.
    pub(crate) fn state(self, unit: &str) -> Result<UnitState, SystemctlError> {
        Ok(self.states(&[unit.to_owned()])?.remove(unit).unwrap_or_default())
    }
}

/// The answer has a block for each unit, in their order. A unit may have another `Id` than it was asked by: an alias.
fn read_states(units: &[String], text: &str) -> BTreeMap<String, UnitState> {
    let blocks = text.split("\n\n").filter(|block| !block.trim().is_empty());
    let states = units.iter().zip(blocks).map(|(unit, block)| {
        let mut state = UnitState::default();
        for (key, value) in block.lines().filter_map(|line| line.split_once('=')) {
            match key {
                "ActiveState" => value.clone_into(&mut state.active),
                "FreezerState" => value.clone_into(&mut state.freezer),
                _ => {}
            }
        }
        (unit.clone(), state)
    });
    states.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_belong_to_units_in_their_order() {
        let units = ["a.service", "b.target", "c.mount"].map(str::to_owned);
        let text = "Id=x.service\nActiveState=active\nFreezerState=frozen\n\nId=b.target\nActiveState=failed\n\n";
        let states = read_states(&units, text);
        assert_eq!(states["a.service"], UnitState { active: "active".to_owned(), freezer: "frozen".to_owned() });
        assert_eq!((states["b.target"].active.as_str(), states["b.target"].freezer.as_str()), ("failed", "unknown"));
        assert!(!states.contains_key("c.mount"));
    }
}
