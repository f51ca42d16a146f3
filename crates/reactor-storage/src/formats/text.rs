//! Lines with a head: what `dmesg` prints, short forms of `journalctl`, files of syslog daemons.
//!
//! ```text
//!   <6>[   12.345678] text                             dmesg, dmesg -r
//!   kern  :info  : [   12.345678] text                 dmesg -x
//!   [Sun Nov 29 20:00:01 2026] text                    dmesg -T; also ISO with a comma, -e, -d, and the caller: [   12.3][    T1] text
//!   [   12.345678] host kernel: text                   short-monotonic
//!   Nov 29 20:00:01 host kernel: [   12.345678] text   short, short-precise, short-iso, short-full, short-unix; rsyslog
//!   2026-11-29T20:00:01.123456+00:00 host multipathd[123]: text
//! ```
//!
//! Further lines of a message are indented as far as its text is.

use std::borrow::Cow;

use memchr::memchr;
use memchr::memmem;

use super::stamp::{self, Civil, Clock};
use super::{Format, lines, program_of, text_of};
use crate::record::{Origin, Record, Stamp};

/// The name of a program is shorter; syslog's own limit is 48.
const MAX_TAG: usize = 128;

const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];

/// Reads one message. `None` = it has no head of that form.
pub(super) fn record<'a>(format: Format, unit: &'a [u8], clock: &Clock) -> Option<Record<'a>> {
    let mut lines = lines::of(unit);
    let line = lines.next()?;
    let (priority, rest) = priority(line);
    let head = match format {
        Format::ShortMonotonic => {
            let (at, rest) = bracket(rest, clock)?;
            named(rest, at)?
        }
        Format::Syslog => {
            let (at, rest) = syslog_stamp(rest, clock)?;
            named(rest, at)?
        }
        Format::Dmesg | Format::Kmsg | Format::Export | Format::Json | Format::Plain => dmesg(priority, rest, clock)?,
    };
    let indent = line.len() - head.text.len();
    let mut record = Record::new(head.origin, joined(head.text, indent, lines));
    if format == Format::Syslog {
        record.text = without_octal(record.text);
    }
    record.at = head.at;
    record.level = priority.map(|priority| priority.level);
    record.host = head.host.map(String::from_utf8_lossy);
    Some(record)
}

/// A line of a log without heads: the kernel's.
pub(super) fn plain(line: &[u8]) -> Option<Record<'_>> {
    Some(Record::new(Origin::Kernel, text_of(line)))
}

/// What journalctl says itself between the lines.
pub(super) fn is_remark(line: &[u8]) -> bool {
    line.starts_with(b"-- ")
}

/// The form of which this is a line.
pub(super) fn detect_line(line: &[u8]) -> Option<Format> {
    let (priority, rest) = priority(line);
    let clock = Clock::default();
    if syslog_stamp(rest, &clock).is_some_and(|(at, rest)| named(rest, at).is_some()) {
        return Some(Format::Syslog);
    }
    dmesg(priority, rest, &clock).map(|_| Format::Dmesg)
}

/// `[   78.820000] host kernel: `: the kernel's text never calls anything so.
pub(super) fn names_kernel_behind_stamp(line: &[u8]) -> bool {
    bracket(line, &Clock::default())
        .and_then(|(at, rest)| named(rest, at))
        .is_some_and(|head| head.host.is_some() && head.origin == Origin::Kernel)
}

#[derive(Clone, Copy, Debug)]
struct Priority {
    facility: Option<Facility>,
    level: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Facility {
    Kernel,
    Other,
}

/// What stands before the text.
struct Head<'a> {
    at: Stamp,
    host: Option<&'a [u8]>,
    origin: Origin<'a>,
    text: &'a [u8],
}

/// `<6>`, or `kern  :info  : `.
fn priority(line: &[u8]) -> (Option<Priority>, &[u8]) {
    numeric_priority(line).or_else(|| decoded_priority(line)).map_or((None, line), |(found, rest)| (Some(found), rest))
}

fn numeric_priority(line: &[u8]) -> Option<(Priority, &[u8])> {
    let rest = line.strip_prefix(b"<")?;
    let end = memchr(b'>', &rest[..rest.len().min(6)])?;
    let number: u32 = stamp::digits(std::str::from_utf8(&rest[..end]).ok()?)?;
    let facility = if number < 8 { Facility::Kernel } else { Facility::Other };
    Some((Priority { facility: Some(facility), level: (number & 7) as u8 }, &rest[end + 1..]))
}

