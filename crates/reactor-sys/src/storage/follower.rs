//! Whom the thread follows that reads the journal, and when it begins anew or ends. Other threads decide it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::child::Stop;

/// Steers the thread that follows the journal.
#[derive(Clone, Debug, Default)]
pub(super) struct Follower {
    shared: Arc<(Mutex<Round>, Condvar)>,
}

#[derive(Debug, Default)]
struct Round {
    /// Whose messages are wanted.
    programs: Vec<String>,
    is_over: bool,
    /// Ends the child of this round, also one that is only being started.
    stop: Stop,
}

impl Follower {
    pub(super) fn new(programs: Vec<String>) -> Self {
        let follower = Self::default();
        follower.set(programs);
        follower
    }

    /// Waits until there is somebody to follow: who, and what ends it. `None`: nobody wants to know any more.
    pub(super) fn begin(&self) -> Option<(Vec<String>, Stop)> {
        let mut round = self.round();
        while round.programs.is_empty() && !round.is_over {
            round = self.shared.1.wait(round).unwrap_or_else(PoisonError::into_inner);
        }
        if round.is_over {
            return None;
        }
        round.stop = Stop::default();
        Some((round.programs.clone(), round.stop.clone()))
    }

    /// From now on these are followed, from the place on that was reached.
    pub(super) fn set(&self, programs: Vec<String>) {
        let mut round = self.round();
        if round.programs != programs {
            round.programs = programs;
            round.stop.stop();
            self.shared.1.notify_all();
        }
    }

    pub(super) fn end(&self) {
        let mut round = self.round();
        round.is_over = true;
        round.stop.stop();
        self.shared.1.notify_all();
    }

    fn round(&self) -> MutexGuard<'_, Round> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_ends_the_round_and_the_next_one_has_it() {
        let follower = Follower::new(vec!["multipathd".to_owned()]);
        let (programs, stop) = follower.begin().unwrap();
        assert_eq!((programs, stop.is_asked()), (vec!["multipathd".to_owned()], false));
        follower.set(vec!["multipathd".to_owned()]);
        assert!(!stop.is_asked(), "nothing has changed");
        follower.set(vec!["shelfd".to_owned()]);
        assert!(stop.is_asked());
        let (programs, stop) = follower.begin().unwrap();
        assert_eq!((programs, stop.is_asked()), (vec!["shelfd".to_owned()], false));
        follower.end();
        assert!(stop.is_asked() && follower.begin().is_none());
    }

    #[test]
    fn who_follows_nobody_waits_for_somebody() {
        let follower = Follower::new(Vec::new());
        let waits = follower.clone();
        let thread = std::thread::spawn(move || waits.begin().map(|(programs, _)| programs));
        follower.set(vec!["zed".to_owned()]);
        assert_eq!(thread.join().unwrap(), Some(vec!["zed".to_owned()]));
    }
}
