//! What block devices cost: listing them, taking one that has changed, and finding the one that a log line means.

pub(crate) mod tree;

use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, ensure};
use reactor_sim::daemon::TempDir;
use reactor_storage::device::{Device, DeviceMap, Report};
use reactor_storage::event::Named;
use reactor_sysfs::Reader;

use crate::report::{quantile, sorted, verdict};
use crate::setup::Setup;
use tree::PER_LUN;

/// A large machine.
const DEVICES: usize = 2000;
/// A program that starts, reads everything and prints it as JSON.
const TARGET_COLD_MS: f64 = 300.0;
/// All of them as JSON, of a map that is there.
const TARGET_MEMORY_MS: f64 = 20.0;
/// What a log line means: 500,000 a second is the target of identification and correlation together.
const TARGET_RESOLVE_US: f64 = 1.0;

pub(crate) fn measure(setup: &Setup) -> Result<String> {
    let folder = TempDir::new("reactor-bench-devices")?;
    let luns = DEVICES / PER_LUN;
    tree::write(folder.path(), luns)?;
    let reader = Reader::new(folder.path());
    let mut map = reader.list()?.into_map();
    ensure!(map.len() == DEVICES, "{} devices were listed", map.len());
    let rounds = setup.choose(20, 3);

    let mut text =
        format!("\n{DEVICES} block devices: two FC paths, multipath, a logical volume and DRBD for each LUN\n\n");
    text += &format!("{:<52}{:>9}   {:>16}\n", "", "median", "target");
    let mut row = |what: &str, median: f64, unit: &str, target: Option<f64>| {
        let target = target.map(|target| format!("<{target}{}", verdict(median, target))).unwrap_or_default();
        text += &format!("{what:<52}{median:>9.2} {unit}{target:>16}\n");
    };
    let cold = median(rounds, || {
        let mut command = Command::new(&setup.reactorctl);
        command.args(["block", "--json", "--root"]).arg(folder.path()).stdout(Stdio::null());
        ensure!(command.status()?.success(), "reactorctl block failed");
        Ok(())
    })?;
    row("reactorctl block --json, from its start to its end", cold, "ms", Some(TARGET_COLD_MS));
    let listing = median(rounds, || Ok(reader.list()?.into_map()))?;
    row("of that: files read, and the map made", listing, "ms", None);
    let memory = median(rounds, || {
        let reports: Vec<Report<'_>> = map.devices().map(|device| map.report(device)).collect();
        Ok(serde_json::to_string(&reports)?)
    })?;
    row("all of them as JSON, of a map that is kept", memory, "ms", Some(TARGET_MEMORY_MS));
    let changed = each(setup.choose(2000, 200), |at| {
        let name = format!("drbd{}", at % luns);
        if let Some(facts) = reader.one(&name) {
            map.set(&facts, 1);
        }
    });
    row("one that has changed: read, and taken", changed, "us", None);
    let lookups = setup.choose(2_000_000, 100_000);
    for (what, names) in named(luns) {
        ensure!(names.iter().all(|name| !map.resolve(name).is_empty()), "{what} is not found");
        let took = each(lookups, |at| map.resolve(&names[at % names.len()]).len());
        row(&format!("the device that a line names by {what}"), took, "us", Some(TARGET_RESOLVE_US));
    }
    let walked = each(lookups / 10, |at| up(&map, &disk_named(at, luns)).len());
    row("of a path: all that is built on it", walked, "us", None);
    let summary = each(lookups / 50, |at| map.resolve(&disk_named(at, luns)).first().map(|device| map.summary(device)));
    row("of a path: its summary, as an event carries it", summary, "us", None);
    let wwids: Vec<String> = (0..luns).map(|lun| format!("36001405{lun:025x}")).collect();
    ensure!(wwids.iter().all(|wwid| map.find(wwid).is_ok()), "a WWID is not found");
    let found = each(lookups / 10, |at| map.find(&wwids[at % luns]).is_ok());
    row("whatever a person types: a WWID", found, "us", None);
    Ok(text)
}

/// Names in log lines, of many devices by turns.
fn named(luns: usize) -> Vec<(&'static str, Vec<Named<'static>>)> {
    let all = |make: fn(usize) -> Named<'static>| (0..luns).map(make).collect();
    vec![
        ("number", all(|lun| Named::Number(253, u32::try_from(lun).unwrap_or_default()))),
        ("the kernel's name", all(|lun| Named::Kernel(tree::disk(lun).into()))),
        ("SCSI address", all(|lun| Named::Scsi(6, 0, 0, lun as u64))),
        ("device mapper's name", all(|lun| Named::Dm(format!("mpath{lun}").into()))),
        ("path", all(|lun| Named::Path(format!("/dev/mapper/mpath{lun}").into()))),
        ("DRBD's resource and volume", all(|lun| Named::Drbd(format!("r{lun}").into(), Some(0)))),
    ]
}

fn disk_named(at: usize, luns: usize) -> Named<'static> {
    Named::Scsi(7, 0, 0, (at % luns) as u64)
}

fn up<'m>(map: &'m DeviceMap, named: &Named<'_>) -> Vec<&'m Device> {
    map.resolve(named).first().map(|device| map.above(device)).unwrap_or_default()
}

/// In milliseconds.
fn median<T>(rounds: usize, mut work: impl FnMut() -> Result<T>) -> Result<f64> {
    let mut took = Vec::new();
    for _ in 0..rounds {
        let at = Instant::now();
        black_box(work()?);
        took.push(at.elapsed().as_secs_f64() * 1e3);
    }
    Ok(quantile(&sorted(took), 0.5))
}

/// In microseconds, of the median of ten parts.
fn each<T>(count: usize, mut work: impl FnMut(usize) -> T) -> f64 {
    let part = (count / 10).max(1);
    let mut took = Vec::new();
    for begin in 0..10 {
        let at = Instant::now();
        for number in begin * part..(begin + 1) * part {
            black_box(work(number));
        }
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        took.push(at.elapsed().as_secs_f64() * 1e6 / part as f64);
    }
    quantile(&sorted(took), 0.5)
}
