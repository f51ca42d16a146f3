//! The umh plugin in the real core, fed with events2 text: which rules fire, what their handlers are given, and what the limits do.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests, too")]
#![expect(clippy::disallowed_methods, reason = "tests read recordings; the core itself does not")]

mod answers;
mod drop_in;
mod handlers;
mod lessons;
mod limits;
mod matching;
mod recordings;
mod storage;
#[path = "../shared/storage_event.rs"]
mod storage_event;
mod storms;
mod world;
