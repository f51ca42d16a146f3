//! What would happen: forecasts on a copy, for every event, beside what is then decided in earnest.

use std::time::Duration;

use expect_test::{Expect, expect};
use reactor_api::words::Event;
use reactor_core::ids::ResourceName;
use reactor_core::input::Dialect;
use reactor_core::operator::{Memory, OperatorVerb};
use reactor_core::plugin::promoter::forecast::{Does, Ends, Forecast};
use reactor_core::plugin::promoter::report::StateWord;
use reactor_core::settings::promoter::{
    OnDiskDetach, OnQuorumLoss, OnServiceFailure, PromotedResource, Runner, StartEntry,
};
use reactor_core::systemd::{ActiveState, UnitEnd, UnitState};

use crate::world::{World, app, connection, device_as, peer_device, resource};

fn forecast(world: &World, event: &str) -> Forecast {
    let event: Option<Event> = (!event.is_empty()).then(|| event.parse().expect("an event"));
    let what_if = world.core.what_if(world.now, &ResourceName::new("r0")).expect("it is promoted");
    what_if.forecast(event.as_ref()).expect("it can happen")
}

fn text(forecast: &Forecast) -> String {
    let mut text = format!("{} {:?}\n", forecast.does.as_str(), forecast.does.after());
    for step in &forecast.steps {
        let action = step.action.as_ref().map(|(_, what)| format!(" {what}")).unwrap_or_default();
        let because: Vec<&str> = step.because.iter().map(|reason| reason.0.as_str()).collect();
        text.push_str(&format!("{:?} {}{action}: {}\n", step.after, step.state.as_str(), because.join("; ")));
        if let Some((at, what)) = step.next {
            text.push_str(&format!("    at {at:?}: {what}\n"));
        }
    }
    let notes = forecast.assumed.iter().map(|note| format!("assumes {note}\n"));
    text.extend(notes.chain(forecast.unknown.iter().map(|note| format!("not known: {note}\n"))));
    if forecast.ends == Ends::Bound {
        text.push_str("and so on\n");
    }
    text
}

/// What every forecast here ends with: each node knows only its own part.
const PEERS: &str = "not known: what n2 and n3 would do: settings, holds and failures there\n";

/// What comes of each of these events.
fn check(world: &World, events: &[&str], expected: &Expect) {
    let mut all = String::new();
    for event in events {
        let text = text(&forecast(world, event));
        let text = text.strip_suffix(PEERS).unwrap_or_else(|| panic!("{event}: {text}"));
        all.push_str(&format!("[{event}] {}\n", text.trim_end().replace('\n', "\n    ")));
    }
    expected.assert_eq(&all);
}

/// n2 is Primary.
fn standby(settings: PromotedResource) -> World {
    let mut world = World::new(settings);
    world.dump("no");
    world.burst(&connection("r0", 1, "Connected", "Primary"));
    world.seconds(60);
    world.all();
    world
}

/// What runs on a Secondary goes before the start, and is no stop of the resource.
#[test]
fn what_runs_on_a_secondary_is_no_step_of_its_own() {
    let with = PromotedResource { standby: vec![StartEntry::Unit("reader.service".to_owned()).into()], ..app() };
    let mut world = standby(with);
    for unit in ["storage-reactor-standby@r0.target", "reader.service"] {
        world.active(unit, ActiveState::Active);
    }
    world.done("start", UnitEnd::Done);
    world.all();
    let (with, without) = (text(&forecast(&world, "node-down=n2")), text(&forecast(&standby(app()), "node-down=n2")));
    assert_eq!(with, without);
}

fn freeze() -> PromotedResource {
    PromotedResource { on_quorum_loss: OnQuorumLoss::Freeze, ..app() }
}

