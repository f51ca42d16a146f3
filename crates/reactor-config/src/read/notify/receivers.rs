//! How a message is sent: one function for each kind of receiver.

use std::path::PathBuf;

use reactor_core::settings::notify::{
    Exec, Irc, Mail, Receiver, SmtpServer, SmtpTls, StdoutFormat, Syslog, Webhook, WebhookFormat, WebhookUrl,
};
use toml::de::DeValue;

use super::super::ParsedFile;
use super::super::walk::{Reader, Table, show};
use super::{MAX_LIST, checked, judge, read_list, syntax, texts};
use crate::finding::Code;
use crate::spec;

/// Headers of one webhook.
const MAX_HEADERS: usize = 32;

pub(super) fn read(reader: &mut Reader<'_>, table: &Table<'_>, parsed: &mut ParsedFile) -> Option<Receiver> {
    let mut receiver = None;
    if let Some(format) = reader.word(table, "stdout", StdoutFormat::WORDS) {
        receiver = Some(Receiver::Stdout(format));
    }
    if reader.bool(table, "journal") == Some(false) {
        if let Some(item) = table.item("journal") {
            let message = "`journal` is `true` or not there";
            reader.error(Code::BadValue, item.span.clone(), message).hint = Some("remove the line".to_owned());
        }
    } else if table.item("journal").is_some() {
        receiver = Some(Receiver::Journal);
    }
    if let Some(table) = reader.sub_table(table, "syslog", &spec::SYSLOG) {
        receiver = Some(Receiver::Syslog(read_syslog(reader, &table)));
    }
    if let Some(table) = reader.sub_table(table, "mail", &spec::MAIL) {
        receiver = Some(Receiver::Mail(read_mail(reader, &table, parsed)));
    }
    if let Some(table) = reader.sub_table(table, "webhook", &spec::WEBHOOK) {
        receiver = Some(Receiver::Webhook(read_webhook(reader, &table, parsed)));
    }
    if let Some(table) = reader.sub_table(table, "exec", &spec::EXEC) {
        receiver = Some(Receiver::Exec(read_exec(reader, &table)));
    }
    if let Some(table) = reader.sub_table(table, "irc", &spec::IRC) {
        receiver = Some(Receiver::Irc(read_irc(reader, &table, parsed)));
    }
    receiver
}

/// A file with a secret in it.
fn secret_file(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    key: &'static str,
    parsed: &mut ParsedFile,
) -> Option<PathBuf> {
    let path = reader.path(table, key)?;
    if let Some(item) = table.item(key) {
        parsed.secret_files.push((path.clone(), reader.location(item.span.clone())));
    }
    Some(path)
}

/// Says that a key does nothing, and why.
fn in_vain(reader: &mut Reader<'_>, table: &Table<'_>, key: &str, why: &str) {
    if let Some(item) = table.item(key) {
        let message = format!("`{key}` has no effect: {why}");
        reader.warn(Code::Ignored, item.span.clone(), message).hint = Some("remove the line".to_owned());
    }
}

fn read_syslog(reader: &mut Reader<'_>, table: &Table<'_>) -> Syslog {
    let address = checked(reader, table, "address", syntax::syslog).unwrap_or_else(|| "/dev/log".to_owned());
    if !address.starts_with("tls://") {
        in_vain(reader, table, "ca-file", "only `tls://` has certificates");
    }
    Syslog {
        address,
        facility: reader.word(table, "facility", Syslog::FACILITIES).unwrap_or(3),
        tag: checked(reader, table, "tag", syntax::tag).unwrap_or_else(|| "storage-reactor".to_owned()),
        ca_file: reader.path(table, "ca-file"),
    }
}

