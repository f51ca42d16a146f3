//! The folders on the way to a file. Whoever can change one of them says which file it is: a link in place of a folder would lead root elsewhere.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The bit by which only the owner of an entry of a folder may rename or remove it.
const STICKY: u32 = 0o1000;

/// Whether nobody but root and we can change what this folder is: each folder above it, by its name and by where links lead, is nobody else's.
///
/// # Errors
///
/// Who could, or what the system says.
pub(crate) fn judge(folder: &Path) -> Result<(), String> {
    let real = folder.canonicalize().map_err(|error| format!("can't look at {}: {error}", folder.display()))?;
    for above in folder.ancestors().skip(1).chain(real.ancestors().skip(1)) {
        let failed = |error| format!("can't look at {}: {error}", above.display());
        let opened = File::open(above).map_err(failed)?;
        let Some(distrust) = reactor_trust::judge_for_us(&opened).map_err(failed)? else { continue };
        let meta = opened.metadata().map_err(failed)?;
        // What is root's in such a folder (/tmp) is left alone by others; whether it is root's, the next folder down says.
        let is_ours = meta.uid() == 0 || meta.uid() == rustix::process::geteuid().as_raw();
        if !is_ours || meta.mode() & STICKY == 0 {
            return Err(format!("{} {distrust}", above.display()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn a_folder_is_what_those_above_it_say() {
        let scratch = Scratch::new("ways");
        let path = |name: &str| scratch.0.join(name);
        let mode = |name: &str, mode: u32| fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
        fs::create_dir_all(path("a/b/c")).unwrap();
        fs::create_dir_all(path("safe")).unwrap();
        // The scratch folder is closed to others, and so would be trusted whatever is in it.
        mode("", 0o755);
        for name in ["a", "a/b", "a/b/c", "safe"] {
            mode(name, 0o755);
        }
        symlink(path("a/b"), path("safe/link")).unwrap();
        symlink(path("safe"), path("a/back")).unwrap();
        assert_eq!(judge(&path("a/b/c")), Ok(()), "also below /tmp, which is sticky");
        assert_eq!(judge(&path("safe/link/c")), Ok(()));
        mode("a", 0o777);
        for folder in ["a/b/c", "a/b", "safe/link/c", "a/back"] {
            let why = judge(&path(folder)).unwrap_err();
            assert!(why.contains("/a can be written by others"), "{folder}: {why}");
        }
        assert_eq!(judge(&path("safe")), Ok(()));
        assert_eq!(judge(&path("a")), Ok(()), "itself is judged where it is opened");
        mode("a", 0o1777);
        assert_eq!(judge(&path("a/b/c")), Ok(()));
        assert!(judge(&path("none/x")).unwrap_err().starts_with("can't look at "));
    }
}
