//! What happens to DRBD, as words that people know: from levels, so that a message names what was lost and not each state on the way.
//!
//! ```text
//!            it was good, and is bad                        it is good again
//!   (good) ─────────────────────────▶ told ─────────────────────────────────────▶ its end is told
//!                                       ▲
//!   (found bad, or coming up) ─ waits ──┘ a minute later it is still bad
//!                                 └─ it is good before that ─▶ nothing is told
//! ```
//!
//! What was told before a restart is remembered, and is not told again; that it is over is. Whatever was not seen to be good may be on its way up.

mod happened;
mod judge;
mod levels;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reactor_storage::event::Severity;

use crate::change::{Change, Origin, What};
use crate::history::{Presence, Serving};
use crate::ids::{Mono, ResourceName};
use crate::notice::{Notice, Topic, words};
use crate::plugin::Context;

use super::filter::Heard;
use happened::Memory;
use judge::Judge;
use levels::{Bad, Part, Told};

/// What is bad when the daemon looks at it first is told if it is still so after this time.
pub(super) const GRACE: Duration = Duration::from_secs(60);
/// Things that are remembered from before a restart.
const MAX_RECALLED: usize = 10_000;

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Watch {
    resources: BTreeMap<ResourceName, Known>,
    /// Something of it changed since it was judged.
    touched: BTreeSet<ResourceName>,
    /// How parts that changed since then were before.
    was: BTreeMap<(ResourceName, Part), String>,
    /// What waits to be told if it lasts.
    due: BTreeSet<(Mono, ResourceName, Part)>,
    /// What was told before a restart, and has not been seen since.
    recalled: BTreeSet<String>,
    /// What stands is otherwise than when it was asked for last.
    is_changed: bool,
}

/// What is known of a resource.
#[derive(Debug, Default)]
struct Known {
    good: BTreeSet<Part>,
    troubles: BTreeMap<Part, Trouble>,
    memory: Memory,
    presence: Option<Serving>,
    /// When somebody last dropped a connection of it here.
    dropped: Option<Mono>,
}

/// Something that is bad.
#[derive(Debug)]
struct Trouble {
    bad: Bad,
    since: Mono,
    /// When it is told; `None` = it was.
    waits: Option<Mono>,
    /// It was seen to come, from this state.
    seen: Option<String>,
    /// The words by which it was told, and how bad it was.
    told: Vec<(&'static str, Severity)>,
}

impl Watch {
    /// One change of one object. It is judged when the burst is over.
    pub(super) fn change(&mut self, change: &Change) {
        if let What::Renamed { to } = &change.what {
            return self.rename(&change.resource, to);
        }
        if change.origin != Origin::Replay
            && let Some((part, was)) = before(&change.what)
        {
            self.was.entry((change.resource.clone(), part)).or_insert(was);
        }
        self.touched.insert(change.resource.clone());
    }

    fn rename(&mut self, from: &ResourceName, to: &ResourceName) {
        let Some(known) = self.resources.remove(from) else { return };
        for (part, trouble) in &known.troubles {
            if let Some(at) = trouble.waits
                && self.due.remove(&(at, from.clone(), part.clone()))
            {
                self.due.insert((at, to.clone(), part.clone()));
            }
        }
        self.resources.insert(to.clone(), known);
        self.touched.remove(from);
        self.touched.insert(to.clone());
        self.is_changed = true;
    }

    /// The split brain of a resource is new, or over: it is looked at.
    pub(super) fn parted(&mut self, cx: &Context<'_>, resource: &ResourceName, is_new: bool) -> Vec<Heard> {
        if is_new && let Some(found) = cx.node.resource(resource.as_str()) {
            let known = self.resources.entry(resource.clone()).or_default();
            known.good.extend(found.split.keys().map(|peer| Part::Data(*peer)));
        }
        self.judge(cx, resource)
    }

    /// What has become of all that changed, now that the burst is over.
    pub(super) fn settle(&mut self, cx: &Context<'_>) -> Vec<Heard> {
        let touched = std::mem::take(&mut self.touched);
        let mut heard = Vec::new();
        for name in &touched {
            heard.extend(self.judge(cx, name));
        }
        self.was.clear();
        heard
    }

    fn judge(&mut self, cx: &Context<'_>, name: &ResourceName) -> Vec<Heard> {
        let Some(resource) = cx.node.resource(name.as_str()) else { return self.gone(cx, name) };
        let mut judge = Judge { watch: self, cx, name, resource: Some(resource), heard: Vec::new() };
        let levels = levels::of(resource, cx.node.dialect());
        judge.dropped(resource, &levels);
        judge.forget_what_is_gone(&levels);
        for (part, level) in levels {
            judge.part(part, level);
        }
        judge.happened(resource);
        judge.heard
    }

