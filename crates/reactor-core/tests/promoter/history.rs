//! What is told for the history.

use reactor_core::history::{Phases, Serving, Told};
use reactor_core::operator::OperatorVerb;
use reactor_core::settings::promoter::{OnServiceFailure, PromotedResource};
use reactor_core::systemd::{ActiveState, UnitEnd};

use crate::world::{TARGET, World, app};

/// Where it runs, and how long each part took, by what was told since the last look.
fn told(world: &mut World) -> Vec<(Serving, Option<bool>, Phases)> {
    let presence = |what| if let Told::Presence(it) = what { Some((it.serving, it.primary, it.phases)) } else { None };
    world.news.drain(..).filter_map(|news| presence(news.what)).collect()
}

#[test]
fn a_promotion_of_ours_is_measured() {
    let mut world = World::running(app());
    let all = told(&mut world);
    let names = |(_, _, phases): &(_, _, Phases)| phases.iter().map(|(name, _)| name).collect::<Vec<_>>();
    let last = all.last().map(|told| (told.0, told.1, names(told)));
    assert_eq!(last, Some((Serving::Here, Some(true), vec!["detect", "decide", "promote", "start"])));
}

#[test]
fn what_a_person_promotes_is_not_measured_from_a_start_that_failed_before() {
    let mut world = World::new(app());
    world.dump("yes");
    world.seconds(2);
    world.done("start", UnitEnd::Job("failed".to_owned()));
    world.operator(OperatorVerb::Hold { why: String::new() });
    world.seconds(3600);
    told(&mut world);
    world.active("drbd-promote@r0.service", ActiveState::Active);
    world.resource("Primary", "no");
    world.active("app.service", ActiveState::Active);
    world.active(TARGET, ActiveState::Active);
    let all = told(&mut world);
    assert_eq!(all.last().map(|(serving, ..)| *serving), Some(Serving::Here));
    assert!(all.iter().all(|(.., phases)| *phases == Phases::default()), "{all:?}");
}

#[test]
fn a_service_that_waits_for_systemd_to_start_it_again_is_away() {
    let away = (Serving::Nowhere, Some(true), Phases::default());
    let back = (Serving::Here, Some(true), Phases::default());
    let (restart, ignore) = (OnServiceFailure::Restart, OnServiceFailure::Ignore);
    for (policy, expected) in [(restart, vec![away, back]), (ignore, vec![])] {
        let mut world = World::running(PromotedResource { on_service_failure: policy, ..app() });
        told(&mut world);
        world.unit("app.service", |state| {
            (state.active, state.sub) = (ActiveState::Activating, "auto-restart".to_owned());
            state.result = Some("signal".to_owned());
        });
        assert_eq!(world.state(), "starting: app.service ended: signal; systemd starts it again", "{policy:?}");
        world.unit("app.service", |state| {
            (state.active, state.sub) = (ActiveState::Active, "running".to_owned());
            state.result = Some("success".to_owned());
        });
        assert!(world.state().starts_with("running"), "{}", world.state());
        assert_eq!(told(&mut world), expected, "{policy:?}");
    }
}
