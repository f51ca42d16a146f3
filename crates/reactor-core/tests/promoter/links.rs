//! The link keeper.

use reactor_core::action::{DrbdAnswer, Outcome};
use reactor_core::input::Dialect;
use reactor_core::settings::promoter::{PromotedResource, RepairLinks};
use reactor_core::systemd::ActiveState;

use crate::world::{TARGET, World, app, compat, connection, picture};

const PATH_UP: &str = "change path name:r0 peer-node-id:1 conn-name:n2 local:ipv4:10.0.0.1:7000 peer:ipv4:10.0.0.2:7000 \
                       established:yes\n";
const PATH_DOWN: &str = "change path name:r0 peer-node-id:1 conn-name:n2 local:ipv4:10.0.0.1:7000 peer:ipv4:10.0.0.2:7000 \
                         established:no\n";

/// n2 crashes and is tried again.
fn crashed(settings: PromotedResource) -> World {
    let mut world = World::new(settings);
    world.dump("no");
    world.burst(&PATH_UP.replace("change", "create"));
    world.seconds(3600);
    world.burst(&connection("r0", 1, "NetworkFailure", "Unknown"));
    world.burst(PATH_DOWN);
    world.burst(&connection("r0", 1, "Unconnected", "Unknown"));
    world.burst(&connection("r0", 1, "Connecting", "Unknown"));
    world.all();
    world
}

/// It comes back, and the link dies in the handshake.
fn trapped(world: &mut World) {
    world.burst(PATH_UP);
    world.burst(&connection("r0", 1, "Connected", "Secondary"));
    world.burst(&connection("r0", 1, "Disconnecting", "Unknown"));
    world.burst(PATH_DOWN);
    world.burst(&connection("r0", 1, "StandAlone", "Unknown"));
}

#[test]
fn a_link_lost_in_its_handshake_is_repaired() {
    let mut world = crashed(app());
    trapped(&mut world);
    assert_eq!(world.said(), [""; 0], "on its way down a link is StandAlone for a moment");
    world.seconds(1);
    assert_eq!(
        world.all(),
        ["Warn: r0: the connection to n2 is StandAlone: it was lost in its handshake", "adjust --skip-disk r0"]
    );
    world.burst(&connection("r0", 1, "Connecting", "Unknown"));
    world.burst(&connection("r0", 1, "Connected", "Secondary"));
    world.seconds(600);
    assert_eq!(world.all().iter().filter(|text| text.starts_with("adjust")).count(), 0);
    assert_eq!(world.report().warnings, [""; 0]);
}

#[test]
fn one_that_dies_before_it_is_connected_too() {
    let mut world = crashed(app());
    world.burst(PATH_UP);
    world.burst(&connection("r0", 1, "Disconnecting", "Unknown"));
    world.burst(&connection("r0", 1, "StandAlone", "Unknown"));
    world.seconds(1);
    assert_eq!(world.said(), ["adjust --skip-disk r0"]);
}

#[test]
fn repairs_back_off() {
    let mut world = crashed(app());
    trapped(&mut world);
    world.seconds(1);
    assert_eq!(world.said(), ["adjust --skip-disk r0"]);
    for wait in [5, 10, 20] {
        world.burst(&connection("r0", 1, "Connecting", "Unknown"));
        trapped(&mut world);
        world.seconds(wait - 1);
        assert_eq!(world.said(), [""; 0], "{wait}");
        world.seconds(1);
        assert_eq!(world.said(), ["adjust --skip-disk r0"], "{wait}");
    }
}

#[test]
fn never_when_the_data_diverged() {
    let mut world = crashed(app());
    world.burst(PATH_UP);
    world.burst("call helper name:r0 peer-node-id:1 conn-name:n2 volume:0 minor:0 helper:initial-split-brain\n");
    world.burst("call helper name:r0 peer-node-id:1 conn-name:n2 volume:0 minor:0 helper:split-brain\n");
    world.burst(&connection("r0", 1, "Disconnecting", "Unknown"));
    world.burst(&connection("r0", 1, "StandAlone", "Unknown"));
    world.seconds(3600);
    let all = world.all();
    assert!(
        all.contains(&"Warn: r0: the connection to n2 is StandAlone: split brain, the data diverged".to_owned()),
        "{all:?}"
    );
    assert!(!all.contains(&"adjust --skip-disk r0".to_owned()));
    assert_eq!(world.report().warnings.len(), 1, "and it stays shown");
}

