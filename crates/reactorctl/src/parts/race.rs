//! The plans of several nodes for one resource, and which of them would start it.

use std::io::{self, Write};

use anstyle::Style;
use reactor_api::words::Event;
use reactor_api::{PlanStatus, verbs};
use reactor_core::names;
use serde_json::{Map, Value, json};

use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::nodes::context::Node;
use crate::nodes::{ask_all, way};
use crate::style::{BAD, DIM, END, GOOD, NAME, WARN};

/// What a node has said, or why it has not.
pub(crate) type Answer = (String, Result<PlanStatus, Unsaid>);

/// Why a node has said nothing.
#[derive(Clone, Debug)]
pub(crate) struct Unsaid {
    /// Without the name of the node.
    pub(crate) why: String,
    /// The code of the failure.
    pub(crate) exit: Exit,
}

/// Each node's plan; not that of the node which is gone then.
pub(crate) fn ask_nodes(nodes: &[Node], resource: &str, event: Option<&Event>) -> Vec<Answer> {
    let is_gone = |node: &&Node| match event {
        Some(Event::NodeDown(name) | Event::PeerLost(name)) => names::same(name, &node.name),
        _ => false,
    };
    let asked: Vec<Node> = nodes.iter().filter(|node| !is_gone(node)).cloned().collect();
    let request = verbs::Plan { resource: resource.into(), event: event.cloned() };
    let plans = ask_all(&asked, way::LIMIT, |client| {
        let plan = daemon::ask_over(client, &request)?.plan.known();
        plan.map_err(|source| Failure::Answer { source })
    });
    let plans = plans.into_iter().zip(&asked).map(|(plan, node)| {
        let unsaid = |failure: Failure| Unsaid { why: failure.without_node(&node.name), exit: failure.exit() };
        (node.name.clone(), plan.map_err(unsaid))
    });
    plans.collect()
}

/// What the exit code says of the answers: nodes that have none to give, because nobody has the resource or DRBD nowhere knows the node of the event, have
/// not failed.
pub(crate) fn exit(answers: &[Answer]) -> Exit {
    let unsaid: Vec<Exit> =
        answers.iter().filter_map(|(_, plan)| plan.as_ref().err().map(|unsaid| unsaid.exit)).collect();
    match unsaid.split_first() {
        None => Exit::Ok,
        Some((first @ (Exit::NoSuchResource | Exit::Refused), others))
            if unsaid.len() == answers.len() && others.iter().all(|other| other == first) =>
        {
            *first
        }
        Some(_) => Exit::NodesFailed,
    }
}

/// What keeps the nodes from saying it, a line each.
pub(crate) fn unsaid(answers: &[Answer]) -> String {
    let why: Vec<&str> = answers.iter().filter_map(|(_, plan)| Some(plan.as_ref().err()?.why.as_str())).collect();
    why.join("\n  ")
}

/// `{"nodes": {"n1": {"plan": {...}}, "n3": {"error": "..."}}, "starts": ["n1"]}`.
pub(crate) fn document(answers: &[Answer]) -> Value {
    let member = |(node, plan): &Answer| match plan {
        Ok(plan) => (node.clone(), json!({ "plan": plan })),
        Err(unsaid) => (node.clone(), json!({ "error": unsaid.why })),
    };
    let nodes = Value::Object(answers.iter().map(member).collect::<Map<_, _>>());
    json!({ "nodes": nodes, "starts": first(answers).map(|(names, _)| names).unwrap_or_default() })
}

/// What all nodes say of an event. One that is about a single node, like a lost quorum, happens to the node where it runs: for the others that node is
/// gone then, as far as they can tell.
pub(crate) fn ask_of(nodes: &[Node], resource: &str, event: Option<&Event>) -> Vec<Answer> {
    let answers = ask_nodes(nodes, resource, event);
    let Some((leaves, _)) = event.filter(|event| is_of_one(event)).and_then(|_| leaves(&answers)) else {
        return answers;
    };
    let gone = Event::NodeDown(leaves.to_owned());
    let mut others = ask_nodes(nodes, resource, Some(&gone)).into_iter();
    let same = |answer: &Answer| answer.0 == leaves;
    answers
        .iter()
        .map(|one| if same(one) { one.clone() } else { others.next().unwrap_or_else(|| one.clone()) })
        .collect()
}

/// It happens to one node, and not to a node that it names.
fn is_of_one(event: &Event) -> bool {
    match event {
        Event::QuorumLost | Event::DiskFailed | Event::DaemonRestart => true,
        Event::NodeDown(_) | Event::PeerLost(_) => false,
    }
}

