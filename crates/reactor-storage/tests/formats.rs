//! Logs of all forms: samples, recordings of a real machine in several forms, and any bytes.

#![expect(clippy::unwrap_used, reason = "a test that can not go on says where")]

use std::fmt::Write as _;
use std::path::Path;

use expect_test::{Expect, expect};
use proptest::prelude::*;
use reactor_storage::formats::{Clock, Counts, Format, Reader, detect, rfc3339};
use reactor_storage::record::{MAX_TEXT, Origin, Record};

/// 2026-11-30T00:00:00Z.
const LATEST_US: u64 = 1_795_996_800_000_000;

fn clock() -> Clock {
    Clock { latest_us: Some(LATEST_US), ..Clock::default() }
}

/// A record as one line: level, times, host, who, text, and what else there is.
fn line(record: &Record<'_>) -> String {
    let mut line = record.level.map_or("-".to_owned(), |level| level.to_string());
    if let Some(wall_us) = record.at.wall_us {
        write!(line, " {}", rfc3339(wall_us)).unwrap();
    }
    if let Some(boot_us) = record.at.boot_us {
        write!(line, " +{boot_us}").unwrap();
    }
    if let Some(host) = &record.host {
        write!(line, " @{host}").unwrap();
    }
    match record.origin {
        Origin::Kernel => line.push_str(" kernel"),
        Origin::Program(name) => write!(line, " program {name:?}").unwrap(),
        Origin::Uevent => line.push_str(" uevent"),
    }
    write!(line, " {:?}", record.text).unwrap();
    let place = &record.place;
    let others = [&record.subsystem, &record.device, &place.boot, &place.cursor];
    for other in others.into_iter().flatten() {
        write!(line, " {other}").unwrap();
    }
    if let Some(sequence) = place.sequence {
        write!(line, " #{sequence}").unwrap();
    }
    line
}

/// Reads a log in pieces of this size.
fn read(format: Format, log: &[u8], piece: usize) -> (Vec<String>, Counts) {
    let mut lines = Vec::new();
    let mut reader = Reader::with_clock(format, clock());
    for piece in log.chunks(piece) {
        reader.push(piece, |record| lines.push(line(&record)));
    }
    reader.end(|record| lines.push(line(&record)));
    (lines, reader.counts())
}

/// A log is detected as what it is, and gives these records, whatever pieces it comes in.
fn check(format: Format, log: impl AsRef<[u8]>, expect: &Expect) {
    let log = log.as_ref();
    if format != Format::Plain {
        assert_eq!(detect(log), Some(format));
    }
    let (mut lines, counts) = read(format, log, usize::MAX);
    for piece in [1, 7] {
        assert_eq!(read(format, log, piece), (lines.clone(), counts), "in pieces of {piece}");
    }
    assert_eq!(counts.records, lines.len() as u64);
    for (said, count) in
        [("without text", counts.without_text), ("not understood", counts.not_understood), ("cut", counts.cut)]
    {
        if count != 0 {
            lines.push(format!("{said}: {count}"));
        }
    }
    expect.assert_eq(&(lines.join("\n") + "\n"));
}

