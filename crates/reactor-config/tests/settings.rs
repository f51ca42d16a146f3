//! What files say, and what comes out of it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use reactor_config::{Finding, dump_toml, parse_text};
use reactor_core::drbd::types::{ConnectionState, DiskState, ReplicationState, ResyncSuspended, Role, Suspended};
use reactor_core::settings::promoter::{
    DayWindow, Dependency, FailureAction, OnDiskDetach, OnQuorumLoss, OnServiceFailure, PreferredNodesPolicy,
    PromotedResource, RepairLinks, Retry, Runner, StartEntry,
};
use reactor_core::settings::umh::{EventSet, HandlerStdin, HelperMoment, Matcher, RateLimit, Rule, When};
use reactor_core::settings::{
    Bus, Detail, LogLevel, Mode, PluginEntry, PluginKind, PluginSettings, PrometheusSettings, Settings, UmhSettings,
};
use reactor_storage::catalogue::RawUserRule;

fn file(name: &str) -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    (PathBuf::from("/etc").join(name), text)
}

fn lines(findings: &[Finding]) -> String {
    findings.iter().map(|finding| finding.one_line() + "\n").collect()
}

fn parse(text: &str, mode: Mode) -> Settings {
    let (settings, findings) = parse_text(Path::new("/etc/a.toml"), text, mode);
    assert_eq!(lines(&findings), "", "{text}");
    settings
}

fn umh(settings: &Settings) -> &UmhSettings {
    settings
        .plugins
        .iter()
        .find_map(|entry| if let PluginSettings::Umh(umh) = &entry.settings { Some(umh) } else { None })
        .unwrap()
}

fn rule(keys: &str, mode: Mode) -> Rule {
    umh(&parse(&format!("[[umh]]\n[[umh.resource]]\ncommand = \"true\"\n{keys}\n"), mode)).rules[0].clone()
}

fn matches<T>(values: &[T]) -> Option<Matcher<T>>
where
    T: Clone,
{
    Some(Matcher::In(values.to_vec()))
}

#[test]
fn a_full_drbd_reactor_configuration_loads_without_findings() {
    let (path, text) = file("drbd-reactor.toml");
    let (settings, findings) = parse_text(&path, &text, Mode::DrbdReactor);
    assert_eq!(lines(&findings), "");
    assert_eq!(settings.snippets.as_deref(), Some(Path::new("/etc/drbd-reactor.d")));
    assert_eq!(settings.log[0].level, LogLevel::Info);
    assert_eq!(settings.log[1].level, LogLevel::Debug);
    let PluginSettings::Promoter(promoter) = &settings.plugins[0].settings else { panic!("no promoter") };
    let nfs = PromotedResource {
        start: [
            StartEntry::Unit("srv-nfs.mount".to_owned()),
            StartEntry::Ocf {
                vendor: "heartbeat".to_owned(),
                agent: "nfsserver".to_owned(),
                instance: "nfs".to_owned(),
                parameters: vec![
                    ("nfs_shared_infodir".to_owned(), "/srv/nfs/info".to_owned()),
                    ("nfs_ip".to_owned(), "10.0.0.1 10.0.0.2".to_owned()),
                ],
            },
            StartEntry::Unit("nfs-export@srv.service".to_owned()),
        ]
        .map(Into::into)
        .to_vec(),
        stop: Vec::new(),
        stop_services_on_exit: true,
        runner: Runner::Systemd,
        dependencies_as: Dependency::BindsTo,
        target_as: Dependency::Requires,
        on_drbd_demote_failure: FailureAction::RebootImmediate,
        sleep_before_promote_factor: 2,
        preferred_nodes: vec!["alpha".to_owned(), "bravo".to_owned()],
        preferred_nodes_policy: PreferredNodesPolicy::StartOnly,
        secondary_force: false,
        on_quorum_loss: OnQuorumLoss::Freeze,
        on_disk_detach: OnDiskDetach::FailOver,
        fencing_promote_delay_s: 10,
        adjust_resource_on_start: false,
        ..PromotedResource::with_defaults(Mode::DrbdReactor)
    };
    assert_eq!(promoter.resources["nfs"], nfs);
    assert_eq!(promoter.resources["shelled"].start[0].what, StartEntry::Unit("/usr/local/bin/up.sh --now".to_owned()));
    let address = reactor_core::settings::ListenAddress::Tcp { ip: Some("::".parse().unwrap()), port: 9942 };
    let prometheus = PluginSettings::Prometheus(PrometheusSettings { address, enums: true, ..Default::default() });
    assert_eq!(settings.plugins[2].settings, prometheus);
    let PluginSettings::Agentx(agentx) = &settings.plugins[3].settings else { panic!("no agentx") };
    assert_eq!((agentx.cache_max, agentx.agent_timeout), (Duration::from_secs(30), Duration::from_secs(20)));
    assert!(!agentx.peer_states);
    // The same file is good in our own mode.
    assert_eq!(lines(&parse_text(&path, &text, Mode::Native).1), "");
}

