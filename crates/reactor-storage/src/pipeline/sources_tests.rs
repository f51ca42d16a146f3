//! The kernel's log, its uevents and multipathd tell of one failure: it is one.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::catalogue::Catalogue;
use crate::device::{Attribute, Facts, Number, Slave};
use crate::incidents::{Incidents, Settings};
use crate::record::{Origin, Place, Stamp};
use crate::uevent::Uevent;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::built_in);

/// mpatha, which is dm-3, over sdd (8:48) and sde (8:64).
fn map() -> DeviceMap {
    let disk = |name: &str, minor, target| {
        let mut facts = Facts::new(name);
        facts.number = Some(Number { major: 8, minor });
        facts.devpath = format!("/devices/pci0000:00/host6/target6:0:{target}/6:0:{target}:0/block/{name}");
        facts.set(Attribute::DeviceWwid, "naa.6001405aabb");
        facts
    };
    let mut dm = Facts::new("dm-3");
    dm.number = Some(Number { major: 253, minor: 3 });
    dm.devpath = "/devices/virtual/block/dm-3".to_owned();
    dm.set(Attribute::DmName, "mpatha");
    dm.set(Attribute::DmUuid, "mpath-36001405aabb");
    dm.slaves = ["sdd", "sde"].map(|name| Slave { name: name.to_owned(), dm_name: None }).into();
    DeviceMap::new(&[disk("sdd", 48, 0), disk("sde", 64, 1), dm], Vec::new())
}

/// Who says what.
#[derive(Clone, Copy, Debug)]
enum Says {
    Kernel(&'static str),
    Multipathd(&'static str),
    /// `DM_ACTION`, `DM_PATH`, `DM_NR_VALID_PATHS`.
    Uevent(&'static str, &'static str, u32),
}
use Says::{Kernel, Multipathd, Uevent as Kobject};

const FAILING: &str = "device-mapper: multipath: 253:3: Failing path 8:48.";
const FAILING_OTHER: &str = "device-mapper: multipath: 253:3: Failing path 8:64.";
const REINSTATING: &str = "device-mapper: multipath: 253:3: Reinstating path 8:48.";

struct Machine {
    map: DeviceMap,
    pipeline: Pipeline,
    incidents: Incidents,
    told: Vec<Told>,
    opened: Vec<String>,
}

impl Machine {
    fn new(map: DeviceMap) -> Self {
        let incidents = Incidents::new(Settings::default());
        Self { map, pipeline: Pipeline::new(), incidents, told: Vec::new(), opened: Vec::new() }
    }

    fn hear(&mut self, at_ms: u64, says: Says) {
        match says {
            Kernel(text) => self.line(at_ms, Origin::Kernel, text),
            Multipathd(text) => self.line(at_ms, Origin::Program("multipathd"), text),
            Kobject(action, path, left) => {
                let datagram = format!(
                    "change@/devices/virtual/block/dm-3\0SUBSYSTEM=block\0DM_ACTION={action}\0DM_PATH={path}\0\
                     DM_NR_VALID_PATHS={left}\0DM_NAME=mpatha\0DEVNAME=dm-3\0"
                );
                for line in Uevent::parse(datagram.as_bytes()).unwrap().lines() {
                    self.line(at_ms, Origin::Uevent, &line);
                }
            }
        }
    }

    fn line(&mut self, at_ms: u64, origin: Origin<'_>, text: &str) {
        let mut record = Record::new(origin, text);
        record.at = Stamp { wall_us: None, boot_us: Some(at_ms * 1000) };
        record.place = Place { boot: Some("b".into()), sequence: None, cursor: None };
        let finding = CATALOGUE.classify(&record).unwrap_or_else(|| panic!("{text}"));
        self.pipeline.take(&record, &finding, &self.map, at_ms * 1000);
        self.take(at_ms);
    }

    fn take(&mut self, at_ms: u64) {
        for told in self.pipeline.told() {
            let news = self.incidents.take(&told.event, at_ms * 1000);
            let opened = news.iter().filter(|news| news.change == crate::incidents::Change::Opened);
            self.opened.extend(opened.map(|news| news.incident.id.clone()));
            self.told.push(told);
        }
    }

    fn end(&mut self) {
        let Self { pipeline, map, .. } = self;
        pipeline.expire(map, 3_600_000_000);
        pipeline.finish(map);
        self.take(0);
    }
}

/// The events, each as type, device and count, in the order in which they began.
fn events(says: &[(u64, Says)]) -> (Vec<String>, Machine) {
    let mut machine = Machine::new(map());
    for (at, says) in says {
        machine.hear(*at, *says);
    }
    machine.end();
    let began = machine.told.iter().filter(|told| told.phase == Phase::Began).map(|told| &told.event.id);
    let last = |id: &String| {
        let of_id = machine.told.iter().rfind(|told| told.event.id == *id && told.phase == Phase::Ended).unwrap();
        format!("{} {} x{}", of_id.event.kind, of_id.event.subject(), of_id.event.count)
    };
    (began.map(last).collect(), machine)
}

#[test]
fn the_kernels_line_its_uevent_and_multipathd_are_one_event_whoever_is_first() {
    let of_path =
        [Kernel(FAILING), Kobject("PATH_FAILED", "8:48", 1), Multipathd("checker failed path 8:48 in map mpatha")];
    for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0], [1, 2, 0]] {
        let says: Vec<_> = (0_u64..).map(|at| 1000 + at).zip(order.map(|at| of_path[at])).collect();
        let (mut events, machine) = events(&says);
        events.sort();
        assert_eq!(events, ["MPATH_PATHS_LEFT mpatha x1", "MPATH_PATH_FAILED sdd x1"], "{order:?}");
        assert_eq!(machine.opened.len(), 1);
        let of_path = machine.told.iter().rfind(|told| told.event.kind == "MPATH_PATH_FAILED").unwrap();
        assert_eq!(of_path.event.fields.get("paths").map(String::as_str), Some("1"), "{order:?}");
        assert_eq!(of_path.event.lines.len(), 3, "{order:?}");
    }
}

