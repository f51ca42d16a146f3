//! Services that fail, nodes that are preferred, and people who want something else.

use crate::node::Resource;
use crate::stage::{Done, LONG, Shared, check};

pub(crate) fn a_service_that_fails_is_started_again_and_given_up(shared: &mut Shared) -> Done {
    shared.on_stage(async |stage| {
        let active = stage.runs_on("web").await?;
        let (node, web) = (stage.node(active)?, Resource::new(stage.node(active)?, "web"));
        // What failed before was not the service's fault.
        node.sh("reactorctl clear web", LONG).await?;
        for failures in 1..3 {
            web.kill().await?;
            web.until_all(&format!(".state == \"running\" and .failures == {failures}")).await?;
            web.until_active_state("active").await?;
        }
        web.kill().await?;
        let next = stage.until_primary("web", &stage.others(active)).await?;
        let why = web.last_stop().await?;
        check(why.contains("counter@web.service has failed: signal") && why.contains("3 failures"), &why)?;
        check(!web.is_active().await?, "it is given up and runs")?;
        // And when nobody else has it, neither.
        for other in stage.others(active) {
            stage.node(other)?.sh("reactorctl hold web", LONG).await?;
        }
        stage.node(&next)?.sh("systemctl stop drbd-services@web.target", LONG).await?;
        web.until_all(".state == \"blocked\" and .failures == 3").await?;
        node.sh("reactorctl clear web", LONG).await?;
        web.until_all(".state == \"running\" and .failures == 0").await.map(drop)
    })
}

pub(crate) fn a_service_that_fails_moves(shared: &mut Shared) -> Done {
    shared.on_stage(async |stage| {
        let active = stage.runs_on("app").await?;
        let app = Resource::new(stage.node(active)?, "app");
        app.kill().await?;
        let next = stage.until_primary("app", &stage.others(active)).await?;
        stage.until_runs("app", &next).await?;
        app.until_all(".state == \"standby\" and .failures == 1").await?;
        let why = app.last_stop().await?;
        check(why.contains("on-service-failure = \"move\""), &why)
    })
}

/// The node that it has to leave is in the middle of stopping when its daemon is killed.
pub(crate) fn a_preferred_node_takes_back_also_from_a_killed_daemon(shared: &mut Shared) -> Done {
    shared.on_stage(async |stage| {
        stage.until_primary("home", &["n2"]).await?;
        // They have seen n2 come and go in other tests, and would wait before they trust it.
        for other in stage.others("n2") {
            stage.node(other)?.sh("systemctl restart storage-reactor", LONG).await?;
        }
        stage.isolate("n2").await?;
        let away = stage.until_primary("home", &stage.others("n2")).await?;
        stage.until_runs("home", &away).await?;
        let (node, home) = (stage.node(&away)?, Resource::new(stage.node(&away)?, "home"));
        node.sh("touch /run/slow-stop-home", LONG).await?;
        stage.heal().await?;
        home.until_active_state("deactivating").await?;
        node.sh(crate::freeze::KILL_DAEMON, LONG).await?;
        home.until("stopping").await?;
        node.sh("rm /run/slow-stop-home", LONG).await?;
        stage.until_primary("home", &["n2"]).await?;
        stage.until_runs("home", "n2").await?;
        home.until_all(".state == \"standby\" and .failures == 0").await.map(drop)
    })
}

pub(crate) fn a_hold_outlives_the_daemon_and_evicts(shared: &mut Shared) -> Done {
    shared.on_stage(async |stage| {
        let active = stage.runs_on("app").await?;
        let (node, app) = (stage.node(active)?, Resource::new(stage.node(active)?, "app"));
        let before = app.property("InvocationID").await?;
        node.sh("reactorctl hold app --why 'new cables'", LONG).await?;
        node.sh(crate::freeze::KILL_DAEMON, LONG).await?;
        app.until_all(".state == \"held\" and .hold.why == \"new cables\"").await?;
        check(before == app.property("InvocationID").await?, "held, and something was done")?;
        node.sh("systemctl stop drbd-services@app.target", LONG).await?;
        let next = stage.until_primary("app", &stage.others(active)).await?;
        stage.until_runs("app", &next).await?;
        check(!app.is_active().await?, "held, and it was started")?;
        node.sh("reactorctl release app", LONG).await?;
        app.until("standby").await
    })
}
