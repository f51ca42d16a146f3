//! Nothing that was accepted is lost: outages of the receiver, of the daemon and of the disk.

use std::process::{Child, Command, Stdio};

use reactor_core::settings::notify::{Webhook, WebhookFormat, WebhookUrl};

use super::*;
use crate::web::{Web, free_port};

fn hook(name: &str, port: u16) -> NotifySettings {
    let webhook = Webhook {
        url: WebhookUrl::Url(format!("http://127.0.0.1:{port}/hook")),
        format: WebhookFormat::Json,
        headers: Vec::new(),
        token_file: None,
        ca_file: None,
    };
    settings(name, Receiver::Webhook(webhook))
}

fn texts(web: &Web, count: usize) -> Vec<String> {
    (0..count).map(|_| web.next().text()).collect()
}

fn numbered(numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    numbers.into_iter().map(|number| format!("event {number}")).collect()
}

fn send(deliveries: &Deliveries, receiver: &str, numbers: impl IntoIterator<Item = u32>) {
    numbered(numbers).iter().for_each(|text| deliveries.send(message(receiver, text)));
}

#[test]
fn what_waited_when_the_daemon_ended_arrives_once_in_order_and_with_its_id() {
    let home = Home::new("outage");
    let first = start(&home.0, &[hook("chat", free_port())]);
    send(&first, "chat", 1..=3);
    until("everything is on the disk, and an attempt has failed", || {
        home.kept("chat") == 3 && status(&first, "chat").failed > 0
    });
    let waits = status(&first, "chat");
    assert_eq!((waits.waiting, waits.delivered, waits.kind), (3, 0, "webhook"));
    assert!(waits.trouble.unwrap().contains("127.0.0.1"));
    // As if it was killed: nobody is told that it ends. Its threads may make one more attempt, at their address.
    drop(first);
    let web = Web::start();
    let second = start(&home.0, &[hook("chat", web.port)]);
    send(&second, "chat", [4]);
    let got: Vec<_> = (0..4).map(|_| web.next()).collect();
    assert_eq!(got.iter().map(web::Request::text).collect::<Vec<_>>(), numbered(1..=4));
    let ids: std::collections::BTreeSet<String> =
        got.iter().map(|got| got.headers["idempotency-key"].clone()).collect();
    assert_eq!(ids.len(), 4);
    assert!(got.iter().all(|got| got.head == "POST /hook HTTP/1.1"), "{got:?}");
    until("nothing is kept any more", || home.kept("chat") == 0);
    assert!(second.finish(LONG));
    assert_eq!(web.rest(), 0, "nothing has come twice");
}

/// What is only right once the messages outlive a crash waits for them; and not for a disk that refuses.
#[test]
fn who_waits_for_the_disk_goes_on_when_it_has_the_messages_or_refuses_them() {
    let home = Home::new("written");
    let deliveries = start(&home.0, &[hook("chat", free_port())]);
    send(&deliveries, "chat", 1..=5);
    deliveries.written().wait(LONG);
    assert_eq!(home.kept("chat"), 5);
    drop(deliveries);
    let no_folder = Home::new("not-written");
    fs::write(no_folder.path("file"), "is no folder").unwrap();
    let refused = start(&no_folder.path("file"), &[hook("chat", free_port())]);
    send(&refused, "chat", 1..=2);
    refused.written().wait(LONG);
    assert!(refused.disk_trouble().is_some());
}

