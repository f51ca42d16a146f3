//! From `reactorctl evict` to `StopUnit`, with a real daemon and a real command on a bus of its own.
//!
//! The time begins before the process of the command is started, and ends when the call passes through the bus, as a monitor sees it.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use reactor_sim::clock::monotonic_ns;
use reactor_sim::workload::resource_name;
use serde_json::Value;

use crate::promotions::{Tables, World};
use crate::report::{quantile, sorted, verdict};
use crate::setup::Setup;

/// So many are evicted, one by one.
const FEW: u32 = 10;
/// The target, milliseconds.
const STOP_MS: f64 = 100.0;
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn measure(setup: &Setup) -> Result<String> {
    let mut all = Vec::new();
    for _ in 0..setup.choose(5, 1) {
        let mut world = World::start(setup, FEW, Tables::One)?;
        for index in 0..FEW {
            world.promote(index, 1)?;
            all.push(evict(setup, &mut world, index)?);
        }
        world.run.daemon.stop()?;
    }
    let values = sorted(all);
    let (median, worst) = (quantile(&values, 0.5), quantile(&values, 1.0));
    let target = format!("<{STOP_MS}{}", verdict(median, STOP_MS));
    let mut text = format!(
        "\nFrom the command to StopUnit, real daemon and D-Bus (drbd-reactorctl: 3,500 ms)\n\n{:<44}{:>8}{:>12}{:>10}{:>10}{:>16}\n",
        "", "of", "median ms", "99 % ms", "worst ms", "target"
    );
    text += &format!(
        "{:<44}{:>8}{median:>12.2}{:>10.2}{worst:>10.2}{target:>16}\n",
        "reactorctl evict",
        values.len(),
        quantile(&values, 0.99)
    );
    Ok(text)
}

/// Ended when it is dropped: nobody takes over, and it would wait for that.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Milliseconds until its stop is asked for.
fn evict(setup: &Setup, world: &mut World, index: u32) -> Result<f64> {
    let name = resource_name(index);
    let is_up = |status: &Value| {
        let promoted = status.get("promoted").and_then(Value::as_array).into_iter().flatten();
        promoted.into_iter().any(|one| one["resource"] == name.as_str() && one["state"] == "running")
    };
    world.run.daemon.status_when("it to run", is_up)?;
    let mut command = Command::new(&setup.reactorctl);
    command.arg("--socket").arg(world.run.daemon.socket()).args(["--context", "none", "evict", "--force", &name]);
    let begun_ns = monotonic_ns();
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("starting reactorctl")?;
    let mut running = Running(child);
    let began = Instant::now();
    let target = format!("drbd-services@{name}.target");
    loop {
        if let Some(at) = world.stopped(&target) {
            // It waits for somebody who takes over. If it has ended, it was something else that stopped the services.
            ensure!(running.0.try_wait()?.is_none(), "reactorctl evict {name} was refused: by hand it says why");
            return Ok(at.saturating_sub(begun_ns) as f64 / 1e6);
        }
        world.run.daemon.must_run()?;
        if began.elapsed() > PATIENCE {
            bail!("{name} was not stopped; log of reactord:\n{}", world.run.daemon.log());
        }
        // Rarely, so that looking does not count.
        std::thread::sleep(Duration::from_millis(50));
    }
}
