//! Entries of `start` and `standby`: a text where that says all, a table otherwise.

use std::fmt::Write as _;

use reactor_core::settings::promoter::{Command, Engine, Entry, How, StartEntry};

use super::{quoted, word_of};
use crate::secret::{MASK, is_secret, mask_text};
use crate::{shell_words, units};

/// All entries, as the value of their key.
pub(super) fn list(entries: &[Entry]) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(entry) = entries.get(at) {
        let Some(group) = entry.group else {
            out.push(one(entry));
            at += 1;
            continue;
        };
        let together = entries[at..].iter().take_while(|entry| entry.group == Some(group)).count();
        let inner: Vec<String> = entries[at..at + together].iter().map(one).collect();
        out.push(format!("{{ parallel = [{}] }}", inner.join(", ")));
        at += together;
    }
    format!("[{}]", out.join(", "))
}

/// One entry as a value of `start`: a text where that says all, else a table. Secrets are masked.
pub fn entry_toml(entry: &Entry) -> String {
    one(entry)
}

fn one(entry: &Entry) -> String {
    let how = how(&entry.how);
    match &entry.what {
        StartEntry::Command { command, .. } => format!("{{ {}{how} }}", self::command(command)),
        what if how.is_empty() => quoted(&text(what)),
        what => format!("{{ unit = {}{how} }}", quoted(&text(what))),
    }
}

fn text(what: &StartEntry) -> String {
    match what {
        StartEntry::Unit(unit) => mask_text(unit),
        StartEntry::Ocf { vendor, agent, instance, parameters } => {
            let mut text = format!("ocf:{vendor}:{agent} {}", shell_words::quote(instance));
            for (name, value) in parameters {
                let value = if is_secret(name) { MASK.to_owned() } else { mask_text(value) };
                let _ = write!(text, " {}", shell_words::quote(&format!("{name}={value}")));
            }
            text
        }
        StartEntry::Command { instance, .. } => instance.clone(),
    }
}

fn command(command: &Command) -> String {
    let engine = |engine: &Engine| word_of(Engine::WORDS, *engine);
    match command {
        Command::Container { name, engine: by } => {
            format!("container = {}, engine = \"{}\"", quoted(name), engine(by))
        }
        Command::App { script, within: None } => format!("app = {}", quoted(script)),
        Command::App { script, within: Some((container, by)) } => {
            format!("app = {}, in = {}, engine = \"{}\"", quoted(script), quoted(container), engine(by))
        }
    }
}

/// What differs from an entry that is only a text, each with a comma before it.
fn how(how: &How) -> String {
    let (default, mut out) = (How::default(), String::new());
    let mut add = |key: &str, value: String| {
        let _ = write!(out, ", {key} = {value}");
    };
    if how.optional {
        add("optional", "true".to_owned());
    }
    if !how.monitor {
        add("monitor", "false".to_owned());
    }
    if how.restart != default.restart {
        add("restart", how.restart.to_string());
    }
    if how.restart_delay != default.restart_delay {
        add("restart-delay", units::format_duration(how.restart_delay));
    }
    let limits = [
        ("timeout-start", how.timeout_start),
        ("timeout-stop", how.timeout_stop),
        ("monitor-interval", how.monitor_interval),
    ];
    for (key, limit) in limits {
        if let Some(limit) = limit {
            add(key, units::format_duration(limit));
        }
    }
    if !how.disabled_on.is_empty() {
        let nodes: Vec<String> = how.disabled_on.iter().map(|node| quoted(node)).collect();
        add("disabled-on", format!("[{}]", nodes.join(", ")));
    }
    out
}
