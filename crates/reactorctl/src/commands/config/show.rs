//! `reactorctl config show`: what the files come to, with defaults filled in; and what becomes of each entry.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use reactor_config::{dump_toml, entry_toml};
use reactor_core::action::{FilePlace, GeneratedFile};
use reactor_core::facts::{Fact, Questions};
use reactor_core::ids::ResourceName;
use reactor_core::plugin::promoter::units::{self, Exiting, HEADER};
use reactor_core::settings::promoter::{Entry, PromotedResource, Runner};
use reactor_core::settings::{PluginEntry, PluginSettings, Settings};
use reactor_storage::device::Stacking;

use crate::cli::Place;
use crate::config;
use crate::exit::{Exit, Failure};
use crate::parts::upstream::Machine;
use crate::style::{DIM, END, NAME};
use crate::system;

/// Show what the files come to, with defaults filled in
#[derive(Clone, Debug, Args)]
pub struct ShowArgs {
    /// Only what promotes this resource
    #[arg(value_name = "RESOURCE")]
    pub resource: Option<String>,

    /// What becomes of each entry of `start` and `standby` on this node: its unit, and what is generated for it
    #[arg(long)]
    pub expanded: bool,

    /// With `--expanded`: a folder with the files of another machine that say what its block devices are (sys, run/udev, run/lvm), in place of this one's
    #[arg(long, value_name = "FOLDER", requires = "expanded")]
    pub root: Option<PathBuf>,
}

impl ShowArgs {
    pub(crate) fn show(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let (mut settings, findings) = config::settings(place)?;
        if !findings.is_empty() {
            writeln!(anstream::stderr(), "{findings}")?;
        }
        if let Some(wanted) = &self.resource {
            settings.plugins.retain_mut(|entry| only(entry, wanted));
            if settings.plugins.is_empty() {
                return Err(Failure::NoSuchResource { resource: wanted.clone() });
            }
        }
        if !self.expanded {
            out.write_all(dump_toml(&settings).as_bytes())?;
            return Ok(Exit::Ok);
        }
        let (_, machine) = config::against_upstream(place, &[], true);
        let resources = promoted(&settings, &system::node_name(&settings.daemon));
        let groups = self.volume_groups(&resources, &settings);
        for (name, resource) in &resources {
            expanded(name, resource, &machine, &groups, out)?;
        }
        Ok(Exit::Ok)
    }

    /// Where the volume groups of all entries are.
    fn volume_groups(&self, resources: &[(ResourceName, PromotedResource)], settings: &Settings) -> Groups {
        let entries = |resource: &'_ PromotedResource| -> Vec<String> {
            let all = resource.start.iter().chain(&resource.standby);
            all.filter_map(|entry| entry.volume_group().map(str::to_owned)).collect()
        };
        let all = resources.iter().flat_map(|(name, of)| entries(of).into_iter().map(|group| (name.clone(), group)));
        let questions = Questions { volume_groups: all.collect(), ..Questions::default() };
        if questions.is_empty() {
            return Groups::new();
        }
        let root = self.root.as_deref().unwrap_or(Path::new("/"));
        system::ask_at(&questions, &settings.daemon, root).volume_groups
    }
}

/// What is known of each volume group that a resource activates.
type Groups = BTreeMap<(ResourceName, String), Fact<Stacking>>;

/// Leaves one resource of a promoter, and nothing of other plugins.
fn only(entry: &mut PluginEntry, wanted: &str) -> bool {
    let PluginSettings::Promoter(promoter) = &mut entry.settings else { return false };
    promoter.resources.retain(|name, _| name.as_str() == wanted);
    !promoter.resources.is_empty()
}

/// Every resource as this node has it.
fn promoted(settings: &Settings, node: &str) -> Vec<(ResourceName, PromotedResource)> {
    let plugins = settings.plugins_on(node).into_owned().into_iter();
    let promoters = plugins.filter_map(|entry| match entry.settings {
        PluginSettings::Promoter(promoter) => Some(promoter.resources),
        _ => None,
    });
    promoters.flatten().collect()
}

fn expanded(
    name: &ResourceName,
    resource: &PromotedResource,
    machine: &Machine,
    groups: &Groups,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    writeln!(out, "{NAME}{name}{END}")?;
    if resource.runner == Runner::Shell {
        return writeln!(out, "  {DIM}commands of a shell: there are no units{END}");
    }
    let files = units::generate(name, resource, machine.dialect, &machine.host, Exiting::No);
    for (list, entries) in [("start", &resource.start), ("standby", &resource.standby)] {
        for (index, entry) in entries.iter().enumerate() {
            let beside = match entry.group {
                Some(_) if index > 0 && entries[index - 1].group == entry.group => ", beside the one before",
                _ => "",
            };
            writeln!(out, "  {list} {}{beside}: {NAME}{}{END}  {}", index + 1, entry.name(), entry_toml(entry))?;
            unit(name, entry, &files, out)?;
            if let Some(group) = entry.volume_group() {
                let where_it_is = match groups.get(&(name.clone(), group.to_owned())) {
                    Some(Fact::Known(stacking)) => stacking.to_string(),
                    Some(Fact::Unknown { why }) => format!("can't be looked at: {why}"),
                    Some(Fact::NotAsked) | None => continue,
                };
                writeln!(out, "      {DIM}{group} {where_it_is}{END}")?;
            }
        }
    }
    for entry in &resource.left_out {
        writeln!(out, "  left out on this node: {NAME}{}{END}  {}", entry.name(), entry_toml(entry))?;
    }
    Ok(())
}

/// The unit of an entry, and the lines of its drop-in that are about it. What is secret is in a file of its own, and not shown.
fn unit(name: &ResourceName, entry: &Entry, files: &[GeneratedFile], out: &mut dyn Write) -> std::io::Result<()> {
    let unit = units::unit_of(name, &entry.what);
    writeln!(out, "    {unit}")?;
    let wanted = format!("{unit}.d/reactor.conf");
    let drop_in =
        files.iter().find(|file| matches!(&file.place, FilePlace::Unit(path) if path.as_os_str() == wanted.as_str()));
    let lines = drop_in.into_iter().flat_map(|file| file.content.lines());
    for line in lines.filter(|line| !line.is_empty() && *line != HEADER && !line.starts_with("Description=")) {
        writeln!(out, "      {DIM}{line}{END}")?;
    }
    Ok(())
}
