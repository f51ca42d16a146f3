//! Listens to every daemon: what DRBD told it, what it decided, and why. It asks as `reactorctl` does, and knows nothing more.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use jiff::Timestamp;
use reactor_api::PromotedStatus;
use reactor_api::change::WireChange;
use reactor_api::client::{Client, ClientError};
use reactor_api::promoted::DecisionStatus;
use reactor_api::verbs::{Changes, ChangesReply, Why};
use reactor_api::words::{Detail, Last};

/// A daemon that does not answer within this is as good as dead.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the daemons are asked what they decided.
const ASK: Duration = Duration::from_millis(25);
/// How long a wait for changes may hold up the end.
const GLANCE: Duration = Duration::from_millis(100);

/// Something that a daemon said.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// When it happened, by the daemon's clock; all nodes of the demo have the same.
    pub(crate) at: Timestamp,
    /// Index of the node.
    pub(crate) node: usize,
    /// What.
    pub(crate) news: News,
}

/// What a daemon said.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// DRBD changed.
    Change(Box<WireChange>),
    /// It decided something.
    Decision(DecisionStatus),
    /// What it decided has ended.
    Outcome(DecisionStatus),
    /// The promoter's word for the resource changed, its reasons, or its warnings.
    State(Box<PromotedStatus>),
}

/// Threads that listen until this is dropped.
pub(crate) struct Watch {
    news: Receiver<Heard>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Watch {
    /// Listens at the control sockets of all nodes.
    pub(crate) fn start(sockets: &[PathBuf], resource: &str) -> Self {
        let (sender, news) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for (node, socket) in sockets.iter().enumerate() {
            let ear = || Ear {
                node,
                socket: socket.clone(),
                resource: resource.to_owned(),
                sender: sender.clone(),
                stop: Arc::clone(&stop),
            };
            let (changes, decisions) = (ear(), ear());
            threads.push(spawn(move || changes.again(Ear::changes)));
            threads.push(spawn(move || decisions.again(|ear| ear.decisions(&mut Known::default()))));
        }
        Self { news, stop, threads }
    }

    /// What was heard since the last call.
    pub(crate) fn take(&self) -> Vec<Heard> {
        self.news.try_iter().collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A listener that panicked has said so on standard error.
            let _ = thread.join();
        }
    }
}

struct Ear {
    node: usize,
    socket: PathBuf,
    resource: String,
    sender: Sender<Heard>,
    stop: Arc<AtomicBool>,
}

/// What was told already.
#[derive(Default)]
struct Known {
    state: Option<(String, Vec<String>, Vec<String>)>,
    begun: BTreeSet<(String, String)>,
    ended: BTreeSet<(String, String)>,
}

impl Ear {
    /// Listens until the end; connects again when the daemon was away.
    fn again(&self, listen: impl Fn(&Self) -> Result<(), ClientError>) {
        while !self.stopped() {
            // A daemon that is dead is what the demo is about.
            let _ = listen(self);
            sleep(ASK);
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn changes(&self) -> Result<(), ClientError> {
        let mut client = Client::connect(&self.socket, PATIENCE)?;
        client.ask_for_more(&Changes { detail: Some(Detail::State), last: Some(Last(1000)), follow: Some(true) })?;
        client.set_deadline(Some(GLANCE))?;
        while !self.stopped() {
            let reply = match client.next_reply() {
                Ok(reply) => reply,
                Err(ClientError::TimedOut { .. }) => continue,
                Err(error) => return Err(error),
            };
            let ChangesReply { changes } = serde_json::from_value(reply.parameters).unwrap_or_default();
            for change in changes.into_iter().filter_map(|change| change.known().ok()) {
                let at = time(change.time.as_deref());
                self.tell(at, News::Change(Box::new(change)));
            }
        }
        Ok(())
    }

    fn decisions(&self, known: &mut Known) -> Result<(), ClientError> {
        let mut client = Client::connect(&self.socket, PATIENCE)?;
        while !self.stopped() {
            let answer = client.ask(&Why { resource: self.resource.as_str().into() })?;
            if let Ok(report) = answer.report.known() {
                self.report(report, known);
            }
            sleep(ASK);
        }
        Ok(())
    }

    fn report(&self, mut report: PromotedStatus, known: &mut Known) {
        for past in std::mem::take(&mut report.history) {
            let key = (past.time.clone(), past.what.clone());
            if known.begun.insert(key.clone()) {
                self.tell(time(Some(&past.time)), News::Decision(past.clone()));
            }
            if past.outcome.is_some() && known.ended.insert(key) {
                self.tell(Timestamp::now(), News::Outcome(past));
            }
        }
        let state = (report.state.clone(), report.because.clone(), report.warnings.clone());
        if known.state.as_ref() != Some(&state) {
            known.state = Some(state);
            // Its reasons and warnings change without the word: `since` is not when.
            self.tell(Timestamp::now(), News::State(Box::new(report)));
        }
    }

    fn tell(&self, at: Timestamp, news: News) {
        // Nobody listens any more at the very end.
        let _ = self.sender.send(Heard { at, node: self.node, news });
    }
}

fn time(text: Option<&str>) -> Timestamp {
    text.and_then(|text| text.parse().ok()).unwrap_or_else(Timestamp::now)
}
