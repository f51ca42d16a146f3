//! Why something did not come up: the unit at the bottom of the chain, with its own last words.
//!
//! systemd says that a start failed with `dependency`, and names nobody. So it is asked about the units that are not up, what each of
//! them needs, and what they printed; the first in the order of `start` is followed down to the unit that nothing below explains. The same
//! answers always name the same unit.

use crate::action::{Call, Examine, Reason, UnitFinding};
use crate::drbd::refusal::{self, Meaning};
use crate::ids::{ActionId, UnitName};
use crate::model::reports::NoteLevel;
use crate::plugin::Context;
use crate::systemd::ActiveState;

use super::machine::Machine;

/// Questions on their way at once; what fails meanwhile is told with systemd's words alone.
const AT_ONCE: usize = 4;

/// Longest sentence of a unit that is repeated.
const MAX_WORDS: usize = 300;

/// What was asked for, and what the answer is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Examination {
    /// The decision that it explains, if it was one of ours.
    pub(super) decision: Option<ActionId>,
    /// The units, in the order of `start`.
    pub(super) units: Vec<UnitName>,
    pub(super) of: Of,
}

/// What is to be explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// A failure: the so manieth one that was counted.
    Failure(u64),
    /// A promotion that DRBD refused: the so manieth one.
    Refusal(u64),
    /// A stop that failed.
    Stop,
    /// A start that has not come to its promotion.
    Hang(ActionId),
}

/// The unit at the bottom of the chain that begins with the first of `asked` that is not up, and the units on the way to it.
fn bottom<'a>(asked: &[UnitName], findings: &'a [UnitFinding]) -> Option<(&'a UnitFinding, Option<&'a UnitFinding>)> {
    let find = |unit: &UnitName| findings.iter().find(|finding| finding.unit == *unit);
    let mut at = asked.iter().filter_map(find).find(|finding| finding.is_missing() || is_blamed(finding, findings))?;
    let mut above = None;
    for _ in 0..findings.len() {
        let mut needs = at.needs.iter().filter_map(find);
        let Some(next) = needs.find(|next| next.is_missing() && next.unit != at.unit) else { break };
        (at, above) = (next, Some(at));
    }
    Some((at, above))
}

/// Whether something that it needs is missing.
fn is_blamed(finding: &UnitFinding, findings: &[UnitFinding]) -> bool {
    let down = !matches!(finding.active, ActiveState::Active | ActiveState::Reloading | ActiveState::Refreshing);
    down && findings.iter().any(|other| finding.needs.contains(&other.unit) && other.is_missing())
}

impl UnitFinding {
    /// Whether it has failed, or is something that can only be there or not, and is not there.
    fn is_missing(&self) -> bool {
        let bad = |result: &str| !matches!(result, "" | "success" | "exec-condition");
        if self.active == ActiveState::Failed || self.result.as_deref().is_some_and(bad) {
            return true;
        }
        self.unit.as_str().ends_with(".device") && self.active != ActiveState::Active
    }
}

/// One sentence about the cause of a failure; `None` = nothing that is known explains it.
pub(super) fn cause(asked: &[UnitName], findings: &[UnitFinding]) -> Option<String> {
    let (unit, above) = bottom(asked, findings)?;
    let name = &unit.unit;
    let needed = above.map(|above| format!(", and {} needs it", above.unit)).unwrap_or_default();
    if let Some(device) = name.as_str().strip_suffix(".device") {
        return Some(format!("the device {} never came{needed}", path_of(device)));
    }
    let mut text = format!("{name} has failed");
    if let Some(result) = unit.result.as_deref().filter(|result| !matches!(*result, "" | "success")) {
        text.push_str(&format!(": {result}"));
    }
    if let Some(code) = unit.exit_code.filter(|code| *code != 0) {
        text.push_str(&format!(" {code}"));
    }
    text.push_str(&needed);
    if let Some(words) = last_words(unit) {
        text.push_str(&format!("; it said: {words}"));
    }
    if let Some(meaning) = meaning(unit) {
        text.push_str(&format!(" ({meaning})"));
    }
    Some(text)
}

/// What it means that a unit of drbd-utils has failed: they run DRBD's tools, and hand on how those end.
fn meaning(unit: &UnitFinding) -> Option<Meaning> {
    let is_of_drbd = unit.unit.as_str().starts_with("drbd-") || unit.unit.as_str().starts_with("drbd@");
    let said = refusal::of_lines(unit.said.iter().map(String::as_str));
    said.or_else(|| refusal::of_exit_code(unit.exit_code?)).filter(|_| is_of_drbd)
}

