//! Planted bugs: what makes a world's daemons behave as a wrong program would. Production code knows nothing of them: a bug changes what the
//! core is told (`Lies`), or sits between the core and the real promoter (`wrong.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use reactor_core::action::{Action, ConnectionOptions, Done, DrbdAnswer, DrbdOptions, Outcome};
use reactor_core::core::Core;
use reactor_core::ids::{ActionId, Mono, UnitName};
use reactor_core::input::{Fact, Input, Record, SourceEvent, SourceId};
use reactor_core::operator::{Memory, OperatorRequest, OperatorVerb};
use reactor_core::settings::promoter::OnDiskDetach;
use reactor_core::settings::{PluginEntry, PluginSettings, Settings};
use reactor_core::systemd::{ActiveState, BusEvent, UnitEnd, UnitNews, UnitState};
use reactor_storage::event::Severity;

use super::wrong::Wrong;

macro_rules! bugs {
    ($($(#[$doc:meta])* $bug:ident = $word:literal $(by $($rule:literal)or+)?),+ $(,)?) => {
        /// A planted bug.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Bug {
            $($(#[$doc])* $bug,)+
            /// None: what sits between the core and the promoter only lets a machine panic now and then, which is a fault of some worlds.
            Nothing,
        }

        impl Bug {
            /// All of them, with the names that `sim --bug` takes.
            pub const ALL: &'static [(&'static str, Self)] = &[$(($word, Self::$bug)),+];

            /// The invariants that may catch it, and no others; empty = any may.
            pub fn caught_by(self) -> &'static [&'static str] {
                match self {
                    $(Self::$bug => &[$($($rule),+)?],)+
                    Self::Nothing => &[],
                }
            }
        }
    };
}

