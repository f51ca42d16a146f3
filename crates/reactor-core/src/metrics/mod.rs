//! The Prometheus text of everything that is known.
//!
//! ```text
//!   the loop:      Node ─▶ Node::snapshot ┐        a reference count for each resource
//!                          Health ────────┤
//!   HTTP thread:                          └▶ Sheet::refresh ─▶ Snapshot ─▶ Body ─▶ pieces of text, family by family
//! ```
//!
//! The loop only hands out what there is. Each server keeps a sheet of its own: it writes the resources that changed since the
//! last scrape, and all who read the same moment send the same pieces of text. The order never depends on anything but names
//! and numbers.
//!
//! What a dialect cannot say has no sample. docs/metrics.md has every family; a test compares it with [`catalogue`].

mod block;
mod body;
mod daemon;
mod families;
pub mod health;
mod notify;
mod promoter;
mod reference;
mod render;
mod sheet;
mod text;

pub use body::Body;
pub use families::{Described, catalogue};
pub use health::Health;
pub use reference::markdown as reference_markdown;
pub use sheet::{Piece, Sheet, Snapshot};
pub use text::Kind;

use crate::settings::PrometheusSettings;

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

/// Whether families that drbd-reactor does not have and few need are written (`all-families` of `[[prometheus]]`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Extent {
    /// No.
    #[default]
    Common,
    /// Yes, and with `enums` also a 0 for each reason that does not hold.
    All,
}

/// What a server writes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Choice {
    /// One sample per possible state.
    pub enums: Enums,
    /// Which families.
    pub extent: Extent,
}

impl From<&PrometheusSettings> for Choice {
    fn from(settings: &PrometheusSettings) -> Self {
        let extent = if settings.all_families { Extent::All } else { Extent::Common };
        Self { enums: settings.enums.into(), extent }
    }
}
