//! What the configuration takes for granted about the system: units, OCF agents, DRBD resources, each with its place in the files.
//!
//! Reading files says nothing about the machine. [`Needs::questions`] says what to ask it; whoever may do I/O finds out
//! ([`reactor_core::facts`]), and [`Needs::check`] turns the answers into findings. Nothing here waits for anything, so the daemon can
//! ask in a task of its own and its loop goes on.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use reactor_core::facts::{Agent, AgentFile, CGROUP_2, Fact, Questions, SecretFault, SystemFacts, UnitFacts, WebFault};
use reactor_core::ids::{ResourceName, UnitName};
use reactor_core::names;
use reactor_core::plugin::promoter::policy::Policy;
use reactor_core::plugin::promoter::units::{escape, promote, unit_of};
use reactor_core::settings::promoter::{OnQuorumLoss, PromotedResource, Runner, StartEntry};
use reactor_core::systemd::LoadState;

use crate::finding::{Code, Finding, Severity};
use crate::read::{Claim, MainSettings};
use crate::source::Location;
use crate::starters::{Starters, Who};
use crate::volume_groups::{List, Said, judge};

/// What the running settings need of the system. Cheap to clone, and independent of [`crate::Loaded`].
#[derive(Clone, Debug, Default)]
pub struct Needs {
    resources: Vec<Need>,
    /// `operator-group`, and where it is written.
    operators: Option<(String, Location)>,
    /// Web configuration files, and where they are named.
    webs: Vec<(PathBuf, Location)>,
    /// Files with secrets, and where they are named.
    secrets: Vec<(PathBuf, Location)>,
}

/// What one promoted resource needs.
#[derive(Clone, Debug)]
struct Need {
    resource: ResourceName,
    /// The name of the resource in its header.
    header: Location,
    runner: Runner,
    /// Its services may have to be frozen.
    freezes: bool,
    /// Without quorum and fencing it is started once, as drbd-reactor does it.
    unguarded_start: bool,
    /// With systemd: what is started.
    start: Vec<Started>,
}

/// One entry of `start` or `standby`.
#[derive(Clone, Debug)]
struct Started {
    unit: UnitName,
    agent: Option<Agent>,
    /// The volume group that it activates.
    volume_group: Option<String>,
    list: List,
    /// A unit of ours runs it.
    is_command: bool,
    /// Nodes that leave it out.
    disabled_on: Vec<String>,
    at: Location,
}

impl Needs {
    /// Adds a resource as its file has it.
    pub(crate) fn add(&mut self, claim: &Claim, settings: &PromotedResource) {
        let entries = settings.start.iter().chain(&settings.standby).filter(|_| settings.runner == Runner::Systemd);
        let start = entries.enumerate().map(|(index, entry)| Started {
            unit: unit_of(&claim.resource, &entry.what),
            agent: match &entry.what {
                StartEntry::Unit(_) | StartEntry::Command { .. } => None,
                StartEntry::Ocf { vendor, agent, .. } => Some(Agent { vendor: vendor.clone(), agent: agent.clone() }),
            },
            list: if index < settings.start.len() { List::Start } else { List::Standby },
            volume_group: entry.volume_group().map(str::to_owned),
            is_command: matches!(entry.what, StartEntry::Command { .. }),
            disabled_on: entry.how.disabled_on.clone(),
            at: claim.start.get(index).unwrap_or(&claim.location).clone(),
        });
        self.resources.push(Need {
            resource: claim.resource.clone(),
            header: claim.location.clone(),
            runner: settings.runner,
            freezes: settings.runner == Runner::Systemd && settings.on_quorum_loss == OnQuorumLoss::Freeze,
            unguarded_start: settings.unguarded_start,
            start: start.collect(),
        });
    }

    /// Adds a resource as it was before.
    pub(crate) fn add_again(&mut self, resource: &ResourceName, before: Option<&Self>) {
        let before = before.into_iter().flat_map(|before| &before.resources);
        self.resources.extend(before.filter(|need| need.resource == *resource).cloned());
    }

    /// Adds what `[daemon]` says of operators.
    pub(crate) fn add_operators(&mut self, main: &MainSettings) {
        self.operators = main.daemon.operator_group.clone().zip(main.operator_group_at.clone());
    }

