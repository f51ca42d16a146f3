//! Defects of drbd-reactor's promoter that ours must not have; each test names its number.

use std::time::Duration;

use reactor_core::ids::ResourceName;
use reactor_core::input::{Dialect, Input};
use reactor_core::operator::{Hold, Memory};
use reactor_core::plugin::promoter::report::StateWord;
use reactor_core::settings::promoter::{Dependency, OnQuorumLoss, OnServiceFailure, PromotedResource};
use reactor_core::systemd::{ActiveState, BusEvent, LoadState, UnitEnd, UnitState};

use crate::world::{TARGET, World, app, compat, connection, device, picture, resource, settings, units};

#[test]
fn a_missing_device_delays_no_other_resource() {
    let other = units(&["other.service"]);
    let mut world = World::where_(|world| world.lower[0].ready = false, &[("r0", app()), ("r1", other)]);
    world.source(Dialect::Drbd9);
    world.burst(
        &(picture("exists", "r0", "Secondary", "yes") + &picture("exists", "r1", "Secondary", "yes") + "exists -\n"),
    );
    assert_eq!(world.said(), [""; 0]);
    world.lower[0].ready = true;
    world.seconds(2);
    assert_eq!(world.said().iter().filter(|text| text.starts_with("start")).count(), 2);
}

#[test]
fn events2_that_dies_stops_nothing_and_starts_nothing() {
    let mut world = World::running(app());
    world.source_dies();
    world.seconds(100);
    assert!(world.state().starts_with("running: no news of DRBD"), "{}", world.state());
    world.source(Dialect::Drbd9);
    world.burst(&(picture("exists", "r0", "Primary", "no") + "exists -\n"));
    assert_eq!(world.said(), [""; 0]);
    assert_eq!(world.state(), "running: its services run here");
}

#[test]
fn a_delay_that_ends_without_news_of_drbd_starts_nothing() {
    let mut world = World::new(PromotedResource { preferred_nodes: vec!["n2".to_owned()], ..app() });
    world.dump("yes");
    world.source_dies();
    world.seconds(10);
    assert_eq!(world.said(), ["adjust r0"]);
    world.source(Dialect::Drbd9);
    world.burst(&(picture("exists", "r0", "Secondary", "yes") + "exists -\n"));
    world.pass(Duration::from_millis(999));
    assert_eq!(world.said(), [""; 0], "the delay begins anew");
    world.pass(Duration::from_millis(1));
    assert_eq!(world.said(), [format!("start {TARGET}")]);
}

#[test]
fn a_quorum_loss_that_is_over_stops_nothing() {
    let mut world = World::running(app());
    // Both bursts arrive in one piece of text: each is judged for itself, so use one burst that ends well.
    world.lines(&device("r0", 0, "UpToDate", "no"));
    world.burst(&device("r0", 0, "UpToDate", "yes"));
    assert_eq!(world.said(), [""; 0]);
}

#[test]
fn a_slow_start_of_one_resource_delays_no_stop_of_another() {
    let mut world = World::with(&[("r0", app()), ("r1", units(&["other.service"]))]);
    world.source(Dialect::Drbd9);
    world.burst(
        &(picture("exists", "r0", "Secondary", "yes") + &picture("exists", "r1", "Secondary", "no") + "exists -\n"),
    );
    // r1 runs here; r0's start goes on for minutes.
    for unit in ["drbd-services@r1.target", "drbd-promote@r1.service", "other.service"] {
        world.active(unit, ActiveState::Active);
    }
    world.burst(&resource("change", "r1", "Primary", "no"));
    world.said();
    world.burst(&device("r1", 0, "UpToDate", "no"));
    assert_eq!(world.said(), ["stop drbd-services@r1.target"]);
}

