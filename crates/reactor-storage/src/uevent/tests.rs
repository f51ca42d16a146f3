use proptest::prelude::*;

use super::*;
use crate::device::{Attribute, DeviceMap, Facts};

/// A datagram of these parts.
fn datagram(parts: &[&str]) -> Vec<u8> {
    let mut bytes = parts.join("\0").into_bytes();
    bytes.push(0);
    bytes
}

fn check(parts: &[&str], expect: &[&str]) {
    let bytes = datagram(parts);
    assert_eq!(Uevent::parse(&bytes).unwrap().lines(), expect, "{parts:?}");
}

const PATH: [&str; 12] = [
    "change@/devices/virtual/block/dm-3",
    "ACTION=change",
    "DEVPATH=/devices/virtual/block/dm-3",
    "SUBSYSTEM=block",
    "DM_TARGET=multipath",
    "DM_ACTION=PATH_FAILED",
    "DM_SEQNUM=1",
    "DM_PATH=8:48",
    "DM_NR_VALID_PATHS=0",
    "DM_NAME=mpath a",
    "DEVNAME=dm-3",
    "SEQNUM=634",
];

#[test]
fn a_datagram_of_the_kernel_is_read_and_nothing_else() {
    let bytes = datagram(&PATH);
    let uevent = Uevent::parse(&bytes).unwrap();
    assert_eq!((uevent.action.as_ref(), uevent.block_device(), uevent.number()), ("change", Some("dm-3"), Some(634)));
    assert_eq!(Uevent::parse(b"libudev\0\xfe\xed\xca\xfe"), Err(NotUevent::Header));
    assert_eq!(Uevent::parse(b"add@/module/dm\0SUBSYSTEM=\0"), Err(NotUevent::Subsystem));
    assert_eq!(Uevent::parse(b"@/module/dm\0SUBSYSTEM=module\0"), Err(NotUevent::Header));
    assert_eq!(Uevent::parse(b""), Err(NotUevent::Header));
    let module = Uevent::parse(b"add@/module/dm\0SUBSYSTEM=module\0").unwrap();
    assert_eq!((module.device(), module.block_device(), module.lines()), (None, None, Vec::new()));
}

#[test]
fn a_path_that_fails_is_a_line_of_the_path_and_one_of_its_map() {
    check(
        &PATH,
        &[
            "block change dm-3: DM_ACTION=PATH_FAILED DM_PATH=8:48 DM_NR_VALID_PATHS=0 DM_NAME=mpath\\x20a",
            "block change dm-3: DM_NR_VALID_PATHS=0 DM_ACTION=PATH_FAILED DM_PATH=8:48 DM_NAME=mpath\\x20a",
        ],
    );
    let without_count: Vec<&str> = PATH.into_iter().filter(|part| !part.starts_with("DM_NR")).collect();
    check(&without_count, &[]);
}

