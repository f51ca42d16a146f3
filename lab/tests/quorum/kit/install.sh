#!/bin/sh
# Makes this node one of the tests, besides what setup.sh does.
set -eu
cd "$(dirname "$0")"
cp promoters/*.toml /etc/storage-reactor.d/
units=/etc/systemd/system
mkdir -p $units/counter@.service.d $units/drbd-demote-or-escalate@.service.d
cp counter.conf $units/counter@.service.d/
cp escalate.conf $units/drbd-demote-or-escalate@.service.d/
cp disk-reader.service $units/
sh setup.sh
sync