    /// Adds web configuration files.
    pub(crate) fn add_webs<'f>(&mut self, webs: impl Iterator<Item = &'f (PathBuf, Location)>) {
        self.webs.extend(webs.cloned());
    }

    /// Adds files with secrets.
    pub(crate) fn add_secrets<'f>(&mut self, secrets: impl Iterator<Item = &'f (PathBuf, Location)>) {
        self.secrets.extend(secrets.cloned());
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.resources.extend(other.resources);
        self.webs.extend(other.webs);
        self.secrets.extend(other.secrets);
        self.operators = self.operators.take().or(other.operators);
    }

    /// What must be asked of the system. Empty without a promoter, a group of operators, a web configuration file and a file with a
    /// secret.
    pub fn questions(&self) -> Questions {
        let any = !self.resources.is_empty();
        let freezer = self.resources.iter().any(|need| need.freezes);
        let group = self.operators.as_ref().map(|(group, _)| group.clone());
        let web = self.webs.iter().map(|(path, _)| path.clone()).collect();
        let secrets = self.secrets.iter().map(|(path, _)| path.clone()).collect();
        let mut questions =
            Questions { resources: any, drbd: any, freezer, group, web, secrets, ..Questions::default() };
        for need in self.resources.iter().filter(|need| need.runner == Runner::Systemd) {
            questions.units.extend([promote(&need.resource), wait_promotable(&need.resource)]);
            for started in &need.start {
                questions.units.insert(started.unit.clone());
                questions.agents.extend(started.agent.clone());
                questions
                    .volume_groups
                    .extend(started.volume_group.iter().map(|group| (need.resource.clone(), group.clone())));
            }
        }
        questions
    }

    /// What is as it should be, or not known, and still worth to be said to a person who asks: where volume groups are.
    pub fn remarks(&self, facts: &SystemFacts) -> Vec<Finding> {
        let mut check = Check::new(facts);
        for (need, started) in self.started_on(&facts.node) {
            check.volume_group(need, started, |severity| severity == Severity::Note);
        }
        check.findings
    }

    /// What this node starts of each resource.
    fn started_on<'n>(&'n self, node: &'n str) -> impl Iterator<Item = (&'n Need, &'n Started)> {
        let all = self.resources.iter().flat_map(|need| need.start.iter().map(move |started| (need, started)));
        all.filter(move |(_, started)| started.is_on(node))
    }

    /// What is wrong, given what the system says. What could not be found out is said once, as a note.
    pub fn check<'f>(&'f self, facts: &'f SystemFacts) -> Vec<Finding> {
        let ours =
            self.resources.iter().flat_map(|need| need.start.iter().map(|started| started.unit.as_str())).collect();
        let mut check = Check { ours, ..Check::new(facts) };
        for need in &self.resources {
            check.resource(need);
        }
        if let Some((group, at)) = &self.operators {
            check.operators(group, at);
        }
        for (path, at) in &self.webs {
            check.web(path, at);
        }
        for (path, at) in &self.secrets {
            check.secret(path, at);
        }
        if let Some(first) = self.resources.first() {
            check.drbd(first);
            check.not_checked(first);
        }
        check.findings
    }
}

/// A unit of drbd-utils that is not for nodes with a promoter.
fn wait_promotable(resource: &ResourceName) -> UnitName {
    UnitName::new(&format!("drbd-wait-promotable@{}.service", escape(resource.as_str())))
}

struct Check<'f> {
    facts: &'f SystemFacts,
    /// Everything that some resource starts.
    ours: BTreeSet<&'f str>,
    findings: Vec<Finding>,
    /// Whether the templates that every resource needs have not been missed yet: said once.
    has_promote: bool,
    /// Its lack is said once.
    has_template: bool,
    has_wrapper: bool,
}

impl Started {
    fn is_on(&self, node: &str) -> bool {
        !self.disabled_on.iter().any(|disabled| names::same(disabled, node))
    }
}

impl<'f> Check<'f> {
    fn new(facts: &'f SystemFacts) -> Self {
        let (ours, findings) = (BTreeSet::new(), Vec::new());
        Self { facts, ours, findings, has_promote: true, has_wrapper: true, has_template: true }
    }

