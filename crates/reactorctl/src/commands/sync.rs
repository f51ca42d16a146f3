//! `reactorctl sync`: the .res file, the snippet and listed files of a resource, from the node that runs it to the others.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use reactor_api::sync::{SyncNode, SyncReport, SyncState};
use reactor_api::verbs;
use reactor_core::names::same;
use reactor_core::settings::Settings;
use reactor_core::settings::promoter::SyncSettings;

use crate::cli::Place;
use crate::commands::Run;
use crate::config;
use crate::daemon;
use crate::drbd::{PrimaryOn, Resource};
use crate::exit::{Exit, Failure};
use crate::nodes::context::{self, Node, Whose};
use crate::parts::promoted::{runs_here, sentence_and_why};
use crate::style::{BAD, DIM, END, GOOD, NAME, WARN, count, harmless};
use crate::sync::collect::{Collected, collect, promoter};
use crate::sync::send::{Do, send};
use crate::sync::store::{self, Good, Store};
use crate::system;
use crate::text::duration;

/// Send the .res file, the snippet and the listed files of a resource from the node that runs it to the others (`sync`)
#[derive(Clone, Debug, Args)]
pub struct SyncArgs {
    /// The resource
    pub resource: String,

    /// Only look which files differ where
    #[arg(long)]
    pub dry_run: bool,

    /// Only to these nodes, of those that `sync` names
    #[arg(long, value_name = "NODE", num_args = 1..)]
    pub to: Vec<String>,

    /// From this node, whoever runs the services, and also without a daemon
    #[arg(long)]
    pub force: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl Run for SyncArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let settings = config::trusted(place)?;
        let (snippet, sync) = promoter(&settings, &self.resource)
            .ok_or_else(|| Failure::NoSuchResource { resource: harmless(&self.resource).into_owned() })?;
        let sync = sync.ok_or_else(|| self.refused("its promoter has no `sync`, which says where its files go"))?;
        let own = system::node_name(&settings.daemon);
        let targets = self.targets(&own, sync)?;
        let nodes = reached(place, &targets)?;
        if !self.force {
            self.must_run_here(place)?;
        }
        let collected = collect(&settings, &place.config, &self.resource, snippet, sync);
        let report = self.report(&settings, own, sync, &targets, &nodes, collected);
        if self.json {
            writeln!(out, "{}", serde_json::to_string(&report).map_err(io::Error::from)?)?;
        } else {
            print(&report, out)?;
        }
        Ok(exit(&report))
    }

    fn asks_one_daemon(&self) -> bool {
        false
    }
}

/// A node that gets the files.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    node: String,
    is_drp: bool,
}

impl SyncArgs {
    fn refused(&self, why: &str) -> Failure {
        Failure::Refused { what: harmless(&self.resource).into_owned(), why: vec![why.to_owned()] }
    }

    /// Nodes that `sync` names, once each and without this one; of those that are asked for, if any are.
    fn targets(&self, own: &str, sync: &SyncSettings) -> Result<Vec<Target>, Failure> {
        let of = |nodes: &[String], is_drp| -> Vec<Target> {
            nodes.iter().map(|node| Target { node: node.clone(), is_drp }).collect()
        };
        let mut all: Vec<Target> = Vec::new();
        for target in of(&sync.nodes, false).into_iter().chain(of(&sync.drpnodes, true)) {
            if !same(&target.node, own) && !all.iter().any(|known| same(&known.node, &target.node)) {
                all.push(target);
            }
        }
        if let Some(stranger) = self.to.iter().find(|to| !all.iter().any(|target| same(&target.node, to))) {
            let known: Vec<&str> = all.iter().map(|target| target.node.as_str()).collect();
            let stranger = harmless(stranger);
            return Err(self.refused(&format!("`sync` names no other node {stranger}; it has {}", known.join(", "))));
        }
        all.retain(|target| self.to.is_empty() || self.to.iter().any(|to| same(&target.node, to)));
        if all.is_empty() { Err(self.refused("`sync` names no other node")) } else { Ok(all) }
    }

