//! `for`, `rate-limit`, the queue over a reload.

use std::time::Duration;

use reactor_core::action::{ActionKind, Call, Effect, HandlerEnd};
use reactor_core::drbd::types::{DiskState, Role};
use reactor_core::settings::UmhSettings;
use reactor_core::settings::umh::{EventSet, RateLimit, Rule};

use crate::world::{DUMP, World, any_resource, becomes, device, disk, rule, table};

const PRIMARY: &str = "change resource name:r0 role:Primary suspended:no may_promote:no promotion_score:10101";
const SECONDARY: &str = "change resource name:r0 role:Secondary suspended:no may_promote:yes promotion_score:10101";
const OTHER_SCORE: &str = "change resource name:r0 role:Primary suspended:no may_promote:no promotion_score:5";

fn held(when: reactor_core::settings::umh::When) -> Rule {
    Rule { hold: Some(Duration::from_secs(30)), ..rule("held", when) }
}

#[test]
fn for_fires_when_the_state_has_held() {
    let mut world = World::settled(&[held(becomes(Role::Primary))]);
    world.lines(PRIMARY);
    world.pass(29.9);
    assert_eq!((world.fired(), world.status("holding")), (vec![], 1));
    // A change that does not leave the state is no new beginning.
    world.lines(OTHER_SCORE);
    world.pass(0.2);
    let runs = world.runs();
    assert_eq!(runs.len(), 1);
    // The edge's old, and the new of now.
    let value = |name: &str| runs[0].1.env.iter().find(|(known, _)| known == name).unwrap().1.clone();
    assert_eq!((value("DRBD_OLD_ROLE"), value("DRBD_NEW_ROLE")), ("Secondary".to_owned(), "Primary".to_owned()));
    assert_eq!(value("DRBD_NEW_PROMOTION_SCORE"), "5");
    world.pass(100.0);
    assert_eq!((world.fired(), world.status("holding")), (vec![], 0));
}

#[test]
fn for_is_cancelled_when_the_state_is_left() {
    let mut world = World::settled(&[held(becomes(Role::Primary))]);
    world.lines(PRIMARY);
    world.pass(29.0);
    world.lines(&format!("{SECONDARY}\n{PRIMARY}"));
    assert_eq!((world.status("holds_cancelled"), world.status("holding")), (1, 1));
    world.pass(2.0);
    assert_eq!(world.fired(), Vec::<String>::new());
    world.pass(28.0);
    assert_eq!(world.fired(), ["held"]);
}

#[test]
fn for_is_cancelled_when_the_object_is_gone() {
    let mut world = World::settled(&[held(device(Default::default(), disk(DiskState::Failed)))]);
    let failed = "change device name:r0 volume:0 minor:1000 disk:Failed client:no quorum:yes size:1 open:no";
    world.lines(&format!("{failed}\ndestroy device name:r0 volume:0"));
    assert_eq!((world.status("holds_cancelled"), world.status("holding")), (1, 0));
    world.pass(31.0);
    assert_eq!(world.fired(), Vec::<String>::new());
}

#[test]
fn for_is_judged_by_the_state_at_its_deadline() {
    // The events program was dead when the state was left, and its dump comes just in time.
    let mut world = World::settled(&[held(becomes(Role::Primary))]);
    world.lines(PRIMARY);
    let source = |event| reactor_core::input::Input::Source(reactor_core::input::SourceId::Drbd, event);
    world.step(&source(reactor_core::input::SourceEvent::Ended { why: "killed".to_owned() }));
    let started = reactor_core::input::SourceEvent::Started {
        command: "test".to_owned(),
        dialect: Some(reactor_core::input::Dialect::Drbd9),
    };
    world.step(&source(started));
    world.lines(DUMP);
    world.pass(31.0);
    assert_eq!((world.fired(), world.status("holds_cancelled")), (vec![], 1));
}

#[test]
fn for_cannot_hold_what_goes_away() {
    let mut world = World::settled(&[Rule { events: EventSet::ALL, ..held(any_resource()) }]);
    world.lines("destroy path name:r0 peer-node-id:1 conn-name:beta local:ipv4:10.0.0.1:7000 peer:ipv4:10.0.0.2:7000");
    world.lines("destroy connection name:r0 peer-node-id:1 conn-name:beta\ndestroy device name:r0 volume:0\ndestroy resource name:r0");
    world.pass(31.0);
    assert_eq!(world.fired(), Vec::<String>::new());
}