    fn add(&mut self, severity: Severity, at: &Location, message: String) -> &mut Finding {
        self.findings.push(Finding::at(severity, Code::System, &at.source, at.span.clone(), message));
        self.findings.last_mut().expect("just pushed")
    }

    /// A group that is not there has no members.
    fn operators(&mut self, group: &str, at: &Location) {
        let (severity, message, hint) = match &self.facts.group {
            Fact::Known(None) => (
                Severity::Warning,
                format!("there is no group `{group}`: nobody but root may steer services"),
                format!("groupadd --system {group}, or name a group that exists"),
            ),
            Fact::Unknown { why } => (
                Severity::Note,
                format!("whether there is a group `{group}` can't be found out: {why}"),
                "until it answers, nobody but root may steer services; it is asked again each minute".to_owned(),
            ),
            Fact::Known(Some(_)) | Fact::NotAsked => return,
        };
        self.add(severity, at, message).hint = Some(hint);
    }

    /// Without a good file its server does not listen.
    fn web(&mut self, path: &Path, at: &Location) {
        match self.facts.web.get(path) {
            Some(Fact::Known(faults)) => {
                for WebFault { what, hint, unusable } in faults {
                    let severity = if *unusable { Severity::Error } else { Severity::Warning };
                    let message =
                        if *unusable { format!("no metrics server can start with this: {what}") } else { what.clone() };
                    self.add(severity, at, message).hint = Some(hint.clone());
                }
            }
            Some(Fact::Unknown { why }) => {
                let message = format!("whether {} is good can't be found out: {why}", path.display());
                self.add(Severity::Note, at, message);
            }
            Some(Fact::NotAsked) | None => {}
        }
    }

    fn secret(&mut self, path: &Path, at: &Location) {
        match self.facts.secrets.get(path) {
            Some(Fact::Known(Some(SecretFault { what, hint }))) => {
                let message = format!("nothing can be sent with this: {what}");
                self.add(Severity::Error, at, message).hint = Some(hint.clone());
            }
            Some(Fact::Unknown { why }) => {
                let message = format!("whether {} is good can't be found out: {why}", path.display());
                self.add(Severity::Note, at, message);
            }
            Some(Fact::Known(None) | Fact::NotAsked) | None => {}
        }
    }

    /// What the installed DRBD lacks: said once.
    fn drbd(&mut self, first: &Need) {
        let facts = self.facts;
        let Fact::Known(lacks) = &facts.drbd else { return };
        for lack in lacks {
            self.add(Severity::Warning, &first.header, lack.what.clone()).hint = Some(lack.hint.clone());
        }
    }

    fn resource(&mut self, need: &Need) {
        let severity = self.severity(need);
        if need.freezes && self.facts.cgroup_2 == Fact::Known(false) {
            let message =
                format!("`on-quorum-loss` is `freeze`, but this machine can't freeze: there is no {CGROUP_2}");
            self.add(Severity::Warning, &need.header, message).hint =
                Some("freezing needs cgroup v2: boot with systemd.unified_cgroup_hierarchy=1".to_owned());
        }
        self.policy(need);
        if need.runner == Runner::Shell {
            return;
        }
        if self.has_promote && self.unit(&promote(&need.resource)).is_some_and(|unit| unit.load == LoadState::NotFound)
        {
            self.has_promote = false;
            let message = "drbd-promote@.service is not installed: nothing can be promoted".to_owned();
            self.add(severity, &need.header, message).hint = Some("install drbd-utils 9.29.0 or newer".to_owned());
        }
        self.waits_promotable(need);
        let node = self.facts.node.as_str();
        for started in need.start.iter().filter(|started| started.is_on(node)) {
            self.started(started, severity);
            self.volume_group(need, started, |severity| severity != Severity::Note);
        }
    }

    /// Neither quorum nor fencing: DRBD would let two nodes write at once.
    fn policy(&mut self, need: &Need) {
        let facts = self.facts;
        let Fact::Known(policies) = &facts.policies else { return };
        if policies.get(&need.resource) != Some(&Policy::None) {
            return;
        }
        let neither = format!("DRBD resource `{}` has neither quorum nor fencing", need.resource);
        let (severity, message) = if need.unguarded_start {
            (
                Severity::Warning,
                format!("{neither}: it is started once, when the daemon starts, and not managed after that"),
            )
        } else {
            (Severity::Error, format!("{neither}: it is not managed, and after a reboot it runs nowhere"))
        };
        self.add(severity, &need.header, message).hint = Some(format!(
            "give it `quorum majority` and `on-no-quorum io-error` (or `suspend-io`), or `fencing`, then: drbdadm adjust {}",
            need.resource
        ));
    }

