//! How a command can end. The codes are documented and do not change.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use reactor_api::client::ClientError;
use reactor_sys::drbd::playback::PlaybackError;

use crate::commands::import::ImportError;
use crate::nodes::context::ContextError;
use crate::program::ProgramError;
use crate::snippets::SnippetError;
use crate::systemctl::SystemctlError;
use crate::text::listed;

macro_rules! exits {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// The exit codes of `reactorctl` and `drbd-reactorctl`.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Exit {
            $($(#[doc = $doc])+ $name = $code,)+
        }

        /// Each code, and what it means.
        const MEANINGS: &[(u8, &str)] = &[$(($code, concat!($($doc,)+)),)+];
    };
}

/// The table of the codes, for the documents.
pub fn markdown() -> String {
    let mut text = String::from("| code | meaning |\n| --- | --- |\n");
    for (code, meaning) in MEANINGS {
        text.push_str(&format!("| {code} |{meaning} |\n"));
    }
    text
}

/// The same table for `--help`, which is in the manual page, too.
pub(crate) fn help() -> String {
    let row = |(code, meaning): &(u8, &str)| (code.to_string(), (*meaning).to_owned());
    format!("Exit codes:\n{}", listed(&MEANINGS.iter().map(row).collect::<Vec<_>>()))
}

exits! {
    /// done
    Ok = 0,
    /// anything that has no code of its own
    Unexpected = 1,
    /// wrong arguments
    Usage = 2,
    /// no daemon serves the socket, or it stopped meanwhile
    NotRunning = 3,
    /// a file has errors: those that `check` or `import` found, a snippet that `status`, `ls` and others could not read whole, or a context
    Findings = 4,
    /// permission denied
    PermissionDenied = 5,
    /// the daemon did not take everything: what ran before goes on
    NotTaken = 6,
    /// no answer in time
    TimedOut = 7,
    /// no promoter has the resource; `wait`, `status`, `mon`, `doctor`: nobody has it
    NoSuchResource = 8,
    /// no snippet has the name
    NoSuchSnippet = 9,
    /// the checks beforehand said no, and nothing was done; `start`: it does not start here as things are
    Refused = 10,
    /// `evict`, `move`: the services have stopped, or not, and no peer has taken over, or another one than was asked for
    NotTakenOver = 11,
    /// at least one node of the context did not answer, or failed; standard error says which, and how; `sync`: or does not have all files
    NodesFailed = 12,
    /// nobody answered the question, or the answer was no
    Aborted = 13,
    /// `wait`: the time was up before it was so
    NotMet = 14,
    /// `wait`: the resource has gone: neither DRBD nor a promoter has it any more
    Gone = 15,
    /// `restart`: it has not stopped, or does not run here again; the message says which, and why
    NotBack = 16,
    /// `block`: no block device has the name
    NoSuchDevice = 17,
    /// `incident`: no storage incident has the id
    NoSuchIncident = 18,
    /// `start`, `stop`, `restart`: a step failed; what was started is stopped again, or the message says what is not
    StepFailed = 19,
    /// `doctor`: there are warnings, and no errors
    Warnings = 20,
    /// `doctor`: there are errors
    Errors = 21,
    /// `import`: the file has nothing that could be imported
    NothingToImport = 22,
}

