//! From the burst that makes a start possible to `StartUnit`, with a real daemon on a bus of its own; nothing delays the start.
//!
//! The time begins just before the look-alike writes the burst (one write), and ends when the call passes through the bus, as a monitor sees
//! it. The mock of systemd is no part of it: it carries out one call, with its processes, before it takes the next one.
//! That a burst is over is seen by nothing coming any more for 1.5 ms: these are part of what is measured. Many at once are measured in one table and
//! in one table each, because that must make no difference.

use std::collections::BTreeMap;
use std::fs;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_core::Stream;
use reactor_sim::clock::monotonic_ns;
use reactor_sim::daemon::TempDir;
use reactor_sim::lookalike::units;
use reactor_sim::stub::Command;
use reactor_sim::systemd_bus::Harness;
use reactor_sim::systemd_bus::harness::dbus_daemon;
use reactor_sim::workload::{Shape, resource_name};
use serde_json::Value;

use crate::report::{quantile, sorted, verdict};
use crate::setup::{Run, Setup};

/// So many are promoted one by one, or all at once.
const FEW: u32 = 10;
/// So many are promoted all at once.
const MANY: u32 = 500;
/// One, below this, milliseconds.
const ONE_MS: f64 = 2.5;
/// The last of few at once.
const FEW_MS: f64 = 3.5;
/// The last of many at once.
const MANY_MS: f64 = 40.0;
/// No single one takes longer, milliseconds: that would be a deadline that something waited for.
const OUTLIER_MS: f64 = 1000.0;
const PATIENCE: Duration = Duration::from_secs(30);
/// For the start of the daemon.
const START_PATIENCE: Duration = Duration::from_secs(180);

pub(crate) fn measure(setup: &Setup) -> Result<String> {
    if dbus_daemon().is_none() {
        bail!("dbus-daemon is not installed (Debian package dbus-daemon); the promoter's systemd needs it");
    }
    let mut one = Times::default();
    for _ in 0..setup.choose(20, 2) {
        let mut world = World::start(setup, FEW, Tables::One)?;
        for index in 0..FEW {
            one.add(world.promote(index, 1)?);
        }
        world.run.daemon.stop()?;
    }
    let few = at_once(setup, FEW, Tables::One, setup.choose(20, 2))?;
    let many = at_once(setup, MANY, Tables::One, setup.choose(5, 1))?;
    let apart = at_once(setup, MANY, Tables::Each, setup.choose(5, 1))?;
    let mut text = format!(
        "\nFrom the burst that makes a start possible to StartUnit, real daemon and D-Bus\n\n{:<44}{:>8}{:>12}{:>10}{:>10}{:>16}\n",
        "", "of", "median ms", "99 % ms", "worst ms", "target"
    );
    let all = one.all.iter().chain(&few.all).chain(&many.all).chain(&apart.all);
    let worst = all.copied().fold(0.0, f64::max);
    for (name, values, target) in [
        ("one resource".to_owned(), one.all, Some(ONE_MS)),
        (format!("{FEW} at once: each of them"), few.all, None),
        (format!("{FEW} at once: the last"), few.last, Some(FEW_MS)),
        (format!("{MANY} at once in one table: the last"), many.last, Some(MANY_MS)),
        (format!("{MANY} at once in {MANY} tables: the last"), apart.last, Some(MANY_MS)),
    ] {
        let values = sorted(values);
        let median = quantile(&values, 0.5);
        let target = target.map_or(String::new(), |target| format!("<{target}{}", verdict(median, target)));
        text += &format!(
            "{name:<44}{:>8}{median:>12.2}{:>10.2}{:>10.2}{target:>16}\n",
            values.len(),
            quantile(&values, 0.99),
            quantile(&values, 1.0),
        );
    }
    let target = format!("<{OUTLIER_MS}{}", verdict(worst, OUTLIER_MS));
    text += &format!("{:<44}{:>40.2}{target:>16}\n", "the worst of all", worst);
    Ok(text)
}

/// Milliseconds.
#[derive(Default)]
struct Times {
    all: Vec<f64>,
    /// The last one of each burst.
    last: Vec<f64>,
}

impl Times {
    fn add(&mut self, times: Vec<f64>) {
        self.last.extend(times.iter().copied().reduce(f64::max));
        self.all.extend(times);
    }
}

/// All of them may be promoted by one burst.
fn at_once(setup: &Setup, count: u32, tables: Tables, rounds: u64) -> Result<Times> {
    let mut times = Times::default();
    for _ in 0..rounds {
        let mut world = World::start(setup, count, tables)?;
        times.add(world.promote(0, count)?);
        world.run.daemon.stop()?;
    }
    Ok(times)
}

/// In how many `[[promoter]]` tables the resources stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tables {
    One,
    Each,
}

/// A daemon whose resources wait for DRBD's word, and its systemd.
pub(crate) struct World {
    pub(crate) run: Run,
    starts: Seen,
    stops: Seen,
    /// Processes that systemd has when it has nothing to do.
    at_rest: usize,
    systemd: Harness,
}

