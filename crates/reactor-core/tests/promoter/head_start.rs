//! Head starts of other nodes: counted from when nobody has it otherwise any more: held, stopped, left to another node, drained, blocked.

use std::time::Duration;

use reactor_core::action::{DrbdAnswer, Outcome};
use reactor_core::ids::ResourceName;
use reactor_core::operator::{Memory, OperatorVerb};
use reactor_core::settings::promoter::PromotedResource;
use reactor_core::systemd::UnitEnd;

use crate::world::{TARGET, World, app, compat};

/// This node is the second one of the list: 1 s.
fn second() -> PromotedResource {
    PromotedResource { preferred_nodes: vec!["n2".to_owned(), "n1".to_owned()], ..app() }
}

fn starts(world: &mut World) -> bool {
    world.said().contains(&format!("start {TARGET}"))
}

/// For a quarter of a minute it could be promoted here, and something forbids it, which ends then.
fn check(what: &str, mut world: World, ends: impl FnOnce(&mut World)) {
    world.dump("yes");
    world.seconds(15);
    assert!(!starts(&mut world), "{what}: {}", world.state());
    ends(&mut world);
    assert!(!starts(&mut world), "{what}: at once, as all other nodes would");
    assert!(world.state().starts_with("waiting: "), "{what}: {}", world.state());
    assert!(world.state().ends_with("number 2 of preferred-nodes: 1 s; starts in 1 s"), "{what}: {}", world.state());
    world.pass(Duration::from_millis(999));
    assert!(!starts(&mut world), "{what}");
    world.pass(Duration::from_millis(1));
    assert!(starts(&mut world), "{what}: {}", world.state());
}

/// A world in which this was done before DRBD says anything.
fn after(change: impl FnOnce(&mut World)) -> World {
    let mut world = World::new(second());
    change(&mut world);
    world
}

/// Two nodes whose `start` was asked for at once started both, and so did all when a `move` had timed out.
#[test]
fn a_head_start_begins_when_the_last_that_forbids_it_is_over() {
    let stop = || OperatorVerb::Stop { why: String::new() };
    let hold = || OperatorVerb::Hold { why: String::new() };
    let drain = || OperatorVerb::Drain { why: String::new() };
    check("stopped", after(|world| world.operator(stop())), |world| world.operator(OperatorVerb::Release));
    check("held", after(|world| world.operator(hold())), |world| world.operator(OperatorVerb::Release));
    check("drained", after(|world| world.node(drain())), |world| world.node(OperatorVerb::Undrain));
    let failures = vec![1_799_999_700, 1_799_999_800, 1_799_999_900];
    let memory = Memory { blocked_since: Some(1_799_999_900), failures, ..Memory::default() };
    let blocked = World::remembering(&[("r0", second())], vec![(ResourceName::new("r0"), memory)]);
    check("blocked", blocked, |world| world.operator(OperatorVerb::Clear));
}

fn leave_for(to: &str, limit: u64) -> OperatorVerb {
    OperatorVerb::Yield { why: String::new(), to: Some(to.to_owned()), limit, restarts: false }
}

fn leave(to: &str) -> OperatorVerb {
    leave_for(to, 20)
}

/// All of them know at about the same time that n2 has not taken it.
#[test]
fn what_nobody_has_taken_over_comes_back_to_where_it_ran() {
    // Where it ran, no delay counts: not that of preferred-nodes either.
    let away = PromotedResource { preferred_nodes: vec!["n9".to_owned(), "n1".to_owned()], ..app() };
    let mut world = World::running(away);
    world.operator(leave("n2"));
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
    world.goes_down("yes");
    // Asked once more: it ran here all the same.
    world.operator(leave("n2"));
    world.seconds(19);
    assert!(!starts(&mut world), "{}", world.state());
    world.seconds(1);
    assert!(starts(&mut world), "{}", world.state());
    // Elsewhere the delay begins when it had the time to come back there.
    let mut world = World::new(PromotedResource { preferred_nodes: vec!["n1".to_owned()], ..app() });
    world.operator(leave("n2"));
    world.dump("yes");
    world.seconds(20);
    assert!(!starts(&mut world), "{}", world.state());
    world.pass(Duration::from_millis(499));
    assert!(!starts(&mut world), "{}", world.state());
    world.pass(Duration::from_millis(1));
    assert!(starts(&mut world), "{}", world.state());
}

/// Every 20 s at most it is tried to start it: that is for what fails.
#[test]
fn what_comes_back_does_not_wait_because_it_was_started_a_moment_ago() {
    let mut world = World::running(compat());
    world.operator(leave_for("n2", 10));
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
    world.goes_down("yes");
    world.seconds(9);
    assert!(!starts(&mut world), "{}", world.state());
    world.seconds(1);
    assert!(starts(&mut world), "{}", world.state());
}

/// What this node has to do or to find out first is its own trouble: its delay goes on meanwhile.
#[test]
fn a_delay_goes_on_while_this_node_is_not_ready() {
    let mut world = World::where_(|world| world.silent = vec!["adjust"], &[("r0", second())]);
    world.dump("yes");
    world.seconds(15);
    assert!(!starts(&mut world), "{}", world.state());
    world.ends("adjust r0", Outcome::Drbd(DrbdAnswer::Done));
    assert!(starts(&mut world), "{}", world.state());
}

/// What an operator clears need not be a block.
#[test]
fn a_head_start_begins_anew_when_a_back_off_is_cleared() {
    let mut world = World::new(second());
    world.dump("yes");
    world.seconds(1);
    assert!(starts(&mut world));
    for _ in 0..6 {
        world.done(&format!("start {TARGET}"), UnitEnd::Job("dependency".to_owned()));
        world.seconds(31);
        assert!(starts(&mut world), "{}", world.state());
    }
    world.done(&format!("start {TARGET}"), UnitEnd::Job("dependency".to_owned()));
    world.seconds(2);
    assert!(!starts(&mut world), "it pauses");
    world.operator(OperatorVerb::Clear);
    assert!(!starts(&mut world), "{}", world.state());
    world.seconds(1);
    assert!(starts(&mut world), "{}", world.state());
}
