//! What the counter of the demo writes down: one line for each thing that it did to the replicated device.
//!
//! `MICROSECONDS WORD REST`, with Unix time. The file is local to the node and is not replicated.

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The device was opened; so many records were on it.
    Opened(u64),
    /// The device could not be opened, for this reason.
    NotOpened(String),
    /// DRBD acknowledged the record with this number.
    Acknowledged(u64),
    /// DRBD refused a record, for this reason.
    Refused(String),
}

/// A line with its end.
pub fn line(micros: i64, entry: &Entry) -> String {
    match entry {
        Entry::Opened(number) => format!("{micros} opened {number}\n"),
        Entry::NotOpened(why) => format!("{micros} not-opened {why}\n"),
        Entry::Acknowledged(number) => format!("{micros} wrote {number}\n"),
        Entry::Refused(why) => format!("{micros} refused {why}\n"),
    }
}

/// Reads a line back; `None` if it is none, for example half of one.
pub fn parse(line: &str) -> Option<(i64, Entry)> {
    let (micros, rest) = line.split_once(' ')?;
    let (word, rest) = rest.split_once(' ')?;
    let entry = match word {
        "opened" => Entry::Opened(rest.parse().ok()?),
        "not-opened" => Entry::NotOpened(rest.to_owned()),
        "wrote" => Entry::Acknowledged(rest.parse().ok()?),
        "refused" => Entry::Refused(rest.to_owned()),
        _ => return None,
    };
    Some((micros.parse().ok()?, entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_back() {
        let entries = [
            Entry::Opened(7),
            Entry::NotOpened("EROFS: Read-only file system".to_owned()),
            Entry::Acknowledged(8),
            Entry::Refused("EIO: Input/output error".to_owned()),
        ];
        for entry in entries {
            let text = line(12, &entry);
            assert_eq!(parse(text.trim_end()), Some((12, entry)));
        }
        assert_eq!(parse("12 wro"), None);
        assert_eq!(parse("12 wrote x"), None);
    }
}
