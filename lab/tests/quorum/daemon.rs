//! The daemon ends, in all the ways in which a daemon ends, and what it reads changes.

use crate::freeze::KILL_DAEMON;
use crate::node::Resource;
use crate::stage::{Done, LONG, Shared, check};

pub(crate) fn a_daemon_killed_during_a_start_finds_it(shared: &mut Shared) -> Done {
    shared.on_stage(async |stage| {
        let active = stage.runs_on("app").await?;
        let (node, app) = (stage.node(active)?, Resource::new(stage.node(active)?, "app"));
        for other in stage.others(active) {
            stage.node(other)?.sh("reactorctl hold app", LONG).await?;
        }
        node.sh("touch /run/slow-app; systemctl stop drbd-services@app.target", LONG).await?;
        app.until_active_state("activating").await?;
        let begun = app.property("InvocationID").await?;
        node.sh(KILL_DAEMON, LONG).await?;
        app.until("starting").await?;
        node.sh("rm /run/slow-app", LONG).await?;
        app.until_all(".state == \"running\" and .failures == 0").await?;
        check(begun == app.property("InvocationID").await?, "it was started twice")
    })
}

pub(crate) fn a_killed_drbdsetup_changes_nothing(shared: &mut Shared) -> Done {
    shared.on_stage(async |stage| {
        let active = stage.runs_on("web").await?;
        let (node, web) = (stage.node(active)?, Resource::new(stage.node(active)?, "web"));
        let before = web.property("InvocationID").await?;
        node.sh("kill -9 $(pgrep -P $(systemctl show -P MainPID storage-reactor) drbdsetup)", LONG).await?;
        // While nobody listens, a peer goes.
        stage.isolate(stage.others(active)[0]).await?;
        let caught_up = "reactorctl status --json | jq -e '.source.state == \"up\" and .source.restarts > 0 and \
             ([.resources[].connections[] | select(.\"connection-state\" == \"Connecting\")] != [])'";
        node.until(caught_up, LONG).await?;
        web.until("running").await?;
        check(before == web.property("InvocationID").await?, "it was started again")
    })
}

pub(crate) fn the_end_of_the_daemon_stops_what_it_is_asked_to(shared: &mut Shared) -> Done {
    shared.on_stage(async |stage| {
        let active = stage.runs_on("app").await?;
        stage.move_to("db", active).await?;
        let (node, app) = (stage.node(active)?, Resource::new(stage.node(active)?, "app"));
        let db = Resource::new(node, "db");
        let before = db.property("InvocationID").await?;
        let ask = "sed -i.bak '$a stop-services-on-exit = true' /etc/storage-reactor.d/app.toml && reactorctl reload";
        node.sh(ask, LONG).await?;
        node.sh("systemctl stop storage-reactor", LONG).await?;
        check(!app.is_active().await?, "it runs on")?;
        check(before == db.property("InvocationID").await? && db.is_active().await?, "the other one, too")?;
        let next = stage.until_primary("app", &stage.others(active)).await?;
        stage.until_runs("app", &next).await?;
        node.sh("mv /etc/storage-reactor.d/app.toml.bak /etc/storage-reactor.d/app.toml", LONG).await?;
        node.sh("systemctl start storage-reactor", LONG).await?;
        app.until("standby").await?;
        db.until("running").await
    })
}

pub(crate) fn a_resource_that_is_taken_out_runs_on(shared: &mut Shared) -> Done {
    const FILES: &str = "ls /run/systemd/system | grep -c app || true";
    shared.on_stage(async |stage| {
        let active = stage.runs_on("app").await?;
        let (node, app) = (stage.node(active)?, Resource::new(stage.node(active)?, "app"));
        let before = app.property("InvocationID").await?;
        let files = node.sh(FILES, LONG).await?;
        node.sh("cd /etc/storage-reactor.d && mv app.toml app.off && reactorctl reload", LONG).await?;
        let gone = "reactorctl status --json | jq -e '[.promoted[] | select(.resource == \"app\")] == []'";
        node.until(gone, LONG).await?;
        check(before == app.property("InvocationID").await? && app.is_active().await?, "it was touched")?;
        check(node.sh(FILES, LONG).await? == files, "its files went while it runs")?;
        // When it has stopped they go, and another node takes it.
        node.sh("systemctl stop drbd-services@app.target", LONG).await?;
        stage.until_primary("app", &stage.others(active)).await?;
        node.until("test $(ls /run/systemd/system | grep -c app) = 0", LONG).await?;
        node.sh("cd /etc/storage-reactor.d && mv app.off app.toml && reactorctl reload", LONG).await?;
        app.until("standby").await
    })
}
