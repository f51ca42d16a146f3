//! A node goes away, in every way: the other one takes over, and it comes back as standby with all data.

use std::time::{Duration, Instant};

use lab::cluster::{ClusterError, Node, Power};
use libtest_mimic::Failed;

use crate::counter;
use crate::ground::{BOOT, Done, LONG, Shared, holds};
use crate::start;

/// Waits until this node has taken over and writes, and returns how long that took.
async fn takes_over(node: &Node) -> Result<Duration, Failed> {
    let began = Instant::now();
    let writes = format!("systemctl -q is-active counter && grep -q ' {} ' /srv/data/count", node.name());
    node.until(&writes, LONG).await?;
    Ok(began.elapsed())
}

pub(crate) fn a_killed_node_is_replaced_and_comes_back(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        let (active, standby) = ground.active().await?;
        active.kill().await?;
        takes_over(standby).await?;
        let decisions = ground.pair.decisions(standby.name());
        holds(decisions.contains("resource=data unit=drbd-services@data.target what=start"), decisions)?;
        ground.whole_on(standby.name()).await?;
        counter::is_sound(ground).await
    })
}

pub(crate) fn a_node_that_hung_never_writes_again(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        let (active, standby) = ground.active().await?;
        active.hang()?;
        takes_over(standby).await?;
        // It was switched off before anybody else wrote, so there is nothing that could go on.
        holds(matches!(active.power(), Power::Off(_)), format!("{:?}", active.power()))?;
        holds(matches!(active.resume(), Err(ClusterError::Off { .. })), "it goes on")?;
        ground.whole_on(standby.name()).await?;
        counter::is_sound(ground).await
    })
}

pub(crate) fn a_crashed_node_is_replaced_and_comes_back(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        let (active, standby) = ground.active().await?;
        active.crash().await?;
        takes_over(standby).await?;
        ground.whole_on(standby.name()).await?;
        counter::is_sound(ground).await
    })
}

pub(crate) fn a_rebooted_node_hands_over_in_order(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        let (active, standby) = ground.active().await?;
        // It goes in peace, but without quorum the other one cannot know that, and may switch it off on its way.
        match active.reboot(BOOT).await {
            Ok(_) | Err(ClusterError::Boot { .. } | ClusterError::Killed { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        takes_over(standby).await?;
        ground.whole_on(standby.name()).await?;
        counter::is_sound(ground).await
    })
}

/// A standby that shuts down has taken DRBD down before: the other node knows that it went in peace, and fences nobody.
pub(crate) fn a_shutdown_ends_with_drbd_unconfigured(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        let (active, standby) = ground.active().await?;
        let (before, pid) = (start::powers(ground), ground.pids("counter.service").await?);
        standby.reboot(BOOT).await?;
        let down = "journalctl -b -1 -k -o cat | grep 'drbd data: conn( Disconnecting -> StandAlone )'";
        standby.sh(down, LONG).await?;
        ground.whole_on(active.name()).await?;
        holds(pid[active.name()] == ground.pids("counter.service").await?[active.name()], "the counter was touched")?;
        holds(start::powers(ground) == before, "a node was switched off")?;
        counter::is_sound(ground).await
    })
}
