//! Btrfs. What stands in front of its lines has changed over the years, and letters of a state can stand behind the device.

use crate::catalogue::rule::rules;

rules! {
    of Btrfs;
    "btrfs-mounted" => FS_MOUNTED, "btrfs.mount"; No; [] {
        "" "BTRFS{?:} info (device {dev:kernel}{?: state {state:word}}): first mount of filesystem {uuid:uuid}" [
            "BTRFS info (device sda1): first mount of filesystem 0c7e0a4e-1f2d-4c3b-9a8e-7d6c5b4a3f21",
        ];
    }
    "btrfs-unmounted" => FS_UNMOUNTED, "btrfs.mount"; No; [] {
        "" "BTRFS{?:} info (device {dev:kernel}{?: state {state:word}}): last unmount of filesystem {uuid:uuid}" [
            "BTRFS info (device sda1): last unmount of filesystem 0c7e0a4e-1f2d-4c3b-9a8e-7d6c5b4a3f21",
        ];
    }
    "btrfs-device-errors" => BTRFS_DEV_STATS, "btrfs.dev-stats"; No; [] {
        "" "BTRFS{?:} {:error|info} (device {filesystem:kernel}{?: state {state:word}}): bdev {disk!:path} errs: wr {write:num}, rd {read:num}, flush {flush:num}, corrupt {corrupt:num}, gen {generation:num}" [
            "BTRFS error (device sda1): bdev /dev/sdb1 errs: wr 1, rd 0, flush 0, corrupt 0, gen 0",
            "BTRFS error (device sda1: state EA): bdev /dev/sdb1 errs: wr 7, rd 1, flush 1, corrupt 0, gen 0",
            "BTRFS: error (device sda1): bdev /dev/sdb1 errs: wr 1, rd 0, flush 0, corrupt 0, gen 0",
            "BTRFS info (device sda1): bdev /dev/sdb1 errs: wr 0, rd 3, flush 0, corrupt 0, gen 0",
        ];
    }
    "btrfs-checksum" => FS_CHECKSUM, "btrfs.csum"; No; [] {
        "" "BTRFS{?:} {:warning|info} (device {dev:kernel}{?: state {state:word}}): csum failed root {root:int} ino {inode:num} off {offset:num} csum 0x{csum:hex} expected csum 0x{wanted:hex}{? mirror {mirror:num}}" [
            "BTRFS warning (device sda1): csum failed root 5 ino 257 off 0 csum 0x98f94189 expected csum 0x94a3e2b0 mirror 1",
        ];
    }
    "btrfs-corruption" => FS_CORRUPTION, "btrfs.corruption"; No; [] {
        "" "BTRFS{?:} {:error|warning|critical} (device {dev:kernel}{?: state {state:word}}): parent transid verify failed on {?logical }{logical:num}{? mirror {mirror:num}} wanted {wanted:num} found {found:num}" [
            "BTRFS error (device sda1): parent transid verify failed on logical 3 mirror 1 wanted 10 found 8",
            "BTRFS error (device sda1): parent transid verify failed on 3 wanted 10 found 8",
        ];
        "" "BTRFS{?:} {:error|warning|critical} (device {dev:kernel}{?: state {state:word}}): checksum verify failed on {?logical }{logical:num}{? mirror {mirror:num}} wanted {wanted:word} found {found:word} level {level:num}" [
            "BTRFS warning (device sda1): checksum verify failed on logical 3 mirror 1 wanted 0x1a2b3c4d found 0x5e6f7a8b level 0",
        ];
        "" "BTRFS{?:} {:error|warning|critical} (device {dev:kernel}{?: state {state:word}}): bad tree block start, {?mirror {mirror:num} }want {wanted:num} have {have:num}" [
            "BTRFS error (device sda1): bad tree block start, mirror 1 want 1 have 0",
        ];
        "" "BTRFS{?:} critical (device {dev:kernel}{?: state {state:word}}): corrupt {what:leaf|node}{?: }{detail:text}" [
            "BTRFS critical (device sda1): corrupt leaf: root=5 block=30507008 slot=4, bad key order",
        ];
    }
    "btrfs-corrected" => FS_CORRECTED, "btrfs.corrected"; No; [] {
        "" "BTRFS{?:} info (device {dev:kernel}{?: state {state:word}}): read error corrected: ino {inode:num} off {offset:num} (dev {disk!:path} sector {sector:num})" [
            "BTRFS info (device sda1): read error corrected: ino 257 off 0 (dev /dev/sdb1 sector 1234)",
        ];
        "" "BTRFS{?:} {:error|info} (device {dev:kernel}{?: state {state:word}}): fixed up error at logical {logical:num} on dev {disk!:path}{? physical {physical:num}}" [
            "BTRFS error (device sda1): fixed up error at logical 4096 on dev /dev/sdb1",
            "BTRFS error (device sda1): fixed up error at logical 4096 on dev /dev/sdb1 physical 8192",
        ];
    }
    "btrfs-uncorrectable" => FS_UNCORRECTABLE, "btrfs.corrected"; No; [] {
        "" "BTRFS{?:} {:error|info} (device {dev:kernel}{?: state {state:word}}): unable to fixup (regular) error at logical {logical:num} on dev {disk!:path}{? physical {physical:num}}" [
            "BTRFS error (device sda1): unable to fixup (regular) error at logical 4096 on dev /dev/sdb1",
            "BTRFS error (device sda1): unable to fixup (regular) error at logical 4096 on dev /dev/sdb1 physical 8192",
        ];
    }
    "btrfs-error" => FS_ERROR, "btrfs.error"; No; [] {
        "" "BTRFS{?:} {:error|critical} (device {dev:kernel}{?: state {state:word}}) in {function:word}:{line:num}: errno={errno:int} {why:text}" [
            "BTRFS: error (device sda1: state A) in btrfs_commit_transaction:2494: errno=-5 IO failure (Error while writing out transaction)",
            "BTRFS error (device sda1) in btrfs_commit_transaction:2494: errno=-5 IO failure",
        ];
    }
    "btrfs-read-only" => FS_READ_ONLY, "btrfs.error"; No; [] {
        "" "BTRFS{?:} info (device {dev:kernel}{?: state {state:word}}): forced readonly" [
            "BTRFS info (device sda1: state E): forced readonly",
            "BTRFS info (device sda1): forced readonly",
        ];
    }
    "btrfs-missing" => BTRFS_DEV_MISSING, "btrfs.missing"; No; [] {
        "" "BTRFS{?:} {:warning|error} (device {dev:kernel}{?: state {state:word}}): devid {devid:num} uuid {uuid:uuid} is missing" [
            "BTRFS warning (device sda1): devid 2 uuid 0c7e0a4e-1f2d-4c3b-9a8e-7d6c5b4a3f21 is missing",
        ];
    }
    "btrfs-superblock" => FS_SB_WRITE_FAILED, "btrfs.superblock"; No; [] {
        "6.7-" "BTRFS{?:} {:warning|error} (device {dev:kernel}{?: state {state:word}}): lost super block write due to IO error on {disk!:path} ({errno:int})" [
            "BTRFS warning (device sda1): lost super block write due to IO error on /dev/sdb1 (-5)",
        ];
        "-6.6" "BTRFS{?:} {:warning|error} (device {dev:kernel}{?: state {state:word}}): lost page write due to IO error on {disk!:path}{? ({errno:int})}" [
            "BTRFS warning (device sda1): lost page write due to IO error on /dev/sdb1 (-5)",
        ];
    }
    "btrfs-scanned" => BTRFS_DEV_SCANNED, "btrfs.superblock"; No; [] {
        "" "BTRFS: device {?label {label:text} }{?fsid {uuid:uuid} }devid {devid:num} transid {transid:num} {disk:path} {?({:number}) }scanned by {by:text}" [
            "BTRFS: device fsid 0c7e0a4e-1f2d-4c3b-9a8e-7d6c5b4a3f21 devid 1 transid 9 /dev/sda1 scanned by mount (7)",
            "BTRFS: device fsid 0c7e0a4e-1f2d-4c3b-9a8e-7d6c5b4a3f21 devid 1 transid 9 /dev/sda1 (8:1) scanned by mount (7)",
            "BTRFS: device label data devid 1 transid 9 /dev/sda1 scanned by systemd-udevd (7)",
        ];
    }
}
