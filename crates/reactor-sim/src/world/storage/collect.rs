//! A daemon reads the log: the positions and the pipeline of the real collector, without its threads.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use reactor_core::ids::Mono;
use reactor_core::input::{Boot, Fact, Input, MAX_RECORDS, Record, SourceEvent, SourceId};
use reactor_core::subject::Subject;
use reactor_storage::catalogue::Catalogue;
use reactor_storage::device::DeviceMap;
use reactor_storage::incidents::Incident;
use reactor_storage::pipeline::Pipeline;
use reactor_sys::storage::position::{Gap, Kernel, Line, Saved, Since, Step};

use crate::drbd9::NodeIx;

use super::super::bugs::Bug;
use super::super::events::ForDaemon;
use super::super::plan::NODES;
use super::super::run::World;
use super::log::{Logged, boot_name};
use super::{ForStorage, axis, trouble};

/// What is younger may not have been handed on.
const SILENCE: Duration = Duration::from_millis(250);

/// Whether all was taken is looked at so often.
const LOOK: Duration = Duration::from_millis(100);

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::built_in);

/// The collector of one daemon, and the keeper of what is open.
#[derive(Debug)]
pub(in super::super) struct Collecting {
    pipeline: Pipeline,
    map: DeviceMap,
    now: Saved,
    before: Saved,
    is_begun: bool,
    /// The source has begun.
    pub(in super::super) is_up: bool,
    /// It has ended, for this life of the daemon.
    pub(in super::super) is_dead: bool,
    /// When the last line about storage came.
    last: Option<Mono>,
    latest_us: u64,
    /// What the loop was sent and has not taken.
    in_flight: u64,
    lane: Mono,
    settle_at: Option<Mono>,
    /// What was open before was read, or there was nothing.
    pub(in super::super) is_read: Option<Mono>,
    newest: Option<Vec<Arc<Incident>>>,
    /// When it was kept.
    pub(in super::super) kept: Vec<Mono>,
    /// Ids that were told as opened in this life.
    pub(in super::super) opened: BTreeSet<String>,
    /// When something was said of incidents in the log.
    pub(in super::super) said: Vec<Mono>,
    /// What the clock was off by when the first event came.
    pub(in super::super) clock_off_ms: Option<i64>,
}

impl World {
    /// The daemon of a node starts.
    pub(in super::super) fn start_storage(&mut self, node: NodeIx) {
        if !self.plan.storage {
            return;
        }
        let now = self.now;
        let disk = &mut self.machines[node].storage;
        disk.written.clear();
        let saved = if self.bug == Some(Bug::StorageReadAgain) { Saved::default() } else { disk.position.clone() };
        // The disk is late now and then.
        let open = if disk.pick(6) == 0 { 1_000 + disk.pick(30_000) } else { 1 + disk.pick(200) };
        let begin = 1 + disk.pick(300);
        self.story_of_storage(node, &saved);
        let collecting = Collecting {
            pipeline: Pipeline::new(),
            map: trouble::devices(),
            now: saved.clone(),
            before: saved,
            is_begun: false,
            is_up: false,
            is_dead: false,
            last: None,
            latest_us: 0,
            in_flight: 0,
            lane: now,
            settle_at: None,
            is_read: None,
            newest: None,
            kept: Vec::new(),
            opened: BTreeSet::new(),
            said: Vec::new(),
            clock_off_ms: None,
        };
        if let Some(daemon) = self.machines[node].daemon.as_deref_mut() {
            daemon.storage = Some(Box::new(collecting));
        }
        self.storage_after(node, Duration::from_millis(open), ForStorage::Open);
        self.storage_after(node, Duration::from_millis(begin), ForStorage::Begin);
    }

    fn story_of_storage(&mut self, node: NodeIx, saved: &Saved) {
        let how_far = match &saved.kernel {
            Some(kernel) => format!("line {} of boot {}", kernel.sequence, kernel.boot.trim_start_matches('0')),
            None => "nothing".to_owned(),
        };
        self.tell_story(node, &format!("its log was read up to {how_far}"));
    }

