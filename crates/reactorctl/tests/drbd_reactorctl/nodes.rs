//! Contexts: other nodes by ssh, for which a program stands in that has a shell take the line apart.

use expect_test::expect;

use crate::world::{R0, World};

/// This host, far-2 and far-3.
fn cluster() -> World {
    let world = World::with_daemon(&[("r0.toml", R0)]);
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    world.write(
        "home/.config/drbd-reactorctl/default.toml",
        &format!("[nodes.here]\nhostname = \"{host}\"\n[nodes.far-2]\n[nodes.third]\nhostname = \"far-3\"\nuser = \"admin\"\n"),
    );
    for node in ["far-2", "far-3"] {
        // As the old program would answer there: with the words that it was called with.
        world.script(&format!("hosts/{node}/drbd-reactorctl"), &format!("for word; do printf '[%s]' \"$word\"; done\necho\n[ ! -f DIR/hosts/{node}/fails ] || {{ echo 'no snippet' >&2; exit 4; }}"));
    }
    world
}

/// The nodes answer in any order; here in that of their names.
fn sorted(output: &str) -> String {
    let (text, rest) = output.split_once("--- ").unwrap();
    let mut parts: Vec<&str> = text.split("➞ ").collect();
    parts.sort_unstable();
    let mut lines: Vec<&str> = rest.lines().collect();
    lines.sort_unstable();
    format!("{}--- {}\n", parts.join("➞ "), lines.join("\n"))
}

fn log(world: &World) -> String {
    let mut lines: Vec<String> =
        world.log().lines().filter(|line| line.starts_with("ssh")).map(str::to_owned).collect();
    lines.sort();
    lines.join("\n")
}

