//! Reads what the test runners printed: how many tests passed and failed, and what was skipped by name.

use std::fmt;
use std::time::Duration;

use crate::gate::{Outcome, seconds};

/// What a test prints that cannot run here: `SKIPPED: NAME (REASON)`.
const SKIP_MARK: &str = "SKIPPED: ";

/// Lines of what a failed test said that the end of the gate repeats.
const FIRST_LINES: usize = 3;
/// Characters of each.
const LINE_WIDTH: usize = 300;

/// Everything for the closing table.
pub(crate) struct Summary {
    ci: bool,
    stages: Vec<(&'static str, Duration)>,
    skips: Vec<String>,
    /// Each failed test with what it said first.
    failures: Vec<String>,
    passed: u64,
    failed: u64,
}

impl Summary {
    /// With `ci`, a skip is a failure.
    pub(crate) fn new(ci: bool) -> Self {
        Self { ci, stages: Vec::new(), skips: Vec::new(), failures: Vec::new(), passed: 0, failed: 0 }
    }

    /// Adds a stage. A stage that ran no tests counts as one test itself.
    pub(crate) fn add(&mut self, name: &'static str, took: Duration, outcome: &Outcome, log: &str) {
        self.stages.push((name, took));
        let (passed, failed) = tests(log);
        self.passed += passed;
        self.failed += failed;
        match outcome {
            Outcome::Passed | Outcome::Told(_) if passed == 0 => self.passed += 1,
            Outcome::Failed(_) if failed == 0 => self.failed += 1,
            Outcome::Skipped(why) => self.skip(format!("{name} ({why})")),
            Outcome::Passed | Outcome::Told(_) | Outcome::Failed(_) => {}
            // The failure of the stage that it needs is the one that counts.
            Outcome::NotRun(after) => self.failures.push(format!("{name}: not run, because {after} failed")),
        }
        let failures = failures(log);
        if failures.is_empty() && matches!(outcome, Outcome::Failed(_)) {
            self.failures.push(format!("{name}: see above"));
        }
        self.failures.extend(failures);
        for line in log.lines() {
            if let Some((_, skip)) = line.split_once(SKIP_MARK) {
                self.skip(skip.trim().to_owned());
            }
        }
    }

    fn skip(&mut self, what: String) {
        if !self.skips.contains(&what) {
            self.skips.push(what);
        }
    }

    /// Whether the gate is open.
    pub(crate) fn good(&self) -> bool {
        self.failed == 0 && (!self.ci || self.skips.is_empty())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nstage           time")?;
        for (name, took) in &self.stages {
            writeln!(f, "{name:<12}{}", seconds(*took))?;
        }
        let total = self.stages.iter().map(|(_, took)| *took).sum();
        writeln!(f, "{:<12}{}\n", "all", seconds(total))?;
        if self.skips.is_empty() {
            writeln!(f, "nothing was skipped")?;
        } else {
            writeln!(
                f,
                "skipped{}",
                if self.ci { ", which CI does not allow:" } else { ", because it cannot run here:" }
            )?;
            for skip in &self.skips {
                writeln!(f, "  {skip}")?;
            }
        }
        if !self.failures.is_empty() {
            writeln!(f, "\nwhat failed, and what it said first; all of it is above:")?;
            for failure in &self.failures {
                writeln!(f, "{failure}")?;
            }
        }
        let failed = if self.ci { self.failed + self.skips.len() as u64 } else { self.failed };
        write!(f, "\n{} passed, {failed} failed", self.passed)?;
        if !self.ci && !self.skips.is_empty() {
            write!(f, ", {} skipped", self.skips.len())?;
        }
        writeln!(f)
    }
}

/// Tests that passed and failed, by the closing lines of cargo test, or of nextest: the output of its tests has those of cargo test too.
fn tests(log: &str) -> (u64, u64) {
    let mut sum = (0, 0);
    let nextest = log.lines().any(|line| line.trim_start().starts_with("Summary ["));
    for line in log.lines() {
        let line = line.trim_start();
        let counts = match nextest {
            true if line.starts_with("Summary [") => line.split_once("run: "),
            false => line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")),
            true => None,
        };
        let counts = counts.map(|(_, counts)| counts);
        for count in counts.unwrap_or_default().split([',', ';']) {
            let mut words = count.split_whitespace();
            let Some(Ok(number)) = words.next().map(str::parse::<u64>) else { continue };
            match words.next() {
                Some("passed") => sum.0 += number,
                Some("failed") => sum.1 += number,
                _ => {}
            }
        }
    }
    sum
}

/// Of each failed test its name and the first lines of what it said, as libtest (also below nextest) and what speaks like it print them.
fn failures(log: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let (mut left, mut in_failures) = (0, false);
    for line in log.lines() {
        let line = line.trim();
        // What passed may have its output shown in the same form.
        match line {
            "failures:" => in_failures = true,
            "successes:" => in_failures = false,
            _ => {}
        }
        if !in_failures || line.starts_with("test result:") {
            (left, in_failures) = (0, false);
            continue;
        }
        let header = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" ----"));
        if let Some(name) = header {
            all.push(format!("  {}", name.trim_end_matches(" stdout")));
            left = FIRST_LINES;
        } else if left > 0 && !line.is_empty() {
            let cut: String = line.chars().take(LINE_WIDTH).collect();
            if let Some(last) = all.last_mut() {
                last.push_str("\n    ");
                last.push_str(&cut);
            }
            left -= 1;
        }
    }
    all
}

