//! The kernel's log as a source: `/dev/kmsg`, read by a thread that sleeps in the kernel until there is something.
//!
//! Each read gives one message: `PRIORITY,NUMBER,MICROSECONDS,FLAGS;TEXT`, and lines of properties behind it (Documentation/ABI/testing/dev-kmsg).
//! Only the kernel's own messages count: whoever writes to the file himself cannot have facility 0. What is in the log already is read first, and
//! told as old: so a split brain from before a restart of the daemon is known again. Where the log can't be read, for example in a container, there
//! is no such source, and nothing else changes.
//!
//! It is the only reader of the log: all messages are handed to the collector of storage events, too.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use reactor_core::input::{Fact, Input, MAX_RECORDS, Record, SourceEvent, SourceId};
use reactor_core::kernel_log;
use reactor_core::subject::Subject;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, Mode, OFlags, fstat, major, minor, open};
use rustix::io::{Errno, read};
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::storage::{Piece, Taps};

/// Inputs that may wait for the loop; when they are full the log is not read, and the kernel says later what was lost.
const CHANNEL: usize = 16;

/// The kernel makes no record longer than this (`CONSOLE_EXT_LOG_MAX`).
const MAX_BYTES: usize = 8192;

/// Messages that are read before what they say is handed on: in a flood of others there may be no pause for long.
const MAX_READS: usize = 4096;

/// Errors in a row after which it is no log that can be read: the kernel goes on after each of them, at least by one message.
const MAX_ERRORS: usize = 1000;

/// A log that could not be read any more is opened again after this.
const RETRY: Duration = Duration::from_secs(30);

/// The kernel's log, and the number of its device.
const LOG: &str = "/dev/kmsg";
const DEVICE: (u32, u32) = (1, 11);

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
enum NoLog {
    #[error("can't open it: {0}")]
    Open(Errno),
    #[error("it is something else here, as in some containers")]
    SomethingElse,
}

/// Starts the source; the collector of storage events gets every message. Its thread is left behind when the daemon ends.
pub fn spawn(taps: Option<Taps>) -> mpsc::Receiver<Input> {
    let (tx, rx) = mpsc::channel(CHANNEL);
    let run = move || {
        let (mut was_there, mut is_told) = (false, false);
        loop {
            match open_log(Path::new(LOG)) {
                Ok(log) if follow(&log, &tx, taps.as_ref()).is_ok() => was_there = true,
                Ok(_) => return,
                // What was there once is tried again: the system may have had no place for one more file.
                Err(_) if was_there && !tx.is_closed() => {}
                Err(error) => {
                    if !std::mem::replace(&mut is_told, true) {
                        info!(%error, "no {LOG}: of a split brain only DRBD's handlers tell");
                    }
                    // Storage events go by it, too: permissions may be given later.
                    if taps.is_none() || tx.is_closed() {
                        return;
                    }
                }
            }
            if let Some(taps) = &taps {
                taps.no_kernel_log();
            }
            std::thread::sleep(RETRY);
        }
    };
    if let Err(error) = std::thread::Builder::new().name("kernel-log".to_owned()).spawn(run) {
        warn!(%error, "can't start the thread that reads the kernel's log");
    }
    rx
}

/// Opens the log. Where a container has a terminal or a pipe of that name, whoever writes to it is not the kernel; and no terminal may become ours.
fn open_log(path: &Path) -> Result<OwnedFd, NoLog> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let log = open(path, flags, Mode::empty()).map_err(NoLog::Open)?;
    let found = fstat(&log).map_err(NoLog::Open)?;
    let is_log = FileType::from_raw_mode(found.st_mode).is_char_device()
        && (major(found.st_rdev), minor(found.st_rdev)) == DEVICE;
    is_log.then_some(log).ok_or(NoLog::SomethingElse)
}

/// The loop has gone: nobody wants to know any more.
#[derive(Debug)]
struct Closed;

