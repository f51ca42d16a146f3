#!/usr/bin/env python3
"""Writes the folders in tests/sysfs: machines that were made up, with the files that the reader looks at and nothing else.

Run it after a change here, and look at the difference. The listings beside them are written by the test, with UPDATE_EXPECT=1.
"""

import os
import shutil
from pathlib import Path

TREES = Path(__file__).parent / "sysfs"


class Tree:
    """One machine."""

    def __init__(self, name):
        self.root = TREES / name
        for part in ("sys", "run", "proc"):
            shutil.rmtree(self.root / part, ignore_errors=True)
        (self.root / "sys/class/block").mkdir(parents=True)
        self.mount_lines = []

    def write(self, path, text):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(f"{text}\n")

    def link(self, path, target):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    def block(self, devpath, number, size, files=(), slaves=(), links=(), udev=()):
        """A block device: its folder, the link to it, what udev knows of it."""
        name = devpath.rsplit("/", 1)[1]
        base = f"sys/devices/{devpath}"
        self.link(f"sys/class/block/{name}", f"../../devices/{devpath}")
        if number:
            self.write(f"{base}/dev", number)
        self.write(f"{base}/size", size)
        self.write(f"{base}/ro", 0)
        for file, text in dict(files).items():
            self.write(f"{base}/{file}", text)
        for slave in slaves:
            self.link(f"{base}/slaves/{slave}", f"../../{slave}")
        if links or udev:
            lines = [f"S:{link}" for link in links] + ["I:1234567"] + [f"E:{key}={value}" for key, value in dict(udev).items()]
            self.write(f"run/udev/data/b{number}", "\n".join(lines))

    def scsi(self, path, address, name, number, size, wwid, extra=(), **more):
        """A SCSI disk below the path of its target."""
        base = f"{path}/{address}"
        device = {"wwid": wwid, "vendor": "EXAMPLE ", "model": "Disk            ", "state": "running", **dict(extra)}
        for file, text in device.items():
            if text is not None:
                self.write(f"sys/devices/{base}/{file}", text)
        self.block(f"{base}/block/{name}", number, size, **more)
        self.link(f"sys/devices/{base}/block/{name}/device", "../../../" + address)
        return f"{base}/block/{name}"

    def dm(self, minor, name, uuid, size, slaves, **more):
        files = {"dm/name": name, "dm/suspended": 0}
        if uuid:
            files["dm/uuid"] = uuid
        links = [f"mapper/{name}", *more.pop("links", ())]
        self.block(f"virtual/block/dm-{minor}", f"253:{minor}", size, files, slaves, links, **more)

    def mount(self, number, source, point, fs_type, options="rw", root="/"):
        ident = 40 + len(self.mount_lines)
        self.mount_lines.append(f"{ident} 1 {number} {root} {point} {options},relatime shared:{ident} - {fs_type} {source} {options}")
        self.write("proc/self/mountinfo", "22 27 0:21 / /proc rw,relatime - proc proc rw\n" + "\n".join(self.mount_lines))


def lv(vg, number, suffix=""):
    """A dm uuid of LVM: 32 characters of the group, 32 of the volume."""
    return "LVM-" + (vg * 32)[:32] + f"{number:032d}" + suffix


def fs(fs_type, uuid, label=None):
    found = {"ID_FS_TYPE": fs_type, "ID_FS_UUID": uuid}
    if label:
        found |= {"ID_FS_LABEL": label, "ID_FS_LABEL_ENC": label}
    return found


