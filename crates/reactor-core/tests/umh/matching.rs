//! Which rules fire on which lines.

use reactor_core::drbd::types::{ConnectionState, DiskState, ReplicationState, ResyncSuspended, Role, Suspended};
use reactor_core::settings::umh::{
    ConnectionConditions, DeviceConditions, Edge, EventSet, HelperConditions, HelperMoment, Matcher, PathConditions,
    PeerDeviceConditions, ResourceConditions, Rule, When,
};

use crate::world::{World, any_resource, becomes, device, disk, helper, is, matches, quorum, rule};

/// Lines about the objects of the dump, so that a table below stays readable.
const RESOURCE: &str =
    "change resource name:r0 role:Secondary suspended:no force-io-failures:no may_promote:yes promotion_score:10101";
const DEVICE: &str = "change device name:r0 volume:0 minor:1000 backing_dev:/dev/vg/r0 disk:UpToDate client:no quorum:yes size:1024 open:no";
const CONNECTION: &str =
    "change connection name:r0 peer-node-id:1 conn-name:beta connection:Connected role:Secondary congested:no";
const PEER: &str = "change peer-device name:r0 peer-node-id:1 conn-name:beta volume:0 replication:Established peer-disk:UpToDate peer-client:no resync-suspended:no";
const PATH: &str = "change path name:r0 peer-node-id:1 conn-name:beta local:ipv4:10.0.0.1:7000 peer:ipv4:10.0.0.2:7000 established:yes";

/// A line of the dump as a change, with some words replaced (`disk:Failed`).
fn changed(line: &str, words: &str) -> String {
    let mut line = line.to_owned();
    for word in words.split_whitespace() {
        let (key, _) = word.split_once(':').unwrap();
        let old = line.split(' ').find(|old| old.split_once(':').is_some_and(|(known, _)| known == key));
        line = line.replace(&format!(" {}", old.unwrap()), &format!(" {word}"));
    }
    line
}

/// Whether a rule fires on a line that comes after the dump.
fn fires(rule: &Rule, line: &str) -> bool {
    let mut world = World::settled(std::slice::from_ref(rule));
    world.lines(line);
    !world.runs().is_empty()
}

fn check(when: When, line: &str, expected: bool) {
    let rule = rule("x", when);
    assert_eq!(fires(&rule, line), expected, "{rule:?}\non {line}");
}

#[test]
fn every_field_of_a_resource() {
    let table: [(ResourceConditions, &str); 5] = [
        (ResourceConditions { role: is(Role::Primary), ..Default::default() }, "role:Primary"),
        (ResourceConditions { may_promote: is(false), ..Default::default() }, "may_promote:no"),
        (ResourceConditions { promotion_score: is(7), ..Default::default() }, "promotion_score:7"),
        (ResourceConditions { suspended: is(Suspended::QUORUM), ..Default::default() }, "suspended:quorum"),
        (ResourceConditions { force_io_failures: is(true), ..Default::default() }, "force-io-failures:yes"),
    ];
    for (at, (new, words)) in table.iter().enumerate() {
        for (other, (_, others)) in table.iter().enumerate() {
            let when = When::Resource(Edge { old: Default::default(), new: new.clone() });
            check(when, &changed(RESOURCE, others), at == other);
        }
        let when = When::Resource(Edge { old: new.clone(), new: Default::default() });
        check(when, &changed(RESOURCE, words), false);
    }
}

#[test]
fn every_field_of_a_device() {
    let table: [(DeviceConditions, &str); 5] = [
        (disk(DiskState::Failed), "disk:Failed"),
        (DeviceConditions { client: is(true), ..Default::default() }, "client:yes"),
        (quorum(false), "quorum:no"),
        (DeviceConditions { size: is(2048), ..Default::default() }, "size:2048"),
        (DeviceConditions { open: is(true), ..Default::default() }, "open:yes"),
    ];
    for (at, (new, _)) in table.iter().enumerate() {
        for (other, (_, words)) in table.iter().enumerate() {
            check(device(Default::default(), new.clone()), &changed(DEVICE, words), at == other);
        }
    }
    let one = |volume| When::Device { volume: is(volume), edge: Edge::default() };
    check(one(0), &changed(DEVICE, "disk:Failed"), true);
    check(one(1), &changed(DEVICE, "disk:Failed"), false);
}

