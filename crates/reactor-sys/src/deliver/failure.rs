//! Why an attempt failed, and what follows.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::chain::chain;

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// For the log and the status, without secrets.
    pub(super) why: String,
    pub(super) then: Then,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It is tried again; not before that time, if the receiver asked for one.
    Again(Option<Duration>),
    /// It would be refused again: this message is given up.
    Drop,
}

impl Failure {
    /// Something that may be better later.
    pub(super) fn again(why: impl Into<String>) -> Self {
        Self { why: why.into(), then: Then::Again(None) }
    }

    /// The same, with what the system says.
    pub(super) fn of(what: impl fmt::Display, error: &dyn Error) -> Self {
        Self::again(format!("{what}: {}", chain(error)))
    }

    /// Refused for good.
    pub(super) fn refused(why: impl Into<String>) -> Self {
        Self { why: why.into(), then: Then::Drop }
    }
}
