//! What a rule is: the wordings that it knows, and what they mean.

use crate::catalogue::types::EventType;
use crate::event::{Severity, Subsystem};
use crate::record::Origin;

/// Whose messages a rule is about. It is looked at before the text: applications print "I/O error", too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The kernel.
    Kernel,
    /// multipath-tools' daemon.
    Multipathd,
    /// open-iscsi's daemon.
    Iscsid,
    /// smartmontools' daemon.
    Smartd,
    /// lvm2's commands, and its event daemon.
    Lvm,
    /// mdadm's monitor.
    Mdadm,
    /// ZFS' event daemon.
    Zed,
    /// udisks2.
    Udisks,
    /// The kernel's uevents: lines of [`crate::uevent`].
    Uevent,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Kernel,
        Self::Multipathd,
        Self::Iscsid,
        Self::Smartd,
        Self::Lvm,
        Self::Mdadm,
        Self::Zed,
        Self::Udisks,
        Self::Uevent,
    ];

    /// Of who says something; `None`: there are no rules for what he says.
    pub fn of(origin: Origin<'_>) -> Option<Self> {
        match origin {
            Origin::Kernel => Some(Self::Kernel),
            Origin::Program(identifier) => Self::of_program(identifier),
            Origin::Uevent => Some(Self::Uevent),
        }
    }

    /// The one of a syslog identifier.
    pub fn of_program(identifier: &str) -> Option<Self> {
        Some(match identifier {
            "multipathd" | "multipath" => Self::Multipathd,
            "iscsid" => Self::Iscsid,
            "smartd" => Self::Smartd,
            "lvm" | "dmeventd" | "lvmpolld" => Self::Lvm,
            "mdadm" => Self::Mdadm,
            "zed" => Self::Zed,
            "udisksd" => Self::Udisks,
            _ => return None,
        })
    }

    /// The identifiers, for people.
    pub fn identifiers(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Multipathd => "multipathd",
            Self::Iscsid => "iscsid",
            Self::Smartd => "smartd",
            Self::Lvm => "lvm, dmeventd",
            Self::Mdadm => "mdadm",
            Self::Zed => "zed",
            Self::Udisks => "udisksd",
            Self::Uevent => "uevent",
        }
    }
}

/// One rule: what several wordings of one thing mean.
#[derive(Debug)]
pub(super) struct Rule {
    /// Its name, which no other has.
    pub(super) name: &'static str,
    /// What it is an event of, if no case says anything else.
    pub(super) event: &'static EventType,
    /// Which part of storage it is about, where the type leaves that open: a file system's own.
    pub(super) subsystem: Option<Subsystem>,
    /// Rows of the reference that it covers.
    pub(super) rows: &'static [&'static str],
    /// What lines of the same failure have in common, and whether this one is an event by itself.
    pub(super) join: Join,
    /// What fields make of it: the first that holds.
    pub(super) cases: &'static [Case],
    /// How it is printed.
    pub(super) wordings: &'static [Wording],
}

/// One way to print it.
#[derive(Debug)]
pub(super) struct Wording {
    /// Which versions print it, in words: `-3.18`, `5.17-`, or empty: all that we know.
    pub(super) since: &'static str,
    /// The template.
    pub(super) template: &'static str,
    /// Real lines of it.
    pub(super) samples: &'static [&'static str],
}

/// What lines of one failure have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// Nothing: an event by itself.
    No,
    /// An event, which other lines of the same SCSI command (H:C:T:L, and the tag if there is one) say more about.
    Scsi,
    /// Only such another line.
    ScsiPart,
    /// An event of an ATA port, which other lines say more about.
    Ata,
    /// Only such another line.
    AtaPart,
    /// An event that goes on from the line before of the same source, and names no device itself.
    Continues,
    /// A line that only goes on from the one before.
    ContinuesPart,
}

impl Join {
    /// Whether the line is no event by itself.
    pub(super) fn is_part(self) -> bool {
        match self {
            Self::ScsiPart | Self::AtaPart | Self::ContinuesPart => true,
            Self::No | Self::Scsi | Self::Ata | Self::Continues => false,
        }
    }
}

/// What a line means if its fields say so.
#[derive(Debug)]
pub(super) struct Case {
    /// When.
    pub(super) when: When,
    /// What it is then.
    pub(super) event: &'static EventType,
    /// How bad, if that is not what the type says.
    pub(super) severity: Option<Severity>,
}

