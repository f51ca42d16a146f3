//! The metrics server against clients of every kind.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

#[path = "../../../reactor-sim/src/certificates.rs"]
#[allow(unreachable_pub)]
mod certificates;
mod gzip;
mod tls;
mod unix;

use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use reactor_core::core::Core;
use reactor_core::ids::Mono;
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};
use reactor_core::metrics::Health;
use reactor_core::model::Node;
use reactor_core::settings::{ListenAddress, PrometheusSettings};
use reactor_sys::http::{Limits, MetricsServer, ScrapeHandle, ScrapeRequest, ServerState, scrape_channel};
use tokio::sync::mpsc::Receiver;

/// Far more than anything here takes; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(30);

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Says by name what is not tested here and why; in CI nothing may be missing.
fn skip(what: &str, why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what} is needed in CI: {why}");
    println!("SKIPPED: {what}: {why}");
}

/// A folder that only we can write, removed at the end.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("http-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn healthy() -> Health {
    let mut health = Health { version: "1.2.3".to_owned(), ..Health::default() };
    health.source.up = true;
    health
}

fn core_of(resources: usize) -> Core {
    let mut core = Core::new();
    let started = SourceEvent::Started { command: "a test".to_owned(), dialect: Some(Dialect::Drbd9) };
    let mut dump = String::new();
    for r in 0..resources {
        dump += &format!("exists resource name:r{r} role:Secondary suspended:no may_promote:yes promotion_score:1\n");
        for v in 0..8 {
            let minor = r * 8 + v;
            dump += &format!("exists device name:r{r} volume:{v} minor:{minor} disk:UpToDate client:no quorum:yes\n");
        }
    }
    for input in [Input::Source(SourceId::Drbd, started), Input::Lines(SourceId::Drbd, dump + "exists -\n")] {
        core.step(Mono::ZERO, &input, &mut Vec::new());
    }
    core
}

fn node(resources: usize) -> Node {
    core_of(resources).node().clone()
}

/// Stands in for the main loop of the daemon.
fn answer_all(mut requests: Receiver<ScrapeRequest>, node: Node, health: Arc<Mutex<Health>>) {
    thread::spawn(move || {
        while let Some(request) = requests.blocking_recv() {
            request.answer(&node, || health.lock().unwrap().clone());
        }
    });
}

fn start(address: ListenAddress, limits: Limits, handle: ScrapeHandle) -> MetricsServer {
    MetricsServer::start(
        &PrometheusSettings { address, enums: true, all_families: true, ..Default::default() },
        limits,
        handle,
    )
    .unwrap()
}

fn wait(server: &MetricsServer, what: impl FnMut(&ServerState) -> bool) -> ServerState {
    let mut state = server.state();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let waited = runtime.block_on(async { tokio::time::timeout(PATIENCE, state.wait_for(what)).await });
    waited.expect("the server does not get there").unwrap().clone()
}

/// A server of a few resources on a free port, and where it is.
fn serve(limits: Limits) -> (MetricsServer, SocketAddr) {
    serve_resources(3, limits)
}