#[test]
fn for_survives_a_rename_and_a_reload() {
    let rules = [held(becomes(Role::Primary))];
    let mut world = World::settled(&rules);
    world.lines(PRIMARY);
    world.pass(10.0);
    world.lines("rename resource name:r0 new_name:r9");
    world.configure(&table(&[rule("more", any_resource()), rules[0].clone()]));
    world.pass(20.0);
    let runs = world.runs();
    assert_eq!(runs.len(), 1);
    assert_eq!((runs[0].1.rule.as_str(), runs[0].1.resource.as_str()), ("held", "r9"));
}

#[test]
fn a_rate_limit_drops_what_comes_on_top_and_says_so() {
    let rate_limit = Some(RateLimit { count: 2, per: Duration::from_secs(60) });
    let mut world = World::settled(&[Rule { rate_limit, ..rule("x", any_resource()) }]);
    world.lines(&format!("{PRIMARY}\n{SECONDARY}\n{PRIMARY}\n{SECONDARY}"));
    let actions = world.actions();
    assert_eq!(actions.iter().filter(|action| matches!(action.kind, ActionKind::Call(Call::Handler(_)))).count(), 2);
    assert_eq!(world.status("handlers_rate_limited"), 2);
    let ActionKind::Effect(Effect::Note { text, .. }) = &actions[2].kind else { panic!("{actions:?}") };
    assert_eq!(text, "rule x: 1 handler(s) not run, because of its rate-limit");
    world.pass(60.0);
    world.actions();
    world.lines(PRIMARY);
    assert_eq!(world.fired(), ["x"]);
}

#[test]
fn a_reload_keeps_what_did_not_change_and_drops_what_waits_for_a_rule_that_is_gone() {
    let kept = Rule { serialize: true, ..rule("kept", any_resource()) };
    let gone = Rule { serialize: true, ..rule("gone", any_resource()) };
    let mut world = World::settled(&[gone.clone(), kept.clone()]);
    world.lines(&format!("{PRIMARY}\n{SECONDARY}"));
    let runs = world.runs();
    assert_eq!((runs.len(), world.status("queued")), (2, 2));
    let edited = Rule { command: "other".to_owned(), ..gone };
    world.configure(&table(&[kept, edited]));
    let actions = world.actions();
    assert_eq!(actions.len(), 1);
    assert!(
        matches!(&actions[0].kind, ActionKind::Effect(Effect::Note { text, .. }) if text.contains("rule gone is no longer configured"))
    );
    assert_eq!((world.status("queued"), world.status("running"), world.status("handlers_dropped")), (1, 2, 1));
    // The kept rule's line goes on; the other's handler just ends.
    world.done(runs[0].0, HandlerEnd::Exited(0));
    assert_eq!(world.fired(), Vec::<String>::new());
    world.done(runs[1].0, HandlerEnd::Exited(0));
    assert_eq!(world.fired(), ["kept"]);
    assert_eq!(world.status("handlers_succeeded"), 2);
}

#[test]
fn a_higher_limit_takes_effect_at_once() {
    let limits = |max_parallel| UmhSettings { max_parallel, ..table(&[rule("x", any_resource())]) };
    let mut world = World::settled_with(&limits(1));
    world.lines(&format!("{PRIMARY}\n{SECONDARY}\n{PRIMARY}"));
    assert_eq!(world.fired().len(), 1);
    world.configure(&limits(2));
    assert_eq!((world.fired().len(), world.status("queued")), (1, 1));
}

#[test]
fn the_reasons_say_what_happened_which_rule_and_how_long_it_waited() {
    let limits = UmhSettings { max_parallel: 1, ..table(&[held(becomes(Role::Primary)), rule("now", any_resource())]) };
    let mut world = World::settled_with(&limits);
    world.lines(PRIMARY);
    let first = world.actions().remove(0);
    assert_eq!(
        first.because.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["r0: Change (live, seq 6), role Secondary -> Primary, may_promote true -> false", "rule now matches",]
    );
    world.pass(30.0);
    world.pass(2.5);
    world.done(first.id, HandlerEnd::Exited(0));
    let second = world.actions().remove(0);
    assert_eq!(
        second.because[1..].iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["rule held matches", "it has been so for 30 s", "it waited 2.5 s for its turn"]
    );
}
