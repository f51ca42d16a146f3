//! The one owner of the snapshot and the plugins.
//!
//! ```text
//!  Input ─▶ step ─▶ Node::apply ─▶ Change ─▶ every plugin that wants it ─▶ Action
//!                   burst over  ─▶ Node::settle ─▶ BurstEnd to every plugin
//! ```
//!
//! A burst is what DRBD prints for one kernel state change. It is over when the stamp of the next line differs, when the source
//! says so (silence, or a bound), or when a dump is complete. Rules see every change when it is read; decisions from levels wait
//! for the end of the burst, because the resource line of a burst comes before the device lines that explain it.
//!
//! A step calls the plugins that its input concerns, and no others (`core/index.rs`): it costs what it touches.
//!
//! A plugin that panics is stopped, counted and shown; the loop and the other plugins go on. It is built anew at once, and later and later if it
//! panics again (`isolation.rs`).

mod index;
#[cfg(test)]
mod index_tests;
mod instance;
mod news;
mod operators;
mod panics;
mod reload;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use reactor_storage::incidents::Incident;

use crate::action::{Action, ActionKind, Done, Effect, HelperAnswer, HelperCall, Reason};
use crate::change::Change;
use crate::drbd::events2::{self, Event};
use crate::drbd::words;
use crate::history::{News, Told};
use crate::ids::{ActionId, InstanceId, Mono, ResourceName, UnitName};
use crate::input::{Boot, Fact, Input, Record, SourceId};
use crate::isolation::catch;
use crate::model::{Node, SourceState};
use crate::operator::{Hold, Memory, WallClock};
use crate::plugin::promoter::forecast::WhatIf;
use crate::plugin::promoter::report::ResourceReport;
use crate::plugin::{self, Built, Context, Handled, Host, Plugin, PluginInput, Report, Scope, ViewContext};
use crate::settings::{Detail, PluginEntry, PluginKind, PluginSettings, Settings};
use index::Index;
pub use instance::{Instance, InstanceState};
use reload::take_equal;

/// Changes that there is room for from step to step.
const KEPT_CHANGES: usize = 256;

/// Who is handed the changes of a step.
type Listener<'a> = &'a mut dyn FnMut(&[Change]);

/// The core. See the module's head.
#[derive(Default)]
pub struct Core {
    node: Node,
    instances: Vec<Instance>,
    /// Whom of them a step calls.
    index: Index,
    /// The deadlines of the index may be old: all are asked.
    upset: Rc<Cell<bool>>,
    /// Tests compare with a core that calls all at each step.
    #[cfg(test)]
    walk: bool,
    next_instance: u64,
    next_action: u64,
    /// Whom the outcome of an action belongs to.
    in_flight: BTreeMap<ActionId, InstanceId>,
    /// Changes of the step that runs.
    changes: Vec<Change>,
    /// What the step that runs has for the history.
    news: Vec<News>,
    /// So much of it was told to those plugins that want to hear it.
    news_told: usize,
    follow: Option<Detail>,
    burst: Burst,
    counters: Counters,
    host: Host,
    /// The wall clock and when it showed that.
    wall: Option<(Mono, WallClock)>,
    /// What was remembered from before a restart, for plugins that are configured later; by name.
    remembered: Vec<(ResourceName, Memory)>,
    /// The storage incidents that were open last, for a plugin that is configured later, or built anew.
    incidents: Vec<Arc<Incident>>,
    /// What receivers of notices were told and still stands, by their names.
    standing: Vec<(String, Vec<String>)>,
    /// An operator has drained this node.
    drained: Option<Hold>,
    /// What promoters run, all of them together.
    promoted: BTreeSet<ResourceName>,
    /// Where the promoter stands that looks after what none of them runs any more.
    caretaker: Option<usize>,
    /// The first table of storage events: the others hear the same, and only it tells of it.
    speaker: Option<InstanceId>,
}

#[derive(Default)]
struct Burst {
    open: bool,
    stamp: String,
}

/// What the core counted since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Lines of events2, also those that could not be understood.
    pub lines: u64,
    /// Bursts that ended.
    pub bursts: u64,
    /// Changes that were told.
    pub changes: u64,
    /// Actions that were asked for.
    pub actions: u64,
    /// Plugins, and promoted resources, that panicked.
    pub panics: u64,
}

