//! ls, cat, enable, disable, rm, edit, and the same as `reactorctl config`.

use expect_test::expect;

use crate::world::{R0, World};

const PROMETHEUS: &str = "[[prometheus]]\naddress = \"127.0.0.1:9942\"\n";
const BAD: &str = "[[promoter]]\n[promoter.resources.x]\nstart = 7\n";

#[test]
fn ls_shows_what_is_enabled_and_one_bad_snippet_costs_itself() {
    let world = World::new(&[("r0.toml", R0), ("bad.toml", BAD), ("m.toml.disabled", PROMETHEUS)]);
    world.check(
        &["ls"],
        &expect![[r#"
        DIR/d/bad.toml:
        DIR/d/r0.toml:
        - Promoter: r0; start = ["srv-r0.mount", "db.service"]
        --- stderr
        error: DIR/d/bad.toml has errors
        error: `start` must be a list of strings, but this is an integer
         --> DIR/d/bad.toml:3:9
          |
        3 | start = 7
          |         ^ expected a list of strings
          |
          = help: write start = ["...", "..."]
        --- exit 4
    "#]],
    );
    world.check(
        &["ls", "--disabled", "m", "r0.toml"],
        &expect![[r#"
        DIR/d/m.toml.disabled:
        - Prometheus (disabled): 127.0.0.1:9942
        DIR/d/r0.toml:
        - Promoter: r0; start = ["srv-r0.mount", "db.service"]
        --- exit 0
    "#]],
    );
    assert_eq!(world.output(world.old(&["ls", "r0"])), world.output(world.ours(&["config", "ls", "r0"])));
}

#[test]
fn cat_shows_the_text() {
    let world = World::new(&[("r0.toml", R0), ("m.toml.disabled", PROMETHEUS)]);
    world.check(
        &["cat", "r0", "m.toml.disabled", "../main", "nope"],
        &expect![[r#"
        [[promoter]]
        [promoter.resources.r0]
        start = ["srv-r0.mount", "db.service"]
        [[prometheus]]
        address = "127.0.0.1:9942"
        --- stderr
        error: ../main is no name of a snippet: it must lie in DIR/d
        error: there is no snippet nope in DIR/d
        Displaying DIR/d/r0.toml...
        Displaying DIR/d/m.toml.disabled...
        --- exit 2
    "#]],
    );
    world.check(
        &["cat"],
        &expect![[r#"
        [[promoter]]
        [promoter.resources.r0]
        start = ["srv-r0.mount", "db.service"]
        --- stderr
        Displaying DIR/d/r0.toml...
        --- exit 0
    "#]],
    );
}

#[test]
fn a_disabled_snippet_is_let_go_before_its_target_is_stopped() {
    let world = World::with_daemon(&[("r0.toml", R0), ("m.toml", PROMETHEUS)]);
    world.unit("drbd-services@r0.target", "active");
    world.check(
        &["disable", "--now", "r0"],
        &expect![[r#"
        --- stderr
        Disabling 'DIR/d/r0.toml'...
        Stopping 'drbd-services@r0.target'...
        --- exit 0
    "#]],
    );
    assert_eq!(world.snippets(), ["m.toml", "r0.toml.disabled"]);
    assert_eq!(world.log(), "daemon reload\nsystemctl stop drbd-services@r0.target\n");
    world.check(
        &["disable", "r0"],
        &expect![[r#"
        --- stderr
        error: there is no enabled snippet r0 in DIR/d
        --- exit 9
    "#]],
    );
    world.check(
        &["enable"],
        &expect![[r#"
        --- stderr
        Enabling 'DIR/d/r0.toml.disabled'...
        --- exit 0
    "#]],
    );
    assert_eq!(world.snippets(), ["m.toml", "r0.toml"]);
}

#[test]
fn a_reload_that_is_refused_stops_nothing_and_fails() {
    let world = World::with_daemon(&[("r0.toml", R0)]);
    world.unit("drbd-services@r0.target", "active");
    world.write("refuses-reload", "the daemon is about to end");
    world.check(
        &["disable", "--now", "r0"],
        &expect![[r#"
        --- stderr
        Disabling 'DIR/d/r0.toml'...
        error: the daemon has not taken it: the daemon is about to end
        warning: nothing is stopped: the daemon would start it again
        --- exit 6
    "#]],
    );
    assert_eq!(world.log(), "daemon reload\n");
}

#[test]
fn what_somebody_else_broke_is_said_and_what_we_broke_fails() {
    let world = World::with_daemon(&[("r0.toml.disabled", R0), ("x.toml.disabled", BAD)]);
    world.write("d/other.toml", "[[promotor]]\n= 3\n");
    world.check(
        &["enable", "r0"],
        &expect![[r#"
        --- stderr
        Enabling 'DIR/d/r0.toml.disabled'...
        warning: DIR/d/other.toml has errors, which this command has not made: reactorctl status
        --- exit 0
    "#]],
    );
    world.check(
        &["enable", "x"],
        &expect![[r#"
        --- stderr
        Enabling 'DIR/d/x.toml.disabled'...
        error: the daemon has not taken it: DIR/d/x.toml:

        warning: DIR/d/other.toml has errors, which this command has not made: reactorctl status
        --- exit 6
    "#]],
    );
}

#[test]
fn both_files_of_a_name_are_never_mixed_up() {
    let world = World::with_daemon(&[("r0.toml", R0), ("r0.toml.disabled", PROMETHEUS)]);
    world.check(
        &["enable", "r0"],
        &expect![[r#"
            --- stderr
            warning: both r0.toml and r0.toml.disabled exist in DIR/d
            Enabling 'DIR/d/r0.toml.disabled'...
            error: DIR/d/r0.toml is there already: one of the two has to go
            --- exit 10
        "#]],
    );
    assert_eq!((world.read("d/r0.toml").as_str(), world.read("d/r0.toml.disabled").as_str()), (R0, PROMETHEUS));
}

#[test]
fn without_a_daemon_files_change_and_the_exit_code_says_that_nobody_took_it() {
    let world = World::new(&[("r0.toml", R0)]);
    world.check(
        &["disable", "r0"],
        &expect![[r#"
        --- stderr
        Disabling 'DIR/d/r0.toml'...
        warning: drbd-reactor.service does not run: this counts when it starts
        --- exit 3
    "#]],
    );
    // drbd-reactor itself runs, which has no socket of ours.
    world.unit("drbd-reactor.service", "active");
    world.check(
        &["enable", "r0"],
        &expect![[r#"
        --- stderr
        Enabling 'DIR/d/r0.toml.disabled'...
        drbd-reactor.service was told to reload; it does not say when it has
        --- exit 0
    "#]],
    );
    world.unit("drbd-reactor-reload.path", "active");
    world.check(
        &["disable", "r0"],
        &expect![[r#"
        --- stderr
        Disabling 'DIR/d/r0.toml'...
        drbd-reactor-reload.path tells the daemon; it is not known when
        --- exit 0
    "#]],
    );
    assert_eq!(world.log(), "systemctl reload drbd-reactor.service\n");
}

#[test]
fn a_relative_configuration_is_the_same_as_the_daemons() {
    let world = World::with_daemon(&[("r0.toml.disabled", R0)]);
    world.write("main.toml", &world.read("main.toml").replace(&format!("{}/d", world.dir.display()), "d"));
    expect![[r#"
        --- stderr
        Enabling 'DIR/d/r0.toml.disabled'...
        --- exit 0
    "#]]
    .assert_eq(&world.output(world.old_there(&["-c", "main.toml", "enable", "r0"])));
}

#[test]
fn a_path_unit_that_reloads_too_is_named() {
    let world = World::with_daemon(&[("m.toml", PROMETHEUS)]);
    world.unit("drbd-reactor-reload.path", "active");
    world.check(
        &["disable", "m"],
        &expect![[r#"
        --- stderr
        Disabling 'DIR/d/m.toml'...
        drbd-reactor-reload.path tells the daemon, too; this reload has been waited for
        --- exit 0
    "#]],
    );
}

#[test]
fn rm_asks_and_takes_no_answer_for_a_no() {
    let world = World::with_daemon(&[("r0.toml", R0), ("m.toml", PROMETHEUS)]);
    let answer = |answer: &'static str, args: &[&str]| {
        let mut command = world.old(args);
        command.write_stdin(answer);
        world.output(command)
    };
    expect![[r#"
        --- stderr
        Removing 'DIR/d/r0.toml'...
        Remove 'DIR/d/r0.toml'? [N/y] 
        not removed: nobody answered. --force does not ask
        --- exit 13
    "#]]
    .assert_eq(&answer("", &["rm", "r0"]));
    expect![[r#"
        --- stderr
        Removing 'DIR/d/r0.toml'...
        Remove 'DIR/d/r0.toml'? [N/y] not removed
        --- exit 13
    "#]]
    .assert_eq(&answer("\n", &["rm", "r0"]));
    expect![[r#"
        --- stderr
        Removing 'DIR/d/r0.toml'...
        Remove 'DIR/d/r0.toml'? [N/y] Remove 'DIR/d/r0.toml'? [N/y] --- exit 0
    "#]]
    .assert_eq(&answer("what?\nyes\n", &["rm", "r0"]));
    assert_eq!(world.snippets(), ["m.toml"]);
    expect![[r#"
        --- stderr
        Removing 'DIR/d/m.toml'...
        --- exit 0
    "#]]
    .assert_eq(&answer("", &["rm", "-f", "m"]));
    assert!(world.snippets().is_empty());
    world.check(
        &["rm"],
        &expect![[r#"
        --- stderr
        error: the following required arguments were not provided:
          <FILE>...

        Usage: drbd-reactorctl rm <FILE>...

        For more information, try '--help'.
        --- exit 2
    "#]],
    );
}

/// An editor whose first argument is its own, as `EDITOR="code --wait"` has one.
fn edited(world: &World, script: &str, args: &[&str]) -> String {
    world.program("my-editor", &format!("[ \"$1\" = --wait ] || exit 9\nfile=$2\ncp \"$file\" DIR/seen\n{script}"));
    let mut command = world.old(args);
    command.env("EDITOR", "my-editor --wait");
    world.output(command)
}

#[test]
fn edit_makes_a_new_snippet_from_its_template() {
    let world = World::with_daemon(&[]);
    expect![[r#"
        --- stderr
        'DIR/d/m.toml' is written
        --- exit 0
    "#]]
    .assert_eq(&edited(&world, "echo '# mine' >> \"$file\"", &["edit", "-t", "prometheus", "m"]));
    assert_eq!(world.read("d/m.toml"), "[[prometheus]]\naddress = \":9942\"\n# enums = true\n# mine\n");
    assert_eq!(world.log(), "daemon reload\n");
    expect![[r#"
        --- stderr
        nothing was changed: the text is as it was
        --- exit 13
    "#]]
    .assert_eq(&edited(&world, "", &["edit", "m"]));
    expect![[r#"
        --- stderr
        nothing was changed: the text is empty
        --- exit 13
    "#]]
    .assert_eq(&edited(&world, ": > \"$file\"", &["edit", "m"]));
    expect![[r#"
        --- stderr
        drbd-reactorctl: the editor (my-editor --wait): exit status: 1; nothing was changed
        --- exit 1
    "#]]
    .assert_eq(&edited(&world, "exit 1", &["edit", "m"]));
    assert_eq!(std::fs::read_dir(world.path("tmp")).unwrap().count(), 0, "nothing of it is left");
}

#[test]
fn edit_opens_again_until_the_text_is_good() {
    let world = World::with_daemon(&[("r0.toml", R0)]);
    let script = "if grep -q '^#|' \"$file\"; then sed -i s/7/\\\\[\\\\]/ \"$file\"; else sed -i 's/^start.*/start = 7/' \"$file\"; fi";
    expect![[r#"
        --- stderr
        'DIR/d/r0.toml' is written
        --- exit 0
    "#]]
    .assert_eq(&edited(&world, script, &["edit", "r0"]));
    assert_eq!(world.read("d/r0.toml"), "[[promoter]]\n[promoter.resources.r0]\nstart = []\n");
    let seen = world.read("seen");
    assert!(seen.starts_with("#| error: ") && seen.contains("\n#| 3 | start = 7\n"), "{seen}");
}

#[test]
fn who_does_not_mend_it_keeps_the_text_and_nothing_is_written() {
    let world = World::with_daemon(&[("r0.toml", R0)]);
    let said = edited(&world, "sed -i 's/^start.*/start = 7/' \"$file\"", &["edit", "r0"]);
    let said = said.lines().filter(|line| !line.contains("reactorctl-edit")).collect::<Vec<_>>().join("\n");
    expect![[r#"
        --- stderr
        error: DIR/d/r0.toml has errors
        error: `start` must be a list of strings, but this is an integer
         --> DIR/d/r0.toml:3:9
          |
        3 | start = 7
          |         ^ expected a list of strings
          |
          = help: write start = ["...", "..."]
        --- exit 13"#]]
    .assert_eq(&said);
    assert_eq!((world.read("d/r0.toml").as_str(), world.log().as_str()), (R0, ""));
    assert_eq!(std::fs::read_dir(world.path("tmp")).unwrap().count(), 1);
}

#[test]
fn what_somebody_else_wrote_meanwhile_stays_and_so_does_the_text() {
    let world = World::with_daemon(&[("r0.toml", R0)]);
    let script = "echo '# mine' >> \"$file\"; echo '# theirs' >> DIR/d/r0.toml";
    let said = edited(&world, script, &["edit", "r0"]);
    assert!(said.contains("your text is in DIR/tmp/reactorctl-edit-") && said.ends_with("--- exit 10\n"), "{said}");
    assert_eq!(world.read("d/r0.toml"), format!("{R0}# theirs\n"));
    // A link is not written through.
    std::fs::rename(world.path("d/r0.toml"), world.path("outside.toml")).unwrap();
    std::os::unix::fs::symlink(world.path("outside.toml"), world.path("d/r0.toml")).unwrap();
    let said = edited(&world, "echo '# mine' >> \"$file\"", &["edit", "r0"]);
    assert!(said.contains("your text is in ") && said.contains("is not a regular file"), "{said}");
    assert_eq!(world.read("outside.toml"), format!("{R0}# theirs\n"));
}

#[test]
fn a_mount_on_top_needs_force_and_new_never_overwrites() {
    let world = World::with_daemon(&[("r0.toml", R0)]);
    let script = "sed -i 's/^start.*/start = [\"srv-r0.mount\"]/' \"$file\"";
    assert!(edited(&world, script, &["edit", "r0"]).contains("the last entry of `start` of r0 is a mount"));
    expect![[r#"
        --- stderr
        'DIR/d/r0.toml' is written
        --- exit 0
    "#]]
    .assert_eq(&edited(&world, script, &["edit", "--force", "r0"]));
    let refused = world.output(world.ours(&["config", "new", "--type", "umh", "r0"]));
    expect![[r#"
        --- stderr
        reactorctl: DIR/d/r0.toml is there already: edit it, or take another name
        --- exit 10
    "#]]
    .assert_eq(&refused);
    let mut command = world.ours(&["config", "new", "--type", "umh", "u"]);
    command.env("EDITOR", "my-editor --wait");
    world.program("my-editor", "echo '# x' >> \"$2\"");
    expect![[r#"
        --- stderr
        'DIR/d/u.toml' is written
        --- exit 0
    "#]]
    .assert_eq(&world.output(command));
}

#[test]
fn completions_know_the_commands() {
    let world = World::new(&[]);
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = world.output(world.old(&["generate-completion", shell]));
        assert!(script.contains("start-until") && script.ends_with("--- exit 0\n"), "{shell}: {script}");
    }
    // What is installed for bash has it complete what the program says.
    let installed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../dist/drbd-reactorctl.bash-completion");
    std::fs::rename(world.path("drbd-reactorctl"), world.path("bin/drbd-reactorctl")).unwrap();
    let script = "words=$(complete -p drbd-reactorctl); function=${words#*-F }; function=${function%% *}; \
                  COMP_WORDS=(drbd-reactorctl evi); COMP_CWORD=1; $function drbd-reactorctl evi drbd-reactorctl; echo \"${COMPREPLY[*]}\"";
    let output = std::process::Command::new("bash")
        .args(["-c", &format!("source {installed}; {script}")])
        .env("PATH", format!("{}:/usr/bin:/bin", world.path("bin").display()))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, "evict\n", "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::rename(world.path("bin/drbd-reactorctl"), world.path("drbd-reactorctl")).unwrap();
    assert_eq!(
        world.output(world.old(&["generate-completion"])),
        world.output(world.old(&["generate-completion", "bash"]))
    );
}

#[test]
fn our_own_commands_can_be_called_by_the_old_name() {
    let world = World::new(&[("r0.toml", R0)]);
    world.check(
        &["ping"],
        &expect![[r#"
        --- stderr
        drbd-reactorctl: no daemon serves DIR/run/control.sock
          systemctl status storage-reactor says why; -c FILE or --socket PATH if it is not where it usually is
        --- exit 3
    "#]],
    );
    world.check(
        &["check", "--no-system"],
        &expect![[r#"
        2 files checked, nothing wrong
        --- exit 0
    "#]],
    );
    let recording =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/recordings/drbd9/r2-failover-node-killed/n2.events2");
    let changes = world.output(world.old_there(&["replay", recording]));
    assert!(changes.ends_with("0 decisions, beginning at 2026-11-21T03:05:37.171Z\n--- exit 0\n"), "{changes}");
}