/// Reads the log until it can't be read.
fn follow(log: &OwnedFd, tx: &mpsc::Sender<Input>, taps: Option<&Taps>) -> Result<(), Closed> {
    let send = |input| tx.blocking_send(input).map_err(|_| Closed);
    let started = SourceEvent::Started { command: LOG.to_owned(), dialect: None };
    send(Input::Source(SourceId::KernelLog, started))?;
    let mut is_old = true;
    let why = loop {
        let mut piece = Piece::default();
        let taken = take(|buffer| read(log, buffer), &mut is_old, taps.map(|_| &mut piece));
        if let Some(taps) = taps.filter(|_| !piece.is_empty()) {
            taps.kernel(piece);
        }
        match taken {
            // In a flood nothing is sent for long: that nobody wants to know any more is seen all the same.
            Ok(records) if records.is_empty() && tx.is_closed() => return Err(Closed),
            Ok(records) if records.is_empty() => {
                if let Err(error) = wait(log) {
                    break format!("can't wait for {LOG}: {error}");
                }
            }
            Ok(records) => send(Input::Records(SourceId::KernelLog, records))?,
            Err(error) => break format!("can't read {LOG}: {error}"),
        }
    };
    warn!(retry_s = RETRY.as_secs(), "{why}: of a split brain only DRBD's handlers tell");
    send(Input::Source(SourceId::KernelLog, SourceEvent::Ended { why }))
}

/// Takes what is there, in pieces; `next` gives one message. What was there at the beginning is old.
fn take(
    mut next: impl FnMut(&mut [u8]) -> Result<usize, Errno>,
    is_old: &mut bool,
    mut piece: Option<&mut Piece>,
) -> Result<Vec<Record>, Errno> {
    let (mut records, mut lost, mut errors) = (Vec::new(), false, 0);
    let mut buffer = [0; MAX_BYTES];
    for _ in 0..MAX_READS {
        match next(&mut buffer) {
            Ok(0) => return Err(Errno::NODATA),
            Ok(bytes) => {
                records.extend(record(&buffer[..bytes], *is_old));
                errors = 0;
                if let Some(piece) = &mut piece {
                    piece.push(&buffer[..bytes]);
                    if piece.is_full() {
                        break;
                    }
                }
            }
            Err(Errno::AGAIN) => {
                *is_old = false;
                break;
            }
            Err(error) if errors == MAX_ERRORS => return Err(error),
            // What was to be read next is no longer there; the collector sees it by the numbers. In a flood that is so at every other read: once is enough.
            Err(Errno::PIPE) => {
                if !lost {
                    records.push(Record { subject: Subject::Node, fact: Fact::Lost { count: None } });
                }
                (lost, errors) = (true, errors + 1);
            }
            // A message that is longer than there is room for: the kernel goes on behind it.
            Err(Errno::INTR | Errno::INVAL) => errors += 1,
            Err(error) => return Err(error),
        }
        if records.len() >= MAX_RECORDS {
            break;
        }
    }
    Ok(records)
}

