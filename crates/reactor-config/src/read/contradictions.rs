//! Keys of a promoted resource that do not go together: each is fine by itself, and still somebody expects what will not happen.
//!
//! A value that is the default says nothing about what its author wants, so it is never reported: a dump of the running settings,
//! which writes every key, has no finding.

use reactor_core::settings::promoter::{
    Dependency, FailureAction, OnQuorumLoss, OnServiceFailure, PreferredNodesPolicy, PromotedResource, Runner,
    StartEntry,
};

use super::walk::{Reader, Table};
use crate::finding::{Code, Finding, Severity};

/// Reports them all.
pub(super) fn report(reader: &mut Reader<'_>, table: &Table<'_>, resource: &PromotedResource) {
    let mut report = Report { reader, table };
    match resource.runner {
        Runner::Shell => without_systemd(&mut report, resource),
        Runner::Systemd => with_systemd(&mut report, resource),
    }
    nodes(&mut report, resource);
    failures(&mut report, resource);
}

struct Report<'r, 's, 'a> {
    reader: &'r mut Reader<'s>,
    table: &'r Table<'a>,
}

impl Report<'_, '_, '_> {
    /// A key that changes nothing.
    fn no_effect(&mut self, key: &str, why: &str, hint: &str) {
        self.about(Severity::Warning, Code::Ignored, key, format!("`{key}` has no effect{why}"), hint);
    }

    /// A key that does what it says, which is rarely meant.
    fn suspicious(&mut self, key: &str, message: &str, hint: &str) {
        self.about(Severity::Warning, Code::Suspicious, key, message.to_owned(), hint);
    }

    fn about(&mut self, severity: Severity, code: Code, key: &str, message: String, hint: &str) {
        // A key that is not there has its default and is nobody's mistake.
        let Some(item) = self.table.item(key) else { return };
        let location = self.reader.location(item.span.clone());
        self.reader.push(Finding::at(severity, code, &location.source, location.span, message).hint(hint));
    }
}

/// The shell runner knows of commands only.
fn without_systemd(report: &mut Report<'_, '_, '_>, resource: &PromotedResource) {
    let why = " with runner = \"shell\": there are no units";
    let hint = "remove it, or use runner = \"systemd\"";
    let given = [
        ("dependencies-as", resource.dependencies_as != Dependency::Requires),
        ("target-as", resource.target_as != Dependency::Requires),
        ("on-drbd-demote-failure", resource.on_drbd_demote_failure != FailureAction::None),
        ("secondary-force", !resource.secondary_force),
        ("freeze-timeout", resource.freeze_timeout.is_some()),
        ("on-service-failure", resource.on_service_failure == OnServiceFailure::Move),
    ];
    for (key, _) in given.iter().filter(|(_, given)| *given) {
        report.no_effect(key, why, hint);
    }
    if resource.on_quorum_loss == OnQuorumLoss::Freeze {
        let message = "only systemd can freeze services, and with runner = \"shell\" there are no units";
        report.suspicious("on-quorum-loss", message, "use on-quorum-loss = \"shutdown\", or runner = \"systemd\"");
    }
}

fn with_systemd(report: &mut Report<'_, '_, '_>, resource: &PromotedResource) {
    if !resource.stop.is_empty() {
        report.no_effect("stop", ": systemd stops the units of `start` itself", "it is for runner = \"shell\"");
    }
    match resource.on_quorum_loss {
        OnQuorumLoss::Shutdown if resource.freeze_timeout.is_some() => {
            let why = ": without quorum the services are stopped at once";
            report.no_effect("freeze-timeout", why, "it is for on-quorum-loss = \"freeze\"");
        }
        OnQuorumLoss::Freeze
            if !resource.start.is_empty() && !resource.start.iter().any(|entry| can_freeze(&entry.what)) =>
        {
            let message = "nothing in `start` can be frozen: a mount has no processes";
            report.suspicious("on-quorum-loss", message, "add the service that uses the file system to `start`");
        }
        OnQuorumLoss::Shutdown | OnQuorumLoss::Freeze => {}
    }
    demotion(report, resource);
}

fn can_freeze(entry: &StartEntry) -> bool {
    match entry {
        StartEntry::Unit(unit) => ![".mount", ".target", ".automount", ".swap"].iter().any(|kind| unit.ends_with(kind)),
        StartEntry::Ocf { .. } | StartEntry::Command { .. } => true,
    }
}

/// What happens when a resource can't be demoted, usually because something that can't be killed has it open.
fn demotion(report: &mut Report<'_, '_, '_>, resource: &PromotedResource) {
    let (message, hint) = match resource.on_drbd_demote_failure {
        FailureAction::Reboot | FailureAction::Poweroff => (
            "an orderly shutdown stops everything first, and may hang on what could not be demoted",
            "`reboot-immediate` and `poweroff-immediate` wait for nothing",
        ),
        FailureAction::Exit | FailureAction::ExitForce => (
            "systemd as process 1 ends only in a container; elsewhere this powers the node off",
            "use one of the words with `reboot` or `poweroff`",
        ),
        FailureAction::None
        | FailureAction::RebootForce
        | FailureAction::RebootImmediate
        | FailureAction::PoweroffForce
        | FailureAction::PoweroffImmediate => return,
    };
    report.about(Severity::Note, Code::Suspicious, "on-drbd-demote-failure", message.to_owned(), hint);
}

fn nodes(report: &mut Report<'_, '_, '_>, resource: &PromotedResource) {
    let hint = "list the nodes, best first: preferred-nodes = [\"alpha\", \"bravo\"]";
    let start_only = resource.preferred_nodes_policy == PreferredNodesPolicy::StartOnly;
    if resource.preferred_nodes.is_empty() {
        let why = " without `preferred-nodes`";
        if !resource.failback_window.is_empty() {
            report.no_effect("failback-window", why, hint);
        }
        if start_only {
            report.no_effect("preferred-nodes-policy", why, hint);
        }
        return;
    }
    if start_only && !resource.failback_window.is_empty() {
        let why = " with preferred-nodes-policy = \"start-only\": nobody takes back";
        report.no_effect("failback-window", why, "remove one of the two");
    }
    if resource.sleep_before_promote_factor == 0 {
        let message = "with a factor of 0 no node waits, so the order of `preferred-nodes` does not decide who starts";
        report.suspicious("sleep-before-promote-factor", message, "remove one of the two");
    }
}

fn failures(report: &mut Report<'_, '_, '_>, resource: &PromotedResource) {
    let default = PromotedResource::default();
    if resource.max_failures == 0 && resource.failure_window != default.failure_window {
        report.no_effect("failure-window", " with max-failures = 0: failures are not counted", "set `max-failures`");
    }
}
