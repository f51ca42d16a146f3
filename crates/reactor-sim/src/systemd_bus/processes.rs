//! The processes of units: started in a group each, their output in a file per unit, all ended when the mock ends.
//!
//! A guard process knows the groups. When the mock is gone, however it went, the guard kills what is left.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command as StdCommand, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal as Raw, kill_process_group};
use tokio::net::UnixDatagram;
use tokio::process::Command as TokioCommand;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

use super::engine::{Exit, Signal};
use super::file::{Command, Service, ServiceType, words};

/// A process that is in the kernel for longer than that counts as stopped: it does nothing else before it stops.
const FREEZE_PATIENCE: Duration = Duration::from_secs(5);

/// What happened outside of the engine.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are named")]
pub enum Event {
    Exited { unit: String, token: u64, exit: Exit },
    Ready { unit: String },
    Timer { unit: String, serial: u64 },
    JobTimer { job: u32 },
}

/// One process to start.
#[derive(Debug)]
#[expect(missing_docs, reason = "as in `Effect::Spawn`")]
pub struct Start<'a> {
    pub unit: &'a str,
    pub token: u64,
    pub command: &'a Command,
    pub environment: &'a [(String, String)],
    pub service: &'a Service,
    pub main: bool,
}

#[derive(Debug)]
struct Group {
    pid: Pid,
    token: u64,
    reaped: bool,
}

/// All processes that were started.
#[derive(Debug)]
pub struct Processes {
    folder: PathBuf,
    groups: BTreeMap<String, Vec<Group>>,
    notify: BTreeMap<String, JoinHandle<()>>,
    guard: Guard,
    events: UnboundedSender<Event>,
}

impl Processes {
    /// Logs and sockets are kept below `folder`; `program` is `mock-systemd`, which is also the guard.
    pub fn new(folder: &Path, program: &Path, events: UnboundedSender<Event>) -> io::Result<Self> {
        fs::create_dir_all(folder.join("log"))?;
        fs::create_dir_all(folder.join("notify"))?;
        let guard = Guard::start(program)?;
        Ok(Self { folder: folder.to_owned(), groups: BTreeMap::new(), notify: BTreeMap::new(), guard, events })
    }

    /// Where the output of a unit goes.
    pub fn log_file(folder: &Path, unit: &str) -> PathBuf {
        folder.join("log").join(format!("{unit}.log"))
    }

    /// Starts a process; its end comes as [`Event::Exited`].
    pub fn start(&mut self, start: &Start<'_>) -> io::Result<u32> {
        let mut environment: BTreeMap<String, String> = start.service.environment.iter().cloned().collect();
        for (path, optional) in &start.service.environment_files {
            match fs::read_to_string(path) {
                Ok(text) => environment.extend(assignments(&text)),
                Err(_) if *optional => {}
                Err(error) => return Err(error),
            }
        }
        environment.extend(start.environment.iter().cloned());
        if start.main && start.service.kind == ServiceType::Notify {
            let path = self.listen(start.unit, start.token)?;
            environment.insert("NOTIFY_SOCKET".to_owned(), path.display().to_string());
        }
        let argv = expand(&start.command.words, &environment);
        let program = argv.first().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let log = OpenOptions::new().create(true).append(true).open(Self::log_file(&self.folder, start.unit))?;
        let mut command = TokioCommand::new(program);
        command.args(&argv[1..]).envs(&environment).process_group(0).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log);
        if let Some(folder) = &start.service.working_directory {
            command.current_dir(folder.trim_start_matches('-'));
        }
        let mut child = command.spawn()?;
        let id = child.id().unwrap_or_default();
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw).expect("a child that was not waited for has a pid");
        self.guard.add(pid)?;
        let group = Group { pid, token: start.token, reaped: false };
        self.groups.entry(start.unit.to_owned()).or_default().push(group);
        let (unit, token, events) = (start.unit.to_owned(), start.token, self.events.clone());
        tokio::spawn(async move {
            let exit = child.wait().await.map_or(Exit::Code(255), exit);
            // Nobody listens when the mock ends.
            let _ = events.send(Event::Exited { unit, token, exit });
        });
        Ok(id)
    }

    /// A process was waited for. Others may be left in its group.
    pub fn reaped(&mut self, unit: &str, token: u64) {
        for group in self.groups.get_mut(unit).into_iter().flatten() {
            group.reaped |= group.token == token;
        }
    }

    /// Signals every process of a unit.
    pub fn signal(&mut self, unit: &str, signal: Signal) {
        let raw = match signal {
            Signal::Term => Raw::TERM,
            Signal::Kill => Raw::KILL,
            Signal::Stop => Raw::STOP,
            Signal::Cont => Raw::CONT,
        };
        let Some(groups) = self.groups.get_mut(unit) else { return };
        for group in groups.iter() {
            // It may be empty already.
            let _ = kill_process_group(group.pid, raw);
        }
        if signal == Signal::Kill {
            for group in groups.extract_if(.., |group| group.reaped) {
                self.guard.remove(group.pid);
            }
        }
    }

    /// Waits until the processes of a unit stand still: a signal reaches a process only when it runs the next time.
    pub async fn stopped(&self, unit: &str) {
        let groups: Vec<String> =
            self.groups.get(unit).into_iter().flatten().map(|group| group.pid.as_raw_nonzero().to_string()).collect();
        let deadline = Instant::now() + FREEZE_PATIENCE;
        while Instant::now() < deadline && any_runs(&groups) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Kills everything.
    pub fn end(&mut self) {
        let units: Vec<String> = self.groups.keys().cloned().collect();
        for unit in units {
            self.signal(&unit, Signal::Kill);
        }
    }

    /// Lets the guard end a process group that is not a unit's.
    pub fn watch(&mut self, pid: Pid) -> io::Result<()> {
        self.guard.add(pid)
    }

    fn listen(&mut self, unit: &str, token: u64) -> io::Result<PathBuf> {
        let path = self.folder.join("notify").join(token.to_string());
        let socket = UnixDatagram::bind(&path)?;
        let (name, events) = (unit.to_owned(), self.events.clone());
        let task = tokio::spawn(async move {
            let mut buffer = vec![0; 4096];
            while let Ok(length) = socket.recv(&mut buffer).await {
                let ready = String::from_utf8_lossy(&buffer[..length]).lines().any(|line| line == "READY=1");
                if ready && events.send(Event::Ready { unit: name.clone() }).is_err() {
                    return;
                }
            }
        });
        if let Some(old) = self.notify.insert(unit.to_owned(), task) {
            old.abort();
        }
        Ok(path)
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether a process of these groups neither stands still nor has ended.
fn any_runs(groups: &[String]) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let stats = processes.filter_map(|process| fs::read_to_string(process.path().join("stat")).ok());
    stats.into_iter().any(|stat| {
        // "PID (NAME) STATE PPID PGRP ...", and the name may have anything in it.
        let mut fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ');
        let (state, group) = (fields.next().unwrap_or_default(), fields.nth(1).unwrap_or_default());
        groups.iter().any(|known| known == group) && !["T", "t", "Z", "X"].contains(&state)
    })
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Code(255),
    }
}

