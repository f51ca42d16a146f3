//! What `why` and the last decisions say when something went wrong: the cause, and not its last consequence.

use reactor_core::action::{Action, ActionKind, Effect, UnitFinding};
use reactor_core::ids::UnitName;
use reactor_core::metrics::health::PromotedHealth;
use reactor_core::model::Node;
use reactor_core::operator::OperatorVerb;
use reactor_core::plugin::promoter::report::TroubleKind;
use reactor_core::settings::promoter::PromotedResource;
use reactor_core::systemd::{ActiveState, LoadState, UnitEnd};

use crate::world::{TARGET, World, app, connection, device, resource, settings, units};

fn finding(unit: &str, active: ActiveState, needs: &[&str], said: &[&str]) -> UnitFinding {
    UnitFinding {
        active,
        needs: needs.iter().map(|unit| UnitName::new(unit)).collect(),
        said: said.iter().map(|line| (*line).to_owned()).collect(),
        ..UnitFinding::new(UnitName::new(unit))
    }
}

fn trouble(world: &World, kind: TroubleKind) -> Option<String> {
    let report = world.report();
    let metrics = PromotedHealth::new(&report, 0.0, &Node::default());
    let shown = report.troubles.into_iter().find(|trouble| trouble.kind == kind);
    let metric = match kind {
        TroubleKind::IoHangs => metrics.io_hangs,
        TroubleKind::OutsideTarget => metrics.outside_target,
        TroubleKind::RunsNowhere => metrics.runs_nowhere,
        TroubleKind::LeftBehind => metrics.left_behind,
    };
    assert_eq!(shown.is_some(), metric, "the metric says what the status says");
    shown.map(|trouble| trouble.what)
}

fn outcome(world: &World, what: &str) -> String {
    let history = world.report().history;
    let past = history.iter().rev().find(|past| past.what.starts_with(what)).expect("it was decided");
    past.outcome.clone().unwrap_or_default()
}

const DEVICE: &str = r"dev-drbd-by\x2dres-nfs\x2ddata-0.device";

#[test]
fn a_mount_whose_device_never_comes_names_the_device() {
    let mut world = World::new(units(&["srv-nfs.mount", "idle.service"]));
    world.dump("yes");
    world.seconds(10);
    world.all();
    world.active("drbd-promote@r0.service", ActiveState::Active);
    world.resource("Primary", "no");
    world.findings = vec![
        finding("idle.service", ActiveState::Inactive, &["srv-nfs.mount"], &[]),
        finding("srv-nfs.mount", ActiveState::Inactive, &[DEVICE], &[]),
        finding(DEVICE, ActiveState::Inactive, &[], &[]),
    ];
    world.seconds(90);
    world.done(&format!("start {TARGET}"), UnitEnd::Job("dependency".to_owned()));
    let said = world.all();
    let cause = "the device /dev/drbd/by-res/nfs-data/0 never came, and srv-nfs.mount needs it";
    assert!(said.contains(&"examine srv-nfs.mount idle.service".to_owned()), "{said:?}");
    assert!(said.contains(&format!("Warn: r0: {cause}")), "{said:?}");
    assert_eq!(world.report().last_failure.as_deref(), Some(cause));
    assert_eq!(outcome(&world, "start"), format!("job dependency after 100 s; {cause}"));
    let keeps = |action: &Action| matches!(&action.kind, ActionKind::Effect(Effect::Remember { memory, .. }) if memory.last_failure.as_deref() == Some(cause));
    assert!(world.actions.iter().any(keeps), "it is known after a restart, too");
}

#[test]
fn a_service_that_fails_says_its_last_words() {
    let mut world = World::running(app());
    let words = ["starting", "ERROR: no such interface eth9"];
    world.findings = vec![UnitFinding {
        result: Some("exit-code".to_owned()),
        exit_code: Some(5),
        ..finding("app.service", ActiveState::Failed, &[], &words)
    }];
    world.unit("app.service", |state| {
        state.active = ActiveState::Failed;
        state.result = Some("exit-code".to_owned());
    });
    let cause = "app.service has failed: exit-code 5; it said: ERROR: no such interface eth9";
    assert_eq!(world.report().last_failure.as_deref(), Some(cause));
}

/// r0 could be promoted here, and is not: DRBD refuses it each time.
fn refused(words: &[&str]) -> World {
    let mut world = World::new(app());
    world.findings = vec![finding("drbd-promote@r0.service", ActiveState::Failed, &[], words)];
    world.dump("yes");
    world.all();
    world.done(&format!("start {TARGET}"), UnitEnd::Job("dependency".to_owned()));
    world
}

const HELD_OPEN: [&str; 2] = [
    "r0: State change failed: (-12) Device is held open by someone",
    "additional info from kernel: /dev/drbd20 open_cnt:1, writable:0; drbd20 opened by some-daemon (pid 999)",
];

