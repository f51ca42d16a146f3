//! A log of any form: any bytes. The pieces that it comes in make no difference.
#![no_main]

use libfuzzer_sys::fuzz_target;
use reactor_storage::formats::{Counts, Format, Reader, detect};
use reactor_storage::record::{MAX_TEXT, Record};

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (form, piece, log) = input;
    let _ = detect(log);
    let format = Format::ALL[usize::from(form) % Format::ALL.len()];
    assert_eq!(read(format, log, log.len().max(1)), read(format, log, usize::from(piece) + 1));
});

fn read(format: Format, log: &[u8], piece: usize) -> (Vec<String>, Counts) {
    let mut said = Vec::new();
    let mut each = |record: Record<'_>| {
        // A byte that is no character becomes three.
        assert!(record.text.len() <= 3 * MAX_TEXT);
        said.push(format!("{record:?}"));
    };
    let mut reader = Reader::new(format);
    for piece in log.chunks(piece) {
        reader.push(piece, &mut each);
    }
    reader.end(&mut each);
    let counts = reader.counts();
    (said, counts)
}
