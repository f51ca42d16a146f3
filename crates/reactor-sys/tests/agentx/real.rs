//! net-snmp's master agent and its tools.

use std::time::Instant;

use reactor_core::metrics::health::PromotedHealth;

use crate::programs::{Snmpd, Trapd};
use crate::{DEADLINE, Loop, Order, R0, connected, problem, state_until, until};

const BASE: &str = ".1.3.6.1.4.1.23302";

/// What is below LINBIT's number, by a walk.
fn walk(snmpd: &Snmpd, tool: &str) -> Vec<String> {
    snmpd.ask(tool, &[BASE]).lines().map(str::to_owned).collect()
}

fn everything_is_served(mut snmpd: Snmpd) {
    let daemon = Loop::start(R0);
    snmpd.start();
    let subagent = daemon.subagent(&snmpd.master);
    connected(&subagent);
    let get = |oid: &str| snmpd.ask("snmpget", &[&format!("{BASE}.{oid}")]);
    assert_eq!(get("1.1.1"), format!("{BASE}.1.1.1 = STRING: \"9.2.14\"\n"));
    assert_eq!(get("1.2.1.2.1000"), format!("{BASE}.1.2.1.2.1000 = STRING: \"r0\"\n"));
    assert_eq!(get("1.2.1.13.1000"), format!("{BASE}.1.2.1.13.1000 = INTEGER: 1\n"));
    assert_eq!(get("1.2.1.14.1000"), format!("{BASE}.1.2.1.14.1000 = Gauge32: 1048576\n"));
    assert_eq!(get("1.2.1.16.1000"), format!("{BASE}.1.2.1.16.1000 = Counter64: 10\n"));
    assert_eq!(get("1.2.1.1001.1000"), format!("{BASE}.1.2.1.1001.1000 = Counter64: 10240\n"));
    assert!(get("1.2.1.13.7").contains("No Such Instance"), "{}", get("1.2.1.13.7"));
    assert!(get("1.2.1.99.7").contains("No Such Object"), "{}", get("1.2.1.99.7"));
    // A walk sees everything, and all tools see the same.
    let walked = walk(&snmpd, "snmpwalk");
    assert_eq!(walked.len(), 2 + 49 + 4 + 4 + 6 + 10, "{walked:#?}");
    assert_eq!(walk(&snmpd, "snmpbulkwalk"), walked);
    let several = snmpd.ask("snmpgetnext", &[&format!("{BASE}.1.2.1.1"), &format!("{BASE}.1.2.1.10.1000"), BASE]);
    let next =
        [".1.2.1.1.1000 = INTEGER: 1000", ".1.2.1.11.1000 = STRING: \"/dev/vg/r0\"", ".1.1.1 = STRING: \"9.2.14\""];
    assert_eq!(several, next.map(|line| format!("{BASE}{line}\n")).concat());
    let table = snmpd.ask("snmpbulkget", &["-Cn1", "-Cr3", &format!("{BASE}.1.1"), &format!("{BASE}.1.2.1.9")]);
    assert_eq!(table.lines().count(), 4, "{table}");
    // Behind the end comes what others serve, or nothing.
    let last = walked.last().unwrap().split(' ').next().unwrap();
    assert!(!snmpd.ask("snmpgetnext", &[last]).contains(BASE));
    // News come through.
    daemon.lines("change device name:r0 volume:0 minor:1000 disk:Failed\n");
    until("the new state", || get("1.2.1.10.1000").contains("Failed").then_some(()));
    assert_eq!(subagent.counts().sessions, 1);
    assert_eq!(subagent.counts().refused, 0);
}

#[test]
fn everything_is_served_by_tcp() {
    everything_is_served(Snmpd::by_tcp("tcp"));
}

#[test]
fn everything_is_served_by_a_unix_socket() {
    everything_is_served(Snmpd::by_socket("socket"));
}

/// drbd-reactor lost its session by that (D82).
#[test]
fn nothing_can_be_set_and_that_costs_no_session() {
    let daemon = Loop::start(R0);
    let mut snmpd = Snmpd::by_tcp("set");
    snmpd.start();
    let subagent = daemon.subagent(&snmpd.master);
    connected(&subagent);
    let role = format!("{BASE}.1.2.1.3.1000");
    for set in [vec![role.as_str(), "s", "Primary"], vec![&role, "s", "Primary", &role, "i", "7"]] {
        let answer = snmpd.ask_as("private", "snmpset", &set);
        assert!(answer.contains("notWritable"), "{answer}");
    }
    assert!(snmpd.ask("snmpget", &[&role]).contains("\"Secondary\""));
    assert_eq!(subagent.counts().sessions, 1, "{:?}", *subagent.state().borrow());
    assert!(subagent.counts().refused >= 1);
}

