//! `reactorctl why`: what holds, since when, because of which facts, what would change it, and what was decided before.
//!
//! Written for somebody who was just woken up: whole sentences, times of day with their distance to now.

use std::io::{self, Write};

use clap::Args;
use jiff::Timestamp;
use reactor_api::promoted::{DecisionStatus, PeerStatus};
use reactor_api::{PromotedStatus, verbs};
use serde_json::Value;

use super::promoted::{failures, reason_of, units, words};
use super::status::duration;
use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::problems::trouble_hints;
use crate::style::{BAD, DIM, END, GOOD, NAME, WARN, make_harmless};

/// Explain why a promoted resource is as it is: facts, what would change it, last decisions
#[derive(Clone, Debug, Args)]
pub struct WhyArgs {
    /// The resource
    #[arg(value_name = "RESOURCE")]
    pub resource: String,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl Run for WhyArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let mut answer = daemon::ask_as_it_comes(place, &verbs::Why { resource: self.resource.as_str().into() })?;
        let mut report = answer.get_mut("report").map(Value::take).unwrap_or_default();
        if self.json {
            let text = serde_json::to_string_pretty(&report).map_err(|source| Failure::Answer { source })?;
            writeln!(out, "{text}")?;
            return Ok(Exit::Ok);
        }
        make_harmless(&mut report);
        let report: PromotedStatus = serde_json::from_value(report).map_err(|source| Failure::Answer { source })?;
        render(&report, reactor_sys::wall::now(), out)?;
        Ok(Exit::Ok)
    }
}

/// Prints the explanation.
fn render(report: &PromotedStatus, now: Timestamp, out: &mut dyn Write) -> io::Result<()> {
    let style = match report.state.as_str() {
        "running" => GOOD,
        "blocked" | "frozen" | "unmanaged" => BAD,
        "held" | "drained" | "starting" | "stopping" | "waiting" => WARN,
        _ => NAME,
    };
    writeln!(
        out,
        "{NAME}{}{END} {style}{}{END}, since {}.",
        report.resource,
        words(&report.state),
        when(&report.since, now)
    )?;
    for fact in &report.because {
        writeln!(out, "  because {fact}")?;
    }
    for trouble in &report.troubles {
        writeln!(out, "  {BAD}wrong{END}: {}, since {}", trouble.what, when(&trouble.since, now))?;
        for hint in trouble_hints(&report.resource, &trouble.kind) {
            writeln!(out, "    {DIM}{hint}{END}")?;
        }
    }
    if let Some(hold) = &report.hold {
        let since = hold.since.as_deref().map(|since| format!(" since {}", when(since, now))).unwrap_or_default();
        writeln!(out, "  {WARN}held{END} by {}{since}{}", hold.who, reason_of(&hold.why))?;
    }
    writeln!(out)?;
    writeln!(out, "What would change it:")?;
    if let Some(next) = &report.next {
        match &report.next_for {
            Some(what) => writeln!(out, "  at {}: {what}", when(next, now))?,
            // A daemon of an older version.
            None => writeln!(out, "  it is judged again at {} at the latest", when(next, now))?,
        }
    }
    writeln!(out, "  {}", way_out(report))?;
    writeln!(out)?;
    writeln!(out, "  {:<10} {}", "policy", policy(&report.policy))?;
    if report.failures > 0 || report.last_failure.is_some() {
        let last = report.last_failure.as_deref().map(|last| format!("; the last one: {last}")).unwrap_or_default();
        writeln!(out, "  {:<10} {}{last}", "failures", failures(report))?;
    }
    for warning in &report.warnings {
        writeln!(out, "  {WARN}{:<10}{END} {warning}", "warning")?;
    }
    peers(report, out)?;
    if !report.units.is_empty() {
        writeln!(out, "\nUnits of {}:", report.target)?;
        units(&report.units, out)?;
    }
    if report.history.is_empty() {
        return writeln!(out, "\nNothing was decided since the daemon started.");
    }
    writeln!(out, "\nLast decisions, the newest first:")?;
    report.history.iter().rev().try_for_each(|past| decision(past, now, out))
}

