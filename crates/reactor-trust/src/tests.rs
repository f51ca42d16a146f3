use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};

use super::*;

/// A folder of its own, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        // Where everybody may enter: below a folder that only its owner may, everything is trusted.
        let enter = |folder: &Path| fs::metadata(folder).is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0);
        let places = [std::env::temp_dir(), PathBuf::from("/var/tmp"), PathBuf::from("/dev/shm")];
        let base = places.into_iter().find(|place| place.ancestors().all(enter)).expect("a folder for everybody");
        let path = base.join(format!("reactor-trust-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        let place = Self(path);
        place.mode("", 0o755);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.0.clone() } else { self.0.join(name) }
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    fn file(&self, name: &str, mode: u32) -> PathBuf {
        fs::write(self.path(name), "x").unwrap();
        self.mode(name, mode);
        self.path(name)
    }

    fn dir(&self, name: &str, mode: u32) -> PathBuf {
        fs::create_dir(self.path(name)).unwrap();
        self.mode(name, mode);
        self.path(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn us() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn judged(path: &Path) -> Option<Distrust> {
    judge(File::open(path).unwrap(), us()).unwrap()
}

/// Gives a file to a group that is not root's: our own, if we are not root.
fn to_a_group(path: &Path) {
    let gid = if us() == 0 { 54321 } else { rustix::process::getegid().as_raw() };
    std::os::unix::fs::chown(path, None, Some(gid)).unwrap();
}

#[test]
fn others_may_not_write() {
    let place = Place::new("others");
    for (mode, trusted) in [(0o644, true), (0o600, true), (0o755, true), (0o646, false), (0o666, false), (0o602, false)]
    {
        let path = place.file("file", mode);
        assert_eq!(judged(&path), (!trusted).then_some(Distrust::Writable(mode)));
        let path = place.dir(&format!("dir{mode:o}"), mode | 0o1000);
        assert_eq!(judged(&path).is_none(), trusted, "{mode:o}");
    }
}

#[test]
fn roots_group_is_as_good_as_root() {
    let place = Place::new("group");
    let path = place.file("file", 0o664);
    to_a_group(&path);
    assert_eq!(judged(&path), Some(Distrust::Writable(0o664)));
    if us() == 0 {
        std::os::unix::fs::chown(&path, None, Some(0)).unwrap();
        assert_eq!(judged(&path), None);
    }
}

#[test]
fn somebody_elses_file_is_not_trusted_wherever_it_is() {
    let place = Place::new("owner");
    let folder = place.dir("closed", 0o700);
    let path = place.file("closed/file", 0o600);
    // As if we were somebody else; root's own files are everybody's.
    if us() == 0 {
        std::os::unix::fs::chown(&path, Some(54321), None).unwrap();
        assert_eq!(judged(&path), Some(Distrust::Owner(54321)));
        assert_eq!(judge(File::open(&path).unwrap(), 54321).unwrap(), None);
    } else {
        for path in [&folder, &path] {
            assert_eq!(judge(File::open(path).unwrap(), us() + 1).unwrap(), Some(Distrust::Owner(us())));
        }
    }
}

#[test]
fn below_a_folder_that_only_root_may_enter_nobody_gets_as_far_as_writing() {
    let place = Place::new("closed");
    place.dir("closed", 0o755);
    place.dir("closed/inner", 0o777);
    let (inner, file) = (place.path("closed/inner"), place.file("closed/inner/file", 0o666));
    assert_eq!((judged(&inner).is_some(), judged(&file).is_some()), (true, true));
    for (mode, trusted) in [(0o700, true), (0o701, false), (0o711, false), (0o755, false)] {
        place.mode("closed", mode);
        assert_eq!((judged(&inner).is_none(), judged(&file).is_none()), (trusted, trusted), "{mode:o}");
    }
    // Entered by a group.
    place.mode("closed", 0o750);
    to_a_group(&place.path("closed"));
    assert!(judged(&file).is_some());
    if us() == 0 {
        std::os::unix::fs::chown(place.path("closed"), None, Some(0)).unwrap();
        assert!(judged(&file).is_none());
    }
    // A link from there leads to the file, and it is the file's own folders that count.
    place.mode("closed", 0o700);
    let outside = place.file("outside", 0o666);
    std::os::unix::fs::symlink(&outside, place.path("closed/link")).unwrap();
    assert!(judged(&place.path("closed/link")).is_some());
    // It has another name outside.
    fs::hard_link(&file, place.path("name")).unwrap();
    assert!(judged(&file).is_some());
}

/// Runs a shell in a mount namespace of its own; the way into it is `/proc/PID/root`.
struct Mounts {
    shell: Child,
}

impl Mounts {
    /// `None` where this machine does not let us.
    fn new(script: &str) -> Option<Self> {
        let user: &[&str] = if us() == 0 { &[] } else { &["--user", "--map-root-user"] };
        let shell = Command::new("unshare")
            .args(user)
            .args(["--mount", "sh", "-c", &format!("{script} && echo ready && exec cat")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut mounts = Self { shell: shell.ok()? };
        let mut line = String::new();
        BufReader::new(mounts.shell.stdout.as_mut()?).read_line(&mut line).ok()?;
        (line == "ready\n").then_some(mounts)
    }

    fn path(&self, path: &Path) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{}", self.shell.id(), path.display()))
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// As Kubernetes mounts a ConfigMap.
#[test]
fn on_a_read_only_mount_nobody_can_write() {
    let place = Place::new("read-only");
    let folder = place.dir("volume", 0o1777);
    let file = place.file("volume/file", 0o666);
    assert_eq!((judged(&folder).is_some(), judged(&file).is_some()), (true, true));
    let volume = folder.display();
    let Some(mounts) = Mounts::new(&format!("mount --bind {volume} {volume} && mount -o remount,bind,ro {volume}"))
    else {
        return;
    };
    assert_eq!((judged(&mounts.path(&folder)), judged(&mounts.path(&file))), (None, None));
    if us() == 0 {
        // The owner can write it where it comes from.
        std::os::unix::fs::chown(&file, Some(54321), None).unwrap();
        assert_eq!(judged(&mounts.path(&file)), Some(Distrust::Owner(54321)));
    }
}

#[test]
fn the_first_user_namespace_has_all_users() {
    assert!(has_all_users("         0          0 4294967295\n"));
    assert!(has_all_users(""), "not known: strict");
    assert!(!has_all_users("         0     100000      65536\n"));
    assert!(!has_all_users("         0          0      65536\n"));
}

/// Root's group may write, and by a list somebody else too. Where the file system has lists.
#[test]
fn a_list_is_read_where_the_mode_does_not_tell() {
    let place = Place::new("acl");
    let path = place.file("file", 0o664);
    let file = File::open(&path).unwrap();
    let nobody = u32::MAX;
    let with = |user: u32, group: u16| {
        let list = [(0x01, 6, nobody), (0x02, 6, user), (0x04, group, nobody), (0x10, 6, nobody), (0x20, 4, nobody)];
        acl::tests::encode(&list)
    };
    let flags = rustix::fs::XattrFlags::empty();
    if rustix::fs::fsetxattr(&file, "system.posix_acl_access", &with(54321, 4), flags).is_err() {
        assert_eq!(acl::read(file.as_fd()), Ok(None));
        return;
    }
    assert_eq!(judged(&path), Some(Distrust::Acl));
    rustix::fs::fsetxattr(&file, "system.posix_acl_access", &with(us(), 4), flags).unwrap();
    assert_eq!(judged(&path), None, "the mode alone would say that a group may write");
}

#[test]
fn names_are_plain() {
    let place = Place::new("names");
    place.file("victim", 0o644);
    place.dir("inner", 0o755);
    let folder = Folder::open(&place.path("inner")).unwrap().unwrap();
    for name in ["../victim", "..", ".", "", "a/b", "/etc/passwd", "x\0y"] {
        let name = OsStr::new(name);
        let bad = |error: FolderError| matches!(error, FolderError::BadName { .. });
        assert!(bad(folder.remove(name).unwrap_err()), "{name:?}");
        assert!(bad(folder.read(name, 9).unwrap_err()), "{name:?}");
        assert!(bad(folder.write(name, b"", 0o600, false).unwrap_err()), "{name:?}");
        assert!(bad(folder.make_folder(name, 0o700).unwrap_err()), "{name:?}");
        assert!(bad(folder.folder(name).unwrap_err()), "{name:?}");
        folder.remove_empty_folder(name);
    }
    assert!(place.path("victim").exists());
}

#[test]
fn a_folder_is_written_read_and_emptied() {
    let place = Place::new("folder");
    let name = OsStr::new;
    assert!(Folder::open(&place.path("a/b")).unwrap().is_none());
    let folder = Folder::make(&place.path("a/b"), 0o750).unwrap();
    assert_eq!(folder.read(name("f"), 9).unwrap(), None);
    // What a crash left.
    fs::write(place.path("a/b/f.tmp"), "half").unwrap();
    folder.write(name("f"), b"one", 0o600, true).unwrap();
    folder.write(name("f"), b"two", 0o600, true).unwrap();
    let read = folder.read(name("f"), 9).unwrap().unwrap();
    assert_eq!((read.bytes.as_slice(), read.mode, read.uid), (b"two".as_slice(), 0o600, us()));
    assert!(matches!(folder.read(name("f"), 2), Err(FolderError::TooLarge { .. })));
    assert_eq!(folder.names().unwrap(), ["f"]);
    folder.make_folder(name("sub"), 0o700).unwrap();
    folder.remove_empty_folder(name("sub"));
    folder.rename(name("f"), name("g")).unwrap();
    assert_eq!((folder.remove(name("g")).unwrap(), folder.remove(name("g")).unwrap()), (true, false));
    assert_eq!(folder.names().unwrap().len(), 0);
}

#[test]
fn a_file_keeps_its_group_and_its_permissions_when_it_is_replaced() {
    let place = Place::new("like");
    let path = place.file("f", 0o640);
    to_a_group(&path);
    let folder = Folder::open(&place.0).unwrap().unwrap();
    let before = folder.read(OsStr::new("f"), 9).unwrap().unwrap();
    folder.write_like(OsStr::new("f"), b"new", &before).unwrap();
    let after = folder.read(OsStr::new("f"), 9).unwrap().unwrap();
    assert_eq!(after, Content { bytes: b"new".to_vec(), ..before });
    assert_eq!(after.mode, 0o640);
}

#[test]
fn a_new_name_never_takes_the_place_of_a_file() {
    let place = Place::new("rename");
    place.file("a", 0o600);
    place.file("b", 0o600);
    let folder = Folder::open(&place.0).unwrap().unwrap();
    let rename = |from: &str, to: &str| folder.rename_to_new(OsStr::new(from), OsStr::new(to));
    assert!(!rename("a", "b").unwrap());
    assert!(rename("a", "c").unwrap());
    assert_eq!(folder.names().unwrap(), ["b", "c"]);
    assert!(rename("a", "d").is_err(), "it is not there any more");
    assert!(rename("b", "../d").is_err());
}

#[test]
fn nothing_goes_through_a_link_and_nothing_of_others_is_read() {
    let place = Place::new("links");
    let name = OsStr::new;
    place.dir("real", 0o755);
    place.file("victim", 0o644);
    std::os::unix::fs::symlink(place.path("real"), place.path("link")).unwrap();
    assert!(matches!(Folder::open(&place.path("link")), Err(FolderError::Irregular { .. })));
    let folder = Folder::open(&place.path("real")).unwrap().unwrap();
    std::os::unix::fs::symlink(place.path("victim"), place.path("real/f")).unwrap();
    std::os::unix::fs::symlink(place.path("victim"), place.path("real/f.tmp")).unwrap();
    assert!(matches!(folder.read(name("f"), 9), Err(FolderError::Irregular { .. })));
    folder.write(name("f"), b"new", 0o600, false).unwrap();
    assert_eq!(fs::read_to_string(place.path("victim")).unwrap(), "x");
    place.mode("real/f", 0o606);
    assert!(matches!(folder.read(name("f"), 9), Err(FolderError::Distrusted { .. })));
    place.mode("real", 0o777);
    let error = Folder::open(&place.path("real")).unwrap_err();
    assert!(error.to_string().contains("mode 0777") && error.to_string().contains("chmod go-w"), "{error}");
}
