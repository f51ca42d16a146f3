//! Documents that are made from the sources, so that they cannot say anything else than the program does.

use std::collections::BTreeMap;
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

/// The head of the page of metrics.
const METRICS_HEAD: &str = "# Metrics: every family

Written by `cargo xtask docs` from the same tables that write the metrics. [metrics.md](metrics.md) explains them, with what to ask of them and what is worth an alert.
\"Meaning\" is the HELP text, \"key\" what `drbdsetup events2` calls it, and \"when\" says when there are samples, if that is not always: keys are those of
`[[prometheus]]`, if nothing else is said. What a version of DRBD does not say has no sample. Counters that plugins name themselves,
`storage_reactor_KIND_NAME_total`, are in metrics.md.

";

/// A page with a part that is written here, between two lines of it.
struct Part {
    page: &'static str,
    begin: &'static str,
    text: fn() -> String,
}

/// Where such a part ends.
const END: &str = "<!-- end -->\n";

/// All of these.
const PARTS: [Part; 4] = [
    Part {
        page: "docs/control.md",
        begin: "<!-- methods: written by `cargo xtask docs` -->\n",
        text: reactor_api::interface::markdown,
    },
    Part {
        page: "docs/reactorctl.md",
        begin: "<!-- exit codes: written by `cargo xtask docs` -->\n",
        text: reactorctl::exit::markdown,
    },
    Part {
        page: "docs/reactorctl.md",
        begin: "<!-- fields: written by `cargo xtask docs` -->\n",
        text: reactorctl::expression::markdown,
    },
    Part {
        page: "docs/notify.md",
        begin: "<!-- words: written by `cargo xtask docs` -->\n",
        text: reactor_core::notice::words::markdown,
    },
];

/// What commands print with `--json`, in the order in which they are made.
const SCHEMAS: [&str; 18] = [
    "docs/reactorctl-status.schema.json",
    "docs/reactorctl-why.schema.json",
    "docs/reactorctl-plan.schema.json",
    "docs/reactorctl-changes.schema.json",
    "docs/reactorctl-history.schema.json",
    "docs/reactorctl-downtime.schema.json",
    "docs/reactorctl-doctor.schema.json",
    "docs/reactorctl-mon.schema.json",
    "docs/reactorctl-wait.schema.json",
    "docs/reactorctl-ping.schema.json",
    "docs/reactorctl-check.schema.json",
    "docs/reactorctl-leftovers.schema.json",
    "docs/reactorctl-config-ls.schema.json",
    "docs/reactorctl-incidents.schema.json",
    "docs/reactorctl-events.schema.json",
    "docs/reactorctl-block.schema.json",
    "docs/reactorctl-import.schema.json",
    "docs/reactorctl-sync.schema.json",
];

/// All of them. Of pages that are only partly written by us, the rest is as it is below `root`.
fn documents(root: &Path) -> Result<Vec<Document>> {
    let description = reactor_api::interface::description(reactor_api::INTERFACE).context("our own interface")?;
    let mut documents = vec![
        ("docs/configuration-reference.md", REFERENCE_HEAD.to_owned() + &reactor_config::reference_markdown()),
        ("docs/metrics-reference.md", METRICS_HEAD.to_owned() + &reactor_core::metrics::reference_markdown()),
        ("docs/storage-events-catalogue.md", reactor_storage::catalogue::markdown()),
        ("docs/storage-reactor.schema.json", reactor_config::json_schema()),
        ("docs/io.storagereactor.Control.varlink", description),
        ("dist/STORAGE-REACTOR-DRBD-MIB.txt", reactor_core::snmp::mib::text()),
        ("dist/completion/reactorctl.bash", completion("bash")?),
        ("dist/completion/_reactorctl", completion("zsh")?),
        ("dist/completion/reactorctl.fish", completion("fish")?),
    ];
    for (path, (name, schema)) in SCHEMAS.into_iter().zip(reactor_api::schema::all()) {
        anyhow::ensure!(
            path == format!("docs/reactorctl-{name}.schema.json"),
            "{path} is not the place of the schema {name}"
        );
        documents.push((path, serde_json::to_string_pretty(&schema)? + "\n"));
    }
    let mut pages: BTreeMap<&str, String> = BTreeMap::new();
    for part in &PARTS {
        // A page may have several.
        let page = match pages.remove(part.page) {
            Some(page) => page,
            None => fs::read_to_string(root.join(part.page)).with_context(|| format!("reading {}", part.page))?,
        };
        pages.insert(part.page, with_part(&page, part)?);
    }
    documents.extend(pages);
    Ok(documents)
}

/// The script that a shell reads to complete the words of `reactorctl`.
fn completion(shell: &str) -> Result<String> {
    let script = reactorctl::completion::script(shell).with_context(|| format!("no completion for {shell}"))?;
    Ok(String::from_utf8(script)?)
}

/// The page with its part as it should be.
fn with_part(old: &str, Part { page, begin, text }: &Part) -> Result<String> {
    let parts = old.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.with_context(|| format!("{page} has no place for {}", begin.trim_end()))?;
    Ok(format!("{before}{begin}{}{END}{after}", text()))
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
