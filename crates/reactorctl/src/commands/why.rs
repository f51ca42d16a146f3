//! `reactorctl why`: what holds, since when, because of which facts, what would change it, and what was decided before.
//!
//! Written for somebody who was just woken up: whole sentences, times of day with their distance to now.

mod way_out;

use std::io::{self, Write};

use clap::Args;
use jiff::Timestamp;
use reactor_api::client::Client;
use reactor_api::promoted::{DecisionStatus, PeerStatus};
use reactor_api::verb::Limit;
use reactor_api::words::Event;
use reactor_api::{PlanStatus, PromotedStatus, Status, WireIncident, verbs};
use reactor_core::names;
use serde_json::{Value, json};

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::nodes::ask_all;
use crate::nodes::context;
use crate::parts::incident;
use crate::parts::promoted::{self, failures, reason_of, runs_here, sentence, units};
use crate::parts::race::{self, Answer, ask_nodes, document};
use crate::parts::takeover;
use crate::problems::trouble_hints;
use crate::style::{BAD, DIM, END, GOOD, NAME, WARN, make_harmless};
use crate::text::duration;
use way_out::way_out;

/// Explain why a promoted resource is as it is: facts, what would change it, last decisions
#[derive(Clone, Debug, Args)]
pub struct WhyArgs {
    /// The resource
    #[arg(value_name = "RESOURCE")]
    pub resource: String,

    /// Ask the other nodes of the context what they would do if this one died
    #[arg(short, long)]
    pub all: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What is known beside the report.
#[derive(Debug, Default)]
struct Outlook {
    /// What follows as things are; `None` = the daemon is older than that question.
    plan: Option<PlanStatus>,
    /// What would follow if the node where it runs died: the event, and what each node that was asked would do.
    death: Option<(Event, Vec<Answer>)>,
    others: Others,
    /// Storage incidents that touch it.
    incidents: Vec<WireIncident>,
}

/// Whether the daemons of the other nodes have said how they are.
#[derive(Debug, Default)]
enum Others {
    /// No context says who they are.
    #[default]
    Unknown,
    /// They are known, and `--all` would ask them.
    NotAsked,
    /// What each has said, by its name in the context.
    Asked(Vec<(String, Result<Status, Failure>)>),
}

impl Run for WhyArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let mut client = daemon::connect(place, Limit::Short.client())?;
        let why = verbs::Why { resource: self.resource.as_str().into() };
        let mut answer = client.ask_as_it_comes(&why).map_err(Failure::about_resource)?;
        let mut report = answer.get_mut("report").map(Value::take).unwrap_or_default();
        let as_it_came = report.clone();
        make_harmless(&mut report);
        let report: PromotedStatus = serde_json::from_value(report).map_err(|source| Failure::Answer { source })?;
        let others = self.others(place, &report)?;
        let mut incidents = incident::open(&mut client);
        incidents.retain(|incident| incident.resources.contains(&report.resource));
        let outlook = Outlook { others, incidents, ..self.outlook(place, &mut client, &report)? };
        if self.json {
            let whole = outlook.added_to(as_it_came, &report);
            let text = serde_json::to_string_pretty(&whole).map_err(|source| Failure::Answer { source })?;
            writeln!(out, "{text}")?;
            return Ok(Exit::Ok);
        }
        render(&report, &outlook, reactor_sys::wall::now(), out)?;
        Ok(Exit::Ok)
    }
}

impl WhyArgs {
    /// The daemons of the nodes that DRBD knows here are asked, if the context has them: each says itself whether it is held, blocked or drained.
    fn others(&self, place: &Place, report: &PromotedStatus) -> Result<Others, Failure> {
        if !self.all {
            let known = context::needed(&place.context).is_ok();
            return Ok(if known { Others::NotAsked } else { Others::Unknown });
        }
        let mut nodes = context::needed(&place.context)?;
        nodes.retain(|node| report.peers.iter().any(|peer| names::same(&peer.node, &node.name)));
        let said = ask_all(&nodes, takeover::WITHIN, |client| takeover::ask(client, Some(&self.resource)));
        Ok(Others::Asked(nodes.into_iter().map(|node| node.name).zip(said).collect()))
    }

