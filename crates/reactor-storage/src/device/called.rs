//! Which devices are meant by names that somebody waits for: those of filters, which have to hold for whatever name a device is called by.
//!
//! An event says a few names of its devices, and a device has dozens. Instead of all of them, it carries those that are waited for.

use std::collections::{BTreeMap, BTreeSet};

use super::build::Device;
use super::kind::Kind;
use super::map::DeviceMap;
use super::summary::{Related, Summary};

/// Names that are waited for; what is beyond that is left out.
pub const MAX_CALLED: usize = 1024;

/// Names that are waited for, by the devices that are called so now, or were before they went.
#[derive(Clone, Debug, Default)]
pub struct Called<'n> {
    /// By the stable id, and the kernel's name where several have one id: paths to one disk.
    names: BTreeMap<(String, String), BTreeSet<&'n str>>,
}

impl<'n> Called<'n> {
    /// Looks for each of `names` as [`DeviceMap::find`] does.
    pub fn of(names: impl IntoIterator<Item = &'n str>, map: &DeviceMap) -> Self {
        let mut all = Self::default();
        for name in names.into_iter().take(MAX_CALLED) {
            let Ok(found) = map.find(name) else { continue };
            for Device { id, kind, name: kernel, .. } in [found.device].into_iter().chain(found.also) {
                all.names.entry(key(id, *kind, kernel)).or_default().insert(name);
            }
        }
        all
    }

    /// Says which of the names mean a device, or one that is above or below it.
    pub fn mark(&self, device: &mut Summary) {
        let names: BTreeSet<&str> = self.names_of(device).collect();
        device.called = names.into_iter().map(str::to_owned).collect();
    }

    /// Whether one of the names means a device, or one that is above or below it.
    pub fn means(&self, device: &Summary) -> bool {
        self.names_of(device).next().is_some()
    }

    fn names_of(&self, device: &Summary) -> impl Iterator<Item = &'n str> {
        let Summary { id, kind, name, above, below, .. } = device;
        let related = above.iter().chain(below).map(|Related { id, name, kind }| key(id, *kind, name));
        let keys = [key(id, *kind, name)].into_iter().chain(related);
        keys.filter_map(|key| self.names.get(&key)).flatten().copied()
    }

    /// Whether no device is called by any of the names.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

fn key(id: &str, kind: Kind, name: &str) -> (String, String) {
    (id.to_owned(), if kind == Kind::Scsi { name.to_owned() } else { String::new() })
}
