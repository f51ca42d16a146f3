//! What drbd-reactor's users rely on: the behaviour of its promoter, line by line.

use reactor_core::action::{ConnectionOptions, LowerDevice};
use reactor_core::settings::promoter::{OnQuorumLoss, PromotedResource};
use reactor_core::systemd::{ActiveState, UnitEnd};

use crate::world::{TARGET, World, app, compat, connection, device, picture, resource, units};

fn preferring(nodes: &[&str]) -> PromotedResource {
    PromotedResource { preferred_nodes: nodes.iter().map(|node| (*node).to_owned()).collect(), ..app() }
}

/// The wait that the state word and the reasons show, after a first dump with `lines` changed before may_promote:yes.
fn waits(settings: PromotedResource, lines: &str, policy: impl FnOnce(&mut World)) -> String {
    let mut world = World::new(settings);
    policy(&mut world);
    world.dump("no");
    world.burst(&format!("{}{lines}", resource("change", "r0", "Secondary", "yes")));
    let state = world.state();
    match state.rsplit_once("starts in ") {
        Some((_, time)) => time.to_owned(),
        None => "now".to_owned(),
    }
}

#[test]
fn adjusts_once_its_lower_devices_are_there() {
    let mut world = World::where_(|world| world.lower[0].ready = false, &[("r0", app())]);
    world.dump("yes");
    assert_eq!(world.state(), "preparing: waits for /dev/vg/r0");
    world.all();
    world.seconds(2);
    assert_eq!(world.all(), ["sh-ll-dev r0"], "it looks every two seconds");
    world.lower[0].ready = true;
    world.seconds(2);
    assert_eq!(world.all()[..2], ["sh-ll-dev r0", "adjust r0"], "and the options are read once, after the adjust");
    assert!(world.state().starts_with("starting"), "{}", world.state());
}

#[test]
fn without_adjust_on_start_nothing_is_adjusted() {
    let mut world = World::new(PromotedResource { adjust_resource_on_start: false, ..app() });
    world.dump("yes");
    let all = world.all();
    assert!(!all.iter().any(|text| text.starts_with("adjust") || text.starts_with("sh-ll-dev")), "{all:?}");
    assert!(all.contains(&format!("start {TARGET}")), "{all:?}");
}

#[test]
fn errors_of_the_tools_only_warn() {
    let broken = |world: &mut World| world.tools_fail = Some("no such resource".to_owned());
    let mut world = World::where_(broken, &[("r0", app())]);
    world.dump("yes");
    let all = world.all();
    for text in
        ["Warn: r0: drbdadm sh-ll-dev failed: no such resource", "Warn: r0: drbdadm adjust failed: no such resource"]
    {
        assert!(all.contains(&text.to_owned()), "{all:?}");
    }
    assert!(all.contains(&format!("start {TARGET}")), "DRBD may be up all the same: {all:?}");
}

#[test]
fn the_first_start_waits_for_no_edge() {
    let mut world = World::new(app());
    world.dump("yes");
    assert_eq!(world.said(), ["adjust r0", &format!("start {TARGET}")]);
}

#[test]
fn nothing_starts_while_a_peer_is_primary() {
    let mut world = World::new(app());
    world.dump("no");
    world.burst(&(connection("r0", 1, "Connected", "Primary") + &resource("change", "r0", "Secondary", "yes")));
    world.seconds(60);
    assert_eq!(world.said(), ["adjust r0"]);
    assert_eq!(world.state(), "standby: n2 is Primary");
}

#[test]
fn a_diskless_start_waits_six_seconds() {
    let diskless = |world: &mut World| world.lower = vec![LowerDevice { path: None, ready: true }];
    let mut world = World::where_(diskless, &[("r0", app())]);
    world.dump("no");
    world.burst(&(resource("change", "r0", "Secondary", "yes") + &device("r0", 0, "Diskless", "yes")));
    world.all();
    world.pass(std::time::Duration::from_millis(5999));
    assert_eq!(world.said(), [""; 0]);
    world.pass(std::time::Duration::from_millis(1));
    assert_eq!(world.said(), [format!("start {TARGET}")]);
}

