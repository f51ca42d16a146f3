//! `reactorctl why`: what holds, since when, because of which facts, what would change it, and what was decided before.
//!
//! Written for somebody who was just woken up: whole sentences, times of day with their distance to now.

use std::io::{self, Write};

use clap::Args;
use jiff::Timestamp;
use reactor_api::client::Client;
use reactor_api::promoted::{DecisionStatus, PeerStatus};
use reactor_api::verb::Limit;
use reactor_api::words::Event;
use reactor_api::{PlanStatus, PromotedStatus, Status, verbs};
use reactor_core::names;
use serde_json::{Value, json};

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::nodes::ask_all;
use crate::nodes::context;
use crate::parts::promoted::{self, failures, reason_of, runs_here, sentence, units};
use crate::parts::race::{self, Answer, ask_nodes, document};
use crate::parts::takeover;
use crate::problems::trouble_hints;
use crate::style::{BAD, DIM, END, GOOD, NAME, WARN, make_harmless};
use crate::text::duration;

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
        let outlook = Outlook { others, ..self.outlook(place, &mut client, &report)? };
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
    /// The report as it came, with `plan`, `if-down` and `others`.
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
        units(&report.units, out)?;
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

/// What a person, or the world, can do about a state.
fn way_out(report: &PromotedStatus) -> String {
    let name = &report.resource;
    match report.state.as_str() {
        "preparing" | "standby" => obstacle_out(report),
        "waiting" => "the delay ends, or another node is faster, or DRBD takes may_promote back".to_owned(),
        "starting" => "systemd says how the start went; DRBD itself decides the promotion".to_owned(),
        "running" => match report.policy.as_str() {
            "quorum" => "this node loses quorum or its disk, a unit fails, or somebody stops the target".to_owned(),
            _ => "this node loses its disk, a unit fails, or somebody stops the target".to_owned(),
        },
        "stopping" => "systemd says that everything has stopped".to_owned(),
        "frozen" => "quorum comes back: then its services go on; a freeze-timeout would stop them".to_owned(),
        "blocked" => format!("mend what failed, then: reactorctl clear {name}"),
        "held" => format!("reactorctl {} {name}", report.hold.as_ref().map_or("release", promoted::ends_hold)),
        "drained" => "reactorctl undrain".to_owned(),
        "unmanaged" => format!(
            "give {name} quorum (quorum majority; on-no-quorum io-error or suspend-io) or fencing in DRBD's configuration, then: \
             drbdadm adjust {name}"
        ),
        _ => "news of DRBD or of systemd".to_owned(),
    }
}