#[test]
fn a_start_of_one_resource_does_not_hold_another_back() {
    let mut world = World::with(&[
        ("r0", compat()),
        ("r1", PromotedResource { start: units(&["other.service"]).start, ..compat() }),
    ]);
    world.source(Dialect::Drbd9);
    world.burst(
        &(picture("exists", "r0", "Secondary", "yes") + &picture("exists", "r1", "Secondary", "no") + "exists -\n"),
    );
    world.said();
    world.seconds(1);
    world.burst(&resource("change", "r1", "Secondary", "yes"));
    assert_eq!(world.said(), ["start drbd-services@r1.target"]);
}

#[test]
fn a_retry_waits_as_a_first_try_does() {
    let mut world =
        World::new(PromotedResource { preferred_nodes: vec!["n2".to_owned(), "n3".to_owned()], ..compat() });
    world.dump("yes");
    world.seconds(2);
    assert_eq!(world.said(), ["adjust r0", &format!("start {TARGET}")]);
    world.done("start", UnitEnd::Job("dependency".to_owned()));
    world.resource("Secondary", "no");
    world.seconds(25);
    world.resource("Secondary", "yes");
    assert!(world.state().contains("not one of preferred-nodes: 2 s"), "{}", world.state());
    world.pass(Duration::from_millis(1999));
    assert_eq!(world.said(), [""; 0]);
    world.pass(Duration::from_millis(1));
    assert_eq!(world.said(), [format!("start {TARGET}")]);
}

#[test]
fn decides_at_the_end_of_the_burst() {
    let mut world = World::new(app());
    world.dump("no");
    world.burst(&device("r0", 0, "Consistent", "yes"));
    world.said();
    // The resource line comes first, with the old state of the disk still in the picture.
    world.lines(&resource("change", "r0", "Secondary", "yes"));
    world.step(&Input::Tick);
    assert_eq!(world.said(), [""; 0], "not in the middle of a burst");
    world.burst(&device("r0", 0, "UpToDate", "yes"));
    assert_eq!(world.said(), [format!("start {TARGET}")], "and without the second for a disk that is Consistent");
}

#[test]
fn the_policy_is_read_again() {
    let mut world = World::new(app());
    world.options.quorum = Some("off".to_owned());
    world.dump("yes");
    assert!(world.state().starts_with("unmanaged"), "{}", world.state());
    world.options.quorum = Some("majority".to_owned());
    world.seconds(300);
    assert!(world.said().contains(&format!("start {TARGET}")), "after five minutes at the latest");

    let mut world = World::new(app());
    world.options.quorum = Some("off".to_owned());
    world.dump("yes");
    world.options.quorum = Some("majority".to_owned());
    world.burst(&connection("r0", 3, "Connecting", "Unknown").replace("change", "create"));
    assert!(world.said().contains(&format!("start {TARGET}")), "at once when a connection comes");
}

#[test]
fn quorum_loss_counts_before_the_policy_is_known() {
    let mut world = World::new(app());
    world.answers = false;
    for unit in [TARGET, "drbd-promote@r0.service", "app.service"] {
        world.active(unit, ActiveState::Active);
    }
    world.source(Dialect::Drbd9);
    world.burst(&(picture("exists", "r0", "Primary", "no").replace("quorum:yes", "quorum:no") + "exists -\n"));
    assert_eq!(world.said(), ["adjust r0".to_owned(), format!("stop {TARGET}")]);
}

#[test]
fn a_standby_that_could_not_take_over_yet_says_why() {
    let mut world = World::bare();
    world.answers = false;
    world.configure(&settings(&[("r0", app())]));
    world.bus_up();
    world.dump("no");
    world.burst(&connection("r0", 1, "Connected", "Primary"));
    let state = world.state();
    assert!(
        state.starts_with("standby: ") && state.ends_with(" is Primary; its unit files are not written yet"),
        "{state}"
    );
}

