//! The page that lists every family: what the tables of families say, and where the samples of each come from.

use super::families::{Described, catalogue};

/// Families about DRBD: the key of `drbdsetup events2` that they are made of, and when there are samples, if that is not always.
const KEYS: &[(&str, &str, &str)] = &[
    ("drbd_resource_role", "role", ""),
    ("drbd_resource_role_info", "role", ""),
    ("drbd_resource_suspended", "suspended", ""),
    (
        "drbd_resource_suspended_reason",
        "suspended",
        "one for each reason that holds; all of them with `all-families` and `enums`",
    ),
    ("drbd_resource_maypromote", "may_promote", ""),
    ("drbd_resource_promotionscore", "promotion_score", "not with DRBD 8.4"),
    ("drbd_resource_forceiofailures", "force-io-failures", "where DRBD says it"),
    ("drbd_resource_split_brains", "call helper ... helper:split-brain, or its line in the kernel's log", ""),
    ("drbd_resource_split_brains_possible", "connection, out-of-sync", ""),
    ("drbd_connection_state", "connection", ""),
    ("drbd_connection_state_info", "connection", ""),
    ("drbd_connection_peer_role", "role", ""),
    ("drbd_connection_peer_role_info", "role", ""),
    ("drbd_connection_congested", "congested", ""),
    ("drbd_connection_apinflight_bytes", "ap-in-flight", ""),
    ("drbd_connection_rsinflight_bytes", "rs-in-flight", ""),
    ("drbd_path_established", "established", ""),
    ("drbd_peerdevice_replication", "replication", ""),
    ("drbd_peerdevice_replication_info", "replication", ""),
    ("drbd_peerdevice_disk", "peer-disk", ""),
    ("drbd_peerdevice_disk_info", "peer-disk", ""),
    ("drbd_peerdevice_client", "peer-client", ""),
    ("drbd_peerdevice_outofsync_bytes", "out-of-sync", ""),
    ("drbd_peerdevice_sent_bytes", "sent", ""),
    ("drbd_peerdevice_received_bytes", "received", ""),
    ("drbd_peerdevice_pending", "pending", ""),
    ("drbd_peerdevice_unacked", "unacked", ""),
    (
        "drbd_peerdevice_resync_suspended_reason",
        "resync-suspended",
        "one for each reason that holds; all of them with `all-families` and `enums`",
    ),
    ("drbd_peerdevice_resync_done_ratio", "done", "while a resync or verify runs"),
    ("drbd_peerdevice_resync_eta_seconds", "eta", "while a resync or verify runs and DRBD knows its end"),
    ("drbd_peerdevice_resync_speed_bytes_per_second", "dbdt1", "while a resync or verify runs"),
    ("drbd_device_state", "disk", ""),
    ("drbd_device_state_info", "disk", ""),
    ("drbd_device_client", "client", ""),
    ("drbd_device_unintentionaldiskless", "disk, client", ""),
    ("drbd_device_quorum", "quorum", "not with DRBD 8.4"),
    ("drbd_device_open", "open", "drbd-utils 9.28 or newer"),
    ("drbd_device_size_bytes", "size", ""),
    ("drbd_device_read_bytes_total", "read", ""),
    ("drbd_device_written_bytes_total", "written", ""),
    ("drbd_device_alwrites_total", "al-writes", ""),
    ("drbd_device_bmwrites_total", "bm-writes", ""),
    ("drbd_device_upperpending", "upper-pending", ""),
    ("drbd_device_lowerpending", "lower-pending", ""),
    ("drbd_device_alsuspended", "al-suspended", ""),
    ("drbd_device_blocked", "blocked", "one for each layer that does; both with `all-families` and `enums`"),
];

/// When families about the daemon have samples, if that is not always.
const WHEN: &[(&str, &str)] = &[
    ("drbd_version", "the versions could be read"),
    ("storage_reactor_source_since_timestamp_seconds", "it has been up or down once"),
    ("storage_reactor_other_source_up", "the source is asked for in `[daemon]`"),
    ("storage_reactor_other_source_overruns_total", "the source is asked for in `[daemon]`"),
    ("storage_reactor_other_source_not_understood_total", "the source is asked for in `[daemon]`"),
    ("storage_reactor_uevents_total", "`uevents` of `[daemon]` is on"),
    ("storage_reactor_queue_dropped_total", "queues that drop; others make the sender wait"),
    ("storage_reactor_leftovers", "they were looked for"),
    ("storage_reactor_recorder_up", "`[recorder]` is on"),
    ("storage_reactor_recorder_written_total", "`[recorder]` is on"),
    ("storage_reactor_recorder_lost_total", "`[recorder]` is on"),
    ("storage_reactor_history_up", "`[history]` is on"),
    ("storage_reactor_history_written_total", "`[history]` is on"),
    ("storage_reactor_history_lost_total", "`[history]` is on"),
    ("storage_reactor_http_web_config_ok", "`web-config-file` is set"),
    ("storage_reactor_http_unauthorized_total", "`web-config-file` is set"),
    ("storage_reactor_http_certificate_expiry_timestamp_seconds", "it has `tls_server_config`"),
    ("storage_reactor_http_tls_handshakes_failed_total", "it has `tls_server_config`"),
    ("storage_reactor_systemd_up", "something needs systemd"),
];

/// The tables of docs/metrics-reference.md.
pub fn markdown() -> String {
    let (drbd, daemon): (Vec<_>, Vec<_>) = catalogue().into_iter().partition(|family| key(family.name).is_some());
    let mut page =
        "## DRBD\n\n| metric | type | labels | meaning | key | when |\n| --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
    for family in &drbd {
        let key = key(family.name).unwrap_or_default();
        page += &format!("{} {key} | {} |\n", row(family), when(family));
    }
    page += "\n## The daemon\n\n| metric | type | labels | meaning | when |\n| --- | --- | --- | --- | --- |\n";
    for family in &daemon {
        page += &format!("{} {} |\n", row(family), when(family));
    }
    page
}

fn key(name: &str) -> Option<&'static str> {
    KEYS.iter().find(|(family, ..)| *family == name).map(|(_, key, _)| *key)
}

fn row(family: &Described) -> String {
    let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
    let labels = if labels.is_empty() { "\u{2013}".to_owned() } else { labels.join(", ") };
    format!("| `{}` | {} | {labels} | {} |", family.name, family.kind.as_str(), family.help)
}

fn when(family: &Described) -> String {
    let settings = match (family.rare, family.only_with_enums) {
        (true, true) => "`all-families` and `enums`",
        (true, false) => "`all-families`",
        (false, true) => "`enums`",
        (false, false) => "",
    };
    let of_drbd = KEYS.iter().find(|(name, ..)| *name == family.name).map(|(.., when)| *when);
    let of_daemon = WHEN.iter().find(|(name, _)| *name == family.name).map(|(_, when)| *when);
    let more = of_drbd.or(of_daemon).unwrap_or_default();
    [settings, more].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_about_a_family_and_every_family_of_drbd_has_one() {
        let all = catalogue();
        for name in KEYS.iter().map(|(name, ..)| name).chain(WHEN.iter().map(|(name, _)| name)) {
            assert_eq!(all.iter().filter(|family| family.name == *name).count(), 1, "{name}");
        }
        for family in &all {
            let of_drbd = family.labels.first() == Some(&"name") && family.name.starts_with("drbd_");
            assert_eq!(key(family.name).is_some(), of_drbd, "{}", family.name);
            assert!(markdown().contains(&format!("| `{}` |", family.name)));
        }
    }
}
