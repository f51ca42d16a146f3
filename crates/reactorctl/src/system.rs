//! Asks this machine what a configuration takes for granted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use reactor_api::survey::NodeFacts;
use reactor_core::doctor::AgentMetaData;
use reactor_core::facts::{Agent, Fact, OCF_AGENTS, Questions, SystemFacts};
use reactor_core::input::Dialect;
use reactor_core::settings::{DaemonSettings, Settings};
use reactor_sys::drbd::version::Versions;
use reactor_sys::facts::{Sources, ask as ask_sources};
use reactor_sys::systemd::shim;
use reactor_sys::{agents, survey};

/// Asks as a daemon with these settings would. Never fails: what can't be found out is unknown, with the reason.
pub(crate) fn ask(questions: &Questions, daemon: &DaemonSettings) -> SystemFacts {
    ask_at(questions, daemon, Path::new("/"))
}

/// The same, with the block devices of the machine whose files are below `root`.
pub(crate) fn ask_at(questions: &Questions, daemon: &DaemonSettings, root: &Path) -> SystemFacts {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let facts =
                runtime.block_on(ask_sources(questions, &Sources { root: root.to_path_buf(), ..Sources::of(daemon) }));
            // A look at a file system that hangs must not keep us.
            runtime.shutdown_background();
            facts
        }
        Err(error) => {
            let why = error.to_string();
            SystemFacts {
                units: Fact::Unknown { why: why.clone() },
                resources: Fact::Unknown { why: why.clone() },
                drbd: Fact::Unknown { why },
                ..SystemFacts::default()
            }
        }
    }
}

/// This node's name, as a daemon with these settings has it.
pub(crate) fn node_name(daemon: &DaemonSettings) -> String {
    let uname = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    daemon.node_name.clone().unwrap_or_else(uname)
}

/// Facts about this machine for `doctor`, and what these agents say of their parameters.
pub(crate) fn survey(
    node: &str,
    settings: &Settings,
    agents: &BTreeSet<Agent>,
) -> (NodeFacts, BTreeMap<Agent, AgentMetaData>) {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let places = survey::Places::of(settings);
            let looked = runtime.block_on(async {
                tokio::join!(
                    survey::look(node, &places, survey::Reader::Root),
                    agents::meta_data(agents, Path::new(OCF_AGENTS))
                )
            });
            // A look at a file system that hangs must not keep us.
            runtime.shutdown_background();
            looked
        }
        Err(error) => (NodeFacts { unknown: vec![error.to_string()], ..NodeFacts::default() }, BTreeMap::new()),
    }
}

/// Where the shim of drbd-utils is (empty = nobody knows), and which DRBD runs. DRBD 9 if that can't be found out, as for the daemon.
pub(crate) fn shim_and_dialect(daemon: &DaemonSettings) -> (String, Dialect) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let versions = runtime.ok().and_then(|runtime| runtime.block_on(Versions::ask(&daemon.drbdadm)).ok());
    (shim::find(&daemon.unit_dir).unwrap_or_default(), versions.map_or(Dialect::Drbd9, |versions| versions.dialect()))
}
