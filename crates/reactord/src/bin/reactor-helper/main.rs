//! `reactor-helper HELPER OBJECT`: what DRBD's kernel module calls in place of `drbdadm` (its parameter `usermode_helper`).
//!
//! ```text
//!  kernel ─▶ reactor-helper ─▶ daemon: is there a rule with on = "answer"? ─▶ its handler's exit code ─▶ kernel
//!                  │
//!                  └─ no daemon, no rule, no answer in time, any error ─▶ exec drbdadm HELPER OBJECT, as DRBD would do
//! ```
//!
//! The kernel waits for it, so it never waits longer than its timeout, and it always ends in an answer. It needs nothing of its
//! surroundings: no PATH, no HOME, no writable file system. It writes no file; what goes wrong goes to the journal.

mod ask;
mod options;

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use ask::{Answer, Call};
use options::Options;

/// What the kernel takes a helper for that it could not run: nothing to do, go on. So that is what we say without drbdadm.
const NO_HELPER: u8 = 0;

/// Called in a way that neither we nor drbdadm understand.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    match arguments.first().and_then(|first| first.to_str()) {
        None | Some("-h" | "--help") => return say("usage: reactor-helper HELPER OBJECT\nSee docs/umh.md.", USAGE),
        Some("-V" | "--version") => return say(concat!("reactor-helper ", env!("CARGO_PKG_VERSION")), 0),
        Some(_) => {}
    }
    let options = Options::read(|name| env::var_os(name));
    for finding in &options.findings {
        warn(&options, finding);
    }
    let why = match Call::new(&arguments, env::vars_os()) {
        Some(call) => match ask::daemon(&options, &call) {
            Ok(Answer::Exit(code)) => return ExitCode::from(code),
            Ok(Answer::Fallback(why)) => why,
            Err(error) => {
                let why = format!("{} {}: drbdadm answers, because {error}", call.helper, call.object);
                warn(&options, &why);
                why
            }
        },
        None => "it is no call of DRBD".to_owned(),
    };
    fall_back(&options, &arguments, &why)
}

/// Becomes drbdadm, with our own arguments and environment.
fn fall_back(options: &Options, arguments: &[OsString], why: &str) -> ExitCode {
    let error = match options.drbdadm() {
        // Returns only if it failed.
        Some(drbdadm) => match reactor_sys::drbd::program::check(&drbdadm) {
            Ok(()) => format!("cannot run {}: {}", drbdadm.display(), Command::new(&drbdadm).args(arguments).exec()),
            Err(error) => error.to_string(),
        },
        None => "there is no drbdadm".to_owned(),
    };
    warn(options, &format!("{error}; it was to answer, because {why}"));
    ExitCode::from(NO_HELPER)
}

/// One line for the journal. Never waits.
fn warn(options: &Options, text: &str) {
    reactor_sys::log::journal::warn(&options.journal, "reactor-helper", text);
}

/// For a person at a terminal.
fn say(text: &str, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "{text}");
    ExitCode::from(code)
}
