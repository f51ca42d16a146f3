//! Configurations that users have, or that other programs write, and that were refused or misread once. `cases/` has the files.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{Folder, errors};
use expect_test::expect;
use reactor_config::{FileState, Finding, parse_text};
use reactor_core::settings::promoter::{Entry, PromotedResource, StartEntry};
use reactor_core::settings::umh::{EventSet, Matcher, Rule, When};
use reactor_core::settings::{Mode, PluginSettings, Settings};

const MODES: [Mode; 2] = [Mode::Native, Mode::DrbdReactor];

fn case(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name)).unwrap()
}

fn parse(text: &str, mode: Mode) -> (Settings, Vec<String>) {
    let (settings, findings) = parse_text(Path::new("a.toml"), text, mode);
    (settings, findings.iter().map(Finding::one_line).collect())
}

fn promoted<'s>(settings: &'s Settings, name: &str) -> &'s PromotedResource {
    let PluginSettings::Promoter(promoter) = &settings.plugins[0].settings else { panic!("no promoter") };
    &promoter.resources[name]
}

fn units(names: &[&str]) -> Vec<Entry> {
    names.iter().map(|name| StartEntry::Unit((*name).to_owned()).into()).collect()
}

fn rules(settings: &Settings) -> &[Rule] {
    let PluginSettings::Umh(umh) = &settings.plugins[0].settings else { panic!("no umh") };
    &umh.rules
}

#[test]
fn blanks_and_line_ends_around_an_entry_are_none_of_it() {
    for mode in MODES {
        let (settings, findings) = parse(&case("a1-trim-unit.toml"), mode);
        assert_eq!(findings, [""; 0]);
        assert_eq!(promoted(&settings, "t1").start, units(&["spaced.service", "b.service"]));
        let (settings, findings) = parse(&case("a2-trim-ocf.toml"), mode);
        assert_eq!(findings, [""; 0]);
        let parameters = [("device", "/dev/drbd1"), ("directory", "/mnt"), ("fstype", "ext4")];
        let ocf = StartEntry::Ocf {
            vendor: "heartbeat".to_owned(),
            agent: "Filesystem".to_owned(),
            instance: "fs".to_owned(),
            parameters: parameters.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
        };
        assert_eq!(promoted(&settings, "t2").start[0].what, ocf);
    }
}

#[test]
fn tables_of_other_programs_are_accepted_without_a_word() {
    for mode in MODES {
        let (settings, findings) = parse(&case("gateway-iscsi.toml"), mode);
        assert_eq!(findings, [""; 0]);
        assert_eq!(promoted(&settings, "vol2").start.len(), 6);
        let (settings, findings) = parse(&case("export.toml"), mode);
        assert_eq!(findings, [""; 0]);
        assert_eq!(promoted(&settings, "nfs-data").start.len(), 6);
    }
    // Only tables, and only by such a name: a mistyped table is still found.
    for (text, errors) in [
        ("[[promoter]]\n[promoter.resource.a]\nstart = [\"a.service\"]\n", 1),
        ("[[promoter]]\nmy-metadata = 5\n[promoter.resources.a]\nstart = [\"a.service\"]\n", 1),
        ("[[umh]]\n[umh.metadata]\n[[umh.resource]]\ncommand = \"true\"\n", 1),
        (
            "[[promoter]]\n[promoter.x-metadata]\n[promoter.x-metadata.y]\n[promoter.resources.a]\nstart = [\"a.service\"]\n",
            0,
        ),
    ] {
        let (_, findings) = parse_text(Path::new("a.toml"), text, Mode::Native);
        assert_eq!(common::errors(&findings).len(), errors, "{text}");
    }
}

