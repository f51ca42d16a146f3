//! Messages survive every way in which a line can be cut, and everything else that is on it.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn to_node() -> impl Strategy<Value = ToNode> {
    let text = "\\PC{0,40}";
    prop_oneof![
        any::<u64>().prop_map(|id| ToNode::Ping { id }),
        (any::<u64>(), text, any::<u64>(), any::<u64>(), any::<bool>())
            .prop_map(|(id, command, timeout_ms, most, input)| ToNode::Exec { id, command, timeout_ms, most, input }),
        (any::<u64>(), text, any::<u32>()).prop_map(|(id, path, mode)| ToNode::Push { id, path, mode }),
        (any::<u64>(), text).prop_map(|(id, path)| ToNode::Pull { id, path }),
        (any::<u64>(), vec(any::<u8>(), 0..300)).prop_map(|(id, data)| ToNode::Input { id, data }),
        any::<u64>().prop_map(|id| ToNode::InputEnd { id }),
        any::<u64>().prop_map(|id| ToNode::Cancel { id }),
    ]
}

fn from_node() -> impl Strategy<Value = FromNode> {
    let stream = prop_oneof![Just(Stream::Stdout), Just(Stream::Stderr)];
    let end = prop_oneof![
        any::<i32>().prop_map(End::Exit),
        any::<i32>().prop_map(End::Signal),
        any::<bool>().prop_map(|stuck| End::TimedOut { stuck }),
    ];
    prop_oneof![
        ("[0-9a-f-]{36}", any::<u32>()).prop_map(|(boot_id, version)| FromNode::Ready { version, boot_id }),
        any::<u64>().prop_map(|total| FromNode::Read { total }),
        any::<u64>().prop_map(|id| FromNode::Pong { id }),
        any::<u64>().prop_map(|id| FromNode::Taken { id }),
        (any::<u64>(), any::<u32>()).prop_map(|(id, mode)| FromNode::File { id, mode }),
        (any::<u64>(), stream, vec(any::<u8>(), 0..300)).prop_map(|(id, stream, data)| FromNode::Output {
            id,
            stream,
            data
        }),
        (any::<u64>(), end, any::<u64>(), any::<u64>())
            .prop_map(|(id, end, lost_stdout, lost_stderr)| FromNode::Done { id, end, lost_stdout, lost_stderr }),
        (any::<u64>(), "\\PC{0,80}").prop_map(|(id, why)| FromNode::Failed { id, why }),
    ]
}

/// Whole lines of a kernel's words, with every byte but a line end.
fn garbage() -> impl Strategy<Value = Vec<u8>> {
    vec(vec(any::<u8>().prop_filter("a line end", |byte| *byte != b'\n'), 0..200), 0..4)
        .prop_map(|lines| lines.into_iter().flat_map(|line| line.into_iter().chain([b'\n'])).collect())
}

/// Decodes what comes in pieces of these sizes, again and again.
fn decoded<M: Message>(bytes: &[u8], sizes: &[usize]) -> (Vec<M>, u64) {
    let mut decoder = Decoder::default();
    let mut rest = bytes;
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rest.len().min(*sizes.next().unwrap_or(&1)));
        decoder.feed(now);
        rest = later;
    }
    (std::iter::from_fn(|| decoder.next_message()).collect(), decoder.garbage())
}

proptest! {
    #[test]
    fn requests_arrive_however_they_are_cut(messages in vec(to_node(), 0..12), sizes in vec(1_usize..90, 1..9)) {
        let bytes: Vec<u8> = messages.iter().flat_map(encode).collect();
        prop_assert_eq!(decoded::<ToNode>(&bytes, &sizes), (messages, 0));
    }

    #[test]
    fn answers_arrive_among_garbage(
        parts in vec((garbage(), from_node()), 0..8),
        sizes in vec(1_usize..90, 1..9),
    ) {
        let bytes: Vec<u8> = parts.iter().flat_map(|(garbage, message)| [garbage.clone(), encode(message)].concat()).collect();
        let messages: Vec<FromNode> = parts.into_iter().map(|(_, message)| message).collect();
        prop_assert_eq!(decoded::<FromNode>(&bytes, &sizes).0, messages);
    }

    #[test]
    fn text_before_a_message_on_its_line_does_no_harm(
        text in vec(any::<u8>().prop_filter("a line end", |byte| *byte != b'\n'), 0..100), message in from_node(),
    ) {
        let bytes = [text, encode(&message)].concat();
        prop_assert_eq!(decoded::<FromNode>(&bytes, &[7]).0, vec![message]);
    }

    #[test]
    fn our_own_echo_is_no_message(messages in vec(to_node(), 1..8)) {
        let echo: Vec<u8> = messages.iter().flat_map(encode).collect();
        prop_assert_eq!(decoded::<FromNode>(&echo, &[64]).0, vec![]);
    }

    #[test]
    fn a_message_that_is_cut_short_spoils_no_other(
        first in from_node(), second in from_node(), cut in any::<prop::sample::Index>(),
    ) {
        let line = encode(&first);
        // Without its last byte that matters at least.
        let kept = &line[..cut.index(line.len() - 1)];
        let bytes = [kept, b"\n", &encode(&second)].concat();
        prop_assert_eq!(decoded::<FromNode>(&bytes, &[5]).0, vec![second]);
    }

    #[test]
    fn a_changed_byte_is_noticed(message in from_node(), at in any::<prop::sample::Index>(), other in any::<u8>()) {
        let mut line = encode(&message);
        let at = at.index(line.len() - 1);
        prop_assume!(line[at] != other && other != b'\n');
        line[at] = other;
        let found = decoded::<FromNode>(&line, &[64]).0;
        prop_assert!(found.is_empty() || found == vec![message]);
    }

    #[test]
    fn no_bytes_break_the_decoder(bytes in vec(any::<u8>(), 0..2000), sizes in vec(1_usize..300, 1..5)) {
        decoded::<ToNode>(&bytes, &sizes);
        decoded::<FromNode>(&bytes, &sizes);
    }
}

#[test]
fn a_line_as_a_terminal_changes_it_is_read() {
    let message = FromNode::Pong { id: 7 };
    let mut line = encode(&message);
    line.insert(line.len() - 1, b'\r');
    assert_eq!(decoded::<FromNode>(&line, &[3]), (vec![message], 0));
}

#[test]
fn a_line_without_end_takes_no_memory_and_the_next_one_is_read() {
    let message = FromNode::Pong { id: 7 };
    let mut decoder = Decoder::default();
    for _ in 0..64 {
        decoder.feed(&[b'x'; 64 << 10]);
        assert!(decoder.line.len() <= LONGEST_LINE);
    }
    decoder.feed(b"\n");
    decoder.feed(&encode(&message));
    assert_eq!(decoder.next_message(), Some(message));
    assert_eq!(decoder.garbage(), 1);
}

#[test]
fn a_full_chunk_fits_into_a_line() {
    let message = FromNode::Output { id: u64::MAX, stream: Stream::Stderr, data: vec![0xff; CHUNK] };
    assert!(encode(&message).len() < LONGEST_LINE / 2);
}

#[test]
fn the_greeting_keeps_its_form_so_that_any_version_can_be_told() {
    let message = FromNode::Ready { version: 1, boot_id: "b".to_owned() };
    assert_eq!(postcard::to_allocvec(&message).unwrap(), [0, 1, 1, b'b']);
}
