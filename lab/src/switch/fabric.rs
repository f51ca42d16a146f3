//! Who gets a frame, and when: the switch without its sockets.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::Duration;

use super::link::Link;
use super::{Net, Port, SwitchError};
use crate::random::Random;

/// Destination and source address and the type: shorter frames are no Ethernet.
const HEADER: usize = 14;

type Mac = [u8; 6];

/// Where a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// In which network.
    pub net: Net,
    /// To which node.
    pub to: Port,
}

/// What happened on one direction of a link since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Frames handed over.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames that met a cut, or a node that was not there when they arrived.
    pub cut: u64,
    /// Frames that `loss` took.
    pub lost: u64,
    /// Frames the receiver was too slow, or too stopped, to take.
    pub overflowed: u64,
}

/// The forwarding of all networks: addresses learnt, links and their faults, and the frames under way.
///
/// Time is given with every call, as the time since any fixed moment, and must not go backwards.
/// The same seed and the same calls make the same decisions.
#[derive(Debug)]
pub struct Fabric {
    seed: u64,
    ports: BTreeSet<Target>,
    learnt: BTreeMap<(Net, Mac), Port>,
    lanes: BTreeMap<(Net, Port, Port), Lane>,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    serial: u64,
}

/// One direction of a link with what it needs to remember.
#[derive(Debug)]
struct Lane {
    link: Link,
    counters: Counters,
    random: Random,
    /// The arrival of the frame sent last: none that is sent later arrives earlier.
    last_arrival: Duration,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct UnderWay {
    arrival: Duration,
    /// Keeps the order of frames with the same arrival.
    serial: u64,
    target: Target,
    from: Port,
    frame: Arc<[u8]>,
}

impl Fabric {
    /// A switch with nothing plugged in.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            ports: BTreeSet::new(),
            learnt: BTreeMap::new(),
            lanes: BTreeMap::new(),
            under_way: BinaryHeap::new(),
            serial: 0,
        }
    }

    /// Plugs a node in.
    pub fn attach(&mut self, net: Net, port: Port) {
        self.ports.insert(Target { net, to: port });
    }

    /// Unplugs a node: its addresses are forgotten, what is under way to it is lost, the faults of its links stay.
    pub fn detach(&mut self, net: Net, port: Port) {
        self.ports.remove(&Target { net, to: port });
        self.learnt.retain(|(of, _), at| (*of, *at) != (net, port));
    }

    /// The faults of the link in this direction, to be changed.
    pub fn link(&mut self, net: Net, from: Port, to: Port) -> Result<&mut Link, SwitchError> {
        if !net.takes_faults() {
            return Err(SwitchError::Protected { net });
        }
        if from == to {
            return Err(SwitchError::SamePort { port: from });
        }
        Ok(&mut self.lane(net, from, to).link)
    }

    /// Every direction that has carried a frame or has a fault.
    pub fn links(&self) -> impl Iterator<Item = (Net, Port, Port, &Link, Counters)> {
        self.lanes.iter().map(|((net, from, to), lane)| (*net, *from, *to, &lane.link, lane.counters))
    }

    /// A node sends a frame. Who gets it at once is added to `now_to`; what takes longer comes from [`Fabric::arrived`].
    pub fn send(&mut self, now: Duration, net: Net, from: Port, frame: &[u8], now_to: &mut Vec<Target>) {
        let (Some(destination), Some(source)) = (mac_at(frame, 0), mac_at(frame, 6)) else {
            return;
        };
        if !is_group(source) {
            self.learnt.insert((net, source), from);
        }
        match self.learnt.get(&(net, destination)) {
            Some(known) => {
                let to = *known;
                if to != from {
                    self.send_to(now, from, Target { net, to }, frame, now_to);
                }
            }
            None => {
                let others: Vec<Target> = self.ports.iter().copied().filter(|t| t.net == net && t.to != from).collect();
                for target in others {
                    self.send_to(now, from, target, frame, now_to);
                }
            }
        }
    }

    /// The next frame that is there by now.
    pub fn arrived(&mut self, now: Duration) -> Option<(Port, Target, Arc<[u8]>)> {
        while self.next_arrival().is_some_and(|at| at <= now) {
            let Reverse(UnderWay { target, from, frame, .. }) = self.under_way.pop()?;
            let plugged = self.ports.contains(&target);
            let lane = self.lane(target.net, from, target.to);
            if plugged && lane.link.is_open(now) {
                lane.counters.delivered(frame.len());
                return Some((from, target, frame));
            }
            lane.counters.cut += 1;
        }
        None
    }

    /// When to call [`Fabric::arrived`] again.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Duration> {
        self.under_way.peek().map(|Reverse(first)| first.arrival)
    }

    /// The receiver did not take a frame that had been handed over.
    pub fn overflowed(&mut self, from: Port, target: Target, bytes: usize) {
        let counters = &mut self.lane(target.net, from, target.to).counters;
        counters.frames = counters.frames.saturating_sub(1);
        counters.bytes = counters.bytes.saturating_sub(bytes as u64);
        counters.overflowed += 1;
    }

    fn send_to(&mut self, now: Duration, from: Port, target: Target, frame: &[u8], now_to: &mut Vec<Target>) {
        let lane = self.lane(target.net, from, target.to);
        if !lane.link.is_open(now) {
            lane.counters.cut += 1;
            return;
        }
        if lane.random.hits(lane.link.loss) {
            lane.counters.lost += 1;
            return;
        }
        let arrival = (now + lane.random.around(lane.link.delay, lane.link.jitter)).max(lane.last_arrival);
        if arrival <= now {
            lane.counters.delivered(frame.len());
            now_to.push(target);
            return;
        }
        lane.last_arrival = arrival;
        self.serial += 1;
        self.under_way.push(Reverse(UnderWay { arrival, serial: self.serial, target, from, frame: frame.into() }));
    }

    fn lane(&mut self, net: Net, from: Port, to: Port) -> &mut Lane {
        let seed = self.seed ^ u64::from_be_bytes([0, 0, 0, 0, 0, net.0, from.0, to.0]);
        self.lanes.entry((net, from, to)).or_insert_with(|| Lane {
            link: Link::default(),
            counters: Counters::default(),
            random: Random(seed),
            last_arrival: Duration::ZERO,
        })
    }
}

impl Counters {
    fn delivered(&mut self, bytes: usize) {
        self.frames += 1;
        self.bytes += bytes as u64;
    }
}

/// The address in the header at this offset.
fn mac_at(frame: &[u8], offset: usize) -> Option<Mac> {
    if frame.len() < HEADER { None } else { frame.get(offset..offset + 6)?.try_into().ok() }
}

/// Broadcast and multicast: never learnt, so always flooded.
fn is_group(mac: Mac) -> bool {
    mac[0] & 1 == 1
}

#[cfg(test)]
#[path = "fabric_tests.rs"]
mod tests;
