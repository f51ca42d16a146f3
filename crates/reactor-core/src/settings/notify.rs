//! `[[notify]]`: who is told of what, and how it is sent.

use std::path::PathBuf;
use std::time::Duration;

use reactor_storage::event::{Severity, Subsystem};

use super::umh::RateLimit;
use crate::notice::Topic;

/// One `[[notify]]` table.
#[derive(Clone, Debug, PartialEq)]
pub struct NotifySettings {
    /// `name`: what the log, the status and the queue call it. No two tables have the same.
    pub name: String,
    /// What is told.
    pub filter: Filter,
    /// `together`: what comes within this time after the first is one message. Default 10 seconds; zero = each is one.
    pub together: Duration,
    /// `rate-limit`: so many messages; what is beyond is told as a number by the next one.
    pub rate_limit: Option<RateLimit>,
    /// `keep`: what could not be delivered for so long is dropped and counted. Default three days.
    pub keep: Duration,
    /// `max-queued`: so many messages wait on the disk; beyond it the oldest are dropped and counted. Default 10,000.
    pub max_queued: u32,
    /// `timeout` of one attempt. Default 30 seconds.
    pub timeout: Duration,
    /// How it is sent.
    pub receiver: Receiver,
}

impl NotifySettings {
    /// One that tells this receiver what a table tells in which nothing else is said.
    pub fn new(receiver: Receiver) -> Self {
        Self {
            name: receiver.as_str().to_owned(),
            filter: Filter::default(),
            together: Duration::from_secs(10),
            rate_limit: None,
            keep: Duration::from_secs(3 * 86_400),
            max_queued: 10_000,
            timeout: Duration::from_secs(30),
            receiver,
        }
    }
}

/// What is told: all conditions that are set must be met, and one of each list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// `severity`: this and worse. Default `warning`, with `what` `info`; the end of what was told is told, too.
    pub severity: Severity,
    /// `topics`; empty = all, but [`Topic::Event`] only with `what`: incidents say what events are about.
    pub topics: Vec<Topic>,
    /// `what`: types of storage events, and the words of [`Notice::what`](crate::notice::Notice::what). `*` stands for any text. Empty = all.
    pub what: Vec<String>,
    /// `subsystem` of a storage event. Empty = all.
    pub subsystems: Vec<Subsystem>,
    /// `device`: any name of it, or of what is above or below it. Empty = all.
    pub devices: Vec<String>,
    /// `resource`: names of DRBD resources. Empty = all.
    pub resources: Vec<String>,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            severity: Severity::Warning,
            topics: Vec::new(),
            what: Vec::new(),
            subsystems: Vec::new(),
            devices: Vec::new(),
            resources: Vec::new(),
        }
    }
}

/// How a message is sent: exactly one of these keys is in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// `stdout = "text"`, `"json"` or `"json-pretty"`: standard output of the daemon.
    Stdout(StdoutFormat),
    /// `journal = true`: one entry for each notice, with fields.
    Journal,
    /// `syslog = { address, facility, tag }`.
    Syslog(Syslog),
    /// `mail = { to, from, server, ... }`.
    Mail(Mail),
    /// `webhook = { url, format, ... }`.
    Webhook(Webhook),
    /// `exec = { command, ... }`: a program, told by its standard input and environment.
    Exec(Exec),
    /// `irc = { server, channel, nick, ... }`.
    Irc(Irc),
}

impl Receiver {
    /// Its key in the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Stdout(_) => "stdout",
            Self::Journal => "journal",
            Self::Syslog(_) => "syslog",
            Self::Mail(_) => "mail",
            Self::Webhook(_) => "webhook",
            Self::Exec(_) => "exec",
            Self::Irc(_) => "irc",
        }
    }
}

/// How a notice stands on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StdoutFormat {
    /// One line.
    Text,
    /// One JSON object a line.
    Json,
    /// One JSON object over several lines, as peripety's `notify_stdout` has it.
    JsonPretty,
}

impl StdoutFormat {
    /// The words of the configuration.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("text", Self::Text), ("json", Self::Json), ("json-pretty", Self::JsonPretty)];
}

