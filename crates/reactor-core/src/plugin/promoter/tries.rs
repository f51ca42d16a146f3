//! What became of earlier tries: failures of services, promotions that DRBD refused, and how long to wait because of them.
//!
//! A lost race is normal: another node was faster. It is no failure, and it is forgotten as soon as DRBD's snapshot changes.

use std::time::Duration;

use crate::ids::{ActionId, Mono};
use crate::operator::{Memory, WallClock};
use crate::settings::promoter::{PromotedResource, Retry};

use super::delay::{seconds, times};
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

/// Who becomes Primary within this time after a promotion was refused here was faster: its Primary is told after the refusal.
const WON: Duration = Duration::from_secs(2);

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
    /// The start whose promotion was refused, and when, while nobody was seen as Primary.
    lost_start: Option<(Option<ActionId>, Mono)>,
    /// Starts in a row of which nobody knows how they ended, and services that ended soon and by themselves.
    unclear: u32,
    starts: Pace,
    last_start: Option<Mono>,
    /// The last start worked, and nothing has failed since.
    worked: bool,
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
            lost_start: None,
            unclear: 0,
            starts: repeat::starts_and_stops(),
            last_start: None,
            worked: false,
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
        self.worked = false;
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
        self.worked = true;
    }

    /// A person's word stopped it, and that is over: a try that worked is none to pause after.
    pub(super) fn comes_back(&mut self) {
        if self.worked {
            self.not_before = None;
        }
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

    /// Nobody is seen as Primary: who was faster, if anybody, is told later.
    pub(super) fn waits_for_winner(&mut self, now: Mono, start: Option<ActionId>) {
        self.lost_start = Some((start, now));
    }

    /// A peer is Primary: the start that has lost to it, if one has just been lost.
    pub(super) fn take_lost_start(&mut self, now: Mono) -> Option<Option<ActionId>> {
        let (start, at) = self.lost_start.take()?;
        (now.since(at) <= WON).then_some(start)
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
        self.worked = false;
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
                let why = format!("its services failed here {}: {} of back-off", times(count), seconds(wait));
                self.wait_until(now.after(wait), why);
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

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: WallClock = WallClock { unix_ms: 1_800_000_000_000, utc_offset_s: 0 };

    fn second(s: u64) -> Mono {
        Mono::ZERO.after(Duration::from_secs(s))
    }

    /// Until when nothing is started, in seconds, and why.
    fn waits(tries: &Tries) -> Option<(f64, &str)> {
        tries.not_before().map(|(at, why)| (at.since(Mono::ZERO).as_secs_f64(), why))
    }

    fn every_20_s() -> PromotedResource {
        PromotedResource { retry: Retry::Every(Duration::from_secs(20)), ..PromotedResource::default() }
    }

    #[test]
    fn failures_back_off_up_to_five_minutes_and_block_at_the_limit_once() {
        let settings = PromotedResource { max_failures: 2, ..PromotedResource::default() };
        let mut tries = Tries::default();
        assert!(!tries.failed(second(100), &settings, "a broke", false));
        assert_eq!(waits(&tries), Some((101.0, "its services failed here once: 1 s of back-off")));
        assert_eq!((tries.blocked(&settings), tries.count(second(100), &settings)), (None, 1));
        assert!(tries.failed(second(100), &settings, "b broke", false), "one too many");
        assert_eq!(waits(&tries), Some((102.0, "its services failed here 2 times: 2 s of back-off")));
        assert_eq!(tries.last_failure.as_deref(), Some("b broke"));
        let blocked = "blocked after 2 failures: waits for an operator's clear";
        assert_eq!(tries.blocked(&settings).as_deref(), Some(blocked));
        assert!(!tries.failed(second(100), &settings, "b broke", false), "it is no news any more");
        for _ in 0..10 {
            tries.failed(second(100), &settings, "b broke", false);
        }
        assert_eq!(waits(&tries), Some((400.0, "its services failed here 13 times: 300 s of back-off")));
        assert_eq!(tries.counts.failures, 13);
        let lifted = PromotedResource { max_failures: 0, ..settings };
        assert_eq!(tries.blocked(&lifted), None);
        assert!(!Tries::default().failed(second(1), &lifted, "a broke", false));
    }

    #[test]
    fn other_nodes_get_their_time_and_compatibility_counts_from_the_start() {
        let mut tries = Tries::default();
        tries.failed(second(100), &PromotedResource::default(), "a broke", true);
        assert_eq!(waits(&tries), Some((110.0, "its services failed here once: 10 s of back-off")));
        let mut tries = Tries::default();
        tries.started(second(100), &every_20_s());
        assert_eq!(waits(&tries), Some((120.0, "tried less than 20 s ago")));
        tries.failed(second(107), &every_20_s(), "a broke", true);
        assert_eq!(waits(&tries), Some((120.0, "tried less than 20 s ago")));
        tries.lost_race(second(107), &every_20_s());
        assert_eq!(waits(&tries), Some((120.0, "tried less than 20 s ago")), "no back-off beside it");
    }

    #[test]
    fn what_worked_comes_back_without_a_pause() {
        let mut tries = Tries::default();
        tries.started(second(200), &every_20_s());
        tries.comes_back();
        assert_eq!(waits(&tries), Some((220.0, "tried less than 20 s ago")), "nobody knows yet");
        tries.succeeded();
        assert_eq!(waits(&tries), Some((220.0, "tried less than 20 s ago")));
        tries.failed(second(207), &every_20_s(), "a broke", true);
        tries.comes_back();
        assert_eq!(waits(&tries), Some((220.0, "tried less than 20 s ago")), "it has failed");
        tries.started(second(220), &every_20_s());
        tries.succeeded();
        tries.comes_back();
        assert_eq!(waits(&tries), None);
    }

    #[test]
    fn failures_are_over_with_their_window_and_not_kept_without_end() {
        let settings = PromotedResource { failure_window: Duration::from_secs(60), ..PromotedResource::default() };
        let mut tries = Tries::default();
        tries.failed(second(100), &settings, "a broke", false);
        tries.failed(second(130), &settings, "a broke", false);
        let counts = [159, 160, 189, 190].map(|s| tries.count(second(s), &settings));
        assert_eq!(counts, [2, 1, 1, 0]);
        tries.prune(second(160), &settings);
        let mut memory = Memory::default();
        tries.remember(second(160), Some(WALL), &mut memory);
        assert_eq!(memory.failures, [1_800_000_000 - 30]);
        for _ in 0..150 {
            tries.failed(second(170), &settings, "a broke", false);
        }
        assert_eq!(tries.count(second(170), &settings), 100);
        tries.remember(second(170), Some(WALL), &mut memory);
        assert_eq!(memory.failures, [1_800_000_000; 100], "the oldest go first");
    }

    #[test]
    fn refusals_back_off_until_the_snapshot_changes_or_its_services_run() {
        let settings = PromotedResource::default();
        let mut tries = Tries::default();
        let mut waited = Vec::new();
        for _ in 0..7 {
            tries.lost_race(second(100), &settings);
            waited.extend(waits(&tries).map(|(at, _)| at - 100.0));
        }
        assert_eq!(waited, [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
        assert_eq!(waits(&tries).map(|(_, why)| why), Some("DRBD refused the promotion: next try after 30 s"));
        assert_eq!((tries.counts.lost_races, tries.refused()), (7, None), "who was Primary is not known");
        tries.refusal = Some("held open".to_owned());
        assert_eq!(tries.refused(), Some((7, "held open")));
        let mut ran = tries.clone();
        ran.succeeded();
        assert_eq!((ran.refused(), &ran.refusal), (None, &None));
        tries.snapshot_changed(&settings);
        assert_eq!((tries.refused(), &tries.refusal, waits(&tries)), (None, &None, None));
        tries.lost_race(second(100), &settings);
        assert_eq!(waits(&tries).map(|(at, _)| at), Some(101.0), "the next one is the first");
    }

    #[test]
    fn what_is_no_refusal_outlives_a_change_of_the_snapshot() {
        let settings = PromotedResource::default();
        let mut failed = Tries::default();
        failed.failed(second(100), &settings, "a broke", false);
        failed.lost_race(second(100), &settings);
        let blocked_only = |mut tries: Tries| {
            tries.failures.clear();
            tries.blocked_since = Some(1);
            tries
        };
        let mut every = Tries::default();
        every.started(second(100), &every_20_s());
        every.lost_race(second(100), &every_20_s());
        let mut never_refused = Tries::default();
        never_refused.unclear(second(100));
        let of_blocked = blocked_only(failed.clone());
        let table = [(failed, &settings), (of_blocked, &settings), (every, &every_20_s()), (never_refused, &settings)];
        for (mut tries, settings) in table {
            tries.snapshot_changed(settings);
            assert!(waits(&tries).is_some(), "{tries:?}");
        }
    }

    #[test]
    fn what_is_not_clear_is_tried_with_pauses_until_it_has_run_for_a_minute() {
        let mut tries = Tries::default();
        tries.unclear(second(10));
        assert_eq!(waits(&tries), Some((11.0, "the last start was given up a moment ago: 1 s of back-off")));
        tries.restarted(second(20));
        assert_eq!(waits(&tries), Some((22.0, "what had failed was started a moment ago: 2 s of back-off")));
        tries.failed_without_data(second(30));
        assert_eq!(waits(&tries), Some((34.0, "a service failed without its data: 4 s of back-off")));
        tries.ran(Duration::from_secs(59));
        tries.unclear(second(40));
        assert_eq!(waits(&tries).map(|(at, _)| at), Some(48.0));
        tries.ran(Duration::from_secs(60));
        tries.unclear(second(50));
        assert_eq!(waits(&tries).map(|(at, _)| at), Some(51.0));
        for _ in 0..20 {
            tries.unclear(second(60));
        }
        assert_eq!(waits(&tries).map(|(at, _)| at), Some(120.0), "never longer than a minute");
        tries.ran(Duration::from_secs(60));
        tries.unclear(second(61));
        assert_eq!(waits(&tries).map(|(at, _)| at), Some(120.0), "nor shorter than what it waits for already");
    }

    #[test]
    fn what_ended_by_itself_once_may_have_been_stopped_by_somebody() {
        let mut tries = Tries::default();
        tries.ended_by_themselves(second(100), Duration::from_secs(5));
        assert_eq!(waits(&tries), None);
        tries.ended_by_themselves(second(100), Duration::from_secs(59));
        assert_eq!(waits(&tries), Some((101.0, "its services ended by themselves a moment ago: 1 s of back-off")));
        tries.ended_by_themselves(second(200), Duration::from_secs(60));
        assert_eq!(waits(&tries).map(|(at, _)| at), Some(101.0), "it has run for long enough");
        tries.ended_by_themselves(second(201), Duration::ZERO);
        assert_eq!(waits(&tries).map(|(at, _)| at), Some(101.0), "and this is the first one again");
    }

    #[test]
    fn ten_starts_in_a_minute_are_enough_whatever_was_cleared_since() {
        let settings = PromotedResource::default();
        let mut tries = Tries::default();
        for s in 0..10 {
            assert_eq!(waits(&tries), None);
            tries.started(second(s), &settings);
        }
        let wait = Some((60.0, "it was started again and again: back-off"));
        assert_eq!((waits(&tries), tries.counts.starts), (wait, 10));
        assert!(!tries.clear(), "there was nothing");
        assert_eq!(waits(&tries), wait);
        let mut put_back = Tries::default();
        put_back.go_on(tries.pace().clone());
        assert_eq!(waits(&put_back), wait);
        tries.failed(second(50), &settings, "a broke", true);
        assert_eq!(waits(&tries), Some((60.0, "its services failed here once: 10 s of back-off")), "the later one");
        tries.failed(second(51), &settings, "a broke", false);
        assert_eq!(waits(&tries), wait, "or the one that is left");
    }

    #[test]
    fn a_clear_forgets_all_but_what_is_counted() {
        let settings = PromotedResource { max_failures: 1, ..every_20_s() };
        let mut tries = Tries::default();
        tries.started(second(5), &settings);
        tries.failed(second(10), &settings, "a broke", false);
        assert!(tries.is_worth_remembering());
        assert!(tries.clear());
        assert_eq!((tries.blocked(&settings), tries.count(second(10), &settings), waits(&tries)), (None, 0, None));
        assert_eq!((tries.counts.failures, tries.counts.starts), (1, 1));
        assert!(!tries.is_worth_remembering());
        tries.failed(second(12), &every_20_s(), "a broke", false);
        assert_eq!(waits(&tries).map(|(at, _)| at), Some(25.0), "when it was started is known");
        // Each of these alone is something.
        let blocked = || Tries { blocked_since: Some(1), ..Tries::default() };
        let failed = || Tries { failures: vec![1], ..Tries::default() };
        let waiting = || Tries { not_before: Some((second(1), String::new())), ..Tries::default() };
        let said = || Tries { last_failure: Some(String::new()), ..Tries::default() };
        assert!(blocked().clear() && failed().clear() && waiting().clear());
        let kept = [blocked(), failed(), said(), waiting()].map(|tries| tries.is_worth_remembering());
        assert_eq!(kept, [true, true, true, false]);
    }

    #[test]
    fn a_machine_that_is_built_anew_waits_as_before() {
        let settings = PromotedResource::default();
        let mut old = Tries::default();
        old.started(second(10), &settings);
        old.lost_race(second(10), &settings);
        old.refusal = Some("held open".to_owned());
        old.unclear(second(11));
        let mut new = Tries::default();
        new.inherit(&old);
        assert_eq!((new.refused(), waits(&new)), (old.refused(), waits(&old)));
        assert_eq!((new.counts.starts, new.counts.lost_races), (1, 1));
        new.unclear(second(20));
        new.lost_race(second(30), &settings);
        assert_eq!(waits(&new).map(|(at, _)| at), Some(32.0));
        for _ in 0..9 {
            new.started(second(10), &settings);
        }
        assert_eq!(waits(&new).map(|(at, _)| at), Some(70.0), "with the start of before that is ten");
    }

    #[test]
    fn failures_go_from_one_clock_to_the_other_and_back() {
        let settings = PromotedResource { max_failures: 2, ..PromotedResource::default() };
        let mut tries = Tries::default();
        tries.failed(second(100), &settings, "a broke", false);
        tries.failed(second(110), &settings, "b broke", false);
        let mut memory = Memory::default();
        tries.remember(second(130), Some(WALL), &mut memory);
        let now = 1_800_000_000;
        assert_eq!((&memory.failures[..], memory.blocked_since), (&[now - 30, now - 20][..], Some(now - 20)));
        assert_eq!(memory.last_failure.as_deref(), Some("b broke"));
        // The next daemon, five seconds later.
        let later = WallClock { unix_ms: WALL.unix_ms + 5_999, ..WALL };
        let mut next = Tries::default();
        assert!(!next.recall(second(2), Some(later), &memory));
        assert_eq!(next.failures, [-33, -23]);
        assert_eq!((next.blocked_since, next.last_failure.as_deref()), (Some(-23), Some("b broke")));
        let mut again = Memory::default();
        next.remember(second(3), Some(WallClock { unix_ms: later.unix_ms + 1_000, ..WALL }), &mut again);
        assert_eq!(again, memory);
        // Its clock goes behind: they count from now on, and that has to be kept.
        let behind = WallClock { unix_ms: WALL.unix_ms - 25_000, ..WALL };
        let mut next = Tries::default();
        assert!(next.recall(second(2), Some(behind), &memory), "one is from the future");
        assert_eq!(next.failures, [2 - 5, 2]);
        let exact = WallClock { unix_ms: WALL.unix_ms - 20_000, ..WALL };
        assert!(!next.recall(second(2), Some(exact), &memory), "this very second is not the future");
    }

    #[test]
    fn without_a_clock_what_was_kept_stays_as_it_is() {
        let mut tries = Tries::default();
        tries.failed(second(100), &PromotedResource::default(), "a broke", false);
        let mut memory = Memory { failures: vec![7], blocked_since: Some(8), ..Memory::default() };
        tries.remember(second(100), None, &mut memory);
        assert_eq!((&memory.failures[..], memory.blocked_since), (&[7][..], Some(8)));
        assert_eq!(memory.last_failure.as_deref(), Some("a broke"));
    }

    #[test]
    fn what_was_said_first_of_a_pause_stays_and_words_without_a_refusal_say_nothing() {
        let mut tries = Tries::default();
        tries.unclear(second(10));
        tries.ran(Duration::from_secs(60));
        tries.restarted(second(10));
        assert_eq!(waits(&tries), Some((11.0, "the last start was given up a moment ago: 1 s of back-off")));
        tries.refusal = Some("held open".to_owned());
        assert_eq!(tries.refused(), None, "its services have run since");
    }
}
