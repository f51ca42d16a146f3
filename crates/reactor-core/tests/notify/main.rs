//! The notify plugin in the real core, fed with events2 text, storage events and news of other plugins: what receivers are told, and what not.

mod limits;
mod news;
mod restart;
mod storage;
#[path = "../shared/storage_event.rs"]
mod storage_event;
mod world;