bugs! {
    /// A lost quorum is not looked at.
    IgnoreQuorum = "ignore-quorum",
    /// A promotion is tried whatever DRBD's may_promote says.
    IgnoreMayPromote = "ignore-may-promote" by "no start without may_promote" or "every start has its delay",
    /// Every line is acted upon at once.
    ActMidBurst = "act-mid-burst",
    /// All resources share the time of the last start.
    SharedLastStart = "shared-last-start",
    /// A start is sent when its delay is over, without another look.
    StaleDelay = "stale-delay",
    /// Frozen services are not thawed when quorum is back.
    ForgottenThaw = "forgotten-thaw",
    /// What a new dump says is acted upon as if it had just happened.
    ActOnReplay = "act-on-replay",
    /// A lost race counts as a failure of the services.
    CountLostRace = "count-lost-race",
    /// The death of events2 stops the services.
    StopOnSourceDeath = "stop-on-source-death",
    /// A start of the daemon begins with a stop of the services.
    StopOnRestart = "stop-on-restart",
    /// A hold is forgotten when the daemon restarts.
    HoldForgotten = "hold-forgotten",
    /// The first volume decides for all.
    FirstVolumeDecides = "first-volume-decides",
    /// The resource is given to a peer whose data is not there yet.
    FailbackOntoSyncing = "failback-onto-syncing",
    /// A Primary peer is not looked at.
    PeerPrimaryIgnored = "peer-primary-ignored",
    /// `fencing-promote-delay` is not waited for.
    FencingDelaySkipped = "fencing-delay-skipped",
    /// `preferred-nodes` costs no delay.
    PreferredIgnored = "preferred-ignored",
    /// Who may start something again does not wait for others, because it could be promoted all the time.
    CountsFromBefore = "counts-from-before" by "every start has its delay",
    /// A retry after 20 s has no delay.
    RetryWithoutDelay = "retry-without-delay",
    /// Some outcomes never reach the core.
    DoneLost = "done-lost",
    /// A resource that failed too often is started all the same.
    BlockIgnored = "block-ignored",
    /// A quorum loss during a start is not acted upon.
    StartNotPreempted = "start-not-preempted",
    /// The promotion is frozen instead of the services.
    FreezePromoteUnit = "freeze-promote-unit",
    /// A quorum that was lost while the daemon was down is not noticed.
    LostWhileDownIgnored = "lost-while-down-ignored",
    /// A lost peer stops the services.
    StopOnLostPeer = "stop-on-lost-peer",
    /// A Primary without good data in reach holds on to its services.
    LostDataIgnored = "lost-data-ignored",
    /// Services that failed stay if systemd mends them, whatever `on-service-failure` says.
    MendedStays = "mended-stays",
    /// I/O that hangs on a Primary is not shown.
    HangNotShown = "hang-not-shown",
    /// What runs nowhere is not shown.
    NowhereNotShown = "nowhere-not-shown",
    /// `drbd@N.service` is as drbd-utils has it: a start takes down what DRBD has if drbdadm fails.
    TakesDown = "takes-down",
    /// Nobody notices that the bus is gone.
    BusLossIgnored = "bus-loss-ignored",
    /// One unit that systemd does not answer about keeps all resources waiting.
    LateUnitStopsAll = "late-unit-stops-all",
    /// A stop that failed is asked for again at once.
    NoPause = "no-pause",
    /// What is remembered is lost when a machine that panicked is built anew.
    BuiltAnewEmpty = "built-anew-empty",
    /// A machine of the promoter panics over a mistake in it, for example by a change of phase that is not allowed.
    MachinePanics = "machine-panics" by "nothing panics",
    /// A unit that refuses to be frozen delays the thaw of all.
    OneWaitForAll = "one-wait-for-all",
    /// A state file that is not understood, or cannot be read, is taken for one that says nothing.
    UnknownIsNothing = "unknown-is-nothing" by "what may be held is held",
    /// A state file that was not understood is overwritten.
    Overwrites = "overwrites" by "nothing is overwritten that was not understood",
    /// What something else than the promoter has started is not shown.
    OutsideNotShown = "outside-not-shown" by "what was started outside of its target is shown",
    /// A promotion that DRBD refuses for good is taken for a lost race.
    RefusalAsRace = "refusal-as-race" by "a refusal is told from a lost race",
    /// A promotion that was refused is tried again at once.
    RefusedAtOnce = "refused-at-once" by "every repeated action backs off" or "nothing is asked for twice",
    /// Connections are repaired by an adjust of everything.
    AdjustAttaches = "adjust-attaches" by "no disk is attached under a writer",
    /// What a unit was when nobody followed it any more is told as news, once it runs again.
    OldFailure = "old-failure" by "what came back is not judged by its old failure" or "only failures count",
    /// `on-disk-detach`: a peer with good data of one volume is enough.
    DetachOneVolume = "detach-one-volume" by "nothing is stopped without a true reason",
    /// `on-disk-detach`: only the disk of the first volume is looked at.
    DetachFirstVolume = "detach-first-volume" by "a lost disk is acted upon" or "no disk is attached under a writer",
    /// `on-disk-detach` is not looked at.
    DetachIgnored = "detach-ignored" by "a lost disk is acted upon",
    /// A stop that systemd did not answer in time counts as done.
    StopTimeoutIsDone = "stop-timeout-is-done" by "every outcome is judged",
    /// A stop whose job failed counts as done.
    StopFailureIsDone = "stop-failure-is-done" by "every outcome is judged",
    /// A reload forgets that what failed has to leave.
    ReloadForgetsLeaving = "reload-forgets-leaving" by "what failed and has to leave leaves",
    /// A reload forgets what we froze.
    ReloadForgetsFrozen = "reload-forgets-frozen" by "what we froze is undone" or "what was frozen is thawed",
    /// A reload that moves a resource to another table thaws what is frozen.
    MoveThaws = "move-thaws" by "what is frozen stays so without quorum" or "decided from the present",
    /// A reload forgets what is in flight.
    ReloadForgetsWork = "reload-forgets-work" by "nothing is asked for twice",
    /// Options that change while they are read are not read again.
    OptionsWhileRead = "options-while-read" by "DRBD's options are read in time",
    /// A `drbdsetup show` that failed counts as one that has said that there are no options.
    ShowFailureForgets = "show-failure-forgets" by "a start is not late",
    /// What is still `freezing` is not thawed.
    FreezingNotThawed = "freezing-not-thawed" by "what was frozen is thawed" or "what is frozen is thawed with its stop",
    /// Failures that are remembered from the future never expire.
    FutureFailures = "future-failures" by "failures expire",
    /// StartUnit is sent twice.
    StartTwice = "start-twice" by "nothing is asked for twice",
    /// `freeze-timeout` never fires.
    FreezeTimeoutIgnored = "freeze-timeout-ignored" by "freeze-timeout ends the wait",
    /// An adjust that failed is run again at once.
    AdjustNoPause = "adjust-no-pause" by "every repeated action backs off",
    /// Nothing is thawed before it is stopped.
    NoThawBeforeStop = "no-thaw-before-stop" by "what is frozen is thawed with its stop",
    /// Services of a node that was made Secondary go on for a while.
    LateSecondary = "late-secondary" by "a forced Secondary is acted upon" or "what is frozen stays so without quorum",
    /// The adjust of `drbd@N.service` is not waited for.
    ServiceNotAwaited = "service-not-awaited" by "no adjust beside another",
    /// A hold that is asked for while the daemon ends is forgotten.
    ExitForgetsHold = "exit-forgets-hold" by "what may be held is held",
    /// Everything is stopped at exit, whatever `stop-services-on-exit` says.
    ExitStopsAll = "exit-stops-all" by "the end stops only what it has to" or "nothing is stopped without a true reason",
    /// What has peers, and neither quorum nor fencing, is started as with drbd-reactor's defaults.
    UnguardedStarted = "unguarded-started" by "what nothing guards is started once at most",
    /// With drbd-reactor's defaults such a resource is managed as if it had quorum, once it has run.
    UnguardedManaged = "unguarded-managed" by "what nothing guards is started once at most" or "what nobody would start again is not stopped",
    /// A resource without any peer is not managed without quorum.
    AloneUnmanaged = "alone-unmanaged" by "a start is not late" or "in peace the service runs",
    /// `[[no-primary]]` does not wait.
    NoPrimaryAtOnce = "no-primary-at-once" by "no-primary says what is so, once",
    /// `[[no-primary]]` says it twice.
    NoPrimaryTwice = "no-primary-twice" by "no-primary says what is so, once",
    /// `[[no-primary]]` says nothing.
    NoPrimaryNever = "no-primary-never" by "no-primary says it in time",
    /// When the kernel's uevents end, so has DRBD's source.
    UeventsMakeStale = "uevents-make-stale" by "another source changes nothing about DRBD",
    /// What the kernel's uevents say ends a burst of DRBD's.
    UeventsEndBurst = "uevents-end-burst" by "nothing is decided within a burst" or "another source changes nothing about DRBD" or "every start has its delay" or "no-primary says what is so, once",
    /// What was frozen and is not configured when the daemon starts is forgotten.
    RestartForgetsFrozen = "restart-forgets-frozen" by "what we froze is undone",
    /// I/O that is suspended does not fail before the stop at exit.
    ExitForcesNothing = "exit-forces-nothing" by "suspended I/O fails before a stop",
    /// I/O that is suspended does not fail before any stop.
    StopForcesNothing = "stop-forces-nothing" by "suspended I/O fails before a stop",
    /// What failed among others that run is started again at once.
    RestartNoPause = "restart-no-pause" by "what failed is started after a pause",
    /// A link that is StandAlone after a split brain is repaired, too.
    RepairDiverged = "repair-diverged" by "no link is connected after a split brain",
    /// DRBD's word of a split brain is not heard.
    SplitBrainUnheard = "split-brain-unheard" by "no link is connected after a split brain",
    /// The kernel's log is not read.
    KernelLogDeaf = "kernel-log-deaf" by "a split brain is known until it is over" or "no link is connected after a split brain",
    /// What `drbd@N.service` has taken down is not adjusted once more.
    NotAdjustedAgain = "not-adjusted-again" by "what was taken down is brought up again",
    /// `stop-services-on-exit` is not looked at.
    ExitStopsNothing = "exit-stops-nothing" by "nothing runs on that was to be stopped at exit",
    /// A drain is forgotten when the daemon restarts.
    DrainForgotten = "drain-forgotten" by "a drain outlives the daemon",
    /// A drained node starts what it is asked to start once nothing runs any more.
    DrainStarts = "drain-starts" by "an unwanted resource is not started" or "an unwanted resource is stopped in time",
    /// What is left to another node never comes back.
    YieldNeverEnds = "yield-never-ends" by "what is left to another node comes back",
    /// What is left to one node is taken back when whichever is Primary.
    YieldEndsEarly = "yield-ends-early" by "what is left to a node waits for it",
    /// What an operator stops is not started again, but runs on.
    StopOnlyHolds = "stop-only-holds" by "an unwanted resource is stopped in time",
    /// What an operator stops is stopped once, whatever comes of it.
    OperatorStopsOnce = "operator-stops-once" by "an unwanted resource is stopped in time" or "a lost quorum is acted upon",
    /// The history does not go on from what the daemon before has written.
    HistoryBeginsAnew = "history-begins-anew" by "a restart of the daemon is no downtime" or "each promotion is in the history once",
    /// What is found Primary when the daemon starts counts as promoted.
    HistoryPromotesFound = "history-promotes-found" by "each promotion is in the history once",
    /// A service that died and waits until systemd starts it again is no downtime.
    HistoryForgetsDead = "history-forgets-dead" by "the history knows where it runs",
    /// What was due once stays due.
    DeadlineStays = "deadline-stays" by "nobody is woken again and again for nothing",
    /// What runs on a Secondary is started beside the services.
    StandbyBesidePrimary = "standby-beside-primary" by "nothing of a Secondary is started where the services run",
    /// What runs on a Secondary is never started.
    StandbyForgotten = "standby-forgotten" by "what runs on a Secondary runs there",
    /// A promotion is asked for when what runs on a Secondary has stopped, which systemd would see to.
    StandbyAwaited = "standby-awaited" by "a start is not late" or "a lost quorum is acted upon",
    /// The failure of an entry that is optional, or not monitored, is one of the resource.
    OptionalCounts = "optional-counts" by "only failures count" or "nothing is stopped without a true reason" or "what runs is not started",
    /// `restart` of an entry has no limit.
    RestartUnlimited = "restart-unlimited" by "an entry is started again so often and no more",
    /// Storage events don't reach the daemon.
    StorageDeaf = "storage-deaf" by "what stands wrong is open",
    /// What was open is forgotten when the daemon restarts.
    StorageForgotten = "storage-forgotten" by "what stands wrong is open",
    /// That something is right again is not heard.
    StorageNeverRight = "storage-never-right" by "what is right again is not open",
    /// After a boot everything stands as it did before it.
    StorageBootForgotten = "storage-boot-forgotten" by "what is right again is not open",
    /// How far the log was read is saved before anybody has taken what was read.
    StoragePositionEarly = "storage-position-early" by "what stands wrong is open" or "what is right again is not open",
    /// How far the log was read is not saved.
    StorageReadAgain = "storage-read-again" by "an incident is told once",
    /// When the source of storage events ends, so has DRBD's.
    StorageMakesStale = "storage-makes-stale" by "another source changes nothing about DRBD",
    /// What people were told is forgotten when the daemon restarts.
    NotifyToldForgotten = "notify-told-forgotten" by "a change is told once" or "what is right again was told",
    /// That nothing stands any more is not kept.
    NotifyToldForEver = "notify-told-for-ever" by "a change is told once" or "what stands wrong was told",
    /// What waits for a receiver is gone with the daemon.
    NotifyQueueForgotten = "notify-queue-forgotten" by "a change is told once" or "what stands wrong was told" or "what is right again was told" or "in peace people know how it is",
    /// An attempt that failed is the last one.
    NotifyOutageLoses = "notify-outage-loses" by "a change is told once" or "what stands wrong was told" or "what is right again was told" or "in peace people know how it is",
}

