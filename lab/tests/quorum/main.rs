//! Quorum: the promoter with a real systemd, on three nodes whose DRBD 9 is simulated by a fourth one, which nothing happens to.
//!
//! The kernels of the nodes have DRBD 8.4, which knows no quorum. So `drbdsetup` and `drbdadm` of the nodes are look-alikes: this program under
//! their names, which asks the simulator, by the management network. `lab/quorum` has the rest, and docs/lab.md how to do the same by hand.
//!
//! Needs an image with our package, as the tests in `nodes` do. All tests share the cluster, in this order, and each leaves it in peace.

#![expect(clippy::print_stdout, reason = "what is skipped is said aloud, and what a take-over took")]

mod daemon;
mod demote;
mod failures;
mod freeze;
mod loss;
mod node;
mod stage;
mod start;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Trial};
use reactor_sim::lookalike::program;

use stage::Shared;

type Test = fn(&mut Shared) -> stage::Done;

const TESTS: [(&str, Test); 3] = [
    ("one_node_starts_each_resource_and_lost_races_are_silent", start::one_node_starts_each_resource),
    ("another_node_takes_over_when_the_power_is_cut", loss::another_node_takes_over_when_the_power_is_cut),
    ("a_node_without_quorum_stops_and_another_one_starts", loss::a_node_without_quorum_stops),
];

fn main() -> ExitCode {
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    if let Some(ended) = called.file_name().and_then(|name| name.to_str()).and_then(program::by_name) {
        return ended;
    }
    let mut arguments = Arguments::from_args();
    // They share one cluster, in this order.
    arguments.test_threads = Some(1);
    let missing = if arguments.list { None } else { stage::image().err() };
    if let Some(missing) = &missing {
        println!("SKIPPED: {missing}");
    }
    let in_ci = std::env::var_os("CI").is_some();
    let shared = Arc::new(Mutex::new(Shared::new()));
    let trials = TESTS.map(|(name, test)| {
        let (shared, missing) = (Arc::clone(&shared), missing.clone());
        Trial::test(name, move || match missing {
            Some(missing) if in_ci => Err(missing.into()),
            Some(_) => Ok(()),
            None => test(&mut shared.lock().unwrap_or_else(PoisonError::into_inner)),
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.into());
    shared.lock().unwrap_or_else(PoisonError::into_inner).end(conclusion.has_failed());
    conclusion.exit_code()
}
