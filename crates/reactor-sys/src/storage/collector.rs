//! The thread that owns the stages: it takes what the readers hand it, fills gaps from the journal, and saves how far it has come.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use reactor_storage::formats::{Format, Reader, kmsg};
use reactor_storage::record::{Origin, Record};
use rustix::time::{ClockId, clock_gettime};
use tracing::{info, warn};

use super::child::{self, Ask, Ended, Stop};
use super::follower::Follower;
use super::inbox::{Closed, Inbox, Lost, News, Piece};
use super::position::{Again, Gap, Kernel, Line, Saved, Since, Step};
use super::saved::{self, Saver};
use crate::drbd::restart::Backoff;

/// What is done with messages. It runs on the thread of the collector and must not wait for anything.
pub trait Stages: Send + 'static {
    /// One message. Those of one source come in their order.
    fn record(&mut self, record: &Record<'_>);

    /// One uevent, as the kernel sent it.
    fn uevent(&mut self, datagram: &[u8]);

    /// From now on the kernel's messages come from the journal, because /dev/kmsg can't be read, or from there again.
    fn kernel_by_journal(&mut self, is_so: bool);
    /// What was told so far is of earlier boots; what comes from now on is of this one.
    fn booted(&mut self) {}

    /// Something is lost for good.
    fn lost(&mut self, lost: Lost);

    /// Nothing more is there at the moment, or the time has come that [`due`](Self::due) asked for. Gives whether everything is handed on that was
    /// told so far: only then it needs not be told again after a restart.
    fn settle(&mut self) -> bool;

    /// When to settle, if nothing comes until then.
    fn due(&self) -> Option<Instant>;
}

/// How long to wait for the journal.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A question that gives nothing for so long is given up: its disk may hang.
    pub answer: Duration,
    /// A question takes so long at most.
    pub question: Duration,
    /// A follower that says nothing for so long is started anew: it can't be told from one that hangs.
    pub silence: Duration,
    /// Between followers.
    pub backoff: Backoff,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(10),
            question: Duration::from_secs(60),
            silence: Duration::from_secs(600),
            backoff: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(300) },
        }
    }
}

/// What the collector has to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it is saved how far the logs were read.
    pub state_dir: PathBuf,
    /// Whether the journal is read: without it there are only the kernel's messages, those that its ring still has.
    pub journal: bool,
    /// `journalctl`.
    pub journalctl: PathBuf,
    /// This boot, as 32 hexadecimal digits: [`boot_id`].
    pub boot: String,
    /// Syslog identifiers of the programs to listen to.
    pub programs: Vec<String>,
    /// How long to wait for the journal.
    pub limits: Limits,
}

/// This boot, as the journal spells it.
///
/// # Errors
///
/// What the system says.
pub fn boot_id() -> std::io::Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(text.trim().replace('-', ""))
}

/// Where readers put what they read. They never wait.
#[derive(Clone, Debug)]
pub struct Taps {
    inbox: Inbox,
}

impl Taps {
    /// Messages of /dev/kmsg, in their order. What does not fit is dropped; the journal has it.
    pub fn kernel(&self, piece: Piece) {
        self.inbox.kernel(piece);
    }

    /// /dev/kmsg can't be read, or not any more: the journal has the kernel's messages, too. Messages of it mean that it can be read again.
    pub fn no_kernel_log(&self) {
        self.inbox.no_kernel_log();
    }

    /// One datagram of the kernel.
    pub fn uevent(&self, datagram: &[u8]) {
        self.inbox.uevent(datagram.to_vec());
    }

    /// The socket of uevents has lost some.
    pub fn lost_uevents(&self) {
        self.inbox.lost_uevents();
    }
}

/// The running collector.
#[derive(Debug)]
pub struct Collector {
    inbox: Inbox,
    follower: Follower,
    threads: Vec<JoinHandle<()>>,
}

