//! JSON schemas of what commands that read print with `--json`: docs/*.schema.json.
//!
//! They are made of the wire types. No key is required and none is refused: keys are only ever added, and one that has nothing to say is absent.

mod block;

use std::collections::BTreeMap;

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use crate::doctor::{Diagnosis, Finding};
use crate::history::{Downtime, HistoryEntry};
use crate::plan::PlanStatus;
use crate::promoted::HoldStatus;
use crate::sync::SyncReport;
use crate::{PromotedStatus, Status, WireChange, WireEvent, WireIncident};

/// Each command, and the schema of what it prints: of those that print one object a line, of a line.
pub fn all() -> Vec<(&'static str, Value)> {
    vec![
        (
            "status",
            of::<Status>("What `reactorctl status --json` prints; with --all, one of these as `status` of each node."),
        ),
        ("why", of::<Why>("What `reactorctl why --json` prints.")),
        (
            "plan",
            of::<PlanStatus>("What `reactorctl plan --json` prints; with --all, one of these as `plan` of each node."),
        ),
        ("changes", of::<WireChange>("What `reactorctl changes --json` prints in each line.")),
        (
            "history",
            of::<HistoryEntry>("What `reactorctl history --json` and `reactorctl log --json` print in each line."),
        ),
        ("downtime", of::<Downtime>("What `reactorctl history --downtime --json` prints in each line.")),
        ("doctor", of::<Diagnosis>("What `reactorctl doctor --json` prints.")),
        ("mon", of::<Mon>("What `reactorctl mon --json` prints.")),
        ("wait", of::<Wait>("What `reactorctl wait --json` prints.")),
        ("ping", of::<Ping>("What `reactorctl ping --json` prints.")),
        ("check", of::<Check>("What `reactorctl check --json` prints.")),
        ("leftovers", of::<Leftovers>("What `reactorctl leftovers --json` prints.")),
        ("config-ls", of::<ConfigLs>("What `reactorctl config ls --json` prints.")),
        (
            "incidents",
            of::<WireIncident>(
                "What `reactorctl incidents --json` prints in each line, and `reactorctl incident show --json`.",
            ),
        ),
        (
            "events",
            of::<WireEvent>(
                "What `reactorctl events query --json`, `events follow --json` and `events parse --json` print in each line.",
            ),
        ),
        ("block", of::<block::Block>("What `reactorctl block --json` prints.")),
        ("import", of::<Import>("What `reactorctl import opensvc --json` prints.")),
        ("sync", of::<SyncReport>("What `reactorctl sync --json` prints.")),
    ]
}

/// The report, and what `reactorctl` adds to it.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Why {
    #[serde(flatten)]
    report: PromotedStatus,
    /// What would be done now. Not with a daemon that is older.
    plan: Option<PlanStatus>,
    /// What would happen if the node died on which it runs.
    if_down: Option<IfDown>,
    /// Storage incidents that touch it.
    incidents: Option<Vec<WireIncident>>,
    /// With --all: what the daemons of the other nodes say, by the name of the node.
    others: Option<BTreeMap<String, Other>>,
}

/// Another node.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Other {
    /// What its promoter says of the resource; null if none has it there.
    report: Option<PromotedStatus>,
    /// Who has drained that node; null if nobody has.
    drained: Option<HoldStatus>,
    /// Why it could not take the resource over from here; empty if it could.
    obstacles: Option<Vec<String>>,
    /// Why it does not say how it is.
    error: Option<String>,
}

/// What each node would do.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct IfDown {
    /// Of which event that is said.
    event: String,
    /// By the name of the node.
    nodes: BTreeMap<String, NodePlan>,
    /// The nodes that would start it first: none, one, or several that are equal.
    starts: Vec<String>,
}

/// What a node has answered.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct NodePlan {
    plan: Option<PlanStatus>,
    /// Why it has not.
    error: Option<String>,
}

/// All nodes, and all resources on each.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Mon {
    /// By the name of the node.
    nodes: BTreeMap<String, MonNode>,
    /// By the name of the resource, then by that of the node.
    resources: BTreeMap<String, BTreeMap<String, MonCell>>,
}

