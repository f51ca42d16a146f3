//! One family of neighbours as text, and how it changes.
//!
//! ```text
//!   text:     drbd_device_read_bytes_total{name="r0",...} 4096\n | drbd_device_read_bytes_total{name="r1",...} 8192\n | ...
//!                                             row of r0                                 row of r1
//!   samples:                                      ^^^^                                      ^^^^
//! ```
//!
//! A poll moves numbers and nothing else. Their digits are written over the old ones; if one of them needs more room, or
//! somebody still sends the text, it is copied with the new digits in it.

use std::ops::Range;
use std::sync::Arc;

use super::families::{Family, Samples};
use super::render::{Renderer, Sample, Visit, small};
use super::text::{self, Number};
use super::{Choice, Piece};

/// The samples of one family of a few resources.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) text: Piece,
    /// Another one for each text that it ever had, and no other block ever had it.
    pub(super) stamp: u64,
    samples: Vec<Sample>,
    /// Where each row ends in both.
    ends: Vec<(u32, u32)>,
}

/// A row that has changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Changed {
    pub(super) row: usize,
    /// The number in the renderer if it was written anew; else there are patches.
    pub(super) fresh: Option<usize>,
}

/// New numbers of one family.
#[derive(Debug, Default)]
pub(super) struct Patches {
    list: Vec<Patch>,
    /// The digits of all of them.
    digits: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Patch {
    row: usize,
    /// Its number in the block.
    sample: usize,
    bits: u64,
    start: usize,
    end: usize,
}

impl Patches {
    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.digits.clear();
    }

    /// The row is written anew instead. It is the last one that was looked at.
    pub(super) fn forget(&mut self, row: usize) {
        while self.list.last().is_some_and(|patch| patch.row == row) {
            self.list.pop();
        }
    }

    fn push(&mut self, row: usize, sample: usize, number: Number) {
        let start = self.digits.len();
        text::digits(&mut self.digits, number);
        self.list.push(Patch { row, sample, bits: number.bits(), start, end: self.digits.len() });
    }

    fn digits(&self, patch: &Patch) -> &[u8] {
        &self.digits[patch.start..patch.end]
    }
}

/// Looks for the numbers of a row that differ from what is written.
pub(super) struct Compare<'a> {
    pub(super) blocks: &'a [Block],
    /// One for each block.
    pub(super) patches: &'a mut [Patches],
    pub(super) row: usize,
    pub(super) choice: Choice,
    /// Whether the row has the same samples as before. If not, its patches are worth nothing.
    pub(super) fits: bool,
}

impl Visit for Compare<'_> {
    fn family<T>(&mut self, number: usize, family: &Family<T>, first: usize, objects: &[&T]) {
        if !self.fits || family.of_state || !self.choice.wants(family) {
            return;
        }
        let block = &self.blocks[number];
        match &family.samples {
            Samples::Number(of) => {
                let range = block.samples_of(self.row);
                let mut at = range.start;
                for (object, part) in objects.iter().enumerate() {
                    let Some(new) = of(part) else { continue };
                    let old = block.samples[..range.end].get(at);
                    let Some(old) = old.filter(|old| old.object as usize == first + object) else {
                        self.fits = false;
                        return;
                    };
                    if old.bits != new.bits() {
                        self.patches[number].push(self.row, at, new);
                    }
                    at += 1;
                }
                self.fits = at == range.end;
            }
            // Some of them are statistics to DRBD; hardly any has a word in it.
            Samples::Set { words, .. } => {
                self.fits = block.row(self.row).is_empty();
                for part in objects {
                    words(part, &mut |_| self.fits = false);
                }
            }
            // They are states.
            Samples::Word { .. } | Samples::States { .. } => {}
        }
    }
}

impl Block {
    fn row(&self, number: usize) -> Range<usize> {
        let start = if number == 0 { 0 } else { self.ends[number - 1].0 };
        start as usize..self.ends[number].0 as usize
    }

    fn samples_of(&self, row: usize) -> Range<usize> {
        let start = if row == 0 { 0 } else { self.ends[row - 1].1 };
        start as usize..self.ends[row].1 as usize
    }

    /// Takes over what has changed of its `rows` rows. `changed` is by row; there are patches only of rows in it. `stamps` is the last
    /// stamp that anybody has got.
    pub(super) fn change(
        &mut self,
        rows: usize,
        changed: &[Changed],
        patches: &Patches,
        renderer: &Renderer,
        family: usize,
        stamps: &mut u64,
    ) {
        let fresh = |changed: &Changed| changed.fresh.map(|at| renderer.written(at, family));
        // Most families hardly ever change: then it does not matter who reads the text.
        let is_same = self.ends.len() == rows
            && patches.list.is_empty()
            && changed.iter().all(|one| fresh(one).is_none_or(|(text, _)| self.text[self.row(one.row)] == *text));
        if is_same {
            return;
        }
        if !self.write_over(rows, changed, patches, fresh) {
            self.rebuild(rows, changed, patches, fresh);
        }
        *stamps += 1;
        self.stamp = *stamps;
    }