impl Collector {
    /// Starts its threads: `storage`, on which the stages are made, one that follows the journal, and one that saves.
    ///
    /// # Errors
    ///
    /// There is no room for a thread.
    pub fn spawn<S: Stages>(
        options: Options,
        stages: impl FnOnce() -> S + Send + 'static,
    ) -> std::io::Result<(Self, Taps)> {
        let (inbox, follower) = (Inbox::default(), Follower::new(options.programs.clone()));
        let taps = Taps { inbox: inbox.clone() };
        // What is read of the file is the beginning for both threads.
        let (begin, begins) = sync_channel(1);
        let (options_of, steered) = (options.clone(), follower.clone());
        let to = inbox.clone();
        let follow = move || {
            if let Ok(since) = begins.recv() {
                follow(&options_of, since, &to, &steered);
            }
        };
        let (from, steers) = (inbox.clone(), follower.clone());
        let run = move || {
            let saved = saved::load(&options.state_dir).unwrap_or_else(|error| {
                let path = saved::path(&options.state_dir);
                warn!(%error, path = %path.display(), "can't read how far the logs were read: this boot is read once more");
                Saved::default()
            });
            let _ = begin.send(saved.since(&options.boot));
            let saver = Saver::spawn(options.state_dir.clone());
            let mut work = Work::new(options, saved, saver, steers, stages());
            work.run(&from);
            work.saver.finish();
        };
        let threads = vec![
            Builder::new().name("storage".to_owned()).spawn(run)?,
            Builder::new().name("storage-journal".to_owned()).spawn(follow)?,
        ];
        Ok((Self { inbox, follower, threads }, taps))
    }

    /// From now on these programs are followed, from the place on that was reached.
    pub fn set_programs(&self, programs: Vec<String>) {
        self.follower.set(programs);
    }

    /// Handles what came until now, saves it, and ends. It blocks; a disk that hangs holds it up.
    pub fn finish(mut self) {
        self.end();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }

    /// The same, but not for longer than that. Whether it has ended.
    pub async fn finish_within(self, limit: Duration) -> bool {
        let (tx, rx) = tokio::sync::oneshot::channel();
        let wait = Builder::new().name("storage-end".to_owned()).spawn(move || {
            self.finish();
            let _ = tx.send(());
        });
        wait.is_ok() && tokio::time::timeout(limit, rx).await.is_ok()
    }

    fn end(&self) {
        self.inbox.close();
        self.follower.end();
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.end();
    }
}

/// Follows the journal until nobody wants to know any more.
fn follow(options: &Options, mut since: Since, inbox: &Inbox, follower: &Follower) {
    let mut failures = 0;
    while let Some((whom, stop)) = follower.begin() {
        if inbox.journal(News::JournalBegins).is_err() {
            return;
        }
        // The place to go on is behind the last entry that was whole.
        let mut reader = Reader::new(Format::Export);
        let before = since.clone();
        let args = Ask::Follow(&before, &whom).args();
        let ended = child::run(&options.journalctl, &args, options.limits.silence, &stop, |piece| {
            reader.push(&piece, |record| {
                if let Some(cursor) = record.place.cursor {
                    since = Since::Cursor(cursor.into_owned());
                }
            });
            inbox.journal(News::Journal(piece))
        });
        failures = if reader.counts().records > 0 { 0 } else { failures + 1 };
        let pause = options.limits.backoff.after(failures);
        match ended {
            // Somebody else is followed from now on, or nobody; or nothing was said, most often because there was nothing to say.
            Err(Ended::Unwanted | Ended::Silent { .. }) => continue,
            Ok(()) => info!(pause_s = pause.as_secs(), "the journal is followed anew"),
            Err(error) if failures <= 1 => {
                let error = crate::chain::chain(&error).to_string();
                warn!(%error, pause_s = pause.as_secs(), "can't follow the journal: what programs say of storage comes later");
            }
            Err(error) => info!(%error, pause_s = pause.as_secs(), "can't follow the journal"),
        }
        if inbox.is_closed_within(pause) {
            return;
        }
    }
}

/// What the thread `storage` has.
struct Work<S> {
    options: Options,
    /// As it was at the start.
    before: Saved,
    /// As it is.
    now: Saved,
    kernel_by: KernelBy,
    reader: Reader,
    saver: Saver,
    follower: Follower,
    stages: S,
}

/// What was read of a gap: how much, and the last messages of it.
#[derive(Default)]
struct Filled {
    found: u64,
    /// Nobody has these.
    lost: u64,
    last: Vec<Line>,
}

/// Where the kernel's messages come from.
enum KernelBy {
    /// None came yet.
    Nobody,
    /// /dev/kmsg; and which of its messages were read from the journal, until it is past these.
    Log(Option<Again>),
    /// The journal; and which of its entries were read.
    Journal(Gap),
}

impl<S: Stages> Work<S> {
    fn new(options: Options, saved: Saved, saver: Saver, follower: Follower, stages: S) -> Self {
        let (now, reader) = (saved.clone(), Reader::new(Format::Export));
        Self { options, before: saved, now, kernel_by: KernelBy::Nobody, reader, saver, follower, stages }
    }

