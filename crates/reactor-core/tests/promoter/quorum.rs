//! Quorum lost and regained: shutdown, freeze, thaw, freeze-timeout.

use std::time::Duration;

use reactor_core::action::{ActionKind, Call, DrbdAnswer, Outcome};
use reactor_core::ids::{ResourceName, UnitName};
use reactor_core::operator::{Memory, OperatorVerb};
use reactor_core::settings::promoter::{OnDiskDetach, OnQuorumLoss, PromotedResource};
use reactor_core::systemd::{ActiveState, FreezerState, UnitEnd, UnitState, UnitVerb};

use crate::world::{TARGET, World, app, connection, device, device_as, peer_device, picture_of, resource, units};

fn freeze() -> PromotedResource {
    PromotedResource { on_quorum_loss: OnQuorumLoss::Freeze, ..app() }
}

fn lose(world: &mut World, volumes: &[u32]) {
    let mut text = resource("change", "r0", "Primary", "no");
    for volume in volumes {
        text.push_str(&device("r0", *volume, "UpToDate", "no"));
    }
    world.burst(&text);
}

fn regain(world: &mut World, volumes: &[u32]) {
    let text: String = volumes.iter().map(|volume| device("r0", *volume, "UpToDate", "yes")).collect();
    world.burst(&text);
}

/// A world whose r0 has two volumes and runs here.
fn running_two(settings: PromotedResource) -> World {
    let mut world = World::new(settings);
    world.source(reactor_core::input::Dialect::Drbd9);
    world.burst(&(picture_of("exists", "r0", "Secondary", "yes", 2) + "exists -\n"));
    world.seconds(60);
    world.comes_up();
    world
}

#[test]
fn shutdown_stops() {
    let mut world = World::running(app());
    lose(&mut world, &[0]);
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
    assert_eq!(world.why("stop"), "quorum lost on volume 0");
}

#[test]
fn a_service_that_fails_without_quorum_or_in_a_stop_has_not_failed() {
    let fail = |state: &mut UnitState| {
        state.active = ActiveState::Failed;
        state.result = Some("exit-code".to_owned());
    };
    // Its writes get errors, and that is told before anything has stopped.
    let mut world = World::running(app());
    lose(&mut world, &[0]);
    world.unit("app.service", fail);
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
    world.goes_down("no");
    assert_eq!(world.report().failures, 0);

    // Stopped by us, and too slow for systemd.
    let mut world = World::running(PromotedResource { on_disk_detach: OnDiskDetach::FailOver, ..app() });
    world.burst(&device_as("change", "r0", 0, "Diskless", "yes", "no"));
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
    world.unit("app.service", fail);
    world.goes_down("yes");
    assert_eq!(world.report().failures, 0);
}

#[test]
fn quorum_lost_on_many_volumes_is_one_event() {
    let mut world = running_two(app());
    lose(&mut world, &[0, 1]);
    lose(&mut world, &[0, 1]);
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
    assert_eq!(world.why("stop"), "quorum lost on volumes 0, 1");
}

#[test]
fn a_secondary_that_merely_settles_stops_nothing() {
    let mut world = World::new(app());
    world.dump("no");
    world.burst(&device("r0", 0, "UpToDate", "no"));
    world.burst(&device("r0", 0, "UpToDate", "yes"));
    assert_eq!(world.said(), ["adjust r0"]);
}

#[test]
fn freeze_freezes_by_name_everything_but_mounts_d33() {
    let mut world = World::new(PromotedResource {
        on_quorum_loss: OnQuorumLoss::Freeze,
        ..units(&["apache2.service", "srv.mount", "zzz.service"])
    });
    world.dump("yes");
    world.seconds(60);
    world.comes_up_with(&["apache2.service", "srv.mount", "zzz.service"]);
    lose(&mut world, &[0]);
    assert_eq!(
        world.said(),
        ["freeze apache2.service", "freeze zzz.service"],
        "never drbd-promote@, whatever sorts before it"
    );
    assert!(world.remembered["r0"].frozen, "whoever starts next has to know");
    world.all();
    world.active("srv.mount", ActiveState::Failed);
    assert!(
        !world.all().contains(&"remember r0".to_owned()),
        "that nothing is frozen yet does not mean that it is over"
    );
    world.active("srv.mount", ActiveState::Active);
    world.done("freeze apache2.service", UnitEnd::Done);
    world.frozen("apache2.service", FreezerState::Frozen);
    world.done("freeze zzz.service", UnitEnd::Done);
    assert!(world.said().is_empty());
    assert!(world.state().starts_with("frozen: quorum lost"), "{}", world.state());
    assert!(world.remembered["r0"].frozen, "whatever was told of them meanwhile");
    let counters = world.core.instances().iter().flat_map(reactor_core::core::Instance::counters);
    let freezes: Vec<u64> = counters.filter(|counter| counter.name == "freezes").map(|counter| counter.value).collect();
    assert_eq!(freezes, [1], "for both");
    let report = world.report();
    assert_eq!(report.history.last().and_then(|past| past.outcome.as_deref()), Some("done after 0 s"), "it has ended");
}

