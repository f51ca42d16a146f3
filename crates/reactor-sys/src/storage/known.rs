//! What the daemon knows and the stages do not: the user's rules, DRBD's volumes, who uses what. The loop says it when it changes and waits for
//! nobody; the stages take the newest before their next message.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reactor_core::ids::Volume;
use reactor_core::model::objects::{DeviceState, Resource};
use reactor_storage::catalogue::RawUserRule;
use reactor_storage::device::DrbdVolume;

/// Volumes that are told of: DRBD itself has room for more, and no machine has so many.
const MAX_VOLUMES: usize = 16 * 1024;

/// Pairs of a device and a unit that are told of.
const MAX_USERS: usize = 64 * 1024;

/// Where it is put, and where it is taken from.
#[derive(Clone, Debug, Default)]
pub struct Known {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    is_new: AtomicBool,
    news: Mutex<News>,
}

/// What is new since it was taken last.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) rules: Option<Vec<RawUserRule>>,
    pub(super) drbd: Option<Vec<Arc<Resource>>>,
    pub(super) users: Option<Vec<(String, String)>>,
    pub(super) names: Option<BTreeSet<String>>,
}

impl Known {
    /// These are the user's rules from now on.
    pub fn set_rules(&self, rules: Vec<RawUserRule>) {
        self.put(|news| news.rules = Some(rules));
    }

    /// These are DRBD's resources. What of them counts is looked for by whoever takes it.
    pub fn set_drbd(&self, resources: Vec<Arc<Resource>>) {
        self.put(|news| news.drbd = Some(resources));
    }

    /// These use devices: pairs of a device, a mount point or a resource of DRBD, and a unit.
    pub fn set_users(&self, mut users: Vec<(String, String)>) {
        users.truncate(MAX_USERS);
        self.put(|news| news.users = Some(users));
    }

    /// These names of devices are waited for: events say which of them mean their devices.
    pub fn set_names(&self, names: BTreeSet<String>) {
        self.put(|news| news.names = Some(names));
    }

    fn put(&self, change: impl FnOnce(&mut News)) {
        change(&mut self.shared.news.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.is_new.store(true, Ordering::Release);
    }

    /// It costs next to nothing if nothing is new: it is asked for at each message.
    pub(super) fn take(&self) -> Option<News> {
        self.shared
            .is_new
            .swap(false, Ordering::Acquire)
            .then(|| std::mem::take(&mut *self.shared.news.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// DRBD's volumes on this node, as far as they have a minor.
pub(super) fn volumes(resources: &[Arc<Resource>]) -> Vec<DrbdVolume> {
    let all = resources
        .iter()
        .flat_map(|resource| resource.devices.iter().map(move |(volume, device)| (resource, *volume, &device.state)));
    let volume = |(resource, volume, state): (&Arc<Resource>, Volume, &DeviceState)| {
        Some(DrbdVolume {
            minor: state.minor?.0,
            resource: resource.name.to_string(),
            volume: volume.0,
            backing: state.backing_device().map(str::to_owned),
        })
    };
    all.filter_map(volume).take(MAX_VOLUMES).collect()
}
