//! What should hold for a resource now, and why. A pure function of levels: it changes nothing, and the same situation gives the same
//! decision whatever happened before.
//!
//! ```text
//!  held, no news of DRBD, no systemd ─▶ leave everything as it is
//!  something runs ─▶ must it stop?   an operator wants it, quorum lost, made Secondary, good data lost, disk lost, start failed ─▶ stop, or freeze
//!                 └▶ is it well?     thaw, restart what failed, give it to a better node
//!  nothing runs   ─▶ may it start?   unwanted here, blocked, masked, not prepared, elsewhere, no may_promote, a delay, a back-off ─▶ wait
//!                 └▶ start
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use crate::action::Reason;
use crate::drbd::types::Suspended;
use crate::ids::{Mono, UnitName};
use crate::model::objects::Resource;
use crate::operator::Hold;
use crate::settings::promoter::{OnDiskDetach, OnQuorumLoss, OnServiceFailure, PromotedResource, Runner};
use crate::systemd::Units;

use super::delay::{self, Delay};
use super::failback::Ready;
use super::held;
use super::obstacle::{Obstacle, ObstacleKind};
use super::policy::Policy;
use super::report::StateWord;
use super::restarts::Restarts;
use super::services::{Services, UnitSet};
use super::timers::Timer;
use super::view::{self, PeerNames};

/// How long systemd and DRBD may disagree about a promotion: their news come by different ways.
const DISAGREE: Duration = Duration::from_secs(2);

/// How long a Primary waits for good data to come back into reach: a peer that has some may just be on its way from one connection
/// to the next. Longer than that, and it only stands in the way of a node that has both data and quorum.
const WITHOUT_DATA: Duration = Duration::from_secs(1);

/// Everything that a decision is made from.
pub(super) struct Situation<'a> {
    pub(super) now: Mono,
    pub(super) settings: &'a PromotedResource,
    /// DRBD's snapshot of it, if DRBD has it.
    pub(super) resource: Option<&'a Resource>,
    /// Why the snapshot is not the present.
    pub(super) stale: Option<&'static str>,
    /// Why what is known of units is not the present.
    pub(super) no_units: Option<String>,
    /// A unit of it that systemd has not told yet.
    pub(super) untold: Option<&'a UnitName>,
    pub(super) services: Services,
    pub(super) set: &'a UnitSet,
    pub(super) units: &'a Units,
    pub(super) policy: Policy,
    pub(super) peers: &'a PeerNames,
    /// What is not prepared yet.
    pub(super) unprepared: Option<(ObstacleKind, String)>,
    pub(super) hold: Option<&'a Hold>,
    /// An operator has drained this node.
    pub(super) drained: Option<&'a Hold>,
    /// Too many failures here.
    pub(super) blocked: Option<String>,
    /// Since when it could be started here without a break: DRBD lets it be promoted, and nothing [forbids](is_free) it.
    pub(super) free_since: Option<Mono>,
    /// Not before then, and why.
    pub(super) not_before: Option<(Mono, &'a str)>,
    /// Promotions that DRBD refused in a row although nobody was Primary, and why the last one.
    pub(super) refused: Option<(u32, &'a str)>,
    /// It may be started without quorum and without fencing, once.
    pub(super) unguarded_start: bool,
    /// Whether a promotion that was not ours counts as ours: it was there when we came.
    pub(super) adopted: bool,
    /// Since when quorum is lost.
    pub(super) quorum_lost_since: Option<Mono>,
    /// Since when this node is Primary without good data of a volume in reach.
    pub(super) data_lost_since: Option<Mono>,
    /// We froze its services.
    pub(super) froze: bool,
    /// Units that may be frozen by now although systemd has not said so.
    pub(super) maybe_frozen: Vec<UnitName>,
    /// Since when this node is not Primary although services run; `Some(Mono::ZERO)`-like old times once it was seen as Primary.
    pub(super) not_primary_since: Option<Mono>,
    /// Whether it was seen as Primary since its services run.
    pub(super) was_primary: bool,
    /// Something failed, and so what runs has to go.
    pub(super) leaving: Option<&'a [String]>,
    /// The list of units changed while the services run.
    pub(super) more_units: bool,
    /// Units that are new in the list: how they ended before they were says nothing.
    pub(super) newcomers: &'a BTreeSet<UnitName>,
    /// Why units are to be started again that have been reset, and maybe started.
    pub(super) restart: &'a [Reason],
    /// A better node.
    pub(super) failback: Option<Ready>,
    /// What is started again because its entry says so.
    pub(super) restarts: &'a Restarts,
    pub(super) delay: Delay,
}

/// What should hold now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) verdict: Verdict,
    pub(super) state: StateWord,
    pub(super) because: Vec<Reason>,
    /// What keeps it from being started here, if that is why.
    pub(super) obstacle: Option<Obstacle>,
    /// When to judge again without news, and what is due then.
    pub(super) again: Option<(Mono, Timer)>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Leave,
    /// The target should be active.
    Start,
    /// The target is active, and these units should be too.
    Restart(Vec<UnitName>),
    /// The target should be inactive.
    Stop(StopCause),
    /// These units should be frozen.
    Freeze(Vec<UnitName>),
    /// These units should be thawed.
    Thaw(Vec<UnitName>),
}

