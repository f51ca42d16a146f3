//! A change as the wire has it.

use reactor_api::change::{WireChange, WireHelper, WireWhat};

use crate::change::{Change, EventKind, HelperEvent, What};

impl From<&HelperEvent> for WireHelper {
    fn from(event: &HelperEvent) -> Self {
        Self {
            helper: event.helper.clone(),
            moment: if event.status.is_some() { "response" } else { "call" }.to_owned(),
            exit_code: event.exit_code(),
            status: event.status,
            peer_node_id: event.peer.map(|peer| peer.0),
            name: event.conn_name.as_ref().map(ToString::to_string),
            volume: event.volume.map(|volume| volume.0),
            minor: event.minor.map(|minor| minor.0),
        }
    }
}

impl From<&Change> for WireChange {
    /// Without a time: core knows none.
    fn from(change: &Change) -> Self {
        let kind = change.kind;
        Self {
            seq: change.seq.0,
            time: None,
            event: kind.as_str().to_owned(),
            origin: change.origin.as_str().to_owned(),
            is_state: change.is_state(),
            resource: change.resource.to_string(),
            what: what(kind, &change.what),
        }
    }
}

/// The side of a change that exists: nothing is before first sight, and nothing after the end.
fn sides<'a, M, W: From<&'a M>>(kind: EventKind, old: &'a M, new: &'a M) -> (Option<W>, Option<W>) {
    match kind {
        EventKind::Exists | EventKind::Create => (None, Some(W::from(new))),
        EventKind::Change => (Some(W::from(old)), Some(W::from(new))),
        EventKind::Destroy => (Some(W::from(old)), None),
    }
}

