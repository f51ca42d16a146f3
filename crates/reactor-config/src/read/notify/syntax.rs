//! What names and addresses look like, as far as that can be told without asking anybody.

/// Why a text can't be used, and what to write instead. Never holds the text itself, which may be a secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bad {
    pub(super) why: String,
    pub(super) hint: Option<&'static str>,
}

/// Whether a text can be used.
pub(super) type Check = fn(&str) -> Result<(), Bad>;

fn bad(why: &str, hint: &'static str) -> Result<(), Bad> {
    Err(Bad { why: why.to_owned(), hint: Some(hint) })
}

fn need(is_so: bool, why: &str, hint: &'static str) -> Result<(), Bad> {
    if is_so { Ok(()) } else { bad(why, hint) }
}

fn is_line(text: &str) -> bool {
    !text.contains(char::is_control)
}

/// `name`: it becomes the name of a folder.
pub(super) fn name(text: &str) -> Result<(), Bad> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    need(text.chars().all(is_word), "only letters, digits, `_`, `-` and `.` are allowed", "for example \"chat\"")?;
    need(text.len() <= 64, "64 characters at most", "write a shorter one")?;
    need(!text.starts_with('.'), "it must not begin with a dot", "for example \"chat\"")
}

/// A word of `what`.
pub(super) fn what(text: &str) -> Result<(), Bad> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_-.*".contains(c);
    let why = "a word has letters, digits, `_`, `-`, `.` and `*` only";
    need(
        text.chars().all(is_word) && text.len() <= 128,
        why,
        "docs/notify.md and `reactorctl events catalogue` list them",
    )
}

/// A name of a device.
pub(super) fn device(text: &str) -> Result<(), Bad> {
    let why = "a device's name is one line of 256 bytes at most";
    need(is_line(text) && text.len() <= 256, why, "`reactorctl block` lists the names")
}

/// The name of a DRBD resource.
pub(super) fn resource(text: &str) -> Result<(), Bad> {
    let is_name = is_line(text) && !text.contains(|c: char| c.is_whitespace() || c == '/') && text.len() <= 128;
    need(is_name, "this can't be the name of a DRBD resource", "`drbdadm sh-resources` prints the names")
}

/// A mail address: printable ASCII without anything that means more in a header or an SMTP command.
pub(super) fn mail_address(text: &str) -> Result<(), Bad> {
    let hint = "for example \"admin@example.org\"";
    let (local, domain) = text.rsplit_once('@').map_or((text, None), |(local, domain)| (local, Some(domain)));
    let is_local = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    need(!local.is_empty() && local.chars().all(is_local), "this is no mail address", hint)?;
    // An option of sendmail would begin so.
    need(!local.starts_with('-'), "a mail address that begins with `-` can't be used", hint)?;
    need(text.len() <= 254 && local.len() <= 64, "this mail address is too long", hint)?;
    match domain {
        Some(domain) => need(is_host(domain), "there is no host name behind the `@`", hint),
        None => Ok(()),
    }
}

fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_inside = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        !label.is_empty() && label.len() <= 63 && label.chars().all(is_inside) && !label.starts_with('-')
    };
    text.len() <= 253 && text.trim_end_matches('.').split('.').all(is_label)
}

/// `HOST`, `HOST:PORT`, `[IPv6]` or `[IPv6]:PORT`.
pub(super) fn server(text: &str) -> Result<(), Bad> {
    authority(text, false)
}

fn authority(text: &str, with_port: bool) -> Result<(), Bad> {
    let hint = if with_port { "write HOST:PORT" } else { "write \"HOST\" or \"HOST:PORT\"" };
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            need(address.parse::<std::net::Ipv6Addr>().is_ok(), "there is no IPv6 address between the brackets", hint)?;
            match rest.strip_prefix(':') {
                None if rest.is_empty() => (None, None),
                None => return bad("something stands behind the bracket", hint),
                Some(port) => (None, Some(port)),
            }
        }
        None => match text.split_once(':') {
            None => (Some(text), None),
            Some((_, port)) if port.contains(':') => return bad("an IPv6 address must be in brackets", hint),
            Some((host, port)) => (Some(host), Some(port)),
        },
    };
    need(host.is_none_or(is_host), "that is not the name of a host", hint)?;
    match port {
        None => need(!with_port, "the port is missing", hint),
        Some(port) => {
            let is_number = port.bytes().all(|byte| byte.is_ascii_digit()) && matches!(port.parse::<u16>(), Ok(1..));
            need(is_number, "the port must be a number between 1 and 65535", hint)
        }
    }
}

/// Where a syslog server is.
pub(super) fn syslog(text: &str) -> Result<(), Bad> {
    let hint = "write \"/PATH\" of a socket, \"udp://HOST:PORT\", \"tcp://HOST:PORT\" or \"tls://HOST:PORT\"";
    if text.starts_with('/') {
        return need(is_line(text) && text.len() <= 107, "the path of a unix socket has 107 bytes at most", hint);
    }
    match text.split_once("://") {
        Some(("udp" | "tcp" | "tls", rest)) => authority(rest, true),
        _ => bad("that is not the address of a syslog server", hint),
    }
}

/// An address of the web.
pub(super) fn url(text: &str) -> Result<(), Bad> {
    let hint = "write \"https://HOST/PATH\" or \"http://HOST/PATH\"";
    let is_printable = text.bytes().all(|byte| byte.is_ascii_graphic()) && text.len() <= 4096;
    need(
        is_printable,
        "an address has printable ASCII characters only, 4096 at most",
        "write other characters as %XX",
    )?;
    let Some(("http" | "https", rest)) = text.split_once("://") else {
        return bad("that is not an address of the web", hint);
    };
    let host = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    need(!host.contains('@'), "a password in the address is not sent", "write it as a header, or into `token-file`")?;
    authority(host, false)
}