/// An adjust makes all connections anew: that of n2 would be repaired, and that of n3, whose data diverged, would be connected with it.
#[test]
fn a_repair_connects_no_other_link_that_is_to_stay_as_it_is() {
    let split_brain = "call helper name:r0 peer-node-id:2 conn-name:n3 volume:0 minor:0 helper:split-brain\n";
    for is_split_brain in [true, false] {
        let mut world = crashed(app());
        if is_split_brain {
            world.burst(&connection("r0", 2, "Connecting", "Unknown"));
            world.burst(split_brain);
        }
        world.burst(&connection("r0", 2, "Disconnecting", "Unknown"));
        world.burst(&connection("r0", 2, "StandAlone", "Unknown"));
        world.seconds(2);
        assert_eq!(world.said(), [""; 0]);
        let warnings = world.report().warnings.join("; ");
        assert_eq!(warnings.contains("split brain"), is_split_brain, "{warnings}");
        trapped(&mut world);
        world.seconds(1);
        assert_eq!(world.said_of_links(), ["connect r0 to 1"]);
        assert_eq!(world.why("connect"), "the connection to n2 is StandAlone: it was lost in its handshake");
        // With the same pauses.
        world.seconds(4);
        assert_eq!(world.said_of_links(), [""; 0]);
        world.seconds(1);
        assert_eq!(world.said_of_links(), ["connect r0 to 1"]);
        // Who connects n3 again, or removes it, has it adjusted with all others from then on.
        world.burst(&connection("r0", 2, "Unconnected", "Unknown"));
        world.burst(&connection("r0", 2, "Connecting", "Unknown"));
        world.seconds(10);
        assert_eq!(world.said_of_links(), ["adjust --skip-disk r0"]);
    }
}

#[test]
fn a_connect_that_failed_is_told_and_tried_again_and_makes_nobody_adjust() {
    let mut world = crashed(app());
    world.burst(&connection("r0", 2, "StandAlone", "Unknown"));
    world.silent = vec!["connect"];
    trapped(&mut world);
    world.seconds(1);
    let why = "r0: Failure: (124) Device is attached".to_owned();
    world.ends("connect r0 to 1", Outcome::Drbd(DrbdAnswer::Failed { why: why.clone() }));
    assert!(world.all().contains(&format!("Warn: r0: drbdsetup connect failed: {why}")));
    world.seconds(5);
    assert_eq!(world.said_of_links(), ["connect r0 to 1"]);
}

/// What failed is tried again, but for the time in which that would connect what is to stay as it is.
#[test]
fn an_adjust_that_failed_is_not_repeated_after_a_split_brain() {
    let said = "other.res:12: Parse error (exit code 10)".to_owned();
    let mut world = World::where_(|world| world.tools_fail = Some(said), &[("r0", app())]);
    world.dump("no");
    assert_eq!(world.said_of_links(), ["adjust r0"]);
    world.burst(&connection("r0", 2, "Connecting", "Unknown"));
    world.burst("call helper name:r0 peer-node-id:2 conn-name:n3 volume:0 minor:0 helper:split-brain\n");
    world.burst(&connection("r0", 2, "Disconnecting", "Unknown"));
    world.burst(&connection("r0", 2, "StandAlone", "Unknown"));
    world.seconds(3600);
    assert_eq!(world.said_of_links(), [""; 0]);
    let waits = "drbdadm adjust waits: it would make the connection to n3, which is StandAlone, anew".to_owned();
    assert!(world.report().warnings.contains(&waits), "{:?}", world.report().warnings);
    world.burst(&connection("r0", 2, "Unconnected", "Unknown"));
    assert_eq!(world.said_of_links(), ["adjust r0"]);
    assert!(!world.report().warnings.contains(&waits));
}

#[test]
fn a_link_that_was_disconnected_by_hand_is_only_reported() {
    let mut world = World::new(app());
    world.dump("no");
    world.seconds(3600);
    world.all();
    world.burst(&connection("r0", 1, "Disconnecting", "Unknown"));
    world.burst(&connection("r0", 1, "StandAlone", "Unknown"));
    world.seconds(3600);
    let all = world.all();
    assert!(all.iter().any(|text| text.contains("probably disconnected by hand")), "{all:?}");
    assert!(!all.contains(&"adjust --skip-disk r0".to_owned()));
}

#[test]
fn one_that_was_so_when_we_came_is_only_reported() {
    let mut world = World::new(app());
    world.source(Dialect::Drbd9);
    let text = picture("exists", "r0", "Secondary", "no")
        .replace("conn-name:n2 connection:Connected role:Secondary", "conn-name:n2 connection:StandAlone role:Unknown");
    world.burst(&(text + "exists -\n"));
    world.all();
    world.seconds(600);
    let all = world.all();
    assert!(all.iter().any(|text| text.contains("was so when we came")), "{all:?}");
    assert!(!all.contains(&"adjust --skip-disk r0".to_owned()));
}

