//! Notices for tests.

use reactor_storage::event::Severity;

use crate::notice::{Notice, Topic};

/// One that says this.
pub(super) fn notice(text: &str, severity: Severity) -> Notice {
    Notice {
        unix_ms: 0,
        topic: Topic::Drbd,
        what: "connection-lost".to_owned(),
        severity,
        text: text.to_owned(),
        because: Vec::new(),
        resources: Vec::new(),
        incident: None,
        event: None,
    }
}
