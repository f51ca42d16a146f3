//! Service files of OpenSVC, of three eras, and what comes of them: each `opensvc/NAME.{env,conf}` with its files and its report beside it.
//! `UPDATE_EXPECT=1` rewrites them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use reactor_config::opensvc::{Fate, Import, Options, Verdict, import};
use reactor_config::{Finding, parse_snippet};
use reactor_core::settings::Mode;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/opensvc")
}

/// The inputs, in the order of their names.
fn inputs() -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let is_input = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "env" || ending == "conf");
    let mut files: Vec<PathBuf> = files.filter(is_input).collect();
    files.sort();
    files
}

fn options(node: Option<&str>) -> Options {
    Options { service: "svc".to_owned(), node: node.map(str::to_owned), host: "workstation".to_owned() }
}

/// All that comes of a file, in one text.
fn everything(import: &Import) -> String {
    let mut text = String::new();
    for file in &import.files {
        let _ = write!(text, "==> {}\n{}\n", file.name, file.text);
    }
    text + "==> report\n" + &import.report()
}

/// Errors of our reader in the files that are written.
fn errors(import: &Import) -> Vec<String> {
    let mut errors = Vec::new();
    for file in import.files.iter().filter(|file| file.name.ends_with(".toml")) {
        let (_, findings) = parse_snippet(Path::new(&file.name), &file.text, Mode::Native);
        errors.extend(findings.iter().filter(|finding| finding.is_error()).map(Finding::one_line));
    }
    errors
}

#[test]
fn files_of_three_eras_are_read_as_expected() {
    let inputs = inputs();
    assert!(inputs.len() >= 10, "only {} files", inputs.len());
    for file in inputs {
        let text = std::fs::read_to_string(&file).unwrap();
        let import = import(&text, &options(None));
        expect_test::expect_file![file.with_extension("expect")].assert_eq(&everything(&import));
    }
}

#[test]
fn what_is_written_is_a_good_configuration() {
    for file in inputs() {
        let text = std::fs::read_to_string(&file).unwrap();
        for node in [None, Some("n2"), Some("deb2"), Some("east2.example.com"), Some("west1"), Some("nobody")] {
            let import = import(&text, &options(node));
            assert_eq!(errors(&import), [""; 0], "{}", file.display());
            for file in import.files.iter().filter(|file| file.name.ends_with(".toml")) {
                file.text.parse::<toml::Table>().unwrap();
            }
        }
    }
}

/// What is written is ours and systemd's: DRBD's configuration is as it was.
#[test]
fn no_import_writes_a_configuration_of_drbd() {
    for file in inputs() {
        let import = import(&std::fs::read_to_string(&file).unwrap(), &options(None));
        for written in &import.files {
            let name = &written.name;
            let is_ours = name.ends_with(".toml") || name.ends_with(".service");
            assert!(is_ours && !name.contains('/'), "{}: {name}", file.display());
        }
    }
}

#[test]
fn a_file_without_drbd_and_one_with_errors_write_nothing() {
    let read = |name: &str| import(&std::fs::read_to_string(folder().join(name)).unwrap(), &options(None));
    let (without, broken) = (read("09-no-drbd.conf"), read("10-broken.conf"));
    assert_eq!((without.verdict, without.files.len()), (Verdict::NoDrbd, 0));
    assert_eq!(without.count(Fate::Dropped), without.keys.len());
    assert_eq!((broken.verdict, broken.files.len()), (Verdict::Errors, 0));
    assert_eq!(broken.errors.iter().map(|problem| problem.line).collect::<Vec<_>>(), [2, 6, 8, 14]);
}

/// What was found by fuzzing: each of these made a configuration that our reader refused.
#[test]
fn what_once_broke_it() {
    for text in [
        "[app#1]\nscript =\nstart = true\nstop = true\n",
        "[app#1]\nscript = /\nstart = true\nstop = true\n",
        "[app#1]\nstart = /srv/bin/ start\nstop = /srv/bin/ stop\n",
        "[fs#1]\ndev = /dev/drbd0\nmnt = /a=b\n",
        "[container#1]\ntype = lxc\nname = {nothing}\n[app#1]\nscript = /a\nstart = true\nstop = true\nencap = true\n",
    ] {
        let import = import(&format!("[drbd#0]\nres = r0\n{text}"), &options(None));
        assert_eq!((import.verdict, errors(&import)), (Verdict::Imported, Vec::new()), "{text}");
    }
}

#[test]
fn the_page_shows_what_is_written() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/opensvc.md")).unwrap();
    let block = |kind: &str| {
        let (_, rest) = page.split_once(&format!("```{kind}\n")).unwrap();
        rest.split_once("```\n").unwrap().0.to_owned()
    };
    let import = import(&block("ini"), &Options { service: "web".to_owned(), node: None, host: "deb1".to_owned() });
    assert_eq!(import.files[0].text, block("toml"));
    assert_eq!(import.files.len(), 1);
}

#[test]
fn no_section_of_a_kind_that_is_written_is_left_without_a_test() {
    let all: String =
        inputs().iter().map(|file| std::fs::read_to_string(file.with_extension("expect")).unwrap()).collect();
    for form in [
        "{ vg = ",
        "{ fs = ",
        "{ ip = ",
        "engine = \"openvz\"",
        "engine = \"lxc\"",
        "engine = \"podman\"",
        "ocf:heartbeat:podman",
        "ocf:heartbeat:IPaddr2",
        "ocf:heartbeat:Filesystem",
        "{ app = ",
        "in = \"",
        "{ parallel = [",
        "standby = [",
        "disabled-on = ",
        "optional = true",
        "restart = ",
        "restart-delay = ",
        "timeout-start = ",
        "timeout-stop = ",
        "always-on = ",
        "on-service-failure = ",
        "sync = ",
        "files = ",
        "drpnodes = ",
        "ExecStart=",
        "is left out: ",
    ] {
        assert!(all.contains(form), "{form}");
    }
}
