//! The thread that owns the stages: it takes what the readers hand it, fills gaps from the journal, and saves how far it has come.

use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use reactor_storage::formats::{Format, Reader, kmsg};
use reactor_storage::record::Record;
use rustix::time::{ClockId, clock_gettime};
use tracing::{info, warn};

use super::child::{self, Ask, Ended, Stop};
use super::follower::Follower;
use super::inbox::{Closed, Inbox, Lost, News, Piece};
use super::position::{Gap, Kernel, Line, Saved, Since, Step};
use super::saved::{self, Saver};
use crate::drbd::restart::Backoff;

/// What is done with messages. It runs on the thread of the collector and must not wait for anything.
pub trait Stages: Send + 'static {
    /// One message. Those of one source come in their order.
    fn record(&mut self, record: &Record<'_>);

    /// One uevent, as the kernel sent it.
    fn uevent(&mut self, datagram: &[u8]);

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
        let from = inbox.clone();
        let run = move || {
            let saved = saved::load(&options.state_dir).unwrap_or_else(|error| {
                let path = options.state_dir.join(saved::FILE_NAME);
                warn!(%error, path = %path.display(), "can't read how far the logs were read: this boot is read once more");
                Saved::default()
            });
            let _ = begin.send(saved.since(&options.boot));
            let saver = Saver::spawn(options.state_dir.clone());
            let mut work = Work::new(options, saved, saver, stages());
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
    while let Some((programs, stop)) = follower.begin() {
        if inbox.journal(News::JournalBegins).is_err() {
            return;
        }
        // The place to go on is behind the last entry that was whole.
        let mut reader = Reader::new(Format::Export);
        let before = since.clone();
        let args = Ask::Follow(&before, &programs).args();
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
    is_begun: bool,
    reader: Reader,
    saver: Saver,
    stages: S,
}

impl<S: Stages> Work<S> {
    fn new(options: Options, saved: Saved, saver: Saver, stages: S) -> Self {
        let now = saved.clone();
        Self { options, before: saved, now, is_begun: false, reader: Reader::new(Format::Export), saver, stages }
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
            News::Journal(piece) => {
                let Self { reader, stages, now, .. } = self;
                reader.push(&piece, |record| {
                    stages.record(&record);
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
        if !std::mem::replace(&mut self.is_begun, true) {
            self.begin(first, &lines(&records));
        }
        // When the boot began, as clocks see it now.
        let began_us = now_us(ClockId::Realtime).saturating_sub(now_us(ClockId::Monotonic));
        for (at, record) in records.iter().enumerate() {
            let Some(sequence) = record.place.sequence else { continue };
            let last = self.now.kernel.as_ref().map(|kernel| kernel.sequence);
            if last.is_some_and(|last| sequence <= last) {
                continue;
            }
            if let (Some(kernel), true) = (&self.now.kernel, last.is_some_and(|last| sequence > last + 1)) {
                let missing = sequence - kernel.sequence - 1;
                let gap = Gap::whole(&kernel.boot).behind(kernel).before(missing, lines(&records[at..]));
                let filled = self.fill(gap, Some(missing));
                if let Some(kernel) = &mut self.now.kernel {
                    kernel.recent.extend(filled);
                }
            }
            let boot_us = record.at.boot_us.unwrap_or_default();
            let kernel =
                self.now.kernel.get_or_insert_with(|| Kernel { boot: self.options.boot.clone(), ..Kernel::default() });
            kernel.read(sequence, Line::new(boot_us, &record.text));
            let mut record = record.clone();
            record.at.wall_us = Some(began_us + boot_us);
            record.place.boot = Some(self.options.boot.as_str().into());
            self.stages.record(&record);
        }
    }

    /// Reads what was said while nobody listened, up to the first message that is there.
    fn begin(&mut self, first: u64, there: &[Line]) {
        let saved = self.now.clone();
        let is_same = saved.kernel.as_ref().is_some_and(|kernel| kernel.boot == self.options.boot);
        let mut filled = Vec::new();
        for step in saved.steps(&self.options.boot, first, there) {
            match step {
                Step::Gap(gap) => {
                    let last = saved.kernel.as_ref().filter(|kernel| kernel.boot == gap.boot);
                    let is_counted = gap.boot == self.options.boot;
                    let missing = first.saturating_sub(last.map_or(0, |kernel| kernel.sequence + 1));
                    let lines = self.fill(gap, is_counted.then_some(missing));
                    if is_counted {
                        filled = lines;
                    }
                }
                Step::OtherBoots(since, but) => {
                    let result = self.ask(&Ask::KernelSince(&since), |stages, record| {
                        if record.place.boot.as_deref().is_some_and(|boot| !but.iter().any(|but| but == boot)) {
                            stages.record(record);
                        }
                    });
                    if let Err(error) = result {
                        warn!(%error, "can't read the kernel's messages of earlier boots from the journal");
                    }
                }
            }
        }
        // What was before the ring is done with; of another boot nothing more comes.
        let kernel = self.now.kernel.take().filter(|_| is_same);
        let Some(sequence) = first.checked_sub(1) else {
            self.now.kernel = kernel;
            return;
        };
        let mut kernel = kernel.unwrap_or_else(|| Kernel { boot: self.options.boot.clone(), ..Kernel::default() });
        kernel.sequence = kernel.sequence.max(sequence);
        kernel.recent.extend(filled);
        self.now.kernel = Some(kernel);
    }

    /// Tells what the journal has of a gap; what it has not is lost. Gives the last that there were.
    fn fill(&mut self, mut gap: Gap, missing: Option<u64>) -> Vec<Line> {
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
        filled.recent
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
