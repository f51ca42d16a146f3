//! Who collects storage events, from the first time on that there is an `[[events]]` table, and who keeps the incidents across restarts.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use reactor_core::input::Input;
use reactor_core::settings::{EventsSettings, PluginSettings, Settings};
use reactor_storage::catalogue::{Catalogue, RawUserRule};
use reactor_storage::incidents::Incident;
use reactor_sys::storage::events::{CHANNEL, PROGRAMS, ToLoop};
use reactor_sys::storage::incidents::Keeper;
use reactor_sys::storage::{Collector, Limits, Options, Taps, boot_id};
use reactor_sys::{kernel_log, uevents};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::inbox::Inbox;

/// How long the end of the daemon waits until it is saved how far the logs were read, and what is open.
const END: Duration = Duration::from_secs(2);

/// The collector, if there is one.
pub(super) struct Storage(Option<Running>);

struct Running {
    collector: Collector,
    taps: Taps,
    keeper: Keeper,
    /// Whom it listens to in the journal.
    programs: Vec<String>,
    /// The user's rules as they are now, and where others go.
    rules: Vec<RawUserRule>,
    to_stages: Sender<Vec<RawUserRule>>,
}

impl Storage {
    /// Nobody wants to know of storage events.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Starts it if a plugin wants to know; its events are a source of the loop, and so is what was open before.
    pub(super) fn start(settings: &Settings, inbox: &mut Inbox) -> Self {
        if tables(settings).next().is_none() {
            return Self::none();
        }
        match Running::start(settings) {
            Ok((running, open, events)) => {
                inbox.add_source(open);
                inbox.add_source(events);
                Self(Some(running))
            }
            Err(error) => {
                warn!(%error, "storage events are not collected");
                Self::none()
            }
        }
    }

    /// After a reload. The rules that the settings have count from the next message on; how far the logs were read stays. A table that was not there
    /// before begins to be served. One that has gone stops nothing: it may come back.
    pub(super) fn apply(&mut self, settings: &Settings, inbox: &mut Inbox) {
        if let Some(running) = &mut self.0 {
            return running.apply(settings);
        }
        *self = Self::start(settings, inbox);
        if let Some(taps) = self.taps() {
            info!("storage events are collected from now on");
            // Those that were started with the daemon know nothing of it.
            only_tapped(uevents::spawn(Some(taps.clone())));
            only_tapped(kernel_log::spawn(Some(taps)));
        }
    }

    /// These incidents are open now.
    pub(super) fn keep(&self, open: Vec<Arc<Incident>>) {
        if let Some(running) = &self.0 {
            running.keeper.keep(open);
        }
    }

    /// Somebody wants to know.
    pub(super) fn is_running(&self) -> bool {
        self.0.is_some()
    }

    /// Where the sources put what they read.
    pub(super) fn taps(&self) -> Option<Taps> {
        self.0.as_ref().map(|running| running.taps.clone())
    }

    /// Saves how far it has come, and what is open: that first, so that nothing that was read is forgotten.
    pub(super) async fn finish(&mut self) {
        let Some(Running { collector, keeper, .. }) = self.0.take() else { return };
        let kept = tokio::task::spawn_blocking(move || keeper.finish(END)).await;
        if !kept.unwrap_or_default() {
            warn!("the storage incidents that are open were not kept in time");
        }
        if !collector.finish_within(END).await {
            warn!("it was not saved in time how far the logs were read: some events may be told once more");
        }
    }
}

/// The collector, what was open before, and what it tells.
type Started = (Running, mpsc::Receiver<Input>, mpsc::Receiver<Input>);

impl Running {
    fn start(settings: &Settings) -> io::Result<Started> {
        // It is the kernel's own file: it does not wait for a disk.
        let boot = boot_id()?;
        let state_dir = &settings.daemon.state_dir;
        let (keeper, open) = Keeper::spawn(state_dir.clone(), boot.clone())?;
        let (tx, events) = mpsc::channel(CHANNEL);
        let (to_stages, given) = channel();
        let rules = rules(settings);
        let _ = to_stages.send(rules.clone());
        let programs = programs(settings, &rules);
        let options = Options {
            state_dir: state_dir.clone(),
            journal: reads_journal(settings),
            journalctl: "journalctl".into(),
            boot,
            programs: programs.clone(),
            limits: Limits::default(),
        };
        let stages = move || ToLoop::new(Catalogue::built_in(), tx).with_rules(given);
        let (collector, taps) = Collector::spawn(options, stages)?;
        Ok((Self { collector, taps, keeper, programs, rules, to_stages }, open, events))
    }

    fn apply(&mut self, settings: &Settings) {
        let rules = rules(settings);
        let programs = programs(settings, &rules);
        if rules != self.rules {
            info!(rules = rules.len(), "other rules for storage events");
            // First the rules: a program that is new is heard with them.
            let _ = self.to_stages.send(rules.clone());
            self.rules = rules;
        }
        if programs != self.programs {
            self.collector.set_programs(programs.clone());
            self.programs = programs;
        }
    }
}

/// A source that the settings switch off is still read for the collector: what it says besides is dropped.
pub(super) fn only_tapped(mut news: mpsc::Receiver<Input>) {
    tokio::spawn(async move { while news.recv().await.is_some() {} });
}

fn tables(settings: &Settings) -> impl Iterator<Item = &EventsSettings> {
    settings.plugins.iter().filter_map(|entry| match &entry.settings {
        PluginSettings::Events(events) => Some(events),
        _ => None,
    })
}

/// The user's rules, of all tables.
fn rules(settings: &Settings) -> Vec<RawUserRule> {
    tables(settings).flat_map(EventsSettings::user_rules).cloned().collect()
}

/// Whether a table wants the journal read.
fn reads_journal(settings: &Settings) -> bool {
    tables(settings).any(|events| events.journal)
}

/// Whom to listen to: the programs that the catalogue knows, and those of the rules. Nobody if the journal is not read.
fn programs(settings: &Settings, rules: &[RawUserRule]) -> Vec<String> {
    if !reads_journal(settings) {
        return Vec::new();
    }
    let mut programs: Vec<String> = PROGRAMS.map(str::to_owned).into();
    for program in rules.iter().filter_map(|rule| rule.identifier.as_ref()) {
        if !programs.contains(program) {
            programs.push(program.clone());
        }
    }
    programs
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use reactor_core::settings::Mode;

    use super::*;

    #[test]
    fn the_programs_of_rules_are_listened_to_once_beside_those_of_the_catalogue() {
        let rule = |program: &str| format!("[[events.rule]]\nprogram = \"{program}\"\nregex = \"(?P<kdev>x)\"\n");
        let text = ["[[events]]\n", &rule("shelfd"), "[[events]]\n", &rule("multipathd"), &rule("shelfd")].concat();
        let (settings, findings) = reactor_config::parse_text(Path::new("a.toml"), &text, Mode::Native);
        assert!(findings.is_empty(), "{findings:?}");
        let rules = rules(&settings);
        assert_eq!(rules.len(), 3);
        let programs = programs(&settings, &rules);
        assert_eq!(programs.iter().filter(|program| *program == "shelfd").count(), 1);
        assert_eq!(programs.len(), PROGRAMS.len() + 1);
    }
}
