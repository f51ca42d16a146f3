//! `[[notify]]`: people are told of what happens.

use crate::settings::{NotifySettings, PluginKind, PluginSettings};

use super::{Context, Handled, Interest, Plugin, PluginInput};

/// One `[[notify]]` table.
pub struct Notify {
    settings: NotifySettings,
}

impl Notify {
    /// One that has told nothing yet.
    pub fn new(settings: &NotifySettings) -> Self {
        Self { settings: settings.clone() }
    }
}

impl Plugin for Notify {
    fn kind(&self) -> PluginKind {
        PluginKind::Notify
    }

    fn interest(&self) -> Interest {
        Interest::in_changes(None)
    }

    fn on(&mut self, _cx: &mut Context<'_>, input: PluginInput<'_>) -> Handled {
        match input {
            PluginInput::Settings(PluginSettings::Notify(settings)) if settings.name == self.settings.name => {
                self.settings = (**settings).clone();
                Handled::Yes
            }
            _ => Handled::No,
        }
    }
}
