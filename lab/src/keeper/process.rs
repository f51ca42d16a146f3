//! The keeper's own process, and the step between it and the machine.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use rustix::process::{Pid, Resource, Rlimit, Signal, WaitOptions};

use super::{Exit, LOADER_FD, Launch, Order, PanicSign, RUN_NODE, Report};
use crate::image::CLibrary;

/// More descriptors than a machine has sockets.
const MOST_FDS: usize = 16;
/// A console that has become this long is set aside once; the one set aside before is gone then.
const CONSOLE_LIMIT: u64 = 16 << 20;

/// What a keeper cannot do. It has nobody to tell but the lab, by its socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeeperError {
    /// A call failed.
    #[error("{what}")]
    Call {
        /// Which one.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What came over the socket makes no sense.
    #[error("the lab's order cannot be read")]
    Order(#[source] serde_json::Error),
}

fn call<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> KeeperError {
    move |source| KeeperError::Call { what, source: source.into() }
}

/// Becomes the machine: called by the keeper as a program of its own, replaces itself.
///
/// The parent death signal has to be set in the child; doing that here needs no code between fork and exec.
pub fn run_node(program: &Path, library: Option<&CLibrary>, args: &[OsString]) -> Result<Infallible, KeeperError> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(call("prctl(PR_SET_PDEATHSIG)"))?;
    // A kernel panic is SIGABRT; a core file of a machine's memory helps nobody.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none).map_err(call("setrlimit(RLIMIT_CORE)"))?;
    let mut command = Command::new(program);
    command.args(args);
    let loader = library.map(open_loader).transpose()?;
    if let Some(library) = library {
        // Not earlier: this program is linked with the library of this machine.
        command.env("LD_LIBRARY_PATH", &library.folder);
    }
    let source = command.exec();
    drop(loader);
    Err(KeeperError::Call { what: "exec", source })
}

/// Opens the dynamic loader where the program looks for it. It stays open: a kernel that reboots in place starts itself once more.
fn open_loader(library: &CLibrary) -> Result<OwnedFd, KeeperError> {
    let what = "open the dynamic loader";
    let file = File::open(&library.loader).map_err(call(what))?;
    let loader = rustix::io::fcntl_dupfd_cloexec(&file, i32::from(LOADER_FD)).map_err(call(what))?;
    if loader.as_raw_fd() != i32::from(LOADER_FD) {
        return Err(call("open the dynamic loader: its descriptor is taken")(io::Error::from(
            io::ErrorKind::AlreadyExists,
        )));
    }
    rustix::io::fcntl_setfd(&loader, rustix::io::FdFlags::empty()).map_err(call(what))?;
    Ok(loader)
}

/// Keeps one machine, whose description comes over standard input, a socket, until it ends or the socket does.
pub fn keep() -> Result<(), KeeperError> {
    let socket = io::stdin().as_fd().try_clone_to_owned().map_err(call("dup"))?;
    let mut socket = UnixStream::from(socket);
    // Signals of the lab's terminal are for the lab. That fails only for one who has that already.
    let _has_one = rustix::process::setsid();
    // Helpers of a machine whose main process has ended become this process' children.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(call("prctl(PR_SET_CHILD_SUBREAPER)"))?;
    let started = receive(&socket).and_then(|(launch, fds)| Kept::start(&launch, fds));
    let mut kept = match started {
        Ok(kept) => kept,
        Err(error) => {
            let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            return report(&mut socket, &Report::Failed { why: format!("{error}{source}") });
        }
    };
    report(&mut socket, &Report::Started { pid: kept.pid.as_raw_nonzero().get() })?;
    let exit = kept.run(&socket);
    kept.end();
    let exit = exit?;
    report(&mut socket, &Report::Exited { exit: kept.panic.as_ref().map_or(exit, |sign| sign.read(exit)) })
}

fn report(socket: &mut UnixStream, report: &Report) -> Result<(), KeeperError> {
    let mut line = serde_json::to_string(report).map_err(KeeperError::Order)?;
    line.push('\n');
    socket.write_all(line.as_bytes()).map_err(call("write to the lab"))
}

/// Reads the description of the machine and its descriptors, which are inheritable from here on.
fn receive(socket: &UnixStream) -> Result<(Launch, Vec<OwnedFd>), KeeperError> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    let mut fds = Vec::new();
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        let mut buffer = vec![0; 64 << 10];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(socket, &mut [IoSliceMut::new(&mut buffer)], &mut control, RecvFlags::empty())
            .map_err(call("recvmsg"))?;
        if received.bytes == 0 || received.flags.contains(ReturnFlags::CTRUNC) {
            let kind = io::ErrorKind::UnexpectedEof;
            return Err(KeeperError::Call { what: "the description of a machine", source: kind.into() });
        }
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        line.extend_from_slice(&buffer[..received.bytes]);
    }
    Ok((serde_json::from_slice(&line).map_err(KeeperError::Order)?, fds))
}

/// A machine with its keeper's means.
struct Kept {
    child: Child,
    pid: Pid,
    pidfd: OwnedFd,
    console: OwnedFd,
    log: ConsoleLog,
    panic: Option<PanicSign>,
}

