//! Real nodes: what the lab promises of power, network, disks and files, on a cluster of three that all tests share.
//!
//! Needs an image (`lab image`, which the first test builds). Where that cannot be, the tests say `SKIPPED` and why; with `CI` set they fail.

#![expect(clippy::print_stdout, reason = "what is skipped is said aloud")]

mod agent;
mod cluster;
#[path = "../common/image.rs"]
mod image;
mod leftovers;
#[path = "../common/order.rs"]
mod order;
mod package;
mod storage;

use std::process::ExitCode;

use lab::cluster::Cluster;
use tokio::runtime::Runtime;

use order::Test;

/// The cluster of all tests.
pub(crate) struct Shared {
    pub(crate) runtime: Runtime,
    pub(crate) cluster: Option<Cluster>,
}

const TESTS: [(&str, Test<Shared>); 27] = [
    ("every_node_is_up_and_named", cluster::every_node_is_up_and_named),
    ("our_package_is_installed_and_runs", package::our_package_is_installed_and_runs),
    ("all_reach_each_other_in_both_networks", cluster::all_reach_each_other_in_both_networks),
    ("a_cut_takes_the_data_network_of_two_nodes_only", cluster::a_cut_takes_the_data_network_of_two_nodes_only),
    ("a_one_way_cut_lets_the_other_way_pass", cluster::a_one_way_cut_lets_the_other_way_pass),
    ("delay_and_loss_are_seen_by_the_nodes", cluster::delay_and_loss_are_seen_by_the_nodes),
    ("commands_have_their_code_and_their_time", cluster::commands_have_their_code_and_their_time),
    ("files_and_folders_go_in_and_out", cluster::files_and_folders_go_in_and_out),
    ("the_serial_line_carries_every_byte", agent::the_serial_line_carries_every_byte),
    ("a_command_that_hangs_holds_up_no_other", agent::a_command_that_hangs_holds_up_no_other),
    ("an_agent_that_dies_comes_back", agent::an_agent_that_dies_comes_back),
    ("a_medium_error_is_told", storage::a_medium_error_is_told),
    ("paths_that_fail_and_come_back_are_told", storage::paths_that_fail_and_come_back_are_told),
    ("file_systems_without_their_disk_are_told", storage::file_systems_without_their_disk_are_told),
    (
        "a_failure_below_lvm_is_one_incident_up_to_the_file_system",
        storage::a_failure_below_lvm_is_one_incident_up_to_the_file_system,
    ),
    ("a_full_thin_pool_is_told_until_it_is_extended", storage::a_full_thin_pool_is_told_until_it_is_extended),
    ("what_uevents_say_again_is_told_once", storage::what_uevents_say_again_is_told_once),
    ("a_script_that_fails_or_cannot_run_leaves_nothing", storage::a_script_that_fails_or_cannot_run_leaves_nothing),
    ("a_killed_node_keeps_what_was_synced", cluster::a_killed_node_keeps_what_was_synced),
    ("a_node_that_hangs_is_silent_and_goes_on", cluster::a_node_that_hangs_is_silent_and_goes_on),
    ("a_reboot_is_in_place", cluster::a_reboot_is_in_place),
    ("a_crash_is_seen_and_survived", cluster::a_crash_is_seen_and_survived),
    ("a_disk_in_use_fails_and_is_mended", cluster::a_disk_in_use_fails_and_is_mended),
    ("a_node_can_switch_another_one_off", cluster::a_node_can_switch_another_one_off),
    ("a_disk_is_pulled_unless_it_is_in_use", cluster::a_disk_is_pulled_unless_it_is_in_use),
    ("a_clean_end_leaves_nothing", cluster::a_clean_end_leaves_nothing),
    ("a_killed_lab_leaves_nothing", leftovers::a_killed_lab_leaves_nothing),
];

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    order::run(&TESTS, Shared { runtime, cluster: None }, || image::image().err(), Shared::begin, Shared::end)
}

impl Shared {
    /// Ends the cluster; its folder stays if something failed.
    fn end(&mut self, failed: bool) {
        let Some(mut cluster) = self.cluster.take() else { return };
        if failed {
            cluster.keep();
            println!("consoles, journals and disks stay in {}", cluster.folder().display());
        }
    }
}
