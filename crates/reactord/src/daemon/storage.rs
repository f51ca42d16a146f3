//! Who collects storage events, if there is an `[[events]]` table when the daemon starts.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use reactor_core::input::Input;
use reactor_core::settings::{EventsSettings, PluginSettings, Settings};
use reactor_storage::catalogue::{Catalogue, RawUserRule};
use reactor_sys::storage::events::{CHANNEL, PROGRAMS, ToLoop};
use reactor_sys::storage::{Collector, Limits, Options, Taps, boot_id};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::inbox::Inbox;

/// How long the end of the daemon waits until it is saved how far the logs were read.
const END: Duration = Duration::from_secs(2);

/// The collector, if there is one.
pub(super) struct Storage(Option<Running>);

struct Running {
    collector: Collector,
    taps: Taps,
    /// The user's rules as they are now, and where others go.
    rules: Vec<RawUserRule>,
    to_stages: Sender<Vec<RawUserRule>>,
}

impl Storage {
    /// Nobody wants to know of storage events.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Starts it if a plugin wants to know; its events are a source of the loop.
    pub(super) fn start(settings: &Settings, inbox: &mut Inbox) -> Self {
        if tables(settings).next().is_none() {
            return Self::none();
        }
        let (tx, rx) = mpsc::channel(CHANNEL);
        let (to_stages, given) = channel();
        let rules = rules(settings);
        let _ = to_stages.send(rules.clone());
        // It is the kernel's own file: it does not wait for a disk.
        let spawned = boot_id().and_then(|boot| {
            let options = Options {
                state_dir: settings.daemon.state_dir.clone(),
                journalctl: "journalctl".into(),
                boot,
                programs: programs(&rules),
                limits: Limits::default(),
            };
            Collector::spawn(options, move || ToLoop::new(Catalogue::built_in(), tx).with_rules(given))
        });
        match spawned {
            Ok((collector, taps)) => {
                inbox.add_source(rx);
                Self(Some(Running { collector, taps, rules, to_stages }))
            }
            Err(error) => {
                warn!(%error, "storage events are not collected");
                Self::none()
            }
        }
    }

    /// The rules that the settings have count from the next message on. How far the logs were read stays.
    pub(super) fn apply(&mut self, settings: &Settings) {
        let Some(running) = &mut self.0 else { return };
        let rules = rules(settings);
        if rules == running.rules {
            return;
        }
        info!(rules = rules.len(), "other rules for storage events");
        // First the rules: a program that is new is heard with them.
        let _ = running.to_stages.send(rules.clone());
        running.collector.set_programs(programs(&rules));
        running.rules = rules;
    }

    /// Somebody wants to know.
    pub(super) fn is_running(&self) -> bool {
        self.0.is_some()
    }

    /// Where the sources put what they read.
    pub(super) fn taps(&self) -> Option<Taps> {
        self.0.as_ref().map(|running| running.taps.clone())
    }

    /// Saves how far it has come.
    pub(super) async fn finish(&mut self) {
        if let Some(Running { collector, .. }) = self.0.take()
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

/// Whom to listen to: the programs that the catalogue knows, and those of the rules.
fn programs(rules: &[RawUserRule]) -> Vec<String> {
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
        let programs = programs(&rules);
        assert_eq!(programs.iter().filter(|program| *program == "shelfd").count(), 1);
        assert_eq!(programs.len(), PROGRAMS.len() + 1);
    }
}
