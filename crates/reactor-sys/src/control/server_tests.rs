//! The server over a socket pair, with a loop that is played by the test.

use std::time::SystemTime;

use reactor_api::status::ReloadResult;
use reactor_api::verbs::{HelperReply, ReloadReply};
use reactor_api::{PromotedStatus, Status};
use reactor_core::change::{Change, DeviceView, EventKind, Origin, What};
use reactor_core::ids::{EventSeq, ResourceName, Volume};
use reactor_core::model::objects::Resource;
use reactor_core::settings::Detail;
use serde_json::Value;

use super::*;
use crate::control::{ChangeHub, Picture, Snapshot, Watched, Watchers};

/// Nothing in these tests takes this long, on the slowest machine.
const LONG: Duration = Duration::from_secs(60);

const OTHER_USER: Peer = peer(u32::MAX - 1, u32::MAX - 1);

const fn peer(uid: u32, gid: u32) -> Peer {
    Peer { uid, gid, user: None, pid: None }
}

/// A client, the far end of its connection, and the requests that reach the loop.
struct Bench {
    shared: Arc<Shared>,
    requests: mpsc::Receiver<ControlRequest>,
    audits: mpsc::Receiver<Audited>,
}

struct TestClient {
    stream: UnixStream,
    frames: Frames,
    server: JoinHandle<()>,
}

impl Bench {
    fn new(limits: Limits) -> Self {
        Self::with(limits, Roles::default())
    }

    fn with(limits: Limits, roles: Roles) -> Self {
        let (sender, requests) = mpsc::channel(4);
        let (audits, audited) = mpsc::channel(64);
        let info = ServiceInfo { product: "test".to_owned(), version: "1".to_owned() };
        let to_loop = ToLoop { requests: sender, audits: Some(audits) };
        let shared = Shared { roles, ..Shared::new(info, limits, to_loop) };
        Self { shared: Arc::new(shared), requests, audits: audited }
    }

    fn connect(&self, peer: Peer) -> TestClient {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let server = tokio::spawn(serve_connection(theirs, peer, Arc::clone(&self.shared)));
        TestClient { stream: ours, frames: Frames::new(usize::MAX), server }
    }

    fn own(&self) -> TestClient {
        self.connect(Peer { pid: Some(1), ..peer(self.shared.own_uid, 0) })
    }

    async fn next_request(&mut self) -> ControlRequest {
        timeout(LONG, self.requests.recv()).await.expect("a request comes").expect("the server lives")
    }
}

impl TestClient {
    async fn send(&mut self, verb: &str, rest: &str) {
        let call = format!("{{\"method\":\"{INTERFACE}.{verb}\"{rest}}}\0");
        self.send_raw(call.as_bytes()).await;
    }

    async fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next reply; `None` when the server has closed.
    async fn reply(&mut self) -> Option<Value> {
        loop {
            if let Some(message) = self.frames.next_message().unwrap() {
                return Some(serde_json::from_slice(message).unwrap());
            }
            let mut bytes = [0; 4096];
            // The server may close with our bytes unread, which is a reset.
            let count = timeout(LONG, self.stream.read(&mut bytes)).await.expect("an answer comes").unwrap_or(0);
            if count == 0 {
                return None;
            }
            self.frames.push(&bytes[..count]);
        }
    }

    async fn error(&mut self) -> String {
        let reply = self.reply().await.expect("a reply");
        reply["error"].as_str().unwrap_or_else(|| panic!("not an error: {reply}")).to_owned()
    }

    async fn closed(mut self) {
        assert_eq!(self.reply().await, None);
        timeout(LONG, self.server).await.expect("the connection ends").unwrap();
    }
}

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

