//! Unmodified daemons on a simulated DRBD cluster, which they follow by look-alikes of `drbdsetup` and `drbdadm`.
//!
//! The look-alikes are this program too, under their names: so nothing but the daemon must be built.

#![allow(clippy::unwrap_used, reason = "a test, though with a main of its own")]

mod support;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::JoinHandle;

use libtest_mimic::{Arguments, Trial};
use reactor_sim::lookalike::protocol::{Program, Reply, Request};
use reactor_sim::lookalike::server::{Listener, serve};
use reactor_sim::lookalike::{Client, Identity, Spec, identity, program};
use serde_json::Value;
use support::{Daemon, Folder};
use tokio::sync::oneshot;

fn main() -> ExitCode {
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    match called.file_name().and_then(|name| name.to_str()) {
        Some("drbdsetup") => return program::run(Program::Drbdsetup),
        Some("drbdadm") => return program::run(Program::Drbdadm),
        _ => {}
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

/// A simulated cluster in a thread, with a folder and a daemon per node.
struct Cluster {
    socket: String,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    nodes: Vec<(Daemon, Folder)>,
    /// After the nodes: it goes last.
    _dir: Folder,
}

impl Cluster {
    /// Three nodes, whose daemons follow DRBD.
    fn start(name: &str, poll: u32) -> Self {
        let dir = Folder::new(&format!("lookalike-{name}"));
        let names = ["n1", "n2", "n3"];
        let spec = Spec::new(&names, &["r1"]);
        let socket = dir.path().join("drbd.sock").display().to_string();
        let (end, ended) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let path = socket.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = Listener::bind(&path).await.unwrap();
                ready.send(()).unwrap();
                let end = async {
                    let _ = ended.await;
                };
                serve(listener, &spec, end).await.unwrap();
            });
        });
        is_ready.recv().unwrap();
        let nodes = names.map(|node| start_node(name, node, &socket, poll)).into();
        Self { socket, end: Some(end), thread: Some(thread), nodes, _dir: dir }
    }

    fn daemon(&self, node: usize) -> &Daemon {
        &self.nodes[node - 1].0
    }

    fn control(&self, words: &[&str]) {
        let args = words.iter().map(|word| (*word).to_owned()).collect();
        let reply = Client::connect(&self.socket).unwrap().ask(&Request::Control { args }).unwrap();
        assert!(matches!(reply, Reply::Done { code: 0, .. }), "{reply:?}");
    }

    /// Runs the node's own `drbdsetup`, which must succeed.
    fn drbdsetup(&self, node: usize, args: &[&str]) {
        let program = self.nodes[node - 1].1.path().join("drbdsetup");
        let output = std::process::Command::new(program).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.nodes.clear();
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn start_node(test: &str, node: &str, socket: &str, poll: u32) -> (Daemon, Folder) {
    let folder = Folder::new(&format!("lookalike-{test}-{node}"));
    let identity = Identity { socket: socket.to_owned(), node: node.to_owned() };
    folder.write(identity::FILE, &serde_json::to_string(&identity).unwrap());
    for name in ["drbdsetup", "drbdadm"] {
        link(&folder.path().join(name));
    }
    let main = std::fs::read_to_string(folder.main_file("")).unwrap();
    let main = main.replace("node-name = \"n3\"", &format!("node-name = \"{node}\""));
    let main = main.replace("statistics-poll-interval = 0", &format!("statistics-poll-interval = {poll}"));
    folder.write("main.toml", &main);
    (Daemon::start(&folder, &[]), folder)
}

fn link(path: &Path) {
    std::os::unix::fs::symlink(std::env::current_exe().unwrap(), path).unwrap();
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
    let mut client = Client::connect(&cluster.socket).unwrap();
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
