//! DRBD's options as real `drbdsetup show` printed them.

use std::path::Path;

use reactor_core::action::{ConnectionOptions, DrbdOptions};
use reactor_sys::drbd::options::{from_json, from_text84};

fn recorded(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn word(word: &str) -> Option<String> {
    Some(word.to_owned())
}

fn peer(id: u32, name: &str, fencing: &str) -> ConnectionOptions {
    ConnectionOptions {
        peer_node_id: Some(id),
        name: word(name),
        fencing: word(fencing),
        rr_conflict: word("disconnect"),
        protocol: word("C"),
        ping_int: Some(10),
        ping_timeout: Some(5),
    }
}

/// With quorum, on the first of three nodes.
fn quorum(on_no_quorum: &str) -> DrbdOptions {
    DrbdOptions {
        node_id: Some(0),
        auto_promote: Some(false),
        quorum: word("majority"),
        on_no_quorum: word(on_no_quorum),
        on_no_data_accessible: word("io-error"),
        on_suspended_primary_outdated: word("force-secondary"),
        fence_peer: None,
        connections: vec![peer(1, "n2", "dont-care"), peer(2, "n3", "dont-care")],
    }
}

#[test]
fn two_resources_with_different_policies() {
    let text = recorded("drbd9/h1-freeze-quorum-loss/n1.show.json");
    assert_eq!(from_json(&text, "r1"), Some(quorum("io-error")));
    assert_eq!(from_json(&text, "z0"), Some(quorum("suspend-io")));
    assert_eq!(from_json(&text, "r"), None, "a name is never a part of one");
}

#[test]
fn fencing() {
    let text = recorded("drbd9/l-fencing-resource-only/n1.show.json");
    let connections = vec![peer(1, "n2", "resource-only")];
    assert_eq!(from_json(&text, "f0"), Some(DrbdOptions { quorum: word("off"), connections, ..quorum("io-error") }));
}

#[test]
fn what_is_not_printed_is_not_known() {
    let text = recorded("drbd9/p1-drbd933-utils922/n1.show.json");
    let named =
        |id, name| ConnectionOptions { peer_node_id: Some(id), name: word(name), ..ConnectionOptions::default() };
    let connections = vec![named(1, "n2"), named(2, "n3")];
    let wanted = DrbdOptions { on_no_data_accessible: None, connections, ..quorum("io-error") };
    assert_eq!(from_json(&text, "r1"), Some(wanted));
}

#[test]
fn a_node_without_the_resource() {
    assert_eq!(from_json(&recorded("drbd9/p1-drbd933-utils922/n2.show.json"), "r1"), None);
}

#[test]
fn drbd_84_with_two_volumes() {
    let text = recorded("drbd84/10-two-volumes-fencing/n1.show.txt");
    // Only what is not the default is printed.
    let connection =
        ConnectionOptions { fencing: word("resource-and-stonith"), ping_int: Some(2), ..ConnectionOptions::default() };
    let wanted = DrbdOptions {
        on_no_data_accessible: word("suspend-io"),
        connections: vec![connection],
        ..DrbdOptions::default()
    };
    assert_eq!(from_text84(&text, "r0"), Some(wanted));
}
