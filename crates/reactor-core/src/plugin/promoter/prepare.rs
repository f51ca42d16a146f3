//! DRBD's part of what has to be done before anything is started: lower devices and `drbdadm adjust`. Each resource for itself, so that one
//! whose disk is missing delays no other.
//!
//! ```text
//!  Devices ── they are looked at ──▶ Looking ── all there, or sh-ll-dev failed ──▶ Adjust ── drbdadm adjust ──▶ Adjusting ── done ──▶ Done
//!  Looking ── one is missing, or adjust failed before: a pause ──▶ Devices
//!  Looking ── an adjust has worked meanwhile ──▶ Done
//!  Adjusting ── a tool failed: a pause ──▶ Devices
//!  Done ── somebody took it down, or the link keeper's adjust failed ──▶ Devices ── the link keeper's adjust failed ──▶ Devices
//!  Adjust ── the link keeper's adjust failed ──▶ Devices
//! ```
//!
//! Without adjust-resource-on-start it is Done from the beginning. Nothing of it waits for the unit files or they for it: systemd may take long to
//! read its units again, and DRBD's tools need no systemd.
//!
//! A tool that failed keeps nobody from starting what DRBD has: the mistake may be in the file of another resource. What it said is
//! shown until it works, and it is tried again.

use std::time::Duration;

use crate::action::{DrbdAnswer, LowerDevice};
use crate::ids::{ActionId, Mono, ResourceName, UnitName};
use crate::systemd::Units;

use super::course::{Course, Transitions};
use super::drbd_service::{Busy, DrbdService};
use super::obstacle::ObstacleKind;
use super::repeat::back_off;
use super::timers::Timer;
use super::units;

/// How often to look for a missing lower device; doubles after [`LOOKS`].
const LOOK: Duration = Duration::from_secs(2);
/// So often it is looked for with the shortest pause: at a boot disks come one after the other.
const LOOKS: u32 = 30;
/// The longest pause then. Each look is a drbdadm that reads all files.
const LOOK_MAX: Duration = Duration::from_secs(30);
/// First wait after one of DRBD's tools failed; doubles.
const TOOLS_BASE: Duration = Duration::from_secs(5);
/// The same at most, if DRBD does not have the resource: nothing but the tools brings it back.
const TOOLS_MAX_DOWN: Duration = Duration::from_secs(60);
/// The same at most, if DRBD has it.
const TOOLS_MAX_UP: Duration = Duration::from_secs(300);
/// How long an adjust is waited for before a resource that DRBD has: it usually ends within two seconds, and one that hangs is killed
/// only after two minutes.
const PATIENCE: Duration = Duration::from_secs(20);

/// An adjust that takes longer than that is not waited for with DRBD's options: too much depends on them.
const USUAL: Duration = Duration::from_secs(3);

/// Where DRBD's part is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// The lower devices are to be looked at, not before then.
    Devices(Mono),
    /// They are being looked at.
    Looking(ActionId),
    /// `drbdadm adjust` is due, not before then.
    Adjust(Mono),
    /// It runs.
    Adjusting {
        /// The action.
        id: ActionId,
        /// Since when.
        since: Mono,
    },
    /// Nothing is to be done.
    Done,
}

impl Transitions for Phase {
    fn may_become(&self, next: &Self) -> bool {
        use Phase::{Adjust, Adjusting, Devices, Done, Looking};
        matches!(
            (self, next),
            (Devices(_), Looking(_) | Devices(_))
                | (Looking(_), Adjust(_) | Devices(_) | Done)
                | (Adjust(_), Adjusting { .. } | Devices(_))
                | (Adjusting { .. }, Done | Devices(_))
                | (Done, Devices(_))
        )
    }
}

/// What is done with DRBD's tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The lower devices are looked at.
    LowerDevices,
    /// `drbdadm adjust`.
    Adjust,
}

/// A tool that failed, and has not worked since.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Broken {
    /// What it said; `None` = it worked the last time.
    why: Option<String>,
    /// How often in a row.
    times: u32,
}

