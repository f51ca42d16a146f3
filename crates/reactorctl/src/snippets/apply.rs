//! After a change of the folder: the daemon reads it again, and we wait until it has. Nothing runs on by an old file meanwhile.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use reactor_api::client::ClientError;
use reactor_api::status::{FileState, FileStatus, ReloadResult};
use reactor_api::verbs::{self, Reload};

use super::{Snippet, Snippets, is_same_file};
use crate::cli::Place;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::io::Io;
use crate::systemctl::{self, Systemctl};

/// What became of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Applied {
    /// The daemon has taken it.
    Taken,
    /// It was told to read its files, and can't say what became of it.
    Told,
    /// There is no daemon: it will be so when one starts.
    NoDaemon,
    /// The daemon has not taken it: what ran before goes on.
    NotTaken(Exit),
}

impl Applied {
    /// The exit code of a command that wanted nothing else.
    pub(crate) fn exit(self) -> Exit {
        match self {
            Self::Taken | Self::Told => Exit::Ok,
            Self::NoDaemon => Exit::NotRunning,
            Self::NotTaken(exit) => exit,
        }
    }
}

/// Makes the daemon read its files, after `changed` have become what they are: those that are enabled are there, the others are not.
pub(crate) fn apply(
    place: &Place,
    snippets: &Snippets,
    changed: &[Snippet],
    io: &mut Io<'_>,
) -> Result<Applied, Failure> {
    let systemctl = Systemctl::of(&snippets.daemon);
    match daemon::ask(place, &Reload {}) {
        Ok(reply) => {
            let path_unit = systemctl::reload_path(place.mode);
            if systemctl.is_active(path_unit) {
                io.say(&format!("{path_unit} tells the daemon, too; this reload has been waited for"))?;
            }
            if reply.result == ReloadResult::Refused {
                let report = if reply.report.is_empty() { reply.findings.join("\n") } else { reply.report };
                io.fail(&Failure::NotTaken { report: report.trim_end().to_owned() })?;
                return Ok(Applied::NotTaken(Exit::NotTaken));
            }
            let status = daemon::status(place, &verbs::Status { resources: Some(BTreeSet::new()) })?;
            judge(&status.configuration.files, changed, io)
        }
        Err(Failure::Client(ClientError::NotRunning { .. })) => Ok(tell_by_systemd(place, &systemctl, io)?),
        Err(failure) => {
            let exit = failure.exit();
            io.fail(&failure)?;
            Ok(Applied::NotTaken(exit))
        }
    }
}

/// What the daemon says of the files that were changed; of the others only that they have errors.
fn judge(files: &[FileStatus], changed: &[Snippet], io: &mut Io<'_>) -> Result<Applied, Failure> {
    let mut applied = Applied::Taken;
    let file_of = |snippet: &Snippet| files.iter().find(|file| is_same_file(Path::new(&file.path), &snippet.path));
    for snippet in changed {
        let enabled = Snippet {
            is_enabled: true,
            path: snippet.folder().join(format!("{}.toml", snippet.name)),
            ..snippet.clone()
        };
        let report = match (snippet.is_enabled, file_of(&enabled)) {
            (true, Some(file)) if file.state == FileState::Current => continue,
            (true, Some(file)) => format!("{}:\n{}", file.path, file.findings.join("\n")),
            (true, None) => format!("{} is not among the files that it reads", enabled.path.display()),
            (false, None) => continue,
            (false, Some(_)) => format!("it goes on with what it read from {}", enabled.path.display()),
        };
        io.fail(&Failure::NotTaken { report })?;
        applied = Applied::NotTaken(Exit::NotTaken);
    }
    for file in files.iter().filter(|file| file.state != FileState::Current) {
        if !changed.iter().any(|snippet| file_of(snippet).is_some_and(|changed| changed.path == file.path)) {
            io.warn(&format!("{} has errors, which this command has not made: reactorctl status", file.path))?;
        }
    }
    Ok(applied)
}

/// A daemon that does not serve our socket: drbd-reactor itself, perhaps.
fn tell_by_systemd(place: &Place, systemctl: &Systemctl, io: &mut Io<'_>) -> io::Result<Applied> {
    let (unit, path_unit) = (systemctl::daemon_unit(place.mode), systemctl::reload_path(place.mode));
    if !systemctl.is_active(unit) {
        io.warn(&format!("{unit} does not run: this counts when it starts"))?;
        return Ok(Applied::NoDaemon);
    }
    if systemctl.is_active(path_unit) {
        io.say(&format!("{path_unit} tells the daemon; it is not known when"))?;
        return Ok(Applied::Told);
    }
    match systemctl.run(&["reload", unit]) {
        Ok(()) => {
            io.say(&format!("{unit} was told to reload; it does not say when it has"))?;
            Ok(Applied::Told)
        }
        Err(failure) => {
            let exit = Failure::from(failure);
            io.fail(&exit)?;
            Ok(Applied::NotTaken(exit.exit()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn judged(files: &[(&str, FileState)], changed: &[(&str, bool)]) -> (Applied, String) {
        let files: Vec<FileStatus> = files
            .iter()
            .map(|&(path, state)| FileStatus {
                path: path.to_owned(),
                state,
                findings: vec!["3:1: error: bad".to_owned()],
            })
            .collect();
        let changed: Vec<Snippet> = changed
            .iter()
            .map(|&(name, is_enabled)| {
                let path = PathBuf::from(format!("/s/{name}.toml{}", if is_enabled { "" } else { ".disabled" }));
                Snippet { name: name.to_owned(), is_enabled, path }
            })
            .collect();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let applied = judge(&files, &changed, &mut Io { out: &mut out, err: &mut err, is_terminal: false }).unwrap();
        assert!(out.is_empty());
        (applied, anstream::adapter::strip_str(&String::from_utf8(err).unwrap()).to_string())
    }

    #[test]
    fn a_change_is_taken_when_the_daemon_has_the_file_as_it_is() {
        let good = [("/s/a.toml", FileState::Current)];
        assert_eq!(judged(&good, &[("a", true), ("b", false)]), (Applied::Taken, String::new()));
        let (applied, said) = judged(&[("/s/a.toml", FileState::LastGood)], &[("a", true)]);
        assert_eq!(applied, Applied::NotTaken(Exit::NotTaken));
        assert!(said.contains("/s/a.toml:\n3:1: error: bad"), "{said}");
        assert_eq!(judged(&[], &[("a", true)]).0, Applied::NotTaken(Exit::NotTaken));
        assert_eq!(judged(&good, &[("a", false)]).0, Applied::NotTaken(Exit::NotTaken));
    }

    #[test]
    fn another_file_with_errors_is_no_failure_of_this_command() {
        let (applied, said) =
            judged(&[("/s/a.toml", FileState::Current), ("/s/z.toml", FileState::LastGood)], &[("a", true)]);
        assert_eq!(applied, Applied::Taken);
        assert_eq!(said, "warning: /s/z.toml has errors, which this command has not made: reactorctl status\n");
    }
}
