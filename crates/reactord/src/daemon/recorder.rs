//! `[recorder]`: started, stopped and exchanged as the settings say.

use std::path::PathBuf;
use std::time::Duration;

use reactor_core::settings::{RecorderSettings, Settings};
use reactor_sys::chain::chain;
use reactor_sys::record::ring::Folder;
use reactor_sys::record::{Recorder, RecorderOptions};
use tracing::{error, info, warn};

use super::Daemon;

/// How long the last inputs may take to reach the disk when the recorder stops.
const FINISH: Duration = Duration::from_secs(2);

/// The running recorder and what it was asked for.
pub(super) struct Running {
    pub(super) recorder: Recorder,
    dir: PathBuf,
    settings: RecorderSettings,
}

impl Daemon {
    pub(super) fn apply_recorder(&mut self, settings: &Settings) {
        let Some(wanted) = &settings.recorder else {
            if self.recorder.is_some() {
                self.stop_recorder();
                info!("the recorder is off");
            }
            return;
        };
        let dir = wanted.dir.clone().unwrap_or_else(|| settings.daemon.state_dir.join("recordings"));
        if self.recorder.as_ref().is_some_and(|running| running.dir == dir && running.settings == *wanted) {
            return;
        }
        self.stop_recorder();
        let options = RecorderOptions {
            max_file_bytes: wanted.max_file_bytes,
            max_files: wanted.max_files,
            node_name: self.node_name(),
            daemon_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        match Folder::open(&dir) {
            Ok(folder) => {
                info!(dir = %dir.display(), "recording");
                let recorder = Recorder::start(options, Box::new(folder));
                self.recorder = Some(Running { recorder, dir, settings: wanted.clone() });
            }
            Err(error) => error!(error = %chain(&error), "can't record"),
        }
    }

    pub(super) fn stop_recorder(&mut self) {
        if let Some(running) = self.recorder.take()
            && !running.recorder.finish(FINISH)
        {
            warn!(dir = %running.dir.display(), "the last inputs were not recorded: the disk takes too long");
        }
    }
}