#[tokio::test]
async fn the_loop_is_asked_and_its_answer_is_passed_on() {
    let mut bench = Bench::new(Limits::default());
    let mut client = bench.own();
    client.send("Status", "").await;
    let ControlRequest::Status(Asked { reply, .. }) = bench.next_request().await else { panic!("not a status") };
    reply.send(snapshot("7", 0)).unwrap();
    assert_eq!(client.reply().await.unwrap()["parameters"]["status"]["version"], "7");

    client.send("Reload", "").await;
    let ControlRequest::Reload(Asked { reply, peer, .. }) = bench.next_request().await else { panic!("not a reload") };
    assert_eq!(peer.pid, Some(1));
    let findings = vec!["a.toml:1:1: error: no".to_owned()];
    let result = ReloadResult::Partly;
    reply.send(Ok(ReloadReply { ok: false, result, findings, report: "^".to_owned() })).unwrap();
    let answer = client.reply().await.unwrap();
    assert_eq!(answer["parameters"]["ok"], false);
    assert_eq!(answer["parameters"]["result"], "partly");
    assert_eq!(answer["parameters"]["findings"][0], "a.toml:1:1: error: no");

    client
        .send(
            "Helper",
            r#","parameters":{"helper":"fence-peer","object":"r0","env":{"DRBD_PEER":"n2"},"timeout_ms":5000}"#,
        )
        .await;
    let ControlRequest::Helper(Asked { reply, call, .. }) = bench.next_request().await else { panic!("not a helper") };
    assert_eq!((call.helper.0.as_str(), call.timeout_ms.duration()), ("fence-peer", Duration::from_secs(5)));
    reply.send(Ok(HelperReply { exit: Some(4), rule: Some("fence".to_owned()), fallback: None })).unwrap();
    assert_eq!(client.reply().await.unwrap()["parameters"], json!({ "exit": 4, "rule": "fence" }));
}

#[tokio::test]
async fn calls_in_one_piece_are_answered_in_order() {
    let bench = Bench::new(Limits::default());
    let mut client = bench.own();
    let info = format!("{{\"method\":\"{SERVICE_INTERFACE}.GetInfo\"}}\0");
    let oneway = format!("{{\"method\":\"{SERVICE_INTERFACE}.GetInfo\",\"oneway\":true}}\0");
    let wrong = format!("{{\"method\":\"{INTERFACE}.Explode\"}}\0");
    client.send_raw([info.as_str(), &oneway, &wrong, &info].concat().as_bytes()).await;
    assert_eq!(client.reply().await.unwrap()["parameters"]["product"], "test");
    assert_eq!(client.error().await, "org.varlink.service.MethodNotFound");
    assert_eq!(client.reply().await.unwrap()["parameters"]["version"], "1");
}