fn serve_resources(resources: usize, limits: Limits) -> (MetricsServer, SocketAddr) {
    let (handle, requests) = scrape_channel();
    answer_all(requests, node(resources), Arc::new(Mutex::new(healthy())));
    let server = start(ListenAddress::Tcp { ip: Some(LOCAL), port: 0 }, limits, handle);
    let address = wait(&server, |state| state.addresses().next().is_some()).addresses().next().unwrap();
    (server, address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket
}

#[derive(Debug)]
struct Reply {
    status: u16,
    headers: String,
    body: String,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Reads one reply; `has_body` = not the answer to a HEAD.
fn reply(socket: &mut impl Read, has_body: bool) -> io::Result<Reply> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let headers = String::from_utf8(head).unwrap();
    let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
    let mut reply = Reply { status, headers, body: String::new() };
    if has_body {
        let mut body = vec![0; reply.header("content-length").expect("no length").parse().unwrap()];
        socket.read_exact(&mut body)?;
        reply.body = String::from_utf8(body).unwrap();
    }
    Ok(reply)
}

fn request(socket: &mut (impl Read + Write), method: &str, path: &str) -> io::Result<Reply> {
    write!(socket, "{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    reply(socket, method != "HEAD")
}

fn get(address: SocketAddr, path: &str) -> Reply {
    request(&mut connect(address), "GET", path).unwrap()
}

/// Waits until the server closes the connection. What it sends before is thrown away.
fn closed(socket: &mut TcpStream) {
    let mut rest = [0; 65536];
    loop {
        match socket.read(&mut rest) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return,
            Err(error) => panic!("not closed: {error}"),
        }
    }
}

fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        thread::yield_now();
    }
}

