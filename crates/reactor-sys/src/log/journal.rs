//! systemd's journal in its native protocol: one datagram per line, with the fields beside the message.
//!
//! `journalctl` shows only `MESSAGE`, so it holds all that a line in a file has: the reasons of a decision are of no use in a field that nobody
//! sees. The fields come along for `journalctl RESOURCE=r0` and `-o json`.
//!
//! The format is <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>: `NAME=value` and a line end, or, for any bytes, `NAME`, a line end, the length
//! as 64 bits little-endian, the value, a line end.
//!
//! Written here and not taken from `tracing-journald`: that writes in the thread that logs, and waits there for a journal that does not read. Ours
//! hands its datagrams to a thread behind a bounded queue (`writer.rs`), counts what is lost, and is exchanged while the daemon runs.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

use tracing::{Level, Metadata};

/// Where journald listens.
pub const SOCKET: &str = "/run/systemd/journal/socket";
/// What the daemon calls itself there.
pub(crate) const PROGRAM: &str = "storage-reactor";
/// syslog's `warning`.
const WARNING: &str = "4";
/// Longest value. A datagram must fit into the socket's buffer (about 200 KiB by default), and a message and its fields say the same twice.
const LONGEST: usize = 32 * 1024;

/// A datagram for one event.
pub(super) fn datagram(
    metadata: &Metadata<'_>,
    program: &str,
    message: &str,
    fields: &[(&'static str, String)],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 256);
    put(&mut out, "MESSAGE", message);
    put(&mut out, "PRIORITY", priority(*metadata.level()));
    put(&mut out, "SYSLOG_IDENTIFIER", program);
    put(&mut out, "TARGET", metadata.target());
    if let (Some(file), Some(line)) = (metadata.file(), metadata.line()) {
        put(&mut out, "CODE_FILE", file);
        put(&mut out, "CODE_LINE", &line.to_string());
    }
    for (name, value) in fields {
        if let Some(name) = field_name(name) {
            put(&mut out, &name, value);
        }
    }
    out
}

/// A datagram for a warning without fields of its own. A line end would end the message.
pub fn warning(program: &str, message: &str) -> String {
    let message = message.replace(['\n', '\0'], " ");
    format!("MESSAGE={message}\nPRIORITY={WARNING}\nSYSLOG_IDENTIFIER={program}\n")
}

/// Sends a [`warning`] to the journal at `path`, for programs that have no log. Never waits; without a journal nothing is said.
pub fn warn(path: &Path, program: &str, message: &str) {
    let Ok(socket) = UnixDatagram::unbound() else { return };
    if socket.set_nonblocking(true).is_ok() {
        let _ = socket.send_to(warning(program, message).as_bytes(), path);
    }
}

/// syslog(3)'s numbers.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => WARNING,
        Level::INFO => "6",
        Level::DEBUG | Level::TRACE => "7",
    }
}

/// Field names are upper case letters, digits and `_`, and begin with a letter. Those that the journal gives a meaning are ours to give.
fn field_name(name: &str) -> Option<String> {
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    let taken =
        ["MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "TARGET", "CODE_FILE", "CODE_LINE"].contains(&name.as_str());
    (name.starts_with(|c: char| c.is_ascii_uppercase()) && name.len() <= 64 && !taken).then_some(name)
}

/// One field. A value is cut at [`LONGEST`].
pub(crate) fn put(out: &mut Vec<u8>, name: &str, value: &str) {
    let end = (0..=value.len().min(LONGEST)).rev().find(|end| value.is_char_boundary(*end)).unwrap_or(0);
    let value = &value.as_bytes()[..end];
    out.extend_from_slice(name.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Whether a journal listens there. One that does not read at this moment does, too: this never waits for it.
pub(crate) fn listens(path: &Path) -> bool {
    let ask = || {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        // The journal ignores an empty datagram.
        socket.send_to(&[], path)
    };
    match ask() {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_journals_own() {
        assert_eq!(field_name("took_ms").as_deref(), Some("TOOK_MS"));
        assert_eq!(field_name("a.b-c").as_deref(), Some("A_B_C"));
        for bad in ["", "_x", "1x", "message", "priority"] {
            assert_eq!(field_name(bad), None, "{bad}");
        }
    }

    /// It waited for ever for a journal that hangs, at the start and at each reload.
    #[test]
    fn a_journal_that_does_not_read_holds_nobody_up() {
        let path = std::env::temp_dir().join(format!("reactor-journal-full-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        assert!(!listens(&path), "nobody is there");
        let journal = UnixDatagram::bind(&path).unwrap();
        assert!(listens(&path));
        let fill = UnixDatagram::unbound().unwrap();
        fill.set_nonblocking(true).unwrap();
        while fill.send_to(b"a line", &path).is_ok() {}
        let (told, hears) = std::sync::mpsc::channel();
        let asked = path.clone();
        std::thread::spawn(move || told.send(listens(&asked)));
        assert_eq!(hears.recv_timeout(std::time::Duration::from_secs(60)), Ok(true));
        drop(journal);
        assert!(!listens(&path), "nobody reads any more");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn the_text_of_a_warning_cannot_make_fields() {
        assert_eq!(warning("p", "a\nPRIORITY=0"), "MESSAGE=a PRIORITY=0\nPRIORITY=4\nSYSLOG_IDENTIFIER=p\n");
    }

    #[test]
    fn a_value_cannot_forge_a_field_and_is_not_endless() {
        let mut out = Vec::new();
        put(&mut out, "WHY", "a\nPRIORITY=0");
        assert_eq!(out, b"WHY\n\x0c\0\0\0\0\0\0\0a\nPRIORITY=0\n");
        out.clear();
        put(&mut out, "WHY", &"\u{e4}".repeat(LONGEST));
        assert_eq!(out.len(), 4 + 8 + LONGEST + 1);
    }
}
