//! A table in `start` or `standby`: which form it has, what that expands to, and how it is looked after.

use std::net::IpAddr;
use std::ops::Range;

use reactor_core::settings::promoter::{Command, Engine, Entry, How, StartEntry};
use toml::de::DeTable;

use super::start;
use super::walk::{Item, Reader, Table, or_list, show};
use crate::finding::Code;
use crate::spec::{self, FORM_KEYS};

/// The containers of the entries before, each with who runs it.
#[derive(Default)]
pub(super) struct Containers(Vec<(String, Engine)>);

/// Entries of one table, each with its place: several if it is a `parallel`.
pub(super) fn read(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    item: &Item<'_>,
    groups: &mut u32,
    containers: &mut Containers,
) -> Vec<(Entry, Range<usize>)> {
    let table = reader.table(table, item.span.clone(), &spec::ENTRY);
    let Some(form) = form(reader, &table) else { return Vec::new() };
    if form != "parallel" {
        return one(reader, &table, form, containers).map(|entry| (entry, item.span.clone())).into_iter().collect();
    }
    if let Some((key, item)) = table.given().find(|(key, _)| *key != "parallel" && spec::ENTRY.key(key).is_some()) {
        let message = format!("`{key}` has no meaning beside `parallel`");
        reader.error(Code::Misplaced, item.span.clone(), message).hint =
            Some("it belongs to each entry of the list".to_owned());
        return Vec::new();
    }
    *groups += 1;
    parallel(reader, &table, *groups, containers)
}

/// Which of the forms it is.
fn form(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<&'static str> {
    let forms: Vec<&str> = FORM_KEYS.iter().map(|(form, _)| *form).collect();
    let has = |wanted: &str| table.given().any(|(key, _)| key == wanted);
    let mut given = FORM_KEYS.iter().filter(|(form, _)| has(form));
    let Some((form, details)) = given.next() else {
        let message = "this entry does not say what is run".to_owned();
        reader.error(Code::MissingKey, table.span.clone(), message).hint =
            Some(format!("it needs {}", or_list(&forms)));
        return None;
    };
    if let Some((other, _)) = given.next() {
        let span = table.item(other).map_or(&table.span, |item| &item.span).clone();
        let message = format!("an entry is one thing, and this one has `{form}` and `{other}`");
        reader.error(Code::Misplaced, span, message).hint = Some("write two entries".to_owned());
        return None;
    }
    let all = FORM_KEYS.iter().flat_map(|(form, details)| details.iter().map(move |detail| (*form, *detail)));
    for (of, detail) in all.filter(|(_, detail)| !details.contains(detail)) {
        if let Some((_, item)) = table.given().find(|(key, _)| *key == detail) {
            let message = format!("`{detail}` has no meaning with `{form}`");
            reader.error(Code::Misplaced, item.span.clone(), message).hint = Some(format!("it goes with `{of}`"));
            return None;
        }
    }
    Some(form)
}

fn parallel(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    group: u32,
    containers: &mut Containers,
) -> Vec<(Entry, Range<usize>)> {
    let mut out = Vec::new();
    // What starts side by side can't lean on each other.
    let mut new = Containers::default();
    for (inner, item) in reader.text_or_table_list(table, "parallel") {
        let entry = match inner {
            Ok(text) => start::read_text(reader, text.trim(), &item).map(Entry::from),
            Err(inner) => {
                let inner = reader.table(inner, item.span.clone(), &spec::ENTRY_IN_PARALLEL);
                let Some(form) = form(reader, &inner) else { continue };
                let before = containers.0.len();
                let entry = one(reader, &inner, form, containers);
                new.0.extend(containers.0.drain(before..));
                entry
            }
        };
        out.extend(entry.map(|entry| (Entry { group: Some(group), ..entry }, item.span.clone())));
    }
    containers.0.append(&mut new.0);
    if out.len() == 1 {
        let message = "one entry alone is not parallel to anything";
        reader.warn(Code::Suspicious, table.span.clone(), message);
    }
    out
}

/// An entry of one form.
fn one(reader: &mut Reader<'_>, table: &Table<'_>, form: &str, containers: &mut Containers) -> Option<Entry> {
    let mark = reader.mark();
    let what = match form {
        "unit" => {
            let text = reader.text(table, "unit")?;
            let item = table.item("unit")?.clone();
            start::read_text(reader, text.trim(), &item)
        }
        "vg" => vg(reader, table),
        "fs" => fs(reader, table),
        "ip" => ip(reader, table),
        "container" => container(reader, table, containers),
        _ => app(reader, table, containers),
    };
    let how = how(reader, table, what.as_ref());
    if reader.has_errors_since(mark) {
        return None;
    }
    Some(Entry { what: what?, how, group: None })
}

