//! Notifications on their way, to servers that these tests start.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

#[path = "../../../reactor-sim/src/certificates.rs"]
#[allow(unreachable_pub)]
mod certificates;
mod exec;
mod irc;
mod mail;
mod outbox;
mod programs;
mod server;
mod syslog;
mod web;
mod webhook;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reactor_core::notice::{Message, Notice, Topic};
use reactor_core::settings::notify::{Filter, NotifySettings, Receiver};
use reactor_storage::event::Severity;
use reactor_sys::deliver::{Configured, Deliveries, Pace, ReceiverStatus};

/// Far more than anything here takes; only a hang reaches it.
const LONG: Duration = Duration::from_secs(60);

/// Says by name what is not tested here and why; in CI nothing may be missing.
fn skip(what: &str, why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what} is needed in CI: {why}");
    println!("SKIPPED: {what}: {why}");
}

/// A folder that only we can write, removed at the end.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("deliver-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The files that wait for a receiver.
    fn kept(&self, receiver: &str) -> usize {
        kept(&self.0, receiver)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn kept(dir: &Path, receiver: &str) -> usize {
    let files = fs::read_dir(dir.join("notify").join(receiver)).into_iter().flatten().flatten();
    files.filter(|file| file.path().extension().is_some_and(|ending| ending == "json")).count()
}

/// Pauses that nobody waits for.
fn quick() -> Pace {
    Pace {
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(20),
        longest_wish: Duration::from_millis(50),
        disk_pause: Duration::from_millis(5),
        grace: Duration::from_secs(600),
        irc_line: Duration::from_millis(1),
        irc_look: Duration::from_millis(5),
    }
}

fn settings(name: &str, receiver: Receiver) -> NotifySettings {
    NotifySettings {
        name: name.to_owned(),
        filter: Filter::default(),
        together: Duration::ZERO,
        rate_limit: None,
        keep: Duration::from_secs(3 * 86_400),
        max_queued: 10_000,
        timeout: Duration::from_secs(30),
        receiver,
    }
}

fn start(dir: &Path, receivers: &[NotifySettings]) -> Deliveries {
    let deliveries = Deliveries::start_with(dir, quick());
    deliveries.apply(receivers, Configured::Whole);
    deliveries
}

fn notice(text: &str) -> Notice {
    Notice {
        unix_ms: 1_795_893_073_898,
        topic: Topic::Drbd,
        what: "connection-lost".to_owned(),
        severity: Severity::Error,
        text: text.to_owned(),
        because: vec!["the peer does not answer".to_owned()],
        resources: vec!["r0".to_owned()],
        incident: None,
        event: None,
    }
}

fn message(receiver: &str, text: &str) -> Message {
    Message { receiver: receiver.to_owned(), node: "n1".to_owned(), notices: vec![notice(text)], left_out: 0 }
}

fn status(deliveries: &Deliveries, name: &str) -> ReceiverStatus {
    deliveries.status().into_iter().find(|status| status.name == name).unwrap_or_default()
}

/// Waits until something is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(2));
    }
}
