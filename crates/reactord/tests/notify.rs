//! What receivers of `[[notify]]` are told over the life of daemons, and what waits for them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use reactor_core::notice::{Message, Notice, Topic};
use reactor_core::settings::NotifySettings;
use reactor_core::settings::notify::{Receiver, Webhook, WebhookFormat, WebhookUrl};
use reactor_storage::event::Severity;
use reactor_sys::deliver::{Configured, Deliveries};
use serde_json::{Value, json};
use support::{Daemon, Folder, LIMIT, scrape};

/// Says what is in the file `events2` and what is added to it, until its standard input is closed.
const EVENTS: &str =
    "case \"$*\" in events2*) ;; *) exit 20 ;; esac\ntail --pid=$$ -c +1 -f \"$0.events2\" &\nexec cat\n";

/// DRBD says nothing.
const QUIET: &str = "echo 'exists -'\nread _\n";

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A web server: the next request's document, answered with that status.
fn answer(listener: &TcpListener, status: &str) -> Value {
    loop {
        let (socket, _) = listener.accept().unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        if let Some(document) = read(socket, status) {
            return document;
        }
    }
}

/// `None` = nothing was asked.
fn read(socket: TcpStream, status: &str) -> Option<Value> {
    let mut reader = BufReader::new(socket);
    let mut length = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        match line.strip_prefix("content-length: ") {
            Some(number) => length = number.parse().ok(),
            None if line.is_empty() => break,
            None => {}
        }
    }
    let mut body = vec![0; length.unwrap()];
    reader.read_exact(&mut body).unwrap();
    reader.get_mut().write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).unwrap();
    Some(serde_json::from_slice(&body).unwrap())
}

/// Leaves messages on the disk, as a daemon does whose receiver is away.
fn leave(folder: &Folder, texts: &[&str]) {
    let webhook = Webhook {
        url: WebhookUrl::Url(format!("http://127.0.0.1:{}/", free_port())),
        format: WebhookFormat::Json,
        headers: Vec::new(),
        token_file: None,
        ca_file: None,
    };
    let deliveries = Deliveries::start(&folder.path().join("state"));
    let settings = NotifySettings { name: "chat".to_owned(), ..NotifySettings::new(Receiver::Webhook(webhook)) };
    deliveries.apply(&[settings], Configured::Whole);
    for text in texts {
        let notice = Notice {
            unix_ms: 1_795_893_073_898,
            topic: Topic::Drbd,
            what: "connection-lost".to_owned(),
            severity: Severity::Error,
            text: (*text).to_owned(),
            because: Vec::new(),
            resources: vec!["r0".to_owned()],
            incident: None,
            event: None,
        };
        let message =
            Message { receiver: "chat".to_owned(), node: "n3".to_owned(), notices: vec![notice], left_out: 0 };
        deliveries.send(message);
    }
    assert!(deliveries.finish(LIMIT));
}

/// The daemon of this configuration: `[[notify]]` to a port, and metrics on another.
fn configure(folder: &Folder, port: u16, metrics: u16) {
    folder.drbd(QUIET);
    folder.main_file("");
    let url = format!("http://127.0.0.1:{port}/");
    let text = format!(
        "[[notify]]\nname = \"chat\"\nwebhook = {{ url = \"{url}\" }}\n[[prometheus]]\naddress = \"127.0.0.1:{metrics}\"\n"
    );
    folder.write("snippets/notify.toml", &text);
}

fn of_plugin(status: &Value) -> Value {
    let plugins = status["plugins"].as_array().unwrap();
    plugins.iter().find(|plugin| plugin["kind"] == "notify").unwrap()["details"].clone()
}

#[test]
fn what_waits_outlives_a_daemon_that_is_killed_and_arrives_once_in_order() {
    let folder = Folder::new("notify");
    let (port, metrics) = (free_port(), free_port());
    configure(&folder, port, metrics);
    leave(&folder, &["one", "two", "three"]);

    let daemon = Daemon::start(&folder, &[]);
    let status = daemon.status_until("an attempt has failed", |status| of_plugin(status)["trouble"].is_string());
    let details = of_plugin(&status);
    assert_eq!((&details["waiting"], &details["delivered"]), (&json!("3"), &json!("0")), "{details:#}");
    assert_eq!(details["receiver"], "chat (webhook)");
    let text = scrape(metrics);
    assert!(text.contains("storage_reactor_notify_up{receiver=\"chat\"} 0\n"), "{text}");
    assert!(text.contains("storage_reactor_notify_waiting{receiver=\"chat\"} 3\n"), "{text}");
    assert!(text.contains("storage_reactor_notify_disk_up 1\n"), "{text}");
    // Killed, and not asked.
    drop(daemon);

    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let daemon = Daemon::start(&folder, &[]);
    let got: Vec<Value> = (0..3).map(|_| answer(&listener, "200 OK")).collect();
    let texts: Vec<&Value> = got.iter().map(|document| &document["notices"][0]["text"]).collect();
    assert_eq!(texts, ["one", "two", "three"]);
    let details = of_plugin(&daemon.status_until("all have arrived", |status| of_plugin(status)["delivered"] == "3"));
    assert_eq!((&details["waiting"], &details["dropped"]), (&json!("0"), &json!("0")), "{details:#}");
    assert!(daemon.stop().success());

    // Nothing is left to be sent again.
    let daemon = Daemon::start(&folder, &[]);
    let details = of_plugin(&daemon.status());
    assert_eq!(details["waiting"], "0");
    assert!(daemon.stop().success());
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nothing has come twice");
}

