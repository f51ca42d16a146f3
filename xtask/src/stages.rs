//! The stages of the gate, in their order: what fails fast comes first.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::gate::{Outcome, Stage, is_ci};
use crate::{deb, dist as dist_files, docs, licences as licence_rules, tools};

/// The stage that says which kernel the nodes will run.
const KERNEL: &str = "lab-kernel";

/// The whole gate.
pub(crate) fn all() -> Vec<Stage> {
    // At the very start: who waits for the rest shall know.
    let mut stages = vec![kernel()];
    stages.extend(lints());
    stages.push(licences());
    stages.push(dist());
    stages.push(generated());
    stages.extend(tests());
    stages.push(Stage::run_with(
        "rustdoc",
        &["cargo", "doc", "--quiet", "--workspace", "--no-deps", "--locked"],
        &[("RUSTDOCFLAGS", "-D warnings")],
    ));
    stages.push(fuzz());
    stages
}

/// Format and lints.
pub(crate) fn lints() -> Vec<Stage> {
    vec![
        Stage::own("format", |_| tool("fmt", "rustfmt", &["cargo", "fmt", "--all", "--check"])),
        Stage::own("clippy", |_| {
            let command =
                ["cargo", "clippy", "--quiet", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
            tool("clippy", "clippy", &command)
        }),
    ]
}

/// Build and tests. The programs are built first: tests of one crate start those of another.
pub(crate) fn tests() -> Vec<Stage> {
    let mut stages = vec![
        Stage::own("tools", tools::fetch),
        Stage::run("build", &["cargo", "build", "--quiet", "--workspace", "--bins", "--locked"]).needed(),
    ];
    if has("nextest") {
        let run =
            ["cargo", "nextest", "run", "--workspace", "--locked", "--no-fail-fast", "--success-output", "immediate"];
        // The tests of the lab's nodes share a cluster, and nextest would boot one for each.
        stages.push(Stage::run("tests", &[&run[..], &["-E", "not binary_id(/^lab::/)"]].concat()));
    } else {
        let run =
            ["cargo", "test", "--quiet", "--workspace", "--exclude", "lab", "--lib", "--bins", "--tests", "--locked"];
        stages.push(Stage::run("tests", &[&run[..], &["--no-fail-fast", "--", "--show-output"]].concat()));
    }
    stages.push(Stage::own("package", package));
    stages.extend(lab());
    stages.push(Stage::run("doctests", &["cargo", "test", "--quiet", "--workspace", "--doc", "--locked"]));
    stages.push(Stage::own("examples", examples));
    stages.push(Stage::run("demo", &["target/debug/demo"]));
    stages.extend(simulation());
    stages
}

/// Which kernel the nodes will run, and why. What it needs is fetched and built here, so the tests on nodes find it.
fn kernel() -> Stage {
    Stage::own(KERNEL, |root| {
        let cannot = |what: &str| Ok(Outcome::Skipped(format!("nodes: {what}")));
        if !program(root, "apt-get") && !root.join("target/lab/kernels.json").exists() {
            return cannot("there is no apt-get to fetch what they run with");
        }
        let build = output(&["cargo", "build", "--quiet", "--package", "lab", "--bins", "--locked"])?;
        if build != Outcome::Passed {
            return Ok(build);
        }
        let explain = Command::new("target/debug/lab").args(["image", "--explain"]).stdin(Stdio::null()).output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        Ok(match explain.status.success() {
            true => Outcome::Told(text(&explain.stdout)),
            // One failure with one sentence, in place of one for each test on nodes.
            false if is_ci() => Outcome::Failed(text(&explain.stderr)),
            // Without rights or network a person goes on without the nodes.
            false => Outcome::Skipped(format!("nodes: {}", text(&explain.stderr))),
        })
    })
}

/// The lab's own tests, what the daemon does on its nodes, and two rounds of chaos.
fn lab() -> Vec<Stage> {
    let test = |programs: &[&'static str]| {
        let cargo = ["cargo", "test", "--quiet", "--package", "lab", "--locked", "--no-fail-fast"];
        [&cargo[..], programs, &["--", "--show-output"]].concat()
    };
    vec![
        // Before the programs that run side by side: cargo builds for one of them at a time.
        Stage::run("lab-build", &["cargo", "test", "--quiet", "--package", "lab", "--locked", "--no-run"]).needed(),
        Stage::run("lab", &test(&["--lib", "--bins", "--test", "image", "--test", "kernels"])).after(KERNEL),
        // Most of the time nodes wait: for a disk, for DRBD, for each other.
        Stage::together("lab-nodes", &[test(&["--test", "pair"]), test(&["--test", "nodes", "--test", "quorum"])])
            .after(KERNEL),
        // By itself: it asks how long the service is away.
        Stage::run("lab-chaos", &test(&["--test", "chaos"])).after(KERNEL),
    ]
}

/// Simulated clusters, a virtual hour each, built for speed; what the daemons say would happen, beside what then happens; and planted bugs, each of
/// which must be caught.
pub(crate) fn simulation() -> Vec<Stage> {
    let sim = "target/sim/sim";
    let build = ["cargo", "build", "--quiet", "--locked", "--profile", "sim", "-p", "reactor-sim", "--bin", "sim"];
    vec![
        Stage::run("sim-build", &build),
        Stage::run("simulation", &[sim, "--seeds", "0..1000"]),
        Stage::run("sim-plans", &[sim, "--plans", "--seeds", "0..500"]),
        Stage::run("sim-bugs", &[sim, "--seeds", "0..2000", "--bug", "all"]),
    ]
}

/// The Debian package, which the lab's nodes get installed: what users get is what is tested. `PROFILE=dev` takes the programs that are
/// built already.
fn package(root: &Path) -> Result<Outcome> {
    for needed in ["make", "dpkg-deb"] {
        if !program(root, needed) {
            return Ok(Outcome::Skipped(format!("{needed} is not installed")));
        }
    }
    let profile = std::env::var("PROFILE").unwrap_or_else(|_| "release".to_owned());
    Ok(match deb::build(root, &profile) {
        Ok(_) => Outcome::Passed,
        Err(error) => Outcome::Failed(format!("{error:#}")),
    })
}

/// Every example is a good configuration.
fn examples(root: &Path) -> Result<Outcome> {
    let mut files = dist_files::files(&root.join("example"), "toml")?;
    files.extend(dist_files::files(&root.join("dist"), "toml")?);
    let command: Vec<&str> = ["target/debug/reactorctl", "check", "--no-system"]
        .into_iter()
        .chain(files.iter().map(String::as_str))
        .collect();
    output(&command)
}

/// Whether the generated documents are what the sources say.
pub(crate) fn generated() -> Stage {
    Stage::own("documents", docs::check)
}

/// Whether everything we link may be linked.
pub(crate) fn licences() -> Stage {
    Stage::own("licences", licence_rules::check)
}

/// Units and the like.
pub(crate) fn dist() -> Stage {
    Stage::own("dist", dist_files::check)
}

/// The fuzz targets build; libFuzzer itself needs a C++ compiler and is left out.
pub(crate) fn fuzz() -> Stage {
    Stage::own("fuzz", |root| {
        // The versions of everything else, to which cargo adds libFuzzer: with the same target folder most is built already.
        std::fs::copy(root.join("Cargo.lock"), root.join("fuzz/Cargo.lock")).context("copying Cargo.lock")?;
        let manifest = ["--manifest-path", "fuzz/Cargo.toml", "--target-dir", "target"];
        output(&[&["cargo", "check", "--quiet", "--no-default-features"], &manifest[..]].concat())
    })
}

/// Runs `cargo NAME ...`, or skips it if this Rust came without it.
fn tool(name: &str, component: &str, command: &[&str]) -> Result<Outcome> {
    if !has(name) {
        return Ok(Outcome::Skipped(format!("this Rust has no {component}")));
    }
    output(command)
}

/// Runs a program and shows what it says if it fails.
fn output(command: &[&str]) -> Result<Outcome> {
    let output = Command::new(command[0]).args(&command[1..]).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(Outcome::Passed);
    }
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Ok(Outcome::Failed(format!("$ {}\n{text}", command.join(" "))))
}

/// Whether cargo has this command.
fn has(name: &str) -> bool {
    let ask = Command::new("cargo").args([name, "--version"]).stdin(Stdio::null()).output();
    ask.is_ok_and(|output| output.status.success())
}

/// Whether a program is in `PATH` or among the fetched tools.
pub(crate) fn program(root: &Path, name: &str) -> bool {
    std::env::split_paths(&tools::path(root)).any(|folder| folder.join(name).is_file())
}
