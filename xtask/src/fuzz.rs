//! `cargo xtask fuzz TARGET --minutes N`: libFuzzer on a stable Rust.
//!
//! The compiler's own coverage pass does what cargo-fuzz asks of a nightly one. `--target` is given so that build scripts and macros, which
//! run while building, are not instrumented. What is found stays in `fuzz/artifacts`; what is interesting in `fuzz/corpus`, and the next run
//! begins with it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// What makes the compiler count edges and tell libFuzzer of comparisons, with all checks in.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cdebug-assertions -Coverflow-checks -Clto=off";
/// An input that takes longer than this, in seconds, is a finding.
const SLOW: u32 = 10;

/// The targets, by name.
fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Runs one target, or all of them one after the other, for so many minutes each.
pub(crate) fn run(root: &Path, target: Option<&str>, minutes: u32) -> Result<()> {
    let all = targets(root)?;
    let chosen: Vec<&String> = all.iter().filter(|name| target.is_none_or(|target| target == name.as_str())).collect();
    ensure!(!chosen.is_empty(), "there is no target of this name: {}", all.join(", "));
    let host = host()?;
    build(root, &host)?;
    done(Command::new("sh").arg("fuzz/seeds.sh").current_dir(root), "fuzz/seeds.sh")?;
    let mut failed = Vec::new();
    for name in chosen {
        let folder = |kind: &str| root.join("fuzz").join(kind).join(name);
        for kind in ["corpus", "artifacts"] {
            fs::create_dir_all(folder(kind)).with_context(|| format!("making fuzz/{kind}/{name}"))?;
        }
        let program = root.join("target/fuzz").join(&host).join("release").join(name);
        let ended = Command::new(program)
            .arg(format!("-max_total_time={}", u64::from(minutes) * 60))
            .args([format!("-timeout={SLOW}"), "-rss_limit_mb=4096".to_owned(), "-print_final_stats=1".to_owned()])
            .arg(format!("-artifact_prefix={}/", folder("artifacts").display()))
            .arg(folder("corpus"))
            .current_dir(root)
            .status()
            .with_context(|| format!("running the target {name}"))?;
        if !ended.success() {
            failed.push(name.as_str());
        }
    }
    ensure!(failed.is_empty(), "something was found by {}: see above, and fuzz/artifacts", failed.join(", "));
    Ok(())
}

fn build(root: &Path, host: &str) -> Result<()> {
    // The versions of everything else, to which cargo adds libFuzzer.
    fs::copy(root.join("Cargo.lock"), root.join("fuzz/Cargo.lock")).context("copying Cargo.lock")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--bins", "--manifest-path", "fuzz/Cargo.toml", "--target-dir", "target/fuzz"]);
    command.args(["--target", host]).env("RUSTFLAGS", FLAGS).env_remove("CARGO_ENCODED_RUSTFLAGS").current_dir(root);
    done(&mut command, "building the targets (libFuzzer needs a C++ compiler: apt-get install g++)")
}

/// The triple of this machine, as rustc names it.
fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("asking rustc for this machine's triple")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV does not name this machine's triple")
}

fn done(command: &mut Command, what: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("{what}: it cannot be started"))?;
    if !status.success() {
        bail!("{what}: {status}");
    }
    Ok(())
}
