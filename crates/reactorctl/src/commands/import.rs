//! `reactorctl import`: configurations of other programs as one of ours. It reads one file, and writes where it is told; no daemon is asked.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal as _, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use reactor_config::opensvc::{self, Import, Options, OutFile, Verdict};
use serde_json::json;

use crate::cli::Place;
use crate::commands::Run;
use crate::exit::{Exit, Failure};
use crate::fold;
use crate::progress;
use crate::style::{harmless, make_harmless};

/// Who may read a new configuration: it may hold passwords.
const CONFIGURATION_MODE: u32 = 0o640;
/// Who may read a new unit file.
const UNIT_MODE: u32 = 0o644;

/// Make a configuration of another program's
#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    /// Whose file it is
    #[command(subcommand)]
    pub command: ImportCommand,
}

/// Programs whose files can be read.
#[derive(Clone, Debug, Subcommand)]
pub enum ImportCommand {
    Opensvc(OpensvcArgs),
}

/// A service of OpenSVC that runs on DRBD, as a promoter, with the units that it needs, and a report of what became of each key
///
/// The report is on standard error. Nothing is loaded: look at the files, put them to their places, and
/// `reactorctl check` them. Exit codes: 0 imported, 4 the file has errors, 10 a file of that name is there and says
/// something else, 22 the service has no DRBD resource; with all but 0 nothing is written.
#[derive(Clone, Debug, Args)]
pub struct OpensvcArgs {
    /// The service file, NAME.env or NAME.conf; - = standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// As this node sees it (`key@node`) [default: this host if the service has it, else the service's first node]
    #[arg(long, value_name = "NODE")]
    pub node: Option<String>,

    /// Name of the service [default: that of the file]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Write the files into this folder, which is made if it is missing; a file that is there and differs is left
    /// alone, and nothing is written [default: print them]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Print all of it as JSON: the files, the notes, and what became of each key
    #[arg(long)]
    pub json: bool,
}

/// Why a file could not be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It can't be read.
    #[error("can't read {}", file.display())]
    Read {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It can't be written.
    #[error("can't write {}", path.display())]
    Write {
        /// The file, or the folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Somebody's file has the name.
    #[error("{} is there already and says something else: nothing was written", path.display())]
    Differs {
        /// Which.
        path: PathBuf,
    },
}

impl ImportError {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Read { source, .. } | Self::Write { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                Exit::PermissionDenied
            }
            Self::Read { .. } | Self::Write { .. } => Exit::Unexpected,
            Self::Differs { .. } => Exit::Refused,
        }
    }
}

impl Run for ImportArgs {
    fn run(&self, _place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        match &self.command {
            ImportCommand::Opensvc(args) => args.import(out),
        }
    }

    fn asks_one_daemon(&self) -> bool {
        false
    }

    fn is_for_people(&self) -> bool {
        false
    }

    fn names_a_node(&self) -> bool {
        true
    }
}

impl OpensvcArgs {
    fn import(&self, out: &mut dyn Write) -> Result<Exit, Failure> {
        let text = read(&self.file)?;
        let import = opensvc::import(
            &text,
            &Options {
                service: self.name.clone().unwrap_or_else(|| service(&self.file)),
                node: self.node.clone(),
                host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            },
        );
        if let Some(folder) = &self.out {
            write_all(folder, &import.files)?;
        }
        if self.json {
            let mut document = document(&import);
            make_harmless(&mut document);
            writeln!(out, "{document}")?;
        } else {
            if self.out.is_none() {
                print(&import.files, out)?;
            }
            // What was asked for comes before what is said of it.
            out.flush()?;
            report(&import, self.out.as_deref())?;
        }
        Ok(match import.verdict {
            Verdict::Imported => Exit::Ok,
            Verdict::NoDrbd => Exit::NothingToImport,
            Verdict::Errors => Exit::Findings,
        })
    }
}

/// The text of a file; what is not UTF-8 in it, in remarks for example, does not matter.
fn read(file: &Path) -> Result<String, ImportError> {
    let failed = |source| ImportError::Read { file: file.to_owned(), source };
    let mut bytes = Vec::new();
    // One more than can be: then it says that it is too long.
    let most = opensvc::MAX_BYTES as u64 + 1;
    if file == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let opened = File::open(file).map_err(failed)?;
        opened.take(most).read_to_end(&mut bytes).map_err(failed)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `/etc/opensvc/web.conf` is the service `web`.
fn service(file: &Path) -> String {
    let stem = if file == Path::new("-") { None } else { file.file_stem() };
    stem.map_or_else(|| "service".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// All of the files, or none of them if one is there and differs.
fn write_all(folder: &Path, files: &[OutFile]) -> Result<(), ImportError> {
    let mut missing = Vec::new();
    for file in files {
        let path = folder.join(&file.name);
        match fs::read(&path) {
            Ok(there) if there == file.text.as_bytes() => {}
            Ok(_) => return Err(ImportError::Differs { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push((path, file)),
            Err(source) => return Err(ImportError::Read { file: path, source }),
        }
    }
    if !missing.is_empty() {
        fs::create_dir_all(folder).map_err(|source| ImportError::Write { path: folder.to_owned(), source })?;
    }
    for (path, file) in missing {
        let mode = if file.name.ends_with(".toml") { CONFIGURATION_MODE } else { UNIT_MODE };
        // What has come in between, or a link that leads to nothing, is not written to.
        let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        let written = opened.and_then(|mut opened| opened.write_all(file.text.as_bytes()));
        written.map_err(|source| ImportError::Write { path, source })?;
    }
    Ok(())
}

/// Each file below its name. With one file it is that file.
fn print(files: &[OutFile], out: &mut dyn Write) -> io::Result<()> {
    for file in files {
        writeln!(out, "# {}\n{}", file.name, harmless(&file.text))?;
    }
    Ok(())
}

/// Says what came of it, on standard error.
fn report(import: &Import, folder: Option<&Path>) -> io::Result<()> {
    let mut text = harmless(&import.report()).into_owned();
    if let Some(folder) = folder.filter(|_| !import.files.is_empty()) {
        let names: Vec<&str> = import.files.iter().map(|file| file.name.as_str()).collect();
        text.push_str(&format!("\n{}: {}\n", folder.display(), names.join(", ")));
    }
    if io::stderr().is_terminal() {
        text = fold::fold(&text, progress::width());
    }
    write!(anstream::stderr(), "{text}")
}

/// All of it.
fn document(import: &Import) -> serde_json::Value {
    let files: Vec<_> = import.files.iter().map(|file| json!({ "name": file.name, "text": file.text })).collect();
    let errors: Vec<_> =
        import.errors.iter().map(|error| json!({ "line": error.line, "message": error.message })).collect();
    let keys: Vec<_> = import
        .keys
        .iter()
        .map(|key| {
            json!({ "line": key.line, "section": key.section, "key": key.key, "fate": key.fate.word(), "reason": key.reason })
        })
        .collect();
    json!({
        "verdict": import.verdict.word(),
        "service": import.service,
        "node": import.node,
        "files": files,
        "errors": errors,
        "notes": import.notes,
        "keys": keys,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_called_by_its_file() {
        let names = ["/etc/opensvc/web.conf", "mail.env", "x", "-"].map(|file| service(Path::new(file)));
        assert_eq!(names, ["web", "mail", "x", "service"]);
    }
}
