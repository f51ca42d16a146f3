//! The mount table: `/proc/self/mountinfo`.

use serde::{Deserialize, Serialize};

use super::facts::{cut, unescape};
use super::names::Number;

/// Mounts that are kept: a machine with more of them runs containers, and those repeat what is mounted.
const MAX_MOUNTS: usize = 65_536;

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Of the file system. That of btrfs is none of its devices'.
    pub number: Number,
    /// What is mounted, as mount was told: `/dev/mapper/vg-lv`.
    pub source: String,
    /// Where, and how.
    pub point: MountPoint,
}

/// Where a file system is mounted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MountPoint {
    /// The folder.
    pub path: String,
    /// The type of the file system.
    pub fs_type: String,
    /// Whether it is mounted read-only, or the file system has become so.
    pub read_only: bool,
}

/// File systems without a device that files of loop devices can be on: these are not on the disk around them.
const WITHOUT_DEVICE: [&str; 13] =
    ["9p", "ceph", "cifs", "fuse", "nfs", "nfs4", "ocfs2", "overlay", "ramfs", "smb3", "tmpfs", "virtiofs", "zfs"];

/// Reads the table. Lines that have not its form are left out, and so are file systems without a device and without files.
pub fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(line).take(MAX_MOUNTS).collect()
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`: proc(5). Only a `-` ends the optional fields.
fn line(line: &str) -> Option<Mount> {
    let mut fields = line.split(' ');
    let number: Number = fields.nth(2)?.parse().ok()?;
    let path = unescape(fields.nth(1)?);
    let mount_options = fields.next()?;
    fields.by_ref().find(|field| *field == "-")?;
    let fs_type = cut(fields.next()?);
    let source = unescape(fields.next()?);
    let super_options = fields.next().unwrap_or_default();
    let has_files = || WITHOUT_DEVICE.contains(&fs_type.split('.').next().unwrap_or_default());
    if number.major == 0 && !source.starts_with("/dev/") && !has_files() {
        return None;
    }
    let has_ro = |options: &str| options.split(',').any(|option| option == "ro");
    let read_only = has_ro(mount_options) || has_ro(super_options);
    Some(Mount { number, source, point: MountPoint { path, fs_type, read_only } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_of_devices_are_read_and_others_are_not() {
        let text = "\
            22 27 0:21 / /proc rw,relatime - proc proc rw\n\
            36 35 253:2 / /srv/a\\040b rw,noatime master:1 shared:2 - xfs /dev/mapper/vg-lv rw,attr2\n\
            37 35 8:1 / /boot rw - ext4 /dev/sda1 ro,errors=remount-ro\n\
            38 35 0:35 /@home /home rw shared:4 - btrfs /dev/sdb rw,subvol=/@home\n\
            broken\n\
            39 35 8:x / /no rw - ext4 /dev/sdx rw\n";
        let shown: Vec<String> = parse(text)
            .iter()
            .map(|m| format!("{} {} {} {} {}", m.number, m.source, m.point.path, m.point.fs_type, m.point.read_only))
            .collect();
        let expected = [
            "253:2 /dev/mapper/vg-lv /srv/a b xfs false",
            "8:1 /dev/sda1 /boot ext4 true",
            "0:35 /dev/sdb /home btrfs false",
        ];
        assert_eq!(shown, expected);
    }
}