#[test]
fn what_is_frozen_is_thawed_when_it_is_stopped_at_exit() {
    let mut world = World::running(PromotedResource { stop_services_on_exit: true, ..freeze() });
    lose(&mut world, &[0]);
    world.done("freeze", UnitEnd::Done);
    world.frozen("app.service", FreezerState::Frozen);
    world.said();
    world.step(&reactor_core::input::Input::Exit);
    let all = world.all();
    let stop = all.iter().skip_while(|text| *text != "sync-journal").skip(1).collect::<Vec<_>>();
    assert_eq!(stop, [&format!("stop {TARGET}"), "thaw app.service"]);
}

/// What has the device open could not be stopped: no unmount ends before its I/O does.
#[test]
fn suspended_io_fails_before_the_stop_at_exit() {
    let stop_at_exit = |settings: PromotedResource, suspended: &str| {
        let mut world = World::running(PromotedResource { stop_services_on_exit: true, ..settings });
        let text = resource("change", "r0", "Primary", "no").replace("suspended:no", &format!("suspended:{suspended}"));
        world.burst(&(text + &device("r0", 0, "UpToDate", if suspended == "quorum" { "no" } else { "yes" })));
        world.said();
        world.step(&reactor_core::input::Input::Exit);
        world.said()
    };
    let stop = format!("stop {TARGET}");
    let forced = ["secondary --force r0".to_owned(), stop.clone()];
    assert_eq!(stop_at_exit(freeze(), "quorum")[..2], forced);
    assert_eq!(stop_at_exit(freeze(), "no-data")[..2], forced);
    let gentle = PromotedResource { secondary_force: false, ..freeze() };
    assert_eq!(stop_at_exit(gentle, "quorum")[0], stop);
    assert_eq!(stop_at_exit(freeze(), "no"), std::slice::from_ref(&stop));
    assert_eq!(stop_at_exit(freeze(), "user"), [stop], "a person has suspended it, and will resume it");
}

/// `on-no-quorum suspend-io` with services that are stopped without quorum: the same, at any time.
#[test]
fn suspended_io_fails_before_a_stop_for_lost_quorum() {
    let mut world = World::running(app());
    let text = resource("change", "r0", "Primary", "no").replace("suspended:no", "suspended:quorum");
    world.burst(&(text.clone() + &device("r0", 0, "UpToDate", "no")));
    assert_eq!(world.said(), ["secondary --force r0".to_owned(), format!("stop {TARGET}")]);

    // Not frozen, because not all of it runs yet.
    let mut world = World::new(freeze());
    world.dump("yes");
    world.seconds(60);
    world.active("drbd-promote@r0.service", ActiveState::Active);
    world.resource("Primary", "no");
    world.said();
    world.burst(&(text + &device("r0", 0, "UpToDate", "no")));
    assert_eq!(world.said(), ["secondary --force r0".to_owned(), format!("stop {TARGET}")]);
}

#[test]
fn thaws_when_quorum_is_back() {
    let mut world = World::running(freeze());
    lose(&mut world, &[0]);
    world.done("freeze", UnitEnd::Done);
    world.frozen("app.service", FreezerState::Frozen);
    world.said();
    regain(&mut world, &[0]);
    assert_eq!(world.said(), ["thaw app.service"]);
    assert_eq!(world.why("thaw"), "quorum on every volume; its services are frozen");
    world.done("thaw", UnitEnd::Done);
    world.frozen("app.service", FreezerState::Running);
    assert_eq!(world.state(), "running: its services run here");
    assert!(!world.remembered["r0"].frozen);
}

