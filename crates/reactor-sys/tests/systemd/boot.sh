#!/bin/bash
# Boots a systemd of its own in namespaces of its own: PID 1, mounts, network, control groups. Needs root.
#   boot.sh FOLDER: unit files from FOLDER/units, notify socket FOLDER/notify, the process id outside is printed by unshare's child
set -e
folder=$1
# A process that was killed may have left one, and numbers of processes come again.
name=storage-reactor-test-$$-$(date +%s%N)
if test -e /sys/fs/cgroup/cgroup.controllers; then
    groups=/sys/fs/cgroup
else
    groups="/sys/fs/cgroup/systemd /sys/fs/cgroup/unified"
fi
for group in $groups; do
    mkdir "$group/$name"
    echo $$ > "$group/$name/cgroup.procs"
    echo "$group/$name" >> "$folder/cgroups"
done
export folder
exec unshare --fork --pid --mount --cgroup --uts --ipc --net --mount-proc --propagation private --kill-child bash -c '
set -e
# As systems have it: what runs as root believes nothing in a folder that everybody can write.
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir -p /run/systemd /run/lock /run/dbus
cp -r "$folder/units" /run/systemd/system
if test -e /sys/fs/cgroup/cgroup.controllers; then
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
    mount -t tmpfs tmpfs /sys/fs/cgroup
    mkdir /sys/fs/cgroup/systemd /sys/fs/cgroup/unified
    mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
    mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
fi
ip link set lo up 2>/dev/null || true
# Nothing but the units of the test: those of the machine that it runs on would clear its /tmp, set its sysctls, start its databases.
export SYSTEMD_UNIT_PATH=/run/systemd/system
export container=storage-reactor-test NOTIFY_SOCKET="$folder/notify"
exec /lib/systemd/systemd --system --unit=test.target --log-target=console --log-level=notice --show-status=no
'