#[test]
fn no_device_at_all_waits_when_a_lower_device_is_none() {
    let diskless = |world: &mut World| world.lower = vec![LowerDevice { path: None, ready: true }];
    let mut world = World::where_(diskless, &[("r0", app())]);
    world.source(reactor_core::input::Dialect::Drbd9);
    world.burst(&(resource("exists", "r0", "Secondary", "yes") + "exists -\n"));
    assert!(world.state().ends_with("no disk here: 6 s; starts in 6 s"), "{}", world.state());
}

#[test]
fn the_table_of_delays_by_the_worst_disk() {
    let table = [
        ("UpToDate", "now"),
        ("Consistent", "1 s"),
        ("Outdated", "2 s"),
        ("Inconsistent", "3 s"),
        ("Diskless", "6 s"),
        ("Attaching", "6 s"),
        ("Detaching", "6 s"),
        ("Failed", "6 s"),
        ("Negotiating", "6 s"),
        ("DUnknown", "6 s"),
    ];
    for (disk, wait) in table {
        assert_eq!(waits(app(), &device("r0", 0, disk, "yes"), |_| {}), wait, "{disk}");
    }
}

#[test]
fn the_delay_counts_preferred_nodes() {
    assert_eq!(waits(preferring(&["n1", "n2"]), "", |_| {}), "now");
    assert_eq!(waits(preferring(&["n3", "n2", "n1"]), "", |_| {}), "2 s");
    assert_eq!(waits(preferring(&["n3", "n2"]), "", |_| {}), "2 s", "not in the list: its length");
    assert_eq!(waits(preferring(&[]), "", |_| {}), "now");
}

#[test]
fn the_delay_is_the_sum_times_the_factor() {
    let settings = PromotedResource { sleep_before_promote_factor: 3, ..preferring(&["n2", "n1"]) };
    assert_eq!(waits(settings.clone(), &device("r0", 0, "Outdated", "yes"), |_| {}), "9 s");
    let none = PromotedResource { sleep_before_promote_factor: 0, ..settings };
    assert_eq!(waits(none, &device("r0", 0, "Outdated", "yes"), |_| {}), "now");
}

#[test]
fn fencing_waits_while_a_peer_is_away() {
    let fencing = |world: &mut World| {
        world.options.quorum = Some("off".to_owned());
        let one =
            ConnectionOptions { fencing: Some("resource-and-stonith".to_owned()), ..ConnectionOptions::default() };
        world.options.connections = vec![one.clone(), one];
    };
    assert_eq!(waits(app(), "", fencing), "now");
    assert_eq!(waits(app(), &connection("r0", 2, "Connecting", "Unknown"), fencing), "5 s");
    let ten = PromotedResource { fencing_promote_delay_s: 10, ..app() };
    assert_eq!(waits(ten, &connection("r0", 2, "Connecting", "Unknown"), fencing), "10 s");
    assert_eq!(waits(app(), &connection("r0", 2, "Connecting", "Unknown"), |_| {}), "now", "quorum needs no wait");
}

#[test]
fn freeze_gives_a_frozen_primary_two_seconds() {
    let settings = PromotedResource { on_quorum_loss: OnQuorumLoss::Freeze, ..app() };
    assert_eq!(waits(settings, "", |_| {}), "2 s");
}

#[test]
fn neither_quorum_nor_fencing_is_not_managed() {
    let mut world = World::new(app());
    world.options.quorum = Some("off".to_owned());
    world.dump("yes");
    world.seconds(100);
    assert_eq!(world.state(), "unmanaged: neither quorum nor fencing keeps two nodes from writing at once");
    assert_eq!(world.said(), ["adjust r0"]);
    assert!(world.report().warnings[0].contains("neither quorum nor fencing"), "{:?}", world.report().warnings);
}

#[test]
fn compatibility_retries_every_twenty_seconds() {
    let mut world = World::new(compat());
    world.dump("yes");
    assert_eq!(world.said(), ["adjust r0", &format!("start {TARGET}")]);
    world.done("start", UnitEnd::Job("dependency".to_owned()));
    world.pass(std::time::Duration::from_millis(19_999));
    assert_eq!(world.said(), [""; 0]);
    world.seconds(1);
    assert_eq!(world.said(), [format!("start {TARGET}")], "twenty seconds after the last start");
}