#[test]
fn only_what_exists_is_answered_and_only_to_get_and_head() {
    let (_server, address) = serve(Limits::default());
    let metrics = get(address, "/metrics");
    assert_eq!(metrics.status, 200);
    assert!(metrics.headers.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(metrics.header("content-type"), Some("text/plain;version=0.0.4"));
    assert_eq!(metrics.header("content-length"), Some(metrics.body.len().to_string().as_str()));
    assert!(metrics.body.contains("drbd_resource_maypromote{name=\"r2\"} 1\n"), "{}", metrics.body);
    assert_eq!(get(address, "/metrics?format=text").status, 200);

    let mut socket = connect(address);
    let head = request(&mut socket, "HEAD", "/metrics").unwrap();
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/plain;version=0.0.4")));
    let length: usize = head.header("content-length").unwrap().parse().unwrap();
    assert!(length > 1000, "{length}");
    // Nothing followed the headers: the connection is ready for the next request.
    assert_eq!(request(&mut socket, "GET", "/healthz").unwrap().body, "ok\n");

    let index = get(address, "/");
    assert_eq!((index.status, index.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(index.body.contains("href=\"/metrics\""));
    for path in ["/nothing", "/metrics/", "/metrics.txt", "//"] {
        assert_eq!(get(address, path).status, 404, "{path}");
    }
    for method in ["POST", "DELETE", "OPTIONS", "BREW"] {
        for path in ["/metrics", "/healthz", "/"] {
            let refused = request(&mut connect(address), method, path).unwrap();
            assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")), "{method} {path}");
        }
    }
}

#[test]
fn one_connection_serves_many_scrapes_and_counts_them() {
    let (server, address) = serve(Limits::default());
    let mut socket = connect(address);
    for number in 0..5 {
        let reply = request(&mut socket, "GET", "/metrics").unwrap();
        let line = format!("storage_reactor_scrape_duration_seconds_count {number}\n");
        assert!(reply.body.contains(&line), "{line} not in {}", reply.body);
        assert!(reply.body.contains("storage_reactor_http_connections 1\n"));
    }
    // The client may have the last byte before it is counted.
    until("all are counted", || server.health().scrapes == 5);
    assert_eq!(server.health().scrapes_failed, 0);
    // Without keep-alive the connection is closed behind the answer.
    write!(socket, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(reply(&mut socket, true).unwrap().header("connection"), Some("close"));
    closed(&mut socket);
}

#[test]
fn an_idle_client_blocks_nobody() {
    let (_server, address) = serve(Limits::default());
    let silent: Vec<TcpStream> = (0..20).map(|_| connect(address)).collect();
    let mut halfway = connect(address);
    halfway.write_all(b"GET /metr").unwrap();
    assert_eq!(get(address, "/metrics").status, 200);
    drop(silent);
}

#[test]
fn a_silent_client_and_a_slow_request_are_ended() {
    let limits = Limits { header: Duration::from_millis(100), ..Limits::default() };
    let (server, address) = serve(limits);
    // This one has had its answer and may be silent for longer. On a slow machine it may need more than one attempt.
    let mut kept = connect(address);
    until("a request arrives in time", || {
        let answered = request(&mut kept, "GET", "/healthz").is_ok();
        if !answered {
            kept = connect(address);
        }
        answered
    });
    let before = server.health().timed_out;
    closed(&mut connect(address));
    let mut halfway = connect(address);
    // If the server has closed it already, the better.
    let _ = halfway.write_all(b"GET /metrics HTTP/1.1\r\nHo");
    closed(&mut halfway);
    assert_eq!(server.health().timed_out, before + 2);
    assert_eq!(request(&mut kept, "GET", "/healthz").unwrap().status, 200);
    // But the next request has to arrive in time again.
    kept.write_all(b"GET /metrics").unwrap();
    closed(&mut kept);
}

#[test]
fn a_connection_that_stays_idle_is_ended() {
    let (server, address) = serve(Limits { idle: Duration::from_millis(100), ..Limits::default() });
    let mut socket = connect(address);
    assert_eq!(request(&mut socket, "GET", "/metrics").unwrap().status, 200);
    closed(&mut socket);
    assert_eq!(server.health().timed_out, 1);
}

#[test]
fn a_slow_reader_is_ended_and_disturbs_nobody() {
    // More than the buffers of both ends hold.
    let (server, address) = serve_resources(1000, Limits { write: Duration::from_millis(500), ..Limits::default() });
    let mut slow = connect(address);
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    until("the slow reader is given up", || {
        assert_eq!(get(address, "/healthz").status, 200);
        server.health().scrapes_failed > 0
    });
    assert_eq!((server.health().timed_out, server.health().scrapes), (1, 0));
    // Whatever had been sent is not the whole.
    assert!(reply(&mut slow, true).is_err());
}

/// A server whose resources change with every scrape.
fn serve_changing(resources: usize, limits: Limits) -> (MetricsServer, SocketAddr) {
    let (handle, mut requests) = scrape_channel();
    thread::spawn(move || {
        let mut core = core_of(resources);
        let mut size = 1_000_000;
        while let Some(request) = requests.blocking_recv() {
            size += 1;
            let line =
                format!("change device name:r0 volume:0 minor:0 disk:UpToDate client:no quorum:yes size:{size}\n");
            core.step(Mono::ZERO, &Input::Lines(SourceId::Drbd, line), &mut Vec::new());
            request.answer(core.node(), healthy);
        }
    });
    let server = start(ListenAddress::Tcp { ip: Some(LOCAL), port: 0 }, limits, handle);
    let address = wait(&server, |state| state.addresses().next().is_some()).addresses().next().unwrap();
    (server, address)
}

/// Asks for the metrics and reads no more than the beginning.
fn slow_reader(address: SocketAddr) -> TcpStream {
    let mut slow = connect(address);
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    slow.read_exact(&mut [0; 100]).unwrap();
    slow
}

#[test]
fn slow_readers_cost_nobody_else_anything() {
    let (server, address) = serve_resources(1000, Limits::default());
    // More than there ever were places for transfers; all of them read the same text.
    let slow: Vec<TcpStream> = (0..12).map(|_| slow_reader(address)).collect();
    for _ in 0..3 {
        assert_eq!(get(address, "/metrics").status, 200);
    }
    assert_eq!((server.health().refused, server.health().scrapes_failed), (0, 0));
    drop(slow);
}

#[test]
fn readers_of_many_old_texts_are_given_up_the_oldest_first() {
    // Room for the last of them only.
    let (server, address) = serve_changing(1000, Limits { old_texts: 1, ..Limits::default() });
    let mut first = slow_reader(address);
    let mut second = slow_reader(address);
    assert_eq!(server.health().timed_out, 0);
    // A third text: the first is one too many.
    assert_eq!(get(address, "/metrics").status, 200);
    closed(&mut first);
    until("it is counted", || server.health().timed_out == 1);
    let begun = Instant::now();
    let mut rest = vec![0; 4_000_000];
    second.read_exact(&mut rest).unwrap_or_else(|error| panic!("{error} after {:?}", begun.elapsed()));
}

#[test]
fn a_client_that_reads_a_little_now_and_then_is_ended_as_slow() {
    let (server, address) = serve_resources(1000, Limits { slow: Duration::from_millis(300), ..Limits::default() });
    let mut slow = slow_reader(address);
    until("it is given up", || {
        // A byte of two million: far from done, and never silent.
        let _ = slow.read(&mut [0]);
        server.health().timed_out > 0
    });
    assert_eq!(server.health().scrapes_failed, 1);
}

#[test]
fn who_does_nothing_gives_way() {
    let (server, address) = serve(Limits { connections: 2, ..Limits::default() });
    let mut silent = connect(address);
    let mut kept = connect(address);
    assert_eq!(request(&mut kept, "GET", "/healthz").unwrap().status, 200);
    // Who never asked goes first, then who has had an answer.
    assert_eq!(get(address, "/metrics").status, 200);
    closed(&mut silent);
    assert_eq!(request(&mut kept, "GET", "/healthz").unwrap().status, 200);
    let mut halfway = connect(address);
    halfway.write_all(b"GET /metr").unwrap();
    for _ in 0..5 {
        assert_eq!(get(address, "/metrics").status, 200);
    }
    closed(&mut halfway);
    assert_eq!(server.health().refused, 0);
}

/// Connections that say nothing, or a byte now and then, and come again as soon as they are closed: Prometheus gets every scrape.
#[test]
fn two_hundred_slow_connections_do_not_blind_prometheus() {
    let (server, address) = serve(Limits::default());
    let stop = Arc::new(AtomicBool::new(false));
    let attackers: Vec<_> = (0..4)
        .map(|_| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let mut slow: Vec<TcpStream> = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    slow.retain_mut(|socket| socket.write_all(b"G").is_ok());
                    if slow.len() < 50
                        && let Ok(socket) = TcpStream::connect(address)
                    {
                        slow.push(socket);
                    }
                }
            })
        })
        .collect();
    until("the places are taken", || server.health().timed_out > 100);
    let mut prometheus = connect(address);
    for _ in 0..20 {
        assert_eq!(request(&mut prometheus, "GET", "/metrics").unwrap().status, 200);
    }
    stop.store(true, Ordering::Relaxed);
    attackers.into_iter().for_each(|attacker| attacker.join().unwrap());
}

