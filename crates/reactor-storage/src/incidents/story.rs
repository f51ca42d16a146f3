//! An incident as a person would write it down.

use std::fmt::Write as _;

use super::{End, Incident, Standing, Trouble};
use crate::catalogue::EventType;
use crate::event::Event;

impl Incident {
    /// What it is called: the worst of it, on what, and the cause if that is another one. `SCSI_MEDIUM_ERROR on sda, 4 times`,
    /// `FS_SHUTDOWN on dm-3, caused by BLK_IO_ERROR on sda`.
    pub fn title(&self) -> String {
        let (Some(cause), Some(worst)) = (self.cause(), self.worst()) else { return String::new() };
        let named = |trouble: &Trouble| format!("{} on {}", trouble.event.kind, trouble.event.subject_with_id());
        let (what, times) = (named(worst), times(worst));
        // What was milder in the same place is the beginning of the same, and no cause.
        let is_elsewhere = cause.layer < worst.layer || !worst.is_about_device_of(cause);
        if is_elsewhere { format!("{what}{times}, caused by {}", named(cause)) } else { what + &times }
    }

    /// The whole of it, as lines. `when` makes a time of an event: the caller knows the zone and the form.
    pub fn story(&self, when: impl Fn(&Event) -> String) -> String {
        let mut text = format!("{} ({}): {}\n", self.id, self.severity, self.title());
        for (index, trouble) in self.troubles.iter().enumerate() {
            let cause =
                if index == self.root && self.troubles.len() > 1 { " (the cause, as far as can be told)" } else { "" };
            let _ = writeln!(
                text,
                "  {}  {:<8} {} on {}{}{}{cause}",
                when(&trouble.event),
                trouble.event.severity,
                trouble.event.kind,
                trouble.event.subject_with_id(),
                times(trouble),
                standing(trouble),
            );
            let _ = writeln!(text, "      {}", trouble.event.message.lines().next().unwrap_or_default());
        }
        if self.dropped > 0 {
            let _ = writeln!(text, "  and {} more kinds of trouble that are not kept", self.dropped);
        }
        let touched = touched(self);
        if !touched.is_empty() {
            let _ = writeln!(text, "  it touches {touched}");
        }
        if let Some(of) = self.cause().and_then(|cause| EventType::built_in(&cause.event.kind)) {
            let _ = writeln!(text, "  means: {}\n  to do: {}", of.meaning, of.advice);
        }
        let _ = writeln!(text, "  {}", end(self));
        text
    }
}

fn times(trouble: &Trouble) -> String {
    if trouble.count > 1 { format!(", {} times", trouble.count) } else { String::new() }
}

fn standing(trouble: &Trouble) -> String {
    match &trouble.standing {
        Standing::Passed => String::new(),
        Standing::Lasts => ", and it lasts".to_owned(),
        Standing::Cleared { by, .. } => format!(", over: {by}"),
    }
}

fn end(incident: &Incident) -> String {
    match &incident.end {
        None if incident.lasts() => "open: something of it lasts".to_owned(),
        None => "open: nothing of it lasts".to_owned(),
        Some(End::Closed { who }) => format!("over: closed by {who}"),
        Some(End::PartOf { incident }) => format!("over: it has the same cause as {incident}"),
        Some(end) => format!("over: {}", end.words()),
    }
}

/// What is built on the devices of an incident: volumes of DRBD, mount points, units.
fn touched(incident: &Incident) -> String {
    let carries = || incident.troubles.iter().flat_map(|trouble| trouble.event.devices()).map(|device| &device.carries);
    let mut words: Vec<String> =
        carries().flat_map(|carries| &carries.drbd).map(|name| format!("DRBD {name}")).collect();
    words.extend(carries().flat_map(|carries| &carries.mounts).cloned());
    words.extend(carries().flat_map(|carries| &carries.units).cloned());
    let mut seen = std::collections::BTreeSet::new();
    words.retain(|word| seen.insert(word.clone()));
    words.join(", ")
}
