//! What changed from one picture of a resource to the next, as lines.

use std::collections::BTreeMap;
use std::time::Instant;

use reactor_api::PromotedStatus;
use reactor_api::promoted::UnitStatus;

use super::Line;

/// What was told of a resource.
#[derive(Default)]
pub(crate) struct Follow {
    before: Option<PromotedStatus>,
    /// Since when units are on their way.
    since: BTreeMap<String, Instant>,
    /// What has come up.
    pub(crate) started: Vec<String>,
    /// What has gone down again after it came up.
    pub(crate) went_down: Vec<String>,
}

fn name(unit: &UnitStatus) -> &str {
    if unit.entry.is_empty() { &unit.unit } else { &unit.entry }
}

/// What DRBD has here: `Primary UpToDate`.
fn drbd(report: &PromotedStatus) -> &str {
    report.drbd.as_ref().map_or("", |drbd| drbd.words.as_str())
}

fn role(report: &PromotedStatus) -> &str {
    drbd(report).split([' ', ';']).next().unwrap_or_default()
}

impl Follow {
    /// What is new in it.
    pub(crate) fn next(&mut self, now: Instant, report: &PromotedStatus) -> Vec<Line> {
        let mut lines = Vec::new();
        match self.before.take() {
            None => self.first(report, &mut lines),
            Some(before) => self.changed(now, &before, report, &mut lines),
        }
        self.before = Some(report.clone());
        lines
    }

    fn first(&mut self, report: &PromotedStatus, lines: &mut Vec<Line>) {
        let about = format!("drbd:{}", report.resource);
        match role(report) {
            "" => {}
            "Primary" => lines.push(Line::info(&about, format!("already {}", drbd(report)))),
            _ => lines.push(Line::info(&about, drbd(report))),
        }
        let up = report.units.iter().filter(|unit| unit.active == "active");
        lines.extend(up.map(|unit| Line::info(name(unit), "already active")));
        let left_out = report.left_out.iter();
        lines.extend(left_out.map(|unit| Line::info(name(unit), "left out: disabled on this node")));
    }

    fn changed(&mut self, now: Instant, before: &PromotedStatus, report: &PromotedStatus, lines: &mut Vec<Line>) {
        let about = format!("drbd:{}", report.resource);
        if before.state != report.state {
            match report.state.as_str() {
                "starting" if role(report) != "Primary" => {
                    lines.push(Line::info(&about, format!("run: drbdsetup primary {}", report.resource)));
                }
                "waiting" | "preparing" | "blocked" => {
                    let why = report.because.join("; ");
                    lines.push(Line::info(&report.resource, format!("{}: {why}", report.state)));
                }
                _ => {}
            }
        }
        if role(before) != role(report) && !role(report).is_empty() {
            lines.push(Line::info(&about, drbd(report)));
        }
        for unit in &report.units {
            let was = before.units.iter().find(|before| before.unit == unit.unit);
            let was = was.map_or("inactive", |was| was.active.as_str());
            if was != unit.active {
                self.unit(now, was, unit, lines);
            }
        }
        let new = report.warnings.iter().filter(|warning| !before.warnings.contains(warning));
        lines.extend(new.map(|warning| Line::warn(&report.resource, warning.clone())));
    }

