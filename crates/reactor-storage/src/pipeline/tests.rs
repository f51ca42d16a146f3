use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::catalogue::Catalogue;
use crate::record::{Origin, Place, Stamp};

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::built_in);

/// Lines of the kernel at these milliseconds since the boot, and what becomes of them.
fn told(lines: &[(u64, &str)]) -> Vec<Told> {
    let (map, mut pipeline) = (DeviceMap::default(), Pipeline::new());
    let mut told = Vec::new();
    for (at, line) in lines {
        take(&map, &mut pipeline, *at, line);
        told.extend(pipeline.told());
    }
    pipeline.finish(&map);
    told.extend(pipeline.told());
    told
}

fn take(map: &DeviceMap, pipeline: &mut Pipeline, at: u64, line: &str) {
    let mut record = Record::new(Origin::Kernel, line);
    record.at = Stamp { wall_us: None, boot_us: Some(at * 1000) };
    record.place = Place { boot: Some("b".into()), sequence: None, cursor: None };
    if let Some(finding) = CATALOGUE.classify(&record) {
        pipeline.take(&record, &finding, map, at * 1000);
    }
}

/// Each event that is over, in a line.
fn over(told: &[Told]) -> Vec<String> {
    let ended = told.iter().filter(|told| told.phase == Phase::Ended).map(|told| &told.event);
    ended.map(|event| format!("{} {} {} x{}", event.severity, event.kind, event.subject(), event.count)).collect()
}

const COMMAND: [&str; 4] = [
    "sd 6:0:0:0: [sdf] tag#2 FAILED Result: hostbyte=DID_OK driverbyte=DRIVER_OK cmd_age=0s",
    "sd 6:0:0:0: [sdf] tag#2 Sense Key : Medium Error [current] ",
    "sd 6:0:0:0: [sdf] tag#2 Add. Sense: Unrecovered read error",
    "sd 6:0:0:0: [sdf] tag#2 CDB: Read(10) 28 00 00 85 4f 28 00 00 08 00",
];

#[test]
fn lines_of_one_command_are_one_event_with_the_sector_that_the_block_layer_names() {
    let mut lines: Vec<_> = COMMAND.map(|line| (1000, line)).to_vec();
    lines
        .push((1001, "critical medium error, dev sdf, sector 8736552 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2"));
    let told = told(&lines);
    assert_eq!(over(&told), ["critical SCSI_MEDIUM_ERROR sdf x1"]);
    let event = &told[0].event;
    assert_eq!(event.fields.get("sector").map(String::as_str), Some("8736552"));
    assert_eq!(event.fields.get("asc").map(String::as_str), Some("Unrecovered read error"));
    assert!(event.message.starts_with("critical medium error, dev sdf"), "{}", event.message);
    assert_eq!(event.lines.len(), 5);
}

/// Two commands fail at once, and their lines are mixed.
#[test]
fn the_tag_tells_commands_apart() {
    let mut lines = Vec::new();
    for line in COMMAND {
        lines.push((1000, line.to_owned()));
        lines.push((1000, line.replace("tag#2", "tag#3").replace("Medium Error", "Hardware Error")));
    }
    let lines: Vec<_> = lines.iter().map(|(at, line)| (*at, line.as_str())).collect();
    let mut over = over(&told(&lines));
    over.sort();
    assert_eq!(over, ["critical SCSI_HARDWARE_ERROR sdf x1", "critical SCSI_MEDIUM_ERROR sdf x1"]);
}

/// What only says more is nothing without what it says more of.
#[test]
fn a_command_block_alone_is_no_event() {
    assert_eq!(over(&told(&[(1000, COMMAND[3])])), Vec::<String>::new());
}

#[test]
fn a_flood_is_one_event_that_is_counted_and_told_now_and_then() {
    let lines: Vec<(u64, String)> = (0..10_000)
        .map(|n| {
            (
                1000 + n / 10,
                format!("I/O error, dev sdb, sector {} op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2", n * 8),
            )
        })
        .collect();
    let lines: Vec<_> = lines.iter().map(|(at, line)| (*at, line.as_str())).collect();
    let told = told(&lines);
    assert_eq!(over(&told), ["error BLK_IO_ERROR sdb x10000"]);
    assert_eq!(told.len(), 2, "it began and it ended");
    let last = &told[1].event;
    assert_eq!(last.id, told[0].event.id);
    assert_eq!(last.fields.get("sector").map(String::as_str), Some("0"));
    assert_eq!(last.fields.get("last-sector").map(String::as_str), Some("79992"));
}

