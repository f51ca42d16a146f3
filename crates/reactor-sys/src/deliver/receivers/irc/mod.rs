//! IRC: a client of our own for one channel. It stays connected between messages, so that the channel is not full of people who come and go.
//!
//! ```text
//!  connect ─ TLS ─▶ CAP, NICK, USER ─ SASL ─▶ 001 ─ JOIN ─▶ in the channel ─ PRIVMSG ..., PING ─▶ PONG: all of it has arrived
//!                      └─ 433: another nick                     └─ closed, kicked, refused ─▶ connects again for the next message
//! ```
//!
//! IRC does not confirm messages. So each is followed by a PING: the server answers it after what came before, and says before that what it refused.

mod line;

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reactor_core::settings::notify::Irc as Settings;

use super::super::Pace;
use super::super::failure::Failure;
use super::super::parcel::Parcel;
use super::super::{parcel, roots, secrets};
use super::wire::{Wire, host_and_port};
use super::{Receiver, document};
use line::{Said, said, split, word};

const PORT: u16 = 6667;
const PORT_TLS: u16 = 6697;

/// Notices of a message that are told; a channel is no log.
const MAX_NOTICES: usize = 8;

/// Other nicks that are tried.
const MAX_NICKS: usize = 8;

/// So many lines may be sent at once.
const BURST: u32 = 5;

/// The answer to a question of the server needs no longer.
const ANSWER: Duration = Duration::from_secs(10);

/// A channel.
pub(super) struct Irc {
    settings: Settings,
    pace: Pace,
    session: Option<Session>,
    /// Lines that may be sent at once, and when that was.
    allowance: (f64, Instant),
}

struct Session {
    wire: Wire,
    nick: String,
}

impl Irc {
    pub(super) fn new(settings: &Settings, pace: &Pace) -> Self {
        Self { settings: settings.clone(), pace: *pace, session: None, allowance: (f64::from(BURST), Instant::now()) }
    }

    /// The lines that tell a message.
    fn lines(&self, parcel: &Parcel) -> Vec<String> {
        let message = &parcel.message;
        let mut lines = Vec::new();
        if message.notices.len() == 1 && message.left_out == 0 {
            lines.push(format!("{}: {}", message.node, document::short(&message.notices[0])));
        } else {
            lines.push(document::title(message));
            lines.extend(message.notices.iter().take(MAX_NOTICES).map(document::short));
            let beyond = message.notices.len().saturating_sub(MAX_NOTICES) as u64 + message.left_out;
            lines.extend((beyond > 0).then(|| format!("{beyond} more were left out, see the log of {}", message.node)));
        }
        // A single one may take a few lines, of several each has one.
        let most = if lines.len() == 1 { 1200 } else { 360 };
        lines.iter().flat_map(|line| split(&self.settings.channel, &parcel::line(line, most))).collect()
    }

    /// Waits until another line may be sent; what the server says meanwhile is answered.
    fn wait_for_turn(&mut self, session: &mut Session, until: Instant) -> Result<(), Failure> {
        loop {
            let now = Instant::now();
            let (left, since) = self.allowance;
            let every = self.pace.irc_line.as_secs_f64().max(f64::MIN_POSITIVE);
            let left = (left + now.saturating_duration_since(since).as_secs_f64() / every).min(f64::from(BURST));
            if left >= 1.0 {
                self.allowance = (left - 1.0, now);
                return Ok(());
            }
            self.allowance = (left, now);
            super::left(until)?;
            let pause = Duration::from_secs_f64((1.0 - left) * every).max(Duration::from_millis(1));
            session.answer_for(pause.min(until.saturating_duration_since(now)))?;
        }
    }

    /// Tells it, a few lines at a time, so that an attempt that ends in the middle is not for nothing.
    fn tell(
        &mut self,
        session: &mut Session,
        parcel: &Parcel,
        told: &mut usize,
        until: Instant,
    ) -> Result<(), Failure> {
        let lines = self.lines(parcel);
        let at_once = BURST as usize;
        while *told < lines.len() {
            let piece = &lines[*told..lines.len().min(*told + at_once)];
            for line in piece {
                self.wait_for_turn(session, until)?;
                session.wire.until(until);
                session.send(line)?;
            }
            session.confirm(&parcel.id, &self.settings.channel, until)?;
            *told += piece.len();
        }
        Ok(())
    }
}

impl Receiver for Irc {
    fn deliver(&mut self, parcel: &Parcel, told: &mut usize, until: Instant) -> Result<(), Failure> {
        let lives = |mut session: Session| session.answer_for(Duration::ZERO).ok().map(|()| session);
        let mut session = match self.session.take().and_then(lives) {
            Some(session) => session,
            None => Session::begin(&self.settings, &parcel.message.node, until)?,
        };
        // One that has failed is not used again.
        self.tell(&mut session, parcel, told, until)?;
        self.session = Some(session);
        Ok(())
    }

    fn idle(&mut self) -> Option<Duration> {
        let mut session = self.session.take()?;
        session.answer_for(Duration::ZERO).ok()?;
        self.session = Some(session);
        Some(self.pace.irc_look)
    }
}

impl Session {
    /// Up to the channel.
    fn begin(settings: &Settings, node: &str, until: Instant) -> Result<Self, Failure> {
        let (host, port) = host_and_port(&settings.server, if settings.tls { PORT_TLS } else { PORT })?;
        let mut wire = Wire::connect(host, port, until)?;
        if settings.tls {
            wire.start_tls(roots::tls(settings.ca_file.as_deref())?, host)?;
        }
        let nick = word(settings.nick.as_deref().unwrap_or(node));
        let mut session = Self { wire, nick };
        let password = settings.password_file.as_deref().map(secrets::first_line).transpose()?;
        session.register(password.as_deref(), settings.tls)?;
        let key = settings.channel_key_file.as_deref().map(secrets::first_line).transpose()?;
        session.join(&settings.channel, key.as_deref())?;
        Ok(session)
    }

