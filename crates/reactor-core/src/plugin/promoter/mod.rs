//! High availability: services run where DRBD has good data, and nowhere else.
//!
//! ```text
//!  burst over, unit news, outcome, deadline, operator ─▶ the resources that it concerns ─▶ Machine::judge
//!                                                                                              │
//!                                        plan(levels) ─▶ Decision { verdict, because } ◀───────┘
//!                                                          └─▶ actions: the difference to what holds
//! ```
//!
//! Every resource is a machine of its own: nothing is shared between them but this table. Decisions are made from levels, at the
//! end of a burst and never within one, by one function for every path; edges only say whom to look at.

pub mod availability;
mod course;
mod delay;
mod drbd_service;
mod examine;
mod failback;
mod failures;
pub mod forecast;
mod freezer;
mod hang;
pub mod health;
mod held;
mod history;
mod levels;
mod links;
mod machine;
pub mod obstacle;
mod operators;
mod options;
mod outcome;
mod panics;
mod plan;
pub mod policy;
mod prepare;
mod presence;
mod repeat;
pub mod report;
mod restarts;
mod services;
mod shell;
mod standby;
mod standing;
mod start_list;
mod stops;
mod syncs;
mod takeover;
mod thaws;
mod timers;
mod tries;
mod trouble;
mod unit_files;
pub mod units;
mod untold;
mod view;
mod work;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::action::{ActionKind, Done, Effect, Outcome, Reason};
use crate::change::{Change, EventKind, What};
use crate::history::{Entry, Kind, News, Told};
use crate::ids::{ActionId, Mono, ResourceName, UnitName};
use crate::input::SourceId;
use crate::isolation::{Panics, catch};
use crate::model::SourceState;
use crate::model::reports::NoteLevel;
use crate::operator::Memory;
use crate::settings::promoter::PromoterSettings;
use crate::settings::{Detail, PluginKind, PluginSettings};

use super::{Context, Counter, Handled, Interest, Plugin, PluginInput, Report, Scope, ViewContext};
use forecast::{Asked, Likeness};
use history::untitled;
use machine::Machine;
use repeat::Pace;
use report::ResourceReport;
use thaws::Thaws;

pub use syncs::RULE as SYNC_RULE;
use timers::Timer;

/// A line of the log, as an entry of the history.
fn said(name: &ResourceName, kind: &ActionKind) -> Option<Entry> {
    match kind {
        ActionKind::Effect(Effect::Note { level, text }) if *level >= NoteLevel::Info => {
            Some(Entry::new(Kind::Note, (*level).into(), untitled(name, text).to_owned()))
        }
        ActionKind::Effect(_) | ActionKind::Call(_) => None,
    }
}

/// One `[[promoter]]` table.
pub struct Promoter {
    machines: BTreeMap<ResourceName, Machine>,
    /// Settings that have no machine yet: the time is known only when we are called.
    unborn: PromoterSettings,
    /// Resources to be looked at when the burst is over.
    dirty: BTreeSet<ResourceName>,
    deadlines: BTreeSet<(Mono, ResourceName)>,
    /// Whom an outcome belongs to, and what of.
    owners: BTreeMap<ActionId, (ResourceName, Asked)>,
    /// Who uses a unit.
    users: BTreeMap<UnitName, Vec<ResourceName>>,
    source: SourceState,
    /// Frozen units that are no longer ours.
    thaws: Thaws,
    /// How often resources that are no longer ours were started and stopped lately: who takes one out and puts it back again and again, a script
    /// for example, does not get around the pauses.
    paces: BTreeMap<ResourceName, (Pace, Pace)>,
    /// Machines that panicked.
    upsets: BTreeMap<ResourceName, Panics>,
    /// Machines that panicked while they were only looked at.
    unwell: RefCell<BTreeMap<ResourceName, String>>,
}

impl Promoter {
    /// One that has seen nothing yet.
    pub fn new(settings: PromoterSettings) -> Self {
        let users = BTreeMap::new();
        Self {
            machines: BTreeMap::new(),
            unborn: settings,
            dirty: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            owners: BTreeMap::new(),
            users,
            source: SourceState::Unknown,
            thaws: Thaws::default(),
            paces: BTreeMap::new(),
            upsets: BTreeMap::new(),
            unwell: RefCell::default(),
        }
    }

