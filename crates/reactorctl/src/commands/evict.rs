//! `reactorctl evict`: a resource goes to another node, and comes back if no other node takes it.
//!
//! The daemon does it, also if this command is killed on the way: it leaves the resource to others for a time, which ends by itself. What this
//! command adds is the look before, and the account of how it went.

use std::io::Write;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Args;
use reactor_api::PromotedStatus;
use reactor_api::client::Client;
use reactor_api::promoted::PeerStatus;
use reactor_api::verb::Limit;
use reactor_api::verbs::{Status, Yield};
use reactor_api::words;

use super::promoted::{runs_here, words as state_words};
use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::style::{END, GOOD, NAME};

/// How often the daemon is asked how far it is.
const LOOK: Duration = Duration::from_millis(100);

/// The daemon ends it by itself; it is waited for a little longer.
const GRACE: Duration = Duration::from_secs(5);

/// Give a promoted resource to another node: stop it here, and wait until another node has taken it over
#[derive(Clone, Debug, Args)]
pub struct EvictArgs {
    /// The resource; without one, all that run here
    #[arg(value_name = "RESOURCE")]
    pub resource: Option<String>,

    /// The node that shall take it over; the daemons of other nodes are not told, and one of them may be faster
    #[arg(long, value_name = "NODE")]
    pub to: Option<String>,

    /// If no other node has taken it over by then, it may run here again
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,

    /// Stop it here even if no other node seems able to take it over
    #[arg(short, long)]
    pub force: bool,

    /// Why, for whoever looks later
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
}

impl Run for EvictArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let mut client = daemon::connect(place, Limit::Short.client())?;
        let resources = match &self.resource {
            Some(resource) => vec![resource.clone()],
            None => running(&mut client)?,
        };
        if resources.is_empty() {
            writeln!(out, "nothing to do: no promoted resource runs here")?;
        }
        let mut worst = Exit::Ok;
        for resource in &resources {
            // One that can't go keeps no other from going.
            match self.one(&mut client, resource, out) {
                Ok(()) => {}
                Err(failure) if resources.len() == 1 => return Err(failure),
                Err(failure) => {
                    writeln!(out, "{NAME}{resource}{END}: {}", failure.chain())?;
                    worst = failure.exit();
                }
            }
        }
        Ok(worst)
    }
}

/// All that run here.
fn running(client: &mut Client) -> Result<Vec<String>, Failure> {
    let status = daemon::ask_over(client, &Status::default())?.status.known();
    let status = status.map_err(|source| Failure::Answer { source })?;
    Ok(status.promoted.into_iter().filter(runs_here).map(|promoted| promoted.resource).collect())
}

impl EvictArgs {
    fn one(&self, client: &mut Client, resource: &str, out: &mut dyn Write) -> Result<(), Failure> {
        let before = daemon::why(client, resource)?;
        self.check(&before).map_err(|why| Failure::Denied { why })?;
        let call = Yield {
            resource: resource.into(),
            to: self.to.as_deref().map(Into::into),
            limit: words::Limit(self.timeout),
            why: self.why.as_deref().map(Into::into),
        };
        let begin = Instant::now();
        daemon::ask_over(client, &call)?;
        writeln!(out, "{NAME}{resource}{END} is evicted from this node; it may come back in {} s", self.timeout)?;
        self.follow(client, resource, begin, out)
    }

    /// Why not.
    fn check(&self, report: &PromotedStatus) -> Result<(), String> {
        let name = &report.resource;
        if !runs_here(report) {
            let because = report.because.join("; ");
            return Err(format!("{name} can't be evicted: it {}: {because}", state_words(&report.state)));
        }
        let wanted = |peer: &&PeerStatus| self.to.as_ref().is_none_or(|to| *to == peer.node);
        let wanted: Vec<&PeerStatus> = report.peers.iter().filter(wanted).collect();
        if let (Some(to), true) = (&self.to, wanted.is_empty()) {
            let nodes: Vec<&str> = report.peers.iter().map(|peer| peer.node.as_str()).collect();
            return Err(format!("DRBD knows no node {to} for {name}; it knows: {}", nodes.join(", ")));
        }
        if self.force || wanted.iter().any(|peer| peer.obstacles.is_empty()) {
            return Ok(());
        }
        let mut text = format!("no other node could take {name} over");
        for PeerStatus { node, obstacles, .. } in wanted {
            text += &format!("\n  {node}: {}", obstacles.join("; "));
        }
        Err(text)
    }

