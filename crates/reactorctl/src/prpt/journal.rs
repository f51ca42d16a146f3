//! The journal, read by `journalctl`.

use std::io::{self, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};

use jiff::Timestamp;
use reactor_storage::catalogue::UserRule;

use crate::exit::Failure;
use crate::style::harmless;

/// Programs that say something of storage, by their syslog identifier.
const PROGRAMS: [&str; 10] =
    ["multipathd", "multipath", "iscsid", "smartd", "lvm", "dmeventd", "lvmpolld", "mdadm", "zed", "udisksd"];

/// What is kept of what `journalctl` complains about.
const MAX_COMPLAINT: u64 = 4096;

/// A running `journalctl`. It is ended when this is dropped.
pub(super) struct Journal {
    child: Child,
    complaint: Option<JoinHandle<String>>,
}

impl Journal {
    /// All that the kernel and the tools of storage have said, and those that `rules` are about.
    pub(super) fn query(since: Option<Timestamp>, rules: &[UserRule]) -> Result<Self, Failure> {
        let mut args = vec!["--quiet".to_owned()];
        args.extend(since.map(|since| since_arg(&since)));
        args.extend(of_storage(rules));
        Self::spawn(&args)
    }

    /// What they say from now on.
    pub(super) fn follow(rules: &[UserRule]) -> Result<Self, Failure> {
        let mut args = vec!["--quiet".to_owned(), "--follow".to_owned(), "--lines=0".to_owned()];
        args.extend(of_storage(rules));
        Self::spawn(&args)
    }

    /// What peripety has written. It ran as root; anybody else may write what he likes.
    pub(super) fn stored(since: Option<Timestamp>) -> Result<Self, Failure> {
        let mut args = ["--quiet", "--output=json", "--all", "--output-fields=JSON"].map(str::to_owned).to_vec();
        args.extend(since.map(|since| since_arg(&since)));
        args.extend(["_UID=0", "IS_PERIPETY=TRUE"].map(str::to_owned));
        Self::spawn(&args)
    }

    fn spawn(args: &[String]) -> Result<Self, Failure> {
        let mut child = Command::new("journalctl")
            .args(["--system", "--no-pager"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(&error.to_string()))?;
        let stderr = child.stderr.take();
        let complaint = thread::spawn(move || stderr.map_or_else(String::new, complaint));
        Ok(Self { child, complaint: Some(complaint) })
    }

    /// What it prints, once.
    pub(super) fn take_output(&mut self) -> Box<dyn Read + Send> {
        match self.child.stdout.take() {
            Some(output) => Box::new(Uninterrupted(output)),
            None => Box::new(io::empty()),
        }
    }

    /// Waits for its end, when all was read. An end that is no good one is an error if it says why: without entries, some versions fail.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        let status = self.child.wait().map_err(|error| failed(&error.to_string()))?;
        let said = self.complaint.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        if status.success() || said.is_empty() { Ok(()) } else { Err(failed(&said)) }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // One that has ended can't be killed, and that is all right.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn failed(why: &str) -> Failure {
    Failure::Program { what: "journalctl".to_owned(), why: harmless(why.trim()).into_owned() }
}

/// The first that it complains about. The rest is read, too, or it could not go on.
fn complaint(mut stderr: impl Read) -> String {
    let mut text = Vec::new();
    let _ = stderr.by_ref().take(MAX_COMPLAINT).read_to_end(&mut text);
    let _ = io::copy(&mut stderr, &mut io::sink());
    String::from_utf8_lossy(&text).trim().to_owned()
}

fn since_arg(since: &Timestamp) -> String {
    let us = since.as_microsecond().max(0);
    format!("--since=@{}.{:06}", us / 1_000_000, us % 1_000_000)
}

/// The kernel, or one of the tools, or a program that a rule is about. These run as root; anybody else may call himself so.
fn of_storage(rules: &[UserRule]) -> Vec<String> {
    let mut args = ["--output=export", "_TRANSPORT=kernel", "+", "_UID=0"].map(str::to_owned).to_vec();
    let of_rules = rules.iter().filter_map(UserRule::identifier).filter(|program| !PROGRAMS.contains(program));
    let programs = PROGRAMS.into_iter().chain(of_rules);
    args.extend(programs.map(|program| format!("SYSLOG_IDENTIFIER={program}")));
    args
}

/// Reads on after a signal.
struct Uninterrupted(ChildStdout);

impl Read for Uninterrupted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use reactor_storage::catalogue::{RawUserRule, Source};

    use super::*;

    #[test]
    fn every_program_has_rules_and_every_source_is_asked_for() {
        let known: Vec<Source> = PROGRAMS.iter().filter_map(|program| Source::of_program(program)).collect();
        assert_eq!(known.len(), PROGRAMS.len());
        // The journal has no uevents.
        for source in Source::ALL.into_iter().filter(|source| !matches!(source, Source::Kernel | Source::Uevent)) {
            assert!(known.contains(&source), "{source:?}");
        }
    }

    #[test]
    fn programs_of_rules_are_asked_for_too_and_each_once() {
        let rule = |program: Option<&str>| RawUserRule {
            regex: "(?P<kdev>x)".to_owned(),
            identifier: program.map(str::to_owned),
            ..RawUserRule::default()
        };
        let rules = [rule(Some("shelfd")), rule(Some("smartd")), rule(None)].map(|rule| rule.compile().unwrap());
        let args = of_storage(&rules);
        let asked = |program: &str| args.iter().filter(|arg| **arg == format!("SYSLOG_IDENTIFIER={program}")).count();
        assert_eq!((asked("shelfd"), asked("smartd"), args.len()), (1, 1, 4 + PROGRAMS.len() + 1));
    }
}
