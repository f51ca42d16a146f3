//! AgentX on the wire (RFC 2741), as much of it as a subagent reads and writes.
//!
//! ```text
//!   header, 20 bytes: version, type, flags, 0 | session | transaction | packet | length of the payload      payload: a multiple of 4
//! ```
//!
//! What is read comes from a peer: its length is checked before there is room for it, and nothing that it says makes us take more memory than its
//! own size.

use reactor_core::snmp::{Oid, Value};

/// Bytes of a header.
pub const HEADER: usize = 20;

/// Bytes of a payload that we read. A request of SNMP has 64 KiB at most, and an identifier needs four times as much here as there.
pub const LONGEST: usize = 256 * 1024;

/// Bytes of an answer. What is longer could not be sent on anyway.
pub const LONGEST_ANSWER: usize = 256 * 1024;

const VERSION: u8 = 1;
const NON_DEFAULT_CONTEXT: u8 = 1 << 3;
const NETWORK_BYTE_ORDER: u8 = 1 << 4;

/// `internet`, which identifiers may leave out.
const INTERNET: [u32; 4] = [1, 3, 6, 1];

/// Why bytes can't be the next message. There is no way to go on after them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadHeader {
    /// Another version of the protocol.
    #[error("it speaks version {0} of AgentX, not 1")]
    Version(u8),
    /// More than we read.
    #[error("it announces a message of {0} bytes; the most is {LONGEST}")]
    TooLong(u32),
    /// No whole words.
    #[error("it announces a message of {0} bytes, which is no multiple of 4")]
    Uneven(u32),
}

/// What a payload can't be understood by. The next message can be read all the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

/// A type of message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names of the standard")]
pub enum Kind {
    Open = 1,
    Close = 2,
    Register = 3,
    Get = 5,
    GetNext = 6,
    GetBulk = 7,
    TestSet = 8,
    CommitSet = 9,
    UndoSet = 10,
    CleanupSet = 11,
    Notify = 12,
    Ping = 13,
    Response = 18,
}

/// An error as the standard numbers it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ErrorCode(pub u16);

#[expect(missing_docs, reason = "the names of the standard")]
impl ErrorCode {
    pub const NONE: Self = Self(0);
    pub const TOO_BIG: Self = Self(1);
    pub const GEN_ERR: Self = Self(5);
    pub const COMMIT_FAILED: Self = Self(14);
    pub const UNDO_FAILED: Self = Self(15);
    pub const NOT_WRITABLE: Self = Self(17);
    pub const NOT_OPEN: Self = Self(257);
    pub const UNSUPPORTED_CONTEXT: Self = Self(262);
    pub const DUPLICATE_REGISTRATION: Self = Self(263);
    pub const PARSE_ERROR: Self = Self(266);

    /// As the standard spells it.
    pub fn name(self) -> &'static str {
        match self.0 {
            0 => "noError",
            1 => "tooBig",
            5 => "genErr",
            14 => "commitFailed",
            15 => "undoFailed",
            17 => "notWritable",
            256 => "openFailed",
            257 => "notOpen",
            258 => "indexWrongType",
            259 => "indexAlreadyAllocated",
            260 => "indexNoneAvailable",
            261 => "indexNotAllocated",
            262 => "unsupportedContext",
            263 => "duplicateRegistration",
            264 => "unknownRegistration",
            265 => "unknownAgentCaps",
            266 => "parseError",
            267 => "requestDenied",
            268 => "processingError",
            _ => "an error without a name",
        }
    }
}

/// The order of bytes in numbers, which each message says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    Big,
    Little,
}

/// A header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    kind: u8,
    flags: u8,
    /// Number of the session.
    pub session: u32,
    /// Number of the request of SNMP.
    pub transaction: u32,
    /// Number of the message.
    pub packet: u32,
    /// Bytes that follow.
    pub length: usize,
}

