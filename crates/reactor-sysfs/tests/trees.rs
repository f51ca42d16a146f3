//! Machines that were kept as folders: what is listed of each, and by which names its devices are found.

use std::path::{Path, PathBuf};

use expect_test::expect_file;
use reactor_storage::device::{ConfiguredVolume, DeviceMap, Report, Stacks};
use reactor_sysfs::Reader;

fn folder(tree: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sysfs").join(tree)
}

fn map(tree: &str) -> DeviceMap {
    Reader::new(folder(tree)).list().expect("a folder of ours").into_map()
}

/// Each name, and the kernel's name of what it finds.
fn finds(tree: &str, names: &[(&str, &str)]) {
    let map = map(tree);
    for (name, found) in names {
        match map.find(name) {
            Ok(device) => assert_eq!(device.device.name, *found, "{tree}: {name}"),
            Err(error) => panic!("{tree}: {error}"),
        }
    }
}

#[test]
fn the_listing_of_each_machine_is_what_was_looked_at_once() {
    let mut trees: Vec<_> = std::fs::read_dir(folder("")).unwrap().map(|entry| entry.unwrap().path()).collect();
    trees.retain(|path| path.is_dir());
    trees.sort();
    assert_eq!(trees.len(), 10);
    for tree in trees {
        let listing = Reader::new(&tree).list().unwrap();
        let map = listing.into_map();
        let reports: Vec<Report<'_>> = map.devices().map(|device| map.report(device)).collect();
        let text = serde_json::to_string_pretty(&reports).unwrap() + "\n";
        expect_file![tree.join("listing.json")].assert_eq(&text);
        // One device read alone is the same as in the listing.
        let again = Reader::new(&tree);
        for device in map.devices() {
            let facts = again.one(&device.name).unwrap();
            let mut other = map.clone();
            other.set(&facts, 1);
            assert_eq!(other.present(&device.name), Some(device));
        }
    }
}

#[test]
fn a_stack_from_fibre_channel_to_the_mount_is_found_by_every_name() {
    finds(
        "fc-multipath",
        &[
            ("8:16", "sdb"),
            ("sdb", "sdb"),
            ("7:0:0:0", "sdb"),
            ("rport-7:0-2", "sdb"),
            ("0000:05:00.1", "sdb"),
            ("naa.6001405aabbccdd00112233", "dm-0"),
            ("36001405aabbccdd00112233", "dm-0"),
            ("wwn-0x6001405aabbccdd00112233", "dm-0"),
            ("mpatha", "dm-0"),
            ("/dev/mapper/mpatha", "dm-0"),
            ("AaBbCc-1111-2222-3333-4444-5555-666666", "dm-0"),
            ("vg-a/data", "dm-1"),
            ("vg--a-data", "dm-1"),
            ("/dev/vg-a/data", "dm-1"),
            ("drbd:1000", "drbd1000"),
            ("r0", "drbd1000"),
            ("r0/0", "drbd1000"),
            ("0c7e0000-1111-4222-8333-444455556666", "drbd1000"),
            ("LABEL=data", "drbd1000"),
            ("/srv/data", "drbd1000"),
        ],
    );
    let map = map("fc-multipath");
    let carries = map.summary(map.find("sda").unwrap().device).carries.clone();
    assert!(carries.drbd.contains("r0/0") && carries.mounts.contains("/srv/data"), "{carries:?}");
}

#[test]
fn disks_of_other_transports_are_found_by_every_name() {
    finds("iscsi", &[("2:0:0:1", "sda"), ("naa.600140500000001", "sda"), ("/home", "sda1"), ("11112222-01", "sda1")]);
    finds(
        "nvme",
        &[
            ("nvme0", "nvme0n1"),
            ("nvme0n1", "nvme0n1"),
            ("eui.0025385800000001", "nvme0n1"),
            ("S4EWNX0R000001", "nvme0n1"),
            ("eui.0025385800000001-part2", "nvme0n1p2"),
            ("PARTLABEL=esp", "nvme0n1p1"),
            ("1a2b-3c4d", "nvme0n1p1"),
            ("vg/thin1", "dm-4"),
            ("vg-pool-tpool", "dm-2"),
            ("/var/lib/images of mine", "dm-4"),
        ],
    );
    finds("nvme-tcp", &[("nvme1", "nvme0c1n1"), ("uuid.12345678-1111-4222-8333-444455556666", "nvme0n1")]);
    finds(
        "md-raid1",
        &[
            ("ata2.00", "sdb"),
            ("t10.ATA-Example-HDD-WD-00000001", "sdb"),
            ("WD-00000001", "sdb"),
            ("/dev/md/n1:0", "md127"),
            ("3d2b1a00:aaaabbbb:cccc0000:0000ffff", "md127"),
            ("/", "md127"),
        ],
    );
    finds("virtio-crypt", &[("disk-0001", "vda"), ("secret", "dm-0"), ("inner/root", "dm-1"), ("/", "dm-1")]);
    finds("sas-usb", &[("0x5000c50011223344", "sda"), ("usb-Example_Stick_0123-0:0", "sdb"), ("4:0:0:0", "sr0")]);
}

