//! `reactorctl import`: what is printed where, what is written, and how it ends.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::daemon::reactorctl;
use crate::schemas;

/// A service file that was kept.
fn kept(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reactor-config/tests/opensvc");
    folder.join(name).display().to_string()
}

fn import(args: &[&str]) -> Output {
    reactorctl().args(["import", "opensvc"]).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A folder that is gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("reactorctl-import-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn files_are_printed_and_the_report_is_beside_them() {
    let output = import(&[&kept("01-page.env")]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert!(out.starts_with("# 01-page.toml\n") && out.contains("[promoter.resources.intranet]"), "{out}");
    assert!(err.starts_with("service 01-page, as deb1 sees it: "), "{err}");
    assert!(!out.contains("taken  ") && !err.contains("[promoter.resources.intranet]"), "{out}{err}");
}

#[test]
fn a_service_comes_from_standard_input_too_and_has_the_name_that_it_is_given() {
    let mut command = reactorctl();
    command.args(["import", "opensvc", "-", "--name", "intra/net", "--node", "deb2"]);
    let output = command.write_stdin(fs::read(kept("01-page.env")).unwrap()).output().unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(out.starts_with("# intra-net.toml\n"), "{out}{err}");
    assert!(err.starts_with("service intra-net, as deb2 sees it: "), "{err}");
}

#[test]
fn node_is_whose_view_it_is_and_asks_nobody() {
    let of = |node: &str| text(&import(&[&kept("07-scopes.conf"), "--node", node]).stdout);
    assert!(of("east2.example.com").contains("dev = \"ens3\""));
    assert!(of("east1.example.com").contains("dev = \"eth0\""));
    assert!(of("west1").contains("198.51.100.4"));
}

#[test]
fn files_go_into_a_folder_and_nobody_elses_is_overwritten() {
    let folder = Folder::new("out");
    let out = folder.0.join("new");
    let out = out.to_str().unwrap();
    let again = || import(&[&kept("04-disk.conf"), "--out", out]);
    let first = again();
    assert_eq!((first.status.code(), text(&first.stdout)), (Some(0), String::new()), "{first:?}");
    let names = ["04-disk.toml", "04-disk-app-2.service", "04-disk-app-3.service"];
    let path = |name: &str| Path::new(out).join(name);
    let mode = |name: &str| fs::metadata(path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(names[0]) & 0o007, 0, "others read no configuration");
    // The same again changes nothing.
    assert_eq!(again().status.code(), Some(0));
    fs::remove_file(path(names[0])).unwrap();
    fs::write(path(names[1]), "# mine\n").unwrap();
    let refused = again();
    assert_eq!(refused.status.code(), Some(10));
    assert!(text(&refused.stderr).contains("04-disk-app-2.service is there already"), "{refused:?}");
    assert!(!path(names[0]).exists(), "then nothing is written");
    assert_eq!(fs::read_to_string(path(names[1])).unwrap(), "# mine\n");
    // A link that leads to nothing is no place to write to.
    fs::remove_file(path(names[1])).unwrap();
    let elsewhere = folder.0.join("elsewhere");
    std::os::unix::fs::symlink(&elsewhere, path(names[1])).unwrap();
    assert_eq!(again().status.code(), Some(1));
    assert!(!elsewhere.exists());
}

#[test]
fn a_service_without_drbd_and_a_file_with_errors_have_codes_of_their_own() {
    let folder = Folder::new("none");
    let out = folder.0.to_str().unwrap();
    for (name, code) in [("09-no-drbd.conf", 22), ("10-broken.conf", 4)] {
        let output = import(&[&kept(name), "--out", out]);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(code), String::new()), "{output:?}");
        assert!(!folder.0.exists(), "nothing is written");
    }
    assert_eq!(import(&["/no/such/file"]).status.code(), Some(1));
}

#[test]
fn all_of_it_is_there_as_json() {
    for (name, verdict) in
        [("07-scopes.conf", "imported"), ("09-no-drbd.conf", "no-drbd"), ("10-broken.conf", "errors")]
    {
        let output = import(&[&kept(name), "--json"]);
        assert_eq!(schemas::check("import", &output.stdout), 1);
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((said["verdict"].as_str(), text(&output.stderr)), (Some(verdict), String::new()));
        assert!(!said["keys"].as_array().unwrap().is_empty(), "{said}");
        assert!(!said.to_string().contains("hunter2"), "values that nothing refers to are nobody's business");
    }
}

/// What is written is what `check` takes.
#[test]
fn what_is_imported_passes_the_check() {
    let folder = Folder::new("check");
    let out = folder.0.to_str().unwrap();
    for name in [
        "01-page.env",
        "02-vg-above.env",
        "03-vg-below.env",
        "04-disk.conf",
        "05-subsets.conf",
        "06-podman.conf",
        "07-scopes.conf",
        "08-sync.conf",
    ] {
        assert_eq!(import(&[&kept(name), "--out", out]).status.code(), Some(0), "{name}");
        let stem = name.split('.').next().unwrap();
        let written = folder.0.join(format!("{stem}.toml")).display().to_string();
        let checked = reactorctl().args(["check", "--no-system", &written]).output().unwrap();
        assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stdout));
    }
}
