//! What DRBD 9 makes of an event, as far as this node can tell beforehand: its levels after it has settled.
//!
//! The short states between are left out: survivors of a Primary are Consistent for some 0.1 to 0.8 s before they say `may_promote:yes`, which is
//! the moment from which a forecast counts. What a peer would answer is not known here, so that only what follows from its being there is used.

use crate::action::DrbdOptions;
use crate::drbd::types::{ConnectionState, DiskState, ReplicationState, Role, Suspended};
use crate::ids::{PeerNodeId, Volume};
use crate::model::objects::{Connection, Device, Resource};
use crate::model::promote::promotable;

use super::super::policy::Policy;
use super::super::view;

/// What is known besides the levels.
pub(super) struct Drbd {
    /// As they were read last.
    pub(super) options: Option<DrbdOptions>,
    pub(super) policy: Policy,
    /// A node that is not seen from here is Primary, and another one tells DRBD so.
    pub(super) hidden_primary: bool,
}

fn is_connected(connection: &Connection) -> bool {
    connection.state.connection == ConnectionState::Connected
}

impl Drbd {
    /// The connections to these peers end; the peers are dead, or go on without this node. Gives whether a Primary is among those that go on, and
    /// is seen by a node that this one still sees.
    pub(super) fn loses(&self, resource: &mut Resource, lost: &[PeerNodeId], are_dead: bool) -> bool {
        let mut was_primary = false;
        let fenced = view::is_primary(resource) && self.policy == Policy::Fencing;
        for peer in lost {
            let Some(connection) = resource.connections.get_mut(peer) else { continue };
            was_primary |= connection.state.peer_role == Role::Primary;
            if is_connected(connection) {
                connection.state.connection = ConnectionState::Connecting;
            }
            connection.state.peer_role = Role::Unknown;
            for device in connection.peer_devices.values_mut() {
                device.state.replication = ReplicationState::Off;
                if fenced {
                    // The fence-peer handler works.
                    device.state.peer_disk = DiskState::Outdated;
                } else if !matches!(device.state.peer_disk, DiskState::Inconsistent | DiskState::Outdated) {
                    device.state.peer_disk = DiskState::DUnknown;
                }
                device.progress = None;
            }
        }
        let hidden = was_primary && !are_dead && resource.connections.values().any(|one| is_connected(one));
        if hidden {
            // The Primary goes on writing, and not to this disk.
            for device in resource.devices.values_mut().filter(|device| device.state.disk == DiskState::UpToDate) {
                device.state.disk = DiskState::Outdated;
            }
        }
        Self { hidden_primary: self.hidden_primary || hidden, options: self.options.clone(), policy: self.policy }
            .recount(resource);
        self.hidden_primary || hidden
    }

    /// Whatever the count of nodes says: quorum is gone, if there is such a thing here.
    pub(super) fn has_no_quorum(&self, resource: &mut Resource) {
        if self.policy == Policy::Quorum {
            self.set_quorum(resource, |_, _, _| false);
        }
    }

    /// All disks of this node fail.
    pub(super) fn loses_disks(&self, resource: &mut Resource) {
        for device in resource.devices.values_mut().filter(|device| device.state.client != Some(true)) {
            device.state.disk = DiskState::Diskless;
        }
        // What was synced from here, or to here, is not any more.
        for peer in resource
            .connections
            .values_mut()
            .filter(|one| is_connected(one))
            .flat_map(|one| one.peer_devices.values_mut())
        {
            peer.state.replication = ReplicationState::Established;
            peer.progress = None;
        }
        self.recount(resource);
    }

    /// This node becomes Primary.
    pub(super) fn promotes(&self, resource: &mut Resource) {
        resource.state.role = Role::Primary;
        for device in resource.devices.values_mut() {
            device.state.open = device.state.open.map(|_| true);
        }
        self.recount(resource);
    }

    /// It becomes Secondary, and nothing has it open any more.
    pub(super) fn demotes(&self, resource: &mut Resource) {
        resource.state.role = Role::Secondary;
        resource.state.force_io_failures = resource.state.force_io_failures.map(|_| false);
        for device in resource.devices.values_mut() {
            device.state.open = device.state.open.map(|_| false);
        }
        self.recount(resource);
    }

