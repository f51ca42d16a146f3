#!/bin/bash
# ext4 over LVM over multipath, all paths of which fail: one incident from the paths up to the file system.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=multipath.sh
. "${0%/*}/multipath.sh"

begin
need_tools lvm mkfs.ext4
multipath_map 64

volume_group "$MAP"
lvm_on "$MAP" lvcreate --yes --size 40M --name data "$GROUP"
mkfs.ext4 -q -e remount-ro "/dev/$GROUP/data"
mounted "/dev/$GROUP/data"
dd if=/dev/zero of="$MOUNT/before" bs=1M count=2 conv=fsync status=none

at_end paths_work
paths_fail "${PATHS[@]}"
must_fail dd if=/dev/zero of="$MOUNT/after" bs=1M count=2 conv=fsync
sync
until_true fails touch "$MOUNT/last" || fail "ext4 goes on without its disk"
expect MPATH_PATH_FAILED "${PATHS[0]}"
expect MPATH_ALL_PATHS_DOWN "$MAP_NAME"
expect FS_JOURNAL_ABORTED "$GROUP-data"
tell "ext4 over LVM over multipath without a path"
paths_work || fail "the paths are not reinstated"
expect MPATH_ALL_PATHS_DOWN "$MAP_NAME" "over"
