//! What a scrape costs: while events arrive, after a poll, on an idle node, and with eight scrapers.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use reactor_sim::certificates::Authority;
use reactor_sim::daemon::{TempDir, free_port};
use reactor_sim::http::Scraper;
use reactor_sim::stub::Command;
use reactor_sim::workload::Shape;

use crate::report::{quantile, sorted, verdict};
use crate::setup::{Run, Setup, prometheus, rules};

const SHAPE: Shape = Shape { resources: 1000, volumes: 1, peers: 2 };
const RATE: u64 = 20_000;
const THEIRS_MS: f64 = 11.0;
const TARGET_MS: f64 = 2.0;
/// The usual scrape: since the last one a poll has changed every resource.
const TARGET_POLLED_MS: f64 = 3.0;
/// What of it the loop may be kept by.
const TARGET_LOOP_MS: f64 = 0.5;
/// CPU for a scrape with TLS and gzip.
const TARGET_TLS_MS: f64 = 20.0;
/// CPU of drbd-reactor for a scrape of an idle node, milliseconds.
const THEIRS_IDLE_MS: f64 = 0.89;
/// Scrapes a second that eight scrapers get from drbd-reactor.
const THEIRS_EIGHT: f64 = 980.0;

pub(crate) fn measure(setup: &Setup) -> Result<String> {
    let port = free_port()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut run = setup.start(SHAPE, &(prometheus(port) + &rules(50)))?;
    let mut scraper = Scraper::connect(address)?;
    let size = scraper.get("/metrics")?.len();
    let text = format!("\nScrapes without enums, {} resources: {:.2} MB\n\n", SHAPE.resources, size as f64 / 1e6)
        + &with_events(setup, &mut run, &mut scraper)?
        + &after_a_poll(setup, &mut run, &mut scraper)?
        + &idle(setup, &mut run, &mut scraper)?
        + &eight(setup, address)?;
    run.daemon.stop()?;
    Ok(text + &over_tls(setup)?)
}

/// As a Prometheus far away reads it: TLS and gzip, after a poll that changed everything, and when nothing has changed.
fn over_tls(setup: &Setup) -> Result<String> {
    let dir = TempDir::new("reactor-bench")?;
    let authority = Authority::new("the benchmark");
    let pem = std::fs::read(authority.write(&dir.path().join("ca.crt")))?;
    authority.sign(dir.path(), "node", &["127.0.0.1"], 2090);
    let web = dir.path().join("web.yml");
    std::fs::write(&web, "tls_server_config: {cert_file: node.crt, key_file: node.key}\n")?;
    std::fs::set_permissions(&web, std::fs::Permissions::from_mode(0o600))?;
    let port = free_port()?;
    let web = format!("web-config-file = \"{}\"\n", web.display());
    let mut run = setup.start(SHAPE, &(prometheus(port) + &web + &rules(50)))?;
    let mut scraper = Scraper::connect_tls(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), &pem)?;
    let size = scraper.fetch_compressed("/metrics")?;
    let mut measured = Vec::new();
    for polled in [true, false] {
        let (mut took, mut cpu) = (Vec::new(), Vec::new());
        for _ in 0..setup.choose(100, 10) {
            if polled {
                run.stub.tell(Command::Poll)?;
                run.daemon.settle()?;
            }
            let (before, begin) = (run.daemon.cpu_ns()?, Instant::now());
            scraper.fetch_compressed("/metrics")?;
            took.push(begin.elapsed().as_secs_f64() * 1e3);
            cpu.push((run.daemon.cpu_ns()? - before) as f64 / 1e6);
        }
        measured.push((quantile(&sorted(took), 0.5), quantile(&sorted(cpu), 0.5)));
    }
    run.daemon.stop()?;
    let [(took, cpu), (idle_took, idle_cpu)] = measured[..] else { anyhow::bail!("two measurements") };
    Ok(format!(
        "with TLS and gzip ({:.2} MB), after a poll that changed every resource: CPU of the daemon {cpu:.2} ms; \
         target <{TARGET_TLS_MS} ms:{}\n  median {took:.2} ms; nothing has changed: CPU {idle_cpu:.2} ms, median {idle_took:.2} ms\n",
        size as f64 / 1e6,
        verdict(cpu, TARGET_TLS_MS),
    ))
}

