//! Programs that hang in the kernel and cannot even be killed: at most one for each call, however often it is tried.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::process::Child;

/// Calls, for example `drbdadm adjust r0`, whose last process is still there. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Survivors(Arc<Mutex<BTreeMap<String, u32>>>);

impl Survivors {
    /// The process of this call that is still there.
    pub(super) fn of(&self, call: &str) -> Option<u32> {
        self.with(|all| all.get(call).copied())
    }

    /// The process of this call outlived its end. Until it has gone the call is not made again. Needs a tokio runtime.
    pub(super) fn keep(&self, call: String, mut child: Child) {
        let Some(pid) = child.id() else { return };
        self.with(|all| all.insert(call.clone(), pid));
        let this = self.clone();
        tokio::spawn(async move {
            // That it has gone is all that matters; if that can't be found out, a new one is the lesser evil.
            let _ = child.wait().await;
            this.with(|all| all.remove(&call));
        });
    }

    fn with<R>(&self, f: impl FnOnce(&mut BTreeMap<String, u32>) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
