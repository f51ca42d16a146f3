//! What a status of everything costs, and the memory of a node with many resources.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use reactor_sim::workload::Shape;

use crate::report::verdict;
use crate::setup::Setup;

/// Resources, and below how many MiB the daemon has to stay whatever is asked.
const NODES: [(u32, f64); 2] = [(1000, 40.0), (10_000, 50.0)];
/// Of the loop, below this in milliseconds for each thousand resources: the snapshot, and writing 1.3 MB into the socket.
const TARGET_LOOP_MS: f64 = 1.0;

pub(crate) fn measure(setup: &Setup) -> Result<String> {
    let mut text = format!(
        "\nThe whole status by the control socket, no plugins; each asked for ten times\n\n\
         {:<24}{:>8}{:>10}{:>10}{:>14}{:>14}{:>10}{:>12}{:>14}\n",
        "node", "MB", "ms", "loop, ms", "target", "MiB at start", "before", "meanwhile", "target"
    );
    for (resources, target) in NODES {
        let run = setup.start(Shape { resources, volumes: 1, peers: 2 }, "")?;
        let (start, before) = (run.daemon.peak_kib()? as f64 / 1024.0, run.daemon.resident_kib()? as f64 / 1024.0);
        run.daemon.forget_peak()?;
        let mut stream = UnixStream::connect(run.daemon.socket()).context("connecting to the control socket")?;
        let (mut took, mut in_loop, mut bytes) = (Vec::new(), Vec::new(), 0);
        for _ in 0..10 {
            let (begin, cpu) = (Instant::now(), run.daemon.loop_cpu_ns()?);
            bytes = status(&mut stream)?;
            took.push(begin.elapsed().as_secs_f64() * 1e3);
            in_loop.push((run.daemon.loop_cpu_ns()? - cpu) as f64 / 1e6);
        }
        let median = |values| crate::report::quantile(&crate::report::sorted(values), 0.5);
        let (took, in_loop) = (median(took), median(in_loop));
        let loop_target = TARGET_LOOP_MS * f64::from(resources) / 1000.0;
        let peak = run.daemon.peak_kib()? as f64 / 1024.0;
        run.daemon.stop()?;
        text += &format!(
            "{:<24}{:>8.2}{took:>10.2}{in_loop:>10.2}{:>14}{start:>14.1}{before:>10.1}{peak:>12.1}{:>14}\n",
            format!("{resources} resources x 1 x 2"),
            bytes as f64 / 1e6,
            format!("<{loop_target:.1}{}", verdict(in_loop, loop_target)),
            format!("<{target}{}", verdict(peak, target)),
        );
    }
    Ok(text)
}

/// Asks, reads the answer, and says how long it was. It is not looked at: that would take longer than the daemon does.
fn status(stream: &mut UnixStream) -> Result<usize> {
    stream.write_all(b"{\"method\":\"io.storagereactor.Control.Status\"}\0")?;
    let (mut buffer, mut length) = (vec![0; 1 << 18], 0);
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            bail!("the daemon closed the connection in the middle of a status");
        }
        length += count;
        if buffer[count - 1] == 0 {
            return Ok(length);
        }
    }
}
