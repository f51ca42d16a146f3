//! The lab's end of a keeper.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};

use super::{Exit, KEEP, Launch, MARK, MachineError, Order, Report};

type Reports = Lines<BufReader<OwnedReadHalf>>;

/// A machine that runs, or has run. Dropping it kills it.
#[derive(Debug)]
pub struct Machine {
    pid: i32,
    orders: mpsc::UnboundedSender<Order>,
    exit: watch::Receiver<Option<Exit>>,
    hang_up: StdStream,
    keeper: OwnedFd,
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _closed = self.hang_up.shutdown(Shutdown::Both);
    }
}

impl Machine {
    /// Starts a machine under a keeper, which is `lab` (the program) with its hidden subcommand.
    ///
    /// The descriptors are those that `launch.fds` names.
    pub async fn start(lab: &Path, mut launch: Launch, fds: Vec<(String, OwnedFd)>) -> Result<Self, MachineError> {
        let failed = |source| MachineError::Keeper { program: lab.into(), source };
        let (ours, theirs) = StdStream::pair().map_err(failed)?;
        let mut command = Command::new(lab);
        if let Some(mark) = launch.env.get(MARK) {
            command.env(MARK, mark);
        }
        let child = command
            .arg(KEEP)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let keeper = pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| failed(errno.into()))?;
        let (names, fds): (Vec<String>, Vec<OwnedFd>) = fds.into_iter().unzip();
        launch.fds = names;
        send_launch(&ours, &launch, &fds).map_err(MachineError::Silent)?;
        drop(fds);

        let hang_up = ours.try_clone().map_err(MachineError::Silent)?;
        ours.set_nonblocking(true).map_err(MachineError::Silent)?;
        let (read, write) = UnixStream::from_std(ours).map_err(MachineError::Silent)?.into_split();
        let mut reports = BufReader::new(read).lines();
        let pid = match next_report(&mut reports).await.map_err(MachineError::Silent)? {
            Report::Started { pid } => pid,
            Report::Failed { why } => return Err(MachineError::Failed { why }),
            Report::Exited { exit } => return Err(MachineError::Failed { why: exit.to_string() }),
        };
        let (orders, order_queue) = mpsc::unbounded_channel();
        let (exit_sender, exit) = watch::channel(None);
        tokio::spawn(converse(reports, write, order_queue, exit_sender, child));
        Ok(Self { pid, orders, exit, hang_up, keeper })
    }

    /// The main process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Cuts the power: the whole process group gets SIGKILL.
    pub fn kill(&self) {
        self.order(Order::Kill);
    }

    /// Stops the machine where it is.
    pub fn hang(&self) {
        self.order(Order::Hang);
    }

    /// Lets a machine that hangs go on.
    pub fn resume(&self) {
        self.order(Order::Resume);
    }

    /// How it has ended, if it has.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Waits for its end, when no process of it is left.
    pub async fn ended(&self) -> Exit {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.unwrap_or(Exit::Unknown),
            Err(_) => Exit::Unknown,
        }
    }

    /// Kills it and blocks until no process of it is left, or the time is over. For destructors.
    pub fn kill_now(&self, within: Duration) -> bool {
        // The keeper takes the end of its socket as the order, also when no runtime is there to send one.
        let _closed = self.hang_up.shutdown(Shutdown::Both);
        let until = Instant::now() + within;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let tv_sec = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
            let timeout = Timespec { tv_sec, tv_nsec: i64::from(left.subsec_nanos()) };
            match poll(&mut [PollFd::new(&self.keeper, PollFlags::IN)], Some(&timeout)) {
                Ok(ready) => return ready > 0,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return false,
            }
        }
    }

    fn order(&self, order: Order) {
        // A machine that has ended takes no orders.
        let _ended = self.orders.send(order);
    }
}

/// Sends the description and the descriptors as one message.
fn send_launch(socket: &StdStream, launch: &Launch, fds: &[OwnedFd]) -> io::Result<()> {
    let mut line = serde_json::to_vec(launch)?;
    line.push(b'\n');
    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors for one machine"));
    }
    let sent = sendmsg(socket, &[IoSlice::new(&line)], &mut control, SendFlags::NOSIGNAL)?;
    io::Write::write_all(&mut &*socket, &line[sent..])
}

/// The next report; waiting for it can be given up without losing one.
async fn next_report(reports: &mut Reports) -> io::Result<Report> {
    let line = reports.next_line().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(serde_json::from_str(&line)?)
}

/// Carries orders to the keeper until it has reported the end.
async fn converse(
    mut reports: Reports,
    mut write: OwnedWriteHalf,
    mut orders: mpsc::UnboundedReceiver<Order>,
    exit: watch::Sender<Option<Exit>>,
    mut child: Child,
) {
    let end = loop {
        tokio::select! {
            report = next_report(&mut reports) => match report {
                Ok(Report::Exited { exit }) => break exit,
                Ok(Report::Started { .. } | Report::Failed { .. }) => {}
                Err(_) => break Exit::Unknown,
            },
            Some(order) = orders.recv() => {
                let Ok(mut line) = serde_json::to_vec(&order) else { continue };
                line.push(b'\n');
                if write.write_all(&line).await.is_err() {
                    break Exit::Unknown;
                }
            }
        }
    };
    drop((reports, write));
    // So that the keeper's end is certain, and it is no zombie.
    let _status = child.wait().await;
    exit.send_replace(Some(end));
}
