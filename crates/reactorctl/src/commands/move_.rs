//! `reactorctl move`: a resource goes to the node that is named, and no other node is faster.
//!
//! Every other node of the context is told to leave it to that node, for a time that ends by itself; the one where it runs stops it then. So if this
//! command is killed, or a node dies, the resource ends on the named node, or wherever it may run when the time is up.

use std::io::Write;
use std::time::{Duration, Instant};

use clap::Args;
use reactor_api::client::Client;
use reactor_api::verb::Limit;
use reactor_api::verbs::{Release, Yield};
use reactor_api::{PromotedStatus, Status, words};

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::nodes::connect_all;
use crate::nodes::context::{self, ContextError, Node};
use crate::nodes::way;
use crate::parts::promoted::{runs_here, state_and_why, step};
use crate::parts::takeover::{self, WITHIN, primary_peer};
use crate::parts::whereabouts;
use crate::style::{END, GOOD, NAME, WARN};
use crate::watching::{News, Then, Watching, Whom, may_come_back, understood};
use reactor_core::names::same;

/// Move a promoted resource to a node of the context
#[derive(Clone, Debug, Args)]
pub struct MoveArgs {
    /// The resource
    #[arg(value_name = "RESOURCE")]
    pub resource: String,

    /// The node, as the context and DRBD call it
    #[arg(long, value_name = "NODE")]
    pub to: String,

    /// If it is not Primary there by then, it may run on any node again
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,

    /// Do it even if the checks beforehand say no
    #[arg(short, long)]
    pub force: bool,

    /// Why, for whoever looks later
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
}

/// A node, and what its daemon says of the resource.
struct Asked {
    node: Node,
    said: Result<(Client, Status), Failure>,
}

impl Asked {
    fn name(&self) -> &str {
        &self.node.name
    }

    fn report(&self, resource: &str) -> Option<PromotedStatus> {
        takeover::promoted(&self.said.as_ref().ok()?.1, resource)
    }

    fn runs(&self, resource: &str) -> bool {
        self.report(resource).is_some_and(|report| runs_here(&report))
    }
}

/// Whether a bystander has to be told. What a person holds or has stopped there starts nothing, and is not ours to change; nor does what no
/// promoter has there.
fn could_be_faster(report: Option<&PromotedStatus>) -> bool {
    report.is_some_and(|report| report.hold.as_ref().is_none_or(|hold| hold.until_primary.is_some()))
}

/// Those that something is asked of.
struct Parties {
    /// Where it runs, with its name.
    here: (Node, Client),
    to: Node,
    /// Who could be faster.
    others: Vec<(Node, Client)>,
}

impl Run for MoveArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let nodes = context::needed(&place.context)?;
        let known: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        let exact = nodes.iter().position(|node| node.name == self.to);
        let Some(target) = exact.or_else(|| nodes.iter().position(|node| same(&node.name, &self.to))) else {
            return Err(ContextError::NoSuchNode { name: self.to.clone(), known: known.join(", ") }.into());
        };
        let everybody = nodes.clone();
        let said = connect_all(&nodes, WITHIN, |client| takeover::ask(client, Some(&self.resource)));
        let mut all: Vec<Asked> = nodes.into_iter().zip(said).map(|(node, said)| Asked { node, said }).collect();
        let target = all.remove(target);
        if target.runs(&self.resource) {
            writeln!(out, "nothing to do: {} runs on {}", self.resource, self.to)?;
            return Ok(Exit::Ok);
        }
        if all.iter().chain([&target]).all(|node| node.said.is_ok() && node.report(&self.resource).is_none()) {
            return Err(Failure::NoSuchResource { resource: self.resource.clone() });
        }
        let Some(source) = all.iter().position(|node| node.runs(&self.resource)).map(|at| all.remove(at)) else {
            let why = self.stays(&target, &all).or_else(|| self.runs_out_of_sight(&target, &all));
            let why = why.unwrap_or_else(|| self.runs_nowhere(&target, &all));
            return Err(self.refused(&why));
        };
        let from = source.node;
        let (mut here, _) = source.said?;
        // With the peers, which are not in the status of everything.
        let report = daemon::why(&mut here, &self.resource)?;
        // As DRBD calls it: the daemons look for that name among their peers.
        let to = takeover::peer(&report, &self.to).map_or(&self.to, |peer| &peer.node).clone();
        let this = Self { to, ..self.clone() };
        let why = this.checks(&report, &from.name, &target, &all);
        if !why.is_empty() && !self.force {
            return Err(this.refused(&why));
        }
        for reason in &why {
            writeln!(out, "{reason}; --force")?;
        }
        // Who does not answer could not say whether it has arrived, whatever is forced.
        target.said?;
        let others = all.into_iter().filter(|node| could_be_faster(node.report(&self.resource).as_ref()));
        let others = others.filter_map(|node| Some((node.node, node.said.ok()?.0))).collect();
        let mut parties = Parties { here: (from, here), to: target.node, others };
        let moved = this.carry_out(&mut parties, out);
        if moved.is_err() {
            this.take_back(&parties, out)?;
            whereabouts::now(&everybody, &self.resource).iter().try_for_each(|line| writeln!(out, "{line}"))?;
        }
        moved
    }

    fn asks_one_daemon(&self) -> bool {
        false
    }
}

