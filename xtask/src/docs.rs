//! Documents that are made from the sources, so that they cannot say anything else than the program does.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::gate::Outcome;

/// Path from the top of the project, and text.
type Document = (&'static str, String);

/// The head of the reference page.
const REFERENCE_HEAD: &str = "# Configuration: every table and key

Written by `cargo xtask docs` from the same tables that check the files. [configuration.md](configuration.md) explains them.
A key with * is one that drbd-reactor does not have.

";

/// All of them.
fn documents() -> Vec<Document> {
    vec![
        ("docs/configuration-reference.md", REFERENCE_HEAD.to_owned() + &reactor_config::reference_markdown()),
        ("docs/storage-reactor.schema.json", reactor_config::json_schema()),
    ]
}

/// Writes them.
pub(crate) fn write(root: &Path) -> Result<()> {
    for (path, text) in documents() {
        fs::write(root.join(path), text).with_context(|| format!("writing {path}"))?;
    }
    Ok(())
}

/// Compares them with what is there.
pub(crate) fn check(root: &Path) -> Result<Outcome> {
    let old: Vec<&str> = documents()
        .into_iter()
        .filter(|(path, text)| fs::read_to_string(root.join(path)).ok().as_ref() != Some(text))
        .map(|(path, _)| path)
        .collect();
    if old.is_empty() {
        return Ok(Outcome::Passed);
    }
    Ok(Outcome::Failed(format!("run `cargo xtask docs`; these are not what the sources say: {}", old.join(", "))))
}
