//! A service file of OpenSVC: any text. No key is told twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reactor_config::opensvc::{Options, import};

fuzz_target!(|text: &str| {
    for node in [None, Some("n2".to_owned())] {
        let import = import(text, &Options { service: "web".to_owned(), node, host: "n1".to_owned() });
        assert!(import.keys.is_sorted_by(|a, b| a.line < b.line), "a key is told twice");
        assert!(!import.report().is_empty());
    }
});
