//! Runs seeds of the simulated cluster: `sim --seeds 0..2000`; `--story 17` tells one.

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Parser;
use reactor_sim::world::foresight::{self, Mistake};
use reactor_sim::world::{Bug, runner, scenario};

/// Runs seeds of a simulated cluster: three daemons over simulated DRBD and systemd, one virtual hour each.
#[derive(Parser)]
struct Args {
    /// The seeds, the second not included
    #[arg(long, value_name = "A..B", default_value = "0..100")]
    seeds: String,
    /// A planted bug: stops at the first seed that catches it. `list` prints their names, `all` tries each
    #[arg(long, value_name = "NAME")]
    bug: Option<String>,
    /// Compare what the daemons say would happen with what then happens, instead: one event for each seed, and then each planted mistake
    #[arg(long)]
    plans: bool,
    /// Tell the story of one seed
    #[arg(long, value_name = "SEED")]
    story: Option<u64>,
    /// Where folders of failing seeds are written: their story, and what every daemon was told
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
    /// Worlds at once
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let mut out = std::io::stdout().lock();
    if args.bug.as_deref() == Some("list") {
        for (name, _) in Bug::ALL {
            writeln!(out, "{name}")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let (from, to) = args.seeds.split_once("..").context("--seeds wants A..B")?;
    let (from, to): (u64, u64) = (from.parse()?, to.parse()?);
    if args.bug.as_deref() == Some("all") {
        let mut all = true;
        for (name, bug) in Bug::ALL {
            let begin = Instant::now();
            let many = runner::Many { from, to, bug: Some(*bug), jobs: args.jobs, first_only: true };
            let (failed, count) = runner::many(many);
            let took = begin.elapsed().as_secs_f64();
            match failed.first() {
                Some(report) => {
                    let rule = report.violation.as_ref().map_or("", |violation| violation.rule);
                    writeln!(out, "{name:<26} caught after {count:>4} seeds, {took:>5.1} s: {rule}")?;
                    let wanted = bug.caught_by();
                    if !wanted.is_empty() && !wanted.contains(&rule) {
                        all = false;
                        writeln!(out, "{name:<26} NOT CAUGHT by what has to: {}", wanted.join(", or "))?;
                    }
                }
                None => {
                    all = false;
                    writeln!(out, "{name:<26} NOT CAUGHT in {count} seeds, {took:.1} s")?;
                }
            }
        }
        return Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let bug = match args.bug.as_deref() {
        Some(name) => Some(Bug::named(name).with_context(|| format!("no bug {name}: --bug list"))?),
        None => None,
    };
    if args.plans {
        return plans(&args, from..to, &mut out);
    }
    if let Some(seed) = args.story {
        let (story, violation) = match &args.write {
            Some(folder) => scenario::write(folder, seed, bug)?,
            None => runner::story(seed, bug),
        };
        out.write_all(story.as_bytes())?;
        return Ok(if violation.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS });
    }
    if to <= from {
        bail!("--seeds {} is empty", args.seeds);
    }
    let begin = Instant::now();
    let (failed, count) = runner::many(runner::Many { from, to, bug, jobs: args.jobs, first_only: bug.is_some() });
    let took = begin.elapsed().as_secs_f64();
    // The story of the first is told: that is what somebody will look at.
    if let (Some(report), None, None) = (failed.first(), bug, &args.write) {
        out.write_all(runner::story(report.seed, bug).0.as_bytes())?;
    }
    for report in &failed {
        if let Some(violation) = &report.violation {
            writeln!(out, "seed {:>6}: {violation}", report.seed)?;
            if let Some(folder) = &args.write {
                scenario::write(&folder.join(format!("seed-{}", report.seed)), report.seed, bug)?;
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a number for people")]
    let speed = count as f64 / took;
    writeln!(out, "{count} seeds in {took:.1} s ({speed:.1} a second), {} failed", failed.len())?;
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// So many seeds have plans of every kind.
const ENOUGH: usize = 200;

/// `--plans`: no plan may differ from what happens, and each mistake has to be noticed.
fn plans(args: &Args, seeds: Range<u64>, out: &mut impl Write) -> Result<ExitCode> {
    if let Some(seed) = args.story {
        let compared = foresight::compare(seed, None, true);
        out.write_all(compared.story.as_bytes())?;
        for difference in &compared.differences {
            writeln!(out, "{difference}")?;
        }
        return Ok(if compared.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let begin = Instant::now();
    let all = runner::each(seeds.clone(), args.jobs, |seed| foresight::compare(seed, None, false));
    let mut said = BTreeMap::new();
    let mut differences = 0;
    for (_, compared) in &all {
        for what in &compared.said {
            *said.entry(*what).or_insert(0) += 1;
        }
        for difference in &compared.differences {
            differences += 1;
            writeln!(out, "{difference}")?;
        }
    }
    let restless = all.iter().filter(|(_, compared)| compared.said.is_empty()).count();
    // Seeds in which some kind of plan never comes up would prove nothing of it.
    let is_met = |what: &&str| said.contains_key(*what);
    let missing: Vec<&str> =
        ["starts", "stops", "freezes", "runs", "nothing"].into_iter().filter(|what| !is_met(what)).collect();
    let said: Vec<String> = said.iter().map(|(what, count)| format!("{count} {what}")).collect();
    let took = begin.elapsed().as_secs_f64();
    let (seeds_run, said) = (all.len(), said.join(", "));
    writeln!(
        out,
        "plans of {seeds_run} seeds ({restless} never quiet) in {took:.1} s: {said}; {differences} did not come true"
    )?;
    let mut good = differences == 0;
    if seeds_run >= ENOUGH && !missing.is_empty() {
        good = false;
        writeln!(out, "no plan said: {}", missing.join(", "))?;
    }
    for mistake in Mistake::ALL {
        let caught = seeds.clone().find(|seed| !foresight::compare(*seed, Some(mistake), false).differences.is_empty());
        good &= caught.is_some();
        match caught {
            Some(seed) => writeln!(out, "{mistake:?} noticed in seed {seed}")?,
            None => writeln!(out, "{mistake:?} NOT NOTICED")?,
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
