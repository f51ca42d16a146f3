//! What something is about.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{DeviceName, ResourceName, UnitName};

/// What a record, a request or an action is about. Types that are about DRBD resources only have a [`ResourceName`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A DRBD resource.
    Resource(ResourceName),
    /// A block device, or another device that the kernel names.
    Device(DeviceName),
    /// A unit of systemd.
    Unit(UnitName),
    /// This node as a whole.
    Node,
}

impl Subject {
    /// The DRBD resource, if it is one.
    pub fn resource(&self) -> Option<&ResourceName> {
        match self {
            Self::Resource(name) => Some(name),
            Self::Device(_) | Self::Unit(_) | Self::Node => None,
        }
    }
}

impl From<ResourceName> for Subject {
    fn from(name: ResourceName) -> Self {
        Self::Resource(name)
    }
}

impl fmt::Display for Subject {
    /// The bare name, as logs have it; `this node` for the node.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource(name) => name.fmt(f),
            Self::Device(name) => name.fmt(f),
            Self::Unit(name) => name.fmt(f),
            Self::Node => f.pad("this node"),
        }
    }
}
