//! `reactorctl evict`: a resource goes to another node, and comes back if no other node takes it.
//!
//! The daemon does it, also if this command is killed on the way: it leaves the resource to others for a time, which ends by itself. What this
//! command adds is the look before, at the other nodes too if there is a context, and the account of how it went.

use std::io::Write;
use std::time::{Duration, Instant};

use clap::Args;
use reactor_api::verb::Limit;
use reactor_api::verbs::{self, Yield};
use reactor_api::{PromotedStatus, words};

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::parts::promoted::{self, runs_here, sentence_and_why, step};
use crate::parts::takeover::{self, Others};
use crate::style::{DIM, END, GOOD, NAME, WARN};
use crate::watching::{News, Then, Watching, Whom, may_come_back, understood};

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
        let resources = match &self.resource {
            Some(resource) => vec![resource.clone()],
            None => all_here(place)?,
        };
        if resources.is_empty() {
            writeln!(out, "nothing to do: no promoted resource runs here")?;
        }
        let mut exit = Exit::Ok;
        for resource in &resources {
            // One that can't go keeps no other from going.
            match self.one(place, resource, out) {
                Ok(()) => {}
                Err(failure) if resources.len() == 1 => return Err(failure),
                Err(failure) => {
                    writeln!(out, "{NAME}{resource}{END}: {}", failure.chain())?;
                    exit = exit.or(failure.exit());
                }
            }
        }
        Ok(exit)
    }
}

/// All that run here, or are Primary here and are kept from leaving, which has to be said. What leaves already needs nobody.
fn all_here(place: &Place) -> Result<Vec<String>, Failure> {
    let status = daemon::status(place, &verbs::Status::default())?;
    let leaves = |report: &PromotedStatus| {
        report.state == "stopping"
            || report.hold.as_ref().is_some_and(|hold| hold.stops || hold.until_primary.is_some())
    };
    let is_here = |report: &&PromotedStatus| {
        runs_here(report) || (takeover::is_primary_here(&status, &report.resource) && !leaves(report))
    };
    Ok(status.promoted.iter().filter(is_here).map(|report| report.resource.clone()).collect())
}

impl EvictArgs {
    fn one(&self, place: &Place, resource: &str, out: &mut dyn Write) -> Result<(), Failure> {
        // A connection of its own for each: one that is idle for long is closed.
        let mut client = daemon::connect(place, Limit::Short.client())?;
        // First of all: what comes of it must not be missed.
        let watching = Watching::start(vec![Whom::Here(Box::new(place.clone()))], &[resource.to_owned()], Then::Again);
        let now = watching.first()?;
        let missing = || Failure::NoSuchResource { resource: resource.to_owned() };
        let before = takeover::promoted(&now, resource).ok_or_else(missing)?;
        let others = if runs_here(&before) { takeover::others(place, &now.node, Some(resource))? } else { None };
        self.check(&before, &others).map_err(|why| Failure::Denied { why })?;
        for line in not_looked_at(&before, &others) {
            writeln!(out, "{DIM}{line}{END}")?;
        }
        // As DRBD calls it: the daemon looks for that name among its peers.
        let to = self.to.as_deref().map(|to| takeover::peer(&before, to).map_or(to, |peer| peer.node.as_str()));
        let call = Yield {
            resource: resource.into(),
            to: to.map(Into::into),
            limit: words::Limit(self.timeout),
            why: self.why.as_deref().map(Into::into),
            command: Some("evict".into()),
            ..Yield::default()
        };
        let begin = Instant::now();
        daemon::ask_over(&mut client, &call)?;
        writeln!(out, "{NAME}{resource}{END} is evicted from this node; it may come back in {} s", self.timeout)?;
        self.follow(&watching, resource, to, begin, out)
    }

    /// Why not.
    fn check(&self, report: &PromotedStatus, others: &Others) -> Result<(), String> {
        let name = &report.resource;
        if !runs_here(report) {
            return Err(format!("{name} can't be evicted: it {}", sentence_and_why(report)));
        }
        let nodes: Vec<&str> = report.peers.iter().map(|peer| peer.node.as_str()).collect();
        if let Some(to) = self.to.as_deref().filter(|to| takeover::peer(report, to).is_none()) {
            return Err(format!("DRBD knows no node {to} for {name}; it knows: {}", nodes.join(", ")));
        }
        if self.force { Ok(()) } else { takeover::somebody_could(report, others, self.to.as_deref()) }
    }

