//! The way to the daemon.

use std::path::PathBuf;
use std::time::Duration;

use reactor_api::client::Client;
use reactor_api::verb::Verb;
use reactor_api::{PromotedStatus, SOCKET_NAME, Status, verbs};
use serde_json::Value;

use crate::cli::Place;
use crate::config;
use crate::exit::Failure;
use crate::nodes::way;
use crate::style::make_harmless;

/// Asks the daemon of `place`. Whatever is in the answer may be printed on a terminal.
pub(crate) fn ask<V: Verb>(place: &Place, verb: &V) -> Result<V::Reply, Failure> {
    ask_over(&mut connect(place, verb.limit().client())?, verb)
}

/// The same over a connection that is there.
pub(crate) fn ask_over<V: Verb>(client: &mut Client, verb: &V) -> Result<V::Reply, Failure> {
    let mut answer = client.ask_as_it_comes(verb).map_err(Failure::about_resource)?;
    make_harmless(&mut answer);
    serde_json::from_value(answer).map_err(|source| Failure::Answer { source })
}

/// Why a resource is as it is, over a connection that is there.
pub(crate) fn why(client: &mut Client, resource: &str) -> Result<PromotedStatus, Failure> {
    let reply = ask_over(client, &verbs::Why { resource: resource.into() })?;
    reply.report.known().map_err(|source| Failure::Answer { source })
}

/// Asks the daemon of `place`; the answer as it comes, also what a newer daemon says and we do not know.
pub(crate) fn ask_as_it_comes<V: Verb>(place: &Place, verb: &V) -> Result<Value, Failure> {
    let answer = connect(place, verb.limit().client())?.ask_as_it_comes(verb);
    answer.map_err(Failure::about_resource)
}

/// What the daemon of `place` knows.
pub(crate) fn status(place: &Place, which: &verbs::Status) -> Result<Status, Failure> {
    let reply = ask(place, which)?;
    serde_json::from_value(reply.status.value).map_err(|source| Failure::Answer { source })
}

/// Connects to the daemon of `place`. Each answer may take `within`.
pub(crate) fn connect(place: &Place, within: Duration) -> Result<Client, Failure> {
    if let Some(node) = &place.node {
        return way::connect(node, within);
    }
    Ok(Client::connect(&socket(place), within)?)
}

/// The same if the daemon answers at once: for those who can do without one that hangs, and wait long for one that works.
pub(crate) fn connect_if_it_answers(place: &Place, within: Duration) -> Result<Client, Failure> {
    if let Some(node) = &place.node {
        return way::connect(node, within);
    }
    let mut client = way::answering(&socket(place))?;
    client.set_within(within)?;
    Ok(client)
}

/// The socket that the user named, else the one in the runtime folder of the configuration.
fn socket(place: &Place) -> PathBuf {
    place.socket.clone().unwrap_or_else(|| config::runtime_dir(place).join(SOCKET_NAME))
}
