//! The map: what is found, what is above and below, what has gone.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::event::Named;

/// A device of a few facts.
fn facts(name: &str, number: &str, attributes: &[(Attribute, &str)], slaves: &[&str], udev: &str) -> Facts {
    let mut facts = Facts::new(name);
    facts.number = number.parse().ok();
    for (attribute, text) in attributes {
        facts.set(*attribute, text);
    }
    facts.slaves = slaves.iter().map(|name| Slave { name: (*name).to_owned(), dm_name: None }).collect();
    facts.read_udev(udev);
    facts
}

fn scsi(name: &str, number: &str, address: &str, wwid: &str) -> Facts {
    let mut facts = facts(name, number, &[(Attribute::DeviceWwid, wwid), (Attribute::Size, "2048")], &[], "");
    let host = address.split(':').next().unwrap_or_default();
    facts.devpath = format!("/devices/pci0000:00/0000:05:00.0/host{host}/target0:0:0/{address}/block/{name}");
    facts
}

/// Two paths, a map over them, a logical volume, DRBD on that, a file system on that.
fn stack() -> DeviceMap {
    let mpath = [(Attribute::DmName, "mpatha"), (Attribute::DmUuid, "mpath-36001405aabb")];
    let uuid = "LVM-Vg0123Vg0123Vg0123Vg0123Vg0123VgLv4567Lv4567Lv4567Lv4567Lv4567Lv";
    let lv = [(Attribute::DmName, "vg--a-data"), (Attribute::DmUuid, uuid)];
    let all = [
        scsi("sda", "8:0", "6:0:0:0", "naa.6001405aabb"),
        scsi("sdb", "8:16", "7:0:0:0", "naa.6001405aabb"),
        facts("dm-0", "253:0", &mpath, &["sda", "sdb"], "S:disk/by-id/wwn-0x6001405aabb\n"),
        facts("dm-1", "253:1", &lv, &["dm-0"], "S:vg-a/data\nE:ID_FS_TYPE=drbd\n"),
        facts(
            "drbd1000",
            "147:1000",
            &[],
            &["dm-1"],
            "S:drbd/by-res/r0/0\nE:ID_FS_TYPE=ext4\nE:ID_FS_UUID=0C7E-11\nE:ID_FS_LABEL=Data\n",
        ),
    ];
    let mounts = parse_mounts("36 35 147:1000 / /srv/data rw - ext4 /dev/drbd1000 rw\n");
    DeviceMap::new(&all, mounts)
}

fn names(devices: &[&Device]) -> Vec<String> {
    devices.iter().map(|device| device.short_name().to_owned()).collect()
}

#[test]
fn every_form_of_a_name_finds_its_device() {
    let map = stack();
    for (typed, found) in [
        ("sda", "sda"),
        ("8:16", "sdb"),
        ("/dev/sdb", "sdb"),
        ("7:0:0:0", "sdb"),
        ("[7:0:0:0]", "sdb"),
        ("host7", "sdb"),
        ("/sys/block/sdb", "sdb"),
        // A WWID is that of the disk, not of one of its paths.
        ("naa.6001405aabb", "mpatha"),
        ("36001405AABB", "mpatha"),
        ("0x6001405aabb", "mpatha"),
        ("wwn-0x6001405aabb", "mpatha"),
        ("/dev/disk/by-id/wwn-0x6001405aabb", "mpatha"),
        ("mpath-36001405aabb", "mpatha"),
        ("mpatha", "mpatha"),
        ("/dev/mapper/mpatha", "mpatha"),
        ("dm-0", "mpatha"),
        ("253:1", "vg--a-data"),
        ("vg--a-data", "vg--a-data"),
        ("vg-a/data", "vg--a-data"),
        ("/dev/vg-a/data", "vg--a-data"),
        ("Lv4567-Lv45-67Lv-4567-Lv45-67Lv-4567Lv", "vg--a-data"),
        ("drbd1000", "drbd1000"),
        ("drbd:1000", "drbd1000"),
        ("drbd:r0/0", "drbd1000"),
        ("drbd:r0", "drbd1000"),
        ("r0", "drbd1000"),
        ("r0/0", "drbd1000"),
        ("/dev/drbd/by-res/r0/0", "drbd1000"),
        ("0c7e-11", "drbd1000"),
        ("UUID=0C7E-11", "drbd1000"),
        ("LABEL=Data", "drbd1000"),
        ("Data", "drbd1000"),
        ("/srv/data", "drbd1000"),
        ("/srv/data/", "drbd1000"),
    ] {
        match map.find(typed) {
            Ok(device) => assert_eq!(device.device.short_name(), found, "{typed}"),
            Err(error) => panic!("{typed}: {error}"),
        }
    }
    assert_eq!(names(&map.find("naa.6001405aabb").unwrap().also), ["sda", "sdb"]);
}

