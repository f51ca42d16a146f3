//! Behaviour of drbd-reactor that no other file here has, and lessons without a test elsewhere.

use reactor_core::input::Dialect;
use reactor_core::operator::OperatorVerb;
use reactor_core::settings::promoter::{OnDiskDetach, OnQuorumLoss, PromotedResource};
use reactor_core::systemd::{ActiveState, UnitEnd};

use crate::world::{TARGET, World, app, connection, device, device_as, peer_device, picture, resource};

/// Promoted, and then `app.service` fails.
fn fails_to_start(world: &mut World) {
    world.active("drbd-promote@r0.service", ActiveState::Active);
    world.resource("Primary", "no");
    world.unit("app.service", |state| {
        state.active = ActiveState::Failed;
        state.result = Some("exit-code".to_owned());
    });
    world.done("start", UnitEnd::Job("dependency".to_owned()));
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
    world.goes_down("yes");
}

#[test]
fn tries_are_counted_and_end_until_somebody_clears_them() {
    let mut world = World::new(app());
    world.dump("yes");
    assert_eq!(world.said(), ["adjust r0", &format!("start {TARGET}")]);
    for failures in 1..=3 {
        fails_to_start(&mut world);
        assert_eq!(world.report().failures, failures, "seen everywhere");
        assert_eq!(world.remembered["r0"].failures.len(), failures as usize, "and kept over a restart of the daemon");
        world.seconds(60);
        let again = if failures < 3 { vec![format!("start {TARGET}")] } else { Vec::new() };
        assert_eq!(world.said(), again, "after {failures} failures");
    }
    world.seconds(7200);
    assert_eq!(world.said(), [""; 0], "no ping-pong for ever");
    assert!(world.state().starts_with("blocked"), "{}", world.state());
    world.operator(OperatorVerb::Clear);
    assert_eq!(world.said(), [format!("start {TARGET}")]);
}

#[test]
fn a_service_that_sorts_before_the_promotion_is_frozen_and_the_promotion_is_not() {
    let settings = crate::world::units(&["apache2.service", "zebra.service"]);
    let mut world = World::new(PromotedResource { on_quorum_loss: OnQuorumLoss::Freeze, ..settings });
    world.dump("yes");
    world.seconds(60);
    world.comes_up_with(&["apache2.service", "zebra.service"]);
    world.burst(&device("r0", 0, "UpToDate", "no"));
    let mut said = world.said();
    said.sort();
    assert_eq!(said, ["freeze apache2.service", "freeze zebra.service"]);
}

#[test]
fn with_fencing_and_no_connection_there_is_nobody_to_wait_for() {
    let mut world = World::new(app());
    world.options.quorum = Some("off".to_owned());
    for one in &mut world.options.connections {
        one.fencing = Some("resource-and-stonith".to_owned());
    }
    world.source(Dialect::Drbd9);
    let alone = resource("exists", "r0", "Secondary", "yes") + &device_as("exists", "r0", 0, "UpToDate", "yes", "no");
    world.burst(&(alone + "exists -\n"));
    assert_eq!(world.said(), ["adjust r0", &format!("start {TARGET}")]);
}

#[test]
fn what_goes_away_in_an_orderly_way_is_no_loss_of_quorum() {
    let mut world = World::new(PromotedResource { on_disk_detach: OnDiskDetach::FailOver, ..app() });
    world.dump("no");
    world.said();
    // drbdadm down.
    for peer in [1, 2] {
        world.burst(&connection("r0", peer, "Disconnecting", "Unknown"));
        world.burst(&peer_device("r0", peer, 0, "Off", "DUnknown"));
    }
    world.burst(&device("r0", 0, "Diskless", "no"));
    world.burst("destroy device name:r0 volume:0 minor:0\n");
    world.burst("destroy connection name:r0 peer-node-id:1 conn-name:n2\n");
    world.burst("destroy connection name:r0 peer-node-id:2 conn-name:n3\n");
    world.burst("destroy resource name:r0\n");
    world.seconds(3600);
    assert_eq!(world.said(), [""; 0]);
}

#[test]
fn a_resource_that_comes_back_is_started_again() {
    let mut world = World::new(app());
    world.dump("no");
    world.said();
    world.burst("destroy resource name:r0\n");
    world.seconds(60);
    world.burst(&picture("create", "r0", "Secondary", "no"));
    world.resource("Secondary", "yes");
    world.seconds(60);
    assert_eq!(world.said(), [format!("start {TARGET}")]);
}

#[test]
fn detached_without_an_up_to_date_peer_or_as_a_secondary_nothing_is_moved() {
    let detach = PromotedResource { on_disk_detach: OnDiskDetach::FailOver, ..app() };
    let gone = device_as("change", "r0", 0, "Diskless", "yes", "no");
    let mut alone = World::running(detach.clone());
    for peer in [1, 2] {
        alone.burst(&peer_device("r0", peer, 0, "Established", "Outdated"));
    }
    alone.burst(&gone);
    alone.seconds(60);
    assert_eq!(alone.said(), [""; 0], "rather over the network than not at all");

    let mut clients = World::running(detach.clone());
    for peer in [1, 2] {
        let client = peer_device("r0", peer, 0, "Established", "Diskless").replace("peer-client:no", "peer-client:yes");
        clients.burst(&client);
    }
    clients.burst(&gone);
    clients.seconds(60);
    assert_eq!(clients.said(), [""; 0], "nobody else has a disk");

    let mut secondary = World::new(detach);
    secondary.dump("no");
    secondary.said();
    secondary.burst(&gone);
    secondary.seconds(60);
    assert_eq!(secondary.said(), [""; 0]);
}
