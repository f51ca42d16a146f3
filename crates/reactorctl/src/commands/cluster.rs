//! `reactorctl status --all`: each resource, where it runs, whether all is well with it, and how it is on every node of the context.
//!
//! Availability and health are two things: a service that runs on its last node is available, and not well.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use anstyle::Style;
use reactor_api::objects::WireResource;
use reactor_api::verb::{Limit, Verb as _};
use reactor_api::{PromotedStatus, Status, verbs};
use serde_json::{Map, Value, json};

use super::status::{StatusArgs, all_are_known};
use crate::cli::Place;
use crate::exit::{Exit, Failure};
use crate::live::Live;
use crate::nodes::ask_all;
use crate::nodes::context::{self, Node};
use crate::problems::{Problem, SERVICES, Severity, problems};
use crate::style::{BAD, DIM, END, GOOD, NAME, WARN, count, harmless, make_harmless};
use crate::text::{WIDTH, wrapped};
use crate::text::{between, duration};
use crate::watching::{News, Then, Watching, Whom};

/// What a node has said; or why it has not.
pub(super) type Answer = Result<Value, String>;

pub(super) fn run(args: &StatusArgs, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
    let nodes = context::needed(&place.context)?;
    let answers = ask(&nodes, &args.request());
    show(args, &nodes, &answers, out)?;
    exit(&answers, &args.resources)
}

/// How a look at all nodes ends. A node that says nothing may have what the others do not have.
pub(super) fn exit(answers: &[Answer], wanted: &[String]) -> Result<Exit, Failure> {
    if answers.iter().any(|answer| understood(answer).is_err()) {
        return Ok(Exit::NodesFailed);
    }
    let said: Vec<&Value> = answers.iter().flatten().collect();
    all_are_known(wanted, &said).map(|()| Exit::Ok)
}

/// What each node says now.
pub(super) fn ask(nodes: &[Node], request: &verbs::Status) -> Vec<Answer> {
    let answers = ask_all(nodes, Limit::Short.client().max(request.limit().client()), |client| {
        let mut answer = client.ask_as_it_comes(request).map_err(Failure::about_resource)?;
        Ok(answer.get_mut("status").map(Value::take).unwrap_or_default())
    });
    let of_node =
        |(node, answer): (&Node, Result<Value, Failure>)| answer.map_err(|failure| failure.without_node(&node.name));
    nodes.iter().zip(answers).map(of_node).collect()
}

/// Until it is interrupted: a node that does not answer may come back.
pub(super) fn watch(args: &StatusArgs, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
    let nodes = context::needed(&place.context)?;
    let whom = nodes.iter().cloned().map(Whom::Node).collect();
    let watching = Watching::start(whom, &args.resources, Then::Again);
    let mut answers: Vec<Option<Answer>> = vec![None; nodes.len()];
    let (mut live, mut last) = (Live::begin(), String::new());
    while let Some((number, news)) = watching.next(None) {
        answers[number] = Some(match news {
            News::Picture(picture) => Ok(picture),
            News::Ended(failure) => Err(failure.without_node(&nodes[number].name)),
        });
        // The first picture is of all.
        let Some(all) = answers.iter().cloned().collect::<Option<Vec<Answer>>>() else { continue };
        let mut text = Vec::new();
        show(args, &nodes, &all, &mut text)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        // A node that is dead is tried again and again, and stays dead.
        if text == last {
            continue;
        }
        if args.json {
            out.write_all(text.as_bytes())?;
            out.flush()?;
        } else {
            live.draw(&text, out)?;
        }
        last = text;
    }
    Err(Failure::Stopped)
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
    render(&said, &args.resources, out)?;
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

pub(super) fn understood(answer: &Answer) -> Result<Status, String> {
    let mut value = answer.clone().map_err(|why| harmless(&why).into_owned())?;
    make_harmless(&mut value);
    serde_json::from_value(value).map_err(|error| format!("its answer is not understood: {error}"))
}

/// What one node says of one resource.
pub(super) struct Here<'a> {
    pub(super) drbd: Option<&'a WireResource>,
    pub(super) promoted: Option<&'a PromotedStatus>,
    /// Its problems there, the worst first.
    problems: Vec<(Severity, String)>,
}

