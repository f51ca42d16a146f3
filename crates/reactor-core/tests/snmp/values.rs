//! Identifiers, types, units and values.

#![expect(clippy::disallowed_methods, reason = "a test may read its recordings")]

use std::path::Path;

use expect_test::expect;
use reactor_core::input::Dialect;
use reactor_core::metrics::health::{DrbdVersions, PromotedHealth};
use reactor_core::snmp::{BASE, Facts, Found, Oid, PeerStates, Tree, Value};

use crate::{core, feed, healthy, printed, refresh, tree_of, walk};

/// One of everything, with all keys that DRBD 9 prints.
const EVERYTHING: &str = "\
create resource name:r1 role:Primary suspended:quorum,user force-io-failures:yes write-ordering:flush may_promote:no promotion_score:10203
create connection name:r1 peer-node-id:2 conn-name:n3 connection:Connected role:Secondary congested:yes ap-in-flight:12 rs-in-flight:3
create connection name:r1 peer-node-id:1 conn-name:n2 connection:Connecting role:Unknown congested:no ap-in-flight:0 rs-in-flight:0
create device name:r1 volume:0 minor:1000 backing_dev:/dev/vg/r1 disk:UpToDate client:no quorum:yes open:yes size:6442450944 read:10 written:20 al-writes:3 bm-writes:4 upper-pending:5 lower-pending:99999999999 al-suspended:no blocked:upper
create device name:r1 volume:1 minor:7 backing_dev:none disk:Diskless client:yes quorum:no open:no size:1024 read:0 written:0 al-writes:0 bm-writes:0 upper-pending:0 lower-pending:0 al-suspended:yes blocked:no
create peer-device name:r1 peer-node-id:2 conn-name:n3 volume:0 replication:SyncSource peer-disk:Inconsistent peer-client:no resync-suspended:peer,dependency done:12.34 received:1 sent:2 out-of-sync:3 pending:4 unacked:5 dbdt1:98.50 eta:42
create peer-device name:r1 peer-node-id:1 conn-name:n2 volume:0 replication:Off peer-disk:DUnknown peer-client:no resync-suspended:no received:0 sent:0 out-of-sync:1024 pending:0 unacked:0
";

const TABLE: &str = "1.3.6.1.4.1.23302.1.2.1.";

