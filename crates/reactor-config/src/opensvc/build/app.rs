//! `[app#1]`: scripts and commands, on the host or in the container; and launchers of 1.x, which no file names.

use super::super::class::{Class, index};
use super::super::ini::SectionId;
use super::super::model::{Entry, Order, Step, Within};
use super::super::unit;
use super::super::view::{Value, View};
use super::super::words;
use super::{Around, Missing, common, finish, of_class};
use crate::shell_words;

/// The step of a section.
pub(super) fn step(view: &mut View<'_>, section: SectionId, around: &Around) -> Step {
    let common = common(view, section);
    let container = if common.is_encapsulated {
        around.containers.first()
    } else {
        around.containers.first().filter(|container| container.is_all)
    };
    let read = read(view, section);
    let sequence = read.sequence;
    let within = match (container, common.is_encapsulated) {
        (Some(container), _) => match container.engine {
            None => Err("the container that it runs in is not in the list"),
            engine => {
                Ok(Some(Within { container: container.name.clone(), engine: engine.filter(|_| !container.is_short) }))
            }
        },
        (None, true) => Err("it runs in a container, and the service has none"),
        (None, false) => Ok(None),
    };
    let entry = entry(view, section, &read, within, !common.standby_on.is_empty());
    let mut step = finish(view, section, Order::App, common, entry);
    step.sequence = sequence;
    step
}

/// What the section says is to be run.
struct Read {
    script: Option<String>,
    start: Option<Value>,
    stop: Option<Value>,
    /// The place of a launcher of 1.x among others.
    sequence: u32,
}

fn read(view: &mut View<'_>, section: SectionId) -> Read {
    let script = view.take(section, "script", "{ app = ... }").map(|script| match script.text.trim() {
        absolute if absolute.starts_with('/') => words::tidy_path(absolute),
        relative => {
            let folder = launchers(view);
            view.changed(
                script.id,
                format!(
                    "taken to be in {folder}, the service's folder of launchers: put the path right if it has moved"
                ),
            );
            format!("{folder}/{}", relative.trim_start_matches("./"))
        }
    });
    let start = view.take(section, "start", "{ app = ... }");
    let stop = view.take(section, "stop", "{ app = ... }");
    let sequence = start.as_ref().and_then(|start| start.text.trim().parse().ok()).unwrap_or(0);
    if let Some(start) = start.as_ref().filter(|_| sequence > 0) {
        view.taken(start.id, "its place among the applications");
    }
    Read { script, start, stop, sequence }
}

/// What one of `start` and `stop` runs.
enum Runs {
    Nothing,
    /// The script with this word.
    Script,
    Command(Vec<String>),
}

impl Runs {
    fn of(value: Option<&Value>) -> Result<Self, String> {
        let Some(value) = value else { return Ok(Self::Nothing) };
        let text = value.text.trim().replace('\n', " ");
        if text.parse::<u32>().is_ok() {
            return Ok(Self::Script);
        }
        match words::boolean(&text) {
            Some(true) => Ok(Self::Script),
            Some(false) => Ok(Self::Nothing),
            None if unit::needs_shell(&text) => Ok(Self::Command(vec!["/bin/sh".to_owned(), "-c".to_owned(), text])),
            None => match shell_words::split(&text) {
                Ok(words) if words.first().is_some_and(|word| words::is_path(word)) => Ok(Self::Command(words)),
                Ok(words) if words.is_empty() => Ok(Self::Nothing),
                Ok(_) => Ok(Self::Command(vec!["/bin/sh".to_owned(), "-c".to_owned(), text])),
                Err(error) => Err(format!("its command can't be split into words: {error}")),
            },
        }
    }
}