fn how(reader: &mut Reader<'_>, table: &Table<'_>, what: Option<&StartEntry>) -> How {
    let default = How::default();
    let disabled = reader.text_list(table, "disabled-on");
    let how = How {
        optional: reader.bool(table, "optional").unwrap_or(default.optional),
        monitor: reader.bool(table, "monitor").unwrap_or(default.monitor),
        restart: reader
            .integer(table, "restart")
            .and_then(|times| u32::try_from(times).ok())
            .unwrap_or(default.restart),
        restart_delay: reader.duration(table, "restart-delay").unwrap_or(default.restart_delay),
        timeout_start: reader.duration(table, "timeout-start"),
        timeout_stop: reader.duration(table, "timeout-stop"),
        monitor_interval: reader.duration(table, "monitor-interval"),
        disabled_on: disabled.into_iter().map(|(node, _)| node.to_owned()).collect(),
    };
    let no_effect = |reader: &mut Reader<'_>, key: &str, why: &str| {
        let Some(item) = table.item(key) else { return };
        reader.warn(Code::Ignored, item.span.clone(), format!("`{key}` has no effect {why}"));
    };
    if how.restart == 0 && how.restart_delay != default.restart_delay {
        no_effect(reader, "restart-delay", "without `restart`");
    }
    if how.optional && !how.monitor {
        no_effect(reader, "monitor", "with `optional`: its failure is none of the resource in any case");
    }
    if !matches!(what, None | Some(StartEntry::Ocf { .. })) {
        no_effect(reader, "monitor-interval", "here: only OCF agents are asked whether their service runs");
    }
    if let Some(StartEntry::Unit(unit)) = what
        && ![".service", ".mount", ".socket", ".swap"].iter().any(|kind| unit.ends_with(kind))
    {
        for key in ["timeout-start", "timeout-stop"] {
            no_effect(reader, key, "on a unit of this kind");
        }
    }
    how
}

fn ocf(agent: &str, instance: String, parameters: Vec<(&str, String)>) -> StartEntry {
    StartEntry::Ocf {
        vendor: "heartbeat".to_owned(),
        agent: agent.to_owned(),
        instance,
        parameters: parameters.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
    }
}

/// A name of LVM, of a container, of a file system's type, of an interface: none may look like an option.
fn name<'a>(reader: &mut Reader<'_>, table: &Table<'a>, key: &'static str) -> Option<&'a str> {
    let text = reader.text(table, key)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+_.-:@".contains(c);
    if text.starts_with(['-', '.']) || !text.chars().all(allowed) || text.len() > 200 {
        let span = table.item(key).map_or(&table.span, |item| &item.span).clone();
        reader.error(Code::BadValue, span, format!("{} is not a name for `{key}`", show(text)));
        return None;
    }
    Some(text)
}

/// A path from the root.
fn path<'a>(reader: &mut Reader<'_>, table: &Table<'a>, key: &'static str) -> Option<&'a str> {
    let text = reader.text(table, key)?;
    let is_bad = |part: &str| part == ".." || part == ".";
    if !text.starts_with('/') || text.split('/').any(is_bad) || text.chars().any(char::is_control) {
        let span = table.item(key).map_or(&table.span, |item| &item.span).clone();
        let message = format!("{} is not an absolute path for `{key}`", show(text));
        reader.error(Code::BadValue, span, message);
        return None;
    }
    Some(text)
}

/// A path as part of an instance: `/srv/data` becomes `srv_data`. A dash would be escaped in the name of the unit.
fn joined(path: &str) -> String {
    let joined = path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_");
    if joined.is_empty() { "root".to_owned() } else { joined }
}

