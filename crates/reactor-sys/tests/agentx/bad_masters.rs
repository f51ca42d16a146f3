//! Master agents that are slow, silent, wrong, or ask without end: each costs its own session.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use reactor_sys::agentx::Limits;
use reactor_sys::agentx::pdu::{self, ErrorCode, HEADER, Header, Kind, LONGEST, Message, Writer};

use crate::{DEADLINE, Loop, Order, R0, connected, limits, problem, state_until, until};

const SESSION: u32 = 77;

/// A master agent that does what a test tells it to.
struct Master {
    stream: TcpStream,
}

impl Master {
    /// Takes the next connection.
    fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { stream }
    }

    /// The same, and opens the session.
    fn open(listener: &TcpListener) -> Self {
        Self::try_open(listener).unwrap()
    }

    /// The same; `None` = the subagent did not wait for us.
    fn try_open(listener: &TcpListener) -> Option<Self> {
        let mut master = Self::accept(listener);
        for kind in [Kind::Open, Kind::Register] {
            let (header, bytes) = master.try_read()?;
            assert_eq!(bytes[1], kind as u8);
            master.try_answer(header, ErrorCode::NONE)?;
        }
        Some(master)
    }

    fn read(&mut self) -> (Header, Vec<u8>) {
        self.try_read().unwrap()
    }

    /// The next message; `None` = the subagent is gone.
    fn try_read(&mut self) -> Option<(Header, Vec<u8>)> {
        let mut bytes = vec![0; HEADER];
        self.stream.read_exact(&mut bytes).ok()?;
        let header = Header::read(&bytes).unwrap().unwrap();
        bytes.resize(HEADER + header.length, 0);
        self.stream.read_exact(&mut bytes[HEADER..]).ok()?;
        Some((header, bytes))
    }

    /// The next message as we read it, and its payload.
    fn message(&mut self) -> (Result<Message, ErrorCode>, Vec<u8>) {
        let (header, bytes) = self.read();
        (pdu::message(&header, &bytes[HEADER..]), bytes[HEADER..].to_vec())
    }

    /// Answers with the number of the session.
    fn answer(&mut self, header: Header, error: ErrorCode) {
        self.try_answer(header, error).unwrap();
    }

    fn try_answer(&mut self, mut header: Header, error: ErrorCode) -> Option<()> {
        header.session = SESSION;
        self.stream.write_all(&Writer::answer(&header).finish_answer(error, 0)).ok()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Asks, and gives the error and the payload of the answer.
    fn ask(&mut self, request: Writer) -> (u16, Vec<u8>) {
        self.write(&request.finish());
        let (message, payload) = self.message();
        let Ok(Message::Response(error)) = message else { panic!("no answer: {message:?}") };
        (error.0, payload)
    }
}

fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

fn get_next(from: &[u32]) -> Writer {
    let mut get = Writer::new(Kind::GetNext, SESSION, 9);
    get.oid(from);
    get.oid(&[]);
    get
}

#[test]
fn every_message_has_its_answer() {
    let (listener, address) = listener();
    let daemon = Loop::start(R0);
    let subagent = daemon.subagent(&address);
    let mut master = Master::open(&listener);
    let of = |kind| Writer::new(kind, SESSION, 9);
    assert_eq!(master.ask(get_next(&[1, 3])).0, 0);
    assert_eq!(master.ask(of(Kind::TestSet)).0, 17, "notWritable");
    assert_eq!(master.ask(of(Kind::CommitSet)).0, 14, "commitFailed");
    assert_eq!(master.ask(of(Kind::UndoSet)).0, 15, "undoFailed");
    // CleanupSet has no answer: the next one is that to the ping.
    master.write(&of(Kind::CleanupSet).finish());
    assert_eq!(master.ask(of(Kind::Ping)).0, 0);
    assert_eq!(master.ask(of(Kind::Register)).0, 266, "parseError: that is for a master agent");
    assert_eq!(master.ask(Writer::new(Kind::Ping, 1, 9)).0, 257, "notOpen: another session");
    let mut half = of(Kind::Get);
    half.bytes([200, 0, 0, 0]);
    assert_eq!(master.ask(half).0, 266, "parseError: the identifier is not all there");
    // A bulk: one answer with several values, and no more than there are.
    let mut bulk = of(Kind::GetBulk);
    bulk.bytes([0, 0, 0xff, 0xff]);
    bulk.oid(&[1, 3, 6, 1, 4, 1, 23302]);
    bulk.oid(&[1, 3, 6, 1, 4, 1, 23303]);
    let (error, payload) = master.ask(bulk);
    assert_eq!(error, 0);
    assert!(payload.len() > 75 * 32 && payload.ends_with(&2_u32.to_be_bytes()), "{}", payload.len());
    // It goes by itself; and comes back.
    let mut close = of(Kind::Close);
    close.bytes([5, 0, 0, 0]);
    master.write(&close.finish());
    problem(&subagent, "it ends");
    let mut master = Master::open(&listener);
    assert_eq!(master.ask(of(Kind::Ping)).0, 0);
    // We say goodbye.
    drop(subagent);
    let (message, _) = master.message();
    assert_eq!(message, Ok(Message::Close(5)));
}

