//! `peripety-conf`: peripety's own file beside ours, from the files on disk to events.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::Folder;
use expect_test::expect;
use reactor_config::{Loaded, check};
use reactor_core::settings::{EventsSettings, Mode, PluginSettings};
use reactor_storage::catalogue::Catalogue;
use reactor_storage::event::{Named, Subsystem};
use reactor_storage::record::{Origin, Record};

const RULE: &str = r#"
starts_with = "device-mapper: multipath: "
regex = '''
(?x)
^device-mapper:\ multipath:\ Ailing\ path\ (?P<kdev>\d+:\d+)\.$
'''
sub_system = "Multipath"
event_type = "MY_PATH_AILING"
"#;

const LINE: &str = "device-mapper: multipath: Ailing path 8:48.";

fn conf(list: &str) -> String {
    format!("[main]\nnotify_stdout = false\nsave_to_journald = false\n[[{list}]]{RULE}")
}

fn folder(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("main.toml", "[[events]]\nperipety-conf = \"peripetyd.conf\"\n");
    folder
}

fn events(loaded: &Loaded) -> &EventsSettings {
    let PluginSettings::Events(events) = &loaded.settings.plugins[0].settings else { panic!("no events") };
    events
}

/// The type that a message of the kernel has, with the rules that were loaded.
fn kind(loaded: &Loaded, line: &str) -> Option<String> {
    let rules = events(loaded).user_rules().map(|rule| rule.clone().compile().unwrap());
    let catalogue = Catalogue::built_in().with_rules(rules);
    let record = Record::new(Origin::Kernel, line);
    let finding = catalogue.classify(&record)?;
    assert_eq!(
        (finding.subsystem, &finding.devices[..]),
        (Subsystem::Multipath, &[("kdev", Named::Number(8, 48))][..])
    );
    Some(finding.event.name.to_string())
}

#[test]
fn a_file_of_peripetys_with_one_multipath_rule_works_as_it_is() {
    let folder = folder("peripety-works");
    for list in ["collector.regexs", "collector_regexs"] {
        folder.write("peripetyd.conf", conf(list));
        let loaded = folder.load(None);
        assert_eq!(folder.lines(&loaded.findings), "", "{list}");
        assert_eq!(kind(&loaded, LINE).as_deref(), Some("MY_PATH_AILING"), "{list}");
    }
}

#[test]
fn rules_of_ours_go_before_those_of_peripetys_file() {
    let folder = folder("peripety-order");
    folder.write("peripetyd.conf", conf("collector_regexs"));
    let own = "[[events.rule]]\nregex = \"Ailing path (?P<kdev>[0-9]+:[0-9]+)\"\nevent-type = \"OWN\"\nsub-system = \"multipath\"\n";
    folder.write("main.toml", format!("[[events]]\nperipety-conf = \"peripetyd.conf\"\n{own}"));
    assert_eq!(kind(&folder.load(None), LINE).as_deref(), Some("OWN"));
}