impl Broken {
    /// Takes an answer in. `true` = it is news.
    fn take(&mut self, answer: &DrbdAnswer) -> bool {
        match answer {
            DrbdAnswer::Failed { why } => {
                self.times += 1;
                self.why.replace(why.clone()).as_ref() != Some(why)
            }
            DrbdAnswer::Done | DrbdAnswer::LowerDevices(_) | DrbdAnswer::Options(_) => {
                self.times = 0;
                self.why.take().is_some()
            }
        }
    }
}

/// `drbd@NAME.target`, which every start needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// It is to be brought up before the first start.
    Due,
    /// It was asked for; by what, if that was not a start.
    Asked(Option<ActionId>),
}

/// See the module's head.
#[derive(Clone, Debug)]
pub(super) struct Prepare {
    course: Course<Phase>,
    target: Target,
    /// drbd-utils' own service for it.
    service: DrbdService,
    /// Lower devices that are waited for, for people.
    missing_devices: Option<String>,
    /// How often in a row one was missing.
    looks: u32,
    lower: Broken,
    adjust: Broken,
    /// When the first adjust ended, well or not; at once if there is none.
    tried: Option<Mono>,
    /// Since when somebody else's adjust is waited for.
    elsewhere: Option<Mono>,
    /// How often it was taken down by somebody else's adjust.
    downs: u32,
    /// An adjust has worked since one was asked for.
    adjusted: bool,
    /// Whether a lower device is `none`: diskless on purpose.
    has_diskless_lower: bool,
}

/// What an answer of DRBD's tools means for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct News {
    /// A short sentence.
    pub(super) text: String,
    /// Whether it is bad news.
    pub(super) bad: bool,
}

impl Prepare {
    /// From the beginning.
    pub(super) fn new(resource: &ResourceName, adjust: bool) -> Self {
        Self {
            course: Course::begin(if adjust { Phase::Devices(Mono::ZERO) } else { Phase::Done }),
            target: Target::Due,
            service: DrbdService::new(units::configuration_unit(resource)),
            missing_devices: None,
            looks: 0,
            lower: Broken::default(),
            adjust: Broken::default(),
            tried: (!adjust).then_some(Mono::ZERO),
            elsewhere: None,
            downs: 0,
            adjusted: !adjust,
            has_diskless_lower: false,
        }
    }

    /// What keeps a start from being asked for, as a sentence; `None` = nothing. `is_up` = DRBD has the resource.
    pub(super) fn missing(&self, now: Mono, is_up: bool) -> Option<(ObstacleKind, String)> {
        if is_up && (self.tried.is_some() || self.is_patience_over(now)) {
            return None;
        }
        self.missing_of_drbd()
    }

    /// What DRBD's part still lacks, whatever DRBD has.
    fn missing_of_drbd(&self) -> Option<(ObstacleKind, String)> {
        if let Some(text) = self.said().into_iter().last() {
            return Some((ObstacleKind::DrbdadmFailed, text));
        }
        match self.course.phase() {
            Phase::Devices(_) | Phase::Looking(_) => {
                let what = "its lower devices are not there yet";
                let why = self.missing_devices.clone().unwrap_or_else(|| what.to_owned());
                Some((ObstacleKind::LowerDevices, why))
            }
            Phase::Adjust(_) if self.elsewhere.is_some() => {
                let why = "drbd-utils' own service adjusts it, and its end is waited for";
                Some((ObstacleKind::Adjusting, why.to_owned()))
            }
            Phase::Adjust(_) | Phase::Adjusting { .. } => {
                Some((ObstacleKind::Adjusting, "drbdadm adjust has not ended yet".to_owned()))
            }
            Phase::Done => None,
        }
    }

    /// What DRBD's tools said when they failed, one sentence each, until they work.
    pub(super) fn said(&self) -> Vec<String> {
        let said = |tool: &str, broken: &Broken| broken.why.as_ref().map(|why| format!("drbdadm {tool} failed: {why}"));
        [said("sh-ll-dev", &self.lower), said("adjust", &self.adjust)].into_iter().flatten().collect()
    }

