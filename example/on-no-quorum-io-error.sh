#!/bin/sh
# Switches a resource that suspends I/O for want of quorum to I/O errors. Called by on-no-quorum-io-error.toml; see there.
set -eu

res=${DRBD_RES_NAME:?to be called by Storage Reactor}

# The quorum may have come back between the decision and this line.
case $(drbdsetup status "$res") in
*suspended:*quorum*) ;;
*)
    echo "$res is not suspended any more: nothing to do"
    exit 0
    ;;
esac

echo "$res has been without quorum for too long: I/O fails from now on"
drbdsetup resource-options "$res" --on-no-quorum=io-error
