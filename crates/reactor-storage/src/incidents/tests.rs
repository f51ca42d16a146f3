use proptest::prelude::*;

use super::*;
use crate::device::{Kind, Related, Summary};
use crate::event::Subsystem;
use crate::record::Stamp;

/// A stack: two paths, a map on them, a volume on that; and a disk that has nothing to do with it.
const STACK: [(&str, &[&str], &[&str]); 5] = [
    ("sda", &["mpatha", "vg-lv"], &[]),
    ("sdb", &["mpatha", "vg-lv"], &[]),
    ("mpatha", &["vg-lv"], &["sda", "sdb"]),
    ("vg-lv", &[], &["mpatha", "sda", "sdb"]),
    ("sdz", &[], &[]),
];

fn device(name: &str) -> Summary {
    let (_, above, below) = STACK.iter().find(|(known, ..)| *known == name).expect("it is one of the stack");
    let related = |names: &[&str]| {
        let related = |name: &&str| Related { id: (*name).to_owned(), name: (*name).to_owned(), kind: Kind::Other };
        names.iter().map(related).collect()
    };
    Summary {
        id: name.to_owned(),
        kind: Kind::Other,
        number: None,
        name: name.to_owned(),
        names: Vec::new(),
        path: String::new(),
        size: None,
        transport: None,
        file_system: None,
        mounts: Vec::new(),
        above: related(above),
        below: related(below),
        carries: Default::default(),
        gone_us: None,
        called: Vec::new(),
    }
}

fn event(id: u64, kind: &str, name: &str) -> Event {
    let of = EventType::built_in(kind).expect("the catalogue has it");
    Event {
        id: format!("{id:016x}"),
        at: Stamp { wall_us: None, boot_us: Some(id) },
        last: Stamp { wall_us: None, boot_us: Some(id) },
        severity: of.severity,
        kind: kind.to_owned(),
        subsystem: Subsystem::Block,
        device: Some(device(name).into()),
        others: Vec::new(),
        fields: Default::default(),
        message: format!("{kind} on {name}"),
        lines: vec![format!("{kind} on {name}")],
        count: 1,
        source: "kernel".to_owned(),
        host: None,
    }
}

const SECOND: u64 = 1_000_000;

fn incidents(events: &[(u64, &str, &str)]) -> (Incidents, Vec<News>) {
    let mut incidents = Incidents::new(Settings::default());
    let mut news = Vec::new();
    for (at, kind, name) in events {
        news.extend(incidents.take(&event(*at, kind, name), at * SECOND));
    }
    (incidents, news)
}

fn changes(news: &[News]) -> Vec<Change> {
    news.iter().map(|news| news.change).collect()
}

#[test]
fn what_is_above_and_below_is_one_incident_and_the_lowest_is_its_cause() {
    let (incidents, news) = incidents(&[
        (1, "FS_JOURNAL_ABORTED", "vg-lv"),
        (2, "BLK_IO_ERROR", "mpatha"),
        (3, "SCSI_MEDIUM_ERROR", "sda"),
    ]);
    assert_eq!(changes(&news), [Change::Opened, Change::Grew, Change::Grew]);
    let incident = incidents.open().next().expect("it is open");
    assert_eq!(incident.title(), "SCSI_MEDIUM_ERROR on sda");
    assert_eq!(incident.severity, Severity::Critical);
}

#[test]
fn another_disk_is_another_incident() {
    let (incidents, _) = incidents(&[(1, "SCSI_MEDIUM_ERROR", "sda"), (2, "SCSI_MEDIUM_ERROR", "sdz")]);
    assert_eq!(incidents.open().count(), 2);
}

/// Two paths have nothing in common until the map above both has trouble.
#[test]
fn what_connects_two_incidents_makes_them_one() {
    let (incidents, news) = incidents(&[
        (1, "SCSI_DEVICE_OFFLINE", "sda"),
        (2, "SCSI_DEVICE_OFFLINE", "sdb"),
        (3, "BLK_IO_ERROR", "mpatha"),
    ]);
    assert_eq!(changes(&news), [Change::Opened, Change::Opened, Change::Over, Change::Grew]);
    let incident = incidents.open().next().expect("it is open");
    assert_eq!((incidents.open().count(), incident.troubles.len()), (1, 3));
    assert_eq!(news[2].incident.end, Some(End::PartOf { incident: incident.id.clone() }));
}

