//! `[vg#0]` and `[disk#0]` that is not DRBD: volume groups and logical volumes, above or below it.

use super::super::attributes::Common;
use super::super::class::{Class, class};
use super::super::ini::SectionId;
use super::super::model::{Entry, Order, Step};
use super::super::view::View;
use super::super::words;
use super::drbd::{self, Drbd, Group};
use super::{Missing, common, finish, of_class, without_standby};

/// The steps of volumes that are on DRBD; what is below it is told.
pub(super) fn steps(view: &mut View<'_>, drbd: &Drbd) -> Vec<(SectionId, Step)> {
    let mut steps = Vec::new();
    for section in of_class(view, |class| matches!(class, Class::Vg | Class::Disk)) {
        let is_group = class(&view.section(section).folded) == Class::Vg;
        let kind = if is_group { Some("vg".to_owned()) } else { drbd::kind(view, section) };
        match kind.as_deref() {
            Some("drbd") => {}
            Some("vg" | "lv") => {
                steps.extend(volume(view, section, kind.as_deref() == Some("lv"), drbd).map(|step| (section, step)));
            }
            kind => {
                let common = common(view, section);
                let why = match kind {
                    Some(kind) => format!("there is no short form for a disk of type {}", words::one_line(kind)),
                    None => "the file does not say which type of disk it is".to_owned(),
                };
                let missing = Missing::new(why, "{ unit = \"NAME.service\" }");
                steps.push((section, finish(view, section, Order::Disk, common, Err(missing))));
            }
        }
    }
    steps
}

fn volume(view: &mut View<'_>, section: SectionId, is_volume: bool, drbd: &Drbd) -> Option<Step> {
    let mut common = common(view, section);
    let (group, volume) = if is_volume {
        (view.take(section, "vg", "the volume group"), view.take(section, "name", "the logical volume"))
    } else {
        (view.take_any(section, &["vgname", "name", "vg"], "{ vg = ... }"), None)
    };
    let name = group.map(|value| value.text);
    let is_named = |name: &Option<String>| name.as_ref().is_some_and(|name| is_lvm_name(name));
    let rid = view.section(section).name.clone();
    if is_named(&name)
        && let Some(group) = &name
        && place(view, section, group, &common, drbd) == Group::Below
    {
        view.undo(
            section,
            &format!(
                "{rid} is below DRBD, and no entry: `systemctl enable drbd-lvchange@{}.service`, which activates it before DRBD",
                drbd.resource
            ),
        );
        return None;
    }
    without_standby(view, section, &mut common, "it is on DRBD, which is Secondary there");
    let entry = match (name, volume.map(|value| value.text)) {
        (Some(vg), None) if !is_volume && is_lvm_name(&vg) => Ok(Entry::Vg { vg }),
        (Some(vg), Some(lv)) if is_lvm_name(&vg) && is_lvm_name(&lv) => Ok(Entry::Ocf {
            agent: "ocf:heartbeat:LVM-activate",
            instance: format!("lv-{vg}-{lv}"),
            parameters: vec![
                ("vgname", vg),
                ("lvname", lv),
                ("vg_access_mode", "system_id".to_owned()),
                ("activation_mode", "exclusive".to_owned()),
            ],
        }),
        _ => Err(Missing::new("the file does not name the volume in a way that LVM takes", "{ vg = \"NAME\" }")),
    };
    Some(finish(view, section, Order::Disk, common, entry))
}

/// Whether the volume group is on DRBD or below it.
fn place(view: &mut View<'_>, section: SectionId, group: &str, common: &Common, drbd: &Drbd) -> Group {
    let rid = view.section(section).name.clone();
    if let Some(tagged) = drbd.tagged {
        if tagged == Group::Below && is_among(&drbd.devices, group) {
            view.note(format!("{rid}: the tag postvg says that the volume group {group} is below DRBD, and a file system of the service is on it all the same: one of them is wrong. With {{ vg = \"{group}\" }} as the first entry of `start`, `reactorctl check` says where it is."));
        }
        return tagged;
    }
    if !common.standby_on.is_empty() {
        view.note(format!(
            "{rid}: it was active on nodes where the service was not, so the volume group {group} is below DRBD."
        ));
        return Group::Below;
    }
    // 1.x told them apart by tags only. Later the order of names decided: what comes first is below.
    let is_above = !view.is_old() && !is_first(view, section, common.subset.as_deref(), drbd);
    if is_above {
        return Group::Above;
    }
    if is_among(&drbd.devices, group) {
        view.note(format!(
            "{rid}: a file system of the service is on the volume group {group}, so the group is taken to be on DRBD, and to be activated after the promotion. If it has nothing to do with \
             DRBD, take it out."
        ));
        return Group::Above;
    }
    let why = if view.is_old() { "without the tag prevg or postvg it was" } else { "it comes before DRBD, so it was" };
    view.note(format!(
        "{rid}: {why} activated before DRBD: the volume group {group} is taken to be below it. If it is on DRBD, add {{ vg = \"{group}\" }} as the first entry of `start`: `reactorctl check` then says where it is."
    ));
    Group::Below
}

/// Whether it comes before DRBD by its subset and its name.
fn is_first(view: &View<'_>, section: SectionId, subset: Option<&str>, drbd: &Drbd) -> bool {
    let key =
        |subset: Option<&str>, section| (subset.unwrap_or_default().to_owned(), view.section(section).folded.clone());
    key(subset, section) < key(drbd.subset.as_deref(), drbd.section)
}

/// Whether one of the devices is a logical volume of the group.
fn is_among(devices: &[String], group: &str) -> bool {
    let begins = [format!("/dev/{group}/"), format!("/dev/mapper/{}-", group.replace('-', "--"))];
    devices.iter().any(|device| begins.iter().any(|begin| device.starts_with(begin)))
}

/// What LVM takes for a name of a group or a volume.
fn is_lvm_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+_.-".contains(c);
    (1..=100).contains(&text.len()) && text.chars().all(allowed) && !text.starts_with(['-', '.'])
}