fn read_mail(reader: &mut Reader<'_>, table: &Table<'_>, parsed: &mut ParsedFile) -> Mail {
    if table.item("to").is_none() {
        reader.missing(table, "to");
    }
    let to = read_list(reader, table, "to", syntax::mail_address);
    let server = read_server(reader, table, parsed);
    if server.is_none() {
        for key in ["tls", "user", "password-file", "ca-file"] {
            in_vain(reader, table, key, "without `server` the local `sendmail` takes the mail");
        }
    } else {
        in_vain(reader, table, "sendmail", "`server` takes the mail");
        for (address, at) in to.iter().filter(|(address, _)| !address.contains('@')) {
            let message = format!("`to`: {} is an address on this machine, and `server` is another one", show(address));
            reader.error(Code::BadValue, at.span.clone(), message).hint = Some("write NAME@DOMAIN".to_owned());
        }
    }
    Mail {
        to: texts(to),
        from: checked(reader, table, "from", syntax::mail_address),
        server,
        sendmail: reader.path(table, "sendmail").unwrap_or_else(|| "/usr/sbin/sendmail".into()),
    }
}

fn read_server(reader: &mut Reader<'_>, table: &Table<'_>, parsed: &mut ParsedFile) -> Option<SmtpServer> {
    table.item("server")?;
    let tls = reader.word(table, "tls", SmtpTls::WORDS).unwrap_or(SmtpTls::StartTls);
    let server = SmtpServer {
        address: checked(reader, table, "server", syntax::server).unwrap_or_default(),
        tls,
        user: checked(reader, table, "user", syntax::user),
        password_file: secret_file(reader, table, "password-file", parsed),
        ca_file: reader.path(table, "ca-file"),
    };
    if tls == SmtpTls::None {
        in_vain(reader, table, "ca-file", "`tls` is `none`");
        if let Some(item) = table.item("password-file") {
            let message = "`password-file`: a password is not sent in the clear, and `tls` is `none`";
            reader.error(Code::BadValue, item.span.clone(), message).hint =
                Some("write tls = \"starttls\" or \"wrapped\"".to_owned());
        }
    } else {
        both_or_none(reader, table, "user", "password-file");
    }
    Some(server)
}

/// A name without a password logs nobody in, and a password without a name neither.
fn both_or_none(reader: &mut Reader<'_>, table: &Table<'_>, one: &'static str, other: &'static str) {
    for (there, missing) in [(one, other), (other, one)] {
        if let (Some(item), None) = (table.item(there), table.item(missing)) {
            let message = format!("`{there}` without `{missing}`: nobody can log in with that");
            reader.error(Code::MissingKey, item.span.clone(), message).hint = Some(format!("add {missing} = \"...\""));
        }
    }
}

fn read_webhook(reader: &mut Reader<'_>, table: &Table<'_>, parsed: &mut ParsedFile) -> Webhook {
    let url = checked(reader, table, "url", syntax::url);
    let file = secret_file(reader, table, "url-file", parsed);
    match (table.item("url"), table.item("url-file")) {
        (None, None) => reader.missing(table, "url"),
        (Some(_), Some(item)) => {
            reader.error(Code::BadValue, item.span.clone(), "both `url` and `url-file`: there is one address");
        }
        (Some(_), None) | (None, Some(_)) => {}
    }
    let token_file = secret_file(reader, table, "token-file", parsed);
    if let (Some(true), Some(item)) = (url.as_deref().map(syntax::is_clear), table.item("token-file")) {
        let message = "`token-file`: the token is sent in the clear, because `url` is `http://`";
        reader.warn(Code::Suspicious, item.span.clone(), message).hint = Some("use https://".to_owned());
    }
    if url.as_deref().is_some_and(syntax::is_clear) {
        in_vain(reader, table, "ca-file", "`url` is `http://`");
    }
    let url = file.map_or_else(|| WebhookUrl::Url(url.unwrap_or_default()), WebhookUrl::File);
    Webhook {
        url,
        format: reader.word(table, "format", WebhookFormat::WORDS).unwrap_or(WebhookFormat::Json),
        headers: read_headers(reader, table),
        token_file,
        ca_file: reader.path(table, "ca-file"),
    }
}

