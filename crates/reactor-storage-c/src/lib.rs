//! Storage events and block devices for programs in C. `include/reactor_storage.h` is the interface; a test writes it from these functions.
//!
//! ```text
//!   C, Python ─▶ api: pointers in, pointers out ─▶ log (events of a file), reactor-sysfs (devices) ─▶ reactor-storage
//! ```
//!
//! Objects are made by a function and freed by its `_free`; each is used by one thread at a time. A panic is an error with a code of its own and
//! never reaches the caller. No thread is started, and nothing is written anywhere.

#![expect(
    unsafe_code,
    reason = "pointers from C are followed here, in `pointer` and in what `api` declares; nowhere else"
)]

pub mod api;
mod error;
mod log;
mod pointer;

pub use error::Error;
