//! The MIB file, made of the same list of objects as the answers.

use std::fmt::Write as _;

use super::columns::{
    CONNECTION, CONNECTION_TABLE, Column, DATA, DEVICE, DEVICE_TABLE, NAME_MAX, PEER, PEER_TABLE, PROMOTED,
    PROMOTED_TABLE, SCALARS, Syntax, TableSpec,
};
use super::incidents;

/// Name of the module, and of its file without `.txt`.
pub const MODULE: &str = "STORAGE-REACTOR-DRBD-MIB";

impl Syntax {
    fn text(self) -> String {
        match self {
            Self::Integer => "Integer32".to_owned(),
            Self::Number => "Integer32 (0..2147483647)".to_owned(),
            Self::Unsigned32 => "Unsigned32".to_owned(),
            Self::Gauge32 => "Gauge32".to_owned(),
            Self::Counter64 => "Counter64".to_owned(),
            Self::Gauge64 => "SrGauge64".to_owned(),
            Self::Text => "DisplayString".to_owned(),
            Self::Name => format!("DisplayString (SIZE (0..{NAME_MAX}))"),
            Self::Truth => "TruthValue".to_owned(),
        }
    }
}

/// One column, whatever it is computed of.
struct Line {
    number: u32,
    name: &'static str,
    syntax: Syntax,
    says: &'static str,
}

fn lines<F>(columns: &[Column<F>]) -> Vec<Line> {
    let line = |c: &Column<F>| Line { number: c.number, name: c.name, syntax: c.syntax, says: c.says };
    columns.iter().map(line).collect()
}

/// The whole file.
pub fn text() -> String {
    let mut out = HEAD.to_owned();
    out.push_str("-- What drbd-reactor serves too\n\n");
    for scalar in SCALARS.iter().filter(|scalar| scalar.is_inherited()) {
        object(&mut out, scalar.name, scalar.syntax, "read-only", scalar.says, "drbdMeta", scalar.number());
    }
    table(&mut out, &DEVICE_TABLE, &lines(DEVICE));
    out.push_str("-- What only Storage Reactor serves\n\n");
    for scalar in SCALARS.iter().filter(|scalar| !scalar.is_inherited()) {
        object(&mut out, scalar.name, scalar.syntax, "read-only", scalar.says, "srDaemon", scalar.number());
    }
    table(&mut out, &CONNECTION_TABLE, &lines(CONNECTION));
    table(&mut out, &PEER_TABLE, &lines(PEER));
    table(&mut out, &PROMOTED_TABLE, &lines(PROMOTED));
    notifications(&mut out);
    out.push_str("END\n");
    out
}

fn table(out: &mut String, spec: &TableSpec, columns: &[Line]) {
    let parent = match spec.path {
        [DATA, _] => "drbdData",
        _ => "srObjects",
    };
    let number = spec.path.last().copied().unwrap_or_default();
    let (name, entry) = (spec.name, spec.entry_name);
    let row = capitalised(entry);
    let says = quoted(spec.says);
    put(
        out,
        format_args!(
            "{name} OBJECT-TYPE\n    SYNTAX      SEQUENCE OF {row}\n    MAX-ACCESS  not-accessible\n    STATUS      current\n    \
             DESCRIPTION\n{says}\n    ::= {{ {parent} {number} }}\n\n"
        ),
    );
    let (says, index) = (quoted(spec.row_says), spec.index.join(", "));
    put(
        out,
        format_args!(
            "{entry} OBJECT-TYPE\n    SYNTAX      {row}\n    MAX-ACCESS  not-accessible\n    STATUS      current\n    \
             DESCRIPTION\n{says}\n    INDEX       {{ {index} }}\n    ::= {{ {name} 1 }}\n\n"
        ),
    );
    // Without what is narrower about a type.
    let plain = |syntax: Syntax| syntax.text().split(' ').next().unwrap_or_default().to_owned();
    let members: Vec<String> = columns.iter().map(|c| format!("    {:<30} {}", c.name, plain(c.syntax))).collect();
    put(out, format_args!("{row} ::= SEQUENCE {{\n{}\n}}\n\n", members.join(",\n")));
    for c in columns {
        object(out, c.name, c.syntax, "read-only", c.says, entry, c.number);
    }
}

