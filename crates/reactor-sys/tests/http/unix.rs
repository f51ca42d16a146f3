//! Metrics through a unix socket.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use reactor_sys::http::Endpoint;

use super::*;

fn serve_at(path: &Path, group: Option<&str>) -> MetricsServer {
    let (handle, requests) = scrape_channel();
    answer_all(requests, node(3), Arc::new(Mutex::new(healthy())));
    let address = ListenAddress::Unix(path.to_owned());
    let socket_group = group.map(str::to_owned);
    let settings = PrometheusSettings { address, socket_group, ..Default::default() };
    MetricsServer::start(&settings, Limits::default(), handle).unwrap()
}

fn listening(server: &MetricsServer) -> ServerState {
    wait(server, |state| state.endpoints().next().is_some())
}

#[test]
fn a_unix_socket_is_served_to_root_only_and_is_gone_with_its_server() {
    let home = Home::new("unix");
    let path = home.0.join("run/metrics.sock");
    let server = serve_at(&path, None);
    let state = listening(&server);
    assert_eq!(state.endpoints().collect::<Vec<_>>(), [&Endpoint::Unix(path.clone())]);
    assert_eq!((state.problem(), state.addresses().count()), (None, 0));
    let file = fs::symlink_metadata(&path).unwrap();
    assert!(file.file_type().is_socket());
    assert_eq!(file.mode() & 0o777, 0o660);
    let mut client = UnixStream::connect(&path).unwrap();
    for _ in 0..3 {
        let reply = request(&mut client, "GET", "/metrics").unwrap();
        assert!(reply.status == 200 && reply.body.contains("drbd_resource_maypromote{name=\"r2\"} 1\n"));
        assert!(reply.body.contains("storage_reactor_http_connections 1\n"));
    }
    drop(server);
    assert!(!path.exists());
}

/// Who crashed left a socket that nobody listens on.
#[test]
fn a_dead_socket_is_replaced_and_a_living_one_is_waited_for() {
    let home = Home::new("stale");
    let path = home.0.join("metrics.sock");
    drop(UnixListener::bind(&path).unwrap());
    let first = serve_at(&path, None);
    listening(&first);
    let second = serve_at(&path, None);
    let problem = wait(&second, ServerState::is_settled).problem().unwrap();
    assert!(problem.starts_with(&format!("cannot listen on unix:{}: another daemon", path.display())), "{problem}");
    drop(first);
    listening(&second);
    let mut client = UnixStream::connect(&path).unwrap();
    assert_eq!(request(&mut client, "GET", "/healthz").unwrap().body, "ok\n");
}

#[test]
fn what_is_not_a_socket_is_not_touched_and_a_folder_of_others_is_not_used() {
    let home = Home::new("foreign");
    let path = home.0.join("metrics.sock");
    fs::write(&path, "precious").unwrap();
    let server = serve_at(&path, None);
    let problem = wait(&server, ServerState::is_settled).problem().unwrap();
    assert!(problem.ends_with("exists and is not a socket: not touched, move it away"), "{problem}");
    drop(server);
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    fs::remove_file(&path).unwrap();
    fs::set_permissions(&home.0, fs::Permissions::from_mode(0o1777)).unwrap();
    let server = serve_at(&path, None);
    let problem = wait(&server, ServerState::is_settled).problem().unwrap();
    assert!(problem.contains("chmod"), "{problem}");
    assert!(!path.exists());
}

#[test]
fn a_group_may_read_and_one_that_is_not_there_is_said() {
    let home = Home::new("group");
    let path = home.0.join("metrics.sock");
    let own = rustix::process::getgid().as_raw();
    let groups = fs::read_to_string("/etc/group").unwrap();
    let name = groups.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.get(2)?.parse() == Ok(own)).then(|| fields[0].to_owned())
    });
    if let Some(name) = name {
        let server = serve_at(&path, Some(&name));
        assert_eq!(listening(&server).problem(), None);
        assert_eq!(fs::metadata(&path).unwrap().gid(), own);
    }
    let server = serve_at(&path, Some("no-such-group"));
    let problem = listening(&server).problem().unwrap();
    assert!(problem.contains("there is no group no-such-group"), "{problem}");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
    // Whoever may read is served all the same.
    let mut client = UnixStream::connect(&path).unwrap();
    assert_eq!(request(&mut client, "GET", "/metrics").unwrap().status, 200);
}

#[test]
fn a_user_has_a_share_of_the_places() {
    let home = Home::new("share");
    let path = home.0.join("metrics.sock");
    let server = serve_at(&path, None);
    listening(&server);
    let silent: Vec<UnixStream> = (0..40).map(|_| UnixStream::connect(&path).unwrap()).collect();
    let mut client = UnixStream::connect(&path).unwrap();
    assert_eq!(request(&mut client, "GET", "/metrics").unwrap().status, 200);
    assert!(server.health().connections <= Limits::default().per_address as u64);
    drop(silent);
}

/// As docs/monitoring.md has it.
#[test]
fn curl_reads_it() {
    let home = Home::new("curl");
    let path = home.0.join("metrics.sock");
    let server = serve_at(&path, None);
    listening(&server);
    let curl = Command::new("curl")
        .args(["-sS", "--unix-socket"])
        .arg(&path)
        .arg("http://localhost/metrics")
        .stdin(Stdio::null())
        .output();
    match curl {
        Ok(answer) => {
            let text = String::from_utf8_lossy(&answer.stdout);
            assert!(text.contains("drbd_resource_maypromote{name=\"r2\"} 1\n"), "{answer:?}");
        }
        Err(error) => skip("curl", &error.to_string()),
    }
}
