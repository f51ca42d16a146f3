//! Whole simulated clusters as a test, for who wants to know whether a change of the core is noticed: `SIM_SEEDS=0..300 cargo test --profile sim
//! -p reactor-sim --test seeds`. The gate runs thousands of seeds with the program `sim`; here two are enough to see that they run.

use reactor_sim::world::runner::{Many, many};

#[test]
fn no_invariant_is_broken_by_any_of_the_seeds() {
    let seeds = std::env::var("SIM_SEEDS").unwrap_or_else(|_| "0..2".to_owned());
    let (from, to) = seeds.split_once("..").expect("SIM_SEEDS is A..B");
    let (from, to) = (from.parse().expect("a number"), to.parse().expect("a number"));
    let (failed, count) = many(Many { from, to, bug: None, jobs: 2, first_only: true });
    assert!(count > 0, "no seeds in {seeds}");
    let told: Vec<String> =
        failed.iter().map(|report| format!("seed {}: {:?}", report.seed, report.violation)).collect();
    assert!(failed.is_empty(), "{}", told.join("\n"));
}
