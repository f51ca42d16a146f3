use super::*;

use proptest::collection::vec;
use proptest::prelude::*;

fn header(kind: Kind, flags: u8, length: u32) -> Vec<u8> {
    let mut bytes = vec![VERSION, kind as u8, flags, 0];
    for number in [7_u32, 8, 9, length] {
        let is_big = flags & NETWORK_BYTE_ORDER != 0;
        bytes.extend_from_slice(&if is_big { number.to_be_bytes() } else { number.to_le_bytes() });
    }
    bytes
}

#[test]
fn headers_are_checked_before_there_is_room() {
    let read = |bytes: &[u8]| Header::read(bytes);
    assert_eq!(read(&header(Kind::Get, 0, 4)[..19]), Ok(None));
    let both = [0, NETWORK_BYTE_ORDER].map(|flags| read(&header(Kind::Get, flags, 4)).ok().flatten());
    for header in both.into_iter().flatten() {
        assert_eq!((header.session, header.transaction, header.packet, header.length), (7, 8, 9, 4));
    }
    let most = u32::try_from(LONGEST).expect("it fits");
    assert!(read(&header(Kind::Get, 0, most)).is_ok());
    assert_eq!(read(&header(Kind::Get, 0, most + 4)), Err(BadHeader::TooLong(most + 4)));
    assert_eq!(read(&header(Kind::Get, 16, u32::MAX)), Err(BadHeader::TooLong(u32::MAX)));
    assert_eq!(read(&header(Kind::Get, 0, 6)), Err(BadHeader::Uneven(6)));
    assert_eq!(read(&[2; HEADER]), Err(BadHeader::Version(2)));
}

fn parse(bytes: &[u8]) -> Result<Message, ErrorCode> {
    let header = Header::read(bytes).expect("a header").expect("all of it");
    assert_eq!(bytes.len(), HEADER + header.length);
    message(&header, &bytes[HEADER..])
}

/// What RFC 2741 shows: `internet` left out, both byte orders, an end, `include`.
#[test]
fn ranges_as_they_are_sent() {
    // 1.3.6.1.2.1 included, up to nothing; little-endian.
    let mut bytes = header(Kind::GetNext, 0, 12);
    bytes.extend_from_slice(&[1, 2, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    let start = Oid::from(vec![1, 3, 6, 1, 2, 1]);
    let range = Range { start, include: true, end: Oid::default() };
    assert_eq!(parse(&bytes), Ok(Message::GetNext(vec![range.clone()])));
    // The same and an end; big-endian.
    let mut bytes = header(Kind::GetBulk, NETWORK_BYTE_ORDER, 24);
    bytes.extend_from_slice(&[0, 1, 0, 5, 1, 2, 1, 0, 0, 0, 0, 1, 2, 4, 0, 0, 0, 0, 0, 1, 0, 0, 91, 6]);
    let end = Oid::from(vec![1, 3, 6, 1, 4, 1, 23302]);
    let ranges = vec![Range { end, ..range }];
    assert_eq!(parse(&bytes), Ok(Message::GetBulk { non_repeaters: 1, max_repetitions: 5, ranges }));
    // It ends in the middle; it is for a context.
    let mut bytes = header(Kind::Get, 0, 8);
    bytes.extend_from_slice(&[3, 2, 1, 0, 1, 0, 0, 0]);
    assert_eq!(parse(&bytes), Err(ErrorCode::PARSE_ERROR));
    assert_eq!(parse(&header(Kind::Get, NON_DEFAULT_CONTEXT, 0)), Err(ErrorCode::UNSUPPORTED_CONTEXT));
}

#[test]
fn an_answer_in_the_order_of_the_question() {
    for flags in [0, NETWORK_BYTE_ORDER] {
        let bytes = header(Kind::Get, flags, 0);
        let asked = Header::read(&bytes).expect("a header").expect("all of it");
        let mut answer = Writer::answer(&asked);
        answer.binding(&[1, 3, 6, 1, 4, 1, 5], Said::Value(&Value::text("abcde")));
        answer.binding(&[2, 5], Said::NoSuchInstance);
        let sent = answer.finish_answer(ErrorCode::NOT_WRITABLE, 1);
        let answer = Header::read(&sent).expect("a header").expect("all of it");
        assert_eq!((answer.session, answer.transaction, answer.packet), (7, 8, 9));
        assert_eq!(parse(&sent), Ok(Message::Response(ErrorCode::NOT_WRITABLE)));
        let le = |big: &[u8]| if flags == 0 { big.iter().rev().copied().collect() } else { big.to_vec() };
        let mut want: Vec<u8> = vec![0; 4];
        want.extend(le(&[0, 17]));
        want.extend(le(&[0, 1]));
        want.extend(le(&[0, 4]));
        want.extend([0, 0, 2, 4, 0, 0]);
        want.extend(le(&[0, 0, 0, 1]));
        want.extend(le(&[0, 0, 0, 5]));
        want.extend(le(&[0, 0, 0, 5]));
        want.extend(b"abcde\0\0\0");
        want.extend(le(&[0, 129]));
        want.extend([0, 0, 2, 0, 0, 0]);
        want.extend(le(&[0, 0, 0, 2]));
        want.extend(le(&[0, 0, 0, 5]));
        assert_eq!(sent[HEADER..], want, "flags {flags}");
    }
}

proptest! {
    /// Whatever comes: an error at most, and never more than there was.
    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..600)) {
        any_message(&bytes);
    }

    /// The same with a header that is right.
    #[test]
    fn any_payload(kind in 0..20u8, flags in any::<u8>(), payload in vec(prop_oneof![Just(0u8), 1..5u8, any::<u8>()], 0..600)) {
        let mut payload = payload;
        payload.truncate(payload.len() / 4 * 4);
        let mut bytes = header(Kind::Get, flags, u32::try_from(payload.len()).expect("short"));
        bytes[1] = kind;
        bytes.extend_from_slice(&payload);
        any_message(&bytes);
    }

    /// What is written is read as it was.
    #[test]
    fn identifiers(start in vec(any::<u32>(), 0..128), inside in any::<bool>()) {
        let start = if inside { [&INTERNET[..], &start[..start.len().min(120)]].concat() } else { start };
        let asked = Header { kind: Kind::Get as u8, flags: NETWORK_BYTE_ORDER, session: 1, transaction: 2, packet: 3, length: 0 };
        let mut writer = Writer::begin(Kind::Get, Order::Big, [1, 2, 3]);
        writer.oid(&start);
        writer.oid(&[]);
        let bytes = writer.finish();
        prop_assert_eq!(asked.order(), Order::Big);
        let range = Range { start: Oid::from(start), include: false, end: Oid::default() };
        prop_assert_eq!(parse(&bytes), Ok(Message::Get(vec![range])));
    }
}
