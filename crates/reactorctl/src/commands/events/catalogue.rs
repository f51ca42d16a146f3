//! `reactorctl events catalogue`: what storage events there are, and by which messages they are known. It needs no daemon.

use std::io::{self, Write};

use clap::Args;
use reactor_storage::catalogue::{RuleNote, TypeNote, notes, type_notes};
use serde::Serialize;

use crate::cli::Place;
use crate::commands::Run;
use crate::exit::{Exit, Failure};

/// Show the types of storage events, with what they mean and what to do
#[derive(Clone, Debug, Args)]
pub struct CatalogueArgs {
    /// Only this type, and the messages that it is known by
    #[arg(value_name = "TYPE", value_parser = type_name)]
    pub r#type: Option<&'static str>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn type_name(text: &str) -> Result<&'static str, String> {
    let known = type_notes().into_iter().map(|event| event.name).find(|name| name.eq_ignore_ascii_case(text));
    known.ok_or_else(|| "no type has this name; `reactorctl events catalogue` lists them".to_owned())
}

/// What `--json` prints.
#[derive(Serialize)]
struct Everything {
    types: Vec<TypeNote>,
    rules: Vec<RuleNote>,
}

impl Run for CatalogueArgs {
    fn run(&self, _place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let mut everything = Everything { types: type_notes(), rules: notes() };
        if let Some(wanted) = self.r#type {
            everything.types.retain(|event| event.name == wanted);
            let of_type = |rule: &RuleNote| rule.event == wanted || rule.or.iter().any(|case| case.event == wanted);
            everything.rules.retain(of_type);
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
fn one(Everything { types, rules }: &Everything, out: &mut dyn Write) -> io::Result<()> {
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
    Ok(())
}
