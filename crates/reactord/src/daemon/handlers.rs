//! Users' handlers: those that run, those that have ended, and how.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::SystemTime;

use reactor_api::HandlerOutcome;
use reactor_core::action::{Done, HandlerRun};

use reactor_core::ids::ActionId;
use reactor_core::metrics::health::HandlerHealth;
use reactor_core::plugin::promoter::SYNC_RULE;
use reactor_sys::control::rfc3339;
use reactor_sys::exec::Executor;

/// Ended handlers that `status` shows.
const SHOWN: usize = 20;

/// Who asked for a handler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AskedBy {
    /// A rule.
    Rule,
    /// A promoter with the shell runner: it is a start or stop of services.
    Promoter,
}

/// Runs handlers.
#[derive(Debug)]
pub(super) struct Handlers {
    executor: Executor,
    /// What runs, for the outcome's log line and the status.
    running: BTreeMap<ActionId, HandlerRun>,
    /// Those of them that a promoter asked for.
    of_promoters: BTreeSet<ActionId>,
    /// The last that have ended.
    ended: VecDeque<HandlerOutcome>,
    /// What became of all so far.
    health: HandlerHealth,
}

impl Handlers {
    /// None runs.
    pub(super) fn new() -> Self {
        Self {
            executor: Executor::new(),
            running: BTreeMap::new(),
            of_promoters: BTreeSet::new(),
            ended: VecDeque::new(),
            health: HandlerHealth::default(),
        }
    }

    /// Runs one.
    pub(super) fn run(&mut self, id: ActionId, run: HandlerRun, by: AskedBy) {
        self.begin(id, &run, by);
        self.executor.run(id, run);
    }

    /// The same for one that gets the variables of `more`, too.
    pub(super) fn run_with(
        &mut self,
        id: ActionId,
        run: HandlerRun,
        by: AskedBy,
        more: impl Future<Output = Vec<(String, String)>> + Send + 'static,
    ) {
        self.begin(id, &run, by);
        self.executor.run_with(id, run, more);
    }

    fn begin(&mut self, id: ActionId, run: &HandlerRun, by: AskedBy) {
        if by == AskedBy::Promoter {
            self.of_promoters.insert(id);
        }
        self.health.count_start();
        self.running.insert(id, run.clone());
    }

    /// Waits for the next that ends; for ever while none runs. Cancel safe.
    pub(super) async fn next(&mut self) -> Done {
        self.executor.next().await
    }

    /// Notes that one has ended.
    pub(super) fn end(&mut self, done: &Done) {
        self.health.count_end(&done.outcome);
        self.of_promoters.remove(&done.id);
        let Some(run) = self.running.remove(&done.id) else { return };
        if run.rule == SYNC_RULE {
            // What came of it is in the report of its resource, and users' handlers are not to be crowded out.
            return;
        }
        if self.ended.len() == SHOWN {
            self.ended.pop_front();
        }
        let time = Some(rfc3339(SystemTime::now()));
        self.ended
            .extend(reactor_core::api::outcome(&run, &done.outcome).map(|outcome| HandlerOutcome { time, ..outcome }));
    }

    /// How many run.
    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// Whether a promoter's own command runs that was asked for after `last`.
    pub(super) fn owe_promoters(&self, last: ActionId) -> bool {
        self.of_promoters.range(last..).any(|id| *id > last)
    }

    /// Ends all that still run.
    pub(super) async fn stop(&mut self) -> Vec<Done> {
        self.executor.stop().await
    }

    /// The last that have ended, for the status.
    pub(super) fn ended(&self) -> Vec<HandlerOutcome> {
        self.ended.iter().cloned().collect()
    }

    /// For the metrics.
    pub(super) fn health(&self) -> HandlerHealth {
        self.health.clone()
    }
}
