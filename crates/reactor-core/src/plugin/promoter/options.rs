//! DRBD's options of a resource: when to read them, and what follows from them.
//!
//! No event tells that an option changed, so they are read again on a timer, and whenever a connection or a device comes or goes.
//! What was read last stays valid while a new reading fails.

use std::time::Duration;

use crate::action::{DrbdAnswer, DrbdOptions};
use crate::ids::{ActionId, Mono, ResourceName};
use crate::input::Dialect;
use crate::settings::promoter::PromotedResource;

use super::policy::{self, Policy};
use super::repeat::{Pace, back_off};
use super::timers::Timer;
use super::view::PeerNames;

/// How often to read them without a cause.
const INTERVAL: Duration = Duration::from_secs(300);
/// So many readings within [`WHILE`]: connections that come and go ask for one each time.
const READS: usize = 5;
/// See [`READS`].
const WHILE: Duration = Duration::from_secs(10);
/// How long changes are gathered before options that are known are read again.
const GATHER: Duration = Duration::from_secs(1);
/// First wait after a reading that failed; doubles.
const AGAIN_BASE: Duration = Duration::from_secs(2);
/// The same at most.
const AGAIN_MAX: Duration = Duration::from_secs(60);

/// See the module's head.
#[derive(Clone, Debug)]
pub(super) struct Options {
    node_id: Option<u32>,
    /// As they were read last.
    read: Option<Box<DrbdOptions>>,
    policy: Policy,
    peers: PeerNames,
    asked: Option<ActionId>,
    /// A change came while they were being read.
    stale: bool,
    due: Mono,
    pace: Pace,
    failed: u32,
    warnings: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            node_id: None,
            read: None,
            policy: Policy::default(),
            peers: PeerNames::default(),
            asked: None,
            stale: false,
            due: Mono::ZERO,
            pace: Pace::new(READS, WHILE),
            failed: 0,
            warnings: Vec::new(),
        }
    }
}

impl Options {
    /// Whether they should be read now.
    pub(super) fn is_due(&self, now: Mono) -> bool {
        self.due().is_some_and(|due| due <= now)
    }

    /// When they should be read; `None` while they are.
    pub(super) fn due(&self) -> Option<Mono> {
        self.asked.is_none().then(|| self.due.max(self.pace.next()))
    }

    /// What the next reading waits for.
    pub(super) fn timer(&self) -> Timer {
        if self.failed > 0 { Timer::OptionsAgain } else { Timer::Options }
    }

    pub(super) fn asked(&mut self, now: Mono, id: ActionId) {
        self.asked = Some(id);
        self.stale = false;
        self.pace.done(now);
    }

    /// For a machine that is built anew: what was read last holds until it is read again. `is_sent` = a reading is under way, and is waited for.
    pub(super) fn after_a_panic(mut self, is_sent: impl Fn(ActionId) -> bool) -> Self {
        (self.asked, self.stale, self.due) = (self.asked.filter(|id| is_sent(*id)), true, Mono::ZERO);
        self
    }

    /// Something changed that may go with other options. What lets it be run already can wait for the rest of what changes: an adjust makes
    /// one connection after the other.
    pub(super) fn read_again(&mut self, now: Mono) {
        self.stale = true;
        let is_first = matches!(self.policy, Policy::Unknown | Policy::None) && self.failed == 0;
        let due = if is_first { Mono::ZERO } else { now.after(GATHER) };
        self.due = self.due.min(due);
    }

    /// Whether this is the outcome that is waited for.
    pub(super) fn is_asked(&self, id: ActionId) -> bool {
        self.asked == Some(id)
    }

    /// The tools answered. Gives what a person should know now.
    pub(super) fn answered(
        &mut self,
        now: Mono,
        answer: &DrbdAnswer,
        resource: &ResourceName,
        settings: &PromotedResource,
        dialect: Dialect,
    ) -> Vec<String> {
        self.asked = None;
        let next = match answer {
            DrbdAnswer::Options(options) => {
                self.failed = 0;
                let warnings = policy::warnings(resource, settings, options, dialect);
                self.read = Some(options.clone());
                self.node_id = options.node_id;
                self.policy = Policy::of(options, dialect);
                self.peers = PeerNames::of_config(options, dialect);
                self.due = now.after(if self.stale { GATHER } else { INTERVAL });
                warnings
            }
            DrbdAnswer::Done | DrbdAnswer::LowerDevices(_) | DrbdAnswer::Failed { .. } => {
                let why = if let DrbdAnswer::Failed { why } = answer { why.as_str() } else { "not an answer" };
                self.failed += 1;
                self.due = now.after(back_off(AGAIN_BASE, self.failed, AGAIN_MAX));
                let text = format!("DRBD's options of {resource} can't be read: {why}");
                let kept = self.warnings.iter().filter(|said| !said.contains("can't be read")).cloned();
                kept.chain([text]).collect()
            }
        };
        let news = next.iter().filter(|text| !self.warnings.contains(text)).cloned().collect();
        self.warnings = next;
        news
    }

    pub(super) fn policy(&self) -> Policy {
        self.policy
    }

    /// As they were read last; `None` = never.
    pub(super) fn read(&self) -> Option<&DrbdOptions> {
        self.read.as_deref()
    }

    /// Our own node id.
    pub(super) fn node_id(&self) -> Option<u32> {
        self.node_id
    }

    /// What the peers are called.
    pub(super) fn peers(&self) -> &PeerNames {
        &self.peers
    }

    /// What is wrong with them, one sentence each.
    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }
}