#[test]
fn each_node_answers_under_its_name() {
    let world = cluster();
    expect![[r#"
        ➞ far-2:
        [--local][-c][DIR/main.toml][ls][r0]
        ➞ here:
        DIR/d/r0.toml:
        - Promoter: r0; start = ["srv-r0.mount", "db.service"]
        ➞ third:
        [--local][-c][DIR/main.toml][ls][r0]
        --- exit 0
    "#]]
    .assert_eq(&sorted(&world.output(world.old(&["ls", "r0"]))));
    expect![[r#"
        ssh -o BatchMode=yes -o ConnectTimeout=3 -o ServerAliveInterval=3 -- admin@far-3 drbd-reactorctl --local -c DIR/main.toml ls r0
        ssh -o BatchMode=yes -o ConnectTimeout=3 -o ServerAliveInterval=3 -- root@far-2 drbd-reactorctl --local -c DIR/main.toml ls r0"#]].assert_eq(&log(&world));
}

#[test]
fn a_dead_node_and_one_that_fails_are_lines_and_an_exit_code() {
    let world = cluster();
    world.write("hosts/far-2/dead", "");
    world.write("hosts/far-3/fails", "");
    expect![[r#"
        ➞ here:
        DIR/d/r0.toml:
        - Promoter: r0; start = ["srv-r0.mount", "db.service"]
        ➞ third:
        [--local][-c][DIR/main.toml][ls]
        --- --- exit 12
        error: far-2: not reached: ssh: connect to host far-2 port 22: Connection timed out
        error: third: exit code 4
        stderr
        third: no snippet
    "#]]
    .assert_eq(&sorted(&world.output(world.old(&["ls"]))));
}

#[test]
fn words_arrive_as_they_were_given() {
    let world = cluster();
    expect![[r#"
        ➞ far-2:
        [--local][-c][DIR/main.toml][ls][a b][$(touch x)][it's][*]
        --- exit 0
    "#]]
    .assert_eq(&sorted(&world.output(world.old(&["--nodes", "far-2,far-2", "ls", "a b", "$(touch x)", "it's", "*"]))));
}

#[test]
fn json_is_one_document_with_the_nodes_that_answered() {
    let world = cluster();
    world.script("hosts/far-2/drbd-reactorctl", "echo '{\"promoter\":[]}'");
    world.script("hosts/far-3/drbd-reactorctl", "echo 'Warning: both exist'; echo '{\"umh\":[]}'");
    let command = world.old(&["--context", "three", "status", "--json"]);
    world.write("home/.config/drbd-reactorctl/three.toml", "[nodes.far-2]\n[nodes.far-3]\n[nodes.far-4]\n");
    world.script("hosts/far-4/drbd-reactorctl", "echo 'no such option'; exit 1");
    expect![[r#"
        {"far-2":{"promoter":[]},"far-3":{"umh":[]}}(no line end)
        --- --- exit 12
        error: far-4: its answer is no JSON: expected ident at line 1 column 2
        stderr
    "#]]
    .assert_eq(&sorted(&world.output(command)));
}

#[test]
fn rm_asks_once_and_here() {
    let world = cluster();
    let mut command = world.old(&["rm", "r0"]);
    command.write_stdin("n\n");
    expect![[r#"
        --- stderr
        Remove 'r0' on all nodes of the context? [N/y] not removed
        --- exit 13
    "#]]
    .assert_eq(&world.output(command));
    assert_eq!(log(&world), "");
    let mut command = world.old(&["rm", "r0"]);
    command.write_stdin("y\n");
    expect![[r#"
        ➞ far-2:
        [--local][-c][DIR/main.toml][rm][r0][--force]
        ➞ here:
        ➞ third:
        [--local][-c][DIR/main.toml][rm][r0][--force]
        --- --- exit 0
        Remove 'r0' on all nodes of the context? [N/y] here: Removing 'DIR/d/r0.toml'...
        stderr
    "#]]
    .assert_eq(&sorted(&world.output(command)));
    assert!(world.snippets().is_empty());
}

#[test]
fn some_commands_and_some_contexts_are_this_node_only() {
    let world = cluster();
    for args in [
        &["--local", "ls"][..],
        &["--context", "none", "ls"],
        &["ls", "--context=local"],
        &["generate-completion"],
        &["check", "--no-system"],
    ] {
        world.output(world.old(args));
    }
    let mut command = world.old(&["edit", "r0"]);
    command.env("EDITOR", "true");
    world.output(command);
    assert_eq!(log(&world), "");
}

#[test]
fn a_context_that_can_not_be_used_is_said() {
    let world = cluster();
    world.check(
        &["--context", "prod", "ls"],
        &expect![[r#"
        --- stderr
        drbd-reactorctl: there is no context prod: DIR/home/.config/drbd-reactorctl/prod.toml does not exist
        --- exit 2
    "#]],
    );
    world.check(
        &["--context", "../prod", "ls"],
        &expect![[r#"
        --- stderr
        drbd-reactorctl: a context has a plain name, not ../prod
        --- exit 2
    "#]],
    );
    world.check(
        &["--nodes", "n9", "ls"],
        &expect![[r#"
        --- stderr
        drbd-reactorctl: there is no node n9 in the context; it has far-2, here, third
        --- exit 2
    "#]],
    );
    world.check(
        &["--nodes", "far-2", "--context", "none", "ls"],
        &expect![[r#"
        --- stderr
        drbd-reactorctl: --nodes chooses among the nodes of a context, and there is none: --context NAME
        --- exit 2
    "#]],
    );
    world.script("home/.config/drbd-reactorctl/nodes.sh", "echo '[nodes.far-2]'");
    world.write("home/.config/drbd-reactorctl/script.toml", "nodes-script = \"nodes.sh\"\n");
    world.check(
        &["--context", "script", "ls"],
        &expect![[r#"
        ➞ far-2:
        [--local][-c][DIR/main.toml][ls]
        --- exit 0
    "#]],
    );
    let default = world.path("home/.config/drbd-reactorctl/default.toml");
    std::fs::set_permissions(default, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    world.check(&["ls"], &expect![[r#"
        --- stderr
        drbd-reactorctl: DIR/home/.config/drbd-reactorctl/default.toml can be written by others than its owner (mode 0666): it is not used
        --- exit 4
    "#]]);
}
