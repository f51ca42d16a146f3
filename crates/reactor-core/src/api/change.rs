//! A change on the wire, and as one line of text.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::objects::{ConnectionFields, DeviceFields, Field, PathFields, PeerDeviceFields, ResourceFields};
use crate::change::{Change, EventKind, HelperEvent, Origin, What};

/// One change of one object.
///
/// `old` is absent when the object was seen for the first time, `new` when it went away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct WireChange {
    /// Its number, counted from the start of the daemon.
    pub seq: u64,
    /// When this daemon saw it, RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// `Exists`, `Create`, `Change` or `Destroy`.
    pub event: String,
    /// `live`, `initial`, `catch-up` or `replay`.
    pub origin: String,
    /// Whether anything but statistics differs.
    pub is_state: bool,
    /// The resource that it belongs to.
    pub resource: String,
    /// The object, with old and new.
    #[serde(flatten)]
    pub what: WireWhat,
}

/// The object of a change. The key `object` says which.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "object", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum WireWhat {
    /// The resource itself.
    Resource {
        /// Before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old: Option<ResourceFields>,
        /// After.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new: Option<ResourceFields>,
    },
    /// A device.
    Device {
        /// Its volume.
        volume: u32,
        /// Before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old: Option<DeviceFields>,
        /// After.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new: Option<DeviceFields>,
    },
    /// A connection.
    Connection {
        /// Node id of the peer.
        peer_node_id: u32,
        /// Before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old: Option<ConnectionFields>,
        /// After.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new: Option<ConnectionFields>,
    },
    /// A peer device.
    PeerDevice {
        /// Node id of the peer.
        peer_node_id: u32,
        /// Its volume.
        volume: u32,
        /// Before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old: Option<PeerDeviceFields>,
        /// After.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new: Option<PeerDeviceFields>,
    },
    /// A path.
    Path {
        /// Node id of the peer.
        peer_node_id: u32,
        /// Address on this node.
        local: String,
        /// Address on the peer.
        peer: String,
        /// Before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old: Option<PathFields>,
        /// After.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        new: Option<PathFields>,
    },
    /// The resource has another name from now on.
    Rename {
        /// The new name.
        new_name: String,
    },
    /// DRBD called a helper, or the helper came back.
    Helper(WireHelper),
}

/// A `call helper` or `response helper` line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct WireHelper {
    /// Name of the helper.
    pub helper: String,
    /// `call` or `response`.
    pub moment: String,
    /// Exit code of the helper; only in a response, and only if it exited by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Raw wait status; only in a response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// Node id of the peer, if the call names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_node_id: Option<u32>,
    /// Name of the connection, if the call names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Volume, if the call names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<u32>,
    /// Minor, if the call names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minor: Option<u32>,
}

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
            what: WireWhat::of(kind, &change.what),
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

impl WireWhat {
    fn of(kind: EventKind, what: &What) -> Self {
        match what {
            What::Resource { old, new } => {
                let (old, new) = sides(kind, old, new);
                Self::Resource { old, new }
            }
            What::Device { volume, old, new } => {
                let (old, new) = sides(kind, old, new);
                Self::Device { volume: volume.0, old, new }
            }
            What::Connection { peer, old, new } => {
                let (old, new) = sides(kind, old, new);
                Self::Connection { peer_node_id: peer.0, old, new }
            }
            What::PeerDevice { peer, volume, old, new } => {
                let (old, new) = sides(kind, old, new);
                Self::PeerDevice { peer_node_id: peer.0, volume: volume.0, old, new }
            }
            What::Path { peer, path, old, new } => {
                let (old, new) = sides(kind, old, new);
                let (local, remote) = (path.local.to_string(), path.peer.to_string());
                Self::Path { peer_node_id: peer.0, local, peer: remote, old, new }
            }
            What::Renamed { to } => Self::Rename { new_name: to.to_string() },
            What::Helper(event) => Self::Helper(event.into()),
        }
    }

