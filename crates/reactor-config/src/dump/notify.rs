//! `[[notify]]` as TOML.

use std::path::PathBuf;

use reactor_core::settings::NotifySettings;
use reactor_core::settings::notify::{
    Irc, Mail, Receiver, SmtpTls, StdoutFormat, Syslog, Webhook, WebhookFormat, WebhookUrl,
};

use super::{Out, key, word_of};
use crate::secret::{MASK, mask_text};
use crate::units;

pub(super) fn dump(out: &mut Out, notify: &NotifySettings) {
    let filter = &notify.filter;
    out.text("name", &notify.name);
    out.text("severity", filter.severity.as_str());
    let lists: [(&str, Vec<&str>); 5] = [
        ("topics", filter.topics.iter().map(|topic| topic.as_str()).collect()),
        ("what", filter.what.iter().map(String::as_str).collect()),
        ("subsystem", filter.subsystems.iter().map(|part| part.as_str()).collect()),
        ("device", filter.devices.iter().map(String::as_str).collect()),
        ("resource", filter.resources.iter().map(String::as_str).collect()),
    ];
    for (key, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        out.texts(key, list);
    }
    out.raw("together", units::format_duration(notify.together));
    if let Some(limit) = notify.rate_limit {
        out.rate("rate-limit", limit);
    }
    out.raw("keep", units::format_duration(notify.keep));
    out.raw("max-queued", notify.max_queued);
    out.raw("timeout", units::format_duration(notify.timeout));
    match &notify.receiver {
        Receiver::Stdout(format) => out.text("stdout", word_of(StdoutFormat::WORDS, *format)),
        Receiver::Journal => out.raw("journal", true),
        Receiver::Syslog(syslog) => dump_syslog(out, syslog),
        Receiver::Mail(mail) => dump_mail(out, mail),
        Receiver::Webhook(webhook) => dump_webhook(out, webhook),
        Receiver::Exec(exec) => {
            out.header("[notify.exec]");
            out.texts("command", exec.command.iter().map(|word| mask_text(word)));
        }
        Receiver::Irc(irc) => dump_irc(out, irc),
    }
}

fn path(out: &mut Out, key: &str, path: Option<&PathBuf>) {
    if let Some(path) = path {
        out.path(key, path);
    }
}

fn text(out: &mut Out, key: &str, text: Option<&String>) {
    if let Some(text) = text {
        out.text(key, text);
    }
}

fn dump_syslog(out: &mut Out, syslog: &Syslog) {
    out.header("[notify.syslog]");
    out.text("address", &syslog.address);
    out.text("facility", word_of(Syslog::FACILITIES, syslog.facility));
    out.text("tag", &syslog.tag);
    path(out, "ca-file", syslog.ca_file.as_ref());
}

fn dump_mail(out: &mut Out, mail: &Mail) {
    out.header("[notify.mail]");
    out.texts("to", &mail.to);
    text(out, "from", mail.from.as_ref());
    let Some(server) = &mail.server else {
        out.path("sendmail", &mail.sendmail);
        return;
    };
    out.text("server", &server.address);
    out.text("tls", word_of(SmtpTls::WORDS, server.tls));
    text(out, "user", server.user.as_ref());
    path(out, "password-file", server.password_file.as_ref());
    path(out, "ca-file", server.ca_file.as_ref());
}

fn dump_webhook(out: &mut Out, webhook: &Webhook) {
    out.header("[notify.webhook]");
    match &webhook.url {
        WebhookUrl::Url(url) => out.text("url", &masked(url)),
        WebhookUrl::File(file) => out.path("url-file", file),
    }
    out.text("format", word_of(WebhookFormat::WORDS, webhook.format));
    for (name, _) in &webhook.headers {
        out.text(&format!("headers.{}", key(name)), MASK);
    }
    path(out, "token-file", webhook.token_file.as_ref());
    path(out, "ca-file", webhook.ca_file.as_ref());
}

/// An address without what may be a secret: all behind the host.
fn masked(url: &str) -> String {
    let host = url.find("://").map_or(0, |at| at + 3);
    match url[host..].find(['/', '?', '#']).map(|at| host + at) {
        Some(end) if end + 1 < url.len() => format!("{}/{MASK}", &url[..end]),
        _ => url.to_owned(),
    }
}

fn dump_irc(out: &mut Out, irc: &Irc) {
    out.header("[notify.irc]");
    out.text("server", &irc.server);
    out.text("channel", &irc.channel);
    out.raw("tls", irc.tls);
    path(out, "ca-file", irc.ca_file.as_ref());
    text(out, "nick", irc.nick.as_ref());
    path(out, "channel-key-file", irc.channel_key_file.as_ref());
    path(out, "password-file", irc.password_file.as_ref());
}
