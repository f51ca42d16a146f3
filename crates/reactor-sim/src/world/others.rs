//! What stands beside the promoter in some worlds: `[[no-primary]]`, and the kernel's uevents as a second source, which dies and overruns.

use std::time::Duration;

use reactor_core::action::{Action, ActionKind, Effect};
use reactor_core::drbd::types::Role;
use reactor_core::ids::{DeviceName, Mono};
use reactor_core::input::{Fact, Input, Record, SourceEvent, SourceId};
use reactor_core::model::SourceState;
use reactor_core::model::objects::Resource;
use reactor_core::model::reports::NoteLevel;
use reactor_core::subject::Subject;
use reactor_core::uevent::Uevent;

use crate::drbd9::NodeIx;

use super::events::ForDaemon;
use super::plan::NODES;
use super::run::World;

/// `after` of `[[no-primary]]` in these worlds.
pub(super) const AFTER: Duration = Duration::from_secs(30);

/// So late may it be said.
const SAID: Duration = Duration::from_secs(1);

/// One in so many visits of the kernel's source it has died.
const DIES: usize = 12;

/// One resource on one node, as `[[no-primary]]` has to see it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NoPrimaryLevel {
    /// Since when it could be promoted here and has been Primary nowhere, by what the node was told.
    since: Option<Mono>,
    /// It was said.
    said: bool,
}

/// What a daemon knows of DRBD, as far as another source could spoil it.
#[derive(Debug, PartialEq)]
pub(super) struct AboutDrbd {
    source: SourceState,
    resources: Vec<Resource>,
}

fn has_no_primary(resource: &Resource) -> bool {
    let primary = Role::Primary;
    resource.state.may_promote
        && resource.state.role != primary
        && resource.connections.values().all(|peer| peer.state.peer_role != primary)
}

impl World {
    // ---- no-primary ----

    /// A burst is over.
    pub(super) fn watch_no_primary(&mut self, node: NodeIx) {
        let Some(daemon) = self.machines[node].daemon.as_deref().filter(|_| self.plan.others) else { return };
        let picture = daemon.shadow.node();
        let is_live = picture.source() == SourceState::Live;
        for (res, spec) in self.plan.cluster.resources.iter().enumerate() {
            let is_so = picture.resource(&spec.name).is_some_and(has_no_primary);
            let level = &mut self.watch.no_primary[node][res];
            // What was said stays said until it is known to be over.
            level.since = match (is_live, is_so) {
                (true, true) => level.since.or(Some(self.now)),
                (true, false) => None,
                (false, _) => level.since.filter(|_| level.said),
            };
        }
    }

    /// It is said when it is so for long enough, once; and that it is over, when it was said.
    pub(super) fn check_no_primary(&mut self, node: NodeIx, action: &Action) {
        let ActionKind::Effect(Effect::Note { level: how, text }) = &action.kind else { return };
        let name = text.split(' ').next().unwrap_or_default();
        let Some(res) = self.res(name).filter(|_| self.plan.others) else { return };
        let level = &mut self.watch.no_primary[node][res];
        let is_right = if *how == NoteLevel::Warn && text.contains("has been Primary nowhere for") {
            let is_due = level.since.is_some_and(|since| self.now.since(since) >= AFTER);
            is_due && !std::mem::replace(&mut level.said, true)
        } else if text.contains("no longer waits for a Primary") {
            level.since.is_none() && std::mem::take(&mut level.said)
        } else {
            return;
        };
        if !is_right {
            let what =
                format!("{}: {text:?}: it is so since {:?}", NODES[node], self.watch.no_primary[node][res].since);
            self.violated("no-primary says what is so, once", what);
        }
    }

    /// Looked at again and again: what has to be said was said.
    pub(super) fn check_no_primary_in_time(&mut self, node: NodeIx) {
        let Some(daemon) = self.machines[node].daemon.as_deref().filter(|_| self.plan.others) else { return };
        if daemon.shadow.node().source() != SourceState::Live || daemon.burst_open {
            return;
        }
        for res in 0..self.plan.cluster.resources.len() {
            let NoPrimaryLevel { since, said } = self.watch.no_primary[node][res];
            let is_due = since.is_some_and(|since| self.now.since(since) > AFTER + SAID);
            if is_due != said && (is_due || since.is_none()) {
                let name = &self.plan.cluster.resources[res].name;
                let what = format!("{}: {name}: so since {since:?}, said: {said}", NODES[node]);
                self.violated("no-primary says it in time", what);
            }
        }
    }

    // ---- uevents ----

    /// The kernel says something, or too much at once; or its source dies, or begins again.
    pub(super) fn uevents(&mut self, node: NodeIx) {
        let Some(daemon) = self.machines[node].daemon.as_deref() else { return };
        let is_up = daemon
            .shadow
            .node()
            .sources()
            .get(SourceId::Uevents)
            .is_some_and(|source| source.state == SourceState::Live);
        let (what, count) = (self.pick(DIES), 1 + self.pick(64));
        let input = match (is_up, what) {
            (false, _) => {
                let command = "the kernel's uevents".to_owned();
                Input::Source(SourceId::Uevents, SourceEvent::Started { command, dialect: None })
            }
            (true, 0) => {
                self.tell_fault(&format!("the uevents of {} end", NODES[node]));
                Input::Source(SourceId::Uevents, SourceEvent::Ended { why: "the socket was closed".to_owned() })
            }
            (true, 1) => {
                self.tell_fault(&format!("{} loses uevents", NODES[node]));
                let fact = Fact::Lost { count: None };
                Input::Records(SourceId::Uevents, vec![Record { subject: Subject::Node, fact }])
            }
            (true, 2) => {
                let fact = Fact::NotUnderstood { why: "it has no SUBSYSTEM".to_owned() };
                Input::Records(SourceId::Uevents, vec![Record { subject: Subject::Node, fact }])
            }
            (true, _) => Input::Records(SourceId::Uevents, (0..count).map(uevent).collect()),
        };
        self.tell(node, &input);
        // Often in the middle of a burst of DRBD's.
        let next = if self.pick(2) == 0 { self.ms(1, 20) } else { self.ms(500, 60_000) };
        self.daemon_after(node, next, ForDaemon::Uevents);
    }

    /// What a daemon knows of DRBD, before an input of another source.
    pub(super) fn about_drbd(&self, node: NodeIx, input: &Input) -> Option<AboutDrbd> {
        let is_other = match input {
            Input::Records(source, _) | Input::Source(source, _) => {
                matches!(source, SourceId::Uevents | SourceId::Storage)
            }
            Input::Incidents(..) => true,
            _ => false,
        };
        let picture = self.machines[node].daemon.as_deref().filter(|_| is_other)?.core.node();
        Some(AboutDrbd { source: picture.source(), resources: picture.resources().cloned().collect() })
    }

    /// After it, that is the same.
    pub(super) fn check_about_drbd(&mut self, node: NodeIx, input: &Input, before: Option<&AboutDrbd>) {
        if before.is_some() && self.about_drbd(node, input).as_ref() != before {
            let what = format!("{}: after {input:?}", NODES[node]);
            self.violated("another source changes nothing about DRBD", what);
        }
    }
}

fn uevent(number: usize) -> Record {
    let (action, device) = (["add", "change", "remove"][number % 3], format!("drbd{}", 1000 + number % 4));
    let devpath = format!("/devices/virtual/block/{device}");
    Record {
        subject: Subject::Device(DeviceName::new(&device)),
        fact: Fact::Uevent(Uevent { action: action.to_owned(), subsystem: "block".to_owned(), devpath }),
    }
}
