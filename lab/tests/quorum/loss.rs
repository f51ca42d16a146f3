//! A node is lost: its power, or its place in the cluster.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::node::Resource;
use crate::stage::{Done, LONG, Shared, check};

/// The last start of a resource, in the words of `reactorctl why`.
const LAST_START: &str = "[.history[] | select(.what | startswith(\"start \"))] | last";

pub(crate) fn another_node_takes_over_when_the_power_is_cut(shared: &mut Shared) -> Done {
    shared.on_stage(async |stage| {
        let active = stage.runs_on("web").await?;
        Resource::new(stage.node(active)?, "web").until_writes().await?;
        let (began, wall) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64());
        stage.power_cut(active).await?;
        let next = stage.until_primary("web", &stage.others(active)).await?;
        let node = stage.node(&next)?;
        let web = Resource::new(node, "web");
        web.until("running").await?;
        let first = format!("awk '$1 > {wall} {{ print $1; exit }}' /var/log/counter-web | grep .");
        let first: f64 = node.until(&first, LONG).await?.parse()?;
        let decision = web.why(LAST_START).await?;
        check(decision.contains("DRBD says may_promote:yes"), &decision)?;
        check(decision.contains("done after"), &decision)?;
        println!(
            "{active} lost its power, {next} writes after {:.1} s (noticed after {:?})",
            first - wall,
            began.elapsed()
        );
        println!("{}", web.why(&format!("{LAST_START} | .time, .outcome, .because[]")).await?);
        stage.boot(active).await?;
        let back = Resource::new(stage.node(active)?, "web");
        back.until("standby").await?;
        check(!back.is_active().await?, "it runs twice")
    })
}

pub(crate) fn a_node_without_quorum_stops(shared: &mut Shared) -> Done {
    shared.on_stage(async |stage| {
        let active = stage.runs_on("web").await?;
        // Both kinds on the node that is cut off.
        stage.move_to("db", active).await?;
        let (web, db) = (Resource::new(stage.node(active)?, "web"), Resource::new(stage.node(active)?, "db"));
        let before = db.property("InvocationID").await?;
        stage.isolate(active).await?;
        web.until_all(".state == \"standby\" and (.because | join(\" \") | contains(\"no quorum\"))").await?;
        check(!web.is_active().await?, "it runs without quorum")?;
        let why = web.last_stop().await?;
        check(why == "quorum lost on volume 0", &why)?;
        stage.until_primary("web", &stage.others(active)).await?;
        // With suspend-io it waits: it does not know that another one goes on.
        db.until_frozen().await?;
        let next = stage.until_primary("db", &stage.others(active)).await?;
        stage.until_two_primaries("db", [active, &next]).await?;
        stage.heal().await?;
        // Now it does.
        db.until("standby").await?;
        check(!db.is_active().await?, "it runs twice")?;
        check(db.property("FreezerState").await? == "running", "it is still frozen")?;
        let why = db.last_stop().await?;
        check(why.contains("Secondary here while its services run"), &why)?;
        check(before != db.property("InvocationID").await? || !db.is_active().await?, "it went on")?;
        web.until("standby").await
    })
}
