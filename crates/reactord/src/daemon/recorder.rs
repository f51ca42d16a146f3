//! `[recorder]`: started, stopped and exchanged as the settings say.

use std::path::PathBuf;
use std::time::Duration;

use reactor_core::settings::{RecorderSettings, Settings};
use reactor_sys::record::ring::Later;
use reactor_sys::record::{Recorder, RecorderOptions};
use tracing::{info, warn};

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
            if let Some(running) = self.recorder.take() {
                running.recorder.leave();
                info!("the recorder is off");
            }
            return;
        };
        let dir = wanted.dir.clone().unwrap_or_else(|| settings.daemon.state_dir.join("recordings"));
        if self.recorder.as_ref().is_some_and(|running| running.dir == dir && running.settings == *wanted) {
            return;
        }
        // What it has still to write it writes beside the new one, which begins a file of its own.
        if let Some(running) = self.recorder.take() {
            running.recorder.leave();
        }
        let options = RecorderOptions {
            max_file_bytes: wanted.max_file_bytes,
            max_files: wanted.max_files,
            node_name: self.node_name(),
            daemon_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        // Its thread opens the folder.
        let recorder = Recorder::start(options, Box::new(Later::new(&dir)));
        self.recorder = Some(Running { recorder, dir, settings: wanted.clone() });
    }

    /// At the end of the daemon.
    pub(super) fn stop_recorder(&mut self) {
        if let Some(running) = self.recorder.take()
            && !running.recorder.finish(FINISH)
        {
            warn!(dir = %running.dir.display(), "the last inputs were not recorded: the disk takes too long");
        }
    }
}
