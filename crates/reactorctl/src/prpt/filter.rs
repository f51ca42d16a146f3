//! Which events are shown.

use std::collections::BTreeSet;

use reactor_storage::device::{Device, DeviceMap};
use reactor_storage::event::Event;

use super::stored::Stored;
use super::words::{Level, SubSystem, event_types};

/// What was asked for: each has to hold, of several values of one kind any.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    pub(super) severity: Level,
    pub(super) event_types: Vec<String>,
    /// In lower case.
    pub(super) sub_systems: Vec<String>,
    pub(super) devices: Option<Devices>,
}

impl Filter {
    pub(super) fn takes(&self, event: &Event) -> bool {
        let sub_system = SubSystem::of(event);
        // There is nothing above critical with us.
        let least = self.severity.max(Level::Critical);
        Level::from(event.severity) <= least
            && any(&self.event_types, &event_types(event))
            && any(&self.sub_systems, &[sub_system.text(), event.subsystem.as_str()])
            && self.devices.as_ref().is_none_or(|devices| devices.take(event))
    }

    /// The same for what peripety has written.
    pub(super) fn takes_stored(&self, stored: &Stored) -> bool {
        // What is not known may be as bad as anything.
        stored.level.is_none_or(|level| level <= self.severity)
            && any(&self.event_types, &[&stored.event_type])
            && any(&self.sub_systems, &[SubSystem::text_of_json(&stored.sub_system)])
            && self.devices.as_ref().is_none_or(|devices| devices.take_stored(&stored.devices))
    }
}

/// Whether nothing is wanted in particular, or one of these.
fn any(wanted: &[String], words: &[&str]) -> bool {
    wanted.is_empty() || wanted.iter().any(|wanted| words.iter().any(|word| word.eq_ignore_ascii_case(wanted)))
}

/// A device, with what is above and below it.
#[derive(Clone, Debug, Default)]
pub(super) struct Devices {
    /// Of the device itself.
    own: BTreeSet<String>,
    /// Of all of them.
    ids: BTreeSet<String>,
    /// The names of all of them, for events of which no more is known.
    names: BTreeSet<String>,
}

impl Devices {
    /// By any name. One that nobody has here is a name in the log: the device may have gone, which is why somebody asks.
    pub(super) fn named(name: &str, map: &DeviceMap) -> Self {
        let Ok(found) = map.find(name) else {
            let bare = name.strip_prefix("/dev/mapper/").or_else(|| name.strip_prefix("/dev/")).unwrap_or(name);
            let names = BTreeSet::from([name.to_owned(), bare.to_owned()]);
            return Self { own: names.clone(), ids: names.clone(), names };
        };
        let mut devices = Self::default();
        for device in std::iter::once(found.device).chain(found.also.iter().copied()) {
            devices.own.insert(device.id.clone());
            devices.add(device);
            map.above(device).into_iter().chain(map.below(device)).for_each(|related| devices.add(related));
        }
        devices
    }

    fn add(&mut self, device: &Device) {
        self.ids.insert(device.id.clone());
        self.names.insert(device.name.clone());
        self.names.extend(device.dm.iter().map(|dm| dm.name.clone()));
        self.names.extend(device.drbd_volume());
        self.names.extend(device.scsi_address.map(|address| address.to_string()));
    }

    fn take(&self, event: &Event) -> bool {
        event.devices().any(|device| {
            // Two disks of one name after each other have two ids. What has no path was never seen here.
            let by_name = device.path.is_empty()
                && [&device.name].into_iter().chain(&device.names).any(|name| self.names.contains(name));
            let mut related = device.above.iter().chain(&device.below);
            by_name
                || self.ids.contains(&device.id)
                || related
                    .any(|other| self.own.contains(&other.id) || device.path.is_empty() && self.own_name(&other.name))
        })
    }

    /// Whether it is a name that was asked for and that nobody has here.
    fn own_name(&self, name: &str) -> bool {
        self.own.contains(name) && self.names.contains(name)
    }

    /// By the WWIDs and paths that an event of peripety's has.
    fn take_stored(&self, devices: &BTreeSet<String>) -> bool {
        let known = |device: &String| {
            let name = device.strip_prefix("/dev/mapper/").or_else(|| device.strip_prefix("/dev/")).unwrap_or(device);
            self.ids.contains(device) || self.own.contains(device) || self.own_name(name)
        };
        devices.iter().any(known)
    }
}
