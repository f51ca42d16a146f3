//! What the promoter would have done in real clusters: its first decisions, and when, against the time stamps of the recordings.

#![expect(clippy::disallowed_methods, reason = "a test may read its recordings")]

use std::path::Path;

use reactor_core::ids::Mono;
use reactor_core::input::Dialect;
use reactor_core::settings::Mode;
use reactor_core::settings::promoter::{OnQuorumLoss, PromotedResource};
use reactor_core::systemd::ActiveState;

use crate::world::{World, settings, units};

/// Nanoseconds of a stamp like `2026-11-21T03:05:49.982892+00:00` within its day.
fn stamp(line: &str) -> u64 {
    let time = line.split_once('T').and_then(|(_, rest)| rest.split_once('+')).expect("a stamp").0;
    let (clock, micros) = time.split_once('.').expect("microseconds");
    let parts: Vec<u64> = clock.split(':').map(|part| part.parse().expect("a number")).collect();
    (parts[0] * 3600 + parts[1] * 60 + parts[2]) * 1_000_000_000 + micros.parse::<u64>().expect("a number") * 1000
}

fn read(folder: &str, node: &str) -> String {
    let path = format!("../../tests/recordings/drbd9/{folder}/{node}.events2-ts");
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a recording")
}

/// Plays the recording of a node into a promoter of r1, and gives what it did, with the time of day in front.
fn play(folder: &str, node: &str, settings: PromotedResource) -> Vec<String> {
    play_into(&mut World::with(&[("r1", settings)]), folder, node)
}

/// The same with a world that is there already, and that is left at the last line of the recording.
pub(crate) fn play_into(world: &mut World, folder: &str, node: &str) -> Vec<String> {
    let text = read(folder, node);
    let first = stamp(text.lines().next().expect("a line"));
    // Where it already was Primary, its services ran.
    let runs =
        text.lines().take_while(|line| !line.ends_with("exists -")).any(|line| line.contains("role:Primary suspended"));
    if runs {
        for unit in ["drbd-services@r1.target", "drbd-promote@r1.service", "app-r1.service"] {
            world.active(unit, ActiveState::Active);
        }
    }
    world.source(Dialect::Drbd9);
    play_text(world, &text, first)
}

/// Plays lines that began at the stamp `first`.
fn play_text(world: &mut World, text: &str, first: u64) -> Vec<String> {
    let mut did = Vec::new();
    for line in text.lines() {
        let at = Mono(10_000_000_000 + stamp(line) - first);
        // A gap of more than the wait for the end of a burst ends it.
        if at.0 > world.now.0 + 2_000_000 {
            world.step(&reactor_core::input::Input::BurstEnd(reactor_core::input::SourceId::Drbd));
            note(world, first, &mut did);
            while let Some(due) = world.core.next_deadline().filter(|due| *due < at) {
                world.now = world.now.max(due);
                world.step(&reactor_core::input::Input::Tick);
                note(world, first, &mut did);
            }
        }
        world.now = world.now.max(at);
        world.lines(&format!("{line}\n"));
        note(world, first, &mut did);
    }
    world.step(&reactor_core::input::Input::BurstEnd(reactor_core::input::SourceId::Drbd));
    note(world, first, &mut did);
    did
}

fn note(world: &mut World, first: u64, did: &mut Vec<String>) {
    let time = (world.now.0 + first).saturating_sub(10_000_000_000) / 1_000_000;
    let clock = format!("{:02}:{:02}.{:03}", time / 60_000 % 60, time / 1000 % 60, time % 1000);
    did.extend(
        world.said().into_iter().filter(|text| !text.starts_with("adjust")).map(|text| format!("{clock} {text}")),
    );
}

fn r1() -> PromotedResource {
    units(&["app-r1.service"])
}

#[test]
fn a_take_over_is_decided_in_the_burst_that_makes_it_possible() {
    // drbd-reactor started a second later on every node: it acted on the resource line, with the disk of before.
    for settings in [r1(), PromotedResource { start: r1().start, ..PromotedResource::with_defaults(Mode::DrbdReactor) }]
    {
        assert_eq!(
            play("r2-failover-node-killed", "n2", settings.clone())[..1],
            ["05:49.972 start drbd-services@r1.target"]
        );
        assert_eq!(play("r2-failover-node-killed", "n3", settings)[..1], ["05:49.982 start drbd-services@r1.target"]);
    }
}

