//! Whether a condition is met, and what is missing still.

use std::fmt;

use reactor_api::objects::{WireConnection, WireResource};
use reactor_api::{PromotedStatus, Status};

use super::fields::Values;
use super::{Expression, Op, Test, Value, Which};

/// What one daemon knows of one resource.
#[derive(Clone, Copy, Debug)]
pub struct Known<'s> {
    /// The node that says so.
    pub node: &'s str,
    /// What DRBD says.
    pub drbd: Option<&'s WireResource>,
    /// What a promoter says.
    pub promoted: Option<&'s PromotedStatus>,
    /// Whether the node is drained.
    pub is_drained: bool,
}

impl<'s> Known<'s> {
    /// Of a status.
    pub fn of(status: &'s Status, resource: &str) -> Self {
        Self {
            node: &status.node,
            drbd: status.resources.iter().find(|one| one.name == resource),
            promoted: status.promoted.iter().find(|one| one.resource == resource),
            is_drained: status.drained.is_some(),
        }
    }

    /// Whether anybody there has the resource.
    pub fn is_there(&self) -> bool {
        self.drbd.is_some() || self.promoted.is_some()
    }

    pub(super) fn connections(&self) -> impl Iterator<Item = &'s WireConnection> {
        self.drbd.into_iter().flat_map(|drbd| &drbd.connections)
    }
}

/// Whether a condition is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is.
    pub is_met: bool,
    /// What is missing; of several ways, all. Empty if it is met.
    pub missing: Vec<Missing>,
}

/// A part that is not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The part.
    pub part: String,
    /// How it is instead.
    pub is: Vec<String>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.part, self.is.join(", "))
    }
}

impl Expression {
    /// Judges it.
    pub fn judge(&self, known: &Known<'_>) -> Verdict {
        match self {
            Self::Test(test) => test.judge(known),
            Self::And(parts) => {
                let unmet = parts.iter().map(|part| part.judge(known)).filter(|verdict| !verdict.is_met);
                let missing: Vec<Missing> = unmet.flat_map(|verdict| verdict.missing).collect();
                Verdict { is_met: missing.is_empty(), missing }
            }
            Self::Or(parts) => {
                let all: Vec<Verdict> = parts.iter().map(|part| part.judge(known)).collect();
                if all.iter().any(|verdict| verdict.is_met) {
                    return Verdict { is_met: true, missing: Vec::new() };
                }
                Verdict { is_met: false, missing: all.into_iter().flat_map(|verdict| verdict.missing).collect() }
            }
            Self::Not(part) => {
                let is_met = !part.judge(known).is_met;
                let missing = || vec![Missing { part: self.to_string(), is: vec!["it is so".to_owned()] }];
                Verdict { is_met, missing: if is_met { Vec::new() } else { missing() } }
            }
        }
    }
}

impl Test {
    fn judge(&self, known: &Known<'_>) -> Verdict {
        let mut values = Values::new();
        (self.field.values)(known, &mut values);
        let is_so = |value: &Option<Value>| value.as_ref().is_some_and(|value| self.op.holds(value, &self.value));
        let is_met = match self.which {
            Which::Every => !values.is_empty() && values.iter().all(|(_, value)| is_so(value)),
            Which::Any => values.iter().any(|(_, value)| is_so(value)),
        };
        if is_met {
            return Verdict { is_met, missing: Vec::new() };
        }
        let mut is: Vec<String> = values.iter().filter(|(_, value)| !is_so(value)).map(describe).collect();
        if is.is_empty() {
            is.push("there is none".to_owned());
        }
        Verdict { is_met, missing: vec![Missing { part: self.to_string(), is }] }
    }
}

fn describe((of, value): &(String, Option<Value>)) -> String {
    let value = value.as_ref().map_or_else(|| "not said".to_owned(), Value::to_string);
    if of.is_empty() { format!("it is {value}") } else { format!("{of} is {value}") }
}

impl Op {
    /// Whether `is` stands in this relation to `wanted`. Texts and flags have no order, which the parser has seen to.
    fn holds(self, is: &Value, wanted: &Value) -> bool {
        match self {
            Self::Equal => is == wanted,
            Self::NotEqual => is != wanted,
            Self::Less => numbers(is, wanted).is_some_and(|(is, wanted)| is < wanted),
            Self::AtMost => numbers(is, wanted).is_some_and(|(is, wanted)| is <= wanted),
            Self::More => numbers(is, wanted).is_some_and(|(is, wanted)| is > wanted),
            Self::AtLeast => numbers(is, wanted).is_some_and(|(is, wanted)| is >= wanted),
        }
    }
}

fn numbers(is: &Value, wanted: &Value) -> Option<(f64, f64)> {
    match (is, wanted) {
        (Value::Number(is), Value::Number(wanted)) => Some((*is, *wanted)),
        _ => None,
    }
}
