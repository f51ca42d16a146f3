//! The whole text of small models.

use expect_test::{expect, expect_file};
use reactor_core::input::Dialect;
use reactor_core::metrics::{Choice, Enums, Extent};

use crate::{EVERYTHING, core, samples, text, text_of};

#[test]
fn a_small_model_without_enums() {
    let core = core(Dialect::Drbd9, EVERYTHING);
    expect_file!["golden/everything.prom"].assert_eq(&text(core.node().resources(), Enums::Off));
}

#[test]
fn a_small_model_with_enums() {
    let core = core(Dialect::Drbd9, EVERYTHING);
    expect_file!["golden/everything-enums.prom"].assert_eq(&text(core.node().resources(), Enums::On));
}

/// The families that few need are asked for by name; those of drbd-reactor are there in any case.
#[test]
fn a_small_model_with_common_families() {
    let core = core(Dialect::Drbd9, EVERYTHING);
    let of = |enums| text_of(core.node().resources(), Choice { enums, extent: Extent::Common });
    expect_file!["golden/common.prom"].assert_eq(&of(Enums::Off));
    expect_file!["golden/common-enums.prom"].assert_eq(&of(Enums::On));
}

#[test]
fn drbd84_says_less_and_nothing_is_made_up() {
    let lines = "\
create resource name:r0 role:Secondary suspended:no
create connection name:r0 peer-node-id:0 conn-name:peer connection:Connected role:Primary
create device name:r0 volume:0 minor:0 disk:Diskless
create peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 replication:Established peer-disk:UpToDate resync-suspended:no
";
    let core = core(Dialect::Drbd84, lines);
    expect![[r#"
        drbd_resource_resources 1
        drbd_resource_role_info{name="r0",role="Secondary"} 1
        drbd_resource_suspended{name="r0"} 0
        drbd_resource_maypromote{name="r0"} 0
        drbd_resource_split_brains{name="r0"} 0
        drbd_resource_split_brains_possible{name="r0"} 0
        drbd_connection_state_info{name="r0",conn_name="peer",peer_node_id="0",connection="Connected"} 1
        drbd_connection_peer_role_info{name="r0",conn_name="peer",peer_node_id="0",peer_role="Primary"} 1
        drbd_peerdevice_replication_info{name="r0",conn_name="peer",peer_node_id="0",volume="0",replication="Established"} 1
        drbd_peerdevice_disk_info{name="r0",conn_name="peer",peer_node_id="0",volume="0",peer_disk="UpToDate"} 1
        drbd_device_state_info{name="r0",volume="0",minor="0",disk="Diskless"} 1
        drbd_device_unintentionaldiskless{name="r0",volume="0",minor="0"} 1
    "#]].assert_eq(&samples(&text(core.node().resources(), Enums::Off), ""));
}