    /// An installation that enables every unit enables this one too, and then a promotion waits until it is possible: on a node
    /// that lost the race, for as long as the resource runs elsewhere.
    fn waits_promotable(&mut self, need: &Need) {
        let unit = wait_promotable(&need.resource);
        let target = format!("drbd@{}.target", escape(need.resource.as_str()));
        if self.unit(&unit).is_some_and(|facts| facts.load == LoadState::Loaded && facts.pulled_in_by.contains(&target))
        {
            let message = format!("`{unit}` is enabled: a start that DRBD does not allow hangs instead of failing");
            self.add(Severity::Warning, &need.header, message).hint =
                Some(format!("systemctl disable drbd-wait-promotable@.service {unit}"));
        }
    }

    /// How bad it is if something that the resource needs is not there. One set of files for all nodes is usual, and a file is often
    /// checked on a machine that is no node at all: it is an error only where the resource is known to be.
    fn severity(&mut self, need: &Need) -> Severity {
        match &self.facts.resources {
            Fact::Known(resources) if resources.contains(&need.resource) => return Severity::Error,
            Fact::Known(_) => {
                let message = format!("DRBD has no resource `{}` on this node", need.resource);
                self.add(Severity::Warning, &need.header, message).hint =
                    Some("`drbdadm sh-resources` prints the names; where there is none, nothing is started".to_owned());
            }
            Fact::Unknown { .. } | Fact::NotAsked => {}
        }
        Severity::Warning
    }

    fn unit(&self, unit: &UnitName) -> Option<&UnitFacts> {
        match &self.facts.units {
            Fact::Known(units) => units.get(unit),
            Fact::Unknown { .. } | Fact::NotAsked => None,
        }
    }

    fn started(&mut self, started: &Started, severity: Severity) {
        if let Some(facts) = self.unit(&started.unit).cloned() {
            if started.agent.is_some() && facts.load == LoadState::NotFound {
                if std::mem::take(&mut self.has_wrapper) {
                    let message = "ocf.rs@.service is not installed: OCF agents can't be run".to_owned();
                    self.add(severity, &started.at, message).hint = Some("it comes with Storage Reactor".to_owned());
                }
            } else if started.is_command && facts.load == LoadState::NotFound {
                if std::mem::take(&mut self.has_template) {
                    let message = "storage-reactor-command@.service is not installed: commands can't be run".to_owned();
                    self.add(severity, &started.at, message).hint = Some("it comes with Storage Reactor".to_owned());
                }
            } else {
                self.unit_facts(started, &facts, severity);
            }
        }
        if let Some(agent) = &started.agent {
            self.agent(started, agent, severity);
        }
    }

    fn unit_facts(&mut self, started: &Started, facts: &UnitFacts, severity: Severity) {
        let unit = &started.unit;
        let is_mount = unit.as_str().ends_with(".mount");
        let (what, hint) = match &facts.load {
            LoadState::NotFound if is_mount => (
                format!("the unit `{unit}` does not exist"),
                "a mount needs a line with `noauto` in /etc/fstab, or a file in /etc/systemd/system".to_owned(),
            ),
            LoadState::NotFound => (
                format!("the unit `{unit}` does not exist"),
                "`systemctl list-unit-files` prints what is installed".to_owned(),
            ),
            LoadState::Masked => {
                (format!("the unit `{unit}` is masked: systemd does not start it"), format!("systemctl unmask {unit}"))
            }
            LoadState::BadSetting | LoadState::Error => (
                format!("systemd can't load the unit `{unit}` ({})", facts.load),
                format!("`systemctl status {unit}` says why"),
            ),
            LoadState::Stub | LoadState::Loaded | LoadState::Merged | LoadState::Other(_) => {
                return self.started_by_others(started, facts, is_mount);
            }
        };
        self.add(severity, &started.at, what).hint = Some(hint);
    }