#[test]
fn an_attempt_whose_answer_is_lost_is_made_again_with_the_same_id() {
    let (home, web) = (Home::new("again"), Web::start());
    let deliveries = start(&home.0, &[hook("chat", web.port)]);
    web.answer("");
    web.answer("500 No\r\nRetry-After: 0\r\n\r\nbusy");
    web.answer("429 Slow down\r\nRetry-After: 1\r\n\r\n");
    web.answer("503 Later\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
    send(&deliveries, "chat", 1..=2);
    let got: Vec<_> = (0..6).map(|_| web.next()).collect();
    let id = |index: usize| got[index].headers["idempotency-key"].clone();
    assert_eq!(got[4].text(), "event 1");
    assert_eq!(got[5].text(), "event 2");
    assert_eq!([id(1), id(2), id(3), id(4)], [id(0), id(0), id(0), id(0)]);
    assert_ne!(id(5), id(0));
    until("both have arrived", || status(&deliveries, "chat").delivered == 2);
    let done = status(&deliveries, "chat");
    assert_eq!((done.failed, done.dropped, done.waiting, done.trouble), (4, 0, 0, None));
}

#[test]
fn what_is_refused_for_good_is_dropped_and_what_is_behind_it_goes_on() {
    let (home, web) = (Home::new("refused"), Web::start());
    let deliveries = start(&home.0, &[hook("chat", web.port)]);
    for status in ["400 Bad", "404 Gone", "413 Large"] {
        web.answer(&format!("{status}\r\n\r\nno"));
    }
    send(&deliveries, "chat", 1..=4);
    assert_eq!(texts(&web, 4), numbered(1..=4));
    until("the last has arrived", || status(&deliveries, "chat").delivered == 1);
    let done = status(&deliveries, "chat");
    assert_eq!((done.failed, done.dropped, done.waiting), (3, 3, 0));
    until("nothing is kept", || home.kept("chat") == 0);
}

#[test]
fn beyond_the_bound_the_oldest_are_dropped() {
    let home = Home::new("bound");
    let bounded = |port| [NotifySettings { max_queued: 3, ..hook("chat", port) }];
    let first = start(&home.0, &bounded(free_port()));
    send(&first, "chat", 1..=10);
    let waits = status(&first, "chat");
    assert_eq!((waits.waiting, waits.dropped), (3, 7));
    assert!(first.finish(LONG));
    assert_eq!(home.kept("chat"), 3, "what stays is on the disk, and nothing else");
    let web = Web::start();
    let _second = start(&home.0, &bounded(web.port));
    // The first may have been under way, which nobody takes from an attempt.
    assert_eq!(texts(&web, 3)[1..], numbered([9, 10]));
}

#[test]
fn what_is_too_old_is_dropped_and_what_cannot_be_read_costs_one_message() {
    let (home, web) = (Home::new("old"), Web::start());
    let folder = home.path("notify/chat");
    fs::create_dir_all(&folder).unwrap();
    let put = |number: u32, text: &str| {
        let path = folder.join(format!("{number:020}.json"));
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    let file = |ms: u64, text: &str| {
        let message = serde_json::to_string(&message("chat", text)).unwrap();
        let head = r#""format":"storage-reactor-notification","version":1"#;
        format!(r#"{{{head},"id":"{text}","accepted-ms":{ms},"message":{message}}}"#)
    };
    put(1, &file(now - 7 * 86_400_000, "a week old"));
    put(2, "{ half a fi");
    put(3, &file(now, "good"));
    put(4, &file(now, "of a later version").replace(r#""version":1"#, r#""version":2"#));
    put(5, &file(now + 86_400_000, "of a clock that was set back"));
    let deliveries = start(&home.0, &[hook("chat", web.port)]);
    assert_eq!(texts(&web, 2), ["good", "of a clock that was set back"]);
    until("nothing is kept", || home.kept("chat") == 0);
    assert_eq!(status(&deliveries, "chat").dropped, 3);
}

#[test]
fn another_address_goes_on_with_the_queue_and_another_name_does_not() {
    let (home, web) = (Home::new("reload"), Web::start());
    let deliveries = start(&home.0, &[hook("chat", free_port()), hook("old name", free_port())]);
    send(&deliveries, "chat", 1..=2);
    send(&deliveries, "old name", 7..=9);
    until("all are kept", || home.kept("chat") == 2 && home.kept("old%20name") == 3);
    deliveries.apply(&[hook("chat", web.port), hook("new name", web.port)], Configured::Whole);
    assert_eq!(texts(&web, 2), numbered(1..=2));
    until("what waited for the other has gone", || !home.path("notify/old%20name").exists());
    send(&deliveries, "old name", [10]);
    send(&deliveries, "new name", [11]);
    assert_eq!(texts(&web, 1), numbered([11]));
    assert_eq!(deliveries.status().len(), 2);
    // It comes back, and begins anew.
    deliveries.apply(&[hook("old name", web.port)], Configured::Whole);
    send(&deliveries, "old name", [12]);
    assert_eq!(texts(&web, 1), numbered([12]));
}

#[test]
fn a_file_of_the_configuration_that_cannot_be_read_costs_no_queue() {
    let (home, web) = (Home::new("partly"), Web::start());
    let first = start(&home.0, &[hook("chat", free_port()), hook("mail", free_port())]);
    send(&first, "chat", [1]);
    send(&first, "mail", [2]);
    until("both are kept", || home.kept("chat") + home.kept("mail") == 2);
    drop(first);
    let second = Deliveries::start_with(&home.0, quick());
    second.apply(&[hook("mail", web.port)], Configured::Partly);
    assert_eq!(texts(&web, 1), numbered([2]));
    assert_eq!(home.kept("chat"), 1);
    second.apply(&[hook("mail", web.port), hook("chat", web.port)], Configured::Whole);
    assert_eq!(texts(&web, 1), numbered([1]));
}

#[test]
fn one_that_hangs_costs_only_itself() {
    let (home, web) = (Home::new("hangs"), Web::start());
    // It takes connections, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let deliveries = start(&home.0, &[hook("chat", web.port), hook("hangs", silent.local_addr().unwrap().port())]);
    send(&deliveries, "hangs", 1..=2);
    let _attempt = silent.accept().unwrap();
    send(&deliveries, "chat", 1..=3);
    assert_eq!(texts(&web, 3), numbered(1..=3));
    until("what hangs is kept", || home.kept("hangs") == 2);
    assert_eq!(status(&deliveries, "hangs").waiting, 2);
}

#[test]
fn an_attempt_ends_with_its_time() {
    let home = Home::new("timeout");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let receiver = hook("chat", silent.local_addr().unwrap().port());
    let deliveries = start(&home.0, &[NotifySettings { timeout: Duration::from_millis(20), ..receiver }]);
    send(&deliveries, "chat", [1]);
    let held: Vec<_> = (0..2).map(|_| silent.accept().unwrap()).collect();
    until("it has failed", || status(&deliveries, "chat").failed > 1);
    drop(held);
}

#[test]
fn a_disk_that_refuses_is_told_and_messages_go_on_from_memory() {
    let (home, web) = (Home::new("disk"), Web::start());
    // No folder can be made where a file is.
    let state = home.path("state");
    fs::write(&state, "").unwrap();
    let receivers = [hook("chat", web.port), hook("down", free_port())];
    let pace = Pace { grace: Duration::ZERO, ..quick() };
    let deliveries = Deliveries::start_with(&state, pace);
    deliveries.apply(&receivers, Configured::Whole);
    send(&deliveries, "down", 1..=2);
    send(&deliveries, "chat", 1..=20);
    assert_eq!(texts(&web, 20), numbered(1..=20));
    until("it is told", || deliveries.disk_trouble().is_some());
    fs::remove_file(&state).unwrap();
    until("what waits is written at last", || kept(&state, "down") == 2);
    until("and that is told", || deliveries.disk_trouble().is_none());
    assert!(deliveries.finish(LONG));
}

/// A tmpfs that is full: a file system of its own in a namespace, reached by its process.
struct Full {
    child: Child,
    dir: PathBuf,
}

impl Full {
    fn mount(at: &Path) -> Option<Self> {
        let script = format!("mount -t tmpfs -o size=96k,mode=700 none {} && echo ready && exec cat", at.display());
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let mut said = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut()?, &mut said).ok()?;
        let dir = PathBuf::from(format!("/proc/{}/root{}", child.id(), at.display()));
        Some(Self { child, dir })
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_disk_that_is_full_loses_nothing_while_the_daemon_runs_and_has_room_again_for_what_waits() {
    let (home, port) = (Home::new("full"), free_port());
    let Some(full) = Full::mount(&home.0) else { return skip("a full disk", "no user namespaces to mount one in") };
    let ballast = full.dir.join("ballast");
    let receivers = [hook("chat", port)];
    let deliveries = start(&full.dir, &receivers);
    send(&deliveries, "chat", 1..=3);
    until("three are kept", || kept(&full.dir, "chat") == 3);
    let mut written = 0;
    while fs::write(&ballast, vec![0; written]).is_ok() {
        written += 1024;
    }
    send(&deliveries, "chat", 4..=40);
    until("it is told", || deliveries.disk_trouble().is_some_and(|why| why.contains("No space left")));
    assert_eq!(status(&deliveries, "chat").dropped, 0);
    let web = Web::start_at(port);
    assert_eq!(texts(&web, 40), numbered(1..=40));
    until("what has arrived is removed from a full disk, too", || kept(&full.dir, "chat") == 0);
    fs::remove_file(&ballast).unwrap();
    assert!(deliveries.finish(LONG));
}

#[test]
fn the_end_waits_for_what_can_arrive_and_for_the_disk_only() {
    let (home, web) = (Home::new("end"), Web::start());
    let deliveries = start(&home.0, &[hook("chat", web.port), hook("down", free_port())]);
    send(&deliveries, "down", 1..=50);
    send(&deliveries, "chat", 1..=50);
    assert!(deliveries.finish(LONG));
    assert_eq!((web.rest(), home.kept("down")), (50, 50));
}
