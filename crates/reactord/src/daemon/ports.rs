//! Where the loop meets the adapters of the promoter.

use std::path::PathBuf;
use std::time::Duration;

use reactor_core::settings::DaemonSettings;
use reactor_sys::control::LeftoversReply;
use reactor_sys::drbd::tools::Tools;
use reactor_sys::examine::Examiner;
use reactor_sys::systemd::Handle;
use reactor_sys::units::UnitFiles;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::files::RELOAD;

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
        let unit_dir = settings.unit_dir.clone();
        let found = timeout(LOOK, spawn_blocking(move || reactor_sys::systemd::shim::find(&unit_dir))).await;
        found.ok().and_then(Result::ok).flatten().unwrap_or_default()
    } else {
        String::new()
    };
    (shim, secrets(settings))
}

/// What an earlier drbd-reactor left.
pub(super) async fn leftovers(store: UnitFiles, systemd: Option<Handle>, remove: bool) -> LeftoversReply {
    let look = move || if remove { store.remove_leftovers(|_| true) } else { store.leftovers() };
    let mut reply = match spawn_blocking(look).await {
        Ok(found) => LeftoversReply {
            files: found.files.iter().map(|file| file.path.display().to_string()).collect(),
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
    /// For a task that asks why units are not up.
    pub(super) fn examiner(&self) -> Examiner {
        Examiner::new(self.loaded.settings.daemon.bus.clone())
    }

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