/// Headers, in the order of the file. Values are never put into a message.
fn read_headers(reader: &mut Reader<'_>, table: &Table<'_>) -> Vec<(String, String)> {
    let Some(item) = table.item("headers") else { return Vec::new() };
    let DeValue::Table(headers) = item.value else {
        reader.wrong_type("headers", item, "a table").hint = Some("write headers = { NAME = \"value\" }".to_owned());
        return Vec::new();
    };
    if headers.len() > MAX_HEADERS {
        reader.error(Code::OutOfRange, item.span.clone(), format!("`headers`: more than {MAX_HEADERS} entries"));
        return Vec::new();
    }
    let mut good = Vec::new();
    for mut entry in reader.entries(headers, true) {
        let name = entry.key;
        if let Err(bad) = syntax::header_name(name) {
            let message = format!("{}: {}", show(name), bad.why);
            reader.error(Code::BadValue, entry.key_span.clone(), message).hint = bad.hint.map(str::to_owned);
        }
        entry.item.secret = true;
        let DeValue::String(value) = entry.item.value else {
            reader.wrong_type(name, &entry.item, "a string").hint = Some("put the value in quotes".to_owned());
            continue;
        };
        if judge(reader, name, &entry.item, syntax::header_value(value)) {
            good.push((name.to_owned(), value.clone().into_owned()));
        }
    }
    good
}

fn read_exec(reader: &mut Reader<'_>, table: &Table<'_>) -> Exec {
    if table.item("command").is_none() {
        reader.missing(table, "command");
    }
    let words = reader.text_or_list(table, "command");
    let mut command: Vec<String> = words.iter().take(MAX_LIST).map(|(word, _)| (*word).to_owned()).collect();
    if let [(only, item)] = &words[..]
        && only.contains(' ')
        && table.item("command").is_some_and(|item| item.value.is_str())
    {
        let message = "`command`: no shell is between, so this is one word: the name of a program with a blank in it";
        reader.warn(Code::Suspicious, item.span.clone(), message).hint =
            Some("write a list: [\"PROGRAM\", \"ARGUMENT\"]".to_owned());
    }
    if let Some(program) = command.first_mut() {
        // A path of the configuration is UTF-8, and so is its folder's in all but the strangest places, where the program is not found.
        *program = reader.program_of(program).to_string_lossy().into_owned();
    }
    if table.item("command").is_some_and(|item| item.value.as_array().is_some_and(|list| list.is_empty())) {
        reader.missing(table, "command");
    }
    Exec { command }
}

fn read_irc(reader: &mut Reader<'_>, table: &Table<'_>, parsed: &mut ParsedFile) -> Irc {
    for key in ["server", "channel"] {
        if table.item(key).is_none() {
            reader.missing(table, key);
        }
    }
    let tls = reader.bool(table, "tls").unwrap_or(true);
    if !tls {
        in_vain(reader, table, "ca-file", "`tls` is `false`");
        if let Some(item) = table.item("password-file") {
            let message = "`password-file`: a password is not sent in the clear, and `tls` is `false`";
            reader.error(Code::BadValue, item.span.clone(), message).hint = Some("remove `tls`".to_owned());
        }
    }
    if let (Some(item), None) = (table.item("password-file"), table.item("nick")) {
        let message = "`password-file` without `nick`: the account has its name from there";
        reader.error(Code::MissingKey, item.span.clone(), message).hint = Some("add nick = \"...\"".to_owned());
    }
    Irc {
        server: checked(reader, table, "server", syntax::server).unwrap_or_default(),
        tls,
        ca_file: reader.path(table, "ca-file"),
        nick: checked(reader, table, "nick", syntax::nick),
        channel: checked(reader, table, "channel", syntax::channel).unwrap_or_default(),
        channel_key_file: secret_file(reader, table, "channel-key-file", parsed),
        password_file: secret_file(reader, table, "password-file", parsed),
    }
}
