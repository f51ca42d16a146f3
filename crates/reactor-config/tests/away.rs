//! What is away is not what was removed: a reload must not stop services because a disk is not there (at the moment).
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::os::unix::fs::symlink;

use common::{Folder, errors, kinds};
use expect_test::expect;
use reactor_config::{FileState, Loaded};
use reactor_core::settings::PluginKind;

const DEBUGGER: &str = "[[debugger]]\n";
const UMH: &str = "[[umh]]\n[[umh.resource]]\ncommand = \"true\"\nevent-type = \"Change\"\n";

fn running(name: &str) -> (Folder, Loaded) {
    let folder = Folder::with_snippets(name);
    folder.write("d/a.toml", DEBUGGER);
    folder.write("d/b.toml", UMH);
    let loaded = folder.load(None);
    assert!(loaded.is_clean());
    (folder, loaded)
}

/// What ran before goes on, an error says why, and the next reload from there is no different.
#[track_caller]
fn keeps(folder: &Folder, before: &Loaded) -> String {
    let mut previous = folder.load(Some(before));
    let told = folder.lines(&previous.findings);
    for _ in 0..2 {
        assert_eq!(previous.settings, before.settings, "{told}");
        assert!(previous.usable && !previous.is_clean(), "{told}");
        assert!(previous.files.iter().any(|file| file.state == FileState::LastGood), "{told}");
        previous = folder.load(Some(&previous));
    }
    told
}

#[test]
fn a_folder_that_is_gone_is_away() {
    let (folder, first) = running("away-gone");
    std::fs::rename(folder.path("d"), folder.path("elsewhere")).unwrap();
    expect![[r#"
        d: error: the snippets folder does not exist, but what was read from it runs (mount or restore it; to stop everything that was in it, make an empty file empty.toml with a comment there, or remove `snippets` from the main file)
    "#]]
    .assert_eq(&keeps(&folder, &first));
    // At the start nothing runs, and it is a warning as it ever was.
    assert!(folder.load(None).is_clean());
    // It is back.
    let kept = folder.load(Some(&first));
    std::fs::rename(folder.path("elsewhere"), folder.path("d")).unwrap();
    let back = folder.load(Some(&kept));
    assert!(back.is_clean());
    assert_eq!(back.settings, first.settings);
}

/// An unmount leaves the empty folder below, which is another one. So does `mv d d.old; mkdir d`.
#[test]
fn another_folder_with_nothing_in_it_is_away() {
    let (folder, first) = running("away-unmounted");
    std::fs::rename(folder.path("d"), folder.path("mounted")).unwrap();
    folder.dir("d");
    folder.dir("d/lost+found");
    folder.write("d/README", "mount point");
    expect![[r#"
        d: error: this is another folder than the one that was read before, and there is no configuration in it (mount or restore what was here; if it is meant to be empty, put a file with a comment into it, for example empty.toml)
    "#]]
    .assert_eq(&keeps(&folder, &first));
    // Whoever replaced it wanted to: there is a configuration in it, or one that is disabled.
    let kept = folder.load(Some(&first));
    folder.write("d/a.toml.disabled", DEBUGGER);
    let wished = folder.load(Some(&kept));
    assert!(wished.is_clean());
    assert_eq!(kinds(&wished), []);
    // From here on this folder is the one.
    folder.remove("d/a.toml.disabled");
    assert!(folder.load(Some(&wished)).is_clean());
}

#[test]
fn what_is_removed_from_the_same_folder_is_removed() {
    let (folder, first) = running("away-removed");
    folder.remove("d/a.toml");
    let one = folder.load(Some(&first));
    assert!(one.is_clean());
    assert_eq!(kinds(&one), [PluginKind::Umh]);
    folder.remove("d/b.toml");
    let none = folder.load(Some(&one));
    assert!(none.is_clean());
    assert_eq!(kinds(&none), []);
    // No `snippets`, or another folder that is empty: the main file says so.
    folder.dir("other");
    for main in ["[[debugger]]\n", "snippets = \"other\"\n[[debugger]]\n"] {
        folder.write("main.toml", main);
        let wished = folder.load(Some(&first));
        assert!(wished.is_clean(), "{main}");
        assert_eq!(kinds(&wished), [PluginKind::Debugger], "{main}");
    }
    // Another folder that does not exist is a mistake.
    folder.write("main.toml", "snippets = \"typo\"\n");
    let mistaken = folder.load(Some(&first));
    assert!(!mistaken.is_clean());
    assert_eq!(mistaken.settings.plugins, first.settings.plugins);
}

#[test]
fn a_main_file_that_is_gone_or_empty_is_away() {
    let (folder, first) = running("away-main");
    for text in ["", "\n \n"] {
        folder.write("main.toml", text);
        let told = keeps(&folder, &first);
        assert!(told.starts_with("main.toml: error: the file is empty, but what it said before runs"), "{told}");
    }
    folder.remove("main.toml");
    keeps(&folder, &first);
    // A comment is a wish, and an empty file at the start is one too.
    folder.write("main.toml", "# nothing\n");
    let wished = folder.load(Some(&first));
    assert!(wished.is_clean());
    assert_eq!(kinds(&wished), []);
    folder.write("main.toml", "");
    assert!(folder.load(None).is_clean());
    assert!(folder.load(Some(&wished)).is_clean());
}

#[test]
fn a_snippet_without_text_or_behind_a_broken_link_is_away() {
    let (folder, first) = running("away-snippet");
    folder.write("d/b.toml", "");
    expect![[r#"
        d/b.toml: error: the file is empty, but what it said before runs (restore it; to stop what it said, remove it, or rename it to .toml.disabled)
        d/b.toml: note: the last good version of this file goes on running
    "#]]
    .assert_eq(&keeps(&folder, &first));
    folder.remove("d/b.toml");
    symlink("/nowhere/b.toml", folder.path("d/b.toml")).unwrap();
    keeps(&folder, &first);
    folder.remove("d/b.toml");
    folder.dir("d/b.toml");
    keeps(&folder, &first);
    // What never ran is no loss.
    assert_eq!(errors(&folder.load(None).findings).len(), 0);
}

/// The files stay the same ones for those who compare them with the disk.
#[test]
fn what_is_kept_is_shown_as_not_on_the_disk() {
    let (folder, first) = running("away-drift");
    std::fs::rename(folder.path("d"), folder.path("elsewhere")).unwrap();
    let kept = folder.load(Some(&first));
    let drift = reactor_config::drift(&kept);
    let kinds: Vec<_> = drift.iter().map(|drift| drift.kind.as_str()).collect();
    assert_eq!(kinds, ["deleted", "deleted"]);
}
