//! From the burst that makes a start possible to `StartUnit`, with a real daemon on a bus of its own; nothing delays the start.
//!
//! The time begins just before the look-alike writes the burst (one write), and ends when the call passes through the bus, as a monitor sees
//! it. The mock of systemd is no part of it: it carries out one call, with its processes, before it takes the next one.
//! That a burst is over is seen by nothing coming any more for 2 ms: these are part of what is measured.

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

const RESOURCES: u32 = 10;
const SHAPE: Shape = Shape { resources: RESOURCES, volumes: 1, peers: 2 };
/// Below this, milliseconds.
const TARGET_MS: f64 = 5.0;
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
        "\nFrom the burst that makes a start possible to StartUnit, real daemon and D-Bus; {} each\n\n{:<36}{:>10}{:>10}{:>10}{:>14}\n",
        rounds * u64::from(RESOURCES),
        "",
        "median ms",
        "99 % ms",
        "worst ms",
        "target"
    );
    for (name, values) in [("one resource", one), ("ten at once: each of them", all), ("ten at once: the last", last)] {
        let values = sorted(values);
        let median = quantile(&values, 0.5);
        text += &format!(
            "{name:<36}{median:>10.2}{:>10.2}{:>10.2}{:>14}\n",
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
    starts: Starts,
    _systemd: Harness,
}

/// When the start of each unit was first seen on the bus.
type Starts = Arc<Mutex<BTreeMap<String, u64>>>;

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
        let starts = monitor(systemd.address())?;
        let mut run = setup.start_in(dir, SHAPE, &plugins)?;
        run.daemon.status_when("the promoters to stand by", |status| {
            let promoted = status.get("promoted").and_then(Value::as_array);
            promoted.is_some_and(|all| all.len() == RESOURCES as usize && all.iter().all(ready))
        })?;
        run.daemon.settle()?;
        Ok(Self { run, starts, _systemd: systemd })
    }

    /// Milliseconds from the burst to the start of each of these resources.
    fn promote(&mut self, first: u32, count: u32) -> Result<Vec<f64>> {
        self.run.daemon.settle()?;
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

fn ready(promoted: &Value) -> bool {
    promoted["state"] == "standby" && promoted["policy"] == "quorum"
}

fn unit(index: u32) -> String {
    format!("bench-{index}.service")
}

/// Notes, in a thread that lives as long as the bus, what is started.
fn monitor(address: String) -> Result<Starts> {
    let starts = Starts::default();
    let noted = Arc::clone(&starts);
    let (ready, is_ready) = mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        if let Err(error) = runtime.block_on(watch(&address, &noted, &ready)) {
            let _ = ready.send(Err(error));
        }
    });
    is_ready.recv().context("watching the bus")??;
    Ok(starts)
}

async fn watch(address: &str, starts: &Starts, ready: &mpsc::Sender<Result<()>>) -> Result<()> {
    let connection = zbus::connection::Builder::address(address).build().await?;
    let mut stream = zbus::MessageStream::from(&connection);
    let (dbus, path) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");
    let rules = (vec!["type='method_call',member='StartUnit'"], 0_u32);
    connection.call_method(Some(dbus), path, Some("org.freedesktop.DBus.Monitoring"), "BecomeMonitor", &rules).await?;
    let _ = ready.send(Ok(()));
    while let Some(message) = poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await {
        let at = monotonic_ns();
        let message = message?;
        if message.header().member().is_some_and(|member| member.as_str() == "StartUnit") {
            let (unit, _mode): (String, String) = message.body().deserialize()?;
            starts.lock().unwrap_or_else(std::sync::PoisonError::into_inner).entry(unit).or_insert(at);
        }
    }
    Ok(())
}
