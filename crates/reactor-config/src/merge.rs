//! Puts the plugins of all files together, and finds what no file can see by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reactor_core::ids::ResourceName;
use reactor_core::settings::promoter::PromotedResource;
use reactor_core::settings::{ListenAddress, PluginEntry, PluginSettings, Settings};

use crate::finding::{Code, Finding, Related, Severity};
use crate::load::Loaded;
use crate::needs::Needs;
use crate::notifiers;
use crate::read::{Claim, ParsedFile};
use crate::shared_units::{self, Candidate, Fate};
use crate::source::Location;

/// The plugins of all files, in the order of the files.
pub(crate) struct Merged {
    pub(crate) plugins: Vec<PluginEntry>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) needs: Needs,
}

/// What of a file: its index, the index of the plugin in it, the resource.
type Place = (usize, usize, ResourceName);

/// What runs of a resource from now on, if it is not what its file says.
enum Instead {
    Nothing,
    /// What ran before.
    Before(Box<PromotedResource>),
}

/// Merges files that are good by themselves. `running` decides who keeps what two resources or two promoters claim.
pub(crate) fn merge(files: &[&ParsedFile], running: Option<&Loaded>) -> Merged {
    let mut findings = Vec::new();
    let dropped = doubled_resources(files, running.map(|running| &running.settings), &mut findings);
    let mut instead: BTreeMap<Place, Instead> = dropped.into_iter().map(|place| (place, Instead::Nothing)).collect();
    let mut needs = settle_units(files, running, &mut instead, &mut findings);
    doubled_listeners(files, &mut findings);
    needs.add_webs(files.iter().flat_map(|file| &file.webs));
    needs.add_secrets(files.iter().flat_map(|file| &file.secret_files));
    let without_name = notifiers::doubled(files, &mut findings);
    let mut is_named = Vec::new();
    let mut plugins = Vec::new();
    for (file, parsed) in files.iter().enumerate() {
        for (plugin, entry) in parsed.plugins.iter().enumerate() {
            let mut entry = entry.clone();
            if without_name.contains(&(file, plugin)) {
                continue;
            }
            let notifier = parsed.notifiers.iter().find(|notifier| notifier.plugin == plugin);
            is_named.extend(notifier.map(|notifier| notifier.is_named));
            if let PluginSettings::Promoter(promoter) = &mut entry.settings {
                let before = promoter.resources.len();
                promoter.resources.retain(|name, settings| match instead.remove(&(file, plugin, name.clone())) {
                    None => true,
                    Some(Instead::Nothing) => false,
                    Some(Instead::Before(running)) => {
                        *settings = *running;
                        true
                    }
                });
                if promoter.resources.is_empty() && before > 0 {
                    continue;
                }
            }
            plugins.push(entry);
        }
    }
    notifiers::name(&mut plugins, &is_named);
    Merged { plugins, findings, needs }
}

/// Decides about units in more than one resource. Gives what the resources that are left need.
fn settle_units(
    files: &[&ParsedFile],
    running: Option<&Loaded>,
    instead: &mut BTreeMap<Place, Instead>,
    findings: &mut Vec<Finding>,
) -> Needs {
    let mut places = Vec::new();
    let mut candidates = Vec::new();
    for (file, parsed) in files.iter().enumerate() {
        for claim in &parsed.claims {
            let place = (file, claim.plugin, claim.resource.clone());
            let Some(settings) = promoted(&parsed.plugins[claim.plugin], &claim.resource) else { continue };
            if instead.contains_key(&place) {
                continue;
            }
            let before = running.map(|running| &running.settings.plugins);
            let before = before.into_iter().flatten().filter(|entry| *entry.file == **parsed.source.path());
            let running = before.filter_map(|entry| promoted(entry, &claim.resource)).next();
            places.push(place);
            candidates.push(Candidate { claim, settings, running });
        }
    }
    let fates = shared_units::settle(&candidates, findings);
    let mut needs = Needs::default();
    for ((place, candidate), fate) in places.into_iter().zip(&candidates).zip(fates) {
        match (fate, candidate.running) {
            (Fate::Taken, _) => needs.add(candidate.claim, candidate.settings),
            (Fate::LastGood, Some(before)) => {
                needs.add_again(&candidate.claim.resource, running.map(|running| &running.needs));
                instead.insert(place, Instead::Before(Box::new(before.clone())));
            }
            (Fate::LastGood, None) | (Fate::Dropped, _) => {
                instead.insert(place, Instead::Nothing);
            }
        }
    }
    needs
}

/// A resource of a promoter.
fn promoted<'e>(entry: &'e PluginEntry, resource: &ResourceName) -> Option<&'e PromotedResource> {
    match &entry.settings {
        PluginSettings::Promoter(promoter) => promoter.resources.get(resource),
        _ => None,
    }
}

/// Finds resources in more than one promoter: both would drive them. One keeps it, the others lose it.
fn doubled_resources(
    files: &[&ParsedFile],
    running: Option<&Settings>,
    findings: &mut Vec<Finding>,
) -> BTreeSet<Place> {
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
    let (a_ip, b_ip) = match (a, b) {
        (ListenAddress::Tcp { ip: a_ip, port: a }, ListenAddress::Tcp { ip: b_ip, port: b }) if a == b && *a != 0 => {
            (*a_ip, *b_ip)
        }
        (ListenAddress::Unix(a), ListenAddress::Unix(b)) => return a == b,
        _ => return false,
    };
    let any = |ip: Option<std::net::IpAddr>| ip.is_none_or(|ip| ip.is_unspecified());
    let families = match (a_ip, b_ip) {
        (Some(a), Some(b)) => a.is_ipv4() == b.is_ipv4(),
        _ => true,
    };
    a_ip == b_ip || (families && (any(a_ip) || any(b_ip)))
}

/// Tells where drbd-reactor, which joins the files as text, would have put keys at the top of a file.
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
