//! Rules of the user's: a regular expression, and what it means.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};
use thiserror::Error;

use crate::catalogue::finding::{Finding, What, device_of_word};
use crate::catalogue::types::{EventType, Layer};
use crate::event::{Severity, Subsystem};
use crate::record::{Origin, Record};

/// The group that says which device it is about. peripety's name for it.
const DEVICE: &str = "kdev";

/// The group that says which part of storage it is about.
const SUBSYSTEM: &str = "sub_system";

/// Bytes that a compiled expression may take. One that needs more was not meant for lines of a log.
const MAX_COMPILED: usize = 1 << 20;

/// Rules of one list that are taken. Each is tried on every message.
pub const MAX_USER_RULES: usize = 256;

/// Bytes of a name, of a type and of a syslog identifier.
const MAX_NAME: usize = 64;

/// A rule as somebody wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawUserRule {
    /// Its name, for `events catalogue` and for messages. Without one it is called after its type.
    pub name: Option<String>,
    /// Whose messages it is about: a syslog identifier; without one the kernel's.
    pub identifier: Option<String>,
    /// What a message has to start with.
    pub starts_with: Option<String>,
    /// The expression, with a group `kdev` for the device. Other named groups become fields.
    pub regex: String,
    /// Its messages name no device: the expression needs no group `kdev`.
    pub without_device: bool,
    /// The type of the event. One of ours, or a new one.
    pub event_type: Option<String>,
    /// How bad it is. Without it: as a type of ours says, or as bad as the level that the message was printed with.
    pub severity: Option<Severity>,
    /// Which part of storage it is about: one of our words, or of peripety's. A group `sub_system` of the expression goes before it.
    pub sub_system: Option<String>,
    /// Whether it is tried before the built-in rules.
    pub first: bool,
}

/// A rule of the user's, ready to be used.
#[derive(Clone, Debug)]
pub struct UserRule {
    name: String,
    identifier: Option<String>,
    starts_with: Option<String>,
    regex: Regex,
    without_device: bool,
    event: EventType,
    /// Whether the type is one of ours, whose severity counts.
    known: bool,
    severity: Option<Severity>,
    subsystem: Option<Subsystem>,
    first: bool,
}

/// Why a rule is none.
#[derive(Debug, Error, PartialEq)]
pub enum BadUserRule {
    /// Not an expression.
    #[error("this is no regular expression")]
    Regex(#[source] regex::Error),
    /// Without it, nobody knows which device an event is about.
    #[error("the expression has no group `kdev`: `(?P<kdev>...)` says which device a message is about")]
    NoDevice,
    /// A name that no table and no label of a metric could show.
    #[error("{0:?} is no name of a rule: 64 bytes at most, and no control characters")]
    BadName(String),
    /// No program calls itself so.
    #[error("{0:?} is no syslog identifier: 64 bytes at most, and no control characters")]
    BadIdentifier(String),
    /// A word for a part of storage that is none.
    #[error("there is no part of storage {0:?}")]
    NoSuchSubsystem(String),
    /// A name of a type that cannot be one.
    #[error("{0:?} is no name of a type: letters, digits, _, - and ., 64 at most")]
    BadType(String),
}

impl RawUserRule {
    /// Makes it ready.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn compile(self) -> Result<UserRule, BadUserRule> {
        let regex = RegexBuilder::new(&self.regex).size_limit(MAX_COMPILED).build().map_err(BadUserRule::Regex)?;
        if !self.without_device && !regex.capture_names().flatten().any(|name| name == DEVICE) {
            return Err(BadUserRule::NoDevice);
        }
        let is_name = |name: &String| (1..=MAX_NAME).contains(&name.len()) && !name.contains(char::is_control);
        if let Some(name) = self.name.as_ref().filter(|name| !is_name(name)) {
            return Err(BadUserRule::BadName(name.clone()));
        }
        if let Some(identifier) = self.identifier.as_ref().filter(|identifier| !is_name(identifier)) {
            return Err(BadUserRule::BadIdentifier(identifier.clone()));
        }
        let subsystem = match &self.sub_system {
            Some(word) => Some(subsystem(word).ok_or_else(|| BadUserRule::NoSuchSubsystem(word.clone()))?),
            None => None,
        };
        let type_name = self.event_type.unwrap_or_else(|| "USER_EVENT".to_owned());
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if type_name.is_empty() || type_name.len() > MAX_NAME || !type_name.bytes().all(fits) {
            return Err(BadUserRule::BadType(type_name));
        }
        let built_in = EventType::built_in(&type_name);
        let event = built_in.cloned().unwrap_or_else(|| own_type(&type_name, subsystem, self.severity));
        Ok(UserRule {
            name: self.name.unwrap_or(type_name),
            identifier: self.identifier,
            starts_with: self.starts_with,
            regex,
            without_device: self.without_device,
            event,
            known: built_in.is_some(),
            severity: self.severity,
            subsystem,
            first: self.first,
        })
    }
}

