//! What became of earlier tries: failures of services, promotions that DRBD refused, and how long to wait because of them.
//!
//! A lost race is normal: another node was faster. It is no failure, and it is forgotten as soon as DRBD's snapshot changes.

use std::time::Duration;

use crate::ids::Mono;
use crate::operator::{Memory, WallClock};
use crate::settings::promoter::{PromotedResource, Retry};

use super::delay::seconds;
use super::repeat::{self, Pace, back_off};

/// First wait after a service failed; doubles with each failure.
const FAILURE_BASE: Duration = Duration::from_secs(1);
/// Longest wait after a service failed.
const FAILURE_MAX: Duration = Duration::from_secs(300);
/// First wait after DRBD refused a promotion; doubles with each refusal in a row.
const REFUSED_BASE: Duration = Duration::from_secs(1);
/// Longest wait after DRBD refused a promotion.
const REFUSED_MAX: Duration = Duration::from_secs(30);
/// With `on-service-failure = "move"`, and after a start that failed: time for another node to take over.
pub(super) const LET_OTHERS: Duration = Duration::from_secs(10);

/// First wait after a start whose end is not known, and after services that ended by themselves; doubles. Without it a connection to systemd
/// that breaks each call, or a service that has nothing to do, would be started without a pause.
const UNCLEAR_BASE: Duration = Duration::from_secs(1);
/// The same at most.
const UNCLEAR_MAX: Duration = Duration::from_secs(60);
/// Services that ran for so long have not ended at once.
const RAN: Duration = Duration::from_secs(60);

/// Failures kept at most; `max-failures` beyond this makes no sense.
const MAX_KEPT: usize = 100;

/// See the module's head.
#[derive(Clone, Debug)]
pub(super) struct Tries {
    /// When services failed, in seconds since the daemon started; before that it is negative.
    failures: Vec<i64>,
    /// Since when it is blocked, in the same seconds.
    blocked_since: Option<i64>,
    pub(super) last_failure: Option<String>,
    /// Promotions that DRBD refused in a row.
    refused: u32,
    /// What DRBD said when it refused the last one, if nobody else was Primary.
    pub(super) refusal: Option<String>,
    /// Starts in a row of which nobody knows how they ended, and services that ended soon and by themselves.
    unclear: u32,
    starts: Pace,
    last_start: Option<Mono>,
    not_before: Option<(Mono, String)>,
    /// Counters since the daemon started.
    pub(super) counts: Counts,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) starts: u64,
    pub(super) stops: u64,
    pub(super) freezes: u64,
    pub(super) failures: u64,
    pub(super) lost_races: u64,
    pub(super) repairs: u64,
}

fn seconds_of(now: Mono) -> i64 {
    i64::try_from(now.0 / 1_000_000_000).unwrap_or(i64::MAX)
}

/// A failure of then, or from before, does not count any more.
fn oldest(now: Mono, settings: &PromotedResource) -> i64 {
    let window = i64::try_from(settings.failure_window.as_secs()).unwrap_or(i64::MAX);
    seconds_of(now).saturating_sub(window)
}

impl Default for Tries {
    fn default() -> Self {
        Self {
            failures: Vec::new(),
            blocked_since: None,
            last_failure: None,
            refused: 0,
            refusal: None,
            unclear: 0,
            starts: repeat::starts_and_stops(),
            last_start: None,
            not_before: None,
            counts: Counts::default(),
        }
    }
}

impl Tries {
    /// A start was asked for.
    pub(super) fn started(&mut self, now: Mono, settings: &PromotedResource) {
        self.counts.starts += 1;
        self.last_start = Some(now);
        self.starts.done(now);
        if let Retry::Every(interval) = settings.retry {
            let why = format!("tried less than {} ago", seconds(interval));
            self.wait_until(now.after(interval), why);
        }
    }

    /// Its services run: what DRBD refused before is history.
    pub(super) fn succeeded(&mut self) {
        self.refused = 0;
        self.refusal = None;
    }