    /// Files come from where the services run: there somebody looks after them. How well DRBD is does not matter.
    fn must_run_here(&self, place: &Place) -> Result<(), Failure> {
        let only = BTreeSet::from([self.resource.clone()]);
        let status = daemon::status(place, &verbs::Status { resources: Some(only) })?;
        let promoted = status.promoted.iter().find(|promoted| promoted.resource == self.resource);
        let promoted = promoted.ok_or_else(|| Failure::NoSuchResource { resource: self.resource.clone() })?;
        let wire = status.resources.iter().find(|wire| wire.name == self.resource);
        let primary = wire.map_or(PrimaryOn::Unknown, |wire| Resource::from(wire).primary_on());
        if runs_here(promoted) || primary == PrimaryOn::ThisNode {
            return Ok(());
        }
        let place = match primary {
            // The promoter's words: to DRBD 8.4 itself the other node has no name.
            PrimaryOn::Node(_) => format!("it {}. Run this there", sentence_and_why(promoted)),
            PrimaryOn::ThisNode | PrimaryOn::Unknown => {
                format!("it {}, and it is not known which node runs it", sentence_and_why(promoted))
            }
        };
        Err(self.refused(&format!("{place}; --force sends from here all the same")))
    }

    fn report(
        &self,
        settings: &Settings,
        node: String,
        sync: &SyncSettings,
        targets: &[Target],
        nodes: &[Node],
        collected: Collected,
    ) -> SyncReport {
        let what = if self.dry_run { Do::Look } else { Do::Send };
        let answers = if collected.offer.files.is_empty() { Vec::new() } else { send(nodes, &collected, what) };
        let files = collected.offer.files.into_iter().map(|file| file.path).collect();
        let mut report = SyncReport {
            resource: self.resource.clone(),
            node,
            dry_run: self.dry_run,
            files,
            errors: collected.errors,
            nodes: targets
                .iter()
                .zip(answers)
                .map(|(target, node)| SyncNode { is_drp: target.is_drp, ..node })
                .collect(),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let good: Good =
            report.nodes.iter().filter(|node| node.state.is_good()).map(|node| (node.node.clone(), now)).collect();
        let all: Vec<String> = sync.nodes.iter().chain(&sync.drpnodes).cloned().collect();
        let state = &settings.daemon.state_dir;
        let known = if self.dry_run {
            store::recall(state, &self.resource)
        } else {
            let noted = Store::open(state).and_then(|store| store.note(&self.resource, &good, &all));
            noted.unwrap_or_else(|error| {
                report
                    .errors
                    .push(format!("when which node had all files can't be kept: {}", crate::sync::chain(&error)));
                good
            })
        };
        for node in &mut report.nodes {
            node.since_good_s = known.get(&node.node).map(|at| now.saturating_sub(*at));
        }
        report
    }
}

/// How each is reached: by the context, or by its name.
fn reached(place: &Place, targets: &[Target]) -> Result<Vec<Node>, Failure> {
    let known = context::nodes(Whose::Ours, &place.context, &[])?;
    let node = |target: &Target| {
        let exact = known.iter().find(|node| node.name == target.node);
        let found = exact.or_else(|| known.iter().find(|node| same(&node.name, &target.node)));
        let (hostname, user) = match found {
            Some(node) => (node.hostname.clone(), node.user.clone()),
            None => (target.node.clone(), "root".to_owned()),
        };
        Node { name: target.node.clone(), hostname, user, socket: None }
    };
    Ok(targets.iter().map(node).collect())
}

fn exit(report: &SyncReport) -> Exit {
    if report.nodes.iter().any(|node| !node.state.is_good()) {
        Exit::NodesFailed
    } else if !report.errors.is_empty() {
        Exit::Unexpected
    } else {
        Exit::Ok
    }
}

/// A line for each node, and below it one for each file that is not simply there.
fn print(report: &SyncReport, out: &mut dyn Write) -> io::Result<()> {
    let files = report.files.len() as u64;
    for node in &report.nodes {
        let name =
            format!("{NAME}{}{END}{}", harmless(&node.node), if node.is_drp { " (disaster recovery)" } else { "" });
        let why = node.why.as_deref().map(harmless).unwrap_or_default();
        match node.state {
            SyncState::Same => writeln!(out, "{name}: {GOOD}the same{END}, {}", count(files, "file"))?,
            SyncState::Sent => {
                writeln!(out, "{name}: {GOOD}sent{END}, {} of {files}", count(node.files.len() as u64, "file"))?;
            }
            SyncState::Differs => {
                let count = count(node.files.iter().filter(|file| file.state != "sent").count() as u64, "file");
                let why = if why.is_empty() { String::new() } else { format!(": {why}") };
                writeln!(out, "{name}: {WARN}differs{END}, {count} of {files}{why}")?;
            }
            SyncState::Unknown => {
                let since = node.since_good_s.map(std::time::Duration::from_secs);
                let since = since.map(|since| format!("; it had all files {} ago", duration(since)));
                writeln!(out, "{name}: {BAD}failed{END}: {why}{}", since.unwrap_or_default())?;
            }
        }
        for file in &node.files {
            write!(out, "  {}  {}", file.state, harmless(&file.path))?;
            if let Some(why) = &file.why {
                write!(out, ": {}", harmless(why))?;
            }
            if let Some(backup) = &file.backup {
                write!(out, "  {DIM}before: {}{END}", harmless(backup))?;
            }
            writeln!(out)?;
        }
    }
    for error in &report.errors {
        writeln!(out, "{BAD}!{END} not sent to any node: {}", harmless(error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use reactor_api::sync::SyncFile;

    use super::*;

    fn args(to: &[&str]) -> SyncArgs {
        let to = to.iter().map(|node| (*node).to_owned()).collect();
        SyncArgs { resource: "r0".to_owned(), dry_run: false, to, force: false, json: false }
    }

    fn targets(to: &[&str]) -> Result<Vec<String>, String> {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let sync = SyncSettings {
            nodes: names(&["n1", "n2", "n3.example.com"]),
            drpnodes: names(&["n3", "dr1"]),
            ..SyncSettings::default()
        };
        let targets = args(to).targets("n1.example.com", &sync).map_err(|failure| failure.chain())?;
        let word = |target: Target| format!("{}{}", target.node, if target.is_drp { " drp" } else { "" });
        Ok(targets.into_iter().map(word).collect())
    }

    #[test]
    fn files_go_to_each_other_node_once() {
        assert_eq!(targets(&[]).unwrap(), ["n2", "n3.example.com", "dr1 drp"]);
        assert_eq!(targets(&["dr1", "n3"]).unwrap(), ["n3.example.com", "dr1 drp"]);
        let why = targets(&["n9"]).unwrap_err();
        assert_eq!(why, "r0, nothing was done: `sync` names no other node n9; it has n2, n3.example.com, dr1");
        assert!(targets(&["n1"]).is_err(), "that is this node");
        assert!(args(&[]).targets("n1", &SyncSettings::default()).is_err());
    }

    #[test]
    fn each_node_is_a_line_and_the_worst_counts() {
        let file = |path: &str, state: &str| SyncFile {
            path: path.to_owned(),
            state: state.to_owned(),
            ..SyncFile::default()
        };
        let node = |name: &str, state| SyncNode { node: name.to_owned(), state, ..SyncNode::default() };
        let sent = SyncFile { backup: Some("/var/b.1".to_owned()), ..file("/etc/b", "sent") };
        let refused = SyncFile { why: Some("a \u{1b}[2Jlink".to_owned()), ..file("/etc/a", "refused") };
        let mut report = SyncReport {
            files: vec!["/etc/a".to_owned(), "/etc/b".to_owned()],
            nodes: vec![
                node("n2", SyncState::Same),
                SyncNode { files: vec![sent.clone()], is_drp: true, ..node("n3", SyncState::Sent) },
            ],
            ..SyncReport::default()
        };
        assert_eq!(exit(&report), Exit::Ok);
        report.errors.push("/etc/c: there is no such file".to_owned());
        assert_eq!(exit(&report), Exit::Unexpected);
        report.nodes.push(SyncNode { files: vec![refused, sent], ..node("n4", SyncState::Differs) });
        let why = Some("ssh: no route".to_owned());
        report.nodes.push(SyncNode { why, since_good_s: Some(7325), ..node("n5", SyncState::Unknown) });
        assert_eq!(exit(&report), Exit::NodesFailed);
        let mut out = Vec::new();
        print(&report, &mut out).unwrap();
        let text = anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string();
        expect_test::expect![[r#"
            n2: the same, 2 files
            n3 (disaster recovery): sent, 1 file of 2
              sent  /etc/b  before: /var/b.1
            n4: differs, 1 file of 2
              refused  /etc/a: a �[2Jlink
              sent  /etc/b  before: /var/b.1
            n5: failed: ssh: no route; it had all files 2 h 2 min ago
            ! not sent to any node: /etc/c: there is no such file
        "#]]
        .assert_eq(&text);
    }
}
