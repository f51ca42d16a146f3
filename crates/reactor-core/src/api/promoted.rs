//! What the promoter says of a resource, as the wire has it.

use reactor_api::PromotedStatus;
use reactor_api::promoted::{
    DecisionStatus, DrbdStatus, HoldStatus, ObstacleStatus, PeerStatus, TroubleStatus, UnitStatus,
};

use crate::action::Reason;
use crate::ids::Mono;
use crate::operator::Hold;
use crate::plugin::promoter::availability::Availability;
use crate::plugin::promoter::obstacle::Obstacle;
use crate::plugin::promoter::report::{PastDecision, PeerReport, ResourceReport, Trouble, UnitReport};

/// How times become text: the daemon's clock, and Unix time.
pub struct Times<'a> {
    /// Of a moment of the daemon's clock.
    pub mono: &'a dyn Fn(Mono) -> String,
    /// Of Unix time in seconds.
    pub unix: &'a dyn Fn(u64) -> String,
}

/// `report` on the wire, without its history. Its peers are in a report about this resource alone.
pub fn promoted(report: &ResourceReport, times: &Times<'_>) -> PromotedStatus {
    PromotedStatus {
        resource: report.resource.to_string(),
        target: report.target.to_string(),
        state: report.state.as_str().to_owned(),
        since: (times.mono)(report.since),
        because: texts(&report.because),
        obstacle: report.obstacle.as_ref().map(obstacle),
        next: report.next.map(times.mono),
        next_for: report.next.map(|_| report.next_for.to_owned()).filter(|what| !what.is_empty()),
        policy: report.policy.to_owned(),
        hold: report.hold.as_ref().map(|hold| self::hold(hold, times)),
        failures: report.failures,
        max_failures: report.max_failures,
        last_failure: report.last_failure.clone(),
        availability: report.availability.as_str().to_owned(),
        optional: (report.optional != Availability::Undef).then(|| report.optional.as_str().to_owned()),
        drbd: Some(DrbdStatus {
            availability: report.drbd.availability.as_str().to_owned(),
            words: report.drbd.words.clone(),
        }),
        degraded: report.degraded.clone(),
        units: report.units.iter().map(UnitStatus::from).collect(),
        standby: report.standby.iter().map(UnitStatus::from).collect(),
        left_out: report.left_out.iter().map(UnitStatus::from).collect(),
        warnings: report.warnings.clone(),
        troubles: report.troubles.iter().map(|trouble| self::trouble(trouble, times)).collect(),
        is_adjusting: report.is_adjusting,
        peers: report.peers.iter().map(peer).collect(),
        history: Vec::new(),
    }
}

/// The same with its history.
pub fn promoted_with_history(report: &ResourceReport, times: &Times<'_>) -> PromotedStatus {
    let history = report.history.iter().map(|past| decision(past, times)).collect();
    PromotedStatus { history, ..promoted(report, times) }
}

fn obstacle(obstacle: &Obstacle) -> ObstacleStatus {
    ObstacleStatus { kind: obstacle.kind.as_str().to_owned(), unit: obstacle.unit.as_ref().map(ToString::to_string) }
}

fn peer(peer: &PeerReport) -> PeerStatus {
    let PeerReport { node, primary, connected, obstacles } = peer.clone();
    PeerStatus { node, primary, connected, obstacles }
}

/// An operator's hold, or a drain, on the wire.
pub fn hold(hold: &Hold, times: &Times<'_>) -> HoldStatus {
    HoldStatus {
        who: hold.who.clone(),
        why: hold.why.clone(),
        since: (hold.since > 0).then(|| (times.unix)(hold.since)),
        stops: hold.stops,
        until_primary: hold.until.as_ref().map(|until| until.peer.clone().unwrap_or_default()),
        restarts: hold.until.as_ref().is_some_and(|until| until.restarts),
        ends: hold.until.as_ref().filter(|until| until.end > 0).map(|until| (times.unix)(until.end)),
    }
}

fn trouble(trouble: &Trouble, times: &Times<'_>) -> TroubleStatus {
    let (kind, since) = (trouble.kind.as_str().to_owned(), (times.mono)(trouble.since));
    TroubleStatus { kind, what: trouble.what.clone(), since }
}

