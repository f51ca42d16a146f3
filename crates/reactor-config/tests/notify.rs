//! `[[notify]]`: from text to settings, and over several files.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use common::Folder;
use reactor_config::{Finding, Loaded, dump_toml, parse_text};
use reactor_core::notice::Topic;
use reactor_core::settings::notify::{
    Exec, Filter, Irc, Mail, Receiver, SmtpServer, SmtpTls, StdoutFormat, Syslog, Webhook, WebhookFormat, WebhookUrl,
};
use reactor_core::settings::umh::RateLimit;
use reactor_core::settings::{Mode, NotifySettings, PluginSettings, Settings};
use reactor_storage::event::{Severity, Subsystem};

fn lines(findings: &[Finding]) -> String {
    findings.iter().map(|finding| finding.one_line() + "\n").collect()
}

fn tables(settings: &Settings) -> Vec<NotifySettings> {
    let table = |settings: &PluginSettings| match settings {
        PluginSettings::Notify(notify) => Some((**notify).clone()),
        _ => None,
    };
    settings.plugins.iter().filter_map(|entry| table(&entry.settings)).collect()
}

fn read(text: &str) -> Vec<NotifySettings> {
    let (settings, findings) = parse_text(Path::new("/etc/a.toml"), text, Mode::Native);
    assert!(!findings.iter().any(Finding::is_error), "{}", lines(&findings));
    tables(&settings)
}

#[test]
fn a_chat_message_whenever_a_resource_loses_its_connection_is_one_table() {
    let text = "[[notify]]\nwebhook = { url = \"https://chat.example/x\", format = \"slack\" }\nwhat = [\"connection-lost\"]\n";
    let webhook = Webhook {
        url: WebhookUrl::Url("https://chat.example/x".to_owned()),
        format: WebhookFormat::Slack,
        headers: Vec::new(),
        token_file: None,
        ca_file: None,
    };
    let filter = Filter { what: vec!["connection-lost".to_owned()], severity: Severity::Info, ..Filter::default() };
    assert_eq!(read(text), [NotifySettings { filter, ..NotifySettings::new(Receiver::Webhook(webhook)) }]);
}

#[test]
fn every_key_of_a_table_is_read_and_dumped_as_it_is() {
    let text = include_str!("files/ours.toml");
    let (settings, _) = parse_text(Path::new("/etc/a.toml"), text, Mode::Native);
    let tables = tables(&settings);
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let chat = NotifySettings {
        name: "chat".to_owned(),
        filter: Filter {
            severity: Severity::Notice,
            topics: vec![Topic::Drbd, Topic::Incident],
            what: owned(&["connection-*", "opened"]),
            subsystems: vec![Subsystem::Multipath],
            devices: owned(&["sda", "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4"]),
            resources: owned(&["db*"]),
        },
        together: Duration::ZERO,
        rate_limit: Some(RateLimit { count: 5, per: Duration::from_secs(60) }),
        keep: Duration::from_secs(3600),
        max_queued: 100,
        timeout: Duration::from_secs(5),
        receiver: Receiver::Webhook(Webhook {
            url: WebhookUrl::Url("https://chat.example".to_owned()),
            format: WebhookFormat::Slack,
            headers: Vec::new(),
            token_file: Some("/etc/token".into()),
            ca_file: Some("/etc/ca.pem".into()),
        }),
    };
    assert_eq!(tables[0], chat);
    let server = SmtpServer {
        address: "mail.example.org:2525".to_owned(),
        tls: SmtpTls::Wrapped,
        user: Some("reactor".to_owned()),
        password_file: Some("/etc/password".into()),
        ca_file: None,
    };
    let sendmail = PathBuf::from("/usr/sbin/sendmail");
    let receivers = [
        Receiver::Stdout(StdoutFormat::JsonPretty),
        Receiver::Journal,
        Receiver::Syslog(Syslog {
            address: "tls://[::1]:6514".to_owned(),
            facility: 19,
            tag: "storage".to_owned(),
            ca_file: Some("/etc/ca.pem".into()),
        }),
        Receiver::Mail(Mail {
            to: owned(&["root", "a@example.org"]),
            from: Some("b@example.org".to_owned()),
            server: None,
            sendmail: "/usr/bin/msmtp".into(),
        }),
        Receiver::Mail(Mail { to: owned(&["a@example.org"]), from: None, server: Some(server), sendmail }),
        Receiver::Exec(Exec { command: owned(&["/etc/bin/tell", "--all"]) }),
        Receiver::Irc(Irc {
            server: "irc.example:6697".to_owned(),
            tls: true,
            ca_file: None,
            nick: Some("n1".to_owned()),
            channel: "#storage".to_owned(),
            channel_key_file: Some("/etc/channel-key".into()),
            password_file: Some("/etc/password".into()),
        }),
    ];
    let expected: Vec<NotifySettings> = receivers.map(NotifySettings::new).into();
    assert_eq!(tables[1..], expected);
    let (again, _) = parse_text(Path::new("/etc/a.toml"), &dump_toml(&settings), Mode::Native);
    assert_eq!(self::tables(&again), tables, "what is dumped is what was read");
}

