//! The scripts of `tests/`: each provokes a failure of storage, and the incident that is told of it is the one that a person would write down.

use std::path::Path;
use std::time::Duration;

use lab::cluster::Node;
use lab::image::Options;
use libtest_mimic::Failed;

use crate::Shared;
use crate::cluster::{Done, LONG, check};

/// Far more than a script takes.
const SCRIPT: Duration = Duration::from_secs(180);

/// What a script may not leave behind, as text to be compared.
const STATE: &str = "dmsetup ls; losetup --list; cat /proc/mounts; ls -R /etc/multipath /etc/lvm /var/tmp /sys/block; \
    ls -d /sys/module/scsi_debug /etc/multipath.conf 2>&1; systemctl is-active multipathd.service multipathd.socket; \
    systemctl list-units --failed --no-legend --plain; ps -C multipathd,dmeventd -o comm=; true";

/// What one part of a script's output, between its headings, tells: each incident with its lines, its title first.
type Incidents = Vec<Vec<String>>;

fn parts(output: &str) -> Vec<Incidents> {
    let mut parts: Vec<Incidents> = Vec::new();
    for line in output.lines() {
        if line.starts_with("--- ") {
            parts.push(Vec::new());
            continue;
        }
        let Some(part) = parts.last_mut() else { continue };
        match part.last_mut() {
            Some(incident) if line.starts_with(' ') => incident.push(line.to_owned()),
            _ => part.push(vec![line.to_owned()]),
        }
    }
    parts
}

/// Runs a script on a node, which is to be as it was before; what it told.
async fn told(node: &Node, script: &str) -> Result<Vec<Incidents>, Failed> {
    told_to(node, "", script).await
}

/// The same with these variables set.
async fn told_to(node: &Node, with: &str, script: &str) -> Result<Vec<Incidents>, Failed> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
    node.sh("mkdir -p /root/tests", LONG).await?;
    for file in ["lib.sh", "multipath.sh", script] {
        node.push(&scripts.join(file), &format!("/root/tests/{file}"), LONG).await?;
    }
    // Loop devices stay with the module.
    node.sh("modprobe -a loop", LONG).await?;
    let before = node.sh(STATE, LONG).await?;
    let output = node.sh(&format!("{with} bash /root/tests/{script} 2>&1"), SCRIPT).await;
    left_nothing(node, &before).await?;
    Ok(parts(&output?))
}

async fn left_nothing(node: &Node, before: &str) -> Done {
    let after = node.sh(STATE, LONG).await?;
    check(after == before, &format!("the script left something: before\n{before}\nand after\n{after}"))
}

/// One incident, with all of these in its lines, each an event's type with how it stands (or nothing).
fn is_one(incidents: &Incidents, severity: &str, events: &[(&str, &str)]) -> Done {
    let said = incidents.iter().flatten().map(|line| format!("{line}\n")).collect::<String>();
    check(incidents.len() == 1, &format!("{} incidents in place of one:\n{said}", incidents.len()))?;
    is_told(&incidents[0], severity, events)
}

fn is_told(incident: &[String], severity: &str, events: &[(&str, &str)]) -> Done {
    check(incident[0].contains(&format!("({severity}): ")), &format!("not {severity}: {}", incident[0]))?;
    for (kind, standing) in events {
        let tells = |line: &String| line.contains(&format!(" {kind} on ")) && line.contains(standing);
        let all = incident.join("\n");
        check(incident.iter().skip(1).any(tells), &format!("nothing of {kind} ({standing}) in\n{all}"))?;
    }
    Ok(())
}

/// Without our package there is nothing to ask.
fn is_installed() -> Result<bool, Failed> {
    if !Options::from_env().packages.is_empty() {
        return Ok(true);
    }
    println!("SKIPPED: there is no package (`make deb`)");
    check(std::env::var_os("CI").is_none(), "there is no package").map(|()| false)
}

