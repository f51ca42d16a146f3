//! The daemon and its sources die, and its configuration changes: services go on, and what was under way comes to the same end.

use std::collections::BTreeMap;

use lab::cluster::Node;
use libtest_mimic::Failed;

use crate::counter;
use crate::ground::{Done, Ground, LONG, Shared, holds, until_why};
use crate::side;

/// Its start waits for /run/go, its end for /run/gone.
const SLOW: &str = "[Service]
ExecStartPre=/bin/sh -c 'until test -e /run/go; do sleep 0.5; done'
ExecStart=/bin/sleep infinity
ExecStop=/bin/sh -c 'until test -e /run/gone; do sleep 0.5; done'
TimeoutSec=infinity";

/// On one node only: nobody else starts it.
const SLOW_SIDE: &str = "[[promoter]]
[promoter.resources.side1]
start = [\"slow.service\"]";
/// A delay of minutes, because the node is not the preferred one.
const LATER: &str = "preferred-nodes = [\"somebody\"]
sleep-before-promote-factor = 300";

/// What must not change when nothing happens to a service.
async fn untouched(ground: &Ground) -> Result<(BTreeMap<&'static str, u32>, [String; 2]), Failed> {
    let target = ground.both("systemctl show --value -p InvocationID drbd-services@data.target").await?;
    Ok((ground.pids("counter.service").await?, target))
}

/// Kills the daemon as nothing else does, and waits until the next one answers.
async fn kill_daemon(node: &Node) -> Done {
    let line = "pid=$(systemctl show --value -p MainPID storage-reactor) && kill -KILL $pid && \
                while sleep 0.1; do now=$(systemctl show --value -p MainPID storage-reactor); \
                test \"$now\" -gt 0 && test \"$now\" != \"$pid\" && systemctl -q is-active storage-reactor && break; done";
    node.sh(line, LONG).await?;
    Ok(())
}

pub(crate) fn a_killed_daemon_is_not_missed(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        let (active, standby) = ground.active().await?;
        let before = untouched(ground).await?;
        tokio::try_join!(kill_daemon(active), kill_daemon(standby))?;
        until_why(active, "data", r#".state == "running" and .failures == 0"#).await?;
        until_why(standby, "data", r#".state == "standby" and .failures == 0"#).await?;
        holds(untouched(ground).await? == before, "the service was touched")?;
        counter::is_sound(ground).await
    })
}

pub(crate) fn killed_in_any_phase_the_outcome_is_the_same(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        side::ready(ground).await?;
        side::idle(ground).await?;
        let [node, _] = ground.pair.nodes();
        let set_up = format!(
            "rm -f /run/go /run/gone; cat >/etc/systemd/system/slow.service <<'END'\n{SLOW}\nEND\nsystemctl daemon-reload\n\
             cat >/etc/storage-reactor.d/side.toml <<'END'\n{SLOW_SIDE}\n{LATER}\nEND\nsystemctl reload storage-reactor"
        );
        node.sh(&set_up, LONG).await?;
        until_why(node, "side1", r#".state == "waiting""#).await?;
        kill_daemon(node).await?;
        until_why(node, "side1", r#".state == "waiting""#).await?;
        let now = format!(
            "cat >/etc/storage-reactor.d/side.toml <<'END'\n{SLOW_SIDE}\nEND\nsystemctl reload storage-reactor"
        );
        node.sh(&now, LONG).await?;
        node.until("systemctl show -p ActiveState slow | grep -x ActiveState=activating", LONG).await?;
        // The target is ordered before the daemon, so systemd starts that again when the start has ended.
        node.sh("systemctl kill -s KILL storage-reactor && touch /run/go", LONG).await?;
        until_why(node, "side1", r#".state == "running" and .failures == 0"#).await?;
        let pid = ground.pids("slow.service").await?[node.name()];
        node.sh("systemctl stop --no-block drbd-services@side1.target", LONG).await?;
        node.until("systemctl show -p ActiveState slow | grep -x ActiveState=deactivating", LONG).await?;
        node.sh("systemctl kill -s KILL storage-reactor && touch /run/gone", LONG).await?;
        // A stopped target is started again.
        until_why(node, "side1", r#".state == "running" and .failures == 0"#).await?;
        let now = ground.pids("slow.service").await?[node.name()];
        holds(now != pid && now != 0, "it did not stop")?;
        side::idle(ground).await?;
        counter::is_sound(ground).await
    })
}

pub(crate) fn a_killed_events2_is_followed_again(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        side::ready(ground).await?;
        let before = untouched(ground).await?;
        ground.both("pkill -KILL -f 'drbdsetup.* events2'").await?;
        let back = "reactorctl status --json | jq -e '.source | .restarts >= 1 and .state == \"up\"'";
        for node in ground.pair.nodes() {
            node.until(back, LONG).await?;
        }
        // What happens from now on is seen.
        let [node, _] = ground.pair.nodes();
        node.sh("drbdadm disconnect side2", LONG).await?;
        node.until("reactorctl changes --last 20 | grep 'Change side2 connection .*StandAlone'", LONG).await?;
        node.sh("drbdadm connect side2", LONG).await?;
        let (active, standby) = ground.active().await?;
        until_why(active, "data", r#".state == "running""#).await?;
        until_why(standby, "data", r#".state == "standby""#).await?;
        holds(untouched(ground).await? == before, "the service was touched")?;
        counter::is_sound(ground).await
    })
}

pub(crate) fn reloads_under_load_touch_nothing_that_is_unchanged(shared: &mut Shared) -> Done {
    const ROUNDS: u32 = 6;
    const MORE: &str = "[[promoter]]\\n[promoter.resources.side2]\\nstart = [\"side2.service\"]\\n[[umh]]\\n[[umh.device]]\\ncommand = \"true\"\\n";
    shared.on_pair(async |ground| {
        let before = untouched(ground).await?;
        let [node, _] = ground.pair.nodes();
        // A resource and a rule come and go. When a resource goes, its services go on, and are found again when it comes back.
        let rounds = format!(
            "set -e; for i in $(seq {ROUNDS}); do printf '{MORE}' >/etc/storage-reactor.d/more.toml; systemctl reload storage-reactor; \
             if test $i = 1; then until systemctl -q is-active side2; do sleep 0.2; done; systemctl show --value -p MainPID side2; fi; \
             rm /etc/storage-reactor.d/more.toml; systemctl reload storage-reactor; done; \
             printf '{MORE}' >/etc/storage-reactor.d/more.toml; systemctl reload storage-reactor; systemctl show --value -p MainPID side2"
        );
        let pids = node.sh(&rounds, LONG).await?;
        let (first, last) = pids.split_once('\n').ok_or("no process")?;
        holds(first == last && first != "0", format!("side2 was restarted: {pids}"))?;
        // It was adjusted, which is no start.
        let found = r#".state == "running" and all(.history[]; .what | startswith("drbdadm"))"#;
        until_why(node, "side2", found).await?;
        let (active, standby) = ground.active().await?;
        until_why(active, "data", r#".state == "running""#).await?;
        until_why(standby, "data", r#".state == "standby""#).await?;
        holds(untouched(ground).await? == before, "the service was touched")?;
        node.sh("rm /etc/storage-reactor.d/more.toml && systemctl reload storage-reactor && systemctl stop drbd-services@side2.target", LONG).await?;
        counter::is_sound(ground).await
    })
}
