//! DRBD's options of a resource, from what `drbdsetup show` prints. Total: anything that is not understood is not there.

use std::collections::BTreeMap;

use reactor_core::action::{ConnectionOptions, DrbdOptions};
use reactor_core::ids::ResourceName;
use serde_json::Value;

/// `drbdsetup show --show-defaults --json RES` of DRBD 9. `None` = this is not about `resource`.
///
/// A missing list of connections is an empty one: DRBD leaves it out when there are none.
pub fn from_json(text: &str, resource: &str) -> Option<DrbdOptions> {
    let value: Value = serde_json::from_str(text).ok()?;
    let found = match &value {
        Value::Array(list) => list.iter().find(|one| one.get("resource").and_then(Value::as_str) == Some(resource))?,
        one => (one.get("resource")?.as_str() == Some(resource)).then_some(one)?,
    };
    Some(of(found))
}

/// The same without a name: of all resources that DRBD has. What is no JSON has none.
pub fn all_from_json(text: &str) -> BTreeMap<ResourceName, DrbdOptions> {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter_map(|one| Some((ResourceName::new(one.get("resource")?.as_str()?), of(one)))).collect()
}

fn of(found: &Value) -> DrbdOptions {
    let option = |key: &str| found.get("options")?.get(key).and_then(word);
    let connections = found.get("connections").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    DrbdOptions {
        node_id: found.get("_this_host").and_then(|host| number(host.get("node-id")?)),
        auto_promote: option("auto-promote").map(|word| word == "yes"),
        quorum: option("quorum"),
        on_no_quorum: option("on-no-quorum"),
        on_no_data_accessible: option("on-no-data-accessible"),
        on_suspended_primary_outdated: option("on-suspended-primary-outdated"),
        fence_peer: None,
        connections: connections.iter().map(connection).collect(),
    }
}

fn connection(value: &Value) -> ConnectionOptions {
    let net = |key: &str| value.get("net")?.get(key).and_then(word);
    let either = |key: &str| value.get(key).or_else(|| value.get("net")?.get(key));
    ConnectionOptions {
        peer_node_id: either("_peer_node_id").or_else(|| either("_peer-node-id")).and_then(number),
        name: either("_name").and_then(word),
        fencing: net("fencing"),
        rr_conflict: net("rr-conflict"),
        protocol: net("protocol"),
        ping_int: net("ping-int").and_then(|word| word.parse().ok()),
        ping_timeout: net("ping-timeout").and_then(|word| word.parse().ok()),
    }
}

