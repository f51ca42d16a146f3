//! docs/drbd-reactorctl.md: the output of drbd-reactor's program beside ours, and what each of them tells systemd and the daemon.
//!
//! What drbd-reactor prints is known by its documentation and its behaviour, and is written down here; ours is what the program prints in this
//! test. `UPDATE_EXPECT=1` writes the page anew; a page that says anything else than the program fails.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::CommandFactory as _;
use reactorctl::compat::OldCli;

use crate::world::{HERE, R0, World, nowhere, there};

const BEGIN: &str =
    "<!-- side by side: written by a test, see crates/reactorctl/tests/drbd_reactorctl/side_by_side.rs -->\n";
const END: &str = "<!-- end -->\n";
const REST: &str =
    "[[prometheus]]\naddress = \"127.0.0.1:9942\"\n[[umh]]\n[[debugger]]\n[[agentx]]\naddress = \"localhost:705\"\n";

/// One call, in one situation.
struct Case {
    args: &'static [&'static str],
    /// The situation, if there are several.
    when: &'static str,
    /// What is different on purpose.
    about: &'static str,
    world: fn() -> World,
    /// What the person types.
    types: &'static str,
    /// What drbd-reactorctl prints, on both outputs.
    prints: &'static str,
    /// What it tells systemd; `None` = not worth showing.
    tells: Option<&'static str>,
    /// Its exit code, where it is known.
    exit: &'static str,
}

const CASE: Case =
    Case { args: &[], when: "", about: "", world: running, types: "", prints: "", tells: None, exit: "0" };

fn running() -> World {
    let world = World::with_daemon(&[("r0.toml", R0)]);
    for unit in ["drbd-services@r0.target", "drbd-promote@r0.service", "srv-r0.mount", "db.service"] {
        world.unit(unit, "active");
    }
    world
}

fn all_plugins() -> World {
    let world = running();
    world.write("d/rest.toml", REST);
    world.old(&["reload", "--socket"]).arg(world.path("run/control.sock")).output().unwrap();
    world.write("log", "");
    world
}

fn without_daemon() -> World {
    World::new(&[("rest.toml", REST)])
}

fn disabled() -> World {
    World::with_daemon(&[("r0.toml.disabled", R0)])
}

fn one_is_bad() -> World {
    World::with_daemon(&[("a.toml", "[[promoter]]\n[promoter.resources.x]\nstart = 7\n"), ("r0.toml", R0)])
}

fn a_peer_takes_over() -> World {
    let world = running();
    world.write("on-stop", &there());
    world
}

fn nobody_takes_over() -> World {
    let world = running();
    world.write("on-stop", &nowhere());
    world
}

fn no_good_peer() -> World {
    let world = running();
    world.write("events2", &HERE.replace("peer-disk:UpToDate", "peer-disk:Inconsistent"));
    world
}

fn two_nodes() -> World {
    let world = running();
    world.write("home/.config/drbd-reactorctl/default.toml", "[nodes.far-2]\n[nodes.far-3]\n");
    // By turns, so that the page does not depend on who is faster: far-3 waits until far-2's ssh is gone.
    world.script("hosts/far-2/drbd-reactorctl", "echo '/etc/drbd-reactor.d/r0.toml:'; echo '- UMH'");
    world.script(
        "hosts/far-3/drbd-reactorctl",
        "until pid=$(cat DIR/ssh-far-2 2>/dev/null) && [ \"$pid\" ]; do :; done; while kill -0 \"$pid\" 2>/dev/null; do :; done\n\
         echo '/etc/drbd-reactor.d/r0.toml:'; echo '- UMH'",
    );
    world
}

fn one_node_is_dead() -> World {
    let world = two_nodes();
    world.write("hosts/far-2/dead", "");
    world
}

