//! The link keeper: connections that stay StandAlone although the data did not diverge.
//!
//! DRBD can drop one of two links in the middle of the handshake when a node rejoins; nothing reconnects it, the resource looks fine,
//! and the next failure costs the service. `drbdadm adjust` heals it. A link that an administrator disconnected, or one between nodes
//! whose data diverged, is only reported.
//!
//! ```text
//!  StandAlone ─┬─ DRBD, or the kernel's log, says split brain ──────────────────────▶ diverged: report
//!              ├─ was StandAlone when we came ─────────────────────────────────────▶ unknown:  report
//!              ├─ Connected for less than a minute, or a path was up in Connecting ─▶ handshake: report, adjust, back off, ...
//!              └─ else: it was stable, or the peer was not even there ─────────────▶ by hand:  report
//! ```
//!
//! An adjust connects all links of the resource. Where one of them is to stay as it is, only the one that died in its handshake is connected.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::action::{AskTools, Call, DrbdCall, Reason};
use crate::drbd::types::ConnectionState;
use crate::ids::{ActionId, Mono, PeerNodeId};
use crate::model::objects::Resource;
use crate::model::reports::NoteLevel;
use crate::plugin::Context;
use crate::settings::promoter::RepairLinks;

use super::machine::Machine;
use super::repeat::back_off;
use super::timers::Timer;
use super::view::PeerNames;

/// A connection that was Connected for longer than this did not die in its handshake.
const HANDSHAKE: Duration = Duration::from_secs(60);
/// How long it must be StandAlone before anything is done: on its way down a connection is so for a moment.
const PATIENCE: Duration = Duration::from_secs(1);
/// First wait between two repairs; doubles.
const REPAIR_BASE: Duration = Duration::from_secs(5);
/// The same at most.
const REPAIR_MAX: Duration = Duration::from_secs(300);

/// What is remembered of a resource's connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    /// The repair that runs.
    repair: Option<(ActionId, Repair)>,
    peers: BTreeMap<PeerNodeId, Link>,
}

#[derive(Clone, Debug, Default)]
struct Link {
    /// DRBD has this connection. A repair may remove it and make it anew: the pause between repairs outlives that.
    is_there: bool,
    /// Since when it is Connected, or was before it was lost.
    connected_since: Option<Mono>,
    is_connected: bool,
    /// Whether a path to the peer was up in this attempt to connect: the two are talking.
    in_handshake: bool,
    standalone: Option<StandAlone>,
    /// DRBD has found a split brain, and the two have not connected since.
    diverged: bool,
    /// Repairs since it last held.
    repairs: u32,
    next_repair: Option<Mono>,
}

#[derive(Clone, Copy, Debug)]
struct StandAlone {
    since: Mono,
    cause: Cause,
    reported: bool,
}

/// Why a connection is StandAlone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cause {
    Handshake,
    ByHand,
    Unknown,
    Diverged,
}

/// How a link is repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repair {
    /// With all others.
    All,
    /// This one alone: another one must stay as it is.
    One(PeerNodeId),
}

/// What is to be done about the links of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Care {
    /// To be said once, as a warning.
    pub(super) news: Vec<String>,
    /// This is due, because of these facts.
    pub(super) repair: Option<(Repair, Vec<String>)>,
    /// When to look again.
    pub(super) again: Option<Mono>,
}

