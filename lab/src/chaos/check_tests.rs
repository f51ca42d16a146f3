//! Each violation is planted once and has to be found; what is harmless has to pass.

use super::*;

/// A history in which all is well: n1 writes 1 to 3, n2 4 to 6.
struct History {
    count: Vec<String>,
    n1: Vec<Event>,
    n2: Vec<Event>,
}

const FIRST: Micros = 1_000_000;
const SECOND: Micros = 9_000_000;

fn acked(number: u64, run: Micros) -> Event {
    let begun = run + number * 1000;
    Event::Acked { number, run, begun, done: begun + 500 }
}

fn line(number: u64, node: &str, run: Micros) -> String {
    Line { number, node: node.to_owned(), run }.to_string()
}

fn good() -> History {
    let mut history = History { count: Vec::new(), n1: Vec::new(), n2: Vec::new() };
    history.n1.push(Event::Begun { last: 0, run: FIRST, at: FIRST });
    history.n2.push(Event::Begun { last: 3, run: SECOND, at: SECOND });
    for number in 1..=3 {
        history.count.push(line(number, "n1", FIRST));
        history.n1.push(acked(number, FIRST));
    }
    for number in 4..=6 {
        history.count.push(line(number, "n2", SECOND));
        history.n2.push(acked(number, SECOND));
    }
    history
}

fn checked(history: History) -> Checked {
    let count: String = history.count.iter().map(|line| format!("{line}\n")).collect();
    check(&count, &[("n1".to_owned(), history.n1), ("n2".to_owned(), history.n2)])
}

fn run(node: &str, run: Micros) -> Run {
    Run { node: node.to_owned(), run }
}

fn found(history: History) -> Vec<Violation> {
    checked(history).violations
}

#[test]
fn a_take_over_is_well() {
    assert_eq!(checked(good()), Checked { acked: 6, lines: 6, runs: 2, violations: vec![] });
    assert_eq!(check("", &[]), Checked::default());
}

#[test]
fn what_was_not_acknowledged_may_be_there_or_not() {
    let mut history = good();
    // 3 was written by n1, and n1 died before it could say so.
    history.n1.pop();
    assert_eq!(found(history), []);
    let mut history = good();
    // 3 did not get to n2, which wrote a 3 of its own.
    history.n1.pop();
    history.count[2] = line(3, "n2", SECOND);
    assert_eq!(found(history), []);
    let mut history = good();
    // The file was read while a line was under way.
    history.count.push("7 n".to_owned());
    let count = history.count.join("\n");
    assert_eq!(check(&count, &[("n1".to_owned(), history.n1), ("n2".to_owned(), history.n2)]).violations, []);
}

#[test]
fn a_lost_write_is_found() {
    let mut history = good();
    history.count.pop();
    assert_eq!(found(history), [Violation::Lost { number: 6, by: run("n2", SECOND) }]);
}

#[test]
fn an_empty_file_has_lost_everything() {
    let mut history = good();
    history.count.clear();
    assert_eq!(found(history).len(), 6);
}

#[test]
fn a_write_that_another_node_has_written_over_is_found() {
    let mut history = good();
    history.count[2] = line(3, "n2", SECOND);
    assert_eq!(
        found(history),
        [Violation::Overwritten {
            by: run("n1", FIRST),
            found: Line { number: 3, node: "n2".to_owned(), run: SECOND }
        }]
    );
}

#[test]
fn a_gap_and_a_repeated_number_are_found() {
    let mut history = good();
    history.count.remove(1);
    let violations = found(history);
    assert!(
        violations.contains(&Violation::Gap { due: 2, found: Line { number: 3, node: "n1".to_owned(), run: FIRST } })
    );
    let mut history = good();
    history.count.insert(4, line(4, "n2", SECOND));
    assert!(
        found(history)
            .contains(&Violation::Gap { due: 5, found: Line { number: 4, node: "n2".to_owned(), run: SECOND } })
    );
}

#[test]
fn damage_is_found() {
    let mut history = good();
    history.count[1] = "\0\0\0".to_owned();
    assert!(found(history).contains(&Violation::Damaged { place: 2, line: "\0\0\0".to_owned() }));
}

#[test]
fn a_number_that_two_have_acknowledged_is_found() {
    let mut history = good();
    history.n2.insert(1, acked(3, SECOND));
    let violations = found(history);
    let twice = Violation::AckedTwice { number: 3, first: run("n1", FIRST), second: run("n2", SECOND) };
    assert_eq!(violations, [twice]);
}

#[test]
fn a_writer_that_comes_back_between_the_other_one_s_lines_is_found() {
    let mut history = good();
    history.count[4] = line(5, "n1", FIRST);
    history.n2.remove(2);
    let violations = found(history);
    let between = run("n2", SECOND);
    let line = Line { number: 5, node: "n1".to_owned(), run: FIRST };
    assert!(violations.contains(&Violation::Interleaved { found: line, between }), "{violations:?}");
}

#[test]
fn two_writers_at_the_same_time_are_found_whatever_they_wrote() {
    let mut history = good();
    let until = SECOND + 2 * CLOCKS;
    if let Some(Event::Acked { done, .. }) = history.n1.last_mut() {
        *done = until;
    }
    let together = Violation::Together { first: run("n1", FIRST), until, second: run("n2", SECOND) };
    assert_eq!(found(history), [together]);
}

#[test]
fn clocks_may_differ_a_little() {
    let mut history = good();
    if let Some(Event::Acked { done, .. }) = history.n1.last_mut() {
        *done = SECOND + CLOCKS / 2;
    }
    assert_eq!(found(history), []);
}

#[test]
fn a_run_that_wrote_nothing_is_no_writer() {
    let mut history = good();
    let at = FIRST + 2_000;
    history.n2.insert(0, Event::Begun { last: 1, run: at, at });
    assert_eq!(checked(history), Checked { acked: 6, lines: 6, runs: 2, violations: vec![] });
}

#[test]
fn many_violations_are_told_in_a_few_lines() {
    let mut history = good();
    history.count.clear();
    let told = told(&found(history));
    assert_eq!(told.len(), NAMED + 1, "{told:?}");
    assert_eq!(told[0], "1 is lost: n1 (run 1000000) has acknowledged it");
    assert!(told[NAMED].starts_with("... and 1 more of this kind, the last: 6 is lost"), "{told:?}");
}
