//! Events that peripety itself wrote into the journal, when it ran there.

use std::collections::{BTreeSet, VecDeque};
use std::io::{BufRead, BufReader, Read};

use jiff::Timestamp;
use reactor_storage::event::Event;
use serde_json::Value;

use super::journal::Journal;
use super::words::Level;
use crate::exit::Failure;
use crate::style::make_harmless;

/// A longer entry is none of peripety's.
const MAX_LINE: u64 = 1 << 20;

/// How deep owners of owners are looked at.
const MAX_DEPTH: usize = 16;

/// Events of ours that a line of peripety's is compared with.
const MAX_RECENT: usize = 256;

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// As it was written.
    pub(super) json: Value,
    pub(super) at: Timestamp,
    /// `None` = peripety did not know it.
    pub(super) level: Option<Level>,
    pub(super) sub_system: String,
    pub(super) event_type: String,
    /// WWIDs and paths.
    pub(super) devices: BTreeSet<String>,
    raw_msg: String,
}

impl Stored {
    fn of(line: &[u8]) -> Option<Self> {
        let entry: Value = serde_json::from_slice(line).ok()?;
        let mut json: Value = match entry.get("JSON")? {
            Value::String(text) => serde_json::from_str(text).ok()?,
            // journalctl's form of what it takes for no text.
            Value::Array(bytes) => {
                let byte = |byte: &Value| byte.as_u64().and_then(|byte| u8::try_from(byte).ok());
                serde_json::from_slice(&bytes.iter().map(byte).collect::<Option<Vec<u8>>>()?).ok()?
            }
            _ => return None,
        };
        make_harmless(&mut json);
        let text = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut devices = BTreeSet::new();
        for key in ["blk_info", "cur_blk_info", "hierarchy_blk_info"] {
            json.get(key).into_iter().for_each(|info| collect(info, MAX_DEPTH, &mut devices));
        }
        Some(Self {
            at: text("timestamp").parse().ok()?,
            level: Level::named(&text("severity")),
            sub_system: text("sub_system"),
            event_type: text("event_type"),
            raw_msg: text("raw_msg"),
            devices,
            json,
        })
    }
}

fn collect(info: &Value, depth: usize, devices: &mut BTreeSet<String>) {
    let texts = ["wwid", "blk_path", "preferred_blk_path"].into_iter().filter_map(|key| info.get(key)?.as_str());
    devices.extend(texts.filter(|text| !text.is_empty()).map(str::to_owned));
    if let (Some(Value::Array(owners)), 1..) = (info.get("owners"), depth) {
        owners.iter().for_each(|owner| collect(owner, depth - 1, devices));
    }
}

/// All of them, in their order, between ours.
pub(super) struct Stories {
    journal: Journal,
    lines: BufReader<Box<dyn Read + Send>>,
    next: Option<Stored>,
    /// When ours were, from and to in microseconds, and their lines.
    recent: VecDeque<(u64, u64, Vec<String>)>,
}

impl Stories {
    pub(super) fn new(since: Option<Timestamp>) -> Result<Self, Failure> {
        let mut journal = Journal::stored(since)?;
        let lines = BufReader::new(journal.take_output());
        let mut stories = Self { journal, lines, next: None, recent: VecDeque::new() };
        stories.advance();
        Ok(stories)
    }

    /// Remembers an event of ours: peripety may have one of the same line.
    pub(super) fn remember(&mut self, event: &Event) {
        let (Some(from), Some(to)) = (event.at.wall_us, event.last.wall_us) else { return };
        if self.recent.len() >= MAX_RECENT {
            self.recent.pop_front();
        }
        let lines = event.lines.iter().map(|line| line.trim().to_owned()).collect();
        self.recent.push_back((from, to.max(from), lines));
    }

    /// The next one that is older than this, and is not one of ours. `None` = as old as you like.
    pub(super) fn next_before(&mut self, wall_us: Option<u64>) -> Option<Stored> {
        loop {
            let at = self.next.as_ref()?.at.as_microsecond();
            let at = u64::try_from(at).unwrap_or_default();
            if wall_us.is_some_and(|before| at >= before) {
                return None;
            }
            let stored = self.next.take()?;
            self.advance();
            if !self.is_ours(&stored, at) {
                return Some(stored);
            }
        }
    }

    /// What went wrong with the journal, if anything.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let Self { journal, lines, .. } = self;
        drop(lines);
        journal.finish()
    }

    fn is_ours(&self, stored: &Stored, at: u64) -> bool {
        let line = stored.raw_msg.trim();
        !line.is_empty()
            && self
                .recent
                .iter()
                .any(|(from, to, lines)| (*from..=*to).contains(&at) && lines.iter().any(|ours| ours == line))
    }

    fn advance(&mut self) {
        let mut line = Vec::new();
        while self.next.is_none() {
            line.clear();
            match (&mut self.lines).take(MAX_LINE).read_until(b'\n', &mut line) {
                // A pipe that can't be read is at its end, and the program behind it says why.
                Ok(0) | Err(_) => return,
                Ok(_) => self.next = Stored::of(&line),
            }
        }
    }
}