/// A type that only the user's rules have.
fn own_type(name: &str, subsystem: Option<Subsystem>, severity: Option<Severity>) -> EventType {
    EventType {
        name: Cow::Owned(name.to_owned()),
        subsystem: subsystem.unwrap_or(Subsystem::Other),
        severity: severity.unwrap_or(Severity::Warning),
        layer: Layer::Block,
        lasting: false,
        clears: &[],
        meaning: Cow::Borrowed("A rule of the configuration's says that this is about storage."),
        advice: Cow::Borrowed("Ask whoever wrote the rule."),
    }
}

impl UserRule {
    /// Whether it is tried before the built-in rules.
    pub fn is_first(&self) -> bool {
        self.first
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whose messages it is about: a syslog identifier; `None` = the kernel's.
    pub fn identifier(&self) -> Option<&str> {
        self.identifier.as_deref()
    }

    /// The expression.
    pub fn regex(&self) -> &str {
        self.regex.as_str()
    }

    /// How bad it is, if a message's level says nothing else.
    pub fn severity(&self) -> Severity {
        self.severity.unwrap_or(self.event.severity)
    }

    /// Its type.
    pub fn event(&self) -> &EventType {
        &self.event
    }

    pub(super) fn classify<'a>(&'a self, record: &'a Record<'_>, text: &'a str) -> Option<Finding<'a>> {
        let ours = match (record.origin, &self.identifier) {
            (Origin::Kernel, None) => true,
            (Origin::Program(program), Some(identifier)) => program == identifier,
            // What lines there are of uevents is ours to say.
            (Origin::Kernel, Some(_)) | (Origin::Program(_), None) | (Origin::Uevent, _) => false,
        };
        let starts = self.starts_with.as_ref().is_none_or(|start| text.starts_with(start));
        if !ours || !starts {
            return None;
        }
        let found = self.regex.captures(text)?;
        let device = found.name(DEVICE).map(|device| device.as_str());
        if device.is_none() && !self.without_device {
            return None;
        }
        let names = self.regex.capture_names().flatten();
        let fields = names.filter_map(|name| Some((name, Cow::Borrowed(found.name(name)?.as_str())))).collect();
        let of_group = found.name(SUBSYSTEM).and_then(|word| subsystem(word.as_str()));
        let of_level = if self.known { None } else { record.level.map(severity_of_level) };
        Some(Finding {
            rule: &self.name,
            event: &self.event,
            severity: self.severity.or(of_level).unwrap_or(self.event.severity),
            subsystem: of_group.or(self.subsystem).unwrap_or(self.event.subsystem),
            what: What::Event,
            devices: device.map(|device| (DEVICE, device_of_word(device))).into_iter().collect(),
            fields,
            joined: None,
        })
    }
}

/// As bad as the program that printed it thinks.
fn severity_of_level(level: u8) -> Severity {
    match level {
        0..=2 => Severity::Critical,
        3 => Severity::Error,
        4 => Severity::Warning,
        5 => Severity::Notice,
        _ => Severity::Info,
    }
}

/// A part of storage in one of our words, or in one of peripety's, whose case does not count.
fn subsystem(word: &str) -> Option<Subsystem> {
    let lower = word.to_ascii_lowercase();
    match lower.as_str() {
        "dm-dirtylog" => Some(Subsystem::Dm),
        "lvm-thinprovisioning" => Some(Subsystem::Thin),
        "jbd2" => Some(Subsystem::Ext4),
        "peripety" => Some(Subsystem::Other),
        ours => Subsystem::ALL.into_iter().find(|subsystem| subsystem.as_str() == ours),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;
    use crate::event::Named;

    fn multipath() -> RawUserRule {
        RawUserRule {
            starts_with: Some("device-mapper: multipath: ".to_owned()),
            regex: r"^device-mapper: multipath: Ailing path (?P<kdev>\d+:\d+)\.$".to_owned(),
            event_type: Some("MY_PATH_AILING".to_owned()),
            sub_system: Some("Multipath".to_owned()),
            ..RawUserRule::default()
        }
    }

    #[test]
    fn a_rule_finds_what_it_is_for() {
        let catalogue = Catalogue::built_in().with_rules([multipath().compile().unwrap()]);
        let mut record = Record::new(Origin::Kernel, "device-mapper: multipath: Ailing path 8:48.");
        record.level = Some(3);
        let finding = catalogue.classify(&record).unwrap();
        assert_eq!((finding.rule, finding.event.name.as_ref()), ("MY_PATH_AILING", "MY_PATH_AILING"));
        assert_eq!((finding.severity, finding.subsystem), (Severity::Error, Subsystem::Multipath));
        assert_eq!(finding.devices, [("kdev", Named::Number(8, 48))]);
        let other = Record::new(Origin::Program("sh"), "device-mapper: multipath: Ailing path 8:48.");
        assert_eq!(catalogue.classify(&other), None);
    }

    #[test]
    fn a_rule_comes_after_the_built_in_ones_if_it_does_not_say_first() {
        let rule = |first| RawUserRule {
            regex: r"Failing path (?P<kdev>\d+:\d+)".to_owned(),
            event_type: Some("MINE".to_owned()),
            first,
            ..RawUserRule::default()
        };
        let record = Record::new(Origin::Kernel, "device-mapper: multipath: 253:3: Failing path 8:48.");
        for (first, expect) in [(false, "MPATH_PATH_FAILED"), (true, "MINE")] {
            let catalogue = Catalogue::built_in().with_rules([rule(first).compile().unwrap()]);
            assert_eq!(catalogue.classify(&record).unwrap().event.name, expect);
        }
    }

    #[test]
    fn a_group_says_the_part_of_storage_before_the_key_does() {
        let rule = RawUserRule {
            regex: r"^(?P<sub_system>xfs|ext4) trouble on (?P<kdev>\w+)".to_owned(),
            sub_system: Some("SCSI".to_owned()),
            ..RawUserRule::default()
        };
        let catalogue = Catalogue::built_in().with_rules([rule.compile().unwrap()]);
        let record = Record::new(Origin::Kernel, "ext4 trouble on sda1");
        let finding = catalogue.classify(&record).unwrap();
        assert_eq!((finding.subsystem, finding.severity), (Subsystem::Ext4, Severity::Warning));
    }

    #[test]
    fn a_rule_without_a_device_has_to_say_so() {
        let rule = RawUserRule { regex: "^the array is (?P<state>.*)".to_owned(), ..RawUserRule::default() };
        assert_eq!(rule.clone().compile().map(|_| ()), Err(BadUserRule::NoDevice));
        let rule = RawUserRule { without_device: true, ..rule }.compile().unwrap();
        let catalogue = Catalogue::built_in().with_rules([rule]);
        let finding = catalogue.classify(&Record::new(Origin::Kernel, "the array is sad")).map(|finding| {
            (finding.devices.len(), finding.fields.iter().map(|(_, value)| value.to_string()).collect::<Vec<_>>())
        });
        assert_eq!(finding, Some((0, vec!["sad".to_owned()])));
    }

    #[test]
    fn names_that_nobody_could_print_are_none() {
        let rule = RawUserRule { regex: "(?P<kdev>x)".to_owned(), ..RawUserRule::default() };
        let long = "x".repeat(MAX_NAME + 1);
        for name in ["", "a\nb", &long] {
            let named = RawUserRule { name: Some(name.to_owned()), ..rule.clone() };
            assert_eq!(named.compile().map(|_| ()), Err(BadUserRule::BadName(name.to_owned())));
            let of = RawUserRule { identifier: Some(name.to_owned()), ..rule.clone() };
            assert_eq!(of.compile().map(|_| ()), Err(BadUserRule::BadIdentifier(name.to_owned())));
        }
    }

    #[test]
    fn a_bad_rule_says_why() {
        let bad = |regex: &str, sub_system: Option<&str>, event_type: Option<&str>| {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            let rule = RawUserRule {
                regex: regex.to_owned(),
                sub_system: owned(sub_system),
                event_type: owned(event_type),
                ..RawUserRule::default()
            };
            rule.compile().map(|_| ()).unwrap_err().to_string()
        };
        assert_eq!(bad("(", None, None), "this is no regular expression");
        assert!(bad("sda", None, None).contains("no group `kdev`"));
        assert_eq!(bad("(?P<kdev>x)", Some("tape"), None), "there is no part of storage \"tape\"");
        assert!(bad("(?P<kdev>x)", None, Some("a b")).contains("no name of a type"));
        assert_eq!(bad(r"(?P<kdev>\w{900}{900})", None, None), "this is no regular expression");
    }
}