/// When the start, or the stop, of each unit was first seen on the bus.
type Seen = Arc<Mutex<BTreeMap<String, u64>>>;

impl World {
    pub(crate) fn start(setup: &Setup, resources: u32, tables: Tables) -> Result<Self> {
        let dir = TempDir::new("reactor-bench")?;
        let (lib, generated) = (dir.path().join("lib"), dir.path().join("units"));
        fs::create_dir(&lib)?;
        units::write(dir.path(), &lib)?;
        let mut plugins = String::from("[[promoter]]\n");
        for index in 0..resources {
            let (resource, unit) = (resource_name(index), unit(index));
            fs::write(
                lib.join(&unit),
                "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\nExecStop=/bin/true\n",
            )?;
            if index > 0 && tables == Tables::Each {
                plugins += "[[promoter]]\n";
            }
            plugins += &format!("[promoter.resources.{resource}]\nstart = [\"{unit}\"]\n");
        }
        let systemd = Harness::start(&dir.path().join("systemd"), &[generated, lib])?;
        // The bus itself.
        let at_rest = children(systemd.pid());
        let (starts, stops) = monitor(systemd.address())?;
        let shape = Shape { resources, volumes: 1, peers: 2 };
        let mut run = setup.start_in(dir, shape, &plugins)?;
        let began = Instant::now();
        let ready = |status: &Value| {
            let promoted = status.get("promoted").and_then(Value::as_array);
            promoted.is_some_and(|all| all.len() == resources as usize && all.iter().all(ready))
        };
        // On a busy machine the mock needs long to load 1,500 units.
        while let Err(error) = run.daemon.status_when("the promoters to stand by", ready) {
            if began.elapsed() > START_PATIENCE {
                return Err(error);
            }
        }
        Ok(Self { run, starts, stops, at_rest, systemd })
    }

    /// When the stop of this unit was asked for.
    pub(crate) fn stopped(&self, unit: &str) -> Option<u64> {
        self.stops.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(unit).copied()
    }

    /// Waits until what came before is over (`drbd@RES.target`, the start of another resource): it is no part of a promotion.
    fn rest(&mut self) -> Result<()> {
        let began = Instant::now();
        while children(self.systemd.pid()) > self.at_rest {
            if began.elapsed() > START_PATIENCE {
                bail!("the mock of systemd never rests");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.run.daemon.settle()
    }

    /// Milliseconds from the burst to the start of each of these resources.
    pub(crate) fn promote(&mut self, first: u32, count: u32) -> Result<Vec<f64>> {
        self.rest()?;
        let written = self.run.stub.tell(Command::May(first, count, true))?.written_ns;
        let began = Instant::now();
        loop {
            let starts = self.starts.lock().map_or_else(|broken| broken.into_inner().clone(), |starts| starts.clone());
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

/// Whether nothing but DRBD's word is missing. Before systemd has told all its units nothing is started, whatever DRBD says: a burst that came
/// too early would measure how long systemd takes to load them.
fn ready(promoted: &Value) -> bool {
    let because = promoted["because"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let is_told = !because.chain([""]).any(|reason| reason.contains("systemd has not said"));
    promoted["state"] == "standby" && promoted["policy"] == "quorum" && is_told
}

/// How many processes systemd's mock has running.
fn children(pid: u32) -> usize {
    let path = format!("/proc/{pid}/task/{pid}/children");
    fs::read_to_string(path).map_or(0, |children| children.split_whitespace().count())
}

fn unit(index: u32) -> String {
    format!("bench-{index}.service")
}

/// Notes, in a thread that lives as long as the bus, what is started and what is stopped.
fn monitor(address: String) -> Result<(Seen, Seen)> {
    let seen = (Seen::default(), Seen::default());
    let noted = seen.clone();
    let (ready, is_ready) = mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        if let Err(error) = runtime.block_on(watch(&address, &noted, &ready)) {
            let _ = ready.send(Err(error));
        }
    });
    is_ready.recv().context("watching the bus")??;
    Ok(seen)
}

async fn watch(address: &str, (starts, stops): &(Seen, Seen), ready: &mpsc::Sender<Result<()>>) -> Result<()> {
    let connection = zbus::connection::Builder::address(address).build().await?;
    let mut stream = zbus::MessageStream::from(&connection);
    let (dbus, path) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");
    let rules = (vec!["type='method_call',member='StartUnit'", "type='method_call',member='StopUnit'"], 0_u32);
    connection.call_method(Some(dbus), path, Some("org.freedesktop.DBus.Monitoring"), "BecomeMonitor", &rules).await?;
    let _ = ready.send(Ok(()));
    while let Some(message) = poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await {
        let at = monotonic_ns();
        let message = message?;
        let header = message.header();
        let seen = match header.member().map(zbus::names::MemberName::as_str) {
            Some("StartUnit") => starts,
            Some("StopUnit") => stops,
            _ => continue,
        };
        let (unit, _mode): (String, String) = message.body().deserialize()?;
        seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).entry(unit).or_insert(at);
    }
    Ok(())
}
