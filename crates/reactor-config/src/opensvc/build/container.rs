//! `[container#1]`, `[vz]`, `[lxc]`, and `mode = vz` of 1.x.

use super::super::class::{Class, class, index};
use super::super::ini::SectionId;
use super::super::model::{Entry, Order, Step, made_of};
use super::super::view::{OF_THE_CONTAINER, View};
use super::super::words;
use super::{Around, Missing, common, finish, of_class};

/// A container of the list.
pub(super) struct Known {
    pub(super) name: String,
    /// Who runs it; `None` if it is left out, so that nothing can run in it.
    pub(super) engine: Option<&'static str>,
    /// It has the short form, which says who runs it.
    pub(super) is_short: bool,
    /// It is the one container of a service of 1.x, in which all applications run.
    pub(super) is_all: bool,
}

/// The kinds that have a short form.
const ENGINES: &[(&[&str], &str)] = &[
    (&["vz", "openvz"], "openvz"),
    (&["lxc"], "lxc"),
    (&["nspawn", "systemd-nspawn"], "nspawn"),
    (&["podman", "oci"], "podman"),
    (&["docker"], "docker"),
];

/// The sections of containers, with the type that their place says.
pub(super) fn sections(view: &mut View<'_>) -> Vec<(SectionId, Option<String>)> {
    let mut sections: Vec<(SectionId, Option<String>)> = Vec::new();
    let default = view.document().find("DEFAULT");
    if let Some(default) = default
        && let Some(value) = view.take(default, "mode", "the engine of the container")
    {
        let mode = value.text.trim().to_lowercase();
        if mode == "hosted" {
            view.taken(value.id, "without a container");
        } else {
            sections.push((default, Some(mode)));
        }
    } else if let Some(default) = default
        && view.unresolved_key(default, "mode").is_some()
    {
        sections.push((default, Some(String::new())));
    }
    let own = of_class(view, |class| matches!(class, Class::Container(_)));
    // `[vz]` beside `mode = vz` says what the container is called.
    let is_described = own.iter().any(|section| index(&view.section(*section).folded).is_none());
    if is_described || own.len() == 1 {
        let mode = sections.pop().and_then(|(_, mode)| mode);
        sections.extend(own.into_iter().map(|section| (section, mode.clone())));
    } else {
        sections.extend(own.into_iter().map(|section| (section, None)));
    }
    sections
}

/// The step of a container, and what applications have to know of it.
pub(super) fn step(view: &mut View<'_>, section: SectionId, mode: Option<String>, around: &Around) -> (Step, Known) {
    let is_default = view.document().find("DEFAULT") == Some(section);
    let of_name = match class(&view.section(section).folded) {
        Class::Container(kind) => kind.map(str::to_owned),
        _ => None,
    };
    let typed = if is_default { None } else { view.take(section, "type", "`engine` of the entry") };
    let kind = typed.as_ref().map(|value| value.text.trim().to_lowercase());
    let is_all = mode.is_some() || (of_name.is_some() && view.is_old());
    let kind = kind.or(of_name).or(mode).unwrap_or_default();
    let common = if is_default { super::Common::default() } else { common(view, section) };
    let name = name(view, section, is_default);
    let engine = ENGINES.iter().find(|(kinds, _)| kinds.contains(&kind.as_str())).map(|(_, engine)| *engine);
    if kind == "oci"
        && let Some(value) = &typed
    {
        view.changed(value.id, "oci is podman or docker, whichever is there: podman is taken");
    }
    let hint = format!("{{ container = {:?}, engine = \"ENGINE\" }}", words::one_line(&name));
    let default = view.document().find("DEFAULT");
    let unknown = default.and_then(|default| OF_THE_CONTAINER.iter().find_map(|key| view.unresolved_key(default, key)));
    let entry = match (unknown, engine) {
        (Some(why), _) => Err(Missing::new(why, hint)),
        (None, None) => Err(Missing::new(no_short_form(&kind), hint)),
        (None, Some(_)) if !words::is_plain_name(&name) => {
            Err(Missing::new("the name of the container is not a plain name", hint))
        }
        (None, Some(engine)) => entry(view, section, &name, engine),
    };
    let is_short = matches!(entry, Ok(Entry::Container { .. }));
    let mut step = finish(view, section, Order::Container, common, entry);
    if is_default {
        step.rid = "container".to_owned();
    }
    let known = Known {
        name,
        engine: engine.filter(|_| step.off.is_none()),
        is_short,
        is_all: is_all && around.containers.is_empty(),
    };
    (step, known)
}

