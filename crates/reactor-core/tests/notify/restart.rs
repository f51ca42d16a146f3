//! What is known at a start has not happened now, and what was told is not told again.

use std::time::Duration;

use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};

use crate::world::{DUMP, World, all};

fn lost() -> String {
    DUMP.replace("conn-name:n2 connection:Connected role:Secondary", "conn-name:n2 connection:Connecting role:Unknown")
}

#[test]
fn what_is_bad_at_the_start_is_told_once_if_it_stays_so() {
    let mut world = World::new(&[all("x")]);
    world.lines(&lost());
    world.pass(59.0);
    assert_eq!(world.told(), Vec::<String>::new());
    world.pass(1.0);
    let messages = world.messages();
    let notice = &messages[0].notices[0];
    assert_eq!((messages.len(), messages[0].notices.len()), (1, 1));
    assert_eq!(notice.text, "r0: no connection to n2 (Connecting)");
    assert_eq!(
        (notice.what.as_str(), &notice.because[..]),
        ("connection-lost", &["it has been so for 60 s".to_owned()][..])
    );
    world.pass(3600.0);
    world.connected(1);
    assert_eq!(world.told(), ["notice connection-back: r0: the connection to n2 is back after 61 min"]);
}

#[test]
fn what_comes_up_within_a_minute_is_no_news() {
    let mut world = World::new(&[all("x")]);
    world.lines(&lost());
    world.pass(30.0);
    world.connected(1);
    world.pass(300.0);
    assert_eq!(world.told(), Vec::<String>::new());
    // Now it was good.
    world.connection(1, "Timeout");
    assert_eq!(world.told(), ["error connection-lost: r0: the connection to n2 is lost (Connected -> Timeout)"]);
}

#[test]
fn what_was_told_before_a_restart_is_not_told_again_and_its_end_is() {
    let mut world = World::settled(&[all("x"), all("y")]);
    world.connection(1, "NetworkFailure");
    let kept: Vec<_> = world.standing().into_iter().collect();
    assert_eq!(kept.len(), 2);
    assert_eq!(kept[0], ("x".to_owned(), vec!["connection-lost r0 peer 1".to_owned()]));
    // Another daemon, of which a third receiver is new. The disk answers late.
    let mut world = World::new(&[all("x"), all("y"), all("z")]);
    world.lines(&lost());
    world.pass(10.0);
    world.step(&Input::Standing(kept.clone()));
    world.pass(600.0);
    let messages = world.messages();
    let told: Vec<&str> = messages.iter().map(|message| message.receiver.as_str()).collect();
    assert_eq!(told, ["z"], "who was not told before");
    world.connected(1);
    let told = world.messages();
    assert_eq!(told.iter().map(|message| message.receiver.as_str()).collect::<Vec<_>>(), ["x", "y", "z"]);
    assert!(world.standing().is_empty());
    // One that finds it well again.
    let mut world = World::new(&[all("x")]);
    world.step(&Input::Standing(kept));
    world.lines(DUMP);
    assert_eq!(world.told(), ["notice connection-back: r0: the connection to n2 is back"]);
    world.connection(1, "Timeout");
    assert_eq!(world.told().len(), 1, "this is another time");
}

#[test]
fn what_came_back_while_no_daemon_ran_is_told_also_if_the_disk_answers_late() {
    let kept =
        vec![("x".to_owned(), vec!["connection-lost r0 peer 1".to_owned(), "quorum-lost r0 resource".to_owned()])];
    let mut world = World::settled(&[all("x")]);
    world.pass(20.0);
    world.step(&Input::Standing(kept));
    assert_eq!(
        world.told(),
        ["notice connection-back: r0: the connection to n2 is back", "notice quorum-back: r0: quorum is there again"]
    );
    world.pass(600.0);
    world.connected(1);
    assert_eq!(world.told(), Vec::<String>::new());
    world.connection(1, "Timeout");
    assert_eq!(world.told().len(), 1, "this is another time");
}

#[test]
fn what_is_in_no_message_yet_is_not_kept_as_told() {
    let patient = reactor_core::settings::NotifySettings { together: Duration::from_secs(10), ..all("x") };
    let mut world = World::settled(std::slice::from_ref(&patient));
    world.connection(1, "Timeout");
    world.pass(9.0);
    assert!(world.standing().is_empty(), "whoever is killed now has told nobody");
    world.pass(1.0);
    let kept = world.standing();
    assert_eq!(kept["x"], ["connection-lost r0 peer 1"]);
    // That it is back gathers, too: until then the next daemon would have to tell it.
    world.connected(1);
    world.pass(9.0);
    assert!(world.standing().is_empty());
    world.pass(1.0);
    assert_eq!(world.standing()["x"], Vec::<String>::new());
    // What comes and goes is kept as it was told last.
    for _ in 0..10 {
        world.connection(1, "Timeout");
        world.connected(1);
    }
    world.connection(1, "Timeout");
    world.pass(10.0);
    assert!(world.standing().get("x").is_none_or(Vec::is_empty), "that it is lost in the end is told when it stays so");
    world.pass(60.0);
    assert_eq!(world.standing()["x"], ["connection-lost r0 peer 1"]);
}