    /// DRBD's snapshot changed so that an earlier refusal says nothing any more.
    pub(super) fn snapshot_changed(&mut self, settings: &PromotedResource) {
        if self.refused > 0 {
            self.refused = 0;
            self.refusal = None;
            if settings.retry == Retry::BackOff && self.blocked_since.is_none() && self.failures.is_empty() {
                self.not_before = None;
            }
        }
    }

    /// DRBD refused the promotion, usually because another node was faster.
    pub(super) fn lost_race(&mut self, now: Mono, settings: &PromotedResource) {
        self.counts.lost_races += 1;
        self.refused += 1;
        if settings.retry == Retry::BackOff {
            let wait = back_off(REFUSED_BASE, self.refused, REFUSED_MAX);
            self.wait_until(now.after(wait), format!("DRBD refused the promotion: next try after {}", seconds(wait)));
        }
    }

    /// Nobody knows how a start ended, or somebody else ended it: not at once again.
    pub(super) fn unclear(&mut self, now: Mono) {
        self.once_more(now, "the last start was given up a moment ago", 0);
    }

    /// What had failed was started while others run. Its end may be known before systemd says that the unit has not failed any more.
    pub(super) fn restarted(&mut self, now: Mono) {
        self.once_more(now, "what had failed was started a moment ago", 0);
    }

    /// A service failed that could not write any more, which is no failure of its own.
    pub(super) fn failed_without_data(&mut self, now: Mono) {
        self.once_more(now, "a service failed without its data", 0);
    }

    /// Its services, which have run for so long, ended by themselves, and nothing has failed.
    pub(super) fn ended_by_themselves(&mut self, now: Mono, ran: Duration) {
        self.ran(ran);
        if ran < RAN {
            // Once is no habit: somebody may have stopped them.
            self.once_more(now, "its services ended by themselves a moment ago", 1);
        }
    }

    fn once_more(&mut self, now: Mono, why: &str, free: u32) {
        self.unclear = self.unclear.saturating_add(1);
        if self.unclear <= free {
            return;
        }
        let wait = back_off(UNCLEAR_BASE, self.unclear - free, UNCLEAR_MAX);
        let at = now.after(wait);
        if self.not_before.as_ref().is_none_or(|(before, _)| *before < at) {
            self.wait_until(at, format!("{why}: {} of back-off", seconds(wait)));
        }
    }

    /// Services failed. `true` = this was one too many.
    pub(super) fn failed(&mut self, now: Mono, settings: &PromotedResource, why: &str, moves: bool) -> bool {
        self.counts.failures += 1;
        self.prune(now, settings);
        self.failures.push(seconds_of(now));
        if self.failures.len() > MAX_KEPT {
            self.failures.remove(0);
        }
        self.last_failure = Some(why.to_owned());
        let count = self.count(now, settings);
        match settings.retry {
            Retry::BackOff => {
                let mut wait = back_off(FAILURE_BASE, count, FAILURE_MAX);
                if moves {
                    wait = wait.max(LET_OTHERS);
                }
                let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
                self.wait_until(
                    now.after(wait),
                    format!("its services failed here {times}: {} of back-off", seconds(wait)),
                );
            }
            Retry::Every(interval) => {
                let from = self.last_start.unwrap_or(now);
                self.wait_until(from.after(interval), format!("tried less than {} ago", seconds(interval)));
            }
        }
        if settings.max_failures > 0 && count >= settings.max_failures && self.blocked_since.is_none() {
            self.blocked_since = Some(seconds_of(now));
            return true;
        }
        false
    }

    fn wait_until(&mut self, at: Mono, why: String) {
        self.not_before = Some((at, why));
    }

    /// Forgets failures that are older than the window.
    pub(super) fn prune(&mut self, now: Mono, settings: &PromotedResource) {
        let oldest = oldest(now, settings);
        self.failures.retain(|at| *at > oldest);
    }

    /// Failures within the window. Time alone ends it: of a resource that nothing happens to, nothing else would tell.
    pub(super) fn count(&self, now: Mono, settings: &PromotedResource) -> u32 {
        let oldest = oldest(now, settings);
        u32::try_from(self.failures.iter().filter(|at| **at > oldest).count()).unwrap_or(u32::MAX)
    }

