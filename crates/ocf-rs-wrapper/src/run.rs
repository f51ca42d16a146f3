//! Runs the agent's actions, one at a time, and says what happens: an action has ended, we are asked to end, a deadline is over.
//!
//! One thread, one `poll` over the pipes of signals and of output. Nothing here waits without a deadline, and nothing looks every second.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

use crate::agent::Agent;
use crate::code::Code;
use crate::environment::Environment;
use crate::limit::{Limit, Mono, Push};
use crate::machine::{Action, Ending};
use crate::output::{Stream, Use};
use crate::secrets::Secrets;
use crate::settings::Settings;
use crate::span::words;

/// Longest `meta-data`: it prints a text.
const META_DATA: std::time::Duration = std::time::Duration::from_secs(20);

/// What has happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// We are asked to end.
    Stop,
    /// The action in flight has ended, for the reason that the agent gives.
    Ended(Ending, Option<String>),
}

/// Runs actions.
#[derive(Debug)]
pub(crate) struct Runner {
    agent: Agent,
    environment: Environment,
    secrets: Secrets,
    began: Instant,
    /// Readable when we are asked to end.
    stop: UnixStream,
    /// Readable when a child has ended.
    child_ended: UnixStream,
    /// Output of start and stop, and of what they leave behind.
    service: Stream,
    /// Output of monitors.
    monitor: Stream,
    /// The meta-data.
    answer: Stream,
    flight: Option<Flight>,
    /// An action that could not be run has ended, too.
    not_started: Option<String>,
}

/// The action that runs.
#[derive(Debug)]
struct Flight {
    child: Child,
    group: Pid,
    limit: Limit,
    timeout: std::time::Duration,
}

impl Runner {
    /// Takes over the signals.
    pub(crate) fn new(agent: Agent, environment: Environment, secrets: Secrets) -> io::Result<Self> {
        let (stop, stop_end) = UnixStream::pair()?;
        let (child_ended, child_end) = UnixStream::pair()?;
        stop.set_nonblocking(true)?;
        child_ended.set_nonblocking(true)?;
        pipe::register(SIGTERM, stop_end.try_clone()?)?;
        pipe::register(SIGINT, stop_end)?;
        pipe::register(SIGCHLD, child_end)?;
        Ok(Self {
            agent,
            environment,
            secrets,
            began: Instant::now(),
            stop,
            child_ended,
            service: Stream::new(Use::Log)?,
            monitor: Stream::new(Use::Keep)?,
            answer: Stream::new(Use::Answer)?,
            flight: None,
            not_started: None,
        })
    }

    /// Time since the wrapper started.
    pub(crate) fn now(&self) -> Mono {
        self.began.elapsed()
    }

    /// Begins an action. Its end comes back from [`wait`](Self::wait).
    pub(crate) fn run(&mut self, action: Action, settings: &Settings) {
        let quiet = matches!(action, Action::Probe | Action::Monitor);
        let mut command = Command::new(&self.agent.path);
        command.arg(action.word());
        self.environment.apply(&mut command, action, settings);
        let stream = if quiet { &self.monitor } else { &self.service };
        let outputs = stream.writer().and_then(|stdout| Ok((stdout, stream.writer()?)));
        self.launch(command, outputs, quiet, settings.timeout(action));
    }

    /// Asks the agent about itself and waits for the answer. `Err` = why there is none; true = we were asked to end meanwhile.
    pub(crate) fn meta_data(&mut self) -> (Result<String, String>, bool) {
        let mut command = Command::new(&self.agent.path);
        command.arg("meta-data");
        self.environment.apply_always(&mut command);
        let outputs = self.answer.writer().and_then(|stdout| Ok((stdout, self.monitor.writer()?)));
        self.launch(command, outputs, true, META_DATA);
        let mut asked = false;
        loop {
            match self.wait(None) {
                Some(Event::Stop) => {
                    asked = true;
                    self.interrupt();
                }
                Some(Event::Ended(Ending::Code(Code::Success), _)) => return (Ok(self.answer.answer()), asked),
                Some(Event::Ended(ending, reason)) => {
                    return (Err(crate::machine::with(&ending, reason.as_deref())), asked);
                }
                None => {}
            }
        }
    }

