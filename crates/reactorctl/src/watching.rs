//! Pictures of one daemon or of many, as they come.
//!
//! ```text
//!  thread for each daemon: connect ─▶ Watch ─▶ picture, picture, ... ─▶ one channel ─▶ whoever waits, with a time limit
//!                             ▲                        │ it ends
//!                             └────── a second ────────┘ (if it is to go on)
//! ```
//!
//! The channel has little room: while nobody takes what is in it, the daemons are not read, and tell the newest only.

use std::collections::BTreeSet;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use reactor_api::Status;
use reactor_api::client::{Client, ClientError};
use reactor_api::verb::Verb as _;
use reactor_api::verbs::Watch;
use serde_json::Value;

use crate::cli::Place;
use crate::daemon;
use crate::exit::Failure;
use crate::nodes::context::Node;
use crate::nodes::way;
use crate::style::make_harmless;

/// News that may wait to be taken.
const ROOM: usize = 4;

/// Between the end of one stream and the next try.
const PAUSE: Duration = Duration::from_secs(1);

/// What a daemon says next.
#[derive(Debug)]
pub(crate) enum News {
    /// What it knows now, as it came.
    Picture(Value),
    /// It says nothing more, for now or for good.
    Ended(Failure),
}

/// What happens when a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// It is tried again and again: the daemon may be restarted.
    Again,
    /// That was all.
    End,
}

/// Whom to watch.
#[derive(Clone, Debug)]
pub(crate) enum Whom {
    /// The daemon of this place.
    Here(Box<Place>),
    /// That of a node of the context.
    Node(Node),
}

impl Whom {
    fn connect(&self, within: Duration) -> Result<Client, Failure> {
        match self {
            Self::Here(place) => daemon::connect(place, within),
            Self::Node(node) => way::connect(node, within),
        }
    }
}

/// All streams.
#[derive(Debug)]
pub(crate) struct Watching {
    news: Receiver<(usize, News)>,
    streams: Vec<Arc<Stream>>,
}

/// What ends a stream from outside.
#[derive(Debug, Default)]
struct Stream {
    unwanted: AtomicBool,
    connection: Mutex<Option<UnixStream>>,
}

impl Stream {
    fn is_wanted(&self) -> bool {
        !self.unwanted.load(Ordering::SeqCst)
    }

    fn keep(&self, connection: Option<UnixStream>) {
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = connection;
        if !self.is_wanted() {
            self.hang_up();
        }
    }

    fn hang_up(&self) {
        if let Some(connection) = &*self.connection.lock().unwrap_or_else(PoisonError::into_inner) {
            // It has ended already: what was wanted.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Watching {
    /// Watches these; of `resources`, or of all if there are none. News have the number of whom they are from.
    pub(crate) fn start(whom: Vec<Whom>, resources: &[String], then: Then) -> Self {
        let (sender, news) = sync_channel(ROOM);
        let resources: Option<BTreeSet<String>> = (!resources.is_empty()).then(|| resources.iter().cloned().collect());
        let stream = |(number, whom): (usize, Whom)| {
            let stream = Arc::new(Stream::default());
            let (call, sender, ours) = (Watch { resources: resources.clone() }, sender.clone(), Arc::clone(&stream));
            thread::spawn(move || follow(&whom, &call, then, &ours, &|news| sender_takes(&sender, number, news)));
            stream
        };
        Self { streams: whom.into_iter().enumerate().map(stream).collect(), news }
    }

    /// What the first daemon that says something says now.
    pub(crate) fn first(&self) -> Result<Status, Failure> {
        match self.next(None) {
            Some((_, News::Picture(picture))) => understood(picture),
            Some((_, News::Ended(failure))) => Err(failure),
            None => Err(Failure::Stopped),
        }
    }

    /// Waits for the next news, until `end` at the latest. `None` = the time is up, or nothing more comes.
    pub(crate) fn next(&self, end: Option<Instant>) -> Option<(usize, News)> {
        let Some(end) = end else { return self.news.recv().ok() };
        self.news.recv_timeout(end.saturating_duration_since(Instant::now())).ok()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        for stream in &self.streams {
            stream.unwanted.store(true, Ordering::SeqCst);
            stream.hang_up();
        }
    }
}

fn sender_takes(sender: &SyncSender<(usize, News)>, number: usize, news: News) -> bool {
    sender.send((number, news)).is_ok()
}

/// What a picture says. Whatever is in it may be printed on a terminal.
pub(crate) fn understood(mut picture: Value) -> Result<Status, Failure> {
    make_harmless(&mut picture);
    serde_json::from_value(picture).map_err(|source| Failure::Answer { source })
}

fn follow(whom: &Whom, call: &Watch, then: Then, stream: &Stream, tell: &dyn Fn(News) -> bool) {
    while stream.is_wanted() {
        let ended = once(whom, call, stream, tell);
        let is_final = then == Then::End || !may_come_back(&ended);
        if !tell(News::Ended(ended)) || is_final {
            return;
        }
        thread::sleep(PAUSE);
    }
}

/// Whether another try may go better.
pub(crate) fn may_come_back(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Stopped
            | Failure::NotReached { .. }
            | Failure::Client(
                ClientError::NotRunning { .. } | ClientError::TimedOut { .. } | ClientError::Broken { .. }
            )
    )
}

/// One stream, to its end.
fn once(whom: &Whom, call: &Watch, stream: &Stream, tell: &dyn Fn(News) -> bool) -> Failure {
    let pictures = |told: &mut bool| -> Result<(), Failure> {
        let mut client = whom.connect(call.limit().client())?;
        stream.keep(client.connection().ok());
        client.ask_for_more(call)?;
        while stream.is_wanted() {
            let mut reply = client.next_reply()?;
            let status = reply.parameters.get_mut("status").map(Value::take).unwrap_or_default();
            *told = true;
            if !tell(News::Picture(status)) {
                break;
            }
            // From now on nothing may happen for days.
            client.set_deadline(None)?;
        }
        Ok(())
    };
    let mut told = false;
    let ended = pictures(&mut told);
    stream.keep(None);
    match ended {
        Err(Failure::Client(ClientError::Refused { name, .. })) if name.ends_with(".MethodNotFound") => {
            Failure::TooOld { what: Watch::NAME }
        }
        Err(Failure::Client(ClientError::Refused { name, .. })) if name.ends_with(".Unavailable") => Failure::Stopped,
        Err(Failure::Client(error)) if told => Failure::in_stream(error),
        Ok(()) => Failure::Stopped,
        Err(failure) => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let gone = Failure::from(ClientError::NotRunning { path: "/run/x.sock".into() });
        let denied = Failure::from(ClientError::PermissionDenied { reason: "no".to_owned() });
        assert!(may_come_back(&gone) && may_come_back(&Failure::Stopped));
        assert!(!may_come_back(&denied) && !may_come_back(&Failure::TooOld { what: "Watch" }));
    }
}
