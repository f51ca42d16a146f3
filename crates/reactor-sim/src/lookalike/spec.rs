//! The cluster to simulate, as a JSON file says it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::drbd9::{ClusterSpec, OnLoss, Options};

/// A cluster: its nodes and its resources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Spec {
    /// Host names; the first has node id 0.
    pub nodes: Vec<String>,
    /// Resources.
    pub resources: Vec<Resource>,
    /// Resources are up, connected and UpToDate at the start; else they are down, with blank metadata.
    #[serde(default = "yes")]
    pub settled: bool,
    /// How often the rejoin of a crashed primary leaves a connection StandAlone, in percent.
    #[serde(default)]
    pub standalone_trap_percent: u32,
    /// Varies the times that things take.
    #[serde(default)]
    pub seed: u64,
}

/// A resource of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// How many volumes it has.
    #[serde(default = "one")]
    pub volumes: u32,
    /// Nodes on which it has no disk.
    #[serde(default)]
    pub diskless: Vec<String>,
    /// `quorum majority` (else off).
    #[serde(default = "yes")]
    pub quorum: bool,
    /// `on-no-quorum suspend-io` with what goes with it: `on-no-data-accessible suspend-io` and `rr-conflict retry-connect` (else `io-error`
    /// twice, and `disconnect`).
    #[serde(default)]
    pub suspend_io: bool,
    /// `on-suspended-primary-outdated force-secondary` (else `disconnect`).
    #[serde(default = "yes")]
    pub force_secondary: bool,
    /// `ping-int`, in milliseconds: how long an idle connection that is dead goes unnoticed.
    #[serde(default = "one_second")]
    pub ping_int_ms: u64,
    /// `ping-timeout`, in milliseconds.
    #[serde(default = "half_a_second")]
    pub ping_timeout_ms: u64,
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

fn one_second() -> u64 {
    1_000
}

fn half_a_second() -> u64 {
    500
}

impl Resource {
    /// A resource with one volume and a disk on every node, quorum and `io-error`.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            volumes: 1,
            diskless: Vec::new(),
            quorum: true,
            suspend_io: false,
            force_secondary: true,
            ping_int_ms: one_second(),
            ping_timeout_ms: half_a_second(),
        }
    }
}

impl Spec {
    /// A settled cluster with these nodes and resources.
    pub fn new(nodes: &[&str], resources: &[&str]) -> Self {
        Self {
            nodes: nodes.iter().map(|node| (*node).to_owned()).collect(),
            resources: resources.iter().map(|name| Resource::new(name)).collect(),
            settled: true,
            standalone_trap_percent: 0,
            seed: 1,
        }
    }

    /// For the model.
    pub fn cluster(&self) -> Result<ClusterSpec> {
        if self.nodes.is_empty() {
            bail!("a cluster needs nodes");
        }
        let names: Vec<&str> = self.nodes.iter().map(String::as_str).collect();
        let mut spec = ClusterSpec::new(&names);
        spec.standalone_trap_percent = self.standalone_trap_percent;
        for resource in &self.resources {
            let place = |node: &String| {
                self.nodes
                    .iter()
                    .position(|name| name == node)
                    .with_context(|| format!("{}: diskless on {node}, which is no node of the cluster", resource.name))
            };
            let diskless = resource.diskless.iter().map(place).collect::<Result<Vec<_>>>()?;
            spec = spec.with_resource(&resource.name, resource.volumes, &diskless, resource.options());
        }
        Ok(spec)
    }
}

impl Resource {
    fn options(&self) -> Options {
        let on_loss = if self.suspend_io { OnLoss::SuspendIo } else { OnLoss::IoError };
        Options {
            quorum: self.quorum,
            on_no_quorum: on_loss,
            on_no_data: on_loss,
            retry_connect: self.suspend_io,
            force_secondary: self.force_secondary,
            ping_int: Duration::from_millis(self.ping_int_ms),
            ping_timeout: Duration::from_millis(self.ping_timeout_ms),
            ..Options::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_file_is_enough_and_a_wrong_one_is_named() {
        let spec: Spec = serde_json::from_str(r#"{"nodes": ["n1", "n2"], "resources": [{"name": "r1"}]}"#).unwrap();
        assert!(spec.settled);
        assert_eq!(spec.resources[0], Resource::new("r1"));
        assert_eq!(spec.cluster().unwrap().resources[0].placement.len(), 2);
        let mut wrong = spec;
        wrong.resources[0].diskless.push("n9".into());
        assert_eq!(wrong.cluster().unwrap_err().to_string(), "r1: diskless on n9, which is no node of the cluster");
        assert!(serde_json::from_str::<Spec>(r#"{"nodes": [], "resources": [], "sped": 1}"#).is_err());
    }
}
