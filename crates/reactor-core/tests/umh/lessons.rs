//! The defects of drbd-reactor in this part, each as a test that ours does not have it.

use std::collections::BTreeMap;
use std::time::Duration;

use expect_test::expect;
use reactor_core::action::{ActionKind, Call, Effect, HandlerEnd};
use reactor_core::drbd::types::{DiskState, Role};
use reactor_core::settings::UmhSettings;
use reactor_core::settings::umh::{Edge, EventSet, HandlerStdin, Rule, When};

use crate::world::{DUMP, World, any_resource, becomes, device, disk, quorum, rule, table};

const PRIMARY: &str =
    "change resource name:r0 role:Primary suspended:no force-io-failures:no may_promote:no promotion_score:10101";
const SECONDARY: &str =
    "change resource name:r0 role:Secondary suspended:no force-io-failures:no may_promote:yes promotion_score:10101";

fn env(world: &mut World) -> BTreeMap<String, String> {
    let mut runs = world.runs();
    assert_eq!(runs.len(), 1);
    runs.remove(0).1.env.into_iter().collect()
}

#[test]
fn a_storm_runs_max_parallel_queues_max_queued_and_drops_the_rest() {
    let limits = UmhSettings { max_parallel: 4, max_queued: 10, ..table(&[rule("storm", any_resource())]) };
    let mut world = World::settled_with(&limits);
    for _ in 0..50 {
        world.lines(PRIMARY);
        world.lines(SECONDARY);
    }
    let (mut started, mut notes) = (Vec::new(), Vec::new());
    for action in world.actions() {
        match action.kind {
            ActionKind::Call(Call::Handler(_)) => started.push(action.id),
            ActionKind::Effect(Effect::Note { text, .. }) => notes.push(text),
            kind => panic!("{kind:?}"),
        }
    }
    assert_eq!((started.len(), world.status("running"), world.status("queued")), (4, 4, 10));
    assert_eq!(world.status("handlers_dropped"), 86);
    // The log hears it at once, and the rest later in one line.
    assert_eq!(notes, ["rule storm: 1 handler(s) dropped, because max-queued = 10 wait already"]);
    world.pass(10.0);
    let ActionKind::Effect(Effect::Note { text, .. }) = &world.actions()[0].kind else { panic!() };
    assert_eq!(text, "rule storm: 85 handler(s) dropped, because max-queued = 10 wait already");
    // And all that was not dropped runs.
    while let Some(id) = started.pop() {
        world.done(id, HandlerEnd::Exited(0));
        started.extend(world.runs().into_iter().map(|(id, _)| id));
    }
    assert_eq!((world.status("handlers_succeeded"), world.status("running"), world.status("queued")), (14, 0, 0));
}

#[test]
fn every_end_of_a_handler_is_counted() {
    let ends = [
        (HandlerEnd::Exited(0), "handlers_succeeded"),
        (HandlerEnd::Exited(1), "handlers_failed"),
        (HandlerEnd::Signalled(11), "handlers_failed"),
        (HandlerEnd::TimedOut, "handlers_timed_out"),
        (HandlerEnd::Aborted, "handlers_aborted"),
        (HandlerEnd::NotStarted { error: "x".to_owned() }, "handlers_not_started"),
    ];
    for (end, counter) in ends {
        let mut world = World::settled(&[rule("x", becomes(Role::Primary))]);
        world.lines(PRIMARY);
        let (id, run) = world.runs().remove(0);
        assert_eq!((run.timeout, run.max_output_bytes), (Duration::from_secs(600), 16 * 1024));
        world.done(id, end);
        assert_eq!((world.status("running"), world.status(counter)), (0, 1), "{counter}");
        let counters = world.core.instances()[0].counters();
        let counted = counters.iter().find(|one| one.name == counter).unwrap();
        assert_eq!((counted.value, counted.labels.clone()), (1, vec![("rule", "x".to_owned())]));
    }
}