/// Why a stop; it decides what else is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StopCause {
    /// DRBD says that this node may not write.
    Drbd,
    /// I/O that is suspended has to fail first: frozen for too long, or no good data.
    Suspended,
    /// A start or a service failed.
    Failure,
    /// For a better node, by its name.
    Failback(String),
    /// An operator wants it.
    Operator,
}

fn reason(text: impl Into<String>) -> Reason {
    Reason(text.into())
}

impl Decision {
    fn leave(state: StateWord, because: impl Into<String>) -> Self {
        Self { verdict: Verdict::Leave, state, because: vec![reason(because)], obstacle: None, again: None }
    }

    /// All units of the list should be active, the target is.
    fn restart(s: &Situation<'_>, because: Vec<Reason>) -> Self {
        let verdict = Verdict::Restart(s.set.members.clone());
        Self { verdict, state: StateWord::Starting, because, obstacle: None, again: None }
    }

    fn stop(cause: StopCause, because: Vec<String>) -> Self {
        let because = because.into_iter().map(Reason).collect();
        Self { verdict: Verdict::Stop(cause), state: StateWord::Stopping, because, obstacle: None, again: None }
    }

    /// That is what keeps it from being started here.
    fn kept_by(mut self, obstacle: impl Into<Obstacle>) -> Self {
        self.obstacle = Some(obstacle.into());
        self
    }

    fn again(mut self, at: Option<Mono>, timer: Timer) -> Self {
        self.again = at.map(|at| (at, timer));
        self
    }
}

/// The decision.
pub(super) fn plan(s: &Situation<'_>) -> Decision {
    if let Some(hold) = s.hold.filter(|hold| !hold.stops) {
        return Decision::leave(StateWord::Held, held::words(hold));
    }
    if let Some(why) = s.stale {
        return Decision::leave(as_it_is(s.services), why).kept_by(ObstacleKind::NoNews);
    }
    if let Some(why) = &s.no_units {
        return Decision::leave(as_it_is(s.services), why.clone()).kept_by(ObstacleKind::NoSystemd);
    }
    let Some(resource) = s.resource else {
        let none = || (ObstacleKind::NoResource, "DRBD has no resource of this name".to_owned());
        let (kind, why) = s.unprepared.clone().unwrap_or_else(none);
        let state = if s.unprepared.is_some() { StateWord::Preparing } else { as_it_is(s.services) };
        let mut decision = Decision::leave(state, why).kept_by(kind);
        // When DRBD has it, this is what would keep it from being started, and a person may deal with both at once.
        decision.because.extend(s.blocked.clone().map(Reason));
        return decision;
    };
    if let Some(unit) = s.untold {
        return without_a_unit(s, resource, unit);
    }
    match s.services {
        Services::Off => may_start(s, resource),
        Services::Stopping => Decision::leave(StateWord::Stopping, "its services are on their way down"),
        Services::Half => must_stop(s, resource).unwrap_or_else(|| may_start(s, resource)),
        Services::Starting => must_stop(s, resource).unwrap_or_else(|| on_their_way_up(s)),
        Services::On => must_stop(s, resource).unwrap_or_else(|| is_well(s, resource)),
    }
}

/// The word for a resource that is left alone.
fn as_it_is(services: Services) -> StateWord {
    match services {
        Services::Off => StateWord::Standby,
        Services::Half | Services::Starting => StateWord::Starting,
        Services::On => StateWord::Running,
        Services::Stopping => StateWord::Stopping,
    }
}

