//! What comes from outside: sources, clients, scrapes, signals.
//!
//! Each source has a channel of its own, with a bound of its own, and they take turns. So a source that is late or loud costs only itself: a
//! flood of one fills its own channel, and news of another waits for one piece of it at most. With one channel for all, a flood would stand
//! before everything else. What happens when a channel is full is for its source to say: DRBD's waits.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::task::Poll;

use reactor_core::input::Input;
use reactor_sys::control::{Audited, ControlRequest};
use reactor_sys::http::ScrapeRequest;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::event::{Counts, Event, Wish};

/// Urgent events that are taken in a row before the others get their turn.
const URGENT: usize = 16;

/// What the loop listens to, what it began itself aside.
pub(super) struct Inbox {
    sources: Sources,
    requests: mpsc::Receiver<ControlRequest>,
    audits: mpsc::Receiver<Audited>,
    scrapes: mpsc::Receiver<ScrapeRequest>,
    signals: Signals,
    /// Urgent events that were taken since the others had their turn.
    in_a_row: usize,
    /// What has woken the loop so far.
    counts: Counts,
}

impl Inbox {
    /// With clients and scrapes, and without sources.
    ///
    /// # Errors
    ///
    /// The kernel does not let us listen to signals.
    pub(super) fn new(
        requests: mpsc::Receiver<ControlRequest>,
        audits: mpsc::Receiver<Audited>,
        scrapes: mpsc::Receiver<ScrapeRequest>,
    ) -> io::Result<Self> {
        Ok(Self {
            sources: Sources::default(),
            requests,
            audits,
            scrapes,
            signals: Signals::listen()?,
            in_a_row: 0,
            counts: Counts::default(),
        })
    }

    /// One source more. It is gone when it drops its end of the channel.
    pub(super) fn add_source(&mut self, news: mpsc::Receiver<Input>) {
        self.sources.0.push_back(news);
    }

    /// Counts an event that is handled.
    pub(super) fn count(&mut self, event: &Event) {
        self.counts.count(event);
    }

    /// How many events of each kind there were.
    pub(super) fn counts(&self) -> Vec<(&'static str, u64)> {
        self.counts.all()
    }

    /// Requests of clients that wait now.
    pub(super) fn requests_waiting(&self) -> u64 {
        self.requests.len() as u64
    }

    /// News of a source, if there are any by now.
    pub(super) fn try_source(&mut self) -> Option<Event> {
        self.sources.try_next().map(Event::Source)
    }

    /// Whether what is urgent goes first now. After [`URGENT`] of these everybody has the same chance once.
    pub(super) fn urgent_first(&mut self) -> bool {
        self.in_a_row += 1;
        self.in_a_row <= URGENT
    }

    /// Everybody has the same chance now.
    pub(super) fn fair(&mut self) {
        self.in_a_row = 0;
    }

    /// Waits for what comes from outside. Cancel safe.
    pub(super) async fn next(&mut self) -> Event {
        tokio::select! {
            input = self.sources.next() => Event::Source(input),
            Some(request) = self.requests.recv() => Event::Request(request),
            Some(audited) = self.audits.recv() => Event::Audited(Box::new(audited)),
            Some(request) = self.scrapes.recv() => Event::Scrape(request),
            wish = self.signals.next() => Event::Signal(wish),
        }
    }
}

/// The sources. The first of the list is the next that may speak; who has spoken goes to its end.
#[derive(Default)]
struct Sources(VecDeque<mpsc::Receiver<Input>>);

impl Sources {
    fn try_next(&mut self) -> Option<Input> {
        let at = self.0.iter_mut().enumerate().find_map(|(at, source)| Some((at, source.try_recv().ok()?)));
        let (at, input) = at?;
        self.has_spoken(at);
        Some(input)
    }

    /// Waits for the next news; for ever without a source. Cancel safe.
    async fn next(&mut self) -> Input {
        poll_fn(|cx| {
            let mut at = 0;
            while let Some(source) = self.0.get_mut(at) {
                match source.poll_recv(cx) {
                    Poll::Ready(Some(input)) => {
                        self.has_spoken(at);
                        return Poll::Ready(input);
                    }
                    // It has ended.
                    Poll::Ready(None) => drop(self.0.remove(at)),
                    Poll::Pending => at += 1,
                }
            }
            Poll::Pending
        })
        .await
    }

    fn has_spoken(&mut self, at: usize) {
        if let Some(source) = self.0.remove(at) {
            self.0.push_back(source);
        }
    }
}

struct Signals {
    hangup: Signal,
    dump: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            dump: signal(SignalKind::user_defined1())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            Some(()) = self.hangup.recv() => Wish::Reload,
            Some(()) = self.dump.recv() => Wish::Dump,
            Some(()) = self.terminate.recv() => Wish::Stop("SIGTERM"),
            Some(()) = self.interrupt.recv() => Wish::Stop("SIGINT"),
            else => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use reactor_core::input::SourceId;

    use super::*;

    fn news(text: &str) -> Input {
        Input::Lines(SourceId::Drbd, text.to_owned())
    }

    /// News of a source that says little stood behind everything that a loud one had said.
    #[tokio::test]
    async fn a_loud_source_delays_another_by_one_piece_and_one_that_has_ended_by_none() {
        let mut sources = Sources::default();
        let (loud, from_loud) = mpsc::channel(4);
        let (quiet, from_quiet) = mpsc::channel(4);
        let (ended, from_ended) = mpsc::channel(4);
        sources.0.extend([from_ended, from_loud, from_quiet]);
        drop(ended);
        let fill = || while loud.try_send(news("loud")).is_ok() {};
        for _ in 0..3 {
            fill();
            quiet.try_send(news("quiet")).expect("there is room");
            let taken = [sources.next().await, sources.next().await];
            assert!(taken.contains(&news("quiet")), "{taken:?}");
            fill();
            quiet.try_send(news("quiet")).expect("there is room");
            let taken = [sources.try_next(), sources.try_next()];
            assert!(taken.contains(&Some(news("quiet"))), "{taken:?}");
        }
        assert_eq!(sources.0.len(), 2);
    }
}
