//! The configuration as TOML that reads well, and the unit files beside it.

use std::fmt::Display;

use super::OutFile;
use super::model::{Attributes, Entry, Order, Service, Step, Sync, Within};
use super::words;
use crate::shell_words;

/// The configuration, then the units.
pub(super) fn files(service: &Service) -> Vec<OutFile> {
    let mut files = vec![OutFile { name: format!("{}.toml", service.name), text: configuration(service) }];
    for step in service.start.iter().chain(&service.standby).filter(|step| step.off.is_none()) {
        if let Entry::Unit { name, text } = &step.entry {
            files.push(OutFile { name: name.clone(), text: text.clone() });
        }
    }
    files
}

fn configuration(service: &Service) -> String {
    let seen = if service.node.is_empty() {
        String::new()
    } else {
        format!(", as {} sees it", words::one_line(&service.node))
    };
    let mut text = format!(
        "# The service {}, imported from OpenSVC{seen}. The same file goes to every node that may run it.\n# A line in front of an entry says what it was called there. Entries that need a hand are comments.\n\n[[promoter]]\n\n[promoter.resources.{}]\n",
        service.name,
        key(&service.resource)
    );
    list(&mut text, "start", &service.start, service);
    if !service.standby.is_empty() {
        text.push_str("# Where the resource is Secondary:\n");
        list(&mut text, "standby", &service.standby, service);
    }
    if !service.preferred_nodes.is_empty() {
        text.push_str(&format!("preferred-nodes = {}\n", texts(&service.preferred_nodes)));
        text.push_str("preferred-nodes-policy = \"start-only\"\n");
    }
    if let Some(nodes) = &service.always_on {
        text.push_str(&format!("always-on = {}\n", texts(nodes)));
    }
    if let Some(word) = service.on_service_failure {
        text.push_str(&format!("on-service-failure = {}\n", quoted(word)));
    }
    if let Some(sync) = &service.sync {
        text.push_str(&format!("sync = {}\n", sync_table(sync)));
    }
    text
}

/// `start = [ ... ]`: an entry on each line, the members of a parallel group below it.
fn list(text: &mut String, name: &str, steps: &[Step], service: &Service) {
    text.push_str(&format!("{name} = [\n"));
    let mut rest = steps;
    while let Some(first) = rest.first() {
        let is_of_group = |step: &&Step| (step.order, &step.subset) == (first.order, &first.subset);
        let members = rest.iter().take_while(is_of_group).count();
        let (group, after) = rest.split_at(members);
        if is_parallel(group, service) {
            parallel(text, group);
        } else {
            group.iter().for_each(|step| entry(text, step, "  ", ","));
        }
        rest = after;
    }
    text.push_str("]\n");
}

/// Whether the members of a subset may start at the same time. Mounts below each other may not.
fn is_parallel(group: &[Step], service: &Service) -> bool {
    let Some(Step { order, subset: Some(subset), .. }) = group.first() else { return false };
    let asked = service.parallel.get(&(*order, subset.to_lowercase())) == Some(&true);
    let running: Vec<&Step> = group.iter().filter(|step| step.off.is_none()).collect();
    let nested = running.iter().enumerate().any(|(at, step)| {
        let below = |other: &&Step| match (step.entry.directory(), other.entry.directory()) {
            (Some(outer), Some(inner)) => words::is_below(inner, outer) || words::is_below(outer, inner),
            _ => false,
        };
        running[at + 1..].iter().any(below)
    });
    // A container and what runs in it are of different classes, so they are never in one group.
    asked && running.len() > 1 && !nested && *order != Order::Disk
}

/// On one line, as TOML wants it for what is in a table: remarks stand before it.
fn parallel(text: &mut String, group: &[Step]) {
    let (running, off): (Vec<&Step>, Vec<&Step>) = group.iter().partition(|step| step.off.is_none());
    off.into_iter().for_each(|step| entry(text, step, "  ", ","));
    let rids: Vec<String> = running.iter().map(|step| words::one_line(&step.rid)).collect();
    text.push_str(&format!("  # {}: at the same time\n", rids.join(", ")));
    text.push_str("  { parallel = [\n");
    for step in running {
        text.push_str(&format!("    {},\n", value(step)));
    }
    text.push_str("  ] },\n");
}

