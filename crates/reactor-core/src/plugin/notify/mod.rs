//! `[[notify]]`: people are told of what happens.
//!
//! ```text
//!  changes of DRBD ─▶ drbd: what is good and bad ─┐
//!  news of plugins, the daemon, storage ──────────┴▶ filter ─▶ damp: what comes and goes ─▶ batch: together, not too often ─▶ Effect::Notify
//! ```
//!
//! What a node knows when the daemon starts has not happened now: it is told only if it is bad and stays so, and once over all restarts.

mod batch;
mod damp;
mod drbd;
pub(crate) mod filter;
mod kept;
mod news;
#[cfg(test)]
mod testing;

use crate::action::{Effect, Reason};
use crate::history::{News, Told};
use crate::ids::Mono;
use crate::input::SourceId;
use crate::notice::{Message, Notice, Topic};
use crate::settings::{Detail, NotifySettings, PluginKind, PluginSettings};

use super::began::Began;
use super::{Context, Counter, Handled, Interest, Plugin, PluginInput, Report};
use batch::{Batch, Taken};
use damp::{Damper, Verdict};
use drbd::Watch;
use filter::{Heard, wants};
use kept::{Kept, Stands};

/// Bytes of one text.
const MAX_TEXT: usize = 1000;
/// Reasons of one notice.
const MAX_REASONS: usize = 16;
/// Resources that one notice names.
const MAX_RESOURCES: usize = 64;

/// One `[[notify]]` table.
pub struct Notify {
    settings: NotifySettings,
    watch: Watch,
    damper: Damper,
    batch: Batch,
    /// Storage events that began in this step.
    began: Began,
    counts: Counts,
    kept: Kept,
}

/// What was told.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    messages: u64,
    notices: u64,
    left_out: u64,
}

impl Notify {
    /// One that has told nothing yet.
    pub fn new(settings: &NotifySettings) -> Self {
        Self {
            settings: settings.clone(),
            watch: Watch::default(),
            damper: Damper::default(),
            batch: Batch::default(),
            began: Began::default(),
            counts: Counts::default(),
            kept: Kept::default(),
        }
    }

    /// Takes in what may have to be told.
    fn hear(&mut self, cx: &mut Context<'_>, all: Vec<Heard>) {
        let is_standing = all.iter().any(|heard| heard.thing.is_some());
        let stands = if is_standing { kept::by_thing(self.watch.standing()) } else { Stands::new() };
        for heard in all {
            if !wants(&self.settings.filter, &heard) {
                continue;
            }
            let notice = bounded(heard.notice);
            let Some(thing) = heard.thing else {
                self.add(cx, notice);
                continue;
            };
            match self.damper.take(cx.now, &thing, notice) {
                Verdict::Tell(notice) => {
                    self.kept.gathers(thing, &stands);
                    self.add(cx, notice);
                }
                Verdict::Hold { dropped } => self.batch.leave_out(dropped),
            }
            if let Some((thing, notice)) = self.damper.make_room(cx.now) {
                self.kept.gathers(thing, &stands);
                self.add(cx, notice);
            }
        }
        self.send_due(cx);
        self.remember(cx);
    }

    fn add(&mut self, cx: &mut Context<'_>, notice: Notice) {
        self.batch.add(cx.now, notice);
        // Each is one message.
        if self.settings.together.is_zero() {
            self.send_due(cx);
        }
    }

    fn send_due(&mut self, cx: &mut Context<'_>) {
        let NotifySettings { together, rate_limit, .. } = self.settings;
        if let Some(taken) = self.batch.take_due(cx.now, together, rate_limit) {
            self.send(cx, taken);
        }
    }

    fn send(&mut self, cx: &mut Context<'_>, taken: Taken) {
        let Taken { notices, left_out } = taken;
        self.kept.sent();
        self.counts.messages += 1;
        self.counts.notices += notices.len() as u64;
        self.counts.left_out += left_out;
        let because = vec![Reason(format!("{} wants to know of it", self.settings.name))];
        let (receiver, node) = (self.settings.name.clone(), cx.host.node.clone());
        cx.effect(because, Effect::Notify(Box::new(Message { receiver, node, notices, left_out })));
    }

    /// Keeps across restarts what was told and still stands. Said after the messages that told it.
    fn remember(&mut self, cx: &mut Context<'_>) {
        let is_changed = self.watch.has_changed();
        let newer = self.kept.newer(|| self.watch.standing(), is_changed, |thing| self.damper.holds(thing));
        if let Some(standing) = newer {
            let because = vec![Reason("what people were told of has begun or ended".to_owned())];
            let (receiver, standing) = (self.settings.name.clone(), standing.into_iter().collect());
            cx.effect(because, Effect::KeepStanding { receiver, standing });
        }
    }

