//! What happens to a resource without being good or bad: roles, and data that are made equal.

use std::collections::BTreeMap;

use crate::drbd::types::{ReplicationState, Role};
use crate::ids::{PeerNodeId, Volume};
use crate::model::objects::Resource;

use super::levels::peer_name;

/// What was so when it was looked at last. What is seen first is no news.
#[derive(Debug, Default)]
pub(super) struct Memory {
    role: Option<Role>,
    /// The last role of each peer that was known.
    peers: BTreeMap<PeerNodeId, Role>,
    /// Resyncs that run.
    resyncs: BTreeMap<(PeerNodeId, Volume), Direction>,
    is_seen: bool,
}

/// Which way data go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Direction {
    To,
    From,
}

/// Something that happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Happened {
    pub(super) word: &'static str,
    /// The volume, if it is about one.
    pub(super) volume: Option<u32>,
    /// What, without the name of the resource.
    pub(super) text: String,
    /// What it is about, which may change back and again.
    pub(super) thing: String,
}

impl Happened {
    fn new(word: &'static str, thing: impl Into<String>, text: String) -> Self {
        Self { word, volume: None, text, thing: thing.into() }
    }
}

impl Memory {
    /// Looks at it, and says what happened since the last look.
    pub(super) fn see(&mut self, resource: &Resource) -> Vec<Happened> {
        let mut happened = self.role(&resource.state.role);
        self.peer_roles(resource, &mut happened);
        self.resyncs(resource, &mut happened);
        if !std::mem::replace(&mut self.is_seen, true) {
            happened.clear();
        }
        happened
    }

    fn role(&mut self, role: &Role) -> Vec<Happened> {
        let was = self.role.replace(role.clone());
        match (was, role) {
            (Some(Role::Secondary | Role::Unknown), Role::Primary) => {
                let text = "this node is Primary (Secondary -> Primary)".to_owned();
                vec![Happened::new("promoted", "role", text)]
            }
            (Some(Role::Primary), Role::Secondary | Role::Unknown) => {
                let text = format!("this node is Primary no longer (Primary -> {role})");
                vec![Happened::new("demoted", "role", text)]
            }
            _ => Vec::new(),
        }
    }

    /// A peer of which nothing is heard has the role that it had last.
    fn peer_roles(&mut self, resource: &Resource, happened: &mut Vec<Happened>) {
        self.peers.retain(|peer, _| resource.connections.contains_key(peer));
        for (peer, connection) in &resource.connections {
            let role = &connection.state.peer_role;
            if !matches!(role, Role::Primary | Role::Secondary) {
                continue;
            }
            let Some(was) = self.peers.insert(*peer, role.clone()).filter(|was| was != role) else { continue };
            let word = if *role == Role::Primary { "peer-promoted" } else { "peer-demoted" };
            let text = format!("{} is {role} ({was} -> {role})", peer_name(resource, *peer));
            happened.push(Happened::new(word, format!("role of peer {peer}"), text));
        }
    }

    fn resyncs(&mut self, resource: &Resource, happened: &mut Vec<Happened>) {
        let before = std::mem::take(&mut self.resyncs);
        let mut began: BTreeMap<(PeerNodeId, Direction), Vec<Volume>> = BTreeMap::new();
        let mut ended: BTreeMap<(PeerNodeId, Direction), Vec<Volume>> = BTreeMap::new();
        for (peer, connection) in &resource.connections {
            for (volume, device) in &connection.peer_devices {
                let key = (*peer, *volume);
                let was = before.get(&key).copied();
                match direction(&device.state.replication) {
                    Some(now) => {
                        if was != Some(now) {
                            began.entry((*peer, now)).or_default().push(*volume);
                        }
                        self.resyncs.insert(key, now);
                    }
                    None if device.state.replication == ReplicationState::Established => {
                        if let Some(was) = was {
                            ended.entry((*peer, was)).or_default().push(*volume);
                        }
                    }
                    // It was interrupted: what interrupted it is told.
                    None => {}
                }
            }
        }
        for (word, verb, all) in [("resync-began", "began", began), ("resync-ended", "is done", ended)] {
            happened.extend(all.into_iter().map(|((peer, direction), volumes)| {
                let (volume, of) = volumes_in_words(&volumes);
                let text = format!("resync {}{of} {verb}", words(direction, &peer_name(resource, peer)));
                Happened { volume, ..Happened::new(word, format!("resync with peer {peer}"), text) }
            }));
        }
    }
}

fn direction(replication: &ReplicationState) -> Option<Direction> {
    match replication {
        ReplicationState::SyncTarget | ReplicationState::PausedSyncT => Some(Direction::From),
        ReplicationState::SyncSource | ReplicationState::PausedSyncS => Some(Direction::To),
        _ => None,
    }
}

fn words(direction: Direction, peer: &str) -> String {
    match direction {
        Direction::To => format!("to {peer}"),
        Direction::From => format!("from {peer}"),
    }
}

/// The one volume, or the list of them in words.
fn volumes_in_words(volumes: &[Volume]) -> (Option<u32>, String) {
    const NAMED: usize = 8;
    if let [only] = volumes {
        return (Some(only.0), String::new());
    }
    let mut names: Vec<String> = volumes.iter().take(NAMED).map(ToString::to_string).collect();
    if volumes.len() > NAMED {
        names.push(format!("and {} more", volumes.len() - NAMED));
    }
    (None, format!(" of volumes {}", names.join(", ")))
}
