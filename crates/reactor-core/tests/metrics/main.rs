//! The Prometheus text: what it says, that it is valid, and that the sheet never shows anything old.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

mod docs;
mod format;
mod golden;
mod promtool;
mod random;
mod rules;
mod sheet;
mod story;
mod values;

use reactor_core::core::Core;
use reactor_core::ids::Mono;
use reactor_core::input::{Dialect, Input, SourceEvent, SourceId};
use reactor_core::metrics::{Body, Choice, Enums, Extent, Health, Sheet};
use reactor_core::model::objects::Resource;

/// A core that was told these lines of events2 after an empty dump.
fn core(dialect: Dialect, lines: &str) -> Core {
    let mut core = Core::new();
    let started =
        Input::Source(SourceId::Drbd, SourceEvent::Started { command: "a test".to_owned(), dialect: Some(dialect) });
    for input in [
        started,
        Input::Lines(SourceId::Drbd, "exists -\n".to_owned()),
        Input::Lines(SourceId::Drbd, lines.to_owned()),
        Input::BurstEnd(SourceId::Drbd),
    ] {
        core.step(Mono::ZERO, &input, &mut Vec::new());
    }
    core
}

/// All families.
fn text<'a>(resources: impl Iterator<Item = &'a Resource>, enums: Enums) -> String {
    text_of(resources, Choice { enums, extent: Extent::All })
}

fn text_of<'a>(resources: impl Iterator<Item = &'a Resource>, choice: Choice) -> String {
    refreshed(&mut Sheet::new(choice), &resources.collect::<Vec<_>>())
}

fn refreshed(sheet: &mut Sheet, resources: &[&Resource]) -> String {
    let snapshot = sheet.refresh(resources);
    assert_eq!(snapshot.resources(), resources.len());
    String::from_utf8(Body::new(snapshot, &Health::default()).to_text()).unwrap()
}

/// The samples about DRBD that contain `what`.
fn samples(text: &str, what: &str) -> String {
    text.lines()
        .filter(|line| line.starts_with("drbd_") && line.contains(what))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// One of everything, with all keys that DRBD 9 prints.
const EVERYTHING: &str = "\
create resource name:r1 role:Primary suspended:quorum,user force-io-failures:yes write-ordering:flush may_promote:no promotion_score:10203
create connection name:r1 peer-node-id:2 conn-name:n3 connection:Connected role:Secondary congested:yes ap-in-flight:12 rs-in-flight:3
create connection name:r1 peer-node-id:1 conn-name:n2 connection:Connecting role:Unknown congested:no ap-in-flight:0 rs-in-flight:0
create device name:r1 volume:0 minor:1000 backing_dev:/dev/vg/r1 disk:UpToDate client:no quorum:yes open:yes size:1048576 read:10 written:20 al-writes:3 bm-writes:4 upper-pending:5 lower-pending:6 al-suspended:no blocked:upper
create device name:r1 volume:1 minor:1001 backing_dev:none disk:Diskless client:yes quorum:no open:no size:1024 read:0 written:0 al-writes:0 bm-writes:0 upper-pending:0 lower-pending:0 al-suspended:yes blocked:no
create peer-device name:r1 peer-node-id:2 conn-name:n3 volume:0 replication:SyncSource peer-disk:Inconsistent peer-client:no resync-suspended:peer,dependency done:12.34 received:1 sent:2 out-of-sync:3 pending:4 unacked:5 dbdt1:98.50 eta:42
create peer-device name:r1 peer-node-id:1 conn-name:n2 volume:0 replication:Off peer-disk:DUnknown peer-client:no resync-suspended:no received:0 sent:0 out-of-sync:1024 pending:0 unacked:0
create path name:r1 peer-node-id:2 conn-name:n3 local:ipv4:10.0.0.1:7001 peer:ipv4:10.0.0.3:7001 established:yes
create path name:r1 peer-node-id:2 conn-name:n3 local:ipv6:[fd00::1]:7001 peer:ipv6:[fd00::3]:7001 established:no
";
