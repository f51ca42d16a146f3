//! `[[promoter]]`.

use std::ops::Range;
use std::path::PathBuf;

use reactor_core::ids::ResourceName;
use reactor_core::names;
use reactor_core::settings::PromoterSettings;
use reactor_core::settings::promoter::{
    AlwaysOn, DayWindow, Dependency, Entry as StartedEntry, FailureAction, OnDiskDetach, OnQuorumLoss,
    OnServiceFailure, PreferredNodesPolicy, PromotedResource, RepairLinks, Retry, Runner, SyncSettings,
};
use toml::de::{DeTable, DeValue};

use super::walk::{Entry, Reader, Table, show};
use super::{Claim, ParsedFile, contradictions, start};
use crate::finding::Code;
use crate::{spec, units};

pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>, parsed: &mut ParsedFile) -> PromoterSettings {
    let mut settings = PromoterSettings::default();
    let mut entries = Vec::new();
    match table.item("resources") {
        None => {}
        Some(item) => match item.value {
            DeValue::Table(resources) => entries = reader.entries(resources, false),
            _ => {
                let finding = reader.wrong_type("resources", item, "a table");
                finding.hint = Some("write [promoter.resources.NAME]".to_owned());
                return settings;
            }
        },
    }
    if entries.is_empty() {
        let finding = reader.warn(Code::Suspicious, table.span.clone(), "this promoter has no resources");
        finding.hint = Some("add a table [promoter.resources.NAME]".to_owned());
    }
    for entry in &entries {
        let mark = reader.mark();
        check_name(reader, entry);
        let DeValue::Table(resource) = entry.item.value else {
            let finding = reader.wrong_type(entry.key, &entry.item, "a table");
            finding.hint = Some(format!("write [promoter.resources.{}]", entry.key));
            reader.is_lost_since(mark);
            continue;
        };
        if is_split_name(reader, entry, resource) {
            reader.is_lost_since(mark);
            continue;
        }
        let resource = reader.table(resource, entry.item.span.clone(), &spec::PROMOTER_RESOURCE);
        let name = ResourceName::new(entry.key);
        let (resource, places) = read_resource(reader, &resource);
        if reader.is_lost_since(mark) {
            continue;
        }
        parsed.claims.push(Claim {
            resource: name.clone(),
            plugin: parsed.plugins.len(),
            location: reader.location(entry.key_span.clone()),
            start: places.into_iter().map(|span| reader.location(span)).collect(),
        });
        settings.resources.insert(name, resource);
    }
    settings
}

/// Whether the name of a resource has a dot and no quotes: then TOML has made tables in tables of it. Reports them.
fn is_split_name(reader: &mut Reader<'_>, first: &Entry<'_>, resource: &DeTable<'_>) -> bool {
    let keys = &spec::PROMOTER_RESOURCE;
    let of_a_name = |reader: &Reader<'_>, entry: &Entry<'_>| {
        let inline = reader.text_at(&entry.item.span).starts_with('{');
        let is_table = matches!(entry.item.value, DeValue::Table(_)) && !inline;
        is_table && keys.key(entry.key).is_none() && !spec::is_foreign(keys, entry.key, entry.item.value)
    };
    let entries = reader.entries(resource, false);
    let split: Vec<&Entry<'_>> = entries.iter().filter(|entry| of_a_name(reader, entry)).collect();
    for part in &split {
        let mut name = format!("{}.{}", first.key, part.key);
        let mut inner = part.item.value;
        // A name with several dots.
        while let DeValue::Table(table) = inner
            && let [only] = reader.entries(table, false).as_slice()
            && of_a_name(reader, only)
        {
            name = format!("{name}.{}", only.key);
            inner = only.item.value;
        }
        let message = format!(
            "{} stands in the table of {}: a name with a dot must be in quotes",
            show(part.key),
            show(first.key)
        );
        let finding = reader.error(Code::BadValue, part.key_span.clone(), message);
        finding.label = Some("without quotes, what follows a dot is a table of its own".to_owned());
        finding.hint = Some(format!("if the DRBD resource is called `{name}`: [promoter.resources.{name:?}]"));
    }
    !split.is_empty()
}

