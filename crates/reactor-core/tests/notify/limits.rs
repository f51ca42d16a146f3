//! Not too much, and nothing lost without a word.

use std::time::Duration;

use proptest::prelude::*;
use reactor_core::history::Severity as HistorySeverity;
use reactor_core::input::Input;
use reactor_core::settings::NotifySettings;
use reactor_core::settings::notify::Filter;
use reactor_core::settings::umh::RateLimit;
use reactor_storage::event::Severity;

use crate::world::{World, all};

/// What lasts is told; what flickers is told a few times, and then what it has come to.
#[test]
fn a_connection_that_is_lost_a_hundred_times_in_a_minute_is_a_handful_of_messages() {
    let usual = NotifySettings { filter: Filter::default(), together: Duration::from_secs(10), ..all("x") };
    let mut world = World::settled(&[usual, all("y")]);
    for _ in 0..100 {
        world.connection(1, "NetworkFailure");
        world.pass(0.3);
        world.connected(1);
        world.pass(0.3);
    }
    world.pass(600.0);
    let messages = world.messages();
    let of = |name: &str| messages.iter().filter(|message| message.receiver == name).collect::<Vec<_>>();
    let (usual, each) = (of("x"), of("y"));
    assert!(usual.len() <= 3, "{} messages", usual.len());
    assert_eq!(each.len(), 7, "three times lost and back, and how it is in the end");
    for messages in [usual, each] {
        let told: usize = messages.iter().map(|message| message.notices.len()).sum();
        let left_out: u64 = messages.iter().map(|message| message.left_out).sum();
        assert_eq!(told as u64 + left_out, 200);
        let last = messages.last().unwrap().notices.last().unwrap();
        assert_eq!((last.what.as_str(), last.because.len()), ("connection-back", 1), "{last:?}");
    }
}

#[test]
fn the_rate_limit_lets_messages_wait_and_they_come_though_nothing_else_happens() {
    let limit = Some(RateLimit { count: 1, per: Duration::from_secs(60) });
    let mut world = World::settled(&[NotifySettings { rate_limit: limit, ..all("x") }]);
    for number in 0..100 {
        world.say(HistorySeverity::Info, &number.to_string());
    }
    assert_eq!(world.told(), ["info daemon: 0"]);
    world.pass(59.0);
    assert_eq!(world.told(), Vec::<String>::new());
    world.pass(1.0);
    let messages = world.messages();
    assert_eq!((messages.len(), messages[0].notices.len(), messages[0].left_out), (1, 50, 49));
    assert_eq!(messages[0].title(), "n1: 1 (and 98 more)");
}

#[test]
fn the_end_is_told_to_whoever_was_told_of_the_beginning_however_mild_it_is() {
    let only = |what: &[&str], severity| {
        let what = what.iter().map(|word| (*word).to_owned()).collect();
        NotifySettings { filter: Filter { what, severity, ..Filter::default() }, ..all("x") }
    };
    for (table, told) in [
        (only(&["connection-lost"], Severity::Info), 2),
        (only(&["connection-*"], Severity::Error), 2),
        (only(&["connection-back"], Severity::Info), 1),
        (only(&[], Severity::Critical), 0),
        (only(&["quorum-*"], Severity::Info), 0),
    ] {
        let mut world = World::settled(&[table]);
        world.connection(1, "NetworkFailure");
        world.connected(1);
        assert_eq!(world.told().len(), told);
    }
}

#[test]
fn a_message_names_what_is_lost_and_not_each_state_on_the_way() {
    let mut world = World::settled(&[all("x")]);
    world.lines(
        "change connection name:r0 peer-node-id:1 conn-name:n2 connection:NetworkFailure role:Unknown congested:no
         change peer-device name:r0 peer-node-id:1 conn-name:n2 volume:0 replication:Off peer-disk:DUnknown peer-client:no resync-suspended:no",
    );
    world.connection(1, "Unconnected");
    world.connection(1, "Connecting");
    assert_eq!(world.told(), ["error connection-lost: r0: the connection to n2 is lost (Connected -> NetworkFailure)"]);
    world.connection(1, "StandAlone");
    assert_eq!(
        world.told(),
        ["error standalone: r0: no connection to n2, and DRBD does not try any more (Connecting -> StandAlone)"]
    );
    world.connection(1, "Connecting");
    world.connected(1);
    assert_eq!(world.told(), ["notice connection-back: r0: the connection to n2 is back after 0 s"]);
    world.connection(1, "Disconnecting");
    world.connection(1, "StandAlone");
    world.pass(5.0);
    assert_eq!(world.told(), ["warning connection-lost: r0: the connection to n2 is lost (Connected -> StandAlone)"]);
}

