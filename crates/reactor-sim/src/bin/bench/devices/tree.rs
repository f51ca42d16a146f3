//! A machine with many block devices, as a folder: LUNs with two paths by Fibre Channel each, multipath, a logical volume, DRBD on that.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Devices for each LUN: two paths, the map, the volume, DRBD's.
pub(crate) const PER_LUN: usize = 5;

/// Writes it.
pub(crate) fn write(root: &Path, luns: usize) -> io::Result<()> {
    let mut mounts = String::from("22 27 0:21 / /proc rw,relatime - proc proc rw\n");
    for folder in ["sys/class/block", "run/udev/data", "proc/self"] {
        fs::create_dir_all(root.join(folder))?;
    }
    for host in [6, 7] {
        texts(&root.join(format!("sys/class/scsi_host/host{host}")), &[("proc_name", "lpfc")])?;
        let host_texts = [("port_name", "0x10000000c9a00006"), ("speed", "16 Gbit"), ("port_state", "Online")];
        texts(&root.join(format!("sys/class/fc_host/host{host}")), &host_texts)?;
        let port_texts = [("port_name", "0x500a0982aa000001"), ("port_state", "Online")];
        texts(&root.join(format!("sys/class/fc_remote_ports/rport-{host}:0-2")), &port_texts)?;
    }
    for lun in 0..luns {
        write_lun(root, lun)?;
        let _ = writeln!(mounts, "{} 1 147:{lun} / /srv/r{lun} rw - ext4 /dev/drbd{lun} rw", 40 + lun);
    }
    fs::write(root.join("proc/self/mountinfo"), mounts)
}

/// The kernel's name of the disk: `sda` to `sdz`, then `sdaa`.
pub(crate) fn disk(mut number: usize) -> String {
    let mut letters = Vec::new();
    loop {
        letters.push(char::from(b'a' + u8::try_from(number % 26).unwrap_or_default()));
        match (number / 26).checked_sub(1) {
            Some(rest) => number = rest,
            None => break,
        }
    }
    format!("sd{}", letters.into_iter().rev().collect::<String>())
}

/// The device number of the disk, of those majors that the kernel has for disks, and one beyond them.
pub(crate) fn disk_number(number: usize) -> (usize, usize) {
    (259 + number / 16, number % 16 * 16)
}

fn write_lun(root: &Path, lun: usize) -> io::Result<()> {
    let wwid = format!("6001405{lun:025x}");
    let mut paths = Vec::new();
    for (path, host) in [6, 7].into_iter().enumerate() {
        let number = lun * 2 + path;
        let name = disk(number);
        let (major, minor) = disk_number(number);
        let target = format!("pci0000:00/0000:05:00.{path}/host{host}/rport-{host}:0-2/target{host}:0:0");
        let device = root.join(format!("sys/devices/{target}/{host}:0:0:{lun}"));
        let naa = format!("naa.{wwid}");
        texts(&device, &[("wwid", &naa), ("vendor", "EXAMPLE"), ("model", "Disk"), ("state", "running")])?;
        let devpath = format!("{target}/{host}:0:0:{lun}/block/{name}");
        let udev = format!(
            "S:disk/by-path/pci-0000:05:00.{path}-fc-0x500a0982aa000001-lun-{lun}\nE:ID_SERIAL=3{wwid}\nE:ID_BUS=scsi\nE:ID_FS_TYPE=mpath_member\n"
        );
        let number = format!("{major}:{minor}");
        block(root, &devpath, &number, &[("diskseq", "7")], &[], &udev)?;
        symlink(format!("../../../{host}:0:0:{lun}"), root.join(format!("sys/devices/{devpath}/device")))?;
        paths.push(name);
    }
    let mapper = format!("mpath-3{wwid}");
    let name = format!("mpath{lun}");
    let udev = format!(
        "S:mapper/{name}\nS:disk/by-id/dm-name-{name}\nS:disk/by-id/wwn-0x{wwid}\nE:ID_FS_TYPE=LVM2_member\nE:ID_FS_UUID=pv{lun}\n"
    );
    let map = format!("dm-{}", 2 * lun);
    dm_block(root, 2 * lun, (&name, &mapper), &paths, &udev)?;
    let lv = format!("vg{lun}-data");
    let uuid = format!("LVM-{lun:032}{lun:032}");
    let udev = format!("S:mapper/{lv}\nS:vg{lun}/data\nE:ID_FS_TYPE=drbd\n");
    dm_block(root, 2 * lun + 1, (&lv, &uuid), &[map], &udev)?;
    let udev = format!("S:drbd/by-res/r{lun}/0\nE:ID_FS_TYPE=ext4\nE:ID_FS_UUID=0c7e0000-1111-4222-8333-{lun:012x}\n");
    let devpath = format!("virtual/block/drbd{lun}");
    block(root, &devpath, &format!("147:{lun}"), &[], &[format!("dm-{}", 2 * lun + 1)], &udev)
}

fn dm_block(root: &Path, minor: usize, (name, uuid): (&str, &str), slaves: &[String], udev: &str) -> io::Result<()> {
    let texts = [("dm/name", name), ("dm/uuid", uuid), ("dm/suspended", "0")];
    block(root, &format!("virtual/block/dm-{minor}"), &format!("253:{minor}"), &texts, slaves, udev)
}

fn block(
    root: &Path,
    devpath: &str,
    number: &str,
    more: &[(&str, &str)],
    slaves: &[String],
    udev: &str,
) -> io::Result<()> {
    let folder: PathBuf = root.join("sys/devices").join(devpath);
    texts(&folder, &[("dev", number), ("size", "2097152"), ("ro", "0")])?;
    texts(&folder, more)?;
    if !slaves.is_empty() {
        fs::create_dir_all(folder.join("slaves"))?;
    }
    for slave in slaves {
        symlink(format!("../../{slave}"), folder.join("slaves").join(slave))?;
    }
    let name = devpath.rsplit('/').next().unwrap_or_default();
    symlink(format!("../../devices/{devpath}"), root.join("sys/class/block").join(name))?;
    fs::write(root.join(format!("run/udev/data/b{number}")), udev)
}

fn texts(folder: &Path, texts: &[(&str, &str)]) -> io::Result<()> {
    for (file, text) in texts {
        let path = folder.join(file);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, format!("{text}\n"))?;
    }
    Ok(())
}
