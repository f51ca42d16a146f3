//! The look-alikes as processes, on a simulator process.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use reactor_sim::daemon::TempDir;
use reactor_sim::lookalike::{Client, Cluster, Events, Identity, Spec};
use rustix::process::{Pid, Signal, kill_process};

struct World {
    sim: Cluster,
    dir: TempDir,
}

impl World {
    fn new(spec: &Spec) -> Self {
        let dir = TempDir::new("lookalike").unwrap();
        let bin = Path::new(env!("CARGO_BIN_EXE_sim-drbd")).parent().unwrap();
        Self { sim: Cluster::start_with(bin, dir.path(), spec).unwrap(), dir }
    }

    fn three() -> Self {
        Self::new(&Spec::new(&["n1", "n2", "n3"], &["r1"]))
    }

    fn command(&self, node: &str, line: &str) -> Command {
        let mut words = line.split_whitespace();
        let mut command = Command::new(self.sim.node_path(node).join(words.next().unwrap()));
        command.args(words).env_remove("SIM_DRBD").env_remove("SIM_NODE");
        command
    }

    fn run(&self, node: &str, line: &str) -> Output {
        self.command(node, line).output().unwrap()
    }

    /// Runs it, and it must succeed; gives what it prints.
    fn good(&self, node: &str, line: &str) -> String {
        let output = self.run(node, line);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line} on {node}: {} {stderr}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs it, and it must be refused; gives its exit code and what it says.
    fn bad(&self, node: &str, line: &str) -> (i32, String) {
        let output = self.run(node, line);
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    fn events(&self, node: &str) -> Events {
        let mut events = self.sim.events(node).unwrap();
        events.wait("the end of the dump", |line| line == "exists -").unwrap();
        events
    }

    /// A counter that runs, once it has written something.
    fn counter(&self, node: &str) -> Counter {
        let log = self.dir.path().join("counter.log");
        let line = format!("sim-counter r1 --interval 1 --verbose --log {}", log.display());
        let mut child = self.command(node, &line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut began = String::new();
        out.read_line(&mut began).unwrap();
        let mut counter = Counter { child, out, began };
        counter.until(|_| true);
        counter
    }

    /// The numbers that were acknowledged, in order.
    fn acknowledged(&self) -> Vec<u64> {
        let text = std::fs::read_to_string(self.dir.path().join("counter.log")).unwrap();
        text.lines().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect()
    }
}

struct Counter {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    began: String,
}

impl Counter {
    /// Reads what it says until `good` holds of a number.
    fn until(&mut self, good: impl Fn(u64) -> bool) -> u64 {
        loop {
            let mut line = String::new();
            assert!(self.out.read_line(&mut line).unwrap() > 0, "the counter ended after: {}", self.began);
            let number = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
            if good(number) {
                return number;
            }
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_programs_print_what_the_real_ones_print() {
    let world = World::three();
    assert_eq!(world.good("n1", "drbdadm sh-resources"), "r1\n");
    assert_eq!(world.good("n1", "drbdadm sh-ll-dev r1"), "none\n");
    assert!(world.good("n1", "drbdadm --version").contains("DRBD_KERNEL_VERSION_CODE=0x090303\n"));
    let status = world.good("n1", "drbdsetup status r1");
    assert!(
        status.starts_with("r1 role:Secondary\n  disk:UpToDate open:no\n  n2 role:Secondary\n    peer-disk:UpToDate\n"),
        "{status}"
    );
    let json: serde_json::Value = serde_json::from_str(&world.good("n2", "drbdsetup status --json")).unwrap();
    assert_eq!(json[0]["devices"][0]["disk-state"], "UpToDate");
    let show: serde_json::Value =
        serde_json::from_str(&world.good("n2", "drbdsetup show --show-defaults --json r1")).unwrap();
    assert_eq!(show[0]["options"]["quorum"], "majority");
    assert_eq!(world.bad("n1", "drbdsetup status r9"), (10, "r9: No such resource\n".to_owned()));
    let (code, text) = world.bad("n1", "drbdadm adjust r9");
    assert!(code == 1 && text.contains("not defined in your config"), "{code} {text}");
    let dump = world.good("n3", "drbdsetup events2 --timestamps --full --now");
    assert!(dump.ends_with(" exists -\n") && dump.contains("name:r1 role:Secondary"), "{dump}");
    assert!(world.good("n3", "drbdsetup events2 --full --now").starts_with("exists resource name:r1"));
    assert_eq!(world.good("n3", "drbdsetup events2 --now r9"), "exists -\n");
}

#[test]
fn a_promotion_is_seen_by_the_others_and_refused_to_them() {
    let world = World::three();
    let mut events = world.events("n2");
    world.good("n1", "drbdsetup primary r1");
    events.wait("n1 Primary", |line| line.contains("conn-name:n1") && line.contains("role:Primary")).unwrap();
    let (code, text) = world.bad("n2", "drbdadm primary r1");
    assert_eq!(code, 11);
    assert!(
        text.starts_with("r1: State change failed: (-1") && text.ends_with("terminated with exit code 11\n"),
        "{text}"
    );
    let _counter = world.counter("n1");
    let (code, text) = world.bad("n1", "drbdsetup secondary r1");
    assert!(code == 11 && text.contains("(-12) Device is held open by someone"), "{code} {text}");
    assert!(world.sim.ctl(&["status"]).unwrap().contains("Primary"));
}

#[test]
fn a_race_of_two_has_one_winner() {
    let world = World::three();
    let children: Vec<Child> = ["n1", "n2"]
        .map(|node| world.command(node, "drbdsetup primary r1").stderr(Stdio::null()).spawn().unwrap())
        .into();
    let mut codes: Vec<i32> = children.into_iter().map(|mut child| child.wait().unwrap().code().unwrap()).collect();
    codes.sort_unstable();
    assert_eq!(codes, [0, 11]);
}

#[test]
fn no_acknowledged_write_is_lost_when_the_primary_dies() {
    let world = World::three();
    world.good("n1", "drbdsetup primary r1");
    let mut first = world.counter("n1");
    assert_eq!(first.began, "n1: r1 has 0\n");
    first.until(|number| number >= 20);
    let mut survivor = world.events("n2");
    world.sim.ctl(&["kill", "n1"]).unwrap();
    let status = first.child.wait().unwrap();
    assert_eq!(status.code(), Some(20), "a service on a node without power does not go on");
    survivor
        .wait("may_promote after the loss", |line| {
            line.starts_with("change resource") && line.contains("may_promote:no")
        })
        .unwrap();
    survivor.wait("may_promote again", |line| line.contains("may_promote:yes")).unwrap();
    let before = *world.acknowledged().last().unwrap();
    world.good("n2", "drbdsetup primary r1");
    let mut second = world.counter("n2");
    assert_eq!(second.began, format!("n2: r1 has {before}\n"));
    second.until(|number| number >= before + 20);
    kill_process(Pid::from_child(&second.child), Signal::TERM).unwrap();
    assert!(second.child.wait().unwrap().success());
    world.good("n2", "drbdsetup secondary r1");
    let numbers = world.acknowledged();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "each number once, none left out: {numbers:?}");
    let truth: serde_json::Value = serde_json::from_str(&world.sim.ctl(&["truth"]).unwrap()).unwrap();
    assert_eq!((&truth[0]["diverged"], &truth[0]["lost-writes"]), (&false.into(), &0.into()));
}

#[test]
fn a_primary_that_is_cut_off_gets_eio_and_comes_back() {
    let world = World::three();
    world.good("n1", "drbdsetup primary r1");
    let mut counter = world.counter("n1");
    let mut events = world.events("n1");
    world.sim.ctl(&["isolate", "n1"]).unwrap();
    events.wait("quorum lost", |line| line.contains("quorum:no")).unwrap();
    assert_eq!(counter.child.wait().unwrap().code(), Some(20));
    let mut why = String::new();
    std::io::Read::read_to_string(counter.child.stderr.as_mut().unwrap(), &mut why).unwrap();
    assert!(why.contains("Input/output error"), "{why}");
    world.sim.ctl(&["heal"]).unwrap();
    events.wait("quorum again", |line| line.contains("quorum:yes")).unwrap();
}

#[test]
fn events2_answers_polls_and_ends_with_its_standard_input() {
    let world = World::three();
    world.good("n1", "drbdsetup primary r1");
    let mut child = world
        .command("n1", "drbdsetup events2 --timestamps --full --poll")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    lines.find(|line| line.ends_with(" exists -")).unwrap();
    let mut counter = world.counter("n1");
    lines.find(|line| line.contains("open:yes")).unwrap();
    counter.until(|number| number >= 5);
    child.stdin.as_mut().unwrap().write_all(b"n\n").unwrap();
    let polled = lines.find(|line| line.contains(" change device ") && !line.contains(" written:0 ")).unwrap();
    assert!(polled.contains("blocked:no"), "{polled}");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn nothing_runs_on_a_node_without_power_and_it_comes_back() {
    let world = World::three();
    let mut child =
        world.command("n1", "drbdsetup events2 --full").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    world.events("n1");
    world.sim.ctl(&["kill", "n1"]).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(20));
    let (code, text) = world.bad("n1", "drbdsetup status");
    assert!(code == 20 && text.contains("no power"), "{code} {text}");
    assert!(world.sim.ctl(&["status"]).unwrap().contains("n1         without power"));
    world.sim.ctl(&["boot", "n1"]).unwrap();
    assert_eq!(world.good("n1", "drbdsetup status"), "# No currently configured DRBD found.\n");
    let mut events = world.events("n1");
    world.good("n1", "drbdadm up r1");
    events.wait("UpToDate again", |line| line.starts_with("change device") && line.contains("disk:UpToDate")).unwrap();
    assert!(world.sim.ctl(&["kill", "n9"]).unwrap_err().to_string().contains("no node"));
    assert!(world.sim.ctl(&["explode"]).unwrap_err().to_string().contains("sim-ctl knows"));
}

#[test]
fn a_frozen_node_answers_when_it_runs_on() {
    let world = World::three();
    let mut peer = world.events("n2");
    world.sim.ctl(&["freeze", "n1"]).unwrap();
    let child = world.command("n1", "drbdsetup status r1").stdout(Stdio::piped()).spawn().unwrap();
    peer.wait("the frozen node is missed", |line| line.contains("conn-name:n1") && !line.contains(":Connected"))
        .unwrap();
    world.sim.ctl(&["thaw", "n1"]).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
}

#[test]
fn it_leaves_nothing_behind() {
    let world = World::three();
    let socket = world.sim.socket().to_owned();
    assert!(Path::new(&socket).exists());
    drop(world.sim);
    assert!(!Path::new(&socket).exists());
    assert!(Client::connect(&socket).is_err());
}

#[test]
fn it_listens_on_tcp_too_and_the_environment_wins() {
    let dir = TempDir::new("lookalike-tcp").unwrap();
    let spec = dir.write("c.json", r#"{"nodes": ["a", "b"], "resources": [{"name": "r1", "quorum": false}]}"#).unwrap();
    let mut sim = Command::new(env!("CARGO_BIN_EXE_sim-drbd"))
        .args(["--socket", "tcp:127.0.0.1:0", "--until-stdin-closes"])
        .arg(&spec)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(sim.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let socket = ready.trim().strip_prefix("ready ").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sim-drbdsetup"))
        .args(["primary", "r1"])
        .env("SIM_DRBD", socket)
        .env("SIM_NODE", "b")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let nobody = Command::new(env!("CARGO_BIN_EXE_sim-drbdsetup"))
        .arg("status")
        .env_remove("SIM_DRBD")
        .env_remove("SIM_NODE")
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("set SIM_DRBD and SIM_NODE"));
    drop(sim.stdin.take());
    assert!(sim.wait().unwrap().success());
    let identity = Identity { socket: socket.to_owned(), node: "a".into() };
    assert!(Client::connect(&identity.socket).is_err());
}

#[test]
fn the_shim_promotes_and_demotes_by_all_its_verbs() {
    let world = World::three();
    let lib = world.dir.path().join("lib");
    std::fs::create_dir(&lib).unwrap();
    for node in ["n1", "n2"] {
        let shim = reactor_sim::lookalike::units::write(&world.sim.node_path(node), &lib).unwrap();
        assert_eq!(shim, world.sim.node_path(node).join("drbd-service-shim.sh"));
    }
    let promote = std::fs::read_to_string(lib.join("drbd-promote@.service")).unwrap();
    let line = format!("ExecCondition={}/drbd-service-shim.sh primary %I\n", world.sim.node_path("n2").display());
    assert!(promote.contains(&line), "{promote}");

    let shim = |verb: &str| format!("drbd-service-shim.sh {verb} r1");
    world.good("n1", &shim("primary"));
    let (code, text) = world.bad("n2", &shim("primary"));
    assert!(code == 11 && text.contains("State change failed"), "{code} {text}");
    world.good("n1", &shim("secondary"));
    world.good("n1", &shim("secondary"));
    world.good("n1", &shim("primary"));
    let mut counter = world.counter("n1");
    assert_ne!(world.bad("n1", &shim("secondary")).0, 0);
    assert_ne!(world.bad("n1", &shim("secondary-or-escalate")).0, 0);
    world.good("n1", &shim("secondary-secondary-force"));
    assert_eq!(counter.child.wait().unwrap().code(), Some(20));
    world.good("n1", &shim("graceful-disconnect"));
    world.good("n1", &shim("graceful-reconnect"));
    world.good("n1", &shim("down"));
    world.good("n1", &shim("secondary-secondary-force-or-escalate"));
    world.good("n1", &shim("adjust"));
    assert_eq!(world.bad("n1", &shim("dance")).0, 2);
}