impl MoveArgs {
    fn refused(&self, why: &[String]) -> Failure {
        let what = format!("{} can't be moved to {}, nothing was done:", self.resource, self.to);
        // As of an eviction: each node on a line.
        let why = if let [one] = why { format!(" {one}") } else { format!("\n  {}", why.join("\n  ")) };
        Failure::Denied { why: format!("{what}{why}") }
    }

    /// If a node has it Primary, and keeps it: somebody holds it there, for example.
    fn stays(&self, target: &Asked, others: &[Asked]) -> Option<Vec<String>> {
        let primary = |asked: &&Asked| {
            asked.said.as_ref().is_ok_and(|(_, status)| takeover::is_primary_here(status, &self.resource))
        };
        let node = others.iter().chain([target]).find(primary)?;
        let why = state_and_why(&node.report(&self.resource)?);
        Some(vec![format!("{}: it is Primary there, and can't leave as it is {why}", node.name())])
    }

    /// If a node has it Primary whose daemon does not answer, or which is not in the context: what its peers say, and what to do.
    fn runs_out_of_sight(&self, target: &Asked, others: &[Asked]) -> Option<Vec<String>> {
        let all = || others.iter().chain([target]);
        let seen = |asked: &Asked| primary_peer(&asked.said.as_ref().ok()?.1, &self.resource);
        let node = all().find_map(seen)?;
        let silent = all().find(|asked| same(asked.name(), &node));
        let (why, way) = match silent.map(|asked| &asked.said) {
            Some(Ok(_)) => return None,
            Some(Err(failure)) => (
                failure.without_node(&node),
                format!(
                    "it can be moved when the daemon of {node} answers (there: systemctl status storage-reactor); if all of {node} hangs, switch it \
                     off: another node takes over"
                ),
            ),
            None => (
                "it is not in the context".to_owned(),
                format!("add {node} to the context, or there: reactorctl evict {}", self.resource),
            ),
        };
        let peers: Vec<&str> =
            all().filter(|asked| seen(asked).is_some_and(|seen| same(&seen, &node))).map(Asked::name).collect();
        let say = if peers.len() == 1 { "says" } else { "say" };
        Some(vec![format!("{node}: {why}; it is Primary there, {say} {}", peers.join(", ")), way])
    }

    /// Each node with what it says.
    fn runs_nowhere(&self, target: &Asked, others: &[Asked]) -> Vec<String> {
        let of = |node: &Asked| {
            let name = node.name();
            match (&node.said, node.report(&self.resource)) {
                (Err(failure), _) => format!("{name}: {}", failure.without_node(name)),
                (Ok(_), None) => format!("{name}: no promoter has it there"),
                (Ok(_), Some(report)) => format!("{name}: {}", state_and_why(&report)),
            }
        };
        let nowhere = "it runs on no node of the context that answers".to_owned();
        std::iter::once(nowhere).chain(others.iter().chain([target]).map(of)).collect()
    }

    /// Each reason why not, with its node.
    fn checks(&self, report: &PromotedStatus, from: &str, target: &Asked, others: &[Asked]) -> Vec<String> {
        let mut why = Vec::new();
        if report.peers.iter().any(|peer| peer.node == self.to) {
            let obstacles = takeover::obstacles(report, &self.to, target.said.as_ref().map(|(_, status)| status));
            why.extend(obstacles.into_iter().map(|obstacle| format!("{}: {obstacle}", self.to)));
        } else {
            why.push(format!("DRBD on {from} knows no node {}", self.to));
        }
        for other in others {
            let Err(failure) = &other.said else { continue };
            // Who is away from DRBD can't be faster.
            if takeover::is_connected(&report.peers, other.name()) {
                let failure = failure.without_node(other.name());
                why.push(format!("{}: {failure}, and it could be faster", other.name()));
            }
        }
        why
    }

