//! Which events are wanted, and how they are printed.

use clap::Args;
use reactor_api::words::{DeviceName, EventType, IncidentId, StorageSeverity, StorageSubsystem};
use reactor_storage::event::{Severity, Subsystem};

use super::parse::severity;
use super::print::Form;

/// What all of it has to be.
#[derive(Clone, Debug, Args)]
pub struct WantedArgs {
    /// Only what is at least as bad as this
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    pub severity: Option<Severity>,

    /// Only this type: `reactorctl events catalogue` lists them; or several
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,

    /// Only this part of storage: scsi, nvme, multipath, md, ext4, ...; or several
    #[arg(long = "subsystem", value_name = "PART", value_parser = subsystem)]
    pub subsystems: Vec<Subsystem>,

    /// Only about this device, by any name, and what is above and below it
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,

    /// Only of this incident: its id, or the beginning of it
    #[arg(long, value_name = "ID")]
    pub incident: Option<String>,

    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,

    /// Print JSON over several lines
    #[arg(long, conflicts_with = "json")]
    pub json_pretty: bool,
}

fn subsystem(text: &str) -> Result<Subsystem, String> {
    let all = Subsystem::ALL;
    let words = || all.map(Subsystem::as_str).join(", ");
    all.into_iter().find(|one| one.as_str().eq_ignore_ascii_case(text)).ok_or_else(|| format!("one of {}", words()))
}

impl WantedArgs {
    pub(super) fn form(&self) -> Form {
        match (self.json, self.json_pretty) {
            (true, _) => Form::Json,
            (_, true) => Form::Pretty,
            _ => Form::Text,
        }
    }

    pub(super) fn words(&self) -> Words {
        let some = |list: Vec<EventType>| (!list.is_empty()).then_some(list);
        let subsystems: Vec<StorageSubsystem> = self.subsystems.iter().map(|one| one.as_str().into()).collect();
        Words {
            severity: self.severity.map(|severity| severity.as_str().into()),
            types: some(self.types.iter().map(|name| name.as_str().into()).collect()),
            subsystems: (!subsystems.is_empty()).then_some(subsystems),
            device: self.device.as_deref().map(Into::into),
            incident: self.incident.as_deref().map(Into::into),
        }
    }
}

/// The same as parameters of a call.
pub(super) struct Words {
    pub(super) severity: Option<StorageSeverity>,
    pub(super) types: Option<Vec<EventType>>,
    pub(super) subsystems: Option<Vec<StorageSubsystem>>,
    pub(super) device: Option<DeviceName>,
    pub(super) incident: Option<IncidentId>,
}
