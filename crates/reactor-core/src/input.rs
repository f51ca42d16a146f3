//! Everything that can happen to the core. One closed enum: readers see at once what there is, and the recorder writes just this.

use serde::{Deserialize, Serialize};

use crate::action::{Done, HelperCall};
use crate::ids::ResourceName;
use crate::operator::{Memory, OperatorRequest, WallClock};
use crate::systemd::{BusEvent, UnitNews};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// News of the program that tells us of DRBD.
    Source(SourceEvent),
    /// Whole lines of events2, each with its line end. Bytes that are not UTF-8 were replaced by U+FFFD.
    Lines(String),
    /// The source has been silent long enough: the burst is over. Also sent when a burst reaches its bound.
    BurstEnd,
    /// An action came back.
    Done(Done),
    /// DRBD asks for a helper.
    HelperCall(HelperCall),
    /// Units changed, or were read for the first time since the bus was last down.
    Units(Vec<UnitNews>),
    /// News of the bus on which systemd is spoken to.
    Bus(BusEvent),
    /// What the wall clock shows now.
    Wall(WallClock),
    /// What was remembered from before a restart. Told once, before the first [`SourceEvent`].
    Remembered(Vec<(ResourceName, Memory)>),
    /// An operator asks for something.
    Operator(OperatorRequest),
    /// The daemon is about to end: the last chance to do what the settings want done at exit.
    Exit,
    /// Nothing happened but time: a deadline may have come.
    Tick,
}

/// News of the program that tells us of DRBD.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum SourceEvent {
    /// It was started and will print a full dump first. The dump is built aside until its `exists -`.
    Started {
        /// The command, or the recording that is played.
        command: String,
        /// What its lines can say.
        dialect: Dialect,
    },
    /// It ended; what we know is stale until the next dump.
    Ended {
        /// Why, for the log and the status.
        why: String,
    },
}

/// What an events2 stream can say; decided by the version of the kernel module.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// DRBD 9: with `--full`, a line has every key of its object.
    #[default]
    Drbd9,
    /// DRBD 8.4: no `may_promote`, no quorum, one peer; a line has only the keys that changed.
    Drbd84,
}
