//! Rules on recordings of real clusters.

use std::collections::BTreeMap;
use std::time::Duration;

use reactor_core::drbd::types::{ConnectionState, DiskState, Role};
use reactor_core::settings::umh::{
    ConnectionConditions, DeviceConditions, Edge, HelperMoment, Matcher, ResourceConditions, Rule, When,
};

use crate::world::{World, device, helper, is, matches, quorum, rule};

/// What an admin would want to know.
fn rules() -> Vec<Rule> {
    let role = |old, new| {
        let state = |role| ResourceConditions { role: is(role), ..ResourceConditions::default() };
        When::Resource(Edge { old: state(old), new: state(new) })
    };
    let alone = ConnectionConditions { connection_state: is(ConnectionState::StandAlone), ..Default::default() };
    let lost =
        DeviceConditions { disk_state: Some(Matcher::In(vec![DiskState::Failed])), ..DeviceConditions::default() };
    let mut split_brain = helper("", HelperMoment::Call);
    split_brain.helper = matches("split-brain$");
    vec![
        rule("promoted", role(Role::Secondary, Role::Primary)),
        rule("demoted", role(Role::Primary, Role::Secondary)),
        rule("quorum lost", device(quorum(true), quorum(false))),
        Rule { hold: Some(Duration::from_secs(1)), ..rule("quorum gone", device(quorum(true), quorum(false))) },
        rule("disk failed", device(DeviceConditions::default(), lost)),
        rule("alone", When::Connection { peer_node_id: None, edge: Edge { new: alone, ..Default::default() } }),
        rule("split brain", When::Helper(split_brain)),
    ]
}

/// How often each rule fires on a recording; its time stamps are the clock.
fn check(recording: &str, expected: &[(&str, usize)]) {
    let path = format!("{}/../../tests/recordings/{recording}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut world = World::new(&rules());
    let mut last = None;
    for line in text.lines() {
        // All of a recording is within one day.
        let clock: Option<f64> = line.get(11..26).and_then(|time| {
            let mut parts = time.split(':').map(|part| part.parse::<f64>().ok());
            Some(parts.next()?? * 3600.0 + parts.next()?? * 60.0 + parts.next()??)
        });
        if let (Some(before), Some(now)) = (last, clock) {
            let passed: f64 = now - before;
            world.pass(passed.max(0.0));
        }
        last = clock.or(last);
        world.lines(line);
    }
    let mut fired: BTreeMap<String, usize> = BTreeMap::new();
    for name in world.fired() {
        *fired.entry(name).or_default() += 1;
    }
    let expected: BTreeMap<String, usize> = expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    assert_eq!(fired, expected, "{recording}");
}

#[test]
fn a_split_brain_is_told_by_drbds_helper_calls() {
    check("drbd9/j-split-brain/n1.events2-ts", &[("alone", 1), ("demoted", 1), ("promoted", 1), ("split brain", 3)]);
}

#[test]
fn a_primary_that_loses_quorum() {
    check(
        "drbd9/c1-quorum-loss-opener/n1.events2-ts",
        &[("demoted", 2), ("promoted", 2), ("quorum gone", 3), ("quorum lost", 3)],
    );
}

#[test]
fn a_failing_disk() {
    check("drbd9/e1-disk-failure-primary/n1.events2-ts", &[("demoted", 2), ("disk failed", 1), ("promoted", 2)]);
}

#[test]
fn drbd_84() {
    check("drbd84/04-split-brain/n1.events2-ts", &[("alone", 1), ("split brain", 3)]);
}