    /// What a person should look at.
    pub(super) fn warnings(&self, now: Mono) -> Vec<String> {
        let hangs = self
            .is_patience_over(now)
            .then(|| format!("drbdadm adjust has not ended for more than {} s: it may hang", PATIENCE.as_secs()));
        let tools = self.said().into_iter().map(|text| format!("{text}; it is tried again"));
        tools.chain(hangs).collect()
    }

    /// Until when links and disks say nothing about faults: an adjust is what brings them up.
    pub(super) fn quiet_until(&self) -> Option<Mono> {
        self.adjusting_since().map(|since| since.after(PATIENCE))
    }

    /// Since when an adjust runs, ours or that of somebody else who is waited for.
    fn adjusting_since(&self) -> Option<Mono> {
        match self.course.phase() {
            Phase::Adjusting { since, .. } => Some(*since),
            Phase::Adjust(_) => self.elsewhere,
            Phase::Devices(_) | Phase::Looking(_) | Phase::Done => None,
        }
    }

    /// What is to be done next, and not before when; `None` while something runs, and when all is done.
    pub(super) fn due(&self) -> Option<(Mono, Step)> {
        match self.course.phase() {
            Phase::Devices(at) => Some((*at, Step::LowerDevices)),
            Phase::Adjust(at) => Some((*at, Step::Adjust)),
            Phase::Looking(_) | Phase::Adjusting { .. } | Phase::Done => None,
        }
    }

    /// Whether `drbdadm adjust` is what is due next, after one that was not enough.
    pub(super) fn adjust_is_due(&self) -> bool {
        self.tried.is_some() && matches!(self.course.phase(), Phase::Adjust(_))
    }

    /// This was asked for.
    pub(super) fn asked(&mut self, now: Mono, step: Step, id: ActionId) {
        self.course.enter(match step {
            Step::LowerDevices => Phase::Looking(id),
            Step::Adjust => Phase::Adjusting { id, since: now },
        });
    }

    /// What this is the outcome of, if it is waited for.
    pub(super) fn is_asked(&self, id: ActionId) -> Option<Step> {
        match self.course.phase() {
            Phase::Looking(asked) => (*asked == id).then_some(Step::LowerDevices),
            Phase::Adjusting { id: asked, .. } => (*asked == id).then_some(Step::Adjust),
            Phase::Devices(_) | Phase::Adjust(_) | Phase::Done => None,
        }
    }

    /// Whether `drbd@NAME.target` has not been asked for.
    pub(super) fn is_target_due(&self) -> bool {
        self.target == Target::Due
    }

    /// `drbd@NAME.target` was asked for; by this, if it was not a start.
    pub(super) fn target_asked(&mut self, by: Option<ActionId>) {
        self.target = Target::Asked(by);
    }

    /// Whether this was the start of `drbd@NAME.target`, which has ended. Only time would have been won by it: a start asks for it again, and says
    /// how that went.
    pub(super) fn target_ended(&mut self, id: ActionId) -> bool {
        let is_it = self.target == Target::Asked(Some(id));
        if is_it {
            self.target = Target::Asked(None);
        }
        is_it
    }

    /// The unit of drbd-utils' own service.
    pub(super) fn service_unit(&self) -> &UnitName {
        &self.service.unit
    }

    /// Looks at drbd-utils' own service.
    pub(super) fn observe_service(&mut self, now: Mono, made_at: Mono, units: &Units) -> Busy {
        self.service.observe(now, made_at, units)
    }

    /// DRBD has no such resource. `true`, once, if it had been brought up here and drbd-utils' own service took it down: it is brought up again.
    pub(super) fn was_taken_down(&mut self, now: Mono) -> bool {
        if *self.course.phase() != Phase::Done || !self.service.took_it_down(now) {
            return false;
        }
        let at = if self.downs == 0 { now } else { now.after(back_off(TOOLS_BASE, self.downs, TOOLS_MAX_DOWN)) };
        self.downs = self.downs.saturating_add(1);
        self.adjusted = false;
        self.course.enter(Phase::Devices(at));
        true
    }

