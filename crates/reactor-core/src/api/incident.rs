//! Storage incidents as the wire has them.

use reactor_api::incident::{WireIncident, WireTrouble};
use reactor_storage::catalogue::EventType;
use reactor_storage::incidents::{Incident, Standing, Trouble};

use super::Times;
use crate::plugin::events::resources;

/// An incident. Its times are microseconds since 1970.
pub fn incident(incident: &Incident, times: &Times<'_>) -> WireIncident {
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
        opened: time(incident.opened_us, times),
        last: time(incident.last_us, times),
        lasts: incident.lasts(),
        resources: resources(incident).iter().map(ToString::to_string).collect(),
        mounts,
        events: events
            .map(|(index, of)| WireTrouble { is_cause: index == incident.root, ..trouble(of, times) })
            .collect(),
        more: incident.dropped,
        means: of.map(|of| of.meaning.to_string()),
        todo: of.map(|of| of.advice.to_string()),
    }
}

fn trouble(trouble: &Trouble, times: &Times<'_>) -> WireTrouble {
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
        first: time(event.at.wall_us.unwrap_or(trouble.first_us), times),
        last: time(trouble.last_us, times),
        is_cause: false,
        state: state.to_owned(),
        cleared_by,
    }
}

fn time(us: u64, times: &Times<'_>) -> String {
    (times.unix)(us / 1_000_000)
}