    /// Makes the machines of new settings.
    fn be_born(&mut self, now: Mono) {
        let unborn = std::mem::take(&mut self.unborn);
        if unborn.resources.is_empty() {
            return;
        }
        for (name, settings) in unborn.resources {
            self.dirty.insert(name.clone());
            self.machines.insert(name.clone(), Machine::new(name, settings, now));
        }
        self.index_units();
    }

    fn index_units(&mut self) {
        self.users.clear();
        for (name, machine) in &self.machines {
            for unit in machine.followed() {
                self.users.entry(unit.clone()).or_default().push(name.clone());
            }
        }
    }

    fn all_dirty(&mut self) {
        self.dirty = self.machines.keys().cloned().collect();
    }

    /// Looks at all that something happened to.
    fn judge_dirty(&mut self, cx: &mut Context<'_>) {
        let dirty = std::mem::take(&mut self.dirty);
        self.judge(cx, dirty);
    }

    /// Looks at these. Within a burst they are prepared at most; the decision waits for its end, and so does everybody else.
    fn judge(&mut self, cx: &mut Context<'_>, mut whom: BTreeSet<ResourceName>) {
        self.be_born(cx.now);
        self.mend_unwell(cx);
        if cx.node.source() != self.source {
            self.source = cx.node.source();
            self.all_dirty();
            whom.append(&mut self.dirty);
        }
        if cx.settled {
            whom.append(&mut self.dirty);
        }
        for name in whom {
            self.with(cx, &name, Machine::judge);
            if !cx.settled {
                self.dirty.insert(name);
            }
        }
    }

    /// The next look at a machine may be due at another time than `before`.
    fn file_deadline(&mut self, name: &ResourceName, before: Option<Mono>) {
        let next = self.machines.get(name).and_then(Machine::due);
        if next != before {
            if let Some(at) = before {
                self.deadlines.remove(&(at, name.clone()));
            }
            if let Some(at) = next {
                self.deadlines.insert((at, name.clone()));
            }
        }
    }

    /// I/O that becomes blocked is no change, because it flickers; on a Primary it may be the beginning of something.
    fn blocking(&mut self, cx: &Context<'_>) {
        for name in cx.node.blocking() {
            let primary = || cx.node.resource(name.as_str()).is_some_and(view::is_primary);
            if self.machines.contains_key(name) && primary() {
                self.dirty.insert(name.clone());
            }
        }
    }

    /// Calls one machine, and keeps the books about it. One that panics is built anew, and nothing of what it asked for in this call is done.
    fn with<R>(
        &mut self,
        cx: &mut Context<'_>,
        name: &ResourceName,
        f: impl FnOnce(&mut Machine, &mut Context<'_>) -> R,
    ) -> Option<R> {
        let machine = self.machines.get_mut(name)?;
        let before = machine.due();
        let asked = cx.actions.len();
        let result = match catch(|| f(machine, cx)) {
            Ok(result) => Some(result),
            Err(message) => {
                cx.actions.truncate(asked);
                self.rebuild(cx, name, &message);
                None
            }
        };
        self.file_deadline(name, before);
        for action in &mut cx.actions[asked..] {
            match &mut action.kind {
                ActionKind::Call(call) => drop(self.owners.insert(action.id, (name.clone(), Asked::of(call)))),
                ActionKind::Effect(Effect::Remember { memory, .. }) => {
                    memory.frozen_units.extend(self.thaws.of(name).cloned());
                }
                ActionKind::Effect(_) => {}
            }
        }
        self.tell_news(cx, name, asked);
        result
    }

    /// What the machine has for the history, and what it said in the log from action number `asked` on.
    fn tell_news(&mut self, cx: &mut Context<'_>, name: &ResourceName, asked: usize) {
        let Some(machine) = self.machines.get_mut(name) else { return };
        let mut told = machine.history.take_news();
        let said: Vec<Entry> = cx.actions[asked..].iter().filter_map(|action| said(name, &action.kind)).collect();
        for entry in said {
            let is_told = |told: &Told| matches!(told, Told::Entry(other) if other.what == entry.what);
            if !told.iter().any(is_told) {
                told.push(Told::Entry(entry));
            }
        }
        cx.news.extend(told.into_iter().map(|what| News { at: cx.now, resource: Some(name.clone()), what }));
    }
}

impl Plugin for Promoter {
    fn kind(&self) -> PluginKind {
        PluginKind::Promoter
    }

    fn interest(&self) -> Interest {
        let resources: Vec<ResourceName> = self.machines.keys().chain(self.unborn.resources.keys()).cloned().collect();
        let changes = (!resources.is_empty()).then_some(Detail::State);
        Interest { changes, scope: Scope::Resources(resources), units: self.followed(), news: false }
    }