/// How a unit is, nobody knows: nothing is started or judged by it. What runs where an operator or DRBD forbids it is stopped all the same, if it
/// is known that it runs.
fn without_a_unit(s: &Situation<'_>, resource: &Resource, unit: &UnitName) -> Decision {
    let is_told = |unit: &UnitName| s.units.is_told(unit.as_str());
    let runs =
        s.services.is_any() && s.services != Services::Stopping && is_told(&s.set.target) && is_told(&s.set.promote);
    let forbids = || {
        let drbd = || lost_quorum(s, resource).or_else(|| not_primary(s, resource)).or_else(|| lost_data(s, resource));
        is_unwanted(s, resource).or_else(drbd)
    };
    match if runs { forbids() } else { None } {
        Some(decision) if decision.verdict != Verdict::Leave => decision,
        wait => {
            let decision = Decision::leave(as_it_is(s.services), format!("systemd has not said yet how {unit} is"))
                .kept_by(Obstacle::of(ObstacleKind::UnitNotTold, unit));
            Decision { again: wait.and_then(|wait| wait.again), ..decision }
        }
    }
}

/// An operator wants it to run nowhere on this node: in what state that leaves it, and why.
fn unwanted(s: &Situation<'_>) -> Option<(StateWord, String)> {
    let hold = s.hold.map(|hold| (StateWord::Held, held::words(hold)));
    hold.or_else(|| s.drained.map(|drain| (StateWord::Drained, held::words_of_drain(drain))))
}

/// What an operator wants stopped. What he works on himself, without our promotion, is left alone.
fn is_unwanted(s: &Situation<'_>, resource: &Resource) -> Option<Decision> {
    let (_, why) = unwanted(s)?;
    // What shell commands left half done is ours: nobody else runs them.
    if s.services == Services::Half && s.settings.runner == Runner::Systemd && !s.set.promoted(s.units) {
        return None;
    }
    if is_promoting(s) {
        return None;
    }
    // Without quorum or data suspended I/O would keep file systems from being unmounted. While a peer is fenced, or for a snapshot, it
    // is suspended for a moment only.
    let suspended = &resource.state.suspended;
    let suspended = s.froze || suspended.contains(&Suspended::QUORUM) || suspended.contains(&Suspended::NO_DATA);
    Some(Decision::stop(if suspended { StopCause::Suspended } else { StopCause::Operator }, vec![why]))
}

/// Our start has not got past the promotion. Who stops it there kills the program that promotes, not what the kernel does: DRBD stays Primary
/// without services, nobody demotes it, and no other node can take over. It is a matter of a moment.
fn is_promoting(s: &Situation<'_>) -> bool {
    s.services == Services::Starting && s.settings.runner == Runner::Systemd && !s.set.holds_promotion(s.units)
}

fn on_their_way_up(s: &Situation<'_>) -> Decision {
    let mut decision = Decision::leave(StateWord::Starting, "its services are on their way up");
    let unwanted = unwanted(s).map(|(_, why)| reason(format!("{why}; it is stopped as soon as its promotion is over")));
    decision.because.extend(unwanted);
    decision
}

/// What an operator wants, what DRBD forbids, and what a failed start left behind.
fn must_stop(s: &Situation<'_>, resource: &Resource) -> Option<Decision> {
    if let Some(decision) = is_unwanted(s, resource) {
        return Some(decision);
    }
    if let Some(decision) = lost_quorum(s, resource) {
        return Some(decision);
    }
    if let Some(decision) = not_primary(s, resource) {
        return Some(decision);
    }
    let mut wait = None;
    match lost_data(s, resource) {
        Some(decision) if decision.verdict == Verdict::Leave => wait = Some(decision),
        Some(decision) => return Some(decision),
        None => {}
    }
    if let Some(because) = s.leaving {
        return Some(Decision::stop(StopCause::Failure, because.to_vec()));
    }
    if let Some(why) = s.blocked.as_ref().filter(|_| s.services == Services::Half) {
        // Primary without services helps nobody: another node may be able to run it.
        return Some(Decision::stop(StopCause::Failure, vec![why.clone()]));
    }
    let detached = view::detached(resource);
    let moves = s.settings.on_disk_detach == OnDiskDetach::FailOver && !is_left_alone(s);
    if moves && !detached.is_empty() && view::is_primary(resource) {
        let good = resource.connections.iter().find(|(_, connection)| view::has_all_data(resource, connection));
        if let Some((peer, _)) = good {
            let peer = s.peers.of(resource, *peer);
            return Some(Decision::stop(
                StopCause::Drbd,
                vec![
                    format!("{} lost its disk here", view::volumes(&detached)),
                    format!("{peer} has good data for all volumes"),
                    "on-disk-detach = \"fail-over\"".to_owned(),
                ],
            ));
        }
    }
    wait
}

