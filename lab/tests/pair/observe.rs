//! What a person and a monitoring system see, and the files that make a reload happen by itself.

use std::process::Command;

use lab::cluster::Node;

use crate::ground::{Done, Ground, LONG, Shared, holds, until_why};
use crate::side;

pub(crate) fn metrics_tell_who_is_primary(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        ground.snippet("metrics", "[[prometheus]]\naddress = \"127.0.0.1:9942\"").await?;
        let (active, standby) = ground.active().await?;
        for (node, role, other) in [(active, "Primary", "Secondary"), (standby, "Secondary", "Primary")] {
            let text = node.until("curl -sSf http://127.0.0.1:9942/metrics", LONG).await? + "\n";
            let has = |role: &str| {
                let sample = format!("drbd_resource_role_info{{name=\"data\",role=\"{role}\"}} 1");
                text.lines().any(|line| line == sample)
            };
            holds(has(role) && !has(other), format!("{}: {text}", node.name()))?;
            promtool(&text)?;
        }
        ground.no_snippet("metrics").await
    })
}

/// Prometheus' own opinion, where its tool is installed.
fn promtool(text: &str) -> Done {
    use std::io::Write;
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let Ok(mut child) = command.spawn() else { return Ok(()) };
    child.stdin.take().ok_or("no pipe")?.write_all(text.as_bytes())?;
    let output = child.wait_with_output()?;
    // 3: only remarks on style, which are the names of drbd-reactor.
    holds(matches!(output.status.code(), Some(0 | 3)), format!("promtool: {output:?}"))
}

/// Both sides have written, which only a person can decide: everything says so, a daemon too that has just started, until it is decided. DRBD 8.4
/// removes the connection meanwhile.
pub(crate) fn a_split_brain_is_known_until_it_is_over(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        side::ready(ground).await?;
        edit_side3(ground, "s/fencing resource-only/fencing dont-care/").await?;
        // One after the other: two that let go of each other at once refuse it, and who lets go of a Primary is Outdated from then on.
        let [first, second] = ground.pair.nodes();
        for node in [first, second] {
            node.sh("drbdadm disconnect side3", LONG).await?;
        }
        let apart = "drbdadm primary side3 && \
            dd if=/dev/urandom of=/dev/drbd3 bs=4k count=1 oflag=direct status=none && drbdadm secondary side3";
        ground.both(apart).await?;
        ground.both("drbdadm connect side3").await?;
        both_split(first, second).await?;
        // The kernel's log is there longer than the daemon.
        first.sh("systemctl restart storage-reactor", LONG).await?;
        until_split(first, r#". == ["kernel"]"#).await?;
        first.sh("reactorctl status side3 | grep -F 'split brain with'", LONG).await?;
        // Once, and not with a hint to itself.
        let doctor = first.sh("reactorctl doctor side3 || true", LONG).await?;
        let says_how = doctor.contains("drbdadm connect --discard-my-data side3");
        holds(doctor.matches("split brain").count() == 1 && says_how, doctor)?;
        second.sh("drbdadm connect --discard-my-data side3", LONG).await?;
        first.sh("drbdadm connect side3", LONG).await?;
        for node in [first, second] {
            until_split(node, ". == []").await?;
            node.until("reactorctl history side3 | grep -F 'is over: the two are connected'", LONG).await?;
        }
        edit_side3(ground, "s/fencing dont-care/fencing resource-only/").await?;
        side::idle(ground).await
    })
}

