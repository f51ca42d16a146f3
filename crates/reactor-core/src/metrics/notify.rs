//! Every family that is about notifications. A new metric is a new row here and in docs/metrics.md.

use super::daemon::{Fixed, Page, View, row};
use super::health::ReceiverHealth;
use super::text::Kind::{Counter, Gauge};
use super::text::Number;

const LABELS: &[&str] = &["receiver"];

pub(super) const ROWS: &[Fixed] = &[
    row(
        "storage_reactor_notify_up",
        Gauge,
        LABELS,
        "Whether a receiver of notifications took the last one: 0 while attempts fail",
        |v, page| each(v, page, |receiver| receiver.up.into()),
    ),
    row("storage_reactor_notify_waiting", Gauge, LABELS, "Notifications that wait for a receiver", |v, page| {
        each(v, page, |receiver| receiver.waiting.into());
    }),
    row("storage_reactor_notify_delivered_total", Counter, LABELS, "Notifications that have arrived", |v, page| {
        each(v, page, |receiver| receiver.delivered.into());
    }),
    row(
        "storage_reactor_notify_failed_attempts_total",
        Counter,
        LABELS,
        "Attempts to deliver a notification that failed",
        |v, page| each(v, page, |receiver| receiver.failed.into()),
    ),
    row(
        "storage_reactor_notify_dropped_total",
        Counter,
        LABELS,
        "Notifications that were given up: refused for good, too old or too many",
        |v, page| each(v, page, |receiver| receiver.dropped.into()),
    ),
    row(
        "storage_reactor_notify_disk_up",
        Gauge,
        &[],
        "Whether notifications that wait are kept on the disk; absent without receivers",
        |v, page| page.put_some(v.health.notify_disk_up),
    ),
];

fn each(view: &View<'_>, page: &mut Page<'_>, number: impl Fn(&ReceiverHealth) -> Number) {
    for receiver in &view.health.receivers {
        page.put(&[("receiver", &receiver.name)], number(receiver));
    }
}
