//! The resources as text, kept from scrape to scrape, so that only what changed is written again.
//!
//! ```text
//!                 group of rows: r0 r1 r2 ...        next group
//!   family 0   [ block: samples of r0, r1, ... ]   [ block ]        a block is one piece of text, shared with
//!   family 1   [ block                         ]   [ block ]        every scrape that sends it
//!   ...
//! ```
//!
//! The text of a scrape is the blocks, family by family. A poll changes most numbers of a block and the length of few: then the
//! digits are written over the old ones. Else the block is put together anew, and a client that still reads the old one keeps
//! that block and no more.

use std::borrow::Borrow;
use std::sync::Arc;

use crate::ids::ResourceName;
use crate::model::objects::Resource;

use super::Choice;
use super::families::{FAMILIES, HEADERS};
use super::render::Renderer;
use super::text;

/// Rows of a group. With fewer, more pieces have to be sent; with more, more has to be put together for one new row.
const GROUP: usize = 256;

/// A piece of text that several may send at once.
pub type Piece = Arc<Vec<u8>>;

/// The resources as they were written last. It belongs to one server.
#[derive(Debug)]
pub struct Sheet {
    choice: Choice,
    renderer: Renderer,
    groups: Vec<Group>,
    /// TYPE and HELP of each family.
    headers: Vec<Piece>,
    snapshot: Snapshot,
}

/// All resources as text. Cloning it costs a reference count; nothing in it ever changes.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub(super) pieces: Arc<[Piece]>,
    resources: usize,
}

impl Snapshot {
    /// How many resources it has.
    pub fn resources(&self) -> usize {
        self.resources
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
        Self {
            choice,
            renderer: Renderer::default(),
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
            group.refresh(rows, &mut self.renderer, self.choice);
        }
        let mut pieces = Vec::with_capacity((self.groups.len() + 1) * FAMILIES);
        for (family, header) in self.headers.iter().enumerate() {
            let blocks = self.groups.iter().map(|group| &group.blocks[family].text).filter(|text| !text.is_empty());
            let begin = pieces.len();
            pieces.extend(blocks.cloned());
            if pieces.len() > begin {
                pieces.insert(begin, Arc::clone(header));
            }
        }
        self.snapshot = Snapshot { pieces: pieces.into(), resources: resources.len() };
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
}

/// The samples of one family.
#[derive(Debug, Default)]
struct Block {
    text: Piece,
    /// Where each row ends.
    ends: Vec<u32>,
}

impl Group {
    fn refresh(&mut self, resources: &[impl Borrow<Resource>], renderer: &mut Renderer, choice: Choice) {
        let same_names = self.rows.len() == resources.len()
            && self.rows.iter().zip(resources).all(|(row, resource)| row.name == resource.borrow().name);
        if !same_names {
            self.rows =
                resources.iter().map(|resource| Row { name: resource.borrow().name.clone(), generation: 0 }).collect();
            self.blocks = (0..FAMILIES).map(|_| Block::default()).collect();
        }
        renderer.begin();
        let mut changed = Vec::new();
        for (number, (row, resource)) in self.rows.iter_mut().zip(resources).enumerate() {
            let resource = resource.borrow();
            if !same_names || row.generation != resource.generation {
                row.generation = resource.generation;
                renderer.resource(resource, choice);
                changed.push(number);
            }
        }
        if changed.is_empty() {
            return;
        }
        let rows = self.rows.len();
        for (family, block) in self.blocks.iter_mut().enumerate() {
            let fresh = |at: usize| renderer.written(at, family);
            if !same_names || !block.write_over(&changed, fresh) {
                block.rebuild(rows, &changed, fresh);
            }
        }
    }
}

impl Block {
    /// The samples of a row, as a range of the text.
    fn row(&self, number: usize) -> std::ops::Range<usize> {
        let start = if number == 0 { 0 } else { self.ends[number - 1] as usize };
        start..self.ends[number] as usize
    }

    /// Writes the rows of `changed` over what they were, if that is possible: nobody reads it, and each is as long as before.
    fn write_over<'a>(&mut self, changed: &[usize], fresh: impl Fn(usize) -> &'a [u8]) -> bool {
        let fits = changed.iter().enumerate().all(|(at, number)| self.row(*number).len() == fresh(at).len());
        if !fits {
            return false;
        }
        // Many families hardly ever change: then it does not matter who reads the text.
        let differs = |block: &Self, at: usize, number: usize| block.text[block.row(number)] != *fresh(at);
        let Some(first) = changed.iter().enumerate().position(|(at, number)| differs(self, at, *number)) else {
            return true;
        };
        for (at, number) in changed.iter().enumerate().skip(first) {
            let row = self.row(*number);
            let Some(text) = Arc::get_mut(&mut self.text) else { return false };
            text[row].copy_from_slice(fresh(at));
        }
        true
    }

    /// Puts the text together from the old one and the new rows.
    fn rebuild<'a>(&mut self, rows: usize, changed: &[usize], fresh: impl Fn(usize) -> &'a [u8]) {
        let new: usize = (0..changed.len()).map(|at| fresh(at).len()).sum();
        let mut text = Vec::with_capacity(if changed.len() == rows { new } else { self.text.len() + new });
        let mut ends = Vec::with_capacity(rows);
        let mut next = 0;
        for number in 0..rows {
            if changed.get(next) == Some(&number) {
                text.extend_from_slice(fresh(next));
                next += 1;
            } else {
                text.extend_from_slice(&self.text[self.row(number)]);
            }
            ends.push(u32::try_from(text.len()).expect("256 resources have less than 4 GiB of samples"));
        }
        text.shrink_to_fit();
        *self = Self { text: Arc::new(text), ends };
    }
}
