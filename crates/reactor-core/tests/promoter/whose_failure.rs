//! Which end of a unit is a failure of the services that run, and for how long what failed has to go. Each of these was a change of one word in
//! the code that no other test noticed.

use std::time::Duration;

use reactor_core::operator::OperatorVerb;
use reactor_core::settings::promoter::{OnQuorumLoss, OnServiceFailure, PromotedResource};
use reactor_core::systemd::{ActiveState, UnitEnd};

use crate::world::{TARGET, World, app, settings, units};

const NOTHING: [&str; 0] = [];

/// r0 is taken down.
const GONE: &str = "destroy peer-device name:r0 peer-node-id:1 conn-name:n2 volume:0\n\
     destroy peer-device name:r0 peer-node-id:2 conn-name:n3 volume:0\n\
     destroy connection name:r0 peer-node-id:1 conn-name:n2\n\
     destroy connection name:r0 peer-node-id:2 conn-name:n3\n\
     destroy device name:r0 volume:0 minor:0\n\
     destroy resource name:r0\n";

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
    world.burst(GONE);
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

/// Two units that fail one after the other are one failure, until all are well again.
#[test]
fn what_fails_while_another_one_has_not_been_mended_does_not_count_again() {
    let mut world = World::new(units(&["app.service", "helper.service"]));
    world.dump("yes");
    world.seconds(60);
    world.comes_up_with(&["app.service", "helper.service"]);
    ended_badly(&mut world, "app.service", ActiveState::Failed);
    assert_eq!(world.report().failures, 1);
    // systemd is about to start it again, and the other one goes down meanwhile.
    ended_badly(&mut world, "app.service", ActiveState::Activating);
    ended_badly(&mut world, "helper.service", ActiveState::Inactive);
    assert_eq!(world.report().failures, 1, "{:?}", world.report().last_failure);
    for unit in ["app.service", "helper.service"] {
        world.active(unit, ActiveState::Active);
    }
    ended_badly(&mut world, "helper.service", ActiveState::Inactive);
    assert_eq!(world.report().failures, 2);
}

/// A unit that was down, and failed then, has failed once.
#[test]
fn a_failure_that_is_told_after_its_end_is_the_same_one() {
    let mut world = World::running(units(&["app.service", "helper.service"]));
    world.active("helper.service", ActiveState::Active);
    for active in [ActiveState::Inactive, ActiveState::Activating, ActiveState::Failed] {
        ended_badly(&mut world, "helper.service", active);
        assert_eq!(world.report().failures, 1, "{:?}", world.report().last_failure);
    }
}

/// Taken down by a person with its services, and up again: they have not ended by themselves, and nothing waits because of it.
#[test]
fn what_ends_with_its_resource_has_not_ended_by_itself() {
    let mut world = World::running(app());
    for _ in 0..3 {
        world.burst(GONE);
        world.active("app.service", ActiveState::Inactive);
        world.active(TARGET, ActiveState::Inactive);
        world.active("drbd-promote@r0.service", ActiveState::Inactive);
        world.said();
        world.burst(&crate::world::picture("create", "r0", "Secondary", "yes"));
        assert_eq!(world.said(), [format!("start {TARGET}")], "{}", world.state());
        world.comes_up();
    }
}

/// Whether a failure is the service's depends on what guards the resource: with fencing, quorum says nothing about who may write.
#[test]
fn what_fails_without_quorum_fails_for_want_of_it_unless_fencing_is_what_counts() {
    for (fencing, failures) in [(false, 0), (true, 1)] {
        let mut world = World::new(PromotedResource { on_quorum_loss: OnQuorumLoss::Freeze, ..app() });
        if fencing {
            world.options.quorum = Some("off".to_owned());
            for one in &mut world.options.connections {
                one.fencing = Some("resource-only".to_owned());
            }
        }
        world.dump("yes");
        world.seconds(60);
        world.comes_up();
        world.burst(&crate::world::device("r0", 0, "UpToDate", "no"));
        ended_badly(&mut world, "app.service", ActiveState::Failed);
        assert_eq!(world.report().failures, failures, "fencing: {fencing}");
    }
}

/// How long services have run without a failure says whether they ended at once: also one that systemd only calls ended is a failure.
#[test]
fn what_had_ended_badly_until_a_moment_ago_has_not_run_well_for_a_minute() {
    let ignored =
        PromotedResource { on_service_failure: OnServiceFailure::Ignore, ..units(&["app.service", "helper.service"]) };
    let mut world = World::new(ignored);
    world.dump("yes");
    world.seconds(60);
    let both = ["app.service", "helper.service"];
    let ends = |world: &mut World| {
        world.active("helper.service", ActiveState::Inactive);
        world.goes_down_by_itself();
    };
    world.comes_up_with(&both);
    ends(&mut world);
    assert_eq!(world.said(), [format!("start {TARGET}")], "once may be anybody's doing");
    world.comes_up_with(&both);
    ended_badly(&mut world, "helper.service", ActiveState::Inactive);
    world.seconds(70);
    world.burst(&crate::world::device("r0", 0, "UpToDate", "yes"));
    world.active("helper.service", ActiveState::Active);
    world.seconds(5);
    world.said();
    ends(&mut world);
    assert_eq!(world.said(), [""; 0]);
    assert!(world.state().contains("its services ended by themselves a moment ago: 1 s"), "{}", world.state());
}