    fn send(&mut self, line: &str) -> Result<(), Failure> {
        self.wire.send(format!("{line}\r\n").as_bytes())
    }

    /// The next line of the server that is not a question whether we live.
    fn next(&mut self) -> Result<Said, Failure> {
        loop {
            let said = said(&self.wire.line()?);
            if !self.answered(&said)? {
                return Ok(said);
            }
        }
    }

    /// Answers what has to be answered. Whether it was that.
    fn answered(&mut self, said: &Said) -> Result<bool, Failure> {
        match said.command.as_str() {
            "PING" => self.send(&format!("PONG :{}", said.last())).map(|()| true),
            "ERROR" => Err(Failure::again(format!("the server closes the connection: {}", said.shown()))),
            "KICK" if said.words.get(1).is_some_and(|who| who.eq_ignore_ascii_case(&self.nick)) => {
                Err(Failure::again(format!("somebody has thrown us out of the channel: {}", said.shown())))
            }
            _ => Ok(false),
        }
    }

    fn register(&mut self, password: Option<&str>, is_tls: bool) -> Result<(), Failure> {
        if password.is_some() && !is_tls {
            return Err(Failure::again("a password is not sent in the clear"));
        }
        if password.is_some() {
            self.send("CAP REQ :sasl")?;
        }
        let wanted = self.nick.clone();
        self.send(&format!("NICK {wanted}"))?;
        self.send(&format!("USER {wanted} 0 * :Storage Reactor"))?;
        let mut tried = 0;
        loop {
            let said = self.next()?;
            match said.command.as_str() {
                "001" => {
                    // The server says what it calls us: it may have cut it.
                    self.nick = said.words.first().cloned().unwrap_or(wanted);
                    return Ok(());
                }
                "432" | "433" | "436" | "437" if tried < MAX_NICKS => {
                    tried += 1;
                    self.nick = line::another(&wanted, tried);
                    let nick = format!("NICK {}", self.nick);
                    self.send(&nick)?;
                }
                "CAP" if said.words.get(1).is_some_and(|word| word == "ACK") => self.send("AUTHENTICATE PLAIN")?,
                "CAP" if said.words.get(1).is_some_and(|word| word == "NAK") => {
                    return Err(Failure::again("the server takes no password (SASL)"));
                }
                "AUTHENTICATE" => self.log_in(&wanted, password.unwrap_or_default())?,
                "903" => self.send("CAP END")?,
                "902" | "904" | "905" | "906" | "908" => {
                    return Err(Failure::again(format!("the server does not take the password: {}", said.shown())));
                }
                number if is_error(number) && number != "422" => {
                    return Err(Failure::again(format!("the server does not take us: {}", said.shown())));
                }
                _ => {}
            }
        }
    }

    /// SASL PLAIN, in pieces of 400: a piece of that length says that another follows.
    fn log_in(&mut self, user: &str, password: &str) -> Result<(), Failure> {
        let secret = STANDARD.encode(format!("{user}\0{user}\0{password}"));
        for piece in secret.as_bytes().chunks(400) {
            self.send(&format!("AUTHENTICATE {}", String::from_utf8_lossy(piece)))?;
        }
        if secret.len().is_multiple_of(400) { self.send("AUTHENTICATE +") } else { Ok(()) }
    }

    fn join(&mut self, channel: &str, key: Option<&str>) -> Result<(), Failure> {
        self.send(format!("JOIN {channel} {}", key.unwrap_or_default()).trim_end())?;
        loop {
            let said = self.next()?;
            let is_about = |index: usize| said.words.get(index).is_some_and(|word| word.eq_ignore_ascii_case(channel));
            match said.command.as_str() {
                // The end of the list of who is there.
                "366" if is_about(1) => return Ok(()),
                number if is_error(number) && (is_about(1) || number == "437") => {
                    return Err(Failure::again(format!("can't join {channel}: {}", said.shown())));
                }
                _ => {}
            }
        }
    }

    /// Everything that was sent has arrived when the server answers this.
    fn confirm(&mut self, token: &str, channel: &str, until: Instant) -> Result<(), Failure> {
        self.wire.until(until);
        self.send(&format!("PING :{token}"))?;
        loop {
            let said = self.next()?;
            let is_about = said.words.get(1).is_some_and(|word| word.eq_ignore_ascii_case(channel));
            match said.command.as_str() {
                "PONG" if said.last() == token => return Ok(()),
                number if is_error(number) && is_about => {
                    return Err(Failure::again(format!("{channel} does not take it: {}", said.shown())));
                }
                _ => {}
            }
        }
    }

    /// Reads and answers what the server says, for so long.
    fn answer_for(&mut self, time: Duration) -> Result<(), Failure> {
        let until = Instant::now() + time;
        while let Some(line) = self.wire.line_if_any(until)? {
            // The answer to a question needs time, too.
            self.wire.until(Instant::now() + ANSWER);
            self.answered(&said(&line))?;
        }
        Ok(())
    }
}

/// Numbers of refusals.
fn is_error(number: &str) -> bool {
    number.len() == 3 && matches!(number.as_bytes()[0], b'4' | b'5') && number.bytes().all(|byte| byte.is_ascii_digit())
}
