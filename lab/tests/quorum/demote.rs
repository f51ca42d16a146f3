//! A node that has to give a resource up, and somebody there has it open.

use crate::node::Resource;
use crate::stage::{Done, LONG, Shared, check};

/// Somebody who is not in the list of units.
const OPENER: &str = "systemd-run --quiet --collect --unit=opener sim-counter web --interval 3600000 && \
     until journalctl -u opener -o cat _SYSTEMD_INVOCATION_ID=$(systemctl show -P InvocationID opener) | grep -q ' has '; \
     do sleep 0.1; done";

pub(crate) fn an_opener_does_not_keep_a_node_primary(shared: &mut Shared) -> Done {
    shared.on_stage(async |stage| {
        let active = stage.runs_on("web").await?;
        let (node, web) = (stage.node(active)?, Resource::new(stage.node(active)?, "web"));
        node.sh(OPENER, LONG).await?;
        node.sh("reactorctl hold web && systemctl stop drbd-services@web.target", LONG).await?;
        stage.until_primary("web", &stage.others(active)).await?;
        let result = node.sh("systemctl show -P Result -P ActiveState drbd-promote@web.service", LONG).await?;
        check(result == "success\ninactive", &format!("the promotion ended with {result:?}"))?;
        node.sh("systemctl kill -s KILL opener; reactorctl release web", LONG).await?;
        web.until("standby").await
    })
}

pub(crate) fn a_node_that_cannot_demote_is_rebooted(shared: &mut Shared) -> Done {
    const SETTINGS: &str = "secondary-force = false\\non-drbd-demote-failure = \"reboot-immediate\"";
    shared.on_stage(async |stage| {
        let active = stage.runs_on("web").await?;
        let (node, web) = (stage.node(active)?, Resource::new(stage.node(active)?, "web"));
        let ask = format!("sed -i.bak '$a {SETTINGS}' /etc/storage-reactor.d/web.toml && sync && reactorctl reload");
        node.sh(&ask, LONG).await?;
        node.until("grep -q reboot-immediate -r /run/systemd/system/", LONG).await?;
        web.until("running").await?;
        node.sh(OPENER, LONG).await?;
        let boots = node.agent()?.boots();
        node.sh("reactorctl hold web && systemctl stop --no-block drbd-services@web.target", LONG).await?;
        stage.until_primary("web", &stage.others(active)).await?;
        stage.until_rebooted(active, boots).await?;
        node.sh("mv /etc/storage-reactor.d/web.toml.bak /etc/storage-reactor.d/web.toml; reactorctl reload", LONG)
            .await?;
        node.sh("reactorctl release web", LONG).await?;
        web.until("standby").await
    })
}
