//! Any model: every walk is in order, ends, and finds what can be asked for; and that from any identifier.

use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use reactor_core::drbd::types::{DiskState, ReplicationState};
use reactor_core::ids::{Minor, PeerNodeId, ResourceName, Volume};
use reactor_core::model::objects::{Connection, Device, PeerDevice, Resource};
use reactor_core::snmp::{Found, Oid, PeerStates, Tree};

use crate::{refresh, walk};

fn device() -> impl Strategy<Value = Device> {
    (option::of(0..6u32), option::of(any::<bool>()), option::of(any::<u64>()), any::<String>()).prop_map(
        |(minor, flag, number, word)| {
            let mut device = Device::default();
            device.state.minor = minor.map(Minor);
            (device.state.client, device.state.quorum, device.state.open) = (flag, flag, flag);
            (device.state.size_kib, device.stats.written_kib, device.stats.upper_pending) = (number, number, number);
            device.state.disk = DiskState::from_word(&word);
            device.state.backing_dev = flag.map(|_| Arc::from(word.repeat(40)));
            device
        },
    )
}

fn connection() -> impl Strategy<Value = Connection> {
    let peers = btree_map(0..3u32, (any::<String>(), option::of(any::<u64>())), 0..3);
    peers.prop_map(|peers| {
        let mut connection = Connection::default();
        let peer = |(volume, (word, number)): (u32, (String, Option<u64>))| {
            let mut peer = PeerDevice::default();
            peer.state.replication = ReplicationState::from_word(&word);
            peer.stats.out_of_sync_kib = number;
            (Volume(volume), Box::new(peer))
        };
        connection.peer_devices = peers.into_iter().map(peer).collect();
        connection
    })
}

fn resources() -> impl Strategy<Value = Vec<Resource>> {
    // Short names and those that are too long for an index, with any characters.
    let name = prop_oneof!["[a-c]{0,2}", "[a-z]{100,140}", any::<String>()];
    let parts = (btree_map(0..3u32, device(), 0..3), btree_map(any::<u32>(), connection(), 0..3), 0..3u64);
    btree_map(name, parts, 0..5).prop_map(|all| {
        let resource = |(name, (devices, connections, generation)): (String, (_, _, u64))| {
            let mut resource = Resource::new(ResourceName::new(&name));
            let (devices, connections): (
                std::collections::BTreeMap<u32, Device>,
                std::collections::BTreeMap<u32, Connection>,
            ) = (devices, connections);
            resource.devices = devices.into_iter().map(|(volume, d)| (Volume(volume), Box::new(d))).collect();
            resource.connections = connections.into_iter().map(|(peer, c)| (PeerNodeId(peer), Box::new(c))).collect();
            resource.generation = generation;
            resource
        };
        all.into_iter().map(resource).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn walks(models in vec(resources(), 1..4), from in vec(vec(any::<u32>(), 0..12), 0..8)) {
        let mut tree = Tree::new(PeerStates::Shown);
        for (moment, mut resources) in models.into_iter().enumerate() {
            // What changes has another generation, as in the model.
            resources.iter_mut().for_each(|resource| resource.generation += 10 * moment as u64);
            refresh(&mut tree, &resources);
            let all = walk(&tree);
            prop_assert!(all.is_sorted_by(|a, b| a.0 < b.0));
            // From any place, also between and beside instances.
            let beside = all.iter().flat_map(|(oid, _)| {
                let mut less = oid.to_vec();
                if let Some(last) = less.last_mut() {
                    *last = last.saturating_sub(1);
                }
                [Oid::from(less), Oid::joined(oid, &[0]), Oid::from(&oid[..oid.len() - 1])]
            });
            for place in beside.chain(from.iter().cloned().map(Oid::from)) {
                let next = tree.next(&place).map(|(oid, value)| (oid, value.clone()));
                prop_assert_eq!(next.as_ref(), all.iter().find(|(oid, _)| *oid > place), "{}", &place);
                let here = all.iter().find(|(oid, _)| *oid == place);
                prop_assert_eq!(matches!(tree.get(&place), Found::Value(_)), here.is_some(), "{}", &place);
            }
        }
    }
}
