#!/bin/bash
# File systems whose disk fails every request: ext4 gives up its journal and becomes read-only, XFS shuts down.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

begin
need_tools mkfs.ext4 mkfs.xfs blockdev

# The journal is what is written first after the disk is broken.
loses_its_disk() {
    mapped "$NAME-$1" "$LOOP"
    "mkfs.$1" -q "${@:2}" "$MAP"
    mounted "$MAP"
    dd if=/dev/zero of="$MOUNT/before" bs=1M count=2 conv=fsync status=none
    broken "$NAME-$1"
    must_fail dd if=/dev/zero of="$MOUNT/after" bs=1M count=2 conv=fsync
    # The journal or log is written now, which nothing survives.
    sync
    until_true fails touch "$MOUNT/last" || fail "$1 goes on without its disk"
}

loop 64M
loses_its_disk ext4 -e remount-ro
expect FS_JOURNAL_ABORTED "$NAME-ext4"
expect FS_READ_ONLY "$NAME-ext4"

# The smallest that mkfs.xfs makes is 300 MiB.
loop 320M
loses_its_disk xfs
expect FS_SHUTDOWN "$NAME-xfs"
tell "ext4 and XFS without their disk"