#[test]
fn neither_the_start_of_the_daemon_nor_down_is_a_transition() {
    let rules = [
        rule("quorum gained", device(Default::default(), quorum(true))),
        rule("quorum lost", device(Default::default(), quorum(false))),
        rule("lost it", device(quorum(true), quorum(false))),
    ];
    let mut world = World::new(&rules);
    world.lines(DUMP);
    assert_eq!(world.fired(), Vec::<String>::new());
    world.lines("destroy device name:r0 volume:0\ndestroy resource name:r0");
    assert_eq!(world.fired(), Vec::<String>::new());
    // Who asks for them gets them, also with drbd-reactor's defaults for what was not there.
    let mut world = World::new(&rules.map(|rule| Rule { events: EventSet::ALL, ..rule }));
    world.lines(DUMP);
    assert_eq!(world.fired(), ["quorum gained"]);
    world.lines("destroy device name:r0 volume:0\ndestroy resource name:r0");
    assert_eq!(world.fired(), ["quorum lost", "lost it"]);
}

#[test]
fn a_reload_is_no_transition() {
    let old = rule("old", becomes(Role::Secondary));
    let ours = rule("new", becomes(Role::Secondary));
    let compat = Rule { events: EventSet::ALL, ..rule("compat", becomes(Role::Secondary)) };
    let exists = Rule { events: EventSet { exists: true, ..EventSet::NONE }, ..rule("exists", any_resource()) };
    let mut world = World::settled(std::slice::from_ref(&old));
    // The same again, and with more rules: the old rule notices nothing, and only who asked for replays gets one.
    world.configure(&table(std::slice::from_ref(&old)));
    world.configure(&table(&[old.clone(), ours, compat.clone(), exists]));
    let env = env(&mut world);
    assert_eq!(env["DRBD_EVENT_RULE"], "compat");
    assert_eq!((env["DRBD_EVENT_TYPE"].as_str(), env["DRBD_EVENT_ORIGIN"].as_str()), ("Exists", "replay"));
    let replay = Rule { events: EventSet { replay: true, ..EventSet::NONE }, ..rule("replay", any_resource()) };
    world.configure(&table(&[old.clone(), compat.clone(), replay]));
    assert_eq!(world.fired(), ["replay"]);
    // Once told is told.
    world.configure(&table(&[compat, old]));
    assert_eq!(world.fired(), Vec::<String>::new());
}

#[test]
fn the_documented_variables_are_set() {
    let any = device(Default::default(), Default::default());
    let mut world = World::settled(&[rule("x", any)]);
    world.lines("change device name:r0 volume:0 minor:1000 backing_dev:/dev/vg/r0 disk:UpToDate client:no quorum:yes size:1024 open:yes");
    let device = env(&mut world);
    assert_eq!((device["DRBD_OLD_OPEN"].as_str(), device["DRBD_NEW_OPEN"].as_str()), ("false", "true"));

    let any = When::Connection { peer_node_id: None, edge: Edge::default() };
    let mut world = World::settled(&[rule("x", any)]);
    world.lines(
        "change connection name:r0 peer-node-id:1 conn-name:beta connection:Connected role:Secondary congested:yes",
    );
    let connection = env(&mut world);
    assert_eq!(
        (connection["DRBD_OLD_CONGESTED"].as_str(), connection["DRBD_NEW_CONGESTED"].as_str()),
        ("false", "true")
    );

    let any = When::PeerDevice { volume: None, peer_node_id: None, edge: Edge::default() };
    let mut world = World::settled(&[rule("x", any)]);
    world.lines("change peer-device name:r0 peer-node-id:1 conn-name:beta volume:0 replication:Established peer-disk:Failed peer-client:no resync-suspended:no");
    assert_eq!(env(&mut world)["DRBD_VOLUME"], "0");
}

#[test]
fn the_users_env_wins() {
    let own = [("PATH", "/opt/bin"), ("HOME", "/root"), ("DRBD_RES_NAME", "mine"), ("EXTRA", "1")];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let mut world = World::settled(&[Rule { env: own, ..rule("x", becomes(Role::Primary)) }]);
    world.lines(PRIMARY);
    let run = world.runs().remove(0).1;
    let env: BTreeMap<_, _> = run.env.iter().cloned().collect();
    assert_eq!(env.len(), run.env.len(), "each name once");
    for (name, value) in
        [("PATH", "/opt/bin"), ("HOME", "/root"), ("TERM", "Linux"), ("DRBD_RES_NAME", "mine"), ("EXTRA", "1")]
    {
        assert_eq!(env[name], value);
    }
}

