//! The resources of a picture: in the order of their names, and found by name in constant time.
//!
//! Every line of events2 names its resource, so this lookup is on the hot path. With a thousand resources the way down an ordered
//! map touches dozens of names all over memory. So a small table remembers, by a hash of the name, where a resource was found the
//! last time. It is only a hint: the name is compared before it is believed, and the ordered map decides.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::ids::ResourceName;

use super::objects::Resource;

/// Hints that are kept; a power of two. More resources than this only share hints.
const HINTS: usize = 4096;

/// Resources by name. Iterates in the order of the names.
#[derive(Clone, Default)]
pub(super) struct Table {
    by_name: BTreeMap<ResourceName, usize>,
    /// Shared with whoever reads a [`Node::snapshot`](super::Node::snapshot); one that is shared is copied when it changes.
    slots: Vec<Option<Arc<Resource>>>,
    free: Vec<usize>,
    /// Slot + 1 by hash; 0 = no hint. Empty until the first lookup.
    hints: Vec<u32>,
}

impl Table {
    pub(super) fn contains(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Resource> {
        self.slots[*self.by_name.get(name)?].as_deref()
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Resource> {
        if self.hints.is_empty() {
            self.hints = vec![0; HINTS];
        }
        let hint = hash(name) % HINTS;
        let hinted = (self.hints[hint] as usize).wrapping_sub(1);
        let is_it = |slot: &Option<Arc<Resource>>| slot.as_ref().is_some_and(|found| found.name.as_str() == name);
        let at = match self.slots.get(hinted) {
            Some(slot) if is_it(slot) => hinted,
            _ => {
                let at = *self.by_name.get(name)?;
                self.hints[hint] = u32::try_from(at + 1).unwrap_or(0);
                at
            }
        };
        self.slots[at].as_mut().map(Arc::make_mut)
    }

    /// Puts a resource under its name, in place of another one of that name.
    pub(super) fn insert(&mut self, resource: Resource) {
        let name = resource.name.clone();
        self.remove(name.as_str());
        let at = self.free.pop().unwrap_or(self.slots.len());
        if at == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[at] = Some(Arc::new(resource));
        self.by_name.insert(name, at);
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Resource> {
        let at = self.by_name.remove(name)?;
        self.free.push(at);
        self.slots[at].take().map(Arc::unwrap_or_clone)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ResourceName, &Resource)> {
        self.by_name.iter().filter_map(|(name, at)| Some((name, self.slots[*at].as_deref()?)))
    }

    /// The same, to keep: costs a reference count each.
    pub(super) fn shared(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.by_name.values().filter_map(|at| self.slots[*at].as_ref())
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Resource> {
        self.slots.iter_mut().filter_map(|slot| slot.as_mut().map(Arc::make_mut))
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// FNV-1a over the bytes. Nobody gains by collisions: they cost a walk down the map.
fn hash(name: &str) -> usize {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    // The low bits of short names differ little: fold the high ones in.
    ((hash >> 32) ^ hash) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(name: &str, generation: u64) -> Resource {
        Resource { generation, ..Resource::new(ResourceName::new(name)) }
    }

    fn found(table: &mut Table, name: &str) -> Option<u64> {
        let found = table.get_mut(name).map(|resource| resource.generation);
        assert_eq!(table.get(name).map(|resource| resource.generation), found);
        found
    }

    #[test]
    fn a_stale_hint_is_not_believed() {
        let mut table = Table::default();
        table.insert(resource("a", 1));
        assert_eq!(found(&mut table, "a"), Some(1));
        table.remove("a");
        assert_eq!(found(&mut table, "a"), None);
        table.insert(resource("b", 2));
        assert_eq!((found(&mut table, "a"), found(&mut table, "b")), (None, Some(2)));
        table.insert(resource("a", 3));
        assert_eq!((found(&mut table, "a"), found(&mut table, "b")), (Some(3), Some(2)));
    }

    #[test]
    fn what_is_shared_stays_as_it_was_and_only_what_changes_is_copied() {
        let mut table = Table::default();
        table.insert(resource("a", 1));
        table.insert(resource("b", 1));
        let before: Vec<Arc<Resource>> = table.shared().cloned().collect();
        table.get_mut("b").expect("it is there").generation = 2;
        let after: Vec<Arc<Resource>> = table.shared().cloned().collect();
        assert_eq!(before.iter().map(|r| r.generation).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(after.iter().map(|r| r.generation).collect::<Vec<_>>(), [1, 2]);
        assert!(Arc::ptr_eq(&before[0], &after[0]));
        assert_eq!(table.remove("b").map(|r| r.generation), Some(2));
    }

    #[test]
    fn more_resources_than_hints_are_all_found_and_in_order() {
        let mut table = Table::default();
        let count = 2 * HINTS as u64;
        for number in 0..count {
            table.insert(resource(&format!("r{number:05}"), number));
        }
        for number in (0..count).rev().chain(0..count) {
            assert_eq!(found(&mut table, &format!("r{number:05}")), Some(number));
        }
        let in_order: Vec<u64> = table.iter().map(|(_, resource)| resource.generation).collect();
        assert_eq!(in_order, (0..count).collect::<Vec<_>>());
    }
}
