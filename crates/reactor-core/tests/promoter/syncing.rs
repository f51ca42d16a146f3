//! `sync` with `every`: who sends, when, and what is said of nodes that are late.

use std::time::Duration;

use reactor_core::action::{ActionKind, Call, HandlerEnd, HandlerReport, HandlerRun, Outcome};
use reactor_core::drbd::types::DiskState;
use reactor_core::operator::OperatorVerb;
use reactor_core::settings::promoter::{PromotedResource, SyncSettings};

use crate::world::{World, app, peer_device, picture, settings};

const RUN: &str = "run exec reactorctl sync --json -- \"$REACTOR_RESOURCE\"";

fn every_ten_minutes() -> PromotedResource {
    let sync =
        SyncSettings { nodes: vec!["n2".to_owned()], every: Some(Duration::from_secs(600)), ..SyncSettings::default() };
    PromotedResource { sync: Some(sync), ..app() }
}

fn runs(world: &mut World) -> usize {
    world.all().iter().filter(|said| *said == RUN).count()
}

fn ends(world: &mut World, node: &str) {
    let stdout = format!(r#"{{"nodes":[{{"node":"n2",{node}}}]}}"#);
    world.ends(RUN, Outcome::Handler(HandlerReport { stdout, ..HandlerReport::of(HandlerEnd::Exited(0)) }));
}

fn last(world: &World) -> HandlerRun {
    let run = world.actions.iter().rev().find_map(|action| match &action.kind {
        ActionKind::Call(Call::Handler(run)) => Some(run.as_ref().clone()),
        _ => None,
    });
    run.expect("it was asked for")
}

#[test]
fn the_node_that_runs_the_services_sends_at_each_interval_and_nobody_else_does() {
    let mut world = World::running(every_ten_minutes());
    assert_eq!(runs(&mut world), 0, "what has just come up may go again");
    world.seconds(10);
    assert_eq!(runs(&mut world), 1);
    let run = last(&world);
    assert_eq!((run.rule.as_str(), run.timeout < Duration::from_secs(600)), ("promoter sync", true));
    assert!(run.env.contains(&("REACTOR_RESOURCE".to_owned(), "r0".to_owned())), "{:?}", run.env);
    // One at a time, however long it takes.
    world.seconds(3600);
    assert_eq!(runs(&mut world), 0);
    ends(&mut world, r#""state":"sent""#);
    assert_eq!(runs(&mut world), 1, "the interval was over long ago");
    ends(&mut world, r#""state":"same""#);
    world.seconds(599);
    assert_eq!(runs(&mut world), 0);
    world.seconds(1);
    assert_eq!(runs(&mut world), 1);
    ends(&mut world, r#""state":"same""#);
    world.operator(OperatorVerb::Stop { why: String::new() });
    world.goes_down("no");
    world.seconds(3600);
    assert_eq!(runs(&mut world), 0);
    let mut standby = World::new(every_ten_minutes());
    standby.dump("no");
    standby.seconds(3600);
    assert_eq!(runs(&mut standby), 0);
}

/// DRBD's files are its administrator's: without a word of `sync`, or of an interval, no node gets any.
#[test]
fn nothing_is_sent_that_nobody_asked_for() {
    let by_hand = SyncSettings { nodes: vec!["n2".to_owned()], every: None, ..SyncSettings::default() };
    for sync in [None, Some(by_hand)] {
        let mut world = World::running(PromotedResource { sync, ..app() });
        world.seconds(86_400);
        assert_eq!(runs(&mut world), 0);
    }
}

/// Files are wanted most when things are not well.
#[test]
fn a_degraded_peer_keeps_it_from_nothing() {
    let mut world = World::running(every_ten_minutes());
    world.burst(&peer_device("r0", 1, 0, "Off", DiskState::Outdated.to_string().as_str()).replace("exists", "change"));
    world.seconds(10);
    assert!(!world.report().degraded.is_empty(), "{:?}", world.report().degraded);
    assert_eq!(runs(&mut world), 1);
}

#[test]
fn who_is_late_is_degraded_and_nothing_else_follows() {
    let mut world = World::running(every_ten_minutes());
    let degraded = |world: &World| -> Vec<String> {
        world.report().degraded.into_iter().filter(|what| what.starts_with("sync")).collect()
    };
    world.seconds(10);
    ends(&mut world, r#""state":"same""#);
    for _ in 0..2 {
        world.seconds(600);
        ends(&mut world, r#""state":"unknown","why":"ssh: no route","since-good-s":600"#);
        assert_eq!(degraded(&world), [""; 0]);
    }
    world.all();
    world.seconds(600);
    ends(&mut world, r#""state":"unknown","why":"ssh: no route","since-good-s":1800"#);
    assert_eq!(degraded(&world), ["sync: n2 is late: last sent 30 min ago: ssh: no route"]);
    let report = world.report();
    assert_eq!((report.availability.as_str(), report.state.as_str(), report.failures), ("up", "running", 0));
    assert_eq!(world.said(), [RUN], "nothing is stopped, and nothing is tried sooner");
    world.seconds(600);
    ends(&mut world, r#""state":"sent""#);
    assert_eq!(degraded(&world), [""; 0]);
}

#[test]
fn hands_off_means_the_files_too_and_new_settings_are_sent_soon() {
    let mut world = World::running(every_ten_minutes());
    world.operator(OperatorVerb::Hold { why: "editing".to_owned() });
    world.seconds(3600);
    assert_eq!(runs(&mut world), 0);
    world.operator(OperatorVerb::Release);
    world.seconds(10);
    assert_eq!(runs(&mut world), 1);
    ends(&mut world, r#""state":"same""#);
    let mut other = every_ten_minutes();
    other.sync.as_mut().unwrap().nodes.push("n3".to_owned());
    world.configure(&settings(&[("r0", other)]));
    world.seconds(1);
    assert_eq!(runs(&mut world), 1);
    world.configure(&settings(&[("r0", app())]));
    ends(&mut world, r#""state":"differs""#);
    world.seconds(3600);
    assert_eq!((runs(&mut world), world.report().degraded.iter().any(|what| what.starts_with("sync"))), (0, false));
}

/// With the shell runner its own commands are the same kind of call.
#[test]
fn it_is_no_command_of_the_shell_runner() {
    let shell = PromotedResource { runner: reactor_core::settings::promoter::Runner::Shell, ..every_ten_minutes() };
    let mut world = World::new(shell);
    world.burst(&picture("exists", "r0", "Secondary", "yes"));
    world.dump("yes");
    world.seconds(60);
    world.ran("run app.service", 0);
    world.resource("Primary", "no");
    world.seconds(10);
    assert_eq!(world.report().state.as_str(), "running");
    ends(&mut world, r#""state":"differs""#);
    assert_eq!(world.report().state.as_str(), "running");
    assert_eq!(world.report().failures, 0);
}
