//! `[[notify]]` and its receivers.

use reactor_core::notice::Topic;
use reactor_core::settings::notify::{SmtpTls, StdoutFormat, Syslog, WebhookFormat};
use reactor_storage::event::{Severity, Subsystem};

use super::{Default, KeySpec, Kind, TableSpec};

/// The keys of [`NOTIFY`] of which exactly one is in a table.
pub(crate) const RECEIVERS: [&str; 7] = ["stdout", "journal", "syslog", "mail", "webhook", "exec", "irc"];

const DAY_MS: u64 = 86_400_000;

/// The words of a choice of the core.
fn words<T>(choices: &'static [(&'static str, T)]) -> Vec<&'static str> {
    choices.iter().map(|(word, _)| *word).collect()
}

pub(crate) static NOTIFY: TableSpec = TableSpec {
    header: "[[notify]]",
    doc: "Tells somebody of what happens. Exactly one of `stdout`, `journal`, `syslog`, `mail`, `webhook`, `exec` and `irc` says how.",
    keys: &[WHAT, HOW_OFTEN, HOW],
};

const WHAT: &[KeySpec] = &[
    KeySpec::new(
        "name",
        Kind::Text,
        Default::Means("the key that says how, with a number if that is taken"),
        "What the log, the status and the queue on the disk call it: letters, digits, `_`, `-` and `.`. No two tables have the same.",
    ),
    KeySpec::new(
        "severity",
        Kind::Word(|| Severity::ALL.map(Severity::as_str).to_vec()),
        Default::Means("`warning`; with `what` all"),
        "This and worse is told. The end of what was told is told, however mild it is.",
    ),
    KeySpec::new(
        "topics",
        Kind::WordList(|| Topic::ALL.map(Topic::as_str).to_vec()),
        Default::Means("all but `event`, because incidents say what events come to; with `what` all"),
        "What it is about.",
    ),
    KeySpec::new(
        "what",
        Kind::TextOrList,
        Default::Means("all"),
        "What happened: words of docs/notify.md, and types of storage events; `*` stands for any text.",
    ),
    KeySpec::new(
        "subsystem",
        Kind::WordList(|| Subsystem::ALL.map(Subsystem::as_str).to_vec()),
        Default::Means("all"),
        "Part of storage: only events and incidents of it are told.",
    ),
    KeySpec::new(
        "device",
        Kind::TextOrList,
        Default::Means("all"),
        "Any name of a device: only events and incidents of it, and of what is above or below it, are told.",
    ),
    KeySpec::new(
        "resource",
        Kind::TextOrList,
        Default::Means("all"),
        "DRBD resources: only what is about them, or about a device below them, is told. `*` stands for any text.",
    ),
];

const HOW_OFTEN: &[KeySpec] = &[
    KeySpec::new(
        "together",
        Kind::Duration { min_ms: 100, max_ms: DAY_MS, off: true },
        Default::Value("10"),
        "What comes within this time after the first is one message; 0 = each is one.",
    ),
    KeySpec::new(
        "rate-limit",
        Kind::Rate,
        Default::Means("no limit"),
        "So many messages in any such time. What is beyond waits, and is one message when the limit allows it.",
    ),
    KeySpec::new(
        "keep",
        Kind::Duration { min_ms: 60_000, max_ms: 365 * DAY_MS, off: false },
        Default::Value("\"3d\""),
        "A message that could not be delivered for so long is dropped and counted.",
    ),
    KeySpec::new(
        "max-queued",
        Kind::Integer { min: 1, max: 1_000_000 },
        Default::Value("10000"),
        "So many messages wait on the disk while they can't be delivered; beyond that the oldest are dropped and counted.",
    ),
    KeySpec::new(
        "timeout",
        Kind::Duration { min_ms: 1000, max_ms: 600_000, off: false },
        Default::Value("30"),
        "How long one attempt may take.",
    ),
];

const HOW: &[KeySpec] = &[
    KeySpec::new(
        "stdout",
        Kind::Word(|| words(StdoutFormat::WORDS)),
        Default::Means("not so"),
        "To standard output of the daemon, which is in the journal with systemd: `text` a line, `json` an object a line, `json-pretty` an object over several lines.",
    ),
    KeySpec::new(
        "journal",
        Kind::Bool,
        Default::Means("not so"),
        "To the journal, with fields; `true`, or leave it out.",
    ),
    KeySpec::new("syslog", Kind::Table(&SYSLOG), Default::Means("not so"), "To a syslog server."),
    KeySpec::new("mail", Kind::Table(&MAIL), Default::Means("not so"), "By mail."),
    KeySpec::new(
        "webhook",
        Kind::Table(&WEBHOOK),
        Default::Means("not so"),
        "To a web server: chats, ticket systems, programs of yours.",
    ),
    KeySpec::new("exec", Kind::Table(&EXEC), Default::Means("not so"), "To a program of yours."),
    KeySpec::new("irc", Kind::Table(&IRC), Default::Means("not so"), "To a channel of IRC."),
];

