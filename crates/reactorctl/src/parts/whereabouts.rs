//! Where a resource is by now, for the last words of a command that has failed.

use std::collections::BTreeMap;
use std::time::Instant;

use reactor_api::Status;

use super::cluster::{Availability, by_resource, what_each_says};
use crate::nodes::context::Node;
use crate::nodes::way;
use crate::watching::{News, Then, Watching, Whom, understood};

/// What each node has said: nothing yet, its status, or why it says nothing.
type Heard = Vec<Option<Result<Status, String>>>;

/// Asks `nodes`, and if it is on its way or nowhere, looks on for as long as a node has to answer. Lines.
pub(crate) fn now(nodes: &[Node], resource: &str) -> Vec<String> {
    let wanted = [resource.to_owned()];
    let watching = Watching::start(nodes.iter().cloned().map(Whom::Node).collect(), &wanted, Then::Again);
    let mut heard: Heard = vec![None; nodes.len()];
    let end = Instant::now() + way::LIMIT;
    while let Some((number, news)) = watching.next(Some(end)) {
        heard[number] = Some(match news {
            News::Picture(picture) => understood(picture).map_err(|failure| failure.chain()),
            News::Ended(failure) => Err(failure.without_node(&nodes[number].name)),
        });
        if heard.iter().all(Option::is_some) && is_settled(nodes, &heard, resource) {
            break;
        }
    }
    said(nodes, &heard, resource)
}

fn is_settled(nodes: &[Node], heard: &Heard, resource: &str) -> bool {
    let is_settled =
        |availability: &Availability| !matches!(availability, Availability::OnItsWay(_) | Availability::Nowhere { .. });
    availability(nodes, heard, resource).is_some_and(|(availability, _)| is_settled(&availability))
}

/// Where it is, and if that is nowhere what each node says.
fn availability(nodes: &[Node], heard: &Heard, resource: &str) -> Option<(Availability, Vec<String>)> {
    let statuses =
        || nodes.iter().zip(heard).filter_map(|(node, said)| Some((node.name.as_str(), said.as_ref()?.as_ref().ok()?)));
    let now: BTreeMap<&str, &str> = statuses().map(|(node, status)| (node, status.now.as_str())).collect();
    let table = by_resource(statuses(), &[resource.to_owned()]);
    let by_node = table.get(resource)?;
    let is_whole = heard.iter().all(|said| matches!(said, Some(Ok(_))));
    let availability = Availability::of(by_node, &now, is_whole);
    let each = if availability.health().is_some() { what_each_says(by_node) } else { Vec::new() };
    Some((availability, each))
}

fn said(nodes: &[Node], heard: &Heard, resource: &str) -> Vec<String> {
    let (words, each) = match availability(nodes, heard, resource) {
        Some((availability, each)) => (availability.words().0, each),
        None => ("nobody knows where it is".to_owned(), Vec::new()),
    };
    let silent = nodes.iter().zip(heard).filter_map(|(node, said)| match said {
        None => Some(format!("{}: no answer within {} s", node.name, way::LIMIT.as_secs())),
        Some(Err(why)) => Some(format!("{}: {why}", node.name)),
        Some(Ok(_)) => None,
    });
    let each = each.into_iter().chain(silent).map(|line| format!("  {line}"));
    std::iter::once(format!("now: {resource} {words}")).chain(each).collect()
}