impl Bug {
    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(word, _)| *word == name).map(|(_, bug)| *bug)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, bug)| *bug == self).map_or("", |(word, _)| word)
    }

    /// Whether it sits between the core and the promoter.
    fn is_in_promoter(self) -> bool {
        matches!(
            self,
            Self::SharedLastStart
                | Self::StaleDelay
                | Self::ForgottenThaw
                | Self::ActOnReplay
                | Self::StopOnSourceDeath
                | Self::StopOnRestart
                | Self::RetryWithoutDelay
                | Self::CountsFromBefore
                | Self::StartNotPreempted
                | Self::FreezePromoteUnit
                | Self::StopOnLostPeer
                | Self::LostDataIgnored
                | Self::MendedStays
                | Self::HangNotShown
                | Self::NowhereNotShown
                | Self::OutsideNotShown
                | Self::RefusedAtOnce
                | Self::AdjustAttaches
                | Self::NoPause
                | Self::BuiltAnewEmpty
                | Self::MachinePanics
                | Self::OneWaitForAll
                | Self::DetachOneVolume
                | Self::StopTimeoutIsDone
                | Self::StopFailureIsDone
                | Self::ReloadForgetsLeaving
                | Self::ReloadForgetsFrozen
                | Self::ReloadForgetsWork
                | Self::MoveThaws
                | Self::OptionsWhileRead
                | Self::ShowFailureForgets
                | Self::FreezingNotThawed
                | Self::FutureFailures
                | Self::StartTwice
                | Self::AdjustNoPause
                | Self::NoThawBeforeStop
                | Self::LateSecondary
                | Self::DrainStarts
                | Self::StopOnlyHolds
                | Self::OperatorStopsOnce
                | Self::ExitForcesNothing
                | Self::StopForcesNothing
                | Self::RestartNoPause
                | Self::RepairDiverged
                | Self::NotAdjustedAgain
                | Self::DeadlineStays
                | Self::StandbyBesidePrimary
                | Self::StandbyForgotten
                | Self::StandbyAwaited
        )
    }
}

