//! What stands in the file: how it is understood, and how it is written without losing what was not.
//!
//! A file of a newer program stays one: what this one does not know is kept where it stands. What is not understood at all is kept under
//! another name by who writes, and leaves a [`Doubt`] behind.

use std::collections::{BTreeMap, BTreeSet};

use reactor_core::ids::ResourceName;
use reactor_core::operator::{Hold, Memory};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

const FORMAT: &str = "storage-reactor-promoter";

/// What this program writes, and reads for sure.
const VERSION: u64 = 1;

/// Names of a resource's values that this program writes.
const KNOWN: [&str; 6] = ["hold", "failures", "blocked-since", "last-failure", "frozen", "frozen-units"];

/// Nobody knows what was held: whatever was not said since may be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Doubt {
    /// Why.
    pub why: String,
    /// The file in the state folder that was not understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_as: Option<String>,
    /// Resources of which it is known what holds: they have been held because of the doubt, and people have released them since, or not.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub known: BTreeSet<ResourceName>,
}

impl Doubt {
    /// The hold of a resource that may have been held.
    pub fn hold(why: &str) -> Hold {
        Hold {
            who: WHO.to_owned(),
            why: format!("it may have been held before, which is not known ({why}); release it if it was not"),
            since: 0,
            ..Hold::default()
        }
    }

    /// Whether a hold is one of these.
    pub fn is_behind(hold: &Hold) -> bool {
        hold.who == WHO && hold.since == 0
    }
}

const WHO: &str = "storage-reactor itself";

/// What was read, besides what it says of resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    document: Map<String, Value>,
    /// The file must be kept under another name before it is replaced.
    pub(super) aside: bool,
}

impl Kept {
    /// A file of which nothing is known.
    pub(super) fn aside() -> Self {
        Self { document: Map::new(), aside: true }
    }
}

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Understood {
    pub(super) memories: BTreeMap<ResourceName, Memory>,
    pub(super) drain: Option<Hold>,
    pub(super) problems: Vec<String>,
    pub(super) doubt: Option<Doubt>,
    pub(super) kept: Kept,
}

/// Reads a file. What is not understood is a doubt, never nothing.
pub(super) fn understand(text: &[u8]) -> Understood {
    match serde_json::from_slice::<Map<String, Value>>(text) {
        Err(error) => in_doubt(format!("not understood: {error}")),
        Ok(document) if document.get("format").and_then(Value::as_str) != Some(FORMAT) => {
            in_doubt(format!("not a file of this program: format is not {FORMAT}"))
        }
        Ok(document) => of_document(document),
    }
}

fn in_doubt(why: String) -> Understood {
    let doubt = Doubt { why: why.clone(), ..Doubt::default() };
    Understood { problems: vec![why], doubt: Some(doubt), kept: Kept::aside(), ..Understood::default() }
}

fn of_document(document: Map<String, Value>) -> Understood {
    let mut out = Understood::default();
    let number = |key: &str| document.get(key).and_then(Value::as_u64);
    let (version, readable_by) = (number("version"), number("readable-by"));
    out.doubt = document.get("doubt").and_then(|doubt| serde_json::from_value(doubt.clone()).ok());
    if readable_by.or(version).is_none_or(|needed| needed > VERSION) {
        let version = version.map_or("unknown".to_owned(), |version| version.to_string());
        let why = format!("version {version} was written by a newer program; this one reads {VERSION}");
        out.problems.push(why.clone());
        let known = out.doubt.take().map(|doubt| doubt.known).unwrap_or_default();
        out.doubt = Some(Doubt { why, kept_as: None, known });
    }
    match document.get("drain").map(|drain| serde_json::from_value(drain.clone())).transpose() {
        Ok(drain) => out.drain = drain,
        // Nobody knows what was meant: whatever runs is left alone, and nothing is started.
        Err(error) => {
            let why = format!("drain: not understood: {error}");
            out.problems.push(why.clone());
            out.kept.aside = true;
            out.doubt.get_or_insert_default().why = why;
        }
    }
    match document.get("resources").and_then(Value::as_object) {
        Some(resources) => {
            for (name, value) in resources {
                let memory = serde_json::from_value(value.clone()).unwrap_or_else(|error| {
                    let why = format!("resource {}: not understood: {error}", name.escape_debug());
                    out.problems.push(why.clone());
                    out.kept.aside = true;
                    Memory { hold: Some(Doubt::hold(&why)), ..Memory::default() }
                });
                if memory != Memory::default() {
                    out.memories.insert(ResourceName::new(name), memory);
                }
            }
        }
        None => {
            let why = "it has no table of resources".to_owned();
            out.problems.push(why.clone());
            out.kept.aside = true;
            out.doubt = Some(Doubt { why, ..Doubt::default() });
        }
    }
    out.kept.document = document;
    out
}

/// The text of a file with these memories, and with all of the last one that this program does not know.
pub(super) fn render(
    memories: &BTreeMap<ResourceName, Memory>,
    drain: Option<&Hold>,
    doubt: Option<&Doubt>,
    kept: &Kept,
) -> serde_json::Result<Vec<u8>> {
    let mut document = kept.document.clone();
    let old = match document.remove("resources") {
        Some(Value::Object(old)) => old,
        _ => Map::new(),
    };
    document.insert("format".to_owned(), json!(FORMAT));
    let newer = document.get("version").and_then(Value::as_u64).is_some_and(|version| version > VERSION);
    if !newer {
        document.insert("version".to_owned(), json!(VERSION));
    }
    let old_drain = document.remove("drain");
    if let Some(drain) = drain {
        // It may have more than this program knows of it.
        let same = |old: &Value| serde_json::from_value::<Hold>(old.clone()).is_ok_and(|old| old == *drain);
        let value = old_drain.filter(same).map_or_else(|| serde_json::to_value(drain), Ok)?;
        document.insert("drain".to_owned(), value);
    }
    document.remove("doubt");
    if let Some(doubt) = doubt {
        document.insert("doubt".to_owned(), serde_json::to_value(doubt)?);
    }
    let mut resources = Map::new();
    for (name, value) in &old {
        let unknown = unknown_of(value);
        if !unknown.is_empty() {
            resources.insert(name.clone(), Value::Object(unknown));
        }
    }
    for (name, memory) in memories {
        let name = name.to_string();
        let mut entry = old.get(&name).map(unknown_of).unwrap_or_default();
        if let Value::Object(known) = serde_json::to_value(memory)? {
            entry.extend(known);
        }
        // A hold that is the same may have more than this program knows of it.
        if let (Some(hold), Some(raw)) = (&memory.hold, old.get(&name).and_then(|old| old.get("hold")))
            && serde_json::from_value::<Hold>(raw.clone()).is_ok_and(|old| old == *hold)
        {
            entry.insert("hold".to_owned(), raw.clone());
        }
        resources.insert(name, Value::Object(entry));
    }
    document.insert("resources".to_owned(), Value::Object(resources));
    let mut text = serde_json::to_vec_pretty(&document)?;
    text.push(b'\n');
    Ok(text)
}

fn unknown_of(value: &Value) -> Map<String, Value> {
    let Value::Object(object) = value else { return Map::new() };
    object
        .iter()
        .filter(|(key, _)| !KNOWN.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
