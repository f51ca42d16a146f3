# shellcheck shell=bash
# What the scripts of storage failures share; it is sourced, not run.
#
# A script skips with 77 and the reason if something it needs is not here, and fails with 1 and a message if what it provoked is not told. What it makes
# it takes away again at its end, whatever that is.
#
#   REACTORCTL   the program to be asked, if it is not the installed one
#   PATIENCE     how many seconds anything may take that the machine does in its own time (30)
#
# What functions set is for the script that has called them.
# shellcheck disable=SC2034

set -euo pipefail

REACTORCTL=${REACTORCTL:-reactorctl}
PATIENCE=${PATIENCE:-30}
NAME=reactor-test-$$
# On a disk: a loop device over a tmpfs reports other errors than those that are wanted.
WORK=$(mktemp -d /var/tmp/reactor-test.XXXXXX)
CLEANUPS=()

say() { printf '%s\n' "$*"; }

skip() {
    say "SKIPPED: $*"
    exit 77
}

fail() {
    say "FAILED: $*" >&2
    exit 1
}

# Has a command run at the end of the script; the last one given runs first.
at_end() { CLEANUPS+=("$*"); }

# Runs what `at_end` was given. What cannot be taken away is said, and is a failure too: it would be in the way of the next script.
clean_up() {
    local code=$? index
    trap - EXIT
    # A second Ctrl-C does not leave half of it behind.
    trap '' INT TERM HUP
    set +e
    PATIENCE=60
    for ((index = ${#CLEANUPS[@]} - 1; index >= 0; index--)); do
        if ! eval "${CLEANUPS[index]}"; then
            say "NOT CLEANED UP: ${CLEANUPS[index]}" >&2
            test "$code" -ne 0 || code=1
        fi
    done
    rm -rf "$WORK"
    exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# Waits until a command succeeds; what it prints is of no interest.
until_true() {
    local until=$((SECONDS + PATIENCE))
    until "$@" >/dev/null 2>&1; do
        test "$SECONDS" -lt "$until" || return 1
        sleep 0.2
    done
}

need_root() { test "$(id -u)" -eq 0 || skip "only root can make devices"; }

need_tools() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || skip "$tool is not installed"
    done
}

# Modules that stay loaded do no harm, so those that were not loaded before are only tried to be taken away.
need_modules() {
    local module
    for module in "$@"; do
        test ! -d "/sys/module/${module//-/_}" || continue
        modprobe -q "$module" || skip "this kernel has no module $module"
        at_end "modprobe -q -r $module || true"
    done
}

# What all scripts need, and from where on the log is theirs.
begin() {
    need_root
    need_tools "$REACTORCTL" dmsetup losetup udevadm modprobe
    if journalctl --quiet --lines=1 --output=cat _TRANSPORT=kernel 2>/dev/null | grep -q .; then
        CURSOR=$(journalctl --quiet --lines=0 --show-cursor | sed -n 's/^-- cursor: //p')
    fi
    MARK="$NAME begins"
    say "$MARK" >/dev/kmsg
}

# The log since `begin`: of the kernel and of services, where there is a journal.
log() {
    if test -n "${CURSOR:-}"; then
        journalctl --quiet --boot --after-cursor="$CURSOR" --output=export
    else
        dmesg --raw | sed "1,/$MARK/d"
    fi
}

incidents() { log | "$REACTORCTL" events parse --here --incidents -; }

told() { # a regular expression of grep -E
    incidents >"$WORK/incidents" && grep -Eq -- "$1" "$WORK/incidents"
}

# Fails unless an event of this type on this device gets into an incident, with these words about how it stands (a regular expression).
expect() { # type, device, standing
    until_true told " $1 on .*$2.*${3:-}" && return
    say "--- the log"
    log | grep -a '^MESSAGE=' || true
    say "--- the incidents"
    cat "$WORK/incidents" || true
    fail "no incident tells of $1 on $2${3:+ ($3)}"
}

# Prints the incidents so far.
tell() {
    say "--- $*"
    incidents
}

# A command that has to fail, because what it needs is broken.
must_fail() { fails "$@" || fail "this worked, and should not: $*"; }

fails() { ! "$@" >/dev/null 2>&1; }

# Loads scsi_debug with these parameters and sets DISKS: the names of its disks.
scsi_debug() {
    test ! -d /sys/module/scsi_debug || skip "scsi_debug is loaded already, for somebody else"
    modprobe -q -n scsi_debug || skip "this kernel has no module scsi_debug"
    at_end no_scsi_debug
    modprobe scsi_debug "$@" || fail "scsi_debug cannot be loaded with $*"
    udevadm settle
    until_true scsi_debug_disks || fail "scsi_debug made no disk"
    mapfile -t DISKS < <(scsi_debug_disks)
}

scsi_debug_disks() {
    local disk
    for disk in /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*:*/block/*; do
        test -d "$disk" || return 1
        say "${disk##*/}"
    done
}

# udev may still look at a disk.
no_scsi_debug() {
    test ! -d /sys/module/scsi_debug || until_true rmmod scsi_debug
}

# A SCSI disk that answers (`running`) or not (`offline`).
disk_is() { say "$2" >"/sys/block/$1/device/state"; }

# Makes a file of this size with a loop device over it, and sets LOOP.
loop() { # size
    local file
    file=$(mktemp "$WORK/loop.XXXXXX")
    truncate -s "$1" "$file"
    LOOP=$(losetup --find --show "$file")
    at_end "losetup --detach $LOOP"
}

# Maps a device as it is, and sets MAP. `broken` breaks it.
mapped() { # name, device
    dmsetup create "$1" --table "0 $(blockdev --getsz "$2") linear $2 0"
    at_end "until_true dmsetup remove $1"
    MAP=/dev/mapper/$1
}

# Every request to the map fails from now on. Those under way are not waited for: a file system would write what it has.
broken() { # name
    local size
    size=$(blockdev --getsz "/dev/mapper/$1")
    dmsetup suspend --noflush --nolockfs "$1"
    dmsetup load "$1" --table "0 $size error"
    dmsetup resume "$1"
}

# Mounts a device and sets MOUNT. `unmounted` takes it away before the end.
mounted() { # device, options of mount
    MOUNT=$(mktemp -d "$WORK/mount.XXXXXX")
    mount "${@:2}" "$1" "$MOUNT"
    at_end "unmounted $MOUNT"
}

unmounted() { # mount point
    # mountpoint(1) asks the file system, which may be dead.
    ! grep -q " $1 " /proc/mounts || until_true umount "$1"
}

# A command of LVM, on this device only and without what the machine's own configuration adds. dmeventd would stay.
lvm_on() { # device, command, arguments
    local only="devices { filter=[\"a|^$1\$|\", \"r|.*|\"] global_filter=[\"a|.*|\"] use_devicesfile=0 }"
    lvm "$2" --config "$only activation { monitoring=0 } backup { backup=0 archive=0 }" "${@:3}" >"$WORK/lvm" 2>&1 && return
    cat "$WORK/lvm" >&2
    return 1
}

# Makes a volume group on a device, and sets GROUP.
volume_group() { # device
    local folder
    GROUP=${NAME//-/_}
    for folder in /etc/lvm/archive /etc/lvm/backup; do
        test -d "$folder" || at_end "test ! -d $folder || rmdir $folder"
        # What udev starts for a group keeps a copy of it.
        at_end "rm -f $folder/${GROUP}_*.vg $folder/$GROUP"
    done
    at_end "until_true no_activation"
    at_end "until_true no_volume_group $1"
    lvm_on "$1" vgcreate --setautoactivation n "$GROUP" "$1"
}

# vgremove can fail on its way: udev looks at the same devices.
no_volume_group() { # device
    lvm_on "$1" vgremove --force --force --yes "$GROUP" || true
    ! lvm_on "$1" vgs "$GROUP"
}

# udev has a group activated, which fails where the group is gone already.
no_activation() {
    local unit=lvm-activate-$GROUP.service
    udevadm settle
    command -v systemctl || return 0
    ! systemctl is-active "$unit" || return 1
    systemctl reset-failed "$unit" || true
}