    /// Writes over what was there, if that is possible: nobody reads it, and everything is as long as before.
    fn write_over<'a>(
        &mut self,
        rows: usize,
        changed: &[Changed],
        patches: &Patches,
        fresh: impl Fn(&Changed) -> Option<(&'a [u8], &'a [Sample])>,
    ) -> bool {
        let fits = self.ends.len() == rows
            && patches.list.iter().all(|patch| self.samples[patch.sample].digits as usize == patch.end - patch.start)
            && changed.iter().all(|one| {
                fresh(one).is_none_or(|(text, samples)| {
                    text.len() == self.row(one.row).len() && samples.len() == self.samples_of(one.row).len()
                })
            });
        if !fits || Arc::get_mut(&mut self.text).is_none() {
            return false;
        }
        for patch in &patches.list {
            let begin = self.row(patch.row).start + self.samples[patch.sample].start as usize;
            self.samples[patch.sample].bits = patch.bits;
            if let Some(text) = Arc::get_mut(&mut self.text) {
                text[begin..begin + (patch.end - patch.start)].copy_from_slice(patches.digits(patch));
            }
        }
        for one in changed {
            let Some((new, samples)) = fresh(one) else { continue };
            let (row, at) = (self.row(one.row), self.samples_of(one.row));
            self.samples[at].copy_from_slice(samples);
            if let Some(text) = Arc::get_mut(&mut self.text) {
                text[row].copy_from_slice(new);
            }
        }
        true
    }

    /// Puts the text together from the old one and what is new.
    fn rebuild<'a>(
        &mut self,
        rows: usize,
        changed: &[Changed],
        patches: &Patches,
        fresh: impl Fn(&Changed) -> Option<(&'a [u8], &'a [Sample])>,
    ) {
        let new: usize = changed.iter().filter_map(&fresh).map(|(text, _)| text.len()).sum();
        let is_all_new = changed.len() == rows && changed.iter().all(|one| one.fresh.is_some());
        let room = if is_all_new { new } else { self.text.len() + new + 8 * patches.list.len() };
        let mut next = Self { samples: Vec::new(), ends: Vec::with_capacity(rows), ..Self::default() };
        next.samples.reserve_exact(self.samples.len());
        let mut text = Vec::with_capacity(room);
        let (mut changed, mut patches_left) = (changed.iter().peekable(), patches.list.as_slice());
        for row in 0..rows {
            let of_row = patches_left.iter().take_while(|patch| patch.row == row).count();
            let (of_row, rest) = patches_left.split_at(of_row);
            patches_left = rest;
            match changed.next_if(|one| one.row == row).and_then(&fresh) {
                Some((new, samples)) => {
                    text.extend_from_slice(new);
                    next.samples.extend_from_slice(samples);
                }
                None => self.copy_row(row, of_row, patches, &mut text, &mut next.samples),
            }
            next.ends.push((small(text.len()), small(next.samples.len())));
        }
        text.shrink_to_fit();
        next.text = Arc::new(text);
        *self = next;
    }

    /// Copies a row with its patches in it.
    fn copy_row(&self, row: usize, of_row: &[Patch], patches: &Patches, text: &mut Vec<u8>, samples: &mut Vec<Sample>) {
        let old = &self.text[self.row(row)];
        let range = self.samples_of(row);
        let (begin, first) = (text.len(), samples.len());
        samples.extend_from_slice(&self.samples[range.clone()]);
        let mut copied = 0;
        let mut of_row = of_row.iter().peekable();
        if of_row.peek().is_none() {
            text.extend_from_slice(old);
            return;
        }
        for (at, sample) in samples[first..].iter_mut().enumerate() {
            let (start, end) = (sample.start as usize, (sample.start + sample.digits) as usize);
            text.extend_from_slice(&old[copied..start]);
            sample.start = small(text.len() - begin);
            match of_row.next_if(|patch| patch.sample == range.start + at) {
                Some(patch) => {
                    text.extend_from_slice(patches.digits(patch));
                    (sample.bits, sample.digits) = (patch.bits, small(patch.end - patch.start));
                }
                None => text.extend_from_slice(&old[start..end]),
            }
            copied = end;
        }
        text.extend_from_slice(&old[copied..]);
    }
}