#[test]
fn a_reload_that_takes_a_table_drops_what_waits_for_it_with_a_word() {
    let folder = Folder::new("notify-gone");
    configure(&folder, free_port(), free_port());
    leave(&folder, &["one", "two"]);
    let daemon = Daemon::start(&folder, &[]);
    daemon.log_until("notifications wait from before");
    // A file with an error may have had the table: nothing is dropped for that.
    folder.write("snippets/other.toml", "[[umh]\n");
    folder.write("snippets/notify.toml", "[[debugger]]\n");
    daemon.call("Reload", &json!({}));
    daemon.log_until("what is on the disk for it stays there");
    assert_eq!(fs::read_dir(folder.path().join("state/notify/chat")).unwrap().count(), 2);
    fs::remove_file(folder.path().join("snippets/other.toml")).unwrap();
    folder.write("snippets/notify.toml", "[[notify]]\nname = \"log\"\nstdout = \"text\"\n");
    assert_eq!(daemon.call("Reload", &json!({}))["result"], "ok");
    daemon.log_until("what waited for it is dropped");
    assert!(daemon.stop().success());
    assert!(!folder.path().join("state/notify/chat").exists());
}

/// A cluster of three nodes, as this one sees it, and two receivers that want to know of lost connections.
struct Cluster {
    folder: Folder,
    chat: TcpListener,
    /// Ids of what the chat has heard. Whoever is killed before the file of a message has gone sends it again.
    heard: BTreeSet<String>,
}

impl Cluster {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        folder.drbd(EVENTS);
        folder.main_file("");
        let chat = TcpListener::bind("127.0.0.1:0").unwrap();
        folder.program("tell", "#!/bin/sh\necho \"$NOTIFY_ID $NOTIFY_TITLE\" >> \"$0.log\"\n");
        let (url, tell) = (chat.local_addr().unwrap(), folder.path().join("tell"));
        let table = |name: &str, receiver: &str| {
            format!("[[notify]]\nname = \"{name}\"\nwhat = [\"connection-lost\"]\ntogether = 0\n{receiver}\n")
        };
        let chat_table = table("chat", &format!("webhook = {{ url = \"http://{url}/\" }}"));
        let log_table = table("log", &format!("exec = {{ command = \"{}\" }}", tell.display()));
        folder.write("snippets/notify.toml", &(chat_table + &log_table));
        Self { folder, chat, heard: BTreeSet::new() }
    }

    /// DRBD is as it says at a start: r0 with these connections to n1 and n2.
    fn is(&self, n1: &str, n2: &str) {
        let role = |state: &str| if state == "Connected" { "Secondary" } else { "Unknown" };
        let (role1, role2) = (role(n1), role(n2));
        self.folder.write(
            "drbdsetup.events2",
            &format!(
                "exists resource name:r0 role:Secondary suspended:no may_promote:yes promotion_score:10101\n\
                 exists connection name:r0 peer-node-id:1 conn-name:n1 connection:{n1} role:{role1}\n\
                 exists connection name:r0 peer-node-id:2 conn-name:n2 connection:{n2} role:{role2}\n\
                 exists device name:r0 volume:0 minor:1000 backing_dev:/dev/x disk:UpToDate client:no quorum:yes size:1024 open:no\n\
                 exists -\n"
            ),
        );
    }

    /// A connection changes.
    fn change(&self, peer: u32, state: &str) {
        let role = if state == "Connected" { "Secondary" } else { "Unknown" };
        let line =
            format!("change connection name:r0 peer-node-id:{peer} conn-name:n{peer} connection:{state} role:{role}\n");
        let path = self.folder.path().join("drbdsetup.events2");
        fs::OpenOptions::new().append(true).open(path).unwrap().write_all(line.as_bytes()).unwrap();
    }

    /// A daemon that has read what DRBD said.
    fn start(&self) -> Daemon {
        let daemon = Daemon::start(&self.folder, &[]);
        daemon.status_until("the dump is read", |status| !status["resources"].as_array().is_none_or(Vec::is_empty));
        daemon
    }

    /// The next message of the chat that is none it has heard: what it is called by, its title and its severity.
    fn hears(&mut self) -> (String, String, String) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        loop {
            let message = answer(&self.chat, "200 OK");
            if self.heard.insert(text(&message["id"])) {
                let notices = message["notices"].as_array().unwrap();
                assert_eq!((notices.len(), &message["left-out"]), (1, &json!(0)), "{message:#}");
                assert_eq!((&message["node"], &notices[0]["resources"]), (&json!("n3"), &json!(["r0"])));
                return (text(&notices[0]["what"]), text(&message["title"]), text(&message["severity"]));
            }
        }
    }

    /// The titles of what the program was told, each once, as soon as there are so many.
    fn log(&self, count: usize) -> Vec<String> {
        let began = Instant::now();
        loop {
            let text = fs::read_to_string(self.folder.path().join("tell.log")).unwrap_or_default();
            let mut ids = BTreeSet::new();
            let whole = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')?.split_once(' '));
            let told: Vec<_> = whole.filter(|(id, _)| ids.insert(*id)).map(|(_, title)| title.to_owned()).collect();
            if told.len() >= count {
                return told;
            }
            assert!(began.elapsed() < LIMIT, "it was told only: {text}");
            std::thread::yield_now();
        }
    }

    /// What people were told and still stands, by the file, until it is that for both receivers.
    fn stands(&self, expected: &[&str]) {
        let began = Instant::now();
        let receivers = if expected.is_empty() { json!({}) } else { json!({ "chat": expected, "log": expected }) };
        loop {
            let text = fs::read_to_string(self.folder.path().join("state/told.json")).unwrap_or_default();
            let told: Value = serde_json::from_str(&text).unwrap_or_default();
            if told["receivers"] == receivers {
                return;
            }
            assert!(began.elapsed() < LIMIT, "it is not {receivers}: {text}");
            std::thread::yield_now();
        }
    }
}

