//! Which end of a unit is a failure of the services that run, and for how long what failed has to go. Each of these was a change of one word in
//! the code that no other test noticed.

use std::time::Duration;

use reactor_core::operator::OperatorVerb;
use reactor_core::settings::promoter::{OnServiceFailure, PromotedResource};
use reactor_core::systemd::{ActiveState, UnitEnd};

use crate::world::{TARGET, World, app, settings, units};

const NOTHING: [&str; 0] = [];

fn stop() -> [String; 1] {
    [format!("stop {TARGET}")]
}

/// The end of a unit that is over, and was no good one.
fn ended_badly(world: &mut World, unit: &str, active: ActiveState) {
    world.unit(unit, |state| {
        state.active = active;
        state.result = Some("exit-code".to_owned());
    });
}

fn moving() -> PromotedResource {
    PromotedResource { on_service_failure: OnServiceFailure::Move, ..app() }
}

#[test]
fn how_a_unit_ended_before_the_services_ran_is_no_failure_of_theirs() {
    let mut world = World::new(units(&["app.service", "helper.service"]));
    ended_badly(&mut world, "helper.service", ActiveState::Inactive);
    world.dump("yes");
    world.seconds(60);
    world.comes_up();
    // It is looked at more than once.
    world.burst(&crate::world::device("r0", 0, "UpToDate", "yes"));
    world.active("app.service", ActiveState::Active);
    world.goes_down_by_itself();
    assert_eq!(world.report().failures, 0, "{:?}", world.report().last_failure);
}

#[test]
fn how_a_unit_ended_before_it_came_into_the_list_is_no_failure_of_the_services() {
    let mut world = World::running(app());
    let more = units(&["app.service", "new.service"]);
    ended_badly(&mut world, "new.service", ActiveState::Inactive);
    world.configure(&settings(&[("r0", more)]));
    world.burst(&crate::world::device("r0", 0, "UpToDate", "yes"));
    world.goes_down_by_itself();
    assert_eq!(world.report().failures, 0, "{:?}", world.report().last_failure);
}

#[test]
fn what_ends_because_the_resource_is_gone_is_no_failure() {
    let mut world = World::running(app());
    world.burst(
        "destroy peer-device name:r0 peer-node-id:1 conn-name:n2 volume:0\n\
         destroy peer-device name:r0 peer-node-id:1 conn-name:n2 volume:1\n\
         destroy peer-device name:r0 peer-node-id:2 conn-name:n3 volume:0\n\
         destroy peer-device name:r0 peer-node-id:2 conn-name:n3 volume:1\n\
         destroy connection name:r0 peer-node-id:1 conn-name:n2\n\
         destroy connection name:r0 peer-node-id:2 conn-name:n3\n\
         destroy device name:r0 volume:0 minor:0\n\
         destroy device name:r0 volume:1 minor:1\n\
         destroy resource name:r0\n",
    );
    ended_badly(&mut world, "app.service", ActiveState::Inactive);
    world.active(TARGET, ActiveState::Inactive);
    world.active("drbd-promote@r0.service", ActiveState::Inactive);
    world.dump("no");
    assert_eq!(world.report().failures, 0, "{:?}", world.report().last_failure);
}

#[test]
fn a_restart_that_ends_badly_while_the_others_run_counts_by_its_unit_alone() {
    let mut world = World::running(units(&["app.service", "helper.service"]));
    world.active("helper.service", ActiveState::Active);
    ended_badly(&mut world, "app.service", ActiveState::Failed);
    world.seconds(1);
    assert_eq!(world.said(), [format!("start {TARGET}")]);
    assert_eq!(world.report().failures, 1);
    world.done("start", UnitEnd::Job("failed".to_owned()));
    assert_eq!((world.report().failures, world.said()), (1, Vec::new()), "the same failure, told by its job");
}

#[test]
fn what_failed_has_to_go_until_it_has_been_down() {
    let mut world = World::running(moving());
    ended_badly(&mut world, "app.service", ActiveState::Failed);
    assert_eq!(world.said(), stop());
    // Nothing of it goes down, for longer than what was down may be started again by others.
    world.seconds(15);
    world.active("app.service", ActiveState::Active);
    world.done("stop", UnitEnd::Job("failed".to_owned()));
    world.pass(Duration::from_secs(120));
    assert_eq!(world.said().first(), Some(&stop()[0]), "{}", world.state());
}

#[test]
fn who_holds_it_decides_about_what_failed_too() {
    let mut world = World::running(moving());
    ended_badly(&mut world, "app.service", ActiveState::Failed);
    assert_eq!(world.said(), stop());
    world.operator(OperatorVerb::Hold { why: String::new() });
    world.goes_down("yes");
    // Mended, and started by hand.
    world.active("drbd-promote@r0.service", ActiveState::Active);
    world.resource("Primary", "no");
    world.active("app.service", ActiveState::Active);
    world.active(TARGET, ActiveState::Active);
    world.operator(OperatorVerb::Release);
    assert_eq!(world.said(), NOTHING, "{}", world.state());
    assert_eq!(world.report().state.as_str(), "running");
}
