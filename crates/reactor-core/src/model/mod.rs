//! The snapshot of this node: every DRBD object with its present state.
//!
//! ```text
//!   Started ─▶ lines build a new snapshot aside ── exists - ──▶ differences are told, the new snapshot counts ─▶ live lines
//!      ▲                    │ Ended: the unfinished one is dropped                                               │
//!      └────────────────────┴──────────────────────────────── Ended: the snapshot is stale, but stays ◀───────────┘
//! ```
//!
//! So a source that dies, also in the middle of a dump, costs nothing but time: nobody is told anything that did not happen.

mod check;
mod diff;
pub mod objects;
pub mod promote;
pub mod reports;
mod snapshot;
pub mod sources;
pub mod split_brain;
mod table;
mod text;
mod update;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::change::{Change, EventKind, Origin, What};
use crate::drbd::events2::{Event, Unparsed};
use crate::ids::{ConnName, EventSeq, Minor, ResourceName, UnitName, Volume};
use crate::input::{Dialect, SourceEvent, SourceId};
use crate::kernel_log::SplitBrainLine;
use crate::settings::Detail;
use crate::subject::Subject;

use objects::Resource;
use reports::Reports;
use snapshot::{Sink, Snapshot};
use sources::Sources;
use split_brain::{Evidence, Parted, Waiting};

use crate::systemd::Units;

/// All that is known about this node.
#[derive(Clone, Debug, Default)]
pub struct Node {
    snapshot: Snapshot,
    /// The snapshot of a dump that is not complete yet.
    aside: Option<Snapshot>,
    /// What of a complete dump is not told yet.
    telling: Option<Telling>,
    source: SourceState,
    sources: Sources,
    dialect: Dialect,
    detail: Detail,
    /// Whether a complete dump was ever seen.
    seen: bool,
    seq: u64,
    generation: u64,
    /// Events applied.
    events: u64,
    /// Resources of which this burst may change what has to be computed.
    unsettled: BTreeSet<ResourceName>,
    /// See [`Node::blocking`].
    blocking: BTreeSet<ResourceName>,
    /// See [`Node::take_parted`].
    parted: Vec<Parted>,
    /// See [`Node::parting`].
    parting: BTreeSet<ResourceName>,
    /// What the kernel has said of a split brain before DRBD's first dump.
    kernel: Waiting,
    poll_interval: Option<Duration>,
    reports: Reports,
    units: Units,
}

/// So many changes are told together, and then those of one more resource at most: a dump has as many as there are objects.
const PIECE: usize = 1024;

/// A dump that is complete and not told to its end.
#[derive(Clone, Debug)]
struct Telling {
    /// The snapshot before it.
    before: Snapshot,
    /// The resources that are not told yet.
    names: std::vec::IntoIter<ResourceName>,
    origin: Origin,
    appeared: EventKind,
}

/// What we can say of the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SourceState {
    /// Never heard of it.
    #[default]
    Unknown,
    /// It prints its dump; the snapshot is that of before.
    Dumping,
    /// The snapshot is the present.
    Live,
    /// It ended; the snapshot is stale.
    Down,
}

impl SourceState {
    /// The word as status and JSON spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Dumping => "dumping",
            Self::Live => "live",
            Self::Down => "down",
        }
    }
}

