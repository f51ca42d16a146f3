//! What is done to the pair in a round: drawn from a seed, and the same for the same seed and number, whatever happened before.
//!
//! The plan keeps to what two nodes with fencing can survive: at no time is the only good copy taken away and a
//! stale one left to go on. A disk that fails leaves one copy, so nothing that takes the other node goes with it.

use std::fmt;
use std::time::Duration;

use crate::random::Random;

/// Who is hit: what the node was when the round began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The one that ran the service.
    Active,
    /// The other one.
    Standby,
}

/// Something that breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The power is cut.
    Kill(Target),
    /// The kernel panics.
    Crash(Target),
    /// The node stops, and goes on after this time if nobody has switched it off.
    Hang(Target, Duration),
    /// A clean reboot.
    Reboot(Target),
    /// A clean power off.
    PowerOff(Target),
    /// The data network is cut until the end of the round.
    Cut,
    /// Frames from this node are lost, those to it are not.
    CutFrom(Target),
    /// The data network goes down and up.
    Flap {
        /// How long it is down.
        down: Duration,
        /// How long it is up then.
        up: Duration,
    },
    /// The data network is cut, and heals after this time.
    Blip(Duration),
    /// The data network is slow and loses frames.
    Bad {
        /// Delay in each direction, and as much jitter.
        delay: Duration,
        /// Loss.
        percent: u32,
    },
    /// The disk gives errors.
    Disk(Target),
    /// The daemon gets SIGKILL.
    Daemon(Target),
    /// The daemon's source of events gets SIGKILL.
    Events(Target),
    /// The service gets SIGKILL, where it runs.
    Service,
    /// The configuration is read again.
    Reload(Target),
    /// The service is sent to the other node: hold here, and stop.
    Evict,
    /// The same, but somebody has a file open.
    EvictWithOpener,
}

/// A fault and when it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// So long after the step before, or after the begin of the round.
    pub after: Duration,
    /// What.
    pub fault: Fault,
}

/// What is done in a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// One or two faults.
    pub steps: Vec<Step>,
    /// So long it is left alone after that, before it is looked at.
    pub linger: Duration,
}

impl Fault {
    /// Can a whole pair have this fault, and write on (after a take-over if need be) before anybody mends anything?
    #[must_use]
    pub fn is_survived(self) -> bool {
        // A node that can neither stop nor go on waits for a person; a bad network may be bad to everybody for ever.
        !matches!(self, Fault::EvictWithOpener | Fault::Flap { .. } | Fault::Bad { .. })
    }

    /// Does a node, or what connects it, go away for a while?
    fn takes_a_node(self) -> bool {
        !matches!(self, Fault::Disk(_) | Fault::Daemon(_) | Fault::Events(_) | Fault::Service | Fault::Reload(_))
    }

    fn is_of_the_network(self) -> bool {
        matches!(self, Fault::Cut | Fault::CutFrom(_) | Fault::Flap { .. } | Fault::Blip(_) | Fault::Bad { .. })
    }

    /// The node that is down, or stopped.
    fn taken(self) -> Option<Target> {
        match self {
            Fault::Kill(taken)
            | Fault::Crash(taken)
            | Fault::Hang(taken, _)
            | Fault::Reboot(taken)
            | Fault::PowerOff(taken) => Some(taken),
            _ => None,
        }
    }

    /// Can this node be away after it? A cut ends with one of the two switched off, whoever that is.
    fn takes(self, target: Target) -> bool {
        match self.taken() {
            Some(taken) => taken == target,
            None => self.is_of_the_network(),
        }
    }
}

impl Target {
    fn other(self) -> Self {
        match self {
            Target::Active => Target::Standby,
            Target::Standby => Target::Active,
        }
    }
}

impl Round {
    /// The plan of a round, counted from 1.
    #[must_use]
    pub fn draw(seed: u64, number: u32) -> Self {
        let mut random = Random(seed.rotate_left(32) ^ u64::from(number));
        // Neighbouring seeds begin alike.
        random.next();
        let target = any(&mut random);
        let first = Step { after: random.millis(0, 1500), fault: fault(&mut random, target) };
        let mut steps = vec![first];
        if random.next().is_multiple_of(2) {
            // A daemon that dies in the middle of a take-over is what it has to be good at.
            let second = if first.fault.takes_a_node() && random.next().is_multiple_of(3) {
                Fault::Daemon(Target::Standby)
            } else {
                // A node that is down already has little to lose.
                let target = first.fault.taken().map_or_else(|| any(&mut random), Target::other);
                fault(&mut random, target)
            };
            let second = Step { after: random.millis(0, 9000), fault: second };
            if goes_with(first.fault, second.fault) {
                steps.push(second);
            }
        }
        Self { steps, linger: random.millis(1500, 4000) }
    }