#[test]
fn what_a_webhook_is_told_apart_by_is_not_dumped() {
    let text = "[[notify]]\n[notify.webhook]\nurl = \"https://chat.example:8443/hooks/S3CRET?x=S3CRET\"\nheaders = { X-Key = \"S3CRET\" }\n";
    let (settings, _) = parse_text(Path::new("/etc/a.toml"), text, Mode::Native);
    let dumped = dump_toml(&settings);
    assert!(dumped.contains("url = \"https://chat.example:8443/***\"") && !dumped.contains("S3CRET"), "{dumped}");
    assert!(reactor_config::has_secret(text), "so a file that everybody can read is told of");
}

fn load(folder: &str, files: &[(&str, &str)]) -> Loaded {
    let folder = Folder::with_snippets(folder);
    for (name, text) in files {
        folder.write(&format!("d/{name}"), text);
    }
    folder.load(None)
}

#[test]
fn over_all_files_no_two_tables_have_one_name() {
    let loaded = load(
        "notify-names",
        &[
            ("a.toml", "[[notify]]\njournal = true\n[[notify]]\nname = \"x\"\njournal = true\n"),
            ("b.toml", "[[notify]]\njournal = true\n[[notify]]\nname = \"x\"\nstdout = \"text\"\n"),
        ],
    );
    let names: Vec<String> = tables(&loaded.settings).into_iter().map(|table| table.name).collect();
    assert_eq!(names, ["journal", "x", "journal-2"], "the second of a name that was given is left out");
    let told: Vec<String> = loaded.findings.iter().map(|finding| finding.message.clone()).collect();
    assert_eq!(told, ["another `[[notify]]` table has the name `x` already; this one is ignored"]);
}

#[test]
fn a_word_that_nobody_knows_is_told_and_one_of_a_rule_of_the_users_is_known() {
    let rule = "[[events]]\n[[events.rule]]\nregex = \"(?P<kdev>x)\"\nevent-type = \"SHELF_FAN\"\n";
    let loaded = load(
        "notify-words",
        &[
            (
                "a.toml",
                "[[notify]]\njournal = true\nwhat = [\"SHELF_FAN\", \"conection-lost\", \"MPATH_*\", \"quite-else\", \"ATTA_*\"]\n",
            ),
            ("b.toml", rule),
        ],
    );
    let told: Vec<(String, Option<String>)> =
        loaded.findings.iter().map(|finding| (finding.message.clone(), finding.hint.clone())).collect();
    let listed = "docs/notify.md lists the words, and `reactorctl events catalogue` the types of storage events";
    let expected = [
        ("nothing that can happen is called `conection-lost`", "did you mean `connection-lost`?"),
        ("nothing that can happen is called `quite-else`", listed),
        ("nothing that can happen is called `ATTA_*`", listed),
    ];
    assert_eq!(told, expected.map(|(message, hint)| (message.to_owned(), Some(hint.to_owned()))));
    assert!(loaded.is_clean(), "these are warnings");
}

#[test]
fn in_compatibility_mode_a_bad_table_costs_only_itself() {
    let text = "[[notify]]\nname = \"a\"\n[[notify]]\njournal = true\n";
    let (settings, findings) = parse_text(Path::new("/etc/a.toml"), text, Mode::DrbdReactor);
    assert!(findings.len() == 1 && findings[0].is_error(), "{}", lines(&findings));
    assert_eq!(tables(&settings), [NotifySettings::new(Receiver::Journal)]);
}

#[test]
fn a_rule_on_storage_is_read_and_dumped_as_it_is() {
    use reactor_core::settings::umh::{EventConditions, EventMoment, Matcher, When};
    let text = "[[umh]]\n[[umh.event]]\ncommand = \"true\"\non = \"over\"\ntype = \"X\"\nseverity = \"error\"\nsubsystem = \"scsi\"\ndevice = \"sda\"\n[[umh.event]]\ncommand = \"true\"\n";
    let (settings, findings) = parse_text(Path::new("/etc/a.toml"), text, Mode::Native);
    assert_eq!(lines(&findings), "");
    let PluginSettings::Umh(umh) = &settings.plugins[0].settings else { panic!("no umh") };
    let conditions = EventConditions {
        on: EventMoment::Over,
        kind: Some(Matcher::In(vec!["X".to_owned()])),
        severity: Severity::Error,
        subsystems: vec![Subsystem::Scsi],
        devices: vec!["sda".to_owned()],
    };
    assert_eq!(umh.rules[0].when, When::Event(conditions));
    assert_eq!(umh.rules[1].when, When::Event(EventConditions::default()));
    let (again, _) = parse_text(Path::new("/etc/a.toml"), &dump_toml(&settings), Mode::Native);
    assert_eq!(again.plugins[0].settings, settings.plugins[0].settings);
}

/// Who knows all names of devices has to know which of them are waited for.
#[test]
fn the_names_of_devices_in_filters_are_those_that_are_looked_for() {
    let text = "[[notify]]\njournal = true\ndevice = [\"mpatha\", \"/dev/disk/by-id/a\"]\n\
                [[umh]]\n[[umh.event]]\ncommand = \"true\"\ndevice = \"8:0\"\n[[umh.event]]\ncommand = \"true\"\ndevice = \"mpatha\"\n";
    let (settings, findings) = parse_text(Path::new("/etc/a.toml"), text, Mode::Native);
    assert!(!findings.iter().any(Finding::is_error), "{}", lines(&findings));
    assert_eq!(settings.device_names(), ["/dev/disk/by-id/a", "8:0", "mpatha"].map(str::to_owned).into());
}
