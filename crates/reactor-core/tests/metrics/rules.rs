//! dist/prometheus/storage-reactor.rules.yml: that it asks for what there is, and that it fires when it must and at no other time.

use reactor_core::drbd::types::{ConnectionState, DiskState, Role};
use reactor_core::metrics::catalogue;
use reactor_core::metrics::health::PromotedHealth;

use crate::docs::is_metric;
use crate::promtool::promtool;
use crate::story::{RULES, Story};

const DASHBOARD: &str = include_str!("../../../../dist/grafana/storage-reactor.json");

/// Each alert with its lines.
fn alerts() -> Vec<(&'static str, &'static str)> {
    let all: Vec<_> = RULES.split("  - alert: ").skip(1).filter_map(|alert| alert.split_once('\n')).collect();
    assert!(all.len() > 20, "{all:?}");
    all
}

#[test]
fn every_metric_of_the_rules_and_of_the_dashboard_exists_without_a_key() {
    let all = catalogue();
    let words = RULES.lines().chain(DASHBOARD.lines()).filter(|line| !line.starts_with('#'));
    let words = words.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':'));
    for metric in words.filter(|word| is_metric(word)) {
        let family = all.iter().find(|family| family.name == metric);
        let family = family.unwrap_or_else(|| panic!("{metric} does not exist"));
        assert!(!family.rare && !family.only_with_enums, "{metric} is not there by default");
    }
}

/// A rule that asks for a state that does not exist never fires, and a panel is always 0: one of drbd-reactor's is.
#[test]
fn every_state_of_the_rules_and_of_the_dashboard_exists() {
    assert!(states_are_known(RULES) > 8);
    assert!(states_are_known(&DASHBOARD.replace("\\\"", "\"")) > 2);
}

/// How many there are.
fn states_are_known(text: &str) -> usize {
    let states = ["disk", "peer_disk", "connection", "role"];
    let mut found = 0;
    for (label, rest) in text.match_indices("=\"").chain(text.match_indices("~\"")).map(|(at, _)| text.split_at(at)) {
        let label = label.trim_end_matches(['!', '=']).rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next();
        let Some((_, value)) = rest.split_once('"') else { continue };
        if label.is_none_or(|label| !states.contains(&label)) {
            continue;
        }
        found += 1;
        for word in value.split('"').next().unwrap_or_default().split('|') {
            let known = DiskState::from_word(word).is_known()
                || ConnectionState::from_word(word).is_known()
                || Role::from_word(word).is_known();
            assert!(known, "no state is called {word}");
        }
    }
    found
}

#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do() {
    for (name, rest) in alerts() {
        let severity = rest.split("severity: ").nth(1).and_then(|rest| rest.lines().next());
        assert!(matches!(severity, Some("critical" | "warning")), "{name}: {severity:?}");
        assert!(rest.contains("\n      summary: \""), "{name} has no summary");
        let (_, runbook) = rest.split_once("\n      runbook: |\n").unwrap_or_else(|| panic!("{name} has no runbook"));
        assert!(runbook.contains("Look at: "), "{name} does not say what to look at");
    }
}

#[test]
fn promtool_takes_the_rules() {
    let Some((said, ok)) = promtool(&["check", "rules", "/dev/stdin"], RULES) else { return };
    assert!(ok && said.contains("SUCCESS"), "{said}");
}

/// Lets promtool judge it.
fn judge(story: &Story) {
    // Beside the programs that cargo has built: promtool reads a file.
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join(format!("rules-{}.yml", std::thread::current().name().unwrap_or("test").replace(':', "-")));
    #[expect(clippy::disallowed_methods, reason = "promtool reads a file")]
    std::fs::write(&file, story.file(&Story::rules())).unwrap();
    let Some((said, ok)) = promtool(&["test", "rules", &file.to_string_lossy()], "") else { return };
    assert!(ok, "{said}");
}

/// Hundreds of resources over one link are one cause.
#[test]
fn a_blip_is_silent_and_a_cut_is_one_alert_for_each_node() {
    let mut story = Story::of("c1-quorum-loss-opener", &["n1", "n2", "n3"], 30);
    story.until("02:45:36").hold(6).fires(&[]);
    story.until("02:45:49").hold(1).fires(&[]);
    story.until("02:46").hold(6).fires(&[]);
    judge(&story);
    let mut story = Story::of("c1-quorum-loss-opener", &["n1", "n2", "n3"], 30);
    story.until("02:45:49").hold(6).fires(&[("DrbdPeerAway", 3), ("DrbdQuorumLost", 1)]);
    story.until("02:46").hold(1).fires(&[]);
    judge(&story);
}