#[test]
fn the_stop_on_exit_follows_whatever_became_of_the_files() {
    use reactor_core::action::{ActionKind, Call, Done, FilesEnd, Outcome};
    let mut world = World::running(PromotedResource { stop_services_on_exit: true, ..app() });
    world.answers = false;
    world.step(&Input::Exit);
    let id = world
        .actions
        .iter()
        .rev()
        .find(|action| matches!(action.kind, ActionKind::Call(Call::Files(..))))
        .expect("files")
        .id;
    world.all();
    let why = "read-only file system".to_owned();
    world.step(&Input::Done(Done { id, outcome: Outcome::Files(FilesEnd::Failed { why }) }));
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
}

#[test]
fn files_of_a_resource_that_is_gone_are_retired() {
    let mut world = World::with(&[("r0", app()), ("r1", units(&["other.service"]))]);
    world.dump("no");
    world.all();
    world.configure(&settings(&[("r0", app())]));
    assert_eq!(world.all(), ["retire r1"]);
}

#[test]
fn a_change_of_one_resource_is_not_noticed_by_another() {
    let mut world = World::with(&[("r0", app()), ("r1", units(&["other.service"]))]);
    world.dump("no");
    world.all();
    let changed = PromotedResource { max_failures: 7, ..app() };
    world.configure(&settings(&[("r0", changed), ("r1", units(&["other.service"]))]));
    let all = world.all();
    assert!(all.contains(&"files r0".to_owned()), "{all:?}");
    assert!(!all.iter().any(|text| text.contains("r1") || text.starts_with("adjust")), "{all:?}");
}

#[test]
fn nothing_starts_before_the_first_full_picture() {
    let mut world = World::new(app());
    world.source(Dialect::Drbd9);
    world.lines(&picture("exists", "r0", "Secondary", "yes"));
    world.seconds(30);
    assert!(!world.said().iter().any(|text| text.starts_with("start")));
    world.burst("exists -\n");
    assert!(world.said().contains(&format!("start {TARGET}")));
}

#[test]
fn a_start_that_never_became_primary_stops_nothing() {
    let mut world = World::new(app());
    world.dump("yes");
    world.said();
    world.done("start", UnitEnd::Job("dependency".to_owned()));
    assert_eq!(world.said(), [""; 0]);
    assert_eq!(world.report().failures, 0);
}

#[test]
fn the_journal_is_flushed_beside_the_stop() {
    let mut world = World::running(app());
    world.burst(&device("r0", 0, "UpToDate", "no"));
    let all = world.all();
    assert!(
        all.contains(&"sync-journal".to_owned()) && all.contains(&format!("stop {TARGET}")),
        "in the same step: {all:?}"
    );
}

#[test]
fn long_and_short_names_are_one_node_and_strangers_are_shown() {
    let nodes = ["n1.example.com", "ghost"].map(str::to_owned).to_vec();
    let mut world = World::new(PromotedResource { preferred_nodes: nodes, ..app() });
    world.dump("yes");
    assert!(world.said().contains(&format!("start {TARGET}")), "number 1 of the list, no delay");
    let warnings = world.report().warnings;
    assert_eq!(warnings, ["preferred-nodes: DRBD knows no node ghost of r0"]);
}

#[test]
fn a_masked_or_missing_unit_is_named_and_not_tried() {
    let mut world = World::new(app());
    world.unit(TARGET, |state| state.load = LoadState::Masked);
    world.dump("yes");
    world.seconds(60);
    assert_eq!(world.said(), ["adjust r0"]);
    assert_eq!(world.state(), format!("standby: {TARGET} is masked"));
    world.unit(TARGET, |state| state.load = LoadState::Loaded);
    assert_eq!(world.said(), [format!("start {TARGET}")]);
}

#[test]
fn a_bus_that_is_down_makes_it_wait() {
    let mut world = World::new(app());
    world.step(&Input::Bus(BusEvent::Down { why: "gone".to_owned() }));
    world.dump("yes");
    assert_eq!(world.state(), "standby: no connection to systemd: gone");
    world.bus_up();
    assert!(world.said().contains(&format!("start {TARGET}")));
}

