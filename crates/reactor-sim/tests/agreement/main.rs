//! The model of DRBD 9 against recordings of a real cluster: the same commands and faults, and for every object the same
//! sequence of distinct states, and the same order between what a connection does and what changes with it. The model draws
//! times by a seed, as a real cluster has its own; a recording agrees when one of the model's histories is the recorded one.
//! What may be missing is in `transients`, each with its reason.
//!
//! The comparison reads the recordings. The model does not.

#![expect(clippy::print_stdout, reason = "the table of what was compared")]

mod compare;
mod play;
mod scenarios;
mod transients;

use compare::Difference;

/// How many histories of the model are looked at for one resource of a recording.
const SEEDS: u64 = 3_000;

/// The best history of a scenario: its seed, and what differs.
struct Best {
    seed: u64,
    differences: Vec<Difference>,
    rows: Vec<compare::Row>,
}

/// Looks for a history of one resource: those of a recording know nothing of each other, so that each may have its own.
fn best(scenario: &scenarios::Scenario, resource: &str) -> Best {
    let recorded = compare::recorded(scenario);
    let mut best: Option<Best> = None;
    for seed in std::iter::once(scenario.seed).chain(0..SEEDS) {
        let played = (scenario.script)(seed);
        let (rows, differences) = compare::compare(scenario, resource, &recorded, &played);
        let better = best.as_ref().is_none_or(|best| differences.len() < best.differences.len());
        if better {
            best = Some(Best { seed, differences, rows });
        }
        if best.as_ref().is_some_and(|best| best.differences.is_empty()) {
            break;
        }
    }
    best.expect("at least one seed")
}

/// Every scenario of this recording; there are several where not all resources were treated alike.
fn check(name: &str) {
    let mut differences = 0;
    let mut parts = 0;
    for scenario in scenarios::ALL.iter().filter(|scenario| scenario.name == name) {
        for resource in scenario.resources {
            let best = best(scenario, resource);
            println!("{name} {resource}: seed {}", best.seed);
            for row in &best.rows {
                println!("  {row}");
            }
            for difference in &best.differences {
                println!("{difference}");
            }
            differences += best.differences.len();
            parts += 1;
        }
    }
    assert!(parts > 0, "{name}: not in the table");
    assert_eq!(differences, 0, "{name}: objects differ");
}

macro_rules! scenarios {
    ($($test:ident = $name:literal),+ $(,)?) => {
        $(
            #[test]
            fn $test() {
                check($name);
            }
        )+

        #[test]
        fn every_scenario_has_a_test_or_a_reason() {
            let tested = [$($name),+];
            for folder in compare::folders() {
                let excused = scenarios::NOT_EXPRESSIBLE.iter().any(|(name, _)| *name == folder);
                assert!(excused || tested.contains(&folder.as_str()), "{folder}: neither played nor excused");
            }
        }
    };
}

scenarios! {
    a_first_sync = "a-up-fullsync",
    b_promote_write_demote = "b-promote-write-demote",
    c1_quorum_lost_and_back = "c1-quorum-loss-opener",
    c2_quorum_lost_with_a_successor = "c2-quorum-loss-takeover-opener",
    d_secondary_killed = "d-secondary-killed",
    e1_disk_failure = "e1-disk-failure-primary",
    h1_frozen_without_quorum = "h1-freeze-quorum-loss",
    h2_frozen_with_a_successor = "h2-freeze-force-secondary",
    i_secondary_by_force = "i-secondary-force-opener",
    j_split_brain = "j-split-brain",
    l_fencing = "l-fencing-resource-only",
    m_promotion_race = "m-promotion-race",
    o_peers_down_and_up = "o-events2-restart",
    r1_moved = "r1-failover-evict",
    r2_node_killed = "r2-failover-node-killed",
    r3_network_cut = "r3-failover-network-cut",
    s_attach_that_hangs = "s-attach-hang",
    s_eight_resources_at_once = "s-tiny8-kill",
}

/// The same states in another order, or in bursts of their own, do not agree.
#[test]
fn order_between_objects_and_bursts_is_compared() {
    let scenario = scenarios::ALL.iter().find(|scenario| scenario.name == "r1-failover-evict").expect("a scenario");
    let scenario = &scenarios::Scenario { nodes: &[0], ..*scenario };
    let start = "1 change path name:r1 conn-name:n2 established:yes\n";
    let text = format!(
        "{start}2 change connection name:r1 conn-name:n2 connection:NetworkFailure role:Unknown\n\
         2 change peer-device name:r1 conn-name:n2 volume:0 replication:Off\n\
         3 change path name:r1 conn-name:n2 established:no\n\
         4 call helper name:r1 conn-name:n2 helper:disconnected\n"
    );
    let differ =
        |other: &str| compare::compare(scenario, "r1", std::slice::from_ref(&text), &[other.to_owned()]).1.len();
    assert_eq!(differ(&text), 0);
    let swapped = text.replace("3 change", "5 change").replace("4 call", "3 call");
    let mut lines: Vec<&str> = swapped.lines().collect();
    lines.swap(3, 4);
    assert_eq!(differ(&lines.join("\n")), 1, "the path after the helper");
    assert_eq!(differ(&text.replace("2 change peer-device", "2.5 change peer-device")), 1, "two bursts instead of one");
}

/// Fact 3 of the recordings: resource, connections, devices, peer devices; one stamp for one change.
#[test]
fn lines_of_one_change_are_in_drbds_order() {
    for scenario in scenarios::ALL {
        for text in (scenario.script)(1) {
            compare::assert_order(scenario.name, &text);
        }
    }
}
