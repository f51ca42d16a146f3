//! Messages of logs in, events out: in the order in which they began, each once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;

use reactor_storage::catalogue::Catalogue;
use reactor_storage::device::DeviceMap;
use reactor_storage::event::{Event, Severity};
use reactor_storage::pipeline::{Phase, Pipeline};
use reactor_storage::record::Record;

/// A log whose time goes back so far has begun anew: another boot, or another file behind the first.
const BACK_US: u64 = 60_000_000;

/// So many events are known to have been told; a report with more can tell some of them once more.
const MAX_TOLD: usize = 1_000_000;

/// Events that were told, and by which log first.
pub(crate) type Told = BTreeMap<u64, u32>;

/// What becomes of the logs of one report.
pub(crate) struct Story<'a> {
    catalogue: &'a Catalogue,
    map: &'a DeviceMap,
    severity: Severity,
    told: &'a mut Told,
    tell: &'a mut dyn FnMut(&Event) -> io::Result<()>,
    /// Which log of all it is.
    log: u32,
    pipeline: Pipeline,
    now_us: u64,
    /// Ids of events that have begun, in their order; one that is over waits for those before it.
    begun: VecDeque<String>,
    over: BTreeMap<String, Event>,
    result: io::Result<()>,
}

impl<'a> Story<'a> {
    pub(crate) fn new(
        catalogue: &'a Catalogue,
        map: &'a DeviceMap,
        severity: Severity,
        told: &'a mut Told,
        tell: &'a mut dyn FnMut(&Event) -> io::Result<()>,
    ) -> Self {
        let log = told.values().max().map_or(0, |log| log + 1);
        let (pipeline, begun, over) = (Pipeline::new(), VecDeque::new(), BTreeMap::new());
        Self { catalogue, map, severity, told, tell, log, pipeline, now_us: 0, begun, over, result: Ok(()) }
    }

    /// One message.
    pub(crate) fn record(&mut self, record: &Record<'_>) {
        let Some(finding) = self.catalogue.classify(record) else { return };
        // Without a stamp it is when the one before it was.
        let at = record.at.wall_us.or(record.at.boot_us).unwrap_or(self.now_us);
        if at.saturating_add(BACK_US) < self.now_us {
            self.finish();
            self.now_us = 0;
        }
        self.now_us = self.now_us.max(at);
        self.pipeline.take(record, &finding, self.map, self.now_us);
        self.hand_on();
    }

    /// The log is over.
    ///
    /// # Errors
    ///
    /// What could not be told.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.finish();
        self.log += 1;
        self.now_us = 0;
        std::mem::replace(&mut self.result, Ok(()))
    }

    /// Whether what was told could be: nobody may read it any more.
    pub(crate) fn is_heard(&self) -> bool {
        self.result.is_ok()
    }

    fn finish(&mut self) {
        self.pipeline.finish(self.map);
        self.hand_on();
        self.pipeline = Pipeline::new();
    }

    fn hand_on(&mut self) {
        for told in self.pipeline.told() {
            match told.phase {
                Phase::Began => self.begun.push_back(told.event.id),
                Phase::Grew => {}
                Phase::Ended => {
                    self.over.insert(told.event.id.clone(), told.event);
                }
            }
        }
        while let Some(event) = self.begun.front().and_then(|first| self.over.remove(first)) {
            self.begun.pop_front();
            if event.severity >= self.severity && self.result.is_ok() && self.is_new(&event) {
                self.result = (self.tell)(&event);
            }
        }
    }

    /// The same event can be in several logs of a report: the journal and what rsyslog wrote of it.
    fn is_new(&mut self, event: &Event) -> bool {
        let Some(wall_us) = event.at.wall_us else { return true };
        let mut hasher = DefaultHasher::new();
        let lines: BTreeSet<&str> = event.lines.iter().map(|line| line.trim()).collect();
        (wall_us / 1_000_000, &event.kind, lines).hash(&mut hasher);
        let key = hasher.finish();
        if self.told.len() >= MAX_TOLD {
            return true;
        }
        // Twice in one log is twice.
        *self.told.entry(key).or_insert(self.log) == self.log
    }
}