#[test]
fn a_name_with_a_dot_and_no_quotes_is_explained() {
    for mode in MODES {
        let (settings, findings) = parse(&case("dotted-name.toml"), mode);
        assert!(
            findings[0].contains("error:") && findings[0].contains("[promoter.resources.\"my.res\"]"),
            "{findings:?}"
        );
        if mode == Mode::DrbdReactor {
            let PluginSettings::Promoter(promoter) = &settings.plugins[0].settings else { panic!("no promoter") };
            assert!(promoter.resources.is_empty(), "a resource `my` with nothing to start is not what was meant");
        }
    }
    let text = "[[promoter]]\n[promoter.resources.a.b.c]\nstart = [\"a.service\"]\n[promoter.resources.\"x.y\"]\nstart = [\"b.service\"]\n";
    let (settings, findings) = parse(text, Mode::DrbdReactor);
    assert!(findings[0].contains("[promoter.resources.\"a.b.c\"]") && findings.len() == 1, "{findings:?}");
    assert_eq!(promoted(&settings, "x.y").start, units(&["b.service"]));
}

#[test]
fn a_missing_unit_and_a_unit_that_reconfigures_are_nothing_to_complain_of() {
    for mode in MODES {
        let (settings, findings) = parse(&case("w1.toml"), mode);
        assert_eq!(findings, [""; 0]);
        assert_eq!(promoted(&settings, "foo").start.len(), 3);
        let (settings, _) = parse(&case("reconfigure.toml"), mode);
        assert_eq!(promoted(&settings, "r0").start.len(), 3);
    }
}

#[test]
fn event_type_has_operators_too() {
    let (settings, findings) = parse(&case("o41-eventtype-op.toml"), Mode::DrbdReactor);
    assert_eq!(findings, [""; 0]);
    let all_but_exists = EventSet { exists: false, replay: false, ..EventSet::ALL };
    assert_eq!(rules(&settings)[0].events, all_but_exists);
    let events = |event_type: &str, mode| {
        let text = format!("[[umh]]\n[[umh.resource]]\ncommand = \"true\"\nevent-type = {event_type}\n");
        let (settings, findings) = parse(&text, mode);
        assert_eq!(findings, [""; 0], "{text}");
        rules(&settings)[0].events
    };
    for (form, words) in [
        ("{ value = \"Change\" }", EventSet::CHANGE),
        ("{ value = \"Change\", operator = \"Equals\" }", EventSet::CHANGE),
        ("{ value = [\"Exists\", \"Create\", \"Destroy\"], operator = \"NotEquals\" }", EventSet::CHANGE),
        ("{ value = \"^Ch\", operator = \"Matches\" }", EventSet::CHANGE),
        (
            "{ value = \"^Ch\", operator = \"NotMatches\" }",
            EventSet { change: false, replay: false, implied: true, ..EventSet::ALL },
        ),
    ] {
        assert_eq!(events(form, Mode::Native), words, "{form}");
    }
    // What is told again after a reload is `Exists` for drbd-reactor.
    let not_change = events("{ value = \"Change\", operator = \"NotEquals\" }", Mode::DrbdReactor);
    assert_eq!(not_change, EventSet { change: false, ..EventSet::ALL });
    let text =
        "[[umh]]\n[[umh.resource]]\ncommand = \"true\"\nevent-type = { value = \"Exist\", operator = \"Matches\" }\n";
    assert_eq!(parse(text, Mode::Native).1, [""; 0]);
}

