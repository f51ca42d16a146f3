//! `config show`: what the files come to, and what becomes of each entry.

use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect;

use crate::daemon::{check, reactorctl};

const FILE: &str = r#"
[[promoter]]
[promoter.resources.data]
start = [
    { fs = "/srv/data", device = "/dev/drbd0", type = "ext4", check = true },
    { parallel = ["a.service", { unit = "b.service", optional = true }] },
    { unit = "x.service", disabled-on = ["deb1"] },
]
standby = ["reader.service"]
"#;

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("reactorctl-show-{name}-{}", std::process::id()));
    fs::create_dir_all(folder.join("d")).unwrap();
    // No program of DRBD is asked.
    let main = format!(
        "snippets = \"{0}/d\"\n[daemon]\nnode-name = \"deb1\"\ndrbdsetup = \"/none\"\ndrbdadm = \"/none\"\n",
        folder.display()
    );
    fs::write(folder.join("main.toml"), main).unwrap();
    fs::write(folder.join("d/a.toml"), FILE).unwrap();
    folder
}

fn run(folder: &Path, args: &[&str]) -> assert_cmd::Command {
    let mut command = reactorctl();
    command.arg("-c").arg(folder.join("main.toml")).args(["config", "show"]).args(args);
    command
}

#[test]
fn what_becomes_of_each_entry_is_shown() {
    let folder = folder("expanded");
    check(
        run(&folder, &["--expanded", "data"]),
        &folder,
        &expect![[r#"
        data
          start 1: fs_srv_data  "ocf:heartbeat:Filesystem fs_srv_data device=/dev/drbd0 directory=/srv/data fstype=ext4 run_fsck=force"
            ocf.rs@fs_srv_data_data.service
              [Unit]
              PartOf = drbd-services@data.target
              BindsTo = drbd-promote@data.service
              After = drbd-promote@data.service
              [Service]
              Environment= OCF_RESKEY_device=/dev/drbd0
              Environment= OCF_RESKEY_directory=/srv/data
              Environment= OCF_RESKEY_fstype=ext4
              Environment= OCF_RESKEY_run_fsck=force
              Environment= AGENT=/usr/lib/ocf/resource.d/heartbeat/Filesystem
          start 2: a.service  "a.service"
            a.service
              [Unit]
              PartOf = drbd-services@data.target
              BindsTo = drbd-promote@data.service
              After = drbd-promote@data.service
              Requires = ocf.rs@fs_srv_data_data.service
              After = ocf.rs@fs_srv_data_data.service
          start 3, beside the one before: b.service  { unit = "b.service", optional = true }
            b.service
              [Unit]
              PartOf = drbd-services@data.target
              BindsTo = drbd-promote@data.service
              After = drbd-promote@data.service
              Requires = ocf.rs@fs_srv_data_data.service
              After = ocf.rs@fs_srv_data_data.service
          standby 1: reader.service  "reader.service"
            reader.service
              [Unit]
              PartOf = storage-reactor-standby@data.target
              Conflicts = drbd-promote@data.service
              Before = drbd-promote@data.service
              [Service]
              TimeoutStopSec=20s
          left out on this node: x.service  { unit = "x.service", disabled-on = ["deb1"] }
        --- exit 0
    "#]],
    );
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_settings_of_a_resource_are_shown_with_their_defaults() {
    let folder = folder("whole");
    let output = run(&folder, &["data"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("\nmax-failures = 3\n"), "{text}");
    let (_, findings) =
        reactor_config::parse_text(&folder.join("again.toml"), &text, reactor_core::settings::Mode::Native);
    assert!(!findings.iter().any(reactor_config::Finding::is_error), "{findings:?}");
    assert_eq!(run(&folder, &["none"]).output().unwrap().status.code(), Some(8));
    fs::remove_dir_all(folder).unwrap();
}