#[test]
fn what_is_not_there_is_said_with_what_is_near() {
    let map = stack();
    let said = |name| map.find(name).unwrap_err().to_string();
    assert_eq!(said("/dev/sdc"), "no block device here is called \"/dev/sdc\"; there is sda, sdb");
    assert_eq!(said("mpathb"), "no block device here is called \"mpathb\"; there is mpatha");
    assert_eq!(said("9:9"), "no block device here is called \"9:9\"");
    assert_eq!(said(""), "no block device here is called \"\"");
}

#[test]
fn messages_name_devices_in_their_own_ways() {
    let map = stack();
    let found = |named: Named<'_>| names(&map.resolve(&named)).join(" ");
    assert_eq!(found(Named::Number(253, 0)), "mpatha");
    assert_eq!(found(Named::Kernel("sda".into())), "sda");
    assert_eq!(found(Named::Scsi(6, 0, 0, 0)), "sda");
    assert_eq!(found(Named::ScsiHost(7)), "sdb");
    assert_eq!(found(Named::Pci("0000:05:00.0".into())), "sda sdb");
    assert_eq!(found(Named::Dm("mpatha".into())), "mpatha");
    assert_eq!(found(Named::Path("/dev/mapper/mpatha".into())), "mpatha");
    assert_eq!(found(Named::Path("/srv/data".into())), "drbd1000");
    assert_eq!(found(Named::Drbd("r0".into(), None)), "drbd1000");
    assert_eq!(found(Named::Drbd("r0".into(), Some(1))), "");
    assert_eq!(found(Named::Id("naa.6001405AABB".into())), "mpatha sda sdb");
    assert_eq!(found(Named::Remote("server".into())), "");
}

#[test]
fn what_a_path_carries_is_known_up_to_the_mount() {
    let map = stack();
    let sda = map.present("sda").unwrap();
    assert_eq!(names(&map.above(sda)), ["mpatha", "vg--a-data", "drbd1000"]);
    let drbd = map.present("drbd1000").unwrap();
    assert_eq!(names(&map.below(drbd)), ["vg--a-data", "mpatha", "sda", "sdb"]);
    let summary = map.summary(sda);
    let carried: Vec<&String> = summary.carries.drbd.iter().chain(&summary.carries.mounts).collect();
    assert_eq!(carried, ["r0/0", "/srv/data"]);
    assert!(summary.carries.units.contains("srv-data.mount"));
    let text = serde_json::to_string(&summary).unwrap();
    assert_eq!(serde_json::from_str::<Summary>(&text).unwrap(), *summary);
}

/// A device in short is kept, and has what it has in a map that was never asked: whatever changes, of this device or of one above or below.
#[test]
fn what_is_kept_in_short_is_never_old() {
    let mut map = stack();
    let check = |map: &DeviceMap, what: &str| {
        let fresh = map.clone();
        let all = || map.devices().chain(map.resolve(&Named::Kernel("sda".into())));
        for device in all() {
            assert_eq!(map.summary(device), fresh.summary(device), "{what}: {}", device.name);
            assert!(Arc::ptr_eq(&map.summary(device), &map.summary(device)), "{what}: {}", device.name);
        }
    };
    check(&map, "at first");
    let mount = |path: &str| Mount {
        number: Number { major: 147, minor: 1000 },
        source: "/dev/drbd1000".to_owned(),
        point: MountPoint { path: path.to_owned(), fs_type: "xfs".to_owned(), read_only: false },
    };
    map.set_mounts(vec![mount("/srv/other")]);
    check(&map, "another mount");
    map.set_drbd([DrbdVolume { minor: 1000, resource: "renamed".to_owned(), volume: 0, backing: None }]);
    check(&map, "another resource");
    map.set_users([("/dev/drbd1000".to_owned(), "pg.service".to_owned())]);
    check(&map, "another user");
    map.set(&facts("sda", "8:0", &[], &[], ""), 90);
    check(&map, "another disk under the name");
    map.remove("sda", 100);
    check(&map, "a path less");
    let mpath = [(Attribute::DmName, "mpatha"), (Attribute::DmUuid, "mpath-36001405aabb")];
    map.set(&facts("dm-0", "253:0", &mpath, &["sdb"], ""), 101);
    check(&map, "another table");
    map.set_all([&facts("sdc", "8:32", &[], &[], "")], 102);
    check(&map, "another listing");
}

