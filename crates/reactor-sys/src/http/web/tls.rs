//! What TLS is made of: the certificates and the key that were read, and what the file chooses.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{RootCertStore, ServerConfig, version};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::file::TlsSection;
use super::names::Versions;
use super::{Fault, clients};

/// Certificates that a chain, or a file of signers, may have.
const MAX_CERTIFICATES: usize = 1000;

/// How long before its end a certificate is said to end soon.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// The bytes that the section names, and where they are from.
pub(super) struct Material {
    pub(super) cert: (String, Vec<u8>),
    pub(super) key: (String, Vec<u8>),
    pub(super) client_ca: Option<(String, Vec<u8>)>,
}

/// TLS that is ready to be spoken.
pub(super) struct Ready {
    pub(super) config: Arc<ServerConfig>,
    /// From when until when the server's certificate is good.
    pub(super) good: (SystemTime, SystemTime),
}

/// Puts it together.
pub(super) fn ready(section: TlsSection, material: &Material, warnings: &mut Vec<Fault>) -> Result<Ready, Fault> {
    let provider = Arc::new(provider(&section));
    let (of_cert, chain) = (&material.cert.0, certificates(&material.cert)?);
    let first = chain.first().map(|first| Certificate::from_der(first));
    let Some(Ok(first)) = first else {
        return Err(Fault::new(
            format!("{of_cert} has a certificate that can't be read"),
            "look at it: openssl x509 -text -in FILE",
        ));
    };
    let validity = first.tbs_certificate.validity;
    let good = (validity.not_before.to_system_time(), validity.not_after.to_system_time());
    warnings.extend(ends(of_cert, good.0, good.1, SystemTime::now()));
    let of_key = &material.key.0;
    let key = PrivateKeyDer::from_pem_slice(&material.key.1).map_err(|error| {
        let hint = "it has to be in PEM and without a passphrase: openssl pkey -in FILE -out NEW";
        Fault::new(format!("{of_key} has no private key that can be read: {}", pem_error(&error)), hint)
    })?;
    let roots = match (&material.client_ca, section.client_auth) {
        (Some(pem), auth) if auth.verifies() => Some(roots(pem, warnings)?),
        _ => None,
    };
    let verifier = clients::verifier(section.client_auth, roots, section.allowed_sans, &provider).map_err(|why| {
        Fault::new(format!("certificates of clients can't be verified: {why}"), "look at client_ca_file")
    })?;
    let versions: &[&rustls::SupportedProtocolVersion] = match section.versions {
        Versions::Both => &[&version::TLS13, &version::TLS12],
        Versions::Tls12 => &[&version::TLS12],
        Versions::Tls13 => &[&version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).map_err(|error| {
        Fault::new(
            format!("nothing is left that TLS could be spoken with: {error}"),
            "look at cipher_suites and min_version",
        )
    })?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => Fault::new(
            format!("the certificate in {of_cert} and the key in {of_key} do not belong together"),
            "the key has to be the one that the certificate was made with",
        ),
        other => Fault::new(
            format!("the certificate in {of_cert} or the key in {of_key} can't be used: {other}"),
            "the key may be RSA of 2048 to 8192 bits, ECDSA with P-256 or P-384, or Ed25519",
        ),
    })?;
    config.ignore_client_order = section.prefer_ours;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Whoever comes again shows the certificate again; and scrapers keep their connection.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Ready { config: Arc::new(config), good })
}

fn provider(section: &TlsSection) -> CryptoProvider {
    let mut provider = ring::default_provider();
    if !section.suites.is_empty() {
        let (new, old): (Vec<_>, Vec<_>) =
            provider.cipher_suites.into_iter().partition(|suite| suite.tls13().is_some());
        let of = |wanted| old.iter().find(|suite| suite.suite() == wanted).copied();
        provider.cipher_suites = new.iter().copied().chain(section.suites.iter().copied().filter_map(of)).collect();
    }
    if !section.curves.is_empty() {
        let of = |wanted| provider.kx_groups.iter().find(|group| group.name() == wanted).copied();
        provider.kx_groups = section.curves.iter().copied().filter_map(of).collect();
    }
    provider
}

fn pem_error(error: &PemError) -> &'static str {
    match error {
        PemError::NoItemsFound => "there is none in PEM",
        PemError::MissingSectionEnd { .. } => "it ends in the middle",
        _ => "it is not PEM",
    }
}

fn certificates((from, pem): &(String, Vec<u8>)) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let hint = "it has to be in PEM: -----BEGIN CERTIFICATE----- and what follows";
    let bad = |error: &PemError| {
        Fault::new(format!("{from} has no certificates that can be read: {}", pem_error(error)), hint)
    };
    let mut chain = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        chain.push(certificate.map_err(|error| bad(&error))?);
        if chain.len() > MAX_CERTIFICATES {
            return Err(Fault::new(format!("{from} has more than {MAX_CERTIFICATES} certificates"), "shorten it"));
        }
    }
    if chain.is_empty() { Err(bad(&PemError::NoItemsFound)) } else { Ok(chain) }
}

fn roots(pem: &(String, Vec<u8>), warnings: &mut Vec<Fault>) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        let end =
            Certificate::from_der(&certificate).map(|read| read.tbs_certificate.validity.not_after.to_system_time());
        if let Ok(end) = end
            && end <= SystemTime::now()
        {
            // The library does not ask when an authority ends, only when the certificates end that it has signed.
            let date = crate::control::rfc3339(end);
            warnings.push(Fault::new(
                format!("an authority in {} has expired on {date}: what it has signed is taken all the same", pem.0),
                "take it out, and write the present one",
            ));
        }
        roots.add(certificate).map_err(|error| {
            Fault::new(
                format!("{} has a certificate that can't sign those of clients: {error}", pem.0),
                "it has to be the certificate of the authority that signs them",
            )
        })?;
    }
    Ok(roots)
}

/// What is to be said of the time for which a certificate is good.
pub(super) fn ends(from: &str, begin: SystemTime, end: SystemTime, now: SystemTime) -> Option<Fault> {
    let hint = "renew it: the new one is taken by itself, nothing has to be restarted";
    let date = crate::control::rfc3339;
    if end <= now {
        return Some(Fault::new(
            format!("the certificate in {from} has expired on {}: clients refuse it", date(end)),
            hint,
        ));
    }
    if begin > now {
        return Some(Fault::new(
            format!("the certificate in {from} is good from {} on: until then clients refuse it", date(begin)),
            "look at the clock of this node",
        ));
    }
    (end < now + SOON).then(|| Fault::new(format!("the certificate in {from} expires on {}", date(end)), hint))
}
