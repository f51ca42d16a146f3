//! Asks this machine what a configuration takes for granted.

use reactor_core::facts::{Fact, Questions, SystemFacts};
use reactor_core::settings::DaemonSettings;
use reactor_sys::facts::{Sources, ask as ask_sources};

/// Asks as a daemon with these settings would. Never fails: what can't be found out is unknown, with the reason.
pub(crate) fn ask(questions: &Questions, daemon: &DaemonSettings) -> SystemFacts {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let facts = runtime.block_on(ask_sources(questions, &Sources::of(daemon)));
            // A look at a file system that hangs must not keep us.
            runtime.shutdown_background();
            facts
        }
        Err(error) => {
            let why = error.to_string();
            SystemFacts {
                units: Fact::Unknown { why: why.clone() },
                resources: Fact::Unknown { why },
                ..SystemFacts::default()
            }
        }
    }
}
