//! One table: rows by their index, and which column has a value where.
//!
//! SNMP walks a table column by column, and a column row by row. Rows are kept whole, because that is how they change. A column without any value
//! is passed over at once.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{Oid, Value};

/// The numbers behind the column.
pub(super) type Index = Box<[u32]>;

/// One value for each column.
pub(super) type Row = Box<[Option<Value>]>;

#[derive(Debug)]
pub(super) struct Table {
    /// Of its entry: the number of a column follows.
    entry: Oid,
    /// Numbers of the columns, in order.
    columns: Vec<u32>,
    /// How many rows have a value in each.
    filled: Vec<usize>,
    rows: BTreeMap<Index, Row>,
}

impl Table {
    pub(super) fn new(entry: Oid, columns: Vec<u32>) -> Self {
        let filled = vec![0; columns.len()];
        Self { entry, columns, filled, rows: BTreeMap::new() }
    }

    /// Takes over a row; a row that has this index goes.
    pub(super) fn insert(&mut self, index: Index, row: Row) {
        self.count(&row, 1);
        if let Some(old) = self.rows.insert(index, row) {
            self.count(&old, -1);
        }
    }

    pub(super) fn remove(&mut self, index: &[u32]) {
        if let Some(old) = self.rows.remove(index) {
            self.count(&old, -1);
        }
    }

    /// Removes the rows that are not wanted.
    pub(super) fn retain(&mut self, wanted: impl Fn(&[u32]) -> bool) {
        let unwanted: Vec<Index> = self.rows.keys().filter(|index| !wanted(index)).cloned().collect();
        unwanted.iter().for_each(|index| self.remove(index));
    }

    fn count(&mut self, row: &Row, by: isize) {
        for (filled, value) in self.filled.iter_mut().zip(row) {
            if value.is_some() {
                *filled = filled.saturating_add_signed(by);
            }
        }
    }

    /// What is behind the entry in `oid`, if it is within.
    fn within<'a>(&self, oid: &'a [u32]) -> Option<&'a [u32]> {
        oid.strip_prefix(&*self.entry)
    }

    pub(super) fn has_column(&self, oid: &[u32]) -> bool {
        self.within(oid).and_then(<[u32]>::first).is_some_and(|column| self.columns.binary_search(column).is_ok())
    }

    pub(super) fn get(&self, oid: &[u32]) -> Option<&Value> {
        let (column, index) = self.within(oid)?.split_first()?;
        let at = self.columns.binary_search(column).ok()?;
        self.rows.get(index)?[at].as_ref()
    }

    /// The first instance behind `oid`.
    pub(super) fn next(&self, oid: &[u32]) -> Option<(Oid, &Value)> {
        let Some(rest) = self.within(oid) else {
            // Either all of it is behind `oid`, or nothing.
            return if oid < &*self.entry { self.first_from(0) } else { None };
        };
        let Some((column, index)) = rest.split_first() else { return self.first_from(0) };
        match self.columns.binary_search(column) {
            Err(at) => self.first_from(at),
            Ok(at) => self.first_in(at, Bound::Excluded(index)).or_else(|| self.first_from(at + 1)),
        }
    }

    fn first_from(&self, column: usize) -> Option<(Oid, &Value)> {
        (column..self.columns.len()).find_map(|at| self.first_in(at, Bound::Unbounded))
    }

    fn first_in(&self, at: usize, begin: Bound<&[u32]>) -> Option<(Oid, &Value)> {
        if self.filled[at] == 0 {
            return None;
        }
        let mut rows = self.rows.range::<[u32], _>((begin, Bound::Unbounded));
        rows.find_map(|(index, row)| {
            let value = row[at].as_ref()?;
            let mut numbers = Vec::with_capacity(self.entry.len() + 1 + index.len());
            numbers.extend_from_slice(&self.entry);
            numbers.push(self.columns[at]);
            numbers.extend_from_slice(index);
            Some((Oid::from(numbers), value))
        })
    }
}