    fn tell_events(&mut self, node: NodeIx, input: &Input) {
        let Input::Records(_, records) = input else { return };
        for record in records {
            let what = match &record.fact {
                Fact::Storage(told) => {
                    let event = &told.event;
                    format!("{:?} {} on {}, {} times", told.phase, event.kind, event.subject(), event.count)
                }
                other => format!("{other:?}"),
            };
            self.tell_story(node, &format!("  storage: {what}"));
        }
    }

    fn collecting(&mut self, node: NodeIx) -> Option<&mut Collecting> {
        self.machines[node].daemon.as_deref_mut()?.storage.as_deref_mut()
    }

    fn storage_after(&mut self, node: NodeIx, after: Duration, what: ForStorage) {
        self.daemon_after(node, after, ForDaemon::Storage(what));
    }

    /// Something new is in the log.
    pub(super) fn storage_is_there(&mut self, node: NodeIx) {
        if self.collecting(node).is_some_and(|collecting| collecting.is_up) {
            let late = Duration::from_micros(100 + self.machines[node].storage.rng.below(5_000));
            self.storage_after(node, late, ForStorage::Read);
        }
    }

    /// Something is due of the collector.
    pub(in super::super) fn for_storage(&mut self, node: NodeIx, what: ForStorage) {
        match what {
            ForStorage::Begin => {
                let started = SourceEvent::Started { command: "storage events".to_owned(), dialect: None };
                self.tell(node, &Input::Source(SourceId::Storage, started));
                if let Some(collecting) = self.collecting(node) {
                    collecting.is_up = true;
                }
                self.read_log(node);
            }
            ForStorage::Read => self.read_log(node),
            ForStorage::Settle => {
                if let Some(collecting) = self.collecting(node) {
                    collecting.settle_at = None;
                }
                self.settle(node);
            }
            ForStorage::Take(input) => {
                self.note_axis(node);
                self.tell_events(node, &input);
                self.tell(node, &input);
                if let Some(collecting) = self.collecting(node) {
                    collecting.in_flight -= 1;
                }
            }
            ForStorage::Open => self.open_incidents(node),
            ForStorage::Write => self.write_incidents(node),
        }
    }

    // ---- the log ----

    fn read_log(&mut self, node: NodeIx) {
        let now = self.now;
        let (boot, (first, ring)) = (boot_name(self.machines[node].boot), self.machines[node].storage.log.ring());
        let Some(collecting) = self.collecting(node).filter(|collecting| !collecting.is_dead) else { return };
        if ring.is_empty() {
            return;
        }
        if !std::mem::replace(&mut collecting.is_begun, true) {
            self.read_before(node, &boot, first, &ring);
        }
        for (at, line) in ring.iter().enumerate() {
            let Some(collecting) = self.collecting(node) else { return };
            let last = collecting.now.kernel.as_ref().map(|kernel| kernel.sequence);
            if last.is_some_and(|last| line.sequence <= last) {
                continue;
            }
            if let (Some(kernel), true) = (&collecting.now.kernel, last.is_some_and(|last| line.sequence > last + 1)) {
                let missing = line.sequence - kernel.sequence - 1;
                let gap = Gap::whole(&kernel.boot).behind(kernel).before(missing, lines(&ring[at..]));
                let missing = from_to(kernel.sequence, line.sequence);
                let (filled, lost) = self.fill(node, gap, missing);
                if let Some(kernel) = self.collecting(node).and_then(|collecting| collecting.now.kernel.as_mut()) {
                    kernel.recent.extend(filled);
                    kernel.lose(lost, line.line().boot_us);
                }
            }
            let Some(collecting) = self.collecting(node) else { return };
            let new = || Kernel { boot: boot.clone(), ..Kernel::default() };
            collecting.now.kernel.get_or_insert_with(new).read(line.sequence, line.line());
            collecting.record(line, now);
        }
        self.hand_on(node);
        if self.bug == Some(Bug::StoragePositionEarly)
            && let Some(collecting) = self.collecting(node)
        {
            let now = collecting.now.clone();
            self.machines[node].storage.position = now;
        }
    }

