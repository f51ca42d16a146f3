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
use std::time::Duration;

use anstyle::Style;
use reactor_api::objects::{WireConnection, WireDevice, WirePeerDevice, WireResource};

use crate::problems::{Severity, connection_severity, device_severity, mark, peer_device_severity};
use crate::style::{BAD, DIM, END, GOOD, NAME, WARN};
use crate::text::duration;

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
    let (mark, style) = if is_connected { mark(severity) } else { (' ', DIM) };
    let fields = &device.fields;
    write!(out, "{style}{mark}{END} {bar} {} volume {}", branch(is_last), device.volume)?;
    write!(out, "  {style}{}{END}  {}", fields.peer_disk_state, fields.replication_state)?;
    if fields.peer_client == Some(true) {
        write!(out, "  client")?;
    }
    let Some(progress) = progress(device).filter(|_| is_connected) else {
        match fields.out_of_sync_kib {
            Some(kib) if kib > 0 && is_connected => write!(out, "  {style}{kib} KiB out of sync{END}")?,
            _ => {}
        }
        return writeln!(out);
    };
    let gutter = if is_last { "  " } else { "│ " };
    writeln!(out, "\n  {bar} {gutter}     {progress}")
}

/// How many characters a bar has.
const BAR: usize = 20;

/// How far a resync or verify is: `██████████░░░░░░░░░░ 51.1%  2.8 MiB/s, 11 s left, 31.2 MiB to go`. `None` = none runs.
pub(crate) fn progress(device: &WirePeerDevice) -> Option<String> {
    let fields = &device.fields;
    let done = fields.done_percent.filter(|done| done.is_finite())?.clamp(0.0, 100.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 20")]
    let full = (done / 100.0 * BAR as f64).floor() as usize;
    // It is whole when nothing is left, and not before.
    let percent = (done * 10.0).floor() / 10.0;
    let mut text = format!("{}{} {percent:.1}%", "█".repeat(full), "░".repeat(BAR - full));
    let mut rest = Vec::new();
    if let Some(rate) = rate_mib_s(device) {
        rest.push(format!("{rate:.1} MiB/s"));
    }
    if let Some(seconds) = fields.eta_s {
        rest.push(format!("{} left", duration(Duration::from_secs(seconds))));
    }
    if let Some(kib) = fields.out_of_sync_kib.filter(|kib| *kib > 0) {
        rest.push(format!("{} to go", size(kib)));
    }
    if !matches!(fields.resync_suspended.as_str(), "no" | "") {
        rest.push(format!("paused: {}", fields.resync_suspended));
    }
    if !rest.is_empty() {
        text.push_str("  ");
        text.push_str(&rest.join(", "));
    }
    Some(text)
}

/// What DRBD says of the last seconds; else what is left through the time that DRBD thinks it takes.
fn rate_mib_s(device: &WirePeerDevice) -> Option<f64> {
    let fields = &device.fields;
    if let Some(rate) = fields.speed_mib_s.filter(|rate| rate.is_finite()) {
        return Some(rate);
    }
    let (kib, seconds) = (fields.out_of_sync_kib?, fields.eta_s.filter(|seconds| *seconds > 0)?);
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    Some(kib as f64 / 1024.0 / seconds as f64)
}

/// KiB for people.
#[expect(clippy::cast_precision_loss, reason = "for people")]
fn size(kib: u64) -> String {
    match kib {
        0..1024 => format!("{kib} KiB"),
        1024..1_048_576 => format!("{:.1} MiB", kib as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} GiB", kib as f64 / 1_048_576.0),
        _ => format!("{:.1} TiB", kib as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use reactor_api::objects::PeerDeviceFields;

    use super::*;

    fn shown(done: Option<f64>, rate: Option<f64>, left: Option<u64>, kib: Option<u64>) -> Option<String> {
        let fields = PeerDeviceFields {
            done_percent: done,
            speed_mib_s: rate,
            eta_s: left,
            out_of_sync_kib: kib,
            ..PeerDeviceFields::default()
        };
        progress(&WirePeerDevice { fields, ..WirePeerDevice::default() })
    }

    #[test]
    fn a_bar_says_what_drbd_says_and_no_more() {
        assert_eq!(shown(None, None, None, Some(1)), None);
        assert_eq!(shown(Some(f64::NAN), None, None, None), None);
        assert_eq!(shown(Some(0.0), None, None, None).unwrap(), "░░░░░░░░░░░░░░░░░░░░ 0.0%");
        let whole = shown(Some(51.14), Some(2.84), Some(11), Some(32_000)).unwrap();
        assert_eq!(whole, "██████████░░░░░░░░░░ 51.1%  2.8 MiB/s, 11 s left, 31.2 MiB to go");
        // Without a rate: what is left in the time that is left.
        let made = shown(Some(99.99), None, Some(3_725), Some(3 << 30)).unwrap();
        assert_eq!(made, "███████████████████░ 99.9%  844.5 MiB/s, 1 h 2 min left, 3.0 TiB to go");
        // DRBD 8.4 says more than there is.
        assert!(shown(Some(107.0), None, None, None).unwrap().starts_with("████████████████████ 100.0%"));
    }
}
