//! What may block, in threads, and not for ever: starting a program waits until the kernel has read it, a look at a device until its file
//! system answers.
//!
//! ```text
//!  run ─▶ a place for this subject ─▶ thread: the work ─▶ what it gives
//!    └──── limit ─▶ nobody waits for it any more: what it gives is dropped; its place is taken until then
//! ```
//!
//! Each subject has places of its own, so that one that hangs keeps no other waiting, and holds a handful of threads at most.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How many starts of one program may be under way.
pub(crate) const STARTS: usize = 8;

/// How long a program may take to be started, if it may not run for longer: on a busy machine that takes its time, too.
pub(crate) const START: Duration = Duration::from_secs(10);

/// Runs `work`, which is about `subject`, in a thread; at most `places` at once. It may use the runtime. `None` = it has not ended within
/// `limit`; what it gives later is dropped, which has to end a child. A panic counts as that, too.
pub(crate) async fn run<T: Send + 'static>(
    subject: &Path,
    places: usize,
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let places = places_of(subject, places);
    let done = async {
        // Never closed.
        let place = places.acquire_owned().await.ok();
        let thread = spawn_blocking(move || {
            let given = work();
            drop(place);
            given
        });
        thread.await.ok()
    };
    timeout(limit, done).await.ok().flatten()
}

fn places_of(subject: &Path, places: usize) -> Arc<Semaphore> {
    static PLACES: Mutex<BTreeMap<PathBuf, Arc<Semaphore>>> = Mutex::new(BTreeMap::new());
    let mut all = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
    // Those that nobody uses.
    all.retain(|_, places| Arc::strong_count(places) > 1);
    Arc::clone(all.entry(subject.to_path_buf()).or_insert_with(|| Arc::new(Semaphore::new(places))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(1);
    const LONG: Duration = Duration::from_secs(300);

    #[tokio::test]
    async fn a_program_that_hangs_holds_a_handful_of_threads_and_no_other_program() {
        let (hangs, works) = (Path::new("/test/hangs"), Path::new("/test/works"));
        let (go, waits) = std::sync::mpsc::channel::<()>();
        let waits = Arc::new(Mutex::new(waits));
        for _ in 0..STARTS {
            let waits = Arc::clone(&waits);
            let hang = move || waits.lock().unwrap_or_else(PoisonError::into_inner).recv().is_ok();
            assert_eq!(run(hangs, STARTS, SHORT, hang).await, None);
        }
        assert_eq!(run(hangs, STARTS, SHORT, || unreachable!("there is no place")).await, None::<()>);
        assert_eq!(run(works, STARTS, LONG, || 7).await, Some(7));
        // The disk answers.
        drop(go);
        assert_eq!(run(hangs, STARTS, LONG, || 8).await, Some(8));
    }
}
