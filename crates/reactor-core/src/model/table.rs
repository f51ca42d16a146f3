//! The resources of a snapshot: in the order of their names, and found by name in constant time.
//!
//! Every line of events2 names its resource, so this lookup is on the hot path. With a thousand resources the way down an ordered
//! map touches dozens of names all over memory. So an index remembers, by a hash of the name, where each resource is. What was filed is
//! never taken out: the name is compared before a place is believed. The index is made anew when it is half full, and is as large as the
//! number of resources asks for. Most lines are about the resource of the line before: that one is looked at first.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::ids::ResourceName;

use super::objects::Resource;

/// Resources by name. Iterates in the order of the names.
#[derive(Clone, Default)]
pub(super) struct Table {
    by_name: BTreeMap<ResourceName, usize>,
    /// Shared with whoever reads a [`Node::snapshot`](super::Node::snapshot); one that is shared is copied when it changes.
    slots: Vec<Option<Arc<Resource>>>,
    free: Vec<usize>,
    index: Index,
    /// The slot that was asked for last.
    last: usize,
}

impl Table {
    pub(super) fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Resource> {
        self.slots[self.find(name)?].as_deref()
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Resource> {
        if !self.holds(self.last, name) {
            self.last = self.find(name)?;
        }
        self.slots[self.last].as_mut().map(Arc::make_mut)
    }

    /// The resource of that name, and whether it is new.
    pub(super) fn get_or_insert(&mut self, name: &str) -> (&mut Resource, bool) {
        let is_new = !self.holds(self.last, name) && !self.contains(name);
        if is_new {
            self.insert(Resource::new(ResourceName::new(name)));
        }
        (self.get_mut(name).expect("it was just inserted if it was not there"), is_new)
    }

    /// Puts a resource under its name, in place of another one of that name.
    pub(super) fn insert(&mut self, resource: Resource) {
        let name = resource.name.clone();
        self.remove(name.as_str());
        let slot = self.free.pop().unwrap_or(self.slots.len());
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[slot] = Some(Arc::new(resource));
        if self.index.is_half_full() {
            self.index = Index::for_so_many(self.by_name.len() + 1);
            for (name, slot) in &self.by_name {
                self.index.insert(hash(name.as_str()), *slot);
            }
        }
        self.index.insert(hash(name.as_str()), slot);
        self.by_name.insert(name, slot);
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Resource> {
        let slot = self.by_name.remove(name)?;
        self.free.push(slot);
        self.slots[slot].take().map(Arc::unwrap_or_clone)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ResourceName, &Resource)> {
        self.by_name.iter().filter_map(|(name, slot)| Some((name, self.slots[*slot].as_deref()?)))
    }

    /// The same, to keep: costs a reference count each.
    pub(super) fn shared(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.by_name.values().filter_map(|slot| self.slots[*slot].as_ref())
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Resource> {
        self.slots.iter_mut().filter_map(|slot| slot.as_mut().map(Arc::make_mut))
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.index.candidates(hash(name)).find(|slot| self.holds(*slot, name))
    }

    fn holds(&self, slot: usize, name: &str) -> bool {
        self.slots.get(slot).is_some_and(|slot| slot.as_ref().is_some_and(|found| found.name.as_str() == name))
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Slots by hash: each is filed in the first free place from the one of its hash on.
#[derive(Clone, Default)]
struct Index {
    /// A power of two of them, or none.
    places: Vec<Place>,
    used: usize,
}

#[derive(Clone, Copy, Default)]
struct Place {
    hash: u32,
    /// Slot + 1; 0 = free.
    slot: u32,
}

impl Index {
    /// Room for more than so many before it is half full.
    fn for_so_many(count: usize) -> Self {
        Self { places: vec![Place::default(); (3 * count).next_power_of_two().max(16)], used: 0 }
    }

    fn is_half_full(&self) -> bool {
        self.used * 2 >= self.places.len()
    }

    /// Only while it is not half full: there is a free place then.
    fn insert(&mut self, hash: u32, slot: usize) {
        let mask = self.places.len() - 1;
        let mut at = hash as usize & mask;
        while self.places[at].slot != 0 {
            at = (at + 1) & mask;
        }
        let slot = u32::try_from(slot + 1).expect("a node has fewer resources than 32 bits can count");
        self.places[at] = Place { hash, slot };
        self.used += 1;
    }

    /// The slots that were filed with this hash.
    fn candidates(&self, hash: u32) -> impl Iterator<Item = usize> {
        let mask = self.places.len().wrapping_sub(1);
        let mut at = hash as usize & mask;
        std::iter::from_fn(move || {
            loop {
                let place = *self.places.get(at)?;
                at = (at + 1) & mask;
                if place.slot == 0 {
                    return None;
                }
                if place.hash == hash {
                    return Some(place.slot as usize - 1);
                }
            }
        })
    }
}

/// Takes eight bytes at a time. Nobody gains by collisions: they cost a comparison of names each.
fn hash(name: &str) -> u32 {
    let mix = |hash: u64, word: u64| {
        let product = u128::from(hash ^ word) * 0x9e37_79b9_7f4a_7c15;
        (product >> 64) as u64 ^ product as u64
    };
    let bytes = name.as_bytes();
    let (eights, rest) = bytes.as_chunks();
    let mut hash = eights.iter().fold(0x243f_6a88_85a3_08d3, |hash, eight| mix(hash, u64::from_le_bytes(*eight)));
    if !rest.is_empty() {
        // The last eight once more, if there are so many: faster than to put a few bytes together.
        let last = bytes.last_chunk().map(|eight| u64::from_le_bytes(*eight));
        hash = mix(hash, last.unwrap_or_else(|| rest.iter().fold(1, |word, byte| word << 8 | u64::from(*byte))));
    }
    (hash >> 32 ^ hash) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resource(name: &str, generation: u64) -> Resource {
        Resource { generation, ..Resource::new(ResourceName::new(name)) }
    }

    fn found(table: &mut Table, name: &str) -> Option<u64> {
        let found = table.get_mut(name).map(|resource| resource.generation);
        assert_eq!(table.get(name).map(|resource| resource.generation), found);
        assert_eq!(table.contains(name), found.is_some());
        found
    }

    #[test]
    fn a_stale_place_is_not_believed() {
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
    fn many_resources_are_all_found_and_in_order() {
        let mut table = Table::default();
        let count = 10_000;
        for number in 0..count {
            table.insert(resource(&format!("r{number:05}"), number));
        }
        for number in (0..count).rev().chain(0..count) {
            assert_eq!(found(&mut table, &format!("r{number:05}")), Some(number));
        }
        let in_order: Vec<u64> = table.iter().map(|(_, resource)| resource.generation).collect();
        assert_eq!(in_order, (0..count).collect::<Vec<_>>());
    }

    /// Searches of more than a few places mean that the hash does not tell names apart.
    #[test]
    fn names_as_people_give_them_are_told_apart() {
        for pattern in
            ["r#", "res#", "vm-#-disk-1", "pvc-3b1d6a54-91f0-4c3e-8d0f-00000000#", "#", "a-long-name-with-#-in-it"]
        {
            let hashes = (0..10_000).map(|number| hash(&pattern.replace('#', &format!("{number:04}"))));
            let mut index = Index::for_so_many(10_000);
            hashes.clone().enumerate().for_each(|(slot, hash)| index.insert(hash, slot));
            let mask = index.places.len() - 1;
            let away = |(at, place): (usize, &Place)| at.wrapping_sub(place.hash as usize) & mask;
            let taken = index.places.iter().enumerate().filter(|(_, place)| place.slot != 0);
            let (sum, most) = taken.map(away).fold((0, 0), |(sum, most), away| (sum + away, away.max(most)));
            assert!(sum < 10_000 && most < 64, "{pattern}: {sum} steps, at most {most}");
        }
    }

    #[test]
    fn coming_and_going_does_not_make_the_index_grow() {
        let mut table = Table::default();
        for number in 0..10_000 {
            let name = format!("r{number}");
            table.insert(resource(&name, number));
            assert!(table.remove(&name).is_some());
        }
        assert_eq!((table.index.places.len(), table.slots.len()), (16, 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_is_a_map(steps in proptest::collection::vec((0u8..4, 0u8..40), 0..200)) {
            let (mut table, mut plain) = (Table::default(), BTreeMap::new());
            for (number, (what, name)) in (0..).zip(steps) {
                let name = format!("r{name}");
                match what {
                    0 => drop(plain.insert(name.clone(), number)),
                    1 => drop(plain.remove(&name)),
                    _ => {}
                }
                match what {
                    0 => table.insert(resource(&name, number)),
                    1 => drop(table.remove(&name)),
                    2 => {
                        let is_new = !plain.contains_key(&name);
                        let (got, new) = table.get_or_insert(&name);
                        prop_assert_eq!(new, is_new);
                        got.generation = number;
                        plain.insert(name.clone(), number);
                    }
                    _ => prop_assert_eq!(found(&mut table, &name), plain.get(&name).copied()),
                }
            }
            let all: Vec<_> = table.iter().map(|(name, resource)| (name.to_string(), resource.generation)).collect();
            prop_assert_eq!(all, plain.into_iter().collect::<Vec<_>>());
        }
    }
}
