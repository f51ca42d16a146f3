//! Who collects storage events, if there is an `[[events]]` table when the daemon starts.

use std::time::Duration;

use reactor_core::input::Input;
use reactor_core::settings::{PluginSettings, Settings};
use reactor_storage::catalogue::Catalogue;
use reactor_sys::storage::events::{CHANNEL, PROGRAMS, ToLoop};
use reactor_sys::storage::{Collector, Limits, Options, Taps, boot_id};
use tokio::sync::mpsc;
use tracing::warn;

use super::inbox::Inbox;

/// How long the end of the daemon waits until it is saved how far the logs were read.
const END: Duration = Duration::from_secs(2);

/// The collector, if there is one.
pub(super) struct Storage(Option<(Collector, Taps)>);

impl Storage {
    /// Nobody wants to know of storage events.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Starts it if a plugin wants to know; its events are a source of the loop.
    pub(super) fn start(settings: &Settings, inbox: &mut Inbox) -> Self {
        let wants = |entry: &PluginSettings| matches!(entry, PluginSettings::Events(_));
        if !settings.plugins.iter().any(|entry| wants(&entry.settings)) {
            return Self::none();
        }
        let (tx, rx) = mpsc::channel(CHANNEL);
        // It is the kernel's own file: it does not wait for a disk.
        let spawned = boot_id().and_then(|boot| {
            let options = Options {
                state_dir: settings.daemon.state_dir.clone(),
                journalctl: "journalctl".into(),
                boot,
                programs: PROGRAMS.map(str::to_owned).into(),
                limits: Limits::default(),
            };
            Collector::spawn(options, move || ToLoop::new(Catalogue::built_in(), tx))
        });
        match spawned {
            Ok(running) => {
                inbox.add_source(rx);
                Self(Some(running))
            }
            Err(error) => {
                warn!(%error, "storage events are not collected");
                Self::none()
            }
        }
    }

    /// Somebody wants to know.
    pub(super) fn is_running(&self) -> bool {
        self.0.is_some()
    }

    /// Where the sources put what they read.
    pub(super) fn taps(&self) -> Option<Taps> {
        self.0.as_ref().map(|(_, taps)| taps.clone())
    }

    /// Saves how far it has come.
    pub(super) async fn finish(&mut self) {
        if let Some((collector, _)) = self.0.take()
            && !collector.finish_within(END).await
        {
            warn!("it was not saved in time how far the logs were read: some events may be told once more");
        }
    }
}

/// A source that the settings switch off is still read for the collector: what it says besides is dropped.
pub(super) fn only_tapped(mut news: mpsc::Receiver<Input>) {
    tokio::spawn(async move { while news.recv().await.is_some() {} });
}
