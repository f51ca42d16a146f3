//! `reactorctl events catalogue`: what storage events there are, and by which messages they are known. It needs no daemon.

use std::io::{self, Write};

use clap::Args;
use reactor_storage::catalogue::{RuleNote, TypeNote, UserRule, notes, type_notes};
use reactor_storage::event::Severity;
use serde::Serialize;

use crate::cli::Place;
use crate::commands::Run;
use crate::config;
use crate::exit::{Exit, Failure};

/// Show the types of storage events, with what they mean and what to do, and the rules of the configuration
#[derive(Clone, Debug, Args)]
pub struct CatalogueArgs {
    /// Only this type, and the messages that it is known by
    #[arg(value_name = "TYPE")]
    pub r#type: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Everything {
    types: Vec<TypeNote>,
    rules: Vec<RuleNote>,
    /// Those of the configuration, in their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    own: Vec<OwnRule>,
}

/// A rule of the configuration's.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct OwnRule {
    name: String,
    of: String,
    event: String,
    severity: Severity,
    /// Whether it comes before the built-in rules.
    first: bool,
    regex: String,
}

impl OwnRule {
    fn of(rule: &UserRule) -> Self {
        Self {
            name: rule.name().to_owned(),
            of: rule.identifier().unwrap_or("kernel").to_owned(),
            event: rule.event().name.to_string(),
            severity: rule.severity(),
            first: rule.is_first(),
            regex: rule.regex().to_owned(),
        }
    }
}

impl Run for CatalogueArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let own = config::event_rules(place).iter().map(OwnRule::of).collect();
        let mut everything = Everything { types: type_notes(), rules: notes(), own };
        if let Some(wanted) = &self.r#type {
            let is_it = |name: &str| name.eq_ignore_ascii_case(wanted);
            everything.types.retain(|event| is_it(event.name));
            everything.rules.retain(|rule| is_it(rule.event) || rule.or.iter().any(|case| is_it(case.event)));
            everything.own.retain(|rule| is_it(&rule.event));
            if everything.types.is_empty() && everything.own.is_empty() {
                return Err(Failure::NoSuchType { name: wanted.clone() });
            }
        }
        if self.json {
            serde_json::to_writer(&mut *out, &everything).map_err(io::Error::from)?;
            writeln!(out)?;
        } else if self.r#type.is_some() {
            one(&everything, out)?;
        } else {
            for TypeNote { name, severity, meaning, .. } in &everything.types {
                writeln!(out, "{name:<27} {severity:<8} {meaning}")?;
            }
            for OwnRule { event, severity, name, .. } in &everything.own {
                writeln!(out, "{event:<27} {severity:<8} a rule of the configuration: {name}")?;
            }
        }
        Ok(Exit::Ok)
    }

    fn asks_one_daemon(&self) -> bool {
        false
    }

    fn is_for_people(&self) -> bool {
        !self.json
    }
}

/// One type with all that is known of it.
fn one(Everything { types, rules, own }: &Everything, out: &mut dyn Write) -> io::Result<()> {
    for event in types {
        writeln!(out, "{} ({}, {})", event.name, event.severity, event.subsystem)?;
        writeln!(out, "  {}\n  {}", event.meaning, event.advice)?;
        if !event.clears.is_empty() {
            writeln!(out, "  ends {}", event.clears.join(", "))?;
        }
    }
    for rule in rules {
        writeln!(out, "\n{} ({})", rule.name, rule.of)?;
        for sample in rule.wordings.iter().flat_map(|wording| wording.samples) {
            for line in sample.lines() {
                writeln!(out, "  {}", line.trim_end())?;
            }
        }
    }
    for OwnRule { name, of, event, severity, first, regex } in own {
        let order = if *first { ", before the others" } else { "" };
        writeln!(out, "\n{name} ({of}, {severity}, of the configuration{order}): {event}\n  {regex}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use reactor_core::settings::Mode;

    use super::*;

    fn catalogue(place: &Place, wanted: Option<&str>, json: bool) -> Result<String, Failure> {
        let mut out = Vec::new();
        CatalogueArgs { r#type: wanted.map(str::to_owned), json }.run(place, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_rules_of_the_configuration_are_in_it() {
        let file = std::env::temp_dir().join(format!("reactor-catalogue-{}.toml", std::process::id()));
        let rule = "[[events]]\n[[events.rule]]\nname = \"shelf\"\nprogram = \"shelfd\"\nfirst = true\n\
            regex = 'disk (?P<kdev>\\S+) is hot'\nevent-type = \"SHELF_HOT\"\nseverity = \"error\"\n";
        fs::write(&file, rule).unwrap();
        let place = Place::new(Mode::Native, Some(&file), None);
        let all = catalogue(&place, None, false).unwrap();
        assert!(all.contains("SCSI_MEDIUM_ERROR") && all.contains("of the configuration: shelf"), "{all}");
        let one = catalogue(&place, Some("shelf_hot"), false).unwrap();
        let expect = "\nshelf (shelfd, error, of the configuration, before the others): SHELF_HOT\n  disk (?P<kdev>\\S+) is hot\n";
        assert_eq!(one, expect);
        let json: serde_json::Value =
            serde_json::from_str(&catalogue(&place, Some("SHELF_HOT"), true).unwrap()).unwrap();
        assert_eq!((&json["own"][0]["of"], &json["own"][0]["severity"]), (&"shelfd".into(), &"error".into()));
        fs::remove_file(&file).unwrap();
        assert!(matches!(catalogue(&place, Some("SHELF_HOT"), false), Err(Failure::NoSuchType { .. })));
        let built_in = catalogue(&place, Some("scsi_medium_error"), false).unwrap();
        assert!(built_in.starts_with("SCSI_MEDIUM_ERROR (critical, scsi)\n"), "{built_in}");
    }
}
