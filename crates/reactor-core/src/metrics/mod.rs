//! The Prometheus text of everything that is known.
//!
//! ```text
//!   the loop:      Node ─▶ Cache::refresh ─▶ Snapshot ┐        only resources that changed are written anew
//!                                     Health ─────────┤
//!   HTTP thread:                                      └▶ Body ─▶ pieces of text, family by family
//! ```
//!
//! A resource is written once into one piece of text with all its samples, family after family; a scrape then strings the
//! families of all resources together. So the loop pays for what changed and not for what there is, and the text of megabytes
//! is put together elsewhere. The order never depends on anything but names and numbers.
//!
//! What a dialect cannot say has no sample. docs/metrics.md has every family; a test compares it with [`catalogue`].

mod body;
mod cache;
mod daemon;
mod families;
pub mod health;
mod promoter;
mod render;
mod text;

pub use body::Body;
pub use cache::{Cache, Snapshot};
pub use families::{Described, catalogue};
pub use health::Health;
pub use text::Kind;

/// Whether states are written as one sample per possible state (`enums` of `[[prometheus]]`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Enums {
    /// No: the state is a label of one sample.
    #[default]
    Off,
    /// Yes, beside those with the state as a label.
    On,
}

impl From<bool> for Enums {
    /// The value of the setting.
    fn from(enums: bool) -> Self {
        if enums { Self::On } else { Self::Off }
    }
}
