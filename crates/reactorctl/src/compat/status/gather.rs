//! What is known of the plugins of snippets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use reactor_api::Status;
use reactor_api::client::ClientError;
use reactor_api::status::{FileState, PluginState};
use reactor_api::verbs;
use reactor_core::ids::ResourceName;
use reactor_core::plugin::promoter::units;
use reactor_core::settings::promoter::{PromotedResource, Runner};
use reactor_core::settings::{PluginEntry, PluginSettings};

use crate::cli::Place;
use crate::daemon;
use crate::drbd::{self, PrimaryOn};
use crate::exit::Failure;
use crate::snippets::{Snippet, Snippets, content, is_same_file};
use crate::system;
use crate::systemctl::{self, Systemctl, UnitState};

/// Everything, and what could not be found out.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// The name of this node: as the daemon has it, which may be told by its configuration.
    pub(super) node: String,
    pub(super) snippets: Vec<SnippetReport>,
    pub(super) failures: Vec<Failure>,
}

/// A snippet.
#[derive(Debug)]
pub(super) struct SnippetReport {
    pub(super) path: String,
    pub(super) is_enabled: bool,
    /// Where what runs differs from the file.
    pub(super) differs: Option<String>,
    pub(super) items: Vec<Item>,
}

/// A plugin, or one resource of a promoter.
#[derive(Debug)]
pub(super) enum Item {
    Promoter(Promoted),
    Prometheus {
        address: String,
        runs: Runs,
    },
    Agentx {
        address: String,
        runs: Runs,
    },
    Umh {
        runs: Runs,
    },
    Debugger {
        runs: Runs,
    },
    NoPrimary {
        runs: Runs,
    },
    Events {
        runs: Runs,
    },
    /// Who is told.
    Notify {
        name: String,
        runs: Runs,
    },
}

/// A resource of a promoter.
#[derive(Debug)]
pub(super) struct Promoted {
    pub(super) resource: String,
    pub(super) primary_on: PrimaryOn,
    pub(super) target: Unit,
    /// None with the shell runner.
    pub(super) dependencies: Vec<Unit>,
    pub(super) has_units: bool,
    pub(super) runs: Runs,
}

/// A unit and its state.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) name: String,
    pub(super) state: UnitState,
}

/// Whether the daemon runs something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Runs {
    Yes,
    /// Why not.
    No(String),
    /// It was stopped by an error.
    Failed(String),
    /// The daemon was not asked, or has not answered: why.
    Unknown(String),
}

/// The sources.
struct World {
    daemon: Result<Status, Runs>,
    resources: BTreeMap<String, drbd::Resource>,
    units: BTreeMap<String, UnitState>,
}

pub(super) fn gather(place: &Place, snippets: &Snippets, selected: Vec<Snippet>, only: &[String]) -> Gathered {
    let mut gathered = Gathered::default();
    let mut contents: Vec<(Snippet, Vec<PluginEntry>)> = Vec::new();
    for snippet in selected {
        let content = content::read(&snippet, snippets.mode);
        gathered.failures.extend(content.error.map(Failure::from));
        contents.push((snippet, content.plugins));
    }
    let is_shown = |name: &ResourceName| only.is_empty() || only.iter().any(|only| only == name.as_str());
    let all = || contents.iter().flat_map(|(_, plugins)| content::promoted(plugins));
    let wanted: Vec<(&ResourceName, &PromotedResource)> = all().filter(|(name, _)| is_shown(name)).collect();
    for resource in only.iter().filter(|only| !all().any(|(name, _)| name.as_str() == only.as_str())) {
        gathered.failures.push(Failure::NoSuchResource { resource: resource.clone() });
    }
    let world = World::ask(place, snippets, &wanted, &mut gathered.failures);
    gathered.node = match &world.daemon {
        Ok(status) if !status.node.is_empty() => status.node.clone(),
        _ => system::node_name(&snippets.daemon),
    };
    for (snippet, plugins) in &contents {
        let items = plugins.iter().flat_map(|entry| world.items(snippet, entry, &is_shown)).collect::<Vec<_>>();
        if items.is_empty() && !only.is_empty() {
            continue;
        }
        gathered.snippets.push(SnippetReport {
            path: snippet.path.display().to_string(),
            is_enabled: snippet.is_enabled,
            differs: world.difference(snippet),
            items,
        });
    }
    gathered
}

impl World {
    fn ask(
        place: &Place,
        snippets: &Snippets,
        wanted: &[(&ResourceName, &PromotedResource)],
        failures: &mut Vec<Failure>,
    ) -> Self {
        let names: BTreeSet<String> = wanted.iter().map(|(name, _)| name.to_string()).collect();
        let daemon = match daemon::status(place, &verbs::Status { resources: Some(names) }) {
            Ok(status) => Ok(status),
            Err(failure) => {
                let runs = match &failure {
                    Failure::Client(ClientError::NotRunning { .. }) => nobody(place, snippets),
                    other => Runs::Unknown(other.to_string()),
                };
                failures.push(failure);
                Err(runs)
            }
        };
        let resources = match &daemon {
            Ok(status) => status.resources.iter().map(|wire| (wire.name.clone(), drbd::Resource::from(wire))).collect(),
            Err(_) if wanted.is_empty() => BTreeMap::new(),
            Err(_) => drbd::ask(&snippets.daemon).unwrap_or_else(|failure| {
                failures.push(failure);
                BTreeMap::new()
            }),
        };
        // What the daemon follows it knows; systemd is asked for the rest.
        let mut units = daemon.as_ref().ok().map(units_of).unwrap_or_default();
        let all: BTreeSet<String> = wanted.iter().flat_map(|(name, resource)| names_of(name, resource)).collect();
        let missing: Vec<String> = all.into_iter().filter(|unit| !units.contains_key(unit)).collect();
        match Systemctl::of(&snippets.daemon).states(&missing) {
            Ok(states) => units.extend(states),
            Err(error) => failures.push(error.into()),
        }
        Self { daemon, resources, units }
    }