    /// It was taken down: that is the end of all that was wrong with it here.
    fn gone(&mut self, cx: &Context<'_>, name: &ResourceName) -> Vec<Heard> {
        let Some(known) = self.resources.remove(name) else { return Vec::new() };
        let mut ends = Vec::new();
        for (part, trouble) in known.troubles {
            self.due.extend_remove(trouble.waits, name, &part);
            ends.extend(trouble.told);
        }
        // The word, and then the resource: see `key`.
        let is_of_it = |key: &String| key.split(' ').nth(1) == Some(name.as_str());
        let (of_it, others): (BTreeSet<_>, _) = std::mem::take(&mut self.recalled).into_iter().partition(is_of_it);
        self.recalled = others;
        let words = of_it.iter().filter_map(|key| words::word(key.split(' ').next()?));
        ends.extend(words.map(|word| (word.name, word.severity)));
        self.is_changed |= !ends.is_empty();
        let notice = notice(cx, name, "resource-down", None, "it was taken down on this node");
        vec![Heard { ends, ..Heard::once(notice) }]
    }

    /// Where the services of a resource run.
    pub(super) fn presence(&mut self, cx: &Context<'_>, name: &ResourceName, presence: &Presence) -> Vec<Heard> {
        let because: Vec<String> = presence.because.iter().map(|reason| reason.0.clone()).collect();
        let known = self.resources.entry(name.clone()).or_default();
        let was = known.presence.replace(presence.serving);
        let is_moved = was.is_some_and(|was| was != presence.serving);
        let mut judge = Judge { watch: self, cx, name, resource: cx.node.resource(name.as_str()), heard: Vec::new() };
        match presence.serving {
            Serving::Here | Serving::Elsewhere => {
                judge.moved(presence.serving, is_moved, because);
                judge.known().good.insert(Part::Services);
            }
            Serving::Nowhere if presence.planned => {
                judge.moved(Serving::Nowhere, is_moved, because);
                judge.known().good.remove(&Part::Services);
            }
            Serving::Nowhere => {
                let bad = Bad {
                    word: "down",
                    severity: Severity::Warning,
                    text: "its services do not run".to_owned(),
                    found: None,
                    state: None,
                    told: Told::IfItWasGood,
                };
                judge.bad(Part::Services, bad, because);
            }
            Serving::Unknown => {}
        }
        judge.heard
    }

    /// Nobody runs its services here any more, as far as this daemon is concerned.
    pub(super) fn unpromoted(&mut self, name: &ResourceName) {
        if let Some(known) = self.resources.get_mut(name) {
            known.presence = None;
            known.good.remove(&Part::Services);
            self.is_changed |= !take_recalled(&mut self.recalled, name, &Part::Services).is_empty();
            if let Some(trouble) = known.troubles.remove(&Part::Services) {
                self.is_changed |= trouble.waits.is_none();
                self.due.extend_remove(trouble.waits, name, &Part::Services);
            }
        }
    }

    /// What has been bad for long enough.
    pub(super) fn overdue(&mut self, cx: &Context<'_>) -> Vec<Heard> {
        let mut heard = Vec::new();
        while let Some((at, name, part)) = self.due.first().cloned().filter(|(at, ..)| *at <= cx.now) {
            self.due.remove(&(at, name.clone(), part.clone()));
            let resource = cx.node.resource(name.as_str());
            let mut judge = Judge { watch: self, cx, name: &name, resource, heard: Vec::new() };
            judge.overdue(&part);
            heard.append(&mut judge.heard);
        }
        heard
    }

    /// When [`overdue`](Self::overdue) has something to say.
    pub(super) fn next_deadline(&self) -> Option<Mono> {
        self.due.first().map(|(at, ..)| *at)
    }

    /// This was told before a restart. What of it was found to be over before that was known is told.
    pub(super) fn recall(&mut self, cx: &Context<'_>, told: impl IntoIterator<Item = String>) -> Vec<Heard> {
        let before = self.recalled.len();
        self.recalled.extend(told);
        // Whoever keeps it has forgotten what was said before it was known what there was.
        self.is_changed |= self.recalled.len() > before;
        while self.recalled.len() > MAX_RECALLED {
            self.recalled.pop_last();
        }
        let Self { resources, recalled, due, .. } = self;
        for (name, known) in resources {
            for (part, trouble) in known.troubles.iter_mut().filter(|(_, trouble)| trouble.waits.is_some()) {
                if recalled.contains(&key(trouble.bad.word, name, part)) {
                    due.extend_remove(trouble.waits.take(), name, part);
                    trouble.was_told(take_recalled(recalled, name, part));
                }
            }
        }
        self.over(cx)
    }

