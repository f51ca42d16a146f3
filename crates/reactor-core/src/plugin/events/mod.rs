//! `[[events]]`: what the kernel and the storage tools say of storage. Events of one cause are one incident; what becomes of incidents goes into the
//! log and the history.
//!
//! The lines of logs became events before they came here (`reactor_storage::pipeline`): a flood of lines is a handful of events. What is open is kept
//! across restarts.

mod missed;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reactor_storage::catalogue::EventType;
use reactor_storage::device::Summary;
use reactor_storage::event::{Event, Severity};
use reactor_storage::incidents::{Change, End, Incident, Incidents, News, Settings, Trouble};
use reactor_storage::pipeline::{Phase, Told};

use crate::action::{Effect, Reason};
use crate::history::{self, Entry, Kind, StorageEvent};
use crate::ids::{Mono, ResourceName};
use crate::input::{Boot, Fact, Record, SourceId};
use crate::model::reports::NoteLevel;
use crate::operator::{OperatorAnswer, OperatorRequest, OperatorVerb};
use crate::settings::{EventsSettings, PluginKind, PluginSettings};

use super::{Context, Counter, Handled, Interest, Plugin, PluginInput, Report};
use missed::Missed;

/// Types of events that are counted apart; the rest is counted as `other`.
const MAX_TYPES: usize = 512;
/// So often at most what is open is kept. A first change is kept at once: how far the logs were read is saved soon after it.
const KEEP: Duration = Duration::from_secs(1);
/// So many events are remembered until it is known what was open before.
const MAX_EARLY: usize = 256;
/// Troubles of an incident that are named when it is told.
const NAMED: usize = 6;

/// One `[[events]]` table.
pub struct Events {
    incidents: Incidents,
    /// By type, severity and kind of device.
    counts: BTreeMap<(String, &'static str, &'static str), u64>,
    /// How far events that still grow have been counted, by id.
    growing: BTreeMap<String, u64>,
    /// The wall's clock minus the daemon's, in microseconds, since the first event.
    offset: Option<u64>,
    /// What is open has changed, and is kept then.
    keep_at: Option<Mono>,
    /// When that was done last.
    kept: Option<Mono>,
    /// What has said that something is right again, until it is known what was open before; `None` = that is known.
    early: Option<Vec<Event>>,
    missed: Missed,
}

impl Events {
    /// One that has seen nothing yet.
    pub fn new(settings: &EventsSettings) -> Self {
        Self {
            incidents: Incidents::new(of(settings)),
            counts: BTreeMap::new(),
            growing: BTreeMap::new(),
            offset: None,
            keep_at: None,
            kept: None,
            early: Some(Vec::new()),
            missed: Missed::default(),
        }
    }

    fn records(&mut self, cx: &mut Context<'_>, records: &[Record]) {
        for record in records {
            match &record.fact {
                Fact::Storage(told) => self.told(cx, told),
                Fact::Booted => self.booted(cx),
                Fact::Lost { count } => self.missed.lost(cx.now, *count),
                Fact::Suppressed { function, count } => self.missed.left_out(cx.now, function, *count),
                _ => {}
            }
        }
    }

    /// Tells of what was missed.
    fn missed(cx: &mut Context<'_>, news: Option<history::News>) {
        cx.news.extend(news.filter(|_| cx.speaks));
    }

    fn told(&mut self, cx: &mut Context<'_>, told: &Told) {
        let event = &told.event;
        let more = self.count(told, cx.speaks);
        if told.phase == Phase::Ended && event.count == 1 {
            // Its beginning said it all.
            return;
        }
        if let Some(early) = &mut self.early
            && early.len() < MAX_EARLY
            && EventType::built_in(&event.kind).is_some_and(|of| !of.clears.is_empty())
        {
            early.push(event.clone());
        }
        let now = self.axis(cx);
        // A person may have closed its incident since it was last told, and that it ends is no trouble.
        let is_news = told.phase != Phase::Ended || more > 0;
        let news = if is_news { self.incidents.take(event, now) } else { Vec::new() };
        if cx.speaks {
            let incident = news.iter().find(|news| news.change != Change::Over).map(|news| news.incident.id.clone());
            let event = Arc::new(StorageEvent { event: event.clone(), incident });
            cx.news.push(history::News { at: cx.now, resource: None, what: history::Told::Event(event) });
        }
        self.tell(cx, news);
    }

    /// What was told so far happened before the machine booted: what a boot puts right is right by now.
    fn booted(&mut self, cx: &Context<'_>) {
        let now = self.axis(cx);
        self.incidents.booted(now);
        self.keep_soon(cx.now);
    }