#[test]
fn who_has_gone_is_still_known_with_what_was_on_it() {
    let mut map = stack();
    map.remove("sda", 100);
    // The map of multipath has one path only now.
    let mpath = [(Attribute::DmName, "mpatha"), (Attribute::DmUuid, "mpath-36001405aabb")];
    map.set(&facts("dm-0", "253:0", &mpath, &["sdb"], ""), 101);
    let found = map.find("6:0:0:0").unwrap();
    assert_eq!((found.device.name.as_str(), found.gone), ("sda", Some(100)));
    assert_eq!(names(&map.above(found.device)), ["mpatha", "vg--a-data", "drbd1000"]);
    assert_eq!(map.summary(found.device).gone_us, Some(100));
    assert_eq!(names(&map.below(map.present("drbd1000").unwrap())), ["vg--a-data", "mpatha", "sdb"]);
    // Nobody who lists devices sees it.
    assert_eq!((map.devices().count(), map.len()), (4, 4));
}

#[test]
fn a_name_means_whoever_had_it_then() {
    let mut map = stack();
    map.remove("sda", 100);
    map.set(&scsi("sda", "8:0", "6:0:0:1", "naa.other"), 200);
    let id = |at| map.resolve_at(&Named::Kernel("sda".into()), at).first().map(|device| device.id.clone());
    assert_eq!(id(50).as_deref(), Some("naa.6001405aabb"));
    assert_eq!(id(101).as_deref(), Some("naa.6001405aabb"), "lines come a little later than the device goes");
    assert_eq!(id(199).as_deref(), Some("naa.other"), "and a little before it is known to come");
    assert_eq!(id(300).as_deref(), Some("naa.other"));
    let now = map.resolve(&Named::Kernel("sda".into()));
    assert_eq!((now.len(), now[0].id.as_str()), (1, "naa.other"));
    assert_eq!(map.find_at("8:0", 50).unwrap().gone, Some(100));
}

#[test]
fn another_disk_by_an_old_name_is_another_device_even_if_nobody_said_that_the_old_one_went() {
    let mut map = stack();
    map.set(&scsi("sdb", "8:16", "7:0:0:0", "naa.other"), 300);
    assert_eq!(map.find("sdb").unwrap().device.id, "naa.other");
    let before = map.resolve_at(&Named::Kernel("sdb".into()), 299);
    assert_eq!((before[0].id.as_str(), map.gone_at(before[0])), ("naa.6001405aabb", Some(300)));
}

#[test]
fn what_is_learned_later_is_no_other_device() {
    let mut map = DeviceMap::default();
    map.set(&facts("vda", "254:0", &[], &[], ""), 10);
    map.set(&facts("vda", "254:0", &[], &[], "E:ID_PATH=pci-0000:00:04.0\nE:ID_PART_TABLE_UUID=77aa\n"), 11);
    let vda = map.find("vda").unwrap();
    assert_eq!(
        (vda.device.id.as_str(), map.len(), map.resolve_at(&Named::Number(254, 0), 5).len()),
        ("ptuuid-77aa", 1, 1)
    );
}

#[test]
fn a_changed_device_is_taken_alone_and_old_words_for_it_are_gone() {
    let mut map = stack();
    let mpath = [(Attribute::DmName, "renamed"), (Attribute::DmUuid, "mpath-36001405aabb")];
    map.set(&facts("dm-0", "253:0", &mpath, &["sda", "sdb"], ""), 100);
    assert_eq!(map.find("renamed").unwrap().device.name, "dm-0");
    assert!(map.find("mpatha").is_err());
    assert_eq!(names(&map.above(map.present("sda").unwrap())), ["renamed", "vg--a-data", "drbd1000"]);
}

