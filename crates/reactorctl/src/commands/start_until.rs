//! `reactorctl start-until`: the first services of a resource, by hand, while the promoter keeps its hands off.
//!
//! For whoever has to look at something before the rest may start: a file system before its database, for example. The hold stays, and how to go on is said.

use std::io::Write;

use clap::Args;
use reactor_api::verbs::Hold;
use reactor_api::{PromotedStatus, verbs};
use reactor_core::ids::ResourceName;
use reactor_core::plugin::promoter::units;

use crate::cli::Place;
use crate::commands::Run;
use crate::config;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::parts::outcome;
use crate::parts::promoted::sentence;
use crate::style::{END, GOOD, harmless};
use crate::systemctl::Systemctl;

/// Hold a promoted resource, promote it here, and start the first of its services by hand
#[derive(Clone, Debug, Args)]
pub struct StartUntilArgs {
    /// The resource
    #[arg(value_name = "RESOURCE")]
    pub resource: String,

    /// The last to start: its place in `start`, counted from 1 (0 = promote only), or its unit
    #[arg(value_name = "UNTIL")]
    pub until: String,

    /// Why, for whoever looks later
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
}

impl Run for StartUntilArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let resource = &self.resource;
        let only = verbs::Status { resources: Some([resource.clone()].into()) };
        let status = daemon::status(place, &only)?;
        let report = status.promoted.iter().find(|promoted| promoted.resource == *resource);
        let report = report.ok_or_else(|| Failure::NoSuchResource { resource: resource.clone() })?;
        let primary = status.resources.iter().flat_map(|drbd| &drbd.connections);
        let primary = primary.into_iter().find(|connection| connection.fields.peer_role == "Primary");
        let primary = primary.map(|connection| harmless(&connection.display_name()).into_owned());
        let first = self
            .checked(report, primary)
            .map_err(|why| Failure::Refused { what: format!("{resource} can't be started by hand"), why: vec![why] })?;
        let systemctl = Systemctl::of(&config::daemon(place));
        let why = self.why.clone().unwrap_or_else(|| format!("start-until {}", self.until));
        let hold = Hold { resource: resource.as_str().into(), why: Some(why.as_str().into()) };
        outcome::print(&daemon::ask(place, &hold)?, out)?;
        let name = ResourceName::new(resource);
        let promote = units::promote(&name).to_string();
        for unit in std::iter::once(promote.as_str()).chain(first.iter().map(String::as_str)) {
            writeln!(out, "starting {unit}")?;
            out.flush()?;
            if let Err(error) = systemctl.run(&["start", unit]) {
                self.how_to_go_on(&name, out)?;
                return Err(error.into());
            }
        }
        writeln!(out, "{GOOD}done{END}: what was asked for runs here, and {resource} is held")?;
        self.how_to_go_on(&name, out)?;
        Ok(Exit::Ok)
    }

    fn asks_one_daemon(&self) -> bool {
        // It steers systemd, which is that of this node.
        false
    }
}

impl StartUntilArgs {
    /// The units to start; or why not.
    fn checked(&self, report: &PromotedStatus, primary: Option<String>) -> Result<Vec<String>, String> {
        if let Some(node) = primary {
            return Err(format!("{node} is Primary: evict it there first"));
        }
        // Who holds it already may go on.
        if !matches!(report.state.as_str(), "standby" | "held" | "waiting" | "blocked" | "drained") {
            return Err(format!("it {}: reactorctl stop {} first", sentence(report), self.resource));
        }
        if report.units.is_empty() {
            return Err("it has no units: a shell runs its services, or there are none".to_owned());
        }
        until(&self.until, report)
    }

    fn how_to_go_on(&self, name: &ResourceName, out: &mut dyn Write) -> Result<(), Failure> {
        let (resource, target) = (&self.resource, units::target(name));
        writeln!(out, "  to start the rest, and let the promoter go on:")?;
        writeln!(out, "    systemctl start {target} && reactorctl release {resource}")?;
        writeln!(out, "  to stop what was started, and let the promoter go on:")?;
        // What is bound to it stops before.
        writeln!(out, "    systemctl stop {} && reactorctl release {resource}", units::promote(name))?;
        Ok(())
    }
}

/// The units up to one that is counted or named.
fn until(wanted: &str, report: &PromotedStatus) -> Result<Vec<String>, String> {
    let names: Vec<String> = report.units.iter().map(|unit| unit.unit.clone()).collect();
    if let Ok(number) = wanted.parse::<usize>() {
        let count = names.len();
        return names.get(..number).map(<[_]>::to_vec).ok_or_else(|| format!("it has {count} units, not {number}"));
    }
    let at = names.iter().position(|name| name == wanted || name.split('.').next() == Some(wanted));
    let at = at.ok_or_else(|| format!("it has no unit {wanted}, but {}", names.join(", ")))?;
    Ok(names[..=at].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::takeover::tests::report;

    fn args(until: &str) -> StartUntilArgs {
        StartUntilArgs { resource: "r0".to_owned(), until: until.to_owned(), why: None }
    }

    fn standby() -> PromotedStatus {
        let mut report = report("standby", &[], "a.mount");
        report.units.push(reactor_api::promoted::UnitStatus { unit: "b.service".to_owned(), ..Default::default() });
        report
    }

    #[test]
    fn a_unit_is_named_or_counted() {
        let units = |until: &str| args(until).checked(&standby(), None);
        assert_eq!(units("0"), Ok(vec![]));
        assert_eq!(units("a.mount"), Ok(vec!["a.mount".to_owned()]));
        assert_eq!(units("2"), units("b"));
        assert_eq!(units("3").unwrap_err(), "it has 2 units, not 3");
        assert_eq!(units("x").unwrap_err(), "it has no unit x, but a.mount, b.service");
    }

    #[test]
    fn nothing_is_started_beside_what_runs() {
        let running = report("running", &[], "a.service");
        assert_eq!(args("1").checked(&running, None).unwrap_err(), "it runs here: reactorctl stop r0 first");
        let there = args("1").checked(&standby(), Some("n2".to_owned()));
        assert_eq!(there.unwrap_err(), "n2 is Primary: evict it there first");
        let shell = PromotedStatus { units: Vec::new(), ..standby() };
        assert!(args("1").checked(&shell, None).unwrap_err().starts_with("it has no units"));
    }
}
