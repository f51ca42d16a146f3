//! A resource that cannot be demoted, because something that is not in the list has it open.

use crate::counter;
use crate::ground::{BOOT, Done, LONG, Shared, data_toml, holds, until_why};
use crate::side;

/// Holds the device of side1 open.
const OPENER: &str = "systemd-run --quiet --unit=opener sh -c 'exec sleep 1000 <>/dev/drbd1'";

pub(crate) fn without_escalation_the_node_keeps_the_resource(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        side::ready(ground).await?;
        let [first, second] = ground.pair.nodes();
        let toml = "[[promoter]]\n[promoter.resources.side1]\nstart = [\"side1.service\"]\npreferred-nodes = [\"n1\"]";
        ground.snippet("side", toml).await?;
        until_why(first, "side1", r#".state == "running""#).await?;
        first.sh(OPENER, LONG).await?;
        // The stop fails at the demotion: the node stays Primary, nobody else can start, and the node goes on.
        first.sh("systemctl stop drbd-services@side1.target", LONG).await?;
        first.until("journalctl -u drbd-promote@side1 -b | grep -q 'Device is held open'", LONG).await?;
        holds(first.sh("drbdadm role side1", LONG).await? == "Primary/Secondary", "the role")?;
        until_why(second, "side1", r#".state == "standby" and any(.because[]; contains("is Primary"))"#).await?;
        first.sh("systemctl stop opener", LONG).await?;
        until_why(first, "side1", r#".state == "running""#).await?;
        side::idle(ground).await?;
        counter::is_sound(ground).await
    })
}

pub(crate) fn with_escalation_the_node_reboots_and_the_other_takes_over(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        ground.snippet("data", &data_toml("on-drbd-demote-failure = \"reboot-immediate\"\n")).await?;
        let (active, standby) = ground.active().await?;
        let boot = active.sh("cat /proc/sys/kernel/random/boot_id", LONG).await?;
        // Asked for now: a node that goes down in this way may lose the last lines of its journal.
        let action = "systemctl show --value -p FailureAction drbd-demote-or-escalate@data.service";
        holds(active.sh(action, LONG).await? == "reboot-immediate", "what follows on a failed demotion")?;
        active.sh("systemd-run --quiet --unit=opener sh -c 'exec sleep 1000 <>/srv/data/count'", LONG).await?;
        active.sh("systemctl stop --no-block drbd-services@data.target", LONG).await?;
        standby.until("systemctl is-active counter", LONG).await?;
        ground.pair.settle(&ground.cluster, BOOT).await?;
        let now = active.sh("cat /proc/sys/kernel/random/boot_id", LONG).await?;
        holds(now != boot, "the node did not reboot")?;
        ground.snippet("data", &data_toml("")).await?;
        counter::is_sound(ground).await
    })
}