#[test]
fn the_number_of_those_that_are_remembered_is_bounded() {
    let mut map = DeviceMap::default();
    for number in 0..MAX_GONE + 10 {
        let id = format!("naa.{number}");
        map.set(&scsi("sda", "8:0", "6:0:0:0", &id), number as u64);
    }
    assert_eq!(map.len(), 1);
    let error = map.find("naa.3").unwrap_err();
    assert!(error.near.is_empty() || !error.near.contains(&"naa.3".to_owned()), "{error}");
    assert!(map.find(&format!("naa.{}", MAX_GONE - 1)).is_ok());
}

#[test]
fn devices_in_a_circle_are_walked_once() {
    let circle = [
        facts("dm-0", "253:0", &[], &["dm-1"], ""),
        facts("dm-1", "253:1", &[], &["dm-2", "dm-1"], ""),
        facts("dm-2", "253:2", &[], &["dm-0"], ""),
    ];
    let map = DeviceMap::new(&circle, Vec::new());
    let first = map.present("dm-0").unwrap();
    assert_eq!(names(&map.below(first)), ["dm-1", "dm-2"]);
    assert_eq!(names(&map.above(first)), ["dm-2", "dm-1"]);
}

#[test]
fn drbd_is_linked_to_what_others_know_of_it() {
    let mut map = DeviceMap::default();
    map.set(&facts("drbd7", "147:7", &[], &[], ""), 0);
    let volume = |backing: &str| DrbdVolume {
        minor: 7,
        resource: "web".to_owned(),
        volume: 2,
        backing: Some(backing.to_owned()),
    };
    map.set_drbd([volume("/dev/vg/web")]);
    map.set_users([("web".to_owned(), "drbd-services@web.target".to_owned())]);
    assert_eq!(map.find("web/2").unwrap().device.id, "drbd:web/2");
    // The backing device comes after it.
    map.set(&facts("dm-4", "253:4", &[(Attribute::DmName, "vg-web")], &["sdz"], "S:vg/web\n"), 0);
    map.set(&scsi("sdz", "65:144", "9:0:0:0", "naa.1"), 0);
    let sdz = map.present("sdz").unwrap();
    assert_eq!(names(&map.above(sdz)), ["vg-web", "drbd7"]);
    assert!(map.summary(sdz).carries.units.contains("drbd-services@web.target"));
}

#[test]
fn a_loop_device_is_built_on_the_disk_that_its_file_is_on() {
    let of_loop = |file| facts("loop0", "7:0", &[(Attribute::LoopFile, file)], &[], "");
    let text = "36 35 8:1 / / rw - ext4 /dev/sda1 rw\n37 36 8:17 / /srv rw - xfs /dev/sdb1 rw\n38 37 0:40 / /srv/tmp rw - tmpfs tmpfs rw\n";
    let mut map = DeviceMap::default();
    map.set_mounts(parse_mounts(text));
    // Its disks come after it.
    map.set(&of_loop("/srv/img/a.img"), 0);
    for (name, number) in [("sda1", "8:1"), ("sdb1", "8:17"), ("sdc", "8:32")] {
        map.set(&facts(name, number, &[], &[], ""), 0);
    }
    let below = |map: &DeviceMap| names(&map.below(map.present("loop0").unwrap()));
    assert_eq!(below(&map), ["sdb1"]);
    assert_eq!(names(&map.above(map.present("sdb1").unwrap())), ["loop0"]);
    for (file, expect) in [("/srvx/a", vec!["sda1"]), ("/srv/tmp/a", vec![]), ("/srv/a", vec!["sdb1"])] {
        map.set(&of_loop(file), 1);
        assert_eq!(below(&map), expect, "{file}");
    }
    map.set_mounts(Vec::new());
    assert_eq!(below(&map), [""; 0]);
    map.set_mounts(parse_mounts(text));
    assert_eq!(below(&map), ["sdb1"]);
}