#[test]
fn a_missing_file_is_a_warning_and_all_else_runs() {
    let folder = folder("peripety-missing");
    let loaded = folder.load(None);
    assert!(loaded.usable && loaded.is_clean());
    assert_eq!((kind(&loaded, LINE), events(&loaded).peripety_rules.len()), (None, 0));
    expect![[r#"
        warning: cannot read the file: no such file or directory
        --> peripetyd.conf

        warning: no rules of peripetyd.conf are used
         --> main.toml:2:17
          |
        2 | peripety-conf = "peripetyd.conf"
          |                 ^^^^^^^^^^^^^^^^
          |
          = help: restore the file, or remove `peripety-conf`
    "#]]
    .assert_eq(&folder.told(&loaded.findings));
    let checked = check(&[], &folder.options(Mode::Native));
    assert_eq!((checked.is_clean(), checked.findings.len()), (true, 2), "check says the same");
}

#[test]
fn what_is_wrong_in_the_file_is_a_warning_with_its_line() {
    let folder = folder("peripety-bad");
    let bad =
        format!("[main]\nnotify_stdout = true\n[[collector_regexs]]\nregex = \"sda\"\n[[collector_regexs]]{RULE}");
    folder.write("peripetyd.conf", bad);
    let loaded = folder.load(None);
    assert!(loaded.is_clean());
    assert_eq!(kind(&loaded, LINE).as_deref(), Some("MY_PATH_AILING"), "a bad rule costs itself only");
    expect![[r#"
        warning: the expression has no group `kdev`: `(?P<kdev>...)` says which device a message is about
         --> peripetyd.conf:4:9
          |
        4 | regex = "sda"
          |         ^^^^^
    "#]]
    .assert_eq(&folder.told(&loaded.findings));
}

#[test]
fn a_file_that_breaks_while_we_run_keeps_the_rules_that_it_had() {
    let folder = folder("peripety-breaks");
    folder.write("peripetyd.conf", conf("collector_regexs"));
    let mut loaded = folder.load(None);
    let before = loaded.settings.clone();
    let breaks: [&dyn Fn(); 3] = [
        &|| folder.write("peripetyd.conf", "[[collector_regexs]\n"),
        &|| folder.mode("peripetyd.conf", 0o666),
        &|| folder.remove("peripetyd.conf"),
    ];
    for (index, broken) in breaks.into_iter().enumerate() {
        broken();
        loaded = folder.load(Some(&loaded));
        assert!(loaded.is_clean() && loaded.settings == before, "{index}: a reload changes nothing");
        let told = folder.lines(&loaded.findings);
        assert!(told.contains("the rules that peripetyd.conf had before go on"), "{index}: {told}");
    }
    folder.write("peripetyd.conf", "# no rules\n");
    let loaded = folder.load(Some(&loaded));
    assert_eq!((kind(&loaded, LINE), loaded.findings.len()), (None, 0), "what was removed is gone");
    assert_ne!(loaded.settings, before, "a reload takes effect");
}

/// What its own file asks peripety to do is done: each event on standard output, and in the journal unless the file says otherwise.
#[test]
fn who_is_told_of_each_event_is_as_peripetys_file_says() {
    use reactor_core::notice::Topic;
    use reactor_core::settings::notify::{Receiver, StdoutFormat};
    let folder = folder("peripety-notify");
    let told = |main: &str| {
        folder.write("peripetyd.conf", format!("[main]\n{main}\n"));
        let loaded = folder.load(None);
        let table = |settings: &PluginSettings| match settings {
            PluginSettings::Notify(notify) => Some((**notify).clone()),
            _ => None,
        };
        loaded.settings.plugins.iter().filter_map(|entry| table(&entry.settings)).collect::<Vec<_>>()
    };
    let both = told("notify_stdout = true");
    assert_eq!(
        both.iter().map(|table| table.receiver.clone()).collect::<Vec<_>>(),
        [Receiver::Stdout(StdoutFormat::JsonPretty), Receiver::Journal]
    );
    for table in &both {
        assert_eq!((&table.filter.topics[..], table.filter.severity.as_str()), (&[Topic::Event][..], "info"));
        assert!(table.together.is_zero());
    }
    assert_eq!(told("").len(), 1, "the journal, as peripety does it without a word");
    assert_eq!(told("save_to_journald = false"), []);
    // A table of that name is the user's own, and two tables of storage events are no reason to say it twice.
    folder.write(
        "main.toml",
        "[[events]]\nperipety-conf = \"peripetyd.conf\"\n[[events]]\nperipety-conf = \"peripetyd.conf\"\n[[notify]]\nname = \"peripety-stdout\"\nstdout = \"text\"\n",
    );
    let own = told("notify_stdout = true");
    assert_eq!(
        own.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(),
        ["peripety-stdout", "peripety-journal"]
    );
    assert_eq!(own[0].receiver, Receiver::Stdout(StdoutFormat::Text));
}

/// A file that can't be read any more goes on as it was.
#[test]
fn who_was_told_goes_on_being_told_while_the_file_is_away() {
    let folder = folder("peripety-notify-away");
    folder.write("peripetyd.conf", "[main]\nnotify_stdout = true\nsave_to_journald = false\n");
    let first = folder.load(None);
    folder.remove("peripetyd.conf");
    let second = folder.load(Some(&first));
    assert_eq!(second.settings.plugins, first.settings.plugins);
    assert_eq!(second.settings.plugins.len(), 2);
}