/// What a configuration did to the plugins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigureReport {
    /// New; each was told the present state.
    pub started: Vec<InstanceId>,
    /// Settings equal: noticed nothing.
    pub kept: Vec<InstanceId>,
    /// Took new settings without a restart.
    pub changed: Vec<InstanceId>,
    /// No longer configured.
    pub stopped: Vec<InstanceId>,
}

impl Core {
    /// A core that knows nothing and runs nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is known.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// What is known, to take its notes.
    pub fn node_mut(&mut self) -> &mut Node {
        &mut self.node
    }

    /// The plugins in the order of the configuration.
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The changes of the last step, in order; the last piece of them, if they were handed out in pieces.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// What the last step, or configuration, has for the history, in order.
    pub fn news(&self) -> &[News] {
        &self.news
    }

    /// Actions whose outcome has not come back.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Says what no event tells. Before the first configuration.
    pub fn set_host(&mut self, host: Host) {
        self.host = host;
    }

    /// The units that any plugin follows: the source of [`Input::Units`] must tell these. Those of one resource stand together, because
    /// each resource waits for its own.
    pub fn units(&self) -> Vec<UnitName> {
        let mut seen = BTreeSet::new();
        let mut units: Vec<UnitName> =
            self.running().flat_map(|instance| instance.interest.units.iter().cloned()).collect();
        units.retain(|unit| seen.insert(unit.clone()));
        units
    }

    /// Forgets the units that are not followed any more. Once they are followed again, how they are is unknown until it is told.
    pub fn forget_units(&mut self, followed: impl Fn(&UnitName) -> bool) {
        self.node.units_mut().retain(followed);
    }

    /// What the promoters say of their resources, by name, without their histories.
    pub fn promoted(&self, now: Mono) -> Vec<ResourceReport> {
        let view = self.view(now, None);
        let mut reports = Vec::new();
        for instance in &self.instances {
            instance.ask(|plugin| plugin.report(Report::Promoted(&view, &mut reports)));
        }
        reports.sort_by(|a, b| a.resource.cmp(&b.resource));
        reports
    }

    /// What its promoter says of one resource, with its history.
    pub fn promoted_resource(&self, now: Mono, resource: &ResourceName) -> Option<ResourceReport> {
        let view = self.view(now, Some(resource));
        let of = |position: usize| {
            let mut reports = Vec::new();
            self.instances.get(position)?.ask(|plugin| plugin.report(Report::Promoted(&view, &mut reports)))?;
            reports.into_iter().next()
        };
        self.index.of_resource(resource).into_iter().find_map(of)
    }

    /// The storage incidents that are open, by id. It costs a reference count for each.
    pub fn incidents(&self) -> Vec<Arc<Incident>> {
        let mut open = Vec::new();
        if let Some(speaker) = self.speaker.and_then(|id| self.instance(id)) {
            let _ = speaker.ask(|plugin| plugin.report(Report::Incidents(&mut open)));
        }
        open
    }

    /// Whether what is open has changed since it was last to be kept.
    pub fn has_unkept_incidents(&self) -> bool {
        let mut unkept = false;
        for instance in self.running() {
            let _ = instance.ask(|plugin| plugin.report(Report::Unkept(&mut unkept)));
        }
        unkept
    }

    /// All that a promoted resource is decided by, as it is now. What would come of it is worked out elsewhere: this costs what the one resource
    /// is, however many others there are, and nothing here knows of it afterwards.
    pub fn what_if(&self, now: Mono, resource: &ResourceName) -> Option<WhatIf> {
        let of = |position: usize| {
            let mut likeness = None;
            self.instances.get(position)?.ask(|plugin| plugin.report(Report::Likeness(resource, &mut likeness)))?;
            likeness
        };
        let likeness = self.index.of_resource(resource).into_iter().find_map(of)?;
        Some(WhatIf::new(likeness, &self.view(now, Some(resource)), self.drained.as_ref()))
    }

    /// The plugins that run.
    fn running(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(|instance| instance.plugin.is_some())
    }