    /// Says how it goes, until it is over.
    fn follow(&self, client: &mut Client, resource: &str, begin: Instant, out: &mut dyn Write) -> Result<(), Failure> {
        let mut state = String::new();
        loop {
            let report = daemon::why(client, resource)?;
            let took = begin.elapsed();
            if report.state != state {
                let because =
                    if report.state == "held" { "stopped here".to_owned() } else { report.because.join("; ") };
                writeln!(out, "{:>7.1} s  {}: {because}", took.as_secs_f64(), report.state)?;
                state.clone_from(&report.state);
            }
            match (&report.hold, report.peers.iter().find(|peer| peer.primary)) {
                (None, Some(peer)) => {
                    let node = &peer.node;
                    return Ok(writeln!(
                        out,
                        "{GOOD}done{END}: {resource} is Primary on {node} after {:.1} s",
                        took.as_secs_f64()
                    )?);
                }
                (None, None) => {
                    return Err(Failure::NotTakenOver { resource: resource.to_owned(), seconds: self.timeout });
                }
                (Some(hold), _) if hold.until_primary.is_none() => {
                    let who = &hold.who;
                    let why = format!("{who} has stopped or held it meanwhile");
                    return Err(Failure::NotGone { resource: resource.to_owned(), why });
                }
                (Some(_), _) if took > Duration::from_secs(self.timeout) + GRACE => {
                    let why = report.because.join("; ");
                    let why = format!("it could not be stopped in time: {why}");
                    return Err(Failure::NotGone { resource: resource.to_owned(), why });
                }
                (Some(_), _) => sleep(LOOK),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(node: &str, obstacles: &[&str]) -> PeerStatus {
        let obstacles = obstacles.iter().map(|text| (*text).to_owned()).collect();
        PeerStatus { node: node.to_owned(), obstacles, ..PeerStatus::default() }
    }

    fn report(state: &str, peers: Vec<PeerStatus>) -> PromotedStatus {
        let because = vec!["its services run here".to_owned()];
        PromotedStatus {
            resource: "r0".to_owned(),
            state: state.to_owned(),
            because,
            peers,
            ..PromotedStatus::default()
        }
    }

    fn args(to: Option<&str>, force: bool) -> EvictArgs {
        EvictArgs { resource: None, to: to.map(str::to_owned), timeout: 20, force, why: None }
    }

    #[test]
    fn it_is_looked_first_and_each_node_has_its_reason() {
        let peers = || vec![peer("n2", &["not connected: Connecting"]), peer("n3", &[])];
        assert_eq!(args(None, false).check(&report("running", peers())), Ok(()));
        assert_eq!(args(Some("n3"), false).check(&report("running", peers())), Ok(()));
        let refused = |args: EvictArgs, report: PromotedStatus| args.check(&report).unwrap_err();
        assert_eq!(
            refused(args(Some("n2"), false), report("running", peers())),
            "no other node could take r0 over\n  n2: not connected: Connecting"
        );
        assert_eq!(args(Some("n2"), true).check(&report("running", peers())), Ok(()));
        assert_eq!(
            refused(args(Some("n9"), true), report("running", peers())),
            "DRBD knows no node n9 for r0; it knows: n2, n3"
        );
        assert!(
            refused(args(None, true), report("standby", peers()))
                .starts_with("r0 can't be evicted: it does not run here: ")
        );
    }
}
