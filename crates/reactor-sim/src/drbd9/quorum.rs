//! Quorum, and what follows when it changes: suspended I/O, helpers, writes that end.

use reactor_core::drbd::types::DiskState;

use super::Cluster;
use super::queue::{Event, Step};
use super::spec::{NodeIx, OnLoss, Placement, Range, ResIx};

impl Cluster {
    /// Whether a node has quorum for a volume: more than half of the disks are here or connected; or exactly half, it had
    /// quorum, and a majority of the tie-breakers is with it; or it had quorum and all that are missing said good-bye.
    pub(super) fn has_quorum(&self, node: NodeIx, res: ResIx, volume: usize) -> bool {
        if !self.options(res).quorum {
            return true;
        }
        let Some(resource) = self.res(node, res) else { return false };
        let placement = &self.spec.resources[res].placement;
        let (mut voters, mut present, mut unknown, mut ties, mut ties_here) = (0, 0, 0, 0, 0);
        for (peer, place) in placement.iter().enumerate() {
            let connection = resource.connections.get(&peer);
            let connected = peer == node || connection.is_some_and(super::node::Connection::connected);
            match place {
                Placement::Absent => {}
                Placement::Diskless => {
                    ties += 1;
                    ties_here += u32::from(connected);
                }
                Placement::Diskful => {
                    voters += 1;
                    let disk = match connection {
                        Some(connection) => &connection.peer_devices[volume].disk,
                        None => &resource.devices[volume].disk,
                    };
                    // A node whose disk has failed cannot vouch for data. Whether DRBD counts it was never recorded; the
                    // model is on the safe side.
                    if connected && !matches!(disk, DiskState::Diskless | DiskState::Failed) {
                        present += 1;
                    } else if connected || *disk != DiskState::Outdated {
                        unknown += 1;
                    }
                }
            }
        }
        let had = resource.devices[volume].quorum;
        if present * 2 > voters {
            return true;
        }
        if !had {
            return false;
        }
        (present * 2 == voters && ties_here * 2 > ties) || (unknown == 0 && present > 0)
    }

    /// To be called after every change of a resource on a node: quorum is counted anew, the burst is printed, and what
    /// follows is started.
    pub(super) fn changed(&mut self, node: NodeIx, res: ResIx) {
        let Some(resource) = self.res(node, res) else { return };
        let quorum: Vec<bool> = (0..resource.devices.len())
            .map(|volume| resource.devices[volume].created && self.has_quorum(node, res, volume))
            .collect();
        let hidden = self.hidden_primary(node, res);
        let suspends = self.options(res).on_no_quorum == OnLoss::SuspendIo;
        let Some(resource) = self.res_mut(node, res) else { return };
        resource.hidden_primary = hidden;
        let mut lost = Vec::new();
        for (volume, now) in quorum.iter().enumerate() {
            let device = &mut resource.devices[volume];
            if device.quorum && !now {
                lost.push(volume);
            }
            device.quorum = *now;
        }
        let mut resumed = false;
        let primary = resource.primary();
        if primary && suspends && !lost.is_empty() {
            resource.suspended_quorum = true;
        }
        if resource.suspended_quorum && quorum.iter().all(|now| *now) {
            resource.suspended_quorum = false;
            resumed = true;
        }
        self.emit(node, res);
        if primary && !lost.is_empty() {
            let steps = lost
                .into_iter()
                .flat_map(|volume| {
                    [
                        Step::Call(None, Some(volume), "quorum-lost"),
                        Step::Response(None, Some(volume), "quorum-lost", 0),
                    ]
                })
                .collect();
            self.start_job(node, res, None, steps);
        }
        if self.wants_resync(node, res) {
            // Whatever brought it about, it does not stay like that.
            let boot = self.nodes[node].boot;
            self.after(Range::ms(200, 500), Event::LookAgain { node, boot, res, forced: false });
        }
        if resumed {
            self.resume_writes(node, res);
        }
        self.retry_writes(res);
    }
}