/// Both nodes say so. Which of the two says it first is DRBD's matter. The one that finds it first closes the connection; if the other hears of that
/// before it has compared the data itself, it has found nothing, and waits for a connection: the first has to ask for one again.
async fn both_split(first: &Node, second: &Node) -> Done {
    const SAID: &str = r#". == ["handler"] or . == ["kernel"]"#;
    const LOOKS: usize = 100;
    for _ in 0..LOOKS {
        tokio::select! {
            said = until_split(first, SAID) => said?,
            said = until_split(second, SAID) => said?,
        }
        let look = format!(
            "if {} >/dev/null; then echo found; else test \"$(drbdadm cstate side3)\" = WFConnection && echo waits || \
             {{ dmesg | grep -a -e drbd3 -e side3 | tail -20; false; }}; fi",
            split(SAID)
        );
        let [here, there] = [first.until(&look, LONG).await?, second.until(&look, LONG).await?];
        let finder = match (here.as_str(), there.as_str()) {
            ("found", "found") => return Ok(()),
            ("found", _) => first,
            _ => second,
        };
        // As long as that takes the other waits, too.
        finder.sh("test \"$(drbdadm cstate side3)\" != StandAlone || drbdadm connect side3", LONG).await?;
    }
    let log = "dmesg | grep -a -e drbd3 -e side3 | tail -20";
    let [here, there] = [first.sh(log, LONG).await?, second.sh(log, LONG).await?];
    Err(format!("one of them has not found it in {LOOKS} looks\n{here}\n{there}").into())
}

/// `condition`: of the list of those who say on this node that side3 is in split brain.
async fn until_split(node: &Node, condition: &str) -> Done {
    node.until(&split(condition), LONG).await?;
    Ok(())
}

/// The same, as a shell's command.
fn split(condition: &str) -> String {
    let split = r#"[.resources[] | select(.name == "side3") | ."split-brains"[]?.evidence]"#;
    format!("reactorctl status --json | jq -ce '{split} | {condition}'")
}

pub(crate) fn without_fencing_nothing_is_started(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        side::ready(ground).await?;
        edit_side3(ground, "/disk {/s/fencing resource-only/fencing dont-care/").await?;
        ground.snippet("side", "[[promoter]]\n[promoter.resources.side3]\nstart = [\"side3.service\"]").await?;
        unmanaged(ground, "DRBD 8.4 has no quorum, so its disk section needs fencing").await?;
        // The options are read again when a connection comes or goes, which would make one of them fence the other, or at a start.
        let again = "systemctl restart storage-reactor";
        edit_side3(ground, "s/fencing dont-care/fencing resource-only/; s/fence-peer /pri-lost /").await?;
        ground.both(again).await?;
        unmanaged(ground, "DRBD 8.4 has no quorum, and without a fence-peer handler its fencing cannot work").await?;
        edit_side3(ground, "s/pri-lost /fence-peer /").await?;
        ground.both(again).await?;
        let [first, second] = ground.pair.nodes();
        tokio::select! {
            running = until_why(first, "side3", r#".state == "running""#) => running?,
            running = until_why(second, "side3", r#".state == "running""#) => running?,
        }
        side::idle(ground).await
    })
}

/// Changes the configuration of side3 on both nodes, as sed does.
async fn edit_side3(ground: &Ground, how: &str) -> Done {
    ground
        .both(&format!("sed -i '/^resource side3 /,/^}}/{{ {how} }}' /etc/drbd.d/side.res && drbdadm adjust side3"))
        .await?;
    Ok(())
}

