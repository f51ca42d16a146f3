//! Why a key that nobody took is dropped.

use super::class::{Class, class};
use super::ini::Key;

/// Names of keys, or how they begin (`pre_*`), and why they are dropped.
const KNOWN: &[(&[&str], &str)] = &[
    (
        &["pre_*", "post_*", "blocking_*"],
        "a command around a step: write it into a unit, and name that unit before or after the step",
    ),
    (
        &["start_requires", "stop_requires", "*_requires", "parents", "children", "slaves", "slave", "slave_*"],
        "a condition on other resources or services: `After=` and `Requires=` of units say it",
    ),
    (
        &[
            "placement",
            "affinity",
            "hard_affinity",
            "soft_affinity",
            "anti_affinity",
            "hard_anti_affinity",
            "soft_anti_affinity",
            "constraints",
            "priority",
        ],
        "placement over several services: not here",
    ),
    (
        &[
            "schedule",
            "*_schedule",
            "sync_interval",
            "sync_days",
            "sync_period",
            "sync_max_delay",
            "sync_min_delay",
            "mon_schedule",
        ],
        "a schedule: units and the daemon watch without one",
    ),
    (
        &[
            "size",
            "vg",
            "pvs",
            "provision",
            "unprovision",
            "shared",
            "snap_size",
            "mkfs_opt",
            "*_provision",
            "create_options",
            "pv",
            "addr",
            "port",
            "network",
            "max_peers",
            "template",
            "keep_alive",
            "pool",
            "access",
            "format",
        ],
        "it is for provisioning: DRBD, LVM and file systems are made beforehand",
    ),
    (
        &[
            "app",
            "comment",
            "env",
            "service_type",
            "svc_env",
            "id",
            "pkg_name",
            "kind",
            "label",
            "presnap_trigger",
            "postsnap_trigger",
            "info",
            "log_outputs",
            "lock_timeout",
            "stat_timeout",
            "bwlimit_schedule",
            "cgroup*",
            "cpu_*",
            "cpus",
            "mem_*",
            "mems",
            "blkio_*",
            "pids_*",
            "no_preempt_abort",
            "pg_*",
            "block_weight",
        ],
        "for OpenSVC's own display, inventory or limits",
    ),
    (&["aws*", "secrets_environment", "configs_environment", "install"], "values from OpenSVC's stores: not here"),
    (&["flex_*", "autostart_nodes", "anti_flex*", "min_nodes", "max_nodes"], "one node runs the service, not several"),
    (
        &["status_log", "stop_on_error", "kill", "script_*", "status_*", "show_disabled", "nostatus"],
        "how OpenSVC shows or ends it",
    ),
    (&["rollback"], "what a start that fails has started is always stopped again"),
    (
        &[
            "optional",
            "monitor",
            "restart",
            "restart_delay",
            "tags",
            "subset",
            "standby",
            "always_on",
            "disable",
            "encap",
            "timeout",
            "start_timeout",
            "stop_timeout",
            "optional_on",
            "monitor_on",
            "disable_on",
        ],
        "it has no meaning for this section",
    ),
    (&["check"], "the state of its unit is watched; give a health check to the unit itself"),
    (
        &[
            "docker_*",
            "container_*",
            "node_*",
            "push_*",
            "resinfo_*",
            "monitor_*",
            "stonith*",
            "run_*",
            "comp_*",
            "compliance_*",
        ],
        "how OpenSVC's own agent runs",
    ),
];

/// The reason; `is_for_us` is whether its scope means `node`.
pub(super) fn reason(section: &str, key: &Key, is_for_us: bool, node: &str) -> String {
    if !is_for_us {
        let scope = key.scope.as_deref().unwrap_or_default();
        return format!("it is for {scope}, and not for {node}");
    }
    match class(section) {
        Class::Other(why) => return why.to_owned(),
        Class::Unknown => return format!("[{section}] is no kind of section that is known"),
        Class::Env => return "no value that was taken refers to it".to_owned(),
        Class::Container(_) if CONTAINER.contains(&key.name.as_str()) => {
            return "an option of the container: podman and docker take it in `run_opts` of their agents, others in their own configuration".to_owned();
        }
        Class::Ip if IP.contains(&key.name.as_str()) => {
            return "routes and names are a matter of the network's configuration".to_owned();
        }
        Class::Sync if key.name == "options" || key.name == "reset_options" => {
            return "options of rsync: files are copied whole here".to_owned();
        }
        Class::Default
        | Class::Drbd
        | Class::Vg
        | Class::Disk
        | Class::Fs
        | Class::Ip
        | Class::Container(_)
        | Class::App
        | Class::Sync
        | Class::Subset => {}
    }
    known(&key.name).map_or_else(|| "not known".to_owned(), str::to_owned)
}

/// Whether a key is one that is dropped by its name.
pub(super) fn is_known(name: &str) -> bool {
    known(name).is_some()
}

fn known(name: &str) -> Option<&'static str> {
    KNOWN.iter().find(|(names, _)| names.iter().any(|pattern| is_named(name, pattern))).map(|(_, why)| *why)
}

/// Options of a container.
const CONTAINER: &[&str] = &[
    "hostname",
    "netns",
    "environment",
    "devices",
    "rm",
    "interactive",
    "tty",
    "privileged",
    "entrypoint",
    "detach",
    "pidns",
    "ipcns",
    "utsns",
    "userns",
    "image_pull_policy",
    "registry_creds",
    "guestos",
    "rootfs",
    "start_options",
    "dns_search",
];

/// What else an address had.
const IP: &[&str] = &[
    "gateway",
    "network",
    "alias",
    "del_net_route",
    "check_carrier",
    "dns_name_suffix",
    "dns_update",
    "wait_dns",
    "netns",
    "container_rid",
    "nsdev",
    "macaddr",
    "mode",
];

/// Whether a name is `pattern`, which may end or begin with `*`.
fn is_named(name: &str, pattern: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => name.ends_with(end),
        (None, Some(begin)) => name.starts_with(begin),
        (None, None) => name == pattern,
    }
}
