//! Storage events and incidents.

use std::path::PathBuf;
use std::sync::Arc;

use reactor_core::action::{ActionKind, Effect};
use reactor_core::ids::Mono;
use reactor_core::input::{Boot, Input};
use reactor_core::notice::Topic;
use reactor_core::settings::notify::Filter;
use reactor_core::settings::{EventsSettings, Mode, NotifySettings, PluginEntry, PluginSettings, Settings};
use reactor_storage::event::{Severity, Subsystem};
use reactor_storage::incidents::Incident;
use reactor_storage::pipeline::Phase;

use crate::storage_event::event;
use crate::world::{World, all};

fn with(filter: Filter) -> NotifySettings {
    NotifySettings { filter, ..all("x") }
}

fn fail(world: &mut World) {
    world.storage(Phase::Began, event("aa", "MPATH_PATH_FAILED", Severity::Error));
}

#[test]
fn an_incident_is_told_when_it_opens_reaches_more_and_is_over() {
    let mut world = World::settled(&[with(Filter::default())]);
    fail(&mut world);
    let messages = world.messages();
    let notice = &messages[0].notices[0];
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert_eq!(
        (notice.topic, notice.what.as_str(), notice.severity, notice.incident.as_deref()),
        (Topic::Incident, "opened", Severity::Error, Some("aa"))
    );
    assert_eq!((&notice.resources[..], notice.event.as_ref().unwrap().id.as_str()), (&["r0".to_owned()][..], "aa"));
    // The same again and again is no news, something else of the same cause is.
    let mut grown = event("aa", "MPATH_PATH_FAILED", Severity::Error);
    grown.count = 1000;
    world.storage(Phase::Grew, grown);
    assert_eq!(world.told(), Vec::<String>::new());
    world.storage(Phase::Began, event("bb", "BLK_IO_ERROR", Severity::Error));
    let told = world.told();
    assert!(told.len() == 1 && told[0].starts_with("error grew: storage incident aa reaches sda"), "{told:?}");
    world.storage(Phase::Began, event("cc", "MPATH_PATH_REINSTATED", Severity::Notice));
    world.pass(60.0);
    assert_eq!(world.told(), ["notice over: storage incident aa is over: all that was wrong has been put right"]);
}

#[test]
fn an_end_is_told_to_those_who_want_only_what_is_critical_if_it_was() {
    for (severity, told) in [(Severity::Error, 0), (Severity::Critical, 2)] {
        let mut world = World::settled(&[with(Filter { severity: Severity::Critical, ..Filter::default() })]);
        world.storage(Phase::Began, event("aa", "MPATH_PATH_FAILED", severity));
        world.storage(Phase::Began, event("cc", "MPATH_PATH_REINSTATED", Severity::Notice));
        world.pass(60.0);
        assert_eq!(world.told().len(), told);
    }
}

#[test]
fn single_events_are_told_to_those_who_ask_for_them() {
    let what = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    for (filter, expected) in [
        (Filter { topics: vec![Topic::Event], ..Filter::default() }, 1),
        (Filter { severity: Severity::Info, what: what(&["MPATH_*"]), ..Filter::default() }, 2),
        (Filter { severity: Severity::Info, what: what(&["SCSI_*"]), ..Filter::default() }, 0),
        (Filter { topics: vec![Topic::Drbd, Topic::Promoter], ..Filter::default() }, 0),
    ] {
        let mut world = World::settled(&[with(filter.clone())]);
        fail(&mut world);
        world.storage(Phase::Ended, event("aa", "MPATH_PATH_FAILED", Severity::Error));
        world.storage(Phase::Began, event("cc", "MPATH_PATH_REINSTATED", Severity::Notice));
        let told = world.told();
        assert_eq!(told.len(), expected, "{filter:?}: {told:?}");
        if expected > 0 {
            assert_eq!(told[0], "error MPATH_PATH_FAILED: sda (naa.5000c500a1b2c3d4): the line of MPATH_PATH_FAILED");
        }
    }
}

#[test]
fn a_device_is_meant_by_each_of_its_names_and_by_what_is_above_it() {
    let of = |devices: &[&str], resources: &[&str], subsystems: &[Subsystem]| {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let (devices, resources, subsystems) = (owned(devices), owned(resources), subsystems.to_vec());
        let mut world = World::settled(&[with(Filter { devices, resources, subsystems, ..Filter::default() })]);
        fail(&mut world);
        world.told().len()
    };
    for name in [
        "sda",
        "/dev/sda",
        "naa.5000c500a1b2c3d4",
        "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4",
        "0:0:0:1",
        "mpatha",
        "/dev/mapper/mpatha",
        "mpath-3600",
        "/srv/data",
        "r0/0",
        "r0",
        // Whoever knows all names of devices has looked for it.
        "/dev/disk/by-id/scsi-3600",
    ] {
        assert_eq!(of(&[name], &[], &[]), 1, "{name}");
        assert_eq!(of(&["sdz", name], &["r*"], &[Subsystem::Scsi, Subsystem::Multipath]), 1, "{name}");
    }
    assert_eq!(of(&["sdb"], &[], &[]), 0);
    assert_eq!(of(&["sd"], &[], &[]), 0);
    assert_eq!(of(&[], &["r1", "r00"], &[]), 0);
    assert_eq!(of(&[], &[], &[Subsystem::Scsi]), 0);
}

#[test]
fn what_was_open_before_a_restart_is_not_told_again_and_that_it_is_over_is() {
    let mut before = World::settled(&[all("x")]);
    fail(&mut before);
    let is_kept = |kind: ActionKind| match kind {
        ActionKind::Effect(Effect::KeepIncidents(open)) => Some(open),
        _ => None,
    };
    let open: Vec<Arc<Incident>> =
        before.actions().into_iter().filter_map(|action| is_kept(action.kind)).next_back().expect("it is kept");
    let mut world = World::settled(&[with(Filter::default())]);
    world.step(&Input::Incidents(open, Boot::This));
    world.pass(10.0);
    assert_eq!(world.told(), Vec::<String>::new());
    world.storage(Phase::Began, event("cc", "MPATH_PATH_REINSTATED", Severity::Notice));
    world.pass(60.0);
    assert_eq!(world.told().len(), 1);
}

#[test]
fn with_two_tables_of_storage_events_each_thing_is_told_once() {
    let mut world = World::settled(&[]);
    let entry = |line, settings| PluginEntry { file: PathBuf::from("all.toml"), line, settings };
    let settings = Settings::of_plugins(
        Mode::Native,
        vec![
            entry(1, PluginSettings::Events(EventsSettings::default())),
            entry(2, PluginSettings::Events(EventsSettings { journal: false, ..EventsSettings::default() })),
            entry(
                3,
                PluginSettings::Notify(Box::new(with(Filter {
                    severity: Severity::Info,
                    topics: Topic::ALL.to_vec(),
                    ..Filter::default()
                }))),
            ),
        ],
    );
    world.core.configure(Mono::ZERO, &settings, &mut Vec::new());
    fail(&mut world);
    let told = world.told();
    assert_eq!(told.len(), 2, "the event and the incident: {told:?}");
}
