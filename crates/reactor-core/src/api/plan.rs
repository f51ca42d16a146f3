//! What a promoted resource would do, as the wire has it.

use std::time::Duration;

use reactor_api::PlanStatus;
use reactor_api::plan::PlanStep;

use crate::plugin::promoter::forecast::{Forecast, Step};

/// `forecast`, asked at `now`, on the wire.
pub fn plan(forecast: &Forecast, now: String) -> PlanStatus {
    PlanStatus {
        resource: forecast.resource.to_string(),
        node: forecast.node.clone(),
        event: forecast.event.as_ref().map(ToString::to_string),
        now,
        noticed_within_ms: forecast.noticed_within.map(ms),
        does: forecast.does.as_str().to_owned(),
        in_ms: forecast.does.after().map(ms),
        steps: forecast.steps.iter().map(step).collect(),
        ends: forecast.ends.as_str().to_owned(),
        primary: forecast.primary.clone(),
        assumed: forecast.assumed.clone(),
        unknown: forecast.unknown.clone(),
    }
}

fn step(step: &Step) -> PlanStep {
    PlanStep {
        in_ms: ms(step.after),
        state: step.state.as_str().to_owned(),
        action: step.action.as_ref().map(|(_, what)| what.clone()),
        because: step.because.iter().map(|reason| reason.0.clone()).collect(),
        next_in_ms: step.next.map(|(after, _)| ms(after)),
        next_for: step.next.map(|(_, what)| what.to_owned()),
    }
}

fn ms(after: Duration) -> u64 {
    u64::try_from(after.as_millis()).unwrap_or(u64::MAX)
}
