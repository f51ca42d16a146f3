//! The kernel's log as a source: `/dev/kmsg`, read by a thread that sleeps in the kernel until there is something.
//!
//! Each read gives one message: `PRIORITY,NUMBER,MICROSECONDS,FLAGS;TEXT`, and lines of properties behind it (Documentation/ABI/testing/dev-kmsg).
//! Only the kernel's own messages count: whoever writes to the file himself cannot have facility 0. What is in the log already is read first, and
//! told as old: so a split brain from before a restart of the daemon is known again. Where the log can't be read, for example in a container, there
//! is no such source, and nothing else changes.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use reactor_core::input::{Fact, Input, MAX_RECORDS, Record, SourceEvent, SourceId};
use reactor_core::kernel_log;
use reactor_core::subject::Subject;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, read};
use tokio::sync::mpsc;
use tracing::{info, warn};

/// Inputs that may wait for the loop; when they are full the log is not read, and the kernel says later what was lost.
const CHANNEL: usize = 16;

/// The kernel makes no record longer than this (`CONSOLE_EXT_LOG_MAX`).
const MAX_BYTES: usize = 8192;

/// A log that could not be read any more is opened again after this.
const RETRY: Duration = Duration::from_secs(30);

/// The kernel's log.
const LOG: &str = "/dev/kmsg";

/// Starts the source. Its thread is left behind when the daemon ends.
pub fn spawn() -> mpsc::Receiver<Input> {
    let (tx, rx) = mpsc::channel(CHANNEL);
    let run = move || {
        loop {
            match open(Path::new(LOG), OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()) {
                Ok(log) if follow(&log, &tx).is_ok() => std::thread::sleep(RETRY),
                Ok(_) => return,
                Err(error) => return info!(%error, "can't open {LOG}: of a split brain only DRBD's handlers tell"),
            }
        }
    };
    if let Err(error) = std::thread::Builder::new().name("kernel-log".to_owned()).spawn(run) {
        warn!(%error, "can't start the thread that reads the kernel's log");
    }
    rx
}

/// The loop has gone: nobody wants to know any more.
#[derive(Debug)]
struct Closed;

/// Reads the log until it can't be read.
fn follow(log: &OwnedFd, tx: &mpsc::Sender<Input>) -> Result<(), Closed> {
    let send = |input| tx.blocking_send(input).map_err(|_| Closed);
    let started = SourceEvent::Started { command: LOG.to_owned(), dialect: None };
    send(Input::Source(SourceId::KernelLog, started))?;
    let mut is_old = true;
    let why = loop {
        match take(log, &mut is_old) {
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

/// Takes what is there. What was there at the beginning is old.
fn take(log: &OwnedFd, is_old: &mut bool) -> Result<Vec<Record>, Errno> {
    let mut records = Vec::new();
    let mut buffer = [0; MAX_BYTES];
    while records.len() < MAX_RECORDS {
        match read(log, &mut buffer) {
            Ok(0) => return Err(Errno::NODATA),
            Ok(bytes) => records.extend(record(&buffer[..bytes], *is_old)),
            Err(Errno::AGAIN) => {
                *is_old = false;
                break;
            }
            // What was to be read next is no longer there.
            Err(Errno::PIPE) => records.push(Record { subject: Subject::Node, fact: Fact::Lost { count: None } }),
            Err(Errno::INTR | Errno::INVAL) => {}
            Err(error) => return Err(error),
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
        let thread = std::thread::spawn(move || follow(&log, &tx));
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

    /// The real log, where this process may: nobody but the kernel can claim a split brain.
    #[test]
    fn what_somebody_writes_into_the_log_is_not_believed() {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(log) = open(Path::new(LOG), flags, Mode::empty()) else { return };
        let Ok(mut writer) = fs::OpenOptions::new().write(true).open(LOG) else { return };
        let mine = format!("storage-reactor-test-{}", std::process::id());
        if writeln!(writer, "<0>drbd {mine}/0 drbd9 n2: Split-Brain detected but unresolved, dropping connection!")
            .is_err()
        {
            return;
        }
        let mut is_old = true;
        while is_old {
            for record in take(&log, &mut is_old).expect("it can be read") {
                assert_ne!(record.subject.to_string(), mine);
            }
        }
    }
}
