//! The parser and the model against every recording of a real cluster.

#![expect(clippy::disallowed_methods, reason = "a test may read its recordings")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use reactor_core::change::{Change, EventKind, Origin};
use reactor_core::core::Core;
use reactor_core::drbd::events2;
use reactor_core::ids::Mono;
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};
use reactor_core::model::objects::Resource;
use reactor_core::model::promote::promotable;

/// Every file below `tests/recordings/DIALECT` whose name ends like this.
fn recordings(dialect: &str, ending: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings").join(dialect);
    let mut found = Vec::new();
    for folder in std::fs::read_dir(root).expect("the recordings are part of the project").flatten() {
        for file in std::fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            if file.file_name().to_string_lossy().ends_with(ending) {
                found.push(file.path());
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no recording of {dialect} ends in {ending}");
    found
}

fn everything() -> Vec<(Dialect, PathBuf)> {
    let nine = [".events2", ".events2-ts"].into_iter().flat_map(|e| recordings("drbd9", e));
    let eight = [".events2-ts", ".events2-ts-stat"].into_iter().flat_map(|e| recordings("drbd84", e));
    nine.map(|f| (Dialect::Drbd9, f)).chain(eight.map(|f| (Dialect::Drbd84, f))).collect()
}

fn started(dialect: Dialect) -> Input {
    Input::Source(SourceId::Drbd, SourceEvent::Started { command: "a recording".to_owned(), dialect: Some(dialect) })
}

/// A core that was fed `inputs`, and all changes it told.
fn feed(core: &mut Core, inputs: &[Input]) -> Vec<Change> {
    let mut told = Vec::new();
    for input in inputs {
        core.step(Mono::ZERO, input, &mut Vec::new());
        told.extend_from_slice(core.changes());
    }
    told
}

fn lines(text: &str) -> Input {
    Input::Lines(SourceId::Drbd, text.to_owned())
}

fn resources(core: &Core) -> BTreeMap<String, Resource> {
    // Generations differ from run to run by design; everything else must be equal.
    core.node().resources().map(|r| (r.name.to_string(), Resource { generation: 0, shape: 0, ..r.clone() })).collect()
}

#[test]
fn every_line_is_understood() {
    for (_, file) in everything() {
        for (number, line) in std::fs::read_to_string(&file).unwrap().lines().enumerate() {
            let place = format!("{}:{}: {line}", file.display(), number + 1);
            let event = events2::parse(line).unwrap_or_else(|why| panic!("{place}: {why}")).event;
            let unknown = match &event {
                events2::Event::Unknown { .. } => panic!("{place}: unknown event"),
                events2::Event::Resource(_, f) => &f.unknown,
                events2::Event::Device(_, f) => &f.unknown,
                events2::Event::Connection(_, f) => &f.unknown,
                events2::Event::PeerDevice(_, f) => &f.unknown,
                events2::Event::Path(_, f) => &f.unknown,
                events2::Event::Helper(f) => &f.unknown,
                events2::Event::DumpEnd | events2::Event::Rename { .. } => continue,
            };
            assert!(unknown.is_empty(), "{place}: {unknown:?}");
        }
    }
}

#[test]
fn the_snapshot_never_contradicts_itself() {
    for (dialect, file) in everything() {
        let mut core = Core::new();
        feed(&mut core, &[started(dialect)]);
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            feed(&mut core, &[lines(line)]);
        }
        feed(&mut core, &[Input::BurstEnd(SourceId::Drbd)]);
        let reports = core.node().reports();
        assert_eq!(reports.violations, 0, "{}", file.display());
        assert_eq!((reports.unparsed, reports.unknown_total), (0, 0), "{}", file.display());
        if dialect == Dialect::Drbd9 {
            assert_eq!(reports.orphans, 0, "{}", file.display());
        }
    }
}

#[test]
fn a_written_snapshot_reads_back_the_same() {
    for (dialect, file) in everything() {
        let text = std::fs::read_to_string(&file).unwrap();
        let mut first = Core::new();
        feed(&mut first, &[started(dialect), lines(&text), Input::BurstEnd(SourceId::Drbd)]);
        let mut second = Core::new();
        feed(&mut second, &[started(dialect), lines(&first.node().to_events2())]);
        assert_eq!(resources(&first), resources(&second), "{}", file.display());
    }
}

/// events2 dies after every line of every recording, and the next one dumps the same state: nobody may notice.
#[test]
fn a_restart_of_the_source_tells_nothing_that_did_not_happen() {
    for (dialect, file) in everything() {
        let text = std::fs::read_to_string(&file).unwrap();
        let all: Vec<&str> = text.split_inclusive('\n').collect();
        // Files of some hundred lines: every line would be quadratic, so every few lines; the ends are always in.
        let step = all.len() / 40 + 1;
        let mut core = Core::new();
        feed(&mut core, &[started(dialect)]);
        for (number, line) in all.iter().enumerate() {
            feed(&mut core, &[lines(line)]);
            if number % step != 0 || core.node().source() != reactor_core::model::SourceState::Live {
                continue;
            }
            feed(&mut core, &[Input::BurstEnd(SourceId::Drbd)]);
            let before = resources(&core);
            let dump = core.node().to_events2();
            let half: String = dump.chars().take(dump.len() / 2).collect();
            let ended = Input::Source(SourceId::Drbd, SourceEvent::Ended { why: "killed".to_owned() });
            // Once in the middle of its dump, once after it.
            let told = feed(
                &mut core,
                &[ended.clone(), started(dialect), lines(&half), ended, started(dialect), lines(&dump)],
            );
            assert_eq!(told, [], "{}:{}", file.display(), number + 1);
            assert_eq!(before, resources(&core), "{}:{}", file.display(), number + 1);
        }
    }
}

/// What happened while the source was down is told as the difference, and only that.
#[test]
fn what_happened_in_between_is_told_once() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings/drbd9/o-events2-restart");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let mut core = Core::new();
    let mut story = Vec::new();
    for segment in ["n1.seg1.events2", "n1.seg2.events2", "n1.seg3.events2", "n1.events2"] {
        let told = feed(&mut core, &[started(Dialect::Drbd9), lines(&read(segment)), Input::BurstEnd(SourceId::Drbd)]);
        let count = |origin, kind| told.iter().filter(|c| c.origin == origin && c.kind == kind).count();
        story.push(format!(
            "{segment}: initial {}, catch-up created {} changed {} destroyed {}, live {}",
            count(Origin::Initial, EventKind::Exists),
            count(Origin::CatchUp, EventKind::Create),
            count(Origin::CatchUp, EventKind::Change),
            count(Origin::CatchUp, EventKind::Destroy),
            told.iter().filter(|c| c.origin == Origin::Live).count(),
        ));
        feed(&mut core, &[Input::Source(SourceId::Drbd, SourceEvent::Ended { why: "killed".to_owned() })]);
    }
    expect_test::expect![[r#"
        n1.seg1.events2: initial 11, catch-up created 0 changed 0 destroyed 0, live 1
        n1.seg2.events2: initial 0, catch-up created 0 changed 1 destroyed 0, live 1
        n1.seg3.events2: initial 0, catch-up created 0 changed 9 destroyed 0, live 48
        n1.events2: initial 0, catch-up created 0 changed 0 destroyed 0, live 32"#]]
    .assert_eq(&story.join("\n"));
}

/// The rule by which promotability is computed on DRBD 8.4, against what DRBD 9 says at the end of every burst. While survivors
/// settle, DRBD 9 knows more than it prints, so that some bursts differ; none may differ where a recording comes to rest.
#[test]
fn the_computed_promotability_is_what_drbd_9_says() {
    let stamp = |line: &str| line.split(' ').next().map(str::to_owned);
    let (mut judged, mut differ) = (0, Vec::new());
    for file in recordings("drbd9", ".events2-ts") {
        let mut core = Core::new();
        feed(&mut core, &[started(Dialect::Drbd9)]);
        let text = std::fs::read_to_string(&file).unwrap();
        let all: Vec<&str> = text.lines().collect();
        for (number, line) in all.iter().enumerate() {
            feed(&mut core, &[lines(line)]);
            let next = all.get(number + 1);
            if next.is_some_and(|next| stamp(next) == stamp(line)) {
                continue;
            }
            for resource in core.node().resources() {
                judged += 1;
                if promotable(resource) != resource.state.may_promote {
                    // r2: n1's only link to the Primary is broken, but DRBD 9 hears of it through n2. DRBD 8.4 has one peer.
                    if file.ends_with("r2-failover-node-killed/n1.events2-ts") {
                        continue;
                    }
                    assert!(next.is_some(), "{}: differs at rest: {resource:#?}", file.display());
                    differ.push(format!("{}:{}: {line}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(differ.len() * 100 < judged, "{} of {judged} differ:\n{}", differ.len(), differ.join("\n"));
}
