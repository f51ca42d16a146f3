//! What the configuration takes for granted about this machine (units, agents, resources of DRBD), asked off the loop.

use reactor_config::{Finding, Loaded, Severity};
use reactor_sys::facts::{self, Sources};
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::info;

use super::{finish, log_finding};

/// The question that is being asked, and what the last one found.
#[derive(Default)]
pub(super) struct System {
    asking: Option<JoinHandle<Vec<Finding>>>,
    /// Asked for while one was asked: it may have been about other settings.
    again: bool,
    findings: Vec<Finding>,
}

impl System {
    /// Waits for the answer; for ever if nothing is asked. Cancel safe.
    pub(super) async fn next(&mut self) -> Vec<Finding> {
        finish(&mut self.asking).await.unwrap_or_default()
    }

    /// What was found the last time.
    pub(super) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Begins to compare the configuration with this machine.
    pub(super) fn check(&mut self, loaded: &Loaded) {
        if self.asking.is_some() {
            self.again = true;
            return;
        }
        let (needs, sources) = (loaded.needs.clone(), loaded.settings.daemon.clone());
        if needs.questions().is_empty() {
            self.findings.clear();
            return;
        }
        self.asking = Some(tokio::spawn(async move {
            let Ok(sources) = spawn_blocking(move || Sources::of(&sources)).await else { return Vec::new() };
            let facts = facts::ask(&needs.questions(), &sources).await;
            needs.check(&facts)
        }));
    }

    /// What was found: said once, with file and line.
    pub(super) fn checked(&mut self, findings: Vec<Finding>, loaded: &Loaded) {
        let said: Vec<String> = self.findings.iter().map(Finding::one_line).collect();
        for finding in findings.iter().filter(|finding| !said.contains(&finding.one_line())) {
            log_finding(finding);
        }
        let bad = findings.iter().filter(|finding| finding.severity != Severity::Note).count();
        if bad == 0 && !said.is_empty() {
            info!("the configuration fits this machine");
        }
        self.findings = findings;
        if std::mem::take(&mut self.again) {
            self.check(loaded);
        }
    }
}
