//! The daemon as an SNMP subagent: in its status and its metrics, through reloads, and to the end.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use reactor_sys::agentx::pdu::{ErrorCode, HEADER, Header, Kind, Writer};
use serde_json::{Value, json};
use support::{Daemon, Folder, scrape};

const QUIET: &str = "
echo '2026-11-21T03:06:17.369716+00:00 exists resource name:r1 role:Secondary suspended:no may_promote:yes promotion_score:10101'
echo '2026-11-21T03:06:17.369716+00:00 exists device name:r1 volume:0 minor:1 backing_dev:/dev/x disk:UpToDate client:no open:no quorum:yes size:1'
echo '2026-11-21T03:06:17.369716+00:00 exists -'
exec cat
";

/// The next message of a subagent: its header, and all of it.
fn read(stream: &mut UnixStream) -> (Header, Vec<u8>) {
    let mut bytes = vec![0; HEADER];
    stream.read_exact(&mut bytes).unwrap();
    let header = Header::read(&bytes).unwrap().unwrap();
    bytes.resize(HEADER + header.length, 0);
    stream.read_exact(&mut bytes[HEADER..]).unwrap();
    (header, bytes)
}

/// Takes a subagent, and opens its session.
fn take(listener: &UnixListener) -> UnixStream {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    for _ in 0..2 {
        let (header, _) = read(&mut stream);
        stream.write_all(&Writer::answer(&header).finish_answer(ErrorCode::NONE, 0)).unwrap();
    }
    stream
}

fn agentx(status: &Value) -> Value {
    let plugins = status["plugins"].as_array().unwrap();
    plugins.iter().find(|plugin| plugin["kind"] == "agentx").cloned().unwrap_or_default()
}

#[test]
fn a_session_is_shown_kept_by_a_reload_and_closed_at_the_end() {
    let folder = Folder::new("agentx");
    folder.drbd(QUIET);
    folder.main_file("");
    let master = folder.path().join("master");
    let port = reactor_sim::daemon::free_port().unwrap();
    let table = format!("[[agentx]]\naddress = \"unix:{}\"\n", master.display());
    folder.write("snippets/snmp.toml", &table);
    folder.write("snippets/metrics.toml", &format!("[[prometheus]]\naddress = \"127.0.0.1:{port}\"\n"));
    // Nobody is there: it starts all the same, and says so.
    let daemon = Daemon::start(&folder, &[]);
    let status = daemon.status_until("it says why", |status| {
        agentx(status)["why"].as_str().is_some_and(|why| why.contains("cannot connect to"))
    });
    assert_eq!(agentx(&status)["state"], "stopped");
    let up = |value: &str| {
        let page = scrape(port);
        page.lines()
            .any(|line| line.starts_with("storage_reactor_plugin_up{plugin=\"agentx\"") && line.ends_with(value))
    };
    assert!(up(" 0"));
    // Somebody comes.
    let listener = UnixListener::bind(&master).unwrap();
    let mut stream = take(&listener);
    let status = daemon.status_until("a session", |status| agentx(status)["state"] == "running");
    assert_eq!(agentx(&status)["details"]["address"], json!(master.display().to_string()));
    assert!(up(" 1"));
    let mut get = Writer::new(Kind::Get, 0, 1);
    get.oid(&[1, 3, 6, 1, 4, 1, 23302, 1, 2, 1, 2, 1]);
    get.oid(&[]);
    stream.write_all(&get.finish()).unwrap();
    let (_, answer) = read(&mut stream);
    assert!(answer.windows(2).any(|bytes| bytes == b"r1"), "{answer:?}");
    let page = scrape(port);
    assert!(
        page.lines().any(|l| l.starts_with("storage_reactor_agentx_requests_total{id=") && l.ends_with(" 1")),
        "{page}"
    );
    // A reload that changes something else leaves it alone; one that changes it opens another session.
    folder.write("snippets/other.toml", "[[debugger]]\n");
    assert_eq!(daemon.call("Reload", &json!({}))["ok"], true);
    assert_eq!(agentx(&daemon.status())["details"]["requests"], "1");
    folder.write("snippets/snmp.toml", &format!("{table}peer-states = false\n"));
    assert_eq!(daemon.call("Reload", &json!({}))["ok"], true);
    assert_eq!(read(&mut stream).1[1], Kind::Close as u8);
    let mut stream = take(&listener);
    // A master agent that says nothing holds up nothing.
    folder.write("snippets/other.toml", "[[debugger]]\ndetail = \"all\"\n");
    assert_eq!(daemon.call("Reload", &json!({}))["ok"], true);
    assert!(daemon.stop().success());
    assert_eq!(read(&mut stream).1[1], Kind::Close as u8);
}