/// Whether what is sent there can be read on its way.
pub(super) fn is_clear(url: &str) -> bool {
    url.starts_with("http://")
}

/// `tag` of a syslog message: APP-NAME of RFC 5424.
pub(super) fn tag(text: &str) -> Result<(), Bad> {
    let is_tag = text.len() <= 48 && text.bytes().all(|byte| byte.is_ascii_graphic());
    need(is_tag, "a tag has printable ASCII characters without blanks, 48 at most", "for example \"storage-reactor\"")
}

/// The name of a header that is not ours to send.
pub(super) fn header_name(text: &str) -> Result<(), Bad> {
    const OURS: [&str; 6] = ["content-length", "host", "transfer-encoding", "connection", "content-type", "user-agent"];
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_name = !text.is_empty() && text.len() <= 128 && text.bytes().all(is_token);
    need(is_name, "this can't be the name of a header", "for example X-Api-Key")?;
    let is_ours = OURS.iter().any(|ours| text.eq_ignore_ascii_case(ours));
    need(!is_ours, "this header is sent anyway, and can't be another one", "remove it")
}

/// What a header can hold: nothing that ends a line.
pub(super) fn header_value(text: &str) -> Result<(), Bad> {
    let is_value = text.len() <= 4096 && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    need(is_value, "a header has printable ASCII characters only, 4096 at most", "remove line feeds and the like")
}

/// A channel of IRC.
pub(super) fn channel(text: &str) -> Result<(), Bad> {
    let hint = "for example \"#storage\"";
    need(text.starts_with(['#', '&', '+', '!']), "a channel begins with `#`", hint)?;
    let is_bad = |c: char| c.is_whitespace() || c.is_control() || c == ',' || c == ':';
    need(text.len() <= 64 && text.len() > 1 && !text.contains(is_bad), "that is not the name of a channel", hint)
}

/// A name on IRC.
pub(super) fn nick(text: &str) -> Result<(), Bad> {
    let hint = "letters, digits and -_[]{}\\|^` only, 30 at most, and no digit first";
    let is_first = |c: char| c.is_ascii_alphabetic() || "_[]{}\\|^`".contains(c);
    let is_next = |c: char| is_first(c) || c.is_ascii_digit() || c == '-';
    let is_nick = text.len() <= 30 && text.starts_with(is_first) && text.chars().all(is_next);
    need(is_nick, "that can't be a name on IRC", hint)
}

/// A name to log in with.
pub(super) fn user(text: &str) -> Result<(), Bad> {
    need(is_line(text) && text.len() <= 256, "a name is one line of 256 bytes at most", "remove line feeds")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_all(check: Check, good: &[&str], bad: &[&str]) {
        for text in good {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for text in bad {
            assert!(check(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_ends_a_line_or_means_more_is_refused_everywhere() {
        try_all(name, &["chat", "mail-2", "a.b_c"], &["", "a b", "a/b", "..", ".x", "ä", &"x".repeat(65), "a\n"][1..]);
        try_all(device, &["sda", "/dev/disk/by-id/wwn-0x5", "naa.5", "vg/lv", "8:16"], &["a\nb", &"x".repeat(257)]);
        try_all(resource, &["r0", "my-res.1", "db*"], &["a b", "a/b", "a\rb"]);
        try_all(
            mail_address,
            &["root", "admin@example.org", "a.b+c@x", "o'brien@example.org"],
            &[
                "",
                "@x",
                "a@",
                "a b@x",
                "a@x y",
                "a@x\r\nBcc: b@x",
                "<a@x>",
                "-oQ/tmp@x",
                "a@x..y",
                "ä@x",
                "a,b@x",
                "a@-x",
            ],
        );
        try_all(
            server,
            &["mail.example.org", "10.0.0.1:25", "[::1]", "[::1]:465", "a"],
            &["", "a:0", "a:b", "a:+1", "::1", "[x]", "[::1]x", "a b", "a:1:2", "a/b", "a\n"],
        );
        try_all(
            syslog,
            &["/dev/log", "udp://loghost:514", "tls://[::1]:6514", "tcp://10.0.0.1:601"],
            &["dev/log", "udp://loghost", "http://a:1", "loghost:514", "tls://", "/a\nb"],
        );
        try_all(
            url,
            &["https://a.example", "http://10.0.0.1:8080/x?y=z", "https://[::1]/hook"],
            &[
                "",
                "a.example",
                "ftp://a",
                "https://",
                "https://u:p@a/",
                "https://a b",
                "https://a/\r\nX: y",
                "https://a:x/",
                "https:///x",
            ],
        );
        try_all(tag, &["storage-reactor"], &["a b", "a\n", &"x".repeat(49)]);
        try_all(header_name, &["X-Api-Key", "Authorization"], &["", "a b", "a:b", "Host", "content-length", "a\r\nb"]);
        try_all(header_value, &["Bearer x", ""], &["a\r\nb", "ä", "a\0b"]);
        try_all(channel, &["#storage", "&local"], &["storage", "#", "#a b", "#a,b", "#a\r\nQUIT", "#a:b"]);
        try_all(nick, &["n1", "node_a", "[x]"], &["1n", "a b", "a\n", "-a", "", &"x".repeat(31)]);
        try_all(what, &["connection-lost", "SCSI_*", "*"], &["a b", "a\n", "ä"]);
    }
}