#[test]
fn other_kinds_are_found_by_what_they_have() {
    finds(
        "many-kinds",
        &[
            ("/srv/images/one.img", "loop0"),
            ("nbd:export-a", "nbd0"),
            ("/dev/rbd/pool1/image1", "rbd0"),
            ("bcac0000-1111-4222-8333-444455556666", "bcache0"),
            ("mmc-035344534c3332478000000000012345-part1", "mmcblk0p1"),
            ("9e9e0000-1111-4222-8333-444455556666", "pmem0"),
            ("web/2", "drbd7"),
            ("cciss/c0d0p1", "cciss/c0d0p1"),
            ("/dev/cciss/c0d0", "cciss/c0d0"),
            ("cciss!c0d0", "cciss/c0d0"),
            ("240:0", "brandnew0"),
        ],
    );
    let map = map("many-kinds");
    let xvda: Vec<&str> =
        map.above(map.present("xvda").unwrap()).into_iter().map(|device| device.name.as_str()).collect();
    assert_eq!(xvda, ["drbd7"]);
}

#[test]
fn volume_groups_are_on_drbd_below_it_or_neither() {
    let noted = Reader::new(folder("lvm-drbd")).physical_volumes();
    let groups: Vec<&str> = noted.iter().map(|noted| noted.group.as_str()).collect();
    assert_eq!(groups, ["vg_data", "vg_low", "vg_local"], "a file that names no group is of no use");
    let map = map("lvm-drbd");
    let disk =
        ConfiguredVolume { resource: "secondary".to_owned(), minor: 2, disk: Some("/dev/vg_cold/r2".to_owned()) };
    let stacks = Stacks { map: &map, volumes: &[disk], noted: &noted };
    for (resource, group, said) in [
        ("above", "vg_data", "is on DRBD (vg_data/srv is built on drbd0)"),
        ("below", "vg_low", "is below DRBD (drbd1 is built on its vg_low/r1)"),
        ("below", "vg_data", "is neither on DRBD nor below it, but on drbd0"),
        ("above", "vg_low", "is neither on DRBD nor below it, but on sdb"),
        ("above", "vg_local", "is neither on DRBD nor below it, but on sdd"),
        ("secondary", "vg_cold", "is below DRBD (DRBD's configuration has /dev/vg_cold/r2 as its disk)"),
        (
            "secondary",
            "vg_other",
            "is not active here, so it is not known whether it is on DRBD or below it: \
             what is on drbd2 is not known, as on each node where it is Secondary",
        ),
    ] {
        assert_eq!(stacks.stacking(resource, group).to_string(), said, "{group} of {resource}");
    }
    assert!(Reader::new(folder("nvme")).physical_volumes().is_empty());
}

/// What a uevent leads to: one device is read, and nothing else.
#[test]
fn a_device_that_comes_changes_and_goes_is_taken_alone() {
    let root = std::env::temp_dir().join(format!("reactor-sysfs-{}", std::process::id()));
    let device = root.join("sys/class/block/vdz");
    std::fs::create_dir_all(&device).unwrap();
    let write = |file: &str, text: &str| std::fs::write(device.join(file), text).unwrap();
    write("dev", "254:400\n");
    write("size", "2048\n");
    let (reader, mut map) = (Reader::new(&root), map("nvme"));
    let count = map.len();
    reader.update(&mut map, "vdz", 10);
    assert_eq!((map.len(), map.find("254:400").unwrap().device.size), (count + 1, Some(2048 * 512)));
    write("size", "4096\n");
    reader.update(&mut map, "vdz", 20);
    assert_eq!((map.len(), map.find("vdz").unwrap().device.size), (count + 1, Some(4096 * 512)));
    std::fs::remove_dir_all(&root).unwrap();
    reader.update(&mut map, "vdz", 30);
    assert_eq!((map.len(), map.find("vdz").unwrap().gone), (count, Some(30)));
}

#[test]
fn a_folder_that_is_no_machine_is_said_to_be_none() {
    let error = Reader::new("/proc/self/no-such-folder").list().unwrap_err();
    assert_eq!(error.to_string(), "can't list /proc/self/no-such-folder/sys/class/block");
    for odd in ["", ".", "..", "../..", "no-such-device"] {
        assert_eq!(Reader::new(folder("nvme")).one(odd), None, "{odd}");
    }
}