#[test]
fn what_goes_on_for_long_is_told_as_it_grows() {
    let lines: Vec<_> = (0..13)
        .map(|n| (n * 1000, "I/O error, dev sdb, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2"))
        .collect();
    let phases: Vec<_> = told(&lines).iter().map(|told| (told.phase, told.event.count)).collect();
    assert_eq!(phases, [(Phase::Began, 1), (Phase::Grew, 5), (Phase::Grew, 10), (Phase::Ended, 13)]);
}

#[test]
fn after_a_silence_it_is_another_event() {
    let line = "I/O error, dev sdb, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2";
    let told = told(&[(0, line), (9_999, line), (19_999, line)]);
    assert_eq!(over(&told), ["error BLK_IO_ERROR sdb x2", "error BLK_IO_ERROR sdb x1"]);
}

/// A path that fails, comes back and fails: the second failure is news.
#[test]
fn what_was_right_again_in_between_is_another_event() {
    let told = told(&[
        (0, "device-mapper: multipath: 253:3: Failing path 8:48."),
        (1000, "device-mapper: multipath: 253:3: Reinstating path 8:48."),
        (2000, "device-mapper: multipath: 253:3: Failing path 8:48."),
        (3000, "device-mapper: multipath: 253:3: Reinstating path 8:48."),
        (3001, "device-mapper: multipath: 253:3: Reinstating path 8:48."),
    ]);
    let began: Vec<_> =
        told.iter().filter(|told| told.phase == Phase::Began).map(|told| told.event.kind.as_str()).collect();
    let once = ["MPATH_PATH_FAILED", "MPATH_PATH_REINSTATED"];
    assert_eq!(began, [once, once].concat());
}

/// A path fails, and once more three seconds later: that it did is told five seconds after it was told first, and not only when it is over.
#[test]
fn what_it_has_grown_by_is_told_in_time_also_if_nothing_more_comes() {
    let (map, mut pipeline) = (DeviceMap::default(), Pipeline::new());
    for at in [0, 3_000] {
        take(&map, &mut pipeline, at, "device-mapper: multipath: 253:3: Failing path 8:48.");
    }
    let mut told = Vec::new();
    while let Some(at) = pipeline.next_deadline() {
        pipeline.expire(&map, at);
        told.extend(pipeline.told().iter().map(|told| (at, told.phase, told.event.count)));
    }
    let wanted = [(5_000_000, Phase::Began, 1), (5_000_000, Phase::Grew, 2), (13_000_000, Phase::Ended, 2)];
    assert_eq!(told, wanted);
}

/// Time stands still in a log without stamps. What is kept stays within bounds.
#[test]
fn a_path_that_flaps_without_time_takes_no_room() {
    let (map, mut pipeline) = (DeviceMap::default(), Pipeline::new());
    for _ in 0..5_000 {
        take(&map, &mut pipeline, 0, "device-mapper: multipath: 253:3: Failing path 8:48.");
        take(&map, &mut pipeline, 0, "device-mapper: multipath: 253:3: Reinstating path 8:48.");
        pipeline.told();
    }
    assert!(pipeline.bursts.waiting() <= 4 * 1024 + 1, "{}", pipeline.bursts.waiting());
}

#[test]
fn lines_that_were_not_printed_are_counted() {
    let (map, mut pipeline) = (DeviceMap::default(), Pipeline::new());
    take(&map, &mut pipeline, 0, "I/O error, dev sdb, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2");
    take(&map, &mut pipeline, 1, "blk_print_req_error: 12 callbacks suppressed");
    take(&map, &mut pipeline, 2, "blk_print_req_error: 30 callbacks suppressed");
    assert_eq!(pipeline.suppressed().values().sum::<u64>(), 42);
    pipeline.finish(&map);
    let told = pipeline.told();
    assert_eq!(told.last().expect("it ended").event.fields.get("suppressed").map(String::as_str), Some("42"));
}

