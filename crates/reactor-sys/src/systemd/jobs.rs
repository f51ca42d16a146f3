//! Who waits for which job. The end of a job may be told before the call that made it has its reply.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

/// Ends of jobs that nobody had asked for yet: others' jobs, and ours whose reply is on its way.
const REMEMBERED: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Jobs(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: BTreeMap<String, oneshot::Sender<String>>,
    ended: VecDeque<(String, String)>,
}

impl Jobs {
    /// The result of a job, by its path.
    pub(super) fn wait(&self, job: &str) -> oneshot::Receiver<String> {
        let (tx, rx) = oneshot::channel();
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = inner.ended.iter().position(|(path, _)| path == job) {
            if let Some((_, result)) = inner.ended.remove(at) {
                // The receiver is right here.
                let _ = tx.send(result);
            }
        } else {
            inner.waiting.retain(|_, waiter| !waiter.is_closed());
            inner.waiting.insert(job.to_owned(), tx);
        }
        rx
    }

    /// A job ended.
    pub(super) fn removed(&self, job: &str, result: &str) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiter) = inner.waiting.remove(job) {
            // Who waited may have given up.
            let _ = waiter.send(result.to_owned());
            return;
        }
        if inner.ended.len() == REMEMBERED {
            inner.ended.pop_front();
        }
        inner.ended.push_back((job.to_owned(), result.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_may_come_before_the_question() {
        let jobs = Jobs::default();
        jobs.removed("/job/1", "done");
        assert_eq!(jobs.wait("/job/1").await.as_deref(), Ok("done"));
        let second = jobs.wait("/job/2");
        jobs.removed("/job/2", "failed");
        assert_eq!(second.await.as_deref(), Ok("failed"));
        for n in 0..10_000 {
            jobs.removed(&format!("/other/{n}"), "done");
        }
        assert_eq!(jobs.0.lock().expect("not poisoned").ended.len(), REMEMBERED);
    }
}