#[test]
fn thaws_only_when_every_volume_has_quorum() {
    let mut world = running_two(freeze());
    lose(&mut world, &[0, 1]);
    assert_eq!(world.said(), ["freeze app.service"], "once, not per volume");
    world.done("freeze", UnitEnd::Done);
    world.frozen("app.service", FreezerState::Frozen);
    regain(&mut world, &[0]);
    assert_eq!(world.said(), [""; 0]);
    regain(&mut world, &[1]);
    assert_eq!(world.said(), ["thaw app.service"]);
}

#[test]
fn made_secondary_while_frozen_stops() {
    let mut world = World::running(freeze());
    lose(&mut world, &[0]);
    world.done("freeze", UnitEnd::Done);
    world.frozen("app.service", FreezerState::Frozen);
    world.said();
    world.burst(&(resource("change", "r0", "Secondary", "no") + &device("r0", 0, "UpToDate", "yes")));
    assert_eq!(world.said(), [format!("stop {TARGET}"), "thaw app.service".to_owned()], "a frozen process cannot end");
    assert_eq!(world.why("stop"), "DRBD says Secondary here while its services run");
}

#[test]
fn made_secondary_without_quorum_stops_too() {
    let mut world = World::running(freeze());
    lose(&mut world, &[0]);
    world.done("freeze", UnitEnd::Done);
    world.frozen("app.service", FreezerState::Frozen);
    world.said();
    world.resource("Secondary", "no");
    assert_eq!(world.said()[0], format!("stop {TARGET}"));
}

#[test]
fn made_secondary_while_we_were_away() {
    // The daemon comes back and finds frozen services on a Secondary.
    let mut world = World::new(freeze());
    world.active(TARGET, ActiveState::Active);
    world.active("drbd-promote@r0.service", ActiveState::Active);
    world.active("app.service", ActiveState::Active);
    world.frozen("app.service", FreezerState::Frozen);
    world.dump("no");
    world.seconds(2);
    assert_eq!(
        world.said(),
        ["adjust r0", "thaw app.service", &format!("stop {TARGET}")]
            .iter()
            .map(|text| (*text).to_owned())
            .filter(|text| text != "thaw app.service")
            .chain(["thaw app.service".to_owned()])
            .collect::<Vec<_>>()
    );
}

#[test]
fn quorum_lost_while_we_were_away() {
    let mut world = World::new(app());
    for unit in [TARGET, "drbd-promote@r0.service", "app.service"] {
        world.active(unit, ActiveState::Active);
    }
    world.source(reactor_core::input::Dialect::Drbd9);
    let text = picture_of("exists", "r0", "Primary", "no", 1).replace("quorum:yes", "quorum:no");
    world.burst(&(text + "exists -\n"));
    assert!(world.said().contains(&format!("stop {TARGET}")));
}

#[test]
fn quorum_regained_while_we_were_away_thaws() {
    let mut world = World::new(freeze());
    for unit in [TARGET, "drbd-promote@r0.service", "app.service"] {
        world.active(unit, ActiveState::Active);
    }
    world.frozen("app.service", FreezerState::Frozen);
    world.source(reactor_core::input::Dialect::Drbd9);
    world.burst(&(picture_of("exists", "r0", "Primary", "no", 1) + "exists -\n"));
    assert!(world.said().contains(&"thaw app.service".to_owned()));
}

#[test]
fn frozen_for_too_long_is_a_shutdown() {
    let mut world = World::running(PromotedResource { freeze_timeout: Some(Duration::from_secs(60)), ..freeze() });
    lose(&mut world, &[0]);
    world.done("freeze", UnitEnd::Done);
    world.frozen("app.service", FreezerState::Frozen);
    world.said();
    world.pass(Duration::from_millis(59_999));
    assert_eq!(world.said(), [""; 0]);
    world.pass(Duration::from_millis(1));
    let said = world.said();
    assert_eq!(said, ["secondary --force r0", &format!("stop {TARGET}"), "thaw app.service"]);
    assert_eq!(world.why("stop"), "quorum lost on volume 0; without quorum for longer than freeze-timeout (60 s)");
}

