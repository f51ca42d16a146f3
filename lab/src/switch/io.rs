//! The switch's thread: sockets in, [`Fabric`] asked, sockets out.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};

use super::capture::Capture;
use super::fabric::{Counters, Fabric, Target};
use super::link::{Flap, Link};
use super::{Net, Port, SwitchError};

/// Longer frames than any virtual interface makes.
const LONGEST_FRAME: usize = 65_536;
/// Frames read from one node before the next one has its turn.
const BATCH: usize = 64;
/// Frames kept for a node whose socket is full; a stopped node loses the rest, as a stopped machine does.
const BACKLOG: usize = 256;
const WAKE: u64 = u64::MAX;

/// A running switch. Dropping it unplugs everything and ends the thread.
#[derive(Debug)]
pub struct Switch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    epoll: OwnedFd,
    /// Ends the thread's wait; what to do then is in `inner`.
    wake: OwnedFd,
    start: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    fabric: Fabric,
    plugs: BTreeMap<(Net, Port), Plug>,
    captures: BTreeMap<Net, Capture>,
    stop: bool,
}

#[derive(Debug)]
struct Plug {
    socket: OwnedFd,
    /// What the socket had no room for, with the sender, for the counters.
    backlog: VecDeque<(Port, Arc<[u8]>)>,
}

impl Switch {
    /// Starts a switch without plugs. The seed is that of jitter and loss.
    pub fn start(seed: u64) -> Result<Self, SwitchError> {
        let failed = |what| move |errno: Errno| SwitchError::SetUp { what, source: errno.into() };
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed("epoll_create1"))?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(failed("eventfd"))?;
        epoll::add(&epoll, &wake, epoll::EventData::new_u64(WAKE), epoll::EventFlags::IN)
            .map_err(failed("epoll_ctl"))?;
        let inner = Inner { fabric: Fabric::new(seed), plugs: BTreeMap::new(), captures: BTreeMap::new(), stop: false };
        let shared = Arc::new(Shared { epoll, wake, start: Instant::now(), inner: Mutex::new(inner) });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("lab-switch".to_owned())
            .spawn(move || of_thread.run())
            .map_err(|source| SwitchError::SetUp { what: "thread", source })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Plugs a node in and returns its end of the cable. A plug that was there is pulled first.
    pub fn attach(&self, net: Net, port: Port) -> Result<OwnedFd, SwitchError> {
        let failed = |what| move |errno: Errno| SwitchError::SetUp { what, source: errno.into() };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::DGRAM, flags, None).map_err(failed("socketpair"))?;
        let mut inner = self.shared.lock();
        inner.unplug(&self.shared.epoll, net, port);
        epoll::add(&self.shared.epoll, &ours, event_data(net, port), epoll::EventFlags::IN)
            .map_err(failed("epoll_ctl"))?;
        inner.fabric.attach(net, port);
        inner.plugs.insert((net, port), Plug { socket: ours, backlog: VecDeque::new() });
        Ok(theirs)
    }

    /// Pulls a node's plug.
    pub fn detach(&self, net: Net, port: Port) {
        self.shared.lock().unplug(&self.shared.epoll, net, port);
    }

    /// Changes the faults of the link in this direction.
    pub fn change(&self, net: Net, from: Port, to: Port, change: impl FnOnce(&mut Link)) -> Result<(), SwitchError> {
        change(self.shared.lock().fabric.link(net, from, to)?);
        Ok(())
    }

    /// Lets the link in this direction go down now, and up and down from then on.
    pub fn flap(&self, net: Net, from: Port, to: Port, down: Duration, up: Duration) -> Result<(), SwitchError> {
        let since = self.elapsed();
        self.change(net, from, to, |link| link.flap = Some(Flap { since, down, up }))
    }

    /// The time by which faults are reckoned: since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.shared.start.elapsed()
    }

    /// Every direction that has carried a frame or has a fault.
    #[must_use]
    pub fn links(&self) -> Vec<(Net, Port, Port, Link, Counters)> {
        let inner = self.shared.lock();
        inner.fabric.links().map(|(net, from, to, link, counters)| (net, from, to, link.clone(), counters)).collect()
    }

    /// Writes every frame that nodes send into this network from now on to a pcap file, also those that faults take.
    pub fn capture(&self, net: Net, path: &Path) -> Result<(), SwitchError> {
        let capture = Capture::create(path).map_err(|source| SwitchError::Capture { path: path.into(), source })?;
        self.shared.lock().captures.insert(net, capture);
        Ok(())
    }

    /// Ends the capture of this network; the file is complete then.
    pub fn end_capture(&self, net: Net) {
        if let Some(mut capture) = self.shared.lock().captures.remove(&net)
            && let Err(error) = capture.flush()
        {
            tracing::warn!(%net, %error, "the capture file is not complete");
        }
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the switch has ended with a panic");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // Full means that a wake-up is pending already.
        let _pending = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    fn run(&self) {
        let mut events = Vec::with_capacity(32);
        let mut buffer = vec![0; LONGEST_FRAME];
        let mut targets = Vec::new();
        loop {
            let timeout = {
                let mut inner = self.lock();
                if inner.stop {
                    return;
                }
                let now = self.start.elapsed();
                inner.deliver_arrived(&self.epoll, now);
                inner.fabric.next_arrival().map(|at| timespec(at.saturating_sub(now)))
            };
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => {
                    tracing::error!(error = %errno, "the switch cannot wait any more");
                    return;
                }
            }
            for event in &events {
                // The struct is packed on some machines: its fields are copied before use.
                let (flags, data) = (event.flags, event.data);
                if data.u64() == WAKE {
                    let mut count = [0; 8];
                    let _drained = rustix::io::read(&self.wake, &mut count);
                    continue;
                }
                let (net, port) = plug_of(data);
                let mut inner = self.lock();
                if flags.contains(epoll::EventFlags::OUT) {
                    inner.work_off(&self.epoll, net, port);
                }
                inner.receive(self, net, port, &mut buffer, &mut targets);
            }
        }
    }
}