#[test]
fn a_promotion_that_drbd_refuses_for_good_is_no_lost_race() {
    let mut world = refused(&HELD_OPEN);
    let words = "DRBD refused the promotion, and nobody is Primary: (-12) Device is held open by someone \
                 (/dev/drbd20 open_cnt:1, writable:0; drbd20 opened by some-daemon (pid 999)): somebody has the device open; \
                 `reactorctl block RESOURCE` and `fuser -vm` on the device show who: end that";
    assert!(world.all().contains(&format!("Warn: r0: {words}")));
    assert!(outcome(&world, "start").ends_with(words), "{}", outcome(&world, "start"));
    assert_eq!(world.report().failures, 0, "it is no failure of a service");
    assert_eq!(trouble(&world, TroubleKind::RunsNowhere), None, "it is too early to say");
    assert_eq!(
        world.state(),
        format!(
            "waiting: DRBD says may_promote:yes; DRBD refused the promotion: next try after 1 s; \
             DRBD has refused it once, and nobody is Primary: {}; starts in 1 s",
            words.rsplit_once("Primary: ").unwrap().1
        )
    );
    for _ in 0..6 {
        world.seconds(30);
        if world.said().iter().any(|text| text.starts_with("start")) {
            world.done(&format!("start {TARGET}"), UnitEnd::Job("dependency".to_owned()));
        }
    }
    let what = trouble(&world, TroubleKind::RunsNowhere).expect("it runs nowhere");
    assert!(what.contains("(-12) Device is held open by someone"), "{what}");
    // Another node took it after all.
    world.burst(&(resource("change", "r0", "Secondary", "no") + &connection("r0", 1, "Connected", "Primary")));
    assert_eq!(trouble(&world, TroubleKind::RunsNowhere), None);
}

/// udev looks at a device for a moment, on a Secondary too, and that blocks a promotion elsewhere.
#[test]
fn a_promotion_that_somebody_who_reads_on_a_peer_blocks_is_tried_again_and_is_no_failure() {
    for (words, said) in [
        (
            "r0: State change failed: (-22) Peer may not become primary while device is opened read-only",
            "a peer has the device open for reading, as udev has for a moment; that passes by itself, and is tried again",
        ),
        (
            "r0: State change failed: (-10) State change was refused by peer node",
            "a peer refused it: it is Primary itself, or somebody has the device open there",
        ),
    ] {
        let mut world = refused(&[words]);
        assert!(world.all().iter().any(|text| text.starts_with("Warn: r0: ") && text.contains(said)), "{words}");
        world.seconds(1);
        assert!(world.said().iter().any(|text| text.starts_with(&format!("start {TARGET}"))), "{words}");
        world.comes_up();
        assert_eq!((world.report().failures, world.state().starts_with("running")), (0, true), "{}", world.state());
    }
}

#[test]
fn a_race_that_was_lost_is_told_by_who_is_primary() {
    let mut world = World::new(app());
    world.findings = vec![finding(
        "drbd-promote@r0.service",
        ActiveState::Failed,
        &[],
        &["r0: State change failed: (-10) State change was refused by peer node"],
    )];
    world.dump("yes");
    world.burst(&(resource("change", "r0", "Secondary", "no") + &connection("r0", 1, "Connected", "Primary")));
    world.all();
    world.done(&format!("start {TARGET}"), UnitEnd::Job("dependency".to_owned()));
    assert_eq!(outcome(&world, "start"), "not promoted after 0 s; n2 was faster");
    assert_eq!(world.all(), ["Info: r0: n2 was faster"], "losing is normal, and nobody has to be asked");
    assert_eq!(world.report().failures, 0);
}

/// DRBD's news of the winner may come after systemd's of the loser.
#[test]
fn a_race_that_was_lost_is_told_also_if_the_winner_is_seen_later() {
    for (later, said) in [(1, true), (3, false)] {
        let mut world = refused(&["r0: State change failed: (-10) State change was refused by peer node"]);
        assert!(outcome(&world, "start").starts_with("not promoted (job dependency) after 0 s; DRBD refused"));
        world.all();
        world.pass(std::time::Duration::from_millis(later * 900));
        let starts = world.said().iter().any(|text| text.starts_with("start"));
        assert_eq!(starts, !said, "its pause is a second");
        world.burst(&(resource("change", "r0", "Secondary", "no") + &connection("r0", 1, "Connected", "Primary")));
        assert_eq!(world.all().contains(&"Info: r0: n2 was faster".to_owned()), said);
        let first = world.report().history.iter().find(|past| past.what.starts_with("start")).unwrap().outcome.clone();
        assert_eq!(first.unwrap().ends_with("; n2 was faster"), said);
    }
}

