//! The control socket against a client that shares no code with it: Python's standard library, and the `varlink` package if it
//! is installed.

#![expect(clippy::print_stdout, reason = "says what was skipped")]

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use reactor_api::Status;
use reactor_api::status::ReloadResult;
use reactor_api::verbs::{HelperReply, Outcome, ReloadReply};
use reactor_core::change::{Change, EventKind, Origin, What};
use reactor_core::drbd::types::Role;
use reactor_core::ids::{EventSeq, ResourceName};
use reactor_core::model::objects::ResourceState;
use reactor_sys::control::{
    ChangeHub, ControlRequest, ControlServer, ControlSocket, Limits, REQUEST_QUEUE, SOCKET_NAME, ServiceInfo, Snapshot,
};
use tokio::process::Command;
use tokio::sync::mpsc;

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn change(seq: u64) -> Change {
    let new = ResourceState { role: Role::Primary, ..ResourceState::default() };
    Change {
        seq: EventSeq(seq),
        kind: EventKind::Change,
        origin: Origin::Live,
        implied: false,
        resource: ResourceName::new("r0"),
        what: What::Resource { old: ResourceState::default(), new },
    }
}

/// A daemon's loop in small. Each new follower makes three changes happen.
async fn answer(mut requests: mpsc::Receiver<ControlRequest>) {
    let mut hub = ChangeHub::default();
    let now = SystemTime::now();
    hub.publish(now, &(1..=10).map(change).collect::<Vec<_>>());
    let mut next = 11;
    while let Some(request) = requests.recv().await {
        // A client that is gone needs no answer.
        match request {
            ControlRequest::Status(asked) => {
                let status = Box::new(Status { version: "test".to_owned(), ..Status::default() });
                let _ = asked.reply.send(Snapshot { status, ..Snapshot::default() });
            }
            ControlRequest::Reload(asked) => {
                let _ =
                    asked.reply.send(Ok(ReloadReply { ok: true, result: ReloadResult::Ok, ..ReloadReply::default() }));
            }
            ControlRequest::Helper(asked) => {
                let fallback = Some("no rule".to_owned());
                let _ = asked.reply.send(Ok(HelperReply { fallback, ..HelperReply::default() }));
            }
            ControlRequest::Changes(asked) => {
                let _ = asked.reply.send(hub.answer(&asked.call));
                hub.publish(now, &(next..next + 3).map(change).collect::<Vec<_>>());
                next += 3;
            }
            // Dropped, which the client is told: this test is about the protocol, not about each verb.
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_client_in_another_language_is_served() {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let folder = Folder(std::env::temp_dir().join(format!("reactor-control-{}", std::process::id())));
    let path = folder.0.join(SOCKET_NAME);
    let socket = ControlSocket::bind(&path, "no group of this name").unwrap();
    let (sender, requests) = mpsc::channel(REQUEST_QUEUE);
    let info = ServiceInfo { product: "test".to_owned(), version: "1".to_owned() };
    let server = ControlServer::start(socket, info, Limits::default(), sender).unwrap();
    let answering = tokio::spawn(answer(requests));

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/varlink_client.py");
    let run = Command::new(&python).arg(script).arg(server.path()).kill_on_drop(true).output();
    let output = match tokio::time::timeout(Duration::from_secs(120), run).await.expect("the client ends") {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{python} is needed: apt install python3");
            println!("SKIPPED: python3 (not installed)");
            return;
        }
        Err(error) => panic!("cannot run {python}: {error}"),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.ends_with("done\n"), "{text}");
    drop(server);
    assert!(!path.exists(), "the socket is removed");
    answering.await.expect("no request harmed the loop");
}

/// Runs `script` in Python as another user, with one group and no other. `None` = this machine can't.
async fn as_other_user(gid: u32, script: &str, socket: &std::path::Path) -> Option<String> {
    // One that other users may run, too.
    let python = if std::path::Path::new("/usr/bin/python3").exists() { "/usr/bin/python3" } else { "python3" };
    let group = format!("--regid={gid}");
    let output = Command::new("setpriv")
        .args(["--reuid=65533", &group, "--clear-groups", python, "-c", script])
        .arg(socket)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(120), output).await.expect("it ends").ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (!text.is_empty()).then_some(text)
}

/// The kernel's side of it: whoever has the group of the operators gets through the file, and nobody else does.
#[tokio::test]
async fn the_group_of_the_operators_may_connect_and_steer_and_other_users_may_not() {
    const SCRIPT: &str = r#"
import socket, sys
s = socket.socket(socket.AF_UNIX)
try:
    s.connect(sys.argv[1])
    s.sendall(b'{"method":"io.storagereactor.Control.Hold","parameters":{"resource":"r0"}}\0')
    print(s.recv(65536).decode().strip("\0"))
except PermissionError:
    print("not let in")
"#;
    // A group of every Linux, and one that is no group of the file.
    let Some(line) = std::fs::read_to_string("/etc/group")
        .ok()
        .and_then(|text| text.lines().find(|line| line.starts_with("daemon:")).map(str::to_owned))
    else {
        println!("SKIPPED: /etc/group has no group daemon");
        return;
    };
    let gid: u32 = line.split(':').nth(2).and_then(|gid| gid.parse().ok()).expect("a number");
    let folder = Folder(PathBuf::from(format!("/tmp/reactor-operators-{}", std::process::id())));
    let path = folder.0.join(SOCKET_NAME);
    let socket = match ControlSocket::bind(&path, "no group of this name") {
        Ok(socket) => socket,
        Err(error) => panic!("{error}"),
    };
    let (sender, mut requests) = mpsc::channel(REQUEST_QUEUE);
    let info = ServiceInfo { product: "test".to_owned(), version: "1".to_owned() };
    let mut server = ControlServer::start(socket, info, Limits::default(), sender).unwrap();
    let answering = tokio::spawn(async move {
        while let Some(request) = requests.recv().await {
            if let ControlRequest::Hold(asked) = request {
                let _ = asked.reply.send(Ok(Outcome { changed: true, text: "held".to_owned() }));
            }
        }
    });
    let Some(before) = as_other_user(gid, SCRIPT, &path).await else {
        println!("SKIPPED: needs root, setpriv and python3");
        return;
    };
    assert_eq!(before, "not let in\n");
    server.set_operators(Some("daemon"));
    let mut now = before;
    for _ in 0..600 {
        now = as_other_user(gid, SCRIPT, &path).await.expect("it could be run before");
        if now != "not let in\n" {
            break;
        }
    }
    assert!(now.contains(r#""changed":true"#), "{now}");
    assert_eq!(as_other_user(gid + 1, SCRIPT, &path).await.as_deref(), Some("not let in\n"));
    // A reload takes it away again.
    server.set_operators(None);
    for _ in 0..600 {
        now = as_other_user(gid, SCRIPT, &path).await.expect("it could be run before");
        if now == "not let in\n" {
            break;
        }
    }
    assert_eq!(now, "not let in\n");
    drop(server);
    answering.await.expect("no request harmed the loop");
}
