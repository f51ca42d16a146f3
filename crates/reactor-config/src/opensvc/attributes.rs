//! What every resource can have: optional, restart, time limits, disabled, standby, tags, a subset.

use std::time::Duration;

use super::ini::{KeyId, SectionId};
use super::model::Attributes;
use super::scope::is_same_node;
use super::view::{Value, View};
use super::words;

/// Shortest time limit.
const LEAST_TIME: Duration = Duration::from_secs(1);
/// Longest time limit, and longest delay.
const MOST_TIME: Duration = Duration::from_secs(86_400);
/// Most nodes that one key names.
const MAX_PLACES: usize = 100;
/// Most restarts that are asked for.
const MAX_RESTARTS: u32 = 100;

/// The attributes of a resource, and what is not one of the entry but of how it is placed.
#[derive(Debug, Default)]
pub(super) struct Common {
    pub(super) attributes: Attributes,
    pub(super) subset: Option<String>,
    /// Tags, in small letters.
    pub(super) tags: Vec<String>,
    /// Why it is not to be started at all.
    pub(super) off: Option<String>,
    /// It belongs into the container.
    pub(super) is_encapsulated: bool,
    /// Nodes on which it runs also where the service does not.
    pub(super) standby_on: Vec<String>,
}

/// Reads them.
pub(super) fn read(view: &mut View<'_>, section: SectionId) -> Common {
    let mut common = Common::default();
    read_flags(view, section, &mut common.attributes);
    read_times(view, section, &mut common.attributes);
    common.subset = view.take(section, "subset", "its place among the others of its class").map(|value| value.text);
    if let Some(value) = view.take(section, "tags", "labels, which are not needed here") {
        view.dropped(value.id, "labels: `start --upto` and `--from` name entries");
        common.tags = words::list(&value.text.to_lowercase());
        if common.tags.iter().any(|tag| tag == "noaction") {
            view.changed(value.id, "noaction: its entry is a comment");
            common.off = Some("the tag noaction: OpenSVC does not start it either".to_owned());
        }
        if common.tags.iter().any(|tag| tag == "encap") {
            view.taken(value.id, "encap: it belongs into the container");
            common.is_encapsulated = true;
        }
    }
    if let Some(value) = view.take(section, "encap", "it belongs into the container") {
        common.is_encapsulated |= words::boolean(&value.text) == Some(true);
    }
    match disabled(view, section) {
        Disabled::Never => {}
        Disabled::On(nodes) => common.attributes.disabled_on = nodes,
        Disabled::Always => common.off = Some("disabled on every node".to_owned()),
    }
    common.standby_on = standby(view, section);
    common
}

/// The section's own value, or that of `[DEFAULT]`.
fn own_or_default(view: &mut View<'_>, section: SectionId, name: &str, why: &str) -> Option<Value> {
    let own = view.take(section, name, why);
    let default = view.document().find("DEFAULT").filter(|default| *default != section);
    own.or_else(|| default.and_then(|default| view.take(default, name, why)))
}

fn read_flags(view: &mut View<'_>, section: SectionId, attributes: &mut Attributes) {
    if let Some(value) = own_or_default(view, section, "optional", "`optional` of the entry") {
        match words::boolean(&value.text) {
            Some(optional) => attributes.optional = optional,
            None => view.dropped(value.id, NO_BOOLEAN),
        }
    }
    if let Some(value) = own_or_default(view, section, "monitor", "`monitor` of the entry; true is the default here") {
        match words::boolean(&value.text) {
            Some(monitor) => attributes.is_not_watched = !monitor,
            None => view.dropped(value.id, NO_BOOLEAN),
        }
    }
    if let Some((id, nodes)) = on_nodes(view, section, "optional_on") {
        let here = nodes.iter().any(|node| is_same_node(node, &view.who().node));
        attributes.optional |= here;
        view.changed(
            id,
            format!(
                "`optional` is for all nodes here: {}",
                if here { "set" } else { "not set, as it is not for this node" }
            ),
        );
    }
    if let Some((id, _)) = on_nodes(view, section, "monitor_on") {
        view.changed(id, "`monitor` is true on every node by default");
    }
    if attributes.optional && attributes.is_not_watched {
        attributes.is_not_watched = false;
        for id in view.all_of(section, "monitor") {
            view.dropped(id, "the entry is optional: its failure is none of the service's in any case");
        }
    }
    if let Some(value) = own_or_default(view, section, "restart", "`restart` of the entry") {
        match value.text.trim().parse::<u32>() {
            Ok(0) => view.taken(value.id, "no restarts of its own, the default"),
            Ok(restart) if restart <= MAX_RESTARTS => attributes.restart = Some(restart),
            Ok(_) => {
                attributes.restart = Some(MAX_RESTARTS);
                view.changed(value.id, format!("`restart = {MAX_RESTARTS}`, which is the most"));
            }
            Err(_) => view.dropped(value.id, "not a number"),
        }
    }
}

const NO_BOOLEAN: &str = "neither true nor false";