#[test]
fn too_many_connections_that_are_served_are_told_so() {
    // A loop that takes its time: all places are taken by those who wait for it.
    let (handle, mut requests) = scrape_channel();
    let limits = Limits { connections: 3, per_address: 2, ..Limits::default() };
    let server = start(ListenAddress::Tcp { ip: Some(LOCAL), port: 0 }, limits, handle);
    let address = wait(&server, ServerState::is_settled).addresses().next().unwrap();
    let mut waiting: Vec<_> = (0..2)
        .map(|_| {
            let mut socket = connect(address);
            socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            (socket, requests.blocking_recv().unwrap())
        })
        .collect();
    let refused = get(address, "/metrics");
    assert_eq!((refused.status, refused.header("connection")), (503, Some("close")));
    assert_eq!(refused.body, "too many connections\n");
    assert_eq!(server.health().refused, 1);
    // They have the share of their address, and another address has its own.
    let (mut other, asked) = (connect_from([127, 0, 0, 2], address), &mut requests);
    other.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    waiting.push((other, asked.blocking_recv().unwrap()));
    for (mut socket, request) in waiting {
        request.answer(&node(1), healthy);
        assert_eq!(reply(&mut socket, true).unwrap().status, 200);
    }
}

fn connect_from(ip: [u8; 4], address: SocketAddr) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType};
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from((ip, 0))).unwrap();
    rustix::net::connect(&socket, &address).unwrap();
    let socket = TcpStream::from(socket);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

