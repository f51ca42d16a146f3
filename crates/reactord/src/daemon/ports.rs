//! Where the loop meets the adapters of the promoter.

use std::collections::BTreeSet;
use std::future::pending;
use std::path::PathBuf;
use std::time::Duration;

use reactor_core::action::UnitCall;
use reactor_core::ids::UnitName;
use reactor_core::input::Input;
use reactor_core::settings::{Bus, DaemonSettings};
use reactor_core::systemd::{BusEvent, UnitEnd};
use reactor_sys::control::LeftoversReply;
use reactor_sys::drbd::tools::Tools;
use reactor_sys::units::UnitFiles;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::files::RELOAD;

/// The connection to systemd. It tells [`Input::Units`] and [`Input::Bus`], all units of a reconnect before `Up`.
pub(super) struct Link {
    first: Option<Input>,
}

/// For tasks that call systemd. Cheap to clone.
#[derive(Clone)]
pub(super) struct Handle;

const MISSING: &str = "this build has no such adapter";

impl Link {
    /// Begins to connect, and follows these units from then on.
    pub(super) fn connect(_: &Bus, _: BTreeSet<UnitName>) -> Self {
        let why = MISSING.to_owned();
        Self { first: Some(Input::Bus(BusEvent::Down { why })) }
    }

    /// Follows these units and no others.
    pub(super) fn follow(&mut self, _: BTreeSet<UnitName>) {}

    pub(super) fn handle(&self) -> Handle {
        Handle
    }

    /// The next news. Cancel safe.
    pub(super) async fn next(&mut self) -> Input {
        match self.try_next() {
            Some(input) => input,
            None => pending().await,
        }
    }

    /// The next news, if there is any by now.
    pub(super) fn try_next(&mut self) -> Option<Input> {
        self.first.take()
    }
}

impl Handle {
    /// Carries out a call, within its deadline.
    pub(super) async fn call(&self, _: UnitCall) -> UnitEnd {
        UnitEnd::NoBus { why: MISSING.to_owned() }
    }

    /// Lets systemd read its units again.
    pub(super) async fn reload(&self, _: Duration) -> Result<(), String> {
        Err(MISSING.to_owned())
    }
}

/// How long the folders of unit files may take to be looked at when the daemon starts.
const LOOK: Duration = Duration::from_secs(10);

/// Name of the manifest in the runtime folder.
const MANIFEST: &str = "units.json";

/// Where secrets go, below the runtime folder.
fn secrets(settings: &DaemonSettings) -> PathBuf {
    settings.runtime_dir.join("secrets")
}

/// The generated files of this daemon.
pub(super) fn unit_files(settings: &DaemonSettings) -> UnitFiles {
    UnitFiles::new(&settings.unit_dir, &secrets(settings), &settings.runtime_dir.join(MANIFEST))
}

/// The path of the shim, if a promoter needs it, and the folder of secrets.
pub(super) async fn host_files(settings: &DaemonSettings, has_promoter: bool) -> (String, PathBuf) {
    let shim = if has_promoter {
        let found = timeout(LOOK, spawn_blocking(reactor_sys::shim::find)).await;
        found.ok().and_then(Result::ok).flatten().unwrap_or_default()
    } else {
        String::new()
    };
    (shim, secrets(settings))
}

/// What an earlier drbd-reactor left.
pub(super) async fn leftovers(store: UnitFiles, systemd: Option<Handle>, remove: bool) -> LeftoversReply {
    let look = move || if remove { store.remove_leftovers() } else { store.leftovers() };
    let mut reply = match spawn_blocking(look).await {
        Ok(found) => LeftoversReply {
            files: found.files.iter().map(|file| file.display().to_string()).collect(),
            errors: found.errors,
        },
        Err(error) => LeftoversReply { files: Vec::new(), errors: vec![error.to_string()] },
    };
    if remove && !reply.files.is_empty() {
        let reloaded = match systemd {
            Some(systemd) => systemd.reload(RELOAD).await,
            None => Err("there is no connection; run systemctl daemon-reload".to_owned()),
        };
        reply.errors.extend(reloaded.err().map(|why| format!("systemd has not read its units again: {why}")));
    }
    reply
}

impl super::Daemon {
    /// For a task that calls DRBD's tools.
    pub(super) fn tools(&self) -> Tools {
        let daemon = &self.loaded.settings.daemon;
        Tools {
            drbdsetup: daemon.drbdsetup.clone(),
            drbdadm: daemon.drbdadm.clone(),
            dialect: self.core.node().dialect(),
        }
    }
}