/// What the log has is found there again after a restart, with its id; the uevent is not.
#[test]
fn the_event_is_that_of_the_log_also_if_the_uevent_was_first() {
    let (_, machine) = events(&[(1000, Kobject("PATH_FAILED", "8:48", 1)), (1100, Kernel(FAILING))]);
    let of_path = machine.told.iter().find(|told| told.event.kind == "MPATH_PATH_FAILED").unwrap();
    assert_eq!((of_path.event.source.as_str(), of_path.event.message.as_str()), ("kernel", FAILING));
    assert_eq!(machine.told.last().unwrap().phase, Phase::Ended);
}

#[test]
fn a_uevent_alone_is_an_event_after_a_moment() {
    let mut machine = Machine::new(map());
    machine.hear(1000, Kobject("PATH_FAILED", "8:48", 1));
    assert_eq!((machine.told.len(), machine.pipeline.next_deadline()), (0, Some(1_200_000)));
    machine.pipeline.expire(&machine.map, 1_200_000);
    machine.take(1200);
    let kinds: Vec<_> = machine.told.iter().map(|told| told.event.kind.as_str()).collect();
    assert_eq!(kinds, ["MPATH_PATH_FAILED", "MPATH_PATHS_LEFT"]);
}

/// The log is read first, the uevents of the same story come after all of it.
#[test]
fn what_is_over_is_not_told_again_by_a_slower_source() {
    let story = [
        (1000, Kernel(FAILING)),
        (1010, Kernel(REINSTATING)),
        (1020, Kernel(FAILING)),
        (1500, Kobject("PATH_FAILED", "8:48", 1)),
        (1510, Kobject("PATH_REINSTATED", "8:48", 2)),
        (1520, Kobject("PATH_FAILED", "8:48", 1)),
    ];
    let (events, machine) = events(&story);
    let of_path: Vec<_> = events.iter().filter(|event| event.contains("sdd")).cloned().collect();
    let expect = ["MPATH_PATH_FAILED sdd x1", "MPATH_PATH_REINSTATED sdd x1", "MPATH_PATH_FAILED sdd x1"];
    assert_eq!(of_path, expect);
    assert_eq!(machine.opened.len(), 1);
    assert!(machine.incidents.open().all(|incident| incident.lasts()), "the path still fails");
}

