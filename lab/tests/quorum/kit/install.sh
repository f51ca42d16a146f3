#!/bin/sh
# Makes this node one of the tests: `sh install.sh simulated`, or `sh install.sh real` with a DRBD 9 in the kernel.
set -eu
cd "$(dirname "$0")"
cp promoters/*.toml /etc/storage-reactor.d/
units=/etc/systemd/system
mkdir -p $units/counter@.service.d
cp counter.conf $units/counter@.service.d/
cp disk-reader.service $units/
if test "$1" = real; then
    sh real.sh
    systemctl daemon-reload
    systemctl reload storage-reactor.service
else
    mkdir -p $units/drbd-demote-or-escalate@.service.d
    cp escalate.conf $units/drbd-demote-or-escalate@.service.d/
    sh setup.sh
fi
sync
