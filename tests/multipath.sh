# shellcheck shell=bash disable=SC2034
# A multipath map over two paths to one disk of scsi_debug; sourced after lib.sh.

MULTIPATH=/etc/multipath
DROP_IN=$MULTIPATH/conf.d/$NAME.conf

# Sets MAP and PATHS. Only the disk of scsi_debug gets a map that would have none: its WWID is allowed by name. A daemon that runs goes on as before at the end.
multipath_map() { # size of the disk in MiB
    local path
    need_tools multipath multipathd systemctl
    need_modules dm-multipath dm-service-time
    test -d /run/systemd/system || skip "systemd does not run, which starts multipathd"
    # Two hosts with one store, whose disks say that they are the same one.
    scsi_debug dev_size_mb="$1" vpd_use_hostno=0 add_host=2
    PATHS=("${DISKS[@]}")
    test "${#PATHS[@]}" -eq 2 || fail "scsi_debug made ${#PATHS[@]} disks in place of 2"

    at_end no_multipath_map
    for path in "$MULTIPATH" "$MULTIPATH/conf.d" "$MULTIPATH/wwids" "$MULTIPATH/bindings" "$MULTIPATH/prkeys"; do
        test -e "$path" || say "$path" >>"$WORK/multipath.new"
    done
    RUNNING=()
    for path in multipathd.socket multipathd.service; do
        ! systemctl is-active --quiet "$path" || RUNNING+=("$path")
    done
    mkdir -p "$MULTIPATH/conf.d"
    cat >"$DROP_IN" <<CONFIG
defaults {
    polling_interval 1
    max_polling_interval 1
}
blacklist_exceptions {
    device {
        vendor "Linux"
        product "scsi_debug"
    }
}
devices {
    device {
        vendor "Linux"
        product "scsi_debug"
        user_friendly_names no
        no_path_retry 2
        path_checker tur
    }
}
CONFIG
    multipath -a "/dev/${PATHS[0]}" >/dev/null || fail "multipath does not take the disk"
    case " ${RUNNING[*]} " in
    *" multipathd.service "*) until_true multipathd reconfigure || fail "multipathd does not read its configuration" ;;
    *) systemctl start multipathd.service || fail "multipathd does not start" ;;
    esac
    until_true paths_are 2 active || fail "multipath makes no map of the two paths: $(multipathd show paths 2>&1)"
    MAP_NAME=$(multipathd show paths raw format "%d %m" | awk -v path="${PATHS[0]}" '$1 == path { print $2 }')
    MAP=/dev/mapper/$MAP_NAME
    until_true test -b "$MAP" || fail "$MAP is not there"
}

paths_are() { # how many, state for the kernel
    local count
    count=$(multipathd show paths raw format "%d %t" |
        awk -v one="${PATHS[0]}" -v two="${PATHS[1]}" -v state="$2" '($1 == one || $1 == two) && $2 == state' | wc -l)
    test "$count" -eq "$1"
}

# The paths fail, or work again.
paths_fail() { # names
    local path
    for path in "$@"; do disk_is "$path" offline; done
}

paths_work() {
    local path
    for path in "${PATHS[@]}"; do disk_is "$path" running; done
    until_true paths_are 2 active
}

no_multipath_map() {
    local path done=0
    test -z "${MAP_NAME:-}" || until_true multipath -f "$MAP_NAME" || done=1
    multipath -w "/dev/${PATHS[0]}" >/dev/null || done=1
    rm -f "$DROP_IN"
    case " ${RUNNING[*]} " in
    *" multipathd.service "*) until_true multipathd reconfigure || done=1 ;;
    *" multipathd.socket "*) systemctl stop --quiet multipathd.service || done=1 ;;
    *) systemctl stop --quiet multipathd.socket multipathd.service 2>/dev/null || systemctl stop --quiet multipathd.service || done=1 ;;
    esac
    if test -e "$WORK/multipath.new"; then
        # Folders come before what is in them.
        while read -r path; do
            if test -d "$path"; then rmdir "$path"; else rm -f "$path"; fi
        done < <(tac "$WORK/multipath.new") || done=1
    fi
    return "$done"
}
