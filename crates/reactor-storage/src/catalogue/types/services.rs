//! Types of events of what is above file systems, of pools of ZFS, and of the log itself.

use crate::catalogue::types::types;

types! {
    table SERVICES;

    TASK_HUNG: Other, Warning, Service, once;
        "A task waits for something, mostly for storage, for minutes." "Look for storage events before it.";
    ZFS_POOL_SUSPENDED: Zfs, Critical, FileSystem, lasting;
        "A ZFS pool cannot do requests any more and keeps them." "Bring its disks back, then `zpool clear`.";
    ZFS_POOL_RESUMED: Zfs, Notice, FileSystem, once, clears [ZFS_POOL_SUSPENDED];
        "A ZFS pool's errors were cleared." "Nothing.";
    ZFS_IO_ERROR: Zfs, Error, FileSystem, once;
        "A request to a disk of a ZFS pool failed." "Look at the disk: `zpool status`.";
    ZFS_CHECKSUM: Zfs, Critical, FileSystem, once;
        "A block of a ZFS pool is not what was written." "Look at `zpool status -v`; scrub the pool.";
    ZFS_DATA_LOST: Zfs, Critical, FileSystem, lasting;
        "A block of a ZFS pool could not be read from any copy." "Look at `zpool status -v` for the files; restore them.";
    ZFS_VDEV_STATE: Zfs, Notice, FileSystem, once, clears [ZFS_VDEV_FAILED];
        "A disk of a ZFS pool changed its state." "Look at `zpool status`.";
    ZFS_VDEV_FAILED: Zfs, Critical, FileSystem, lasting;
        "A disk of a ZFS pool failed or is gone." "Replace it: `zpool replace`.";
    ZFS_EVENT: Zfs, Info, FileSystem, once;
        "Something happened to a ZFS pool." "Nothing.";
    FS_DESKTOP_MOUNT: Fs, Info, Service, once;
        "udisks mounted or unmounted something." "Nothing.";
    LOG_SUPPRESSED: Other, Info, Service, once;
        "The kernel left out messages, because there were too many: counts are lower bounds." "Nothing.";
}