    /// A daemon that is older than the question has no plan, and everything else is said all the same.
    fn outlook(&self, place: &Place, client: &mut Client, report: &PromotedStatus) -> Result<Outlook, Failure> {
        let mut ask = |event: Option<Event>| {
            let request = verbs::Plan { resource: self.resource.as_str().into(), event };
            daemon::ask_over(client, &request).ok()?.plan.known().ok()
        };
        let Some(plan) = ask(None) else { return Ok(Outlook::default()) };
        let primary = report.peers.iter().find(|peer| peer.primary).map(|peer| peer.node.clone());
        let event = match primary {
            _ if runs_here(report) => Event::NodeDown(plan.node.clone()),
            Some(primary) => Event::NodeDown(primary),
            // It runs nowhere: nobody's death changes that.
            None => return Ok(Outlook { plan: Some(plan), ..Outlook::default() }),
        };
        let answers = if self.all {
            ask_nodes(&context::needed(&place.context)?, &self.resource, Some(&event))
        } else {
            let own = ask(Some(event.clone())).filter(|plan| plan.does != "down");
            own.map(|plan| (plan.node.clone(), Ok(plan))).into_iter().collect()
        };
        Ok(Outlook { plan: Some(plan), death: Some((event, answers)), ..Outlook::default() })
    }
}

impl Outlook {
    /// The report as it came, with `plan`, `if-down`, `others` and `incidents`.
    fn added_to(&self, mut report: Value, understood: &PromotedStatus) -> Value {
        let Some(members) = report.as_object_mut() else { return report };
        if let Others::Asked(said) = &self.others {
            let other = |(node, said): &(String, Result<Status, Failure>)| {
                let value = match said {
                    Ok(status) => json!({
                        "report": takeover::promoted(status, &understood.resource),
                        "drained": status.drained,
                        "obstacles": takeover::obstacles(understood, node, said.as_ref()),
                    }),
                    Err(failure) => json!({ "error": failure.without_node(node) }),
                };
                (node.clone(), value)
            };
            members.insert("others".to_owned(), said.iter().map(other).collect());
        }
        if !self.incidents.is_empty() {
            members.insert("incidents".to_owned(), json!(self.incidents));
        }
        if let Some(plan) = &self.plan {
            members.insert("plan".to_owned(), json!(plan));
        }
        if let Some((event, answers)) = &self.death {
            let mut document = document(answers);
            document["event"] = json!(event);
            members.insert("if-down".to_owned(), document);
        }
        report
    }
}

/// Prints the explanation.
fn render(report: &PromotedStatus, outlook: &Outlook, now: Timestamp, out: &mut dyn Write) -> io::Result<()> {
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
        sentence(report),
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
    for incident in &outlook.incidents {
        write!(out, "  {BAD}storage{END}: ")?;
        incident::line(incident, now, out)?;
    }
    if let Some(hold) = &report.hold {
        let since = hold.since.as_deref().map(|since| format!(" since {}", when(since, now))).unwrap_or_default();
        let ends = hold.ends.as_deref().map(|ends| format!(", or until {}", when(ends, now)));
        let (what, ends) = (promoted::hold(hold), ends.unwrap_or_default());
        writeln!(out, "  {WARN}{what}{END}{since}{ends}{}", reason_of(&hold.why))?;
    }
    writeln!(out, "  next: {}", next(report, outlook.plan.as_ref(), now))?;
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
    peers(report, &outlook.others, out)?;
    death(report, outlook, out)?;
    if !report.units.is_empty() {
        writeln!(out, "\nUnits of {}:", report.target)?;
        units(report, out)?;
    }
    if report.history.is_empty() {
        return writeln!(out, "\nNothing was decided since the daemon started.");
    }
    writeln!(out, "\nLast decisions, the newest first:")?;
    report.history.iter().rev().try_for_each(|past| decision(past, now, out))
}