/// Frozen for want of quorum is one cause; the operator's own suspend-io is another one.
#[test]
fn what_is_frozen_without_quorum_is_one_alert() {
    let mut story = Story::of("h1-freeze-quorum-loss", &["n1", "n2", "n3"], 1);
    story.until("02:53:55").hold(6).fires(&[]);
    story.until("02:53:58").hold(3).fires(&[("DrbdQuorumLost", 1)]);
    story.until("02:54:06.5").hold(1).fires(&[]);
    story.until("02:54:08").hold(3).fires(&[("DrbdIoSuspended", 1)]);
    story.until("02:55").hold(1).fires(&[]);
    judge(&story);
}

#[test]
fn a_planned_resync_is_silent_and_one_that_stalls_is_not() {
    let mut story = Story::of("g-pause-resume-sync", &["n1", "n2", "n3"], 1);
    story.until("02:52:41").hold(1).fires(&[]);
    let progress = |story: &mut Story, percent: usize| {
        let left = 65_496 - percent * 654;
        for (node, peer, replication, disk) in
            [("n1", 2, "SyncSource", "Inconsistent"), ("n3", 0, "SyncTarget", "UpToDate")]
        {
            story.daemon(node).says(&format!(
                "change peer-device name:r1 peer-node-id:{peer} conn-name:n{} volume:0 replication:{replication} peer-disk:{disk} \
                 peer-client:no resync-suspended:no done:{percent}.00 received:1 sent:1 out-of-sync:{left} pending:0 unacked:0\n",
                peer + 1,
            ));
        }
    };
    for percent in 1..60 {
        progress(&mut story, percent);
        story.hold(1);
    }
    story.fires(&[]);
    story.hold(25).fires(&[("DrbdResyncStalled", 2)]);
    progress(&mut story, 60);
    story.hold(1).fires(&[]);
    story.until("02:52:44").hold(1).fires(&[]);
    judge(&story);
}

#[test]
fn a_pause_of_an_hour_is_work_and_one_of_four_was_forgotten() {
    let mut story = Story::of("g-pause-resume-sync", &["n1", "n3"], 1).every(300);
    story.until("02:52:46");
    // What the next poll says, which this kind of recording does not have.
    story.daemon("n3").says(
        "change peer-device name:r1 peer-node-id:1 conn-name:n2 volume:0 replication:Established peer-disk:UpToDate out-of-sync:0\n",
    );
    story.hold(60).fires(&[]);
    story.hold(200).fires(&[("DrbdResyncPaused", 1)]);
    story.until("02:53").hold(20).fires(&[]);
    judge(&story);
}

/// The connection that verify of the recording goes on with is cut and made anew by its operator, as the runbook says.
#[test]
fn what_verify_finds_is_an_alert_until_it_is_copied() {
    let mut story = Story::of("f-verify", &["n1", "n2", "n3"], 1);
    story.until("02:52:20.5").hold(20).fires(&[]);
    story.until("02:52:23.1").hold(10).fires(&[]);
    story.hold(7).fires(&[("DrbdOutOfSync", 2)]);
    story.until("02:52:24.3").hold(20).fires(&[]);
    judge(&story);
}

#[test]
fn a_disk_that_failed_and_one_that_was_attached_again() {
    let mut story = Story::of("e1-disk-failure-primary", &["n1", "n2", "n3"], 1);
    story.until("02:51:34").hold(5).fires(&[]);
    story.until("02:51:37").hold(2).fires(&[("DrbdDiskless", 1)]);
    story.until("02:51:40").hold(1).fires(&[]);
    judge(&story);
}

/// The disks of a new resource are Inconsistent on all nodes until somebody says which one counts.
#[test]
fn data_that_nobody_has_up_to_date() {
    let mut story = Story::of("a-up-fullsync", &["n1", "n2", "n3"], 1);
    story.until("02:38:51.4").hold(3).fires(&[("DrbdNoUpToDateReplica", 1)]);
    judge(&story);
    let mut story = Story::of("f-verify", &["n1", "n2", "n3"], 1);
    story.until("02:52:19.7").hold(6).fires(&[]);
    // What is left when the nodes with the data have gone: the two others know that they are Outdated.
    let outdated = |node: &str| {
        let peers = ["n1", "n2", "n3"].into_iter().enumerate().filter(|(_, peer)| *peer != node);
        let gone = peers.map(|(id, peer)| {
            format!("change connection name:r1 peer-node-id:{id} conn-name:{peer} connection:Connecting role:Unknown\n")
                + &(0..2).fold(String::new(), |text, volume| {
                    text + &format!("change peer-device name:r1 peer-node-id:{id} conn-name:{peer} volume:{volume} replication:Off peer-disk:DUnknown\n")
                })
        });
        let disks = (0..2).map(|volume| {
            format!("change device name:r1 volume:{volume} minor:{} disk:Outdated client:no quorum:yes\n", 20 + volume)
        });
        gone.chain(disks).collect::<String>()
    };
    story.daemon("n3").up = false;
    for node in ["n1", "n2"] {
        let text = outdated(node);
        story.daemon(node).says(&text);
    }
    story.hold(3).fires(&[("DrbdAllOutdated", 1), ("StorageReactorDown", 1)]);
    judge(&story);
}

