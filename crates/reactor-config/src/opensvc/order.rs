//! The order of the steps: that of OpenSVC's classes, with the address at the end.

use std::collections::BTreeSet;

use super::ini::SectionId;
use super::model::{Entry, Order, Step, Within};
use super::scope::is_same_node;
use super::view::View;

/// `start` and `standby`.
pub(super) fn lists(view: &mut View<'_>, steps: Vec<(SectionId, Step)>) -> (Vec<Step>, Vec<Step>) {
    let mut steps = steps;
    // Within a class: the subset, then shallow mount points or the launcher's number, then the name.
    steps.sort_by_cached_key(|(_, step)| {
        let depth = step.entry.directory().unwrap_or_default().to_owned();
        (step.order, step.subset.clone(), step.sequence, depth, natural(&step.rid))
    });
    off_if_twice(view, &mut steps);
    off_without_container(view, &mut steps);
    if steps.iter().any(|(_, step)| step.order == Order::Ip) {
        view.note(
            "The address comes last here, and first in OpenSVC: clients find a service that is ready, and the promotion decides who may have the address. If something in the list binds to \
             the address itself, move that entry behind it.",
        );
    }
    if steps.iter().any(|(_, step)| step.off.is_none()) {
        view.note(
            "Every entry is watched here, whether it had `monitor = true` or not: one that fails is started again, and at max-failures another node gets the service. `monitor = false` \
             in an entry, or on-service-failure, says it differently.",
        );
    }
    let mut standby = Vec::new();
    let mut start = Vec::new();
    for (section, step) in steps {
        if !step.standby_on.is_empty() && step.off.is_none() {
            match step.entry.twin() {
                Some(twin) => standby.push(Step { entry: twin, ..only_on(view, &step) }),
                None => not_standby(view, section),
            }
        }
        start.push(step);
    }
    (start, standby)
}

/// `fs#10` comes after `fs#9`.
fn natural(rid: &str) -> (String, u64, String) {
    let rid = rid.to_lowercase();
    let (class, index) = rid.split_once('#').unwrap_or((&rid, ""));
    (class.to_owned(), index.parse().unwrap_or(u64::MAX), index.to_owned())
}

/// Two entries of one name would be one unit.
fn off_if_twice(view: &mut View<'_>, steps: &mut [(SectionId, Step)]) {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for (section, step) in steps {
        let Some(name) = step.entry.name() else { continue };
        if step.off.is_none() && !seen.insert(name.clone()) {
            let why = format!("another entry is called {name}, too, and an entry is called by what it starts");
            view.undo(*section, &format!("{} is a comment: {why}", step.rid));
            step.off = Some(why);
        }
    }
}

/// A script can't run in a container that is not in the list, because another one has its name.
fn off_without_container(view: &mut View<'_>, steps: &mut [(SectionId, Step)]) {
    let is_there = |(_, step): &(SectionId, Step)| match &step.entry {
        Entry::Container { name, .. } if step.off.is_none() => Some(name.clone()),
        _ => None,
    };
    let there: BTreeSet<String> = steps.iter().filter_map(is_there).collect();
    for (section, step) in steps {
        if let Entry::App { within: Some(Within { container, engine: None }), .. } = &step.entry
            && !there.contains(container)
            && step.off.is_none()
        {
            let why = "the container that it runs in is not in the list";
            view.undo(*section, &format!("{} is a comment: {why}", step.rid));
            step.off = Some(why.to_owned());
        }
    }
}

/// It runs where the service runs, and nowhere else.
fn not_standby(view: &mut View<'_>, section: SectionId) {
    for name in ["standby", "always_on"] {
        for id in view.all_of(section, name) {
            let why = "it runs where the service runs only: an entry is in `start` or in `standby`, and this kind has no second unit; what runs everywhere can be enabled in systemd";
            view.dropped(id, why);
        }
    }
}

/// The entry as one of `standby`.
fn only_on(view: &View<'_>, step: &Step) -> Step {
    let on = &step.standby_on;
    let others = view.who().everywhere().filter(|node| !on.iter().any(|other| is_same_node(other, node)));
    let mut step = step.clone();
    for node in others {
        if !step.attributes.disabled_on.contains(node) {
            step.attributes.disabled_on.push(node.clone());
        }
    }
    step
}
