//! The drop-ins of what `start` and `standby` list: what each waits for, what it needs, and how long it may take.

use std::path::PathBuf;
use std::time::Duration;

use crate::action::{FilePlace, GeneratedFile};
use crate::ids::{ResourceName, UnitName};
use crate::settings::promoter::{Dependency, Entry, PromotedResource, StartEntry};

use super::{
    AGENTS, Files, HEADER, Manner, command, escape, escape_pattern, escape_value, is_secret, lines, ocf_instance,
    quote, unit_of, word,
};

/// How long a service of a Secondary may take to stop, if its entry does not say it: a promotion waits for that.
const STANDBY_STOP: Duration = Duration::from_secs(20);

/// What stands before an entry.
#[derive(Default)]
struct Before {
    /// What the next one needs.
    needed: Vec<UnitName>,
    /// What the next one waits for.
    awaited: Vec<UnitName>,
    /// The entries of the last step: one, or those of one `parallel`.
    step: Vec<(UnitName, bool)>,
    group: Option<u32>,
}

impl Before {
    /// Moves on to an entry: what stands before it.
    fn come_to(&mut self, entry: &Entry) -> &Self {
        if entry.group.is_none() || entry.group != self.group {
            let step = std::mem::take(&mut self.step);
            let needed: Vec<UnitName> =
                step.iter().filter(|(_, needed)| *needed).map(|(unit, _)| unit.clone()).collect();
            if needed.is_empty() {
                // Nobody needs what came last. What was needed before is needed still, and all of it is waited for.
                self.awaited.extend(step.into_iter().map(|(unit, _)| unit));
            } else {
                self.needed = needed;
                self.awaited = step.into_iter().map(|(unit, _)| unit).collect();
            }
        }
        self.group = entry.group;
        self
    }

    fn add(&mut self, unit: UnitName, entry: &Entry) {
        self.step.push((unit, entry.is_needed()));
    }

    fn lines(&self, how: Dependency) -> Vec<String> {
        let how = word(Dependency::WORDS, how);
        let needed = self.needed.iter().map(|unit| format!("{how} = {unit}"));
        needed.chain(self.awaited.iter().map(|unit| format!("After = {unit}"))).collect()
    }
}

/// What `start` lists.
pub(super) fn services(files: &mut Files, resource: &ResourceName, settings: &PromotedResource, manner: Manner<'_>) {
    let name = escape(resource.as_str());
    let mut before = Before::default();
    for entry in &settings.start {
        let unit = unit_of(resource, &entry.what);
        let mut out = vec![
            "[Unit]".to_owned(),
            "Description=drbd-reactor controlled %N".to_owned(),
            format!("PartOf = drbd-services@{name}.target"),
            String::new(),
            format!("BindsTo = drbd-promote@{name}.service"),
            format!("After = drbd-promote@{name}.service"),
            String::new(),
        ];
        out.extend(before.come_to(entry).lines(settings.dependencies_as));
        finish(files, resource, entry, &unit, manner, out, None);
        before.add(unit, entry);
    }
}

/// What `standby` lists. The promotion waits until all of it has stopped, whoever asks for it: systemd stops what conflicts with a unit before
/// it starts that, if the two are ordered at all.
pub(super) fn standby(files: &mut Files, resource: &ResourceName, settings: &PromotedResource, manner: Manner<'_>) {
    let (name, target) = (escape(resource.as_str()), super::standby(resource));
    let mut before = Before::default();
    let mut wanted = vec!["[Unit]".to_owned()];
    for entry in &settings.standby {
        let unit = unit_of(resource, &entry.what);
        let mut out = vec![
            "[Unit]".to_owned(),
            "Description=storage-reactor controlled %N".to_owned(),
            format!("PartOf = {target}"),
            String::new(),
            format!("Conflicts = drbd-promote@{name}.service"),
            format!("Before = drbd-promote@{name}.service"),
            String::new(),
        ];
        out.extend(before.come_to(entry).lines(settings.dependencies_as));
        finish(files, resource, entry, &unit, manner, out, Some(STANDBY_STOP));
        wanted.push(format!("Wants = {unit}"));
        before.add(unit, entry);
    }
    if !settings.standby.is_empty() {
        files.drop_in(target.as_str(), "reactor.conf", &wanted);
    }
}

