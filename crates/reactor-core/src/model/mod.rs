//! The picture of this node: every DRBD object with its present state.

pub mod objects;

use std::collections::BTreeMap;

use crate::ids::ResourceName;
use objects::Resource;

/// All that is known about this node.
#[derive(Clone, Debug, Default)]
pub struct Node {
    resources: BTreeMap<ResourceName, Resource>,
}

impl Node {
    /// The resources by name.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.resources.values()
    }

    /// One resource.
    pub fn resource(&self, name: &str) -> Option<&Resource> {
        self.resources.get(name)
    }
}
