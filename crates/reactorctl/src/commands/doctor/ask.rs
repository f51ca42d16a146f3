//! What the doctor looks at: this machine, its configuration, and the daemons of the nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use reactor_api::client::{Client, ClientError};
use reactor_api::doctor::{Diagnosis, Finding, Severity};
use reactor_api::status::SourceState;
use reactor_api::survey::NodeFacts;
use reactor_api::verb::{Limit, Verb as _};
use reactor_api::verbs::{Changes, Ping, Status, Survey};
use reactor_api::words::Last;
use reactor_api::{Status as WireStatus, WireChange};
use reactor_core::doctor::{AgentMetaData, Cluster, NOWHERE, Node, Silent, examine, told};
use reactor_core::facts::Agent;
use reactor_core::ids::ResourceName;
use reactor_core::names::same;
use reactor_core::settings::promoter::{OnQuorumLoss, PromotedResource, PromoterSettings, StartEntry};
use reactor_core::settings::{Mode, PluginEntry, PluginSettings, Settings};

use super::since::lost;
use crate::cli::Place;
use crate::config;
use crate::exit::Failure;
use crate::nodes::context::{self, Node as ContextNode, Whose};
use crate::nodes::{self, way};
use crate::parts::cluster;
use crate::problems::{self, Topic, problems};
use crate::{daemon, system};

/// How long a daemon may take for its facts, once it has answered: it asks programs that may hang.
const FACTS: Duration = Duration::from_secs(60);

/// Changes of the past that are looked at: all that a daemon remembers.
pub(super) const CHANGES: u64 = 1024;

/// For a daemon that hangs.
const RESTART: &str =
    "there, if it does not run or hangs: systemctl restart storage-reactor     (by default that stops no service)";

/// What a daemon has said.
struct Said {
    status: WireStatus,
    /// How far its clock is ahead, and how uncertain that is.
    clock: Option<(i64, u64)>,
    changes: Vec<WireChange>,
    /// Absent: it is of a version that does not have them.
    facts: Option<NodeFacts>,
}

/// What was found.
pub(super) struct Looked {
    pub(super) diagnosis: Diagnosis,
    /// The resources that there are; absent if a node has not said which it has.
    names: Option<BTreeSet<String>>,
}

impl Looked {
    /// An error if nobody has it: that nothing is wrong with it would be no news.
    pub(super) fn must_know(&self, resource: &str) -> Result<(), Failure> {
        let mut findings = self.diagnosis.findings.iter();
        let is_known = self.names.as_ref().is_none_or(|names| names.contains(resource))
            || findings.any(|finding| finding.resource.as_deref() == Some(resource));
        if is_known { Ok(()) } else { Err(Failure::Unknown { resource: resource.to_owned() }) }
    }
}

pub(super) fn look(place: &Place, local: bool) -> Result<Looked, Failure> {
    if let Some(node) = &place.node {
        return Ok(from_outside(std::slice::from_ref(node)));
    }
    let nodes = if local { Vec::new() } else { context::nodes(Whose::Ours, &place.context, &[])? };
    let settings = config::settings(place).map(|(settings, _)| settings);
    let own = system::node_name(&settings.as_ref().map(|settings| settings.daemon.clone()).unwrap_or_default());
    let is_own = |node: &ContextNode| same(&node.name, &own);
    let is_node = nodes.is_empty() || place.config_given || nodes.iter().any(is_own);
    let others: Vec<_> = nodes.into_iter().filter(|node| !is_own(node)).collect();
    if !is_node {
        return Ok(from_outside(&others));
    }
    let (settings, mut findings) = config::diagnose(place);
    // All at the same time: this machine and the others, each with its own limits.
    let (own_node, heard) = std::thread::scope(|scope| {
        let asked = scope.spawn(|| nodes::ask_all(&others, FACTS, |client| hear(client, true)));
        let own_node = this_node(place, &settings, &own, &mut findings);
        (own_node, asked.join().unwrap_or_default())
    });
    let (own_node, agents) = own_node;
    let mut all = vec![own_node];
    answers(&others, heard, &mut all, &mut findings);
    Ok(looked(&settings, all, &agents, findings))
}

fn looked(
    settings: &Settings,
    all: Vec<Node>,
    agents: &BTreeMap<Agent, AgentMetaData>,
    findings: Vec<Finding>,
) -> Looked {
    Looked { names: names(settings, &all), diagnosis: judged(settings, all, agents, findings) }
}

