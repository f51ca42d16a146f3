//! What the simulated clusters of `reactor-sim` found.

use reactor_core::settings::promoter::PromotedResource;
use reactor_core::systemd::{ActiveState, UnitEnd};

use crate::world::{TARGET, World, app, device, resource};

fn lose_quorum(world: &mut World, role: &str) {
    world.burst(&(resource("change", "r0", role, "no") + &device("r0", 0, "UpToDate", "no")));
}

/// Seed 24: the time as Primary counted as time of waiting, so that the node that gave the resource away took it back at once.
#[test]
fn a_node_that_has_let_go_waits_like_any_other() {
    let preferred = vec!["n2".to_owned(), "n1".to_owned()];
    let mut world = World::running(PromotedResource { preferred_nodes: preferred, ..app() });
    assert!(world.why("stop").contains("n2 is number 1 of preferred-nodes"), "{}", world.why("stop"));
    world.goes_down("yes");
    assert_eq!(world.said(), [""; 0], "it is the second of preferred-nodes");
    world.seconds(1);
    assert_eq!(world.said(), [format!("start {TARGET}")]);
}

/// Seed 54: the job of the target's stop ends first, and the news of its units may come later.
#[test]
fn old_news_of_units_after_a_stop_is_no_reason_for_another() {
    let mut world = World::running(app());
    lose_quorum(&mut world, "Primary");
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
    world.done("stop", UnitEnd::Done);
    world.active(TARGET, ActiveState::Inactive);
    assert_eq!(world.said(), [""; 0], "the promotion is about to be stopped too");
    world.seconds(6);
    assert_eq!(world.said(), [format!("stop {TARGET}")], "it was not");
}

/// Seed 569: systemd kills the promotion that a stop pre-empts, but the kernel had heard it: Primary, and nobody's.
#[test]
fn a_promotion_that_comes_through_after_its_start_was_pre_empted_is_ours() {
    let mut world = World::new(app());
    world.dump("yes");
    assert_eq!(world.said(), ["adjust r0".to_owned(), format!("start {TARGET}")]);
    lose_quorum(&mut world, "Secondary");
    world.active("drbd-promote@r0.service", ActiveState::Activating);
    let said = world.said();
    assert_eq!(said, [format!("stop {TARGET}")]);
    world.done("start", UnitEnd::Job("canceled".to_owned()));
    world.active("drbd-promote@r0.service", ActiveState::Inactive);
    world.done("stop", UnitEnd::Done);
    world.burst(&(resource("change", "r0", "Primary", "no") + &device("r0", 0, "UpToDate", "yes")));
    world.seconds(3);
    assert_eq!(world.said(), [format!("start {TARGET}")]);
}
