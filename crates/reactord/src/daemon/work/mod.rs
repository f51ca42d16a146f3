//! What is being done for the core, handlers aside: calls of systemd and of DRBD's tools, generated files.
//!
//! Everything that has an outcome is a task, and the loop hears of its end as an [`Event`]. What only the daemon knows (settings, the snapshot of
//! DRBD) is handed in with each call.

mod calls;
mod files;
mod systemd;
mod tools;

use reactor_core::action::Done;
use reactor_core::ids::{ActionId, ResourceName};
use reactor_core::input::Input;
use reactor_core::settings::DaemonSettings;
use reactor_sys::drbd::tools::JournalSync;
use reactor_sys::units::UnitFiles;
use tokio::task::JoinHandle;

use super::event::Event;
use super::{finish, ports};
use calls::Calls;
use files::Files;
use systemd::Systemd;
use tools::Places;

pub(super) use files::RELOAD;
pub(super) use systemd::Followed;

/// What is being done, and what it needs.
pub(super) struct Work {
    calls: Calls,
    systemd: Systemd,
    files: Files,
    unit_files: UnitFiles,
    /// Whose unit files are there, while somebody looks.
    looking: Option<JoinHandle<Vec<ResourceName>>>,
    places: Places,
    journal: JournalSync,
    /// The last action that the core asked for.
    last: ActionId,
}

impl Work {
    /// Nothing is being done yet.
    pub(super) fn new(settings: &DaemonSettings) -> Self {
        Self {
            calls: Calls::default(),
            systemd: Systemd::default(),
            files: Files::default(),
            unit_files: ports::unit_files(settings),
            looking: None,
            places: Places::default(),
            journal: JournalSync::default(),
            last: ActionId(0),
        }
    }

    /// Waits for an outcome, or for news of systemd. Cancel safe.
    pub(super) async fn next(&mut self) -> Event {
        tokio::select! {
            done = self.calls.next() => Event::ActionsDone(done),
            news = self.systemd.next() => Event::Systemd(news),
            () = self.files.next() => Event::FilesWritten,
            found = finish(&mut self.looking) => Event::UnitFiles(found.unwrap_or_default()),
        }
    }

    /// What is urgent of that, if there is any by now: outcomes, then news.
    pub(super) fn try_next(&mut self) -> Option<Event> {
        let done = self.calls.try_next().map(Event::ActionsDone);
        done.or_else(|| self.try_systemd().map(Event::Systemd))
    }

    /// News of systemd, if there are any by now.
    pub(super) fn try_systemd(&mut self) -> Option<Input> {
        self.systemd.try_next()
    }

    /// Notes that the core has asked for this.
    pub(super) fn asked(&mut self, action: ActionId) {
        self.last = self.last.max(action);
    }

    /// The last action that it has asked for.
    pub(super) fn last(&self) -> ActionId {
        self.last
    }

    /// Notes that something has its outcome.
    pub(super) fn end(&mut self, done: &Done) {
        self.calls.end(done);
    }

    /// How much is under way of what was asked for after `last`.
    pub(super) fn under_way_since(&self, last: ActionId) -> usize {
        self.calls.since(last)
    }

    /// How much is under way.
    pub(super) fn under_way(&self) -> usize {
        self.calls.len()
    }

    /// Ends everything; an outcome for each that was under way.
    pub(super) fn abandon(&mut self, why: &str) -> Vec<Done> {
        self.calls.abandon(why)
    }

    /// Asks the journal to write what it has to its disk.
    pub(super) fn sync_journal(&mut self) {
        self.journal.ask();
    }

    /// The generated files of this daemon.
    pub(super) fn unit_files(&self) -> &UnitFiles {
        &self.unit_files
    }
}