/// What one life of a daemon is told in place of the truth. Without a bug: the truth.
pub(super) struct Lies {
    bug: Option<Bug>,
    units: BTreeMap<UnitName, UnitState>,
    /// News of the bus that are held back until each of these units was told.
    held_back: Option<(Input, BTreeSet<UnitName>)>,
    followed: BTreeSet<UnitName>,
    /// How units were that had failed when they were followed last.
    last_words: BTreeMap<UnitName, UnitState>,
    dumping: bool,
    dones: u64,
    /// The settings of the world, which a bug may not honour.
    settings: Arc<Settings>,
    /// One of the promoter's machines panics now and then.
    stumbles: bool,
    /// The node of the core.
    node: &'static str,
    /// r1 has run here.
    ran: bool,
}

impl Lies {
    pub(super) fn new(bug: Option<Bug>, settings: Arc<Settings>, stumbles: bool, node: &'static str) -> Self {
        Self {
            bug,
            units: BTreeMap::new(),
            held_back: None,
            followed: BTreeSet::new(),
            last_words: BTreeMap::new(),
            dumping: false,
            dones: 0,
            settings,
            stumbles,
            node,
            ran: false,
        }
    }

    /// Configures a core as the daemon with this bug would.
    pub(super) fn configure(&mut self, core: &mut Core, now: Mono, settings: &Settings, out: &mut Vec<Action>) {
        let wrong;
        let settings = match self.bug {
            Some(
                bug @ (Bug::FencingDelaySkipped
                | Bug::PreferredIgnored
                | Bug::BlockIgnored
                | Bug::DetachIgnored
                | Bug::FreezeTimeoutIgnored
                | Bug::ExitStopsAll
                | Bug::ExitStopsNothing
                | Bug::UnguardedStarted
                | Bug::OptionalCounts
                | Bug::RestartUnlimited
                | Bug::NoPrimaryAtOnce
                | Bug::NoPrimaryTwice
                | Bug::NoPrimaryNever),
            ) => {
                wrong = altered(settings, bug);
                &wrong
            }
            _ => settings,
        };
        let bug = self.bug.filter(|bug| bug.is_in_promoter()).or(self.stumbles.then_some(Bug::Nothing));
        if let Some(bug) = bug.filter(|_| core.instances().is_empty()) {
            for entry in settings.plugins_on(self.node).iter() {
                if let PluginSettings::Promoter(promoter) = &entry.settings {
                    core.insert(now, entry, Box::new(Wrong::new(bug, promoter.clone(), self.stumbles)), out);
                }
            }
        }
        core.configure(now, settings, out);
        let before = std::mem::replace(&mut self.followed, core.units().into_iter().collect());
        let (units, followed) = (core.node().units(), &self.followed);
        let failed = |unit: &UnitState| unit.active == ActiveState::Failed;
        let left = before.into_iter().filter(|unit| !followed.contains(unit));
        let words =
            left.filter_map(|unit| Some((units.get(unit.as_str()).filter(|state| failed(state))?.clone(), unit)));
        self.last_words.extend(words.map(|(state, unit)| (unit, state)));
        core.forget_units(|unit| self.followed.contains(unit));
    }

