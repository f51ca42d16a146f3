//! The text of a web configuration file: YAML, in the form that Prometheus and its exporters share.
//!
//! What is understood is what their exporter-toolkit understands; unknown keys are errors there, too. Where we cannot do what is
//! asked for, that is an error if it would be less safe, and a warning if it is safer or makes no difference. Nothing that was
//! read is ever part of a message, except names of keys and choices: the file holds hashes and may hold a private key.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::Fault;
use super::names::{self, ClientAuth, Versions};

/// Users that a file may have, and subject alternative names.
const MAX_ENTRIES: usize = 1000;

/// The lowest and the highest cost of a password hash. Each wrong password costs that much time: at 14 about a second.
const COSTS: std::ops::RangeInclusive<u32> = 4..=14;

/// What the file asks for.
#[derive(Debug)]
pub struct WebFile {
    /// `tls_server_config`; `None` = plain HTTP.
    pub tls: Option<TlsSection>,
    /// `headers` of `http_server_config`.
    pub headers: Vec<(&'static str, String)>,
    /// `basic_auth_users`; empty = no password is asked for.
    pub users: BTreeMap<String, Hidden>,
    /// `rate_limit`.
    pub rate: Option<Rate>,
    /// What is not quite as it is written.
    pub warnings: Vec<Fault>,
}

/// `tls_server_config`.
#[derive(Debug)]
pub struct TlsSection {
    /// Chain of certificates, the server's own first.
    pub cert: Pem,
    /// The private key.
    pub key: Pem,
    /// Who signs the certificates of clients.
    pub client_ca: Option<Pem>,
    /// What is asked of clients.
    pub client_auth: ClientAuth,
    /// Names of which a client's certificate must have one; empty = any.
    pub allowed_sans: Vec<String>,
    /// Versions of the protocol.
    pub versions: Versions,
    /// Suites of TLS 1.2 in the order of preference; empty = all.
    pub suites: Vec<rustls::CipherSuite>,
    /// Curves in the order of preference; empty = all.
    pub curves: Vec<rustls::NamedGroup>,
    /// Whether our order counts, not the client's.
    pub prefer_ours: bool,
}

/// Something in PEM.
#[derive(Debug)]
pub enum Pem {
    /// In a file of its own.
    File(PathBuf),
    /// In the web configuration file.
    Inline(Hidden),
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// `rate_limit`: so many requests at once, and one more in each interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// How long until there may be one more.
    pub interval: Duration,
    /// How many there may be at once.
    pub burst: u32,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Raw {
    #[serde(deserialize_with = "written")]
    tls_server_config: Option<RawTls>,
    http_server_config: Option<RawHttp>,
    #[serde(deserialize_with = "written")]
    basic_auth_users: Option<BTreeMap<String, String>>,
    rate_limit: Option<RawRate>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RawTls {
    cert: Option<String>,
    key: Option<String>,
    client_ca: Option<String>,
    cert_file: Option<String>,
    key_file: Option<String>,
    client_auth_type: Option<String>,
    client_ca_file: Option<String>,
    client_allowed_sans: Option<Vec<String>>,
    min_version: Option<String>,
    max_version: Option<String>,
    cipher_suites: Option<Vec<String>>,
    prefer_server_cipher_suites: Option<bool>,
    curve_preferences: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RawHttp {
    /// We speak HTTP/1.1, which every client does: whatever it says, it costs nobody anything.
    #[serde(rename = "http2")]
    _http2: Option<bool>,
    headers: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct RawRate {
    interval: Option<String>,
    burst: Option<u32>,
}

/// What was written, also if it is empty.
fn written<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(reader: D) -> Result<Option<T>, D::Error> {
    Option::<T>::deserialize(reader).map(|value| Some(value.unwrap_or_default()))
}

/// Reads a file. Relative paths in it begin at `folder`, the file's own.
///
/// # Errors
///
/// What is wrong and what to do. Never panics, whatever the text.
pub fn parse(text: &str, folder: &Path) -> Result<WebFile, Fault> {
    let mut options = serde_saphyr::Options::default();
    options.with_snippet = false;
    let raw: Option<Raw> = serde_saphyr::from_str_with_options(text, options).map_err(|error| explain(&error))?;
    // A power failure leaves such a file, and so does whoever has just begun to write it: what was closed must not be open for that.
    let raw = raw.ok_or_else(|| {
        Fault::new(
            "there is nothing in it",
            "write tls_server_config or basic_auth_users, or {} if it shall ask for nothing",
        )
    })?;
    let mut warnings = Vec::new();
    let tls = raw.tls_server_config.map(|raw| tls(raw, folder, &mut warnings)).transpose()?;
    let http = raw.http_server_config.unwrap_or_default();
    let headers = headers(http.headers.unwrap_or_default())?;
    let users = raw.basic_auth_users.map(users).transpose()?.unwrap_or_default();
    let rate = rate(raw.rate_limit.unwrap_or_default())?;
    if tls.is_none() && users.is_empty() {
        warnings.push(Fault::new(
            "it asks for neither TLS nor a password: everybody who reaches the address may read",
            "write tls_server_config or basic_auth_users, or take web-config-file out of [[prometheus]]",
        ));
    } else if tls.is_none() {
        warnings.push(Fault::new(
            "passwords are asked for without TLS: whoever can listen on the network can read them",
            "write tls_server_config, or listen on a unix socket or on 127.0.0.1",
        ));
    }
    Ok(WebFile { tls, headers, users, rate, warnings })
}

/// What the YAML reader says, without anything of the file but names of keys.
fn explain(error: &serde_saphyr::Error) -> Fault {
    let place = error.location().map(|at| format!("line {}: ", at.line())).unwrap_or_default();
    let said = error.without_snippet().to_string();
    let line = said.lines().next().unwrap_or_default();
    // The line is in front already.
    let line = line.split(" at line ").next().unwrap_or_default();
    let of_keys =
        ["unknown field", "duplicate field", "duplicate mapping key"].iter().any(|start| line.contains(start));
    let what = if of_keys {
        names::without_values(line)
    } else if line.contains("invalid type") || line.contains("expected") {
        "a value of another kind than it should be, for example a text where a list belongs".to_owned()
    } else {
        "that is not valid YAML of this form".to_owned()
    };
    Fault::new(
        format!("{place}{what}"),
        "the keys are those of Prometheus' web configuration file; promtool check web-config FILE checks one, too",
    )
}

/// A text that is there and not empty.
fn some(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn pem(name: &str, inline: Option<String>, file: Option<String>, folder: &Path) -> Result<Option<Pem>, Fault> {
    match (some(inline), some(file)) {
        (Some(_), Some(_)) => Err(Fault::new(
            format!("tls_server_config has both {name} and {name}_file"),
            "one of them has to go; else nobody knows which one is meant",
        )),
        (Some(text), None) => Ok(Some(Pem::Inline(Hidden(text)))),
        (None, Some(path)) => Ok(Some(Pem::File(folder.join(path)))),
        (None, None) => Ok(None),
    }
}

/// What the section asks for: at least TLS, since it is there.
fn tls(raw: RawTls, folder: &Path, warnings: &mut Vec<Fault>) -> Result<TlsSection, Fault> {
    let cert = pem("cert", raw.cert, raw.cert_file, folder)?;
    let key = pem("key", raw.key, raw.key_file, folder)?;
    let client_ca = pem("client_ca", raw.client_ca, raw.client_ca_file, folder)?;
    let client_auth = names::client_auth(&some(raw.client_auth_type).unwrap_or_default())?;
    let allowed_sans = raw.client_allowed_sans.unwrap_or_default();
    let (cert, key) = match (cert, key) {
        (Some(cert), Some(key)) => (cert, key),
        (None, None) => {
            return Err(Fault::new(
                "tls_server_config has no certificate: there would be no TLS",
                "write cert_file and key_file, or take the section out",
            ));
        }
        (None, _) => return Err(Fault::new("tls_server_config has no certificate", "write cert_file or cert")),
        (_, None) => return Err(Fault::new("tls_server_config has no private key", "write key_file or key")),
    };
    if client_ca.is_some() && client_auth == ClientAuth::None {
        return Err(Fault::new(
            "client_ca is there, but client_auth_type does not ask for certificates of clients",
            "write client_auth_type: RequireAndVerifyClientCert",
        ));
    }
    if client_ca.is_none() && client_auth.verifies() {
        return Err(Fault::new(
            "client_auth_type asks to verify certificates of clients, but there is nothing to verify them with",
            "write client_ca_file with the certificate of who signs them",
        ));
    }
    if !allowed_sans.is_empty() && !client_auth.requires() {
        return Err(Fault::new(
            "client_allowed_sans is there, but clients may come without a certificate",
            "write client_auth_type: RequireAndVerifyClientCert",
        ));
    }
    if allowed_sans.len() > MAX_ENTRIES {
        return Err(Fault::new(format!("client_allowed_sans has more than {MAX_ENTRIES} names"), "shorten it"));
    }
    if client_auth.asks() && !client_auth.verifies() {
        warnings.push(Fault::new(
            "client_auth_type does not verify certificates of clients: anybody can make one",
            "write client_auth_type: RequireAndVerifyClientCert and client_ca_file",
        ));
    }
    let versions = names::versions(&some(raw.min_version), &some(raw.max_version))?;
    Ok(TlsSection {
        cert,
        key,
        client_ca,
        client_auth,
        allowed_sans,
        versions,
        suites: names::suites(&raw.cipher_suites.unwrap_or_default(), versions, warnings)?,
        curves: names::curves(&raw.curve_preferences.unwrap_or_default(), warnings)?,
        prefer_ours: raw.prefer_server_cipher_suites.unwrap_or(true),
    })
}

fn headers(raw: BTreeMap<String, String>) -> Result<Vec<(&'static str, String)>, Fault> {
    /// The names that are allowed, and their values if not all are.
    const ALLOWED: [(&str, &[&str]); 5] = [
        ("Content-Security-Policy", &[]),
        ("Strict-Transport-Security", &[]),
        ("X-Content-Type-Options", &["nosniff"]),
        ("X-Frame-Options", &["deny", "sameorigin"]),
        ("X-XSS-Protection", &[]),
    ];
    let mut headers = Vec::new();
    for (name, value) in raw {
        let Some((name, values)) = ALLOWED.iter().find(|(allowed, _)| *allowed == name) else {
            let all: Vec<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
            let what = format!("the header {} can't be set", names::shown(&name));
            return Err(Fault::new(what, format!("these can: {}", all.join(", "))));
        };
        if value.is_empty() {
            continue;
        }
        if !values.is_empty() && !values.contains(&value.as_str()) {
            return Err(Fault::new(
                format!("{name} has a value that it can't have"),
                format!("write {}", values.join(" or ")),
            ));
        }
        if hyper::header::HeaderValue::from_str(&value).is_err() {
            return Err(Fault::new(
                format!("{name} has a value that is none of a header"),
                "write one line of plain text",
            ));
        }
        headers.push((*name, value));
    }
    Ok(headers)
}

fn users(raw: BTreeMap<String, String>) -> Result<BTreeMap<String, Hidden>, Fault> {
    if raw.is_empty() {
        return Err(Fault::new(
            "basic_auth_users has no users: nobody would be asked for a password",
            "add one: htpasswd -nBC 10 USER; or take the key out",
        ));
    }
    if raw.len() > MAX_ENTRIES {
        return Err(Fault::new(format!("basic_auth_users has more than {MAX_ENTRIES} users"), "shorten it"));
    }
    let mut users = BTreeMap::new();
    for (user, hash) in raw {
        // Behind a colon there may be a password: {alice:secret} is one name in YAML.
        let shown = names::shown(user.split(':').next().unwrap_or_default());
        if user.contains(':') {
            return Err(Fault::new(
                format!("a user whose name begins with {shown} has a : in it, which no name can have"),
                "write a space behind the : between user and hash",
            ));
        }
        let Ok(parts) = hash.parse::<bcrypt::HashParts>() else {
            return Err(Fault::new(
                format!("what the user {shown} has in basic_auth_users is not a hash of bcrypt"),
                "make one with: htpasswd -nBC 10 USER",
            ));
        };
        if !COSTS.contains(&parts.get_cost()) {
            return Err(Fault::new(
                format!(
                    "the password hash of the user {shown} has the cost {}, at most {} is allowed: whoever tries a password would keep a processor busy",
                    parts.get_cost(),
                    COSTS.end()
                ),
                "make another one with: htpasswd -nBC 10 USER",
            ));
        }
        users.insert(user, Hidden(hash));
    }
    Ok(users)
}

fn rate(raw: RawRate) -> Result<Option<Rate>, Fault> {
    let interval = match some(raw.interval) {
        None => Duration::ZERO,
        Some(text) => names::duration(&text).ok_or_else(|| {
            Fault::new("interval of rate_limit is no duration", "write for example interval: \"1s\"; 0 is no limit")
        })?,
    };
    let burst = raw.burst.unwrap_or_default();
    if interval.is_zero() {
        return Ok(None);
    }
    if burst == 0 {
        return Err(Fault::new("rate_limit lets no request through: burst is 0", "write for example burst: 20"));
    }
    Ok(Some(Rate { interval, burst }))
}
