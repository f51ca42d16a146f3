//! What a message turns out to be.

use std::borrow::Cow;

use crate::catalogue::rule::Join;
use crate::catalogue::template::{Field, Kind};
use crate::catalogue::types::EventType;
use crate::event::{Named, Severity, Subsystem};

/// What a message turns out to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding<'a> {
    /// The rule that says so.
    pub rule: &'a str,
    /// What it is.
    pub event: &'a EventType,
    /// How bad it is: by its type, or by what its fields say.
    pub severity: Severity,
    /// Which part of storage it is about.
    pub subsystem: Subsystem,
    /// Whether it is an event by itself.
    pub what: What,
    /// The devices that it names, each with what it is in the message: `path`, `map`. The first is the one that it is about.
    pub devices: Vec<(&'a str, Named<'a>)>,
    /// All that it says, in the order of the message: names and values.
    pub fields: Vec<(&'a str, Cow<'a, str>)>,
    /// What it has in common with other lines of the same failure.
    pub joined: Option<JoinKey>,
}

impl Finding<'_> {
    /// A field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_ref())
    }
}

/// Whether a message is an event by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It is one.
    Event,
    /// It only says more about a failure that other lines of the same [`JoinKey`] tell of, too. Its type and severity count if they are worse
    /// than those of the others: the line that says "media error" is such a part.
    Part,
    /// So many messages were left out by the kernel's rate limit. The field `function` says of which kind.
    Suppressed {
        /// How many.
        count: u64,
    },
}

/// What lines of one failure have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JoinKey {
    /// A command of a SCSI device. Lines of old kernels have no tag.
    Scsi {
        /// Host.
        host: u32,
        /// Channel.
        channel: u32,
        /// Target.
        target: u32,
        /// LUN.
        lun: u64,
        /// The command's tag.
        tag: Option<u32>,
    },
    /// A failure of an ATA port, up to its `EH complete`.
    Ata {
        /// The port.
        port: u32,
        /// The device at the port, where the line says it.
        device: Option<u32>,
    },
    /// The line of the same source before this one: a message in several pieces.
    Previous,
}

impl JoinKey {
    /// The key of a line with these devices and fields.
    pub(super) fn of(join: Join, devices: &[(&str, Named<'_>)], tag: Option<&str>) -> Option<Self> {
        let named = |wanted: fn(&Named<'_>) -> Option<Self>| devices.iter().find_map(|(_, device)| wanted(device));
        match join {
            Join::No => None,
            Join::Continues | Join::ContinuesPart => Some(Self::Previous),
            Join::Ata | Join::AtaPart => named(|device| match device {
                Named::Ata(port, device) => Some(Self::Ata { port: *port, device: *device }),
                _ => None,
            }),
            Join::Scsi | Join::ScsiPart => {
                let key = named(|device| match device {
                    Named::Scsi(host, channel, target, lun) => {
                        Some(Self::Scsi { host: *host, channel: *channel, target: *target, lun: *lun, tag: None })
                    }
                    _ => None,
                })?;
                Some(match key {
                    Self::Scsi { host, channel, target, lun, .. } => {
                        let tag = tag.and_then(|tag| tag.parse().ok());
                        Self::Scsi { host, channel, target, lun, tag }
                    }
                    other @ (Self::Ata { .. } | Self::Previous) => other,
                })
            }
        }
    }
}

/// The device that a field names, if its kind is that of a device and its text is one.
pub(super) fn device<'a>(field: &Field, text: &'a str) -> Option<Named<'a>> {
    match field.kind {
        Kind::Kernel if text == "?" => None,
        Kind::Kernel => Some(Named::Kernel(kernel_name(text))),
        Kind::Journal => Some(Named::Kernel(kernel_name(without_inode(text)))),
        Kind::Number => {
            let (major, minor) = text.split_once(':')?;
            Some(Named::Number(major.parse().ok()?, minor.parse().ok()?))
        }
        Kind::Scsi => scsi(text),
        Kind::ScsiHost => Some(Named::ScsiHost(text.parse().ok()?)),
        Kind::Ata => {
            let (port, device) = match text.strip_prefix("ata")?.split_once('.') {
                Some((port, device)) => (port, Some(device.parse().ok()?)),
                None => (text.strip_prefix("ata")?, None),
            };
            Some(Named::Ata(port.parse().ok()?, device))
        }
        Kind::Nvme => Some(Named::NvmeController(text.into())),
        Kind::Pci => Some(Named::Pci(text.into())),
        Kind::Dm => Some(Named::Dm(text.into())),
        Kind::Path => Some(Named::Path(text.into())),
        Kind::Session => Some(Named::IscsiSession(text.parse().ok()?)),
        Kind::Rport => Some(Named::FcPort(text.into())),
        Kind::Drbd | Kind::DrbdVolume => Some(match text.rsplit_once('/') {
            Some((resource, volume)) => Named::Drbd(resource.into(), volume.parse().ok()),
            None => Named::Drbd(text.into(), None),
        }),
        Kind::Id => Some(Named::Id(text.into())),
        Kind::Remote => Some(Named::Remote(text.into())),
        Kind::Num
        | Kind::Int
        | Kind::Decimal
        | Kind::Hex
        | Kind::Uuid
        | Kind::Word
        | Kind::Text
        | Kind::Any
        | Kind::Module
        | Kind::Changes
        | Kind::OneOf => None,
    }
}

/// A device as people and old rules name it: by number, by H:C:T:L, by path, or as the kernel does.
pub(super) fn device_of_word(text: &str) -> Named<'_> {
    let as_field = |kind| device(&Field { name: "kdev", kind, subject: true }, text);
    if text.starts_with('/') {
        return Named::Path(text.into());
    }
    let of_colons = match text.bytes().filter(|byte| *byte == b':').count() {
        1 => as_field(Kind::Number),
        3 => scsi(text),
        _ => None,
    };
    of_colons.unwrap_or_else(|| Named::Kernel(kernel_name(text)))
}

