//! Runs seeds, one or many, and says what came of them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{Bug, Plan, Violation, World};

/// What came of one seed.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The invariant that did not hold.
    pub violation: Option<Violation>,
}

/// Runs one seed.
pub fn run(seed: u64, bug: Option<Bug>) -> Report {
    let mut world = World::new(Plan::of(seed), bug, false);
    Report { seed, violation: world.run() }
}

/// The story of a seed, with what ended it.
pub fn story(seed: u64, bug: Option<Bug>) -> (String, Option<Violation>) {
    let plan = Plan::of(seed);
    let mut text = plan.summary.join("\n");
    text.push('\n');
    let mut world = World::new(plan, bug, true);
    let violation = world.run();
    text.push_str(world.story());
    if let Some(violation) = &violation {
        text.push_str(&format!("\n{violation}\n"));
    }
    (text, violation)
}

/// How many seeds to run at once, and when to stop.
#[derive(Clone, Copy, Debug)]
pub struct Many {
    /// The first.
    pub from: u64,
    /// The one after the last.
    pub to: u64,
    /// The bug, if any.
    pub bug: Option<Bug>,
    /// Worlds at once; each has a thread of its own.
    pub jobs: usize,
    /// Stop at the first that fails.
    pub first_only: bool,
}

/// Gives each seed to `one`, and what it gives for them, by seed.
pub fn each<T: Send>(seeds: std::ops::Range<u64>, jobs: usize, one: impl Fn(u64) -> T + Sync) -> Vec<(u64, T)> {
    let next = AtomicU64::new(seeds.start);
    let all = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let result = one(seed);
                    all.lock().expect("no holder of the lock panics").push((seed, result));
                }
            });
        }
    });
    let mut all = all.into_inner().expect("no holder of the lock panics");
    all.sort_by_key(|(seed, _)| *seed);
    all
}

/// Runs many seeds; the reports of those that failed, by seed, and how many were run.
pub fn many(many: Many) -> (Vec<Report>, u64) {
    let next = AtomicU64::new(many.from);
    let run_count = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..many.jobs.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= many.to {
                        return;
                    }
                    let report = run(seed, many.bug);
                    run_count.fetch_add(1, Ordering::Relaxed);
                    if report.violation.is_some() {
                        if many.first_only {
                            stop.store(true, Ordering::Relaxed);
                        }
                        failed.lock().expect("no holder of the lock panics").push(report);
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().expect("no holder of the lock panics");
    failed.sort_by_key(|report| report.seed);
    (failed, run_count.into_inner())
}
