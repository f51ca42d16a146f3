//! Giving a resource to a better node: one that stands earlier in `preferred-nodes`, has all data, and is not about to lose it again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::action::Reason;
use crate::drbd::types::ConnectionState;
use crate::ids::{Mono, PeerNodeId};
use crate::model::objects::Resource;
use crate::names;
use crate::operator::WallClock;
use crate::settings::promoter::{PreferredNodesPolicy, PromotedResource};

use super::delay::seconds;
use super::repeat::back_off;
use super::view::{self, PeerNames};

/// How long a peer must have been ready without a break.
const SETTLE: Duration = Duration::from_secs(1);
/// The same for a peer whose connection was lost twice within [`FLAP_WINDOW`]; doubles with each further loss.
const FLAP_BASE: Duration = Duration::from_secs(10);
/// The same at most.
const FLAP_MAX: Duration = Duration::from_secs(600);
/// Losses of a connection count for this long.
const FLAP_WINDOW: Duration = Duration::from_secs(600);
/// Losses remembered per connection.
const MAX_DROPS: usize = 16;
/// A node that gave the resource back within this time could not keep it.
const RETURNED: Duration = Duration::from_secs(600);
/// First wait after a node could not keep it; doubles.
const AGAIN_BASE: Duration = Duration::from_secs(60);
/// The same at most.
const AGAIN_MAX: Duration = Duration::from_secs(3600);

/// Whether a better node can have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// Now.
    Now {
        /// Its name.
        node: String,
        /// Why.
        because: Vec<Reason>,
    },
    /// Not yet.
    Later {
        /// When to look again; `None` = when there is news.
        at: Option<Mono>,
        /// Why not.
        why: String,
    },
}

/// What is remembered of the peers.
#[derive(Clone, Debug, Default)]
pub(super) struct Failback {
    peers: BTreeMap<PeerNodeId, Peer>,
    /// Nodes that were given the resource: how often in a row they could not keep it, and when it was given last.
    given: BTreeMap<String, (u32, Mono)>,
}

#[derive(Clone, Debug, Default)]
struct Peer {
    connected: bool,
    ready_since: Option<Mono>,
    drops: VecDeque<Mono>,
}

impl Failback {
    /// Looks at the connections, at the end of a burst.
    pub(super) fn observe(&mut self, now: Mono, resource: &Resource) {
        self.peers.retain(|peer, _| resource.connections.contains_key(peer));
        for (id, connection) in &resource.connections {
            let peer = self.peers.entry(*id).or_default();
            let connected = connection.state.connection == ConnectionState::Connected;
            if peer.connected && !connected {
                if peer.drops.len() == MAX_DROPS {
                    peer.drops.pop_front();
                }
                peer.drops.push_back(now);
            }
            peer.connected = connected;
            match (view::is_settled(resource, connection), peer.ready_since) {
                (true, None) => peer.ready_since = Some(now),
                (false, _) => peer.ready_since = None,
                (true, Some(_)) => {}
            }
        }
    }

    /// The resource was given away.
    pub(super) fn gave(&mut self, now: Mono, node: &str) {
        let times = self.given.get(node).map_or(0, |(times, _)| *times);
        self.given.insert(node.to_owned(), (times, now));
    }

    /// To whom it was given at this moment.
    pub(super) fn given_at(&self, now: Mono) -> Option<&str> {
        self.given.iter().find(|(_, (_, at))| *at == now).map(|(node, _)| node.as_str())
    }

    /// Its services run here (again).
    pub(super) fn came_back(&mut self, now: Mono) {
        for (times, at) in self.given.values_mut() {
            if now.since(*at) <= RETURNED {
                *times = times.saturating_add(1);
            } else {
                *times = 0;
            }
        }
    }

    /// Whether a better node can have it. Only for a node on which its services run.
    pub(super) fn ready(
        &self,
        now: Mono,
        resource: &Resource,
        settings: &PromotedResource,
        peers: &PeerNames,
        own_name: &str,
        wall: Option<WallClock>,
    ) -> Option<Ready> {
        if settings.preferred_nodes_policy != PreferredNodesPolicy::Always || !view::is_primary(resource) {
            return None;
        }
        let own = names::index(&settings.preferred_nodes, own_name);
        let (place, id) = resource
            .connections
            .iter()
            .filter(|(_, connection)| view::is_settled(resource, connection))
            .map(|(id, _)| (names::index(&settings.preferred_nodes, &peers.of(resource, *id)), *id))
            .filter(|(place, _)| *place < own)
            .min()?;
        let node = peers.of(resource, id);
        let mut because = vec![
            Reason(format!("{node} is number {} of preferred-nodes", place + 1)),
            Reason(format!("{node} has good data for all volumes")),
        ];
        let peer = self.peers.get(&id)?;
        let drops = peer.drops.iter().filter(|at| now.since(**at) <= FLAP_WINDOW).count();
        let settle = match u32::try_from(drops).unwrap_or(u32::MAX) {
            0 | 1 => SETTLE,
            more => back_off(FLAP_BASE, more - 1, FLAP_MAX),
        };
        let due = peer.ready_since?.after(settle);
        if due > now {
            let flaps =
                if drops > 1 { format!(", its connection was lost {drops} times lately") } else { String::new() };
            let why = format!("{node} is preferred, and must be ready for {} first{flaps}", seconds(settle));
            return Some(Ready::Later { at: Some(due), why });
        }
        if let Some((times @ 1.., at)) = self.given.get(&node) {
            let due = at.after(back_off(AGAIN_BASE, *times, AGAIN_MAX));
            if due > now {
                let why = format!("{node} is preferred, but could not keep it {times} times");
                return Some(Ready::Later { at: Some(due), why });
            }
        }
        match in_window(settings, wall) {
            Ok(None) => {}
            Ok(Some(why)) => because.push(Reason(why)),
            Err((wait, why)) => {
                let why = format!("{node} is preferred, but {why}");
                return Some(Ready::Later { at: wait.map(|wait| now.after(wait)), why });
            }
        }
        Some(Ready::Now { node, because })
    }
}

/// Whether the time of day is one in which a node may take back; the reason, or how long to wait and why.
fn in_window(
    settings: &PromotedResource,
    wall: Option<WallClock>,
) -> Result<Option<String>, (Option<Duration>, String)> {
    let windows = &settings.failback_window;
    if windows.is_empty() {
        return Ok(None);
    }
    let list = windows.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let Some(wall) = wall else { return Err((None, "the time of day is not known".to_owned())) };
    let local = i64::try_from(wall.unix_ms / 1000).unwrap_or(0) + i64::from(wall.utc_offset_s);
    let second = local.rem_euclid(86_400);
    let minute = u16::try_from(second / 60).unwrap_or(0);
    if windows.iter().any(|window| window.contains(minute)) {
        return Ok(Some(format!("within failback-window {list}")));
    }
    // The next window begins within a day.
    let begins = windows.iter().map(|window| (i64::from(window.from_min) * 60 - second).rem_euclid(86_400)).min();
    let wait = begins.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
    Err((wait, format!("it is outside of failback-window {list}")))
}
