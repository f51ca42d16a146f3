//! What has to be done before anything is started: unit files, lower devices, `drbdadm adjust`. Each resource for itself, so that one
//! whose disk is missing delays no other (D3, D40).
//!
//! ```text
//!  Files ─▶ writing ─▶ Devices ─▶ looking ─┬─ all there ─▶ adjusting ─▶ Ready
//!    ▲         │          ▲                └─ one missing: wait 2 s
//!    └─ wait ◀─┘ failed   └────────────────────────────────┘
//!  without adjust-resource-on-start: Files ─▶ writing ─▶ Ready
//! ```

use std::time::Duration;

use crate::action::{DrbdAnswer, FilesEnd, LowerDevice};
use crate::ids::{ActionId, Mono};

use super::repeat::back_off;

/// How often to look for a missing lower device.
const LOOK: Duration = Duration::from_secs(2);
/// First wait after unit files could not be written; doubles.
const FILES_BASE: Duration = Duration::from_secs(2);
/// The same at most.
const FILES_MAX: Duration = Duration::from_secs(60);

/// Where the preparation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The unit files are to be written, not before then.
    Files(Mono),
    /// They are being written.
    Writing(ActionId),
    /// The lower devices are to be looked at, not before then.
    Devices(Mono),
    /// They are being looked at.
    Looking(ActionId),
    /// `drbdadm adjust` is due.
    Adjust,
    /// It runs.
    Adjusting(ActionId),
    /// All is done.
    Ready,
}

/// The preparation of a resource.
#[derive(Clone, Debug)]
pub(super) struct Prepare {
    pub(super) phase: Phase,
    /// Whether lower devices and adjust come after the files.
    adjust: bool,
    /// What is waited for, or what went wrong, for people.
    problem: Option<String>,
    files_failed: u32,
    /// The last `drbdadm adjust` failed: DRBD may not know all that it should.
    pub(super) adjust_failed: bool,
    /// Whether a lower device is `none`: diskless on purpose.
    pub(super) has_diskless_lower: bool,
}

impl Prepare {
    /// From the beginning.
    pub(super) fn new(adjust: bool) -> Self {
        Self {
            phase: Phase::Files(Mono::ZERO),
            adjust,
            problem: None,
            files_failed: 0,
            adjust_failed: false,
            has_diskless_lower: false,
        }
    }

    /// The settings changed: the unit files have to be written again. DRBD needs no second adjust.
    pub(super) fn files_again(&mut self) {
        self.adjust &= self.phase != Phase::Ready;
        self.phase = Phase::Files(Mono::ZERO);
        self.files_failed = 0;
    }

    /// What is missing, as a sentence; `None` = ready.
    pub(super) fn missing(&self) -> Option<String> {
        let what = match self.phase {
            Phase::Ready => return None,
            Phase::Files(_) | Phase::Writing(_) => "its unit files are not written yet",
            Phase::Devices(_) | Phase::Looking(_) => "its lower devices are not there yet",
            Phase::Adjust | Phase::Adjusting(_) => "drbdadm adjust has not ended yet",
        };
        Some(self.problem.clone().unwrap_or_else(|| what.to_owned()))
    }

    /// When something is due.
    pub(super) fn due(&self) -> Option<Mono> {
        match self.phase {
            Phase::Files(at) | Phase::Devices(at) => Some(at),
            Phase::Adjust => Some(Mono::ZERO),
            Phase::Writing(_) | Phase::Looking(_) | Phase::Adjusting(_) | Phase::Ready => None,
        }
    }

    /// What is due then.
    pub(super) fn due_for(&self) -> &'static str {
        match self.phase {
            Phase::Files(_) | Phase::Writing(_) => "the next try to write its unit files",
            Phase::Devices(_) | Phase::Looking(_) => "its lower devices are looked for again",
            Phase::Adjust | Phase::Adjusting(_) | Phase::Ready => "drbdadm adjust",
        }
    }

    /// The files were written, or not. Gives what a person should know.
    pub(super) fn wrote(&mut self, now: Mono, end: &FilesEnd) -> Option<String> {
        match end {
            FilesEnd::Unchanged | FilesEnd::Written => {
                self.problem = None;
                self.files_failed = 0;
                self.phase = if self.adjust { Phase::Devices(now) } else { Phase::Ready };
                None
            }
            FilesEnd::Failed { why } => {
                self.files_failed += 1;
                let text = format!("its unit files can't be written: {why}");
                let news = (self.problem.as_ref() != Some(&text)).then(|| text.clone());
                self.problem = Some(text);
                self.phase = Phase::Files(now.after(back_off(FILES_BASE, self.files_failed, FILES_MAX)));
                news
            }
        }
    }

    /// The lower devices were looked at. Gives what a person should know.
    pub(super) fn looked(&mut self, now: Mono, answer: &DrbdAnswer) -> Option<String> {
        match answer {
            DrbdAnswer::LowerDevices(devices) => {
                self.has_diskless_lower = devices.iter().any(|device| device.path.is_none());
                let missing: Vec<&str> = devices.iter().filter(|device| !device.ready).map(path).collect();
                if missing.is_empty() {
                    self.problem = None;
                    self.phase = Phase::Adjust;
                    return None;
                }
                let text = format!("waits for {}", missing.join(", "));
                let news = (self.problem.as_ref() != Some(&text)).then(|| text.clone());
                self.problem = Some(text);
                self.phase = Phase::Devices(now.after(LOOK));
                news
            }
            DrbdAnswer::Done | DrbdAnswer::Options(_) => {
                self.phase = Phase::Adjust;
                None
            }
            // As with drbd-reactor an error of the tools only warns: DRBD may be up all the same.
            DrbdAnswer::Failed { why } => {
                self.phase = Phase::Adjust;
                Some(format!("drbdadm sh-ll-dev failed: {why}"))
            }
        }
    }

    /// `drbdadm adjust` ended. Gives what a person should know.
    pub(super) fn adjusted(&mut self, answer: &DrbdAnswer) -> Option<String> {
        self.phase = Phase::Ready;
        self.problem = None;
        self.adjust_failed = matches!(answer, DrbdAnswer::Failed { .. });
        match answer {
            DrbdAnswer::Failed { why } => Some(format!("drbdadm adjust failed: {why}")),
            DrbdAnswer::Done | DrbdAnswer::LowerDevices(_) | DrbdAnswer::Options(_) => None,
        }
    }
}

fn path(device: &LowerDevice) -> &str {
    device.path.as_deref().unwrap_or("none")
}