def fc_multipath():
    """Two paths by Fibre Channel, multipath, LVM, DRBD, ext4 that is mounted."""
    tree = Tree("fc-multipath")
    for host, target, function, name, number in ((6, "0x500a0982aa000001", "0", "sda", "8:0"), (7, "0x500a0982aa000002", "1", "sdb", "8:16")):
        path = f"pci0000:00/0000:00:03.0/0000:05:00.{function}/host{host}/rport-{host}:0-2/target{host}:0:0"
        udev = {"ID_BUS": "scsi", "ID_SERIAL": "36001405aabbccdd00112233", "ID_WWN": "0x6001405aabbccdd0", "ID_WWN_WITH_EXTENSION": "0x6001405aabbccdd00112233"}
        udev |= {"ID_FS_TYPE": "mpath_member", "ID_PATH": f"pci-0000:05:00.{function}-fc-{target}-lun-0"}
        links = [f"disk/by-path/pci-0000:05:00.{function}-fc-{target}-lun-0"]
        tree.scsi(path, f"{host}:0:0:0", name, number, 41943040, "naa.6001405aabbccdd00112233", files={"diskseq": host}, links=links, udev=udev)
        tree.write(f"sys/class/scsi_host/host{host}/proc_name", "lpfc")
        tree.write(f"sys/class/fc_host/host{host}/port_name", f"0x10000000c9a0000{host}")
        tree.write(f"sys/class/fc_host/host{host}/speed", "16 Gbit")
        tree.write(f"sys/class/fc_host/host{host}/port_state", "Online" if host == 6 else "Linkdown")
        tree.write(f"sys/class/fc_remote_ports/rport-{host}:0-2/port_name", target)
        tree.write(f"sys/class/fc_remote_ports/rport-{host}:0-2/port_state", "Online" if host == 6 else "Blocked")
    links = ["disk/by-id/dm-name-mpatha", "disk/by-id/wwn-0x6001405aabbccdd00112233"]
    tree.dm(0, "mpatha", "mpath-36001405aabbccdd00112233", 41943040, ["sda", "sdb"], links=links, udev=fs("LVM2_member", "AaBbCc-1111-2222-3333-4444-5555-666666"))
    tree.dm(1, "vg--a-data", lv("Vg", 1), 20971520, ["dm-0"], links=["vg-a/data"], udev=fs("drbd", "a1b2c3d4e5f60718"))
    tree.block("virtual/block/drbd1000", "147:1000", 20971000, {}, ["dm-1"], ["drbd/by-res/r0/0", "disk/by-uuid/0c7e0000-1111-4222-8333-444455556666"], fs("ext4", "0c7e0000-1111-4222-8333-444455556666", "data"))
    tree.mount("147:1000", "/dev/drbd1000", "/srv/data", "ext4")


def iscsi():
    """A disk by iSCSI with a partition, and btrfs over two disks."""
    tree = Tree("iscsi")
    for session, name, number, address in ((1, "sda", "8:0", "10.0.0.1"), (2, "sdb", "8:16", "fd00::1")):
        path = f"platform/host{session + 1}/session{session}/target{session + 1}:0:0"
        disk = tree.scsi(path, f"{session + 1}:0:0:1", name, number, 2097152, f"naa.60014050000000{session}", udev={"ID_BUS": "scsi", "ID_SERIAL": f"360014050000000{session}"} | (fs("btrfs", "b7b70000-1111-4222-8333-444455556666") if session == 2 else {}))
        tree.write(f"sys/class/scsi_host/host{session + 1}/proc_name", "iscsi_tcp")
        for file, text in {"targetname": f"iqn.2026-01.org.example:disk{session}", "tpgt": 1, "ifacename": "default", "state": "LOGGED_IN"}.items():
            tree.write(f"sys/class/iscsi_session/session{session}/{file}", text)
        for file, text in {"persistent_address": address, "persistent_port": 3260, "address": address, "port": 3260}.items():
            tree.write(f"sys/class/iscsi_connection/connection{session}:0/{file}", text)
        if session == 1:
            tree.block(f"{disk}/sda1", "8:1", 2095104, {"partition": 1}, (), ["disk/by-partuuid/11112222-01"], {"DEVTYPE": "partition", "ID_PART_ENTRY_NUMBER": 1, "ID_PART_ENTRY_UUID": "11112222-01", "ID_SERIAL": "3600140500000001", **fs("btrfs", "b7b70000-1111-4222-8333-444455556666")})
    tree.mount("0:44", "/dev/sda1", "/home", "btrfs", root="/@home")