#[test]
fn what_is_put_right_and_stays_so_is_over() {
    let (mut incidents, news) = incidents(&[(1, "MPATH_PATH_FAILED", "sda"), (5, "MPATH_PATH_REINSTATED", "sda")]);
    assert_eq!(changes(&news), [Change::Opened, Change::Eased]);
    assert_eq!(incidents.next_deadline(), Some(15 * SECOND));
    assert_eq!(incidents.expire(15 * SECOND - 1), []);
    let over = incidents.expire(15 * SECOND);
    assert_eq!(over[0].incident.end, Some(End::Cleared));
    assert_eq!(incidents.open().count(), 0);
}

/// A path that flaps is one incident, not one for each time.
#[test]
fn what_fails_again_before_it_was_calm_goes_on() {
    let (incidents, news) = incidents(&[
        (1, "MPATH_PATH_FAILED", "sda"),
        (5, "MPATH_PATH_REINSTATED", "sda"),
        (9, "MPATH_PATH_FAILED", "sda"),
        (12, "MPATH_PATH_REINSTATED", "sda"),
        (14, "MPATH_PATH_FAILED", "sda"),
    ]);
    assert_eq!(changes(&news).iter().filter(|change| **change == Change::Opened).count(), 1);
    let incident = incidents.open().next().expect("it is open");
    assert_eq!((incident.troubles[0].count, incident.lasts()), (3, true));
}

/// Of two paths that failed one is back: it is not over.
#[test]
fn it_is_not_over_while_something_lasts() {
    let (mut incidents, _) = incidents(&[
        (1, "MPATH_PATH_FAILED", "sda"),
        (2, "BLK_IO_ERROR", "mpatha"),
        (3, "MPATH_PATH_FAILED", "sdb"),
        (4, "MPATH_PATH_REINSTATED", "sda"),
    ]);
    assert_eq!(incidents.next_deadline(), None);
    assert_eq!(incidents.expire(1_000_000 * SECOND), []);
    assert_eq!(incidents.open().count(), 1);
}

/// An array says that it has recovered, and not which member it took instead. A path that is back says nothing of the other one.
#[test]
fn an_array_alone_speaks_for_its_members_and_a_path_for_itself() {
    let mut incidents = Incidents::new(Settings::default());
    let with = |event: Event, role: &str, name: &str| {
        let other = crate::event::Other { role: role.to_owned(), device: device(name).into() };
        Event { others: vec![other], ..event }
    };
    incidents.take(&with(event(1, "MD_DISK_FAILED", "sdz"), "array", "vg-lv"), SECOND);
    let news = incidents.take(&event(2, "MD_RECOVERED", "vg-lv"), 2 * SECOND);
    assert_eq!(changes(&news), [Change::Eased]);
    incidents.take(&with(event(3, "MPATH_PATH_FAILED", "sda"), "map", "mpatha"), 3 * SECOND);
    let news = incidents.take(&with(event(4, "MPATH_PATH_REINSTATED", "sdb"), "map", "mpatha"), 4 * SECOND);
    assert_eq!(changes(&news), []);
}

/// Both paths to a LUN have its id. That one is back says nothing of the other.
#[test]
fn paths_to_one_lun_are_told_apart() {
    let mut incidents = Incidents::new(Settings::default());
    let path = |number, kind: &str, name: &str| {
        let device = Summary { id: "naa.5000".to_owned(), kind: Kind::Scsi, ..device(name) };
        Event { device: Some(device.into()), ..event(number, kind, name) }
    };
    incidents.take(&path(1, "MPATH_PATH_FAILED", "sda"), SECOND);
    incidents.take(&path(2, "MPATH_PATH_FAILED", "sdb"), 2 * SECOND);
    incidents.take(&path(3, "MPATH_PATH_REINSTATED", "sda"), 3 * SECOND);
    let incident = incidents.open().next().expect("it is open");
    let lasts: Vec<_> = incident.troubles.iter().map(|trouble| trouble.standing == Standing::Lasts).collect();
    assert_eq!(lasts, [false, true]);
}

#[test]
fn what_does_not_last_is_over_when_it_was_quiet_for_long() {
    let (mut incidents, _) = incidents(&[(1, "BLK_IO_ERROR", "sdz")]);
    let over = incidents.expire(3601 * SECOND);
    assert_eq!(over[0].incident.end, Some(End::Quiet));
}

