//! TLS, passwords and headers, as a web configuration file in Prometheus' form asks for them.
//!
//! ```text
//!   web.yml ── file ──▶ WebFile ── load: certificates, keys, CA ──▶ Web: what connections use
//!      ▲                                                             ▲
//!      └── keeper: looked at again at a connection, at most once a second; what is wrong keeps the last good one
//! ```
//!
//! Nothing here serves in the clear what should be under TLS: without a good file there is no `Web`, and without one the
//! server does not listen.

mod clients;
mod file;
mod keeper;
mod load;
mod names;
mod tls;
mod users;

pub use file::{Hidden, Pem, Rate, TlsSection, WebFile, parse};
pub use load::judge;
pub use names::{ClientAuth, Versions};

pub(super) use keeper::Keeper;
pub(super) use users::Verdict;

use std::sync::Mutex;
use std::time::SystemTime;

use hyper::header::{HeaderName, HeaderValue};
use tokio_rustls::TlsAcceptor;

use users::Users;

/// Something that is wrong, and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what} ({hint})")]
pub struct Fault {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: String,
}

impl Fault {
    fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into() }
    }
}

/// What connections use.
pub(super) struct Web {
    /// `None` = plain HTTP.
    pub(super) tls: Option<TlsAcceptor>,
    /// What is asked of clients.
    pub(super) client_auth: ClientAuth,
    /// Whether certificates of clients must have certain names.
    pub(super) names_clients: bool,
    /// From when until when the first certificate of the chain is good.
    pub(super) good: Option<(SystemTime, SystemTime)>,
    /// What every answer has.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) users: Users,
    rate: Option<Bucket>,
}

/// How many requests there may be.
struct Bucket {
    rate: Rate,
    /// When all of the burst will be there again, counted from the first request.
    full: Mutex<Option<tokio::time::Instant>>,
}

impl Web {
    /// What keeps people out here, and would not with `other`. Fewer users, or other names, are no such thing.
    fn is_closed_by_more_than(&self, other: &Self) -> Option<&'static str> {
        let (auth, others) = (self.client_auth, other.client_auth);
        let opens = [
            (self.tls.is_some() && other.tls.is_none(), "TLS"),
            (!self.users.is_empty() && other.users.is_empty(), "passwords"),
            (auth.requires() && !others.requires(), "certificates of clients"),
            (auth.verifies() && !others.verifies(), "good certificates of clients"),
            (self.names_clients && !other.names_clients, "names of clients (client_allowed_sans)"),
        ];
        opens.into_iter().find(|(opens, _)| *opens).map(|(_, what)| what)
    }

    /// Whether there may be a request now.
    pub(super) fn has_room(&self) -> bool {
        let Some(bucket) = &self.rate else { return true };
        let now = tokio::time::Instant::now();
        let mut full = bucket.full.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let from = full.map_or(now, |full| full.max(now));
        // Each request moves the moment on by an interval; it may be a burst ahead.
        let ahead = bucket.rate.interval.saturating_mul(bucket.rate.burst);
        let Some(next) = from.checked_add(bucket.rate.interval) else { return true };
        if next.saturating_duration_since(now) > ahead {
            return false;
        }
        *full = Some(next);
        true
    }
}

#[cfg(test)]
mod tests;
