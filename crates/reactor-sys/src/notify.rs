//! What systemd is told (`Type=notify`): ready, reloading, what is going on, that the loop still turns.
//!
//! Written here and not taken from the crate `sd-notify`, which `ocf-rs-wrapper` uses: that makes a socket for each message from the environment of the
//! moment, and waits for a systemd that does not read. The loop must not wait, has to know what was not taken, and sends the newest of it again.
//!
//! Nothing waits for systemd: without it everything here does nothing. To one that does not read, the newest state and the newest line are sent
//! again ([`Notifier::again`]), because it waits for a `READY=1`; everything else is dropped and counted. The address is taken from the environment once; children never inherit it (see `drbd::command` and the handlers).

use std::ffi::{OsStr, OsString};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tracing::debug;

/// What was not taken is sent again after this.
const AGAIN: Duration = Duration::from_secs(1);
/// The kinds of messages that are kept: what state we are in, and the line for people.
const STATE: usize = 0;
const LINE: usize = 1;

/// The way to systemd.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
    /// What systemd has not taken: the newest state, and the newest line.
    unsent: Mutex<[Option<String>; 2]>,
    lost: AtomicU64,
}

impl Notifier {
    /// As the environment says: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`.
    pub fn from_env() -> Self {
        let var = |name: &str| std::env::var_os(name);
        Self::new(var("NOTIFY_SOCKET"), var("WATCHDOG_USEC"), var("WATCHDOG_PID"))
    }

    /// With the values that these variables have.
    pub fn new(socket: Option<OsString>, watchdog_usec: Option<OsString>, watchdog_pid: Option<OsString>) -> Self {
        let number = |value: Option<OsString>| value?.to_str()?.parse::<u64>().ok();
        // Another process may be the one that is watched.
        let for_us = watchdog_pid.is_none() || number(watchdog_pid) == Some(u64::from(std::process::id()));
        let watchdog = number(watchdog_usec).filter(|usec| for_us && *usec > 0).map(Duration::from_micros);
        let socket = socket.filter(|path| !path.is_empty()).and_then(|path| match connect(&path) {
            Ok(socket) => Some(socket),
            Err(error) => {
                debug!(path = %path.display(), %error, "can't reach systemd's notify socket");
                None
            }
        });
        Self { socket, watchdog, ..Self::default() }
    }

    /// Whether somebody listens.
    pub fn is_connected(&self) -> bool {
        self.socket.is_some()
    }

    /// How often [`watchdog`](Self::watchdog) must be called: half of what systemd allows. `None` = systemd does not watch.
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2)
    }

    /// `READY=1`: everything runs, or the reload is over.
    pub fn ready(&self) {
        self.keep(STATE, "READY=1".to_owned());
    }

    /// `RELOADING=1` with the time, as `Type=notify-reload` asks for.
    pub fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let usec = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.keep(STATE, format!("RELOADING=1\nMONOTONIC_USEC={usec}"));
    }

    /// `STATUS=`: one line for `systemctl status`.
    pub fn status(&self, text: &str) {
        // A line end would begin another assignment.
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.keep(LINE, format!("STATUS={line}"));
    }

    /// `STOPPING=1`.
    pub fn stopping(&self) {
        self.keep(STATE, "STOPPING=1".to_owned());
    }

    /// `EXTEND_TIMEOUT_USEC=`: start, reload or stop may take so much longer from now on.
    pub fn extend_timeout(&self, by: Duration) {
        self.send(&format!("EXTEND_TIMEOUT_USEC={}", by.as_micros()));
    }

    /// `WATCHDOG=1`. Called by the loop after a step, never by a timer of its own: a loop that hangs must not look alive.
    pub fn watchdog(&self) {
        if self.watchdog.is_some() {
            self.send("WATCHDOG=1");
        }
    }

    /// When to call [`again`](Self::again): systemd has not taken something. `None` = it has everything.
    pub fn again_after(&self) -> Option<Duration> {
        let unsent = self.unsent.lock().unwrap_or_else(PoisonError::into_inner);
        unsent.iter().any(Option::is_some).then_some(AGAIN)
    }

    /// Sends once more what systemd has not taken.
    pub fn again(&self) {
        let unsent = std::mem::take(&mut *self.unsent.lock().unwrap_or_else(PoisonError::into_inner));
        for (kind, message) in unsent.into_iter().enumerate() {
            if let Some(message) = message {
                self.keep(kind, message);
            }
        }
    }

    /// How many messages systemd did not take when they were sent.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Sends a message that must arrive: later, in place of an older one of its kind, if systemd does not read now.
    fn keep(&self, kind: usize, message: String) {
        let sent = self.send(&message);
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)[kind] = (!sent).then_some(message);
    }

    /// `false` = systemd does not read at this moment.
    fn send(&self, message: &str) -> bool {
        let Some(socket) = &self.socket else { return true };
        let Err(error) = socket.send(message.as_bytes()) else { return true };
        debug!(message, %error, "systemd does not take a notification");
        self.lost.fetch_add(1, Ordering::Relaxed);
        error.kind() != std::io::ErrorKind::WouldBlock
    }
}