    /// `drbdsetup secondary --force`: Secondary at once, and all I/O fails until what is open is closed.
    pub(super) fn demotes_by_force(&self, resource: &mut Resource) {
        let is_open = view::is_primary(resource);
        self.demotes(resource);
        if is_open {
            resource.state.force_io_failures = Some(true);
            resource.state.may_promote = false;
        }
    }

    /// Quorum is counted anew, and what follows from it.
    pub(super) fn recount(&self, resource: &mut Resource) {
        self.set_quorum(resource, |resource, volume, device| self.has_quorum(resource, volume, device));
    }

    fn set_quorum(&self, resource: &mut Resource, has: impl Fn(&Resource, Volume, &Device) -> bool) {
        let counted: Vec<(Volume, bool)> = resource
            .devices
            .iter()
            // A dialect without quorum says nothing of it.
            .filter(|(_, device)| device.state.quorum.is_some())
            .map(|(volume, device)| (*volume, has(resource, *volume, device)))
            .collect();
        for (volume, quorum) in counted {
            if let Some(device) = resource.devices.get_mut(&volume) {
                device.state.quorum = Some(quorum);
            }
        }
        let option = |of: fn(&DrbdOptions) -> &Option<String>| {
            self.options.as_ref().and_then(|options| of(options).as_deref()) == Some("suspend-io")
        };
        let primary = view::is_primary(resource);
        let no_quorum =
            primary && option(|options| &options.on_no_quorum) && !view::without_quorum(resource).is_empty();
        let no_data =
            primary && option(|options| &options.on_no_data_accessible) && !view::without_data(resource).is_empty();
        suspend(&mut resource.state.suspended, "quorum", no_quorum);
        suspend(&mut resource.state.suspended, "no-data", no_data);
        resource.state.may_promote = !self.hidden_primary && promotable(resource);
    }

    /// Whether this node has quorum: by majority, more than half of the disks are here or connected; or exactly half, it had quorum, and a
    /// majority of the tie-breakers is with it; or it had quorum and all that are missing said good-bye.
    fn has_quorum(&self, resource: &Resource, volume: Volume, device: &Device) -> bool {
        let quorum = self.options.as_ref().and_then(|options| options.quorum.as_deref());
        if quorum == Some("off") || self.policy != Policy::Quorum {
            return true;
        }
        let (mut voters, mut present, mut unknown, mut ties, mut ties_here) = (0_u32, 0_u32, 0_u32, 0_u32, 0_u32);
        let mut count = |is_client: bool, is_here: bool, disk: &DiskState| {
            if is_client {
                ties += 1;
                ties_here += u32::from(is_here);
                return;
            }
            voters += 1;
            if is_here && !matches!(disk, DiskState::Diskless | DiskState::Failed) {
                present += 1;
            } else if is_here || *disk != DiskState::Outdated {
                unknown += 1;
            }
        };
        count(device.state.client == Some(true), true, &device.state.disk);
        for connection in resource.connections.values() {
            if let Some(peer) = connection.peer_devices.get(&volume) {
                count(peer.state.peer_client == Some(true), is_connected(connection), &peer.state.peer_disk);
            }
        }
        match quorum {
            Some("all") => return present == voters,
            Some(number) => {
                if let Ok(number) = number.parse::<u32>() {
                    return present >= number;
                }
            }
            None => {}
        }
        if present * 2 > voters {
            return true;
        }
        device.state.quorum == Some(true)
            && ((present * 2 == voters && ties_here * 2 > ties) || (unknown == 0 && present > 0))
    }
}

/// Puts a word into the set, or takes it out.
fn suspend(suspended: &mut Suspended, word: &str, is_in: bool) {
    let others = Suspended::KNOWN.iter().filter(|other| **other != word);
    let mut words: Vec<&str> =
        others.filter(|other| suspended.contains(&Suspended::from_word(other))).copied().collect();
    let unknown = suspended.unknown().map(str::to_owned);
    words.extend(is_in.then_some(word));
    words.extend(unknown.as_deref());
    *suspended = if words.is_empty() { Suspended::default() } else { Suspended::from_word(&words.join(",")) };
}
