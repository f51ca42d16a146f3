//! Quorum off and no fencing: what keeps two nodes from writing at once then, if anything.

use reactor_core::action::{ConnectionOptions, DrbdOptions};
use reactor_core::input::Input;
use reactor_core::plugin::promoter::report::StateWord;
use reactor_core::settings::promoter::{OnDiskDetach, OnServiceFailure, PromotedResource};
use reactor_core::systemd::{ActiveState, BusEvent, UnitEnd};

use crate::world::{TARGET, World, app, compat, connection, device_as, peer_device, resource};

/// Quorum off; these are the peers' `fencing`.
fn off(fencing: &[&str]) -> DrbdOptions {
    let connection =
        |word: &&str| ConnectionOptions { fencing: Some((*word).to_owned()), ..ConnectionOptions::default() };
    DrbdOptions {
        node_id: Some(0),
        quorum: Some("off".to_owned()),
        connections: fencing.iter().map(connection).collect(),
        ..DrbdOptions::default()
    }
}

/// A dump of r0 without any peer.
fn alone(world: &mut World) {
    world.source(reactor_core::input::Dialect::Drbd9);
    let text = resource("exists", "r0", "Secondary", "yes") + &device_as("exists", "r0", 0, "UpToDate", "yes", "no");
    world.burst(&(text + "exists -\n"));
}

#[test]
fn a_resource_without_any_peer_is_managed_in_both_modes() {
    for settings in [app(), compat()] {
        let mut world = World::new(settings);
        world.options = off(&[]);
        alone(&mut world);
        world.seconds(10);
        assert_eq!(world.said(), ["adjust r0".to_owned(), format!("start {TARGET}")]);
        world.comes_up();
        assert_eq!((world.report().policy, world.report().warnings), ("alone", Vec::new()));
        // And again, whenever it is down.
        world.goes_down_by_itself();
        world.seconds(60);
        assert_eq!(world.said(), [format!("start {TARGET}")]);
    }
}

/// If DRBD was not told of its peers, that it has none says nothing.
#[test]
fn no_peer_because_the_adjust_failed_is_not_alone() {
    let broken = |world: &mut World| world.tools_fail = Some("r0.res:7: parse error".to_owned());
    let mut world = World::where_(broken, &[("r0", app())]);
    world.options = off(&[]);
    alone(&mut world);
    world.seconds(60);
    assert!(!world.said().contains(&format!("start {TARGET}")));
    assert_eq!(world.report().state, StateWord::Unmanaged);
}

#[test]
fn with_a_peer_it_is_not_managed() {
    let mut world = World::new(app());
    world.options = off(&["dont-care", "dont-care"]);
    world.dump("yes");
    world.seconds(600);
    assert_eq!(world.said(), ["adjust r0"]);
    assert_eq!(world.report().state, StateWord::Unmanaged);
    assert!(world.report().warnings[0].contains("it is not managed"), "{:?}", world.report().warnings);
}

/// As drbd-reactor: it starts every resource when it comes, and only then looks at what keeps two nodes from writing.
#[test]
fn in_compatibility_mode_it_is_started_once_with_a_warning() {
    let mut world = World::new(compat());
    world.options = off(&["dont-care", "dont-care"]);
    world.dump("yes");
    world.seconds(10);
    assert_eq!(world.said(), ["adjust r0".to_owned(), format!("start {TARGET}")]);
    let why = world.why(&format!("start {TARGET}"));
    assert!(why.contains("it is started this once"), "{why}");
    world.comes_up();
    assert!(world.report().warnings[0].contains("it is started once, when the daemon starts"));
    world.goes_down_by_itself();
    world.seconds(600);
    assert_eq!(world.said(), [""; 0], "once");
    assert_eq!(world.report().state, StateWord::Unmanaged);
}

#[test]
fn a_start_that_failed_was_the_one() {
    let mut world = World::new(compat());
    world.options = off(&["dont-care", "dont-care"]);
    world.dump("yes");
    world.seconds(10);
    world.said();
    world.done(&format!("start {TARGET}"), UnitEnd::Job("dependency".to_owned()));
    world.seconds(600);
    assert_eq!(world.said(), [""; 0]);
}