fn scsi(text: &str) -> Option<Named<'static>> {
    let mut parts = text.split(':');
    let (host, channel) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let (target, lun) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(Named::Scsi(host, channel, target, lun))
}

/// jbd2 and old block drivers print `!` for the `/` of names such as `cciss/c0d0p1`.
fn kernel_name(text: &str) -> Cow<'_, str> {
    if text.contains('!') { text.replace('!', "/").into() } else { text.into() }
}

/// jbd2 appends the inode of a journal that is a file, `sda1-8`; that of a device of its own has none. `dm-0` is a device, not inode 0 of `dm`.
fn without_inode(text: &str) -> &str {
    match text.rsplit_once('-') {
        Some((name, inode)) if name != "dm" && inode.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, text: &str, expect: Option<&Named<'_>>) {
        let found = device(&Field { name: "dev", kind, subject: false }, text);
        assert_eq!(found.as_ref(), expect, "{text}");
    }

    #[test]
    fn names_are_devices() {
        check(Kind::Kernel, "cciss!c0d0", Some(&Named::Kernel("cciss/c0d0".into())));
        check(Kind::Kernel, "?", None);
        check(Kind::Journal, "dm-0-8", Some(&Named::Kernel("dm-0".into())));
        check(Kind::Journal, "dm-0", Some(&Named::Kernel("dm-0".into())));
        check(Kind::Journal, "cciss!c0d0p1-8", Some(&Named::Kernel("cciss/c0d0p1".into())));
        check(Kind::Number, "8:48", Some(&Named::Number(8, 48)));
        check(Kind::Scsi, "6:0:0:18446744073709551615", Some(&Named::Scsi(6, 0, 0, u64::MAX)));
        check(Kind::Scsi, "6:0:0:18446744073709551616", None);
        check(Kind::Ata, "ata12", Some(&Named::Ata(12, None)));
        check(Kind::Ata, "ata1.01", Some(&Named::Ata(1, Some(1))));
        check(Kind::Drbd, "r0/1", Some(&Named::Drbd("r0".into(), Some(1))));
        check(Kind::Drbd, "r0", Some(&Named::Drbd("r0".into(), None)));
    }

    #[test]
    fn words_are_devices_by_their_form() {
        assert_eq!(device_of_word("8:48"), Named::Number(8, 48));
        assert_eq!(device_of_word("6:0:0:1"), Named::Scsi(6, 0, 0, 1));
        assert_eq!(device_of_word("/dev/sda"), Named::Path("/dev/sda".into()));
        assert_eq!(device_of_word("dm-3"), Named::Kernel("dm-3".into()));
        assert_eq!(device_of_word("a:b"), Named::Kernel("a:b".into()));
    }
}
