//! JSON: `journalctl -o json`, `json-pretty`, `json-sse`, `json-seq`, and `dmesg --json`.
//!
//! All of them are flat objects with something around and between them: so each innermost object is a message, wherever it stands. A value of the
//! journal's is text, an array of the bytes if they are no UTF-8, `null` if it is too long, or an array of these if the field comes more than once.

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr, memchr3};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::export::{self, Field, WANTED};
use super::reader::Counts;
use super::{Each, text_of};
use crate::record::{MAX_TEXT, Origin, Record, Stamp};

/// A longer object is left out. Entries are small unless a core dump is printed with them.
const MAX_OBJECT: usize = 256 * 1024;

/// Whether a line is the first of such a log.
pub(super) fn begins(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"data: ").or_else(|| line.strip_prefix(b"\x1e")).unwrap_or(line);
    let mut said = line.trim_ascii_start().iter().filter(|byte| !byte.is_ascii_whitespace());
    said.next() == Some(&b'{') && said.next().is_none_or(|next| *next == b'"')
}

/// Where in the text we are.
#[derive(Debug, Default)]
pub(super) struct Scan {
    at: At,
    /// So many bytes of what is kept have been looked at.
    seen: usize,
    /// The object is too long: its beginning is gone.
    is_too_long: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Outside,
    Inside,
    Text,
    /// Behind a backslash.
    Escape,
}

impl Scan {
    pub(super) fn scan(&mut self, bytes: &[u8], is_end: bool, counts: &mut Counts, each: &mut impl Each) -> usize {
        let (mut start, mut seen) = (0, self.seen);
        loop {
            let rest = &bytes[seen..];
            let found = match self.at {
                At::Outside => memchr(b'{', rest),
                At::Inside => memchr3(b'"', b'{', b'}', rest),
                At::Text => memchr3(b'"', b'\\', b'\n', rest),
                At::Escape => (!rest.is_empty()).then_some(0),
            };
            let Some(found) = found.map(|found| seen + found) else { break };
            seen = found + 1;
            self.at = match (self.at, bytes[found]) {
                // What was around it is none.
                (At::Outside | At::Inside, b'{') => {
                    (start, self.is_too_long) = (found, false);
                    At::Inside
                }
                (At::Inside, b'}') => {
                    self.give(&bytes[start..seen], counts, each);
                    start = seen;
                    At::Outside
                }
                (At::Text, b'\\') => At::Escape,
                (At::Text, b'"') => At::Inside,
                (At::Inside | At::Escape, _) => At::Text,
                // No text has a bare line end: it was torn off, and what follows is another object.
                (At::Text | At::Outside, _) => {
                    counts.not_understood += 1;
                    start = seen;
                    At::Outside
                }
            };
        }
        if is_end {
            counts.not_understood += u64::from(self.at != At::Outside);
            *self = Self::default();
            return bytes.len();
        }
        if self.at == At::Outside {
            start = bytes.len();
        } else if bytes.len() - start > MAX_OBJECT || self.is_too_long {
            (start, self.is_too_long) = (bytes.len(), true);
        }
        self.seen = bytes.len() - start;
        start
    }

    fn give(&mut self, object: &[u8], counts: &mut Counts, each: &mut impl Each) {
        if std::mem::take(&mut self.is_too_long) {
            counts.not_understood += 1;
            return;
        }
        match serde_json::from_slice::<Entry<'_>>(object) {
            Ok(entry) => entry.give(counts, each),
            // Bytes that are no UTF-8, which JSON does not have.
            Err(_) => match serde_json::from_str::<Entry<'_>>(&String::from_utf8_lossy(object)) {
                Ok(entry) => entry.give(counts, each),
                Err(_) => counts.not_understood += 1,
            },
        }
    }
}

/// What is wanted of an object.
#[derive(Default)]
struct Entry<'a> {
    fields: [Option<Cow<'a, str>>; WANTED],
    dmesg: Dmesg<'a>,
}

