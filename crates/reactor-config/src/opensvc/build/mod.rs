//! Sections to entries: one file for each class.

mod app;
mod container;
mod disk;
mod drbd;
mod fs;
mod ip;
mod service;
mod sync;

use std::collections::BTreeMap;

use super::attributes::{self, Common};
use super::class::{Class, class, index};
use super::ini::SectionId;
use super::model::{Entry, Order, Service, Step};
use super::order;
use super::view::View;
use super::words;

/// What entries have to know of others.
struct Around {
    /// The DRBD resource that is promoted.
    resource: String,
    /// The containers of the list, in its order.
    containers: Vec<container::Known>,
    /// Mount points, for what lies below them.
    directories: Vec<String>,
}

/// Reads the service; `None` if it has no DRBD resource.
pub(super) fn service(view: &mut View<'_>) -> Option<Service> {
    let Some(drbd) = drbd::choose(view) else {
        view.note(
            "A promoter runs services on a DRBD resource. What runs without one needs no promoter: systemd alone, or Pacemaker.",
        );
        view.undo_all("nothing is written: the service has no DRBD resource");
        return None;
    };
    let mut around = Around { resource: drbd.resource.clone(), containers: Vec::new(), directories: Vec::new() };
    let mut steps = disk::steps(view, &drbd);
    for section in of_class(view, |class| class == Class::Fs) {
        let step = fs::step(view, section, &around);
        around.directories.extend(step.entry.directory().map(str::to_owned));
        steps.push((section, step));
    }
    for (section, kind) in container::sections(view) {
        let (step, known) = container::step(view, section, kind, &around);
        around.containers.push(known);
        steps.push((section, step));
    }
    for section in of_class(view, |class| class == Class::App) {
        let step = app::step(view, section, &around);
        steps.push((section, step));
    }
    for section in of_class(view, |class| class == Class::Ip) {
        let step = ip::step(view, section);
        steps.push((section, step));
    }
    app::tell_launchers(view, &around);
    let parallel = subsets(view);
    let sync = sync::read(view, &around);
    let about = service::read(view);
    let (start, standby) = order::lists(view, steps);
    Some(Service {
        name: view.who().service.clone(),
        node: view.who().node.clone(),
        resource: drbd.resource,
        start,
        standby,
        preferred_nodes: view.who().nodes.clone(),
        always_on: drbd.always_on,
        sync,
        on_service_failure: about.on_service_failure,
        parallel,
    })
}

/// The devices of the file systems, as far as they are known.
fn devices(view: &View<'_>) -> Vec<String> {
    let on = |section| view.on(&view.who().node, section, "dev");
    of_class(view, |class| class == Class::Fs).into_iter().filter_map(on).collect()
}

/// The sections of a class, in the order of the file.
fn of_class(view: &View<'_>, is_wanted: impl Fn(Class) -> bool) -> Vec<SectionId> {
    view.document().all().filter(|(_, section)| is_wanted(class(&section.folded))).map(|(id, _)| id).collect()
}

/// A step with what every resource has. `entry` is what it does, or why it can't be said, with a hint of how it would look.
fn finish(
    view: &mut View<'_>,
    section: SectionId,
    order: Order,
    common: Common,
    entry: Result<Entry, Missing>,
) -> Step {
    let rid = view.section(section).name.clone();
    let (entry, missing) = match entry {
        Ok(entry) => (entry, view.unresolved_in(section)),
        // What is missing may be there, and not be known.
        Err(missing) => (Entry::Hint(missing.hint), Some(view.unresolved_in(section).unwrap_or(missing.why))),
    };
    if let Some(why) = &missing {
        view.undo(section, &format!("{rid} is a comment: {why}"));
    }
    let off = missing.or(common.off);
    let (attributes, standby_on) = (common.attributes, common.standby_on);
    Step { rid, order, subset: common.subset, sequence: 0, entry, attributes, standby_on, off }
}

/// Why there is no entry, and how it would look.
struct Missing {
    why: String,
    hint: String,
}

impl Missing {
    fn new(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { why: why.into(), hint: hint.into() }
    }
}

/// `standby` of a resource that has no data of its own on DRBD, and of one that has.
fn without_standby(view: &mut View<'_>, section: SectionId, common: &mut Common, why: &str) {
    if !common.standby_on.is_empty() {
        common.standby_on.clear();
        for name in ["standby", "always_on"] {
            for id in view.all_of(section, name) {
                view.dropped(id, why);
            }
        }
    }
}

/// Which subsets may start at the same time.
fn subsets(view: &mut View<'_>) -> BTreeMap<(Order, String), bool> {
    let mut all = BTreeMap::new();
    for section in of_class(view, |class| class == Class::Subset) {
        let parallel = view.take(section, "parallel", "a `parallel` entry");
        let is_parallel = match &parallel {
            None => false,
            Some(value) => words::boolean(&value.text).unwrap_or(false),
        };
        if let Some(value) = &parallel
            && !is_parallel
        {
            view.taken(value.id, "one after the other, the default");
        }
        let folded = view.section(section).folded.clone();
        let name = index(&folded).unwrap_or_default();
        let (wanted, name) = match name.split_once(':') {
            Some((wanted, name)) => (Some(wanted.to_owned()), name.to_owned()),
            None => (None, name.to_owned()),
        };
        for (order, word) in [
            (Order::Disk, "disk"),
            (Order::Fs, "fs"),
            (Order::Container, "container"),
            (Order::App, "app"),
            (Order::Ip, "ip"),
        ] {
            let is_meant = wanted.as_ref().is_none_or(|wanted| wanted == word || (word == "disk" && wanted == "vg"));
            if is_meant {
                all.insert((order, name.clone()), is_parallel);
            }
        }
    }
    all
}

/// What every resource has.
fn common(view: &mut View<'_>, section: SectionId) -> Common {
    attributes::read(view, section)
}
