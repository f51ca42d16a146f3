//! What a uevent says of storage. The names are the kernel's: `drivers/md/dm-uevent.c`, `drivers/scsi/scsi_lib.c`, `drivers/nvme/host/core.c`,
//! `block/genhd.c`, `block/disk-events.c`.

use super::Uevent;

/// A value with a blank or worse in it does not end the line early, and makes no other one: as udev writes such names.
pub(super) fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if c.is_whitespace() || c.is_control() || c == '\\' {
            let mut bytes = [0; 4];
            c.encode_utf8(&mut bytes).bytes().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
        } else {
            out.push(c);
        }
    }
    out
}

/// One line: who, and what of it.
pub(super) fn line<'v>(
    subsystem: &str,
    device: &str,
    properties: impl IntoIterator<Item = (&'v str, &'v str)>,
) -> String {
    let mut line = format!("{subsystem} change {}:", escaped(device));
    for (key, value) in properties {
        line.push(' ');
        line.push_str(key);
        line.push('=');
        line.push_str(&escaped(value));
    }
    line
}

pub(super) fn of(uevent: &Uevent<'_>) -> Vec<String> {
    if uevent.action != "change" {
        return Vec::new();
    }
    match uevent.subsystem.as_ref() {
        "block" => block(uevent),
        "scsi" => scsi(uevent).into_iter().collect(),
        "nvme" => nvme(uevent).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn block(uevent: &Uevent<'_>) -> Vec<String> {
    let Some(device) = uevent.device() else { return Vec::new() };
    if uevent.property("DM_ACTION").is_some() {
        return paths(uevent, device).unwrap_or_default();
    }
    // DRBD does this at each change of a role, of which it tells itself.
    let is_role = device.starts_with("drbd");
    let keys = ["RESIZE", "DISK_RO", "DISK_MEDIA_CHANGE", "DISK_EJECT_REQUEST"];
    let said = keys.iter().filter_map(|key| Some((*key, uevent.property(key)?)));
    said.filter(|(key, _)| !(is_role && *key == "DISK_RO")).map(|property| line("block", device, [property])).collect()
}

/// A path of a multipath map failed or works again: one line about the path, and one about how many the map has left.
fn paths(uevent: &Uevent<'_>, map: &str) -> Option<Vec<String>> {
    let (action, path) = (uevent.property("DM_ACTION")?, uevent.property("DM_PATH")?);
    let left = uevent.property("DM_NR_VALID_PATHS")?;
    let names = || ["DM_NAME", "DM_UUID"].into_iter().filter_map(|key| Some((key, uevent.property(key)?)));
    let (action, path, left) = (("DM_ACTION", action), ("DM_PATH", path), ("DM_NR_VALID_PATHS", left));
    Some(vec![
        line("block", map, [action, path, left].into_iter().chain(names())),
        line("block", map, [left, action, path].into_iter().chain(names())),
    ])
}

/// Of a SCSI device the last part of its folder is its address.
fn scsi(uevent: &Uevent<'_>) -> Option<String> {
    let address = uevent.devpath.rsplit('/').next()?;
    let keys = ["SDEV_UA", "SDEV_MEDIA_CHANGE"];
    let said = keys.iter().find_map(|key| Some((*key, uevent.property(key)?)))?;
    Some(line("scsi", address, [said]))
}

fn nvme(uevent: &Uevent<'_>) -> Option<String> {
    let controller = uevent.device()?;
    if let Some(event) = uevent.property("NVME_EVENT") {
        let keys = ["NVME_TRTYPE", "NVME_TRADDR", "NVME_TRSVCID"];
        let how = keys.iter().filter_map(|key| Some((*key, uevent.property(key)?)));
        return Some(line("nvme", controller, [("NVME_EVENT", event)].into_iter().chain(how)));
    }
    let event = uevent.property("NVME_AEN")?;
    let (kind, what) = asynchronous(event)?;
    Some(line("nvme", controller, [("NVME_AEN", event), ("kind", kind), ("what", what)]))
}

/// An asynchronous event by its number: NVM Express Base Specification, 2.0c, figures 145 to 151. The type is in the lowest three bits, what it is in
/// the second byte. Notices are the kernel's own to handle: it makes no uevent of them.
fn asynchronous(number: &str) -> Option<(&'static str, &'static str)> {
    let number = u32::from_str_radix(number.strip_prefix("0x").unwrap_or(number), 16).ok()?;
    let what = (number >> 8) & 0xff;
    Some(match number & 7 {
        0 => (
            "error",
            match what {
                0 | 1 => "doorbell",
                2 => "diagnostic-failure",
                3 => "persistent-internal-error",
                4 => "transient-internal-error",
                5 => "firmware-image-load",
                _ => "other",
            },
        ),
        1 => (
            "health",
            match what {
                0 => "reliability",
                1 => "temperature",
                2 => "spare",
                _ => "other",
            },
        ),
        2 => ("notice", "other"),
        6 => ("command-set", "other"),
        7 => ("vendor", "other"),
        _ => ("reserved", "other"),
    })
}