def nvme():
    """A disk in a slot with partitions: one is mounted, on the other there is a thin pool."""
    tree = Tree("nvme")
    controller = "pci0000:00/0000:00:1d.0/0000:01:00.0/nvme/nvme0"
    for file, text in {"serial": "S4EWNX0R000001      ", "model": "Example SSD 1TB ", "state": "live", "transport": "pcie", "address": "0000:01:00.0", "subsysnqn": "nqn.2014.08.org.example:ssd"}.items():
        tree.write(f"sys/devices/{controller}/{file}", text)
    tree.link("sys/class/nvme/nvme0", f"../../devices/{controller}")
    disk = f"{controller}/nvme0n1"
    serial = {"ID_SERIAL": "Example SSD 1TB_S4EWNX0R000001", "ID_SERIAL_SHORT": "S4EWNX0R000001", "ID_WWN": "eui.0025385800000001", "ID_PART_TABLE_UUID": "aaaa0000-0000-4000-8000-000000000001"}
    tree.block(disk, "259:0", 1953525168, {"wwid": "eui.0025385800000001", "eui": "00 25 38 58 00 00 00 01"}, (), ["disk/by-id/nvme-Example_SSD_1TB_S4EWNX0R000001", "disk/by-id/nvme-eui.0025385800000001"], serial)
    tree.link(f"sys/devices/{disk}/device", "../../nvme0")
    tree.block(f"{disk}/nvme0n1p1", "259:1", 1048576, {"partition": 1}, (), ["disk/by-id/nvme-eui.0025385800000001-part1"], {**serial, **fs("vfat", "1A2B-3C4D", "EFI"), "ID_PART_ENTRY_NUMBER": 1, "ID_PART_ENTRY_NAME": "esp", "ID_PART_ENTRY_UUID": "bbbb0000-0000-4000-8000-000000000001"})
    tree.block(f"{disk}/nvme0n1p2", "259:2", 1952474112, {"partition": 2}, (), ["disk/by-id/nvme-eui.0025385800000001-part2"], {**serial, **fs("LVM2_member", "PpVv00-1111-2222-3333-4444-5555-666666"), "ID_PART_ENTRY_NUMBER": 2})
    tree.dm(0, "vg-pool_tmeta", lv("Th", 1, "-tmeta"), 8192, ["nvme0n1p2"])
    tree.dm(1, "vg-pool_tdata", lv("Th", 2, "-tdata"), 819200, ["nvme0n1p2"])
    tree.dm(2, "vg-pool-tpool", lv("Th", 3, "-tpool"), 819200, ["dm-0", "dm-1"])
    tree.dm(3, "vg-pool", lv("Th", 3, "-pool"), 819200, ["dm-2"])
    tree.dm(4, "vg-thin1", lv("Th", 4), 2097152, ["dm-2"], links=["vg/thin1"], udev=fs("xfs", "7777aaaa-1111-4222-8333-444455556666"))
    tree.mount("253:4", "/dev/mapper/vg-thin1", "/var/lib/images\\040of\\040mine", "xfs")
    tree.mount("259:1", "/dev/nvme0n1p1", "/boot/efi", "vfat")


def nvme_tcp():
    """One namespace by two controllers over TCP, with native multipath."""
    tree = Tree("nvme-tcp")
    subsystem = "virtual/nvme-subsystem/nvme-subsys0"
    wwid = "uuid.12345678-1111-4222-8333-444455556666"
    ids = {"wwid": wwid, "uuid": wwid[5:], "nguid": "00000000-0000-0000-0000-000000000000"}
    for number in (0, 1):
        controller = f"virtual/nvme-fabrics/ctl/nvme{number}"
        for file, text in {"serial": "0123456789abcdef", "model": "Linux", "transport": "tcp", "address": f"traddr=10.0.0.{number + 1},trsvcid=4420,src_addr=10.0.0.9", "subsysnqn": "nqn.2026-01.org.example:sub1", "state": ("live", "connecting")[number]}.items():
            tree.write(f"sys/devices/{controller}/{file}", text)
        tree.link(f"sys/class/nvme/nvme{number}", f"../../devices/{controller}")
        tree.link(f"sys/devices/{subsystem}/nvme{number}", f"../../nvme-fabrics/ctl/nvme{number}")
        tree.block(f"{controller}/nvme0c{number}n1", None, 2097152, {**ids, "hidden": 1})
        tree.link(f"sys/devices/{controller}/nvme0c{number}n1/device", f"../../nvme{number}")
    tree.block(f"{subsystem}/nvme0n1", "259:0", 2097152, {**ids, "hidden": 0}, (), [f"disk/by-id/nvme-{wwid}"], fs("ext4", "e4e40000-1111-4222-8333-444455556666"))
    tree.mount("259:0", "/dev/nvme0n1", "/srv/remote", "ext4", "ro")


