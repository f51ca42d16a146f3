//! All daemons start at the same time, and find a cluster in which nothing runs.

use crate::node::{RESOURCES, Resource};
use crate::stage::{Done, LONG, NODES, Shared, check};

pub(crate) fn one_node_starts_each_resource(shared: &mut Shared) -> Done {
    shared.on_stage(async |stage| {
        for resource in RESOURCES {
            let runs = stage.runs_on(resource).await?;
            stage.until_runs(resource, runs).await?;
            Resource::new(stage.node(runs)?, resource).until_writes().await?;
            for other in stage.others(runs) {
                let there = Resource::new(stage.node(other)?, resource);
                there.until("standby").await?;
                check(!there.is_active().await?, &format!("{resource} runs on {other} too"))?;
                check(there.why(".report.failures").await? == "0", "a lost race is a failure")?;
            }
        }
        for name in NODES {
            let node = stage.node(name)?;
            // The daemon that the boot started has seen the real DRBD.
            let warnings =
                "journalctl -u storage-reactor -p warning -o cat _PID=$(systemctl show -P MainPID storage-reactor)";
            let warnings = node.sh(warnings, LONG).await?;
            check(warnings.is_empty(), &format!("{name} warns: {warnings}"))?;
            let failed = node.sh("systemctl list-units --failed --no-legend", LONG).await?;
            check(failed.is_empty(), &format!("{name}: failed units: {failed}"))?;
        }
        Ok(())
    })
}