/// What the entry itself says, and the file. `stop`: how long its stop may take at most, if the entry does not say it.
fn finish(
    files: &mut Files,
    resource: &ResourceName,
    entry: &Entry,
    unit: &UnitName,
    manner: Manner<'_>,
    mut out: Vec<String>,
    stop: Option<Duration>,
) {
    if entry.how.restart > 0 {
        // The promoter counts its starts.
        out.push("StartLimitIntervalSec = 0".to_owned());
    }
    let section = section_of(unit);
    let own = match &entry.what {
        StartEntry::Unit(_) => Vec::new(),
        StartEntry::Ocf { .. } => agent(files, resource, entry, manner),
        StartEntry::Command { command, .. } => command::lines(command),
    };
    let limits = limits(entry, section, stop);
    if !own.is_empty() || !limits.is_empty() {
        out.extend([String::new(), format!("[{section}]")]);
        out.extend(own.into_iter().chain(limits));
    }
    files.drop_in(unit.as_str(), "reactor.conf", &out);
    if unit.as_str().ends_with(".mount") {
        files.drop_in(unit.as_str(), "reactor-50-mount.conf", &lines(&["[Unit]", "DefaultDependencies=no", ""]));
    }
}

/// The section of a unit file that has its kind's settings.
fn section_of(unit: &UnitName) -> &'static str {
    match unit.as_str().rsplit('.').next() {
        Some("mount") => "Mount",
        Some("socket") => "Socket",
        Some("swap") => "Swap",
        _ => "Service",
    }
}

/// How long it may take, how often it is looked at, and that systemd does not start it again by itself. An agent's wrapper has limits of its
/// own, and tells systemd how long it needs.
fn limits(entry: &Entry, section: &str, stop: Option<Duration>) -> Vec<String> {
    let (how, mut out) = (&entry.how, Vec::new());
    let (start, stop) = (how.timeout_start, how.timeout_stop.or(stop));
    match (&entry.what, section) {
        (StartEntry::Ocf { .. }, _) => {
            let given = [("start_timeout", start), ("stop_timeout", stop), ("monitor_interval", how.monitor_interval)];
            let given = given.into_iter().filter_map(|(name, limit)| Some((name, limit?)));
            out.extend(given.map(|(name, limit)| format!("Environment={name}={}", time(limit))));
        }
        (_, "Service") => {
            out.extend(start.map(|limit| format!("TimeoutStartSec={}", time(limit))));
            out.extend(stop.map(|limit| format!("TimeoutStopSec={}", time(limit))));
        }
        // They have one limit for both.
        _ => out.extend(start.max(stop).map(|limit| format!("TimeoutSec={}", time(limit)))),
    }
    if how.restart > 0 && section == "Service" {
        // A restart by systemd itself takes all down that needs the unit, the promotion included.
        out.push("Restart=no".to_owned());
    }
    out
}

/// A time as systemd and the wrapper read it.
fn time(limit: Duration) -> String {
    match limit.subsec_millis() {
        0 => format!("{}s", limit.as_secs()),
        _ => format!("{}ms", limit.as_millis()),
    }
}

/// What an OCF agent is told; secrets go to a file of their own.
fn agent(files: &mut Files, resource: &ResourceName, entry: &Entry, manner: Manner<'_>) -> Vec<String> {
    let StartEntry::Ocf { vendor, agent, instance, parameters } = &entry.what else { return Vec::new() };
    let mut out = Vec::new();
    let is_apart = |key: &str| manner.secrets.is_some() && is_secret(key);
    for (key, value) in parameters.iter().filter(|(key, _)| !is_apart(key)) {
        out.push(format!("Environment= OCF_RESKEY_{key}={}", escape_value(value, manner)));
    }
    let (vendor, agent) = (escape_value(vendor, manner), escape_value(agent, manner));
    out.push(format!("Environment= AGENT={AGENTS}/{vendor}/{agent}"));
    let apart = parameters.iter().filter(|(key, _)| is_apart(key));
    let secrets: String = apart.map(|(key, value)| format!("OCF_RESKEY_{key}={}\n", quote(value))).collect();
    if let Some(folder) = manner.secrets.filter(|_| !secrets.is_empty()) {
        let file = format!("{}.env", ocf_instance(resource, instance));
        out.push(format!("EnvironmentFile={}", escape_pattern(&folder.join(&file).display().to_string())));
        files.0.push(GeneratedFile {
            place: FilePlace::Secret(PathBuf::from(file)),
            content: format!("{HEADER}\n{secrets}"),
        });
    }
    out
}
