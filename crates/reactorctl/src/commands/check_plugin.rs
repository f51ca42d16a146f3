//! `reactorctl check-plugin`: the problems of `status` for Nagios and all that speak its language: one line, performance data, an exit code.

use std::ffi::OsString;
use std::io::Write;
use std::time::Duration;

use clap::{Args, ValueEnum};
use reactor_api::client::ClientError;
use reactor_api::status::SourceState;
use reactor_api::{Status, verbs};

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::problems::{Problem, Severity, problems};
use crate::style::count;

/// How it is typed.
const NAME: &str = "check-plugin";

/// How many problems are told; monitors cut long lines.
const TOLD: usize = 3;

/// Say in one line for Nagios, Icinga, Checkmk and others how DRBD and its services are here: exit codes 0 to 3, performance data
#[derive(Clone, Debug, Args)]
pub struct CheckPluginArgs {
    /// Only these resources; one that nobody has is critical
    #[arg(short, long = "resource", value_name = "RESOURCE", num_args = 1..)]
    pub resources: Vec<String>,

    /// The least problem that is a warning
    #[arg(long, value_name = "PROBLEM", value_enum, default_value_t = Least::Degraded)]
    pub warning: Least,

    /// The least problem that is critical
    #[arg(long, value_name = "PROBLEM", value_enum, default_value_t = Least::Bad)]
    pub critical: Least,

    /// How long the daemon may take to answer
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub within: u64,
}

/// A severity of problems, as `status` marks them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Least {
    /// A person must act; `!` in `status`
    Bad,
    /// Degraded, and it may heal by itself; `*`
    Degraded,
    /// Worth knowing, for example that a node is drained; `-`
    Note,
    /// None at all
    Never,
}

impl Least {
    fn takes(self, severity: Severity) -> bool {
        match self {
            Self::Bad => severity == Severity::Bad,
            Self::Degraded => severity <= Severity::Degraded,
            Self::Note => true,
            Self::Never => false,
        }
    }
}

/// The states of Nagios; the number is the exit code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum State {
    Ok,
    Warning,
    Critical,
    Unknown,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// What counts is the number: here it is Nagios', and not that of the other commands.
    fn exit(self) -> Exit {
        match self {
            Self::Ok => Exit::Ok,
            Self::Warning => Exit::Unexpected,
            Self::Critical => Exit::Usage,
            Self::Unknown => Exit::NotRunning,
        }
    }
}

/// What is said.
struct Said {
    state: State,
    text: String,
    performance: String,
}

impl Run for CheckPluginArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        match self.ask(place) {
            Ok(status) => say(&self.judge(&status), out),
            Err(failure) => self.failed(failure, out),
        }
    }

    fn failed(&self, failure: Failure, out: &mut dyn Write) -> Result<Exit, Failure> {
        say(&Said { state: without_answer(&failure), text: failure.chain(), performance: String::new() }, out)
    }

    fn is_for_people(&self) -> bool {
        false
    }
}

/// Whether a monitor has typed this, as far as it can be known of words that are no command.
pub(crate) fn is_meant(args: &[OsString]) -> bool {
    args.iter().skip(1).any(|word| word == NAME)
}

/// Of words that are no command: what is wrong is a line of ours, too, because monitors show that and take 2 for critical.
pub(crate) fn refuse(error: &clap::Error, out: &mut dyn Write) -> Exit {
    let text = error.to_string();
    // What follows is how it is used.
    let text: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).collect();
    let text = text.join(" ");
    let text = text.strip_prefix("error: ").unwrap_or(&text).to_owned();
    // If even that cannot be printed there is nobody left to tell.
    let _ = say(&Said { state: State::Unknown, text, performance: String::new() }, out);
    State::Unknown.exit()
}

fn say(said: &Said, out: &mut dyn Write) -> Result<Exit, Failure> {
    print(said, out)?;
    Ok(said.state.exit())
}

/// A service that is not there is critical, as with other plugins; what can't be found out is unknown.
fn without_answer(failure: &Failure) -> State {
    match failure {
        Failure::Client(ClientError::NotRunning { .. } | ClientError::TimedOut { .. })
        | Failure::Stopped
        | Failure::NotReached { .. } => State::Critical,
        _ => State::Unknown,
    }
}

