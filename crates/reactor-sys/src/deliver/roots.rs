//! Whom a server's certificate has to be signed by: a file of the configuration, or those that this system trusts.
//!
//! Distributions have all of them in one file, which is read here. A crate that knows where would know these same paths.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::failure::Failure;
use super::secrets;

/// Where distributions have them: Debian, SUSE and Arch; Fedora and Red Hat; older ones; Alpine.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// All of them are a few hundred KiB.
const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// The certificates of `file`, or of the system.
pub(super) fn certificates(file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let path = match file {
        Some(file) => file,
        None => BUNDLES.iter().map(Path::new).find(|path| path.exists()).ok_or_else(|| {
            Failure::again("this system has no list of authorities (package ca-certificates), and there is no ca-file")
        })?,
    };
    let failed = |error: std::io::Error| Failure::of(path.display(), &error);
    let mut pem = Vec::new();
    secrets::open(path).map_err(failed)?.take(MAX_BYTES).read_to_end(&mut pem).map_err(failed)?;
    // One that is broken is not a reason to trust none of the others.
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
    if certificates.is_empty() {
        return Err(Failure::again(format!("{} has no certificates in PEM", path.display())));
    }
    Ok(certificates)
}

/// What TLS is spoken with.
pub(super) fn tls(file: Option<&Path>) -> Result<Arc<ClientConfig>, Failure> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates(file)?);
    if added == 0 {
        return Err(Failure::again("none of the certificates of authorities can be used"));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Failure::of("TLS can't be set up", &error))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