    fn on(&mut self, cx: &mut Context<'_>, input: PluginInput<'_>) -> Handled {
        match input {
            PluginInput::Change(change) => self.change(cx, change),
            PluginInput::BurstEnd => self.burst_end(cx),
            PluginInput::Deadline => self.due(cx),
            PluginInput::Done(done) => self.done(cx, done),
            PluginInput::Source(SourceId::Drbd) => self.judge_dirty(cx),
            PluginInput::Units(units) => self.units_changed(cx, units),
            PluginInput::Bus => self.bus_changed(cx),
            PluginInput::Remembered(memories) => self.recall(cx, memories),
            PluginInput::Drained => self.drained(cx),
            PluginInput::Operator(request) => return self.asked(cx, request),
            PluginInput::Settings(PluginSettings::Promoter(settings)) => self.reconfigure(cx, settings),
            PluginInput::Exit => self.exit(cx),
            PluginInput::Stop => self.stop(cx),
            // DRBD's helpers are for umh, and no other source decides where a service may run.
            PluginInput::HelperCall(_)
            | PluginInput::Incidents(..)
            | PluginInput::Source(SourceId::Uevents | SourceId::KernelLog | SourceId::Storage)
            | PluginInput::Records(..)
            | PluginInput::News(_)
            | PluginInput::Standing(_)
            | PluginInput::Settings(_) => return Handled::No,
        }
        Handled::Yes
    }

    fn next_deadline(&self) -> Option<Mono> {
        if !self.unwell.borrow().is_empty() {
            return Some(Mono::ZERO);
        }
        self.deadlines.first().map(|(at, _)| *at).into_iter().chain(self.thaws.next()).min()
    }

    fn report(&self, report: Report<'_>) {
        match report {
            Report::Status(lines) => lines.push(("resources", self.machines.len().to_string())),
            Report::Counters(counters) => self.counters(counters),
            Report::Promoted(cx, reports) => self.promoted(cx, reports),
            Report::Incidents(_) | Report::Unkept(_) => {}
            Report::Likeness(name, likeness) => {
                *likeness = self.machines.get(name).map(|machine| Likeness::of(machine, &self.owners));
            }
        }
    }
}

impl Promoter {
    fn change(&mut self, cx: &mut Context<'_>, change: &Change) {
        self.be_born(cx.now);
        let Some(machine) = self.machines.get_mut(&change.resource) else { return };
        match &change.what {
            What::Connection { .. } | What::Device { .. } if change.kind != EventKind::Change => {
                machine.options.read_again(cx.now);
            }
            _ => {}
        }
        self.dirty.insert(change.resource.clone());
    }

    fn burst_end(&mut self, cx: &mut Context<'_>) {
        self.blocking(cx);
        let parting = cx.node.parting().iter().filter(|name| self.machines.contains_key(*name)).cloned();
        self.dirty.extend(parting.collect::<Vec<_>>());
        self.judge_dirty(cx);
    }

    fn due(&mut self, cx: &mut Context<'_>) {
        let mut due = BTreeSet::new();
        while let Some((at, name)) = self.deadlines.first().cloned() {
            if at > cx.now {
                break;
            }
            self.deadlines.remove(&(at, name.clone()));
            if let Some(machine) = self.machines.get_mut(&name) {
                machine.timers.stop_all();
            }
            due.insert(name);
        }
        self.judge(cx, due);
        self.judge_thaws(cx);
    }

    fn done(&mut self, cx: &mut Context<'_>, done: &Done) {
        if let Outcome::Unit(end) = &done.outcome
            && self.thaws.ended(cx.now, done.id, end)
        {
            return self.judge_thaws(cx);
        }
        let Some((name, _)) = self.owners.remove(&done.id) else { return };
        self.with(cx, &name, |machine, cx| machine.done(cx, done));
        self.judge(cx, BTreeSet::from([name]));
    }

    fn units_changed(&mut self, cx: &mut Context<'_>, units: &[UnitName]) {
        self.be_born(cx.now);
        let users = |unit| self.users.get(unit).into_iter().flatten().cloned();
        let concerned = units.iter().flat_map(users).collect();
        self.judge(cx, concerned);
        self.judge_thaws(cx);
    }

    fn bus_changed(&mut self, cx: &mut Context<'_>) {
        self.be_born(cx.now);
        self.judge(cx, self.machines.keys().cloned().collect());
        self.judge_thaws(cx);
    }

