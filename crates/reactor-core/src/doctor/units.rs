//! Masks and drop-ins that are in the way of a promoter, or were forgotten.

use std::collections::BTreeSet;

use reactor_api::doctor::{Finding, Severity};

use super::{Cluster, finding};
use crate::plugin::promoter::units::escape;

const CHECK: &str = "units";

pub(super) fn check(cluster: &Cluster<'_>, out: &mut Vec<Finding>) {
    let promoted: Vec<(String, String)> =
        cluster.promoted().map(|(resource, _)| (escape(resource.as_str()), resource.to_string())).collect();
    let generated: BTreeSet<&str> = [cluster.settings.daemon.unit_dir.to_str()].into_iter().flatten().collect();
    for node in cluster.nodes {
        for file in node.facts.iter().flat_map(|facts| &facts.units) {
            let resource =
                promoted.iter().find(|(escaped, _)| is_of(&file.unit, escaped)).map(|(_, resource)| resource.clone());
            let place = format!("{}: {}", node.name, file.path);
            let runtime = if file.path.starts_with("/run/") { "--runtime " } else { "" };
            match (&resource, file.mask) {
                (Some(name), true) => out.push(Finding {
                    why: format!("systemd does not start it: {name} can't run on this node. An eviction by drbd-reactorctl that was interrupted leaves such masks"),
                    mend: vec![format!("systemctl unmask {runtime}{}", file.unit)],
                    resource,
                    ..finding(Severity::Error, CHECK, place, format!("{} is masked", file.unit))
                }),
                (None, true) => out.push(Finding {
                    why: "no promoter has this resource; whoever configures it again wonders why it does not start".to_owned(),
                    mend: vec![format!("systemctl unmask {runtime}{}", file.unit)],
                    ..finding(Severity::Note, CHECK, place, format!("{} is masked", file.unit))
                }),
                // What is generated is known by the daemon, which names its leftovers.
                (None, false) if !generated.iter().any(|folder| file.path.starts_with(folder)) => out.push(Finding {
                    why: "no promoter has this resource, and the drop-in still changes the unit, for example with an old FailureAction=".to_owned(),
                    mend: vec![format!("systemctl cat {}", file.unit), format!("rm -r {} && systemctl daemon-reload", file.path)],
                    ..finding(Severity::Warning, CHECK, place, format!("drop-ins for {}, which no promoter uses", file.unit))
                }),
                (Some(_) | None, false) => {}
            }
        }
    }
}

/// Whether a unit belongs to a resource: `drbd-services@RES.target`, `drbd-promote@RES.service`, `ocf.rs@NAME_RES.service`.
fn is_of(unit: &str, escaped: &str) -> bool {
    let Some((template, rest)) = unit.split_once('@') else { return false };
    let instance = rest.rsplit_once('.').map_or(rest, |(instance, _)| instance);
    match template {
        "ocf.rs" => instance.strip_suffix(escaped).is_some_and(|name| name.ends_with('_')),
        _ => instance == escaped,
    }
}
