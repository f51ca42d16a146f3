//! Any model gives valid text: every line parses, no series comes twice.

use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use reactor_core::drbd::types::{
    Blocked, ConnectionState, DiskState, ReplicationState, ResyncSuspended, Role, Suspended,
};
use reactor_core::ids::{ConnName, Minor, PathAddress, PeerNodeId, ResourceName, Volume};
use reactor_core::metrics::{Choice, Enums, Extent, Sheet};
use reactor_core::model::objects::{Connection, Device, Path, PathId, PathState, PeerDevice, Progress, Resource};

use crate::{format, refreshed, text};

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("no".to_owned()),
        Just("user".to_owned()),
        Just("UpToDate,Connected".to_owned()),
        Just("Diskless".to_owned()),
        "[a-z,\"\\\\\n{}= ]{0,8}",
        any::<String>(),
    ]
}

fn device() -> impl Strategy<Value = Device> {
    (word(), word(), option::of(any::<u32>()), option::of(any::<bool>()), option::of(any::<u64>())).prop_map(
        |(disk, blocked, minor, flag, number)| {
            let mut device = Device::default();
            device.state.disk = DiskState::from_word(&disk);
            device.state.minor = minor.map(Minor);
            (device.state.client, device.state.quorum) = (flag, flag);
            (device.state.size_kib, device.stats.read_kib, device.stats.al_writes) = (number, number, number);
            device.stats.blocked = Blocked::from_word(&blocked);
            device
        },
    )
}

fn peer_device() -> impl Strategy<Value = PeerDevice> {
    let progress = (option::of(any::<f64>()), option::of(any::<u64>()), option::of(any::<f64>()));
    (word(), word(), word(), option::of(progress), option::of(any::<u64>())).prop_map(
        |(replication, disk, suspended, progress, number)| {
            let mut peer = PeerDevice::default();
            peer.state.replication = ReplicationState::from_word(&replication);
            peer.state.peer_disk = DiskState::from_word(&disk);
            peer.state.resync_suspended = ResyncSuspended::from_word(&suspended);
            peer.stats.out_of_sync_kib = number;
            peer.progress = progress.map(|(done_percent, eta_s, speed_mib_s)| Progress {
                done_percent,
                eta_s,
                speed_mib_s,
                details: None,
            });
            peer
        },
    )
}

fn connection() -> impl Strategy<Value = Connection> {
    let paths = btree_map((word(), word()), option::of(any::<bool>()), 0..3);
    let peer_devices = btree_map(0..4u32, peer_device(), 0..3);
    (option::of(word()), word(), word(), option::of(any::<u64>()), paths, peer_devices).prop_map(
        |(name, state, role, number, paths, peer_devices)| {
            let mut connection = Connection::default();
            connection.state.conn_name = name.map(|name| ConnName::new(&name));
            connection.state.connection = ConnectionState::from_word(&state);
            connection.state.peer_role = Role::from_word(&role);
            connection.stats.ap_in_flight_sectors = number;
            connection.paths = paths
                .into_iter()
                .map(|((local, peer), established)| {
                    let id = PathId { local: PathAddress::new(&local), peer: PathAddress::new(&peer) };
                    (id, Path { state: PathState { established }, extra: None })
                })
                .collect();
            connection.peer_devices =
                peer_devices.into_iter().map(|(volume, peer)| (Volume(volume), Box::new(peer))).collect();
            connection
        },
    )
}

fn resource() -> impl Strategy<Value = Resource> {
    let parts = (btree_map(0..4u32, device(), 0..3), btree_map(0..4u32, connection(), 0..3));
    (word(), word(), word(), any::<bool>(), option::of(any::<i32>()), parts).prop_map(
        |(name, role, suspended, may_promote, score, (devices, connections))| {
            let mut resource = Resource::new(ResourceName::new(&name));
            resource.state.role = Role::from_word(&role);
            resource.state.suspended = Suspended::from_word(&suspended);
            resource.state.may_promote = may_promote;
            resource.state.promotion_score = score;
            resource.state.write_ordering = Some(Arc::from(role));
            resource.devices = devices.into_iter().map(|(volume, device)| (Volume(volume), Box::new(device))).collect();
            resource.connections = connections.into_iter().map(|(peer, c)| (PeerNodeId(peer), Box::new(c))).collect();
            resource
        },
    )
}

fn node() -> impl Strategy<Value = Vec<Resource>> {
    vec(resource(), 0..5).prop_map(|mut resources| {
        resources.sort_by(|a, b| a.name.cmp(&b.name));
        resources.dedup_by(|a, b| a.name == b.name);
        resources
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_line_parses_and_no_series_comes_twice(node in node()) {
        for enums in [Enums::Off, Enums::On] {
            format::read(&text(node.iter(), enums));
        }
    }

    #[test]
    fn the_sheet_never_shows_anything_old(nodes in vec(node(), 1..6)) {
        let mut sheet = Sheet::new(Choice { enums: Enums::Off, extent: Extent::All });
        let mut generation = 0;
        for mut node in nodes {
            for resource in &mut node {
                generation += 1;
                resource.generation = generation;
                resource.shape = generation;
            }
            let resources: Vec<_> = node.iter().collect();
            prop_assert_eq!(refreshed(&mut sheet, &resources), text(node.iter(), Enums::Off));
            // Nothing changed: the very same text, nothing written.
            prop_assert_eq!(refreshed(&mut sheet, &resources), text(node.iter(), Enums::Off));
        }
    }
}