fn no_short_form(kind: &str) -> String {
    let what = if kind.is_empty() { "without a type".to_owned() } else { format!("of type {}", words::one_line(kind)) };
    let is_machine = ["kvm", "xen", "esx", "hvm"].contains(&kind);
    let more = if is_machine { ": ocf:heartbeat:VirtualDomain runs virtual machines" } else { "" };
    format!("there is no short form for a container {what}{more}")
}

/// What the engine calls it. Without a name OpenSVC makes one of the service's and the resource's.
fn name(view: &mut View<'_>, section: SectionId, is_default: bool) -> String {
    let names: &[&str] = if is_default { &["vm_name"] } else { &["vm_name", "name", "container_name"] };
    if let Some(value) = view.take_any(section, names, "{ container = ... }") {
        return value.text;
    }
    // `[container#1]` of a service in mode vz has its name in [DEFAULT] at times.
    let default = view.document().find("DEFAULT");
    if let Some(value) = default.and_then(|default| view.take(default, "vm_name", "{ container = ... }")) {
        return value.text;
    }
    let service = view.who().service.clone();
    match index(&view.section(section).folded) {
        Some(index) => format!("{service}.container.{index}"),
        None => service,
    }
}

fn entry(view: &mut View<'_>, section: SectionId, name: &str, engine: &'static str) -> Result<Entry, Missing> {
    let hint = format!("{{ container = {name:?}, engine = {engine:?} }}");
    if !matches!(engine, "podman" | "docker") {
        let config = if engine == "lxc" {
            view.take_any(section, &["cf", "configfile", "config"], "`config` of the entry").map(|value| value.text)
        } else {
            None
        };
        if config.as_ref().is_some_and(|config| !words::is_path(config)) {
            return Err(Missing::new("its configuration file is not a plain absolute path", hint));
        }
        return Ok(Entry::Container { name: name.to_owned(), engine, image: None, config });
    }
    let image = view.take_any(section, &["image", "run_image"], "`image` of the entry").map(|value| value.text);
    let Some(image) = image else {
        return Err(Missing::new("the file does not say from which image it is made (`image`)", hint));
    };
    if !is_image(&image) {
        return Err(Missing::new("its image is not the name of an image", hint));
    }
    let options = options(view, section);
    let why = "`run_cmd` of the agent";
    let command = view.take_any(section, &["command", "run_command"], why).map(|value| value.text.replace('\n', " "));
    if options.is_empty() && command.is_none() {
        return Ok(Entry::Container { name: name.to_owned(), engine, image: Some(image), config: None });
    }
    // The short form has no words for these.
    let agent = if engine == "docker" { "ocf:heartbeat:docker" } else { "ocf:heartbeat:podman" };
    let mut parameters = made_of(&image, name.to_owned());
    if !options.is_empty() {
        parameters.push(("run_opts", options));
    }
    parameters.extend(command.map(|command| ("run_cmd", command)));
    Ok(Entry::Ocf { agent, instance: format!("ct_{name}"), parameters })
}

/// Options for `run`, of `run_args` and of mounts of plain folders.
fn options(view: &mut View<'_>, section: SectionId) -> String {
    let mut options = Vec::new();
    if let Some(value) = view.take(section, "run_args", "`run_opts` of the agent") {
        options.push(value.text.replace('\n', " "));
    }
    if let Some(value) = view.take(section, "volume_mounts", "`-v` in `run_opts` of the agent") {
        let mut left = Vec::new();
        for mount in words::list(&value.text) {
            let paths: Vec<&str> = mount.split(':').take(2).collect();
            let is_plain = paths.len() == 2 && paths.iter().all(|path| words::is_path(path));
            let is_tidy = mount.chars().all(|c| c.is_ascii_alphanumeric() || "/._-:,".contains(c));
            if is_plain && is_tidy {
                options.push(format!("-v {mount}"));
            } else {
                left.push(words::one_line(&mount));
            }
        }
        if !left.is_empty() {
            view.changed(value.id, format!("without {}: OpenSVC's volumes are not known here", words::and(&left)));
        }
    }
    options.retain(|option| !option.is_empty());
    options.join(" ")
}

/// `registry.example.com:5000/app/web:1.2@sha256:...`
fn is_image(text: &str) -> bool {
    (1..=300).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/:@".contains(c))
}
