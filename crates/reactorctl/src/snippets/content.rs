//! What a snippet says.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use reactor_config::{Finding, Style};
use reactor_core::ids::ResourceName;
use reactor_core::settings::promoter::PromotedResource;
use reactor_core::settings::{Mode, PluginEntry, PluginSettings};

use super::{Snippet, SnippetError};

/// Largest snippet that is read; a real one has some hundred lines.
const MAX_BYTES: u64 = 4 << 20;

/// A snippet, read and understood as far as it can be.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) plugins: Vec<PluginEntry>,
    /// What is wrong with it, for people; the file is no good then.
    pub(crate) error: Option<SnippetError>,
}

/// The text of a snippet.
pub(crate) fn text(path: &Path) -> Result<String, SnippetError> {
    let failed = |source| SnippetError::Read { path: path.to_owned(), source };
    // A FIFO would hold us up for ever.
    let flags = (rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY).bits();
    let flags = i32::try_from(flags).unwrap_or_default();
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(failed(io::Error::other("it is not a regular file")));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(failed(io::Error::other("it is larger than 4 MiB")));
    }
    String::from_utf8(bytes).map_err(|_| SnippetError::NotText { path: path.to_owned() })
}

/// Reads a snippet. One that has errors still tells what a daemon could take from it.
pub(crate) fn read(snippet: &Snippet, mode: Mode) -> Content {
    let text = match text(&snippet.path) {
        Ok(text) => text,
        Err(error) => return Content { plugins: Vec::new(), error: Some(error) },
    };
    let (plugins, findings) = reactor_config::parse_snippet(&snippet.path, &text, mode);
    let report = errors(&findings);
    let error = report.map(|report| SnippetError::Findings { path: snippet.path.clone(), report });
    Content { plugins, error }
}

/// The errors among `findings`, one line each; `None` if there are none.
pub(crate) fn errors(findings: &[Finding]) -> Option<String> {
    let errors: Vec<String> =
        findings.iter().filter(|finding| finding.is_error()).map(|finding| finding.render(Style::Plain)).collect();
    (!errors.is_empty()).then(|| errors.join("\n\n"))
}

/// The promoted resources among `plugins`.
pub(crate) fn promoted(plugins: &[PluginEntry]) -> impl Iterator<Item = (&ResourceName, &PromotedResource)> {
    plugins.iter().flat_map(|entry| match &entry.settings {
        PluginSettings::Promoter(promoter) => promoter.resources.iter().collect(),
        _ => Vec::new(),
    })
}
