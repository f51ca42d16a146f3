//! What managers are notified of, and what not.

use reactor_core::core::Core;
use reactor_core::input::Dialect;
use reactor_core::metrics::Health;
use reactor_core::metrics::health::PromotedHealth;
use reactor_core::snmp::{Facts, Incidents, Value};

use crate::{core, feed, healthy};

const UP: &str = "\
create resource name:r0 role:Secondary suspended:no may_promote:yes promotion_score:10101
create device name:r0 volume:0 minor:7 disk:UpToDate client:no quorum:yes
";

fn told(incidents: &mut Incidents, core: &Core, health: &Health) -> Vec<String> {
    let all = incidents.compare(&Facts { resources: Some(&core.node().snapshot()), health });
    all.iter().map(|one| format!("{} {}: {}", one.oid().last().unwrap(), one.resource, one.text)).collect()
}

#[test]
fn what_is_told_and_how_often() {
    let (mut core, health) = (core(Dialect::Drbd9, UP), healthy());
    let mut incidents = Incidents::default();
    let nothing: [&str; 0] = [];
    assert_eq!(told(&mut incidents, &core, &health), nothing, "the first picture is news to nobody");
    feed(
        &mut core,
        "change resource name:r0 role:Primary\nchange device name:r0 volume:0 minor:7 quorum:no disk:Failed\n",
    );
    assert_eq!(
        told(&mut incidents, &core, &health),
        [
            "1 r0: volume 0 of r0 has no quorum",
            "3 r0: the disk of volume 0 of r0 is Failed",
            "5 r0: r0 is Primary on this node"
        ]
    );
    // DRBD goes from Failed to Diskless: the same incident.
    feed(&mut core, "change device name:r0 volume:0 minor:7 disk:Diskless\n");
    assert_eq!(told(&mut incidents, &core, &health), nothing);
    feed(
        &mut core,
        "change resource name:r0 role:Secondary\nchange device name:r0 volume:0 minor:7 quorum:yes disk:UpToDate\n",
    );
    assert_eq!(
        told(&mut incidents, &core, &health),
        [
            "2 r0: no longer so: volume 0 of r0 has no quorum",
            "4 r0: no longer so: the disk of volume 0 of r0 is Diskless",
            "6 r0: no longer so: r0 is Primary on this node"
        ]
    );
}

#[test]
fn a_split_brain_is_told_until_it_is_over() {
    let (mut core, health) = (core(Dialect::Drbd9, UP), healthy());
    let mut incidents = Incidents::default();
    let nothing: [&str; 0] = [];
    let link = |state: &str, role: &str| {
        format!("change connection name:r0 peer-node-id:1 conn-name:n2 connection:{state} role:{role}\n")
    };
    feed(&mut core, &link("Connecting", "Unknown"));
    assert_eq!(told(&mut incidents, &core, &health), nothing);
    feed(&mut core, "call helper name:r0 peer-node-id:1 conn-name:n2 volume:0 minor:7 helper:split-brain\n");
    assert_eq!(told(&mut incidents, &core, &health), ["9 r0: r0: split brain with n2"]);
    feed(&mut core, &link("StandAlone", "Unknown"));
    assert_eq!(told(&mut incidents, &core, &health), nothing);
    feed(&mut core, &link("Connected", "Secondary"));
    assert_eq!(told(&mut incidents, &core, &health), ["10 r0: no longer so: r0: split brain with n2"]);
}

#[test]
fn coming_up_and_going_down_is_no_incident() {
    let (mut core, health) = (core(Dialect::Drbd9, ""), healthy());
    let mut incidents = Incidents::default();
    let nothing: [&str; 0] = [];
    assert_eq!(told(&mut incidents, &core, &health), nothing);
    feed(&mut core, &UP.replace("disk:UpToDate client:no quorum:yes", "disk:Diskless client:no quorum:no"));
    assert_eq!(told(&mut incidents, &core, &health), nothing, "it is being attached");
    feed(&mut core, "destroy device name:r0 volume:0 minor:7\ndestroy resource name:r0\n");
    assert_eq!(told(&mut incidents, &core, &health), nothing, "it is no better because it is gone");
    // It was brought up and promoted before anybody looked: somebody waits to hear of that.
    feed(&mut core, &UP.replace("role:Secondary", "role:Primary"));
    assert_eq!(told(&mut incidents, &core, &health), ["5 r0: r0 is Primary on this node"]);
}

#[test]
fn nothing_is_compared_while_events_are_not_read() {
    let (mut core, health) = (core(Dialect::Drbd9, UP), healthy());
    let mut incidents = Incidents::default();
    let nothing: [&str; 0] = [];
    let down = Health::default();
    assert_eq!(told(&mut incidents, &core, &down), nothing);
    assert_eq!(told(&mut incidents, &core, &health), nothing, "that was the first picture");
    feed(&mut core, "change device name:r0 volume:0 minor:7 quorum:no\n");
    assert_eq!(told(&mut incidents, &core, &down), nothing);
    assert_eq!(told(&mut incidents, &core, &health), ["1 r0: volume 0 of r0 has no quorum"], "it still holds");
}

#[test]
fn the_promoter_is_heard_and_bindings_name_the_device() {
    let (mut core, mut health) = (core(Dialect::Drbd9, UP), healthy());
    let mut incidents = Incidents::default();
    let promoted = |state, io_hangs| PromotedHealth {
        name: "r0".to_owned(),
        state,
        failures: 3,
        io_hangs,
        ..PromotedHealth::default()
    };
    health.promoted = vec![promoted("standby", false)];
    assert!(told(&mut incidents, &core, &health).is_empty());
    health.promoted = vec![promoted("blocked", true)];
    assert_eq!(
        told(&mut incidents, &core, &health),
        ["7 r0: r0 is not started here: it failed 3 times", "11 r0: r0 is Primary here, and its I/O hangs"]
    );
    // No promoter any more: nothing has ended.
    health.promoted.clear();
    assert!(told(&mut incidents, &core, &health).is_empty());
    feed(&mut core, "change device name:r0 volume:0 minor:7 quorum:no\n");
    let all = incidents.compare(&Facts { resources: Some(&core.node().snapshot()), health: &health });
    let bindings: Vec<String> = all[0].bindings().iter().map(|(oid, _)| oid.to_string()).collect();
    let ours = "1.3.6.1.4.1.23302.1.1000.1.9";
    assert_eq!(
        bindings,
        ["1.3.6.1.6.3.1.1.4.1.0".to_owned(), format!("{ours}.1.0"), format!("{ours}.2.0"), format!("{ours}.3.0")]
    );
    assert_eq!(all[0].bindings()[2].1, Value::Integer(7));
    assert!(matches!(&all[0].bindings()[0].1, Value::Oid(oid) if oid.to_string() == "1.3.6.1.4.1.23302.1.1000.0.1"));
}
