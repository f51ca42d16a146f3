//! `[drbd#0]` and `[disk#0] type = drbd`: which resource is promoted, and where it is up.

use super::super::attributes;
use super::super::class::{Class, class};
use super::super::ini::SectionId;
use super::super::scope::is_same_node;
use super::super::view::{Value, View};
use super::super::words;
use super::{devices, of_class};

/// Where a volume group is, as tags of the DRBD resource say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// `prevg`: DRBD comes before the volume group, which is on it.
    Above,
    /// `postvg`: DRBD comes after it, and is on it.
    Below,
}

/// The resource that is promoted.
#[derive(Debug)]
pub(super) struct Drbd {
    pub(super) section: SectionId,
    pub(super) resource: String,
    pub(super) always_on: Option<Vec<String>>,
    /// What a tag says.
    pub(super) tagged: Option<Group>,
    pub(super) subset: Option<String>,
    /// The devices of the file systems.
    pub(super) devices: Vec<String>,
}

/// Whether a section is about a DRBD resource.
fn is_drbd(view: &mut View<'_>, section: SectionId) -> bool {
    match class(&view.section(section).folded) {
        Class::Drbd => true,
        Class::Disk => kind(view, section).as_deref() == Some("drbd"),
        _ => false,
    }
}

/// The `type` of a `[disk#N]`; only DRBD's have a `res`, only those of 1.x a `vgname`.
pub(super) fn kind(view: &mut View<'_>, section: SectionId) -> Option<String> {
    if let Some(value) = view.take(section, "type", "the kind of disk") {
        return Some(value.text.to_lowercase());
    }
    let has = |name: &str| !view.all_of(section, name).is_empty();
    if has("res") {
        return Some("drbd".to_owned());
    }
    has("vgname").then(|| "vg".to_owned())
}

/// The resource that is promoted: that of the file systems if they name one, else the first one.
pub(super) fn choose(view: &mut View<'_>) -> Option<Drbd> {
    let sections = of_class(view, |class| matches!(class, Class::Drbd | Class::Disk));
    let sections: Vec<SectionId> = sections.into_iter().filter(|section| is_drbd(view, *section)).collect();
    let mut good: Vec<(SectionId, Value)> = Vec::new();
    for section in sections {
        let rid = view.section(section).name.clone();
        match view.take(section, "res", "the table [promoter.resources.NAME]") {
            Some(value) if is_resource(&value.text) => good.push((section, value)),
            Some(value) => view.dropped(value.id, "not the name of a DRBD resource"),
            None => view.note(format!("{rid} is left out: it does not say which DRBD resource it is (`res`).")),
        }
    }
    let names: Vec<String> = good.iter().map(|(_, value)| value.text.clone()).collect();
    let devices = devices(view);
    let is_of = |name: &String| {
        let begins = format!("/dev/drbd/by-res/{name}/");
        devices.iter().any(|device| device.starts_with(&begins))
    };
    let named = names.iter().position(is_of).unwrap_or(0);
    let chosen = names.get(named)?.clone();
    let mut drbd: Option<Drbd> = None;
    for (section, value) in good {
        if value.text != chosen {
            let why = format!("a promoter runs one DRBD resource, and this service is the one of {chosen}");
            view.undo(section, &why);
            view.note(format!(
                "The service has another DRBD resource, {}: a resource is promoted by itself here, so it needs a table of its own, [promoter.resources.{}], with what runs on it; \
                 or make both one resource with two volumes, which are promoted together.",
                value.text, words::one_line(&value.text)
            ));
        } else if drbd.is_none() {
            drbd = read(view, section, value);
        }
    }
    drbd.map(|drbd| Drbd { devices, ..drbd })
}

/// What DRBD takes for a name, also without `strict_names`.
fn is_resource(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
    (1..=128).contains(&text.len())
        && text.chars().all(allowed)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

fn read(view: &mut View<'_>, section: SectionId, resource: Value) -> Option<Drbd> {
    let rid = view.section(section).name.clone();
    let common = attributes::read(view, section);
    if let Some(why) = common.off {
        view.note(format!("{rid} is left out: {why}."));
        view.undo(section, &format!("{rid} is left out: {why}"));
        return None;
    }
    let why = "it is DRBD's own section: the promotion is never optional, and is tried again by itself";
    for name in ["optional", "monitor", "restart", "restart_delay", "optional_on", "monitor_on"] {
        for id in view.all_of(section, name) {
            view.dropped(id, why);
        }
    }
    for name in ["timeout", "start_timeout", "stop_timeout"] {
        for id in view.all_of(section, name) {
            view.dropped(id, "the time limits of the promotion are those of drbd-promote@.service");
        }
    }
    if !common.attributes.disabled_on.is_empty() {
        for id in view.all_of(section, "disable").into_iter().chain(view.all_of(section, "disable_on")) {
            view.dropped(
                id,
                "where the resource is not to run, the file is not put there, or `reactorctl hold` keeps it away",
            );
        }
    }
    let tagged = tagged(view, section, &common.tags);
    let always_on = always_on(view, section, &common.standby_on);
    Some(Drbd { section, resource: resource.text, always_on, tagged, subset: common.subset, devices: Vec::new() })
}

fn tagged(view: &mut View<'_>, section: SectionId, tags: &[String]) -> Option<Group> {
    let has = |wanted: &str| tags.iter().any(|tag| tag == wanted);
    let (group, why) = match (has("prevg"), has("postvg")) {
        (true, false) => (Group::Above, "prevg: DRBD comes first, and the volume group, which is on it, is an entry"),
        (false, true) => (
            Group::Below,
            "postvg: the volume group is below DRBD, and is no entry: drbd-lvchange@, enabled, activates it before",
        ),
        (true, true) => (Group::Below, "both prevg and postvg: postvg, which was the default, counts"),
        (false, false) => return None,
    };
    for id in view.all_of(section, "tags") {
        view.changed(id, why);
    }
    Some(group)
}

/// Where DRBD is up; `None` if that is everywhere, which is the default.
fn always_on(view: &mut View<'_>, section: SectionId, on: &[String]) -> Option<Vec<String>> {
    let keys: Vec<_> = ["always_on", "standby"].iter().flat_map(|name| view.all_of(section, name)).collect();
    if on.is_empty() {
        view.note(
            "OpenSVC took DRBD down where the service was stopped. Here DRBD stays up and connected on every node: `stop` ends with Secondary, and the data goes on being replicated.",
        );
        return None;
    }
    let has_all = view.who().everywhere().all(|node| on.iter().any(|other| is_same_node(other, node)));
    if has_all {
        for id in keys {
            view.dropped(id, "the default here: DRBD is up and connected on every node, whoever runs the service");
        }
        return None;
    }
    for id in keys {
        view.taken(id, "`always-on`: DRBD is up and connected there, whoever runs the service");
    }
    Some(on.to_vec())
}