/// What promoters and DRBD have. Who has no news of DRBD does not know it.
fn names(settings: &Settings, all: &[Node]) -> Option<BTreeSet<String>> {
    let mut names: BTreeSet<String> = config::promoted(settings).into_iter().collect();
    for node in all {
        let status = node.status.as_ref()?;
        if !matches!(status.source.state, SourceState::Up | SourceState::Ended) {
            return None;
        }
        names.extend(cluster::names(status).map(str::to_owned));
        names.extend(node.facts.iter().flat_map(|facts| &facts.resources).map(|resource| resource.name.clone()));
    }
    Some(names)
}

/// From a machine that is no node of the context itself: it has neither their settings nor their agents.
fn from_outside(nodes: &[ContextNode]) -> Looked {
    let (mut all, mut findings) = (Vec::new(), Vec::new());
    answers(nodes, nodes::ask_all(nodes, FACTS, |client| hear(client, true)), &mut all, &mut findings);
    let settings = guessed(&all);
    looked(&settings, all, &BTreeMap::new(), findings)
}

/// What the settings of the nodes may be, as far as their options tell.
fn guessed(nodes: &[Node]) -> Settings {
    let statuses = nodes.iter().filter_map(|node| node.status.as_ref());
    let names: BTreeSet<&str> = statuses.flat_map(|status| &status.promoted).map(|one| one.resource.as_str()).collect();
    let freezes = |name: &str| {
        let facts = nodes.iter().filter_map(|node| node.facts.as_ref()).flat_map(|facts| &facts.resources);
        facts
            .filter(|one| one.name == name)
            .any(|one| one.options.get("on-no-quorum").is_some_and(|word| word == "suspend-io"))
    };
    let one = |name: &str| {
        let on_quorum_loss = if freezes(name) { OnQuorumLoss::Freeze } else { OnQuorumLoss::Shutdown };
        (ResourceName::new(name), PromotedResource { on_quorum_loss, ..PromotedResource::default() })
    };
    let promoter = PromoterSettings { resources: names.into_iter().map(one).collect() };
    let settings = PluginSettings::Promoter(promoter);
    Settings::of_plugins(Mode::Native, vec![PluginEntry { file: PathBuf::new(), line: 0, settings }])
}

/// What the nodes have answered, or that they have not.
fn answers(nodes: &[ContextNode], heard: Vec<Result<Said, Failure>>, all: &mut Vec<Node>, findings: &mut Vec<Finding>) {
    for (node, said) in nodes.iter().zip(heard) {
        match said {
            Ok(said) => {
                if said.facts.is_none() {
                    let what = format!(
                        "its daemon ({}) does not tell its files and options: they are not looked at",
                        said.status.version
                    );
                    findings.push(about_node(Severity::Note, &node.name, what));
                }
                all.push(Node {
                    name: node.name.clone(),
                    lost: lost(&said.status, &said.changes),
                    facts: said.facts,
                    status: Some(said.status),
                    changes: said.changes,
                    clock: said.clock,
                    silent: None,
                });
            }
            Err(failure) => {
                let status = "systemctl status storage-reactor";
                let status = match &node.socket {
                    Some(_) => format!("on {}: {status}", node.name),
                    None => format!("ssh {}@{} {status}", node.user, node.hostname),
                };
                let silent =
                    Some(Silent { why: failure.without_node(&node.name), mend: vec![status, RESTART.to_owned()] });
                all.push(Node { name: node.name.clone(), silent, ..Node::default() });
            }
        }
    }
}

/// All that is wrong, the worst first.
fn judged(
    settings: &Settings,
    all: Vec<Node>,
    agents: &BTreeMap<Agent, AgentMetaData>,
    mut findings: Vec<Finding>,
) -> Diagnosis {
    findings.extend(examine(&Cluster { settings, nodes: &all, agents }));
    let nowhere: BTreeSet<String> =
        findings.iter().filter(|one| one.check == NOWHERE).filter_map(|one| one.resource.clone()).collect();
    let files = config_files(&findings);
    for (at, node) in all.iter().enumerate() {
        // Of this machine its configuration was read, and is judged already.
        let files = if at == 0 { &files } else { &BTreeSet::new() };
        findings.extend(node.status.iter().flat_map(|status| state(&node.name, status, &nowhere, files)));
    }
    let not_asked = not_asked(&all);
    let looked_at = all.into_iter().filter(|node| node.silent.is_none() || node.facts.is_some());
    Diagnosis { nodes: looked_at.map(|node| node.name).collect(), not_asked, findings: told(findings) }
}

