//! One line of events2: any bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reactor_core::drbd::events2;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    for line in text.lines() {
        let _ = events2::parse(line);
    }
});
