//! What operators say about where a resource runs: stop, leave it to another node, drain.

use reactor_core::ids::ResourceName;
use reactor_core::input::{Input, SourceId};
use reactor_core::operator::{Hold, Memory, OperatorVerb};
use reactor_core::settings::promoter::{OnQuorumLoss, PromotedResource, Runner};
use reactor_core::systemd::{ActiveState, FreezerState, UnitEnd};

use crate::world::{TARGET, World, app, connection, device, peer_device, settings};

const NOTHING: [&str; 0] = [];

fn stop() -> OperatorVerb {
    OperatorVerb::Stop { why: "new disks".to_owned() }
}

fn leave_to(to: Option<&str>) -> OperatorVerb {
    OperatorVerb::Yield { why: String::new(), to: to.map(str::to_owned), limit: 20, restarts: false }
}

fn drain() -> OperatorVerb {
    OperatorVerb::Drain { why: "kernel".to_owned() }
}

fn stop_of_target() -> [String; 1] {
    [format!("stop {TARGET}")]
}

fn start_of_target() -> [String; 1] {
    [format!("start {TARGET}")]
}

#[test]
fn what_is_stopped_goes_down_at_once_and_stays_down_until_it_is_released() {
    let mut world = World::running(app());
    world.operator(stop());
    assert_eq!(world.said(), stop_of_target());
    assert_eq!(world.why("stop"), "stopped by root: new disks");
    world.goes_down("yes");
    world.seconds(600);
    assert_eq!(world.state(), "held: stopped by root: new disks");
    assert_eq!(world.said(), NOTHING);
    world.operator(OperatorVerb::Release);
    assert_eq!(world.said(), start_of_target());
}

#[test]
fn a_stop_outlives_the_daemon_and_is_no_hands_off() {
    let hold = Hold { who: "root".to_owned(), stops: true, ..Hold::default() };
    let memory = Memory { hold: Some(hold), ..Memory::default() };
    let mut world = World::remembering(&[("r0", app())], vec![(ResourceName::new("r0"), memory)]);
    world.dump("yes");
    world.seconds(600);
    assert_eq!(world.said(), ["adjust r0"], "DRBD is looked after, and nothing is started");
    assert_eq!(world.state(), "held: stopped by root");
}

#[test]
fn what_an_operator_works_on_without_our_promotion_is_left_alone_although_it_is_stopped() {
    let mut world = World::new(app());
    world.dump("no");
    world.operator(stop());
    world.said();
    world.resource("Primary", "no");
    world.active("app.service", ActiveState::Active);
    world.seconds(600);
    assert_eq!(world.said(), NOTHING);
    // But what somebody starts by its target is a service that was to stay down.
    world.active("drbd-promote@r0.service", ActiveState::Active);
    world.active(TARGET, ActiveState::Active);
    assert_eq!(world.said(), stop_of_target());
}

#[test]
fn what_is_left_to_another_node_comes_back_if_nobody_takes_it() {
    let mut world = World::running(app());
    world.operator(leave_to(None));
    assert_eq!(world.said(), stop_of_target());
    world.goes_down("yes");
    assert_eq!(world.state(), "held: left to another node by root until it is Primary there");
    assert_eq!(world.report().next_for, "if no other node has taken it over by then, it may run here again");
    world.seconds(19);
    assert_eq!(world.said(), NOTHING);
    world.seconds(1);
    assert_eq!(world.said(), start_of_target());
    assert_eq!(world.remembered["r0"].hold, None);
}

#[test]
fn it_is_over_when_the_node_that_it_was_left_to_is_primary() {
    for (to, first) in [(None, true), (Some("n2"), false)] {
        let mut world = World::running(app());
        world.operator(leave_to(to));
        world.goes_down("yes");
        world.said();
        world.burst(&connection("r0", 2, "Connected", "Primary"));
        assert_eq!(world.report().hold.is_none(), first, "n3 is Primary, {to:?} was asked for");
        world.burst(&(connection("r0", 2, "Connected", "Secondary") + &connection("r0", 1, "Connected", "Primary")));
        assert_eq!(world.report().hold, None);
        assert_eq!(world.said(), NOTHING);
        assert_eq!(world.state(), "standby: n2 is Primary");
    }
}

#[test]
fn another_node_that_is_primary_already_ends_nothing_for_a_bystander() {
    let mut world = World::new(app());
    world.dump("no");
    world.burst(&connection("r0", 2, "Connected", "Primary"));
    world.operator(leave_to(Some("n2")));
    assert!(world.report().hold.is_some());
    world.burst(&connection("r0", 2, "Connected", "Secondary"));
    world.resource("Secondary", "yes");
    world.seconds(10);
    assert!(!world.said().iter().any(|what| what.starts_with("start ")), "it is n2's");
}