fn cases() -> Vec<Case> {
    vec![
        Case {
            args: &["status"],
            about: "Each plugin as a line or a tree.",
            world: all_plugins,
            prints: "\
/etc/drbd-reactor.d/r0.toml:
Promoter: Resource r0 currently active on this node
● drbd-services@r0.target
● ├─ drbd-promote@r0.service
● ├─ srv-r0.mount
● └─ db.service
/etc/drbd-reactor.d/rest.toml:
Prometheus: listening on 127.0.0.1:9942
UMH: started
Debugger: started
AgentX: connecting to main agent at localhost:705",
            ..CASE
        },
        Case {
            args: &["status"],
            when: "no daemon runs",
            about: "What a file asks for is not what runs.",
            world: without_daemon,
            prints: "\
/etc/drbd-reactor.d/rest.toml:
Prometheus: listening on 127.0.0.1:9942
UMH: started
Debugger: started
AgentX: connecting to main agent at localhost:705",
            ..CASE
        },
        Case {
            args: &["status"],
            when: "a disabled promoter, and its resource is Primary here",
            about: "",
            world: disabled,
            prints: "\
/etc/drbd-reactor.d/r0.toml.disabled:
Promoter: Resource r0 (disabled) currently active on this node
WARN: disabled but Primary",
            ..CASE
        },
        Case {
            args: &["status", "--json"],
            about: "The same members; their order has no meaning. The `status` of a plugin is whether the daemon runs it: `active`, `inactive`, `failed`, or \
                    `unknown` if the daemon does not answer.",
            prints: r#"{"agentx":[],"debugger":[],"prometheus":[],"promoter":[{"dependencies":[{"freezer":"running","name":"drbd-promote@r0.service","status":"active"},{"freezer":"running","name":"srv-r0.mount","status":"active"},{"freezer":"running","name":"db.service","status":"active"}],"drbd_resource":"r0","enabled":true,"path":"/etc/drbd-reactor.d/r0.toml","primary_on":"n1","status":"active","target":{"freezer":"running","name":"drbd-services@r0.target","status":"active"}}],"umh":[]}"#,
            ..CASE
        },
        Case {
            args: &["ls"],
            about: "",
            world: all_plugins,
            prints: "\
/etc/drbd-reactor.d/r0.toml:
- Promoter: r0; start = [\"srv-r0.mount\", \"db.service\"]
/etc/drbd-reactor.d/rest.toml:
- Prometheus: 127.0.0.1:9942
- UMH
- Debugger
- AgentX: localhost:705",
            ..CASE
        },
        Case {
            args: &["ls"],
            when: "a snippet has errors",
            about: "It costs itself.",
            world: one_is_bad,
            prints: "(an error about a.toml ends it)",
            exit: "1",
            ..CASE
        },
        Case {
            args: &["cat", "r0"],
            about: "By `bat` or `batcat` on a terminal.",
            prints: "\
[[promoter]]
[promoter.resources.r0]
start = [\"srv-r0.mount\", \"db.service\"]
(standard error)
Displaying /etc/drbd-reactor.d/r0.toml...",
            ..CASE
        },
        Case {
            args: &["disable", "--now", "r0"],
            about: "The target is stopped when the daemon has let go of it, not while it may still start it again.",
            prints: "(standard error)\nDisabling '/etc/drbd-reactor.d/r0.toml'...",
            tells: Some("systemctl reload drbd-reactor.service\nsystemctl stop drbd-services@r0.target"),
            ..CASE
        },
        Case {
            args: &["enable", "r0"],
            about: "",
            world: disabled,
            prints: "(standard error)\nEnabling '/etc/drbd-reactor.d/r0.toml.disabled'...",
            tells: Some("systemctl reload drbd-reactor.service"),
            ..CASE
        },
        Case {
            args: &["rm", "r0"],
            about: "Without an answer it is not removed, and the exit code says so.",
            types: "y\n",
            prints: "(standard error)\nRemoving '/etc/drbd-reactor.d/r0.toml'...\n(a question) [N/y]",
            tells: Some("systemctl reload drbd-reactor.service"),
            ..CASE
        },
        Case {
            args: &["restart", "r0"],
            about: "Once on each node. Two reloads in a row can be one for drbd-reactor, and nothing is restarted; here each is waited for.",
            prints: "(standard error)\nDisabling '/etc/drbd-reactor.d/r0.toml'...\nEnabling '/etc/drbd-reactor.d/r0.toml.disabled'...",
            tells: Some("systemctl reload drbd-reactor.service\nsystemctl reload drbd-reactor.service"),
            ..CASE
        },
        Case { args: &["restart"], about: "", tells: Some("systemctl restart drbd-reactor.service"), ..CASE },
        Case {
            args: &["evict"],
            about: "The daemon's hold is the mask, so that no `daemon-reload` stands in the way.",
            world: a_peer_takes_over,
            prints: "(a countdown)",
            tells: Some(
                "systemctl mask --runtime drbd-services@r0.target\nsystemctl daemon-reload\nsystemctl stop drbd-services@r0.target\n\
                 rm /run/systemd/system/drbd-services@r0.target\nsystemctl daemon-reload\nsystemctl start drbd-services@r0.target",
            ),
            ..CASE
        },
        Case {
            args: &["evict", "--delay", "1"],
            when: "nobody takes over",
            about: "A script has to learn that.",
            world: nobody_takes_over,
            prints: "(a countdown)",
            ..CASE
        },
        Case {
            args: &["evict"],
            when: "no peer has good data",
            about: "Nothing is stopped. `--force` does it all the same.",
            world: no_good_peer,
            prints: "(a countdown, after the stop)",
            ..CASE
        },
        Case {
            args: &["start-until", "srv-r0.mount", "r0"],
            about: "The daemon's files are written, and systemd reads them before the first start.",
            world: disabled,
            prints: "\
INFO: To resume normal operation, execute:
- systemctl start drbd-services@r0.target # on this node
- drbd-reactorctl enable /etc/drbd-reactor.d/r0.toml.disabled # on all cluster nodes",
            tells: Some("systemctl start drbd-promote@r0.service\nsystemctl start srv-r0.mount"),
            ..CASE
        },
        Case {
            args: &["ls"],
            when: "a context of n2 and n3",
            about: "",
            world: two_nodes,
            prints: "\
(the output of the nodes, mixed)
/etc/drbd-reactor.d/r0.toml:
- UMH
/etc/drbd-reactor.d/r0.toml:
- UMH
➞ n2:
➞ n3:",
            ..CASE
        },
        Case {
            args: &["ls"],
            when: "the same context, and n2 is dead",
            about: "",
            world: one_node_is_dead,
            prints: "(refused: every node has to answer first)",
            exit: "1",
            ..CASE
        },
    ]
}

/// What ours prints and tells, and its exit code.
fn ours(case: &Case) -> (String, String, String) {
    let world = (case.world)();
    let mut command = world.old(case.args);
    command.write_stdin(case.types);
    let output =
        world.output(command).replace("DIR/d/", "/etc/drbd-reactor.d/").replace("DIR/run", "/run/storage-reactor");
    let output = output.replace("far-", "n").replace("(no line end)\n", "");
    let (text, exit) = output.rsplit_once("--- exit ").expect("the exit code is last");
    let text: Vec<&str> =
        text.lines().map(|line| if line == "--- stderr" { "(standard error)" } else { line }).collect();
    let log = world.log();
    let log: Vec<&str> = log.lines().filter(|line| !line.starts_with("ssh") && !line.contains("--version")).collect();
    (text.join("\n"), log.join("\n"), exit.trim().to_owned())
}

/// A line as a cell.
fn cell(line: Option<&&str>) -> String {
    match line {
        None | Some(&"") => String::new(),
        // A remark is no output.
        Some(line) if line.starts_with('(') && line.ends_with(')') => line.trim_matches(['(', ')']).to_owned(),
        Some(line) => format!("`{}`", line.trim_end().replace('`', "'").replace('|', "\\|")),
    }
}

fn rows(theirs: &str, ours: &str, page: &mut String) {
    let (theirs, ours): (Vec<&str>, Vec<&str>) = (theirs.lines().collect(), ours.lines().collect());
    for at in 0..theirs.len().max(ours.len()) {
        writeln!(page, "| {} | {} |", cell(theirs.get(at)), cell(ours.get(at))).unwrap();
    }
}

fn page() -> String {
    let mut page = String::new();
    for case in cases() {
        let (text, log, exit) = ours(&case);
        let when = if case.when.is_empty() { String::new() } else { format!(": {}", case.when) };
        writeln!(page, "### drbd-reactorctl {}{when}\n", case.args.join(" ")).unwrap();
        if !case.about.is_empty() {
            writeln!(page, "{}\n", case.about).unwrap();
        }
        page.push_str("| drbd-reactor | here |\n| --- | --- |\n");
        rows(case.prints, &text, &mut page);
        if let Some(tells) = case.tells {
            page.push_str("| **tells** | **tells** |\n");
            rows(tells, &log, &mut page);
        }
        writeln!(page, "| exit code {} | exit code {exit} |\n", case.exit).unwrap();
    }
    page
}

#[test]
fn the_page_shows_what_the_program_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/drbd-reactorctl.md");
    let old = fs::read_to_string(&path).unwrap();
    let (before, rest) = old.split_once(BEGIN).expect("the page has a place for it");
    let (_, after) = rest.split_once(END).expect("the place has an end");
    let new = format!("{before}{BEGIN}{}{END}{after}", page());
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &new).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        new,
        "UPDATE_EXPECT=1 cargo test -p reactorctl --test drbd_reactorctl writes it"
    );
}

#[test]
fn the_page_has_every_command() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/drbd-reactorctl.md");
    let page = fs::read_to_string(path).unwrap();
    for command in OldCli::command().get_subcommands() {
        let row = format!("\n| `{}", command.get_name());
        assert!(page.contains(&row), "there is no row for {}", command.get_name());
    }
}
