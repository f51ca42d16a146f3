//! LVM and DRBD on each other, both ways: a volume group on DRBD's device, which moves with the services, and DRBD's disk in a volume
//! group.

use lab::cluster::Node;

use crate::counter;
use crate::ground::{Done, Ground, LONG, Shared, holds, until_why};
use crate::side;

/// LVM looks at DRBD's devices only, never at the disks below them, which show the same volume group once more. Each node is known by its name.
const LVM_CONF: &str = "devices { global_filter = [ \"a|^/dev/drbd|\", \"r|.*|\" ] use_devicesfile = 0 }\n\
                        global { system_id_source = \"uname\" }\nactivation { monitoring = 0 }\nbackup { backup = 0 archive = 0 }\n";

const TOML: &str = "[[promoter]]\n[promoter.resources.side2]\nfencing-promote-delay = 0\nstart = [\n\
                    { vg = \"vg_side\" },\n\
                    { fs = \"/srv/side2\", device = \"/dev/vg_side/data\", type = \"ext4\" },\n]\n";

pub(crate) fn a_volume_group_on_drbd_moves_with_the_services(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        side::ready(ground).await?;
        let [first, _] = ground.pair.nodes();
        ground.both("cp -a /etc/lvm/lvm.conf /run/lvm.conf; mkdir -p /srv/side2").await?;
        ground.write("/etc/lvm/lvm.conf", LVM_CONF).await?;
        first.sh(MAKE, LONG).await?;
        ground.snippet("side", TOML).await?;
        let [first, second] = ground.pair.nodes();
        let node = tokio::select! {
            found = first.until(RUNS, LONG) => found.map(|_| first)?,
            found = second.until(RUNS, LONG) => found.map(|_| second)?,
        };
        until_why(node, "side2", r#".state == "running" and all(.units[]; .active == "active")"#).await?;
        node.sh("reactorctl check 2>&1 | grep -F '`vg_side` is on DRBD'; echo moved >/srv/side2/file", LONG).await?;
        let other = ground.pair.other(node.name());
        ground.evict(node, "side2").await?;
        other.until(RUNS, LONG).await?;
        holds(other.sh("cat /srv/side2/file", LONG).await? == "moved", "the file")?;
        node.sh(IS_GONE, LONG).await?;
        side::idle(ground).await?;
        other.sh(IS_GONE, LONG).await?;
        ends(ground, first).await?;
        counter::is_sound(ground).await
    })
}

/// A volume group on DRBD's device.
const MAKE: &str = "set -e; exec 2>&1; drbdadm primary side2; pvcreate -q --metadatasize 256k /dev/drbd2; vgcreate -q -s 512k vg_side /dev/drbd2
    lvcreate -q -y -l 100%FREE -n data vg_side; mkfs.ext4 -q -E nodiscard /dev/vg_side/data; vgchange -q -an vg_side; drbdadm secondary side2";
const RUNS: &str = "mountpoint -q /srv/side2 && test -e /dev/mapper/vg_side-data";
const IS_GONE: &str =
    "! mountpoint -q /srv/side2 && ! test -e /dev/mapper/vg_side-data && drbdadm role side2 | grep -x 'Secondary/.*'";

/// The volume group goes, and LVM is set up as before.
async fn ends(ground: &Ground, node: &Node) -> Done {
    node.sh("set -e; drbdadm primary side2; wipefs -qa /dev/drbd2; drbdadm secondary side2", LONG).await?;
    ground.both("cp -a /run/lvm.conf /etc/lvm/lvm.conf").await?;
    Ok(())
}

/// DRBD's disk is a logical volume that nobody has activated: to start DRBD activates it, and no entry of `start` is needed for it.
pub(crate) fn a_volume_group_below_drbd_needs_no_entry(shared: &mut Shared) -> Done {
    shared.on_pair(async |ground| {
        side::ready(ground).await?;
        let [first, second] = ground.pair.nodes();
        ground.both(BELOW).await?;
        ground.write("/etc/drbd.d/low.res", &LOW.replace("PINGS", crate::ground::PINGS)).await?;
        ground.both("set -e; exec 2>&1; drbdadm create-md --force low; vgchange -an vg_low; ! test -e /dev/vg_low/disk").await?;
        ground.both("systemctl enable -q drbd-lvchange@low.service && systemctl start drbd@low.target && drbdadm dstate low | grep -x 'Inconsistent/.*'").await?;
        first.until("drbdadm cstate low | grep -x Connected", LONG).await?;
        first.sh("drbdadm new-current-uuid --clear-bitmap low/0", LONG).await?;
        // As an entry it would be stopped under DRBD.
        ground.write("/run/low.toml", "[[promoter]]\n[promoter.resources.low]\nstart = [ { vg = \"vg_low\" } ]\n").await?;
        first.sh("! reactorctl check /run/low.toml >/run/said 2>&1 && grep -F '`vg_low` is below DRBD' /run/said", LONG).await?;
        let toml = "[[promoter]]\n[promoter.resources.low]\nfencing-promote-delay = 0\nstart = [\"side3.service\"]\n";
        ground.snippet("side", toml).await?;
        let is_up = "systemctl -q is-active side3.service && drbdadm role low | grep -x Primary/Secondary";
        tokio::select! {
            found = first.until(is_up, LONG) => found?,
            found = second.until(is_up, LONG) => found?,
        };
        ground.no_snippet("side").await?;
        ground.both("systemctl stop drbd-services@low.target drbd-promote@low.service").await?;
        ground.both("set -e; exec 2>&1; systemctl disable -q drbd-lvchange@low.service; systemctl stop drbd@low.target drbd@low.service; drbdadm down low || true\n\
                     rm /etc/drbd.d/low.res; vgremove -y -f vg_low; wipefs -qa /dev/mapper/side3; drbdadm create-md --force side3; drbdadm up side3").await?;
        first.until("drbdadm cstate side3 | grep -x Connected", LONG).await?;
        first.sh("drbdadm new-current-uuid --clear-bitmap side3/0", LONG).await?;
        counter::is_sound(ground).await
    })
}

/// The third small disk is a volume group and not DRBD's.
const BELOW: &str = "set -e; exec 2>&1; drbdadm down side3; wipefs -qa /dev/mapper/side3
    pvcreate -q -f -y --metadatasize 256k /dev/mapper/side3; vgcreate -q -s 512k vg_low /dev/mapper/side3; lvcreate -q -y -l 100%FREE -n disk vg_low";
const LOW: &str = "resource low {\nnet { protocol C; PINGS }\ndisk { fencing resource-only; c-plan-ahead 0; resync-rate 100M; }\n\
                   handlers { fence-peer /usr/local/sbin/lab-fence-peer; }\n\
                   device /dev/drbd9;\ndisk /dev/vg_low/disk;\nmeta-disk internal;\n\
                   on n1 { address 10.77.0.1:7009; }\non n2 { address 10.77.0.2:7009; }\n}\n";
