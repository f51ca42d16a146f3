//! What goes wrong with the disks of a node, and what the kernel says of it.

use std::time::Duration;

use reactor_core::ids::Mono;
use reactor_core::input::Input;
use reactor_core::operator::{OperatorRequest, OperatorRequestId, OperatorVerb};
use reactor_core::subject::Subject;
use reactor_storage::device::{Attribute, DeviceMap, DrbdVolume, Facts, Slave};

use crate::drbd9::NodeIx;

use super::super::events::ForMachine;
use super::super::faults::Heal;
use super::super::plan::NODES;
use super::super::run::World;

/// Something that stands wrong until the log says that it is right again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Wrong {
    /// A path of the map below r0 does not work.
    Path(&'static str),
    /// The pool below r1 is full.
    Pool,
    /// The file system on r0 can't be written.
    ReadOnly,
}

impl Wrong {
    const ALL: [Self; 4] = [Self::Path("sdb"), Self::Path("sdc"), Self::Pool, Self::ReadOnly];

    /// Type and device of the event.
    pub(in super::super) fn event(self) -> (&'static str, &'static str) {
        match self {
            Self::Path(disk) => ("MPATH_PATH_FAILED", disk),
            Self::Pool => ("THIN_OUT_OF_SPACE", "dm-4"),
            Self::ReadOnly => ("FS_READ_ONLY", "drbd1000"),
        }
    }

    /// Whether a boot puts it right.
    fn ends_with_boot(self) -> bool {
        !matches!(self, Self::ReadOnly)
    }

    fn line(self, is_wrong: bool) -> String {
        let number = |disk| if disk == "sdb" { "8:16" } else { "8:32" };
        match (self, is_wrong) {
            (Self::Path(disk), true) => format!("device-mapper: multipath: 253:0: Failing path {}.", number(disk)),
            (Self::Path(disk), false) => format!("device-mapper: multipath: 253:0: Reinstating path {}.", number(disk)),
            (Self::Pool, true) => {
                "device-mapper: thin: 253:4: switching pool to out-of-data-space (queue IO) mode".to_owned()
            }
            (Self::Pool, false) => "device-mapper: thin: 253:4: switching pool to write mode".to_owned(),
            (Self::ReadOnly, true) => "EXT4-fs (drbd1000): Remounting filesystem read-only".to_owned(),
            (Self::ReadOnly, false) => {
                let uuid = "0c7e0a4e-1f2d-4c3b-9a8e-7d6c5b4a3f21";
                format!("EXT4-fs (drbd1000): mounted filesystem {uuid} r/w with ordered data mode. Quota mode: none.")
            }
        }
    }
}

/// Since when something stands as it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Stands {
    pub(in super::super) since: Mono,
    pub(in super::super) is_wrong: bool,
    /// A boot has put it right, and no line says so.
    pub(in super::super) by_boot: bool,
}

/// The block devices of every node: two paths, a map, a volume and r0 on it, with a file system; a disk, a pool and r1 on it.
pub(super) fn devices() -> DeviceMap {
    let device = |name: &str, number: &str, below: &[&str], attributes: &[(Attribute, &str)]| {
        let mut facts = Facts::new(name);
        facts.number = number.parse().ok();
        facts.slaves = below.iter().map(|name| Slave { name: (*name).to_owned(), dm_name: None }).collect();
        for (attribute, text) in attributes {
            facts.set(*attribute, text);
        }
        facts
    };
    let scsi = |name: &str, number: &str, wwid: &str| device(name, number, &[], &[(Attribute::DeviceWwid, wwid)]);
    let dm = |name: &str, number: &str, below: &[&str], dm_name: &str, uuid: &str| {
        device(name, number, below, &[(Attribute::DmName, dm_name), (Attribute::DmUuid, uuid)])
    };
    let all = [
        scsi("sda", "8:0", "naa.5000000000000001"),
        scsi("sdb", "8:16", "naa.6001405aabb"),
        scsi("sdc", "8:32", "naa.6001405aabb"),
        dm("dm-0", "253:0", &["sdb", "sdc"], "mpatha", "mpath-36001405aabb"),
        dm("dm-1", "253:1", &["dm-0"], "vg-r0", "LVM-Vg0123Vg0123Vg0123Vg0123Vg0123VgLv4567Lv4567Lv4567Lv4567Lv4567Lv"),
        dm(
            "dm-4",
            "253:4",
            &["sda"],
            "vg-pool",
            "LVM-Vg0123Vg0123Vg0123Vg0123Vg0123VgLv8901Lv8901Lv8901Lv8901Lv8901Lv-tpool",
        ),
        dm("dm-5", "253:5", &["dm-4"], "vg-r1", "LVM-Vg0123Vg0123Vg0123Vg0123Vg0123VgLv2345Lv2345Lv2345Lv2345Lv2345Lv"),
        device("drbd1000", "147:1000", &["dm-1"], &[]),
        device("drbd1001", "147:1001", &["dm-5"], &[]),
    ];
    let mut map = DeviceMap::new(&all, Vec::new());
    let volume = |minor, resource: &str, backing: &str| DrbdVolume {
        minor,
        resource: resource.to_owned(),
        volume: 0,
        backing: Some(backing.to_owned()),
    };
    map.set_drbd([volume(1000, "r0", "dm-1"), volume(1001, "r1", "dm-5")]);
    map
}