    fn unit(&mut self, now: Instant, was: &str, unit: &UnitStatus, lines: &mut Vec<Line>) {
        let about = name(unit);
        let is_on_its_way = |active: &str| matches!(active, "activating" | "deactivating");
        let began = if is_on_its_way(was) { self.since.remove(&unit.unit) } else { None };
        let took = began.map(|began| format!(" after {:.1} s", now.duration_since(began).as_secs_f64()));
        let took = took.unwrap_or_default();
        match unit.active.as_str() {
            "activating" | "deactivating" => {
                let verb = if unit.active == "activating" { "start" } else { "stop" };
                self.since.insert(unit.unit.clone(), now);
                lines.push(Line::info(about, format!("{verb} {}", unit.unit)));
            }
            "active" => {
                if !is_on_its_way(was) {
                    lines.push(Line::info(about, format!("start {}", unit.unit)));
                }
                self.started.push(about.to_owned());
                lines.push(Line::info(about, format!("active{took}")));
            }
            "failed" => {
                let result = unit.result.as_deref().unwrap_or("failed");
                let text = format!("failed{took}: {result}");
                lines.push(if unit.optional { Line::warn(about, text) } else { Line::error(about, text) });
                self.went_down.push(about.to_owned());
            }
            "inactive" => {
                if !is_on_its_way(was) && was != "failed" {
                    lines.push(Line::info(about, format!("stop {}", unit.unit)));
                }
                lines.push(Line::info(about, format!("stopped{took}")));
                self.went_down.push(about.to_owned());
            }
            other => lines.push(Line::info(about, other.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use expect_test::expect;
    use reactor_api::promoted::DrbdStatus;

    use super::*;

    fn picture(state: &str, drbd: &str, units: &[(&str, &str)]) -> PromotedStatus {
        let unit = |(entry, active): &(&str, &str)| UnitStatus {
            unit: format!("{entry}.service"),
            entry: (*entry).to_owned(),
            active: (*active).to_owned(),
            result: (*active == "failed").then(|| "exit-code".to_owned()),
            ..UnitStatus::default()
        };
        PromotedStatus {
            resource: "data".to_owned(),
            state: state.to_owned(),
            drbd: Some(DrbdStatus { words: drbd.to_owned(), ..DrbdStatus::default() }),
            units: units.iter().map(unit).collect(),
            ..PromotedStatus::default()
        }
    }

    fn told(pictures: &[PromotedStatus]) -> String {
        let (mut follow, mut now, mut text) = (Follow::default(), Instant::now(), String::new());
        for picture in pictures {
            now += Duration::from_secs(1);
            for line in follow.next(now, picture) {
                text.push_str(&format!("{:<10} {:<5} {}\n", line.about, line.level.word(), line.text));
            }
        }
        text
    }

    #[test]
    fn a_start_is_told_step_by_step() {
        let down = "Secondary UpToDate; deb2: UpToDate";
        let up = "Primary UpToDate; deb2: UpToDate";
        expect![[r#"
            drbd:data  info  Secondary UpToDate; deb2: UpToDate
            drbd:data  info  run: drbdsetup primary data
            drbd:data  info  Primary UpToDate; deb2: UpToDate
            fs         info  start fs.service
            fs         info  active after 1.0 s
            foo        info  start foo.service
            foo        info  active
        "#]]
        .assert_eq(&told(&[
            picture("standby", down, &[("fs", "inactive"), ("foo", "inactive")]),
            picture("starting", down, &[("fs", "inactive"), ("foo", "inactive")]),
            picture("starting", up, &[("fs", "activating"), ("foo", "inactive")]),
            picture("starting", up, &[("fs", "active"), ("foo", "inactive")]),
            picture("running", up, &[("fs", "active"), ("foo", "active")]),
        ]));
    }

    #[test]
    fn what_is_so_already_is_said_and_nothing_else() {
        expect![[r#"
            drbd:data  info  already Primary UpToDate
            fs         info  already active
        "#]]
        .assert_eq(&told(&[
            picture("running", "Primary UpToDate", &[("fs", "active")]),
            picture("running", "Primary UpToDate", &[("fs", "active")]),
        ]));
    }

    #[test]
    fn a_failure_and_the_way_back_are_told() {
        let up = "Primary UpToDate";
        expect![[r#"
            drbd:data  info  already Primary UpToDate
            fs         info  start fs.service
            fs         info  active
            foo        error failed: exit-code
            fs         info  stop fs.service
            drbd:data  info  Secondary UpToDate
            fs         info  stopped after 1.0 s
        "#]]
        .assert_eq(&told(&[
            picture("starting", up, &[("fs", "inactive"), ("foo", "inactive")]),
            picture("starting", up, &[("fs", "active"), ("foo", "inactive")]),
            picture("stopping", up, &[("fs", "active"), ("foo", "failed")]),
            picture("stopping", up, &[("fs", "deactivating"), ("foo", "failed")]),
            picture("standby", "Secondary UpToDate", &[("fs", "inactive"), ("foo", "failed")]),
        ]));
    }
}
