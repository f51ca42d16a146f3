//! An event as peripety wrote it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use reactor_storage::device::{Device, DeviceMap, Kind, Summary, Transport};
use reactor_storage::event::{Event, Subsystem};
use serde::Serialize;

use super::blk_info::{BlkInfo, address_and_port};
use super::words::{Level, SubSystem, event_type, field};
use crate::commands::block::table::clean;

/// peripety's keys, of both of its last versions.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Document {
    pub(super) hostname: String,
    severity: &'static str,
    pub(super) sub_system: &'static str,
    timestamp: String,
    event_id: String,
    event_type: String,
    /// The device that the log names.
    cur_blk_info: Option<BlkInfo>,
    /// The same, but of a path its multipath disk: the older version has this one only.
    blk_info: Option<BlkInfo>,
    /// The top of the stack over it, as far as that is one device.
    hierarchy_blk_info: Option<BlkInfo>,
    pub(super) msg: String,
    raw_msg: String,
    extension: BTreeMap<String, String>,
}

impl Document {
    /// Of an event, with what is known of its devices.
    pub(super) fn of(event: &Event, map: &DeviceMap) -> Self {
        let sub_system = SubSystem::of(event);
        let devices = Devices::of(event, map);
        let extension = extension(event, sub_system, &devices);
        Self {
            hostname: clean(event.host.as_deref().unwrap_or("localhost")),
            severity: Level::from(event.severity).as_str(),
            sub_system: sub_system.json(),
            timestamp: timestamp(event.at.wall_us.unwrap_or_default()),
            event_id: event.id.clone(),
            event_type: clean(event_type(event)),
            msg: message(event, sub_system, &devices, &extension),
            raw_msg: clean(&event.message),
            cur_blk_info: devices.current,
            blk_info: devices.main,
            hierarchy_blk_info: devices.top,
            extension,
        }
    }
}

/// RFC 3339 with microseconds, in the zone of this machine.
fn timestamp(wall_us: u64) -> String {
    let at = i64::try_from(wall_us).ok().and_then(|us| Timestamp::from_microsecond(us).ok()).unwrap_or_default();
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string()
}

/// What an event says of devices.
struct Devices {
    current: Option<BlkInfo>,
    main: Option<BlkInfo>,
    top: Option<BlkInfo>,
    transport: Option<Transport>,
}

impl Devices {
    fn of(event: &Event, map: &DeviceMap) -> Self {
        let info = |summary: &Summary| {
            known(map, summary).map_or_else(|| BlkInfo::of_summary(summary), |device| BlkInfo::of(map, device))
        };
        let is_map = |summary: &&Summary| summary.kind == Kind::Multipath;
        let of_multipath = event.subsystem == Subsystem::Multipath;
        let path =
            event.devices().find(|device| of_multipath && device.kind != Kind::Multipath && device.kind != Kind::Dm);
        let current = path.or(event.device.as_deref());
        let device = current.and_then(|summary| known(map, summary));
        let over = device.map(|device| map.next_above(device)).unwrap_or_default();
        let above = over.into_iter().find(|above| above.kind == Kind::Multipath);
        let main = match (event.devices().filter(|_| of_multipath).find(is_map), above) {
            (Some(named), _) => Some(info(named)),
            (None, Some(above)) => Some(BlkInfo::of(map, above)),
            (None, None) => current.map(info),
        };
        Self {
            current: current.map(info),
            main,
            top: device.map(|device| BlkInfo::of(map, top(map, device))).or_else(|| current.map(info)),
            transport: device.and_then(|device| device.transport.clone()),
        }
    }
}

/// The device, if it is one of this machine.
fn known<'m>(map: &'m DeviceMap, summary: &Summary) -> Option<&'m Device> {
    map.present(&summary.name).filter(|device| device.id == summary.id)
}