#[test]
fn what_a_person_holds_is_not_taken_from_him() {
    let mut world = World::running(app());
    world.operator(OperatorVerb::Hold { why: "cables".to_owned() });
    world.all();
    world.operator(leave_to(None));
    let all = world.all();
    assert!(all.iter().any(|text| text.contains("Refused") && text.contains("held by root")), "{all:?}");
    world.node(drain());
    assert_eq!(world.said(), NOTHING, "the hold is older, and about this resource");
    assert_eq!(world.state(), "held: held by root: cables");
    world.operator(OperatorVerb::Release);
    assert_eq!(world.said(), stop_of_target());
}

#[test]
fn a_drained_node_stops_all_and_starts_nothing_until_it_is_undrained() {
    let mut world = World::running(app());
    world.node(drain());
    assert!(world.all().iter().any(|text| text == "remember drained true"));
    assert_eq!(world.why("stop"), "this node is drained by root: kernel");
    world.goes_down("yes");
    world.seconds(600);
    assert_eq!((world.state().as_str(), world.said()), ("drained: this node is drained by root: kernel", vec![]));
    // What comes by a reload is drained, too.
    world.configure(&settings(&[("r0", app()), ("r1", app())]));
    world.seconds(600);
    assert!(!world.said().iter().any(|what| what.starts_with("start ")));
    world.node(OperatorVerb::Undrain);
    assert!(world.all().contains(&start_of_target()[0]));
    world.node(OperatorVerb::Undrain);
    assert!(world.all().iter().any(|text| text.contains("Unchanged")));
}

#[test]
fn a_second_drain_without_a_reason_keeps_the_first_one() {
    let mut world = World::running(app());
    world.node(drain());
    world.goes_down("yes");
    world.all();
    world.node(OperatorVerb::Drain { why: String::new() });
    let all = world.all();
    let says = |all: &[String], what: &str, text: &str| all.iter().any(|it| it.starts_with(what) && it.contains(text));
    assert!(says(&all, "Unchanged", "this node is drained already, by root: kernel"), "{all:?}");
    assert_eq!(world.state(), "drained: this node is drained by root: kernel");
    world.node(OperatorVerb::Drain { why: "disks".to_owned() });
    assert!(says(&world.all(), "Done", "this node is drained: what promoters run here is stopped"));
    assert_eq!(world.state(), "drained: this node is drained by root: disks", "another reason takes its place");
}

#[test]
fn a_release_on_a_drained_node_says_that_it_stays_drained() {
    let mut world = World::running(app());
    world.node(drain());
    world.all();
    world.operator(OperatorVerb::Release);
    let all = world.all();
    let says = |all: &[String], text: &str| all.iter().any(|it| it.contains(text));
    assert!(says(&all, "Unchanged { text: \"r0 was not held; this node is drained by root: kernel\""), "{all:?}");
    world.operator(OperatorVerb::Hold { why: "cables".to_owned() });
    world.operator(OperatorVerb::Release);
    let all = world.all();
    assert!(says(&all, "Done { text: \"r0 is no longer held; this node is drained by root: kernel\""), "{all:?}");
}

#[test]
fn a_drain_outlives_the_daemon() {
    let mut world = World::bare();
    let drain = Hold { who: "root".to_owned(), why: "kernel".to_owned(), stops: true, ..Hold::default() };
    world.step(&Input::Drained(Some(drain)));
    world.step(&Input::Remembered(Vec::new()));
    world.configure(&settings(&[("r0", app())]));
    world.bus_up();
    world.dump("yes");
    world.seconds(600);
    assert_eq!(world.said(), ["adjust r0"]);
}

#[test]
fn what_is_frozen_is_stopped_with_its_io_failing() {
    let freezing = PromotedResource { on_quorum_loss: OnQuorumLoss::Freeze, ..app() };
    let mut world = World::running(freezing);
    world.burst(&device("r0", 0, "UpToDate", "no"));
    world.frozen("app.service", FreezerState::Frozen);
    world.done("freeze", UnitEnd::Done);
    world.all();
    world.operator(stop());
    assert_eq!(world.said(), ["secondary --force r0", &format!("stop {TARGET}"), "thaw app.service"]);
}

/// What is said of n2.
fn n2(world: &World) -> (bool, Vec<String>) {
    let peer = world.report().peers.into_iter().find(|peer| peer.node == "n2").expect("it is a peer");
    (peer.primary, peer.obstacles)
}

