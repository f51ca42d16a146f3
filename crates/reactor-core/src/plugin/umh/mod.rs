//! `[[umh]]`: runs the user's handlers when a change matches a rule, and answers DRBD's own helper calls.
//!
//! ```text
//!  Change ─▶ rules::fires ─┬─▶ hold (`for`) ─ deadline, still true ─┐
//!                          └────────────────────────────────────────┴─▶ limits (`rate-limit`) ─▶ queue ─▶ RunHandler
//!  HelperCall ─▶ first rule with on = "answer" ─────────────────────────────────────────────────▶ queue ─▶ RunHandler
//!                                                                                   Done ─▶ queue, AnswerHelper
//! ```
//!
//! It works on edges, as its users asked for; only `for` is judged by the state at its deadline. It never waits: a handler that
//! sleeps holds one of `max-parallel` places and nothing else. What the user sees is in `docs/umh.md`.

mod call;
mod counts;
mod describe;
mod document;
mod env;
mod hold;
mod matcher;
mod present;
mod queue;
mod rules;
mod storage;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::action::{
    AskDrbd, Call, Done, Effect, HandlerEnd, HandlerReport, HandlerRun, HelperAnswer, HelperCall, HelperRequestId,
    Outcome, Reason,
};
use crate::change::{Change, EventKind, What};
use crate::history::{News, Told};
use crate::ids::{EventSeq, Mono};
use crate::input::SourceId;
use crate::model::reports::NoteLevel;
use crate::settings::umh::{HandlerStdin, HelperMoment, Matcher, Rule, When};
use crate::settings::{Detail, PluginKind, PluginSettings, UmhSettings};

use super::began::Began;
use super::limits::{Throttle, Window};
use super::{Context, Counter, Handled, Interest, Plugin, PluginInput, Report};
use call::Asked;
use counts::Counts;
use hold::Holds;
use present::ObjectKey;
use queue::{Job, Queue, Running, Subject, Waiter};
use rules::ObjectKind;
use storage::Happened;

/// One rule in the life of this plugin. A number is never used twice, so what a rule left behind never meets another rule.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct RuleId(u64);

/// One `[[umh]]` table at work.
pub struct Umh {
    rules: Vec<RuleState>,
    /// Positions in `rules` by [`ObjectKind`], in the order of the file.
    by_kind: [Vec<usize>; ObjectKind::COUNT],
    next_rule: u64,
    queue: Queue,
    holds: Holds,
    /// Helpers that wait for an answer, and until when.
    waiters: BTreeMap<HelperRequestId, Mono>,
    last_seq: EventSeq,
    /// When the log is to hear of what was dropped since it last did. Kept apart, because it is asked for at every step.
    next_note: Option<Mono>,
    /// What rules counted that are no longer configured.
    past: Counts,
    /// Storage events that began in this step.
    began: Began,
}

/// A rule and what it remembers.
struct RuleState {
    id: RuleId,
    rule: Arc<Rule>,
    /// Its name, or what stands for it.
    label: Arc<str>,
    window: Window,
    dropped: Throttle,
    limited: Throttle,
    counts: Counts,
}

impl Umh {
    /// A table that has run nothing yet.
    pub fn new(settings: &UmhSettings) -> Self {
        let mut umh = Self {
            rules: Vec::new(),
            by_kind: Default::default(),
            next_rule: 0,
            queue: Queue::new(settings.max_parallel, settings.max_queued),
            holds: Holds::default(),
            waiters: BTreeMap::new(),
            last_seq: EventSeq(0),
            next_note: None,
            past: Counts::default(),
            began: Began::default(),
        };
        umh.take_rules(&settings.rules);
        umh
    }

