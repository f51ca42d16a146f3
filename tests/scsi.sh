#!/bin/bash
# A SCSI disk with sectors that cannot be read: SCSI_MEDIUM_ERROR.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"

# The sector from which on scsi_debug has medium errors.
BAD_SECTOR=4660

begin
# 2: the option for medium errors.
scsi_debug dev_size_mb=8 opts=2
disk=${DISKS[0]}
must_fail dd if="/dev/$disk" of=/dev/null bs=512 skip=$BAD_SECTOR count=1 iflag=direct
expect SCSI_MEDIUM_ERROR "$disk"
tell "a medium error of $disk"