#[test]
fn a_standby_takes_over_when_the_primary_dies_and_not_when_another_one_does() {
    let settings = PromotedResource { preferred_nodes: vec!["n3".to_owned(), "n1".to_owned()], ..app() };
    let world = standby(settings);
    // A peer that is lost goes on, and n3 sees it: whoever is cut off has old data.
    check(
        &world,
        &["node-down=n2", "node-down=n3", "peer-lost=n2", "quorum-lost", "node-down=n1"],
        &expect![[r#"
            [node-down=n2] starts Some(1s)
                0ns standby: n2 is Primary
                0ns waiting: DRBD says may_promote:yes; number 2 of preferred-nodes: 1 s; starts in 1 s
                    at 1s: the delay ends, and it starts here
                1s starting start drbd-services@r0.target: DRBD says may_promote:yes; number 2 of preferred-nodes: 1 s
                1s stopping stop drbd-services@r0.target: n3 is number 1 of preferred-nodes; n3 has good data for all volumes
                1s standby: n3 is Primary
                assumes no other node is faster
                assumes n3 takes it over after the stop here
            [node-down=n3] nothing None
                0ns standby: n2 is Primary
            [peer-lost=n2] nothing None
                0ns standby: n2 is Primary
                0ns standby: DRBD says may_promote:no, volume 0 is Outdated
            [quorum-lost] nothing None
                0ns standby: n2 is Primary
                0ns standby: no quorum on volume 0
            [node-down=n1] down None
                0ns standby: n2 is Primary
                assumes n1 goes down with all that runs on it: only other nodes can tell what follows
        "#]],
    );
}

#[test]
fn what_runs_stops_or_freezes_without_quorum_and_goes_on_with_it() {
    let world = World::running(app());
    check(
        &world,
        &["node-down=n2", "quorum-lost"],
        &expect![[r#"
            [node-down=n2] runs None
                0ns running: its services run here
            [quorum-lost] stops Some(0ns)
                0ns running: its services run here
                0ns stopping stop drbd-services@r0.target: quorum lost on volume 0
                0ns standby: no quorum on volume 0
                assumes n2 or n3 takes it over if it keeps quorum
        "#]],
    );
    let mut world = World::running(PromotedResource { freeze_timeout: Some(Duration::from_secs(7200)), ..freeze() });
    check(
        &world,
        &["quorum-lost"],
        &expect![[r#"
            [quorum-lost] freezes Some(0ns)
                0ns running: its services run here
                0ns frozen freeze app.service: quorum lost on volume 0; on-quorum-loss = "freeze"
                7200s stopping drbdsetup secondary --force r0: quorum lost on volume 0; without quorum for longer than freeze-timeout (7200 s)
                7200s stopping stop drbd-services@r0.target: quorum lost on volume 0; without quorum for longer than freeze-timeout (7200 s)
                7200s stopping thaw app.service: quorum lost on volume 0; without quorum for longer than freeze-timeout (7200 s)
                7200s standby: no quorum on volume 0
                assumes n2 or n3 takes it over if it keeps quorum
        "#]],
    );
    let frozen = text(&forecast(&world, "quorum-lost"));
    // The last but one: its going is what costs quorum.
    world.burst(&(connection("r0", 2, "Connecting", "Unknown") + &peer_device("r0", 2, 0, "Off", "DUnknown")));
    assert_eq!(text(&forecast(&world, "peer-lost=n2")), frozen.replace("n2 or n3 takes", "n2 takes"));
}

#[test]
fn io_that_is_suspended_is_made_to_fail_before_the_stop() {
    let mut world = World::new(app());
    world.options.on_no_quorum = Some("suspend-io".to_owned());
    world.dump("yes");
    world.seconds(60);
    world.comes_up();
    check(
        &world,
        &["quorum-lost"],
        &expect![[r#"
            [quorum-lost] stops Some(0ns)
                0ns running: its services run here
                0ns stopping drbdsetup secondary --force r0: quorum lost on volume 0
                0ns stopping stop drbd-services@r0.target: quorum lost on volume 0
                0ns standby: no quorum on volume 0
                assumes n2 or n3 takes it over if it keeps quorum
        "#]],
    );
}

#[test]
fn a_lost_disk_is_lived_with_or_left() {
    let world = World::running(app());
    check(
        &world,
        &["disk-failed"],
        &expect![[r#"
            [disk-failed] runs None
                0ns running: its services run here
        "#]],
    );
    let world = World::running(PromotedResource { on_disk_detach: OnDiskDetach::FailOver, ..app() });
    check(
        &world,
        &["disk-failed"],
        &expect![[r#"
            [disk-failed] stops Some(0ns)
                0ns running: its services run here
                0ns stopping stop drbd-services@r0.target: volume 0 lost its disk here; n2 has good data for all volumes; on-disk-detach = "fail-over"
                0ns standby: n2 is Primary
                assumes n2 or n3 takes it over after the stop here
        "#]],
    );
    // Nobody else has data.
    let mut world = World::running(app());
    for peer in [1, 2] {
        world.burst(&peer_device("r0", peer, 0, "SyncSource", "Inconsistent"));
    }
    check(
        &world,
        &["disk-failed"],
        &expect![[r#"
            [disk-failed] runs None
                0ns running: its services run here
                assumes its services live with I/O errors on volume 0
        "#]],
    );
}

#[test]
fn a_daemon_that_is_restarted_stops_nothing_unless_it_is_told_to() {
    let world = World::running(app());
    check(
        &world,
        &["daemon-restart"],
        &expect![[r#"
            [daemon-restart] runs None
                0ns running: its services run here
                0ns running drbdadm adjust r0: r0 is to be run by this promoter
                assumes the daemon comes back at once, finds all as it was, and DRBD's options are the same
        "#]],
    );
    let world = World::running(PromotedResource { stop_services_on_exit: true, ..app() });
    check(
        &world,
        &["daemon-restart"],
        &expect![[r#"
            [daemon-restart] stops Some(0ns)
                0ns running: its services run here
                0ns stopping stop drbd-services@r0.target: the daemon ends, and stop-services-on-exit = true
                0ns standby: n2 is Primary; its lower devices are not there yet
                0ns standby drbdadm adjust r0: r0 is to be run by this promoter
                0ns standby: n2 is Primary
                assumes n2 or n3 takes it over after the stop here
                assumes the daemon comes back at once, finds all as it was, and DRBD's options are the same
        "#]],
    );
    let mut world = standby(app());
    world.operator(OperatorVerb::Hold { why: "cables".to_owned() });
    check(
        &world,
        &["daemon-restart"],
        &expect![[r#"
            [daemon-restart] nothing None
                0ns held: held by root: cables
                assumes the daemon comes back at once, finds all as it was, and DRBD's options are the same
        "#]],
    );
}

#[test]
fn what_operators_have_said_counts_in_thought_too() {
    let mut world = standby(app());
    world.operator(OperatorVerb::Stop { why: "new disks".to_owned() });
    check(
        &world,
        &["node-down=n2"],
        &expect![[r#"
            [node-down=n2] nothing None
                0ns held: stopped by root: new disks
        "#]],
    );
    let what_if = world.core.what_if(world.now, &ResourceName::new("r0")).unwrap();
    let released = what_if.released().forecast(Some(&Event::NodeDown("n2".to_owned()))).unwrap();
    assert!(matches!(released.does, Does::Starts(_)), "{released:?}");
    world.operator(OperatorVerb::Release);
    world.node(OperatorVerb::Drain { why: "kernel".to_owned() });
    check(
        &world,
        &["node-down=n2"],
        &expect![[r#"
            [node-down=n2] nothing None
                0ns drained: this node is drained by root: kernel
        "#]],
    );
    world.node(OperatorVerb::Undrain);
    world.operator(OperatorVerb::Yield { why: String::new(), to: Some("n3".to_owned()), limit: 20, restarts: false });
    check(
        &world,
        &["node-down=n2"],
        &expect![[r#"
            [node-down=n2] starts Some(20.5s)
                0ns held: left to n3 by root until it is Primary there
                    at 20s: if no other node has taken it over by then, it may run here again
                20s waiting: DRBD says may_promote:yes; no node has taken it over: where it ran it may come back first; starts in 0.5 s
                    at 20.5s: the delay ends, and it starts here
                20.5s starting start drbd-services@r0.target: DRBD says may_promote:yes
                20.5s running: its services run here
                assumes no other node is faster
        "#]],
    );
}

#[test]
fn without_an_event_it_says_what_it_does_now_and_next() {
    let mut world = World::new(PromotedResource {
        preferred_nodes: vec!["n3".to_owned(), "n2".to_owned(), "n1".to_owned()],
        ..app()
    });
    world.dump("yes");
    world.seconds(1);
    check(
        &world,
        &[""],
        &expect![[r#"
            [] starts Some(1s)
                0ns waiting: DRBD says may_promote:yes; number 3 of preferred-nodes: 2 s; starts in 1 s
                    at 1s: the delay ends, and it starts here
                1s starting start drbd-services@r0.target: DRBD says may_promote:yes; number 3 of preferred-nodes: 2 s
                1s stopping stop drbd-services@r0.target: n3 is number 1 of preferred-nodes; n3 has good data for all volumes
                1s standby: n3 is Primary
                assumes no other node is faster
                assumes n3 takes it over after the stop here
        "#]],
    );
    // On its way up, and what is asked for is awaited.
    world.seconds(10);
    check(
        &world,
        &["", "quorum-lost"],
        &expect![[r#"
            [] stops Some(0ns)
                0ns starting: its services are on their way up
                    at 1s: a start that has not come to its promotion by then hangs
                0ns stopping stop drbd-services@r0.target: n3 is number 1 of preferred-nodes; n3 has good data for all volumes
                0ns standby: n3 is Primary
                assumes n3 takes it over after the stop here
            [quorum-lost] stops Some(0ns)
                0ns starting: its services are on their way up
                    at 1s: a start that has not come to its promotion by then hangs
                0ns stopping stop drbd-services@r0.target: quorum lost on volume 0
                0ns standby: no quorum on volume 0
        "#]],
    );
    world.comes_up();
    check(
        &world,
        &[""],
        &expect![[r#"
            [] nothing None
                0ns stopping: its services are on their way down
                0ns standby: n3 is Primary
                assumes n3 takes it over after the stop here
        "#]],
    );
}

#[test]
fn a_service_that_failed_is_started_again_after_its_pause_and_a_better_node_gets_it() {
    let mut world = World::running(PromotedResource { on_service_failure: OnServiceFailure::Restart, ..app() });
    for _ in 0..2 {
        world.unit("app.service", |state: &mut UnitState| {
            state.active = ActiveState::Failed;
            state.result = Some("exit-code".to_owned());
        });
    }
    check(
        &world,
        &[""],
        &expect![[r#"
            [] runs None
                0ns waiting: app.service has failed: exit-code; its services failed here once: 1 s of back-off
                    at 1s: the back-off ends, and what failed is started again
                1s starting start drbd-services@r0.target: app.service has failed: exit-code; on-service-failure = "restart"
                1s running: its services run here
        "#]],
    );
    let world = World::running(PromotedResource { preferred_nodes: vec!["n3".to_owned()], ..app() });
    check(
        &world,
        &["daemon-restart"],
        &expect![[r#"
            [daemon-restart] nothing None
                0ns stopping: its services are on their way down
                0ns standby: n3 is Primary; its lower devices are not there yet
                0ns standby drbdadm adjust r0: r0 is to be run by this promoter
                0ns standby: n3 is Primary
                assumes n3 takes it over after the stop here
                assumes the daemon comes back at once, finds all as it was, and DRBD's options are the same
        "#]],
    );
}

#[test]
fn commands_are_run_in_thought_too() {
    let command = |text: &str| StartEntry::Unit(text.to_owned()).into();
    let settings = PromotedResource {
        runner: Runner::Shell,
        start: vec![command("drbdadm primary r0"), command("start it")],
        stop: vec!["stop it".to_owned(), "drbdadm secondary r0".to_owned()],
        ..app()
    };
    let mut world = standby(settings);
    check(
        &world,
        &["node-down=n2"],
        &expect![[r#"
            [node-down=n2] starts Some(0ns)
                0ns standby: n2 is Primary
                0ns starting run: drbdadm primary r0: DRBD says may_promote:yes
                0ns starting run: start it: start command 1 ended with exit code 0
                0ns running: its services run here
                assumes no other node is faster
        "#]],
    );
    world.burst(&connection("r0", 1, "Connected", "Secondary"));
    world.resource("Secondary", "yes");
    world.seconds(60);
    world.ran("run drbdadm primary r0", 0);
    world.resource("Primary", "no");
    world.ran("run start it", 0);
    check(
        &world,
        &["quorum-lost"],
        &expect![[r#"
            [quorum-lost] stops Some(0ns)
                0ns running: its services run here
                0ns stopping run: stop it: quorum lost on volume 0
                0ns stopping run: drbdadm secondary r0: stop command 1 ended with exit code 0
                0ns standby: no quorum on volume 0
                assumes n2 or n3 takes it over if it keeps quorum
        "#]],
    );
}

#[test]
fn a_tie_breaker_and_a_dead_peer_are_counted_as_drbd_does() {
    let mut world = World::new(app());
    world.source(Dialect::Drbd9);
    let mut text = resource("exists", "r0", "Secondary", "no");
    for (peer, role) in [(1, "Primary"), (2, "Secondary")] {
        text += &connection("r0", peer, "Connected", role).replace("change", "exists");
    }
    text += &device_as("exists", "r0", 0, "UpToDate", "yes", "no");
    text += &peer_device("r0", 1, 0, "Established", "UpToDate").replace("change", "exists");
    let client = peer_device("r0", 2, 0, "Established", "Diskless").replace("change", "exists");
    text += &client.replace("peer-client:no", "peer-client:yes");
    world.burst(&(text + "exists -\n"));
    world.seconds(60);
    // Half of the disks, and the tie-breaker.
    assert!(matches!(forecast(&world, "node-down=n2").does, Does::Starts(_)));
    // Half of the disks alone: n2 could be writing.
    let gone = connection("r0", 2, "Connecting", "Unknown");
    world.burst(&gone);
    assert_eq!(forecast(&world, "node-down=n2").does, Does::Nothing);
    // It said good-bye with old data.
    world.burst(&(connection("r0", 2, "Connected", "Secondary")));
    let options = |word: &str| {
        let mut world = World::new(app());
        world.options.quorum = Some(word.to_owned());
        world.dump("no");
        world.burst(&connection("r0", 1, "Connected", "Primary"));
        world.seconds(60);
        forecast(&world, "node-down=n2").does
    };
    assert_eq!(options("all"), Does::Nothing);
    assert!(matches!(options("1"), Does::Starts(_)));
    assert!(matches!(options("2"), Does::Starts(_)));
    assert_eq!(options("3"), Does::Nothing);
}

#[test]
fn what_cannot_happen_is_refused_by_name() {
    let world = standby(app());
    let says = |world: &World, event: &str| {
        let what_if = world.core.what_if(world.now, &ResourceName::new("r0")).unwrap();
        what_if.forecast(Some(&event.parse().unwrap())).unwrap_err().to_string()
    };
    assert_eq!(says(&world, "node-down=n9"), "DRBD on n1 knows no node n9 for r0; it knows: n2, n3");
    assert_eq!(says(&world, "peer-lost=n1"), "n1 is this node: peer-lost wants another one");
    let mut world = World::new(app());
    world.source(Dialect::Drbd9);
    world.burst("exists -\n");
    world.seconds(10);
    assert!(says(&world, "quorum-lost").starts_with("DRBD on n1 has no resource r0"));
    let expected = expect![[r#"
        nothing None
        0ns standby: DRBD has no resource of this name
    "#]];
    expected.assert_eq(&text(&forecast(&world, "")));
    assert!(world.core.what_if(world.now, &ResourceName::new("r9")).is_none());
}

/// Whatever is asked, the core goes on as if nobody had.
#[test]
fn nothing_is_done() {
    let mut asked = standby(app());
    let mut other = standby(app());
    for event in ["", "node-down=n2", "peer-lost=n3", "quorum-lost", "disk-failed", "daemon-restart"] {
        forecast(&asked, event);
        assert_eq!(asked.all(), other.all(), "{event}");
        assert_eq!((asked.report(), asked.core.next_deadline()), (other.report(), other.core.next_deadline()));
    }
    for world in [&mut asked, &mut other] {
        world.burst(&(connection("r0", 1, "Connecting", "Unknown") + &resource("change", "r0", "Secondary", "yes")));
        world.seconds(60);
    }
    assert_eq!(asked.actions, other.actions);
}

/// It leaves the loop: the forecast is worked out on another thread.
#[test]
fn a_what_if_can_leave_the_loop() {
    fn can_be_sent<T: Send + 'static>(it: T) -> T {
        it
    }
    let world = World::running(app());
    let what_if = can_be_sent(world.core.what_if(world.now, &ResourceName::new("r0")).unwrap());
    assert_eq!(what_if.forecast(None).unwrap().does, Does::Runs);
}

/// Whatever holds: something is done next, at a time, or it is said why nothing is.
#[test]
fn every_state_has_a_next_action_or_a_reason() {
    let mut worlds = Vec::new();
    let mut preparing = World::where_(|world| world.silent = vec!["adjust"], &[("r0", app())]);
    preparing.dump("yes");
    worlds.push(("preparing", preparing));
    worlds.push(("standby", standby(app())));
    let far = PromotedResource { preferred_nodes: ["n3", "n2", "n1"].map(str::to_owned).to_vec(), ..app() };
    let mut waiting = World::new(far);
    waiting.dump("yes");
    worlds.push(("waiting", waiting));
    let mut starting = World::new(app());
    starting.dump("yes");
    starting.seconds(1);
    worlds.push(("starting", starting));
    worlds.push(("running", World::running(app())));
    let mut stopping = World::running(app());
    stopping.operator(OperatorVerb::Stop { why: String::new() });
    worlds.push(("stopping", stopping));
    let mut frozen = World::running(freeze());
    frozen.burst(&(resource("change", "r0", "Primary", "no") + &device_as("change", "r0", 0, "UpToDate", "no", "no")));
    worlds.push(("frozen", frozen));
    let memory = Memory { blocked_since: Some(1_799_999_990), failures: vec![1_799_999_990; 3], ..Memory::default() };
    let mut blocked = World::remembering(&[("r0", app())], vec![(ResourceName::new("r0"), memory)]);
    blocked.dump("yes");
    worlds.push(("blocked", blocked));
    let mut held = World::running(app());
    held.operator(OperatorVerb::Hold { why: String::new() });
    worlds.push(("held", held));
    let mut drained = standby(app());
    drained.node(OperatorVerb::Drain { why: String::new() });
    worlds.push(("drained", drained));
    let nothing = |world: &mut World| world.options.quorum = Some("off".to_owned());
    let mut unmanaged = World::where_(nothing, &[("r0", app())]);
    unmanaged.dump("yes");
    unmanaged.seconds(5);
    worlds.push(("unmanaged", unmanaged));
    for state in StateWord::ALL {
        assert!(worlds.iter().any(|(of, _)| *of == state.as_str()), "{state:?} has no world");
    }
    for (state, world) in worlds {
        assert_eq!(world.report().state.as_str(), state);
        let forecast = forecast(&world, "");
        let acts = forecast.steps.iter().any(|step| step.action.is_some());
        let last = forecast.steps.last().unwrap();
        assert!(acts || !last.because.is_empty(), "{state}: {}", text(&forecast));
        assert_eq!(forecast.ends, Ends::Settled, "{state}: {}", text(&forecast));
    }
}

#[test]
fn how_soon_drbd_notices_is_said_as_it_is_set() {
    let mut world = World::bare();
    let within = |world: &World, event: &str| forecast(world, event).noticed_within.map(|time| time.as_millis());
    for (link, ping_int) in world.options.connections.iter_mut().zip([1, 10]) {
        link.ping_int = Some(ping_int);
    }
    for (id, link) in (1..).zip(&mut world.options.connections) {
        link.peer_node_id = Some(id);
    }
    world.options.connections[0].ping_timeout = Some(20);
    let options = world.options.clone();
    let mut world = World::where_(|world| world.options = options, &[("r0", app())]);
    world.dump("no");
    world.seconds(1);
    let all = ["node-down=n2", "peer-lost=n3", "quorum-lost", "disk-failed", "daemon-restart", ""];
    let set = [Some(3000), Some(10_500), Some(10_500), None, None, None];
    assert_eq!(all.map(|event| within(&world, event)), set);
    // DRBD 8.4 prints only what is not the default.
    let world = standby(app());
    assert_eq!(all.map(|event| within(&world, event)), [None; 6]);
}
