//! `reactorctl status --all`: each resource, where it runs, whether all is well with it, and how it is on every node of the context.
//!
//! Availability and health are two things: a service that runs on its last node is available, and not well.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use anstyle::Style;
use reactor_api::Status;
use reactor_api::objects::WireResource;
use serde_json::{Map, Value, json};

use super::StatusArgs;
use crate::cli::Place;
use crate::exit::{Exit, Failure};
use crate::nodes::context::{self, Node};
use crate::parts::cluster::{
    Answer, Availability, Here, ask, by_resource, exit, follow, names, severity_word, understood, what_each_says,
};
use crate::parts::promoted::state;
use crate::problems::{SERVICES, problems};
use crate::style::{BAD, DIM, END, GOOD, NAME, count, harmless};
use crate::text::{WIDTH, between, duration, wrapped};

pub(crate) fn run(args: &StatusArgs, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
    let nodes = context::needed(&place.context)?;
    let answers = ask(&nodes, &args.which.request());
    show(args, &nodes, &answers, out)?;
    exit(&answers, &args.which.names())
}

/// Until it is interrupted: a node that does not answer may come back.
pub(crate) fn watch(args: &StatusArgs, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
    let nodes = context::needed(&place.context)?;
    let mut answers: Vec<Option<Answer>> = vec![None; nodes.len()];
    follow(&nodes, &args.which.names(), args.json, out, |number, answer| {
        answers[number] = Some(answer.clone());
        // The first picture is of all.
        let Some(all) = answers.iter().cloned().collect::<Option<Vec<Answer>>>() else { return Ok(None) };
        let mut text = Vec::new();
        show(args, &nodes, &all, &mut text)?;
        Ok(Some(String::from_utf8_lossy(&text).into_owned()))
    })
}

fn show(args: &StatusArgs, nodes: &[Node], answers: &[Answer], out: &mut dyn Write) -> Result<(), Failure> {
    if args.json {
        writeln!(out, "{}", document(nodes, answers))?;
        return Ok(());
    }
    let said: Vec<(String, Result<Status, String>)> = nodes
        .iter()
        .zip(answers)
        .map(|(node, answer)| (harmless(&node.name).into_owned(), understood(answer)))
        .collect();
    render(&said, &args.which.names(), out)?;
    Ok(())
}

/// `{"n1": {"status": {...}}, "n3": {"error": "..."}}`.
fn document(nodes: &[Node], answers: &[Answer]) -> Value {
    let member = |(node, answer): (&Node, &Answer)| match answer {
        Ok(status) => (node.name.clone(), json!({ "status": status })),
        Err(why) => (node.name.clone(), json!({ "error": why })),
    };
    Value::Object(nodes.iter().zip(answers).map(member).collect::<Map<_, _>>())
}

fn render(said: &[(String, Result<Status, String>)], wanted: &[String], out: &mut dyn Write) -> io::Result<()> {
    let statuses = || said.iter().filter_map(|(node, status)| Some((node.as_str(), status.as_ref().ok()?)));
    let table = by_resource(statuses(), wanted);
    let now: BTreeMap<&str, &str> = statuses().map(|(node, status)| (node, status.now.as_str())).collect();
    let is_whole = said.iter().all(|(_, status)| status.is_ok());
    let rows: Vec<Row<'_>> = table.iter().map(|(name, nodes)| Row::new(name, nodes, &now, is_whole)).collect();
    self::table(&rows, &table, out)?;
    if table.is_empty() {
        writeln!(out, "{DIM}no resources{END}")?;
    }
    writeln!(out)?;
    for (node, status) in said {
        self::node(node, status, out)?;
    }
    Ok(())
}

/// The line of a resource.
struct Row<'a> {
    name: &'a str,
    available: (String, Style),
    /// How well it is, in a word.
    health: (&'static str, Style),
    /// Of what runs nowhere, what each node says; then what is the worst, and on which node.
    worst: Vec<String>,
}

impl<'a> Row<'a> {
    fn new(name: &'a str, nodes: &BTreeMap<&str, Here<'_>>, now: &BTreeMap<&str, &str>, is_whole: bool) -> Self {
        let availability = Availability::of(nodes, now, is_whole);
        // Its name stands at the beginning of the line above.
        let of_it = |what: &str| {
            let what = what.strip_prefix(SERVICES).unwrap_or(what);
            what.strip_prefix(name).unwrap_or(what).trim_start_matches([':', ' ']).to_owned()
        };
        let worst = availability.problems(nodes).min_by_key(|(severity, ..)| *severity);
        let health = match (availability.health(), worst) {
            (Some(health), _) => health,
            (None, Some((severity, ..))) => severity_word(severity),
            (None, None) => ("well", GOOD),
        };
        let says = if availability.health().is_some() { what_each_says(nodes) } else { Vec::new() };
        let worst = worst.map(|(_, what, node)| format!("{} (on {node})", of_it(what)));
        Self { name, available: availability.words(), health, worst: says.into_iter().chain(worst).collect() }
    }
}

