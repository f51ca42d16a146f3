//! A web configuration file of the metrics server: any text.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(fault) = reactor_sys::http::web::parse(text, Path::new("/etc")) {
        assert!(!fault.what.contains('\n'), "{fault}");
    }
});