    fn view<'a>(&'a self, now: Mono, about: Option<&'a ResourceName>) -> ViewContext<'a> {
        ViewContext { now, node: &self.node, host: &self.host, wall: wall_at(self.wall, now), about }
    }

    /// Somebody outside follows the changes; `None` = nobody does.
    pub fn set_follow(&mut self, follow: Option<Detail>) {
        self.follow = follow;
        self.set_detail();
    }

    /// When [`step`](Self::step) must be called at the latest, with [`Input::Tick`] if there is nothing else.
    pub fn next_deadline(&self) -> Option<Mono> {
        if self.upset.get() {
            return self.instances.iter().filter_map(Instance::due).min();
        }
        self.index.next_deadline()
    }

    /// One plugin.
    pub fn instance(&self, id: InstanceId) -> Option<&Instance> {
        self.instances.get(self.index.position(id)?)
    }

    /// One step: takes in what happened, and says what is to be done.
    pub fn step(&mut self, now: Mono, input: &Input, out: &mut Vec<Action>) {
        self.step_for(now, input, out, None);
    }

    /// The same, with the changes handed out in pieces as they are told: a dump has as many of them as there are objects.
    pub fn step_in_pieces(
        &mut self,
        now: Mono,
        input: &Input,
        out: &mut Vec<Action>,
        heard: &mut dyn FnMut(&[Change]),
    ) {
        self.step_for(now, input, out, Some(&mut *heard));
        heard(&self.changes);
    }

    fn step_for(&mut self, now: Mono, input: &Input, out: &mut Vec<Action>, mut heard: Option<Listener<'_>>) {
        self.changes.clear();
        self.forget_news();
        // A dump has as many changes as there are objects, and then there are few for months.
        self.changes.shrink_to(KEPT_CHANGES);
        self.news.shrink_to(KEPT_CHANGES);
        let asked = out.len();
        match input {
            Input::Source(SourceId::Drbd, event) => {
                self.end_burst(now, out);
                self.node.source_event(event);
                self.each(now, out, PluginInput::Source(SourceId::Drbd));
            }
            Input::Source(source @ (SourceId::Uevents | SourceId::KernelLog | SourceId::Storage), event) => {
                self.node.sources_mut().event(*source, event);
                self.each_of_everything(now, out, PluginInput::Source(*source));
            }
            Input::Lines(SourceId::Drbd, text) => self.lines(now, text, out, &mut heard),
            Input::BurstEnd(SourceId::Drbd) => self.end_burst(now, out),
            // These print no lines and have no bursts: whoever says so is wrong about the source.
            Input::Lines(source @ (SourceId::Uevents | SourceId::KernelLog | SourceId::Storage), text) => {
                self.node.misplaced(*source, text);
            }
            Input::Records(source, records) => {
                self.node.sources_mut().records(*source, records);
                self.kernel_lines(now, records, out);
                self.each_of_everything(now, out, PluginInput::Records(*source, records));
            }
            Input::Done(done) => self.done(now, done, out),
            Input::HelperCall(call) => self.helper_call(now, call, out),
            Input::Units(news) => {
                let units = self.node.units_mut();
                let changed: Vec<UnitName> =
                    news.iter().filter(|news| units.apply(news)).map(|news| news.unit.clone()).collect();
                self.tell_units(now, &changed, out);
            }
            Input::Bus(event) => {
                self.node.units_mut().bus_event(now, event);
                self.each(now, out, PluginInput::Bus);
            }
            Input::Wall(wall) => self.wall = Some((now, *wall)),
            Input::Remembered(memories) => {
                self.remembered.clone_from(memories);
                self.remembered.sort_by(|(a, _), (b, _)| a.cmp(b));
                self.each(now, out, PluginInput::Remembered(memories));
                // What was frozen and is no longer configured is followed from now on.
                self.make_index();
                // Within a burst they wait for its end.
                if self.is_settled() {
                    self.each(now, out, PluginInput::BurstEnd);
                }
            }
            Input::Drained(drain) => self.told_drain(now, drain.as_ref(), out),
            Input::Incidents(open, boot) => {
                self.incidents.clone_from(open);
                self.each_of_everything(now, out, PluginInput::Incidents(open, *boot));
            }
            Input::Standing(standing) => {
                self.standing.clone_from(standing);
                self.each_of_everything(now, out, PluginInput::Standing(standing));
            }
            Input::Said(said) => self.said(now, said),
            Input::Operator(request) => self.operator(now, request, out),
            Input::Exit => self.each(now, out, PluginInput::Exit),
            Input::BurstEnd(SourceId::Uevents | SourceId::KernelLog | SourceId::Storage) | Input::Tick => {}
        }
        self.deadlines(now, out);
        self.tell_news(now, out);
        self.counters.changes += self.changes.len() as u64;
        self.track(asked, out);
        self.mend(now, out);
    }

