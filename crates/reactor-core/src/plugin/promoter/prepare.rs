//! What has to be done before anything is started: unit files, and beside them lower devices and `drbdadm adjust`. Each resource for
//! itself, so that one whose disk is missing delays no other (D3, D40).
//!
//! ```text
//!  files   Due ─▶ Writing ─▶ Written
//!           ▲        │ failed: back-off
//!           └────────┘
//!  DRBD    Devices ─▶ Looking ─┬─ all there, or sh-ll-dev failed ─▶ Adjust ─▶ Adjusting ─▶ Done
//!             ▲                └─ one missing: wait 2 s, later longer             │ failed: back-off
//!             └──────────────────────────────────────────────────────────────────┘
//!  without adjust-resource-on-start: Done from the beginning
//! ```
//!
//! The two tracks wait for nothing of each other: systemd may take long to read its units again, and DRBD's tools need no systemd.
//! A tool that failed keeps nobody from starting what DRBD has: the mistake may be in the file of another resource. What it said is
//! shown until it works, and it is tried again.

use std::time::Duration;

use crate::action::{DrbdAnswer, FilesEnd, LowerDevice};
use crate::ids::{ActionId, Mono};

use super::repeat::back_off;
use super::timers::Timer;

/// How often to look for a missing lower device; doubles after [`LOOKS`].
const LOOK: Duration = Duration::from_secs(2);
/// So often it is looked for with the shortest pause: at a boot disks come one after the other.
const LOOKS: u32 = 30;
/// The longest pause then. Each look is a drbdadm that reads all files.
const LOOK_MAX: Duration = Duration::from_secs(30);
/// First wait after unit files could not be written; doubles.
const FILES_BASE: Duration = Duration::from_secs(2);
/// The same at most.
const FILES_MAX: Duration = Duration::from_secs(60);
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

/// Where the unit files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Files {
    /// They are to be written, not before then.
    Due(Mono),
    /// They are being written.
    Writing(ActionId),
    /// They are there.
    Written,
}

/// Where DRBD's part is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Drbd {
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

