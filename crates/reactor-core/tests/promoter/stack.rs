//! Entries with attributes: what is optional, what is started again where it is, what runs on a Secondary, what a node leaves out.

use std::time::Duration;

use reactor_core::input::Input;
use reactor_core::operator::OperatorVerb;
use reactor_core::settings::promoter::{AlwaysOn, Entry, How, OnServiceFailure, PromotedResource, StartEntry};
use reactor_core::systemd::{ActiveState, BusEvent, UnitEnd};

use crate::world::{TARGET, World, app, settings, units};

const STANDBY: &str = "storage-reactor-standby@r0.target";

fn entry(unit: &str, how: How) -> Entry {
    Entry { how, ..StartEntry::Unit(unit.to_owned()).into() }
}

fn with_second(how: How) -> PromotedResource {
    let mut settings = units(&["app.service"]);
    settings.start.push(entry("b.service", how));
    settings
}

fn fails(world: &mut World, unit: &str) {
    world.unit(unit, |state| {
        state.active = ActiveState::Failed;
        state.result = Some("exit-code".to_owned());
    });
}

fn both_run(settings: PromotedResource) -> World {
    let mut world = World::running(settings);
    world.active("b.service", ActiveState::Active);
    world.all();
    world
}

#[test]
fn what_is_optional_may_fail_and_is_shown() {
    for how in [How { optional: true, ..How::default() }, How { monitor: false, ..How::default() }] {
        let is_optional = how.optional;
        let mut world = both_run(with_second(how));
        assert_eq!(world.report().availability.as_str(), "up");
        fails(&mut world, "b.service");
        world.seconds(100);
        assert_eq!(world.said(), [""; 0]);
        let report = world.report();
        assert_eq!((report.state.as_str(), report.failures), ("running", 0));
        assert_eq!(report.warnings, ["b.service has failed: exit-code; the others go on without it"]);
        assert_eq!(report.degraded, ["b.service has failed: exit-code"]);
        // What is optional is apart; what is only not monitored is a part of the service.
        let expected = if is_optional { ("up", "down") } else { ("warn", "undef") };
        assert_eq!((report.availability.as_str(), report.optional.as_str()), expected);
    }
}

#[test]
fn a_restart_of_an_entry_is_no_failure_of_the_resource_until_it_is_used_up() {
    for policy in [OnServiceFailure::Restart, OnServiceFailure::Move, OnServiceFailure::Ignore] {
        let how = How { restart: 2, restart_delay: Duration::from_secs(5), ..How::default() };
        let mut world = both_run(PromotedResource { on_service_failure: policy, ..with_second(how) });
        for left in [1, 0] {
            fails(&mut world, "b.service");
            assert!(
                world.state().starts_with("starting: b.service has failed: exit-code; restart = 2"),
                "{}",
                world.state()
            );
            assert_eq!(world.report().units[1].restarts_left, Some(left));
            world.seconds(4);
            assert!(!world.said().contains(&format!("start {TARGET}")), "its delay");
            world.seconds(1);
            let all = world.all();
            assert!(all.contains(&"reset-failed b.service".to_owned()), "{all:?}");
            assert!(all.contains(&format!("start {TARGET}")), "{all:?}");
            world.active("b.service", ActiveState::Active);
            world.done("start", UnitEnd::Done);
            world.seconds(61);
            assert_eq!((world.report().failures, world.report().state.as_str()), (0, "running"));
        }
        world.all();
        fails(&mut world, "b.service");
        assert_eq!(world.report().failures, 1, "{policy:?}");
        if policy == OnServiceFailure::Move {
            assert!(world.all().contains(&format!("stop {TARGET}")));
        }
    }
}

/// systemd may tell the state of before and the state of after as one.
#[test]
fn what_fails_in_its_restart_is_counted_though_nobody_saw_it_come_up() {
    let how = How { restart: 1, restart_delay: Duration::from_secs(0), ..How::default() };
    let mut world = both_run(PromotedResource { on_service_failure: OnServiceFailure::Move, ..with_second(how) });
    fails(&mut world, "b.service");
    assert!(world.all().contains(&format!("start {TARGET}")));
    world.done("start", UnitEnd::Job("failed".to_owned()));
    world.seconds(4);
    assert_eq!(world.report().failures, 0);
    world.seconds(1);
    assert_eq!(world.report().failures, 1);
    assert!(world.all().contains(&format!("stop {TARGET}")));
}