/// One column each for how well it is and where it is available; below it each node. As wide as what is in them.
fn table(rows: &[Row<'_>], table: &BTreeMap<&str, BTreeMap<&str, Here<'_>>>, out: &mut dyn Write) -> io::Result<()> {
    let length = |text: &str| text.chars().count();
    let names = rows.iter().map(|row| length(row.name)).max().unwrap_or(0);
    let healths = rows.iter().map(|row| length(row.health.0)).max().unwrap_or(0);
    let nodes = table.values().flat_map(BTreeMap::keys).map(|node| length(node)).max().unwrap_or(0);
    let promoted = table.values().flat_map(BTreeMap::values).filter_map(|here| here.promoted);
    let states = promoted.map(|promoted| length(&state(promoted))).max().unwrap_or(0).max(9);
    for row in rows {
        let ((available, style), (health, health_style)) = (&row.available, row.health);
        let (name, health) = (format!("{:names$}", row.name), format!("{health:healths$}"));
        writeln!(out, "{NAME}{name}{END}  {health_style}{health}{END}  {style}{available}{END}")?;
        for worst in &row.worst {
            for line in wrapped(worst, WIDTH - 4) {
                writeln!(out, "    {health_style}{line}{END}")?;
            }
        }
        for (node, here) in table.get(row.name).into_iter().flatten() {
            let state = here.promoted.map_or_else(|| "-".to_owned(), state);
            let role = here.drbd.map_or("-", |drbd| drbd.fields.role.as_str());
            let disks = here.drbd.map_or_else(|| "not known to DRBD".to_owned(), disks);
            let line = format!("  {node:nodes$}  {state:states$}  {role:<9}");
            if length(&line) + 2 + length(&disks) <= WIDTH {
                writeln!(out, "{line}  {disks}")?;
            } else {
                writeln!(out, "{}", line.trim_end())?;
                writeln!(out, "    {disks}")?;
            }
        }
    }
    Ok(())
}

/// `UpToDate`, or `UpToDate, Inconsistent`: each state of a disk once.
fn disks(drbd: &WireResource) -> String {
    let states: BTreeSet<&str> = drbd.devices.iter().map(|device| device.fields.disk_state.as_str()).collect();
    let states: Vec<&str> = states.into_iter().collect();
    let mut text = if states.is_empty() { "no volumes".to_owned() } else { states.join(", ") };
    let peers = drbd.connections.iter().flat_map(|connection| &connection.peer_devices);
    // Of several that which has most to do.
    let done = peers.filter_map(|device| device.fields.done_percent).filter(|done| done.is_finite());
    if let Some(done) = done.reduce(f64::min) {
        text.push_str(&format!(", {done:.1}% done"));
    }
    text
}

/// The node itself: what is wrong with its daemon, or that it does not answer.
fn node(name: &str, status: &Result<Status, String>, out: &mut dyn Write) -> io::Result<()> {
    let status = match status {
        Ok(status) => status,
        Err(why) => return writeln!(out, "{BAD}!{END} {NAME}{name}{END}: {why}"),
    };
    let up =
        between(&status.started, &status.now).map(|up| format!(", running for {}", duration(up))).unwrap_or_default();
    let resources = count(status.resources.len() as u64, "resource");
    writeln!(out, "  {NAME}{name}{END}: Storage Reactor {}{up}, {resources}", status.version)?;
    let names: BTreeSet<&str> = names(status).collect();
    for problem in problems(status) {
        // Those of resources stand with these.
        if !names.iter().any(|name| problem.is_about(name)) {
            let (word, style) = severity_word(problem.severity);
            writeln!(out, "      {style}{word}{END}: {}: {}", problem.place, problem.what)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use reactor_api::PromotedStatus;
    use reactor_api::promoted::TroubleStatus;

    use super::*;
    use crate::testing::{BAD, GOOD, status_of};

    fn promoted(mut status: Status, resource: &str, state: &str) -> Status {
        let since = "2026-11-21T04:52:10.000Z".to_owned();
        let (resource, state) = (resource.to_owned(), state.to_owned());
        status.promoted.push(PromotedStatus { resource, state, since, ..PromotedStatus::default() });
        status
    }

    #[test]
    fn availability_and_health_are_columns_whatever_the_names() {
        let said = [
            ("database-server-in-the-cellar".to_owned(), Ok(promoted(status_of(GOOD), "r0", "running"))),
            ("n2".to_owned(), Ok(promoted(status_of(BAD), "a", "blocked"))),
            ("n3".to_owned(), Err("not reached: no route to host".to_owned())),
        ];
        let mut out = Vec::new();
        render(&said, &[], &mut out).unwrap();
        let text = anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string();
        let is_of_resources = |line: &&str| !line.is_empty();
        let mut lines = text.lines().take_while(is_of_resources);
        assert!(lines.all(|line| line.chars().count() <= WIDTH), "{text}");
        expect![[r#"
            a   bad      Primary on n2
                blocked here: they failed too often (on n2)
              n2                             blocked    Primary    UpToDate
            b   unknown  Primary on n2, says n2
                all I/O fails until the last opener has closed it: it was demoted by force
                (on n2)
              n2                             -          Secondary
                Diskless, Inconsistent, 51.1% done
            r0  well     runs on database-server-in-the-cellar for 1 h 0 min
              database-server-in-the-cellar  running    Primary    UpToDate

              database-server-in-the-cellar: Storage Reactor 1.2.3, running for 3 h 12 min, 1 resource
              n2: Storage Reactor 1.2.3, running for 3 h 12 min, 2 resources
            ! n3: not reached: no route to host
        "#]]
        .assert_eq(&text);
    }

    fn saying(mut status: Status, because: &str) -> Status {
        let promoted = status.promoted.last_mut().unwrap();
        promoted.because = vec![because.to_owned()];
        status
    }

    fn drawn(said: &[(String, Result<Status, String>)]) -> String {
        let mut out = Vec::new();
        render(said, &[], &mut out).unwrap();
        let text = anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string();
        text.lines().take_while(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect()
    }

    /// Two nodes, none of which has `r0` Primary.
    fn secondary(because: &str, state: &str) -> Status {
        let mut status = status_of(GOOD);
        for resource in &mut status.resources {
            resource.fields.role = "Secondary".to_owned();
        }
        saying(promoted(status, "r0", state), because)
    }

    #[test]
    fn what_runs_nowhere_is_down_and_each_node_says_why() {
        let mut blocked = secondary("blocked here: they failed too often", "blocked");
        let (what, since) = ("a mount is left behind".to_owned(), "2026-11-21T04:52:10.000Z".to_owned());
        blocked.promoted[0].troubles.push(TroubleStatus { what, since, ..TroubleStatus::default() });
        let said = [("n1".to_owned(), Ok(secondary("held by root: cables", "held"))), ("n2".to_owned(), Ok(blocked))];
        expect![[r#"
            r0  down  runs nowhere
                n1: held by root: cables
                n2: blocked here: they failed too often
                a mount is left behind, since 2026-11-21T04:52:10.000Z (on n2)
              n1  held       Secondary  UpToDate
              n2  blocked    Secondary  UpToDate
        "#]]
        .assert_eq(&drawn(&said));
    }

    #[test]
    fn who_is_silent_may_run_it_and_peers_know_whether() {
        let mut one = secondary("n2 is Primary", "standby");
        let silent = ("n2".to_owned(), Err("not reached: no answer within 3 s".to_owned()));
        let nobody = [("n1".to_owned(), Ok(one.clone())), silent.clone()];
        expect![[r#"
            r0  unknown  runs on no node that answers
                n1: standby: n2 is Primary
              n1  standby    Secondary  UpToDate
        "#]]
        .assert_eq(&drawn(&nobody));
        let connections = &mut one.resources[0].connections;
        connections.iter_mut().find(|it| it.fields.name.as_deref() == Some("n2")).unwrap().fields.peer_role =
            "Primary".to_owned();
        expect![[r#"
            r0  unknown  Primary on n2, says n1
                n1: standby: n2 is Primary
              n1  standby    Secondary  UpToDate
        "#]]
        .assert_eq(&drawn(&[("n1".to_owned(), Ok(one.clone())), silent.clone()]));
        // What is wrong with it where it can be seen is not lost.
        one.resources[0].devices[0].fields.disk_state = "Failed".to_owned();
        expect![[r#"
            r0  unknown  Primary on n2, says n1
                n1: standby: n2 is Primary
                volume 0: disk is Failed (on n1)
              n1  standby    Secondary  Failed
        "#]]
        .assert_eq(&drawn(&[("n1".to_owned(), Ok(one)), silent]));
    }
}
