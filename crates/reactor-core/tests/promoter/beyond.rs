//! Holds, the head start by data, time, DRBD 8.4, and what it costs.

use std::time::Duration;

use reactor_core::ids::ResourceName;
use reactor_core::input::Dialect;
use reactor_core::operator::{Hold, Memory, OperatorVerb};
use reactor_core::settings::promoter::PromotedResource;
use reactor_core::systemd::ActiveState;

use crate::world::{TARGET, World, app, device, peer_device, picture, resource, settings, units};

#[test]
fn a_held_resource_is_left_alone() {
    let mut world = World::running(app());
    world.operator(OperatorVerb::Hold { why: "disk swap".to_owned() });
    assert_eq!(world.remembered["r0"].hold.as_ref().map(|hold| hold.why.as_str()), Some("disk swap"));
    world.burst(&device("r0", 0, "UpToDate", "no"));
    world.seconds(100);
    assert_eq!(world.said(), [""; 0]);
    assert_eq!(world.state(), "held: held by root: disk swap");
    world.operator(OperatorVerb::Release);
    assert_eq!(world.said(), [format!("stop {TARGET}")], "what DRBD says is judged at once");
}

#[test]
fn a_hold_outlives_the_daemon() {
    let hold = Hold { who: "root".to_owned(), why: String::new(), since: 1, ..Hold::default() };
    let memory = Memory { hold: Some(hold), ..Memory::default() };
    let mut world = World::remembering(&[("r0", app())], vec![(ResourceName::new("r0"), memory)]);
    world.dump("yes");
    world.seconds(600);
    assert_eq!(world.said(), [""; 0]);
    world.operator(OperatorVerb::Release);
    assert_eq!(world.said(), ["adjust r0", &format!("start {TARGET}")]);
    assert_eq!(world.remembered["r0"].hold, None);
}

#[test]
fn a_hold_outlives_a_reload_without_the_resource() {
    let mut world = World::with(&[("r0", app()), ("r1", app())]);
    world.dump("yes");
    world.operator(OperatorVerb::Hold { why: String::new() });
    world.said();
    world.configure(&settings(&[("r1", app())]));
    world.configure(&settings(&[("r0", app()), ("r1", app())]));
    world.seconds(600);
    assert_eq!(world.state(), "held: held by root");
    assert_eq!(world.said(), [""; 0]);
}

#[test]
fn operators_are_answered() {
    let mut world = World::new(app());
    world.operator(OperatorVerb::Release);
    world.operator(OperatorVerb::Clear);
    let all = world.all();
    assert!(all.iter().any(|text| text.contains("Unchanged") && text.contains("r0 was not held")), "{all:?}");
    assert!(all.iter().any(|text| text.contains("Unchanged") && text.contains("no failures")), "{all:?}");
}

#[test]
fn the_better_data_goes_first_by_200_ms_a_rank() {
    let wait = |own_id: u32, lines: &str| {
        let mut world = World::new(PromotedResource { head_start: true, ..app() });
        world.options.node_id = Some(own_id);
        world.dump("no");
        world.said();
        world.burst(&(resource("change", "r0", "Secondary", "yes") + lines));
        let mut waited = 0;
        while world.said().is_empty() {
            world.pass(Duration::from_millis(100));
            waited += 100;
            assert!(waited < 10_000, "it starts at some time");
        }
        waited
    };
    assert_eq!(wait(0, ""), 0, "the lowest node id of equals");
    assert_eq!(wait(3, ""), 400, "two equals have lower ids");
    assert_eq!(wait(3, &peer_device("r0", 1, 0, "Established", "Outdated")), 200, "one of them has bad data");
}

#[test]
fn ten_resources_fail_over_at_once() {
    let names: Vec<String> = (0..10).map(|n| format!("r{n}")).collect();
    let resources: Vec<(&str, PromotedResource)> =
        names.iter().map(|name| (name.as_str(), units(&[&format!("app-{name}.service")]))).collect();
    let mut world = World::with(&resources);
    world.source(Dialect::Drbd9);
    let text: String = names.iter().map(|name| picture("exists", name, "Secondary", "no")).collect();
    world.burst(&(text + "exists -\n"));
    world.said();
    let text: String = names.iter().map(|name| resource("change", name, "Secondary", "yes")).collect();
    world.burst(&text);
    let starts = world.said();
    assert_eq!(starts.len(), 10, "in the same step, without waiting for each other: {starts:?}");
}

