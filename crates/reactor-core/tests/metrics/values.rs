//! Values that went wrong in drbd-reactor, or easily could.

use expect_test::expect;
use reactor_core::input::Dialect;
use reactor_core::metrics::health::PromotedHealth;
use reactor_core::metrics::{Body, Choice, Enums, Extent, Health, Sheet};

use crate::{EVERYTHING, core, format, samples, text};

#[test]
fn force_io_failures_is_what_events2_says() {
    let value = |word: &str| {
        let lines = format!(
            "create resource name:r0 role:Secondary suspended:no force-io-failures:no may_promote:no promotion_score:1\n\
             change resource name:r0 role:Secondary suspended:no force-io-failures:{word} may_promote:no promotion_score:1\n"
        );
        samples(&text(core(Dialect::Drbd9, &lines).node().resources(), Enums::Off), "forceiofailures")
    };
    assert_eq!(value("yes"), "drbd_resource_forceiofailures{name=\"r0\"} 1\n");
    assert_eq!(value("no"), "drbd_resource_forceiofailures{name=\"r0\"} 0\n");
}

#[test]
fn the_order_is_that_of_names_not_of_events() {
    let line = |name: &str| {
        format!("create resource name:{name} role:Secondary suspended:no may_promote:no promotion_score:1\n")
    };
    let sorted = text(core(Dialect::Drbd9, &(line("a") + &line("b"))).node().resources(), Enums::On);
    let reversed = text(core(Dialect::Drbd9, &(line("b") + &line("a"))).node().resources(), Enums::On);
    assert_eq!(sorted, reversed);
}

#[test]
fn a_name_with_quotes_is_valid_text() {
    let lines = "create resource name:a\"b\\c role:Secondary suspended:no may_promote:yes promotion_score:1\n";
    let text = text(core(Dialect::Drbd9, lines).node().resources(), Enums::Off);
    let (series, _) = format::read(&text).into_iter().find(|(s, _)| s.name == "drbd_resource_maypromote").unwrap();
    assert_eq!(series.labels, [("name".to_owned(), "a\"b\\c".to_owned())]);
}