/// drbd-reactor's identifiers, types, units and order: a manager's template goes on working.
#[test]
fn the_table_of_devices() {
    let tree = tree_of(&core(Dialect::Drbd9, EVERYTHING), PeerStates::Hidden);
    expect![[r#"
        1.7 INTEGER: 7
        1.1000 INTEGER: 1000
        2.7 STRING: r1
        2.1000 STRING: r1
        3.7 STRING: Primary
        3.1000 STRING: Primary
        4.7 INTEGER: 1
        4.1000 INTEGER: 1
        5.7 STRING: flush
        5.1000 STRING: flush
        6.7 INTEGER: 1
        6.1000 INTEGER: 1
        7.7 INTEGER: 2
        7.1000 INTEGER: 2
        8.7 INTEGER: 10203
        8.1000 INTEGER: 10203
        9.7 INTEGER: 1
        9.1000 INTEGER: 0
        10.7 STRING: Diskless
        10.1000 STRING: UpToDate
        11.7 STRING: none
        11.1000 STRING: /dev/vg/r1
        12.7 INTEGER: 1
        12.1000 INTEGER: 2
        13.7 INTEGER: 2
        13.1000 INTEGER: 1
        14.7 Gauge32: 1024
        14.1000 Gauge32: 6291456
        15.7 Gauge32: 1024
        15.1000 Gauge32: 1048576
        16.7 Counter64: 0
        16.1000 Counter64: 10
        17.7 Counter64: 0
        17.1000 Counter64: 20
        18.7 Counter64: 0
        18.1000 Counter64: 3
        19.7 Counter64: 0
        19.1000 Counter64: 4
        20.7 Gauge32: 0
        20.1000 Gauge32: 5
        21.7 Gauge32: 0
        21.1000 Gauge32: 4294967295
        22.7 INTEGER: 1
        22.1000 INTEGER: 2
        23.7 STRING: no
        23.1000 STRING: upper
        1001.7 Counter64: 0
        1001.1000 Counter64: 10240
        1002.7 Counter64: 0
        1002.1000 Counter64: 20480
        1003.7 INTEGER: 2
        1003.1000 INTEGER: 1
        1004.7 INTEGER: 2
        1004.1000 INTEGER: 2
    "#]]
    .assert_eq(&printed(&tree, TABLE));
}

/// Columns 24 to 49 in the order of DRBD's words; the rest is as without them.
#[test]
fn peers_are_counted_by_state() {
    let core = core(Dialect::Drbd9, EVERYTHING);
    let (with, without) = (tree_of(&core, PeerStates::Shown), tree_of(&core, PeerStates::Hidden));
    let set: Vec<String> = printed(&with, TABLE)
        .lines()
        .filter(|line| line.contains(".1000 ") && !printed(&without, TABLE).contains(*line) && !line.ends_with(": 0"))
        .map(str::to_owned)
        .collect();
    assert_eq!(
        set,
        [
            "24.1000 INTEGER: 2",
            // Inconsistent, DUnknown; Off, SyncSource.
            "30.1000 INTEGER: 1",
            "32.1000 INTEGER: 1",
            "35.1000 INTEGER: 1",
            "42.1000 INTEGER: 1",
        ]
    );
    let columns = |tree: &Tree| walk(tree).iter().filter(|(oid, _)| oid.to_string().starts_with(TABLE)).count();
    assert_eq!(columns(&with) - columns(&without), 2 * 26);
    assert_eq!(with.get(&Oid::joined(BASE, &[1, 2, 1, 24, 7])), Found::Value(&Value::Integer(0)));
    assert_eq!(without.get(&Oid::joined(BASE, &[1, 2, 1, 24, 7])), Found::NoSuchObject);
}

#[test]
fn what_only_we_have() {
    let core = core(Dialect::Drbd9, EVERYTHING);
    let mut health = healthy();
    health.drbd = Some(DrbdVersions { kmod: "9.2.14".to_owned(), utils: "9.31.0".to_owned() });
    let state = "blocked";
    health.promoted = vec![PromotedHealth { name: "r1".to_owned(), state, failures: 3, ..PromotedHealth::default() }];
    let mut tree = Tree::new(PeerStates::Shown);
    tree.refresh(&Facts { resources: Some(&core.node().snapshot()), health: &health });
    expect![[r#"
        1 STRING: 9.2.14
        2 STRING: 9.31.0
    "#]]
    .assert_eq(&printed(&tree, "1.3.6.1.4.1.23302.1.1."));
    expect![[r#"
        1.1.0 STRING: 1.2.3
        1.2.0 INTEGER: 1
        1.3.0 INTEGER: 2
        1.4.0 Gauge32: 1
        2.1.1.2.114.49.1 STRING: r1
        2.1.1.2.114.49.2 STRING: r1
        2.1.2.2.114.49.1 INTEGER: 1
        2.1.2.2.114.49.2 INTEGER: 2
        2.1.3.2.114.49.1 STRING: n2
        2.1.3.2.114.49.2 STRING: n3
        2.1.4.2.114.49.1 STRING: Connecting
        2.1.4.2.114.49.2 STRING: Connected
        2.1.5.2.114.49.1 STRING: Unknown
        2.1.5.2.114.49.2 STRING: Secondary
        2.1.6.2.114.49.1 INTEGER: 2
        2.1.6.2.114.49.2 INTEGER: 1
        3.1.1.1000.1 INTEGER: 1
        3.1.1.1000.2 INTEGER: 2
        3.1.2.1000.1 INTEGER: 1000
        3.1.2.1000.2 INTEGER: 1000
        3.1.3.1000.1 STRING: r1
        3.1.3.1000.2 STRING: r1
        3.1.4.1000.1 INTEGER: 0
        3.1.4.1000.2 INTEGER: 0
        3.1.5.1000.1 STRING: n2
        3.1.5.1000.2 STRING: n3
        3.1.6.1000.1 STRING: Off
        3.1.6.1000.2 STRING: SyncSource
        3.1.7.1000.1 STRING: DUnknown
        3.1.7.1000.2 STRING: Inconsistent
        3.1.8.1000.1 Counter64: 1048576
        3.1.8.1000.2 Counter64: 3072
        3.1.9.1000.1 Counter64: 0
        3.1.9.1000.2 Counter64: 2048
        3.1.10.1000.1 Counter64: 0
        3.1.10.1000.2 Counter64: 1024
        3.1.11.1000.2 Gauge32: 1234
        3.1.12.1000.2 Gauge32: 42
        4.1.1.2.114.49 STRING: r1
        4.1.2.2.114.49 STRING: blocked
        4.1.3.2.114.49 Gauge32: 3
        4.1.4.2.114.49 Gauge32: 0
        4.1.5.2.114.49 INTEGER: 2
        4.1.6.2.114.49 INTEGER: 2
        4.1.7.2.114.49 INTEGER: 1
        4.1.8.2.114.49 INTEGER: 2
        4.1.9.2.114.49 INTEGER: 2
        4.1.10.2.114.49 Gauge32: 0
    "#]]
    .assert_eq(&printed(&tree, "1.3.6.1.4.1.23302.1.1000.1."));
    // A promoter that is gone has no rows.
    tree.refresh(&Facts { resources: Some(&core.node().snapshot()), health: &healthy() });
    assert_eq!(printed(&tree, "1.3.6.1.4.1.23302.1.1000.1.4"), "");
}

/// DRBD 8.4 says less: there is no instance, and none is made up.
#[test]
fn drbd84_says_less() {
    let lines = "\
create resource name:r0 role:Secondary suspended:no
create device name:r0 volume:0 minor:0 disk:Diskless
";
    let tree = tree_of(&core(Dialect::Drbd84, lines), PeerStates::Hidden);
    expect![[r#"
        1.0 INTEGER: 0
        2.0 STRING: r0
        3.0 STRING: Secondary
        4.0 INTEGER: 2
        7.0 INTEGER: 2
        9.0 INTEGER: 0
        10.0 STRING: Diskless
        23.0 STRING: no
        1004.0 INTEGER: 1
    "#]]
    .assert_eq(&printed(&tree, TABLE));
    // The column is known, and this device has no value in it.
    assert_eq!(tree.get(&Oid::joined(BASE, &[1, 2, 1, 13, 0])), Found::NoSuchInstance);
    assert_eq!(tree.get(&Oid::joined(BASE, &[1, 2, 1, 999, 0])), Found::NoSuchObject);
    assert_eq!(tree.get(&Oid::joined(BASE, &[1, 1000, 1])), Found::NoSuchObject);
    assert_eq!(tree.get(&Oid::joined(BASE, &[1, 1, 1])), Found::NoSuchInstance);
}

/// A minor that goes from one resource to another in one step belongs to the other one then, whichever comes first by name.
#[test]
fn minors_that_change_hands() {
    let one = |name: &str, minor: u32| {
        format!(
            "create resource name:{name} role:Secondary suspended:no\ncreate device name:{name} volume:0 minor:{minor} disk:UpToDate\n"
        )
    };
    let mut core = core(Dialect::Drbd9, &(one("a", 1) + &one("b", 2)));
    let mut tree = tree_of(&core, PeerStates::Shown);
    feed(
        &mut core,
        "destroy device name:a volume:0 minor:1\ndestroy device name:b volume:0 minor:2\n\
         create device name:a volume:0 minor:2 disk:UpToDate\ncreate device name:b volume:0 minor:1 disk:UpToDate\n",
    );
    refresh(&mut tree, &core.node().snapshot());
    assert_eq!(printed(&tree, &format!("{TABLE}2.")), "1 STRING: b\n2 STRING: a\n");
}

/// Line by line: what is renewed for what changed is what a tree says that is made of nothing. Every walk is in order and ends.
#[test]
fn every_recording_gives_a_tree_and_renewed_ones_are_as_fresh_ones() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings");
    let mut seen = 0;
    for (folder, dialect, ending) in
        [("drbd9", Dialect::Drbd9, ".events2"), ("drbd84", Dialect::Drbd84, ".events2-ts-stat")]
    {
        for recording in std::fs::read_dir(root.join(folder)).unwrap().flatten() {
            for file in std::fs::read_dir(recording.path()).into_iter().flatten().flatten() {
                if !file.file_name().to_string_lossy().ends_with(ending) {
                    continue;
                }
                seen += 1;
                let text = std::fs::read_to_string(file.path()).unwrap();
                let mut core = core(dialect, "");
                let mut tree = Tree::new(PeerStates::Shown);
                let mut longest = 0;
                let lines: Vec<&str> = text.lines().filter(|line| *line != "exists -").collect();
                for lines in lines.chunks(lines.len().div_ceil(40).max(1)) {
                    feed(&mut core, &lines.join("\n").replace("exists ", "create "));
                    feed(&mut core, "\n");
                    refresh(&mut tree, &core.node().snapshot());
                    let all = walk(&tree);
                    assert_eq!(all, walk(&tree_of(&core, PeerStates::Shown)), "{}", file.path().display());
                    longest = longest.max(all.len());
                }
                assert!(longest > 20, "{}", file.path().display());
            }
        }
    }
    assert!(seen > 4, "the recordings are part of the project");
}