impl Links {
    /// Looks at the connections, at the end of a burst or when a deadline came.
    pub(super) fn observe(&mut self, now: Mono, resource: &Resource) {
        self.peers.retain(|peer, link| {
            if link.is_there && !resource.connections.contains_key(peer) {
                *link = Link { repairs: link.repairs, next_repair: link.next_repair, ..Link::default() };
            }
            link.is_there || link.next_repair.is_some_and(|at| at.after(REPAIR_MAX) > now)
        });
        for (id, connection) in &resource.connections {
            let link = self.peers.entry(*id).or_default();
            let first_sight = !std::mem::replace(&mut link.is_there, true);
            if connection.state.connection != ConnectionState::StandAlone {
                link.standalone = None;
            }
            link.diverged = resource.is_split_from(*id);
            if let (true, Some(standalone)) = (link.diverged, &mut link.standalone)
                && standalone.cause != Cause::Diverged
            {
                *standalone = StandAlone { cause: Cause::Diverged, reported: false, ..*standalone };
            }
            if connection.state.connection != ConnectionState::Connected {
                link.lost(now);
            }
            match connection.state.connection {
                ConnectionState::Connected => link.connected(now),
                ConnectionState::StandAlone => link.standalone(now, first_sight),
                ConnectionState::Connecting => {
                    let is_up = connection.paths.values().any(|path| path.state.established == Some(true));
                    link.connecting(is_up);
                }
                _ => {}
            }
        }
    }

    /// What is to be done now. `prepared`: when the preparation's adjust ended; before that a link says nothing.
    pub(super) fn care(
        &mut self,
        now: Mono,
        resource: &Resource,
        peers: &PeerNames,
        repair: bool,
        prepared: Option<Mono>,
    ) -> Care {
        let mut care = Care::default();
        let all = self.peers.values().all(|link| link.standalone.is_none_or(StandAlone::may_be_connected));
        for (id, link) in &mut self.peers {
            let Some(standalone) = &mut link.standalone else { continue };
            let due = standalone.since.max(prepared.unwrap_or_default()).after(PATIENCE);
            if due > now {
                care.wait_for(due);
                continue;
            }
            let fact = sentence(&peers.of(resource, *id), standalone.cause);
            if !standalone.reported {
                standalone.reported = true;
                care.news.push(format!("{}: {fact}", resource.name));
            }
            if !repair || standalone.cause != Cause::Handshake {
                continue;
            }
            match (link.next_repair, &mut care.repair) {
                (Some(at), _) if at > now => care.wait_for(at),
                (_, Some((Repair::All, facts))) => facts.push(fact),
                // One after the other.
                (_, Some((Repair::One(_), _))) => {}
                (_, repair @ None) => *repair = Some((if all { Repair::All } else { Repair::One(*id) }, vec![fact])),
            }
        }
        care
    }

    /// Whether a repair runs.
    pub(super) fn is_adjusting(&self) -> bool {
        self.repair.is_some()
    }

    /// A connection that is StandAlone, and that no adjust may make anew: a person disconnected it, or has to decide whose data is thrown away.
    pub(super) fn must_stay(&self, resource: &Resource) -> Option<PeerNodeId> {
        let stays = |peer: &PeerNodeId| {
            self.peers.get(peer).and_then(|link| link.standalone).is_some_and(StandAlone::must_stay)
        };
        let mut lost =
            resource.connections.iter().filter(|(_, peer)| peer.state.connection == ConnectionState::StandAlone);
        lost.find(|(peer, _)| stays(peer)).map(|(peer, _)| *peer)
    }

    /// An action of DRBD's tools has ended. Which repair it was, if it was one.
    pub(super) fn ended(&mut self, id: ActionId) -> Option<Repair> {
        self.repair.take_if(|(repair, _)| *repair == id).map(|(_, repair)| repair)
    }

    /// For a machine that is built anew: why a connection is StandAlone is found out again, but for those that must stay so. Of a split brain DRBD speaks
    /// only once. A repair that runs is waited for.
    pub(super) fn after_a_panic(&self, is_sent: impl Fn(ActionId) -> bool) -> Self {
        let must_stay = |link: &Link| link.diverged || link.standalone.is_some_and(StandAlone::must_stay);
        let stay = self.peers.iter().filter(|(_, link)| must_stay(link));
        let peers = stay.map(|(peer, link)| (*peer, link.clone())).collect();
        Self { repair: self.repair.filter(|(id, _)| is_sent(*id)), peers }
    }

