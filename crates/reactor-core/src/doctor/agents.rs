//! Parameters of OCF agents against what the agents say of themselves.

use std::collections::BTreeMap;

use reactor_api::doctor::{Finding, Severity};

use super::{Cluster, finding};
use crate::facts::Agent;
use crate::settings::promoter::StartEntry;

/// What an agent says of its parameters.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AgentMetaData {
    /// By name.
    pub parameters: BTreeMap<String, Parameter>,
}

/// One parameter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Parameter {
    /// It has to be given.
    pub required: bool,
}

pub(super) fn check(cluster: &Cluster<'_>, out: &mut Vec<Finding>) {
    for (resource, settings) in cluster.promoted() {
        for entry in &settings.start {
            let StartEntry::Ocf { vendor, agent, instance, parameters } = &entry.what else { continue };
            let agent = Agent { vendor: vendor.clone(), agent: agent.clone() };
            let Some(known) = cluster.agents.get(&agent) else { continue };
            let place = format!("start of {resource}: ocf:{}:{} {instance}", agent.vendor, agent.agent);
            let mut add = |severity, what: String, why: &str| {
                out.push(Finding {
                    resource: Some(resource.to_string()),
                    why: why.to_owned(),
                    mend: vec![format!("OCF_ROOT=/usr/lib/ocf {agent} meta-data")],
                    ..finding(severity, "agents", place.clone(), what)
                });
            };
            for (name, _) in parameters.iter().filter(|(name, _)| !known.parameters.contains_key(name)) {
                let why = "the agent does not look at it: a mistyped name, and what was meant has its default";
                add(Severity::Warning, format!("the agent has no parameter {name}"), why);
            }
            let given = |name: &str| parameters.iter().any(|(one, _)| one == name);
            for (name, _) in known.parameters.iter().filter(|(name, it)| it.required && !given(name)) {
                add(
                    Severity::Error,
                    format!("the parameter {name} is missing"),
                    "the agent requires it: its start fails",
                );
            }
        }
    }
}