    /// Takes these rules in place of those so far. Equal ones keep what they remember. Says which are new.
    fn take_rules(&mut self, rules: &[Rule]) -> Vec<usize> {
        let mut old = std::mem::take(&mut self.rules);
        let mut new = Vec::new();
        let mut number = [0; ObjectKind::COUNT];
        self.by_kind = Default::default();
        for (position, rule) in rules.iter().enumerate() {
            let kind = ObjectKind::of_rule(&rule.when);
            number[kind as usize] += 1;
            self.by_kind[kind as usize].push(position);
            let label = label(rule, kind, number[kind as usize]);
            let state = match old.iter().position(|state| *state.rule == *rule) {
                Some(same) => RuleState { label, ..old.remove(same) },
                None => {
                    new.push(position);
                    self.next_rule += 1;
                    RuleState::new(RuleId(self.next_rule), rule, label)
                }
            };
            self.rules.push(state);
        }
        for gone in old {
            self.past.add(&gone.counts);
        }
        new
    }

    fn position(&self, id: RuleId) -> Option<usize> {
        self.rules.iter().position(|state| state.id == id)
    }

    /// What a rule counts; of a rule that is gone, what all those counted.
    fn counts(&mut self, id: RuleId) -> &mut Counts {
        match self.position(id) {
            Some(position) => &mut self.rules[position].counts,
            None => &mut self.past,
        }
    }

    /// A rule's condition came true.
    fn matched(&mut self, cx: &mut Context<'_>, position: usize, change: &Change) {
        let state = &self.rules[position];
        match (state.rule.hold, ObjectKey::of(change)) {
            (Some(time), Some(key)) => {
                // What is gone cannot stay as it is.
                if change.kind != EventKind::Destroy {
                    self.holds.begin(state.id, key, cx.now, time, change);
                }
            }
            (None, _) | (Some(_), None) => self.fire(cx, position, change, None),
        }
    }

    /// Ends the waits of `for` that this change puts an end to.
    fn end_holds(&mut self, kind: ObjectKind, change: &Change) {
        let Some(key) = ObjectKey::of(change) else { return };
        for &position in &self.by_kind[kind as usize] {
            let state = &mut self.rules[position];
            if state.rule.hold.is_some()
                && self.holds.contains(state.id, &key)
                && !rules::level_matches(&state.rule, change)
            {
                self.holds.cancel(state.id, key.clone());
                state.counts.cancelled += 1;
            }
        }
    }

    /// Whether the limit of a rule allows one more handler; if so, it counts.
    fn is_allowed(&mut self, cx: &mut Context<'_>, position: usize) -> bool {
        let state = &mut self.rules[position];
        if let Some(limit) = state.rule.rate_limit
            && !state.window.admit(limit, cx.now)
        {
            state.counts.rate_limited += 1;
            match state.limited.hit(cx.now) {
                Some(count) => note_limited(cx, &state.label, count),
                None => self.note_later(position),
            }
            return false;
        }
        true
    }

    /// Queues the handler of a rule, if the rule's limits allow it. `held` = how long the state has held.
    fn fire(&mut self, cx: &mut Context<'_>, position: usize, change: &Change, held: Option<Duration>) {
        if !self.is_allowed(cx, position) {
            return;
        }
        let state = &self.rules[position];
        let mut because = vec![Reason(describe::change(change)), Reason(format!("rule {} matches", state.label))];
        if let Some(held) = held {
            because.push(Reason(format!("it has been so for {} s", held.as_secs_f64())));
        }
        let stdin = state.rule.stdin;
        let job = Job {
            rule_id: state.id,
            rule: Arc::clone(&state.rule),
            label: Arc::clone(&state.label),
            resource: change.resource.clone(),
            env: env::of_change(&state.rule, &state.label, change, cx.node),
            subject: (stdin == HandlerStdin::Json).then(|| Subject::Change(Box::new(change.clone()))),
            because,
            since: cx.now,
            ask: None,
            answers: None,
        };
        self.offer(cx, position, job);
    }

