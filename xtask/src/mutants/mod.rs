//! `cargo xtask mutants`: small bugs are put into the promoter, one at a time, and something has to notice each.
//!
//! First the core's own tests look at each of them, then, at those that they missed, the simulated clusters. What both miss is looked up in
//! `tests/mutants.toml`, where a person has written why it does no harm; anything else is a hole in the net.

mod list;
mod tree;
mod trial;
mod weave;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use tree::Tree;
use trial::Trial;

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
/// The core's tests of the promoter: those of anything else would cost time, and know nothing of it.
const CORE: &[&str] = &["--package", "reactor-core", "--lib", "--test", "promoter"];
/// Whole clusters.
const SIMULATOR: &[&str] = &["--package", "reactor-sim", "--profile", "sim", "--test", "seeds"];
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
///
/// Most mutants are woven into one program ([`weave`]); what cannot be is left to cargo-mutants, which builds one program for each.
pub(crate) fn run(root: &Path, file: Option<&str>) -> Result<Counts> {
    let known = known(root)?;
    let has = Command::new("cargo").args(["mutants", "--version"]).output().is_ok_and(|it| it.status.success());
    ensure!(has, "cargo-mutants is not installed: cargo install --locked cargo-mutants");
    let chosen: Vec<&str> = FILES.iter().copied().filter(|name| file.is_none_or(|file| file == *name)).collect();
    ensure!(!chosen.is_empty(), "no such file: {}", FILES.join(", "));
    let select = select(&chosen);
    let all = list::list(root, &select)?;
    let names: Vec<String> = all.iter().map(|mutant| mutant.name.clone()).collect();
    let mut tree = Tree::weave(root, &root.join(OUT).join("tree"), all)?;

    let programs = tree.build(root, CORE)?;
    let by_tests = Trial::new(&programs, &[])?.run(&tree.woven().iter().copied().collect::<Vec<_>>())?;
    let missed: Vec<usize> = by_tests.iter().filter(|(_, noticed)| !**noticed).map(|(id, _)| *id).collect();
    let alone: BTreeSet<&str> =
        (0..names.len()).filter(|id| !by_tests.contains_key(id)).map(|id| names[id].as_str()).collect();
    let by_simulator = if missed.is_empty() {
        BTreeMap::new()
    } else {
        let programs = tree.build(root, SIMULATOR)?;
        Trial::new(&programs, &[("SIM_SEEDS", SEEDS)])?.run(&missed)?
    };
    let mut counts = Counts {
        by_tests: by_tests.len() - missed.len(),
        by_simulator: by_simulator.values().filter(|noticed| **noticed).count(),
        ..Counts::default()
    };
    let mut survivors: Vec<String> =
        missed.iter().filter(|id| by_simulator.get(id) != Some(&true)).map(|id| names[*id].clone()).collect();
    survivors.extend(one_by_one(root, &select, &alone, &mut counts)?);
    counts.viable = counts.by_tests + counts.by_simulator + survivors.len();
    let (harmless, survivors): (Vec<_>, Vec<_>) =
        survivors.into_iter().partition(|name| known.contains_key(&plain(name)));
    Ok(Counts { harmless: harmless.len(), survivors, ..counts })
}

/// What cargo-mutants is told to look at.
fn select(files: &[&str]) -> Vec<String> {
    // A module is a file, and a folder of the same name.
    let of_file = |file: &&str| {
        ["--file".to_owned(), format!("{PROMOTER}/{file}.rs"), "--file".to_owned(), format!("{PROMOTER}/{file}/**")]
    };
    let excluded = ["--exclude", "**/tests.rs", "--exclude", "**/*_tests.rs"].map(str::to_owned);
    files.iter().flat_map(of_file).chain(excluded).collect()
}

/// Those that were not woven, each in a build of its own: the core's tests, then the simulator for what is missed. Returns what nothing noticed.
fn one_by_one(root: &Path, select: &[String], names: &BTreeSet<&str>, counts: &mut Counts) -> Result<Vec<String>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let out = root.join(OUT);
    mutate(
        root,
        select,
        names,
        &["--test-package", "reactor-core", "--cargo-arg=--lib", "--cargo-arg=--test=promoter"],
    )?;
    counts.by_tests += words(&out, "caught")?.len() + words(&out, "timeout")?.len();
    let missed = words(&out, "missed")?;
    if missed.is_empty() {
        return Ok(missed);
    }
    let names = missed.iter().map(String::as_str).collect();
    mutate(root, select, &names, &["--test-package", "reactor-sim", "--profile", "sim", "--cargo-arg=--test=seeds"])?;
    counts.by_simulator += words(&out, "caught")?.len() + words(&out, "timeout")?.len();
    words(&out, "missed")
}

/// Has cargo-mutants try these by themselves.
fn mutate(root: &Path, select: &[String], names: &BTreeSet<&str>, how: &[&str]) -> Result<()> {
    let mut command = Command::new("cargo");
    command.args(["mutants", "--package", "reactor-core", "--no-shuffle", "--colors", "never", "--output", OUT]);
    command.args(select).args(how).env("SIM_SEEDS", SEEDS).current_dir(root);
    for name in names {
        command.arg("--re").arg(format!("^{}$", regex_of(name)));
    }
    // Each mutant is a build: what a debugger needs would double its time.
    command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_SIM_DEBUG", "0");
    let ended = command.status().context("running cargo mutants")?;
    // 2 = some were missed, 3 = some took too long.
    match ended.code() {
        Some(0 | 2 | 3) => Ok(()),
        _ => bail!("cargo mutants: {ended}; see {OUT}/mutants.out"),
    }
}

/// A regular expression for this text alone.
fn regex_of(text: &str) -> String {
    // Before anything else a backslash may mean something.
    const SPECIAL: &str = "\\.+*?()|[]{}^$#&-~";
    text.chars().flat_map(|c| SPECIAL.contains(c).then_some('\\').into_iter().chain([c])).collect()
}

/// The names in one of the lists of cargo-mutants.
fn words(out: &Path, kind: &str) -> Result<Vec<String>> {
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
    fn a_name_is_looked_for_as_it_is() {
        assert_eq!(
            regex_of("a.rs:1:2: replace f -> Option<X> with a+b"),
            r"a\.rs:1:2: replace f \-> Option<X> with a\+b"
        );
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
