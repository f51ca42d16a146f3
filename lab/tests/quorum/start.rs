//! All daemons start at the same time, and find a cluster in which nothing runs.

use lab::cluster::Node;

use crate::drbd::Drbd;
use crate::node::{IN_PEACE, RESOURCES};
use crate::stage::{Done, LONG, NODES, Shared, check};

pub(crate) fn one_node_starts_each_resource(shared: &mut Shared) -> Done {
    shared.on_stage(async |stage| {
        for resource in RESOURCES {
            stage.runs_on(resource).await?;
        }
        stage.until_everywhere(IN_PEACE).await?;
        let daemons = "reactorctl status --json | jq -r '.promoted[] | \"\\(.resource) \\(.state) \\(.failures)\"'";
        let daemons = stage.everywhere(daemons).await?;
        let systemds = stage.everywhere("systemctl list-units --state active --no-legend 'counter@*'").await?;
        for resource in RESOURCES {
            let are = |word: &str| daemons.iter().filter(|says| says.contains(&format!("{resource} {word} 0"))).count();
            let found = format!("{resource}: {daemons:?}, {systemds:?}");
            // A lost race is no failure.
            check(are("running") == 1 && are("standby") == 2, &found)?;
            let units = systemds.iter().filter(|has| has.contains(&format!("counter@{resource}.service"))).count();
            check(units == 1, &found)?;
        }
        for name in NODES {
            let node = stage.node(name)?;
            // Which warnings a real DRBD deserves depends on its version.
            if stage.drbd == Drbd::Simulated {
                warns_of_nothing(node).await?;
            }
            let failed = node.sh("systemctl list-units --failed --no-legend", LONG).await?;
            check(failed.is_empty(), &format!("{name}: failed units: {failed}"))?;
        }
        Ok(())
    })
}

async fn warns_of_nothing(node: &Node) -> Done {
    // The daemon that the boot started has seen the real DRBD. And on a machine that is busy systemd may be late.
    let warnings = "journalctl -u storage-reactor -p warning -o cat _PID=$(systemctl show -P MainPID storage-reactor) | \
         grep -Ev 'not connected to systemd|systemd does not answer about|systemd answers, but not about' || true";
    let warnings = node.sh(warnings, LONG).await?;
    check(warnings.is_empty(), &format!("{} warns: {warnings}", node.name()))
}
