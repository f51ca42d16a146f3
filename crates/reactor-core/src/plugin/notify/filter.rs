//! What a receiver wants to hear.

use reactor_storage::device::Summary;
use reactor_storage::event::{Event, Severity};

use crate::notice::{Notice, Topic, words};
use crate::settings::notify::Filter;

/// What is known of a notice beside what people are told.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// What people are told.
    pub(super) notice: Notice,
    /// Other events that it is about, beside that of the notice: those of an incident.
    pub(super) events: Vec<Event>,
    /// What it says the end of: the word by which that began, and how bad it was.
    pub(super) ends: Vec<(&'static str, Severity)>,
    /// What comes and goes with it has the same name; `None` = nothing does.
    pub(super) thing: Option<String>,
}

impl Heard {
    /// Something that happens once.
    pub(super) fn once(notice: Notice) -> Self {
        Self { notice, events: Vec::new(), ends: Vec::new(), thing: None }
    }

    fn events(&self) -> impl Iterator<Item = &Event> {
        self.notice.event.iter().map(AsRef::as_ref).chain(&self.events)
    }
}

/// Whether a receiver with this filter is told. The end of something is told to whoever was told of the beginning.
pub(super) fn wants(filter: &Filter, heard: &Heard) -> bool {
    let Heard { notice, ends, .. } = heard;
    let is_meant = says(filter, &notice.what, notice.severity)
        || ends.iter().any(|(what, severity)| says(filter, what, *severity));
    is_meant && has_topic(filter, notice.topic) && is_of(filter, heard)
}

fn says(filter: &Filter, what: &str, severity: Severity) -> bool {
    severity >= filter.severity
        && (filter.what.is_empty() || filter.what.iter().any(|pattern| words::matches(pattern, what)))
}

/// Without a word on topics, single events are told only to those who name what they want to hear: others hear of incidents.
fn has_topic(filter: &Filter, topic: Topic) -> bool {
    match filter.topics[..] {
        [] => topic != Topic::Event || !filter.what.is_empty(),
        _ => filter.topics.contains(&topic),
    }
}

/// Conditions on what it is about.
fn is_of(filter: &Filter, heard: &Heard) -> bool {
    let Filter { subsystems, devices, resources, .. } = filter;
    let is_part = |event: &Event| subsystems.contains(&event.subsystem);
    let is_device = |event: &Event| devices.iter().any(|name| event.devices().any(|device| concerns(device, name)));
    let is_resource = |name: &String| resources.iter().any(|pattern| words::matches(pattern, name));
    (subsystems.is_empty() || heard.events().any(is_part))
        && (devices.is_empty() || heard.events().any(is_device))
        && (resources.is_empty() || heard.notice.resources.iter().any(is_resource))
}

/// Whether `name` is a name of a device, or of what is above or below it: one that the event itself has, or one of those that were looked for
/// ([`Settings::device_names`](crate::settings::Settings::device_names)).
pub(crate) fn concerns(device: &Summary, name: &str) -> bool {
    let short = name.strip_prefix("/dev/mapper/").or_else(|| name.strip_prefix("/dev/")).unwrap_or(name);
    let is_it = |known: &str| known == name || known == short;
    let carries = &device.carries;
    let related = device.above.iter().chain(&device.below);
    is_it(&device.id)
        || is_it(&device.name)
        || is_it(&device.path)
        || device.number.is_some_and(|number| number.to_string() == name)
        || device.names.iter().any(|known| is_it(known))
        || device.mounts.iter().any(|known| known == name)
        || carries.mounts.contains(name)
        || carries.drbd.contains(name)
        || carries.drbd.iter().any(|volume| volume.rsplit_once('/').is_some_and(|(resource, _)| resource == name))
        || device.called.iter().any(|known| known == name)
        || related.into_iter().any(|near| is_it(&near.id) || is_it(&near.name))
}