/// Neither quorum nor fencing: no node would start again what is stopped here for its sake. So what runs stays where it is.
fn is_left_alone(s: &Situation<'_>) -> bool {
    s.policy == Policy::None
}

/// Primary, and with quorum, but every disk with good data is out of reach: nothing can be written here any more. A node that has such
/// a disk may have quorum, too, and take over; then both would stay Primary, and refuse each other for good.
fn lost_data(s: &Situation<'_>, resource: &Resource) -> Option<Decision> {
    let since = s.data_lost_since.filter(|_| !is_left_alone(s))?;
    let lost = view::without_data(resource);
    let peer = lost.iter().find_map(|volume| view::may_have_data(resource, *volume))?;
    let because = vec![
        format!("no good data of {} in reach", view::volumes(&lost)),
        format!("{} may have them, and may take over", s.peers.of(resource, peer)),
    ];
    let end = since.after(WITHOUT_DATA);
    if end > s.now {
        let because = because.into_iter().map(Reason).collect();
        let again = Some((end, Timer::DataLost));
        return Some(Decision { verdict: Verdict::Leave, state: as_it_is(s.services), because, obstacle: None, again });
    }
    // With `on-no-data-accessible suspend-io` what is open would hang, and nothing could be unmounted.
    let suspended =
        s.settings.on_quorum_loss == OnQuorumLoss::Freeze || resource.state.suspended != Suspended::default();
    let cause = if suspended { StopCause::Suspended } else { StopCause::Drbd };
    Some(Decision::stop(cause, because))
}

/// Quorum is gone: stop, or freeze. In fencing mode quorum says nothing.
fn lost_quorum(s: &Situation<'_>, resource: &Resource) -> Option<Decision> {
    let lost = view::without_quorum(resource);
    if lost.is_empty() || s.policy == Policy::Fencing {
        return None;
    }
    let fact = format!("quorum lost on {}", view::volumes(&lost));
    if s.settings.on_quorum_loss == OnQuorumLoss::Shutdown || s.services != Services::On {
        // So it is while the services are being started, whatever they do without quorum once they run.
        let cause = if view::is_suspended(resource) { StopCause::Suspended } else { StopCause::Drbd };
        return Some(Decision::stop(cause, vec![fact]));
    }
    let mut again = None;
    if let (Some(timeout), Some(since)) = (s.settings.freeze_timeout, s.quorum_lost_since) {
        let end = since.after(timeout);
        if end <= s.now {
            let too_long = format!("without quorum for longer than freeze-timeout ({} s)", timeout.as_secs());
            return Some(Decision::stop(StopCause::Suspended, vec![fact, too_long]));
        }
        again = Some((end, Timer::FreezeTimeout));
    }
    // A node that is no longer Primary has nothing to freeze for.
    match not_primary(s, resource) {
        Some(decision) if decision.verdict != Verdict::Leave => return Some(decision),
        // DRBD and systemd may only disagree for a moment: it is looked at again then.
        Some(decision) => again = again.into_iter().chain(decision.again).min_by_key(|(at, _)| *at),
        None => {}
    }
    let mut because = vec![reason(fact), reason("on-quorum-loss = \"freeze\"")];
    let others = s.set.not_freezable(s.units);
    if !others.is_empty() {
        because.push(reason(format!("what cannot be frozen goes on: {}", others.join(", "))));
    }
    let units = s.set.to_freeze(s.units);
    let verdict = if units.is_empty() { Verdict::Leave } else { Verdict::Freeze(units) };
    Some(Decision { verdict, state: StateWord::Frozen, because, obstacle: None, again })
}