    fn leave(&self, client: &mut Client) -> Result<(), Failure> {
        let call = Yield {
            resource: self.resource.as_str().into(),
            to: Some(self.to.as_str().into()),
            limit: words::Limit(self.timeout),
            why: self.why.as_deref().map(Into::into),
            command: Some("move".into()),
            ..Yield::default()
        };
        daemon::ask_over(client, &call).map(drop)
    }

    /// Whoever was told to wait need not wait for the end of the time. Says what was taken back.
    fn take_back(&self, parties: &Parties, out: &mut dyn Write) -> Result<(), Failure> {
        let told: Vec<&Node> = parties.others.iter().chain([&parties.here]).map(|(node, _)| node).collect();
        let mut freed = Vec::new();
        for node in &told {
            match self.undo(node) {
                Ok(true) => freed.push(node.name.as_str()),
                Ok(false) => {}
                Err(failure) => {
                    let (name, why) = (&node.name, failure.without_node(&node.name));
                    writeln!(
                        out,
                        "{WARN}{name} may still leave it to {}, for {} s at most: {why}{END}",
                        self.to, self.timeout
                    )?;
                }
            }
        }
        let leave = if freed.len() == 1 { "leaves" } else { "leave" };
        if !freed.is_empty() {
            writeln!(out, "taken back: {} no longer {leave} it to {}", freed.join(" and "), self.to)?;
        }
        Ok(())
    }

    /// Only what is left to others for a time is given back: a person's hold stays. If that does not work, it ends by itself.
    fn undo(&self, node: &Node) -> Result<bool, Failure> {
        // The connection of before may have been idle for too long.
        let mut client = way::connect(node, WITHIN)?;
        let hold = daemon::why(&mut client, &self.resource)?.hold;
        let is_ours = hold.is_some_and(|hold| hold.until_primary.as_ref() == Some(&self.to));
        if is_ours {
            let call = Release { resource: self.resource.as_str().into(), command: Some("move".into()) };
            daemon::ask_over(&mut client, &call)?;
        }
        Ok(is_ours)
    }

    fn carry_out(&self, parties: &mut Parties, out: &mut dyn Write) -> Result<Exit, Failure> {
        let (resource, to) = (&self.resource, &self.to);
        let (from, here) = &mut parties.here;
        let whom = vec![Whom::Node(from.clone()), Whom::Node(parties.to.clone())];
        let watching = Watching::start(whom, std::slice::from_ref(resource), Then::Again);
        let mut sides = Sides::default();
        // Both must be seen before anything is asked for.
        let begin = Instant::now();
        while sides.source.is_none() || sides.target.is_none() {
            match watching.next(Some(begin + Limit::Short.client())) {
                Some((number, News::Picture(picture))) => sides.take(number, &understood(picture)?, resource),
                Some((_, News::Ended(failure))) => return Err(failure),
                None => return Err(self.not_gone("the nodes do not say how they are")),
            }
        }
        // A change of what a daemon remembers may wait for its disk.
        for client in parties.others.iter_mut().map(|(_, client)| client).chain([&mut *here]) {
            client.set_within(Limit::Short.client())?;
        }
        let begin = Instant::now();
        for (_, other) in &mut parties.others {
            self.leave(other)?;
        }
        self.leave(here)?;
        writeln!(
            out,
            "{NAME}{resource}{END} is on its way to {to}; after {} s it may run anywhere again",
            self.timeout
        )?;
        self.follow(&watching, (&from.name, begin), sides, out)
    }

    fn not_gone(&self, why: &str) -> Failure {
        Failure::NotGone { resource: self.resource.clone(), why: why.to_owned() }
    }

