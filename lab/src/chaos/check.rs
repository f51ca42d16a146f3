//! What must hold of a file and of the acknowledgements for it, whatever was broken: nothing acknowledged is lost, and
//! there was never more than one writer.

use std::collections::BTreeMap;
use std::fmt;

use super::ledger::{Event, Line, Micros};

/// So much may two nodes' clocks differ: they are the host's, read at each boot, which is seconds late when the host is short of CPU
/// time in that moment. Numbers that come twice, or from the wrong one, are found without any clock.
const CLOCKS: Micros = 3_000_000;
/// So many of a kind are named; the rest is counted.
const NAMED: usize = 5;

/// One start of the writer on a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// On which node.
    pub node: String,
    /// When it started, which is its name.
    pub run: Micros,
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A line that no writer writes.
    Damaged {
        /// Counted from 1.
        place: usize,
        /// The line.
        line: String,
    },
    /// A number does not follow the one before it.
    Gap {
        /// The number that is due.
        due: u64,
        /// The line that is there.
        found: Line,
    },
    /// An acknowledged number is not in the file.
    Lost {
        /// Which.
        number: u64,
        /// Who acknowledged it.
        by: Run,
    },
    /// An acknowledged number is in the file, but somebody else wrote it.
    Overwritten {
        /// Who acknowledged it.
        by: Run,
        /// What the file has.
        found: Line,
    },
    /// A number was acknowledged by two.
    AckedTwice {
        /// Which.
        number: u64,
        /// The one.
        first: Run,
        /// The other.
        second: Run,
    },
    /// A run goes on after another one has written.
    Interleaved {
        /// Its line.
        found: Line,
        /// Who wrote in between.
        between: Run,
    },
    /// Two runs were there at the same time.
    Together {
        /// The one that was first.
        first: Run,
        /// Its last sign of life.
        until: Micros,
        /// The one that began before that.
        second: Run,
    },
}

/// What a check has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Numbers that were acknowledged.
    pub acked: usize,
    /// Lines in the file.
    pub lines: usize,
    /// Starts of the writer that have acknowledged something.
    pub runs: usize,
    /// What must not be; empty if all is well.
    pub violations: Vec<Violation>,
}

/// Checks the file of the active node against every node's acknowledgements, which were read before it.
#[must_use]
pub fn check(count: &str, acks: &[(String, Vec<Event>)]) -> Checked {
    let mut violations = Vec::new();
    let lines = lines(count, &mut violations);
    let acked = acknowledged(acks, &mut violations);
    for (number, by) in &acked {
        let place = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        match lines.get(place) {
            None => violations.push(Violation::Lost { number: *number, by: by.clone() }),
            Some(found) if !by.wrote(found) => {
                violations.push(Violation::Overwritten { by: by.clone(), found: found.clone() });
            }
            Some(_) => {}
        }
    }
    let runs = one_after_the_other(acks, &mut violations);
    Checked { acked: acked.len(), lines: lines.len(), runs, violations }
}

impl Run {
    fn wrote(&self, line: &Line) -> bool {
        self.node == line.node && self.run == line.run
    }
}

/// The file's lines, which count from 1 and change hands, but never back.
fn lines(count: &str, violations: &mut Vec<Violation>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    // Somebody writes: the last line may be under way.
    let whole = count.rfind('\n').map_or("", |end| &count[..end]);
    let mut ended: BTreeMap<Run, Run> = BTreeMap::new();
    let mut current: Option<Run> = None;
    for (place, text) in whole.lines().enumerate() {
        let Ok(line) = text.parse::<Line>() else {
            violations.push(Violation::Damaged { place: place + 1, line: text.chars().take(80).collect() });
            continue;
        };
        let due = lines.last().map_or(1, |last| last.number + 1);
        if line.number != due {
            violations.push(Violation::Gap { due, found: line.clone() });
        }
        let run = Run { node: line.node.clone(), run: line.run };
        if let Some(before) = current.as_ref().filter(|before| **before != run) {
            if let Some(between) = ended.get(&run) {
                violations.push(Violation::Interleaved { found: line.clone(), between: between.clone() });
            }
            ended.insert(before.clone(), run.clone());
        }
        current = Some(run);
        lines.push(line);
    }
    lines
}