/// Whom a TLS server's certificate must be signed by.
const CA_FILE: KeySpec = KeySpec::new(
    "ca-file",
    Kind::Path,
    Default::Means("those that the system trusts"),
    "Certificates in PEM form: one of them must have signed that of the server.",
);

pub(crate) static SYSLOG: TableSpec = TableSpec {
    header: "[notify.syslog]",
    doc: "A syslog server, in the form of RFC 5424.",
    keys: &[&[
        KeySpec::new(
            "address",
            Kind::Text,
            Default::Value("\"/dev/log\""),
            "`/PATH` of a socket, `udp://HOST:PORT`, `tcp://HOST:PORT` or `tls://HOST:PORT`.",
        ),
        KeySpec::new(
            "facility",
            Kind::Word(|| words(Syslog::FACILITIES)),
            Default::Value("\"daemon\""),
            "The facility.",
        ),
        KeySpec::new(
            "tag",
            Kind::Text,
            Default::Value("\"storage-reactor\""),
            "The name of the program, at most 48 bytes.",
        ),
        CA_FILE,
    ]],
};

pub(crate) static MAIL: TableSpec = TableSpec {
    header: "[notify.mail]",
    doc: "A mail for each message.",
    keys: &[&[
        KeySpec::new("to", Kind::TextOrList, Default::Required, "Who gets it."),
        KeySpec::new("from", Kind::Text, Default::Means("`storage-reactor@NODE`"), "The sender."),
        KeySpec::new(
            "server",
            Kind::Text,
            Default::Means("none: the local `sendmail` takes the mail"),
            "The mail server, `HOST` or `HOST:PORT`; without a port 587, and 465 with `tls = \"wrapped\"`.",
        ),
        KeySpec::new(
            "tls",
            Kind::Word(|| words(SmtpTls::WORDS)),
            Default::Means("`starttls`"),
            "`starttls`: refused if the server has none; `wrapped`: from the first byte on; `none`: in the clear, and no password is sent.",
        ),
        KeySpec::new("user", Kind::Text, Default::Means("no login"), "The name to log in with."),
        KeySpec::new(
            "password-file",
            Kind::Path,
            Default::Means("no login"),
            "A file whose first line is the password. Nobody but root may read it.",
        ),
        CA_FILE,
        KeySpec::new(
            "sendmail",
            Kind::Path,
            Default::Means("`/usr/sbin/sendmail`"),
            "The program that takes the mail, if there is no `server`.",
        ),
    ]],
};

pub(crate) static WEBHOOK: TableSpec = TableSpec {
    header: "[notify.webhook]",
    doc: "A web server that is sent each message with POST. Exactly one of `url` and `url-file` is there.",
    keys: &[&[
        KeySpec::new("url", Kind::Text, Default::Means("that of `url-file`"), "The address: `https://` or `http://`."),
        KeySpec::new(
            "url-file",
            Kind::Path,
            Default::Means("none"),
            "A file whose first line is the address, for services whose address is the secret. Nobody but root may read it.",
        ),
        KeySpec::new(
            "format",
            Kind::Word(|| words(WebhookFormat::WORDS)),
            Default::Value("\"json\""),
            "`json`: the message as docs/notify.md describes it; `slack`: for Slack, Mattermost and Rocket.Chat; `cloudevents`: CloudEvents 1.0.",
        ),
        KeySpec::new("headers", Kind::Map, Default::Means("no more"), "More headers; their values are secrets."),
        KeySpec::new(
            "token-file",
            Kind::Path,
            Default::Means("none"),
            "A file whose first line is sent as a bearer token. Nobody but root may read it.",
        ),
        CA_FILE,
    ]],
};

pub(crate) static EXEC: TableSpec = TableSpec {
    header: "[notify.exec]",
    doc: "A program that is run for each message, which is JSON on its standard input.",
    keys: &[&[KeySpec::new(
        "command",
        Kind::TextOrList,
        Default::Required,
        "The program and its arguments. No shell is between.",
    )]],
};

pub(crate) static IRC: TableSpec = TableSpec {
    header: "[notify.irc]",
    doc: "A channel of IRC.",
    keys: &[&[
        KeySpec::new(
            "server",
            Kind::Text,
            Default::Required,
            "`HOST` or `HOST:PORT`; without a port 6697, and 6667 with `tls = false`.",
        ),
        KeySpec::new("channel", Kind::Text, Default::Required, "The channel, with its `#`."),
        KeySpec::new("tls", Kind::Bool, Default::Value("true"), "Whether TLS is spoken."),
        CA_FILE,
        KeySpec::new(
            "nick",
            Kind::Text,
            Default::Means("the name of the node, as far as IRC takes it"),
            "The name to go by.",
        ),
        KeySpec::new(
            "channel-key-file",
            Kind::Path,
            Default::Means("the channel has no key"),
            "A file whose first line is the key of the channel. Nobody but root may read it.",
        ),
        KeySpec::new(
            "password-file",
            Kind::Path,
            Default::Means("no login"),
            "A file whose first line is the password of the account `nick` (SASL). Nobody but root may read it.",
        ),
    ]],
};
