//! Passwords: checked off the thread that serves, one at a time, and once for each user.
//!
//! A hash of bcrypt takes time on purpose. So only one is computed at a time, in a thread of its own; who was right is remembered
//! by a keyed hash, so that a scrape each 15 seconds costs nothing. A user that there is not takes as long as a wrong password.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::Semaphore;

use super::Hidden;

/// Users and the hashes of their passwords.
pub(in super::super) struct Users {
    hashes: BTreeMap<String, Hidden>,
    /// `None` = the system has no random numbers: then nothing is remembered.
    key: Option<hmac::Key>,
    /// Of each user, what was right the last time.
    right: Mutex<BTreeMap<String, hmac::Tag>>,
    turn: Semaphore,
    /// How many hashes were computed.
    pub(super) computed: AtomicU64,
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} users", self.hashes.len())
    }
}

/// Whether a request is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Verdict {
    /// Yes.
    Allowed,
    /// No: no password, or a wrong one.
    Refused,
}

impl Users {
    pub(super) fn new(hashes: BTreeMap<String, Hidden>) -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok();
        Self { hashes, key, right: Mutex::default(), turn: Semaphore::new(1), computed: AtomicU64::new(0) }
    }

    /// Whether anybody is asked for a password.
    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Judges the `Authorization` of a request.
    pub(in super::super) async fn judge(&self, authorization: Option<&HeaderValue>) -> Verdict {
        if self.hashes.is_empty() {
            return Verdict::Allowed;
        }
        let Some((user, password)) = authorization.and_then(credentials) else { return Verdict::Refused };
        let tag = self.key.as_ref().map(|key| hmac::sign(key, &message(&user, &password)));
        if let (Some(key), Some(tag)) = (&self.key, self.right().get(&user))
            && hmac::verify(key, &message(&user, &password), tag.as_ref()).is_ok()
        {
            return Verdict::Allowed;
        }
        // Any hash of the file takes the time that a user would take.
        let known = self.hashes.get(&user);
        let Some(hash) = known.or_else(|| self.hashes.values().next()).cloned() else { return Verdict::Refused };
        // Never closed.
        let Ok(_turn) = self.turn.acquire().await else { return Verdict::Refused };
        self.computed.fetch_add(1, Ordering::Relaxed);
        let checked = tokio::task::spawn_blocking(move || bcrypt::verify(&password, &hash.0).unwrap_or(false));
        let is_right = checked.await.unwrap_or(false);
        if !is_right || known.is_none() {
            return Verdict::Refused;
        }
        if let Some(tag) = tag {
            self.right().insert(user, tag);
        }
        Verdict::Allowed
    }

    fn right(&self) -> MutexGuard<'_, BTreeMap<String, hmac::Tag>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// User and password in one, so that no two pairs are alike.
fn message(user: &str, password: &[u8]) -> Vec<u8> {
    let mut message = (user.len() as u64).to_le_bytes().to_vec();
    message.extend_from_slice(user.as_bytes());
    message.extend_from_slice(password);
    message
}

/// `Basic` and `USER:PASSWORD` in base64.
fn credentials(header: &HeaderValue) -> Option<(String, Vec<u8>)> {
    let (scheme, coded) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let plain = STANDARD.decode(coded.trim()).ok()?;
    let colon = plain.iter().position(|byte| *byte == b':')?;
    let user = String::from_utf8(plain[..colon].to_vec()).ok()?;
    Some((user, plain[colon + 1..].to_vec()))
}
