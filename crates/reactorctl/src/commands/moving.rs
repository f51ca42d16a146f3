//! `reactorctl move`: a resource goes to the node that is named, and no other node is faster.
//!
//! Every other node of the context is told to leave it to that node, for a time that ends by itself; the one where it runs stops it then. So if this
//! command is killed, or a node dies, the resource ends on the named node, or wherever it may run when the time is up.

use std::io::Write;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Args;
use reactor_api::PromotedStatus;
use reactor_api::client::Client;
use reactor_api::verb::Limit;
use reactor_api::verbs::{Release, Yield};
use reactor_api::words;

use super::promoted::{runs_here, words as state_words};
use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::nodes::context::{self, ContextError, Whose};
use crate::nodes::{connect_all, way};
use crate::style::{END, GOOD, NAME};

/// How often the nodes are asked how far they are.
const LOOK: Duration = Duration::from_millis(100);

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

/// What a node says of the resource.
struct Node {
    name: String,
    said: Result<(Client, PromotedStatus), Failure>,
}

impl Node {
    fn report(&self) -> Option<&PromotedStatus> {
        self.said.as_ref().ok().map(|(_, report)| report)
    }

    fn runs_it(&self) -> bool {
        self.report().is_some_and(runs_here)
    }
}

/// Whether a bystander has to be told. What a person holds or has stopped there starts nothing, and is not ours to change.
fn could_be_faster((_, report): &(Client, PromotedStatus)) -> bool {
    report.hold.as_ref().is_none_or(|hold| hold.until_primary.is_some())
}

impl Run for MoveArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let nodes = context::nodes(Whose::Ours, &place.context, &[])?;
        if nodes.is_empty() {
            return Err(ContextError::NoNodes.into());
        }
        let said = connect_all(&nodes, Limit::Short.client(), |client| daemon::why(client, &self.resource));
        let mut nodes: Vec<Node> =
            nodes.into_iter().zip(said).map(|(node, said)| Node { name: node.name, said }).collect();
        let Some(target) = nodes.iter().position(|node| node.name == self.to) else {
            let known: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
            return Err(ContextError::NoSuchNode { name: self.to.clone(), known: known.join(", ") }.into());
        };
        let target = nodes.remove(target);
        if target.runs_it() {
            writeln!(out, "nothing to do: {} runs on {}", self.resource, target.name)?;
            return Ok(Exit::Ok);
        }
        let source = nodes.iter().position(Node::runs_it).map(|at| nodes.remove(at));
        let from = source.as_ref().map(|source| source.name.clone()).unwrap_or_default();
        let why = self.checks(&target, source.as_ref(), &nodes);
        if !why.is_empty() && !self.force {
            let what = format!("{} can't be moved to {}", self.resource, self.to);
            return Err(Failure::Refused { what, why });
        }
        for reason in &why {
            writeln!(out, "{reason}; --force")?;
        }
        let (Ok((mut there, _)), Some(Ok((mut here, _)))) = (target.said, source.map(|source| source.said)) else {
            let what = format!("{} can't be moved", self.resource);
            let why = vec!["it has to run on a node of the context, and the other one has to answer".to_owned()];
            return Err(Failure::Refused { what, why });
        };
        let mut told: Vec<Client> = nodes
            .into_iter()
            .filter_map(|node| node.said.ok())
            .filter(could_be_faster)
            .map(|(client, _)| client)
            .collect();
        let moved = self.carry_out((&from, &mut here), &mut there, &mut told, out);
        if moved.is_err() {
            // Whoever was told to wait need not wait for the end of the time.
            for client in told.iter_mut().chain([&mut here]) {
                self.undo(client);
            }
        }
        moved
    }

    fn asks_one_daemon(&self) -> bool {
        false
    }
}