    /// Until when an adjust that is due waits for drbd-utils' own service.
    pub(super) fn waits_for_the_service(&mut self, now: Mono, busy: Busy) -> Option<Mono> {
        self.elsewhere = None;
        match busy {
            Busy::Unknown(until) if self.is_adjust_due(now) => Some(until),
            Busy::Adjusting(since, until) if self.is_adjust_due(now) => {
                self.elsewhere = Some(since);
                Some(until)
            }
            Busy::No | Busy::Unknown(_) | Busy::Adjusting(..) => None,
        }
    }

    fn is_adjust_due(&self, now: Mono) -> bool {
        matches!(self.course.phase(), Phase::Adjust(at) if *at <= now)
    }

    /// Whether a lower device is `none`: diskless on purpose.
    pub(super) fn has_diskless_lower(&self) -> bool {
        self.has_diskless_lower
    }

    /// When the first adjust ended.
    pub(super) fn tried(&self) -> Option<Mono> {
        self.tried
    }

    /// Whether the first adjust ends soon: not if it waits for a disk, and not if it hangs.
    pub(super) fn awaits_adjust(&self, now: Mono) -> bool {
        let is_late = self.adjusting_since().is_some_and(|since| since.after(USUAL) <= now);
        self.tried.is_none() && self.missing_devices.is_none() && !is_late
    }

    /// When the first adjust is later than usual.
    pub(super) fn usual_end(&self) -> Option<Mono> {
        self.adjusting_since().filter(|_| self.tried.is_none()).map(|since| since.after(USUAL))
    }

    /// The same for a machine that is built anew: what is under way is waited for as long as before, and not done twice at a time. What was never
    /// asked for, and what ended in the call that panicked, is due.
    pub(super) fn after_a_panic(mut self, is_sent: impl Fn(ActionId) -> bool) -> Self {
        self.elsewhere = None;
        if self.target != Target::Due {
            self.target = Target::Asked(None);
        }
        if matches!(self.course.phase(), Phase::Looking(id) | Phase::Adjusting { id, .. } if !is_sent(*id)) {
            self.course = Course::begin(Phase::Devices(Mono::ZERO));
        }
        self
    }

    /// Whether nothing of it keeps the link keeper from an adjust of its own.
    pub(super) fn is_idle(&self) -> bool {
        self.tried.is_some() && !matches!(self.course.phase(), Phase::Adjusting { .. })
    }

    fn is_patience_over(&self, now: Mono) -> bool {
        self.adjusting_since().is_some_and(|since| since.after(PATIENCE) <= now)
    }

    /// What the next step of DRBD's part waits for.
    pub(super) fn timer(&self) -> Timer {
        if self.said().is_empty() { Timer::LowerDevices } else { Timer::Tools }
    }

    /// No `drbdadm adjust` has ended yet, or the last one failed: DRBD may not know all that it should.
    pub(super) fn adjust_failed(&self) -> bool {
        self.adjust.why.is_some() || self.tried.is_none()
    }

    /// The lower devices were looked at. Gives what a person should know.
    pub(super) fn looked(&mut self, now: Mono, answer: &DrbdAnswer, is_up: bool) -> Option<News> {
        let news = self.lower.take(answer).then(|| Self::news("sh-ll-dev", &self.lower));
        if let DrbdAnswer::LowerDevices(devices) = answer {
            self.has_diskless_lower = devices.iter().any(|device| device.path.is_none());
            let missing: Vec<&str> = devices.iter().filter(|device| !device.ready).map(path).collect();
            if !missing.is_empty() && !self.adjusted {
                let text = format!("waits for {}", missing.join(", "));
                let is_new = self.missing_devices.as_ref() != Some(&text);
                self.missing_devices = Some(text.clone());
                self.looks = if is_new { 1 } else { self.looks.saturating_add(1) };
                let pause = back_off(LOOK, self.looks.saturating_sub(LOOKS - 1), LOOK_MAX);
                self.course.enter(Phase::Devices(now.after(pause)));
                return if is_new { Some(News { text, bad: true }) } else { news };
            }
        }
        (self.missing_devices, self.looks) = (None, 0);
        // As with drbd-reactor an error of sh-ll-dev keeps nobody from trying to adjust: DRBD may be up all the same.
        self.course.enter(if self.adjusted { self.after_all(now, is_up) } else { Phase::Adjust(now) });
        news
    }

