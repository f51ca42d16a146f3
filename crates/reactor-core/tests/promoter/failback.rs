//! Preferred nodes that take back.

use std::time::Duration;

use reactor_core::input::Input;
use reactor_core::operator::WallClock;
use reactor_core::settings::promoter::{DayWindow, PreferredNodesPolicy, PromotedResource};

use crate::world::{TARGET, World, app, connection, peer_device, picture_of};

fn preferring_n2() -> PromotedResource {
    PromotedResource { preferred_nodes: vec!["n2".to_owned(), "n1".to_owned()], ..app() }
}

/// r0 runs here, n2 is away.
fn without_n2(settings: PromotedResource) -> World {
    let mut world = World::new(settings);
    world.source(reactor_core::input::Dialect::Drbd9);
    let text = picture_of("exists", "r0", "Secondary", "yes", 2);
    world.burst(&(text + "exists -\n"));
    away(&mut world);
    world.seconds(60);
    world.comes_up();
    world
}

/// What is due when a better node is waited for.
const PURPOSE: &str = "whether to give it to the better node";

fn away(world: &mut World) {
    world.burst(&(connection("r0", 1, "NetworkFailure", "Unknown") + &both("Off", "DUnknown")));
    world.burst(&connection("r0", 1, "Connecting", "Unknown"));
}

fn both(replication: &str, disk: &str) -> String {
    peer_device("r0", 1, 0, replication, disk) + &peer_device("r0", 1, 1, replication, disk)
}

fn back(world: &mut World) {
    world.burst(&(connection("r0", 1, "Connected", "Secondary") + &both("Established", "UpToDate")));
}

#[test]
fn a_better_node_gets_it_when_all_its_data_is_good_d35() {
    let mut world = without_n2(preferring_n2());
    world.burst(&(connection("r0", 1, "Connected", "Secondary") + &both("SyncSource", "Inconsistent")));
    world.burst(&peer_device("r0", 1, 0, "Established", "UpToDate"));
    world.seconds(60);
    assert_eq!(world.said(), [""; 0], "one volume still syncs");
    world.burst(&peer_device("r0", 1, 1, "Established", "UpToDate"));
    assert_eq!(world.state(), "running: its services run here; n2 is preferred, and must be ready for 1 s first");
    world.seconds(1);
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
    assert_eq!(world.why("stop"), "n2 is number 1 of preferred-nodes; n2 has good data for all volumes");
}

#[test]
fn start_only_and_worse_nodes_get_nothing() {
    let start_only = PromotedResource { preferred_nodes_policy: PreferredNodesPolicy::StartOnly, ..preferring_n2() };
    let worse = PromotedResource { preferred_nodes: vec!["n1".to_owned(), "n2".to_owned()], ..app() };
    let unlisted = PromotedResource { preferred_nodes: vec!["n1".to_owned()], ..app() };
    for settings in [start_only, worse, unlisted, app()] {
        let mut world = without_n2(settings);
        back(&mut world);
        world.seconds(600);
        assert_eq!(world.said(), [""; 0]);
    }
    let absent = PromotedResource { preferred_nodes: vec!["n2".to_owned()], ..app() };
    let mut world = without_n2(absent);
    back(&mut world);
    world.seconds(1);
    assert_eq!(world.said(), [format!("stop {TARGET}")], "a node that is not in the list comes last");
}

#[test]
fn a_flapping_node_waits_longer_each_time() {
    let mut world = without_n2(preferring_n2());
    for _ in 0..2 {
        back(&mut world);
        away(&mut world);
    }
    back(&mut world);
    world.pass(Duration::from_millis(19_999));
    assert_eq!(world.said(), [""; 0]);
    assert!(world.state().contains("its connection was lost 3 times lately"), "{}", world.state());
    world.pass(Duration::from_millis(1));
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
}

/// How often it was lost, and when: not how often it came back.
#[test]
fn only_what_was_lost_lately_makes_a_node_wait_longer() {
    let mut world = without_n2(preferring_n2());
    world.seconds(300);
    back(&mut world);
    away(&mut world);
    world.seconds(400);
    back(&mut world);
    assert!(world.state().ends_with("n2 is preferred, and must be ready for 1 s first"), "{}", world.state());
}

#[test]
fn only_within_the_window() {
    let window = DayWindow { from_min: 22 * 60, to_min: 5 * 60 };
    let mut world = without_n2(PromotedResource { failback_window: vec![window], ..preferring_n2() });
    // Noon in UTC, and two hours more on the wall.
    let noon = 1_800_000_000_000 / 86_400_000 * 86_400_000 + 12 * 3_600_000;
    world.step(&Input::Wall(WallClock { unix_ms: noon, utc_offset_s: 7200 }));
    back(&mut world);
    world.seconds(8 * 3600 - 30);
    let next = world.report();
    assert_eq!((next.next.map(|at| at.since(world.now).as_secs()), next.next_for), (Some(30), PURPOSE));
    world.seconds(29);
    assert_eq!(world.said(), [""; 0]);
    assert!(world.state().contains("outside of failback-window 22:00-05:00"), "{}", world.state());
    world.seconds(1);
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
    assert!(world.why("stop").contains("within failback-window"));
}

#[test]
fn a_node_that_could_not_keep_it_waits() {
    let mut world = without_n2(preferring_n2());
    back(&mut world);
    world.seconds(1);
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
    world.goes_down("yes");
    world.seconds(10);
    assert_eq!(world.said(), [format!("start {TARGET}")], "nobody else took it");
    world.comes_up();
    world.seconds(30);
    assert_eq!(world.said(), [""; 0], "no ping-pong");
    assert!(world.state().contains("could not keep it 1 times"), "{}", world.state());
    world.seconds(30);
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
}