    /// What is told in place of an input.
    pub(super) fn tell(&mut self, input: &Input) -> Vec<Input> {
        let Some(bug) = self.bug else { return vec![input.clone()] };
        match (bug, input) {
            (Bug::ActMidBurst, Input::Lines(SourceId::Drbd, text)) if !text.contains("exists ") => {
                let one = |line: &str| [Input::Lines(SourceId::Drbd, line.to_owned()), Input::BurstEnd(SourceId::Drbd)];
                text.split_inclusive('\n').flat_map(one).collect()
            }
            (_, Input::Source(SourceId::Drbd, SourceEvent::Started { .. })) => {
                self.dumping = true;
                vec![input.clone()]
            }
            (_, Input::Lines(SourceId::Drbd, text)) => {
                let told = text.split_inclusive('\n').map(|line| self.line(bug, line)).collect();
                self.dumping &= !text.contains("exists -");
                vec![Input::Lines(SourceId::Drbd, told)]
            }
            (Bug::HoldForgotten, Input::Remembered(memories)) => {
                let forget = |memory: &Memory| Memory { hold: None, ..memory.clone() };
                vec![Input::Remembered(memories.iter().map(|(name, memory)| (name.clone(), forget(memory))).collect())]
            }
            (Bug::DrainForgotten, Input::Drained(_)) => vec![Input::Drained(None)],
            (Bug::YieldNeverEnds | Bug::YieldEndsEarly, Input::Operator(request)) => {
                vec![Input::Operator(misheard(bug, request))]
            }
            (Bug::RestartForgetsFrozen, Input::Remembered(memories)) => {
                let forget = |memory: &Memory| Memory { frozen_units: BTreeSet::new(), ..memory.clone() };
                vec![Input::Remembered(memories.iter().map(|(name, memory)| (name.clone(), forget(memory))).collect())]
            }
            (Bug::LateUnitStopsAll, Input::Bus(BusEvent::Up)) => {
                self.held_back = Some((input.clone(), self.followed.clone()));
                Vec::new()
            }
            (Bug::LateUnitStopsAll, Input::Units(news)) => {
                let waits = |(up, mut units): (Input, BTreeSet<UnitName>)| {
                    units.retain(|unit| news.iter().all(|told| told.unit != *unit));
                    (up, units)
                };
                self.held_back = self.held_back.take().map(waits);
                let up = self.held_back.take_if(|(_, units)| units.is_empty());
                [input.clone()].into_iter().chain(up.map(|(up, _)| up)).collect()
            }
            (Bug::RefusalAsRace, Input::Done(Done { id, outcome: Outcome::Examined(_) })) => {
                vec![Input::Done(Done { id: *id, outcome: Outcome::Examined(Vec::new()) })]
            }
            (Bug::UnguardedManaged, Input::Units(news)) => {
                let runs = |news: &UnitNews| {
                    news.unit.as_str() == "drbd-services@r1.target" && news.state.active == ActiveState::Active
                };
                self.ran |= news.iter().any(runs);
                vec![input.clone()]
            }
            (
                Bug::UnguardedManaged | Bug::AloneUnmanaged,
                Input::Done(Done { id, outcome: Outcome::Drbd(DrbdAnswer::Options(options)) }),
            ) => {
                let options = Box::new(self.other_options(bug, options));
                vec![Input::Done(Done { id: *id, outcome: Outcome::Drbd(DrbdAnswer::Options(options)) })]
            }
            (Bug::OldFailure, Input::Units(news)) => {
                let runs = news.iter().filter(|news| news.state.active == ActiveState::Active);
                let told = runs.map(|news| news.unit.clone());
                let old = told.filter_map(|unit| Some(UnitNews { state: self.last_words.remove(&unit)?, unit }));
                let old: Vec<_> = old.collect();
                let old = (!old.is_empty()).then_some(Input::Units(old));
                old.into_iter().chain([input.clone()]).collect()
            }
            (Bug::ServiceNotAwaited, Input::Units(news)) => {
                let idle = |news: &UnitNews| {
                    let is_it = news.unit.as_str().starts_with("drbd@");
                    let state = UnitState { active: ActiveState::Inactive, job: false, ..news.state.clone() };
                    UnitNews { unit: news.unit.clone(), state: if is_it { state } else { news.state.clone() } }
                };
                vec![Input::Units(news.iter().map(idle).collect())]
            }
            (Bug::UeventsMakeStale, Input::Source(SourceId::Uevents, ended @ SourceEvent::Ended { .. }))
            | (Bug::StorageMakesStale, Input::Source(SourceId::Storage, ended @ SourceEvent::Ended { .. })) => {
                vec![input.clone(), Input::Source(SourceId::Drbd, ended.clone())]
            }
            (Bug::StorageNeverRight, Input::Records(SourceId::Storage, records)) => {
                let is_bad = |record: &&Record| match &record.fact {
                    Fact::Storage(told) => told.event.severity > Severity::Notice,
                    _ => true,
                };
                vec![Input::Records(SourceId::Storage, records.iter().filter(is_bad).cloned().collect())]
            }
            (Bug::UeventsEndBurst, Input::Records(..)) => vec![input.clone(), Input::BurstEnd(SourceId::Drbd)],
            (Bug::BusLossIgnored, Input::Bus(BusEvent::Down { .. }))
            | (Bug::StorageDeaf, Input::Records(SourceId::Storage, _))
            | (Bug::StorageForgotten, Input::Incidents(..))
            | (Bug::NotifyToldForgotten, Input::Standing(_)) => Vec::new(),
            (Bug::CountLostRace, Input::Units(news)) => {
                self.units.extend(news.iter().map(|news| (news.unit.clone(), news.state.clone())));
                vec![input.clone()]
            }
            (Bug::CountLostRace, Input::Done(done)) => match &done.outcome {
                Outcome::Unit(UnitEnd::Job(result)) if result == "dependency" => self.as_failure(input),
                _ => vec![input.clone()],
            },
            _ => vec![input.clone()],
        }
    }

