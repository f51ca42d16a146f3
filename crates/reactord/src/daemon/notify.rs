//! What people are told, on its way from the core to whoever delivers it; and how that is doing.

use std::collections::BTreeMap;
use std::time::Duration;

use reactor_core::core::Instance;
use reactor_core::metrics::health::ReceiverHealth;
use reactor_core::notice::Message;
use reactor_core::settings::{NotifySettings, PluginSettings, Settings};
use reactor_sys::deliver::{Configured, Deliveries, ReceiverStatus, Written};
use tokio::task::spawn_blocking;
use tracing::{info, warn};

/// How long the end of the daemon waits for what is on its way.
const END: Duration = Duration::from_secs(2);

/// Whoever delivers it, from the first time on that there is a `[[notify]]` table.
#[derive(Default)]
pub(super) enum Notify {
    /// A recording is played: what is told then is of another time, and is only logged.
    #[default]
    Nobody,
    /// Nobody has wanted to be told so far.
    Waits,
    /// They are at work.
    Works(Deliveries),
}

impl Notify {
    /// Takes the tables of the settings. Threads, and the look at the disk, begin with the first table.
    pub(super) fn apply(&mut self, settings: &Settings, configured: Configured) {
        let tables: Vec<NotifySettings> = tables(settings).cloned().collect();
        if let Self::Waits = self
            && !tables.is_empty()
        {
            *self = Self::Works(Deliveries::start(&settings.daemon.state_dir));
        }
        if let Self::Works(deliveries) = self {
            deliveries.apply(&tables, configured);
        }
    }

    /// Hands a message on.
    pub(super) fn tell(&self, message: Message) {
        match self {
            Self::Works(deliveries) => deliveries.send(message),
            // Between a reload that takes the last table and what was decided before it.
            Self::Nobody | Self::Waits => {
                info!(receiver = message.receiver, notices = message.notices.len(), "not sent: {}", message.title());
            }
        }
    }

    /// To wait until the disk has what was handed on.
    pub(super) fn written(&self) -> Option<Written> {
        match self {
            Self::Works(deliveries) => Some(deliveries.written()),
            Self::Nobody | Self::Waits => None,
        }
    }

    /// What the status says of an instance, if it is a table of these.
    pub(super) fn details(&self, instance: &Instance) -> BTreeMap<String, String> {
        let PluginSettings::Notify(settings) = &instance.settings else { return BTreeMap::new() };
        let of_it = |status: &ReceiverStatus| status.name == settings.name;
        let Some(status) = self.status().into_iter().find(of_it) else { return BTreeMap::new() };
        let mut details = BTreeMap::from(
            [
                ("receiver", format!("{} ({})", status.name, status.kind)),
                ("waiting", status.waiting.to_string()),
                ("delivered", status.delivered.to_string()),
                ("failed-attempts", status.failed.to_string()),
                ("dropped", status.dropped.to_string()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        let disk = || self.disk_trouble().map(|why| format!("what waits is not kept on the disk: {why}"));
        details.extend(status.trouble.or_else(disk).map(|trouble| ("trouble".to_owned(), trouble)));
        details
    }

    /// For the metrics.
    pub(super) fn health(&self) -> Vec<ReceiverHealth> {
        let of = |status: ReceiverStatus| ReceiverHealth {
            name: status.name,
            up: status.trouble.is_none(),
            waiting: status.waiting,
            delivered: status.delivered,
            failed: status.failed,
            dropped: status.dropped,
        };
        self.status().into_iter().map(of).collect()
    }

    /// Whether what waits is kept on the disk; `None` = nobody is told.
    pub(super) fn is_disk_up(&self) -> Option<bool> {
        let told = !self.status().is_empty();
        told.then(|| self.disk_trouble().is_none())
    }

    fn status(&self) -> Vec<ReceiverStatus> {
        match self {
            Self::Works(deliveries) => deliveries.status(),
            Self::Nobody | Self::Waits => Vec::new(),
        }
    }

    fn disk_trouble(&self) -> Option<String> {
        match self {
            Self::Works(deliveries) => deliveries.disk_trouble(),
            Self::Nobody | Self::Waits => None,
        }
    }

    /// The daemon ends: what is on its way arrives or is kept.
    pub(super) async fn finish(&mut self) {
        if let Self::Works(deliveries) = std::mem::take(self)
            && !spawn_blocking(move || deliveries.finish(END)).await.unwrap_or_default()
        {
            warn!("not all notifications were delivered or kept");
        }
    }
}

fn tables(settings: &Settings) -> impl Iterator<Item = &NotifySettings> {
    settings.plugins.iter().filter_map(|entry| match &entry.settings {
        PluginSettings::Notify(settings) => Some(&**settings),
        _ => None,
    })
}