#[test]
fn rules_as_drbd_reactor_writes_them() {
    let (path, text) = file("drbd-reactor.toml");
    let (settings, _) = parse_text(&path, &text, Mode::DrbdReactor);
    let rules = &umh(&settings).rules;
    let When::Resource(edge) = &rules[0].when else { panic!("not a resource") };
    assert_eq!(edge.old.role, Some(Matcher::NotIn(vec![Role::Primary])));
    assert_eq!(edge.new.role, matches(&[Role::Primary]));
    assert_eq!((&edge.new.may_promote, &edge.new.promotion_score), (&matches(&[false]), &matches(&[10101])));
    assert_eq!((rules[0].name.as_str(), &rules[0].resource), ("became primary", &matches(&["nfs".to_owned()])));
    assert_eq!(rules[0].events, EventSet::CHANGE);
    assert_eq!(rules[0].env, [("LEVEL".to_owned(), "5".to_owned()), ("NAME".to_owned(), "a b".to_owned())]);
    let When::Device { volume, edge } = &rules[1].when else { panic!("not a device") };
    assert_eq!(*volume, matches(&[0]));
    assert_eq!(edge.old.disk_state, Some(Matcher::NotIn(vec![DiskState::Diskless])));
    assert_eq!((&edge.new.size, &edge.new.open), (&matches(&[1_048_576]), &matches(&[true])));
    assert_eq!(rules[1].env.len(), 1);
    let When::PeerDevice { volume, peer_node_id, edge } = &rules[2].when else { panic!("not a peer device") };
    assert_eq!((volume, peer_node_id), (&matches(&[1]), &matches(&[2])));
    assert_eq!(edge.new.replication_state, matches(&[ReplicationState::Established]));
    assert_eq!((&edge.old.resync_suspended_at_all, &edge.old.resync_suspended), (&matches(&[true]), &None));
    assert_eq!(edge.new.resync_suspended_at_all, matches(&[false]));
    let When::Connection { edge, .. } = &rules[3].when else { panic!("not a connection") };
    assert_eq!(edge.new.connection_state, Some(Matcher::NotIn(vec![ConnectionState::Connected])));
    assert_eq!(edge.new.congested, matches(&[true]));
}

