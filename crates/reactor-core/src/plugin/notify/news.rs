//! What others tell for the history, and storage events, as notices.

use reactor_storage::device::Summary;
use reactor_storage::event::{Event, Severity};
use reactor_storage::incidents::{Change, End, Incident};

use crate::history::{self, Entry, Kind};
use crate::ids::ResourceName;
use crate::notice::{Notice, Topic};
use crate::plugin::{Context, events};

use super::filter::Heard;

/// A storage event that began.
pub(super) fn event(cx: &Context<'_>, event: &Event, incident: Option<&String>) -> Heard {
    let now = cx.wall.map_or(0, |wall| wall.unix_ms);
    Heard::once(Notice {
        unix_ms: event.at.wall_us.map_or(now, |us| us / 1000),
        topic: Topic::Event,
        what: event.kind.clone(),
        severity: event.severity,
        text: format!("{}: {}", event.subject_with_id(), event.message),
        because: Vec::new(),
        resources: resources(event.devices()),
        incident: incident.cloned(),
        event: Some(Box::new(event.clone())),
    })
}

/// What became of a storage incident; `None` = nothing that is worth a word.
pub(super) fn incident(cx: &Context<'_>, change: Change, incident: &Incident) -> Option<Heard> {
    let text = events::sentence(change, incident)?;
    let (what, severity) = match change {
        Change::Opened => ("opened", incident.severity),
        Change::Grew => ("grew", incident.severity),
        // It goes on as part of another one.
        Change::Over if incident.is_part() => ("over", Severity::Info),
        Change::Over => ("over", Severity::Notice),
        Change::Eased => return None,
    };
    let ends = match change {
        Change::Over => vec![("opened", incident.severity), ("grew", incident.severity)],
        Change::Opened | Change::Grew | Change::Eased => Vec::new(),
    };
    let mut because: Vec<String> = events::reasons(incident).into_iter().map(|reason| reason.0).collect();
    if let Some(End::Closed { who }) = &incident.end {
        because.insert(0, format!("{who} closed it"));
    }
    let cause = incident.cause().map(|trouble| &trouble.event);
    let devices = incident.troubles.iter().flat_map(|trouble| trouble.event.devices());
    let notice = Notice {
        unix_ms: cx.wall.map_or(0, |wall| wall.unix_ms),
        topic: Topic::Incident,
        what: what.to_owned(),
        severity,
        text,
        because,
        resources: resources(devices),
        incident: Some(incident.id.clone()),
        event: cause.cloned().map(Box::new),
    };
    let others = incident.troubles.iter().enumerate().filter(|(at, _)| *at != incident.root);
    Some(Heard {
        notice,
        events: others.map(|(_, trouble)| trouble.event.clone()).collect(),
        ends,
        // Incidents of one cause that open and end again and again.
        thing: cause.map(|cause| format!("incident {} {}", cause.kind, cause.subject_with_id())),
    })
}

/// The DRBD resources that these devices carry, each once.
fn resources<'d>(devices: impl Iterator<Item = &'d Summary>) -> Vec<String> {
    let volumes = devices.flat_map(|device| &device.carries.drbd);
    let mut names: Vec<String> = volumes.filter_map(|volume| Some(volume.rsplit_once('/')?.0.to_owned())).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// An entry of the history; `None` = it is told otherwise, or is none of people's business.
pub(super) fn entry(cx: &Context<'_>, resource: Option<&ResourceName>, entry: &Entry) -> Option<Heard> {
    let topic = match entry.kind {
        Kind::Decision | Kind::Failure | Kind::Quorum | Kind::Note => Topic::Promoter,
        Kind::Daemon => Topic::Daemon,
        // Told from the levels, and from the incidents themselves. What people ask for is known to who asks.
        Kind::Asked
        | Kind::Gap
        | Kind::Promoted
        | Kind::Demoted
        | Kind::Running
        | Kind::Down
        | Kind::Away
        | Kind::SplitBrain
        | Kind::Incident => return None,
    };
    let severity = match entry.severity {
        history::Severity::Info => Severity::Info,
        history::Severity::Warning => Severity::Warning,
        history::Severity::Error => Severity::Error,
    };
    let subject = resource.map(|name| format!("{name}: ")).unwrap_or_default();
    let who = entry.who.as_ref().map(|who| format!(", asked for by {who}")).unwrap_or_default();
    let outcome = entry.outcome.as_ref().map(|outcome| format!(": {outcome}")).unwrap_or_default();
    Some(Heard::once(Notice {
        unix_ms: cx.wall.map_or(0, |wall| wall.unix_ms),
        topic,
        what: entry.kind.as_str().to_owned(),
        severity,
        text: format!("{subject}{}{outcome}{who}", entry.what),
        because: entry.because.iter().map(|reason| reason.0.clone()).collect(),
        resources: resource.map(ToString::to_string).into_iter().collect(),
        incident: None,
        event: None,
    }))
}
