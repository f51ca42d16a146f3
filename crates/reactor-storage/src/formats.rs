//! Forms of logs.
