//! A helper call that waits for an answer: which object it is about, and which rule answers it.

use crate::action::HelperCall;
use crate::ids::{Minor, PeerNodeId, ResourceName, Volume};
use crate::model::Node;
use crate::settings::umh::{HelperMoment, Rule, When};

use super::matcher::{accepts, meets};

/// A call, with its object looked up.
pub(super) struct Asked<'a> {
    /// As it came.
    pub(super) call: &'a HelperCall,
    /// The resource.
    pub(super) resource: ResourceName,
    /// The peer, if the call is about one.
    pub(super) peer: Option<PeerNodeId>,
    /// The volume, if the call is about one.
    pub(super) volume: Option<Volume>,
}

impl<'a> Asked<'a> {
    /// DRBD 9 names the resource and has the rest in the environment; DRBD 8.4 may say just `minor-N`.
    pub(super) fn new(call: &'a HelperCall, node: &Node) -> Self {
        let minor = call.object.strip_prefix("minor-").or_else(|| variable(call, "DRBD_MINOR"));
        let by_minor = minor.and_then(|minor| minor.parse().ok()).and_then(|minor| node.device_of(Minor(minor)));
        let resource = match (variable(call, "DRBD_RESOURCE"), &by_minor) {
            (Some(name), _) => ResourceName::new(name),
            (None, Some((found, _))) if call.object.starts_with("minor-") => found.name.clone(),
            (None, _) => ResourceName::new(&call.object),
        };
        let volume = variable(call, "DRBD_VOLUME").and_then(|number| number.parse().ok()).map(Volume);
        let peer = variable(call, "DRBD_PEER_NODE_ID").and_then(|number| number.parse().ok()).map(PeerNodeId);
        Self { call, resource, peer, volume: volume.or(by_minor.map(|(_, volume)| volume)) }
    }

    /// Whether `rule` answers this call.
    pub(super) fn wanted_by(&self, rule: &Rule) -> bool {
        let When::Helper(want) = &rule.when else { return false };
        want.on == HelperMoment::Answer
            && meets(&want.helper, Some(self.call.helper.as_str()))
            && meets(&want.peer_node_id, self.peer.map(|peer| peer.0).as_ref())
            && meets(&want.volume, self.volume.map(|volume| volume.0).as_ref())
            && rule.resource.as_ref().is_none_or(|matcher| accepts(matcher, self.resource.as_str()))
    }
}

/// One variable of DRBD's environment.
fn variable<'a>(call: &'a HelperCall, name: &str) -> Option<&'a str> {
    call.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}
