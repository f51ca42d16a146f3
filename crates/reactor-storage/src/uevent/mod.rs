//! Uevents: what the kernel tells of devices beside its log, and what changes of a device when it does.
//!
//! ```text
//!   datagram ─▶ Uevent ──▶ lines ──────────────┐
//!                                              ├─▶ Record of Origin::Uevent ─▶ catalogue, as with messages
//!   Device before, Device now ─▶ differences ──┘
//! ```
//!
//! A line is what the catalogue has rules for: `block change dm-1: DM_ACTION=PATH_FAILED DM_PATH=8:48 ...`. It is of our own making, from the
//! properties that mean something; the same properties always make the same line. What means nothing to storage gives no line.

mod changes;
mod lines;

use std::borrow::Cow;

use thiserror::Error;

pub use changes::differences;

/// Properties that are kept of one uevent: the kernel itself has room for 64 (`UEVENT_NUM_ENVP`).
const MAX_PROPERTIES: usize = 64;

/// Characters that are kept of a name or a value: names are short, and the path of a device behind many bridges is not.
const MAX_TEXT: usize = 512;

/// One uevent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uevent<'d> {
    /// `add`, `remove`, `change`, `move`, `online`, `offline`, `bind`, `unbind`; whatever the kernel says.
    pub action: Cow<'d, str>,
    /// The device's folder below `/sys`.
    pub devpath: Cow<'d, str>,
    /// `block`, `scsi`, `nvme`, ...
    pub subsystem: Cow<'d, str>,
    /// What else it says, in its order.
    properties: Vec<(Cow<'d, str>, Cow<'d, str>)>,
}

/// Why a datagram is none of the kernel's uevents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotUevent {
    /// udev's own messages, and whatever else is sent there.
    #[error("it does not begin with ACTION@DEVPATH")]
    Header,
    /// The kernel gives each device that it speaks of a subsystem.
    #[error("it has no SUBSYSTEM")]
    Subsystem,
}

impl<'d> Uevent<'d> {
    /// Reads one datagram: `ACTION@DEVPATH`, then `KEY=value`, each ended by a zero byte. Bytes that are not UTF-8 are replaced by U+FFFD, and
    /// long texts are cut.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn parse(datagram: &'d [u8]) -> Result<Self, NotUevent> {
        let mut parts = datagram.split(|byte| *byte == 0);
        let (action, devpath) = halves(parts.next().unwrap_or_default(), b'@').ok_or(NotUevent::Header)?;
        if action.is_empty() || !devpath.starts_with('/') {
            return Err(NotUevent::Header);
        }
        let (mut subsystem, mut properties) = (None, Vec::new());
        for (key, value) in parts.filter_map(|part| halves(part, b'=')).take(MAX_PROPERTIES) {
            match key.as_ref() {
                "SUBSYSTEM" if !value.is_empty() => subsystem = Some(value),
                _ => properties.push((key, value)),
            }
        }
        let subsystem = subsystem.ok_or(NotUevent::Subsystem)?;
        Ok(Self { action, devpath, subsystem, properties })
    }

    /// A property that is not empty.
    pub fn property(&self, key: &str) -> Option<&str> {
        let found = self.properties.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_ref());
        found.filter(|value| !value.is_empty())
    }

    /// The kernel's name of the device, below `/dev`.
    pub fn device(&self) -> Option<&str> {
        let name = self.property("DEVNAME")?;
        Some(name.strip_prefix("/dev/").unwrap_or(name))
    }

    /// The name of the block device that it is about.
    pub fn block_device(&self) -> Option<&str> {
        self.device().filter(|_| self.subsystem == "block")
    }

    /// The kernel's number of it: all uevents have one, of all devices.
    pub fn number(&self) -> Option<u64> {
        self.property("SEQNUM")?.parse().ok()
    }

    /// What it says of storage, as lines that the catalogue has rules for; most often nothing.
    pub fn lines(&self) -> Vec<String> {
        lines::of(self)
    }

    /// Whether a table of the device mapper's was put in the place of another: what was said of the paths of the old one counts no more.
    pub fn is_other_table(&self) -> bool {
        self.action == "change"
            && self.device().is_some_and(|name| name.starts_with("dm-"))
            && self.property("DM_ACTION").is_none()
            && self.property("DM_COOKIE").is_some()
    }
}

fn halves(part: &[u8], at: u8) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    let place = part.iter().position(|byte| *byte == at)?;
    Some((text(&part[..place]), text(&part[place + 1..])))
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(bytes);
    match text.char_indices().nth(MAX_TEXT) {
        None => text,
        Some((end, _)) => Cow::Owned(text[..end].to_owned()),
    }
}

#[cfg(test)]
mod tests;
