//! What to do next: the life of one service under `start-and-monitor`, without any I/O and without a clock.
//!
//! ```text
//!            ┌─ runs ──────────────────────────────────────────┐
//!  Probing ──┼─ does not run ──▶ Starting ──▶ Confirming ─ runs ▶ Watching ◀──────┐
//!            └─ failed ▶ Cleaning ──▲             ▲  │           │  interval      │ runs, or failed
//!                           │                     └──┘           ▼                │ not often enough
//!                           │                  failed, again   Checking ──────────┘
//!                           ▼                        │           │
//!                         Over ◀──── Leaving ◀─ failed ┴───────────┘
//!
//! Leaving: what is left of the service is stopped by the agent before we exit. systemd would kill it as soon as we are gone, long before
//! `ExecStopPost=` gets to the agent's `stop`, and a database deserves better.
//!
//!  asked to end: from Watching to Stopping, from where an action runs by way of Interrupted; Stopping ─▶ Over
//! ```
//!
//! A monitor that died of `TERM` and not by us is Doubtful for a moment: systemd may have sent its `TERM` to all processes, ours is
//! still on its way, and then nothing has failed.

use std::fmt;
use std::time::Duration;

use crate::code::Code;
use crate::limit::{AFTERMATH, Mono};
use crate::log::Level;
use crate::settings::Settings;
use crate::span;

/// Between two monitors while the service is said to have started but is not seen yet.
const CONFIRM_AGAIN: Duration = Duration::from_secs(1);

/// How long to wait for our own `TERM` after a child died of one.
const DOUBT: Duration = Duration::from_secs(2);

/// Number of `TERM`.
const SIGTERM: i32 = 15;

/// What can be asked of the agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// A monitor before anything was started.
    Probe,
    /// Start the service.
    Start,
    /// See whether it runs.
    Monitor,
    /// Stop the service.
    Stop,
}

impl Action {
    /// What the agent is called with.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Probe | Self::Monitor => "monitor",
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
}

/// How an action ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    /// The agent said this.
    Code(Code),
    /// The agent was ended by a signal.
    Signal(i32),
    /// It took longer than allowed and was ended.
    TimedOut(Duration),
    /// It could not be run at all.
    NotStarted(String),
}

impl Ending {
    /// What the wrapper exits with because of it; never 0, as no caller means success by that.
    fn failure(&self) -> u8 {
        match self {
            Self::Code(Code::Success) | Self::Signal(_) | Self::TimedOut(_) => Code::Generic.number(),
            Self::Code(code) => code.number(),
            Self::NotStarted(_) => Code::Installed.number(),
        }
    }

    fn is_running(&self) -> bool {
        matches!(self, Self::Code(code) if code.is_running())
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "ended by signal {signal}"),
            Self::TimedOut(timeout) => write!(f, "no answer within {}", span::words(*timeout)),
            Self::NotStarted(why) => write!(f, "not run: {why}"),
        }
    }
}

/// What has happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Input {
    /// The action in flight has ended; `reason` is what the agent gave as one.
    Ended {
        /// How.
        ending: Ending,
        /// Its exit reason.
        reason: Option<String>,
    },
    /// We are asked to end.
    Stop,
    /// Nothing: the deadline may be over.
    Tick,
}

/// What to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// Run this action; its end comes back as an input.
    Run(Action),
    /// End the action in flight; its end comes back all the same.
    Interrupt,
    /// Show what the last action printed.
    ShowOutput,
    /// A line for the journal.
    Log(Level, String),
    /// A line for `systemctl status`.
    Status(String),
    /// Tell systemd that the service is up.
    Ready,
    /// Tell systemd that the service is being stopped.
    Stopping,
    /// Tell systemd that this may take so long.
    Extend(Duration),
    /// End with this code.
    Exit(u8),
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Phase {
    Probing,
    Cleaning,
    Starting,
    /// A monitor after start runs.
    Confirming {
        failures: u32,
    },
    /// The next of them is due then.
    Unconfirmed {
        failures: u32,
        next: Mono,
    },
    /// The next monitor is due then.
    Watching {
        next: Mono,
        failures: u32,
    },
    /// A monitor runs.
    Checking {
        failures: u32,
    },
    /// A monitor died of `TERM`; then it has failed.
    Doubtful {
        until: Mono,
        failures: u32,
    },
    /// The action in flight is being ended, because we are to end.
    Interrupted,
    /// It failed; the agent stops what is left, and then we exit with this code.
    Leaving {
        code: u8,
    },
    Stopping {
        /// Whether a stop was ended by a signal already.
        again: bool,
    },
    Over,
}

