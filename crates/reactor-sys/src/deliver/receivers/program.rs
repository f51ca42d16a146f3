//! Programs: `exec`, and the local `sendmail`. Started by their arguments, never through a shell; what a message says is their standard input and
//! their environment, never an argument.

use std::time::Instant;

use reactor_core::action::HandlerEnd;
use reactor_core::notice::Message;
use reactor_core::settings::notify::Exec as Settings;

use super::super::failure::Failure;
use super::super::parcel::{Parcel, line};
use super::{Receiver, document, left};
use crate::exec::Program;

/// What is kept of what a program prints: for the log.
const MAX_OUTPUT: usize = 4096;

/// Where programs are found.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `EX_DATAERR` of sysexits.h: this message is refused for good.
const DATA_ERROR: i32 = 65;

/// The longest value of a variable.
const MAX_VALUE: usize = 4096;

/// A program of the administrator's.
pub(super) struct Exec {
    command: Vec<String>,
}

impl Exec {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { command: settings.command.clone() }
    }
}

impl Receiver for Exec {
    fn deliver(&mut self, parcel: &Parcel, _told: &mut usize, until: Instant) -> Result<(), Failure> {
        let document = format!("{}\n", document::message(parcel));
        run(&self.command, environment(parcel), document, until, |exit| exit == DATA_ERROR)
    }
}

/// Runs a program to its end. `refuses` = whether this exit code means that it would never take this message.
pub(super) fn run(
    command: &[String],
    mut env: Vec<(String, String)>,
    document: String,
    until: Instant,
    refuses: impl Fn(i32) -> bool,
) -> Result<(), Failure> {
    let (path, arguments) = command.split_first().ok_or_else(|| Failure::again("there is no program to run"))?;
    let own = |name: &str| std::env::var(name).ok();
    env.push(("PATH".to_owned(), own("PATH").unwrap_or_else(|| PATH.to_owned())));
    env.extend(own("TZ").map(|zone| ("TZ".to_owned(), zone)));
    let program = Program {
        path: path.clone(),
        arguments: arguments.to_vec(),
        env,
        document: Some(document),
        max_output_bytes: MAX_OUTPUT,
    };
    let ran = program.run_to_end(left(until)?);
    let (end, _, stderr) = ran.map_err(|error| Failure::of(format!("can't run {path}"), &error))?;
    let said = line(&stderr, 256);
    let with = |what: String| if said.is_empty() { what } else { format!("{what}: {said}") };
    match end {
        HandlerEnd::Exited(0) => Ok(()),
        HandlerEnd::Exited(exit) if refuses(exit) => Err(Failure::refused(with(format!("{path} exited with {exit}")))),
        HandlerEnd::Exited(exit) => Err(Failure::again(with(format!("{path} exited with {exit}")))),
        HandlerEnd::Signalled(signal) => Err(Failure::again(with(format!("{path} was ended by signal {signal}")))),
        HandlerEnd::TimedOut => Err(Failure::again(with(format!("{path} took too long and was ended")))),
        HandlerEnd::Aborted => Err(Failure::again(format!("{path} was ended"))),
        HandlerEnd::NotStarted { error } => Err(Failure::again(format!("{path} could not be started: {error}"))),
    }
}

/// What scripts ask for most, of the worst notice of the message.
fn environment(parcel: &Parcel) -> Vec<(String, String)> {
    let message = &parcel.message;
    let mut env = Vec::new();
    let mut put = |name: &str, value: &str| env.push((format!("NOTIFY_{name}"), line(value, MAX_VALUE)));
    put("ID", &parcel.id);
    put("RECEIVER", &message.receiver);
    put("NODE", &message.node);
    put("SEVERITY", message.severity().as_str());
    put("TITLE", &document::title(message));
    put("COUNT", &message.notices.len().to_string());
    put("LEFT_OUT", &message.left_out.to_string());
    put("RESOURCES", &resources(message));
    if let Some(worst) = message.notices.iter().find(|notice| notice.severity == message.severity()) {
        put("TOPIC", worst.topic.as_str());
        put("WHAT", &worst.what);
        put("TEXT", &worst.text);
        put("TIME", &document::time(worst));
        put("INCIDENT", worst.incident.as_deref().unwrap_or_default());
        let device = worst.event.as_ref().and_then(|event| event.device.as_ref());
        put("DEVICE", device.map_or("", |device| device.label()));
        put("DEVICE_ID", device.map_or("", |device| &device.id));
    }
    env
}

/// All resources of all notices, each once, with blanks between.
fn resources(message: &Message) -> String {
    let all = message.notices.iter().flat_map(|notice| &notice.resources);
    let all: std::collections::BTreeSet<&str> = all.map(String::as_str).collect();
    all.into_iter().collect::<Vec<_>>().join(" ")
}