    /// Says how it goes, until it is over.
    fn follow(
        &self,
        watching: &Watching,
        resource: &str,
        to: Option<&str>,
        begin: Instant,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let end = begin + Duration::from_secs(self.timeout) + GRACE;
        let (mut last, mut is_under_way) = (PromotedStatus::default(), false);
        while let Some((_, news)) = watching.next(Some(end)) {
            let took = begin.elapsed();
            let report = match news {
                News::Picture(picture) => takeover::promoted(&understood(picture)?, resource),
                // Whoever comes next goes on with it.
                News::Ended(failure) if may_come_back(&failure) => {
                    writeln!(out, "{:>7.1} s  {WARN}{}{END}", took.as_secs_f64(), failure.chain())?;
                    continue;
                }
                News::Ended(failure) => return Err(failure),
            };
            // A daemon that has just started may not have read what it is to promote.
            let Some(report) = report else { continue };
            if report.state != last.state && (is_under_way || report.hold.is_some()) {
                writeln!(out, "{:>7.1} s  {}", took.as_secs_f64(), step(&report))?;
                out.flush()?;
            }
            let primary = report.peers.iter().find(|peer| peer.primary && !runs_here(&report));
            if let (Some(to), Some(peer)) = (to, primary)
                && peer.node != to
                && report.peers.iter().all(|peer| peer.node != to || !peer.primary)
            {
                let (resource, node, wanted) = (resource.to_owned(), peer.node.clone(), to.to_owned());
                return Err(Failure::WentElsewhere { resource, node, wanted });
            }
            match (&report.hold, report.peers.iter().find(|peer| peer.primary)) {
                (None, Some(peer)) => {
                    let (node, took) = (&peer.node, took.as_secs_f64());
                    return Ok(writeln!(out, "{GOOD}done{END}: {resource} is Primary on {node} after {took:.1} s")?);
                }
                (None, None) if is_under_way => {
                    return Err(Failure::NotTakenOver { resource: resource.to_owned(), seconds: self.timeout });
                }
                // From before it was asked for.
                (None, None) => {}
                (Some(hold), _) if hold.until_primary.is_none() => {
                    let why = format!("it was {} meanwhile", promoted::hold(hold));
                    return Err(Failure::NotGone { resource: resource.to_owned(), why });
                }
                (Some(_), _) => is_under_way = true,
            }
            last = report;
        }
        let why = format!("it could not be stopped in time: {}", last.because.join("; "));
        Err(Failure::NotGone { resource: resource.to_owned(), why })
    }
}

/// What nobody has looked at, a line each.
fn not_looked_at(report: &PromotedStatus, others: &Others) -> Vec<String> {
    let Some(others) = others else {
        return vec!["no context: nobody was asked whether it is held, blocked or drained elsewhere".to_owned()];
    };
    let mut lines: Vec<String> = Vec::new();
    for peer in &report.peers {
        match takeover::said_by(others, &peer.node) {
            None => lines.push(format!("{} is not in the context: its daemon was not asked", peer.node)),
            Some(Err(failure)) => {
                lines.push(format!("{}: {}", peer.node, failure.without_node(&peer.node)));
            }
            Some(Ok(_)) => {}
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::parts::takeover::tests::{peer, ready, report, status};

    fn args(to: Option<&str>, force: bool) -> EvictArgs {
        EvictArgs { resource: None, to: to.map(str::to_owned), timeout: 20, force, why: None }
    }

    fn running(peers: Vec<reactor_api::promoted::PeerStatus>) -> PromotedStatus {
        PromotedStatus { peers, ..report("running", &["its services run here"], "a.service") }
    }

    #[test]
    fn it_is_looked_first_and_each_node_has_its_reason() {
        let peers = || running(vec![peer("n2", "not connected: Connecting"), peer("n3", "")]);
        assert_eq!(args(None, false).check(&peers(), &None), Ok(()));
        assert_eq!(args(Some("n3"), false).check(&peers(), &None), Ok(()));
        let refused = |args: EvictArgs, report: PromotedStatus| args.check(&report, &None).unwrap_err();
        assert_eq!(
            refused(args(Some("n2"), false), peers()),
            "no other node could take r0 over\n  n2: not connected: Connecting"
        );
        assert_eq!(args(Some("n2"), true).check(&peers(), &None), Ok(()));
        assert_eq!(refused(args(Some("n9"), true), peers()), "DRBD knows no node n9 for r0; it knows: n2, n3");
        assert!(
            refused(args(None, true), report("standby", &[], "a.service"))
                .starts_with("r0 can't be evicted: it does not run here: ")
        );
    }

    #[test]
    fn other_nodes_are_asked_for_what_only_they_know() {
        let peers = || running(vec![peer("n2", ""), peer("n3", ""), peer("n4", "")]);
        let dead = Failure::NotReached { node: "n3".to_owned(), why: "no route to host".to_owned() };
        let held = status(report("held", &["root holds it"], "a.service"), "UpToDate");
        let others = Some(BTreeMap::from([("n2".to_owned(), Ok(held)), ("n3".to_owned(), Err(dead))]));
        // Of n4 nothing bad is known.
        assert_eq!(args(None, false).check(&peers(), &others), Ok(()));
        assert_eq!(
            not_looked_at(&peers(), &others),
            ["n3: not reached: no route to host", "n4 is not in the context: its daemon was not asked"]
        );
        let two = running(vec![peer("n2", ""), peer("n3", "")]);
        assert_eq!(
            args(None, false).check(&two, &others).unwrap_err(),
            "no other node could take r0 over\n  n2: it is held: root holds it\n  n3: not reached: no route to host"
        );
        let ready = Some(BTreeMap::from([("n2".to_owned(), Ok(ready()))]));
        assert_eq!(args(Some("n2"), false).check(&two, &ready), Ok(()));
        assert_eq!(not_looked_at(&two, &None).len(), 1);
    }
}