    /// A repair was asked for.
    pub(super) fn asked(&mut self, now: Mono, id: ActionId, repair: Repair) {
        self.repair = Some((id, repair));
        for (peer, link) in &mut self.peers {
            let is_meant = repair == Repair::All || repair == Repair::One(*peer);
            if is_meant && link.standalone.is_some_and(|standalone| standalone.cause == Cause::Handshake) {
                link.repairs += 1;
                link.next_repair = Some(now.after(back_off(REPAIR_BASE, link.repairs, REPAIR_MAX)));
            }
        }
    }

    /// Links that are StandAlone, one sentence each.
    pub(super) fn warnings(&self, resource: &Resource, peers: &PeerNames) -> Vec<String> {
        let said = self.peers.iter().filter_map(|(id, link)| {
            let standalone = link.standalone.filter(|standalone| standalone.reported)?;
            Some(sentence(&peers.of(resource, *id), standalone.cause))
        });
        said.collect()
    }
}

impl Machine {
    pub(super) fn care_for_links(&mut self, cx: &mut Context<'_>) {
        let live = Self::is_live(cx.node);
        let resource: Option<&Resource> = cx.node.resource(self.name.as_str()).filter(|_| live);
        let Some(resource) = resource else { return };
        if self.settings.repair_links == RepairLinks::Off || self.held.is_hands_off() {
            return;
        }
        let free = !self.links.is_adjusting() && self.files.are_written() && self.prepare.is_idle();
        let repair = self.settings.repair_links == RepairLinks::Adjust && free;
        if let Some(at) = self.prepare.quiet_until().filter(|at| *at > cx.now) {
            return self.timers.set(Timer::AdjustLate, at);
        }
        let care = self.links.care(cx.now, resource, self.options.peers(), repair, self.prepare.tried());
        for news in care.news {
            self.note(cx, NoteLevel::Warn, news);
        }
        self.timers.set(Timer::Link, care.again);
        if let Some((repair, facts)) = care.repair {
            self.tries.counts.repairs += 1;
            let because: Vec<Reason> = facts.into_iter().map(Reason).collect();
            // Never a disk: who attaches one under the writer of a diskless Primary stops it for good (DRBD 9.3.3), and this node may be one by then.
            let (call, what) = match repair {
                Repair::All => {
                    let call = DrbdCall::AdjustLinks;
                    (call, format!("drbdadm {} {}", call.as_str(), self.name))
                }
                Repair::One(PeerNodeId(peer)) => {
                    (DrbdCall::Connect { peer }, format!("drbdsetup connect {} {peer}", self.name))
                }
            };
            let id = cx.call(because.clone(), Call::Drbd(AskTools { resource: self.name.clone(), call }));
            self.links.asked(cx.now, id, repair);
            self.history.decided(cx.now, Some(id), what, because);
        }
    }
}

impl StandAlone {
    /// A person has disconnected it, or has to decide about it.
    fn must_stay(self) -> bool {
        matches!(self.cause, Cause::Diverged | Cause::ByHand)
    }

    /// Nobody has disconnected it on purpose, as far as can be told.
    fn may_be_connected(self) -> bool {
        self.cause == Cause::Handshake
    }
}

impl Care {
    fn wait_for(&mut self, at: Mono) {
        self.again = Some(self.again.map_or(at, |again| again.min(at)));
    }
}

impl Link {
    fn connected(&mut self, now: Mono) {
        if !std::mem::replace(&mut self.is_connected, true) {
            self.connected_since = Some(now);
        }
        self.in_handshake = true;
    }

    /// It is not Connected (any more).
    fn lost(&mut self, now: Mono) {
        let was_connected = std::mem::take(&mut self.is_connected);
        // Only a link that held is one that was healed.
        if was_connected && self.connected_since.is_some_and(|since| now.since(since) >= HANDSHAKE) {
            self.repairs = 0;
            self.next_repair = None;
        }
    }