#[test]
fn what_nobody_can_run_is_shown_with_the_reason() {
    let mut world = World::new(app());
    world.dump("no");
    world.seconds(59);
    assert_eq!(trouble(&world, TroubleKind::RunsNowhere), None);
    world.seconds(2);
    let what = trouble(&world, TroubleKind::RunsNowhere).expect("it runs nowhere");
    assert!(what.starts_with("it runs nowhere: nobody is Primary; here: DRBD says may_promote:no"), "{what}");
    assert_eq!(world.all().iter().filter(|text| text.starts_with("Error: r0: it runs nowhere")).count(), 1);
    // Who holds it knows.
    world.operator(OperatorVerb::Hold { why: String::new() });
    world.seconds(120);
    assert_eq!(trouble(&world, TroubleKind::RunsNowhere), None);
}

/// A socket has promoted it, and somebody stopped that in the middle: DRBD went on. No unit of ours demotes it, and no other node can start it.
#[test]
fn a_primary_that_runs_nothing_is_shown_with_what_to_do() {
    let mut world = World::new(app());
    world.dump("no");
    world.operator(OperatorVerb::Hold { why: "cables".to_owned() });
    world.resource("Primary", "no");
    world.seconds(3600);
    assert_eq!(trouble(&world, TroubleKind::RunsNowhere), None, "who holds it knows");
    world.operator(OperatorVerb::Release);
    let runs_nowhere = "it runs nowhere: this node is Primary, and its services do not run, so no other node can start them; \
                        here: Primary here, but not promoted by us: somebody works on it";
    let way = "none of its devices is open: if nobody works on it, drbdadm secondary r0 lets it be started again";
    assert_eq!(trouble(&world, TroubleKind::RunsNowhere), Some(format!("{runs_nowhere}; {way}")));
    assert!(!world.said().iter().any(|said| said.starts_with("start") || said.starts_with("secondary")));
    let device = device("r0", 0, "UpToDate", "yes");
    world.burst(&device.replace("open:no", "open:yes"));
    assert_eq!(trouble(&world, TroubleKind::RunsNowhere), Some(format!("{runs_nowhere}; somebody has volume 0 open")));
    // Another side may run it: nobody knows.
    world.burst(&device.replace("quorum:yes", "quorum:no"));
    assert_eq!(trouble(&world, TroubleKind::RunsNowhere), None);
    world.burst(&device);
    // What runs, whoever started it, does not run nowhere.
    world.active(TARGET, ActiveState::Inactive);
    world.active("app.service", ActiveState::Active);
    world.seconds(600);
    assert_eq!(trouble(&world, TroubleKind::RunsNowhere), None);
    world.active("app.service", ActiveState::Inactive);
    world.seconds(59);
    assert_eq!(trouble(&world, TroubleKind::RunsNowhere), None);
    world.seconds(1);
    assert!(trouble(&world, TroubleKind::RunsNowhere).is_some());
    // The way out is one.
    world.resource("Secondary", "yes");
    assert_eq!(world.said(), [format!("start {TARGET}")]);
    world.comes_up();
    assert_eq!(trouble(&world, TroubleKind::RunsNowhere), None);
}

#[test]
fn a_promotion_of_ours_that_waits_is_not_for_a_person_to_end() {
    let mut world = World::new(app());
    world.unit("app.service", |state| state.load = LoadState::Masked);
    world.active("drbd-promote@r0.service", ActiveState::Active);
    world.source(reactor_core::input::Dialect::Drbd9);
    world.burst(&(crate::world::picture("exists", "r0", "Primary", "no") + "exists -\n"));
    world.seconds(60);
    let what = trouble(&world, TroubleKind::RunsNowhere).expect("no other node can run it");
    assert!(what.ends_with("so no other node can start them; here: app.service is masked"), "{what}");
}

#[test]
fn a_side_without_quorum_does_not_know_whether_it_runs() {
    let mut world = World::new(app());
    world.dump("no");
    world.burst(&device("r0", 0, "UpToDate", "no"));
    world.seconds(600);
    assert_eq!(trouble(&world, TroubleKind::RunsNowhere), None);
}

#[test]
fn why_after_a_forced_demotion() {
    let mut world = World::new(app());
    world.dump("no");
    let forced = resource("change", "r0", "Secondary", "no").replace("force-io-failures:no", "force-io-failures:yes");
    let open = device("r0", 0, "UpToDate", "yes").replace("open:no", "open:yes");
    world.burst(&(forced + &open));
    let said = "standby: DRBD says may_promote:no: it was made Secondary by force, and all I/O fails until whoever still has \
                volume 0 open closes it";
    assert_eq!(world.state(), said);
}

