//! Merges the fields of one line into an object. A field that the line does not have stays as it is.
//!
//! Each function returns the state before, if the line changed it: the copy is made on the first difference, so that a line that
//! only repeats the state (most do) costs comparisons and no copy.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::drbd::events2::{ConnectionFields, DeviceFields, PathFields, PeerDeviceFields, ResourceFields, Unknown};
use crate::drbd::types::{Blocked, ConnectionState, DiskState, ReplicationState, ResyncSuspended, Role, Suspended};
use crate::ids::{ConnName, Minor};

use super::objects::{
    ConnectionInfo, ConnectionStats, DeviceState, DeviceStats, Extra, PathState, PeerDevice, PeerDeviceState, Progress,
    ResourceState,
};
use super::reports::Reports;

/// Assigns `$new` to `$state.$field` if it differs, after saving the whole state once in `$old`.
macro_rules! put {
    ($old:ident, $state:ident.$field:ident, $new:expr) => {{
        let new = $new;
        if $state.$field != new {
            $old.get_or_insert_with(|| $state.clone());
            $state.$field = new;
        }
    }};
}

/// The same for one of DRBD's words: compared as text, so that nothing is built for a word that did not change.
macro_rules! put_word {
    ($old:ident, $state:ident.$field:ident, $word:expr, $type:ident, $key:literal, $reports:ident) => {
        if let Some(word) = $word
            && word != $state.$field.as_str()
        {
            $old.get_or_insert_with(|| $state.clone());
            $state.$field = $type::from_word(word);
            if !$state.$field.is_known() {
                $reports.unknown_word($key, word);
            }
        }
    };
}

/// The same for a set of words.
macro_rules! put_set {
    ($old:ident, $state:ident.$field:ident, $list:expr, $type:ident, $key:literal, $reports:ident) => {
        if let Some(list) = $list {
            let new = $type::from_word(list);
            if $state.$field != new {
                $old.get_or_insert_with(|| $state.clone());
                if let Some(word) = new.unknown() {
                    $reports.unknown_word($key, word);
                }
                $state.$field = new;
            }
        }
    };
}

/// The same for shared text.
macro_rules! put_text {
    ($old:ident, $state:ident.$field:ident, $text:expr) => {
        if let Some(text) = $text
            && $state.$field.as_deref() != Some(text)
        {
            $old.get_or_insert_with(|| $state.clone());
            $state.$field = Some(Arc::from(text));
        }
    };
}

/// Takes over numbers that the line has; whether any differed.
macro_rules! merge {
    ($stats:ident, $new:expr, $($field:ident),+) => {{
        let mut moved = false;
        $(
            if $new.$field.is_some() && $stats.$field != $new.$field {
                $stats.$field = $new.$field;
                moved = true;
            }
        )+
        moved
    }};
}

pub(super) fn resource(
    state: &mut ResourceState,
    extra: &mut Extra,
    f: &ResourceFields<'_>,
    reports: &mut Reports,
) -> Option<ResourceState> {
    let mut old = None;
    put_word!(old, state.role, f.role, Role, "role", reports);
    put_set!(old, state.suspended, f.suspended, Suspended, "suspended", reports);
    put_text!(old, state.write_ordering, f.write_ordering);
    if let Some(may_promote) = f.may_promote {
        put!(old, state.may_promote, may_promote);
    }
    if f.promotion_score.is_some() {
        put!(old, state.promotion_score, f.promotion_score);
    }
    if f.force_io_failures.is_some() {
        put!(old, state.force_io_failures, f.force_io_failures);
    }
    keep_unknown("resource", extra, &f.unknown, reports);
    old
}

pub(super) fn device(
    state: &mut DeviceState,
    extra: &mut Extra,
    f: &DeviceFields<'_>,
    reports: &mut Reports,
) -> Option<DeviceState> {
    let mut old = None;
    if let Some(minor) = f.minor {
        put!(old, state.minor, Some(Minor(minor)));
    }
    put_text!(old, state.backing_dev, f.backing_dev);
    put_word!(old, state.disk, f.disk, DiskState, "disk", reports);
    if f.client.is_some() {
        put!(old, state.client, f.client);
    }
    if f.quorum.is_some() {
        put!(old, state.quorum, f.quorum);
    }
    if f.size_kib.is_some() {
        put!(old, state.size_kib, f.size_kib);
    }
    if f.open.is_some() {
        put!(old, state.open, f.open);
    }
    keep_unknown("device", extra, &f.unknown, reports);
    old
}