/// Eight resources that were added together took the connection to systemd from all, because one unit was late.
#[test]
fn a_unit_that_systemd_does_not_tell_keeps_its_own_resource_waiting_and_no_other() {
    let mut world = World::with(&[("r0", app()), ("r1", units(&["other.service"]))]);
    world.step(&Input::Bus(BusEvent::Down { why: "gone".to_owned() }));
    world.source(Dialect::Drbd9);
    let dump = picture("exists", "r0", "Secondary", "yes") + &picture("exists", "r1", "Secondary", "yes");
    world.burst(&(dump + "exists -\n"));
    // Both are adjusted without a word of systemd.
    world.seconds(3);
    world.all();
    world.bus_up_but(&["app.service"]);
    assert_eq!(world.said(), ["start drbd-services@r1.target"], "r1 waits for nobody");
    assert_eq!(world.state(), "standby: systemd has not said yet how app.service is");
    assert_eq!(world.report().warnings, [""; 0], "it may take a moment");
    world.seconds(10);
    let warnings = world.report().warnings;
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert!(warning.starts_with("systemd does not answer about app.service"), "{warning}");
    let notes = world.all();
    assert_eq!(notes.iter().filter(|text| text.contains("does not answer about")).count(), 1, "said once: {notes:?}");
    world.active("app.service", ActiveState::Inactive);
    assert_eq!(world.said(), [format!("start {TARGET}")]);
    assert_eq!(world.report().warnings, [""; 0]);
}

#[test]
fn what_drbd_forbids_is_stopped_though_a_unit_is_not_known() {
    for (late, stops) in [("app.service", true), (TARGET, false)] {
        let mut world = World::running(app());
        world.step(&Input::Bus(BusEvent::Down { why: "gone".to_owned() }));
        world.bus_up_but(&[late]);
        assert_eq!(world.said(), [""; 0], "{late}");
        world.burst(&device("r0", 0, "UpToDate", "no"));
        let stop = format!("stop {TARGET}");
        assert_eq!(world.said(), if stops { vec![stop] } else { Vec::new() }, "{late}");
    }
}

/// What was known of a unit that is followed again is not what it is now: an old failure must not be judged twice.
#[test]
fn a_unit_that_comes_back_into_the_list_is_not_judged_by_its_last_word() {
    let both = ["app.service", "more.service"];
    let mut world = World::new(units(&both));
    world.dump("yes");
    world.comes_up_with(&both);
    world.configure(&settings(&[("r0", app())]));
    // It fails and is repaired while nobody follows it.
    world.unit("more.service", |state| state.active = ActiveState::Failed);
    let followed = world.core.units();
    world.core.forget_units(|unit| followed.contains(unit));
    world.all();
    let mut actions = Vec::new();
    world.core.configure(world.now, &settings(&[("r0", units(&both))]), &mut actions);
    assert_eq!(world.state(), "running: systemd has not said yet how more.service is");
    world.active("more.service", ActiveState::Active);
    assert_eq!(world.report().failures, 0);
    assert!(!world.all().iter().any(|text| text.starts_with("stop")), "what runs is left alone");
}

/// It failed long before it was ours: it is started, and what runs beside it neither stops nor moves.
#[test]
fn a_unit_that_had_failed_before_it_came_into_the_list_is_started_and_nothing_is_stopped() {
    let moves = |start: &[&str]| PromotedResource { on_service_failure: OnServiceFailure::Move, ..units(start) };
    let mut world = World::new(moves(&["app.service"]));
    world.dump("yes");
    world.comes_up();
    world.silent = vec!["files"];
    let failed = |state: &mut UnitState| {
        (state.active, state.result) = (ActiveState::Failed, Some("exit-code".to_owned()));
    };
    world.unit("more.service", failed);
    world.configure(&settings(&[("r0", moves(&["app.service", "more.service"]))]));
    assert_eq!(world.said(), [""; 0], "its files are being written");
    assert_eq!((world.report().failures, world.report().state), (0, StateWord::Running));
    world.files_written();
    assert_eq!(world.all().last().map(String::as_str), Some(format!("start {TARGET}").as_str()));
    world.active("more.service", ActiveState::Active);
    world.done("start", UnitEnd::Done);
    // From now on it is one of ours.
    world.unit("more.service", failed);
    assert_eq!(world.report().failures, 1);
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
}