/// The preparation of a resource.
#[derive(Clone, Debug)]
pub(super) struct Prepare {
    pub(super) files: Files,
    pub(super) drbd: Drbd,
    files_problem: Option<String>,
    files_failed: u32,
    /// Lower devices that are waited for, for people.
    missing_devices: Option<String>,
    /// How often in a row one was missing.
    looks: u32,
    lower: Broken,
    adjust: Broken,
    /// When the first adjust ended, well or not; at once if there is none.
    tried: Option<Mono>,
    /// Since when somebody else's adjust is waited for.
    pub(super) elsewhere: Option<Mono>,
    /// How often it was taken down by somebody else's adjust.
    downs: u32,
    /// An adjust has worked since one was asked for.
    adjusted: bool,
    /// Whether a lower device is `none`: diskless on purpose.
    pub(super) has_diskless_lower: bool,
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
    pub(super) fn new(adjust: bool) -> Self {
        Self {
            files: Files::Due(Mono::ZERO),
            drbd: if adjust { Drbd::Devices(Mono::ZERO) } else { Drbd::Done },
            files_problem: None,
            files_failed: 0,
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

    /// The settings changed: the unit files have to be written again. DRBD needs no second adjust.
    pub(super) fn files_again(&mut self) {
        self.files = Files::Due(Mono::ZERO);
        self.files_failed = 0;
    }

    /// What keeps a start from being asked for, as a sentence; `None` = nothing. `is_up` = DRBD has the resource.
    pub(super) fn missing(&self, now: Mono, is_up: bool) -> Option<String> {
        if self.files != Files::Written {
            let what = "its unit files are not written yet";
            return Some(self.files_problem.clone().unwrap_or_else(|| what.to_owned()));
        }
        if is_up && (self.tried.is_some() || self.is_patience_over(now)) {
            return None;
        }
        self.missing_of_drbd()
    }

    /// What DRBD's part still lacks, whatever DRBD has.
    fn missing_of_drbd(&self) -> Option<String> {
        if let Some(text) = self.said().into_iter().last() {
            return Some(text);
        }
        match self.drbd {
            Drbd::Devices(_) | Drbd::Looking(_) => {
                let what = "its lower devices are not there yet";
                Some(self.missing_devices.clone().unwrap_or_else(|| what.to_owned()))
            }
            Drbd::Adjust(_) if self.elsewhere.is_some() => {
                Some("drbd-utils' own service adjusts it, and its end is waited for".to_owned())
            }
            Drbd::Adjust(_) | Drbd::Adjusting { .. } => Some("drbdadm adjust has not ended yet".to_owned()),
            Drbd::Done => None,
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
        match self.drbd {
            Drbd::Adjusting { since, .. } => Some(since),
            Drbd::Adjust(_) => self.elsewhere,
            Drbd::Devices(_) | Drbd::Looking(_) | Drbd::Done => None,
        }
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
        if matches!(self.files, Files::Writing(id) if !is_sent(id)) {
            self.files = Files::Due(Mono::ZERO);
        }
        if matches!(self.drbd, Drbd::Looking(id) | Drbd::Adjusting { id, .. } if !is_sent(id)) {
            self.drbd = Drbd::Devices(Mono::ZERO);
        }
        self
    }

    /// Whether nothing of it keeps the link keeper from an adjust of its own.
    pub(super) fn is_idle(&self) -> bool {
        self.files == Files::Written && self.tried.is_some() && !matches!(self.drbd, Drbd::Adjusting { .. })
    }

    /// All was done, and somebody else's adjust that failed has taken it down again.
    pub(super) fn taken_down(&mut self, now: Mono) {
        let at = if self.downs == 0 { now } else { now.after(back_off(TOOLS_BASE, self.downs, TOOLS_MAX_DOWN)) };
        self.downs = self.downs.saturating_add(1);
        (self.drbd, self.adjusted) = (Drbd::Devices(at), false);
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

    /// When the unit files are due.
    pub(super) fn files_due(&self) -> Option<Mono> {
        match self.files {
            Files::Due(at) => Some(at),
            Files::Writing(_) | Files::Written => None,
        }
    }

    /// The files were written, or not. Gives what a person should know.
    pub(super) fn wrote(&mut self, now: Mono, end: &FilesEnd) -> Option<String> {
        match end {
            FilesEnd::Unchanged | FilesEnd::Written => {
                self.files_problem = None;
                self.files_failed = 0;
                self.files = Files::Written;
                None
            }
            FilesEnd::Failed { why } => {
                self.files_failed += 1;
                let text = format!("its unit files can't be written: {why}");
                let news = (self.files_problem.as_ref() != Some(&text)).then(|| text.clone());
                self.files_problem = Some(text);
                self.files = Files::Due(now.after(back_off(FILES_BASE, self.files_failed, FILES_MAX)));
                news
            }
        }
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
                self.drbd = Drbd::Devices(now.after(back_off(LOOK, self.looks.saturating_sub(LOOKS - 1), LOOK_MAX)));
                return if is_new { Some(News { text, bad: true }) } else { news };
            }
        }
        (self.missing_devices, self.looks) = (None, 0);
        // As with drbd-reactor an error of sh-ll-dev keeps nobody from trying to adjust: DRBD may be up all the same.
        self.drbd = if self.adjusted { self.after_all(now, is_up) } else { Drbd::Adjust(now) };
        news
    }

    /// `drbdadm adjust` ended. Gives what a person should know.
    pub(super) fn adjusted(&mut self, now: Mono, answer: &DrbdAnswer, is_up: bool) -> Option<News> {
        let news = self.adjust.take(answer).then(|| Self::news("adjust", &self.adjust));
        self.tried.get_or_insert(now);
        self.adjusted = self.adjust.why.is_none();
        if !matches!(self.drbd, Drbd::Looking(_)) {
            self.drbd = self.after_all(now, is_up);
        }
        news
    }

    /// What comes after an adjust: nothing, or all that failed once more.
    fn after_all(&self, now: Mono, is_up: bool) -> Drbd {
        if self.adjust.why.is_none() && self.lower.why.is_none() {
            return Drbd::Done;
        }
        let times = self.adjust.times.max(self.lower.times);
        let longest = if is_up { TOOLS_MAX_UP } else { TOOLS_MAX_DOWN };
        Drbd::Devices(now.after(back_off(TOOLS_BASE, times, longest)))
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
