//! One line for the journal: one datagram in its native form. Never waits; without a journal nothing is said.

use std::os::unix::net::UnixDatagram;
use std::path::Path;

/// syslog's `warning`.
const WARNING: u8 = 4;

/// Says that something is not as it should be.
pub(crate) fn warn(journal: &Path, text: &str) {
    let Ok(socket) = UnixDatagram::unbound() else { return };
    if socket.set_nonblocking(true).is_ok() {
        let _ = socket.send_to(entry(text).as_bytes(), journal);
    }
}

/// The fields of one entry. A line end would end the field.
fn entry(text: &str) -> String {
    let text = text.replace(['\n', '\0'], " ");
    format!("MESSAGE={text}\nPRIORITY={WARNING}\nSYSLOG_IDENTIFIER=reactor-helper\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_make_fields() {
        assert_eq!(entry("a\nPRIORITY=0"), "MESSAGE=a PRIORITY=0\nPRIORITY=4\nSYSLOG_IDENTIFIER=reactor-helper\n");
    }
}
