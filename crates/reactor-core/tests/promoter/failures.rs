//! Services that fail: noticed by their state, counted, restarted, moved, blocked.

use std::time::Duration;

use reactor_core::ids::ResourceName;
use reactor_core::operator::{Memory, OperatorVerb};
use reactor_core::settings::promoter::{OnServiceFailure, PromotedResource};
use reactor_core::systemd::{ActiveState, UnitEnd};

use crate::world::{TARGET, World, app, compat};

fn fails(world: &mut World) {
    world.unit("app.service", |state| {
        state.active = ActiveState::Failed;
        state.result = Some("exit-code".to_owned());
    });
}

/// The restart of `app.service` that was asked for goes well.
fn restarted(world: &mut World) {
    world.active("app.service", ActiveState::Active);
    world.done("start", UnitEnd::Done);
}

#[test]
fn a_failed_service_is_shown_and_ignored_in_compatibility() {
    let mut world = World::running(compat());
    fails(&mut world);
    world.seconds(100);
    assert_eq!(world.said(), [""; 0]);
    assert_eq!(world.report().warnings, ["app.service has failed: exit-code"]);
    assert_eq!(world.report().failures, 1);
    assert_eq!(world.state(), "running: app.service has failed: exit-code; on-service-failure = \"ignore\"");
}

#[test]
fn restart_restarts_with_back_off_and_moves_at_the_limit() {
    let mut world = World::running(app());
    fails(&mut world);
    assert_eq!(world.said(), [""; 0], "a second of back-off");
    world.seconds(1);
    let all = world.all();
    assert!(all.contains(&"reset-failed app.service".to_owned()), "{all:?}");
    assert!(all.contains(&format!("start {TARGET}")), "{all:?}");
    restarted(&mut world);
    fails(&mut world);
    world.seconds(1);
    assert_eq!(world.said(), [""; 0], "the second back-off is longer");
    world.seconds(1);
    assert_eq!(world.said(), [format!("start {TARGET}")]);
    restarted(&mut world);
    fails(&mut world);
    let all = world.all();
    assert!(all.contains(&format!("stop {TARGET}")), "{all:?}");
    assert!(all.iter().any(|text| text.starts_with("Error: r0:") && text.contains("reactorctl clear r0")), "{all:?}");
    assert!(world.why("stop").contains("blocked after 3 failures"), "{}", world.why("stop"));
    world.goes_down("yes");
    world.seconds(1000);
    assert_eq!(world.said(), [""; 0]);
    assert!(world.state().starts_with("blocked"), "{}", world.state());
    world.operator(OperatorVerb::Clear);
    assert_eq!(world.said(), [format!("start {TARGET}")]);
}

#[test]
fn failures_outside_of_the_window_are_forgotten() {
    let mut world = World::running(app());
    for _ in 0..5 {
        fails(&mut world);
        world.seconds(2);
        assert_eq!(world.said(), [format!("start {TARGET}")]);
        restarted(&mut world);
        world.seconds(601);
    }
    assert_eq!(world.report().state.as_str(), "running");
}

/// A block is left to a person, but what is shown as lately ends with its window, whatever else happens, or nothing.
#[test]
fn failures_are_no_longer_shown_when_their_window_is_over_though_nothing_happens() {
    let settings = PromotedResource { adjust_resource_on_start: false, ..app() };
    let failures = vec![1_799_999_700, 1_799_999_800, 1_799_999_900];
    let memory = Memory { blocked_since: Some(1_799_999_900), failures, ..Memory::default() };
    let mut world = World::remembering(&[("r0", settings)], vec![(ResourceName::new("r0"), memory)]);
    world.source(reactor_core::input::Dialect::Drbd9);
    world.lines("exists -\n");
    let began = world.now;
    for (passed, shown) in [(295, 3), (305, 2), (395, 2), (405, 1), (495, 1), (505, 0)] {
        world.now = began.after(Duration::from_secs(passed));
        assert_eq!(world.report().failures, shown, "{passed} s later");
    }
    // DRBD does not have it: what else keeps it from being started is said all the same.
    assert!(world.state().contains("no resource of this name"), "{}", world.state());
    assert!(world.state().contains("blocked after 3 failures"), "{}", world.state());
}

