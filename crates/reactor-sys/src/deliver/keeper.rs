//! The thread that has the disk: writes what is new, removes what has arrived, reads what comes next.
//!
//! It goes through all receivers in rounds. What fails for one receiver does not keep the others waiting; after a round with a failure there is a
//! pause. A disk that hangs holds this thread, and nobody else.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tracing::{info, warn};

use super::parcel::Parcel;
use super::store::Store;
use super::{Shared, State};

/// So often a file is tried that the disk refuses; what is behind it waits meanwhile.
const MAX_READS: u32 = 12;

/// Something to do.
enum Job {
    /// A receiver has gone.
    Forget(String),
    /// Folders of receivers that nobody has configured; these are.
    Strangers(Vec<String>),
    /// What is there of a receiver.
    Load(String),
    /// The next message of a receiver.
    Read(String, u64),
    Write(String, Arc<Parcel>, u64),
    Remove(String, u64),
}

/// Until everything ends.
pub(super) fn run(dir: &Path, shared: &Shared) {
    let store = Store::new(dir);
    // Receivers for which this round has failed, and why the first of them did.
    let (mut failed, mut why) = (BTreeSet::new(), None);
    loop {
        let job = {
            let mut state = shared.lock();
            if state.over {
                return;
            }
            match next(&mut state, &failed) {
                Some(job) => {
                    state.keeping = true;
                    job
                }
                None => {
                    let bad = why.is_some();
                    turned(&mut state, why.take(), dir);
                    shared.changed.notify_all();
                    if bad {
                        pause(shared, state);
                        failed.clear();
                    } else {
                        drop(shared.wait(state, None));
                    }
                    continue;
                }
            }
        };
        if let Err((receiver, error)) = carry_out(&store, job, shared) {
            why.get_or_insert_with(|| error.to_string());
            failed.insert(receiver);
        }
        shared.lock().keeping = false;
        shared.changed.notify_all();
    }
}

/// A disk that refuses is left alone for a time, whatever comes meanwhile.
fn pause(shared: &Shared, mut state: std::sync::MutexGuard<'_, State>) {
    let until = Instant::now() + shared.pace.disk_pause;
    while !state.over {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        state = shared.wait(state, Some(left));
    }
}

/// The end of a round.
fn turned(state: &mut State, why: Option<String>, dir: &Path) {
    match (&state.disk, &why) {
        (None, Some(error)) => {
            warn!(dir = %dir.display(), error, "notifications can't be kept on the disk: they are sent from memory, and are lost if the daemon ends");
        }
        (Some(_), None) => info!(dir = %dir.display(), "notifications are kept on the disk again"),
        (None, None) | (Some(_), Some(_)) => {}
    }
    state.disk = why;
}

/// The next thing to do. What has gone comes first: its name may be there again.
fn next(state: &mut State, failed: &BTreeSet<String>) -> Option<Job> {
    if let Some(name) = state.leaving.pop() {
        return Some(Job::Forget(name));
    }
    if std::mem::take(&mut state.look_for_strangers) {
        let known = state.slots.iter().filter(|(_, slot)| slot.settings.is_some());
        return Some(Job::Strangers(known.map(|(name, _)| name.clone()).collect()));
    }
    let slots = state.slots.iter().filter(|(name, slot)| slot.settings.is_some() && !failed.contains(*name));
    for (name, slot) in slots {
        let queue = &slot.queue;
        if !queue.is_loaded() {
            return Some(Job::Load(name.clone()));
        }
        if let Some(file) = queue.to_read() {
            return Some(Job::Read(name.clone(), file));
        }
        if let Some((parcel, file)) = queue.to_write() {
            return Some(Job::Write(name.clone(), parcel, file));
        }
        if let Some(file) = queue.to_remove() {
            return Some(Job::Remove(name.clone(), file));
        }
    }
    None
}

/// Does it, without the lock; then says what came of it.
fn carry_out(store: &Store, job: Job, shared: &Shared) -> Result<(), (String, io::Error)> {
    match job {
        // What can't be removed is a stranger at the next start.
        Job::Forget(name) => {
            if let Err(error) = store.forget(&name) {
                warn!(receiver = name, %error, "can't remove its folder of notifications");
            }
            Ok(())
        }
        Job::Strangers(known) => {
            forget_strangers(store, &known);
            Ok(())
        }
        Job::Load(name) => {
            let files = store.list(&name).map_err(|error| (name.clone(), error))?;
            if !files.is_empty() {
                info!(receiver = name, waiting = files.len(), "notifications wait from before");
            }
            told(shared, &name, |slot| {
                slot.queue.load(&files);
                slot.bound(&name);
            });
            Ok(())
        }
        Job::Read(name, file) => {
            let text = store.read(&name, file).map_err(|error| (name.clone(), error));
            read(shared, &name, file, text)
        }
        Job::Write(name, parcel, file) => {
            store.write(&name, file, parcel.json()).map_err(|error| (name.clone(), error))?;
            told(shared, &name, |slot| slot.queue.written(&parcel, file));
            Ok(())
        }
        Job::Remove(name, file) => {
            store.remove(&name, file).map_err(|error| (name.clone(), error))?;
            told(shared, &name, |slot| slot.queue.removed(file));
            Ok(())
        }
    }
}

fn forget_strangers(store: &Store, known: &[String]) {
    match store.forget_all_but(known) {
        Ok(gone) => {
            for (receiver, waiting) in gone.into_iter().filter(|(_, waiting)| *waiting > 0) {
                warn!(receiver, waiting, "no [[notify]] table has this name: what waited for it is dropped");
            }
        }
        Err(error) => warn!(%error, "can't remove notifications for receivers that are not configured"),
    }
}

/// A file was read, or could not be. One that is broken or that somebody else could have written costs one message; a disk that refuses is asked
/// again.
fn read(
    shared: &Shared,
    name: &str,
    file: u64,
    text: Result<Option<Vec<u8>>, (String, io::Error)>,
) -> Result<(), (String, io::Error)> {
    let why = match text {
        Ok(Some(text)) => match Parcel::read(&text) {
            Ok(parcel) => {
                let parcel = Arc::new(parcel);
                told(shared, name, |slot| {
                    slot.unread = 0;
                    slot.queue.was_read(file, parcel);
                });
                return Ok(());
            }
            Err(error) => crate::chain::chain(&error).to_string(),
        },
        Ok(None) => "it has gone".to_owned(),
        // Our own judgement of the file, which does not change.
        Err((_, error)) if error.kind() == io::ErrorKind::Other => error.to_string(),
        Err((receiver, error)) => {
            let mut is_given_up = false;
            told(shared, name, |slot| {
                slot.unread += 1;
                is_given_up = slot.unread >= MAX_READS;
            });
            if !is_given_up {
                return Err((receiver, error));
            }
            error.to_string()
        }
    };
    told(shared, name, |slot| {
        slot.unread = 0;
        if slot.queue.was_lost(file) {
            slot.dropped += 1;
            warn!(receiver = name, file, why, "a notification that was kept can't be read: it is dropped");
        }
    });
    Ok(())
}

fn told(shared: &Shared, name: &str, tell: impl FnOnce(&mut super::Slot)) {
    let mut state = shared.lock();
    if let Some(slot) = state.slots.get_mut(name) {
        tell(slot);
    }
    shared.changed.notify_all();
}
