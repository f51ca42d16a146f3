//! Other file systems, and NFS.

use crate::catalogue::rule::rules;

rules! {
    "f2fs-read-only" => FS_READ_ONLY, "f2fs"; No; [] {
        "6.8-" "F2FS-fs ({dev:kernel}): Remounting filesystem read-only" ["F2FS-fs (sda1): Remounting filesystem read-only"];
    }
    "f2fs-corruption" => FS_CORRUPTION, "f2fs"; No; [] {
        "" "F2FS-fs ({dev:kernel}): Found FS corruption, run fsck to fix." ["F2FS-fs (sda1): Found FS corruption, run fsck to fix."];
        "" "F2FS-fs ({dev:kernel}): do_checkpoint failed err:{errno:int}, stop checkpoint" ["F2FS-fs (sda1): do_checkpoint failed err:-5, stop checkpoint"];
    }
    "fat-read-only" => FS_READ_ONLY, "fat"; No; [] {
        "" "FAT-fs ({dev:kernel}): Filesystem has been set read-only" ["FAT-fs (sda1): Filesystem has been set read-only"];
    }
    "nfs-not-responding" => NFS_NOT_RESPONDING, "nfs.not-responding"; No; [] {
        "" "{:nfs|lockd|rpcbind}: server {server:remote} not responding, {what:still trying|timed out}" [
            "nfs: server srv1 not responding, still trying",
            "nfs: server 10.0.0.1 not responding, timed out",
        ];
    }
    "nfs-ok" => NFS_OK, "nfs.ok"; No; [] {
        "" "{:nfs|lockd|rpcbind}: server {server:remote} OK" ["nfs: server srv1 OK"];
    }
    "nfs-locks-lost" => NFS_LOCKS_LOST, "nfs.locks"; No; [] {
        "" "NFS: {server:remote}: lost {count:num} locks" ["NFS: srv1: lost 3 locks"];
    }
    "nfs-state" => NFS_STATE_FAILED, "nfs.state"; No; [] {
        "" "NFS: state manager: {what:text} failed on NFSv4 server {server:remote} with error {errno:num}" [
            "NFS: state manager: lease expired failed on NFSv4 server srv1 with error 5",
            "NFS: state manager: check lease failed on NFSv4 server 10.0.0.1 with error 13",
        ];
    }
}