    fn launch(&mut self, mut command: Command, outputs: io::Result<(Stdio, Stdio)>, quiet: bool, timeout: Mono) {
        self.answer.begin();
        let stream = if quiet { &mut self.monitor } else { &mut self.service };
        stream.begin();
        // A group of its own: it can be ended with all that it started.
        let spawned = outputs.and_then(|(stdout, stderr)| {
            command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).process_group(0).spawn()
        });
        let child = match spawned {
            Ok(child) => child,
            Err(error) => {
                let hint = if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) {
                    "; its first line must name its interpreter, like #!/bin/sh"
                } else {
                    ""
                };
                self.not_started = Some(format!("{}: {error}{hint}", self.agent.path.display()));
                return;
            }
        };
        let group = Pid::from_child(&child);
        self.flight = Some(Flight { child, group, limit: Limit::new(self.now(), timeout), timeout });
    }

    /// Ends the action in flight. Its end comes back all the same.
    pub(crate) fn interrupt(&mut self) {
        let now = self.now();
        if let Some(flight) = &mut self.flight
            && let Some(push) = flight.limit.interrupt(now)
        {
            flight.push(push);
        }
    }

    /// Shows what the last monitor printed.
    pub(crate) fn show_output(&mut self) {
        self.monitor.show();
    }

    /// Waits for the next event, at most until the deadline. That we are asked to end comes first.
    pub(crate) fn wait(&mut self, deadline: Option<Mono>) -> Option<Event> {
        loop {
            if let Some(why) = self.not_started.take() {
                return Some(Event::Ended(Ending::NotStarted(why), None));
            }
            let due = self.flight.as_ref().and_then(|flight| flight.limit.deadline());
            self.poll([deadline, due].into_iter().flatten().min());
            self.read_output();
            if emptied(&mut self.stop) {
                return Some(Event::Stop);
            }
            emptied(&mut self.child_ended);
            if let Some(ending) = self.flight_end() {
                let reason = self.end_of_output();
                return Some(Event::Ended(ending, reason));
            }
            if deadline.is_some_and(|deadline| self.now() >= deadline) {
                return None;
            }
        }
    }

    fn poll(&self, until: Option<Mono>) {
        let left = until.map(|until| until.saturating_sub(self.now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let fds = [self.stop.as_fd(), self.child_ended.as_fd(), self.service.fd(), self.monitor.fd(), self.answer.fd()];
        let mut fds = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        // Interrupted by a signal: its pipe says so in the next round.
        let _ = poll(&mut fds, left.as_ref());
    }

    fn read_output(&mut self) {
        for stream in [&mut self.service, &mut self.monitor, &mut self.answer] {
            stream.read(&self.secrets);
        }
    }

    /// Looks at the action in flight: pushes it if it is late, and takes its end.
    fn flight_end(&mut self) -> Option<Ending> {
        let now = self.now();
        let flight = self.flight.as_mut()?;
        let mut given_up = false;
        if !flight.has_ended() {
            while let Some(push) = flight.limit.push(now) {
                flight.push(push);
                given_up = push == Push::GiveUp;
            }
            if !given_up {
                return None;
            }
        }
        if flight.limit.was_pushed() {
            // What is left of its group. It is not reaped yet, so the number is still its own.
            flight.push(Push::Kill);
        }
        let mut flight = self.flight.take()?;
        if given_up {
            return Some(Ending::TimedOut(flight.timeout));
        }
        let status = flight.child.wait();
        Some(match status {
            _ if flight.limit.timed_out() => Ending::TimedOut(flight.timeout),
            Ok(status) => match (status.code().and_then(|code| u8::try_from(code).ok()), status.signal()) {
                (Some(code), _) => Ending::Code(Code::new(code)),
                (None, signal) => Ending::Signal(signal.unwrap_or_default()),
            },
            Err(error) => Ending::NotStarted(error.to_string()),
        })
    }

    /// Reads the rest, and takes the reason that the agent gives.
    fn end_of_output(&mut self) -> Option<String> {
        self.read_output();
        self.service.end(&self.secrets);
        self.monitor.end(&self.secrets);
        let reason = self.monitor.reason();
        self.service.reason().or(reason)
    }

    /// For messages.
    pub(crate) fn agent(&self) -> &Agent {
        &self.agent
    }
}

impl Flight {
    /// Whether it has ended; it stays a zombie.
    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // An error means that it is not there any more.
        !matches!(waitid(WaitId::Pid(self.group), options), Ok(None))
    }

    fn push(&self, push: Push) {
        let signal = match push {
            Push::Terminate => Signal::TERM,
            Push::Kill => Signal::KILL,
            Push::GiveUp => return,
        };
        // Nobody left in the group is what we want.
        let _ = kill_process_group(self.group, signal);
    }
}

/// Whether there was anything in it.
fn emptied(pipe: &mut UnixStream) -> bool {
    let mut bytes = [0; 64];
    let mut any = false;
    while let Ok(count) = pipe.read(&mut bytes) {
        any |= count > 0;
        if count == 0 {
            break;
        }
    }
    any
}

/// Why the meta-data cannot be used, and what follows.
pub(crate) fn no_meta_data(agent: &Agent, why: &str, settings: &Settings) -> String {
    format!(
        "{} meta-data: {why}; so these timeouts apply: start {}, monitor {}, stop {} (set start_timeout=, monitor_timeout=, stop_timeout= \
         in the entry, or repair the agent: `{0} meta-data` must print XML with <action> lines)",
        agent.path.display(),
        words(settings.timeout(Action::Start)),
        words(settings.timeout(Action::Monitor)),
        words(settings.timeout(Action::Stop)),
    )
}