#[test]
fn move_stops_at_once_and_lets_others_try() {
    let mut world = World::running(PromotedResource { on_service_failure: OnServiceFailure::Move, ..app() });
    fails(&mut world);
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
    world.goes_down("yes");
    world.seconds(9);
    assert_eq!(world.said(), [""; 0], "time for another node");
    world.seconds(1);
    assert_eq!(world.said(), [format!("start {TARGET}")], "if no other can, here again");
}

/// systemd's own restart (`Restart=`) of `app.service`: what is told before anything else goes down.
fn restarts_itself(world: &mut World) {
    world.unit("app.service", |state| {
        state.active = ActiveState::Activating;
        state.sub = "auto-restart".to_owned();
        state.result = Some("signal".to_owned());
    });
}

fn moving() -> PromotedResource {
    PromotedResource { on_service_failure: OnServiceFailure::Move, ..app() }
}

#[test]
fn move_does_not_wait_for_a_restart_by_systemd() {
    let mut world = World::running(moving());
    restarts_itself(&mut world);
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
    assert!(
        world.why("stop").contains("app.service ended: signal; on-service-failure = \"move\""),
        "{}",
        world.why("stop")
    );
}

/// The target goes down with the service and is up again before any other node was as quick.
#[test]
fn move_takes_a_service_away_that_systemd_has_mended_here() {
    for seen_down in [false, true] {
        let mut world = World::running(moving());
        world.unit("drbd-promote@r0.service", |state| state.job = true);
        world.unit(TARGET, |state| {
            state.active = ActiveState::Inactive;
            state.job = true;
        });
        restarts_itself(&mut world);
        assert_eq!(world.said(), [""; 0], "it is on its way down");
        if seen_down {
            world.unit(TARGET, |state| state.job = false);
            world.active("app.service", ActiveState::Inactive);
            world.unit("drbd-promote@r0.service", |state| {
                state.active = ActiveState::Inactive;
                state.job = false;
            });
            world.resource("Secondary", "yes");
            assert!(world.state().starts_with("waiting"), "{}", world.state());
        }
        world.seconds(2);
        world.resource("Primary", "no");
        world.unit("drbd-promote@r0.service", |state| {
            state.active = ActiveState::Active;
            state.job = false;
        });
        world.active("app.service", ActiveState::Active);
        world.unit(TARGET, |state| {
            state.active = ActiveState::Active;
            state.job = false;
        });
        assert_eq!(world.said(), [format!("stop {TARGET}")], "seen down: {seen_down}: {}", world.state());
        assert_eq!(world.report().failures, 1);
        world.goes_down("yes");
        world.seconds(20);
        assert_eq!(world.said(), [format!("start {TARGET}")], "no other node could");
    }
}

/// A world whose r0 has failed once, which was once too often, ten seconds ago.
fn given_up(r0: PromotedResource) -> World {
    let mut world = World::running(PromotedResource { max_failures: 1, ..r0 });
    restarts_itself(&mut world);
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
    world.goes_down("yes");
    world.seconds(10);
    assert!(world.state().starts_with("blocked"), "{}", world.state());
    world
}

/// Somebody starts the target.
fn by_hand(world: &mut World) {
    world.unit(TARGET, |state| state.job = true);
    world.active("drbd-promote@r0.service", ActiveState::Active);
    world.resource("Primary", "no");
    world.active("app.service", ActiveState::Active);
    world.unit(TARGET, |state| {
        state.active = ActiveState::Active;
        state.job = false;
    });
}

#[test]
fn who_starts_a_service_by_hand_when_others_had_their_time_may() {
    let mut world = given_up(moving());
    by_hand(&mut world);
    world.seconds(100);
    assert_eq!(world.said(), [""; 0], "{}", world.state());
}

