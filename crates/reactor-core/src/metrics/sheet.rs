//! The resources as text, kept from scrape to scrape, so that only what changed is written again.
//!
//! ```text
//!                 group of rows: r0 r1 r2 ...        next group
//!   family 0   [ block: samples of r0, r1, ... ]   [ block ]        a block is one piece of text, shared with
//!   family 1   [ block                         ]   [ block ]        every scrape that sends it
//!   ...
//! ```
//!
//! The text of a scrape is the blocks, family by family. A poll moves numbers: then only they are written (see `block`). A row
//! whose states have changed is written anew. A client that still reads an old text keeps the blocks that have changed since,
//! and no more.

use std::borrow::Borrow;
use std::sync::Arc;

use crate::ids::ResourceName;
use crate::model::objects::Resource;

use super::Choice;
use super::block::{Block, Changed, Compare, Patches};
use super::families::{FAMILIES, HEADERS};
use super::render::{Parts, Renderer};
use super::text;

/// Rows of a group. With fewer, more pieces have to be sent; with more, more has to be put together for one new row.
const GROUP: usize = 256;

/// A piece of text that several may send at once.
pub type Piece = Arc<Vec<u8>>;

/// The resources as they were written last. It belongs to one server.
#[derive(Debug)]
pub struct Sheet {
    choice: Choice,
    desk: Desk,
    groups: Vec<Group>,
    /// TYPE and HELP of each family.
    headers: Vec<Piece>,
    snapshot: Snapshot,
}

/// All resources as text. Cloning it costs a reference count; nothing in it ever changes.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub(super) pieces: Arc<[Piece]>,
    /// One for each piece.
    pub(super) stamps: Arc<[u64]>,
    resources: usize,
}

impl Snapshot {
    /// How many resources it has.
    pub fn resources(&self) -> usize {
        self.resources
    }

    /// The stamp of each piece: within one sheet it stands for one text for ever, so what was made of a piece can be kept by it.
    pub fn stamps(&self) -> &[u64] {
        &self.stamps
    }

    /// Bytes of it.
    pub fn bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len()).sum()
    }
}

impl Sheet {
    /// One that knows nothing.
    pub fn new(choice: Choice) -> Self {
        let header = |(name, kind, help)| {
            let mut out = Vec::new();
            text::header(&mut out, name, kind, help);
            Arc::new(out)
        };
        // The first stamps are those of the headers.
        Self {
            choice,
            desk: Desk { stamps: FAMILIES as u64, ..Desk::default() },
            groups: Vec::new(),
            headers: HEADERS.into_iter().map(header).collect(),
            snapshot: Snapshot::default(),
        }
    }

    /// The text that was made last.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot.clone()
    }

    /// The present text of `resources`, which come by name, as [`Node::snapshot`](crate::model::Node::snapshot) has them.
    pub fn refresh(&mut self, resources: &[impl Borrow<Resource>]) -> Snapshot {
        // The last snapshot holds the blocks: it has to go before they can be written over.
        self.snapshot = Snapshot::default();
        self.groups.resize_with(resources.len().div_ceil(GROUP), Group::default);
        for (group, rows) in self.groups.iter_mut().zip(resources.chunks(GROUP)) {
            group.refresh(rows, &mut self.desk, self.choice);
        }
        let mut pieces = Vec::with_capacity((self.groups.len() + 1) * FAMILIES);
        let mut stamps = Vec::with_capacity(pieces.capacity());
        for (family, header) in self.headers.iter().enumerate() {
            let blocks = self.groups.iter().map(|group| &group.blocks[family]).filter(|block| !block.text.is_empty());
            let begin = pieces.len();
            for block in blocks {
                if pieces.len() == begin {
                    pieces.push(Arc::clone(header));
                    stamps.push(family as u64 + 1);
                }
                pieces.push(Arc::clone(&block.text));
                stamps.push(block.stamp);
            }
        }
        self.snapshot = Snapshot { pieces: pieces.into(), stamps: stamps.into(), resources: resources.len() };
        self.snapshot.clone()
    }
}

/// Neighbours by name.
#[derive(Debug, Default)]
struct Group {
    rows: Vec<Row>,
    /// One for each family; none before the first refresh.
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Row {
    name: ResourceName,
    generation: u64,
    /// [`Resource::shape`].
    shape: u64,
}

/// What is reused from group to group and from scrape to scrape.
#[derive(Debug, Default)]
struct Desk {
    renderer: Renderer,
    changed: Vec<Changed>,
    /// One for each family.
    patches: Vec<Patches>,
    /// The last stamp that a text has got.
    stamps: u64,
}

impl Group {
    fn refresh(&mut self, resources: &[impl Borrow<Resource>], desk: &mut Desk, choice: Choice) {
        let same_names = self.rows.len() == resources.len()
            && self.rows.iter().zip(resources).all(|(row, resource)| row.name == resource.borrow().name);
        if !same_names {
            let row = |resource: &Resource| Row { name: resource.name.clone(), generation: 0, shape: 0 };
            self.rows = resources.iter().map(|resource| row(resource.borrow())).collect();
            self.blocks = (0..FAMILIES).map(|_| Block::default()).collect();
        }
        desk.clear();
        for (number, resource) in resources.iter().enumerate() {
            let (resource, row) = (resource.borrow(), &mut self.rows[number]);
            if same_names && row.generation == resource.generation {
                continue;
            }
            let same_shape = same_names && row.shape == resource.shape;
            (row.generation, row.shape) = (resource.generation, resource.shape);
            let parts = Parts::of(resource);
            let fresh = if same_shape && desk.compare(&self.blocks, number, &parts, choice) {
                None
            } else {
                desk.renderer.resource(&parts, choice);
                Some(desk.renderer.count() - 1)
            };
            desk.changed.push(Changed { row: number, fresh });
        }
        if desk.changed.is_empty() {
            return;
        }
        let Desk { renderer, changed, patches, stamps } = desk;
        for (family, (block, patches)) in self.blocks.iter_mut().zip(patches.iter()).enumerate() {
            block.change(self.rows.len(), changed, patches, renderer, family, stamps);
        }
    }
}

impl Desk {
    fn clear(&mut self) {
        self.renderer.begin();
        self.changed.clear();
        self.patches.resize_with(FAMILIES, Patches::default);
        self.patches.iter_mut().for_each(Patches::clear);
    }

    /// Whether a row has the samples that it had; then their new numbers are among the patches.
    fn compare(&mut self, blocks: &[Block], row: usize, parts: &Parts<'_>, choice: Choice) -> bool {
        let mut compare = Compare { blocks, patches: &mut self.patches, row, choice, fits: true };
        parts.visit(&mut compare);
        let fits = compare.fits;
        if !fits {
            self.patches.iter_mut().for_each(|patches| patches.forget(row));
        }
        fits
    }
}
