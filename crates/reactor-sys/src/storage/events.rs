//! The stages of the daemon: messages become events, with the block devices as they are now, and go to the loop.
//!
//! Times are those of the wall as it was when the daemon started, counted on by a clock that nobody sets: a wall clock that is set back holds up
//! no event. A message that is older than the daemon has its own time.

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use reactor_core::input::{Fact, Input, MAX_RECORDS, Record as CoreRecord, SourceEvent, SourceId};
use reactor_core::subject::Subject;
use reactor_storage::catalogue::{Catalogue, RawUserRule};
use reactor_storage::device::{Device, DeviceMap};
use reactor_storage::pipeline::Pipeline;
use reactor_storage::record::{Origin, Record, Stamp};
use reactor_storage::uevent::{Uevent, differences};
use reactor_sysfs::Reader;
use tokio::sync::mpsc;
use tracing::warn;

use super::collector::{Stages, now_us};
use super::inbox::Lost;

/// Inputs that may wait for the loop; when they are full the thread of the collector waits, and what it reads waits where it is.
pub const CHANNEL: usize = 16;

/// Lines of one failure come within a shorter time; what is younger may not have been handed on.
const SILENCE: Duration = Duration::from_millis(250);

/// Whether the loop has taken what it was sent is looked at so often.
const LOOK: Duration = Duration::from_millis(100);

/// What it is called in the status.
const COMMAND: &str = "storage events";

/// Syslog identifiers of the programs that the catalogue has rules for.
pub const PROGRAMS: [&str; 10] =
    ["multipathd", "multipath", "iscsid", "smartd", "lvm", "dmeventd", "lvmpolld", "mdadm", "zed", "udisksd"];

/// Makes events of messages and tells them to the loop.
pub struct ToLoop {
    catalogue: Catalogue,
    /// Other rules of the user's, when they change.
    rules: Option<Receiver<Vec<RawUserRule>>>,
    reader: Reader,
    map: DeviceMap,
    pipeline: Pipeline,
    tx: mpsc::Sender<Input>,
    /// What was lost since the loop was told last.
    lost: u64,
    /// When it began, by both clocks.
    begin: (Instant, u64),
    /// The latest time that a message had.
    latest_us: u64,
    /// When the last message about storage came.
    last: Option<Instant>,
    /// Mounts are read anew before the next event.
    is_stale: bool,
}

impl ToLoop {
    /// Reads the block devices of this machine. It blocks: call it on a thread. The other end is a source of the loop.
    pub fn new(catalogue: Catalogue, tx: mpsc::Sender<Input>) -> Self {
        Self::of(Reader::new("/"), catalogue, tx)
    }

    fn of(reader: Reader, catalogue: Catalogue, tx: mpsc::Sender<Input>) -> Self {
        let map = match reader.list() {
            Ok(listing) => listing.into_map(),
            Err(error) => {
                let error = crate::chain::chain(&error).to_string();
                warn!(error, "can't list block devices: storage events have the names of the log only");
                DeviceMap::default()
            }
        };
        let started = SourceEvent::Started { command: COMMAND.to_owned(), dialect: None };
        // Nobody listens any more: the daemon ends.
        let _ = tx.blocking_send(Input::Source(SourceId::Storage, started));
        let begin = (Instant::now(), now_us(rustix::time::ClockId::Realtime));
        Self {
            catalogue,
            rules: None,
            reader,
            map,
            pipeline: Pipeline::new(),
            tx,
            lost: 0,
            begin,
            latest_us: 0,
            last: None,
            is_stale: false,
        }
    }

    /// Takes the user's rules from there: whenever others come, they count from the next message on.
    #[must_use]
    pub fn with_rules(mut self, rules: Receiver<Vec<RawUserRule>>) -> Self {
        self.rules = Some(rules);
        self
    }

    fn take_rules(&mut self) {
        let Some(rules) = self.rules.as_ref().and_then(|rules| rules.try_iter().last()) else { return };
        let compiled = rules.into_iter().filter_map(|rule| match rule.compile() {
            Ok(rule) => Some(rule),
            Err(error) => {
                warn!(%error, "a rule of the configuration is left out");
                None
            }
        });
        self.catalogue.set_rules(compiled);
    }

