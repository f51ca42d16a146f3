//! CPU time for each event, and the most memory that the daemon ever had.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use reactor_sim::daemon::free_port;
use reactor_sim::http::Scraper;
use reactor_sim::stub::Command;
use reactor_sim::workload::Shape;

use crate::report::verdict;
use crate::setup::{Setup, prometheus, rules};

struct Node {
    name: &'static str,
    shape: Shape,
    /// What drbd-reactor needs without a plugin, microseconds.
    theirs_alone: &'static str,
    /// What drbd-reactor needs with plugins, microseconds.
    theirs: &'static str,
    /// Below this without a plugin, microseconds.
    target_us: f64,
    /// Below this whatever comes.
    target_mib: f64,
    /// Below this with metrics that are fetched: their text is kept, 2.7 KB of it for a resource.
    target_fetched_mib: f64,
}

/// A node of usual size. What drbd-reactor needs was measured up to a thousand resources.
const USUAL: Node = Node {
    name: "10 resources x 1 x 2",
    shape: Shape { resources: 10, volumes: 1, peers: 2 },
    theirs_alone: "1.7",
    theirs: "5-27",
    target_us: 0.35,
    target_mib: 40.0,
    target_fetched_mib: 40.0,
};

const NODES: [Node; 5] = [
    USUAL,
    Node { name: "100 resources x 2 x 2", shape: Shape { resources: 100, volumes: 2, peers: 2 }, ..USUAL },
    Node { name: "1000 resources x 1 x 2", shape: Shape { resources: 1000, volumes: 1, peers: 2 }, ..USUAL },
    Node {
        name: "1 resource x 64 x 7",
        shape: Shape { resources: 1, volumes: 64, peers: 7 },
        theirs: "40-500",
        ..USUAL
    },
    // More than fits into the caches of a processor.
    Node {
        name: "10000 resources x 1 x 2",
        shape: Shape { resources: 10_000, volumes: 1, peers: 2 },
        theirs_alone: "",
        theirs: "",
        target_us: 0.7,
        target_mib: 50.0,
        target_fetched_mib: 100.0,
    },
];

/// Below this with metrics and rules, microseconds.
const TARGET_FULL_US: f64 = 1.0;

pub(crate) fn measure(setup: &Setup) -> Result<String> {
    let count = setup.choose(2_000_000, 200_000);
    let mut text = format!(
        "\nCPU for each event, and the most memory; {count} events as fast as they are read (resources x volumes x peers)\n\n\
         {:<24}{:<22}{:>12}{:>10}{:>12}{:>14}{:>10}{:>14}\n",
        "node", "plugins", "events/CPU s", "us/event", "theirs, us", "target", "MiB", "target"
    );
    for node in &NODES {
        let port = free_port()?;
        let with_rules = prometheus(port) + &rules(50);
        for (name, plugins, scraped, theirs, target) in [
            ("none", String::new(), None, node.theirs_alone, Some(node.target_us)),
            ("prometheus", prometheus(port), Some(port), node.theirs, None),
            ("prometheus, 50 rules", with_rules, Some(port), node.theirs, Some(TARGET_FULL_US)),
        ] {
            let (us, mib) = one(setup, node.shape, &plugins, scraped, count)?;
            let below = if scraped.is_some() { node.target_fetched_mib } else { node.target_mib };
            let speed = target.map_or(String::new(), |target| format!("<{target}{}", verdict(us, target)));
            text += &format!(
                "{:<24}{name:<22}{:>12.0}{us:>10.3}{theirs:>12}{speed:>14}{mib:>10.1}{:>14}\n",
                node.name,
                1e6 / us,
                format!("<{below}{}", verdict(mib, below))
            );
        }
    }
    Ok(text)
}

/// Microseconds of CPU for each event, and MiB. The metrics are fetched before and after, for what they need of memory; the time of a scrape is
/// measured apart.
fn one(setup: &Setup, shape: Shape, plugins: &str, scraped: Option<u16>, count: u64) -> Result<(f64, f64)> {
    let mut run = setup.start(shape, plugins)?;
    let mut scraper =
        scraped.map(|port| Scraper::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))).transpose()?;
    let mut scrape = || scraper.as_mut().map_or(Ok(0), |scraper| scraper.get("/metrics").map(str::len));
    scrape()?;
    let before = run.daemon.cpu_ns()?;
    let done = run.stub.tell(Command::Run(count))?;
    run.daemon.settle()?;
    let used = run.daemon.cpu_ns()? - before;
    for _ in 0..5 {
        scrape()?;
    }
    let peak = run.daemon.peak_kib()?;
    run.daemon.must_have_read(done.lines)?;
    run.daemon.stop()?;
    Ok((used as f64 / 1e3 / count as f64, peak as f64 / 1024.0))
}
