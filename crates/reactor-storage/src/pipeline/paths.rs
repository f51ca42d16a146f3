//! Multipath maps of which every path has failed, where nobody counts them: only the kernel's log is there, or it is read from before.
//!
//! It is told only if it can be known: the map of devices knows what the multipath map is built on, each of these paths was said to have failed, and
//! since then none of them to work, nor the table of the map to be another one: paths of a new table are tried anew.

use std::collections::{BTreeMap, BTreeSet};

use super::group::Made;
use crate::catalogue::EventType;
use crate::device::{Device, DeviceMap, Kind};
use crate::event::Event;

/// Maps of which something is remembered.
const MAX_MAPS: usize = 4096;

const FAILED: &str = "MPATH_PATH_FAILED";
const REINSTATED: &str = "MPATH_PATH_REINSTATED";
const TOPOLOGY: &str = "MPATH_TOPOLOGY";
const ALL_DOWN: &str = "MPATH_ALL_PATHS_DOWN";

/// By the kernel's name of a multipath map, its paths that have failed.
#[derive(Debug, Default)]
pub(super) struct Paths {
    failed: BTreeMap<String, BTreeSet<String>>,
}

impl Paths {
    /// Whether something may follow of events of this type.
    pub(super) fn is_of_interest(kind: &str) -> bool {
        [FAILED, REINSTATED, TOPOLOGY].contains(&kind)
    }

    /// Something happened: what follows from it. Of paths only the kernel's own log counts: what others say of the same comes at another time, and
    /// uevents have the number of paths that are left.
    pub(super) fn learn(&mut self, made: &Made, map: &DeviceMap) -> Option<Made> {
        let is_of_log = made.event.source == "kernel";
        match made.event.kind.as_str() {
            FAILED if is_of_log => self.failed(made, map),
            REINSTATED if is_of_log => {
                for device in made.event.devices() {
                    self.failed.values_mut().for_each(|paths| _ = paths.remove(&device.name));
                }
                None
            }
            TOPOLOGY => {
                made.event.devices().for_each(|device| self.forget(&device.name));
                None
            }
            _ => None,
        }
    }

    /// The map has another table.
    pub(super) fn forget(&mut self, map: &str) {
        self.failed.remove(map);
    }

    fn failed(&mut self, made: &Made, map: &DeviceMap) -> Option<Made> {
        let path = map.present(&made.event.device.as_ref()?.name)?;
        let of_path = map.next_above(path).into_iter().find(|above| above.kind == Kind::Multipath)?;
        if self.failed.len() >= MAX_MAPS && !self.failed.contains_key(&of_path.name) {
            return None;
        }
        let failed = self.failed.entry(of_path.name.clone()).or_default();
        let all: BTreeSet<String> = map.next_below(of_path).iter().map(|path| path.name.clone()).collect();
        // What is no path of it any more counts no more.
        failed.retain(|path| all.contains(path));
        failed.insert(path.name.clone());
        (*failed == all).then(|| all_down(made, of_path, &all, map)).flatten()
    }
}

/// The event of the map, of the source whose word was the last.
fn all_down(last: &Made, of_map: &Device, paths: &BTreeSet<String>, map: &DeviceMap) -> Option<Made> {
    let of = EventType::built_in(ALL_DOWN)?;
    let device = map.summary(of_map);
    let names: Vec<&str> = paths.iter().map(String::as_str).collect();
    let event = Event {
        id: super::group::id_of(&[&last.event.id, ALL_DOWN]),
        severity: of.severity,
        kind: of.name.to_string(),
        subsystem: of.subsystem,
        others: Vec::new(),
        fields: BTreeMap::from([("paths".to_owned(), "0".to_owned())]),
        message: format!("every path of {} has failed: {}", device.label(), names.join(", ")),
        device: Some(device),
        count: 1,
        ..last.event.clone()
    };
    Some(Made { event, of: of.clone(), last_us: last.last_us })
}
