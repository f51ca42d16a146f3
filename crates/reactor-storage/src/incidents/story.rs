//! An incident as a person would write it down.

use std::fmt::Write as _;

use super::{End, Incident, Standing, Trouble};
use crate::catalogue::EventType;
use crate::event::Event;

impl Incident {
    /// What it is called: its cause, and on what. `SCSI_MEDIUM_ERROR on sda, 4 times`.
    pub fn title(&self) -> String {
        let Some(cause) = self.cause() else { return String::new() };
        let times = if cause.count > 1 { format!(", {} times", cause.count) } else { String::new() };
        format!("{} on {}{times}", cause.event.kind, cause.event.subject_with_id())
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
