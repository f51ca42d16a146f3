//! Conditions on a resource, as `reactorctl wait` takes them: `role=Primary and disk=UpToDate and peers>=2`.
//!
//! ```text
//! text ─▶ parse ─▶ Expression ─▶ judge(what is known of a resource) ─▶ met, or what is missing still
//!                      └─▶ Display, which reads back as the same
//! ```
//!
//! A field stands for one value or for several (each volume, each peer). A test is met if it is met by every one of them, and there is one at least; with
//! `any` in front, if it is met by one.

mod fields;
mod judge;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt;

pub(crate) use fields::help;
pub use fields::{Field, Kind, markdown};
pub use judge::{Known, Missing, Verdict};
pub use parse::{Mistake, parse};

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// One of these at least. Two or more, none of them an `Or`.
    Or(Vec<Expression>),
    /// All of these. Two or more, none of them an `And`.
    And(Vec<Expression>),
    /// Not this.
    Not(Box<Expression>),
    /// One field is compared.
    Test(Test),
}

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// How many of its values have to be so.
    pub which: Which,
    /// What is compared.
    pub field: &'static Field,
    /// How.
    pub op: Op,
    /// With what.
    pub value: Value,
}

/// How many values of a field have to be so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All, and there is one.
    Every,
    /// One at least.
    Any,
}

/// How values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

impl Op {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        }
    }
}

/// A value, in a condition and of a resource.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `yes` or `no`.
    Flag(bool),
    /// A number; never infinite.
    Number(f64),
    /// A word, or a text.
    Word(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(true) => f.write_str("yes"),
            Self::Flag(false) => f.write_str("no"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Word(word) => f.write_str(word),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.which == Which::Any {
            f.write_str("any ")?;
        }
        write!(f, "{}{}", self.field.name, self.op.as_str())?;
        match &self.value {
            // Every other word would be read as one of them, or not at all.
            Value::Word(word) if !self.field.has_word(word) => quoted(word, f),
            value => value.fmt(f),
        }
    }
}

fn quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_str("\\")?;
        }
        write!(f, "{c}")?;
    }
    f.write_str("\"")
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, parts: &[Self], between: &str, in_parentheses: fn(&Self) -> bool| {
            for (at, part) in parts.iter().enumerate() {
                if at > 0 {
                    f.write_str(between)?;
                }
                if in_parentheses(part) { write!(f, "({part})")? } else { write!(f, "{part}")? }
            }
            Ok(())
        };
        match self {
            Self::Or(parts) => list(f, parts, " or ", |part| matches!(part, Self::Or(_))),
            Self::And(parts) => list(f, parts, " and ", |part| matches!(part, Self::Or(_) | Self::And(_))),
            Self::Not(part) => match &**part {
                Self::Or(_) | Self::And(_) => write!(f, "not ({part})"),
                Self::Not(_) | Self::Test(_) => write!(f, "not {part}"),
            },
            Self::Test(test) => test.fmt(f),
        }
    }
}
