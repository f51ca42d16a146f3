//! `runner = "shell"`.

use reactor_core::input::Input;
use reactor_core::operator::OperatorVerb;
use reactor_core::settings::promoter::{PromotedResource, Runner};

use crate::world::{World, device, units};

fn shell() -> PromotedResource {
    PromotedResource { runner: Runner::Shell, ..units(&["drbdadm primary r0", "start-app"]) }
}

/// r0 runs here.
fn running(settings: PromotedResource) -> World {
    let mut world = World::new(settings);
    world.dump("yes");
    world.ran("run drbdadm primary r0", 0);
    world.resource("Primary", "no");
    world.ran("run start-app", 0);
    world.all();
    world
}

#[test]
fn commands_run_one_after_the_other() {
    let mut world = World::new(shell());
    world.dump("yes");
    assert_eq!(world.said(), ["adjust r0", "run drbdadm primary r0"]);
    world.ran("run drbdadm primary r0", 0);
    world.resource("Primary", "no");
    assert_eq!(world.said(), ["run start-app"]);
    world.ran("run start-app", 0);
    assert_eq!(world.state(), "running: its services run here");
}

#[test]
fn no_stop_commands_means_start_reversed() {
    let mut world = running(shell());
    world.burst(&device("r0", 0, "UpToDate", "no"));
    assert_eq!(world.said(), ["run start-app"]);
    world.ran("run start-app", 0);
    assert_eq!(world.said(), ["run drbdadm primary r0"]);
}

#[test]
fn a_stop_command_that_fails_does_not_end_the_stop() {
    let stop = vec!["stop-app".to_owned(), "drbdadm secondary r0".to_owned()];
    let mut world = running(PromotedResource { stop, ..shell() });
    world.burst(&device("r0", 0, "UpToDate", "no"));
    world.ran("run stop-app", 1);
    assert_eq!(world.said(), ["run stop-app", "run drbdadm secondary r0"]);
}

#[test]
fn a_start_command_that_fails_ends_the_start_and_what_ran_is_stopped() {
    let stop = vec!["stop-app".to_owned()];
    let mut world = World::new(PromotedResource { stop, ..shell() });
    world.dump("yes");
    world.ran("run drbdadm primary r0", 0);
    world.resource("Primary", "no");
    world.said();
    world.ran("run start-app", 3);
    assert_eq!(world.said(), ["run stop-app"]);
    assert_eq!(world.report().failures, 1);
}

#[test]
fn quorum_lost_in_the_middle_of_a_start_stops_after_the_command() {
    let stop = vec!["stop-app".to_owned()];
    let mut world = World::new(PromotedResource { stop, ..shell() });
    world.dump("yes");
    world.ran("run drbdadm primary r0", 0);
    world.burst(&(crate::world::resource("change", "r0", "Primary", "no") + &device("r0", 0, "UpToDate", "no")));
    world.said();
    world.ran("run start-app", 0);
    assert_eq!(world.said(), ["run stop-app"]);
}

#[test]
fn stops_on_exit_without_systemd() {
    let stop = vec!["stop-app".to_owned()];
    let mut world = running(PromotedResource { stop, stop_services_on_exit: true, ..shell() });
    world.step(&Input::Exit);
    assert_eq!(world.all(), ["run stop-app"]);
}

#[test]
fn a_restart_of_the_daemon_runs_no_command() {
    let mut world = World::new(shell());
    world.source(reactor_core::input::Dialect::Drbd9);
    world.burst(&(crate::world::picture("exists", "r0", "Primary", "no") + "exists -\n"));
    world.seconds(600);
    assert_eq!(world.said(), ["adjust r0"]);
    assert_eq!(world.state(), "running: its services run here");
}

/// The stop commands that were run, which all end at once, while time passes.
fn stops_within(world: &mut World, seconds: u64, code: i32) -> usize {
    let mut count = 0;
    for _ in 0..seconds {
        loop {
            let said = world.said();
            if said.is_empty() {
                break;
            }
            assert!(said.iter().all(|text| text == "run stop-app"), "{said:?}");
            count += said.len();
            assert!(count < 1000, "a hot loop");
            world.ran("run stop-app", code);
        }
        world.seconds(1);
        // News without news: DRBD says the same once more.
        world.burst(&crate::world::connection("r0", 1, "Connected", "Secondary"));
    }
    count
}

fn warned(world: &World) -> usize {
    let warns = |action: &&reactor_core::action::Action| matches!(&action.kind, reactor_core::action::ActionKind::Effect(reactor_core::action::Effect::Note { text, .. }) if text.contains("stop command"));
    world.actions.iter().filter(warns).count()
}

#[test]
fn who_stays_primary_is_stopped_once_and_then_with_back_off() {
    for code in [0, 1] {
        let stop = vec!["stop-app".to_owned()];
        let mut world = running(PromotedResource { stop, ..shell() });
        world.burst(&device("r0", 0, "UpToDate", "no"));
        assert_eq!(stops_within(&mut world, 4, code), 1, "one stop");
        assert!(world.state().contains("next in"), "{}", world.state());
        // After 5, 10, 20, 40, 60, 60, ... seconds.
        assert_eq!(stops_within(&mut world, 300, code), 7 - 1 + 1);
        assert_eq!(warned(&world), 1, "one word about it");
        assert_eq!(world.report().warnings.len(), 1);
        // Secondary at last: all is forgotten, and the next loss stops at once.
        world.resource("Secondary", "no");
        assert_eq!(world.report().warnings, [""; 0]);
        assert!(world.state().starts_with("standby"), "{}", world.state());
    }
}

