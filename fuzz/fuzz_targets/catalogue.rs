//! Any message of the kernel and of the tools of storage, classified.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use reactor_storage::catalogue::Catalogue;
use reactor_storage::fuzzing;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::built_in);

fuzz_target!(|bytes: &[u8]| {
    fuzzing::any_message(&CATALOGUE, bytes);
});
