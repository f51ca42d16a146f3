//! Ctrl-C in the middle of something that must not stay half done: it is noted, and what was begun is undone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::exit::Failure;

/// While this lives, the signals that would end us are only noted. Programs that we wait for get them from the terminal all the same, and end.
#[derive(Debug)]
pub(crate) struct Interrupts {
    came: Arc<AtomicBool>,
    ids: Vec<SigId>,
}

impl Interrupts {
    pub(crate) fn noted() -> Result<Self, Failure> {
        let mut interrupts = Self { came: Arc::default(), ids: Vec::new() };
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            interrupts.ids.push(signal_hook::flag::register(signal, interrupts.came.clone())?);
        }
        Ok(interrupts)
    }

    /// Whether one came.
    pub(crate) fn came(&self) -> bool {
        self.came.load(Ordering::Relaxed)
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        for id in self.ids.drain(..) {
            signal_hook::low_level::unregister(id);
        }
    }
}