/// The same for what keeps it from running here, by the facts that the promoter names.
fn obstacle_out(report: &PromotedStatus) -> String {
    let name = &report.resource;
    let fact = |words: &[&str]| report.because.iter().find(|fact| words.iter().any(|word| fact.contains(word)));
    let unit = |fact: &str| fact.split(' ').next().unwrap_or_default().to_owned();
    if let Some(fact) = fact(&[" is masked"]) {
        return format!("systemctl unmask {}", unit(fact));
    }
    if let Some(fact) = fact(&[" does not exist", " has a bad setting", "systemd could not load "]) {
        let unit = fact
            .split(' ')
            .find(|word| word.contains('.'))
            .map_or_else(|| unit(fact), |unit| unit.trim_end_matches([',', ':']).to_owned());
        return format!("mend the unit (systemctl status {unit}), then: systemctl daemon-reload");
    }
    let out: &[(&[&str], String)] = &[
        (&["not promoted by us"], format!("whoever works on it ends that: drbdadm secondary {name}")),
        (&["made Secondary by force"], format!("what has it open closes it: fuser -vm $(drbdadm sh-dev {name})")),
        (&["no good data of"], format!("a node with good data is reached again: drbdadm status {name}")),
        (&[" is Primary"], format!("that node stops it, or goes down; reactorctl move {name} --to NODE moves it")),
        (
            &["no quorum on"],
            format!("this node reaches enough of the others again: drbdadm status {name} shows which are missing"),
        ),
        (&["no news of DRBD"], "drbdsetup events2 answers again; it is started again by itself".to_owned()),
        (&["to systemd:", "waits for systemd"], "systemd answers on its bus again; that is tried by itself".to_owned()),
        (&["systemd has not said"], "systemd answers about the unit; it is asked again by itself".to_owned()),
        (&["DRBD has no resource"], format!("drbdadm up {name}")),
        (&["waits for /"], "the device appears; it is looked for by itself".to_owned()),
        (
            &["drbdadm "],
            format!("drbdadm works; it is tried again by itself, and drbdadm adjust {name} shows what is wrong"),
        ),
        (&["options have not been read"], "DRBD's options are read; that is tried by itself".to_owned()),
        (&["unit files"], "the generated unit files are written; that is tried by itself".to_owned()),
        (&["volume "], format!("its disk here is UpToDate again, or reaches one that is: drbdadm status {name}")),
    ];
    let known = out.iter().find(|(words, _)| fact(words).is_some());
    known.map_or_else(
        || match report.state.as_str() {
            "preparing" => "the step that is under way ends".to_owned(),
            _ => "DRBD says may_promote:yes here: no other node is Primary, and the data here is good".to_owned(),
        },
        |(_, out)| out.clone(),
    )
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
    use reactor_api::promoted::{HoldStatus, TroubleStatus, UnitStatus};
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

    /// Every state, and every reason why nothing runs: something happens next, at a time, or it is said why not; and somebody can change it.
    #[test]
    fn whatever_holds_there_is_a_next_action_or_a_reason_and_a_way_out() {
        let cases = [
            ("preparing", "its unit files are not written yet", "the generated unit files are written"),
            ("preparing", "its lower devices are not there yet", "the step that is under way ends"),
            ("preparing", "waits for /dev/vg/r0", "the device appears"),
            ("preparing", "drbdadm adjust failed: no such resource", "drbdadm adjust r0 shows"),
            ("preparing", "drbdadm adjust has not ended yet", "drbdadm works"),
            ("preparing", "DRBD's options have not been read yet", "DRBD's options are read"),
            ("standby", "n2 is Primary", "reactorctl move r0 --to"),
            ("standby", "no quorum on volume 0", "drbdadm status r0"),
            ("standby", "DRBD says may_promote:no, no quorum on volume 0", "drbdadm status r0"),
            ("standby", "DRBD says may_promote:no, volume 0 is Outdated", "its disk here is UpToDate again"),
            ("standby", "DRBD says may_promote:no", "DRBD says may_promote:yes here"),
            ("standby", "web.service is masked", "systemctl unmask web.service"),
            ("standby", "web.service does not exist", "systemctl status web.service"),
            ("standby", "web.service has a bad setting: see systemctl status web.service", "daemon-reload"),
            ("standby", "systemd could not load web.service", "systemctl status web.service"),
            ("standby", "Primary here, but not promoted by us: somebody works on it", "drbdadm secondary r0"),
            (
                "standby",
                "Primary here, and no good data of volume 0 in reach",
                "a node with good data is reached again",
            ),
            (
                "standby",
                "DRBD says may_promote:no: it was made Secondary by force, and all I/O fails until whoever still has a device open closes it",
                "fuser -vm",
            ),
            ("standby", "no news of DRBD: what is known is old", "drbdsetup events2 answers again"),
            ("standby", "waits for systemd", "systemd answers"),
            ("standby", "no connection to systemd: refused", "systemd answers"),
            ("standby", "systemd has not said yet how web.service is", "systemd answers about the unit"),
            ("standby", "DRBD has no resource of this name", "drbdadm up r0"),
            ("waiting", "DRBD says may_promote:yes", "the delay ends"),
            ("starting", "its services are on their way up", "systemd says how the start went"),
            ("running", "its services run here", "this node loses quorum"),
            ("stopping", "its services are on their way down", "systemd says that everything has stopped"),
            ("frozen", "quorum lost on volume 0", "quorum comes back"),
            ("blocked", "3 failures", "reactorctl clear r0"),
            ("held", "held by root", "reactorctl release r0"),
            ("drained", "this node is drained by root", "reactorctl undrain"),
            ("unmanaged", "neither quorum nor fencing keeps two nodes from writing at once", "drbdadm adjust r0"),
        ];
        for state in StateWord::ALL {
            assert!(cases.iter().any(|(of, ..)| *of == state.as_str()), "{state:?} has no case");
        }
        for (state, fact, out) in cases {
            let step = |in_ms, action: Option<&str>| PlanStep {
                in_ms,
                state: state.to_owned(),
                action: action.map(str::to_owned),
                because: vec![fact.to_owned()],
                ..PlanStep::default()
            };
            let report = PromotedStatus { because: vec![fact.to_owned()], ..report(state) };
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
            let nothing = format!("next: nothing by itself, because {fact}");
            assert_eq!(line(&with(None), "next:").trim(), nothing, "an older daemon");
            let still = with(Some(vec![step(0, None)]));
            assert_eq!(line(&still, "next:").trim(), nothing);
            assert!(still.contains(out), "{state}, {fact}: {still}");
            let then = with(Some(vec![step(0, None), step(4_500, Some("start it"))]));
            assert_eq!(line(&then, "next:").trim(), "next: start it, at 05:52:14 UTC (in 4 s)");
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
