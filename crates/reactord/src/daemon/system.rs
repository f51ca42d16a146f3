//! What the configuration takes for granted about this machine (units, agents, resources of DRBD), asked off the loop.

use reactor_config::{Finding, Severity};
use reactor_sys::facts::{self, Sources};
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::info;

use super::{Daemon, finish, log_finding};

/// The question that is being asked, and what the last one found.
#[derive(Default)]
pub(super) struct System {
    asking: Option<JoinHandle<Vec<Finding>>>,
    /// Asked for while one was asked: it may have been about other settings.
    again: bool,
    pub(super) findings: Vec<Finding>,
}

impl System {
    /// Waits for the answer; for ever if nothing is asked. Cancel safe.
    pub(super) async fn next(&mut self) -> Vec<Finding> {
        finish(&mut self.asking).await.unwrap_or_default()
    }
}

impl Daemon {
    /// Begins to compare the configuration with this machine.
    pub(super) fn check_system(&mut self) {
        if self.system.asking.is_some() {
            self.system.again = true;
            return;
        }
        let (needs, sources) = (self.loaded.needs.clone(), self.loaded.settings.daemon.clone());
        if needs.questions().is_empty() {
            self.system.findings.clear();
            return;
        }
        self.system.asking = Some(tokio::spawn(async move {
            let Ok(sources) = spawn_blocking(move || Sources::of(&sources)).await else { return Vec::new() };
            let facts = facts::ask(&needs.questions(), &sources).await;
            needs.check(&facts)
        }));
    }

    /// What was found: said once, with file and line.
    pub(super) fn checked(&mut self, findings: Vec<Finding>) {
        let said: Vec<String> = self.system.findings.iter().map(Finding::one_line).collect();
        for finding in findings.iter().filter(|finding| !said.contains(&finding.one_line())) {
            log_finding(finding);
        }
        let bad = findings.iter().filter(|finding| finding.severity != Severity::Note).count();
        if bad == 0 && !said.is_empty() {
            info!("the configuration fits this machine");
        }
        self.system.findings = findings;
        if std::mem::take(&mut self.system.again) {
            self.check_system();
        }
    }
}
