//! Split brain as a state: two nodes have written apart from each other, and DRBD does not connect them until a person decides.
//!
//! ```text
//!   DRBD calls its handler split-brain ──┐
//!   the kernel's line about it ──────────┴─▶ marked ─── connected, and the peer's role is known ──▶ over
//!                                              │
//!                                              └─ the resource goes; with DRBD 9 the connection, too ──▶ forgotten
//! ```
//!
//! A mark belongs to the resource and not to the connection: DRBD 8.4 removes the connection as soon as it is StandAlone. It also says Connected
//! before the two have compared their data, and no role of the peer until then. A mark outlives a restart of the source; one that was made before
//! the daemon began is found again in the kernel's log, as long as its line is there.

use std::collections::BTreeSet;

use crate::drbd::types::{ConnectionState, Role};
use crate::ids::{ConnName, PeerNodeId, ResourceName};
use crate::kernel_log::SplitBrainLine;
use crate::subject::Subject;

use super::objects::{Connection, Resource};

/// Why a split brain is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// DRBD called its handler `split-brain`.
    Handler,
    /// The kernel wrote that DRBD has found one: all there is where DRBD may call no handlers (LINSTOR: `usermode_helper=disabled`).
    Kernel,
    /// The connection is StandAlone, and this side has written since the two parted. Whether the other has, too, is not known: it is possible, no more.
    StandAlone,
}

impl Evidence {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Handler, Self::Kernel, Self::StandAlone];

    /// The word as status and metrics spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Kernel => "kernel",
            Self::StandAlone => "standalone",
        }
    }

    /// Whether DRBD itself has found it.
    pub fn is_sure(self) -> bool {
        self != Self::StandAlone
    }
}

/// A split brain that DRBD has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The peer, as DRBD calls it here.
    pub peer: Option<ConnName>,
    /// Who said so first.
    pub evidence: Evidence,
    /// Somebody had the two connect again since. If the data still differ, DRBD says so again.
    pub is_tried: bool,
}

/// One began, or is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parted {
    /// The resource.
    pub resource: ResourceName,
    /// The peer, as DRBD calls it here.
    pub peer: String,
    /// Who said so; `None` = it is over.
    pub evidence: Option<Evidence>,
    /// It is from before the daemon began.
    pub is_old: bool,
}

/// Peers of a resource for which a mark is kept: DRBD has 32 nodes at most.
const MAX_MARKS: usize = 32;
/// Lines of the kernel that wait for the first dump.
const MAX_WAITING: usize = 256;

impl Connection {
    /// The two sides have compared their data, and it is the same or becomes the same.
    fn has_met(&self) -> bool {
        self.state.connection == ConnectionState::Connected
            && matches!(self.state.peer_role, Role::Primary | Role::Secondary)
    }
}

impl Resource {
    /// The split brains, and those that are possible: the peer, its name here, and why it is believed.
    pub fn split_brains(&self) -> impl Iterator<Item = (PeerNodeId, Option<&ConnName>, Evidence)> {
        let sure = self.split.iter().map(|(peer, mark)| (*peer, mark.peer.as_ref(), mark.evidence));
        let possible = |connection: &Connection| {
            connection.state.connection == ConnectionState::StandAlone
                && connection
                    .peer_devices
                    .values()
                    .any(|device| device.stats.out_of_sync_kib.is_some_and(|kib| kib > 0))
        };
        let maybe = self
            .connections
            .iter()
            .filter(move |(peer, connection)| !self.split.contains_key(peer) && possible(connection));
        sure.chain(maybe.map(|(peer, connection)| (*peer, connection.state.conn_name.as_ref(), Evidence::StandAlone)))
    }

    /// DRBD has found a split brain with this peer, and nobody has had the two connect again since.
    pub fn is_split_from(&self, peer: PeerNodeId) -> bool {
        self.split.get(&peer).is_some_and(|mark| !mark.is_tried)
    }

