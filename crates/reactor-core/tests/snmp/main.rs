//! The tree that SNMP managers walk, on recordings and on any model; and what they are notified of.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod incidents;
mod random;
mod values;

use std::borrow::Borrow;

use reactor_core::core::Core;
use reactor_core::ids::Mono;
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};
use reactor_core::metrics::Health;
use reactor_core::model::objects::Resource;
use reactor_core::snmp::{Facts, Found, Oid, PeerStates, Tree, Value};

/// A core that was told these lines of events2 after an empty dump.
fn core(dialect: Dialect, lines: &str) -> Core {
    let mut core = Core::new();
    let command = "a test".to_owned();
    let started = Input::Source(SourceId::Drbd, SourceEvent::Started { command, dialect: Some(dialect) });
    core.step(Mono::ZERO, &started, &mut Vec::new());
    core.step(Mono::ZERO, &Input::Lines(SourceId::Drbd, "exists -\n".to_owned()), &mut Vec::new());
    feed(&mut core, lines);
    core
}

fn feed(core: &mut Core, lines: &str) {
    for input in [Input::Lines(SourceId::Drbd, lines.to_owned()), Input::BurstEnd(SourceId::Drbd)] {
        core.step(Mono::ZERO, &input, &mut Vec::new());
    }
}

fn healthy() -> Health {
    let mut health = Health { version: "1.2.3".to_owned(), ..Health::default() };
    health.source.up = true;
    health
}

fn refresh(tree: &mut Tree, resources: &[impl Borrow<Resource>]) {
    tree.refresh(&Facts { resources: Some(resources), health: &healthy() });
}

fn tree_of(core: &Core, peers: PeerStates) -> Tree {
    let mut tree = Tree::new(peers);
    refresh(&mut tree, &core.node().snapshot());
    tree
}

/// Everything in order, as a walk finds it. It has to get on, and what it finds can be asked for.
fn walk(tree: &Tree) -> Vec<(Oid, Value)> {
    let mut all: Vec<(Oid, Value)> = Vec::new();
    let mut at = Oid::default();
    while let Some((oid, value)) = tree.next(&at) {
        assert!(oid > at, "{oid} comes after {at}");
        assert!(oid.len() <= Oid::LONGEST, "{oid} is too long");
        assert_eq!(tree.get(&oid), Found::Value(value), "{oid}");
        all.push((oid.clone(), value.clone()));
        at = oid;
    }
    all
}

/// `TYPE: VALUE` without what all have in common, as `snmpwalk` would print it.
fn printed(tree: &Tree, below: &str) -> String {
    let of = |value: &Value| match value {
        Value::Integer(number) => format!("INTEGER: {number}"),
        Value::Gauge32(number) => format!("Gauge32: {number}"),
        Value::Counter64(number) => format!("Counter64: {number}"),
        Value::Text(text) => format!("STRING: {text}"),
        Value::Oid(oid) => format!("OID: {oid}"),
    };
    let all = walk(tree);
    let rows = all.iter().filter_map(|(oid, value)| Some((oid.to_string().strip_prefix(below)?.to_owned(), of(value))));
    rows.map(|(oid, value)| format!("{oid} {value}\n")).collect()
}