#[test]
fn everything_of_ours() {
    let (path, text) = file("ours.toml");
    let (settings, findings) = parse_text(&path, &text, Mode::Native);
    assert_eq!(lines(&findings), "");
    assert_eq!(settings.snippets, Some(PathBuf::from("/etc/d")));
    assert_eq!(settings.snippets_monitoring_interval, Some(Duration::from_secs(300)));
    let daemon = &settings.daemon;
    assert_eq!(daemon.runtime_dir, Path::new("/etc/run"));
    assert_eq!(
        (daemon.drbdsetup.as_path(), daemon.drbdadm.as_path()),
        (Path::new("/etc/bin/drbdsetup"), Path::new("drbdadm"))
    );
    assert_eq!(daemon.bus, Bus::Address("unix:path=/run/test/bus".to_owned()));
    assert_eq!((settings.history.max_age.as_secs(), settings.history.max_bytes), (30 * 86_400, 64 << 20));
    let recorder = settings.recorder.as_ref().unwrap();
    assert_eq!((recorder.max_file_bytes, recorder.max_files), (3 << 19, 3));
    let PluginSettings::Debugger(debugger) = &settings.plugins[0].settings else { panic!("no debugger") };
    assert_eq!(debugger.detail, Detail::All);
    let umh = umh(&settings);
    assert_eq!((umh.max_parallel, umh.max_queued), (4, 0));
    let first = &umh.rules[0];
    assert_eq!(first.events, EventSet { destroy: false, ..EventSet::ALL });
    assert_eq!((first.hold, first.timeout), (Some(Duration::from_secs(90)), Duration::from_millis(500)));
    assert_eq!(first.rate_limit, Some(RateLimit { count: 5, per: Duration::from_secs(600) }));
    assert_eq!((first.serialize, first.max_output_bytes, first.stdin), (true, 65536, HandlerStdin::Json));
    assert!(matches!(&first.resource, Some(Matcher::Matches(pattern)) if pattern.0.is_match("web-1")));
    let When::Resource(edge) = &first.when else { panic!("not a resource") };
    assert_eq!(edge.new.suspended, matches(&[Suspended::QUORUM, Suspended::from_word("no-data,fencing")]));
    assert_eq!(edge.old.suspended, matches(&[Suspended::default()]));
    let When::PeerDevice { edge, .. } = &umh.rules[1].when else { panic!("not a peer device") };
    assert_eq!(
        edge.new.resync_suspended,
        matches(&[ResyncSuspended::default(), ResyncSuspended::from_word("user,peer")])
    );
    let When::Helper(helper) = &umh.rules[3].when else { panic!("not a helper") };
    assert_eq!((helper.on, &helper.status), (HelperMoment::Response, &Some(Matcher::NotIn(vec![0]))));
    let When::Helper(helper) = &umh.rules[4].when else { panic!("not a helper") };
    assert_eq!(helper.on, HelperMoment::Answer);
}

#[test]
fn a_poll_interval_of_zero_is_off_and_there_is_a_minimum() {
    assert_eq!(parse("", Mode::Native).statistics_poll_interval, Some(Duration::from_secs(60)));
    assert_eq!(parse("statistics-poll-interval = 0", Mode::DrbdReactor).statistics_poll_interval, None);
    assert_eq!(
        parse("statistics-poll-interval = \"1s\"", Mode::Native).statistics_poll_interval,
        Some(Duration::from_secs(1))
    );
    assert_eq!(parse("snippets-monitoring-interval = 0", Mode::Native).snippets_monitoring_interval, None);
    for (text, raised) in [
        ("statistics-poll-interval = 0.9", 1),
        ("statistics-poll-interval = \"999ms\"", 1),
        ("snippets-monitoring-interval = 29", 30),
    ] {
        let (_, findings) = parse_text(Path::new("a.toml"), text, Mode::Native);
        assert!(findings.len() == 1 && findings[0].is_error(), "{text}");
        // drbd-reactor takes them.
        let (settings, findings) = parse_text(Path::new("a.toml"), text, Mode::DrbdReactor);
        assert!(findings.len() == 1 && !findings[0].is_error(), "{text}");
        let intervals = [settings.statistics_poll_interval, settings.snippets_monitoring_interval];
        assert!(intervals.contains(&Some(Duration::from_secs(raised))), "{text}");
    }
}

