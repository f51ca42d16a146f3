//! Object identifiers.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

/// An object identifier. The order is that of SNMP: number by number, the shorter one first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Oid(Vec<u32>);

impl Oid {
    /// As many numbers as SNMP allows.
    pub const LONGEST: usize = 128;

    /// `start` with `end` behind it.
    pub fn joined(start: &[u32], end: &[u32]) -> Self {
        let mut numbers = Vec::with_capacity(start.len() + end.len());
        numbers.extend_from_slice(start);
        numbers.extend_from_slice(end);
        Self(numbers)
    }
}

impl From<Vec<u32>> for Oid {
    fn from(numbers: Vec<u32>) -> Self {
        Self(numbers)
    }
}

impl From<&[u32]> for Oid {
    fn from(numbers: &[u32]) -> Self {
        Self(numbers.to_vec())
    }
}

impl Deref for Oid {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        &self.0
    }
}

impl Borrow<[u32]> for Oid {
    fn borrow(&self) -> &[u32] {
        &self.0
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, number) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            fmt::Display::fmt(number, f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