fn wait(log: &OwnedFd) -> Result<(), Errno> {
    match poll(&mut [PollFd::new(log, PollFlags::IN)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What a message says of DRBD, if it is the kernel's own.
fn record(message: &[u8], is_old: bool) -> Option<Record> {
    let message = String::from_utf8_lossy(message);
    let (head, text) = message.split_once(';')?;
    let priority: u32 = head.split(',').next()?.parse().ok()?;
    let facility = priority >> 3;
    if facility != 0 {
        return None;
    }
    kernel_log::parse(text.lines().next()?, is_old)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use reactor_core::kernel_log::SplitBrainLine;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    const SPLIT: &str = "drbd r0/0 drbd50 n2: Split-Brain detected but unresolved, dropping connection!";

    fn said(record: &Record) -> String {
        match &record.fact {
            Fact::SplitBrain(SplitBrainLine { peer, is_over, is_old }) => {
                format!(
                    "{} {} over:{is_over} old:{is_old}",
                    record.subject,
                    peer.as_ref().map_or("-", |peer| peer.as_str())
                )
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn what_was_there_is_old_and_only_the_kernels_own_words_count() {
        // One read is one message, as with the log.
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let (log, kernel) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).expect("a pair");
        let say = |text: &str| assert_eq!(rustix::io::write(&kernel, text.as_bytes()), Ok(text.len()));
        let (tx, mut rx) = mpsc::channel(CHANNEL);
        say(&format!("1,100,5,-;{SPLIT}\n SUBSYSTEM=drbd\n"));
        say(&format!("9,101,6,-;{SPLIT}\n"));
        say("6,102,7,-;usb 1-1: new device\n");
        say("nothing of the kernel's");
        let thread = std::thread::spawn(move || follow(&log, &tx, None));
        let Some(Input::Source(SourceId::KernelLog, SourceEvent::Started { .. })) = rx.blocking_recv() else {
            panic!("not its begin")
        };
        let records = |rx: &mut mpsc::Receiver<Input>| match rx.blocking_recv() {
            Some(Input::Records(SourceId::KernelLog, records)) => records.iter().map(said).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(records(&mut rx), ["r0 n2 over:false old:true"]);
        say("6,103,8,-;drbd r0 n2: conn( Connecting -> Connected ) peer( Unknown -> Secondary ) [connected]\n");
        assert_eq!(records(&mut rx), ["r0 n2 over:true old:false"]);
        drop(kernel);
        let Some(Input::Source(SourceId::KernelLog, SourceEvent::Ended { .. })) = rx.blocking_recv() else {
            panic!("not its end")
        };
        thread.join().expect("the thread ends").expect("somebody wanted to know");
    }

    /// Messages that are gone before they are read: that is told, and not a thousand times.
    #[test]
    fn a_flood_that_is_not_kept_up_with_is_one_loss() {
        let line = format!("1,100,5,-;{SPLIT}");
        let mut reads = 0;
        let mut is_old = true;
        let taken = take(
            |buffer| {
                reads += 1;
                let text = match reads {
                    1..3000 if reads % 2 == 0 => return Err(Errno::PIPE),
                    1501 => return Err(Errno::INVAL),
                    1..3000 => "6,99,4,-;usb 1-1: new device",
                    3000 => &line,
                    _ => return Err(Errno::AGAIN),
                };
                buffer[..text.len()].copy_from_slice(text.as_bytes());
                Ok(text.len())
            },
            &mut is_old,
            None,
        );
        let said: Vec<_> = taken.expect("it can be read").iter().map(said).collect();
        assert_eq!(said, ["Lost { count: None }", "r0 n2 over:false old:true"]);
        assert!(!is_old);
    }

    /// Messages of others without a pause: what is found among them does not wait for the end.
    #[test]
    fn what_is_found_in_a_flood_is_handed_on() {
        let line = format!("1,100,5,-;{SPLIT}");
        let (mut is_old, mut reads) = (false, 0);
        let flood = |buffer: &mut [u8]| {
            reads += 1;
            assert!(reads <= MAX_READS, "it waits for a pause that does not come");
            let text = if reads == 2 { &line } else { "6,99,4,-;usb 1-1: new device" };
            buffer[..text.len()].copy_from_slice(text.as_bytes());
            Ok(text.len())
        };
        let taken = take(flood, &mut is_old, None).expect("it can be read");
        assert_eq!(taken.iter().map(said).collect::<Vec<_>>(), ["r0 n2 over:false old:false"]);
    }

    /// The kernel goes on after such an error. If it did not, the thread would take a processor for ever.
    #[test]
    fn an_error_without_end_is_the_end() {
        for error in [Errno::INVAL, Errno::PIPE, Errno::INTR] {
            let mut reads = 0;
            let broken = |_: &mut [u8]| {
                reads += 1;
                assert!(reads <= MAX_READS, "it does not stop");
                Err(error)
            };
            assert_eq!(take(broken, &mut true, None).map(|records| records.len()), Err(error));
        }
    }

    #[test]
    fn what_only_has_its_name_is_not_the_kernels_log() {
        for path in ["/dev/null", "/proc/self/status"] {
            assert!(matches!(open_log(Path::new(path)), Err(NoLog::SomethingElse)), "{path}");
        }
        assert!(matches!(open_log(Path::new("/dev/none")), Err(NoLog::Open(Errno::NOENT))));
    }

    /// The real log, where this process may: nobody but the kernel can claim a split brain.
    #[test]
    fn what_somebody_writes_into_the_log_is_not_believed() {
        let Ok(log) = open_log(Path::new(LOG)) else { return };
        let Ok(mut writer) = fs::OpenOptions::new().write(true).open(LOG) else { return };
        let mine = format!("storage-reactor-test-{}", std::process::id());
        // One call is one message.
        let claim = format!("<0>drbd {mine}/0 drbd9 n2: Split-Brain detected but unresolved, dropping connection!\n");
        if writer.write_all(claim.as_bytes()).is_err() {
            return;
        }
        let mut is_old = true;
        while is_old {
            for record in take(|buffer| read(&log, buffer), &mut is_old, None).expect("it can be read") {
                assert_ne!(record.subject.to_string(), mine);
            }
        }
    }
}