fn notifications(out: &mut String) {
    let objects = [
        ("srNotifyResource", Syntax::Text, "Name of the resource that a notification is about."),
        (
            "srNotifyMinor",
            Syntax::Integer,
            "Minor number of the device that a notification is about; -1 if it is about none.",
        ),
        ("srNotifyText", Syntax::Text, "What has happened, in one sentence."),
    ];
    for ((name, syntax, says), number) in objects.iter().zip(1..) {
        object(out, name, *syntax, "accessible-for-notify", says, "srNotifyObjects", number);
    }
    let names = objects.map(|(name, _, _)| name).join(", ");
    let mut all: Vec<_> = incidents::ALL.iter().flat_map(|one| [one.begins, one.ends]).collect();
    all.sort_unstable();
    for (number, name, says) in all {
        let says = quoted(says);
        put(
            out,
            format_args!(
                "{name} NOTIFICATION-TYPE\n    OBJECTS     {{ {names} }}\n    STATUS      current\n    DESCRIPTION\n{says}\n    \
                 ::= {{ srNotifications {number} }}\n\n"
            ),
        );
    }
}

fn object(out: &mut String, name: &str, syntax: Syntax, access: &str, says: &str, parent: &str, number: u32) {
    let (syntax, says) = (syntax.text(), quoted(says));
    put(
        out,
        format_args!(
            "{name} OBJECT-TYPE\n    SYNTAX      {syntax}\n    MAX-ACCESS  {access}\n    STATUS      current\n    \
             DESCRIPTION\n{says}\n    ::= {{ {parent} {number} }}\n\n"
        ),
    );
}

/// A text in quotes, indented.
fn quoted(text: &str) -> String {
    format!("        \"{}\"", text.replace('"', "'"))
}

fn capitalised(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = out.write_fmt(text);
}

/// What comes before the objects. `OURS` is in it: a test compares.
const HEAD: &str = r#"STORAGE-REACTOR-DRBD-MIB DEFINITIONS ::= BEGIN

-- Written by `cargo xtask docs` from the list of objects of the program: crates/reactor-core/src/snmp/columns.rs.
--
-- Identifiers, types, units and values of drbdMeta and of the columns 1 to 49 of drbdTable are those of drbd-reactor, whose own file is no
-- valid SMIv2; the names begin with small letters here, as SMIv2 wants them. Everything else is Storage Reactor's.

IMPORTS
    MODULE-IDENTITY, OBJECT-TYPE, NOTIFICATION-TYPE, enterprises, Integer32, Unsigned32, Gauge32, Counter64
        FROM SNMPv2-SMI
    TEXTUAL-CONVENTION, DisplayString, TruthValue
        FROM SNMPv2-TC;

storageReactorDrbdMIB MODULE-IDENTITY
    LAST-UPDATED "202611290000Z"
    ORGANIZATION "Storage Reactor"
    CONTACT-INFO "The authors of Storage Reactor"
    DESCRIPTION  "DRBD and the services on it, as one node sees them."
    REVISION     "202611290000Z"
    DESCRIPTION  "The first version."
    ::= { drbdData 1000 }

linbit          OBJECT IDENTIFIER ::= { enterprises 23302 }
drbdData        OBJECT IDENTIFIER ::= { linbit 1 }
drbdMeta        OBJECT IDENTIFIER ::= { drbdData 1 }

srNotifications OBJECT IDENTIFIER ::= { storageReactorDrbdMIB 0 }
srObjects       OBJECT IDENTIFIER ::= { storageReactorDrbdMIB 1 }
srDaemon        OBJECT IDENTIFIER ::= { srObjects 1 }
srNotifyObjects OBJECT IDENTIFIER ::= { srObjects 9 }

SrGauge64 ::= TEXTUAL-CONVENTION
    STATUS      current
    DESCRIPTION
        "A number that goes up and down, and has 64 bits. SNMP has no type for it, so it is sent as a Counter64."
    SYNTAX      Counter64

"#;

#[cfg(test)]
mod tests {
    use super::super::columns::OURS;
    use super::*;

    #[test]
    fn the_head_has_our_number_and_every_kind_its_numbers() {
        assert!(HEAD.contains(&format!("::= {{ drbdData {OURS} }}")));
        assert!(HEAD.starts_with(MODULE));
        let mut numbers: Vec<u32> = incidents::ALL.iter().flat_map(|one| [one.begins.0, one.ends.0]).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 2 * incidents::ALL.len());
    }
}
