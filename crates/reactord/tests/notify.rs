//! What waits for receivers of `[[notify]]`, over the life of daemons.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use reactor_core::notice::{Message, Notice, Topic};
use reactor_core::settings::NotifySettings;
use reactor_core::settings::notify::{Receiver, Webhook, WebhookFormat, WebhookUrl};
use reactor_storage::event::Severity;
use reactor_sys::deliver::{Configured, Deliveries};
use serde_json::{Value, json};
use support::{Daemon, Folder, LIMIT, scrape};

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
    assert_eq!(std::fs::read_dir(folder.path().join("state/notify/chat")).unwrap().count(), 2);
    std::fs::remove_file(folder.path().join("snippets/other.toml")).unwrap();
    folder.write("snippets/notify.toml", "[[notify]]\nname = \"log\"\nstdout = \"text\"\n");
    assert_eq!(daemon.call("Reload", &json!({}))["result"], "ok");
    daemon.log_until("what waited for it is dropped");
    assert!(daemon.stop().success());
    assert!(!folder.path().join("state/notify/chat").exists());
}