    /// The object without its resource, for example `device 0` or `peer-device 1/0`.
    pub fn object(&self) -> String {
        match self {
            Self::Resource { .. } => "resource".to_owned(),
            Self::Device { volume, .. } => format!("device {volume}"),
            Self::Connection { peer_node_id, old, new } => {
                let name = new.as_ref().or(old.as_ref()).and_then(|fields| fields.name.as_deref());
                format!("connection {}", name.map_or_else(|| peer_node_id.to_string(), str::to_owned))
            }
            Self::PeerDevice { peer_node_id, volume, .. } => format!("peer-device {peer_node_id}/{volume}"),
            Self::Path { local, peer, .. } => format!("path {local} {peer}"),
            Self::Rename { .. } => "rename".to_owned(),
            Self::Helper(helper) => format!("helper {}", helper.helper),
        }
    }

    /// The fields before and after; empty where there is no such side.
    fn fields(&self) -> (Vec<Field>, Vec<Field>) {
        macro_rules! both {
            ($old:expr, $new:expr) => {
                (
                    $old.as_ref().map(|fields| fields.fields()).unwrap_or_default(),
                    $new.as_ref().map(|fields| fields.fields()).unwrap_or_default(),
                )
            };
        }
        match self {
            Self::Resource { old, new } => both!(old, new),
            Self::Device { old, new, .. } => both!(old, new),
            Self::Connection { old, new, .. } => both!(old, new),
            Self::PeerDevice { old, new, .. } => both!(old, new),
            Self::Path { old, new, .. } => both!(old, new),
            Self::Rename { .. } | Self::Helper(_) => (Vec::new(), Vec::new()),
        }
    }
}

/// One line of `reactorctl changes` and of the debugger: `Change r0 device 0: disk-state UpToDate -> Failed`.
///
/// States if a state differs, else the statistics that differ; `+` stands before what was seen first, `-` before what went away.
impl std::fmt::Display for WireChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.event, self.resource, self.what.object())?;
        if self.origin != Origin::Live.as_str() {
            write!(f, " ({})", self.origin)?;
        }
        let details = self.details();
        if details.is_empty() { Ok(()) } else { write!(f, ": {details}") }
    }
}

impl WireChange {
    /// What differs, as text.
    fn details(&self) -> String {
        match &self.what {
            WireWhat::Rename { new_name } => return format!("-> {new_name}"),
            WireWhat::Helper(helper) => return helper.details(),
            _ => {}
        }
        let (old, new) = self.what.fields();
        let mut text = String::new();
        let mut add = |part: std::fmt::Arguments<'_>| {
            let comma = if text.is_empty() { "" } else { ", " };
            // Writing to a string cannot fail.
            let _ = write!(text, "{comma}{part}");
        };
        if old.is_empty() || new.is_empty() {
            for field in old.iter().chain(&new).filter(|field| field.is_state && !field.word.is_empty()) {
                add(format_args!("{} {}", field.key, field.word));
            }
            return text;
        }
        for (old, new) in old.iter().zip(&new) {
            if new.is_state == self.is_state && old.word != new.word {
                add(format_args!("{} {} -> {}", new.key, or_dash(&old.word), or_dash(&new.word)));
            }
        }
        text
    }
}

fn or_dash(word: &str) -> &str {
    if word.is_empty() { "-" } else { word }
}

impl WireHelper {
    fn details(&self) -> String {
        let mut text = self.moment.clone();
        if let Some(peer) = &self.name {
            let _ = write!(text, ", peer {peer}");
        }
        if let Some(volume) = self.volume {
            let _ = write!(text, ", volume {volume}");
        }
        match (self.exit_code, self.status) {
            (Some(code), _) => {
                let _ = write!(text, ", exit code {code}");
            }
            (None, Some(status)) => {
                let _ = write!(text, ", wait status {status}");
            }
            (None, None) => {}
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::change::{ConnectionView, DeviceView, PeerDeviceView};
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
