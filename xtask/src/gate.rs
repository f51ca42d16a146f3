//! Runs stages one after another, says how each went, and closes with a table.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::summary::Summary;

/// One step of the gate.
pub(crate) struct Stage {
    /// Its name in the table; also of the file that keeps its output.
    pub(crate) name: &'static str,
    /// What it does.
    pub(crate) work: Work,
    /// Without it the stages behind it make no sense.
    pub(crate) needed: bool,
    /// Without the stage of this name it makes no sense itself: it is not run if that one failed.
    pub(crate) after: Option<&'static str>,
}

/// What a stage does.
pub(crate) enum Work {
    /// Runs a program.
    Run(Vec<&'static str>, Vec<(&'static str, &'static str)>),
    /// Runs programs at the same time, each of which has time to spare; all of them come to their end.
    Together(Vec<Vec<&'static str>>),
    /// Something of our own.
    Own(fn(&Path) -> Result<Outcome>),
}

/// How a stage went.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Well.
    Passed,
    /// It found something.
    Failed(String),
    /// What it needs is not here.
    Skipped(String),
    /// Well, and a person is to know this.
    Told(String),
    /// The stage of this name failed, which says all there is to say.
    NotRun(&'static str),
}

impl Stage {
    /// A stage that runs a program.
    pub(crate) fn run(name: &'static str, command: &[&'static str]) -> Self {
        Self::new(name, Work::Run(command.to_vec(), Vec::new()))
    }

    fn new(name: &'static str, work: Work) -> Self {
        Self { name, work, needed: false, after: None }
    }

    /// The same stage, which is not run if that one failed.
    pub(crate) fn after(self, stage: &'static str) -> Self {
        Self { after: Some(stage), ..self }
    }

    /// The same stage, needed by those behind it.
    pub(crate) fn needed(self) -> Self {
        Self { needed: true, ..self }
    }

    /// The same with something in its environment.
    pub(crate) fn run_with(name: &'static str, command: &[&'static str], env: &[(&'static str, &'static str)]) -> Self {
        Self::new(name, Work::Run(command.to_vec(), env.to_vec()))
    }

    /// A stage that runs several programs at the same time.
    pub(crate) fn together(name: &'static str, commands: &[Vec<&'static str>]) -> Self {
        Self::new(name, Work::Together(commands.to_vec()))
    }

    /// A stage of our own.
    pub(crate) fn own(name: &'static str, work: fn(&Path) -> Result<Outcome>) -> Self {
        Self::new(name, Work::Own(work))
    }
}

/// Runs all of them, also after one failed that the others do not need; fails if one of them did.
pub(crate) fn run(root: &Path, stages: &[Stage]) -> Result<ExitCode> {
    let logs = root.join("target/xtask");
    fs::create_dir_all(&logs).context("creating target/xtask")?;
    let mut summary = Summary::new(is_ci());
    let mut failed: Vec<&str> = Vec::new();
    for stage in stages {
        say(&format!("{:<12} ", stage.name))?;
        let begin = Instant::now();
        let log = logs.join(format!("{}.log", stage.name));
        let outcome = match stage.after.filter(|after| failed.contains(after)) {
            Some(after) => not_run(&log, after),
            None => one(root, stage, &log).unwrap_or_else(|error| Outcome::Failed(format!("{error:#}"))),
        };
        let took = begin.elapsed();
        let text = fs::read_to_string(&log).unwrap_or_default();
        summary.add(stage.name, took, &outcome, &text);
        say(&format!("{}  {}\n", word(&outcome), seconds(took)))?;
        match &outcome {
            Outcome::Failed(why) => {
                failed.push(stage.name);
                say(&format!("{}\n", why.trim_end()))?;
                if stage.needed {
                    break;
                }
            }
            Outcome::NotRun(_) => failed.push(stage.name),
            Outcome::Told(what) => say(&format!("  {}\n", what.trim_end().replace('\n', "\n  ")))?,
            Outcome::Passed | Outcome::Skipped(_) => {}
        }
    }
    say(&summary.to_string())?;
    Ok(if summary.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// No output of an earlier run may be counted.
fn not_run(log: &Path, after: &'static str) -> Outcome {
    let _none = fs::remove_file(log);
    Outcome::NotRun(after)
}

fn one(root: &Path, stage: &Stage, log: &Path) -> Result<Outcome> {
    match &stage.work {
        Work::Own(work) => {
            // No output of an earlier run may be counted.
            let _ = fs::remove_file(log);
            work(root)
        }
        Work::Run(command, env) => {
            let ended = start(root, command, env, log).and_then(|child| Ok(wait(child)?));
            outcome(command, ended, log)
        }
        Work::Together(commands) => {
            let logs: Vec<PathBuf> =
                (1..=commands.len()).map(|number| log.with_extension(format!("{number}.log"))).collect();
            let started: Vec<_> =
                commands.iter().zip(&logs).map(|(command, log)| start(root, command, &[], log)).collect();
            let mut failed = Vec::new();
            let mut all = String::new();
            for ((child, command), log) in started.into_iter().zip(commands).zip(&logs) {
                let ended = child.and_then(|child| Ok(wait(child)?));
                if let Outcome::Failed(why) = outcome(command, ended, log)? {
                    failed.push(why);
                }
                all.push_str(&fs::read_to_string(log).unwrap_or_default());
            }
            fs::write(log, all).with_context(|| format!("writing {}", log.display()))?;
            Ok(if failed.is_empty() { Outcome::Passed } else { Outcome::Failed(failed.join("\n")) })
        }
    }
}

/// Starts a program, whose output goes to a file.
fn start(root: &Path, command: &[&str], env: &[(&str, &str)], log: &Path) -> Result<Child> {
    let file = File::create(log).with_context(|| format!("creating {}", log.display()))?;
    Command::new(command[0])
        .args(&command[1..])
        .envs(env.iter().copied())
        .env("PATH", crate::tools::path(root))
        .env("CARGO_TERM_COLOR", "never")
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
        .with_context(|| format!("cannot run {}", command[0]))
}

fn wait(mut child: Child) -> std::io::Result<bool> {
    Ok(child.wait()?.success())
}

/// What a program that has ended means, with the failures of its output.
fn outcome(command: &[&str], ended: Result<bool>, log: &Path) -> Result<Outcome> {
    if ended? {
        return Ok(Outcome::Passed);
    }
    let text = fs::read_to_string(log).unwrap_or_default();
    Ok(Outcome::Failed(format!("$ {}\n{}", command.join(" "), crate::summary::only_failures(&text))))
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Passed | Outcome::Told(_) => "ok     ",
        Outcome::Failed(_) => "FAILED ",
        Outcome::Skipped(_) => "skipped",
        Outcome::NotRun(_) => "not run",
    }
}

/// For the table.
pub(crate) fn seconds(took: Duration) -> String {
    format!("{:>6.1} s", took.as_secs_f64())
}

pub(crate) fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// What people read; written at once, so that a stage that hangs can be seen.
fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
