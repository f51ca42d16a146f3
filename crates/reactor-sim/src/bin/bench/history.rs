//! What the history costs: the loop for each entry, the disk behind it, and a reader of a file with many entries.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use reactor_core::action::Reason;
use reactor_core::history::{Entry, Kind, News, Severity, Told};
use reactor_core::ids::Mono;
use reactor_sys::history::read::{Query, Reader};
use reactor_sys::history::{History, Limits};

use crate::report::{quantile, sorted, verdict};
use crate::setup::Setup;

/// Of the loop, for each entry.
const TARGET_LOOP_US: f64 = 5.0;
/// The last hundred entries, whatever else is in the file.
const TARGET_READ_MS: f64 = 20.0;
/// As many as the queue takes.
const BURST: u64 = 4096;
/// So many are in the file when it is read: some GB in the folder for temporary files, which are gone afterwards.
const MANY: u64 = 10_000_000;
/// To write them takes no longer than this.
const FILL: Duration = Duration::from_secs(600);

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn measure(setup: &Setup) -> Result<String> {
    let folder = Folder(std::env::temp_dir().join(format!("reactor-bench-history-{}", std::process::id())));
    let bursts = if setup.quick { 8 } else { 250 };
    let limits = Limits { max_age: Duration::from_secs(400 * 86_400), max_bytes: 8 << 30 };
    let mut history = History::start(&folder.0, "n1".to_owned(), limits);
    let (began, mut in_loop) = (Instant::now(), Vec::new());
    for burst in 0..bursts {
        let news: Vec<News> = (0..BURST).map(|number| news(burst * BURST + number)).collect();
        for news in &news {
            let at = Instant::now();
            history.write(SystemTime::now(), news);
            in_loop.push(at.elapsed().as_secs_f64() * 1e6);
        }
        written(&history, (burst + 1) * BURST)?;
    }
    let (count, took) = (bursts * BURST, began.elapsed().as_secs_f64());
    let total = filled(setup, &mut history, count)?;
    ensure!(history.finish(Duration::from_secs(60)), "the history was not written to its end");
    let in_loop = sorted(in_loop);
    let (median, most) = (quantile(&in_loop, 0.5), quantile(&in_loop, 0.99));
    let mut text = format!(
        "\nHistory: {count} entries with three reasons each, in bursts of {BURST}\n\n{:<44}{:>12}{:>16}\n",
        "", "", "target"
    );
    let target = |value, target: f64| format!("<{target}{}", verdict(value, target));
    text +=
        &format!("{:<44}{median:>9.2} us{:>16}\n", "in the loop, an entry (median)", target(median, TARGET_LOOP_US));
    text += &format!("{:<44}{most:>9.2} us\n", "in the loop, an entry (99 %)");
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let rate = count as f64 / took;
    text += &format!("{:<44}{rate:>9.0} /s\n", "written, through to the disk");
    text += &format!("of {total} entries in the file:\n");
    for (what, query) in [
        ("the last 100 entries", Query { last: 100, ..Query::default() }),
        (
            "the last 100 of one resource of ten",
            Query { resource: Some("r3".to_owned()), last: 100, ..Query::default() },
        ),
    ] {
        let mut took = Vec::new();
        for _ in 0..20 {
            let at = Instant::now();
            let reader = Reader::open(&folder.0)?;
            let first = reader.begin(&query)?.context("there are entries")?;
            ensure!(reader.page(&query, first, false)?.0.len() == 100, "not a hundred entries");
            took.push(at.elapsed().as_secs_f64() * 1e3);
        }
        let median = quantile(&sorted(took), 0.5);
        text += &format!("{what:<44}{median:>9.2} ms{:>16}\n", target(median, TARGET_READ_MS));
    }
    Ok(text)
}

/// Writes until there are many, on a slow disk for as long as that may take; so many there are then.
fn filled(setup: &Setup, history: &mut History, count: u64) -> Result<u64> {
    let (began, wanted, mut total) = (Instant::now(), setup.choose(MANY, count), count);
    while total < wanted && began.elapsed() < FILL {
        for number in 0..BURST {
            history.write(SystemTime::now(), &short_news(total + number));
        }
        total += BURST;
        written(history, total)?;
    }
    Ok(total)
}

/// Waits until so many are on the disk.
fn written(history: &History, count: u64) -> Result<()> {
    while history.status().written < count {
        ensure!(history.status().lost == 0 && history.status().failing.is_none(), "{:?}", history.status());
        std::thread::sleep(Duration::from_micros(50));
    }
    Ok(())
}

/// One without reasons: the file is to be long, not large.
fn short_news(number: u64) -> News {
    let entry = Entry::new(Kind::Decision, Severity::Info, "start drbd-services@r0.target".to_owned());
    let resource = format!("r{}", number % 10);
    News { at: Mono::ZERO, resource: Some(resource.as_str().into()), what: Told::Entry(entry) }
}

fn news(number: u64) -> News {
    let reason = |text: &str| Reason(text.to_owned());
    let because = vec![
        reason("may_promote:yes"),
        reason("no volume is without quorum"),
        reason("the delay of 2 s for preferred-nodes is over"),
    ];
    let entry = Entry::new(Kind::Decision, Severity::Info, "start drbd-services@r0.target".to_owned());
    let resource = format!("r{}", number % 10);
    News { at: Mono::ZERO, resource: Some(resource.as_str().into()), what: Told::Entry(entry.because(because)) }
}
