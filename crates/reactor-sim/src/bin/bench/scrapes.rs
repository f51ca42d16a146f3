//! How long a scrape takes while events arrive.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use anyhow::Result;
use reactor_sim::daemon::free_port;
use reactor_sim::http::Scraper;
use reactor_sim::stub::Command;
use reactor_sim::workload::Shape;

use crate::report::{quantile, sorted, verdict};
use crate::setup::{Setup, prometheus, rules};

const SHAPE: Shape = Shape { resources: 1000, volumes: 1, peers: 2 };
const RATE: u64 = 20_000;
const THEIRS_MS: f64 = 11.0;
const TARGET_MS: f64 = 2.0;

pub(crate) fn measure(setup: &Setup) -> Result<String> {
    let port = free_port()?;
    let seconds = setup.choose(10, 2);
    let mut run = setup.start(SHAPE, &(prometheus(port) + &rules(50)))?;
    let mut scraper = Scraper::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    let size = scraper.get("/metrics")?.len();
    let cpu = run.daemon.cpu_ns()?;
    run.stub.ask(Command::Rate(RATE, RATE * seconds))?;
    // Half a second before the events end, so that all are taken while they arrive.
    let start = Instant::now();
    let mut took = Vec::new();
    while start.elapsed().as_secs_f64() < seconds as f64 - 0.5 {
        let begin = Instant::now();
        scraper.fetch("/metrics")?;
        took.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    let share = (run.daemon.cpu_ns()? - cpu) as f64 / 1e9 / start.elapsed().as_secs_f64();
    run.stub.wait()?;
    run.daemon.stop()?;
    let took = sorted(took);
    let median = quantile(&took, 0.5);
    Ok(format!(
        "\nSequential scrapes without enums, 1000 resources, {RATE} events/s arriving\n\n\
         {} scrapes of {:.2} MB: median {median:.2} ms (theirs {THEIRS_MS} ms), 99 % {:.2} ms, longest {:.2} ms; target <{TARGET_MS} ms:{}\n\
         CPU of the daemon meanwhile: {:.0} % of a core\n",
        took.len(),
        size as f64 / 1e6,
        quantile(&took, 0.99),
        took.last().copied().unwrap_or(f64::NAN),
        verdict(median, TARGET_MS),
        share * 100.0
    ))
}
