//! A configuration file: any text, with both sets of defaults.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use reactor_core::settings::Mode;

fuzz_target!(|text: &str| {
    for mode in [Mode::Native, Mode::DrbdReactor] {
        let _ = reactor_config::parse_text(Path::new("/fuzz.toml"), text, mode);
    }
});
