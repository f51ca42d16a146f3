//! What is in requests, and what is not followed.

use std::io::Read as _;
use std::io::Write as _;

use reactor_core::settings::notify::{Webhook, WebhookFormat, WebhookUrl};
use serde_json::json;

use super::*;
use crate::server::{Listener, Tls};
use crate::web::Web;

fn hook(url: &str, format: WebhookFormat) -> Webhook {
    Webhook { url: WebhookUrl::Url(url.to_owned()), format, headers: Vec::new(), token_file: None, ca_file: None }
}

fn by_web(webhook: Webhook) -> NotifySettings {
    settings("web", Receiver::Webhook(webhook))
}

/// What one message becomes.
fn told(name: &str, format: WebhookFormat, message: Message) -> web::Request {
    let (home, web) = (Home::new(name), Web::start());
    let deliveries = start(&home.0, &[by_web(hook(&format!("http://127.0.0.1:{}/a?b=c", web.port), format))]);
    deliveries.send(message);
    let request = web.next();
    assert!(deliveries.finish(LONG));
    request
}

#[test]
fn json_is_the_message_as_it_is() {
    let request = told("web-json", WebhookFormat::Json, message("web", "r0 lost its peer"));
    assert_eq!(request.head, "POST /a?b=c HTTP/1.1");
    assert_eq!(request.headers["content-type"], "application/json");
    assert!(request.headers["user-agent"].starts_with("storage-reactor/"));
    let id = request.headers["idempotency-key"].clone();
    let expected = json!({
        "id": id, "receiver": "web", "node": "n1", "severity": "error", "title": "n1: r0 lost its peer", "left-out": 0,
        "notices": [{
            "id": format!("{id}-0"), "node": "n1", "time": "2026-11-28T19:11:13.898Z", "unix-ms": 1_795_893_073_898_u64,
            "topic": "drbd", "what": "connection-lost", "severity": "error", "text": "r0 lost its peer",
            "because": ["the peer does not answer"], "resources": ["r0"],
        }],
    });
    assert_eq!(request.json(), expected);
}