/// drbd-reactor dropped the plugin (D81).
#[test]
fn snmpd_comes_late_and_is_restarted() {
    let daemon = Loop::start(R0);
    let mut snmpd = Snmpd::by_tcp("late");
    let subagent = daemon.subagent(&snmpd.master);
    let why = problem(&subagent, "cannot connect to");
    assert!(why.contains("127.0.0.1:") && why.contains("does snmpd run"), "{why}");
    for sessions in 1..=3 {
        snmpd.start();
        connected(&subagent);
        assert!(snmpd.ask("snmpget", &[&format!("{BASE}.1.2.1.2.1000")]).contains("r0"));
        assert_eq!(subagent.counts().sessions, sessions);
        snmpd.stop();
        state_until(&subagent, "the end of the session", |state| state.session.is_none());
    }
}

/// With drbd-reactor, ending one could end the other one instead, and hang (D80).
#[test]
fn instances_do_not_know_each_other() {
    let daemon = Loop::start(R0);
    let (mut one, two) = (Snmpd::by_tcp("one"), Snmpd::by_socket("two"));
    one.start();
    let (first, second) = (daemon.subagent(&one.master), daemon.subagent(&two.master));
    connected(&first);
    problem(&second, "cannot connect to");
    let begun = Instant::now();
    drop(second);
    assert!(begun.elapsed() < DEADLINE, "it waits for somebody");
    assert!(one.ask("snmpget", &[&format!("{BASE}.1.2.1.2.1000")]).contains("r0"));
    assert_eq!(first.counts().sessions, 1);
}

#[test]
fn two_at_one_master_agent_are_told_apart_and_take_turns() {
    let daemon = Loop::start(R0);
    let mut snmpd = Snmpd::by_tcp("both");
    snmpd.start();
    let first = daemon.subagent(&snmpd.master);
    connected(&first);
    let second = daemon.subagent(&snmpd.master);
    let why = problem(&second, "duplicateRegistration");
    assert!(why.contains("another [[agentx]] table"), "{why}");
    // A reload replaces one by the other.
    drop(first);
    connected(&second);
    assert!(snmpd.ask("snmpget", &[&format!("{BASE}.1.2.1.2.1000")]).contains("r0"));
}

#[test]
fn managers_are_notified() {
    let trapd = Trapd::start("trapd");
    let mut snmpd = Snmpd::with("traps", &format!("trap2sink 127.0.0.1:{} public", trapd.port));
    let daemon = Loop::start(R0);
    let subagent = daemon.subagent(&snmpd.master);
    problem(&subagent, "cannot connect to");
    // The first picture is no news; it was looked at once the daemon was asked.
    until("the first look", || (daemon.asked() > 0).then_some(()));
    // Nobody can be told yet: it waits.
    daemon.lines("change device name:r0 volume:0 minor:1000 quorum:no\n");
    snmpd.start();
    connected(&subagent);
    let trap = |number: u32, text: &str| {
        let line = trapd.line(|line| {
            line.contains(&format!("{BASE}.1.1000.0.{number}\t"))
                || line.ends_with(&format!("{BASE}.1.1000.0.{number}"))
        });
        assert!(line.contains("\"r0\"") && line.contains(text), "{line}");
        line
    };
    let line = trap(1, "volume 0 of r0 has no quorum");
    assert!(line.contains("INTEGER: 1000"), "{line}");
    daemon.lines("change resource name:r0 role:Primary\nchange device name:r0 volume:0 minor:1000 quorum:yes\n");
    trap(2, "no longer so");
    trap(5, "r0 is Primary on this node");
    let promoted =
        |state| vec![PromotedHealth { name: "r0".to_owned(), state, failures: 3, ..PromotedHealth::default() }];
    daemon.order(Order::Promoted(promoted("running")));
    let seen = daemon.asked();
    until("a look", || (daemon.asked() > seen).then_some(()));
    daemon.order(Order::Promoted(promoted("blocked")));
    trap(7, "failed 3 times");
    daemon.lines("change device name:r0 volume:0 minor:1000 disk:Failed\n");
    trap(3, "the disk of volume 0 of r0 is Failed");
    assert_eq!(subagent.counts().dropped, 0);
}