fn read_times(view: &mut View<'_>, section: SectionId, attributes: &mut Attributes) {
    let mut time = |name: &str, why: &str| {
        let value = own_or_default(view, section, name, why)?;
        let Some(time) = words::duration(&value.text, 1).filter(|time| time.as_millis() > 0) else {
            view.dropped(value.id, "not a time, or none at all");
            return None;
        };
        let least = if name == "restart_delay" { Duration::ZERO } else { LEAST_TIME };
        let clamped = time.clamp(least, MOST_TIME);
        if clamped != time {
            view.changed(value.id, format!("taken as {}, the nearest that can be", words::show_duration(clamped)));
        }
        Some(clamped)
    };
    attributes.restart_delay = time("restart_delay", "`restart-delay` of the entry");
    let both = time("timeout", "`timeout-start` and `timeout-stop` of the entry");
    attributes.timeout_start = time("start_timeout", "`timeout-start` of the entry").or(both);
    attributes.timeout_stop = time("stop_timeout", "`timeout-stop` of the entry").or(both);
    if attributes.restart.is_none() && attributes.restart_delay.take().is_some() {
        for id in view.all_of(section, "restart_delay") {
            view.dropped(id, "there is no `restart` that it could delay");
        }
    }
}

/// Whether a resource is disabled.
enum Disabled {
    Never,
    On(Vec<String>),
    Always,
}

fn disabled(view: &mut View<'_>, section: SectionId) -> Disabled {
    let keys = view.all_of(section, "disable");
    let listed = on_nodes(view, section, "disable_on");
    if keys.is_empty() && listed.is_none() {
        return Disabled::Never;
    }
    // One that is not known is told.
    view.find(section, "disable");
    let (nodes, hosts) = places(view, &keys);
    let is_listed =
        |node: &str| listed.as_ref().is_some_and(|(_, nodes)| nodes.iter().any(|other| is_same_node(other, node)));
    let is_set = |node: &str| view.on(node, section, "disable").and_then(|text| words::boolean(&text)) == Some(true);
    let on: Vec<String> = nodes.iter().filter(|node| is_set(node) || is_listed(node)).cloned().collect();
    let (disabled, why) = if on.is_empty() {
        (Disabled::Never, "not disabled anywhere")
    } else if on.len() == nodes.len() && hosts == 0 {
        (Disabled::Always, "disabled on every node: its entry is a comment")
    } else {
        (Disabled::On(on), "`disabled-on` of the entry")
    };
    for id in keys.into_iter().chain(listed.map(|(id, _)| id)) {
        view.taken(id, why);
    }
    disabled
}

/// Nodes on which a resource is to run whatever the service does: `standby`, and `always_on` of 1.x.
pub(super) fn standby(view: &mut View<'_>, section: SectionId) -> Vec<String> {
    let keys = view.all_of(section, "standby");
    let listed = on_nodes(view, section, "always_on");
    view.find(section, "standby");
    let (nodes, _) = places(view, &keys);
    let is_set = |node: &str| view.on(node, section, "standby").and_then(|text| words::boolean(&text)) == Some(true);
    let mut on: Vec<String> = nodes.into_iter().filter(|node| !keys.is_empty() && is_set(node)).collect();
    for id in keys {
        view.taken(id, if on.is_empty() { "not standby anywhere" } else { "`standby`" });
    }
    if let Some((id, nodes)) = listed {
        view.taken(id, "`standby`");
        for node in nodes {
            if !on.iter().any(|other| is_same_node(other, &node)) {
                on.push(node);
            }
        }
    }
    on
}

/// The nodes that a key may be about, and how many of them are named by it alone.
fn places(view: &View<'_>, keys: &[KeyId]) -> (Vec<String>, usize) {
    let mut nodes: Vec<String> = view.who().everywhere().cloned().collect();
    if nodes.is_empty() && !view.who().node.is_empty() {
        nodes.push(view.who().node.clone());
    }
    let known = nodes.len();
    for scope in keys.iter().filter_map(|id| view.key(*id).scope.as_ref()) {
        let is_group = ["nodes", "drpnodes", "encapnodes", "flex_primary"].contains(&scope.to_lowercase().as_str());
        if nodes.len() < MAX_PLACES
            && !is_group
            && words::is_node_name(scope)
            && !nodes.iter().any(|node| is_same_node(node, scope))
        {
            nodes.push(scope.clone());
        }
    }
    let named = nodes.len() - known;
    (nodes, named)
}

/// A list of nodes in the words of 1.x: `nodes`, `drpnodes`, names.
fn on_nodes(view: &mut View<'_>, section: SectionId, name: &str) -> Option<(KeyId, Vec<String>)> {
    let value = view.take(section, name, "nodes")?;
    let mut nodes: Vec<String> = Vec::new();
    let mut bad = false;
    for word in words::list(&value.text) {
        match word.to_lowercase().as_str() {
            "nodes" => nodes.extend(view.who().nodes.iter().cloned()),
            "drpnodes" => nodes.extend(view.who().drpnodes.iter().cloned()),
            _ if words::is_node_name(&word) => nodes.push(word),
            _ => bad = true,
        }
    }
    if bad || nodes.len() > MAX_PLACES {
        view.dropped(value.id, "not names of nodes, or too many of them");
        return None;
    }
    let mut seen: Vec<String> = Vec::new();
    for node in nodes {
        if !seen.iter().any(|other| is_same_node(other, &node)) {
            seen.push(node);
        }
    }
    Some((value.id, seen))
}