#[test]
fn every_field_of_a_connection() {
    let table: [(ConnectionConditions, &str); 3] = [
        (
            ConnectionConditions { connection_state: is(ConnectionState::StandAlone), ..Default::default() },
            "connection:StandAlone",
        ),
        (ConnectionConditions { peer_role: is(Role::Primary), ..Default::default() }, "role:Primary"),
        (ConnectionConditions { congested: is(true), ..Default::default() }, "congested:yes"),
    ];
    for (at, (new, _)) in table.iter().enumerate() {
        for (other, (_, words)) in table.iter().enumerate() {
            let edge = Edge { old: Default::default(), new: new.clone() };
            check(When::Connection { peer_node_id: is(1), edge }, &changed(CONNECTION, words), at == other);
        }
    }
    let named = |name: &str| {
        let new = ConnectionConditions { conn_name: is(name.to_owned()), ..Default::default() };
        When::Connection { peer_node_id: None, edge: Edge { old: Default::default(), new } }
    };
    check(named("beta"), &changed(CONNECTION, "congested:yes"), true);
    check(named("gamma"), &changed(CONNECTION, "congested:yes"), false);
    let other = When::Connection { peer_node_id: is(2), edge: Edge::default() };
    check(other, &changed(CONNECTION, "congested:yes"), false);
}

#[test]
fn every_field_of_a_peer_device() {
    let user = ResyncSuspended::USER;
    let table: [(PeerDeviceConditions, &str); 5] = [
        (
            PeerDeviceConditions { replication_state: is(ReplicationState::SyncSource), ..Default::default() },
            "replication:SyncSource",
        ),
        (PeerDeviceConditions { peer_disk_state: is(DiskState::Outdated), ..Default::default() }, "peer-disk:Outdated"),
        (PeerDeviceConditions { peer_client: is(true), ..Default::default() }, "peer-client:yes"),
        (PeerDeviceConditions { resync_suspended: is(user), ..Default::default() }, "resync-suspended:user"),
        (PeerDeviceConditions { resync_suspended_at_all: is(true), ..Default::default() }, "resync-suspended:peer"),
    ];
    for (at, (new, _)) in table.iter().enumerate() {
        for (other, (_, words)) in table.iter().enumerate() {
            let edge = Edge { old: Default::default(), new: new.clone() };
            let when = When::PeerDevice { volume: is(0), peer_node_id: is(1), edge };
            // "Suspended at all" holds for any reason.
            let expected = at == other || (at == 4 && other == 3);
            check(when, &changed(PEER, words), expected);
        }
    }
    let other = When::PeerDevice { volume: None, peer_node_id: is(2), edge: Edge::default() };
    check(other, &changed(PEER, "peer-disk:Outdated"), false);
}

#[test]
fn every_field_of_a_path() {
    let path = |local, peer, established| When::Path {
        peer_node_id: is(1),
        local,
        peer,
        edge: Edge { old: Default::default(), new: PathConditions { established } },
    };
    let down = changed(PATH, "established:no");
    check(path(None, None, is(false)), &down, true);
    check(path(None, None, is(true)), &down, false);
    check(path(matches("^ipv4:10\\.0\\.0\\.1:"), None, None), &down, true);
    check(path(None, matches("^ipv4:10\\.9\\."), None), &down, false);
}

#[test]
fn helper_calls_and_responses() {
    let call = "call helper name:r0 peer-node-id:1 conn-name:beta volume:0 minor:1000 helper:before-resync-target";
    let response = format!("{call} status:1024").replacen("call", "response", 1);
    let name = "before-resync-target";
    let table: [(HelperConditions, bool, bool); 7] = [
        (helper(name, HelperMoment::Call), true, false),
        (helper(name, HelperMoment::Response), false, true),
        (helper(name, HelperMoment::Answer), false, false),
        (helper("fence-peer", HelperMoment::Call), false, false),
        // The raw wait status 1024 is exit code 4.
        (HelperConditions { status: is(4), ..helper(name, HelperMoment::Response) }, false, true),
        (HelperConditions { status: is(0), ..helper(name, HelperMoment::Response) }, false, false),
        (HelperConditions { volume: is(0), peer_node_id: is(1), ..helper(name, HelperMoment::Call) }, true, false),
    ];
    for (conditions, on_call, on_response) in table {
        check(When::Helper(conditions.clone()), call, on_call);
        check(When::Helper(conditions), &response, on_response);
    }
    // A call that names no volume meets no condition on it.
    let conditions = HelperConditions { volume: is(0), ..helper("disconnected", HelperMoment::Call) };
    check(When::Helper(conditions), "call helper name:r0 peer-node-id:1 conn-name:beta helper:disconnected", false);
}

