//! One node of the demo: a session of processes that is started, and switched off, as a whole.
//!
//! The first process of the session stands for the machine's process 1: it starts a systemd, brings the resource up and keeps the daemon running,
//! as `storage-reactor.service` would. "Power off" is `SIGKILL` for everything in the session, services included: nobody says good-bye.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process, setsid};

use crate::layout::{Layout, Node};

/// How often process 1 looks at its children.
const GLANCE: Duration = Duration::from_millis(50);
/// `RestartSec=` of the daemon's unit.
const RESTART: Duration = Duration::from_secs(1);
/// Generous: only what cannot be killed is given up.
const DEATH: Duration = Duration::from_secs(10);
/// For an orderly end.
const ORDERLY: Duration = Duration::from_secs(5);

/// Switches a node on.
pub(crate) fn power_on(layout: &Layout, node: &Node) -> Result<()> {
    if is_on(node) {
        bail!("{} is on already", node.name);
    }
    node.forget_run().with_context(|| format!("clearing /run of {}", node.name))?;
    let log = node.log("machine")?;
    let child = Command::new(std::env::current_exe().context("finding my own program")?)
        .arg("machine")
        .arg(layout.dir())
        .arg(&node.name)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("starting {}", node.name))?;
    let leader = Leader::of(child.id()).with_context(|| format!("{} ended at once", node.name))?;
    fs::write(node.pid_file(), format!("{} {}\n", leader.pid, leader.started))?;
    Ok(())
}

/// Cuts the power of a node: nothing of it is left, and nothing had time to say good-bye.
pub(crate) fn power_off(node: &Node) -> Result<()> {
    let Some(leader) = recorded(node) else { return Ok(()) };
    let end = Instant::now() + DEATH;
    loop {
        let members = leader.session();
        if members.is_empty() {
            break;
        }
        for pid in members {
            // It may be gone by now.
            let _ = kill_process(pid, Signal::KILL);
        }
        if Instant::now() > end {
            bail!("processes of {} do not die", node.name);
        }
        reap();
        sleep(Duration::from_millis(2));
    }
    fs::remove_file(node.pid_file()).with_context(|| format!("forgetting {}", node.name))
}

/// Ends a node in order: daemon, services, the rest.
pub(crate) fn shut_down(node: &Node) -> Result<()> {
    if let Some(leader) = recorded(node) {
        // Process 1 first, which would start the daemon again.
        if let Some(pid) = leader.id() {
            let _ = kill_process(pid, Signal::KILL);
        }
        for program in ["reactord", "mock-systemd"] {
            let Some(pid) = leader.find(program) else { continue };
            let _ = kill_process(pid, Signal::TERM);
            let end = Instant::now() + ORDERLY;
            while leader.find(program).is_some() && Instant::now() < end {
                reap();
                sleep(GLANCE / 5);
            }
        }
    }
    power_off(node)
}

/// Ends a program that we started in `dir`: the simulated DRBD.
pub(crate) fn end(pid: u32) -> Result<()> {
    let Some(leader) = Leader::of(pid) else { return Ok(()) };
    let Some(id) = leader.id() else { return Ok(()) };
    kill_process(id, Signal::KILL).context("ending the simulated DRBD")?;
    let end = Instant::now() + DEATH;
    while Leader::of(pid) == Some(leader) && stat(pid).is_some_and(|stat| stat.state != 'Z') && Instant::now() < end {
        sleep(GLANCE / 10);
    }
    reap();
    Ok(())
}

/// Kills the daemon of a node, and nothing else.
pub(crate) fn kill_daemon(node: &Node) -> Result<()> {
    let pid = recorded(node).and_then(|leader| leader.find("reactord"));
    let pid = pid.with_context(|| format!("no reactord runs on {}", node.name))?;
    kill_process(pid, Signal::KILL).with_context(|| format!("killing the daemon of {}", node.name))
}

/// Whether anything of a node runs.
pub(crate) fn is_on(node: &Node) -> bool {
    recorded(node).is_some_and(|leader| !leader.session().is_empty())
}

