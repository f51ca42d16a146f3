//! `[[debugger]]`: prints every change.

use crate::action::{Effect, Reason};
use crate::settings::{DebuggerSettings, PluginKind, PluginSettings};

use super::{Context, Counter, Handled, Interest, Plugin, PluginInput, Report};

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

    fn interest(&self) -> Interest {
        Interest::in_changes(Some(self.settings.detail))
    }

    fn on(&mut self, cx: &mut Context<'_>, input: PluginInput<'_>) -> Handled {
        match input {
            PluginInput::Change(change) => {
                self.printed += 1;
                let because = vec![Reason("the debugger prints every change".to_owned())];
                cx.effect(because, Effect::Print(Box::new(change.clone())));
            }
            PluginInput::Settings(PluginSettings::Debugger(settings)) => self.settings = settings.clone(),
            _ => return Handled::No,
        }
        Handled::Yes
    }

    fn report(&self, report: Report<'_>) {
        if let Report::Counters(counters) = report {
            let help = "Changes that the debugger printed.";
            counters.push(Counter { name: "changes_printed", help, labels: Vec::new(), value: self.printed });
        }
    }
}
