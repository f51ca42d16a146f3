//! The JSON document on a handler's standard input (`stdin = "json"`). Its schema is in `docs/umh.md`.
//!
//! It is made of the same objects as `reactorctl changes --json` and `reactorctl status --json` ([`reactor_api`]): whoever can read one
//! of them can read all. New keys may come; none of version 1 will change.

use std::collections::BTreeMap;

use reactor_api::WireChange;
use reactor_api::objects::WireResource;
use reactor_storage::event::Event;
use reactor_storage::incidents::{End, Incident};
use serde::Serialize;

use crate::change::Change;
use crate::ids::ConnName;
use crate::model::Node;

use super::call::Asked;
use super::storage::Happened;

/// Version of the schema.
const VERSION: u32 = 1;

/// One document: of a `change`, of a `call` that waits for an answer, or of what happened to `storage`.
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    rule: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<WireChange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage: Option<Storage<'a>>,
    /// The resource when the handler is started; null if it is gone.
    resource: Option<WireResource>,
}

/// A helper call of DRBD's kernel.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Call<'a> {
    helper: &'a str,
    resource: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    volume: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_node_id: Option<u32>,
    /// Name of the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    /// What DRBD says in its environment.
    env: BTreeMap<&'a str, &'a str>,
}

/// A storage event, or what became of an incident.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Storage<'a> {
    on: &'a str,
    severity: &'a str,
    /// The id of the incident.
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<&'a str>,
    /// Its title.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// How it ended, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<&'a str>,
    /// The event, or those of the incident.
    events: Vec<&'a Event>,
    /// The DRBD resources that it touches.
    resources: Vec<String>,
}

/// Document of a storage event or incident; `resource` is the first DRBD resource that it touches.
pub(super) fn of_storage(rule: &str, happened: &Happened, node: &Node) -> String {
    let resources = happened.resources();
    let resource = resources.first().and_then(|name| node.resource(name.as_str())).map(WireResource::from);
    let incident = happened.of_incident();
    let storage = Storage {
        on: happened.on.as_str(),
        severity: happened.severity().as_str(),
        incident: happened.incident_id(),
        title: incident.map(Incident::title),
        end: incident.and_then(|incident| incident.end.as_ref()).map(End::words),
        events: happened.events(),
        resources: resources.iter().map(ToString::to_string).collect(),
    };
    render(&Document { version: VERSION, rule, change: None, call: None, storage: Some(storage), resource })
}

/// Document of a change. `resource` is the resource at this moment, when the handler is started.
pub(super) fn of_change(rule: &str, change: &Change, node: &Node) -> String {
    render(&Document {
        version: VERSION,
        rule,
        change: Some(WireChange::from(change)),
        call: None,
        storage: None,
        resource: node.resource(change.resource.as_str()).map(WireResource::from),
    })
}

/// Document of a helper call that waits for an answer.
pub(super) fn of_call(rule: &str, asked: &Asked<'_>, node: &Node) -> String {
    let resource = node.resource(asked.resource.as_str());
    let name = asked.peer.and_then(|peer| resource?.conn_name(peer)).map(ConnName::as_str);
    let call = Call {
        helper: &asked.call.helper,
        resource: asked.resource.as_str(),
        volume: asked.volume.map(|volume| volume.0),
        peer_node_id: asked.peer.map(|peer| peer.0),
        name,
        env: asked.call.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
    };
    let resource = resource.map(WireResource::from);
    render(&Document { version: VERSION, rule, change: None, call: Some(call), storage: None, resource })
}

fn render(document: &Document<'_>) -> String {
    // Only maps with non-string keys and failing writers make serde_json fail; there is neither.
    let mut text = serde_json::to_string(document).unwrap_or_default();
    text.push('\n');
    text
}