impl Exit {
    /// Of several things that a command does: the first that went wrong counts.
    #[must_use]
    pub(crate) fn or(self, later: Self) -> Self {
        if self == Self::Ok { later } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The daemon could not be asked, or did not answer well.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// No promoter has the resource that was asked for.
    #[error("no promoter has the resource {resource}")]
    NoSuchResource {
        /// As it was asked for.
        resource: String,
    },
    /// As things are, it can't be done.
    #[error("{why}")]
    Denied {
        /// Why.
        why: String,
    },
    /// It was left to others, and something came in between.
    #[error("{resource} has not gone to another node: {why}")]
    NotGone {
        /// What.
        resource: String,
        /// Why.
        why: String,
    },
    /// It was left to one node, and another one was faster.
    #[error(
        "{resource} is Primary on {node} now, and not on {wanted}: {node} was not told, and was faster\n  reactorctl move {resource} --to {wanted} moves it there"
    )]
    WentElsewhere {
        /// What.
        resource: String,
        /// Where it went.
        node: String,
        /// Where it was to go.
        wanted: String,
    },
    /// It was left to others, and none of them took it.
    #[error("no other node has taken {resource} over within {seconds} s: it may run here again")]
    NotTakenOver {
        /// What.
        resource: String,
        /// How long.
        seconds: u64,
    },
    /// No daemon answers, and its history can't be read either.
    #[error("no daemon answers, and what it has written can't be read")]
    History {
        /// Why not.
        #[source]
        source: reactor_sys::history::HistoryError,
    },
    /// The daemon ended a stream that would have gone on.
    #[error("the daemon has stopped")]
    Stopped,
    /// The daemon has no such call.
    #[error("the daemon is of an older version, which has no {what}: it has to be updated for this")]
    TooOld {
        /// Name of the call.
        what: &'static str,
    },
    /// The condition of `wait` is not understood.
    #[error("the condition is not understood: {report}")]
    Condition {
        /// What is wrong, with a caret.
        report: String,
    },
    /// The time of `wait` was up.
    #[error("{resource}: the time is up after {seconds} s; {missing}")]
    NotMet {
        /// What was waited for.
        resource: String,
        /// How long.
        seconds: u64,
        /// What was missing still.
        missing: String,
    },
    /// What was waited for has gone.
    #[error("{resource} has gone: neither DRBD nor a promoter has it any more")]
    Gone {
        /// What.
        resource: String,
    },
    /// What was restarted does not run here again.
    #[error("{resource} does not run here again: {why}")]
    NotBack {
        /// What.
        resource: String,
        /// Why.
        why: String,
    },
    /// Nobody has the resource that was asked for.
    #[error("neither DRBD nor a promoter has a resource {resource}")]
    Unknown {
        /// As it was asked for.
        resource: String,
    },
    /// No storage event has the type that was asked for.
    #[error("no storage event has the type {name}; `reactorctl events catalogue` lists them")]
    NoSuchType {
        /// As it was asked for.
        name: String,
    },
    /// No block device has the name that was asked for.
    #[error(transparent)]
    NoSuchDevice {
        /// With what it may have been meant for.
        source: reactor_storage::device::NotFound,
    },
    /// No block device has that name as far as is known, and some of DRBD's have names that are not.
    #[error(
        "no block device here is called {name:?}; but nobody says whose volumes {devices} are: neither a daemon, nor udev's links in \
         /dev/drbd/by-res, nor /sys/kernel/debug/drbd/minors, which only root can read. Ask as root, with debugfs mounted (mount -t debugfs \
         debugfs /sys/kernel/debug); or name the device by its minor number, as in drbd:{minor}"
    )]
    NamelessDrbd {
        /// What was asked for.
        name: String,
        /// The devices whose names are not known.
        devices: String,
        /// Of the first of them.
        minor: u32,
    },
    /// No open storage incident has the id that was asked for, or more than one.
    #[error("{why}")]
    NoSuchIncident {
        /// Which is the case, and what to do.
        why: String,
    },
    /// There is no list of block devices.
    #[error(transparent)]
    Devices {
        /// Why not.
        source: reactor_sysfs::ListingError,
    },
    /// The output could not be written.
    #[error("cannot write the output")]
    Output {
        /// Why.
        #[from]
        source: io::Error,
    },
    /// The daemon's answer has not the form that we know.
    #[error("answer of the daemon is not understood")]
    Answer {
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A recording cannot be read.
    #[error(transparent)]
    Recording(#[from] PlaybackError),
    /// A file is read, and nothing in it is what a recording has.
    #[error("{} is no recording: no line of it is one of drbdsetup events2, or of our recorder", file.display())]
    NoRecording {
        /// The file; the first of several.
        file: PathBuf,
    },
    /// A log can't be read, or is none.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A file of another program can't be imported.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// Something is wrong with a snippet.
    #[error(transparent)]
    Snippet(#[from] SnippetError),
    /// The context can't be used.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// systemd did not do it.
    #[error(transparent)]
    Systemctl(#[from] SystemctlError),
    /// A program could not be run, or did not end.
    #[error(transparent)]
    NoOutput(#[from] ProgramError),
    /// A program failed.
    #[error("{what}: {why}")]
    Program {
        /// Which, or what it is for.
        what: String,
        /// How it ended.
        why: String,
    },
    /// `--node` with a command that is not for the daemon of one node.
    #[error(
        "--node is for commands that ask the daemon of one node. This one asks all nodes of the context, or works on files and services of the machine that it \
         runs on: leave --node out, or run it there"
    )]
    NotForANode,
    /// The daemon of a node that was named did not do it.
    #[error("{node}: {}", failure.chain())]
    OfNode {
        /// As the context calls it.
        node: String,
        /// Why.
        failure: Box<Self>,
    },
    /// No daemon here, on a machine that knows the nodes of a cluster.
    #[error("{}\n  the context has {}: --node NODE asks the daemon of one of them, status --all and mon ask all", failure.chain(), nodes.join(", "))]
    NotHere {
        /// Why.
        failure: Box<Self>,
        /// Those of the context.
        nodes: Vec<String>,
    },
    /// Another node, or its daemon, could not be reached.
    #[error("{node}: not reached: {why}")]
    NotReached {
        /// As the context calls it.
        node: String,
        /// Why.
        why: String,
    },
    /// The daemon did not take a change.
    #[error("the daemon has not taken it: {report}")]
    NotTaken {
        /// Why.
        report: String,
    },
    /// A step of an action failed.
    #[error("{resource}: {step} failed{}", if left.is_empty() { String::new() } else { format!("; still up: {}", left.join(", ")) })]
    StepFailed {
        /// What.
        resource: String,
        /// The entry.
        step: String,
        /// What could not be stopped again.
        left: Vec<String>,
    },
    /// Checks beforehand said no.
    #[error("{what}, nothing was done: {}", why.join("; "))]
    Refused {
        /// What.
        what: String,
        /// Each reason.
        why: Vec<String>,
    },
    /// There is no configuration to run with.
    #[error("cannot use the configuration {}\n{report}", path.display())]
    Configuration {
        /// The main file.
        path: PathBuf,
        /// What is wrong, with carets.
        report: String,
    },
}

/// Why a log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file can't be read.
    #[error("can't read {}", file.display())]
    Read {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It has no form of a log.
    #[error("{} is no log whose form is known: --format says which form it has", file.display())]
    NoLog {
        /// Which.
        file: PathBuf,
    },
    /// A folder or an archive without logs.
    #[error("{} has none of the logs that a sosreport has", file.display())]
    NoLogs {
        /// Which.
        file: PathBuf,
    },
}

impl Failure {
    /// The exit code for it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Client(ClientError::NotRunning { .. }) | Self::Stopped | Self::History { .. } => Exit::NotRunning,
            Self::Client(ClientError::PermissionDenied { .. }) => Exit::PermissionDenied,
            Self::Client(ClientError::TimedOut { .. })
            | Self::NoOutput(ProgramError::TimedOut { .. })
            | Self::Systemctl(SystemctlError::Run(ProgramError::TimedOut { .. })) => Exit::TimedOut,
            Self::Configuration { .. } => Exit::Findings,
            Self::NoSuchResource { .. } | Self::Unknown { .. } => Exit::NoSuchResource,
            Self::NotMet { .. } => Exit::NotMet,
            Self::Gone { .. } => Exit::Gone,
            Self::NotBack { .. } => Exit::NotBack,
            Self::NoSuchDevice { .. } | Self::NamelessDrbd { .. } => Exit::NoSuchDevice,
            Self::NoSuchIncident { .. } => Exit::NoSuchIncident,
            Self::Import(error) => error.exit(),
            Self::Snippet(error) => error.exit(),
            Self::Context(error) => error.exit(),
            Self::NotForANode | Self::Condition { .. } | Self::NoSuchType { .. } => Exit::Usage,
            Self::NotTaken { .. } => Exit::NotTaken,
            Self::Refused { .. } | Self::Denied { .. } => Exit::Refused,
            Self::StepFailed { .. } => Exit::StepFailed,
            Self::NotTakenOver { .. } | Self::NotGone { .. } | Self::WentElsewhere { .. } => Exit::NotTakenOver,
            Self::NotReached { .. } => Exit::NodesFailed,
            Self::OfNode { failure, .. } | Self::NotHere { failure, .. } => failure.exit(),
            Self::Client(_)
            | Self::TooOld { .. }
            | Self::Systemctl(_)
            | Self::NoOutput(_)
            | Self::Program { .. }
            | Self::Output { .. }
            | Self::Answer { .. }
            | Self::Recording(_)
            | Self::Devices { .. }
            | Self::NoRecording { .. }
            | Self::Log(_) => Exit::Unexpected,
        }
    }

    /// Of a call about one resource: the daemon may not have it.
    pub fn about_resource(error: ClientError) -> Self {
        match error {
            ClientError::Refused { name, parameters } if name.ends_with(".NoSuchResource") => {
                let resource = parameters.get("resource").and_then(|name| name.as_str()).unwrap_or_default();
                Self::NoSuchResource { resource: crate::style::harmless(resource).into_owned() }
            }
            ClientError::Refused { name, parameters } if name.ends_with(".Control.Refused") => {
                let why = parameters.get("reason").and_then(|why| why.as_str()).unwrap_or_default();
                Self::Denied { why: crate::style::harmless(why).into_owned() }
            }
            error => Self::Client(error),
        }
    }

    /// In a stream that has begun: however a daemon ends, the end of the connection is what it looks like from here.
    pub(crate) fn in_stream(error: ClientError) -> Self {
        match error {
            ClientError::Closed | ClientError::Broken { .. } => Self::Stopped,
            error => Self::Client(error),
        }
    }

    /// The failure, with the name of the node that was asked. What names it already, or is not its failure, stays as it is.
    #[must_use]
    pub(crate) fn of_node(self, node: &str) -> Self {
        match self {
            Self::NotReached { .. } | Self::Output { .. } | Self::OfNode { .. } => self,
            failure => Self::OfNode { node: node.to_owned(), failure: Box::new(failure) },
        }
    }

    /// The failure, with the nodes that may have been meant if no daemon runs here.
    #[must_use]
    pub(crate) fn with_nodes(self, nodes: impl FnOnce() -> Vec<String>) -> Self {
        if !matches!(self, Self::Client(ClientError::NotRunning { .. }) | Self::History { .. }) {
            return self;
        }
        match nodes() {
            nodes if nodes.is_empty() => self,
            nodes => Self::NotHere { failure: Box::new(self), nodes },
        }
    }

    /// What went wrong, in one line, for where the name of the node stands already.
    pub(crate) fn without_node(&self, node: &str) -> String {
        let text = self.chain();
        text.strip_prefix(&format!("{node}: ")).unwrap_or(&text).to_owned()
    }

    /// What to do now.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Client(ClientError::NotRunning { .. }) => Some(
                "systemctl status storage-reactor says why; -c FILE or --socket PATH if it is not where it usually is",
            ),
            Self::Client(ClientError::PermissionDenied { .. }) => Some(
                "root may do everything, members of the group storage-reactor may read, and those of [daemon] operator-group may steer services",
            ),
            Self::OfNode { failure, .. } => match **failure {
                Self::Client(ClientError::PermissionDenied { .. }) => Some(
                    "what a key may ask stands beside it there, in authorized_keys (reactorctl bridge --allow COMMAND,...); what a user may, the groups there say",
                ),
                Self::Client(ClientError::NotRunning { .. }) => {
                    Some("systemctl status storage-reactor says why, there")
                }
                _ => failure.hint(),
            },
            Self::NotHere { failure, .. } => failure.hint(),
            Self::NoRecording { .. } => Some(
                "drbdsetup events2 --timestamps --full --statistics > FILE makes one; so does [recorder] in the configuration",
            ),
            Self::NotBack { .. } => Some("reactorctl why says what keeps it from running here"),
            Self::NotTakenOver { .. } => Some("reactorctl why on the other nodes says what kept them from it"),
            Self::NoSuchResource { .. } => Some("reactorctl status shows those that are promoted"),
            Self::Client(ClientError::TimedOut { .. }) => Some("the daemon may still do what was asked"),
            Self::Client(ClientError::Refused { name, .. }) if is_unknown_there(name) => Some(
                "the daemon does not know what was asked: it is older than this reactorctl (after an upgrade: systemctl restart storage-reactor)",
            ),
            _ => None,
        }
    }

    /// The error and its sources in one line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            // A transparent error shows what its source shows.
            let part = error.to_string();
            if !text.ends_with(&part) {
                text = format!("{text}: {part}");
            }
            source = error.source();
        }
        text
    }
}