#[test]
fn every_number_has_its_limits() {
    for keys in [
        "[[promoter]]\n[promoter.resources.a]\nstart = [\"a.service\"]\nsleep-before-promote-factor = 4294967295",
        "[[promoter]]\n[promoter.resources.a]\nstart = [\"a.service\"]\nsleep-before-promote-factor = -1",
        "[[promoter]]\n[promoter.resources.a]\nstart = [\"a.service\"]\nfencing-promote-delay = 9223372036854775807",
        "[[promoter]]\n[promoter.resources.a]\nstart = [\"a.service\"]\nfencing-promote-delay = 0.5",
        "[[promoter]]\n[promoter.resources.a]\nstart = [\"a.service\"]\nfreeze-timeout = 0",
        "[[promoter]]\n[promoter.resources.a]\nstart = [\"a.service\"]\nfreeze-timeout = \"8d\"",
        "[[promoter]]\n[promoter.resources.a]\nstart = [\"a.service\"]\nmax-failures = -1",
        "[[promoter]]\n[promoter.resources.a]\nstart = [\"a.service\"]\nmax-failures = 101",
        "[[promoter]]\n[promoter.resources.a]\nstart = [\"a.service\"]\nfailure-window = \"500ms\"",
        "[[promoter]]\n[promoter.resources.a]\nstart = [\"a.service\"]\nretry-interval = 0",
        "[[promoter]]\n[promoter.resources.a]\nstart = [\"a.service\"]\nretry-interval = \"2d\"",
        "[[agentx]]\ncache-max = 18446744073709551615",
        "[[agentx]]\nagent-timeout = 0",
        "[[agentx]]\ncache-max = nan",
        "[[agentx]]\ncache-max = inf",
        "[[umh]]\nmax-parallel = 0",
        "[[umh]]\nmax-queued = 99999999999999999999999999",
        "[[umh]]\n[[umh.device]]\ncommand = \"true\"\nvolume = 4294967296",
        "[[umh]]\n[[umh.device]]\ncommand = \"true\"\ntimeout = \"99999999999999999999w\"",
        "[recorder]\nmax-files = 0",
        "[recorder]\nmax-file-size = -5",
    ] {
        let (_, findings) = parse_text(Path::new("a.toml"), keys, Mode::Native);
        assert!(findings.iter().any(Finding::is_error), "{keys}");
        // What drbd-reactor takes is no error in compatibility mode, and what it refuses costs only a part of the file.
        let text = format!("{keys}\n[[debugger]]\n");
        let (settings, findings) = parse_text(Path::new("a.toml"), &text, Mode::DrbdReactor);
        assert!(!findings.is_empty(), "{keys}");
        assert_eq!(settings.plugins.last().unwrap().settings.kind(), PluginKind::Debugger, "{keys}");
    }
    // An empty start is no error, but it is told.
    let (_, findings) =
        parse_text(Path::new("a.toml"), "[[promoter]]\n[promoter.resources.a]\nstart = []", Mode::Native);
    assert!(findings.len() == 1 && !findings[0].is_error());
}

fn promoted(keys: &str, mode: Mode) -> PromotedResource {
    let text = format!("[[promoter]]\n[promoter.resources.a]\nstart = [\"a.service\"]\n{keys}\n");
    let settings = parse(&text, mode);
    let PluginSettings::Promoter(promoter) = &settings.plugins[0].settings else { panic!("no promoter") };
    promoter.resources["a"].clone()
}

#[test]
fn the_promoters_own_keys_have_defaults_by_mode() {
    let start = vec![StartEntry::Unit("a.service".to_owned()).into()];
    for mode in [Mode::Native, Mode::DrbdReactor] {
        let expected = PromotedResource { start: start.clone(), ..PromotedResource::with_defaults(mode) };
        assert_eq!(promoted("", mode), expected);
    }
    let old = promoted("", Mode::DrbdReactor);
    assert_eq!((old.max_failures, old.retry), (0, Retry::Every(Duration::from_secs(20))));
    assert_eq!((old.on_service_failure, old.repair_links), (OnServiceFailure::Ignore, RepairLinks::Report));
    assert!(!old.head_start && PromotedResource::default().head_start);
}

