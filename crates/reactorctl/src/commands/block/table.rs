//! All devices in a table; one with all that is known of it.

use std::collections::BTreeSet;
use std::io::{self, Write};

use reactor_storage::device::{Device, DeviceMap, FileSystem, Found, Ids, MountPoint};

use crate::style::{BAD, DIM, END, NAME, WARN, harmless};

/// One line for each.
pub(super) fn all(map: &DeviceMap, out: &mut dyn Write) -> io::Result<()> {
    let mut rows = vec![["NAME", "KIND", "SIZE", "CONTENT", "MOUNTED AT", "REACHED BY", "ID"].map(str::to_owned)];
    for device in map.in_order() {
        let mounts: Vec<&str> = device.mounts.iter().map(|mount| mount.path.as_str()).collect();
        rows.push([
            clean(device.short_name()),
            device.kind.to_string(),
            device.size.map(size).unwrap_or_default(),
            clean(device.file_system.as_ref().map_or("", |fs| &fs.fs_type)),
            clean(&mounts.join(" ")),
            clean(&device.transport.as_ref().map(ToString::to_string).unwrap_or_default()),
            clean(&device.id),
        ]);
    }
    let mut widths = [0; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for (at, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let line = cells.join("  ");
        let line = line.trim_end();
        if at == 0 { writeln!(out, "{DIM}{line}{END}")? } else { writeln!(out, "{line}")? }
    }
    Ok(())
}

/// All that is known of one.
pub(super) fn one(map: &DeviceMap, found: &Found<'_>, out: &mut dyn Write) -> io::Result<()> {
    let device = found.device;
    let report = map.report(device);
    let size = device.size.map(|bytes| format!(", {} ({bytes} bytes)", size(bytes))).unwrap_or_default();
    write!(out, "{NAME}{}{END}: {}{size}", clean(device.short_name()), device.kind)?;
    if device.read_only {
        write!(out, ", {WARN}read-only{END}")?;
    }
    if found.gone.is_some() {
        write!(out, ", {BAD}gone{END}")?;
    }
    writeln!(out)?;
    let mut line = |what: &str, text: &str| {
        if text.is_empty() { Ok(()) } else { writeln!(out, "  {what:<16}{}", clean(text)) }
    };
    line("id", &device.id)?;
    line("path", &device.path)?;
    let number = device.number.map(|number| format!(" ({number})")).unwrap_or_default();
    line("kernel", &format!("{}{number}", device.name))?;
    line("reached by", &device.transport.as_ref().map(ToString::to_string).unwrap_or_default())?;
    line("address", &device.scsi_address.map(|address| address.to_string()).unwrap_or_default())?;
    line("state", device.state.as_deref().unwrap_or_default())?;
    for controller in &device.controllers {
        let parts = [Some(controller.name.clone()), controller.short_address(), controller.state.clone()];
        line("controller", &parts.into_iter().flatten().collect::<Vec<_>>().join(" "))?;
    }
    line("dm", &device.dm.as_ref().map(dm).unwrap_or_default())?;
    line("md", &device.md.as_ref().map(md).unwrap_or_default())?;
    line("file", device.file.as_deref().unwrap_or_default())?;
    line("DRBD", &device.drbd_volume().unwrap_or_default())?;
    line("content", &device.file_system.as_ref().map(content).unwrap_or_default())?;
    for mount in &device.mounts {
        line("mounted at", &mounted(mount))?;
    }
    line("built on", &listed(&report.below))?;
    line("above", &listed(&report.above))?;
    let own: BTreeSet<&str> = device.mounts.iter().map(|mount| mount.path.as_str()).collect();
    let carried = report.carries.mounts.iter().map(String::as_str).filter(|mount| !own.contains(mount));
    line("carries", &joined(report.carries.drbd.iter().map(String::as_str).chain(carried)))?;
    line("units", &joined(report.carries.units.iter().map(String::as_str)))?;
    for (what, id) in ids(&device.ids) {
        line(what, id)?;
    }
    for link in device.links.iter().filter(|link| **link != device.path) {
        line("link", link)?;
    }
    let also: Vec<&str> = found.also.iter().map(|device| device.short_name()).collect();
    line("also so called", &also.join(", "))?;
    for remark in &device.remarks {
        writeln!(out, "  {WARN}{:<16}{END}{}", "odd", clean(remark))?;
    }
    Ok(())
}

/// What is odd: of the listing, and that there is something of devices.
pub(super) fn remarks(map: &DeviceMap, of_listing: &[String], is_all: bool, out: &mut dyn Write) -> io::Result<()> {
    for remark in of_listing {
        writeln!(out, "{WARN}{}{END}", clean(remark))?;
    }
    let odd: Vec<&str> =
        map.in_order().into_iter().filter(|device| !device.remarks.is_empty()).map(Device::short_name).collect();
    if is_all && !odd.is_empty() {
        let first: Vec<&str> = odd.iter().copied().take(5).collect();
        let more =
            if odd.len() > first.len() { format!(" and {} more", odd.len() - first.len()) } else { String::new() };
        let names = clean(&first.join(", "));
        writeln!(out, "{WARN}something is odd with {names}{more}{END}: reactorctl block NAME says what")?;
    }
    Ok(())
}

/// What came from devices and from logs must not reach a terminal as it is, and a line stays one.
pub(crate) fn clean(text: &str) -> String {
    harmless(text).replace(['\n', '\t'], " ")
}

/// In the unit in which the number is short.
pub(super) fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let mut number = bytes as f64;
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for next in units {
        if number < 1024.0 {
            break;
        }
        number /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{number:.1} {unit}") }
}

fn dm(dm: &reactor_storage::device::Dm) -> String {
    let volume = dm.vg.as_ref().zip(dm.lv.as_ref()).map(|(vg, lv)| format!("{vg}/{lv}"));
    let suspended = dm.suspended.then(|| "suspended: all I/O to it waits".to_owned());
    volume.into_iter().chain(suspended).collect::<Vec<_>>().join(", ")
}

fn md(md: &reactor_storage::device::Md) -> String {
    let mut parts: Vec<String> = [&md.level, &md.state].into_iter().flatten().cloned().collect();
    parts.extend(md.action.iter().filter(|action| *action != "idle").cloned());
    if let Some(missing) = md.degraded.filter(|missing| *missing > 0) {
        let of = md.disks.map(|disks| format!(" of {disks}")).unwrap_or_default();
        parts.push(format!("{missing}{of} missing"));
    }
    parts.join(", ")
}

fn content(fs: &FileSystem) -> String {
    let label = fs.label.as_ref().map(|label| format!("{label:?}"));
    [Some(fs.fs_type.clone()), fs.uuid.clone(), label].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn mounted(mount: &MountPoint) -> String {
    let how = if mount.read_only { ", read-only" } else { "" };
    format!("{} ({}{how})", mount.path, mount.fs_type)
}

fn listed(devices: &[&Device]) -> String {
    devices.iter().map(|device| format!("{} ({})", device.short_name(), device.kind)).collect::<Vec<_>>().join(", ")
}

fn joined<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    texts.collect::<Vec<_>>().join(", ")
}

/// Those that people look for, with their words.
fn ids(ids: &Ids) -> impl Iterator<Item = (&'static str, &str)> {
    [
        ("wwid", &ids.wwid),
        ("serial", &ids.serial),
        ("wwn", &ids.wwn),
        ("nguid", &ids.nguid),
        ("eui", &ids.eui),
        ("uuid", &ids.uuid),
        ("md uuid", &ids.md_uuid),
        ("partuuid", &ids.partition_uuid),
        ("partlabel", &ids.partition_label),
        ("ptuuid", &ids.partition_table_uuid),
        ("vendor", &ids.vendor),
        ("model", &ids.model),
    ]
    .into_iter()
    .filter_map(|(what, id)| Some((what, id.as_deref()?)))
}