/// A node.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct MonNode {
    /// Whether it answers now.
    answers: bool,
    /// When it said what is known of it, RFC 3339 in UTC.
    said: Option<String>,
    /// Why it does not answer.
    error: Option<String>,
}

/// A resource on a node.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct MonCell {
    /// The promoter's word; null if none has it there.
    state: Option<String>,
    /// DRBD's role; null if DRBD does not have it there.
    role: Option<String>,
    /// How bad the worst of its problems is: `bad`, `degraded` or `note`.
    severity: Option<String>,
    /// The worst of its problems there.
    problem: Option<String>,
}

/// How a wait has ended.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Wait {
    /// `met`, `timed-out` or `gone`.
    result: String,
    /// The resource.
    resource: String,
    /// The condition, written out.
    condition: String,
    /// How long it was waited for, in milliseconds.
    waited_ms: u64,
    /// By the name of the node.
    nodes: BTreeMap<String, WaitNode>,
}

/// A node of which something was waited for.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct WaitNode {
    /// Whether it is so there.
    met: bool,
    /// The node has no such resource.
    absent: Option<bool>,
    /// Why nothing is known of it.
    error: Option<String>,
    /// What is missing.
    missing: Option<Vec<WaitMissing>>,
}

/// A part of the condition that is not met.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct WaitMissing {
    /// The part.
    part: String,
    /// How it is in place of that.
    is: Vec<String>,
}

/// The daemon that answers.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Ping {
    /// Its version.
    version: String,
    /// Its process.
    pid: i64,
    /// For how long it runs, in milliseconds.
    running_ms: u64,
    /// How long its answer took, in milliseconds.
    took_ms: f64,
}

/// What was found in the configuration.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Check {
    /// How many files were read.
    files: u64,
    /// How many findings are errors: those are not taken.
    errors: u64,
    /// How many are warnings.
    warnings: u64,
    /// What was found.
    findings: Vec<Finding>,
}

/// What came of the file of another program.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Import {
    /// `imported`; `no-drbd`: the service has no DRBD resource; `errors`: the file has errors. With the last two there are no files.
    verdict: String,
    /// Name of the service.
    service: String,
    /// As this node sees it; empty if none is known.
    node: String,
    /// The configuration, then the unit files that it needs.
    files: Vec<ImportedFile>,
    /// Lines that could not be read.
    errors: Vec<ImportProblem>,
    /// What is to know beside the keys.
    notes: Vec<String>,
    /// What became of each key, in the order of the file.
    keys: Vec<ImportedKey>,
}

/// A file to be written.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct ImportedFile {
    /// Without a folder.
    name: String,
    text: String,
}

/// A line that could not be read.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct ImportProblem {
    /// Counted from 1.
    line: u64,
    message: String,
}

/// A key of the file.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct ImportedKey {
    /// Counted from 1.
    line: u64,
    section: String,
    /// With its scope.
    key: String,
    /// `taken`, `changed` or `dropped`.
    fate: String,
    reason: String,
}

/// What an earlier drbd-reactor left.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Leftovers {
    /// Paths that were found, or with --remove those that were removed.
    files: Vec<String>,
    /// Whether they were to be removed.
    removed: bool,
    /// What was not removed because its services run: path and reason.
    kept: Vec<String>,
    /// What could not be looked at or removed.
    errors: Vec<String>,
}

/// The snippets.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct ConfigLs {
    /// In the order of their names.
    snippets: Vec<Snippet>,
}

/// A snippet.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Snippet {
    /// Its name, without `.toml`.
    name: String,
    /// Its file.
    path: String,
    /// Whether the daemon reads it.
    enabled: bool,
    /// Its plugins.
    plugins: Vec<SnippetPlugin>,
    /// What is wrong with it; null if nothing is.
    error: Option<String>,
}

/// A plugin of a snippet.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct SnippetPlugin {
    /// Its kind, as its table is called.
    kind: String,
    /// What it promotes.
    resources: Vec<String>,
}

fn of<T: JsonSchema>(about: &str) -> Value {
    let mut schema = SchemaGenerator::default().into_root_schema_for::<T>().to_value();
    schema["description"] = Value::from(about);
    schema
}
