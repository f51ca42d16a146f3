//! Whatever a service file of OpenSVC says: no panic, no key is lost, and what is written is a configuration that our reader takes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use proptest::prelude::*;
use reactor_config::opensvc::{Import, Options, Verdict, import};
use reactor_config::{Finding, parse_snippet};
use reactor_core::settings::Mode;

const VALID: [&str; 8] = [
    include_str!("opensvc/01-page.env"),
    include_str!("opensvc/02-vg-above.env"),
    include_str!("opensvc/03-vg-below.env"),
    include_str!("opensvc/04-disk.conf"),
    include_str!("opensvc/05-subsets.conf"),
    include_str!("opensvc/06-podman.conf"),
    include_str!("opensvc/07-scopes.conf"),
    include_str!("opensvc/08-sync.conf"),
];

const SECTIONS: [&str; 26] = [
    "DEFAULT",
    "default",
    "env",
    "drbd#0",
    "drbd#1",
    "DISK#0",
    "disk#1",
    "disk#a",
    "vg#0",
    "fs#1",
    "fs#2",
    "Fs#x",
    "ip#0",
    "ip#vip",
    "vz",
    "lxc",
    "container#1",
    "container#2",
    "app",
    "app#1",
    "app#2",
    "sync#i0",
    "sync#1",
    "subset#fs:s",
    "subset#app:s",
    "odd [section",
];

const KEYS: [&str; 50] = [
    "nodes",
    "drpnodes",
    "mode",
    "vm_name",
    "orchestrate",
    "monitor_action",
    "type",
    "res",
    "tags",
    "always_on",
    "standby",
    "vgname",
    "name",
    "vg",
    "dev",
    "mnt",
    "mnt_opt",
    "ipname",
    "ipdev",
    "netmask",
    "address",
    "interface",
    "script",
    "start",
    "stop",
    "check",
    "encap",
    "subset",
    "parallel",
    "optional",
    "optional_on",
    "disable",
    "disable_on",
    "monitor",
    "restart",
    "restart_delay",
    "timeout",
    "start_timeout",
    "image",
    "run_args",
    "command",
    "volume_mounts",
    "cf",
    "src",
    "dst",
    "target",
    "schedule",
    "user",
    "cwd",
    "odd key",
];

const VALUES: [&str; 64] = [
    "",
    "n1 n2",
    "n1",
    "n2 dr1",
    "nodes",
    "drpnodes",
    "nodes drpnodes",
    "*",
    "vz",
    "lxc",
    "podman",
    "docker",
    "nspawn",
    "oci",
    "kvm",
    "hosted",
    "drbd",
    "vg",
    "lv",
    "ext4",
    "xfs",
    "directory",
    "r0",
    "r.1",
    "../r",
    "prevg",
    "postvg encap",
    "noaction",
    "true",
    "false",
    "True",
    "10",
    "0.5",
    "99999999999999999999",
    "5m",
    "@10",
    "02:00-03:00",
    "/dev/drbd0",
    "/dev/vg0/lv",
    "/dev/drbd/by-res/r0/0",
    "/dev/drbd/by-res/r.1/0",
    "/srv",
    "/srv/data/",
    "//srv//data",
    "/srv/../etc",
    "/",
    "relative",
    "192.0.2.10",
    "192.0.2.10/24",
    "2001:db8::1",
    "255.255.255.0",
    "24",
    "eth0",
    "a name",
    "{nodename}",
    "{env.type}",
    "{fs#1.mnt}",
    "{disk#0.exposed_devs[0]}",
    "{nothing}",
    "$(1+1)",
    "say \"hi\" 'there' \\ # % $HOME {x}",
    "\u{e4}\u{202e}\u{feff}",
    "/usr/bin/tool start",
    "a | b ; c",
];

const SCOPES: [&str; 8] = ["", "", "", "", "@nodes", "@drpnodes", "@n1", "@N2"];

fn options(node: Option<&str>) -> Options {
    Options { service: "s v/c".to_owned(), node: node.map(str::to_owned), host: "host".to_owned() }
}

