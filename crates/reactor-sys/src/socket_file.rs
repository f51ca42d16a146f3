//! The file of a unix socket: made so that nobody can connect who may not, replaced if its daemon is dead, never taken from one that lives.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use reactor_trust::{Folder, FolderError};
use rustix::fs::{AtFlags, CWD, FlockOperation, Gid, Mode, OFlags, XattrFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 128;

/// Where Linux keeps the access list of a file.
const ACCESS_LIST: &str = "system.posix_acl_access";

/// Why the socket could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another daemon has it.
    #[error("another daemon already serves {}", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else has its name.
    #[error("{} exists and is not a socket: not touched, move it away", path.display())]
    NotASocket {
        /// What is there.
        path: PathBuf,
    },
    /// Its folder, or the lock in it, can't be used.
    #[error("cannot use the folder of the socket")]
    Folder(#[source] FolderError),
    /// The path does not fit into a socket address, which ends at 107 bytes.
    #[error("the path of the socket is too long, it may have 107 bytes: {}", path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
    },
    /// Anything else.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The access list of a socket file that one more group may open, as the kernel has it: version 2, then tag, permissions and number of each entry.
fn access_list(gid: u32) -> Vec<u8> {
    const OWNER: u16 = 0x01;
    const OWN_GROUP: u16 = 0x04;
    const GROUP: u16 = 0x08;
    const MASK: u16 = 0x10;
    const OTHERS: u16 = 0x20;
    const NOBODY: u32 = u32::MAX;
    let (version, may, may_not) = (2_u32, 6_u16, 0_u16);
    let mut list = version.to_le_bytes().to_vec();
    for (tag, permissions, id) in [
        (OWNER, may, NOBODY),
        (OWN_GROUP, may, NOBODY),
        (GROUP, may, gid),
        (MASK, may, NOBODY),
        (OTHERS, may_not, NOBODY),
    ] {
        list.extend(tag.to_le_bytes());
        list.extend(permissions.to_le_bytes());
        list.extend(id.to_le_bytes());
    }
    list
}

/// Who may connect besides the owner and the group of the file. Apart from the socket, because its folder may hang.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    path: PathBuf,
    identity: (u64, u64),
    /// The group that is let in. Whoever comes last has said it last, also if an earlier one hung.
    wanted: Arc<Mutex<Option<u32>>>,
    /// One at a time.
    turn: Arc<Mutex<()>>,
}

impl Door {
    /// Lets a group in from now on, or none beside the file's own.
    pub(crate) fn want(&self, gid: Option<u32>) {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = gid;
    }

    /// Makes the file what is wanted. Blocks.
    pub(crate) fn apply(&self) -> io::Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = *self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let now = fs::symlink_metadata(&self.path)?;
        if (now.dev(), now.ino()) != self.identity {
            return Ok(());
        }
        match wanted.filter(|gid| *gid != now.gid()) {
            Some(gid) => rustix::fs::lsetxattr(&self.path, ACCESS_LIST, &access_list(gid), XattrFlags::empty())?,
            None => match rustix::fs::lremovexattr(&self.path, ACCESS_LIST) {
                // There was none, or there are none at all.
                Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
                Err(error) => return Err(error.into()),
            },
        }
        Ok(())
    }
}

/// A listening socket. Dropping it removes the file, if it is still ours.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode of the file.
    identity: (u64, u64),
    listener: UnixListener,
    /// Locked as long as we live: two daemons that start at once cannot both find the old socket dead.
    _lock: File,
    /// What went not as it should, but is no reason to stop.
    pub warnings: Vec<String>,
}

impl SocketFile {
    /// Listens on `path` with mode 0660. The file gets the group `group` if there is one of that name.
    pub fn bind(path: &Path, group: &str) -> Result<Self, BindError> {
        Self::bind_with_group(path, group_named(group))
    }

