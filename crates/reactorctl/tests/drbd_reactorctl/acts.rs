//! restart, evict, start-until: what they do, in which order, and what their exit codes say.

use expect_test::expect;

use crate::world::{HERE, R0, World, nowhere, there};

const R1: &str =
    "[[promoter]]\n[promoter.resources.r1]\nstart = [\"x.service\"]\non-drbd-demote-failure = \"reboot\"\n";

#[test]
fn restart_of_a_snippet_acts_once_and_always_switches_it_on_again() {
    let world = World::with_daemon(&[("r0.toml", R0)]);
    world.check(
        &["restart", "--with-targets", "r0"],
        &expect![[r#"
        --- stderr
        Restarting 'DIR/d/r0.toml'...
        Stopping 'drbd-services@r0.target'...
        --- exit 0
    "#]],
    );
    assert_eq!(world.log(), "daemon reload\nsystemctl stop drbd-services@r0.target\ndaemon reload\n");
    assert_eq!(world.snippets(), ["r0.toml"]);
    world.write("log", "");
    world.write("refuses-reload", "not now");
    world.check(
        &["restart", "--with-targets", "r0"],
        &expect![[r#"
        --- stderr
        Restarting 'DIR/d/r0.toml'...
        error: the daemon has not taken it: not now
        warning: nothing is stopped: the daemon would start it again
        --- exit 6
    "#]],
    );
    assert_eq!((world.log().as_str(), world.snippets()), ("daemon reload\n", vec!["r0.toml".to_owned()]));
}

#[test]
fn restart_of_the_daemon_keeps_it_down_while_targets_stop() {
    let world = World::with_daemon(&[("r0.toml", R0)]);
    world.check(
        &["restart"],
        &expect![[r#"
        --- stderr
        Restarting 'drbd-reactor.service'...
        --- exit 0
    "#]],
    );
    world.check(
        &["restart", "--with-targets"],
        &expect![[r#"
        --- stderr
        Restarting 'drbd-reactor.service'...
        Stopping 'drbd-services@r0.target'...
        --- exit 0
    "#]],
    );
    expect![[r#"
        systemctl restart drbd-reactor.service
        systemctl stop drbd-reactor.service
        systemctl stop drbd-services@r0.target
        systemctl start drbd-reactor.service
    "#]]
    .assert_eq(&world.log());
}

#[test]
fn without_a_daemon_a_snippet_can_not_be_restarted() {
    let world = World::new(&[("r0.toml", R0)]);
    world.check(
        &["restart", "r0"],
        &expect![[r#"
        --- stderr
        Restarting 'DIR/d/r0.toml'...
        warning: drbd-reactor.service does not run: this counts when it starts
        --- exit 3
    "#]],
    );
    assert_eq!(world.snippets(), ["r0.toml"]);
}

#[test]
fn evict_holds_stops_waits_and_releases() {
    let world = World::with_daemon(&[("r0.toml", R0)]);
    world.write("on-stop", &there());
    world.check(
        &["evict"],
        &expect![[r#"
            Node 'n2' took over 'r0'
            --- stderr
            Evicting 'r0'...
            not checked: whether another node is set up to run it, and does not hold it
            Waiting up to 20 s for another node to take over 'r0'...
            --- exit 0
        "#]],
    );
    expect![[r#"
        daemon hold r0 (evict: another node takes it over)
        systemctl stop drbd-services@r0.target
        daemon release r0
    "#]]
    .assert_eq(&world.log());
    world.write("log", "");
    world.check(
        &["evict", "r0"],
        &expect![[r#"
        --- stderr
        'r0' is active on node 'n2': nothing to evict
        --- exit 0
    "#]],
    );
    assert_eq!(world.log(), "", "it is where it should be");
}

#[test]
fn evict_is_refused_with_each_reason_and_nothing_is_done() {
    let world = World::with_daemon(&[("r0.toml", R0)]);
    world
        .write("events2", &HERE.replace("quorum:yes", "quorum:no").replace("peer-disk:UpToDate", "peer-disk:Outdated"));
    world.check(
        &["evict", "r0"],
        &expect![[r#"
        --- stderr
        error: r0, nothing was done: volume 0 has no quorum; volume 0 of n2 is Outdated
        --- exit 10
    "#]],
    );
    assert_eq!(world.log(), "");
    world.write("on-stop", &there());
    world.check(
        &["evict", "--force", "r0"],
        &expect![[r#"
            Node 'n2' took over 'r0'
            --- stderr
            warning: volume 0 has no quorum
            warning: volume 0 of n2 is Outdated
            Evicting 'r0'...
            not checked: whether another node is set up to run it, and does not hold it
            Waiting up to 20 s for another node to take over 'r0'...
            --- exit 0
        "#]],
    );
    world.write("events2", &nowhere());
    world.check(
        &["evict", "r0"],
        &expect![[r#"
        --- stderr
        error: r0, nothing was done: it is not Primary on this node, nor on another one that this node sees
        --- exit 10
    "#]],
    );
}

#[test]
fn evict_fails_if_nobody_takes_over_and_gives_the_resource_back() {
    let world = World::with_daemon(&[("r0.toml", R0)]);
    world.write("on-stop", &nowhere());
    world.check(
        &["evict", "--delay", "1"],
        &expect![[r#"
            --- stderr
            Evicting 'r0'...
            not checked: whether another node is set up to run it, and does not hold it
            Waiting up to 1 s for another node to take over 'r0'...
            warning: no other node took over 'r0' within 1 s
            'r0' is released: this node may start it again
            --- exit 11
        "#]],
    );
    assert!(world.log().ends_with("daemon release r0\n"), "{}", world.log());
    // It does not stop at all.
    world.write("events2", HERE);
    world.write("on-stop", HERE);
    world.check(
        &["evict", "--delay", "1", "--keep-masked"],
        &expect![[r#"
            --- stderr
            Evicting 'r0'...
            not checked: whether another node is set up to run it, and does not hold it
            Waiting up to 1 s for another node to take over 'r0'...
            warning: 'r0' is still Primary on this node: something holds it open (reactorctl why r0)
            'r0' is released: this node may start it again
            --- exit 11
        "#]],
    );
    assert!(world.log().ends_with("daemon release r0\n"), "{}", world.log());
    world.write("refuses-stop", "Job for drbd-services@r0.target canceled.");
    world.check(
        &["evict"],
        &expect![[r#"
            --- stderr
            Evicting 'r0'...
            not checked: whether another node is set up to run it, and does not hold it
            error: systemctl stop drbd-services@r0.target: Job for drbd-services@r0.target canceled.
            'r0' is released: this node may start it again
            --- exit 11
        "#]],
    );
    assert!(world.log().ends_with("daemon release r0\n"), "{}", world.log());
    world.check(
        &["evict", "--delay", "0"],
        &expect![[r#"
        --- stderr
        error: invalid value '0' for '--delay <SECONDS>': 0 is not in 1..=4294967295

        For more information, try '--help'.
        --- exit 2
    "#]],
    );
}

#[test]
fn who_interrupts_leaves_nothing_held_and_nothing_disabled() {
    let world = World::with_daemon(&[("r0.toml", R0)]);
    world.write("on-stop", &nowhere());
    world.write("interrupts", "");
    world.check(
        &["evict"],
        &expect![[r#"
        --- stderr
        Evicting 'r0'...
        not checked: whether another node is set up to run it, and does not hold it
        Waiting up to 20 s for another node to take over 'r0'...
        warning: interrupted while 'r0' was moved
        'r0' is released: this node may start it again
        --- exit 11
    "#]],
    );
    assert!(world.log().ends_with("daemon release r0\n"), "{}", world.log());
    world.write("log", "");
    world.output(world.old(&["restart", "--with-targets", "r0"]));
    assert_eq!(world.snippets(), ["r0.toml"]);
    assert!(world.log().ends_with("daemon reload\n"), "{}", world.log());
}

#[test]
fn a_resource_that_could_not_be_freed_is_said_to_stay_off() {
    let world = World::with_daemon(&[("r0.toml", R0)]);
    world.write("on-stop", &there());
    world.write("refuses-release", "");
    world.check(
        &["evict"],
        &expect![[r#"
        Node 'n2' took over 'r0'
        --- stderr
        Evicting 'r0'...
        not checked: whether another node is set up to run it, and does not hold it
        Waiting up to 20 s for another node to take over 'r0'...
        warning: 'r0' could not be freed: it stays off this node until evict --unmask
        error: daemon answers io.storagereactor.Control.Unavailable {"reason":"daemon is stopping"}
        --- exit 1
    "#]],
    );
}

#[test]
fn keep_masked_keeps_it_off_until_unmask() {
    let world = World::with_daemon(&[("r0.toml", R0)]);
    world.write("on-stop", &there());
    world.check(
        &["evict", "-k", "r0"],
        &expect![[r#"
            Node 'n2' took over 'r0'
            'r0' stays held on this node: evict --unmask ends that
            --- stderr
            Evicting 'r0'...
            not checked: whether another node is set up to run it, and does not hold it
            Waiting up to 20 s for another node to take over 'r0'...
            --- exit 0
        "#]],
    );
    assert!(!world.log().contains("release"), "{}", world.log());
    // drbd-reactor's evict has left a mask, too.
    std::os::unix::fs::symlink("/dev/null", world.path("system/drbd-services@r0.target")).unwrap();
    world.check(
        &["evict", "--unmask"],
        &expect![[r#"
        Unmasked 'drbd-services@r0.target'
        Released 'r0'
        --- exit 0
    "#]],
    );
    assert!(std::fs::symlink_metadata(world.path("system/drbd-services@r0.target")).is_err());
    world.check(
        &["evict", "--unmask"],
        &expect![[r#"
        --- stderr
        'r0' is neither masked nor held
        --- exit 0
    "#]],
    );
}

#[test]
fn a_hold_of_somebody_else_stays() {
    let world = World::with_daemon(&[("r0.toml", R0)]);
    world.write("on-stop", &there());
    let mut hold = world.old(&["hold", "r0", "--why", "new cables"]);
    hold.arg("--socket").arg(world.path("run/control.sock")).output().unwrap();
    world.check(
        &["evict", "r0"],
        &expect![[r#"
            Node 'n2' took over 'r0'
            --- stderr
            Evicting 'r0'...
            not checked: whether another node is set up to run it, and does not hold it
            Waiting up to 20 s for another node to take over 'r0'...
            warning: 'r0' was held before, and stays so
            --- exit 0
        "#]],
    );
    world.check(
        &["evict", "--unmask", "r0"],
        &expect![[r#"
        --- stderr
        warning: r0 stays held: not by an evict, but by root (new cables); reactorctl release r0
        --- exit 0
    "#]],
    );
    assert!(!world.log().contains("release"), "{}", world.log());
}

#[test]
fn without_a_daemon_systemd_keeps_it_off() {
    let world = World::new(&[("r0.toml", R0)]);
    world.program(
        "drbdsetup",
        r#"echo '[{"name":"r0","role":"Primary","devices":[{"volume":0,"quorum":true}],"connections":[{"name":"n2","connection-state":"Connected","peer-role":"Secondary","peer_devices":[{"volume":0,"peer-disk-state":"UpToDate"}]}]}]'"#,
    );
    // The mask is what systemctl makes of it.
    world.script(
        "bin/systemctl", r#"echo "systemctl $*" >> DIR/log
case "$1" in
mask) ln -s /dev/null "DIR/system/$3" ;;
stop) sed -i 's/"role":"Primary"/"role":"Secondary"/; s/"peer-role":"Secondary"/"peer-role":"Primary"/' DIR/bin/drbdsetup ;;
esac"#);
    world.check(
        &["evict"],
        &expect![[r#"
            Node 'n2' took over 'r0'
            --- stderr
            Evicting 'r0'...
            not checked: whether another node is set up to run it, and does not hold it
            Waiting up to 20 s for another node to take over 'r0'...
            --- exit 0
        "#]],
    );
    expect![[r#"
        systemctl mask --runtime drbd-services@r0.target
        systemctl daemon-reload
        systemctl stop drbd-services@r0.target
        systemctl daemon-reload
    "#]]
    .assert_eq(&world.log());
    assert!(std::fs::symlink_metadata(world.path("system/drbd-services@r0.target")).is_err());
}

#[test]
fn what_fails_to_demote_and_reboots_goes_last_and_one_bad_snippet_costs_itself() {
    let world = World::with_daemon(&[
        ("a.toml", R1),
        ("r0.toml", R0),
        ("bad.toml", "[[promoter]]\n[promoter.resources.x]\nstart = 7\n"),
    ]);
    world.write("events2", &format!("{}{HERE}", HERE.replace("name:r0", "name:r1").replace("exists -\n", "")));
    world.write("on-stop", &format!("{}{}", there().replace("name:r0", "name:r1").replace("exists -\n", ""), there()));
    world.check(
        &["evict"],
        &expect![[r#"
        Node 'n2' took over 'r0'
        --- stderr
        error: DIR/d/bad.toml has errors
        error: `start` must be a list of strings, but this is an integer
         --> DIR/d/bad.toml:3:9
          |
        3 | start = 7
          |         ^ expected a list of strings
          |
          = help: write start = ["...", "..."]
        Evicting 'r0'...
        not checked: whether another node is set up to run it, and does not hold it
        Waiting up to 20 s for another node to take over 'r0'...
        'r1' is active on node 'n2': nothing to evict
        --- exit 4
    "#]],
    );
}

#[test]
fn several_resources_or_plugins_in_a_snippet_need_force() {
    let two = format!("{R0}[promoter.resources.r1]\nstart = []\n[[debugger]]\n");
    let world = World::with_daemon(&[("two.toml", &two), ("m.toml", "[[debugger]]\n")]);
    world.check(&["evict"], &expect![[r#"
        --- stderr
        error: DIR/d/two.toml, nothing was done: it has several plugins; it has several resources; --force evicts all of them
        --- exit 10
    "#]]);
    world.check(
        &["evict", "m"],
        &expect![[r#"
        --- stderr
        error: DIR/d/m.toml, nothing was done: it has no promoter
        --- exit 10
    "#]],
    );
    assert_eq!(world.log(), "");
}

#[test]
fn start_until_starts_the_first_and_says_how_to_go_on() {
    let world = World::with_daemon(&[("r0.toml.disabled", R0)]);
    world.check(
        &["start-until", "srv-r0.mount", "r0"],
        &expect![[r#"
        INFO: To resume normal operation, execute:
        - systemctl start drbd-services@r0.target # on this node
        - drbd-reactorctl enable DIR/d/r0.toml.disabled # on all cluster nodes
        --- stderr
        Starting 'drbd-promote@r0.service'...
        Starting 'srv-r0.mount'...
        --- exit 0
    "#]],
    );
    expect![[r#"
        drbdadm adjust r0
        drbdadm --version
        systemctl daemon-reload
        systemctl start drbd-promote@r0.service
        systemctl start srv-r0.mount
    "#]]
    .assert_eq(&world.log());
    let drop_in = world.read("system/srv-r0.mount.d/reactor.conf");
    assert!(drop_in.contains("BindsTo = drbd-promote@r0.service"), "{drop_in}");
    world.check(
        &["start-until", "7", "r0"],
        &expect![[r#"
        --- stderr
        drbd-reactorctl: DIR/d/r0.toml.disabled, nothing was done: `start` has 2 entries, not 7
        --- exit 10
    "#]],
    );
    world.check(
        &["start-until", "1", "nope"],
        &expect![[r#"
        --- stderr
        drbd-reactorctl: there is no disabled snippet nope in DIR/d
        --- exit 9
    "#]],
    );
}

#[test]
fn start_until_does_nothing_beside_the_daemon_and_says_what_is_wrong_with_a_file() {
    let world = World::with_daemon(&[("r0.toml", R0), ("x.toml.disabled", "[[promoter]\n")]);
    // It is off, but the daemon does not know yet.
    std::fs::rename(world.path("d/r0.toml"), world.path("d/r0.toml.disabled")).unwrap();
    world.check(
        &["start-until", "1", "r0"],
        &expect![[r#"
        --- stderr
        drbd-reactorctl: DIR/d/r0.toml.disabled, nothing was done: the daemon still promotes r0: reactorctl reload
        --- exit 10
    "#]],
    );
    world.check(
        &["start-until", "1", "x"],
        &expect![[r#"
        --- stderr
        drbd-reactorctl: DIR/d/x.toml.disabled has errors
        error: unclosed array table, expected `]`
         --> DIR/d/x.toml.disabled:1:12
          |
        1 | [[promoter]
          |            ^
        --- exit 4
    "#]],
    );
    assert_eq!(world.log(), "");
}
