//! The stages of the daemon: messages become events, with the block devices as they are now, and go to the loop.
//!
//! Times are those of the wall as it was when the daemon started, counted on by a clock that nobody sets: a wall clock that is set back holds up
//! no event. A message that is older than the daemon has its own time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reactor_core::input::{Fact, Input, MAX_RECORDS, Record as CoreRecord, SourceEvent, SourceId};
use reactor_core::subject::Subject;
use reactor_storage::catalogue::{Catalogue, RawUserRule};
use reactor_storage::device::{Called, Device};
use reactor_storage::event::Event;
use reactor_storage::pipeline::{Pipeline, Told};
use reactor_storage::record::{Origin, Record, Stamp};
use reactor_storage::uevent::{Uevent, differences};
use reactor_sysfs::Reader;
use tokio::sync::mpsc;
use tracing::warn;

use super::blocks::LiveBlocks;
use super::collector::{Stages, now_us};
use super::inbox::Lost;
use super::known::{self, Known, News};

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
    /// What the loop knows and says when it changes.
    known: Known,
    /// Names of devices that are waited for.
    names: BTreeSet<String>,
    reader: Reader,
    blocks: LiveBlocks,
    pipeline: Pipeline,
    tx: mpsc::Sender<Input>,
    /// Inputs that the loop was sent.
    sent: u64,
    /// Of these so many are taken, and what came of them is on the disk.
    kept: Option<Arc<AtomicU64>>,
    /// What was lost since the loop was told last.
    lost: u64,
    /// What the loop was told that the kernel has left out, by function: as many as the pipeline counts.
    suppressed: BTreeMap<String, u64>,
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
        let blocks = LiveBlocks::default();
        match reader.list() {
            Ok(listing) => {
                let remarks = listing.remarks.clone();
                blocks.set(listing.into_map(), remarks);
            }
            Err(error) => {
                let error = crate::chain::chain(&error).to_string();
                warn!(error, "can't list block devices: storage events have the names of the log only");
            }
        }
        let started = SourceEvent::Started { command: COMMAND.to_owned(), dialect: None };
        // Nobody listens any more: the daemon ends.
        let _ = tx.blocking_send(Input::Source(SourceId::Storage, started));
        let begin = (Instant::now(), now_us(rustix::time::ClockId::Realtime));
        Self {
            catalogue,
            known: Known::default(),
            names: BTreeSet::new(),
            reader,
            blocks,
            pipeline: Pipeline::new(),
            tx,
            sent: 0,
            kept: None,
            lost: 0,
            suppressed: BTreeMap::new(),
            begin,
            latest_us: 0,
            last: None,
            is_stale: false,
        }
    }

    /// Takes from there what else is known: it counts from the next message on.
    #[must_use]
    pub fn with_known(mut self, known: Known) -> Self {
        self.known = known;
        self
    }

    /// What was told counts as handed on when so many inputs are taken, and what came of them is on the disk:
    /// [`Keeper::kept`](super::incidents::Keeper::kept). Without it, when they are taken.
    #[must_use]
    pub fn until_kept(mut self, kept: Arc<AtomicU64>) -> Self {
        self.kept = Some(kept);
        self
    }

    /// Lets others read there what block devices there are.
    #[must_use]
    pub fn with_blocks(mut self, blocks: LiveBlocks) -> Self {
        std::mem::swap(&mut *blocks.write(), &mut *self.blocks.write());
        self.blocks = blocks;
        self
    }

    fn take_known(&mut self) {
        let Some(News { rules, drbd, users, names }) = self.known.take() else { return };
        if let Some(rules) = rules {
            self.set_rules(rules);
        }
        if let Some(resources) = drbd {
            self.blocks.write().set_drbd(known::volumes(&resources));
        }
        if let Some(users) = users {
            self.blocks.write().set_users(users);
        }
        if let Some(names) = names {
            self.names = names;
        }
    }

    fn set_rules(&mut self, rules: Vec<RawUserRule>) {
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
        let mut told = self.pipeline.told();
        self.call(&mut told);
        let mut records: Vec<CoreRecord> = told
            .into_iter()
            .map(|told| CoreRecord { subject: Subject::Node, fact: Fact::Storage(Box::new(told)) })
            .collect();
        records.extend(self.suppressed());
        if self.lost > 0 {
            let count = Some(std::mem::take(&mut self.lost));
            records.push(CoreRecord { subject: Subject::Node, fact: Fact::Lost { count } });
        }
        while !records.is_empty() {
            let rest = records.split_off(records.len().min(MAX_RECORDS));
            self.send(std::mem::replace(&mut records, rest));
        }
    }

    /// What the kernel has left out since it was told last.
    fn suppressed(&mut self) -> Vec<CoreRecord> {
        let mut records = Vec::new();
        for (function, count) in self.pipeline.suppressed() {
            let told = self.suppressed.get(function).copied().unwrap_or_default();
            if *count > told {
                self.suppressed.insert(function.clone(), *count);
                let fact = Fact::Suppressed { function: function.clone(), count: count - told };
                records.push(CoreRecord { subject: Subject::Node, fact });
            }
        }
        records
    }

    /// Says which of the names that are waited for mean the devices of these events, by the devices as they are now.
    fn call(&self, told: &mut [Told]) {
        if told.is_empty() || self.names.is_empty() {
            return;
        }
        let called = Called::of(self.names.iter().map(String::as_str), &self.blocks.read().map);
        for Event { device, others, .. } in told.iter_mut().map(|told| &mut told.event) {
            let others = others.iter_mut().map(|other| &mut other.device);
            // Events share their devices: only what is called so is copied.
            for device in device.iter_mut().chain(others) {
                if called.means(device) {
                    called.mark(Arc::make_mut(device));
                }
            }
        }
    }

    fn send(&mut self, records: Vec<CoreRecord>) {
        self.sent += 1;
        // Nobody listens any more: the daemon ends.
        let _ = self.tx.blocking_send(Input::Records(SourceId::Storage, records));
    }

    /// The loop has taken all that it was sent, and what came of it outlives it.
    fn is_taken(&self) -> bool {
        match &self.kept {
            Some(kept) => kept.load(Ordering::Acquire) >= self.sent,
            None => self.tx.capacity() == self.tx.max_capacity(),
        }
    }

    /// Reads a device again that something happened to. What has gone stays known, so that a line that comes later still finds it.
    fn refresh(&mut self, name: &str, has_gone: bool) -> Vec<String> {
        let at = now_us(rustix::time::ClockId::Realtime);
        let facts = self.reader.one(name).filter(|_| !has_gone);
        self.is_stale = true;
        let map = &mut self.blocks.write().map;
        let before = map.present(name).cloned();
        match facts {
            None => map.remove(name, at),
            Some(facts) => map.set(&facts, at),
        }
        before.zip(map.present(name)).map_or_else(Vec::new, |(before, now)| differences(&before, now))
    }

    /// Reads all devices again: which of them came, went and changed nobody knows.
    fn refresh_all(&mut self) -> Vec<String> {
        let Ok(listing) = self.reader.list() else { return Vec::new() };
        self.is_stale = true;
        let map = &mut self.blocks.write().map;
        let before: Vec<Device> = map.devices().cloned().collect();
        map.set_all(&listing.devices, now_us(rustix::time::ClockId::Realtime));
        let now = |before: &Device| map.present(&before.name);
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
        self.take_known();
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
            self.blocks.write().map.set_mounts(mounts);
        }
        self.pipeline.take(record, &finding, &self.blocks.read().map, self.latest_us);
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

    fn booted(&mut self) {
        self.pipeline.finish(&self.blocks.read().map);
        self.hand_on();
        self.send(vec![CoreRecord { subject: Subject::Node, fact: Fact::Booted }]);
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
        self.pipeline.expire(&self.blocks.read().map, self.now_us());
        self.hand_on();
        let is_settled = is_silent && was_taken && self.is_taken() && self.pipeline.is_told();
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

    /// udev has made no link that says which resource it is, nor on what it is built.
    #[test]
    fn what_the_loop_knows_of_drbd_and_of_services_is_on_the_events() {
        let machine = Machine::new("drbd");
        machine.device("drbd1000", "147:1000");
        let (tx, mut rx) = mpsc::channel(CHANNEL);
        let known = Known::default();
        let mut stages = ToLoop::of(Reader::new(&machine.0), Catalogue::built_in(), tx).with_known(known.clone());
        let mut core = reactor_core::core::Core::new();
        let events2 = "exists resource name:r0 role:Primary suspended:no\n\
            exists device name:r0 volume:0 minor:1000 backing_dev:/dev/md9 disk:UpToDate client:no quorum:yes\nexists -\n";
        let started =
            SourceEvent::Started { command: String::new(), dialect: Some(reactor_core::input::Dialect::Drbd9) };
        for input in [
            Input::Source(SourceId::Drbd, started),
            Input::Lines(SourceId::Drbd, events2.to_owned()),
            Input::BurstEnd(SourceId::Drbd),
        ] {
            core.step(reactor_core::ids::Mono::ZERO, &input, &mut Vec::new());
        }
        known.set_drbd(core.node().snapshot());
        known.set_users(vec![("r0".to_owned(), "pg.service".to_owned())]);
        let line = "I/O error, dev md9, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2";
        stages.record(&Record::new(Origin::Kernel, line));
        stages.settle();
        let told = loop {
            let Ok(input) = rx.try_recv() else { panic!("no event") };
            let Input::Records(_, records) = input else { continue };
            if let Fact::Storage(told) = records.into_iter().next().unwrap().fact {
                break told;
            }
        };
        let carries = told.event.device.unwrap().carries.clone();
        assert_eq!((carries.drbd, carries.units), (["r0/0".to_owned()].into(), ["pg.service".to_owned()].into()));
        for name in ["r0", "r0/0", "drbd:1000"] {
            assert_eq!(stages.blocks.read().map.find(name).unwrap().device.name, "drbd1000", "{name}");
        }
    }

    /// A machine of one disk and one array.
    struct Machine(std::path::PathBuf);

    impl Machine {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("reactor-uevents-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&root);
            let machine = Self(root);
            std::fs::create_dir_all(machine.0.join("sys/class/block")).unwrap();
            machine.device("md9", "9:9");
            machine.write("sys/devices/virtual/block/md9/md/raid_disks", "2");
            machine.write("sys/devices/virtual/block/md9/md/uuid", "11111111-2222-3333-4444-555555555555");
            machine.degraded("0");
            machine
        }

        fn device(&self, name: &str, number: &str) {
            self.write(&format!("sys/devices/virtual/block/{name}/dev"), number);
            let class = self.0.join("sys/class/block");
            let target = format!("../../devices/virtual/block/{name}");
            std::os::unix::fs::symlink(target, class.join(name)).unwrap();
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
        stages.pipeline.finish(&stages.blocks.read().map);
        stages.settle();
        assert_eq!(heard(&mut rx), (["BLK_CAPACITY_CHANGED", "MD_DEGRADED"].map(str::to_owned).into(), 0));
    }

    #[test]
    fn what_the_kernel_leaves_out_is_told_as_it_grows() {
        let machine = Machine::new("suppressed");
        let (tx, mut rx) = mpsc::channel(CHANNEL);
        let mut stages = ToLoop::of(Reader::new(&machine.0), Catalogue::built_in(), tx);
        let mut told = Vec::new();
        for count in [20, 0, 7] {
            if count > 0 {
                stages
                    .record(&Record::new(Origin::Kernel, format!("blk_print_req_error: {count} callbacks suppressed")));
            }
            stages.settle();
            while let Ok(input) = rx.try_recv() {
                let Input::Records(_, records) = input else { continue };
                told.extend(records.into_iter().map(|record| record.fact));
            }
        }
        let left_out = |count| Fact::Suppressed { function: "blk_print_req_error".to_owned(), count };
        assert_eq!(told, [left_out(20), left_out(7)]);
    }

    /// A filter may call a device by any link: an event does not have them all, but it says which of those that are waited for are its device's.
    #[test]
    fn events_say_which_of_the_names_of_filters_mean_their_devices() {
        let machine = Machine::new("called");
        machine.write("run/udev/data/b9:9", "S:disk/by-id/md-name-store\nS:disk/by-id/md-uuid-1111\n");
        let (tx, mut rx) = mpsc::channel(CHANNEL);
        let known = Known::default();
        let mut stages = ToLoop::of(Reader::new(&machine.0), Catalogue::built_in(), tx).with_known(known.clone());
        let names = ["/dev/disk/by-id/md-name-store", "9:9", "/dev/disk/by-id/md-name-other"];
        known.set_names(names.map(str::to_owned).into());
        machine.degraded("1");
        stages.uevent(b"change@/devices/virtual/block/md9\0SUBSYSTEM=block\0DEVNAME=md9\0");
        stages.pipeline.finish(&stages.blocks.read().map);
        stages.settle();
        let mut called = Vec::new();
        while let Ok(input) = rx.try_recv() {
            let Input::Records(_, records) = input else { continue };
            for record in records {
                let Fact::Storage(told) = record.fact else { continue };
                called.extend(told.event.device.map(|device| device.called.join(" ")));
            }
        }
        assert!(!called.is_empty());
        assert!(called.iter().all(|called| called == "/dev/disk/by-id/md-name-store 9:9"), "{called:?}");
    }

    /// Nobody knows what was in them: so everything is read again.
    #[test]
    fn uevents_that_are_lost_are_counted_and_what_they_told_of_is_found() {
        let machine = Machine::new("lost");
        let (tx, mut rx) = mpsc::channel(CHANNEL);
        let mut stages = ToLoop::of(Reader::new(&machine.0), Catalogue::built_in(), tx);
        machine.degraded("1");
        machine.device("md10", "9:10");
        stages.lost(Lost { kernel: 0, uevents: 3 });
        assert!(stages.blocks.read().map.present("md10").is_some());
        stages.pipeline.finish(&stages.blocks.read().map);
        stages.settle();
        assert_eq!(heard(&mut rx), (vec!["MD_DEGRADED".to_owned()], 3));
    }

    #[test]
    fn rules_count_from_the_next_message_on() {
        let (tx, mut rx) = mpsc::channel(CHANNEL);
        let known = Known::default();
        let rule = |event_type: &str| RawUserRule {
            regex: r"^ailing path (?P<kdev>\d+:\d+)".to_owned(),
            event_type: Some(event_type.to_owned()),
            ..RawUserRule::default()
        };
        known.set_rules(vec![rule("MINE")]);
        let mut stages = ToLoop::new(Catalogue::built_in(), tx).with_known(known.clone());
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
        known.set_rules(vec![rule("LOST")]);
        known.set_rules(vec![rule("OTHER")]);
        assert_eq!(heard(&mut stages, "ailing path 8:64"), ["OTHER"], "the latest count");
        known.set_rules(Vec::new());
        assert_eq!(heard(&mut stages, "ailing path 8:80"), [""; 0]);
    }
}
