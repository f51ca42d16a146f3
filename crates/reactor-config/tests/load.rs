//! Files on disk: what is taken, what goes on running, what is told.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::os::unix::fs::symlink;
use std::path::Path;

use common::{Folder, errors, kinds};
use expect_test::expect;
use reactor_config::{
    Code, DriftKind, FileState, Loaded, Severity, Trust, check, default_config_path, default_snippets_path, drift, load,
};
use reactor_core::settings::{Mode, PluginKind, PluginSettings};

const DEBUGGER: &str = "[[debugger]]\n";
const UMH: &str = "[[umh]]\n[[umh.resource]]\ncommand = \"true\"\nevent-type = \"Change\"\n";

fn promoter(resource: &str, unit: &str) -> String {
    format!("[[promoter]]\n[promoter.resources.{resource}]\nstart = [\"{unit}\"]\n")
}

fn state_of(loaded: &Loaded, name: &str) -> FileState {
    loaded.files.iter().find(|file| file.path.ends_with(name)).unwrap().state
}

/// The resources that promoters run, each with its file and first unit.
fn resources(loaded: &Loaded) -> Vec<String> {
    let mut resources = Vec::new();
    for entry in &loaded.settings.plugins {
        if let PluginSettings::Promoter(promoter) = &entry.settings {
            for (name, resource) in &promoter.resources {
                let file = entry.file.file_name().unwrap().to_string_lossy();
                let start: Vec<_> = resource.start.iter().map(|entry| &entry.what).collect();
                resources.push(format!("{name} {start:?} {file}:{}", entry.line));
            }
        }
    }
    resources
}

#[test]
fn the_daemon_starts_with_main_file_and_snippets_in_order() {
    let folder = Folder::with_snippets("order");
    folder.write("main.toml", "snippets = \"d\"\n\n[[prometheus]]\n");
    folder.write("d/b.toml", UMH);
    folder.write("d/a.toml", DEBUGGER);
    folder.write("d/c.toml.disabled", "broken");
    folder.write("d/README", "broken");
    let loaded = folder.load(None);
    assert_eq!(folder.lines(&loaded.findings), "");
    assert!(loaded.usable && loaded.is_clean());
    assert_eq!(kinds(&loaded), [PluginKind::Prometheus, PluginKind::Debugger, PluginKind::Umh]);
    assert_eq!(loaded.settings.plugins[0].line, 3);
    assert_eq!(loaded.settings.plugins[1].file, folder.path("d/a.toml"));
    assert_eq!(loaded.settings.snippets, Some(folder.path("d")), "relative to the main file");
    assert_eq!(loaded.files.len(), 3);
}

#[test]
fn equal_files_give_equal_settings() {
    let folder = Folder::with_snippets("equal");
    folder.write("d/a.toml", UMH);
    let first = folder.load(None);
    let second = folder.load(Some(&first));
    assert_eq!(first.settings, second.settings);
    folder.write("d/a.toml", UMH.replace("true", "false"));
    assert_ne!(folder.load(Some(&second)).settings, second.settings);
}