/// The service, as far as it is known.
#[derive(Debug)]
pub(crate) struct Machine {
    settings: Settings,
    phase: Phase,
    /// What the last monitor said, if it was not just "runs".
    degraded: Option<String>,
    /// Whether systemd was told that it is up.
    is_ready: bool,
}

impl Machine {
    /// Begins with a probe.
    pub(crate) fn begin(settings: Settings, out: &mut Vec<Order>) -> Self {
        let mut machine = Self { settings, phase: Phase::Probing, degraded: None, is_ready: false };
        machine.run(Action::Probe, "looking whether it runs", Phase::Probing, out);
        machine
    }

    /// When to be called with [`Input::Tick`] at the latest.
    pub(crate) fn deadline(&self) -> Option<Mono> {
        match self.phase {
            Phase::Unconfirmed { next, .. } | Phase::Watching { next, .. } => Some(next),
            Phase::Doubtful { until, .. } => Some(until),
            Phase::Probing
            | Phase::Cleaning
            | Phase::Starting
            | Phase::Confirming { .. }
            | Phase::Checking { .. }
            | Phase::Interrupted
            | Phase::Leaving { .. }
            | Phase::Stopping { .. }
            | Phase::Over => None,
        }
    }

    /// Takes one input.
    pub(crate) fn step(&mut self, now: Mono, input: Input, out: &mut Vec<Order>) {
        match input {
            Input::Ended { ending, reason } => self.ended(now, &ending, reason.as_deref(), out),
            Input::Stop => self.asked_to_stop(out),
            Input::Tick => self.tick(now, out),
        }
    }

