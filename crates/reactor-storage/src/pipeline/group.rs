//! Lines of one failure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::named::Names;
use crate::catalogue::{EventType, Finding, What as Part};
use crate::device::DeviceMap;
use crate::event::{Event, MAX_LINES, Named, Other, Severity, Subsystem};
use crate::record::{Origin, Record, Stamp};

/// Characters of a line that are kept.
const MAX_LINE: usize = 1024;
/// Fields that are kept, and characters of each.
const MAX_FIELDS: usize = 48;
const MAX_FIELD: usize = 256;
/// Other devices that one event names.
const MAX_OTHERS: usize = 16;

/// Types that say that something failed, and not what: any other line of the same failure says more.
const VAGUE: [&str; 3] = ["SCSI_CMD_FAILED", "SCSI_SENSE", "ATA_EXCEPTION"];

/// The name of who says it.
pub(super) fn source<'r>(record: &Record<'r>) -> &'r str {
    match record.origin {
        Origin::Kernel => "kernel",
        Origin::Program(identifier) => identifier,
        Origin::Uevent => "uevent",
    }
}

/// The lines of one failure, as far as they have come.
#[derive(Debug)]
pub(super) struct Group {
    id: String,
    at: Stamp,
    last: Stamp,
    /// When the last line came, on the caller's axis.
    pub(super) last_us: u64,
    /// The event that they are, if one of them is one.
    what: Option<Meaning>,
    devices: Vec<(String, Named<'static>)>,
    fields: BTreeMap<String, String>,
    lines: Vec<String>,
    /// One of the lines is an event by itself.
    is_event: bool,
    /// The block layer has said its word.
    by_block: bool,
    source: String,
    host: Option<String>,
}

#[derive(Debug)]
struct Meaning {
    of: EventType,
    severity: Severity,
    subsystem: Subsystem,
    message: String,
}

/// An event, and when its last line came.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) event: Event,
    pub(super) of: EventType,
    pub(super) last_us: u64,
}

impl Group {
    pub(super) fn new(record: &Record<'_>, finding: &Finding<'_>, now_us: u64) -> Self {
        let mut group = Self {
            id: id(record),
            at: record.at,
            last: record.at,
            last_us: now_us,
            what: None,
            devices: Vec::new(),
            fields: BTreeMap::new(),
            lines: Vec::new(),
            is_event: false,
            by_block: false,
            source: source(record).to_owned(),
            host: record.host.as_deref().map(str::to_owned),
        };
        group.add(record, finding, now_us);
        group
    }

    /// Whether the block layer's line about this disk is about these lines, too.
    pub(super) fn waits_for(&self, disk: &str) -> bool {
        !self.by_block
            && self.is_event
            && self.devices.iter().any(|(_, named)| matches!(named, Named::Kernel(name) if name == disk))
    }

    pub(super) fn add(&mut self, record: &Record<'_>, finding: &Finding<'_>, now_us: u64) {
        self.last = record.at;
        self.last_us = now_us;
        let line = || cut(record.text.trim(), MAX_LINE);
        if self.lines.len() < MAX_LINES {
            self.lines.push(line());
        }
        for (role, named) in &finding.devices {
            let known = self.devices.iter().any(|(_, known)| known == named);
            if !known && self.devices.len() < MAX_OTHERS {
                self.devices.push((cut(role, MAX_FIELD), named.to_owned()));
            }
        }
        for (name, value) in &finding.fields {
            if self.fields.len() < MAX_FIELDS && !self.fields.contains_key(*name) {
                self.fields.insert((*name).to_owned(), cut(value, MAX_FIELD));
            }
        }
        let is_block = finding.event.name.starts_with("BLK_");
        if self.is_better(finding, is_block) {
            let (of, severity, subsystem) = (finding.event.clone(), finding.severity, finding.subsystem);
            self.what = Some(Meaning { of, severity, subsystem, message: line() });
        } else if let (true, Some(what)) = (is_block, &mut self.what) {
            // The device's word says what failed; the block layer's says where.
            what.severity = what.severity.max(finding.severity);
            what.message = line();
        }
        self.by_block |= is_block;
        self.is_event |= finding.what == Part::Event;
    }

    fn is_better(&self, finding: &Finding<'_>, is_block: bool) -> bool {
        let Some(what) = &self.what else { return true };
        let is_vague = |name: &str| VAGUE.contains(&name);
        match (is_vague(&what.of.name), is_vague(&finding.event.name)) {
            (true, false) => !is_block || finding.severity > what.severity,
            (false, true) => false,
            _ => !is_block && finding.severity > what.severity,
        }
    }

    /// The event; `None` = none of the lines is one.
    pub(super) fn event(self, map: &DeviceMap, names: &Names) -> Option<Made> {
        let Meaning { of, severity, subsystem, message } = self.what.filter(|_| self.is_event)?;
        let mut found = self.devices.iter().flat_map(|(role, named)| {
            names.summaries(named, map).into_iter().map(move |device| Other { role: role.clone(), device })
        });
        let device = found.next().map(|first| first.device);
        let mut others: Vec<Other> = Vec::new();
        for other in found {
            let known =
                device.iter().chain(others.iter().map(|other| &other.device)).any(|known| known.id == other.device.id);
            if !known && others.len() < MAX_OTHERS {
                others.push(other);
            }
        }
        let event = Event {
            id: self.id,
            at: self.at,
            last: self.last,
            severity,
            kind: of.name.to_string(),
            subsystem,
            device,
            others,
            fields: self.fields,
            message,
            lines: self.lines,
            count: 1,
            source: self.source,
            host: self.host,
        };
        Some(Made { event, of, last_us: self.last_us })
    }
}

/// As much of a field as is kept.
pub(super) fn kept(value: &str) -> &str {
    beginning(value, MAX_FIELD)
}

fn cut(text: &str, most: usize) -> String {
    beginning(text, most).to_owned()
}

fn beginning(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end])
}

/// The same line gives the same id, whether it was read from `/dev/kmsg` or from the journal: both have the boot, the time since it, and the text.
fn id(record: &Record<'_>) -> String {
    let boot = record.place.boot.as_deref().unwrap_or_default().as_bytes();
    let at = record.at.boot_us.filter(|_| !boot.is_empty()).or(record.at.wall_us).or(record.at.boot_us);
    hashed(boot.iter().copied().chain(at.unwrap_or_default().to_le_bytes()).chain(record.text.trim().bytes()))
}

/// An id made of these.
pub(super) fn id_of(parts: &[&str]) -> String {
    hashed(parts.iter().flat_map(|part| part.bytes()))
}

fn hashed(bytes: impl Iterator<Item = u8>) -> String {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    // FNV-1a: spread well, and the same on every machine.
    let hash = bytes.fold(BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    let mut text = String::with_capacity(16);
    let _ = write!(text, "{hash:016x}");
    text
}