/// It is one, whoever of the two says so, and StandAlone is what follows from it.
#[test]
fn a_split_brain_is_one_alert_until_it_is_over() {
    let mut story = Story::of("j-split-brain", &["n1", "n2"], 20);
    story.until("02:57:20").hold(3).fires(&[]);
    story.until("02:57:24").hold(2).fires(&[]);
    story.until("02:57:26").hold(1).fires(&[("DrbdSplitBrain", 1)]);
    story.hold(4).fires(&[("DrbdSplitBrain", 1)]);
    story.until("02:58").hold(1).fires(&[]);
    judge(&story);
}

/// It tells of the peer, and not of each resource. With writes since then it may be a split brain, and that is said in its place.
#[test]
fn stand_alone_is_told_for_each_peer() {
    for (moment, alert) in [("02:57:45", "DrbdStandAlone"), ("02:57:50", "DrbdSplitBrainPossible")] {
        let mut story = Story::of("l-fencing-resource-only", &["n1", "n2"], 20);
        story.until(moment).hold(1).fires(&[]);
        let line = "change connection name:f0 peer-node-id:1 conn-name:n2 connection:StandAlone role:Unknown\n";
        story.daemon("n1").says(line);
        story.hold(3).fires(&[(alert, 1)]);
        judge(&story);
    }
}

#[test]
fn services_that_fail_are_blocked_or_run_nowhere() {
    let promoted = |name: usize, state| PromotedHealth { name: format!("r{name}"), state, ..PromotedHealth::default() };
    let mut story = Story::of("c1-quorum-loss-opener", &["n1", "n2"], 1);
    story.until("02:45:36");
    for node in ["n1", "n2"] {
        story.daemon(node).health.promoted = (0..5).map(|n| promoted(n, "standby")).collect();
        story.daemon(node).health.systemd_up = Some(true);
    }
    story.hold(3).fires(&[]);
    for resource in &mut story.daemon("n1").health.promoted {
        resource.failures = 2;
    }
    story.hold(2).fires(&[("StorageReactorFailing", 1)]);
    for resource in &mut story.daemon("n1").health.promoted {
        (resource.failures, resource.state, resource.failed_units) = (3, "blocked", 1);
    }
    story.hold(1).fires(&[("StorageReactorBlocked", 1)]);
    for node in ["n1", "n2"] {
        for resource in &mut story.daemon(node).health.promoted {
            resource.runs_nowhere = true;
        }
    }
    story.hold(1).fires(&[("StorageReactorBlocked", 1), ("StorageReactorRunsNowhere", 1)]);
    judge(&story);
    let mut story = Story::of("c1-quorum-loss-opener", &["n1", "n2"], 1).every(600);
    story.until("02:45:36");
    for node in ["n1", "n2"] {
        story.daemon(node).health.promoted = (0..5).map(|n| promoted(n, "held")).collect();
        for resource in &mut story.daemon(node).health.promoted {
            resource.held = true;
        }
    }
    story.daemon("n1").health.drained = true;
    story.hold(1200).fires(&[]);
    story.hold(300).fires(&[("StorageReactorDrainedLong", 1), ("StorageReactorHeldLong", 2)]);
    judge(&story);
}

#[test]
fn a_daemon_that_is_blind_or_gone() {
    let mut story = Story::of("c1-quorum-loss-opener", &["n1", "n2", "n3"], 1);
    story.until("02:45:36").hold(3).fires(&[]);
    story.daemon("n1").health.source.up = false;
    story.daemon("n2").up = false;
    story.hold(1).fires(&[]);
    story.hold(2).fires(&[("StorageReactorDown", 1), ("StorageReactorSourceDown", 1)]);
    judge(&story);
}