#[test]
fn what_was_started_by_hand_where_it_is_blocked_leaves_when_it_fails_again() {
    let mut world = given_up(app());
    by_hand(&mut world);
    assert_eq!(world.said(), [""; 0]);
    restarts_itself(&mut world);
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
}

#[test]
fn a_crash_loop_that_systemd_mends_ends_at_the_limit() {
    for (policy, ends) in [(OnServiceFailure::Restart, true), (OnServiceFailure::Ignore, false)] {
        let mut world = World::running(PromotedResource { on_service_failure: policy, max_failures: 2, ..app() });
        for count in 1..=2 {
            restarts_itself(&mut world);
            assert_eq!(world.report().failures, count);
            let stop = format!("stop {TARGET}");
            let wanted: &[String] = if ends && count == 2 { &[stop] } else { &[] };
            assert_eq!(world.said(), wanted, "{policy:?}: {}", world.state());
            world.unit("app.service", |state| {
                state.active = ActiveState::Active;
                state.result = Some("success".to_owned());
            });
        }
    }
}

#[test]
fn a_target_that_goes_down_because_of_a_crash_counts_once() {
    let mut world = World::running(app());
    // Restart=always: systemd's restart takes the target down.
    world.unit("app.service", |state| {
        state.active = ActiveState::Activating;
        state.sub = "auto-restart".to_owned();
        state.result = Some("signal".to_owned());
    });
    world.active(TARGET, ActiveState::Inactive);
    world.active("app.service", ActiveState::Inactive);
    world.active("drbd-promote@r0.service", ActiveState::Inactive);
    world.resource("Secondary", "yes");
    assert_eq!(world.report().failures, 1);
    assert_eq!(world.said(), [""; 0], "a second of back-off: another node may be faster");
    world.seconds(1);
    assert_eq!(world.said(), [format!("start {TARGET}")]);
}

#[test]
fn a_crash_after_a_restart_counts_again() {
    let mut world = World::running(app());
    fails(&mut world);
    world.seconds(1);
    world.unit("app.service", |state| {
        state.active = ActiveState::Active;
        state.result = Some("success".to_owned());
    });
    world.done("start", UnitEnd::Done);
    assert_eq!(world.report().failures, 1);
    // Of systemd's own restart the state `failed` is not always seen.
    world.unit("app.service", |state| {
        state.active = ActiveState::Activating;
        state.result = Some("signal".to_owned());
    });
    world.active(TARGET, ActiveState::Inactive);
    world.active("app.service", ActiveState::Inactive);
    world.active("drbd-promote@r0.service", ActiveState::Inactive);
    assert_eq!(world.report().failures, 2);
}

#[test]
fn a_crash_that_systemd_mends_here_counts() {
    let mut world = World::running(app());
    for count in 1..3 {
        world.unit("app.service", |state| {
            state.active = ActiveState::Activating;
            state.sub = "auto-restart".to_owned();
            state.result = Some("signal".to_owned());
        });
        // The target goes down and comes up in one job: nothing is ever off.
        world.unit("app.service", |state| {
            state.active = ActiveState::Active;
            state.result = Some("success".to_owned());
        });
        assert_eq!(world.report().failures, count);
        assert_eq!(world.said(), [""; 0], "systemd does it");
    }
}

#[test]
fn a_crash_that_is_told_in_steps_counts_once() {
    let mut world = World::running(app());
    for (active, sub) in [(ActiveState::Activating, "auto-restart"), (ActiveState::Failed, "failed")] {
        world.unit("app.service", |state| {
            state.active = active;
            state.sub = sub.to_owned();
            state.result = Some("exit-code".to_owned());
        });
    }
    assert_eq!(world.report().failures, 1);
}