/// What must hold of everything that comes out.
fn look(text: &str, import: &Import) {
    let lines: Vec<usize> = import.keys.iter().map(|key| key.line).collect();
    assert!(lines.is_sorted_by(|a, b| a < b), "each key stands in a line of its own, and once: {lines:?}");
    assert!(import.keys.iter().all(|key| !key.reason.is_empty()));
    let last = text.lines().count() + 1;
    assert!(lines.iter().chain(import.errors.iter().map(|error| &error.line)).all(|line| *line <= last));
    assert!(!import.report().contains('\u{1b}'));
    assert_eq!(import.files.is_empty(), import.verdict != Verdict::Imported);
    assert_eq!(import.errors.is_empty(), import.verdict != Verdict::Errors);
    for file in &import.files {
        assert!(file.name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)), "{}", file.name);
        assert!(!file.name.starts_with('.') && file.name.len() <= 255);
        assert!(!file.text.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "{:?}", file.text);
    }
    for file in import.files.iter().filter(|file| file.name.ends_with(".toml")) {
        let table: toml::Table = file.text.parse().unwrap_or_else(|error| panic!("{error}\n{}", file.text));
        assert_eq!(table.keys().collect::<Vec<_>>(), ["promoter"], "{}", file.text);
        let (_, findings) = parse_snippet(Path::new("a.toml"), &file.text, Mode::Native);
        let errors: Vec<String> = findings.iter().filter(|finding| finding.is_error()).map(Finding::one_line).collect();
        assert_eq!(errors, [""; 0], "{}", file.text);
    }
}

fn survives(text: &str) {
    for node in [None, Some("n2"), Some("")] {
        look(text, &import(text, &options(node)));
    }
}

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(400), failure_persistence: None, ..ProptestConfig::default() }
}

/// `key@scope = value`, with more lines of it at times.
fn key() -> impl Strategy<Value = String> {
    let one = |of: &'static [&'static str]| prop::sample::select(of);
    let value = prop_oneof![6 => one(&VALUES).prop_map(str::to_owned), 1 => "[^\\p{Cc}]{0,12}"];
    (one(&KEYS), one(&SCOPES), value, prop::option::weighted(0.1, one(&VALUES))).prop_map(
        |(key, scope, value, more)| match more {
            Some(more) => format!("{key}{scope} = {value}\n\t{more}\n"),
            None => format!("{key}{scope} = {value}\n"),
        },
    )
}

/// A file of sections, and how many keys it has.
fn file() -> impl Strategy<Value = (String, usize)> {
    let section = (prop::sample::select(&SECTIONS[..]), prop::collection::vec(key(), 0..8));
    prop::collection::vec(section, 1..14).prop_map(|sections| {
        // Something to import, most times.
        let mut text = "[DEFAULT]\nnodes = n1 n2\n[disk#0]\ntype = drbd\nres = r0\n".to_owned();
        let mut keys = 3;
        for (section, lines) in sections {
            text.push_str(&format!("[{section}]\n{}", lines.concat()));
            keys += lines.len();
        }
        (text, keys)
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn random_text(text in "(?s).{0,300}") {
        survives(&text);
    }

    #[test]
    fn no_key_of_a_file_is_lost((text, keys) in file()) {
        let import = import(&text, &options(None));
        look(&text, &import);
        // None of the pieces is an error, so each key has one line in the report.
        prop_assert_eq!(&import.errors, &vec![]);
        prop_assert_eq!(import.keys.len(), keys);
        survives(&text);
    }

    #[test]
    fn mutated_files(
        which in 0..VALID.len(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..20usize, key()), 1..6),
    ) {
        let mut chars: Vec<char> = VALID[which].chars().collect();
        for (at, length, put) in cuts {
            let at = at.index(chars.len() + 1).min(chars.len());
            let end = (at + length).min(chars.len());
            chars.splice(at..end, put.chars());
        }
        survives(&chars.into_iter().collect::<String>());
    }
}

/// Nothing that a file can say takes long: each of these would, if it were followed without a bound.
#[test]
fn everything_is_bounded() {
    let long = |line: &str, bytes: usize| line.repeat(bytes / line.len());
    let references = |name: &str| format!("[DEFAULT]\nnodes = n1\n[drbd#0]\nres = r0\n[env]\n{name}");
    let doubling: String = (0..100).map(|at| format!("x{at} = {{env.x{}}}{{env.x{}}}\n", at + 1, at + 1)).collect();
    let braces = format!("[fs#1]\ndev = {}\n", long("{", 15_000)).repeat(1) + "mnt = {env.x0}\n";
    let many: String =
        (0..900).map(|at| format!("[fs#{at}]\ndev = {{env.a}}\nmnt = /srv/{at}\ntype = ext4\nsubset = s\n")).collect();
    for text in [
        references(&doubling) + &braces,
        references("a = /dev/drbd0\n") + &many + "[subset#fs:s]\nparallel = true\n",
        references(&format!("a = {}\n", long("{env.a}", 15_000))) + &many,
        format!("[drbd#0]\nres = r0\nalways_on = {}\n", long("a ", 15_000)),
        format!(
            "[drbd#0]\nres = r0\n[app#1]\n{}",
            (0..190).map(|at| format!("disable@h{at} = true\n")).collect::<String>()
        ),
        long("[a]\n", 1 << 20),
        long("[fs#1]\nmnt = /a\n", 1 << 20),
    ] {
        survives(&text);
    }
}
