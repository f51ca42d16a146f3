//! What operators have said about one resource: hands off, stop, or leave it to another node. Nobody but a person says such a thing, and it
//! outlives the daemon.
//!
//! Hands off means that nothing is touched at all. The other two say where it may not run: what runs is stopped and nothing is started, but DRBD is
//! looked after as ever. A hold that ends by itself ends when a peer is Primary or when its time is up, also if whoever asked is long gone: a
//! resource that nobody took over comes back.

use std::time::Duration;

use crate::ids::Mono;
use crate::operator::{Hold, Until, WallClock};

/// A hold ends by itself within this time, or not at all.
const LONGEST: Duration = Duration::from_secs(3600);

/// The hold on a resource.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    hold: Option<Hold>,
    /// When its time is up, by a clock that nobody sets.
    ends: Option<Mono>,
}

/// How a hold ended by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ended {
    /// Another node has it, or has had it.
    TakenOver,
    /// Nobody has taken it over in time.
    InVain {
        /// It ran here before.
        ran_here: bool,
    },
}

impl Held {
    /// What was said.
    pub(super) fn hold(&self) -> Option<&Hold> {
        self.hold.as_ref()
    }

    /// It is stopped, or left alone, until a person ends it.
    pub(super) fn has_no_end(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.until.is_none())
    }

    /// Nothing at all is done to it.
    pub(super) fn is_hands_off(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| !hold.stops)
    }

    /// It is left to another node, and ran here before.
    pub(super) fn ran_here(&self) -> bool {
        self.hold.as_ref().and_then(|hold| hold.until.as_ref()).is_some_and(|until| until.ran_here)
    }

    /// When it ends by itself at the latest.
    pub(super) fn ends(&self) -> Option<Mono> {
        self.ends
    }

    /// A person says so. Gives what was said before.
    pub(super) fn set(&mut self, hold: Hold) -> Option<Hold> {
        self.ends = None;
        self.hold.replace(hold)
    }

    /// A person says that it is to be left to another node, for a time at most. When that is by the wall clock is worked out here.
    pub(super) fn set_for(&mut self, now: Mono, wall: Option<WallClock>, hold: Hold, until: Until) -> Option<Hold> {
        let limit = Duration::from_secs(until.limit).min(LONGEST);
        let end = wall.map_or(0, |wall| wall.unix_ms / 1000 + limit.as_secs());
        let until = Until { end, limit: limit.as_secs(), ..until };
        let before = self.set(Hold { stops: true, until: Some(until), ..hold });
        self.ends = Some(now.after(limit));
        before
    }

    /// A person ends it. `false` = there was none.
    pub(super) fn release(&mut self) -> bool {
        self.ends = None;
        self.hold.take().is_some()
    }

    /// Ends it if it is over. `primary`: peers that are Primary. Gives why it is over.
    pub(super) fn end(&mut self, now: Mono, primary: &[String]) -> Option<(String, Ended)> {
        let until = self.hold.as_ref()?.until.as_ref()?;
        let is_wanted = |peer: &&String| !until.restarts && until.peer.as_ref().is_none_or(|wanted| wanted == *peer);
        let in_vain = Ended::InVain { ran_here: until.ran_here };
        let (why, how) = match primary.iter().find(is_wanted) {
            Some(peer) => (
                format!("{peer} is Primary: that it was left to it is over, and it may run here again"),
                Ended::TakenOver,
            ),
            None if self.ends.is_none_or(|ends| ends <= now) => match &until.peer {
                Some(peer) if until.restarts => {
                    (format!("the time that {peer} had to restart it is up: it may run here again"), Ended::TakenOver)
                }
                Some(peer) => (format!("{peer} has not become Primary in time: it may run here again"), in_vain),
                None => ("no other node has taken it over in time: it may run here again".to_owned(), in_vain),
            },
            None => return None,
        };
        self.release();
        Some((why, how))
    }

    /// What was kept by a daemon before this one, or is told once more.
    pub(super) fn recall(&mut self, now: Mono, wall: Option<WallClock>, hold: Option<&Hold>) {
        if self.hold.as_ref() == hold {
            return;
        }
        self.hold = hold.cloned();
        let left = |until: &Until| {
            // A clock that was set back makes it no longer than it was asked for.
            let limit = if until.limit == 0 { LONGEST } else { Duration::from_secs(until.limit).min(LONGEST) };
            match wall {
                Some(wall) if until.end > 0 => {
                    limit.min(Duration::from_secs(until.end.saturating_sub(wall.unix_ms / 1000)))
                }
                _ => limit,
            }
        };
        self.ends = hold.and_then(|hold| hold.until.as_ref()).map(|until| now.after(left(until)));
    }
}

