//! A device by whatever someone calls it.

use thiserror::Error;

use super::build::Device;
use super::facts::cut;
use super::index::{Numeric, Sort, fold};
use super::map::{DeviceMap, ata_named, paths_first};
use super::names::{Number, ScsiAddress, digits};
use super::near::near;

/// What was found.
#[derive(Clone, Debug)]
pub struct Found<'m> {
    /// The device; of several, the one above the others.
    pub device: &'m Device,
    /// Others that have the same name: paths of a multipath disk, volumes of a resource, disks of a controller.
    pub also: Vec<&'m Device>,
    /// When it has gone, if it has.
    pub gone: Option<u64>,
}

/// There is no such device.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no block device here is called {name:?}{}", proposal(near))]
pub struct NotFound {
    /// As it was asked for.
    pub name: String,
    /// Names that may have been meant.
    pub near: Vec<String>,
}

fn proposal(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; there is {}", near.join(", ")) }
}

impl DeviceMap {
    /// The device that is called so: by device number, the kernel's name, any path below `/dev`, SCSI address, controller of NVMe, WWID, serial number,
    /// name of device mapper, `VG/LV`, any UUID, label, mount point, `drbd:MINOR`, resource of DRBD with or without `/VOLUME`, backing file of a loop
    /// device, `ataN`, `hostN`, PCI function, or the stable id.
    ///
    /// # Errors
    ///
    /// There is none, and has been none that is remembered.
    pub fn find(&self, name: &str) -> Result<Found<'_>, NotFound> {
        self.found(name, None)
    }

    /// The device that was called so at a time.
    ///
    /// # Errors
    ///
    /// As [`Self::find`].
    pub fn find_at(&self, name: &str, at: u64) -> Result<Found<'_>, NotFound> {
        self.found(name, Some(at))
    }

    fn found(&self, name: &str, at: Option<u64>) -> Result<Found<'_>, NotFound> {
        let name = cut(name.trim());
        let devices = self.called(&name, at);
        match devices.split_first() {
            Some((device, also)) => Ok(Found { device, also: also.to_vec(), gone: self.gone_at(device) }),
            None => Err(NotFound { near: self.near(&name), name }),
        }
    }

    /// The first meaning that a name has.
    fn called(&self, name: &str, at: Option<u64>) -> Vec<&Device> {
        if name.starts_with('/') {
            return self.above_the_others(self.at_absolute(name, at));
        }
        let by_number = number_of(name).map(|number| self.chosen(self.index.number(number), at));
        if let Some(found) = by_number.filter(|found| !found.is_empty()) {
            return found;
        }
        if let Some((sort, word)) = tagged(name) {
            return self.above_the_others(self.chosen(self.index.word(sort, &word), at));
        }
        let (kernel, id) = (name.replace('!', "/"), fold(name));
        let drbd = name.strip_prefix("drbd:").unwrap_or(name);
        let words = [
            (Sort::Kernel, kernel.as_str()),
            (Sort::Dm, name),
            (Sort::Link, name),
            (Sort::Id, &id),
            (Sort::Drbd, drbd),
            (Sort::Controller, name),
            (Sort::Rport, name.strip_prefix("rport-").unwrap_or(name)),
            (Sort::Pci, &id),
            (Sort::Label, name),
        ];
        // One that is there comes before one that has gone, whatever the name means.
        let found = || words.iter().map(|(sort, word)| (*sort, self.chosen(self.index.word(*sort, word), at)));
        let present = found().find(|(_, found)| found.first().is_some_and(|device| self.gone_at(device).is_none()));
        match present.or_else(|| found().find(|(_, found)| !found.is_empty())) {
            Some((Sort::Controller, found)) => paths_first(found),
            Some((_, found)) => self.above_the_others(found),
            None => ata_named(name).map_or(Vec::new(), |named| self.resolve(&named)),
        }
    }

    fn at_absolute(&self, path: &str, at: Option<u64>) -> Vec<&Device> {
        if let Some(below_sys) = path.strip_prefix("/sys/") {
            let last = below_sys.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            return self.chosen(self.index.word(Sort::Kernel, &last.replace('!', "/")), at);
        }
        let found = self.at_path(path, at);
        if found.is_empty() { self.chosen(self.index.word(Sort::File, path), at) } else { found }
    }

    fn near(&self, name: &str) -> Vec<String> {
        let name = name.strip_prefix("/dev/").unwrap_or(name);
        let name = name.strip_prefix("mapper/").unwrap_or(name);
        let sorts = [Sort::Kernel, Sort::Dm, Sort::Mount, Sort::Drbd, Sort::Label, Sort::Link, Sort::Id];
        near(name, sorts.into_iter().flat_map(|sort| self.index.words(sort)))
    }
}

/// `8:0`, `6:0:0:0`, `[6:0:0:0]`, `drbd:1000`, `host6`.
fn number_of(name: &str) -> Option<Numeric> {
    let small = |text: &str| digits(text).and_then(|number| u32::try_from(number).ok());
    if let Ok(Number { major, minor }) = name.parse() {
        return Some(Numeric::Device(major, minor));
    }
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    if let Ok(ScsiAddress { host, channel, target, lun }) = bare.parse() {
        return Some(Numeric::Scsi(host, channel, target, lun));
    }
    let drbd = || name.strip_prefix("drbd:").and_then(small).map(Numeric::Drbd);
    drbd().or_else(|| name.strip_prefix("host").and_then(small).map(Numeric::Host))
}

/// `UUID=...` and its like, as fstab has them.
fn tagged(name: &str) -> Option<(Sort, String)> {
    let (tag, value) = name.split_once('=')?;
    let value = value.trim_matches('"');
    match tag {
        "UUID" | "PARTUUID" | "ID" => Some((Sort::Id, fold(value))),
        "LABEL" | "PARTLABEL" => Some((Sort::Label, value.to_owned())),
        _ => None,
    }
}
