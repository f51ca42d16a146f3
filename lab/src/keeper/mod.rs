//! One small process between the lab and each machine, so that nothing can stay behind.
//!
//! ```text
//! lab (or a test) ── socket ── keeper ── own process group: the machine and all its helpers
//!        orders: kill, hang, resume ->
//!        <- reports: started, exited
//! ```
//!
//! The keeper starts the machine, reads its console into a file, carries orders out, and reports the end. When its socket
//! closes, because the lab has ended in whatever way, it kills the machine's process group and ends too. If the keeper
//! is killed, the kernel kills the machine (the parent death signal, set between fork and exec by [`run_node`]).
//!
//! File descriptors reach the machine without races: they come over the socket to a process that has only one child.

mod machine;
mod process;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::image::CLibrary;

pub use machine::Machine;
pub use process::{keep, run_node};

/// The hidden subcommand of the `lab` program that is a keeper.
pub const KEEP: &str = "keep";
/// The hidden subcommand that becomes the machine.
pub const RUN_NODE: &str = "run-node";
/// The variable that marks every process of a machine with its run folder.
pub const MARK: &str = "LAB_RUN";

/// The descriptor at which a program that comes with a C library of its own finds its dynamic loader.
///
/// The kernel opens the loader of a program by the path that is written in it. `/proc/self/fd/NUMBER` needs no folder that others could get at
/// before us, fits where the usual path was, and works for nobody who was not given the descriptor.
pub const LOADER_FD: u16 = 99;

/// A program to start as a machine.
///
/// In the arguments, `{NAME}` stands for the number of the file descriptor of that name; `{console}` is the keeper's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// The C library that it is started with, if not that of this machine. The program names [`LOADER_FD`] as its dynamic loader.
    #[serde(default)]
    pub library: Option<CLibrary>,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment, all of it.
    pub env: BTreeMap<String, String>,
    /// Where the console and all other output goes.
    pub console: PathBuf,
    /// The names of the descriptors that come along, in order.
    #[serde(default)]
    pub fds: Vec<String>,
    /// How a program that is not its kernel's own process tells of the kernel's panic.
    #[serde(default)]
    pub panic: Option<PanicSign>,
}

/// The program ends with this code, and has written this text into this file since it was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanicSign {
    /// The exit code.
    pub code: i32,
    /// The file. It is emptied by the start.
    pub file: PathBuf,
    /// The text.
    pub text: String,
}

impl PanicSign {
    /// What the end means: a panic is SIGABRT, as that of a kernel which is a process.
    fn read(&self, exit: Exit) -> Exit {
        let seen = || std::fs::read_to_string(&self.file).is_ok_and(|text| text.contains(&self.text));
        if exit == Exit::Code(self.code) && seen() { Exit::Signal(6) } else { exit }
    }
}

/// How a machine has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// By itself, with this code: 0 after a clean power off.
    Code(i32),
    /// By a signal: SIGABRT (6) after a kernel panic, SIGKILL (9) after a power cut.
    Signal(i32),
    /// The keeper has gone and nobody knows.
    Unknown,
}

impl Exit {
    /// A machine that powered itself off.
    #[must_use]
    pub fn is_clean(self) -> bool {
        self == Exit::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(0) => f.write_str("powered off"),
            Exit::Code(code) => write!(f, "ended with exit code {code}"),
            Exit::Signal(6) => f.write_str("crashed (kernel panic)"),
            Exit::Signal(9) => f.write_str("killed"),
            Exit::Signal(signal) => write!(f, "ended by signal {signal}"),
            Exit::Unknown => f.write_str("gone"),
        }
    }
}

/// From the lab to the keeper, one JSON line each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Order {
    /// SIGKILL to the whole group: the power is cut.
    Kill,
    /// SIGSTOP to the machine: it hangs.
    Hang,
    /// SIGCONT.
    Resume,
}

/// From the keeper to the lab, one JSON line each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Report {
    Started { pid: i32 },
    Failed { why: String },
    Exited { exit: Exit },
}

/// What keeps a machine from starting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MachineError {
    /// The `lab` program itself does not start.
    #[error("cannot start {program} as the keeper of a machine")]
    Keeper {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The conversation with the keeper broke off.
    #[error("the keeper of a machine does not answer")]
    Silent(#[source] io::Error),
    /// The machine's program does not start.
    #[error("the machine does not start: {why}")]
    Failed {
        /// The keeper's words.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_from_a_program_that_does_not_start() {
        let file = std::env::temp_dir().join(format!("lab-panic-{}", std::process::id()));
        let sign = PanicSign { code: 1, file: file.clone(), text: "crashed".to_owned() };
        assert_eq!(sign.read(Exit::Code(1)), Exit::Code(1), "no file");
        std::fs::write(&file, "Guest crashed\n").unwrap();
        assert_eq!(sign.read(Exit::Code(1)), Exit::Signal(6));
        assert_eq!(sign.read(Exit::Code(0)), Exit::Code(0));
        assert_eq!(sign.read(Exit::Signal(9)), Exit::Signal(9));
        std::fs::write(&file, "").unwrap();
        assert_eq!(sign.read(Exit::Code(1)), Exit::Code(1));
        std::fs::remove_file(file).unwrap();
    }
}
