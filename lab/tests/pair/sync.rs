//! `sync`: the node that runs the services sends DRBD's .res file and listed files to the other one over a real sshd, by itself and asked to.

use lab::cluster::Node;
use lab::pair::NODES;

use crate::counter;
use crate::ground::{Done, LONG, Shared, holds, until_why};
use crate::{side, ssh};

const TOML: &str = "[[promoter]]\n[promoter.resources.side1]\nfencing-promote-delay = 0\nstart = [\"side1.service\"]\n\
                    sync = { nodes = [\"n1\", \"n2\"], files = [\"/etc/stack.conf\"], every = \"1min\" }\n";

pub(crate) fn the_res_file_and_listed_files_reach_the_other_node(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        side::ready(ground).await?;
        let [first, second] = ground.pair.nodes();
        tokio::try_join!(ssh::set_up(first, &NODES), ssh::set_up(second, &NODES))?;
        // Each has something of its own, so that it can be seen whose is taken.
        ground.both("hostname >/etc/stack.conf; echo \"# as $(hostname) has it\" >>/etc/drbd.d/side.res").await?;
        ground.snippet("side", TOML).await?;
        let is_up = "drbdadm role side1 | grep -x Primary/Secondary";
        let node = tokio::select! {
            found = first.until(is_up, LONG) => found.map(|_| first)?,
            found = second.until(is_up, LONG) => found.map(|_| second)?,
        };
        let other = ground.pair.other(node.name());
        until_why(node, "side1", r#".state == "running""#).await?;
        // By itself, when the services have run for a moment.
        let has =
            format!("grep -qx {0} /etc/stack.conf && grep -qx '# as {0} has it' /etc/drbd.d/side.res", node.name());
        other.until(&has, LONG).await?;
        node.sh(&has, LONG).await?;
        // DRBD takes the file, and nobody has told it to.
        other.sh("drbdadm dump side1 >/dev/null && drbdadm cstate side1 | grep -x Connected", LONG).await?;
        by_hand(node, other).await?;
        side::idle(ground).await?;
        ground.both("rm /etc/stack.conf; sed -i '/^# as /d' /etc/drbd.d/side.res").await?;
        counter::is_sound(ground).await
    })
}

async fn by_hand(node: &Node, other: &Node) -> Done {
    let sync = async |on: &Node, code: i32, words: &[&str]| {
        let ran = on.exec("reactorctl sync side1 2>&1", LONG).await?;
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        holds(ran.code == code, format!("exit {} and not {code}: {said}", ran.code))?;
        words.iter().try_for_each(|word| holds(said.contains(word), format!("{word:?} is not in: {said}")))
    };
    // The daemon may have been faster with the same files.
    node.until("reactorctl sync side1 | grep 'the same, 3 files'", LONG).await?;
    node.sh("echo changed >/etc/stack.conf && reactorctl hold side1 --why files", LONG).await?;
    sync(node, 0, &["sent, 1 file of 3", "sent  /etc/stack.conf"]).await?;
    other.sh("grep -qx changed /etc/stack.conf", LONG).await?;
    let backup = format!("grep -rqx {} /var/lib/storage-reactor/sync/backup", node.name());
    other.sh(&backup, LONG).await?;
    sync(other, 10, &[node.name(), "Run this there"]).await?;
    // A node that can't be reached has its old files, and is named.
    other.sh("systemctl stop ssh.service ssh.socket; pkill -x sshd || true", LONG).await?;
    node.sh("echo later >/etc/stack.conf", LONG).await?;
    sync(node, 12, &[other.name(), "failed"]).await?;
    other.sh("grep -qx changed /etc/stack.conf && systemctl start ssh", LONG).await?;
    sync(node, 0, &["sent  /etc/stack.conf"]).await?;
    other.sh("grep -qx later /etc/stack.conf", LONG).await?;
    Ok(())
}