#[test]
fn order_means_order_of_start_and_serialize_keeps_a_rule_in_line() {
    let edge = |name, role| Rule { serialize: true, ..rule(name, becomes(role)) };
    // Without `serialize` both start at once, in order.
    let mut world = World::settled(&[rule("up", becomes(Role::Primary)), rule("down", becomes(Role::Secondary))]);
    world.lines(&format!("{PRIMARY}\n{SECONDARY}"));
    assert_eq!(world.fired(), ["up", "down"]);
    // With it, a rule waits for its own predecessor, and for nobody else.
    let any = Rule { serialize: true, ..rule("line", any_resource()) };
    let mut world = World::settled(&[any, edge("up", Role::Primary)]);
    world.lines(&format!("{PRIMARY}\n{SECONDARY}\n{PRIMARY}"));
    let runs = world.runs();
    let seq = |run: &reactor_core::action::HandlerRun| {
        run.env.iter().find(|(name, _)| name == "DRBD_NEW_ROLE").unwrap().1.clone()
    };
    assert_eq!(runs.iter().map(|(_, run)| run.rule.as_str()).collect::<Vec<_>>(), ["line", "up"]);
    let mut roles = vec![seq(&runs[0].1)];
    let mut id = runs[0].0;
    for _ in 0..2 {
        world.done(id, HandlerEnd::Exited(0));
        let (next, run) = world.runs().remove(0);
        roles.push(seq(&run));
        id = next;
    }
    assert_eq!(roles, ["Primary", "Secondary", "Primary"]);
}

#[test]
fn a_document_tells_old_new_and_the_whole_resource() {
    let json = Rule { stdin: HandlerStdin::Json, ..rule("x", device(Default::default(), disk(DiskState::Failed))) };
    let mut world = World::settled(&[json]);
    world.lines("change device name:r0 volume:0 minor:1000 backing_dev:/dev/vg/r0 disk:Failed client:no quorum:yes size:1024 open:no");
    let document = world.runs().remove(0).1.document.unwrap();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    expect![[r#"
        {
          "change": {
            "event": "Change",
            "is-state": true,
            "new": {
              "backing-device": "/dev/vg/r0",
              "blocked": "no",
              "client": false,
              "disk-state": "Failed",
              "minor": 1000,
              "open": false,
              "quorum": true,
              "size": 1024
            },
            "object": "device",
            "old": {
              "backing-device": "/dev/vg/r0",
              "blocked": "no",
              "client": false,
              "disk-state": "UpToDate",
              "minor": 1000,
              "open": false,
              "quorum": true,
              "size": 1024
            },
            "origin": "live",
            "resource": "r0",
            "seq": 6,
            "volume": 0
          },
          "resource": {
            "connections": [
              {
                "congested": false,
                "connection-state": "Connected",
                "name": "beta",
                "paths": [
                  {
                    "established": true,
                    "local": "ipv4:10.0.0.1:7000",
                    "peer": "ipv4:10.0.0.2:7000"
                  }
                ],
                "peer-devices": [
                  {
                    "peer-client": false,
                    "peer-disk-state": "UpToDate",
                    "replication-state": "Established",
                    "resync-suspended": "no",
                    "volume": 0
                  }
                ],
                "peer-node-id": 1,
                "peer-role": "Secondary"
              }
            ],
            "devices": [
              {
                "backing-device": "/dev/vg/r0",
                "blocked": "no",
                "client": false,
                "disk-state": "Failed",
                "minor": 1000,
                "open": false,
                "quorum": true,
                "size": 1024,
                "volume": 0
              }
            ],
            "force-io-failures": false,
            "may-promote": true,
            "name": "r0",
            "promotion-score": 10101,
            "role": "Secondary",
            "suspended": "no"
          },
          "rule": "x",
          "version": 1
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&document).unwrap());
}
