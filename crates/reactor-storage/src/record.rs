//! One message of a log, whatever the log was.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Bytes of a message that are looked at. The kernel's own are shorter than 1,024 bytes, and journald's can be of any length.
pub const MAX_TEXT: usize = 8192;

/// Who says it. Rules of the kernel match only what the kernel says, those of a tool only that tool: applications print "I/O error", too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin<'a> {
    /// The kernel itself: facility `kern`, or journald's transport `kernel`.
    Kernel,
    /// A program, by its syslog identifier: `multipathd`, `smartd`, ...
    Program(&'a str),
    /// The kernel, by a uevent: the text is a line of [`crate::uevent`].
    Uevent,
}

/// When something was logged. A log has the one, or the other, or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Stamp {
    /// Microseconds since 1970-01-01T00:00:00Z.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_us: Option<u64>,
    /// Microseconds since that machine's boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_us: Option<u64>,
}

/// One message, borrowed from the bytes that it was read from where that is possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Who says it.
    pub origin: Origin<'a>,
    /// When.
    pub at: Stamp,
    /// syslog's level, 0 (emergency) to 7 (debug), if the log has it.
    pub level: Option<u8>,
    /// What is said, without a line end behind it. One message can have several lines, and blanks at either end.
    pub text: Cow<'a, str>,
    /// The host that it happened on, where the log says so.
    pub host: Option<Cow<'a, str>>,
    /// `SUBSYSTEM` of the kernel's record, which few have.
    pub subsystem: Option<Cow<'a, str>>,
    /// `DEVICE` of the kernel's record: `b8:0`, `c243:0`, `n2`, `+scsi:0:0:0:0`.
    pub device: Option<Cow<'a, str>>,
    /// Where it stands in its log, to go on behind it.
    pub place: Place<'a>,
}

/// Where a message stands in its log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place<'a> {
    /// The boot that it is from, as 32 hexadecimal digits.
    pub boot: Option<Cow<'a, str>>,
    /// The kernel's number of it, within one boot.
    pub sequence: Option<u64>,
    /// The journal's cursor.
    pub cursor: Option<Cow<'a, str>>,
}

impl<'a> Record<'a> {
    /// A message of which only the text is known.
    pub fn new(origin: Origin<'a>, text: impl Into<Cow<'a, str>>) -> Self {
        let (at, level, host, subsystem, device, place) = Default::default();
        Self { origin, at, level, text: text.into(), host, subsystem, device, place }
    }
}
