//! Certificates for tests and measurements, made anew each time.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

const MADE: &str = "a certificate can be made and written";

/// Somebody who signs.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, in files.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Authority {
    /// One of this name.
    pub fn new(name: &str) -> Self {
        Self::until(name, 2090)
    }

    /// The same, good until the end of that year.
    pub fn until(name: &str, year: i32) -> Self {
        let key = KeyPair::generate().expect(MADE);
        let mut params = CertificateParams::new(Vec::new()).expect(MADE);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 12, 31);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).expect(MADE).pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Its own certificate, in a file.
    pub fn write(&self, path: &Path) -> PathBuf {
        fs::write(path, &self.pem).expect(MADE);
        path.to_owned()
    }

    /// A certificate for these names, good until the end of that year.
    pub fn sign(&self, folder: &Path, file: &str, names: &[&str], until_year: i32) -> Pair {
        self.sign_for(folder, file, names, 2000, until_year)
    }

    /// The same, good from the beginning of a year on.
    pub fn sign_for(&self, folder: &Path, file: &str, names: &[&str], from_year: i32, until_year: i32) -> Pair {
        let key = KeyPair::generate().expect(MADE);
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).expect(MADE);
        params.not_before = date_time_ymd(from_year, 1, 1);
        params.not_after = date_time_ymd(until_year, 12, 31);
        params.distinguished_name.push(DnType::CommonName, file);
        let pair = Pair { cert: folder.join(format!("{file}.crt")), key: folder.join(format!("{file}.key")) };
        // As whoever renews a certificate should do it: whole files take the place of the old ones.
        for (path, text) in
            [(&pair.cert, params.signed_by(&key, &self.issuer).expect(MADE).pem()), (&pair.key, key.serialize_pem())]
        {
            let new = path.with_extension("new");
            fs::write(&new, text).expect(MADE);
            fs::rename(new, path).expect(MADE);
        }
        pair
    }
}