impl MoveArgs {
    /// Each reason why not.
    fn checks(&self, target: &Node, source: Option<&Node>, others: &[Node]) -> Vec<String> {
        let (resource, to) = (&self.resource, &target.name);
        let mut why = Vec::new();
        let Some(source) = source else {
            return vec![format!("it runs on no node of the context: reactorctl why {resource} on each says why")];
        };
        let here = source.report();
        let peers = here.map(|report| report.peers.as_slice()).unwrap_or_default();
        match peers.iter().find(|peer| peer.node == *to) {
            None => why.push(format!("DRBD on {} knows no node {to}", source.name)),
            Some(peer) => why.extend(peer.obstacles.iter().map(|obstacle| format!("{to}: {obstacle}"))),
        }
        match &target.said {
            Err(failure) => why.push(failure.chain()),
            Ok((_, there)) => {
                match there.state.as_str() {
                    "standby" => {}
                    state => why.push(format!("{to}: it {}: {}", state_words(state), there.because.join("; "))),
                }
                if there.state == "standby" {
                    // Behind the first reason, which is that another node is Primary, stands what else keeps it from taking over.
                    why.extend(there.because.iter().skip(1).map(|because| format!("{to}: {because}")));
                }
                let units =
                    |report: &PromotedStatus| report.units.iter().map(|unit| unit.unit.clone()).collect::<Vec<_>>();
                if here.is_some_and(|here| units(here) != units(there)) {
                    why.push(format!("{to} starts other units: {}", units(there).join(", ")));
                }
            }
        }
        for other in others {
            let Err(failure) = &other.said else { continue };
            let connected = peers.iter().any(|peer| {
                peer.node == other.name && !peer.obstacles.iter().any(|it| it.starts_with("not connected"))
            });
            // Who has no promoter for it takes nothing over, and who is away from DRBD can't.
            if connected && !matches!(failure, Failure::NoSuchResource { .. }) {
                why.push(format!("{}, and it could be faster", failure.chain()));
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
        };
        daemon::ask_over(client, &call).map(drop)
    }

    /// Only what is left to others for a time is given back: a person's hold stays.
    fn undo(&self, client: &mut Client) {
        let is_ours = daemon::why(client, &self.resource)
            .is_ok_and(|report| report.hold.is_some_and(|hold| hold.until_primary.as_ref() == Some(&self.to)));
        if is_ours {
            // If that does not work, it ends by itself.
            let _ = daemon::ask_over(client, &Release { resource: self.resource.as_str().into() });
        }
    }

    fn carry_out(
        &self,
        (source, here): (&str, &mut Client),
        there: &mut Client,
        others: &mut [Client],
        out: &mut dyn Write,
    ) -> Result<Exit, Failure> {
        let begin = Instant::now();
        for other in others {
            self.leave(other)?;
        }
        self.leave(here)?;
        let (resource, to) = (&self.resource, &self.to);
        writeln!(
            out,
            "{NAME}{resource}{END} is on its way to {to}; after {} s it may run anywhere again",
            self.timeout
        )?;
        let (mut old, mut new) = (String::new(), String::new());
        loop {
            let (from, report) = (daemon::why(here, resource)?, daemon::why(there, resource)?);
            let took = begin.elapsed();
            let mut say = |node: &str, report: &PromotedStatus, last: &mut String| {
                if report.state == *last {
                    return Ok(());
                }
                last.clone_from(&report.state);
                writeln!(out, "{:>7.1} s  {node}: {}: {}", took.as_secs_f64(), report.state, report.because.join("; "))
            };
            say(source, &from, &mut old)?;
            say(to, &report, &mut new)?;
            if report.state == "running" {
                writeln!(out, "{GOOD}done{END}: {resource} runs on {to} after {:.1} s", took.as_secs_f64())?;
                return Ok(Exit::Ok);
            }
            let is_over = from.hold.as_ref().is_none_or(|hold| hold.until_primary.is_none());
            let is_on_its_way = matches!(report.state.as_str(), "starting" | "waiting");
            if (is_over && !is_on_its_way) || took > Duration::from_secs(self.timeout) + way::LIMIT {
                return Err(Failure::NotGone {
                    resource: resource.clone(),
                    why: format!("on {to} it is {}: {}", report.state, report.because.join("; ")),
                });
            }
            sleep(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use reactor_api::client::ClientError;
    use reactor_api::promoted::{HoldStatus, PeerStatus, UnitStatus};

    use super::*;

    fn peer(node: &str, obstacle: &str) -> PeerStatus {
        let obstacles = Some(obstacle.to_owned()).filter(|text| !text.is_empty()).into_iter().collect();
        PeerStatus { node: node.to_owned(), obstacles, ..PeerStatus::default() }
    }

    fn report(state: &str, because: &[&str], unit: &str) -> PromotedStatus {
        PromotedStatus {
            state: state.to_owned(),
            because: because.iter().map(|text| (*text).to_owned()).collect(),
            units: vec![UnitStatus { unit: unit.to_owned(), ..UnitStatus::default() }],
            peers: vec![peer("n2", ""), peer("n3", "")],
            ..PromotedStatus::default()
        }
    }

    fn node(name: &str, said: Result<PromotedStatus, Failure>) -> Node {
        let client = || Client::over(std::os::unix::net::UnixStream::pair().unwrap().0, 1);
        Node { name: name.to_owned(), said: said.map(|report| (client(), report)) }
    }

    fn dead() -> Failure {
        Failure::NotReached { node: "n3".to_owned(), why: "no route to host".to_owned() }
    }

    /// What keeps r0 on n1 from being moved to n2, with n3 beside them.
    fn checked(
        here: PromotedStatus,
        there: Result<PromotedStatus, Failure>,
        other: Result<PromotedStatus, Failure>,
    ) -> Vec<String> {
        let (resource, to) = ("r0".to_owned(), "n2".to_owned());
        let args = MoveArgs { resource, to, timeout: 60, force: false, why: None };
        args.checks(&node("n2", there), Some(&node("n1", Ok(here))), &[node("n3", other)])
    }

    fn running() -> PromotedStatus {
        report("running", &["its services run here"], "a.service")
    }

    fn standby(because: &[&str]) -> PromotedStatus {
        report("standby", because, "a.service")
    }

    #[test]
    fn a_node_that_could_take_over_is_accepted() {
        let ready = || Ok(standby(&["n1 is Primary"]));
        assert_eq!(checked(running(), ready(), ready()), [""; 0]);
        // Who has no promoter for it, or is cut off, can't be faster.
        let missing = Failure::NoSuchResource { resource: "r0".to_owned() };
        assert_eq!(checked(running(), ready(), Err(missing)), [""; 0]);
        let cut = PromotedStatus { peers: vec![peer("n2", ""), peer("n3", "not connected: Connecting")], ..running() };
        assert_eq!(checked(cut, ready(), Err(dead())), [""; 0]);
    }

    #[test]
    fn a_bystander_that_somebody_holds_is_not_told_and_keeps_nothing_from_moving() {
        let held = |until_primary: Option<&str>| {
            let until_primary = until_primary.map(str::to_owned);
            let hold = HoldStatus { until_primary, ..HoldStatus::default() };
            PromotedStatus { hold: Some(hold), ..report("held", &["held by root"], "a.service") }
        };
        assert_eq!(checked(running(), Ok(standby(&["n1 is Primary"])), Ok(held(None))), [""; 0]);
        let told = |report| could_be_faster(&node("n3", Ok(report)).said.unwrap());
        assert_eq!([told(held(None)), told(held(Some("n2"))), told(standby(&[]))], [false, true, true]);
    }

    #[test]
    fn each_reason_is_said_with_its_node() {
        let ready = || Ok(standby(&["n1 is Primary"]));
        let late = Failure::from(ClientError::TimedOut { within: Duration::from_secs(3) });
        for (here, there, other, says) in [
            (running(), Ok(standby(&["n1 is Primary", "a.service is masked"])), ready(), "n2: a.service is masked"),
            (running(), Ok(report("held", &["held by root"], "a.service")), ready(), "n2: it is held: held by root"),
            (
                running(),
                Ok(report("standby", &["n1 is Primary"], "b.service")),
                ready(),
                "n2 starts other units: b.service",
            ),
            (running(), Err(late), ready(), "no answer from the daemon within 3 s"),
            (running(), ready(), Err(dead()), "n3: not reached: no route to host, and it could be faster"),
            (
                PromotedStatus { peers: vec![peer("n2", "volume 0 is Inconsistent there")], ..running() },
                ready(),
                ready(),
                "n2: volume 0 is Inconsistent there",
            ),
            (PromotedStatus { peers: Vec::new(), ..running() }, ready(), ready(), "DRBD on n1 knows no node n2"),
        ] {
            assert_eq!(checked(here, there, other), [says]);
        }
    }
}