    /// Promotions that DRBD refused in a row, and what it said about the last one.
    pub(super) fn refused(&self) -> Option<(u32, &str)> {
        let words = self.refusal.as_deref()?;
        (self.refused > 0).then_some((self.refused, words))
    }

    /// Not before then, and why.
    pub(super) fn not_before(&self) -> Option<(Mono, &str)> {
        let told = self.not_before.as_ref().map(|(at, why)| (*at, why.as_str()));
        // Whatever has been forgotten since: never without end.
        let pace = (self.starts.next(), "it was started again and again: back-off");
        told.filter(|(at, _)| *at >= pace.0).or(Some(pace).filter(|(at, _)| *at > Mono::ZERO)).or(told)
    }

    /// Its services have run for so long. What became of earlier starts is history.
    pub(super) fn ran(&mut self, duration: Duration) {
        if duration >= RAN {
            self.unclear = 0;
        }
    }

    /// Why nothing is started here.
    pub(super) fn blocked(&self, settings: &PromotedResource) -> Option<String> {
        // The limit may have been lifted since.
        if settings.max_failures == 0 {
            return None;
        }
        self.blocked_since?;
        Some(format!("blocked after {} failures: waits for an operator's clear", settings.max_failures))
    }

    /// An operator wants it forgotten. `false` = there was nothing. The pace of starts stays: who clears again and again, a script for
    /// example, would start what fails at once without any pause.
    pub(super) fn clear(&mut self) -> bool {
        let was = !self.failures.is_empty() || self.blocked_since.is_some() || self.not_before.is_some();
        let starts = self.starts.clone();
        *self = Self { counts: self.counts, last_start: self.last_start, starts, ..Self::default() };
        was
    }

    /// Whether there is anything that [`remember`](Self::remember) would keep.
    pub(super) fn is_worth_remembering(&self) -> bool {
        !self.failures.is_empty() || self.blocked_since.is_some() || self.last_failure.is_some()
    }

    /// How often it was started lately.
    pub(super) fn pace(&self) -> &Pace {
        &self.starts
    }

    /// It was started so often lately, before it was taken out of the configuration and put back.
    pub(super) fn go_on(&mut self, starts: Pace) {
        self.starts = starts;
    }

    /// Takes over what was counted, and what keeps it from being tried without end.
    pub(super) fn inherit(&mut self, old: &Self) {
        self.counts = old.counts;
        (self.unclear, self.refused) = (old.unclear, old.refused);
        self.refusal.clone_from(&old.refusal);
        self.starts.clone_from(&old.starts);
        self.not_before.clone_from(&old.not_before);
    }

    /// For the state folder.
    pub(super) fn remember(&self, now: Mono, wall: Option<WallClock>, memory: &mut Memory) {
        let unix_now = wall.map_or(0, |wall| i64::try_from(wall.unix_ms / 1000).unwrap_or(0));
        let unix = |at: i64| u64::try_from(unix_now - (seconds_of(now) - at)).unwrap_or(0);
        // Without a clock, or with the numbers as they were told, nothing is known better than before.
        if wall.is_some() {
            memory.failures = self.failures.iter().map(|at| unix(*at)).collect();
            memory.blocked_since = self.blocked_since.map(unix);
        }
        memory.last_failure.clone_from(&self.last_failure);
    }

    /// From the state folder. `true` = there are failures from the future.
    pub(super) fn recall(&mut self, now: Mono, wall: Option<WallClock>, memory: &Memory) -> bool {
        let unix_now = wall.map_or(0, |wall| i64::try_from(wall.unix_ms / 1000).unwrap_or(0));
        // A clock that went back must not move failures into the future, where they would count for ever.
        let mono = |unix: u64| seconds_of(now) - (unix_now - i64::try_from(unix).unwrap_or(0)).max(0);
        self.failures = memory.failures.iter().map(|unix| mono(*unix)).collect();
        self.blocked_since = memory.blocked_since.map(mono);
        self.last_failure.clone_from(&memory.last_failure);
        memory.failures.iter().any(|unix| i64::try_from(*unix).unwrap_or(0) > unix_now)
    }
}