    /// What DRBD's options are taken for.
    fn other_options(&self, bug: Bug, options: &DrbdOptions) -> DrbdOptions {
        let mut options = options.clone();
        let is_off = options.quorum.as_deref() == Some("off");
        let open = |one: &ConnectionOptions| one.fencing.as_deref() == Some("dont-care");
        let started_once = self.settings.plugins.iter().any(|entry| match &entry.settings {
            PluginSettings::Promoter(promoter) => promoter.resources.values().any(|one| one.unguarded_start),
            _ => false,
        });
        if bug == Bug::AloneUnmanaged && is_off && options.connections.is_empty() {
            let fencing = Some("dont-care".to_owned());
            options.connections.push(ConnectionOptions { fencing, ..ConnectionOptions::default() });
        } else if bug == Bug::UnguardedManaged
            && self.ran
            && started_once
            && is_off
            && options.connections.iter().any(open)
        {
            options.quorum = Some("majority".to_owned());
        }
        options
    }

    /// A lost race, told as if the promotion had been won and a service had failed.
    fn as_failure(&self, input: &Input) -> Vec<Input> {
        let lost = |unit: &&UnitName| {
            unit.as_str().starts_with("drbd-promote@") && self.units[*unit].result.as_deref() == Some("exec-condition")
        };
        let Some(unit) = self.units.keys().find(lost) else { return vec![input.clone()] };
        let news = |state: UnitState| Input::Units(vec![UnitNews { unit: unit.clone(), state }]);
        let truth = self.units[unit].clone();
        let lie = UnitState { active: ActiveState::Active, job: true, ..truth.clone() };
        vec![news(lie), input.clone(), news(truth)]
    }

