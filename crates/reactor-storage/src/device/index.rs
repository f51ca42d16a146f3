//! By which words and numbers devices are found.

use std::collections::BTreeMap;

use super::build::Device;
use super::kind::Kind;
use super::names::digits;

/// Devices by their number in the map, in order.
pub(super) type Serials = Vec<u32>;

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sort {
    /// The kernel's name.
    Kernel,
    /// A link, without `/dev/`.
    Link,
    /// Device mapper's name, or `VG/LV`.
    Dm,
    /// Any id, in small letters.
    Id,
    /// The label of a file system or of a partition.
    Label,
    /// A mount point.
    Mount,
    /// A resource of DRBD, or `RESOURCE/VOLUME`.
    Drbd,
    /// A controller of NVMe.
    Controller,
    /// A PCI function.
    Pci,
    /// A remote port of FC.
    Rport,
    /// The file behind a loop device.
    File,
}

/// How many there are.
const SORTS: usize = Sort::File as usize + 1;

/// A key that is numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Numeric {
    /// The device number.
    Device(u32, u32),
    /// Host, channel, target, unit.
    Scsi(u32, u32, u32, u64),
    /// A SCSI host.
    Host(u32),
    /// A port of libata.
    Ata(u32),
    /// A session of iSCSI.
    Session(u32),
    /// A minor number of DRBD.
    Drbd(u32),
}

/// All of them, in both directions.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    words: [BTreeMap<Box<str>, Serials>; SORTS],
    numbers: BTreeMap<Numeric, Serials>,
}

impl Index {
    /// The devices that have a word.
    pub(super) fn word(&self, sort: Sort, word: &str) -> &[u32] {
        self.words[sort as usize].get(word).map_or(&[], Vec::as_slice)
    }

    /// The devices that have a number.
    pub(super) fn number(&self, number: Numeric) -> &[u32] {
        self.numbers.get(&number).map_or(&[], Vec::as_slice)
    }

    /// All words of a sort.
    pub(super) fn words(&self, sort: Sort) -> impl Iterator<Item = &str> {
        self.words[sort as usize].keys().map(AsRef::as_ref)
    }

    /// Adds what a device is found by.
    pub(super) fn add(&mut self, device: &Device) {
        for (sort, word) in words_of(device) {
            insert(self.words[sort as usize].entry(word.into()).or_default(), device.serial);
        }
        for number in numbers_of(device) {
            insert(self.numbers.entry(number).or_default(), device.serial);
        }
    }

    /// Takes away what a device is found by: the same device as it was added.
    pub(super) fn remove(&mut self, device: &Device) {
        for (sort, word) in words_of(device) {
            let words = &mut self.words[sort as usize];
            if words.get_mut(word.as_str()).is_some_and(|serials| take(serials, device.serial)) {
                words.remove(word.as_str());
            }
        }
        for number in numbers_of(device) {
            if self.numbers.get_mut(&number).is_some_and(|serials| take(serials, device.serial)) {
                self.numbers.remove(&number);
            }
        }
    }
}

fn insert(serials: &mut Serials, serial: u32) {
    if let Err(at) = serials.binary_search(&serial) {
        serials.insert(at, serial);
    }
}

/// Whether none is left.
fn take(serials: &mut Serials, serial: u32) -> bool {
    if let Ok(at) = serials.binary_search(&serial) {
        serials.remove(at);
    }
    serials.is_empty()
}

/// Ids are compared without regard to capitals.
pub(super) fn fold(id: &str) -> String {
    id.trim().to_lowercase()
}

fn words_of(device: &Device) -> Vec<(Sort, String)> {
    let mut words = vec![(Sort::Kernel, device.name.clone()), (Sort::Id, fold(&device.id))];
    for link in device.links.iter().filter_map(|link| link.strip_prefix("/dev/")) {
        words.push((Sort::Link, link.to_owned()));
        if let Some((_, name)) = link.rsplit_once('/').filter(|_| link.starts_with("disk/by-id/")) {
            words.push((Sort::Id, fold(name)));
        }
    }
    words.extend(ids_of(device).into_iter().map(|id| (Sort::Id, fold(&id))));
    let labels = [device.file_system.as_ref().and_then(|fs| fs.label.as_ref()), device.ids.partition_label.as_ref()];
    words.extend(labels.into_iter().flatten().map(|label| (Sort::Label, label.clone())));
    words.extend(device.mounts.iter().map(|mount| (Sort::Mount, mount.path.clone())));
    if let Some(dm) = &device.dm {
        words.push((Sort::Dm, dm.name.clone()));
        // The pool is `vg-pool` to LVM, and `vg-pool-tpool` to device mapper.
        words.extend(dm.name.strip_suffix("-tpool").map(|pool| (Sort::Dm, pool.to_owned())));
        words.extend(dm.vg.iter().zip(&dm.lv).map(|(vg, lv)| (Sort::Dm, format!("{vg}/{lv}"))));
    }
    if let Some(resource) = device.drbd.as_ref().and_then(|drbd| drbd.resource.as_ref()) {
        words.push((Sort::Drbd, resource.clone()));
        words.extend(device.drbd_volume().map(|volume| (Sort::Drbd, volume)));
    }
    words.extend(device.file.iter().map(|file| (Sort::File, file.clone())));
    // What a partition is reached by leads to its disk.
    if device.kind != Kind::Partition {
        words.extend(device.controller_names().map(|name| (Sort::Controller, name.to_owned())));
        words.extend(device.place.pci.iter().map(|function| (Sort::Pci, function.clone())));
        words.extend(device.place.rport.iter().map(|rport| (Sort::Rport, rport.clone())));
    }
    words
}