/// DRBD's `strict_names` is on by default, but it can be switched off: a strange name is only a warning.
fn check_name(reader: &mut Reader<'_>, entry: &Entry<'_>) {
    let strict = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
    if entry.key.is_empty() || entry.key.chars().any(|c| c.is_control() || c.is_whitespace()) {
        let message = format!("{} is not the name of a DRBD resource", show(entry.key));
        reader.error(Code::BadValue, entry.key_span.clone(), message);
    } else if !entry.key.chars().all(strict) {
        let message = format!("DRBD takes the resource name {} only with strict_names=0", show(entry.key));
        reader.warn(Code::Suspicious, entry.key_span.clone(), message);
    }
}

/// Also gives the place of each entry of `start`.
fn read_resource(reader: &mut Reader<'_>, table: &Table<'_>) -> (PromotedResource, Vec<Range<usize>>) {
    let default = PromotedResource::with_defaults(reader.mode());
    let runner = reader.word(table, "runner", Runner::WORDS).unwrap_or(default.runner);
    let start = start::read(reader, table, runner);
    let standby = start::read_standby(reader, table, &start);
    let (start, mut places): (Vec<StartedEntry>, Vec<Range<usize>>) = start.into_iter().unzip();
    let (standby, more): (Vec<StartedEntry>, Vec<Range<usize>>) = standby.into_iter().unzip();
    places.extend(more);
    let stop: Vec<String> = reader.text_list(table, "stop").into_iter().map(|(text, _)| text.to_owned()).collect();
    let stop_services_on_exit = reader.bool(table, "stop-services-on-exit").unwrap_or(default.stop_services_on_exit);
    let resource = PromotedResource {
        start,
        standby,
        stop,
        stop_services_on_exit,
        runner,
        dependencies_as: reader.word(table, "dependencies-as", Dependency::WORDS).unwrap_or(default.dependencies_as),
        target_as: reader.word(table, "target-as", Dependency::WORDS).unwrap_or(default.target_as),
        on_drbd_demote_failure: reader
            .word(table, "on-drbd-demote-failure", FailureAction::WORDS)
            .unwrap_or(default.on_drbd_demote_failure),
        sleep_before_promote_factor: reader
            .integer(table, "sleep-before-promote-factor")
            .and_then(|factor| u32::try_from(factor).ok())
            .unwrap_or(default.sleep_before_promote_factor),
        preferred_nodes: read_nodes(reader, table),
        preferred_nodes_policy: reader
            .word(table, "preferred-nodes-policy", PreferredNodesPolicy::WORDS)
            .unwrap_or(default.preferred_nodes_policy),
        secondary_force: reader.bool(table, "secondary-force").unwrap_or(default.secondary_force),
        on_quorum_loss: reader.word(table, "on-quorum-loss", OnQuorumLoss::WORDS).unwrap_or(default.on_quorum_loss),
        on_disk_detach: reader.word(table, "on-disk-detach", OnDiskDetach::WORDS).unwrap_or(default.on_disk_detach),
        fencing_promote_delay_s: read_seconds(reader, table, "fencing-promote-delay")
            .unwrap_or(default.fencing_promote_delay_s),
        adjust_resource_on_start: reader
            .bool(table, "adjust-resource-on-start")
            .unwrap_or(default.adjust_resource_on_start),
        ..default
    };
    let resource = read_ours(reader, table, resource);
    contradictions::report(reader, table, &resource);
    (resource, places)
}

