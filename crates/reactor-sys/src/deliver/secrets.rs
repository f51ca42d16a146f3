//! Secrets in files: read at each connection, so that a new one is taken without a reload, and never shown.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::failure::Failure;

/// A longer first line is no password.
const MAX_SECRET: u64 = 4096;

/// The first line of a file that only root, or the user that the daemon runs as, may read and change. It may be reached through a link, as where
/// secrets are put by other programs.
pub(super) fn first_line(path: &Path) -> Result<String, Failure> {
    let failed = |error: io::Error| Failure::of(path.display(), &error);
    let file = open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    // Root's group is as good as root.
    let by_group = meta.mode() & 0o040 != 0 && meta.gid() != 0;
    if by_group || meta.mode() & 0o004 != 0 {
        return Err(Failure::again(format!("{0} can be read by others than its owner: chmod 600 {0}", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(MAX_SECRET + 1).read_to_end(&mut bytes).map_err(failed)?;
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let text = std::str::from_utf8(first).ok().map(|text| text.trim_end_matches('\r'));
    let is_good = |text: &&str| !text.is_empty() && text.len() as u64 <= MAX_SECRET && !text.contains(char::is_control);
    match text.filter(is_good) {
        Some(text) => Ok(text.to_owned()),
        None => {
            Err(Failure::again(format!("the first line of {} is empty, too long or not plain text", path.display())))
        }
    }
}

/// Opens a regular file that nobody else could have written. A FIFO would hold us up for ever.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    match reactor_trust::judge_for_us(&file)? {
        Some(distrust) => Err(io::Error::other(format!("it {distrust}: {}", distrust.hint(path)))),
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
        assert!(try_with(b"x", 0o644).unwrap_err().contains("can be read by others"));
        assert!(try_with(b"x", 0o602).unwrap_err().contains("can be written by others"));
        let long = [b'x'; 5000];
        for bad in [&b""[..], b"\nx", b"a\0b", b"\xff\n", &long] {
            assert!(try_with(bad, 0o600).unwrap_err().contains("is empty, too long or not plain text"));
        }
        fs::remove_file(&path).unwrap();
        assert!(first_line(&path).unwrap_err().why.contains("No such file"));
        let folder = first_line(&open_to_all()).unwrap_err().why;
        assert!(folder.contains("not a regular file"), "{folder}");
    }
}