/// What separates the text from the performance data must not be in the text.
fn print(said: &Said, out: &mut dyn Write) -> Result<(), Failure> {
    let text = said.text.replace('|', "/").split_whitespace().collect::<Vec<_>>().join(" ");
    write!(out, "DRBD {} - {text}", said.state.word())?;
    if !said.performance.is_empty() {
        write!(out, " | {}", said.performance)?;
    }
    writeln!(out)?;
    Ok(())
}

impl CheckPluginArgs {
    fn ask(&self, place: &Place) -> Result<Status, Failure> {
        let mut client = daemon::connect(place, Duration::from_secs(self.within))?;
        let reply = daemon::ask_over(&mut client, &verbs::Status::default())?;
        serde_json::from_value(reply.status.value).map_err(|source| Failure::Answer { source })
    }

    fn is_asked_for(&self, name: &str) -> bool {
        self.resources.is_empty() || self.resources.iter().any(|wanted| wanted == name)
    }

    fn judge(&self, status: &Status) -> Said {
        let mut all = problems(status);
        let names = || status.resources.iter().map(|resource| resource.name.as_str());
        let promoted = || status.promoted.iter().map(|promoted| promoted.resource.as_str());
        // What is about no resource is about all of them: the source is down, for example.
        all.retain(|problem| {
            let mut about = names().chain(promoted()).filter(|name| problem.is_about(name)).peekable();
            about.peek().is_none() || about.any(|name| self.is_asked_for(name))
        });
        let missing = self.resources.iter().filter(|wanted| !names().chain(promoted()).any(|name| name == *wanted));
        let missing: Vec<String> = missing.map(|name| format!("{name}: nobody has it here")).collect();
        let worst = all.first().map(|problem| problem.severity);
        let state = if !missing.is_empty() || worst.is_some_and(|worst| self.critical.takes(worst)) {
            State::Critical
        } else if matches!(status.source.state, SourceState::Starting | SourceState::Unknown) {
            State::Unknown
        } else if worst.is_some_and(|worst| self.warning.takes(worst)) {
            State::Warning
        } else {
            State::Ok
        };
        Said { state, text: self.text(status, state, missing, &all), performance: self.performance(status, &all) }
    }

    fn text(&self, status: &Status, state: State, missing: Vec<String>, all: &[Problem]) -> String {
        let counts = |problem: &&Problem| self.warning.takes(problem.severity) || self.critical.takes(problem.severity);
        let problems = all.iter().filter(|problem| state == State::Unknown || counts(problem));
        let mut told = missing;
        told.extend(problems.map(|problem| format!("{}: {}", problem.place, problem.what)));
        if told.is_empty() {
            let (resources, primary) = self.numbers(status);
            return format!("{}: {}, {primary} Primary here", status.node, count(resources, "resource"));
        }
        let more = told.len().saturating_sub(TOLD);
        told.truncate(TOLD);
        let mut text = told.join("; ");
        if more > 0 {
            text.push_str(&format!("; and {more} more"));
        }
        text
    }

    /// Resources, and those that are Primary here.
    fn numbers(&self, status: &Status) -> (u64, u64) {
        let resources = || status.resources.iter().filter(|resource| self.is_asked_for(&resource.name));
        let primary = resources().filter(|resource| resource.fields.role == "Primary");
        (resources().count() as u64, primary.count() as u64)
    }

