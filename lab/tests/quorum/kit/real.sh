#!/bin/sh
# Makes this node one of three with a real DRBD 9 (LAB_DRBD9_DIR): the resources of cluster.json, each on a disk of its own. The first
# disk is the tests'.
set -eu
cd "$(dirname "$0")"
drbdadm --version | grep -q '^DRBD_KERNEL_VERSION=9\.' || { echo "the kernel's DRBD is not 9: $(drbdadm --version)" >&2 && exit 1; }
install counter /usr/sbin/sim-counter
cp counter@.service /etc/systemd/system/
minor=0
for resource in web:io-error db:suspend-io log:suspend-io app:io-error home:io-error; do
    name=${resource%:*} without=${resource#*:}
    cat >"/etc/drbd.d/$name.res" <<END
resource $name {
    options {
        auto-promote no;
        quorum majority;
        on-no-quorum $without;
        on-no-data-accessible $without;
        on-suspended-primary-outdated force-secondary;
    }
    net {
        protocol C;
        ping-int 1;
        rr-conflict retry-connect;
    }
    device minor $minor;
    disk /dev/mapper/disk$((minor + 2));
    meta-disk internal;
    on n1 { node-id 0; address 10.77.0.1:$((7000 + minor)); }
    on n2 { node-id 1; address 10.77.0.2:$((7000 + minor)); }
    on n3 { node-id 2; address 10.77.0.3:$((7000 + minor)); }
    connection-mesh { hosts n1 n2 n3; }
}
END
    drbdadm create-md --force --max-peers 2 "$name" 2>&1
    systemctl enable --now --quiet "drbd@$name.target"
    minor=$((minor + 1))
done
test "$(uname -n)" = n1 || exit 0
for name in web db log app home; do
    until test "$(drbdadm cstate "$name" | sort -u)" = Connected; do sleep 0.2; done
    # All disks are new, so there is nothing to copy.
    drbdadm new-current-uuid --clear-bitmap "$name/0"
done
