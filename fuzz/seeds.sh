#!/bin/sh
# Fills fuzz/corpus from the recordings of real clusters and from the examples.
set -eu
cd "$(dirname "$0")"
top=..
mkdir -p corpus/events2 corpus/model corpus/configuration corpus/control corpus/recording corpus/options corpus/promoter corpus/condition corpus/agentx corpus/webconfig corpus/logs corpus/catalogue corpus/devices corpus/uevents corpus/opensvc

for file in "$top"/tests/recordings/drbd9/*/n?.events2 "$top"/tests/recordings/drbd84/*/n?.events2-ts-stat; do
    name=$(basename "$(dirname "$file")")-$(basename "$file")
    # Whole files are too long to be changed usefully: the beginning has the dump and the first story.
    head -n 60 "$file" >"corpus/model/$name"
    head -n 1 "$file" >"corpus/events2/$name"
    tail -n 1 "$file" >"corpus/events2/$name-last"
done
# One seed for each kind of line there is.
cat "$top"/tests/recordings/drbd9/*/n?.events2 | awk '{ kind = $1 "-" $2; if (!(kind in seen)) { seen[kind] = 1; print > ("corpus/events2/kind-" kind) } }'

cp "$top"/example/*.toml "$top"/dist/*.toml corpus/configuration/
find "$top/crates/reactor-config/tests" -name '*.toml' 2>/dev/null | while read -r file; do
    cp "$file" "corpus/configuration/$(echo "$file" | tr / -)"
done

cp "$top"/crates/reactor-config/tests/opensvc/*.env "$top"/crates/reactor-config/tests/opensvc/*.conf corpus/opensvc/

cp "$top"/tests/recordings/recorder/*.jsonl corpus/recording/

# The first two bytes are the form and the size of the pieces.
for file in "$top"/tests/recordings/kernel72/*; do
    case $file in
    *.kmsg) form=0 ;;
    *.json) form=2 ;;
    *.journal-all.txt) form=4 ;;
    *) continue ;;
    esac
    { printf "\\00$form\\100"; tail -n 20 "$file"; } >"corpus/logs/$(basename "$file")"
done
printf '\001\003__CURSOR=s=1\n_TRANSPORT=kernel\nMESSAGE\n\003\000\000\000\000\000\000\000a\nb\n\n' >corpus/logs/export
printf '\005\003Nov 29 20:00:01 n1 kernel: [   12.345678] a#012b\n' >corpus/logs/syslog
printf '\001\001S:disk/by-id/wwn-0x6001405aabb\nE:ID_FS_TYPE=ext4\nE:ID_FS_UUID=0c7e\n36 35 8:1 / /srv rw - ext4 /dev/sda1 rw\n/srv' >corpus/devices/udev

printf 'change@/devices/virtual/block/dm-3\0SUBSYSTEM=block\0DM_ACTION=PATH_FAILED\0DM_PATH=8:48\0DM_NR_VALID_PATHS=0\0DM_NAME=mpatha\0DEVNAME=dm-3\0' >corpus/uevents/path
printf 'change@/devices/pci0000:00/host6/target6:0:0/6:0:0:0\0SUBSYSTEM=scsi\0SDEV_UA=CAPACITY_DATA_HAS_CHANGED\0' >corpus/uevents/scsi
printf 'change@/devices/pci0000:00/nvme/nvme0\0SUBSYSTEM=nvme\0DEVNAME=nvme0\0NVME_AEN=0x020101\0' >corpus/uevents/nvme

n=0
for condition in 'role=Primary and disk=UpToDate and peers>=2' 'not (quorum or any done>=99.5)' "primary='n 1' or peer-role!=Primary" 'state=running' \
    'disk=UpTodat' '(role=Primary'; do
    n=$((n + 1))
    printf '%s' "$condition" >"corpus/condition/$n"
done

n=0
for call in \
    '{"method":"org.varlink.service.GetInfo"}' \
    '{"method":"io.storagereactor.Control.Status","parameters":{}}' \
    '{"method":"io.storagereactor.Control.Changes","parameters":{"detail":"state","last":10,"follow":true},"more":true}' \
    '{"method":"io.storagereactor.Control.Reload","parameters":{}}' \
    '{"method":"io.storagereactor.Control.Helper","parameters":{"helper":"fence-peer","object":"r0","env":{"A":"b"},"timeout_ms":1000}}'; do
    n=$((n + 1))
    printf '%s\0' "$call" >"corpus/control/call-$n"
done

# A good start of each kind: files, lower devices and options are there, systemd tells its units, and it runs.
printf '\000\000\000\017\007\000\001\007\000\001\007\000\001\007\000\001\007\000\001\013\003\007\000\001\013\007' >corpus/promoter/runs
printf '\000\002\000\017\007\000\001\007\000\001\007\000\001\007\000\001\007\000\001\013\003\007\000\001\000\004\001\007\000\001\013\006' >corpus/promoter/freezes
printf '\000\010\000\017\007\000\001\007\000\001\007\000\001\013\003\007\000\000\013\006\014\000\014\001\015\000\000\000' >corpus/promoter/shell

# A question, one for several values, and an answer.
printf '\001\006\000\000\001\000\000\000\002\000\000\000\003\000\000\000\014\000\000\000\001\002\001\000\001\000\000\000\000\000\000\000' >corpus/agentx/getnext
printf '\001\007\020\000\000\000\000\001\000\000\000\002\000\000\000\003\000\000\000\014\000\000\000\005\001\004\000\000\000\000\000\001' >corpus/agentx/getbulk
printf '\001\022\020\000\000\000\000\001\000\000\000\002\000\000\000\003\000\000\000\010\000\000\000\000\000\000\000\000' >corpus/agentx/response
printf 'tls_server_config:\n  cert_file: a\n  key_file: b\n  client_auth_type: RequestClientCert\nbasic_auth_users:\n  alice: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG\n' > corpus/webconfig/all.yml

# A real kernel's messages, and lines of every wording.
n=0
cut -d';' -f2- "$top/tests/recordings/kernel72/scsi_medium.kmsg" | tail -n 60 | while read -r line; do
    n=$((n + 1))
    printf '%s' "$line" >"corpus/catalogue/kernel-$n"
done
n=0
sed -n 's/^    //p' "$top/docs/storage-events-catalogue.md" | while read -r line; do
    n=$((n + 1))
    printf '%s' "$line" >"corpus/catalogue/sample-$n"
done
