//! The status, as far as the core knows it.

use std::collections::BTreeMap;

use reactor_api::objects::WireResource;
use reactor_api::status::{Counters, OtherSourceStatus, PluginState, PluginStatus, SourceState, WireCounter};

use crate::core::{Core, Instance, InstanceState};
use crate::input::SourceId;
use crate::model::sources::Source;
use crate::model::{self, Node};
use crate::plugin::Counter;
use crate::settings::Mode;

/// All resources of `node` on the wire.
pub fn resources(node: &Node) -> Vec<WireResource> {
    node.resources().map(WireResource::from).collect()
}

/// The sources beside DRBD's that were heard of.
pub fn other_sources(node: &Node) -> Vec<OtherSourceStatus> {
    let status = |(id, source): (SourceId, &Source)| OtherSourceStatus {
        name: id.as_str().to_owned(),
        state: match source.state {
            model::SourceState::Unknown | model::SourceState::Dumping => SourceState::Starting,
            model::SourceState::Live => SourceState::Up,
            model::SourceState::Down => SourceState::Down,
        },
        command: source.command.clone(),
        last_error: source.why.clone(),
        records: source.records,
        overruns: source.overruns,
        lost: source.lost,
        not_understood: source.not_understood,
        last_not_understood: source.last_not_understood.clone(),
    };
    node.sources().iter().map(status).collect()
}

/// Every plugin of `core`. Of those that run outside of the core, `outside` says what it has to say, or why they do not run.
pub fn plugins(
    core: &Core,
    outside: impl Fn(&Instance) -> Result<BTreeMap<String, String>, String>,
) -> Vec<PluginStatus> {
    core.instances().iter().map(|instance| plugin(instance, &outside)).collect()
}

fn plugin(
    instance: &Instance,
    outside: impl Fn(&Instance) -> Result<BTreeMap<String, String>, String>,
) -> PluginStatus {
    let mut status = PluginStatus {
        kind: instance.kind().as_str().to_owned(),
        file: instance.file.display().to_string(),
        line: instance.line,
        ..PluginStatus::default()
    };
    let stopped = |why: String| (PluginState::Stopped, Some(why));
    (status.state, status.why) = match &instance.state {
        InstanceState::Running => (PluginState::Running, None),
        InstanceState::Outside => match outside(instance) {
            Ok(details) => {
                status.details = details;
                (PluginState::Running, None)
            }
            Err(why) => stopped(why),
        },
        InstanceState::Panicked { message } => stopped(format!("it panicked: {message}")),
    };
    if status.state == PluginState::Running {
        status.id = Some(instance.id.0);
    }
    status.details.extend(instance.status().into_iter().map(|(name, value)| (name.to_owned(), value)));
    status.counters = instance.counters().iter().map(WireCounter::from).collect();
    status
}

/// What `core` counted.
pub fn counters(core: &Core) -> Counters {
    let (counters, reports) = (core.counters(), core.node().reports());
    Counters {
        lines: counters.lines,
        bursts: counters.bursts,
        changes: counters.changes,
        actions: counters.actions,
        panics: counters.panics,
        unparsed: reports.unparsed,
        last_unparsed: reports.last_unparsed().map(str::to_owned),
        orphans: reports.orphans,
        unknown_words: reports.unknown().map(|(word, count)| (word.to_owned(), count)).collect(),
        violations: reports.violations,
    }
}

/// The word of a mode on the wire.
pub fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Native => "native",
        Mode::DrbdReactor => "drbd-reactor",
    }
}

impl From<&Counter> for WireCounter {
    fn from(counter: &Counter) -> Self {
        Self {
            name: counter.name.to_owned(),
            labels: counter.labels.iter().map(|(label, value)| ((*label).to_owned(), value.clone())).collect(),
            value: counter.value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(plugins: Vec<crate::settings::PluginEntry>) -> crate::settings::Settings {
        crate::settings::Settings::of_plugins(Mode::Native, plugins)
    }

    /// A plugin is shown as what it is, not as what it should be.
    #[test]
    fn a_plugin_that_does_not_run_says_so_and_why() {
        use crate::ids::Mono;
        use crate::plugin::{Context, Handled, Interest, PluginInput};
        use crate::settings::{AgentxSettings, DebuggerSettings, PluginEntry, PluginSettings, PrometheusSettings};
        struct Broken;
        impl crate::plugin::Plugin for Broken {
            fn kind(&self) -> crate::settings::PluginKind {
                crate::settings::PluginKind::Debugger
            }
            fn interest(&self) -> Interest {
                Interest::in_changes(Some(crate::settings::Detail::State))
            }
            fn on(&mut self, _: &mut Context<'_>, input: PluginInput<'_>) -> Handled {
                assert!(!matches!(input, PluginInput::BurstEnd), "out of paper");
                Handled::No
            }
        }
        let duration = std::time::Duration::from_secs(1);
        let agentx = AgentxSettings {
            address: "localhost:705".to_owned(),
            cache_max: duration,
            agent_timeout: duration,
            peer_states: true,
        };
        let metrics = PrometheusSettings::default();
        let mut core = Core::new();
        let all = [
            PluginSettings::Agentx(agentx),
            PluginSettings::Prometheus(metrics.clone()),
            PluginSettings::Prometheus(metrics),
        ];
        let entry = |(line, settings)| PluginEntry { file: "a.toml".into(), line, settings };
        let settings = settings((1..).zip(all).map(entry).collect());
        core.configure(Mono::ZERO, &settings, &mut Vec::new());
        let settings = PluginSettings::Debugger(DebuggerSettings::default());
        let entry = PluginEntry { file: "a.toml".into(), line: 4, settings };
        core.insert(Mono::ZERO, &entry, Box::new(Broken), &mut Vec::new());
        let status = plugins(&core, |instance| match instance.line {
            2 => Ok(BTreeMap::from([("address".to_owned(), ":9942".to_owned())])),
            1 => Err("nobody is there".to_owned()),
            _ => Err("address already in use".to_owned()),
        });
        let shown: Vec<_> =
            status.iter().map(|p| (p.kind.as_str(), p.state, p.why.as_deref(), p.id.is_some())).collect();
        assert_eq!(
            shown,
            [
                ("agentx", PluginState::Stopped, Some("nobody is there"), false),
                ("prometheus", PluginState::Running, None, true),
                ("prometheus", PluginState::Stopped, Some("address already in use"), false),
                ("debugger", PluginState::Stopped, Some("it panicked: out of paper"), false),
            ]
        );
        assert_eq!(status[1].details["address"], ":9942");
    }
}