#[test]
fn report_only_reports_and_off_is_silent() {
    let mut world = crashed(compat());
    trapped(&mut world);
    world.seconds(600);
    let all = world.all();
    assert!(all.iter().any(|text| text.starts_with("Warn: r0: the connection to n2")), "{all:?}");
    assert!(!all.contains(&"adjust --skip-disk r0".to_owned()));

    let mut world = crashed(PromotedResource { repair_links: RepairLinks::Off, ..app() });
    trapped(&mut world);
    world.seconds(100);
    assert_eq!(world.all(), [""; 0]);
}

#[test]
fn a_held_resource_is_not_repaired() {
    let mut world = crashed(app());
    world.operator(reactor_core::operator::OperatorVerb::Hold { why: String::new() });
    trapped(&mut world);
    world.seconds(100);
    assert_eq!(world.said(), [""; 0]);
}

/// "split brain" stuck to a link for ever: it was mended, and connected anew, and the next StandAlone had another cause.
#[test]
fn a_split_brain_that_was_mended_is_forgotten() {
    let mut world = crashed(app());
    world.burst("call helper name:r0 peer-node-id:1 conn-name:n2 helper:split-brain\n");
    world.burst(&connection("r0", 1, "Disconnecting", "Unknown"));
    world.burst(&connection("r0", 1, "StandAlone", "Unknown"));
    world.seconds(2);
    assert_eq!(world.report().warnings, ["the connection to n2 is StandAlone: split brain, the data diverged"]);
    assert_eq!(world.said(), [""; 0]);
    // Its data are thrown away over there, and the link connects; then it dies in its handshake.
    world.burst(&connection("r0", 1, "Unconnected", "Unknown"));
    assert_eq!(world.report().warnings, [""; 0], "somebody is at work");
    world.burst(&connection("r0", 1, "Connecting", "Unknown"));
    world.burst(PATH_UP);
    world.burst(&connection("r0", 1, "Disconnecting", "Unknown"));
    world.burst(&connection("r0", 1, "StandAlone", "Unknown"));
    world.seconds(2);
    assert_eq!(world.said(), ["adjust --skip-disk r0"]);
}

#[test]
fn a_repair_that_makes_the_connection_anew_is_not_repeated_without_a_pause() {
    let mut world = World::running(app());
    let mut repairs = 0;
    for _ in 0..300 {
        for text in world.said() {
            repairs += usize::from(text.starts_with("adjust"));
        }
        // As adjust does it: the connection is removed and made anew, and dies in its handshake once more.
        world.burst("destroy connection name:r0 peer-node-id:1 conn-name:n2\n");
        world.burst(
            "create connection name:r0 peer-node-id:1 conn-name:n2 connection:Connecting role:Unknown congested:no\n\
             create path name:r0 peer-node-id:1 conn-name:n2 local:ipv4:10.0.0.1:7000 peer:ipv4:10.0.0.2:7000 established:yes\n",
        );
        world.burst(&connection("r0", 1, "StandAlone", "Unknown"));
        world.seconds(2);
    }
    assert!((3..=9).contains(&repairs), "{repairs}");
}

/// The Primary is up already when the daemon starts, and has lost its disk: an attach would stop it and what writes, for good.
#[test]
fn nothing_of_ours_attaches_a_disk_under_a_writer() {
    let mut world = World::new(app());
    for unit in [TARGET, "drbd-promote@r0.service", "app.service"] {
        world.active(unit, ActiveState::Active);
    }
    assert_eq!(world.said(), [""; 0], "whether somebody writes here is not known yet");
    world.source(Dialect::Drbd9);
    let diskless = picture("exists", "r0", "Primary", "no").replace("disk:UpToDate client", "disk:Diskless client");
    world.burst(&(diskless + "exists -\n"));
    assert_eq!(world.said(), ["adjust --skip-disk r0"]);
    // The same for a repair, whatever the role.
    world.seconds(3600);
    world.burst(&PATH_UP.replace("change", "create"));
    world.burst(&connection("r0", 1, "Connecting", "Unknown"));
    trapped(&mut world);
    world.seconds(1);
    assert_eq!(world.said(), ["adjust --skip-disk r0"]);
}

#[test]
fn without_a_word_of_drbd_it_is_adjusted_all_the_same() {
    let mut world = World::new(app());
    world.seconds(1);
    assert_eq!(world.said(), [""; 0]);
    world.seconds(1);
    assert_eq!(world.said(), ["adjust r0"], "it may be drbdadm that loads the module");
}