/// The files that something was found in.
fn config_files(findings: &[Finding]) -> BTreeSet<String> {
    let of_config = findings.iter().filter(|finding| finding.check == "config");
    of_config.map(|finding| finding.place.split(':').next().unwrap_or_default().to_owned()).collect()
}

/// Those that DRBD knows, and nobody has asked.
fn not_asked(nodes: &[Node]) -> Vec<String> {
    let resources = nodes.iter().filter_map(|node| node.status.as_ref()).flat_map(|status| &status.resources);
    let peers = resources.flat_map(|one| &one.connections).filter_map(|one| one.fields.name.clone());
    let others: BTreeSet<String> = peers.filter(|peer| !nodes.iter().any(|node| node.is_called(peer))).collect();
    others.into_iter().collect()
}

fn about_node(severity: Severity, node: &str, what: String) -> Finding {
    Finding { severity, check: "daemon".to_owned(), place: node.to_owned(), what, ..Finding::default() }
}

/// This machine, and what its agents say.
fn this_node(
    place: &Place,
    settings: &Settings,
    own: &str,
    findings: &mut Vec<Finding>,
) -> (Node, BTreeMap<Agent, AgentMetaData>) {
    let (facts, agents) = system::survey(own, settings, &agents_of(settings));
    let said = daemon::connect(place, way::LIMIT).and_then(|mut client| hear(&mut client, false));
    let mut node = Node { name: own.to_owned(), facts: Some(facts), ..Node::default() };
    match said {
        Ok(said) => {
            node.lost = lost(&said.status, &said.changes);
            (node.status, node.changes) = (Some(said.status), said.changes);
        }
        Err(failure) => {
            let mend = vec!["systemctl status storage-reactor".to_owned(), RESTART.to_owned()];
            node.silent = Some(Silent { why: failure.chain(), mend });
        }
    }
    findings.extend(unasked(settings, &agents));
    (node, agents)
}

/// Agents that are there, and have not said what parameters they take. Those that are missing are found by `check`.
fn unasked(settings: &Settings, known: &BTreeMap<Agent, AgentMetaData>) -> Option<Finding> {
    let is_there = |agent: &Agent| Path::new(&agent.to_string()).exists();
    let all = agents_of(settings);
    let unasked = all.iter().filter(|agent| !known.contains_key(agent) && is_there(agent));
    let names: Vec<String> = unasked.map(|agent| format!("ocf:{}:{}", agent.vendor, agent.agent)).collect();
    (!names.is_empty()).then(|| Finding {
        severity: Severity::Note,
        check: "agents".to_owned(),
        place: names.join(", "),
        what: "parameters not looked at: no meta-data, or not within 10 s".to_owned(),
        ..Finding::default()
    })
}

fn agents_of(settings: &Settings) -> BTreeSet<Agent> {
    let promoters = settings.plugins.iter().filter_map(|entry| match &entry.settings {
        PluginSettings::Promoter(promoter) => Some(promoter),
        _ => None,
    });
    let entries = promoters
        .flat_map(|promoter| promoter.resources.values())
        .flat_map(|resource| resource.start.iter().chain(&resource.standby));
    entries
        .filter_map(|entry| match &entry.what {
            StartEntry::Ocf { vendor, agent, .. } => Some(Agent { vendor: vendor.clone(), agent: agent.clone() }),
            StartEntry::Unit(_) | StartEntry::Command { .. } => None,
        })
        .collect()
}

