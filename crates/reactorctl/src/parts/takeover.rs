//! Whether another node could take a resource over: what DRBD says of it here, and what its own daemon says.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use reactor_api::objects::WireResource;
use reactor_api::promoted::PeerStatus;
use reactor_api::status::SourceState;
use reactor_api::verb::Limit;
use reactor_api::verbs;
use reactor_api::{PromotedStatus, Status};
use reactor_core::names::same;

use super::promoted::{reason_of, runs_here, sentence_and_why, state_and_why};
use crate::cli::Place;
use crate::daemon;
use crate::exit::Failure;
use crate::nodes::context::{self, Whose};
use crate::nodes::{ask_all, way};
use crate::style::{END, WARN};

/// How long a node has to say how it is.
pub(crate) const WITHIN: Duration = way::LIMIT;

/// What the daemon of a node says of one resource.
pub(crate) type Said<'a> = Result<&'a Status, &'a Failure>;

/// What other nodes say of a resource, by name; `None` = no context says who they are.
pub(crate) type Others = Option<BTreeMap<String, Result<Status, Failure>>>;

/// Asks for it; `None` = for all that it has.
pub(crate) fn ask(client: &mut reactor_api::client::Client, resource: Option<&str>) -> Result<Status, Failure> {
    let only = verbs::Status { resources: resource.map(|name| [name.to_owned()].into()) };
    daemon::ask_over(client, &only)?.status.known().map_err(|source| Failure::Answer { source })
}

/// What a promoter there says of it.
pub(crate) fn promoted(status: &Status, resource: &str) -> Option<PromotedStatus> {
    status.promoted.iter().find(|promoted| promoted.resource == resource).cloned()
}

/// The peer that is Primary, as DRBD has it there.
pub(crate) fn primary_peer(status: &Status, resource: &str) -> Option<String> {
    let drbd = status.resources.iter().find(|drbd| drbd.name == resource)?;
    let primary = drbd.connections.iter().find(|connection| connection.fields.peer_role == "Primary")?;
    primary.fields.name.clone()
}

/// Whether DRBD has it Primary on the node that says this.
pub(crate) fn is_primary_here(status: &Status, resource: &str) -> bool {
    status.resources.iter().any(|drbd| drbd.name == resource && drbd.fields.role == "Primary")
}

/// What a person holds while it is Primary here: it stays, whatever else leaves this node.
fn held_here(status: &Status) -> impl Iterator<Item = &PromotedStatus> {
    let by_a_person = |report: &&PromotedStatus| {
        report.state == "held" && report.hold.as_ref().is_none_or(|hold| hold.until_primary.is_none())
    };
    status.promoted.iter().filter(by_a_person).filter(|report| is_primary_here(status, &report.resource))
}

/// Before all is stopped here: says on standard error what stays.
pub(crate) fn warn_of_held(place: &Place) {
    let Ok(status) = daemon::status(place, &verbs::Status::default()) else { return };
    for report in held_here(&status) {
        let (name, why) = (&report.resource, state_and_why(report));
        let _ = writeln!(
            anstream::stderr(),
            "{WARN}reactorctl:{END} {name} stays Primary here, because it is {why}\n  reactorctl release {name} lets it go"
        );
    }
}

/// A node as DRBD has it, which may have another name for it than a context or a person has.
pub(crate) fn peer<'a>(report: &'a PromotedStatus, node: &str) -> Option<&'a PeerStatus> {
    let exact = report.peers.iter().find(|peer| peer.node == node);
    exact.or_else(|| report.peers.iter().find(|peer| same(&peer.node, node)))
}

/// What a node has said, by the name that DRBD has for it; `None` = the context does not have it.
pub(crate) fn said_by<'a>(
    others: &'a BTreeMap<String, Result<Status, Failure>>,
    node: &str,
) -> Option<&'a Result<Status, Failure>> {
    others.get(node).or_else(|| others.iter().find(|(name, _)| same(name, node)).map(|(_, said)| said))
}

