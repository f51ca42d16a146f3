//! Storage incidents as the wire has them.

use reactor_api::incident::{WireIncident, WireTrouble};
use reactor_storage::catalogue::EventType;
use reactor_storage::formats::rfc3339;
use reactor_storage::incidents::{End, Incident, Standing, Trouble};

use crate::plugin::events::resources;

/// An incident. Its times are microseconds since 1970.
pub fn incident(incident: &Incident) -> WireIncident {
    let of = incident.cause().and_then(|cause| EventType::built_in(&cause.event.kind));
    let devices = || incident.troubles.iter().flat_map(|trouble| trouble.event.devices());
    let mut mounts: Vec<String> = devices().flat_map(|device| device.carries.mounts.iter().cloned()).collect();
    mounts.sort_unstable();
    mounts.dedup();
    let events = incident.troubles.iter().enumerate();
    WireIncident {
        id: incident.id.clone(),
        severity: incident.severity.as_str().to_owned(),
        title: incident.title(),
        opened: time(incident.opened_us),
        last: time(incident.last_us),
        lasts: incident.end.is_none() && incident.lasts(),
        ended: incident.ended_us.map(time),
        end: incident.end.as_ref().map(|end| match end {
            End::Closed { who } => format!("{who} closed it"),
            end => end.words().to_owned(),
        }),
        part_of: match &incident.end {
            Some(End::PartOf { incident }) => Some(incident.clone()),
            _ => None,
        },
        resources: resources(incident).iter().map(ToString::to_string).collect(),
        mounts,
        events: events.map(|(index, of)| WireTrouble { is_cause: index == incident.root, ..trouble(of) }).collect(),
        more: incident.dropped,
        means: of.map(|of| of.meaning.to_string()),
        todo: of.map(|of| of.advice.to_string()),
    }
}

fn trouble(trouble: &Trouble) -> WireTrouble {
    let event = &trouble.event;
    let (state, cleared_by) = match &trouble.standing {
        Standing::Passed => ("passed", None),
        Standing::Lasts => ("lasts", None),
        Standing::Cleared { by, .. } => ("cleared", Some(by.clone())),
    };
    WireTrouble {
        kind: event.kind.clone(),
        severity: event.severity.as_str().to_owned(),
        device: event.subject().to_owned(),
        device_id: event.device.as_ref().map(|device| device.id.clone()),
        message: event.message.clone(),
        count: trouble.count,
        first: time(event.at.wall_us.unwrap_or(trouble.first_us)),
        last: time(trouble.last_us),
        is_cause: false,
        state: state.to_owned(),
        cleared_by,
    }
}

/// To the millisecond, as all times of the control socket.
fn time(us: u64) -> String {
    let mut text = rfc3339(us);
    text.truncate(text.len().saturating_sub("000Z".len()));
    text.push('Z');
    text
}