    /// `drbdadm adjust` ended. Gives what a person should know.
    pub(super) fn adjusted(&mut self, now: Mono, answer: &DrbdAnswer, is_up: bool) -> Option<News> {
        let news = self.adjust.take(answer).then(|| Self::news("adjust", &self.adjust));
        self.tried.get_or_insert(now);
        self.adjusted = self.adjust.why.is_none();
        if !matches!(self.course.phase(), Phase::Looking(_)) {
            self.course.enter(self.after_all(now, is_up));
        }
        news
    }

    /// What comes after an adjust: nothing, or all that failed once more.
    fn after_all(&self, now: Mono, is_up: bool) -> Phase {
        if self.adjust.why.is_none() && self.lower.why.is_none() {
            return Phase::Done;
        }
        let times = self.adjust.times.max(self.lower.times);
        let longest = if is_up { TOOLS_MAX_UP } else { TOOLS_MAX_DOWN };
        Phase::Devices(now.after(back_off(TOOLS_BASE, times, longest)))
    }

    fn news(tool: &str, broken: &Broken) -> News {
        match &broken.why {
            Some(why) => News { text: format!("drbdadm {tool} failed: {why}"), bad: true },
            None => News { text: format!("drbdadm {tool} works again"), bad: false },
        }
    }
}

