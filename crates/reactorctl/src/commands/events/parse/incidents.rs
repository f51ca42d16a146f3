//! Events of a log in, incidents out.

use std::io::{self, Write};
use std::sync::Arc;

use reactor_storage::event::Event;
use reactor_storage::incidents::{Incident, Incidents, Settings};

use super::super::print::time;
use crate::style::harmless;

/// The incidents of a log.
#[derive(Default)]
pub(super) struct Causes {
    open: Incidents,
    over: Vec<Arc<Incident>>,
    now_us: u64,
}

impl Causes {
    /// One event that is over, in the order in which they began.
    pub(super) fn take(&mut self, event: &Event) {
        let at = event.at.wall_us.or(event.at.boot_us).unwrap_or(self.now_us);
        // Another boot may begin with earlier stamps: what follows is later all the same.
        self.now_us = self.now_us.max(at);
        let news = self.open.take(event, self.now_us);
        self.over.extend(news.into_iter().map(|news| news.incident).filter(|incident| incident.end.is_some()));
    }

    /// Prints them all, in the order in which they began: what became part of another one is told with that.
    pub(super) fn print(mut self, json: bool, out: &mut dyn Write) -> io::Result<()> {
        let Settings { calm_us, .. } = Settings::default();
        // What was put right at the very end of the log has stayed so for all that it says.
        let last = self.open.expire(self.now_us.saturating_add(calm_us));
        self.over.extend(last.into_iter().map(|news| news.incident));
        let mut all: Vec<Arc<Incident>> = self.over.into_iter().filter(|incident| !incident.is_part()).collect();
        all.extend(self.open.open().cloned());
        all.sort_by(|a, b| (a.opened_us, &a.id).cmp(&(b.opened_us, &b.id)));
        for incident in &all {
            if json {
                writeln!(out, "{}", serde_json::to_string(incident).map_err(io::Error::other)?)?;
                continue;
            }
            let story = incident.story(time);
            for line in story.lines() {
                writeln!(out, "{}", harmless(line))?;
            }
        }
        if all.is_empty() && !json {
            writeln!(out, "no storage incident in it")?;
        }
        Ok(())
    }
}
