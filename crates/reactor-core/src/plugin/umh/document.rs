//! The JSON document on a handler's standard input (`stdin = "json"`). Its schema is in `docs/umh.md`.
//!
//! It is made of the same objects as `reactorctl changes --json` and `reactorctl status --json` ([`reactor_api`]): whoever can read one
//! of them can read all. New keys may come; none of version 1 will change.

use std::collections::BTreeMap;

use reactor_api::WireChange;
use reactor_api::objects::WireResource;
use serde::Serialize;

use crate::change::Change;
use crate::ids::ConnName;
use crate::model::Node;

use super::call::Asked;

/// Version of the schema.
const VERSION: u32 = 1;

/// One document: of a `change`, or of a `call` that waits for an answer.
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    rule: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<WireChange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<Call<'a>>,
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

/// Document of a change. `resource` is the resource at this moment, when the handler is started.
pub(super) fn of_change(rule: &str, change: &Change, node: &Node) -> String {
    render(&Document {
        version: VERSION,
        rule,
        change: Some(WireChange::from(change)),
        call: None,
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
    render(&Document { version: VERSION, rule, change: None, call: Some(call), resource })
}

fn render(document: &Document<'_>) -> String {
    // Only maps with non-string keys and failing writers make serde_json fail; there is neither.
    let mut text = serde_json::to_string(document).unwrap_or_default();
    text.push('\n');
    text
}
