//! What a person should look at: warnings, and a start that does not come to its promotion.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::ids::{Mono, UnitName};
use crate::model::Node;
use crate::names;
use crate::plugin::Context;
use crate::systemd::ActiveState;

use super::super::examine::Of;
use super::super::report::StateWord;
use super::super::shell::Shell;
use super::super::timers::Timer;
use super::super::work::{Phase, Start};
use super::super::{units, view};
use super::Machine;

/// How long a start may take to the promotion before people are told.
const START_HANGS: Duration = Duration::from_secs(10);

impl Machine {
    /// Whether a start has not come to the promotion.
    fn is_before_promotion(&self, node: &Node) -> bool {
        let is_primary = node.resource(self.name.as_str()).is_some_and(view::is_primary);
        let starts = self.shell.is_none() && self.standing.state() == StateWord::Starting;
        starts && !is_primary && !self.set.holds_promotion(node.units())
    }

    /// A start takes long: systemd is asked, once for each, which unit it is.
    pub(super) fn ask_why_it_hangs(&mut self, cx: &mut Context<'_>) {
        let start = match self.work.phase() {
            Phase::Starting(start) if !start.is_asked_about() && self.is_before_promotion(cx.node) => start.id,
            _ => return,
        };
        let due = self.standing.since().after(START_HANGS);
        if due > cx.now {
            return self.timers.set(Timer::StartHangs, due);
        }
        self.work.start_waits_for(start, None);
        let target = units::configuration(&self.name);
        let service = UnitName::new(&target.as_str().replace(".target", ".service"));
        self.examine(cx, Of::Hang(start), None, vec![self.set.promote.clone(), target, service]);
    }

    /// A start that has not come to the promotion, and what it waits for: the units before that do nothing that takes long.
    fn start_that_hangs(&self, now: Mono, node: &Node) -> Option<String> {
        if !self.is_before_promotion(node) || now.since(self.standing.since()) <= START_HANGS {
            return None;
        }
        let promote = &self.set.promote;
        let what = if let Some(unit) = self.work.start().and_then(Start::waited_for) {
            format!("{promote} waits for {unit}")
        } else if node.units().get(promote.as_str()).is_some_and(|unit| unit.active == ActiveState::Activating) {
            format!("{promote}: drbdsetup primary does not end")
        } else {
            let target = units::configuration(&self.name);
            let service = target.as_str().replace(".target", ".service");
            format!("{promote} waits for {target}, and that for {service}; systemctl list-jobs shows what runs")
        };
        Some(format!("its start has hung for more than {} s: {what}", START_HANGS.as_secs()))
    }

    /// What a person should look at.
    pub(in super::super) fn warnings(&self, now: Mono, node: &Node, own_name: &str) -> Vec<String> {
        let mut out = self.options.warnings().to_vec();
        out.extend(self.prepare.warnings(now));
        out.extend(self.start_that_hangs(now, node));
        out.extend(units::warnings(&self.name, &self.settings, self.files.dialect()));
        if let Some(resource) = node.resource(self.name.as_str()) {
            let peers = self.options.peers();
            out.extend(self.links.warnings(resource, peers));
            if let Some(peer) = self.links.must_stay(resource).filter(|_| self.prepare.adjust_is_due()) {
                let peer = peers.of(resource, peer);
                out.push(format!(
                    "drbdadm adjust waits: it would make the connection to {peer}, which is StandAlone, anew"
                ));
            }
            let known: Vec<String> = resource.connections.keys().map(|peer| peers.of(resource, *peer)).collect();
            let known: BTreeSet<&str> = known.iter().map(String::as_str).chain([own_name]).collect();
            for stranger in names::strangers(&self.settings.preferred_nodes, &known) {
                out.push(format!("preferred-nodes: DRBD knows no node {stranger} of {}", self.name));
            }
        }
        let left_out = self.set.left_out(node.units(), self.settings.target_as).into_iter();
        out.extend(left_out.map(|what| format!("{what}: the others start without it")));
        let failed = self.set.failed(node.units()).into_iter();
        out.extend(failed.map(|(unit, result)| format!("{unit} has failed: {result}")));
        let spare = self.set.spare_failed(node.units()).into_iter();
        out.extend(spare.map(|(unit, result)| format!("{unit} has failed: {result}; the others go on without it")));
        out.extend(self.standby.warnings(node.units()));
        out.extend(self.freezer.problems().map(str::to_owned));
        out.extend(self.shell.iter().filter_map(Shell::problem).map(str::to_owned));
        out.extend(self.untold.warning());
        out
    }
}
