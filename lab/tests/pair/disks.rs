//! A disk fails while it is in use.

use crate::counter;
use crate::ground::{Done, Ground, LONG, Shared, data_toml, holds};

/// Waits until the service has written something after now.
async fn goes_on(ground: &Ground, name: &str) -> Done {
    let more =
        "now=$(wc -l </srv/data/count); until test $(wc -l </srv/data/count) -gt $((now + 1)); do sleep 0.2; done";
    ground.cluster.node(name)?.sh(more, LONG).await?;
    Ok(())
}

pub(crate) fn a_failed_disk_leaves_the_service_where_it_is(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        let (active, standby) = ground.active().await?;
        let pids = ground.pids("counter.service").await?;
        for node in [standby, active] {
            node.fail_disk(1).await?;
            // A disk that nobody reads or writes does not fail.
            node.until("sync -f /srv/data 2>/dev/null; drbdadm dstate data | grep ^Diskless/", LONG).await?;
            goes_on(ground, active.name()).await?;
            holds(ground.pids("counter.service").await? == pids, "the service was touched")?;
            ground.whole_on(active.name()).await?;
        }
        counter::is_sound(ground).await
    })
}

pub(crate) fn with_fail_over_the_service_leaves_a_failed_disk(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        ground.snippet("data", &data_toml("on-disk-detach = \"fail-over\"\n")).await?;
        let (active, standby) = ground.active().await?;
        active.fail_disk(1).await?;
        standby.until("systemctl is-active counter", LONG).await?;
        let report = crate::ground::why(active, "data").await?;
        let stopped = report["history"].to_string();
        holds(stopped.contains("stop drbd-services@data.target"), format!("{report:#}"))?;
        holds(report["failures"] == 0, format!("{report:#}"))?;
        ground.whole_on(standby.name()).await?;
        ground.snippet("data", &data_toml("")).await?;
        counter::is_sound(ground).await
    })
}
