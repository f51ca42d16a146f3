//! A change on the wire, and as one line of text.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::objects::{ConnectionFields, DeviceFields, Field, PathFields, PeerDeviceFields, ResourceFields};

/// The origin that needs no word: it happened just now.
const LIVE: &str = "live";

/// One change of one object.
///
/// `old` is absent when the object was seen for the first time, `new` when it went away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

impl WireWhat {
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
        if self.origin != LIVE {
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