    pub(crate) fn bind_with_group(path: &Path, gid: Option<u32>) -> Result<Self, BindError> {
        let failed = |what| move |source: io::Error| BindError::Io { what, path: path.to_owned(), source };
        let address = SocketAddrUnix::new(path).map_err(|_| BindError::PathTooLong { path: path.to_owned() })?;
        let folder = Folder::make(folder_of(path), 0o755).map_err(BindError::Folder)?;
        let lock = lock(path, &folder)?;
        remove_stale(path)?;

        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .map_err(|error| failed("make a socket for")(error.into()))?;
        // Linux gives the file the mode of the unbound socket: at no moment can anybody connect who may not.
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(0o600)).map_err(|error| failed("set the mode of")(error.into()))?;
        rustix::net::bind(&fd, &address).map_err(|error| failed("bind")(error.into()))?;
        let mut warnings = Vec::new();
        if let Some(gid) = gid {
            // As an ordinary user this works only with a group of one's own.
            let own = rustix::fs::chownat(CWD, path, None, Some(Gid::from_raw(gid)), AtFlags::SYMLINK_NOFOLLOW);
            if let Err(error) = own {
                warnings.push(format!("cannot give {} to group {gid}: {error}", path.display()));
            }
        }
        fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(failed("set the mode of"))?;
        rustix::net::listen(&fd, BACKLOG).map_err(|error| failed("listen on")(error.into()))?;
        let metadata = fs::symlink_metadata(path).map_err(failed("look at"))?;
        let identity = (metadata.dev(), metadata.ino());
        Ok(Self { path: path.to_owned(), identity, listener: UnixListener::from(fd), _lock: lock, warnings })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who may connect.
    pub(crate) fn door(&self) -> Door {
        let (wanted, turn) = (Arc::default(), Arc::default());
        Door { path: self.path.clone(), identity: self.identity, wanted, turn }
    }

    /// A second handle of the listener, non-blocking, for the server's task.
    pub(crate) fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|now| (now.dev(), now.ino()) == self.identity);
        if ours {
            // A leftover is harmless: the next daemon finds it dead and replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The lock beside the socket. The kernel gives it back when its daemon ends, however it ends.
fn lock(path: &Path, folder: &Folder) -> Result<File, BindError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let failed = |what| {
        let path = folder.path().join(&name);
        move |source: io::Error| BindError::Io { what, path, source }
    };
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = rustix::fs::openat(folder, &name, flags, Mode::from_raw_mode(0o600))
        .map_err(|error| failed("open")(error.into()))?;
    if let Some(distrust) = reactor_trust::judge_for_us(&fd).map_err(failed("look at"))? {
        return Err(BindError::Folder(FolderError::Distrusted { path: folder.path().join(&name), distrust }));
    }
    match rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(File::from(fd)),
        Err(Errno::WOULDBLOCK) => Err(BindError::InUse { path: path.to_owned() }),
        Err(error) => Err(failed("lock")(error.into())),
    }
}

/// Removes the socket of a daemon that is gone.
fn remove_stale(path: &Path) -> Result<(), BindError> {
    let failed = |what| move |source: io::Error| BindError::Io { what, path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at")(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(BindError::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    // The lock says that no daemon of ours is there; ask anyway, in case somebody removed the lock file.
    match connect(path).map_err(io::Error::from) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed("remove the old socket"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Somebody listens, and hangs: so many wait already that there is no room.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(BindError::InUse { path: path.to_owned() }),
        Err(error) => Err(failed("ask who serves")(error)),
        Ok(()) => Err(BindError::InUse { path: path.to_owned() }),
    }
}

/// Connects, and hangs up. Never waits for whoever listens there.
fn connect(path: &Path) -> rustix::io::Result<()> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)
}

/// The number of a group of this system; `None` = there is none of that name.
pub(crate) fn group_named(name: &str) -> Option<u32> {
    fs::read_to_string("/etc/group").ok().and_then(|text| group_id(&text, name))
}

