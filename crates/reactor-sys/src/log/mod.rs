//! Where log lines go: any number of loggers, each with a level and a target, all replaceable while the daemon runs.
//!
//! | target | form of a line |
//! |---|---|
//! | the journal, if standard error is connected to it | `message key=value`, and each as a field of its own; without its socket, lines with a `<N>` priority |
//! | standard error otherwise | `LEVEL [target] message key=value`, the form that drbd-reactor has |
//! | a file | the same after an RFC 3339 time stamp (drbd-reactor's files have none) |
//!
//! All are written by threads behind bounded queues: a journal or a reader of the pipe that hangs, or a disk that does, costs lines, which are
//! counted, and never holds up the loop. Files have a thread of their own: the journal says what is the matter with their disk.
//!
//! [`LogHandle::apply`] takes new settings and opens every file anew, so that `SIGHUP` is all that logrotate needs. Files are opened by another
//! thread, and the lines go where they went until all are open.

pub mod journal;
mod line;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use reactor_core::settings::{LogLevel, LogSettings};
use thiserror::Error;
use tokio::sync::oneshot;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use line::Line;
use writer::{Sink, Writer};

/// A log file that can't be written.
#[derive(Debug, Error)]
pub enum LogError {
    /// It can't be opened.
    #[error("can't open the log file {} (a symbolic link is not followed)", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is a folder, a device, a pipe.
    #[error("the log file {} is not a regular file", path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// There is no thread to open files.
    #[error("can't start a thread that opens log files")]
    Thread(#[source] std::io::Error),
    /// There is another logger in this process already.
    #[error("logging was set up before")]
    Twice,
}

/// What can't be done as asked for: those lines go to standard error or the journal, and no line is lost for a wrong path. It comes when all
/// files are open; an error means that newer settings came meanwhile.
pub type Opened = oneshot::Receiver<Vec<LogError>>;

/// Sets up logging for the whole process. Until the files are open, their lines go to standard error or the journal, too.
pub fn init(settings: &[LogSettings]) -> Result<(LogHandle, Opened), LogError> {
    use tracing_subscriber::layer::SubscriberExt;
    let (layer, handle) = build(settings, Fallback::Detect);
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).map_err(|_| LogError::Twice)?;
    let opened = handle.apply(settings);
    Ok((handle, opened))
}

/// Changes the loggers of the process.
#[derive(Clone)]
pub struct LogHandle {
    shared: Arc<Shared>,
}

impl LogHandle {
    /// New settings, or the same ones again: every file is opened anew, by a thread, because its disk may hang. Never blocks.
    pub fn apply(&self, settings: &[LogSettings]) -> Opened {
        let (told, opened) = oneshot::channel();
        let mut opening = self.shared.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if !opening.runs && self.shared.files.get().is_none() && settings.iter().all(|one| one.file.is_none()) {
            // Nothing is opened or closed, and nothing blocks.
            let _ = told.send(self.shared.apply(settings, open));
            tracing::callsite::rebuild_interest_cache();
            return opened;
        }
        // What waits behind a disk that hangs are the newest settings only.
        opening.next = Some((settings.to_vec(), told));
        if opening.runs {
            return opened;
        }
        let shared = Arc::clone(&self.shared);
        let open = move || {
            while let Some((settings, told)) = shared.next_to_open() {
                let problems = shared.apply(&settings, open);
                tracing::callsite::rebuild_interest_cache();
                // Nobody may want to know.
                let _ = told.send(problems);
            }
        };
        match std::thread::Builder::new().name("log-open".to_owned()).spawn(open) {
            Ok(_) => opening.runs = true,
            Err(error) => {
                if let Some((_, told)) = opening.next.take() {
                    let _ = told.send(vec![LogError::Thread(error)]);
                }
            }
        }
        opened
    }

    /// How many lines may wait for their target.
    pub const QUEUE: usize = writer::QUEUE;

    /// Lines that were dropped because a target did not take them.
    pub fn lost(&self) -> u64 {
        self.shared.console.lost() + self.shared.files.get().map_or(0, Writer::lost)
    }

    /// Waits until everything so far is written, but not longer than `deadline`.
    pub fn flush(&self, deadline: Duration) {
        let until = Instant::now() + deadline;
        self.shared.console.flush(until);
        if let Some(files) = self.shared.files.get() {
            files.flush(until);
        }
    }
}

/// Where lines go that have no file.
#[derive(Clone)]
enum Fallback {
    /// The journal if standard error is connected to it.
    Detect,
    /// A target of the test.
    #[cfg_attr(not(test), expect(dead_code, reason = "another target is only needed by tests"))]
    Sink(Sink),
}

struct Shared {
    /// The journal, or standard error.
    console: Writer,
    /// Started with the first file.
    files: OnceLock<Writer>,
    default: Fallback,
    opening: Mutex<Opening>,
    loggers: RwLock<Vec<Logger>>,
    /// The most that any logger wants, as [`rank`].
    most: AtomicU8,
}

/// The thread that opens files.
#[derive(Default)]
struct Opening {
    runs: bool,
    next: Option<(Vec<LogSettings>, oneshot::Sender<Vec<LogError>>)>,
}

struct Logger {
    rank: u8,
    target: Target,
}

enum Target {
    Journal {
        /// The name of this program.
        program: String,
    },
    /// Plain lines; `priority` puts `<N>` in front for a journal that reads standard error.
    Lines { sink: Sink, stamp: bool, priority: bool },
}

