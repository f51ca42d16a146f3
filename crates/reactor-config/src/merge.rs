//! Puts the plugins of all files together, and finds what no file can see by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reactor_core::ids::ResourceName;
use reactor_core::settings::{ListenAddress, PluginEntry, PluginSettings, Settings};

use crate::finding::{Code, Finding, Related, Severity};
use crate::read::{Claim, ParsedFile};
use crate::source::Location;

/// The plugins of all files, in the order of the files.
pub(crate) struct Merged {
    pub(crate) plugins: Vec<PluginEntry>,
    pub(crate) findings: Vec<Finding>,
}

/// Merges files that are good by themselves. `running` decides who keeps a resource that two promoters claim.
pub(crate) fn merge(files: &[&ParsedFile], running: Option<&Settings>) -> Merged {
    let mut findings = Vec::new();
    let dropped = doubled_resources(files, running, &mut findings);
    doubled_listeners(files, &mut findings);
    let mut plugins = Vec::new();
    for (file, parsed) in files.iter().enumerate() {
        for (plugin, entry) in parsed.plugins.iter().enumerate() {
            let mut entry = entry.clone();
            if let PluginSettings::Promoter(promoter) = &mut entry.settings {
                let before = promoter.resources.len();
                promoter.resources.retain(|name, _| !dropped.contains(&(file, plugin, name.clone())));
                if promoter.resources.is_empty() && before > 0 {
                    continue;
                }
            }
            plugins.push(entry);
        }
    }
    Merged { plugins, findings }
}

/// Finds resources in more than one promoter: both would drive them (D23). One keeps it, the others lose it.
fn doubled_resources(
    files: &[&ParsedFile],
    running: Option<&Settings>,
    findings: &mut Vec<Finding>,
) -> BTreeSet<(usize, usize, ResourceName)> {
    let mut claims: BTreeMap<&ResourceName, Vec<(usize, &Claim)>> = BTreeMap::new();
    for (file, parsed) in files.iter().enumerate() {
        for claim in &parsed.claims {
            claims.entry(&claim.resource).or_default().push((file, claim));
        }
    }
    let mut dropped = BTreeSet::new();
    for (resource, claims) in claims.into_iter().filter(|(_, claims)| claims.len() > 1) {
        let owner = running.and_then(|settings| owner_of(settings, resource));
        let runs =
            claims.iter().position(|(file, _)| owner.is_some_and(|owner| **files[*file].source.path() == *owner));
        let winner = runs.unwrap_or(0);
        for (index, (file, claim)) in claims.iter().enumerate().filter(|(index, _)| *index != winner) {
            debug_assert_ne!(index, winner);
            let message = format!("the DRBD resource `{resource}` is already in another promoter; it is ignored here");
            let location = &claim.location;
            let label = if runs.is_some() { "it is here, and runs" } else { "it is here" };
            findings.push(
                Finding::at(Severity::Error, Code::Duplicate, &location.source, location.span.clone(), message)
                    .label("ignored")
                    .hint("a resource may be in one promoter only: remove one of the two")
                    .related(claims[winner].1.location.clone(), label),
            );
            dropped.insert((*file, claim.plugin, resource.clone()));
        }
    }
    dropped
}

/// The file whose promoter has the resource now.
fn owner_of<'s>(settings: &'s Settings, resource: &ResourceName) -> Option<&'s std::path::Path> {
    settings.plugins.iter().find_map(|entry| match &entry.settings {
        PluginSettings::Promoter(promoter) => promoter.resources.contains_key(resource).then_some(entry.file.as_path()),
        _ => None,
    })
}

/// Finds listeners of which one would find its port taken.
fn doubled_listeners(files: &[&ParsedFile], findings: &mut Vec<Finding>) {
    let all: Vec<&(ListenAddress, Location)> = files.iter().flat_map(|file| &file.listeners).collect();
    for (index, (address, location)) in all.iter().enumerate() {
        let Some((_, first)) = all[..index].iter().find(|(other, _)| overlap(address, other)) else { continue };
        let message = format!("the address `{address}` is already taken by another prometheus table");
        findings.push(
            Finding::at(Severity::Warning, Code::Duplicate, &location.source, location.span.clone(), message)
                .label("this one won't be able to listen")
                .related(first.clone(), "taken here"),
        );
    }
}

fn overlap(a: &ListenAddress, b: &ListenAddress) -> bool {
    let any = |address: &ListenAddress| address.ip.is_none_or(|ip| ip.is_unspecified());
    let families = match (a.ip, b.ip) {
        (Some(a), Some(b)) => a.is_ipv4() == b.is_ipv4(),
        _ => true,
    };
    a.port == b.port && a.port != 0 && (a.ip == b.ip || (families && (any(a) || any(b))))
}

/// Tells where drbd-reactor, which joins the files as text, would have put keys at the top of a file (D22).
pub(crate) fn explain_glue(on_disk: &[Option<Arc<ParsedFile>>], findings: &mut [Finding]) {
    let mut header: Option<Location> = None;
    for parsed in on_disk.iter().flatten() {
        if let Some(header) = &header {
            for &index in &parsed.glued {
                let glued = &parsed.findings[index];
                let is_glued = |finding: &&mut Finding| match (&finding.location, &glued.location) {
                    (Some(a), Some(b)) => {
                        Arc::ptr_eq(&a.source, &b.source) && a.span == b.span && finding.code == glued.code
                    }
                    _ => false,
                };
                if let Some(finding) = findings.iter_mut().find(is_glued) {
                    let label =
                        "drbd-reactor joins the files as text and reads the key as part of this table".to_owned();
                    finding.related.push(Related { location: header.clone(), label });
                }
            }
        }
        header = parsed.last_header.clone().or(header);
    }
}
