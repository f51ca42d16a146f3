//! What kind of section it is, by the word before its `#`.

/// The kinds. Those that name a driver of OpenSVC's are told apart by their `type`, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// `[DEFAULT]`: what is of the service, and defaults of other sections.
    Default,
    /// `[env]`: what references name.
    Env,
    /// `[drbd#0]` of 1.x.
    Drbd,
    /// `[vg#0]` of 1.x.
    Vg,
    /// `[disk#0] type = drbd` and others, since 1.8.
    Disk,
    Fs,
    Ip,
    /// `[container#0]`; `[vz]` and `[lxc]`, whose type is their name.
    Container(Option<&'static str>),
    App,
    Sync,
    /// `[subset#fs:g1]`.
    Subset,
    /// A class of OpenSVC's that has no counterpart here, and why.
    Other(&'static str),
    /// Nobody knows it.
    Unknown,
}

/// Classes that have no counterpart, and why.
const OTHERS: &[(&[&str], &str)] = &[
    (&["hb"], "heartbeats: DRBD's own connections and its quorum say which nodes are there"),
    (&["stonith"], "fencing is DRBD's: `fencing` and a fence-peer handler in its configuration"),
    (&["labels", "data"], "labels mean nothing here"),
    (&["share", "nfs"], "shares: name nfs-server.service, or an agent such as ocf:heartbeat:exportfs, in `start`"),
    (&["volume"], "volumes are OpenSVC's pools: create them yourself, and name the file system in `start`"),
    (&["task"], "tasks: a systemd timer, named in `start`, runs where the service runs"),
    (&["zpool", "pool"], "ZFS pools: name an agent such as ocf:heartbeat:ZFS in `start`"),
    (
        &["loop", "vmdg", "vdisk", "rados", "scsi", "scsireserv", "raw"],
        "this kind of disk: write a unit for it, and name it in `start`",
    ),
    (
        &["expose", "vhost", "route", "hash_policy", "certificate", "secret", "cfg", "sec", "usr"],
        "gateways and stores of OpenSVC's cluster have no counterpart",
    ),
    (
        &["array", "switch", "backup", "cluster", "listener", "node", "arbitrator", "pkg", "quorum"],
        "this belongs to a configuration of OpenSVC's nodes, not of a service",
    ),
];

/// The kind of a section; its name in small letters.
pub(super) fn class(folded: &str) -> Class {
    let word = folded.split_once('#').map_or(folded, |(word, _)| word).trim();
    match word {
        "default" => Class::Default,
        "env" => Class::Env,
        "drbd" => Class::Drbd,
        "vg" => Class::Vg,
        "disk" => Class::Disk,
        "fs" => Class::Fs,
        "ip" => Class::Ip,
        "container" => Class::Container(None),
        "vz" => Class::Container(Some("vz")),
        "lxc" => Class::Container(Some("lxc")),
        "app" => Class::App,
        "sync" | "rsync" => Class::Sync,
        "subset" => Class::Subset,
        word => {
            OTHERS.iter().find(|(words, _)| words.contains(&word)).map_or(Class::Unknown, |(_, why)| Class::Other(why))
        }
    }
}

/// What follows the `#`: the number or the name of a resource.
pub(super) fn index(folded: &str) -> Option<&str> {
    folded.split_once('#').map(|(_, index)| index.trim())
}