/// In compatibility mode too: whoever writes a key wants what it does.
#[test]
fn the_promoters_own_keys_work_in_both_modes() {
    let keys = r#"
on-quorum-loss = "freeze"
freeze-timeout = "60s"
preferred-nodes = ["alpha"]
failback-window = ["02:00-04:30", "22:00-00:00"]
on-service-failure = "move"
max-failures = 5
failure-window = "1h"
retry-interval = "back-off"
repair-links = "off"
head-start = true
"#;
    for mode in [Mode::Native, Mode::DrbdReactor] {
        let resource = promoted(keys, mode);
        assert_eq!(resource.freeze_timeout, Some(Duration::from_secs(60)));
        let windows = [DayWindow { from_min: 120, to_min: 270 }, DayWindow { from_min: 1320, to_min: 1440 }];
        assert_eq!(resource.failback_window, windows);
        assert_eq!(resource.on_service_failure, OnServiceFailure::Move);
        assert_eq!((resource.max_failures, resource.failure_window), (5, Duration::from_secs(3600)));
        assert_eq!((resource.retry, resource.repair_links), (Retry::BackOff, RepairLinks::Off));
        assert!(resource.head_start);
    }
    let one =
        promoted("preferred-nodes = [\"x\"]\nfailback-window = \"22:00-04:00\"\nretry-interval = 30", Mode::Native);
    assert_eq!(one.failback_window, [DayWindow { from_min: 1320, to_min: 240 }]);
    assert_eq!(one.retry, Retry::Every(Duration::from_secs(30)));
    assert_eq!(promoted("retry-interval = \"1min 30s\"", Mode::Native).retry, Retry::Every(Duration::from_secs(90)));
}

/// Rules without `event-type` saw transitions that never happened.
#[test]
fn event_types_by_mode() {
    assert_eq!(rule("", Mode::Native).events, EventSet::CHANGE);
    assert_eq!(rule("", Mode::DrbdReactor).events, EventSet::ALL);
    for mode in [Mode::Native, Mode::DrbdReactor] {
        assert_eq!(rule("event-type = \"Change\"", mode).events, EventSet::CHANGE);
        // drbd-reactor calls it `Exists`, too, what a reload tells; and it never hears of parts that go with their whole.
        let compat = mode == Mode::DrbdReactor;
        let exists = EventSet { exists: true, replay: compat, ..EventSet::NONE };
        assert_eq!(rule("event-type = [\"Exists\"]", mode).events, exists);
        let destroy = EventSet { destroy: true, implied: !compat, ..EventSet::NONE };
        assert_eq!(rule("event-type = \"Destroy\"", mode).events, destroy);
    }
}

#[test]
fn numbers_can_be_written_in_every_way_of_toml() {
    for text in ["60", "60.0", "\"60\"", "\"1min\"", "6_0", "\"0.5min 30s\""] {
        let settings = parse(&format!("statistics-poll-interval = {text}"), Mode::Native);
        assert_eq!(settings.statistics_poll_interval, Some(Duration::from_secs(60)), "{text}");
    }
    for text in ["65536", "0x1_0000", "\"64KiB\"", "65_536"] {
        let settings = parse(&format!("[recorder]\nmax-file-size = {text}"), Mode::Native);
        assert_eq!(settings.recorder.unwrap().max_file_bytes, 65536, "{text}");
    }
}

#[test]
fn plugins_come_in_the_order_of_the_file() {
    let settings = parse(
        "[[umh]]\n[[umh.device]]\ncommand = \"true\"\n[[debugger]]\n[[prometheus]]\n[[debugger]]\n",
        Mode::Native,
    );
    let lines: Vec<(u32, &str)> =
        settings.plugins.iter().map(|entry| (entry.line, entry.settings.kind().as_str())).collect();
    assert_eq!(lines, [(1, "umh"), (4, "debugger"), (5, "prometheus"), (6, "debugger")]);
}

