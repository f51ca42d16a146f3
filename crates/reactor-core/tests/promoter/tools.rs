//! DRBD's tools fail, hang, or take their time.

use std::time::Duration;

use reactor_core::action::{Action, ActionKind, Call, DrbdAnswer, FilesEnd, Outcome, UnitFinding};
use reactor_core::ids::UnitName;
use reactor_core::input::Dialect;
use reactor_core::operator::OperatorVerb;
use reactor_core::settings::promoter::{PromotedResource, RepairLinks, Runner};
use reactor_core::systemd::ActiveState;

use crate::world::{TARGET, World, app, connection, picture, resource, settings, units};

const SAID: &str = "drbd.d/other.res:12: Parse error (exit code 10)";

/// A world whose drbdadm fails.
fn broken() -> World {
    World::where_(|world| world.tools_fail = Some(SAID.to_owned()), &[("r0", app())])
}

/// A world that does not answer these.
fn silent(what: &[&'static str]) -> World {
    World::where_(|world| world.silent = what.to_vec(), &[("r0", app())])
}

fn count(said: &[String], what: &str) -> usize {
    said.iter().filter(|text| *text == what).count()
}

#[test]
fn a_failing_adjust_keeps_nobody_from_starting_what_drbd_has() {
    let mut world = broken();
    world.dump("yes");
    assert!(world.said().contains(&format!("start {TARGET}")));
    let report = world.report();
    assert!(report.warnings.contains(&format!("drbdadm adjust failed: {SAID}; it is tried again")), "{report:?}");
    assert!(report.warnings.contains(&format!("drbdadm sh-ll-dev failed: {SAID}; it is tried again")), "{report:?}");
    let past = report.history.iter().find(|past| past.what == "drbdadm adjust r0").expect("a decision");
    assert_eq!(past.outcome.as_deref(), Some(format!("failed: {SAID} after 0 s").as_str()));
}

#[test]
fn tools_that_fail_are_tried_again_with_back_off_until_they_work() {
    let mut world = broken();
    world.dump("no");
    world.all();
    for wait in [5, 10, 20, 40, 80, 160, 300, 300] {
        world.seconds(wait - 1);
        assert_eq!(count(&world.all(), "adjust r0"), 0, "{wait}");
        world.seconds(1);
        let all = world.all();
        assert_eq!((count(&all, "sh-ll-dev r0"), count(&all, "adjust r0")), (1, 1), "{wait}: {all:?}");
        assert!(!all.iter().any(|text| text.starts_with("Warn")), "said once: {all:?}");
    }
    assert!(world.report().history.len() < 3, "what is repeated pushes nothing else out");
    world.tools_fail = None;
    world.seconds(300);
    let all = world.all();
    assert!(all.contains(&"Info: r0: drbdadm adjust works again".to_owned()), "{all:?}");
    assert_eq!(world.report().warnings, [""; 0]);
    assert_eq!(world.report().history.last().and_then(|past| past.outcome.clone()).as_deref(), Some("done after 0 s"));
    world.seconds(3600);
    assert_eq!(count(&world.all(), "adjust r0"), 0);
}

#[test]
fn what_drbd_does_not_have_says_what_drbdadm_said_and_is_back_a_minute_after_it_is_mended() {
    let mut world = broken();
    world.source(Dialect::Drbd9);
    world.burst("exists -\n");
    assert_eq!(world.state(), format!("preparing: drbdadm adjust failed: {SAID}"));
    world.seconds(3600);
    world.tools_fail = None;
    world.all();
    world.seconds(60);
    assert!(world.all().contains(&"adjust r0".to_owned()));
    world.burst(&picture("create", "r0", "Secondary", "yes"));
    world.seconds(2);
    assert!(world.said().contains(&format!("start {TARGET}")), "{}", world.state());
}

#[test]
fn an_adjust_that_hangs_is_named_and_not_waited_for_where_drbd_has_the_resource() {
    let mut world = silent(&["adjust"]);
    world.dump("yes");
    world.seconds(19);
    assert_eq!(world.state(), "preparing: drbdadm adjust has not ended yet");
    assert_eq!(world.said(), ["adjust r0"]);
    world.seconds(1);
    assert_eq!(world.said(), [format!("start {TARGET}")]);
    let warnings = world.report().warnings;
    assert_eq!(warnings, ["drbdadm adjust has not ended for more than 20 s: it may hang"]);
}

#[test]
fn lower_devices_are_asked_for_again_without_another_adjust() {
    let mut world = silent(&["sh-ll-dev"]);
    world.dump("no");
    world.ends("sh-ll-dev r0", Outcome::Drbd(DrbdAnswer::Failed { why: SAID.to_owned() }));
    assert_eq!(world.report().warnings, [format!("drbdadm sh-ll-dev failed: {SAID}; it is tried again")]);
    world.silent.clear();
    world.all();
    world.seconds(5);
    let all = world.all();
    assert_eq!((count(&all, "sh-ll-dev r0"), count(&all, "adjust r0")), (1, 0), "{all:?}");
    assert_eq!(world.report().warnings, [""; 0]);
}

#[test]
fn tools_and_files_wait_for_nothing_of_each_other_and_the_options_are_read_once() {
    let mut world = silent(&["files", "adjust"]);
    world.source(Dialect::Drbd9);
    world.burst("exists -\n");
    assert_eq!(world.all(), ["sh-ll-dev r0", "files r0", "adjust r0"], "systemd has not read its units again yet");
    for line in picture("create", "r0", "Secondary", "no").lines() {
        world.burst(&format!("{line}\n"));
    }
    world.seconds(1);
    assert_eq!(world.all(), [""; 0], "an adjust may change all options");
    world.ends("adjust r0", Outcome::Drbd(DrbdAnswer::Done));
    assert_eq!(world.all(), ["show r0"]);
    world.resource("Secondary", "yes");
    assert_eq!(world.state(), "preparing: its unit files are not written yet");
    world.ends("files r0", Outcome::Files(FilesEnd::Written));
    assert!(world.said().contains(&format!("start {TARGET}")));
    world.seconds(60);
    assert_eq!(count(&world.all(), "show r0"), 0);
}

const SERVICE: &str = "drbd@r0.service";

/// At a boot systemd runs it, when we come as well. The second adjust of a resource fails, and if that is the service's it takes all down.
#[test]
fn an_adjust_waits_for_the_end_of_drbd_utils_own() {
    let begins =
        |world: &mut World| world.unit(SERVICE, |state| (state.active, state.job) = (ActiveState::Activating, true));
    let ends =
        |world: &mut World| world.unit(SERVICE, |state| (state.active, state.job) = (ActiveState::Active, false));
    let mut world = World::where_(begins, &[("r0", app())]);
    world.dump("no");
    assert_eq!(count(&world.all(), "adjust r0"), 0);
    assert_eq!(world.state(), "preparing: drbd-utils' own service adjusts it, and its end is waited for");
    ends(&mut world);
    assert_eq!(count(&world.all(), "adjust r0"), 1);
    // One that hangs costs no take-over of what DRBD has, and at last ours is tried.
    let mut world = World::where_(begins, &[("r0", app())]);
    world.dump("yes");
    world.seconds(19);
    assert_eq!(world.said(), [""; 0]);
    world.seconds(1);
    assert_eq!(world.said(), [format!("start {TARGET}")]);
    assert!(world.report().warnings.iter().any(|text| text.contains("it may hang")), "{:?}", world.report().warnings);
    world.seconds(99);
    assert_eq!(count(&world.all(), "adjust r0"), 0);
    world.seconds(1);
    assert_eq!(count(&world.all(), "adjust r0"), 1);
}

/// The kernel takes a resource down while others already see it as down: until it says that the resource is gone, its disk is in use.
#[test]
fn what_goes_down_is_not_touched_before_drbd_says_that_it_is_gone() {
    let mut world = World::new(app());
    world.dump("no");
    assert_eq!(count(&world.all(), "adjust r0"), 1);
    world.unit(SERVICE, |state| state.active = ActiveState::Failed);
    world.seconds(5);
    let all = world.all();
    assert_eq!((count(&all, "adjust r0"), count(&all, "sh-ll-dev r0")), (0, 0), "{all:?}");
    world.burst("destroy resource name:r0\n");
    assert_eq!(count(&world.all(), "adjust r0"), 1);
}

#[test]
fn without_a_word_of_systemd_an_adjust_waits_a_moment_and_no_longer() {
    let mut world = World::bare();
    world.configure(&settings(&[("r0", app())]));
    world.dump("no");
    world.pass(Duration::from_millis(2_999));
    assert_eq!(count(&world.all(), "adjust r0"), 0);
    world.pass(Duration::from_millis(1));
    assert_eq!(count(&world.all(), "adjust r0"), 1);
    // A bus that comes at once costs nothing.
    let mut world = World::bare();
    world.configure(&settings(&[("r0", app())]));
    world.dump("no");
    world.bus_up();
    assert_eq!(count(&world.all(), "adjust r0"), 1);
}

/// What drbd-utils' own service took down nobody wanted to be down; what a person took down stays so.
#[test]
fn what_drbd_utils_own_service_took_down_is_adjusted_once_more() {
    let fails = |world: &mut World| world.unit(SERVICE, |state| state.active = ActiveState::Failed);
    let goes = |world: &mut World| world.burst("destroy resource name:r0\n");
    for failed_first in [true, false] {
        let mut world = World::new(app());
        world.dump("no");
        assert_eq!(count(&world.all(), "adjust r0"), 1);
        if failed_first {
            fails(&mut world);
            goes(&mut world);
        } else {
            goes(&mut world);
            fails(&mut world);
        }
        let all = world.all();
        assert_eq!(count(&all, "adjust r0"), 1, "{all:?}");
        let said = "Warn: r0: drbd@r0.service of drbd-utils has failed and taken r0 down: it is adjusted once more";
        assert_eq!(count(&all, said), 1, "{all:?}");
        // It is there again, and this time a person takes it down.
        world.burst(&picture("create", "r0", "Secondary", "no"));
        world.seconds(60);
        world.all();
        goes(&mut world);
        world.seconds(600);
        assert_eq!(count(&world.all(), "adjust r0"), 0);
    }
}

#[test]
fn while_it_is_adjusted_links_say_nothing_and_what_stays_is_said_once() {
    let mut world = silent(&["adjust"]);
    world.source(Dialect::Drbd9);
    world.burst("exists -\n");
    let text = picture("create", "r0", "Secondary", "no").replace("connection:Connected", "connection:StandAlone");
    world.burst(&text);
    world.all();
    world.seconds(15);
    assert!(world.report().is_adjusting);
    assert_eq!(world.all(), ["show r0"], "its options are not waited for so long");
    assert_eq!(world.report().warnings, [""; 0]);
    world.ends("adjust r0", Outcome::Drbd(DrbdAnswer::Done));
    assert!(!world.report().is_adjusting);
    world.burst(&connection("r0", 2, "Connecting", "Unknown"));
    world.seconds(60);
    let all = world.all();
    let said: Vec<&String> = all.iter().filter(|text| text.contains("StandAlone")).collect();
    assert_eq!(said, ["Warn: r0: the connection to n2 is StandAlone, and was so when we came"]);
}

#[test]
fn what_every_start_needs_of_systemd_is_up_before_the_first_one_and_asked_for_once() {
    let mut world = World::new(app());
    world.dump("no");
    assert_eq!(count(&world.all(), "start drbd@r0.target"), 1);
    world.seconds(3600);
    world.resource("Secondary", "yes");
    assert_eq!(count(&world.all(), "start drbd@r0.target"), 0);

    let mut world = World::new(app());
    for unit in [TARGET, "drbd-promote@r0.service", "app.service"] {
        world.active(unit, ActiveState::Active);
    }
    world.source(Dialect::Drbd9);
    world.burst(&(picture("exists", "r0", "Primary", "no") + "exists -\n"));
    world.seconds(3600);
    let asked = |action: &&Action| matches!(&action.kind, ActionKind::Call(Call::Unit(call)) if call.unit.as_str() == "drbd@r0.target");
    assert_eq!(world.actions.iter().filter(asked).count(), 0, "a start has brought it up");

    let mut world = World::new(app());
    world.source(Dialect::Drbd9);
    world.burst("exists -\n");
    world.seconds(60);
    assert_eq!(count(&world.all(), "start drbd@r0.target"), 0, "what DRBD does not have would be adjusted once more");
    world.burst(&resource("create", "r0", "Secondary", "no"));
    assert_eq!(count(&world.all(), "start drbd@r0.target"), 1);
}

#[test]
fn a_start_that_hangs_before_the_promotion_names_what_it_waits_for() {
    let mut world = World::new(app());
    world.dump("yes");
    world.seconds(10);
    assert_eq!(world.report().warnings, [""; 0]);
    world.seconds(1);
    assert_eq!(
        world.report().warnings,
        [
            "its start has hung for more than 10 s: drbd-promote@r0.service waits for drbd@r0.target, and that for drbd@r0.service; \
          systemctl list-jobs shows what runs"
        ]
    );
    world.active("drbd-promote@r0.service", ActiveState::Activating);
    let warnings = world.report().warnings;
    assert!(warnings[0].ends_with("drbd-promote@r0.service: drbdsetup primary does not end"), "{warnings:?}");
    world.comes_up();
    assert_eq!(world.report().warnings, [""; 0]);
}

/// Each look is a drbdadm that reads all files: with a hundred disks that never come it was fifty a second.
#[test]
fn a_device_that_does_not_come_is_looked_for_more_and_more_rarely() {
    let mut world = World::where_(|world| world.lower[0].ready = false, &[("r0", app())]);
    world.dump("yes");
    world.all();
    let looks = |world: &mut World, seconds: u64| {
        world.seconds(seconds);
        count(&world.all(), "sh-ll-dev r0")
    };
    assert_eq!(looks(&mut world, 50), 25, "at a boot it comes soon");
    world.seconds(300);
    world.all();
    assert_eq!(looks(&mut world, 600), 20);
    world.lower[0].ready = true;
    world.seconds(30);
    assert!(world.said().contains(&format!("start {TARGET}")));
}

#[test]
fn a_start_that_hangs_names_the_unit_that_runs() {
    let service = UnitName::new("drbd@r0.service");
    let needs = vec![service.clone()];
    let target = UnitFinding { needs, ..UnitFinding::new(UnitName::new("drbd@r0.target")) };
    let said = vec!["Waiting for /dev/mapper/slow".to_owned()];
    let service = UnitFinding { active: ActiveState::Activating, said, ..UnitFinding::new(service) };
    let mut world = World::where_(|world| world.findings = vec![target, service], &[("r0", app())]);
    world.dump("yes");
    world.pass(Duration::from_millis(9_999));
    assert_eq!(count(&world.all(), "examine drbd-promote@r0.service drbd@r0.target drbd@r0.service"), 0);
    world.pass(Duration::from_millis(1_001));
    assert_eq!(
        world.report().warnings,
        [
            "its start has hung for more than 10 s: drbd-promote@r0.service waits for drbd@r0.service, whose start has not ended; \
          it said: Waiting for /dev/mapper/slow"
        ]
    );
    world.seconds(3600);
    assert_eq!(world.all().iter().filter(|text| text.starts_with("examine")).count(), 1, "asked once");
}

#[test]
fn files_that_cannot_be_written_are_tried_again_with_a_pause() {
    let failed = || Outcome::Files(FilesEnd::Failed { why: "no space".to_owned() });
    let mut world = World::where_(|world| world.silent = vec!["files"], &[("r0", app())]);
    world.dump("no");
    assert_eq!(count(&world.all(), "files r0"), 1);
    for pause in [2, 4, 8] {
        world.ends("files r0", failed());
        world.pass(Duration::from_secs(pause) - Duration::from_millis(1));
        assert_eq!(count(&world.all(), "files r0"), 0, "{pause}");
        world.pass(Duration::from_millis(1));
        assert_eq!(count(&world.all(), "files r0"), 1, "{pause}");
    }
}

/// The end of the patience with an adjust is a deadline, whatever happens before.
#[test]
fn an_adjust_that_hangs_is_waited_for_until_its_time_is_over() {
    for repair_links in [RepairLinks::Adjust, RepairLinks::Off] {
        let settings = PromotedResource { repair_links, ..app() };
        let mut world = World::where_(|world| world.silent = vec!["adjust"], &[("r0", settings)]);
        world.dump("yes");
        world.seconds(5);
        world.active("app.service", ActiveState::Failed);
        let report = world.report();
        let left = report.next.map(|at| at.since(world.now).as_secs());
        assert_eq!((left, report.next_for), (Some(15), "drbdadm adjust is waited for no longer"));
        assert!(report.is_adjusting);
        world.pass(Duration::from_millis(14_999));
        assert!(world.report().is_adjusting && !world.said().contains(&format!("start {TARGET}")));
        world.pass(Duration::from_millis(1));
        assert!(!world.report().is_adjusting && world.said().contains(&format!("start {TARGET}")));
    }
}

/// One at a time: a repair of a link is an adjust, too.
#[test]
fn an_adjust_that_is_tried_again_waits_for_the_repair_of_a_link() {
    let said = "other.res:12: Parse error (exit code 10)".to_owned();
    let mut world = World::where_(|world| world.tools_fail = Some(said), &[("r0", app())]);
    world.dump("no");
    world.seconds(60);
    world.silent = vec!["adjust --skip-disk"];
    for state in ["NetworkFailure", "Connecting", "Connected", "StandAlone"] {
        world.burst(&connection("r0", 1, state, "Unknown"));
    }
    world.seconds(1);
    assert_eq!(world.said_of_links(), ["adjust r0", "adjust r0", "adjust r0", "adjust r0", "adjust --skip-disk r0"]);
    world.seconds(600);
    assert_eq!(world.said_of_links(), [""; 0]);
    world.ends("adjust --skip-disk r0", Outcome::Drbd(DrbdAnswer::Done));
    world.seconds(1);
    assert!(world.said_of_links().contains(&"adjust r0".to_owned()));
}

/// drbd-utils' own service has failed, and DRBD has the resource all the same.
#[test]
fn what_was_not_taken_down_is_not_adjusted_once_more() {
    let mut world = World::new(app());
    world.dump("no");
    world.all();
    world.active("drbd@r0.service", ActiveState::Failed);
    world.seconds(5);
    assert_eq!(world.all(), [""; 0]);
    // Whether DRBD has it, nobody knows.
    let mut world = World::new(app());
    world.seconds(4);
    assert_eq!(count(&world.all(), "adjust r0"), 1);
    world.active("drbd@r0.service", ActiveState::Failed);
    world.seconds(5);
    assert_eq!(world.all(), [""; 0]);
}

#[test]
fn what_nobody_needs_of_systemd_is_not_brought_up() {
    let asked = |world: &mut World| count(&world.all(), "start drbd@r0.target");
    let mut unadjusted = World::new(PromotedResource { adjust_resource_on_start: false, ..app() });
    unadjusted.dump("no");
    assert_eq!(asked(&mut unadjusted), 0, "its configuration is nothing of ours");
    let shell = PromotedResource { runner: Runner::Shell, ..units(&["up"]) };
    let mut shell = World::new(shell);
    shell.dump("no");
    assert_eq!(asked(&mut shell), 0);
    let mut held = World::new(app());
    held.operator(OperatorVerb::Hold { why: String::new() });
    held.dump("no");
    held.seconds(60);
    assert_eq!(asked(&mut held), 0);
}

#[test]
fn options_are_read_of_what_drbd_has() {
    let mut world = World::new(app());
    world.source(Dialect::Drbd9);
    world.burst("exists -\n");
    world.seconds(600);
    assert_eq!(count(&world.all(), "show r0"), 0);
    world.burst(&picture("create", "r0", "Secondary", "no"));
    assert_eq!(count(&world.all(), "show r0"), 1);
    world.source_dies();
    world.seconds(600);
    assert_eq!(count(&world.all(), "show r0"), 0, "nobody knows whether DRBD still has it");
}