#[test]
fn who_could_take_it_over_and_what_keeps_the_others_from_it_is_said() {
    let mut world = World::running(app());
    assert_eq!(n2(&world), (false, Vec::new()));
    world.burst(&peer_device("r0", 1, 0, "SyncSource", "Inconsistent"));
    assert_eq!(n2(&world), (false, vec!["volume 0 is Inconsistent there (SyncSource)".to_owned()]));
    world.burst(&peer_device("r0", 1, 0, "Established", "Outdated"));
    assert_eq!(n2(&world), (false, vec!["volume 0 is Outdated there".to_owned()]));
    let client = peer_device("r0", 1, 0, "Established", "Diskless").replace("peer-client:no", "peer-client:yes");
    world.burst(&client);
    assert_eq!(n2(&world), (false, vec!["it has no disk for volume 0".to_owned()]));
    world.burst(&connection("r0", 1, "StandAlone", "Unknown"));
    assert_eq!(n2(&world), (false, vec!["not connected: StandAlone".to_owned()]));
}

/// Whoever drives an eviction asks all nodes, also one on which a person has stopped it: that one is not to come back because an eviction ends.
#[test]
fn what_is_stopped_does_not_come_back_because_it_was_left_to_another_node_meanwhile() {
    let mut world = World::running(app());
    world.operator(stop());
    world.goes_down("yes");
    world.all();
    world.operator(leave_to(None));
    assert!(world.all().iter().any(|text| text.contains("Unchanged") && text.contains("stopped by root: new disks")));
    world.seconds(600);
    assert_eq!(world.state(), "held: stopped by root: new disks");
    assert_eq!(world.said(), NOTHING);
}

/// The disk with the state folder has not answered yet, and may say something else later.
#[test]
fn what_is_said_of_a_drain_is_kept_also_if_nothing_was_known_of_one() {
    let mut world = World::running(app());
    world.node(OperatorVerb::Undrain);
    let all = world.all();
    assert!(all.iter().any(|text| text == "remember drained false"), "{all:?}");
    assert!(all.iter().any(|text| text.contains("Unchanged")), "{all:?}");
    // It answers: this node was drained, before it was not any longer.
    world.node(drain());
    world.all();
    world.node(drain());
    assert!(world.all().iter().any(|text| text == "remember drained true"));
}

#[test]
fn a_drain_that_is_known_late_stops_what_runs_and_its_end_starts_it() {
    let mut world = World::running(app());
    let drain = Hold { who: "root".to_owned(), stops: true, ..Hold::default() };
    world.step(&Input::Drained(Some(drain)));
    assert_eq!(world.said(), stop_of_target());
    world.goes_down("yes");
    world.seconds(5);
    assert_eq!(world.said(), NOTHING);
    world.step(&Input::Drained(None));
    assert_eq!(world.said(), start_of_target());
}

#[test]
fn what_was_left_to_another_node_is_over_in_time_also_while_it_is_not_configured() {
    for (away, state) in [(10, "held: left to another node by root until it is Primary there"), (30, "")] {
        let mut world = World::running(app());
        world.operator(leave_to(None));
        world.goes_down("yes");
        world.configure(&settings(&[]));
        world.all();
        world.seconds(away);
        world.configure(&settings(&[("r0", app())]));
        world.bus_up();
        world.seconds(2);
        assert_eq!(world.report().hold.is_some(), !state.is_empty(), "after {away} s");
        assert!(state.is_empty() || world.state() == state, "{}", world.state());
        world.seconds(30);
        assert_eq!(world.report().hold, None, "after {away} s");
    }
}

#[test]
fn a_resource_that_goes_to_another_promoter_stays_stopped() {
    let mut world = World::running(app());
    world.operator(stop());
    world.goes_down("yes");
    world.all();
    let mut elsewhere = settings(&[("r0", app())]);
    elsewhere.plugins[0].file = "other.toml".into();
    world.configure(&elsewhere);
    world.bus_up();
    world.seconds(600);
    assert_eq!(world.state(), "held: stopped by root: new disks");
    assert!(!world.said().iter().any(|what| what.starts_with("start ")));
}

/// Stopping needs no more than the target and the promotion.
#[test]
fn a_unit_that_systemd_does_not_tell_keeps_nothing_running() {
    let mut world = World::running(app());
    world.bus_up_but(&["app.service"]);
    world.said();
    world.node(drain());
    assert_eq!(world.said(), stop_of_target());
}