/// With I/O that hangs it may take its time, and each one more would hang beside it.
#[test]
fn a_forced_secondary_that_hangs_is_not_asked_for_again() {
    let mut world = World::running(PromotedResource { freeze_timeout: Some(Duration::from_secs(60)), ..freeze() });
    world.silent = vec!["secondary"];
    lose(&mut world, &[0]);
    world.done("freeze", UnitEnd::Done);
    world.frozen("app.service", FreezerState::Frozen);
    world.seconds(60);
    assert!(world.said().contains(&"secondary --force r0".to_owned()));
    for _ in 0..3 {
        world.done("stop", UnitEnd::Job("timeout".to_owned()));
        world.seconds(120);
        let said = world.said();
        assert!(
            said.contains(&format!("stop {TARGET}")) && !said.contains(&"secondary --force r0".to_owned()),
            "{said:?}"
        );
    }
    world.ends("secondary --force r0", Outcome::Drbd(DrbdAnswer::Failed { why: "it hung".to_owned() }));
    world.done("stop", UnitEnd::Job("timeout".to_owned()));
    world.seconds(120);
    assert!(world.said().contains(&"secondary --force r0".to_owned()));
}

/// Who holds a device open is not gone because it was tried: a failure is never taken for a success.
#[test]
fn a_forced_secondary_that_failed_is_told_and_asked_for_again() {
    let mut world = World::running(PromotedResource { freeze_timeout: Some(Duration::from_secs(60)), ..freeze() });
    world.silent = vec!["secondary"];
    lose(&mut world, &[0]);
    world.done("freeze", UnitEnd::Done);
    world.frozen("app.service", FreezerState::Frozen);
    world.seconds(60);
    assert!(world.said().contains(&"secondary --force r0".to_owned()));
    let why = "r0: State change failed: (-12) Device is held open by someone (exit code 11)".to_owned();
    world.ends("secondary --force r0", Outcome::Drbd(DrbdAnswer::Failed { why: why.clone() }));
    assert!(world.all().iter().any(|text| text.starts_with("Warn: ") && text.contains(&why)));
    world.done("stop", UnitEnd::Job("timeout".to_owned()));
    world.seconds(120);
    assert!(world.said().contains(&"secondary --force r0".to_owned()));
}

#[test]
fn a_freeze_that_fails_is_repeated_and_shown() {
    let mut world = World::running(freeze());
    lose(&mut world, &[0]);
    world.said();
    let refused =
        UnitEnd::Refused { error: "org.freedesktop.DBus.Error.NotSupported".to_owned(), message: "no".to_owned() };
    world.done("freeze", refused);
    assert!(world.report().warnings.iter().any(|text| text.contains("app.service: freeze failed: refused: no")));
    assert_eq!(world.said(), [""; 0]);
    world.seconds(5);
    assert_eq!(world.said(), ["freeze app.service"]);
}

fn refused() -> UnitEnd {
    UnitEnd::Refused { error: "org.freedesktop.systemd1.UnitBusy".to_owned(), message: "no".to_owned() }
}

/// r0 runs here with all of these, and can be frozen.
fn running_with(members: &[&str]) -> World {
    let mut world = World::new(PromotedResource { on_quorum_loss: OnQuorumLoss::Freeze, ..units(members) });
    world.dump("yes");
    world.seconds(60);
    world.comes_up_with(members);
    world
}

#[test]
fn only_what_has_processes_is_frozen() {
    let members = ["run-mnt.mount", "once.service", "a.timer", "b.socket", "db.service", "x.scope"];
    let mut world = running_with(&members);
    world.unit("once.service", |state| state.sub = "exited".to_owned());
    lose(&mut world, &[0]);
    assert_eq!(world.said(), ["freeze db.service", "freeze x.scope"]);
    assert!(
        world.state().contains("what cannot be frozen goes on: once.service, a.timer, b.socket"),
        "{}",
        world.state()
    );
}

