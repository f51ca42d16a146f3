//! Quorum: the promoter with a real systemd, on three nodes whose DRBD 9 is simulated by a fourth one, which nothing happens to.
//!
//! The kernels of the nodes have DRBD 8.4, which knows no quorum. So `drbdsetup` and `drbdadm` of the nodes are look-alikes: this program under
//! their names, which asks the simulator, by the management network. `lab/quorum` has the rest, and docs/lab.md how to do the same by hand.
//!
//! With `LAB_DRBD9_DIR` and QEMU the DRBD is a real one, and the tests are the same.
//!
//! Needs an image with our package, as the tests in `nodes` do. All tests share the cluster, in this order, and each leaves it in peace.

#![expect(clippy::print_stdout, reason = "what is skipped is said aloud, and what a take-over took")]

mod contexts;
mod daemon;
mod demote;
mod drbd;
mod failures;
mod freeze;
#[path = "../common/image.rs"]
mod image;
mod loss;
mod node;
#[path = "../common/order.rs"]
mod order;
#[path = "../common/ssh.rs"]
mod ssh;
mod stage;
mod start;

use std::path::PathBuf;
use std::process::ExitCode;

use reactor_sim::lookalike::program;

use order::Test;
use stage::Shared;

const TESTS: [(&str, Test<Shared>); 19] = [
    ("one_node_starts_each_resource_and_lost_races_are_silent", start::one_node_starts_each_resource),
    ("another_node_takes_over_when_the_power_is_cut", loss::another_node_takes_over_when_the_power_is_cut),
    ("a_node_without_quorum_stops_and_another_one_starts", loss::a_node_without_quorum_stops),
    ("frozen_services_stand_still_and_go_on_where_they_were", freeze::frozen_services_stand_still_and_go_on),
    ("a_unit_can_be_stopped_while_it_is_frozen", freeze::a_unit_can_be_stopped_while_it_is_frozen),
    ("what_waits_for_its_disk_is_thawed_later", freeze::what_waits_for_its_disk_is_thawed_later),
    (
        "a_service_that_fails_is_started_again_and_given_up",
        failures::a_service_that_fails_is_started_again_and_given_up,
    ),
    ("a_service_that_fails_moves", failures::a_service_that_fails_moves),
    (
        "a_preferred_node_takes_back_also_from_a_killed_daemon",
        failures::a_preferred_node_takes_back_also_from_a_killed_daemon,
    ),
    ("a_hold_outlives_the_daemon_and_evicts", failures::a_hold_outlives_the_daemon_and_evicts),
    ("the_dead_and_the_hung_cost_nobody_elses_answer", contexts::the_dead_and_the_hung_cost_nobody_elses_answer),
    ("a_key_says_what_may_be_asked", contexts::a_key_says_what_may_be_asked),
    (
        "a_move_goes_where_it_is_told_and_a_drain_empties_a_node",
        contexts::a_move_goes_where_it_is_told_and_a_drain_empties_a_node,
    ),
    ("a_daemon_killed_during_a_start_finds_it", daemon::a_daemon_killed_during_a_start_finds_it),
    ("a_killed_drbdsetup_changes_nothing", daemon::a_killed_drbdsetup_changes_nothing),
    ("the_end_of_the_daemon_stops_what_it_is_asked_to", daemon::the_end_of_the_daemon_stops_what_it_is_asked_to),
    ("a_resource_that_is_taken_out_runs_on", daemon::a_resource_that_is_taken_out_runs_on),
    ("an_opener_does_not_keep_a_node_primary", demote::an_opener_does_not_keep_a_node_primary),
    ("a_node_that_cannot_demote_is_rebooted", demote::a_node_that_cannot_demote_is_rebooted),
];

fn main() -> ExitCode {
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    if let Some(ended) = called.file_name().and_then(|name| name.to_str()).and_then(program::by_name) {
        return ended;
    }
    order::run(&TESTS, Shared::new(), || image::image_with_package().err(), Shared::begin, Shared::end)
}
