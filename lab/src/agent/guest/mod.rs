//! The node's end of the line: what the program `lab-agent` does.
//!
//! One thread reads the line and never waits for anything else, so a command that hangs in the kernel holds up nobody.
//! Every request has a thread of its own.

mod files;
mod process;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use rustix::termios::{OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr};

use super::wire::{Decoder, FromNode, RequestId, ToNode, UNREAD, VERSION, encode};

/// Where the kernel has the id of a boot.
pub const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Serves a terminal line until it is closed.
pub fn serve_terminal(path: &std::path::Path) -> io::Result<()> {
    let line = File::options().read(true).write(true).open(path)?;
    let mut settings = tcgetattr(&line)?;
    settings.make_raw();
    tcsetattr(&line, OptionalActions::Now, &settings)?;
    // What came before us was for nobody, and the line may have echoed half of it.
    tcflush(&line, QueueSelector::IFlush)?;
    let boot_id = std::fs::read_to_string(BOOT_ID)?.trim().to_owned();
    let reader = line.try_clone()?;
    serve(reader, line, boot_id)
}

/// Serves a line until it is closed.
pub fn serve(mut reader: impl Read, writer: impl Write + Send + 'static, boot_id: String) -> io::Result<()> {
    let host = Host(Arc::new(Mutex::new(Box::new(writer))));
    host.raw(b"\n");
    host.say(&FromNode::Ready { version: VERSION, boot_id });
    let requests = Requests::default();
    let mut decoder = Decoder::<ToNode>::default();
    let mut bytes = vec![0; 4 << 10];
    let (mut total, mut told) = (0_u64, 0_u64);
    loop {
        match reader.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                decoder.feed(&bytes[..count]);
                total += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        // What is not told is less than the room that the host then still has.
        if total - told >= UNREAD / 2 {
            told = total;
            host.say(&FromNode::Read { total });
        }
        while let Some(message) = decoder.next_message() {
            begin(message, &host, &requests);
        }
    }
}

/// The way to the host.
#[derive(Clone)]
struct Host(Arc<Mutex<Box<dyn Write + Send>>>);

impl Host {
    fn say(&self, message: &FromNode) {
        self.raw(&encode(message));
    }

    fn raw(&self, bytes: &[u8]) {
        let mut line = lock(&self.0);
        // A line that cannot be written is closed: its reader ends us.
        let _closed = line.write_all(bytes).and_then(|()| line.flush());
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a request in work is told by the host.
enum Order {
    Data(Vec<u8>),
    End,
}

/// A request in work.
struct Request {
    /// Its input, until its end.
    input: Option<mpsc::Sender<Order>>,
    /// The process group of its command.
    process: process::Group,
}

/// All requests in work.
#[derive(Clone, Default)]
struct Requests(Arc<Mutex<HashMap<RequestId, Request>>>);

impl Requests {
    /// Notes a request. Its entry goes when the result is dropped.
    fn enter(&self, id: RequestId, input: Option<mpsc::Sender<Order>>) -> Entry {
        let process = process::Group::default();
        lock(&self.0).insert(id, Request { input, process: process.clone() });
        Entry { requests: self.clone(), id, process }
    }

    fn order(&self, id: RequestId, order: Order) {
        if let Some(request) = lock(&self.0).get_mut(&id) {
            let last = matches!(order, Order::End);
            if let Some(input) = &request.input {
                // Who takes no more input has ended.
                let _ended = input.send(order);
            }
            if last {
                request.input = None;
            }
        }
    }

    fn cancel(&self, id: RequestId) {
        if let Some(request) = lock(&self.0).get_mut(&id) {
            request.input = None;
            request.process.kill();
        }
    }
}

/// A request's place among the others.
struct Entry {
    requests: Requests,
    id: RequestId,
    process: process::Group,
}

impl Drop for Entry {
    fn drop(&mut self) {
        lock(&self.requests.0).remove(&self.id);
    }
}

fn begin(message: ToNode, host: &Host, requests: &Requests) {
    let host = host.clone();
    match message {
        ToNode::Ping { id } => host.say(&FromNode::Pong { id }),
        ToNode::Exec { id, command, timeout_ms, most, input } => {
            let (orders_to, orders) = mpsc::channel();
            let entry = requests.enter(id, input.then_some(orders_to));
            let command = process::Shell { command, timeout_ms, most, input: input.then_some(orders) };
            start(id, &host.clone(), move || process::run(&entry, command, &host));
        }
        ToNode::Push { id, path, mode } => {
            let (orders_to, orders) = mpsc::channel();
            let entry = requests.enter(id, Some(orders_to));
            start(id, &host.clone(), move || files::take(&entry, &path, mode, &orders, &host));
        }
        ToNode::Pull { id, path } => {
            let entry = requests.enter(id, None);
            start(id, &host.clone(), move || files::give(&entry, &path, &host));
        }
        ToNode::Input { id, data } => requests.order(id, Order::Data(data)),
        ToNode::InputEnd { id } => requests.order(id, Order::End),
        ToNode::Cancel { id } => requests.cancel(id),
    }
}

/// Works in a thread; its error is the answer.
fn start(id: RequestId, host: &Host, work: impl FnOnce() -> io::Result<()> + Send + 'static) {
    let answer = host.clone();
    let work = move || {
        if let Err(error) = work() {
            answer.say(&FromNode::Failed { id, why: error.to_string() });
        }
    };
    if let Err(error) = std::thread::Builder::new().spawn(work) {
        host.say(&FromNode::Failed { id, why: format!("no thread: {error}") });
    }
}

/// Is something to be read from, or is the time over?
fn poll_within(fds: &mut [rustix::event::PollFd<'_>], left: Option<std::time::Duration>) -> io::Result<()> {
    let left = left.map(|left| rustix::event::Timespec::try_from(left).unwrap_or(FOREVER));
    match rustix::event::poll(fds, left.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

const FOREVER: rustix::event::Timespec = rustix::event::Timespec { tv_sec: i32::MAX as i64, tv_nsec: 0 };

fn nonblocking(fd: impl AsFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    Ok(rustix::fs::fcntl_setfl(&fd, flags | rustix::fs::OFlags::NONBLOCK)?)
}
