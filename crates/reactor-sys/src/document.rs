//! Documents in the state folder: JSON that says which form and version it has, read only if nobody else could have written it, and replaced as a
//! whole.
//!
//! ```text
//!   {"format":"storage-reactor-told","version":1, ... what it says ... }
//! ```

use std::io;
use std::path::Path;

use reactor_trust::{Folder, FolderError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::state_file;

/// One such document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Document {
    /// The file. While it is written there is another one, with `.new` behind that.
    pub(crate) name: &'static str,
    /// What it says of itself.
    pub(crate) format: &'static str,
    /// A later version may mean something else by the same words.
    pub(crate) version: u32,
    /// It is not read if it is larger.
    pub(crate) max_bytes: u64,
}

/// How it begins.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

#[derive(Serialize)]
struct Whole<'a, T> {
    format: &'static str,
    version: u32,
    #[serde(flatten)]
    content: &'a T,
}

impl Document {
    /// What it says; `None` = there is no such file.
    ///
    /// # Errors
    ///
    /// What the system says, and that it is of another form or version.
    pub(crate) fn load<T: DeserializeOwned>(&self, dir: &Path) -> io::Result<Option<T>> {
        let Some(folder) = Folder::open(dir).map_err(FolderError::into_io)? else { return Ok(None) };
        let Some(text) = state_file::read(&folder, self.name, self.max_bytes)? else { return Ok(None) };
        let head: Head = serde_json::from_slice(&text).map_err(io::Error::other)?;
        if head.format != self.format || head.version != self.version {
            let found = format!("{} version {}", head.format, head.version);
            return Err(io::Error::other(format!("it is of another form: {found}")));
        }
        serde_json::from_slice(&text).map(Some).map_err(io::Error::other)
    }

    /// Replaces it.
    ///
    /// # Errors
    ///
    /// What the system says; then the old file is still there.
    pub(crate) fn save<T: Serialize>(&self, dir: &Path, content: &T) -> io::Result<()> {
        let folder = Folder::open(dir).map_err(FolderError::into_io)?.ok_or(io::ErrorKind::NotFound)?;
        let whole = Whole { format: self.format, version: self.version, content };
        let mut text = serde_json::to_vec(&whole).map_err(io::Error::other)?;
        text.push(b'\n');
        let new = format!("{}.new", self.name);
        state_file::write(&folder, &new, &text)?;
        state_file::put(&folder, &new, self.name)
    }

    /// The name that [`put_aside`](Self::put_aside) gives it.
    pub(crate) fn aside(&self) -> String {
        format!("{}.bad", self.name)
    }

    /// Keeps it under another name: what a newer program wrote is not thrown away.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(crate) fn put_aside(&self, dir: &Path) -> io::Result<()> {
        match Folder::open(dir).map_err(FolderError::into_io)? {
            Some(folder) => state_file::put(&folder, self.name, &self.aside()),
            None => Ok(()),
        }
    }
}