/// Who has acknowledged which number.
fn acknowledged(acks: &[(String, Vec<Event>)], violations: &mut Vec<Violation>) -> BTreeMap<u64, Run> {
    let mut acked: BTreeMap<u64, Run> = BTreeMap::new();
    for (node, events) in acks {
        for event in events {
            let Event::Acked { number, run, .. } = *event else { continue };
            let by = Run { node: node.clone(), run };
            match acked.get(&number) {
                Some(first) => violations.push(Violation::AckedTwice { number, first: first.clone(), second: by }),
                None => drop(acked.insert(number, by)),
            }
        }
    }
    acked
}

/// Runs do not overlap in time. Returns how many have acknowledged something.
fn one_after_the_other(acks: &[(String, Vec<Event>)], violations: &mut Vec<Violation>) -> usize {
    // When each was there for certain: from its first sign of life to its last.
    let mut spans: BTreeMap<Run, (Micros, Micros, bool)> = BTreeMap::new();
    for (node, events) in acks {
        for event in events {
            let (run, at, done) = match *event {
                Event::Begun { run, at, .. } => (run, at, None),
                Event::Acked { run, begun, done, .. } => (run, begun, Some(done)),
            };
            let span = spans.entry(Run { node: node.clone(), run }).or_insert((at, at, false));
            *span = (span.0.min(at), span.1.max(done.unwrap_or(at)), span.2 || done.is_some());
        }
    }
    // One that found nothing to write, or could not, was no writer.
    spans.retain(|_, (.., wrote)| *wrote);
    let mut sorted: Vec<_> = spans.iter().collect();
    sorted.sort_by_key(|(_, (since, ..))| *since);
    let mut latest: Option<(&Run, Micros)> = None;
    for (run, (since, until, _)) in sorted {
        if let Some((first, last)) = latest
            && *since + CLOCKS < last
        {
            violations.push(Violation::Together { first: first.clone(), until: last, second: run.clone() });
        }
        if latest.is_none_or(|(_, last)| last < *until) {
            latest = Some((run, *until));
        }
    }
    spans.len()
}

/// The violations for a person: of each kind the first ones.
#[must_use]
pub fn told(violations: &[Violation]) -> Vec<String> {
    let mut by_kind: Vec<(std::mem::Discriminant<Violation>, Vec<&Violation>)> = Vec::new();
    for violation in violations {
        let kind = std::mem::discriminant(violation);
        match by_kind.iter_mut().find(|(other, _)| *other == kind) {
            Some((_, all)) => all.push(violation),
            None => by_kind.push((kind, vec![violation])),
        }
    }
    let mut told = Vec::new();
    for (_, all) in by_kind {
        told.extend(all.iter().take(NAMED).map(ToString::to_string));
        if all.len() > NAMED {
            told.push(format!("... and {} more of this kind, the last: {}", all.len() - NAMED, all[all.len() - 1]));
        }
    }
    told
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (run {})", self.node, self.run)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::Damaged { place, line } => write!(f, "line {place} of the file is damaged: {line:?}"),
            Violation::Gap { due, found } => write!(f, "{due} is due in the file, and `{found}` is there"),
            Violation::Lost { number, by } => write!(f, "{number} is lost: {by} has acknowledged it"),
            Violation::Overwritten { by, found } => {
                write!(f, "{} is lost: {by} has acknowledged it, and the file has `{found}`", found.number)
            }
            Violation::AckedTwice { number, first, second } => {
                write!(f, "two writers: {number} was acknowledged by {first} and by {second}")
            }
            Violation::Interleaved { found, between } => {
                write!(f, "two writers: `{found}` comes after lines of {between}, which came after that run's lines")
            }
            Violation::Together { first, until, second } => {
                write!(f, "two writers: {second} began before the last write of {first} ({until})")
            }
        }
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