/// Both nodes say why they leave side3 alone, everywhere where somebody may look.
async fn unmanaged(ground: &Ground, why: &str) -> Done {
    let sentence = format!("side3 is not managed: {why}");
    for node in ground.pair.nodes() {
        let unmanaged =
            format!(r#".state == "unmanaged" and .policy == "none" and any(.warnings[]; contains("{sentence}"))"#);
        until_why(node, "side3", &unmanaged).await?;
        node.sh(&format!("journalctl -u storage-reactor -b | grep -qF '{sentence}'"), LONG).await?;
        node.sh(&format!("reactorctl status | grep -qF '{sentence}'"), LONG).await?;
    }
    let runs = ground.both("systemctl is-active side3 || true; drbdadm role side3").await?;
    holds(runs.iter().all(|said| said == "inactive\nSecondary/Secondary"), format!("{runs:?}"))
}

/// Enables a pair of units of the examples with the two commands of the documentation, and drops a snippet.
async fn reloads_by_itself(node: &Node, units: &str, folder: &str) -> Done {
    let copy = format!("cp /usr/share/doc/storage-reactor/example/{units}.{{path,service}} /etc/systemd/system/");
    node.sh(&format!("bash -c '{copy}'"), LONG).await?;
    node.sh(&format!("systemctl enable --now {units}.path"), LONG).await?;
    let rule = "[[umh]]\\n[[umh.device]]\\nname = \"dropped\"\\ncommand = \"true\"\\n";
    let there = "reactorctl status --json | jq -e 'any(.plugins[]; .kind == \"umh\" and .state == \"running\")'";
    // systemd is blind while it reads its units again, which it may do on account of the test before.
    let drop = format!("printf '{rule}' >{folder}/dropped.toml; {there}");
    node.until(&drop, LONG).await?;
    let take = format!("touch {folder}/dropped.toml; rm {folder}/dropped.toml; ! {there}");
    node.until(&take, LONG).await?;
    node.sh(&format!("systemctl disable --now {units}.path; rm /etc/systemd/system/{units}.*"), LONG).await?;
    Ok(())
}

/// A path unit sees nothing of what is written before it starts, as little as while systemd reads its units again. The daemon looks
/// itself, and asks whether somebody wants such changes to be loaded.
async fn finds_what_was_missed(node: &Node) -> Done {
    let lines = "cp /etc/storage-reactor.toml /run/before.toml
        cp /usr/share/doc/storage-reactor/example/storage-reactor-reload.* /etc/systemd/system/
        sed -i '1i snippets-monitoring-interval = 30' /etc/storage-reactor.toml && systemctl reload storage-reactor
        printf '[[umh]]\\n[[umh.device]]\\nname = \"missed\"\\ncommand = \"true\"\\n' >/etc/storage-reactor.d/missed.toml
        systemctl daemon-reload && systemctl start storage-reactor-reload.path";
    node.sh(lines, LONG).await?;
    node.until("journalctl -u storage-reactor -b | grep -q 'and has missed it: reading the configuration'", LONG)
        .await?;
    let there = "reactorctl status --json | jq -e 'any(.plugins[]; .kind == \"umh\" and .state == \"running\")'";
    node.until(there, LONG).await?;
    let back = "systemctl stop storage-reactor-reload.path; rm /etc/systemd/system/storage-reactor-reload.* /etc/storage-reactor.d/missed.toml
        mv /run/before.toml /etc/storage-reactor.toml && systemctl reload storage-reactor";
    node.sh(back, LONG).await?;
    Ok(())
}

pub(crate) fn a_dropped_snippet_is_loaded_by_itself(shared: &mut Shared) -> Done {
    /// What `make install COMPAT=1` adds: the daemon as drbd-reactor.
    const AS_DRBD_REACTOR: &str = include_str!("../../../dist/drbd-reactor.conf");
    shared.on_pair(async |ground| {
        let (active, standby) = ground.active().await?;
        let pid = ground.pids("counter.service").await?;
        reloads_by_itself(active, "storage-reactor-reload", "/etc/storage-reactor.d").await?;
        finds_what_was_missed(active).await?;
        let over = format!(
            "set -e; ln -s reactord /usr/sbin/drbd-reactor; cp -r /etc/storage-reactor.d /etc/drbd-reactor.d\n\
             sed s/storage-reactor.d/drbd-reactor.d/ /etc/storage-reactor.toml >/etc/drbd-reactor.toml\n\
             mkdir -p /etc/systemd/system/storage-reactor.service.d\n\
             cat >/etc/systemd/system/storage-reactor.service.d/drbd-reactor.conf <<'END'\n{AS_DRBD_REACTOR}\nEND\n\
             systemctl daemon-reload; systemctl restart storage-reactor"
        );
        standby.sh(&over, LONG).await?;
        reloads_by_itself(standby, "drbd-reactor-reload", "/etc/drbd-reactor.d").await?;
        let back = "rm -r /etc/systemd/system/storage-reactor.service.d /etc/drbd-reactor.* /usr/sbin/drbd-reactor; \
                    systemctl daemon-reload; systemctl restart storage-reactor";
        standby.sh(back, LONG).await?;
        until_why(standby, "data", r#".state == "standby""#).await?;
        holds(ground.pids("counter.service").await? == pid, "the service was touched")
    })
}