    /// systemd starts it by itself, on every node and without DRBD: it finds no data, or data that another node writes.
    fn started_by_others(&mut self, started: &Started, facts: &UnitFacts, is_mount: bool) {
        let unit = &started.unit;
        let Fact::Known(units) = &self.facts.units else { return };
        let starters = Starters { units, ours: &self.ours };
        let Some(who) = starters.of(unit.as_str()) else { return };
        let generated = facts.unit_file == "generated";
        let (when, hint) = match &who {
            Who::Enabled => ("at boot", format!("systemctl disable {unit}")),
            Who::Boot(_) if is_mount && generated => ("at boot", "add `noauto` to its line in /etc/fstab".to_owned()),
            Who::Boot(_) => ("at boot", format!("`systemctl show -p WantedBy,RequiredBy {unit}` prints who starts it")),
            Who::Trigger(trigger) if is_mount && generated && trigger.ends_with(".automount") => (
                "as soon as somebody looks into it",
                "take `x-systemd.automount` out of its line in /etc/fstab, and add `noauto`".to_owned(),
            ),
            Who::Trigger(trigger) => ("when it is triggered", format!("systemctl disable --now {trigger}")),
            Who::Other { by, who } => {
                let disable =
                    if **who == Who::Enabled { format!("systemctl disable {by}, or ") } else { String::new() };
                let hint = format!(
                    "{disable}take `{unit}` out of `{by}`: Wants=, Requires=, BindsTo=, Upholds=, RequiresMountsFor="
                );
                ("at boot", hint)
            }
        };
        let message = format!("systemd starts the unit `{unit}` {when}, wherever the data is: {who}");
        self.add(Severity::Warning, &started.at, message).hint = Some(hint);
    }

    fn agent(&mut self, started: &Started, agent: &Agent, severity: Severity) {
        let (what, hint) = match self.facts.agents.get(agent) {
            Some(AgentFile::Missing) => (
                format!("there is no OCF agent {agent}"),
                "most agents come with the package resource-agents".to_owned(),
            ),
            Some(AgentFile::NotExecutable) => {
                (format!("the OCF agent {agent} is not an executable file"), format!("ls -l {agent}"))
            }
            Some(AgentFile::Executable | AgentFile::Unknown { .. }) | None => return,
        };
        self.add(severity, &started.at, what).hint = Some(hint);
    }

    /// Where the volume group of an entry is, if that is as bad as `wanted`.
    fn volume_group(&mut self, need: &Need, started: &Started, wanted: impl Fn(Severity) -> bool) {
        let Some(group) = &started.volume_group else { return };
        let said = match self.facts.volume_groups.get(&(need.resource.clone(), group.clone())) {
            Some(Fact::Known(stacking)) => judge(&need.resource, group, stacking, started.list),
            Some(Fact::Unknown { why }) => {
                let message =
                    format!("whether the volume group `{group}` is on DRBD or below it can't be found out: {why}");
                Said { severity: Severity::Note, message, hint: None }
            }
            Some(Fact::NotAsked) | None => return,
        };
        if wanted(said.severity) {
            self.add(said.severity, &started.at, said.message).hint = said.hint;
        }
    }

    /// Says what the system did not tell.
    fn not_checked(&mut self, first: &Need) {
        let mut unknown = Vec::new();
        if let Fact::Unknown { why } = &self.facts.units {
            unknown.push(format!("units ({why})"));
        }
        if let Fact::Unknown { why } = &self.facts.resources {
            unknown.push(format!("DRBD resources ({why})"));
        } else if let Fact::Unknown { why } = &self.facts.drbd {
            unknown.push(format!("DRBD's versions ({why})"));
        }
        let agent = self.facts.agents.iter().find_map(|(_, file)| match file {
            AgentFile::Unknown { why } => Some(why),
            AgentFile::Executable | AgentFile::NotExecutable | AgentFile::Missing => None,
        });
        if let Some(why) = agent {
            unknown.push(format!("OCF agents ({why})"));
        }
        if !unknown.is_empty() {
            let message = format!("not checked against the system: {}", unknown.join(", "));
            let note = Finding::about(Severity::Note, Code::System, first.header.source.path(), message);
            self.findings.push(note);
        }
    }
}
