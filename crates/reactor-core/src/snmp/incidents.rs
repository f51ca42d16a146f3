//! What managers are notified of.
//!
//! Everything here is a level: a set of what holds now, made of a snapshot, and what came into it or went since the last one is told. So nothing is
//! told twice, nothing by a line that DRBD repeats, and a change that was over before anybody looked is not told. The first picture is told to
//! nobody: a restart of the daemon is no incident. While DRBD's events are not read, nothing is compared.
//!
//! Another incident is a line in [`IncidentKind`] and in `ALL`, and its level in `of_drbd`, `of_device` or `of_promoter`.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};

use crate::drbd::types::{DiskState, Role};
use crate::ids::{Minor, ResourceName, Volume};
use crate::metrics::health::PromotedHealth;
use crate::model::objects::{Device, Resource};
use crate::plugin::promoter::report::StateWord;

use super::columns::{DATA, OURS};
use super::tree::Facts;
use super::{BASE, Oid, Value};

/// Something that begins, and ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum IncidentKind {
    /// A device has no quorum.
    QuorumLost,
    /// The disk of a device has failed, or is gone although this node should have one.
    DiskFailed,
    /// This node is Primary.
    Primary,
    /// The promoter does not start a resource because it failed too often here.
    Blocked,
    /// DRBD has found a split brain with a peer.
    SplitBrain,
    /// A resource is Primary here, and its I/O hangs.
    IoHangs,
}

/// How a kind is told in the MIB.
pub(super) struct Described {
    pub(super) kind: IncidentKind,
    /// Number, name and meaning of its begin.
    pub(super) begins: (u32, &'static str, &'static str),
    /// The same for its end.
    pub(super) ends: (u32, &'static str, &'static str),
}

/// All of them.
pub(super) const ALL: [Described; 6] = [
    Described {
        kind: IncidentKind::QuorumLost,
        begins: (1, "srQuorumLost", "A device has lost quorum."),
        ends: (2, "srQuorumRegained", "A device that had lost quorum has it again."),
    },
    Described {
        kind: IncidentKind::DiskFailed,
        begins: (3, "srDiskFailed", "The disk of a device has failed, or is gone although this node should have one."),
        ends: (4, "srDiskBack", "A device has a working disk again, or is diskless on purpose now."),
    },
    Described {
        kind: IncidentKind::Primary,
        begins: (
            5,
            "srPromoted",
            "A resource has become Primary on this node: it was started here, or has failed over to it.",
        ),
        ends: (6, "srDemoted", "A resource is not Primary on this node any more."),
    },
    Described {
        kind: IncidentKind::Blocked,
        begins: (7, "srBlocked", "The promoter does not start a resource here any more: it failed too often."),
        ends: (8, "srUnblocked", "The promoter may start a resource here again."),
    },
    Described {
        kind: IncidentKind::SplitBrain,
        begins: (
            9,
            "srSplitBrain",
            "DRBD has found a split brain: this node and a peer have written apart from each other. A person has to decide whose data is thrown away.",
        ),
        ends: (10, "srSplitBrainOver", "No split brain of a resource is left."),
    },
    Described {
        kind: IncidentKind::IoHangs,
        begins: (11, "srIoHangs", "A resource is Primary here, and its I/O hangs."),
        ends: (12, "srIoFlows", "The I/O of a resource does not hang any more."),
    },
];

impl IncidentKind {
    fn described(self) -> &'static Described {
        // Each kind has its line; a test looks.
        ALL.iter().find(|one| one.kind == self).unwrap_or(&ALL[0])
    }
}

/// What an incident is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Subject {
    kind: IncidentKind,
    resource: ResourceName,
    volume: Option<Volume>,
}

/// What is told with it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Told {
    minor: Option<Minor>,
    /// What holds, in one sentence.
    what: String,
}

/// Something to notify managers of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Incident {
    /// What kind of.
    pub kind: IncidentKind,
    /// Whether it begins; else it ends.
    pub begins: bool,
    /// The resource.
    pub resource: ResourceName,
    /// The device, if it is about one.
    pub minor: Option<Minor>,
    /// What has happened, in one sentence.
    pub text: String,
}

/// What held when it was looked at last.
#[derive(Debug, Default)]
pub struct Incidents {
    /// What DRBD says.
    drbd: Option<Picture>,
    /// What the promoter says.
    promoter: Option<Picture>,
}

/// One look.
#[derive(Debug)]
struct Picture {
    held: Levels,
    /// The resources that were looked at.
    known: BTreeSet<ResourceName>,
}

type Levels = BTreeMap<Subject, Told>;

impl Incidents {
    /// What has changed since the last time.
    pub fn compare(&mut self, facts: &Facts<'_, impl Borrow<Resource>>) -> Vec<Incident> {
        if !facts.health.source.up {
            return Vec::new();
        }
        let mut told = Vec::new();
        if let Some(resources) = facts.resources {
            let known = resources.iter().map(|resource| resource.borrow().name.clone()).collect();
            let now = Picture { held: of_drbd(resources), known };
            told.extend(self.drbd.as_ref().map(|before| before.changes(&now)).unwrap_or_default());
            self.drbd = Some(now);
        }
        let promoted = &facts.health.promoted;
        let known = promoted.iter().map(|one| ResourceName::new(&one.name)).collect();
        let now = Picture { held: of_promoter(promoted), known };
        told.extend(self.promoter.as_ref().map(|before| before.changes(&now)).unwrap_or_default());
        self.promoter = Some(now);
        told
    }
}

