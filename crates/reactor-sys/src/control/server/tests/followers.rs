//! Those who follow changes.

use reactor_core::change::{Change, DeviceView, EventKind, Origin, What};
use reactor_core::ids::{EventSeq, ResourceName, Volume};
use reactor_core::settings::Detail;

use super::*;
use crate::control::ChangeHub;

fn change(seq: u64, is_state: bool) -> Change {
    let old = DeviceView::default();
    let mut new = old.clone();
    new.stats.read_kib = Some(seq);
    new.state.quorum = is_state.then_some(true);
    Change {
        seq: EventSeq(seq),
        kind: EventKind::Change,
        origin: Origin::Live,
        implied: false,
        resource: ResourceName::new("r0"),
        what: What::Device { volume: Volume(0), old, new },
    }
}

fn seqs(reply: &Value) -> Vec<u64> {
    let changes = reply["parameters"]["changes"].as_array().unwrap_or_else(|| panic!("no changes: {reply}"));
    changes.iter().map(|change| change["seq"].as_u64().unwrap()).collect()
}

/// Answers the one `Changes` request that comes next.
async fn subscribed(bench: &mut Bench, hub: &ChangeHub) {
    let ControlRequest::Changes(Asked { call, reply, .. }) = bench.next_request().await else { panic!("not changes") };
    reply.send(hub.answer(&call)).unwrap();
}

#[tokio::test]
async fn followers_get_the_past_then_the_present() {
    let mut bench = Bench::new(Limits::default());
    let mut hub = ChangeHub::default();
    hub.publish(SystemTime::UNIX_EPOCH, &(1..=600).map(|seq| change(seq, true)).collect::<Vec<_>>());
    let mut client = bench.own();

    client.send("Changes", r#","parameters":{"last":2}"#).await;
    subscribed(&mut bench, &hub).await;
    let reply = client.reply().await.unwrap();
    assert_eq!((seqs(&reply), reply.get("continues")), (vec![599, 600], None));

    client.send("Changes", r#","more":true,"parameters":{"last":600,"follow":true}"#).await;
    subscribed(&mut bench, &hub).await;
    let mut got = Vec::new();
    while got.len() < 600 {
        got.extend(seqs(&client.reply().await.unwrap()));
    }
    hub.publish(SystemTime::UNIX_EPOCH, &[change(601, false), change(602, true), change(603, true)]);
    while got.len() < 602 {
        let reply = client.reply().await.unwrap();
        assert_eq!(reply["continues"], true);
        got.extend(seqs(&reply));
    }
    let expected: Vec<u64> = (1..=600).chain([602, 603]).collect();
    assert_eq!(got, expected);
    // The daemon stops: the stream ends with a last reply.
    drop(hub);
    let reply = client.reply().await.unwrap();
    assert_eq!((seqs(&reply), reply.get("continues")), (vec![], None));
}

#[tokio::test]
async fn a_new_follower_knows_from_when_on_it_misses_nothing() {
    let mut bench = Bench::new(Limits::default());
    let mut hub = ChangeHub::default();
    let mut client = bench.own();
    client.send("Changes", r#","more":true,"parameters":{"follow":true,"detail":"all"}"#).await;
    subscribed(&mut bench, &hub).await;
    let first = client.reply().await.unwrap();
    assert_eq!((seqs(&first), &first["continues"]), (vec![], &Value::Bool(true)));
    hub.publish(SystemTime::UNIX_EPOCH, &[change(1, false)]);
    assert_eq!(seqs(&client.reply().await.unwrap()), [1]);
    // The client goes: the server notices without a write, and nobody wants statistics any more.
    drop(client.stream);
    timeout(LONG, client.server).await.expect("the connection ends").unwrap();
    assert_eq!(hub.wants(), Detail::State);
}

/// A consumer that is too slow costs nobody else anything; it is told what it missed and dropped.
#[tokio::test]
async fn a_slow_reader_is_dropped_with_a_notice_and_the_loop_never_waits() {
    let mut bench = Bench::new(Limits::default());
    let mut hub = ChangeHub::new(10, 100);
    let mut client = bench.own();
    client.send("Changes", r#","more":true,"parameters":{"follow":true}"#).await;
    subscribed(&mut bench, &hub).await;
    assert!(client.reply().await.is_some());
    // Publishing never yields, so the connection's task cannot run in between: it must fall behind.
    hub.publish(SystemTime::UNIX_EPOCH, &(1..=1000).map(|seq| change(seq, true)).collect::<Vec<_>>());
    assert_eq!(client.error().await, "io.storagereactor.Control.Lagged");
    client.closed().await;
}

#[tokio::test]
async fn a_reader_that_does_not_read_at_all_is_dropped() {
    let mut bench = Bench::new(Limits { write: Duration::from_millis(20), ..Limits::default() });
    let mut hub = ChangeHub::new(10, 1 << 16);
    let mut client = bench.own();
    client.send("Changes", r#","more":true,"parameters":{"follow":true}"#).await;
    subscribed(&mut bench, &hub).await;
    // More than a socket buffer holds.
    hub.publish(SystemTime::UNIX_EPOCH, &(1..=20_000).map(|seq| change(seq, true)).collect::<Vec<_>>());
    timeout(LONG, client.server).await.expect("the connection ends").unwrap();
}

/// A follower that talks all the time: its words were collected for ever, and each looked at again and again.
#[tokio::test]
async fn a_follower_that_sends_bytes_is_ended() {
    let mut bench = Bench::new(Limits::default());
    let mut hub = ChangeHub::default();
    for words in ["{}\0", "x"] {
        let mut quiet = bench.own();
        quiet.send("Changes", r#","more":true,"parameters":{"follow":true}"#).await;
        subscribed(&mut bench, &hub).await;
        assert!(quiet.reply().await.is_some());
        let mut client = bench.own();
        client.send("Changes", r#","more":true,"parameters":{"follow":true}"#).await;
        subscribed(&mut bench, &hub).await;
        assert!(client.reply().await.is_some());
        // A few words behind the call are no harm.
        client.send_raw(words.repeat(100).as_bytes()).await;
        hub.publish(SystemTime::UNIX_EPOCH, &[change(1, true)]);
        assert_eq!(seqs(&client.reply().await.unwrap()), [1]);
        let (_, mut writing) = client.stream.split();
        let talk = words.repeat(10_000);
        while writing.write_all(talk.as_bytes()).await.is_ok() {}
        timeout(LONG, client.server).await.expect("the connection ends").unwrap();
        assert_eq!(seqs(&quiet.reply().await.unwrap()), [1]);
    }
}