#[test]
fn what_comes_and_goes_is_kept_as_the_last_message_has_it() {
    let patient = reactor_core::settings::NotifySettings { together: Duration::from_secs(10), ..all("x") };
    let mut world = World::settled(std::slice::from_ref(&patient));
    world.connection(1, "Timeout");
    world.pass(10.0);
    assert_eq!(world.standing()["x"], ["connection-lost r0 peer 1"]);
    // Gone and back twice more is told, and that it is lost again is held.
    for _ in 0..2 {
        world.connected(1);
        world.connection(1, "Timeout");
    }
    world.connected(1);
    world.connection(1, "Timeout");
    world.pass(10.0);
    assert_eq!(world.standing()["x"], Vec::<String>::new(), "people know it as back");
    world.pass(60.0);
    assert_eq!(world.standing()["x"], ["connection-lost r0 peer 1"]);
}

#[test]
fn a_resource_that_is_taken_down_takes_with_it_what_was_told_before_a_restart() {
    let mut world = World::new(&[all("x")]);
    let device = "device name:r0 volume:0 minor:1000 backing_dev:/dev/vg/r0";
    world.lines(&DUMP.replace("disk:UpToDate client:no", "disk:Attaching client:no"));
    world.step(&Input::Standing(vec![("x".to_owned(), vec!["disk-outdated r0 volume 0".to_owned()])]));
    assert_eq!(world.told(), Vec::<String>::new(), "it is not known how it is");
    world.lines(
        "destroy connection name:r0 peer-node-id:1 conn-name:n2\ndestroy connection name:r0 peer-node-id:2 conn-name:n3\n\
         destroy device name:r0 volume:0\ndestroy device name:r0 volume:1\ndestroy resource name:r0",
    );
    assert_eq!(world.told(), ["notice resource-down: r0: it was taken down on this node"]);
    world.lines(&DUMP.replace("exists -\n", "").replace("exists ", "create "));
    world.pass(60.0);
    assert_eq!(world.told(), Vec::<String>::new());
    world.lines(&format!("change {device} disk:Outdated client:no quorum:yes size:1024 open:no"));
    assert_eq!(world.told(), ["warning disk-outdated: r0/0: a peer has newer data (UpToDate -> Outdated)"]);
}

#[test]
fn a_reload_repeats_nothing_and_keeps_what_waits() {
    let patient = reactor_core::settings::NotifySettings { together: Duration::from_secs(10), ..all("x") };
    let mut world = World::settled(std::slice::from_ref(&patient));
    world.connection(1, "Timeout");
    world.pass(5.0);
    let slower = reactor_core::settings::NotifySettings { together: Duration::from_secs(20), ..patient.clone() };
    world.configure(&[slower]);
    world.pass(14.0);
    assert_eq!(world.told(), Vec::<String>::new());
    world.pass(1.0);
    assert_eq!(world.told(), ["error connection-lost: r0: the connection to n2 is lost (Connected -> Timeout)"]);
    world.configure(&[patient]);
    world.pass(600.0);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn with_two_tables_in_one_file_each_keeps_its_own_settings() {
    let patient = |name| reactor_core::settings::NotifySettings { together: Duration::from_secs(60), ..all(name) };
    let mut world = World::settled(&[patient("a"), patient("b")]);
    world.connection(1, "Timeout");
    // The first one goes: what it had waiting is told now, and the other one goes on waiting.
    world.configure(&[reactor_core::settings::NotifySettings { together: Duration::from_secs(61), ..all("b") }]);
    let told: Vec<String> = world.messages().into_iter().map(|message| message.receiver).collect();
    assert_eq!(told, ["a"]);
    world.pass(61.0);
    let told: Vec<String> = world.messages().into_iter().map(|message| message.receiver).collect();
    assert_eq!(told, ["b"]);
}

#[test]
fn what_happened_while_the_source_was_away_is_told_and_what_did_not_is_not() {
    let mut world = World::settled(&[all("x")]);
    world.connection(2, "Timeout");
    assert_eq!(world.told().len(), 1);
    world.step(&Input::Source(SourceId::Drbd, SourceEvent::Ended { why: "it died".to_owned() }));
    world.pass(100.0);
    let started = SourceEvent::Started { command: "test".to_owned(), dialect: Some(Dialect::Drbd9) };
    world.step(&Input::Source(SourceId::Drbd, started));
    let both = lost()
        .replace("conn-name:n3 connection:Connected role:Secondary", "conn-name:n3 connection:Connecting role:Unknown");
    world.lines(&both);
    assert_eq!(world.told(), ["error connection-lost: r0: the connection to n2 is lost (Connected -> Connecting)"]);
    world.pass(600.0);
    assert_eq!(world.told(), Vec::<String>::new());
}

#[test]
fn what_waits_is_told_before_the_daemon_ends() {
    let patient = reactor_core::settings::NotifySettings { together: Duration::from_secs(3600), ..all("x") };
    let mut world = World::settled(&[patient]);
    world.connection(1, "Timeout");
    assert_eq!(world.told(), Vec::<String>::new());
    world.step(&Input::Exit);
    assert_eq!(world.told().len(), 1);
}