#[test]
fn a_unit_that_refuses_to_freeze_delays_neither_the_others_nor_any_thaw() {
    let mut world = running_with(&["a.service", "b.service", "c.service"]);
    lose(&mut world, &[0]);
    assert_eq!(world.said().len(), 3);
    world.done("freeze a.service", UnitEnd::Done);
    world.frozen("a.service", FreezerState::Frozen);
    world.done("freeze b.service", refused());
    // News of c are late: it is frozen, and nobody has said so.
    assert_eq!(world.said(), [""; 0]);
    world.seconds(4);
    regain(&mut world, &[0]);
    assert_eq!(world.said(), ["thaw a.service", "thaw c.service"], "at once, whatever became of the others");
    assert_eq!(world.report().warnings, [""; 0], "what is over is forgotten");
    world.done("freeze c.service", UnitEnd::Done);
    world.done("thaw a.service", UnitEnd::Done);
    world.frozen("a.service", FreezerState::Running);
    world.done("thaw c.service", UnitEnd::Done);
    world.frozen("c.service", FreezerState::Running);
    assert_eq!(world.said(), [""; 0]);
    let history = world.report().history;
    let freeze = history.iter().find(|past| past.what.starts_with("freeze")).unwrap();
    let how = freeze.outcome.as_deref().unwrap();
    assert!(how.starts_with("2 of 3 done; b.service: refused: no"), "{how}");
}

#[test]
fn freezing_is_all_one_can_have_of_a_writer_that_waits_for_its_disk() {
    let mut world = World::running(freeze());
    lose(&mut world, &[0]);
    assert_eq!(world.said(), ["freeze app.service"]);
    // The call never returns; systemd says no more than this.
    world.frozen("app.service", FreezerState::Freezing);
    world.done("freeze", UnitEnd::TimedOut);
    world.seconds(600);
    assert_eq!(world.said(), [""; 0]);
    assert_eq!(world.report().warnings, [""; 0]);
    // Quorum is back: a thaw that systemd refuses because the freeze is under way is repeated as soon as that is over.
    regain(&mut world, &[0]);
    assert_eq!(world.said(), ["thaw app.service"]);
    world.done("thaw", refused());
    assert_eq!(world.said(), [""; 0]);
    world.frozen("app.service", FreezerState::Frozen);
    assert_eq!(world.said(), ["thaw app.service"]);
    world.done("thaw", UnitEnd::Done);
    world.frozen("app.service", FreezerState::Running);
    assert_eq!(world.report().warnings, [""; 0]);
    assert_eq!(world.state(), "running: its services run here");
}

#[test]
fn a_freeze_that_is_told_too_late_is_accepted_and_one_that_never_is_backs_off() {
    let mut world = World::running(freeze());
    lose(&mut world, &[0]);
    world.done("freeze", UnitEnd::TimedOut);
    assert_eq!(world.report().warnings, [""; 0], "systemd's word on the unit may be on its way");
    world.said();
    let mut asked = 0;
    for _ in 0..300 {
        world.seconds(1);
        for text in world.said() {
            assert_eq!(text, "freeze app.service");
            world.done("freeze", UnitEnd::Done);
            asked += 1;
        }
    }
    assert!((3..=8).contains(&asked), "{asked}");
    assert_eq!(world.report().warnings.len(), 1);
    world.frozen("app.service", FreezerState::Frozen);
    assert_eq!(world.report().warnings, [""; 0]);
}

#[test]
fn what_we_froze_is_thawed_when_we_let_go_of_it() {
    let frozen = |members: &[&str]| {
        let mut world = running_with(members);
        lose(&mut world, &[0]);
        for unit in members {
            world.done(&format!("freeze {unit}"), UnitEnd::Done);
            world.frozen(unit, FreezerState::Frozen);
        }
        world.said();
        world
    };
    // Not configured any more.
    let mut world = frozen(&["app.service"]);
    world.configure(&crate::world::settings(&[]));
    assert_eq!(world.said(), ["thaw app.service"]);
    // One unit is not in the list any more.
    let mut world = frozen(&["app.service", "ip.service"]);
    world.configure(&crate::world::settings(&[("r0", freeze())]));
    assert_eq!(world.said(), ["thaw ip.service"]);
    // DRBD is told to fence in place of quorum.
    let mut world = frozen(&["app.service"]);
    world.options.quorum = Some("off".to_owned());
    for one in &mut world.options.connections {
        one.fencing = Some("resource-and-stonith".to_owned());
    }
    world.seconds(301);
    assert_eq!(world.said(), ["thaw app.service"]);
    assert_eq!(world.why("thaw"), "with fencing a lost quorum stops nothing; its services are frozen");
    // Its devices are taken away.
    let mut world = frozen(&["app.service"]);
    world.burst(
        "destroy peer-device name:r0 peer-node-id:1 conn-name:n2 volume:0\n\
         destroy peer-device name:r0 peer-node-id:2 conn-name:n3 volume:0\n\
         destroy device name:r0 volume:0 minor:0\n",
    );
    assert_eq!(world.said(), ["thaw app.service"]);
    assert_eq!(world.why("thaw"), "it has no volume that could have lost quorum; its services are frozen");
}