/// Services run, but DRBD says that this node is Secondary: it was forced to.
fn not_primary(s: &Situation<'_>, resource: &Resource) -> Option<Decision> {
    if view::is_primary(resource) || s.services == Services::Starting {
        return None;
    }
    let since = s.not_primary_since?;
    let fact = format!("DRBD says {} here while its services run", resource.state.role);
    if s.was_primary || since.after(DISAGREE) <= s.now {
        return Some(Decision::stop(StopCause::Drbd, vec![fact]));
    }
    let state = as_it_is(s.services);
    Some(Decision::leave(state, fact).again(Some(since.after(DISAGREE)), Timer::NotPrimary))
}

/// The target is active, and nothing forbids it.
fn is_well(s: &Situation<'_>, resource: &Resource) -> Decision {
    let mut frozen = s.set.frozen(s.units);
    frozen.extend(
        s.maybe_frozen
            .iter()
            .filter(|unit| s.set.members.contains(unit) && !frozen.contains(unit))
            .cloned()
            .collect::<Vec<_>>(),
    );
    // What we froze is thawed whatever the settings and DRBD's options have become meanwhile.
    let ours = s.froze || (s.settings.on_quorum_loss == OnQuorumLoss::Freeze && s.policy != Policy::Fencing);
    if !frozen.is_empty() && ours {
        let because = vec![reason(why_thawed(resource)), reason("its services are frozen")];
        return Decision {
            verdict: Verdict::Thaw(frozen),
            state: StateWord::Frozen,
            because,
            obstacle: None,
            again: None,
        };
    }
    let mut failed = s.set.failed(s.units);
    failed.retain(|(unit, _)| !s.newcomers.contains(unit));
    let (local, failed): (Vec<_>, Vec<_>) = failed.into_iter().partition(|(unit, _)| s.restarts.covers(unit));
    if !failed.is_empty() {
        return failed_services(s, failed);
    }
    if let Some(decision) = started_again(s, &local) {
        return decision;
    }
    // They were reset, and whether they were started nobody knows.
    if !s.restart.is_empty() && s.set.is_incomplete(s.units) {
        let mut because = s.restart.to_vec();
        if let Some((at, why)) = s.not_before.filter(|(at, _)| *at > s.now) {
            because.push(reason(why));
            let again = Some((at, Timer::RestartBackOff));
            return Decision { verdict: Verdict::Leave, state: StateWord::Waiting, because, obstacle: None, again };
        }
        return Decision::restart(s, because);
    }
    if s.more_units && s.unprepared.is_none() {
        let because = vec![reason("the list of units to start has changed")];
        return Decision::restart(s, because);
    }
    match &s.failback {
        Some(Ready::Now { node, because }) => {
            Decision::stop(StopCause::Failback(node.clone()), because.iter().map(|reason| reason.0.clone()).collect())
        }
        Some(Ready::Later { at, why }) => {
            let mut decision = Decision::leave(StateWord::Running, "its services run here").again(*at, Timer::Failback);
            decision.because.push(reason(why.clone()));
            decision
        }
        None => {
            let role =
                if view::is_primary(resource) { "its services run here" } else { "its services run, DRBD follows" };
            // What failed for good was dealt with above.
            let mut died = s.set.ended_badly_and_down(s.units);
            died.retain(|(unit, _)| !s.newcomers.contains(unit));
            let waits =
                |(unit, result): &(UnitName, String)| format!("{unit} ended: {result}; systemd starts it again");
            match died.iter().map(waits).collect::<Vec<_>>().as_slice() {
                [] => Decision::leave(StateWord::Running, role),
                waiting => Decision::leave(StateWord::Starting, waiting.join("; ")),
            }
        }
    }
}

/// Why nothing keeps frozen services from going on.
fn why_thawed(resource: &Resource) -> &'static str {
    if !view::without_quorum(resource).is_empty() {
        "with fencing a lost quorum stops nothing"
    } else if resource.devices.is_empty() {
        "it has no volume that could have lost quorum"
    } else {
        "quorum on every volume"
    }
}

/// What is started again because its entry says so. `needed`: units of these that the resource needs.
fn started_again(s: &Situation<'_>, needed: &[(UnitName, String)]) -> Option<Decision> {
    let (units, because) = s.restarts.due(s.now);
    if !units.is_empty() {
        let verdict = Verdict::Restart(units);
        return Some(Decision { verdict, state: StateWord::Starting, because, obstacle: None, again: None });
    }
    // What it does not need may be down meanwhile.
    let (first, _) = needed.first()?;
    let because = s.restarts.because(first).to_vec();
    Some(Decision { verdict: Verdict::Leave, state: StateWord::Starting, because, obstacle: None, again: None })
}