const LASTS: &str = "and it lasts";
const OVER: &str = ", over: ";
const ALL_OVER: &str = "  over: all that was wrong has been put right";

/// The last line of an incident says how it is as a whole.
fn is_over(incident: &[String]) -> Done {
    check(incident.last().is_some_and(|line| line == ALL_OVER), &format!("not over:\n{}", incident.join("\n")))
}

pub(crate) fn a_medium_error_is_told(shared: &mut Shared) -> Done {
    if !is_installed()? {
        return Ok(());
    }
    shared.on_cluster(async |cluster| {
        let parts = told(cluster.node("n1")?, "scsi.sh").await?;
        check(parts.len() == 1, &format!("{parts:?}"))?;
        is_one(&parts[0], "critical", &[("SCSI_MEDIUM_ERROR", LASTS)])?;
        check(parts[0][0][0].contains("SCSI_MEDIUM_ERROR on sd"), &format!("the cause: {}", parts[0][0][0]))
    })
}

pub(crate) fn paths_that_fail_and_come_back_are_told(shared: &mut Shared) -> Done {
    if !is_installed()? {
        return Ok(());
    }
    shared.on_cluster(async |cluster| {
        let parts = told(cluster.node("n2")?, "dmmp.sh").await?;
        check(parts.len() == 4, &format!("{parts:?}"))?;
        is_one(&parts[0], "error", &[("MPATH_PATH_FAILED", LASTS)])?;
        is_one(&parts[1], "error", &[("MPATH_PATH_FAILED", OVER)])?;
        is_over(&parts[1][0])?;
        is_one(&parts[2], "critical", &[("MPATH_PATH_FAILED", LASTS), ("MPATH_ALL_PATHS_DOWN", LASTS)])?;
        is_one(&parts[3], "critical", &[("MPATH_PATH_FAILED", OVER), ("MPATH_ALL_PATHS_DOWN", OVER)])?;
        is_over(&parts[3][0])
    })
}

pub(crate) fn file_systems_without_their_disk_are_told(shared: &mut Shared) -> Done {
    if !is_installed()? {
        return Ok(());
    }
    shared.on_cluster(async |cluster| {
        let parts = told(cluster.node("n3")?, "fs.sh").await?;
        check(parts.len() == 1 && parts[0].len() == 2, &format!("{parts:?}"))?;
        is_told(&parts[0][0], "critical", &[("FS_JOURNAL_ABORTED", LASTS), ("FS_READ_ONLY", LASTS)])?;
        is_told(&parts[0][1], "critical", &[("FS_SHUTDOWN", LASTS)])
    })
}

pub(crate) fn a_failure_below_lvm_is_one_incident_up_to_the_file_system(shared: &mut Shared) -> Done {
    if !is_installed()? {
        return Ok(());
    }
    shared.on_cluster(async |cluster| {
        let parts = told(cluster.node("n3")?, "fs_lvm_dmmp.sh").await?;
        check(parts.len() == 1, &format!("{parts:?}"))?;
        let events = ["MPATH_PATH_FAILED", "MPATH_ALL_PATHS_DOWN", "FS_JOURNAL_ABORTED", "FS_READ_ONLY"];
        is_one(&parts[0], "critical", &events.map(|kind| (kind, LASTS)))?;
        // What the failure reached, from the mount point's side.
        let touches = |line: &String| line.starts_with("  it touches /var/tmp/");
        check(parts[0][0].iter().any(touches), "the mount point is not named")
    })
}

pub(crate) fn a_full_thin_pool_is_told_until_it_is_extended(shared: &mut Shared) -> Done {
    if !is_installed()? {
        return Ok(());
    }
    shared.on_cluster(async |cluster| {
        let parts = told(cluster.node("n1")?, "lvm_tp.sh").await?;
        check(parts.len() == 2, &format!("{parts:?}"))?;
        is_one(&parts[0], "critical", &[("THIN_OUT_OF_SPACE", LASTS)])?;
        is_one(&parts[1], "critical", &[("THIN_OUT_OF_SPACE", OVER)])?;
        is_over(&parts[1][0])
    })
}

