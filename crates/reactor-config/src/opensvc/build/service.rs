//! What is of the service as a whole: automatic or not, what is done about failures.

use super::super::view::View;
use super::super::words;

/// What the service says of itself.
#[derive(Debug, Default)]
pub(super) struct About {
    pub(super) on_service_failure: Option<&'static str>,
}

/// Reads `[DEFAULT]`, as far as it is of the service and not of its resources.
pub(super) fn read(view: &mut View<'_>) -> About {
    let mut about = About::default();
    tell_drpnodes(view);
    let Some(default) = view.document().find("DEFAULT") else {
        tell_start(view);
        return about;
    };
    let mut is_automatic = false;
    if let Some(value) = view.take(default, "orchestrate", "ha: the service is started and moved by itself, as here") {
        match value.text.trim().to_lowercase().as_str() {
            "ha" => is_automatic = true,
            "start" => {
                view.changed(value.id, "it was started by itself at a boot only; here it is moved by itself, too");
            }
            _ => view.dropped(value.id, NOT_AUTOMATIC),
        }
    }
    for name in ["autostart_node", "autostart"] {
        if let Some(value) = view.take(default, name, "") {
            view.dropped(value.id, NOT_AUTOMATIC);
        }
    }
    for name in ["topology", "cluster_type"] {
        if let Some(value) = view.take(default, name, "failover: one node runs the service, as here")
            && value.text.trim().to_lowercase() != "failover"
        {
            view.dropped(value.id, "one node runs the service, not several");
            view.note(
                "The service is not of the topology failover. Here one node runs it, the one where DRBD is Primary.",
            );
        }
    }
    if let Some(value) = view.take(default, "disable", "not disabled")
        && words::boolean(&value.text) == Some(true)
    {
        view.dropped(
            value.id,
            "a service is not disabled in its file here: do not load the file, or use `reactorctl hold`",
        );
        view.note("The service was disabled. This configuration is not: do not put it to its place before the service is to run.");
    }
    about.on_service_failure = monitor_action(view, default);
    if !is_automatic {
        tell_start(view);
    }
    about
}

const NOT_AUTOMATIC: &str =
    "a promoter starts its services by itself wherever they may run; `reactorctl hold` and `stop` keep it from that";

fn tell_start(view: &mut View<'_>) {
    view.note(
        "OpenSVC started this service by hand, or at a boot only. Here the daemon starts it as soon as it has read the file, and moves it when a node fails. `reactorctl hold` keeps it \
         from both.",
    );
}

fn tell_drpnodes(view: &mut View<'_>) {
    let drpnodes = words::and(&view.who().drpnodes);
    if !view.who().drpnodes.is_empty() {
        view.note(format!(
            "Nodes of disaster recovery ({drpnodes}) never start a service by themselves in OpenSVC. Here every node that has DRBD's resource and this file may: do not put the file there, \
             or hold the resource there (`reactorctl hold`)."
        ));
    }
}

/// `none`, `freezestop`, `switch`, `reboot`, `crash`; a second one is for when the first has failed.
fn monitor_action(view: &mut View<'_>, default: super::SectionId) -> Option<&'static str> {
    let value = view.take(default, "monitor_action", "`on-service-failure`")?;
    let actions = words::list(&value.text.to_lowercase());
    let (word, why) = match actions.first().map(String::as_str) {
        Some("switch") => ("move", "`on-service-failure = \"move\"`: another node gets it"),
        Some("freezestop") => (
            "move",
            "`on-service-failure = \"move\"`: it is stopped here; instead of a freeze this node waits, and another one gets it",
        ),
        Some("reboot" | "crash") => (
            "move",
            "`on-service-failure = \"move\"`: the services are stopped and another node gets them; this node is not taken away, unless it can't be demoted and on-drbd-demote-failure says so",
        ),
        Some("none") => ("ignore", "`on-service-failure = \"ignore\"`"),
        _ => {
            view.dropped(value.id, "not an action that is known");
            return None;
        }
    };
    let more = if actions.len() > 1 { "; there is no second action" } else { "" };
    view.changed(value.id, format!("{why}{more}"));
    Some(word)
}