/// Units of `start` that have failed while the target is active.
fn failed_services(s: &Situation<'_>, failed: Vec<(UnitName, String)>) -> Decision {
    let facts: Vec<String> = failed.iter().map(|(unit, result)| format!("{unit} has failed: {result}")).collect();
    let goes = s.settings.on_service_failure == OnServiceFailure::Move || s.blocked.is_some();
    if goes && is_left_alone(s) {
        let mut decision = Decision::leave(StateWord::Running, facts.join(", "));
        decision.because.extend(s.blocked.clone().map(Reason));
        decision
            .because
            .push(reason("neither quorum nor fencing: no other node would start it, so what runs is left alone"));
        return decision;
    }
    match s.settings.on_service_failure {
        OnServiceFailure::Ignore => {
            let mut decision = Decision::leave(StateWord::Running, facts.join(", "));
            decision.because.push(reason("on-service-failure = \"ignore\""));
            decision
        }
        OnServiceFailure::Move => {
            Decision::stop(StopCause::Failure, [facts, vec!["on-service-failure = \"move\"".to_owned()]].concat())
        }
        OnServiceFailure::Restart => {
            if let Some(blocked) = &s.blocked {
                return Decision::stop(StopCause::Failure, [facts, vec![blocked.clone()]].concat());
            }
            let mut because: Vec<Reason> = facts.into_iter().map(Reason).collect();
            match s.not_before {
                Some((at, why)) if at > s.now => {
                    because.push(reason(why));
                    let again = Some((at, Timer::RestartBackOff));
                    Decision { verdict: Verdict::Leave, state: StateWord::Waiting, because, obstacle: None, again }
                }
                _ => {
                    because.push(reason("on-service-failure = \"restart\""));
                    let units = failed.into_iter().map(|(unit, _)| unit).collect();
                    Decision {
                        verdict: Verdict::Restart(units),
                        state: StateWord::Starting,
                        because,
                        obstacle: None,
                        again: None,
                    }
                }
            }
        }
    }
}

/// Nothing runs, or only half of it.
fn may_start(s: &Situation<'_>, resource: &Resource) -> Decision {
    if let Some(decision) = forbidden(s, resource) {
        return decision;
    }
    let primary = view::is_primary(resource);
    if primary && !s.adopted && !s.set.promoted(s.units) {
        return Decision::leave(StateWord::Standby, "Primary here, but not promoted by us: somebody works on it")
            .kept_by(ObstacleKind::NotOurs);
    }
    let lost = view::without_data(resource);
    if primary && !lost.is_empty() {
        let fact = format!("Primary here, and no good data of {} in reach", view::volumes(&lost));
        return Decision::leave(StateWord::Standby, fact).kept_by(ObstacleKind::NoData);
    }
    if !primary && !resource.state.may_promote {
        let (kind, why) = not_promotable(resource);
        return Decision::leave(StateWord::Standby, why).kept_by(kind);
    }
    let fact = if primary { "Primary here, and its services do not run" } else { "DRBD says may_promote:yes" };
    let mut because = vec![reason(fact)];
    if s.policy == Policy::None {
        because.push(reason("neither quorum nor fencing: it is started this once, as drbd-reactor does"));
    }
    let since = s.free_since.unwrap_or(s.now);
    if since > s.now {
        because.push(reason("no node has taken it over: where it ran it may come back first"));
    }
    // A node that is Primary has nobody to let go first; but a stop by somebody else looks like this for a moment.
    let mut start = since.after(if primary { DISAGREE } else { s.delay.total });
    let mut timer = Timer::StartDelay;
    if !primary {
        because.extend(s.delay.because.iter().cloned());
    }
    if let Some((at, why)) = s.not_before.filter(|(at, _)| *at > s.now) {
        (start, timer) = (start, timer).max((at, Timer::StartBackOff));
        because.push(reason(why));
    }
    if let Some((times, words)) = s.refused {
        because.push(reason(format!("DRBD has refused it {}, and nobody is Primary: {words}", delay::times(times))));
    }
    if start > s.now {
        because.push(reason(format!("starts in {}", delay::seconds(start.since(s.now)))));
        return Decision {
            verdict: Verdict::Leave,
            state: StateWord::Waiting,
            because,
            obstacle: None,
            again: Some((start, timer)),
        };
    }
    Decision { verdict: Verdict::Start, state: StateWord::Starting, because, obstacle: None, again: None }
}

