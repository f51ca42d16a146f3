//! Where the loop meets the adapters of the promoter.

use std::path::PathBuf;
use std::time::Duration;

use reactor_core::settings::DaemonSettings;
use reactor_sys::units::UnitFiles;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

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