/// A word; DRBD prints switches as booleans and some numbers as strings.
pub(crate) fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(switch) => Some(if *switch { "yes" } else { "no" }.to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn number(value: &Value) -> Option<u32> {
    match value {
        Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// `drbdsetup show RES` of DRBD 8.4, which has no JSON and prints only what is not the default.
///
/// There `fencing` stands with each disk; the resource fences as its least careful disk does. One connection at most, and no quorum.
pub fn from_text84(text: &str, resource: &str) -> Option<DrbdOptions> {
    let mut sections: Vec<&str> = Vec::new();
    let mut volumes = 0;
    let mut fencing: Vec<&str> = Vec::new();
    let mut options = DrbdOptions::default();
    let mut connection = ConnectionOptions::default();
    let mut has_peer = false;
    let mut is_it = false;
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(head) = line.strip_suffix('{') {
            let head = head.trim();
            is_it |= head.strip_prefix("resource").is_some_and(|name| name.trim() == resource);
            has_peer |= head == "_remote_host";
            volumes += usize::from(head.starts_with("volume "));
            sections.push(head);
            continue;
        }
        if line == "}" {
            sections.pop();
            continue;
        }
        let Some((key, value)) = line.trim_end_matches(';').split_once(char::is_whitespace) else { continue };
        let (section, value) = (sections.last().copied().unwrap_or_default(), value.trim());
        match (section, key) {
            ("disk", "fencing") => fencing.push(value),
            ("options", "on-no-data-accessible") => options.on_no_data_accessible = Some(value.to_owned()),
            ("net", "fencing") => connection.fencing = Some(value.to_owned()),
            ("net", "rr-conflict") => connection.rr_conflict = Some(value.to_owned()),
            ("net", "protocol") => connection.protocol = Some(value.to_owned()),
            ("net", "ping-int") => connection.ping_int = value.parse().ok(),
            ("net", "ping-timeout") => connection.ping_timeout = value.parse().ok(),
            _ => {}
        }
    }
    if !is_it {
        return None;
    }
    if connection.fencing.is_none() {
        let careless = fencing.len() < volumes || fencing.contains(&"dont-care");
        let least = fencing.iter().min_by_key(|word| usize::from(**word == "resource-and-stonith"));
        connection.fencing =
            Some(if careless { "dont-care" } else { least.copied().unwrap_or("dont-care") }.to_owned());
    }
    if has_peer {
        options.connections.push(connection);
    }
    Some(options)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As a node of three prints it, shortened.
    const NINE: &str = r#"[{
        "resource": "r1",
        "options": {"auto-promote": false, "quorum": "majority", "on-no-quorum": "io-error",
            "on-no-data-accessible": "io-error", "on-suspended-primary-outdated": "force-secondary"},
        "_this_host": {"node-id": 1, "volumes": [{"volume_nr": 0}]},
        "connections": [
            {"_peer_node_id": 0, "_cstate": "Connected",
             "net": {"fencing": "dont-care", "rr-conflict": "disconnect", "protocol": "C", "_name": "n1"}},
            {"_peer_node_id": 2, "net": {"fencing": "resource-only"}}
        ]
    }]"#;

    #[test]
    fn drbd_9() {
        let options = from_json(NINE, "r1").expect("r1 is there");
        assert_eq!((options.node_id, options.auto_promote), (Some(1), Some(false)));
        assert_eq!(options.quorum.as_deref(), Some("majority"));
        assert_eq!(options.connections[0].name.as_deref(), Some("n1"));
        assert_eq!(options.connections[0].rr_conflict.as_deref(), Some("disconnect"));
        assert_eq!(options.connections[1].fencing.as_deref(), Some("resource-only"));
        assert_eq!(from_json(NINE, "r0"), None);
    }

    #[test]
    fn no_connections_are_no_error() {
        let alone = r#"[{"resource": "r0", "options": {"quorum": "off"}, "_this_host": {"node-id": 0}}]"#;
        let options = from_json(alone, "r0").expect("r0 is there");
        assert_eq!(options.connections, []);
        assert_eq!(options.quorum.as_deref(), Some("off"));
    }

    const EIGHT: &str = "resource r0 {\n    options {\n        on-no-data-accessible\tsuspend-io;\n    }\n    net {\n        \
        ping-int        \t2; # seconds\n    }\n    _remote_host {\n        address\t\t\tipv4 10.77.0.2:7789;\n    }\n    \
        _this_host {\n        volume 0 {\n            device\t\t\tminor 0;\n            disk {\n                \
        fencing         \tresource-and-stonith;\n            }\n        }\n        volume 1 {\n            disk {\n                \
        fencing         \tresource-and-stonith;\n            }\n        }\n    }\n}\n";

    #[test]
    fn drbd_84_fences_as_its_least_careful_disk() {
        let options = from_text84(EIGHT, "r0").expect("r0 is there");
        assert_eq!(options.quorum, None);
        assert_eq!(options.on_no_data_accessible.as_deref(), Some("suspend-io"));
        assert_eq!(options.connections.len(), 1);
        assert_eq!(options.connections[0].fencing.as_deref(), Some("resource-and-stonith"));
        let one = EIGHT.replacen("resource-and-stonith", "resource-only", 1);
        assert_eq!(from_text84(&one, "r0").expect("r0").connections[0].fencing.as_deref(), Some("resource-only"));
        let careless = EIGHT.replacen("fencing         \tresource-and-stonith;", "", 1);
        assert_eq!(from_text84(&careless, "r0").expect("r0").connections[0].fencing.as_deref(), Some("dont-care"));
        assert_eq!(from_text84(EIGHT, "r1"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC*", name in "[a-z]{0,3}") {
            let _ = (from_json(&text, &name), from_text84(&text, &name));
        }

        #[test]
        fn anything_like_it_is_survived(cut in 0..NINE.len(), lost in 0..EIGHT.len()) {
            let _ = (NINE.get(..cut).and_then(|text| from_json(text, "r1")), EIGHT.get(lost..).and_then(|text| from_text84(text, "r0")));
        }
    }
}
