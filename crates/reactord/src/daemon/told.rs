//! What receivers of notices were told and what still stands, across restarts: from the first time on that there is a `[[notify]]` table.

use std::time::Duration;

use reactor_core::settings::{PluginSettings, Settings};
use reactor_sys::deliver::Written;
use reactor_sys::standing::Keeper;
use tracing::warn;

use super::inbox::Inbox;

/// How long the end of the daemon waits for the disk.
const END: Duration = Duration::from_secs(2);

/// So long it waits for the disk to have the messages. One that hangs writes neither.
const MESSAGES: Duration = Duration::from_secs(30);

/// Who keeps it, if somebody is told anything.
pub(super) struct Told(Option<Keeper>);

impl Told {
    /// Nobody is told anything.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// After the start or a reload. What stood before is a source of the loop.
    pub(super) fn apply(&mut self, settings: &Settings, messages: Option<Written>, inbox: &mut Inbox) {
        let is_notify = |settings: &PluginSettings| matches!(settings, PluginSettings::Notify(_));
        if self.0.is_some() || !settings.plugins.iter().any(|entry| is_notify(&entry.settings)) {
            return;
        }
        let messages_are_written = move || {
            if let Some(messages) = &messages {
                messages.wait(MESSAGES);
            }
        };
        match Keeper::spawn(settings.daemon.state_dir.clone(), messages_are_written) {
            Ok((keeper, before)) => {
                inbox.add_source(before);
                self.0 = Some(keeper);
            }
            Err(error) => warn!(%error, "what people were told is not kept: after a restart they may be told again"),
        }
    }

    /// The loop is told of this.
    pub(super) fn recall(&mut self, before: &[(String, Vec<String>)]) {
        if let Some(keeper) = &mut self.0 {
            keeper.recall(before);
        }
    }

    /// This receiver was told of these, and they stand.
    pub(super) fn keep(&mut self, receiver: String, standing: Vec<String>) {
        if let Some(keeper) = &mut self.0 {
            keeper.keep(receiver, standing);
        }
    }

    /// Writes the newest state.
    pub(super) async fn finish(&mut self) {
        let Some(keeper) = self.0.take() else { return };
        if !tokio::task::spawn_blocking(move || keeper.finish(END)).await.unwrap_or_default() {
            warn!("what people were told was not kept in time: after the restart they may be told again");
        }
    }
}