#[test]
fn compatibility_does_not_start_twice_within_twenty_seconds() {
    let mut world = World::new(compat());
    world.dump("yes");
    world.comes_up();
    world.seconds(5);
    world.active(TARGET, ActiveState::Inactive);
    world.active("app.service", ActiveState::Inactive);
    world.active("drbd-promote@r0.service", ActiveState::Inactive);
    world.resource("Secondary", "yes");
    assert_eq!(world.said(), [""; 0]);
    assert!(world.state().contains("tried less than 20 s ago"), "{}", world.state());
    world.seconds(15);
    assert_eq!(world.said(), [format!("start {TARGET}")]);
}

#[test]
fn a_start_resets_what_has_failed_and_nothing_else_and_an_active_target_is_its_success() {
    let mut world = World::new(app());
    world.active("app.service", ActiveState::Failed);
    world.dump("yes");
    let all = world.all();
    let start = all.iter().position(|text| text == &format!("start {TARGET}")).expect("a start in the same step");
    assert_eq!(all.iter().position(|text| text.starts_with("reset-failed")), Some(start - 1), "{all:?}");
    assert_eq!(all[start - 1], "reset-failed app.service");
    world.comes_up();
    assert_eq!(world.state(), "running: its services run here");
}

#[test]
fn a_start_whose_target_is_not_active_is_cleaned_up() {
    let mut world = World::new(app());
    world.dump("yes");
    world.all();
    world.active("drbd-promote@r0.service", ActiveState::Active);
    world.resource("Primary", "no");
    world.done("start", UnitEnd::Done);
    assert_eq!(world.said(), [""; 0], "the news of the target may be on their way");
    world.seconds(5);
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
    assert_eq!(world.why("stop"), "its target is not active after its start");
}

#[test]
fn a_start_that_fails_after_the_promotion_is_cleaned_up() {
    let mut world = World::new(units(&["fs.mount", "app.service"]));
    world.dump("yes");
    world.all();
    world.active("drbd-promote@r0.service", ActiveState::Active);
    world.resource("Primary", "no");
    world.active("fs.mount", ActiveState::Active);
    world.unit("app.service", |state| {
        state.active = ActiveState::Failed;
        state.result = Some("exit-code".to_owned());
    });
    world.done("start", UnitEnd::Job("dependency".to_owned()));
    assert_eq!(world.said(), [format!("stop {TARGET}")]);
    assert_eq!(world.why("stop"), "app.service has failed: exit-code");
}

#[test]
fn a_stop_lets_the_journal_reach_the_disk_first() {
    let mut world = World::running(app());
    world.burst(&(resource("change", "r0", "Primary", "no") + &device("r0", 0, "UpToDate", "no")));
    assert_eq!(world.all()[..2], ["sync-journal".to_owned(), format!("stop {TARGET}")]);
}

#[test]
fn only_configured_resources_matter() {
    let mut world = World::new(app());
    world.dump("no");
    world.all();
    world.burst(&picture("create", "r9", "Secondary", "yes"));
    world.seconds(60);
    assert_eq!(world.said(), [""; 0]);
}

#[test]
fn stops_on_exit_only_where_it_is_wanted() {
    let mut kept = World::running(app());
    kept.step(&reactor_core::input::Input::Exit);
    assert_eq!(kept.all(), [""; 0]);

    let mut stopped = World::running(PromotedResource { stop_services_on_exit: true, ..app() });
    stopped.step(&reactor_core::input::Input::Exit);
    let all = stopped.all();
    assert_eq!(all, ["files r0".to_owned(), "sync-journal".to_owned(), format!("stop {TARGET}")]);
    assert_eq!(stopped.why("stop"), "the daemon ends, and stop-services-on-exit = true");
}

#[test]
fn option_warnings_come_once() {
    let mut world = World::new(app());
    world.options.auto_promote = Some(true);
    world.options.on_no_quorum = Some("suspend-io".to_owned());
    world.dump("no");
    let warned = |said: &[String]| said.iter().filter(|text| text.starts_with("Warn: DRBD option")).count();
    assert_eq!(warned(&world.all()), 2);
    world.seconds(3600);
    let said = world.all();
    assert!(said.iter().any(|text| text == "show r0"), "the options are read again");
    assert_eq!(warned(&said), 0);
    assert_eq!(world.report().warnings.len(), 2, "and still shown");
}