/// Up from a device for as long as there is one way.
fn top<'m>(map: &'m DeviceMap, from: &'m Device) -> &'m Device {
    const MAX_DEPTH: usize = 32;
    let mut device = from;
    for _ in 0..MAX_DEPTH {
        match map.next_above(device).as_slice() {
            [above] if above.name != from.name => device = above,
            _ => break,
        }
    }
    device
}

fn extension(event: &Event, sub_system: SubSystem, devices: &Devices) -> BTreeMap<String, String> {
    let mut extension = BTreeMap::new();
    let mut put = |key: &str, value: &str| {
        if !value.is_empty() {
            extension.entry(clean(key)).or_insert_with(|| clean(value));
        }
    };
    let is_multipath = sub_system == SubSystem::Multipath;
    for (name, value) in &event.fields {
        // With others it is no device.
        let is_same = name == "path" && !is_multipath;
        let (name, value) = if is_same { (name.as_str(), value.as_str()) } else { field(name, value) };
        put(&name.replace('-', "_"), value);
    }
    if let SubSystem::Other(ours) = sub_system {
        put("subsystem", ours.as_str());
    }
    if event_type(event) != event.kind {
        put("reactor_type", &event.kind);
    }
    if event.source != "kernel" {
        put("source", &event.source);
    }
    if event.count > 1 {
        put("count", &event.count.to_string());
    }
    if let Some(info) = devices.current.as_ref().filter(|_| is_of_file_system(event.subsystem)) {
        put("uuid", info.uuid.as_deref().unwrap_or_default());
        put("mount_point", info.mount_point.as_deref().unwrap_or_default());
    }
    if let Some(transport) = devices.transport.as_ref().filter(|_| is_multipath) {
        reached(transport, &mut put);
    }
    extension
}

fn reached(transport: &Transport, put: &mut impl FnMut(&str, &str)) {
    let mut some = |key: &str, value: &Option<String>| put(key, value.as_deref().unwrap_or_default());
    match transport {
        Transport::Fc { host_wwpn, target_wwpn, speed, port_state, .. } => {
            some("transport", &Some("FC".to_owned()));
            some("host_wwpn", host_wwpn);
            some("target_wwpn", target_wwpn);
            some("speed", speed);
            some("port_state", port_state);
        }
        Transport::Iscsi { target, portal, tpgt, iface, .. } => {
            let (address, port) = portal.as_deref().map(address_and_port).unzip();
            some("transport", &Some("iSCSI".to_owned()));
            some("address", &address);
            some("port", &port);
            some("tpgt", tpgt);
            some("target_name", target);
            some("iface_name", iface);
        }
        Transport::Scsi { driver } => some("driver_name", &Some(driver.clone())),
        _ => {}
    }
}

fn is_of_file_system(subsystem: Subsystem) -> bool {
    matches!(subsystem, Subsystem::Ext4 | Subsystem::Xfs | Subsystem::Btrfs | Subsystem::Fs)
}

/// The line, and what is known beyond it, written as peripety's parser of that part of storage wrote it.
fn message(event: &Event, sub_system: SubSystem, devices: &Devices, extension: &BTreeMap<String, String>) -> String {
    let mut text = clean(event.message.trim());
    let Some(current) = &devices.current else { return text };
    if sub_system == SubSystem::Multipath {
        let wwid = devices.main.as_ref().map_or("", |main| &main.wwid);
        text.push_str(&format!(" mpath_wwid: {wwid}, path_blk_name: {}", current.blk_path));
        for (key, value) in extension {
            text.push_str(&format!(", {key}={value}"));
        }
    } else if is_of_file_system(event.subsystem) {
        text.push_str(&format!(", blk_wwid: '{}', blk_path: '{}'", current.wwid, current.blk_path));
        for key in ["uuid", "mount_point", "data_mode", "count"] {
            if let Some(value) = extension.get(key) {
                text.push_str(&format!(", {key}: '{value}'"));
            }
        }
    } else {
        text.push_str(&format!(", wwid: '{}'", current.wwid));
        if event.count > 1 {
            text.push_str(&format!(", count: '{}'", event.count));
        }
    }
    text
}