fn entry(
    view: &mut View<'_>,
    section: SectionId,
    read: &Read,
    within: Result<Option<Within>, &'static str>,
    is_standby: bool,
) -> Result<Entry, Missing> {
    let hint = format!("{{ app = {:?} }}", words::one_line(read.script.as_deref().unwrap_or("/PATH/OF/SCRIPT")));
    let missing = |why: String| Err(Missing::new(why, hint.clone()));
    let within = match within {
        Ok(within) => within,
        Err(why) => return missing(why.to_owned()),
    };
    if read.script.as_ref().is_some_and(|script| !words::is_file_path(script)) {
        return missing("its script is not the plain path of a file".to_owned());
    }
    let command = |runs: Runs, word: &str| match (runs, &read.script) {
        (Runs::Nothing, _) => Ok(None),
        (Runs::Script, Some(script)) => Ok(Some(vec![script.clone(), word.to_owned()])),
        (Runs::Script, None) => Err(format!("`{word}` means the script, and there is none")),
        (Runs::Command(words), _) => Ok(Some(words)),
    };
    let both = Runs::of(read.start.as_ref()).and_then(|start| command(start, "start"));
    let both = both.and_then(|start| Ok((start, Runs::of(read.stop.as_ref()).and_then(|stop| command(stop, "stop"))?)));
    let (start, stop) = match both {
        Ok((Some(start), stop)) => (start, stop),
        Ok((None, _)) => return missing("nothing starts it: it has no `start`".to_owned()),
        Err(why) => return missing(why),
    };
    let is_script = start.len() == 2 && start[1] == "start" && words::is_file_path(&start[0]);
    let stops = stop.as_ref().is_some_and(|stop| stop.len() == 2 && stop[0] == start[0] && stop[1] == "stop");
    if is_script && (stops || (stop.is_none() && within.is_some())) {
        if stop.is_none() {
            view.note(format!("{}: it had no `stop`; here `{} stop` is run.", view.section(section).name, start[0]));
        }
        // Only a unit of its own can be in both lists.
        if is_standby && within.is_none() {
            return Ok(unit_of(view, section, &start, stop.as_deref()));
        }
        for id in view.all_of(section, "type") {
            view.dropped(id, "a script that is run with `start` and `stop`, and ends");
        }
        return Ok(Entry::App { script: start[0].clone(), within });
    }
    if within.is_some() {
        return missing("commands other than SCRIPT start and SCRIPT stop can't be run in a container by an entry: write such a script".to_owned());
    }
    Ok(unit_of(view, section, &start, stop.as_deref()))
}

/// A unit of its own.
fn unit_of(view: &mut View<'_>, section: SectionId, start: &[String], stop: Option<&[String]>) -> Entry {
    let kind = view.take(section, "type", "`Type=` of its unit");
    let is_simple = kind.is_some_and(|kind| kind.text.trim().eq_ignore_ascii_case("simple"));
    let user = view.take(section, "user", "`User=` of its unit");
    let cwd = view.take(section, "cwd", "`WorkingDirectory=` of its unit");
    let user = match user {
        Some(user) if !words::is_plain_name(&user.text) => {
            view.dropped(user.id, "not a plain name of a user");
            None
        }
        user => user.map(|user| user.text),
    };
    let cwd = match cwd {
        Some(cwd) if !words::is_path(&cwd.text) => {
            view.dropped(cwd.id, "not a plain absolute path");
            None
        }
        cwd => cwd.map(|cwd| cwd.text),
    };
    let rid = view.section(section).name.clone();
    let service = view.who().service.clone();
    let index = index(&view.section(section).folded).unwrap_or_default();
    let harmless = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let index: String = index.chars().map(harmless).take(50).collect();
    let name = format!("{service}-app{}{index}.service", if index.is_empty() { "" } else { "-" });
    for (names, runs) in [("start", true), ("stop", stop.is_some())] {
        for id in view.all_of(section, names) {
            if view.counts(id) {
                let why = if runs { format!("in the unit {name}") } else { "nothing is run at a stop".to_owned() };
                view.changed(id, why);
            }
        }
    }
    let unit =
        unit::Unit { service: &service, rid: &rid, is_simple, start, stop, user: user.as_deref(), cwd: cwd.as_deref() };
    Entry::Unit { name, text: unit.text() }
}

/// The folder of the service's launchers.
fn launchers(view: &View<'_>) -> String {
    let folder = if view.is_old() { "/opt/opensvc/etc" } else { "/etc/opensvc" };
    format!("{folder}/{}.d", view.who().service)
}

/// A service of 1.x without `[app#N]` has its launchers in a folder.
pub(super) fn tell_launchers(view: &mut View<'_>, around: &Around) {
    let has_apps =
        of_class(view, |class| class == Class::App).iter().any(|section| !view.all_of(*section, "start").is_empty());
    if !view.is_old() || has_apps {
        return;
    }
    let folder = launchers(view);
    let within = match around.containers.iter().find(|container| container.is_all) {
        Some(container) => format!(", in = {:?}", container.name),
        None => String::new(),
    };
    view.note(format!(
        "OpenSVC ran the scripts S* of {folder} with `start`, and K* with `stop`, in the order of their names. What is in that folder is not in the file: for each pair add an entry \
         {{ app = \"{folder}/S10name\"{within} }} before the address. C* were checks: what is started is watched by its unit."
    ));
}
