//! Plugins that the daemon runs outside of the core: the metrics servers.

use std::collections::BTreeMap;

use reactor_core::core::Instance;
use reactor_core::ids::InstanceId;
use reactor_core::metrics::{Cache, Enums};
use reactor_core::settings::PluginSettings;
use reactor_sys::http::{MetricsServer, ScrapeHandle, ScrapeRequest};
use tokio::sync::mpsc;

/// One HTTP server with its cache per `[[prometheus]]`.
pub(super) struct Servers {
    scrapes: mpsc::Sender<ScrapeRequest>,
    running: BTreeMap<InstanceId, Running>,
}

/// One of them.
pub(super) struct Running {
    pub(super) server: MetricsServer,
    pub(super) cache: Cache,
    pub(super) enums: Enums,
}

impl Servers {
    /// None yet; their scrapes will go to `scrapes`.
    pub(super) fn new(scrapes: mpsc::Sender<ScrapeRequest>) -> Self {
        Self { scrapes, running: BTreeMap::new() }
    }

    /// Makes what runs what is configured. Servers of instances that were kept notice nothing.
    pub(super) fn reconcile(&mut self, instances: &[Instance]) {
        // First those that go: a new one may want their address.
        self.running.retain(|id, _| instances.iter().any(|instance| instance.id == *id));
        for instance in instances {
            let PluginSettings::Prometheus(settings) = &instance.settings else { continue };
            let scrapes = self.scrapes.clone();
            self.running.entry(instance.id).or_insert_with(|| Running {
                server: MetricsServer::start(settings.address.clone(), ScrapeHandle::new(instance.id, scrapes)),
                cache: Cache::new(),
                enums: settings.enums.into(),
            });
        }
    }

    pub(super) fn get_mut(&mut self, id: InstanceId) -> Option<&mut Running> {
        self.running.get_mut(&id)
    }

    /// What the status shows of one, or why it does not listen.
    pub(super) fn details(&self, id: InstanceId) -> Result<BTreeMap<String, String>, String> {
        let running = self.running.get(&id).ok_or_else(|| "not started".to_owned())?;
        running.server.details()
    }
}