def md_raid():
    """Two SATA disks with a partition each, raid1 on them, xfs; one member is missing."""
    tree = Tree("md-raid1")
    for at, (name, minor) in enumerate((("sda", 0), ("sdb", 16))):
        disk = tree.scsi(f"pci0000:00/0000:00:1f.2/ata{at + 1}/host{at}/target{at}:0:0", f"{at}:0:0:0", name, f"8:{minor}", 1953525168, f"t10.ATA     Example HDD      WD-{at:08d}  ", links=[f"disk/by-id/ata-Example_HDD_WD-{at:08d}", f"disk/by-id/wwn-0x50014ee00000000{at}"], udev={"ID_BUS": "ata", "ID_SERIAL": f"Example_HDD_WD-{at:08d}", "ID_SERIAL_SHORT": f"WD-{at:08d}", "ID_WWN": f"0x50014ee00000000{at}"})
        tree.write(f"sys/class/scsi_host/host{at}/proc_name", "ahci")
        tree.block(f"{disk}/{name}1", f"8:{minor + 1}", 1953523120, {"partition": 1}, (), [f"disk/by-id/wwn-0x50014ee00000000{at}-part1"], {"ID_PART_ENTRY_NUMBER": 1, **fs("linux_raid_member", "3d2b1a00-aaaa-bbbb-cccc-00000000ffff", "n1:0")})
    tree.block("virtual/block/md127", "9:127", 1953392000, {"md/level": "raid1", "md/array_state": "clean", "md/degraded": 1, "md/sync_action": "recover", "md/raid_disks": 2}, ["sda1", "sdb1"], ["md/n1:0", "disk/by-id/md-uuid-3d2b1a00:aaaabbbb:cccc0000:0000ffff"], {"MD_UUID": "3d2b1a00:aaaabbbb:cccc0000:0000ffff", "MD_LEVEL": "raid1", "MD_DEVNAME": "n1:0", **fs("xfs", "9999aaaa-1111-4222-8333-444455556666", "root")})
    tree.mount("9:127", "/dev/md127", "/", "xfs")


def virtio_crypt():
    """A disk of a virtual machine: a partition, encrypted, with LVM in it; and a second disk that says nothing of itself."""
    tree = Tree("virtio-crypt")
    disk = "pci0000:00/0000:00:04.0/virtio1/block/vda"
    table = {"ID_PART_TABLE_UUID": "cccc0000-0000-4000-8000-000000000001", "ID_PATH": "pci-0000:00:04.0"}
    tree.block(disk, "254:0", 41943040, {"serial": "disk-0001"}, (), ["disk/by-id/virtio-disk-0001", "disk/by-path/virtio-pci-0000:00:04.0"], table)
    tree.block(f"{disk}/vda1", "254:1", 41940992, {"partition": 1}, (), ["disk/by-id/virtio-disk-0001-part1"], {**table, **fs("crypto_LUKS", "1c1c0000-1111-4222-8333-444455556666"), "ID_PART_ENTRY_NUMBER": 1})
    tree.dm(0, "secret", "CRYPT-LUKS2-1c1c0000111142228333444455556666-secret", 41906176, ["vda1"], udev=fs("LVM2_member", "QqWw00-1111-2222-3333-4444-5555-666666"))
    tree.dm(1, "inner-root", lv("In", 1), 20971520, ["dm-0"], links=["inner/root"], udev=fs("ext4", "5555aaaa-1111-4222-8333-444455556666"))
    tree.dm(2, "inner-swap", lv("In", 2), 2097152, ["dm-0"], links=["inner/swap"], udev=fs("swap", "6666aaaa-1111-4222-8333-444455556666"))
    tree.block("pci0000:00/0000:00:05.0/virtio2/block/vdb", "254:16", 2097152, links=["disk/by-path/virtio-pci-0000:00:05.0"], udev={"ID_PATH": "pci-0000:00:05.0"})
    tree.mount("253:1", "/dev/mapper/inner-root", "/", "ext4")