    /// Thaws what is no longer ours, and keeps what is left of that. What somebody holds is left alone.
    pub(super) fn judge_thaws(&mut self, cx: &mut Context<'_>) {
        let (machines, remembered) = (&self.machines, cx.remembered);
        let is_held = |name: &ResourceName| match machines.get(name) {
            Some(machine) => machine.held.is_hands_off(),
            None => {
                let holds = |memory: &Memory| memory.hold.as_ref().is_some_and(|hold| !hold.stops);
                remembered.iter().any(|(held, memory)| held == name && holds(memory))
            }
        };
        self.thaws.judge(cx, is_held);
        for name in self.thaws.take_changed() {
            let keep = |machine: &mut Machine, cx: &mut Context<'_>| {
                machine.memory_changed = true;
                machine.keep_memory(cx);
            };
            if self.machines.contains_key(&name) {
                self.with(cx, &name, keep);
            } else if !cx.promoted.contains(&name) {
                self.keep_thaws(cx, &name);
            }
        }
    }

    /// The disk has to know what is being thawed of a resource that is not ours any more.
    fn keep_thaws(&self, cx: &mut Context<'_>, name: &ResourceName) {
        let said = cx.actions.iter().rev().find_map(|action| match &action.kind {
            ActionKind::Effect(Effect::Remember { resource, memory }) if resource == name => Some(memory),
            _ => None,
        });
        let mut memory = said.or(cx.memory(name)).cloned().unwrap_or_default();
        memory.frozen_units = self.thaws.of(name).cloned().collect();
        memory.frozen &= !memory.frozen_units.is_empty();
        let because = vec![Reason("what is frozen has to be thawed, whoever starts next".to_owned())];
        cx.effect(because, Effect::Remember { resource: name.clone(), memory });
    }

    fn recall(&mut self, cx: &mut Context<'_>, memories: &[(ResourceName, Memory)]) {
        self.be_born(cx.now);
        for (name, memory) in memories {
            let members = self.machines.get(name).map(|machine| &machine.set.members);
            if members.is_some() || cx.is_orphan(name) {
                // Those that are ours are thawed with all others.
                let is_gone = |unit: &&UnitName| members.is_none_or(|members| !members.contains(unit));
                self.thaws.recall(name, memory.frozen_units.iter().filter(is_gone));
            }
            let recall = |machine: &mut Machine, cx: &mut Context<'_>| {
                machine.recall(cx, memory);
                // What is no longer held is acted upon in this step: there may be no other for long.
                machine.timers.set(Timer::Recalled, cx.now);
            };
            if self.with(cx, name, recall).is_some() {
                self.dirty.insert(name.clone());
            }
        }
        self.judge_thaws(cx);
    }

    fn exit(&mut self, cx: &mut Context<'_>) {
        let names: Vec<ResourceName> = self.machines.keys().cloned().collect();
        for name in names {
            self.with(cx, &name, Machine::exit);
        }
    }

    fn followed(&self) -> Vec<UnitName> {
        let unborn = self.unborn.resources.iter().map(|(name, settings)| {
            Machine::new(name.clone(), settings.clone(), Mono::ZERO).followed().cloned().collect::<Vec<_>>()
        });
        let machines = self.machines.values().flat_map(Machine::followed);
        machines.chain(self.thaws.followed()).cloned().chain(unborn.flatten()).collect()
    }

    fn promoted(&self, cx: &ViewContext<'_>, out: &mut Vec<ResourceReport>) {
        let look = |machine: &Machine| self.look(machine, cx);
        match cx.about {
            Some(resource) => out.extend(self.machines.get(resource).and_then(look)),
            None => out.extend(self.machines.values().filter_map(look)),
        }
    }

    /// Resource by resource: what did not change notices nothing.
    fn reconfigure(&mut self, cx: &mut Context<'_>, settings: &PromoterSettings) {
        self.be_born(cx.now);
        let gone: Vec<ResourceName> =
            self.machines.keys().filter(|name| !settings.resources.contains_key(*name)).cloned().collect();
        for name in gone {
            self.retire(cx, &name);
        }
        let mut changed = BTreeSet::new();
        for (name, settings) in &settings.resources {
            match self.machines.get_mut(name) {
                Some(machine) if machine.settings == *settings => continue,
                Some(_) => {
                    let take = |machine: &mut Machine, cx: &mut Context<'_>| machine.reconfigure(cx, settings.clone());
                    // One that panics over it is built anew, and takes it then.
                    let gone = self.with(cx, name, take).or_else(|| self.with(cx, name, take));
                    self.thaws.add(name, &gone.unwrap_or_default());
                }
                None => {
                    let mut machine = Machine::new(name.clone(), settings.clone(), cx.now);
                    // It may have been here before, or with another promoter: a hold outlives that, too.
                    if let Some(memory) = cx.memory(name) {
                        machine.recall(cx, memory);
                        let is_gone = |unit: &&UnitName| !machine.set.members.contains(unit);
                        self.thaws.recall(name, memory.frozen_units.iter().filter(is_gone));
                    }
                    if let Some((starts, stops)) = self.paces.remove(name) {
                        machine.tries.go_on(starts);
                        machine.stops.go_on(stops);
                    }
                    self.machines.insert(name.clone(), machine);
                }
            }
            changed.insert(name.clone());
        }
        for machine in self.machines.values_mut() {
            if self.thaws.take(machine.set.all()) {
                machine.freezer.begins();
            }
        }
        self.index_units();
        self.judge(cx, changed);
        self.judge_thaws(cx);
    }

    fn stop(&mut self, cx: &mut Context<'_>) {
        self.be_born(cx.now);
        let names: Vec<ResourceName> = self.machines.keys().cloned().collect();
        for name in names {
            self.retire(cx, &name);
        }
        self.judge_thaws(cx);
    }

    fn counters(&self, out: &mut Vec<Counter>) {
        for machine in self.machines.values() {
            let counts = machine.tries.counts;
            let labels = vec![("name", machine.name.to_string())];
            let mut push = |name, help, value| out.push(Counter { name, help, labels: labels.clone(), value });
            push("starts", "Starts of the services of a resource that were asked for.", counts.starts);
            push("stops", "Stops of the services of a resource that were asked for.", counts.stops);
            push("freezes", "Times that the services of a resource were frozen.", counts.freezes);
            push("service_failures", "Failures of the services of a resource on this node.", counts.failures);
            push(
                "lost_races",
                "Promotions that DRBD refused, usually because another node was faster.",
                counts.lost_races,
            );
            push("link_repairs", "Repairs of StandAlone connections that were asked for.", counts.repairs);
        }
    }
}