impl World {
    /// A node has power: its kernel begins to log.
    pub(in super::super) fn storage_boots(&mut self, node: NodeIx) {
        if !self.plan.storage {
            return;
        }
        let (boot, now) = (self.machines[node].boot, self.now);
        let disk = &mut self.machines[node].storage;
        disk.log.begin(boot, now);
        for (_, stands) in disk.wrong.iter_mut().filter(|(wrong, _)| wrong.ends_with_boot()) {
            *stands = Stands { since: now, is_wrong: false, by_boot: true };
        }
        self.log(node, "Linux version 6.12.1 (root@build) #1 SMP PREEMPT_DYNAMIC".to_owned(), None);
        self.storage_next(node);
    }

    fn storage_next(&mut self, node: NodeIx) {
        let rng = &mut self.machines[node].storage.rng;
        // Often one thing soon after another, and often in the middle of something of DRBD's.
        let most = if rng.below(3) == 0 { 60_000 } else { 3_000 };
        let after = Duration::from_millis(1 + rng.below(most));
        self.machine_after(node, after, ForMachine::Storage);
    }

    /// Something happens with its disks, or to who reads of it.
    pub(in super::super) fn storage(&mut self, node: NodeIx) {
        if self.peace.is_some() {
            return;
        }
        let disk = &mut self.machines[node].storage;
        match disk.pick(24) {
            0..=9 => {
                let wrong = Wrong::ALL[usize::try_from(disk.pick(4)).unwrap_or(0)];
                let is_wrong = disk.wrong.get(&wrong).is_none_or(|stands| !stands.is_wrong);
                self.storage_says(node, wrong, is_wrong);
            }
            10..=12 => {
                let count = 1 + disk.pick(300);
                self.tell_fault(&format!("{} logs {count} buffer errors", NODES[node]));
                for block in 0..count {
                    let text = format!("Buffer I/O error on dev dm-1, logical block {block}, async page read");
                    self.log(node, text, None);
                }
            }
            13 | 14 => {
                let count = 1 + disk.pick(200);
                for number in 0..count {
                    self.log(node, format!("usb 1-1: new high-speed USB device number {number}"), None);
                }
            }
            15 | 16 => {
                disk.journal_fails = !disk.journal_fails;
                let what = if disk.journal_fails { "can't be read" } else { "can be read" };
                self.tell_fault(&format!("the journal of {} {what}", NODES[node]));
            }
            17 if self.machines[node].daemon.is_none() => {
                self.tell_fault(&format!("{} loses what was open", NODES[node]));
                let disk = &mut self.machines[node].storage;
                disk.file = None;
                disk.known.clear();
                disk.wrong.clear();
            }
            18..=20 if self.machines[node].daemon.is_some() && !self.is_ending(node) => {
                self.tell_fault(&format!("the daemon of {} is killed in the middle of it", NODES[node]));
                self.end_daemon(node);
                self.heal_in(0, 5, Heal::Daemon(node));
            }
            21 => self.close_one(node),
            22 if self.machines[node].storage.pick(4) == 0 => self.end_storage(node),
            _ => {}
        }
        self.storage_next(node);
    }

    /// In peace everything is put right, and the log says so.
    pub(in super::super) fn storage_peace(&mut self, node: NodeIx) {
        self.machines[node].storage.journal_fails = false;
        for wrong in Wrong::ALL {
            if self.machines[node].storage.wrong.get(&wrong).is_some_and(|stands| stands.is_wrong) {
                self.storage_says(node, wrong, false);
            }
        }
    }

    fn storage_says(&mut self, node: NodeIx, wrong: Wrong, is_wrong: bool) {
        let what = if is_wrong { "stands wrong" } else { "is right again" };
        self.tell_fault(&format!("{} logs that {wrong:?} {what}", NODES[node]));
        let stands = Stands { since: self.now, is_wrong, by_boot: false };
        self.machines[node].storage.wrong.insert(wrong, stands);
        self.log(node, wrong.line(is_wrong), Some((wrong, is_wrong)));
    }

    fn log(&mut self, node: NodeIx, text: String, says: Option<(Wrong, bool)>) {
        let now = self.now;
        self.machines[node].storage.log.put(now, text, says);
        self.storage_is_there(node);
    }

    /// A person closes an incident: what stands wrong in it is nobody's news any more.
    fn close_one(&mut self, node: NodeIx) {
        let Some(daemon) = self.machines[node].daemon.as_deref() else { return };
        let Some(incident) = daemon.core.incidents().into_iter().next() else { return };
        self.tell_fault(&format!("a person closes {} on {}", incident.id, NODES[node]));
        let is_in = |wrong: &Wrong| {
            let (kind, _) = wrong.event();
            incident.troubles.iter().any(|trouble| trouble.event.kind == kind)
        };
        self.machines[node].storage.wrong.retain(|wrong, _| !is_in(wrong));
        self.requests += 1;
        let request = OperatorRequest {
            request: OperatorRequestId(self.requests),
            subject: Subject::Node,
            verb: OperatorVerb::CloseIncident { incident: incident.id.clone() },
            who: "alice".to_owned(),
        };
        self.tell(node, &Input::Operator(request));
    }
}