#[tokio::test]
async fn others_may_read_and_not_change() {
    let mut bench = Bench::new(Limits::default());
    for (peer, allowed) in [(OTHER_USER, false), (peer(0, 0), true)] {
        let mut client = bench.connect(peer);
        client.send("Status", "").await;
        assert!(matches!(bench.next_request().await, ControlRequest::Status(_)));
        // The loop drops the request: it stops.
        assert_eq!(client.error().await, "io.storagereactor.Control.Unavailable");
        client.send("Reload", "").await;
        if allowed {
            assert!(matches!(bench.next_request().await, ControlRequest::Reload(_)));
            assert_eq!(client.error().await, "io.storagereactor.Control.Unavailable");
        } else {
            assert_eq!(client.error().await, "io.storagereactor.Control.PermissionDenied");
            for (verb, parameters) in [
                ("Helper", r#"{"helper":"h","object":"r0","env":{}}"#),
                ("Hold", r#"{"resource":"r0"}"#),
                ("Release", r#"{"resource":"r0"}"#),
                ("Clear", r#"{"resource":"r0"}"#),
                ("Leftovers", r#"{"remove":true}"#),
            ] {
                client.send(verb, &format!(",\"parameters\":{parameters}")).await;
                assert_eq!(client.error().await, "io.storagereactor.Control.PermissionDenied", "{verb}");
            }
        }
    }
    assert!(bench.requests.try_recv().is_err(), "nothing else reached the loop");
}

/// A machine with a group of operators: anna is in it, the process of a second user runs with it, and of a third nobody says anything.
fn with_operators(name: &str) -> (crate::people::tests::Machine, Roles) {
    let machine = crate::people::tests::Machine::new(name, "exec sleep 1000", "exec sleep 1000");
    let roles = Roles::of(machine.1.clone());
    (machine, roles)
}

const ANNA: Peer = peer(1000, 1000);
const BY_GROUP: Peer = peer(7777, 50);

impl Bench {
    /// Makes a call and says how it ended: the error's name, or `done`. Whatever reaches the loop is done.
    async fn outcome(&mut self, client: &mut TestClient, verb: &str, parameters: &str) -> String {
        client.send(verb, &format!(",\"parameters\":{parameters}")).await;
        let answer = tokio::select! {
            answer = client.reply() => answer,
            request = self.requests.recv() => {
                // What else comes is dropped: the loop stops.
                if let ControlRequest::Hold(asked) = request.expect("the server lives") {
                    let text = format!("held by {}", asked.peer.who());
                    asked.reply.send(Ok(verbs::Outcome { changed: true, text })).unwrap();
                }
                client.reply().await
            }
        };
        let answer = answer.expect("an answer");
        match answer["error"].as_str() {
            Some(error) => error.rsplit('.').next().unwrap_or_default().to_owned(),
            None => "done".to_owned(),
        }
    }
}

#[tokio::test]
async fn operators_may_steer_and_no_more_and_only_while_they_are_operators() {
    let (_machine, roles) = with_operators("operators");
    let mut bench = Bench::with(Limits::default(), roles);
    let hold = r#"{"resource":"r0"}"#;
    let mut clients = [bench.connect(ANNA), bench.connect(BY_GROUP)];
    for client in &mut clients {
        assert_eq!(bench.outcome(client, "Hold", hold).await, "PermissionDenied", "no group is set");
    }
    bench.shared.roles.name(Some("operators"));
    assert_eq!(bench.shared.roles.look_up("operators").await, Ok(50));
    for client in &mut clients {
        assert_eq!(bench.outcome(client, "Hold", hold).await, "done");
        for (verb, parameters) in [
            ("Reload", "{}"),
            ("Leftovers", r#"{"remove":true}"#),
            ("Helper", r#"{"helper":"h","object":"r0","env":{},"timeout_ms":1}"#),
        ] {
            assert_eq!(bench.outcome(client, verb, parameters).await, "PermissionDenied", "{verb}");
        }
    }
    // On connections that are open, too.
    bench.shared.roles.name(Some("operators-2"));
    assert_eq!(bench.outcome(&mut clients[0], "Hold", hold).await, "PermissionDenied", "not looked up yet");
    assert_eq!(bench.shared.roles.look_up("operators-2").await, Ok(51));
    assert_eq!(bench.outcome(&mut clients[0], "Hold", hold).await, "done");
    bench.shared.roles.name(None);
    assert_eq!(bench.outcome(&mut clients[0], "Hold", hold).await, "PermissionDenied");
}

/// The directory hangs: that costs who asks, a while, and it is no yes.
#[tokio::test(start_paused = true)]
async fn a_directory_that_hangs_makes_nobody_an_operator_and_keeps_nobody_waiting_for_ever() {
    let (_machine, roles) = with_operators("hangs");
    let mut bench = Bench::with(Limits::default(), roles);
    bench.shared.roles.name(Some("operators"));
    bench.shared.roles.look_up("operators").await.unwrap();
    let mut client = bench.connect(peer(4321, 4321));
    client.send("Hold", r#","parameters":{"resource":"r0"}"#).await;
    let reply = client.reply().await.unwrap();
    let reason = reply["parameters"]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("uid 4321 may not do that: it is for root, and for members of the group operators"),
        "{reason}"
    );
    assert!(reason.contains("can't be found out"), "{reason}");
    // A group that was known stays known.
    let roles = &bench.shared.roles;
    roles.name(Some("far"));
    assert!(roles.look_up("far").await.is_err());
    assert!(roles.check_operator(&ANNA).await.is_err());
    assert!(bench.requests.try_recv().is_err());
}

#[tokio::test]
async fn readers_cannot_lock_out_an_operator() {
    let (_machine, roles) = with_operators("places");
    let mut bench = Bench::with(Limits { readers: 1, operators: 1, ..Limits::default() }, roles);
    bench.shared.roles.name(Some("operators"));
    bench.shared.roles.look_up("operators").await.unwrap();
    let mut reader = bench.connect(OTHER_USER);
    reader.send("Status", "").await;
    let _unanswered = bench.next_request().await;
    // The place is taken, and so is the readers' turn.
    let mut operator = bench.connect(ANNA);
    assert_eq!(bench.outcome(&mut operator, "Hold", r#"{"resource":"r0"}"#).await, "done");
    assert_eq!(bench.connect(BY_GROUP).error().await, "io.storagereactor.Control.Unavailable");
}

#[tokio::test]
async fn every_changing_call_is_told_with_who_asked_and_what_became_of_it() {
    let (_machine, roles) = with_operators("audit");
    let mut bench = Bench::with(Limits::default(), roles);
    bench.shared.roles.name(Some("operators"));
    bench.shared.roles.look_up("operators").await.unwrap();
    let mut anna = bench.connect(ANNA);
    let hold = r#"{"resource":"r0","why":"new cables"}"#;
    bench.outcome(&mut anna, "Status", "{}").await;
    bench.outcome(&mut anna, "Hold", hold).await;
    bench.outcome(&mut anna, "Release", r#"{"resource":"r0"}"#).await;
    bench.outcome(&mut anna, "Reload", "{}").await;
    bench.outcome(&mut anna, "Helper", r#"{"helper":"h","object":"r0","env":{},"timeout_ms":1}"#).await;
    let mut own = bench.own();
    // A helper that is let through is DRBD's business, and what is no call is nobody's.
    bench.outcome(&mut own, "Helper", r#"{"helper":"h","object":"r0","env":{},"timeout_ms":1}"#).await;
    bench.outcome(&mut own, "Hold", "{}").await;
    let mut told = Vec::new();
    while let Ok(audited) = bench.audits.try_recv() {
        let (user, what) = (audited.peer.user.clone().unwrap_or_default(), audited.outcome.clone());
        told.push(format!(
            "{user} {} {} {} {} {}: {}",
            audited.peer.uid,
            audited.verb,
            audited.resource.unwrap_or_default(),
            audited.parameters,
            what.as_str(),
            what.text()
        ));
    }
    expect_test::expect![[r#"
        anna 1000 Hold r0 {"resource":"r0","why":"new cables"} done: held by anna
        anna 1000 Release r0 {"resource":"r0"} unknown: daemon is stopping
        anna 1000 Reload  {} denied: anna may not do that: it is for root
        anna 1000 Helper  {"env":{},"helper":"h","object":"r0","timeout_ms":1} denied: anna may not do that: it is for root"#]]
    .assert_eq(&told.join("\n"));
}

/// Its answer reaches nobody, and it was done all the same.
#[tokio::test]
async fn a_call_of_a_client_that_has_gone_is_told_too() {
    let mut bench = Bench::new(Limits::default());
    let mut client = bench.own();
    client.send("Hold", r#","parameters":{"resource":"r0"}"#).await;
    let ControlRequest::Hold(asked) = bench.next_request().await else { panic!("not a hold") };
    drop(client.stream);
    asked.reply.send(Ok(verbs::Outcome { changed: false, text: "was held".to_owned() })).unwrap();
    let audited = timeout(LONG, bench.audits.recv()).await.unwrap().unwrap();
    assert_eq!(audited.outcome, CallOutcome::Unchanged { text: "was held".to_owned() });
}

#[tokio::test]
async fn garbage_is_answered_and_ends_the_connection() {
    let bench = Bench::new(Limits::default());
    let mut client = bench.own();
    client.send_raw(b"GET / HTTP/1.1\r\n\r\n\0").await;
    assert_eq!(client.error().await, "org.varlink.service.InvalidParameter");
    client.closed().await;

    let mut client = bench.own();
    let stream = &mut client.stream;
    // The server hangs up before it has read all of this.
    let _ = stream.write_all(&vec![b'x'; MAX_REQUEST_BYTES + 100_000]).await;
    client.closed().await;
}

#[tokio::test]
async fn a_silent_client_and_a_slow_call_are_closed() {
    let short = Duration::from_millis(20);
    let bench = Bench::new(Limits { idle: short, read: LONG, ..Limits::default() });
    bench.own().closed().await;

    let bench = Bench::new(Limits { idle: LONG, read: short, ..Limits::default() });
    let mut client = bench.own();
    client.send_raw(b"{\"method\":").await;
    client.closed().await;
}

#[tokio::test]
async fn readers_cannot_lock_out_a_helper() {
    let bench = Bench::new(Limits { readers: 2, ..Limits::default() });
    let info = format!("{{\"method\":\"{SERVICE_INTERFACE}.GetInfo\"}}\0");
    let mut readers = Vec::new();
    for _ in 0..2 {
        let mut reader = bench.connect(OTHER_USER);
        reader.send_raw(info.as_bytes()).await;
        assert!(reader.reply().await.is_some());
        readers.push(reader);
    }
    let mut third = bench.connect(OTHER_USER);
    assert_eq!(third.error().await, "io.storagereactor.Control.Unavailable");
    third.closed().await;
    let mut own = bench.own();
    own.send_raw(info.as_bytes()).await;
    assert!(own.reply().await.is_some());
}

#[tokio::test]
async fn a_loop_that_does_not_answer_is_reported() {
    let mut bench = Bench::new(Limits { answer: Duration::from_millis(20), ..Limits::default() });
    let mut client = bench.own();
    client.send("Status", "").await;
    let _held = bench.next_request().await;
    assert_eq!(client.error().await, "io.storagereactor.Control.TimedOut");
    bench.requests.close();
    client.send("Status", "").await;
    assert_eq!(client.error().await, "io.storagereactor.Control.Unavailable");
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

/// What a loop with `resources` resources answers.
fn snapshot(version: &str, resources: usize) -> Snapshot {
    let resources = (0..resources).map(|r| Arc::new(Resource::new(ResourceName::new(&format!("r{r:04}"))))).collect();
    let promoted = ["r0001", "r0002"]
        .map(|resource| PromotedStatus { resource: resource.to_owned(), ..PromotedStatus::default() });
    let status = Status { version: version.to_owned(), ..Status::default() };
    Snapshot { status: Box::new(status), promoted: promoted.into(), resources }
}

fn names(reply: &Value, list: &str, key: &str) -> Vec<String> {
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

/// A survey starts programs. One that hangs kept all readers from the status.
#[tokio::test]
async fn a_survey_that_hangs_keeps_nobody_but_the_next_survey_waiting() {
    let mut bench = Bench::new(Limits::default());
    let machine = crate::people::tests::Machine::new("survey", "echo '[{\"resource\":\"r0\"}]'", "exec sleep 1000");
    let places = |drbdsetup: &Path| crate::survey::Places {
        drbdadm: "/none".into(),
        drbdsetup: drbdsetup.to_owned(),
        snippets: None,
        drbd: Vec::new(),
        units: Vec::new(),
        usermode_helper: "/none".into(),
    };
    let answer = |request: ControlRequest, drbdsetup: &Path| {
        let ControlRequest::Survey(Asked { reply, .. }) = request else { panic!("not a survey: {request:?}") };
        reply.send(("n1".to_owned(), places(drbdsetup))).unwrap();
    };
    let mut clients = [bench.connect(OTHER_USER), bench.connect(OTHER_USER), bench.own()];
    clients[0].send("Survey", "").await;
    answer(bench.next_request().await, &machine.1.getent);
    let facts = clients[0].reply().await.unwrap()["parameters"]["facts"].take();
    assert_eq!((&facts["node"], &facts["resources"][0]["name"]), (&json!("n1"), &json!("r0")));

    clients[0].send("Survey", "").await;
    answer(bench.next_request().await, &machine.1.id);
    clients[1].send("Survey", "").await;
    let mut other = bench.connect(OTHER_USER);
    other.send("Status", "").await;
    assert!(matches!(bench.next_request().await, ControlRequest::Status(_)), "one survey at a time");
    assert_eq!(other.error().await, "io.storagereactor.Control.Unavailable");
    clients[2].send("Survey", "").await;
    answer(bench.next_request().await, &machine.1.getent);
    assert_eq!(clients[2].reply().await.unwrap()["parameters"]["facts"]["node"], "n1");
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

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Whatever a client sends, its connection ends when the client closes, and the server lives.
    #[test]
    fn any_bytes_end_well(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..500)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::new(Limits::default());
            let mut client = bench.own();
            client.send_raw(&bytes).await;
            client.stream.shutdown().await.unwrap();
            while client.reply().await.is_some() {}
            timeout(LONG, client.server).await.expect("the connection ends").unwrap();
        });
    }
}

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

/// Counts what is logged.
struct Lines(Arc<std::sync::atomic::AtomicUsize>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if *event.metadata().level() <= tracing::Level::INFO {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

struct HistoryFolder(std::path::PathBuf);

impl Drop for HistoryFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An empty history that nobody writes any more.
fn a_history(name: &str) -> (HistoryFolder, crate::history::Ledgers) {
    let dir = crate::testing::open_to_all().join(format!("reactor-control-history-{name}-{}", std::process::id()));
    let limits = crate::history::Limits { max_age: LONG, max_bytes: 1 << 20 };
    let history = crate::history::History::start(&dir, "n1".to_owned(), limits);
    let ledgers = history.ledgers();
    assert!(history.finish(LONG));
    (HistoryFolder(dir), ledgers)
}

async fn asks_for_history(bench: &mut Bench, client: &mut TestClient, ledgers: &crate::history::Ledgers) {
    client.send("History", "").await;
    let ControlRequest::History(Asked { reply, .. }) = bench.next_request().await else { panic!("not a history") };
    reply.send(Ok(ledgers.clone())).unwrap();
}

/// Whoever may only read could fill the log of a daemon whose history can't be read.
#[tokio::test]
async fn a_history_that_can_not_be_read_is_told_to_the_client_and_not_to_the_log_each_time() {
    use tracing_subscriber::layer::SubscriberExt;
    let lines = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(Lines(Arc::clone(&lines))));
    let mut bench = Bench::new(Limits::default());
    let (_folder, mut nowhere) = a_history("quiet");
    nowhere.dir = "/none/none".into();
    let mut client = bench.connect(OTHER_USER);
    for _ in 0..3 {
        asks_for_history(&mut bench, &mut client, &nowhere).await;
        assert_eq!(client.error().await, "io.storagereactor.Control.Refused");
    }
    assert_eq!(lines.load(std::sync::atomic::Ordering::Relaxed), 0);
}

/// The text of many entries is not made by the loop's thread, and for readers one at a time, as that of a status.
#[tokio::test]
async fn the_text_of_a_history_waits_for_its_turn() {
    let mut bench = Bench::new(Limits::default());
    let (_folder, ledgers) = a_history("turn");
    let shared = Arc::clone(&bench.shared);
    let turn = shared.made_for_readers.acquire().await.unwrap();
    let mut reader = bench.connect(OTHER_USER);
    asks_for_history(&mut bench, &mut reader, &ledgers).await;
    let mut own = bench.own();
    for _ in 0..3 {
        asks_for_history(&mut bench, &mut own, &ledgers).await;
        assert_eq!(own.reply().await.unwrap()["parameters"]["entries"], json!([]));
    }
    assert!(reader.stream.try_read(&mut [0; 1]).is_err(), "an answer before its turn");
    drop(turn);
    assert_eq!(reader.reply().await.unwrap()["parameters"]["entries"], json!([]));
}