/// What both were told, in order, is all that they were told: what comes last would come after anything else.
#[test]
fn a_lost_connection_is_told_once_over_kills_and_that_it_came_back_meanwhile_is_told() {
    let mut cluster = Cluster::new("notify-drbd");
    cluster.is("Connected", "Connected");
    let daemon = cluster.start();
    cluster.change(1, "NetworkFailure");
    let told =
        |what: &str, text: &str, severity: &str| (what.to_owned(), format!("n3: r0: {text}"), severity.to_owned());
    let lost = |peer: &str| format!("the connection to {peer} is lost (Connected -> NetworkFailure)");
    assert_eq!(cluster.hears(), told("connection-lost", &lost("n1"), "error"));
    // What DRBD makes of it after that is nothing new.
    cluster.change(1, "Unconnected");
    cluster.change(1, "Connecting");
    daemon.follow_until(|change| change["new"]["connection-state"] == "Connecting");
    cluster.stands(&["connection-lost r0 peer 1"]);
    assert_eq!(cluster.log(1), [format!("n3: r0: {}", lost("n1"))]);
    // Killed, and not asked.
    drop(daemon);

    // It is still lost, and another one is lost, too: only that is told.
    cluster.is("Connecting", "Connected");
    let daemon = cluster.start();
    cluster.change(2, "NetworkFailure");
    assert_eq!(cluster.hears(), told("connection-lost", &lost("n2"), "error"));
    cluster.stands(&["connection-lost r0 peer 1", "connection-lost r0 peer 2"]);
    assert_eq!(cluster.log(2)[1], format!("n3: r0: {}", lost("n2")));
    drop(daemon);

    // One is back that was told by the first daemon; how long it was away nobody has seen.
    cluster.is("Connected", "Connecting");
    let daemon = cluster.start();
    assert_eq!(cluster.hears(), told("connection-back", "the connection to n1 is back", "notice"));
    cluster.stands(&["connection-lost r0 peer 2"]);
    // The other one comes back before its eyes.
    cluster.change(2, "Connected");
    let (what, title, _) = cluster.hears();
    assert_eq!(
        (what.as_str(), title.starts_with("n3: r0: the connection to n2 is back")),
        ("connection-back", true),
        "{title}"
    );
    cluster.stands(&[]);
    assert_eq!(cluster.log(4)[2], "n3: r0: the connection to n1 is back");
    drop(daemon);

    // Nothing stands, and nothing is told of what is well.
    cluster.is("Connected", "Connected");
    let daemon = cluster.start();
    cluster.change(1, "NetworkFailure");
    assert_eq!(cluster.hears(), told("connection-lost", &lost("n1"), "error"));
    assert_eq!(cluster.log(5)[4], format!("n3: r0: {}", lost("n1")));
    assert!(daemon.stop().success());
    assert_eq!(cluster.log(5).len(), 5);
}
