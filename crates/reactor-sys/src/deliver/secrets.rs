//! Secrets in files: read at each connection, so that a new one is taken without a reload, and never shown.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use reactor_core::facts::{Fact, SecretFault};
use reactor_trust::Distrust;
use rustix::fs::{Mode, OFlags};

use super::failure::Failure;

/// A longer first line is no password.
const MAX_SECRET: u64 = 4096;

/// The first line of a file that only root, or the user that the daemon runs as, may read and change. It may be reached through a link, as where
/// secrets are put by other programs.
pub(super) fn first_line(path: &Path) -> Result<String, Failure> {
    read(path).map_err(|refusal| match &refusal {
        Refusal::Io(error) => Failure::of(path.display(), error),
        Refusal::Distrusted(_) | Refusal::Readable => {
            Failure::again(format!("{}: {}", refusal.what(path), refusal.hint(path)))
        }
        Refusal::NoText => Failure::again(refusal.what(path)),
    })
}

/// Whether a receiver would take the secret that is in a file, for who wants to know before something is to be sent. The secret is not kept.
pub fn judge(path: &Path) -> Fact<Option<SecretFault>> {
    match read(path) {
        Ok(_) => Fact::Known(None),
        Err(Refusal::Io(error))
            if error.kind() == io::ErrorKind::PermissionDenied && !rustix::process::geteuid().is_root() =>
        {
            Fact::Unknown { why: "only root may read it, and this is another user".to_owned() }
        }
        Err(refusal) => Fact::Known(Some(SecretFault { what: refusal.what(path), hint: refusal.hint(path) })),
    }
}

/// Why there is no secret.
enum Refusal {
    /// It can't be read, or is no regular file.
    Io(io::Error),
    /// Somebody else could have written it.
    Distrusted(Distrust),
    /// Others can read it.
    Readable,
    /// There is none in its first line.
    NoText,
}

impl Refusal {
    fn what(&self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Io(error) => format!("{path}: {error}"),
            Self::Distrusted(distrust) => format!("{path}: it {distrust}"),
            Self::Readable => format!("{path} can be read by others than its owner"),
            Self::NoText => format!("the first line of {path} is empty, too long or not plain text"),
        }
    }

    fn hint(&self, path: &Path) -> String {
        if let Self::Distrusted(distrust) = self {
            return distrust.hint(path);
        }
        let path = path.display();
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                format!("put the secret into {path}, in one line, and then: chown root {path}; chmod 600 {path}")
            }
            Self::Io(_) | Self::Distrusted(_) => {
                format!("it has to be a regular file that only root may read and write: ls -l {path}")
            }
            Self::Readable => format!("chmod 600 {path}"),
            Self::NoText => format!("put the secret into the first line of {path}: at most {MAX_SECRET} bytes of text"),
        }
    }
}

fn read(path: &Path) -> Result<String, Refusal> {
    let file = open_trusted(path)?;
    let meta = file.metadata().map_err(Refusal::Io)?;
    // Root's group is as good as root.
    let by_group = meta.mode() & 0o040 != 0 && meta.gid() != 0;
    if by_group || meta.mode() & 0o004 != 0 {
        return Err(Refusal::Readable);
    }
    let mut bytes = Vec::new();
    file.take(MAX_SECRET + 1).read_to_end(&mut bytes).map_err(Refusal::Io)?;
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let text = std::str::from_utf8(first).ok().map(|text| text.trim_end_matches('\r'));
    let is_good = |text: &&str| !text.is_empty() && text.len() as u64 <= MAX_SECRET && !text.contains(char::is_control);
    text.filter(is_good).map(str::to_owned).ok_or(Refusal::NoText)
}

/// Opens a regular file that nobody else could have written.
pub(super) fn open(path: &Path) -> io::Result<File> {
    open_trusted(path).map_err(|refusal| match refusal {
        Refusal::Io(error) => error,
        Refusal::Distrusted(distrust) => io::Error::other(format!("it {distrust}: {}", distrust.hint(path))),
        Refusal::Readable | Refusal::NoText => io::Error::other(refusal.what(path)),
    })
}

/// A FIFO would hold us up for ever.
fn open_trusted(path: &Path) -> Result<File, Refusal> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| Refusal::Io(error.into()))?;
    let file = File::from(file);
    if !file.metadata().map_err(Refusal::Io)?.is_file() {
        return Err(Refusal::Io(io::Error::other("it is not a regular file")));
    }
    match reactor_trust::judge_for_us(&file).map_err(Refusal::Io)? {
        Some(distrust) => Err(Refusal::Distrusted(distrust)),
        None => Ok(file),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::testing::open_to_all;

    #[test]
    fn a_secret_is_the_first_line_of_a_file_that_nobody_else_can_read_or_write() {
        let path = open_to_all().join(format!("reactor-notify-secret-{}", std::process::id()));
        let try_with = |text: &[u8], mode: u32| {
            let _ = fs::remove_file(&path);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            first_line(&path).map_err(|failure| failure.why)
        };
        assert_eq!(try_with(b"s3cret pass\r\nnote\n", 0o600).as_deref(), Ok("s3cret pass"));
        assert_eq!(try_with(b"no-line-end", 0o400).as_deref(), Ok("no-line-end"));
        assert_eq!(judge(&path), Fact::Known(None));
        // Who asks before anything is sent hears the same.
        let fault = |path: &Path| match judge(path) {
            Fact::Known(Some(fault)) => fault,
            other => panic!("{other:?}"),
        };
        assert!(try_with(b"x", 0o644).unwrap_err().contains("can be read by others"));
        assert_eq!(fault(&path).hint, format!("chmod 600 {}", path.display()));
        assert!(try_with(b"x", 0o602).unwrap_err().contains("can be written by others"));
        let written = fault(&path);
        assert!(written.what.contains("can be written by others"), "{written:?}");
        assert_eq!(written.hint, format!("chmod go-w {}", path.display()));
        let long = [b'x'; 5000];
        for bad in [&b""[..], b"\nx", b"a\0b", b"\xff\n", &long] {
            assert!(try_with(bad, 0o600).unwrap_err().contains("is empty, too long or not plain text"));
        }
        fs::remove_file(&path).unwrap();
        assert!(first_line(&path).unwrap_err().why.contains("No such file"));
        let missing = fault(&path);
        assert!(missing.what.contains("No such file") && missing.hint.contains("chmod 600"), "{missing:?}");
        let folder = first_line(&open_to_all()).unwrap_err().why;
        assert!(folder.contains("not a regular file"), "{folder}");
        assert!(fault(&open_to_all()).what.contains("not a regular file"));
    }
}
