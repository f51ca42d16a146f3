//! Who starts a unit besides the promoter: the boot, a socket, a timer, a path, an automount, or another unit that one of them starts.
//!
//! Whatever of ours pulls the unit in does not count: that is how it shall be started.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use reactor_core::facts::UnitFacts;
use reactor_core::ids::UnitName;

/// Targets of the boot: what they pull in is started on every node.
const BOOT_TARGETS: [&str; 11] = [
    "local-fs.target",
    "remote-fs.target",
    "sysinit.target",
    "basic.target",
    "sockets.target",
    "timers.target",
    "paths.target",
    "network-online.target",
    "multi-user.target",
    "graphical.target",
    "default.target",
];

/// What systemd says, and what is ours.
pub(crate) struct Starters<'f> {
    pub(crate) units: &'f BTreeMap<UnitName, UnitFacts>,
    /// Everything that some resource starts.
    pub(crate) ours: &'f BTreeSet<&'f str>,
}

/// Who starts a unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Who {
    /// It is enabled.
    Enabled,
    /// A target of the boot pulls it in.
    Boot(String),
    /// This unit is waiting to start it.
    Trigger(String),
    /// This unit pulls it in, and is started itself.
    Other { by: String, who: Box<Who> },
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enabled => f.write_str("it is enabled"),
            Self::Boot(target) => write!(f, "`{target}` wants it"),
            Self::Trigger(trigger) => write!(f, "`{trigger}` triggers it"),
            Self::Other { by, who } => write!(f, "`{by}` pulls it in, and {}", Of(who)),
        }
    }
}

/// The same about a unit that was just named.
struct Of<'a>(&'a Who);

impl fmt::Display for Of<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Who::Enabled => f.write_str("that is enabled"),
            Who::Boot(target) => write!(f, "`{target}` wants that"),
            Who::Trigger(trigger) => write!(f, "`{trigger}` triggers that"),
            Who::Other { by, who } => write!(f, "`{by}` that, and {}", Of(who)),
        }
    }
}

impl<'f> Starters<'f> {
    /// Who starts it; `None` = nobody but us, as far as is known.
    pub(crate) fn of(&self, unit: &str) -> Option<Who> {
        self.find(unit, &mut BTreeSet::from([unit.to_owned()]))
    }

    fn find(&self, unit: &str, seen: &mut BTreeSet<String>) -> Option<Who> {
        let facts = self.units.get(&UnitName::new(unit))?;
        if is_enabled(facts) {
            return Some(Who::Enabled);
        }
        let mut others: Vec<&String> = facts.pulled_in_by.iter().filter(|by| !self.is_ours(by)).collect();
        if let Some(target) = others.iter().find(|by| BOOT_TARGETS.contains(&by.as_str())) {
            return Some(Who::Boot((*target).clone()));
        }
        let mut triggers = facts.triggered_by.iter().filter(|trigger| !self.is_ours(trigger));
        if let Some(trigger) = triggers.find(|trigger| self.waits(trigger, seen)) {
            return Some(Who::Trigger(trigger.clone()));
        }
        others.retain(|by| seen.insert((*by).clone()));
        others.into_iter().find_map(|by| {
            let who = self.find(by, seen)?;
            Some(Who::Other { by: by.clone(), who: Box::new(who) })
        })
    }

    /// Whether a socket, timer, path or automount is there now, or will be after the next boot.
    fn waits(&self, trigger: &str, seen: &mut BTreeSet<String>) -> bool {
        let active = self.units.get(&UnitName::new(trigger)).is_some_and(|facts| facts.active);
        active || (seen.insert(trigger.to_owned()) && self.find(trigger, seen).is_some())
    }

    fn is_ours(&self, unit: &str) -> bool {
        self.ours.contains(unit) || unit.starts_with("drbd-services@") || unit.starts_with("drbd-promote@")
    }
}

fn is_enabled(facts: &UnitFacts) -> bool {
    matches!(facts.unit_file.as_str(), "enabled" | "enabled-runtime")
}
