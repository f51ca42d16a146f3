//! `on-quorum-loss = "freeze"`: systemd freezes control groups, and the kernel stops what is in them.

use crate::node::Resource;
use crate::stage::{Done, LONG, Shared, check};

/// Kills the daemon of a node, and waits until there is another one.
pub(crate) const KILL_DAEMON: &str = "old=$(systemctl show -P MainPID storage-reactor); kill -9 $old; \
     until reactorctl status --json >/run/status 2>/dev/null && jq -e \".pid != $old and .systemd.up\" /run/status >/dev/null; do sleep 0.2; done";

/// The disk of [`READER`] hangs, and it with it.
const HANG: &str = "dmsetup suspend --noflush --nolockfs disk1; echo >/run/read-disk; \
     until grep -q '^State:.D' /proc/$(pgrep -x dd)/status; do sleep 0.1; done";
const READER: &str = "disk-reader.service";

pub(crate) fn frozen_services_stand_still_and_go_on(shared: &mut Shared) -> Done {
    shared.on_stage(async |stage| {
        let (active, logging) = (stage.runs_on("db").await?, stage.runs_on("log").await?);
        let (db, log) = (Resource::new(stage.node(active)?, "db"), Resource::new(stage.node(logging)?, "log"));
        let before = (db.property("MainPID").await?, db.property("InvocationID").await?);
        stage.cut_all().await?;
        db.until_frozen().await?;
        let written = db.written().await?;
        // With a time limit it is given up meanwhile: nobody can run it, and nothing hangs.
        log.until("standby").await?;
        check(!log.is_active().await?, "freeze-timeout is over, and it is there")?;
        let why = log.last_stop().await?;
        check(why.contains("longer than freeze-timeout (3 s)"), &why)?;
        // A daemon that comes to frozen services takes them over.
        stage.node(active)?.sh(KILL_DAEMON, LONG).await?;
        db.until("frozen").await?;
        db.check_frozen().await?;
        check(db.written().await? == written, "frozen, and it writes")?;
        stage.heal().await?;
        db.until("running").await?;
        db.until_thawed().await?;
        db.until_writes().await?;
        check(before == (db.property("MainPID").await?, db.property("InvocationID").await?), "it was started again")
    })
}

pub(crate) fn a_unit_can_be_stopped_while_it_is_frozen(shared: &mut Shared) -> Done {
    shared.on_stage(async |stage| {
        let active = stage.runs_on("db").await?;
        let (node, db) = (stage.node(active)?, Resource::new(stage.node(active)?, "db"));
        stage.cut_all().await?;
        db.until_frozen().await?;
        node.sh(&format!("systemctl stop {}", db.unit()), LONG).await?;
        db.until("standby").await?;
        check(!db.is_active().await?, "it is active")?;
        check(db.property("FreezerState").await? == "running", "it is frozen and does not run")?;
        stage.heal().await?;
        stage.runs_on("db").await.map(drop)
    })
}

/// I/O that is suspended keeps a process in the kernel, where the freezer cannot stop it before the I/O ends.
pub(crate) fn what_waits_for_its_disk_is_thawed_later(shared: &mut Shared) -> Done {
    shared.on_stage(async |stage| {
        let active = stage.runs_on("db").await?;
        let (node, db) = (stage.node(active)?, Resource::new(stage.node(active)?, "db"));
        let reader = format!("systemctl show -P MainPID -P FreezerState {READER}");
        let before = node.sh(&reader, LONG).await?;
        node.sh(HANG, LONG).await?;
        stage.cut_all().await?;
        db.until_frozen().await?;
        node.until(&format!("test $(systemctl show -P FreezerState {READER}) = freezing"), LONG).await?;
        stage.heal().await?;
        // The others need not wait for it.
        node.until(&format!("test $(systemctl show -P FreezerState {}) = running", db.unit()), LONG).await?;
        db.until_writes().await?;
        node.sh("dmsetup resume disk1", LONG).await?;
        let thawed = format!("is=$({reader}); test \"$is\" = '{before}' || {{ echo $is; reactorctl why db; exit 1; }}");
        node.until(&thawed, LONG).await?;
        db.until("running").await
    })
}