/// The disk with the state folder answered late: nobody had held it.
#[test]
fn what_turns_out_not_to_be_held_is_decided_about_at_once() {
    let hold =
        Hold { who: "storage-reactor itself".to_owned(), why: "not known".to_owned(), since: 0, ..Hold::default() };
    let held = Memory { hold: Some(hold), ..Memory::default() };
    let mut world = World::remembering(&[("r0", app())], vec![(ResourceName::new("r0"), held)]);
    world.dump("yes");
    world.seconds(60);
    assert_eq!(world.said(), [""; 0]);
    world.step(&Input::Remembered(vec![(ResourceName::new("r0"), Memory::default())]));
    assert!(world.said().contains(&format!("start {TARGET}")), "{}", world.state());
}

#[test]
fn a_restart_of_the_daemon_changes_nothing() {
    for settings in [app(), compat(), PromotedResource { on_quorum_loss: OnQuorumLoss::Freeze, ..app() }] {
        let mut world = World::new(settings);
        for unit in [TARGET, "drbd-promote@r0.service", "app.service"] {
            world.active(unit, ActiveState::Active);
        }
        world.source(Dialect::Drbd9);
        world.burst(&(picture("exists", "r0", "Primary", "no") + "exists -\n"));
        world.seconds(600);
        assert_eq!(world.said(), ["adjust r0"]);
        assert_eq!(world.state(), "running: its services run here");
    }
}

#[test]
fn a_restart_in_the_middle_of_a_start_waits_for_it() {
    let mut world = World::new(app());
    world.unit(TARGET, |state| state.job = true);
    world.unit("app.service", |state| {
        state.active = ActiveState::Activating;
        state.job = true;
    });
    world.active("drbd-promote@r0.service", ActiveState::Active);
    world.source(Dialect::Drbd9);
    world.burst(&(picture("exists", "r0", "Primary", "no") + "exists -\n"));
    assert_eq!(world.said(), ["adjust r0"]);
    assert!(world.state().starts_with("starting"), "{}", world.state());
}

#[test]
fn somebody_else_stopping_the_target_is_no_reason_to_start_it_in_between() {
    let mut world = World::running(app());
    world.unit("drbd-promote@r0.service", |state| state.job = true);
    world.unit(TARGET, |state| state.active = ActiveState::Inactive);
    world.unit("app.service", |state| {
        state.active = ActiveState::Deactivating;
        state.job = true;
    });
    assert_eq!(world.said(), [""; 0]);
    assert!(world.state().starts_with("stopping"), "{}", world.state());
    world.active("app.service", ActiveState::Inactive);
    world.unit("app.service", |state| state.job = false);
    world.active("drbd-promote@r0.service", ActiveState::Inactive);
    world.unit("drbd-promote@r0.service", |state| state.job = false);
    assert_eq!(world.said(), [""; 0], "still Primary in the picture");
    world.resource("Secondary", "yes");
    assert_eq!(world.said(), [format!("start {TARGET}")], "as with drbd-reactor: a stopped target starts where it can");
    assert_eq!(world.report().failures, 0);
}

/// Somebody stopped our start in the middle of its promotion: the program that promotes was killed, and DRBD went on. Nothing but us would end
/// that, and no other node can take over: it is ours, and is started once more.
#[test]
fn a_promotion_of_ours_that_comes_through_although_its_start_was_stopped_is_ours() {
    for end in [UnitEnd::Job("canceled".to_owned()), UnitEnd::NoBus { why: "gone".to_owned() }] {
        let mut world = World::new(app());
        world.dump("yes");
        assert_eq!(world.said(), ["adjust r0".to_owned(), format!("start {TARGET}")]);
        world.done("start", end.clone());
        world.resource("Primary", "no");
        world.seconds(5);
        assert_eq!(world.said(), [format!("start {TARGET}")], "{end}: {}", world.state());
        assert_eq!(world.why("start"), "Primary here, and its services do not run");
        world.comes_up();
        // That was it: what somebody promotes later is his.
        world.goes_down_by_itself();
        world.seconds(5);
        world.done("start", UnitEnd::Job("dependency".to_owned()));
        world.resource("Primary", "no");
        world.seconds(30);
        assert!(world.state().contains("somebody works on it"), "{end}: {}", world.state());
    }
}