#[test]
fn garbage_and_big_requests_harm_nobody() {
    let (_server, address) = serve(Limits::default());
    let mut garbage = connect(address);
    garbage.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n").unwrap();
    assert_eq!(reply(&mut garbage, true).unwrap().status, 400);
    let mut big = connect(address);
    let header = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    // The server may close before it has read everything.
    let _ = big.write_all(header.as_bytes());
    if let Ok(reply) = reply(&mut big, true) {
        assert_eq!(reply.status, 431);
    }
    let mut endless = connect(address);
    endless.write_all(b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000000\r\n\r\n").unwrap();
    assert_eq!(reply(&mut endless, true).unwrap().status, 405);
    while endless.write_all(&[b'x'; 65536]).is_ok() {}
    assert_eq!(get(address, "/metrics").status, 200);
}

#[test]
fn a_loop_that_does_not_answer_is_a_503() {
    // Kept and never read: a loop that hangs.
    let (handle, mut requests) = scrape_channel();
    let limits = Limits { answer: Duration::from_millis(50), ..Limits::default() };
    let server = start(ListenAddress::Tcp { ip: Some(LOCAL), port: 0 }, limits, handle);
    let address = wait(&server, ServerState::is_settled).addresses().next().unwrap();
    for path in ["/metrics", "/healthz"] {
        let reply = get(address, path);
        assert_eq!((reply.status, reply.body.as_str()), (503, "the main loop of the daemon is too busy to answer\n"));
    }
    assert_eq!(get(address, "/").status, 200);
    // What nobody waits for any more costs the loop nothing.
    while let Ok(request) = requests.try_recv() {
        request.answer(&node(0), || panic!("nobody asked"));
    }
    drop(requests);
    assert_eq!(get(address, "/metrics").body, "the daemon is stopping\n");
}

#[test]
fn healthz_says_what_is_wrong() {
    let (handle, requests) = scrape_channel();
    let health = Arc::new(Mutex::new(Health::default()));
    answer_all(requests, node(1), Arc::clone(&health));
    let server = start(ListenAddress::Tcp { ip: Some(LOCAL), port: 0 }, Limits::default(), handle);
    let address = wait(&server, ServerState::is_settled).addresses().next().unwrap();
    let starting = get(address, "/healthz");
    assert_eq!(starting.status, 503);
    assert_eq!(starting.body, "the source of DRBD events is down: it has not told its first picture yet\n");
    health.lock().unwrap().source.up = true;
    assert_eq!(get(address, "/healthz").status, 200);
    {
        let source = &mut health.lock().unwrap().source;
        (source.up, source.why_down) = (false, Some("drbdsetup: No such file or directory".to_owned()));
    }
    let down = get(address, "/healthz");
    let said = "the source of DRBD events is down: drbdsetup: No such file or directory\n";
    assert_eq!((down.status, down.body.as_str()), (503, said));
    // The last that was known can still be had, and says so itself.
    assert!(get(address, "/metrics").body.contains("storage_reactor_source_up 0\n"));
}

#[test]
fn both_families_are_served_on_one_port() {
    let (handle, requests) = scrape_channel();
    answer_all(requests, node(1), Arc::new(Mutex::new(healthy())));
    let server = start(ListenAddress::Tcp { ip: None, port: 0 }, Limits::default(), handle);
    let state = wait(&server, ServerState::is_settled);
    let addresses: Vec<SocketAddr> = state.addresses().collect();
    let port = addresses[0].port();
    assert!(addresses.iter().all(|address| address.port() == port && address.ip().is_unspecified()), "{state:?}");
    assert_eq!(get((LOCAL, port).into(), "/metrics").status, 200);
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return skip("IPv6", "this machine has none");
    }
    assert_eq!(get((Ipv6Addr::LOCALHOST, port).into(), "/metrics").status, 200);
    assert_eq!(addresses.len(), 2, "{state:?}");
}

