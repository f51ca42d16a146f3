//! One resource as a tree: itself, its volumes, its peers with their volumes.
//!
//! ```text
//!   r1  Secondary  can be promoted, score 10203
//!   ├─ volume 0  /dev/drbd20  UpToDate
//! ! └─ n3  StandAlone  Unknown
//! ```
//!
//! The first column marks what `problems` lists at the top, so that `grep '^!'` finds it.

use std::io::{self, Write};

use anstyle::Style;
use reactor_api::objects::{WireConnection, WireDevice, WirePeerDevice, WireResource};

use crate::problems::{Severity, connection_severity, device_severity, peer_device_severity};
use crate::style::{BAD, DIM, END, GOOD, NAME, WARN};

/// Prints `resource`.
pub(crate) fn resource(resource: &WireResource, out: &mut dyn Write) -> io::Result<()> {
    root(resource, out)?;
    let last_device = resource.devices.len().checked_sub(usize::from(resource.connections.is_empty()));
    for (index, one) in resource.devices.iter().enumerate() {
        let is_last = resource.connections.is_empty() && Some(index) == last_device;
        device(one, is_last, out)?;
    }
    for (index, one) in resource.connections.iter().enumerate() {
        connection(resource, one, index + 1 == resource.connections.len(), out)?;
    }
    Ok(())
}

fn mark(severity: Option<Severity>) -> (&'static str, Style) {
    match severity {
        Some(Severity::Bad) => ("!", BAD),
        Some(Severity::Degraded) => ("*", WARN),
        Some(Severity::Note) => ("-", WARN),
        None => (" ", GOOD),
    }
}

fn branch(is_last: bool) -> &'static str {
    if is_last { "└─" } else { "├─" }
}

fn root(resource: &WireResource, out: &mut dyn Write) -> io::Result<()> {
    let fields = &resource.fields;
    let suspended = !matches!(fields.suspended.as_str(), "no" | "");
    let (mark, style) = mark((suspended || fields.force_io_failures == Some(true)).then_some(Severity::Bad));
    let role = if fields.role == "Primary" { GOOD } else { Style::new() };
    write!(out, "{style}{mark}{END} {NAME}{}{END}  {role}{}{END}", resource.name, fields.role)?;
    if suspended {
        write!(out, "  {BAD}I/O suspended: {}{END}", fields.suspended)?;
    }
    if fields.force_io_failures == Some(true) {
        write!(out, "  {BAD}I/O fails{END}")?;
    }
    if fields.may_promote {
        write!(out, "  can be promoted")?;
        if let Some(score) = fields.promotion_score {
            write!(out, "{DIM}, score {score}{END}")?;
        }
    }
    writeln!(out)
}

fn device(device: &WireDevice, is_last: bool, out: &mut dyn Write) -> io::Result<()> {
    let fields = &device.fields;
    let no_quorum = fields.quorum == Some(false);
    let severity = if no_quorum { Some(Severity::Bad) } else { device_severity(device) };
    let (sign, gutter) = mark(severity);
    let (_, style) = mark(device_severity(device));
    write!(out, "{gutter}{sign}{END} {} volume {}", branch(is_last), device.volume)?;
    if let Some(minor) = fields.minor {
        write!(out, "  /dev/drbd{minor}")?;
    }
    write!(out, "  {style}{}{END}", fields.disk_state)?;
    if fields.client == Some(true) {
        write!(out, "  client")?;
    }
    if no_quorum {
        write!(out, "  {BAD}no quorum{END}")?;
    }
    if fields.open == Some(true) {
        write!(out, "  open")?;
    }
    writeln!(out)
}

fn connection(
    resource: &WireResource,
    connection: &WireConnection,
    is_last: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let severity = connection_severity(connection);
    let down = connection.paths.iter().filter(|path| path.fields.established == Some(false)).count();
    let (sign, gutter) = mark(severity.or((down > 0).then_some(Severity::Degraded)));
    let (_, style) = mark(severity);
    let fields = &connection.fields;
    write!(out, "{gutter}{sign}{END} {} {NAME}{}{END}", branch(is_last), connection.display_name())?;
    write!(out, "  {style}{}{END}  {}", fields.connection_state, fields.peer_role)?;
    if down > 0 && severity.is_none() {
        write!(out, "  {WARN}{down} of {} paths down{END}", connection.paths.len())?;
    }
    writeln!(out)?;
    let bar = if is_last { "  " } else { "│ " };
    for (index, device) in connection.peer_devices.iter().enumerate() {
        let is_last = index + 1 == connection.peer_devices.len();
        // Of a peer that we do not see nothing is known; that is the connection's problem, not each volume's.
        let device_severity = peer_device_severity(resource, connection, device);
        peer_device(device, device_severity, bar, is_last, severity.is_none(), out)?;
    }
    Ok(())
}

fn peer_device(
    device: &WirePeerDevice,
    severity: Option<Severity>,
    bar: &str,
    is_last: bool,
    is_connected: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (mark, style) = if is_connected { mark(severity) } else { (" ", DIM) };
    let fields = &device.fields;
    write!(out, "{style}{mark}{END} {bar} {} volume {}", branch(is_last), device.volume)?;
    write!(out, "  {style}{}{END}  {}", fields.peer_disk_state, fields.replication_state)?;
    if fields.peer_client == Some(true) {
        write!(out, "  client")?;
    }
    if let Some(done) = fields.done_percent {
        write!(out, "  {done:.1}% done")?;
    }
    if let Some(seconds) = fields.eta_s {
        write!(out, ", {seconds} s left")?;
    }
    match fields.out_of_sync_kib {
        Some(kib) if kib > 0 && is_connected => write!(out, "  {style}{kib} KiB out of sync{END}")?,
        _ => {}
    }
    writeln!(out)
}