#[test]
fn a_warning_that_passes_is_none_by_itself_and_joins_what_is_there() {
    let (alone, _) = incidents(&[(1, "SCSI_DEVICE_RESET", "sda")]);
    assert_eq!(alone.open().count(), 0);
    let (joined, _) = incidents(&[(1, "BLK_IO_ERROR", "sda"), (2, "SCSI_DEVICE_RESET", "sda")]);
    assert_eq!(joined.open().next().expect("it is open").troubles.len(), 2);
}

/// Days later, but the disk below is still broken.
#[test]
fn what_happens_above_what_still_lasts_belongs_to_it() {
    let day = 86_400;
    let (incidents, _) = incidents(&[
        (1, "SCSI_MEDIUM_ERROR", "sda"),
        (3 * day, "FS_ERROR", "vg-lv"),
        (5 * day, "SCSI_MEDIUM_ERROR", "sdz"),
    ]);
    let sizes: Vec<_> = incidents.open().map(|incident| incident.troubles.len()).collect();
    assert_eq!(sizes, [2, 1]);
}

#[test]
fn a_person_can_close_one_and_only_one_that_is_open() {
    let (mut incidents, news) = incidents(&[(1, "SCSI_MEDIUM_ERROR", "sda")]);
    let id = &news[0].incident.id;
    let closed = incidents.close(id, "alice", 7 * SECOND).expect("it is open");
    assert_eq!(closed.incident.end, Some(End::Closed { who: "alice".to_owned() }));
    assert_eq!(incidents.close(id, "alice", 8 * SECOND), Err(NotOpen));
}

/// The same event with a larger count is no second one; another event of the same type is.
#[test]
fn events_that_grow_are_counted_once() {
    let mut incidents = Incidents::new(Settings::default());
    for (id, count) in [(1, 1), (1, 5), (1, 9), (2, 1), (2, 3)] {
        let event = Event { count, ..event(id, "BLK_IO_ERROR", "sda") };
        incidents.take(&event, id * SECOND);
    }
    assert_eq!(incidents.open().next().expect("it is open").troubles[0].count, 12);
}

/// What was open when a daemon ended is open when the next one begins, also after it was written down and read.
#[test]
fn what_was_open_goes_on() {
    let (before, _) = incidents(&[(1, "MPATH_PATH_FAILED", "sda"), (2, "BLK_IO_ERROR", "mpatha")]);
    let text = serde_json::to_string(&before.open().collect::<Vec<_>>()).expect("it can be written");
    let mut after = Incidents::new(Settings::default());
    after.restore(serde_json::from_str::<Vec<Arc<Incident>>>(&text).expect("it can be read"), false, &[], 5 * SECOND);
    assert_eq!(after.open().collect::<Vec<_>>(), before.open().collect::<Vec<_>>());
    let news = after.take(&event(9, "MPATH_PATH_REINSTATED", "sda"), 9 * SECOND);
    assert_eq!(changes(&news), [Change::Eased]);
}

/// A boot brings paths back, or says anew that they fail. A disk with bad sectors it does not mend.
#[test]
fn a_boot_puts_some_things_right() {
    let (before, _) = incidents(&[(1, "MPATH_PATH_FAILED", "sdb"), (2, "SCSI_MEDIUM_ERROR", "sdz")]);
    let mut after = Incidents::new(Settings::default());
    after.restore(before.open().cloned(), true, &[], 100 * SECOND);
    let over = after.expire(110 * SECOND);
    assert_eq!(over.iter().map(|news| news.incident.title()).collect::<Vec<_>>(), ["MPATH_PATH_FAILED on sdb"]);
    assert_eq!(after.open().map(|incident| incident.lasts()).collect::<Vec<_>>(), [true]);
    // A second time changes nothing.
    after.restore(before.open().cloned(), false, &[], 111 * SECOND);
    assert_eq!(after.open().count(), 2);
}

/// Somebody has set the clock back an hour while no daemon ran: what is right again is over in ten seconds all the same.
#[test]
fn what_was_open_is_of_the_past_whatever_the_clock_says() {
    let (before, _) = incidents(&[(3700, "MPATH_PATH_FAILED", "sda"), (3701, "MPATH_PATH_REINSTATED", "sda")]);
    let mut after = Incidents::new(Settings::default());
    after.restore(before.open().cloned(), false, &[], 100 * SECOND);
    assert_eq!(after.next_deadline(), Some(110 * SECOND));
    assert_eq!(changes(&after.take(&event(101, "SCSI_MEDIUM_ERROR", "sdz"), 101 * SECOND)), [Change::Opened]);
}

