#!/bin/sh
# A made-up agent: notes how it was called, then does what the test wrote into a file with the action's name.
export here="$OCF_RESKEY_here"
echo "$1" >> "$here/calls"
if [ "$1" = meta-data ]; then
    cat "$here/meta-data"
    exit 0
fi
. "$here/$1"