    /// Has the service to be up again before anybody mends anything?
    #[must_use]
    pub fn is_survived(&self) -> bool {
        matches!(self.steps.as_slice(), [only] if only.fault.is_survived())
    }
}

/// Can the pair be whole again after both, without a person who knows whose data is good?
fn goes_with(first: Fault, second: Fault) -> bool {
    match (first, second) {
        // One good copy is left, on the other node.
        (Fault::Disk(disk), other) | (other, Fault::Disk(disk)) => {
            !matches!(other, Fault::Disk(_)) && !other.takes(disk.other())
        }
        // The end of one would be the end of the other.
        (Fault::Blip(_), other) | (other, Fault::Blip(_)) => !other.is_of_the_network(),
        _ => true,
    }
}

/// The active node is where it hurts.
fn any(random: &mut Random) -> Target {
    if random.next() % 10 < 7 { Target::Active } else { Target::Standby }
}

fn fault(random: &mut Random, target: Target) -> Fault {
    match random.next() % 34 {
        0..=3 => Fault::Kill(target),
        4..=6 => Fault::Crash(target),
        7..=9 => Fault::Hang(target, random.millis(200, 8000)),
        10 | 11 => Fault::Reboot(target),
        12 => Fault::PowerOff(target),
        13..=15 => Fault::Cut,
        16 | 17 => Fault::CutFrom(target),
        18 => Fault::Flap { down: random.millis(300, 3000), up: random.millis(500, 4000) },
        19 | 20 => Fault::Blip(random.millis(100, 6000)),
        21 | 22 => Fault::Bad { delay: random.millis(1, 100), percent: u32::try_from(random.next() % 25).unwrap_or(0) },
        23..=25 => Fault::Disk(target),
        26 | 27 => Fault::Daemon(target),
        28 => Fault::Events(target),
        29 | 30 => Fault::Service,
        31 => Fault::Reload(target),
        32 => Fault::Evict,
        _ => Fault::EvictWithOpener,
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Target::Active => "the active node",
            Target::Standby => "the standby",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Kill(target) => write!(f, "power cut of {target}"),
            Fault::Crash(target) => write!(f, "kernel crash of {target}"),
            Fault::Hang(target, time) => write!(f, "hang of {target} for {:.1} s", time.as_secs_f64()),
            Fault::Reboot(target) => write!(f, "reboot of {target}"),
            Fault::PowerOff(target) => write!(f, "power off of {target}"),
            Fault::Cut => f.write_str("network cut"),
            Fault::CutFrom(target) => write!(f, "one-way cut from {target}"),
            Fault::Flap { down, up } => {
                write!(f, "network flapping ({:.1} s down, {:.1} s up)", down.as_secs_f64(), up.as_secs_f64())
            }
            Fault::Blip(time) => write!(f, "network cut for {:.1} s", time.as_secs_f64()),
            Fault::Bad { delay, percent } => write!(f, "bad network ({} ms, {percent} % lost)", delay.as_millis()),
            Fault::Disk(target) => write!(f, "disk failure of {target}"),
            Fault::Daemon(target) => write!(f, "reactord killed on {target}"),
            Fault::Events(target) => write!(f, "events2 killed on {target}"),
            Fault::Service => f.write_str("service killed"),
            Fault::Reload(target) => write!(f, "reload on {target}"),
            Fault::Evict => f.write_str("evict"),
            Fault::EvictWithOpener => f.write_str("evict with a file held open"),
        }
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.steps.iter().enumerate() {
            if place > 0 {
                write!(f, ", then after {:.1} s ", step.after.as_secs_f64())?;
            }
            step.fault.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_seed_says_all() {
        for number in 1..50 {
            assert_eq!(Round::draw(7, number), Round::draw(7, number));
        }
        let rounds = |seed| (1..20).map(|number| Round::draw(seed, number).to_string()).collect::<Vec<_>>();
        assert_ne!(rounds(1), rounds(2));
    }

    #[test]
    fn every_fault_comes() {
        let mut kinds = BTreeSet::new();
        let mut pairs = 0;
        for number in 1..2000 {
            let round = Round::draw(1, number);
            assert!((1..=2).contains(&round.steps.len()));
            pairs += round.steps.len() - 1;
            for step in round.steps {
                let debug = format!("{:?}", step.fault);
                kinds.insert(debug.split([' ', '(', '{']).next().unwrap_or_default().to_owned());
            }
        }
        assert_eq!(kinds.len(), 17, "{kinds:?}");
        assert!(pairs > 500, "{pairs}");
    }

    #[test]
    fn the_last_good_copy_stays() {
        for number in 1..5000 {
            let round = Round::draw(3, number);
            let [first, second] = round.steps.as_slice() else { continue };
            for (one, other) in [(first.fault, second.fault), (second.fault, first.fault)] {
                if let Fault::Disk(target) = one {
                    assert!(!other.takes(target.other()), "{round}");
                }
            }
        }
    }
}
