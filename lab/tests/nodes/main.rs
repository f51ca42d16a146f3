//! Real nodes: what the lab promises of power, network, disks and files, on a cluster of three that all tests share.
//!
//! Needs an image (`lab image`, which the first test builds). Where that cannot be, the tests say `SKIPPED` and why; with `CI` set they fail.

#![expect(clippy::print_stdout, reason = "what is skipped is said aloud")]

mod agent;
mod cluster;
#[path = "../common/mod.rs"]
mod common;
mod leftovers;
mod package;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use lab::cluster::Cluster;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

/// The cluster of all tests, booted by the first that runs.
pub(crate) struct Shared {
    pub(crate) runtime: Runtime,
    pub(crate) cluster: Option<Cluster>,
}

type Test = fn(&mut Shared) -> Result<(), Failed>;

const TESTS: [(&str, Test); 20] = [
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
    let mut arguments = Arguments::from_args();
    // They share one cluster, in this order.
    arguments.test_threads = Some(1);
    let missing = if arguments.list { None } else { common::image().err() };
    if let Some(missing) = &missing {
        println!("SKIPPED: {missing}");
    }
    let in_ci = std::env::var_os("CI").is_some();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let shared = Arc::new(Mutex::new(Shared { runtime, cluster: None }));
    let trials = TESTS.map(|(name, test)| {
        let (shared, missing) = (Arc::clone(&shared), missing.clone());
        Trial::test(name, move || match missing {
            Some(missing) if in_ci => Err(missing.into()),
            Some(_) => Ok(()),
            None => test(&mut shared.lock().unwrap_or_else(PoisonError::into_inner)),
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.into());
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    if conclusion.has_failed()
        && let Some(cluster) = &mut shared.cluster
    {
        cluster.keep();
        println!("consoles, journals and disks stay in {}", cluster.folder().display());
    }
    drop(shared.cluster.take());
    conclusion.exit_code()
}
