//! What a forecast says.

use std::time::Duration;

use reactor_api::words::Event;

use crate::action::{Call, DrbdCall, Reason};
use crate::ids::ResourceName;
use crate::systemd::UnitVerb;

use super::super::machine::Machine;
use super::super::report::StateWord;
use super::Asked;

/// What would come of a resource on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// The resource.
    pub resource: ResourceName,
    /// This node.
    pub node: String,
    /// What happens first; `None` = nothing.
    pub event: Option<Event>,
    /// Within which time DRBD notices the event, by `ping-int` and `ping-timeout`; `None` = that is not how it is noticed, or they are not known.
    pub noticed_within: Option<Duration>,
    /// What comes of it, in short.
    pub does: Does,
    /// What happens, in order; the first is how it is at the beginning.
    pub steps: Vec<Step>,
    /// How far it was followed.
    pub ends: Ends,
    /// The peers that are Primary in the end.
    pub primary: Vec<String>,
    /// What was assumed, one sentence each.
    pub assumed: Vec<String>,
    /// What is not known here, one sentence each.
    pub unknown: Vec<String>,
}

/// What comes of it, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// Its services are started, after this time.
    Starts(Duration),
    /// They are stopped.
    Stops(Duration),
    /// They are frozen.
    Freezes(Duration),
    /// They run, and go on.
    Runs,
    /// They are frozen, and stay so.
    Frozen,
    /// Nothing runs, and nothing is started.
    Nothing,
    /// This node itself is what goes down.
    Down,
}

impl Does {
    /// By the steps after the beginning, and how it stands in the end.
    pub(super) fn of(steps: &[Step], last: StateWord) -> Self {
        let first = steps.iter().find_map(|step| match step.action.as_ref()?.0 {
            Did::Start => Some(Self::Starts(step.after)),
            Did::Stop => Some(Self::Stops(step.after)),
            Did::Freeze => Some(Self::Freezes(step.after)),
            Did::Restart | Did::Thaw | Did::Other => None,
        });
        first.unwrap_or(match last {
            StateWord::Frozen => Self::Frozen,
            state if state.is_up() => Self::Runs,
            _ => Self::Nothing,
        })
    }

    /// As JSON spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starts(_) => "starts",
            Self::Stops(_) => "stops",
            Self::Freezes(_) => "freezes",
            Self::Runs => "runs",
            Self::Frozen => "frozen",
            Self::Nothing => "nothing",
            Self::Down => "down",
        }
    }

    /// When.
    pub fn after(self) -> Option<Duration> {
        match self {
            Self::Starts(after) | Self::Stops(after) | Self::Freezes(after) => Some(after),
            Self::Runs | Self::Frozen | Self::Nothing | Self::Down => None,
        }
    }
}

/// How far a forecast goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Nothing more happens by itself.
    Settled,
    /// It would go on, and was followed no further.
    Bound,
}

impl Ends {
    /// As JSON spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Bound => "bound",
        }
    }
}

/// One step of a forecast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// After which time.
    pub after: Duration,
    /// How the resource stands.
    pub state: StateWord,
    /// What is asked for; `None` = it only stands differently from then on.
    pub action: Option<(Did, String)>,
    /// Why.
    pub because: Vec<Reason>,
    /// When it is judged again without news, and what for.
    pub next: Option<(Duration, &'static str)>,
}

/// What kind of thing is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    /// What is down is started.
    Start,
    /// Something is started among what runs.
    Restart,
    /// All is stopped.
    Stop,
    /// Units are frozen.
    Freeze,
    /// Units are thawed.
    Thaw,
    /// Something of DRBD, for example an adjust.
    Other,
}

impl Did {
    /// What a call is to people; `None` = it only reads, or is routine.
    pub(super) fn of(asked: &Asked, call: &Call, machine: &Machine) -> Option<(Self, String)> {
        let name = &machine.name;
        match asked {
            Asked::Unit(unit, verb) => {
                let did = match verb {
                    // What it saves is some time of the first start; and what runs on a Secondary is beside the question.
                    UnitVerb::Start | UnitVerb::Stop if *unit != machine.set.target => return None,
                    UnitVerb::Start if machine.start_list.restart().is_empty() => Self::Start,
                    UnitVerb::Start => Self::Restart,
                    UnitVerb::Stop => Self::Stop,
                    UnitVerb::Freeze => Self::Freeze,
                    UnitVerb::Thaw => Self::Thaw,
                };
                Some((did, format!("{} {unit}", verb.as_str())))
            }
            Asked::Drbd(DrbdCall::Options | DrbdCall::LowerDevices)
            | Asked::Files
            | Asked::Examine
            | Asked::Sync
            | Asked::Preempted => None,
            Asked::Drbd(call @ (DrbdCall::SecondaryForce | DrbdCall::Connect { .. })) => {
                Some((Self::Other, format!("drbdsetup {} {name}", call.as_str())))
            }
            Asked::Drbd(call @ (DrbdCall::Adjust | DrbdCall::AdjustLinks)) => {
                Some((Self::Other, format!("drbdadm {} {name}", call.as_str())))
            }
            Asked::Command { starts } => {
                let Call::Handler(run) = call else { return None };
                Some((if *starts { Self::Start } else { Self::Stop }, format!("run: {}", run.command)))
            }
        }
    }
}