/// Whether the daemon's error says that it has no such method or parameter. What this program sends is always good in its own version.
fn is_unknown_there(name: &str) -> bool {
    [".MethodNotFound", ".InvalidParameter"].iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_daemon_is_named_as_what_it_is() {
        let refused = |name: &str| {
            let name = format!("org.varlink.service.{name}");
            Failure::Client(ClientError::Refused { name, parameters: serde_json::Value::Null }).hint()
        };
        for name in ["InvalidParameter", "MethodNotFound"] {
            assert!(refused(name).is_some_and(|hint| hint.contains("older than this reactorctl")), "{name}");
        }
        assert_eq!(refused("PermissionDenied"), None);
    }

    #[test]
    fn each_failure_has_its_code_and_its_chain() {
        let path = PathBuf::from("/run/x.sock");
        let not_running = Failure::from(ClientError::NotRunning { path });
        assert_eq!(
            (not_running.exit(), not_running.chain().as_str()),
            (Exit::NotRunning, "no daemon serves /run/x.sock")
        );
        let source = io::Error::from(io::ErrorKind::NotFound);
        let read = Failure::from(PlaybackError::File { file: PathBuf::from("r0.events2"), source });
        let chain = "can't read the recording r0.events2: entity not found";
        assert_eq!((read.exit(), read.chain().as_str()), (Exit::Unexpected, chain));
        let denied = Failure::from(ClientError::PermissionDenied { reason: "no".to_owned() });
        assert_eq!(denied.exit() as u8, 5);
        assert!(denied.hint().is_some());
    }
}