impl Header {
    /// Reads one; `None` = it is not all there yet.
    ///
    /// # Errors
    ///
    /// The bytes are no header, or announce too much.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, BadHeader> {
        let Some((head, _)) = bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
        if head[0] != VERSION {
            return Err(BadHeader::Version(head[0]));
        }
        let order = order_of(head[2]);
        let number = |at: usize| order.u32([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let length = number(16);
        match usize::try_from(length) {
            Ok(fits) if fits <= LONGEST && length % 4 == 0 => Ok(Some(Self {
                kind: head[1],
                flags: head[2],
                session: number(4),
                transaction: number(8),
                packet: number(12),
                length: fits,
            })),
            Ok(fits) if fits <= LONGEST => Err(BadHeader::Uneven(length)),
            _ => Err(BadHeader::TooLong(length)),
        }
    }

    fn order(&self) -> Order {
        order_of(self.flags)
    }
}

fn order_of(flags: u8) -> Order {
    if flags & NETWORK_BYTE_ORDER == 0 { Order::Little } else { Order::Big }
}

impl Order {
    fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Big => u32::from_be_bytes(bytes),
            Self::Little => u32::from_le_bytes(bytes),
        }
    }

    fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Big => u16::from_be_bytes(bytes),
            Self::Little => u16::from_le_bytes(bytes),
        }
    }
}

/// Where to look.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Range {
    /// From here.
    pub start: Oid,
    /// Whether `start` itself is meant, too.
    pub include: bool,
    /// Up to here, and not this; empty = no end.
    pub end: Oid,
}

/// What a master agent sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// These values.
    Get(Vec<Range>),
    /// The ones behind them.
    GetNext(Vec<Range>),
    /// Those and more.
    GetBulk {
        /// So many of the ranges as in `GetNext`.
        non_repeaters: usize,
        /// The others so often.
        max_repetitions: usize,
        /// Where.
        ranges: Vec<Range>,
    },
    /// May these be set? Nothing may.
    TestSet,
    /// Set them.
    CommitSet,
    /// Set them back.
    UndoSet,
    /// That was all.
    CleanupSet,
    /// The session is over; the number says why.
    Close(u8),
    /// Are you there?
    Ping,
    /// The answer to what we sent.
    Response(ErrorCode),
    /// Something that a subagent does not get.
    Other(u8),
}

/// Reads a payload.
///
/// # Errors
///
/// It is not what its header says; or it is for a context, of which we have none.
pub fn message(header: &Header, payload: &[u8]) -> Result<Message, ErrorCode> {
    let mut reader = Reader { bytes: payload, order: header.order() };
    let parsed = |_: Malformed| ErrorCode::PARSE_ERROR;
    let is = |kind: Kind| header.kind == kind as u8;
    let asks = is(Kind::Get) || is(Kind::GetNext) || is(Kind::GetBulk) || is(Kind::TestSet);
    if asks && header.flags & NON_DEFAULT_CONTEXT != 0 {
        return Err(ErrorCode::UNSUPPORTED_CONTEXT);
    }
    Ok(match header.kind {
        kind if kind == Kind::Get as u8 => Message::Get(reader.ranges().map_err(parsed)?),
        kind if kind == Kind::GetNext as u8 => Message::GetNext(reader.ranges().map_err(parsed)?),
        kind if kind == Kind::GetBulk as u8 => {
            let (non_repeaters, max_repetitions) = (reader.u16().map_err(parsed)?, reader.u16().map_err(parsed)?);
            Message::GetBulk {
                non_repeaters: non_repeaters.into(),
                max_repetitions: max_repetitions.into(),
                ranges: reader.ranges().map_err(parsed)?,
            }
        }
        // The values do not matter: nothing can be set.
        kind if kind == Kind::TestSet as u8 => Message::TestSet,
        kind if kind == Kind::CommitSet as u8 => Message::CommitSet,
        kind if kind == Kind::UndoSet as u8 => Message::UndoSet,
        kind if kind == Kind::CleanupSet as u8 => Message::CleanupSet,
        kind if kind == Kind::Close as u8 => Message::Close(reader.u32_bytes().map_err(parsed)?[0]),
        kind if kind == Kind::Ping as u8 => Message::Ping,
        kind if kind == Kind::Response as u8 => {
            reader.u32_bytes().map_err(parsed)?;
            Message::Response(ErrorCode(reader.u16().map_err(parsed)?))
        }
        other => Message::Other(other),
    })
}