impl Inner {
    /// Reads what a node has sent, a batch at most, and passes it on.
    fn receive(&mut self, shared: &Shared, net: Net, port: Port, buffer: &mut [u8], targets: &mut Vec<Target>) {
        for _ in 0..BATCH {
            let Some(plug) = self.plugs.get(&(net, port)) else { return };
            let length = match recv(&plug.socket, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((_, length)) => length,
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => continue,
                // The node's process is gone.
                Err(_) => return self.unplug(&shared.epoll, net, port),
            };
            let frame = &buffer[..length.min(buffer.len())];
            if let Some(capture) = self.captures.get_mut(&net)
                && let Err(error) = capture.frame(SystemTime::now(), frame)
            {
                tracing::warn!(%net, %error, "the capture has ended");
                self.captures.remove(&net);
            }
            targets.clear();
            self.fabric.send(shared.start.elapsed(), net, port, frame, targets);
            for target in targets.iter() {
                self.deliver(&shared.epoll, port, *target, frame, None);
            }
        }
    }

    fn deliver_arrived(&mut self, epoll: &OwnedFd, now: Duration) {
        while let Some((from, target, frame)) = self.fabric.arrived(now) {
            self.deliver(epoll, from, target, &frame, Some(&frame));
        }
    }

    /// Hands a frame to a node, or keeps it until the node's socket has room.
    fn deliver(&mut self, epoll: &OwnedFd, from: Port, target: Target, frame: &[u8], kept: Option<&Arc<[u8]>>) {
        let Target { net, to } = target;
        let Some(plug) = self.plugs.get_mut(&(net, to)) else { return };
        if plug.backlog.is_empty() {
            match send(&plug.socket, frame, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(_) => return,
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::INTR) => {}
                Err(_) => {
                    self.fabric.overflowed(from, target, frame.len());
                    return self.unplug(epoll, net, to);
                }
            }
        }
        if plug.backlog.len() >= BACKLOG {
            self.fabric.overflowed(from, target, frame.len());
            return;
        }
        plug.backlog.push_back((from, kept.map_or_else(|| frame.into(), Arc::clone)));
        if plug.backlog.len() == 1 {
            plug.watch(epoll, net, to, epoll::EventFlags::IN | epoll::EventFlags::OUT);
        }
    }

    /// A node's socket has room again.
    fn work_off(&mut self, epoll: &OwnedFd, net: Net, port: Port) {
        let Some(plug) = self.plugs.get_mut(&(net, port)) else { return };
        while let Some((_, frame)) = plug.backlog.front() {
            match send(&plug.socket, frame, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(_) => plug.backlog.pop_front(),
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::INTR) => return,
                Err(_) => return self.unplug(epoll, net, port),
            };
        }
        plug.watch(epoll, net, port, epoll::EventFlags::IN);
    }

    fn unplug(&mut self, epoll: &OwnedFd, net: Net, port: Port) {
        self.fabric.detach(net, port);
        if let Some(plug) = self.plugs.remove(&(net, port))
            && let Err(errno) = epoll::delete(epoll, &plug.socket)
        {
            tracing::warn!(%net, %port, error = %errno, "a socket could not be taken out of the epoll set");
        }
    }
}

impl Plug {
    fn watch(&self, epoll: &OwnedFd, net: Net, port: Port, flags: epoll::EventFlags) {
        if let Err(errno) = epoll::modify(epoll, &self.socket, event_data(net, port), flags) {
            tracing::warn!(%net, %port, error = %errno, "a socket cannot be watched");
        }
    }
}

fn event_data(net: Net, port: Port) -> epoll::EventData {
    epoll::EventData::new_u64(u64::from(u16::from_be_bytes([net.0, port.0])))
}

fn plug_of(data: epoll::EventData) -> (Net, Port) {
    let bytes = data.u64().to_be_bytes();
    (Net(bytes[6]), Port(bytes[7]))
}

fn timespec(wait: Duration) -> Timespec {
    let tv_sec = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
    Timespec { tv_sec, tv_nsec: i64::from(wait.subsec_nanos()) }
}

#[cfg(test)]
#[path = "io_tests.rs"]
mod tests;
