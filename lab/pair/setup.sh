#!/bin/sh
# Makes this node half of the pair. On one node first, then `sh setup.sh last` on the other, which makes the file system.
set -eu
cd "$(dirname "$0")"
cp data.res /etc/drbd.d/
cp srv-data.mount counter.service /etc/systemd/system/
systemctl daemon-reload
modprobe drbd
drbdadm create-md --force data
drbdadm up data
if test "${1-}" = last; then
    until test "$(drbdadm cstate data)" = Connected; do sleep 0.2; done
    # Both disks are new, so there is nothing to copy.
    drbdadm new-current-uuid --clear-bitmap data/0
    drbdadm primary data
    mkfs.ext4 -q /dev/drbd0
    drbdadm secondary data
fi
