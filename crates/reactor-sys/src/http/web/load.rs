//! From files to what connections use. Blocks: never called on the thread that serves.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use hyper::header::{HeaderName, HeaderValue};
use reactor_core::facts::WebFault;
use reactor_trust::Distrust;
use rustix::fs::{Mode, OFlags};
use tokio_rustls::TlsAcceptor;

use super::file::{self, Pem, TlsSection, WebFile};
use super::tls::{self, Material};
use super::users::Users;
use super::{Bucket, ClientAuth, Fault, Web};

/// Bytes that a file may have.
const MAX_BYTES: u64 = 1 << 20;

/// Others than owner and group may read.
const OTHERS_READ: u32 = 0o004;

/// What was made of a file.
pub(super) struct Loaded {
    pub(super) web: Web,
    /// The files that it came from.
    pub(super) files: Vec<(PathBuf, Stamp)>,
    pub(super) warnings: Vec<Fault>,
}

/// What a file was when it was read. Another one, or one that was written since, has another stamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stamp {
    file: (u64, u64),
    size: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(meta: &std::fs::Metadata) -> Self {
        Self {
            file: (meta.dev(), meta.ino()),
            size: meta.size(),
            written: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// What the file is now; `None` = it is not there.
    pub(super) fn now(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|meta| Self::of(&meta))
    }
}

struct Content {
    bytes: Vec<u8>,
    stamp: Stamp,
    mode: u32,
    distrust: Option<Distrust>,
}

fn read(path: &Path) -> Result<Content, Fault> {
    let failed = |error: &io::Error| {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => {
                "write the file, or correct its path; relative paths begin at the folder of the web configuration file"
            }
            _ => "look at it: ls -l",
        };
        Fault::new(format!("can't read {}: {error}", path.display()), hint)
    };
    // A FIFO would hold us up for ever.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| failed(&error.into()))?;
    let file = File::from(fd);
    let meta = file.metadata().map_err(|error| failed(&error))?;
    if !meta.is_file() {
        return Err(Fault::new(format!("{} is not a regular file", path.display()), "name the file itself"));
    }
    let distrust = reactor_trust::judge_for_us(file.as_fd()).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Fault::new(format!("{} is larger than {MAX_BYTES} bytes", path.display()), "name the right file"));
    }
    Ok(Content { bytes, stamp: Stamp::of(&meta), mode: meta.mode(), distrust })
}

/// Reads everything anew.
pub(super) fn load(path: &Path) -> Result<Loaded, Fault> {
    let content = read(path)?;
    if let Some(distrust) = content.distrust {
        return Err(Fault::new(format!("{} {distrust}", path.display()), distrust.hint(path)));
    }
    let text = String::from_utf8(content.bytes)
        .map_err(|_| Fault::new(format!("{} is not UTF-8", path.display()), "write it anew as plain text"))?;
    let in_file = |fault: Fault| Fault { what: format!("{}: {}", path.display(), fault.what), ..fault };
    let WebFile { tls, headers, users, rate, warnings } =
        file::parse(&text, path.parent().unwrap_or(Path::new("/"))).map_err(in_file)?;
    let mut warnings: Vec<Fault> = warnings.into_iter().map(in_file).collect();
    let has_key = tls.as_ref().is_some_and(|tls| matches!(tls.key, Pem::Inline(_)));
    if content.mode & OTHERS_READ != 0 && (has_key || !users.is_empty()) {
        let what = if has_key { "private key" } else { "hashes of passwords" };
        warnings.push(Fault::new(
            format!("everybody on this node can read {}, and the {what} in it", path.display()),
            format!("chmod o= {}", path.display()),
        ));
    }
    let mut files = vec![(path.to_owned(), content.stamp)];
    let client_auth = tls.as_ref().map_or(ClientAuth::None, |tls| tls.client_auth);
    let names_clients = tls.as_ref().is_some_and(|tls| !tls.allowed_sans.is_empty());
    let ready = match tls {
        None => None,
        Some(section) => {
            let material = material(path, &section, &mut files, &mut warnings)?;
            Some(tls::ready(section, &material, &mut warnings)?)
        }
    };
    let header = |(name, value): (&'static str, String)| {
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(&value).ok()?))
    };
    let web = Web {
        client_auth,
        names_clients,
        good: ready.as_ref().map(|ready| ready.good),
        tls: ready.map(|ready| TlsAcceptor::from(ready.config)),
        headers: headers.into_iter().filter_map(header).collect(),
        users: Users::new(users),
        rate: rate.map(|rate| Bucket { rate, full: Mutex::default() }),
    };
    Ok(Loaded { web, files, warnings })
}

/// What a file is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Cert,
    Key,
    ClientCa,
}

/// Reads what the section names.
fn material(
    path: &Path,
    section: &TlsSection,
    files: &mut Vec<(PathBuf, Stamp)>,
    warnings: &mut Vec<Fault>,
) -> Result<Material, Fault> {
    let mut bytes = |pem: &Pem, part: Part| match pem {
        Pem::Inline(text) => Ok((path.display().to_string(), text.0.clone().into_bytes())),
        Pem::File(file) => {
            let content = read(file)?;
            files.push((file.clone(), content.stamp));
            let shown = file.display();
            if let Some(distrust) = content.distrust {
                let fault = Fault::new(format!("{shown} {distrust}"), distrust.hint(file));
                // Who writes it says who comes in, as who writes the web configuration file does.
                if part == Part::ClientCa {
                    return Err(fault);
                }
                warnings.push(fault);
            }
            if part == Part::Key && content.mode & OTHERS_READ != 0 {
                warnings.push(Fault::new(
                    format!("everybody on this node can read the private key in {shown}"),
                    format!("chmod o= {shown}"),
                ));
            }
            Ok((shown.to_string(), content.bytes))
        }
    };
    let cert = bytes(&section.cert, Part::Cert)?;
    let key = bytes(&section.key, Part::Key)?;
    let client_ca = section.client_ca.as_ref().map(|pem| bytes(pem, Part::ClientCa)).transpose()?;
    Ok(Material { cert, key, client_ca })
}

/// What is wrong with a web configuration file and with what it names. Blocks.
pub fn judge(path: &Path) -> Vec<WebFault> {
    let fault = |unusable| move |Fault { what, hint }: Fault| WebFault { what, hint, unusable };
    match load(path) {
        Ok(loaded) => loaded.warnings.into_iter().map(fault(false)).collect(),
        Err(error) => vec![fault(true)(error)],
    }
}