#[test]
fn inline_tables_say_the_same() {
    let long = parse("[[umh]]\n[[umh.device]]\ncommand = \"true\"\n[umh.device.new]\nquorum = false\n", Mode::Native);
    let short = parse("umh = [{ device = [{ command = \"true\", new = { quorum = false } }] }]", Mode::Native);
    assert_eq!(long.plugins, short.plugins);
}

#[test]
fn a_dump_reads_back_as_the_same_settings() {
    for name in ["drbd-reactor.toml", "ours.toml"] {
        let (path, text) = file(name);
        let (settings, _) = parse_text(&path, &text, Mode::Native);
        let dump = dump_toml(&settings);
        let (mut again, findings) = parse_text(&path, &dump, Mode::Native);
        assert_eq!(lines(&findings), "", "{dump}");
        for (entry, before) in again.plugins.iter_mut().zip(&settings.plugins) {
            assert!(dump.contains(&format!("# /etc/{name}:{}\n", before.line)));
            entry.line = before.line;
        }
        assert_eq!(again, settings, "{dump}");
    }
}

#[test]
fn a_dump_has_no_secrets() {
    let text = r#"
[[promoter]]
[promoter.resources.a]
start = ["ocf:heartbeat:iscsi i password='S3CRET S3CRET' options=token=S3CRET portals=1.2.3.4"]
[promoter.resources.b]
runner = "shell"
start = ["login --password=S3CRET"]
stop = ["logout secret=S3CRET"]
[[umh]]
[[umh.resource]]
command = "curl -d api_key=S3CRET x"
env = { DB_PASSWORD = "S3CRET", URL = "http://x/?token=S3CRET", "chap secret" = "S3CRET" }
"#;
    let settings = parse(text, Mode::Native);
    let dump = dump_toml(&settings);
    assert!(!dump.contains("S3CRET"), "{dump}");
    assert!(dump.contains("portals=1.2.3.4") && dump.contains("***"), "{dump}");
    // It is still a configuration.
    parse(&dump, Mode::Native);
}

/// drbd-utils' own scripts in place of `handlers { }`.
#[test]
fn handlers_of_drbd_utils_as_rules() {
    let rule = |name: &str, helper: &str, script: &str| {
        format!(
            "[[umh.helper]]\nname = \"{name}\"\non = \"answer\"\nhelper = \"{helper}\"\n\
             command = \"env | grep ^DRBD | sort > /run/{name}.env; /usr/lib/drbd/{script}\"\n"
        )
    };
    let text = "[[umh]]\n".to_owned()
        + &rule("snap", "before-resync-target", "snapshot-resync-target-lvm.sh")
        + &rule("sb", "split-brain", "notify-split-brain.sh root")
        + &rule("fence", "fence-peer", "crm-fence-peer.9.sh");
    for mode in [Mode::Native, Mode::DrbdReactor] {
        let settings = parse(&text, mode);
        let answers = |rule: &Rule| matches!(&rule.when, When::Helper(want) if want.on == HelperMoment::Answer);
        assert!(umh(&settings).rules.len() == 3 && umh(&settings).rules.iter().all(answers));
    }
}