#[test]
fn every_device_of_a_btrfs_has_its_mounts() {
    let udev = "E:ID_FS_TYPE=btrfs\nE:ID_FS_UUID=b7\n";
    let all = [facts("sda", "8:0", &[], &[], udev), facts("sdb", "8:16", &[], &[], udev)];
    let mounts = parse_mounts("38 35 0:35 /@home /home rw shared:4 - btrfs /dev/sdb rw\n");
    let mut map = DeviceMap::new(&all, mounts);
    let mounted = |map: &DeviceMap| names(&map.resolve(&Named::Path("/home".into())));
    assert_eq!(mounted(&map), ["sda", "sdb"]);
    map.set_mounts(Vec::new());
    assert_eq!(mounted(&map), [""; 0]);
}

#[test]
fn a_file_system_that_is_mounted_is_known_without_udev() {
    let mounts = parse_mounts("36 35 254:0 / / rw - ext4 /dev/root rw\n");
    let map = DeviceMap::new(&[facts("vda", "254:0", &[], &[], "")], mounts);
    let found = map.find("/").unwrap();
    assert_eq!(found.device.file_system.as_ref().map(|fs| fs.fs_type.as_str()), Some("ext4"));
}

#[test]
fn a_failing_controller_means_its_path_first() {
    let controller = |name: &str| Controller { name: name.to_owned(), ..Controller::default() };
    let mut namespace = facts("nvme0n1", "259:0", &[(Attribute::Wwid, "uuid.77")], &[], "");
    namespace.controllers = vec![controller("nvme0"), controller("nvme1")];
    let mut path = facts("nvme0c1n1", "", &[(Attribute::Wwid, "uuid.77"), (Attribute::Hidden, "1")], &[], "");
    path.controllers = vec![controller("nvme1")];
    let map = DeviceMap::new([&namespace, &path], Vec::new());
    assert_eq!(names(&map.resolve(&Named::NvmeController("nvme1".into()))), ["nvme0c1n1", "nvme0n1"]);
    assert_eq!(names(&map.above(map.present("nvme0c1n1").unwrap())), ["nvme0n1"]);
    assert_eq!(map.find("uuid.77").unwrap().device.name, "nvme0n1");
    assert_eq!(map.find("nvme1").unwrap().also.len(), 1);
}

#[test]
fn devices_on_a_port_of_libata_are_told_apart() {
    let disk = |name: &str, number: &str, address: &str| {
        let mut facts = facts(name, number, &[], &[], "");
        facts.devpath = format!("/devices/pci0000:00/ata3/host2/target2:0:0/{address}/block/{name}");
        facts
    };
    let map = DeviceMap::new(&[disk("sda", "8:0", "2:0:0:0"), disk("sdb", "8:16", "2:0:1:0")], Vec::new());
    assert_eq!(names(&map.resolve(&Named::Ata(3, Some(1)))), ["sdb"]);
    assert_eq!(names(&map.resolve(&Named::Ata(3, None))), ["sda", "sdb"]);
    assert_eq!(map.find("ata3.01").unwrap().device.name, "sdb");
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let name =
        prop_oneof!["(sd|dm-|nvme0n|nvme0c|drbd|loop|md)[a-c0-2]{1,2}(n1)?".prop_map(String::from), any::<String>(),];
    let text = prop_oneof!["[0-9]{1,20}", "[a-z0-9:. -]{0,40}", any::<String>()];
    let attributes = proptest::collection::vec((0..Attribute::ALL.len(), text.clone()), 0..8);
    let udev = proptest::collection::vec((0..PROPERTIES.len(), text.clone()), 0..6);
    let links = proptest::collection::vec(prop_oneof!["(drbd/by-res|drbd/by-disk|disk/by-id)/[a-c]{1,2}", text], 0..4);
    let slaves = proptest::collection::vec("(sd|dm-|drbd)[a-c0-2]", 0..4);
    (name, any::<Option<(u8, u8)>>(), any::<String>(), attributes, udev, links, slaves).prop_map(
        |(name, number, devpath, attributes, udev, links, slaves)| {
            let mut facts = Facts::new(&name);
            facts.number = number.map(|(major, minor)| Number { major: major.into(), minor: minor.into() });
            facts.devpath = devpath;
            for (at, text) in attributes {
                facts.set(Attribute::ALL[at], &text);
            }
            for (at, text) in udev {
                facts.read_udev(&format!("E:{}={text}", PROPERTIES[at]));
            }
            for link in links {
                facts.read_udev(&format!("S:{link}"));
            }
            facts.slaves = slaves.into_iter().map(|name| Slave { dm_name: Some(name.clone()), name }).collect();
            facts
        },
    )
}

