//! The configuration files of Storage Reactor: read, checked, explained.
//!
//! ```text
//! files ─▶ read (toml with spans) ─▶ Settings of each file ─▶ merged ─▶ reactor_core::settings::Settings
//!                    │                                           │
//!                    └────────────── findings ───────────────────┘ ─▶ text with file, line, column, caret
//! ```
//!
//! - Each file is read by itself; a bad one costs only its own plugins, and their last good version goes on.
//! - All findings of all files are collected; nothing stops at the first one.
//! - The keys are described once, in `spec`: checks, suggestions, the reference page and the JSON schema come from there.
//! - This crate reads files and does nothing else to the world.

mod check;
mod drift;
mod dump;
mod files;
mod finding;
mod load;
mod merge;
mod needs;
mod notifiers;
pub mod opensvc;
mod peripety;
mod peripety_conf;
mod read;
mod render;
mod secret;
mod shared_units;
mod shell_words;
mod source;
mod spec;
mod starters;
mod suggest;
mod units;
mod volume_groups;

pub use check::{Checked, check};
pub use drift::{Drift, DriftKind, drift};
pub use dump::{dump_toml, entry_toml};
pub use files::{ContentHash, Trust};
pub use finding::{Code, Finding, Related, Severity};
pub use load::{
    FileState, LoadOptions, Loaded, LoadedFile, default_config_path, default_snippets_path, load, load_telling,
};
pub use needs::Needs;
pub use peripety::{Peripety, read_peripety};
pub use read::{FileRole, parse_snippet, parse_text};
pub use render::Style;
pub use secret::{has_secret, is_secret, mask_text};
pub use source::{Location, Source};
pub use spec::{json_schema, reference_markdown};
pub use suggest::nearest;
pub use units::parse_duration;
