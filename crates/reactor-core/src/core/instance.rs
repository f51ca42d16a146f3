//! One configured plugin, and how it is.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;

use crate::ids::{InstanceId, Mono};
use crate::isolation::{Panics, Trouble};
use crate::plugin::{Built, Counter, Interest, Plugin, Report};
use crate::settings::{PluginEntry, PluginKind, PluginSettings};

/// One configured plugin.
pub struct Instance {
    /// Its number.
    pub id: InstanceId,
    /// The file that it stands in.
    pub file: PathBuf,
    /// The line of its table.
    pub line: u32,
    /// What it was configured with.
    pub settings: PluginSettings,
    /// How it is.
    pub state: InstanceState,
    pub(super) plugin: Option<Box<dyn Plugin>>,
    /// What it wants to hear; nothing while it does not run.
    pub(super) interest: Interest,
    /// It is not one of ours, and can't be built from its settings.
    pub(super) inserted: bool,
    pub(super) panics: Panics,
    pub(super) trouble: Trouble,
    /// When it is built anew.
    pub(super) rebuild: Option<Mono>,
    /// Where it stands among the others.
    pub(super) position: usize,
    /// What the index has as its deadline.
    pub(super) filed: Option<Mono>,
    /// Shared by all: what the index has of deadlines may be old.
    pub(super) upset: Rc<Cell<bool>>,
}

/// How a plugin is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstanceState {
    /// It runs.
    Running,
    /// The daemon runs it, outside of the core (metrics servers, SNMP subagents).
    Outside,
    /// It panicked and was stopped. It is built anew soon, and by a reload.
    Panicked {
        /// What it said.
        message: String,
    },
}

impl Instance {
    pub(super) fn new(id: InstanceId, entry: &PluginEntry, built: Built, upset: Rc<Cell<bool>>) -> Self {
        let (plugin, state) = match built {
            Built::Plugin(plugin) => (Some(plugin), InstanceState::Running),
            Built::Outside => (None, InstanceState::Outside),
        };
        Self {
            id,
            file: entry.file.clone(),
            line: entry.line,
            settings: entry.settings.clone(),
            state,
            plugin,
            interest: Interest::default(),
            inserted: false,
            panics: Panics::default(),
            trouble: Trouble::default(),
            rebuild: None,
            position: 0,
            filed: None,
            upset,
        }
    }

    /// Which plugin it is.
    pub fn kind(&self) -> PluginKind {
        self.settings.kind()
    }

    /// What the status shows of the plugin, as name and value; nothing if it does not run.
    pub fn status(&self) -> Vec<(&'static str, String)> {
        let mut status = Vec::new();
        self.ask(|plugin| plugin.report(Report::Status(&mut status)));
        if self.panics.count > 0 {
            status.push(("panics", self.panics.count.to_string()));
            status.push(("last panic", self.panics.message.clone()));
        }
        status
    }

    /// What the plugin counted; nothing if it does not run.
    pub fn counters(&self) -> Vec<Counter> {
        let mut counters = Vec::new();
        self.ask(|plugin| plugin.report(Report::Counters(&mut counters)));
        counters
    }

    /// Asks what it wants to hear: it is new, or has new settings.
    pub(super) fn ask_interest(&mut self) {
        self.interest = self.ask(Plugin::interest).unwrap_or_default();
    }

    /// Asks the plugin for something that changes nothing. A panic costs the answer, and the next step stops the plugin.
    pub(super) fn ask<R>(&self, f: impl FnOnce(&(dyn Plugin + 'static)) -> R) -> Option<R> {
        let answer = self.look(f);
        // Only a panic over the question, of it or of a part of it, makes a step due.
        if self.due() != self.filed {
            self.upset.set(true);
        }
        answer
    }

    /// When there must be a step because of it.
    pub(super) fn due(&self) -> Option<Mono> {
        let asked = self.look(Plugin::next_deadline).flatten();
        if self.trouble.is_any() { Some(Mono::ZERO) } else { asked.into_iter().chain(self.rebuild).min() }
    }

    fn look<R>(&self, f: impl FnOnce(&(dyn Plugin + 'static)) -> R) -> Option<R> {
        let plugin = self.plugin.as_deref()?;
        self.trouble.guard(|| f(plugin))
    }
}
