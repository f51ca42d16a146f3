//! A file of the recorder: any text.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use reactor_sys::record::read::Reader;

fuzz_target!(|text: &str| {
    let _ = Reader::default().read(Path::new("fuzz"), text);
});
