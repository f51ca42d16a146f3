//! The block devices as the daemon knows them, for whoever asks: the thread of the collector keeps the map, and threads that answer clients read it.
//!
//! Where no collector runs, they are read anew for each question.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use reactor_core::model::objects::Resource;
use reactor_storage::device::{DeviceMap, DrbdVolume};
use reactor_sysfs::{ListingError, Reader};

use super::known;

/// The map of the collector, shared. Who reads it holds up the collector for so long.
#[derive(Clone, Debug, Default)]
pub struct LiveBlocks(Arc<RwLock<Live>>);

/// What is shared.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) map: DeviceMap,
    /// What was odd when all were listed.
    remarks: Vec<String>,
    /// They were listed.
    is_there: bool,
    /// What was last told of DRBD, and of who uses devices.
    drbd: Vec<DrbdVolume>,
    users: Vec<(String, String)>,
}

impl Live {
    /// These are DRBD's volumes.
    pub(crate) fn set_drbd(&mut self, volumes: Vec<DrbdVolume>) {
        if self.drbd != volumes {
            self.map.set_drbd(volumes.iter().cloned());
            self.drbd = volumes;
        }
    }

    /// These use devices.
    pub(crate) fn set_users(&mut self, users: Vec<(String, String)>) {
        if self.users != users {
            self.map.set_users(users.iter().cloned());
            self.users = users;
        }
    }
}

impl LiveBlocks {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Live> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Live> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// All devices of the machine.
    pub(crate) fn set(&self, map: DeviceMap, remarks: Vec<String>) {
        *self.write() = Live { map, remarks, is_there: true, ..Live::default() };
    }
}

/// What the loop hands out for a question about block devices: where they are known, and what DRBD and the promoters have on them.
#[derive(Clone, Debug, Default)]
pub struct Blocks {
    /// The map of the collector, if it runs.
    pub live: Option<LiveBlocks>,
    /// DRBD's resources.
    pub resources: Vec<Arc<Resource>>,
    /// Who uses devices: pairs of a device, a mount point or a resource of DRBD, and a unit.
    pub users: Vec<(String, String)>,
}

impl Blocks {
    /// Asks the map, and what was odd when the devices were listed. It may read sysfs: not on the loop.
    ///
    /// # Errors
    ///
    /// There is no map yet, and the devices can't be listed.
    pub fn ask<T>(&self, ask: impl FnOnce(&DeviceMap, &[String]) -> T) -> Result<T, ListingError> {
        let drbd = known::volumes(&self.resources);
        if let Some(live) = self.live.as_ref().filter(|live| live.read().is_there) {
            let is_known = {
                let known = live.read();
                known.drbd == drbd && known.users == self.users
            };
            if !is_known {
                let mut known = live.write();
                known.set_drbd(drbd);
                known.set_users(self.users.clone());
            }
            let known = live.read();
            return Ok(ask(&known.map, &known.remarks));
        }
        let listing = Reader::new("/").list()?;
        let remarks = listing.remarks.clone();
        let mut map = listing.into_map();
        map.set_drbd(drbd);
        map.set_users(self.users.iter().cloned());
        Ok(ask(&map, &remarks))
    }
}
