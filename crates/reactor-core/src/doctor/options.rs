//! DRBD's options that a promoter depends on.

use reactor_api::doctor::{Finding, Severity};
use reactor_api::survey::ResourceFacts;

use super::{Cluster, finding};
use crate::action::{ConnectionOptions, DrbdOptions};
use crate::ids::ResourceName;
use crate::input::Dialect;
use crate::plugin::promoter::policy::{self, Policy};
use crate::settings::promoter::PromotedResource;

const CHECK: &str = "options";

pub(super) fn check(cluster: &Cluster<'_>, out: &mut Vec<Finding>) {
    for (resource, settings) in cluster.promoted() {
        for (node, facts) in cluster.facts_of(resource.as_str()) {
            let mut add = |found: Finding| {
                let resource = Some(resource.to_string());
                // The same on several nodes is one finding.
                let same =
                    out.iter_mut().find(|one| one.check == CHECK && one.resource == resource && one.what == found.what);
                match same {
                    Some(one) => one.place = format!("{}, {node}", one.place),
                    None => out.push(Finding { resource, place: node.to_owned(), ..found }),
                }
            };
            of_resource(resource, settings, facts, &mut add);
        }
    }
}

/// What a wrong value of an option means.
fn why(option: &str) -> &'static str {
    match option {
        "quorum" => "a node that is cut off from the others must stop, or two nodes write at once",
        "on-no-quorum" | "on-no-data-accessible" => {
            "services must see that their data is gone, and fail, or wait, as on-quorum-loss says; with the other word they do the opposite"
        }
        "on-suspended-primary-outdated" => {
            "a Primary that was suspended comes back to a peer that has gone on: it must become Secondary, or its links stay StandAlone"
        }
        "rr-conflict" => {
            "a node whose services were frozen comes back with open devices: its links must try again, or they stay StandAlone"
        }
        "auto-promote" => {
            "whoever opens the device on any node promotes it, before and without the promoter: a mount by hand is enough"
        }
        _ => "",
    }
}

fn of_resource(
    resource: &ResourceName,
    settings: &PromotedResource,
    facts: &ResourceFacts,
    add: &mut impl FnMut(Finding),
) {
    let options = options_of(facts);
    let adjust = format!("drbdadm adjust {resource}");
    for wish in policy::wishes(settings, &options, Dialect::Drbd9) {
        let section = if wish.option == "rr-conflict" { "net" } else { "options" };
        let severity = if matches!(wish.option, "auto-promote") { Severity::Error } else { Severity::Warning };
        add(Finding {
            why: why(wish.option).to_owned(),
            mend: vec![in_file(resource, section, wish.option, wish.wanted), adjust.clone()],
            ..finding(severity, CHECK, "", format!("{} is {}, it should be {}", wish.option, wish.is, wish.wanted))
        });
    }
    match Policy::of(&options, Dialect::Drbd9) {
        Policy::None => add(Finding {
            why: "two nodes could write at once, so that the promoter does not manage it".to_owned(),
            mend: vec![
                in_file(resource, "options", "quorum", "majority"),
                in_file(resource, "options", "on-no-quorum", "io-error"),
                adjust.clone(),
            ],
            ..finding(Severity::Error, CHECK, "", "neither quorum nor fencing")
        }),
        Policy::Fencing if facts.fence_peer.is_none() => add(Finding {
            why: "fencing is on, and nothing fences: when a peer is lost, no other node can take over".to_owned(),
            mend: vec![
                in_file(resource, "handlers", "fence-peer", "\"/usr/lib/drbd/crm-fence-peer.9.sh\""),
                "or a fence-peer rule of a [[umh]] plugin".to_owned(),
                adjust.clone(),
            ],
            ..finding(Severity::Warning, CHECK, "", "fencing is set, and there is no fence-peer handler")
        }),
        Policy::Fencing | Policy::Quorum | Policy::Alone | Policy::Unknown => {}
    }
    for (volume, disk) in &facts.volumes {
        if let Some(is) = disk.get("on-io-error").filter(|is| *is != "detach") {
            add(Finding {
                why: "an error of the disk reaches the services, although a peer has the data; with detach DRBD reads and writes there".to_owned(),
                mend: vec![in_file(resource, "disk", "on-io-error", "detach"), adjust.clone()],
                ..finding(Severity::Warning, CHECK, "", format!("on-io-error of volume {volume} is {is}, it should be detach"))
            });
        }
    }
    for (peer, net) in &facts.connections {
        if let Some(is) = net.get("protocol").filter(|is| *is != "C") {
            add(Finding {
                why: "a take-over loses writes that were reported as done, because the peer did not have them on its disk".to_owned(),
                mend: vec![in_file(resource, "net", "protocol", "C"), adjust.clone()],
                ..finding(Severity::Warning, CHECK, "", format!("protocol to {peer} is {is}, it should be C"))
            });
        }
        if net.get("allow-two-primaries").is_some_and(|is| is == "yes") {
            add(Finding {
                why: "DRBD then lets a second node write while the first still does".to_owned(),
                mend: vec![in_file(resource, "net", "allow-two-primaries", "no"), adjust.clone()],
                ..finding(Severity::Error, CHECK, "", format!("allow-two-primaries to {peer} is yes"))
            });
        }
    }
}

/// The line of DRBD's configuration.
fn in_file(resource: &ResourceName, section: &str, option: &str, value: &str) -> String {
    format!("in the file of {resource} in /etc/drbd.d: {section} {{ {option} {value}; }}")
}

fn options_of(facts: &ResourceFacts) -> DrbdOptions {
    let option = |key: &str| facts.options.get(key).cloned();
    let connection = |(name, net): (&String, &std::collections::BTreeMap<String, String>)| ConnectionOptions {
        peer_node_id: None,
        name: Some(name.clone()),
        fencing: net.get("fencing").cloned(),
        rr_conflict: net.get("rr-conflict").cloned(),
        protocol: net.get("protocol").cloned(),
        ..ConnectionOptions::default()
    };
    DrbdOptions {
        node_id: None,
        auto_promote: option("auto-promote").map(|word| word == "yes"),
        quorum: option("quorum"),
        on_no_quorum: option("on-no-quorum"),
        on_no_data_accessible: option("on-no-data-accessible"),
        on_suspended_primary_outdated: option("on-suspended-primary-outdated"),
        fence_peer: facts.fence_peer.clone(),
        connections: facts.connections.iter().map(connection).collect(),
    }
}