/// A reload has just added eight resources when the node that runs them is killed: each is started in the burst in which DRBD allows it.
#[test]
fn eight_resources_are_taken_over_as_soon_as_each_may_be() {
    let path = "../../tests/recordings/drbd9/s-tiny8-kill/n2.events2-ts";
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a recording");
    let kill = text.find("2026-11-28T18:13:37").expect("the kill");
    let (before, after) = text.split_at(kill);
    let names: Vec<String> = (0..8).map(|number| format!("t{number:02}")).collect();
    let app = |name: &String| units(&[&format!("app-{name}.service")]);
    let resources: Vec<_> = names.iter().map(|name| (name.as_str(), app(name))).collect();
    let mut world = World::with(&[]);
    world.source(Dialect::Drbd9);
    play_text(&mut world, before, stamp(&text));
    world.configure(&settings(&resources));
    world.said();
    let did = play_text(&mut world, after, stamp(&text));
    for name in &names {
        let times = |has: &str| {
            let is = |line: &&str| line.contains(&format!("resource name:{name} ")) && line.contains(has);
            after.lines().find(is).map(|line| line[14..23].to_owned()).expect("DRBD says so")
        };
        let start = format!("start drbd-services@{name}.target");
        let starts: Vec<&String> = did.iter().filter(|text| text.ends_with(&start)).collect();
        assert_eq!(starts.len(), 1, "{name}: {did:?}");
        let (may, is, began) = (times("may_promote:yes"), times("role:Primary"), &starts[0][..9]);
        assert!(*may <= *began && *began < *is, "{name}: may {may}, started {began}, Primary there {is}");
    }
    assert!(!did.iter().any(|text| text.contains(" stop ")), "{did:?}");
}

#[test]
fn with_a_head_start_one_survivor_goes_first() {
    let head_start = PromotedResource { head_start: true, ..r1() };
    let n2 = play("r2-failover-node-killed", "n2", head_start.clone());
    let n3 = play("r2-failover-node-killed", "n3", head_start);
    // Both have the node id 0 of the test's options; without ids the ranks are equal.
    assert_eq!((n2.len(), n3.len()), (1, 1), "{n2:?} {n3:?}");
}

#[test]
fn the_node_that_was_cut_off_stops_once_and_the_survivors_never() {
    let cut = play("r3-failover-network-cut", "n2", r1());
    assert_eq!(cut[0], "11:38.966 stop drbd-services@r1.target");
    assert_eq!(cut.iter().filter(|text| text.contains("stop")).count(), 1, "not once per volume: {cut:?}");
    let n1 = play("r3-failover-network-cut", "n1", r1());
    assert_eq!(n1[..1], ["11:36.439 start drbd-services@r1.target"]);
    assert!(!n1.iter().any(|text| text.contains("stop")), "{n1:?}");
    // n3 was Outdated and became a sync target: its delay lets n1 go first. There it took over by chance.
    assert_eq!(play("r3-failover-network-cut", "n3", r1()), [""; 0]);
}

/// All three nodes are cut from each other and joined again; DRBD demotes the Primary by force while its services are being frozen.
fn isolated(node: &str, runs: bool) -> Vec<String> {
    let z0 = PromotedResource { on_quorum_loss: OnQuorumLoss::Freeze, ..units(&["app@z0.service"]) };
    let text = read("s-three-way-isolation-freeze", node);
    let first = stamp(&text);
    let (before, after) =
        text.split_at(text.find("2026-11-28T17:53:02").or_else(|| text.find("2026-11-28T17:53:03")).expect("the cut"));
    let mut world = World::with(&[]);
    world.options.on_no_quorum = Some("suspend-io".to_owned());
    world.source(Dialect::Drbd9);
    play_text(&mut world, before, first);
    if runs {
        for unit in ["drbd-promote@z0.service", "app@z0.service", "drbd-services@z0.target"] {
            world.active(unit, ActiveState::Active);
        }
    }
    world.configure(&settings(&[("z0", z0)]));
    world.said();
    play_text(&mut world, after, first)
}

#[test]
fn three_nodes_are_isolated_and_joined_again() {
    // The freeze has not ended when DRBD demotes the node: what was asked to freeze is stopped, and thawed, so that it can be.
    let n1 = [
        "53:04.217 freeze app@z0.service",
        "53:15.070 thaw app@z0.service",
        "53:15.431 stop drbd-services@z0.target",
        "53:15.431 thaw app@z0.service",
    ];
    assert_eq!(isolated("n1", true), n1);
    // may_promote:yes since 53:15.200; a frozen Primary may come back for 2 s. It came, and what it had written was synced from it before.
    assert_eq!(isolated("n2", false), ["53:17.200 start drbd-services@z0.target"]);
    // Inconsistent, Outdated, or n2 is Primary.
    assert_eq!(isolated("n3", false), [""; 0]);
}

#[test]
fn the_link_that_was_lost_when_the_dead_node_came_back_is_repaired() {
    let path = "../../tests/recordings/drbd9/r2-failover-node-killed/n3.events2-ts";
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a recording");
    assert!(text.contains("connection:StandAlone"));
    let mut world = World::with(&[("r1", r1())]);
    world.source(Dialect::Drbd9);
    for line in text.lines() {
        world.now = world.now.max(Mono(10_000_000_000 + stamp(line) - stamp(&text)));
        world.lines(&format!("{line}\n"));
    }
    world.step(&reactor_core::input::Input::BurstEnd(reactor_core::input::SourceId::Drbd));
    world.seconds(2);
    let all = world.all();
    let said = "Warn: r1: the connection to n1 is StandAlone: it was lost in its handshake";
    assert!(all.iter().any(|text| text == said), "{all:?}");
    assert!(all.contains(&"adjust r1".to_owned()), "at the start: {all:?}");
    assert!(all.contains(&"adjust --skip-disk r1".to_owned()), "for the link: {all:?}");
}
