//! What a client may send to the control socket: any bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reactor_api::call;

fuzz_target!(|bytes: &[u8]| {
    let _ = call::parse_stream(bytes);
});
