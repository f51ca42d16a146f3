//! Drivers of block devices that are no SCSI disks.

use crate::catalogue::rule::rules;

rules! {
    "nbd-connection" => NBD_CONN_LOST, "driver.nbd"; No; [] {
        "" "block {dev:kernel}: {what:=Connection timed out}{?, retrying ({alive:num}/{of:num} alive)}" [
            "block nbd0: Connection timed out",
            "block nbd0: Connection timed out, retrying (1/2 alive)",
        ];
        "" "block {dev:kernel}: {what:Receive control failed|Send control failed|Receive data failed|Send data failed} (result {errno:int})" [
            "block nbd0: Receive control failed (result -32)",
            "block nbd0: Send data failed (result -32)",
        ];
    }
    "nbd-dead" => NBD_DEAD, "driver.nbd"; No; [] {
        "" "block {dev:kernel}: Dead connection, failed to find a fallback" ["block nbd0: Dead connection, failed to find a fallback"];
        "" "block {dev:kernel}: shutting down sockets" ["block nbd0: shutting down sockets"];
    }
    "nbd-server-error" => NBD_SERVER_ERROR, "driver.nbd"; No; [] {
        "" "block {dev:kernel}: Other side returned error ({errno:num})" ["block nbd0: Other side returned error (5)"];
    }
    "nbd-disconnected" => NBD_DISCONNECTED, "driver.nbd"; No; [] {
        "" "block {dev:kernel}: NBD_DISCONNECT" ["block nbd0: NBD_DISCONNECT"];
    }
    "nbd-reconnected" => NBD_RECONNECTED, "driver.nbd"; No; [] {
        "" "block {dev:kernel}: reconnected socket" ["block nbd0: reconnected socket"];
    }
    "nbd-stuck" => NBD_STUCK, "driver.nbd"; No; [] {
        "" "block {dev:kernel}: Possible stuck request {request:word}: control ({control:text}). Runtime {seconds:num} seconds" [
            "block nbd0: Possible stuck request 00000000a1b2c3d4: control (read@0,4096B). Runtime 30 seconds",
        ];
    }
    "rbd-error" => RBD_IO_ERROR, "driver.rbd"; No; [] {
        "" "rbd: {dev:kernel}: {operation:word} at objno {object:num} {offset:num}~{length:num} result {errno:int}" [
            "rbd: rbd0: write at objno 12 0~4096 result -5",
        ];
    }
    "rbd-watch" => RBD_WATCH_LOST, "driver.rbd"; No; [] {
        "" "rbd: {dev:kernel}: encountered watch error: {errno:int}" ["rbd: rbd0: encountered watch error: -107"];
    }
    "rbd-lock" => RBD_LOCK, "driver.rbd"; No; [] {
        "" "rbd: {dev:kernel}: breaking header lock owned by {owner:word}" ["rbd: rbd0: breaking header lock owned by client123"];
    }
    "rbd-mapped" => RBD_MAPPED, "driver.rbd"; No; [] {
        "" "rbd: {dev:kernel}: capacity {bytes:num} features 0x{features:hex}" ["rbd: rbd0: capacity 1073741824 features 0x3d"];
    }
    "virtio-resized" => BLK_RESIZED, "driver.virtio"; No; [] {
        "" "virtio_blk {bus:word}: [{dev:kernel}] new size: {blocks:num} {block_size:num}-byte logical blocks ({size:text})" [
            "virtio_blk virtio1: [vda] new size: 2097152 512-byte logical blocks (1.07 GB/1.00 GiB)",
        ];
    }
    "virtio-size" => BLK_DEVICE_SIZED, "driver.virtio"; No; [] {
        "" "virtio_blk {bus:word}: [{dev:kernel}] {blocks:num} {block_size:num}-byte logical blocks ({size:text})" [
            "virtio_blk virtio1: [vda] 2097152 512-byte logical blocks (1.07 GB/1.00 GiB)",
        ];
    }
    "xen-flush" => XEN_FLUSH_FAILED, "driver.xen"; No; [] {
        "" "blkfront: {dev:kernel}: {what:text} op failed" [
            "blkfront: xvda: flush disk cache op failed",
            "blkfront: xvda: discard op failed",
        ];
    }
    "xen-disabled" => XEN_DISK_DISABLED, "driver.xen"; No; [] {
        "5.16-" "{?blkfront: }{dev:kernel} disabled for further use" ["xvda disabled for further use"];
    }
    "mmc-recovery" => MMC_RECOVERY_FAILED, "driver.mmc"; No; [] {
        "" "{dev:kernel}: recovery failed!" ["mmcblk0: recovery failed!"];
    }
    "zfs-kernel-suspended" => ZFS_POOL_SUSPENDED, "zfs.kernel"; No; [] {
        "" "{?WARNING: }Pool '{pool:remote}' has encountered an uncorrectable I/O failure and has been suspended." [
            "WARNING: Pool 'tank' has encountered an uncorrectable I/O failure and has been suspended.",
        ];
    }
}
