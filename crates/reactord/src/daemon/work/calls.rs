//! What is being done: one task per kind that has an outcome, and exactly one outcome for each, whatever becomes of its task.

use std::collections::{BTreeMap, HashMap};
use std::future::{Future, pending};
use std::time::{Duration, Instant};

use reactor_core::action::{Answered, Done, DrbdAnswer, FilesEnd, Outcome};
use reactor_core::ids::{ActionId, ResourceName};
use reactor_core::systemd::UnitEnd;
use tokio::task::{Id, JoinError, JoinSet};
use tracing::{debug, error, info, warn};

/// Calls under way.
#[derive(Debug, Default)]
pub(super) struct Calls {
    tasks: JoinSet<Vec<Done>>,
    /// The calls of each task, for the case that one panics.
    of_task: HashMap<Id, Vec<ActionId>>,
    begun: BTreeMap<ActionId, Begun>,
}

/// One kind under way.
#[derive(Debug)]
pub(super) struct Begun {
    /// Its outcome, if it is given up.
    given_up: fn(&str) -> Outcome,
    /// The resource.
    pub(super) resource: ResourceName,
    /// What, for the log: `start drbd-services@r0.target`.
    pub(super) what: String,
    at: Instant,
}

/// The outcome of a call that nobody will carry out to its end.
fn given_up<A: Answered>(why: &str) -> Outcome {
    A::given_up(why).into()
}

impl Calls {
    /// Notes that a call of type `A` is under way.
    pub(super) fn begin<A: Answered>(&mut self, id: ActionId, resource: ResourceName, what: String) {
        self.begun.insert(id, Begun { given_up: given_up::<A>, resource, what, at: Instant::now() });
    }

    /// Runs the task that carries out `ids` and gives one outcome for each.
    pub(super) fn run(&mut self, ids: Vec<ActionId>, task: impl Future<Output = Vec<Done>> + Send + 'static) {
        let handle = self.tasks.spawn(task);
        self.of_task.insert(handle.id(), ids);
    }

    /// The same for one call of type `A`.
    pub(super) fn run_one<A: Answered>(
        &mut self,
        id: ActionId,
        task: impl Future<Output = A::Outcome> + Send + 'static,
    ) {
        self.run(vec![id], async move { vec![Done { id, outcome: task.await.into() }] });
    }

    /// The next outcomes; waits for ever while nothing runs. Cancel safe.
    pub(super) async fn next(&mut self) -> Vec<Done> {
        match self.tasks.join_next_with_id().await {
            Some(joined) => self.joined(joined),
            None => pending().await,
        }
    }

    /// The next outcomes, if there are any by now.
    pub(super) fn try_next(&mut self) -> Option<Vec<Done>> {
        let joined = self.tasks.try_join_next_with_id()?;
        Some(self.joined(joined))
    }

    fn joined(&mut self, joined: Result<(Id, Vec<Done>), JoinError>) -> Vec<Done> {
        match joined {
            Ok((task, done)) => {
                self.of_task.remove(&task);
                done
            }
            Err(error) => {
                let ids = self.of_task.remove(&error.id()).unwrap_or_default();
                error!(%error, "carrying out a decision failed");
                self.give_up(&ids, "internal error")
            }
        }
    }

    /// Takes the note of a kind that has ended, and says so in the log.
    pub(super) fn end(&mut self, done: &Done) {
        let Some(begun) = self.begun.remove(&done.id) else { return };
        let took = begun.at.elapsed();
        log_end(done, &begun, took);
    }

    /// How many are under way of those with a number above `after`.
    pub(super) fn since(&self, after: ActionId) -> usize {
        self.begun.range((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded)).count()
    }

    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.begun.len()
    }

    /// Ends all tasks; an outcome for everything that is still under way.
    pub(super) fn abandon(&mut self, why: &str) -> Vec<Done> {
        self.tasks.abort_all();
        let ids: Vec<_> = self.begun.keys().copied().collect();
        self.give_up(&ids, why)
    }

    fn give_up(&self, ids: &[ActionId], why: &str) -> Vec<Done> {
        let outcome = |id: &ActionId| Some(Done { id: *id, outcome: (self.begun.get(id)?.given_up)(why) });
        ids.iter().filter_map(outcome).collect()
    }
}

/// An outcome in the log. That a job failed is news, not a warning: after a lost race it is normal, and what it means is for
/// the promoter to say.
fn log_end(done: &Done, begun: &Begun, took: Duration) {
    let Begun { resource, what, .. } = begun;
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let (action, what) = (done.id.0, what.as_str());
    match &done.outcome {
        Outcome::Unit(end @ (UnitEnd::Done | UnitEnd::Job(_))) => {
            info!(action, %resource, what, took_ms, outcome = %end, "ended");
        }
        Outcome::Unit(end) => warn!(action, %resource, what, took_ms, outcome = %end, "ended"),
        // Here the promoter itself warns, once and not at each try.
        Outcome::Files(FilesEnd::Failed { why }) | Outcome::Drbd(DrbdAnswer::Failed { why }) => {
            info!(action, %resource, what, took_ms, why, "failed");
        }
        Outcome::Files(end) => {
            let outcome = if *end == FilesEnd::Written { "written" } else { "unchanged" };
            info!(action, %resource, what, took_ms, outcome, "ended");
        }
        Outcome::Drbd(answer) => info!(action, %resource, what, took_ms, outcome = drbd(answer), "ended"),
        Outcome::Examined(findings) => {
            debug!(action, %resource, what, took_ms, units = findings.len(), "ended");
        }
        Outcome::Handler(..) => {}
    }
}

fn drbd(answer: &DrbdAnswer) -> String {
    match answer {
        DrbdAnswer::Done => "done".to_owned(),
        DrbdAnswer::LowerDevices(devices) => {
            let ready = devices.iter().filter(|device| device.ready).count();
            format!("{ready} of {} lower devices are there", devices.len())
        }
        DrbdAnswer::Options(options) => {
            let word = |option: &Option<String>| option.clone().unwrap_or_else(|| "?".to_owned());
            format!("quorum {}, on-no-quorum {}", word(&options.quorum), word(&options.on_no_quorum))
        }
        DrbdAnswer::Failed { why } => why.clone(),
    }
}

#[cfg(test)]
mod tests {
    use reactor_core::action::{AskTools, UnitCall, WriteFiles};

    use super::*;

    #[tokio::test]
    async fn every_call_has_one_outcome_also_if_its_task_panics_or_the_daemon_ends() {
        let mut calls = Calls::default();
        let r0 = || ResourceName::new("r0");
        calls.begin::<UnitCall>(ActionId(1), r0(), "test".to_owned());
        calls.begin::<WriteFiles>(ActionId(2), r0(), "test".to_owned());
        calls.begin::<AskTools>(ActionId(3), r0(), "test".to_owned());
        calls.run_one::<UnitCall>(ActionId(1), async { panic!("out of paper") });
        let done = calls.next().await;
        assert_eq!(done.len(), 1);
        assert!(matches!(&done[0].outcome, Outcome::Unit(UnitEnd::NoBus { why }) if why == "internal error"));
        calls.end(&done[0]);
        calls.run(vec![ActionId(2), ActionId(3)], pending());
        assert_eq!((calls.len(), calls.since(ActionId(2))), (2, 1));
        let done = calls.abandon("the daemon stops");
        assert_eq!(done.iter().map(|done| done.id.0).collect::<Vec<_>>(), [2, 3]);
    }
}