    /// Queues the handlers of the rules that something of storage concerns.
    fn happened(&mut self, cx: &mut Context<'_>, happened: &Happened) {
        for at in 0..self.by_kind[ObjectKind::Event as usize].len() {
            let position = self.by_kind[ObjectKind::Event as usize][at];
            if !storage::fires(&self.rules[position].rule, happened) || !self.is_allowed(cx, position) {
                continue;
            }
            let state = &self.rules[position];
            let stdin = state.rule.stdin;
            let job = Job {
                rule_id: state.id,
                rule: Arc::clone(&state.rule),
                label: Arc::clone(&state.label),
                resource: happened.subject(),
                env: env::of_storage(&state.rule, &state.label, happened),
                subject: (stdin == HandlerStdin::Json).then(|| Subject::Storage(happened.clone())),
                because: vec![happened.reason(), Reason(format!("rule {} matches", state.label))],
                since: cx.now,
                ask: None,
                answers: None,
            };
            self.offer(cx, position, job);
        }
    }

    /// Puts a handler into the queue, and starts what may start.
    fn offer(&mut self, cx: &mut Context<'_>, position: usize, job: Job) {
        if self.queue.offer(job).is_err() {
            let state = &mut self.rules[position];
            state.counts.dropped += 1;
            match state.dropped.hit(cx.now) {
                Some(count) => note_dropped(cx, &state.label, count, self.queue.max_queued()),
                None => self.note_later(position),
            }
        }
        self.start_ready(cx);
    }

    /// Starts everything that may start.
    fn start_ready(&mut self, cx: &mut Context<'_>) {
        while let Some(mut job) = self.queue.next() {
            let waited = cx.now.since(job.since);
            if waited > Duration::ZERO {
                job.because.push(Reason(format!("it waited {} s for its turn", waited.as_secs_f64())));
            }
            let timeout = match job.answers {
                Some(waiter) => job.rule.timeout.min(waiter.deadline.since(cx.now)),
                None => job.rule.timeout,
            };
            let document = job.subject.as_ref().map(|subject| match subject {
                Subject::Change(change) => document::of_change(&job.label, change, cx.node),
                Subject::Call(call) => document::of_call(&job.label, &Asked::new(call, cx.node), cx.node),
                Subject::Storage(happened) => document::of_storage(&job.label, happened, cx.node),
            });
            let run = HandlerRun {
                rule: job.label.to_string(),
                resource: job.resource,
                command: job.rule.command.clone(),
                env: job.env,
                stdin: job.rule.stdin,
                document,
                timeout,
                max_output_bytes: job.rule.max_output_bytes,
                ask: job.ask,
            };
            let id = cx.call(job.because, Call::Handler(Box::new(run)));
            self.counts(job.rule_id).started += 1;
            self.queue.started(id, Running { rule_id: job.rule_id, label: job.label, answers: job.answers });
        }
    }

    /// Tells a waiting helper, unless it was told already.
    fn answer(&mut self, cx: &mut Context<'_>, request: HelperRequestId, because: &str, answer: HelperAnswer) {
        if self.waiters.remove(&request).is_some() {
            cx.effect(vec![Reason(because.to_owned())], Effect::AnswerHelper { request, answer });
        }
    }

    fn fall_back(&mut self, cx: &mut Context<'_>, request: HelperRequestId, why: String) {
        let because = why.clone();
        self.answer(cx, request, &because, HelperAnswer::Fallback { why });
    }

    /// Fires what has held long enough.
    fn due_holds(&mut self, cx: &mut Context<'_>) {
        while let Some((id, hold)) = self.holds.pop_due(cx.now) {
            let Some(position) = self.position(id) else { continue };
            let present = present::with_present(&hold.change, cx.node);
            match present.filter(|change| rules::level_matches(&self.rules[position].rule, change)) {
                Some(change) => self.fire(cx, position, &change, Some(cx.now.since(hold.since))),
                None => self.rules[position].counts.cancelled += 1,
            }
        }
    }