    /// Takes new settings. Plugins whose settings are equal notice nothing, others take the new ones if they can; new ones are
    /// told the present state.
    pub fn configure(&mut self, now: Mono, settings: &Settings, out: &mut Vec<Action>) -> ConfigureReport {
        self.changes.clear();
        self.forget_news();
        self.node.set_poll_interval(settings.statistics_poll_interval);
        let asked = out.len();
        // Who gives up a resource has to know whether another one takes it over.
        let plugins = settings.plugins_on(&self.host.node);
        self.promoted = promoted(plugins.iter().map(|entry| &entry.settings));
        let mut report = ConfigureReport::default();
        let mut old: Vec<Option<Instance>> = std::mem::take(&mut self.instances).into_iter().map(Some).collect();
        let kept: Vec<Option<Instance>> = plugins.iter().map(|entry| take_equal(&mut old, entry)).collect();
        for (entry, equal) in plugins.iter().zip(kept) {
            let instance = match equal {
                Some(instance) => {
                    report.kept.push(instance.id);
                    Instance { file: entry.file.clone(), line: entry.line, ..instance }
                }
                None => match self.take_over(now, &mut old, entry, out) {
                    Some(instance) => {
                        report.changed.push(instance.id);
                        instance
                    }
                    None => self.start(entry, plugin::build(&entry.settings), &mut report),
                },
            };
            self.instances.push(instance);
        }
        for mut instance in old.into_iter().flatten() {
            report.stopped.push(instance.id);
            self.call(&mut instance, now, out, |plugin, cx| plugin.on(cx, PluginInput::Stop));
        }
        self.make_index();
        self.set_detail();
        self.tell_present(now, &report.started, out);
        self.forgets_nothing_that_moved();
        if !report.started.is_empty() {
            // They know what was remembered, and follow more units than before.
            self.make_index();
        }
        self.tell_news(now, out);
        self.track(asked, out);
        self.file_deadlines();
        report
    }

    /// What is in another table now is watched all the time, if its new promoter could say where it runs.
    fn forgets_nothing_that_moved(&mut self) {
        let is_presence = |news: &&News| matches!(news.what, Told::Presence(_));
        let told: BTreeSet<_> = self.news.iter().filter(is_presence).filter_map(|news| news.resource.clone()).collect();
        let is_watched = |news: &News| news.resource.as_ref().is_some_and(|name| told.contains(name));
        self.news.retain(|news| news.what != Told::Forgotten || !is_watched(news));
    }

    /// Adds a plugin that no file asks for: one of a program that embeds the core, or of a test.
    pub fn insert(
        &mut self,
        now: Mono,
        entry: &PluginEntry,
        plugin: Box<dyn Plugin>,
        out: &mut Vec<Action>,
    ) -> InstanceId {
        let asked = out.len();
        let mut report = ConfigureReport::default();
        let instance = Instance { inserted: true, ..self.start(entry, Built::Plugin(plugin), &mut report) };
        let id = instance.id;
        self.instances.push(instance);
        self.make_index();
        self.set_detail();
        self.tell_present(now, &report.started, out);
        if !report.started.is_empty() {
            // They know what was remembered, and follow more units than before.
            self.make_index();
        }
        self.tell_news(now, out);
        self.track(asked, out);
        self.file_deadlines();
        id
    }

