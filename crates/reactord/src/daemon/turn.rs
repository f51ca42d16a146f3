//! The loop: one event, what follows from it, the next event.
//!
//! ```text
//!              ┌────────────────────────── next_event (async) ──────────────────────────┐
//!  outcomes ───┤ urgent, up to 16 in a row ─┐                                            │
//!  systemd ────┤                            ├─▶ one Event ─▶ counted ─▶ handle (plain) ─┼─▶ the next
//!  sources ────┤                            │                            │             │
//!  all others ─┤ everybody, a fair choice ──┘                            ▼             │
//!              └──────────────────────────────────────── core.step, tasks, answers ─────┘
//! ```

use anyhow::{Result, bail};
use reactor_core::input::Input;
use tokio::time::sleep_until;
use tracing::info;

use super::Daemon;
use super::event::{Event, Wish};
use super::logs::log_problems;
use super::memory::MemoryNews;

impl Daemon {
    /// Turns the loop until the daemon has been asked to end and everything that was asked for at its exit has its outcome.
    ///
    /// There is one loop, for a daemon that serves and for one that ends, in two halves. [`next_event`](Self::next_event) is the only place
    /// that waits; it changes nothing but the queues it takes from, so it may be dropped at any of its waits. [`handle`](Self::handle) is a
    /// plain function with all of the daemon at hand: it starts what takes time as a task, whose end is an event. The reasons:
    ///
    /// - Whatever can happen is one list, [`Event`], and each kind is counted (`storage_reactor_loop_events_total`): who wonders what a busy
    ///   daemon does sees it.
    /// - Between two events everything is in a known state, and nothing needs a lock.
    /// - Serving and ending can't differ by accident. The end had a loop of its own once, which lacked scrapes and reloads.
    ///
    /// The price: what takes more than one step (a reload, a job of files, an operator's request that waits for the disk) can't be written as
    /// straight async code. Its state is written by hand into its owner, with deadlines in `due.rs` in place of timeouts. Whatever `handle` does at
    /// length delays everybody, so what may block needs a thread and a variant of `Event`. And each event is moved once more
    /// than its handler needed: some hundred bytes, on a path that parses lines of text.
    ///
    /// # Errors
    ///
    /// A promoter that cannot be mended.
    pub(super) async fn turn(&mut self) -> Result<()> {
        while !self.is_over() {
            let event = self.next_event().await;
            self.inbox.count(&event);
            self.handle(event);
            if let Some(why) = self.core.beyond_repair().filter(|_| !self.is_ending()) {
                bail!("{why}: the daemon ends, to be started again");
            }
        }
        Ok(())
    }

    /// Waits for what happens next. What waits for nothing else goes first: outcomes, systemd's news, news of the sources; so many in a row that
    /// the others get their turn.
    async fn next_event(&mut self) -> Event {
        if self.inbox.urgent_first()
            && let Some(event) = self.try_urgent()
        {
            return event;
        }
        self.inbox.fair();
        let deadline = self.core.next_deadline().map(|at| self.clock.instant(at));
        let due = self.next_due();
        tokio::select! {
            event = self.inbox.next() => event,
            event = self.work.next() => event,
            done = self.handlers.next() => Event::HandlerDone(done),
            news = self.memories.news() => Event::Memory(news),
            () = self.wall.next() => Event::Clock,
            findings = self.system.next() => Event::Checked(findings),
            found = self.left.next() => Event::Leftovers(found),
            news = self.configuration.next() => Event::Reload(news),
            problems = self.logs.next() => Event::LogFiles(problems),
            bound = self.clients.next() => Event::ControlSocket(bound),
            () = at(deadline), if deadline.is_some() => Event::Deadline,
            () = at(due.map(Into::into)), if due.is_some() => Event::Due,
        }
    }

    fn try_urgent(&mut self) -> Option<Event> {
        self.work.try_next().or_else(|| self.inbox.try_source())
    }

    /// Does what follows from an event.
    fn handle(&mut self, event: Event) {
        // What these change, they change by a step, which says so itself.
        let is_news = !matches!(event, Event::Request(_) | Event::Scrape(_) | Event::Deadline);
        self.do_what_follows(event);
        if is_news {
            self.clients.wake_watchers();
        }
    }

    fn do_what_follows(&mut self, event: Event) {
        match event {
            Event::Source(input) => self.step(&input),
            Event::ActionsDone(done) => self.calls_done(done),
            Event::Systemd(news) => self.systemd_news(&news),
            Event::FilesWritten => self.files_ended(),
            Event::HandlerDone(done) => self.handler_done(done),
            Event::Memory(MemoryNews::Written(result)) => self.memories.written(result),
            Event::Memory(MemoryNews::Late(held)) => self.late_memories(held),
            Event::Clock => self.look_at_clock(),
            Event::UnitFiles(found) => self.unit_files_found(found),
            Event::Checked(findings) => self.system.checked(findings, self.configuration.loaded()),
            Event::Leftovers(found) => self.leftovers_found(found),
            Event::Request(request) => self.request(request),
            Event::Audited(audited) => self.audited(&audited),
            Event::Scrape(request) => self.scrape(request),
            Event::Reload(news) => self.reloaded(news),
            Event::LogFiles(problems) => {
                log_problems(&problems);
                self.chore_done();
            }
            Event::ControlSocket(bound) => {
                self.clients.bound(bound, &self.configuration.settings().daemon);
                self.chore_done();
            }
            Event::Deadline => self.step(&Input::Tick),
            Event::Due => self.do_what_is_due(),
            Event::Signal(Wish::Reload) => {
                info!("SIGHUP: the configuration is to be read");
                self.start_reload(None);
            }
            Event::Signal(Wish::Dump) => self.dump(),
            Event::Signal(Wish::Stop(signal)) => self.asked_to_stop(signal),
        }
    }
}

/// Until `deadline`; for ever if there is none.
async fn at(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