fn what(kind: EventKind, what: &What) -> WireWhat {
    match what {
        What::Resource { old, new } => {
            let (old, new) = sides(kind, old, new);
            WireWhat::Resource { old, new }
        }
        What::Device { volume, old, new } => {
            let (old, new) = sides(kind, old, new);
            WireWhat::Device { volume: volume.0, old, new }
        }
        What::Connection { peer, old, new } => {
            let (old, new) = sides(kind, old, new);
            WireWhat::Connection { peer_node_id: peer.0, old, new }
        }
        What::PeerDevice { peer, volume, old, new } => {
            let (old, new) = sides(kind, old, new);
            WireWhat::PeerDevice { peer_node_id: peer.0, volume: volume.0, old, new }
        }
        What::Path { peer, path, old, new } => {
            let (old, new) = sides(kind, old, new);
            let (local, remote) = (path.local.to_string(), path.peer.to_string());
            WireWhat::Path { peer_node_id: peer.0, local, peer: remote, old, new }
        }
        What::Renamed { to } => WireWhat::Rename { new_name: to.to_string() },
        What::Helper(event) => WireWhat::Helper(event.into()),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::change::{ConnectionView, DeviceView, Origin, PeerDeviceView};
    use crate::drbd::types::{DiskState, Role, Suspended};
    use crate::ids::{ConnName, EventSeq, PathAddress, PeerNodeId, ResourceName, Volume};
    use crate::model::objects::{DeviceState, DeviceStats, PathId, PathState, ResourceState};

    fn change(kind: EventKind, what: What) -> Change {
        Change { seq: EventSeq(7), kind, origin: Origin::Live, implied: false, resource: ResourceName::new("r0"), what }
    }

    /// The line, the JSON, and that the JSON reads back as the same change.
    fn check(change: &Change, expect: &Expect) {
        let wire = WireChange::from(change);
        let json = serde_json::to_string(&wire).unwrap();
        assert_eq!(serde_json::from_str::<WireChange>(&json).unwrap(), wire);
        expect.assert_eq(&format!("{wire}\n{json}"));
    }

    #[test]
    fn a_state_change_names_only_states() {
        let old = DeviceView {
            state: DeviceState { disk: DiskState::UpToDate, quorum: Some(true), ..DeviceState::default() },
            stats: DeviceStats { written_kib: Some(1), ..DeviceStats::default() },
        };
        let mut new = old.clone();
        new.state.disk = DiskState::Failed;
        new.stats.written_kib = Some(2);
        check(
            &change(EventKind::Change, What::Device { volume: Volume(0), old: old.clone(), new }),
            &expect![[r#"
                Change r0 device 0: disk-state UpToDate -> Failed
                {"seq":7,"event":"Change","origin":"live","is-state":true,"resource":"r0","object":"device","volume":0,"old":{"disk-state":"UpToDate","quorum":true,"written":1,"blocked":"no"},"new":{"disk-state":"Failed","quorum":true,"written":2,"blocked":"no"}}"#]],
        );
        let mut new = old.clone();
        new.stats.written_kib = Some(3);
        let line =
            WireChange::from(&change(EventKind::Change, What::Device { volume: Volume(0), old, new })).to_string();
        assert_eq!(line, "Change r0 device 0: written 1 -> 3");
    }

    #[test]
    fn first_sight_has_no_old_and_the_end_no_new() {
        let state = ResourceState {
            role: Role::Primary,
            suspended: Suspended::from_word("quorum,moon"),
            ..ResourceState::default()
        };
        check(
            &change(EventKind::Create, What::Resource { old: ResourceState::default(), new: state.clone() }),
            &expect![[r#"
                Create r0 resource: role Primary, may-promote no, suspended quorum,moon
                {"seq":7,"event":"Create","origin":"live","is-state":true,"resource":"r0","object":"resource","new":{"role":"Primary","may-promote":false,"suspended":"quorum,moon"}}"#]],
        );
        check(
            &change(EventKind::Destroy, What::Resource { old: state, new: ResourceState::default() }),
            &expect![[r#"
                Destroy r0 resource: role Primary, may-promote no, suspended quorum,moon
                {"seq":7,"event":"Destroy","origin":"live","is-state":true,"resource":"r0","object":"resource","old":{"role":"Primary","may-promote":false,"suspended":"quorum,moon"}}"#]],
        );
    }

    #[test]
    fn every_object_has_its_form() {
        let peer = PeerNodeId(1);
        let mut new = ConnectionView::default();
        new.state.conn_name = Some(ConnName::new("n2"));
        check(
            &change(EventKind::Change, What::Connection { peer, old: ConnectionView::default(), new }),
            &expect![[r#"
                Change r0 connection n2: name - -> n2
                {"seq":7,"event":"Change","origin":"live","is-state":true,"resource":"r0","object":"connection","peer-node-id":1,"old":{"connection-state":"StandAlone","peer-role":"Unknown"},"new":{"name":"n2","connection-state":"StandAlone","peer-role":"Unknown"}}"#]],
        );
        let mut new = PeerDeviceView::default();
        new.state.peer_disk = DiskState::Outdated;
        let old = PeerDeviceView::default();
        check(
            &change(EventKind::Change, What::PeerDevice { peer, volume: Volume(3), old, new }),
            &expect![[r#"
                Change r0 peer-device 1/3: peer-disk-state DUnknown -> Outdated
                {"seq":7,"event":"Change","origin":"live","is-state":true,"resource":"r0","object":"peer-device","peer-node-id":1,"volume":3,"old":{"replication-state":"Off","peer-disk-state":"DUnknown","resync-suspended":"no"},"new":{"replication-state":"Off","peer-disk-state":"Outdated","resync-suspended":"no"}}"#]],
        );
        let path =
            PathId { local: PathAddress::new("ipv4:10.0.0.1:7000"), peer: PathAddress::new("ipv4:10.0.0.2:7000") };
        let (old, new) = (PathState { established: Some(true) }, PathState { established: Some(false) });
        check(
            &change(EventKind::Change, What::Path { peer, path, old, new }),
            &expect![[r#"
                Change r0 path ipv4:10.0.0.1:7000 ipv4:10.0.0.2:7000: established yes -> no
                {"seq":7,"event":"Change","origin":"live","is-state":true,"resource":"r0","object":"path","peer-node-id":1,"local":"ipv4:10.0.0.1:7000","peer":"ipv4:10.0.0.2:7000","old":{"established":true},"new":{"established":false}}"#]],
        );
        check(
            &change(EventKind::Change, What::Renamed { to: ResourceName::new("r9") }),
            &expect![[r#"
                Change r0 rename: -> r9
                {"seq":7,"event":"Change","origin":"live","is-state":true,"resource":"r0","object":"rename","new-name":"r9"}"#]],
        );
        let helper = HelperEvent {
            status: Some(1024),
            helper: "fence-peer".to_owned(),
            peer: Some(peer),
            conn_name: Some(ConnName::new("n2")),
            volume: None,
            minor: None,
        };
        check(
            &change(EventKind::Change, What::Helper(helper)),
            &expect![[r#"
                Change r0 helper fence-peer: response, peer n2, exit code 4
                {"seq":7,"event":"Change","origin":"live","is-state":true,"resource":"r0","object":"helper","helper":"fence-peer","moment":"response","exit-code":4,"status":1024,"peer-node-id":1,"name":"n2"}"#]],
        );
    }
}