    /// Gives up on helpers that wait no longer.
    fn due_answers(&mut self, cx: &mut Context<'_>) {
        let due: Vec<HelperRequestId> =
            self.waiters.iter().filter(|(_, deadline)| **deadline <= cx.now).map(|(request, _)| *request).collect();
        for request in due {
            for job in self.queue.take_out(|job| job.answers.is_some_and(|waiter| waiter.request == request)) {
                self.counts(job.rule_id).dropped += 1;
            }
            self.fall_back(cx, request, "the handler did not end in time".to_owned());
        }
    }

    /// A rule has something to say later.
    fn note_later(&mut self, position: usize) {
        let state = &self.rules[position];
        let deadlines = [self.next_note, state.dropped.next_deadline(), state.limited.next_deadline()];
        self.next_note = deadlines.into_iter().flatten().min();
    }

    /// Says how much more was dropped since it was last said.
    fn due_notes(&mut self, cx: &mut Context<'_>) {
        if self.next_note.is_none_or(|at| at > cx.now) {
            return;
        }
        self.next_note = None;
        for state in &mut self.rules {
            if let Some(count) = state.dropped.due(cx.now) {
                note_dropped(cx, &state.label, count, self.queue.max_queued());
            }
            if let Some(count) = state.limited.due(cx.now) {
                note_limited(cx, &state.label, count);
            }
        }
        for position in 0..self.rules.len() {
            self.note_later(position);
        }
    }

    /// Drops what waits for rules that are no longer configured.
    fn forget_gone_rules(&mut self, cx: &mut Context<'_>) {
        let Self { rules, queue, holds, .. } = self;
        let gone = |id: RuleId| !rules.iter().any(|state| state.id == id);
        let jobs = queue.take_out(|job| gone(job.rule_id));
        holds.retain_rules(|id| !gone(id));
        for job in jobs {
            self.past.dropped += 1;
            let text = format!("rule {} is no longer configured: its waiting handler is dropped", job.label);
            match job.answers {
                Some(waiter) => self.fall_back(cx, waiter.request, text),
                None => {
                    cx.effect(job.because, Effect::Note { level: NoteLevel::Warn, text });
                }
            }
        }
    }

    /// What all rules together counted.
    fn total(&self) -> Counts {
        let mut total = self.past.clone();
        for state in &self.rules {
            total.add(&state.counts);
        }
        total
    }
}

impl Plugin for Umh {
    fn kind(&self) -> PluginKind {
        PluginKind::Umh
    }

    fn interest(&self) -> Interest {
        let hears = |state: &RuleState| match &state.rule.when {
            When::Helper(want) => want.on != HelperMoment::Answer,
            When::Event(_) => false,
            _ => true,
        };
        let interest = Interest::in_changes(self.rules.iter().any(hears).then_some(Detail::State));
        let of_storage = !self.by_kind[ObjectKind::Event as usize].is_empty();
        if of_storage { interest.and_news() } else { interest }
    }