    /// The connection to this peer is no longer StandAlone.
    pub(super) fn tried(&mut self, peer: PeerNodeId) {
        if let Some(mark) = self.split.get_mut(&peer) {
            mark.is_tried = true;
        }
    }

    /// It has found one. What is news of that.
    pub(super) fn part(&mut self, peer: PeerNodeId, name: Option<&ConnName>, evidence: Evidence) -> Option<Parted> {
        if let Some(mark) = self.split.get_mut(&peer) {
            mark.is_tried = false;
            return None;
        }
        if self.split.len() >= MAX_MARKS {
            return None;
        }
        let known = || self.connections.get(&peer).and_then(|connection| connection.state.conn_name.clone());
        let mark = Mark { peer: name.cloned().or_else(known), evidence, is_tried: false };
        let news = self.news_of(peer, &mark, Some(evidence));
        self.split.insert(peer, mark);
        Some(news)
    }

    /// The connection to this peer has changed: whether that is the end of a split brain.
    pub(super) fn meet(&mut self, peer: PeerNodeId) -> Option<Parted> {
        if self.split.is_empty() || !self.connections.get(&peer).is_some_and(|connection| connection.has_met()) {
            return None;
        }
        let mark = self.split.remove(&peer)?;
        Some(self.news_of(peer, &mark, None))
    }

    /// It was over before: what only the kernel's log has said of it does not count.
    pub(super) fn never_split(&mut self, peer: PeerNodeId) -> Option<Parted> {
        let mark = self.split.get(&peer).filter(|mark| mark.evidence == Evidence::Kernel)?.clone();
        self.split.remove(&peer);
        Some(self.news_of(peer, &mark, None))
    }

    /// The connection of this name. DRBD 8.4 has one peer, whose node id is 0, and names none in the kernel's log.
    pub(super) fn peer_called(&self, name: Option<&ConnName>) -> Option<PeerNodeId> {
        let Some(name) = name else { return Some(PeerNodeId(0)) };
        let mut all = self.connections.iter();
        all.find(|(_, connection)| connection.state.conn_name.as_ref() == Some(name)).map(|(peer, _)| *peer)
    }

    /// The split brains that were known of it before a dump, as far as it does not say that they are over. What is over.
    pub(super) fn still_split(&mut self, before: &Self) -> Vec<Parted> {
        for (peer, mark) in &before.split {
            self.split.entry(*peer).or_insert_with(|| mark.clone());
        }
        let peers: Vec<PeerNodeId> = self.split.keys().copied().collect();
        peers.into_iter().filter_map(|peer| self.meet(peer)).collect()
    }

    /// Those of them that were not known before a dump.
    pub(super) fn newly_split(&self, before: Option<&Self>) -> Vec<Parted> {
        let is_new = |peer: &PeerNodeId| before.is_none_or(|before| !before.split.contains_key(peer));
        let new = self.split.iter().filter(|(peer, _)| is_new(peer));
        new.map(|(peer, mark)| self.news_of(*peer, mark, Some(mark.evidence))).collect()
    }

    fn news_of(&self, peer: PeerNodeId, mark: &Mark, evidence: Option<Evidence>) -> Parted {
        let name = mark.peer.as_ref().map_or_else(|| format!("peer {}", peer.0), ToString::to_string);
        Parted { resource: self.name.clone(), peer: name, evidence, is_old: false }
    }
}

/// Lines of the kernel about resources of which nothing is known yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting(BTreeSet<(Subject, Option<ConnName>)>);

impl Waiting {
    /// Keeps a line, or forgets the one that it takes back.
    pub(super) fn take(&mut self, subject: &Subject, line: &SplitBrainLine) {
        let key = (subject.clone(), line.peer.clone());
        if line.is_over {
            self.0.remove(&key);
        } else if self.0.len() < MAX_WAITING {
            self.0.insert(key);
        }
    }

    /// All of them; none waits any longer.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (Subject, Option<ConnName>)> + use<> {
        std::mem::take(&mut self.0).into_iter()
    }
}
