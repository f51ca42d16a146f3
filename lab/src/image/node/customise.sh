# Runs in the new root file system: a node that boots fast, says everything and does nothing by itself.
set -eu

: >/etc/machine-id
mkdir -p /lab /lib/modules
rm -f /etc/hostname
{
    echo "127.0.0.1 localhost"
    for node in $(seq 16); do
        echo "10.77.0.$node n$node"
        echo "10.78.0.$node n$node-mgmt"
    done
} >/etc/hosts

off() { # what is in the image and enabled is switched off; what is not there is none of our business
    for unit in "$@"; do
        systemctl disable --quiet "$unit" 2>/dev/null || true
    done
}
off drbd.service multipathd.service multipathd.socket multipath-tools.service snmpd.service snmptrapd.service logd.service
off mdmonitor.service mdmonitor-oneshot.timer mdcheck_start.timer mdcheck_continue.timer mdadm-shutdown.service
off e2scrub_all.timer e2scrub_reap.service fstrim.timer apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer
off systemd-timesyncd.service systemd-networkd.service systemd-pstore.service ssh.service ssh.socket
off lxc.service lxc-net.service lxc-monitord.service dnsmasq.service nftables.service
# The agent has the serial line, and nobody looks at the console.
systemctl mask --quiet serial-getty@ttyS0.service getty@tty1.service getty-static.service console-getty.service
# Mounts that nobody needs; each takes a process.
systemctl mask --quiet dev-hugepages.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount
# They find nothing here, and each is a process at every boot and every daemon-reload: more than half of what a reload takes.
mkdir -p /etc/systemd/system-generators
for generator in /lib/systemd/system-generators/*; do
    test "${generator##*/}" = systemd-fstab-generator || ln -s /dev/null /etc/systemd/system-generators/"${generator##*/}"
done
# The lab's power button is Ctrl-Alt-Del.
ln -sf /lib/systemd/system/poweroff.target /etc/systemd/system/ctrl-alt-del.target
systemctl enable --quiet lab-modules.service lab-setup.service lab-disks.service lab-journal.service lab-agent.service

# A library that is too old here is better found now than in a node that does not answer.
/usr/local/sbin/lab-agent --version >/dev/null || exit 71

if test -d /packages; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    # Documentation is left out of the nodes, but for that of what is tested: all of the package is there.
    dpkg --install --force-unsafe-io --path-include='/usr/share/doc/storage-reactor/*' --path-include='/usr/share/man/man*' \
        /packages/*.deb || exit 72
    rm -rf /packages /usr/sbin/policy-rc.d
fi
# Nothing is to be brought up to date at the first boot.
touch /etc/.updated /var/.updated
