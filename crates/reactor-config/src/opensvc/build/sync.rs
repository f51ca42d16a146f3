//! `[sync#i0]`, which copies the service's own files, and `[sync#1]`, which copies others.

use std::time::Duration;

use super::super::class::{Class, index};
use super::super::ini::SectionId;
use super::super::model::Sync;
use super::super::view::View;
use super::super::words;
use super::{Around, of_class};

/// Shortest and longest pause between two copies.
const EVERY: std::ops::RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(7 * 86_400);
/// Most files.
const MAX_FILES: usize = 100;

/// `sync`, if anything is to be copied.
pub(super) fn read(view: &mut View<'_>, around: &Around) -> Option<Sync> {
    let sections = of_class(view, |class| class == Class::Sync);
    if sections.is_empty() {
        view.note(
            "OpenSVC copied its service file, and DRBD's .res file with it, to the other nodes by itself. Here that is off; `sync = { nodes = [...], every = \"10min\" }` does it.",
        );
        return None;
    }
    let mut sync = Sync::default();
    for section in sections {
        let is_internal = index(&view.section(section).folded).is_some_and(|index| index.starts_with('i'));
        if let Some(value) = view.take(section, "disable", "not disabled")
            && words::boolean(&value.text) == Some(true)
        {
            view.taken(value.id, "disabled: nothing of it is copied");
            view.undo(section, "the section is disabled");
            continue;
        }
        if !is_internal && !is_of_files(view, section, around, &mut sync) {
            continue;
        }
        targets(view, section, is_internal, &mut sync);
        every(view, section, &mut sync);
    }
    let has_others = sync.nodes.len() > 1 || !sync.drpnodes.is_empty();
    has_others.then_some(sync)
}

/// Whether the section copies files that can be copied here; which are added.
fn is_of_files(view: &mut View<'_>, section: SectionId, around: &Around, sync: &mut Sync) -> bool {
    if let Some(kind) = view.take(section, "type", "files, the only kind that is copied here")
        && kind.text.trim() != "rsync"
    {
        let why = format!("only files are copied here, and nothing by {}", words::one_line(&kind.text));
        view.dropped(kind.id, why.clone());
        view.undo(section, &why);
        return false;
    }
    let Some(source) = view.take(section, "src", "`files` of `sync`") else {
        view.undo(section, "it does not say what is to be copied (`src`)");
        return false;
    };
    let target = view.take(section, "dst", "the same place on the other nodes").map(|value| (value.id, value.text));
    let (mut files, mut left) = (Vec::new(), Vec::new());
    for path in words::list(&source.text) {
        match refused(&path, target.as_ref().map(|(_, text)| text.as_str()), around) {
            None => files.push(words::tidy_path(&path)),
            Some(why) => left.push(format!("{}: {why}", words::one_line(&path))),
        }
    }
    if files.is_empty() {
        let why = format!("nothing of it is copied: {}", left.join("; "));
        view.undo(section, &why);
        return false;
    }
    let why = if left.is_empty() {
        "`files` of `sync`: files, not folders"
    } else {
        "`files` of `sync`, without some of them"
    };
    view.changed(source.id, if left.is_empty() { why.to_owned() } else { format!("{why}: {}", left.join("; ")) });
    for file in files {
        if !sync.files.contains(&file) && sync.files.len() < MAX_FILES {
            sync.files.push(file);
        }
    }
    true
}

/// Why a path is not copied.
fn refused(path: &str, target: Option<&str>, around: &Around) -> Option<&'static str> {
    if path.ends_with('/') {
        return Some("a folder");
    }
    if !words::is_path(path) || path.len() < 2 {
        return Some("not the plain path of a file");
    }
    let tidy = words::tidy_path(path);
    if around.directories.iter().any(|directory| words::is_below(&tidy, directory)) {
        return Some("it is on a file system of the service, which DRBD replicates");
    }
    let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
    let is_same = target.is_none_or(|target| {
        let target = words::tidy_path(target);
        target == tidy || target == words::tidy_path(folder) || target == "/"
    });
    (!is_same).then_some("it has another path on the other nodes, and files are copied to the same path here")
}

/// Where it is copied to: `nodes`, `drpnodes`, or both, which is the default of internal ones.
fn targets(view: &mut View<'_>, section: SectionId, is_internal: bool, sync: &mut Sync) {
    let target = view.take(section, "target", "`nodes` and `drpnodes` of `sync`");
    let named = target.as_ref().map(|value| words::list(&value.text.to_lowercase())).unwrap_or_default();
    let is_for = |group: &str| named.iter().any(|name| name == group) || (named.is_empty() && is_internal);
    if is_for("nodes") {
        sync.nodes.clone_from(&view.who().nodes);
    }
    if is_for("drpnodes") {
        sync.drpnodes.clone_from(&view.who().drpnodes);
    }
    if let Some(target) = target
        && let Some(other) = named.iter().find(|name| !["nodes", "drpnodes", "local"].contains(&name.as_str()))
    {
        view.changed(target.id, format!("without {}, which is neither `nodes` nor `drpnodes`", words::one_line(other)));
    }
}

/// How often, in the words of three eras. Of several sections the shortest counts.
fn every(view: &mut View<'_>, section: SectionId, sync: &mut Sync) {
    for name in ["schedule", "sync_schedule", "sync_interval", "interval"] {
        let Some(value) = view.take(section, name, "`every` of `sync`") else { continue };
        // A number is so many minutes; `@10` is every ten of them, at any time of the day.
        let text = value.text.trim();
        let Some(time) = words::duration(text.strip_prefix('@').unwrap_or(text), 60) else {
            view.dropped(value.id, "times of day: `every` of `sync` is a time between two copies");
            continue;
        };
        let clamped = time.clamp(*EVERY.start(), *EVERY.end());
        if clamped != time {
            view.changed(value.id, format!("`every = {:?}`", words::show_duration(clamped)));
        }
        sync.every = Some(sync.every.map_or(clamped, |other| other.min(clamped)));
    }
}
