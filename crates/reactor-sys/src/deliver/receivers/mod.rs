//! How a message is sent: one file for each kind of receiver.

mod document;
mod irc;
mod journal;
mod mail;
mod program;
mod stdout;
mod syslog;
mod webhook;
mod wire;

use std::path::Path;
use std::time::{Duration, Instant};

use reactor_core::settings::notify::{NotifySettings, Receiver as Settings};

use super::Pace;
use super::failure::Failure;
use super::parcel::Parcel;

/// One kind of receiver, at work in a thread of its own. It may wait, but not beyond `until`.
pub(super) trait Receiver: Send {
    /// One attempt to tell a message. `told` = so many of its notices have arrived by earlier attempts; whoever sends them one by one counts there.
    fn deliver(&mut self, parcel: &Parcel, told: &mut usize, until: Instant) -> Result<(), Failure>;

    /// Nothing waits. Whoever stays connected looks after that, and says when it wants to do so again.
    fn idle(&mut self) -> Option<Duration> {
        None
    }
}

/// The receiver of a table. Files, names and connections are looked at by its first attempt.
pub(super) fn make(settings: &NotifySettings, pace: &Pace) -> Box<dyn Receiver> {
    match &settings.receiver {
        Settings::Stdout(format) => Box::new(stdout::Stdout::new(*format)),
        Settings::Journal => Box::new(journal::Journal::new(Path::new(crate::log::journal::SOCKET))),
        Settings::Syslog(settings) => Box::new(syslog::Syslog::new(settings)),
        Settings::Mail(settings) => Box::new(mail::MailReceiver::new(settings)),
        Settings::Webhook(settings) => Box::new(webhook::Webhook::new(settings)),
        Settings::Exec(settings) => Box::new(program::Exec::new(settings)),
        Settings::Irc(settings) => Box::new(irc::Irc::new(settings, pace)),
    }
}

/// What is left of the time of an attempt, never nothing: zero means for ever to sockets.
fn left(until: Instant) -> Result<Duration, Failure> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(Failure::again("it took too long")) } else { Ok(left) }
}
