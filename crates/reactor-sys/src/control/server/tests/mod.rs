//! The server over a socket pair, with a loop that is played by the test.

mod followers;
mod history;
mod operators;
mod status;
mod survey;
mod watchers;

use reactor_api::status::ReloadResult;
use reactor_api::verbs::{HelperReply, ReloadReply};
use serde_json::Value;
use status::snapshot;

use super::*;

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