/// Each reason why `node` can't take over what runs at `from`; empty = it can, for all that is known.
pub(crate) fn obstacles(from: &PromotedStatus, node: &str, said: Said<'_>) -> Vec<String> {
    let mut why = Vec::new();
    match peer(from, node) {
        None => why.push("DRBD knows no such node where it runs".to_owned()),
        Some(peer) => why.extend(peer.obstacles.iter().cloned()),
    }
    match said {
        Err(failure) => why.push(failure.without_node(node)),
        Ok(status) => of_status(from, status, &mut why),
    }
    // Both sides see a link that is down.
    why.dedup();
    why
}

fn of_status(from: &PromotedStatus, status: &Status, why: &mut Vec<String>) {
    if !matches!(status.source.state, SourceState::Up | SourceState::Ended) {
        why.push("its daemon has no news of DRBD".to_owned());
    }
    if status.stopping {
        why.push("its daemon is stopping".to_owned());
    }
    if let Some(drain) = &status.drained {
        why.push(format!("it is drained by {}{}", drain.who, reason_of(&drain.why)));
    }
    let Some(there) = promoted(status, &from.resource) else {
        return why.push("no promoter has it there".to_owned());
    };
    match there.state.as_str() {
        // Behind the first reason, which is that another node is Primary, stands what else keeps it from taking over.
        "standby" => {
            let known = status.resources.iter().find(|resource| resource.name == from.resource);
            why.extend(there.because.iter().skip(usize::from(is_primary_somewhere(from, known))).cloned());
        }
        "drained" if status.drained.is_some() => {}
        _ => why.push(format!("it {}", elsewhere(&there))),
    }
    configuration(from, &there, why);
    disks(from, status, why);
}

/// As the promoter says where it runs, or DRBD on one of the two nodes.
fn is_primary_somewhere(from: &PromotedStatus, there: Option<&WireResource>) -> bool {
    let mut seen = there.iter().flat_map(|there| &there.connections);
    runs_here(from)
        || from.peers.iter().any(|peer| peer.primary)
        || seen.any(|connection| connection.fields.peer_role == "Primary")
}

/// How it is on another node, and why.
fn elsewhere(there: &PromotedStatus) -> String {
    let meaning = sentence_and_why(there);
    // What comes behind are the words of that node.
    let (meaning, why) = meaning.split_once(": ").map_or((meaning.as_str(), ""), |(meaning, why)| (meaning, why));
    format!("{}{}", meaning.replace(" here", " there"), reason_of(why))
}

/// The promoter there would do something else.
fn configuration(from: &PromotedStatus, there: &PromotedStatus, why: &mut Vec<String>) {
    let units = |report: &PromotedStatus| report.units.iter().map(|unit| unit.unit.clone()).collect::<Vec<_>>();
    if units(from) != units(there) {
        why.push(format!("it starts other units: {}", units(there).join(", ")));
    }
    let known = |report: &PromotedStatus| !matches!(report.policy.as_str(), "" | "unknown");
    if known(from) && known(there) && from.policy != there.policy {
        why.push(format!("DRBD is configured in another way there: {}, not {}", there.policy, from.policy));
    }
}

/// What DRBD says there of its own disks, where nobody sees it better.
fn disks(from: &PromotedStatus, status: &Status, why: &mut Vec<String>) {
    let Some(resource) = status.resources.iter().find(|resource| resource.name == from.resource) else {
        return why.push("DRBD does not have it there".to_owned());
    };
    for device in &resource.devices {
        if device.fields.disk_state != "UpToDate" {
            why.push(format!("volume {} is {} there", device.volume, device.fields.disk_state));
        }
        if device.fields.quorum == Some(false) {
            why.push(format!("volume {} has no quorum there", device.volume));
        }
    }
}

