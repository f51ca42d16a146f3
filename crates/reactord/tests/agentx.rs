//! The daemon as an SNMP subagent: in its status and its metrics, through reloads, and to the end.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

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