#[test]
fn a_target_that_somebody_stopped_is_no_failure() {
    let mut world = World::running(app());
    world.active(TARGET, ActiveState::Inactive);
    world.active("app.service", ActiveState::Inactive);
    world.active("drbd-promote@r0.service", ActiveState::Inactive);
    world.resource("Secondary", "no");
    assert_eq!(world.report().failures, 0);
}

#[test]
fn a_start_that_fails_is_one_failure() {
    let mut world = World::new(app());
    world.dump("yes");
    world.said();
    world.active("drbd-promote@r0.service", ActiveState::Active);
    world.resource("Primary", "no");
    fails(&mut world);
    world.done("start", UnitEnd::Job("dependency".to_owned()));
    assert_eq!(world.report().failures, 1);
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
    world.active("app.service", ActiveState::Failed);
    world.active("drbd-promote@r0.service", ActiveState::Inactive);
    world.resource("Secondary", "yes");
    world.done("stop", UnitEnd::Done);
    assert_eq!(world.report().failures, 1);
    world.seconds(9);
    assert_eq!(world.said(), [""; 0], "ten seconds for others");
    world.seconds(1);
    assert_eq!(world.said(), [format!("start {TARGET}")]);
}

#[test]
fn a_lost_race_is_no_failure_no_warning_no_stop() {
    let mut world = World::new(app());
    world.dump("yes");
    world.all();
    world.unit("drbd-promote@r0.service", |state| state.result = Some("exec-condition".to_owned()));
    world.done("start", UnitEnd::Job("dependency".to_owned()));
    let all = world.all();
    // What DRBD itself says is asked for; here it says nothing.
    assert_eq!(all, ["Info: r0: DRBD did not let this node become Primary", "examine drbd-promote@r0.service"]);
    assert_eq!(world.report().failures, 0);
    // The winner shows, and later it goes: at once again.
    world.resource("Secondary", "no");
    world.resource("Secondary", "yes");
    assert_eq!(world.said(), [format!("start {TARGET}")]);
}

#[test]
fn promotions_that_drbd_refuses_back_off() {
    let mut world = World::new(app());
    world.dump("yes");
    world.said();
    for wait in [1, 2, 4, 8, 16, 30, 30] {
        world.done("start", UnitEnd::Job("dependency".to_owned()));
        world.seconds(wait - 1);
        assert_eq!(world.said(), [""; 0], "{wait}");
        world.seconds(1);
        assert_eq!(world.said(), [format!("start {TARGET}")], "{wait}");
    }
}

#[test]
fn failures_and_the_block_outlive_the_daemon() {
    let mut world = World::running(PromotedResource { max_failures: 1, ..app() });
    fails(&mut world);
    let memory = world.remembered["r0"].clone();
    assert_eq!(memory.failures.len(), 1);
    assert!(memory.blocked_since.is_some());
    assert_eq!(memory.last_failure.as_deref(), Some("app.service has failed: exit-code"));

    let settings = PromotedResource { max_failures: 1, ..app() };
    let mut next = World::remembering(&[("r0", settings)], vec![(ResourceName::new("r0"), memory)]);
    next.dump("yes");
    next.seconds(1000);
    assert_eq!(next.said(), ["adjust r0"]);
    assert!(next.state().starts_with("blocked"), "{}", next.state());
    next.operator(OperatorVerb::Clear);
    assert_eq!(next.remembered["r0"], Memory::default());
}

#[test]
fn a_stop_that_fails_is_repeated_with_back_off() {
    let mut world = World::running(app());
    world.burst(&crate::world::device("r0", 0, "UpToDate", "no"));
    world.done("stop", UnitEnd::Job("timeout".to_owned()));
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
    world.seconds(4);
    assert_eq!(world.said(), [""; 0]);
    world.seconds(1);
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
}