/// Asks the daemon, too, each time that a script asks what the log tells.
const ASK_BOTH: &str = "#!/bin/sh\nreactorctl incidents --json >>/root/tests/live\nexec reactorctl \"$@\"\n";

/// The kernel's log, its uevents and multipathd say the same to a daemon that hears all of them: it tells each failure once, as the log alone does.
pub(crate) fn what_uevents_say_again_is_told_once(shared: &mut Shared) -> Done {
    if !is_installed()? {
        return Ok(());
    }
    shared.on_cluster(async |cluster| {
        let n1 = cluster.node("n1")?;
        n1.sh("echo '[[events]]' >/etc/storage-reactor.d/events.toml && reactorctl reload", LONG).await?;
        n1.sh(
            &format!("mkdir -p /root/tests; printf '%s' '{ASK_BOTH}' >/root/tests/ask; chmod +x /root/tests/ask"),
            LONG,
        )
        .await?;
        let parts = told_to(n1, "REACTORCTL=/root/tests/ask", "dmmp.sh").await;
        let live = n1.sh("cat /root/tests/live", LONG).await;
        n1.sh("rm -rf /root/tests /etc/storage-reactor.d/events.toml && reactorctl reload", LONG).await?;
        parts?;
        let live = live?;
        let last = live.lines().last().ok_or("the daemon has no incident")?;
        let incident: serde_json::Value = serde_json::from_str(last).map_err(|error| format!("{error}: {last}"))?;
        let title = incident["title"].as_str().unwrap_or_default();
        check(title.starts_with("MPATH_ALL_PATHS_DOWN on "), last)?;
        let events = incident["events"].as_array().ok_or("an incident has events")?;
        let times = |kind: &str| -> u64 {
            let of_kind = events.iter().filter(|event| event["type"] == kind);
            of_kind.filter_map(|event| event["count"].as_u64()).sum()
        };
        // One path twice, the other one once, and both together once; where multipathd is late to say that, it is counted once more.
        let (failed, down) = (times("MPATH_PATH_FAILED"), times("MPATH_ALL_PATHS_DOWN"));
        check(
            failed == 3 && (1..=2).contains(&down),
            &format!("paths failed {failed} times, the map {down} times: {last}"),
        )
    })
}

/// In the worst moment, with a mounted file system on a map without paths, a script finds that nothing is told.
pub(crate) fn a_script_that_fails_or_cannot_run_leaves_nothing(shared: &mut Shared) -> Done {
    shared.on_cluster(async |cluster| {
        let n2 = cluster.node("n2")?;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
        n2.sh("rm -rf /root/tests", LONG).await?;
        n2.push(&folder, "/root/tests", LONG).await?;
        n2.sh("modprobe -a loop", LONG).await?;
        let before = n2.sh(STATE, LONG).await?;
        let run = |with: &str, script: &str| format!("{with} bash /root/tests/{script} 2>&1");
        let failed = n2.exec(&run("REACTORCTL=true PATIENCE=5", "fs_lvm_dmmp.sh"), SCRIPT).await?;
        let said = String::from_utf8_lossy(&failed.stdout).into_owned();
        check(failed.code == 1 && said.contains("FAILED: no incident tells of MPATH_PATH_FAILED"), &said)?;
        left_nothing(n2, &before).await?;
        let skipped = n2.exec(&run("REACTORCTL=/no/such/program", "scsi.sh"), LONG).await?;
        let said = String::from_utf8_lossy(&skipped.stdout).into_owned();
        check(skipped.code == 77 && said == "SKIPPED: /no/such/program is not installed\n", &said)?;
        left_nothing(n2, &before).await
    })
}
