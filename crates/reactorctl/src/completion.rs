//! What a shell asks when a person presses Tab: words, and names of resources and nodes.
//!
//! The shell's script calls this program with `COMPLETE=bash` (or `zsh`, `fish`) in its environment. Names come from the daemon and from the context.
//! They are looked for in a thread for a moment only: a daemon or a disk that hangs gives no names, and never a prompt that hangs. What goes wrong
//! is not said: nobody wants an error in the middle of a line.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::{Arg, Command, CommandFactory as _};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::CompleteEnv;
use reactor_api::status::Status;
use reactor_api::verbs;

use crate::cli::{Cli, Place};
use crate::exit::Failure;
use crate::nodes::ask_all;
use crate::nodes::context::{self, Node, Whose};
use crate::{config, daemon};

/// How long names are looked for.
const WITHIN: Duration = Duration::from_millis(400);

/// Most names that are offered.
const MAX_NAMES: usize = 1000;

/// The variable by which a shell asks.
pub const VARIABLE: &str = "COMPLETE";

/// Answers the shell, if it is one that asks; the answer is whether it was.
pub(crate) fn answer(args: &[OsString]) -> bool {
    // A shell that asks in a form of another version gets nothing.
    let folder = std::env::current_dir().ok();
    CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .bin("reactorctl")
        .try_complete(args.iter().cloned(), folder.as_deref())
        .unwrap_or(true)
}

/// The script that a shell reads; `None` = we have none for it.
pub fn script(shell: &str) -> Option<Vec<u8>> {
    let shells = clap_complete::env::Shells::builtins();
    let mut script = Vec::new();
    shells
        .completer(shell)?
        .write_registration(VARIABLE, "reactorctl", "reactorctl", "reactorctl", &mut script)
        .ok()?;
    Some(script)
}

/// Our commands. Whatever argument is called `resource`, `to` and so on is completed by names, in commands that are yet to come, too.
fn command() -> Command {
    with_names(Cli::command(), false)
}

/// `of_snippets`: its files are those of the snippets folder.
fn with_names(command: Command, of_snippets: bool) -> Command {
    let of_snippets = of_snippets || command.get_name() == "config";
    command.mut_args(|arg| with_name(arg, of_snippets)).mut_subcommands(|command| with_names(command, of_snippets))
}

fn with_name(arg: Arg, of_snippets: bool) -> Arg {
    let names: fn(&Place) -> BTreeSet<String> = match arg.get_id().as_str() {
        "resource" | "resources" => resources,
        "to" | "node" => nodes,
        "device" => devices,
        "file" | "files" if of_snippets => snippets,
        _ => return arg,
    };
    arg.add(ArgValueCompleter::new(move |typed: &OsStr| candidates(names, typed)))
}

fn candidates(names: fn(&Place) -> BTreeSet<String>, typed: &OsStr) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    let (place, node) = place(std::env::args_os());
    // A context may come of a program, which may hang, too.
    let found = in_time(WITHIN, move || names(&on_node(place, node))).unwrap_or_default();
    // A name is a word on a command line, and not more.
    let fit = found
        .into_iter()
        .filter(|name| name.starts_with(typed) && !name.contains(|c: char| c.is_control() || c.is_whitespace()));
    fit.take(MAX_NAMES).map(CompletionCandidate::new).collect()
}

/// What `work` gives, if it does so in time. The thread is left behind: this program ends.
fn in_time<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (tell, told) = mpsc::channel();
    thread::Builder::new().spawn(move || tell.send(work())).ok()?;
    told.recv_timeout(limit).ok()
}

/// The same place, and the daemon of this node of the context.
fn on_node(place: Place, node: Option<String>) -> Place {
    let node = node.and_then(|node| context::nodes(Whose::Ours, &place.context, &[node]).ok()?.pop());
    if node.is_some() { Place { node, ..place } } else { place }
}

/// Where the daemon is, and on which node, as far as the words before say it: they may be half of a command line.
fn place(args: impl Iterator<Item = OsString>) -> (Place, Option<String>) {
    let (mut config, mut socket, mut context): (Option<PathBuf>, Option<PathBuf>, Option<String>) = (None, None, None);
    let (mut old, mut node) = (false, None);
    let words: Vec<OsString> = args.skip_while(|word| word != "--").skip(1).collect();
    for (at, word) in words.iter().enumerate() {
        let word = word.to_string_lossy();
        let (name, value) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(OsString::from(value))),
            _ => (&*word, words.get(at + 1).cloned()),
        };
        match (name, value) {
            ("-c" | "--config", Some(value)) => config = Some(value.into()),
            ("--socket", Some(value)) => socket = Some(value.into()),
            ("--context", Some(value)) => context = value.into_string().ok(),
            ("--node", Some(value)) => node = value.into_string().ok(),
            ("--compat", Some(_)) => old = true,
            _ => {}
        }
    }
    let mode = if old { reactor_core::settings::Mode::DrbdReactor } else { reactor_core::settings::Mode::Native };
    let place = Place::new(mode, config.as_ref(), socket.as_ref());
    let place = match context {
        Some(context) => Place { context, ..place },
        None => place,
    };
    (place, node)
}

