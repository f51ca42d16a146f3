//! One session with a master agent.

use std::sync::atomic::Ordering;
use std::time::Duration;

use reactor_core::snmp::{BASE, Incident};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

use super::answers::Book;
use super::connect::{Connection, Stream};
use super::pdu::{self, ErrorCode, HEADER, Header, Kind, Message, Said, Writer};
use super::{Shared, until};

/// What we call ourselves, as drbd-reactor does.
const DESCRIPTION: &str = "DRBD by drbd-reactor::agentx";

/// Priority of our registration: the usual one.
const PRIORITY: u8 = 127;

/// Why a session is closed by us: we shut down, or what came can't be understood.
const SHUTDOWN: u8 = 5;
const PARSE_ERROR: u8 = 2;

/// Bytes that are read at once.
const PIECE: usize = 16 * 1024;

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    to: String,
    stream: Stream,
    inbox: Inbox,
    id: u32,
    packet: u32,
}

/// What waits for an answer of the master agent.
#[derive(Debug)]
struct Asked {
    packet: u32,
    until: Instant,
    /// `None` = whether it is there.
    about: Option<Incident>,
}

/// What has come and was not read yet. It has room for one message and what came with its end.
#[derive(Debug, Default)]
struct Inbox {
    bytes: Vec<u8>,
    /// Where the next message begins.
    read: usize,
}

impl Inbox {
    /// The next message, if it is all there.
    fn next(&mut self) -> Result<Option<(Header, &[u8])>, pdu::BadHeader> {
        let waiting = &self.bytes[self.read..];
        let Some(header) = Header::read(waiting)? else { return Ok(None) };
        let end = HEADER + header.length;
        if waiting.len() < end {
            return Ok(None);
        }
        let begin = self.read;
        self.read += end;
        Ok(Some((header, &self.bytes[begin + HEADER..self.read])))
    }

    fn is_empty(&self) -> bool {
        self.read == self.bytes.len()
    }

    /// Forgets what was read.
    fn tidy(&mut self) {
        self.bytes.drain(..self.read);
        self.read = 0;
        // A large message was an exception.
        if self.bytes.is_empty() && self.bytes.capacity() > 4 * PIECE {
            self.bytes = Vec::new();
        }
    }
}

impl Session {
    pub(super) fn new(Connection { to, stream }: Connection) -> Self {
        Self { to, stream, inbox: Inbox::default(), id: 0, packet: 0 }
    }

    /// The other end.
    pub(super) fn to(&self) -> &str {
        &self.to
    }

    fn begin(&mut self, kind: Kind) -> Writer {
        self.packet = self.packet.wrapping_add(1);
        Writer::new(kind, self.id, self.packet)
    }

    /// Opens it, and says what we serve. The caller has a deadline.
    pub(super) async fn open(&mut self, agent_timeout: Duration) -> Result<(), String> {
        let mut open = self.begin(Kind::Open);
        let seconds = u8::try_from(agent_timeout.as_secs().max(1)).unwrap_or(u8::MAX);
        open.bytes([seconds, 0, 0, 0]);
        open.oid(BASE);
        open.text(DESCRIPTION);
        let (id, error) = self.ask(open).await?;
        if error != ErrorCode::NONE {
            return Err(format!("{} does not open a session: {}", self.to, named(error)));
        }
        self.id = id;
        let mut register = self.begin(Kind::Register);
        register.bytes([0, PRIORITY, 0, 0]);
        register.oid(BASE);
        match self.ask(register).await? {
            (_, ErrorCode::NONE) => Ok(()),
            (_, ErrorCode::DUPLICATE_REGISTRATION) => {
                self.say_goodbye();
                Err(format!(
                    "{} serves DRBD already ({}): another [[agentx]] table or drbd-reactor is connected to it",
                    self.to,
                    named(ErrorCode::DUPLICATE_REGISTRATION)
                ))
            }
            (_, error) => {
                self.say_goodbye();
                Err(format!("{} does not take our registration: {}", self.to, named(error)))
            }
        }
    }