fn vg(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<StartEntry> {
    let vg = name(reader, table, "vg")?;
    let parameters = vec![
        ("vgname", vg.to_owned()),
        ("vg_access_mode", "system_id".to_owned()),
        ("activation_mode", "exclusive".to_owned()),
    ];
    Some(ocf("LVM-activate", format!("vg_{vg}"), parameters))
}

fn fs(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<StartEntry> {
    for key in ["device", "type"] {
        if table.item(key).is_none() {
            reader.missing(table, key);
        }
    }
    let mount = path(reader, table, "fs");
    let (device, kind) = (path(reader, table, "device"), name(reader, table, "type"));
    let (check, options) = (reader.bool(table, "check"), reader.text(table, "options"));
    let mount = mount?;
    let mount = if mount.len() > 1 { mount.trim_end_matches('/') } else { mount };
    let mut parameters =
        vec![("device", device?.to_owned()), ("directory", mount.to_owned()), ("fstype", kind?.to_owned())];
    parameters.extend(options.map(|options| ("options", options.to_owned())));
    parameters.extend(check.map(|check| ("run_fsck", if check { "force" } else { "no" }.to_owned())));
    Some(ocf("Filesystem", format!("fs_{}", joined(mount)), parameters))
}

fn ip(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<StartEntry> {
    let text = reader.text(table, "ip")?;
    let dev = table.item("dev").map(|_| name(reader, table, "dev"));
    let parsed = text.split_once('/').and_then(|(address, bits)| {
        let address: IpAddr = address.trim().parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.trim().parse::<u8>().ok().filter(|bits| (1..=most).contains(bits))?;
        Some((address, bits))
    });
    let Some((address, bits)) = parsed else {
        let span = table.item("ip").map_or(&table.span, |item| &item.span).clone();
        let message = format!("{} is not an address with its prefix length", show(text));
        reader.error(Code::BadValue, span, message).hint = Some("for example \"192.0.2.10/24\"".to_owned());
        return None;
    };
    let mut parameters = vec![("ip", address.to_string()), ("cidr_netmask", bits.to_string())];
    if let Some(dev) = dev {
        parameters.push(("nic", dev?.to_owned()));
    }
    Some(ocf("IPaddr2", format!("ip_{address}"), parameters))
}

fn container(reader: &mut Reader<'_>, table: &Table<'_>, containers: &mut Containers) -> Option<StartEntry> {
    if table.item("engine").is_none() {
        reader.missing(table, "engine");
    }
    let (name, engine) = (name(reader, table, "container"), reader.word(table, "engine", Engine::WORDS));
    let (image, config) = (reader.text(table, "image"), table.item("config").map(|_| path(reader, table, "config")));
    let (name, engine) = (name?, engine?);
    let misplaced = [("image", matches!(engine, Engine::Podman | Engine::Docker)), ("config", engine == Engine::Lxc)];
    for (key, fits) in misplaced {
        if let Some(item) = table.item(key).filter(|_| !fits) {
            let span = item.span.clone();
            let whose = if key == "image" { "podman and docker" } else { "lxc" };
            reader.error(Code::Misplaced, span, format!("`{key}` goes with {whose} only"));
            return None;
        }
    }
    containers.0.push((name.to_owned(), engine));
    let instance = format!("ct_{name}");
    let named = |agent: &str, key: &'static str| ocf(agent, instance.clone(), vec![(key, name.to_owned())]);
    Some(match (engine, image) {
        (Engine::Podman | Engine::Docker, Some(image)) => {
            let agent = if engine == Engine::Podman { "podman" } else { "docker" };
            let parameters = vec![("name", name.to_owned()), ("image", image.to_owned()), ("reuse", "true".to_owned())];
            ocf(agent, instance, parameters)
        }
        (Engine::Podman | Engine::Docker, None) => {
            StartEntry::Command { instance, command: Command::Container { name: name.to_owned(), engine } }
        }
        (Engine::Lxc, _) => {
            let usual = format!("/var/lib/lxc/{name}/config");
            let config = match config {
                Some(config) => config?.to_owned(),
                None => usual,
            };
            ocf("lxc", instance, vec![("container", name.to_owned()), ("config", config)])
        }
        (Engine::Nspawn, _) => StartEntry::Unit(format!("systemd-nspawn@{name}.service")),
        (Engine::Openvz, _) => named("ManageVE", "veid"),
    })
}

fn app(reader: &mut Reader<'_>, table: &Table<'_>, containers: &Containers) -> Option<StartEntry> {
    let script = path(reader, table, "app");
    let within = match table.item("in") {
        None => None,
        Some(item) => {
            let span = item.span.clone();
            let wanted = reader.text(table, "in")?;
            let given = reader.word(table, "engine", Engine::WORDS).map(|engine| (wanted.to_owned(), engine));
            let known = containers.0.iter().find(|(name, _)| name == wanted).cloned();
            let Some(within) = given.or(known) else {
                let message = format!("no entry before this one is the container {}", show(wanted));
                reader.error(Code::BadValue, span, message).hint = Some(
                    "a script in a container starts after it: put { container = ..., engine = ... } before it"
                        .to_owned(),
                );
                return None;
            };
            name(reader, table, "in")?;
            Some(within)
        }
    };
    let script = script?;
    let last = script.rsplit('/').next().unwrap_or(script);
    if last.is_empty() {
        let span = table.item("app").map_or(&table.span, |item| &item.span).clone();
        reader.error(Code::BadValue, span, format!("{} is a folder, not a script", show(script)));
        return None;
    }
    Some(StartEntry::Command {
        instance: format!("app_{last}"),
        command: Command::App { script: script.to_owned(), within },
    })
}
