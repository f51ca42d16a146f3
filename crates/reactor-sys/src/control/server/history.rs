//! Answers of the history: read page by page on threads of their own, so that neither the loop nor a status waits for the disk.

use std::sync::Arc;

use reactor_api::call::{CallError, reply};
use reactor_api::history::HistoryEntry;
use reactor_api::verb::Verb as _;
use reactor_api::verbs::{History, Spans};
use serde::Serialize;
use tracing::debug;

use super::{Connection, Fault};
use crate::chain::chain;
use crate::history::read::{PAGE, Position, Query, Reader};
use crate::history::{HistoryError, Ledgers};
use crate::thread;

/// Pages that are read at a time.
const READERS: usize = 4;

#[derive(Serialize)]
struct Entries<T> {
    entries: T,
}

impl Connection {
    /// Streams entries of the past, and with `follow` each further one.
    pub(super) async fn history(&mut self, call: &History, ledgers: Ledgers) -> Result<(), Fault> {
        let query =
            Query { resource: call.resource.clone(), since: call.since_ms, until: call.until_ms, last: call.last() };
        // Before the past is read: nothing is missed in between, and what comes twice is left out.
        let live = call.follow.unwrap_or(false).then(|| ledgers.follow());
        let mut from: Option<(Position, bool)> = None;
        let mut newest = 0;
        loop {
            let (asked, at) = (query.clone(), from);
            let page = self.read_history(&ledgers, move |reader| {
                let first = match at {
                    Some(at) => Some(at),
                    None => reader.begin(&asked)?.map(|first| (first, false)),
                };
                first.map_or(Ok((Vec::new(), None)), |(position, after)| reader.page(&asked, position, after))
            });
            let (entries, end) = page.await?;
            newest = entries.iter().map(|entry| entry.id).fold(newest, u64::max);
            let more = entries.len() == PAGE && call.needs_more();
            let continues = more || live.is_some();
            // The first reply comes at once, also if it is empty.
            if from.is_none() || !entries.is_empty() || !continues {
                let text = self.beside_the_loop(move || reply(&Entries { entries }, continues)).await?;
                self.write(&text).await?;
            }
            match end.filter(|_| more) {
                Some(end) => from = Some((end, true)),
                None => break,
            }
        }
        // With the loop's own end of it the stream is over.
        drop(ledgers);
        let Some(live) = live else { return Ok(()) };
        let resource = call.resource.clone();
        let batch = move |entries: &[Arc<HistoryEntry>], continues: bool| {
            let wanted = |entry: &&Arc<HistoryEntry>| {
                (resource.is_none() || entry.resource == resource) && (entry.is_outcome || entry.id > newest)
            };
            let entries: Vec<&HistoryEntry> = entries.iter().filter(wanted).map(|entry| &**entry).collect();
            reply(&Entries { entries }, continues)
        };
        Ok(self.follow(live, batch).await?)
    }

    /// Streams where resources ran.
    pub(super) async fn spans(&mut self, call: &Spans, ledgers: &Ledgers) -> Result<(), Fault> {
        #[derive(Serialize)]
        struct Part<T> {
            spans: T,
        }
        let query = Query { resource: call.resource.clone(), since: call.since_ms, until: call.until_ms, last: 0 };
        let mut after = 0;
        loop {
            let asked = query.clone();
            let spans = self.read_history(ledgers, move |reader| reader.spans(&asked, after)).await?;
            let more = spans.len() == PAGE;
            after = spans.last().map_or(after, |span| span.id);
            let text = self.beside_the_loop(move || reply(&Part { spans }, more)).await?;
            self.write(&text).await?;
            if !more {
                return Ok(());
            }
        }
    }

    /// Reads a page of the file, beside the loop.
    pub(super) async fn read_history<T: Send + 'static>(
        &self,
        ledgers: &Ledgers,
        read: impl FnOnce(&Reader) -> Result<T, HistoryError> + Send + 'static,
    ) -> Result<T, Fault> {
        let dir = ledgers.dir.clone();
        let within = self.shared.limits.long;
        let path = dir.join(crate::history::FILE_NAME);
        let page = thread::run(&path, READERS, within, move || Reader::open(&dir).and_then(|reader| read(&reader)));
        match page.await {
            Some(Ok(page)) => Ok(page),
            Some(Err(error)) => {
                let why = chain(&error).to_string();
                // The client is told, and the log has what keeps it from being written. Readers must not be able to fill a disk.
                debug!("a client asked for the history: {why}");
                // What keeps it from being written may say more.
                let more = ledgers.failing().map(|more| format!("; {more}")).unwrap_or_default();
                Err(Fault::Call(CallError::Refused { why: format!("{why}{more}") }))
            }
            None => Err(Fault::Call(CallError::TimedOut { seconds: within.as_secs() })),
        }
    }
}