    /// What was said while nobody listened.
    fn read_before(&mut self, node: NodeIx, boot: &str, first: u64, ring: &[Logged]) {
        let Some(saved) = self.collecting(node).map(|collecting| collecting.now.clone()) else { return };
        let is_same = saved.kernel.as_ref().is_some_and(|kernel| kernel.boot == boot);
        let (now, mut filled, mut lost, mut done) = (self.now, Vec::new(), 0, BTreeSet::new());
        let mut is_booted = saved.kernel.is_none() || is_same;
        for step in saved.steps(boot, first, &lines(ring)) {
            match step {
                Step::Gap(gap) if gap.boot == boot => {
                    if !std::mem::replace(&mut is_booted, true) {
                        self.send_booted(node);
                    }
                    let last = saved.kernel.as_ref().filter(|_| is_same);
                    let before = last.map_or(0..first, |kernel| from_to(kernel.sequence, first));
                    (filled, lost) = self.fill(node, gap, before);
                }
                Step::Gap(gap) => {
                    let last = saved.kernel.as_ref().map_or(0, |kernel| kernel.sequence);
                    drop(self.fill(node, gap, from_to(last, u64::MAX)));
                }
                Step::OtherBoots(since, but) => {
                    let since_us = if let Since::Wall(us) = since { us } else { 0 };
                    let fails = self.machines[node].storage.journal_fails;
                    let others: Vec<Logged> = self.machines[node].storage.log.journal().to_vec();
                    let others = others
                        .into_iter()
                        .filter(|line| line.wall_us() >= since_us && !but.iter().any(|but| *but == line.boot()));
                    for line in others {
                        done.insert(line.boot());
                        if fails {
                            self.is_lost(node, &line);
                        } else if let Some(collecting) = self.collecting(node) {
                            collecting.record(&line, now);
                        }
                    }
                }
            }
        }
        if !is_booted {
            self.send_booted(node);
        }
        let Some(collecting) = self.collecting(node) else { return };
        let kernel = collecting.now.kernel.take();
        let before = kernel.iter().filter(|_| !is_same).map(|kernel| kernel.boot.clone());
        collecting.now.is_done(before.chain(done));
        let kernel = kernel.filter(|_| is_same);
        let Some(sequence) = first.checked_sub(1) else {
            collecting.now.kernel = kernel;
            return;
        };
        let mut kernel = kernel.unwrap_or_else(|| Kernel { boot: boot.to_owned(), ..Kernel::default() });
        kernel.sequence = kernel.sequence.max(sequence);
        kernel.recent.extend(filled);
        kernel.lose(lost, ring.first().map_or(0, |line| line.line().boot_us));
        collecting.now.kernel = Some(kernel);
    }

    /// What was told so far is of earlier boots.
    fn send_booted(&mut self, node: NodeIx) {
        if let Some(collecting) = self.collecting(node) {
            collecting.pipeline.finish(&collecting.map);
        }
        self.hand_on(node);
        let record = Record { subject: Subject::Node, fact: Fact::Booted };
        self.send_to_loop(node, Input::Records(SourceId::Storage, vec![record]));
    }

