//! What the model of DRBD 9 promises, and what it must never do: random faults and commands, and no damage.

use std::fmt::Write as _;
use std::time::Duration;

use reactor_sim::drbd9::{Cluster, ClusterSpec, Command, Errno, OnLoss, OpenId, Options, Reply};
use reactor_sim::rng::Rng;

fn three(options: Options) -> ClusterSpec {
    ClusterSpec::new(&["n1", "n2", "n3"]).with_resource("r1", 2, &[], options)
}

fn pass(cluster: &mut Cluster, millis: u64) {
    let end = cluster.now().after(Duration::from_millis(millis));
    cluster.advance(end);
}

fn run(cluster: &mut Cluster, node: usize, command: Command) -> Reply {
    let ticket = cluster.submit(node, command);
    loop {
        if let Some(reply) = cluster.take_replies().into_iter().find(|reply| reply.ticket == ticket) {
            return reply;
        }
        let next = cluster.next_at().expect("the command ends");
        cluster.advance(next);
    }
}

fn primary(force: bool) -> Command {
    Command::Primary { resource: "r1".to_owned(), force }
}

fn secondary(force: bool) -> Command {
    Command::Secondary { resource: "r1".to_owned(), force }
}

fn cut(cluster: &mut Cluster, node: usize, up: bool) {
    for peer in (0..3).filter(|peer| *peer != node) {
        cluster.set_link(node, peer, up);
        cluster.set_link(peer, node, up);
    }
}

#[test]
fn promotion_without_quorum_is_refused_and_by_force_it_is_not() {
    let mut cluster = Cluster::settled(three(Options::default()), 1);
    cut(&mut cluster, 0, false);
    pass(&mut cluster, 15_000);
    let refused = run(&mut cluster, 0, primary(false));
    assert_eq!(refused.code, 11);
    assert!(refused.stderr.contains("(-25)") && refused.stderr.contains("1 of 3 nodes visible"), "{}", refused.stderr);
    assert_eq!(run(&mut cluster, 0, primary(true)).code, 0);
    assert!(!cluster.truth(0, 0).can_write, "without quorum nothing is written, also by force");
}

#[test]
fn a_writing_primary_notices_within_a_second_and_an_idle_one_within_its_ping() {
    for seed in 0..50 {
        let mut cluster = Cluster::settled(three(Options::default()), seed);
        assert_eq!(run(&mut cluster, 0, primary(false)).code, 0);
        let open = cluster.open(0, "r1", 0).expect("it is Primary");
        cut(&mut cluster, 0, false);
        let write = cluster.write(open);
        pass(&mut cluster, 1_500);
        let end = cluster.take_writes().into_iter().find(|end| end.write == write).expect("it has ended");
        assert_eq!(end.result, Err(Errno::Io));
        pass(&mut cluster, 10_000);
        assert!(cluster.truth(1, 0).could_promote && cluster.truth(2, 0).could_promote, "survivors have settled");
    }
}

#[test]
fn suspended_writes_end_when_quorum_is_back() {
    let options = Options { on_no_quorum: OnLoss::SuspendIo, ..Options::default() };
    let mut cluster = Cluster::settled(three(options), 3);
    run(&mut cluster, 0, primary(false));
    let open = cluster.open(0, "r1", 0).expect("it is Primary");
    cut(&mut cluster, 0, false);
    cluster.write(open);
    pass(&mut cluster, 30_000);
    assert!(cluster.take_writes().is_empty(), "it waits");
    cut(&mut cluster, 0, true);
    pass(&mut cluster, 10_000);
    assert_eq!(cluster.take_writes().len(), 1);
    assert_eq!(cluster.read(open), Ok(1));
}

#[test]
fn the_last_one_keeps_quorum_when_the_others_said_good_bye() {
    let mut cluster = Cluster::settled(three(Options::default()), 4);
    run(&mut cluster, 0, primary(false));
    for node in [1, 2] {
        assert_eq!(run(&mut cluster, node, Command::Down { resource: "r1".to_owned() }).code, 0);
    }
    pass(&mut cluster, 2_000);
    assert!(cluster.truth(0, 0).can_write);
    assert!(cluster.dump(0).contains("promotion_score:10201"), "{}", cluster.dump(0));
}

#[test]
fn a_tie_breaker_keeps_quorum_and_does_not_bring_it_back() {
    let spec = ClusterSpec::new(&["n1", "n2", "n3"]).with_resource("r1", 1, &[2], Options::default());
    let mut cluster = Cluster::settled(spec, 5);
    cluster.crash(0);
    pass(&mut cluster, 15_000);
    assert!(cluster.truth(1, 0).could_promote);
    cluster.crash(1);
    cluster.boot(1);
    run(&mut cluster, 1, Command::Up { resource: "r1".to_owned() });
    pass(&mut cluster, 15_000);
    assert!(!cluster.truth(1, 0).could_promote);
}

#[test]
fn an_adjust_heals_what_the_rejoin_trap_leaves() {
    let mut spec = three(Options::default());
    spec.standalone_trap_percent = 100;
    let mut cluster = Cluster::settled(spec, 6);
    run(&mut cluster, 0, primary(false));
    cluster.crash(0);
    pass(&mut cluster, 13_000);
    assert_eq!(run(&mut cluster, 1, primary(false)).code, 0);
    let open = cluster.open(1, "r1", 0).expect("it is Primary");
    cluster.write(open);
    pass(&mut cluster, 1_000);
    cluster.boot(0);
    run(&mut cluster, 0, Command::Up { resource: "r1".to_owned() });
    pass(&mut cluster, 30_000);
    let alone: Vec<usize> = (0..3).filter(|node| cluster.dump(*node).contains("connection:StandAlone")).collect();
    assert_eq!(alone.len(), 1, "one survivor has given up");
    run(&mut cluster, alone[0], Command::Adjust { resource: "r1".to_owned() });
    pass(&mut cluster, 15_000);
    for node in 0..3 {
        assert!(cluster.dump(node).contains("promotion_score:10203"), "{}", cluster.dump(node));
    }
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let text = |seed| {
        let mut chaos = Chaos::new(seed, Options::default());
        (0..60).for_each(|_| chaos.step());
        chaos.text
    };
    assert_eq!(text(7), text(7));
    assert_ne!(text(7), text(8));
}