/// `syslog`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syslog {
    /// `address`: `/PATH` of a socket (default `/dev/log`), `udp://HOST:PORT`, `tcp://HOST:PORT` (RFC 6587, octet counting) or `tls://HOST:PORT`
    /// (RFC 5425).
    pub address: String,
    /// `facility`: a number of RFC 5424. Default 3 (daemon).
    pub facility: u8,
    /// `tag`. Default `storage-reactor`.
    pub tag: String,
    /// `ca-file`: whom a TLS server's certificate must be signed by; `None` = those that the system trusts.
    pub ca_file: Option<PathBuf>,
}

impl Syslog {
    /// The words of `facility`, with the numbers of RFC 5424.
    pub const FACILITIES: &'static [(&'static str, u8)] = &[
        ("user", 1),
        ("mail", 2),
        ("daemon", 3),
        ("auth", 4),
        ("syslog", 5),
        ("lpr", 6),
        ("news", 7),
        ("uucp", 8),
        ("cron", 9),
        ("authpriv", 10),
        ("ftp", 11),
        ("local0", 16),
        ("local1", 17),
        ("local2", 18),
        ("local3", 19),
        ("local4", 20),
        ("local5", 21),
        ("local6", 22),
        ("local7", 23),
    ];
}

/// `mail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// `to`: addresses.
    pub to: Vec<String>,
    /// `from`. Default `storage-reactor@NODE`.
    pub from: Option<String>,
    /// `server`; `None` = the local `sendmail` takes it.
    pub server: Option<SmtpServer>,
    /// `sendmail`: that program. Default `/usr/sbin/sendmail`.
    pub sendmail: PathBuf,
}

/// `server` and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpServer {
    /// `server = "HOST[:PORT]"`. Without a port 587, and 465 with `tls = "wrapped"`.
    pub address: String,
    /// `tls`. Default `starttls`.
    pub tls: SmtpTls,
    /// `user`.
    pub user: Option<String>,
    /// `password-file`: its first line is the password. Only root may read it.
    pub password_file: Option<PathBuf>,
    /// `ca-file`: as for syslog.
    pub ca_file: Option<PathBuf>,
}

/// `tls` of `mail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// `"starttls"`: refused if the server has none.
    StartTls,
    /// `"wrapped"`: from the first byte on.
    Wrapped,
    /// `"none"`: in the clear. No password is sent then.
    None,
}

impl SmtpTls {
    /// The words of the configuration.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("starttls", Self::StartTls), ("wrapped", Self::Wrapped), ("none", Self::None)];
}

/// `webhook`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Where to.
    pub url: WebhookUrl,
    /// `format`. Default `json`.
    pub format: WebhookFormat,
    /// `headers`: more of them; their values may be secrets.
    pub headers: Vec<(String, String)>,
    /// `token-file`: its first line is sent as a bearer token. Only root may read it.
    pub token_file: Option<PathBuf>,
    /// `ca-file`: as for syslog.
    pub ca_file: Option<PathBuf>,
}

/// Where a webhook is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookUrl {
    /// `url`: `http://` or `https://`.
    Url(String),
    /// `url-file`: its first line is the address; for services whose address is the secret. Only root may read it.
    File(PathBuf),
}

/// `format` of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookFormat {
    /// `"json"`: the message as it is.
    Json,
    /// `"slack"`: an incoming webhook of Slack, Mattermost or Rocket.Chat.
    Slack,
    /// `"cloudevents"`: CloudEvents 1.0, one request for each message, as a JSON batch.
    CloudEvents,
}

impl WebhookFormat {
    /// The words of the configuration.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("json", Self::Json), ("slack", Self::Slack), ("cloudevents", Self::CloudEvents)];
}

/// `exec`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// `command`: a program and its arguments. The message is JSON on its standard input; the rest is in `NOTIFY_*` variables.
    pub command: Vec<String>,
}

/// `irc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Irc {
    /// `server = "HOST[:PORT]"`. Without a port 6697, and 6667 with `tls = false`.
    pub server: String,
    /// `tls`. Default true.
    pub tls: bool,
    /// `ca-file`: as for syslog.
    pub ca_file: Option<PathBuf>,
    /// `nick`. Default: the name of the node, as far as IRC takes it.
    pub nick: Option<String>,
    /// `channel`, with its `#`.
    pub channel: String,
    /// `channel-key-file`, for a channel with a key: its first line. Only root may read it.
    pub channel_key_file: Option<PathBuf>,
    /// `password-file`: its first line is the password of the SASL account `nick`. Only root may read it.
    pub password_file: Option<PathBuf>,
}
