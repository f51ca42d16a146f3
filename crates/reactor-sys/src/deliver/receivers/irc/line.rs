//! Lines of IRC: reading what a server says, and writing a text so that it fits.

use super::super::super::parcel::line;

/// The longest line, with its end (RFC 2812).
const MAX_LINE: usize = 512;

/// What the server puts before a line when it tells it to others: `:nick!user@host `, each as long as it may be.
const MAX_PREFIX: usize = 1 + 30 + 1 + 12 + 1 + 63 + 1;

/// Nicks are at least allowed to have so many characters on today's servers.
const MAX_NICK: usize = 16;

/// What a server has said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// A word, or a number of three digits.
    pub(super) command: String,
    /// What follows; the last may have blanks.
    pub(super) words: Vec<String>,
}

impl Said {
    pub(super) fn last(&self) -> &str {
        self.words.last().map_or("", String::as_str)
    }

    /// For the log.
    pub(super) fn shown(&self) -> String {
        line(&format!("{} {}", self.command, self.words.join(" ")), 256)
    }
}

/// Reads a line: `[@tags] [:prefix] COMMAND word word :the rest`.
pub(super) fn said(text: &str) -> Said {
    let mut rest = text;
    for mark in ['@', ':'] {
        if rest.starts_with(mark) {
            rest = rest.split_once(' ').map_or("", |(_, rest)| rest.trim_start());
        }
    }
    let mut said = Said::default();
    while !rest.is_empty() {
        let last = rest.strip_prefix(':').filter(|_| !said.command.is_empty());
        let (word, more) = match last {
            Some(last) => (last, ""),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        if said.command.is_empty() {
            said.command = word.to_ascii_uppercase();
        } else {
            said.words.push(word.to_owned());
        }
        rest = more.trim_start();
    }
    said
}

/// The lines that tell a text to a channel: each fits, breaks between words where there are some, and never within a character.
pub(super) fn split(channel: &str, text: &str) -> Vec<String> {
    let head = format!("PRIVMSG {channel} :");
    let room = MAX_LINE.saturating_sub(2 + MAX_PREFIX + head.len()).max(64);
    let mut lines = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = (0..=rest.len().min(room)).rev().find(|end| rest.is_char_boundary(*end)).unwrap_or(rest.len());
        let is_all = end == rest.len();
        let blank = rest[..end].rfind(' ').filter(|at| !is_all && *at > room / 2);
        let (piece, more) = rest.split_at(blank.unwrap_or(end));
        lines.push(format!("{head}{piece}"));
        rest = more.trim_start();
    }
    lines
}

/// A text as a nick.
pub(super) fn word(text: &str) -> String {
    let is_good = |c: &char| c.is_ascii_alphanumeric() || "-_[]{}^|`\\".contains(*c);
    let nick: String = text.chars().filter(is_good).take(MAX_NICK).collect();
    if nick.starts_with(|c: char| c.is_ascii_alphabetic() || "_[]{}^|`\\".contains(c)) {
        return nick;
    }
    let nick = format!("n{nick}");
    nick.chars().take(MAX_NICK).collect()
}

/// Another one, because that is taken.
pub(super) fn another(nick: &str, attempt: usize) -> String {
    // Servers with nicks of nine characters would cut the difference off.
    let begin: String = nick.chars().take(7).collect();
    format!("{begin}_{attempt}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_say_is_read() {
        for (text, command, words) in [
            ("PING :a b", "PING", vec!["a b"]),
            (":irc.example 001 n1 :Welcome, n1", "001", vec!["n1", "Welcome, n1"]),
            ("@time=1 :n!u@h KICK #a n1 :out with you", "KICK", vec!["#a", "n1", "out with you"]),
            (":s 366 n1 #a :End of NAMES list", "366", vec!["n1", "#a", "End of NAMES list"]),
            ("pong  x  y", "PONG", vec!["x", "y"]),
            (":alone", "", vec![]),
            ("", "", vec![]),
            ("AUTHENTICATE +", "AUTHENTICATE", vec!["+"]),
        ] {
            let words = words.into_iter().map(str::to_owned).collect();
            assert_eq!(said(text), Said { command: command.to_owned(), words }, "{text:?}");
        }
    }

    #[test]
    fn no_line_is_too_long_and_no_character_is_broken() {
        for text in ["\u{1f4be}".repeat(400), "word ".repeat(300), "x".repeat(2000), "short".to_owned(), String::new()]
        {
            let lines = split("#storage", &text);
            let mut told = String::new();
            for line in &lines {
                assert!(line.len() + 2 + MAX_PREFIX <= MAX_LINE, "{}", line.len());
                told.push_str(line.strip_prefix("PRIVMSG #storage :").unwrap());
            }
            let without_blanks = |text: &str| text.replace(' ', "");
            assert_eq!(without_blanks(&told), without_blanks(&text));
        }
        assert_eq!(split("#a", "one").len(), 1);
    }

    #[test]
    fn a_name_becomes_a_nick() {
        for (name, nick) in
            [("node-1.example", "node-1example"), ("1st", "n1st"), ("", "n"), ("\u{e4}", "n"), ("-x", "n-x")]
        {
            assert_eq!(word(name), nick);
        }
        assert_eq!(another("storage-node", 2), "storage_2");
    }
}
