//! What `drbdsetup show` prints, in both forms, and what a unit file says of the shim.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = reactor_sys::drbd::options::from_json(text, "r0");
    let _ = reactor_sys::drbd::options::from_text84(text, "r0");
    let _ = reactor_sys::systemd::shim::in_unit(text);
});
