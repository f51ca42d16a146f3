//! Who runs, who waits, who is turned away.
//!
//! ```text
//!   offer ─┬─▶ refused: as many wait as may wait
//!          ├─▶ blocked: its rule is `serialize` and another of its handlers is ahead ──┐ that one ended
//!          ├─▶ ready: waits for a free place ◀────────────────────────────────────────┘
//!          └─▶ running ─▶ ended
//! ```
//!
//! Order means order of start: of those that may start, the one that was offered first does. Handlers that answer DRBD don't
//! wait for a free place, because the kernel waits for them; there may be as many of them as may run otherwise.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::action::{AskDrbd, HelperCall, HelperRequestId, Reason};
use crate::change::Change;
use crate::ids::{ActionId, Mono, ResourceName};
use crate::settings::umh::Rule;

use super::RuleId;
use super::storage::Happened;

/// One handler that is to run.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) rule_id: RuleId,
    pub(super) rule: Arc<Rule>,
    /// The rule's name for logs.
    pub(super) label: Arc<str>,
    pub(super) resource: ResourceName,
    pub(super) env: Vec<(String, String)>,
    /// What the document on its standard input tells, if it gets one.
    pub(super) subject: Option<Subject>,
    pub(super) because: Vec<Reason>,
    /// When it was offered.
    pub(super) since: Mono,
    /// What DRBD's tools are asked for before it starts.
    pub(super) ask: Option<AskDrbd>,
    pub(super) answers: Option<Waiter>,
}

/// What a document is about. The document itself is made when the handler starts: a queue of documents would need memory.
#[derive(Debug)]
pub(super) enum Subject {
    Change(Box<Change>),
    Call(Box<HelperCall>),
    Storage(Happened),
}

/// A `reactor-helper` that waits for the exit code of a job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    pub(super) request: HelperRequestId,
    /// When it stops to wait.
    pub(super) deadline: Mono,
}

/// What is known of a handler that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) rule_id: RuleId,
    pub(super) label: Arc<str>,
    pub(super) answers: Option<Waiter>,
}

/// All jobs of one `[[umh]]` table.
#[derive(Debug)]
pub(super) struct Queue {
    max_parallel: usize,
    max_queued: usize,
    offered: u64,
    ready: BTreeMap<u64, Job>,
    blocked: BTreeMap<RuleId, VecDeque<(u64, Job)>>,
    /// Number of jobs in `blocked`.
    blocked_jobs: usize,
    /// Rules with `serialize` that have a job ready or running.
    busy: BTreeSet<RuleId>,
    running: BTreeMap<ActionId, Running>,
    /// How many of `running` answer DRBD.
    running_answers: usize,
    /// How many jobs that answer DRBD are `blocked` or `ready`.
    waiting_answers: usize,
}

impl Queue {
    /// An empty one.
    pub(super) fn new(max_parallel: usize, max_queued: usize) -> Self {
        Self {
            // A limit of 0 would be a rule that never runs; the configuration refuses it.
            max_parallel: max_parallel.max(1),
            max_queued,
            offered: 0,
            ready: BTreeMap::new(),
            blocked: BTreeMap::new(),
            blocked_jobs: 0,
            busy: BTreeSet::new(),
            running: BTreeMap::new(),
            running_answers: 0,
            waiting_answers: 0,
        }
    }

    /// How many run.
    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.ready.len() + self.blocked_jobs
    }

    /// How many may wait.
    pub(super) fn max_queued(&self) -> usize {
        self.max_queued
    }

    /// New limits; what already waits stays.
    pub(super) fn set_limits(&mut self, max_parallel: usize, max_queued: usize) {
        self.max_parallel = max_parallel.max(1);
        self.max_queued = max_queued;
    }

    /// Takes a job in; gives it back if there is no room. Then ask [`next`](Self::next).
    pub(super) fn offer(&mut self, job: Job) -> Result<(), Box<Job>> {
        let serialize = job.rule.serialize;
        let blocked = serialize && self.busy.contains(&job.rule_id);
        let room = match job.answers {
            Some(_) => self.running_answers + self.waiting_answers < self.max_parallel,
            // One that can start at once does not wait.
            None => self.waiting() < self.max_queued || (!blocked && self.ready.is_empty() && self.has_place()),
        };
        if !room {
            return Err(Box::new(job));
        }
        self.waiting_answers += usize::from(job.answers.is_some());
        let number = self.offered;
        self.offered += 1;
        if blocked {
            self.blocked_jobs += 1;
            self.blocked.entry(job.rule_id).or_default().push_back((number, job));
        } else {
            if serialize {
                self.busy.insert(job.rule_id);
            }
            self.ready.insert(number, job);
        }
        Ok(())
    }

    /// The job that starts now; [`started`](Self::started) must follow.
    pub(super) fn next(&mut self) -> Option<Job> {
        let number = if self.has_place() {
            *self.ready.first_key_value()?.0
        } else if self.waiting_answers > 0 {
            *self.ready.iter().find(|(_, job)| job.answers.is_some())?.0
        } else {
            return None;
        };
        let job = self.ready.remove(&number)?;
        self.waiting_answers -= usize::from(job.answers.is_some());
        Some(job)
    }

    /// A job of [`next`](Self::next) runs as this action.
    pub(super) fn started(&mut self, id: ActionId, running: Running) {
        self.running_answers += usize::from(running.answers.is_some());
        self.running.insert(id, running);
    }

    /// An action came back; `None` if it is none of ours.
    pub(super) fn ended(&mut self, id: ActionId) -> Option<Running> {
        let running = self.running.remove(&id)?;
        self.running_answers -= usize::from(running.answers.is_some());
        self.release(running.rule_id);
        Some(running)
    }

    /// Takes out the waiting jobs that `drop` names.
    pub(super) fn take_out(&mut self, drop: impl Fn(&Job) -> bool) -> Vec<Job> {
        let mut out = Vec::new();
        let blocked: Vec<RuleId> = self.blocked.keys().copied().collect();
        for rule in blocked {
            let Some(line) = self.blocked.remove(&rule) else { continue };
            let (gone, kept): (VecDeque<_>, VecDeque<_>) = line.into_iter().partition(|(_, job)| drop(job));
            self.blocked_jobs -= gone.len();
            out.extend(gone.into_iter().map(|(_, job)| job));
            if !kept.is_empty() {
                self.blocked.insert(rule, kept);
            }
        }
        let ready: Vec<u64> = self.ready.iter().filter(|(_, job)| drop(job)).map(|(number, _)| *number).collect();
        for number in ready {
            let Some(job) = self.ready.remove(&number) else { continue };
            self.release(job.rule_id);
            out.push(job);
        }
        self.waiting_answers -= out.iter().filter(|job| job.answers.is_some()).count();
        out
    }

    /// Whether one more that answers nobody may run.
    fn has_place(&self) -> bool {
        self.running.len() - self.running_answers < self.max_parallel
    }

    /// The job of a rule that was ready or running is gone: the next of the rule is ready, in its old place in the order.
    fn release(&mut self, rule: RuleId) {
        if !self.busy.contains(&rule) {
            return;
        }
        let Some(line) = self.blocked.get_mut(&rule) else {
            self.busy.remove(&rule);
            return;
        };
        if let Some((number, job)) = line.pop_front() {
            self.blocked_jobs -= 1;
            self.ready.insert(number, job);
        }
        if line.is_empty() {
            self.blocked.remove(&rule);
        }
    }
}