/// Who could take it over.
fn peers(report: &PromotedStatus, others: &Others, out: &mut dyn Write) -> io::Result<()> {
    if report.peers.is_empty() {
        return Ok(());
    }
    match others {
        Others::Asked(_) => writeln!(out, "\nOther nodes:")?,
        Others::NotAsked | Others::Unknown => writeln!(out, "\nOther nodes, for all that DRBD says here:")?,
    }
    for peer in &report.peers {
        writeln!(out, "  {NAME}{}{END}{}", peer.node, of_peer(report, peer, others))?;
    }
    match others {
        Others::NotAsked => writeln!(out, "  {DIM}{}{END}", how_to_ask(&report.resource)),
        Others::Asked(_) | Others::Unknown => Ok(()),
    }
}

/// What DRBD does not know.
fn how_to_ask(resource: &str) -> String {
    format!("whether it is held, blocked or drained there: reactorctl why {resource} --all asks the other nodes")
}

/// The rest of a sentence that begins with the name of the node.
fn of_peer(report: &PromotedStatus, peer: &PeerStatus, others: &Others) -> String {
    let PeerStatus { node, primary, obstacles, .. } = peer;
    let said = match others {
        Others::Asked(said) => said.iter().find(|(name, _)| names::same(name, node)),
        Others::NotAsked | Others::Unknown => None,
    };
    match (said, others) {
        _ if *primary => " is Primary".to_owned(),
        (Some((_, said)), _) => {
            let obstacles = takeover::obstacles(report, node, said.as_ref());
            if obstacles.is_empty() { " could take it over".to_owned() } else { format!(": {}", obstacles.join("; ")) }
        }
        (None, Others::Asked(_)) => {
            let of_drbd = if obstacles.is_empty() { String::new() } else { format!("; {}", obstacles.join("; ")) };
            format!(": not in the context, so its daemon was not asked{of_drbd}")
        }
        _ if obstacles.is_empty() => " could take it over".to_owned(),
        _ => format!(" could not take it over: {}", obstacles.join("; ")),
    }
}

/// What happens next by itself and when, or why nothing does: always one sentence.
fn next(report: &PromotedStatus, plan: Option<&PlanStatus>, now: Timestamp) -> String {
    let nothing = |because: &[String]| {
        let why = if because.is_empty() { sentence(report) } else { because.join("; ") };
        format!("nothing by itself, because {why}")
    };
    let Some(plan) = plan else {
        // A daemon of an older version. What is routine changes nothing.
        let due = report.next_for.as_ref().filter(|what| !what.contains("routine")).zip(report.next.as_ref());
        return due.map_or_else(|| nothing(&report.because), |(what, at)| format!("{what}, at {}", when(at, now)));
    };
    let action = plan.steps.iter().skip(1).find_map(|step| Some((step.in_ms, step.action.as_ref()?)));
    let last = || plan.steps.last().map(|step| step.because.as_slice()).unwrap_or_default();
    match action {
        Some((0, what)) => format!("{what}, at once"),
        Some((ms, what)) => {
            let asked = plan.now.parse::<Timestamp>().unwrap_or(now);
            let at = asked.checked_add(std::time::Duration::from_millis(ms)).unwrap_or(asked);
            format!("{what}, at {}", when(&at.to_string(), now))
        }
        None => nothing(last()),
    }
}

