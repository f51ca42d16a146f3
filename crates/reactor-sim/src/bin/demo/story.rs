//! Tells changes in words, with the reason that an administrator wants to hear.

use reactor_core::api::change::{WireChange, WireWhat};

/// What must have happened by the end; what did not is an error.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The first picture.
    pub(crate) picture: bool,
    /// The link to the node that was switched off broke.
    pub(crate) peer_lost: bool,
    /// DRBD allowed a promotion here.
    pub(crate) may_promote: bool,
    /// This node became Primary.
    pub(crate) primary: bool,
    /// The link to the node that came back was given up.
    pub(crate) standalone: bool,
}

impl Seen {
    /// The first thing that is missing.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        [
            (self.picture, "the first picture of resource r1"),
            (self.peer_lost, "the connection to n1 breaking"),
            (self.may_promote, "DRBD allowing a promotion"),
            (self.primary, "resource r1 becoming Primary"),
            (self.standalone, "the connection to n1 becoming StandAlone"),
        ]
        .into_iter()
        .find_map(|(seen, what)| (!seen).then_some(what))
    }
}

/// One line for a change that matters, `None` for the others.
pub(crate) fn tell(change: &WireChange, seen: &mut Seen) -> Option<String> {
    if change.origin != "live" {
        return first_sight(change, seen);
    }
    match &change.what {
        WireWhat::Resource { old: Some(old), new: Some(new) } if old.role != new.role => {
            seen.primary |= new.role == "Primary";
            Some(format!("role {} -> {}: this node takes over", old.role, new.role))
        }
        WireWhat::Resource { old: Some(old), new: Some(new) } if !old.may_promote && new.may_promote => {
            seen.may_promote = true;
            Some("may-promote no -> yes: data, quorum and peers agree".to_owned())
        }
        WireWhat::Resource { old: Some(old), new: Some(new) } if old.promotion_score != new.promotion_score => {
            let score = |score: Option<i32>| score.map_or_else(|| "?".to_owned(), |score| score.to_string());
            Some(format!("promotion-score {} -> {}", score(old.promotion_score), score(new.promotion_score)))
        }
        WireWhat::Connection { old: Some(old), new: Some(new), .. } if old.connection_state != new.connection_state => {
            let name = new.name.as_deref().unwrap_or("a peer");
            let why = match new.connection_state.as_str() {
                "NetworkFailure" => ": no answer to pings, n1 is gone",
                "Connected" => ": n1 is up again",
                "StandAlone" => ": DRBD gave up, and nothing reconnects this by itself",
                "Connecting" => ": waiting for it",
                _ => return None,
            };
            seen.peer_lost |= new.connection_state == "NetworkFailure";
            seen.standalone |= new.connection_state == "StandAlone";
            Some(format!("connection {name} {} -> {}{why}", old.connection_state, new.connection_state))
        }
        WireWhat::Device { volume, old: Some(old), new: Some(new) } if old.disk_state != new.disk_state => {
            let why = match new.disk_state.as_str() {
                "Consistent" => ": may be outdated, the survivors have to agree first",
                "UpToDate" => ": agreed",
                _ => "",
            };
            Some(format!("device {volume} disk-state {} -> {}{why}", old.disk_state, new.disk_state))
        }
        WireWhat::Helper(helper) if helper.moment == "call" => {
            let of = helper.name.as_deref().map_or_else(String::new, |name| format!(" for {name}"));
            Some(format!("DRBD calls its helper {}{of}", helper.helper))
        }
        _ => None,
    }
}

fn first_sight(change: &WireChange, seen: &mut Seen) -> Option<String> {
    match &change.what {
        WireWhat::Resource { new: Some(new), .. } => {
            seen.picture = true;
            Some(format!(
                "resource {} is {} here, promotion-score {}",
                change.resource,
                new.role,
                new.promotion_score.unwrap_or(0)
            ))
        }
        WireWhat::Connection { new: Some(new), .. } => {
            let name = new.name.as_deref().unwrap_or("a peer");
            Some(format!("connection {name} is {}, peer is {}", new.connection_state, new.peer_role))
        }
        _ => None,
    }
}
