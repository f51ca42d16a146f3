//! Service files of OpenSVC, read into a configuration of ours. No I/O: text in; configuration, unit files and a report out.
//!
//! ```text
//! text ─▶ ini (lines) ─▶ view (what node N sees: scope, references) ─▶ build (one file for each class) ─▶ model ─▶ order ─▶ write
//!                          └────────────── ledger: what became of each key, exactly once ──────────────┘─▶ report
//! ```
//!
//! Three eras of the same file are understood: 1.x (`[drbd#0] res`, `[vg#0] vgname`, `[app] script`), 1.8 to 2.x (`[disk#0] type = drbd`, `standby`,
//! `{references}`) and its third version (`[ip#0] name`, `dev`, containers of podman). What a key means is taken from OpenSVC's documentation and from
//! files that people have published.
//!
//! Nothing is guessed: what can't be said in our words stands in the configuration as a comment, with the reason, and in the report.

mod attributes;
mod build;
mod class;
mod dropped;
mod ini;
mod ledger;
mod model;
mod order;
mod references;
mod report;
mod scope;
mod unit;
mod view;
mod words;
mod write;

pub use ledger::{Fate, KeyReport};
pub use report::Problem;

use ini::Document;
use view::View;

/// Longest service file that is read.
pub const MAX_BYTES: usize = 1 << 20;

/// What is to be read, and how.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Options {
    /// Name of the service: `{svcname}`, and the name of the files. OpenSVC takes it from the name of the file.
    pub service: String,
    /// As seen from this node.
    pub node: Option<String>,
    /// If none is named: as seen from this host if the service has it, else from the first node of the service.
    pub host: String,
}

/// A file that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutFile {
    /// A plain name, without a folder.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is a configuration.
    Imported,
    /// The service has no DRBD resource that can be promoted, so there is nothing to write.
    NoDrbd,
    /// The file has errors, so nothing is written.
    Errors,
}

impl Verdict {
    /// The word that JSON has for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Imported => "imported",
            Self::NoDrbd => "no-drbd",
            Self::Errors => "errors",
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// How it went.
    pub verdict: Verdict,
    /// Name of the service.
    pub service: String,
    /// As seen from this node; empty if nobody knows of one.
    pub node: String,
    /// The configuration, then the unit files that it needs.
    pub files: Vec<OutFile>,
    /// Lines that could not be read.
    pub errors: Vec<Problem>,
    /// What is to know beside the keys.
    pub notes: Vec<String>,
    /// What became of each key, in the order of the file.
    pub keys: Vec<KeyReport>,
}

/// Reads the text of a service file.
///
/// Never fails: what is wrong is in the result.
pub fn import(text: &str, options: &Options) -> Import {
    let document = Document::parse(text);
    let mut view = View::new(&document, options);
    let service = build::service(&mut view);
    let mut files = Vec::new();
    let verdict = if !document.errors.is_empty() {
        Verdict::Errors
    } else if let Some(service) = &service {
        files = write::files(service);
        Verdict::Imported
    } else {
        Verdict::NoDrbd
    };
    let node = view.who().node.clone();
    let service = view.who().service.clone();
    let (notes, keys) = view.close();
    Import { verdict, service, node, files, errors: document.errors, notes, keys }
}
