//! `cargo xtask long`: what is worth more time than the gate has. A person starts it, on a machine that has some hours; each part runs also when
//! one before it has found something. The result goes to the end of `docs/long-runs.md`.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::{fuzz, mutants};

/// The page, and where the result begins in it.
const PAGE: &str = "docs/long-runs.md";
const RESULT: &str = "## The last result\n";
/// The gate runs the seeds below.
const FIRST_SEED: u64 = 10_000;

/// How much of each.
#[derive(clap::Args)]
pub(crate) struct Extent {
    /// Seeds of the simulated cluster, other ones than those of the gate
    #[arg(long, default_value_t = 50_000)]
    seeds: u64,
    /// Minutes for each fuzz target
    #[arg(long, default_value_t = 1)]
    minutes: u32,
    /// Without mutations of the promoter, which take some hours
    #[arg(long)]
    no_mutants: bool,
}

struct Row {
    what: String,
    result: Result<String>,
    minutes: f64,
}

/// Runs all of it; false if something was found.
pub(crate) fn run(root: &Path, extent: &Extent) -> Result<bool> {
    let seeds = format!("{FIRST_SEED}..{}", FIRST_SEED.saturating_add(extent.seeds));
    let mut rows = vec![
        row(format!("{} seeds of the simulated cluster", extent.seeds), || {
            program(root, "cargo", &["build", "--quiet", "--profile", "sim", "-p", "reactor-sim", "--bin", "sim"])?;
            program(root, "target/sim/sim", &["--seeds", &seeds])
        }),
        row("each planted bug, looked for in the same seeds".to_owned(), || {
            program(root, "target/sim/sim", &["--seeds", &seeds, "--bug", "all"])
        }),
        row(format!("each fuzz target, {} min", extent.minutes), || {
            fuzz::run(root, None, extent.minutes).map(|()| "nothing found".to_owned())
        }),
    ];
    if !extent.no_mutants {
        rows.push(row("mutations of the promoter".to_owned(), || {
            let counts = mutants::run(root, None)?;
            counts.check()?;
            Ok(counts.to_string())
        }));
    }
    let text = table(&rows);
    writeln!(std::io::stdout(), "{text}")?;
    let page = fs::read_to_string(root.join(PAGE)).with_context(|| format!("reading {PAGE}"))?;
    let head = page.split_once(RESULT).map_or(page.as_str(), |(head, _)| head);
    fs::write(root.join(PAGE), format!("{head}{RESULT}\n{}\n\n{text}", version(root)))
        .with_context(|| format!("writing {PAGE}"))?;
    Ok(rows.iter().all(|row| row.result.is_ok()))
}

fn row(what: String, work: impl FnOnce() -> Result<String>) -> Row {
    let begin = Instant::now();
    let result = work();
    Row { what, result, minutes: begin.elapsed().as_secs_f64() / 60.0 }
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from("| what | result | minutes |\n| --- | --- | --- |\n");
    for row in rows {
        let result = match &row.result {
            Ok(result) => result.clone(),
            Err(error) => format!("**found:** {error:#}"),
        };
        text += &format!(
            "| {} | {} | {:.0} |\n",
            row.what,
            result.trim().replace('\n', "<br>").replace('|', "\\|"),
            row.minutes
        );
    }
    text
}

/// Runs a program; its last line is the result.
fn program(root: &Path, program: &str, args: &[&str]) -> Result<String> {
    let output =
        Command::new(program).args(args).current_dir(root).output().with_context(|| format!("running {program}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default().to_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(
        output.status.success(),
        "{program} {}: {last} {}",
        args.join(" "),
        said.lines().last().unwrap_or_default()
    );
    Ok(last)
}

/// Which state of the project it was.
fn version(root: &Path) -> String {
    let git = |args: &[&str]| Command::new("git").args(args).current_dir(root).output().ok();
    let said = git(&["log", "-1", "--format=Of commit %h, %cs."]).filter(|output| output.status.success());
    said.map_or_else(
        || "Of a state without history.".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_was_found() {
        let rows = [
            Row { what: "seeds".into(), result: Ok("all well\n".into()), minutes: 41.6 },
            Row { what: "bugs".into(), result: Err(anyhow::anyhow!("a | b")), minutes: 0.2 },
        ];
        let text = table(&rows);
        assert!(text.ends_with("| seeds | all well | 42 |\n| bugs | **found:** a \\| b | 0 |\n"), "{text}");
    }

    #[test]
    fn the_page_has_a_place_for_the_result() {
        let page = fs::read_to_string(crate::root().join(PAGE)).unwrap();
        assert_eq!(page.matches(RESULT).count(), 1);
    }
}
