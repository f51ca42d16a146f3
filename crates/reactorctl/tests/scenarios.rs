//! One test for each folder of `tests/scenarios`; its README says how they are made.

use std::path::Path;
use std::process::Command;

fn scenario(config: &Path) -> datatest_stable::Result<()> {
    let folder = config.parent().ok_or("a scenario is a folder")?;
    let recordings = folder.join("../../recordings");
    let files = std::fs::read_to_string(folder.join("recordings.txt"))?;
    let output = Command::new(env!("CARGO_BIN_EXE_reactorctl"))
        .args(["replay", "--config"])
        .arg(config)
        .args(files.lines().map(|file| recordings.join(file)))
        .env("NO_COLOR", "1")
        .output()?;
    let said = String::from_utf8(output.stderr)?;
    if !output.status.success() || !said.is_empty() {
        return Err(format!("{}: {said}", output.status).into());
    }
    expect_test::expect_file![std::path::absolute(folder.join("decisions.txt"))?]
        .assert_eq(std::str::from_utf8(&output.stdout)?);
    Ok(())
}

datatest_stable::harness! {
    { test = scenario, root = "../../tests/scenarios", pattern = r"/config\.toml$" },
}