impl Here<'_> {
    /// How bad the worst of its problems is, and what it is.
    pub(super) fn worst(&self) -> Option<(Severity, &str)> {
        self.problems.first().map(|(severity, what)| (*severity, what.as_str()))
    }

    /// The same without what the promoter's state says.
    fn worst_but_state(&self) -> Option<(Severity, &str)> {
        let is_state = |what: &str| {
            let of_services = what.strip_prefix(SERVICES).and_then(|what| what.split_once(": "));
            of_services.is_some_and(|(_, what)| self.promoted.is_some_and(|it| what.starts_with(&it.state)))
        };
        self.problems.iter().map(|(severity, what)| (*severity, what.as_str())).find(|(_, what)| !is_state(what))
    }
}

/// What nodes say of each resource: by its name, then by theirs.
pub(super) type ByResource<'a> = BTreeMap<&'a str, BTreeMap<&'a str, Here<'a>>>;

/// The same of what they have said; of the resources that are `wanted`, or of all if none is.
pub(super) fn by_resource<'a>(
    statuses: impl Iterator<Item = (&'a str, &'a Status)>,
    wanted: &[String],
) -> ByResource<'a> {
    let mut table = ByResource::new();
    for (node, status) in statuses {
        let problems = problems(status);
        let names: BTreeSet<&str> = names(status).collect();
        for name in names.into_iter().filter(|name| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name)) {
            let problems = problems.iter().filter(|problem| problem.is_about(name));
            let said = |problem: &Problem| (problem.severity, format!("{}: {}", problem.place, problem.what));
            let here = Here {
                drbd: status.resources.iter().find(|resource| resource.name == name),
                promoted: status.promoted.iter().find(|promoted| promoted.resource == name),
                problems: problems.map(said).collect(),
            };
            table.entry(name).or_default().insert(node, here);
        }
    }
    table
}