    fn run(&mut self, inbox: &Inbox) {
        // In a flood there may be no pause for long.
        const MAX_NEWS: usize = 256;
        let mut since_settled = 0;
        loop {
            let at_once = Some(Instant::now());
            match inbox.next(at_once) {
                Ok(Some(news)) if since_settled < MAX_NEWS => {
                    self.news(news);
                    since_settled += 1;
                    continue;
                }
                Ok(Some(news)) => self.news(news),
                Ok(None) => {}
                Err(Closed) => break self.settle(),
            }
            self.settle();
            since_settled = 0;
            match inbox.next(self.stages.due()) {
                Ok(Some(news)) => self.news(news),
                Ok(None) => {}
                Err(Closed) => break self.settle(),
            }
        }
    }

    fn settle(&mut self) {
        if self.stages.settle() && self.now != self.before {
            self.now.wall_us = now_us(ClockId::Realtime);
            if let Some(kernel) = &mut self.now.kernel {
                kernel.forget_old();
            }
            self.before.clone_from(&self.now);
            self.saver.save(self.now.clone());
        }
    }

    fn news(&mut self, news: News) {
        match news {
            News::Kernel(piece) => self.kernel(&piece),
            News::Uevent(datagram) => self.stages.uevent(&datagram),
            News::Lost(lost) => self.stages.lost(lost),
            News::JournalBegins => self.reader = Reader::new(Format::Export),
            News::NoKernelLog => self.no_kernel_log(),
            News::Journal(piece) => {
                let Self { reader, stages, now, kernel_by, options, .. } = self;
                reader.push(&piece, |record| {
                    if record.origin != Origin::Kernel {
                        stages.record(&record);
                    } else if let Some(line) = kernel_by.entry(&record, &options.boot) {
                        stages.record(&record);
                        now.kernel.get_or_insert_with(|| Kernel::of(&options.boot)).read_in_journal(1, [line]);
                    }
                    if let Some(cursor) = &record.place.cursor {
                        let known = now.cursor.get_or_insert_default();
                        known.clear();
                        known.push_str(cursor);
                    }
                });
            }
        }
    }

    fn kernel(&mut self, piece: &Piece) {
        let records: Vec<Record<'_>> = piece.messages().filter_map(kmsg::record).collect();
        let Some(first) = records.first().and_then(|record| record.place.sequence) else { return };
        if !matches!(self.kernel_by, KernelBy::Log(_)) {
            self.log_is_there(first, &lines(&records));
        }
        // When the boot began, as clocks see it now.
        let began_us = now_us(ClockId::Realtime).saturating_sub(now_us(ClockId::Monotonic));
        for (at, record) in records.iter().enumerate() {
            let Some(sequence) = record.place.sequence else { continue };
            let line = Line::new(record.at.boot_us.unwrap_or_default(), &record.text);
            if !self.is_new(sequence, line) {
                continue;
            }
            self.fill_before(sequence, &records[at..]);
            self.now.kernel.get_or_insert_with(|| Kernel::of(&self.options.boot)).read(sequence, line);
            let mut record = record.clone();
            record.at.wall_us = Some(began_us + line.boot_us);
            record.place.boot = Some(self.options.boot.as_str().into());
            self.stages.record(&record);
        }
    }

    /// Whether a message of /dev/kmsg was not read yet.
    fn is_new(&mut self, sequence: u64, line: Line) -> bool {
        let (KernelBy::Log(again), Some(kernel)) = (&mut self.kernel_by, &mut self.now.kernel) else { return true };
        if again.as_ref().is_some_and(|again| again.is_over(line)) {
            *again = None;
            kernel.by_journal = None;
        }
        match again {
            None => sequence > kernel.sequence,
            Some(again) => {
                let is_new = again.is_new(line);
                if !is_new {
                    kernel.sequence = sequence;
                }
                is_new
            }
        }
    }