/// Whether nobody has said that it is not to be started here, and it has not failed too often. Head starts of other nodes count from when that has become
/// so: what a person ends on all nodes at once is the moment from which all of them would start it. What this node has to do or to find out first is
/// its own trouble, and no reason to wait longer.
pub(super) fn is_free(s: &Situation<'_>) -> bool {
    s.resource.is_some() && s.blocked.is_none() && unwanted(s).is_none()
}

/// What keeps it from being started here, whatever DRBD's may_promote says.
fn forbidden(s: &Situation<'_>, resource: &Resource) -> Option<Decision> {
    if let Some((state, why)) = unwanted(s) {
        return Some(Decision::leave(state, why));
    }
    // Before all else: who runs it now counts on this node, and in vain.
    if let Some(blocked) = &s.blocked {
        return Some(Decision::leave(StateWord::Blocked, blocked.clone()));
    }
    let peers = view::primary_peers(resource);
    if let Some(peer) = peers.first() {
        let why = format!("{} is Primary", s.peers.of(resource, *peer));
        let mut decision = Decision::leave(StateWord::Standby, why).kept_by(ObstacleKind::PeerPrimary);
        // Whoever counts on this node should know that it could not take over yet.
        decision.because.extend(not_ready(s).map(|(_, why)| reason(why)));
        return Some(decision);
    }
    if let Some((kind, why)) = not_ready(s) {
        return Some(Decision::leave(StateWord::Preparing, why).kept_by(kind));
    }
    match s.policy {
        Policy::None if s.unguarded_start => {}
        Policy::None => {
            return Some(Decision::leave(
                StateWord::Unmanaged,
                "neither quorum nor fencing keeps two nodes from writing at once",
            ));
        }
        Policy::Quorum => {
            let lost = view::without_quorum(resource);
            if !lost.is_empty() {
                let why = format!("no quorum on {}", view::volumes(&lost));
                return Some(Decision::leave(StateWord::Standby, why).kept_by(ObstacleKind::NoQuorum));
            }
        }
        Policy::Fencing | Policy::Alone | Policy::Unknown => {}
    }
    let obstacles = s.set.obstacles(s.units, s.settings.target_as);
    let (first, _) = obstacles.first()?;
    let why: Vec<&str> = obstacles.iter().map(|(_, why)| why.as_str()).collect();
    Some(Decision::leave(StateWord::Standby, why.join(", ")).kept_by(first.clone()))
}

/// What has to be done or known before it can be started here.
fn not_ready(s: &Situation<'_>) -> Option<(ObstacleKind, String)> {
    let unknown = (s.policy == Policy::Unknown).then_some("DRBD's options have not been read yet");
    s.unprepared.clone().or_else(|| unknown.map(|why| (ObstacleKind::OptionsNotRead, why.to_owned())))
}

/// Why DRBD probably says may_promote:no.
fn not_promotable(resource: &Resource) -> (ObstacleKind, String) {
    let mut text = "DRBD says may_promote:no".to_owned();
    if resource.state.force_io_failures == Some(true) {
        let open: Vec<_> = resource
            .devices
            .iter()
            .filter(|(_, device)| device.state.open == Some(true))
            .map(|(volume, _)| *volume)
            .collect();
        let what = if open.is_empty() { "a device".to_owned() } else { view::volumes(&open) };
        text.push_str(&format!(
            ": it was made Secondary by force, and all I/O fails until whoever still has {what} open closes it"
        ));
        return (ObstacleKind::ForcedSecondary, text);
    }
    let lost = view::without_quorum(resource);
    if !lost.is_empty() {
        text.push_str(&format!(", no quorum on {}", view::volumes(&lost)));
        (ObstacleKind::NoQuorum, text)
    } else if let Some((volume, disk, _)) = view::disk_delay(resource).filter(|(_, _, delay)| !delay.is_zero()) {
        text.push_str(&format!(", volume {volume} is {disk}"));
        (ObstacleKind::Disk, text)
    } else {
        (ObstacleKind::MayNotPromote, text)
    }
}