fn status(place: &Place) -> Option<Status> {
    let reply = daemon::ask_over(&mut daemon::connect(place, WITHIN).ok()?, &verbs::Status::default()).ok()?;
    reply.status.known().ok()
}

/// Resources that DRBD has, or that a promoter has; those of the configuration and of the context's nodes if no daemon answers.
fn resources(place: &Place) -> BTreeSet<String> {
    if let Some(status) = status(place) {
        return names_of(status).collect();
    }
    let nodes: Vec<Node> = match &place.node {
        Some(_) => Vec::new(),
        None => context::nodes(Whose::Ours, &place.context, &[]).unwrap_or_default(),
    };
    // One that is dead takes its time, and none of the names that the others give.
    let said = ask_all(&nodes, WITHIN / 2, |client| {
        let reply = daemon::ask_over(client, &verbs::Status::default())?;
        reply.status.known().map_err(|source| Failure::Answer { source })
    });
    let settings = config::settings(place).map(|(settings, _)| settings).ok();
    let configured = settings.iter().flat_map(config::promoted);
    said.into_iter().flatten().flat_map(names_of).chain(configured).collect()
}

fn names_of(status: Status) -> impl Iterator<Item = String> {
    let promoted = status.promoted.into_iter().map(|one| one.resource);
    status.resources.into_iter().map(|resource| resource.name).chain(promoted)
}

/// Block devices of this machine: by the name that people use, and by the kernel's.
fn devices(_: &Place) -> BTreeSet<String> {
    let Ok(listing) = reactor_sysfs::Reader::new("/").list() else { return BTreeSet::new() };
    let map = listing.into_map();
    map.devices().flat_map(|device| [device.short_name().to_owned(), device.name.clone()]).collect()
}

/// Nodes of the context, and peers of DRBD.
fn nodes(place: &Place) -> BTreeSet<String> {
    let known = context::nodes(Whose::Ours, &place.context, &[]).unwrap_or_default();
    let mut names: BTreeSet<String> = known.into_iter().map(|node| node.name).collect();
    let status = status(place).unwrap_or_default();
    let peers = status.resources.into_iter().flat_map(|resource| resource.connections);
    names.extend(peers.filter_map(|connection| connection.fields.name));
    names
}

/// Files of the snippets folder, without their endings.
fn snippets(place: &Place) -> BTreeSet<String> {
    let Ok((settings, _)) = config::settings(place) else { return BTreeSet::new() };
    let entries = settings.snippets.and_then(|folder| std::fs::read_dir(folder).ok());
    let names = entries.into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter_map(|name| Some(name.strip_suffix(".disabled").unwrap_or(&name).strip_suffix(".toml")?.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_read_of_half_a_command_line() {
        let of = |words: &[&str]| {
            let args = ["reactorctl", "--", "reactorctl"].iter().chain(words).map(OsString::from);
            let (place, _) = place(args);
            (place.config.display().to_string(), place.socket, place.context)
        };
        let default = of(&["why", ""]);
        assert_eq!(default, ("/etc/storage-reactor.toml".to_owned(), None, "default".to_owned()));
        assert_eq!(of(&["-c", "x.toml", "why", ""]).0, "x.toml");
        assert_eq!(of(&["--config=y.toml", "--context", "lab", "why"]).2, "lab");
        assert_eq!(of(&["--socket"]), default);
        assert_eq!(of(&["--socket=/s", "hold"]).1, Some(PathBuf::from("/s")));
    }

    #[test]
    fn who_is_late_gives_no_names() {
        let (go, waits) = mpsc::channel::<()>();
        assert_eq!(in_time(Duration::from_millis(1), move || waits.recv().is_ok()), None);
        drop(go);
        assert_eq!(in_time(Duration::from_secs(60), || 7), Some(7));
    }

    #[test]
    fn each_shell_that_is_installed_for_has_a_script() {
        for shell in ["bash", "zsh", "fish"] {
            let script = String::from_utf8(script(shell).expect(shell)).unwrap();
            assert!(script.contains("reactorctl") && script.contains(VARIABLE), "{shell}: {script}");
        }
    }
}