/// Who could take it over.
fn peers(report: &PromotedStatus, out: &mut dyn Write) -> io::Result<()> {
    if report.peers.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nOther nodes, for all that DRBD says here:")?;
    for PeerStatus { node, primary, obstacles } in &report.peers {
        match (primary, obstacles.is_empty()) {
            (true, _) => writeln!(out, "  {NAME}{node}{END} is Primary")?,
            (false, true) => writeln!(out, "  {NAME}{node}{END} could take it over")?,
            (false, false) => writeln!(out, "  {NAME}{node}{END} could not take it over: {}", obstacles.join("; "))?,
        }
    }
    Ok(())
}

fn decision(past: &DecisionStatus, now: Timestamp, out: &mut dyn Write) -> io::Result<()> {
    let outcome = past.outcome.as_deref().unwrap_or("not ended yet");
    writeln!(out, "  {}  {NAME}{}{END}: {outcome}", when(&past.time, now), past.what)?;
    for fact in &past.because {
        writeln!(out, "      {DIM}because {fact}{END}")?;
    }
    Ok(())
}

/// What a person, or the world, can do about a state.
fn way_out(report: &PromotedStatus) -> String {
    let name = &report.resource;
    match report.state.as_str() {
        "preparing" => "the step that is under way ends".to_owned(),
        "standby" => "DRBD says may_promote:yes here: no other node is Primary, and the data here is good".to_owned(),
        "waiting" => "the delay ends, or another node is faster, or DRBD takes may_promote back".to_owned(),
        "starting" => "systemd says how the start went; DRBD itself decides the promotion".to_owned(),
        "running" => match report.policy.as_str() {
            "quorum" => "this node loses quorum or its disk, a unit fails, or somebody stops the target".to_owned(),
            _ => "this node loses its disk, a unit fails, or somebody stops the target".to_owned(),
        },
        "stopping" => "systemd says that everything has stopped".to_owned(),
        "frozen" => "quorum comes back: then its services go on; a freeze-timeout would stop them".to_owned(),
        "blocked" => format!("mend what failed, then: reactorctl clear {name}"),
        "held" => format!("reactorctl release {name}"),
        "drained" => "reactorctl undrain".to_owned(),
        "unmanaged" => format!(
            "give {name} quorum (quorum majority; on-no-quorum io-error or suspend-io) or fencing in DRBD's configuration, then: \
             drbdadm adjust {name}"
        ),
        _ => "news of DRBD or of systemd".to_owned(),
    }
}

fn policy(word: &str) -> &str {
    match word {
        "quorum" => "quorum: DRBD lets at most one side write",
        "fencing" => "fencing: a peer that is not seen is fenced before this node writes",
        "alone" => "alone: DRBD has no peer of it, so nobody else could write",
        "none" => "none: nothing keeps two nodes from writing at once",
        "unknown" => "not known yet: DRBD's options have not been read",
        other => other,
    }
}