fn entry(text: &mut String, step: &Step, indent: &str, after: &str) {
    let rid = words::one_line(&step.rid);
    match &step.off {
        None => text.push_str(&format!("{indent}# {rid}\n{indent}{}{after}\n", value(step))),
        Some(why) => text.push_str(&format!(
            "{indent}# {rid} is left out: {}\n{indent}# {}{after}\n",
            words::one_line(why),
            words::one_line(&value(step))
        )),
    }
}

/// An entry: a text if that says it all, else a table.
fn value(step: &Step) -> String {
    let Step { entry, attributes, .. } = step;
    let mut fields: Vec<(&str, String)> = Vec::new();
    match entry {
        Entry::Hint(hint) => return hint.clone(),
        Entry::Vg { vg } => fields.push(("vg", quoted(vg))),
        Entry::Fs { directory, device, kind, options, check } => {
            fields.extend([("fs", quoted(directory)), ("device", quoted(device)), ("type", quoted(kind))]);
            if *check {
                fields.push(("check", "true".to_owned()));
            }
            fields.extend(options.as_ref().map(|options| ("options", quoted(options))));
        }
        Entry::Ip { address, dev } => {
            fields.push(("ip", quoted(address)));
            fields.extend(dev.as_ref().map(|dev| ("dev", quoted(dev))));
        }
        Entry::Container { name, engine, image, config } => {
            fields.extend([("container", quoted(name)), ("engine", quoted(engine))]);
            fields.extend(image.as_ref().map(|image| ("image", quoted(image))));
            fields.extend(config.as_ref().map(|config| ("config", quoted(config))));
        }
        Entry::App { script, within } => {
            fields.push(("app", quoted(script)));
            if let Some(Within { container, engine }) = within {
                fields.push(("in", quoted(container)));
                fields.extend(engine.map(|engine| ("engine", quoted(engine))));
            }
        }
        Entry::Unit { name, .. } => fields.push(("unit", quoted(name))),
        Entry::Ocf { agent, instance, parameters } => {
            let words = parameters.iter().map(|(name, value)| shell_words::quote(&format!("{name}={value}")));
            let words: Vec<String> =
                [(*agent).to_owned(), shell_words::quote(instance)].into_iter().chain(words).collect();
            fields.push(("unit", quoted(words.join(" "))));
        }
    }
    add(&mut fields, attributes);
    match &fields[..] {
        [("unit", only)] => only.clone(),
        fields => {
            let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            format!("{{ {} }}", fields.join(", "))
        }
    }
}

fn add(fields: &mut Vec<(&str, String)>, attributes: &Attributes) {
    let time = |time: std::time::Duration| quoted(words::show_duration(time));
    if attributes.optional {
        fields.push(("optional", "true".to_owned()));
    }
    if attributes.is_not_watched {
        fields.push(("monitor", "false".to_owned()));
    }
    fields.extend(attributes.restart.map(|restart| ("restart", restart.to_string())));
    fields.extend(attributes.restart_delay.map(|delay| ("restart-delay", time(delay))));
    fields.extend(attributes.timeout_start.map(|timeout| ("timeout-start", time(timeout))));
    fields.extend(attributes.timeout_stop.map(|timeout| ("timeout-stop", time(timeout))));
    if !attributes.disabled_on.is_empty() {
        fields.push(("disabled-on", texts(&attributes.disabled_on)));
    }
}

fn sync_table(sync: &Sync) -> String {
    let mut fields: Vec<String> = Vec::new();
    for (name, values) in [("nodes", &sync.nodes), ("drpnodes", &sync.drpnodes), ("files", &sync.files)] {
        if !values.is_empty() {
            fields.push(format!("{name} = {}", texts(values)));
        }
    }
    if let Some(every) = sync.every {
        fields.push(format!("every = {}", quoted(words::show_duration(every))));
    }
    format!("{{ {} }}", fields.join(", "))
}

fn texts(values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(quoted).collect();
    format!("[{}]", values.join(", "))
}

/// A TOML text on one line, whatever is in it.
fn quoted(text: impl Display) -> String {
    let mut quoted = String::from('"');
    for c in text.to_string().chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\t' => quoted.push_str("\\t"),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A key: bare if it can be.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { quoted(name) }
}
