//! Storage events as the wire has them.

use reactor_api::storage_event::{
    WireCarries, WireDevice, WireEvent, WireFileSystem, WireOther, WireRelated, WireStamp, WireTime,
};
use reactor_storage::device::{Related, Summary};
use reactor_storage::event::Event;
use reactor_storage::formats::rfc3339;
use reactor_storage::record::Stamp;

use crate::history::StorageEvent;

/// An event of a log.
pub fn event(event: &Event) -> WireEvent {
    WireEvent {
        time: time(event.at),
        severity: event.severity.as_str().to_owned(),
        kind: event.kind.clone(),
        device: event.device.as_deref().map(device),
        message: event.message.clone(),
        id: event.id.clone(),
        incident: None,
        number: None,
        count: event.count,
        subsystem: event.subsystem.as_str().to_owned(),
        source: event.source.clone(),
        host: event.host.clone(),
        others: event
            .others
            .iter()
            .map(|other| WireOther { role: other.role.clone(), device: device(&other.device) })
            .collect(),
        fields: event.fields.clone(),
        lines: event.lines.clone(),
        at: stamp(event.at),
        last: stamp(event.last),
    }
}

/// An event that was stored, and its number.
pub fn stored(told: &StorageEvent, number: u64) -> WireEvent {
    WireEvent { incident: told.incident.clone(), number: Some(number), ..event(&told.event) }
}

fn time(at: Stamp) -> Option<WireTime> {
    match (at.wall_us, at.boot_us) {
        (Some(wall_us), _) => Some(WireTime::Wall(rfc3339(wall_us))),
        // Exact for 285 years.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        (None, Some(boot_us)) => Some(WireTime::Boot(boot_us as f64 / 1e6)),
        (None, None) => None,
    }
}

fn stamp(at: Stamp) -> WireStamp {
    WireStamp { wall_us: at.wall_us, boot_us: at.boot_us }
}

fn device(device: &Summary) -> WireDevice {
    let Summary { file_system, carries, .. } = device;
    let words = |words: &std::collections::BTreeSet<String>| words.iter().cloned().collect();
    WireDevice {
        id: device.id.clone(),
        kind: device.kind.as_str().to_owned(),
        number: device.number.map(|number| number.to_string()),
        name: device.name.clone(),
        names: device.names.clone(),
        path: device.path.clone(),
        size: device.size,
        transport: device.transport.clone(),
        file_system: file_system.as_ref().map(|on| WireFileSystem {
            fs_type: on.fs_type.clone(),
            uuid: on.uuid.clone(),
            label: on.label.clone(),
        }),
        mounts: device.mounts.clone(),
        above: device.above.iter().map(related).collect(),
        below: device.below.iter().map(related).collect(),
        carries: WireCarries {
            drbd: words(&carries.drbd),
            mounts: words(&carries.mounts),
            units: words(&carries.units),
        },
        gone_us: device.gone_us,
    }
}

fn related(other: &Related) -> WireRelated {
    WireRelated { id: other.id.clone(), name: other.name.clone(), kind: other.kind.as_str().to_owned() }
}

#[cfg(test)]
mod tests {
    use reactor_api::words::{SEVERITIES, SUBSYSTEMS};
    use reactor_storage::event::{Severity, Subsystem};

    #[test]
    fn the_words_of_the_wire_are_those_of_events() {
        assert_eq!(Severity::ALL.map(Severity::as_str), SEVERITIES);
        assert_eq!(Subsystem::ALL.map(Subsystem::as_str), SUBSYSTEMS);
    }
}