    /// What was told before a restart, and is as it should be by what was judged until now.
    fn over(&mut self, cx: &Context<'_>) -> Vec<Heard> {
        let mut heard = Vec::new();
        if self.recalled.is_empty() {
            return heard;
        }
        let names: Vec<ResourceName> = self.resources.keys().cloned().collect();
        for name in &names {
            let resource = cx.node.resource(name.as_str());
            let mut judge = Judge { watch: self, cx, name, resource, heard: Vec::new() };
            judge.found_good();
            heard.append(&mut judge.heard);
        }
        heard
    }

    /// Whether something else stands than when this was asked last.
    pub(super) fn has_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }

    /// All that was told and still stands.
    pub(super) fn standing(&self) -> BTreeSet<String> {
        let mut standing = self.recalled.clone();
        for (name, known) in &self.resources {
            for (part, trouble) in &known.troubles {
                standing.extend(trouble.told.iter().map(|(word, _)| key(word, name, part)));
            }
        }
        standing
    }

    /// How many things stand wrong, told or not.
    pub(super) fn troubles(&self) -> usize {
        self.resources.values().map(|known| known.troubles.len()).sum()
    }
}

impl Trouble {
    /// It was told by these words before a restart.
    fn was_told(&mut self, told: Vec<(&'static str, Severity)>) {
        if told.iter().any(|(word, _)| *word == "standalone") {
            self.bad.word = "standalone";
        }
        self.told = told;
    }
}

/// By which words trouble of this part was told before a restart. They are forgotten.
fn take_recalled(recalled: &mut BTreeSet<String>, name: &ResourceName, part: &Part) -> Vec<(&'static str, Severity)> {
    let is_told = |word: &&words::Word| recalled.remove(&key(word.name, name, part));
    words_of(part).filter(is_told).map(|word| (word.name, word.severity)).collect()
}

/// What comes and goes with each other has one name.
fn thing(name: &ResourceName, part: &Part) -> Option<String> {
    Some(format!("{name} {part} {}", end_of(part)))
}

/// Removes a deadline, if there is one.
trait Deadlines {
    fn extend_remove(&mut self, at: Option<Mono>, name: &ResourceName, part: &Part);
}

impl Deadlines for BTreeSet<(Mono, ResourceName, Part)> {
    fn extend_remove(&mut self, at: Option<Mono>, name: &ResourceName, part: &Part) {
        if let Some(at) = at {
            self.remove(&(at, name.clone(), part.clone()));
        }
    }
}

/// What is remembered of something that was told.
fn key(word: &str, name: &ResourceName, part: &Part) -> String {
    format!("{word} {name} {part}")
}

/// The state before, of changes of which one is told.
fn before(what: &What) -> Option<(Part, String)> {
    match what {
        What::Device { volume, old, .. } => Some((Part::Disk(*volume), old.state.disk.to_string())),
        What::Connection { peer, old, .. } => Some((Part::Connection(*peer), old.state.connection.to_string())),
        What::PeerDevice { peer, volume, old, .. } => {
            Some((Part::PeerDisk(*peer, *volume), old.state.peer_disk.to_string()))
        }
        What::Resource { .. } | What::Path { .. } | What::Renamed { .. } | What::Helper(_) => None,
    }
}

/// A notice about a resource, and of it about one volume, or about all.
fn notice(cx: &Context<'_>, name: &ResourceName, what: &'static str, volume: Option<u32>, text: &str) -> Notice {
    let word = words::word(what);
    let volume = volume.map(|volume| format!("/{volume}")).unwrap_or_default();
    Notice {
        unix_ms: cx.wall.map_or(0, |wall| wall.unix_ms),
        topic: word.map_or(Topic::Drbd, |word| word.topic),
        what: what.to_owned(),
        severity: word.map_or(Severity::Info, |word| word.severity),
        text: format!("{name}{volume}: {text}"),
        because: Vec::new(),
        resources: vec![name.to_string()],
        incident: None,
        event: None,
    }
}

/// The volume that a part is about.
fn volume(part: &Part) -> Option<u32> {
    match part {
        Part::Disk(volume) | Part::PeerDisk(_, volume) => Some(volume.0),
        _ => None,
    }
}

/// The words by which trouble of a part is told.
fn words_of(part: &Part) -> impl Iterator<Item = &'static words::Word> + use<> {
    words::ended_by(end_of(part))
}

/// The word that ends trouble of a part.
fn end_of(part: &Part) -> &'static str {
    match part {
        Part::Disk(_) => "disk-up-to-date",
        Part::Connection(_) => "connection-back",
        Part::Path(..) => "path-back",
        Part::PeerDisk(..) => "peer-disk-up-to-date",
        Part::Data(_) => "split-brain-over",
        Part::Quorum => "quorum-back",
        Part::Suspension => "resumed",
        Part::IoFailures => "io-failures-over",
        Part::Services => "running",
    }
}

/// A time as people say it.
fn time(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}