/// A condition on fields.
#[derive(Debug)]
pub(super) enum When {
    /// The field is one of these.
    Is(&'static str, &'static [&'static str]),
    /// The field has one of these in it.
    Has(&'static str, &'static [&'static str]),
    /// The field is a number of at least so much. A part behind the point does not count.
    AtLeast(&'static str, u64),
    /// The first field is a smaller number than the second.
    Less(&'static str, &'static str),
    /// A field of changes, `disk( UpToDate -> Failed ) quorum( yes -> no )`, has one of this key, from one of these (from any, if there are none)
    /// to one of those.
    Change {
        /// The field.
        field: &'static str,
        /// What changes.
        key: &'static str,
        /// From.
        from: &'static [&'static str],
        /// To.
        to: &'static [&'static str],
    },
}

impl When {
    /// Whether it holds for these fields.
    pub(super) fn holds<'v>(&self, value: impl Fn(&str) -> Option<&'v str>) -> bool {
        let number = |field| {
            let digits = value(field)?.split('.').next()?;
            digits.parse::<u64>().ok()
        };
        match self {
            Self::Is(field, words) => value(field).is_some_and(|value| words.contains(&value)),
            Self::Has(field, words) => value(field).is_some_and(|value| words.iter().any(|word| value.contains(word))),
            Self::AtLeast(field, least) => number(field).is_some_and(|number| number >= *least),
            Self::Less(field, other) => number(field).zip(number(other)).is_some_and(|(number, other)| number < other),
            Self::Change { field, key, from, to } => {
                let changes = value(field).map(changes).into_iter().flatten();
                let any = |words: &[&str], word| words.is_empty() || words.contains(&word);
                changes.into_iter().any(|change| change.key == *key && any(from, change.from) && any(to, change.to))
            }
        }
    }

    /// The field that it asks for first.
    #[cfg(test)]
    pub(super) fn field(&self) -> &'static str {
        match self {
            Self::Is(field, _)
            | Self::Has(field, _)
            | Self::AtLeast(field, _)
            | Self::Less(field, _)
            | Self::Change { field, .. } => field,
        }
    }

    /// In words, for the documents.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Is(field, words) => format!("{field} is {}", words.join(" or ")),
            Self::Has(field, words) => format!("{field} has {}", words.join(" or ")),
            Self::AtLeast(field, least) => format!("{field} is at least {least}"),
            Self::Less(field, other) => format!("{field} is less than {other}"),
            Self::Change { key, from, to, .. } => {
                let any = |words: &[&str]| if words.is_empty() { "anything".to_owned() } else { words.join(" or ") };
                format!("{key} goes from {} to {}", any(from), any(to))
            }
        }
    }
}

/// One change of DRBD's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'t> {
    /// `disk`, `conn`, ...
    pub key: &'t str,
    /// What it was.
    pub from: &'t str,
    /// What it is.
    pub to: &'t str,
}

/// The changes in DRBD's words for them: `disk( UpToDate -> Failed ) quorum( yes -> no )`.
pub fn changes(text: &str) -> impl Iterator<Item = Change<'_>> {
    text.split(" )").filter_map(|change| {
        let (key, values) = change.split_once("( ")?;
        let (from, to) = values.split_once(" -> ")?;
        Some(Change { key: key.trim_start(), from, to: to.trim_end() })
    })
}

/// The field is one of these.
pub(super) const fn is(field: &'static str, words: &'static [&'static str]) -> When {
    When::Is(field, words)
}

/// The field has one of these in it.
pub(super) const fn has(field: &'static str, words: &'static [&'static str]) -> When {
    When::Has(field, words)
}

/// The field is a number of at least so much.
pub(super) const fn at_least(field: &'static str, least: u64) -> When {
    When::AtLeast(field, least)
}

/// The field is a smaller number than the other.
pub(super) const fn less(field: &'static str, other: &'static str) -> When {
    When::Less(field, other)
}

/// DRBD's `changes` have this one.
pub(super) const fn change(key: &'static str, from: &'static [&'static str], to: &'static [&'static str]) -> When {
    When::Change { field: "changes", key, from, to }
}

/// A table of rules, written as
///
/// ```text
/// "name" => TYPE, "row", "row"; Join; [is("field", &["value"]) => TYPE at Severity] {
///     "kernels" "template" ["sample", "sample"];
/// }
/// ```
macro_rules! rules {
    (@at) => { None };
    (@at $severity:ident) => { Some($crate::event::Severity::$severity) };
    (@of) => { None };
    (@of $subsystem:ident) => { Some($crate::event::Subsystem::$subsystem) };
    ($(of $subsystem:ident;)? $(
        $name:literal => $event:ident, $($row:literal),*; $join:ident; [$($when:expr => $case:ident $(at $severity:ident)?),* $(,)?] {
            $( $since:literal $template:literal [$($sample:literal),+ $(,)?]; )+
        }
    )*) => {
        const SUBSYSTEM: Option<$crate::event::Subsystem> = $crate::catalogue::rule::rules!(@of $($subsystem)?);
        /// The rules.
        pub(in crate::catalogue) static RULES: &[$crate::catalogue::rule::Rule] = &[$(
            $crate::catalogue::rule::Rule {
                name: $name,
                event: &$crate::catalogue::types::$event,
                subsystem: SUBSYSTEM,
                rows: &[$($row),*],
                join: $crate::catalogue::rule::Join::$join,
                cases: &[$($crate::catalogue::rule::Case {
                    when: $when,
                    event: &$crate::catalogue::types::$case,
                    severity: $crate::catalogue::rule::rules!(@at $($severity)?),
                }),*],
                wordings: &[$(
                    $crate::catalogue::rule::Wording { since: $since, template: $template, samples: &[$($sample),+] },
                )+],
            },
        )*];
    };
}
pub(super) use rules;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_read_one_by_one() {
        let text = "conn( Connected -> NetworkFailure ) peer( Primary -> Unknown )";
        let read: Vec<_> = changes(text).map(|change| (change.key, change.from, change.to)).collect();
        assert_eq!(read, [("conn", "Connected", "NetworkFailure"), ("peer", "Primary", "Unknown")]);
        assert_eq!(changes("conn( ) x -> y").count(), 0);
    }
}
