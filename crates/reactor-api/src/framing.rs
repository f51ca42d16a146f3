//! Bytes to messages and back: a message ends with a NUL byte, which JSON text cannot contain.
//!
//! Pure: no I/O. Any bytes are legal input; a message over the limit is the one thing that can be wrong here.

use serde::Serialize;

/// Longest message that the server reads. A reply may be longer: a status of a thousand resources is.
pub const MAX_REQUEST_BYTES: usize = 1024 * 1024;

/// Longest message that the client reads.
pub const MAX_REPLY_BYTES: usize = 256 * 1024 * 1024;

/// Memory that a stream keeps between messages.
const KEPT_BYTES: usize = 64 * 1024;

/// A message does not end within the limit. The stream is of no use any more: where the next message begins is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("message is longer than {limit} bytes")]
pub struct TooLong {
    /// The limit.
    pub limit: usize,
}

/// Cuts a stream of bytes into messages.
#[derive(Debug)]
pub struct Frames {
    buffer: Vec<u8>,
    /// Everything before this was handed out.
    start: usize,
    /// Everything before this has no NUL: each byte is looked at once, however small the pieces are.
    searched: usize,
    limit: usize,
}

impl Frames {
    /// For messages of at most `limit` bytes, the NUL not counted.
    pub fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, searched: 0, limit }
    }

    /// Takes the next piece of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
            // A connection that once sent much and then waits must not keep it.
            self.buffer.shrink_to(KEPT_BYTES);
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message without its NUL; `None` until more bytes come.
    pub fn next_message(&mut self) -> Result<Option<&[u8]>, TooLong> {
        let too_long = TooLong { limit: self.limit };
        let Some(offset) = self.buffer[self.searched..].iter().position(|&byte| byte == 0) else {
            self.searched = self.buffer.len();
            return if self.buffer.len() - self.start > self.limit { Err(too_long) } else { Ok(None) };
        };
        let (start, end) = (self.start, self.searched + offset);
        if end - start > self.limit {
            return Err(too_long);
        }
        self.start = end + 1;
        self.searched = self.start;
        Ok(Some(&self.buffer[start..end]))
    }

    /// Whether a message has begun and not ended.
    pub fn is_partial(&self) -> bool {
        self.start < self.buffer.len()
    }
}

/// A value as a message, with its NUL.
///
/// # Panics
/// Never for our own types: they have only string keys and no values that fail to serialise.
pub fn message(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(value).expect("wire types have string keys and finite numbers");
    bytes.push(0);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All messages of `bytes`, given in pieces of `piece` bytes.
    fn cut(bytes: &[u8], piece: usize, limit: usize) -> Result<Vec<Vec<u8>>, TooLong> {
        let mut frames = Frames::new(limit);
        let mut messages = Vec::new();
        for part in bytes.chunks(piece) {
            frames.push(part);
            while let Some(message) = frames.next_message()? {
                messages.push(message.to_vec());
            }
        }
        Ok(messages)
    }

    #[test]
    fn messages_come_whole_however_they_are_cut() {
        let bytes = b"{\"a\":1}\0\0{}\0rest";
        for piece in 1..=bytes.len() {
            assert_eq!(cut(bytes, piece, 100), Ok(vec![b"{\"a\":1}".to_vec(), Vec::new(), b"{}".to_vec()]));
        }
    }

    #[test]
    fn the_limit_holds_with_and_without_an_end() {
        assert_eq!(cut(b"1234\0", 9, 4), Ok(vec![b"1234".to_vec()]));
        assert_eq!(cut(b"12345\0", 9, 4), Err(TooLong { limit: 4 }));
        assert_eq!(cut(b"12345", 1, 4), Err(TooLong { limit: 4 }));
        // Finished messages do not count.
        assert_eq!(cut(b"1234\x001234\x001234\0", 2, 4).map(|messages| messages.len()), Ok(3));
    }

    #[test]
    fn partial_is_what_has_begun() {
        let mut frames = Frames::new(10);
        assert!(!frames.is_partial());
        frames.push(b"{}\0{");
        assert!(matches!(frames.next_message(), Ok(Some(b"{}"))));
        assert!(frames.is_partial());
        frames.push(b"}\0");
        assert!(matches!(frames.next_message(), Ok(Some(b"{}"))));
        assert!(!frames.is_partial());
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_same(
            bytes in proptest::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..200),
            piece in 1usize..20,
        ) {
            let expected: Vec<_> = bytes.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
            let (_rest, messages) = expected.split_last().expect("split gives at least one part");
            prop_assert_eq!(cut(&bytes, piece, 1000), Ok(messages.to_vec()));
        }
    }
}
