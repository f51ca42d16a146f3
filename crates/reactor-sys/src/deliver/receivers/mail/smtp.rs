//! The dialogue with a mail server (RFC 5321), as far as a mail needs it: EHLO, STARTTLS, AUTH, one message, goodbye.
//!
//! A refusal (5xx) of the message or of its addresses is for good. One of the dialogue before it (greeting, TLS, password) is not about this
//! message: it waits until somebody mends that.

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::address::Envelope;
use reactor_core::settings::notify::{SmtpServer, SmtpTls};
use tracing::warn;

use super::super::super::failure::Failure;
use super::super::super::parcel::line;
use super::super::super::{roots, secrets};
use super::super::wire::{Wire, host_and_port};

/// Ports of submission (RFC 6409), and of submission over TLS (RFC 8314).
const PORT: u16 = 587;
const PORT_WRAPPED: u16 = 465;

/// Lines of one reply.
const MAX_LINES: usize = 128;

/// Sends one mail.
pub(super) fn send(
    server: &SmtpServer,
    node: &str,
    envelope: &Envelope,
    mail: &[u8],
    until: Instant,
) -> Result<(), Failure> {
    let default = if server.tls == SmtpTls::Wrapped { PORT_WRAPPED } else { PORT };
    let (host, port) = host_and_port(&server.address, default)?;
    let mut session = Session { wire: Wire::connect(host, port, until)?, host };
    session.begin(server, node)?;
    session.mail(envelope, mail)?;
    // It has the mail. What becomes of the goodbye is of no interest.
    let _ = session.wire.send(b"QUIT\r\n");
    Ok(())
}

struct Session<'a> {
    wire: Wire,
    host: &'a str,
}

/// What a server says.
struct Reply {
    code: u16,
    lines: Vec<String>,
}

impl Reply {
    fn is_good(&self) -> bool {
        (200..400).contains(&self.code)
    }

    /// Whether one of the lines of an EHLO begins with this word.
    fn extension(&self, word: &str) -> Option<&str> {
        self.lines.iter().skip(1).find_map(|line| {
            let (first, rest) = line.split_once([' ', '=']).unwrap_or((line, ""));
            first.eq_ignore_ascii_case(word).then_some(rest)
        })
    }
}

