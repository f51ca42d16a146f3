//! `reactorctl status`: everything the daemon knows about itself and DRBD.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use reactor_api::Status;
use reactor_api::status::{ConfigurationStatus, FileState, FileStatus, PluginStatus, SystemdStatus};
use reactor_config::{FileRole, FileState as ConfigFileState, Finding};
use reactor_core::api::status;
use reactor_core::settings::DaemonSettings;
use reactor_core::systemd::BusState;
use reactor_sys::control::{Picture, Snapshot, Watched, rfc3339};

use super::Daemon;

/// The name of this node: `[daemon] node-name`, else `uname -n`.
pub(super) fn node_name(settings: &DaemonSettings) -> String {
    let configured = settings.node_name.clone();
    configured.unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned())
}

impl Daemon {
    /// What the control socket makes the status of.
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot { status: Box::new(self.status()), promoted: self.promoted(), resources: self.core.node().snapshot() }
    }

    /// What a watcher is shown: of `only`, or of everything.
    pub(super) fn watched(&self, only: Option<&BTreeSet<String>>) -> Watched {
        let changed = self.clients.watch();
        let (status, resources) = (Box::new(self.status()), self.core.node().snapshot());
        let reports = self.reports(only);
        let promoted = self.promoted_of(&reports);
        let picture = Picture::new(&status, reports, &resources, only);
        Watched { snapshot: Snapshot { status, promoted, resources }, picture, changed }
    }

    /// All but resources and promoted resources.
    fn status(&self) -> Status {
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            node: node_name(&self.configuration.settings().daemon),
            mode: status::mode_word(self.configuration.settings().mode).to_owned(),
            started: rfc3339(self.clock.started),
            now: rfc3339(SystemTime::now()),
            stopping: self.is_ending(),
            source: self.source.status(self.core.node()),
            other_sources: status::other_sources(self.core.node()),
            configuration: self.configuration_status(),
            plugins: self.plugins(),
            resources: Vec::new(),
            promoted: Vec::new(),
            drained: self.drained(),
            systemd: self.systemd_status(),
            handlers: self.handlers.ended(),
            counters: status::counters(&self.core),
        }
    }

    /// Every plugin, with what is known of those whose work is done outside of the core.
    fn plugins(&self) -> Vec<PluginStatus> {
        let mut plugins = status::plugins(&self.core, |instance| self.servers.details(instance.id));
        for (status, instance) in plugins.iter_mut().zip(self.core.instances()) {
            status.details.extend(self.notify.details(instance));
        }
        plugins
    }

    fn systemd_status(&self) -> Option<SystemdStatus> {
        let units = self.work.followed()?;
        let (up, why) = match self.core.node().units().bus() {
            BusState::Up => (true, None),
            BusState::Unknown => (false, Some("not connected yet".to_owned())),
            BusState::Down { why, .. } => (false, Some(why.clone())),
        };
        Some(SystemdStatus { up, why, units })
    }

    /// The snippets folder, if there is something to say about it.
    fn folder_status(&self) -> Option<FileStatus> {
        let loaded = self.configuration.loaded();
        let folder = loaded.settings.snippets.as_ref()?;
        let about: Vec<&Finding> = loaded.findings.iter().filter(|finding| *finding.file == **folder).collect();
        let keeps = || {
            loaded.files.iter().any(|file| file.role == FileRole::Snippet && file.state == ConfigFileState::LastGood)
        };
        let state = match about.iter().any(|finding| finding.is_error()) {
            _ if about.is_empty() => return None,
            false => FileState::Current,
            true if keeps() => FileState::LastGood,
            true => FileState::Rejected,
        };
        let findings = about.into_iter().map(Finding::one_line).collect();
        Some(FileStatus { path: folder.display().to_string(), state, findings })
    }

    fn configuration_status(&self) -> ConfigurationStatus {
        let findings = || self.configuration.loaded().findings.iter().chain(self.system.findings());
        let files = self.configuration.loaded().files.iter().map(|file| FileStatus {
            path: file.path.display().to_string(),
            state: match file.state {
                ConfigFileState::Current => FileState::Current,
                ConfigFileState::LastGood => FileState::LastGood,
                ConfigFileState::Partly => FileState::Partly,
                ConfigFileState::Rejected => FileState::Rejected,
            },
            findings: findings().filter(|f| *f.file == *file.path).map(Finding::one_line).collect(),
        });
        let mut files: Vec<FileStatus> = files.collect();
        files.extend(self.folder_status());
        files.extend(self.configuration.hangs().map(|(path, why)| FileStatus {
            path: path.display().to_string(),
            state: FileState::LastGood,
            findings: vec![why.clone()],
        }));
        let (last, last_result) = self.configuration.last();
        ConfigurationStatus {
            files,
            last_reload: Some(rfc3339(last)),
            last_result,
            leftovers: self.left.lines(),
            drift: self.configuration.drift().iter().cloned().collect::<BTreeMap<_, _>>(),
        }
    }
}