impl Picture {
    /// What ended, and what began. A resource that comes up has neither disk nor quorum for a moment, and one that is taken away has no end of
    /// anything: of those nothing is told, but that one is Primary.
    fn changes(&self, now: &Self) -> Vec<Incident> {
        let incident = |subject: &Subject, told: &Told, begins: bool| Incident {
            kind: subject.kind,
            begins,
            resource: subject.resource.clone(),
            minor: told.minor,
            text: if begins { told.what.clone() } else { format!("no longer so: {}", told.what) },
        };
        let is_news =
            |subject: &Subject| subject.kind == IncidentKind::Primary || self.known.contains(&subject.resource);
        let ended = self
            .held
            .iter()
            .filter(|(subject, _)| !now.held.contains_key(*subject) && now.known.contains(&subject.resource));
        let began = now.held.iter().filter(|(subject, _)| !self.held.contains_key(*subject) && is_news(subject));
        ended
            .map(|(subject, told)| incident(subject, told, false))
            .chain(began.map(|(subject, told)| incident(subject, told, true)))
            .collect()
    }
}

/// What holds by what DRBD says.
fn of_drbd(resources: &[impl Borrow<Resource>]) -> Levels {
    let mut held = Levels::new();
    for resource in resources {
        let resource: &Resource = resource.borrow();
        let name = &resource.name;
        if resource.state.role == Role::Primary {
            let subject = Subject { kind: IncidentKind::Primary, resource: name.clone(), volume: None };
            held.insert(subject, Told { minor: None, what: format!("{name} is Primary on this node") });
        }
        let split = resource.split_brains().filter(|(_, _, evidence)| evidence.is_sure());
        let peers: Vec<String> =
            split.map(|(peer, peer_name, _)| peer_name.map_or_else(|| peer.to_string(), ToString::to_string)).collect();
        if !peers.is_empty() {
            let subject = Subject { kind: IncidentKind::SplitBrain, resource: name.clone(), volume: None };
            held.insert(
                subject,
                Told { minor: None, what: format!("{name}: split brain with {}", peers.join(" and ")) },
            );
        }
        for (volume, device) in &resource.devices {
            for (kind, what) in of_device(resource, *volume, device) {
                let subject = Subject { kind, resource: name.clone(), volume: Some(*volume) };
                held.insert(subject, Told { minor: device.state.minor, what });
            }
        }
    }
    held
}

/// What holds by what the promoter says.
fn of_promoter(promoted: &[PromotedHealth]) -> Levels {
    let mut held = Levels::new();
    for one in promoted {
        let name = ResourceName::new(&one.name);
        let mut add = |kind, what: String| {
            held.insert(Subject { kind, resource: name.clone(), volume: None }, Told { minor: None, what });
        };
        if one.state == StateWord::Blocked.as_str() {
            add(IncidentKind::Blocked, format!("{name} is not started here: it failed {} times", one.failures));
        }
        if one.io_hangs {
            add(IncidentKind::IoHangs, format!("{name} is Primary here, and its I/O hangs"));
        }
    }
    held
}

fn of_device(
    resource: &Resource,
    volume: Volume,
    device: &Device,
) -> impl Iterator<Item = (IncidentKind, String)> + use<> {
    let name = &resource.name;
    let quorum = (device.state.quorum == Some(false))
        .then(|| (IncidentKind::QuorumLost, format!("volume {volume} of {name} has no quorum")));
    let is_failed = match device.state.disk {
        DiskState::Failed => true,
        DiskState::Diskless => device.state.client == Some(false),
        _ => false,
    };
    let disk = is_failed.then(|| {
        (IncidentKind::DiskFailed, format!("the disk of volume {volume} of {name} is {}", device.state.disk.as_str()))
    });
    quorum.into_iter().chain(disk)
}

/// Number below our part: notifications, and objects of which only they have values.
pub(super) const NOTIFICATIONS: u32 = 0;
pub(super) const NOTIFY_OBJECTS: [u32; 2] = [1, 9];

const SNMP_TRAP_OID: &[u32] = &[1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0];

impl Incident {
    /// Its identifier.
    pub fn oid(&self) -> Oid {
        let described = self.kind.described();
        let (number, _, _) = if self.begins { described.begins } else { described.ends };
        Oid::joined(BASE, &[DATA, OURS, NOTIFICATIONS, number])
    }

    /// What is sent: which notification it is, and its objects.
    pub fn bindings(&self) -> Vec<(Oid, Value)> {
        let [part, folder] = NOTIFY_OBJECTS;
        let object = |number: u32| Oid::joined(BASE, &[DATA, OURS, part, folder, number, 0]);
        let minor = self.minor.map_or(Value::Integer(-1), |minor| Value::integer(minor.0));
        vec![
            (Oid::from(SNMP_TRAP_OID), Value::Oid(self.oid())),
            (object(1), Value::text(self.resource.as_str())),
            (object(2), minor),
            (object(3), Value::text(&self.text)),
        ]
    }
}
