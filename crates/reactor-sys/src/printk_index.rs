//! The printk index of this kernel: every format that it prints, one file for itself and one for each module. Root may read it, where debugfs is
//! mounted and the kernel was built with it; what it means is judged by [`reactor_storage::catalogue::printk`].

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use reactor_api::survey::{Reworded, Wordings};
use reactor_storage::catalogue::printk::Check;

/// Where it is, if debugfs is mounted where it always is.
pub const FOLDER: &str = "/sys/kernel/debug/printk/index";

/// A file for the kernel and each module: more are not looked at.
const MAX_FILES: usize = 4096;
/// The kernel's own file has some megabytes.
const MAX_FILE: u64 = 32 << 20;

/// Holds the catalogue against it. Blocks.
pub fn wordings(folder: &Path) -> Wordings {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    match read(folder) {
        Ok(check) => {
            let report = check.report();
            let reworded = report.reworded.into_iter().map(|one| Reworded {
                event: one.event.to_owned(),
                severity: one.severity.to_string(),
                files: one.files.into_iter().map(str::to_owned).collect(),
            });
            let judged = u32::try_from(report.judged).unwrap_or(u32::MAX);
            let why_not = (judged == 0).then(|| "its index has no format of storage".to_owned());
            Wordings { kernel: release, judged, reworded: reworded.collect(), why_not }
        }
        Err(error) => Wordings { kernel: release, why_not: Some(why(folder, &error)), ..Wordings::default() },
    }
}

fn read(folder: &Path) -> io::Result<Check> {
    let mut check = Check::default();
    for entry in std::fs::read_dir(folder)?.take(MAX_FILES) {
        let mut bytes = Vec::new();
        // A module may go meanwhile.
        match File::open(entry?.path()) {
            Ok(file) => file.take(MAX_FILE).read_to_end(&mut bytes)?,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        check.take(&String::from_utf8_lossy(&bytes));
    }
    Ok(check)
}

fn why(folder: &Path, error: &io::Error) -> String {
    // Below it is the root of debugfs, which has entries wherever it is mounted.
    let debugfs = folder.ancestors().nth(2).unwrap_or(folder);
    let is_mounted = || std::fs::read_dir(debugfs).is_ok_and(|mut entries| entries.next().is_some());
    match error.kind() {
        ErrorKind::NotFound if is_mounted() => {
            "it has no index of its messages: that is there from 5.15 on, with CONFIG_PRINTK_INDEX".to_owned()
        }
        ErrorKind::NotFound => format!("debugfs is not mounted at {}", debugfs.display()),
        ErrorKind::PermissionDenied => "only root may read the index of its messages".to_owned(),
        _ => format!("the index of its messages can't be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    /// A debugfs.
    struct Debugfs(PathBuf);

    impl Debugfs {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("reactor-printk-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&root);
            fs::create_dir_all(&root).unwrap();
            Self(root)
        }

        fn index(&self) -> PathBuf {
            self.0.join("printk/index")
        }
    }

    impl Drop for Debugfs {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn all_files_of_the_index_are_held_against_the_catalogue() {
        let debugfs = Debugfs::new("files");
        fs::create_dir_all(debugfs.index()).unwrap();
        let line = |text: &str| format!("# <level/flags> filename:line function \"format\"\n<4> {text}\n");
        let module = line("drivers/md/dm-mpath.c:1 f \"device-mapper: multipath: %s: Path %s fails.\\n\"");
        fs::write(debugfs.index().join("dm_multipath"), module).unwrap();
        let kernel = line("block/genhd.c:1 f \"%s: detected capacity change from %lld to %lld\\n\"");
        fs::write(debugfs.index().join("vmlinux"), kernel).unwrap();
        let wordings = wordings(&debugfs.index());
        assert_eq!((wordings.judged, wordings.why_not), (5, None));
        let events: Vec<_> = wordings.reworded.iter().map(|one| one.event.as_str()).collect();
        assert!(events.contains(&"MPATH_PATH_FAILED") && !events.contains(&"BLK_CAPACITY_CHANGED"), "{events:?}");
        assert_eq!(wordings.reworded.last().unwrap().files, ["drivers/md/dm-mpath.c"]);
    }

    #[test]
    fn where_there_is_none_it_is_said_why() {
        let debugfs = Debugfs::new("none");
        let why = |folder: &Path| wordings(folder).why_not.unwrap();
        assert!(why(&debugfs.index()).starts_with("debugfs is not mounted at "), "{}", why(&debugfs.index()));
        fs::create_dir_all(debugfs.0.join("block")).unwrap();
        assert!(why(&debugfs.index()).starts_with("it has no index of its messages"));
        fs::create_dir_all(debugfs.index()).unwrap();
        assert_eq!(why(&debugfs.index()), "its index has no format of storage");
    }

    /// Whatever this machine has.
    #[test]
    fn the_kernel_that_runs_here_is_judged_or_it_is_said_why_not() {
        let wordings = wordings(Path::new(FOLDER));
        assert!(!wordings.kernel.is_empty());
        assert_eq!(wordings.why_not.is_some(), wordings.judged == 0);
        assert!(wordings.reworded.len() <= wordings.judged as usize);
    }
}
