//! The umh plugin in the real core, fed with events2 text: which rules fire, what their handlers are given, and what the limits do.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests, too")]

mod answers;
mod handlers;
mod lessons;
mod limits;
mod matching;
mod storms;
mod world;
