//! What something else than the promoter has started: a connection to a socket promotes a held resource, and a person has to see it.

use reactor_core::metrics::health::PromotedHealth;
use reactor_core::model::Node;
use reactor_core::operator::OperatorVerb;
use reactor_core::plugin::promoter::report::TroubleKind;
use reactor_core::systemd::ActiveState;

use crate::world::{World, app};

fn trouble(world: &World) -> Option<String> {
    let report = world.report();
    report.troubles.into_iter().find(|trouble| trouble.kind == TroubleKind::OutsideTarget).map(|trouble| trouble.what)
}

const WHAT: &str = "app.service runs although drbd-services@r0.target does not: something else has started it";

#[test]
fn a_held_resource_that_a_socket_promotes_is_shown() {
    let mut world = World::new(app());
    world.dump("no");
    world.active("drbd-services@r0.target", ActiveState::Inactive);
    world.operator(OperatorVerb::Hold { why: "cabling".to_owned() });
    world.all();
    // systemd starts the service for the socket, and before it what it binds to.
    world.active("drbd-promote@r0.service", ActiveState::Active);
    world.resource("Primary", "no");
    world.active("app.service", ActiveState::Active);
    assert_eq!(trouble(&world), None, "a moment is nothing");
    world.seconds(6);
    assert_eq!(trouble(&world).as_deref(), Some(WHAT));
    let metric = |world: &World| PromotedHealth::new(&world.report(), 0.0, &Node::default()).outside_target;
    assert!(metric(&world));
    assert!(world.all().iter().any(|said| said.contains(WHAT)), "and it is in the log");
    world.seconds(60);
    assert!(!world.all().iter().any(|said| said.contains(WHAT)), "once");
    world.active("app.service", ActiveState::Inactive);
    assert_eq!((trouble(&world), metric(&world)), (None, false));
}

#[test]
fn a_start_of_ours_that_takes_long_is_none() {
    let mut world = World::new(app());
    world.dump("yes");
    world.seconds(60);
    world.all();
    world.active("drbd-services@r0.target", ActiveState::Inactive);
    world.active("drbd-promote@r0.service", ActiveState::Active);
    world.resource("Primary", "no");
    world.active("app.service", ActiveState::Active);
    world.seconds(60);
    assert_eq!(trouble(&world), None, "the target comes up last");
}
