//! I/O that hangs on a Primary: nothing fails, so nobody is told; services wait in the kernel, and everything else says "running".
//!
//! DRBD prints that I/O is blocked only when it prints the device for another reason, or when it is polled, and what it prints is true for that
//! moment: `blocked:upper` comes and goes with every change of state. So it counts only when nothing has said otherwise for longer than a
//! poll takes to come round. What stands in the state itself (suspended, a disk or a resync between two states) needs no poll.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::drbd::types::{DiskState, ReplicationState, Suspended};
use crate::ids::{Mono, PeerNodeId, Volume};
use crate::model::objects::Resource;

use super::view::{self, PeerNames};

/// What lasts less long is on its way.
const PATIENCE: Duration = Duration::from_secs(10);

/// Since when there are signs of it, each without a break.
#[derive(Clone, Debug, Default)]
pub(super) struct Hang {
    since: BTreeMap<Sign, Mono>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Sign {
    /// I/O of the resource is suspended.
    Suspended,
    /// The disk of a volume is between two states.
    Disk(Volume),
    /// A volume and a peer are about to compare their bitmaps, or do.
    Replication(Volume, PeerNodeId),
    /// I/O on a volume is blocked.
    Blocked(Volume),
}

impl Hang {
    /// Looks at the resource. `flickered` = in this burst I/O became blocked, or went on. `freezes` = without quorum its I/O is suspended on
    /// purpose.
    pub(super) fn observe(&mut self, now: Mono, resource: &Resource, flickered: bool, freezes: bool) {
        let signs = if view::is_primary(resource) { signs(resource, freezes) } else { Vec::new() };
        self.since.retain(|sign, _| signs.contains(sign) && !(flickered && matches!(sign, Sign::Blocked(_))));
        for sign in signs {
            self.since.entry(sign).or_insert(now);
        }
    }

    /// When the next of them has lasted too long.
    pub(super) fn due(&self, now: Mono, polled: Option<Duration>) -> Option<Mono> {
        let due = self.since.iter().filter_map(|(sign, since)| Some(since.after(sign.patience(polled)?)));
        due.filter(|at| *at > now).min()
    }

    /// Since when it hangs, and by what one sees it; `None` = it does not, as far as is known.
    pub(super) fn seen(
        &self,
        now: Mono,
        resource: &Resource,
        peers: &PeerNames,
        polled: Option<Duration>,
    ) -> Option<(Mono, String)> {
        let lasts =
            |sign: &Sign, since: Mono| sign.patience(polled).is_some_and(|patience| since.after(patience) <= now);
        let (_, since) =
            self.since.iter().filter(|(sign, since)| lasts(sign, **since)).min_by_key(|(_, since)| **since)?;
        // One of them is certain: then the others of the same age belong to it.
        let old = self.since.iter().filter(|(_, since)| since.after(PATIENCE) <= now);
        let texts: Vec<String> = old.map(|(sign, _)| sign.text(resource, peers)).collect();
        Some((*since, texts.join(", ")))
    }
}

/// All signs of a hang that stand now.
fn signs(resource: &Resource, freezes: bool) -> Vec<Sign> {
    let mut out = Vec::new();
    let suspended = &resource.state.suspended;
    let on_purpose = freezes && *suspended == Suspended::QUORUM;
    if !(suspended.is_empty() || on_purpose) {
        out.push(Sign::Suspended);
    }
    for (volume, device) in &resource.devices {
        if matches!(
            device.state.disk,
            DiskState::Attaching | DiskState::Detaching | DiskState::Failed | DiskState::Negotiating
        ) {
            out.push(Sign::Disk(*volume));
        }
        if !device.stats.blocked.is_empty() {
            out.push(Sign::Blocked(*volume));
        }
    }
    for (peer, connection) in &resource.connections {
        for (volume, device) in &connection.peer_devices {
            if is_between(&device.state.replication) {
                out.push(Sign::Replication(*volume, *peer));
            }
        }
    }
    out
}

/// Whether a resync is being prepared: application I/O waits for that.
fn is_between(replication: &ReplicationState) -> bool {
    matches!(
        replication,
        ReplicationState::StartingSyncS
            | ReplicationState::StartingSyncT
            | ReplicationState::WFBitMapS
            | ReplicationState::WFBitMapT
            | ReplicationState::WFSyncUUID
    )
}

impl Sign {
    /// How long it may last; `None` = it proves nothing.
    fn patience(self, polled: Option<Duration>) -> Option<Duration> {
        match self {
            Self::Suspended | Self::Disk(_) | Self::Replication(..) => Some(PATIENCE),
            Self::Blocked(_) => polled.map(|interval| interval + PATIENCE),
        }
    }

    fn text(self, resource: &Resource, peers: &PeerNames) -> String {
        let device = |volume: &Volume| resource.devices.get(volume);
        match self {
            Self::Suspended => format!("suspended:{}", resource.state.suspended),
            Self::Disk(volume) => {
                let disk = device(&volume).map_or_else(String::new, |device| device.state.disk.to_string());
                format!("volume {volume} is {disk}")
            }
            Self::Blocked(volume) => {
                let blocked = device(&volume).map_or_else(String::new, |device| device.stats.blocked.to_string());
                format!("volume {volume} is blocked:{blocked}")
            }
            Self::Replication(volume, peer) => {
                let state = resource.connections.get(&peer).and_then(|peer| peer.peer_devices.get(&volume));
                let state = state.map_or_else(String::new, |device| device.state.replication.to_string());
                format!("volume {volume} is {state} towards {}", peers.of(resource, peer))
            }
        }
    }
}
