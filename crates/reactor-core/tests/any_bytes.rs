//! Whatever comes in: nothing panics, nothing contradicts itself, and what was understood before is still there.

use proptest::prelude::*;
use reactor_core::core::Core;
use reactor_core::drbd::events2;
use reactor_core::ids::Mono;
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};

/// Words that events2 prints, so that random lines get far into the parser and the model.
const WORDS: &[&str] = &[
    "exists",
    "create",
    "change",
    "destroy",
    "rename",
    "call",
    "response",
    "resource",
    "device",
    "connection",
    "peer-device",
    "path",
    "helper",
    "-",
    "name:r1",
    "name:r2",
    "new_name:r2",
    "volume:0",
    "volume:1",
    "minor:1",
    "minor:2",
    "peer-node-id:0",
    "peer-node-id:1",
    "conn-name:a",
    "role:Primary",
    "role:Secondary",
    "disk:UpToDate",
    "quorum:no",
    "local:a",
    "peer:b",
    "established:yes",
    "helper:split-brain",
    "status:1024",
    "done:1.5",
    "eta:nan",
    "connection:Connected",
    "replication:SyncTarget",
    "peer-disk:UpToDate",
    "may_promote:yes",
    "suspended:no",
    "2026-11-21T03:06:17.369716+00:00",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        30 => proptest::sample::select(WORDS).prop_map(str::to_owned),
        1 => "[a-z_-]{0,8}:[^ \r\n]{0,12}",
        // A carriage return at the end of a line belongs to the line end.
        1 => any::<String>().prop_map(|text| text.replace(['\r', '\n'], "")),
    ]
}

fn line() -> impl Strategy<Value = String> {
    let object = proptest::sample::select(&["resource", "device", "connection", "peer-device", "path"][..]);
    let verb = proptest::sample::select(&["exists", "create", "change", "destroy"][..]);
    prop_oneof![
        6 => (verb, object, proptest::collection::vec(word(), 0..10)).prop_map(|(verb, object, words)| {
            format!("{verb} {object} name:r1 volume:0 peer-node-id:0 local:a peer:b {}", words.join(" "))
        }),
        2 => proptest::collection::vec(word(), 0..10).prop_map(|words| words.join(" ")),
        1 => Just("exists -".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_parser_never_panics(text in any::<String>()) {
        let _ = events2::parse(&text);
    }

    /// The parser looks first where DRBD prints each key. Behind two spaces nothing is where it is looked for.
    #[test]
    fn words_mean_the_same_wherever_they_stand(words in proptest::collection::vec(word(), 0..20), identified in any::<bool>()) {
        let identity = if identified { "name:r1 volume:0 peer-node-id:0 local:a peer:b " } else { "" };
        let words = format!("{identity}{}", words.join(" "));
        let spread = words.replace(' ', "  ");
        for object in ["resource", "device", "connection", "peer-device", "path", "helper"] {
            let verb = if object == "helper" { "call" } else { "change" };
            let (line, spread) = (format!("{verb} {object} {words}"), format!("{verb} {object}  {spread}"));
            prop_assert_eq!(events2::parse(&line), events2::parse(&spread), "{}", line);
        }
    }

    #[test]
    fn the_model_stays_consistent(lines in proptest::collection::vec(line(), 0..40), eight in any::<bool>()) {
        let dialect = if eight { Dialect::Drbd84 } else { Dialect::Drbd9 };
        let mut core = Core::new();
        let mut out = Vec::new();
        core.step(Mono::ZERO, &Input::Source(SourceId::Drbd, SourceEvent::Started { command: String::new(), dialect: Some(dialect) }), &mut out);
        for line in &lines {
            core.step(Mono::ZERO, &Input::Lines(SourceId::Drbd, format!("{line}\n")), &mut out);
        }
        core.step(Mono::ZERO, &Input::BurstEnd(SourceId::Drbd), &mut out);
        // Peer devices without a device and doubled minors are what the input says; the rest is our own book-keeping.
        let ours: Vec<String> = core.node().check().into_iter().filter(|b| b.contains("calls itself")).collect();
        prop_assert_eq!(ours, Vec::<String>::new());

        // The snapshot reads back the same.
        let mut second = Core::new();
        second.step(Mono::ZERO, &Input::Source(SourceId::Drbd, SourceEvent::Started { command: String::new(), dialect: Some(dialect) }), &mut out);
        second.step(Mono::ZERO, &Input::Lines(SourceId::Drbd, core.node().to_events2()), &mut out);
        prop_assert_eq!(second.node().to_events2(), core.node().to_events2());
    }
}