fn decision(past: &PastDecision, times: &Times<'_>) -> DecisionStatus {
    DecisionStatus {
        time: (times.mono)(past.at),
        what: past.what.clone(),
        because: texts(&past.because),
        outcome: past.outcome.clone(),
    }
}

impl From<&UnitReport> for UnitStatus {
    fn from(unit: &UnitReport) -> Self {
        Self {
            unit: unit.unit.to_string(),
            entry: unit.entry.clone(),
            availability: unit.availability.as_str().to_owned(),
            optional: unit.optional,
            unmonitored: !unit.monitored,
            group: unit.group,
            restarts_left: unit.restarts_left,
            active: unit.active.clone(),
            freezer: unit.freezer.clone(),
            result: unit.result.clone(),
        }
    }
}

fn texts(because: &[Reason]) -> Vec<String> {
    because.iter().map(|reason| reason.0.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ResourceName, UnitName};
    use crate::operator::Hold;
    use crate::plugin::promoter::health::DrbdHealth;
    use crate::plugin::promoter::obstacle::ObstacleKind;
    use crate::plugin::promoter::report::{StateWord, TroubleKind};

    #[test]
    fn a_report_is_told_whole_and_reads_back() {
        let report = ResourceReport {
            resource: ResourceName::new("r0"),
            target: UnitName::new("drbd-services@r0.target"),
            state: StateWord::Waiting,
            since: Mono(1_000_000_000),
            because: vec![Reason("may_promote:yes".to_owned())],
            obstacle: Some(Obstacle { kind: ObstacleKind::UnitMasked, unit: Some(UnitName::new("a.service")) }),
            next: Some(Mono(2_000_000_000)),
            next_for: "the delay ends",
            policy: "quorum",
            hold: Some(Hold { who: "root".to_owned(), why: "cabling".to_owned(), since: 0, ..Hold::default() }),
            failures: 1,
            max_failures: 3,
            last_failure: Some("a.service failed".to_owned()),
            availability: Availability::Warn,
            optional: Availability::Undef,
            drbd: DrbdHealth {
                availability: Availability::StandbyUp,
                words: "Secondary UpToDate".to_owned(),
                degraded: Vec::new(),
            },
            degraded: vec!["n2 is not connected: Connecting".to_owned()],
            standby: Vec::new(),
            left_out: Vec::new(),
            units: vec![UnitReport {
                unit: UnitName::new("a.service"),
                entry: "a.service".to_owned(),
                availability: Availability::Down,
                optional: false,
                monitored: true,
                group: None,
                restarts_left: Some(2),
                active: "inactive".to_owned(),
                freezer: "running".to_owned(),
                result: None,
            }],
            warnings: Vec::new(),
            troubles: vec![Trouble {
                kind: TroubleKind::IoHangs,
                what: "its I/O hangs".to_owned(),
                since: Mono(700_000_000),
            }],
            is_adjusting: true,
            peers: Vec::new(),
            history: vec![PastDecision {
                at: Mono(500_000_000),
                what: "start a.service".to_owned(),
                because: vec![Reason("it was asked for".to_owned())],
                outcome: None,
            }],
        };
        let times = Times { mono: &|at| at.to_string(), unix: &|s| s.to_string() };
        let short = promoted(&report, &times);
        assert!(short.history.is_empty());
        let long = promoted_with_history(&report, &times);
        let json = serde_json::to_string(&long).unwrap();
        expect_test::expect![[r#"{"resource":"r0","target":"drbd-services@r0.target","state":"waiting","since":"1.000s","because":["may_promote:yes"],"obstacle":{"kind":"unit-masked","unit":"a.service"},"next":"2.000s","next-for":"the delay ends","policy":"quorum","hold":{"who":"root","why":"cabling"},"failures":1,"max-failures":3,"last-failure":"a.service failed","availability":"warn","drbd":{"availability":"stdby up","words":"Secondary UpToDate"},"degraded":["n2 is not connected: Connecting"],"units":[{"unit":"a.service","entry":"a.service","availability":"down","restarts-left":2,"active":"inactive","freezer":"running"}],"troubles":[{"kind":"io-hangs","what":"its I/O hangs","since":"0.700s"}],"is-adjusting":true,"history":[{"time":"0.500s","what":"start a.service","because":["it was asked for"]}]}"#]].assert_eq(&json);
        assert_eq!(serde_json::from_str::<PromotedStatus>(&json).unwrap(), long);
    }
}
