//! Compressed answers. A piece of the text is compressed once, for all who ask until it changes.
//!
//! ```text
//!   gzip:  header | piece ▸ sync flush | piece ▸ sync flush | ... | empty last block | CRC-32 of all | length of all
//!                   └── kept by the stamp of the piece
//! ```
//!
//! Each piece is compressed without what came before it, and ends at a whole byte, so that pieces can be put behind each other as
//! they are. All of it is one member: readers that know of one only, of which there are many, would lose the rest of several. The
//! sums of the pieces are put together to that of the whole, so what is kept is never decompressed or read again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress};
use hyper::HeaderMap;
use hyper::header::ACCEPT_ENCODING;

/// The fastest: this text is a tenth of itself with any of them, and a scrape has a reader that waits.
const LEVEL: Compression = Compression::fast();

/// Deflate, no name, no time, fastest, from Unix.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 3];

/// An empty last block.
const LAST: [u8; 2] = [3, 0];

/// A piece of text, compressed.
#[derive(Clone, Debug)]
pub(super) struct Squeezed {
    pub(super) bytes: Bytes,
    sum: Hasher,
}

/// The compressed pieces of the newest text.
#[derive(Default)]
pub(super) struct Press {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Made with the first that is asked for; a quarter of a megabyte.
    compress: Option<Compress>,
    kept: BTreeMap<u64, Squeezed>,
    /// The stamps of the newest text. Pieces of older ones are not kept.
    newest: BTreeSet<u64>,
}

impl std::fmt::Debug for Press {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} compressed pieces", self.inner().kept.len())
    }
}

impl Press {
    /// There is a newer text, with pieces of these stamps.
    pub(super) fn renew(&self, stamps: impl Iterator<Item = u64>) {
        let mut inner = self.inner();
        // Nobody has ever asked.
        if inner.compress.is_none() {
            return;
        }
        inner.newest = stamps.collect();
        let Inner { kept, newest, .. } = &mut *inner;
        kept.retain(|stamp, _| newest.contains(stamp));
    }

    /// From now on pieces are compressed; `stamps` are those of the newest text.
    pub(super) fn begin(&self, stamps: impl Iterator<Item = u64>) {
        let mut inner = self.inner();
        if inner.compress.is_none() {
            inner.compress = Some(Compress::new(LEVEL, false));
            inner.newest = stamps.collect();
        }
    }

    /// A piece, compressed, and whether that had to be done now. Without a stamp it is not kept.
    pub(super) fn squeeze(&self, stamp: Option<u64>, text: &[u8]) -> (Squeezed, bool) {
        let mut inner = self.inner();
        let Inner { compress, kept, newest } = &mut *inner;
        if let Some(squeezed) = stamp.and_then(|stamp| kept.get(&stamp)) {
            return (squeezed.clone(), false);
        }
        let squeezed = deflate(compress.get_or_insert_with(|| Compress::new(LEVEL, false)), text);
        if let Some(stamp) = stamp.filter(|stamp| newest.contains(stamp)) {
            kept.insert(stamp, squeezed.clone());
        }
        (squeezed, true)
    }

    /// Bytes that are kept.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.inner().kept.values().map(|squeezed| squeezed.bytes.len()).sum()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One piece: no look back, and a whole number of bytes.
fn deflate(compress: &mut Compress, text: &[u8]) -> Squeezed {
    compress.reset();
    let mut bytes = Vec::with_capacity(text.len() / 8 + 64);
    let mut done = 0;
    loop {
        // Nothing but a bug can make it fail: there is no data that cannot be compressed.
        let status = compress.compress_vec(&text[done..], &mut bytes, FlushCompress::Sync);
        done = usize::try_from(compress.total_in()).unwrap_or(text.len()).min(text.len());
        // All is flushed when there was room left.
        if status.is_err() || (done == text.len() && bytes.len() < bytes.capacity()) {
            break;
        }
        bytes.reserve(bytes.capacity().max(64));
    }
    let mut sum = Hasher::new();
    sum.update(text);
    bytes.shrink_to_fit();
    Squeezed { bytes: bytes.into(), sum }
}

/// The stream around the pieces.
#[derive(Debug, Default)]
pub(super) struct Member {
    sum: Hasher,
    begun: bool,
}

impl Member {
    /// Adds a piece.
    pub(super) fn add(&mut self, out: &mut Vec<u8>, piece: &Squeezed) {
        if !std::mem::replace(&mut self.begun, true) {
            out.extend_from_slice(&HEADER);
        }
        out.extend_from_slice(&piece.bytes);
        self.sum.combine(&piece.sum);
    }

