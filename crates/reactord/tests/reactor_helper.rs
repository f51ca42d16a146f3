//! The program `reactor-helper` as the kernel calls it, against a daemon of the test's own.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests, too")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

/// A folder of one test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        // Not the target folder: the path of a socket may have 107 bytes only.
        let path = std::env::temp_dir().join(format!("reactor-helper-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    fn journal(&self) -> PathBuf {
        self.0.join("journal.sock")
    }

    /// Calls the helper in the environment that the kernel gives it, and ours for the test.
    fn call(&self, arguments: &[&str], env: &[(&str, &str)]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_reactor-helper"))
            .args(arguments)
            .env_clear()
            .envs([("HOME", "/"), ("TERM", "linux"), ("PATH", "/sbin:/usr/sbin:/bin:/usr/bin")])
            .envs([("DRBD_PEER_NODE_ID", "2"), ("DRBD_VOLUME", "0")])
            .env("STORAGE_REACTOR_HELPER_CONF", "/dev/null")
            .env("STORAGE_REACTOR_SOCKET", self.socket())
            .env("STORAGE_REACTOR_HELPER_WAIT", "0")
            .env("STORAGE_REACTOR_JOURNAL", self.journal())
            .env("STORAGE_REACTOR_DRBDADM", stub())
            .envs(env.iter().copied())
            .output()
            .unwrap()
    }

    /// A daemon that takes one request and does with the connection what `serve` does.
    fn daemon(&self, serve: impl FnOnce(&mut UnixStream) + Send + 'static) -> thread::JoinHandle<String> {
        let listener = UnixListener::bind(self.socket()).unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while stream.read(&mut byte).unwrap() == 1 && byte[0] != 0 {
                request.push(byte[0]);
            }
            serve(&mut stream);
            String::from_utf8(request).unwrap()
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn stub() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/helper/drbdadm")
}

/// drbdadm answered, called just as the helper was.
fn assert_drbdadm(output: &Output, arguments: &str) {
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(43), "{output:?}");
    assert_eq!(said, format!("drbdadm {arguments}\npeer=2 path=/sbin:/usr/sbin:/bin:/usr/bin\n"));
}

fn answer(text: &'static str) -> impl FnOnce(&mut UnixStream) + Send {
    move |stream| stream.write_all(text.as_bytes()).unwrap()
}

#[test]
fn a_rules_exit_code_is_ours() {
    let folder = Folder::new("exit");
    let daemon = folder.daemon(answer("{\"parameters\":{\"exit\":7,\"rule\":\"snapshot\"}}\0"));
    let output = folder.call(&["before-resync-target", "r0"], &[]);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(7), &[][..]));
    let request: serde_json::Value = serde_json::from_str(&daemon.join().unwrap()).unwrap();
    let expected = serde_json::json!({
        "method": "io.storagereactor.Control.Helper",
        "parameters": {
            "helper": "before-resync-target",
            "object": "r0",
            "env": { "DRBD_PEER_NODE_ID": "2", "DRBD_VOLUME": "0" },
            "timeout_ms": request["parameters"]["timeout_ms"],
        },
    });
    assert_eq!(request, expected);
    let time = request["parameters"]["timeout_ms"].as_u64().unwrap();
    assert!(time > 0 && time <= 59_000, "{time}");
}

#[test]
fn without_a_rule_drbdadm_answers() {
    let folder = Folder::new("norule");
    let daemon = folder.daemon(answer("{\"parameters\":{\"fallback\":\"no rule\"}}\0"));
    assert_drbdadm(&folder.call(&["fence-peer", "r0"], &[]), "fence-peer r0");
    daemon.join().unwrap();
}

#[test]
fn without_a_daemon_drbdadm_answers_and_the_journal_says_why() {
    let folder = Folder::new("nodaemon");
    let journal = UnixDatagram::bind(folder.journal()).unwrap();
    assert_drbdadm(&folder.call(&["split-brain", "minor-3"], &[]), "split-brain minor-3");
    let mut entry = [0; 4096];
    // One entry says that /dev/null is no file of options; the other is ours.
    let entries: Vec<String> = (0..2)
        .map(|_| {
            let length = journal.recv(&mut entry).unwrap();
            String::from_utf8_lossy(&entry[..length]).into_owned()
        })
        .collect();
    assert!(
        entries[1].starts_with("MESSAGE=split-brain minor-3: drbdadm answers, because the daemon is not at "),
        "{entries:?}"
    );
}