#[test]
fn what_means_something_is_a_line() {
    let block = |said: &'static str| ["change@/devices/x/block/sdb", "SUBSYSTEM=block", "DEVNAME=sdb", said];
    check(&block("RESIZE=1"), &["block change sdb: RESIZE=1"]);
    check(&block("DISK_RO=0"), &["block change sdb: DISK_RO=0"]);
    check(&block("DISK_MEDIA_CHANGE=1"), &["block change sdb: DISK_MEDIA_CHANGE=1"]);
    check(&block("SYNTH_UUID=0"), &[]);
    check(&["add@/devices/x/block/sdb", "SUBSYSTEM=block", "DEVNAME=sdb", "RESIZE=1"], &[]);
    // At every change of a role.
    check(&["change@/devices/virtual/block/drbd9", "SUBSYSTEM=block", "DEVNAME=drbd9", "DISK_RO=1"], &[]);
    let scsi = "change@/devices/pci0000:00/host6/target6:0:0/6:0:0:0";
    check(
        &[scsi, "SUBSYSTEM=scsi", "DEVTYPE=scsi_device", "SDEV_UA=CAPACITY_DATA_HAS_CHANGED"],
        &["scsi change 6:0:0:0: SDEV_UA=CAPACITY_DATA_HAS_CHANGED"],
    );
    check(&[scsi, "SUBSYSTEM=scsi", "SDEV_MEDIA_CHANGE=1"], &["scsi change 6:0:0:0: SDEV_MEDIA_CHANGE=1"]);
    let nvme = ["change@/devices/pci0000:00/nvme/nvme0", "SUBSYSTEM=nvme", "DEVNAME=nvme0"];
    let with = |more: &[&'static str]| nvme.iter().chain(more).copied().collect::<Vec<_>>();
    check(
        &with(&["NVME_TRTYPE=tcp", "NVME_TRADDR=10.0.0.1", "NVME_EVENT=connected"]),
        &["nvme change nvme0: NVME_EVENT=connected NVME_TRTYPE=tcp NVME_TRADDR=10.0.0.1"],
    );
    check(&with(&["NVME_AEN=0x020101"]), &["nvme change nvme0: NVME_AEN=0x020101 kind=health what=temperature"]);
    check(
        &with(&["NVME_AEN=0x010300"]),
        &["nvme change nvme0: NVME_AEN=0x010300 kind=error what=persistent-internal-error"],
    );
    check(&with(&["NVME_AEN=many"]), &[]);
}

#[test]
fn another_table_is_told_from_a_path() {
    let is_other = |said: &str| {
        let bytes = datagram(&["change@/devices/virtual/block/dm-3", "SUBSYSTEM=block", "DEVNAME=dm-3", said]);
        Uevent::parse(&bytes).unwrap().is_other_table()
    };
    assert!(is_other("DM_COOKIE=4236784"));
    assert!(!is_other("DM_ACTION=PATH_FAILED") && !is_other("SYNTH_UUID=0"));
}

/// What becomes of one device between two readings.
fn changed(name: &str, before: &[(Attribute, &str)], now: &[(Attribute, &str)]) -> Vec<String> {
    let read = |texts: &[(Attribute, &str)]| {
        let mut facts = Facts::new(name);
        facts.devpath = format!("/devices/pci0000:00/host6/target6:0:0/6:0:0:0/block/{name}");
        texts.iter().for_each(|(attribute, text)| facts.set(*attribute, text));
        let map = DeviceMap::new(&[facts], Vec::new());
        map.present(name).unwrap().clone()
    };
    differences(&read(before), &read(now))
}

#[test]
fn what_an_array_and_a_disk_do_not_say_in_their_uevent_is_found_by_reading_them_again() {
    use Attribute::{DeviceState, MdAction, MdDegraded, MdDisks, MdState};
    let good = [(MdDegraded, "0"), (MdDisks, "2"), (MdState, "clean"), (MdAction, "idle")];
    let bad = [(MdDegraded, "1"), (MdDisks, "2"), (MdState, "clean"), (MdAction, "recover")];
    assert_eq!(changed("md0", &good, &good), [""; 0]);
    let expect = ["block change md0: md/degraded=1 md/raid_disks=2", "block change md0: md/sync_action=recover"];
    assert_eq!(changed("md0", &good, &bad), expect);
    assert_eq!(changed("md0", &bad, &good)[0], "block change md0: md/degraded=0 md/raid_disks=2");
    assert_eq!(changed("md0", &[], &bad), [""; 0], "how it was before is not known");
    let offline = changed("sda", &[(DeviceState, "running")], &[(DeviceState, "offline")]);
    assert_eq!(offline, ["block change sda: device/state=offline"]);
}

#[test]
fn a_line_is_as_long_as_six_values_of_wide_blanks_make_it() {
    // U+3000 is a blank of three bytes, each of which is written as four characters.
    let wide = "\u{3000}".repeat(600);
    let keys = ["DEVNAME", "DM_ACTION", "DM_PATH", "DM_NR_VALID_PATHS", "DM_NAME", "DM_UUID"];
    let properties = keys.map(|key| format!("{key}={wide}"));
    let parts: Vec<&str> =
        ["change@/devices/x", "SUBSYSTEM=block"].into_iter().chain(properties.iter().map(String::as_str)).collect();
    let bytes = datagram(&parts);
    let longest = Uevent::parse(&bytes).unwrap().lines().iter().map(String::len).max().unwrap();
    assert!((6 * 512 * 12..6 * 512 * 12 + 256).contains(&longest), "{longest}");
    crate::fuzzing::any_uevent(&bytes);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        head in "[a-z]{0,6}@?/?", noise in proptest::collection::vec(any::<u8>(), 0..2000), with in any::<bool>(),
    ) {
        let mut datagram = head.into_bytes();
        datagram.extend(noise);
        if with {
            datagram.extend(b"\0SUBSYSTEM=block\0DEVNAME=\nx y\0DM_ACTION=PATH_FAILED\0DM_PATH=1\0DM_NR_VALID_PATHS=");
            datagram.extend([b'\n'; 3000]);
        }
        crate::fuzzing::any_uevent(&datagram);
    }
}
