//! `ocf-rs-wrapper start-and-monitor NAME` and `ocf-rs-wrapper stop NAME`: one OCF resource agent as a systemd service.
//!
//! ```text
//!  systemd ─ ExecStart ────▶ start-and-monitor ─▶ agent: monitor, start, monitor, monitor, ...   (TERM: agent stop, exit 0)
//!          ─ ExecStopPost ─▶ stop ──────────────▶ agent: stop                       (not if it was stopped already)
//! ```
//!
//! `machine` decides, `run` does; `limit`, `metadata`, `settings`, `code` and `span` are plain functions as `machine` is. One wrapper
//! runs for each OCF resource, so it has one thread and no runtime, and looks at nothing between two deadlines.

mod agent;
mod code;
mod environment;
mod instance;
mod limit;
mod log;
mod machine;
mod metadata;
mod output;
mod run;
mod secrets;
mod settings;
mod span;

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use sd_notify::NotifyState;

use agent::Agent;
use code::Code;
use environment::Environment;
use log::Level;
use machine::{Action, Input, Machine, Order};
use metadata::MetaData;
use run::{Event, Runner};
use secrets::Secrets;
use settings::Settings;

/// What a person sees who calls it wrongly.
const USAGE: &str = "usage: ocf-rs-wrapper start-and-monitor|stop NAME
NAME is the unit (%n). AGENT in the environment is the path of the agent, OCF_RESKEY_name its parameters. See docs/ocf.md.";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let run = match words[..] {
        ["-V" | "--version"] => return say(concat!("ocf-rs-wrapper ", env!("CARGO_PKG_VERSION")), 0),
        ["-h" | "--help"] => return say(USAGE, 0),
        ["start-and-monitor", unit] if !unit.is_empty() => prepare(unit).map(start_and_monitor),
        ["stop", unit] if !unit.is_empty() => {
            if was_stopped() {
                return ExitCode::SUCCESS;
            }
            prepare(unit).map(stop)
        }
        _ => return say(USAGE, Code::Args.number()),
    };
    ExitCode::from(run.unwrap_or_else(|code| code))
}

/// Whether systemd says that `start-and-monitor` has ended well: then it has stopped the service itself.
fn was_stopped() -> bool {
    let is = |name: &str, value: &str| env::var_os(name).is_some_and(|found| found == value);
    is("EXIT_CODE", "exited") && is("EXIT_STATUS", "0")
}

/// What both commands need.
struct Prepared {
    runner: Runner,
    settings: Settings,
    /// We were asked to end already.
    asked: bool,
}

/// Looks at the agent, the environment and the meta-data. What keeps us from running is logged; its code comes back.
fn prepare(unit: &str) -> Result<Prepared, u8> {
    let agent = Agent::new(env::var_os("AGENT").map(PathBuf::from)).map_err(|error| {
        log::line(Level::Error, &chain(&error));
        error.code().number()
    })?;
    let variable = |name: &str| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let instance = instance::of(unit, variable("OCF_RESOURCE_INSTANCE").as_deref());
    let environment = Environment::new(&agent, &instance, variable);
    let ours = || env::vars_os().map(|(name, value)| [name, value].map(|text| text.to_string_lossy().into_owned()));
    let secrets = Secrets::new(ours().map(|[name, value]| (name, value)));
    let mut runner = Runner::new(agent, environment, secrets).map_err(|error| {
        log::line(Level::Error, &format!("can't make pipes for signals and output: {error}"));
        Code::Generic.number()
    })?;

    let (answer, asked) = runner.meta_data();
    let data = answer.and_then(|text| MetaData::parse(&text).ok_or_else(|| "there is no <action> in it".to_owned()));
    let mut findings = Vec::new();
    let settings = Settings::read(variable, data.as_ref().ok(), &mut findings);
    match &data {
        Ok(data) => {
            let names: Vec<String> = ours().map(|[name, _]| name).collect();
            findings.extend(environment::check_parameters(&names, data));
        }
        // The agent may do its work all the same, and a service that does not start is worse than a timeout that is not the best.
        Err(why) if !asked => {
            runner.show_output();
            findings.push(run::no_meta_data(runner.agent(), why, &settings));
        }
        Err(_) => {}
    }
    for finding in findings {
        log::line(Level::Warning, &finding);
    }
    Ok(Prepared { runner, settings, asked })
}

/// The life of the service.
fn start_and_monitor(prepared: Prepared) -> u8 {
    let Prepared { mut runner, settings, asked } = prepared;
    let mut orders = Vec::new();
    let mut machine = Machine::begin(settings.clone(), &mut orders);
    if asked {
        machine.step(runner.now(), Input::Stop, &mut orders);
    }
    loop {
        for order in orders.drain(..) {
            match order {
                Order::Run(action) => runner.run(action, &settings),
                Order::Interrupt => runner.interrupt(),
                Order::ShowOutput => runner.show_output(),
                Order::Log(level, text) => log::line(level, &text),
                Order::Status(text) => notify(&NotifyState::Status(&instance::one_line(&text))),
                Order::Ready => notify(&NotifyState::Ready),
                Order::Stopping => notify(&NotifyState::Stopping),
                Order::Extend(span) => extend(span),
                Order::Exit(code) => return code,
            }
        }
        let input = match runner.wait(machine.deadline()) {
            Some(Event::Stop) => Input::Stop,
            Some(Event::Ended(ending, reason)) => Input::Ended { ending, reason },
            None => Input::Tick,
        };
        machine.step(runner.now(), input, &mut orders);
    }
}

/// What systemd runs after `start-and-monitor` has ended, unless it ended well.
fn stop(prepared: Prepared) -> u8 {
    let Prepared { mut runner, settings, .. } = prepared;
    extend(settings.timeout(Action::Stop).saturating_add(limit::AFTERMATH));
    runner.run(Action::Stop, &settings);
    loop {
        // Asked to end: that is what we are doing. systemd's KILL comes by itself.
        if let Some(Event::Ended(ending, reason)) = runner.wait(None) {
            let code = machine::exit_of_stop(&ending);
            let (level, text) = match code {
                0 => (Level::Info, "stopped".to_owned()),
                _ => (Level::Error, format!("stop failed: {}", machine::with(&ending, reason.as_deref()))),
            };
            log::line(level, &text);
            return code;
        }
    }
}

/// Without a systemd that listens, nothing is said.
fn notify(state: &NotifyState<'_>) {
    let _ = sd_notify::notify(std::slice::from_ref(state));
}

fn extend(span: Duration) {
    notify(&NotifyState::Custom(&extension(span)));
}

/// For systemd, how much time is needed from now on. As text: the crate's own variant ends at 71 minutes, settings allow 24 hours.
fn extension(span: Duration) -> String {
    format!("EXTEND_TIMEOUT_USEC={}", span.as_micros())
}

/// An error with all its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Cannot fail: a String grows.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

/// For a person at a terminal.
fn say(text: &str, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "{text}");
    ExitCode::from(code)
}