fn decoded_priority(line: &[u8]) -> Option<(Priority, &[u8])> {
    let facility = memchr(b':', &line[..line.len().min(12)])?;
    let rest = &line[facility + 1..];
    let level = memchr(b':', &rest[..rest.len().min(12)])?;
    let name = line[..facility].trim_ascii_end();
    let is_word = !name.is_empty() && name.iter().all(u8::is_ascii_alphanumeric);
    let found = level_named(&rest[..level]).filter(|_| is_word)?;
    let facility = if name == b"kern" { Facility::Kernel } else { Facility::Other };
    let rest = &rest[level + 1..];
    Some((Priority { facility: Some(facility), level: found }, rest.strip_prefix(b" ").unwrap_or(rest)))
}

/// The number of a level by dmesg's word for it.
pub(super) fn level_named(word: &[u8]) -> Option<u8> {
    let word = word.trim_ascii_end();
    LEVELS.iter().position(|name| name.as_bytes() == word).and_then(|at| u8::try_from(at).ok())
}

/// What dmesg prints before the text.
fn dmesg<'a>(priority: Option<Priority>, line: &'a [u8], clock: &Clock) -> Option<Head<'a>> {
    let (at, text) = bracket(line, clock).or_else(|| {
        // With a comma: with a point a host follows, and it is another form.
        let (word, rest) = word(line)?;
        let civil = word.contains(',').then(|| stamp::iso(word))??;
        Some((Stamp { wall_us: clock.moment(civil), boot_us: None }, rest))
    })?;
    let facility = priority.and_then(|priority| priority.facility);
    let (origin, text) = match (facility, tag_with_pid(text)) {
        (Some(Facility::Kernel), _) | (None, None) => (Origin::Kernel, text),
        (Some(Facility::Other), _) => super::kmsg::said_by_program(text),
        // It does not say who: the kernel writes no number of a process there about storage.
        (None, Some((name, rest))) => (Origin::Program(program_of(name)), rest),
    };
    Some(Head { at, host: None, origin, text })
}

/// `[   12.345678] `, with more in it or behind it; whatever `dmesg` has between brackets.
fn bracket<'a>(line: &'a [u8], clock: &Clock) -> Option<(Stamp, &'a [u8])> {
    let rest = line.strip_prefix(b"[")?;
    let end = memchr(b']', &rest[..rest.len().min(64)])?;
    let inner = std::str::from_utf8(&rest[..end]).ok()?;
    let at = bracketed(inner, clock)?;
    let mut rest = &rest[end + 1..];
    // Who called printk: `[    T1]`, `[   C0]`.
    if let Some(caller) = rest.strip_prefix(b"[")
        && let Some(end) = memchr(b']', &caller[..caller.len().min(16)])
        && caller[..end].trim_ascii_start().first().is_some_and(|kind| matches!(kind, b'T' | b'C'))
    {
        rest = &caller[end + 1..];
    }
    match rest.split_first() {
        Some((b' ', text)) => Some((at, text)),
        Some(_) => None,
        None => Some((at, rest)),
    }
}

fn bracketed(inner: &str, clock: &Clock) -> Option<Stamp> {
    let mut words = inner.split_ascii_whitespace();
    let (first, second) = (words.next()?, words.next());
    let wall = |civil| Some(Stamp { wall_us: clock.moment(civil), boot_us: None });
    if let Some(boot_us) = stamp::seconds(first) {
        // With `-d`, how much later it is than the one before: `12.3 <    0.000001>`.
        let is_known = second.is_none_or(|second| second.starts_with('<'));
        return is_known.then_some(Stamp { wall_us: None, boot_us: Some(boot_us) });
    }
    if let Some(later) = first.strip_prefix('+') {
        return stamp::seconds(later).map(|_| Stamp::default());
    }
    if stamp::is_weekday(first) {
        let (day, time, year) = (words.next()?, words.next()?, words.next()?);
        let (seconds, micros) = stamp::time(time)?;
        let (month, day) = (stamp::month(second?)?, stamp::digits(day)?);
        return wall(Civil { year: Some(stamp::digits(year)?), month, day, seconds, micros, ahead: None });
    }
    // `-e`: `Nov29 20:00`, where a minute begins.
    let (month, day) = first.split_at_checked(3)?;
    let (seconds, micros) = stamp::time(second?)?;
    wall(Civil { year: None, month: stamp::month(month)?, day: stamp::digits(day)?, seconds, micros, ahead: None })
}

/// A word and what is behind the blank after it.
fn word(line: &[u8]) -> Option<(&str, &[u8])> {
    let end = memchr(b' ', &line[..line.len().min(256)])?;
    let word = std::str::from_utf8(&line[..end]).ok().filter(|word| !word.is_empty())?;
    Some((word, &line[end + 1..]))
}

