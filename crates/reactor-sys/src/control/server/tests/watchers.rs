//! Those who watch the status.

use super::status::{names, snapshot};
use super::*;
use crate::control::{Picture, Watched, Watchers};

/// Answers the next look of a watcher: a daemon in whose promoted resource so many failures were counted.
async fn shown(bench: &mut Bench, watchers: &Watchers, version: &str) {
    let ControlRequest::Watch(Asked { call, reply, .. }) = bench.next_request().await else { panic!("not a watch") };
    let snapshot = snapshot(version, 3);
    let picture = Picture::new(&snapshot.status, Vec::new(), &snapshot.resources, call.resources.as_ref());
    reply.send(Watched { snapshot, picture, changed: watchers.subscribe() }).unwrap();
}

fn version(reply: &Value) -> (&str, bool) {
    let version = reply["parameters"]["status"]["version"].as_str().unwrap_or_else(|| panic!("no picture: {reply}"));
    (version, reply["continues"] == true)
}

#[tokio::test]
async fn a_watcher_is_told_the_present_and_each_picture_that_differs() {
    let mut bench = Bench::new(Limits::default());
    let watchers = Watchers::default();
    let mut client = bench.connect(OTHER_USER);
    client.send("Watch", "").await;
    assert_eq!(client.error().await, "org.varlink.service.ExpectedMore");
    client.send("Watch", r#","more":true,"parameters":{"resources":["r0001"]}"#).await;
    shown(&mut bench, &watchers, "1").await;
    let first = client.reply().await.unwrap();
    assert_eq!((version(&first), names(&first, "promoted", "resource")), (("1", true), vec!["r0001".to_owned()]));
    // The loop says that something is new; it is looked at, and is the same.
    watchers.wake();
    shown(&mut bench, &watchers, "1").await;
    watchers.wake();
    shown(&mut bench, &watchers, "2").await;
    assert_eq!(version(&client.reply().await.unwrap()), ("2", true));
    // The daemon stops: no picture comes of that.
    drop(watchers);
    assert_eq!(client.error().await, "io.storagereactor.Control.Unavailable");
}

#[tokio::test]
async fn what_happens_while_a_watcher_does_not_look_is_one_picture() {
    let mut bench = Bench::new(Limits::default());
    let watchers = Watchers::default();
    let mut client = bench.own();
    client.send("Watch", r#","more":true"#).await;
    shown(&mut bench, &watchers, "0").await;
    for _ in 0..1000 {
        watchers.wake();
    }
    shown(&mut bench, &watchers, "1000").await;
    assert_eq!(version(&client.reply().await.unwrap()), ("0", true));
    assert_eq!(version(&client.reply().await.unwrap()), ("1000", true));
    assert!(bench.requests.try_recv().is_err(), "each news was looked at");
    // The client goes: the server notices without a write, and nobody is woken any more.
    drop(client.stream);
    timeout(LONG, client.server).await.expect("the connection ends").unwrap();
}

#[tokio::test]
async fn a_watcher_that_does_not_read_at_all_is_dropped() {
    let mut bench = Bench::new(Limits { write: Duration::from_millis(20), ..Limits::default() });
    let watchers = Watchers::default();
    let mut client = bench.own();
    client.send("Watch", r#","more":true"#).await;
    let ControlRequest::Watch(Asked { reply, .. }) = bench.next_request().await else { panic!("not a watch") };
    // More than a socket buffer holds.
    let snapshot = snapshot("1", 20_000);
    let picture = Picture::new(&snapshot.status, Vec::new(), &snapshot.resources, None);
    reply.send(Watched { snapshot, picture, changed: watchers.subscribe() }).unwrap();
    timeout(LONG, client.server).await.expect("the connection ends").unwrap();
}