#[test]
fn one_bad_snippet_leaves_the_others_running() {
    let folder = Folder::with_snippets("d20-start");
    folder.write("d/a.toml", DEBUGGER);
    folder.write("d/b.toml", "[[umh]]\n[[umh.resource]]\ncommand = 5\n");
    folder.write("d/c.toml", "[[prometheus]]\naddress = \":0\"\n");
    let loaded = folder.load(None);
    assert!(loaded.usable && !loaded.is_clean());
    assert_eq!(kinds(&loaded), [PluginKind::Debugger, PluginKind::Prometheus]);
    assert_eq!(state_of(&loaded, "b.toml"), FileState::Rejected);
    expect![[r#"
        error: `command` must be a string, but this is an integer
         --> d/b.toml:3:11
          |
        3 | command = 5
          |           ^ expected a string
          |
          = help: put the text in quotes: "..."

        note: nothing of this file runs; the other files do
        --> d/b.toml
    "#]]
    .assert_eq(&folder.told(&loaded.findings));
}

#[test]
fn a_bad_snippet_keeps_its_last_good_version() {
    let folder = Folder::with_snippets("d20-reload");
    folder.write("d/a.toml", UMH);
    let first = folder.load(None);
    // Broken text, broken bytes, a wrong word, a secret: whatever it is, what ran goes on.
    for bad in [&b"[[umh]\n"[..], b"\xff\n", b"[[umh]]\nx = 1\n", b"[[umh]]\npassword = S3CRET\n"] {
        folder.write("d/a.toml", bad);
        let second = folder.load(Some(&first));
        assert!(second.usable && !second.is_clean());
        assert_eq!(second.settings, first.settings);
        assert_eq!(state_of(&second, "a.toml"), FileState::LastGood);
        assert!(!folder.told(&second.findings).contains("S3CRET"));
        let last = second.findings.last().unwrap();
        assert_eq!(
            (last.severity, last.message.as_str()),
            (Severity::Note, "the last good version of this file goes on running")
        );
        // And once more, from a load that itself had only the last good version.
        let third = folder.load(Some(&second));
        assert_eq!(third.settings, first.settings);
    }
    folder.write("d/a.toml", DEBUGGER);
    let fixed = folder.load(Some(&first));
    assert_eq!(kinds(&fixed), [PluginKind::Debugger]);
    assert!(fixed.is_clean());
}

#[test]
fn a_bad_main_file() {
    let folder = Folder::with_snippets("d20-main");
    folder.write("d/a.toml", DEBUGGER);
    folder.write("main.toml", "snippets = \"d\nx = 1\n");
    let bad = folder.load(None);
    assert!(!bad.usable && !bad.is_clean());
    assert!(bad.settings.plugins.is_empty());

    folder.write("main.toml", "snippets = \"d\"\nstatistics-poll-interval = 7\n");
    let good = folder.load(Some(&bad));
    assert!(good.usable && good.is_clean());
    // The settings of the main file stay, and its snippets are still read.
    folder.write("main.toml", "snippets = 5\n");
    folder.write("d/b.toml", UMH);
    let reloaded = folder.load(Some(&good));
    assert!(reloaded.usable && !reloaded.is_clean());
    assert_eq!(reloaded.settings.statistics_poll_interval, good.settings.statistics_poll_interval);
    assert_eq!(kinds(&reloaded), [PluginKind::Debugger, PluginKind::Umh]);

    folder.remove("main.toml");
    let gone = folder.load(None);
    assert!(!gone.usable);
    expect![[r#"
        main.toml: error: cannot read the file: no such file or directory
        main.toml: note: without a main file the daemon can't run
    "#]]
    .assert_eq(&folder.lines(&gone.findings));
}

#[test]
fn unknown_keys_are_errors_of_ours_and_warnings_in_compatibility_mode() {
    let folder = Folder::with_snippets("d21");
    folder.write("d/a.toml", "[[promotor]]\n");
    folder.write("d/b.toml", promoter("a", "a.service") + "strat = []\n");
    let native = folder.load(None);
    assert_eq!(state_of(&native, "a.toml"), FileState::Rejected);
    assert_eq!(errors(&native.findings).len(), 2);
    let compat = folder.load_compat(None);
    assert!(compat.is_clean());
    assert_eq!(resources(&compat).len(), 1);
    expect![[r#"
        d/a.toml:1:3: warning: unknown key `promotor` at the top of a snippet (did you mean `promoter`?)
        d/b.toml:4:1: warning: unknown key `strat` in `[promoter.resources.NAME]` (did you mean `start`?)
    "#]]
    .assert_eq(&folder.lines(&compat.findings));
}

#[test]
fn each_file_is_read_by_itself() {
    let folder = Folder::with_snippets("d22");
    folder.write("d/a.toml", promoter("a", "a.service"));
    folder.write(
        "d/b.toml",
        "secondary-force = false\nstatistics-poll-interval = 5\n\n[promoter.resources.b]\nstart = [\"b.service\"]\n",
    );
    let loaded = folder.load_compat(None);
    let PluginSettings::Promoter(a) = &loaded.settings.plugins[0].settings else { panic!("no promoter") };
    assert!(a.resources["a"].secondary_force, "the key at the top of b.toml does not reach a.toml");
    assert_eq!(a.resources.len(), 1);
    assert_eq!(resources(&loaded).len(), 2, "the table without [[promoter]] is a promoter of its own");
    let told = loaded.findings;
    expect![[r#"
        warning: unknown key `secondary-force` at the top of a snippet
         --> d/b.toml:1:1
          |
        1 | secondary-force = false
          | ^^^^^^^^^^^^^^^
          |
         ::: d/a.toml:2:1
          |
        2 | [promoter.resources.a]
          | ---------------------- drbd-reactor joins the files as text and reads the key as part of this table
          |
          = help: `secondary-force` is a key of `[promoter.resources.NAME]`

        warning: `statistics-poll-interval` has no effect in a snippet, which may hold plugin tables only
         --> d/b.toml:2:1
          |
        2 | statistics-poll-interval = 5
          | ^^^^^^^^^^^^^^^^^^^^^^^^
          |
         ::: d/a.toml:2:1
          |
        2 | [promoter.resources.a]
          | ---------------------- drbd-reactor joins the files as text and reads the key as part of this table
          |
          = help: move it to the main file

        warning: there is no `[[promoter]]` above this table in this file
         --> d/b.toml:4:2
          |
        4 | [promoter.resources.b]
          |  ^^^^^^^^ read as a `promoter` of its own
          |
          = help: drbd-reactor joins the files as text and adds it to the last `[[promoter]]` before it; write `[[promoter]]` above it
    "#]]
    .assert_eq(&folder.told(&told));

    // In our own mode all three are errors, and the other file runs.
    let native = folder.load(None);
    assert_eq!(errors(&native.findings).len(), 3);
    assert_eq!(resources(&native).len(), 1);
}

#[test]
fn a_snippet_holds_plugins_only() {
    let folder = Folder::with_snippets("plugins-only");
    folder.write("d/a.toml", "[daemon]\nnode-name = \"x\"\n[[log]]\n[recorder]\n[[debugger]]\n");
    let loaded = folder.load(None);
    assert_eq!(loaded.settings.daemon.node_name, None);
    let codes: Vec<Code> = errors(&loaded.findings).iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::Misplaced; 3]);
    assert_eq!(kinds(&folder.load_compat(None)), [PluginKind::Debugger]);
}

#[test]
fn a_resource_belongs_to_one_promoter() {
    let folder = Folder::with_snippets("d23");
    folder.write("d/b.toml", promoter("r", "b.service"));
    let first = folder.load(None);
    // A file that sorts before it claims the resource too: what runs stays.
    folder.write("d/a.toml", promoter("r", "a.service") + "[promoter.resources.other]\nstart = [\"other.service\"]\n");
    let second = folder.load(Some(&first));
    assert_eq!(resources(&second), [r#"other [Unit("other.service")] a.toml:1"#, r#"r [Unit("b.service")] b.toml:1"#]);
    let told = second.findings;
    expect![[r#"
        error: the DRBD resource `r` is already in another promoter; it is ignored here
         --> d/a.toml:2:21
          |
        2 | [promoter.resources.r]
          |                     ^ ignored
          |
         ::: d/b.toml:2:21
          |
        2 | [promoter.resources.r]
          |                     - it is here, and runs
          |
          = help: a resource may be in one promoter only: remove one of the two
    "#]]
    .assert_eq(&folder.told(&told));

    // At a start the first one has it, each time.
    for _ in 0..3 {
        let start = folder.load(None);
        assert_eq!(resources(&start)[1], r#"r [Unit("a.service")] a.toml:1"#);
        assert_eq!(resources(&start).len(), 2);
        assert!(start.usable && !start.is_clean());
    }
    // Within one file it is the same.
    folder.remove("d/b.toml");
    folder.write("d/a.toml", promoter("r", "a.service") + &promoter("r", "b.service"));
    let one_file = folder.load(None);
    assert_eq!(resources(&one_file), [r#"r [Unit("a.service")] a.toml:1"#]);
}

#[test]
fn two_listeners_on_one_address_are_a_warning() {
    let folder = Folder::with_snippets("listeners");
    folder.write("d/a.toml", "[[prometheus]]\n[[prometheus]]\naddress = \"127.0.0.1:9942\"\n");
    folder.write("d/b.toml", "[[prometheus]]\naddress = \":0\"\n[[prometheus]]\naddress = \":0\"\n");
    let loaded = folder.load(None);
    expect![[r#"
        d/a.toml:3:11: warning: the address `127.0.0.1:9942` is already taken by another prometheus table; d/a.toml:1:1: taken here
    "#]]
    .assert_eq(&folder.lines(&loaded.findings));
    assert!(loaded.is_clean());
}

#[test]
fn two_listeners_on_one_unix_socket_are_a_warning_and_a_group_is_for_a_socket() {
    let folder = Folder::with_snippets("unix-listeners");
    folder.write("d/a.toml", "[[prometheus]]\naddress = \"unix:/run/m.sock\"\nsocket-group = \"www-data\"\n");
    folder
        .write("d/b.toml", "[[prometheus]]\naddress = \"/run/m.sock\"\n[[prometheus]]\nsocket-group = \"www-data\"\n");
    let loaded = folder.load(None);
    expect![[r#"
        d/b.toml:4:16: warning: `socket-group` has no effect: `address` is not a unix socket (remove the line, or write address = "unix:/PATH")
        d/b.toml:2:11: warning: the address `unix:/run/m.sock` is already taken by another prometheus table; d/a.toml:2:11: taken here
    "#]].assert_eq(&folder.lines(&loaded.findings));
    assert!(loaded.is_clean());
}

/// The same table in two files made drbd-reactor exit on a reload.
#[test]
fn equal_tables_in_two_files_are_two_plugins() {
    let folder = Folder::with_snippets("d2");
    folder.write("d/a.toml", DEBUGGER);
    folder.write("d/b.toml", DEBUGGER);
    let loaded = folder.load(None);
    assert!(loaded.is_clean() && loaded.findings.is_empty());
    assert_eq!(kinds(&folder.load(Some(&loaded))).len(), 2);
}

#[test]
fn a_missing_snippets_folder_is_a_warning() {
    let folder = Folder::new("d24");
    folder.write("main.toml", "snippets = \"none\"\n[[debugger]]\n");
    let loaded = folder.load(None);
    assert!(loaded.usable && loaded.is_clean());
    assert_eq!(kinds(&loaded), [PluginKind::Debugger]);
    expect![[r#"
        main.toml:1:12: warning: the snippets folder ./none does not exist (create it, or remove `snippets`)
    "#]]
    .assert_eq(&folder.lines(&loaded.findings).replace("folder none", "folder ./none"));
    // A file in its place counts as missing too.
    folder.write("none", "");
    assert!(folder.load(None).is_clean());
}

/// drbd-reactor compares whole tables; here the settings of every resource can be compared by themselves.
#[test]
fn an_edit_changes_only_what_was_edited() {
    let folder = Folder::with_snippets("d25");
    let both = promoter("a", "a.service") + "[promoter.resources.b]\nstart = [\"b.service\"]\n";
    folder.write("d/a.toml", &both);
    let first = folder.load(None);
    folder.write("d/a.toml", "# a comment\n".to_owned() + &both + "secondary-force = false\n");
    let second = folder.load(Some(&first));
    let (PluginSettings::Promoter(old), PluginSettings::Promoter(new)) =
        (&first.settings.plugins[0].settings, &second.settings.plugins[0].settings)
    else {
        panic!("no promoters")
    };
    assert_eq!(old.resources["a"], new.resources["a"]);
    assert_ne!(old.resources["b"], new.resources["b"]);
}

#[test]
fn files_that_others_can_write_are_refused() {
    let folder = Folder::open_to_all("modes");
    folder.write("d/a.toml", DEBUGGER);
    folder.write("d/b.toml", UMH);
    let first = folder.load(None);
    folder.mode("d/a.toml", 0o646);
    let start = folder.load(None);
    assert_eq!(kinds(&start), [PluginKind::Umh]);
    expect![[r#"
        d/a.toml: error: the file can be written by others than its owner (mode 0646) (chmod go-w d/a.toml)
        d/a.toml: note: nothing of this file runs; the other files do
    "#]]
    .assert_eq(&folder.lines(&start.findings));
    assert_eq!(folder.load(Some(&first)).settings, first.settings);
    folder.mode("d/a.toml", 0o600);
    assert!(folder.load(None).is_clean());
    // Where only root, or who runs the daemon, gets in, nobody else can write.
    folder.mode("d/a.toml", 0o666);
    folder.mode("d", 0o700);
    assert!(folder.load(None).is_clean());
    folder.mode("d/a.toml", 0o644);
    folder.mode("d", 0o755);

    // The folder: whoever can write it can put files there.
    folder.mode("d", 0o1777);
    let start = folder.load(None);
    assert!(start.usable && !start.is_clean());
    assert_eq!(kinds(&start), []);
    let reload = folder.load(Some(&first));
    assert_eq!(reload.settings, first.settings);
    assert_eq!(state_of(&reload, "a.toml"), FileState::LastGood);
    folder.mode("d", 0o755);

    // The main file.
    folder.mode("main.toml", 0o646);
    assert!(!folder.load(None).usable);
    assert!(folder.load(Some(&first)).usable);
    // A check says so too, but looks at the rest as well.
    let options = reactor_config::LoadOptions { trust: Trust::Warn, ..folder.options(Mode::Native) };
    let checked = load(&options, None);
    assert!(checked.is_clean());
    assert_eq!(kinds(&checked).len(), 2);
}

#[test]
fn files_of_other_users_are_refused() {
    let folder = Folder::with_snippets("owner");
    folder.write("d/a.toml", DEBUGGER);
    let mut options = folder.options(Mode::Native);
    if options.uid == 0 {
        // Root may give files away; the folder itself stays root's.
        std::os::unix::fs::chown(folder.path("d/a.toml"), Some(54321), None).unwrap();
        let loaded = load(&options, None);
        assert_eq!(state_of(&loaded, "a.toml"), FileState::Rejected);
        assert!(folder.lines(&loaded.findings).contains("belongs to user 54321"));
        options.uid = 54321;
        assert!(load(&options, None).is_clean(), "the user that the daemon runs as");
    } else {
        // An ordinary user can't, but can ask as if it were somebody else.
        options.uid += 1;
        let loaded = load(&options, None);
        assert!(!loaded.usable);
        assert!(folder.lines(&loaded.findings).contains("belongs to user"));
    }
}

#[test]
fn what_is_no_regular_file_is_left_alone() {
    let folder = Folder::with_snippets("irregular");
    folder.dir("d/folder.toml");
    symlink("nowhere", folder.path("d/.#lock.toml")).unwrap();
    let fifo = rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.path("d/fifo.toml"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    );
    fifo.unwrap();
    folder.write("d/good.toml", DEBUGGER);
    let loaded = folder.load(None);
    assert_eq!(kinds(&loaded), [PluginKind::Debugger]);
    expect![[r#"
        d/.#lock.toml: warning: ignored: there is no regular file
        d/fifo.toml: warning: ignored: there is no regular file
        d/folder.toml: warning: ignored: there is no regular file
    "#]]
    .assert_eq(&folder.lines(&loaded.findings));
}

#[test]
fn a_symlink_is_as_good_as_its_target() {
    let folder = Folder::open_to_all("symlink");
    folder.write("target", DEBUGGER);
    symlink("../target", folder.path("d/link.toml")).unwrap();
    assert_eq!(kinds(&folder.load(None)), [PluginKind::Debugger]);
    folder.mode("target", 0o666);
    let loaded = folder.load(None);
    assert_eq!(kinds(&loaded), []);
    assert_eq!(state_of(&loaded, "link.toml"), FileState::Rejected);
}

#[test]
fn a_huge_file_is_refused() {
    let folder = Folder::with_snippets("huge");
    folder.write("d/a.toml", "#".repeat((1 << 20) + 1));
    folder.write("d/b.toml", "#".repeat(1 << 20));
    let loaded = folder.load(None);
    assert_eq!((state_of(&loaded, "a.toml"), state_of(&loaded, "b.toml")), (FileState::Rejected, FileState::Current));
}

#[test]
fn a_million_mistakes_are_told_in_a_page() {
    let folder = Folder::with_snippets("million");
    folder.write("d/a.toml", (0..50_000).map(|n| format!("key{n} = {n}\n")).collect::<String>());
    folder.write("d/b.toml", "=\n".repeat(100_000));
    folder.write("d/c.toml", format!("a = \"{}\"\n", "x".repeat(1_000_000)));
    let loaded = folder.load(None);
    assert!(loaded.findings.len() < 250, "{}", loaded.findings.len());
    let told = folder.told(&loaded.findings);
    assert!(told.contains("and 49900 more findings in this file"));
    assert!(told.len() < 100_000);
}

#[test]
fn drift_compares_what_runs_with_what_is_on_disk() {
    let folder = Folder::with_snippets("d15");
    folder.write("d/a.toml", DEBUGGER);
    folder.write("d/b.toml", UMH);
    folder.write("d/c.toml", UMH);
    let loaded = folder.load(None);
    let told = |loaded: &Loaded| -> Vec<(String, DriftKind)> {
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        drift(loaded).into_iter().map(|drift| (name(&drift.path), drift.kind)).collect()
    };
    assert_eq!(told(&loaded), []);
    // The same content again is no change, whatever its date says.
    folder.write("d/a.toml", DEBUGGER);
    assert_eq!(told(&loaded), []);

    folder.write("d/a.toml", "[[debugger]\n");
    folder.remove("d/b.toml");
    folder.write("d/d.toml", DEBUGGER);
    let expected = [("a.toml", DriftKind::Changed), ("b.toml", DriftKind::Deleted), ("d.toml", DriftKind::New)];
    assert_eq!(told(&loaded), expected.map(|(name, kind)| (name.to_owned(), kind)));
    assert!(drift(&loaded)[0].modified.is_some());

    // A reload that refuses a file does not make the difference go away.
    let reloaded = folder.load(Some(&loaded));
    assert_eq!(told(&reloaded), [("a.toml".to_owned(), DriftKind::Rejected)]);
    folder.write("d/a.toml", DEBUGGER);
    assert_eq!(told(&reloaded), [], "back to what runs");
    folder.write("main.toml", "snippets = \"d\"\n# changed\n");
    assert_eq!(told(&reloaded), [("main.toml".to_owned(), DriftKind::Changed)]);
}

#[test]
fn a_check_takes_main_files_and_snippets() {
    let folder = Folder::open_to_all("check");
    folder.write("d/a.toml", UMH);
    folder.write("d/b.toml", "log = 1\n");
    let options = folder.options(Mode::Native);
    // Nothing named: what the daemon would load.
    let all = check(&[], &options);
    assert_eq!(all.files.len(), 3);
    expect![[r#"
        d/b.toml:1:1: error: `log` has no effect in a snippet, which may hold plugin tables only (move it to the main file)
    "#]]
    .assert_eq(&folder.lines(&all.findings));
    // A main file by its keys, wherever it is, with its snippets.
    folder.write("other.toml", "snippets = \"d\"\n");
    assert_eq!(check(&[folder.path("other.toml")], &options).files.len(), 3);
    // A snippet by its place, and one that is not there yet; others may still write it.
    assert!(!check(&[folder.path("d/b.toml")], &options).is_clean());
    folder.write("new.toml", promoter("x", "x.service"));
    folder.mode("new.toml", 0o666);
    folder.write("d/c.toml", promoter("x", "y.service"));
    let two = check(&[folder.path("new.toml"), folder.path("d/c.toml")], &options);
    expect![[r#"
        new.toml: warning: the file can be written by others than its owner (mode 0666) (chmod go-w new.toml)
        d/c.toml:2:21: error: the DRBD resource `x` is already in another promoter; it is ignored here (a resource may be in one promoter only: remove one of the two); new.toml:2:21: it is here
    "#]]
    .assert_eq(&folder.lines(&two.findings));
    let missing = check(&[folder.path("none.toml")], &options);
    assert!(!missing.is_clean());
    assert_eq!(missing.findings.len(), 1);
}

#[test]
fn each_mode_has_its_own_paths() {
    assert_eq!(default_config_path(Mode::Native), Path::new("/etc/storage-reactor.toml"));
    assert_eq!(default_config_path(Mode::DrbdReactor), Path::new("/etc/drbd-reactor.toml"));
    assert_eq!(default_snippets_path(Mode::Native), Path::new("/etc/storage-reactor.d"));
    assert_eq!(default_snippets_path(Mode::DrbdReactor), Path::new("/etc/drbd-reactor.d"));
}