    fn track(&mut self, asked: usize, out: &[Action]) {
        self.counters.actions += (out.len() - asked) as u64;
        for action in &out[asked..] {
            if matches!(action.kind, ActionKind::Call(_)) {
                self.in_flight.insert(action.id, action.plugin);
            }
            if let ActionKind::Effect(Effect::KeepIncidents(open)) = &action.kind {
                self.incidents.clone_from(open);
            }
            if let ActionKind::Effect(Effect::KeepStanding { receiver, standing }) = &action.kind {
                self.stands(receiver, standing);
            }
            // What is remembered from now on is also what a plugin that starts later is told.
            if let ActionKind::Effect(Effect::Remember { resource, memory }) = &action.kind {
                match self.remembered.binary_search_by(|(name, _)| name.cmp(resource)) {
                    Ok(at) => self.remembered[at].1.clone_from(memory),
                    Err(at) => self.remembered.insert(at, (resource.clone(), memory.clone())),
                }
            }
        }
    }

    /// The plugins are others, or have other settings.
    fn make_index(&mut self) {
        #[cfg(test)]
        let walk = self.walk;
        #[cfg(not(test))]
        let walk = false;
        self.index = Index::new(&mut self.instances, walk);
        self.promoted = promoted(self.instances.iter().map(|instance| &instance.settings));
        self.caretaker = self.instances.iter().position(|instance| instance.kind() == PluginKind::Promoter);
        let speaker = self.running().find(|instance| instance.kind() == PluginKind::Events);
        self.speaker = speaker.map(|instance| instance.id);
        self.upset.set(false);
    }

    /// Files the deadlines of those that were called; they are still looked at when the step ends.
    fn file_deadlines(&mut self) {
        for position in self.index.so_far_called() {
            if let Some(instance) = self.instances.get_mut(position) {
                self.index.file(instance);
            }
        }
    }

    /// Tells new plugins what is.
    fn tell_present(&mut self, now: Mono, new: &[InstanceId], out: &mut Vec<Action>) {
        if new.is_empty() {
            return;
        }
        let positions: BTreeSet<usize> = new.iter().filter_map(|id| self.index.position(*id)).collect();
        for position in positions {
            if !self.incidents.is_empty() {
                let incidents = std::mem::take(&mut self.incidents);
                self.tell_one(position, now, out, PluginInput::Incidents(&incidents, Boot::This));
                self.incidents = incidents;
            }
            self.tell_standing(position, now, out);
            let Some(instance) = self.instances.get(position) else { continue };
            if instance.interest.changes.is_none() {
                continue;
            }
            let mut names = match &instance.interest.scope {
                Scope::Resources(names) => names.clone(),
                Scope::Everything => self.node.resources().map(|resource| resource.name.clone()).collect(),
            }
            .into_iter();
            let remembered = std::mem::take(&mut self.remembered);
            self.tell_one(position, now, out, PluginInput::Remembered(&remembered));
            self.remembered = remembered;

            loop {
                let present = self.node.replay(&mut names);
                if present.is_empty() {
                    break;
                }
                self.at(position, now, out, |plugin, cx| {
                    for change in &present {
                        plugin.on(cx, PluginInput::Change(change));
                    }
                });
            }
            self.tell_one(position, now, out, PluginInput::BurstEnd);
        }
    }

    fn set_detail(&mut self) {
        let wanted = self.running().filter_map(|instance| instance.interest.changes);
        self.node.set_detail(wanted.chain(self.follow).max().unwrap_or_default());
    }

    fn lines(&mut self, now: Mono, text: &str, out: &mut Vec<Action>, heard: &mut Option<Listener<'_>>) {
        let mut parsed = events2::Line::default();
        for line in words::lines(text) {
            self.counters.lines += 1;
            match events2::parse_into(line, &mut parsed) {
                Ok(()) => {}
                Err(events2::Unparsed::Empty) => continue,
                Err(why) => {
                    self.node.unparsed(line, why);
                    continue;
                }
            }
            let events2::Line { stamp, event } = &parsed;
            if let Some(stamp) = *stamp
                && stamp != self.burst.stamp
            {
                self.end_burst(now, out);
                self.burst.stamp.clear();
                self.burst.stamp.push_str(stamp);
            }
            if matches!(event, Event::DumpEnd) {
                self.dump_end(now, out, heard);
                continue;
            }
            let told = self.changes.len();
            self.node.apply(event, &mut self.changes);
            // The lines of a dump are told at its end: until then there is nothing to decide.
            self.burst.open = self.node.source() != SourceState::Dumping;
            if self.changes.len() > told {
                self.tell(now, told, out);
            }
        }
    }

