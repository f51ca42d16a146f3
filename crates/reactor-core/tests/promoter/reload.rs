//! What a reload changes of a resource that stays, and what it must not change.

use reactor_core::history::{Ledger, Row, Serving, State};
use reactor_core::ids::ResourceName;
use reactor_core::operator::Memory;
use reactor_core::settings::promoter::{OnQuorumLoss, PromotedResource, Runner};
use reactor_core::settings::{Mode, PluginEntry, Settings};
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

fn of(tables: Vec<PluginEntry>) -> Settings {
    Settings::of_plugins(Mode::Native, tables)
}

/// Reloads that move r0 to another table: whichever table is told first, and whether the old one stays, the new one is there before, or both.
fn moves(before: &PromotedResource, after: &PromotedResource) -> [[Settings; 2]; 4] {
    let (r0, moved) = (("r0", before.clone()), ("r0", after.clone()));
    let [r1, r2] = ["r1", "r2"].map(|name| (name, units(&["other.service"])));
    let alone = |one: &(&'static str, PromotedResource)| [one.clone()];
    let both =
        |one: &(&'static str, PromotedResource), two: &(&'static str, PromotedResource)| [one.clone(), two.clone()];
    [
        [
            of(vec![table("a", &alone(&r1)), table("b", &both(&r0, &r2))]),
            of(vec![table("a", &both(&r1, &moved)), table("b", &alone(&r2))]),
        ],
        [
            of(vec![table("a", &both(&r0, &r1)), table("b", &alone(&r2))]),
            of(vec![table("a", &alone(&r1)), table("b", &both(&moved, &r2))]),
        ],
        [of(vec![table("a", &alone(&r1)), table("b", &alone(&r0))]), of(vec![table("a", &both(&r1, &moved))])],
        [of(vec![table("a", &alone(&r0))]), of(vec![table("b", &alone(&moved))])],
    ]
}

#[test]
fn what_moves_to_another_table_is_watched_all_the_time() {
    let reloads = moves(&app(), &app());
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
        world.configure(&of(vec![table("a", &[("r1", units(&["other.service"]))])]));
        assert_eq!(watched(&mut world), [State::Unwatched], "{which}");
    }
}

/// The old table thawed them, because they were no longer its own, and the new one froze them again.
#[test]
fn what_is_frozen_stays_so_while_it_moves_to_another_table_and_is_thawed_there() {
    let with = |members: &[&str]| PromotedResource { on_quorum_loss: OnQuorumLoss::Freeze, ..units(members) };
    let (two, one) = (with(&["app.service", "more.service"]), with(&["app.service"]));
    // What the new table does not list is thawed, as it is by a reload that moves nothing.
    for (after, at_once) in [(&two, &[][..]), (&one, &["thaw more.service"][..])] {
        for (which, [before, after]) in moves(&two, after).iter().enumerate() {
            let mut world = World::new(two.clone());
            world.configure(before);
            world.bus_up();
            world.dump("yes");
            world.seconds(60);
            world.comes_up_with(&["app.service", "more.service"]);
            world.burst(&device("r0", 0, "UpToDate", "no"));
            assert_eq!(world.said(), ["freeze app.service", "freeze more.service"], "{which}");
            for unit in ["app.service", "more.service"] {
                world.frozen(unit, FreezerState::Frozen);
                world.done(&format!("freeze {unit}"), UnitEnd::Done);
            }
            world.configure(after);
            world.bus_up();
            let said: Vec<String> = world.said().into_iter().filter(|text| !text.starts_with("adjust")).collect();
            assert_eq!(said, at_once, "{which}");
            assert!(world.state().starts_with("frozen: quorum lost"), "{which}: {}", world.state());
            assert!(world.remembered["r0"].frozen, "{which}: the next daemon has to know, too");
            world.burst(&device("r0", 0, "UpToDate", "yes"));
            let thaws = world.said();
            assert!(thaws.contains(&"thaw app.service".to_owned()), "{which}: {thaws:?}");
            assert_eq!(thaws.contains(&"thaw more.service".to_owned()), at_once.is_empty(), "{which}: {thaws:?}");
        }
    }
}

/// A reload that took it out of one table said that its failures are over, and the other one was told before that they are not.
#[test]
fn what_is_remembered_moves_to_another_table() {
    for (which, [before, after]) in moves(&app(), &app()).iter().enumerate() {
        let mut world = World::running(app());
        world.configure(before);
        world.active("app.service", ActiveState::Failed);
        let known = world.remembered["r0"].clone();
        assert_eq!(known.failures.len(), 1, "{which}");
        world.configure(after);
        assert_eq!(world.remembered["r0"], known, "{which}");
        assert_eq!(world.report().failures, 1, "{which}");
    }
}