/// The node where it runs and then does not, and what becomes of it there.
fn leaves(answers: &[Answer]) -> Option<(&str, &'static str)> {
    answers.iter().find_map(|(node, plan)| match plan.as_ref().ok()?.does.as_str() {
        "stops" => Some((node.as_str(), "stops")),
        "freezes" => Some((node.as_str(), "freezes")),
        _ => None,
    })
}

/// After which time a node would start it.
fn starts((_, plan): &Answer) -> Option<u64> {
    plan.as_ref().ok().filter(|plan| plan.does == "starts")?.in_ms
}

/// The nodes that would start it first, and after which time.
pub(crate) fn first(answers: &[Answer]) -> Option<(Vec<&str>, u64)> {
    let earliest = answers.iter().filter_map(starts).min()?;
    let first = answers.iter().filter(|one| starts(one) == Some(earliest)).map(|(node, _)| node.as_str());
    Some((first.collect(), earliest))
}

/// Where it runs then, in one sentence; `None` = the event is about each node by itself, and no race.
pub(crate) fn winner(resource: &str, event: Option<&Event>, answers: &[Answer]) -> Option<String> {
    let leaves = event.filter(|event| is_of_one(event)).map(|_| leaves(answers));
    let said = || answers.iter().filter_map(|(node, plan)| Some((node, plan.as_ref().ok()?)));
    let silent = answers.iter().any(|(_, plan)| plan.is_err());
    let but = if silent { ", as far as the nodes have answered" } else { "" };
    if let Some((node, _)) = said().find(|(_, plan)| plan.does == "runs") {
        return Some(format!("{GOOD}{resource} runs on {node}, and goes on{END}"));
    }
    let before = match leaves {
        // It runs nowhere, or nobody has said where.
        Some(None) => return None,
        Some(Some((node, does))) => format!("{node} {does} it, and "),
        None => String::new(),
    };
    let winner = match first(answers) {
        Some((names, ms)) => match names.as_slice() {
            [one] => format!("{GOOD}{one} starts {resource}, {}{END}{but}{}", after(ms), followers(event, answers, ms)),
            many => {
                let names = many.join(" or ");
                format!("{GOOD}{names} starts {resource}, whichever is first, {}{END}{but}", after(ms))
            }
        },
        None => match silent_primary(answers) {
            Some((node, why, peers)) => {
                let say = if peers.len() == 1 { "says" } else { "say" };
                let peers = peers.join(", ");
                format!(
                    "{WARN}{node} has {resource} Primary, {say} {peers}{END}, and does not say itself what follows: {why}"
                )
            }
            None => format!("{BAD}no node starts {resource}{END}{but}"),
        },
    };
    Some(before + &winner)
}

/// A node that says nothing, or is not in the context, and why; and which nodes say that it is Primary then.
fn silent_primary(answers: &[Answer]) -> Option<(String, String, Vec<&str>)> {
    let said = || answers.iter().filter_map(|(node, plan)| Some((node.as_str(), plan.as_ref().ok()?)));
    let node =
        said().flat_map(|(_, plan)| &plan.primary).find(|node| said().all(|(own, _)| !names::same(own, node)))?;
    let answer = answers.iter().find(|(name, _)| names::same(name, node));
    let why = answer.and_then(|(_, plan)| Some(plan.as_ref().err()?.why.clone()));
    let peers = said().filter(|(_, plan)| plan.primary.contains(node)).map(|(peer, _)| peer).collect();
    Some((node.clone(), why.unwrap_or_else(|| "it is not in the context".to_owned()), peers))
}

/// Those that come after the first. Each counts from when its own DRBD notices.
fn followers(event: Option<&Event>, answers: &[Answer], first: u64) -> String {
    let later = answers.iter().filter_map(|one| Some((&one.0, starts(one).filter(|ms| *ms > first)?)));
    let later: Vec<String> = later.map(|(node, ms)| format!("{node} {}", after(ms))).collect();
    match (later.is_empty(), event) {
        (true, _) => String::new(),
        (false, None) => format!("\n  if not: {}", later.join(", ")),
        (false, Some(_)) => format!("\n  if not, or if DRBD notices so much earlier there: {}", later.join(", ")),
    }
}

/// Prints what each node says, and who wins.
pub(crate) fn render(resource: &str, event: Option<&Event>, answers: &[Answer], out: &mut dyn Write) -> io::Result<()> {
    let text = event.map(ToString::to_string);
    let node = leaves(answers).map_or("a node", |(node, _)| node);
    let condition = condition(text.as_deref(), node);
    match winner(resource, event, answers) {
        Some(winner) => writeln!(out, "{NAME}{resource}{END}, {condition}: {winner}")?,
        None => writeln!(out, "{NAME}{resource}{END}, {condition}:")?,
    }
    nodes(answers, out)?;
    let within = answers.iter().filter_map(|(_, plan)| plan.as_ref().ok()?.noticed_within_ms).max();
    if let Some(what) = counted_from(text.as_deref(), within) {
        writeln!(out, "\n  {DIM}{what}{END}")?;
    }
    Ok(())
}