    /// Takes from the journal what is in a gap; `missing` are the numbers of what is. Gives the last of it, and how many are lost.
    fn fill(&mut self, node: NodeIx, mut gap: Gap, missing: std::ops::Range<u64>) -> (Vec<Line>, u64) {
        let (now, is_open_end) = (self.now, missing.end == u64::MAX);
        let fails = self.machines[node].storage.journal_fails;
        let all = self.machines[node].storage.log.journal().iter();
        let of_boot: Vec<Logged> = all.filter(|line| line.boot() == gap.boot).cloned().collect();
        let (mut found, mut filled) = (0, Kernel::default());
        for line in of_boot {
            if fails {
                if missing.contains(&line.sequence) {
                    self.is_lost(node, &line);
                }
            } else if gap.takes(line.line())
                && let Some(collecting) = self.collecting(node)
            {
                found += 1;
                filled.read(found, line.line());
                collecting.record(&line, now);
            }
        }
        let lost = if is_open_end { 0 } else { (missing.end - missing.start).saturating_sub(found) };
        if lost > 0 {
            let record = Record { subject: Subject::Node, fact: Fact::Lost { count: Some(lost) } };
            self.send_to_loop(node, Input::Records(SourceId::Storage, vec![record]));
        }
        (filled.recent, lost)
    }

    /// Nobody has it any more: what it said is not known.
    fn is_lost(&mut self, node: NodeIx, line: &Logged) {
        if let Some((wrong, _)) = line.says {
            self.machines[node].storage.wrong.remove(&wrong);
        }
    }

    // ---- to the loop ----

    fn hand_on(&mut self, node: NodeIx) {
        let now = self.now;
        let Some(collecting) = self.collecting(node) else { return };
        let told = collecting.pipeline.told().into_iter();
        let mut records: Vec<Record> =
            told.map(|told| Record { subject: Subject::Node, fact: Fact::Storage(Box::new(told)) }).collect();
        while !records.is_empty() {
            let rest = records.split_off(records.len().min(MAX_RECORDS));
            let input = Input::Records(SourceId::Storage, std::mem::replace(&mut records, rest));
            self.send_to_loop(node, input);
        }
        // Whatever is due next.
        let Some(collecting) = self.collecting(node) else { return };
        let silent = collecting.last.map(|last| last.after(SILENCE)).filter(|at| *at > now);
        let due = collecting.pipeline.next_deadline().map(|us| Mono(us.saturating_sub(axis(Mono::ZERO)) * 1000));
        let is_saved = collecting.in_flight == 0 && collecting.last.is_none() && collecting.now == collecting.before;
        let look = (!is_saved).then(|| now.after(LOOK));
        let at = silent.into_iter().chain(due).chain(look).map(|at| at.max(now.after(Duration::from_millis(1)))).min();
        if let Some(at) = at.filter(|at| collecting.settle_at.is_none_or(|planned| planned > *at)) {
            collecting.settle_at = Some(at);
            self.daemon_at(node, at, ForDaemon::Storage(ForStorage::Settle));
        }
    }

    fn send_to_loop(&mut self, node: NodeIx, input: Input) {
        let late = Duration::from_micros(50 + self.machines[node].storage.rng.below(20_000));
        let at = self.now.after(late);
        let Some(collecting) = self.collecting(node) else { return };
        collecting.in_flight += 1;
        collecting.lane = collecting.lane.max(at);
        let at = collecting.lane;
        self.daemon_at(node, at, ForDaemon::Storage(ForStorage::Take(Box::new(input))));
    }

    fn settle(&mut self, node: NodeIx) {
        let now = self.now;
        let is_kept = self.machines[node].daemon.as_deref().is_none_or(|daemon| !daemon.core.has_unkept_incidents());
        let Some(collecting) = self.collecting(node).filter(|collecting| !collecting.is_dead) else { return };
        let is_silent = collecting.last.is_none_or(|last| now.since(last) >= SILENCE);
        let is_taken = collecting.in_flight == 0 && is_kept && collecting.newest.is_none();
        let Collecting { pipeline, map, .. } = collecting;
        pipeline.expire(map, axis(now));
        self.hand_on(node);
        let Some(collecting) = self.collecting(node) else { return };
        if is_silent && is_taken && collecting.pipeline.is_told() && collecting.in_flight == 0 {
            collecting.last = None;
            if collecting.now != collecting.before {
                collecting.now.wall_us = axis(now);
                if let Some(kernel) = &mut collecting.now.kernel {
                    kernel.forget_old();
                }
                collecting.before.clone_from(&collecting.now);
                let saved = collecting.now.clone();
                let disk = &mut self.machines[node].storage;
                disk.position = saved;
                // From now on nobody hears of them again.
                disk.known.append(&mut disk.written);
            }
        }
    }

