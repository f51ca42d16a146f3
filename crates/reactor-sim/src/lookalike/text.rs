//! What people read: `drbdsetup status` and `show` without `--json`.

use std::fmt::Write as _;

use serde_json::Value;

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    match &value[key] {
        Value::String(text) => text,
        Value::Bool(true) => "yes",
        Value::Bool(false) => "no",
        _ => "",
    }
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

/// `drbdsetup status`, from `drbdsetup status --json`.
pub(super) fn status(json: &Value, verbose: bool) -> String {
    let mut out = String::new();
    let resources = json.as_array().map_or(&[][..], Vec::as_slice);
    if resources.is_empty() {
        out.push_str("# No currently configured DRBD found.\n");
    }
    for resource in resources {
        let _ = write!(out, "{}", word(resource, "name"));
        if verbose {
            let _ = write!(out, " node-id:{}", resource["node-id"]);
        }
        let _ = write!(out, " role:{}", word(resource, "role"));
        if verbose || resource["suspended"] == true {
            let _ = write!(out, " suspended:{}", suspended(resource));
        }
        if verbose || resource["force-io-failures"] == true {
            let _ = write!(out, " force-io-failures:{}", word(resource, "force-io-failures"));
        }
        out.push('\n');
        for device in list(resource, "devices") {
            out.push_str("  ");
            if verbose || resource["devices"].as_array().is_some_and(|devices| devices.len() > 1) {
                let _ = write!(out, "volume:{} ", device["volume"]);
            }
            if verbose {
                let _ = write!(out, "minor:{} ", device["minor"]);
            }
            let _ = write!(out, "disk:{}", word(device, "disk-state"));
            if verbose || device["quorum"] == false {
                let _ = write!(out, " quorum:{}", word(device, "quorum"));
            }
            let _ = writeln!(out, " open:{}", word(device, "open"));
        }
        for connection in list(resource, "connections") {
            peer(&mut out, connection, verbose);
        }
        out.push('\n');
    }
    out
}

fn suspended(resource: &Value) -> String {
    let reasons = ["user", "no-data", "fencing", "quorum"];
    let on: Vec<&str> = reasons.into_iter().filter(|reason| resource[format!("suspended-{reason}")] == true).collect();
    if on.is_empty() { "no".to_owned() } else { on.join(",") }
}

fn peer(out: &mut String, connection: &Value, verbose: bool) {
    let _ = write!(out, "  {}", word(connection, "name"));
    if verbose {
        let _ = write!(out, " node-id:{}", connection["peer-node-id"]);
    }
    let connected = word(connection, "connection-state") == "Connected";
    if verbose || !connected {
        let _ = write!(out, " connection:{}", word(connection, "connection-state"));
    }
    if verbose || connected {
        let _ = write!(out, " role:{}", word(connection, "peer-role"));
    }
    out.push('\n');
    if !connected && !verbose {
        return;
    }
    for device in list(connection, "peer_devices") {
        out.push_str("    ");
        if verbose || connection["peer_devices"].as_array().is_some_and(|devices| devices.len() > 1) {
            let _ = write!(out, "volume:{} ", device["volume"]);
        }
        let replication = word(device, "replication-state");
        if verbose || replication != "Established" {
            let _ = write!(out, "replication:{replication} ");
        }
        let _ = writeln!(out, "peer-disk:{}", word(device, "peer-disk-state"));
    }
}

/// `drbdsetup show`, from its JSON: the form of a configuration file.
pub(super) fn show(json: &Value) -> String {
    let mut out = String::new();
    for resource in json.as_array().into_iter().flatten() {
        let _ = writeln!(out, "resource \"{}\" {{", word(resource, "resource"));
        section(&mut out, "options", &resource["options"], 4);
        for connection in list(resource, "connections") {
            let _ = writeln!(out, "    connection {{\n        _peer_node_id {};", connection["_peer_node_id"]);
            section(&mut out, "net", &connection["net"], 8);
            out.push_str("    }\n");
        }
        out.push_str("}\n\n");
    }
    out
}

fn section(out: &mut String, name: &str, values: &Value, indent: usize) {
    let _ = writeln!(out, "{:indent$}{name} {{", "");
    for (key, value) in values.as_object().into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(on) => if *on { "yes" } else { "no" }.to_owned(),
            other => other.to_string(),
        };
        let _ = writeln!(out, "{:indent$}    {key} {text};", "");
    }
    let _ = writeln!(out, "{:indent$}}}", "");
}