/// Threads of the daemon that hold sessions.
fn threads(daemon: &Daemon) -> usize {
    let tasks = fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap().flatten();
    tasks.filter(|task| fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "agentx")).count()
}

/// Asks for the name of a resource's device.
fn ask(stream: &mut UnixStream) {
    let mut get = Writer::new(Kind::Get, 0, 1);
    get.oid(&[1, 3, 6, 1, 4, 1, 23302, 1, 2, 1, 2, 1]);
    get.oid(&[]);
    stream.write_all(&get.finish()).unwrap();
    assert_eq!(read(stream).1[1], Kind::Response as u8);
}

#[test]
fn a_reload_ends_the_sessions_that_are_gone_and_no_others() {
    let folder = Folder::new("agentx-tables");
    folder.drbd(QUIET);
    folder.main_file("");
    let address = |name: &str| folder.path().join(name).display().to_string();
    let table = |name: &str| format!("[[agentx]]\naddress = \"unix:{}\"\n", address(name));
    let listen = |name: &str| UnixListener::bind(address(name)).unwrap();
    let [at_a, at_b, at_c] = ["a", "b", "c"].map(listen);
    folder.write("snippets/snmp.toml", &(table("a") + &table("b")));
    let daemon = Daemon::start(&folder, &[]);
    let (mut a, mut b) = (take(&at_a), take(&at_b));
    // What the status shows: address, and how many requests.
    let sessions = |what: &str, wanted: &[(&str, &str)]| {
        let wanted: Vec<_> = wanted.iter().map(|(name, requests)| json!([address(name), requests])).collect();
        daemon.status_until(what, |status| {
            let plugins = status["plugins"].as_array().unwrap().iter().filter(|plugin| plugin["kind"] == "agentx");
            let shown = plugins.map(|one| json!([one["details"]["address"], one["details"]["requests"]]));
            shown.collect::<Vec<_>>() == wanted
        });
    };
    sessions("both", &[("a", "0"), ("b", "0")]);
    ask(&mut a);
    assert_eq!(threads(&daemon), 2);
    let reload = |text: &str| {
        folder.write("snippets/snmp.toml", text);
        let answer = daemon.call("Reload", &json!({}));
        assert_eq!(answer["ok"], true, "{answer}");
    };
    // In the other order they are the same two.
    reload(&(table("b") + &table("a")));
    sessions("the same two", &[("b", "0"), ("a", "1")]);
    ask(&mut a);
    ask(&mut b);
    // One has another address: only that one.
    reload(&(table("c") + &table("a")));
    assert_eq!(read(&mut b).1[1], Kind::Close as u8);
    let mut c = take(&at_c);
    sessions("another address", &[("c", "0"), ("a", "2")]);
    ask(&mut a);
    assert_eq!(threads(&daemon), 2);
    // One less.
    reload(&table("a"));
    assert_eq!(read(&mut c).1[1], Kind::Close as u8);
    sessions("one is left", &[("a", "3")]);
    ask(&mut a);
    assert_eq!(threads(&daemon), 1);
    // And none.
    fs::remove_file(folder.path().join("snippets/snmp.toml")).unwrap();
    assert_eq!(daemon.call("Reload", &json!({}))["ok"], true);
    assert_eq!(read(&mut a).1[1], Kind::Close as u8);
    sessions("none", &[]);
    assert_eq!(threads(&daemon), 0);
    assert!(daemon.stop().success());
}