/// The time at the beginning of a line of syslog, in one of its forms.
fn syslog_stamp<'a>(line: &'a [u8], clock: &Clock) -> Option<(Stamp, &'a [u8])> {
    let (first, rest) = word(line)?;
    let stamp = |civil| Stamp { wall_us: clock.moment(civil), boot_us: None };
    if let Some(civil) = stamp::iso(first).filter(|_| !first.contains(',')) {
        return Some((stamp(civil), rest));
    }
    if let Some(wall_us) = stamp::seconds(first) {
        return Some((Stamp { wall_us: Some(wall_us), boot_us: None }, rest));
    }
    let rest = rest.trim_ascii_start();
    let (second, rest) = word(rest)?;
    let (third, rest) = word(rest)?;
    if stamp::is_weekday(first) {
        // `Sun 2026-11-29 20:00:01 UTC`.
        let (zone, rest) = word(rest)?;
        let (year, month, day) = stamp::day(second)?;
        let (seconds, micros) = stamp::time(third)?;
        let ahead = matches!(zone, "UTC" | "GMT").then_some(0);
        return Some((stamp(Civil { year: Some(year), month, day, seconds, micros, ahead }), rest));
    }
    let (month, day) = (stamp::month(first)?, stamp::digits(second)?);
    let (seconds, micros) = stamp::time(third)?;
    Some((stamp(Civil { year: None, month, day, seconds, micros, ahead: None }), rest))
}

/// `host name[123]: text`; the host can be missing. The kernel's text can have its own stamp before it.
fn named(rest: &[u8], mut at: Stamp) -> Option<Head<'_>> {
    let (host, (name, mut text)) = match tag(rest) {
        Some(tag) => (None, tag),
        None => {
            let end = memchr(b' ', &rest[..rest.len().min(256)]).filter(|end| *end > 0)?;
            (Some(&rest[..end]), tag(&rest[end + 1..])?)
        }
    };
    let is_kernel = name == b"kernel";
    if is_kernel
        && let Some((inner, behind)) = bracket(text.trim_ascii_start(), &Clock::default())
        && inner.boot_us.is_some()
    {
        at.boot_us = inner.boot_us;
        text = behind;
    }
    let origin = if is_kernel { Origin::Kernel } else { Origin::Program(program_of(name)) };
    Some(Head { at, host, origin, text })
}

/// `name: ` or `name[123]: `: the name, and what is behind it.
pub(super) fn tag(text: &[u8]) -> Option<(&[u8], &[u8])> {
    Tag::of(text).map(|tag| (tag.name, tag.rest))
}

/// The same, only with a number.
fn tag_with_pid(text: &[u8]) -> Option<(&[u8], &[u8])> {
    Tag::of(text).filter(|tag| tag.has_pid).map(|tag| (tag.name, tag.rest))
}

struct Tag<'a> {
    name: &'a [u8],
    has_pid: bool,
    rest: &'a [u8],
}

impl<'a> Tag<'a> {
    fn of(text: &'a [u8]) -> Option<Self> {
        let is_end = |byte: &u8| matches!(byte, b' ' | b':' | b'[');
        let end = text.iter().take(MAX_TAG).position(is_end).filter(|end| *end > 0)?;
        let (name, mut rest) = text.split_at(end);
        let in_brackets = rest.strip_prefix(b"[");
        if let Some(pid) = in_brackets {
            let end = memchr(b']', &pid[..pid.len().min(12)])?;
            if end == 0 || !pid[..end].iter().all(u8::is_ascii_digit) {
                return None;
            }
            rest = &pid[end + 1..];
        }
        // A blank has to follow: `0:0:0:0` is no name.
        let rest = match rest.strip_prefix(b":")? {
            [] => &[],
            [b' ', rest @ ..] => rest,
            _ => return None,
        };
        Some(Self { name, has_pid: in_brackets.is_some(), rest })
    }
}

/// The text with its further lines, without what they are indented by.
fn joined<'a>(text: &'a [u8], indent: usize, more: impl Iterator<Item = &'a [u8]>) -> Cow<'a, str> {
    let mut whole = Cow::Borrowed(text);
    for line in more {
        let blanks = line.iter().take(indent).take_while(|byte| **byte == b' ').count();
        let whole = whole.to_mut();
        whole.push(b'\n');
        whole.extend_from_slice(&line[blanks..]);
    }
    match whole {
        Cow::Borrowed(text) => text_of(text),
        Cow::Owned(text) => Cow::Owned(text_of(&text).into_owned()),
    }
}

/// rsyslog writes a control character as `#` and its number in octal: a line end is `#012`.
fn without_octal(text: Cow<'_, str>) -> Cow<'_, str> {
    if memmem::find(text.as_bytes(), b"#0").is_none() {
        return text;
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(at) = rest.find("#0") {
        plain.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 4).and_then(|code| u8::from_str_radix(code, 8).ok());
        match code.filter(u8::is_ascii_control) {
            Some(code) => {
                plain.push(char::from(code));
                rest = &rest[at + 4..];
            }
            None => {
                plain.push('#');
                rest = &rest[at + 1..];
            }
        }
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}