    /// Sends a message, and waits for its answer: the number of the session, and the error.
    async fn ask(&mut self, message: Writer) -> Result<(u32, ErrorCode), String> {
        self.write(&message.finish()).await?;
        loop {
            let (header, message) = match self.inbox.next() {
                Ok(Some((header, payload))) => (header, pdu::message(&header, payload)),
                Ok(None) => {
                    self.inbox.tidy();
                    self.read().await?;
                    continue;
                }
                Err(bad) => return Err(self.gibberish(bad)),
            };
            match message {
                Ok(Message::Response(error)) if header.packet == self.packet => return Ok((header.session, error)),
                Ok(Message::Close(reason)) => return Err(closed(&self.to, reason)),
                // Nothing else is of interest before the session is open.
                _ => {}
            }
        }
    }

    /// Answers until the session is over, and says why it is.
    pub(super) async fn serve(&mut self, shared: &Shared, book: &mut Book) -> String {
        match self.serve_on(shared, book).await {
            Ok(never) => match never {},
            Err(why) => why,
        }
    }

    async fn serve_on(&mut self, shared: &Shared, book: &mut Book) -> Result<std::convert::Infallible, String> {
        let limits = &shared.limits;
        let mut asked: Option<Asked> = None;
        let mut heard = Instant::now();
        // When the message began that is not all there yet.
        let mut begun = None;
        loop {
            while self.answer_one(shared, book, &mut asked).await? {
                begun = None;
            }
            self.inbox.tidy();
            // The rest of a message has a deadline, and so has an answer that we wait for: whatever else comes puts off neither.
            begun = (!self.inbox.is_empty()).then(|| begun.unwrap_or_else(Instant::now));
            let rest = begun.map(|begun| begun + limits.answer);
            let first = [rest, asked.as_ref().map(|asked| asked.until)].into_iter().flatten().min();
            let deadline = first.unwrap_or(heard + limits.silence);
            let is_free = asked.is_none();
            tokio::select! {
                read = self.read() => {
                    read?;
                    heard = Instant::now();
                }
                incident = shared.notices.next(), if is_free => {
                    self.notify(&incident, limits.answer).await?;
                    shared.notices.sent(&incident);
                    let until = Instant::now() + limits.answer;
                    asked = Some(Asked { packet: self.packet, until, about: Some(incident) });
                }
                () = until(Some(deadline)) => {
                    if rest == Some(deadline) {
                        return Err(format!("{} sent half of a message, and not the rest", self.to));
                    }
                    if asked.is_some() {
                        return Err(format!("{} does not answer", self.to));
                    }
                    let ping = self.begin(Kind::Ping).finish();
                    self.send(&ping, limits.answer).await?;
                    let until = Instant::now() + limits.answer;
                    asked = Some(Asked { packet: self.packet, until, about: None });
                }
            }
        }
    }

    /// Answers the next message. `false` = it is not all there yet.
    async fn answer_one(
        &mut self,
        shared: &Shared,
        book: &mut Book,
        asked: &mut Option<Asked>,
    ) -> Result<bool, String> {
        let (header, message) = match self.inbox.next() {
            Ok(Some((header, payload))) => (header, pdu::message(&header, payload)),
            Ok(None) => return Ok(false),
            Err(bad) => return Err(self.gibberish(bad)),
        };
        let refuse = |error: ErrorCode, index: u16| {
            shared.counters.refused.fetch_add(1, Ordering::Relaxed);
            Some(Writer::answer(&header).finish_answer(error, index))
        };
        let message = match message {
            Ok(Message::Response(error)) => {
                if asked.as_ref().is_some_and(|asked| asked.packet == header.packet) {
                    took(shared, asked.take(), error);
                }
                return Ok(true);
            }
            Ok(Message::Close(reason)) => return Err(closed(&self.to, reason)),
            other => other,
        };
        shared.counters.requests.fetch_add(1, Ordering::Relaxed);
        let answer = match message {
            _ if header.session != self.id => refuse(ErrorCode::NOT_OPEN, 0),
            Err(error) => refuse(error, 0),
            Ok(Message::Get(ranges)) => Some(book.get(&header, &ranges).await),
            Ok(Message::GetNext(ranges)) => Some(book.next(&header, &ranges, ranges.len(), 0).await),
            Ok(Message::GetBulk { non_repeaters, max_repetitions, ranges }) => {
                Some(book.next(&header, &ranges, non_repeaters, max_repetitions).await)
            }
            Ok(Message::TestSet) => refuse(ErrorCode::NOT_WRITABLE, 1),
            Ok(Message::CommitSet) => refuse(ErrorCode::COMMIT_FAILED, 0),
            Ok(Message::UndoSet) => refuse(ErrorCode::UNDO_FAILED, 0),
            // It has no answer.
            Ok(Message::CleanupSet) => None,
            Ok(Message::Ping) => Some(Writer::answer(&header).finish_answer(ErrorCode::NONE, 0)),
            Ok(Message::Other(_) | Message::Response(_) | Message::Close(_)) => refuse(ErrorCode::PARSE_ERROR, 0),
        };
        if let Some(answer) = answer {
            self.send(&answer, shared.limits.answer).await?;
        }
        Ok(true)
    }

