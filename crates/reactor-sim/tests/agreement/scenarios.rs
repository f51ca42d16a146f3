//! The recorded scenarios as scripts, from the README of each folder.

use reactor_sim::drbd9::{ClusterSpec, Command, Fencing, OnLoss, Options, Range};

use crate::play::{Play, r};

/// A recorded scenario.
pub(crate) struct Scenario {
    /// Folder.
    pub(crate) name: &'static str,
    /// Resources that are compared.
    pub(crate) resources: &'static [&'static str],
    /// The nodes that are compared, and the file of each.
    pub(crate) nodes: &'static [usize],
    /// Files, one for each of `nodes`.
    pub(crate) files: &'static [&'static str],
    /// Keys that the recording's drbd-utils do not print.
    pub(crate) without: &'static [&'static str],
    /// The recording begins in the middle: what nodes remember of disks that they do not see comes from before it, and is not compared.
    pub(crate) from_the_middle: bool,
    /// The seed that is tried first: with it the history was the recorded one when this was written.
    pub(crate) seed: u64,
    /// Plays it; gives the text of each node of `nodes`.
    pub(crate) script: fn(u64) -> Vec<String>,
}

const THREE: &[usize] = &[0, 1, 2];
const FILES: &[&str] = &["n1.events2-ts", "n2.events2-ts", "n3.events2-ts"];

