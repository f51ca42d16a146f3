//! Where volume groups of LVM are, seen from DRBD: `check` and `config show --expanded`, on a machine that was kept as a folder.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use expect_test::expect;

use crate::daemon::{check, reactorctl};

/// One group on DRBD, one below it, one of which nothing is known.
const FILE: &str = r#"
[[promoter]]
[promoter.resources.above]
start = [{ vg = "vg_data" }]
[promoter.resources.below]
start = [{ vg = "vg_low" }]
[promoter.resources.secondary]
start = [{ vg = "vg_other" }]
"#;

/// As DRBD's own says it.
const DRBDADM: &str = r#"#!/bin/sh
case "$*" in
    "sh-resources") echo above below secondary ;;
    "sh-minor above") echo 0 ;;
    "sh-ll-dev above") echo /dev/sda ;;
    "sh-minor below") echo 1 ;;
    "sh-ll-dev below") echo /dev/vg_low/r1 ;;
    "sh-minor secondary") echo 2 ;;
    "sh-ll-dev secondary") echo /dev/sdc ;;
    *) exit 1 ;;
esac
"#;

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("reactorctl-groups-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("d")).unwrap();
    let main = "snippets = \"d\"\n[daemon]\nnode-name = \"n1\"\nbus = \"unix:path=/nowhere\"\ndrbdsetup = \"/none\"\ndrbdadm = \"./drbdadm\"\n";
    for (file, text, mode) in [("main.toml", main, 0o644), ("d/a.toml", FILE, 0o644), ("drbdadm", DRBDADM, 0o755)] {
        fs::write(folder.join(file), text).unwrap();
        fs::set_permissions(folder.join(file), Permissions::from_mode(mode)).unwrap();
    }
    for folder in [folder.clone(), folder.join("d")] {
        fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

fn machine() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../reactor-sysfs/tests/sysfs/lvm-drbd")
}

fn run(folder: &Path, args: &[&str]) -> assert_cmd::Command {
    let mut command = reactorctl();
    command.current_dir(folder).arg("-c").arg(folder.join("main.toml")).args(args).arg("--root").arg(machine());
    command
}

/// Those lines of what `check` says that are about volume groups; the rest depends on what is installed here.
#[test]
fn check_says_where_each_volume_group_is_and_what_to_do() {
    let folder = folder("check");
    let output = run(&folder, &["check", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "a group below DRBD is an error");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let about = |finding: &serde_json::Value| {
        let (place, what) = (finding["where"].as_str()?, finding["what"].as_str()?);
        let mend = finding["mend"][0].as_str().unwrap_or("-");
        let line = place.rsplit_once("a.toml:").map_or(place, |(_, line)| line);
        what.contains("volume group")
            .then(|| format!("{line} {}: {what}\n    {mend}\n", finding["severity"].as_str().unwrap_or("-")))
    };
    let mut lines: Vec<String> = told["findings"].as_array().unwrap().iter().filter_map(about).collect();
    lines.sort();
    expect![[r#"
        4:10 note: the volume group `vg_data` is on DRBD (vg_data/srv is built on drbd0): it is activated after the promotion, as it has to be
            -
        6:10 error: the volume group `vg_low` is below DRBD (drbd1 is built on its vg_low/r1): it has to be active before DRBD is up, and to stop it is to take the disk from DRBD
            take it out of the list: with `systemctl enable drbd-lvchange@below.service` (drbd-utils) it is active before DRBD
        8:10 note: the volume group `vg_other` is not active here, so it is not known whether it is on DRBD or below it: what is on drbd2 is not known, as on each node where it is Secondary
            check again where the resource is Primary and the services run
    "#]].assert_eq(&lines.concat());
    let mut files = reactorctl();
    files.current_dir(&folder).arg("-c").arg(folder.join("main.toml")).args(["check", "--no-system"]);
    check(
        files,
        &folder,
        &expect![[r#"
        2 files checked, nothing wrong
        --- exit 0
    "#]],
    );
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_becomes_of_a_volume_group_says_where_it_is() {
    let folder = folder("show");
    let output = run(&folder, &["config", "show", "--expanded"]).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = told.lines().map(str::trim).filter(|line| line.starts_with("vg_")).collect();
    expect![[r#"
        vg_data is on DRBD (vg_data/srv is built on drbd0)
        vg_low is below DRBD (drbd1 is built on its vg_low/r1)
        vg_other is not active here, so it is not known whether it is on DRBD or below it: what is on drbd2 is not known, as on each node where it is Secondary
    "#]].assert_eq(&(lines.join("\n") + "\n"));
    fs::remove_dir_all(folder).unwrap();
}