    async fn notify(&mut self, incident: &Incident, limit: Duration) -> Result<(), String> {
        let mut notify = self.begin(Kind::Notify);
        for (name, value) in incident.bindings() {
            notify.binding(&name, Said::Value(&value));
        }
        self.send(&notify.finish(), limit).await
    }

    /// Tells the master agent that we go, if it takes that at once.
    pub(super) fn say_goodbye(&mut self) {
        self.close(SHUTDOWN);
    }

    fn close(&mut self, reason: u8) {
        let mut close = self.begin(Kind::Close);
        close.bytes([reason, 0, 0, 0]);
        // It notices by the end of the connection, too.
        let _ = self.stream.try_write(&close.finish());
    }

    fn gibberish(&mut self, bad: pdu::BadHeader) -> String {
        self.close(PARSE_ERROR);
        format!("{} is not understood: {bad}", self.to)
    }

    /// Reads what there is. Cancel safe.
    async fn read(&mut self) -> Result<(), String> {
        self.inbox.bytes.reserve(PIECE);
        let mut io = self.stream.io();
        // `reserve` may have given more room: a message is never larger than was checked, but what is behind it could be.
        let mut piece = (&mut io).take(PIECE as u64);
        match piece.read_buf(&mut self.inbox.bytes).await {
            Ok(0) => Err(format!("{} has closed the connection", self.to)),
            Ok(_) => Ok(()),
            Err(error) => Err(format!("reading from {}: {error}", self.to)),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.io().write_all(bytes).await.map_err(|error| format!("writing to {}: {error}", self.to))
    }

    async fn send(&mut self, bytes: &[u8], limit: Duration) -> Result<(), String> {
        let sent = timeout(limit, self.write(bytes)).await;
        sent.unwrap_or_else(|_| Err(format!("{} does not take what is sent to it", self.to)))
    }
}

fn took(shared: &Shared, asked: Option<Asked>, error: ErrorCode) {
    let Some(incident) = asked.and_then(|asked| asked.about) else { return };
    shared.notices.told(&incident);
    if error == ErrorCode::NONE {
        shared.counters.notified.fetch_add(1, Ordering::Relaxed);
    } else {
        shared.counters.dropped.fetch_add(1, Ordering::Relaxed);
        let (resource, error) = (&incident.resource, named(error));
        tracing::warn!(%resource, error, what = incident.text, "the master agent does not take a notification");
    }
}

fn named(error: ErrorCode) -> String {
    format!("{} ({})", error.name(), error.0)
}

fn closed(to: &str, reason: u8) -> String {
    let why = match reason {
        1 => "for another reason",
        2 => "it did not understand us",
        3 => "it says that we break the protocol",
        4 => "we did not answer in time",
        5 => "it ends",
        6 => "an administrator wants so",
        _ => "for a reason that has no name",
    };
    format!("{to} has closed the session: {why}")
}
