//! `cargo xtask mutants`: small bugs are put into the promoter, one at a time, and something has to notice each.
//!
//! First the core's own tests look at each of them, then, at those that they missed, the simulated clusters. What both miss is looked up in
//! `tests/mutants.toml`, where a person has written why it does no harm; anything else is a hole in the net.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

/// The folder of the promoter.
const PROMOTER: &str = "crates/reactor-core/src/plugin/promoter";
/// What decides, starts, stops and holds.
const FILES: &[&str] = &[
    "plan",
    "machine",
    "work",
    "stops",
    "failures",
    "tries",
    "start_list",
    "standing",
    "freezer",
    "thaws",
    "links",
    "services",
    "prepare",
    "unit_files",
    "delay",
    "failback",
    "policy",
    "course",
];
/// Survivors that are known to be harmless.
const KNOWN: &str = "tests/mutants.toml";
/// Where results are.
const OUT: &str = "target/xtask/mutants";
/// Seeds for what the core's tests miss.
const SEEDS: &str = "0..300";

/// How it ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// All that could be built.
    pub(crate) viable: usize,
    /// The core's tests noticed.
    pub(crate) by_tests: usize,
    /// Only the simulator noticed.
    pub(crate) by_simulator: usize,
    /// Nobody noticed, and there is a reason for it.
    pub(crate) harmless: usize,
    /// Nobody noticed.
    pub(crate) survivors: Vec<String>,
}

impl Counts {
    /// # Errors
    ///
    /// Something survived, and nobody has said why that is well.
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(self.survivors.is_empty(), "{self}; nothing notices:\n{}", self.survivors.join("\n"));
        Ok(())
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { viable, by_tests, by_simulator, harmless, survivors } = self;
        write!(f, "{viable} mutants: {by_tests} noticed by the core's tests, {by_simulator} by the simulator alone, ")?;
        write!(f, "{harmless} known to do no harm, {} not noticed", survivors.len())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    #[serde(default)]
    survivor: Vec<Survivor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Survivor {
    /// As cargo-mutants names it, without line and column.
    mutant: String,
    /// Why it does no harm.
    reason: String,
}

/// Mutates `file` (the name of one, without its ending) or all of them.
pub(crate) fn run(root: &Path, file: Option<&str>) -> Result<Counts> {
    let known = known(root)?;
    let has = Command::new("cargo").args(["mutants", "--version"]).output().is_ok_and(|it| it.status.success());
    ensure!(has, "cargo-mutants is not installed: cargo install --locked cargo-mutants");
    let chosen: Vec<&str> = FILES.iter().copied().filter(|name| file.is_none_or(|file| file == *name)).collect();
    ensure!(!chosen.is_empty(), "no such file: {}", FILES.join(", "));
    let out = root.join(OUT);
    let _ = fs::remove_dir_all(&out);
    fs::create_dir_all(&out).with_context(|| format!("making {}", out.display()))?;
    // The core's tests of anything else would cost most of the time, and know nothing of the promoter.
    mutate(root, &chosen, &["--test-package", "reactor-core", "--", "--lib", "--test", "promoter"])?;
    let caught = || Ok::<_, anyhow::Error>(names(&out, "caught")?.len() + names(&out, "timeout")?.len());
    let by_tests = caught()?;
    let mut by_simulator = 0;
    if !names(&out, "missed")?.is_empty() {
        // Only what was missed is tried again: what is read then is of this run alone.
        mutate(
            root,
            &chosen,
            &["--iterate", "--test-package", "reactor-sim", "--profile", "sim", "--", "--test", "seeds"],
        )?;
        by_simulator = caught()?;
    }
    let missed = names(&out, "missed")?;
    let (harmless, survivors): (Vec<_>, Vec<_>) = missed.into_iter().partition(|name| known.contains_key(&plain(name)));
    Ok(Counts {
        viable: by_tests + by_simulator + harmless.len() + survivors.len(),
        by_tests,
        by_simulator,
        harmless: harmless.len(),
        survivors,
    })
}

fn mutate(root: &Path, files: &[&str], how: &[&str]) -> Result<()> {
    let (options, of_tests) = how.split_at(how.iter().position(|word| *word == "--").unwrap_or(how.len()));
    let mut command = Command::new("cargo");
    command.args(["mutants", "--package", "reactor-core", "--no-shuffle", "--colors", "never", "--output", OUT]);
    for file in files {
        // A module is a file, and a folder of the same name.
        command.arg("--file").arg(format!("{PROMOTER}/{file}.rs")).arg("--file").arg(format!("{PROMOTER}/{file}/**"));
    }
    command.args(["--exclude", "**/tests.rs", "--exclude", "**/*_tests.rs"]);
    command.args(options).args(of_tests).env("SIM_SEEDS", SEEDS).current_dir(root);
    // Each mutant is a build: what a debugger needs would double its time.
    command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_SIM_DEBUG", "0");
    let ended = command.status().context("running cargo mutants")?;
    // 2 = some were missed, 3 = some took too long.
    match ended.code() {
        Some(0 | 2 | 3) => Ok(()),
        _ => bail!("cargo mutants: {ended}; see {OUT}/mutants.out"),
    }
}

fn names(out: &Path, kind: &str) -> Result<Vec<String>> {
    let path: PathBuf = out.join("mutants.out").join(format!("{kind}.txt"));
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

fn known(root: &Path) -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(root.join(KNOWN)).with_context(|| format!("reading {KNOWN}"))?;
    let known: Known = toml::from_str(&text).with_context(|| format!("reading {KNOWN}"))?;
    Ok(known.survivor.into_iter().map(|one| (one.mutant, one.reason)).collect())
}

/// A mutant's name without line and column, which move with every change above it: `FILE: WHAT`.
fn plain(name: &str) -> String {
    let Some((file, rest)) = name.split_once(':') else { return name.to_owned() };
    let what = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':').trim_start();
    format!("{file}: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_is_known_wherever_its_line_is() {
        let name = "crates/x/src/plan.rs:120:9: replace < with <= in may_start";
        assert_eq!(plain(name), "crates/x/src/plan.rs: replace < with <= in may_start");
    }

    #[test]
    fn each_survivor_that_is_known_has_a_reason_and_is_in_a_file_that_is_mutated() {
        let root = crate::root();
        for (mutant, reason) in known(&root).unwrap() {
            assert!(reason.split_whitespace().count() > 3, "{mutant}: no reason");
            let file = mutant.split(':').next().unwrap();
            assert!(root.join(file).is_file(), "{mutant}: there is no {file}");
            let module = file.strip_prefix(PROMOTER).unwrap().trim_start_matches('/');
            let module = module.split(['/', '.']).next().unwrap();
            assert!(FILES.contains(&module), "{mutant}: {module} is not mutated");
        }
    }
}