    fn on(&mut self, cx: &mut Context<'_>, input: PluginInput<'_>) -> Handled {
        match input {
            PluginInput::Change(change) => self.change(cx, change),
            PluginInput::Records(SourceId::Storage, records) => self.began.records(records),
            PluginInput::News(news) => self.news(cx, news),
            PluginInput::Deadline => self.due(cx),
            PluginInput::Done(done) => self.done(cx, done),
            PluginInput::HelperCall(call) => return self.helper_call(cx, call),
            PluginInput::Settings(PluginSettings::Umh(settings)) => self.reconfigure(cx, settings),
            PluginInput::Stop => self.stop(cx),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn next_deadline(&self) -> Option<Mono> {
        let answers = self.waiters.values().min().copied();
        [self.next_note, self.holds.next_deadline(), answers].into_iter().flatten().min()
    }

    fn report(&self, report: Report<'_>) {
        match report {
            Report::Status(lines) => lines.extend(self.status()),
            Report::Counters(counters) => counters.extend(self.counters()),
            Report::Promoted(..) | Report::Likeness(..) | Report::Incidents(_) | Report::Unkept(_) => {}
        }
    }
}

impl Umh {
    fn change(&mut self, cx: &mut Context<'_>, change: &Change) {
        self.last_seq = change.seq;
        let Some(kind) = ObjectKind::of_change(&change.what) else {
            if let What::Renamed { to } = &change.what {
                self.holds.rename(&change.resource, to);
            }
            return;
        };
        if self.holds.len() > 0 {
            self.end_holds(kind, change);
        }
        for at in 0..self.by_kind[kind as usize].len() {
            let position = self.by_kind[kind as usize][at];
            if rules::fires(&self.rules[position].rule, change) {
                self.matched(cx, position, change);
            }
        }
    }

    fn news(&mut self, cx: &mut Context<'_>, all: &[News]) {
        for news in all {
            let happened = match &news.what {
                Told::Event(told) if self.began.take(&told.event.id) => Some(Happened::event(told)),
                Told::Incident(change, incident) => Happened::incident(*change, incident),
                _ => None,
            };
            if let Some(happened) = happened {
                self.happened(cx, &happened);
            }
        }
    }

    fn due(&mut self, cx: &mut Context<'_>) {
        self.due_holds(cx);
        self.due_answers(cx);
        self.due_notes(cx);
        self.start_ready(cx);
    }

    fn done(&mut self, cx: &mut Context<'_>, done: &Done) {
        let Some(running) = self.queue.ended(done.id) else { return };
        let Outcome::Handler(HandlerReport { end, .. }) = &done.outcome else { return };
        self.counts(running.rule_id).ended(end);
        if let Some(waiter) = running.answers {
            let rule = running.label.to_string();
            match verdict(end) {
                Ok(code) => {
                    let because = format!("the handler of rule {rule} ended with exit code {code}");
                    self.answer(cx, waiter.request, &because, HelperAnswer::Exit { code, rule });
                }
                Err(why) => self.fall_back(cx, waiter.request, format!("the handler of rule {rule} {why}")),
            }
        }
        self.start_ready(cx);
    }

    fn helper_call(&mut self, cx: &mut Context<'_>, call: &HelperCall) -> Handled {
        let asked = Asked::new(call, cx.node);
        let rules = &self.by_kind[ObjectKind::Helper as usize];
        let Some(&position) = rules.iter().find(|position| asked.wanted_by(&self.rules[**position].rule)) else {
            return Handled::No;
        };
        let state = &mut self.rules[position];
        let label = Arc::clone(&state.label);
        self.waiters.insert(call.request, call.deadline);
        if let Some(limit) = state.rule.rate_limit
            && !state.window.admit(limit, cx.now)
        {
            state.counts.rate_limited += 1;
            self.fall_back(cx, call.request, format!("rule {label} is at its rate-limit"));
            return Handled::Yes;
        }
        let job = Job {
            rule_id: state.id,
            rule: Arc::clone(&state.rule),
            env: env::of_call(&state.rule, &label, &asked, cx.node),
            subject: (state.rule.stdin == HandlerStdin::Json).then(|| Subject::Call(Box::new(call.clone()))),
            because: vec![
                Reason(format!("DRBD asks for helper {} of {}", call.helper, asked.resource)),
                Reason(format!("rule {label} is the first that answers it")),
            ],
            ask: Some(AskDrbd { resource: asked.resource.clone(), volume: asked.volume }),
            resource: asked.resource,
            label: Arc::clone(&label),
            since: cx.now,
            answers: Some(Waiter { request: call.request, deadline: call.deadline }),
        };
        if self.queue.offer(job).is_err() {
            self.rules[position].counts.dropped += 1;
            self.fall_back(cx, call.request, format!("rule {label}: max-parallel handlers answer DRBD already"));
        }
        self.start_ready(cx);
        Handled::Yes
    }

    fn reconfigure(&mut self, cx: &mut Context<'_>, settings: &UmhSettings) {
        let new = self.take_rules(&settings.rules);
        self.queue.set_limits(settings.max_parallel, settings.max_queued);
        self.forget_gone_rules(cx);
        // Rules that were there before saw all this when it happened.
        if new.iter().any(|position| self.rules[*position].rule.events.replay) {
            let node = cx.node;
            present::replay(node, self.last_seq, |change| {
                for &position in &new {
                    if rules::fires(&self.rules[position].rule, change) {
                        self.matched(cx, position, change);
                    }
                }
            });
        }
        self.start_ready(cx);
    }

    fn stop(&mut self, cx: &mut Context<'_>) {
        while let Some((&request, _)) = self.waiters.first_key_value() {
            self.fall_back(cx, request, "the rule is no longer configured".to_owned());
        }
    }

    fn status(&self) -> Vec<(&'static str, String)> {
        let total = self.total();
        let mut status = vec![
            ("rules", self.rules.len().to_string()),
            ("running", self.queue.running().to_string()),
            ("queued", self.queue.waiting().to_string()),
            ("holding", self.holds.len().to_string()),
        ];
        status.extend(total.named().map(|(name, _, value)| (name, value.to_string())));
        status
    }

    fn counters(&self) -> Vec<Counter> {
        // Two rules may have one name; a metric may not have two samples of one label.
        let mut by_label: BTreeMap<&str, Counts> = BTreeMap::new();
        for state in &self.rules {
            by_label.entry(&state.label).or_default().add(&state.counts);
        }
        by_label
            .into_iter()
            .flat_map(|(label, counts)| {
                counts.named().map(|(name, help, value)| Counter {
                    name,
                    help,
                    labels: vec![("rule", label.to_owned())],
                    value,
                })
            })
            .collect()
    }
}

impl RuleState {
    fn new(id: RuleId, rule: &Rule, label: Arc<str>) -> Self {
        Self {
            id,
            rule: Arc::new(rule.clone()),
            label,
            window: Window::default(),
            dropped: Throttle::default(),
            limited: Throttle::default(),
            counts: Counts::default(),
        }
    }
}

/// Whether a condition accepts a name: for other plugins.
pub(super) fn accepts_name(matcher: &Matcher<String>, name: &str) -> bool {
    matcher::accepts(matcher, name)
}

/// The rule's name, or its table with its number among those.
fn label(rule: &Rule, kind: ObjectKind, number: usize) -> Arc<str> {
    match rule.name.as_str() {
        "" => Arc::from(format!("umh.{} #{number}", kind.table())),
        name => Arc::from(name),
    }
}

/// The exit code of a handler, or why it has none.
fn verdict(end: &HandlerEnd) -> Result<i32, String> {
    match end {
        HandlerEnd::Exited(code) => Ok(*code),
        HandlerEnd::Signalled(signal) => Err(format!("was ended by signal {signal}")),
        HandlerEnd::TimedOut => Err("did not end in time".to_owned()),
        HandlerEnd::Aborted => Err("was ended because the daemon stops".to_owned()),
        HandlerEnd::NotStarted { error } => Err(format!("could not be started: {error}")),
    }
}

fn note_dropped(cx: &mut Context<'_>, label: &str, count: u64, max_queued: usize) {
    let text = format!("rule {label}: {count} handler(s) dropped, because max-queued = {max_queued} wait already");
    let because = vec![Reason("the queue of its [[umh]] table is full".to_owned())];
    cx.effect(because, Effect::Note { level: NoteLevel::Warn, text });
}

fn note_limited(cx: &mut Context<'_>, label: &str, count: u64) {
    let text = format!("rule {label}: {count} handler(s) not run, because of its rate-limit");
    cx.effect(vec![Reason("its rate-limit is reached".to_owned())], Effect::Note { level: NoteLevel::Info, text });
}
