//! A part of a resource: systemd is asked entry by entry, while the promoter keeps its hands off.
//!
//! Systemd is asked in a way that touches nothing else: a stop of one unit would otherwise stop all that need it, the target included.

use std::time::Instant;

use reactor_core::drbd::refusal;

use super::range::{Step, Verb, together};
use super::{Line, Printer};
use crate::exit::Failure;
use crate::systemctl::Systemctl;

/// What carries the steps out.
pub(crate) trait Hands {
    /// Starts units side by side, and waits.
    fn start(&mut self, units: &[&str]) -> Result<(), String>;
    /// Stops units, and nothing that needs them, and waits.
    fn stop(&mut self, units: &[&str]) -> Result<(), String>;
    /// Whether a unit is active.
    fn is_active(&mut self, unit: &str) -> bool;
    /// The last lines of a unit in the journal, oldest first.
    fn said(&mut self, unit: &str) -> Vec<String>;
}

impl Hands for Systemctl {
    fn start(&mut self, units: &[&str]) -> Result<(), String> {
        self.run(&[["start", "--"].as_slice(), units].concat()).map_err(|error| error.to_string())
    }

    fn stop(&mut self, units: &[&str]) -> Result<(), String> {
        let verb = ["stop", "--job-mode=ignore-dependencies", "--"];
        self.run(&[verb.as_slice(), units].concat()).map_err(|error| error.to_string())
    }

    fn is_active(&mut self, unit: &str) -> bool {
        Systemctl::is_active(*self, unit)
    }

    fn said(&mut self, unit: &str) -> Vec<String> {
        Systemctl::said(*self, unit)
    }
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// All of it was done.
    Done,
    /// A step failed. What was started is stopped again, but for these.
    Failed {
        /// The step.
        step: String,
        /// What could not be stopped again.
        left: Vec<String>,
    },
}

/// Carries out the steps, in their order; if one fails, what this has started is stopped again.
pub(crate) fn carry_out(
    verb: Verb,
    resource: &str,
    steps: &[Step],
    hands: &mut dyn Hands,
    printer: &mut Printer<'_>,
) -> Result<End, Failure> {
    let mut started: Vec<&Step> = Vec::new();
    for pieces in together(steps) {
        let is_due = |step: &&Step| step.is_active != (verb == Verb::Start);
        for step in pieces.iter().filter(|step| !is_due(step)) {
            let so = if verb == Verb::Start { "already active" } else { "already down" };
            printer.say(&Line::info(&step.about(resource), so))?;
        }
        let due: Vec<&Step> = pieces.iter().filter(is_due).collect();
        if due.is_empty() {
            continue;
        }
        let failed = act(verb, resource, &due, hands, printer)?;
        started.extend(due.iter().filter(|step| !failed.contains(&step.unit)));
        let Some(step) = due.iter().find(|step| failed.contains(&step.unit) && !step.optional) else { continue };
        let left = match verb {
            Verb::Start => roll_back(resource, &started, hands, printer)?,
            Verb::Stop => Vec::new(),
        };
        return Ok(End::Failed { step: step.name.clone(), left });
    }
    Ok(End::Done)
}

/// Starts or stops what is due together. Gives the units that failed.
fn act(
    verb: Verb,
    resource: &str,
    due: &[&Step],
    hands: &mut dyn Hands,
    printer: &mut Printer<'_>,
) -> Result<Vec<String>, Failure> {
    let word = if verb == Verb::Start { "start" } else { "stop" };
    for step in due {
        printer.say(&Line::info(&step.about(resource), format!("{word} {}", step.unit)))?;
    }
    let units: Vec<&str> = due.iter().map(|step| step.unit.as_str()).collect();
    let begin = Instant::now();
    let result = match verb {
        Verb::Start => hands.start(&units),
        Verb::Stop => hands.stop(&units),
    };
    let took = begin.elapsed().as_secs_f64();
    let mut failed = Vec::new();
    for step in due {
        let about = step.about(resource);
        // Of several that are started together the others may have come up.
        let is_good = result.is_ok() || hands.is_active(&step.unit) == (verb == Verb::Start);
        if is_good {
            let so = if verb == Verb::Start { "active" } else { "stopped" };
            printer.say(&Line::info(&about, format!("{so} after {took:.1} s")))?;
            continue;
        }
        let why =
            result.as_ref().err().map(|why| why.lines().next().unwrap_or_default().to_owned()).unwrap_or_default();
        let text = format!("{word} failed: {why}{}", words(&hands.said(&step.unit)));
        printer.say(&if step.optional { Line::warn(&about, text) } else { Line::error(&about, text) })?;
        failed.push(step.unit.clone());
    }
    Ok(failed)
}

/// The last words of a unit, and, if DRBD's tools said in them why they failed, what that means.
fn words(said: &[String]) -> String {
    let last = said.last().map(|words| format!("; its last words: {words}")).unwrap_or_default();
    let meaning = refusal::of_lines(said.iter().map(String::as_str)).map(|meaning| format!("; that is: {meaning}"));
    last + &meaning.unwrap_or_default()
}

