//! A block device as peripety described it.

use std::io::{self, Write};

use reactor_storage::device::{Device, DeviceMap, FileSystem, Kind, Summary, Transport};
use serde::Serialize;

use crate::commands::block::table::clean;

/// Devices that one description has at most, itself included.
const MAX_DEVICES: usize = 256;

/// A device, and what it is built on. The keys are peripety's; `kind` is ours: peripety had no words for most kinds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct BlkInfo {
    pub(super) wwid: String,
    blk_type: &'static str,
    kind: Kind,
    pub(super) blk_path: String,
    preferred_blk_path: String,
    /// Of the file system.
    pub(super) uuid: Option<String>,
    pub(super) mount_point: Option<String>,
    transport_id: String,
    /// What it is built on directly.
    owners: Vec<BlkInfo>,
}

impl BlkInfo {
    /// Of a device of this machine.
    pub(super) fn of(map: &DeviceMap, device: &Device) -> Self {
        build(map, device, &mut Vec::new(), &mut (MAX_DEVICES - 1))
    }

    /// Of a device of which only its name may be known.
    pub(super) fn of_summary(summary: &Summary) -> Self {
        // What has no path was never seen here.
        let path = if summary.path.is_empty() { summary.name.clone() } else { summary.path.clone() };
        Self {
            wwid: clean(&summary.id),
            blk_type: summary.kind.peripety(),
            kind: summary.kind,
            blk_path: clean(&path),
            preferred_blk_path: clean(&path),
            uuid: uuid(summary.file_system.as_ref()),
            mount_point: summary.mounts.first().map(|point| clean(point)),
            transport_id: String::new(),
            owners: Vec::new(),
        }
    }

    /// It and what it is built on, each once, depth first.
    fn flat<'b>(&'b self, all: &mut Vec<&'b Self>) {
        if all.iter().any(|known| known.blk_path == self.blk_path) {
            return;
        }
        all.push(self);
        for owner in &self.owners {
            owner.flat(all);
        }
    }

    /// As `prpt info` prints it.
    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        self.lines("", out)?;
        let mut all = Vec::new();
        self.flat(&mut all);
        writeln!(out, "owners :")?;
        all.iter().skip(1).try_for_each(|owner| owner.lines("  ", out))
    }

    fn lines(&self, indent: &str, out: &mut dyn Write) -> io::Result<()> {
        for (key, value) in [
            ("blk_path", self.blk_path.as_str()),
            ("preferred_blk_path", &self.preferred_blk_path),
            ("blk_type", self.type_for_people()),
            ("wwid", &self.wwid),
            ("transport_id", &self.transport_id),
            ("uuid", self.uuid.as_deref().unwrap_or_default()),
            ("mount_point", self.mount_point.as_deref().unwrap_or_default()),
        ] {
            writeln!(out, "{}", format!("{indent}{key} : {value}").trim_end())?;
        }
        Ok(())
    }

    /// As `prpt list` prints it.
    pub(super) fn print_short(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut all = Vec::new();
        self.flat(&mut all);
        for (at, info) in all.into_iter().enumerate() {
            let indent = if at == 0 { "" } else { "  " };
            let mounted = info.mount_point.as_ref().map(|point| format!(" : {point}")).unwrap_or_default();
            writeln!(out, "{indent}{} : {}{mounted}", info.blk_path, info.wwid)?;
        }
        Ok(())
    }

    fn type_for_people(&self) -> &'static str {
        match self.blk_type {
            "Scsi" => "SCSI",
            "Dm" => "Device Mapper",
            "DmMultipath" => "Device Mapper Multipath",
            "DmLvm" => "Device Mapper LVM",
            "Other" => self.kind.as_str(),
            word => word,
        }
    }
}

/// `from` are the devices that lead here: they can be in a circle.
fn build<'m>(map: &'m DeviceMap, device: &'m Device, from: &mut Vec<&'m str>, left: &mut usize) -> BlkInfo {
    from.push(&device.name);
    let mut owners = Vec::new();
    for below in map.next_below(device) {
        if !from.contains(&below.name.as_str()) && *left > 0 {
            *left -= 1;
            owners.push(build(map, below, from, left));
        }
    }
    from.pop();
    BlkInfo {
        wwid: clean(&device.id),
        blk_type: device.kind.peripety(),
        kind: device.kind,
        blk_path: clean(&blk_path(device)),
        preferred_blk_path: clean(&preferred(device)),
        uuid: uuid(device.file_system.as_ref()),
        mount_point: device.mounts.first().map(|mount| clean(&mount.path)),
        transport_id: clean(&device.transport.as_ref().map(transport_id).unwrap_or_default()),
        owners,
    }
}

/// The device mapper's or the kernel's path.
fn blk_path(device: &Device) -> String {
    match &device.dm {
        Some(dm) => format!("/dev/mapper/{}", dm.name),
        None => format!("/dev/{}", device.name.replace('!', "/")),
    }
}

/// The path that stays: of a partition with a file system, that one's.
fn preferred(device: &Device) -> String {
    let link = uuid(device.file_system.as_ref()).map(|uuid| format!("/dev/disk/by-uuid/{uuid}"));
    let link = link.filter(|link| device.kind == Kind::Partition && device.links.contains(link));
    link.unwrap_or_else(|| device.path.clone())
}

/// Only a file system's: members of a volume group, an array or a multipath disk have an id that is none.
fn uuid(content: Option<&FileSystem>) -> Option<String> {
    let content = content.filter(|content| !content.fs_type.ends_with("_member") && content.fs_type != "drbd")?;
    content.uuid.as_deref().map(clean)
}

fn transport_id(transport: &Transport) -> String {
    let joined = |parts: &[&Option<String>]| {
        let parts: Vec<&str> = parts.iter().map(|part| part.as_deref().unwrap_or_default()).collect();
        parts.join(",")
    };
    match transport {
        Transport::Fc { host_wwpn, target_wwpn, .. } => joined(&[host_wwpn, target_wwpn]),
        Transport::Iscsi { target, portal, tpgt, iface, .. } => {
            let (address, port) = portal.as_deref().map(address_and_port).unzip();
            joined(&[&address, &port, tpgt, target, iface])
        }
        _ => String::new(),
    }
}

/// `10.0.0.1:3260`, `[fe80::1]:3260`.
pub(super) fn address_and_port(portal: &str) -> (String, String) {
    let (address, port) = portal.rsplit_once(':').unwrap_or((portal, ""));
    (address.trim_start_matches('[').trim_end_matches(']').to_owned(), port.to_owned())
}