#[test]
fn a_promotion_by_hand_is_left_alone() {
    let mut world = World::new(app());
    world.dump("no");
    world.resource("Primary", "no");
    world.seconds(60);
    assert_eq!(world.said(), ["adjust r0"]);
    assert!(world.state().contains("somebody works on it"), "{}", world.state());
    assert_eq!(world.obstacle(), ("not-ours", None));
}

/// w1.toml: what the target only wants may be missing.
#[test]
fn with_wants_a_unit_that_is_missing_or_masked_is_left_out() {
    for (load, what) in [(LoadState::NotFound, "does not exist"), (LoadState::Masked, "is masked")] {
        for target_as in [Dependency::Requires, Dependency::Wants] {
            let members = ["a.service", "missing.service", "b.service"];
            let mut world = World::new(PromotedResource { target_as, dependencies_as: target_as, ..units(&members) });
            world.unit("missing.service", |state| state.load = load.clone());
            world.dump("yes");
            world.seconds(60);
            let starts = world.said().contains(&format!("start {TARGET}"));
            assert_eq!(starts, target_as == Dependency::Wants, "{load}, {target_as:?}: {}", world.state());
            if starts {
                world.comes_up_with(&["a.service", "b.service"]);
                world.seconds(600);
                assert_eq!(world.said(), [""; 0], "and nothing is done about it again and again");
                let warnings = world.report().warnings;
                assert!(warnings.iter().any(|text| text.contains(&format!("missing.service {what}"))), "{warnings:?}");
            } else {
                assert!(world.state().contains(&format!("missing.service {what}")), "{}", world.state());
                let kind = if load == LoadState::Masked { "unit-masked" } else { "unit-broken" };
                assert_eq!(world.obstacle(), (kind, Some("missing.service".to_owned())));
            }
        }
    }
}

/// What was known of units when the connection broke is judged by nobody: it says nothing about how a start ended.
#[test]
fn a_start_that_is_done_when_the_connection_breaks_has_not_failed() {
    let mut world = World::new(app());
    world.dump("yes");
    world.active("drbd-promote@r0.service", ActiveState::Active);
    world.resource("Primary", "no");
    world.done("start", UnitEnd::Done);
    world.step(&Input::Bus(BusEvent::Down { why: "gone".to_owned() }));
    world.seconds(60);
    assert_eq!(world.report().failures, 0, "{:?}", world.report().last_failure);
}

/// The job of a stop is done: until systemd's news of the units they are old.
#[test]
fn after_the_end_of_a_stop_its_units_are_on_their_way_down() {
    let mut world = World::running(app());
    world.operator(reactor_core::operator::OperatorVerb::Stop { why: String::new() });
    world.done("stop", UnitEnd::Done);
    world.pass(Duration::from_millis(4_999));
    assert!(world.state().starts_with("stopping"), "{}", world.state());
    world.pass(Duration::from_millis(1));
    assert_eq!(world.report().state, StateWord::Stopping, "they did not go: it is tried again");
    assert_eq!(world.said().iter().filter(|said| **said == format!("stop {TARGET}")).count(), 2);
    // Also if nobody wants it stopped any more.
    world.done("stop", UnitEnd::Done);
    world.operator(reactor_core::operator::OperatorVerb::Release);
    assert_eq!(world.report().state, StateWord::Stopping, "{}", world.state());
    world.goes_down_by_itself();
    assert_eq!(world.said(), [format!("start {TARGET}")]);
}
