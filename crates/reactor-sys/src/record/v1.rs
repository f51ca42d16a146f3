//! Version 1 of the format, which had one source and knew DRBD resources only. Read, never written.

use reactor_core::ids::ResourceName;
use reactor_core::input::{Dialect, SourceEvent, SourceId};
use reactor_core::operator::{Memory, OperatorRequest, OperatorRequestId, OperatorVerb, WallClock};
use reactor_core::subject::Subject;
use reactor_core::systemd::{BusEvent, UnitNews};
use serde::Deserialize;

use super::wire;
use super::wire::{WireDone, WireHelperCall, with_subjects};

#[derive(Debug, Deserialize)]
pub(crate) struct Snapshot {
    #[serde(default)]
    source: Option<SourceEvent>,
    dialect: Dialect,
    events2: String,
    #[serde(default)]
    units: Vec<UnitNews>,
    #[serde(default)]
    bus: Option<BusEvent>,
    #[serde(default)]
    wall: Option<WallClock>,
    #[serde(default)]
    remembered: Vec<(ResourceName, Memory)>,
}

impl From<Snapshot> for wire::Snapshot {
    fn from(old: Snapshot) -> Self {
        let Snapshot { source, dialect, events2, units, bus, wall, remembered } = old;
        let sources = source.into_iter().map(|event| (SourceId::Drbd, event)).collect();
        Self { sources, dialect, events2, units, bus, wall, remembered: with_subjects(remembered), drained: None }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WireInput {
    Source(SourceEvent),
    Lines(String),
    BurstEnd,
    Done(WireDone),
    HelperCall(WireHelperCall),
    Units(Vec<UnitNews>),
    Bus(BusEvent),
    Wall(WallClock),
    Remembered(Vec<(ResourceName, Memory)>),
    Operator(WireOperator),
    Exit,
    Tick,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct WireOperator {
    request: OperatorRequestId,
    resource: ResourceName,
    verb: OperatorVerb,
    who: String,
}

impl From<WireInput> for wire::WireInput {
    fn from(old: WireInput) -> Self {
        match old {
            WireInput::Source(event) => Self::Source(SourceId::Drbd, event),
            WireInput::Lines(text) => Self::Lines(SourceId::Drbd, text),
            WireInput::BurstEnd => Self::BurstEnd(SourceId::Drbd),
            WireInput::Done(done) => Self::Done(done),
            WireInput::HelperCall(call) => Self::HelperCall(call),
            WireInput::Units(news) => Self::Units(news),
            WireInput::Bus(event) => Self::Bus(event),
            WireInput::Wall(wall) => Self::Wall(wall),
            WireInput::Remembered(memories) => Self::Remembered(with_subjects(memories)),
            WireInput::Operator(WireOperator { request, resource, verb, who }) => {
                Self::Operator(OperatorRequest { request, subject: Subject::Resource(resource), verb, who })
            }
            WireInput::Exit => Self::Exit,
            WireInput::Tick => Self::Tick,
        }
    }
}
