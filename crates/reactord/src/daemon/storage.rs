//! Who collects storage events, from the first time on that there is an `[[events]]` table, and who keeps the incidents across restarts.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use reactor_core::core::Core;
use reactor_core::input::{Input, SourceId};
use reactor_core::model::Node;
use reactor_core::plugin::promoter::units;
use reactor_core::settings::promoter::{Runner, StartEntry};
use reactor_core::settings::{EventsSettings, PluginSettings, Settings};
use reactor_storage::catalogue::{Catalogue, RawUserRule};
use reactor_storage::incidents::Incident;
use reactor_sys::storage::blocks::LiveBlocks;
use reactor_sys::storage::events::{CHANNEL, PROGRAMS, ToLoop};
use reactor_sys::storage::incidents::Keeper;
use reactor_sys::storage::{Collector, Known, Limits, Options, Taps, boot_id};
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
    /// Inputs of the collector that the core has had.
    taken: u64,
    /// What came of so many was kept.
    reached: u64,
    /// What was open before is known.
    is_open: bool,
    /// Whom it listens to in the journal.
    programs: Vec<String>,
    /// What block devices there are.
    blocks: LiveBlocks,
    /// The user's rules as they are now.
    rules: Vec<RawUserRule>,
    /// Who uses which device, as it is now.
    users: Vec<(String, String)>,
    /// DRBD's resources as they were told of: how many, and the latest change of one.
    drbd: (usize, u64),
    /// Where the stages hear of these.
    known: Known,
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

    /// DRBD's resources may be others, or on other disks. It costs a look at each, and a reference count if one has changed.
    pub(super) fn tell_drbd(&mut self, node: &Node) {
        let Some(running) = &mut self.0 else { return };
        let shapes = || node.resources().map(|resource| resource.shape);
        let now = (shapes().count(), shapes().max().unwrap_or(0));
        if std::mem::replace(&mut running.drbd, now) != now {
            running.known.set_drbd(node.snapshot());
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

    /// After a step: how far what came of the collector's events outlives the daemon.
    pub(super) fn stepped(&mut self, input: &Input, core: &Core) {
        let Some(running) = &mut self.0 else { return };
        match input {
            Input::Records(SourceId::Storage, _) => running.taken += 1,
            // What was kept before nobody has written.
            Input::Incidents(..) => (running.is_open, running.reached) = (true, 0),
            _ => {}
        }
        if running.is_open && running.reached != running.taken && !core.has_unkept_incidents() {
            running.reached = running.taken;
            running.keeper.reached(running.taken);
        }
    }

    /// Where the sources put what they read.
    pub(super) fn taps(&self) -> Option<Taps> {
        self.0.as_ref().map(|running| running.taps.clone())
    }

    /// What block devices there are, if that is known, and who uses them.
    pub(super) fn blocks(&self, settings: &Settings) -> (Option<LiveBlocks>, Vec<(String, String)>) {
        match &self.0 {
            Some(running) => (Some(running.blocks.clone()), running.users.clone()),
            None => (None, users(settings)),
        }
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
        let known = Known::default();
        let (rules, users) = (rules(settings), users(settings));
        known.set_rules(rules.clone());
        known.set_users(users.clone());
        known.set_names(settings.device_names());
        let programs = programs(settings, &rules);
        let options = Options {
            state_dir: state_dir.clone(),
            journal: reads_journal(settings),
            journalctl: "journalctl".into(),
            boot,
            programs: programs.clone(),
            limits: Limits::default(),
        };
        let (knows, kept, blocks) = (known.clone(), keeper.kept(), LiveBlocks::default());
        let live = blocks.clone();
        let stages =
            move || ToLoop::new(Catalogue::built_in(), tx).with_known(knows).until_kept(kept).with_blocks(live);
        let (collector, taps) = Collector::spawn(options, stages)?;
        let (taken, reached, is_open, drbd) = (0, 0, false, (0, 0));
        Ok((
            Self { collector, taps, keeper, taken, reached, is_open, programs, blocks, rules, users, drbd, known },
            open,
            events,
        ))
    }

    fn apply(&mut self, settings: &Settings) {
        let rules = rules(settings);
        let programs = programs(settings, &rules);
        if rules != self.rules {
            info!(rules = rules.len(), "other rules for storage events");
            // First the rules: a program that is new is heard with them.
            self.known.set_rules(rules.clone());
            self.rules = rules;
        }
        let users = users(settings);
        if users != self.users {
            self.known.set_users(users.clone());
            self.users = users;
        }
        self.known.set_names(settings.device_names());
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

/// Who uses which device: a promoter's units the resource, and the devices and folders that the agents among them are told of.
fn users(settings: &Settings) -> Vec<(String, String)> {
    let promoters = settings.plugins.iter().filter_map(|entry| match &entry.settings {
        PluginSettings::Promoter(promoter) => Some(promoter),
        _ => None,
    });
    let mut users = Vec::new();
    for (resource, promoted) in promoters.flat_map(|promoter| &promoter.resources) {
        let mut uses = |device: &str, unit: &str| users.push((device.to_owned(), unit.to_owned()));
        uses(resource.as_str(), units::target(resource).as_str());
        // What the shell runner starts are commands.
        for entry in promoted.start.iter().filter(|_| promoted.runner == Runner::Systemd) {
            let unit = units::unit_of(resource, &entry.what);
            uses(resource.as_str(), unit.as_str());
            if let StartEntry::Ocf { parameters, .. } = &entry.what {
                let paths = parameters.iter().filter(|(key, _)| matches!(key.as_str(), "device" | "directory"));
                paths.for_each(|(_, path)| uses(path, unit.as_str()));
            }
        }
    }
    users
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
    fn what_a_promoter_starts_uses_its_resource_and_what_its_agents_are_told_of() {
        let text = "[[promoter]]\n[promoter.resources.r0]\nstart = [\"ocf:heartbeat:Filesystem fs device=/dev/drbd1000 \
                    directory=/srv fstype=xfs\", \"pg.service\"]\n[promoter.resources.r1]\nrunner = \"shell\"\nstart = [\"/bin/true x\"]\n";
        let (settings, findings) = reactor_config::parse_text(Path::new("a.toml"), text, Mode::Native);
        assert!(findings.iter().all(|finding| finding.severity != reactor_config::Severity::Error), "{findings:?}");
        let users = users(&settings);
        let users: Vec<(&str, &str)> = users.iter().map(|(device, unit)| (device.as_str(), unit.as_str())).collect();
        let expect = [
            ("r0", "drbd-services@r0.target"),
            ("r0", "ocf.rs@fs_r0.service"),
            ("/dev/drbd1000", "ocf.rs@fs_r0.service"),
            ("/srv", "ocf.rs@fs_r0.service"),
            ("r0", "pg.service"),
            ("r1", "drbd-services@r1.target"),
        ];
        assert_eq!(users, expect);
    }

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