    /// Ends it; `length` is that of the text.
    pub(super) fn end(self, out: &mut Vec<u8>, length: u64) {
        out.extend_from_slice(&LAST);
        out.extend_from_slice(&self.sum.finalize().to_le_bytes());
        // Of the length only the last 32 bits are there.
        out.extend_from_slice(&length.to_le_bytes()[..4]);
    }
}

/// Whether a client wants gzip, and does not like the plain text better.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let (mut gzip, mut any, mut plain) = (None, None, None);
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    for entry in values.flat_map(|value| value.split(',')) {
        let mut parts = entry.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        // What cannot be understood is not wanted.
        let quality = quality.map_or(1.0, |quality| quality.trim().parse::<f32>().unwrap_or(0.0));
        let place = match coding.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => &mut gzip,
            "*" => &mut any,
            "identity" => &mut plain,
            _ => continue,
        };
        *place = Some(quality);
    }
    let gzip = gzip.or(any).unwrap_or(0.0);
    gzip > 0.0 && gzip >= plain.unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use proptest::prelude::*;

    use super::*;

    fn gunzip(bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        // This one knows of one member only, and checks sum and length.
        let mut reader = flate2::bufread::GzDecoder::new(bytes);
        reader.read_to_end(&mut text).unwrap();
        assert!(reader.into_inner().is_empty(), "something follows the member");
        text
    }

    fn zip(press: &Press, pieces: &[(Option<u64>, &[u8])]) -> Vec<u8> {
        let (mut out, mut member, mut length) = (Vec::new(), Member::default(), 0);
        for (stamp, text) in pieces {
            member.add(&mut out, &press.squeeze(*stamp, text).0);
            length += text.len() as u64;
        }
        member.end(&mut out, length);
        out
    }

    #[test]
    fn a_piece_is_compressed_once_until_there_is_a_newer_text() {
        let press = Press::default();
        press.begin([1, 2].into_iter());
        let text = b"drbd_resource_role{name=\"r0\"} 1\n".repeat(100);
        assert!(press.squeeze(Some(1), &text).1);
        assert!(!press.squeeze(Some(1), &text).1);
        assert!(press.squeeze(None, &text).1 && press.squeeze(None, &text).1);
        assert!(press.squeeze(Some(7), &text).1 && press.squeeze(Some(7), &text).1, "an old text is not kept");
        assert!(press.bytes() < text.len() / 10);
        press.renew([2, 3].into_iter());
        assert_eq!(press.bytes(), 0);
        assert!(press.squeeze(Some(3), &text).1);
        assert!(!press.squeeze(Some(3), &text).1);
        assert_eq!(
            gunzip(&zip(&press, &[(Some(3), &text), (None, b"x"), (Some(3), &text)])),
            [&text[..], b"x", &text].concat()
        );
    }

    #[test]
    fn who_wants_it() {
        let check = |values: &[&'static str], expected: bool| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(ACCEPT_ENCODING, hyper::header::HeaderValue::from_static(value));
            }
            assert_eq!(is_wanted(&headers), expected, "{values:?}");
        };
        for wanted in [
            "gzip",
            "GZIP",
            "deflate, gzip;q=1.0, *;q=0.5",
            "br, *",
            "x-gzip",
            "gzip;q=0.001",
            "identity;q=0.5, gzip;q=0.5",
        ] {
            check(&[wanted], true);
        }
        for not in [
            "",
            "identity",
            "br",
            "gzip;q=0",
            "gzip; q=0.000",
            "*;q=0",
            "*, gzip;q=0",
            "identity, gzip;q=0.5",
            "gzip;q=x",
            "gzippy",
        ] {
            check(&[not], false);
        }
        check(&[], false);
        check(&["br", "gzip"], true);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn whatever_the_pieces_the_text_comes_back(
            pieces in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..5000), 1_usize..50), 0..8),
        ) {
            let press = Press::default();
            press.begin(0..100);
            // Both what can't be compressed and what can.
            let texts: Vec<Vec<u8>> = pieces.iter().map(|(_, text, times)| text.repeat(*times)).collect();
            let stamped: Vec<(Option<u64>, &[u8])> = (0..).zip(&pieces).zip(&texts)
                .map(|((number, (is_kept, ..)), text)| (is_kept.then_some(number), text.as_slice())).collect();
            for _ in 0..2 {
                if stamped.is_empty() { continue }
                prop_assert_eq!(gunzip(&zip(&press, &stamped)), texts.concat());
            }
        }
    }
}
