//! The installed package on a pair of real nodes: real systemd, real DRBD 8.4, fencing. One pair for all tests, in this order.
//!
//! First what needs no boot, on small resources of their own while the counter of `data` goes on counting; then what takes a
//! node away. Each test leaves the pair whole, with the same configuration.
//!
//! Needs an image and our package (`make deb`). Where they cannot be, the tests say `SKIPPED` and why; with `CI` set they fail.

mod counter;
mod daemon;
mod demote;
mod disks;
mod ground;
mod handlers;
#[path = "../common/image.rs"]
mod image;
mod network;
mod observe;
mod ocf;
mod operators;
#[path = "../common/order.rs"]
mod order;
mod power;
mod services;
mod side;
#[path = "../common/ssh.rs"]
mod ssh;
mod stack;
mod start;
mod sync;
mod volumes;

use std::process::ExitCode;

use ground::Shared;
use order::Test;

const TESTS: &[(&str, Test<Shared>)] = &[
    ("started_on_both_nodes_at_once_one_runs_it_and_nobody_is_fenced", start::on_both_nodes_at_once),
    ("a_stopped_target_and_a_hold_move_the_service", start::a_stop_and_a_hold_move),
    ("an_operator_evicts_and_moves_it_over_ssh", operators::evict_and_move_over_ssh),
    ("a_refusal_names_the_node_and_its_reason", operators::a_refusal_names_the_node_and_its_reason),
    ("a_service_that_fails_is_treated_as_restart_and_policy_say", services::a_failure_has_its_policy),
    ("a_service_that_fails_too_often_is_given_up_here", services::a_service_that_fails_too_often_is_given_up_here),
    ("a_killed_daemon_is_not_missed", daemon::a_killed_daemon_is_not_missed),
    (
        "a_daemon_killed_in_any_phase_of_a_start_and_a_stop_changes_no_outcome",
        daemon::killed_in_any_phase_the_outcome_is_the_same,
    ),
    ("a_killed_events2_is_followed_again", daemon::a_killed_events2_is_followed_again),
    ("reloads_under_load_touch_nothing_that_is_unchanged", daemon::reloads_under_load_touch_nothing_that_is_unchanged),
    ("metrics_tell_who_is_primary", observe::metrics_tell_who_is_primary),
    ("a_split_brain_is_known_until_it_is_over", observe::a_split_brain_is_known_until_it_is_over),
    ("without_fencing_nothing_is_started", observe::without_fencing_nothing_is_started),
    ("a_dropped_snippet_is_loaded_by_itself", observe::a_dropped_snippet_is_loaded_by_itself),
    ("a_file_system_and_an_address_of_ocf_agents_move_together", ocf::a_file_system_and_an_address_move_together),
    ("the_shell_runner_starts_and_stops", ocf::the_shell_runner_starts_and_stops),
    ("a_stack_starts_stops_moves_and_is_rolled_back", stack::a_stack_starts_stops_moves_and_is_rolled_back),
    ("the_res_file_and_listed_files_reach_the_other_node", sync::the_res_file_and_listed_files_reach_the_other_node),
    ("a_volume_group_on_drbd_moves_with_the_services", volumes::a_volume_group_on_drbd_moves_with_the_services),
    ("a_volume_group_below_drbd_needs_no_entry", volumes::a_volume_group_below_drbd_needs_no_entry),
    ("without_escalation_a_node_keeps_what_it_cannot_demote", demote::without_escalation_the_node_keeps_the_resource),
    ("drbd_asks_through_reactor_helper", handlers::drbd_asks_through_reactor_helper),
    ("a_handler_waits_and_looks_again", handlers::a_handler_waits_and_looks_again),
    ("a_failed_disk_leaves_the_service_where_it_is", disks::a_failed_disk_leaves_the_service_where_it_is),
    ("with_fail_over_the_service_leaves_a_failed_disk", disks::with_fail_over_the_service_leaves_a_failed_disk),
    ("a_killed_node_is_replaced_and_comes_back", power::a_killed_node_is_replaced_and_comes_back),
    ("a_node_that_hung_never_writes_again", power::a_node_that_hung_never_writes_again),
    ("a_crashed_node_is_replaced_and_comes_back", power::a_crashed_node_is_replaced_and_comes_back),
    ("a_rebooted_node_hands_over", power::a_rebooted_node_hands_over_in_order),
    ("a_shutdown_ends_with_drbd_unconfigured", power::a_shutdown_ends_with_drbd_unconfigured),
    ("after_a_cut_one_node_is_left", network::after_a_cut_one_node_is_left),
    ("after_a_one_way_cut_one_node_is_left", network::after_a_one_way_cut_one_node_is_left),
    ("a_flapping_link_leaves_one_writer", network::a_flapping_link_leaves_one_writer),
    (
        "with_escalation_a_node_reboots_and_the_other_takes_over",
        demote::with_escalation_the_node_reboots_and_the_other_takes_over,
    ),
];

fn main() -> ExitCode {
    order::run(TESTS, Shared::new(), || image::image_with_package().err(), Shared::begin, Shared::end)
}