fn build(settings: &[LogSettings], default: Fallback) -> (LogLayer, LogHandle) {
    let shared = Arc::new(Shared {
        console: Writer::start("log"),
        files: OnceLock::new(),
        default,
        opening: Mutex::default(),
        loggers: RwLock::new(Vec::new()),
        most: AtomicU8::new(0),
    });
    let none_yet: Vec<LogSettings> = settings.iter().map(|one| LogSettings { file: None, ..one.clone() }).collect();
    shared.apply(&none_yet, open);
    (LogLayer { shared: Arc::clone(&shared) }, LogHandle { shared })
}

impl Shared {
    /// What is to be opened now. Without anything the thread ends.
    fn next_to_open(&self) -> Option<(Vec<LogSettings>, oneshot::Sender<Vec<LogError>>)> {
        let mut opening = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let next = opening.next.take();
        opening.runs = next.is_some();
        next
    }

    /// May block as long as `open` does.
    fn apply(
        &self,
        settings: &[LogSettings],
        open: impl Fn(&Path) -> Result<std::fs::File, LogError>,
    ) -> Vec<LogError> {
        let mut problems = Vec::new();
        let mut loggers = Vec::new();
        for one in settings {
            let target = one.file.as_deref().and_then(|path| match open(path) {
                Ok(file) => Some(Target::Lines { sink: Sink::File(Arc::new(file)), stamp: true, priority: false }),
                Err(problem) => {
                    problems.push(problem);
                    None
                }
            });
            let target = target.unwrap_or_else(|| self.default_target());
            loggers.push(Logger { rank: rank_of_setting(one.level), target });
        }
        let most = loggers.iter().map(|logger| logger.rank).max().unwrap_or(0);
        let before = {
            // The loop may be about to write a line: nothing is waited for here.
            let mut present = self.loggers.write().unwrap_or_else(PoisonError::into_inner);
            self.most.store(most, Ordering::Relaxed);
            std::mem::replace(&mut *present, loggers)
        };
        // This may close files.
        drop(before);
        problems
    }

    fn writer_of(&self, sink: &Sink) -> &Writer {
        match sink {
            Sink::File(_) => self.files.get_or_init(|| Writer::start("log-files")),
            Sink::Stderr | Sink::Journal => &self.console,
        }
    }

    fn default_target(&self) -> Target {
        match &self.default {
            Fallback::Sink(sink) => Target::Lines { sink: sink.clone(), stamp: false, priority: false },
            Fallback::Detect if !stderr_is_journal() => {
                Target::Lines { sink: Sink::Stderr, stamp: false, priority: false }
            }
            Fallback::Detect if journal::listens(Path::new(journal::SOCKET)) => {
                Target::Journal { program: writer::program() }
            }
            Fallback::Detect => Target::Lines { sink: Sink::Stderr, stamp: false, priority: true },
        }
    }
}

/// The layer that hands each event to the loggers that want it.
struct LogLayer {
    shared: Arc<Shared>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LogLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // `apply` makes all call sites ask again.
        if rank(*metadata.level()) <= self.shared.most.load(Ordering::Relaxed) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        rank(*metadata.level()) <= self.shared.most.load(Ordering::Relaxed)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.shared.most.load(Ordering::Relaxed) {
            0 => LevelFilter::OFF,
            1 => LevelFilter::ERROR,
            2 => LevelFilter::WARN,
            3 => LevelFilter::INFO,
            4 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        })
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        let mut line = None;
        for logger in &*self.shared.loggers.read().unwrap_or_else(PoisonError::into_inner) {
            if rank(level) > logger.rank {
                continue;
            }
            let line = line.get_or_insert_with(|| Line::of(event));
            match &logger.target {
                Target::Journal { program } => {
                    let datagram = journal::datagram(event.metadata(), program, line.message(), line.fields());
                    self.shared.console.write(Sink::Journal, datagram);
                }
                Target::Lines { sink, stamp, priority } => {
                    self.shared.writer_of(sink).write(sink.clone(), line.text(level, *stamp, *priority));
                }
            }
        }
    }
}

fn rank(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

fn rank_of_setting(level: LogLevel) -> u8 {
    match level {
        LogLevel::Off => 0,
        LogLevel::Error => 1,
        LogLevel::Warn => 2,
        LogLevel::Info => 3,
        LogLevel::Debug => 4,
        LogLevel::Trace => 5,
    }
}

/// Opens a log file for appending. Never through a symbolic link, and only a regular file: we may be root.
fn open(path: &Path) -> Result<std::fs::File, LogError> {
    use rustix::fs::{Mode, OFlags};
    // Without NONBLOCK a FIFO without a reader would hold us up; for a regular file it means nothing.
    let flags =
        OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let failed = |source: std::io::Error| LogError::Open { path: path.to_path_buf(), source };
    let fd = rustix::fs::open(path, flags, Mode::from_raw_mode(0o640)).map_err(|errno| failed(errno.into()))?;
    let file = std::fs::File::from(fd);
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(LogError::NotAFile { path: path.to_path_buf() });
    }
    Ok(file)
}

/// Whether standard error is connected to the journal: systemd says in `JOURNAL_STREAM` which device and inode that would be.
pub fn stderr_is_journal() -> bool {
    let Ok(stat) = rustix::fs::fstat(std::io::stderr()) else { return false };
    std::env::var("JOURNAL_STREAM").is_ok_and(|stream| is_stream(&stream, stat.st_dev, stat.st_ino))
}

fn is_stream(stream: &str, device: u64, inode: u64) -> bool {
    stream.split_once(':').is_some_and(|(dev, ino)| dev.parse() == Ok(device) && ino.parse() == Ok(inode))
}

#[cfg(test)]
mod tests;