pub(super) fn device_stats(stats: &mut DeviceStats, f: &DeviceFields<'_>, reports: &mut Reports) -> bool {
    let mut moved =
        merge!(stats, f.stats, read_kib, written_kib, al_writes, bm_writes, upper_pending, lower_pending, al_suspended);
    if let Some(list) = f.blocked {
        let blocked = Blocked::from_word(list);
        if stats.blocked != blocked {
            if let Some(word) = blocked.unknown() {
                reports.unknown_word("blocked", word);
            }
            stats.blocked = blocked;
            moved = true;
        }
    }
    moved
}

pub(super) fn connection(
    state: &mut ConnectionInfo,
    extra: &mut Extra,
    f: &ConnectionFields<'_>,
    reports: &mut Reports,
) -> Option<ConnectionInfo> {
    let mut old = None;
    if let Some(name) = f.conn_name
        && state.conn_name.as_ref().is_none_or(|known| known.as_str() != name)
    {
        put!(old, state.conn_name, Some(ConnName::new(name)));
    }
    put_word!(old, state.connection, f.connection, ConnectionState, "connection", reports);
    put_word!(old, state.peer_role, f.role, Role, "role", reports);
    if f.congested.is_some() {
        put!(old, state.congested, f.congested);
    }
    keep_unknown("connection", extra, &f.unknown, reports);
    old
}

pub(super) fn connection_stats(stats: &mut ConnectionStats, f: &ConnectionFields<'_>) -> bool {
    merge!(stats, f.stats, ap_in_flight_sectors, rs_in_flight_sectors)
}

pub(super) fn peer_device(
    state: &mut PeerDeviceState,
    extra: &mut Extra,
    f: &PeerDeviceFields<'_>,
    reports: &mut Reports,
) -> Option<PeerDeviceState> {
    let mut old = None;
    put_word!(old, state.replication, f.replication, ReplicationState, "replication", reports);
    put_word!(old, state.peer_disk, f.peer_disk, DiskState, "peer-disk", reports);
    if f.peer_client.is_some() {
        put!(old, state.peer_client, f.peer_client);
    }
    put_set!(old, state.resync_suspended, f.resync_suspended, ResyncSuspended, "resync-suspended", reports);
    keep_unknown("peer-device", extra, &f.unknown, reports);
    old
}

pub(super) fn peer_device_stats(device: &mut PeerDevice, f: &PeerDeviceFields<'_>) -> bool {
    let stats = &mut device.stats;
    let moved = merge!(stats, f.stats, received_kib, sent_kib, out_of_sync_kib, pending, unacked);
    let says_progress =
        f.done_percent.is_some() || f.eta_s.is_some() || f.speed_mib_s.is_some() || !f.progress.is_empty();
    if !says_progress {
        // A full line without these keys means that no resync or verify runs; they have no line of their own to say so.
        let ended = device.progress.is_some() && f.replication.is_some();
        if ended {
            device.progress = None;
        }
        return moved || ended;
    }
    let mut details = None;
    for (key, value) in &f.progress {
        keep(&mut details, key, value);
    }
    let new = Progress { done_percent: f.done_percent, eta_s: f.eta_s, speed_mib_s: f.speed_mib_s, details };
    let differs = device.progress.as_ref() != Some(&new);
    if differs {
        device.progress = Some(new);
    }
    moved || differs
}

pub(super) fn path(
    state: &mut PathState,
    extra: &mut Extra,
    f: &PathFields<'_>,
    reports: &mut Reports,
) -> Option<PathState> {
    let mut old = None;
    if f.established.is_some() {
        put!(old, state.established, f.established);
    }
    keep_unknown("path", extra, &f.unknown, reports);
    old
}

/// How many unknown keys one object keeps.
const MAX_EXTRA: usize = 32;

fn keep_unknown(object: &str, extra: &mut Extra, unknown: &Unknown<'_>, reports: &mut Reports) {
    for (key, value) in unknown {
        reports.unknown_key(object, key, value);
        keep(extra, key, value);
    }
}

fn keep(extra: &mut Extra, key: &str, value: &str) {
    if let Some(known) = extra
        && (known.get(key).is_some_and(|old| **old == *value) || (known.len() >= MAX_EXTRA && !known.contains_key(key)))
    {
        return;
    }
    let map: &mut BTreeMap<_, _> = Arc::make_mut(extra.get_or_insert_default());
    map.insert(key.into(), value.into());
}