/// Process 1 of a node. Ends only by being killed.
pub(crate) fn run(layout: &Layout, node: &Node) -> Result<()> {
    setsid().context("beginning a session of my own")?;
    let mut systemd = start(node, "mock-systemd", &mut layout.systemd(node)?)?;
    // As drbd.service does at boot.
    let _ = layout.drbdadm(node).args(["adjust", layout.resource()]).stdin(Stdio::null()).status();
    let mut daemon = start(node, "reactord", &mut layout.reactord(node))?;
    loop {
        sleep(GLANCE);
        if let Some(status) = systemd.try_wait()? {
            bail!("systemd ended: {status}");
        }
        if daemon.try_wait()?.is_some() {
            sleep(RESTART);
            daemon = start(node, "reactord", &mut layout.reactord(node))?;
        }
    }
}

fn start(node: &Node, name: &str, command: &mut Command) -> Result<Child> {
    let log = node.log(name)?;
    let command = command.current_dir("/").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().with_context(|| format!("starting {name} of {}", node.name))
}

/// Children of ours that ended: process 1 of a node that was switched off.
fn reap() {
    while let Ok(Some(_)) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {}
}

/// The first process of a session. Its start time tells it from another process that got its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Leader {
    pid: u32,
    started: u64,
}

/// What `/proc/PID/stat` says.
struct Stat {
    name: String,
    state: char,
    session: u32,
    started: u64,
}

impl Leader {
    fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, started: stat(pid)?.started })
    }

    fn id(self) -> Option<Pid> {
        let same = Self::of(self.pid)? == self;
        same.then(|| i32::try_from(self.pid).ok().and_then(Pid::from_raw)).flatten()
    }

    /// Everybody who still runs in its session. The kernel gives its number to nobody else as long as there is one.
    fn members(self) -> Vec<(u32, Stat)> {
        let somebody_else = Self::of(self.pid).is_some_and(|now| now != self);
        if somebody_else {
            return Vec::new();
        }
        let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter_map(|pid| Some((pid, stat(pid)?)))
            .filter(|(pid, stat)| (stat.session == self.pid || *pid == self.pid) && !matches!(stat.state, 'Z' | 'X'))
            .collect()
    }

    fn session(self) -> Vec<Pid> {
        self.members().into_iter().filter_map(|(pid, _)| Pid::from_raw(i32::try_from(pid).ok()?)).collect()
    }

    fn find(self, program: &str) -> Option<Pid> {
        // The kernel keeps 15 bytes of a name.
        let name = &program[..program.len().min(15)];
        let found = self.members().into_iter().find(|(pid, stat)| stat.name == name && *pid != self.pid)?;
        Pid::from_raw(i32::try_from(found.0).ok()?)
    }
}

fn recorded(node: &Node) -> Option<Leader> {
    let text = fs::read_to_string(node.pid_file()).ok()?;
    let (pid, started) = text.trim_end().split_once(' ')?;
    Some(Leader { pid: pid.parse().ok()?, started: started.parse().ok()? })
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name stands in parentheses and may hold anything.
fn parse_stat(text: &str) -> Option<Stat> {
    let (before, after) = text.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    Some(Stat {
        name: name.to_owned(),
        state: fields.first()?.chars().next()?,
        session: fields.get(3)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

/// A log that is appended to, so that the log of a node that was switched on again is whole.
pub(crate) fn append(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    file.with_context(|| format!("opening {}", path.display()))
}

/// A program of this project, beside the one that runs.
pub(crate) fn beside(name: &str) -> Result<PathBuf> {
    reactor_sim::daemon::program(None, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_is_one_name() {
        let rest = "S 1 7 42 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 987 0 0";
        let stat = parse_stat(&format!("7 (a) (b c) {rest}\n")).unwrap();
        assert_eq!(stat.name, "a) (b c");
        assert_eq!((stat.state, stat.session, stat.started), ('S', 42, 987));
    }

    #[test]
    fn we_find_ourselves() {
        let me = Leader::of(std::process::id()).unwrap();
        assert!(me.session().contains(&rustix::process::getpid()));
        let other = Leader { started: me.started + 1, ..me };
        assert!(other.session().is_empty(), "a process that got the number of another one is left alone");
    }
}