#[test]
fn slack_gets_bounded_blocks_in_which_no_text_calls_people_or_hides_an_address() {
    let bad = "<!channel> @all & [pay](http://x) \u{7}\nnext";
    let request = told("web-slack", WebhookFormat::Slack, message("web", bad));
    let json = request.json();
    let text = json["text"].as_str().unwrap();
    assert_eq!(text, "n1: &lt;!channel&gt; @\u{200b}all &amp; [pay]\u{200b}(http://x)   next");
    assert_eq!(json["blocks"][0]["type"], "header");
    assert_eq!(json["blocks"][0]["text"]["type"], "plain_text");
    let section = json["blocks"][1]["text"]["text"].as_str().unwrap();
    assert!(
        section.contains("&lt;!channel&gt; @\u{200b}all") && section.contains("because: the peer does not answer"),
        "{section}"
    );
    let mut many = message("web", &"&".repeat(20_000));
    many.notices = vec![many.notices[0].clone(); 60];
    let json = told("web-slack-many", WebhookFormat::Slack, many).json();
    let blocks = json["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50);
    assert!(json["text"].as_str().unwrap().len() <= 4000);
    assert!(blocks[0]["text"]["text"].as_str().unwrap().len() <= 150);
    for block in &blocks[1..blocks.len() - 1] {
        let text = block["text"]["text"].as_str().unwrap();
        assert!(text.len() <= 3000 && text.ends_with("&amp;..."), "{}", &text[text.len() - 20..]);
    }
    assert_eq!(blocks.last().unwrap()["elements"][0]["text"], "40 more were left out, see the log of the node");
}

#[test]
fn cloudevents_are_a_batch_with_what_the_standard_wants() {
    let mut two = message("web", "first");
    two.node = "node 1".to_owned();
    two.notices.push(Notice { resources: Vec::new(), ..notice("second") });
    let request = told("web-cloud", WebhookFormat::CloudEvents, two);
    assert_eq!(request.headers["content-type"], "application/cloudevents-batch+json");
    let id = request.headers["idempotency-key"].clone();
    let json = request.json();
    let mut first = json[0].clone();
    assert_eq!(first["data"]["text"], "first");
    first["data"] = serde_json::Value::Null;
    let expected = json!({
        "specversion": "1.0", "id": format!("{id}-0"), "source": "/storage-reactor/node%201",
        "type": "io.storagereactor.drbd.connection-lost", "time": "2026-11-28T19:11:13.898Z",
        "datacontenttype": "application/json", "subject": "r0", "data": null,
    });
    assert_eq!(first, expected);
    assert_eq!((json[1]["id"].as_str(), json[1].get("subject")), (Some(format!("{id}-1").as_str()), None));
}

#[test]
fn secrets_are_read_anew_and_never_told() {
    let (home, web) = (Home::new("web-secrets"), Web::start());
    let secret = |name: &str, text: &str| {
        let path = home.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let webhook = Webhook {
        url: WebhookUrl::File(secret("url", "no address at all: geheim\n")),
        format: WebhookFormat::Json,
        headers: vec![("X-Key".to_owned(), "strange\u{7}geheim".to_owned())],
        token_file: Some(secret("token", "t0ken\n")),
        ca_file: None,
    };
    let good = Webhook { headers: vec![("X-Key".to_owned(), "geheim".to_owned())], ..webhook.clone() };
    let deliveries = start(&home.path("state"), &[by_web(webhook)]);
    deliveries.send(message("web", "news"));
    let tells = |part: &str| {
        until(part, || status(&deliveries, "web").trouble.is_some_and(|why| why.contains(part)));
        assert!(!status(&deliveries, "web").trouble.unwrap().contains("geheim"));
    };
    tells("has no address that begins with");
    secret("url", &format!("http://127.0.0.1:{}/geheim\n", web.port));
    tells("the header X-Key can't be sent");
    deliveries.apply(&[by_web(good)], Configured::Whole);
    let request = web.next();
    assert_eq!(request.head, "POST /geheim HTTP/1.1");
    assert_eq!(
        (request.headers["x-key"].as_str(), request.headers["authorization"].as_str()),
        ("geheim", "Bearer t0ken")
    );
    web.answer("500 No\r\n\r\n");
    deliveries.send(message("web", "more"));
    web.next();
    assert_eq!(web.next().text(), "more");
}

#[test]
fn nobody_is_sent_elsewhere_and_an_answer_without_end_holds_nobody() {
    let (home, web, elsewhere) = (Home::new("web-redirect"), Web::start(), Web::start());
    let deliveries = start(&home.0, &[by_web(hook(&format!("http://127.0.0.1:{}/", web.port), WebhookFormat::Json))]);
    for status in ["301 Moved", "307 Temporary"] {
        web.answer(&format!("{status}\r\nLocation: http://127.0.0.1:{}/\r\n\r\n", elsewhere.port));
    }
    web.answer(&format!("500 Long\r\n\r\n{}", "x".repeat(1_000_000)));
    deliveries.send(message("web", "news"));
    for _ in 0..4 {
        assert_eq!(web.next().text(), "news");
    }
    until("it has arrived", || status(&deliveries, "web").delivered == 1);
    assert_eq!((status(&deliveries, "web").failed, elsewhere.rest()), (3, 0));
}

#[test]
fn https_wants_a_certificate_of_the_authority() {
    let (home, listener) = (Home::new("web-tls"), Listener::new());
    let tls = Tls::new(&home);
    let stranger = Home::new("web-stranger");
    let url = format!("https://localhost:{}/", listener.port());
    let with = |ca: PathBuf| by_web(Webhook { ca_file: Some(ca), ..hook(&url, WebhookFormat::Json) });
    let deliveries = start(&home.path("state"), &[with(Tls::new(&stranger).ca)]);
    deliveries.send(message("web", "news"));
    assert!(tls.accept(listener.accept()).read(&mut [0; 1]).is_err());
    until("that is told", || status(&deliveries, "web").trouble.is_some_and(|why| why.contains("ertificate")));
    deliveries.apply(&[with(tls.ca.clone())], Configured::Whole);
    let mut stream = loop {
        let mut stream = tls.accept(listener.accept());
        let mut head = [0; 4];
        // One more attempt of before may come.
        if stream.read_exact(&mut head).is_ok() {
            assert_eq!(&head, b"POST");
            break stream;
        }
    };
    let mut text = String::new();
    while !text.contains("\"title\"") {
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).unwrap();
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    until("it has arrived", || status(&deliveries, "web").delivered == 1);
}