    fn news(&mut self, cx: &mut Context<'_>, all: &[News]) {
        let mut heard = Vec::new();
        for News { resource, what, .. } in all {
            match (what, resource) {
                (Told::Entry(entry), resource) => heard.extend(news::entry(cx, resource.as_ref(), entry)),
                (Told::Event(told), _) => {
                    if self.began.take(&told.event.id) {
                        heard.push(news::event(cx, &told.event, told.incident.as_ref()));
                    }
                }
                (Told::Incident(change, incident), _) => heard.extend(news::incident(cx, *change, incident)),
                (Told::SplitBrain(parted), _) => {
                    let is_new = parted.evidence.is_some() && !parted.is_old;
                    heard.extend(self.watch.parted(cx, &parted.resource, is_new));
                }
                (Told::Presence(presence), Some(name)) => heard.extend(self.watch.presence(cx, name, presence)),
                (Told::Forgotten, Some(name)) => self.watch.unpromoted(name),
                // How a decision ended is in the history; that services failed is told by itself.
                (Told::Outcome(_), _) | (Told::Presence(_) | Told::Forgotten, None) => {}
            }
        }
        self.hear(cx, heard);
    }

    /// Nothing more will come: what waits is told now.
    fn end(&mut self, cx: &mut Context<'_>) {
        for notice in self.damper.take_all(cx.now) {
            self.batch.add(cx.now, notice);
        }
        if let Some(taken) = self.batch.take() {
            self.send(cx, taken);
        }
    }

    fn status(&self) -> Vec<(&'static str, String)> {
        let Counts { messages, notices, left_out } = self.counts;
        vec![
            ("receiver", format!("{} ({})", self.settings.name, self.settings.receiver.as_str())),
            ("messages", messages.to_string()),
            ("told", notices.to_string()),
            ("left out", left_out.to_string()),
            ("gathering", (self.batch.len() + self.damper.len()).to_string()),
            ("standing", self.watch.troubles().to_string()),
        ]
    }
}

impl Plugin for Notify {
    fn kind(&self) -> PluginKind {
        PluginKind::Notify
    }

    fn interest(&self) -> Interest {
        let topics = &self.settings.filter.topics;
        let of_drbd = topics.is_empty() || topics.contains(&Topic::Drbd);
        Interest::in_changes(of_drbd.then_some(Detail::State)).and_news()
    }

    fn on(&mut self, cx: &mut Context<'_>, input: PluginInput<'_>) -> Handled {
        match input {
            PluginInput::Change(change) => self.watch.change(change),
            PluginInput::BurstEnd => {
                let heard = self.watch.settle(cx);
                self.hear(cx, heard);
            }
            PluginInput::Records(SourceId::Storage, records) => self.began.records(records),
            PluginInput::News(news) => self.news(cx, news),
            PluginInput::Standing(told) => {
                let mine = told.iter().filter(|(receiver, _)| *receiver == self.settings.name);
                let mine: Vec<String> = mine.flat_map(|(_, standing)| standing.iter().cloned()).collect();
                self.kept.recall(&mine);
                let heard = self.watch.recall(cx, mine);
                self.hear(cx, heard);
            }
            PluginInput::Deadline => {
                let heard = self.watch.overdue(cx);
                let calm = self.damper.calm(cx.now);
                let stands = if calm.is_empty() { Stands::new() } else { kept::by_thing(self.watch.standing()) };
                for (thing, notice) in calm {
                    self.kept.gathers(thing, &stands);
                    self.add(cx, notice);
                }
                self.hear(cx, heard);
            }
            // Another name is another receiver, with a queue of its own.
            PluginInput::Settings(PluginSettings::Notify(settings)) if settings.name == self.settings.name => {
                self.settings = (**settings).clone();
                self.send_due(cx);
                self.remember(cx);
            }
            PluginInput::Exit => {
                self.end(cx);
                self.remember(cx);
            }
            PluginInput::Stop => {
                self.end(cx);
                let because = vec![Reason("it is no longer configured".to_owned())];
                let (receiver, standing) = (self.settings.name.clone(), Vec::new());
                cx.effect(because, Effect::KeepStanding { receiver, standing });
            }
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn next_deadline(&self) -> Option<Mono> {
        let NotifySettings { together, rate_limit, .. } = self.settings;
        let due = [self.watch.next_deadline(), self.damper.due(), self.batch.due(together, rate_limit)];
        due.into_iter().flatten().min()
    }

    fn report(&self, report: Report<'_>) {
        match report {
            Report::Status(lines) => lines.extend(self.status()),
            Report::Counters(counters) => {
                let Counts { messages, notices, left_out } = self.counts;
                let each = [
                    ("messages", "Messages to a receiver of [[notify]], delivered or not.", messages),
                    ("notices_told", "What these messages tell of.", notices),
                    (
                        "notices_left_out",
                        "What was left out of them: too much at once, or what came and went.",
                        left_out,
                    ),
                ];
                counters.extend(each.map(|(name, help, value)| Counter {
                    name,
                    help,
                    labels: vec![("receiver", self.settings.name.clone())],
                    value,
                }));
            }
            Report::Promoted(..) | Report::Likeness(..) | Report::Incidents(_) | Report::Unkept(_) => {}
        }
    }
}

/// Within bounds: a text of a log may have any length.
fn bounded(mut notice: Notice) -> Notice {
    cut(&mut notice.text);
    notice.because.truncate(MAX_REASONS);
    notice.because.iter_mut().for_each(cut);
    notice.resources.truncate(MAX_RESOURCES);
    notice
}

fn cut(text: &mut String) {
    if text.len() > MAX_TEXT {
        let mut end = MAX_TEXT;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str("...");
    }
}
