//! DRBD's part of the status: availability by the role, and apart from it what is not as it should be. Every row of what OpenSVC made of a DRBD
//! resource is here, also those that it got wrong: a degraded peer that made a node unusable, a client without a disk that was down, several volumes
//! that were taken for one word, one bad peer that hid another.

use expect_test::{Expect, expect};

use crate::world::{World, app, connection, device, device_as, peer_device};

/// What is told after these lines, of r0 with two peers that are well.
fn told(role: &str, lines: &str, expected: &Expect) {
    let mut world = World::new(app());
    world.dump("no");
    if role != "Secondary" {
        world.resource(role, "no");
    }
    world.burst(lines);
    let report = world.report();
    let mut text = format!("{}: {}\n", report.drbd.availability, report.drbd.words);
    for what in report.degraded {
        text.push_str(&format!("  {what}\n"));
    }
    expected.assert_eq(&text);
}

#[test]
fn all_up_to_date_is_up_where_it_is_primary_and_standby_where_it_is_not() {
    told(
        "Primary",
        "",
        &expect![[r#"
        up: Primary UpToDate; n2: UpToDate; n3: UpToDate
    "#]],
    );
    told(
        "Secondary",
        "",
        &expect![[r#"
        stdby up: Secondary UpToDate; n2: UpToDate; n3: UpToDate
    "#]],
    );
}

#[test]
fn what_is_not_configured_is_down_as_a_standby() {
    let mut world = World::new(app());
    world.source(reactor_core::input::Dialect::Drbd9);
    world.burst("exists -\n");
    let report = world.report();
    assert_eq!((report.drbd.availability.as_str(), report.drbd.words.as_str()), ("stdby down", "not configured"));
    assert_eq!(report.degraded, ["DRBD does not have it here"]);
}

#[test]
fn while_nothing_is_heard_of_drbd_nothing_is_known() {
    let mut world = World::running(app());
    assert_eq!(world.report().availability.as_str(), "up");
    world.source_dies();
    assert_eq!(world.report().drbd.availability.as_str(), "undef");
}

#[test]
fn a_bad_peer_is_no_matter_of_availability_and_hides_no_other() {
    let away = |peer, state| connection("r0", peer, state, "Unknown");
    let lines = format!(
        "{}{}{}{}",
        away(1, "StandAlone"),
        peer_device("r0", 1, 0, "Off", "DUnknown"),
        away(2, "Connecting"),
        peer_device("r0", 2, 0, "Off", "DUnknown")
    );
    told(
        "Primary",
        &lines,
        &expect![[r#"
        up: Primary UpToDate; n2: StandAlone; n3: Connecting
          n2 is not connected: StandAlone (possibly split brain, see: reactorctl doctor r0)
          n3 is not connected: Connecting
    "#]],
    );
    told(
        "Secondary",
        &lines,
        &expect![[r#"
        stdby up: Secondary UpToDate; n2: StandAlone; n3: Connecting
          n2 is not connected: StandAlone (possibly split brain, see: reactorctl doctor r0)
          n3 is not connected: Connecting
    "#]],
    );
    for state in
        ["Disconnecting", "Unconnected", "Timeout", "BrokenPipe", "NetworkFailure", "ProtocolError", "TearDown"]
    {
        let mut world = World::running(app());
        world.burst(&away(1, state));
        let report = world.report();
        assert_eq!(report.availability.as_str(), "up", "{state}");
        assert_eq!(report.degraded, [format!("n2 is not connected: {state}")]);
    }
}

#[test]
fn a_peer_with_an_older_disk_degrades() {
    told(
        "Primary",
        &peer_device("r0", 1, 0, "SyncSource", "Inconsistent"),
        &expect![[r#"
        up: Primary UpToDate; n2: Inconsistent; n3: UpToDate
          volume 0 is Inconsistent on n2
    "#]],
    );
    told(
        "Primary",
        &peer_device("r0", 1, 0, "Established", "Outdated"),
        &expect![[r#"
        up: Primary UpToDate; n2: Outdated; n3: UpToDate
          volume 0 is Outdated on n2
    "#]],
    );
}

#[test]
fn a_secondary_that_is_being_synced_is_standby_up_and_one_that_lost_its_disk_is_not() {
    told(
        "Secondary",
        &device("r0", 0, "Inconsistent", "yes"),
        &expect![[r#"
        stdby up: Secondary Inconsistent; n2: UpToDate; n3: UpToDate
          volume 0 is Inconsistent here
    "#]],
    );
    told(
        "Secondary",
        &device("r0", 0, "Diskless", "yes"),
        &expect![[r#"
        stdby down: Secondary Diskless; n2: UpToDate; n3: UpToDate
          volume 0 is Diskless here
    "#]],
    );
    told(
        "Secondary",
        &device("r0", 0, "Failed", "yes"),
        &expect![[r#"
        stdby down: Secondary Failed; n2: UpToDate; n3: UpToDate
          volume 0 is Failed here
    "#]],
    );
    told(
        "Primary",
        &device("r0", 0, "Diskless", "yes"),
        &expect![[r#"
        up: Primary Diskless; n2: UpToDate; n3: UpToDate
          volume 0 is Diskless here
    "#]],
    );
}

#[test]
fn a_node_without_a_disk_on_purpose_is_well() {
    told(
        "Secondary",
        &device_as("change", "r0", 0, "Diskless", "yes", "yes"),
        &expect![[r#"
        stdby up: Secondary diskless on purpose; n2: UpToDate; n3: UpToDate
    "#]],
    );
}

#[test]
fn each_volume_has_its_word() {
    let second = format!(
        "{}{}",
        device_as("create", "r0", 1, "Inconsistent", "yes", "no"),
        peer_device("r0", 1, 0, "Established", "UpToDate")
    );
    told(
        "Secondary",
        &second,
        &expect![[r#"
        stdby up: Secondary UpToDate (volume 0), Inconsistent (volume 1); n2: UpToDate; n3: UpToDate
          volume 1 is Inconsistent here
    "#]],
    );
}

#[test]
fn a_lost_quorum_is_said() {
    told(
        "Primary",
        &device("r0", 0, "UpToDate", "no"),
        &expect![[r#"
        up: Primary UpToDate; n2: UpToDate; n3: UpToDate
          no quorum on volume 0
    "#]],
    );
}
