//! JSON schemas of what commands that read print with `--json`: docs/*.schema.json.
//!
//! They are made of the wire types. No key is required and none is refused: keys are only ever added, and one that has nothing to say is absent.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use crate::doctor::Diagnosis;
use crate::history::HistoryEntry;
use crate::{PromotedStatus, Status, WireChange};

/// Each command, and the schema of what it prints: of those that print one object a line, of a line.
pub fn all() -> Vec<(&'static str, Value)> {
    vec![
        (
            "status",
            of::<Status>("What `reactorctl status --json` prints; with --all, one of these as `status` of each node."),
        ),
        ("why", of::<PromotedStatus>("What `reactorctl why --json` prints.")),
        ("changes", of::<WireChange>("What `reactorctl changes --json` prints in each line.")),
        (
            "history",
            of::<HistoryEntry>("What `reactorctl history --json` and `reactorctl log --json` print in each line."),
        ),
        ("doctor", of::<Diagnosis>("What `reactorctl doctor --json` prints.")),
    ]
}

fn of<T: JsonSchema>(about: &str) -> Value {
    let mut schema = SchemaGenerator::default().into_root_schema_for::<T>().to_value();
    schema["description"] = Value::from(about);
    schema
}