#[test]
fn quorum_lost_while_starting_pre_empts_the_start() {
    let mut world = World::new(app());
    world.dump("yes");
    world.said();
    world.active("drbd-promote@r0.service", ActiveState::Active);
    lose(&mut world, &[0]);
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
    world.done("start", UnitEnd::Job("canceled".to_owned()));
    assert_eq!(world.report().failures, 0);
}

#[test]
fn a_disk_that_goes_moves_the_service_if_that_is_wanted() {
    let detach = PromotedResource { on_disk_detach: OnDiskDetach::FailOver, ..app() };
    let gone = device_as("change", "r0", 0, "Diskless", "yes", "no");
    let mut ignored = World::running(app());
    ignored.burst(&gone);
    assert_eq!(ignored.said(), [""; 0]);

    let mut moved = World::running(detach.clone());
    moved.burst(&gone);
    assert_eq!(moved.said(), [format!("stop {TARGET}")]);

    let mut client = World::running(detach);
    client.burst(&device_as("change", "r0", 0, "Diskless", "yes", "yes"));
    assert_eq!(client.said(), [""; 0], "diskless on purpose");
}

#[test]
fn fail_over_needs_a_peer_with_all_data_now_or_later() {
    let detach = PromotedResource { on_disk_detach: OnDiskDetach::FailOver, ..app() };
    let mut world = running_two(detach);
    world.burst(
        &(peer_device("r0", 1, 1, "SyncSource", "Inconsistent") + &connection("r0", 2, "Connecting", "Unknown")),
    );
    world.burst(&device_as("change", "r0", 0, "Diskless", "yes", "no"));
    assert_eq!(world.said(), [""; 0], "n2 has good data for one volume only");
    world.burst(&peer_device("r0", 1, 1, "Established", "UpToDate"));
    assert_eq!(world.said(), [format!("stop {TARGET}")], "an UpToDate peer that comes later counts");
    assert!(world.why("stop").contains("n2 has good data for all volumes"));
}

#[test]
fn fencing_does_not_look_at_quorum() {
    let mut world = World::new(app());
    world.options.quorum = Some("off".to_owned());
    for one in &mut world.options.connections {
        one.fencing = Some("resource-and-stonith".to_owned());
    }
    world.dump("yes");
    world.comes_up();
    lose(&mut world, &[0]);
    assert_eq!(world.said(), [""; 0]);
}

fn frozen(units: &[&str]) -> Memory {
    let frozen_units = units.iter().map(|unit| UnitName::new(unit)).collect();
    Memory { frozen: true, frozen_units, ..Memory::default() }
}

/// The configuration was changed while the daemon was down, or just before: nobody but the memory knows what was frozen.
#[test]
fn what_the_daemon_before_froze_is_thawed_though_it_is_no_longer_configured() {
    let memories = vec![
        (ResourceName::new("r0"), frozen(&["app.service", "old.service"])),
        (ResourceName::new("r9"), frozen(&["gone.service"])),
    ];
    let mut world = World::remembering(&[("r0", freeze())], memories);
    assert_eq!(world.said(), ["thaw gone.service", "thaw old.service"], "whatever DRBD says");
    for unit in ["gone.service", "old.service"] {
        world.done(&format!("thaw {unit}"), UnitEnd::Done);
    }
    assert!(!world.remembered["r0"].frozen_units.contains("old.service"));
    assert_eq!(world.remembered["r9"], Memory::default());
    world.seconds(600);
    assert_eq!(world.said(), ["adjust r0"]);
}