    fn line(&self, bug: Bug, line: &str) -> String {
        let has = |word: &str| line.contains(word);
        match bug {
            Bug::IgnoreQuorum => line.replace(" quorum:no", " quorum:yes"),
            Bug::LostWhileDownIgnored if self.dumping => line.replace(" quorum:no", " quorum:yes"),
            Bug::IgnoreMayPromote | Bug::PeerPrimaryIgnored if has(" resource ") && has("role:Secondary") => {
                line.replace(" may_promote:no", " may_promote:yes")
            }
            Bug::FirstVolumeDecides if has(" volume:1 ") => line
                .replace(" quorum:no", " quorum:yes")
                .replace(" replication:SyncSource", " replication:Established")
                .replace(" peer-disk:Inconsistent", " peer-disk:UpToDate"),
            Bug::FailbackOntoSyncing if has(" peer-device ") => line
                .replace(" replication:SyncSource", " replication:Established")
                .replace(" replication:WFBitMapS", " replication:Established")
                .replace(" peer-disk:Inconsistent", " peer-disk:UpToDate"),
            Bug::DetachFirstVolume if has(" device ") && has(" open:yes") && !has(" volume:0 ") => {
                line.replace(" disk:Diskless", " disk:UpToDate")
            }
            Bug::SplitBrainUnheard => line
                .replace("helper:initial-split-brain", "helper:disconnected")
                .replace("helper:split-brain", "helper:disconnected"),
            Bug::PeerPrimaryIgnored if has(" connection ") => line.replace(" role:Primary", " role:Secondary"),
            _ => line.to_owned(),
        }
    }

