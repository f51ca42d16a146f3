//! How long each resource ran in each month, and how long it did not.
//!
//! What several nodes say of the same moment is put together: it ran if it ran on one of them; if not, it was down if one of them knows that; else
//! another node was Primary, for all that is known; else nobody knows.

use std::collections::BTreeMap;
use std::io::Write;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use reactor_api::history::{Downtime, HistorySpan};

use super::line::millis;
use crate::exit::Failure;
use crate::style::{BAD, DIM, END, NAME};

/// What holds at a moment, the strongest word first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Here,
    Down { planned: bool },
    Elsewhere,
    Unknown,
}

impl Level {
    fn of(span: &HistorySpan) -> Self {
        match span.state.as_str() {
            "here" => Self::Here,
            "nowhere" => Self::Down { planned: span.planned },
            "elsewhere" => Self::Elsewhere,
            _ => Self::Unknown,
        }
    }
}

/// The sums from `since` to `until`, both Unix time in milliseconds, by resource and month.
pub(super) fn sums(spans: &[HistorySpan], since: u64, until: u64) -> Vec<Downtime> {
    let mut by_resource: BTreeMap<&str, Vec<&HistorySpan>> = BTreeMap::new();
    for span in spans {
        by_resource.entry(&span.resource).or_default().push(span);
    }
    by_resource.into_iter().flat_map(|(resource, spans)| of_resource(resource, &spans, since, until)).collect()
}

fn of_resource(resource: &str, spans: &[&HistorySpan], since: u64, until: u64) -> Vec<Downtime> {
    // By time: which levels begin (+1) and end (-1).
    let mut turns: BTreeMap<u64, Vec<(Level, i64)>> = BTreeMap::new();
    for span in spans {
        let from = millis_of(&span.since).unwrap_or(0).max(since);
        let to = span.until.as_deref().and_then(millis_of).unwrap_or(until).min(until);
        if from < to {
            let level = Level::of(span);
            turns.entry(from).or_default().push((level, 1));
            turns.entry(to).or_default().push((level, -1));
        }
    }
    let mut sums: BTreeMap<String, Downtime> = BTreeMap::new();
    let mut holds: BTreeMap<Level, i64> = BTreeMap::new();
    let mut before: Option<(u64, Option<Level>)> = None;
    let mut was_down = false;
    for (time, turns) in turns {
        if let Some((from, Some(level))) = before {
            add(&mut sums, resource, level, from, time);
        }
        for (level, more) in turns {
            let count = holds.entry(level).or_default();
            *count += more;
            if *count == 0 {
                holds.remove(&level);
            }
        }
        let level = holds.keys().next().copied();
        let is_down = matches!(level, Some(Level::Down { .. }));
        if is_down && !was_down {
            month_of(&mut sums, resource, time).outages += 1;
        }
        // What is between two times without any news is one outage.
        was_down = is_down || (was_down && matches!(level, None | Some(Level::Unknown)));
        before = Some((time, level));
    }
    sums.into_values().collect()
}

fn month_of<'a>(sums: &'a mut BTreeMap<String, Downtime>, resource: &str, time: u64) -> &'a mut Downtime {
    let month = first_of_month(time).map_or_else(String::new, |date| date.strftime("%Y-%m").to_string());
    let new = || Downtime { resource: resource.to_owned(), month: month.clone(), ..Downtime::default() };
    sums.entry(month.clone()).or_insert_with(new)
}

/// Adds the time from `from` to `to`, month by month.
fn add(sums: &mut BTreeMap<String, Downtime>, resource: &str, level: Level, mut from: u64, to: u64) {
    while from < to {
        let end = next_month(from).unwrap_or(to).min(to);
        let sum = month_of(sums, resource, from);
        let length = end - from;
        match level {
            Level::Here | Level::Elsewhere => sum.up_ms += length,
            Level::Down { planned } => {
                sum.down_ms += length;
                sum.planned_ms += if planned { length } else { 0 };
            }
            Level::Unknown => sum.unknown_ms += length,
        }
        from = end;
    }
}

fn millis_of(text: &str) -> Option<u64> {
    let time: Timestamp = text.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok()
}

fn first_of_month(ms: u64) -> Option<Date> {
    let time = Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()?;
    Some(time.to_zoned(TimeZone::UTC).date().first_of_month())
}

fn next_month(ms: u64) -> Option<u64> {
    let next = first_of_month(ms)?.checked_add(1.month()).ok()?;
    u64::try_from(next.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond()).ok()
}

