//! A message with its id, as it waits in memory and on the disk.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reactor_core::notice::Message;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a message may be as JSON: notices beyond that are left out and counted.
const MAX_BYTES: usize = 1024 * 1024;

/// No file of ours is larger: beside the message there are the id and a few numbers.
pub(super) const MAX_FILE_BYTES: u64 = 2 * MAX_BYTES as u64;

/// The reasons and the event of a notice that is larger by itself are left out, and of its text this much stays.
const MAX_TEXT: usize = 8 * 1024;

const FORMAT: &str = "storage-reactor-notification";
const VERSION: u32 = 1;

/// A message on its way.
#[derive(Debug)]
pub(super) struct Parcel {
    /// 32 hexadecimal digits; the same at each attempt and after a restart, so that a receiver can drop doubles.
    pub(super) id: String,
    pub(super) message: Message,
    /// How long it was on its way before this daemon had it, and since when that has it.
    before: Duration,
    since: Instant,
    /// As it is on the disk.
    json: Vec<u8>,
}

/// Its file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    format: String,
    version: u32,
    id: String,
    /// Milliseconds since 1970.
    accepted_ms: u64,
    message: Message,
}

/// Why a message can't be sent, or a file is none.
#[derive(Debug, Error)]
pub(super) enum ParcelError {
    #[error("the system has no random numbers")]
    Random,
    #[error("it is no message")]
    Json(#[source] serde_json::Error),
    #[error("it is of another form: {format} version {version}")]
    Form { format: String, version: u32 },
}

impl Parcel {
    /// Takes a message, as much of it as fits.
    pub(super) fn new(mut message: Message) -> Result<Self, ParcelError> {
        cut(&mut message)?;
        let mut random = [0; 16];
        SystemRandom::new().fill(&mut random).map_err(|_| ParcelError::Random)?;
        let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let document = Document { format: FORMAT.to_owned(), version: VERSION, id, accepted_ms: now_ms(), message };
        let json = serde_json::to_vec(&document).map_err(ParcelError::Json)?;
        Ok(Self { id: document.id, message: document.message, before: Duration::ZERO, since: Instant::now(), json })
    }

    /// Reads a file. How long it is on its way is asked of the clock: one that was set back makes it young.
    pub(super) fn read(json: &[u8]) -> Result<Self, ParcelError> {
        let document: Document = serde_json::from_slice(json).map_err(ParcelError::Json)?;
        let Document { format, version, id, accepted_ms, message } = document;
        if format != FORMAT || version != VERSION {
            return Err(ParcelError::Form { format, version });
        }
        let before = Duration::from_millis(now_ms().saturating_sub(accepted_ms));
        Ok(Self { id, message, before, since: Instant::now(), json: json.to_vec() })
    }

    /// As it is on the disk.
    pub(super) fn json(&self) -> &[u8] {
        &self.json
    }

    /// How long it is on its way.
    pub(super) fn age(&self) -> Duration {
        self.before.saturating_add(self.since.elapsed())
    }

    /// About what it takes in memory: it is there twice.
    pub(super) fn weight(&self) -> usize {
        self.json.len() * 2
    }

    /// The id of one of its notices.
    pub(super) fn notice_id(&self, index: usize) -> String {
        format!("{}-{index}", self.id)
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Leaves out what is too much.
fn cut(message: &mut Message) -> Result<(), ParcelError> {
    let mut bytes = 0;
    let mut fits = 0;
    for notice in &mut message.notices {
        let mut size = serde_json::to_vec(notice).map_err(ParcelError::Json)?.len();
        if size > MAX_BYTES / 2 {
            notice.event = None;
            notice.because.clear();
            notice.resources.truncate(16);
            notice.text = line(&notice.text, MAX_TEXT);
            size = serde_json::to_vec(notice).map_err(ParcelError::Json)?.len();
        }
        bytes += size;
        if bytes > MAX_BYTES {
            break;
        }
        fits += 1;
    }
    message.left_out += (message.notices.len() - fits) as u64;
    message.notices.truncate(fits);
    Ok(())
}

/// A text as one line without control characters, of `max` bytes at most. What was cut is shown by dots.
pub(super) fn line(text: &str, max: usize) -> String {
    const DOTS: &str = "...";
    // The separators of lines and paragraphs, and what turns the direction of text: a line is one line, as it is read.
    let bad = |c: char| {
        c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let clean: String = text.trim().chars().map(|c| if bad(c) { ' ' } else { c }).collect();
    if clean.len() <= max {
        return clean;
    }
    let end = max.saturating_sub(DOTS.len());
    let end = (0..=end).rev().find(|end| clean.is_char_boundary(*end)).unwrap_or(0);
    format!("{}{DOTS}", &clean[..end])
}

#[cfg(test)]
mod tests {
    use reactor_core::notice::{Notice, Topic};
    use reactor_storage::event::Severity;

    use super::*;

    fn message(texts: &[&str]) -> Message {
        let notice = |text: &&str| Notice {
            unix_ms: 1,
            topic: Topic::Event,
            what: "SCSI_MEDIUM_ERROR".to_owned(),
            severity: Severity::Critical,
            text: (*text).to_owned(),
            because: Vec::new(),
            resources: Vec::new(),
            incident: None,
            event: None,
        };
        let notices = texts.iter().map(notice).collect();
        Message { receiver: "chat".to_owned(), node: "n1".to_owned(), notices, left_out: 1 }
    }

    #[test]
    fn what_is_written_is_read_and_no_two_have_one_id() {
        let (one, two) = (Parcel::new(message(&["a"])).unwrap(), Parcel::new(message(&["a"])).unwrap());
        assert_ne!(one.id, two.id);
        assert_eq!(one.id.len(), 32);
        let again = Parcel::read(one.json()).unwrap();
        assert_eq!((&again.id, &again.message, again.json()), (&one.id, &one.message, one.json()));
        assert!(again.age() < Duration::from_secs(600));
    }

    #[test]
    fn what_is_too_much_is_left_out_and_counted() {
        let long = "y".repeat(MAX_BYTES);
        let parcel = Parcel::new(message(&["a", &long, "b"])).unwrap();
        assert_eq!(parcel.message.notices.len(), 3);
        assert_eq!(parcel.message.notices[1].text.len(), MAX_TEXT);
        let many = "z".repeat(MAX_BYTES / 3);
        let parcel = Parcel::new(message(&[&many, &many, &many, &many])).unwrap();
        assert_eq!((parcel.message.notices.len(), parcel.message.left_out), (2, 3));
        assert!((parcel.json().len() as u64) < MAX_FILE_BYTES);
    }

    #[test]
    fn a_line_is_one_line_as_it_is_read() {
        assert_eq!(line(" a\r\nb\u{7}\u{202e}c\u{2028} ", 100), "a  b  c");
        assert_eq!(line("\u{e4}\u{e4}\u{e4}\u{e4}", 6), "\u{e4}...");
        assert_eq!(line("abc", 3), "abc");
        assert_eq!(line("abcd", 2), "...");
    }
}
