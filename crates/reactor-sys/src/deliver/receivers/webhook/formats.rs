//! What is in a request.

use reactor_core::notice::{Message, Notice};
use reactor_core::settings::notify::WebhookFormat;
use serde_json::{Value, json};

use super::super::super::parcel::{Parcel, line};
use super::super::document;

/// Slack's bounds: of a header, of the text of a section, and blocks of a message (50; more than a few nobody reads).
const MAX_HEADER: usize = 150;
const MAX_SECTION: usize = 3000;
const MAX_BLOCKS: usize = 20;

/// Of the text that is shown where blocks are not: Mattermost takes 16,383 characters, Rocket.Chat 5,000.
const MAX_TEXT: usize = 4000;

/// The type of the body, and the body.
pub(super) fn body(format: WebhookFormat, parcel: &Parcel) -> (&'static str, Vec<u8>) {
    let (kind, value) = match format {
        WebhookFormat::Json => ("application/json", document::message(parcel)),
        WebhookFormat::Slack => ("application/json", slack(&parcel.message)),
        WebhookFormat::CloudEvents => ("application/cloudevents-batch+json", cloud_events(parcel)),
    };
    (kind, value.to_string().into_bytes())
}

fn slack(message: &Message) -> Value {
    let title = document::title(message);
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": line(&title, MAX_HEADER), "emoji": false },
    })];
    let mut text = escaped(&title);
    for notice in message.notices.iter().take(MAX_BLOCKS) {
        let lines = section(notice);
        blocks.push(json!({ "type": "section", "text": { "type": "mrkdwn", "text": lines } }));
        if message.notices.len() > 1 {
            text.push('\n');
            text.push_str(&escaped(&document::short(notice)));
        }
    }
    let beyond = message.notices.len().saturating_sub(MAX_BLOCKS) as u64;
    if let Some(left_out) = document::left_out(&Message { left_out: message.left_out + beyond, ..message.clone() }) {
        blocks.push(json!({ "type": "context", "elements": [{ "type": "plain_text", "text": left_out }] }));
        text = format!("{text}\n{left_out}");
    }
    json!({ "text": cut(&text, MAX_TEXT), "blocks": blocks })
}

/// All about a notice, in lines.
fn section(notice: &Notice) -> String {
    let lines: Vec<String> = document::long(notice).iter().map(|line| escaped(line)).collect();
    cut(&lines.join("\n"), MAX_SECTION)
}

/// No text of a log may call people, hide an address behind words or have a picture fetched: Slack wants three characters written otherwise;
/// Mattermost and Rocket.Chat read `@all`, and Markdown.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // A character without width keeps them apart.
            '@' => out.push_str("@\u{200b}"),
            '(' if before == ']' => out.push_str("\u{200b}("),
            other => out.push(other),
        }
        before = c;
    }
    out
}

/// At most so many bytes, which is at least as strict as so many characters, and never half of `&amp;`.
fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = (0..=max - 3).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let mut kept = &text[..end];
    if let Some(at) = kept.rfind('&').filter(|at| !kept[*at..].contains(';')) {
        kept = &kept[..at];
    }
    format!("{kept}...")
}

/// CloudEvents 1.0, a batch: one event for each notice.
fn cloud_events(parcel: &Parcel) -> Value {
    let event = |index: usize| {
        let notice = &parcel.message.notices[index];
        let mut event = json!({
            "specversion": "1.0",
            "id": parcel.notice_id(index),
            "source": format!("/storage-reactor/{}", in_uri(&parcel.message.node)),
            "type": format!("io.storagereactor.{}.{}", notice.topic.as_str(), in_uri(&notice.what)),
            "time": document::time(notice),
            "datacontenttype": "application/json",
            "data": document::notice(parcel, index),
        });
        if let Some(subject) = subject(notice) {
            event["subject"] = subject.into();
        }
        event
    };
    (0..parcel.message.notices.len()).map(event).collect()
}

/// What a notice is about, in a word; it may not be empty.
fn subject(notice: &Notice) -> Option<String> {
    let device = || notice.event.as_ref().and_then(|event| event.device.as_ref()).map(|device| device.id.as_str());
    let subject = notice.resources.first().map(String::as_str).or_else(device)?;
    Some(line(subject, 256)).filter(|subject| !subject.is_empty())
}

/// As it may stand in an address.
fn in_uri(text: &str) -> String {
    let mut out = String::new();
    for byte in line(text, 256).bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
