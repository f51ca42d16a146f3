//! Where a state machine is. Each of the promoter's machines is an enum whose variants carry what only that phase has, and changes by
//! [`Course::enter`] alone, which refuses what the drawing at the head of its file has no arrow for.
//!
//! What it refuses is a mistake in this program, so it panics: the machine of that resource is built anew from the levels, nothing that the
//! call asked for is done, a person is told, and tests and simulations fail (`isolation.rs`). To go on in the old phase would be worse: the
//! call has done its other half by then, and what it asked for may be asked for twice.

use std::fmt::Debug;
use std::mem::discriminant;

/// The phases of one machine.
pub(super) trait Transitions: Debug {
    /// Whether `next` may follow: the arrows of the drawing, and no others.
    fn may_become(&self, next: &Self) -> bool;
}

/// The phase that a machine is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Course<P>(P);

impl<P: Transitions> Course<P> {
    /// A machine that begins in this phase.
    pub(super) fn begin(phase: P) -> Self {
        Self(phase)
    }

    /// Where it is.
    pub(super) fn phase(&self) -> &P {
        &self.0
    }

    /// Goes to another phase.
    ///
    /// # Panics
    ///
    /// If the drawing has no arrow for that; see the module's head.
    pub(super) fn enter(&mut self, next: P) {
        assert!(self.0.may_become(&next), "{next:?} may not follow {:?}", self.0);
        self.0 = next;
    }

    /// Changes what the phase carries.
    ///
    /// # Panics
    ///
    /// If it is another phase then.
    pub(super) fn update<R>(&mut self, change: impl FnOnce(&mut P) -> R) -> R {
        let before = discriminant(&self.0);
        let result = change(&mut self.0);
        assert!(before == discriminant(&self.0), "{:?} is another phase than before", self.0);
        result
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The name of a phase without its data.
    fn name(phase: &impl Debug) -> String {
        format!("{phase:?}").chars().take_while(|c| c.is_alphanumeric()).collect()
    }

    /// The arrows of a drawing, which is made of lines like `Idle ── a start ──▶ Starting ── its job is done ──▶ Settling`.
    fn drawn(source: &str) -> BTreeSet<(String, String)> {
        let mut arrows = BTreeSet::new();
        for line in source.lines().filter(|line| line.starts_with("//") && line.contains("──▶")) {
            let phases: Vec<&str> = line
                .split("──▶")
                .map(|part| {
                    part.split_once(" ──").map_or(part, |(phase, _)| phase).trim_start_matches(['/', '!']).trim()
                })
                .collect();
            arrows.extend(phases.windows(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())));
        }
        arrows
    }

    /// Checks that the drawing in the comments of `source` has just the arrows that are allowed. `phases`: one of each variant.
    pub(in super::super) fn check_drawing<P: Transitions>(source: &str, phases: &[P]) {
        let pairs = phases.iter().flat_map(|from| phases.iter().map(move |to| (from, to)));
        let allowed: BTreeSet<_> =
            pairs.filter(|(from, to)| from.may_become(to)).map(|(from, to)| (name(from), name(to))).collect();
        let drawn = drawn(source);
        let (missing, wrong): (Vec<_>, Vec<_>) =
            (allowed.difference(&drawn).collect(), drawn.difference(&allowed).collect());
        assert!(missing.is_empty() && wrong.is_empty(), "not drawn: {missing:?}; drawn, and not allowed: {wrong:?}");
        assert_eq!(phases.iter().map(name).collect::<BTreeSet<_>>().len(), phases.len(), "one of each");
    }

    #[derive(Debug)]
    enum Door {
        Open,
        Shut,
    }

    impl Transitions for Door {
        fn may_become(&self, next: &Self) -> bool {
            matches!((self, next), (Self::Open, Self::Shut))
        }
    }

    #[test]
    fn what_is_not_drawn_is_refused() {
        let mut door = Course::begin(Door::Open);
        door.enter(Door::Shut);
        let again = crate::isolation::catch(|| door.enter(Door::Open));
        assert_eq!(again.unwrap_err(), "Open may not follow Shut");
        assert!(matches!(door.phase(), Door::Shut));
    }

    #[test]
    fn a_drawing_that_lacks_an_arrow_or_has_one_too_many_is_seen() {
        let all = [Door::Open, Door::Shut];
        check_drawing("//!  Open ── a push ──▶ Shut\n", &all);
        for wrong in ["//! Open, Shut\n", "//!  Open ── a push ──▶ Shut ── a pull ──▶ Open\n"] {
            assert!(crate::isolation::catch(|| check_drawing(wrong, &all)).is_err(), "{wrong}");
        }
    }
}
