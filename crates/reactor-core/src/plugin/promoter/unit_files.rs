//! The unit files of a resource: systemd can be asked for nothing before they are written.
//!
//! ```text
//!  Due ── they are written ──▶ Writing ── done ──▶ Written ── other settings, or another DRBD ──▶ Due
//!  Writing ── it failed, or the settings are others ──▶ Due ── other settings ──▶ Due
//! ```

use std::time::Duration;

use crate::action::FilesEnd;
use crate::ids::{ActionId, Mono};
use crate::input::Dialect;

use super::course::{Course, Transitions};
use super::repeat::back_off;

/// First wait after they could not be written; doubles.
const BASE: Duration = Duration::from_secs(2);
/// The same at most.
const MAX: Duration = Duration::from_secs(60);

/// See the module's head.
#[derive(Clone, Debug)]
pub(super) struct UnitFiles {
    course: Course<Phase>,
    problem: Option<String>,
    failed: u32,
    /// The DRBD that they are for.
    dialect: Dialect,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// They are to be written, not before then.
    Due(Mono),
    /// They are being written.
    Writing(ActionId),
    /// They are there.
    Written,
}

impl Transitions for Phase {
    fn may_become(&self, next: &Self) -> bool {
        use Phase::{Due, Writing, Written};
        matches!((self, next), (Due(_), Writing(_) | Due(_)) | (Writing(_), Written | Due(_)) | (Written, Due(_)))
    }
}

impl Default for UnitFiles {
    fn default() -> Self {
        let course = Course::begin(Phase::Due(Mono::ZERO));
        Self { course, problem: None, failed: 0, dialect: Dialect::default() }
    }
}

impl UnitFiles {
    /// The DRBD that they are for.
    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// DRBD is known now: for another one they are written again.
    pub(super) fn are_for(&mut self, dialect: Dialect) {
        if dialect != self.dialect {
            self.dialect = dialect;
            self.again();
        }
    }

    /// They have to be written again.
    pub(super) fn again(&mut self) {
        self.course.enter(Phase::Due(Mono::ZERO));
        self.failed = 0;
    }

    /// When they are due.
    pub(super) fn due(&self) -> Option<Mono> {
        match self.course.phase() {
            Phase::Due(at) => Some(*at),
            Phase::Writing(_) | Phase::Written => None,
        }
    }

    /// They were asked for.
    pub(super) fn asked(&mut self, id: ActionId) {
        self.course.enter(Phase::Writing(id));
    }

    /// Whether this is the outcome that is waited for.
    pub(super) fn is_asked(&self, id: ActionId) -> bool {
        *self.course.phase() == Phase::Writing(id)
    }

    /// They were written, or not. Gives what a person should know.
    pub(super) fn wrote(&mut self, now: Mono, end: &FilesEnd) -> Option<String> {
        match end {
            FilesEnd::Unchanged | FilesEnd::Written => {
                self.problem = None;
                self.failed = 0;
                self.course.enter(Phase::Written);
                None
            }
            FilesEnd::Failed { why } => {
                self.failed += 1;
                let text = format!("its unit files can't be written: {why}");
                let news = (self.problem.as_ref() != Some(&text)).then(|| text.clone());
                self.problem = Some(text);
                self.course.enter(Phase::Due(now.after(back_off(BASE, self.failed, MAX))));
                news
            }
        }
    }

    /// Whether they are there.
    pub(super) fn are_written(&self) -> bool {
        *self.course.phase() == Phase::Written
    }

    /// Why they are not there yet, as a sentence.
    pub(super) fn missing(&self) -> Option<String> {
        if self.are_written() {
            return None;
        }
        Some(self.problem.clone().unwrap_or_else(|| "its unit files are not written yet".to_owned()))
    }

    /// The same for a machine that is built anew: what was never asked for, and what ended in the call that panicked, is due.
    pub(super) fn after_a_panic(mut self, is_sent: impl Fn(ActionId) -> bool) -> Self {
        if matches!(self.course.phase(), Phase::Writing(id) if !is_sent(*id)) {
            self.course = Course::begin(Phase::Due(Mono::ZERO));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drawing_is_what_is_allowed() {
        let all = [Phase::Due(Mono(1)), Phase::Writing(ActionId(1)), Phase::Written];
        super::super::course::tests::check_drawing(include_str!("unit_files.rs"), &all);
    }
}