impl Node {
    /// The resources by name.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.snapshot.resources.iter().map(|(_, resource)| resource)
    }

    /// The resources by name as they are now, for somebody who reads them elsewhere. Costs a reference count for each, and the
    /// copy of one that changes while it is still being read.
    pub fn snapshot(&self) -> Vec<Arc<Resource>> {
        self.snapshot.resources.shared().cloned().collect()
    }

    /// Grows whenever anything about any resource may have changed: equal numbers mean an equal [`snapshot`](Self::snapshot).
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// One resource.
    pub fn resource(&self, name: &str) -> Option<&Resource> {
        self.snapshot.resources.get(name)
    }

    /// This resource and these units alone, for somebody who wants to change them in thought. Costs what they are, however many others there are.
    pub fn only<'a>(&self, name: &str, units: impl Iterator<Item = &'a UnitName>) -> Self {
        let mut snapshot = Snapshot::default();
        if let Some(resource) = self.resource(name) {
            snapshot.resources.insert(resource.clone());
        }
        Self {
            snapshot,
            source: self.source,
            dialect: self.dialect,
            seen: self.seen,
            poll_interval: self.poll_interval,
            units: self.units.only(units),
            ..Self::default()
        }
    }

    /// Changes a resource in thought: nobody is told.
    pub(crate) fn alter(&mut self, name: &str, change: impl FnOnce(&mut Resource)) {
        if let Some(resource) = self.snapshot.resources.get_mut(name) {
            self.generation += 1;
            change(resource);
            (resource.generation, resource.shape) = (self.generation, self.generation);
        }
    }

    /// What we know of systemd's units.
    pub fn units(&self) -> &Units {
        &self.units
    }

    /// What we know of systemd's units, to take news in.
    pub fn units_mut(&mut self) -> &mut Units {
        &mut self.units
    }

    /// Which device has a minor.
    pub fn device_of(&self, minor: Minor) -> Option<(&Resource, Volume)> {
        let (name, volume) = self.snapshot.minors.get(&minor)?;
        Some((self.resource(name.as_str())?, *volume))
    }

    /// What we can say of DRBD's source.
    pub fn source(&self) -> SourceState {
        self.source
    }

    /// The sources beside DRBD's.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// The sources beside DRBD's, to take news in.
    pub fn sources_mut(&mut self) -> &mut Sources {
        &mut self.sources
    }

    /// What the source can say.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Resources of which a device became blocked in this burst, or is so no longer. It is no change: with ordinary I/O it flickers.
    pub fn blocking(&self) -> &BTreeSet<ResourceName> {
        &self.blocking
    }

    /// Resources in which a split brain was found, or is over, since the plugins were told of the last burst. It is no change of DRBD's.
    pub fn parting(&self) -> &BTreeSet<ResourceName> {
        &self.parting
    }

    /// The split brains that were found, and those that are over, since this was asked last.
    pub fn take_parted(&mut self) -> Vec<Parted> {
        std::mem::take(&mut self.parted)
    }

    /// The plugins were told of the burst.
    pub fn told(&mut self) {
        self.blocking.clear();
        self.parting.clear();
    }

    /// How often the source is asked for statistics; `None` = never, and then what is known of them may be old.
    pub fn poll_interval(&self) -> Option<Duration> {
        self.poll_interval
    }

    /// Sets [`poll_interval`](Self::poll_interval).
    pub fn set_poll_interval(&mut self, interval: Option<Duration>) {
        self.poll_interval = interval;
    }

    /// Number of the last change.
    pub fn last_seq(&self) -> EventSeq {
        EventSeq(self.seq)
    }

    /// How many events were applied.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// What was odd in the input.
    pub fn reports(&self) -> &Reports {
        &self.reports
    }

    /// What was odd in the input, to take its notes.
    pub fn reports_mut(&mut self) -> &mut Reports {
        &mut self.reports
    }

    /// Which changes are handed out from now on.
    pub fn set_detail(&mut self, detail: Detail) {
        self.detail = detail;
    }

    /// News of DRBD's source.
    pub fn source_event(&mut self, event: &SourceEvent) {
        match event {
            SourceEvent::Started { dialect, .. } => {
                self.dialect = dialect.unwrap_or_default();
                self.aside = Some(Snapshot::default());
                self.source = SourceState::Dumping;
            }
            SourceEvent::Ended { .. } => {
                self.aside = None;
                self.source = SourceState::Down;
            }
        }
    }

    /// A line that could not be understood at all.
    pub fn unparsed(&mut self, line: &str, why: Unparsed) {
        self.reports.unparsed(line, why);
    }

    /// Lines of a source that prints none.
    pub fn misplaced(&mut self, source: SourceId, text: &str) {
        for line in text.lines() {
            self.reports.unparsed(line, format_args!("the source {} prints no lines", source.as_str()));
        }
    }

    /// Applies one event and tells what changed.
    pub fn apply(&mut self, event: &Event<'_>, out: &mut Vec<Change>) {
        if matches!(event, Event::DumpEnd) {
            self.dump_end();
            while self.tell_more(out) {}
            return;
        }
        self.events += 1;
        if let Event::Unknown { verb, object } = event {
            self.reports.unknown_event(verb, object);
        }
        self.generation += 1;
        let dumping = self.aside.is_some();
        let snapshot = self.aside.as_mut().unwrap_or(&mut self.snapshot);
        let before = out.len();
        let mut sink = Sink {
            out,
            seq: &mut self.seq,
            detail: (!dumping).then_some(self.detail),
            origin: Origin::Live,
            reports: &mut self.reports,
            blocking: &mut self.blocking,
            parted: &mut self.parted,
            dialect: self.dialect,
            generation: self.generation,
        };
        snapshot.apply(event, !dumping, &mut sink);
        for change in &out[before..] {
            if self.dialect == Dialect::Drbd84 && !matches!(change.what, What::Helper(_) | What::Path { .. }) {
                self.unsettled.insert(change.resource.clone());
            }
        }
    }

    /// The burst is over: what has to be computed is computed, and the invariants are checked.
    pub fn settle(&mut self, out: &mut Vec<Change>) {
        if self.aside.is_some() {
            return;
        }
        for name in std::mem::take(&mut self.unsettled) {
            let Some(resource) = self.snapshot.resources.get_mut(name.as_str()) else { continue };
            if resource.says_may_promote {
                continue;
            }
            let may_promote = promote::promotable(resource);
            if may_promote == resource.state.may_promote {
                continue;
            }
            let old = resource.state.clone();
            resource.state.may_promote = may_promote;
            self.generation += 1;
            resource.generation = self.generation;
            resource.shape = self.generation;
            self.seq += 1;
            out.push(Change {
                seq: EventSeq(self.seq),
                kind: EventKind::Change,
                origin: Origin::Live,
                implied: false,
                resource: name,
                what: What::Resource { old, new: resource.state.clone() },
            });
        }
        if cfg!(debug_assertions) {
            for broken in self.check() {
                self.reports.violation(broken);
            }
        }
    }

    /// Every broken invariant, as a sentence. Looks at everything.
    pub fn check(&self) -> Vec<String> {
        self.snapshot.check(self.generation)
    }

    /// The present state of the next of these resources told as changes of kind `Exists`, for somebody who is new. Nothing happened, so nothing is
    /// counted. Nothing is told once all were.
    pub fn replay(&mut self, names: &mut dyn Iterator<Item = ResourceName>) -> Vec<Change> {
        let mut out = Vec::new();
        let mut seq = 0;
        while out.len() < PIECE
            && let Some(name) = names.next()
        {
            let mut sink = Sink {
                out: &mut out,
                seq: &mut seq,
                detail: Some(Detail::State),
                origin: Origin::Replay,
                reports: &mut self.reports,
                blocking: &mut self.blocking,
                parted: &mut self.parted,
                dialect: self.dialect,
                generation: self.generation,
            };
            diff::tell(None, self.snapshot.resources.get(name.as_str()), EventKind::Exists, &mut sink);
        }
        for change in &mut out {
            change.seq = EventSeq(self.seq);
        }
        out
    }

    /// A dump is complete: its snapshot is the present from now on. What differs from the one before is told by [`tell_more`](Self::tell_more), until
    /// there is no more.
    pub fn dump_end(&mut self) {
        self.events += 1;
        let Some(mut new) = self.aside.take() else { return };
        for resource in new.resources.values_mut().filter(|resource| !resource.says_may_promote) {
            resource.state.may_promote = promote::promotable(resource);
        }
        let (origin, appeared) = match self.seen {
            true => (Origin::CatchUp, EventKind::Create),
            false => (Origin::Initial, EventKind::Exists),
        };
        let before = std::mem::replace(&mut self.snapshot, new);
        self.split_after_a_dump(&before);
        let is = &self.snapshot.resources;
        let gone = before.resources.iter().map(|(name, _)| name).filter(|name| !is.contains(name.as_str()));
        let names: Vec<ResourceName> = gone.chain(is.iter().map(|(name, _)| name)).cloned().collect();
        self.telling = Some(Telling { before, names: names.into_iter(), origin, appeared });
        // Its lines were counted when they came, but only now are they what there is.
        self.generation += 1;
        self.seen = true;
        self.source = SourceState::Live;
    }

    /// Split brains outlive a dump, in which nothing is said of them, unless it says that the two are connected.
    fn split_after_a_dump(&mut self, before: &Snapshot) {
        for (name, old) in before.resources.iter().filter(|(_, old)| !old.split.is_empty()) {
            if let Some(new) = self.snapshot.resources.get_mut(name.as_str()) {
                self.parted.extend(new.still_split(old));
            }
        }
        // What DRBD said in the middle of the dump.
        for (name, new) in self.snapshot.resources.iter().filter(|(_, new)| !new.split.is_empty()) {
            self.parted.extend(new.newly_split(before.resources.get(name.as_str())));
        }
        for (subject, peer) in self.kernel.drain() {
            self.kernel_found(&subject, peer.as_ref(), true);
        }
    }

    /// What the kernel says of a split brain.
    pub fn kernel_line(&mut self, subject: &Subject, line: &SplitBrainLine) {
        let is_live = self.source == SourceState::Live;
        if !is_live || line.is_old {
            self.kernel.take(subject, line);
        }
        match (line.is_over, line.is_old) {
            (true, true) if is_live => self.kernel_says_over(subject, line.peer.as_ref()),
            (false, false) if is_live => self.kernel_found(subject, line.peer.as_ref(), false),
            // That one is over DRBD's source says, too. Old lines count when all of them were read: see `old_kernel_lines`.
            _ => {}
        }
    }

    /// The lines that were there before were read, or a part of them: what the last of them says is so.
    pub fn old_kernel_lines(&mut self) {
        if self.source == SourceState::Live {
            for (subject, peer) in self.kernel.drain() {
                self.kernel_found(&subject, peer.as_ref(), true);
            }
        }
    }

    /// The resource that the kernel's log means.
    fn named_by_kernel(&mut self, subject: &Subject) -> Option<&mut Resource> {
        let name = match subject {
            Subject::Resource(name) => Some(name.clone()),
            Subject::Device(device) => {
                let minor = device.as_str().strip_prefix("drbd").and_then(|minor| minor.parse().ok());
                minor.and_then(|minor| self.snapshot.minors.get(&Minor(minor))).map(|(name, _)| name.clone())
            }
            Subject::Unit(_) | Subject::Node => None,
        };
        self.snapshot.resources.get_mut(name?.as_str())
    }

    /// An old line says that a split brain was over before the daemon began, which an earlier part of the log has told of. That the two are not
    /// connected at the moment does not make it one again.
    fn kernel_says_over(&mut self, subject: &Subject, peer: Option<&ConnName>) {
        let generation = self.generation + 1;
        let Some(resource) = self.named_by_kernel(subject) else { return };
        let Some(news) = resource.peer_called(peer).and_then(|id| resource.never_split(id)) else { return };
        (resource.generation, resource.shape) = (generation, generation);
        self.generation = generation;
        self.parting.insert(news.resource.clone());
        self.parted.push(news);
    }

    /// The kernel says that there is a split brain. An old line says nothing of two that are connected.
    fn kernel_found(&mut self, subject: &Subject, peer: Option<&ConnName>, is_old: bool) {
        let generation = self.generation + 1;
        let Some(resource) = self.named_by_kernel(subject) else { return };
        let Some(id) = resource.peer_called(peer) else { return };
        if let Some(mut news) = resource.part(id, peer, Evidence::Kernel) {
            (resource.generation, resource.shape) = (generation, generation);
            let is_over = is_old && resource.meet(id).is_some();
            self.generation = generation;
            if is_over {
                return;
            }
            news.is_old = is_old;
            self.parting.insert(news.resource.clone());
            self.parted.push(news);
        }
    }

    /// Tells the next piece of a dump that is complete; `false` = that was all.
    pub fn tell_more(&mut self, out: &mut Vec<Change>) -> bool {
        let Some(telling) = &mut self.telling else { return false };
        let told = out.len();
        while out.len() - told < PIECE {
            let Some(name) = telling.names.next() else {
                self.telling = None;
                return false;
            };
            let mut sink = Sink {
                out,
                seq: &mut self.seq,
                detail: Some(self.detail),
                origin: telling.origin,
                reports: &mut self.reports,
                blocking: &mut self.blocking,
                parted: &mut self.parted,
                dialect: self.dialect,
                generation: self.generation,
            };
            let (was, is) = (telling.before.resources.get(name.as_str()), self.snapshot.resources.get(name.as_str()));
            diff::tell(was, is, telling.appeared, &mut sink);
        }
        true
    }
}