/// Nothing is asked for twice at once, and who waits is not woken again and again meanwhile.
#[test]
fn what_fails_while_another_is_started_again_waits_for_the_end_of_that() {
    let how = How { restart: 1, restart_delay: Duration::from_secs(1), ..How::default() };
    let mut settings = with_second(how.clone());
    settings.start.push(entry("c.service", how));
    let mut world = World::running(settings);
    world.active("b.service", ActiveState::Active);
    world.active("c.service", ActiveState::Active);
    world.all();
    fails(&mut world, "b.service");
    world.seconds(1);
    assert!(world.all().contains(&format!("start {TARGET}")));
    world.active("b.service", ActiveState::Activating);
    fails(&mut world, "c.service");
    world.seconds(20);
    assert!(!world.all().contains(&format!("start {TARGET}")), "one is under way");
    world.active("b.service", ActiveState::Active);
    world.done("start", UnitEnd::Done);
    assert!(world.all().contains(&format!("start {TARGET}")));
    assert!(world.why(&format!("start {TARGET}")).starts_with("c.service has failed: exit-code; restart = 1"));
    assert_eq!(world.report().failures, 0);
}

#[test]
fn an_optional_entry_is_started_again_too_and_then_it_stays_down() {
    let how = How { optional: true, restart: 1, restart_delay: Duration::from_secs(3), ..How::default() };
    let mut world = both_run(with_second(how));
    fails(&mut world, "b.service");
    assert_eq!(world.report().state.as_str(), "running", "the others run");
    world.seconds(3);
    assert!(world.all().contains(&format!("start {TARGET}")));
    world.active("b.service", ActiveState::Active);
    world.done("start", UnitEnd::Done);
    world.seconds(20);
    world.all();
    fails(&mut world, "b.service");
    world.seconds(200);
    assert_eq!((world.said(), world.report().failures), (vec![], 0));
}

#[test]
fn nothing_is_started_again_while_a_person_holds_it() {
    let how = How { restart: 2, ..How::default() };
    let mut world = both_run(with_second(how));
    world.operator(OperatorVerb::Hold { why: "disks".to_owned() });
    world.all();
    fails(&mut world, "b.service");
    world.seconds(60);
    assert!(!world.all().contains(&format!("start {TARGET}")));
}

#[test]
fn what_was_held_before_it_was_started_again_has_used_up_nothing() {
    let how = How { restart: 1, restart_delay: Duration::from_secs(5), ..How::default() };
    let mut world = both_run(PromotedResource { on_service_failure: OnServiceFailure::Move, ..with_second(how) });
    fails(&mut world, "b.service");
    world.seconds(1);
    world.operator(OperatorVerb::Hold { why: "disks".to_owned() });
    world.seconds(60);
    world.operator(OperatorVerb::Release);
    assert_eq!(world.report().failures, 0);
    world.all();
    world.seconds(6);
    assert!(world.all().contains(&format!("start {TARGET}")));
    assert_eq!(world.report().failures, 0);
}

fn with_standby() -> PromotedResource {
    PromotedResource { standby: vec![entry("reader.service", How::default())], ..app() }
}

/// r0 is Secondary, and may not be promoted: another node has it.
fn secondary(settings: PromotedResource) -> World {
    let mut world = World::new(settings);
    world.dump("no");
    world
}

#[test]
fn what_is_for_a_secondary_runs_there_and_goes_before_the_promotion() {
    let mut world = secondary(with_standby());
    assert_eq!(world.report().availability.as_str(), "warn", "DRBD is as it should be, the service is not");
    assert!(world.all().contains(&format!("start {STANDBY}")));
    world.active(STANDBY, ActiveState::Active);
    world.active("reader.service", ActiveState::Active);
    world.done("start", UnitEnd::Done);
    world.seconds(60);
    assert_eq!(world.said(), [""; 0]);
    assert_eq!(world.report().availability.as_str(), "stdby up");
    // The other node is gone.
    world.resource("Secondary", "yes");
    world.seconds(10);
    let all = world.all();
    assert!(all.contains(&format!("start {TARGET}")), "systemd stops what conflicts: {all:?}");
    assert!(all.contains(&format!("stop {STANDBY}")), "{all:?}");
    world.comes_up();
    world.active("reader.service", ActiveState::Inactive);
    world.active(STANDBY, ActiveState::Inactive);
    let report = world.report();
    assert_eq!((report.availability.as_str(), report.standby[0].availability.as_str()), ("up", "n/a"));
}

/// Nothing would stop it before a promotion any more.
#[test]
fn what_is_taken_out_of_the_list_is_stopped() {
    let mut world = secondary(with_standby());
    world.active(STANDBY, ActiveState::Active);
    world.active("reader.service", ActiveState::Active);
    world.done("start", UnitEnd::Done);
    world.all();
    world.configure(&settings(&[("r0", app())]));
    let all = world.all();
    assert!(all.contains(&"stop reader.service".to_owned()), "{all:?}");
    // What has become one of the services is theirs.
    let mut world = secondary(with_standby());
    world.all();
    world.configure(&settings(&[("r0", units(&["app.service", "reader.service"]))]));
    assert!(!world.all().contains(&"stop reader.service".to_owned()));
}

