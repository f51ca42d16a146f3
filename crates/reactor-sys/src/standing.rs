//! `told.json` in the state folder: what receivers of notices were told and what still stands, so that the next daemon does not tell it again.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reactor_core::input::Input;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tracing::warn;

use crate::document::Document;
use crate::newest::{Newest, Pauses, Slot, Writer};

const DOCUMENT: Document =
    Document { name: "told.json", format: "storage-reactor-told", version: 1, max_bytes: 64 * 1024 * 1024 };
/// It is written at once; a disk that refuses is tried again after a while.
const PAUSES: Pauses = Pauses { written: Duration::ZERO, refused: Duration::from_secs(5) };

/// What stands, by the name of the receiver.
type Told = BTreeMap<String, Vec<String>>;

#[derive(Serialize, Deserialize)]
struct Content {
    receivers: Told,
}

/// Keeps what stands.
#[derive(Debug)]
pub struct Keeper {
    writer: Writer<Told>,
    told: Told,
}

/// What was told last takes the place of all before it.
impl Newest for Told {}

impl Keeper {
    /// Starts the thread. What stood comes out of the channel, once, when the disk has answered.
    ///
    /// `messages_are_written` comes back when the disk has the messages that were sent so far: a person who was told by a message that a crash takes
    /// away was not told, and what stands is not kept before.
    ///
    /// # Errors
    ///
    /// There is no thread.
    pub fn spawn(
        dir: PathBuf,
        messages_are_written: impl Fn() + Send + 'static,
    ) -> io::Result<(Self, mpsc::Receiver<Input>)> {
        let (tx, rx) = mpsc::channel(1);
        let from = dir.clone();
        let begin = move |slot: &Slot<_>| begin(&from, &tx, slot);
        let write = move |told: &Told| {
            messages_are_written();
            DOCUMENT.save(&dir, &Content { receivers: told.clone() })
        };
        let refused = |error: &io::Error| {
            warn!(%error, retry_s = PAUSES.refused.as_secs(), "can't keep what people were told");
        };
        let writer = Writer::spawn("told", PAUSES, begin, write, refused)?;
        Ok((Self { writer, told: Told::new() }, rx))
    }

    /// What was kept before was told to the loop, and goes on.
    pub fn recall(&mut self, before: &[(String, Vec<String>)]) {
        for (receiver, standing) in before {
            self.told.entry(receiver.clone()).or_insert_with(|| standing.clone());
        }
    }

    /// This receiver was told of these, and they stand.
    pub fn keep(&mut self, receiver: String, standing: Vec<String>) {
        if standing.is_empty() {
            self.told.remove(&receiver);
        } else {
            self.told.insert(receiver, standing);
        }
        self.writer.put(self.told.clone());
    }

    /// Waits so long at most until the newest state is written. Whether it is.
    pub fn finish(self, within: Duration) -> bool {
        self.writer.finish_within(within)
    }
}

/// Tells what is there. Nothing is written if the loop has gone: then what is there stays.
fn begin(dir: &Path, tx: &mpsc::Sender<Input>, slot: &Slot<Told>) -> bool {
    match DOCUMENT.load::<Content>(dir) {
        Ok(None) => {}
        Ok(Some(told)) => {
            // What was said before the loop knew of these is not all. It says anew what is as soon as it does.
            slot.forget();
            return tx.blocking_send(Input::Standing(told.receivers.into_iter().collect())).is_ok();
        }
        Err(error) => {
            let (file, aside) = (dir.join(DOCUMENT.name), DOCUMENT.aside());
            warn!(%error, file = %file.display(), kept_as = aside, "what people were told before is not known");
            // What a newer program wrote is not thrown away.
            if let Err(error) = DOCUMENT.put_aside(dir) {
                warn!(%error, "it can't be kept aside");
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn told(rx: &mut mpsc::Receiver<Input>) -> Vec<(String, Vec<String>)> {
        match rx.blocking_recv() {
            Some(Input::Standing(standing)) => standing,
            None => Vec::new(),
            other => panic!("{other:?}"),
        }
    }

    /// A crash between the two has told nobody, and the next daemon tells it.
    #[test]
    fn what_stands_is_kept_after_the_messages_that_tell_it() {
        let dir = crate::testing::open_to_all().join(format!("reactor-told-after-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("a folder");
        let file = dir.join(DOCUMENT.name);
        let (asks, asked) = std::sync::mpsc::channel();
        let (answers, answered) = std::sync::mpsc::channel::<()>();
        let waits = {
            let file = file.clone();
            move || {
                asks.send(file.exists()).expect("the test listens");
                let _ = answered.recv();
            }
        };
        let (mut keeper, mut rx) = Keeper::spawn(dir.clone(), waits).expect("a thread");
        assert_eq!(told(&mut rx), []);
        keeper.keep("chat".to_owned(), vec!["connection-lost r0 peer 1".to_owned()]);
        assert_eq!(asked.recv_timeout(LONG), Ok(false));
        assert!(!file.exists());
        answers.send(()).expect("it waits");
        assert!(keeper.finish(LONG) && file.exists());
        let _ = fs::remove_dir_all(&dir);
    }

    #[test]
    fn what_stands_is_there_after_a_restart_for_each_receiver() {
        let dir = crate::testing::open_to_all().join(format!("reactor-told-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("a folder");
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let spawn = || Keeper::spawn(dir.clone(), || {}).expect("a thread");
        let (mut keeper, mut rx) = spawn();
        assert_eq!(told(&mut rx), []);
        keeper.keep("chat".to_owned(), owned(&["connection-lost r0 peer 1"]));
        keeper.keep("mail".to_owned(), owned(&["quorum-lost r0 resource"]));
        assert!(keeper.finish(LONG));
        let (mut keeper, mut rx) = spawn();
        let before = told(&mut rx);
        assert_eq!(before.len(), 2);
        keeper.recall(&before);
        // One has nothing that stands any more; the other one is as before.
        keeper.keep("chat".to_owned(), Vec::new());
        assert!(keeper.finish(LONG));
        let (keeper, mut rx) = spawn();
        assert_eq!(told(&mut rx), [("mail".to_owned(), owned(&["quorum-lost r0 resource"]))]);
        assert!(keeper.finish(LONG));
        let _ = fs::remove_dir_all(&dir);
    }
}