    fn items(&self, snippet: &Snippet, entry: &PluginEntry, is_shown: &dyn Fn(&ResourceName) -> bool) -> Vec<Item> {
        let runs = self.runs(snippet, entry);
        match &entry.settings {
            PluginSettings::Promoter(promoter) => promoter
                .resources
                .iter()
                .filter(|(name, _)| is_shown(name))
                .map(|(name, resource)| Item::Promoter(self.promoted(name, resource, runs.clone())))
                .collect(),
            PluginSettings::Prometheus(settings) => {
                vec![Item::Prometheus { address: settings.address.to_string(), runs }]
            }
            PluginSettings::Agentx(settings) => vec![Item::Agentx { address: settings.address.clone(), runs }],
            PluginSettings::Umh(_) => vec![Item::Umh { runs }],
            PluginSettings::Debugger(_) => vec![Item::Debugger { runs }],
            PluginSettings::NoPrimary(_) => vec![Item::NoPrimary { runs }],
            PluginSettings::Events(_) => vec![Item::Events { runs }],
            PluginSettings::Notify(notify) => vec![Item::Notify { name: notify.name.clone(), runs }],
        }
    }

    fn promoted(&self, name: &ResourceName, resource: &PromotedResource, runs: Runs) -> Promoted {
        let unit = |name: String| Unit { state: self.units.get(&name).cloned().unwrap_or_default(), name };
        let mut names = names_of(name, resource).into_iter();
        let target = names.next().unwrap_or_else(|| units::target(name).to_string());
        Promoted {
            resource: name.to_string(),
            primary_on: self.resources.get(name.as_str()).map_or(PrimaryOn::Unknown, drbd::Resource::primary_on),
            target: unit(target),
            dependencies: names.map(unit).collect(),
            has_units: resource.runner == Runner::Systemd,
            runs,
        }
    }

    /// Whether the daemon runs a plugin.
    fn runs(&self, snippet: &Snippet, entry: &PluginEntry) -> Runs {
        if !snippet.is_enabled {
            return Runs::No("it is disabled".to_owned());
        }
        let status = match &self.daemon {
            Ok(status) => status,
            Err(runs) => return runs.clone(),
        };
        let kind = entry.settings.kind().as_str();
        let plugin = status
            .plugins
            .iter()
            .filter(|plugin| plugin.kind == kind && is_same_file(Path::new(&plugin.file), &snippet.path))
            .min_by_key(|plugin| plugin.line.abs_diff(entry.line));
        match plugin {
            None => Runs::No("the daemon has not read it: reload".to_owned()),
            Some(plugin) => {
                let why = plugin.why.clone().unwrap_or_else(|| "the daemon does not say why".to_owned());
                match plugin.state {
                    PluginState::Running => Runs::Yes,
                    PluginState::Stopped => Runs::Failed(why),
                    PluginState::Unknown => Runs::No(why),
                }
            }
        }
    }

    /// How what runs differs from the file.
    fn difference(&self, snippet: &Snippet) -> Option<String> {
        let configuration = &self.daemon.as_ref().ok()?.configuration;
        let is_it = |path: &str| is_same_file(Path::new(path), &snippet.path);
        let file = configuration.files.iter().find(|file| is_it(&file.path));
        if let Some(state) = file.map(|file| file.state)
            && let FileState::LastGood | FileState::Partly | FileState::Rejected = state
        {
            return Some(match state {
                FileState::LastGood => "it has errors: its last good version runs".to_owned(),
                FileState::Partly => "it has errors: the rest of it runs".to_owned(),
                _ => "it has errors: nothing of it runs".to_owned(),
            });
        }
        let drift = configuration.drift.iter().find(|(path, _)| is_it(path));
        drift.map(|(_, how)| format!("not what runs: the file is {how} since the last reload"))
    }
}

/// Nobody serves the socket: then nothing runs, unless it is another program that does, which we can't ask.
fn nobody(place: &Place, snippets: &Snippets) -> Runs {
    let unit = systemctl::daemon_unit(place.mode);
    if Systemctl::of(&snippets.daemon).is_active(unit) {
        return Runs::Unknown(format!("{unit} runs, but can't be asked"));
    }
    Runs::No("no daemon runs".to_owned())
}

/// The units that the daemon tells of, unless it knows no present.
fn units_of(status: &Status) -> BTreeMap<String, UnitState> {
    if status.systemd.as_ref().is_none_or(|systemd| !systemd.up) {
        return BTreeMap::new();
    }
    let units = status.promoted.iter().flat_map(|promoted| &promoted.units).filter(|unit| unit.active != "unknown");
    units
        .map(|unit| (unit.unit.clone(), UnitState { active: unit.active.clone(), freezer: unit.freezer.clone() }))
        .collect()
}

/// The target, and what it pulls in; nothing with the shell runner.
fn names_of(name: &ResourceName, resource: &PromotedResource) -> Vec<String> {
    if resource.runner == Runner::Shell {
        return Vec::new();
    }
    let mut names = vec![units::target(name).to_string(), units::promote(name).to_string()];
    names.extend(resource.start.iter().map(|entry| units::unit_of(name, &entry.what).to_string()));
    names
}
