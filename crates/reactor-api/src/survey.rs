//! What `reactorctl doctor` has to know of a node besides its status: files, DRBD's options, units that are in the way. Facts only; what
//! they mean is judged by `reactor_core::doctor`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One node, at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct NodeFacts {
    /// The node's name.
    pub node: String,
    /// Its clock when it answered: Unix time in milliseconds.
    pub now_ms: u64,
    /// Snippets, and the files of DRBD's own configuration.
    pub files: Vec<FileFacts>,
    /// What the kernel calls at DRBD's events: `usermode_helper` of its module; absent if DRBD is not loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usermode_helper: Option<String>,
    /// DRBD's options of each resource that it has, its defaults included.
    pub resources: Vec<ResourceFacts>,
    /// Unit files of administrators that concern promoted resources.
    pub units: Vec<UnitFile>,
    /// Whether its kernel words its messages of storage as our rules for events know them; absent if it was not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wordings: Option<Wordings>,
    /// What could not be looked at, one line each.
    pub unknown: Vec<String>,
}

/// A file whose text should be the same on all nodes.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct FileFacts {
    /// Where it is.
    pub path: String,
    /// Its size; 0 if its checksum is not told.
    pub bytes: u64,
    /// A checksum of its text (FNV-1a, 128 bits): against mistakes, not against malice. Empty = it is there, and could not be read, or not
    /// everybody may read it.
    pub checksum: String,
}

/// DRBD's options of one resource, in its words.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ResourceFacts {
    /// Its name.
    pub name: String,
    /// Its `options`.
    pub options: BTreeMap<String, String>,
    /// The `disk` options of each volume.
    pub volumes: BTreeMap<u32, BTreeMap<String, String>>,
    /// The `net` options of each connection, by the name of the peer.
    pub connections: BTreeMap<String, BTreeMap<String, String>>,
    /// Its `fence-peer` handler; absent if there is none, or if it was not looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fence_peer: Option<String>,
}

/// How a kernel words its messages of storage, by its printk index.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Wordings {
    /// The kernel: its release.
    pub kernel: String,
    /// Rules that could be judged.
    pub judged: u32,
    /// Types of events whose lines it prints otherwise, the worst first.
    pub reworded: Vec<Reworded>,
    /// Why nothing could be judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

/// A type of event that a kernel words otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Reworded {
    /// The type.
    pub event: String,
    /// How bad such an event is.
    pub severity: String,
    /// The source files of the kernel that print it.
    pub files: Vec<String>,
}

/// A unit file, or a folder of drop-ins.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct UnitFile {
    /// Where it is.
    pub path: String,
    /// The unit that it is about.
    pub unit: String,
    /// It masks the unit; otherwise it is a drop-in.
    pub mask: bool,
}
