//! The environment of a handler. What each variable means is in `docs/umh.md`.
//!
//! Later wins: variables of the event, then `HOME`, `TERM` and `PATH`, then the rule's own `env`. Names and values that
//! come from DRBD are data: they only ever stand in the environment, never in shell text.

use std::fmt::Display;

use crate::change::{Change, ConnectionView, DeviceView, EventKind, HelperEvent, PeerDeviceView, What};
use crate::ids::{PeerNodeId, ResourceName, Volume};
use crate::model::Node;
use crate::model::objects::{PathId, PathState, ResourceState};
use crate::settings::umh::Rule;

use super::call::Asked;
use super::rules::{ObjectKind, Side};
use super::storage::Happened;

/// What every handler gets unless its rule says otherwise, as with drbd-reactor.
const FIXED: [(&str, &str); 3] = [("HOME", "/"), ("TERM", "Linux"), ("PATH", "/sbin:/usr/sbin:/bin:/usr/bin")];

/// The file that drbdadm reads unless it is told another.
const DRBD_CONF: &str = "/etc/drbd.conf";

/// Event type of everything about helpers; the others are those of [`EventKind`].
pub(super) const HELPER: &str = "Helper";

/// The event type as variables and documents spell it.
pub(super) fn event_type(change: &Change) -> &'static str {
    match change.what {
        What::Helper(_) => HELPER,
        _ => change.kind.as_str(),
    }
}

/// For a rule that fired on a change.
pub(super) fn of_change(rule: &Rule, label: &str, change: &Change, node: &Node) -> Vec<(String, String)> {
    let mut env = Env::default();
    env.set("DRBD_RES_NAME", &change.resource);
    env.set("DRBD_EVENT_TYPE", event_type(change));
    env.set("DRBD_EVENT_ORIGIN", change.origin.as_str());
    env.set("DRBD_EVENT_SEQ", change.seq);
    env.set("DRBD_EVENT_RULE", label);
    if let Some(kind) = ObjectKind::of_change(&change.what) {
        env.set("DRBD_EVENT_OBJECT", kind.word());
    }
    let about = About { change, node };
    match &change.what {
        What::Resource { old, new } => about.resource(&mut env, old, new),
        What::Device { volume, old, new } => about.device(&mut env, *volume, old, new),
        What::PeerDevice { peer, volume, old, new } => about.peer_device(&mut env, *peer, *volume, old, new),
        What::Connection { peer, old, new } => about.connection(&mut env, *peer, old, new),
        What::Path { peer, path, old, new } => about.path(&mut env, *peer, path, old, new),
        What::Helper(event) => about.helper(&mut env, event),
        What::Renamed { .. } => {}
    }
    env.finish(rule)
}

/// For a rule that fired on a storage event or incident.
pub(super) fn of_storage(rule: &Rule, label: &str, happened: &Happened) -> Vec<(String, String)> {
    let mut env = Env::default();
    env.set("STORAGE_RULE", label);
    for (name, value) in happened.variables() {
        env.set(name, value);
    }
    env.finish(rule)
}

/// For a rule that answers DRBD's own call: DRBD's variables as they came, and ours where DRBD has none.
pub(super) fn of_call(rule: &Rule, label: &str, asked: &Asked<'_>, node: &Node) -> Vec<(String, String)> {
    let mut env = Env::default();
    for (name, value) in &asked.call.env {
        env.set(name, value);
    }
    env.add("DRBD_RES_NAME", &asked.resource);
    env.add("DRBD_HELPER", &asked.call.helper);
    env.add("DRBD_HELPER_EVENT", "answer");
    env.add("DRBD_EVENT_TYPE", HELPER);
    env.add("DRBD_EVENT_OBJECT", ObjectKind::Helper.word());
    env.add("DRBD_EVENT_RULE", label);
    if let Some(peer) = asked.peer {
        env.add("DRBD_PEER_NODE_ID", peer);
        env.conn_name(node, &asked.resource, peer);
    }
    if let Some(volume) = asked.volume {
        env.add("DRBD_VOLUME", volume);
        env.local_device(node, &asked.resource, volume);
    }
    env.as_drbdadm(node, asked);
    env.finish(rule)
}

/// Adds the variables of one kind of object.
struct About<'a> {
    change: &'a Change,
    node: &'a Node,
}