#[test]
fn where_it_runs_elsewhere_when_the_daemon_comes_it_is_never_started() {
    let mut world = World::new(compat());
    world.options = off(&["dont-care", "dont-care"]);
    world.source(reactor_core::input::Dialect::Drbd9);
    let text = crate::world::picture("exists", "r0", "Secondary", "no");
    world.burst(&(text.replacen("role:Secondary congested", "role:Primary congested", 1) + "exists -\n"));
    world.seconds(10);
    world.burst(&(resource("change", "r0", "Secondary", "yes") + &connection("r0", 1, "Connected", "Secondary")));
    world.seconds(600);
    assert_eq!(world.said(), ["adjust r0"]);
}

/// r0 with peers and without quorum and fencing: a person has started it here.
fn started_by_hand(settings: PromotedResource) -> World {
    let mut world = World::new(settings);
    world.options = off(&["dont-care", "dont-care"]);
    world.dump("yes");
    world.seconds(60);
    assert_eq!(world.said(), ["adjust r0"]);
    world.active("drbd-promote@r0.service", ActiveState::Active);
    world.resource("Primary", "no");
    world.active("app.service", ActiveState::Active);
    world.active(TARGET, ActiveState::Active);
    world.seconds(60);
    world
}

fn fails(world: &mut World) {
    world.unit("app.service", |state| {
        state.active = ActiveState::Failed;
        state.result = Some("exit-code".to_owned());
    });
}

/// No node would start what is stopped here for the sake of another one: it would run nowhere.
#[test]
fn what_nobody_manages_is_not_stopped_for_another_node() {
    let prefers = PromotedResource { preferred_nodes: vec!["n2".to_owned(), "n1".to_owned()], ..app() };
    let mut world = started_by_hand(prefers);
    assert_eq!(world.said(), [""; 0], "n2 is ready, and would not start it");

    let detach = PromotedResource { on_disk_detach: OnDiskDetach::FailOver, ..app() };
    let mut world = started_by_hand(detach);
    world.burst(&device_as("change", "r0", 0, "Diskless", "yes", "no"));
    assert_eq!(world.said(), [""; 0], "it goes on over the network");
    for peer in [1, 2] {
        world
            .burst(&(connection("r0", peer, "Connecting", "Unknown") + &peer_device("r0", peer, 0, "Off", "DUnknown")));
    }
    world.seconds(60);
    assert_eq!(world.said(), [""; 0], "who has the data would not start it");
    world.step(&Input::Bus(BusEvent::Down { why: "gone".to_owned() }));
    world.bus_up_but(&["app.service"]);
    world.seconds(60);
    assert_eq!(world.said(), [""; 0], "nor while systemd has not said how all units are");

    let moves = PromotedResource { on_service_failure: OnServiceFailure::Move, ..app() };
    let mut world = started_by_hand(moves);
    fails(&mut world);
    world.seconds(60);
    assert_eq!(world.said(), [""; 0]);
    assert_eq!(world.report().failures, 1);
    assert!(world.state().contains("no other node would start it"), "{}", world.state());
}

/// What failed is started again, where the others go on; given up, the others still go on.
#[test]
fn what_nobody_manages_is_restarted_where_it_runs() {
    let mut world = started_by_hand(PromotedResource { max_failures: 2, ..app() });
    fails(&mut world);
    world.seconds(2);
    assert_eq!(world.said(), [format!("start {TARGET}")]);
    world.active("app.service", ActiveState::Active);
    world.done("start", UnitEnd::Done);
    fails(&mut world);
    world.seconds(600);
    assert_eq!(world.said(), [""; 0]);
    assert!(world.state().starts_with("running") && world.state().contains("blocked after 2"), "{}", world.state());
}

/// A Secondary can write nothing: its services are stopped, whoever may start them.
#[test]
fn what_nobody_manages_is_stopped_on_a_secondary() {
    let mut world = started_by_hand(app());
    world.resource("Secondary", "yes");
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
}
