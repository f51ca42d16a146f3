//! Whether another node can take a resource over, as far as this node can see.

use crate::drbd::{Peer, Resource};

/// What speaks against it; empty = somebody can.
pub(super) fn objections(resource: &Resource) -> Vec<String> {
    let mut why: Vec<String> = resource
        .volumes
        .iter()
        .filter(|volume| volume.has_quorum == Some(false))
        .map(|volume| format!("volume {} has no quorum", volume.number))
        .collect();
    if resource.peers.is_empty() {
        why.push("it has no peer".to_owned());
    }
    let peers: Vec<Option<String>> = resource.peers.iter().map(|peer| objection(resource, peer)).collect();
    if peers.iter().all(Option::is_some) {
        why.extend(peers.into_iter().flatten());
    }
    why
}

/// What speaks against one peer.
fn objection(resource: &Resource, peer: &Peer) -> Option<String> {
    let name = &peer.name;
    if peer.connection != "Connected" {
        return Some(format!("{name} is not connected ({})", peer.connection));
    }
    let bad = resource.volumes.iter().find_map(|volume| match peer.disks.get(&volume.number).map(String::as_str) {
        Some("UpToDate") => None,
        Some(state) => Some((volume.number, state)),
        None => Some((volume.number, "not known")),
    });
    bad.map(|(volume, state)| format!("volume {volume} of {name} is {state}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{BAD, GOOD, status_of};

    fn of(events2: &str) -> Vec<Vec<String>> {
        status_of(events2).resources.iter().map(|wire| objections(&Resource::from(wire))).collect()
    }

    #[test]
    fn one_good_peer_is_enough() {
        assert_eq!(of(GOOD), [Vec::<String>::new()]);
    }

    #[test]
    fn each_reason_is_given() {
        assert_eq!(
            of(BAD)[0],
            ["volume 0 has no quorum", "n2 is not connected (Connecting)", "n3 is not connected (StandAlone)"]
        );
        let half = GOOD.replace("peer-disk:UpToDate", "peer-disk:Inconsistent");
        assert_eq!(of(&half)[0], ["volume 0 of n2 is Inconsistent", "volume 0 of n3 is Diskless"]);
        assert_eq!(objections(&Resource::default()), ["it has no peer"]);
    }
}
