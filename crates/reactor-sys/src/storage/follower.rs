//! Whom the thread follows that reads the journal, and when it begins anew or ends. Other threads decide it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::child::Stop;

/// Who is followed in the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Whom {
    /// Programs, by their syslog identifiers, as far as they run as root.
    pub(super) programs: Vec<String>,
    /// The kernel, too.
    pub(super) kernel: bool,
}

impl Whom {
    fn is_nobody(&self) -> bool {
        self.programs.is_empty() && !self.kernel
    }
}

/// Steers the thread that follows the journal.
#[derive(Clone, Debug, Default)]
pub(super) struct Follower {
    shared: Arc<(Mutex<Round>, Condvar)>,
}

#[derive(Debug, Default)]
struct Round {
    /// Whose messages are wanted.
    whom: Whom,
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
    pub(super) fn begin(&self) -> Option<(Whom, Stop)> {
        let mut round = self.round();
        while round.whom.is_nobody() && !round.is_over {
            round = self.shared.1.wait(round).unwrap_or_else(PoisonError::into_inner);
        }
        if round.is_over {
            return None;
        }
        round.stop = Stop::default();
        Some((round.whom.clone(), round.stop.clone()))
    }

    /// From now on these are followed, from the place on that was reached.
    pub(super) fn set(&self, programs: Vec<String>) {
        self.change(|whom| whom.programs = programs);
    }

    /// From now on the kernel is followed, too, or is not any more.
    pub(super) fn set_kernel(&self, kernel: bool) {
        self.change(|whom| whom.kernel = kernel);
    }

    fn change(&self, change: impl FnOnce(&mut Whom)) {
        let mut round = self.round();
        let before = round.whom.clone();
        change(&mut round.whom);
        if round.whom != before {
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
        let (whom, stop) = follower.begin().unwrap();
        assert_eq!((whom.programs, stop.is_asked()), (vec!["multipathd".to_owned()], false));
        follower.set(vec!["multipathd".to_owned()]);
        assert!(!stop.is_asked(), "nothing has changed");
        follower.set(vec!["shelfd".to_owned()]);
        assert!(stop.is_asked());
        let (whom, stop) = follower.begin().unwrap();
        assert_eq!((whom.programs, stop.is_asked()), (vec!["shelfd".to_owned()], false));
        follower.set_kernel(true);
        assert!(stop.is_asked());
        let (whom, stop) = follower.begin().unwrap();
        assert!(whom.kernel && !stop.is_asked());
        follower.end();
        assert!(stop.is_asked() && follower.begin().is_none());
    }

    #[test]
    fn who_follows_nobody_waits_for_somebody() {
        let follower = Follower::new(Vec::new());
        let waits = follower.clone();
        let thread = std::thread::spawn(move || waits.begin().map(|(whom, _)| whom.programs));
        follower.set(vec!["zed".to_owned()]);
        assert_eq!(thread.join().unwrap(), Some(vec!["zed".to_owned()]));
    }
}