/// Whether DRBD sees this node from where the resource runs.
pub(crate) fn is_connected(peers: &[PeerStatus], node: &str) -> bool {
    peers.iter().any(|peer| same(&peer.node, node) && peer.connected)
}

/// Whether another node could take over what runs here, or `to`. If not: each of them, with its reasons.
pub(crate) fn somebody_could(report: &PromotedStatus, others: &Others, to: Option<&str>) -> Result<(), String> {
    let obstacles = |peer: &PeerStatus| match others.as_ref().and_then(|others| said_by(others, &peer.node)) {
        Some(said) => obstacles(report, &peer.node, said.as_ref()),
        None => peer.obstacles.clone(),
    };
    let wanted = report.peers.iter().filter(|peer| to.is_none_or(|to| same(to, &peer.node)));
    let all: Vec<(&str, Vec<String>)> = wanted.map(|peer| (peer.node.as_str(), obstacles(peer))).collect();
    if all.iter().any(|(_, obstacles)| obstacles.is_empty()) {
        return Ok(());
    }
    let mut text = format!("no other node could take {} over", report.resource);
    for (node, obstacles) in all {
        text += &format!("\n  {node}: {}", obstacles.join("; "));
    }
    Err(text)
}

/// Before it stops here for good: says on standard error what no other node could take over, and why. It is no look that stops anybody: whoever can't
/// be asked is silent, and without a context nobody knows more than DRBD.
pub(crate) fn warn_if_stranded(place: &Place, resource: Option<&str>) {
    let wanted = verbs::Status { resources: resource.map(|name| [name.to_owned()].into()) };
    let Ok(status) = daemon::status(place, &wanted) else { return };
    let concerned = |report: &&PromotedStatus| runs_here(report) && resource.is_none_or(|name| name == report.resource);
    let running: Vec<&PromotedStatus> = status.promoted.iter().filter(concerned).collect();
    if running.is_empty() {
        return;
    }
    let Ok(others @ Some(_)) = others(place, &status.node, resource) else { return };
    let Ok(mut client) = daemon::connect(place, Limit::Short.client()) else { return };
    for name in running.into_iter().map(|report| &report.resource) {
        // With the peers, which are not in the status of everything.
        let Ok(report) = daemon::why(&mut client, name) else { continue };
        if let Err(text) = somebody_could(&report, &others, None) {
            // What can't be said is no reason not to do it.
            let _ = writeln!(anstream::stderr(), "{WARN}reactorctl:{END} {text}");
        }
    }
}

/// Asks all other nodes of the context at the same time: about one resource, or about all.
pub(crate) fn others(place: &Place, own: &str, resource: Option<&str>) -> Result<Others, Failure> {
    let mut nodes = context::nodes(Whose::Ours, &place.context, &[])?;
    if nodes.is_empty() {
        return Ok(None);
    }
    let asked = place.node.as_ref().map_or(own, |node| &node.name);
    nodes.retain(|node| !same(&node.name, asked) && !same(&node.name, own));
    let said = ask_all(&nodes, WITHIN, |client| ask(client, resource));
    Ok(Some(nodes.into_iter().map(|node| node.name).zip(said).collect()))
}

#[cfg(test)]
pub(crate) mod tests {
    use reactor_api::objects::{DeviceFields, WireDevice, WireResource};
    use reactor_api::promoted::{HoldStatus, UnitStatus};

    use super::*;

    pub(crate) fn peer(node: &str, obstacle: &str) -> PeerStatus {
        let obstacles = Some(obstacle.to_owned()).filter(|text| !text.is_empty()).into_iter().collect();
        let connected = !obstacle.starts_with("not connected");
        PeerStatus { node: node.to_owned(), connected, obstacles, ..PeerStatus::default() }
    }

