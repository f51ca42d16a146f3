//! Rules on storage events and incidents: which fire, and what their handlers are given.

use std::path::PathBuf;
use std::time::Duration;

use reactor_core::action::{Action, ActionKind, Call, HandlerRun};
use reactor_core::core::Core;
use reactor_core::ids::Mono;
use reactor_core::input::{Fact, Input, Record, SourceId};
use reactor_core::settings::umh::{EventConditions, EventMoment, HandlerStdin, Matcher, RateLimit, Rule, When};
use reactor_core::settings::{EventsSettings, Mode, PluginEntry, PluginSettings, Settings, UmhSettings};
use reactor_core::subject::Subject;
use reactor_storage::event::{Event, Severity, Subsystem};
use reactor_storage::pipeline::{Phase, Told};
use reactor_storage::record::Stamp;

use crate::storage_event;
use crate::world::rule;

struct Storage {
    core: Core,
    now: Mono,
    actions: Vec<Action>,
}

impl Storage {
    fn new(rules: &[Rule]) -> Self {
        let umh = UmhSettings { rules: rules.to_vec(), max_parallel: 64, max_queued: 8 };
        let entry = |line, settings| PluginEntry { file: PathBuf::from("test.toml"), line, settings };
        // The rules stand before what they hear of.
        let plugins =
            vec![entry(1, PluginSettings::Umh(umh)), entry(2, PluginSettings::Events(EventsSettings::default()))];
        let mut world = Self { core: Core::new(), now: Mono::ZERO, actions: Vec::new() };
        world.core.configure(world.now, &Settings::of_plugins(Mode::Native, plugins), &mut world.actions);
        world
    }

    fn tell(&mut self, phase: Phase, event: Event) -> Vec<HandlerRun> {
        let fact = Fact::Storage(Box::new(Told { phase, event }));
        let records = vec![Record { subject: Subject::Node, fact }];
        self.core.step(self.now, &Input::Records(SourceId::Storage, records), &mut self.actions);
        self.runs()
    }

    fn pass(&mut self, seconds: u64) -> Vec<HandlerRun> {
        self.now = self.now.after(Duration::from_secs(seconds));
        self.core.step(self.now, &Input::Tick, &mut self.actions);
        self.runs()
    }

    fn runs(&mut self) -> Vec<HandlerRun> {
        let run = |action: Action| match action.kind {
            ActionKind::Call(Call::Handler(run)) => Some(*run),
            _ => None,
        };
        std::mem::take(&mut self.actions).into_iter().filter_map(run).collect()
    }
}

fn event(id: &str, kind: &str, severity: Severity) -> Event {
    Event {
        at: Stamp { wall_us: Some(1_800_000_000_000_000), boot_us: None },
        message: "8:0: $(reboot)\nnow \0".to_owned(),
        ..storage_event::event(id, kind, severity)
    }
}

fn on(conditions: EventConditions) -> Rule {
    rule("x", When::Event(conditions))
}

fn fires(rule: &Rule) -> bool {
    let runs =
        Storage::new(std::slice::from_ref(rule)).tell(Phase::Began, event("aa", "MPATH_PATH_FAILED", Severity::Error));
    assert!(runs.len() <= 1);
    !runs.is_empty()
}

#[test]
fn each_condition_has_to_be_met() {
    let any = EventConditions::default();
    let kind = |kind: &str| Some(Matcher::In(vec![kind.to_owned()]));
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert!(fires(&on(any.clone())));
    for (conditions, expected) in [
        (EventConditions { kind: kind("MPATH_PATH_FAILED"), ..any.clone() }, true),
        (EventConditions { kind: kind("BLK_IO_ERROR"), ..any.clone() }, false),
        (EventConditions { severity: Severity::Error, ..any.clone() }, true),
        (EventConditions { severity: Severity::Critical, ..any.clone() }, false),
        (EventConditions { subsystems: vec![Subsystem::Scsi, Subsystem::Multipath], ..any.clone() }, true),
        (EventConditions { subsystems: vec![Subsystem::Scsi], ..any.clone() }, false),
        (EventConditions { devices: names(&["sdb", "/dev/mapper/mpatha"]), ..any.clone() }, true),
        (EventConditions { devices: names(&["sdb"]), ..any.clone() }, false),
        // Whoever knows all names of devices has looked for it.
        (EventConditions { devices: names(&["/dev/disk/by-id/scsi-3600"]), ..any.clone() }, true),
        (EventConditions { on: EventMoment::Opened, ..any.clone() }, true),
        (EventConditions { on: EventMoment::Grew, ..any.clone() }, false),
        (EventConditions { on: EventMoment::Over, ..any.clone() }, false),
        (EventConditions { on: EventMoment::Opened, kind: kind("BLK_IO_ERROR"), ..any.clone() }, false),
    ] {
        assert_eq!(fires(&on(conditions.clone())), expected, "{conditions:?}");
    }
    for (name, expected) in [("r0", true), ("r1", false)] {
        let resource = Some(Matcher::In(vec![name.to_owned()]));
        assert_eq!(fires(&Rule { resource, ..on(any.clone()) }), expected, "{name}");
    }
}