fn path(device: &LowerDevice) -> &str {
    device.path.as_deref().unwrap_or("none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drawing_is_what_is_allowed() {
        let (looking, adjusting) = (Phase::Looking(ActionId(1)), Phase::Adjusting { id: ActionId(2), since: Mono(1) });
        let all = [Phase::Devices(Mono(1)), looking, Phase::Adjust(Mono(1)), adjusting, Phase::Done];
        super::super::course::tests::check_drawing(include_str!("prepare.rs"), &all);
    }

    fn second(s: u64) -> Mono {
        Mono::ZERO.after(Duration::from_secs(s))
    }

    fn new() -> Prepare {
        Prepare::new(&ResourceName::new("r0"), true)
    }

    fn devices(path: Option<&str>, ready: bool) -> DrbdAnswer {
        DrbdAnswer::LowerDevices(vec![LowerDevice { path: path.map(str::to_owned), ready }])
    }

    fn looked_at(prepare: &mut Prepare, now: Mono, answer: &DrbdAnswer) -> Option<News> {
        prepare.asked(now, Step::LowerDevices, ActionId(1));
        prepare.looked(now, answer, false)
    }

    /// An adjust is due since 1 s.
    fn adjust_due() -> Prepare {
        let mut prepare = new();
        looked_at(&mut prepare, second(1), &devices(Some("/dev/vg/r0"), true));
        prepare
    }

    fn kept(kind: ObstacleKind, why: &str) -> Option<(ObstacleKind, String)> {
        Some((kind, why.to_owned()))
    }

    #[test]
    fn a_missing_device_is_looked_for_for_a_minute_and_then_more_rarely() {
        let mut prepare = new();
        let mut pauses = Vec::new();
        for _ in 0..36 {
            looked_at(&mut prepare, second(1), &devices(Some("/dev/vg/r0"), false));
            pauses.extend(prepare.due().map(|(at, _)| at.since(second(1)).as_secs()));
        }
        assert_eq!(pauses, [[2; 30].as_slice(), &[4, 8, 16, 30, 30, 30]].concat());
        assert_eq!(prepare.missing(second(1), false), kept(ObstacleKind::LowerDevices, "waits for /dev/vg/r0"));
        // Another one is missing: from the beginning.
        let news = looked_at(&mut prepare, second(1), &devices(Some("/dev/vg/r1"), false));
        assert_eq!(news, Some(News { text: "waits for /dev/vg/r1".to_owned(), bad: true }));
        assert_eq!(prepare.due(), Some((second(3), Step::LowerDevices)));
        looked_at(&mut prepare, second(3), &devices(Some("/dev/vg/r1"), true));
        assert_eq!(prepare.due(), Some((second(3), Step::Adjust)));
    }

    #[test]
    fn a_lower_device_that_is_none_is_diskless_on_purpose() {
        for (path, diskless) in [(Some("/dev/vg/r0"), false), (None, true)] {
            let mut prepare = new();
            looked_at(&mut prepare, second(1), &devices(path, true));
            assert_eq!(prepare.has_diskless_lower(), diskless);
        }
        assert!(!new().has_diskless_lower());
    }

    #[test]
    fn somebody_elses_adjust_is_waited_for_when_ours_is_due_and_said() {
        let busy = Busy::Adjusting(second(1), second(121));
        assert_eq!(new().waits_for_the_service(second(5), busy), None, "the devices are not looked at yet");
        assert_eq!(new().waits_for_the_service(second(5), Busy::Unknown(second(9))), None);
        let mut prepare = adjust_due();
        assert_eq!(
            prepare.missing(second(5), false),
            kept(ObstacleKind::Adjusting, "drbdadm adjust has not ended yet")
        );
        assert_eq!(prepare.waits_for_the_service(second(5), Busy::Unknown(second(9))), Some(second(9)));
        assert_eq!(
            prepare.missing(second(5), false),
            kept(ObstacleKind::Adjusting, "drbdadm adjust has not ended yet")
        );
        assert_eq!(prepare.waits_for_the_service(second(5), busy), Some(second(121)));
        let elsewhere = "drbd-utils' own service adjusts it, and its end is waited for";
        assert_eq!(prepare.missing(second(5), false), kept(ObstacleKind::Adjusting, elsewhere));
        assert_eq!(prepare.quiet_until(), Some(second(21)));
        assert_eq!(prepare.waits_for_the_service(second(5), Busy::No), None);
        assert_eq!(
            prepare.missing(second(5), false),
            kept(ObstacleKind::Adjusting, "drbdadm adjust has not ended yet")
        );
    }

    #[test]
    fn the_target_is_asked_for_once_also_after_a_panic() {
        let mut prepare = new();
        assert!(prepare.is_target_due() && !prepare.target_ended(ActionId(1)));
        assert!(prepare.clone().after_a_panic(|_| true).is_target_due(), "it was not asked for");
        prepare.target_asked(Some(ActionId(1)));
        assert!(!prepare.is_target_due() && !prepare.clone().after_a_panic(|_| true).is_target_due());
        assert_eq!([2, 1, 1].map(|id| prepare.target_ended(ActionId(id))), [false, true, false], "it ends once");
        assert!(!prepare.is_target_due());
    }

    #[test]
    fn a_link_is_left_to_an_adjust_that_has_not_ended() {
        let mut prepare = adjust_due();
        assert!(!prepare.is_idle() && prepare.adjust_failed(), "the first one has not ended");
        prepare.asked(second(1), Step::Adjust, ActionId(2));
        assert!(!prepare.is_idle());
        prepare.adjusted(second(2), &DrbdAnswer::Failed { why: "parse error".to_owned() }, true);
        assert!(prepare.is_idle() && prepare.adjust_failed());
        looked_at(&mut prepare, second(7), &devices(Some("/dev/vg/r0"), true));
        assert!(prepare.is_idle() && prepare.adjust_is_due());
        prepare.asked(second(7), Step::Adjust, ActionId(3));
        assert!(!prepare.is_idle(), "another one runs");
        prepare.adjusted(second(8), &DrbdAnswer::Done, true);
        assert!(prepare.is_idle() && !prepare.adjust_failed() && !prepare.adjust_is_due());
    }

    #[test]
    fn what_is_being_looked_at_in_a_panic_is_waited_for_or_due() {
        let mut prepare = adjust_due();
        prepare.asked(second(1), Step::Adjust, ActionId(2));
        assert_eq!(prepare.clone().after_a_panic(|id| id == ActionId(2)).is_asked(ActionId(2)), Some(Step::Adjust));
        assert_eq!(prepare.after_a_panic(|_| false).due(), Some((Mono::ZERO, Step::LowerDevices)));
    }
}
