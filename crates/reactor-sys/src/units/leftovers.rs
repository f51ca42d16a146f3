//! What an earlier drbd-reactor left: generated drop-ins that are in no manifest. They stay in force until somebody removes them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use reactor_core::action::FilePlace;
use reactor_core::ids::UnitName;
use reactor_core::plugin::promoter::units;
use reactor_trust::Folder;

use super::manifest::Manifest;
use super::{Found, UnitFiles};
use crate::chain::chain;

/// Drop-ins that drbd-reactor generates.
const NAMES: [&str; 4] = ["reactor.conf", "reactor-50-before.conf", "reactor-50-mount.conf", "reactor-84.conf"];

/// One file that was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Where it is.
    pub path: PathBuf,
    /// The unit it is for.
    pub unit: String,
    /// The resource it belongs to, escaped as systemd does it, as far as file or name tell.
    pub resource: Option<String>,
    /// What it makes of a demotion that fails, `FailureAction=` of systemd.
    pub failure_action: Option<String>,
    /// Whether the manifest has other files of its resource, so that this one was not taken over with them.
    pub is_passed_over: bool,
    place: FilePlace,
}

impl Leftover {
    /// The units that must not run when it goes: its own, and those of its resource, because the end of a promotion is in such files too.
    pub fn needed_by(&self) -> Vec<UnitName> {
        let own = std::iter::once(self.unit.clone());
        let of_resource = self
            .resource
            .iter()
            .flat_map(|name| [format!("drbd-services@{name}.target"), format!("drbd-promote@{name}.service")]);
        // A template has no state of its own.
        own.chain(of_resource).filter(|unit| !unit.contains("@.")).map(|unit| UnitName::new(&unit)).collect()
    }

    /// Whether somebody who says `name` means it: the unit, the resource, the path.
    pub fn is_called(&self, name: &str) -> bool {
        let resource = || self.resource.as_deref().is_some_and(|is| is == name || is == units::escape(name));
        self.unit == name || self.path == Path::new(name) || resource()
    }
}

/// What was found, and what could not be done.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Leftovers {
    /// Generated files that nobody wants.
    pub files: Vec<Leftover>,
    /// One line each.
    pub errors: Vec<String>,
}

impl UnitFiles {
    /// Generated files that are not in the manifest: what an earlier drbd-reactor left.
    pub fn leftovers(&self) -> Leftovers {
        let mut out = Leftovers::default();
        let manifest = match Folder::open(self.manifest.parent().unwrap_or(Path::new("."))) {
            Ok(run) => {
                let read = run.map(|run| Manifest::read(&run, &self.manifest));
                let (manifest, problem) = read.unwrap_or_else(|| (Manifest::empty(), None));
                out.errors.extend(problem);
                manifest
            }
            Err(error) => {
                out.errors.push(chain(&error).to_string());
                return out;
            }
        };
        let names =
            match Folder::open(&self.unit_dir).and_then(|folder| folder.map(|folder| folder.names()).transpose()) {
                Ok(names) => names.unwrap_or_default(),
                Err(error) => {
                    out.errors.push(chain(&error).to_string());
                    return out;
                }
            };
        for folder in &names {
            let Some(unit) = folder.to_str().and_then(|name| name.strip_suffix(".d")) else { continue };
            out.files.extend(NAMES.iter().filter_map(|name| self.leftover(&manifest, folder, unit, name)));
        }
        out.files.sort_by(|a, b| a.path.cmp(&b.path));
        // Not every file names the resource, but another one of the same unit does.
        let known: BTreeMap<String, String> =
            out.files.iter().filter_map(|file| Some((file.unit.clone(), file.resource.clone()?))).collect();
        for file in out.files.iter_mut().filter(|file| file.resource.is_none()) {
            file.resource = known.get(&file.unit).cloned();
        }
        let written: BTreeSet<String> = manifest.resources().iter().map(|name| units::escape(name.as_str())).collect();
        for file in &mut out.files {
            file.is_passed_over = file.resource.as_ref().is_some_and(|name| written.contains(name));
        }
        out
    }

    fn leftover(&self, manifest: &Manifest, folder: &OsStr, unit: &str, name: &str) -> Option<Leftover> {
        let place = FilePlace::Unit(Path::new(folder).join(name));
        if manifest.has(&place) {
            return None;
        }
        let Ok(Found::Generated { content, .. }) = self.look(&place) else { return None };
        let text = String::from_utf8_lossy(&content);
        let value = |key: &str| {
            text.lines().find_map(|line| {
                let (name, value) = line.split_once('=')?;
                (name.trim() == key).then(|| value.trim().to_owned())
            })
        };
        let part_of = value("PartOf");
        let resource = resource_of(unit).or_else(|| part_of.as_deref().and_then(resource_of)).map(str::to_owned);
        let failure_action = value("FailureAction").filter(|action| !action.is_empty() && action != "none");
        Some(Leftover {
            path: self.path_of(&place),
            unit: unit.to_owned(),
            resource,
            failure_action,
            is_passed_over: false,
            place,
        })
    }

    /// Removes those of [`leftovers`](Self::leftovers) that `may_go`; the others are not in the answer. systemd has to read its units again
    /// afterwards.
    pub fn remove_leftovers(&self, may_go: impl Fn(&Leftover) -> bool) -> Leftovers {
        let _one = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.leftovers();
        let mut out = Leftovers { files: Vec::new(), errors: found.errors };
        for file in found.files.into_iter().filter(may_go) {
            match self.delete(&file.place) {
                Ok(_) => out.files.push(file),
                Err(error) => out.errors.push(chain(&error).to_string()),
            }
        }
        out
    }
}

/// The resource of one of the promoter's own units: `drbd-services@r0.target`.
fn resource_of(unit: &str) -> Option<&str> {
    let (template, instance) = unit.split_once('@')?;
    let ours = ["drbd-services", "drbd-promote", "drbd-demote-or-escalate"].contains(&template);
    let (resource, _) = instance.rsplit_once('.')?;
    ours.then_some(resource)
}