#[test]
fn an_incident_is_told_when_it_opens_grows_and_is_over_and_an_event_once() {
    let rules = [EventMoment::Event, EventMoment::Opened, EventMoment::Grew, EventMoment::Over].map(|on| Rule {
        name: on.as_str().to_owned(),
        ..self::on(EventConditions { on, ..EventConditions::default() })
    });
    let mut storage = Storage::new(&rules);
    let fired = |runs: Vec<HandlerRun>| runs.into_iter().map(|run| run.rule).collect::<Vec<_>>();
    assert_eq!(
        fired(storage.tell(Phase::Began, event("aa", "MPATH_PATH_FAILED", Severity::Error))),
        ["event", "opened"]
    );
    let more = Event { count: 100, ..event("aa", "MPATH_PATH_FAILED", Severity::Error) };
    assert_eq!(
        fired(storage.tell(Phase::Grew, more.clone())),
        Vec::<String>::new(),
        "it is counted, and no other event"
    );
    assert_eq!(fired(storage.tell(Phase::Ended, more)), Vec::<String>::new());
    assert_eq!(fired(storage.tell(Phase::Began, event("bb", "BLK_IO_ERROR", Severity::Error))), ["event", "grew"]);
    assert_eq!(fired(storage.tell(Phase::Began, event("cc", "MPATH_PATH_REINSTATED", Severity::Notice))), ["event"]);
    assert_eq!(fired(storage.pass(60)), ["over"]);
}

#[test]
fn what_a_log_says_is_data_in_the_environment_and_in_the_document() {
    let env = vec![("MINE".to_owned(), "1".to_owned())];
    let rule = Rule {
        stdin: HandlerStdin::Json,
        env,
        ..on(EventConditions { on: EventMoment::Opened, ..EventConditions::default() })
    };
    let mut long = event("aa", "MPATH_PATH_FAILED", Severity::Error);
    long.message.push_str(&"ä".repeat(10_000));
    let run = Storage::new(&[rule]).tell(Phase::Began, long).remove(0);
    assert_eq!((run.command.as_str(), run.resource.as_str()), ("run x", "r0"), "the command is as it is written");
    let of = |name: &str| run.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    for (name, value) in [
        ("STORAGE_RULE", "x"),
        ("STORAGE_ON", "opened"),
        ("STORAGE_SEVERITY", "error"),
        ("STORAGE_INCIDENT", "aa"),
        ("STORAGE_TYPE", "MPATH_PATH_FAILED"),
        ("STORAGE_SUBSYSTEM", "multipath"),
        ("STORAGE_EVENT_ID", "aa"),
        ("STORAGE_COUNT", "1"),
        ("STORAGE_TIME", "1800000000"),
        ("STORAGE_DEVICE", "sda"),
        ("STORAGE_DEVICE_ID", "naa.5000c500a1b2c3d4"),
        ("STORAGE_DEVICE_KIND", "scsi"),
        ("STORAGE_DEVICE_PATH", "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4"),
        ("STORAGE_ABOVE", "mpatha"),
        ("STORAGE_MOUNTS", "/srv/data"),
        ("STORAGE_RESOURCES", "r0"),
        ("MINE", "1"),
    ] {
        assert_eq!(of(name), Some(value), "{name}");
    }
    let message = of("STORAGE_MESSAGE").unwrap();
    assert!(message.starts_with("8:0: $(reboot) now  ä") && message.len() <= 1000, "{message}");
    assert!(run.env.iter().all(|(_, value)| !value.contains(['\0', '\n'])));
    let document: serde_json::Value = serde_json::from_str(run.document.as_ref().unwrap()).unwrap();
    assert_eq!(document["rule"], "x");
    let storage = &document["storage"];
    assert_eq!((&storage["on"], &storage["incident"]), (&"opened".into(), &"aa".into()));
    assert_eq!((&storage["events"][0]["type"], &storage["resources"][0]), (&"MPATH_PATH_FAILED".into(), &"r0".into()));
    assert_eq!(storage["title"], "MPATH_PATH_FAILED on sda (naa.5000c500a1b2c3d4)");
}

#[test]
fn a_rule_on_storage_has_the_limits_of_every_rule() {
    let limited = Rule {
        rate_limit: Some(RateLimit { count: 2, per: Duration::from_secs(60) }),
        ..on(EventConditions::default())
    };
    let mut storage = Storage::new(&[limited]);
    let started: usize = (0..10)
        .map(|number| storage.tell(Phase::Began, event(&format!("{number}"), "SCSI_X", Severity::Notice)).len())
        .sum();
    assert_eq!(started, 2);
    let serial = Rule { serialize: true, ..on(EventConditions::default()) };
    let mut storage = Storage::new(&[serial]);
    let started: usize = (0..20)
        .map(|number| storage.tell(Phase::Began, event(&format!("{number}"), "SCSI_X", Severity::Notice)).len())
        .sum();
    assert_eq!(started, 1, "the others wait for its end, eight of them");
    let status = storage.core.instances()[0].status();
    let value = |name: &str| status.iter().find(|(known, _)| *known == name).unwrap().1.clone();
    assert_eq!((value("queued").as_str(), value("handlers_dropped").as_str()), ("8", "11"));
}