/// What a fuzzer does: whatever comes is a message, or an error, and never more than its own size.
///
/// # Panics
///
/// If it is not so.
pub fn any_message(bytes: &[u8]) {
    let Ok(Some(header)) = Header::read(bytes) else { return };
    let Some(payload) = bytes.get(HEADER..HEADER + header.length) else { return };
    let Ok(Message::Get(ranges) | Message::GetNext(ranges) | Message::GetBulk { ranges, .. }) =
        message(&header, payload)
    else {
        return;
    };
    assert!(8 * ranges.len() <= payload.len(), "a range has 8 bytes at least");
    let mut answer = Writer::answer(&header);
    for range in &ranges {
        assert!(range.start.len() <= Oid::LONGEST && range.end.len() <= Oid::LONGEST, "longer than SNMP allows");
        answer.binding(&range.start, Said::EndOfMibView);
    }
    let sent = answer.finish_answer(ErrorCode::NONE, 0);
    let again = Header::read(&sent);
    assert!(matches!(again, Ok(Some(again)) if again.length + HEADER == sent.len()) || sent.len() > LONGEST);
}

/// The name that a payload begins with, in the byte order of the network.
pub fn name_at(payload: &[u8]) -> Option<Oid> {
    Reader { bytes: payload, order: Order::Big }.oid().ok().map(|(oid, _)| oid)
}

struct Reader<'a> {
    bytes: &'a [u8],
    order: Order,
}

impl Reader<'_> {
    fn u32_bytes(&mut self) -> Result<[u8; 4], Malformed> {
        let (first, rest) = self.bytes.split_first_chunk().ok_or(Malformed)?;
        self.bytes = rest;
        Ok(*first)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(self.order.u32(self.u32_bytes()?))
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        let (first, rest) = self.bytes.split_first_chunk().ok_or(Malformed)?;
        self.bytes = rest;
        Ok(self.order.u16(*first))
    }

    /// An identifier, and its `include`.
    fn oid(&mut self) -> Result<(Oid, bool), Malformed> {
        let [count, prefix, include, _] = self.u32_bytes()?;
        let count = usize::from(count);
        let start: &[u32] = if prefix == 0 { &[] } else { &INTERNET };
        let all = start.len() + usize::from(prefix != 0) + count;
        if self.bytes.len() < 4 * count || all > Oid::LONGEST {
            return Err(Malformed);
        }
        let mut numbers = Vec::with_capacity(all);
        numbers.extend_from_slice(start);
        numbers.extend((prefix != 0).then_some(u32::from(prefix)));
        for _ in 0..count {
            numbers.push(self.u32()?);
        }
        Ok((Oid::from(numbers), include != 0))
    }

    fn ranges(&mut self) -> Result<Vec<Range>, Malformed> {
        let mut ranges = Vec::new();
        while !self.bytes.is_empty() {
            let (start, include) = self.oid()?;
            let (end, _) = self.oid()?;
            ranges.push(Range { start, include, end });
        }
        Ok(ranges)
    }
}

/// What an answer says of one name.
#[derive(Clone, Copy, Debug)]
pub enum Said<'a> {
    /// Its value.
    Value(&'a Value),
    /// There is nothing like it.
    NoSuchObject,
    /// There is something like it, but not this one.
    NoSuchInstance,
    /// There is nothing behind it.
    EndOfMibView,
}

/// A message that is being written.
#[derive(Debug)]
pub struct Writer {
    out: Vec<u8>,
    order: Order,
}

impl Writer {
    /// One of ours, which begins something.
    pub fn new(kind: Kind, session: u32, packet: u32) -> Self {
        Self::begin(kind, Order::Big, [session, 0, packet])
    }

    /// The answer to what came with `header`, in its byte order. [`finish_answer`](Self::finish_answer) ends it.
    pub fn answer(header: &Header) -> Self {
        let mut answer =
            Self::begin(Kind::Response, header.order(), [header.session, header.transaction, header.packet]);
        // sysUpTime, which the master knows better; error and index.
        answer.out.extend_from_slice(&[0; 8]);
        answer
    }

