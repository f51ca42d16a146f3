//! `on = "answer"`: DRBD's own helper calls, answered by rules.

use std::collections::BTreeMap;
use std::time::Duration;

use reactor_core::action::{Action, ActionKind, Call, Effect, HandlerEnd, HandlerRun, HelperAnswer, HelperRequestId};
use reactor_core::ids::ActionId;
use reactor_core::settings::UmhSettings;
use reactor_core::settings::umh::{HandlerStdin, HelperConditions, HelperMoment, RateLimit, Rule, When};

use crate::world::{World, helper, is, rule, table};

const TARGET: &str = "before-resync-target";
const ENV: [(&str, &str); 4] =
    [("DRBD_PEER_NODE_ID", "1"), ("DRBD_VOLUME", "0"), ("DRBD_MINOR", "1000"), ("DRBD_CSTATE", "Connected")];

fn answering(name: &str) -> Rule {
    rule(name, When::Helper(helper(TARGET, HelperMoment::Answer)))
}

fn exit(code: i32, rule: &str) -> HelperAnswer {
    HelperAnswer::Exit { code, rule: rule.to_owned() }
}

fn answers(actions: Vec<Action>) -> Vec<(u64, HelperAnswer)> {
    let answer = |action: Action| match action.kind {
        ActionKind::Effect(Effect::AnswerHelper { request: HelperRequestId(request), answer }) => (request, answer),
        kind => panic!("{kind:?}"),
    };
    actions.into_iter().map(answer).collect()
}

fn fallback(actions: Vec<Action>) -> String {
    match answers(actions).as_slice() {
        [(_, HelperAnswer::Fallback { why })] => why.clone(),
        other => panic!("{other:?}"),
    }
}

/// A call that a rule takes, and its handler.
fn call(world: &mut World, request: u64) -> (ActionId, HandlerRun) {
    world.call(request, TARGET, "r0", &ENV, 60);
    world.runs().remove(0)
}

#[test]
fn the_first_matching_rules_exit_code_is_the_answer() {
    let other = rule("other", When::Helper(helper("fence-peer", HelperMoment::Answer)));
    let beside = rule("beside", When::Helper(helper(TARGET, HelperMoment::Call)));
    let mut world = World::settled(&[other, beside, answering("first"), answering("second")]);
    let (id, run) = call(&mut world, 5);
    assert_eq!(run.rule, "first");
    // Never longer than DRBD's helper waits.
    assert_eq!(run.timeout, Duration::from_secs(60));
    world.done(id, HandlerEnd::Exited(3));
    assert_eq!(answers(world.actions()), [(5, exit(3, "first"))]);
}

#[test]
fn the_handler_gets_drbds_environment_and_ours() {
    let mut world = World::settled(&[Rule { stdin: HandlerStdin::Json, ..answering("x") }]);
    let run = call(&mut world, 1).1;
    let env: BTreeMap<&str, &str> = run.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for (name, value) in [
        ("DRBD_CSTATE", "Connected"),
        ("DRBD_PEER_NODE_ID", "1"),
        ("DRBD_CONN_NAME", "beta"),
        ("DRBD_VOLUME", "0"),
        ("DRBD_MINOR", "1000"),
        ("DRBD_BACKING_DEV", "/dev/vg/r0"),
        ("DRBD_BACKING_DEV_0", "/dev/vg/r0"),
        ("DRBD_RES_NAME", "r0"),
        ("DRBD_RESOURCE", "r0"),
        ("DRBD_HELPER", TARGET),
        ("DRBD_HELPER_EVENT", "answer"),
        ("PATH", "/sbin:/usr/sbin:/bin:/usr/bin"),
    ] {
        assert_eq!(env.get(name), Some(&value), "{name}");
    }
    let document: serde_json::Value = serde_json::from_str(&run.document.unwrap()).unwrap();
    assert_eq!((&document["call"]["helper"], &document["change"]), (&TARGET.into(), &serde_json::Value::Null));
    assert_eq!(document["call"]["env"]["DRBD_CSTATE"], "Connected");
    assert_eq!(document["resource"]["devices"][0]["disk-state"], "UpToDate");
}

/// A second volume that is diskless, and a third node.
const MORE: &str = "\
create device name:r0 volume:1 minor:1001 backing_dev:none disk:Diskless client:yes quorum:yes size:1024 open:no
create connection name:r0 peer-node-id:2 conn-name:gamma connection:Connecting role:Unknown congested:no
";

#[test]
fn scripts_of_drbd_utils_find_what_drbdadm_tells_them() {
    let any = rule("x", When::Helper(HelperConditions { helper: None, ..helper("", HelperMoment::Answer) }));
    let mut world = World::settled(&[any]);
    world.lines(MORE);
    let mut env = |helper: &str, given: &[(&str, &str)]| -> BTreeMap<String, String> {
        world.call(1, helper, "r0", given, 60);
        let (id, run) = world.runs().remove(0);
        let ask = run.ask.clone().unwrap();
        assert_eq!(
            (ask.resource.as_str(), ask.volume.is_some()),
            ("r0", given.iter().any(|(name, _)| *name == "DRBD_VOLUME"))
        );
        world.done(id, HandlerEnd::Exited(0));
        world.actions();
        run.env.into_iter().collect()
    };
    let everywhere = [
        ("DRBD_RESOURCE", "r0"),
        ("DRBD_CONF", "/etc/drbd.conf"),
        ("DRBD_NODE_ID_1", "beta"),
        ("DRBD_NODE_ID_2", "gamma"),
    ];
    // About a peer: everything there is, as lists.
    let all = env("split-brain", &[("DRBD_PEER_NODE_ID", "1"), ("DRBD_MINOR_0", "1000")]);
    let lists = [
        ("DRBD_VOLUME", "0 1"),
        ("DRBD_MINOR", "1000 1001"),
        ("DRBD_LL_DISK", "/dev/vg/r0 none"),
        ("DRBD_MINOR_0", "1000"),
    ];
    for (name, value) in everywhere.into_iter().chain(lists) {
        assert_eq!(all.get(name).map(String::as_str), Some(value), "{name}");
    }
    // About a volume: that one, and what DRBD itself says wins.
    let one = env("before-resync-target", &ENV);
    let single = [("DRBD_VOLUME", "0"), ("DRBD_MINOR", "1000"), ("DRBD_LL_DISK", "/dev/vg/r0")];
    for (name, value) in everywhere.into_iter().chain(single) {
        assert_eq!(one.get(name).map(String::as_str), Some(value), "{name}");
    }
}