/// Whether `/dev/kmsg` or the journal had it: the id is the same.
#[test]
fn the_id_does_not_depend_on_where_it_was_read() {
    let id = |sequence, cursor: Option<&'static str>, wall| {
        let mut record = Record::new(Origin::Kernel, "Aborting journal on device sda1-8.");
        record.at = Stamp { wall_us: wall, boot_us: Some(77) };
        record.place = Place { boot: Some("0123".into()), sequence, cursor: cursor.map(Into::into) };
        let finding = CATALOGUE.classify(&record).expect("it is about storage");
        let (mut pipeline, map) = (Pipeline::new(), DeviceMap::default());
        pipeline.take(&record, &finding, &map, 77);
        pipeline.told().remove(0).event.id
    };
    assert_eq!(id(Some(5), None, None), id(None, Some("s=1;i=2"), Some(1_700_000_000_000_000)));
}

proptest! {
    /// What is said again takes a shorter way, and comes to the same: also among lines of another source, lines that end it, and lines of commands.
    #[test]
    fn what_is_said_again_comes_to_the_same_by_the_short_way(
        steps in proptest::collection::vec((0_u64..9_000, 0_usize..11, any::<bool>()), 0..120),
    ) {
        let lines = [
            "I/O error, dev sdf, sector 8736552 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2",
            "I/O error, dev sdf, sector 8 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2",
            "critical medium error, dev sdf, sector 16 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
            "Buffer I/O error on dev sdf, logical block 7, async page read",
            "Buffer I/O error on dev sdf, logical block 0, lost async page write",
            "buffer_io_error: 12 callbacks suppressed",
            "device-mapper: multipath: 253:3: Failing path 8:80.",
            "device-mapper: multipath: 253:3: Reinstating path 8:80.",
            COMMAND[0], COMMAND[1],
            "EXT4-fs error (device sdf): ext4_find_entry:1455: inode #2: comm ls: reading directory lblock 0",
        ];
        let (map, mut short, mut long) = (DeviceMap::default(), Pipeline::new(), Pipeline::new());
        long.takes_the_long_way = true;
        let mut at = 0;
        for (wait, which, is_program) in steps {
            at += wait;
            let mut record = Record::new(Origin::Kernel, lines[which]);
            record.at = Stamp { wall_us: Some(at * 1000), boot_us: Some(at * 1000) };
            let Some(finding) = CATALOGUE.classify(&record) else { continue };
            // The same line of another source: what is classified stays.
            let mut said = record.clone();
            said.origin = if is_program { Origin::Program("multipathd") } else { Origin::Kernel };
            short.take(&said, &finding, &map, at * 1000);
            long.take(&said, &finding, &map, at * 1000);
            prop_assert_eq!(short.told(), long.told());
        }
        short.finish(&map);
        long.finish(&map);
        prop_assert_eq!(short.told(), long.told());
    }

    /// Whatever order lines come in, and whenever: nothing panics, every event that began ends once, and its count is what came.
    #[test]
    fn every_event_begins_and_ends_once(steps in proptest::collection::vec((0_u64..30_000, 0_usize..9, 0_u8..3), 0..200)) {
        let templates = [
            COMMAND[0], COMMAND[1], COMMAND[2], COMMAND[3],
            "critical medium error, dev sdf, sector 8 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2",
            "ata1.00: exception Emask 0x0 SAct 0x40 SErr 0x0 action 0x0",
            "ata1: EH complete",
            "device-mapper: multipath: 253:3: Failing path 8:80.",
            "device-mapper: multipath: 253:3: Reinstating path 8:80.",
        ];
        let mut at = 0;
        let lines: Vec<_> = steps
            .into_iter()
            .map(|(wait, which, tag)| {
                at += wait;
                (at, templates[which].replace("tag#2", &format!("tag#{tag}")))
            })
            .collect();
        let lines: Vec<_> = lines.iter().map(|(at, line)| (*at, line.as_str())).collect();
        let mut open = BTreeMap::new();
        for Told { phase, event } in told(&lines) {
            let count = open.get(&event.id).copied();
            match phase {
                Phase::Began => prop_assert!(open.insert(event.id, event.count).is_none()),
                Phase::Grew => {
                    prop_assert!(count.is_some_and(|count| count < event.count));
                    open.insert(event.id, event.count);
                }
                Phase::Ended => {
                    prop_assert!(count.is_some_and(|count| count <= event.count));
                    open.remove(&event.id);
                }
            }
        }
        prop_assert!(open.is_empty());
    }
}
