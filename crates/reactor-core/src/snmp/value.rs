//! Values of objects.

use std::sync::Arc;

use super::Oid;

/// Bytes of a `DisplayString`.
const TEXT_MAX: usize = 255;

/// A value with its type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// `Integer32`, also `TruthValue`.
    Integer(i32),
    /// `Gauge32` and `Unsigned32`, which are the same on the wire.
    Gauge32(u32),
    /// `Counter64`.
    Counter64(u64),
    /// `OCTET STRING`.
    Text(Arc<str>),
    /// `OBJECT IDENTIFIER`, which only notifications have.
    Oid(Oid),
}

impl Value {
    /// A text. What is longer than `DisplayString` allows is cut.
    pub fn text(text: &str) -> Self {
        let end = (0..=text.len().min(TEXT_MAX)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        Self::Text(Arc::from(&text[..end]))
    }

    /// `TruthValue`: 1 is true, 2 is false.
    pub fn truth(flag: bool) -> Self {
        Self::Integer(if flag { 1 } else { 2 })
    }

    /// A number of `Integer32`; what is too large is shown as the largest.
    pub(super) fn integer(number: impl TryInto<i32>) -> Self {
        Self::Integer(number.try_into().unwrap_or(i32::MAX))
    }

    /// A number of `Gauge32`; what is too large is shown as the largest.
    pub(super) fn gauge(number: u64) -> Self {
        Self::Gauge32(u32::try_from(number).unwrap_or(u32::MAX))
    }
}
