#!/bin/bash
# A thin pool that is full, with a file system on it, and is extended: THIN_OUT_OF_SPACE, which is over then.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

begin
need_tools lvm thin_check mkfs.ext4
need_modules dm-thin-pool
scsi_debug dev_size_mb=64
disk=/dev/${DISKS[0]}

volume_group "$disk"
# Full means an error at once: by default a pool keeps requests for a minute.
lvm_on "$disk" lvcreate --errorwhenfull y --size 16M --thin "$GROUP/pool"
lvm_on "$disk" lvcreate --virtualsize 48M --thin "$GROUP/pool" --name thin
mkfs.ext4 -q -E nodiscard "/dev/$GROUP/thin"
mounted "/dev/$GROUP/thin"

must_fail dd if=/dev/zero of="$MOUNT/file" bs=1M count=30 conv=fsync
expect THIN_OUT_OF_SPACE "$GROUP-pool" "it lasts"
tell "a full thin pool"
lvm_on "$disk" lvextend --size 40M "$GROUP/pool"
expect THIN_OUT_OF_SPACE "$GROUP-pool" "over"
tell "the pool has been extended"
