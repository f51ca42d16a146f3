//! JSON schemas of what commands that read print with `--json`: docs/*.schema.json.
//!
//! They are made of the wire types. No key is required and none is refused: keys are only ever added, and one that has nothing to say is absent.

use std::collections::BTreeMap;

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use crate::doctor::Diagnosis;
use crate::history::HistoryEntry;
use crate::plan::PlanStatus;
use crate::{PromotedStatus, Status, WireChange};

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
        ("doctor", of::<Diagnosis>("What `reactorctl doctor --json` prints.")),
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
}

/// What each node would do.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct IfDown {
    /// Of which event that is said.
    event: String,
    /// By the name of the node.
    #[serde(flatten)]
    nodes: BTreeMap<String, NodePlan>,
}

/// What a node has answered.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct NodePlan {
    plan: Option<PlanStatus>,
    /// Why it has not.
    error: Option<String>,
}

fn of<T: JsonSchema>(about: &str) -> Value {
    let mut schema = SchemaGenerator::default().into_root_schema_for::<T>().to_value();
    schema["description"] = Value::from(about);
    schema
}
