//! The kernel's log, in the worlds with other sources beside DRBD's: there DRBD may call no handlers (`usermode_helper=disabled`, as LINSTOR sets it),
//! and of a split brain only the log tells, a little late. It outlives the daemon, and not the machine.

use std::collections::BTreeMap;
use std::time::Duration;

use reactor_core::ids::{ConnName, Mono, ResourceName};
use reactor_core::input::{Fact, Input, MAX_RECORDS, Record, SourceEvent, SourceId};
use reactor_core::kernel_log::SplitBrainLine;
use reactor_core::model::SourceState;

use crate::drbd9::NodeIx;

use super::bugs::Bug;
use super::events::ForDaemon;
use super::plan::NODES;
use super::run::World;

/// So late may a daemon know it.
const KNOWN: Duration = Duration::from_secs(5);
const RULE: &str = "a split brain is known until it is over";

/// What DRBD has found out about a resource and a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Split(Mono),
    Met(Mono),
}

/// The log of one machine since its boot.
#[derive(Debug, Default)]
pub(super) struct KernelLog {
    records: Vec<Record>,
    /// By resource and peer. Whatever is made anew is no longer in it.
    found: BTreeMap<(String, String), Found>,
}

impl World {
    /// What DRBD printed. What events2 prints of it; the rest is in the kernel's log.
    pub(super) fn kernel_log(&mut self, node: NodeIx, text: String) -> String {
        let mut records = Vec::new();
        for line in text.lines() {
            let key = |key: &str| line.split(' ').find_map(|word| word.strip_prefix(key)).map(str::to_owned);
            let Some(name) = key("name:") else { continue };
            let log = &mut self.machines[node].kernel_log;
            if line.contains(" destroy resource ") {
                log.found.retain(|(resource, _), _| *resource != name);
            }
            let Some(peer) = key("conn-name:") else { continue };
            let is_split = line.contains(" call helper ") && line.ends_with(" helper:split-brain");
            let is_met = line.contains(" connection ") && line.contains(" connection:Connected ");
            if is_split || is_met {
                let found = if is_split { Found::Split(self.now) } else { Found::Met(self.now) };
                let is_news = |before: Option<&Found>| !matches!((before, found), (Some(Found::Met(_)), Found::Met(_)));
                if is_news(log.found.get(&(name.clone(), peer.clone()))) {
                    log.found.insert((name.clone(), peer.clone()), found);
                }
                let line = SplitBrainLine { peer: Some(ConnName::new(&peer)), is_over: is_met, is_old: false };
                records.push(Record { subject: ResourceName::new(&name).into(), fact: Fact::SplitBrain(line) });
            }
        }
        if !self.plan.others {
            return text;
        }
        self.machines[node].kernel_log.records.extend(records.iter().cloned());
        if !records.is_empty() && self.machines[node].daemon.is_some() {
            let late = self.ms(1, 400);
            self.tell_kernel_log(node, late, &records);
        }
        let is_kept = |line: &&str| !(line.contains(" helper ") && line.contains("split-brain"));
        text.split_inclusive('\n').filter(is_kept).collect()
    }

    /// A daemon starts: it reads what is there.
    pub(super) fn read_kernel_log(&mut self, node: NodeIx) {
        if !self.plan.others {
            return;
        }
        let late = self.ms(1, 200);
        let started = SourceEvent::Started { command: "/dev/kmsg".to_owned(), dialect: None };
        self.daemon_after(node, late, ForDaemon::Input(Box::new(Input::Source(SourceId::KernelLog, started))));
        let mut records = self.machines[node].kernel_log.records.clone();
        for record in &mut records {
            if let Fact::SplitBrain(line) = &mut record.fact {
                line.is_old = true;
            }
        }
        self.tell_kernel_log(node, late, &records);
    }

    fn tell_kernel_log(&mut self, node: NodeIx, late: Duration, records: &[Record]) {
        if self.bug == Some(Bug::KernelLogDeaf) {
            return;
        }
        for records in records.chunks(MAX_RECORDS) {
            let input = Input::Records(SourceId::KernelLog, records.to_vec());
            self.daemon_after(node, late, ForDaemon::Input(Box::new(input)));
        }
    }

    /// Looked at again and again: each split brain is known, and none that is over.
    pub(super) fn check_split_brains(&mut self, node: NodeIx) {
        let Some(daemon) = self.machines[node].daemon.as_deref() else { return };
        let is_late = |since: Mono| self.now.since(since) > KNOWN;
        let picture = daemon.core.node();
        if picture.source() != SourceState::Live || daemon.burst_open || daemon.lossy || !is_late(daemon.started) {
            return;
        }
        let mut wrong = Vec::new();
        for ((name, peer), found) in &self.machines[node].kernel_log.found {
            let Some(resource) = picture.resource(name) else { continue };
            let is_it = |conn: Option<&ConnName>| conn.is_some_and(|conn| conn.as_str() == peer);
            let is_known = resource.split_brains().any(|(_, conn, evidence)| evidence.is_sure() && is_it(conn));
            match found {
                // Without the log, what DRBD said while nobody listened is not known.
                Found::Split(since) if self.plan.others && is_late(*since) && !is_known => {
                    wrong.push(format!("{}: {name} with {peer}: split since {since:?}, not known", NODES[node]));
                }
                Found::Met(since) if is_late(*since) && is_known => {
                    wrong.push(format!("{}: {name} with {peer}: over since {since:?}", NODES[node]));
                }
                _ => {}
            }
        }
        for what in wrong {
            self.violated(RULE, what);
        }
    }
}
