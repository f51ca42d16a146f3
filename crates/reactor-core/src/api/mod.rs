//! What the core knows, as wire types.
//!
//! The types are `reactor-api`'s, which knows nothing of the model; how the model becomes one of them is said here.
//!
//! ```text
//! Node, Change, Done ─▶ status, change, outcome        for the control socket (reactor-sys turns them into JSON text)
//!        Node        ─▶ drbdsetup_status               for `reactorctl replay --final`
//! ```

mod change;
pub mod drbdsetup_status;
pub mod event;
pub mod incident;
mod objects;
mod outcome;
mod plan;
mod promoted;
pub mod status;

pub use outcome::outcome;
pub use plan::plan;
pub use promoted::{Times, hold, promoted, promoted_with_history};

impl From<reactor_api::words::Detail> for crate::settings::Detail {
    fn from(detail: reactor_api::words::Detail) -> Self {
        match detail {
            reactor_api::words::Detail::State => Self::State,
            reactor_api::words::Detail::All => Self::All,
        }
    }
}