#[test]
fn what_drbd_reactor_does_not_export() {
    let text = text(core(Dialect::Drbd9, EVERYTHING).node().resources(), Enums::Off);
    let new = ["_info{", "_reason{", "_resync_", "_established{", "_pending{", "_unacked{", "_blocked{"];
    let shown: String = new.iter().map(|part| samples(&text, part)).collect();
    expect![[r#"
        drbd_resource_role_info{name="r1",role="Primary"} 1
        drbd_connection_state_info{name="r1",conn_name="n2",peer_node_id="1",connection="Connecting"} 1
        drbd_connection_state_info{name="r1",conn_name="n3",peer_node_id="2",connection="Connected"} 1
        drbd_connection_peer_role_info{name="r1",conn_name="n2",peer_node_id="1",peer_role="Unknown"} 1
        drbd_connection_peer_role_info{name="r1",conn_name="n3",peer_node_id="2",peer_role="Secondary"} 1
        drbd_peerdevice_replication_info{name="r1",conn_name="n2",peer_node_id="1",volume="0",replication="Off"} 1
        drbd_peerdevice_replication_info{name="r1",conn_name="n3",peer_node_id="2",volume="0",replication="SyncSource"} 1
        drbd_peerdevice_disk_info{name="r1",conn_name="n2",peer_node_id="1",volume="0",peer_disk="DUnknown"} 1
        drbd_peerdevice_disk_info{name="r1",conn_name="n3",peer_node_id="2",volume="0",peer_disk="Inconsistent"} 1
        drbd_device_state_info{name="r1",volume="0",minor="1000",disk="UpToDate"} 1
        drbd_device_state_info{name="r1",volume="1",minor="1001",disk="Diskless"} 1
        drbd_resource_suspended_reason{name="r1",reason="user"} 1
        drbd_resource_suspended_reason{name="r1",reason="quorum"} 1
        drbd_peerdevice_resync_suspended_reason{name="r1",conn_name="n3",peer_node_id="2",volume="0",reason="peer"} 1
        drbd_peerdevice_resync_suspended_reason{name="r1",conn_name="n3",peer_node_id="2",volume="0",reason="dependency"} 1
        drbd_peerdevice_resync_suspended_reason{name="r1",conn_name="n3",peer_node_id="2",volume="0",reason="peer"} 1
        drbd_peerdevice_resync_suspended_reason{name="r1",conn_name="n3",peer_node_id="2",volume="0",reason="dependency"} 1
        drbd_peerdevice_resync_done_ratio{name="r1",conn_name="n3",peer_node_id="2",volume="0"} 0.1234
        drbd_peerdevice_resync_eta_seconds{name="r1",conn_name="n3",peer_node_id="2",volume="0"} 42
        drbd_peerdevice_resync_speed_bytes_per_second{name="r1",conn_name="n3",peer_node_id="2",volume="0"} 103284736
        drbd_path_established{name="r1",conn_name="n3",peer_node_id="2",local="ipv4:10.0.0.1:7001",peer="ipv4:10.0.0.3:7001"} 1
        drbd_path_established{name="r1",conn_name="n3",peer_node_id="2",local="ipv6:[fd00::1]:7001",peer="ipv6:[fd00::3]:7001"} 0
        drbd_peerdevice_pending{name="r1",conn_name="n2",peer_node_id="1",volume="0"} 0
        drbd_peerdevice_pending{name="r1",conn_name="n3",peer_node_id="2",volume="0"} 4
        drbd_peerdevice_unacked{name="r1",conn_name="n2",peer_node_id="1",volume="0"} 0
        drbd_peerdevice_unacked{name="r1",conn_name="n3",peer_node_id="2",volume="0"} 5
        drbd_device_blocked{name="r1",volume="0",minor="1000",layer="upper"} 1
    "#]].assert_eq(&shown);
}

#[test]
fn rules_of_others_find_their_states_with_enums() {
    // The states that the rules of piraeus-operator and our dashboards ask for exist under these very names.
    let text = text(core(Dialect::Drbd9, EVERYTHING).node().resources(), Enums::On);
    for state in [
        r#"drbd_connection_state{name="r1",conn_name="n2",peer_node_id="1",drbd_connection_state="StandAlone"} 0"#,
        r#"drbd_connection_state{name="r1",conn_name="n3",peer_node_id="2",drbd_connection_state="Connected"} 1"#,
        r#"drbd_device_state{name="r1",volume="0",minor="1000",drbd_device_state="UpToDate"} 1"#,
        r#"drbd_device_state{name="r1",volume="0",minor="1000",drbd_device_state="Failed"} 0"#,
        r#"drbd_resource_role{name="r1",drbd_resource_role="Primary"} 1"#,
    ] {
        assert!(text.lines().any(|line| line == state), "{state}");
    }
    for counter in ["drbd_peerdevice_sent_bytes", "drbd_peerdevice_received_bytes"] {
        assert!(text.contains(&format!("# TYPE {counter} counter\n")), "{counter}");
    }
}

#[test]
fn unintentionally_diskless_is_diskless_without_being_a_client() {
    let value = |rest: &str, dialect| {
        let lines = format!(
            "create resource name:r0 role:Secondary suspended:no\ncreate device name:r0 volume:0 minor:0 {rest}\n"
        );
        let text = text(core(dialect, &lines).node().resources(), Enums::Off);
        samples(&text, "unintentional").trim_end().rsplit_once(' ').unwrap().1.to_owned()
    };
    assert_eq!(value("disk:Diskless client:no", Dialect::Drbd9), "1");
    assert_eq!(value("disk:Diskless client:yes", Dialect::Drbd9), "0");
    assert_eq!(value("disk:UpToDate client:no", Dialect::Drbd9), "0");
    assert_eq!(value("disk:Diskless", Dialect::Drbd84), "1");
}

#[test]
fn a_state_of_a_newer_drbd_is_exported_like_any_other() {
    let lines = "\
create resource name:r0 role:Moon suspended:comet,comet,quorum may_promote:no promotion_score:-5
create connection name:r0 peer-node-id:1 conn-name:n2 connection:Levitating role:Secondary congested:no
";
    let core = core(Dialect::Drbd9, lines);
    let text = text(core.node().resources(), Enums::On);
    let read = format::read(&text);
    for family in ["drbd_resource_role", "drbd_connection_state"] {
        let ones: Vec<_> = read.iter().filter(|(s, value)| s.name == family && *value == 1.0).collect();
        assert_eq!(ones.len(), 1, "{ones:?}");
    }
    let reasons = samples(&text, "suspended_reason");
    assert!(reasons.contains("reason=\"comet\"} 1\n") && reasons.contains("reason=\"quorum\"} 1\n"), "{reasons}");
    assert!(reasons.contains("reason=\"user\"} 0\n"), "{reasons}");
    assert!(text.contains("drbd_resource_promotionscore{name=\"r0\"} -5\n"));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test may read its recordings")]
fn recordings_of_real_clusters_give_valid_text() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings");
    let mut read = 0;
    for (dialect, folder, ending) in
        [(Dialect::Drbd9, "drbd9", ".events2"), (Dialect::Drbd84, "drbd84", ".events2-ts-stat")]
    {
        for scenario in std::fs::read_dir(root.join(folder)).unwrap().flatten() {
            for file in std::fs::read_dir(scenario.path()).into_iter().flatten().flatten() {
                if !file.file_name().to_string_lossy().ends_with(ending) {
                    continue;
                }
                // All but the end, where everything may be gone.
                let lines = std::fs::read_to_string(file.path()).unwrap();
                let half: String = lines.split_inclusive('\n').take(lines.lines().count() / 2).collect();
                for enums in [Enums::Off, Enums::On] {
                    format::read(&text(core(dialect, &half).node().resources(), enums));
                }
                read += 1;
            }
        }
    }
    assert!(read > 20, "only {read} recordings");
}

/// Each on a resource of its own, so that none can stand for another.
#[test]
fn what_is_wrong_with_a_promoted_resource_has_its_own_metric() {
    let core = core(Dialect::Drbd9, EVERYTHING);
    let promoted = |name: &str, set: fn(&mut PromotedHealth)| {
        let mut health = PromotedHealth { name: name.to_owned(), state: "running", ..PromotedHealth::default() };
        set(&mut health);
        health
    };
    let health = Health {
        promoted: vec![
            promoted("hangs", |health| health.io_hangs = true),
            promoted("nowhere", |health| health.runs_nowhere = true),
            promoted("left", |health| health.left_behind = true),
            promoted("outside", |health| health.outside_target = true),
        ],
        ..Health::default()
    };
    let choice = Choice { enums: Enums::Off, extent: Extent::All };
    let snapshot = Sheet::new(choice).refresh(&core.node().snapshot());
    let text = String::from_utf8(Body::new(snapshot, &health).to_text()).unwrap();
    let metrics = ["io_hangs", "runs_nowhere", "left_behind", "outside_target"];
    let of = |metric: &&str| {
        let head = format!("storage_reactor_promoter_{metric}{{");
        text.lines().filter(|line| line.starts_with(&head) && line.ends_with(" 1")).collect::<Vec<_>>()
    };
    let set: Vec<&str> = metrics.iter().flat_map(of).collect();
    assert_eq!(
        set,
        [
            "storage_reactor_promoter_io_hangs{name=\"hangs\"} 1",
            "storage_reactor_promoter_runs_nowhere{name=\"nowhere\"} 1",
            "storage_reactor_promoter_left_behind{name=\"left\"} 1",
            "storage_reactor_promoter_outside_target{name=\"outside\"} 1",
        ]
    );
}

/// Whatever names come: the text is valid, no value is long, and the number of samples of an object is bounded. Without DRBD's
/// `strict_names`, and from a broken or hostile source, a name may be anything.
#[test]
fn hostile_names_and_words_leave_the_text_valid_and_short() {
    let long = "n".repeat(20_000);
    let words: Vec<String> = (0..2000).map(|number| format!("w{number}")).collect();
    let words = words.join(",");
    let mut lines = String::new();
    for (number, name) in
        [long.as_str(), &format!("{long}x"), "\"} 1", "a\\", "é{}=,#", "# HELP x"].into_iter().enumerate()
    {
        let name = name.replace(' ', "\u{a0}");
        lines += &format!(
            "create resource name:{name} role:{long} suspended:{words} may_promote:no promotion_score:1\n\
             create connection name:{name} peer-node-id:1 conn-name:{name} connection:{long} role:\" congested:no\n\
             create device name:{name} volume:0 minor:{number} disk:\\ client:no quorum:yes size:1 read:0 written:0 al-writes:0 bm-writes:0 upper-pending:0 lower-pending:0 al-suspended:no blocked:{words}\n\
             create peer-device name:{name} peer-node-id:1 conn-name:{name} volume:0 replication:{long} peer-disk:\" resync-suspended:{words}\n\
             create path name:{name} peer-node-id:1 conn-name:{name} local:ipv4:{long}:1 peer:ipv4:\"\\:1 established:yes\n"
        );
    }
    let core = core(Dialect::Drbd9, &lines);
    assert_eq!(core.node().resources().count(), 6);
    for enums in [Enums::Off, Enums::On] {
        let text = text(core.node().resources(), enums);
        let samples = format::read(&text);
        for (series, _) in &samples {
            assert!(series.labels.iter().all(|(_, value)| value.len() <= 256), "{series:?}");
        }
        let reasons = samples.iter().filter(|(series, _)| series.name == "drbd_resource_suspended_reason").count();
        assert!(reasons <= 6 * (4 + 9), "{reasons}");
        assert!(text.len() < 300_000, "{}", text.len());
    }
}
