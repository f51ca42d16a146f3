//! What a handler is given: its whole environment, for each kind of object.

use expect_test::{Expect, expect};
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};
use reactor_core::settings::umh::{Edge, EventSet, HelperMoment, Rule, When};

use crate::world::{DUMP, World, any_resource, device, helper, rule};

/// The environment of the one handler that these lines start.
fn check(when: When, lines: &str, expected: &Expect) {
    let mut world = World::settled(&[Rule { events: EventSet::ALL, ..rule("x", when) }]);
    world.lines(lines);
    assert_env(&mut world, expected);
}

fn assert_env(world: &mut World, expected: &Expect) {
    let mut runs = world.runs();
    assert_eq!(runs.len(), 1);
    let mut env: Vec<String> = runs.remove(0).1.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    env.sort();
    expected.assert_eq(&env.join("\n"));
}

#[test]
fn of_a_resource() {
    check(
        any_resource(),
        "change resource name:r0 role:Primary suspended:quorum,user force-io-failures:no may_promote:no promotion_score:10101",
        &expect![[r#"
            DRBD_EVENT_OBJECT=resource
            DRBD_EVENT_ORIGIN=live
            DRBD_EVENT_RULE=x
            DRBD_EVENT_SEQ=6
            DRBD_EVENT_TYPE=Change
            DRBD_NEW_FORCE_IO_FAILURES=false
            DRBD_NEW_MAY_PROMOTE=false
            DRBD_NEW_PROMOTION_SCORE=10101
            DRBD_NEW_ROLE=Primary
            DRBD_NEW_SUSPENDED=user,quorum
            DRBD_OLD_FORCE_IO_FAILURES=false
            DRBD_OLD_MAY_PROMOTE=true
            DRBD_OLD_PROMOTION_SCORE=10101
            DRBD_OLD_ROLE=Secondary
            DRBD_OLD_SUSPENDED=no
            DRBD_RES_NAME=r0
            HOME=/
            PATH=/sbin:/usr/sbin:/bin:/usr/bin
            TERM=Linux"#]],
    );
}

#[test]
fn of_a_device() {
    let any = || device(Default::default(), Default::default());
    check(
        any(),
        "change device name:r0 volume:0 minor:1000 backing_dev:none disk:Diskless client:no quorum:no size:1024 open:yes",
        &expect![[r#"
            DRBD_BACKING_DEV=none
            DRBD_BACKING_DEV_0=none
            DRBD_EVENT_OBJECT=device
            DRBD_EVENT_ORIGIN=live
            DRBD_EVENT_RULE=x
            DRBD_EVENT_SEQ=6
            DRBD_EVENT_TYPE=Change
            DRBD_MINOR=1000
            DRBD_MINOR_0=1000
            DRBD_NEW_CLIENT=false
            DRBD_NEW_DISK_STATE=Diskless
            DRBD_NEW_OPEN=true
            DRBD_NEW_QUORUM=false
            DRBD_NEW_SIZE_KIB=1024
            DRBD_OLD_CLIENT=false
            DRBD_OLD_DISK_STATE=UpToDate
            DRBD_OLD_OPEN=false
            DRBD_OLD_QUORUM=true
            DRBD_OLD_SIZE_KIB=1024
            DRBD_RES_NAME=r0
            DRBD_VOLUME=0
            HOME=/
            PATH=/sbin:/usr/sbin:/bin:/usr/bin
            TERM=Linux"#]],
    );
    // Gone: no minor and no backing device, as with drbd-reactor.
    check(
        any(),
        "destroy device name:r0 volume:0",
        &expect![[r#"
        DRBD_EVENT_OBJECT=device
        DRBD_EVENT_ORIGIN=live
        DRBD_EVENT_RULE=x
        DRBD_EVENT_SEQ=7
        DRBD_EVENT_TYPE=Destroy
        DRBD_NEW_CLIENT=false
        DRBD_NEW_DISK_STATE=DUnknown
        DRBD_NEW_OPEN=false
        DRBD_NEW_QUORUM=false
        DRBD_NEW_SIZE_KIB=0
        DRBD_OLD_CLIENT=false
        DRBD_OLD_DISK_STATE=UpToDate
        DRBD_OLD_OPEN=false
        DRBD_OLD_QUORUM=true
        DRBD_OLD_SIZE_KIB=1024
        DRBD_RES_NAME=r0
        DRBD_VOLUME=0
        HOME=/
        PATH=/sbin:/usr/sbin:/bin:/usr/bin
        TERM=Linux"#]],
    );
}

#[test]
fn of_a_peer_device() {
    check(
        When::PeerDevice { volume: None, peer_node_id: None, edge: Edge::default() },
        "change peer-device name:r0 peer-node-id:1 conn-name:beta volume:0 replication:PausedSyncS peer-disk:Inconsistent peer-client:no resync-suspended:user,peer",
        &expect![[r#"
            DRBD_BACKING_DEV=/dev/vg/r0
            DRBD_BACKING_DEV_0=/dev/vg/r0
            DRBD_CONN_NAME=beta
            DRBD_EVENT_OBJECT=peer-device
            DRBD_EVENT_ORIGIN=live
            DRBD_EVENT_RULE=x
            DRBD_EVENT_SEQ=6
            DRBD_EVENT_TYPE=Change
            DRBD_MINOR=1000
            DRBD_MINOR_0=1000
            DRBD_NEW_PEER_CLIENT=false
            DRBD_NEW_PEER_DISK_STATE=Inconsistent
            DRBD_NEW_PEER_REPLICATION_STATE=PausedSyncS
            DRBD_NEW_PEER_RESYNC_SUSPENDED=true
            DRBD_NEW_PEER_RESYNC_SUSPENDED_BY=user,peer
            DRBD_OLD_PEER_CLIENT=false
            DRBD_OLD_PEER_DISK_STATE=UpToDate
            DRBD_OLD_PEER_REPLICATION_STATE=Established
            DRBD_OLD_PEER_RESYNC_SUSPENDED=false
            DRBD_OLD_PEER_RESYNC_SUSPENDED_BY=no
            DRBD_PEER_NODE_ID=1
            DRBD_RES_NAME=r0
            DRBD_VOLUME=0
            HOME=/
            PATH=/sbin:/usr/sbin:/bin:/usr/bin
            TERM=Linux"#]],
    );
}

#[test]
fn of_a_connection() {
    let any = || When::Connection { peer_node_id: None, edge: Edge::default() };
    check(
        any(),
        "change connection name:r0 peer-node-id:1 conn-name:beta connection:NetworkFailure role:Unknown congested:no",
        &expect![[r#"
            DRBD_CONN_NAME=beta
            DRBD_CSTATE=NetworkFailure
            DRBD_EVENT_OBJECT=connection
            DRBD_EVENT_ORIGIN=live
            DRBD_EVENT_RULE=x
            DRBD_EVENT_SEQ=6
            DRBD_EVENT_TYPE=Change
            DRBD_NEW_CONGESTED=false
            DRBD_NEW_CONN_NAME=beta
            DRBD_NEW_CONN_STATE=NetworkFailure
            DRBD_NEW_PEER_ROLE=Unknown
            DRBD_OLD_CONGESTED=false
            DRBD_OLD_CONN_NAME=beta
            DRBD_OLD_CONN_STATE=Connected
            DRBD_OLD_PEER_ROLE=Secondary
            DRBD_PEER_NODE_ID=1
            DRBD_RES_NAME=r0
            HOME=/
            PATH=/sbin:/usr/sbin:/bin:/usr/bin
            TERM=Linux"#]],
    );
    check(
        any(),
        "create connection name:r0 peer-node-id:2 conn-name:gamma connection:StandAlone role:Unknown congested:no",
        &expect![[r#"
            DRBD_CONN_NAME=gamma
            DRBD_CSTATE=StandAlone
            DRBD_EVENT_OBJECT=connection
            DRBD_EVENT_ORIGIN=live
            DRBD_EVENT_RULE=x
            DRBD_EVENT_SEQ=6
            DRBD_EVENT_TYPE=Create
            DRBD_NEW_CONGESTED=false
            DRBD_NEW_CONN_NAME=gamma
            DRBD_NEW_CONN_STATE=StandAlone
            DRBD_NEW_PEER_ROLE=Unknown
            DRBD_OLD_CONGESTED=false
            DRBD_OLD_CONN_NAME=
            DRBD_OLD_CONN_STATE=StandAlone
            DRBD_OLD_PEER_ROLE=Unknown
            DRBD_PEER_NODE_ID=2
            DRBD_RES_NAME=r0
            HOME=/
            PATH=/sbin:/usr/sbin:/bin:/usr/bin
            TERM=Linux"#]],
    );
}

#[test]
fn of_a_path() {
    check(
        When::Path { peer_node_id: None, local: None, peer: None, edge: Edge::default() },
        "change path name:r0 peer-node-id:1 conn-name:beta local:ipv4:10.0.0.1:7000 peer:ipv4:10.0.0.2:7000 established:no",
        &expect![[r#"
            DRBD_CONN_NAME=beta
            DRBD_EVENT_OBJECT=path
            DRBD_EVENT_ORIGIN=live
            DRBD_EVENT_RULE=x
            DRBD_EVENT_SEQ=6
            DRBD_EVENT_TYPE=Change
            DRBD_NEW_PATH_ESTABLISHED=false
            DRBD_OLD_PATH_ESTABLISHED=true
            DRBD_PATH_LOCAL=ipv4:10.0.0.1:7000
            DRBD_PATH_PEER=ipv4:10.0.0.2:7000
            DRBD_PEER_NODE_ID=1
            DRBD_RES_NAME=r0
            HOME=/
            PATH=/sbin:/usr/sbin:/bin:/usr/bin
            TERM=Linux"#]],
    );
}

#[test]
fn of_a_helper() {
    check(
        When::Helper(helper("before-resync-target", HelperMoment::Response)),
        "response helper name:r0 peer-node-id:1 conn-name:beta volume:0 minor:1000 helper:before-resync-target status:1024",
        &expect![[r#"
            DRBD_BACKING_DEV=/dev/vg/r0
            DRBD_BACKING_DEV_0=/dev/vg/r0
            DRBD_CONN_NAME=beta
            DRBD_EVENT_OBJECT=helper
            DRBD_EVENT_ORIGIN=live
            DRBD_EVENT_RULE=x
            DRBD_EVENT_SEQ=6
            DRBD_EVENT_TYPE=Helper
            DRBD_HELPER=before-resync-target
            DRBD_HELPER_EVENT=response
            DRBD_HELPER_STATUS=4
            DRBD_MINOR=1000
            DRBD_MINOR_0=1000
            DRBD_PEER_NODE_ID=1
            DRBD_RES_NAME=r0
            DRBD_VOLUME=0
            HOME=/
            PATH=/sbin:/usr/sbin:/bin:/usr/bin
            TERM=Linux"#]],
    );
}

#[test]
fn of_drbd_84_which_reports_less() {
    let mut world = World::new(&[rule("x", device(Default::default(), Default::default()))]);
    world.step(&Input::Source(
        SourceId::Drbd,
        SourceEvent::Started { command: "test".to_owned(), dialect: Some(Dialect::Drbd84) },
    ));
    world.lines(
        "exists resource name:r0 role:Secondary suspended:no
         exists connection name:r0 peer-node-id:0 conn-name:peer connection:Connected role:Secondary
         exists device name:r0 volume:0 minor:0 disk:UpToDate
         exists -
         change device name:r0 volume:0 minor:0 disk:Failed",
    );
    // Not "false": DRBD 8.4 has no quorum that could be lost.
    assert_env(
        &mut world,
        &expect![[r#"
        DRBD_EVENT_OBJECT=device
        DRBD_EVENT_ORIGIN=live
        DRBD_EVENT_RULE=x
        DRBD_EVENT_SEQ=4
        DRBD_EVENT_TYPE=Change
        DRBD_MINOR=0
        DRBD_MINOR_0=0
        DRBD_NEW_DISK_STATE=Failed
        DRBD_OLD_DISK_STATE=UpToDate
        DRBD_RES_NAME=r0
        DRBD_VOLUME=0
        HOME=/
        PATH=/sbin:/usr/sbin:/bin:/usr/bin
        TERM=Linux"#]],
    );
}

#[test]
fn names_from_the_kernel_stay_data() {
    let mut world = World::settled(&[Rule { events: EventSet::ALL, ..rule("x", any_resource()) }]);
    world.lines("create resource name:$(reboot);`x`\0y role:Secondary suspended:no may_promote:no promotion_score:0");
    let run = world.runs().remove(0).1;
    assert_eq!(run.command, "run x");
    let name = run.env.iter().find(|(name, _)| name == "DRBD_RES_NAME").unwrap();
    assert_eq!(name.1, "$(reboot);`x`\u{fffd}y");
}

#[test]
fn every_variable_is_documented() {
    let any = [
        any_resource(),
        device(Default::default(), Default::default()),
        When::Connection { peer_node_id: None, edge: Edge::default() },
        When::PeerDevice { volume: None, peer_node_id: None, edge: Edge::default() },
        When::Path { peer_node_id: None, local: None, peer: None, edge: Edge::default() },
        When::Helper(helper("disconnected", HelperMoment::Response)),
        When::Helper(helper("before-resync-target", HelperMoment::Answer)),
    ];
    let rules: Vec<Rule> = any.into_iter().map(|when| Rule { events: EventSet::ALL, ..rule("x", when) }).collect();
    let mut world = World::new(&rules);
    world.lines(DUMP);
    world.lines(
        "response helper name:r0 peer-node-id:1 conn-name:beta volume:0 minor:1000 helper:disconnected status:0",
    );
    world.call(1, "before-resync-target", "r0", &[("DRBD_VOLUME", "0"), ("DRBD_PEER_NODE_ID", "1")], 60);
    let runs = world.runs();
    assert_eq!(runs.len(), rules.len());
    let documentation = include_str!("../../../../docs/umh.md");
    for (name, _) in runs.iter().flat_map(|(_, run)| &run.env) {
        let name = name.replace("_OLD_", "_{OLD,NEW}_").replace("_NEW_", "_{OLD,NEW}_");
        let name = match name.strip_prefix("DRBD_NODE_ID_") {
            Some(_) => "DRBD_NODE_ID_<id>".to_owned(),
            None => name.strip_suffix("_0").map_or(name.clone(), |name| format!("{name}_<volume>")),
        };
        assert!(documentation.contains(&name), "{name}");
    }
}