#[test]
fn a_restart_that_fails_again_counts_again_and_backs_off() {
    let mut world = World::running(PromotedResource { max_failures: 0, ..app() });
    for wait in [1, 2, 4, 8] {
        fails(&mut world);
        world.seconds(wait - 1);
        assert_eq!(world.said(), [""; 0], "{wait}");
        world.seconds(1);
        assert_eq!(world.said(), [format!("start {TARGET}")], "{wait}");
        // The reset took its result, too. The target is active already: its job is done at once, that of the service fails later.
        world.unit("app.service", |state| {
            state.active = ActiveState::Inactive;
            state.result = Some("success".to_owned());
        });
        world.done("start", UnitEnd::Done);
    }
    assert_eq!(world.report().failures, 4);
}

/// The reset and the start go out together. If the connection breaks nobody knows whether the start came through: what was reset looks as if
/// nothing had failed, and is started all the same.
#[test]
fn a_unit_that_was_reset_is_started_also_if_the_connection_breaks_between() {
    for news_first in [true, false] {
        let mut world = World::running(app());
        fails(&mut world);
        world.seconds(1);
        assert_eq!(world.said(), [format!("start {TARGET}")]);
        if news_first {
            world.active("app.service", ActiveState::Inactive);
        }
        world.done("start", UnitEnd::NoBus { why: "gone".to_owned() });
        if !news_first {
            world.active("app.service", ActiveState::Inactive);
        }
        assert_eq!(world.said(), [""; 0], "not at once again");
        world.seconds(1);
        assert_eq!(world.said(), [format!("start {TARGET}")], "news first: {news_first}");
        assert!(world.why("start").contains("app.service has failed: exit-code"), "{}", world.why("start"));
        restarted(&mut world);
        world.seconds(100);
        assert_eq!(world.said(), [""; 0]);
    }
}

/// Somebody stopped the target, and the demotion failed because a file was open. The reset before the start makes systemd forget
/// that the promotion was ours; we do not.
#[test]
fn a_promotion_whose_end_has_failed_stays_ours_when_it_is_reset() {
    for news_first in [true, false] {
        let mut world = World::running(app());
        world.answers = false;
        world.active(TARGET, ActiveState::Inactive);
        world.active("app.service", ActiveState::Inactive);
        world.active("drbd-promote@r0.service", ActiveState::Failed);
        world.seconds(10);
        let all = world.all();
        let asked: Vec<_> = all.iter().filter(|text| text.starts_with("reset-failed")).collect();
        assert_eq!(asked, ["reset-failed drbd-promote@r0.service"]);
        assert!(all.contains(&format!("start {TARGET}")), "{all:?}");
        if news_first {
            world.active("drbd-promote@r0.service", ActiveState::Inactive);
        }
        // It is given up, and tried again: that it was ours is still known.
        world.done("start", UnitEnd::NoBus { why: "gone".to_owned() });
        if !news_first {
            world.active("drbd-promote@r0.service", ActiveState::Inactive);
        }
        world.seconds(10);
        assert_eq!(world.said(), [format!("start {TARGET}")], "news first: {news_first}: {}", world.state());
        world.comes_up();
        // It was ours that once: somebody stops the target, and promotes by hand.
        world.active(TARGET, ActiveState::Inactive);
        world.active("app.service", ActiveState::Inactive);
        world.active("drbd-promote@r0.service", ActiveState::Inactive);
        world.seconds(60);
        assert_eq!(world.said(), [""; 0]);
        assert!(world.state().contains("somebody works on it"), "{}", world.state());
    }
}

#[test]
fn primary_without_services_and_blocked_lets_go() {
    let memory = Memory { blocked_since: Some(1_799_999_990), failures: vec![1_799_999_990], ..Memory::default() };
    let settings = PromotedResource { max_failures: 1, ..app() };
    let mut world = World::remembering(&[("r0", settings)], vec![(ResourceName::new("r0"), memory)]);
    world.active("drbd-promote@r0.service", ActiveState::Active);
    world.source(reactor_core::input::Dialect::Drbd9);
    world.burst(&(crate::world::picture("exists", "r0", "Primary", "no") + "exists -\n"));
    assert!(world.said().contains(&format!("stop {TARGET}")));
}