#[test]
fn a_port_that_is_taken_is_waited_for() {
    let other = TcpListener::bind((LOCAL, 0)).unwrap();
    let port = other.local_addr().unwrap().port();
    let (handle, requests) = scrape_channel();
    answer_all(requests, node(1), Arc::new(Mutex::new(healthy())));
    let server = start(ListenAddress::Tcp { ip: Some(LOCAL), port }, Limits::default(), handle);
    let state = wait(&server, ServerState::is_settled);
    assert_eq!(state.addresses().count(), 0);
    let problem = state.problem().unwrap();
    assert!(problem.starts_with(&format!("cannot listen on 127.0.0.1:{port}: Address already in use")), "{problem}");
    drop(other);
    let state = wait(&server, |state| state.addresses().next().is_some());
    assert_eq!(state.problem(), None);
    assert_eq!(get((LOCAL, port).into(), "/metrics").status, 200);
}

#[test]
fn a_dropped_server_frees_its_port_at_once() {
    let (mut server, address) = serve(Limits::default());
    for _ in 0..5 {
        let mut kept = connect(address);
        assert_eq!(request(&mut kept, "GET", "/healthz").unwrap().status, 200);
        let _silent = connect(address);
        drop(server);
        // As a reload does it. The first attempt succeeds, although connections were open.
        let (handle, requests) = scrape_channel();
        answer_all(requests, node(1), Arc::new(Mutex::new(healthy())));
        server = start(ListenAddress::Tcp { ip: Some(LOCAL), port: address.port() }, Limits::default(), handle);
        let state = wait(&server, ServerState::is_settled);
        assert_eq!(state.addresses().collect::<Vec<_>>(), [address], "{state:?}");
        closed(&mut kept);
    }
}

/// An error of `accept` ended the server of drbd-reactor for good. A real one, in a process of its own.
#[test]
fn too_many_open_files_pass() {
    const CHILD: &str = "REACTOR_TEST_TOO_MANY_FILES";
    if std::env::var_os(CHILD).is_some() {
        return too_many_files();
    }
    let test = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "too_many_open_files_pass", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(
        test.status.success(),
        "{}{}",
        String::from_utf8_lossy(&test.stdout),
        String::from_utf8_lossy(&test.stderr)
    );
}

fn too_many_files() {
    use rustix::net::{AddressFamily, SocketType};
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let (server, address) = serve(Limits::default());
    let mut sockets: Vec<_> =
        (0..10).map(|_| rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap()).collect();
    let limit = Rlimit { current: Some(100), ..getrlimit(Resource::Nofile) };
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut files = Vec::new();
    let mut served = Vec::new();
    let shown = || server.state().borrow().problem().is_some();
    let mut waiting = loop {
        while let Ok(file) = fs::File::open("/dev/null") {
            files.push(file);
        }
        // The kernel makes the connection; the server cannot have it, unless the process just closed some other file.
        let socket = sockets.pop().expect("somebody goes on closing files");
        rustix::net::connect(&socket, &address).unwrap();
        until("the server tried", || shown() || server.health().connections > served.len() as u64);
        match shown() {
            true => break TcpStream::from(socket),
            false => served.push(socket),
        }
    };
    waiting.set_read_timeout(Some(PATIENCE)).unwrap();
    let problem = server.state().borrow().problem().unwrap();
    assert!(problem.starts_with(&format!("cannot accept connections on {address}: Too many open files")), "{problem}");
    assert!(server.health().accept_errors > 0);
    drop(files);
    // The client that waited is served, and so are later ones.
    assert_eq!(request(&mut waiting, "GET", "/metrics").unwrap().status, 200);
    assert_eq!(get(address, "/metrics").status, 200);
    until("the error is gone", || server.state().borrow().problem().is_none());
}