#[test]
fn old_and_new_together_are_an_edge() {
    let edge = device(disk(DiskState::UpToDate), disk(DiskState::Failed));
    check(edge.clone(), &changed(DEVICE, "disk:Failed"), true);
    let two = format!("{}\n{}", changed(DEVICE, "disk:Attaching"), changed(DEVICE, "disk:Failed"));
    check(edge, &two, false);
}

#[test]
fn lists_negations_and_patterns() {
    let new = |disk_state| device(Default::default(), DeviceConditions { disk_state, ..Default::default() });
    let failed = changed(DEVICE, "disk:Failed");
    let bad = vec![DiskState::Failed, DiskState::Diskless];
    check(new(Some(Matcher::In(bad.clone()))), &failed, true);
    check(new(Some(Matcher::NotIn(bad))), &failed, false);
    check(new(matches("Failed|Diskless")), &failed, true);
    // A word of a DRBD that does not exist yet.
    check(new(matches("^Quantum")), &changed(DEVICE, "disk:QuantumFoam"), true);
    let named = |resource| Rule { resource, ..rule("x", becomes(Role::Primary)) };
    let primary = changed(RESOURCE, "role:Primary");
    assert!(fires(&named(is("r0".to_owned())), &primary));
    assert!(!fires(&named(is("r1".to_owned())), &primary));
    assert!(fires(&named(matches("^r[0-9]$")), &primary));
    assert!(!fires(&named(Some(Matcher::NotIn(vec!["r0".to_owned()]))), &primary));
}

#[test]
fn a_rule_without_conditions_sees_what_drbd_reactor_calls_a_change_and_no_more() {
    check(any_resource(), &changed(RESOURCE, "promotion_score:1"), true);
    // Fields that drbd-reactor does not compare.
    check(any_resource(), &changed(RESOURCE, "suspended:user"), false);
    check(any_resource(), &changed(RESOURCE, "force-io-failures:yes"), false);
    check(device(Default::default(), Default::default()), &changed(DEVICE, "backing_dev:/dev/vg/other"), false);
    // But who names the field sees it.
    let new = ResourceConditions { suspended: Some(Matcher::NotIn(vec![Suspended::default()])), ..Default::default() };
    let when = When::Resource(Edge { old: Default::default(), new });
    check(when.clone(), &changed(RESOURCE, "suspended:user"), true);
    check(when, &changed(RESOURCE, "force-io-failures:yes"), false);
}

#[test]
fn event_types() {
    let set = |exists, create, change, destroy| EventSet { exists, create, change, destroy, ..EventSet::NONE };
    let table = [
        (set(true, false, false, false), [1, 0, 0, 0]),
        (set(false, true, false, false), [0, 1, 0, 0]),
        (set(false, false, true, false), [0, 0, 1, 0]),
        (set(false, false, false, true), [0, 0, 0, 1]),
        (EventSet::ALL, [1, 1, 1, 1]),
        (EventSet::NONE, [0, 0, 0, 0]),
    ];
    for (events, expected) in table {
        let mut world = World::new(&[Rule { events, ..rule("x", any_resource()) }]);
        let fired = [
            crate::world::DUMP,
            "create resource name:r1 role:Secondary suspended:no may_promote:no promotion_score:0",
            "change resource name:r1 role:Primary suspended:no may_promote:no promotion_score:0",
            "destroy resource name:r1",
        ]
        .map(|lines| {
            world.lines(lines);
            world.runs().len()
        });
        assert_eq!(fired, expected, "{events:?}");
    }
}

#[test]
fn what_drbd_does_not_report_meets_no_condition() {
    // drbd-utils before 9.28 print no `open`.
    let line = "create device name:r0 volume:1 minor:1001 backing_dev:none disk:Diskless client:no quorum:no size:0";
    let change = "change device name:r0 volume:1 minor:1001 backing_dev:none disk:Attaching client:no quorum:no size:0";
    for open in [is(false), Some(Matcher::NotIn(vec![true]))] {
        let new = DeviceConditions { open, ..Default::default() };
        let rule = Rule { events: EventSet::ALL, ..rule("x", device(Default::default(), new)) };
        let mut world = World::settled(&[rule]);
        world.lines(&format!("{line}\n{change}"));
        assert_eq!(world.fired(), Vec::<String>::new());
    }
}

#[test]
fn all_rules_that_match_start_in_the_order_of_the_file() {
    let rules = ["c", "a", "b"].map(|name| rule(name, becomes(Role::Primary)));
    let mut world = World::settled(&rules);
    world.lines(&changed(RESOURCE, "role:Primary"));
    assert_eq!(world.fired(), ["c", "a", "b"]);
}
