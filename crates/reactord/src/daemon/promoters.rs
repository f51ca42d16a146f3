//! What the settings say of promoters.

use reactor_core::ids::ResourceName;
use reactor_core::settings::promoter::Runner;
use reactor_core::settings::{PluginSettings, Settings};

/// Whether a promoter with the systemd runner is configured.
pub(super) fn needs_systemd(settings: &Settings) -> bool {
    promoted(settings).any(|(_, runner)| runner == Runner::Systemd)
}

/// Whether any promoter is configured.
pub(super) fn has_promoter(settings: &Settings) -> bool {
    promoted(settings).next().is_some()
}

/// Every promoted resource and its runner.
pub(super) fn promoted(settings: &Settings) -> impl Iterator<Item = (&ResourceName, Runner)> {
    settings.plugins.iter().flat_map(|entry| match &entry.settings {
        PluginSettings::Promoter(promoter) => {
            promoter.resources.iter().map(|(name, resource)| (name, resource.runner)).collect::<Vec<_>>()
        }
        _ => Vec::new(),
    })
}