/// Random faults and commands on three nodes.
struct Chaos {
    cluster: Cluster,
    rng: Rng,
    opens: Vec<(usize, OpenId)>,
    text: String,
    /// What was done, for who has to find out why.
    story: Vec<String>,
}

impl Chaos {
    fn new(seed: u64, options: Options) -> Self {
        let mut spec = three(options);
        spec.standalone_trap_percent = 30;
        Self {
            cluster: Cluster::settled(spec, seed),
            rng: Rng::new(seed),
            opens: Vec::new(),
            text: String::new(),
            story: vec![format!("seed {seed}")],
        }
    }

    fn step(&mut self) {
        let node = usize::try_from(self.rng.below(3)).expect("small");
        let peer = (node + 1 + usize::try_from(self.rng.below(2)).expect("small")) % 3;
        let what = self.rng.below(16);
        self.story.push(format!("{} n{} n{} {what}", self.cluster.now(), node + 1, peer + 1));
        match what {
            0 => self.crash(node),
            1 => self.up(node),
            2 => self.cluster.freeze(node),
            3 => self.cluster.thaw(node),
            4 => self.cluster.set_link(node, peer, false),
            5 => self.cluster.set_link(node, peer, true),
            6 => cut(&mut self.cluster, node, false),
            7 => cut(&mut self.cluster, node, true),
            8 => self.cluster.fail_disk(node, 0, 0),
            9 => self.cluster.repair_disk(node, 0, 0, false),
            10 => drop(self.cluster.submit(node, Command::Adjust { resource: "r1".to_owned() })),
            11 => drop(self.cluster.submit(node, secondary(true))),
            _ => drop(self.cluster.submit(node, primary(false))),
        }
        for _ in 0..5 {
            let millis = self.rng.below(3_000);
            pass(&mut self.cluster, millis);
            self.look();
        }
    }

    fn crash(&mut self, node: usize) {
        self.cluster.crash(node);
        self.opens.retain(|(at, _)| *at != node);
    }

    fn up(&mut self, node: usize) {
        if !self.cluster.alive(node) {
            self.cluster.boot(node);
            self.cluster.submit(node, Command::Up { resource: "r1".to_owned() });
        }
    }

    /// Services write wherever they can; two must never be able to.
    fn look(&mut self) {
        let writers: Vec<usize> = (0..3).filter(|node| self.cluster.truth(*node, 0).can_write).collect();
        assert!(writers.len() < 2, "{writers:?} can write at {}\n{:#?}\n{}", self.cluster.now(), self.story, self.text);
        for node in 0..3 {
            let here = self.opens.iter().position(|(at, _)| *at == node);
            let primary = self.cluster.truth(node, 0).primary;
            match here {
                None if primary => {
                    if let Ok(open) = self.cluster.open(node, "r1", 0) {
                        self.opens.push((node, open));
                    }
                }
                Some(place) if !primary => self.cluster.close(self.opens.remove(place).1),
                Some(place) => drop(self.cluster.write(self.opens[place].1)),
                None => {}
            }
            for burst in self.cluster.take_output(node) {
                for line in burst.text.lines() {
                    let _ = writeln!(self.text, "n{}: {line}", node + 1);
                }
            }
        }
        self.cluster.take_replies();
        self.cluster.take_writes();
        let damage = self.cluster.damage(0);
        assert!(
            !damage.diverged && damage.lost_writes == 0,
            "{damage:?} at {}\n{:#?}\n{}",
            self.cluster.now(),
            self.story,
            self.text
        );
    }

    /// All faults end; the service closes; then everything is good again.
    fn heal(&mut self) {
        for node in 0..3 {
            cut(&mut self.cluster, node, true);
            self.cluster.thaw(node);
            self.cluster.repair_disk(node, 0, 0, false);
        }
        for (_, open) in std::mem::take(&mut self.opens) {
            self.cluster.close(open);
        }
        for round in 0..6 {
            for node in 0..3 {
                self.up(node);
                if self.cluster.truth(node, 0).primary && round < 3 {
                    self.cluster.submit(node, secondary(true));
                }
                self.cluster.submit(node, Command::Adjust { resource: "r1".to_owned() });
            }
            pass(&mut self.cluster, 30_000);
        }
    }
}

#[test]
fn with_quorum_nothing_is_ever_lost_and_everything_heals() {
    for seed in 0..400 {
        let suspend = if seed % 2 == 0 { OnLoss::SuspendIo } else { OnLoss::IoError };
        let mut chaos = Chaos::new(seed, Options { on_no_quorum: suspend, ..Options::default() });
        for _ in 0..40 {
            chaos.step();
        }
        chaos.heal();
        for node in 0..3 {
            let dump = chaos.cluster.dump(node);
            assert!(
                dump.contains("promotion_score:10203"),
                "seed {seed}: not healed:\n{dump}{}\n{:#?}\n{}",
                chaos.cluster.dump((node + 1) % 3),
                chaos.story,
                chaos.text
            );
        }
    }
}
