//! The catalogue for people: `docs/storage-events-catalogue.md`, and what `reactorctl events catalogue` prints.

use std::fmt::Write as _;

use serde::Serialize;

use crate::catalogue::rows::ROWS;
use crate::catalogue::types::{self, EventType, Layer};
use crate::catalogue::{Source, all_rules};
use crate::event::{Severity, Subsystem};

/// A type, as it is told to people.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TypeNote {
    /// Its name.
    pub name: &'static str,
    /// How bad it is, if fields don't say anything else.
    pub severity: Severity,
    /// Which part of storage it is about.
    pub subsystem: Subsystem,
    /// Where in the stack it happens.
    pub layer: Layer,
    /// Whether it goes on until something ends it.
    pub lasting: bool,
    /// Which types it ends on the same device.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub clears: &'static [&'static str],
    /// What it means.
    pub meaning: &'static str,
    /// What to do.
    pub advice: &'static str,
}

/// All built-in types, in their order.
pub fn type_notes() -> Vec<TypeNote> {
    let note = |event: &'static EventType| TypeNote {
        name: &event.name,
        severity: event.severity,
        subsystem: event.subsystem,
        layer: event.layer,
        lasting: event.lasting,
        clears: event.clears,
        meaning: &event.meaning,
        advice: &event.advice,
    };
    types::all().map(note).collect()
}

/// A rule, as it is told to people.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RuleNote {
    /// Its name.
    pub name: &'static str,
    /// Whose messages it is about.
    pub of: &'static str,
    /// What it is an event of, if no field says anything else.
    pub event: &'static str,
    /// The others that it can be, each with when.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub or: Vec<CaseNote>,
    /// Whether its lines are no events by themselves.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub part: bool,
    /// How it is printed.
    pub wordings: Vec<WordingNote>,
}

/// A case of a rule.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CaseNote {
    /// When, in words.
    pub when: String,
    /// What it is then.
    pub event: &'static str,
    /// How bad it is then.
    pub severity: Severity,
}

/// A wording of a rule.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct WordingNote {
    /// Which versions print it, where that is known.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub since: &'static str,
    /// The template.
    pub template: &'static str,
    /// Lines of it.
    pub samples: &'static [&'static str],
}

/// All built-in rules, in their order.
pub fn notes() -> Vec<RuleNote> {
    let note = |(source, rule): (Source, &'static crate::catalogue::rule::Rule)| RuleNote {
        name: rule.name,
        of: source.identifiers(),
        event: &rule.event.name,
        or: rule
            .cases
            .iter()
            .map(|case| CaseNote {
                when: case.when.words(),
                event: &case.event.name,
                severity: case.severity.unwrap_or(case.event.severity),
            })
            .collect(),
        part: rule.join.is_part(),
        wordings: rule
            .wordings
            .iter()
            .map(|wording| WordingNote { since: wording.since, template: wording.template, samples: wording.samples })
            .collect(),
    };
    all_rules().map(note).collect()
}

/// The page.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Storage events: the catalogue

Written by `cargo xtask docs` from the tables that classify messages.

",
    );
    type_table(&mut page);
    wording_list(&mut page);
    row_table(&mut page);
    page
}

fn type_table(page: &mut String) {
    page.push_str(
        "## Types

A severity here is that of the type; fields of a message can say otherwise (below). \"Lasts\" means that it goes on until something ends it: an event
of a type that \"ends\" it on the same device, or somebody who closes the incident.

| type | severity | about | layer | lasts | ends | meaning | what to do |
| --- | --- | --- | --- | --- | --- | --- | --- |
",
    );
    for event in types::all() {
        let EventType { name, severity, subsystem, layer, lasting, clears, meaning, advice } = event;
        let subsystem = subsystem.as_str();
        let lasts = if *lasting { "yes" } else { "" };
        let (clears, layer) = (clears.join(", "), layer.as_str());
        _ = writeln!(
            page,
            "| {name} | {severity} | {subsystem} | {layer} | {lasts} | {clears} | {meaning} | {} |",
            advice.replace('|', "\\|")
        );
    }
}

fn wording_list(page: &mut String) {
    page.push_str(
        "
## Rules and wordings

A template is the line with its fields in braces: `{name:kind}`; `{?...}` may be missing, two blanks are any blanks and line ends. Below each are lines that it matches.
",
    );
    for note in notes() {
        let part = if note.part { ", part of another event" } else { "" };
        _ = writeln!(page, "\n### {}: {} ({}{part})\n", note.name, note.event, note.of);
        for case in &note.or {
            _ = writeln!(page, "- {} ({}) if {}", case.event, case.severity, case.when);
        }
        if !note.or.is_empty() {
            page.push('\n');
        }
        page.push_str("```text\n");
        for wording in &note.wordings {
            let since = if wording.since.is_empty() { String::new() } else { format!("   [{}]", wording.since) };
            _ = writeln!(page, "{}{since}", wording.template);
            for sample in wording.samples {
                for line in sample.lines() {
                    _ = writeln!(page, "    {}", line.trim_end());
                }
            }
        }
        page.push_str("```\n");
    }
}

fn row_table(page: &mut String) {
    page.push_str(
        "
## What is covered

Rows of the reference of storage messages, how bad the worst of each is marked there, and the rules that cover them.

| row | what is printed | marked | rules |
| --- | --- | --- | --- |
",
    );
    for row in ROWS {
        let rules: Vec<_> =
            all_rules().filter(|(_, rule)| rule.rows.contains(&row.name)).map(|(_, rule)| rule.name).collect();
        let rules = if rules.is_empty() { "**none**".to_owned() } else { rules.join(", ") };
        _ = writeln!(page, "| {} | {} | {} | {rules} |", row.name, row.about, row.marked);
    }
    let uncovered = ROWS.iter().filter(|row| !all_rules().any(|(_, rule)| rule.rows.contains(&row.name))).count();
    _ = writeln!(page, "\n{} rows, {uncovered} without a rule.", ROWS.len());
}
