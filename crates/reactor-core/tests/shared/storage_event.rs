//! A storage event of the tests of several plugins.

use std::collections::BTreeMap;

use reactor_storage::device::{Carries, Kind, Related, Summary};
use reactor_storage::event::{Event, Severity, Subsystem};
use reactor_storage::record::Stamp;

/// A disk, below the multipath map `mpatha`, which carries `r0/0`.
fn disk() -> Summary {
    Summary {
        id: "naa.5000c500a1b2c3d4".to_owned(),
        kind: Kind::Scsi,
        number: None,
        name: "sda".to_owned(),
        names: vec!["0:0:0:1".to_owned()],
        path: "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4".to_owned(),
        size: None,
        transport: None,
        file_system: None,
        mounts: Vec::new(),
        above: vec![Related { id: "mpath-3600".to_owned(), name: "mpatha".to_owned(), kind: Kind::Multipath }],
        below: Vec::new(),
        carries: Carries {
            drbd: ["r0/0".to_owned()].into(),
            mounts: ["/srv/data".to_owned()].into(),
            ..Carries::default()
        },
        gone_us: None,
        called: vec!["/dev/disk/by-id/scsi-3600".to_owned()],
    }
}

/// An event of this type on that disk, with an id.
pub(crate) fn event(id: &str, kind: &str, severity: Severity) -> Event {
    Event {
        id: id.to_owned(),
        at: Stamp::default(),
        last: Stamp::default(),
        severity,
        kind: kind.to_owned(),
        subsystem: Subsystem::Multipath,
        device: Some(disk().into()),
        others: Vec::new(),
        fields: BTreeMap::new(),
        message: format!("the line of {kind}"),
        lines: vec!["a line".to_owned()],
        count: 1,
        source: "kernel".to_owned(),
        host: None,
    }
}
