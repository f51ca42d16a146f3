//! A Primary that has lost all good data from its sight: it stands in the way of a node that has some.

use std::time::Duration;

use reactor_core::ids::ResourceName;
use reactor_core::input::Input;
use reactor_core::operator::{Memory, OperatorVerb};
use reactor_core::settings::promoter::{OnQuorumLoss, PromotedResource};
use reactor_core::systemd::{ActiveState, BusEvent, UnitEnd};

use crate::world::{TARGET, World, app, connection, device_as, peer_device, resource};

/// r0 runs here on the disk of n2; n3 is there and Outdated.
fn running_on_a_peer(settings: PromotedResource) -> World {
    let mut world = World::running(settings);
    world.burst(
        &(device_as("change", "r0", 0, "Diskless", "yes", "yes") + &peer_device("r0", 2, 0, "Established", "Outdated")),
    );
    assert_eq!(world.said(), [""; 0], "n2 has good data");
    world
}

fn loses_n2(world: &mut World) {
    let lost = peer_device("r0", 1, 0, "Off", "DUnknown");
    world.burst(&(connection("r0", 1, "NetworkFailure", "Unknown") + &lost));
}

#[test]
fn a_primary_that_lost_its_last_good_disk_lets_go() {
    let mut world = running_on_a_peer(app());
    loses_n2(&mut world);
    assert_eq!(world.state(), "running: no good data of volume 0 in reach; n2 may have them, and may take over");
    world.pass(Duration::from_millis(999));
    assert_eq!(world.said(), [""; 0], "it may come back at once");
    world.pass(Duration::from_millis(1));
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
    assert_eq!(world.why("stop"), "no good data of volume 0 in reach; n2 may have them, and may take over");
    world.goes_down("no");
    assert_eq!(world.report().failures, 0);
    assert_eq!(world.report().state.as_str(), "standby");
}

#[test]
fn data_that_come_back_in_time_stop_nothing() {
    let mut world = running_on_a_peer(app());
    loses_n2(&mut world);
    world.pass(Duration::from_millis(900));
    let back = peer_device("r0", 1, 0, "Established", "UpToDate");
    world.burst(&(connection("r0", 1, "Connected", "Secondary") + &back));
    world.seconds(60);
    assert_eq!(world.said(), [""; 0]);
    loses_n2(&mut world);
    world.pass(Duration::from_millis(900));
    assert_eq!(world.said(), [""; 0], "the second begins anew");
}

#[test]
fn io_that_is_suspended_fails_before_a_stop() {
    let mut world = running_on_a_peer(PromotedResource { on_quorum_loss: OnQuorumLoss::Freeze, ..app() });
    loses_n2(&mut world);
    world.seconds(1);
    assert_eq!(world.said(), ["secondary --force r0", &format!("stop {TARGET}")]);

    let mut odd = running_on_a_peer(app());
    loses_n2(&mut odd);
    odd.burst(&resource("change", "r0", "Primary", "no").replace("suspended:no ", "suspended:no-data "));
    odd.seconds(1);
    assert_eq!(odd.said(), ["secondary --force r0", &format!("stop {TARGET}")]);
}

#[test]
fn a_disk_that_is_being_synced_has_its_data_at_the_source() {
    let mut world = World::running(app());
    world.burst(&device_as("change", "r0", 0, "Inconsistent", "yes", "no"));
    world.seconds(60);
    assert_eq!(world.said(), [""; 0], "n2 and n3 are UpToDate");
}

#[test]
fn nothing_stops_where_nobody_else_can_have_the_data() {
    let mut world = running_on_a_peer(app());
    world.burst(&peer_device("r0", 1, 0, "Established", "Outdated"));
    world.seconds(60);
    assert_eq!(world.said(), [""; 0], "all peers are in sight");
    world.burst(&(connection("r0", 1, "NetworkFailure", "Unknown") + &peer_device("r0", 1, 0, "Off", "Outdated")));
    world.seconds(60);
    assert_eq!(world.said(), [""; 0], "n2 is known to be Outdated");
}