    /// A dump is complete. It is told piece by piece, so that the changes of a large node are never there all at once.
    fn dump_end(&mut self, now: Mono, out: &mut Vec<Action>, heard: &mut Option<Listener<'_>>) {
        self.node.dump_end();
        self.burst.open = self.node.source() != SourceState::Dumping;
        loop {
            let told = self.changes.len();
            let more = self.node.tell_more(&mut self.changes);
            if self.changes.len() > told {
                self.tell(now, told, out);
            }
            if !more {
                break;
            }
            if let Some(heard) = heard {
                heard(&self.changes);
                self.counters.changes += self.changes.len() as u64;
                self.changes.clear();
            }
        }
        // That the snapshot is the present again concerns all.
        self.index.wait_for_burst(0..self.instances.len());
        self.end_burst(now, out);
    }

    fn end_burst(&mut self, now: Mono, out: &mut Vec<Action>) {
        if !std::mem::take(&mut self.burst.open) {
            return;
        }
        self.counters.bursts += 1;
        let told = self.changes.len();
        self.node.settle(&mut self.changes);
        if self.changes.len() > told {
            self.tell(now, told, out);
        }
        self.index.wait_with(self.node.blocking());
        self.tell_end(now, out);
    }

    /// Tells those that wait for the end of a burst.
    fn tell_end(&mut self, now: Mono, out: &mut Vec<Action>) {
        self.index.wait_with(self.node.parting());
        self.news.extend(self.node.take_parted().into_iter().map(|parted| {
            let resource = Some(parted.resource.clone());
            News { at: now, resource, what: Told::SplitBrain(Box::new(parted)) }
        }));
        for position in self.index.take_burst() {
            self.tell_one(position, now, out, PluginInput::BurstEnd);
        }
        self.node.told();
    }

    /// What the kernel says of a split brain. Within a burst of DRBD's, plugins wait for its end.
    fn kernel_lines(&mut self, now: Mono, records: &[Record], out: &mut Vec<Action>) {
        for record in records {
            if let Fact::SplitBrain(line) = &record.fact {
                self.node.kernel_line(&record.subject, line);
            }
        }
        self.node.old_kernel_lines();
        if self.is_settled() && !self.node.parting().is_empty() {
            self.tell_end(now, out);
        }
    }

    /// Tells the plugins the changes from number `from` of this step on.
    fn tell(&mut self, now: Mono, from: usize, out: &mut Vec<Action>) {
        let changes = std::mem::take(&mut self.changes);
        let told = &changes[from..];
        let heard = self.index.of_changes(told);
        self.index.wait_for_burst(heard.keys().copied());
        for (position, heard) in heard {
            let Some(detail) = self.instances.get(position).and_then(|instance| instance.interest.changes) else {
                continue;
            };
            self.at(position, now, out, |plugin, cx| {
                heard.each(told, |change| {
                    if detail == Detail::All || change.is_state() {
                        plugin.on(cx, PluginInput::Change(change));
                    }
                });
            });
        }
        self.changes = changes;
    }

    /// Tells the plugins that these units have changed.
    fn tell_units(&mut self, now: Mono, changed: &[UnitName], out: &mut Vec<Action>) {
        for (position, heard) in self.index.of_units(changed) {
            let mut theirs = Vec::new();
            heard.each(changed, |unit| theirs.push(unit.clone()));
            if !theirs.is_empty() {
                self.tell_one(position, now, out, PluginInput::Units(&theirs));
            }
        }
    }

    fn done(&mut self, now: Mono, done: &Done, out: &mut Vec<Action>) {
        // Whose plugin is gone is nobody's outcome any more.
        let Some(owner) = self.in_flight.remove(&done.id) else { return };
        let Some(position) = self.index.position(owner) else { return };
        self.tell_one(position, now, out, PluginInput::Done(done));
    }

