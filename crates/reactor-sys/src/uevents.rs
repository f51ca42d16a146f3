//! The kernel's uevents as a source: a netlink socket, read by a thread.
//!
//! Only what the kernel itself sent counts: port 0 and the credentials of root, which nobody else can send. When the loop is busy the socket fills,
//! and the kernel drops what does not fit and says so (`ENOBUFS`): that is told as a loss of which nobody knows how large it is.
//!
//! The collector of storage events gets each datagram as it is: there is more in it than the core wants to know.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::Duration;

use reactor_core::input::{Fact, Input, MAX_RECORDS, Record, SourceEvent, SourceId};
use reactor_core::subject::Subject;
use reactor_core::uevent;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, IoSliceMut};
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType, bind, recvmsg,
    socket_with, sockopt,
};
use tokio::sync::mpsc;
use tracing::warn;

use crate::storage::Taps;

/// Inputs that may wait for the loop; when they are full the socket is not read.
const CHANNEL: usize = 16;

/// The kernel's own group.
const KERNEL: u32 = 1;

/// The kernel makes no uevent longer than this.
const MAX_BYTES: usize = 8192;

/// Room for a boot's worth of uevents, if the kernel allows it.
const SOCKET_BYTES: usize = 1024 * 1024;

/// A socket that can't be opened, or has failed, is tried again after this.
const RETRY: Duration = Duration::from_secs(30);

/// Starts the source: a thread that sleeps in the kernel until there is something to read; the collector of storage events gets every datagram. It
/// is left behind when the daemon ends.
pub fn spawn(taps: Option<Taps>) -> mpsc::Receiver<Input> {
    let (tx, rx) = mpsc::channel(CHANNEL);
    let run = move || while run(&tx, taps.as_ref()).is_ok() {};
    if let Err(error) = std::thread::Builder::new().name("uevents".to_owned()).spawn(run) {
        warn!(%error, "can't start the thread that reads the kernel's uevents: they are not counted");
    }
    rx
}

/// The loop has gone: nobody wants to know any more.
struct Closed;

/// One socket, from its beginning to its end, and the wait after it.
fn run(tx: &mpsc::Sender<Input>, taps: Option<&Taps>) -> Result<(), Closed> {
    let send = |input| tx.blocking_send(input).map_err(|_| Closed);
    let why = match open() {
        Ok(socket) => {
            let started = SourceEvent::Started { command: "kernel uevents".to_owned(), dialect: None };
            send(Input::Source(SourceId::Uevents, started))?;
            loop {
                match read(&socket, taps) {
                    Ok(records) if records.is_empty() => {}
                    Ok(records) => send(Input::Records(SourceId::Uevents, records))?,
                    Err(error) => break format!("can't read the kernel's uevents: {error}"),
                }
            }
        }
        Err(error) => format!("can't open the socket of the kernel's uevents: {error}"),
    };
    warn!(retry_s = RETRY.as_secs(), "{why}");
    send(Input::Source(SourceId::Uevents, SourceEvent::Ended { why }))?;
    std::thread::sleep(RETRY);
    Ok(())
}

/// The socket, not blocking.
fn open() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(netlink::KOBJECT_UEVENT))?;
    // What it does not allow is no reason to do without.
    let _ = sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BYTES);
    sockopt::set_socket_passcred(&socket, true)?;
    bind(&socket, &SocketAddrNetlink::new(0, KERNEL))?;
    Ok(socket)
}

/// Waits for something to read, and takes what is there.
fn read(socket: &OwnedFd, taps: Option<&Taps>) -> Result<Vec<Record>, Errno> {
    let mut records = Vec::new();
    match poll(&mut [PollFd::new(socket, PollFlags::IN)], None) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error),
    }
    while records.len() < MAX_RECORDS {
        match receive(socket, taps) {
            Ok(record) => records.extend(record),
            Err(Errno::AGAIN) => break,
            Err(Errno::NOBUFS) => {
                if let Some(taps) = taps {
                    taps.lost_uevents();
                }
                records.push(Record { subject: Subject::Node, fact: Fact::Lost { count: None } });
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(records)
}

/// One datagram; `None` = it is nothing of the kernel's.
fn receive(socket: &OwnedFd, taps: Option<&Taps>) -> Result<Option<Record>, Errno> {
    let mut bytes = [0; MAX_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::empty())?;
    let sender = message.address.and_then(|address| SocketAddrNetlink::try_from(address).ok());
    let by_root = control
        .drain()
        .any(|message| matches!(message, RecvAncillaryMessage::ScmCredentials(who) if who.uid.is_root()));
    let by_kernel = by_root && sender.is_some_and(|sender| sender.pid() == 0);
    let datagram = by_kernel.then(|| &bytes[..message.bytes]);
    if let (Some(taps), Some(datagram)) = (taps, datagram) {
        taps.uevent(datagram);
    }
    Ok(datagram.map(record))
}

/// What the kernel says. What is not understood is counted, too: nobody should have to guess why something is missing.
fn record(datagram: &[u8]) -> Record {
    uevent::parse(datagram).unwrap_or_else(|error| {
        let fact = Fact::NotUnderstood { why: error.to_string() };
        Record { subject: Subject::Node, fact }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Where this process may make the kernel say something, it is heard; elsewhere the source says why not, or waits.
    #[tokio::test]
    async fn what_the_kernel_says_is_heard() {
        let mut news = spawn(None);
        let Some(Input::Source(SourceId::Uevents, began)) = news.recv().await else { panic!("not its begin") };
        let null = Path::new("/sys/devices/virtual/mem/null/uevent");
        if matches!(began, SourceEvent::Ended { .. }) || !is_heard_here() || fs::write(null, "change").is_err() {
            return;
        }
        loop {
            let Some(Input::Records(SourceId::Uevents, records)) = news.recv().await else { panic!("not records") };
            assert!(records.len() <= MAX_RECORDS);
            let ours = |record: &Record| match &record.fact {
                Fact::Uevent(uevent) => uevent.devpath == "/devices/virtual/mem/null" && uevent.action == "change",
                Fact::Lost { .. }
                | Fact::NotUnderstood { .. }
                | Fact::SplitBrain(_)
                | Fact::Storage(_)
                | Fact::Suppressed { .. }
                | Fact::Booted => false,
            };
            if let Some(record) = records.iter().find(|record| ours(record)) {
                assert_eq!(record.subject, Subject::Device("null".into()));
                return;
            }
        }
    }

    #[test]
    fn what_is_not_understood_is_a_record_of_its_own() {
        let why = |datagram: &[u8]| match record(datagram).fact {
            Fact::NotUnderstood { why } => Some(why),
            Fact::Uevent(_)
            | Fact::Lost { .. }
            | Fact::Suppressed { .. }
            | Fact::SplitBrain(_)
            | Fact::Storage(_)
            | Fact::Booted => None,
        };
        assert_eq!(why(b"add@/module/dm\0SUBSYSTEM=module\0"), None);
        assert_eq!(why(b"add@/module/dm\0").as_deref(), Some("it has no SUBSYSTEM"));
        assert_eq!(why(b"what?\0").as_deref(), Some("it does not begin with ACTION@DEVPATH"));
    }

    /// Uevents reach the network namespaces of the first user namespace only.
    fn is_heard_here() -> bool {
        let all = |text: String| text.split_whitespace().collect::<Vec<_>>() == ["0", "0", "4294967295"];
        fs::read_to_string("/proc/self/uid_map").is_ok_and(all)
    }
}