    fn connecting(&mut self, path_is_up: bool) {
        self.connected_since = None;
        // A path that goes down again just before the end belongs to the handshake.
        self.in_handshake = path_is_up;
    }

    fn standalone(&mut self, now: Mono, first_sight: bool) {
        if self.standalone.is_some() {
            return;
        }
        let was_stable = self.connected_since.is_some_and(|since| now.since(since) >= HANDSHAKE);
        let cause = match (self.diverged, first_sight, self.in_handshake && !was_stable) {
            (true, _, _) => Cause::Diverged,
            (false, true, _) => Cause::Unknown,
            (false, false, true) => Cause::Handshake,
            (false, false, false) => Cause::ByHand,
        };
        if cause != Cause::Handshake {
            self.repairs = 0;
            self.next_repair = None;
        }
        self.standalone = Some(StandAlone { since: now, cause, reported: false });
    }
}

fn sentence(peer: &str, cause: Cause) -> String {
    match cause {
        Cause::Handshake => format!("the connection to {peer} is StandAlone: it was lost in its handshake"),
        Cause::ByHand => format!("the connection to {peer} is StandAlone: probably disconnected by hand"),
        Cause::Unknown => format!("the connection to {peer} is StandAlone, and was so when we came"),
        Cause::Diverged => format!("the connection to {peer} is StandAlone: split brain, the data diverged"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ResourceName;
    use crate::model::objects::Connection;
    use crate::model::split_brain::{Evidence, Mark};

    fn resource_with(peer: PeerNodeId, state: ConnectionState) -> Resource {
        let mut resource = Resource::new(ResourceName::new("r0"));
        let mut connection = Connection::default();
        connection.state.connection = state;
        resource.connections.insert(peer, connection.into());
        resource
    }

    /// DRBD calls its handler before the connection goes down: a panic in between must not make it one that is repaired.
    #[test]
    fn a_panic_forgets_no_split_brain() {
        let (peer, now) = (PeerNodeId(1), Mono(1));
        let split = |state: ConnectionState| {
            let mut resource = resource_with(peer, state);
            resource.split.insert(peer, Mark { peer: None, evidence: Evidence::Handler, is_tried: false });
            resource
        };
        let be = |links: &mut Links, state: ConnectionState| {
            let resource = split(state);
            links.observe(now, &resource);
            links.must_stay(&resource)
        };
        let mut links = Links::default();
        assert_eq!(be(&mut links, ConnectionState::Connecting), None);
        let mut links = links.after_a_panic(|_| false);
        assert_eq!(be(&mut links, ConnectionState::Disconnecting), None);
        assert_eq!(be(&mut links, ConnectionState::StandAlone), Some(peer));
        let mut links = links.after_a_panic(|_| false);
        assert_eq!(links.must_stay(&split(ConnectionState::StandAlone)), Some(peer), "from the first moment");
        assert_eq!(be(&mut links, ConnectionState::StandAlone), Some(peer));
    }

    /// A repair removes the connection and makes it anew, in a moment: the pause between repairs outlives that, and not for ever.
    #[test]
    fn the_pause_of_a_connection_that_is_gone_is_forgotten_in_the_end() {
        let (peer, none) = (PeerNodeId(1), Resource::new(ResourceName::new("r0")));
        let mut links = Links::default();
        let at = |seconds| Mono::ZERO.after(Duration::from_secs(seconds));
        links.observe(at(1), &resource_with(peer, ConnectionState::Connected));
        links.observe(at(2), &resource_with(peer, ConnectionState::StandAlone));
        links.asked(at(10), ActionId(1), Repair::All);
        let known = |links: &Links| links.peers.get(&peer).map(|link| (link.repairs, link.next_repair));
        for (seconds, kept) in [(11, true), (314, true), (315, false)] {
            links.observe(at(seconds), &none);
            assert_eq!(known(&links), kept.then_some((1, Some(at(15)))), "{seconds}");
        }
    }
}