/// Asks one daemon for all that it knows.
fn hear(client: &mut Client, with_facts: bool) -> Result<Said, Failure> {
    // One that hangs costs its first limit only.
    client.set_within(way::LIMIT)?;
    match client.ask(&Ping {}) {
        Ok(_) | Err(ClientError::Refused { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    client.set_within(Status::default().limit().client())?;
    let before = SystemTime::now();
    let status = client.ask(&Status::default())?.status.known().map_err(|source| Failure::Answer { source })?;
    let after = SystemTime::now();
    let changes = Changes { last: Some(Last(CHANGES)), ..Changes::default() };
    client.set_within(changes.limit().client())?;
    let changes = client.ask(&changes)?.changes.into_iter().filter_map(|change| change.known().ok()).collect();
    let facts = match with_facts {
        false => None,
        true => {
            client.set_within(FACTS.max(Limit::Short.client()))?;
            match client.ask(&Survey {}) {
                Ok(reply) => reply.facts.known().ok(),
                Err(ClientError::Refused { .. }) => None,
                Err(error) => return Err(error.into()),
            }
        }
    };
    Ok(Said { clock: clock(&status.now, before, after), status, changes, facts })
}

/// By how many milliseconds the clock that said `now` between these two times is ahead of ours, and how far off that may be.
fn clock(now: &str, before: SystemTime, after: SystemTime) -> Option<(i64, u64)> {
    let now = now.parse::<Timestamp>().ok()?.as_millisecond();
    let ms = |time: SystemTime| Timestamp::try_from(time).ok().map(Timestamp::as_millisecond);
    let (before, after) = (ms(before)?, ms(after)?);
    let took = after.checked_sub(before).filter(|took| *took >= 0)?;
    Some((now - (before + took / 2), took.unsigned_abs() / 2))
}

/// What `status` calls a problem, but for what the checks say better: of links and options, of files that were looked at here, and of resources that run
/// nowhere, what keeps them from it.
fn state(node: &str, status: &WireStatus, nowhere: &BTreeSet<String>, files: &BTreeSet<String>) -> Vec<Finding> {
    let is_nowhere = |problem: &problems::Problem| nowhere.iter().any(|name| problem.is_about(name));
    let said_better = |problem: &problems::Problem| match problem.topic {
        Topic::Link | Topic::DrbdOption => true,
        Topic::File => files.contains(&problem.place),
        Topic::Services | Topic::Nowhere => is_nowhere(problem),
        // Of what runs nowhere it is one of the reasons.
        Topic::Drained => status.promoted.iter().any(|one| nowhere.contains(&one.resource)),
        Topic::Other => false,
    };
    let resource = |place: &str| {
        let first = place.strip_prefix(problems::SERVICES).unwrap_or(place).split(' ').next().unwrap_or_default();
        let known = status.resources.iter().any(|one| one.name == first)
            || status.promoted.iter().any(|one| one.resource == first);
        known.then(|| first.to_owned())
    };
    let one = |problem: problems::Problem| Finding {
        severity: match problem.severity {
            problems::Severity::Bad => Severity::Error,
            problems::Severity::Degraded => Severity::Warning,
            problems::Severity::Note => Severity::Note,
        },
        check: "state".to_owned(),
        resource: resource(&problem.place),
        place: format!("{node}: {}", problem.place),
        what: problem.what,
        mend: problem.hints,
        ..Finding::default()
    };
    let mut all = Vec::new();
    for problem in problems(status).into_iter().filter(|problem| !said_better(problem)) {
        // What a file is noted for is the same on every node, and told once.
        match (problem.topic, problem.severity) {
            (Topic::File, problems::Severity::Note) if !problem.hints.is_empty() => all.extend(noted(node, &problem)),
            _ => all.push(one(problem)),
        }
    }
    all
}

/// Of a file that is taken as it is: each note, and each warning.
fn noted(node: &str, problem: &problems::Problem) -> Vec<Finding> {
    let of_line = |line: &String| {
        let (place, severity, what) = [("warning: ", Severity::Warning), ("note: ", Severity::Note)]
            .into_iter()
            .find_map(|(word, severity)| {
                let (place, what) = line.split_once(&format!(": {word}"))?;
                Some((place, severity, what))
            })
            .unwrap_or((&problem.place, Severity::Note, line));
        let place =
            if place.starts_with(&problem.place) { place.to_owned() } else { format!("{}:{place}", problem.place) };
        Finding {
            severity,
            check: "config".to_owned(),
            place: format!("{node}: {place}"),
            what: what.to_owned(),
            ..Finding::default()
        }
    };
    problem.hints.iter().map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use reactor_api::survey::ResourceFacts;

    use super::*;

    #[test]
    fn from_outside_the_settings_are_what_the_options_tell() {
        let promoted = |name: &str| reactor_api::PromotedStatus { resource: name.to_owned(), ..Default::default() };
        let status = WireStatus { promoted: vec![promoted("r0"), promoted("r1")], ..WireStatus::default() };
        let options = [("on-no-quorum".to_owned(), "suspend-io".to_owned())].into();
        let facts = ResourceFacts { name: "r1".to_owned(), options, ..ResourceFacts::default() };
        let facts = NodeFacts { resources: vec![facts], ..NodeFacts::default() };
        let node = Node { status: Some(status), facts: Some(facts), ..Node::default() };
        let settings = guessed(&[node]);
        let PluginSettings::Promoter(promoter) = &settings.plugins[0].settings else { panic!("a promoter") };
        let words: Vec<_> = promoter.resources.iter().map(|(name, one)| (name.as_str(), one.on_quorum_loss)).collect();
        assert_eq!(words, [("r0", OnQuorumLoss::Shutdown), ("r1", OnQuorumLoss::Freeze)]);
    }

    /// It stood once for each node, and below a file that "has warnings".
    #[test]
    fn what_no_node_could_check_is_told_once_with_its_reason() {
        use reactor_api::status::{FileState, FileStatus};
        let mut all = Vec::new();
        for name in ["n1", "n2"] {
            let mut status = WireStatus { node: name.to_owned(), ..WireStatus::default() };
            status.source.state = SourceState::Up;
            let line = |text: &str| format!("/etc/storage-reactor.toml:{text}");
            status.configuration.files = vec![FileStatus {
                path: "/etc/storage-reactor.toml".to_owned(),
                state: FileState::Current,
                findings: vec![line(" note: not checked: units (no systemd)"), line("3:1: warning: old key `a`")],
            }];
            all.push(Node { name: name.to_owned(), status: Some(status), ..Node::default() });
        }
        let text = |diagnosis: &Diagnosis| -> Vec<String> {
            let one = |it: &Finding| format!("{:?} {}: {}", it.severity, it.place, it.what);
            diagnosis.findings.iter().map(one).collect()
        };
        let settings = guessed(&[]);
        let both = "n1: /etc/storage-reactor.toml, n2: /etc/storage-reactor.toml";
        let judged_by = |found| judged(&settings, all.clone(), &BTreeMap::new(), found);
        assert_eq!(
            text(&judged_by(Vec::new())),
            [
                "Warning n1: /etc/storage-reactor.toml:3:1, n2: /etc/storage-reactor.toml:3:1: old key `a`".to_owned(),
                format!("Note {both}: not checked: units (no systemd)"),
            ]
        );
        // Of this machine the file was read here.
        let here = Finding {
            check: "config".to_owned(),
            place: "/etc/storage-reactor.toml".to_owned(),
            what: "not checked: units (no systemd)".to_owned(),
            ..Finding::default()
        };
        let told = text(&judged_by(vec![here]));
        assert_eq!(
            told[1],
            "Note /etc/storage-reactor.toml, n2: /etc/storage-reactor.toml: not checked: units (no systemd)"
        );
    }

    #[test]
    fn what_runs_nowhere_has_its_reasons_in_one_finding_and_peers_are_named_that_nobody_asked() {
        let mut status = crate::testing::status_of(&crate::testing::GOOD.replace("role:Primary", "role:Secondary"));
        status.promoted = vec![reactor_api::PromotedStatus {
            resource: "r0".to_owned(),
            state: "blocked".to_owned(),
            because: vec!["it failed 3 times".to_owned()],
            failures: 3,
            ..Default::default()
        }];
        let node = Node { name: "n1".to_owned(), status: Some(status), ..Node::default() };
        let diagnosis = judged(&guessed(std::slice::from_ref(&node)), vec![node], &BTreeMap::new(), Vec::new());
        let checks: Vec<&str> = diagnosis.findings.iter().map(|finding| finding.check.as_str()).collect();
        assert_eq!(checks, [NOWHERE]);
        assert_eq!(diagnosis.findings[0].facts[0], "n1: blocked: it failed 3 times");
        assert_eq!(diagnosis.not_asked, ["n2", "n3"]);
    }

    #[test]
    fn a_clock_is_compared_with_the_middle_of_the_question() {
        let at = |ms| SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
        assert_eq!(clock("1970-01-01T00:00:10Z", at(2_000), at(4_000)), Some((7_000, 1_000)));
        assert_eq!(clock("1970-01-01T00:00:01Z", at(2_000), at(2_000)), Some((-1_000, 0)));
        assert_eq!(clock("never", at(0), at(0)), None);
        // Ours has jumped meanwhile.
        assert_eq!(clock("1970-01-01T00:00:01Z", at(2_000), at(1_000)), None);
    }
}