#[test]
fn resource_peer_and_volume_choose_the_rule() {
    let with = |conditions| rule("x", When::Helper(HelperConditions { ..conditions }));
    let base = || helper(TARGET, HelperMoment::Answer);
    let table = [
        (with(HelperConditions { peer_node_id: is(1), volume: is(0), ..base() }), true),
        (with(HelperConditions { peer_node_id: is(2), ..base() }), false),
        (with(HelperConditions { volume: is(1), ..base() }), false),
        (Rule { resource: is("r0".to_owned()), ..answering("x") }, true),
        (Rule { resource: is("r1".to_owned()), ..answering("x") }, false),
    ];
    for (rule, expected) in table {
        let mut world = World::settled(&[rule]);
        world.call(1, TARGET, "r0", &ENV, 60);
        let ran = matches!(world.actions()[0].kind, ActionKind::Call(Call::Handler(_)));
        assert_eq!(ran, expected);
    }
    // DRBD 8.4 names the minor only.
    let mut world = World::settled(&[Rule { resource: is("r0".to_owned()), ..answering("x") }]);
    world.call(1, TARGET, "minor-1000", &[], 60);
    let run = world.runs().remove(0).1;
    assert_eq!(run.resource.as_str(), "r0");
    assert!(run.env.contains(&("DRBD_VOLUME".to_owned(), "0".to_owned())));
}

#[test]
fn without_a_rule_drbd_does_what_it_would_do() {
    let mut world = World::settled(&[answering("x")]);
    world.call(9, "split-brain", "r0", &[], 60);
    assert!(fallback(world.actions()).contains("no umh.helper rule"));
}

#[test]
fn a_handler_without_an_exit_code_is_no_answer() {
    for end in [
        HandlerEnd::Signalled(9),
        HandlerEnd::TimedOut,
        HandlerEnd::Aborted,
        HandlerEnd::NotStarted { error: "no memory".to_owned() },
    ] {
        let mut world = World::settled(&[answering("x")]);
        let (id, _) = call(&mut world, 1);
        world.done(id, end);
        assert!(fallback(world.actions()).starts_with("the handler of rule x "));
    }
}

#[test]
fn every_call_is_answered_once_and_in_time() {
    let mut world = World::settled(&[Rule { serialize: true, ..answering("x") }]);
    let (id, _) = call(&mut world, 1);
    world.call(2, TARGET, "r0", &ENV, 30);
    assert_eq!(world.runs(), []);
    // The second gives up before its turn comes, and its handler never starts.
    world.pass(30.0);
    assert_eq!(fallback(world.actions()), "the handler did not end in time");
    world.pass(30.0);
    assert_eq!(answers(world.actions()).len(), 1);
    world.done(id, HandlerEnd::Exited(0));
    assert_eq!((world.actions(), world.status("running"), world.status("queued")), (vec![], 0, 0));
}

#[test]
fn answers_do_not_wait_behind_other_handlers_but_are_not_without_limit() {
    let busy = rule("busy", When::Helper(helper(TARGET, HelperMoment::Call)));
    let limits = UmhSettings { max_parallel: 2, ..table(&[busy, answering("x")]) };
    let mut world = World::settled_with(&limits);
    for _ in 0..5 {
        world.lines("call helper name:r0 peer-node-id:1 conn-name:beta helper:before-resync-target");
    }
    assert_eq!((world.runs().len(), world.status("queued")), (2, 3));
    call(&mut world, 1);
    call(&mut world, 2);
    world.call(3, TARGET, "r0", &ENV, 60);
    assert!(fallback(world.actions()).contains("max-parallel"));
    let mut world = World::settled(&[Rule {
        rate_limit: Some(RateLimit { count: 1, per: Duration::from_secs(60) }),
        ..answering("x")
    }]);
    call(&mut world, 1);
    world.call(2, TARGET, "r0", &ENV, 60);
    assert!(fallback(world.actions()).contains("rate-limit"));
}

#[test]
fn a_reload_that_takes_the_rule_away_leaves_no_kernel_waiting() {
    let rules = [Rule { serialize: true, ..answering("x") }];
    let mut world = World::settled(&rules);
    let (id, _) = call(&mut world, 1);
    world.call(2, TARGET, "r0", &ENV, 60);
    world.configure(&table(&[rule("y", When::Helper(helper("z", HelperMoment::Call)))]));
    assert!(fallback(world.actions()).contains("no longer configured"));
    // The handler that runs already still answers.
    world.done(id, HandlerEnd::Exited(4));
    assert_eq!(answers(world.actions()), [(1, exit(4, "x"))]);
    // And if the whole table goes, all are answered at once.
    let mut world = World::settled(&rules);
    call(&mut world, 1);
    world.call(2, TARGET, "r0", &ENV, 60);
    world.remove_table();
    assert_eq!(answers(world.actions()).len(), 2);
}