/// Two nodes with DRBD 8.4: this one, and n2.
fn of_two(settings: PromotedResource, role: &str, fence_peer: Option<&str>) -> World {
    let mut world = World::new(settings);
    world.options.quorum = None;
    world.options.fence_peer = fence_peer.map(str::to_owned);
    for one in &mut world.options.connections {
        one.fencing = Some("resource-and-stonith".to_owned());
        one.name = Some("n2".to_owned());
    }
    world.source(Dialect::Drbd84);
    world.burst(&format!(
        "exists resource name:r0 role:Secondary suspended:no\n\
         exists connection name:r0 peer-node-id:0 conn-name:peer connection:Connected role:{role}\n\
         exists device name:r0 volume:0 minor:0 disk:UpToDate\n\
         exists peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 replication:Established peer-disk:UpToDate\n\
         exists -\n",
    ));
    world
}

#[test]
fn drbd_84_by_fencing() {
    let mut world = of_two(app(), "Secondary", Some("/usr/local/sbin/fence"));
    assert!(world.said().contains(&format!("start {TARGET}")), "{}", world.state());
    let nothing = "secondary-force of r0 has no effect: DRBD 8.4 has no forced demotion";
    assert_eq!(world.report().warnings, [nothing], "its unit files are for that DRBD");
}

#[test]
fn drbd_84_without_a_handler_is_not_managed() {
    let mut world = of_two(app(), "Secondary", None);
    assert!(!world.said().contains(&format!("start {TARGET}")), "{}", world.state());
    let report = world.report();
    assert_eq!(report.policy, "none");
    assert!(report.warnings.iter().any(|said| said.contains("without a fence-peer handler")), "{:?}", report.warnings);
}

#[test]
fn drbd_84_calls_every_peer_the_same_but_we_do_not() {
    let world = of_two(app(), "Primary", Some("/usr/local/sbin/fence"));
    let because = world.report().because;
    assert_eq!(because.iter().map(|reason| reason.0.as_str()).collect::<Vec<_>>(), ["n2 is Primary"]);
}

#[test]
fn drbd_84_gives_to_the_preferred_node_by_its_name() {
    let settings = PromotedResource { preferred_nodes: vec!["n2".to_owned()], ..app() };
    let mut world = of_two(settings, "Secondary", Some("/usr/local/sbin/fence"));
    assert!(world.report().warnings.iter().all(|said| !said.contains("DRBD knows no node")), "n2 is known");
    world.seconds(2);
    assert!(world.said().contains(&format!("start {TARGET}")), "{}", world.state());
    world.comes_up();
    world.seconds(3);
    let last = world.report().history.pop().expect("a decision");
    assert_eq!(last.what, format!("stop {TARGET}"));
    assert_eq!(last.because[0].0, "n2 is number 1 of preferred-nodes");
}

#[test]
fn the_history_says_what_was_decided_why_and_how_it_ended() {
    let mut world = World::running(app());
    world.burst(&device("r0", 0, "UpToDate", "no"));
    world.seconds(3);
    world.goes_down("no");
    let history = world.report().history;
    let lines: Vec<String> = history
        .iter()
        .map(|past| {
            let because: Vec<&str> = past.because.iter().map(|reason| reason.0.as_str()).collect();
            format!("{} because {}: {}", past.what, because.join("; "), past.outcome.as_deref().unwrap_or("open"))
        })
        .collect();
    assert_eq!(
        lines,
        [
            "drbdadm adjust r0 because r0 is to be run by this promoter: done after 0 s".to_owned(),
            format!("start {TARGET} because DRBD says may_promote:yes: done after 60 s"),
            format!("stop {TARGET} because quorum lost on volume 0: done after 3 s"),
        ]
    );
}

#[test]
fn counters_tell_what_happened() {
    let mut world = World::running(app());
    world.burst(&device("r0", 0, "UpToDate", "no"));
    let counters = world.core.instances()[0].counters();
    let value = |name: &str| counters.iter().find(|counter| counter.name == name).map(|counter| counter.value);
    assert_eq!((value("starts"), value("stops"), value("lost_races")), (Some(1), Some(1), Some(0)));
    world.active("app.service", ActiveState::Inactive);
}

#[test]
fn a_unit_that_is_new_in_the_list_is_started() {
    let mut world = World::running(app());
    world.configure(&settings(&[("r0", units(&["app.service", "more.service"]))]));
    assert_eq!(world.said(), [format!("start {TARGET}")]);
    assert_eq!(world.why("start"), "the list of units to start has changed");
    world.active("more.service", ActiveState::Active);
    world.done("start", reactor_core::systemd::UnitEnd::Done);
    world.seconds(600);
    assert_eq!(world.said(), [""; 0]);
}