    fn helper_call(&mut self, now: Mono, call: &HelperCall, out: &mut Vec<Action>) {
        let mut whom = self.index.of_everything().into_iter();
        if !whom.any(|position| self.tell_one(position, now, out, PluginInput::HelperCall(call)) == Handled::Yes) {
            let why = format!("no umh.helper rule with on = \"answer\" matches {}", call.helper);
            let because = [Reason(why.clone())];
            let answer = HelperAnswer::Fallback { why };
            self.effect(&because, Effect::AnswerHelper { request: call.request, answer }, out);
        }
    }

    fn deadlines(&mut self, now: Mono, out: &mut Vec<Action>) {
        self.file_deadlines();
        let due = if self.upset.get() { (0..self.instances.len()).collect() } else { self.index.due(now) };
        for position in due {
            self.at(position, now, out, |plugin, cx| {
                if plugin.next_deadline().is_some_and(|deadline| deadline <= now) {
                    plugin.on(cx, PluginInput::Deadline);
                }
            });
        }
    }

    /// What is known of DRBD is a state that it was in.
    fn is_settled(&self) -> bool {
        !self.burst.open && self.node.source() != SourceState::Dumping
    }

    /// Tells all plugins.
    fn each(&mut self, now: Mono, out: &mut Vec<Action>, input: PluginInput<'_>) {
        for position in 0..self.instances.len() {
            self.tell_one(position, now, out, input);
        }
    }

    /// Tells those that hear everything.
    fn each_of_everything(&mut self, now: Mono, out: &mut Vec<Action>, input: PluginInput<'_>) {
        for position in self.index.of_everything() {
            self.tell_one(position, now, out, input);
        }
    }

    /// Tells the plugin that stands there. One that does not run, or panics over it, has not handled it.
    fn tell_one(&mut self, position: usize, now: Mono, out: &mut Vec<Action>, input: PluginInput<'_>) -> Handled {
        self.at(position, now, out, |plugin, cx| plugin.on(cx, input)).unwrap_or(Handled::No)
    }

    /// Calls the plugin that stands there.
    fn at<R>(
        &mut self,
        position: usize,
        now: Mono,
        out: &mut Vec<Action>,
        f: impl FnOnce(&mut dyn Plugin, &mut Context<'_>) -> R,
    ) -> Option<R> {
        let mut instances = std::mem::take(&mut self.instances);
        let result = instances.get_mut(position).and_then(|instance| self.call(instance, now, out, f));
        self.instances = instances;
        result
    }

    /// Calls one plugin. If it panics, it is stopped.
    fn call<R>(
        &mut self,
        instance: &mut Instance,
        now: Mono,
        out: &mut Vec<Action>,
        f: impl FnOnce(&mut dyn Plugin, &mut Context<'_>) -> R,
    ) -> Option<R> {
        let settled = self.is_settled();
        self.index.called(instance.position, settled);
        let speaks = instance.kind() != PluginKind::Events || self.speaker == Some(instance.id);
        let plugin = instance.plugin.as_deref_mut()?;
        let mut cx = Context {
            settled,
            host: &self.host,
            wall: wall_at(self.wall, now),
            remembered: &self.remembered,
            drained: self.drained.as_ref(),
            promoted: &self.promoted,
            speaks,
            orphans: (self.caretaker == Some(instance.position)).then_some(&self.promoted),
            ..Context::new(now, &self.node, instance.id, &mut self.next_action, out)
        };
        let result = catch(|| f(plugin, &mut cx));
        self.counters.panics += cx.panics;
        self.news.append(&mut cx.news);
        match result {
            Ok(result) => Some(result),
            Err(message) => {
                self.panicked(instance, now, message);
                None
            }
        }
    }
}

/// What these plugins promote.
fn promoted<'a>(plugins: impl Iterator<Item = &'a PluginSettings>) -> BTreeSet<ResourceName> {
    let resources = |settings: &'a PluginSettings| match settings {
        PluginSettings::Promoter(promoter) => Some(promoter.resources.keys()),
        _ => None,
    };
    plugins.filter_map(resources).flatten().cloned().collect()
}

/// What the wall clock shows at `now`, when it showed `wall` before.
fn wall_at(wall: Option<(Mono, WallClock)>, now: Mono) -> Option<WallClock> {
    let (then, wall) = wall?;
    Some(wall.after(now.since(then)))
}
