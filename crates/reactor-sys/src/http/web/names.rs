//! Words of Go's TLS library, which the web configuration file uses, and what they are here.

use std::time::Duration;

use rustls::{CipherSuite, NamedGroup};

use super::Fault;

/// What is asked of clients: the five words of Go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientAuth {
    /// `NoClientCert`.
    None,
    /// `RequestClientCert`: a certificate is asked for; whether there is one, and whose, does not matter.
    Request,
    /// `RequireAnyClientCert`: there has to be one, whoever signed it.
    RequireAny,
    /// `VerifyClientCertIfGiven`: if there is one, it has to be good.
    VerifyIfGiven,
    /// `RequireAndVerifyClientCert`: there has to be a good one.
    RequireAndVerify,
}

impl ClientAuth {
    /// Whether clients are asked at all.
    pub fn asks(self) -> bool {
        self != Self::None
    }

    /// Whether nobody comes in without one.
    pub fn requires(self) -> bool {
        matches!(self, Self::RequireAny | Self::RequireAndVerify)
    }

    /// Whether it has to be signed by the right one.
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }
}

/// Versions of TLS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Versions {
    /// 1.2 and 1.3.
    Both,
    /// 1.2 only.
    Tls12,
    /// 1.3 only.
    Tls13,
}

pub(super) fn client_auth(word: &str) -> Result<ClientAuth, Fault> {
    Ok(match word {
        "" | "NoClientCert" => ClientAuth::None,
        "RequestClientCert" => ClientAuth::Request,
        // The second one is an older name of it.
        "RequireAnyClientCert" | "RequireClientCert" => ClientAuth::RequireAny,
        "VerifyClientCertIfGiven" => ClientAuth::VerifyIfGiven,
        "RequireAndVerifyClientCert" => ClientAuth::RequireAndVerify,
        _ => {
            return Err(Fault::new(
                format!("client_auth_type can't be {}", shown(word)),
                "write NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert",
            ));
        }
    })
}

/// `min_version` and `max_version`.
pub(super) fn versions(min: &Option<String>, max: &Option<String>) -> Result<Versions, Fault> {
    let number = |key: &str, word: &Option<String>, default: u8| match word.as_deref() {
        None => Ok(default),
        Some("TLS13") => Ok(13),
        Some("TLS12") => Ok(12),
        Some(old @ ("TLS11" | "TLS10")) => Err(Fault::new(
            format!("{key} is {old}, which is not safe any more and which this server does not speak"),
            "write TLS12 or TLS13",
        )),
        Some(word) => Err(Fault::new(format!("{key} can't be {}", shown(word)), "write TLS12 or TLS13")),
    };
    match (number("min_version", min, 12)?, number("max_version", max, 13)?) {
        (12, 13) => Ok(Versions::Both),
        (12, 12) => Ok(Versions::Tls12),
        (13, 13) => Ok(Versions::Tls13),
        _ => Err(Fault::new("min_version is above max_version: no version is left", "write TLS12 and TLS13")),
    }
}

/// Suites that Go knows and this server does not speak: all of them with CBC or without forward secrecy, which Go itself leaves out
/// unless it is asked for them.
const OLD_SUITES: [&str; 9] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
];

/// `cipher_suites`. Those of TLS 1.3 cannot be chosen, with Go neither.
pub(super) fn suites(
    words: &[String],
    versions: Versions,
    warnings: &mut Vec<Fault>,
) -> Result<Vec<CipherSuite>, Fault> {
    let mut suites = Vec::new();
    for word in words {
        let suite = match word.as_str() {
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384" => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" => CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384" => CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256" | "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305" => {
                CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
            }
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256" | "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305" => {
                CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
            }
            "TLS_AES_128_GCM_SHA256" | "TLS_AES_256_GCM_SHA384" | "TLS_CHACHA20_POLY1305_SHA256" => continue,
            old if OLD_SUITES.contains(&old) => {
                warnings.push(Fault::new(
                    format!("the cipher suite {old} is left out: it is not safe enough for this server"),
                    "take it out of cipher_suites",
                ));
                continue;
            }
            other => {
                return Err(Fault::new(
                    format!("there is no cipher suite {}", shown(other)),
                    "the names are those of Go's crypto/tls, for example TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                ));
            }
        };
        if !suites.contains(&suite) {
            suites.push(suite);
        }
    }
    let none_left = !words.is_empty() && suites.is_empty();
    if none_left && versions == Versions::Tls12 {
        return Err(Fault::new(
            "cipher_suites has none that this server speaks with TLS 1.2, and TLS 1.3 is switched off",
            "add TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 or TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        ));
    }
    Ok(suites)
}

/// `curve_preferences`.
pub(super) fn curves(words: &[String], warnings: &mut Vec<Fault>) -> Result<Vec<NamedGroup>, Fault> {
    let mut curves = Vec::new();
    for word in words {
        let curve = match word.as_str() {
            "X25519" => NamedGroup::X25519,
            "CurveP256" => NamedGroup::secp256r1,
            "CurveP384" => NamedGroup::secp384r1,
            known @ ("CurveP521" | "X25519MLKEM768") => {
                warnings.push(Fault::new(
                    format!("the curve {known} is left out: this server does not have it"),
                    "take it out of curve_preferences",
                ));
                continue;
            }
            other => {
                return Err(Fault::new(
                    format!("there is no curve {}", shown(other)),
                    "write X25519, CurveP256 or CurveP384",
                ));
            }
        };
        if !curves.contains(&curve) {
            curves.push(curve);
        }
    }
    if !words.is_empty() && curves.is_empty() {
        return Err(Fault::new(
            "curve_preferences has no curve that this server has",
            "write X25519, CurveP256 or CurveP384",
        ));
    }
    Ok(curves)
}

/// A duration as Go writes it, for example `1m30s`; `0` needs no unit.
pub(super) fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, factor) =
            [("ns", 1e-9), ("us", 1e-6), ("\u{b5}s", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)]
                .into_iter()
                .find(|(unit, _)| rest.starts_with(unit))?;
        rest = &rest[unit.len()..];
        sum += number * factor;
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(sum).ok())?
}

/// A name from the file, in a message: short, and in one line.
pub(super) fn shown(name: &str) -> String {
    let short: String = name.chars().take(60).map(|c| if c.is_control() { '?' } else { c }).collect();
    format!("`{short}`")
}

/// What serde says of a key: everything but what is in quotes of values.
pub(super) fn without_values(line: &str) -> String {
    let kept: String = line.chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect();
    match kept.find('"') {
        None => kept,
        Some(at) => kept[..at].trim_end().to_owned(),
    }
}