proptest! {
    /// Whatever is read: the map stands, every walk ends, every device is found by its name and its number, and what is removed leaves nothing behind.
    #[test]
    fn any_text_as_facts_makes_a_map(all in proptest::collection::vec(any_facts(), 0..12), typed in any::<String>()) {
        let mut map = DeviceMap::default();
        for (at, facts) in all.iter().enumerate() {
            map.set(facts, at as u64);
        }
        let _ = map.find(&typed);
        let devices: Vec<Device> = map.devices().cloned().collect();
        for device in &devices {
            prop_assert!(!device.id.is_empty());
            prop_assert_eq!(map.present(&device.name), Some(device));
            let same = |found: Vec<&Device>| found.iter().any(|found| found.id == device.id);
            prop_assert!(same(map.resolve(&Named::Kernel(device.name.as_str().into()))));
            if let Some(number) = device.number {
                prop_assert!(same(map.resolve(&Named::Number(number.major, number.minor))));
            }
            prop_assert!(serde_json::to_string(&map.report(device)).is_ok());
            prop_assert!(!map.above(device).iter().any(|above| above.name == device.name));
        }
        for device in &devices {
            map.remove(&device.name, 1000);
        }
        prop_assert!(map.is_empty());
        prop_assert_eq!(map.devices().count(), 0);
        for device in &devices {
            prop_assert!(map.above(device).len() + map.below(device).len() < 100);
        }
    }
}

#[test]
fn a_summary_says_which_of_the_names_that_are_waited_for_mean_it() {
    let disk = |name: &str, minor: u32, host: u32| {
        let mut facts = Facts::new(name);
        facts.number = Some(Number { major: 8, minor });
        facts.devpath = format!("/devices/pci0/host{host}/target{host}:0:0/{host}:0:0:0/block/{name}");
        facts.set(Attribute::DeviceWwid, "naa.600a");
        facts.links = vec![format!("disk/by-path/pci-{name}"), "disk/by-id/scsi-3600a".to_owned()];
        facts
    };
    let mut mpath = Facts::new("dm-3");
    mpath.number = Some(Number { major: 253, minor: 3 });
    mpath.set(Attribute::DmName, "mpatha");
    mpath.set(Attribute::DmUuid, "mpath-3600a");
    mpath.slaves = ["sda", "sdb"].map(|name| Slave { name: name.to_owned(), dm_name: None }).into();
    let mut other = Facts::new("sdc");
    other.number = Some(Number { major: 8, minor: 32 });
    let all = [disk("sda", 0, 6), disk("sdb", 16, 7), mpath, other];
    let mut map = DeviceMap::new(&all, Vec::new());
    let names = ["/dev/disk/by-path/pci-sda", "7:0:0:0", "0x600a", "naa.600A", "sdc", "nobody"];
    let called = |map: &DeviceMap, name: &str| {
        let mut summary = map.summary(map.find(name).unwrap().device);
        Called::of(names, map).mark(Arc::make_mut(&mut summary));
        summary.called.join(" ")
    };
    // A path is not another path, whatever they have in common; what is above and below is met, too.
    assert_eq!(called(&map, "sda"), "/dev/disk/by-path/pci-sda 0x600a naa.600A");
    assert_eq!(called(&map, "sdb"), "0x600a 7:0:0:0 naa.600A");
    assert_eq!(called(&map, "mpatha"), "/dev/disk/by-path/pci-sda 0x600a 7:0:0:0 naa.600A");
    assert_eq!(called(&map, "sdc"), "sdc");
    // What has gone is still called so.
    map.remove("sdb", 1);
    assert_eq!(called(&map, "sdb"), "0x600a 7:0:0:0 naa.600A");
    assert!(Called::of(["nobody"], &map).is_empty());
}
