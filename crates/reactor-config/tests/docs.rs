//! The generated documents are those that are in the repository, and what they and the examples show is good.
//! `UPDATE_EXPECT=1` rewrites the documents, as `cargo xtask docs` does.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};

use reactor_config::{Finding, json_schema, parse_text, reference_markdown};
use reactor_core::settings::Mode;

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn has_no_finding(name: &str, text: &str) {
    let (_, findings) = parse_text(&Path::new("/etc").join(name), text, Mode::Native);
    let told: Vec<String> = findings.iter().map(Finding::one_line).collect();
    assert_eq!(told, Vec::<String>::new(), "{text}");
}

#[test]
fn the_reference_page_is_up_to_date() {
    let path = top().join("docs/configuration-reference.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, _) = page.split_once("### ").unwrap();
    expect_test::expect_file![path].assert_eq(&(head.to_owned() + &reference_markdown()));
}

#[test]
fn the_json_schema_is_up_to_date() {
    let schema = json_schema();
    assert!(serde_json::from_str::<serde_json::Value>(&schema).is_ok());
    expect_test::expect_file![top().join("docs/storage-reactor.schema.json")].assert_eq(&schema);
}

#[test]
fn the_examples_of_the_pages_are_good() {
    let mut examples = 0;
    for page in ["configuration.md", "promoter.md", "umh.md", "metrics.md", "notify.md", "recordings.md"] {
        let text = std::fs::read_to_string(top().join("docs").join(page)).unwrap();
        for example in text.split("```toml\n").skip(1) {
            let (text, _) = example.split_once("```").unwrap();
            // Without a plugin table it is a piece of one.
            if text.lines().any(|line| line.starts_with("[[") && !line.contains('.')) {
                has_no_finding(page, text);
                examples += 1;
            }
        }
    }
    assert!(examples >= 3);
}

#[test]
fn the_installed_and_the_example_files_are_good() {
    let mut files = vec![top().join("dist/storage-reactor.toml")];
    files.extend(std::fs::read_dir(top().join("example")).unwrap().map(|entry| entry.unwrap().path()));
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    assert!(files.len() >= 2);
    for file in files {
        has_no_finding("example.toml", &std::fs::read_to_string(file).unwrap());
    }
}
