//! A cluster whose daemons follow a recording and are scraped by a Prometheus that does not exist: what it would have, for `promtool test rules`.
//!
//! Recordings are short and alerts wait for minutes. So a story is told in pieces: the recording goes on to a moment, and then that state holds for
//! a while.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use reactor_core::core::Core;
use reactor_core::ids::Mono;
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};
use reactor_core::metrics::{Body, Choice, Health, Sheet};

/// The rules of `dist/`.
pub(crate) const RULES: &str = include_str!("../../../../dist/prometheus/storage-reactor.rules.yml");

/// One daemon.
pub(crate) struct Daemon {
    name: &'static str,
    core: Core,
    sheet: Sheet,
    /// What is left of its recording.
    lines: Vec<String>,
    /// How it is; the test may change it.
    pub(crate) health: Health,
    /// Whether it answers.
    pub(crate) up: bool,
}

/// A cluster, what was scraped, and what must be so.
pub(crate) struct Story {
    daemons: Vec<Daemon>,
    /// Each series with the number of the scrape and the value.
    series: BTreeMap<String, Vec<(usize, String)>>,
    scrapes: usize,
    /// Seconds between two scrapes, and two evaluations of the rules.
    step_s: usize,
    /// Each resource stands for so many.
    copies: usize,
    expected: Vec<(usize, String)>,
}

impl Story {
    /// The nodes of a recording of DRBD 9, before its first line.
    #[expect(clippy::disallowed_methods, reason = "a test may read its recordings")]
    pub(crate) fn of(recording: &str, nodes: &[&'static str], copies: usize) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings/drbd9").join(recording);
        let daemon = |name: &&'static str| {
            let text = std::fs::read_to_string(folder.join(format!("{name}.events2-ts"))).unwrap();
            let mut core = Core::new();
            let begin = SourceEvent::Started { command: "a recording".to_owned(), dialect: Some(Dialect::Drbd9) };
            core.step(Mono::ZERO, &Input::Source(SourceId::Drbd, begin), &mut Vec::new());
            let lines = text.lines().rev().map(str::to_owned).collect();
            let mut health = Health { control_up: Some(true), ..Health::default() };
            health.source.up = true;
            health.config.ok = true;
            Daemon { name, core, sheet: Sheet::new(Choice::default()), lines, health, up: true }
        };
        let daemons = nodes.iter().map(daemon).collect();
        Self { daemons, series: BTreeMap::new(), scrapes: 0, step_s: 30, copies, expected: Vec::new() }
    }

    /// For a long story: the seconds between two scrapes.
    pub(crate) fn every(mut self, seconds: usize) -> Self {
        self.step_s = seconds;
        self
    }

    /// The recording goes on to this time of its day (`HH:MM:SS`), without it.
    pub(crate) fn until(&mut self, time: &str) -> &mut Self {
        for daemon in &mut self.daemons {
            let mut text = String::new();
            while daemon.lines.last().is_some_and(|line| line[11..] < *time) {
                text.push_str(&daemon.lines.pop().unwrap());
                text.push('\n');
            }
            daemon.says(&text);
        }
        self
    }

    /// One daemon.
    pub(crate) fn daemon(&mut self, name: &str) -> &mut Daemon {
        self.daemons.iter_mut().find(|daemon| daemon.name == name).unwrap()
    }

    /// Nothing happens for so long.
    pub(crate) fn hold(&mut self, minutes: usize) -> &mut Self {
        for _ in 0..minutes * 60 / self.step_s {
            self.scrape();
        }
        self
    }

    fn scrape(&mut self) {
        let scrape = self.scrapes;
        self.scrapes += 1;
        for daemon in &mut self.daemons {
            let target = format!("instance=\"{}\",job=\"storage-reactor\"", daemon.name);
            let up = [(format!("up{{{target}}}"), u8::from(daemon.up).to_string())];
            let told = if daemon.up { daemon.samples(&target, self.copies) } else { Vec::new() };
            for (series, value) in told.into_iter().chain(up) {
                self.series.entry(series).or_default().push((scrape, value));
            }
        }
    }

    /// At this moment these alerts fire, each so many times, and no other one.
    pub(crate) fn fires(&mut self, alerts: &[(&str, usize)]) -> &mut Self {
        let at = (self.scrapes - 1) * self.step_s;
        let mut text = format!(
            "  - expr: count by (alertname) (ALERTS{{alertstate=\"firing\"}})\n    eval_time: {at}s\n    exp_samples:\n"
        );
        for (alert, times) in alerts {
            writeln!(text, "    - labels: '{{alertname=\"{alert}\"}}'\n      value: {times}").unwrap();
        }
        self.expected.push((at, text));
        self
    }

    /// The file for `promtool test rules`.
    pub(crate) fn file(&self, rules: &Path) -> String {
        let step = self.step_s;
        let mut text = format!(
            "rule_files: [\"{}\"]\nevaluation_interval: {step}s\ntests:\n- interval: {step}s\n  input_series:\n",
            rules.display()
        );
        for (series, samples) in &self.series {
            writeln!(text, "  - series: '{}'\n    values: '{}'", series.replace('\'', "''"), self.values(samples))
                .unwrap();
        }
        text.push_str("  promql_expr_test:\n");
        for (_, expected) in &self.expected {
            text.push_str(expected);
        }
        text
    }

    /// What was not scraped any more is stale at once, as Prometheus has it.
    fn values(&self, samples: &[(usize, String)]) -> String {
        let (mut words, mut next) = (Vec::new(), 0);
        for (scrape, value) in samples {
            words.extend((next..*scrape).map(|at| if at == next && at > 0 { "stale" } else { "_" }));
            words.push(value);
            next = scrape + 1;
        }
        if next < self.scrapes {
            words.push("stale");
        }
        words.join(" ")
    }

    /// Their file.
    pub(crate) fn rules() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/prometheus/storage-reactor.rules.yml")
    }
}

impl Daemon {
    /// DRBD prints this.
    pub(crate) fn says(&mut self, text: &str) {
        for input in [Input::Lines(SourceId::Drbd, text.to_owned()), Input::BurstEnd(SourceId::Drbd)] {
            self.core.step(Mono::ZERO, &input, &mut Vec::new());
        }
    }

    /// What a scrape has of it, as series and value.
    fn samples(&mut self, target: &str, copies: usize) -> Vec<(String, String)> {
        self.health.fill_from(&self.core);
        let snapshot = self.sheet.refresh(&self.core.node().snapshot());
        let text = String::from_utf8(Body::new(snapshot, &self.health).to_text()).unwrap();
        let mut all = Vec::new();
        for (series, value) in
            text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '))
        {
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            // What no rule asks for only costs time.
            if !RULES.contains(name) {
                continue;
            }
            let labels = labels.strip_suffix('}').unwrap();
            let rest = if labels.is_empty() { String::new() } else { format!("{labels},") };
            let copies = if labels.starts_with("name=\"") { copies } else { 1 };
            all.extend((0..copies).map(|copy| {
                let rest =
                    if copy == 0 { rest.clone() } else { rest.replacen("name=\"", &format!("name=\"copy-{copy}-"), 1) };
                (format!("{name}{{{rest}{target}}}"), value.to_owned())
            }));
        }
        all
    }
}