fn with_events(setup: &Setup, run: &mut Run, scraper: &mut Scraper) -> Result<String> {
    let seconds = setup.choose(10, 2);
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
    let took = sorted(took);
    let median = quantile(&took, 0.5);
    Ok(format!(
        "{RATE} events/s arriving: {} scrapes, median {median:.2} ms (theirs {THEIRS_MS} ms), 99 % {:.2} ms, longest {:.2} ms; \
         target <{TARGET_MS} ms:{}\n  CPU of the daemon meanwhile: {:.0} % of a core\n",
        took.len(),
        quantile(&took, 0.99),
        took.last().copied().unwrap_or(f64::NAN),
        verdict(median, TARGET_MS),
        share * 100.0
    ))
}

fn after_a_poll(setup: &Setup, run: &mut Run, scraper: &mut Scraper) -> Result<String> {
    let (mut took, mut in_loop, mut in_all) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..setup.choose(100, 10) {
        run.stub.tell(Command::Poll)?;
        run.daemon.settle()?;
        let (all, in_the_loop, begin) = (run.daemon.cpu_ns()?, run.daemon.loop_cpu_ns()?, Instant::now());
        scraper.fetch("/metrics")?;
        took.push(begin.elapsed().as_secs_f64() * 1e3);
        in_loop.push((run.daemon.loop_cpu_ns()? - in_the_loop) as f64 / 1e6);
        in_all.push((run.daemon.cpu_ns()? - all) as f64 / 1e6);
    }
    let (took, in_loop, in_all) = (sorted(took), sorted(in_loop), sorted(in_all));
    let (median, of_loop) = (quantile(&took, 0.5), quantile(&in_loop, 0.5));
    Ok(format!(
        "after a poll that changed every resource: median {median:.2} ms, longest {:.2} ms; target <{TARGET_POLLED_MS} ms:{}\n  \
         of the loop {of_loop:.2} ms; target <{TARGET_LOOP_MS} ms:{}; CPU of the daemon {:.2} ms\n",
        took.last().copied().unwrap_or(f64::NAN),
        verdict(median, TARGET_POLLED_MS),
        verdict(of_loop, TARGET_LOOP_MS),
        quantile(&in_all, 0.5),
    ))
}

fn idle(setup: &Setup, run: &mut Run, scraper: &mut Scraper) -> Result<String> {
    let count = setup.choose(1000, 100);
    let before = run.daemon.cpu_ns()?;
    for _ in 0..count {
        scraper.fetch("/metrics")?;
    }
    let each = (run.daemon.cpu_ns()? - before) as f64 / 1e6 / f64::from(count);
    Ok(format!(
        "nothing has changed: {each:.2} ms of CPU each (theirs {THEIRS_IDLE_MS} ms); target <{THEIRS_IDLE_MS} ms:{}\n",
        verdict(each, THEIRS_IDLE_MS)
    ))
}

fn eight(setup: &Setup, address: SocketAddr) -> Result<String> {
    let (start, time) = (Instant::now(), Duration::from_secs(setup.choose(5, 1)));
    let scrape = move || {
        let mut scraper = Scraper::connect(address)?;
        let mut count = 0_u32;
        while start.elapsed() < time {
            scraper.fetch("/metrics")?;
            count += 1;
        }
        anyhow::Ok(count)
    };
    let scrapers: Vec<_> = (0..8).map(|_| std::thread::spawn(scrape)).collect();
    let mut count = 0;
    for scraper in scrapers {
        count += scraper.join().ok().context("a scraper panicked")??;
    }
    let per_second = f64::from(count) / start.elapsed().as_secs_f64();
    Ok(format!(
        "eight scrapers: {per_second:.0} a second (theirs {THEIRS_EIGHT:.0}); target >{THEIRS_EIGHT:.0}:{}\n",
        verdict(THEIRS_EIGHT, per_second)
    ))
}