    // ---- what is open ----

    fn open_incidents(&mut self, node: NodeIx) {
        let (now, boot) = (self.now, self.machines[node].boot);
        let file = self.machines[node].storage.file.clone();
        let Some(collecting) = self.collecting(node) else { return };
        collecting.is_read = Some(now);
        // What was open before the loop knew of these is not all: it says anew what is.
        collecting.newest = None;
        let (of, open) = file.unwrap_or((boot, Vec::new()));
        let of = if of == boot || self.bug == Some(Bug::StorageBootForgotten) { Boot::This } else { Boot::Another };
        self.note_axis(node);
        self.tell(node, &Input::Incidents(open, of));
    }

    /// The core says what is open.
    pub(in super::super) fn keep_incidents(&mut self, node: NodeIx, open: &[Arc<Incident>]) {
        let (now, late) = (self.now, Duration::from_micros(500 + self.machines[node].storage.rng.below(30_000)));
        let Some(collecting) = self.collecting(node) else { return };
        collecting.newest = Some(open.to_vec());
        collecting.kept.push(now);
        self.storage_after(node, late, ForStorage::Write);
    }

    /// The clock as it is when the first event comes is what counts for its life.
    fn note_axis(&mut self, node: NodeIx) {
        let off = self.machines[node].clock_off_ms;
        if let Some(collecting) = self.collecting(node) {
            collecting.clock_off_ms.get_or_insert(off);
        }
    }

    fn write_incidents(&mut self, node: NodeIx) {
        let boot = self.machines[node].boot;
        let Some(collecting) = self.collecting(node).filter(|collecting| collecting.is_read.is_some()) else { return };
        let Some(open) = collecting.newest.take() else { return };
        let disk = &mut self.machines[node].storage;
        let ids = open.iter().map(|incident| &incident.id);
        disk.written.extend(ids.filter(|id| !disk.closed.contains(*id)).cloned());
        disk.file = Some((boot, open));
    }

    /// Its thread has died: for the rest of this daemon's life nobody reads.
    pub(super) fn end_storage(&mut self, node: NodeIx) {
        let Some(collecting) = self.collecting(node).filter(|collecting| collecting.is_up) else { return };
        if std::mem::replace(&mut collecting.is_dead, true) {
            return;
        }
        self.tell_fault(&format!("{} collects no storage events any more", NODES[node]));
        // How far it was is not saved any more: the next daemon tells of it once more.
        self.machines[node].storage.known.clear();
        let ended = SourceEvent::Ended { why: "its thread has ended".to_owned() };
        self.tell(node, &Input::Source(SourceId::Storage, ended));
    }

    /// The daemon ends, and is not killed.
    pub(in super::super) fn finish_storage(&mut self, node: NodeIx) {
        self.write_incidents(node);
        self.settle(node);
    }
}

impl Collecting {
    fn record(&mut self, line: &Logged, now: Mono) {
        let record = line.record();
        let Some(finding) = CATALOGUE.classify(&record) else { return };
        self.latest_us = self.latest_us.max(line.wall_us());
        self.pipeline.take(&record, &finding, &self.map, self.latest_us);
        self.last = Some(now);
    }
}

fn lines(all: &[Logged]) -> Vec<Line> {
    all.iter().map(Logged::line).collect()
}

/// The numbers behind one, up to another.
fn from_to(last: u64, next: u64) -> std::ops::Range<u64> {
    last + 1..next.max(last + 1)
}