/// What would happen if the node where it runs died now.
fn death(report: &PromotedStatus, outlook: &Outlook, out: &mut dyn Write) -> io::Result<()> {
    let Some((event, answers)) = &outlook.death else { return Ok(()) };
    let Event::NodeDown(node) = event else { return Ok(()) };
    let name = &report.resource;
    writeln!(out, "\nIf {node}, where it runs, went down now:")?;
    let here = outlook.plan.as_ref().map(|plan| plan.node.as_str()).unwrap_or_default();
    if let Some(winner) = race::winner(name, Some(event), answers).filter(|_| answers.len() > 1) {
        writeln!(out, "  {winner}")?;
    }
    race::nodes(answers, out)?;
    if answers.is_empty() {
        let able = report.peers.iter().filter(|peer| peer.obstacles.is_empty());
        let able: Vec<&str> = able.map(|peer| peer.node.as_str()).collect();
        match able.as_slice() {
            [] => writeln!(out, "  {BAD}no other node has its data now{END}, for all that DRBD says here")?,
            _ => writeln!(out, "  {} could take it over, for all that DRBD says here", able.join(" or "))?,
        }
    }
    if answers.len() < 2 && matches!(outlook.others, Others::Unknown) {
        let whose = if node == here { "the other nodes" } else { "each node" };
        writeln!(out, "  {DIM}reactorctl why {name} --all asks {whose} of the context{END}")?;
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
    use reactor_api::plan::PlanStep;
    use reactor_api::promoted::{HoldStatus, ObstacleStatus, TroubleStatus, UnitStatus};
    use reactor_core::plugin::promoter::obstacle::ObstacleKind;
    use reactor_core::plugin::promoter::report::StateWord;

    use super::*;

    fn shown(report: &PromotedStatus) -> String {
        let mut out = Vec::new();
        render(report, &Outlook::default(), "2026-11-21T05:52:10Z".parse().unwrap(), &mut out).unwrap();
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
            ..UnitStatus::default()
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
              next: the delay ends, and it starts here, at 05:52:14 UTC (in 4 s)

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

    fn line<'a>(text: &'a str, begin: &str) -> &'a str {
        text.lines().find(|line| line.trim_start().starts_with(begin)).unwrap_or_else(|| panic!("no {begin}: {text}"))
    }

    /// What keeps it from running is the same whatever its words are; here they are those of the promoter.
    fn kept_by(kind: ObstacleKind, unit: Option<&str>) -> PromotedStatus {
        use ObstacleKind::{Adjusting, DrbdadmFailed, LowerDevices, OptionsNotRead, UnitFiles};
        let is_prepared = !matches!(kind, UnitFiles | LowerDevices | DrbdadmFailed | Adjusting | OptionsNotRead);
        let state = if is_prepared { "standby" } else { "preparing" };
        let obstacle = ObstacleStatus { kind: kind.as_str().to_owned(), unit: unit.map(str::to_owned) };
        PromotedStatus { obstacle: Some(obstacle), because: vec!["so it is".to_owned()], ..report(state) }
    }

    /// Every state, and every reason why nothing runs: something happens next, at a time, or it is said why not; and somebody can change it.
    #[test]
    fn whatever_holds_there_is_a_next_action_or_a_reason_and_a_way_out() {
        use ObstacleKind as Kind;
        let mut cases = vec![
            (report("waiting"), "the delay ends"),
            (report("starting"), "systemd says how the start went"),
            (report("running"), "this node loses quorum"),
            (report("stopping"), "systemd says that everything has stopped"),
            (report("frozen"), "quorum comes back"),
            (report("blocked"), "reactorctl clear r0"),
            (report("held"), "reactorctl release r0"),
            (report("drained"), "reactorctl undrain"),
            (report("unmanaged"), "drbdadm adjust r0"),
            // A daemon of an older version does not say which kind it is, and one of a newer version may know more of them.
            (report("standby"), "what keeps it from starting here ends"),
            (report("preparing"), "the step that is under way ends"),
        ];
        let newer = ObstacleStatus { kind: "something-newer".to_owned(), unit: None };
        cases.push((
            PromotedStatus { obstacle: Some(newer), ..report("standby") },
            "what keeps it from starting here ends",
        ));
        let unit = Some("web.service");
        let of_kinds = [
            (Kind::NoNews, None, "drbdsetup events2 answers again"),
            (Kind::NoSystemd, None, "systemd answers on its bus again"),
            (Kind::UnitNotTold, unit, "systemd answers about web.service"),
            (Kind::UnitFiles, None, "the generated unit files are written"),
            (Kind::LowerDevices, None, "the device appears"),
            (Kind::DrbdadmFailed, None, "drbdadm adjust r0 shows what is wrong"),
            (Kind::Adjusting, None, "drbdadm adjust ends"),
            (Kind::OptionsNotRead, None, "DRBD's options are read"),
            (Kind::NoResource, None, "drbdadm up r0"),
            (Kind::PeerPrimary, None, "reactorctl move r0 --to"),
            (Kind::NotOurs, None, "drbdadm secondary r0"),
            (Kind::NoData, None, "a node with good data is reached again"),
            (Kind::ForcedSecondary, None, "fuser -vm"),
            (Kind::NoQuorum, None, "drbdadm status r0 shows which are missing"),
            (Kind::Disk, None, "its disk here is UpToDate again"),
            (Kind::MayNotPromote, None, "DRBD says may_promote:yes here"),
            (Kind::UnitMasked, unit, "systemctl unmask web.service"),
            (Kind::UnitBroken, unit, "systemctl status web.service"),
        ];
        let kinds: Vec<Kind> = of_kinds.iter().map(|(kind, ..)| *kind).collect();
        assert_eq!(kinds, Kind::ALL, "each kind of obstacle has its way out, or says that none is needed");
        cases.extend(of_kinds.map(|(kind, unit, out)| (kept_by(kind, unit), out)));
        for state in StateWord::ALL {
            assert!(cases.iter().any(|(of, _)| of.state == state.as_str()), "{state:?} has no case");
        }
        for (report, out) in cases {
            let step = |in_ms, action: Option<&str>| PlanStep {
                in_ms,
                state: report.state.clone(),
                action: action.map(str::to_owned),
                because: report.because.clone(),
                ..PlanStep::default()
            };
            let with = |steps: Option<Vec<PlanStep>>| {
                let plan = steps.map(|steps| PlanStatus {
                    steps,
                    now: "2026-11-21T05:52:10Z".to_owned(),
                    ..PlanStatus::default()
                });
                let mut out = Vec::new();
                let now = "2026-11-21T05:52:10Z".parse().unwrap();
                render(&report, &Outlook { plan, ..Outlook::default() }, now, &mut out).unwrap();
                anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
            };
            let nothing = format!("next: nothing by itself, because {}", report.because.join("; "));
            assert_eq!(line(&with(None), "next:").trim(), nothing, "an older daemon");
            let still = with(Some(vec![step(0, None)]));
            assert_eq!(line(&still, "next:").trim(), nothing);
            assert!(still.contains(out), "{:?}: {still}", report.obstacle);
            let then = with(Some(vec![step(0, None), step(4_500, Some("start it"))]));
            assert_eq!(line(&then, "next:").trim(), "next: start it, at 05:52:14 UTC (in 4 s)");
        }
    }

    #[test]
    fn every_kind_of_obstacle_is_in_the_documents() {
        let page = include_str!("../../../../docs/reactorctl.md");
        let schema = include_str!("../../../../docs/reactorctl-status.schema.json");
        let row = page.lines().find(|line| line.starts_with("| `obstacle`")).unwrap();
        for kind in ObstacleKind::ALL {
            let word = format!("`{}`", kind.as_str());
            assert!(row.contains(&word) && schema.contains(&word), "{word}");
        }
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
              next: nothing by itself, because its services run here

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
              next: nothing by itself, because is held

            What would change it:
              reactorctl release r0

              policy     quorum: DRBD lets at most one side write

            Nothing was decided since the daemon started.
        "#]]
        .assert_eq(&shown(&report));
    }
}