    /// What a promoter says of r0.
    pub(crate) fn report(state: &str, because: &[&str], unit: &str) -> PromotedStatus {
        PromotedStatus {
            resource: "r0".to_owned(),
            state: state.to_owned(),
            because: because.iter().map(|text| (*text).to_owned()).collect(),
            policy: "quorum".to_owned(),
            units: vec![UnitStatus { unit: unit.to_owned(), ..UnitStatus::default() }],
            peers: vec![peer("n2", ""), peer("n3", "")],
            ..PromotedStatus::default()
        }
    }

    /// What a daemon says that has this promoter.
    pub(crate) fn status(report: PromotedStatus, disk: &str) -> Status {
        let fields = DeviceFields { disk_state: disk.to_owned(), quorum: Some(true), ..DeviceFields::default() };
        let devices = vec![WireDevice { volume: 0, fields, ..WireDevice::default() }];
        let mut status = Status { promoted: vec![report], ..Status::default() };
        status.source.state = SourceState::Up;
        status.resources = vec![WireResource { name: "r0".to_owned(), devices, ..WireResource::default() }];
        status
    }

    pub(crate) fn ready() -> Status {
        status(report("standby", &["n1 is Primary"], "a.service"), "UpToDate")
    }

    #[test]
    fn a_node_is_asked_what_only_it_knows() {
        let from = report("running", &["its services run here"], "a.service");
        assert_eq!(obstacles(&from, "n2", Ok(&ready())), [""; 0]);
        let standby = |because: &[&str], unit: &str| status(report("standby", because, unit), "UpToDate");
        let held = || HoldStatus { who: "root".to_owned(), why: "a new kernel".to_owned(), ..HoldStatus::default() };
        let mut drained = status(report("drained", &["root has drained this node"], "a.service"), "UpToDate");
        drained.drained = Some(held());
        let mut no_quorum = ready();
        no_quorum.resources[0].devices[0].fields.quorum = Some(false);
        let mut alone = ready();
        alone.promoted[0].policy = "alone".to_owned();
        let mut blind = ready();
        blind.source.state = SourceState::Down;
        for (said, says) in [
            (standby(&["n1 is Primary", "a.service is masked"], "a.service"), "a.service is masked"),
            (standby(&["n1 is Primary"], "b.service"), "it starts other units: b.service"),
            (status(report("held", &["root holds it"], "a.service"), "UpToDate"), "it is held: root holds it"),
            (
                status(report("blocked", &["3 failures"], "a.service"), "UpToDate"),
                "it is blocked there: its services failed too often: 3 failures",
            ),
            (drained, "it is drained by root: a new kernel"),
            (status(report("standby", &["n1 is Primary"], "a.service"), "Outdated"), "volume 0 is Outdated there"),
            (no_quorum, "volume 0 has no quorum there"),
            (alone, "DRBD is configured in another way there: alone, not quorum"),
            (blind, "its daemon has no news of DRBD"),
            (Status { promoted: Vec::new(), ..ready() }, "no promoter has it there"),
            (Status { resources: Vec::new(), ..ready() }, "DRBD does not have it there"),
        ] {
            assert_eq!(obstacles(&from, "n2", Ok(&said)), [says]);
        }
    }

    #[test]
    fn a_node_that_does_not_answer_can_t_take_anything_over() {
        let from = report("running", &[], "a.service");
        let dead = Failure::NotReached { node: "n2".to_owned(), why: "no route to host".to_owned() };
        assert_eq!(obstacles(&from, "n2", Err(&dead)), ["not reached: no route to host"]);
        assert_eq!(obstacles(&from, "n9", Ok(&ready())), ["DRBD knows no such node where it runs"]);
        let cut = PromotedStatus { peers: vec![peer("n2", "not connected: Connecting")], ..from };
        assert_eq!(obstacles(&cut, "n2", Ok(&ready())), ["not connected: Connecting"]);
        assert!(!is_connected(&cut.peers, "n2") && !is_connected(&cut.peers, "n9"));
    }
}
