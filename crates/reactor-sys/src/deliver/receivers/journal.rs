//! The journal: one entry for each notice, with fields, by which it can be asked for: `journalctl RESOURCE=r0 SEVERITY=error`.
//!
//! | field | what |
//! | --- | --- |
//! | `MESSAGE`, `PRIORITY`, `SYSLOG_IDENTIFIER` | what journalctl shows |
//! | `MESSAGE_ID` | the kind of notice; dist/storage-reactor.catalog says of each what it means |
//! | `NOTICE_ID`, `TOPIC`, `WHAT`, `SEVERITY`, `RESOURCE`, `BECAUSE`, `INCIDENT`, `NODE` | the notice |
//! | `DEVICE_ID`, `DEVICE`, `SUBSYSTEM`, `MEANING`, `ADVICE` | the storage event |
//! | `IS_PERIPETY`, `DEV_WWID`, `DEV_PATH`, `OWNERS_WWIDS`, `OWNERS_PATHS`, `EVENT_TYPE`, `EVENT_ID`, `SUB_SYSTEM`, `EXT_*`, `JSON` | the same by the names that peripetyd had for it. Of `owners`, what a device is built on |
//!
//! journald says nothing back. It is there or it is not, and a socket that is full is waited for.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Instant;

use reactor_core::notice::{Notice, Topic};
use reactor_storage::catalogue::EventType;
use reactor_storage::device::{Kind, Related};
use reactor_storage::event::{Event, Subsystem};

use super::super::failure::Failure;
use super::super::parcel::{Parcel, line};
use super::{Receiver, document, left};
use crate::log::journal::{PROGRAM, put};

/// Values of a field that comes more than once.
const MAX_VALUES: usize = 32;

/// Longest JSON of an event: what is larger is left out, because a datagram has to fit a socket's buffer.
const MAX_JSON: usize = 24 * 1024;

/// A kind of notice, for the catalogue. Never changed: people ask for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageId(pub(crate) &'static str);

/// A storage event.
pub(crate) const EVENT: MessageId = MessageId("1131d09a534a40788144fab7097f4869");
/// A storage incident that goes on.
pub(crate) const INCIDENT: MessageId = MessageId("3fff8f2525be42eda32c2ac26e3cc54e");
/// A storage incident that is over.
pub(crate) const INCIDENT_OVER: MessageId = MessageId("3d31ac38a9c8426f9eb589bd7732e76f");
/// A change of DRBD.
pub(crate) const DRBD: MessageId = MessageId("eaffc14a63ea48409779cb5a1e1bf401");
/// A decision of the promoter.
pub(crate) const PROMOTER: MessageId = MessageId("20e60a0ede5049eb9ad15af3266ac7cf");
/// The daemon.
pub(crate) const DAEMON: MessageId = MessageId("8640e12896034eb984b1805363c733dd");

impl MessageId {
    fn of(notice: &Notice) -> Self {
        match notice.topic {
            Topic::Event => EVENT,
            Topic::Incident if notice.what == "over" => INCIDENT_OVER,
            Topic::Incident => INCIDENT,
            Topic::Drbd => DRBD,
            Topic::Promoter => PROMOTER,
            Topic::Daemon => DAEMON,
        }
    }
}

/// The journal.
pub(super) struct Journal {
    path: PathBuf,
}

impl Journal {
    /// The one that listens at `path`.
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }
}

impl Receiver for Journal {
    fn deliver(&mut self, parcel: &Parcel, told: &mut usize, until: Instant) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::of(format!("the journal ({})", self.path.display()), &error);
        let socket = UnixDatagram::unbound().map_err(failed)?;
        // A journal that was started again has another socket of the same name.
        socket.connect(&self.path).map_err(failed)?;
        while *told < parcel.message.notices.len() {
            socket.set_write_timeout(Some(left(until)?)).map_err(failed)?;
            socket.send(&datagram(parcel, *told)).map_err(failed)?;
            *told += 1;
        }
        Ok(())
    }
}

