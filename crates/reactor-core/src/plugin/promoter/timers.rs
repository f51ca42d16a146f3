//! What the machine of a resource waits for without any news: at most one time for each purpose, and each purpose has a name.
//!
//! The table is filled anew by every judgement. Nearly every deadline follows from levels and moves with them: a delay begins when the resource
//! may be promoted, and its length depends on what the other nodes have at the moment. One that is set when something happens and kept until it
//! comes would be wrong as soon as the levels change. So what a deadline follows from (a phase, a failure, a link, a unit that does not freeze)
//! is kept by its owner, the judgement that waits for it enters it here, and there is no other way to be woken.

use crate::ids::Mono;

macro_rules! timers {
    ($($(#[$doc:meta])* $timer:ident = $purpose:literal),+ $(,)?) => {
        /// What is waited for. Of two that are due at the same time the first in this list is named.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub(super) enum Timer {
            $($(#[$doc])* $timer,)+
        }

        impl Timer {
            /// All of them, in order.
            const ALL: &'static [Self] = &[$(Self::$timer),+];

            /// What is due then, for people.
            pub(super) fn purpose(self) -> &'static str {
                match self {
                    $(Self::$timer => $purpose,)+
                }
            }
        }
    };
}

timers! {
    /// What was kept on disk has just been read.
    Recalled = "what was remembered of it is looked at",
    /// An operator has left it to another node.
    HoldEnds = "if no other node has taken it over by then, it may run here again",
    /// The pause after a panic.
    Rest = "it rests after an internal error",
    /// DRBD's first word decides for which DRBD the unit files are written.
    FilesUnasked = "its unit files are written, with or without a word of DRBD",
    /// Writing the unit files failed.
    Files = "the next try to write its unit files",
    /// An adjust is expected to end before.
    AdjustLate = "drbdadm adjust is waited for no longer",
    /// DRBD's first dump tells whether a writer is at work.
    AdjustUnasked = "drbdadm adjust is run, with or without a word of DRBD",
    /// `drbd@NAME.service` adjusts, or systemd has not said whether it does.
    DrbdService = "drbdadm adjust is run, whatever drbd@.service does",
    /// A lower device is missing.
    LowerDevices = "its lower devices are looked for again",
    /// `drbdadm` failed.
    Tools = "DRBD's tools are tried again",
    /// No event tells that an option has changed.
    Options = "DRBD's options of it are read again; that is routine",
    /// Reading DRBD's options failed.
    OptionsAgain = "the next try to read DRBD's options of it",
    /// systemd has not said anything about a unit yet.
    UntoldUnit = "systemd is late to answer about a unit",
    /// The job of a start is done, and its target is not active yet.
    Settling = "without news of its target the start counts as failed",
    /// The job of a stop is done, and something is active still.
    Stopped = "units that are still active then were not stopped",
    /// Primary, and no good data in reach.
    DataLost = "without good data until then, its services stop",
    /// Frozen.
    FreezeTimeout = "freeze-timeout: without quorum until then, its services stop",
    /// Services run, and DRBD does not say Primary.
    NotPrimary = "if DRBD still says so then, its services stop",
    /// A unit has failed among others that run.
    RestartBackOff = "the back-off ends, and what failed is started again",
    /// `restart` of an entry: its `restart-delay`, and the news after its start.
    LocalRestart = "what has failed is started again, as its entry allows",
    /// Something of `standby` failed.
    Standby = "the next try to start its standby services",
    /// A better node must be ready for a while first.
    Failback = "whether to give it to the better node",
    /// The delay of this node.
    StartDelay = "the delay ends, and it starts here",
    /// A start that failed, or was refused.
    StartBackOff = "the pause between two tries ends, and it starts here",
    /// A freeze or thaw was answered, and systemd has not told of it yet.
    FreezerNews = "without news of its units the freeze or thaw counts as failed",
    /// A stop that did not help.
    StopBackOff = "the next try to stop it",
    /// A freeze or thaw that failed.
    FreezerBackOff = "the next try to freeze or thaw it",
    /// A StandAlone connection: the patience with it, or the pause between two repairs.
    Link = "the StandAlone connection is looked at again",
    /// A start that takes long.
    StartHangs = "a start that has not come to its promotion by then hangs",
    /// I/O that does not get on.
    IoHangs = "if its I/O is still blocked then, it counts as hanging",
    /// Units that run although their target does not.
    OutsideTarget = "what still runs outside of its target then was started by something else",
    /// Nobody is Primary.
    Nowhere = "if nobody is Primary by then, it counts as running nowhere",
    /// What is up although it should have gone down with the target.
    LeftBehind = "if what is up without its target is still up then, it is a problem",
    /// `sync` with `every`.
    Sync = "its files are sent to the other nodes; that is routine",
}

/// See the module's head.
#[derive(Clone, Debug)]
pub(super) struct TimerTable {
    at: [Option<Mono>; Timer::ALL.len()],
}

impl Default for TimerTable {
    fn default() -> Self {
        Self { at: [None; Timer::ALL.len()] }
    }
}

impl TimerTable {
    /// To be woken for this at the latest then: what is set for the same purpose already and earlier stays. `None` changes nothing.
    pub(super) fn set(&mut self, timer: Timer, at: impl Into<Option<Mono>>) {
        if let Some(at) = at.into() {
            let entry = &mut self.at[timer as usize];
            *entry = Some(entry.map_or(at, |before| before.min(at)));
        }
    }

    /// Nothing is waited for any more.
    pub(super) fn stop_all(&mut self) {
        *self = Self::default();
    }

    /// What is waited for first.
    pub(super) fn next(&self) -> Option<(Mono, Timer)> {
        self.iter().min()
    }

    /// All that is waited for.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Mono, Timer)> {
        Timer::ALL.iter().zip(&self.at).filter_map(|(timer, at)| Some(((*at)?, *timer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_is_the_earliest_and_of_two_at_the_same_time_the_first_by_name() {
        let mut table = TimerTable::default();
        assert_eq!(table.next(), None);
        table.set(Timer::LeftBehind, Mono(7));
        table.set(Timer::StartDelay, Mono(7));
        table.set(Timer::Options, Mono(9));
        assert_eq!(table.next(), Some((Mono(7), Timer::StartDelay)));
        // Two links, two units: the earlier one counts.
        table.set(Timer::Options, Mono(5));
        table.set(Timer::Options, Mono(6));
        table.set(Timer::Options, None);
        assert_eq!(table.next(), Some((Mono(5), Timer::Options)));
        table.stop_all();
        assert_eq!(table.next(), None);
    }

    #[test]
    fn every_purpose_is_said_in_words_of_its_own() {
        for (place, timer) in Timer::ALL.iter().enumerate() {
            assert_eq!(*timer as usize, place, "{timer:?}");
            let same = Timer::ALL.iter().filter(|other| other.purpose() == timer.purpose());
            assert_eq!((same.count(), timer.purpose().is_empty()), (1, false), "{timer:?}");
        }
    }
}
