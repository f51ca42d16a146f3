//! `[[no-primary]]`: what is said of resources that are Primary nowhere, and when.

use std::path::PathBuf;
use std::time::Duration;

use reactor_core::action::{ActionKind, Effect};
use reactor_core::core::Core;
use reactor_core::ids::Mono;
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};
use reactor_core::settings::umh::{Matcher, Pattern};
use reactor_core::settings::{Mode, NoPrimarySettings, PluginEntry, PluginSettings, Settings};

struct World {
    core: Core,
    now: Mono,
    said: Vec<String>,
}

fn settings(of: Option<&str>, after: u64) -> Settings {
    let resource = of.map(|text| Matcher::Matches(Pattern(regex::Regex::new(text).expect("the test has a good one"))));
    let settings = PluginSettings::NoPrimary(NoPrimarySettings { resource, after: Duration::from_secs(after) });
    Settings::of_plugins(Mode::Native, vec![PluginEntry { file: PathBuf::from("a.toml"), line: 1, settings }])
}

impl World {
    fn new(of: Option<&str>) -> Self {
        let mut core = Core::new();
        core.configure(Mono::ZERO, &settings(of, 60), &mut Vec::new());
        Self { core, now: Mono::ZERO, said: Vec::new() }
    }

    fn step(&mut self, input: &Input) {
        let mut actions = Vec::new();
        self.core.step(self.now, input, &mut actions);
        for action in actions {
            let ActionKind::Effect(Effect::Note { text, .. }) = action.kind else { panic!("{:?}", action.kind) };
            assert!(!action.because.is_empty());
            self.said.push(text);
        }
    }

    fn lines(&mut self, text: &str) {
        let text: String = text.lines().map(|line| format!("{}\n", line.trim())).collect();
        self.step(&Input::Lines(SourceId::Drbd, text));
    }

    fn burst(&mut self, text: &str) {
        self.lines(text);
        self.step(&Input::BurstEnd(SourceId::Drbd));
    }

    fn dump(&mut self, text: &str) {
        let started = SourceEvent::Started { command: "test".to_owned(), dialect: Some(Dialect::Drbd9) };
        self.step(&Input::Source(SourceId::Drbd, started));
        self.burst(&format!("{text}\nexists -"));
    }

    /// Lets time pass, with a step at each deadline.
    fn pass(&mut self, seconds: u64) -> Vec<String> {
        let end = self.now.after(Duration::from_secs(seconds));
        while let Some(due) = self.core.next_deadline().filter(|due| *due <= end) {
            assert!(due > self.now, "a deadline that has come does not come again");
            self.now = due;
            self.step(&Input::Tick);
        }
        self.now = end;
        std::mem::take(&mut self.said)
    }

    fn status(&self) -> String {
        self.core.instances()[0].status().into_iter().map(|(name, value)| format!("{name}: {value}; ")).collect()
    }
}

const NOWHERE: &str = "exists resource name:r0 role:Secondary may_promote:yes
    exists connection name:r0 peer-node-id:1 conn-name:n2 connection:Connected role:Secondary";

#[test]
fn what_is_primary_nowhere_for_long_enough_is_said_once_and_once_when_it_is_over() {
    let mut world = World::new(None);
    world.dump(NOWHERE);
    assert_eq!(world.pass(59), Vec::<String>::new());
    assert_eq!(world.pass(1), ["r0 could be promoted here, and has been Primary nowhere for 60 s"]);
    assert_eq!(world.status(), "resources: 1; without a Primary: r0; ");
    assert_eq!(world.core.instances()[0].counters()[0].value, 1);
    assert_eq!(world.pass(3600), Vec::<String>::new(), "once");
    world.burst("change connection name:r0 peer-node-id:1 role:Primary");
    assert_eq!(world.pass(0), ["r0 no longer waits for a Primary, after 3660 s: a peer is Primary"]);
    assert_eq!(world.status(), "resources: 0; without a Primary: none; ");
    // It begins anew, and ends before it is said.
    world.burst("change connection name:r0 peer-node-id:1 role:Secondary");
    assert_eq!(world.pass(59), Vec::<String>::new());
    world.burst("change resource name:r0 role:Primary may_promote:no");
    assert_eq!(world.pass(600), Vec::<String>::new());
    assert_eq!(world.core.next_deadline(), None);
}

#[test]
fn nothing_is_said_by_an_old_snapshot_or_within_a_burst() {
    let mut world = World::new(None);
    world.dump(NOWHERE);
    world.pass(59);
    world.step(&Input::Source(SourceId::Drbd, SourceEvent::Ended { why: "killed".to_owned() }));
    assert_eq!(world.pass(3600), Vec::<String>::new(), "nobody knows");
    // It is the same after the dump: nobody knows what was between, so the time begins anew.
    world.dump(NOWHERE);
    assert_eq!(world.pass(59), Vec::<String>::new());
    // The first line of a burst that makes the peer Primary: due within it.
    world.lines("change resource name:r0 may_promote:yes promotion_score:1");
    world.pass(1);
    world.lines("change connection name:r0 peer-node-id:1 role:Primary");
    world.step(&Input::BurstEnd(SourceId::Drbd));
    assert_eq!(world.pass(3600), Vec::<String>::new());
    // What was said stays said while the source is down, and is over when that is known.
    world.burst("change connection name:r0 peer-node-id:1 role:Secondary");
    assert_eq!(world.pass(60).len(), 1);
    world.step(&Input::Source(SourceId::Drbd, SourceEvent::Ended { why: "killed".to_owned() }));
    world.dump(NOWHERE);
    assert_eq!(world.pass(600), Vec::<String>::new());
    world.step(&Input::Source(SourceId::Drbd, SourceEvent::Ended { why: "killed".to_owned() }));
    world.dump("exists resource name:r1 role:Secondary may_promote:no");
    assert_eq!(world.pass(0), ["r0 no longer waits for a Primary, after 660 s: it is no longer there"]);
    assert_eq!(world.core.instances()[0].counters(), []);
}

#[test]
fn a_table_is_about_the_resources_that_it_names_and_takes_new_settings() {
    let mut world = World::new(Some("^a"));
    world.dump(NOWHERE);
    assert_eq!(world.pass(600), Vec::<String>::new());
    let mut actions = Vec::new();
    let report = world.core.configure(world.now, &settings(None, 30), &mut actions);
    assert_eq!((report.changed.len(), actions.len()), (1, 0));
    assert_eq!(world.pass(30), ["r0 could be promoted here, and has been Primary nowhere for 30 s"]);
    // A shorter time counts from when it began, and nothing is said twice.
    world.core.configure(world.now, &settings(None, 10), &mut actions);
    assert_eq!((world.pass(600), actions.len()), (Vec::new(), 0));
}
