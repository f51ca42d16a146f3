//! The status, in both forms.

use expect_test::expect;

use crate::world::{R0, World, nowhere, there};

const ALL: &str = "\
[[prometheus]]
address = \"127.0.0.1:1\"
[[umh]]
[[debugger]]
[[agentx]]
address = \"127.0.0.1:2\"
";

fn running(snippets: &[(&str, &str)]) -> World {
    let world = World::with_daemon(snippets);
    for unit in ["drbd-services@r0.target", "drbd-promote@r0.service", "srv-r0.mount"] {
        world.unit(unit, "active");
    }
    world.unit("db.service", "failed");
    world
}

#[test]
fn each_plugin_is_told_as_it_is() {
    let world = running(&[("r0.toml", R0), ("rest.toml", ALL)]);
    world.check(
        &[],
        &expect![[r#"
            DIR/d/r0.toml:
            Promoter: Resource r0 currently active on this node
            ● drbd-services@r0.target
            ● ├─ drbd-promote@r0.service
            ● ├─ srv-r0.mount
            × └─ db.service
            DIR/d/rest.toml:
            Prometheus: listening on 127.0.0.1:1
            UMH: started
            Debugger: started
            AgentX: not connecting to main agent at 127.0.0.1:2: cannot connect
            --- exit 0
        "#]],
    );
    world.check(
        &["status", "--verbose", "rest"],
        &expect![[r#"
            DIR/d/rest.toml:
            Prometheus: listening on 127.0.0.1:1
            TCP Connect (127.0.0.1:1): failed (Connection refused (os error 111))
            UMH: started
            Debugger: started
            AgentX: not connecting to main agent at 127.0.0.1:2: cannot connect
            TCP Connect (127.0.0.1:2): failed (Connection refused (os error 111))
            --- exit 0
        "#]],
    );
    world.check(&["status", "--json"], &expect![[r#"
        {"agentx":[{"address":"127.0.0.1:2","enabled":true,"path":"DIR/d/rest.toml","status":"failed"}],"debugger":[{"enabled":true,"path":"DIR/d/rest.toml","status":"active"}],"prometheus":[{"address":"127.0.0.1:1","enabled":true,"path":"DIR/d/rest.toml","status":"active"}],"promoter":[{"dependencies":[{"freezer":"running","name":"drbd-promote@r0.service","status":"active"},{"freezer":"running","name":"srv-r0.mount","status":"active"},{"freezer":"running","name":"db.service","status":"failed"}],"drbd_resource":"r0","enabled":true,"path":"DIR/d/r0.toml","primary_on":"n1","status":"active","target":{"freezer":"running","name":"drbd-services@r0.target","status":"active"}}],"umh":[{"enabled":true,"path":"DIR/d/rest.toml","status":"active"}]}(no line end)
        --- exit 0
    "#]]);
    world.check(
        &["status", "-r", "r0", "--", "r0.toml"],
        &expect![[r#"
        DIR/d/r0.toml:
        Promoter: Resource r0 currently active on this node
        ● drbd-services@r0.target
        ● ├─ drbd-promote@r0.service
        ● ├─ srv-r0.mount
        × └─ db.service
        --- exit 0
    "#]],
    );
    world.check(
        &["status", "-r", "r9"],
        &expect![[r#"
            DIR/d/rest.toml:
            Prometheus: listening on 127.0.0.1:1
            UMH: started
            Debugger: started
            AgentX: not connecting to main agent at 127.0.0.1:2: cannot connect
            --- stderr
            error: no promoter has the resource r9
              reactorctl status shows those that are promoted
            --- exit 8
        "#]],
    );
}

#[test]
fn where_it_is_primary() {
    let world = running(&[("r0.toml", R0)]);
    world.write("events2", &there());
    let first = |world: &World| world.output(world.old(&["status"])).lines().nth(1).unwrap_or_default().to_owned();
    assert_eq!(first(&world), "Promoter: Resource r0 currently active on node 'n2'");
    world.write("events2", &nowhere());
    assert_eq!(first(&world), "Promoter: Resource r0 currently active on <unknown>");
}

#[test]
fn what_is_disabled_and_primary_is_warned_of() {
    let world = running(&[("r0.toml.disabled", R0), ("rest.toml.disabled", ALL)]);
    world.check(
        &["status"],
        &expect![[r#"
        DIR/d/r0.toml.disabled:
        Promoter: Resource r0 (disabled) currently active on this node
        WARN: disabled but Primary
        DIR/d/rest.toml.disabled:
        Prometheus (disabled): not listening on 127.0.0.1:1: it is disabled
        UMH (disabled): not started: it is disabled
        Debugger (disabled): not started: it is disabled
        AgentX (disabled): not connecting to main agent at 127.0.0.1:2: it is disabled
        --- exit 0
    "#]],
    );
}

#[test]
fn a_bad_snippet_and_one_that_is_not_read_yet_cost_nobody_else() {
    let world = running(&[("r0.toml", R0)]);
    world.write("d/a.toml", "[[promoter]]\n[promoter.resources.x]\nstart = 7\n");
    world.write("d/m.toml", "[[debugger]]\n");
    world.check(
        &["status"],
        &expect![[r#"
        DIR/d/a.toml:
        WARN: not what runs: the file is new since the last reload
        DIR/d/m.toml:
        WARN: not what runs: the file is new since the last reload
        Debugger: not started: the daemon has not read it: reload
        DIR/d/r0.toml:
        Promoter: Resource r0 currently active on this node
        ● drbd-services@r0.target
        ● ├─ drbd-promote@r0.service
        ● ├─ srv-r0.mount
        × └─ db.service
        --- stderr
        error: DIR/d/a.toml has errors
        error: `start` must be a list of strings, but this is an integer
         --> DIR/d/a.toml:3:9
          |
        3 | start = 7
          |         ^ expected a list of strings
          |
          = help: write start = ["...", "..."]
        --- exit 4
    "#]],
    );
}

#[test]
fn without_a_daemon_files_drbd_and_systemd_tell() {
    let world = World::new(&[("r0.toml", R0), ("rest.toml", ALL)]);
    world.unit("drbd-services@r0.target", "active");
    world.program(
        "drbdsetup",
        r#"echo '[{"name":"r0","role":"Secondary","devices":[],"connections":[{"name":"n3","connection-state":"Connected","peer-role":"Primary","peer_devices":[]}]}]'"#,
    );
    world.check(
        &["status"],
        &expect![[r#"
            DIR/d/r0.toml:
            Promoter: Resource r0 currently active on node 'n3'
            WARN: it is not promoted here: no daemon runs
            ● drbd-services@r0.target
            ○ ├─ drbd-promote@r0.service
            ○ ├─ srv-r0.mount
            ○ └─ db.service
            DIR/d/rest.toml:
            Prometheus: not listening on 127.0.0.1:1: no daemon runs
            UMH: not started: no daemon runs
            Debugger: not started: no daemon runs
            AgentX: not connecting to main agent at 127.0.0.1:2: no daemon runs
            --- stderr
            error: no daemon serves DIR/run/control.sock
              systemctl status storage-reactor says why; -c FILE or --socket PATH if it is not where it usually is
            --- exit 3
        "#]],
    );
    world.check(&["status", "--json", "r0"], &expect![[r#"
        {"agentx":[],"debugger":[],"prometheus":[],"promoter":[{"dependencies":[{"freezer":"running","name":"drbd-promote@r0.service","status":"inactive"},{"freezer":"running","name":"srv-r0.mount","status":"inactive"},{"freezer":"running","name":"db.service","status":"inactive"}],"drbd_resource":"r0","enabled":true,"path":"DIR/d/r0.toml","primary_on":"n3","status":"inactive","target":{"freezer":"running","name":"drbd-services@r0.target","status":"active"}}],"umh":[]}(no line end)
        --- stderr
        error: no daemon serves DIR/run/control.sock
          systemctl status storage-reactor says why; -c FILE or --socket PATH if it is not where it usually is
        --- exit 3
    "#]]);
}

#[test]
fn what_another_daemon_runs_is_not_known() {
    let world = World::new(&[("r0.toml", R0), ("rest.toml", ALL)]);
    world.unit("drbd-reactor.service", "active");
    world.check(
        &["status"],
        &expect![[r#"
        DIR/d/r0.toml:
        Promoter: Resource r0 currently active on <unknown>
        WARN: whether it is promoted here is not known: drbd-reactor.service runs, but can't be asked
        ○ drbd-services@r0.target
        ○ ├─ drbd-promote@r0.service
        ○ ├─ srv-r0.mount
        ○ └─ db.service
        DIR/d/rest.toml:
        Prometheus: unknown whether listening on 127.0.0.1:1: drbd-reactor.service runs, but can't be asked
        UMH: unknown whether started: drbd-reactor.service runs, but can't be asked
        Debugger: unknown whether started: drbd-reactor.service runs, but can't be asked
        AgentX: unknown whether connecting to main agent at 127.0.0.1:2: drbd-reactor.service runs, but can't be asked
        --- stderr
        error: no daemon serves DIR/run/control.sock
          systemctl status storage-reactor says why; -c FILE or --socket PATH if it is not where it usually is
        --- exit 3
    "#]],
    );
    assert!(world.output(world.old(&["status", "--json", "rest"])).contains(r#""status":"unknown""#));
}