impl Kept {
    fn start(launch: &Launch, fds: Vec<OwnedFd>) -> Result<Self, KeeperError> {
        let (console, write) = rustix::pipe::pipe().map_err(call("pipe"))?;
        rustix::io::fcntl_setfd(&console, rustix::io::FdFlags::CLOEXEC).map_err(call("fcntl"))?;
        let log = ConsoleLog::open(&launch.console).map_err(call("open the console's file"))?;
        if let Some(sign) = &launch.panic {
            File::create(&sign.file).map_err(call("empty the file that tells of a panic"))?;
        }
        let mut numbers: Vec<(String, String)> =
            launch.fds.iter().zip(&fds).map(|(name, fd)| (format!("{{{name}}}"), fd.as_raw_fd().to_string())).collect();
        numbers.push(("{console}".to_owned(), write.as_raw_fd().to_string()));
        let args = launch
            .args
            .iter()
            .map(|arg| numbers.iter().fold(arg.clone(), |arg, (name, number)| arg.replace(name, number)));
        let output = || write.try_clone().map(Stdio::from).map_err(call("dup"));
        let library = launch.library.as_ref().map(serde_json::to_string).transpose().map_err(KeeperError::Order)?;
        let child = Command::new("/proc/self/exe")
            .arg(RUN_NODE)
            .args(library.iter().flat_map(|json| ["--library", json]))
            .arg(&launch.program)
            .arg("--")
            .args(args)
            .env_clear()
            .envs(&launch.env)
            .stdin(Stdio::null())
            .stdout(output()?)
            .stderr(output()?)
            .process_group(0)
            .spawn()
            .map_err(call("start the machine's process"))?;
        let pid = Pid::from_child(&child);
        let pidfd =
            rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).map_err(call("pidfd_open"))?;
        // Ours are closed here: the switch and the agent's client shall see the machine's end.
        drop(fds);
        Ok(Self { child, pid, pidfd, console, log, panic: launch.panic.clone() })
    }

    /// Until the machine ends, or the lab does, which ends the machine.
    fn run(&mut self, socket: &UnixStream) -> Result<Exit, KeeperError> {
        let mut orders = BufReader::new(socket);
        let mut console_open = true;
        loop {
            let mut fds = vec![PollFd::new(&self.pidfd, PollFlags::IN), PollFd::new(socket, PollFlags::IN)];
            if console_open {
                fds.push(PollFd::new(&self.console, PollFlags::IN));
            }
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(call("poll")(errno)),
            }
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            if ready.get(2) == Some(&true) {
                console_open = self.log.copy(&self.console);
            }
            if ready[1] && !self.take_orders(&mut orders)? {
                self.signal_group(Signal::KILL);
                return self.wait();
            }
            if ready[0] {
                return self.wait();
            }
        }
    }

    fn wait(&mut self) -> Result<Exit, KeeperError> {
        self.child.wait().map(exit_of).map_err(call("wait"))
    }

    /// Carries out what is there; false when the lab has gone.
    fn take_orders(&self, orders: &mut BufReader<&UnixStream>) -> Result<bool, KeeperError> {
        loop {
            let mut line = String::new();
            if !matches!(orders.read_line(&mut line), Ok(1..)) {
                return Ok(false);
            }
            self.carry_out(&line)?;
            if orders.buffer().is_empty() {
                return Ok(true);
            }
        }
    }

    fn carry_out(&self, order: &str) -> Result<(), KeeperError> {
        match serde_json::from_str(order).map_err(KeeperError::Order)? {
            Order::Kill => self.signal_group(Signal::KILL),
            // Only the main process: the others are traced by it, and their stops would be its news.
            Order::Hang => self.signal(Signal::STOP),
            Order::Resume => self.signal(Signal::CONT),
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        // It may have ended: then its end is reported anyway.
        let _gone = rustix::process::kill_process(self.pid, signal);
    }

    fn signal_group(&self, signal: Signal) {
        let _gone = rustix::process::kill_process_group(self.pid, signal);
    }

    /// Leaves no process of the machine: its helpers outlive the main process and hold the locks of its disks.
    fn end(&mut self) {
        self.signal_group(Signal::KILL);
        while matches!(rustix::process::waitpid(None, WaitOptions::empty()), Ok(_) | Err(Errno::INTR)) {}
        // What the last words still in the pipe are.
        while self.log.copy(&self.console) {}
    }
}

fn exit_of(status: std::process::ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Unknown,
    }
}

/// The console's file, which cannot grow without bound.
struct ConsoleLog {
    path: PathBuf,
    file: File,
    length: u64,
}

impl ConsoleLog {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { path: path.into(), file, length })
    }

    /// Copies what is there; false at the end of the pipe. A file that cannot be written must not stop the machine.
    fn copy(&mut self, from: &OwnedFd) -> bool {
        let mut buffer = [0; 8192];
        match rustix::io::read(from, &mut buffer) {
            Ok(0) => false,
            Ok(length) => {
                let _full = self.file.write_all(&buffer[..length]);
                self.length += length as u64;
                if self.length > CONSOLE_LIMIT {
                    self.set_aside();
                }
                true
            }
            Err(errno) => errno == Errno::INTR,
        }
    }

    fn set_aside(&mut self) {
        let moved = std::fs::rename(&self.path, self.path.with_extension("log.1"));
        if let (Ok(()), Ok(fresh)) = (moved, Self::open(&self.path)) {
            *self = fresh;
        }
    }
}