/// `14:02:11 UTC (12 s ago)`, with the date if it is another day.
fn when(time: &str, now: Timestamp) -> String {
    let Ok(at) = time.parse::<Timestamp>() else { return time.to_owned() };
    let text = at.strftime(if at.strftime("%F").to_string() == now.strftime("%F").to_string() {
        "%H:%M:%S UTC"
    } else {
        "%F %H:%M:%S UTC"
    });
    let seconds = now.as_second() - at.as_second();
    let distance = duration(std::time::Duration::from_secs(seconds.unsigned_abs()));
    match seconds {
        0 => format!("{text} (now)"),
        1.. => format!("{text} ({distance} ago)"),
        _ => format!("{text} (in {distance})"),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use reactor_api::promoted::{HoldStatus, TroubleStatus, UnitStatus};

    use super::*;

    fn shown(report: &PromotedStatus) -> String {
        let mut out = Vec::new();
        render(report, "2026-11-21T05:52:10Z".parse().unwrap(), &mut out).unwrap();
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    fn report(state: &str) -> PromotedStatus {
        PromotedStatus {
            resource: "r0".to_owned(),
            target: "drbd-services@r0.target".to_owned(),
            state: state.to_owned(),
            since: "2026-11-21T05:52:04.000Z".to_owned(),
            because: vec!["may_promote:yes".to_owned(), "n1 is number 2 of preferred-nodes: 5 s".to_owned()],
            policy: "quorum".to_owned(),
            max_failures: 3,
            ..PromotedStatus::default()
        }
    }

    #[test]
    fn it_reads_like_an_explanation() {
        let unit = |unit: &str, active: &str, result: Option<&str>| UnitStatus {
            unit: unit.to_owned(),
            active: active.to_owned(),
            freezer: "running".to_owned(),
            result: result.map(str::to_owned),
        };
        let report = PromotedStatus {
            next: Some("2026-11-21T05:52:14.500Z".to_owned()),
            next_for: Some("the delay ends, and it starts here".to_owned()),
            failures: 1,
            last_failure: Some("ocf.rs@vip_r0.service failed: exit-code".to_owned()),
            units: vec![
                unit("var-lib-db.mount", "inactive", None),
                unit("ocf.rs@vip_r0.service", "failed", Some("exit-code")),
            ],
            warnings: vec!["connection to n3 is StandAlone".to_owned()],
            history: vec![
                DecisionStatus {
                    time: "2026-11-20T23:11:00.000Z".to_owned(),
                    what: "start drbd-services@r0.target".to_owned(),
                    because: vec!["may_promote:yes".to_owned()],
                    outcome: Some("done after 1.2 s".to_owned()),
                },
                DecisionStatus {
                    time: "2026-11-21T05:52:03.000Z".to_owned(),
                    what: "stop drbd-services@r0.target".to_owned(),
                    because: vec!["quorum is lost".to_owned()],
                    outcome: None,
                },
            ],
            ..report("waiting")
        };
        expect![[r#"
            r0 waits to start here, since 05:52:04 UTC (6 s ago).
              because may_promote:yes
              because n1 is number 2 of preferred-nodes: 5 s

            What would change it:
              at 05:52:14 UTC (in 4 s): the delay ends, and it starts here
              the delay ends, or another node is faster, or DRBD takes may_promote back

              policy     quorum: DRBD lets at most one side write
              failures   1 of 3 failures; the last one: ocf.rs@vip_r0.service failed: exit-code
              warning    connection to n3 is StandAlone

            Units of drbd-services@r0.target:
              ├─ var-lib-db.mount  inactive
            * └─ ocf.rs@vip_r0.service  failed  exit-code

            Last decisions, the newest first:
              05:52:03 UTC (7 s ago)  stop drbd-services@r0.target: not ended yet
                  because quorum is lost
              2026-11-20 23:11:00 UTC (6 h 41 min ago)  start drbd-services@r0.target: done after 1.2 s
                  because may_promote:yes
        "#]]
        .assert_eq(&shown(&report));
    }

    #[test]
    fn io_that_hangs_stands_first() {
        let trouble = TroubleStatus {
            kind: "io-hangs".to_owned(),
            what: "Primary here, but its I/O hangs: volume 0 is Negotiating, volume 0 is blocked:upper".to_owned(),
            since: "2026-11-21T05:51:50.000Z".to_owned(),
        };
        let report = PromotedStatus {
            because: vec!["its services run here".to_owned()],
            next: Some("2026-11-21T05:56:10.000Z".to_owned()),
            next_for: Some("DRBD's options of it are read again; that is routine".to_owned()),
            troubles: vec![trouble],
            ..report("running")
        };
        expect![[r#"
            r0 runs here, since 05:52:04 UTC (6 s ago).
              because its services run here
              wrong: Primary here, but its I/O hangs: volume 0 is Negotiating, volume 0 is blocked:upper, since 05:51:50 UTC (20 s ago)
                what uses it is in state D: fuser -vm $(drbdadm sh-dev r0); drbdadm status r0; dmesg
                if it does not go on by itself, only a restart of this node helps; another one takes over then

            What would change it:
              at 05:56:10 UTC (in 4 min): DRBD's options of it are read again; that is routine
              this node loses quorum or its disk, a unit fails, or somebody stops the target

              policy     quorum: DRBD lets at most one side write

            Nothing was decided since the daemon started.
        "#]].assert_eq(&shown(&report));
    }

    #[test]
    fn a_hold_says_whose_it_is_and_how_it_ends() {
        let hold = HoldStatus {
            who: "root".to_owned(),
            why: "new cables".to_owned(),
            since: Some("2026-11-21T05:00:00.000Z".to_owned()),
            ..HoldStatus::default()
        };
        let report = PromotedStatus { hold: Some(hold), because: Vec::new(), ..report("held") };
        expect![[r#"
            r0 is held, since 05:52:04 UTC (6 s ago).
              held by root since 05:00:00 UTC (52 min ago): new cables

            What would change it:
              reactorctl release r0

              policy     quorum: DRBD lets at most one side write

            Nothing was decided since the daemon started.
        "#]]
        .assert_eq(&shown(&report));
    }
}
