//! A service file of OpenSVC: any text. No key is told twice, and our reader takes what is written.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use reactor_config::opensvc::{Options, import};
use reactor_core::settings::Mode;

fuzz_target!(|text: &str| {
    for node in [None, Some("n2".to_owned())] {
        let import = import(text, &Options { service: "web".to_owned(), node, host: "n1".to_owned() });
        assert!(import.keys.is_sorted_by(|a, b| a.line < b.line), "a key is told twice");
        assert!(!import.report().is_empty());
        for file in import.files.iter().filter(|file| file.name.ends_with(".toml")) {
            let (_, findings) = reactor_config::parse_snippet(Path::new("/web.toml"), &file.text, Mode::Native);
            let error = findings.iter().find(|finding| finding.is_error());
            assert!(error.is_none(), "{error:?}\n{}", file.text);
        }
    }
});