/// What `dmesg --json` says: numbers, or with `--decode` words.
#[derive(Default)]
struct Dmesg<'a> {
    message: Option<Cow<'a, str>>,
    facility: Option<Cow<'a, str>>,
    priority: Option<Cow<'a, str>>,
    time: Option<Cow<'a, str>>,
}

impl Entry<'_> {
    fn give(&self, counts: &mut Counts, each: &mut impl Each) {
        let cut = |message: &str| u64::from(message.len() > MAX_TEXT);
        if let Some(message) = &self.fields[Field::Message as usize] {
            counts.cut += cut(message);
            counts.records += 1;
            let field = |field: Field| self.fields[field as usize].as_deref().map(str::as_bytes);
            each(export::record_of(field, text_of(message.as_bytes())));
        } else if let Some(message) = &self.dmesg.message {
            counts.cut += cut(message);
            counts.records += 1;
            each(self.dmesg.record(message));
        } else {
            counts.without_text += 1;
        }
    }
}

impl Dmesg<'_> {
    fn record<'a>(&self, message: &'a str) -> Record<'a> {
        let (mut is_kernel, mut level) = (true, None);
        if let Some(priority) = self.priority.as_deref() {
            // A number has the facility in it; a word stands beside one.
            match priority.parse::<u32>() {
                Ok(number) => (is_kernel, level) = (number < 8, Some((number & 7) as u8)),
                Err(_) => level = super::text::level_named(priority.as_bytes()),
            }
        }
        is_kernel &= self.facility.as_deref().is_none_or(|facility| facility == "kern");
        let (origin, text) = if is_kernel {
            (Origin::Kernel, message.as_bytes())
        } else {
            super::kmsg::said_by_program(message.as_bytes())
        };
        let mut record = Record::new(origin, text_of(text));
        record.level = level;
        record.at = Stamp { wall_us: None, boot_us: self.time.as_deref().and_then(super::stamp::seconds) };
        record
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Entry<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Entry<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry of a log")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entry = Entry::default();
        while let Some(key) = map.next_key::<Value<'de>>()? {
            let key = key.0.unwrap_or_default();
            let slot = match (Field::named(key.as_bytes()), &*key) {
                (Some(field), _) => &mut entry.fields[field as usize],
                (None, "msg") => &mut entry.dmesg.message,
                (None, "fac") => &mut entry.dmesg.facility,
                (None, "pri") => &mut entry.dmesg.priority,
                (None, "time") => &mut entry.dmesg.time,
                (None, _) => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let value = map.next_value::<Value<'de>>()?.0;
            if slot.is_none() {
                *slot = value;
            }
        }
        Ok(entry)
    }
}

/// One value, as text.
struct Value<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of an entry of a log")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Value(Some(Cow::Owned(text))))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Value(Some(Cow::Owned(number.to_string()))))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Value(Some(Cow::Owned(format!("{number:.6}")))))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Value(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Value(None))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value(None))
    }

    /// Bytes, or one field more than once: then the first that there is.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut bytes = Vec::new();
        let mut first = None;
        while let Some(item) = seq.next_element::<Item<'de>>()? {
            match item {
                Item::Byte(byte) => bytes.push(byte),
                Item::Value(value) => first = first.or(value),
            }
        }
        let text = || Cow::Owned(String::from_utf8_lossy(&bytes).into_owned());
        Ok(Value(first.or_else(|| (!bytes.is_empty()).then(text))))
    }
}

/// What an array has in it. An array within it is the bytes of one of the values; deeper there is nothing.
enum Item<'a> {
    Byte(u8),
    Value(Option<Cow<'a, str>>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Item<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyItem)
    }
}

struct AnyItem;

impl<'de> Visitor<'de> for AnyItem {
    type Value = Item<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a byte, or a value of an entry of a log")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(u8::try_from(number).map_or(Item::Value(None), Item::Byte))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Item::Value(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Item::Value(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Item::Value(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element::<u8>()? {
            bytes.push(byte);
        }
        Ok(Item::Value(Some(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))))
    }
}