/// The keys that drbd-reactor does not have; `resource` has their defaults.
fn read_ours(reader: &mut Reader<'_>, table: &Table<'_>, resource: PromotedResource) -> PromotedResource {
    let always_on = reader.text_list(table, "always-on");
    PromotedResource {
        always_on: match table.item("always-on") {
            None => AlwaysOn::Everywhere,
            Some(_) => AlwaysOn::On(always_on.into_iter().map(|(node, _)| node.to_owned()).collect()),
        },
        sync: read_sync(reader, table),
        freeze_timeout: reader.duration(table, "freeze-timeout"),
        failback_window: read_windows(reader, table),
        on_service_failure: reader
            .word(table, "on-service-failure", OnServiceFailure::WORDS)
            .unwrap_or(resource.on_service_failure),
        max_failures: reader
            .integer(table, "max-failures")
            .and_then(|failures| u32::try_from(failures).ok())
            .unwrap_or(resource.max_failures),
        failure_window: reader.duration(table, "failure-window").unwrap_or(resource.failure_window),
        retry: match reader.duration_or_word(table, "retry-interval") {
            Some(Some(interval)) => Retry::Every(interval),
            Some(None) => Retry::BackOff,
            None => resource.retry,
        },
        repair_links: reader.word(table, "repair-links", RepairLinks::WORDS).unwrap_or(resource.repair_links),
        head_start: reader.bool(table, "head-start").unwrap_or(resource.head_start),
        ..resource
    }
}

/// `sync`: names that can't be options, and paths that say one file each.
fn read_sync(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<SyncSettings> {
    let table = reader.sub_table(table, "sync", &spec::SYNC)?;
    let nodes = |reader: &mut Reader<'_>, key: &'static str| {
        let mut out: Vec<String> = Vec::new();
        for (node, item) in reader.text_list(&table, key) {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            if node.starts_with(['-', '.']) || !node.chars().all(allowed) || node.len() > 255 {
                reader.error(Code::BadValue, item.span, format!("{} is not the name of a node", show(node)));
            } else if !out.iter().any(|known| names::same(known, node)) {
                out.push(node.to_owned());
            }
        }
        out
    };
    let (nodes, drpnodes) = (nodes(reader, "nodes"), nodes(reader, "drpnodes"));
    let mut files = Vec::new();
    for (file, item) in reader.text_list(&table, "files") {
        let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        let parts = file.strip_prefix('/').map(|rest| rest.split('/').all(is_plain));
        if parts != Some(true) || file.chars().any(char::is_control) {
            let message = format!("{} is not the absolute path of a file", show(file));
            reader.error(Code::BadValue, item.span, message).hint = Some("without `..`, `.` and double `/`".to_owned());
        } else {
            files.push(PathBuf::from(file));
        }
    }
    if nodes.is_empty() && drpnodes.is_empty() {
        let message = "`sync` names no node: nothing is sent";
        reader.warn(Code::Suspicious, table.span.clone(), message);
    }
    Some(SyncSettings { nodes, drpnodes, files, every: reader.duration(&table, "every") })
}

fn read_windows(reader: &mut Reader<'_>, table: &Table<'_>) -> Vec<DayWindow> {
    let mut windows = Vec::new();
    for (text, item) in reader.text_or_list(table, "failback-window") {
        match units::parse_day_window(text) {
            Ok((from_min, to_min)) => windows.push(DayWindow { from_min, to_min }),
            Err(why) => {
                let message = format!("{} is not a part of the day: {why}", show(text));
                reader.error(Code::BadValue, item.span, message).hint =
                    Some("write two times of the local clock, for example \"02:00-04:00\"".to_owned());
            }
        }
    }
    windows
}

fn read_nodes(reader: &mut Reader<'_>, table: &Table<'_>) -> Vec<String> {
    let mut nodes: Vec<String> = Vec::new();
    for (node, item) in reader.text_list(table, "preferred-nodes") {
        match nodes.iter().find(|known| names::same(known, node)).map(|known| show(known)) {
            None => nodes.push(node.to_owned()),
            Some(known) if known == show(node) => {
                let message = format!("the node {known} is in the list twice; the first place counts");
                reader.warn(Code::Suspicious, item.span, message);
            }
            Some(known) => {
                let message = format!("{} and {known} are the same node; the first place counts", show(node));
                reader.warn(Code::Suspicious, item.span, message);
                nodes.push(node.to_owned());
            }
        }
    }
    nodes
}

fn read_seconds(reader: &mut Reader<'_>, table: &Table<'_>, key: &'static str) -> Option<u64> {
    let duration = reader.duration(table, key)?;
    if duration.subsec_nanos() != 0
        && let Some(item) = table.item(key)
    {
        reader.error(Code::BadValue, item.span.clone(), format!("`{key}` must be whole seconds"));
    }
    Some(duration.as_secs())
}