#[test]
fn a_mount_that_could_not_be_unmounted_is_a_problem_on_a_secondary_too() {
    let mut world = World::running(units(&["srv-r0.mount", "app.service"]));
    world.active("srv-r0.mount", ActiveState::Active);
    world.active(TARGET, ActiveState::Inactive);
    world.active("app.service", ActiveState::Inactive);
    world.active("drbd-promote@r0.service", ActiveState::Inactive);
    world.burst(&(resource("change", "r0", "Secondary", "no") + &connection("r0", 1, "Connected", "Primary")));
    world.seconds(9);
    assert_eq!(trouble(&world, TroubleKind::LeftBehind), None, "on the way down it is so for a moment");
    world.seconds(2);
    let what = trouble(&world, TroubleKind::LeftBehind).expect("it is still mounted");
    assert!(what.ends_with("this node is Secondary: srv-r0.mount"), "{what}");
    world.active("srv-r0.mount", ActiveState::Inactive);
    assert_eq!(trouble(&world, TroubleKind::LeftBehind), None);
}

#[test]
fn who_was_waited_for_is_in_the_last_decisions() {
    let mut world = World::new(PromotedResource { head_start: true, ..app() });
    world.options.node_id = Some(5);
    world.dump("yes");
    world.seconds(10);
    assert!(
        world.why("start").contains("n2, n3 could take it first, by data and node id: 0.4 s"),
        "{}",
        world.why("start")
    );
}

#[test]
fn a_block_does_not_outlive_the_resource_but_a_hold_does() {
    let mut world = World::running(PromotedResource { max_failures: 1, ..app() });
    world.unit("app.service", |state| {
        state.active = ActiveState::Failed;
        state.result = Some("exit-code".to_owned());
    });
    world.operator(OperatorVerb::Hold { why: "new cables".to_owned() });
    assert!(world.remembered["r0"].blocked_since.is_some());
    world.configure(&settings(&[("r1", app())]));
    assert_eq!(world.remembered["r0"].blocked_since, None);
    assert!(world.remembered["r0"].hold.is_some());
    world.configure(&settings(&[("r0", app())]));
    assert_eq!((world.report().failures, world.report().last_failure), (0, None));
    assert!(world.report().hold.is_some());
}

/// What is due next is said, in every state that has a deadline.
#[test]
fn a_deadline_says_what_it_is_for() {
    let mut world = World::new(PromotedResource { preferred_nodes: vec!["n2".to_owned(), "n1".to_owned()], ..app() });
    world.dump("yes");
    assert_eq!(world.report().next_for, "the delay ends, and it starts here");
    world.seconds(10);
    world.comes_up();
    world.seconds(60);
    assert!(world.report().next_for.starts_with("DRBD's options"), "{}", world.report().next_for);
}

/// While a stop of ours is under way, nothing was left behind yet.
#[test]
fn what_is_on_its_way_down_by_our_stop_is_not_left_behind() {
    let mut world = World::running(units(&["srv-r0.mount", "app.service"]));
    world.active("srv-r0.mount", ActiveState::Active);
    world.operator(OperatorVerb::Stop { why: String::new() });
    world.active(TARGET, ActiveState::Inactive);
    world.active("app.service", ActiveState::Inactive);
    world.active("drbd-promote@r0.service", ActiveState::Inactive);
    world.resource("Secondary", "no");
    world.seconds(60);
    assert_eq!(trouble(&world, TroubleKind::LeftBehind), None);
    world.done("stop", UnitEnd::Done);
    world.seconds(9);
    assert_eq!(trouble(&world, TroubleKind::LeftBehind), None);
    world.seconds(2);
    assert!(trouble(&world, TroubleKind::LeftBehind).is_some());
}

#[test]
fn why_drbd_says_may_promote_no() {
    let fenced = |lines: &str| {
        let mut world = World::new(app());
        world.options.quorum = Some("off".to_owned());
        for one in &mut world.options.connections {
            one.fencing = Some("resource-only".to_owned());
        }
        world.dump("no");
        world.burst(lines);
        (world.state(), world.obstacle().0)
    };
    let table = [
        (String::new(), "", "may-not-promote"),
        (device("r0", 0, "UpToDate", "no"), ", no quorum on volume 0", "no-quorum"),
        (device("r0", 0, "Inconsistent", "yes"), ", volume 0 is Inconsistent", "disk"),
        (device("r0", 0, "Inconsistent", "no"), ", no quorum on volume 0", "no-quorum"),
    ];
    for (lines, why, kind) in table {
        assert_eq!(fenced(&lines), (format!("standby: DRBD says may_promote:no{why}"), kind));
    }
    // The first start has to wait for nothing but its pause, and says no more than that.
    let mut world = refused(&HELD_OPEN);
    world.seconds(1);
    let why = world.why(&format!("start {TARGET}"));
    assert!(why.starts_with("DRBD says may_promote:yes; DRBD has refused it once"), "{why}");
}
