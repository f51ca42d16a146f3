//! A stack of services as OpenSVC's users know it: DRBD, a file system that is checked, a container, a script in it, an address. Started,
//! started again, stopped, moved, and failing at two of its steps, by `reactorctl` and step by step.

use lab::cluster::Node;

use crate::counter;
use crate::ground::{Done, Ground, LONG, Shared, holds, until_why};
use crate::side;

const ADDRESS: &str = "10.77.0.101";

/// A container of LXC. Its root is on the file system that moves; programs are those of the node.
const CONTAINER: &str = "lxc.uts.name = ct1
lxc.rootfs.path = dir:/srv/stack/root
lxc.mount.entry = /usr usr none ro,bind 0 0
lxc.mount.entry = /run run none rw,bind 0 0
lxc.mount.auto = proc:mixed sys:ro
lxc.net.0.type = none
lxc.apparmor.profile = unconfined
lxc.init.cmd = /usr/bin/sh /init
";

/// Its first process goes when it is told to, as lxc-stop does by default.
const INIT: &str = "trap 'exit 0' PWR; sleep infinity & wait";

/// The script of the service: it is on the file system, and says what it was asked for.
const SCRIPT: &str = r#"#!/bin/sh
echo "$1" >>/run/stack.log
test "$1" = stop || test ! -e /run/stack-fails
"#;

fn toml(more: &str) -> String {
    format!(
        "[[promoter]]\n[promoter.resources.side1]\nfencing-promote-delay = 0\nstart = [\n\
         {{ fs = \"/srv/stack\", device = \"/dev/drbd1\", type = \"ext4\", check = true }},\n\
         {{ container = \"ct1\", engine = \"lxc\", config = \"/etc/lxc/ct1.conf\" }},\n\
         {{ app = \"/S10foo\", in = \"ct1\", timeout-start = \"30s\" }},\n\
         {{ unit = \"side1.service\", optional = true }},\n\
         {{ ip = \"{ADDRESS}/24\", dev = \"vec0\" }},\n]\n{more}"
    )
}

/// Files that both nodes have, and those on the file system; the promoter has it, and both nodes have it stopped.
async fn prepare(ground: &Ground) -> Done {
    side::ready(ground).await?;
    ground.write("/etc/lxc/ct1.conf", CONTAINER).await?;
    ground.both("rm -f /run/stack-fails /run/stack.log; mkdir -p /srv/stack").await?;
    fill(ground).await?;
    ground.snippet("side", &toml("")).await?;
    // Whoever was faster, it goes down, and nobody takes it.
    ground.both("reactorctl stop side1 --why 'to be started by hand' >/dev/null").await?;
    Ok(())
}

/// A fresh file system with the script on it.
async fn fill(ground: &Ground) -> Done {
    let [first, _] = ground.pair.nodes();
    let lines = format!(
        "set -e; drbdadm primary side1; mkfs.ext4 -q -F -E nodiscard /dev/drbd1; mount /dev/drbd1 /srv/stack\n\
         mkdir /srv/stack/root; cd /srv/stack/root; mkdir usr proc sys dev run; cp -a /bin /sbin /lib* .\n\
         cat >init <<'END'\n{INIT}\nEND\ncat >S10foo <<'END'\n{SCRIPT}\nEND\nchmod 755 S10foo\n\
         cd /; umount /srv/stack; drbdadm secondary side1"
    );
    first.sh(&lines, LONG).await?;
    Ok(())
}

/// Runs a command that has to end with this code. Gives what it printed.
async fn ends(node: &Node, command: &str, code: i32) -> Result<String, libtest_mimic::Failed> {
    let ran = node.exec(&format!("{command} 2>&1"), LONG).await?;
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    holds(ran.code == code, format!("{command}: exit {} and not {code}\n{said}", ran.code))?;
    Ok(said)
}

/// The places of these words in the text, which have to come one after the other.
fn in_order(text: &str, words: &[&str]) -> Done {
    let mut from = 0;
    for word in words {
        let at = text[from..].find(word).ok_or_else(|| format!("{word:?} is not there, or too early, in:\n{text}"))?;
        from += at + word.len();
    }
    Ok(())
}

async fn is_secondary(node: &Node) -> Done {
    let state =
        node.sh("drbdadm role side1; drbdadm cstate side1; mountpoint -q /srv/stack || echo unmounted", LONG).await?;
    holds(state.trim() == "Secondary/Secondary\nConnected\nunmounted", state)
}

pub(crate) fn a_stack_starts_stops_moves_and_is_rolled_back(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        prepare(ground).await?;
        let [first, second] = ground.pair.nodes();
        is_secondary(first).await?;
        starts_and_stops(first).await?;
        a_failed_script_is_rolled_back(first).await?;
        moves(ground, first, second).await?;
        a_failed_check_ends_the_start(ground, first).await?;
        side::idle(ground).await?;
        ground.both("rm -f /etc/lxc/ct1.conf").await?;
        counter::is_sound(ground).await
    })
}

