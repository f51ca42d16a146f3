#!/bin/sh
# Makes this node one of a cluster whose DRBD 9 is simulated; the programs lie beside this script. `sh setup.sh simulator` on the node that
# simulates, first; then `sh setup.sh` on the others, which get look-alikes of drbdsetup and drbdadm in place of Debian's.
set -eu
cd "$(dirname "$0")"
simulator=tcp:10.78.0.4:7788
if test "${1-}" = simulator; then
    systemctl stop storage-reactor.service
    echo "{\"socket\": \"$simulator\"}" >/usr/sbin/sim-drbd.json
    ln -sf "$PWD/sim-ctl" /usr/sbin/
    systemd-run --quiet --unit=sim-drbd --service-type=exec --property=Restart=on-failure \
        "$PWD/sim-drbd" --socket "$simulator" "$PWD/cluster.json"
    until sim-ctl status >/dev/null 2>&1; do sleep 0.1; done
    exit
fi
echo "{\"socket\": \"$simulator\", \"node\": \"$(uname -n)\"}" >/usr/sbin/sim-drbd.json
for program in drbdsetup drbdadm ctl counter; do
    case $program in drbd*) name=$program ;; *) name=sim-$program ;; esac
    ln -sf "$PWD/sim-$program" "/usr/sbin/$name"
done
cp sim-power.service counter@.service /etc/systemd/system/
# As `systemctl enable` does it, without the wait for systemd: nobody needs it before the next boot.
mkdir -p /etc/systemd/system/multi-user.target.wants
ln -sf /etc/systemd/system/sim-power.service /etc/systemd/system/multi-user.target.wants/
# It has seen the real DRBD.
systemctl restart storage-reactor.service
