//! Everything that can happen to the core. One closed enum: readers see at once what there is, and the recorder writes just this.

use std::sync::Arc;

use reactor_storage::incidents::Incident;
use reactor_storage::pipeline::Told;
use serde::{Deserialize, Serialize};

use crate::action::{Done, HelperCall};
use crate::history::Severity;
use crate::ids::ResourceName;
use crate::kernel_log::SplitBrainLine;
use crate::operator::{Hold, Memory, OperatorRequest, WallClock};
use crate::subject::Subject;
use crate::systemd::{BusEvent, UnitNews};
use crate::uevent::Uevent;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A source began or ended.
    Source(SourceId, SourceEvent),
    /// Whole lines of a source that prints lines ([`SourceId::Drbd`]: events2), each with its line end. Bytes that are not UTF-8 were replaced by
    /// U+FFFD.
    Lines(SourceId, String),
    /// That source has been silent long enough: its burst is over. Also sent when a burst reaches its bound.
    BurstEnd(SourceId),
    /// What a source says that prints no lines of DRBD, at most [`MAX_RECORDS`] at once.
    Records(SourceId, Vec<Record>),
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
    /// Whether an operator has drained this node: what was remembered of it from before a restart. Told once, before [`Remembered`](Self::Remembered).
    Drained(Option<Hold>),
    /// Storage incidents that were open when a daemon before this one ended. Told once, whenever the disk has answered.
    Incidents(Vec<Arc<Incident>>, Boot),
    /// What receivers of notices were told before a restart and what stood then, by the name of the receiver. Told once, whenever the disk has answered.
    Standing(Vec<(String, Vec<String>)>),
    /// The daemon says something of itself.
    Said(Said),
    /// An operator asks for something.
    Operator(OperatorRequest),
    /// The daemon is about to end: the last chance to do what the settings want done at exit.
    Exit,
    /// Nothing happened but time: a deadline may have come.
    Tick,
}

/// What the daemon says of itself for the history, and for people: it starts, it is asked to end, it has other settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Said {
    /// How bad it is.
    pub severity: Severity,
    /// What, as a short sentence without a full stop.
    pub what: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
}

/// Whether something is from this boot of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Boot {
    /// It is.
    This,
    /// The machine has booted since.
    Another,
}

/// Who tells the core of something. Each source has its own begin and end, and its own bursts: what one of them does makes no other stale.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceId {
    /// `drbdsetup events2`: lines, which come in bursts.
    Drbd,
    /// The kernel's uevents: records.
    Uevents,
    /// The kernel's log: records.
    KernelLog,
    /// What the kernel and the storage tools log about storage, as events.
    Storage,
}

impl SourceId {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Drbd, Self::Uevents, Self::KernelLog, Self::Storage];

    /// The word as status, metrics and recordings spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Drbd => "drbd",
            Self::Uevents => "uevents",
            Self::KernelLog => "kernel-log",
            Self::Storage => "storage",
        }
    }
}

/// A source began or ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum SourceEvent {
    /// It was started. That of DRBD will print a full dump first, which is built aside until its `exists -`.
    Started {
        /// The command, or the recording that is played.
        command: String,
        /// What the lines of DRBD's source can say; `None` for other sources.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dialect: Option<Dialect>,
    },
    /// It ended; what we know from it is stale until it begins again.
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

/// So many records are told at once. A source that has more tells them in several inputs.
pub const MAX_RECORDS: usize = 64;

/// One thing that a source says which prints no lines of DRBD. It is complete in itself: it belongs to no burst, and no decision from levels waits
/// for it. Whoever makes one keeps its texts short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Record {
    /// What it is about.
    pub subject: Subject,
    /// What was said.
    pub fact: Fact,
}

/// What a [`Record`] says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// The source could not keep up: something was lost.
    Lost {
        /// How much; `None` = nobody knows.
        count: Option<u64>,
    },
    /// What it reads from has left something out: the kernel prints the same at most so often (`callbacks suppressed`).
    Suppressed {
        /// What of: the function of the kernel.
        function: String,
        /// How much.
        count: u64,
    },
    /// The source said something that this version does not understand.
    NotUnderstood {
        /// Why, in a few words.
        why: String,
    },
    /// The kernel said something of a device.
    Uevent(Uevent),
    /// DRBD wrote into the kernel's log that it has found a split brain, or that one is over.
    SplitBrain(SplitBrainLine),
    /// Something happened to storage, or went on.
    Storage(Box<Told>),
    /// What the source has said so far is of an earlier boot of this machine.
    Booted,
}