def sas_usb():
    """A disk behind SAS, a stick on USB, a DVD drive without a medium."""
    tree = Tree("sas-usb")
    tree.scsi("pci0000:00/0000:03:00.0/host0/port-0:0/end_device-0:0/target0:0:9", "0:0:9:0", "sda", "8:0", 7814037168, "naa.5000c50011223344", {"sas_address": "0x5000c50011223345"})
    tree.write("sys/class/sas_device/end_device-0:0/sas_address", "0x5000c50011223345")
    tree.write("sys/class/scsi_host/host0/proc_name", "mpt3sas")
    tree.scsi("pci0000:00/0000:00:14.0/usb2/2-1/2-1.4/2-1.4:1.0/host6/target6:0:0", "6:0:0:0", "sdb", "8:16", 61440000, None, links=["disk/by-id/usb-Example_Stick_0123-0:0"], udev={"ID_BUS": "usb", "ID_SERIAL": "Example_Stick_0123-0:0", "ID_SERIAL_SHORT": "0123"})
    tree.scsi("pci0000:00/0000:00:1f.2/ata5/host4/target4:0:0", "4:0:0:0", "sr0", "11:0", 0, None, {"model": "DVD             "}, udev={"ID_BUS": "ata", "ID_SERIAL": "Example_DVD_1"})


def many_kinds():
    """One of each of the others."""
    tree = Tree("many-kinds")
    tree.block("virtual/block/loop0", "7:0", 204800, {"loop/backing_file": "/srv/images/one.img", "loop/offset": 0, "diskseq": 7}, udev=fs("squashfs", ""))
    tree.block("virtual/block/loop1", "7:1", 0)
    tree.block("virtual/block/nbd0", "43:0", 2097152, {"backend": "export-a"})
    tree.block("virtual/block/rbd0", "252:0", 20971520, links=["rbd/pool1/image1"])
    for file, text in {"pool": "pool1", "pool_ns": "", "name": "image1", "current_snap": "-", "cluster_fsid": "fafa0000-1111-4222-8333-444455556666"}.items():
        tree.write(f"sys/bus/rbd/devices/0/{file}", text)
    disk = tree.scsi("pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0", "0:0:0:0", "sda", "8:0", 2097152, "naa.5000c50000000001", udev=fs("bcache", "bcac0000-1111-4222-8333-444455556666"))
    tree.block("virtual/block/bcache0", "251:0", 2097136, {"bcache/backing_dev_uuid": "bcac0000-1111-4222-8333-444455556666", "bcache/state": "clean"}, ["sda"])
    tree.block("virtual/block/zram0", "250:0", 8388608, {"comp_algorithm": "lzo [zstd]"}, udev=fs("swap", "5a5a0000-1111-4222-8333-444455556666"))
    card = "platform/soc/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0"
    tree.write("sys/devices/platform/soc/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa/cid", "035344534c3332478000000000012345")
    tree.block(card, "179:0", 62333952)
    tree.link(f"sys/devices/{card}/device", "../../../mmc0:aaaa")
    tree.block(f"{card}/mmcblk0p1", "179:1", 62300000, {"partition": 1})
    tree.block("LNXSYSTM:00/ndbus0/region0/namespace0.0/block/pmem0", "259:7", 4194304)
    tree.write("sys/devices/LNXSYSTM:00/ndbus0/region0/namespace0.0/uuid", "9e9e0000-1111-4222-8333-444455556666")
    tree.link("sys/devices/LNXSYSTM:00/ndbus0/region0/namespace0.0/block/pmem0/device", "../../../namespace0.0")
    tree.block("vbd-51712/block/xvda", "202:0", 20971520)
    tree.block("virtual/block/ram0", "1:0", 8192)
    tree.block("platform/uml-blkdev.0/block/ubda", "98:0", 2097152)
    tree.block("virtual/block/zd0", "230:0", 2097152)
    tree.block("virtual/block/drbd7", "147:7", 2097152, links=["drbd/by-res/web/2", "drbd/by-disk/xvda"])
    tree.block("virtual/block/cciss!c0d0", "104:0", 2097152)
    tree.block("virtual/block/cciss!c0d0/cciss!c0d0p1", "104:1", 2097152, {"partition": 1})
    tree.block("virtual/block/brandnew0", "240:0", 2097152)


