//! OCF agents of the package resource-agents in a start list, and the runner for systems without systemd.

use lab::cluster::Node;

use crate::counter;
use crate::ground::{Done, LONG, Shared, holds, until_why};
use crate::side;

const ADDRESS: &str = "10.77.0.100";

pub(crate) fn a_file_system_and_an_address_move_together(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        side::ready(ground).await?;
        let [first, _] = ground.pair.nodes();
        first
            .sh("drbdadm primary side1 && mkfs.ext4 -q -E nodiscard /dev/drbd1 && drbdadm secondary side1", LONG)
            .await?;
        let toml = format!(
            "[[promoter]]\n[promoter.resources.side1]\nstart = [\n\
             \"ocf:heartbeat:Filesystem fs device=/dev/drbd1 directory=/srv/side1 fstype=ext4\",\n\
             \"ocf:heartbeat:IPaddr2 vip ip={ADDRESS} cidr_netmask=24 nic=vec0\",\n]"
        );
        ground.snippet("side", &toml).await?;
        let has = format!("ip -4 -o address show dev vec0 | grep -qF {ADDRESS}/ && mountpoint -q /srv/side1");
        let [first, second] = ground.pair.nodes();
        let node = tokio::select! {
            found = first.until(&has, LONG) => found.map(|_| first)?,
            found = second.until(&has, LONG) => found.map(|_| second)?,
        };
        until_why(node, "side1", r#".state == "running" and all(.units[]; .active == "active")"#).await?;
        let other = ground.pair.other(node.name());
        answers(other, true).await?;
        node.sh("echo moved >/srv/side1/file", LONG).await?;
        ground.evict(node, "side1").await?;
        other.until(&has, LONG).await?;
        holds(other.sh("cat /srv/side1/file", LONG).await? == "moved", "the file")?;
        let left = format!("! ip -4 -o address show dev vec0 | grep -F {ADDRESS}/ && ! mountpoint -q /srv/side1");
        node.sh(&left, LONG).await?;
        // The old owner's neighbour has to learn where the address is now.
        answers(node, true).await?;
        side::idle(ground).await?;
        answers(node, false).await?;
        counter::is_sound(ground).await
    })
}

async fn answers(node: &Node, does: bool) -> Done {
    let ping = format!("ping -q -c 1 -W 1 {ADDRESS}");
    let ping = if does { ping } else { format!("! {ping}") };
    node.until(&ping, LONG).await?;
    Ok(())
}

pub(crate) fn the_shell_runner_starts_and_stops(shared: &mut Shared) -> Done {
    let toml = |preferred: &str| {
        format!(
            "[[promoter]]\n[promoter.resources.side2]\nrunner = \"shell\"\npreferred-nodes = [\"{preferred}\"]\n\
             start = ['drbdadm primary \"$DRBD_RES_NAME\"', 'echo started >>/run/side2.log']\n\
             stop = ['echo stopped >>/run/side2.log', 'drbdadm secondary \"$DRBD_RES_NAME\"']"
        )
    };
    shared.on_pair(async |ground| {
        side::ready(ground).await?;
        let [first, second] = ground.pair.nodes();
        ground.snippet("side", &toml("n1")).await?;
        until_why(first, "side2", r#".state == "running""#).await?;
        holds(first.sh("drbdadm role side2", LONG).await? == "Primary/Secondary", "the role")?;
        holds(first.sh("cat /run/side2.log", LONG).await? == "started", "what was run")?;
        // A better node is ready: it is stopped here and started there.
        ground.snippet("side", &toml("n2")).await?;
        until_why(second, "side2", r#".state == "running""#).await?;
        until_why(first, "side2", r#".state == "standby""#).await?;
        let logs = ground.both("cat /run/side2.log; drbdadm role side2").await?;
        holds(logs[0].ends_with("started\nstopped\nSecondary/Primary"), format!("n1: {}", logs[0]))?;
        holds(logs[1].ends_with("started\nPrimary/Secondary"), format!("n2: {}", logs[1]))?;
        ground.no_snippet("side").await?;
        second.sh("drbdadm secondary side2", LONG).await?;
        counter::is_sound(ground).await
    })
}