/// A path, or `@name` in the abstract namespace.
fn connect(path: &OsStr) -> std::io::Result<UnixDatagram> {
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(path)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Systemd {
        socket: UnixDatagram,
        path: std::path::PathBuf,
    }

    impl Systemd {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("reactor-notify-{name}-{}", std::process::id()));
            let _ = std::fs::remove_file(&path);
            let socket = UnixDatagram::bind(&path).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            Self { socket, path }
        }

        fn next(&self) -> String {
            let mut bytes = [0; 4096];
            let count = self.socket.recv(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes[..count]).into_owned()
        }
    }

    impl Drop for Systemd {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.path);
        }
    }

    fn pid() -> Option<OsString> {
        Some(std::process::id().to_string().into())
    }

    #[test]
    fn systemd_hears_what_it_documents() {
        let systemd = Systemd::new("all");
        let notifier = Notifier::new(Some(systemd.path.clone().into()), Some("30000000".into()), pid());
        assert!(notifier.is_connected());
        assert_eq!(notifier.watchdog_interval(), Some(Duration::from_secs(15)));
        notifier.ready();
        notifier.status("Plugins started\nREADY=0");
        notifier.extend_timeout(Duration::from_secs(600));
        notifier.watchdog();
        notifier.stopping();
        notifier.reloading();
        assert_eq!(systemd.next(), "READY=1");
        assert_eq!(systemd.next(), "STATUS=Plugins started READY=0");
        assert_eq!(systemd.next(), "EXTEND_TIMEOUT_USEC=600000000");
        assert_eq!(systemd.next(), "WATCHDOG=1");
        assert_eq!(systemd.next(), "STOPPING=1");
        let reloading = systemd.next();
        let usec = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(usec.parse::<u64>().unwrap() > 0);
    }

    #[test]
    fn abstract_addresses_work() {
        let name = format!("reactor-notify-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        Notifier::new(Some(format!("@{name}").into()), None, None).ready();
        let mut bytes = [0; 64];
        assert_eq!(socket.recv(&mut bytes).unwrap(), 7);
    }

    #[test]
    fn without_systemd_nothing_happens() {
        for socket in [None, Some(""), Some("/nowhere/at/all"), Some("relative\0nul")] {
            let notifier = Notifier::new(socket.map(OsString::from), None, None);
            assert!(!notifier.is_connected());
            notifier.ready();
            assert_eq!(notifier.watchdog_interval(), None);
        }
    }

    #[test]
    fn a_watchdog_for_another_process_is_not_ours() {
        for (usec, pid, expected) in [
            ("2000", Some("1"), None),
            ("2000", None, Some(1000)),
            ("0", None, None),
            ("x", None, None),
            ("", None, None),
        ] {
            let notifier = Notifier::new(None, Some(usec.into()), pid.map(OsString::from));
            assert_eq!(notifier.watchdog_interval(), expected.map(Duration::from_micros));
        }
    }

    /// A `READY=1` that was lost left the service in `reloading` until systemd gave it up.
    #[test]
    fn a_systemd_that_does_not_read_blocks_nobody_and_hears_the_newest_state_later() {
        let systemd = Systemd::new("full");
        let notifier = Notifier::new(Some(systemd.path.clone().into()), Some("1000".into()), pid());
        for _ in 0..10_000 {
            notifier.watchdog();
        }
        let lost = notifier.lost();
        assert!(lost > 0);
        assert_eq!(notifier.again_after(), None, "the next beat says the same");
        notifier.status("old");
        notifier.reloading();
        notifier.ready();
        notifier.status("new");
        assert_eq!(notifier.again_after(), Some(AGAIN));
        notifier.again();
        assert_eq!(notifier.lost(), lost + 6);
        for _ in 0..10_000 - lost {
            assert_eq!(systemd.next(), "WATCHDOG=1");
        }
        notifier.again();
        assert_eq!([systemd.next(), systemd.next()], ["READY=1", "STATUS=new"]);
        assert_eq!(notifier.again_after(), None);
    }
}
