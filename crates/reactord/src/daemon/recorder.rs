//! `[recorder]`: started, stopped and exchanged as the settings say.

use std::path::PathBuf;
use std::time::Duration;

use reactor_core::ids::Mono;
use reactor_core::input::Input;
use reactor_core::metrics::health::RecorderHealth;
use reactor_core::settings::{RecorderSettings, Settings};
use reactor_sys::record::ring::Later;
use reactor_sys::record::{Present, Recorder, RecorderOptions};
use tracing::{info, warn};

/// How long the last inputs may take to reach the disk when the recorder stops.
const FINISH: Duration = Duration::from_secs(2);

/// The recorder, if there is one.
#[derive(Default)]
pub(super) struct Recording(Option<Running>);

/// The running recorder and what it was asked for.
struct Running {
    recorder: Recorder,
    dir: PathBuf,
    settings: RecorderSettings,
}

impl Recording {
    /// Makes what runs what the settings say.
    pub(super) fn apply(&mut self, settings: &Settings, node_name: impl FnOnce() -> String) {
        let Some(wanted) = &settings.recorder else {
            if let Some(running) = self.0.take() {
                running.recorder.leave();
                info!("the recorder is off");
            }
            return;
        };
        let dir = wanted.dir.clone().unwrap_or_else(|| settings.daemon.state_dir.join("recordings"));
        if self.0.as_ref().is_some_and(|running| running.dir == dir && running.settings == *wanted) {
            return;
        }
        // What it has still to write it writes beside the new one, which begins a file of its own.
        if let Some(running) = self.0.take() {
            running.recorder.leave();
        }
        let options = RecorderOptions {
            max_file_bytes: wanted.max_file_bytes,
            max_files: wanted.max_files,
            node_name: node_name(),
            daemon_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        // Its thread opens the folder.
        let recorder = Recorder::start(options, Box::new(Later::new(&dir)));
        self.0 = Some(Running { recorder, dir, settings: wanted.clone() });
    }

    /// Records an input; `present` is what the core knew before it, for a file that begins here.
    pub(super) fn record(&mut self, now: Mono, input: &Input, present: impl FnOnce() -> Present) {
        if let Some(running) = &mut self.0 {
            running.recorder.record(now, input, present);
        }
    }

    /// For the metrics; `None` = it is off.
    pub(super) fn health(&self) -> Option<RecorderHealth> {
        let status = self.0.as_ref()?.recorder.status();
        Some(RecorderHealth { up: status.failing.is_none(), written: status.written, lost: status.lost })
    }

    /// At the end of the daemon.
    pub(super) fn finish(&mut self) {
        if let Some(running) = self.0.take()
            && !running.recorder.finish(FINISH)
        {
            warn!(dir = %running.dir.display(), "the last inputs were not recorded: the disk takes too long");
        }
    }
}
