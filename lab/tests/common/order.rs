//! A test program whose tests share what takes long to set up, and so run one after the other, in the order of their list.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Failed, Trial};

/// A test on what all of them share.
pub(crate) type Test<S> = fn(&mut S) -> Result<(), Failed>;

/// Runs them. With something `missing` they are skipped, which is said; with `CI` set they fail. `begin` sets up what they share: without that
/// there is one failure and not one for each test. `end` hears whether one has failed.
#[expect(clippy::print_stdout, reason = "what is skipped is said aloud")]
pub(crate) fn run<S: Send + 'static>(
    tests: &[(&'static str, Test<S>)],
    mut shared: S,
    missing: impl FnOnce() -> Option<String>,
    begin: Test<S>,
    end: impl FnOnce(&mut S, bool),
) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let missing = if arguments.list { None } else { missing() };
    if let Some(missing) = &missing {
        println!("SKIPPED: {missing}");
    }
    let in_ci = std::env::var_os("CI").is_some();
    if !arguments.list
        && missing.is_none()
        && let Err(why) = begin(&mut shared)
    {
        let whole = Trial::test("what_all_tests_share_is_set_up", move || Err(why));
        end(&mut shared, true);
        arguments.filter = None;
        return libtest_mimic::run(&arguments, vec![whole]).exit_code();
    }
    let shared = Arc::new(Mutex::new(shared));
    let trials = tests.iter().map(|(name, test)| {
        let (shared, missing, test) = (Arc::clone(&shared), missing.clone(), *test);
        Trial::test(*name, move || match missing {
            Some(missing) if in_ci => Err(missing.into()),
            Some(_) => Ok(()),
            None => test(&mut shared.lock().unwrap_or_else(PoisonError::into_inner)),
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    end(&mut shared.lock().unwrap_or_else(PoisonError::into_inner), conclusion.has_failed());
    conclusion.exit_code()
}