/// The clock was set back an hour, and the file was read late: what came since it was set is later than what was before.
#[test]
fn what_came_since_is_later_than_what_was_before_it() {
    let (before, _) = incidents(&[
        (3600, "MPATH_PATH_FAILED", "sda"),
        (3601, "SCSI_MEDIUM_ERROR", "mpatha"),
        (3602, "MPATH_PATH_REINSTATED", "sda"),
    ]);
    let (mut after, _) = incidents(&[(1, "MPATH_PATH_FAILED", "sda")]);
    after.restore(before.open().cloned(), false, &[], 9 * SECOND);
    let one = after.open().next().expect("one is open");
    let standing =
        one.troubles.iter().map(|trouble| (trouble.event.kind.as_str(), trouble.standing == Standing::Lasts));
    let wanted = [("MPATH_PATH_FAILED", true), ("SCSI_MEDIUM_ERROR", true)];
    assert_eq!((after.open().count(), standing.collect::<Vec<_>>()), (1, wanted.to_vec()));
}

/// The one that goes on with both has what is wrong now, whichever of them heard of it.
#[test]
fn of_two_that_become_one_the_later_knows_how_it_stands() {
    let (failed, _) = incidents(&[(1, "MPATH_PATH_FAILED", "sda")]);
    let (mut cleared, _) = incidents(&[(2, "MPATH_PATH_FAILED", "sda"), (3, "MPATH_PATH_REINSTATED", "sda")]);
    let news = cleared.restore(failed.open().cloned(), false, &[], 4 * SECOND);
    assert_eq!(changes(&news), [Change::Over]);
    let one = cleared.open().next().expect("one is open");
    assert_eq!((one.lasts(), one.troubles.len(), one.troubles[0].count), (false, 1, 2));
}

#[test]
fn there_is_an_end_to_how_many_are_open() {
    let mut incidents = Incidents::new(Settings { max_open: 1, ..Settings::default() });
    incidents.take(&event(1, "SCSI_MEDIUM_ERROR", "sda"), SECOND);
    let news = incidents.take(&event(2, "SCSI_MEDIUM_ERROR", "sdz"), 2 * SECOND);
    assert_eq!(changes(&news), [Change::Opened, Change::Over]);
    assert_eq!(news[1].incident.end, Some(End::MakesRoom));
}

proptest! {
    /// Whatever comes: what is open was opened once and not ended, each has a root that is its lowest, and no two of them share a device that both
    /// had trouble on lately.
    #[test]
    fn what_is_open_was_opened_and_not_ended(steps in proptest::collection::vec((0_u64..300, 0_usize..6, 0_usize..5), 0..120)) {
        let kinds = ["SCSI_MEDIUM_ERROR", "MPATH_PATH_FAILED", "MPATH_PATH_REINSTATED", "BLK_IO_ERROR", "FS_READ_ONLY", "SCSI_DEVICE_RESET"];
        let mut incidents = Incidents::new(Settings::default());
        let (mut now, mut open) = (0, std::collections::BTreeSet::new());
        for (number, (wait, kind, name)) in (0..).zip(steps) {
            now += wait * SECOND;
            for News { change, incident } in incidents.take(&event(number, kinds[kind], STACK[name].0), now) {
                match change {
                    Change::Opened => prop_assert!(open.insert(incident.id.clone())),
                    Change::Over => prop_assert!(open.remove(&incident.id) && incident.end.is_some()),
                    Change::Grew | Change::Eased => prop_assert!(open.contains(&incident.id)),
                }
            }
            let known: std::collections::BTreeSet<_> = incidents.open().map(|incident| incident.id.clone()).collect();
            prop_assert_eq!(&known, &open);
            for incident in incidents.open() {
                let lowest = incident.troubles.iter().map(|trouble| trouble.layer).min();
                prop_assert_eq!(incident.cause().map(|cause| cause.layer), lowest);
            }
        }
        incidents.expire(u64::MAX);
        let lasting = incidents.open().all(|incident| incident.lasts());
        prop_assert!(lasting);
    }
}