/// The number of the group `name` in the text of `/etc/group`. Groups of other name services do not count.
fn group_id(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then_some(())?;
        fields.nth(1)?.trim().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own for one test, removed at the end.
    struct Home(PathBuf);

    impl Home {
        fn new(name: &str) -> Self {
            let path = crate::testing::open_to_all().join(format!("reactor-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Home {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn only_owner_and_group_may_connect() {
        let folder = Home::new("mode");
        let path = folder.0.join("run/control.sock");
        let own_group = rustix::process::getgid().as_raw();
        let socket = SocketFile::bind_with_group(&path, Some(own_group)).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.mode() & 0o777, 0o660);
        assert_eq!(metadata.gid(), own_group);
        assert!(socket.warnings.is_empty());
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_group_is_let_in_and_out_again() {
        let folder = Home::new("door");
        let path = folder.0.join("control.sock");
        let socket = SocketFile::bind_with_group(&path, None).unwrap();
        let door = socket.door();
        let list = || {
            let mut list = Vec::with_capacity(256);
            rustix::fs::lgetxattr(&path, ACCESS_LIST, rustix::buffer::spare_capacity(&mut list)).map(|_| list)
        };
        let own = fs::metadata(&path).unwrap().gid();
        door.want(Some(own + 1));
        match door.apply() {
            Err(error) if error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => return,
            applied => applied.unwrap(),
        }
        assert_eq!(list().unwrap(), access_list(own + 1));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o660, "nobody else is let in");
        // The file's own group needs no list; nor does nobody.
        for wanted in [Some(own), None] {
            door.want(Some(own + 2));
            door.apply().unwrap();
            door.want(wanted);
            door.apply().unwrap();
            assert_eq!(list(), Err(Errno::NODATA));
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
        }
        // Another file in its place is not ours to open.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        door.want(Some(own + 1));
        door.apply().unwrap();
        assert_eq!(list(), Err(Errno::NODATA));
        drop(socket);
    }

    #[test]
    fn a_dead_daemons_socket_is_replaced_and_a_living_ones_is_not() {
        let folder = Home::new("stale");
        let path = folder.0.join("control.sock");
        // Dead: the file is there, nobody listens.
        drop(UnixListener::bind(&path).unwrap());
        let first = SocketFile::bind_with_group(&path, None).unwrap();
        let error = SocketFile::bind_with_group(&path, None).unwrap_err();
        assert_eq!(error.to_string(), format!("another daemon already serves {}", path.display()));
        drop(first);
        // A program that knows nothing of our lock.
        let _other = UnixListener::bind(&path).unwrap();
        assert!(matches!(SocketFile::bind_with_group(&path, None), Err(BindError::InUse { .. })));
    }

    /// Whoever asked who serves there waited for ever.
    #[test]
    fn one_who_hangs_and_takes_no_connection_is_not_waited_for() {
        let folder = Home::new("full");
        let path = folder.0.join("control.sock");
        let hangs = UnixListener::bind(&path).unwrap();
        rustix::net::listen(&hangs, 0).unwrap();
        let mut waiting = Vec::new();
        loop {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
            match rustix::net::connect(&socket, &SocketAddrUnix::new(&path).unwrap()) {
                Ok(()) => waiting.push(socket),
                Err(error) => break assert_eq!(error, Errno::AGAIN),
            }
        }
        let (told, hears) = std::sync::mpsc::channel();
        let asked = path.clone();
        std::thread::spawn(move || told.send(SocketFile::bind_with_group(&asked, None).map(drop)));
        let answer = hears.recv_timeout(std::time::Duration::from_secs(60)).expect("it does not wait");
        assert!(matches!(answer, Err(BindError::InUse { .. })), "{answer:?}");
    }

    #[test]
    fn other_files_are_never_touched() {
        let folder = Home::new("file");
        let path = folder.0.join("control.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(SocketFile::bind_with_group(&path, None), Err(BindError::NotASocket { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        // A link to somewhere else is not followed.
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        assert!(matches!(SocketFile::bind_with_group(&path, None), Err(BindError::NotASocket { .. })));
        let lock = folder.0.join("other.sock.lock");
        std::os::unix::fs::symlink(folder.0.join("victim"), lock).unwrap();
        assert!(matches!(
            SocketFile::bind_with_group(&folder.0.join("other.sock"), None),
            Err(BindError::Io { what: "open", .. })
        ));
        assert!(!folder.0.join("victim").exists());
    }

    /// Whoever can write the folder could put another socket in place of ours.
    #[test]
    fn a_folder_that_others_can_write_gets_no_socket() {
        let folder = Home::new("distrusted");
        let path = folder.0.join("control.sock");
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        mode(&folder.0, 0o1777);
        let error = SocketFile::bind_with_group(&path, None).unwrap_err();
        assert!(matches!(error, BindError::Folder(FolderError::Distrusted { .. })), "{error:?}");
        mode(&folder.0, 0o755);
        std::os::unix::fs::symlink(&folder.0, folder.0.join("link")).unwrap();
        let through_a_link = SocketFile::bind_with_group(&folder.0.join("link/control.sock"), None);
        assert!(matches!(through_a_link, Err(BindError::Folder(FolderError::Irregular { .. }))));
        drop(SocketFile::bind_with_group(&path, None).unwrap());
        mode(&folder.0.join("control.sock.lock"), 0o606);
        assert!(matches!(SocketFile::bind_with_group(&path, None), Err(BindError::Folder(_))));
    }

    #[test]
    fn a_long_path_is_said_to_be_long() {
        let path = Path::new("/tmp").join("x".repeat(200)).join("control.sock");
        assert!(matches!(SocketFile::bind_with_group(&path, None), Err(BindError::PathTooLong { .. })));
    }

    #[test]
    fn groups_are_found_by_name() {
        let text = "root:x:0:\nbroken\nstorage-reactor-2:x:7:\nstorage-reactor:x:998:anna,bert\n";
        assert_eq!(group_id(text, "storage-reactor"), Some(998));
        assert_eq!(group_id(text, "storage"), None);
        assert_eq!(group_id("storage-reactor:x:many:\n", "storage-reactor"), None);
        assert_eq!(group_id("", "storage-reactor"), None);
    }
}
