//! `reactorctl block`: block devices, by any name, with what is below and above them.
//!
//! ```text
//!  sysfs, udev, mount table ─▶ map ─┬─▶ all: a table, a tree, or JSON
//!  the daemon, if it answers ─▶ DRBD └─▶ one: what is known of it
//! ```

pub(crate) mod table;
mod tree;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use reactor_api::status::Status;
use reactor_api::verbs;
use reactor_storage::device::{Device, DeviceMap, DrbdVolume, Found, NotFound};
use reactor_sysfs::Reader;
use serde_json::json;

use crate::cli::Place;
use crate::commands::Run;
use crate::daemon;
use crate::exit::{Exit, Failure};
use crate::style::make_harmless;

/// Show block devices: what each is, how it is reached, what it is built on and what is built on it
///
/// Nothing is read from a device, and no daemon is needed. If one answers, names of DRBD's resources and of services come from it.
#[derive(Clone, Debug, Args)]
pub struct BlockArgs {
    /// One device, by any name: `sda`, `8:0`, `/dev/...`, `6:0:0:0`, a WWID, UUID, label or serial number, `VG/LV`, a mount point, a resource of DRBD, `drbd:1000`
    #[arg(value_name = "ID")]
    pub device: Option<String>,

    /// Print a tree: below each device what is built on it
    #[arg(long, conflicts_with = "json")]
    pub tree: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// A folder with the files of another machine (sys, run/udev, proc/self/mountinfo), in place of this one's
    #[arg(long, value_name = "FOLDER")]
    pub root: Option<PathBuf>,
}

/// How long the daemon has to say what it knows of DRBD.
const WITHIN: Duration = Duration::from_millis(400);

impl Run for BlockArgs {
    fn run(&self, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
        let root = self.root.as_deref().unwrap_or(Path::new("/"));
        let listing = Reader::new(root).list().map_err(|source| Failure::Devices { source })?;
        let remarks = listing.remarks.clone();
        let mut map = listing.into_map();
        if self.root.is_none()
            && let Some(status) = status(place)
        {
            take_from_daemon(&mut map, &status);
        }
        self.print(&map, &remarks, out)
    }

    /// What is shown is of the machine that this runs on.
    fn asks_one_daemon(&self) -> bool {
        false
    }
}

impl BlockArgs {
    fn print(&self, map: &DeviceMap, remarks: &[String], out: &mut dyn Write) -> Result<Exit, Failure> {
        let found = match &self.device {
            Some(name) => Some(map.find(name).map_err(|source| no_such(map, source))?),
            None => None,
        };
        if self.json {
            return json(map, found.as_ref(), remarks, out);
        }
        match (&found, self.tree) {
            (Some(found), true) => tree::of(map, found.device, out)?,
            (Some(found), false) => table::one(map, found, out)?,
            (None, true) => tree::all(map, out)?,
            (None, false) => table::all(map, out)?,
        }
        table::remarks(map, remarks, found.is_none(), out)?;
        Ok(Exit::Ok)
    }
}

/// DRBD's devices that are named in an error.
const MAX_NAMELESS: usize = 8;

/// Nothing has that name; unless it is that of a resource of DRBD which nobody says.
fn no_such(map: &DeviceMap, source: NotFound) -> Failure {
    let nameless = |device: &Device| device.drbd.as_ref().filter(|drbd| drbd.resource.is_none())?.minor;
    let nameless: Vec<_> =
        map.in_order().into_iter().filter_map(|device| Some((device.name.as_str(), nameless(device)?))).collect();
    let Some(&(_, minor)) = nameless.first() else { return Failure::NoSuchDevice { source } };
    let mut devices: Vec<&str> = nameless.iter().take(MAX_NAMELESS).map(|(name, _)| *name).collect();
    if nameless.len() > MAX_NAMELESS {
        devices.push("others");
    }
    Failure::NamelessDrbd { name: source.name, devices: devices.join(", "), minor }
}

fn json(map: &DeviceMap, found: Option<&Found<'_>>, remarks: &[String], out: &mut dyn Write) -> Result<Exit, Failure> {
    let devices: Vec<&Device> = match found {
        Some(found) => std::iter::once(found.device).chain(found.also.iter().copied()).collect(),
        None => map.in_order(),
    };
    let reports: Vec<_> = devices.into_iter().map(|device| map.report(device)).collect();
    let mut document = json!({ "devices": reports, "remarks": remarks });
    make_harmless(&mut document);
    writeln!(out, "{document}")?;
    Ok(Exit::Ok)
}

/// What a daemon knows, if one answers at once.
fn status(place: &Place) -> Option<Status> {
    let mut client = daemon::connect_if_it_answers(place, WITHIN).ok()?;
    daemon::ask_over(&mut client, &verbs::Status::default()).ok()?.status.known().ok()
}

/// The volumes of DRBD's resources, and the services that are started on them.
fn take_from_daemon(map: &mut DeviceMap, status: &Status) {
    let volumes = status.resources.iter().flat_map(|resource| {
        resource.devices.iter().filter_map(|device| {
            Some(DrbdVolume {
                minor: device.fields.minor?,
                resource: resource.name.clone(),
                volume: device.volume,
                backing: device.fields.backing_device.clone().filter(|path| path != "none"),
            })
        })
    });
    map.set_drbd(volumes);
    map.set_users(status.promoted.iter().map(|promoted| (promoted.resource.clone(), promoted.target.clone())));
}

#[cfg(test)]
mod tests;