#[test]
fn no_primary_has_a_condition_and_a_time() {
    let read = |text: &str| {
        let of = |settings: &Settings| {
            let one = |entry: &PluginEntry| match &entry.settings {
                PluginSettings::NoPrimary(settings) => settings.clone(),
                other => panic!("{other:?}"),
            };
            settings.plugins.iter().map(one).collect::<Vec<_>>()
        };
        let settings = parse(text, Mode::Native);
        let again = parse(&dump_toml(&settings), Mode::Native);
        assert_eq!(of(&settings), of(&again), "what is dumped is what was read");
        of(&settings)
    };
    let usual = &read("[[no-primary]]\n")[0];
    assert_eq!((usual.resource.is_none(), usual.after), (true, Duration::from_secs(60)));
    let text = "[[no-primary]]\nafter = \"5min\"\nresource-name = { value = \"^web\", operator = \"Matches\" }\n[[no-primary]]\nresource-name = [\"a\", \"b\"]\n";
    let both = read(text);
    assert_eq!(both[0].after, Duration::from_secs(300));
    assert!(matches!(&both[0].resource, Some(Matcher::Matches(pattern)) if pattern.0.is_match("web-1")));
    assert!(matches!(&both[1].resource, Some(Matcher::In(names)) if *names == ["a", "b"]));
}

#[test]
fn rules_for_storage_events_are_read_as_they_are_written() {
    let text = r#"
[[events]]
peripety-conf = "peripetyd.conf"
[[events.rule]]
regex = 'path (?P<kdev>\w+) is ailing'
[[events.rule]]
name = "lab"
regex = "^fan (?P<fan>[0-9]) stopped"
program = "shelfd"
starts-with = "fan "
event-type = "SHELF_FAN"
severity = "error"
sub-system = "scsi"
without-device = true
first = true
[[events.rule]]
regex = "(?P<kdev>x)"
program = "kernel"
"#;
    for mode in [Mode::Native, Mode::DrbdReactor] {
        let settings = parse(text, mode);
        let PluginSettings::Events(events) = &settings.plugins[0].settings else { panic!("no events") };
        assert_eq!(
            events.peripety_conf.as_deref(),
            Some(Path::new("/etc/peripetyd.conf")),
            "from the folder of the file"
        );
        let owned = |text: &str| Some(text.to_owned());
        let first = RawUserRule { regex: r"path (?P<kdev>\w+) is ailing".to_owned(), ..RawUserRule::default() };
        let lab = RawUserRule {
            name: owned("lab"),
            identifier: owned("shelfd"),
            starts_with: owned("fan "),
            regex: "^fan (?P<fan>[0-9]) stopped".to_owned(),
            without_device: true,
            event_type: owned("SHELF_FAN"),
            severity: Some(reactor_storage::event::Severity::Error),
            sub_system: owned("scsi"),
            first: true,
        };
        let last = RawUserRule { regex: "(?P<kdev>x)".to_owned(), ..RawUserRule::default() };
        assert_eq!(events.rules, [first, lab, last]);
        let again = parse(&dump_toml(&settings), mode);
        assert_eq!(again.plugins[0].settings, settings.plugins[0].settings, "what is dumped is what was read");
    }
}

#[test]
fn in_compatibility_mode_a_bad_rule_costs_only_itself() {
    let text = "[[events]]\n[[events.rule]]\nregex = \"(\"\n[[events.rule]]\nregex = \"(?P<kdev>x)\"\n";
    let (settings, findings) = parse_text(Path::new("/etc/a.toml"), text, Mode::DrbdReactor);
    assert!(findings.len() == 1 && findings[0].is_error(), "{}", lines(&findings));
    let PluginSettings::Events(events) = &settings.plugins[0].settings else { panic!("no events") };
    assert_eq!(events.rules.len(), 1);
}

#[test]
fn there_are_not_more_rules_than_can_be_tried_on_every_message() {
    let rule = "[[events.rule]]\nregex = \"(?P<kdev>x)\"\n";
    let read = |number: usize| {
        let text = "[[events]]\n".to_owned() + &rule.repeat(number);
        lines(&parse_text(Path::new("/etc/a.toml"), &text, Mode::Native).1)
    };
    assert_eq!(read(256), "");
    assert!(read(257).starts_with("/etc/a.toml:514:1: error: more than 256 rules"), "{}", read(257));
}