#[test]
fn without_paths_the_map_is_down_and_with_one_it_is_not() {
    let down = [
        (1000, Kernel(FAILING)),
        (1000, Kobject("PATH_FAILED", "8:48", 1)),
        (2000, Kernel(FAILING_OTHER)),
        (2000, Kobject("PATH_FAILED", "8:64", 0)),
        (2001, Multipathd("mpatha: remaining active paths: 0")),
    ];
    let (events, machine) = events(&down);
    let is_down: Vec<_> = events.iter().filter(|event| event.contains("ALL_PATHS_DOWN")).collect();
    assert_eq!(is_down, ["MPATH_ALL_PATHS_DOWN mpatha x1"], "{events:?}");
    assert_eq!(machine.opened.len(), 1, "it is one incident");
    for back in
        [Kernel(REINSTATING), Kobject("PATH_REINSTATED", "8:48", 1), Multipathd("mpatha: remaining active paths: 1")]
    {
        let mut machine = Machine::new(map());
        down.iter().for_each(|(at, says)| machine.hear(*at, *says));
        machine.pipeline.expire(&machine.map, 2_500_000);
        machine.take(2500);
        let stands = |machine: &Machine| {
            let troubles: Vec<_> = machine.incidents.open().flat_map(|incident| incident.troubles.clone()).collect();
            let of_map = troubles.into_iter().find(|trouble| trouble.event.kind == "MPATH_ALL_PATHS_DOWN").unwrap();
            of_map.standing == crate::incidents::Standing::Lasts
        };
        assert!(stands(&machine));
        machine.hear(5000, back);
        machine.pipeline.expire(&machine.map, 6_000_000);
        machine.take(6000);
        assert!(!stands(&machine), "{back:?}");
    }
}

/// All paths go at once. The log is read first: it says so before the others have counted down to none, and multipathd says it in two ways.
#[test]
fn that_no_path_is_left_is_told_once_however_late_the_others_count() {
    let fail = [(1000, Kernel(FAILING)), (1001, Kernel(FAILING_OTHER))];
    let uevents = [(1002, Kobject("PATH_FAILED", "8:48", 1)), (1003, Kobject("PATH_FAILED", "8:64", 0))];
    let counts = ["mpatha: remaining active paths: 1", "mpatha: remaining active paths: 0"];
    let recovery = "mpatha: Entering recovery mode: max_retries=12";
    let daemon = [counts[0], counts[1], recovery].map(Multipathd);
    let daemon: Vec<_> = (1004..).zip(daemon).collect();
    for others in [&uevents[..], &daemon[..], &[&uevents[..], &daemon[..]].concat()] {
        let (events, machine) = events(&[&fail[..], others].concat());
        let of_map: Vec<_> = events.iter().filter(|event| event.contains("mpatha")).collect();
        assert_eq!(of_map, ["MPATH_ALL_PATHS_DOWN mpatha x1"], "{others:?}");
        let incident = machine.incidents.open().next().unwrap();
        let trouble = incident.troubles.iter().find(|trouble| trouble.event.kind == "MPATH_ALL_PATHS_DOWN").unwrap();
        assert_eq!((&trouble.standing, trouble.count), (&crate::incidents::Standing::Lasts, 1), "{others:?}");
    }
}