impl Promoter {
    /// A resource is no longer in this table. If it is in none, its services go on, and its unit files go when they have stopped.
    fn retire(&mut self, cx: &mut Context<'_>, name: &ResourceName) {
        let Some(machine) = self.machines.remove(name) else { return };
        if let Some(at) = machine.due() {
            self.deadlines.remove(&(at, name.clone()));
        }
        self.dirty.remove(name);
        self.upsets.remove(name);
        self.paces.retain(|_, (starts, stops)| starts.is_recent(cx.now) || stops.is_recent(cx.now));
        self.paces.insert(name.clone(), (machine.tries.pace().clone(), machine.stops.pace().clone()));
        cx.news.push(News { at: cx.now, resource: Some(name.clone()), what: Told::Forgotten });
        if cx.promoted.contains(name) {
            // What is frozen and what is remembered of it is the business of another table's promoter from now on.
            return self.thaws.leave(name);
        }
        self.thaws.add(name, &machine.let_go(cx.node, |_| true));
        // A hold is a person's word and stays; that it failed too often is over with the resource.
        let mut memory = machine.memory_without_failures();
        memory.frozen_units = self.thaws.of(name).cloned().collect();
        if machine.tries.is_worth_remembering() {
            let because = vec![Reason(format!("{name} is no longer configured"))];
            cx.effect(because, Effect::Remember { resource: name.clone(), memory });
        }
        let because = vec![Reason(format!("{name} is no longer configured"))];
        cx.effect(because, Effect::RetireFiles { resource: name.clone() });
    }
}