/// The last thing that a unit said; of an OCF agent what it failed with, for its stop, which comes after that, has words of its own.
pub(super) fn last_words(unit: &UnitFinding) -> Option<String> {
    /// How `ocf-rs-wrapper` begins what it says of a call that failed; the agent's own reason is in it.
    const FAILED: [&str; 2] = ["start failed: ", "monitor failed: "];
    let mut lines = unit.said.iter().rev().map(|line| line.trim()).filter(|line| !line.is_empty());
    let last = lines.clone().next()?;
    let is_agent = unit.unit.as_str().starts_with("ocf.rs@");
    let verdict = lines.find(|line| is_agent && FAILED.iter().any(|head| line.starts_with(head)));
    Some(short(verdict.unwrap_or(last)))
}

/// Which unit a start waits for: one that is being started itself, and needs none that is. `None` = that is the promotion, or nobody knows.
pub(super) fn what_runs(promote: &UnitName, findings: &[UnitFinding]) -> Option<String> {
    let starts = |finding: &&UnitFinding| finding.active == ActiveState::Activating;
    let waits = |finding: &UnitFinding| {
        let needed = |other: &UnitFinding| other.unit != finding.unit && finding.needs.contains(&other.unit);
        findings.iter().filter(starts).any(needed)
    };
    let unit = findings.iter().filter(starts).find(|finding| finding.unit != *promote && !waits(finding))?;
    let said = last_words(unit).map(|words| format!("; it said: {words}")).unwrap_or_default();
    Some(format!("{}, whose start has not ended{said}", unit.unit))
}

/// DRBD's own words about a promotion that it refused: `(-12) Device is held open by someone`, what its kernel part adds, and what that means.
pub(super) fn refusal(promote: &UnitName, findings: &[UnitFinding]) -> Option<String> {
    const HEAD: &str = "State change failed: ";
    let unit = findings.iter().find(|finding| finding.unit == *promote)?;
    let at = unit.said.iter().rposition(|line| line.contains(HEAD))?;
    let (_, words) = unit.said[at].split_once(HEAD)?;
    let more = said_by_kernel(&unit.said[at + 1..]).map(|more| format!(" ({more})")).unwrap_or_default();
    let meaning = refusal::of_lines(unit.said[at..=at].iter().map(String::as_str));
    let meaning = meaning.map(|meaning| format!(": {meaning}")).unwrap_or_default();
    Some(short(&format!("{}{more}", words.trim())) + &meaning)
}

/// What the kernel adds, behind a line that says so: who has the device open, for example. drbdadm's line about the exit code ends it.
fn said_by_kernel(lines: &[String]) -> Option<String> {
    const MORE: &str = "additional info from kernel:";
    let at = lines.iter().position(|line| line.contains(MORE))?;
    let (_, here) = lines[at].split_once(MORE)?;
    let is_of_it = |line: &&str| !line.starts_with("Command '");
    let all = [here].into_iter().chain(lines[at + 1..].iter().map(String::as_str).take_while(is_of_it));
    let all: Vec<&str> = all.map(str::trim).filter(|line| !line.is_empty()).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_WORDS) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text.to_owned(),
    }
}

/// The path that systemd's name of a device unit stands for.
fn path_of(name: &str) -> String {
    let bytes = name.as_bytes();
    let mut path = vec![b'/'];
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at..].starts_with(b"\\x")).then(|| name.get(at + 2..at + 4)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                path.push(byte);
                at += 4;
            }
            None => {
                path.push(if bytes[at] == b'-' { b'/' } else { bytes[at] });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&path).into_owned()
}

impl Machine {
    /// Asks why these units are not up.
    pub(super) fn examine(&mut self, cx: &mut Context<'_>, of: Of, decision: Option<ActionId>, units: Vec<UnitName>) {
        if self.shell.is_some() || units.is_empty() || self.examinations.len() >= AT_ONCE {
            return;
        }
        let because = vec![Reason(format!("{} did not come up, and a person will ask why", units[0]))];
        let id = cx.call(because, Call::Examine(Examine { resource: self.name.clone(), units: units.clone() }));
        self.examinations.insert(id, Examination { decision, units, of });
    }

