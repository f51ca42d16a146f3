//! A flood of errors: what a line costs from its text to the incident that it is part of, and what ten thousand of them in one second cost the loop.

use std::time::Instant;

use anyhow::{Result, ensure};
use reactor_core::core::Core;
use reactor_core::ids::Mono;
use reactor_core::input::{Fact, Input, MAX_RECORDS, Record as CoreRecord, SourceId};
use reactor_core::settings::{EventsSettings, Mode, PluginEntry, PluginSettings, Settings};
use reactor_core::subject::Subject;
use reactor_sim::daemon::TempDir;
use reactor_storage::catalogue::Catalogue;
use reactor_storage::device::DeviceMap;
use reactor_storage::incidents::Incidents;
use reactor_storage::pipeline::{Pipeline, Told};
use reactor_storage::record::{Origin, Record};
use reactor_sysfs::Reader;
use rustix::time::{ClockId, clock_gettime};

use crate::devices::tree;
use crate::report::{quantile, sorted, verdict};
use crate::setup::Setup;

/// A large machine.
const DEVICES: usize = 2000;
/// Disks that fail at once: both paths of each LUN, what is on them, and their file systems.
const LUNS: usize = 8;
/// Errors in one second.
const LINES: usize = 10_000;
/// The collector hands on what it has after so many lines at the latest.
const BATCH: usize = 256;
/// Microseconds of CPU for a line: 500,000 a second.
const TARGET_LINE_US: f64 = 2.0;
/// So long the loop may be busy at once because of them, in milliseconds: the silence that ends a burst of DRBD's is not longer.
const TARGET_STEP_MS: f64 = 1.5;
/// So many events may be told of them: two types on two paths, a map and a volume of each LUN, each told anew when it has grown.
const TARGET_EVENTS: f64 = 100.0;

pub(crate) fn measure(setup: &Setup) -> Result<String> {
    let folder = TempDir::new("reactor-bench-floods")?;
    tree::write(folder.path(), DEVICES / tree::PER_LUN)?;
    let map = Reader::new(folder.path()).list()?.into_map();
    let catalogue = Catalogue::built_in();
    let texts: Vec<String> = (0..LINES).map(text).collect();
    let mut text =
        format!("\nA flood: {LINES} errors in one second, of {LUNS} LUNs among {DEVICES} devices; one core\n\n");
    text += &format!("{:<60}{:>9}   {:>16}\n", "", "", "target");
    let mut row = |what: &str, value: f64, unit: &str, target: f64| {
        text += &format!("{what:<60}{value:>9.2} {unit:<2}{:>16}\n", format!("<{target}{}", verdict(value, target)));
    };

    let rounds = setup.choose(50, 3);
    let took: Vec<f64> = (0..rounds).map(|_| one_second(&catalogue, &map, &texts).0).collect();
    row("a line: classified, identified, correlated", quantile(&sorted(took), 0.5), "us", TARGET_LINE_US);

    let (_, batches) = one_second(&catalogue, &map, &texts);
    let told: usize = batches.iter().map(Vec::len).sum();
    ensure!(told > 0, "the lines are no events");
    let steps: Vec<f64> = (0..rounds).flat_map(|_| loop_ms(&batches)).collect();
    let steps = sorted(steps);
    row("what the loop is told of them: events, and how they grow", told as f64, "", TARGET_EVENTS);
    row("the longest that the loop is busy at once", quantile(&steps, 1.0), "ms", TARGET_STEP_MS);
    Ok(text)
}

/// One error. Those of a LUN name a path, the map or the file system on DRBD.
fn text(at: usize) -> String {
    let (lun, sector) = (at % LUNS, at * 8);
    let path = tree::disk(lun * 2 + at / LUNS % 2);
    match at % 3 {
        0 => format!("I/O error, dev {path}, sector {sector} op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2"),
        1 => format!("Buffer I/O error on dev drbd{lun}, logical block {sector}, async page read"),
        _ => format!("Buffer I/O error on dev {path}, logical block {sector}, async page read"),
    }
}

/// Takes all of them as the collector does, and its events as incidents. CPU of a line in microseconds, and what was told, by batch.
fn one_second(catalogue: &Catalogue, map: &DeviceMap, texts: &[String]) -> (f64, Vec<Vec<Told>>) {
    let (mut pipeline, mut incidents) = (Pipeline::new(), Incidents::default());
    let mut batches = Vec::new();
    let begin = cpu_us();
    for (number, lines) in texts.chunks(BATCH).enumerate() {
        let mut now = 0;
        for (at, line) in lines.iter().enumerate() {
            now = 1_000_000 + ((number * BATCH + at) * 1_000_000 / LINES) as u64;
            let mut record = Record::new(Origin::Kernel, line.as_str());
            (record.at.wall_us, record.at.boot_us) = (Some(now), Some(now));
            if let Some(finding) = catalogue.classify(&record) {
                pipeline.take(&record, &finding, map, now);
            }
        }
        let told = pipeline.told();
        for told in &told {
            incidents.take(&told.event, now);
        }
        batches.push(told);
    }
    ((cpu_us() - begin) / texts.len() as f64, batches)
}

/// How long each step of a core takes that is told of them, in milliseconds of CPU.
fn loop_ms(batches: &[Vec<Told>]) -> Vec<f64> {
    let mut core = Core::new();
    let (file, settings) = ("events.toml".into(), PluginSettings::Events(EventsSettings::default()));
    let settings = Settings::of_plugins(Mode::Native, vec![PluginEntry { file, line: 1, settings }]);
    let (began, mut out) = (Instant::now(), Vec::new());
    let now = || Mono::ZERO.after(began.elapsed());
    core.configure(now(), &settings, &mut out);
    let record = |told: &Told| CoreRecord { subject: Subject::Node, fact: Fact::Storage(Box::new(told.clone())) };
    let inputs = batches.iter().flat_map(|told| told.chunks(MAX_RECORDS));
    let inputs: Vec<Input> =
        inputs.map(|told| Input::Records(SourceId::Storage, told.iter().map(record).collect())).collect();
    let step = |input: &Input| {
        out.clear();
        let begin = cpu_us();
        core.step(now(), input, &mut out);
        (cpu_us() - begin) / 1000.0
    };
    inputs.iter().map(step).collect()
}

/// CPU of this thread: what else the machine does is not asked for.
fn cpu_us() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e6 + now.tv_nsec as f64 / 1e3
}