    /// Numbers that are missing before this one were lost on the way.
    fn fill_before(&mut self, sequence: u64, there: &[Record<'_>]) {
        let Some(kernel) = self.now.kernel.as_ref().filter(|kernel| sequence > kernel.sequence + 1) else { return };
        let missing = sequence - kernel.sequence - 1;
        // Some of them may have been read from the journal.
        let is_counted = kernel.by_journal.is_none();
        let gap = Gap::whole(&kernel.boot).behind(kernel).before(missing, lines(there));
        let filled = self.fill(gap, is_counted.then_some(missing));
        if let Some(kernel) = &mut self.now.kernel {
            kernel.recent.extend(filled.last);
            let next = there.first().and_then(|record| record.at.boot_us);
            kernel.lose(filled.lost, next.unwrap_or_default());
        }
    }

    /// /dev/kmsg can be read, for the first time or again.
    fn log_is_there(&mut self, first: u64, there: &[Line]) {
        let is_back = matches!(self.kernel_by, KernelBy::Journal(_));
        if is_back {
            info!("/dev/kmsg can be read again: the kernel's messages come from there");
            self.follower.set_kernel(false);
            self.stages.kernel_by_journal(false);
        }
        let again =
            self.now.kernel.as_ref().filter(|kernel| kernel.by_journal.is_some() && kernel.boot == self.options.boot);
        let again = again.map(Again::of);
        self.begin(first, there);
        if let Some(kernel) = self.now.kernel.as_mut().filter(|_| again.is_some()) {
            // From here on there are numbers again.
            kernel.by_journal = Some(0);
        }
        self.kernel_by = KernelBy::Log(again);
    }

    /// /dev/kmsg can't be read: the journal has what the kernel says, too, only later, and not if it can't write.
    fn no_kernel_log(&mut self) {
        if matches!(self.kernel_by, KernelBy::Journal(_)) {
            return;
        }
        if !self.options.journal {
            return warn!(
                "/dev/kmsg can't be read, and the journal is not to be: of the kernel's messages none is known"
            );
        }
        warn!("/dev/kmsg can't be read: the kernel's messages come from the journal");
        match self.kernel_by {
            KernelBy::Log(_) => {
                let kernel = self.now.kernel.get_or_insert_with(|| Kernel::of(&self.options.boot));
                let gap = Gap::whole(&kernel.boot).behind(kernel);
                let filled = self.fill(gap, None);
                self.read_in_journal(filled);
            }
            // All that there is of this boot.
            KernelBy::Nobody | KernelBy::Journal(_) => {
                let filled = self.begin(u64::MAX, &[]);
                self.read_in_journal(filled);
            }
        }
        let kernel = self.now.kernel.get_or_insert_with(|| Kernel::of(&self.options.boot));
        self.kernel_by = KernelBy::Journal(Gap::whole(&kernel.boot).behind(kernel));
        self.stages.kernel_by_journal(true);
        self.follower.set_kernel(true);
    }

    fn read_in_journal(&mut self, filled: Filled) {
        let kernel = self.now.kernel.get_or_insert_with(|| Kernel::of(&self.options.boot));
        kernel.read_in_journal(filled.found, filled.last);
    }

    /// Reads what was said while nobody listened, up to the first message that is there: this of it is of this boot.
    fn begin(&mut self, first: u64, there: &[Line]) -> Filled {
        let saved = self.now.clone();
        let is_of_boot = |kernel: &&Kernel| kernel.boot == self.options.boot;
        let is_same = saved.kernel.as_ref().is_some_and(|kernel| is_of_boot(&kernel));
        // Without numbers nobody knows how many there should be.
        let has_numbers = first < u64::MAX
            && saved.kernel.as_ref().filter(is_of_boot).is_none_or(|kernel| kernel.by_journal.is_none());
        let mut filled = Filled::default();
        let mut done = BTreeSet::new();
        let mut is_booted = saved.kernel.is_none() || is_same;
        for step in saved.steps(&self.options.boot, first, there) {
            match step {
                Step::Gap(gap) => {
                    let last = saved.kernel.as_ref().filter(|kernel| kernel.boot == gap.boot);
                    let is_of_boot = gap.boot == self.options.boot;
                    if is_of_boot && !std::mem::replace(&mut is_booted, true) {
                        self.stages.booted();
                    }
                    let missing = first.saturating_sub(last.map_or(0, |kernel| kernel.sequence + 1));
                    let lines = self.fill(gap, (is_of_boot && has_numbers).then_some(missing));
                    if is_of_boot {
                        filled = lines;
                    }
                }
                Step::OtherBoots(since, but) => done = self.other_boots(&since, &but),
            }
        }
        if !is_booted {
            self.stages.booted();
        }
        // What was before the ring is done with; of another boot nothing more comes.
        let kernel = self.now.kernel.take();
        let before = kernel.iter().filter(|_| !is_same).map(|kernel| kernel.boot.clone());
        self.now.is_done(before.chain(done));
        let kernel = kernel.filter(|_| is_same);
        let Some(before) = first.checked_sub(1).filter(|_| first < u64::MAX) else {
            self.now.kernel = kernel;
            return filled;
        };
        let mut kernel = kernel.unwrap_or_else(|| Kernel::of(&self.options.boot));
        kernel.sequence = kernel.sequence.max(before);
        kernel.recent.extend(filled.last.iter().copied());
        kernel.lose(filled.lost, there.first().map_or(0, |line| line.boot_us));
        self.now.kernel = Some(kernel);
        filled
    }

    /// Tells what the kernel said in other boots than these. Gives which boots there were.
    fn other_boots(&mut self, since: &Since, but: &[String]) -> BTreeSet<String> {
        let mut done = BTreeSet::new();
        let result = self.ask(&Ask::KernelSince(since), |stages, record| {
            let boot = record.place.boot.as_deref();
            if let Some(boot) = boot.filter(|boot| !but.iter().any(|but| but == boot)) {
                if !done.contains(boot) {
                    done.insert(boot.to_owned());
                }
                stages.record(record);
            }
        });
        if let Err(error) = result {
            warn!(%error, "can't read the kernel's messages of earlier boots from the journal");
        }
        done
    }

    /// Tells what the journal has of a gap; what it has not is lost.
    fn fill(&mut self, mut gap: Gap, missing: Option<u64>) -> Filled {
        let boot = gap.boot.clone();
        let (mut found, mut filled) = (0, Kernel::default());
        let result = self.ask(&Ask::KernelOf(&boot), |stages, record| {
            let line = record.at.boot_us.map(|boot_us| Line::new(boot_us, &record.text));
            let is_of_boot = record.place.boot.as_deref() == Some(boot.as_str());
            if let Some(line) = line.filter(|line| is_of_boot && gap.takes(*line)) {
                found += 1;
                filled.read(found, line);
                stages.record(record);
            }
        });
        let lost = missing.unwrap_or(0).saturating_sub(found);
        if let Err(error) = result {
            warn!(%error, lost, "can't fill a gap in the kernel's log from the journal");
        } else {
            info!(found, lost, "a gap in the kernel's log was filled from the journal");
        }
        if lost > 0 {
            self.stages.lost(Lost { kernel: lost, uevents: 0 });
        }
        Filled { found, lost, last: filled.recent }
    }

    /// Asks the journal, and gives each entry. What it has said until it fails was told.
    fn ask(&mut self, ask: &Ask<'_>, mut each: impl FnMut(&mut S, &Record<'_>)) -> Result<(), String> {
        if !self.options.journal {
            return Ok(());
        }
        let limits = self.options.limits;
        let (program, args) = (self.options.journalctl.clone(), ask.args());
        let stop = Stop::default();
        let stopped = stop.clone();
        let (tx, rx) = sync_channel(8);
        // Starting a program waits until the kernel has read it.
        let work = move || {
            let ended =
                child::run(&program, &args, limits.answer, &stopped, |piece| tx.send(Ok(piece)).map_err(|_| Closed));
            if let Err(error) = ended {
                let _ = tx.send(Err(crate::chain::chain(&error).to_string()));
            }
        };
        Builder::new().name("storage-ask".to_owned()).spawn(work).map_err(|error| error.to_string())?;
        let until = Instant::now() + limits.question;
        let mut reader = Reader::new(Format::Export);
        loop {
            let left = until.saturating_duration_since(Instant::now()).min(2 * limits.answer);
            match rx.recv_timeout(left) {
                Ok(Ok(piece)) => reader.push(&piece, |record| each(&mut self.stages, &record)),
                Ok(Err(error)) => return Err(error),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {
                    stop.stop();
                    return Err("it takes too long".to_owned());
                }
            }
        }
    }
}

impl KernelBy {
    /// An entry of the kernel's in the journal: what it is known by, if it is of this boot and was not read yet.
    fn entry(&mut self, record: &Record<'_>, boot: &str) -> Option<Line> {
        let Self::Journal(gap) = self else { return None };
        let line = Line::new(record.at.boot_us?, &record.text);
        (record.place.boot.as_deref() == Some(boot) && gap.takes(line)).then_some(line)
    }
}

/// What a gap is compared with.
fn lines(records: &[Record<'_>]) -> Vec<Line> {
    let line = |record: &Record<'_>| record.at.boot_us.map(|boot_us| Line::new(boot_us, &record.text));
    records.iter().filter_map(line).collect()
}

pub(super) fn now_us(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    let part = |part: i64| u64::try_from(part).unwrap_or(0);
    part(now.tv_sec) * 1_000_000 + part(now.tv_nsec) / 1000
}
