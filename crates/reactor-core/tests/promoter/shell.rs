//! `runner = "shell"`.

use reactor_core::input::Input;
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
fn d44_a_stop_command_that_fails_does_not_end_the_stop() {
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
fn d38_stops_on_exit_without_systemd() {
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