#[test]
fn where_it_starts_at_once_nothing_is_started_for_a_secondary() {
    let mut world = World::new(with_standby());
    world.dump("yes");
    world.seconds(10);
    let all = world.all();
    assert!(all.contains(&format!("start {TARGET}")), "{all:?}");
    assert!(!all.contains(&format!("start {STANDBY}")), "{all:?}");
}

#[test]
fn what_fails_on_a_secondary_is_shown_and_tried_again_and_keeps_nobody_from_anything() {
    let mut world = secondary(with_standby());
    world.all();
    fails(&mut world, "reader.service");
    world.active(STANDBY, ActiveState::Active);
    world.done("start", UnitEnd::Done);
    assert_eq!(world.report().degraded, ["standby: reader.service has failed: exit-code"]);
    assert!(!world.all().contains(&format!("start {STANDBY}")), "a pause");
    world.seconds(2);
    assert!(world.all().contains(&format!("start {STANDBY}")));
    world.resource("Secondary", "yes");
    world.seconds(5);
    assert!(world.all().contains(&format!("start {TARGET}")));
    assert_eq!(world.report().failures, 0);
}

#[test]
fn what_cannot_be_stopped_for_the_services_is_stopped_again_after_pauses() {
    let mut world = secondary(with_standby());
    world.active(STANDBY, ActiveState::Active);
    world.active("reader.service", ActiveState::Active);
    world.done("start", UnitEnd::Done);
    world.operator(OperatorVerb::Stop { why: "disks".to_owned() });
    let stop = format!("stop {STANDBY}");
    assert!(world.all().contains(&stop));
    for pause in [2, 4, 8] {
        // systemd's news come after its outcome, or it could not do it.
        let end = if pause == 2 { UnitEnd::Done } else { UnitEnd::Job("failed".to_owned()) };
        world.done("stop", end);
        world.seconds(pause - 1);
        assert!(!world.all().contains(&stop), "before {pause} s");
        world.seconds(1);
        assert!(world.all().contains(&stop), "after {pause} s");
    }
}

#[test]
fn nothing_of_a_secondary_is_started_while_nobody_knows_whether_the_services_run() {
    for late in [TARGET, "drbd-promote@r0.service"] {
        let mut world = secondary(with_standby());
        world.done("start", UnitEnd::Done);
        world.step(&Input::Bus(BusEvent::Down { why: "gone".to_owned() }));
        world.all();
        world.bus_up_but(&[late]);
        world.seconds(60);
        assert!(!world.all().contains(&format!("start {STANDBY}")), "{late}");
        world.bus_up();
        world.seconds(2);
        assert!(world.all().contains(&format!("start {STANDBY}")), "{late}");
    }
}

/// Nothing may happen on such a node for minutes.
#[test]
fn what_has_run_long_enough_on_a_secondary_is_tried_again_soon_also_if_nobody_looked_meanwhile() {
    let mut world = secondary(with_standby());
    world.all();
    world.active(STANDBY, ActiveState::Active);
    for pause in [2, 4, 8, 16] {
        fails(&mut world, "reader.service");
        world.done("start", UnitEnd::Done);
        world.seconds(pause);
        assert!(world.all().contains(&format!("start {STANDBY}")), "after {pause} s");
    }
    world.active("reader.service", ActiveState::Active);
    world.done("start", UnitEnd::Done);
    world.seconds(100);
    fails(&mut world, "reader.service");
    world.all();
    world.seconds(2);
    assert!(world.all().contains(&format!("start {STANDBY}")));
}

#[test]
fn a_node_without_reader_leaves_it_out_and_says_so() {
    let how = How { disabled_on: vec!["n1".to_owned()], ..How::default() };
    let mut world = World::running(with_second(how));
    let report = world.report();
    assert_eq!((report.units.len(), report.left_out.len()), (1, 1));
    assert_eq!(report.left_out[0].availability.as_str(), "n/a");
    assert_eq!(report.availability.as_str(), "up");
    fails(&mut world, "b.service");
    assert_eq!(world.report().failures, 0);
}

#[test]
fn drbd_is_brought_up_where_it_is_always_on() {
    let adjusts = |nodes: &[&str]| {
        let always_on = AlwaysOn::On(nodes.iter().map(|node| (*node).to_owned()).collect());
        let mut world = World::new(PromotedResource { always_on, ..app() });
        world.dump("no");
        world.all().iter().any(|said| said.starts_with("adjust"))
    };
    assert!(adjusts(&["n1", "n2"]));
    assert!(!adjusts(&["n2", "n3"]));
}