#[test]
fn a_repair_that_worked_does_not_say_that_the_disks_are_there() {
    let said = "other.res:12: Parse error (exit code 10)".to_owned();
    let mut world = World::where_(|world| world.tools_fail = Some(said.clone()), &[("r0", app())]);
    world.dump("no");
    world.burst(&PATH_UP.replace("change", "create"));
    world.seconds(3600);
    world.burst(&connection("r0", 1, "Connecting", "Unknown"));
    world.all();
    world.tools_fail = None;
    trapped(&mut world);
    world.seconds(1);
    assert_eq!(world.said(), ["adjust --skip-disk r0"]);
    let failed = format!("drbdadm adjust failed: {said}; it is tried again");
    assert!(world.report().warnings.contains(&failed), "{:?}", world.report().warnings);
    world.seconds(300);
    assert!(world.said().contains(&"adjust r0".to_owned()));
    assert!(!world.report().warnings.contains(&failed));
}

/// Without any word of a path: how long it was Connected says whether it died in its handshake.
#[test]
fn a_link_that_was_connected_for_less_than_a_minute_died_in_its_handshake() {
    for (seconds, repaired) in [(1, true), (59, true), (60, false)] {
        let mut world = crashed(app());
        world.burst(&connection("r0", 1, "Connected", "Secondary"));
        world.seconds(seconds);
        world.said();
        world.burst(&connection("r0", 1, "Disconnecting", "Unknown"));
        world.burst(&connection("r0", 1, "StandAlone", "Unknown"));
        world.seconds(1);
        assert_eq!(!world.said_of_links().is_empty(), repaired, "{seconds}: {:?}", world.report().warnings);
    }
}

#[test]
fn a_link_that_held_for_a_minute_is_healed_and_the_next_repair_is_the_first() {
    for (held, waits) in [(59, true), (60, false)] {
        let mut world = crashed(app());
        // After repairs for ten minutes, just after the last one, it connects.
        trapped(&mut world);
        world.seconds(640);
        world.said();
        world.burst(&connection("r0", 1, "Connecting", "Unknown"));
        world.burst(&connection("r0", 1, "Connected", "Secondary"));
        world.seconds(held);
        world.burst(&connection("r0", 1, "Connecting", "Unknown"));
        trapped(&mut world);
        world.seconds(1);
        assert_eq!(world.said_of_links().is_empty(), waits, "{held}");
    }
}

/// DRBD called its handler, and resolved it itself: the link was Connected without anybody's doing.
#[test]
fn a_split_brain_that_drbd_resolved_is_forgotten() {
    let mut world = crashed(app());
    world.burst(PATH_UP);
    world.burst("call helper name:r0 peer-node-id:1 conn-name:n2 helper:initial-split-brain\n");
    world.burst(&connection("r0", 1, "Connected", "Secondary"));
    world.burst(&connection("r0", 1, "Disconnecting", "Unknown"));
    world.burst(&connection("r0", 1, "StandAlone", "Unknown"));
    world.seconds(1);
    assert_eq!(world.said_of_links(), ["adjust --skip-disk r0"]);
}

#[test]
fn a_repair_that_takes_its_time_is_waited_for() {
    let mut world = crashed(app());
    world.silent = vec!["adjust"];
    trapped(&mut world);
    world.seconds(60);
    assert_eq!(world.said_of_links(), ["adjust --skip-disk r0"]);
    let repairs = |world: &World| {
        let counters = world.core.instances().iter().flat_map(reactor_core::core::Instance::counters);
        counters.filter(|counter| counter.name == "link_repairs").map(|counter| counter.value).sum::<u64>()
    };
    assert_eq!(repairs(&world), 1);
    world.ends("adjust --skip-disk r0", Outcome::Drbd(DrbdAnswer::Done));
    assert_eq!(world.said_of_links(), ["adjust --skip-disk r0"], "its pause is long over");
    assert_eq!(repairs(&world), 2);
}

/// Another link that is well has no pause because of it.
#[test]
fn the_pause_after_a_repair_is_that_of_the_link_that_was_lost() {
    let mut world = crashed(app());
    for state in ["NetworkFailure", "Connecting", "Connected"] {
        world.burst(&connection("r0", 2, state, "Secondary"));
    }
    trapped(&mut world);
    world.seconds(1);
    assert_eq!(world.said_of_links(), ["adjust --skip-disk r0"]);
    world.burst(&connection("r0", 1, "Connecting", "Unknown"));
    world.burst(&connection("r0", 1, "Connected", "Secondary"));
    for state in ["Disconnecting", "StandAlone"] {
        world.burst(&connection("r0", 2, state, "Unknown"));
    }
    world.seconds(1);
    assert_eq!(world.said_of_links(), ["adjust --skip-disk r0"]);
}