#[test]
fn disks_quorum_and_suspension_have_words_of_their_own() {
    let mut world = World::settled(&[all("x")]);
    let device = |state: &str, quorum: &str| {
        format!(
            "change device name:r0 volume:0 minor:1000 backing_dev:/dev/vg/r0 disk:{state} client:no quorum:{quorum} size:1024 open:no\n"
        )
    };
    world.lines(&device("Failed", "yes"));
    world.lines(&device("Diskless", "yes"));
    world.pass(10.0);
    assert_eq!(world.told(), ["critical disk-failed: r0/0: the backing device /dev/vg/r0 failed (UpToDate -> Failed)"]);
    world.lines(&device("Attaching", "yes"));
    world.lines(&device("UpToDate", "yes"));
    assert_eq!(world.told(), ["notice disk-up-to-date: r0/0: the data here are good again (UpToDate) after 10 s"]);
    world.lines(&device("UpToDate", "no"));
    assert_eq!(world.told(), ["critical quorum-lost: r0: quorum is lost"]);
    let suspended = |why: &str| {
        format!(
            "change resource name:r0 role:Secondary suspended:{why} force-io-failures:no may_promote:yes promotion_score:1\n"
        )
    };
    world.lines(&suspended("quorum"));
    world.pass(4.0);
    assert_eq!(world.told(), Vec::<String>::new(), "a moment is no news");
    world.pass(1.0);
    assert_eq!(world.told(), ["error suspended: r0: I/O is suspended (quorum)"]);
    world.lines(&(suspended("no") + &device("UpToDate", "yes")));
    assert_eq!(
        world.told(),
        ["notice quorum-back: r0: quorum is there again after 5 s", "notice resumed: r0: I/O goes on after 5 s"]
    );
}

#[test]
fn taking_a_resource_down_is_one_thing_and_not_all_that_goes_with_it() {
    let mut world = World::settled(&[all("x")]);
    world.connection(1, "Disconnecting");
    world.connection(1, "StandAlone");
    world.lines("destroy peer-device name:r0 peer-node-id:1 conn-name:n2 volume:0\ndestroy connection name:r0 peer-node-id:1 conn-name:n2");
    world.lines(
        "change device name:r0 volume:0 minor:1000 backing_dev:none disk:Diskless client:no quorum:no size:1024 open:no
         destroy connection name:r0 peer-node-id:2 conn-name:n3",
    );
    world.lines("destroy device name:r0 volume:0 minor:1000\ndestroy device name:r0 volume:1 minor:1001");
    world.lines("destroy resource name:r0");
    world.pass(600.0);
    assert_eq!(world.told(), ["notice resource-down: r0: it was taken down on this node"]);
}

proptest! {
    /// Whatever is said when, however the table is set, reloads and the end included: each notice is in one message or counted in one.
    #[test]
    fn nothing_that_matches_is_lost(
        steps in prop::collection::vec((0u32..30, 0usize..4), 1..200),
        together in 0u64..20,
        count in 1u32..3,
        limited: bool,
    ) {
        let limit = limited.then_some(RateLimit { count, per: Duration::from_secs(40) });
        let table = NotifySettings {
            together: Duration::from_secs(together),
            rate_limit: limit,
            filter: Filter { severity: Severity::Warning, ..Filter::default() },
            ..all("x")
        };
        let mut world = World::settled(std::slice::from_ref(&table));
        let mut said = 0u64;
        for (wait, what) in &steps {
            world.pass(f64::from(*wait));
            match what {
                0 => world.say(HistorySeverity::Info, "nobody wants to know"),
                1 => world.configure(&[NotifySettings { together: Duration::from_secs(together + u64::from(*wait)), ..table.clone() }]),
                _ => {
                    world.say(if *what == 2 { HistorySeverity::Warning } else { HistorySeverity::Error }, &said.to_string());
                    said += 1;
                }
            }
        }
        world.step(&Input::Exit);
        let messages = world.messages();
        let mut seen: Vec<u64> = Vec::new();
        for message in &messages {
            prop_assert!(message.notices.len() <= 50);
            seen.extend(message.notices.iter().map(|notice| notice.text.parse::<u64>().unwrap()));
        }
        prop_assert!(seen.is_sorted_by(|a, b| a < b));
        let left_out: u64 = messages.iter().map(|message| message.left_out).sum();
        prop_assert_eq!(seen.len() as u64 + left_out, said);
    }
}