    /// The answer.
    pub(super) fn examined(&mut self, cx: &mut Context<'_>, id: ActionId, findings: &[UnitFinding]) {
        let Some(Examination { decision, units, of }) = self.examinations.remove(&id) else { return };
        let text = match of {
            Of::Failure(number) => {
                let Some(cause) = cause(&units, findings) else { return };
                if self.tries.counts.failures == number {
                    self.tries.last_failure = Some(cause.clone());
                    self.memory_changed = true;
                }
                cause
            }
            Of::Refusal(number) => {
                // Who won in the meantime is what matters then, and is said when that is known.
                if self.who_was_faster(cx).is_some() {
                    return;
                }
                let Some(words) = refusal(&self.set.promote, findings).or_else(|| cause(&units, findings)) else {
                    return;
                };
                if self.tries.counts.lost_races == number {
                    self.tries.refusal = Some(words.clone());
                }
                format!("DRBD refused the promotion, and nobody is Primary: {words}")
            }
            Of::Hang(start) => {
                let unit = what_runs(&self.set.promote, findings);
                return self.work.start_waits_for(start, unit);
            }
            Of::Stop => {
                let Some(cause) = cause(&units, findings) else { return };
                cause
            }
        };
        self.explain(decision, &text);
        self.note(cx, NoteLevel::Warn, format!("{}: {text}", self.name));
    }

