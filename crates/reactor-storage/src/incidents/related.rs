//! Which open incidents have something to do with an event: by the devices that both name, and what is above and below these.

use std::collections::{BTreeMap, BTreeSet};

use super::Incident;
use crate::device::Summary;
use crate::event::Event;

/// Devices of incidents.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// Devices that an incident's events name.
    named: BTreeMap<String, BTreeSet<String>>,
    /// What is above or below these.
    near: BTreeMap<String, BTreeSet<String>>,
}

impl Index {
    pub(super) fn add(&mut self, incident: &Incident) {
        for device in devices(incident) {
            put(&mut self.named, &device.id, &incident.id);
            for id in neighbours(device) {
                put(&mut self.near, id, &incident.id);
            }
        }
    }

    pub(super) fn remove(&mut self, incident: &Incident) {
        for device in devices(incident) {
            take(&mut self.named, &device.id, &incident.id);
            for id in neighbours(device) {
                take(&mut self.near, id, &incident.id);
            }
        }
    }

    /// The ids of incidents whose devices are those of the event, or above or below them.
    pub(super) fn near(&self, event: &Event) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for device in event.devices() {
            let own = [&self.named, &self.near].into_iter().filter_map(|index| index.get(device.id.as_str()));
            let theirs = neighbours(device).filter_map(|id| self.named.get(id));
            found.extend(own.chain(theirs).flatten().cloned());
        }
        found
    }
}

fn devices(incident: &Incident) -> impl Iterator<Item = &Summary> {
    incident.troubles.iter().flat_map(|trouble| trouble.event.devices())
}

fn neighbours(device: &Summary) -> impl Iterator<Item = &str> {
    device.above.iter().chain(&device.below).map(|near| near.id.as_str())
}

fn put(index: &mut BTreeMap<String, BTreeSet<String>>, device: &str, incident: &str) {
    index.entry(device.to_owned()).or_default().insert(incident.to_owned());
}

fn take(index: &mut BTreeMap<String, BTreeSet<String>>, device: &str, incident: &str) {
    if let Some(ids) = index.get_mut(device) {
        ids.remove(incident);
        if ids.is_empty() {
            index.remove(device);
        }
    }
}