/// Of a log with every test in it, what a person needs when something failed: no line about a test that passed.
pub(crate) fn only_failures(log: &str) -> String {
    let mut kept = String::new();
    let mut in_passed = false;
    for line in log.lines() {
        let begins = line.trim_start();
        // nextest prints the output of a test after a line with its status; `cargo test` prints only that of failed ones.
        if begins.starts_with("PASS [") {
            in_passed = true;
        } else if begins.starts_with("FAIL [")
            || begins.starts_with("TIMEOUT [")
            || begins.starts_with("SIG")
            || begins.starts_with("Summary [")
        {
            in_passed = false;
        }
        let passed = in_passed || (begins.starts_with("test ") && begins.ends_with("... ok"));
        if !passed {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_runners_are_counted() {
        let inner = "    test result: ok. 1 passed; 0 failed; 0 ignored\n";
        let log = inner.to_owned() + "     Summary [   1.2s] 12 tests run: 10 passed, 2 failed, 1 skipped\n";
        assert_eq!(tests(&log), (10, 2));
        assert_eq!(tests("     Summary [   1.2s] 12/40 tests run: 10 passed (1 slow), 2 failed, 1 skipped\n"), (10, 2));
        let log = "test result: ok. 7 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.45s\n";
        assert_eq!(tests(&log.repeat(2)), (14, 0));
    }

    #[test]
    fn a_skip_fails_only_in_ci() {
        let log = "SKIPPED: promtool (not installed)\n  stdout SKIPPED: promtool (not installed)\n";
        for ci in [true, false] {
            let mut summary = Summary::new(ci);
            summary.add("tests", Duration::ZERO, &Outcome::Passed, log);
            assert_eq!(summary.good(), !ci);
            assert_eq!(summary.skips, ["promtool (not installed)"]);
            assert!(summary.to_string().ends_with(if ci {
                "1 passed, 1 failed\n"
            } else {
                "1 passed, 0 failed, 1 skipped\n"
            }));
        }
    }

    #[test]
    fn what_could_not_be_run_for_one_reason_is_one_failure() {
        let mut summary = Summary::new(true);
        summary.add("lab-kernel", Duration::ZERO, &Outcome::Failed("no kernel runs".to_owned()), "");
        for name in ["lab", "lab-nodes", "lab-chaos"] {
            summary.add(name, Duration::ZERO, &Outcome::NotRun("lab-kernel"), "");
        }
        let end = "lab-kernel: see above\nlab: not run, because lab-kernel failed\nlab-nodes: not run, because lab-kernel failed\n\
                   lab-chaos: not run, because lab-kernel failed\n\n0 passed, 1 failed\n";
        assert!(summary.to_string().ends_with(end), "{summary}");
        assert!(!summary.good());
    }

    #[test]
    fn the_end_repeats_what_failed_and_why() {
        let log = "successes:\n\n---- a::a stdout ----\nnoise\n\nfailures:\n\n---- a::b stdout ----\n\nthread 'a::b' panicked at a.rs:1:2:\nleft is not right\n  left: 1\n right: 2\n\n\
                   failures:\n    a::b\n\ntest result: FAILED. 1 passed; 1 failed; 0 ignored\n---- none ----\n";
        let mut summary = Summary::new(true);
        summary.add("tests", Duration::ZERO, &Outcome::Failed("all of it".to_owned()), log);
        summary.add("clippy", Duration::ZERO, &Outcome::Failed("a warning".to_owned()), "warning: x\n");
        let end = "  a::b\n    thread 'a::b' panicked at a.rs:1:2:\n    left is not right\n    left: 1\nclippy: see above\n\n1 passed, 2 failed\n";
        assert!(summary.to_string().ends_with(end), "{summary}");
    }

    #[test]
    fn the_output_of_passed_tests_is_noise() {
        let log = "   Compiling a\n        PASS [   0.1s] a b::c\n  stdout\n    noise\n        FAIL [   0.1s] a b::d\n  stderr\n    why\n     Summary [   1s] 2 tests run: 1 passed, 1 failed\n";
        let kept = only_failures(log);
        assert!(!kept.contains("noise") && kept.contains("why") && kept.contains("Summary"), "{kept}");
    }
}
