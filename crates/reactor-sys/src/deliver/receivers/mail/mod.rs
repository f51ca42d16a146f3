//! Mail: to an SMTP server, or by the local `sendmail`, which has a queue of its own.
//!
//! The text says of each notice what a person needs at night: what, when, why, on which device, what it hits and what to do about it.

mod smtp;

use std::time::{Duration, Instant, UNIX_EPOCH};

use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, SinglePart};
use lettre::{Address, Message as Mail};
use reactor_core::notice::Message;
use reactor_core::settings::notify::Mail as Settings;

use super::super::failure::Failure;
use super::super::parcel::Parcel;
use super::{Receiver, document, program};

/// Notices that a mail tells in full.
const MAX_NOTICES: usize = 100;

/// What sendmail's exit codes (sysexits.h) say of the message itself: bad usage or data, an address that does not exist.
const REFUSED: [i32; 4] = [64, 65, 67, 68];

/// Mail.
pub(super) struct MailReceiver {
    settings: Settings,
}

impl MailReceiver {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone() }
    }
}

impl Receiver for MailReceiver {
    fn deliver(&mut self, parcel: &Parcel, _told: &mut usize, until: Instant) -> Result<(), Failure> {
        let mail = mail(&self.settings, parcel)?;
        match &self.settings.server {
            Some(server) => {
                let node = host_name(&parcel.message.node).unwrap_or_else(|| "localhost".to_owned());
                smtp::send(server, &node, mail.envelope(), &mail.formatted(), until)
            }
            None => {
                // Programs of this system end lines as this system does.
                let text = String::from_utf8_lossy(&mail.formatted()).replace("\r\n", "\n");
                let command = [self.settings.sendmail.display().to_string(), "-t".to_owned(), "-i".to_owned()];
                program::run(&command, Vec::new(), text, until, |exit| REFUSED.contains(&exit))
            }
        }
    }
}

fn mail(settings: &Settings, parcel: &Parcel) -> Result<Mail, Failure> {
    let message = &parcel.message;
    let host = host_name(&message.node).unwrap_or_else(|| "localhost".to_owned());
    let from = match &settings.from {
        Some(from) => mailbox(from)?,
        None => Mailbox::new(Some("Storage Reactor".to_owned()), address(&format!("storage-reactor@{host}"))?),
    };
    let newest = message.notices.iter().map(|notice| notice.unix_ms).max().unwrap_or_default();
    let date = UNIX_EPOCH.checked_add(Duration::from_millis(newest)).unwrap_or(UNIX_EPOCH);
    let mut mail = Mail::builder()
        .from(from)
        .subject(document::title(message))
        .date(date)
        .message_id(Some(format!("<{}@{host}>", parcel.id)))
        // RFC 3834: nobody's holiday answers it.
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .raw_header(header("X-Storage-Reactor-Severity", message.severity().as_str()))
        .raw_header(header("X-Storage-Reactor-Node", &host));
    for to in &settings.to {
        mail = mail.to(mailbox(to)?);
    }
    let body = Body::new_with_encoding(text(message), ContentTransferEncoding::QuotedPrintable)
        .map_err(|_| Failure::refused("the text can't be written as mail"))?;
    let part = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(body);
    mail.singlepart(part).map_err(|error| Failure::of("the mail can't be made", &error))
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn mailbox(text: &str) -> Result<Mailbox, Failure> {
    let is_bad = text.contains(char::is_control);
    let parsed = text.parse::<Mailbox>().ok().filter(|_| !is_bad);
    parsed.ok_or_else(|| Failure::again("one of the addresses of the table is no mail address"))
}

fn address(text: &str) -> Result<Address, Failure> {
    text.parse().map_err(|_| Failure::again(format!("{text} is no mail address")))
}

/// A node's name as it may stand in an address: many are.
fn host_name(node: &str) -> Option<String> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let name = node.trim_matches('.');
    let fits = !name.is_empty() && name.len() <= 253 && name.chars().all(is_good) && !name.starts_with('-');
    fits.then(|| name.to_owned()).filter(|name| !name.contains("..") && !name.ends_with('-'))
}

fn text(message: &Message) -> String {
    let mut lines = vec![format!("{} says:", super::super::parcel::line(&message.node, 256)), String::new()];
    for notice in message.notices.iter().take(MAX_NOTICES) {
        lines.extend(document::long(notice));
        lines.push(String::new());
    }
    let beyond = message.notices.len().saturating_sub(MAX_NOTICES) as u64;
    lines.extend(document::left_out(&Message { left_out: message.left_out + beyond, ..message.clone() }));
    lines.push("-- ".to_owned());
    lines.push("Storage Reactor".to_owned());
    lines.join("\r\n") + "\r\n"
}