#[test]
fn a_blocked_node_says_so_also_while_another_one_runs_it() {
    let memory = Memory { blocked_since: Some(1_799_999_990), failures: vec![1_799_999_990], ..Memory::default() };
    let settings = PromotedResource { max_failures: 1, ..app() };
    let mut world = World::remembering(&[("r0", settings)], vec![(ResourceName::new("r0"), memory)]);
    world.dump("no");
    world.burst(&crate::world::connection("r0", 1, "Connected", "Primary"));
    assert_eq!(world.report().state.as_str(), "blocked", "{}", world.state());
}

#[test]
fn a_limit_that_was_lifted_blocks_nobody() {
    let memory = Memory { blocked_since: Some(1_799_999_000), ..Memory::default() };
    let settings = PromotedResource { max_failures: 0, ..app() };
    let mut world = World::remembering(&[("r0", settings)], vec![(ResourceName::new("r0"), memory)]);
    world.dump("yes");
    assert_eq!(world.said(), ["adjust r0", &format!("start {TARGET}")]);
}

#[test]
fn a_start_whose_end_is_not_known_is_not_repeated_without_a_pause() {
    let mut world = World::new(app());
    world.dump("yes");
    assert_eq!(world.said(), ["adjust r0", &format!("start {TARGET}")]);
    let start = format!("start {TARGET}");
    world.done(&start, UnitEnd::NoBus { why: "an answer that nobody understands".to_owned() });
    assert_eq!(world.said(), [""; 0]);
    world.seconds(1);
    assert_eq!(world.said(), [start]);
}

#[test]
fn services_that_end_by_themselves_at_once_are_started_with_back_off() {
    let mut world = World::running(app());
    let mut starts = 0;
    for _ in 0..600 {
        for text in world.said() {
            if text.starts_with("start") {
                starts += 1;
                world.comes_up();
            }
        }
        // It has done all it had to do, and with BindsTo= its target goes, too.
        world.goes_away("yes");
        world.seconds(1);
    }
    assert!((5..=15).contains(&starts), "{starts}");
}

#[test]
fn a_start_that_nobody_knows_the_end_of_is_repeated_with_back_off() {
    let mut world = World::new(app());
    world.dump("yes");
    let mut starts = 0;
    for _ in 0..600 {
        for text in world.said() {
            if text.starts_with("start") {
                starts += 1;
                world.done("start", UnitEnd::NoBus { why: "closed".to_owned() });
            }
        }
        world.seconds(1);
    }
    assert!((5..=16).contains(&starts), "{starts}");
}

#[test]
fn a_stop_that_is_done_and_stops_nothing_is_repeated_with_back_off() {
    for end in [UnitEnd::Done, UnitEnd::Job("failed".to_owned())] {
        let mut world = World::running(app());
        world.resource("Secondary", "no");
        let mut stops = 0;
        for _ in 0..600 {
            for text in world.said() {
                if text.starts_with("stop") {
                    stops += 1;
                    world.done("stop", end.clone());
                }
            }
            world.seconds(1);
        }
        assert!((5..=15).contains(&stops), "{end}: {stops}");
        let warned = |action: &&reactor_core::action::Action| matches!(&action.kind, reactor_core::action::ActionKind::Effect(reactor_core::action::Effect::Note { text, .. }) if text.contains("could not be stopped"));
        assert!(world.actions.iter().filter(warned).count() <= 1);
    }
}

#[test]
fn a_service_that_fails_for_want_of_its_data_is_restarted_with_back_off() {
    let mut world = World::running(app());
    // No good data in reach, and no peer that may have some: it stays.
    world.burst(
        &(crate::world::device_as("change", "r0", 0, "Diskless", "yes", "no")
            + &crate::world::peer_device("r0", 1, 0, "Established", "Inconsistent")
            + &crate::world::peer_device("r0", 2, 0, "Established", "Inconsistent")),
    );
    world.said();
    let mut starts = 0;
    for _ in 0..600 {
        fails(&mut world);
        world.seconds(1);
        for text in world.said() {
            if text.starts_with("start") {
                starts += 1;
                restarted(&mut world);
            }
        }
    }
    assert_eq!(world.report().failures, 0, "no fault of the service");
    assert!((8..=16).contains(&starts), "{starts}");
}

