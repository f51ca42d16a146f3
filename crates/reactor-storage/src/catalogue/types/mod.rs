//! What can happen to storage: every type of event, what it means, and what to do.

mod disks;
mod file_systems;
mod services;
mod stack;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::event::{Severity, Subsystem};

pub(super) use disks::*;
pub(super) use file_systems::*;
pub(super) use services::*;
pub(super) use stack::*;

/// Where in the stack something happens, the lowest first: of events of one cause, the lowest one is the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// Cables, fabrics, adapters, sessions.
    Transport,
    /// A disk, a namespace, a device over the network.
    Disk,
    /// Requests of the block layer.
    Block,
    /// Multipath, md, the device mapper, bcache.
    Mapping,
    /// DRBD.
    Replication,
    /// Buffers and what is written back.
    Buffer,
    /// File systems.
    FileSystem,
    /// What uses them.
    Service,
}

impl Layer {
    /// The word as output spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transport => "transport",
            Self::Disk => "disk",
            Self::Block => "block",
            Self::Mapping => "mapping",
            Self::Replication => "replication",
            Self::Buffer => "buffer",
            Self::FileSystem => "file-system",
            Self::Service => "service",
        }
    }
}

/// A type of event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventType {
    /// Its name: `MPATH_PATH_FAILED`.
    pub name: Cow<'static, str>,
    /// Which part of storage it is about.
    pub subsystem: Subsystem,
    /// How bad it is, if fields don't say anything else.
    pub severity: Severity,
    /// Where in the stack it happens.
    pub layer: Layer,
    /// Whether it goes on until something ends it: a failed path does, a read error does not.
    pub lasting: bool,
    /// Which types it ends on the same device.
    pub clears: &'static [&'static str],
    /// What it means, in one sentence.
    pub meaning: Cow<'static, str>,
    /// What to do, in one sentence.
    pub advice: Cow<'static, str>,
}

impl EventType {
    /// Whether it is this one.
    pub fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// The built-in one of this name.
    pub fn built_in(name: &str) -> Option<&'static Self> {
        all().find(|event| event.name == name)
    }
}

/// All built-in types, in the order of the tables.
pub fn all() -> impl Iterator<Item = &'static EventType> {
    [DISKS, STACK, FILE_SYSTEMS, SERVICES].into_iter().flatten().copied()
}

/// A table of types, written as
///
/// ```text
/// table NAME;
/// NAME: Subsystem, Severity, Layer, lasting or once, clears [NAME, NAME]; "meaning" "advice";
/// ```
macro_rules! types {
    (@lasting lasting) => { true };
    (@lasting once) => { false };
    (table $table:ident; $(
        $name:ident: $subsystem:ident, $severity:ident, $layer:ident, $lasting:ident $(, clears [$($clears:ident),+])?;
        $meaning:literal $advice:literal;
    )*) => {
        $(
            #[doc = $meaning]
            pub(in crate::catalogue) static $name: $crate::catalogue::types::EventType =
                $crate::catalogue::types::EventType {
                    name: std::borrow::Cow::Borrowed(stringify!($name)),
                    subsystem: $crate::event::Subsystem::$subsystem,
                    severity: $crate::event::Severity::$severity,
                    layer: $crate::catalogue::types::Layer::$layer,
                    lasting: $crate::catalogue::types::types!(@lasting $lasting),
                    clears: &[$($(stringify!($clears)),+)?],
                    meaning: std::borrow::Cow::Borrowed($meaning),
                    advice: std::borrow::Cow::Borrowed($advice),
                };
        )*
        /// All of them.
        pub(super) static $table: &[&$crate::catalogue::types::EventType] = &[$(&$name),*];
    };
}
pub(in crate::catalogue) use types;
