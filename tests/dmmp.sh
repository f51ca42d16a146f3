#!/bin/bash
# A multipath map that loses a path and gets it back, then loses both: MPATH_PATH_FAILED, MPATH_ALL_PATHS_DOWN.
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=multipath.sh
. "${0%/*}/multipath.sh"

begin
multipath_map 16
at_end paths_work

used() { dd if="$MAP" of=/dev/null bs=4096 count=1 iflag=direct status=none; }

paths_fail "${PATHS[0]}"
until_true paths_are 1 failed || fail "the path is not seen to fail"
used || fail "the map cannot be read by the path that is left"
expect MPATH_PATH_FAILED "${PATHS[0]}" "it lasts"
tell "one path of two failed"
paths_work || fail "the path is not reinstated"
expect MPATH_PATH_FAILED "${PATHS[0]}" "over"
tell "the path is reinstated"

paths_fail "${PATHS[@]}"
must_fail used
expect MPATH_ALL_PATHS_DOWN "$MAP_NAME" "it lasts"
tell "no path is left"
paths_work || fail "the paths are not reinstated"
expect MPATH_ALL_PATHS_DOWN "$MAP_NAME" "over"
expect MPATH_PATH_FAILED "${PATHS[0]}" "over"
tell "all paths are back"
