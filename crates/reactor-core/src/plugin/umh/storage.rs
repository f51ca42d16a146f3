//! Rules on storage events and incidents: which concern one, and what their handlers are told of it.

use std::fmt::Write as _;
use std::sync::Arc;

use reactor_storage::event::{Event, Severity};
use reactor_storage::incidents::{Change, Incident};

use crate::action::Reason;
use crate::history::StorageEvent;
use crate::ids::ResourceName;
use crate::plugin::events;
use crate::plugin::notify::filter::concerns;
use crate::settings::umh::{EventMoment, Rule, When};

use super::matcher::{accepts, meets};

/// Bytes of a variable that a log has a part in.
const MAX_VALUE: usize = 1000;
/// Names in one variable.
const MAX_NAMES: usize = 64;

/// Something that happened to storage.
#[derive(Clone, Debug)]
pub(super) struct Happened {
    pub(super) on: EventMoment,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Event(Arc<StorageEvent>),
    Incident(Arc<Incident>),
}

impl Happened {
    /// An event began.
    pub(super) fn event(event: &Arc<StorageEvent>) -> Self {
        Self { on: EventMoment::Event, what: What::Event(Arc::clone(event)) }
    }

    /// What became of an incident; `None` = nothing that is worth a word.
    pub(super) fn incident(change: Change, incident: &Arc<Incident>) -> Option<Self> {
        events::sentence(change, incident)?;
        let on = match change {
            Change::Opened => EventMoment::Opened,
            Change::Grew => EventMoment::Grew,
            Change::Over => EventMoment::Over,
            Change::Eased => return None,
        };
        Some(Self { on, what: What::Incident(Arc::clone(incident)) })
    }

    /// The event, or those of the incident.
    pub(super) fn events(&self) -> Vec<&Event> {
        match &self.what {
            What::Event(told) => vec![&told.event],
            What::Incident(incident) => incident.troubles.iter().map(|trouble| &trouble.event).collect(),
        }
    }

    /// The event, or the one that the incident is named by.
    fn cause(&self) -> Option<&Event> {
        match &self.what {
            What::Event(told) => Some(&told.event),
            What::Incident(incident) => incident.cause().map(|trouble| &trouble.event),
        }
    }

    pub(super) fn severity(&self) -> Severity {
        match &self.what {
            What::Event(told) => told.event.severity,
            What::Incident(incident) => incident.severity,
        }
    }

    /// The incident that it is, or that the event belongs to.
    pub(super) fn incident_id(&self) -> Option<&str> {
        match &self.what {
            What::Event(told) => told.incident.as_deref(),
            What::Incident(incident) => Some(&incident.id),
        }
    }

    /// The incident, if it is about one.
    pub(super) fn of_incident(&self) -> Option<&Incident> {
        match &self.what {
            What::Event(_) => None,
            What::Incident(incident) => Some(incident),
        }
    }

    /// The DRBD resources that it touches, each once.
    pub(super) fn resources(&self) -> Vec<ResourceName> {
        let volumes = self.events().into_iter().flat_map(Event::devices).flat_map(|device| &device.carries.drbd);
        let mut names: Vec<&str> = volumes.filter_map(|volume| Some(volume.rsplit_once('/')?.0)).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(ResourceName::new).collect()
    }

    /// For the log: the first resource, or the device where there is none.
    pub(super) fn subject(&self) -> ResourceName {
        let device = || ResourceName::new(self.cause().map_or("this node", Event::subject));
        self.resources().into_iter().next().unwrap_or_else(device)
    }

    /// Why a handler runs, in one line.
    pub(super) fn reason(&self) -> Reason {
        let cause = self.cause().map(|event| format!("{} on {}", event.kind, event.subject_with_id()));
        let cause = cause.unwrap_or_default();
        Reason(match (self.on, self.incident_id()) {
            (EventMoment::Event, _) => format!("storage event {cause} ({})", self.severity()),
            (EventMoment::Opened, Some(id)) => format!("storage incident {id} opened: {cause} ({})", self.severity()),
            (EventMoment::Grew, Some(id)) => format!("storage incident {id} grew: {cause} ({})", self.severity()),
            (EventMoment::Over, Some(id)) => format!("storage incident {id} is over: {cause}"),
            (_, None) => cause,
        })
    }

    /// The variables of a handler. All of them are data: they stand in the environment and never in shell text.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("STORAGE_ON", self.on.as_str().to_owned()),
            ("STORAGE_SEVERITY", self.severity().as_str().to_owned()),
        ];
        let mut set = |name, value: &str| variables.push((name, bounded(value)));
        if let Some(id) = self.incident_id() {
            set("STORAGE_INCIDENT", id);
        }
        if let Some(end) = self.of_incident().and_then(|incident| incident.end.as_ref()) {
            set("STORAGE_END", end.words());
        }
        if let Some(event) = self.cause() {
            set("STORAGE_TYPE", &event.kind);
            set("STORAGE_SUBSYSTEM", event.subsystem.as_str());
            set("STORAGE_EVENT_ID", &event.id);
            set("STORAGE_MESSAGE", &event.message);
            set("STORAGE_COUNT", &event.count.to_string());
            if let Some(us) = event.at.wall_us {
                set("STORAGE_TIME", &(us / 1_000_000).to_string());
            }
            if let Some(device) = &event.device {
                set("STORAGE_DEVICE", device.label());
                set("STORAGE_DEVICE_ID", &device.id);
                set("STORAGE_DEVICE_KIND", device.kind.as_str());
                set("STORAGE_DEVICE_PATH", &device.path);
                set("STORAGE_ABOVE", &list(device.above.iter().map(|near| near.name.as_str())));
                set("STORAGE_MOUNTS", &list(device.carries.mounts.iter().map(String::as_str)));
            }
        }
        let resources = self.resources();
        if !resources.is_empty() {
            set("STORAGE_RESOURCES", &list(resources.iter().map(ResourceName::as_str)));
        }
        variables
    }
}

/// Names with blanks between; those that hold one themselves would be two, and are left out.
fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut text = String::new();
    for name in names.filter(|name| !name.contains(char::is_whitespace)).take(MAX_NAMES) {
        let blank = if text.is_empty() { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{blank}{name}");
    }
    text
}

/// Cut to what fits, on one line: whoever reads a variable by lines reads one.
fn bounded(value: &str) -> String {
    let mut end = value.len().min(MAX_VALUE);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Whether `rule` fires, but for `rate-limit`.
pub(super) fn fires(rule: &Rule, happened: &Happened) -> bool {
    let When::Event(want) = &rule.when else { return false };
    let events = happened.events();
    let any = |is: &dyn Fn(&Event) -> bool| events.iter().any(|event| is(event));
    let is_device =
        |event: &Event| want.devices.iter().any(|name| event.devices().any(|device| concerns(device, name)));
    want.on == happened.on
        && happened.severity() >= want.severity
        && any(&|event| meets(&want.kind, Some(event.kind.as_str())))
        && (want.subsystems.is_empty() || any(&|event| want.subsystems.contains(&event.subsystem)))
        && (want.devices.is_empty() || any(&is_device))
        && rule
            .resource
            .as_ref()
            .is_none_or(|matcher| happened.resources().iter().any(|name| accepts(matcher, name.as_str())))
}