    /// Says how it goes, until it is over.
    fn follow(
        &self,
        watching: &Watching,
        (source, begin): (&str, Instant),
        mut sides: Sides,
        out: &mut dyn Write,
    ) -> Result<Exit, Failure> {
        let (resource, to) = (&self.resource, &self.to);
        let end = begin + Duration::from_secs(self.timeout) + way::LIMIT;
        let (mut old, mut new) = (String::new(), String::new());
        loop {
            let took = begin.elapsed().as_secs_f64();
            for (node, report, last) in [(source, &sides.source, &mut old), (to, &sides.target, &mut new)] {
                let Some(report) = report.as_ref().filter(|report| report.state != *last) else { continue };
                // How it was before is no step of the way.
                if !(last.is_empty() && runs_here(report)) {
                    writeln!(out, "{took:>7.1} s  {node}: {}", step(report))?;
                    out.flush()?;
                }
                last.clone_from(&report.state);
            }
            if sides.target.as_ref().is_some_and(|report| report.state == "running") {
                writeln!(out, "{GOOD}done{END}: {resource} runs on {to} after {took:.1} s")?;
                return Ok(Exit::Ok);
            }
            if sides.is_over(to) {
                return Err(self.not_gone(&sides.why(to)));
            }
            match watching.next(Some(end)) {
                Some((number, News::Picture(picture))) => sides.take(number, &understood(picture)?, resource),
                Some((number, News::Ended(failure))) if may_come_back(&failure) => {
                    let node = if number == 0 { source } else { to };
                    let why = failure.without_node(node);
                    let took = begin.elapsed().as_secs_f64();
                    writeln!(out, "{took:>7.1} s  {WARN}{node}: {why}{END}")?;
                }
                Some((_, News::Ended(failure))) => return Err(failure),
                None => return Err(self.not_gone(&sides.why(to))),
            }
        }
    }
}

/// The last that both nodes have said.
#[derive(Default)]
struct Sides {
    source: Option<PromotedStatus>,
    target: Option<PromotedStatus>,
    /// The source has been seen to leave it to the target.
    is_under_way: bool,
}

impl Sides {
    fn take(&mut self, number: usize, status: &Status, resource: &str) {
        // A daemon that has just started may not have read what it is to promote.
        let Some(report) = takeover::promoted(status, resource) else { return };
        if number == 0 {
            self.is_under_way |= report.hold.as_ref().is_some_and(|hold| hold.until_primary.is_some());
            self.source = Some(report);
        } else {
            self.target = Some(report);
        }
    }

    /// Whether the source leaves it to nobody any more, and the target has not got it. Their news come by two ways: while DRBD says at the source that
    /// the target is Primary, the target has more to say.
    fn is_over(&self, to: &str) -> bool {
        let Some(source) = &self.source else { return false };
        let is_left = source.hold.as_ref().is_some_and(|hold| hold.until_primary.is_some());
        let is_there = source.peers.iter().any(|peer| peer.node == *to && peer.primary);
        let is_on_its_way =
            self.target.as_ref().is_some_and(|report| matches!(report.state.as_str(), "starting" | "waiting"));
        self.is_under_way && !is_left && !is_there && !is_on_its_way
    }

    fn why(&self, to: &str) -> String {
        match &self.target {
            Some(report) => format!("on {to} it is {}", state_and_why(report)),
            None => format!("{to} does not say how it is"),
        }
    }
}

#[cfg(test)]
mod tests {
    use reactor_api::promoted::{HoldStatus, PeerStatus};

    use super::*;
    use crate::parts::takeover::tests::{peer, ready, report, status};

    fn asked(name: &str, said: Result<Status, Failure>) -> Asked {
        let client = || Client::over(std::os::unix::net::UnixStream::pair().unwrap().0, 1);
        let node = Node { name: name.to_owned(), hostname: name.to_owned(), user: "root".to_owned(), socket: None };
        Asked { node, said: said.map(|status| (client(), status)) }
    }

    fn dead() -> Failure {
        Failure::NotReached { node: "n3".to_owned(), why: "no route to host".to_owned() }
    }

    fn args() -> MoveArgs {
        let (resource, to) = ("r0".to_owned(), "n2".to_owned());
        MoveArgs { resource, to, timeout: 60, force: false, why: None }
    }

    /// What keeps r0 on n1 from being moved to n2, with n3 beside them.
    fn checked(here: &PromotedStatus, there: Result<Status, Failure>, other: Result<Status, Failure>) -> Vec<String> {
        args().checks(here, "n1", &asked("n2", there), &[asked("n3", other)])
    }

    fn running(peers: Vec<PeerStatus>) -> PromotedStatus {
        PromotedStatus { peers, ..report("running", &["its services run here"], "a.service") }
    }

