//! A Primary whose I/O hangs: nothing fails, nothing stops, and a person has to hear of it.

use std::time::Duration;

use reactor_core::input::{Input, SourceEvent, SourceId};
use reactor_core::metrics::health::PromotedHealth;
use reactor_core::model::Node;
use reactor_core::model::reports::NoteLevel;
use reactor_core::plugin::promoter::report::{StateWord, TroubleKind};
use reactor_core::settings::Settings;
use reactor_core::settings::promoter::{OnQuorumLoss, PromotedResource};
use reactor_core::systemd::ActiveState;

use crate::recordings::play_into;
use crate::world::{World, app, device, peer_device, resource, settings, units};

/// A device line as a poll prints it.
fn polled(written: u64, blocked: Option<&str>) -> String {
    let blocked = blocked.map(|word| format!(" blocked:{word}")).unwrap_or_default();
    let device = device("r0", 0, "UpToDate", "yes");
    format!("{} written:{written} upper-pending:1 lower-pending:0{blocked}\n", device.trim_end())
}

/// r0 runs here, and the source is polled every minute.
fn running() -> World {
    let mut world = World::running(app());
    let polled = Settings { statistics_poll_interval: Some(Duration::from_secs(60)), ..settings(&[("r0", app())]) };
    world.configure(&polled);
    world.all();
    world
}

fn trouble(world: &World) -> Option<String> {
    let report = world.report();
    let metric = PromotedHealth::new(&report, 0.0, &Node::default()).io_hangs;
    let shown = report.troubles.into_iter().find(|trouble| trouble.kind == TroubleKind::IoHangs);
    assert_eq!(shown.is_some(), metric, "the metric says what the status says");
    shown.map(|trouble| trouble.what)
}

/// The recording of a real deadlock: the last thing that DRBD ever printed is that the disk is Negotiating.
#[test]
fn a_disk_that_never_comes_out_of_negotiating_is_shown() {
    let mut world = World::with(&[("r1", units(&["app-r1.service"]))]);
    play_into(&mut world, "s-attach-hang", "n1");
    assert_eq!(world.report().state, StateWord::Running);
    assert_eq!(trouble(&world), None, "it has just begun");
    world.seconds(9);
    assert_eq!(trouble(&world), None);
    world.all();
    world.seconds(2);
    let hangs = "Primary here, but its I/O hangs: volume 0 is Negotiating";
    assert!(trouble(&world).is_some_and(|what| what.starts_with(hangs)), "{:?}", trouble(&world));
    let said = world.all();
    assert_eq!(said.len(), 1, "it is said once, and nothing is done about it: {said:?}");
    assert!(said[0].starts_with(&format!("{:?}: r1: {hangs}", NoteLevel::Error)), "{said:?}");
    world.seconds(600);
    assert!(!world.all().iter().any(|text| text.contains("hangs")), "once");
    world.burst(&device("r1", 0, "UpToDate", "yes").replace("minor:10", "minor:20"));
    assert_eq!(trouble(&world), None);
    assert!(world.all().iter().any(|text| text.starts_with("Info: r1: it is over")));
}

#[test]
fn the_peers_of_that_node_have_no_trouble() {
    for node in ["n2", "n3"] {
        let mut world = World::with(&[("r1", units(&["app-r1.service"]))]);
        play_into(&mut world, "s-attach-hang", node);
        world.seconds(600);
        assert_eq!(trouble(&world), None, "{node}");
    }
}

/// With ordinary I/O `blocked:` comes and goes: a poll that says so, and the next that says it again, prove nothing if it was not so in between.
#[test]
fn what_flickers_is_no_hang() {
    let mut world = running();
    for round in 0..20 {
        world.burst(&polled(round, Some("upper")));
        world.seconds(30);
        world.burst(&polled(round, Some("no")));
        world.burst(&polled(round, Some("upper")));
        world.seconds(30);
        assert_eq!(trouble(&world), None, "round {round}");
    }
}

/// A state change printed `blocked:upper` in passing, and nothing moved since: the next poll tells that it is over.
#[test]
fn blocked_alone_has_to_outlast_a_poll() {
    let mut world = running();
    world.burst(&polled(1, Some("upper")));
    world.seconds(69);
    assert_eq!(trouble(&world), None, "the poll may not have been answered yet");
    world.seconds(1);
    assert_eq!(trouble(&world).as_deref(), Some("Primary here, but its I/O hangs: volume 0 is blocked:upper"));
    world.burst(&polled(2, None));
    assert!(trouble(&world).is_some(), "no word of it means unchanged");
    world.burst(&polled(3, Some("no")));
    assert_eq!(trouble(&world), None);
}

#[test]
fn without_polls_blocked_proves_nothing() {
    let mut world = World::running(app());
    world.burst(&polled(1, Some("upper")));
    world.seconds(3600);
    assert_eq!(trouble(&world), None);
}

#[test]
fn a_resync_that_never_begins_and_suspended_io_count_too() {
    let mut world = running();
    world.burst(&peer_device("r0", 2, 0, "WFBitMapS", "Inconsistent"));
    world.seconds(11);
    let hangs = "Primary here, but its I/O hangs: volume 0 is WFBitMapS towards n3";
    assert_eq!(trouble(&world).as_deref(), Some(hangs));
    world.burst(&peer_device("r0", 2, 0, "SyncSource", "Inconsistent"));
    assert_eq!(trouble(&world), None);
    world.burst(&resource("change", "r0", "Primary", "no").replace("suspended:no", "suspended:user"));
    world.seconds(11);
    assert_eq!(trouble(&world).as_deref(), Some("Primary here, but its I/O hangs: suspended:user"));
    // A Secondary has no I/O that could hang.
    world.active("drbd-services@r0.target", ActiveState::Inactive);
    world.burst(&resource("change", "r0", "Secondary", "no").replace("suspended:no", "suspended:user"));
    assert_eq!(trouble(&world), None);
}

/// Services that freeze without quorum are meant to wait, and whatever was frozen before the settings changed.
#[test]
fn io_that_is_suspended_on_purpose_does_not_hang() {
    let freeze = || PromotedResource { on_quorum_loss: OnQuorumLoss::Freeze, ..app() };
    let suspended = || resource("change", "r0", "Primary", "no").replace("suspended:no", "suspended:quorum");
    let lost = || suspended() + &device("r0", 0, "UpToDate", "no");
    let mut world = World::running(freeze());
    world.burst(&lost());
    world.seconds(60);
    assert_eq!(trouble(&world), None);
    world.configure(&settings(&[("r0", app())]));
    world.step(&Input::Source(SourceId::Drbd, SourceEvent::Ended { why: "killed".to_owned() }));
    assert_eq!(trouble(&world), None, "we froze it");
    // Nothing of it can be frozen, and it waits all the same.
    let mut world = World::new(PromotedResource { on_quorum_loss: OnQuorumLoss::Freeze, ..units(&["srv.mount"]) });
    world.dump("yes");
    world.seconds(60);
    world.comes_up_with(&["srv.mount"]);
    world.burst(&lost());
    world.seconds(60);
    assert_eq!(trouble(&world), None);
    // With shutdown nothing should be left that writes.
    let mut world = World::running(app());
    world.burst(&lost());
    world.seconds(60);
    assert_eq!(trouble(&world).as_deref(), Some("Primary here, but its I/O hangs: suspended:quorum"));
}