def lvm_drbd():
    """Three resources of DRBD: a volume group is on the first one, one is below the second, and nothing is known of the third, a Secondary."""
    tree = Tree("lvm-drbd")
    for at, name in enumerate(("sda", "sdb", "sdc", "sdd")):
        path = f"pci0000:00/0000:00:1f.2/ata{at + 1}/host{at}/target{at}:0:0"
        udev = fs("LVM2_member", f"PvPvPv-1111-2222-3333-4444-5555-00000{at}") if name in "sdb sdd" else fs("drbd", f"a1b2c3d4e5f6000{at}")
        tree.scsi(path, f"{at}:0:0:0", name, f"8:{16 * at}", 20971520, f"naa.5000c5000000001{at}", udev=udev)
    tree.block("virtual/block/drbd0", "147:0", 20971000, {}, ["sda"], ["drbd/by-res/above/0"], fs("LVM2_member", "PvPvPv-1111-2222-3333-4444-5555-000009"))
    tree.dm(0, "vg_data-srv", lv("Va", 1), 10485760, ["drbd0"], links=["vg_data/srv"], udev=fs("ext4", "0c7e0000-1111-4222-8333-444455556666"))
    tree.dm(1, "vg_low-r1", lv("Vb", 1), 10485760, ["sdb"], links=["vg_low/r1"], udev=fs("drbd", "a1b2c3d4e5f60011"))
    tree.block("virtual/block/drbd1", "147:1", 10485000, {}, ["dm-1"], ["drbd/by-res/below/0"], fs("xfs", "0c7e0000-1111-4222-8333-444455557777"))
    tree.block("virtual/block/drbd2", "147:2", 20971000, {}, ["sdc"], ["drbd/by-res/secondary/0"])
    for pv, number, group, path in (("a" * 32, "147:0", "vg_data", "/dev/drbd0"), ("b" * 32, "8:16", "vg_low", "/dev/sdb"), ("c" * 32, "8:48", "vg_local", "/dev/sdd")):
        tree.write(f"run/lvm/pvs_online/{pv}", f"{number}\nvg:{group}\ndev:{path}")
    tree.write(f"run/lvm/pvs_online/{'d' * 32}", "8:48")


def broken():
    """Devices of which something is wrong, two that are built on each other, and one that is in order."""
    tree = Tree("broken")
    tree.block("virtual/block/sda", None, 2097152)
    tree.block("virtual/block/sdb", "8:sixteen", "many")
    tree.block("virtual/block/sdc", "8:32", "")
    tree.write("sys/devices/virtual/block/sdd/dev", "8:48")
    tree.link("sys/class/block/sdd", "../../devices/virtual/block/sdd")
    tree.link("sys/class/block/sde", "../../devices/virtual/block/not-there")
    tree.link("sys/class/block/sdf", "/dev/null")
    tree.link("sys/class/block/sdg", "../../devices/virtual/block/sdg")
    tree.link("sys/devices/virtual/block/sdg", "sdg")
    tree.write("sys/class/block/sdh/dev", "8:112")
    tree.block("virtual/block/sdi", "8:128", 2097152, {"device/wwid": b"naa.\xff\xfe\x00\n"})
    tree.write("run/udev/data/b8:128", b"S:disk/by-id/\xff\nE:ID_SERIAL=\xc3\x28\nE:\nE:=\nS:\nnoise\n")
    tree.write("sys/devices/virtual/block/sdj/size/x", "a folder where a file should be")
    tree.write("sys/devices/virtual/block/sdj/dev", "8:144")
    tree.link("sys/class/block/sdj", "../../devices/virtual/block/sdj")
    tree.dm(0, "one", "", 100, ["dm-1"])
    tree.dm(1, "two", "", 100, ["dm-0", "dm-1", "dm-9"])
    tree.block("virtual/block/dm-2", "253:2", 100)
    tree.write("proc/self/mountinfo", b"\n\xff\xfe\n1 2 3\n40 1 8:32 / /ok\xff rw - ext4 /dev/sdc rw\n41 1 8:32 /\n")


def main():
    for make in (fc_multipath, iscsi, nvme, nvme_tcp, md_raid, virtio_crypt, sas_usb, many_kinds, lvm_drbd, broken):
        make()
    count = sum(len(files) for _, _, files in os.walk(TREES))
    print(f"{count} files in {TREES}")


main()
