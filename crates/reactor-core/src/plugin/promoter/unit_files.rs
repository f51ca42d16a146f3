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

    fn second(s: u64) -> Mono {
        Mono::ZERO.after(Duration::from_secs(s))
    }

    #[test]
    fn what_could_not_be_written_is_tried_again_with_pauses_and_said_when_it_is_another() {
        let failed = |why: &str| FilesEnd::Failed { why: why.to_owned() };
        let mut files = UnitFiles::default();
        assert_eq!(files.missing().as_deref(), Some("its unit files are not written yet"));
        for (why, pause, is_news) in [("no space", 2, true), ("no space", 4, false), ("read-only", 8, true)] {
            assert!(files.due().is_some());
            files.asked(ActionId(1));
            assert_eq!((files.is_asked(ActionId(1)), files.is_asked(ActionId(2)), files.due()), (true, false, None));
            let text = format!("its unit files can't be written: {why}");
            assert_eq!(files.wrote(second(100), &failed(why)), is_news.then(|| text.clone()));
            assert_eq!((files.due(), files.missing()), (Some(second(100 + pause)), Some(text)));
        }
        files.asked(ActionId(2));
        assert_eq!(files.wrote(second(108), &FilesEnd::Written), None);
        assert_eq!((files.are_written(), files.due(), files.missing()), (true, None, None));
        // The pause begins anew.
        files.again();
        assert!(!files.are_written());
        files.asked(ActionId(3));
        files.wrote(second(200), &failed("no space"));
        assert_eq!(files.due(), Some(second(202)));
    }

    #[test]
    fn they_are_written_again_for_another_drbd_only() {
        let mut files = UnitFiles::default();
        files.asked(ActionId(1));
        files.wrote(second(1), &FilesEnd::Unchanged);
        files.are_for(files.dialect());
        assert!(files.are_written());
        files.are_for(Dialect::Drbd84);
        assert_eq!((files.are_written(), files.dialect()), (false, Dialect::Drbd84));
    }

    #[test]
    fn after_a_panic_what_is_being_written_is_waited_for_and_what_never_was_asked_for_is_due() {
        let mut files = UnitFiles::default();
        files.are_for(Dialect::Drbd84);
        files.asked(ActionId(1));
        assert!(files.clone().after_a_panic(|id| id == ActionId(1)).is_asked(ActionId(1)));
        let anew = files.after_a_panic(|_| false);
        assert_eq!((anew.due(), anew.dialect()), (Some(Mono::ZERO), Dialect::Drbd84));
    }
}