    /// Adds to how a decision ended, if it was one of ours.
    pub(super) fn explain(&mut self, decision: Option<ActionId>, text: &str) {
        if let Some(id) = decision {
            self.history.explain(id, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str, active: ActiveState, needs: &[&str]) -> UnitFinding {
        let needs = needs.iter().map(|name| UnitName::new(name)).collect();
        UnitFinding { active, needs, ..UnitFinding::new(UnitName::new(name)) }
    }

    fn names(names: &[&str]) -> Vec<UnitName> {
        names.iter().map(|name| UnitName::new(name)).collect()
    }

    #[test]
    fn the_device_that_never_came_is_named_by_its_path() {
        let device = r"dev-drbd-by\x2dres-nfs\x2ddata-0.device";
        let findings = [
            unit("idle.service", ActiveState::Inactive, &["srv-nfs.mount"]),
            unit("srv-nfs.mount", ActiveState::Inactive, &["system.slice", device]),
            unit(device, ActiveState::Inactive, &[]),
        ];
        let said = "the device /dev/drbd/by-res/nfs-data/0 never came, and srv-nfs.mount needs it";
        assert_eq!(cause(&names(&["srv-nfs.mount", "idle.service"]), &findings).as_deref(), Some(said));
    }

    #[test]
    fn the_first_in_the_order_of_start_is_named_whatever_the_order_of_the_answers() {
        let failed = |name: &str, said: &str| UnitFinding {
            result: Some("exit-code".to_owned()),
            exit_code: Some(1),
            said: vec![said.to_owned(), String::new()],
            ..unit(name, ActiveState::Failed, &[])
        };
        let mut findings = vec![failed("b.service", "no room"), failed("a.service", "ERROR: no such interface eth9")];
        let said = "a.service has failed: exit-code 1; it said: ERROR: no such interface eth9";
        for _ in 0..2 {
            assert_eq!(cause(&names(&["a.service", "b.service"]), &findings).as_deref(), Some(said));
            findings.reverse();
        }
    }

    /// Seen on real nodes: "it said: stopped".
    #[test]
    fn an_agent_s_reason_is_told_and_not_the_stop_after_it() {
        let said = |name: &str| {
            let lines =
                ["INFO: checking", "start failed: exit code 6 (not configured): no such volume group", "stopped", ""];
            let said = lines.map(str::to_owned).to_vec();
            last_words(&UnitFinding { said, ..unit(name, ActiveState::Failed, &[]) })
        };
        assert_eq!(
            said("ocf.rs@vg_a_r1.service").as_deref(),
            Some("start failed: exit code 6 (not configured): no such volume group")
        );
        assert_eq!(said("app.service").as_deref(), Some("stopped"));
    }

    #[test]
    fn what_is_only_not_running_is_no_cause() {
        let findings = [
            unit("app.service", ActiveState::Inactive, &["oneshot.service"]),
            unit("oneshot.service", ActiveState::Inactive, &[]),
        ];
        assert_eq!(cause(&names(&["app.service"]), &findings), None);
        assert_eq!(cause(&names(&["app.service"]), &[]), None);
        // A circle ends.
        let bad = |name: &str, needs: &[&str]| unit(name, ActiveState::Failed, needs);
        let findings = [bad("a.service", &["b.service"]), bad("b.service", &["a.service"])];
        assert!(cause(&names(&["a.service"]), &findings).is_some());
    }

    #[test]
    fn the_unit_that_a_start_waits_for_is_the_one_that_runs() {
        let promote = UnitName::new("drbd-promote@r1.service");
        let up = unit("drbd-graceful-shutdown.service", ActiveState::Active, &[]);
        let target = unit("drbd@r1.target", ActiveState::Inactive, &["drbd@r1.service"]);
        let service = UnitFinding {
            said: vec!["Waiting for /dev/mapper/slow".to_owned()],
            ..unit("drbd@r1.service", ActiveState::Activating, &["slow.service", "system.slice"])
        };
        let slow = unit("slow.service", ActiveState::Activating, &[]);
        let findings = [up.clone(), target.clone(), service.clone()];
        let said = "drbd@r1.service, whose start has not ended; it said: Waiting for /dev/mapper/slow";
        assert_eq!(what_runs(&promote, &findings).as_deref(), Some(said));
        let findings = [up.clone(), target.clone(), service, slow];
        assert_eq!(what_runs(&promote, &findings).as_deref(), Some("slow.service, whose start has not ended"));
        let itself = unit(promote.as_str(), ActiveState::Activating, &[]);
        assert_eq!(what_runs(&promote, &[up, target, itself]), None);
    }

    fn promotion(said: &[&str]) -> UnitFinding {
        UnitFinding {
            said: said.iter().map(|line| (*line).to_owned()).collect(),
            result: Some("exit-code".to_owned()),
            ..unit("drbd-promote@r1.service", ActiveState::Failed, &[])
        }
    }

    #[test]
    fn drbd_says_itself_why_it_refuses_and_what_that_means_is_said_too() {
        let promote = UnitName::new("drbd-promote@r1.service");
        let findings = [promotion(&[
            "r1: State change failed: (-12) Device is held open by someone",
            "additional info from kernel:",
            "/dev/drbd20 open_cnt:1, writable:0; list of openers follows",
            "drbd20 opened by some-daemon (pid 999)",
            "Command 'drbdsetup primary r1' terminated with exit code 11",
            "drbd-promote@r1.service: Failed with result 'exit-code'.",
        ])];
        let said = "(-12) Device is held open by someone (/dev/drbd20 open_cnt:1, writable:0; list of openers follows; \
                    drbd20 opened by some-daemon (pid 999)): somebody has the device open; \
                    `reactorctl block RESOURCE` and `fuser -vm` on the device show who: end that";
        assert_eq!(refusal(&promote, &findings).as_deref(), Some(said));
        assert_eq!(refusal(&UnitName::new("other.service"), &findings), None);
        // What is not known is repeated, and nothing is made up.
        let findings = [promotion(&["r1: State change failed: (-99) Moon in the wrong phase"])];
        assert_eq!(refusal(&promote, &findings).as_deref(), Some("(-99) Moon in the wrong phase"));
        assert_eq!(short(&"ä".repeat(400)).chars().count(), MAX_WORDS + 3);
    }

    #[test]
    fn a_unit_of_drbd_that_failed_without_a_number_is_explained_by_its_exit_code() {
        let promote = names(&["drbd-promote@r1.service"]);
        let failed = |exit_code, said: &[&str]| UnitFinding { exit_code, ..promotion(said) };
        let said = cause(&promote, &[failed(Some(17), &[])]);
        let begin = "drbd-promote@r1.service has failed: exit-code 17 (no good data can be reached: ";
        assert!(said.as_deref().is_some_and(|said| said.starts_with(begin)), "{said:?}");
        let lines = ["Command 'drbdsetup primary r1' terminated with exit code 20"];
        let said = cause(&promote, &[failed(Some(1), &lines)]);
        assert!(said.as_deref().is_some_and(|said| said.contains("(DRBD's kernel part was not reached")), "{said:?}");
        // Exit codes of others are their own.
        let other = UnitFinding { exit_code: Some(17), ..unit("app.service", ActiveState::Failed, &[]) };
        assert_eq!(cause(&names(&["app.service"]), &[other]).as_deref(), Some("app.service has failed 17"));
    }
}
