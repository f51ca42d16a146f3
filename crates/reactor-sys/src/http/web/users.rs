//! Passwords: checked off the thread that serves, one at a time, and once for each user.
//!
//! A hash of bcrypt takes time on purpose. So only one is computed at a time, in a thread of its own, also if whoever asked is gone
//! before it ends; who was right is remembered by a keyed hash, so that a scrape each 15 seconds costs nothing. Each home waits in
//! line with one request: who guesses passwords from one address keeps another address waiting for one hash. A user that there is
//! not takes as long as a wrong password.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::guests::Home;
use super::Hidden;

/// Users and the hashes of their passwords.
pub(in super::super) struct Users {
    hashes: BTreeMap<String, Hidden>,
    /// `None` = the system has no random numbers: then nothing is remembered.
    key: Option<hmac::Key>,
    /// Of each user, what was right the last time.
    right: Mutex<BTreeMap<String, hmac::Tag>>,
    line: Line,
    /// How many hashes were computed.
    pub(super) computed: AtomicU64,
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} users", self.hashes.len())
    }
}

/// Who is next to have a hash computed.
pub(super) struct Line {
    turn: Arc<Semaphore>,
    /// Of each home that waits or has its turn.
    homes: Mutex<BTreeMap<Home, Arc<Semaphore>>>,
}

impl Line {
    pub(super) fn new() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), homes: Mutex::default() }
    }

    /// Waits for the turn of this home. It ends when both are dropped.
    pub(super) async fn turn(&self, home: Home) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let own = {
            let mut homes = self.homes.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that wait for nothing any more.
            homes.retain(|_, line| Arc::strong_count(line) > 1);
            Arc::clone(homes.entry(home).or_insert_with(|| Arc::new(Semaphore::new(1))))
        };
        // Never closed.
        let own = own.acquire_owned().await.ok()?;
        Some((own, Arc::clone(&self.turn).acquire_owned().await.ok()?))
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
        Self { hashes, key, right: Mutex::default(), line: Line::new(), computed: AtomicU64::new(0) }
    }

    /// Whether anybody is asked for a password.
    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Judges the `Authorization` of a request that comes from this home.
    pub(in super::super) async fn judge(&self, authorization: Option<&HeaderValue>, home: Home) -> Verdict {
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
        let Some(hash) = self.hash_for(&user).cloned() else { return Verdict::Refused };
        let Some(turn) = self.line.turn(home).await else { return Verdict::Refused };
        self.computed.fetch_add(1, Ordering::Relaxed);
        let checked = tokio::task::spawn_blocking(move || {
            let is_right = bcrypt::verify(&password, &hash.0).unwrap_or(false);
            // Not before, also if nobody waits for it any more: who comes and goes would have as many computed at once.
            drop(turn);
            is_right
        });
        let is_right = checked.await.unwrap_or(false);
        if !is_right || !self.hashes.contains_key(&user) {
            return Verdict::Refused;
        }
        if let Some(tag) = tag {
            self.right().insert(user, tag);
        }
        Verdict::Allowed
    }

    /// The hash of a user. One that there is not has always the same one of the file, which one nobody can tell: so the costs, and
    /// with them the times, of names that there are not are those of names that there are.
    pub(super) fn hash_for(&self, user: &str) -> Option<&Hidden> {
        self.hashes.get(user).or_else(|| {
            let tag = self.key.as_ref().map(|key| hmac::sign(key, &message(user, b"")));
            let bytes = tag.as_ref().and_then(|tag| tag.as_ref().first_chunk::<8>()).copied().unwrap_or_default();
            let number = u64::from_le_bytes(bytes) % (self.hashes.len() as u64).max(1);
            self.hashes.values().nth(usize::try_from(number).unwrap_or_default())
        })
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