/// The resources that DRBD has, and those that promoters have.
fn names(status: &Status) -> impl Iterator<Item = &str> {
    let drbd = status.resources.iter().map(|resource| resource.name.as_str());
    drbd.chain(status.promoted.iter().map(|one| one.resource.as_str()))
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

/// What a promoter that does not run it says of that, on each node.
pub(super) fn what_each_says(nodes: &BTreeMap<&str, Here<'_>>) -> Vec<String> {
    let says = |(node, here): (&&str, &Here<'_>)| {
        let promoted = here.promoted?;
        let because = promoted.because.join("; ");
        let why = if because.is_empty() { String::new() } else { format!(": {because}") };
        Some(format!("{node}: {}{why}", promoted.state))
    };
    nodes.iter().filter_map(says).collect()
}

/// One column each for how well it is and where it is available; below it each node. As wide as what is in them.
fn table(rows: &[Row<'_>], table: &BTreeMap<&str, BTreeMap<&str, Here<'_>>>, out: &mut dyn Write) -> io::Result<()> {
    let length = |text: &str| text.chars().count();
    let names = rows.iter().map(|row| length(row.name)).max().unwrap_or(0);
    let healths = rows.iter().map(|row| length(row.health.0)).max().unwrap_or(0);
    let nodes = table.values().flat_map(BTreeMap::keys).map(|node| length(node)).max().unwrap_or(0);
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
            let state = here.promoted.map_or("-", |promoted| promoted.state.as_str());
            let role = here.drbd.map_or("-", |drbd| drbd.fields.role.as_str());
            let disks = here.drbd.map_or_else(|| "not known to DRBD".to_owned(), disks);
            let line = format!("  {node:nodes$}  {state:<9}  {role:<9}");
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

/// Where it runs. Of what no promoter has, where it is Primary.
pub(super) enum Availability {
    /// On this node, since then.
    Runs(String),
    /// Something is being done about it, or it waits.
    OnItsWay(String),
    /// It is Primary on this node, as that says. With a promoter it should run there.
    Primary { node: String, is_promoted: bool },
    /// It is Primary on a node that says nothing itself; its peers say so.
    ByPeers { node: String, peers: Vec<String> },
    /// Nowhere, as all nodes say; or as those say that answer.
    Nowhere { is_whole: bool },
    /// No promoter has it, and no node has it Primary.
    PrimaryNowhere,
}

impl Availability {
    /// By what nodes say; `is_whole` = all of them do.
    pub(super) fn of(nodes: &BTreeMap<&str, Here<'_>>, now: &BTreeMap<&str, &str>, is_whole: bool) -> Self {
        let running =
            nodes.iter().find_map(|(node, here)| Some((node, here.promoted?)).filter(|(_, it)| it.state == "running"));
        if let Some((node, promoted)) = running {
            let since = now.get(node).and_then(|now| between(&promoted.since, now));
            let long = since.map_or(String::new(), |since| format!(" for {}", duration(since)));
            return Self::Runs(format!("runs on {node}{long}"));
        }
        let on_its_way = nodes.iter().find_map(|(node, here)| {
            let state = here.promoted?.state.as_str();
            matches!(state, "starting" | "stopping" | "waiting" | "frozen").then(|| format!("{state} on {node}"))
        });
        if let Some(words) = on_its_way {
            return Self::OnItsWay(words);
        }
        let is_promoted = nodes.values().any(|here| here.promoted.is_some());
        if let Some(node) = nodes.iter().find(|(_, here)| here.drbd.is_some_and(is_primary)).map(|(node, _)| *node) {
            return Self::Primary { node: node.to_owned(), is_promoted };
        }
        let by_peers = nodes.iter().find_map(|(_, here)| primary_peer(here));
        if let Some(node) = by_peers {
            let says_so = |(_, here): &(&&str, &Here<'_>)| primary_peer(here) == Some(node);
            let peers = nodes.iter().filter(says_so).map(|(peer, _)| (*peer).to_owned()).collect();
            return Self::ByPeers { node: node.to_owned(), peers };
        }
        if is_promoted { Self::Nowhere { is_whole } } else { Self::PrimaryNowhere }
    }

    /// For people.
    pub(super) fn words(&self) -> (String, Style) {
        match self {
            Self::Runs(words) => (words.clone(), GOOD),
            Self::OnItsWay(words) => (words.clone(), WARN),
            Self::Primary { node, is_promoted } => {
                (format!("Primary on {node}"), if *is_promoted { WARN } else { GOOD })
            }
            Self::ByPeers { node, peers } => {
                let say = if peers.len() == 1 { "says" } else { "say" };
                (format!("Primary on {node}, {say} {}", peers.join(", ")), WARN)
            }
            Self::Nowhere { is_whole: true } => ("runs nowhere".to_owned(), BAD),
            Self::Nowhere { is_whole: false } => ("runs on no node that answers".to_owned(), BAD),
            Self::PrimaryNowhere => ("Primary nowhere".to_owned(), DIM),
        }
    }

    /// The worst problem on each node: how bad it is, what, and where. Beside [`what_each_says`] that of its state is no news.
    pub(super) fn problems<'a>(
        &self,
        nodes: &'a BTreeMap<&str, Here<'_>>,
    ) -> impl Iterator<Item = (Severity, &'a str, &'a str)> {
        let each_says = self.health().is_some();
        nodes.iter().filter_map(move |(node, here)| {
            let (severity, what) = if each_says { here.worst_but_state() } else { here.worst() }?;
            Some((severity, what, *node))
        })
    }

    /// How well something is that nobody can use, or of which nobody knows.
    pub(super) fn health(&self) -> Option<(&'static str, Style)> {
        match self {
            Self::Nowhere { is_whole: true } => Some(("down", BAD)),
            Self::Nowhere { is_whole: false } | Self::ByPeers { .. } => Some(("unknown", WARN)),
            Self::Runs(_) | Self::OnItsWay(_) | Self::Primary { .. } | Self::PrimaryNowhere => None,
        }
    }
}

fn is_primary(drbd: &WireResource) -> bool {
    drbd.fields.role == "Primary"
}

/// The peer that is Primary, as this node has it.
pub(super) fn primary_peer<'a>(here: &Here<'a>) -> Option<&'a str> {
    let primary = here.drbd?.connections.iter().find(|connection| connection.fields.peer_role == "Primary")?;
    primary.fields.name.as_deref()
}

pub(super) fn severity_word(severity: Severity) -> (&'static str, Style) {
    match severity {
        Severity::Bad => ("bad", BAD),
        Severity::Degraded => ("degraded", WARN),
        Severity::Note => ("note", DIM),
    }
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
                n1: held: held by root: cables
                n2: blocked: blocked here: they failed too often
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
