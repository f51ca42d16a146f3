//! What was written before, so that a scrape writes only what changed.
//!
//! ```text
//!   resources:  r0  r1  r2  r3 | r4 ...     each written when its generation is new
//!   texts:      [   joined   ]   [ ...      neighbours joined when one of them is new
//! ```
//!
//! A scrape strings together one family of all resources, then the next. From single resources that is ten thousands of short
//! copies from all over the memory; from joined ones it takes half the time, and much less on a machine whose caches are full
//! of other work.

use std::iter::Peekable;
use std::sync::Arc;

use crate::ids::ResourceName;
use crate::model::objects::Resource;

use super::Enums;
use super::render::{Renderer, Text};

/// Neighbours that are joined. More make the scrape faster and the loop's part of it slower.
const BLOCK: usize = 4;

/// Neighbours that have more bytes together stay alone: copying them would cost more than it saves.
const MAX_JOINED: usize = 64 * 1024;

/// The resources as they were written last, once for each value of `enums` that anybody asked for. It belongs to the loop.
#[derive(Debug, Default)]
pub struct Cache {
    renderer: Renderer,
    off: Sheet,
    on: Sheet,
}

/// All resources as text. Cloning it costs a reference count; nothing in it ever changes.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub(super) texts: Arc<[Arc<Text>]>,
    resources: usize,
}

impl Cache {
    /// A cache that knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The present text of `resources`, which come by name, as [`Node::resources`](crate::model::Node::resources) has them.
    /// Costs a comparison per resource, and writing for those that changed.
    pub fn refresh<'a>(&mut self, resources: impl Iterator<Item = &'a Resource>, enums: Enums) -> Snapshot {
        let sheet = match enums {
            Enums::Off => &mut self.off,
            Enums::On => &mut self.on,
        };
        sheet.refresh(resources, |resource| self.renderer.resource(resource, enums));
        sheet.snapshot.clone()
    }

    /// Forgets what was written for `enums`: nobody asks for it any more.
    pub fn forget(&mut self, enums: Enums) {
        match enums {
            Enums::Off => self.off = Sheet::default(),
            Enums::On => self.on = Sheet::default(),
        }
    }
}

impl Snapshot {
    /// How many resources it has.
    pub fn resources(&self) -> usize {
        self.resources
    }
}

/// The resources as they were written for one value of `enums`.
#[derive(Debug, Default)]
struct Sheet {
    /// By name.
    written: Vec<Written>,
    /// The texts of each [`BLOCK`] of them: one if they are joined.
    blocks: Vec<Vec<Arc<Text>>>,
    snapshot: Snapshot,
}

#[derive(Debug)]
struct Written {
    name: ResourceName,
    generation: u64,
    text: Arc<Text>,
}

impl Written {
    fn new(resource: &Resource, render: &mut impl FnMut(&Resource) -> Text) -> Self {
        Self { name: resource.name.clone(), generation: resource.generation, text: Arc::new(render(resource)) }
    }

    fn is_current(&self, resource: &Resource) -> bool {
        self.name == resource.name && self.generation == resource.generation
    }
}

impl Sheet {
    fn refresh<'a>(
        &mut self,
        resources: impl Iterator<Item = &'a Resource>,
        mut render: impl FnMut(&Resource) -> Text,
    ) {
        let mut resources = resources.peekable();
        let mut stale = vec![false; self.blocks.len()];
        let mut same = 0;
        // As long as the names are those of the last time, which is nearly always, everything keeps its place.
        while let Some(written) = self.written.get_mut(same)
            && let Some(resource) = resources.next_if(|resource| resource.name == written.name)
        {
            if !written.is_current(resource) {
                *written = Written::new(resource, &mut render);
                stale[same / BLOCK] = true;
            }
            same += 1;
        }
        let moved = same < self.written.len() || resources.peek().is_some();
        if moved {
            self.replace_tail(same, resources, &mut render);
            stale.truncate(same / BLOCK);
            stale.resize(self.written.len().div_ceil(BLOCK), true);
        }
        if moved || stale.contains(&true) {
            self.join(&stale);
        }
    }

    /// Resources came or went: from number `from` on, everything may have another place.
    fn replace_tail<'a>(
        &mut self,
        from: usize,
        resources: Peekable<impl Iterator<Item = &'a Resource>>,
        render: &mut impl FnMut(&Resource) -> Text,
    ) {
        // Both are sorted by name, so they are walked side by side.
        let mut old = self.written.split_off(from).into_iter().peekable();
        for resource in resources {
            while old.next_if(|written| written.name < resource.name).is_some() {}
            let written = old.next_if(|written| written.is_current(resource));
            self.written.push(written.unwrap_or_else(|| Written::new(resource, render)));
        }
    }

    fn join(&mut self, stale: &[bool]) {
        self.blocks.resize_with(stale.len(), Vec::new);
        let blocks = self.blocks.iter_mut().zip(self.written.chunks(BLOCK)).zip(stale);
        for ((block, written), _) in blocks.filter(|(_, stale)| **stale) {
            *block = written.iter().map(|written| Arc::clone(&written.text)).collect();
            if block.iter().map(|text| text.all().len()).sum::<usize>() <= MAX_JOINED {
                *block = vec![Arc::new(Text::joined(block))];
            }
        }
        let texts = self.blocks.iter().flatten().cloned().collect();
        self.snapshot = Snapshot { texts, resources: self.written.len() };
    }
}