    fn tick(&mut self, now: Mono, out: &mut Vec<Order>) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.phase {
            Phase::Unconfirmed { failures, .. } => self.confirm(failures, out),
            Phase::Watching { failures, .. } => {
                self.phase = Phase::Checking { failures };
                out.push(Order::Run(Action::Monitor));
            }
            Phase::Doubtful { failures, .. } => self.failed(now, &Ending::Signal(SIGTERM), None, failures, out),
            // They have no deadline.
            Phase::Probing
            | Phase::Cleaning
            | Phase::Starting
            | Phase::Confirming { .. }
            | Phase::Checking { .. }
            | Phase::Interrupted
            | Phase::Leaving { .. }
            | Phase::Stopping { .. }
            | Phase::Over => {}
        }
    }

    fn ended(&mut self, now: Mono, ending: &Ending, reason: Option<&str>, out: &mut Vec<Order>) {
        match self.phase {
            Phase::Probing => self.probed(now, ending, reason, out),
            Phase::Cleaning if stopped(ending) => self.start(out),
            Phase::Cleaning => self.give_up("stop of what was left over", ending, reason, out),
            // Degraded, or in a role that nobody asked for: it runs all the same, and the monitor will say how well.
            Phase::Starting if ending.is_running() => self.confirm(0, out),
            Phase::Starting if may_have_started(ending) => self.leave("start", ending, reason, out),
            Phase::Starting => self.give_up("start", ending, reason, out),
            Phase::Confirming { failures } | Phase::Checking { failures } if ending.is_running() => {
                if !self.is_ready {
                    out.push(Order::Log(Level::Info, "started, and it runs".to_owned()));
                } else if failures > 0 {
                    out.push(Order::Log(Level::Info, format!("it runs again, after {failures} failed monitors")));
                }
                self.watch(now, ending, reason, out);
            }
            Phase::Confirming { failures } | Phase::Checking { failures } if *ending == Ending::Signal(SIGTERM) => {
                self.phase = Phase::Doubtful { until: now.saturating_add(DOUBT), failures };
            }
            Phase::Confirming { failures } | Phase::Checking { failures } => {
                self.failed(now, ending, reason, failures, out);
            }
            Phase::Interrupted => self.stop(out),
            Phase::Leaving { code } => self.left(ending, reason, code, out),
            Phase::Stopping { again } => self.stop_ended(ending, reason, again, out),
            // Nothing is in flight.
            Phase::Unconfirmed { .. } | Phase::Watching { .. } | Phase::Doubtful { .. } | Phase::Over => {}
        }
    }

    fn probed(&mut self, now: Mono, ending: &Ending, reason: Option<&str>, out: &mut Vec<Order>) {
        match ending {
            Ending::Code(code) if code.is_running() => {
                out.push(Order::Log(Level::Info, "it runs already, so it is not started".to_owned()));
                self.watch(now, ending, reason, out);
            }
            // Whether something is missing, start will say with its own code: nothing was started yet, so nothing is to be stopped.
            Ending::Code(
                Code::NotRunning
                | Code::Args
                | Code::Unimplemented
                | Code::Permission
                | Code::Installed
                | Code::Configured,
            ) => self.start(out),
            Ending::Code(_) | Ending::Signal(_) | Ending::TimedOut(_) | Ending::NotStarted(_) => {
                out.push(Order::ShowOutput);
                let text =
                    format!("it failed before it was started ({}), so it is stopped first", with(ending, reason));
                out.push(Order::Log(Level::Warning, text));
                self.run(Action::Stop, "stopping what was left over", Phase::Cleaning, out);
            }
        }
    }

    fn start(&mut self, out: &mut Vec<Order>) {
        self.run(Action::Start, "starting", Phase::Starting, out);
    }

    fn confirm(&mut self, failures: u32, out: &mut Vec<Order>) {
        self.run(Action::Monitor, "started, looking whether it runs", Phase::Confirming { failures }, out);
    }

    /// It runs; the next look is due an interval from now.
    fn watch(&mut self, now: Mono, ending: &Ending, reason: Option<&str>, out: &mut Vec<Order>) {
        let degraded = matches!(ending, Ending::Code(code) if code.is_degraded()).then(|| with(ending, reason));
        if degraded != self.degraded {
            let (level, text) = match &degraded {
                Some(how) => (Level::Warning, format!("it is degraded: {how}")),
                None => (Level::Info, "it is no longer degraded".to_owned()),
            };
            if degraded.is_some() {
                out.push(Order::ShowOutput);
            }
            out.push(Order::Log(level, text));
        }
        let every = span::words(self.settings.interval);
        out.push(Order::Status(match &degraded {
            Some(how) => format!("degraded: {how}"),
            None => format!("running, checked every {every}"),
        }));
        if !self.is_ready {
            self.is_ready = true;
            out.push(Order::Ready);
        }
        self.degraded = degraded;
        self.phase = Phase::Watching { next: now.saturating_add(self.settings.interval), failures: 0 };
    }

    /// A monitor failed.
    fn failed(&mut self, now: Mono, ending: &Ending, reason: Option<&str>, failures: u32, out: &mut Vec<Order>) {
        let failures = failures.saturating_add(1);
        let allowed = self.settings.monitor_failures;
        if failures >= allowed {
            return self.leave("monitor", ending, reason, out);
        }
        let text = format!("monitor failed, {failures} of {allowed} in a row: {}", with(ending, reason));
        out.push(Order::ShowOutput);
        out.push(Order::Log(Level::Warning, text.clone()));
        out.push(Order::Status(text));
        self.phase = if self.is_ready {
            Phase::Watching { next: now.saturating_add(self.settings.interval), failures }
        } else {
            Phase::Unconfirmed { failures, next: now.saturating_add(CONFIRM_AGAIN) }
        };
    }

    /// It failed after something was started: that is stopped first.
    fn leave(&mut self, what: &str, ending: &Ending, reason: Option<&str>, out: &mut Vec<Order>) {
        let text = format!("{what} failed: {}", with(ending, reason));
        out.push(Order::ShowOutput);
        out.push(Order::Log(Level::Error, text));
        self.run(Action::Stop, "stopping what is left", Phase::Leaving { code: ending.failure() }, out);
    }

    fn left(&mut self, ending: &Ending, reason: Option<&str>, code: u8, out: &mut Vec<Order>) {
        if !stopped(ending) {
            out.push(Order::ShowOutput);
            out.push(Order::Log(
                Level::Warning,
                format!("what is left could not be stopped: {}", with(ending, reason)),
            ));
        }
        self.exit(code, out);
    }

    /// Nothing of ours is left. systemd runs `stop` all the same (`ExecStopPost=`).
    fn give_up(&mut self, what: &str, ending: &Ending, reason: Option<&str>, out: &mut Vec<Order>) {
        let text = format!("{what} failed: {}", with(ending, reason));
        out.push(Order::ShowOutput);
        out.push(Order::Log(Level::Error, text.clone()));
        out.push(Order::Status(text));
        self.exit(ending.failure(), out);
    }

    fn asked_to_stop(&mut self, out: &mut Vec<Order>) {
        match self.phase {
            Phase::Unconfirmed { .. } | Phase::Watching { .. } | Phase::Doubtful { .. } => {
                out.push(Order::Stopping);
                self.stop(out);
            }
            Phase::Probing | Phase::Starting | Phase::Confirming { .. } | Phase::Checking { .. } => {
                self.phase = Phase::Interrupted;
                out.push(Order::Stopping);
                out.push(Order::Extend(AFTERMATH.saturating_add(self.settings.timeout(Action::Stop))));
                out.push(Order::Interrupt);
            }
            // The stop that runs already is the one that is wanted.
            Phase::Cleaning => {
                self.phase = Phase::Stopping { again: false };
                out.push(Order::Stopping);
            }
            Phase::Interrupted | Phase::Leaving { .. } | Phase::Stopping { .. } | Phase::Over => {}
        }
    }

    fn stop(&mut self, out: &mut Vec<Order>) {
        self.run(Action::Stop, "stopping", Phase::Stopping { again: false }, out);
    }

    fn stop_ended(&mut self, ending: &Ending, reason: Option<&str>, again: bool, out: &mut Vec<Order>) {
        match ending {
            ending if stopped(ending) => {
                out.push(Order::Log(Level::Info, "stopped".to_owned()));
                out.push(Order::Status("stopped".to_owned()));
                self.exit(0, out);
            }
            // systemd's TERM reached the agent that was stopping already.
            Ending::Signal(_) if !again => self.run(Action::Stop, "stopping", Phase::Stopping { again: true }, out),
            Ending::Code(_) | Ending::Signal(_) | Ending::TimedOut(_) | Ending::NotStarted(_) => {
                self.give_up("stop", ending, reason, out);
            }
        }
    }

    /// Runs an action about which systemd hears.
    fn run(&mut self, action: Action, doing: &str, phase: Phase, out: &mut Vec<Order>) {
        let timeout = self.settings.timeout(action);
        self.phase = phase;
        out.push(Order::Status(format!("{doing} (up to {})", span::words(timeout))));
        out.push(Order::Extend(timeout.saturating_add(AFTERMATH)));
        out.push(Order::Run(action));
    }

    fn exit(&mut self, code: u8, out: &mut Vec<Order>) {
        self.phase = Phase::Over;
        out.push(Order::Exit(code));
    }
}

/// Whether a start that failed may have left something behind: not if the agent could not work at all.
fn may_have_started(ending: &Ending) -> bool {
    match ending {
        Ending::Code(code) => {
            !matches!(code, Code::Args | Code::Unimplemented | Code::Permission | Code::Installed | Code::Configured)
        }
        Ending::Signal(_) | Ending::TimedOut(_) => true,
        Ending::NotStarted(_) => false,
    }
}

/// Whether a stop did what it should. An agent that says "not running" says that there is nothing to stop.
pub(crate) fn stopped(ending: &Ending) -> bool {
    matches!(ending, Ending::Code(Code::Success | Code::NotRunning))
}

/// What `stop` exits with.
pub(crate) fn exit_of_stop(ending: &Ending) -> u8 {
    if stopped(ending) { 0 } else { ending.failure() }
}

/// The end, and what the agent says about it.
pub(crate) fn with(ending: &Ending, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("{ending}: {reason}"),
        None => ending.to_string(),
    }
}

#[cfg(test)]
mod tests;