fn numbers_of(device: &Device) -> Vec<Numeric> {
    let mut numbers: Vec<Numeric> =
        device.number.iter().map(|number| Numeric::Device(number.major, number.minor)).collect();
    numbers.extend(device.drbd.as_ref().and_then(|drbd| drbd.minor).map(Numeric::Drbd));
    if device.kind != Kind::Partition {
        let place = &device.place;
        let scsi = device.scsi_address;
        numbers.extend(scsi.map(|at| Numeric::Scsi(at.host, at.channel, at.target, at.lun)));
        numbers.extend(place.host.map(Numeric::Host));
        numbers.extend(place.ata.map(Numeric::Ata));
        numbers.extend(place.session.map(Numeric::Session));
    }
    numbers
}

/// All ids of a device, in each form in which programs write them.
fn ids_of(device: &Device) -> Vec<String> {
    let ids = &device.ids;
    let named = [
        &ids.wwid,
        &ids.serial,
        &ids.udev_serial,
        &ids.wwn,
        &ids.nguid,
        &ids.eui,
        &ids.uuid,
        &ids.dm_uuid,
        &ids.md_uuid,
        &ids.partition_uuid,
        &ids.by_path,
    ];
    let mut all: Vec<String> = named.into_iter().flatten().cloned().collect();
    all.extend(device.file_system.as_ref().and_then(|fs| fs.uuid.clone()));
    if let Some(number) = ids.wwid.as_deref().and_then(|wwid| wwid.strip_prefix("naa.")) {
        // udev's WWN, and multipath-tools', which has the type of the id before it.
        all.extend([number.to_owned(), format!("0x{number}"), format!("3{number}")]);
    }
    if let Some(number) = ids.wwid.as_deref().and_then(|wwid| wwid.strip_prefix("eui.")) {
        all.push(number.to_owned());
        all.push(format!("2{number}"));
    }
    if let Some(uuid) = &ids.dm_uuid {
        all.extend(uuid.strip_prefix("mpath-").into_iter().flat_map(wwids_of_a_map));
        all.extend(uuid.strip_prefix("LVM-").and_then(lv_uuid));
    }
    if let Some(uuid) = ids.md_uuid.as_ref().map(|uuid| super::identity::hex(uuid)).filter(|uuid| uuid.len() == 32) {
        all.push([&uuid[..8], &uuid[8..12], &uuid[12..16], &uuid[16..20], &uuid[20..]].join("-"));
        all.push(uuid);
    }
    all.retain(|id| !id.trim().is_empty());
    all
}

/// The WWID of a multipath map, as multipath-tools write it with the type of the id before it, and as the kernel writes those of its paths.
fn wwids_of_a_map(wwid: &str) -> Vec<String> {
    let mut all = vec![wwid.to_owned()];
    match wwid.split_at_checked(1) {
        Some(("3", number)) => all.extend([format!("naa.{number}"), format!("0x{number}"), number.to_owned()]),
        Some(("2", number)) => all.extend([format!("eui.{number}"), number.to_owned()]),
        _ => {}
    }
    all
}

/// The uuid of a logical volume as LVM writes it: it is the second half of device mapper's, which has that of the group before it.
fn lv_uuid(uuid: &str) -> Option<String> {
    let own = uuid.split('-').next()?.get(32..64)?;
    let parts = [0..6, 6..10, 10..14, 14..18, 18..22, 22..26, 26..32].map(|range| own.get(range));
    Some(parts.into_iter().collect::<Option<Vec<_>>>()?.join("-"))
}

/// `ata1` and `ata1.00`: the port, and the device on it.
pub(super) fn ata(text: &str) -> Option<(u32, Option<u32>)> {
    let rest = text.strip_prefix("ata")?;
    let (port, device) = rest.split_once('.').map_or((rest, None), |(port, device)| (port, Some(device)));
    let number = |text: &str| digits(text).and_then(|number| u32::try_from(number).ok());
    match device {
        Some(device) => Some((number(port)?, Some(number(device)?))),
        None => Some((number(port)?, None)),
    }
}