impl Session<'_> {
    /// Up to where a mail can be given.
    fn begin(&mut self, server: &SmtpServer, node: &str) -> Result<(), Failure> {
        if server.tls == SmtpTls::Wrapped {
            self.wire.start_tls(roots::tls(server.ca_file.as_deref())?, self.host)?;
        }
        let greeting = self.reply()?;
        self.good("the greeting", greeting)?;
        let mut hello = self.say("EHLO", &format!("EHLO {node}"))?;
        if server.tls == SmtpTls::StartTls {
            if hello.extension("STARTTLS").is_none() {
                return Err(Failure::again(format!(
                    "{} offers no STARTTLS: it is not spoken to in the clear",
                    self.host
                )));
            }
            self.say("STARTTLS", "STARTTLS")?;
            self.wire.start_tls(roots::tls(server.ca_file.as_deref())?, self.host)?;
            hello = self.say("EHLO", &format!("EHLO {node}"))?;
        }
        match (&server.user, &server.password_file) {
            (Some(user), Some(file)) if server.tls != SmtpTls::None => {
                let password = secrets::first_line(file)?;
                self.log_in(user, &password, hello.extension("AUTH").unwrap_or_default())
            }
            (Some(_), Some(_)) => Err(Failure::again("a password is not sent in the clear")),
            _ => Ok(()),
        }
    }

    /// `AUTH PLAIN` (RFC 4616), or `LOGIN` where a server has only that.
    fn log_in(&mut self, user: &str, password: &str, offered: &str) -> Result<(), Failure> {
        let offers = |word: &str| offered.split_whitespace().any(|known| known.eq_ignore_ascii_case(word));
        if offers("PLAIN") {
            let secret = STANDARD.encode(format!("\0{user}\0{password}"));
            self.say("the password", &format!("AUTH PLAIN {secret}"))?;
        } else if offers("LOGIN") {
            self.say("AUTH LOGIN", "AUTH LOGIN")?;
            self.say("the user", &STANDARD.encode(user))?;
            self.say("the password", &STANDARD.encode(password))?;
        } else {
            return Err(Failure::again(format!("{} takes no password by PLAIN or LOGIN", self.host)));
        }
        Ok(())
    }

    fn mail(&mut self, envelope: &Envelope, mail: &[u8]) -> Result<(), Failure> {
        let from = envelope.from().map(ToString::to_string).unwrap_or_default();
        self.tell("the sender", &format!("MAIL FROM:<{from}>"))?;
        let mut refused: Option<Failure> = None;
        let mut taken = 0;
        for to in envelope.to() {
            match self.tell(to.as_ref(), &format!("RCPT TO:<{to}>")) {
                Ok(()) => taken += 1,
                // The others get it. Who is away for now is waited for, together with the others.
                Err(failure) if failure.then == super::super::super::failure::Then::Drop => {
                    warn!(
                        to = to.to_string(),
                        why = failure.why,
                        "a mail server does not take mail for one of the addresses"
                    );
                    refused = Some(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        if taken == 0 {
            return Err(refused.unwrap_or_else(|| Failure::again("there is nobody to send it to")));
        }
        self.tell("DATA", "DATA")?;
        self.wire.send(&stuffed(mail))?;
        let reply = self.reply()?;
        self.judge("the mail", reply)
    }

    /// A command before the mail.
    fn say(&mut self, what: &str, command: &str) -> Result<Reply, Failure> {
        self.wire.send(format!("{command}\r\n").as_bytes())?;
        let reply = self.reply()?;
        self.good(what, reply)
    }

    /// A command about the mail.
    fn tell(&mut self, what: &str, command: &str) -> Result<(), Failure> {
        self.wire.send(format!("{command}\r\n").as_bytes())?;
        let reply = self.reply()?;
        self.judge(what, reply)
    }

    fn good(&self, what: &str, reply: Reply) -> Result<Reply, Failure> {
        if reply.is_good() { Ok(reply) } else { Err(Failure::again(self.refusal(what, &reply))) }
    }

    /// 5xx is for good, but for what is about who we are.
    fn judge(&self, what: &str, reply: Reply) -> Result<(), Failure> {
        let about_us = matches!(reply.code, 530 | 534 | 535 | 538);
        match reply.code {
            code if (500..600).contains(&code) && !about_us => Err(Failure::refused(self.refusal(what, &reply))),
            _ => self.good(what, reply).map(drop),
        }
    }

    fn refusal(&self, what: &str, reply: &Reply) -> String {
        let said = line(&reply.lines.join(" "), 256);
        format!("{} does not take {what}: {} {said}", self.host, reply.code)
    }

    /// `250-first`, `250-second`, `250 last`.
    fn reply(&mut self) -> Result<Reply, Failure> {
        let mut lines = Vec::new();
        while lines.len() < MAX_LINES {
            let line = self.wire.line()?;
            let bad = || Failure::again(format!("{} speaks no SMTP", self.host));
            let code: u16 = line.get(..3).and_then(|code| code.parse().ok()).ok_or_else(bad)?;
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(Reply { code, lines });
            }
        }
        Err(Failure::again(format!("{} does not come to an end", self.host)))
    }
}

/// A mail as it goes over the wire: a dot at the begin of a line is doubled, one by itself is the end.
fn stuffed(mail: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(mail.len() + 64);
    for line in mail.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_ends_nothing_but_the_mail() {
        assert_eq!(stuffed(b"a\r\n.\r\n..b\r\n"), b"a\r\n..\r\n...b\r\n.\r\n");
        assert_eq!(stuffed(b".x"), b"..x\r\n.\r\n");
    }
}