    /// What is open has changed.
    fn keep_soon(&mut self, now: Mono) {
        let next = self.kept.map_or(now, |kept| kept.after(KEEP).max(now));
        self.keep_at.get_or_insert(next);
    }

    /// How often it has happened since it was last told.
    fn count(&mut self, told: &Told, speaks: bool) -> u64 {
        let Told { phase, event } = told;
        let counted = match phase {
            Phase::Ended => self.growing.remove(&event.id),
            Phase::Began | Phase::Grew => self.growing.insert(event.id.clone(), event.count),
        };
        let more = event.count.saturating_sub(counted.unwrap_or_default());
        let class = event.device.as_ref().map_or("none", |device| device.kind.as_str());
        let mut key = (event.kind.clone(), event.severity.as_str(), class);
        if self.counts.len() >= MAX_TYPES && !self.counts.contains_key(&key) {
            key = ("other".to_owned(), event.severity.as_str(), "other");
        }
        // Another table hears the same: one of them counts.
        if speaks {
            *self.counts.entry(key).or_default() += more;
        }
        more
    }

    fn tell(&mut self, cx: &mut Context<'_>, news: Vec<News>) {
        if !news.is_empty() {
            self.keep_soon(cx.now);
        }
        if !cx.speaks {
            return;
        }
        for News { change, incident } in news {
            let what = history::Told::Incident(change, Arc::clone(&incident));
            cx.news.push(history::News { at: cx.now, resource: None, what });
            let Some(text) = sentence(change, &incident) else { continue };
            let (severity, level) = loudness(change, &incident);
            let because = reasons(&incident);
            let mut entry = Entry::new(Kind::Incident, severity, text.clone()).because(because.clone());
            entry.outcome = incident.end.as_ref().map(|end| end.words().to_owned());
            let resources = resources(&incident);
            let about = |resource| history::News { at: cx.now, resource, what: history::Told::Entry(entry.clone()) };
            if resources.is_empty() {
                cx.news.push(about(None));
            }
            cx.news.extend(resources.into_iter().map(|resource| about(Some(resource))));
            cx.effect(because, Effect::Note { level, text });
        }
    }

    /// What is open is kept across restarts: at once, and then once in a second at most, however much happens.
    fn keep(&mut self, cx: &mut Context<'_>) {
        if self.keep_at.take_if(|at| *at <= cx.now).is_some() {
            self.kept = Some(cx.now);
            if !cx.speaks {
                return;
            }
            let because = vec![Reason("storage incidents have changed".to_owned())];
            cx.effect(because, Effect::KeepIncidents(self.incidents.open().cloned().collect()));
        }
    }

    fn operator(&mut self, cx: &mut Context<'_>, request: &OperatorRequest) -> Handled {
        let OperatorVerb::CloseIncident { incident } = &request.verb else { return Handled::No };
        let now = self.axis(cx);
        let Ok(news) = self.incidents.close(incident, &request.who, now) else { return Handled::No };
        self.tell(cx, vec![news]);
        self.keep(cx);
        let answer = OperatorAnswer::Done { text: format!("storage incident {incident} is closed") };
        let because = vec![Reason(format!("{} asked for: {}", request.who, request.verb))];
        cx.effect(because, Effect::AnswerOperator { request: request.request, answer });
        Handled::Yes
    }

    /// The time of this step for incidents: that of the wall when the first event came, which then goes on as the daemon's clock does, also if
    /// somebody sets the clock. So times of incidents mean the same after a restart.
    fn axis(&mut self, cx: &Context<'_>) -> u64 {
        let now = micros(cx.now);
        let wall = cx.wall.map_or(now, |wall| wall.unix_ms.saturating_mul(1000));
        now.saturating_add(*self.offset.get_or_insert(wall.saturating_sub(now)))
    }

    fn status(&self) -> Vec<(&'static str, String)> {
        let open: Vec<&Arc<Incident>> = self.incidents.open().collect();
        let worst = open.iter().max_by_key(|incident| incident.severity);
        let mut lines = vec![("incidents", open.len().to_string())];
        lines.extend(worst.map(|worst| ("worst", worst.title())));
        lines
    }
}

/// Of all settings those that the incidents have.
fn of(settings: &EventsSettings) -> Settings {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    Settings { together_us: micros(settings.together), quiet_us: micros(settings.quiet_after), ..Settings::default() }
}

fn micros(at: Mono) -> u64 {
    u64::try_from(at.since(Mono::default()).as_micros()).unwrap_or(u64::MAX)
}

