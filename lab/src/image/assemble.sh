# Makes the image: FOLDER TAR IMAGE SIZE. Runs as root, or as root of a user namespace.
# FOLDER has overlay/ (goes into the root as it is) and customise.sh.
set -eu
folder=$1 tar=$2 image=$3 size=$4
root=$folder/root
trap 'rm -rf "$root"' EXIT
mkdir -m 755 "$root"
# A namespace may not make device nodes, and a node's kernel makes its own.
tar --extract --file "$tar" --directory "$root" --numeric-owner --preserve-permissions --exclude='./dev/*' || exit 73
: >"$root/dev/null"
chmod 666 "$root/dev/null"
cp --recursive --no-dereference --preserve=mode "$folder/overlay/." "$root/"
DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 chroot "$root" /bin/sh <"$folder/customise.sh" || exit $?
rm -f "$root/dev/null"
truncate --size "$size" "$image"
mke2fs -q -t ext4 -J size=16 -E lazy_itable_init=1,lazy_journal_init=1 -L labroot -d "$root" "$image" || exit 74
# Every node has its own copy of what it changes.
chmod 444 "$image"