#[test]
fn words_from_the_future_prove_nothing() {
    let mut world = running_on_a_peer(app());
    world.burst(&peer_device("r0", 1, 0, "Established", "Splendid"));
    world.seconds(60);
    assert_eq!(world.said(), [""; 0]);
}

#[test]
fn a_secondary_without_data_is_none_of_that() {
    let mut world = World::new(app());
    world.dump("no");
    world.burst(&device_as("change", "r0", 0, "Diskless", "yes", "yes"));
    loses_n2(&mut world);
    world.burst(&(connection("r0", 2, "NetworkFailure", "Unknown") + &peer_device("r0", 2, 0, "Off", "DUnknown")));
    world.seconds(60);
    assert_eq!(world.said(), ["adjust r0"]);
}

/// How one of its units is, systemd has not said: what DRBD forbids is waited for and done all the same, and the reason for the wait is said.
#[test]
fn data_that_are_lost_while_a_unit_is_not_known_stop_it_in_time() {
    let mut world = running_on_a_peer(app());
    world.step(&Input::Bus(BusEvent::Down { why: "gone".to_owned() }));
    world.bus_up_but(&["app.service"]);
    loses_n2(&mut world);
    assert_eq!(world.state(), "running: systemd has not said yet how app.service is");
    let report = world.report();
    assert_eq!(report.next_for, "without good data until then, its services stop");
    assert_eq!(report.next.map(|at| at.since(world.now).as_millis()), Some(1000));
    world.seconds(1);
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
}

/// What is known of the target is old, too: nobody knows whether there is anything to stop.
#[test]
fn what_systemd_has_not_said_runs_is_not_stopped() {
    for late in [TARGET, "drbd-promote@r0.service"] {
        let mut world = World::running(app());
        world.step(&Input::Bus(BusEvent::Down { why: "gone".to_owned() }));
        world.bus_up_but(&[late]);
        world.burst(&device_as("change", "r0", 0, "UpToDate", "no", "no"));
        world.seconds(1);
        assert_eq!(world.said(), [""; 0], "{late}");
    }
}

/// Without good data for a moment only, and something else has to be stopped at once: the wait is not for that.
#[test]
fn a_wait_for_data_delays_no_other_stop() {
    let memory = Memory { blocked_since: Some(1_799_999_990), failures: vec![1_799_999_990], ..Memory::default() };
    let settings = PromotedResource { max_failures: 1, ..app() };
    let mut world = World::remembering(&[("r0", settings)], vec![(ResourceName::new("r0"), memory)]);
    world.active("drbd-promote@r0.service", ActiveState::Active);
    world.source(reactor_core::input::Dialect::Drbd9);
    let lost = |line: &str| {
        line.replace("disk:UpToDate", "disk:Diskless")
            .replace("connection:Connected role:Secondary", "connection:Connecting role:Unknown")
            .replace("peer-disk:Diskless", "peer-disk:DUnknown")
    };
    let blocked = "blocked after 1 failures: waits for an operator's clear";
    world.burst(&(lost(&crate::world::picture("exists", "r0", "Primary", "no")) + "exists -\n"));
    assert!(world.said().contains(&format!("stop {TARGET}")), "{}", world.state());
    assert_eq!(world.why("stop"), blocked);
    // It does not help. By the next try the data are lost for good, and that is why.
    world.done("stop", UnitEnd::Job("failed".to_owned()));
    world.seconds(60);
    assert_eq!(world.why("stop"), "no good data of volume 0 in reach; n2 may have them, and may take over");
}

/// Nothing of it runs, and it is not to: there is nothing to stop, whatever is not known.
#[test]
fn what_does_not_run_is_not_stopped_while_a_unit_is_not_known() {
    let mut world = World::new(app());
    world.dump("no");
    world.operator(OperatorVerb::Stop { why: String::new() });
    world.step(&Input::Bus(BusEvent::Down { why: "gone".to_owned() }));
    world.said();
    world.bus_up_but(&["app.service"]);
    world.seconds(60);
    assert_eq!(world.said(), [""; 0], "{}", world.state());
}
