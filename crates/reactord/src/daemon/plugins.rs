//! Plugins that the daemon runs outside of the core: the metrics servers.

use std::collections::BTreeMap;

use reactor_core::core::Instance;
use reactor_core::ids::InstanceId;
use reactor_core::settings::PluginSettings;
use reactor_sys::chain::chain;
use reactor_sys::http::{Limits, MetricsServer, ScrapeHandle};
use tracing::error;

/// One HTTP server per `[[prometheus]]`; `Err` = why it could not be started at all.
pub(super) struct Servers {
    scrapes: ScrapeHandle,
    running: BTreeMap<InstanceId, Result<MetricsServer, String>>,
}

impl Servers {
    /// None yet; their requests will go through `scrapes`.
    pub(super) fn new(scrapes: ScrapeHandle) -> Self {
        Self { scrapes, running: BTreeMap::new() }
    }

    /// Makes what runs what is configured. Servers of instances that were kept notice nothing.
    pub(super) fn reconcile(&mut self, instances: &[Instance]) {
        // First those that go: a new one may want their address.
        self.running.retain(|id, _| instances.iter().any(|instance| instance.id == *id));
        for instance in instances {
            let PluginSettings::Prometheus(settings) = &instance.settings else { continue };
            if self.running.get(&instance.id).is_some_and(Result::is_ok) {
                continue;
            }
            let server = MetricsServer::start(settings, Limits::default(), self.scrapes.clone());
            let server = server.map_err(|error| chain(&error).to_string());
            if let Err(error) = &server {
                error!(plugin = "prometheus", error, "no metrics");
            }
            self.running.insert(instance.id, server);
        }
    }

    /// What the status shows of one, or why it does not listen.
    pub(super) fn details(&self, id: InstanceId) -> Result<BTreeMap<String, String>, String> {
        let server = self.running.get(&id).ok_or("it was not started")?.as_ref().map_err(String::clone)?;
        let state = server.state().borrow().clone();
        let listening: Vec<_> = state.addresses().map(|address| address.to_string()).collect();
        if listening.is_empty() {
            return Err(state.problem().unwrap_or_else(|| "it does not listen yet".to_owned()));
        }
        let health = server.health();
        let mut details = BTreeMap::from([
            ("address".to_owned(), listening.join(" ")),
            ("scrapes".to_owned(), health.scrapes.to_string()),
            ("connections".to_owned(), health.connections.to_string()),
        ]);
        details.extend(state.problem().map(|problem| ("problem".to_owned(), problem)));
        Ok(details)
    }
}