/// One line for each node, with the reasons.
pub(crate) fn nodes(answers: &[Answer], out: &mut dyn Write) -> io::Result<()> {
    for (node, plan) in answers {
        match plan {
            Err(unsaid) => writeln!(out, "{BAD}!{END} {NAME}{node:<10}{END} {}", unsaid.why)?,
            Ok(plan) => {
                writeln!(out, "  {NAME}{node:<10}{END} {}", does(plan))?;
                for fact in reasons(plan) {
                    writeln!(out, "  {:<10}   because {fact}", "")?;
                }
                for assumed in &plan.assumed {
                    writeln!(out, "  {:<10}   {WARN}assumed{END}: {assumed}", "")?;
                }
            }
        }
    }
    Ok(())
}

/// Those of what it does, or of what it does not.
fn reasons(plan: &PlanStatus) -> &[String] {
    let acts = matches!(plan.does.as_str(), "starts" | "stops" | "freezes");
    let mut steps = plan.steps.iter().skip(1);
    // What is done besides, an adjust for example, is no reason for what is not done.
    let step = if acts { steps.find(|step| step.action.is_some()) } else { steps.rfind(|step| step.action.is_none()) };
    step.or(plan.steps.first()).map(|step| step.because.as_slice()).unwrap_or_default()
}

/// The condition, as part of a sentence.
pub(crate) fn condition(event: Option<&str>, node: &str) -> String {
    match event.map(str::parse) {
        None => "as things are".to_owned(),
        Some(Ok(Event::NodeDown(other))) => format!("if {other} goes down"),
        Some(Ok(Event::QuorumLost)) => format!("if {node} loses quorum"),
        Some(Ok(Event::DiskFailed)) => format!("if its disks on {node} fail"),
        Some(Ok(Event::PeerLost(other))) => format!("if {node} and {other} do not reach each other any more"),
        Some(Ok(Event::DaemonRestart)) => format!("if the daemon of {node} is restarted"),
        // Of a newer daemon.
        Some(Err(_)) => format!("after {}", event.unwrap_or_default()),
    }
}

/// From when the times of a plan count. `within_ms`: how soon DRBD notices, as it is set.
pub(crate) fn counted_from(event: Option<&str>, within_ms: Option<u64>) -> Option<String> {
    let what = match (event?.parse(), within_ms) {
        (Ok(Event::NodeDown(_) | Event::PeerLost(_) | Event::QuorumLost), Some(ms)) => {
            let seconds = format!("{}.{}", ms / 1000, ms % 1000 / 100);
            format!("within {} s (ping-int and ping-timeout).", seconds.trim_end_matches(".0"))
        }
        (Ok(Event::NodeDown(_) | Event::PeerLost(_) | Event::QuorumLost), None) => {
            "within 10.5 s if ping-int has its default, which is assumed.".to_owned()
        }
        (Ok(Event::DiskFailed), _) => {
            return Some("Times count from when DRBD notices: with the next I/O to the disk.".to_owned());
        }
        (Ok(Event::DaemonRestart) | Err(_), _) => return None,
    };
    Some(format!("Times count from when DRBD notices, {what}"))
}

/// What comes of it, in short.
pub(crate) fn does(plan: &PlanStatus) -> String {
    let when = plan.in_ms.map(after).unwrap_or_default();
    let (style, text): (Style, String) = match plan.does.as_str() {
        "starts" => (GOOD, format!("it starts here, {when}")),
        "stops" => (WARN, format!("it is stopped, {when}")),
        "freezes" => (WARN, format!("its services are frozen, {when}")),
        "runs" => (GOOD, "it runs here, and goes on".to_owned()),
        "frozen" => (WARN, "its services stay frozen".to_owned()),
        "nothing" => (NAME, "nothing is started here".to_owned()),
        "down" => (BAD, "all that runs on it is gone".to_owned()),
        other => (NAME, other.to_owned()),
    };
    format!("{style}{text}{END}")
}

