//! Unmodified daemons on a simulated DRBD cluster, which they follow by look-alikes of `drbdsetup` and `drbdadm`.
//!
//! The look-alikes are this program too, under their names: so nothing but the daemon must be built.

#![allow(clippy::unwrap_used, reason = "a test, though with a main of its own")]

mod support;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use reactor_sim::lookalike::protocol::{Reply, Request};
use serde_json::Value;
use support::drbd::{self, Drbd};
use support::{Daemon, Folder};

fn main() -> ExitCode {
    if let Some(ended) = drbd::called_as_a_command() {
        return ended;
    }
    let test = |name: &str, body: fn()| {
        Trial::test(name, move || {
            body();
            Ok(())
        })
    };
    let tests = vec![
        test("a_promotion_is_seen_by_all", a_promotion_is_seen_by_all),
        test("a_killed_primary_is_noticed_and_replaced", a_killed_primary_is_noticed_and_replaced),
        test("a_cut_off_primary_sees_its_quorum_go_and_come", a_cut_off_primary_sees_its_quorum_go_and_come),
        test("statistics_are_polled", statistics_are_polled),
    ];
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}

/// A simulated cluster, with a daemon for each node.
struct Cluster {
    nodes: Vec<(Daemon, Folder)>,
    /// After the nodes: it goes last.
    drbd: Drbd,
}

impl Cluster {
    /// Three nodes, whose daemons follow DRBD. They know what is there already: what a dump says first is no change.
    fn start(name: &str, poll: u32) -> Self {
        let drbd = Drbd::start(&format!("lookalike-{name}"), &["r1"]);
        let nodes: Vec<_> = ["n1", "n2", "n3"].map(|node| start_node(&drbd, node, poll)).into();
        for (daemon, _) in &nodes {
            daemon.status_until("the dump is read", |status| status["source"]["state"] == "up");
        }
        Self { nodes, drbd }
    }

    fn daemon(&self, node: usize) -> &Daemon {
        &self.nodes[node - 1].0
    }

    fn control(&self, words: &[&str]) {
        self.drbd.control(words);
    }

    /// Runs the node's own `drbdsetup`, which must succeed.
    fn drbdsetup(&self, node: usize, args: &[&str]) {
        let program = self.nodes[node - 1].1.path().join("drbdsetup");
        let output = std::process::Command::new(program).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn start_node(drbd: &Drbd, node: &str, poll: u32) -> (Daemon, Folder) {
    let folder = drbd.node(node);
    let main = std::fs::read_to_string(folder.main_file("")).unwrap();
    let main = main.replace("node-name = \"n3\"", &format!("node-name = \"{node}\""));
    let main = main.replace("statistics-poll-interval = 0", &format!("statistics-poll-interval = {poll}"));
    folder.write("main.toml", &main);
    (Daemon::start(&folder, &[]), folder)
}

/// A change of the connection to a node.
fn peer(change: &Value, id: u64, key: &str, value: &str) -> bool {
    change["object"] == "connection" && change["peer-node-id"] == id && change["new"][key] == value
}

fn may_promote(change: &Value, value: bool) -> bool {
    change["event"] == "Change" && change["object"] == "resource" && change["new"]["may-promote"] == value
}

fn a_promotion_is_seen_by_all() {
    let cluster = Cluster::start("promotion", 0);
    cluster.drbdsetup(1, &["primary", "r1"]);
    cluster.daemon(1).follow_until(|change| change["object"] == "resource" && change["new"]["role"] == "Primary");
    for node in [2, 3] {
        cluster.daemon(node).follow_until(|change| peer(change, 0, "peer-role", "Primary"));
        cluster.daemon(node).follow_until(|change| may_promote(change, false));
    }
    cluster.drbdsetup(1, &["secondary", "r1"]);
    cluster
        .daemon(2)
        .follow_until(|change| change["old"]["peer-role"] == "Primary" && peer(change, 0, "peer-role", "Secondary"));
}

fn a_killed_primary_is_noticed_and_replaced() {
    let cluster = Cluster::start("kill", 0);
    cluster.drbdsetup(1, &["primary", "r1"]);
    cluster.daemon(2).follow_until(|change| may_promote(change, false));
    cluster.control(&["kill", "n1"]);
    for node in [2, 3] {
        cluster
            .daemon(node)
            .follow_until(|change| change["old"]["connection-state"] == "Connected" && change["peer-node-id"] == 0);
        let promotable = |change: &Value| may_promote(change, true) && change["old"]["may-promote"] == false;
        cluster.daemon(node).follow_until(promotable);
    }
    // The daemon of the node without power loses its source, and does not end.
    cluster.daemon(1).status_until("the source is down", |status| status["source"]["state"] == "down");
    cluster.drbdsetup(2, &["primary", "r1"]);
    cluster.daemon(3).follow_until(|change| peer(change, 1, "peer-role", "Primary"));
}

fn a_cut_off_primary_sees_its_quorum_go_and_come() {
    let cluster = Cluster::start("cut", 0);
    cluster.drbdsetup(1, &["primary", "r1"]);
    cluster.control(&["isolate", "n1"]);
    let quorum = |change: &Value, value: bool| change["object"] == "device" && change["new"]["quorum"] == value;
    cluster.daemon(1).follow_until(|change| quorum(change, false));
    cluster.control(&["heal"]);
    let mut lost = false;
    cluster.daemon(1).follow_until(|change| {
        lost |= quorum(change, false);
        lost && quorum(change, true)
    });
}

fn statistics_are_polled() {
    let cluster = Cluster::start("poll", 1);
    cluster.drbdsetup(1, &["primary", "r1"]);
    let mut client = cluster.drbd.connect();
    client.ask(&Request::Open { node: "n1".into(), resource: "r1".into(), volume: 0 }).unwrap();
    for number in 1..=5 {
        assert_eq!(client.ask(&Request::Write).unwrap(), Reply::Value { value: number });
    }
    cluster.daemon(1).status_until("the writes are in the statistics", |status| {
        let written = |value: &Value| value["written"].as_u64().is_some_and(|kib| kib > 0);
        let devices = status["resources"][0]["devices"].clone();
        devices.as_array().is_some_and(|all| all.iter().any(written))
            || devices.as_object().is_some_and(|all| all.values().any(written))
    });
}