#[test]
fn io_that_is_suspended_for_a_snapshot_does_not_fail_for_a_stop() {
    for (why, forces) in [("user", false), ("fencing", false), ("no-data", true)] {
        let mut world = World::running(app());
        let primary = crate::world::resource("change", "r0", "Primary", "no");
        world.burst(&primary.replace("suspended:no ", &format!("suspended:{why} ")));
        world.said();
        world.operator(stop());
        assert_eq!(world.said().iter().any(|what| what.starts_with("secondary --force")), forces, "{why}");
    }
}

#[test]
fn a_stop_that_failed_is_asked_for_again() {
    let mut world = World::running(app());
    world.node(drain());
    world.said();
    for _ in 0..3 {
        world.done("stop", UnitEnd::Job("failed".to_owned()));
        world.seconds(100);
        assert_eq!(world.said(), stop_of_target());
    }
}

/// A daemon that ends decides nothing any more; what was said to it counts for the next one.
#[test]
fn what_is_said_while_the_daemon_ends_is_kept_and_stops_nothing() {
    let mut world = World::running(app());
    world.step(&Input::Exit);
    world.operator(stop());
    world.node(drain());
    assert_eq!(world.said(), NOTHING);
    assert!(world.remembered["r0"].hold.as_ref().is_some_and(|hold| hold.stops));
    // What is stopped at exit is stopped whether it is wanted here or not.
    let mut world = World::running(PromotedResource { stop_services_on_exit: true, ..app() });
    world.node(drain());
    world.said();
    world.done("stop", UnitEnd::Job("failed".to_owned()));
    world.step(&Input::Exit);
    world.files_written();
    assert_eq!(world.said(), stop_of_target());
}

/// Who stops a promotion half way leaves DRBD Primary without services, and no other node can take over.
#[test]
fn a_start_is_stopped_only_when_its_promotion_is_over() {
    let mut world = World::new(app());
    world.dump("yes");
    assert!(world.said().contains(&start_of_target()[0]));
    world.operator(leave_to(Some("n2")));
    world.active("drbd-promote@r0.service", ActiveState::Activating);
    assert_eq!(world.said(), NOTHING);
    assert!(world.report().because.iter().any(|reason| reason.0.contains("as soon as its promotion is over")));
    world.active("drbd-promote@r0.service", ActiveState::Active);
    assert_eq!(world.said(), stop_of_target());
    // What DRBD forbids is stopped at once.
    let mut world = World::new(app());
    world.dump("yes");
    world.said();
    world.operator(stop());
    world.burst(&device("r0", 0, "UpToDate", "no"));
    assert_eq!(world.said(), stop_of_target());
}

/// Half of it is up: ours is what was promoted by our unit, also if that could not be ended, and what commands of ours have started.
#[test]
fn what_is_half_up_goes_down_for_an_operator_if_it_is_ours() {
    let half = |promote: ActiveState| {
        let mut world = World::new(app());
        world.dump("no");
        world.active("drbd-promote@r0.service", promote);
        // systemd restarts it by itself.
        world.active("app.service", ActiveState::Activating);
        world.resource("Primary", "no");
        world.said();
        world.operator(stop());
        world.said()
    };
    assert_eq!(half(ActiveState::Active), stop_of_target());
    assert_eq!(half(ActiveState::Failed), stop_of_target());
    assert_eq!(half(ActiveState::Inactive), NOTHING, "somebody works on it");
    let commands =
        PromotedResource { runner: Runner::Shell, stop: vec!["down".to_owned()], ..crate::world::units(&["up"]) };
    let mut world = World::new(commands);
    world.dump("yes");
    world.resource("Primary", "no");
    world.active("app.service", ActiveState::Inactive);
    world.operator(stop());
    world.ran("run up", 1);
    world.seconds(10);
    assert!(world.said().contains(&"run down".to_owned()), "{}", world.state());
}

/// Within a burst nobody knows whether what was said of a peer is all.
#[test]
fn what_was_left_to_a_node_is_over_at_the_end_of_the_burst() {
    let mut world = World::new(app());
    world.dump("no");
    world.operator(leave_to(Some("n2")));
    let held = |world: &World| world.report().hold.is_some();
    world.lines(&connection("r0", 1, "Connected", "Primary"));
    world.active("app.service", ActiveState::Failed);
    world.step(&Input::Tick);
    assert!(held(&world));
    world.step(&Input::BurstEnd(SourceId::Drbd));
    assert!(!held(&world));
    // And by old news nothing is over.
    let mut world = World::new(app());
    world.dump("no");
    world.burst(&connection("r0", 1, "Connected", "Primary"));
    world.operator(OperatorVerb::Hold { why: String::new() });
    world.source_dies();
    world.operator(OperatorVerb::Release);
    world.operator(leave_to(Some("n2")));
    world.seconds(1);
    assert!(held(&world), "{}", world.state());
}