    /// Now, on the axis of all times here.
    fn now_us(&self) -> u64 {
        self.begin.1 + micros(self.begin.0.elapsed())
    }

    fn hand_on(&mut self) {
        let told = self.pipeline.told().into_iter();
        let mut records: Vec<CoreRecord> =
            told.map(|told| CoreRecord { subject: Subject::Node, fact: Fact::Storage(Box::new(told)) }).collect();
        if self.lost > 0 {
            let count = Some(std::mem::take(&mut self.lost));
            records.push(CoreRecord { subject: Subject::Node, fact: Fact::Lost { count } });
        }
        while !records.is_empty() {
            let rest = records.split_off(records.len().min(MAX_RECORDS));
            let _ = self.tx.blocking_send(Input::Records(SourceId::Storage, std::mem::replace(&mut records, rest)));
        }
    }

    fn is_taken(&self) -> bool {
        self.tx.capacity() == self.tx.max_capacity()
    }

    /// Reads a device again that something happened to. What has gone stays known, so that a line that comes later still finds it.
    fn refresh(&mut self, name: &str, has_gone: bool) -> Vec<String> {
        let at = now_us(rustix::time::ClockId::Realtime);
        let before = self.map.present(name).cloned();
        match self.reader.one(name).filter(|_| !has_gone) {
            None => self.map.remove(name, at),
            Some(facts) => self.map.set(&facts, at),
        }
        self.is_stale = true;
        before.zip(self.map.present(name)).map_or_else(Vec::new, |(before, now)| differences(&before, now))
    }

    /// Reads all devices again: which of them came, went and changed nobody knows.
    fn refresh_all(&mut self) -> Vec<String> {
        let Ok(listing) = self.reader.list() else { return Vec::new() };
        let before: Vec<Device> = self.map.devices().cloned().collect();
        self.map.set_all(&listing.devices, now_us(rustix::time::ClockId::Realtime));
        self.is_stale = true;
        let now = |before: &Device| self.map.present(&before.name);
        before.iter().filter_map(|before| Some(differences(before, now(before)?))).flatten().collect()
    }

    /// What a uevent says, or what was found because of one.
    fn tell_of_uevent(&mut self, lines: Vec<String>) {
        let now = |clock| Some(now_us(clock));
        let at =
            Stamp { wall_us: now(rustix::time::ClockId::Realtime), boot_us: now(rustix::time::ClockId::Monotonic) };
        for line in lines {
            let mut record = Record::new(Origin::Uevent, line);
            record.at = at;
            self.record(&record);
        }
    }
}

impl Stages for ToLoop {
    fn record(&mut self, record: &Record<'_>) {
        self.take_rules();
        // Most messages are about something else.
        let Some(finding) = self.catalogue.classify(record) else { return };
        // When it was, on the axis of all times here; never before what came before.
        let now = self.now_us();
        let ago = |wall_us| now_us(rustix::time::ClockId::Realtime).saturating_sub(wall_us);
        let at = record.at.wall_us.map_or(now, |wall_us| now.saturating_sub(ago(wall_us)));
        self.latest_us = self.latest_us.max(at);
        if std::mem::take(&mut self.is_stale)
            && let Ok(mounts) = self.reader.mounts()
        {
            self.map.set_mounts(mounts);
        }
        self.pipeline.take(record, &finding, &self.map, self.latest_us);
        self.last = Some(Instant::now());
    }

    /// The map follows, and what the uevent says is an event.
    fn uevent(&mut self, datagram: &[u8]) {
        let Ok(uevent) = Uevent::parse(datagram) else { return };
        let mut lines = uevent.lines();
        if let Some(name) = uevent.block_device() {
            if uevent.is_other_table() {
                self.pipeline.another_table(name);
            }
            lines.extend(self.refresh(name, uevent.action == "remove"));
        }
        self.tell_of_uevent(lines);
    }