/// `at once`, `after 0.2 s`, `after 5 s`, `after 2 h 0 min`.
pub(crate) fn after(ms: u64) -> String {
    match ms {
        0 => "at once".to_owned(),
        1..60_000 if ms.is_multiple_of(1000) => format!("after {} s", ms / 1000),
        1..60_000 => format!("after {}.{} s", ms / 1000, ms % 1000 / 100),
        _ => format!("after {}", crate::text::duration(std::time::Duration::from_millis(ms))),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use reactor_api::plan::PlanStep;

    use super::*;

    fn said(node: &str, does: &str, in_ms: Option<u64>, because: &str) -> Answer {
        let beginning = PlanStep { because: vec!["n1 is Primary".to_owned()], ..PlanStep::default() };
        let action = in_ms.map(|_| "start drbd-services@r0.target".to_owned());
        let then = PlanStep { because: vec![because.to_owned()], action, ..PlanStep::default() };
        let plan = PlanStatus { does: does.to_owned(), in_ms, steps: vec![beginning, then], ..PlanStatus::default() };
        (node.to_owned(), Ok(plan))
    }

    fn silent(node: &str, why: &str, exit: Exit) -> Answer {
        (node.to_owned(), Err(Unsaid { why: why.to_owned(), exit }))
    }

    #[test]
    fn who_has_no_answer_to_give_has_not_failed() {
        let (none, dead) =
            (silent("n1", "no promoter has it", Exit::NoSuchResource), silent("n2", "", Exit::NodesFailed));
        let unknown = silent("n2", "DRBD on n2 knows no node n9 for r0", Exit::Refused);
        let good = said("n3", "nothing", None, "n1 is Primary");
        let code = |answers: &[&Answer]| exit(&answers.iter().map(|one| (*one).clone()).collect::<Vec<_>>());
        assert_eq!(
            [code(&[&good]), code(&[&none, &none]), code(&[&unknown])],
            [Exit::Ok, Exit::NoSuchResource, Exit::Refused]
        );
        for some in [&[&none, &good][..], &[&none, &dead], &[&none, &unknown], &[&dead]] {
            assert_eq!(code(some), Exit::NodesFailed, "{some:?}");
        }
    }

    fn shown(answers: &[Answer]) -> String {
        let mut out = Vec::new();
        render("r0", Some(&Event::NodeDown("n1".to_owned())), answers, &mut out).unwrap();
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    #[test]
    fn the_first_wins_equals_race_and_nobody_is_said() {
        let (may, held) = ("DRBD says may_promote:yes", "held by root: cables");
        let lead = [said("n2", "starts", Some(0), may), said("n3", "starts", Some(1_200), may)];
        let equal = [said("n2", "starts", Some(200), may), said("n3", "starts", Some(200), may)];
        let one = [said("n2", "nothing", None, held), said("n3", "starts", Some(200), may)];
        let none = [said("n2", "nothing", None, held), silent("n3", "not reached", Exit::NodesFailed)];
        expect![[r#"
            r0, if n1 goes down: n2 starts r0, at once
              if not, or if DRBD notices so much earlier there: n3 after 1.2 s
              n2         it starts here, at once
                           because DRBD says may_promote:yes
              n3         it starts here, after 1.2 s
                           because DRBD says may_promote:yes

              Times count from when DRBD notices, within 10.5 s if ping-int has its default, which is assumed.

            r0, if n1 goes down: n2 or n3 starts r0, whichever is first, after 0.2 s
              n2         it starts here, after 0.2 s
                           because DRBD says may_promote:yes
              n3         it starts here, after 0.2 s
                           because DRBD says may_promote:yes

              Times count from when DRBD notices, within 10.5 s if ping-int has its default, which is assumed.

            r0, if n1 goes down: n3 starts r0, after 0.2 s
              n2         nothing is started here
                           because held by root: cables
              n3         it starts here, after 0.2 s
                           because DRBD says may_promote:yes

              Times count from when DRBD notices, within 10.5 s if ping-int has its default, which is assumed.

            r0, if n1 goes down: no node starts r0, as far as the nodes have answered
              n2         nothing is started here
                           because held by root: cables
            ! n3         not reached

              Times count from when DRBD notices, within 10.5 s if ping-int has its default, which is assumed.
        "#]]
        .assert_eq(&[&lead, &equal, &one, &none].map(|answers| shown(answers)).join("\n"));
        // Who does not answer may have it, as its peers know.
        let primary =
            |(node, plan): Answer| (node, plan.map(|plan| PlanStatus { primary: vec!["n1".to_owned()], ..plan }));
        let silent = silent("n1", "no answer within 3 s", Exit::TimedOut);
        let seen = ["n2", "n3"].map(|node| primary(said(node, "nothing", None, "n1 is Primary")));
        let told = |answers: &[Answer]| {
            anstream::adapter::strip_str(&winner("r0", None, answers).unwrap_or_default()).to_string()
        };
        assert_eq!(
            told(&[silent, seen[0].clone(), seen[1].clone()]),
            "n1 has r0 Primary, say n2, n3, and does not say itself what follows: no answer within 3 s"
        );
        assert_eq!(
            told(&seen[..1]),
            "n1 has r0 Primary, says n2, and does not say itself what follows: it is not in the context"
        );
        assert_eq!(first(&equal), Some((vec!["n2", "n3"], 200)));
        assert_eq!(first(&none), None);
    }
}