/// Who has not counted for long is not late: it may be all that says that a path is there again.
#[test]
fn a_count_long_after_the_map_was_down_says_that_it_is_not() {
    let says = [
        (1000, Kernel(FAILING)),
        (1001, Kernel(FAILING_OTHER)),
        (60_000, Multipathd("mpatha: remaining active paths: 1")),
    ];
    let (_, machine) = events(&says);
    let mut troubles = machine.incidents.open().flat_map(|incident| &incident.troubles);
    let of_map = troubles.find(|trouble| trouble.event.kind == "MPATH_ALL_PATHS_DOWN").unwrap();
    assert_ne!(of_map.standing, crate::incidents::Standing::Lasts);
}

/// Nobody counts: no uevents, no multipathd. The map of devices says how many paths there are.
#[test]
fn the_log_alone_says_that_the_map_is_down_once_every_path_failed() {
    let all = |says: &[Says]| {
        let says: Vec<_> = (0_u64..).map(|at| 1000 + at * 1000).zip(says.iter().copied()).collect();
        events(&says).0.into_iter().filter(|event| event.contains("ALL_PATHS_DOWN")).count()
    };
    assert_eq!(all(&[Kernel(FAILING), Kernel(FAILING_OTHER)]), 1);
    assert_eq!(all(&[Kernel(FAILING), Kernel(FAILING), Kernel(FAILING)]), 0, "there is another path");
    assert_eq!(all(&[Kernel(FAILING), Kernel(REINSTATING), Kernel(FAILING_OTHER)]), 0);
    let reload = "mpatha: reload [0 262144 multipath 1 queue_if_no_path 1 alua 1 1 service-time 0 1 1 8:0 1]";
    assert_eq!(all(&[Kernel(FAILING), Multipathd(reload), Kernel(FAILING_OTHER)]), 0, "its paths are tried anew");
    let mut machine = Machine::new(map());
    machine.hear(1000, Kernel(FAILING));
    machine.pipeline.another_table("dm-3");
    machine.hear(2000, Kernel(FAILING_OTHER));
    machine.end();
    assert!(machine.told.iter().all(|told| told.event.kind != "MPATH_ALL_PATHS_DOWN"));
    // Where the machine is not known, nothing follows.
    let mut machine = Machine::new(DeviceMap::default());
    machine.hear(1000, Kernel(FAILING));
    machine.hear(2000, Kernel(FAILING_OTHER));
    machine.end();
    assert!(machine.told.iter().all(|told| told.event.kind != "MPATH_ALL_PATHS_DOWN"));
}

/// What happens to a path, in order: told by the log and by uevents, each in its order and in its own time.
fn any_story() -> impl Strategy<Value = Vec<(u64, Says)>> {
    let steps = proptest::collection::vec((any::<bool>(), 0_u64..3000, 0_u64..2000), 1..20);
    steps.prop_map(|steps| {
        let (mut now, mut fails, mut late) = (1000, false, 0);
        let mut all = Vec::new();
        for (again, pause, lag) in steps {
            now += pause;
            fails = !fails || again;
            // Uevents keep their order.
            late = (now + lag).max(late);
            let (line, action, left) = match fails {
                true => (FAILING, "PATH_FAILED", 1),
                false => (REINSTATING, "PATH_REINSTATED", 2),
            };
            all.push((now, Kernel(line)));
            all.push((late, Kobject(action, "8:48", left)));
        }
        all.sort_by_key(|(at, _)| *at);
        all
    })
}

proptest! {
    /// The uevents of a story change nothing of what the log tells of its path, as long as they come within a few seconds.
    #[test]
    fn uevents_double_nothing(story in any_story()) {
        let log: Vec<_> = story.iter().filter(|(_, says)| matches!(says, Kernel(_))).copied().collect();
        let of_path = |says: &[(u64, Says)]| {
            let all: Vec<_> = events(says).0.into_iter().filter(|event| event.contains("sdd")).collect();
            all
        };
        prop_assert_eq!(of_path(&story), of_path(&log));
    }
}
