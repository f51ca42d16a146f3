//! A condition of `reactorctl wait`: any text. What is read is printed so that it reads back as the same, and can be judged; what is refused has
//! its caret below the text.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use reactor_api::Status;
use reactor_api::objects::{WireConnection, WireDevice, WireResource};
use reactorctl::expression::{Known, parse};

/// A resource with a volume and a peer.
static STATUS: LazyLock<Status> = LazyLock::new(|| {
    let resource = WireResource {
        name: "r0".to_owned(),
        devices: vec![WireDevice::default()],
        connections: vec![WireConnection::default()],
        ..WireResource::default()
    };
    Status { resources: vec![resource], ..Status::default() }
});

fuzz_target!(|text: &str| {
    match parse(text) {
        Ok(condition) => {
            assert_eq!(parse(&condition.to_string()), Ok(condition.clone()));
            let verdict = condition.judge(&Known::of(&STATUS, "r0"));
            assert_eq!(verdict.is_met, verdict.missing.is_empty());
        }
        Err(mistake) => {
            let caret = mistake.caret(text);
            // At the end of the text it stands behind it.
            assert!(!caret.is_empty() && caret.end <= text.chars().count().max(caret.start + 1));
            assert!(caret.start <= text.chars().count());
            assert!(mistake.render(text).chars().all(|c| c == '\n' || !c.is_control()));
        }
    }
});
