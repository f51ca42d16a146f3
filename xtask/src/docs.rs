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

/// The page with the table of methods, which stands between two lines of it.
const CONTROL: (&str, &str, &str) =
    ("docs/control.md", "<!-- methods: written by `cargo xtask docs` -->\n", "<!-- end -->\n");

/// All of them. Of pages that are only partly written by us, the rest is as it is below `root`.
fn documents(root: &Path) -> Result<Vec<Document>> {
    let description = reactor_api::interface::description(reactor_api::INTERFACE).context("our own interface")?;
    Ok(vec![
        ("docs/configuration-reference.md", REFERENCE_HEAD.to_owned() + &reactor_config::reference_markdown()),
        ("docs/storage-reactor.schema.json", reactor_config::json_schema()),
        ("docs/io.storagereactor.Control.varlink", description),
        (CONTROL.0, with_methods(root)?),
    ])
}

/// The page on the control socket with its table of methods.
fn with_methods(root: &Path) -> Result<String> {
    let (path, begin, end) = CONTROL;
    let text = fs::read_to_string(root.join(path)).with_context(|| format!("reading {path}"))?;
    let parts = text.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once(end)?.1)));
    let (before, after) = parts.with_context(|| format!("{path} has no place for the table of methods"))?;
    Ok(format!("{before}{begin}{}{end}{after}", reactor_api::interface::markdown()))
}

/// Writes them.
pub(crate) fn write(root: &Path) -> Result<()> {
    for (path, text) in documents(root)? {
        fs::write(root.join(path), text).with_context(|| format!("writing {path}"))?;
    }
    Ok(())
}

/// Compares them with what is there.
pub(crate) fn check(root: &Path) -> Result<Outcome> {
    let old: Vec<&str> = documents(root)?
        .into_iter()
        .filter(|(path, text)| fs::read_to_string(root.join(path)).ok().as_ref() != Some(text))
        .map(|(path, _)| path)
        .collect();
    if old.is_empty() {
        return Ok(Outcome::Passed);
    }
    Ok(Outcome::Failed(format!("run `cargo xtask docs`; these are not what the sources say: {}", old.join(", "))))
}
