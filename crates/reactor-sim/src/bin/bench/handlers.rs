//! From the event line to the start of its handler, beside what starting it costs by itself.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use reactor_sim::clock::monotonic_ns;
use reactor_sim::daemon::{TempDir, free_port};
use reactor_sim::stub::Command;
use reactor_sim::workload::{Shape, resource_name};

use crate::report::{quantile, sorted, verdict};
use crate::setup::{Run, Setup, prometheus, rules};

const SHAPE: Shape = Shape { resources: 1000, volumes: 1, peers: 2 };
/// The resource that no story of the workload touches.
const MARKED: u32 = SHAPE.resources - 1;
/// How much longer than the bare start of a process it may take, milliseconds.
const TARGET_MS: f64 = 0.5;

pub(crate) fn measure(setup: &Setup) -> Result<String> {
    let rounds = setup.choose(200, 20);
    let burst = setup.choose(1_000_000, 100_000);
    let plugins = prometheus(free_port()?) + &rules(50);
    let folder = TempDir::new("reactor-bench-clock")?;
    let socket = folder.path().join("clock");
    let clock = UnixDatagram::bind(&socket).context("opening the socket for the handlers")?;
    clock.set_read_timeout(Some(Duration::from_secs(20)))?;
    let command = format!("exec {} {}", setup.handler.display(), socket.display());
    let rule = format!(
        "[[umh.resource]]\nname = \"marked\"\nresource-name = \"{}\"\ncommand = \"{command}\"\nnew.role = \"Primary\"\n",
        resource_name(MARKED)
    );
    let mut run = setup.start(SHAPE, &format!("{plugins}{rule}"))?;
    let (mut alone, mut before, mut after) = (Vec::new(), Vec::new(), Vec::new());
    // In turns, so that a machine that is busy for a while is so for both.
    for _ in 0..rounds {
        alone.push(bare(&command, &clock)?);
        before.push(mark(&mut run, &clock)?);
    }
    run.stub.tell(Command::Run(burst))?;
    let first = mark(&mut run, &clock)?;
    for _ in 0..rounds {
        alone.push(bare(&command, &clock)?);
        after.push(mark(&mut run, &clock)?);
    }
    let done = run.stub.tell(Command::Run(0))?;
    run.daemon.settle()?;
    run.daemon.must_have_read(done.lines)?;
    run.daemon.stop()?;
    let alone = sorted(alone);
    let base = quantile(&alone, 0.5);
    let mut text = format!(
        "\nFrom event line to handler started, 1000 resources, prometheus and 51 rules; {rounds} each\n\n\
         {:<44}{:>10}{:>10}{:>12}\n{:<44}{base:>10.3}{:>10.3}\n",
        "",
        "median ms",
        "99 % ms",
        "target",
        "the same /bin/sh -c by itself",
        quantile(&alone, 0.99)
    );
    for (name, values) in [("when nothing else happens", before), (&*format!("after a burst of {burst} events"), after)]
    {
        let values = sorted(values);
        let median = quantile(&values, 0.5);
        text += &format!(
            "{name:<44}{median:>10.3}{:>10.3}{:>12}\n",
            quantile(&values, 0.99),
            format!("<+{TARGET_MS}{}", verdict(median - base, TARGET_MS))
        );
    }
    text += &format!("{:<44}{:>10.3}\n", "right behind the last line of the burst", first);
    Ok(text)
}

/// Milliseconds from the line to the handler.
fn mark(run: &mut Run, clock: &UnixDatagram) -> Result<f64> {
    let line = run.stub.tell(Command::Role(MARKED, true))?;
    let started = receive(clock).with_context(|| format!("no handler started; log:\n{}", run.daemon.log()))?;
    run.stub.tell(Command::Role(MARKED, false))?;
    Ok(started.saturating_sub(line.written_ns) as f64 / 1e6)
}

/// Milliseconds that starting the same handler takes by itself.
fn bare(command: &str, clock: &UnixDatagram) -> Result<f64> {
    let begin = monotonic_ns();
    let mut child = Process::new(Path::new("/bin/sh"))
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("starting /bin/sh")?;
    let started = receive(clock)?;
    child.wait()?;
    Ok(started.saturating_sub(begin) as f64 / 1e6)
}

fn receive(clock: &UnixDatagram) -> Result<u64> {
    let mut bytes = [0; 8];
    clock.recv(&mut bytes).context("waiting for a handler")?;
    Ok(u64::from_ne_bytes(bytes))
}