pub(super) fn print(sums: &[Downtime], json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if json {
        for sum in sums {
            let text = serde_json::to_string(sum).map_err(|source| Failure::Answer { source })?;
            writeln!(out, "{text}")?;
        }
        return Ok(());
    }
    if sums.is_empty() {
        writeln!(out, "{DIM}nothing is known of where resources ran then{END}")?;
        return Ok(());
    }
    let width = sums.iter().map(|sum| sum.resource.chars().count()).max().unwrap_or(0).max("RESOURCE".len());
    writeln!(
        out,
        "{DIM}{:<width$}  {:<7}  {:>9}  {:>12}  {:>12}  {:>7}  {:>12}{END}",
        "RESOURCE", "MONTH", "UP", "DOWN", "PLANNED", "OUTAGES", "NOT KNOWN"
    )?;
    for sum in sums {
        let known = sum.up_ms + sum.down_ms;
        // Of what is known; never rounded up to all.
        let up = if known == 0 { "-".to_owned() } else { percent(sum.up_ms, known) };
        let unplanned = sum.down_ms > sum.planned_ms;
        let (on, off) = if unplanned { (BAD.to_string(), END.to_string()) } else { Default::default() };
        writeln!(
            out,
            "{NAME}{:<width$}{END}  {:<7}  {up:>9}  {on}{:>12}{off}  {:>12}  {:>7}  {:>12}",
            sum.resource,
            sum.month,
            millis(sum.down_ms),
            millis(sum.planned_ms),
            sum.outages,
            millis(sum.unknown_ms)
        )?;
    }
    Ok(())
}

fn percent(part: u64, whole: u64) -> String {
    let thousandths = u128::from(part) * 100_000 / u128::from(whole);
    format!("{}.{:03} %", thousandths / 1000, thousandths % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(node: &str, state: &str, since: &str, until: Option<&str>) -> HistorySpan {
        HistorySpan {
            node: node.to_owned(),
            resource: "r0".to_owned(),
            state: state.to_owned(),
            since: since.to_owned(),
            until: until.map(str::to_owned),
            ..HistorySpan::default()
        }
    }

    fn at(text: &str) -> u64 {
        millis_of(text).unwrap()
    }

    #[test]
    fn what_is_down_is_summed_by_month_and_what_nobody_watched_is_neither() {
        let spans = [
            span("n1", "here", "2026-10-31T22:00:00Z", Some("2026-10-31T23:30:00Z")),
            span("n1", "nowhere", "2026-10-31T23:30:00Z", Some("2026-11-01T00:30:00Z")),
            span("n1", "unwatched", "2026-11-01T00:30:00Z", Some("2026-11-01T01:00:00Z")),
            HistorySpan {
                planned: true,
                ..span("n1", "nowhere", "2026-11-01T01:00:00Z", Some("2026-11-01T01:10:00Z"))
            },
            span("n1", "elsewhere", "2026-11-01T01:10:00Z", None),
        ];
        let sums = sums(&spans, 0, at("2026-11-01T02:00:00Z"));
        let minute = 60_000;
        let of = |sum: &Downtime| {
            (
                sum.month.clone(),
                [sum.up_ms, sum.down_ms, sum.planned_ms, sum.unknown_ms].map(|ms| ms / minute),
                sum.outages,
            )
        };
        assert_eq!(
            sums.iter().map(of).collect::<Vec<_>>(),
            [
                ("2026-10".to_owned(), [90, 30, 0, 0], 1),
                // The same outage, as far as anybody knows.
                ("2026-11".to_owned(), [50, 40, 10, 30], 0),
            ]
        );
        let mut out = Vec::new();
        print(&sums, false, &mut out).unwrap();
        let text = anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string();
        expect_test::expect![[r#"
            RESOURCE  MONTH           UP          DOWN       PLANNED  OUTAGES     NOT KNOWN
            r0        2026-10   75.000 %    30 min 0 s          0 ms        1          0 ms
            r0        2026-11   55.555 %    40 min 0 s    10 min 0 s        0    30 min 0 s
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn several_nodes_are_put_together() {
        let (start, end) = ("2026-11-01T00:00:00Z", "2026-11-01T04:00:00Z");
        let spans = [
            // n1 ran it, and died: nobody watched there.
            span("n1", "here", start, Some("2026-11-01T01:00:00Z")),
            span("n1", "unwatched", "2026-11-01T01:00:00Z", None),
            // n2 took over after ten minutes.
            span("n2", "elsewhere", start, Some("2026-11-01T01:00:00Z")),
            span("n2", "nowhere", "2026-11-01T01:00:00Z", Some("2026-11-01T01:10:00Z")),
            span("n2", "here", "2026-11-01T01:10:00Z", None),
            // n3 had lost the others, and knows nothing.
            span("n3", "unknown", start, None),
        ];
        let sums = sums(&spans, 0, at(end));
        assert_eq!((sums[0].up_ms, sums[0].down_ms, sums[0].unknown_ms), (230 * 60_000, 10 * 60_000, 0));
        assert_eq!(sums[0].outages, 1);
    }

    #[test]
    fn only_what_is_asked_for_is_summed() {
        let spans = [span("n1", "nowhere", "2026-11-01T00:00:00Z", None)];
        let sums = sums(&spans, at("2026-11-01T01:00:00Z"), at("2026-11-01T01:30:00Z"));
        assert_eq!((sums.len(), sums[0].down_ms), (1, 30 * 60_000));
        assert_eq!(percent(99_999, 100_000), "99.999 %");
    }
}
