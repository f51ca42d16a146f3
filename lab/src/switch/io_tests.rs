use rustix::event::{PollFd, PollFlags, poll};

use super::*;

const A: Port = Port(0);
const B: Port = Port(1);
/// Far above what any machine needs; only a bug waits this long.
const FOREVER: Duration = Duration::from_secs(20);

fn broadcast(tag: u8) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 1, 8, 0, tag]);
    frame
}

/// The next frame's last byte.
fn next(node: &OwnedFd) -> u8 {
    let timeout = timespec(FOREVER);
    poll(&mut [PollFd::new(node, PollFlags::IN)], Some(&timeout)).unwrap();
    let mut buffer = [0; 2000];
    let (_, length) = recv(node, &mut buffer, RecvFlags::DONTWAIT).expect("a frame");
    buffer[length - 1]
}

fn put(node: &OwnedFd, frame: &[u8]) {
    send(node, frame, SendFlags::empty()).unwrap();
}

#[test]
fn frames_pass_and_a_cut_stops_them() {
    let switch = Switch::start(0).unwrap();
    let [a, b] = [A, B].map(|port| switch.attach(Net::DATA, port).unwrap());
    put(&a, &broadcast(1));
    assert_eq!(next(&b), 1);
    switch.change(Net::DATA, A, B, |link| link.cut = true).unwrap();
    put(&a, &broadcast(2));
    put(&b, &broadcast(3));
    assert_eq!(next(&a), 3, "the other direction works; and the switch has seen frame 2 by now or sees it cut");
    // The frame is taken before the link is healed, which the counter shows.
    while !switch.links().iter().any(|(_, from, .., counters)| *from == A && counters.cut == 1) {
        std::thread::yield_now();
    }
    switch.change(Net::DATA, A, B, |link| link.cut = false).unwrap();
    put(&a, &broadcast(4));
    assert_eq!(next(&b), 4);
}

#[test]
fn a_delayed_frame_arrives_by_itself_and_not_before() {
    let switch = Switch::start(0).unwrap();
    let [a, b] = [A, B].map(|port| switch.attach(Net::DATA, port).unwrap());
    switch.change(Net::DATA, A, B, |link| link.delay = Duration::from_millis(30)).unwrap();
    let sent = Instant::now();
    put(&a, &broadcast(1));
    assert_eq!(next(&b), 1);
    assert!(sent.elapsed() >= Duration::from_millis(30));
}

#[test]
fn a_node_that_reads_late_gets_the_backlog_in_order_and_then_loses_frames() {
    let switch = Switch::start(0).unwrap();
    let [a, b] = [A, B].map(|port| switch.attach(Net::DATA, port).unwrap());
    let blocking = rustix::fs::fcntl_getfl(&a).unwrap() - rustix::fs::OFlags::NONBLOCK;
    rustix::fs::fcntl_setfl(&a, blocking).unwrap();
    let overflowed = || switch.links().iter().map(|(.., counters)| counters.overflowed).sum::<u64>();
    let mut sent = 0_u32;
    while overflowed() == 0 {
        put(&a, &broadcast(u8::try_from(sent % 251).unwrap()));
        sent += 1;
    }
    for expected in 0..u32::try_from(BACKLOG).unwrap() {
        assert_eq!(u32::from(next(&b)), expected % 251);
    }
}

#[test]
fn a_node_that_dies_and_comes_back_gets_new_frames_only() {
    let switch = Switch::start(0).unwrap();
    let [a, b] = [A, B].map(|port| switch.attach(Net::DATA, port).unwrap());
    drop(b);
    put(&a, &broadcast(1));
    let b = switch.attach(Net::DATA, B).unwrap();
    put(&a, &broadcast(2));
    // Frame 1 can be late and still find the new plug: like a machine that has booted in between.
    let mut first = next(&b);
    if first == 1 {
        first = next(&b);
    }
    assert_eq!(first, 2);
}

#[test]
fn a_capture_has_every_frame() {
    let folder = std::env::temp_dir().join(format!("lab-capture-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("data.pcap");
    let switch = Switch::start(0).unwrap();
    let [a, b] = [A, B].map(|port| switch.attach(Net::DATA, port).unwrap());
    switch.capture(Net::DATA, &path).unwrap();
    put(&a, &broadcast(1));
    next(&b);
    switch.end_capture(Net::DATA);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 24 + 16 + 15);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_end_of_the_switch_is_seen_by_the_nodes() {
    let switch = Switch::start(0).unwrap();
    let a = switch.attach(Net::DATA, A).unwrap();
    drop(switch);
    assert!(send(&a, &broadcast(1), SendFlags::NOSIGNAL).is_err());
}
