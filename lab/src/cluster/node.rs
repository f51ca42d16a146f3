//! One node of a cluster: its power, its agent, its disks.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::error::ClusterError;
use super::power::{PowerCall, serve_line};
use crate::agent::wire::Stream;
use crate::agent::{AgentClient, Command, Output};
use crate::backend::{AGENT, Backend, BackendError, NodeSpec, POWER, Request, SHELL, net_fd};
use crate::keeper::{Exit, Machine};
use crate::switch::{Net, Switch};

/// How long the console's tail in an error is.
const TAIL_LINES: usize = 25;
/// What the end of a machine may take once its lines are closed.
const A_MOMENT: Duration = Duration::from_secs(2);
/// What an order to a machine may take: processes end at once.
const AT_ONCE: Duration = Duration::from_secs(20);

/// What nodes of one cluster have in common.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) switch: Switch,
    pub(super) lab: PathBuf,
    pub(super) power_calls: mpsc::UnboundedSender<PowerCall>,
}

/// A node. It is on or off, and stays what it is in between: its disks are its own.
#[derive(Debug)]
pub struct Node {
    spec: NodeSpec,
    common: Arc<Common>,
    /// Held while the power changes.
    power: tokio::sync::Mutex<()>,
    running: Mutex<Option<Arc<Running>>>,
    last_exit: Mutex<Option<Exit>>,
}

/// From one power-on to the end of the machine.
#[derive(Debug)]
struct Running {
    machine: Machine,
    agent: Arc<AgentClient>,
    hung: Mutex<bool>,
    shell: Mutex<Option<StdStream>>,
    power_line: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.power_line.abort();
    }
}

