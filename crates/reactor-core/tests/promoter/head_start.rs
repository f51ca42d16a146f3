//! Head starts of other nodes: counted from when this node may start it, whatever has kept it from that before.

use std::time::Duration;

use reactor_core::action::{DrbdAnswer, Outcome};
use reactor_core::ids::ResourceName;
use reactor_core::operator::{Memory, OperatorVerb};
use reactor_core::settings::promoter::PromotedResource;
use reactor_core::systemd::{LoadState, UnitEnd};

use crate::world::{TARGET, World, app};

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
    let leave = || OperatorVerb::Yield { why: String::new(), to: Some("n2".to_owned()), limit: 20, restarts: false };
    let drain = || OperatorVerb::Drain { why: String::new() };
    check("stopped", after(|world| world.operator(stop())), |world| world.operator(OperatorVerb::Release));
    check("held", after(|world| world.operator(hold())), |world| world.operator(OperatorVerb::Release));
    check("drained", after(|world| world.node(drain())), |world| world.node(OperatorVerb::Undrain));
    check("left to n2", after(|world| world.operator(stop())), |world| {
        world.operator(OperatorVerb::Release);
        world.operator(leave());
        world.seconds(20);
    });
    let masked = after(|world| world.unit(TARGET, |state| state.load = LoadState::Masked));
    check("masked", masked, |world| world.unit(TARGET, |state| state.load = LoadState::Loaded));
    let late = World::where_(|world| world.silent = vec!["adjust"], &[("r0", second())]);
    check("not adjusted", late, |world| world.ends("adjust r0", Outcome::Drbd(DrbdAnswer::Done)));
    let failures = vec![1_799_999_700, 1_799_999_800, 1_799_999_900];
    let memory = Memory { blocked_since: Some(1_799_999_900), failures, ..Memory::default() };
    let blocked = World::remembering(&[("r0", second())], vec![(ResourceName::new("r0"), memory)]);
    check("blocked", blocked, |world| world.operator(OperatorVerb::Clear));
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