async fn starts_and_stops(node: &Node) -> Done {
    let up = [
        "drbd:side1",
        "Primary UpToDate",
        "ocf.rs@fs_srv_stack_side1.service",
        "ct_ct1",
        "app_S10foo",
        "ip_10.77.0.101",
        "up on ",
    ];
    in_order(&ends(node, "reactorctl start side1", 0).await?, &up)?;
    node.sh(&format!("mountpoint -q /srv/stack && ip -4 -o address show dev vec0 | grep -qF {ADDRESS}/"), LONG).await?;
    holds(node.sh("lxc-attach --name ct1 -- hostname", LONG).await?.trim() == "ct1", "the container runs")?;
    holds(node.sh("cat /run/stack.log", LONG).await?.trim() == "start", "the script has run once")?;
    let status = ends(node, "reactorctl status side1", 0).await?;
    in_order(&status, &["side1", "running", "up", "DRBD", "Primary UpToDate"])?;
    // Once more is harmless.
    in_order(&ends(node, "reactorctl start side1", 0).await?, &["already Primary", "already active", "up on "])?;
    holds(node.sh("cat /run/stack.log", LONG).await?.trim() == "start", "and not again")?;
    // A part of it: what stands on the script goes down with it, the file system stays.
    let part = ends(node, "reactorctl restart side1 --from app_S10foo", 0).await?;
    in_order(
        &part,
        &["stop ocf.rs@ip", "stop storage-reactor-command@app", "start storage-reactor-command@app", "start ocf.rs@ip"],
    )?;
    holds(node.sh("cat /run/stack.log", LONG).await?.trim() == "start\nstop\nstart", "it was restarted")?;
    until_why(node, "side1", r#".state == "running" and (.hold | not)"#).await?;
    let down = ["stop ocf.rs@ip", "stop storage-reactor-command@app", "stop ocf.rs@fs", "down on "];
    in_order(&ends(node, "reactorctl stop side1", 0).await?, &down)?;
    is_secondary(node).await
}

async fn a_failed_script_is_rolled_back(node: &Node) -> Done {
    node.sh("touch /run/stack-fails", LONG).await?;
    let told = ends(node, "reactorctl start side1", 19).await?;
    in_order(&told, &["app_S10foo", "the start failed:", "rolled back:", "fs_srv_stack"])?;
    ends(node, "reactorctl stop side1 --no-wait", 0).await?;
    node.until("drbdadm role side1 | grep -x Secondary/Secondary && ! mountpoint -q /srv/stack", LONG).await?;
    // By hand the same: what this has started is stopped again, and it is stopped as before.
    let told = ends(node, "reactorctl start side1 --upto app_S10foo", 19).await?;
    in_order(
        &told,
        &[
            "start failed",
            "rolled back: stop ocf.rs@ct",
            "rolled back: stop ocf.rs@fs",
            "rolled back: stop drbd-promote",
        ],
    )?;
    is_secondary(node).await?;
    until_why(node, "side1", r".hold.stops").await?;
    node.sh("rm /run/stack-fails; reactorctl clear side1", LONG).await?;
    Ok(())
}

async fn moves(ground: &Ground, first: &Node, second: &Node) -> Done {
    ends(first, "reactorctl start side1", 0).await?;
    second.sh("reactorctl release side1", LONG).await?;
    ground.evict(first, "side1").await?;
    until_why(second, "side1", r#".state == "running""#).await?;
    second.sh("mountpoint -q /srv/stack && cat /run/stack.log", LONG).await?;
    first.sh("! mountpoint -q /srv/stack && reactorctl stop side1 >/dev/null", LONG).await?;
    ends(second, "reactorctl stop side1", 0).await?;
    is_secondary(first).await
}

/// A file system that a check can't mend by itself is not mounted.
async fn a_failed_check_ends_the_start(ground: &Ground, node: &Node) -> Done {
    let broken = "set -e; drbdadm primary side1; debugfs -w -R 'set_inode_field <2> mode 0100644' /dev/drbd1 2>&1; drbdadm secondary side1";
    node.sh(broken, LONG).await?;
    let told = ends(node, "reactorctl start side1", 19).await?;
    in_order(&told, &["fs_srv_stack", "the start failed:"])?;
    ends(node, "reactorctl stop side1 --no-wait", 0).await?;
    node.until("drbdadm role side1 | grep -x Secondary/Secondary && ! mountpoint -q /srv/stack", LONG).await?;
    node.sh("reactorctl clear side1", LONG).await?;
    fill(ground).await
}
