//! Any datagram as a uevent of the kernel.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reactor_storage::fuzzing;

fuzz_target!(|bytes: &[u8]| {
    fuzzing::any_uevent(bytes);
});