    fn begin(kind: Kind, order: Order, numbers: [u32; 3]) -> Self {
        let flags = if order == Order::Big { NETWORK_BYTE_ORDER } else { 0 };
        let mut writer = Self { out: Vec::with_capacity(256), order };
        writer.out.extend_from_slice(&[VERSION, kind as u8, flags, 0]);
        numbers.into_iter().for_each(|number| writer.u32(number));
        writer.u32(0);
        writer
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written. The header always is.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    fn u32(&mut self, number: u32) {
        let bytes = match self.order {
            Order::Big => number.to_be_bytes(),
            Order::Little => number.to_le_bytes(),
        };
        self.out.extend_from_slice(&bytes);
    }

    fn u16_at(&mut self, at: usize, number: u16) {
        let bytes = match self.order {
            Order::Big => number.to_be_bytes(),
            Order::Little => number.to_le_bytes(),
        };
        self.out[at..at + 2].copy_from_slice(&bytes);
    }

    /// Four bytes as they are.
    pub fn bytes(&mut self, bytes: [u8; 4]) {
        self.out.extend_from_slice(&bytes);
    }

    /// An identifier.
    pub fn oid(&mut self, oid: &[u32]) {
        let (prefix, rest) = match oid.strip_prefix(&INTERNET).and_then(<[u32]>::split_first) {
            Some((first, rest)) if (1..=255).contains(first) => (u8::try_from(*first).unwrap_or_default(), rest),
            _ => (0, oid),
        };
        // Ours are shorter than 128, and what we repeat was read in this form.
        let count = u8::try_from(rest.len()).unwrap_or(u8::MAX);
        self.out.extend_from_slice(&[count, prefix, 0, 0]);
        rest.iter().take(count.into()).for_each(|number| self.u32(*number));
    }

    /// A text.
    pub fn text(&mut self, text: &str) {
        self.u32(u32::try_from(text.len()).unwrap_or_default());
        self.out.extend_from_slice(text.as_bytes());
        self.out.resize(self.out.len().next_multiple_of(4), 0);
    }

    /// A name and what is said of it.
    pub fn binding(&mut self, name: &[u32], said: Said<'_>) {
        let kind: u16 = match said {
            Said::Value(Value::Integer(_)) => 2,
            Said::Value(Value::Text(_)) => 4,
            Said::Value(Value::Oid(_)) => 6,
            Said::Value(Value::Gauge32(_)) => 66,
            Said::Value(Value::Counter64(_)) => 70,
            Said::NoSuchObject => 128,
            Said::NoSuchInstance => 129,
            Said::EndOfMibView => 130,
        };
        let at = self.out.len();
        self.bytes([0; 4]);
        self.u16_at(at, kind);
        self.oid(name);
        let Said::Value(value) = said else { return };
        match value {
            Value::Integer(number) => self.u32(number.cast_unsigned()),
            Value::Gauge32(number) => self.u32(*number),
            Value::Counter64(number) => {
                let bytes = match self.order {
                    Order::Big => number.to_be_bytes(),
                    Order::Little => number.to_le_bytes(),
                };
                self.out.extend_from_slice(&bytes);
            }
            Value::Text(text) => self.text(text),
            Value::Oid(oid) => self.oid(oid),
        }
    }

    /// The message, ready to be sent.
    pub fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.out.len() - HEADER).unwrap_or_default();
        let bytes = match self.order {
            Order::Big => length.to_be_bytes(),
            Order::Little => length.to_le_bytes(),
        };
        self.out[16..HEADER].copy_from_slice(&bytes);
        self.out
    }

    /// The answer, ready to be sent; `error` and the number of the name that it is about, from 1 on.
    pub fn finish_answer(mut self, error: ErrorCode, index: u16) -> Vec<u8> {
        self.u16_at(HEADER + 4, error.0);
        self.u16_at(HEADER + 6, index);
        self.finish()
    }
}

#[cfg(test)]
#[path = "pdu_tests.rs"]
mod tests;