/// Who said what, for people: the reason of a decision.
pub(super) fn words(hold: &Hold) -> String {
    let Hold { who, why, stops, until, .. } = hold;
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    match until {
        None if *stops => format!("stopped by {who}{why}"),
        None => format!("held by {who}{why}"),
        Some(Until { peer: Some(peer), restarts: true, .. }) => {
            format!("left to {peer} by {who}, who restarts it there{why}")
        }
        Some(Until { peer: Some(peer), .. }) => format!("left to {peer} by {who} until it is Primary there{why}"),
        Some(Until { peer: None, .. }) => format!("left to another node by {who} until it is Primary there{why}"),
    }
}

/// Who has drained this node, for people.
pub(super) fn words_of_drain(drain: &Hold) -> String {
    let why = if drain.why.is_empty() { String::new() } else { format!(": {}", drain.why) };
    format!("this node is drained by {}{why}", drain.who)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN_VAIN: Ended = Ended::InVain { ran_here: false };
    const WALL: Option<WallClock> = Some(WallClock { unix_ms: 1_800_000_000_000, utc_offset_s: 0 });

    fn at(s: u64) -> Mono {
        Mono::ZERO.after(Duration::from_secs(s))
    }

    fn hold() -> Hold {
        Hold { who: "root".to_owned(), why: "a test".to_owned(), since: 1_800_000_000, ..Hold::default() }
    }

    fn left_to(peer: Option<&str>) -> Held {
        let mut held = Held::default();
        let until = Until { peer: peer.map(str::to_owned), end: 0, limit: 20, restarts: false, ran_here: false };
        assert_eq!(held.set_for(at(10), WALL, hold(), until), None);
        held
    }

    #[test]
    fn it_ends_with_the_peer_that_is_waited_for_and_no_other() {
        let mut held = left_to(Some("n2"));
        assert_eq!((held.is_hands_off(), held.ends()), (false, Some(at(30))));
        assert_eq!(held.end(at(11), &["n3".to_owned()]), None);
        assert!(
            held.end(at(12), &["n3".to_owned(), "n2".to_owned()]).is_some_and(|(why, _)| why.contains("n2 is Primary"))
        );
        assert_eq!((held.hold(), held.ends()), (None, None));
        assert!(left_to(None).end(at(12), &["n3".to_owned()]).is_some());
    }

    #[test]
    fn what_a_peer_restarts_is_left_to_it_also_while_it_is_primary() {
        let mut held = Held::default();
        let until = Until { peer: Some("n2".to_owned()), end: 0, limit: 20, restarts: true, ran_here: true };
        held.set_for(at(10), WALL, hold(), until);
        assert_eq!(words(held.hold().unwrap()), "left to n2 by root, who restarts it there: a test");
        let n2 = ["n2".to_owned()];
        assert_eq!((held.end(at(11), &n2), held.end(at(12), &[]), held.end(at(29), &n2)), (None, None, None));
        assert!(held.end(at(30), &n2).is_some_and(|(why, _)| why.contains("to restart it is up")));
    }

    #[test]
    fn it_ends_when_its_time_is_up_also_in_the_next_daemon() {
        let mut held = left_to(None);
        assert_eq!(held.end(at(29), &[]), None);
        let mut next = Held::default();
        // Five seconds later, in a daemon that has just started.
        let wall = WALL.map(|wall| WallClock { unix_ms: wall.unix_ms + 5_000, ..wall });
        next.recall(at(1), wall, held.hold());
        assert_eq!(next.ends(), Some(at(16)));
        // Told once more: as before.
        next.recall(at(3), wall, held.hold());
        assert_eq!((next.ends(), next.end(at(15), &[])), (Some(at(16)), None));
        assert!(next.end(at(16), &[]).is_some_and(|(why, how)| why.contains("in time") && how == IN_VAIN));
        assert!(held.end(at(30), &[]).is_some());
    }

    #[test]
    fn a_clock_that_is_wrong_makes_it_no_longer_than_it_was_asked_for() {
        let held = left_to(None);
        let long_ago = Some(WallClock { unix_ms: 5_000, utc_offset_s: 0 });
        for wall in [None, long_ago] {
            let mut next = Held::default();
            next.recall(at(1), wall, held.hold());
            assert_eq!(next.ends(), Some(at(21)), "{wall:?}");
        }
    }

    #[test]
    fn a_hold_has_no_end() {
        let mut held = left_to(None);
        assert!(held.set(hold()).is_some_and(|before| before.until.is_some()));
        assert_eq!((held.is_hands_off(), held.end(at(9999), &["n2".to_owned()])), (true, None));
        assert!(held.release());
        assert!(!held.release());
    }
}
