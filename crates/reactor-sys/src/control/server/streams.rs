//! Answers that are long, or have no end: the status piece by piece, changes, and pictures.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use reactor_api::WireChange;
use reactor_api::call::{CallError, reply};
use reactor_api::verbs;
use tokio::io::AsyncReadExt;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{Instant, sleep, sleep_until};

use super::super::hub::{Past, Subscription, wire};
use super::super::snapshot::{Lent, Writer};
use super::super::watch::Watched;
use super::{Connection, End};

/// Most changes in one message: a stream that is behind catches up with few messages, none of them huge.
const MAX_BATCH: usize = 256;

/// Most that a client may send behind a call whose answers never end: nobody reads it.
const MAX_UNREAD: usize = 64 * 1024;

/// Least time between two looks of one watcher, and how many times longer it rests than its last look took: however much happens, and however much
/// there is to look at, a watcher takes little of the loop's time. What happens meanwhile is one picture.
const PAUSE: Duration = Duration::from_millis(50);
const REST: u32 = 10;

/// Bytes that came behind a call whose answers have no end. Such calls are never answered, so they are not even kept.
#[derive(Default)]
pub(super) struct Unread(usize);

impl Connection {
    /// Writes the status in pieces, each made when the one before is read.
    pub(super) async fn status(
        &mut self,
        snapshot: Arc<Lent>,
        only: Option<BTreeSet<String>>,
        continues: bool,
    ) -> Result<(), End> {
        let until = Instant::now() + self.shared.limits.status;
        let mut writer = Writer::new(Arc::clone(&snapshot), only, continues);
        loop {
            let made = self.beside_the_loop(move || {
                let piece = writer.piece();
                (writer, piece)
            });
            let (writing, piece) = made.await?;
            if piece.is_empty() {
                return Ok(());
            }
            writer = writing;
            tokio::select! {
                written = self.write(&piece) => written?,
                () = snapshot.withdrawn() => return Err(End::SlowReader),
                () = sleep_until(until) => return Err(End::SlowReader),
            }
        }
    }

    /// Streams pictures: the present at once, and each that differs from the one before, until the client closes.
    pub(super) async fn watch(&mut self, call: &verbs::Watch, first: Watched) -> Result<(), End> {
        let (mut watched, mut shown, mut unread) = (first, None, Unread::default());
        let mut took = Duration::ZERO;
        loop {
            let Watched { snapshot, picture, mut changed } = watched;
            if shown.as_ref() != Some(&picture) {
                let lent = self.shared.lending.lend(snapshot);
                self.status(lent, call.resources.clone(), true).await?;
                shown = Some(picture);
            }
            let rest = sleep(PAUSE.max(took.saturating_mul(REST)));
            let again = async {
                rest.await;
                changed.changed().await
            };
            match self.unless_gone(&mut unread, again).await? {
                Some(Ok(())) => {}
                // The loop is gone.
                Some(Err(_)) => {
                    return self.write(&CallError::Unavailable { why: "daemon is stopping" }.to_message()).await;
                }
                None => return Ok(()),
            }
            let asked = Instant::now();
            watched = match self.request(call.clone()).await {
                Ok(watched) => watched,
                Err(error) => {
                    self.write(&error.to_message()).await?;
                    return Err(End::Call(error));
                }
            };
            took = asked.elapsed();
        }
    }

    /// Waits for something while the client is there; `None` = it has gone.
    pub(super) async fn unless_gone<T>(
        &mut self,
        unread: &mut Unread,
        wait: impl Future<Output = T>,
    ) -> Result<Option<T>, End> {
        let mut wait = std::pin::pin!(wait);
        let mut bytes = [0; 512];
        loop {
            let count = tokio::select! {
                done = &mut wait => return Ok(Some(done)),
                count = self.reader.read(&mut bytes) => count.map_err(End::Broken)?,
            };
            if count == 0 {
                return Ok(None);
            }
            unread.0 += count;
            if unread.0 > MAX_UNREAD {
                return Err(End::Unasked);
            }
        }
    }

    /// Streams changes: the past at once, each further one as it comes, until the client closes.
    pub(super) async fn changes(&mut self, subscription: Subscription) -> Result<(), End> {
        let Subscription { backlog, live } = subscription;
        // A call without `more` has one reply, whatever its length.
        let Some(live) = live else {
            let text = self.beside_the_loop(move || past(&backlog, false)).await?;
            return self.write(&text).await;
        };
        // The first reply comes at once, also when it is empty: the client knows that it misses nothing from here on.
        let (first, rest) = backlog.split_at(backlog.len().min(MAX_BATCH));
        for part in std::iter::once(first).chain(rest.chunks(MAX_BATCH)) {
            let part = part.to_vec();
            let text = self.beside_the_loop(move || past(&part, true)).await?;
            self.write(&text).await?;
        }
        self.follow(live, batch).await
    }

    /// Writes what comes, until the client closes; `batch` makes a reply of some of it.
    pub(super) async fn follow<T>(
        &mut self,
        mut live: broadcast::Receiver<Arc<T>>,
        batch: impl Fn(&[Arc<T>], bool) -> Vec<u8>,
    ) -> Result<(), End> {
        let mut unread = Unread::default();
        loop {
            let Some(next) = self.unless_gone(&mut unread, live.recv()).await? else { return Ok(()) };
            let mut changes = Vec::new();
            let mut end = match next {
                Ok(change) => {
                    changes.push(change);
                    None
                }
                Err(error) => Some(error),
            };
            while end.is_none() && changes.len() < MAX_BATCH {
                match live.try_recv() {
                    Ok(change) => changes.push(change),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Closed) => end = Some(RecvError::Closed),
                    Err(TryRecvError::Lagged(missed)) => end = Some(RecvError::Lagged(missed)),
                }
            }
            match end {
                None => self.write(&batch(&changes, true)).await?,
                Some(RecvError::Closed) => return self.write(&batch(&changes, false)).await,
                Some(RecvError::Lagged(missed)) => {
                    if !changes.is_empty() {
                        self.write(&batch(&changes, true)).await?;
                    }
                    let error = CallError::Lagged { missed };
                    self.write(&error.to_message()).await?;
                    return Err(End::Call(error));
                }
            }
        }
    }
}

/// One reply of `Changes` about the past.
fn past(changes: &[Past], continues: bool) -> Vec<u8> {
    let changes: Vec<WireChange> = changes.iter().map(|past| wire(past.0, &past.1)).collect();
    batch(&changes, continues)
}

/// One reply of `Changes`.
fn batch<C: serde::Serialize>(changes: &[C], continues: bool) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Batch<'a, C> {
        changes: &'a [C],
    }
    reply(&Batch { changes }, continues)
}
