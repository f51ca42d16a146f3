//! What the promoter says of a resource, on the wire.

use serde::{Deserialize, Serialize};

use crate::action::Reason;
use crate::ids::Mono;
use crate::plugin::promoter::report::{PastDecision, ResourceReport, Trouble, UnitReport};

/// One promoted resource.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct PromotedStatus {
    /// The resource.
    pub resource: String,
    /// Its target: `drbd-services@NAME.target`.
    pub target: String,
    /// What holds, in one word: `preparing`, `standby`, `waiting`, `starting`, `running`, `stopping`, `frozen`, `blocked`, `held`,
    /// `unmanaged`.
    pub state: String,
    /// Since when, RFC 3339 in UTC.
    pub since: String,
    /// Why it is so, in the order in which it was reasoned.
    pub because: Vec<String>,
    /// When it is judged again at the latest without any news, RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// What is due then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_for: Option<String>,
    /// `quorum`, `fencing`, `alone`, `none`, or `unknown` while DRBD's options have not been read.
    pub policy: String,
    /// The operator's hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldStatus>,
    /// Failures of its services here within the failure window.
    pub failures: u32,
    /// `max-failures`; 0 = never blocked.
    pub max_failures: u32,
    /// What failed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
    /// Its units in order.
    pub units: Vec<UnitStatus>,
    /// What a person should look at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What is wrong although the state does not say so: a person must act.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<TroubleStatus>,
    /// An adjust brings it up just now: what its links and disks look like meanwhile says nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_adjusting: bool,
    /// The last decisions, oldest first. In the answer to `Why` only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<DecisionStatus>,
}

/// An operator's hold.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct HoldStatus {
    /// Who asked for it.
    pub who: String,
    /// Why, in the operator's words.
    pub why: String,
    /// Since when, RFC 3339 in UTC; absent if the clock was not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// One unit of a promoted resource.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct UnitStatus {
    /// Its name.
    pub unit: String,
    /// systemd's `ActiveState`; `unknown` if systemd has not told.
    pub active: String,
    /// systemd's `FreezerState`.
    pub freezer: String,
    /// systemd's `Result`, if it is not `success`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

/// Something that is wrong although the state does not say so.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct TroubleStatus {
    /// Which kind: `io-hangs`, `runs-nowhere`, `outside-target`, `left-behind`.
    pub kind: String,
    /// What, in one sentence.
    pub what: String,
    /// Since when, RFC 3339 in UTC.
    pub since: String,
}

/// One decision of the past.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct DecisionStatus {
    /// When, RFC 3339 in UTC.
    pub time: String,
    /// What was decided.
    pub what: String,
    /// Why.
    pub because: Vec<String>,
    /// How it ended; absent while it has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

/// How times become text: the daemon's clock, and Unix time.
pub struct Times<'a> {
    /// Of a moment of the daemon's clock.
    pub mono: &'a dyn Fn(Mono) -> String,
    /// Of Unix time in seconds.
    pub unix: &'a dyn Fn(u64) -> String,
}

impl PromotedStatus {
    /// `report` on the wire, without its history.
    pub fn new(report: &ResourceReport, times: &Times<'_>) -> Self {
        Self {
            resource: report.resource.to_string(),
            target: report.target.to_string(),
            state: report.state.as_str().to_owned(),
            since: (times.mono)(report.since),
            because: texts(&report.because),
            next: report.next.map(times.mono),
            next_for: report.next.map(|_| report.next_for.to_owned()).filter(|what| !what.is_empty()),
            policy: report.policy.to_owned(),
            hold: report.hold.as_ref().map(|hold| HoldStatus {
                who: hold.who.clone(),
                why: hold.why.clone(),
                since: (hold.since > 0).then(|| (times.unix)(hold.since)),
            }),
            failures: report.failures,
            max_failures: report.max_failures,
            last_failure: report.last_failure.clone(),
            units: report.units.iter().map(UnitStatus::from).collect(),
            warnings: report.warnings.clone(),
            troubles: report.troubles.iter().map(|trouble| TroubleStatus::new(trouble, times)).collect(),
            is_adjusting: report.is_adjusting,
            history: Vec::new(),
        }
    }

    /// The same with its history.
    pub fn with_history(report: &ResourceReport, times: &Times<'_>) -> Self {
        let history = report.history.iter().map(|past| DecisionStatus::new(past, times)).collect();
        Self { history, ..Self::new(report, times) }
    }
}

impl TroubleStatus {
    fn new(trouble: &Trouble, times: &Times<'_>) -> Self {
        let (kind, since) = (trouble.kind.as_str().to_owned(), (times.mono)(trouble.since));
        Self { kind, what: trouble.what.clone(), since }
    }
}

impl DecisionStatus {
    fn new(past: &PastDecision, times: &Times<'_>) -> Self {
        Self {
            time: (times.mono)(past.at),
            what: past.what.clone(),
            because: texts(&past.because),
            outcome: past.outcome.clone(),
        }
    }
}

impl From<&UnitReport> for UnitStatus {
    fn from(unit: &UnitReport) -> Self {
        Self {
            unit: unit.unit.to_string(),
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
    use crate::plugin::promoter::report::{StateWord, TroubleKind};

    #[test]
    fn a_report_is_told_whole_and_reads_back() {
        let report = ResourceReport {
            resource: ResourceName::new("r0"),
            target: UnitName::new("drbd-services@r0.target"),
            state: StateWord::Waiting,
            since: Mono(1_000_000_000),
            because: vec![Reason("may_promote:yes".to_owned())],
            next: Some(Mono(2_000_000_000)),
            next_for: "the delay ends",
            policy: "quorum",
            hold: Some(Hold { who: "root".to_owned(), why: "cabling".to_owned(), since: 0 }),
            failures: 1,
            max_failures: 3,
            last_failure: Some("a.service failed".to_owned()),
            units: vec![UnitReport {
                unit: UnitName::new("a.service"),
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
            history: vec![PastDecision {
                at: Mono(500_000_000),
                what: "start a.service".to_owned(),
                because: vec![Reason("it was asked for".to_owned())],
                outcome: None,
            }],
        };
        let times = Times { mono: &|at| at.to_string(), unix: &|s| s.to_string() };
        let short = PromotedStatus::new(&report, &times);
        assert!(short.history.is_empty());
        let long = PromotedStatus::with_history(&report, &times);
        let json = serde_json::to_string(&long).unwrap();
        expect_test::expect![[r#"{"resource":"r0","target":"drbd-services@r0.target","state":"waiting","since":"1.000s","because":["may_promote:yes"],"next":"2.000s","next-for":"the delay ends","policy":"quorum","hold":{"who":"root","why":"cabling"},"failures":1,"max-failures":3,"last-failure":"a.service failed","units":[{"unit":"a.service","active":"inactive","freezer":"running"}],"troubles":[{"kind":"io-hangs","what":"its I/O hangs","since":"0.700s"}],"is-adjusting":true,"history":[{"time":"0.500s","what":"start a.service","because":["it was asked for"]}]}"#]].assert_eq(&json);
        assert_eq!(serde_json::from_str::<PromotedStatus>(&json).unwrap(), long);
    }
}