const fn three(name: &'static str, resources: &'static [&'static str], script: fn(u64) -> Vec<String>) -> Scenario {
    Scenario { name, resources, nodes: THREE, files: FILES, without: &[], from_the_middle: false, seed: 0, script }
}

const fn two(name: &'static str, resources: &'static [&'static str], script: fn(u64) -> Vec<String>) -> Scenario {
    Scenario {
        name,
        resources,
        nodes: &[0, 1],
        files: &["n1.events2-ts", "n2.events2-ts"],
        without: &[],
        from_the_middle: false,
        seed: 0,
        script,
    }
}

/// All that are played.
pub(crate) const ALL: &[Scenario] = &[
    three("a-up-fullsync", &["r0", "r1"], a),
    three("b-promote-write-demote", &["r0", "r1"], b),
    three("c1-quorum-loss-opener", &["r0", "r1"], c1),
    three("c2-quorum-loss-takeover-opener", &["r1"], c2),
    Scenario {
        nodes: &[0, 2],
        files: &["n1.events2-ts", "n3.events2-ts"],
        ..three("d-secondary-killed", &["r0", "r1"], d)
    },
    three("e1-disk-failure-primary", &["r1"], e1),
    Scenario { seed: 267, ..three("h1-freeze-quorum-loss", &["z0"], h1) },
    three("h2-freeze-force-secondary", &["z0"], h2),
    three("i-secondary-force-opener", &["r1"], i),
    two("j-split-brain", &["s0"], j),
    two("l-fencing-resource-only", &["f0"], l),
    Scenario { seed: 286, ..three("m-promotion-race", &["r1"], m) },
    Scenario {
        files: &["n1.seg3.events2-ts", "n2.events2-ts", "n3.events2-ts"],
        ..three("o-events2-restart", &["r1"], o)
    },
    three("r1-failover-evict", &["r1"], r1),
    Scenario {
        nodes: &[1, 2],
        files: &["n2.events2-ts", "n3.events2-ts"],
        seed: 1196,
        ..three("r2-failover-node-killed", &["r1"], r2)
    },
    Scenario { from_the_middle: true, seed: 306, ..three("r3-failover-network-cut", &["r1"], r3) },
    three("s-attach-hang", &["r1"], attach),
    two("s-tiny8-kill", &TINY[0], tiny::<0>),
    two("s-tiny8-kill", &TINY[1], tiny::<1>),
    two("s-tiny8-kill", &TINY[2], tiny::<2>),
    two("s-tiny8-kill", &TINY[3], tiny::<3>),
    two("s-tiny8-kill", &TINY[4], tiny::<4>),
    two("s-tiny8-kill", &TINY[5], tiny::<5>),
    two("s-tiny8-kill", &TINY[6], tiny::<6>),
    two("s-tiny8-kill", &TINY[7], tiny::<7>),
];

/// Eight resources that know nothing of each other: a history is looked for for each of them.
const TINY: [[&str; 1]; 8] = [["t00"], ["t01"], ["t02"], ["t03"], ["t04"], ["t05"], ["t06"], ["t07"]];

/// Scenarios that the model does not express.
pub(crate) const NOT_EXPRESSIBLE: &[(&str, &str)] = &[
    ("f-verify", "online verify is not modelled: no promoter decides by it"),
    ("g-pause-resume-sync", "pause-sync and resume-sync are not modelled"),
    ("k1-down-up-rename-path", "paths, peers and options are added and removed by hand"),
    ("p1-drbd933-utils922", "invalidate goes through StartingSyncS/T, which is not modelled; the rest is in d, e1, c1"),
    ("p2-drbd92-utils922", "as p1, with another module"),
    ("s-three-way-isolation-freeze", "two handshakes of a suspended Primary that run at once and disturb each other"),
    ("r4-failover-service-crash", "no state of DRBD changes but open and role, see b and r1"),
];

fn nodes() -> ClusterSpec {
    ClusterSpec::new(&["n1", "n2", "n3"])
}

fn z0() -> ClusterSpec {
    let options = Options { on_no_quorum: OnLoss::SuspendIo, on_no_data: OnLoss::SuspendIo, ..Options::default() };
    nodes().with_resource("z0", 1, &[], options)
}

fn pick(mut texts: Vec<String>, nodes: &[usize]) -> Vec<String> {
    nodes.iter().map(|node| std::mem::take(&mut texts[*node])).collect()
}

fn a(seed: u64) -> Vec<String> {
    let mut play = Play::blank(r(nodes()), seed);
    for node in 0..3 {
        play.up(node, "r0");
    }
    play.pass(5_000);
    play.primary_force(0, "r0");
    play.pass(7_000);
    play.secondary(0, "r0");
    play.pass(500);
    for node in 0..3 {
        play.up(node, "r1");
    }
    play.pass(5_000);
    play.skip_sync(0, "r1", 0);
    play.pass(300);
    play.skip_sync(0, "r1", 1);
    play.end()
}

fn b(seed: u64) -> Vec<String> {
    let mut play = Play::settled(r(nodes()), seed);
    play.primary(0, "r1");
    play.dd(0, "r1", 0);
    assert_eq!(play.primary(1, "r1"), 11);
    play.secondary(1, "r1");
    // mkfs, mount, dd: ten times open.
    for _ in 0..9 {
        play.dd(0, "r1", 1);
    }
    let mount = play.open(0, "r1", 1);
    assert_eq!(play.secondary(0, "r1"), 11);
    play.close(mount);
    play.secondary(0, "r1");
    play.pass(200);
    play.primary(1, "r1");
    play.dd(1, "r1", 1);
    play.dd(1, "r1", 1);
    play.dd(1, "r1", 0);
    play.secondary(1, "r1");
    play.pass(200);
    play.primary(0, "r0");
    play.dd(0, "r0", 0);
    play.secondary(0, "r0");
    play.pass(100);
    play.primary(2, "r0");
    play.pass(300);
    play.dd(2, "r0", 0);
    play.secondary(2, "r0");
    play.end()
}

fn c1(seed: u64) -> Vec<String> {
    let mut play = Play::settled(r(nodes()), seed);
    play.primary(0, "r1");
    play.primary(0, "r0");
    let opener = play.open(0, "r1", 0);
    play.pass(500);
    play.link(0, false);
    play.pass(14_000);
    assert!(!play.dd(0, "r1", 0), "without quorum a write fails");
    play.link(0, true);
    play.pass(6_000);
    assert!(play.dd(0, "r1", 0));
    play.close(opener);
    play.secondary(0, "r1");
    play.secondary(0, "r0");
    play.end()
}

fn c2(seed: u64) -> Vec<String> {
    let mut play = Play::settled(r(nodes()), seed);
    play.primary(0, "r1");
    let opener = play.open(0, "r1", 0);
    play.pass(500);
    play.link(0, false);
    play.pass(13_000);
    play.primary(1, "r1");
    assert!(play.dd(1, "r1", 0));
    assert!(!play.dd(0, "r1", 0));
    play.link(0, true);
    play.pass(8_000);
    assert_eq!(play.secondary(0, "r1"), 11);
    play.close(opener);
    play.pass(3_000);
    play.secondary(0, "r1");
    play.pass(1_000);
    play.adjust(0, "r1");
    play.pass(20_000);
    play.secondary(1, "r1");
    play.end()
}

fn d(seed: u64) -> Vec<String> {
    let mut play = Play::settled(r(nodes()), seed);
    play.primary(0, "r1");
    let opener = play.open(0, "r1", 0);
    play.cluster.crash(1);
    play.pass(1_000);
    play.dd(0, "r1", 0);
    play.pass(10_000);
    play.cluster.boot(1);
    play.dd(0, "r1", 1);
    play.up(1, "r1");
    play.pass(6_000);
    play.up(1, "r0");
    play.pass(4_000);
    play.close(opener);
    play.secondary(0, "r1");
    pick(play.end(), &[0, 2])
}

fn e1(seed: u64) -> Vec<String> {
    let mut play = Play::settled(r(nodes()), seed);
    let attach = |volume: u32| Command::Attach { resource: "r1".to_owned(), volume };
    let detach = |volume: u32| Command::Detach { resource: "r1".to_owned(), volume };
    play.primary(0, "r1");
    let opener = play.open(0, "r1", 0);
    play.cluster.fail_disk(0, 1, 0);
    play.dd(0, "r1", 0);
    play.pass(1_500);
    play.dd(0, "r1", 0);
    play.cluster.repair_disk(0, 1, 0, false);
    play.run(0, attach(0));
    play.pass(3_000);
    play.run(0, detach(1));
    play.dd(0, "r1", 1);
    play.pass(500);
    play.run(0, attach(1));
    play.pass(3_000);
    play.close(opener);
    play.secondary(0, "r1");
    play.primary(0, "r1");
    play.run(0, detach(0));
    play.pass(1_000);
    play.secondary(0, "r1");
    play.pass(1_000);
    play.run(0, attach(0));
    play.end()
}

fn h1(seed: u64) -> Vec<String> {
    let mut play = Play::blank(z0(), seed);
    for node in 0..3 {
        play.up(node, "z0");
    }
    play.pass(5_000);
    play.skip_sync(0, "z0", 0);
    play.pass(500);
    play.primary(0, "z0");
    let opener = play.open(0, "z0", 0);
    play.pass(100);
    play.link(0, false);
    play.pass(300);
    let writer = play.open(0, "z0", 0);
    play.begin_write(writer);
    play.pass(12_000);
    play.link(0, true);
    play.pass(6_000);
    play.close(writer);
    play.run(0, Command::SuspendIo { resource: "z0".to_owned() });
    play.pass(2_000);
    play.run(0, Command::ResumeIo { resource: "z0".to_owned() });
    play.pass(1_000);
    play.close(opener);
    play.secondary(0, "z0");
    play.end()
}

fn h2(seed: u64) -> Vec<String> {
    let mut play = Play::settled(z0(), seed);
    play.primary(0, "z0");
    let opener = play.open(0, "z0", 0);
    play.pass(1_000);
    play.link(0, false);
    let writer = play.open(0, "z0", 0);
    play.begin_write(writer);
    play.pass(1_500);
    play.primary(1, "z0");
    play.dd(1, "z0", 0);
    play.pass(1_500);
    play.link(0, true);
    play.pass(6_000);
    play.close(writer);
    play.close(opener);
    play.pass(2_000);
    play.adjust(0, "z0");
    play.pass(20_000);
    play.secondary(1, "z0");
    play.end()
}

fn i(seed: u64) -> Vec<String> {
    let mut play = Play::settled(r(nodes()), seed);
    play.primary(0, "r1");
    let opener = play.open(0, "r1", 0);
    assert_eq!(play.secondary(0, "r1"), 11);
    assert_eq!(play.run(0, Command::Secondary { resource: "r1".to_owned(), force: true }).code, 0);
    play.pass(1_500);
    assert!(play.cluster.open(0, "r1", 0).is_err(), "a new opener is refused");
    assert_eq!(play.primary(0, "r1"), 11);
    play.primary(1, "r1");
    play.pass(100);
    play.secondary(1, "r1");
    play.pass(1_000);
    play.close(opener);
    play.pass(1_000);
    play.primary(0, "r1");
    play.pass(100);
    play.secondary(0, "r1");
    play.end()
}

fn j(seed: u64) -> Vec<String> {
    let options = Options { quorum: false, ..Options::default() };
    let mut play = Play::blank(ClusterSpec::new(&["n1", "n2"]).with_resource("s0", 1, &[], options), seed);
    play.up(0, "s0");
    play.up(1, "s0");
    play.pass(5_000);
    play.skip_sync(0, "s0", 0);
    play.pass(500);
    play.primary(0, "s0");
    play.dd(0, "s0", 0);
    play.link(1, false);
    play.pass(12_000);
    play.dd(0, "s0", 0);
    play.secondary(0, "s0");
    play.primary(1, "s0");
    play.primary_force(1, "s0");
    play.dd(1, "s0", 0);
    play.secondary(1, "s0");
    play.link(1, true);
    play.pass(5_000);
    assert!(play.cluster.damage(0).diverged, "both were written");
    play.run(1, Command::Disconnect { resource: "s0".to_owned(), peer: None });
    play.run(1, Command::Connect { resource: "s0".to_owned(), peer: None, discard_my_data: true });
    play.pass(1_000);
    play.run(0, Command::Connect { resource: "s0".to_owned(), peer: None, discard_my_data: false });
    play.end()
}

fn l(seed: u64) -> Vec<String> {
    let options = Options { quorum: false, fencing: Fencing::ResourceOnly, fence_peer: Some(4), ..Options::default() };
    let mut play = Play::blank(ClusterSpec::new(&["n1", "n2"]).with_resource("f0", 1, &[], options), seed);
    play.up(0, "f0");
    play.up(1, "f0");
    play.pass(5_000);
    play.skip_sync(0, "f0", 0);
    play.pass(500);
    play.primary(0, "f0");
    let opener = play.open(0, "f0", 0);
    play.pass(500);
    play.link(1, false);
    let writer = play.open(0, "f0", 0);
    play.begin_write(writer);
    play.pass(14_000);
    play.close(writer);
    play.link(1, true);
    play.pass(9_000);
    play.down(1, "f0");
    play.pass(2_000);
    play.up(1, "f0");
    play.pass(4_000);
    play.close(opener);
    play.secondary(0, "f0");
    play.pass(100);
    play.link(1, false);
    play.pass(12_000);
    play.primary(1, "f0");
    play.dd(1, "f0", 0);
    play.link(1, true);
    play.pass(5_000);
    play.secondary(1, "f0");
    play.end()
}

fn m(seed: u64) -> Vec<String> {
    let mut play = Play::settled(r(nodes()), seed);
    let promote = Command::Primary { resource: "r1".to_owned(), force: false };
    for round in 0..6 {
        let racers: &[usize] = if round < 4 { &[0, 1] } else { &[0, 1, 2] };
        let replies = play.race(racers, &promote);
        let winners: Vec<usize> = replies.iter().filter(|reply| reply.code == 0).map(|reply| reply.node).collect();
        assert_eq!(winners.len(), 1, "exactly one wins: {replies:?}");
        assert!(replies.iter().all(|reply| reply.code == 0 || reply.code == 11));
        play.pass(500);
        play.secondary(winners[0], "r1");
        play.pass(700);
    }
    play.end()
}

fn o(seed: u64) -> Vec<String> {
    let mut play = Play::settled(r(nodes()), seed);
    play.primary(0, "r1");
    play.pass(1_000);
    play.secondary(0, "r1");
    play.pass(1_000);
    play.primary(0, "r1");
    play.pass(1_000);
    play.down(1, "r1");
    play.down(2, "r1");
    play.pass(1_000);
    play.listen_again(0);
    play.pass(1_000);
    play.up(1, "r1");
    play.up(2, "r1");
    play.pass(4_000);
    play.secondary(0, "r1");
    play.pass(1_000);
    play.down(0, "r1");
    let before = play.text_of(0);
    play.pass(1_000);
    play.up(0, "r1");
    let mut texts = play.end();
    texts[0] = before;
    texts
}

fn r1(seed: u64) -> Vec<String> {
    let mut play = Play::settled(nodes().with_resource("r1", 2, &[], Options::default()), seed);
    play.primary(2, "r1");
    let service = play.open(2, "r1", 0);
    play.pass(500);
    for node in 0..3 {
        play.listen_again(node);
    }
    play.close(service);
    play.secondary(2, "r1");
    play.pass(500);
    play.primary(0, "r1");
    play.open(0, "r1", 0);
    play.end()
}

fn r2(seed: u64) -> Vec<String> {
    let mut spec = nodes().with_resource("r1", 2, &[], Options::default());
    spec.standalone_trap_percent = 100;
    let mut play = Play::settled(spec, seed);
    play.primary(0, "r1");
    let service = play.open(0, "r1", 0);
    play.pass(500);
    play.begin_write(service);
    play.pass(500);
    for node in 1..3 {
        play.listen_again(node);
    }
    play.cluster.crash(0);
    play.pass(13_000);
    play.primary(2, "r1");
    play.open(2, "r1", 0);
    let service = play.open(2, "r1", 0);
    play.begin_write(service);
    play.pass(20_000);
    play.cluster.boot(0);
    play.up(0, "r1");
    pick(play.end(), &[1, 2])
}

fn tiny<const NUMBER: usize>(seed: u64) -> Vec<String> {
    let name = TINY[NUMBER][0];
    let mut play = Play::blank(nodes().with_resource(name, 1, &[], Options::default()), seed);
    let up = Command::Up { resource: name.to_owned() };
    play.race(THREE, &up);
    play.pass(5_000);
    play.skip_sync(0, name, 0);
    play.pass(1_000);
    if name == "t06" {
        // Only here an answer to a ping of n1 and n3 was late.
        play.link_between(0, 2, false);
        play.pass(11_000);
        play.link_between(0, 2, true);
        play.pass(4_000);
    }
    play.primary(2, name);
    play.pass(12_000);
    play.cluster.crash(2);
    play.pass(14_000);
    play.primary(1, name);
    pick(play.end(), &[0, 1])
}

fn attach(seed: u64) -> Vec<String> {
    let mut play = Play::settled(nodes().with_resource("r1", 2, &[], Options::default()), seed);
    play.primary(0, "r1");
    let service = play.open(0, "r1", 0);
    play.pass(500);
    for node in 0..3 {
        play.listen_again(node);
    }
    play.run(0, Command::Detach { resource: "r1".to_owned(), volume: 0 });
    assert!(play.write(service), "I/O goes on over the network");
    play.pass(5_000);
    play.cluster.hang_attach(0, 0, 0);
    play.cluster.submit(0, Command::Attach { resource: "r1".to_owned(), volume: 0 });
    play.pass(200);
    play.begin_write(service);
    play.pass(60_000);
    assert!(play.cluster.take_writes().is_empty() && play.cluster.take_replies().is_empty(), "writer and command hang");
    play.end()
}

fn r3(seed: u64) -> Vec<String> {
    let mut spec = nodes().with_resource("r1", 2, &[], Options::default());
    spec.times.partial_sync = Range::ms(4_000, 8_000);
    let mut play = Play::settled(spec, seed);
    let disconnect = |peer| Command::Disconnect { resource: "r1".to_owned(), peer: Some(peer) };
    // n3 has been without the others since n1 was the Primary: its link to n1 is StandAlone here, that to n2 there.
    play.primary(1, "r1");
    let service = play.open(1, "r1", 0);
    play.write(service);
    play.link(2, false);
    play.pass(13_000);
    play.run(2, disconnect(0));
    play.run(1, disconnect(2));
    play.write(service);
    play.link(2, true);
    play.pass(1_000);
    for node in 0..3 {
        play.listen_again(node);
    }
    play.link(1, false);
    play.pass(6_800);
    play.adjust(1, "r1");
    play.adjust(2, "r1");
    // n3 is promoted when it has just begun to be synced from n1.
    while !play.text_of(2).contains("SyncTarget") {
        play.pass(50);
    }
    assert_eq!(play.primary(2, "r1"), 0);
    play.pass(500);
    let successor = play.open(2, "r1", 0);
    play.write(successor);
    play.pass(3_000);
    play.close(service);
    play.secondary(1, "r1");
    play.close(successor);
    play.pass(500);
    play.secondary(2, "r1");
    play.pass(500);
    play.primary(2, "r1");
    play.open(2, "r1", 0);
    play.pass(8_000);
    play.link(1, true);
    play.end()
}