fn datagram(parcel: &Parcel, index: usize) -> Vec<u8> {
    let notice = &parcel.message.notices[index];
    let mut out = Vec::with_capacity(1024);
    put(&mut out, "MESSAGE", &line(&notice.text, 8 * 1024));
    put(&mut out, "PRIORITY", &notice.severity.syslog_level().to_string());
    put(&mut out, "SYSLOG_IDENTIFIER", PROGRAM);
    put(&mut out, "MESSAGE_ID", MessageId::of(notice).0);
    put(&mut out, "NOTICE_ID", &parcel.notice_id(index));
    put(&mut out, "NODE", &line(&parcel.message.node, 256));
    put(&mut out, "RECEIVER", &line(&parcel.message.receiver, 256));
    put(&mut out, "TOPIC", notice.topic.as_str());
    put(&mut out, "WHAT", &line(&notice.what, 128));
    put(&mut out, "SEVERITY", notice.severity.as_str());
    put(&mut out, "TIME", &document::time(notice));
    for why in notice.because.iter().take(MAX_VALUES) {
        put(&mut out, "BECAUSE", &line(why, 1024));
    }
    for resource in notice.resources.iter().take(MAX_VALUES) {
        put(&mut out, "RESOURCE", &line(resource, 256));
    }
    if let Some(incident) = &notice.incident {
        put(&mut out, "INCIDENT", &line(incident, 128));
    }
    if let Some(event) = &notice.event {
        put_event(&mut out, event);
    }
    if index + 1 == parcel.message.notices.len() && parcel.message.left_out > 0 {
        put(&mut out, "LEFT_OUT", &parcel.message.left_out.to_string());
    }
    out
}

fn put_event(out: &mut Vec<u8>, event: &Event) {
    put(out, "SUBSYSTEM", event.subsystem.as_str());
    if let Some(known) = EventType::built_in(&event.kind) {
        put(out, "MEANING", &known.meaning);
        put(out, "ADVICE", &known.advice);
    }
    put(out, "IS_PERIPETY", "TRUE");
    put(out, "EVENT_TYPE", &line(&event.kind, 128));
    put(out, "EVENT_ID", &line(&event.id, 128));
    put(out, "SUB_SYSTEM", peripetys(event.subsystem));
    if let Some(device) = &event.device {
        put(out, "DEVICE", &line(device.label(), 256));
        put(out, "DEVICE_ID", &line(&device.id, 256));
        put(out, "DEV_WWID", &line(&device.id, 256));
        put(out, "DEV_PATH", &line(&device.path, 1024));
        for below in device.below.iter().take(MAX_VALUES) {
            put(out, "OWNERS_WWIDS", &line(&below.id, 256));
            put(out, "OWNERS_PATHS", &line(&path(below), 1024));
        }
    }
    for (name, value) in event.fields.iter().take(MAX_VALUES) {
        if let Some(name) = extension(name) {
            put(out, &name, &line(value, 1024));
        }
    }
    let json = serde_json::to_string(event).unwrap_or_default();
    if !json.is_empty() && json.len() <= MAX_JSON {
        put(out, "JSON", &json);
    }
}

/// Where a device that another is built on is found: it is known by device mapper's name, or the kernel's.
fn path(device: &Related) -> String {
    let is_mapped = device.kind.peripety().starts_with("Dm")
        || (device.kind == Kind::Partition && Kind::of_name(&device.name) == Kind::Other);
    if is_mapped { format!("/dev/mapper/{}", device.name) } else { format!("/dev/{}", device.name) }
}

/// `EXT_` and the name in upper case. Names of fields come from rules, also of users: what the journal would refuse is left out.
fn extension(name: &str) -> Option<String> {
    let is_good = !name.is_empty() && name.len() <= 48;
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    is_good.then(|| format!("EXT_{}", name.chars().map(upper).collect::<String>()))
}

/// The word that peripetyd had; ours where it had none.
fn peripetys(subsystem: Subsystem) -> &'static str {
    match subsystem {
        Subsystem::Scsi => "SCSI",
        Subsystem::Thin => "LVM-ThinProvisioning",
        Subsystem::Multipath => "Multipath",
        Subsystem::Nvme => "NVMe",
        other => other.as_str(),
    }
}

#[cfg(test)]
mod tests;