    fn both() -> PromotedStatus {
        running(vec![peer("n2", ""), peer("n3", "")])
    }

    #[test]
    fn a_node_that_could_take_over_is_accepted() {
        assert_eq!(checked(&both(), Ok(ready()), Ok(ready())), [""; 0]);
        // Who has no promoter for it, or is cut off, can't be faster.
        let missing = Status { promoted: Vec::new(), ..ready() };
        assert_eq!(checked(&both(), Ok(ready()), Ok(missing)), [""; 0]);
        let cut = running(vec![peer("n2", ""), peer("n3", "not connected: Connecting")]);
        assert_eq!(checked(&cut, Ok(ready()), Err(dead())), [""; 0]);
    }

    #[test]
    fn a_bystander_that_somebody_holds_is_not_told_and_keeps_nothing_from_moving() {
        let held = |until_primary: Option<&str>| {
            let until_primary = until_primary.map(str::to_owned);
            let hold = HoldStatus { until_primary, ..HoldStatus::default() };
            PromotedStatus { hold: Some(hold), ..report("held", &["held by root"], "a.service") }
        };
        assert_eq!(checked(&both(), Ok(ready()), Ok(status(held(None), "UpToDate"))), [""; 0]);
        let told = |report: PromotedStatus| could_be_faster(Some(&report));
        let standby = report("standby", &[], "a.service");
        assert_eq!([told(held(None)), told(held(Some("n2"))), told(standby)], [false, true, true]);
        assert!(!could_be_faster(None));
    }

    #[test]
    fn each_reason_is_said_with_its_node() {
        let held = || Ok(status(report("held", &["held by root"], "a.service"), "UpToDate"));
        let away = running(vec![peer("n2", "volume 0 is Inconsistent there"), peer("n3", "")]);
        for (here, there, other, says) in [
            (both(), held(), Ok(ready()), "n2: it is held by root"),
            (both(), Ok(ready()), Err(dead()), "n3: not reached: no route to host, and it could be faster"),
            (away, Ok(ready()), Ok(ready()), "n2: volume 0 is Inconsistent there"),
            (running(Vec::new()), Ok(ready()), Ok(ready()), "DRBD on n1 knows no node n2"),
        ] {
            assert_eq!(checked(&here, there, other), [says]);
        }
        let standby = asked("n2", Ok(ready()));
        assert_eq!(
            args().runs_nowhere(&standby, &[asked("n3", Err(dead()))]),
            [
                "it runs on no node of the context that answers",
                "n3: not reached: no route to host",
                "n2: standby: n1 is Primary"
            ]
        );
    }

    #[test]
    fn what_is_held_where_it_is_primary_does_not_run_nowhere() {
        let mut held = status(report("held", &["held by root: cables"], "a.service"), "UpToDate");
        assert_eq!(args().stays(&asked("n2", Ok(ready())), &[asked("n1", Ok(held.clone()))]), None);
        held.resources[0].fields.role = "Primary".to_owned();
        assert_eq!(
            args().stays(&asked("n2", Ok(ready())), &[asked("n1", Ok(held))]),
            Some(vec!["n1: it is Primary there, and can't leave as it is held by root: cables".to_owned()])
        );
    }

    #[test]
    fn news_from_two_nodes_come_in_any_order() {
        let left = || HoldStatus { until_primary: Some("n2".to_owned()), ..HoldStatus::default() };
        let said = |report: PromotedStatus| status(report, "UpToDate");
        let mut sides = Sides::default();
        // How it was before it was asked for is no end.
        sides.take(0, &said(both()), "r0");
        sides.take(1, &ready(), "r0");
        assert!(!sides.is_over("n2"));
        sides.take(0, &said(PromotedStatus { hold: Some(left()), ..report("held", &[], "a.service") }), "r0");
        assert!(!sides.is_over("n2"));
        // The source is told first that the target is Primary.
        let there = PeerStatus { primary: true, ..peer("n2", "") };
        sides.take(0, &said(PromotedStatus { peers: vec![there], ..report("standby", &[], "a.service") }), "r0");
        assert!(!sides.is_over("n2"));
        // And then that it is not: the start has failed there, or another node was faster.
        sides.take(0, &said(report("standby", &[], "a.service")), "r0");
        assert!(sides.is_over("n2"));
        sides.take(1, &said(report("starting", &[], "a.service")), "r0");
        assert!(!sides.is_over("n2"));
    }
}