#[test]
fn a_stop_that_failed_does_not_delay_the_next_need_for_one() {
    let mut world = World::running(app());
    world.burst(&crate::world::device("r0", 0, "UpToDate", "no"));
    for _ in 0..4 {
        world.done("stop", UnitEnd::Job("failed".to_owned()));
        world.seconds(60);
    }
    world.said();
    world.done("stop", UnitEnd::Job("failed".to_owned()));
    // Quorum is back, and lost again.
    world.burst(&crate::world::device("r0", 0, "UpToDate", "yes"));
    assert_eq!(world.said(), [""; 0]);
    world.burst(&crate::world::device("r0", 0, "UpToDate", "no"));
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
}

#[test]
fn a_restart_whose_end_is_told_before_its_units_is_not_asked_for_again_at_once() {
    let mut world = World::running(app());
    fails(&mut world);
    world.seconds(1);
    assert_eq!(world.said(), [format!("start {TARGET}")]);
    // systemd says that it is done; that the unit has not failed any more is on its way.
    world.done("start", UnitEnd::Done);
    assert_eq!(world.said(), [""; 0]);
    world.active("app.service", ActiveState::Inactive);
    assert_eq!(world.said(), [""; 0]);
    world.active("app.service", ActiveState::Active);
    world.seconds(60);
    assert_eq!(world.said(), [""; 0]);
}

#[test]
fn what_drbd_demands_does_not_wait_because_another_stop_failed() {
    let mut world = World::running(PromotedResource { on_service_failure: OnServiceFailure::Move, ..app() });
    fails(&mut world);
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
    world.done("stop", UnitEnd::Job("failed".to_owned()));
    world.seconds(1);
    assert_eq!(world.said(), [""; 0], "the same again: with a pause");
    world.burst(&crate::world::device("r0", 0, "UpToDate", "no"));
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
}

/// A script that clears whenever something has failed starts what fails at once as fast as the machine can.
#[test]
fn a_clear_allows_no_hot_loop() {
    let mut world = World::running(PromotedResource { on_service_failure: OnServiceFailure::Restart, ..app() });
    let mut starts = 0;
    for _ in 0..600 {
        fails(&mut world);
        world.operator(OperatorVerb::Clear);
        for text in world.said() {
            if text.starts_with("start") {
                starts += 1;
                restarted(&mut world);
            }
        }
        world.pass(Duration::from_millis(100));
    }
    assert!((2..=10).contains(&starts), "{starts} starts in a minute");
    world.seconds(60);
    assert!(world.said().contains(&format!("start {TARGET}")), "after the pause");
}

/// It failed in an earlier life of the daemon, was counted there, and stayed so.
#[test]
fn an_old_failure_is_not_counted_when_somebody_stops_the_services() {
    let mut world = World::new(compat());
    for unit in [TARGET, "drbd-promote@r0.service"] {
        world.active(unit, ActiveState::Active);
    }
    fails(&mut world);
    world.source(reactor_core::input::Dialect::Drbd9);
    world.burst(&(crate::world::picture("exists", "r0", "Primary", "no") + "exists -\n"));
    world.seconds(100);
    assert_eq!(world.report().warnings, ["app.service has failed: exit-code"]);
    world.operator(OperatorVerb::Hold { why: "maintenance".to_owned() });
    world.active(TARGET, ActiveState::Inactive);
    world.active("drbd-promote@r0.service", ActiveState::Inactive);
    world.resource("Secondary", "yes");
    world.seconds(60);
    assert_eq!(world.report().failures, 0);
}