/// Is a node on?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// Never started, or ended like this.
    Off(Option<Exit>),
    /// Its machine runs; the pid is that of the kernel's main process.
    On {
        /// The main process.
        pid: i32,
    },
    /// On, but stopped.
    Hung,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    pub(super) fn new(spec: NodeSpec, common: Arc<Common>) -> Self {
        Self {
            spec,
            common,
            power: tokio::sync::Mutex::default(),
            running: Mutex::default(),
            last_exit: Mutex::default(),
        }
    }

    /// The host name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Its machine's description.
    #[must_use]
    pub fn spec(&self) -> &NodeSpec {
        &self.spec
    }

    /// Is it on?
    #[must_use]
    pub fn power(&self) -> Power {
        let running = lock(&self.running).clone();
        match running {
            None => Power::Off(*lock(&self.last_exit)),
            Some(running) => match running.machine.exit() {
                Some(exit) => Power::Off(Some(exit)),
                None if *lock(&running.hung) => Power::Hung,
                None => Power::On { pid: running.machine.pid() },
            },
        }
    }

    /// Powers the node on and waits until its boot has ended. A node that is on stays as it is.
    pub async fn boot(&self, within: Duration) -> Result<Duration, ClusterError> {
        let started = Instant::now();
        let _power = self.power.lock().await;
        if !matches!(self.power(), Power::Off(_)) {
            return Ok(Duration::ZERO);
        }
        self.common.backend.prepare(&self.spec)?;
        let machine = |source| ClusterError::Machine { node: self.spec.name.clone(), source };
        let line = |source| ClusterError::Line { node: self.spec.name.clone(), source };
        let mut fds = Vec::new();
        for net in &self.spec.nets {
            fds.push((net_fd(*net), self.common.switch.attach(*net, self.spec.port)?));
        }
        let mut serial = |name: &str| {
            let (ours, theirs) = StdStream::pair()?;
            fds.push((name.to_owned(), OwnedFd::from(theirs)));
            ours.set_nonblocking(true)?;
            Ok(ours)
        };
        let agent = serial(AGENT).and_then(UnixStream::from_std).map_err(line)?;
        let shell = serial(SHELL).map_err(line)?;
        let power = serial(POWER).and_then(UnixStream::from_std).map_err(line)?;
        let launch = self.common.backend.launch(&self.spec);
        let machine = Machine::start(&self.common.lab, launch, fds).await.map_err(machine)?;
        let running = Arc::new(Running {
            machine,
            agent: Arc::new(AgentClient::new(agent)),
            hung: Mutex::new(false),
            shell: Mutex::new(Some(shell)),
            power_line: tokio::spawn(serve_line(power, self.common.power_calls.clone())).abort_handle(),
        });
        *lock(&self.running) = Some(Arc::clone(&running));
        self.ready(&running, 0, started, within).await?;
        Ok(started.elapsed())
    }

    /// Waits for the end of the boot, or of the machine, whichever is first.
    async fn ready(&self, running: &Running, seen: u64, since: Instant, within: Duration) -> Result<(), ClusterError> {
        let left = || within.saturating_sub(since.elapsed());
        let booted = async {
            running.agent.ready(seen, left()).await?;
            // The agent is there early. A failed unit is no reason to call the node down.
            running.agent.exec("systemctl is-system-running --wait", left()).await
        };
        let why = tokio::select! {
            booted = booted => match booted {
                Ok(_) => return Ok(()),
                Err(error) => {
                    // A machine that is killed closes its line a moment before it has ended.
                    let ended = tokio::time::timeout(A_MOMENT, running.machine.ended()).await;
                    ended.map_or_else(|_| format!("{error} ({} s)", within.as_secs()), |exit| exit.to_string())
                }
            },
            exit = running.machine.ended() => exit.to_string(),
        };
        let node = self.spec.name.clone();
        if running.machine.exit() == Some(Exit::Signal(9)) {
            // Its console knows nothing of that.
            return Err(ClusterError::Killed { node });
        }
        Err(ClusterError::Boot { node, why, console: self.console_tail() })
    }

    /// The last lines of the console.
    #[must_use]
    pub fn console_tail(&self) -> String {
        let text = std::fs::read(self.spec.console()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    /// The agent itself, until the machine's end, for what has no short form here.
    pub fn agent(&self) -> Result<Arc<AgentClient>, ClusterError> {
        Ok(Arc::clone(&self.running()?.agent))
    }

    /// Runs a shell command in the node. The command's own failure is in the output, not an error.
    pub async fn exec(&self, command: &str, within: Duration) -> Result<Output, ClusterError> {
        let running = self.running()?;
        running.agent.exec(command, within).await.map_err(|source| self.agent_error(command, source))
    }

    /// Runs a shell command and shows what it prints while it runs.
    pub async fn exec_shown(
        &self,
        command: &str,
        within: Duration,
        show: impl FnMut(Stream, &[u8]),
    ) -> Result<Output, ClusterError> {
        let running = self.running()?;
        let shell = Command::from(command);
        running.agent.run(&shell, within, show).await.map_err(|source| self.agent_error(command, source))
    }

    /// Runs a shell command that has to succeed; returns what it printed, without the last line end.
    pub async fn sh(&self, command: &str, within: Duration) -> Result<String, ClusterError> {
        let output = self.exec(command, within).await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if output.code == 0 {
            return Ok(text(&output.stdout));
        }
        Err(ClusterError::Command {
            node: self.spec.name.clone(),
            command: command.to_owned(),
            code: output.code,
            output: format!("{}\n{}", text(&output.stdout), text(&output.stderr)).trim().to_owned(),
        })
    }

    /// Runs a shell command again and again until it succeeds; the error is that of its last run.
    pub async fn until(&self, command: &str, within: Duration) -> Result<String, ClusterError> {
        let until = Instant::now() + within;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.sh(command, left.max(Duration::from_secs(1))).await {
                Ok(output) => return Ok(output),
                Err(error) if left.is_zero() => return Err(error),
                // The node's own commands take a while: this is a pause for the others, not a measure.
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// Cuts the power and waits until nothing of the machine is left. That needs nobody's consent: a boot, a reboot or
    /// a shutdown that is under way fails.
    pub async fn kill(&self) -> Result<(), ClusterError> {
        let running = self.running()?;
        running.machine.kill();
        self.ended(&running, AT_ONCE, "to be killed").await?;
        self.pull_plugs(&running);
        Ok(())
    }

    /// Stops the machine where it is: it does nothing any more and does not know it.
    pub fn hang(&self) -> Result<(), ClusterError> {
        let running = self.running()?;
        *lock(&running.hung) = true;
        running.machine.hang();
        Ok(())
    }

    /// Lets a machine that hangs go on.
    pub fn resume(&self) -> Result<(), ClusterError> {
        let running = self.running()?;
        running.machine.resume();
        *lock(&running.hung) = false;
        Ok(())
    }

    /// Lets the kernel panic and waits until nothing of the machine is left.
    pub async fn crash(&self) -> Result<Exit, ClusterError> {
        let _power = self.power.lock().await;
        let running = self.running()?;
        let ended = self.ended(&running, AT_ONCE, "to crash");
        tokio::pin!(ended);
        let exit = tokio::select! {
            asked = self.ask(Request::Crash) => match asked {
                // A kernel that panics does not answer any more.
                Ok(()) | Err(ClusterError::Backend(BackendError::Silent { .. })) => ended.await?,
                Err(error) => return Err(error),
            },
            exit = &mut ended => exit?,
        };
        self.pull_plugs(&running);
        Ok(exit)
    }

    /// Shuts the node down cleanly and waits for its end.
    pub async fn power_off(&self, within: Duration) -> Result<Exit, ClusterError> {
        let _power = self.power.lock().await;
        let running = self.running()?;
        self.ask(Request::PowerButton).await?;
        let exit = self.ended(&running, within, "to power off").await?;
        self.pull_plugs(&running);
        Ok(exit)
    }

    /// Reboots in place and waits until the agent answers again.
    pub async fn reboot(&self, within: Duration) -> Result<Duration, ClusterError> {
        let started = Instant::now();
        let _power = self.power.lock().await;
        let running = self.running()?;
        let seen = running.agent.boots();
        let order = self.sh("systemctl --no-block reboot", within);
        let ready = self.ready(&running, seen, started, within);
        tokio::pin!(ready);
        tokio::select! {
            // The agent may be stopped before it has said that the order was given: only a refusal is news.
            refused = order => if let Err(error @ ClusterError::Command { .. }) = refused {
                return Err(error);
            },
            done = &mut ready => return done.map(|()| started.elapsed()),
        }
        ready.await.map(|()| started.elapsed())
    }

    /// Waits for the machine's end by itself.
    pub async fn wait_off(&self, within: Duration) -> Result<Exit, ClusterError> {
        let running = self.running()?;
        let exit = self.ended(&running, within, "to end").await?;
        self.pull_plugs(&running);
        Ok(exit)
    }

    /// Pulls a data disk, counted from 1, that nothing has open; with QEMU also one in use.
    pub async fn remove_disk(&self, disk: u8) -> Result<(), ClusterError> {
        self.has_disk(disk)?;
        self.ask(Request::RemoveDisk(disk)).await
    }

    /// Plugs the data disk in again.
    pub async fn add_disk(&self, disk: u8) -> Result<(), ClusterError> {
        self.ask(Request::AddDisk(disk)).await
    }

    /// From now on every access to a data disk, counted from 1, fails, also when it is in use.
    ///
    /// The node's setup puts a device mapper target over each disk: that is what fails.
    pub async fn fail_disk(&self, disk: u8) -> Result<(), ClusterError> {
        self.map_disk(disk, "error").await
    }

    /// The disk works again, with what it had.
    pub async fn repair_disk(&self, disk: u8) -> Result<(), ClusterError> {
        let device = self.common.backend.disk_device(disk);
        self.map_disk(disk, &format!("linear {device} 0")).await
    }

    /// The name of a data disk, counted from 1, below the device mapper target that the node's setup makes of it.
    #[must_use]
    pub fn disk_device(&self, disk: u8) -> String {
        self.common.backend.disk_device(disk)
    }

    /// Is a disk pulled that something in the node has open? Else [`Node::remove_disk`] fails then.
    #[must_use]
    pub fn pulls_disks_in_use(&self) -> bool {
        self.common.backend.pulls_disks_in_use()
    }

    fn has_disk(&self, disk: u8) -> Result<(), ClusterError> {
        let disks = self.spec.disks.len();
        if disk == 0 || usize::from(disk) > disks {
            return Err(ClusterError::NoDisk { node: self.spec.name.clone(), disk, disks });
        }
        Ok(())
    }

    async fn map_disk(&self, disk: u8, target: &str) -> Result<(), ClusterError> {
        self.has_disk(disk)?;
        let device = self.common.backend.disk_device(disk);
        let map = format!(
            "dmsetup load disk{disk} --table \"0 $(blockdev --getsz {device}) {target}\" && \
             dmsetup suspend --noflush --nolockfs disk{disk} && dmsetup resume disk{disk}"
        );
        self.sh(&map, AT_ONCE).await.map(drop)
    }

    /// Copies a file or a folder into the node.
    pub async fn push(&self, from: &Path, to: &str, within: Duration) -> Result<(), ClusterError> {
        let (staged, name) = self.stage()?;
        let copy = |source| ClusterError::Copy { node: self.spec.name.clone(), path: from.into(), source };
        let copied = copy_tree(from, &staged).map_err(copy);
        let moved = match copied {
            Ok(()) => self.sh(&format!("cp -aT --no-preserve=ownership /lab/{name} {}", quoted(to)), within).await,
            Err(error) => Err(error),
        };
        remove(&staged);
        moved.map(drop)
    }

    /// Copies a file or a folder out of the node.
    pub async fn pull(&self, from: &str, to: &Path, within: Duration) -> Result<(), ClusterError> {
        let (staged, name) = self.stage()?;
        let copy = |source| ClusterError::Copy { node: self.spec.name.clone(), path: to.into(), source };
        let copied = self.sh(&format!("cp -aT --no-preserve=ownership {} /lab/{name}", quoted(from)), within).await;
        let moved = copied.and_then(|_| copy_tree(&staged, to).map_err(copy));
        remove(&staged);
        moved
    }

    /// A fresh name in the shared folder.
    fn stage(&self) -> Result<(PathBuf, String), ClusterError> {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        self.running()?;
        let name = format!(".copy-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Ok((self.spec.share.join(&name), name))
    }

    /// The line of a person's shell; one at a time.
    pub fn take_shell(&self) -> Result<StdStream, ClusterError> {
        let running = self.running()?;
        let shell = lock(&running.shell).take();
        shell.ok_or_else(|| ClusterError::ShellTaken { node: self.spec.name.clone() })
    }

    /// Gives the line back for the next shell.
    pub fn return_shell(&self, shell: StdStream) {
        if let Ok(running) = self.running() {
            *lock(&running.shell) = Some(shell);
        }
    }

    /// Kills the machine and blocks until nothing of it is left; for destructors.
    pub(super) fn kill_now(&self) {
        let running = lock(&self.running).take();
        if let Some(running) = running
            && !running.machine.kill_now(AT_ONCE)
        {
            tracing::error!(node = self.spec.name, "the machine's keeper does not end");
        }
    }

    /// The node's address in a network.
    #[must_use]
    pub fn address(&self, net: Net) -> std::net::Ipv4Addr {
        self.spec.address(net)
    }

    fn running(&self) -> Result<Arc<Running>, ClusterError> {
        let running = lock(&self.running).clone();
        match running {
            Some(running) if running.machine.exit().is_none() => Ok(running),
            Some(_) | None => Err(ClusterError::Off { node: self.spec.name.clone() }),
        }
    }

    async fn ended(&self, running: &Running, within: Duration, what: &'static str) -> Result<Exit, ClusterError> {
        match tokio::time::timeout(within, running.machine.ended()).await {
            Ok(exit) => Ok(exit),
            Err(_) => Err(ClusterError::NotEnded {
                node: self.spec.name.clone(),
                what,
                seconds: within.as_secs(),
                console: self.console_tail(),
            }),
        }
    }

    /// This machine has ended: the switch shall know, unless the next one runs already.
    fn pull_plugs(&self, ended: &Arc<Running>) {
        let mut running = lock(&self.running);
        if running.as_ref().is_some_and(|running| Arc::ptr_eq(running, ended)) {
            *lock(&self.last_exit) = ended.machine.exit();
            *running = None;
            for net in &self.spec.nets {
                self.common.switch.detach(*net, self.spec.port);
            }
        }
    }

    async fn ask(&self, request: Request) -> Result<(), ClusterError> {
        let (backend, spec) = (Arc::clone(&self.common.backend), self.spec.clone());
        let asked = tokio::task::spawn_blocking(move || backend.ask(&spec, &request)).await;
        Ok(asked.map_err(|_| ClusterError::Off { node: self.spec.name.clone() })??)
    }

    fn agent_error(&self, command: &str, source: crate::agent::AgentError) -> ClusterError {
        ClusterError::Agent { node: self.spec.name.clone(), command: command.to_owned(), source }
    }
}

/// A word of a shell command.
#[must_use]
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn remove(path: &Path) {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    if let Err(error) = removed
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "a copy stays in the shared folder");
    }
}

/// Copies a file or a folder with its permissions.
fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    let kind = std::fs::symlink_metadata(from)?;
    if kind.is_symlink() {
        return std::os::unix::fs::symlink(std::fs::read_link(from)?, to);
    }
    if !kind.is_dir() {
        return std::fs::copy(from, to).map(drop);
    }
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        copy_tree(&entry.path(), &to.join(entry.file_name()))?;
    }
    std::fs::set_permissions(to, kind.permissions())
}