    fn performance(&self, status: &Status, all: &[Problem]) -> String {
        let (resources, primary) = self.numbers(status);
        let number = |severity| all.iter().filter(|problem| problem.severity == severity).count();
        let links = status.resources.iter().filter(|resource| self.is_asked_for(&resource.name));
        let peers = links.flat_map(|resource| &resource.connections).flat_map(|connection| &connection.peer_devices);
        let out_of_sync: u64 = peers.map(|peer| peer.fields.out_of_sync_kib.unwrap_or_default()).sum();
        format!(
            "resources={resources};;;0 primary={primary};;;0 bad={};;;0 degraded={};;;0 notes={};;;0 out_of_sync={out_of_sync}KB;;;0",
            number(Severity::Bad),
            number(Severity::Degraded),
            number(Severity::Note),
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::testing::{BAD, GOOD, status_of};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: CheckPluginArgs,
    }

    fn args(words: &[&str]) -> CheckPluginArgs {
        Line::try_parse_from([&["check-plugin"], words].concat()).unwrap().args
    }

    /// The line, and the exit code.
    fn said(words: &[&str], status: &Status) -> (String, u8) {
        let said = args(words).judge(status);
        let mut out = Vec::new();
        print(&said, &mut out).unwrap();
        (String::from_utf8(out).unwrap(), said.state.exit() as u8)
    }

    #[test]
    fn the_codes_are_those_of_nagios() {
        let codes = [State::Ok, State::Warning, State::Critical, State::Unknown].map(|state| state.exit() as u8);
        assert_eq!(codes, [0, 1, 2, 3]);
    }

    #[test]
    fn all_is_well() {
        let line = "DRBD OK - n1: 1 resource, 1 Primary here | \
            resources=1;;;0 primary=1;;;0 bad=0;;;0 degraded=0;;;0 notes=0;;;0 out_of_sync=0KB;;;0\n";
        assert_eq!(said(&[], &status_of(GOOD)), (line.to_owned(), 0));
        assert_eq!(said(&["-r", "r0"], &status_of(GOOD)), (line.to_owned(), 0));
        let (text, code) = said(&["-r", "r0", "r7"], &status_of(GOOD));
        assert!(text.starts_with("DRBD CRITICAL - r7: nobody has it here | resources=1"), "{text}");
        assert_eq!(code, 2);
    }

    #[test]
    fn the_worst_problems_come_first_and_in_one_line() {
        let (text, code) = said(&[], &status_of(BAD));
        assert_eq!((text.lines().count(), text.matches('|').count(), code), (1, 1, 2), "{text}");
        assert!(text.starts_with("DRBD CRITICAL - a: "), "{text}");
        assert!(text.contains(" more | resources=2;;;0 primary=1;;;0 bad="), "{text}");
        assert!(text.ends_with(" out_of_sync=32096KB;;;0\n"), "{text}");
        // Of one resource only.
        let (text, _) = said(&["-r", "b"], &status_of(BAD));
        assert!(text.starts_with("DRBD CRITICAL - b") && !text.contains("- a") && !text.contains("; a:"), "{text}");
    }

    #[test]
    fn what_is_a_warning_and_what_is_critical_can_be_chosen() {
        let degraded = GOOD.replace("conn-name:n3 connection:Connected", "conn-name:n3 connection:Connecting");
        let code = |words: &[&str]| said(words, &status_of(&degraded)).1;
        assert_eq!(code(&[]), 1);
        assert_eq!(code(&["--critical", "degraded"]), 2);
        assert_eq!(code(&["--warning", "bad"]), 0);
        assert_eq!(code(&["--warning", "never", "--critical", "never"]), 0);
        assert_eq!(said(&["--critical", "never"], &status_of(BAD)).1, 1);
    }

    /// Nothing is known yet: no resources is not "all is well". And what was known before the source went down is none either.
    #[test]
    fn what_is_not_known_is_not_ok() {
        let mut status = Status { node: "n1".to_owned(), ..Status::default() };
        status.source.state = SourceState::Starting;
        let (text, code) = said(&[], &status);
        assert!(text.starts_with("DRBD UNKNOWN - event source: its first picture is not complete yet | "), "{text}");
        assert_eq!(code, 3);
        let mut status = status_of(GOOD);
        status.source.state = SourceState::Down;
        assert_eq!(said(&["-r", "r0"], &status).1, 2);
    }

    /// Names are from elsewhere.
    #[test]
    fn text_is_never_taken_for_performance_data() {
        let said = Said { state: State::Warning, text: "a | b\nc".to_owned(), performance: String::new() };
        let mut out = Vec::new();
        print(&said, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "DRBD WARNING - a / b c\n");
    }
}