/// Stops what was started, last first. Gives what could not be stopped.
fn roll_back(
    resource: &str,
    started: &[&Step],
    hands: &mut dyn Hands,
    printer: &mut Printer<'_>,
) -> Result<Vec<String>, Failure> {
    let mut left = Vec::new();
    for step in started.iter().rev() {
        let about = step.about(resource);
        match hands.stop(&[&step.unit]) {
            Ok(()) => printer.say(&Line::info(&about, format!("rolled back: stop {}", step.unit)))?,
            Err(why) => {
                printer.say(&Line::error(&about, format!("could not be rolled back: {why}")))?;
                left.push(step.name.clone());
                // What it stands on is in use.
                break;
            }
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::range::DRBD;
    use super::*;

    /// A systemd that knows which units fail.
    #[derive(Default)]
    struct Fake {
        active: BTreeSet<String>,
        fails_to_start: BTreeSet<&'static str>,
        fails_to_stop: BTreeSet<&'static str>,
        calls: Vec<String>,
    }

    impl Hands for Fake {
        fn start(&mut self, units: &[&str]) -> Result<(), String> {
            self.calls.push(format!("start {}", units.join(" ")));
            let (bad, good): (Vec<&str>, Vec<&str>) =
                units.iter().partition(|unit| self.fails_to_start.contains(*unit));
            self.active.extend(good.into_iter().map(str::to_owned));
            if bad.is_empty() { Ok(()) } else { Err(format!("Job for {} failed.\nmore", bad[0])) }
        }

        fn stop(&mut self, units: &[&str]) -> Result<(), String> {
            self.calls.push(format!("stop {}", units.join(" ")));
            if units.iter().any(|unit| self.fails_to_stop.contains(unit)) {
                return Err("target is busy".to_owned());
            }
            self.active.retain(|unit| !units.contains(&unit.as_str()));
            Ok(())
        }

        fn is_active(&mut self, unit: &str) -> bool {
            self.active.contains(unit)
        }

        fn said(&mut self, unit: &str) -> Vec<String> {
            if unit != PROMOTE {
                return vec![format!("{unit} says no")];
            }
            let lines = [
                "r0: State change failed: (-2) Need access to UpToDate data",
                "Command 'drbdsetup primary r0' terminated with exit code 17",
                "Failed to start Promotion of DRBD resource r0.",
            ];
            lines.map(str::to_owned).to_vec()
        }
    }

    const PROMOTE: &str = "drbd-promote@r0.service";

    fn step(name: &str) -> Step {
        Step { name: name.to_owned(), unit: name.to_owned(), is_active: false, optional: false, group: None }
    }

    fn run(verb: Verb, steps: &[Step], hands: &mut Fake) -> (End, String) {
        let mut out = Vec::new();
        let mut printer = Printer::new(&mut out, false, std::iter::empty());
        let end = carry_out(verb, "data", steps, hands, &mut printer).unwrap();
        (end, anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string())
    }

    #[test]
    fn a_failed_step_ends_the_start_and_what_was_started_goes_down_again_last_first() {
        let mut hands = Fake { fails_to_start: ["c"].into(), ..Fake::default() };
        let steps = [Step { is_active: true, ..step(DRBD) }, step("a"), step("b"), step("c"), step("d")];
        let (end, text) = run(Verb::Start, &steps, &mut hands);
        assert_eq!(end, End::Failed { step: "c".to_owned(), left: vec![] });
        assert_eq!(hands.calls, ["start a", "start b", "start c", "stop b", "stop a"]);
        assert!(text.contains("drbd:data     info   already active\n"), "{text}");
        assert!(
            text.contains("c             error  start failed: Job for c failed.; its last words: c says no\n"),
            "{text}"
        );
        assert!(text.contains("b             info   rolled back: stop b\n"), "{text}");
    }

    /// Its last line alone would be systemd's.
    #[test]
    fn a_promotion_that_drbd_refuses_is_told_with_what_it_means() {
        let mut hands = Fake { fails_to_start: [PROMOTE].into(), ..Fake::default() };
        let (end, text) = run(Verb::Start, &[Step { unit: PROMOTE.to_owned(), ..step(DRBD) }, step("a")], &mut hands);
        assert_eq!(end, End::Failed { step: DRBD.to_owned(), left: vec![] });
        assert_eq!(hands.calls, [format!("start {PROMOTE}")], "what is on it is not tried");
        assert!(text.contains("its last words: Failed to start Promotion"), "{text}");
        assert!(text.contains("; that is: no good data can be reached: the own disk is not UpToDate"), "{text}");
    }

    #[test]
    fn what_cannot_be_rolled_back_keeps_what_it_stands_on() {
        let mut hands = Fake { fails_to_start: ["c"].into(), fails_to_stop: ["b"].into(), ..Fake::default() };
        let (end, _) = run(Verb::Start, &[step("a"), step("b"), step("c")], &mut hands);
        assert_eq!(end, End::Failed { step: "c".to_owned(), left: vec!["b".to_owned()] });
        assert_eq!(hands.calls.last().unwrap(), "stop b");
    }

    #[test]
    fn an_optional_step_may_fail_also_beside_others() {
        let mut hands = Fake { fails_to_start: ["b"].into(), ..Fake::default() };
        let beside = |name: &str, optional| Step { group: Some(1), optional, ..step(name) };
        let steps = [beside("a", false), beside("b", true), step("c")];
        let (end, text) = run(Verb::Start, &steps, &mut hands);
        assert_eq!((end, hands.calls), (End::Done, vec!["start a b".to_owned(), "start c".to_owned()]));
        assert!(text.contains("b             warn   start failed"), "{text}");
    }

    #[test]
    fn a_stop_that_fails_ends_there_and_starts_nothing() {
        let up = |name: &str| Step { is_active: true, ..step(name) };
        let mut hands = Fake { fails_to_stop: ["b"].into(), ..Fake::default() };
        hands.active.extend(["a", "b", "c"].map(str::to_owned));
        let (end, _) = run(Verb::Stop, &[up("c"), up("b"), up("a")], &mut hands);
        assert_eq!(end, End::Failed { step: "b".to_owned(), left: vec![] });
        assert_eq!(hands.calls, ["stop c", "stop b"]);
    }
}
