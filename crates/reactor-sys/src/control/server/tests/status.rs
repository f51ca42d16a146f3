//! Those who ask for the status: one, and a crowd.

use reactor_api::{PromotedStatus, Status};
use reactor_core::ids::ResourceName;
use reactor_core::model::objects::Resource;

use super::*;
use crate::control::Snapshot;

/// What a loop with `resources` resources answers.
pub(super) fn snapshot(version: &str, resources: usize) -> Snapshot {
    let resources = (0..resources).map(|r| Arc::new(Resource::new(ResourceName::new(&format!("r{r:04}"))))).collect();
    let promoted = ["r0001", "r0002"]
        .map(|resource| PromotedStatus { resource: resource.to_owned(), ..PromotedStatus::default() });
    let status = Status { version: version.to_owned(), ..Status::default() };
    Snapshot { status: Box::new(status), promoted: promoted.into(), resources }
}

pub(super) fn names(reply: &Value, list: &str, key: &str) -> Vec<String> {
    let list = reply["parameters"]["status"][list].as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|one| one[key].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_status_of_any_size_is_one_answer_and_only_what_was_asked_for() {
    let mut bench = Bench::new(Limits::default());
    let mut client = bench.own();
    // Many pieces, one, and none at all.
    for count in [3000, 5, 0] {
        client.send("Status", "").await;
        let ControlRequest::Status(Asked { reply, .. }) = bench.next_request().await else { panic!("not a status") };
        reply.send(snapshot("7", count)).unwrap();
        let answer = client.reply().await.unwrap();
        assert_eq!(answer["parameters"]["status"]["version"], "7");
        assert_eq!(names(&answer, "promoted", "resource"), ["r0001", "r0002"]);
        let all: Vec<String> = (0..count).map(|r| format!("r{r:04}")).collect();
        assert!(names(&answer, "resources", "name") == all, "{count}");
    }
    for (only, resources, promoted) in [
        (json!(["r0002", "r0004"]), vec!["r0002", "r0004"], vec!["r0002"]),
        (json!(["nobody"]), vec![], vec![]),
        (json!([]), vec![], vec![]),
    ] {
        client.send("Status", &format!(",\"parameters\":{{\"resources\":{only}}}")).await;
        let ControlRequest::Status(Asked { reply, .. }) = bench.next_request().await else { panic!("not a status") };
        reply.send(snapshot("7", 3000)).unwrap();
        let answer = client.reply().await.unwrap();
        assert_eq!(
            (names(&answer, "resources", "name"), names(&answer, "promoted", "resource")),
            (resources.into_iter().map(str::to_owned).collect(), promoted.into_iter().map(str::to_owned).collect())
        );
        // The list is there also when it is empty.
        assert!(answer["parameters"]["status"]["resources"].is_array());
    }
}

#[tokio::test]
async fn a_crowd_of_readers_asks_the_loop_once() {
    let mut bench = Bench::new(Limits::default());
    let mut crowd = Vec::new();
    for _ in 0..60 {
        let mut reader = bench.connect(OTHER_USER);
        reader.send("Status", "").await;
        crowd.push(reader);
    }
    let ControlRequest::Status(Asked { reply, .. }) = bench.next_request().await else { panic!("not a status") };
    // The others wait for this answer; whoever is privileged has one of its own.
    let mut own = bench.own();
    own.send("Status", "").await;
    let ControlRequest::Status(Asked { reply: for_own, .. }) = bench.next_request().await else {
        panic!("not a status")
    };
    for_own.send(snapshot("own", 3)).unwrap();
    assert_eq!(own.reply().await.unwrap()["parameters"]["status"]["version"], "own");
    reply.send(snapshot("shared", 1000)).unwrap();
    let mut asked_again = 0;
    for mut reader in crowd {
        // On a slow machine the crowd may take longer than one status is good for.
        let answer = loop {
            tokio::select! {
                answer = reader.reply() => break answer.unwrap(),
                request = bench.next_request() => {
                    let ControlRequest::Status(Asked { reply, .. }) = request else { panic!("not a status") };
                    asked_again += 1;
                    reply.send(snapshot("shared", 1000)).unwrap();
                }
            }
        };
        assert_eq!(answer["parameters"]["status"]["version"], "shared");
    }
    assert!(asked_again < 60, "each asked for itself");
}

/// Whatever readers ask, the loop has one of their requests at a time: a helper never waits for a crowd.
#[tokio::test]
async fn readers_take_turns_and_a_helper_does_not_wait_for_them() {
    let mut bench = Bench::new(Limits::default());
    let mut readers = Vec::new();
    for verb in ["Why", "Status", "Changes", "Leftovers", "Why"] {
        let mut reader = bench.connect(OTHER_USER);
        reader.send(verb, if verb == "Why" { ",\"parameters\":{\"resource\":\"r0\"}" } else { "" }).await;
        readers.push(reader);
    }
    let first = bench.next_request().await;
    let mut own = bench.own();
    own.send("Helper", r#","parameters":{"helper":"h","object":"r0","env":{}}"#).await;
    let ControlRequest::Helper(Asked { reply, .. }) = bench.next_request().await else {
        panic!("a second reader's request")
    };
    reply.send(Ok(HelperReply { exit: Some(1), ..HelperReply::default() })).unwrap();
    assert!(own.reply().await.is_some());
    assert!(bench.requests.try_recv().is_err(), "a second reader's request");
    // Unanswered is answered, too: then it is the next one's turn.
    drop(first);
    for _ in 1..readers.len() {
        drop(bench.next_request().await);
    }
    for mut reader in readers {
        assert_eq!(reader.error().await, "io.storagereactor.Control.Unavailable");
    }
}

#[tokio::test]
async fn a_status_that_is_not_read_ends_and_harms_nobody() {
    let mut bench = Bench::new(Limits { write: Duration::from_millis(50), ..Limits::default() });
    let mut slow = bench.connect(OTHER_USER);
    slow.send("Status", "").await;
    let ControlRequest::Status(Asked { reply, .. }) = bench.next_request().await else { panic!("not a status") };
    // More than a socket buffer holds.
    let many = snapshot("7", 20_000);
    let first = Arc::downgrade(&many.resources[0]);
    reply.send(many).unwrap();
    timeout(LONG, slow.server).await.expect("the connection ends").unwrap();
    // Nothing is kept for it; what readers share goes, too.
    while first.strong_count() > 0 {
        tokio::task::yield_now().await;
    }
}