#[test]
fn refusals_are_told() {
    let (listener, address) = listener();
    let daemon = Loop::start(R0);
    let subagent = daemon.subagent(&address);
    let mut master = Master::accept(&listener);
    let (header, _) = master.read();
    master.answer(header, ErrorCode(256));
    problem(&subagent, "openFailed (256)");
    let mut master = Master::accept(&listener);
    let (header, _) = master.read();
    master.answer(header, ErrorCode::NONE);
    let (header, _) = master.read();
    master.answer(header, ErrorCode(267));
    problem(&subagent, "requestDenied (267)");
    // The session that is of no use is closed.
    assert_eq!(master.message().0, Ok(Message::Close(5)));
}

#[test]
fn what_is_too_long_or_no_agentx_ends_the_session_before_there_is_room() {
    let (listener, address) = listener();
    let daemon = Loop::start(R0);
    let subagent = daemon.subagent(&address);
    let header = |version: u8, length: u32| {
        let mut bytes = vec![version, Kind::Get as u8, 16, 0];
        bytes.extend([[0; 4], [0; 4], [0; 4], length.to_be_bytes()].concat());
        bytes
    };
    let too_long = u32::try_from(LONGEST + 4).unwrap();
    for (bytes, why) in [
        (header(1, u32::MAX), "4294967295 bytes"),
        (header(1, too_long), "the most is"),
        (header(1, 3), "no multiple of 4"),
        (b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n".to_vec(), "version 72 of AgentX"),
    ] {
        let mut master = Master::open(&listener);
        master.write(&bytes);
        problem(&subagent, why);
        assert_eq!(master.message().0, Ok(Message::Close(2)), "{why}");
    }
}

/// The subagent waits for a short time only, and this machine may be slower: a scene that comes too late is played again.
#[test]
fn who_is_silent_or_slow_is_left() {
    let (listener, address) = listener();
    let daemon = Loop::start(R0);
    let short = Limits { answer: Duration::from_millis(300), silence: Duration::from_millis(50), ..limits() };
    let subagent = daemon.subagent_with(&address, short);
    let ends_by = |why: &str| {
        let state = state_until(&subagent, "the end", |state| state.session.is_none() && state.problem.is_some());
        state.problem.is_some_and(|problem| problem.contains(why)).then_some(())
    };
    // It takes the connection, and says nothing.
    let silent = Master::accept(&listener);
    problem(&subagent, "does not answer");
    drop(silent);
    // It opens the session, answers one ping, and then none.
    until("a ping without an answer", || {
        let mut master = Master::try_open(&listener)?;
        let (header, bytes) = master.try_read()?;
        assert_eq!(bytes[1], Kind::Ping as u8);
        master.try_answer(header, ErrorCode::NONE)?;
        let (_, bytes) = master.try_read()?;
        assert_eq!(bytes[1], Kind::Ping as u8);
        ends_by("does not answer")
    });
    // It sends half of a message.
    until("half of a message", || {
        let mut master = Master::try_open(&listener)?;
        master.stream.write_all(&get_next(&[1, 3]).finish()[..30]).ok()?;
        while master.try_read().is_some() {}
        ends_by("half of a message")
    });
    // It asks, and does not read the answers. Its requests fill the sockets once ours are full.
    until("answers that nobody reads", || {
        let mut master = Master::try_open(&listener)?;
        let request = get_next(&[1, 3]).finish();
        let begun = Instant::now();
        while master.stream.write_all(&request).is_ok() {
            assert!(begun.elapsed() < DEADLINE, "it takes requests without end and is not read");
        }
        ends_by("does not take what is sent to it")
    });
}

/// What it sends now and then puts off no deadline: neither that of the rest of a message, nor that of the answer to a notification.
#[test]
fn who_keeps_a_session_busy_is_left_all_the_same() {
    let (listener, address) = listener();
    let daemon = Loop::start(R0);
    let short = Limits { answer: Duration::from_millis(300), ..limits() };
    let subagent = daemon.subagent_with(&address, short);
    let ends_by = |why: &str| {
        let state = state_until(&subagent, "the end", |state| state.session.is_none() && state.problem.is_some());
        state.problem.is_some_and(|problem| problem.contains(why)).then_some(())
    };
    let request = get_next(&[1, 3]).finish();
    // A long message, byte by byte.
    until("a message that has no end", || {
        let mut master = Master::try_open(&listener)?;
        let mut long = Writer::new(Kind::Get, SESSION, 9);
        (0..LONGEST / 4).for_each(|_| long.bytes([0; 4]));
        let begun = Instant::now();
        master.stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        for byte in long.finish() {
            assert!(begun.elapsed() < DEADLINE, "it waits for the rest for ever");
            // The pause until the next one, unless it is gone.
            let mut answer = [0];
            if master.stream.write_all(&[byte]).is_err() || matches!(master.stream.read(&mut answer), Ok(0)) {
                break;
            }
        }
        ends_by("half of a message")
    });
    // Requests, of which a half is always there, and no answer to the notification.
    until("the first look", || (daemon.asked() > 0).then_some(()));
    let quorum = std::cell::Cell::new(true);
    until("a notification without an answer", || {
        let mut master = Master::try_open(&listener)?;
        quorum.set(!quorum.get());
        let now = if quorum.get() { "yes" } else { "no" };
        daemon.lines(&format!("change device name:r0 volume:0 minor:1000 quorum:{now}\n"));
        while master.try_read()?.1[1] != Kind::Notify as u8 {}
        let (first, second) = request.split_at(30);
        let begun = Instant::now();
        master.stream.write_all(first).ok()?;
        while master.stream.write_all(&[second, first].concat()).is_ok() && master.try_read().is_some() {
            assert!(begun.elapsed() < DEADLINE, "it waits for the answer for ever");
        }
        ends_by("does not answer")
    });
}

/// It opens each session, and breaks it off: the pauses grow as if there were none.
#[test]
fn sessions_that_do_not_last_are_not_opened_in_a_hurry() {
    let (listener, address) = listener();
    let daemon = Loop::start(R0);
    let slower = Limits { pause: (Duration::from_millis(100), DEADLINE), ..Limits::default() };
    let subagent = daemon.subagent_with(&address, slower);
    let begun = Instant::now();
    for _ in 0..5 {
        drop(Master::open(&listener));
    }
    let least = Duration::from_millis(100 + 200 + 400 + 800);
    assert!(begun.elapsed() >= least, "{:?}", begun.elapsed());
    problem(&subagent, "has closed the connection");
}

/// The session ends between a notification and its answer: it comes once more.
#[test]
fn a_notification_without_an_answer_is_sent_again() {
    let (listener, address) = listener();
    let daemon = Loop::start(R0);
    let subagent = daemon.subagent(&address);
    let mut master = Master::open(&listener);
    until("the first look", || (daemon.asked() > 0).then_some(()));
    daemon.lines("change device name:r0 volume:0 minor:1000 quorum:no\n");
    let (_, lost) = master.read();
    assert_eq!(lost[1], Kind::Notify as u8);
    drop(master);
    let mut master = Master::open(&listener);
    let (again, bytes) = master.read();
    assert_eq!((bytes[1], &bytes[HEADER..]), (Kind::Notify as u8, &lost[HEADER..]));
    master.answer(again, ErrorCode::NONE);
    until("it is counted", || (subagent.counts().notified == 1).then_some(()));
    assert_eq!(subagent.counts().dropped, 0);
}

/// Requests without end are answered by what is known: the loop is asked ten times in a second at most.
#[test]
fn a_flood_does_not_reach_the_loop() {
    let (listener, address) = listener();
    let daemon = Loop::start(R0);
    let subagent = daemon.subagent(&address);
    let mut master = Master::open(&listener);
    let begun = Instant::now();
    let (before, mut requests) = (daemon.asked(), 0);
    while requests < 5000 {
        assert_eq!(master.ask(get_next(&[1, 3, 6, 1, 4, 1, 23302])).0, 0);
        let mut get = Writer::new(Kind::Get, SESSION, 9);
        get.oid(&[1, 3, 6, 1, 4, 1, 23302, 1, 1, 1]);
        get.oid(&[]);
        assert_eq!(master.ask(get).0, 0);
        requests += 2;
    }
    let asked = daemon.asked() - before;
    let most = usize::try_from(begun.elapsed().as_millis() / 100).unwrap() + 3;
    assert!(asked <= most, "the loop was asked {asked} times in {:?}", begun.elapsed());
    assert_eq!(subagent.counts().requests, requests);
}

/// A loop that is busy costs the answer, not the session; and the end of the subagent waits for nobody.
#[test]
fn a_busy_loop_is_said_and_nobody_waits_at_the_end() {
    let (listener, address) = listener();
    let daemon = Loop::start(R0);
    let short = Limits { daemon: Duration::from_millis(200), ..limits() };
    let subagent = daemon.subagent_with(&address, short);
    let mut master = Master::open(&listener);
    connected(&subagent);
    let (release, released) = mpsc::channel();
    daemon.order(Order::Busy(released));
    // What is known may still be young enough for the first ones.
    let begun = Instant::now();
    while master.ask(get_next(&[1, 3, 6, 1, 5])).0 != 5 {
        assert!(begun.elapsed() < DEADLINE, "genErr did not come");
    }
    drop(release);
    while master.ask(get_next(&[1, 3, 6, 1, 5])).0 != 0 {
        assert!(begun.elapsed() < DEADLINE, "it did not recover");
    }
    assert_eq!(subagent.counts().sessions, 1);
    let (release, released) = mpsc::channel();
    daemon.order(Order::Busy(released));
    drop(subagent);
    drop(release);
}
