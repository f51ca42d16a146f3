//! Plugins that the daemon runs outside of the core: metrics servers and SNMP subagents.

use std::collections::BTreeMap;
use std::time::SystemTime;

use reactor_core::core::Instance;
use reactor_core::ids::InstanceId;
use reactor_core::plugin::Counter;
use reactor_core::settings::PluginSettings;
use reactor_sys::agentx::{self, Subagent};
use reactor_sys::chain::chain;
use reactor_sys::control::rfc3339;
use reactor_sys::http::{Limits, MetricsServer, ScrapeHandle};
use tokio::sync::watch;
use tracing::error;

/// One for each `[[prometheus]]` and `[[agentx]]`; `Err` = why it could not be started at all.
pub(super) struct Servers {
    scrapes: ScrapeHandle,
    running: BTreeMap<InstanceId, Result<Server, String>>,
}

enum Server {
    Metrics(MetricsServer),
    Snmp(Subagent),
}

impl Servers {
    /// None yet; their requests will go through `scrapes`.
    pub(super) fn new(scrapes: ScrapeHandle) -> Self {
        Self { scrapes, running: BTreeMap::new() }
    }

    /// Makes what runs what is configured. Servers of instances that were kept notice nothing. `news` gives what says when something is new.
    pub(super) fn reconcile(&mut self, instances: &[Instance], news: impl Fn() -> watch::Receiver<u64>) {
        // First those that go: a new one may want their address, or their place with the master agent.
        self.running.retain(|id, _| instances.iter().any(|instance| instance.id == *id));
        for instance in instances {
            match self.running.get(&instance.id) {
                Some(Ok(Server::Snmp(subagent))) if !subagent.is_running() => {}
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => {}
            }
            let Some(server) = self.start(&instance.settings, &news) else { continue };
            if let Err(error) = &server {
                error!(plugin = instance.settings.kind().as_str(), error, "it does not run");
            }
            self.running.insert(instance.id, server);
        }
    }

    /// Starts what settings ask for; `None` = that is not for us.
    fn start(
        &self,
        settings: &PluginSettings,
        news: &impl Fn() -> watch::Receiver<u64>,
    ) -> Option<Result<Server, String>> {
        match settings {
            PluginSettings::Prometheus(settings) => {
                let server = MetricsServer::start(settings, Limits::default(), self.scrapes.clone());
                Some(server.map(Server::Metrics).map_err(|error| chain(&error).to_string()))
            }
            PluginSettings::Agentx(settings) => {
                let limits = agentx::Limits::default();
                let subagent = Subagent::start(settings, limits, self.scrapes.clone(), news());
                Some(subagent.map(Server::Snmp).map_err(|error| chain(&error).to_string()))
            }
            _ => None,
        }
    }

    /// What the status shows of one, or why it does not listen or is not connected.
    pub(super) fn details(&self, id: InstanceId) -> Result<BTreeMap<String, String>, String> {
        match self.running.get(&id).ok_or("it was not started")?.as_ref().map_err(String::clone)? {
            Server::Metrics(server) => metrics_details(server),
            Server::Snmp(subagent) => snmp_details(subagent),
        }
    }

    /// What one counted, beyond what has metrics of its own.
    pub(super) fn counters(&self, id: InstanceId) -> Vec<Counter> {
        match self.running.get(&id) {
            Some(Ok(Server::Snmp(subagent))) => snmp_counters(subagent),
            _ => Vec::new(),
        }
    }
}

fn metrics_details(server: &MetricsServer) -> Result<BTreeMap<String, String>, String> {
    let state = server.state().borrow().clone();
    let listening: Vec<_> = state.endpoints().map(ToString::to_string).collect();
    if listening.is_empty() {
        return Err(state.problem().unwrap_or_else(|| "it does not listen yet".to_owned()));
    }
    let health = server.health();
    let mut details = BTreeMap::from([
        ("address".to_owned(), listening.join(" ")),
        ("scrapes".to_owned(), health.scrapes.to_string()),
        ("connections".to_owned(), health.connections.to_string()),
    ]);
    details.extend(server.certificate_ends().map(|end| ("certificate-until".to_owned(), rfc3339(end))));
    let problems = server.problems();
    details.extend((!problems.is_empty()).then(|| ("problem".to_owned(), problems.join("; "))));
    Ok(details)
}

fn snmp_details(subagent: &Subagent) -> Result<BTreeMap<String, String>, String> {
    if !subagent.is_running() {
        return Err("it ended by a panic, which the log has: reactorctl reload starts it again".to_owned());
    }
    let state = subagent.state().borrow().clone();
    let Some(session) = state.session else {
        return Err(state.problem.unwrap_or_else(|| "it is not connected yet".to_owned()));
    };
    let counts = subagent.counts();
    let since = rfc3339(session.since.min(SystemTime::now()));
    let numbers = [
        ("requests", counts.requests),
        ("refused", counts.refused),
        ("notifications", counts.notified),
        ("notifications-dropped", counts.dropped),
    ];
    let mut details = BTreeMap::from([("address".to_owned(), session.to), ("connected".to_owned(), since)]);
    details.extend(numbers.map(|(name, number)| (name.to_owned(), number.to_string())));
    Ok(details)
}

fn snmp_counters(subagent: &Subagent) -> Vec<Counter> {
    let counts = subagent.counts();
    let counter = |name, help, value| Counter { name, help, labels: Vec::new(), value };
    vec![
        counter("sessions", "Sessions with the master agent that were opened.", counts.sessions),
        counter("requests", "Requests of the master agent.", counts.requests),
        counter("requests_refused", "Requests that were answered by an error.", counts.refused),
        counter("notifications", "Notifications that the master agent took.", counts.notified),
        counter(
            "notifications_dropped",
            "Notifications that the master agent did not take, or that were too many or too old.",
            counts.dropped,
        ),
    ]
}
