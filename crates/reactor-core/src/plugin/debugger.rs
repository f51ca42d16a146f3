//! `[[debugger]]`: prints every change.

use crate::action::{Deed, Reason};
use crate::change::Change;
use crate::settings::{DebuggerSettings, Detail, PluginKind, PluginSettings};

use super::{Context, Counter, Plugin};

/// Prints the changes that its `detail` asks for.
pub struct Debugger {
    settings: DebuggerSettings,
    printed: u64,
}

impl Debugger {
    /// A debugger that has printed nothing yet.
    pub fn new(settings: DebuggerSettings) -> Self {
        Self { settings, printed: 0 }
    }
}

impl Plugin for Debugger {
    fn kind(&self) -> PluginKind {
        PluginKind::Debugger
    }

    fn wants(&self) -> Option<Detail> {
        Some(self.settings.detail)
    }

    fn on_change(&mut self, cx: &mut Context<'_>, change: &Change) {
        self.printed += 1;
        cx.act(vec![Reason("the debugger prints every change".to_owned())], Deed::Print(Box::new(change.clone())));
    }

    fn reconfigure(&mut self, _cx: &mut Context<'_>, settings: &PluginSettings) -> bool {
        let PluginSettings::Debugger(settings) = settings else { return false };
        self.settings = settings.clone();
        true
    }

    fn counters(&self) -> Vec<Counter> {
        vec![Counter {
            name: "changes_printed",
            help: "Changes that the debugger printed.",
            label: None,
            value: self.printed,
        }]
    }
}
