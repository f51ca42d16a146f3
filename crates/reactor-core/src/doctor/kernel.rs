//! What the kernel was told to do at DRBD's events.

use reactor_api::doctor::{Finding, Severity};

use super::{Cluster, finding};
use crate::settings::PluginSettings;
use crate::settings::umh::When;

pub(super) fn check(cluster: &Cluster<'_>, out: &mut Vec<Finding>) {
    let rules = cluster.settings.plugins.iter().any(|entry| match &entry.settings {
        PluginSettings::Umh(umh) => umh.rules.iter().any(|rule| matches!(rule.when, When::Helper(_))),
        _ => false,
    });
    for node in cluster.nodes {
        if node.facts.as_ref().and_then(|facts| facts.usermode_helper.as_deref()) != Some("disabled") {
            continue;
        }
        let what = "usermode_helper=disabled: DRBD calls no handlers";
        let (severity, mend) = if rules {
            (
                Severity::Warning,
                vec![
                    "echo /sbin/drbdadm > /sys/module/drbd/parameters/usermode_helper     (and take the option out of /etc/modprobe.d)".to_owned(),
                    "or, under LINSTOR, which sets it, take the rules for helpers out of the configuration".to_owned(),
                ],
            )
        } else {
            (Severity::Note, vec!["LINSTOR sets it: leave it so there".to_owned()])
        };
        out.push(Finding {
            why: "rules for helpers never run, and nobody is told of a split brain by its handler: only the kernel's line \
                  'Split-Brain detected' says it, and StandAlone on both sides"
                .to_owned(),
            mend,
            ..finding(severity, "kernel", node.name.clone(), what)
        });
    }
}