#[test]
fn a_daemon_that_is_being_restarted_is_waited_for() {
    let folder = Folder::new("restart");
    let (call, wait) = (["fence-peer", "r0"], [("STORAGE_REACTOR_HELPER_WAIT", "60")]);
    thread::scope(|scope| {
        let output = scope.spawn(|| folder.call(&call, &wait));
        let daemon = folder.daemon(answer("{\"parameters\":{\"exit\":6,\"rule\":\"r\"}}\0"));
        assert_eq!(output.join().unwrap().status.code(), Some(6));
        daemon.join().unwrap();
    });
    // Without the folder there is nobody to wait for.
    let gone = [("STORAGE_REACTOR_HELPER_WAIT", "3600"), ("STORAGE_REACTOR_SOCKET", "/nonexistent/control.sock")];
    assert_drbdadm(&folder.call(&call, &gone), "fence-peer r0");
}

#[test]
fn a_daemon_that_breaks_off_or_talks_nonsense_is_none() {
    for (name, reply) in
        [("close", ""), ("half", "{\"parameters\":"), ("junk", "junk\0"), ("error", "{\"error\":\"x\"}\0")]
    {
        let folder = Folder::new(name);
        let daemon = folder.daemon(answer(reply));
        assert_drbdadm(&folder.call(&["fence-peer", "r0"], &[]), "fence-peer r0");
        daemon.join().unwrap();
    }
}

#[test]
fn a_daemon_that_hangs_costs_the_timeout_and_no_more() {
    let folder = Folder::new("hang");
    // It listens, but never accepts.
    let _listener = UnixListener::bind(folder.socket()).unwrap();
    let output = folder.call(&["fence-peer", "r0"], &[("STORAGE_REACTOR_HELPER_TIMEOUT", "1")]);
    assert_drbdadm(&output, "fence-peer r0");
    // The same with a full backlog, where even connecting waits.
    let folder = Folder::new("full");
    let listener =
        rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::bind(&listener, &rustix::net::SocketAddrUnix::new(folder.socket()).unwrap()).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let _first = UnixStream::connect(folder.socket()).unwrap();
    let output = folder.call(&["fence-peer", "r0"], &[("STORAGE_REACTOR_HELPER_TIMEOUT", "1")]);
    assert_drbdadm(&output, "fence-peer r0");
}

#[test]
fn without_drbdadm_it_says_what_the_kernel_would_take_it_for() {
    let folder = Folder::new("nodrbdadm");
    let output = folder.call(&["before-resync-target", "r0"], &[("STORAGE_REACTOR_DRBDADM", "/nonexistent/drbdadm")]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn other_arguments_go_to_drbdadm_unseen() {
    let folder = Folder::new("other");
    assert_drbdadm(&folder.call(&["status"], &[]), "status");
    assert_eq!(folder.call(&[], &[]).status.code(), Some(2));
}

#[test]
fn a_file_says_where_things_are_unless_others_may_write_it() {
    let folder = Folder::new("conf");
    let (conf, socket) = (folder.0.join("helper.conf"), folder.socket());
    fs::write(&conf, format!("socket = {}\n", socket.display())).unwrap();
    fs::set_permissions(&conf, fs::Permissions::from_mode(0o600)).unwrap();
    let call = |folder: &Folder| {
        Command::new(env!("CARGO_BIN_EXE_reactor-helper"))
            .args(["fence-peer", "r0"])
            .env_clear()
            .env("STORAGE_REACTOR_HELPER_CONF", &conf)
            .env("STORAGE_REACTOR_HELPER_WAIT", "0")
            .env("STORAGE_REACTOR_JOURNAL", folder.journal())
            .env("STORAGE_REACTOR_DRBDADM", stub())
            .output()
            .unwrap()
            .status
    };
    let daemon = folder.daemon(answer("{\"parameters\":{\"exit\":5,\"rule\":\"r\"}}\0"));
    assert_eq!(call(&folder).code(), Some(5));
    daemon.join().unwrap();
    fs::set_permissions(&conf, fs::Permissions::from_mode(0o622)).unwrap();
    assert_eq!(call(&folder).code(), Some(43));
}
