#!/bin/sh
# Makes this node half of the pair. On one node first, then `sh setup.sh last` on the other, which makes the file system.
set -eu
cd "$(dirname "$0")"
cp data.res /etc/drbd.d/
cp srv-data.mount counter.service /etc/systemd/system/
systemctl daemon-reload
echo drbd >/etc/modules-load.d/drbd.conf
modprobe drbd
drbdadm create-md --force data
# From now on also after a boot.
systemctl enable --now --quiet drbd@data.target
if test "${1-}" = last; then
    until test "$(drbdadm cstate data)" = Connected; do sleep 0.2; done
    # Both disks are new, so there is nothing to copy.
    drbdadm new-current-uuid --clear-bitmap data/0
    drbdadm primary data
    # What was written last is synchronised again after a crash: let that not be all of it.
    mkfs.ext4 -q -E nodiscard /dev/drbd0
    drbdadm secondary data
fi
# Power may be cut at any time from now on.
sync
