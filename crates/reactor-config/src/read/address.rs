//! Network addresses of the plugins.

use std::net::{IpAddr, SocketAddr};

use reactor_core::settings::ListenAddress;

/// Why an address can't be used, and what to write instead.
pub(super) struct BadAddress {
    pub(super) why: String,
    pub(super) hint: &'static str,
}

/// Bytes that the kernel has for the path of a unix socket.
const SOCKET_PATH: usize = 107;

const LISTEN_HINT: &str =
    "write \"IP:PORT\", \"[IPv6]:PORT\", \":PORT\" for all addresses, or \"unix:/PATH\" for a unix socket";

/// `IP:PORT`, `[IPv6]:PORT`, `:PORT`, `unix:/PATH` or `/PATH`.
pub(super) fn listen(text: &str) -> Result<ListenAddress, BadAddress> {
    let bad = |why: &str| Err(BadAddress { why: why.to_owned(), hint: LISTEN_HINT });
    if let Some(path) = unix_path(text) {
        return path.map(|path| ListenAddress::Unix(path.into())).or_else(bad);
    }
    if let Some(port) = text.strip_prefix(':')
        && !port.contains(':')
    {
        return match port.parse() {
            Ok(port) => Ok(ListenAddress::Tcp { ip: None, port }),
            Err(_) => bad("the port must be a number between 0 and 65535"),
        };
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(ListenAddress::Tcp { ip: Some(address.ip()), port: address.port() });
    }
    if text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return bad("the port is missing");
    }
    match text.rsplit_once(':') {
        None => bad("the port is missing"),
        Some((_, port)) if port.parse::<u16>().is_err() => bad("the port must be a number between 0 and 65535"),
        Some((ip, _)) if ip.parse::<IpAddr>().is_ok() => bad("an IPv6 address must be in brackets"),
        Some(_) => bad("that is not an IP address; host names are not looked up"),
    }
}

/// The path in `unix:/PATH` or `/PATH`; `None` = it is another kind of address.
fn unix_path(text: &str) -> Option<Result<&str, &'static str>> {
    let path = text.strip_prefix("unix:").or(text.starts_with('/').then_some(text))?;
    Some(match path {
        _ if !path.starts_with('/') => Err("the path of a unix socket must begin with /"),
        _ if path.len() > SOCKET_PATH => Err("the path of a unix socket has 107 bytes at most"),
        _ if path.contains('\0') || path.ends_with('/') => Err("that is not the path of a socket"),
        _ => Ok(path),
    })
}

/// `HOST:PORT` of another program, or its unix socket: `unix:/PATH` or `/PATH`.
pub(super) fn remote(text: &str) -> Result<(), BadAddress> {
    let hint = "write \"HOST:PORT\", or \"unix:/PATH\" for a unix socket";
    let bad = |why: &str| Err(BadAddress { why: why.to_owned(), hint });
    if let Some(path) = unix_path(text) {
        return path.map(|_| ()).or_else(bad);
    }
    let Some((host, port)) = text.rsplit_once(':') else { return bad("the port is missing") };
    if !matches!(port.parse::<u16>(), Ok(1..)) {
        return bad("the port must be a number between 1 and 65535");
    }
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match bracketed {
        Some(host) if host.parse::<std::net::Ipv6Addr>().is_err() => {
            bad("there is no IPv6 address between the brackets")
        }
        None if host.is_empty() => bad("the host is missing"),
        None if host.contains([':', '[', ']']) => bad("an IPv6 address must be in brackets"),
        None if host.contains(|c: char| c.is_whitespace() || c.is_control()) => bad("that is not the name of a host"),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses() {
        for text in [":9942", ":0", "0.0.0.0:9942", "127.0.0.1:80", "[::1]:9942", "[::]:1", "unix:/run/metrics.sock"] {
            assert_eq!(listen(text).ok().map(|address| address.to_string()).as_deref(), Some(text));
        }
        let path = listen("/run/metrics.sock").ok().map(|address| address.to_string());
        assert_eq!(path.as_deref(), Some("unix:/run/metrics.sock"));
        let bad = ["", ":", "9942", ":99999", "::1", "::1:9942", "[::1]", "127.0.0.1", "localhost:9942", "x:y", ":-1"];
        for text in bad.into_iter().chain(["unix:", "unix:run/x", "unix:/run/", "/", "unix:/a\0b"]) {
            assert!(listen(text).is_err(), "{text}");
        }
    }

    #[test]
    fn remote_addresses() {
        for text in [
            "localhost:705",
            "10.0.0.1:1",
            "[::1]:705",
            "snmp.example.org:705",
            "unix:/var/agentx/master",
            "/var/agentx/master",
        ] {
            assert!(remote(text).is_ok(), "{text}");
        }
        let long = format!("/{}", "x".repeat(SOCKET_PATH));
        for text in [
            "",
            "localhost",
            ":705",
            "localhost:0",
            "::1:705",
            "[x]:705",
            "a b:1",
            "x:99999",
            "unix:",
            "unix:x",
            "unix:/x/",
            "/",
            &long,
        ] {
            assert!(remote(text).is_err(), "{text}");
        }
    }
}
