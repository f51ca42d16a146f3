//! Messages as /dev/kmsg gives them (Documentation/ABI/testing/dev-kmsg).
//!
//! ```text
//!   6,4711,28970000,-;scsi host2: scsi_debug: version 0191\x0a  dev_size_mb=64
//!    SUBSYSTEM=scsi
//!    DEVICE=+scsi:host2
//! ```
//!
//! Before the semicolon: facility * 8 + level, the number, microseconds since boot, flags, and what newer kernels may add. Bytes that are not
//! printable, those above 126 and the backslash are written as `\xNN`. Only the kernel itself writes with facility 0.

use std::borrow::Cow;

use memchr::memchr;

use super::{lines, number, program_of, text_of};
use crate::record::{Origin, Place, Record, Stamp};

/// Reads one message, as one read of /dev/kmsg gives it. `None` = it is none.
pub fn record(message: &[u8]) -> Option<Record<'_>> {
    let at = memchr(b';', message)?;
    let mut head = message[..at].split(|byte| *byte == b',');
    let priority: u32 = number(head.next()?)?;
    let (sequence, boot_us) = (number(head.next()?)?, number(head.next()?)?);
    let mut lines = lines::of(&message[at + 1..]);
    let raw = lines.next()?;
    let facility = priority >> 3;
    let (origin, raw) = if facility == 0 { (Origin::Kernel, raw) } else { said_by_program(raw) };
    let mut record = Record::new(origin, unescaped(raw));
    record.level = u8::try_from(priority & 7).ok();
    record.at = Stamp { wall_us: None, boot_us: Some(boot_us) };
    record.place = Place { sequence: Some(sequence), ..Place::default() };
    for line in lines {
        if let Some(value) = line.strip_prefix(b" SUBSYSTEM=") {
            record.subsystem = Some(unescaped(value));
        } else if let Some(value) = line.strip_prefix(b" DEVICE=") {
            record.device = Some(unescaped(value));
        }
    }
    Some(record)
}

/// Whether a line has what stands before a message.
pub(super) fn begins(line: &[u8]) -> bool {
    let Some(at) = memchr(b';', line) else { return false };
    let head: Vec<&[u8]> = line[..at].split(|byte| *byte == b',').collect();
    head.len() >= 4 && head[..3].iter().all(|part| number::<u64>(part).is_some())
}

/// Programs write `name[123]: text`, or what they like.
pub(super) fn said_by_program(text: &[u8]) -> (Origin<'_>, &[u8]) {
    match super::text::tag(text) {
        Some((name, rest)) => (Origin::Program(program_of(name)), rest),
        None => (Origin::Program(""), text),
    }
}

fn unescaped(bytes: &[u8]) -> Cow<'_, str> {
    if memchr(b'\\', bytes).is_none() {
        return text_of(bytes);
    }
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr(b'\\', rest) {
        plain.extend_from_slice(&rest[..at]);
        let code = rest.get(at + 1..at + 4).and_then(|code| code.strip_prefix(b"x"));
        let byte = code.filter(|code| code.iter().all(u8::is_ascii_hexdigit)).and_then(|code| {
            let code = std::str::from_utf8(code).ok()?;
            u8::from_str_radix(code, 16).ok()
        });
        let (byte, length) = byte.map_or((b'\\', 1), |byte| (byte, 4));
        plain.push(byte);
        rest = &rest[at + length..];
    }
    plain.extend_from_slice(rest);
    Cow::Owned(text_of(&plain).into_owned())
}