/// What is worth saying of what became of an incident: that it grew is said only when it reaches something new.
pub fn sentence(change: Change, incident: &Incident) -> Option<String> {
    let title = incident.title();
    let id = &incident.id;
    Some(match change {
        Change::Opened => format!("storage incident {id} ({}): {title}", incident.severity),
        Change::Grew => {
            let newest = incident.troubles.last().filter(|trouble| is_new(trouble, incident))?;
            format!("storage incident {id} reaches {}: {}", newest.event.subject_with_id(), newest.event.kind)
        }
        Change::Eased => return None,
        Change::Over => match &incident.end {
            Some(End::PartOf { incident }) => format!("storage incident {id} is part of {incident}"),
            Some(end) => format!("storage incident {id} is over: {}", end.words()),
            None => return None,
        },
    })
}

/// Whether a trouble came with the last event, and has not been there before it.
fn is_new(trouble: &Trouble, incident: &Incident) -> bool {
    incident.troubles.len() > 1 && trouble.last_us == incident.last_us && trouble.count == trouble.event.count
}

fn loudness(change: Change, incident: &Incident) -> (history::Severity, NoteLevel) {
    if matches!(change, Change::Over | Change::Eased) {
        return (history::Severity::Info, NoteLevel::Info);
    }
    match incident.severity {
        Severity::Critical | Severity::Error => (history::Severity::Error, NoteLevel::Error),
        Severity::Warning => (history::Severity::Warning, NoteLevel::Warn),
        Severity::Notice | Severity::Info => (history::Severity::Info, NoteLevel::Info),
    }
}

/// The troubles, the first ones, and what the log said of them.
pub fn reasons(incident: &Incident) -> Vec<Reason> {
    let of = |trouble: &Trouble| Reason(format!("{}: {}", trouble.event.subject_with_id(), trouble.event.message));
    incident.troubles.iter().take(NAMED).map(of).collect()
}

/// The DRBD resources that an incident touches.
pub fn resources(incident: &Incident) -> Vec<ResourceName> {
    let devices = incident.troubles.iter().flat_map(|trouble| trouble.event.devices());
    let volumes = devices.flat_map(|device: &Summary| device.carries.drbd.iter());
    let mut names: Vec<&str> = volumes.filter_map(|volume| Some(volume.rsplit_once('/')?.0)).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(ResourceName::new).collect()
}

impl Plugin for Events {
    fn kind(&self) -> PluginKind {
        PluginKind::Events
    }

    fn interest(&self) -> Interest {
        Interest::in_changes(None)
    }

    fn on(&mut self, cx: &mut Context<'_>, input: PluginInput<'_>) -> Handled {
        match input {
            PluginInput::Records(SourceId::Storage, records) => {
                self.records(cx, records);
                self.keep(cx);
            }
            PluginInput::Deadline => {
                let now = self.axis(cx);
                let news = self.incidents.expire(now);
                self.tell(cx, news);
                Self::missed(cx, self.missed.over(cx.now));
                self.keep(cx);
            }
            PluginInput::Settings(PluginSettings::Events(settings)) => self.incidents.set(of(settings)),
            PluginInput::Incidents(open, boot) => {
                let now = self.axis(cx);
                let since = self.early.take().unwrap_or_default();
                let news = self.incidents.restore(open.iter().cloned(), boot == Boot::Another, &since, now);
                self.tell(cx, news);
                self.keep_at.get_or_insert(cx.now);
                self.keep(cx);
            }
            // Nothing waits any more.
            PluginInput::Exit | PluginInput::Stop => {
                Self::missed(cx, self.missed.told());
                self.keep_at = self.keep_at.map(|_| cx.now);
                self.keep(cx);
            }
            PluginInput::Operator(request) => return self.operator(cx, request),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn next_deadline(&self) -> Option<Mono> {
        let due = self.incidents.next_deadline().map(|at| at.saturating_sub(self.offset.unwrap_or_default()));
        let due = due.map(|at| Mono::default().after(Duration::from_micros(at)));
        due.into_iter().chain(self.keep_at).chain(self.missed.next_deadline()).min()
    }

    fn report(&self, report: Report<'_>) {
        match report {
            Report::Status(lines) => lines.extend(self.status()),
            Report::Counters(counters) => {
                counters.extend(self.counts.iter().map(|((kind, severity, class), count)| Counter {
                    name: "seen",
                    help: "Storage events, by type, severity and kind of device; each time that one happened counts.",
                    labels: vec![
                        ("type", kind.clone()),
                        ("severity", (*severity).to_owned()),
                        ("device_class", (*class).to_owned()),
                    ],
                    value: *count,
                }));
            }
            Report::Incidents(open) => open.extend(self.incidents.open().cloned()),
            Report::Unkept(unkept) => {
                let is_early = self.early.as_ref().is_some_and(|early| !early.is_empty());
                *unkept |= self.keep_at.is_some() || is_early;
            }
            Report::Promoted(..) | Report::Likeness(..) => {}
        }
    }
}

#[cfg(test)]
mod tests;