impl About<'_> {
    fn sides(&self) -> (Side, Side) {
        (Side::old(self.change.kind), Side::new(self.change.kind))
    }

    fn resource(&self, env: &mut Env, old: &ResourceState, new: &ResourceState) {
        let (before, after) = self.sides();
        env.both("ROLE", &old.role, &new.role);
        env.both("MAY_PROMOTE", old.may_promote, new.may_promote);
        env.both_if_known("PROMOTION_SCORE", before.value(old.promotion_score), after.value(new.promotion_score));
        env.both("SUSPENDED", &old.suspended, &new.suspended);
        env.both_if_known("FORCE_IO_FAILURES", before.value(old.force_io_failures), after.value(new.force_io_failures));
    }

    fn device(&self, env: &mut Env, volume: Volume, old: &DeviceView, new: &DeviceView) {
        let (before, after) = self.sides();
        let (old, new) = (&old.state, &new.state);
        env.set("DRBD_VOLUME", volume);
        if self.change.kind != EventKind::Destroy {
            if let Some(minor) = new.minor {
                env.per_volume("DRBD_MINOR", volume, minor);
            }
            if let Some(dev) = &new.backing_dev {
                env.per_volume("DRBD_BACKING_DEV", volume, dev);
            }
        }
        env.both("DISK_STATE", &old.disk, &new.disk);
        env.both_if_known("CLIENT", before.value(old.client), after.value(new.client));
        env.both_if_known("QUORUM", before.value(old.quorum), after.value(new.quorum));
        env.both_if_known("OPEN", before.value(old.open), after.value(new.open));
        env.both_if_known("SIZE_KIB", before.value(old.size_kib), after.value(new.size_kib));
    }

    fn peer_device(&self, env: &mut Env, peer: PeerNodeId, volume: Volume, old: &PeerDeviceView, new: &PeerDeviceView) {
        let (before, after) = self.sides();
        let (old, new) = (&old.state, &new.state);
        env.set("DRBD_PEER_NODE_ID", peer);
        env.conn_name(self.node, &self.change.resource, peer);
        env.set("DRBD_VOLUME", volume);
        env.local_device(self.node, &self.change.resource, volume);
        env.both("PEER_REPLICATION_STATE", &old.replication, &new.replication);
        env.both("PEER_DISK_STATE", &old.peer_disk, &new.peer_disk);
        env.both_if_known("PEER_CLIENT", before.value(old.peer_client), after.value(new.peer_client));
        env.both("PEER_RESYNC_SUSPENDED", !old.resync_suspended.is_empty(), !new.resync_suspended.is_empty());
        env.both("PEER_RESYNC_SUSPENDED_BY", &old.resync_suspended, &new.resync_suspended);
    }

    fn connection(&self, env: &mut Env, peer: PeerNodeId, old: &ConnectionView, new: &ConnectionView) {
        let (before, after) = self.sides();
        let (old, new) = (&old.state, &new.state);
        let (old_name, new_name) = (old.conn_name.as_ref(), new.conn_name.as_ref());
        env.set("DRBD_PEER_NODE_ID", peer);
        if let Some(name) = new_name.or(old_name) {
            env.set("DRBD_CONN_NAME", name);
        }
        env.set("DRBD_CSTATE", &new.connection);
        env.both_if_known(
            "CONN_NAME",
            before.value(old_name.map(crate::ids::ConnName::as_str)),
            after.value(new_name.map(crate::ids::ConnName::as_str)),
        );
        env.both("CONN_STATE", &old.connection, &new.connection);
        env.both("PEER_ROLE", &old.peer_role, &new.peer_role);
        env.both_if_known("CONGESTED", before.value(old.congested), after.value(new.congested));
    }

    fn path(&self, env: &mut Env, peer: PeerNodeId, path: &PathId, old: &PathState, new: &PathState) {
        let (before, after) = self.sides();
        env.set("DRBD_PEER_NODE_ID", peer);
        env.conn_name(self.node, &self.change.resource, peer);
        env.set("DRBD_PATH_LOCAL", &path.local);
        env.set("DRBD_PATH_PEER", &path.peer);
        env.both_if_known("PATH_ESTABLISHED", before.value(old.established), after.value(new.established));
    }

    fn helper(&self, env: &mut Env, event: &HelperEvent) {
        env.set("DRBD_HELPER", &event.helper);
        env.set("DRBD_HELPER_EVENT", if event.status.is_none() { "call" } else { "response" });
        if let Some(code) = event.exit_code() {
            env.set("DRBD_HELPER_STATUS", code);
        }
        if let Some(peer) = event.peer {
            env.set("DRBD_PEER_NODE_ID", peer);
        }
        if let Some(name) = &event.conn_name {
            env.set("DRBD_CONN_NAME", name);
        }
        if let Some(volume) = event.volume {
            env.set("DRBD_VOLUME", volume);
            if let Some(minor) = event.minor {
                env.per_volume("DRBD_MINOR", volume, minor);
            }
            env.local_device(self.node, &self.change.resource, volume);
        }
    }
}

