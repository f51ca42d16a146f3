//! What was written before, so that a scrape writes only what changed.

use std::sync::Arc;

use crate::model::objects::Resource;

use super::Enums;
use super::render::{RenderedResource, Renderer};

/// The resources as they were written last, once for each value of `enums` that anybody asked for. It belongs to the loop.
#[derive(Debug, Default)]
pub struct Cache {
    renderer: Renderer,
    off: Snapshot,
    on: Snapshot,
}

/// All resources as text. Cloning it costs a reference count; nothing in it ever changes.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub(super) resources: Arc<[Arc<RenderedResource>]>,
}

impl Cache {
    /// A cache that knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The present text of `resources`, which come by name, as [`Node::resources`](crate::model::Node::resources) has them.
    /// Costs a comparison per resource, and writing for those that changed.
    pub fn refresh<'a>(&mut self, resources: impl Iterator<Item = &'a Resource>, enums: Enums) -> Snapshot {
        let snapshot = match enums {
            Enums::Off => &mut self.off,
            Enums::On => &mut self.on,
        };
        if let Some(changed) = renew(&mut self.renderer, &snapshot.resources, resources, enums) {
            snapshot.resources = changed.into();
        }
        snapshot.clone()
    }

    /// Forgets what was written for `enums`: nobody asks for it any more.
    pub fn forget(&mut self, enums: Enums) {
        match enums {
            Enums::Off => self.off = Snapshot::default(),
            Enums::On => self.on = Snapshot::default(),
        }
    }
}

impl Snapshot {
    /// How many resources it has.
    pub fn resources(&self) -> usize {
        self.resources.len()
    }
}

/// The new list; `None` if it would be equal to the old one. Both are sorted by name, so they are walked side by side.
fn renew<'a>(
    renderer: &mut Renderer,
    old: &[Arc<RenderedResource>],
    resources: impl Iterator<Item = &'a Resource>,
    enums: Enums,
) -> Option<Vec<Arc<RenderedResource>>> {
    let mut new = None;
    let mut at = 0;
    let mut seen = 0;
    for resource in resources {
        let mut skipped = false;
        while old.get(at).is_some_and(|written| written.name < resource.name) {
            at += 1;
            skipped = true;
        }
        let written = old.get(at).filter(|written| written.name == resource.name);
        let current = written.filter(|written| written.generation == resource.generation);
        if (skipped || current.is_none()) && new.is_none() {
            let mut list = Vec::with_capacity(old.len() + 1);
            list.extend_from_slice(&old[..seen]);
            new = Some(list);
        }
        if let Some(new) = &mut new {
            new.push(current.cloned().unwrap_or_else(|| Arc::new(renderer.resource(resource, enums))));
        }
        at += usize::from(written.is_some());
        seen += 1;
    }
    if new.is_none() && seen < old.len() {
        new = Some(old[..seen].to_vec());
    }
    new
}