#[expect(clippy::disallowed_methods, reason = "a test reads its recordings")]
fn recording(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/recordings/kernel72").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn kmsg_has_escapes_properties_and_programs() {
    let log = "6,266,32880000,-;scsi host2: scsi_debug: version 0191 [20210520]\\x0a  dev_size_mb=64 \n SUBSYSTEM=scsi\n DEVICE=+scsi:host2\n\
        30,267,32880001,-;multipathd[1243]: reconfigure: setting up paths and maps\n\
        12,268,32880002,-;typed by hand\n\
        6,269,32880003,c,caller=T1;\\xe2\\x82\\xac costs \\x5cx0a, \\q \\xZZ \\x\n\
        2,270,32880004,-; connection1:0: detected conn error (1020)\n\
        nothing of the kernel's\n\
        6,271,32880005,-;\n\
        6,272,32880006,-;\\xff is no character";
    check(
        Format::Kmsg,
        log,
        &expect![[r#"
        6 +32880000 kernel "scsi host2: scsi_debug: version 0191 [20210520]\n  dev_size_mb=64 " scsi +scsi:host2 #266
        6 +32880001 program "multipathd" "reconfigure: setting up paths and maps" #267
        4 +32880002 program "" "typed by hand" #268
        6 +32880003 kernel "€ costs \\x0a, \\q \\xZZ \\x" #269
        2 +32880004 kernel " connection1:0: detected conn error (1020)" #270
        6 +32880005 kernel "" #271
        6 +32880006 kernel "� is no character" #272
        not understood: 1
    "#]],
    );
    check(
        Format::Kmsg,
        log.replace('\n', "\r\n"),
        &expect![[r#"
        6 +32880000 kernel "scsi host2: scsi_debug: version 0191 [20210520]\n  dev_size_mb=64 " scsi +scsi:host2 #266
        6 +32880001 program "multipathd" "reconfigure: setting up paths and maps" #267
        4 +32880002 program "" "typed by hand" #268
        6 +32880003 kernel "€ costs \\x0a, \\q \\xZZ \\x" #269
        2 +32880004 kernel " connection1:0: detected conn error (1020)" #270
        6 +32880005 kernel "" #271
        6 +32880006 kernel "� is no character" #272
        not understood: 1
    "#]],
    );
}

/// One entry of the export format; a value of several lines is binary.
fn entry(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.extend_from_slice(name.as_bytes());
        if value.contains(&b'\n') || std::str::from_utf8(value).is_err() {
            bytes.push(b'\n');
            bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
        } else {
            bytes.push(b'=');
        }
        bytes.extend_from_slice(value);
        bytes.push(b'\n');
    }
    bytes.push(b'\n');
    bytes
}

/// A kernel's entry with this message.
fn kernels(message: &[u8]) -> Vec<u8> {
    entry(&[
        ("__CURSOR", b"s=1;i=2"),
        ("_TRANSPORT", b"kernel"),
        ("SYSLOG_IDENTIFIER", b"kernel"),
        ("MESSAGE", message),
    ])
}

#[test]
fn export_has_text_and_binary_fields_and_says_who_it_is_from() {
    let stamps: [(&str, &[u8]); 4] = [
        ("__CURSOR", b"s=03d0;i=1dd;b=1c42;m=4b2d9f9;t=6615af0b96a79;x=f2cd"),
        ("__REALTIME_TIMESTAMP", b"1795893073898105"),
        ("__MONOTONIC_TIMESTAMP", b"78830073"),
        ("_BOOT_ID", b"1c42149f82cc4172b7a2c1fd0abc0a25"),
    ];
    let with = |fields: &[(&str, &[u8])]| {
        let mut all: Vec<(&str, &[u8])> = stamps.to_vec();
        all.extend_from_slice(fields);
        entry(&all)
    };
    let two_lines =
        b"md/raid1:md0: Disk failure on sdb1, disabling device.\nmd/raid1:md0: Operation continuing on 1 devices.";
    let mut log = with(&[
        ("PRIORITY", b"6"),
        ("SYSLOG_FACILITY", b"0"),
        ("_TRANSPORT", b"kernel"),
        ("SYSLOG_IDENTIFIER", b"kernel"),
        ("_HOSTNAME", b"n1"),
        ("MESSAGE", two_lines),
        ("_KERNEL_SUBSYSTEM", b"scsi"),
        ("_KERNEL_DEVICE", b"+scsi:5:0:0:0"),
        ("_SOURCE_MONOTONIC_TIMESTAMP", b"78820000"),
    ]);
    let mut add = |fields: &[(&str, &[u8])]| log.extend(with(fields));
    add(&[("_TRANSPORT", b"syslog"), ("SYSLOG_IDENTIFIER", b"multipathd"), ("MESSAGE", b"\xff sda: mark as failed")]);
    // What somebody wrote to /dev/kmsg, and one who calls himself the kernel.
    add(&[("_TRANSPORT", b"kernel"), ("SYSLOG_FACILITY", b"3"), ("SYSLOG_IDENTIFIER", b"lvm"), ("MESSAGE", b"a")]);
    add(&[("_TRANSPORT", b"kernel"), ("SYSLOG_FACILITY", b"1"), ("MESSAGE", b"a")]);
    add(&[("_TRANSPORT", b"syslog"), ("SYSLOG_IDENTIFIER", b"kernel"), ("MESSAGE", b"b"), ("MESSAGE", b"c")]);
    add(&[("_TRANSPORT", b"journal"), ("_COMM", b"smartd"), ("PRIORITY", b"99"), ("MESSAGE", b"")]);
    add(&[("_TRANSPORT", b"audit")]);
    add(&[("SYSLOG_IDENTIFIER", b"kernel"), ("_SOURCE_BOOTTIME_TIMESTAMP", b"5"), ("MESSAGE", b"few fields")]);
    check(
        Format::Export,
        &log,
        &expect![[r#"
        6 2026-11-28T19:11:13.898105Z +78820000 @n1 kernel "md/raid1:md0: Disk failure on sdb1, disabling device.\nmd/raid1:md0: Operation continuing on 1 devices." scsi +scsi:5:0:0:0 1c42149f82cc4172b7a2c1fd0abc0a25 s=03d0;i=1dd;b=1c42;m=4b2d9f9;t=6615af0b96a79;x=f2cd
        - 2026-11-28T19:11:13.898105Z +78830073 program "multipathd" "� sda: mark as failed" 1c42149f82cc4172b7a2c1fd0abc0a25 s=03d0;i=1dd;b=1c42;m=4b2d9f9;t=6615af0b96a79;x=f2cd
        - 2026-11-28T19:11:13.898105Z +78830073 program "lvm" "a" 1c42149f82cc4172b7a2c1fd0abc0a25 s=03d0;i=1dd;b=1c42;m=4b2d9f9;t=6615af0b96a79;x=f2cd
        - 2026-11-28T19:11:13.898105Z +78830073 program "" "a" 1c42149f82cc4172b7a2c1fd0abc0a25 s=03d0;i=1dd;b=1c42;m=4b2d9f9;t=6615af0b96a79;x=f2cd
        - 2026-11-28T19:11:13.898105Z +78830073 program "kernel" "b" 1c42149f82cc4172b7a2c1fd0abc0a25 s=03d0;i=1dd;b=1c42;m=4b2d9f9;t=6615af0b96a79;x=f2cd
        - 2026-11-28T19:11:13.898105Z +78830073 program "smartd" "" 1c42149f82cc4172b7a2c1fd0abc0a25 s=03d0;i=1dd;b=1c42;m=4b2d9f9;t=6615af0b96a79;x=f2cd
        - 2026-11-28T19:11:13.898105Z +5 kernel "few fields" 1c42149f82cc4172b7a2c1fd0abc0a25 s=03d0;i=1dd;b=1c42;m=4b2d9f9;t=6615af0b96a79;x=f2cd
        without text: 1
    "#]],
    );
}

#[test]
fn an_entry_of_export_is_bounded_whatever_is_in_it() {
    let long = "\u{e4}".repeat(MAX_TEXT);
    let (dump, lines) = ([b'x'; 300_000], [b'\n'; 300_000]);
    let mut log =
        entry(&[("__CURSOR", b"c"), ("COREDUMP", &dump), ("BINARY", &lines), ("MESSAGE", b"behind it"), ("A", b"b")]);
    for message in [long.clone(), format!("\n{long}"), "y".repeat(200_000)] {
        log.extend(entry(&[("__CURSOR", b"c"), ("MESSAGE", message.as_bytes()), ("SYSLOG_IDENTIFIER", b"smartd")]));
    }
    let names: Vec<String> = (0..20_000).map(|n| format!("F{n}")).collect();
    let mut fields: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"value"[..])).collect();
    fields.insert(10_000, ("MESSAGE", b"among many"));
    fields.push(("SYSLOG_IDENTIFIER", b"zed"));
    fields.insert(0, ("__CURSOR", b"first"));
    log.extend(entry(&fields));
    // No length is that large.
    log.extend_from_slice(b"MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\xffabc\n\n");
    log.extend(kernels(b"the next one"));
    let read = |piece: usize| {
        let mut said = String::new();
        let mut reader = Reader::new(Format::Export);
        for piece in log.chunks(piece) {
            reader.push(piece, |record| {
                assert!(record.text.len() <= MAX_TEXT, "{}", record.text.len());
                let start: String = record.text.chars().take(12).collect();
                let (who, cursor) = (record.origin, record.place.cursor);
                writeln!(said, "{who:?} {start:?} of {} bytes, {cursor:?}", record.text.len()).unwrap();
            });
        }
        reader.end(|record| panic!("{record:?}"));
        let counts = reader.counts();
        assert_eq!((counts.records, counts.cut, counts.not_understood, counts.without_text), (6, 3, 1, 0), "{said}");
        said
    };
    let said = read(usize::MAX);
    for piece in [65_536, 1000, 13] {
        assert_eq!(read(piece), said);
    }
    expect![[r#"
        Program("") "behind it" of 9 bytes, Some("c")
        Program("smartd") "ääääääääääää" of 8192 bytes, Some("c")
        Program("smartd") "\näääääääääää" of 8191 bytes, Some("c")
        Program("smartd") "yyyyyyyyyyyy" of 8192 bytes, Some("c")
        Program("zed") "among many" of 10 bytes, Some("first")
        Kernel "the next one" of 12 bytes, Some("s=1;i=2")
    "#]]
    .assert_eq(&said);
}

#[test]
fn an_export_that_ends_in_the_middle_gives_what_is_there() {
    let log = [kernels(b"whole"), kernels(b"torn")].concat();
    assert_eq!(read(Format::Export, &log[..log.len() - 1], 5).0.len(), 2);
    let (lines, counts) = read(Format::Export, &log[..log.len() - 4], 5);
    assert_eq!((lines.len(), counts.without_text), (1, 1));
}

#[test]
fn json_has_text_bytes_and_null_and_comes_in_several_dresses() {
    let log = "{\"PRIORITY\":\"6\",\"_BOOT_ID\":\"1c42\",\"__MONOTONIC_TIMESTAMP\":\"78830073\",\"MESSAGE\":\"scsi host5: \\\"x\\\"\\n  {dev}\",\"__CURSOR\":\"s=03\",\"_HOSTNAME\":\"n1\",\"_TRANSPORT\":\"kernel\",\"SYSLOG_IDENTIFIER\":\"kernel\",\"__REALTIME_TIMESTAMP\":\"1795893073898105\",\"_SOURCE_MONOTONIC_TIMESTAMP\":\"78820000\",\"SYSLOG_FACILITY\":\"0\"}\n\
        {\"MESSAGE\":[255,32,115,100,97],\"SYSLOG_IDENTIFIER\":[\"multipathd\",\"other\"],\"_TRANSPORT\":\"syslog\"}\n\
        {\"MESSAGE\":null,\"SYSLOG_IDENTIFIER\":\"big\"}\n\
        {\"MESSAGE\":[[104,105],\"second\"],\"SYSLOG_IDENTIFIER\":\"lvm\",\"EXTRA\":[1,[]]}\n\
        {\"MESSAGE\":\"torn\n\
        data: {\"MESSAGE\":\"sse\"}\n\n\
        \u{1e}{\n\t\"MESSAGE\" : \"pretty\",\n\t\"PRIORITY\" : \"3\"\n}\n\
        {\"MESSAGE\":7,\"PRIORITY\":true,\"_HOSTNAME\":-1}\n\
        {\"MESSAGE\" \"bad\"}\n\
        {\"MESSAGE\":\"never ended";
    check(
        Format::Json,
        log,
        &expect![[r#"
        6 2026-11-28T19:11:13.898105Z +78820000 @n1 kernel "scsi host5: \"x\"\n  {dev}" 1c42 s=03
        - program "multipathd" "� sda"
        - program "lvm" "hi"
        - program "" "sse"
        3 program "" "pretty"
        - program "" "7"
        without text: 1
        not understood: 3
    "#]],
    );
    check(
        Format::Json,
        b"{\"MESSAGE\":\"\xff bare\"}",
        &expect![[r#"
        - program "" "� bare"
    "#]],
    );
}

#[test]
fn an_object_of_json_is_bounded() {
    let log = format!("{{\"A\":\"{}\"}}{{\"MESSAGE\":\"{}\"}}", "x".repeat(1_000_000), "y".repeat(10_000));
    for piece in [usize::MAX, 1000] {
        let (lines, counts) = read(Format::Json, log.as_bytes(), piece);
        assert_eq!((lines.len(), counts.not_understood, counts.cut), (1, 1, 1));
    }
}

#[test]
fn json_of_dmesg_is_read_with_numbers_and_with_words() {
    let log = r#"{
   "dmesg": [
      {
         "pri": 5,
         "time":    28.970000,
         "msg": "sd 1:0:0:0: [sda] Attached \"SCSI\" disk"
      },{
         "fac": "kern",
         "pri": "notice",
         "time":     0.000000,
         "msg": "Linux version"
      },{
         "fac": "daemon",
         "pri": "warn",
         "time":     1.5,
         "msg": "multipathd[12]: sda: mark as failed"
      },{
         "pri": 30,
         "time":     1.5,
         "msg": "systemd[1]: Started."
      }
   ]
}
"#;
    check(
        Format::Json,
        log,
        &expect![[r#"
        5 +28970000 kernel "sd 1:0:0:0: [sda] Attached \"SCSI\" disk"
        5 +0 kernel "Linux version"
        4 +1500000 program "multipathd" "sda: mark as failed"
        6 +1500000 program "systemd" "Started."
    "#]],
    );
}

#[test]
fn dmesg_is_read_with_all_its_stamps_and_prefixes() {
    let log = "[    0.000000] Linux version 6.18.44 (builder@n1) #1 SMP\n\
        [   12.345678] sd 0:0:0:0: [sda] tag#7 CDB: Read(10) 28 00 \n\
        [   12.345679][    T1]  connection1:0: detected conn error (1020)\n\
        [   12.345680][   C0] ata1: EH complete\n\
        <3>[   13.000001] I/O error, dev sda, sector 2048\n\
        <30>[   13.000002] systemd[1]: Started.\n\
        kern  :warn  : [   14.000001] device-mapper: multipath: 253:3: Failing path 8:48.\n\
        user  :notice: [   14.000002] typed by hand\n\
        [Sun Nov 29 20:23:10 2026] XFS (dm-0): log I/O error -5\n\
        kern  :crit  : [Sun Nov 29 20:23:10 2026] md: crit\n\
        2026-11-29T20:23:10,123456+01:00 XFS (dm-0): iso\n\
        [   15.000001 <    0.000001>] delta\n\
        [Nov29 20:23] of a minute\n\
        [  +0.000003] later\n\
        [   16.000001] multipathd[12]: sda: mark as failed\n\
        [   17.000001] mount: attempt to access beyond end of device\n               sda1: rw=0, sector=208\n\
        [   18.000001]\n\
        -- remark --\n\
        [drm] no stamp\n\
        [   19.000001] ";
    check(
        Format::Dmesg,
        log,
        &expect![[r#"
        - +0 kernel "Linux version 6.18.44 (builder@n1) #1 SMP"
        - +12345678 kernel "sd 0:0:0:0: [sda] tag#7 CDB: Read(10) 28 00 "
        - +12345679 kernel " connection1:0: detected conn error (1020)"
        - +12345680 kernel "ata1: EH complete"
        3 +13000001 kernel "I/O error, dev sda, sector 2048"
        6 +13000002 program "systemd" "Started."
        4 +14000001 kernel "device-mapper: multipath: 253:3: Failing path 8:48."
        5 +14000002 program "" "typed by hand"
        - 2026-11-29T20:23:10.000000Z kernel "XFS (dm-0): log I/O error -5"
        2 2026-11-29T20:23:10.000000Z kernel "md: crit"
        - 2026-11-29T19:23:10.123456Z kernel "XFS (dm-0): iso"
        - +15000001 kernel "delta"
        - 2026-11-29T20:23:00.000000Z kernel "of a minute"
        - kernel "later"
        - +16000001 program "multipathd" "sda: mark as failed"
        - +17000001 kernel "mount: attempt to access beyond end of device\nsda1: rw=0, sector=208"
        - +18000001 kernel ""
        - +19000001 kernel ""
        not understood: 1
    "#]],
    );
    check(
        Format::Dmesg,
        &log.replace('\n', "\r\n")[..121],
        &expect![[r#"
        - +0 kernel "Linux version 6.18.44 (builder@n1) #1 SMP"
        - +12345678 kernel "sd 0:0:0:0: [sda] tag#7 CDB: Read(10) 28 00 "
        not understood: 1
    "#]],
    );
}

#[test]
fn files_of_syslog_and_short_forms_of_the_journal_are_read() {
    let log = "-- Journal begins at Sat 2026-11-28 10:00:00 UTC. --\n\
        Nov 29 20:00:01 n1 kernel: [   12.345678] sd 0:0:0:0: [sda] Attached SCSI disk\n\
        Nov  9 20:00:01 n1 kernel: [   12.345678][    T1] md/raid1:md0: Disk failure on sdb1, disabling device.#012md/raid1:md0: Operation continuing on 1 devices.\n\
        Nov 29 20:00:01 n1 kernel:  connection1:0: detected conn error (1020)\n\
        Nov 29 20:00:01.123456 n1 multipathd[123]: sdd: mark as failed\n\
        <30>Dec  2 20:00:01 n1 smartd[9]: Device: /dev/sda [SAT], 8 Currently unreadable (pending) sectors\n\
        2026-11-29T20:00:01.123456+00:00 n1 kernel: [Firmware Bug]: #1 and #0999 and #012\n\
        2026-11-29T20:00:01+0100 n1 (udev-worker)[7]: nothing\n\
        Sun 2026-11-29 20:00:01 UTC n1 lvm[4]: WARNING: Thin pool vg-pool data is now 85.23% full.\n\
        1795893073.898105 n1 kernel: EXT4-fs (sda1): error count since last fsck: 5\n\
        Nov 29 20:00:01 kernel: without a host\n\
        Nov 29 20:00:01 n1 kernel: scsi host5: scsi_debug: version 0191\n                             dev_size_mb=128\n\
        -- Boot 1c42149f82cc4172b7a2c1fd0abc0a25 --\n\
        Nov 31 20:00:01 n1 kernel: no such day\n\
        Nov 29 20:00:01 n1 last message repeated 3 times\n\
        garbage";
    check(
        Format::Syslog,
        log,
        &expect![[r#"
        - 2026-11-29T20:00:01.000000Z +12345678 @n1 kernel "sd 0:0:0:0: [sda] Attached SCSI disk"
        - 2026-11-09T20:00:01.000000Z +12345678 @n1 kernel "md/raid1:md0: Disk failure on sdb1, disabling device.\nmd/raid1:md0: Operation continuing on 1 devices."
        - 2026-11-29T20:00:01.000000Z @n1 kernel " connection1:0: detected conn error (1020)"
        - 2026-11-29T20:00:01.123456Z @n1 program "multipathd" "sdd: mark as failed"
        6 2025-12-02T20:00:01.000000Z @n1 program "smartd" "Device: /dev/sda [SAT], 8 Currently unreadable (pending) sectors"
        - 2026-11-29T20:00:01.123456Z @n1 kernel "[Firmware Bug]: #1 and #0999 and \n"
        - 2026-11-29T19:00:01.000000Z @n1 program "(udev-worker)" "nothing"
        - 2026-11-29T20:00:01.000000Z @n1 program "lvm" "WARNING: Thin pool vg-pool data is now 85.23% full."
        - 2026-11-28T19:11:13.898105Z @n1 kernel "EXT4-fs (sda1): error count since last fsck: 5"
        - 2026-11-29T20:00:01.000000Z kernel "without a host"
        - 2026-11-29T20:00:01.000000Z @n1 kernel "scsi host5: scsi_debug: version 0191\n  dev_size_mb=128"
        - @n1 kernel "no such day"
        not understood: 2
    "#]],
    );
}

#[test]
fn a_stamp_of_the_boot_with_a_host_is_told_from_the_kernels_text() {
    let log = "[   78.820000] n1 kernel: scsi host5: scsi_debug: version 0191\n                            dev_size_mb=128\n\
        [   80.266956] n1 multipathd[1243]: multipathd v0.9.4: start up\n";
    check(
        Format::ShortMonotonic,
        log,
        &expect![[r#"
        - +78820000 @n1 kernel "scsi host5: scsi_debug: version 0191\n  dev_size_mb=128"
        - +80266956 @n1 program "multipathd" "multipathd v0.9.4: start up"
    "#]],
    );
    // The kernel's own text looks like a host and a name.
    check(
        Format::Dmesg,
        "[    1.0] usb hub: found\n",
        &expect![[r#"
        - +1000000 kernel "usb hub: found"
    "#]],
    );
}

#[test]
fn a_text_without_heads_is_no_log_unless_somebody_says_so() {
    for text in ["", "\n\n", "sd 0:0:0:0: [sda] Attached SCSI disk\n", "<html>", "{}", "a=b\n", "\0\0\0"] {
        assert_eq!(detect(text.as_bytes()), None, "{text:?}");
    }
    check(
        Format::Plain,
        "sd 0:0:0:0: [sda] Attached SCSI disk\n connection1:0: x\n\n",
        &expect![[r#"
        - kernel "sd 0:0:0:0: [sda] Attached SCSI disk"
        - kernel " connection1:0: x"
    "#]],
    );
}

#[test]
fn a_line_without_end_is_cut_and_the_next_is_read() {
    let long = "x".repeat(200_000);
    let indented = format!(" {long}\n").repeat(3);
    for log in [format!("[ 1.0] {long}\n[ 2.0] next\n"), format!("[ 1.0] a\n{indented}[ 2.0] next\n")] {
        for piece in [usize::MAX, 1000] {
            let (lines, counts) = read(Format::Dmesg, log.as_bytes(), piece);
            assert_eq!((lines.len(), counts.cut >= 1), (2, true), "{counts:?}");
            assert_eq!(lines[1], "- +2000000 kernel \"next\"");
        }
    }
}

/// The same story of the same machine in three forms.
#[test]
fn recordings_of_one_machine_say_the_same_in_every_form() {
    type Said = (u64, String, String);
    let read = |name: &str| {
        let log = recording(name);
        let format = detect(&log).unwrap();
        let mut said: Vec<Said> = Vec::new();
        let mut reader = Reader::new(format);
        let mut each = |record: Record<'_>| {
            let who = match record.origin {
                Origin::Kernel => "kernel".to_owned(),
                Origin::Program(name) => name.to_owned(),
                Origin::Uevent => "uevent".to_owned(),
            };
            // The journal drops blanks at the end.
            said.push((record.at.boot_us.unwrap(), who, record.text.trim_end().to_owned()));
        };
        reader.push(&log, &mut each);
        reader.end(&mut each);
        let counts = reader.counts();
        assert_eq!((counts.not_understood, counts.cut), (0, 0), "{name}");
        (format, said)
    };
    for name in ["scsi_medium", "multipath"] {
        let (json_format, json) = read(&format!("{name}.json"));
        let (short_format, short) = read(&format!("{name}.journal-all.txt"));
        let (kmsg_format, kmsg) = read(&format!("{name}.kmsg"));
        let formats = (json_format, short_format, kmsg_format);
        assert_eq!(formats, (Format::Json, Format::ShortMonotonic, Format::Kmsg), "{name}");
        // The short form has what programs say, too, and the ring all that was before.
        let kernels = |said: &[Said]| said.iter().filter(|(_, who, _)| who == "kernel").cloned().collect::<Vec<_>>();
        assert!(kernels(&short).ends_with(&json), "{name}");
        let kmsg = kernels(&kmsg);
        let first = kmsg.iter().position(|line| *line == json[0]).unwrap();
        assert!(json.len() > 20, "{name}");
        assert_eq!(kmsg[first..first + json.len()], json, "{name}");
    }
}

fn any_format() -> impl Strategy<Value = Format> {
    proptest::sample::select(Format::ALL.to_vec())
}

/// Bytes that look like a log in places.
fn any_log() -> impl Strategy<Value = Vec<u8>> {
    let parts: Vec<&'static [u8]> = vec![
        b"__CURSOR=s=1\n",
        b"MESSAGE=hello\n",
        b"MESSAGE\n\x05\0\0\0\0\0\0\0a\nb\xffc\n",
        b"BIG\n\xff\xff\x01\0\0\0\0\0",
        b"\n",
        b"\r\n",
        b"6,1,2,-;text\\x0amore\n",
        b" SUBSYSTEM=scsi\n",
        b"{\"MESSAGE\":",
        b"\"text\\\"\"",
        b"[104,105]",
        b"}",
        b"\"",
        b"{",
        b"<6>",
        b"[   12.345678] ",
        b"kern  :info  : ",
        b"Nov 29 20:00:01 ",
        b"n1 ",
        b"kernel: ",
        b"lvm[12]: ",
        b" ",
        b"#012",
        b"2026-11-29T20:00:01Z ",
        b"_TRANSPORT=kernel\n",
    ];
    let part = prop_oneof![
        8 => proptest::sample::select(parts).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
        1 => (1_usize..100_000).prop_map(|length| vec![b'x'; length]),
    ];
    proptest::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_read_the_same_in_any_pieces(format in any_format(), log in any_log(), piece in 1_usize..5000) {
        let whole = read(format, &log, usize::MAX);
        prop_assert_eq!(&whole, &read(format, &log, piece));
        prop_assert_eq!(whole.1.records, whole.0.len() as u64);
        let _ = detect(&log);
    }

    #[test]
    fn what_is_written_as_export_is_read_back(
        message in proptest::collection::vec(any::<u8>(), 0..300), other in "\\PC{0,50}",
    ) {
        let log = entry(&[("__CURSOR", b"c"), ("OTHER", other.as_bytes()), ("MESSAGE", &message), ("_HOSTNAME", b"n1")]);
        let mut reader = Reader::new(Format::Export);
        let mut texts = Vec::new();
        reader.push(&log, |record| texts.push(record.text.into_owned()));
        prop_assert_eq!(texts, [String::from_utf8_lossy(&message).into_owned()]);
    }
}
