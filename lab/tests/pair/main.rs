//! The installed package on a pair of real nodes: real systemd, real DRBD 8.4, fencing. One pair for all tests, in this order.
//!
//! First what needs no boot, on small resources of their own while the counter of `data` goes on counting; then what takes a
//! node away. Each test leaves the pair whole, with the same configuration.
//!
//! Needs an image and our package (`make deb`). Where they cannot be, the tests say `SKIPPED` and why; with `CI` set they fail.

#![expect(clippy::print_stdout, reason = "what is skipped is said aloud")]

mod counter;
mod daemon;
mod demote;
mod disks;
mod ground;
mod handlers;
mod network;
mod observe;
mod ocf;
mod power;
mod services;
mod side;
mod start;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use ground::Shared;
use libtest_mimic::{Arguments, Failed, Trial};

type Test = fn(&mut Shared) -> Result<(), Failed>;

const TESTS: &[(&str, Test)] = &[
    ("started_on_both_nodes_at_once_one_runs_it_and_nobody_is_fenced", start::on_both_nodes_at_once),
    ("a_stopped_target_and_a_hold_move_the_service", start::a_stop_and_a_hold_move),
    ("a_service_that_fails_is_treated_as_restart_and_policy_say", services::a_failure_has_its_policy),
    ("a_service_that_fails_too_often_is_given_up_here", services::a_service_that_fails_too_often_is_given_up_here),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They share one pair, in this order.
    arguments.test_threads = Some(1);
    let missing = if arguments.list { None } else { ground::missing() };
    if let Some(missing) = &missing {
        println!("SKIPPED: {missing}");
    }
    let in_ci = std::env::var_os("CI").is_some();
    let shared = Arc::new(Mutex::new(Shared::new()));
    let trials = TESTS.iter().map(|(name, test)| {
        let (shared, missing, test) = (Arc::clone(&shared), missing.clone(), *test);
        Trial::test(*name, move || match missing {
            Some(missing) if in_ci => Err(missing.into()),
            Some(_) => Ok(()),
            None => {
                let began = Instant::now();
                let done = test(&mut shared.lock().unwrap_or_else(PoisonError::into_inner));
                println!("{:5.1} s", began.elapsed().as_secs_f64());
                done
            }
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    shared.lock().unwrap_or_else(PoisonError::into_inner).end(conclusion.has_failed());
    conclusion.exit_code()
}
