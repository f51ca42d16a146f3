//! Mistakes that people make, and what they are told: every `mistakes/NAME.toml` with its `NAME.expect` beside it.
//! `UPDATE_EXPECT=1` rewrites the expectations.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use reactor_config::{Style, parse_text};
use reactor_core::settings::Mode;

/// All findings of a file as they are printed, in long form and in one line each.
fn told(name: &str, text: &str) -> String {
    let mode = if text.starts_with("# mode: compat") { Mode::DrbdReactor } else { Mode::Native };
    let (_, findings) = parse_text(Path::new(name), text, mode);
    let mut told = String::new();
    for finding in &findings {
        told.push_str(&finding.render(Style::Plain));
        told.push_str("\n\n");
    }
    for finding in &findings {
        told.push_str(&finding.one_line());
        told.push('\n');
    }
    told
}

#[test]
fn mistakes_are_explained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes");
    let mut kinds = 0;
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "toml")) {
        let text = std::fs::read_to_string(file).unwrap();
        let told = told(file.file_name().unwrap().to_str().unwrap(), &text);
        assert!(!told.is_empty(), "{} has no finding", file.display());
        expect_test::expect_file![file.with_extension("expect")].assert_eq(&told);
        kinds += 1;
    }
    assert!(kinds >= 20, "only {kinds} kinds of mistakes");
}

#[test]
fn no_secret_is_printed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes");
    for name in ["secrets", "secrets-in-a-broken-file"] {
        let text = std::fs::read_to_string(folder.join(name).with_extension("toml")).unwrap();
        assert!(text.contains("S3CRET"));
        let told = told(name, &text);
        assert!(!told.contains("S3CRET") && !told.contains("12345"), "{told}");
        for mode in [Mode::Native, Mode::DrbdReactor] {
            let (_, findings) = parse_text(Path::new(name), &text, mode);
            assert!(!findings.iter().any(|finding| finding.render(Style::Coloured).contains("S3CRET")));
            assert!(!format!("{findings:?}").contains("S3CRET"), "not even by Debug");
        }
    }
}

#[test]
fn colours_are_only_colours() {
    let text = "[[umh]]\n[[umh.resource]]\nnew.role = \"Primry\"\n";
    let (_, findings) = parse_text(Path::new("a.toml"), text, Mode::Native);
    for finding in &findings {
        let coloured = finding.render(Style::Coloured);
        assert!(coloured.contains("\u{1b}["));
        assert!(!finding.render(Style::Plain).contains('\u{1b}'));
    }
}

#[test]
fn a_finding_is_one_line_in_a_log() {
    let text = "\"a\\nb\\u001b[31m\" = 1\n";
    let (_, findings) = parse_text(Path::new("a.toml"), text, Mode::Native);
    let line = findings[0].one_line();
    assert!(!line.chars().any(char::is_control), "{line:?}");
    assert!(line.starts_with("a.toml:1:1: error: unknown key"), "{line}");
}
