//! The first start, and moving the service by hand.

use lab::cluster::Power;

use crate::counter;
use crate::ground::{Done, Ground, LONG, Shared, data_toml, holds, until_why, why};

pub(crate) fn on_both_nodes_at_once(shared: &mut Shared) -> Done {
    shared.on_fresh_pair(async |ground| {
        let before = powers(ground);
        ground.snippet("data", &data_toml("")).await?;
        let (active, standby) = ground.active().await?;
        until_why(active, "data", r#".state == "running" and .policy == "fencing""#).await?;
        until_why(standby, "data", r#".state == "standby" and any(.because[]; contains("is Primary"))"#).await?;
        for node in [active, standby] {
            let report = why(node, "data").await?;
            holds(report["failures"] == 0, format!("{}: {report:#}", node.name()))?;
            let failed = node.sh("systemctl list-units --failed --no-legend", LONG).await?;
            holds(failed.is_empty(), format!("{}: {failed}", node.name()))?;
        }
        holds(powers(ground) == before, "a node was switched off")?;
        counter::is_sound(ground).await
    })
}

pub(crate) fn a_stop_and_a_hold_move(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        let (active, standby) = ground.active().await?;
        // A stop alone: somebody starts it again, this node included.
        active.sh("systemctl stop drbd-services@data.target", LONG).await?;
        let (active, standby) = match ground.active().await? {
            (now, other) if now.name() == active.name() => (now, other),
            _ => (standby, active),
        };
        // With a hold: the other one, and nobody is fenced for it.
        let before = powers(ground);
        active.sh("reactorctl hold data --why moving && systemctl stop drbd-services@data.target", LONG).await?;
        standby.until("systemctl is-active counter", LONG).await?;
        until_why(active, "data", r#".state == "held" and .hold.why == "moving""#).await?;
        active.sh("reactorctl release data", LONG).await?;
        until_why(active, "data", r#".state == "standby""#).await?;
        holds(powers(ground) == before, "a node was switched off")?;
        ground.whole_on(standby.name()).await?;
        counter::is_sound(ground).await
    })
}

pub(crate) fn powers(ground: &Ground) -> [Power; 2] {
    ground.pair.nodes().each_ref().map(|node| node.power())
}