    fn kernel_by_journal(&mut self, is_so: bool) {
        let command = if is_so { "storage events, those of the kernel's log from the journal" } else { COMMAND };
        let started = SourceEvent::Started { command: command.to_owned(), dialect: None };
        let _ = self.tx.blocking_send(Input::Source(SourceId::Storage, started));
    }

    fn lost(&mut self, lost: Lost) {
        self.lost += lost.kernel + lost.uevents;
        if lost.uevents > 0 {
            let lines = self.refresh_all();
            self.tell_of_uevent(lines);
        }
    }

    fn settle(&mut self) -> bool {
        let was_taken = self.is_taken();
        let is_silent = self.last.is_none_or(|last| last.elapsed() >= SILENCE);
        self.pipeline.expire(&self.map, self.now_us());
        self.hand_on();
        let is_settled = is_silent && was_taken && self.is_taken();
        if is_settled {
            self.last = None;
        }
        is_settled
    }

    fn due(&self) -> Option<Instant> {
        let after = |at: u64| Instant::now() + Duration::from_micros(at.saturating_sub(self.now_us()));
        let pipeline = self.pipeline.next_deadline().map(after);
        // Until all that was told is handed on and taken.
        let settling = (self.last.is_some() || !self.is_taken()).then(|| Instant::now() + LOOK);
        pipeline.into_iter().chain(settling).min()
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use reactor_storage::catalogue::Source;
    use reactor_storage::pipeline::Phase;
    use reactor_storage::record::Origin;

    use super::*;

    #[test]
    fn every_program_is_one_that_the_catalogue_knows() {
        for program in PROGRAMS {
            assert!(Source::of_program(program).is_some(), "{program}");
        }
    }

    #[test]
    fn lines_of_a_failure_are_told_as_an_event_and_only_then_it_is_settled() {
        let (tx, mut rx) = mpsc::channel(CHANNEL);
        let mut stages = ToLoop::new(Catalogue::built_in(), tx);
        assert!(matches!(rx.blocking_recv(), Some(Input::Source(SourceId::Storage, SourceEvent::Started { .. }))));
        assert!(stages.settle(), "nothing was said");
        assert_eq!(stages.due(), None);
        stages.record(&Record::new(Origin::Kernel, "usb 1-1: new high-speed USB device number 2"));
        assert!(stages.settle(), "it is about something else");
        stages.record(&Record::new(Origin::Kernel, "Aborting journal on device sdzz1-8."));
        assert!(!stages.settle() && stages.due().is_some(), "it may be going on");
        let Some(Input::Records(SourceId::Storage, records)) = rx.blocking_recv() else { panic!("no records") };
        let [CoreRecord { fact: Fact::Storage(told), .. }] = &records[..] else { panic!("{records:?}") };
        assert_eq!((told.phase, told.event.kind.as_str()), (Phase::Began, "FS_JOURNAL_ABORTED"));
        stages.lost(Lost { kernel: 3, uevents: 0 });
        stages.settle();
        let Some(Input::Records(_, records)) = rx.blocking_recv() else { panic!("no records") };
        assert_eq!(records[0].fact, Fact::Lost { count: Some(3) });
    }

    /// A machine of one disk and one array.
    struct Machine(std::path::PathBuf);

    impl Machine {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("reactor-uevents-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&root);
            let machine = Self(root);
            machine.write("sys/devices/virtual/block/md9/dev", "9:9");
            machine.write("sys/devices/virtual/block/md9/md/raid_disks", "2");
            machine.write("sys/devices/virtual/block/md9/md/uuid", "11111111-2222-3333-4444-555555555555");
            machine.degraded("0");
            let class = machine.0.join("sys/class/block");
            std::fs::create_dir_all(&class).unwrap();
            std::os::unix::fs::symlink("../../devices/virtual/block/md9", class.join("md9")).unwrap();
            machine
        }

        fn degraded(&self, count: &str) {
            self.write("sys/devices/virtual/block/md9/md/degraded", count);
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    impl Drop for Machine {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// What the loop was told until now: types of events, and how much was lost.
    fn heard(rx: &mut mpsc::Receiver<Input>) -> (Vec<String>, u64) {
        let (mut kinds, mut lost) = (Vec::new(), 0);
        while let Ok(input) = rx.try_recv() {
            let Input::Records(_, records) = input else { continue };
            for record in records {
                match record.fact {
                    Fact::Storage(told) if told.phase == Phase::Began => kinds.push(told.event.kind),
                    Fact::Lost { count } => lost += count.unwrap_or(0),
                    _ => {}
                }
            }
        }
        (kinds, lost)
    }

    #[test]
    fn a_uevent_is_an_event_and_so_is_what_it_makes_us_read_again() {
        let machine = Machine::new("change");
        let (tx, mut rx) = mpsc::channel(CHANNEL);
        let mut stages = ToLoop::of(Reader::new(&machine.0), Catalogue::built_in(), tx);
        let change = b"change@/devices/virtual/block/md9\0SUBSYSTEM=block\0DEVNAME=md9\0RESIZE=1\0";
        machine.degraded("1");
        stages.uevent(change);
        assert!(stages.due().is_some(), "the log may say the same");
        stages.pipeline.finish(&stages.map);
        stages.settle();
        assert_eq!(heard(&mut rx), (["BLK_CAPACITY_CHANGED", "MD_DEGRADED"].map(str::to_owned).into(), 0));
    }

    /// Nobody knows what was in them: so everything is read again.
    #[test]
    fn uevents_that_are_lost_are_counted_and_what_they_told_of_is_found() {
        let machine = Machine::new("lost");
        let (tx, mut rx) = mpsc::channel(CHANNEL);
        let mut stages = ToLoop::of(Reader::new(&machine.0), Catalogue::built_in(), tx);
        machine.degraded("1");
        machine.write("sys/devices/virtual/block/md10/dev", "9:10");
        let class = machine.0.join("sys/class/block");
        std::os::unix::fs::symlink("../../devices/virtual/block/md10", class.join("md10")).unwrap();
        stages.lost(Lost { kernel: 0, uevents: 3 });
        assert!(stages.map.present("md10").is_some());
        stages.pipeline.finish(&stages.map);
        stages.settle();
        assert_eq!(heard(&mut rx), (vec!["MD_DEGRADED".to_owned()], 3));
    }

    #[test]
    fn rules_count_from_the_next_message_on() {
        let (tx, mut rx) = mpsc::channel(CHANNEL);
        let (rules, given) = std::sync::mpsc::channel();
        let rule = |event_type: &str| RawUserRule {
            regex: r"^ailing path (?P<kdev>\d+:\d+)".to_owned(),
            event_type: Some(event_type.to_owned()),
            ..RawUserRule::default()
        };
        rules.send(vec![rule("MINE")]).unwrap();
        let mut stages = ToLoop::new(Catalogue::built_in(), tx).with_rules(given);
        let mut heard = |stages: &mut ToLoop, text: &str| {
            stages.record(&Record::new(Origin::Kernel, text));
            stages.settle();
            let mut kinds = Vec::new();
            while let Ok(input) = rx.try_recv() {
                let Input::Records(_, records) = input else { continue };
                kinds.extend(records.into_iter().filter_map(|record| match record.fact {
                    Fact::Storage(told) => Some(told.event.kind),
                    _ => None,
                }));
            }
            kinds
        };
        assert_eq!(heard(&mut stages, "ailing path 8:48"), ["MINE"]);
        rules.send(vec![rule("LOST")]).unwrap();
        rules.send(vec![rule("OTHER")]).unwrap();
        assert_eq!(heard(&mut stages, "ailing path 8:64"), ["OTHER"], "the latest count");
        rules.send(Vec::new()).unwrap();
        assert_eq!(heard(&mut stages, "ailing path 8:80"), [""; 0]);
        drop(rules);
        assert_eq!(heard(&mut stages, "ailing path 8:96"), [""; 0], "nobody changes them any more");
    }
}
