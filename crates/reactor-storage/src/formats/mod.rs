//! Forms of logs: bytes in, [`Record`]s out.
//!
//! ```text
//!   bytes ─▶ detect ─▶ Format ─▶ Reader::push ─▶ whole messages ─▶ Record
//!            first     which      any pieces       kmsg             borrowed from
//!            64 KiB    form                        export, json     the bytes
//!                                                  lines of text
//! ```
//!
//! A [`Reader`] takes pieces of any size and keeps what is not yet a whole message. Whatever the bytes are, it keeps a bounded amount and goes on:
//! what it could not read or had to cut is counted in [`Counts`].

mod export;
mod json;
pub mod kmsg;
mod lines;
mod reader;
mod stamp;
mod text;

use crate::record::{MAX_TEXT, Record};
use std::borrow::Cow;

pub use reader::{Counts, Reader};
pub use stamp::{Clock, rfc3339};

/// Bytes at the beginning of a log that [`detect`] looks at.
pub const DETECT_BYTES: usize = 64 * 1024;

/// Lines that [`detect`] looks at: a log that somebody pasted something in front of is a log, too.
const DETECT_LINES: usize = 64;

/// The form of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// What /dev/kmsg gives, one message after the other.
    Kmsg,
    /// `journalctl -o export`.
    Export,
    /// JSON: `journalctl -o json` and its relatives, `dmesg --json`.
    Json,
    /// `dmesg` with any of its stamps and prefixes.
    Dmesg,
    /// `journalctl -o short-monotonic`: `[   78.820000] host kernel: text`.
    ShortMonotonic,
    /// Lines with a time, a host and a name: other short forms of `journalctl`, files of rsyslog and syslog-ng.
    Syslog,
    /// `dmesg -t`: nothing but the kernel's text, each line by itself. Never detected: any text looks like that.
    Plain,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Kmsg, Self::Export, Self::Json, Self::Dmesg, Self::ShortMonotonic, Self::Syslog, Self::Plain];

    /// The word as the command line spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kmsg => "kmsg",
            Self::Export => "export",
            Self::Json => "json",
            Self::Dmesg => "dmesg",
            Self::ShortMonotonic => "short-monotonic",
            Self::Syslog => "syslog",
            Self::Plain => "plain",
        }
    }
}

/// Which form a log has, by its beginning (of which [`DETECT_BYTES`] are looked at). `None` = none that is known.
pub fn detect(first: &[u8]) -> Option<Format> {
    let first = &first[..first.len().min(DETECT_BYTES)];
    let lines: Vec<&[u8]> = lines::of(first).filter(|line| !line.is_empty()).take(DETECT_LINES).collect();
    let known = lines.iter().find_map(|line| detect_line(line))?;
    // The one form that another one looks like: the kernel's own text can have the look of a host and a name.
    if known == Format::Dmesg && lines.iter().any(|line| text::names_kernel_behind_stamp(line)) {
        return Some(Format::ShortMonotonic);
    }
    Some(known)
}

fn detect_line(line: &[u8]) -> Option<Format> {
    if export::begins(line) {
        Some(Format::Export)
    } else if json::begins(line) {
        Some(Format::Json)
    } else if kmsg::begins(line) {
        Some(Format::Kmsg)
    } else {
        text::detect_line(line)
    }
}

/// The text of a message: cut where it is too long, bytes that are not UTF-8 replaced by U+FFFD.
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    if bytes.len() <= MAX_TEXT {
        return String::from_utf8_lossy(bytes);
    }
    // Not in the middle of a character.
    let mut end = MAX_TEXT;
    while end > MAX_TEXT - 4 && bytes[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    String::from_utf8_lossy(&bytes[..end])
}

/// The name of a program. It decides which rules are tried, so that one which is no text is none of a tool.
fn program_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or("?")
}

/// A number, if that is all there is.
fn number<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes).ok()?.trim().parse().ok()
}

/// Whoever takes records.
trait Each: FnMut(Record<'_>) {}
impl<F: FnMut(Record<'_>)> Each for F {}
