//! What a reload changes of a resource that stays, and what it must not change.

use reactor_core::history::{Ledger, Row, Serving, State};
use reactor_core::ids::ResourceName;
use reactor_core::operator::Memory;
use reactor_core::settings::promoter::{OnQuorumLoss, PromotedResource, Runner};
use reactor_core::settings::{Mode, Settings};
use reactor_core::systemd::{ActiveState, FreezerState, UnitEnd};

use crate::world::{TARGET, World, app, device, settings, table, units};

fn start() -> [String; 1] {
    [format!("start {TARGET}")]
}

/// `app`, with a setting that says nothing about what is started.
fn other() -> PromotedResource {
    PromotedResource { max_failures: 7, ..app() }
}

fn shell() -> PromotedResource {
    PromotedResource { runner: Runner::Shell, ..units(&["up"]) }
}

#[test]
fn a_start_that_is_under_way_is_waited_for_after_a_reload() {
    let mut world = World::new(app());
    world.dump("yes");
    assert!(world.said().contains(&start()[0]));
    world.configure(&settings(&[("r0", other())]));
    world.seconds(60);
    assert_eq!(world.said(), [""; 0]);
    world.done("start", UnitEnd::Job("dependency".to_owned()));
    world.seconds(60);
    assert_eq!(world.said(), start());
}

#[test]
fn commands_that_run_are_waited_for_after_a_reload() {
    let mut world = World::new(shell());
    world.dump("yes");
    assert_eq!(world.said(), ["adjust r0", "run up"]);
    world.configure(&settings(&[("r0", PromotedResource { max_failures: 7, ..shell() })]));
    world.seconds(60);
    assert_eq!(world.said(), [""; 0]);
    world.resource("Primary", "no");
    world.ran("run up", 0);
    assert!(world.state().starts_with("running"), "{}", world.state());
}

#[test]
fn another_runner_begins_anew_whatever_was_under_way() {
    // Nothing is, or a start of its target.
    for may in ["no", "yes"] {
        let mut world = World::new(app());
        world.dump(may);
        world.said();
        world.configure(&settings(&[("r0", shell())]));
        world.resource("Secondary", "no");
        world.resource("Secondary", "yes");
        world.seconds(60);
        assert_eq!(world.said(), ["run up"], "may_promote:{may}: {}", world.state());
        // And back.
        world.configure(&settings(&[("r0", app())]));
        world.resource("Secondary", "no");
        world.resource("Secondary", "yes");
        world.seconds(60);
        assert_eq!(world.said(), start(), "may_promote:{may}: {}", world.state());
    }
}

/// The job of a start has not been told to be over, and the target is active: that is our start.
#[test]
fn a_target_that_is_active_before_the_end_of_its_job_is_up() {
    let mut world = World::new(app());
    world.dump("yes");
    world.active("drbd-promote@r0.service", ActiveState::Active);
    world.resource("Primary", "no");
    world.active("app.service", ActiveState::Active);
    world.unit(TARGET, |state| {
        state.active = ActiveState::Active;
        state.job = true;
    });
    assert_eq!(world.report().state.as_str(), "running", "{}", world.state());
    // One whose member goes down is not up.
    let mut world = World::new(app());
    world.dump("yes");
    world.active("drbd-promote@r0.service", ActiveState::Active);
    world.unit("app.service", |state| state.active = ActiveState::Deactivating);
    assert_eq!(world.report().state.as_str(), "stopping", "{}", world.state());
}

/// A clock that went back: that failures are no older than the daemon is kept, or they would begin anew with each restart.
#[test]
fn failures_from_the_future_are_kept_as_of_now() {
    let memory = Memory { failures: vec![1_800_000_500, 1_799_999_990], ..Memory::default() };
    let world = World::remembering(&[("r0", app())], vec![(ResourceName::new("r0"), memory.clone())]);
    assert_eq!(world.remembered["r0"].failures, [1_800_000_000, 1_799_999_990]);
    let known = Memory { failures: vec![1_799_999_990], ..memory };
    let world = World::remembering(&[("r0", app())], vec![(ResourceName::new("r0"), known)]);
    assert!(!world.remembered.contains_key("r0"), "it is known");
}

/// What a person froze is his. What we froze, or may have, is thawed once.
#[test]
fn only_what_may_be_ours_is_thawed_and_once() {
    let mut world = World::running(app());
    world.frozen("app.service", FreezerState::Frozen);
    world.seconds(60);
    assert_eq!(world.said(), [""; 0]);

    let mut world = World::running(PromotedResource { on_quorum_loss: OnQuorumLoss::Freeze, ..app() });
    world.burst(&device("r0", 0, "UpToDate", "no"));
    assert_eq!(world.said(), ["freeze app.service"]);
    // It is frozen, and the end of the call has not been told.
    world.frozen("app.service", FreezerState::Frozen);
    world.burst(&device("r0", 0, "UpToDate", "yes"));
    assert_eq!(world.said(), ["thaw app.service"]);
}

/// Whichever table is told first, and whether the old one stays, the new one is there before, or both.
#[test]
fn what_moves_to_another_table_is_watched_all_the_time() {
    let (r0, other) = (|| ("r0", app()), |name| (name, units(&["other.service"])));
    let of = |tables| Settings::of_plugins(Mode::Native, tables);
    let reloads = [
        [
            of(vec![table("a", &[other("r1")]), table("b", &[r0(), other("r2")])]),
            of(vec![table("a", &[other("r1"), r0()]), table("b", &[other("r2")])]),
        ],
        [
            of(vec![table("a", &[r0(), other("r1")]), table("b", &[other("r2")])]),
            of(vec![table("a", &[other("r1")]), table("b", &[r0(), other("r2")])]),
        ],
        [of(vec![table("a", &[other("r1")]), table("b", &[r0()])]), of(vec![table("a", &[other("r1"), r0()])])],
        [of(vec![table("a", &[r0()])]), of(vec![table("b", &[r0()])])],
    ];
    for (which, [before, after]) in reloads.iter().enumerate() {
        let mut world = World::running(app());
        let mut ledger = Ledger::default();
        let mut watched = |world: &mut World| {
            let mut rows = Vec::new();
            for news in
                world.news.drain(..).filter(|news| news.resource.as_ref().is_some_and(|name| name.as_str() == "r0"))
            {
                ledger.take(1, news, &mut rows);
            }
            let state = |row: Row| if let Row::Span { span, .. } = row { Some(span.state) } else { None };
            rows.into_iter().filter_map(state).collect::<Vec<_>>()
        };
        assert_eq!(watched(&mut world).last(), Some(&State::Seen(Serving::Here)));
        for settings in [before, after] {
            world.configure(settings);
            world.seconds(60);
            assert_eq!(watched(&mut world), [], "{which}");
        }
        world.configure(&of(vec![table("a", &[other("r1")])]));
        assert_eq!(watched(&mut world), [State::Unwatched], "{which}");
    }
}