#[test]
fn what_drbd_reactor_takes_is_clamped_in_compatibility_mode() {
    let (settings, findings) = parse(&case("o03-snipmon10.toml"), Mode::DrbdReactor);
    assert_eq!(settings.snippets_monitoring_interval, Some(Duration::from_secs(30)));
    expect!["a.toml:1:32: warning: `snippets-monitoring-interval` must be 0 (off) or between 30s and 7d; taken as 30s"]
        .assert_eq(&findings.join("\n"));
    let text = r#"
statistics-poll-interval = 99999999
[[promoter]]
[promoter.resources.a]
start = ["", "a.service"]
sleep-before-promote-factor = 4294967295
fencing-promote-delay = 18446744073709551615
preferred-nodes = ["", "alpha"]
[[umh]]
[[umh.connection]]
command = ""
peer-node-id = -1
resource-name = ""
[[umh.connection]]
command = "true"
peer-node-id = { value = -1, operator = "NotEquals" }
[[agentx]]
cache-max = 18446744073709551615
agent-timeout = 0
"#;
    let (settings, findings) = parse(text, Mode::DrbdReactor);
    assert_eq!(findings.iter().filter(|line| line.contains("error:")).count(), 0, "{findings:#?}");
    assert_eq!(findings.iter().filter(|line| line.contains("warning:")).count(), 11, "{findings:#?}");
    let a = promoted(&settings, "a");
    assert_eq!((a.sleep_before_promote_factor, a.fencing_promote_delay_s), (1000, 86_400));
    assert_eq!((&a.start, &a.preferred_nodes), (&units(&["a.service"]), &vec!["alpha".to_owned()]));
    assert_eq!(settings.statistics_poll_interval, Some(Duration::from_secs(86_400)));
    let PluginSettings::Umh(umh) = &settings.plugins[1].settings else { panic!("no umh") };
    let peers: Vec<_> = umh
        .rules
        .iter()
        .map(|rule| match &rule.when {
            When::Connection { peer_node_id, .. } => peer_node_id.clone(),
            _ => panic!("not on connections"),
        })
        .collect();
    // No node has the number -1: never, and always.
    assert_eq!(peers, [Some(Matcher::In(vec![])), Some(Matcher::NotIn(vec![]))]);
    assert_eq!((umh.rules[0].command.as_str(), &umh.rules[0].resource), ("", &Some(Matcher::In(vec![]))));
    // Of ours all of that is a mistake.
    let (_, findings) = parse_text(Path::new("a.toml"), text, Mode::Native);
    assert_eq!(errors(&findings).len(), 11);
}

/// One bad value of a big file: at a start everything else runs.
#[test]
fn a_bad_value_costs_its_part_in_compatibility_mode() {
    let folder = Folder::with_snippets("part");
    let good = "[[promoter]]\n[promoter.resources.good]\nstart = [\"good.service\"]\n";
    let bad = format!(
        "{good}[promoter.resources.bad]\nstart = [\"bad@.service\"]\n\
         [[umh]]\n[[umh.resource]]\ncommand = 5\n[[umh.resource]]\ncommand = \"true\"\n\
         [[prometheus]]\naddress = \"nowhere\"\n[[debugger]]\n"
    );
    folder.write("d/a.toml", &bad);
    let start = folder.load_compat(None);
    assert_eq!(errors(&start.findings).len(), 3);
    assert!(start.usable && !start.is_clean());
    assert_eq!(start.files[1].state, FileState::Partly);
    let plugins = &start.settings.plugins;
    assert_eq!(
        common::kinds(&start).iter().map(|kind| kind.as_str()).collect::<Vec<_>>(),
        ["promoter", "umh", "debugger"]
    );
    let PluginSettings::Promoter(promoter) = &plugins[0].settings else { panic!("no promoter") };
    assert_eq!(promoter.resources.keys().map(reactor_core::ids::ResourceName::as_str).collect::<Vec<_>>(), ["good"]);
    let PluginSettings::Umh(umh) = &plugins[1].settings else { panic!("no umh") };
    assert_eq!(umh.rules.len(), 1);
    // One mistake less: its part is taken, because nothing whole ran before.
    folder.write("d/a.toml", bad.replace("bad@.service", "bad.service"));
    let better = folder.load_compat(Some(&start));
    let PluginSettings::Promoter(promoter) = &better.settings.plugins[0].settings else { panic!("no promoter") };
    assert_eq!(promoter.resources.len(), 2);
    // All good, then bad again: what ran goes on as a whole, and no service stops.
    folder.write("d/a.toml", good.replace("good", "bad") + &good["[[promoter]]\n".len()..]);
    let whole = folder.load_compat(Some(&better));
    assert!(whole.is_clean());
    folder.write("d/a.toml", &bad);
    let worse = folder.load_compat(Some(&whole));
    assert_eq!((worse.files[1].state, &worse.settings), (FileState::LastGood, &whole.settings));
    // Of ours a bad file is bad.
    assert_eq!(folder.load(None).files[1].state, FileState::Rejected);
}
