//! Prometheus' own checker on the text. It is in Debian's package `prometheus`.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use reactor_core::action::{HandlerEnd, HandlerReport, Outcome};
use reactor_core::core::Core;
use reactor_core::input::Dialect;
use reactor_core::metrics::health::{
    DrbdVersions, HistoryHealth, OtherSourceHealth, PluginHealth, PromotedHealth, QueueHealth, ReceiverHealth,
    RecorderHealth,
};
use reactor_core::metrics::{Body, Choice, Described, Enums, Extent, Health, Kind, Sheet, catalogue};
use reactor_core::plugin::Counter;

use crate::docs::expressions;
use crate::{EVERYTHING, core, format};

/// Names that drbd-reactor gave, which we keep although today's customs have others. Nothing else may be flagged.
const INHERITED: &[&str] = &["drbd_peerdevice_sent_bytes", "drbd_peerdevice_received_bytes"];

/// Says by name what is not tested here and why; in CI nothing may be missing.
#[expect(clippy::disallowed_methods, reason = "CI is told by its environment")]
fn skip(what: &str, why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what} is needed in CI: {why}");
    println!("SKIPPED: {what}: {why}");
}

/// A health in which everything has a sample.
pub(crate) fn health(core: &Core) -> Health {
    let counter = |label: &str| Counter {
        name: "handlers_dropped",
        help: "Handlers that were not run.",
        labels: vec![("rule", label.to_owned())],
        value: 3,
    };
    let mut health = Health {
        version: "1.2.3".to_owned(),
        started_s: 1_790_000_000.25,
        drbd: Some(DrbdVersions { kmod: "9.3.3".to_owned(), utils: "9.34.0".to_owned() }),
        loop_events: vec![("source", 7)],
        queues: vec![QueueHealth { name: "source", depth: Some(1), limit: 16, dropped: Some(0) }],
        receivers: vec![ReceiverHealth {
            name: "on-call".to_owned(),
            up: true,
            waiting: 2,
            ..ReceiverHealth::default()
        }],
        notify_disk_up: Some(true),
        recorder: Some(RecorderHealth { up: true, written: 7, lost: 0 }),
        history: Some(HistoryHealth { up: true, written: 9, lost: 1 }),
        control_up: Some(true),
        leftovers: Some(2),
        ..Health::default()
    };
    health.fill_from(core);
    health.plugins = (1..3)
        .map(|id| PluginHealth {
            id,
            kind: "umh",
            table: format!("/etc/umh.toml:{id}"),
            up: true,
            counters: vec![counter("umh.resource #1"), counter("a \"rule\"")],
        })
        .collect();
    let promoted = |name: &str, state| PromotedHealth { name: name.to_owned(), state, ..PromotedHealth::default() };
    health.promoted = vec![promoted("r1", "running"), promoted("r2", "blocked")];
    health.systemd_up = Some(true);
    health.http.web_config_ok = Some(true);
    health.http.certificate_ends_s = Some(1_800_000_000.0);
    health.source.up = true;
    health.source.since_s = Some(1.0);
    health.config.ok = true;
    health.config.last_reload_s = Some(1.0);
    health.config.drifted_files = Some(0);
    health.handlers.count_start();
    let end = HandlerEnd::Exited(0);
    let (stdout, stderr) = (String::new(), String::new());
    health.sources = vec![OtherSourceHealth { name: "uevents", up: true, overruns: 1, not_understood: 1 }];
    health.uevents = vec![("block".to_owned(), "change".to_owned(), 1)];
    health.handlers.count_end(&Outcome::Handler(HandlerReport {
        end,
        took: Duration::from_millis(1500),
        stdout,
        stderr,
        output_cut_bytes: 0,
    }));
    health
}

fn everything(enums: Enums) -> String {
    let core = core(Dialect::Drbd9, EVERYTHING);
    let snapshot = Sheet::new(Choice { enums, extent: Extent::All }).refresh(&core.node().snapshot());
    String::from_utf8(Body::new(snapshot, &health(&core)).to_text()).unwrap()
}

#[test]
fn every_metric_of_the_catalogue_is_really_written() {
    let text = everything(Enums::On);
    // Each with exactly the labels of its row.
    let all = catalogue();
    for (series, _) in format::read(&text) {
        let of = |family: &&Described| match family.kind {
            Kind::Summary => {
                series.name.strip_prefix(family.name).is_some_and(|rest| ["_sum", "_count"].contains(&rest))
            }
            Kind::Gauge | Kind::Counter => series.name == family.name,
        };
        let Some(family) = all.iter().find(of) else {
            assert_eq!(series.name, "storage_reactor_umh_handlers_dropped_total");
            continue;
        };
        let labels: Vec<&str> = series.labels.iter().map(|(label, _)| label.as_str()).collect();
        assert_eq!(labels, family.labels, "{}", family.name);
    }
    let written: Vec<(&str, &str)> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let mut expected: Vec<(&str, &str)> = all.iter().map(|f| (f.name, f.kind.as_str())).collect();
    expected.push(("storage_reactor_umh_handlers_dropped_total", "counter"));
    assert_eq!(written, expected);
}

/// What promtool says of `input`, and whether it is content; `None` = there is no promtool.
#[expect(clippy::disallowed_methods, reason = "promtool is a program")]
pub(crate) fn promtool(args: &[&str], input: &str) -> Option<(String, bool)> {
    let started =
        Command::new("promtool").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            skip("promtool", &error.to_string());
            return None;
        }
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    Some((said, output.status.success()))
}

#[test]
fn promtool_flags_inherited_names_only() {
    for enums in [Enums::Off, Enums::On] {
        let Some((said, _)) = promtool(&["check", "metrics"], &everything(enums)) else { return };
        let flagged: BTreeSet<&str> = said.lines().map(|line| line.split(' ').next().unwrap_or_default()).collect();
        assert_eq!(flagged, INHERITED.iter().copied().collect(), "{said}");
    }
}

#[test]
fn promtool_understands_the_expressions_of_the_page() {
    let mut rules = "groups:\n- name: page\n  rules:\n".to_owned();
    for (number, expression) in expressions().iter().enumerate() {
        rules += &format!("  - record: page:expression:{number}\n    expr: >-\n      {expression}\n");
    }
    let Some((said, ok)) = promtool(&["check", "rules", "/dev/stdin"], &rules) else { return };
    assert!(ok, "{said}");
}
