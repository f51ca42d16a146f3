//! The nodes lose sight of each other: whoever runs the service switches the other one off, and never do two write.

use std::time::Duration;

use lab::cluster::Power;

use crate::counter;
use crate::ground::{BOOT, Done, LONG, Shared, holds};
use crate::start::powers;

pub(crate) fn after_a_cut_one_node_is_left(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        ground.active().await?;
        ground.cluster.cut("n1", "n2")?;
        one_is_off(ground).await?;
        ground.pair.settle(&ground.cluster, BOOT).await?;
        counter::is_sound(ground).await
    })
}

pub(crate) fn after_a_one_way_cut_one_node_is_left(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        let (active, standby) = ground.active().await?;
        ground.cluster.cut_one_way(active.name(), standby.name())?;
        one_is_off(ground).await?;
        ground.pair.settle(&ground.cluster, BOOT).await?;
        counter::is_sound(ground).await
    })
}

/// One node has switched the other one off, and the service writes on what is left.
async fn one_is_off(ground: &crate::ground::Ground) -> Done {
    let [first, second] = ground.pair.nodes();
    tokio::select! {
        _ = first.wait_off(LONG) => {}
        _ = second.wait_off(LONG) => {}
    }
    let on = ground.pair.nodes().iter().filter(|node| matches!(node.power(), Power::On { .. })).count();
    holds(on == 1, format!("{:?}", powers(ground)))?;
    let active = ground.pair.active(LONG).await?;
    let more =
        "now=$(wc -l </srv/data/count); until test $(wc -l </srv/data/count) -gt $((now + 1)); do sleep 0.2; done";
    active.sh(more, LONG).await?;
    Ok(())
}

pub(crate) fn a_flapping_link_leaves_one_writer(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        let (active, _) = ground.active().await?;
        // Down for longer than DRBD waits, and up for long enough to connect again.
        ground.cluster.flap("n1", "n2", Duration::from_millis(4500), Duration::from_millis(1500))?;
        one_is_off(ground).await?;
        // The node comes back while the link goes on flapping, and may be switched off again.
        let other = ground.pair.other(active.name());
        let gone = if matches!(other.power(), Power::On { .. }) { active } else { other };
        let _killed_again = gone.boot(BOOT).await;
        ground.pair.settle(&ground.cluster, BOOT).await?;
        counter::is_sound(ground).await
    })
}