/// Variables in the making: at most one of a name.
#[derive(Default)]
struct Env(Vec<(String, String)>);

impl Env {
    /// Sets a variable, in place of what it was.
    fn set(&mut self, name: impl AsRef<str>, value: impl Display) {
        let (name, value) = (name.as_ref(), value.to_string());
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Sets a variable unless there is one of this name.
    fn add(&mut self, name: impl AsRef<str>, value: impl Display) {
        if !self.0.iter().any(|(known, _)| known == name.as_ref()) {
            self.set(name, value);
        }
    }

    /// `DRBD_OLD_WHAT` and `DRBD_NEW_WHAT`.
    fn both(&mut self, what: &str, old: impl Display, new: impl Display) {
        self.both_if_known(what, Some(old), Some(new));
    }

    /// The same for a field that DRBD may not report: then the variable is not set.
    fn both_if_known(&mut self, what: &str, old: Option<impl Display>, new: Option<impl Display>) {
        if let Some(old) = old {
            self.set(format!("DRBD_OLD_{what}"), old);
        }
        if let Some(new) = new {
            self.set(format!("DRBD_NEW_{what}"), new);
        }
    }

    /// `NAME` and `NAME_volume`, as DRBD's own handlers know them.
    fn per_volume(&mut self, name: &str, volume: Volume, value: impl Display) {
        let value = value.to_string();
        self.add(format!("{name}_{volume}"), &value);
        self.add(name, value);
    }

    /// Minor and backing device of a volume, if there is a local device.
    fn local_device(&mut self, node: &Node, resource: &ResourceName, volume: Volume) {
        let Some(device) = node.resource(resource.as_str()).and_then(|res| res.devices.get(&volume)) else { return };
        if let Some(minor) = device.state.minor {
            self.per_volume("DRBD_MINOR", volume, minor);
        }
        if let Some(dev) = &device.state.backing_dev {
            self.per_volume("DRBD_BACKING_DEV", volume, dev);
        }
    }

    /// What drbdadm tells the handlers of its configuration file, so that scripts written for it work unchanged. Where the call is
    /// about no volume, minors, volumes and disks are those of all, each list in the same order. What only its configuration file
    /// has is asked for before the handler starts ([`crate::action::AskDrbd`]).
    fn as_drbdadm(&mut self, node: &Node, asked: &Asked<'_>) {
        self.add("DRBD_RESOURCE", &asked.resource);
        self.add("DRBD_CONF", DRBD_CONF);
        let Some(resource) = node.resource(asked.resource.as_str()) else { return };
        for (peer, connection) in &resource.connections {
            if let Some(name) = &connection.state.conn_name {
                self.add(format!("DRBD_NODE_ID_{peer}"), name);
            }
        }
        let all = |volume: &Volume| asked.volume.is_none_or(|one| one == *volume);
        let devices = || resource.devices.iter().filter(|(volume, _)| all(volume));
        let list = |words: Option<Vec<String>>| words.filter(|words| !words.is_empty()).map(|words| words.join(" "));
        let volumes = devices().map(|(volume, _)| Some(volume.to_string())).collect();
        let minors = devices().map(|(_, device)| device.state.minor.map(|minor| minor.to_string())).collect();
        let disks = devices().map(|(_, device)| device.state.backing_dev.as_deref().map(str::to_owned)).collect();
        // A list with a hole would be worse than none.
        for (name, words) in [("DRBD_VOLUME", volumes), ("DRBD_MINOR", minors), ("DRBD_LL_DISK", disks)] {
            if let Some(words) = list(words) {
                self.add(name, words);
            }
        }
    }

    /// Name of the connection to `peer`, if it is known.
    fn conn_name(&mut self, node: &Node, resource: &ResourceName, peer: PeerNodeId) {
        if let Some(name) = node.resource(resource.as_str()).and_then(|res| res.conn_name(peer)) {
            self.add("DRBD_CONN_NAME", name);
        }
    }

    /// The whole environment. A NUL byte, which no environment can hold, is replaced instead of losing the handler.
    fn finish(mut self, rule: &Rule) -> Vec<(String, String)> {
        for (name, value) in FIXED {
            self.set(name, value);
        }
        for (name, value) in &rule.env {
            self.set(name, value);
        }
        for (_, value) in &mut self.0 {
            if value.contains('\0') {
                *value = value.replace('\0', "\u{fffd}");
            }
        }
        self.0
    }
}
