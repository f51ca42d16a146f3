//! From the burst that makes a start possible to `StartUnit`, with a real daemon on a bus of its own; nothing delays the start.
//!
//! The time begins just before the look-alike writes the burst (one write), and ends when the mock of systemd takes the call from the bus.
//! That a burst is over is seen by nothing coming any more for 2 ms: these are part of what is measured.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use reactor_sim::daemon::TempDir;
use reactor_sim::lookalike::units;
use reactor_sim::stub::Command;
use reactor_sim::systemd_bus::Harness;
use reactor_sim::systemd_bus::harness::dbus_daemon;
use reactor_sim::workload::{Shape, resource_name};
use serde_json::Value;

use crate::report::{quantile, sorted, verdict};
use crate::setup::{Run, Setup};

const RESOURCES: u32 = 10;
const SHAPE: Shape = Shape { resources: RESOURCES, volumes: 1, peers: 2 };
/// Below this, milliseconds.
const TARGET_MS: f64 = 5.0;
/// What drbd-reactor waits before a start, milliseconds.
const THEIRS_MS: f64 = 1000.0;
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn measure(setup: &Setup) -> Result<String> {
    if dbus_daemon().is_none() {
        bail!("dbus-daemon is not installed (Debian package dbus-daemon); the promoter's systemd needs it");
    }
    let rounds = setup.choose(20, 2);
    let (mut one, mut all, mut last) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let mut world = World::start(setup)?;
        for index in 0..RESOURCES {
            one.extend(world.promote(index, 1)?);
        }
        world.run.daemon.stop()?;
        let mut world = World::start(setup)?;
        let times = world.promote(0, RESOURCES)?;
        last.extend(times.iter().copied().reduce(f64::max));
        all.extend(times);
        world.run.daemon.stop()?;
    }
    let mut text = format!(
        "\nFrom the burst that makes a start possible to StartUnit, real daemon and D-Bus; {} each\n\n{:<36}{:>10}{:>10}{:>10}{:>12}{:>14}\n",
        rounds * u64::from(RESOURCES),
        "",
        "median ms",
        "99 % ms",
        "worst ms",
        "theirs, ms",
        "target"
    );
    for (name, values) in [("one resource", one), ("ten at once: each of them", all), ("ten at once: the last", last)] {
        let values = sorted(values);
        let median = quantile(&values, 0.5);
        text += &format!(
            "{name:<36}{median:>10.2}{:>10.2}{:>10.2}{THEIRS_MS:>12}{:>14}\n",
            quantile(&values, 0.99),
            quantile(&values, 1.0),
            format!("<{TARGET_MS}{}", verdict(median, TARGET_MS))
        );
    }
    Ok(text)
}

/// A daemon whose resources wait for DRBD's word, and its systemd.
struct World {
    run: Run,
    systemd: Harness,
}

impl World {
    fn start(setup: &Setup) -> Result<Self> {
        let dir = TempDir::new("reactor-bench")?;
        let (lib, generated) = (dir.path().join("lib"), dir.path().join("units"));
        fs::create_dir(&lib)?;
        units::write(dir.path(), &lib)?;
        let mut plugins = String::from("[[promoter]]\n");
        for index in 0..RESOURCES {
            let (resource, unit) = (resource_name(index), unit(index));
            fs::write(
                lib.join(&unit),
                "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\nExecStop=/bin/true\n",
            )?;
            plugins += &format!("[promoter.resources.{resource}]\nstart = [\"{unit}\"]\n");
        }
        let systemd = Harness::start(&dir.path().join("systemd"), &[generated, lib])?;
        let mut run = setup.start_in(dir, SHAPE, &plugins)?;
        run.daemon.status_when("the promoters to stand by", |status| {
            let promoted = status.get("promoted").and_then(Value::as_array);
            promoted.is_some_and(|all| all.len() == RESOURCES as usize && all.iter().all(|one| ready(one)))
        })?;
        run.daemon.settle()?;
        Ok(Self { run, systemd })
    }

    /// Milliseconds from the burst to the start of each of these resources.
    fn promote(&mut self, first: u32, count: u32) -> Result<Vec<f64>> {
        self.run.daemon.settle()?;
        let written = self.run.stub.tell(Command::May(first, count, true))?.written_ns;
        let began = Instant::now();
        loop {
            let starts = starts(&self.systemd.log());
            let times: Vec<f64> = (first..first + count)
                .filter_map(|index| starts.get(&format!("drbd-services@{}.target", resource_name(index))))
                .map(|arrived| arrived.saturating_sub(written) as f64 / 1e6)
                .collect();
            if times.len() == count as usize {
                return Ok(times);
            }
            self.run.daemon.must_run()?;
            if began.elapsed() > PATIENCE {
                bail!("not all of {count} resources were started; log of reactord:\n{}", self.run.daemon.log());
            }
            // Rarely, so that looking does not count.
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn ready(promoted: &Value) -> bool {
    promoted["state"] == "standby" && promoted["policy"] == "quorum"
}

fn unit(index: u32) -> String {
    format!("bench-{index}.service")
}

/// When each unit's start was first asked for, from the mock's log.
fn starts(log: &str) -> BTreeMap<String, u64> {
    let mut starts = BTreeMap::new();
    for line in log.lines() {
        let Some((_, rest)) = line.split_once(" StartUnit ") else { continue };
        let Some((unit, at)) = rest.split_once(" at ") else { continue };
        let Ok(at) = at.parse() else { continue };
        starts.entry(unit.to_owned()).or_insert(at);
    }
    starts
}