    /// Whether this outcome gets lost.
    pub(super) fn loses_done(&mut self, _id: &ActionId, outcome: &Outcome) -> bool {
        if self.bug != Some(Bug::DoneLost) || !matches!(outcome, Outcome::Unit(_)) {
            return false;
        }
        self.dones += 1;
        self.dones.is_multiple_of(7)
    }

    /// A fresh core with the same bug.
    pub(super) fn again(&self) -> Self {
        Self::new(self.bug, Arc::clone(&self.settings), self.stumbles, self.node)
    }
}

/// What an operator asks, as a program hears it that does not look at all of it.
fn misheard(bug: Bug, request: &OperatorRequest) -> OperatorRequest {
    let verb = match &request.verb {
        OperatorVerb::Yield { why, .. } if bug == Bug::YieldNeverEnds => OperatorVerb::Stop { why: why.clone() },
        OperatorVerb::Yield { why, limit, .. } => {
            OperatorVerb::Yield { why: why.clone(), to: None, limit: *limit, restarts: false }
        }
        verb => verb.clone(),
    };
    OperatorRequest { verb, ..request.clone() }
}

/// Settings as a program reads them that does not honour something.
fn altered(settings: &Settings, bug: Bug) -> Settings {
    let mut settings = settings.clone();
    if bug == Bug::NoPrimaryTwice {
        let is_it = |entry: &&PluginEntry| matches!(entry.settings, PluginSettings::NoPrimary(_));
        let again: Vec<_> = settings.plugins.iter().filter(is_it).cloned().collect();
        settings.plugins.extend(again);
        return settings;
    }
    for entry in &mut settings.plugins {
        if let PluginSettings::NoPrimary(watched) = &mut entry.settings {
            match bug {
                Bug::NoPrimaryAtOnce => watched.after = Duration::from_secs(1),
                Bug::NoPrimaryNever => watched.after = Duration::from_secs(1_000_000),
                _ => {}
            }
        }
        if matches!(bug, Bug::NoPrimaryAtOnce | Bug::NoPrimaryNever) {
            continue;
        }
        let PluginSettings::Promoter(promoter) = &mut entry.settings else { continue };
        for resource in promoter.resources.values_mut() {
            match bug {
                Bug::FencingDelaySkipped => resource.fencing_promote_delay_s = 0,
                Bug::PreferredIgnored => resource.preferred_nodes.clear(),
                Bug::DetachIgnored => resource.on_disk_detach = OnDiskDetach::Ignore,
                Bug::FreezeTimeoutIgnored => resource.freeze_timeout = None,
                Bug::ExitStopsAll => resource.stop_services_on_exit = true,
                Bug::ExitStopsNothing => resource.stop_services_on_exit = false,
                Bug::UnguardedStarted => resource.unguarded_start = true,
                Bug::OptionalCounts => {
                    for entry in &mut resource.start {
                        (entry.how.optional, entry.how.monitor) = (false, true);
                    }
                }
                Bug::RestartUnlimited => {
                    for entry in resource.start.iter_mut().filter(|entry| entry.how.restart > 0) {
                        entry.how.restart = u32::MAX;
                    }
                }
                _ => resource.max_failures = 0,
            }
        }
    }
    settings
}