#[test]
fn who_was_stopped_and_is_still_primary_is_started_again_when_quorum_is_back() {
    let stop = vec!["stop-app".to_owned()];
    let mut world = running(PromotedResource { stop, ..shell() });
    world.burst(&device("r0", 0, "UpToDate", "no"));
    assert_eq!(stops_within(&mut world, 30, 0), 3);
    world.burst(&device("r0", 0, "UpToDate", "yes"));
    assert!(!world.state().starts_with("running"), "its services do not run: {}", world.state());
    world.seconds(60);
    assert_eq!(world.said(), ["run drbdadm primary r0"]);
}

#[test]
fn a_start_that_fails_for_ever_is_tried_with_back_off() {
    let stop = vec!["stop-app".to_owned()];
    let mut world = World::new(PromotedResource { stop, max_failures: 0, ..shell() });
    world.dump("yes");
    let mut starts = 0;
    for _ in 0..600 {
        for text in world.said() {
            match text.as_str() {
                "run drbdadm primary r0" => {
                    starts += 1;
                    world.resource("Primary", "no");
                    world.ran(&text, 0);
                }
                "run start-app" => world.ran(&text, 1),
                "run stop-app" => {
                    world.ran(&text, 0);
                    world.resource("Secondary", "yes");
                }
                _ => {}
            }
            assert!(starts < 100, "a hot loop");
        }
        world.seconds(1);
    }
    assert!((3..=12).contains(&starts), "{starts}");
}

#[test]
fn other_start_commands_in_a_reload_change_nothing_that_runs() {
    let mut world = running(shell());
    let other = PromotedResource { runner: Runner::Shell, ..units(&["drbdadm primary r0", "start-other"]) };
    world.configure(&crate::world::settings(&[("r0", other)]));
    world.seconds(60);
    assert_eq!(world.said(), [""; 0]);
    assert_eq!(world.state(), "running: its services run here");
}

#[test]
fn a_hold_that_comes_while_the_daemon_ends_is_kept() {
    let mut world = World::running(PromotedResource { stop_services_on_exit: true, ..crate::world::app() });
    world.answers = false;
    world.step(&Input::Exit);
    world.operator(OperatorVerb::Hold { why: "cables".to_owned() });
    world.files_written();
    assert_eq!(world.said(), [""; 0]);
}

/// That they end because we stop them is no habit of theirs.
#[test]
fn services_that_were_stopped_have_not_ended_by_themselves() {
    let stop = vec!["stop-app".to_owned()];
    let mut world = running(PromotedResource { stop, ..shell() });
    for _ in 0..3 {
        world.seconds(5);
        world.burst(&device("r0", 0, "UpToDate", "no"));
        world.ran("run stop-app", 0);
        world
            .burst(&(device("r0", 0, "UpToDate", "yes") + &crate::world::resource("change", "r0", "Secondary", "yes")));
        assert!(world.said().contains(&"run drbdadm primary r0".to_owned()), "{}", world.state());
        world.ran("run drbdadm primary r0", 0);
        world.resource("Primary", "no");
        world.ran("run start-app", 0);
        world.said();
    }
}

fn stop_app() -> PromotedResource {
    PromotedResource { stop: vec!["stop-app".to_owned()], ..shell() }
}

fn unwanted(world: &mut World, how: usize) {
    let why = "a test".to_owned();
    match how {
        0 => world.operator(OperatorVerb::Stop { why }),
        1 => world.node(OperatorVerb::Drain { why }),
        _ => world.operator(OperatorVerb::Yield { why, to: None, limit: 600, restarts: false }),
    }
}

#[test]
fn what_an_operator_wants_elsewhere_is_stopped_by_its_commands_and_not_started() {
    for how in 0..3 {
        let mut world = running(stop_app());
        unwanted(&mut world, how);
        assert_eq!(world.said(), ["run stop-app"]);
        world.ran("run stop-app", 0);
        world.resource("Secondary", "yes");
        world.seconds(500);
        assert_eq!(world.said(), [""; 0], "it is not wanted here");
        world.operator(OperatorVerb::Release);
        world.node(OperatorVerb::Undrain);
        world.seconds(1);
        assert_eq!(world.said(), ["run drbdadm primary r0"]);
    }
}

#[test]
fn what_an_operator_wants_elsewhere_and_stays_primary_is_stopped_again() {
    for how in 0..3 {
        let mut world = running(stop_app());
        unwanted(&mut world, how);
        assert_eq!(world.said(), ["run stop-app"]);
        world.ran("run stop-app", 1);
        assert_eq!(stops_within(&mut world, 60, 1), 3, "with pauses of 5, 10, 20 s");
    }
}

#[test]
fn an_operators_stop_in_the_middle_of_a_start_follows_the_command() {
    for how in 0..3 {
        let mut world = World::new(stop_app());
        world.dump("yes");
        world.ran("run drbdadm primary r0", 0);
        world.resource("Primary", "no");
        world.said();
        unwanted(&mut world, how);
        assert_eq!(world.said(), [""; 0]);
        world.ran("run start-app", 0);
        assert_eq!(world.said(), ["run stop-app"]);
    }
}
