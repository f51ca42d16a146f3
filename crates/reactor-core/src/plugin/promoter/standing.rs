//! How a resource stands: one word for it, since when, and why, as the last judgement found it.

use crate::action::Reason;
use crate::ids::Mono;

use super::obstacle::Obstacle;
use super::report::StateWord;

/// See the module's head.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    state: StateWord,
    since: Mono,
    because: Vec<Reason>,
    obstacle: Option<Obstacle>,
}

impl Standing {
    pub(super) fn new(now: Mono) -> Self {
        Self { state: StateWord::Preparing, since: now, because: Vec::new(), obstacle: None }
    }

    /// So it was judged.
    pub(super) fn judged(&mut self, now: Mono, state: StateWord, because: &[Reason], obstacle: Option<Obstacle>) {
        if self.state != state {
            self.state = state;
            self.since = now;
        }
        self.because.clear();
        self.because.extend_from_slice(because);
        // What runs was started all the same.
        self.obstacle = obstacle.filter(|_| matches!(state, StateWord::Preparing | StateWord::Standby));
    }

    /// One more reason.
    pub(super) fn also_because(&mut self, reason: Reason) {
        self.because.push(reason);
    }

    /// For a machine that is built anew: the reasons come with its first judgement.
    pub(super) fn after_a_panic(&self) -> Self {
        Self { because: Vec::new(), obstacle: None, ..*self }
    }

    /// The word.
    pub(super) fn state(&self) -> StateWord {
        self.state
    }

    /// Since when.
    pub(super) fn since(&self) -> Mono {
        self.since
    }

    /// Why.
    pub(super) fn because(&self) -> &[Reason] {
        &self.because
    }

    /// What keeps it from being started here, if that is why.
    pub(super) fn obstacle(&self) -> Option<&Obstacle> {
        self.obstacle.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::super::obstacle::ObstacleKind;
    use super::*;

    #[test]
    fn a_state_lasts_since_it_became_so_and_its_reasons_are_the_last_ones() {
        let because = |standing: &Standing| standing.because().iter().map(|it| it.0.clone()).collect::<Vec<_>>();
        let reason = |text: &str| Reason(text.to_owned());
        let mut standing = Standing::new(Mono(1));
        assert_eq!((standing.state(), standing.since()), (StateWord::Preparing, Mono(1)));
        standing.judged(Mono(2), StateWord::Preparing, &[reason("a")], Some(ObstacleKind::UnitFiles.into()));
        assert_eq!(standing.obstacle().map(|it| it.kind), Some(ObstacleKind::UnitFiles));
        assert_eq!(standing.since(), Mono(1), "it is no other state");
        standing.judged(Mono(3), StateWord::Running, &[reason("b")], Some(ObstacleKind::NoNews.into()));
        assert_eq!(standing.obstacle(), None);
        standing.also_because(reason("c"));
        assert_eq!(
            (standing.state(), standing.since(), because(&standing).join(" ")),
            (StateWord::Running, Mono(3), "b c".into())
        );
        let anew = standing.after_a_panic();
        assert_eq!((anew.state(), anew.since(), because(&anew).len()), (StateWord::Running, Mono(3), 0));
        standing.judged(Mono(4), StateWord::Running, &[reason("d")], None);
        assert_eq!((standing.since(), because(&standing).join(" ")), (Mono(3), "d".into()));
    }
}