/// `KEY=value` lines of an `EnvironmentFile`.
fn assignments(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| {
            let quoted = value.starts_with(['"', '\'']);
            let value = if quoted { words(value).join(" ") } else { value.to_owned() };
            (key.trim().to_owned(), value)
        })
        .collect()
}

/// `$KEY` as a word of its own becomes its words, `${KEY}` anywhere its value, `$$` a dollar.
fn expand(argv: &[String], environment: &BTreeMap<String, String>) -> Vec<String> {
    let value = |key: &str| environment.get(key).cloned().or_else(|| std::env::var(key).ok()).unwrap_or_default();
    let mut out = Vec::new();
    for word in argv {
        let whole = word.strip_prefix('$').filter(|key| !key.is_empty() && key.chars().all(is_key));
        if let Some(key) = whole {
            out.extend(words(&value(key)));
            continue;
        }
        let mut done = String::new();
        let mut rest = word.as_str();
        while let Some(at) = rest.find('$') {
            done.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some((key, after)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
                done.push_str(&value(key));
                rest = after;
            } else if let Some(after) = rest.strip_prefix('$') {
                done.push('$');
                rest = after;
            } else {
                done.push('$');
            }
        }
        out.push(done + rest);
    }
    out
}

fn is_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Outlives the mock just long enough to end what the mock left.
#[derive(Debug)]
struct Guard(ChildStdin);

impl Guard {
    fn start(program: &Path) -> io::Result<Self> {
        let mut command = StdCommand::new(program);
        command.arg("--guard").stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
        let mut child = command.spawn()?;
        child.stdin.take().map(Self).ok_or_else(|| io::Error::other("the guard has no stdin"))
    }

    fn add(&mut self, pid: Pid) -> io::Result<()> {
        writeln!(self.0, "+{}", pid.as_raw_nonzero())
    }

    fn remove(&mut self, pid: Pid) {
        // Without a guard the next `add` says so.
        let _ = writeln!(self.0, "-{}", pid.as_raw_nonzero());
    }
}

/// What the guard does: reads `+GROUP` and `-GROUP`, and kills what is left when its input ends.
pub fn guard(input: impl BufRead) {
    let mut groups = Vec::new();
    for line in input.lines().map_while(Result::ok) {
        let (sign, number) = line.split_at_checked(1).unwrap_or_default();
        let Some(pid) = number.parse().ok().and_then(Pid::from_raw) else { continue };
        if sign == "+" {
            groups.push(pid);
        } else {
            groups.retain(|known| *known != pid);
        }
    }
    for pid in groups {
        let _ = kill_process_group(pid, Raw::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_as_systemd_does() {
        let environment = BTreeMap::from([("A".to_owned(), "x 'y z'".to_owned())]);
        let words = ["sh", "$A", "<${A}>", "$$1", "a$b"].map(str::to_owned);
        assert_eq!(expand(&words, &environment), ["sh", "x", "y z", "<x 'y z'>", "$1", "a$b"]);
    }
}
