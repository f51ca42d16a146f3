//! The person's editor, on a file that nobody else can read.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::process::Command;

use crate::exit::Failure;

/// What is used if nobody has chosen one.
const DEFAULT: &str = "vi";

/// An editor with its file, which goes when this goes.
#[derive(Debug)]
pub(crate) struct Editor {
    command: String,
    folder: PathBuf,
    file: PathBuf,
    is_kept: bool,
}

impl Editor {
    /// For a file of this name.
    pub(crate) fn new(name: &str) -> Result<Self, Failure> {
        let command = std::env::var("EDITOR").ok().filter(|editor| !editor.trim().is_empty());
        let folder = private_folder().map_err(|error| failed("a folder for the text", &error.to_string()))?;
        let file = folder.join(name);
        Ok(Self { command: command.unwrap_or_else(|| DEFAULT.to_owned()), folder, file, is_kept: false })
    }

    /// Shows `text`, and returns what the person made of it.
    pub(crate) fn edit(&mut self, text: &str) -> Result<String, Failure> {
        let wrote = |error: io::Error| failed(&self.file.display().to_string(), &error.to_string());
        let mut file =
            File::options().write(true).create(true).truncate(true).mode(0o600).open(&self.file).map_err(wrote)?;
        file.write_all(text.as_bytes()).map_err(wrote)?;
        drop(file);
        // `$EDITOR` may have arguments, and quotes; the file's name is none of the shell's business.
        let script = format!("{} \"$@\"", self.command);
        let status = Command::new("/bin/sh").args(["-c", &script, "editor"]).arg(&self.file).status();
        match status {
            Ok(status) if status.success() => fs::read_to_string(&self.file).map_err(wrote),
            Ok(status) => {
                Err(failed(&format!("the editor ({})", self.command), &format!("{status}; nothing was changed")))
            }
            Err(error) => Err(failed("/bin/sh", &error.to_string())),
        }
    }

    /// Leaves the file where it is.
    pub(crate) fn keep(&mut self) -> PathBuf {
        self.is_kept = true;
        self.file.clone()
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        if !self.is_kept {
            // Nothing of it is worth an error.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn failed(what: &str, why: &str) -> Failure {
    Failure::Program { what: what.to_owned(), why: why.to_owned() }
}

/// A new folder that only we may enter.
fn private_folder() -> io::Result<PathBuf> {
    let base = std::env::temp_dir();
    for number in 0..1000 {
        let folder = base.join(format!("reactorctl-edit-{}-{number}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
