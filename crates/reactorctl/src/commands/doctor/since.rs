//! Since when connections are lost, as far as a daemon remembers.

use std::collections::BTreeMap;

use reactor_api::change::WireWhat;
use reactor_api::objects::WireConnection;
use reactor_api::{Status, WireChange};
use reactor_core::doctor::Lost;

use super::ask::CHANGES;
use crate::text::between;

/// Of each connection that does not stand, by resource and peer.
pub(super) fn lost(status: &Status, changes: &[WireChange]) -> BTreeMap<(String, String), Lost> {
    let mut all = BTreeMap::new();
    for resource in &status.resources {
        let connections = resource.connections.iter();
        for connection in connections.filter(|one| one.fields.connection_state != "Connected") {
            if let Some(lost) = since(status, &resource.name, connection, changes) {
                all.insert((resource.name.clone(), connection.display_name()), lost);
            }
        }
    }
    all
}

fn since(status: &Status, resource: &str, connection: &WireConnection, changes: &[WireChange]) -> Option<Lost> {
    let ends = |change: &&WireChange| match &change.what {
        WireWhat::Connection { peer_node_id, old: Some(old), .. } => {
            change.resource == resource
                && *peer_node_id == connection.peer_node_id
                && old.connection_state == "Connected"
        }
        _ => false,
    };
    let end = changes.iter().rev().find(ends).and_then(|change| change.time.as_deref());
    // It has not stood since all that is remembered; and the daemon forgets the oldest only when it remembers so many.
    let oldest =
        || changes.first().filter(|_| changes.len() as u64 >= CHANGES).and_then(|change| change.time.as_deref());
    let (since, at_least) = match end {
        Some(end) => (end, false),
        None => (oldest().unwrap_or(&status.started), true),
    };
    let seconds = between(since, &status.now)?.as_secs();
    Some(Lost { since: since.to_owned(), seconds, at_least })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{BAD, status_of};

    fn change(time: &str, old: &str, new: &str) -> WireChange {
        serde_json::from_value(serde_json::json!({
            "seq": 1, "time": time, "event": "Change", "origin": "live", "is-state": true, "resource": "a",
            "object": "connection", "peer-node-id": 1,
            "old": {"connection-state": old, "name": "n2"}, "new": {"connection-state": new, "name": "n2"},
        }))
        .unwrap()
    }

    #[test]
    fn a_connection_is_lost_since_it_stood_or_for_as_long_as_anybody_remembers() {
        let status = status_of(BAD);
        let to_n2 = |changes: &[WireChange]| lost(&status, changes)[&("a".to_owned(), "n2".to_owned())].clone();
        let at = |since: &str, seconds, at_least| Lost { since: since.to_owned(), seconds, at_least };
        // What was tried since does not begin it anew.
        let tried = [
            change("2026-11-21T05:00:00.000Z", "Connected", "NetworkFailure"),
            change("2026-11-21T05:00:01.000Z", "NetworkFailure", "Unconnected"),
            change("2026-11-21T05:52:00.000Z", "Unconnected", "Connecting"),
        ];
        assert_eq!(to_n2(&tried), at("2026-11-21T05:00:00.000Z", 3130, false));
        assert_eq!(to_n2(&tried[1..]), at("2026-11-21T02:40:00.000Z", 11530, true), "since the daemon has started");
        let many = vec![tried[1].clone(); 1024];
        assert_eq!(to_n2(&many), at("2026-11-21T05:00:01.000Z", 3129, true), "older changes are forgotten");
        let standing = status.resources.iter().flat_map(|one| &one.connections);
        let standing = standing.filter(|one| one.fields.connection_state == "Connected").count();
        let all: usize = status.resources.iter().map(|one| one.connections.len()).sum();
        assert_eq!(lost(&status, &[]).len(), all - standing);
    }
}
