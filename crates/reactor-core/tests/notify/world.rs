//! A core with `[[notify]]` tables, and short ways to let something happen.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use reactor_core::action::{Action, ActionKind, Effect};
use reactor_core::core::Core;
use reactor_core::history::Severity as HistorySeverity;
use reactor_core::ids::Mono;
use reactor_core::input::{Dialect, Fact, Input, Record, Said, SourceEvent, SourceId};
use reactor_core::notice::Message;
use reactor_core::plugin::Host;
use reactor_core::settings::notify::{Filter, Receiver};
use reactor_core::settings::{EventsSettings, Mode, NotifySettings, PluginEntry, PluginSettings, Settings};
use reactor_core::subject::Subject;
use reactor_storage::event::{Event, Severity};
use reactor_storage::pipeline::{Phase, Told};

/// One resource with two volumes and two peers, all well.
pub(crate) const DUMP: &str = "\
exists resource name:r0 role:Secondary suspended:no force-io-failures:no may_promote:yes promotion_score:10101
exists connection name:r0 peer-node-id:1 conn-name:n2 connection:Connected role:Secondary congested:no
exists connection name:r0 peer-node-id:2 conn-name:n3 connection:Connected role:Secondary congested:no
exists device name:r0 volume:0 minor:1000 backing_dev:/dev/vg/r0 disk:UpToDate client:no quorum:yes size:1024 open:no
exists device name:r0 volume:1 minor:1001 backing_dev:/dev/vg/r0b disk:UpToDate client:no quorum:yes size:1024 open:no
exists peer-device name:r0 peer-node-id:1 conn-name:n2 volume:0 replication:Established peer-disk:UpToDate peer-client:no resync-suspended:no
exists peer-device name:r0 peer-node-id:2 conn-name:n3 volume:0 replication:Established peer-disk:UpToDate peer-client:no resync-suspended:no
exists -
";

pub(crate) struct World {
    pub(crate) core: Core,
    pub(crate) now: Mono,
    actions: Vec<Action>,
}

/// A table of this name that is told of everything at once.
pub(crate) fn all(name: &str) -> NotifySettings {
    let filter = Filter { severity: Severity::Info, ..Filter::default() };
    NotifySettings { name: name.to_owned(), filter, together: Duration::ZERO, ..NotifySettings::new(Receiver::Journal) }
}

fn entry(line: u32, settings: PluginSettings) -> PluginEntry {
    PluginEntry { file: PathBuf::from("notify.toml"), line, settings }
}

impl World {
    /// A daemon that was just started with these tables, and an `[[events]]` table; its source has said nothing yet.
    pub(crate) fn new(tables: &[NotifySettings]) -> Self {
        let mut world = Self { core: Core::new(), now: Mono::ZERO, actions: Vec::new() };
        world.core.set_host(Host { node: "n1".to_owned(), ..Host::default() });
        world.configure(tables);
        let started = SourceEvent::Started { command: "test".to_owned(), dialect: Some(Dialect::Drbd9) };
        world.step(&Input::Source(SourceId::Drbd, started));
        world
    }

    /// The same after the first dump.
    pub(crate) fn settled(tables: &[NotifySettings]) -> Self {
        let mut world = Self::new(tables);
        world.lines(DUMP);
        assert_eq!(world.told(), Vec::<String>::new(), "what is good is no news");
        world
    }

    pub(crate) fn configure(&mut self, tables: &[NotifySettings]) {
        let mut plugins = vec![entry(1, PluginSettings::Events(EventsSettings::default()))];
        plugins.extend(
            (2..).zip(tables).map(|(line, table)| entry(line, PluginSettings::Notify(Box::new(table.clone())))),
        );
        self.core.configure(self.now, &Settings::of_plugins(Mode::Native, plugins), &mut self.actions);
    }

    pub(crate) fn step(&mut self, input: &Input) {
        self.core.step(self.now, input, &mut self.actions);
    }

    /// Lines of one burst.
    pub(crate) fn lines(&mut self, text: &str) {
        self.step(&Input::Lines(SourceId::Drbd, text.lines().map(|line| format!("{}\n", line.trim())).collect()));
        self.step(&Input::BurstEnd(SourceId::Drbd));
    }

    /// A connection of r0 changes.
    pub(crate) fn connection(&mut self, peer: u32, state: &str) {
        self.lines(&format!(
            "change connection name:r0 peer-node-id:{peer} conn-name:n{} connection:{state} role:Unknown congested:no",
            peer + 1
        ));
    }

    /// A connection of r0 is there again.
    pub(crate) fn connected(&mut self, peer: u32) {
        self.lines(&format!(
            "change connection name:r0 peer-node-id:{peer} conn-name:n{} connection:Connected role:Secondary congested:no",
            peer + 1
        ));
    }

    /// The daemon says something of itself.
    pub(crate) fn say(&mut self, severity: HistorySeverity, what: &str) {
        self.step(&Input::Said(Said { severity, what: what.to_owned(), because: Vec::new() }));
    }

    pub(crate) fn storage(&mut self, phase: Phase, event: Event) {
        let fact = Fact::Storage(Box::new(Told { phase, event }));
        self.step(&Input::Records(SourceId::Storage, vec![Record { subject: Subject::Node, fact }]));
    }

    /// Time goes by, with all that is due on the way.
    pub(crate) fn pass(&mut self, seconds: f64) {
        let end = self.now.after(Duration::from_secs_f64(seconds));
        while let Some(due) = self.core.next_deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.step(&Input::Tick);
        }
        self.now = end;
    }

    /// All that was asked for since the last look.
    pub(crate) fn actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// The messages since the last look.
    pub(crate) fn messages(&mut self) -> Vec<Message> {
        let message = |action: Action| match action.kind {
            ActionKind::Effect(Effect::Notify(message)) => Some(*message),
            _ => None,
        };
        let messages: Vec<Message> = self.actions().into_iter().filter_map(message).collect();
        assert!(messages.iter().all(|message| !message.notices.is_empty() && message.node == "n1"), "{messages:?}");
        messages
    }

    /// The notices since the last look, in one line each.
    pub(crate) fn told(&mut self) -> Vec<String> {
        let lines = |message: Message| {
            let line =
                |notice: &reactor_core::notice::Notice| format!("{} {}: {}", notice.severity, notice.what, notice.text);
            message.notices.iter().map(line).collect::<Vec<_>>()
        };
        self.messages().into_iter().flat_map(lines).collect()
    }

    /// What is to be kept across restarts, as of now, by receiver.
    pub(crate) fn standing(&mut self) -> BTreeMap<String, Vec<String>> {
        let kept = |action: Action| match action.kind {
            ActionKind::Effect(Effect::KeepStanding { receiver, standing }) => Some((receiver, standing)),
            _ => None,
        };
        self.actions().into_iter().filter_map(kept).collect()
    }
}
