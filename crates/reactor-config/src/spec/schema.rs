//! The configuration as a JSON schema, for editors.

use serde_json::{Map, Value as Json, json};

use super::{Default, KeySpec, Kind, MAIN, MATCHER, TableSpec, Value, Words};

/// The JSON schema (2020-12) of a main file; a snippet is one with plugin tables only. Ends with a line feed.
pub fn json_schema() -> String {
    let mut schema = table(&MAIN);
    let header = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Storage Reactor configuration",
    });
    if let (Json::Object(schema), Json::Object(header)) = (&mut schema, header) {
        schema.extend(header);
    }
    // The values are strings, numbers, bools, arrays and objects: nothing that could fail.
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

fn table(spec: &TableSpec) -> Json {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in spec.keys() {
        properties.insert(key.name.to_owned(), describe(key));
        if matches!(key.default, Default::Required) {
            required.push(key.name);
        }
    }
    let mut table = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if spec.keys().any(|key| matches!(key.kind, Kind::Foreign)) {
        table["patternProperties"] = json!({ "-metadata$": { "type": "object" } });
    }
    if !required.is_empty() {
        table["required"] = json!(required);
    }
    table
}

fn describe(key: &KeySpec) -> Json {
    let mut schema = kind(key.kind);
    schema["description"] = json!(key.doc);
    if let Default::Value(default) = key.default
        && let Ok(toml::de::DeValue::Integer(number)) = toml::de::DeValue::parse(default).map(toml::Spanned::into_inner)
        && let Ok(number) = i64::from_str_radix(number.as_str(), number.radix())
    {
        schema["default"] = json!(number);
    } else if let Default::Value(default) = key.default {
        schema["default"] = serde_json::from_str(default).unwrap_or(Json::Null);
    }
    schema
}

fn kind(kind: Kind) -> Json {
    match kind {
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Duration { .. } | Kind::DurationOr { .. } => json!({ "type": ["number", "string"], "minimum": 0 }),
        Kind::Size { min, max } => json!({ "type": ["integer", "string"], "minimum": min, "maximum": max }),
        Kind::Text | Kind::Path | Kind::Rate => json!({ "type": "string", "minLength": 1 }),
        Kind::Word(words) => json!({ "enum": words() }),
        Kind::WordList(words) => condition(Value::Word(words)),
        Kind::TextList => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::TextOrList => one_or_list(&json!({ "type": "string", "minLength": 1 })),
        Kind::DayWindows => {
            let item = json!({ "type": "string", "pattern": "^\\s*[0-2]?[0-9]:[0-5][0-9]\\s*-\\s*[0-2]?[0-9]:[0-5][0-9]\\s*$" });
            json!({ "anyOf": [item, { "type": "array", "items": item }] })
        }
        Kind::Map => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Kind::Condition(value) => condition(value),
        Kind::Entries(spec) => {
            json!({ "type": "array", "items": { "anyOf": [{ "type": "string", "minLength": 1 }, table(spec)] } })
        }
        Kind::Any | Kind::Ignored => json!({}),
        Kind::Foreign => json!({ "type": "object" }),
        Kind::Table(spec) => table(spec),
        Kind::Tables(spec) => json!({ "type": "array", "items": table(spec) }),
        Kind::Named(spec) => json!({ "type": "object", "additionalProperties": table(spec) }),
    }
}

fn one_or_list(item: &Json) -> Json {
    json!({ "anyOf": [item, { "type": "array", "items": item, "minItems": 1 }] })
}

fn condition(value: Value) -> Json {
    let item = match value {
        Value::Bool => json!({ "type": "boolean" }),
        Value::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Value::Text => json!({ "type": "string" }),
        Value::Word(words) => json!({ "enum": words() }),
        Value::Set(words) => set(words),
        Value::SetOrBool(words) => json!({ "anyOf": [{ "type": "boolean" }, set(words)] }),
    };
    let mut forms = one_or_list(&item);
    if let Json::Array(forms) = &mut forms["anyOf"] {
        // With `Matches` the value is a regular expression, whatever the type of the field.
        forms.push(table(&MATCHER));
    }
    forms
}

fn set(words: Words) -> Json {
    let any = words().join("|");
    json!({ "type": "string", "pattern": format!("^(no|({any})(,({any}))*)$") })
}
