use std::path::Path;

use expect_test::{Expect, expect};

use super::*;

/// A machine that was kept as a folder.
fn kept(tree: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../reactor-sysfs/tests/sysfs").join(tree)
}

fn shown(tree: &str, device: Option<&str>, is_tree: bool) -> String {
    let args = BlockArgs { device: device.map(str::to_owned), tree: is_tree, json: false, root: Some(kept(tree)) };
    let place = Place::new(reactor_core::settings::Mode::Native, None, None);
    let mut out = Vec::new();
    assert_eq!(args.run(&place, &mut out).unwrap(), Exit::Ok);
    anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
}

fn check(text: &str, expect: &Expect) {
    expect.assert_eq(text);
}

#[test]
fn all_devices_are_a_table() {
    check(
        &shown("fc-multipath", None, false),
        &expect![[r#"
        NAME        KIND       SIZE      CONTENT       MOUNTED AT  REACHED BY                              ID
        drbd1000    drbd       10.0 GiB  ext4          /srv/data                                           drbd:r0/0
        mpatha      multipath  20.0 GiB  LVM2_member                                                       mpath-36001405aabbccdd00112233
        sda         scsi       20.0 GiB  mpath_member              FC 0x500a0982aa000001 16 Gbit Online    naa.6001405aabbccdd00112233
        sdb         scsi       20.0 GiB  mpath_member              FC 0x500a0982aa000002 16 Gbit Linkdown  naa.6001405aabbccdd00112233
        vg--a-data  lvm        10.0 GiB  drbd                                                              LVM-VgVgVgVgVgVgVgVgVgVgVgVgVgVgVgVg00000000000000000000000000000001
    "#]],
    );
}

#[test]
fn a_tree_has_below_each_device_what_is_built_on_it() {
    check(
        &shown("fc-multipath", None, true),
        &expect![[r#"
        sda  scsi  20.0 GiB  FC 0x500a0982aa000001 16 Gbit Online
        └─ mpatha  multipath  20.0 GiB
           └─ vg--a-data  lvm  10.0 GiB
              └─ drbd1000  drbd  10.0 GiB  r0/0  /srv/data
        sdb  scsi  20.0 GiB  FC 0x500a0982aa000002 16 Gbit Linkdown
        └─ mpatha  multipath  20.0 GiB  (shown above)
    "#]],
    );
    check(
        &shown("virtio-crypt", Some("secret"), true),
        &expect![[r#"
        vda  virtio  20.0 GiB  virtio virtio1
        └─ vda1  partition  20.0 GiB
           └─ secret  crypt  20.0 GiB
              ├─ inner-root  lvm  10.0 GiB  /
              └─ inner-swap  lvm  1.0 GiB
    "#]],
    );
}

#[test]
fn one_device_is_shown_with_all_that_is_known_of_it() {
    check(
        &shown("fc-multipath", Some("36001405aabbccdd00112233"), false),
        &expect![[r#"
        mpatha: multipath, 20.0 GiB (21474836480 bytes)
          id              mpath-36001405aabbccdd00112233
          path            /dev/mapper/mpatha
          kernel          dm-0 (253:0)
          content         LVM2_member AaBbCc-1111-2222-3333-4444-5555-666666
          built on        sda (scsi), sdb (scsi)
          above           vg--a-data (lvm), drbd1000 (drbd)
          carries         r0/0, /srv/data
          units           srv-data.mount
          link            /dev/disk/by-id/dm-name-mpatha
          link            /dev/disk/by-id/wwn-0x6001405aabbccdd00112233
          also so called  sda, sdb
    "#]],
    );
    check(
        &shown("md-raid1", Some("/dev/md127"), false),
        &expect![[r#"
        md127: md, 931.4 GiB (1000136704000 bytes)
          id              md-uuid-3d2b1a00:aaaabbbb:cccc0000:0000ffff
          path            /dev/md/n1:0
          kernel          md127 (9:127)
          md              raid1, clean, recover, 1 of 2 missing
          content         xfs 9999aaaa-1111-4222-8333-444455556666 "root"
          mounted at      / (xfs)
          built on        sda1 (partition), sdb1 (partition), sda (scsi), sdb (scsi)
          units           -.mount
          md uuid         3d2b1a00:aaaabbbb:cccc0000:0000ffff
          link            /dev/disk/by-id/md-uuid-3d2b1a00:aaaabbbb:cccc0000:0000ffff
    "#]],
    );
    check(
        &shown("nvme-tcp", Some("nvme1"), false),
        &expect![[r#"
            nvme0c1n1: nvme-path, 1.0 GiB (1073741824 bytes)
              id              uuid.12345678-1111-4222-8333-444455556666-path-10.0.0.2:4420
              path            /dev/nvme0n1
              kernel          nvme0c1n1
              reached by      NVMe/tcp 10.0.0.2:4420 nqn.2026-01.org.example:sub1
              state           connecting
              controller      nvme1 10.0.0.2:4420 connecting
              above           nvme0n1 (nvme)
              carries         /srv/remote
              units           srv-remote.mount
              wwid            uuid.12345678-1111-4222-8333-444455556666
              serial          0123456789abcdef
              uuid            12345678-1111-4222-8333-444455556666
              model           Linux
              also so called  nvme0n1
        "#]],
    );
}

#[test]
fn what_is_odd_is_said_and_devices_in_a_circle_are_shown_once() {
    check(
        &shown("broken", None, true),
        &expect![[r#"
        dm-2  dm  50.0 KiB
        sda  scsi  1.0 GiB
        sdb  scsi
        sdc  scsi  /ok�
        sdd  scsi
        sde  scsi
        sdg  scsi
        sdh  scsi
        sdi  scsi  1.0 GiB
        sdj  scsi
        one  dm  50.0 KiB
        └─ two  dm  50.0 KiB
           └─ one  dm  50.0 KiB  (shown above)
        something is odd with sda, sdb, sde, sdg, sdj: reactorctl block NAME says what
    "#]],
    );
    check(
        &shown("broken", Some("sdb"), false),
        &expect![[r#"
        sdb: scsi
          id              name-sdb
          path            /dev/sdb
          kernel          sdb
          odd             dev: "8:sixteen": a device number is MAJOR:MINOR
          odd             size: "many" is no number
    "#]],
    );
}

#[test]
fn a_daemon_names_resources_and_services() {
    let mut map = Reader::new(kept("many-kinds")).list().unwrap().into_map();
    let resources = serde_json::from_value(json!([{
        "name": "db", "devices": [{ "volume": 0, "minor": 7, "backing-device": "/dev/zd0" }], "connections": [],
    }]))
    .unwrap();
    let promoted = serde_json::from_value(json!([{ "resource": "db", "target": "drbd-services@db.target" }])).unwrap();
    let status = Status { resources, promoted, ..Status::default() };
    take_from_daemon(&mut map, &status);
    let found = map.find("zd0").unwrap();
    let carries = map.report(found.device).carries;
    assert!(carries.drbd.contains("db/0") && carries.units.contains("drbd-services@db.target"), "{carries:?}");
}

#[test]
fn a_name_that_nobody_has_has_a_code_of_its_own() {
    let args =
        BlockArgs { device: Some("mpathb".to_owned()), tree: false, json: false, root: Some(kept("fc-multipath")) };
    let place = Place::new(reactor_core::settings::Mode::Native, None, None);
    let failure = args.run(&place, &mut Vec::new()).unwrap_err();
    assert_eq!(failure.exit(), Exit::NoSuchDevice);
    assert_eq!(failure.chain(), "no block device here is called \"mpathb\"; there is mpatha");
}

/// Neither a daemon nor udev: the kernel's debugfs has the names, and without that the error says where they were looked for.
#[test]
fn a_resource_is_found_without_daemon_and_udev() {
    let root = std::env::temp_dir().join(format!("reactorctl-block-drbd-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&root);
    let device = root.join("sys/devices/virtual/block/drbd1000");
    std::fs::create_dir_all(&device).unwrap();
    std::fs::create_dir_all(root.join("sys/class/block")).unwrap();
    std::fs::write(device.join("dev"), "147:1000\n").unwrap();
    std::fs::write(device.join("size"), "20480\n").unwrap();
    let link = "../../devices/virtual/block/drbd1000";
    std::os::unix::fs::symlink(link, root.join("sys/class/block/drbd1000")).unwrap();
    let run = |name: &str| {
        let args = BlockArgs { device: Some(name.to_owned()), tree: true, json: false, root: Some(root.clone()) };
        let mut out = Vec::new();
        let place = Place::new(reactor_core::settings::Mode::Native, None, None);
        args.run(&place, &mut out).map(|_| anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string())
    };
    let failure = run("r0").unwrap_err();
    assert_eq!(failure.exit(), Exit::NoSuchDevice);
    let says = failure.to_string();
    for part in ["\"r0\"", "drbd1000", "/dev/drbd/by-res", "/sys/kernel/debug/drbd/minors", "drbd:1000"] {
        assert!(says.contains(part), "{part}: {says}");
    }
    let minors = root.join("sys/kernel/debug/drbd/minors");
    std::fs::create_dir_all(&minors).unwrap();
    std::os::unix::fs::symlink("../resources/r0/volumes/2", minors.join("1000")).unwrap();
    check(
        &run("r0").unwrap(),
        &expect![[r#"
        drbd1000  drbd  10.0 MiB  r0/2
    "#]],
    );
    assert_eq!(run("r0/2").unwrap(), run("drbd:1000").unwrap());
    assert!(matches!(run("r1"), Err(Failure::NoSuchDevice { .. })), "every name is known");
    std::fs::remove_dir_all(&root).unwrap();
}