#[test]
fn what_was_frozen_is_kept_until_it_is_thawed_also_when_it_leaves_the_list() {
    let two = || PromotedResource { on_quorum_loss: OnQuorumLoss::Freeze, ..units(&["app.service", "old.service"]) };
    let mut world = World::new(two());
    world.dump("yes");
    world.seconds(60);
    world.comes_up_with(&["app.service", "old.service"]);
    lose(&mut world, &[0]);
    let kept = |world: &World| world.remembered["r0"].frozen_units.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(kept(&world), ["app.service", "old.service"]);
    for unit in ["app.service", "old.service"] {
        world.done(&format!("freeze {unit}"), UnitEnd::Done);
        world.frozen(unit, FreezerState::Frozen);
    }
    world.all();
    world.configure(&crate::world::settings(&[("r0", freeze())]));
    assert_eq!(world.said(), ["thaw old.service"]);
    assert_eq!(kept(&world), ["app.service", "old.service"], "it may not have been thawed");
    world.done("thaw", UnitEnd::Done);
    world.frozen("old.service", FreezerState::Running);
    assert_eq!(kept(&world), ["app.service"]);
    regain(&mut world, &[0]);
    world.done("thaw", UnitEnd::Done);
    world.frozen("app.service", FreezerState::Running);
    assert_eq!(kept(&world), [""; 0]);
}

/// How long an answer is waited for: a process that waits for its disk keeps systemd from answering a freeze.
#[test]
fn a_freeze_is_waited_for_less_long_than_a_thaw_and_a_thaw_is_none_that_counts() {
    let deadline = |world: &World, verb: UnitVerb| {
        let calls = world.actions.iter().filter_map(|action| match &action.kind {
            ActionKind::Call(Call::Unit(call)) if call.verb == verb => Some(call.deadline.as_secs()),
            _ => None,
        });
        calls.collect::<Vec<_>>()
    };
    let mut world = World::running(freeze());
    lose(&mut world, &[0]);
    world.done("freeze", UnitEnd::Done);
    world.frozen("app.service", FreezerState::Frozen);
    regain(&mut world, &[0]);
    assert_eq!((deadline(&world, UnitVerb::Freeze), deadline(&world, UnitVerb::Thaw)), (vec![5], vec![25]));
    assert_eq!((deadline(&world, UnitVerb::Start)[1..].to_vec()), [6 * 3600]);
}

/// Only what is frozen, or may be: the others run.
#[test]
fn what_runs_is_not_thawed_when_we_let_go_of_it() {
    let mut world = running_with(&["app.service", "ip.service"]);
    world.unit("ip.service", |state| state.sub = "exited".to_owned());
    lose(&mut world, &[0]);
    world.done("freeze", UnitEnd::Done);
    world.frozen("app.service", FreezerState::Frozen);
    world.said();
    world.configure(&crate::world::settings(&[]));
    assert_eq!(world.said(), ["thaw app.service"]);
}

/// DRBD and systemd may disagree for a moment, and quorum is lost meanwhile: it is frozen at once.
#[test]
fn quorum_that_is_lost_while_they_disagree_freezes() {
    let mut world = World::new(freeze());
    for unit in [TARGET, "drbd-promote@r0.service", "app.service"] {
        world.active(unit, ActiveState::Active);
    }
    world.source(reactor_core::input::Dialect::Drbd9);
    let text = picture_of("exists", "r0", "Secondary", "no", 1).replace("quorum:yes", "quorum:no");
    world.burst(&(text + "exists -\n"));
    assert!(world.said().contains(&"freeze app.service".to_owned()), "{}", world.state());
    world.seconds(2);
    assert_eq!(world.said()[0], format!("stop {TARGET}"));
}

/// A hold keeps everybody's hands off, and forgets nothing.
#[test]
fn what_left_the_list_while_it_was_held_is_thawed_when_it_is_released() {
    let mut world = World::running(freeze());
    lose(&mut world, &[0]);
    world.done("freeze", UnitEnd::Done);
    world.frozen("app.service", FreezerState::Frozen);
    world.operator(OperatorVerb::Hold { why: "cables".to_owned() });
    world.said();
    world.configure(&crate::world::settings(&[(
        "r0",
        PromotedResource { on_quorum_loss: OnQuorumLoss::Freeze, ..units(&["new.service"]) },
    )]));
    world.seconds(600);
    assert_eq!(world.said(), [""; 0]);
    assert!(world.remembered["r0"].frozen_units.contains("app.service"));
    world.operator(OperatorVerb::Release);
    assert!(world.said().contains(&"thaw app.service".to_owned()));
}
