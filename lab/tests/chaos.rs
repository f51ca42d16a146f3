//! Two rounds of chaos: the pair survives, and nothing that was acknowledged is lost. `lab chaos` runs more of them.

#[path = "common/image.rs"]
mod image;

use std::process::Command;

#[test]
#[expect(clippy::print_stdout, reason = "what is skipped is said aloud")]
fn two_rounds_of_chaos() {
    if let Err(missing) = image::image_with_package() {
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        println!("SKIPPED: {missing}");
        return;
    }
    let mut lab = Command::new(env!("CARGO_BIN_EXE_lab"));
    lab.args(["--cluster", &format!("chaos-{}", std::process::id()), "chaos", "--rounds", "2", "--seed", "1"]);
    let output = lab.output().expect("lab runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    assert!(said.contains("2 rounds of seed 1 passed"), "{said}{errors}");
    println!("{said}");
}