fn report(machine: &Machine, cx: &ViewContext<'_>) -> ResourceReport {
    let next = machine.timers.next();
    let stack = machine.stack(cx);
    ResourceReport {
        resource: machine.name.clone(),
        target: machine.set.target.clone(),
        state: machine.standing.state(),
        since: machine.standing.since(),
        because: machine.standing.because().to_vec(),
        obstacle: machine.standing.obstacle().cloned(),
        next: next.map(|(at, _)| at),
        next_for: next.map_or("", |(_, timer)| timer.purpose()),
        policy: machine.policy(cx.node).as_str(),
        hold: machine.held.hold().cloned(),
        failures: machine.tries.count(cx.now, &machine.settings),
        max_failures: machine.settings.max_failures,
        last_failure: machine.tries.last_failure.clone(),
        availability: stack.availability,
        optional: stack.optional,
        drbd: stack.drbd,
        degraded: stack.degraded,
        units: stack.units,
        standby: stack.standby,
        left_out: stack.left_out,
        warnings: machine.warnings(cx.now, cx.node, &cx.host.node),
        troubles: machine.troubles.known().to_vec(),
        is_adjusting: machine.is_adjusting(cx.now),
        peers: match cx.about.and_then(|_| cx.node.resource(machine.name.as_str())) {
            Some(resource) => takeover::peers(resource, machine.options.peers()),
            None => Vec::new(),
        },
        history: match cx.about {
            Some(_) => machine.history.iter().cloned().collect(),
            None => Vec::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Action;
    use crate::ids::InstanceId;
    use crate::model::Node;
    use crate::operator::{Hold, OperatorAnswer, OperatorRequest, OperatorRequestId, OperatorVerb, WallClock};
    use crate::settings::promoter::PromotedResource;

    /// A promoter, called without a core around it.
    pub(super) struct Bench {
        pub(super) promoter: Promoter,
        pub(super) node: Node,
        pub(super) now: Mono,
        pub(super) next: u64,
        /// In the last call.
        pub(super) panics: u64,
    }

    impl Bench {
        pub(super) fn tell(&mut self, input: PluginInput<'_>) -> (Handled, Vec<Action>) {
            self.call(|promoter, cx| promoter.on(cx, input))
        }

        pub(super) fn call<R>(&mut self, f: impl FnOnce(&mut Promoter, &mut Context<'_>) -> R) -> (R, Vec<Action>) {
            let mut actions = Vec::new();
            let mut cx = Context::new(self.now, &self.node, InstanceId(1), &mut self.next, &mut actions);
            cx.wall = Some(WallClock { unix_ms: 1_800_000_000_000, utc_offset_s: 0 });
            let result = f(&mut self.promoter, &mut cx);
            self.panics = cx.panics;
            (result, actions)
        }

        pub(super) fn ask(&mut self, verb: OperatorVerb) -> bool {
            let (request, subject) = (OperatorRequestId(1), ResourceName::new("r0").into());
            let request = OperatorRequest { request, subject, verb, who: "root".to_owned() };
            self.tell(PluginInput::Operator(&request)).0 == Handled::Yes
        }

        pub(super) fn reports(&mut self) -> Vec<ResourceReport> {
            let mut reports = Vec::new();
            self.call(|promoter, cx| promoter.report(Report::Promoted(&cx.view(), &mut reports)));
            reports
        }
    }

    /// A hold in place of one that the daemon had only guessed was called nothing, and it is what outlives the answer of the disk.
    #[test]
    fn a_hold_over_another_ones_is_a_change_and_the_same_one_again_is_none() {
        let resources = BTreeMap::from([(ResourceName::new("r0"), PromotedResource::default())]);
        let promoter = Promoter::new(PromoterSettings { resources });
        let mut bench = Bench { promoter, node: Node::default(), now: Mono(1), next: 0, panics: 0 };
        let guessed =
            Hold { who: "storage-reactor itself".to_owned(), why: "not known".to_owned(), since: 0, ..Hold::default() };
        bench.promoter.be_born(bench.now);
        bench.promoter.machines.get_mut("r0").unwrap().held.set(guessed);
        let mut hold = |why: &str| {
            let (request, subject) = (OperatorRequestId(1), ResourceName::new("r0").into());
            let verb = OperatorVerb::Hold { why: why.to_owned() };
            let request = OperatorRequest { request, subject, verb, who: "root".to_owned() };
            let (_, actions) = bench.tell(PluginInput::Operator(&request));
            let answers = actions.into_iter().filter_map(|action| match action.kind {
                ActionKind::Effect(Effect::AnswerOperator { answer, .. }) => Some(answer),
                _ => None,
            });
            answers.collect::<Vec<_>>()
        };
        let is_done = |answers: &[OperatorAnswer], says: &str| matches!(answers, [OperatorAnswer::Done { text }] if text.contains(says));
        assert!(is_done(&hold("cables"), "before, it was held by storage-reactor itself: not known"));
        assert!(matches!(hold("cables")[..], [OperatorAnswer::Unchanged { .. }]));
        assert!(is_done(&hold("disks"), "before, it was held by root: cables"));
    }
}
