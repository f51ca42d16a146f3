//! Every family that is about promoted resources and the way to systemd. A new metric is a new row here and in docs/metrics.md.
//! The counters of the promoter (starts, stops, ...) are told by the plugin itself.

use super::daemon::{Fixed, Page, View, row};
use super::health::PromotedHealth;
use super::text::Kind::Gauge;
use super::text::Number;

pub(super) const ROWS: &[Fixed] = &[
    row(
        "storage_reactor_systemd_up",
        Gauge,
        &[],
        "Whether systemd is connected, so that what is known of units is the present; absent if nothing needs it",
        |v, page| page.put_some(v.health.systemd_up),
    ),
    row(
        "storage_reactor_actions_pending",
        Gauge,
        &[],
        "Actions that were asked for and whose outcome has not come back",
        |v, page| page.put(&[], v.health.actions_pending),
    ),
    row(
        "storage_reactor_promoter_state_info",
        Gauge,
        &["name", "state"],
        "What holds of a promoted resource on this node: always 1, the state is the label",
        |v, page| {
            for promoted in &v.health.promoted {
                page.put(&[("name", &promoted.name), ("state", promoted.state)], true);
            }
        },
    ),
    row(
        "storage_reactor_promoter_state_since_timestamp_seconds",
        Gauge,
        &["name"],
        "Since when a promoted resource is in its state, in seconds since 1970",
        |v, page| {
            each(v, page, |promoted| promoted.since_s.into());
        },
    ),
    row(
        "storage_reactor_promoter_blocked",
        Gauge,
        &["name"],
        "Whether a resource is not started here because its services failed too often",
        |v, page| {
            each(v, page, |promoted| (promoted.state == "blocked").into());
        },
    ),
    row("storage_reactor_promoter_held", Gauge, &["name"], "Whether an operator holds a resource", |v, page| {
        each(v, page, |promoted| promoted.held.into());
    }),
    row(
        "storage_reactor_promoter_recent_failures",
        Gauge,
        &["name"],
        "Failures of the services of a resource on this node within its failure window",
        |v, page| {
            each(v, page, |promoted| promoted.failures.into());
        },
    ),
    row(
        "storage_reactor_promoter_failed_units",
        Gauge,
        &["name"],
        "Units of a resource that have failed",
        |v, page| {
            each(v, page, |promoted| promoted.failed_units.into());
        },
    ),
    row(
        "storage_reactor_promoter_standalone_links",
        Gauge,
        &["name"],
        "Connections of a promoted resource that are StandAlone: nothing but an adjust connects them again",
        |v, page| {
            each(v, page, |promoted| promoted.standalone_links.into());
        },
    ),
    row(
        "storage_reactor_promoter_io_hangs",
        Gauge,
        &["name"],
        "Whether this node is Primary and I/O has been suspended, blocked or between two states for longer than 10 seconds",
        |v, page| {
            each(v, page, |promoted| promoted.io_hangs.into());
        },
    ),
    row(
        "storage_reactor_promoter_runs_nowhere",
        Gauge,
        &["name"],
        "Whether nobody has been Primary for longer than 60 seconds, as far as this node can be sure of it",
        |v, page| {
            each(v, page, |promoted| promoted.runs_nowhere.into());
        },
    ),
    row(
        "storage_reactor_promoter_left_behind",
        Gauge,
        &["name"],
        "Whether units of a resource are up for longer than 10 seconds although its target is down and this node is Secondary",
        |v, page| {
            each(v, page, |promoted| promoted.left_behind.into());
        },
    ),
    row(
        "storage_reactor_promoter_outside_target",
        Gauge,
        &["name"],
        "Whether something else than the promoter has started units of a resource",
        |v, page| {
            each(v, page, |promoted| promoted.outside_target.into());
        },
    ),
    row(
        "storage_reactor_promoter_warnings",
        Gauge,
        &["name"],
        "What a person should look at, as reactorctl status shows it",
        |v, page| {
            each(v, page, |promoted| promoted.warnings.into());
        },
    ),
];

fn each(view: &View<'_>, page: &mut Page<'_>, number: impl Fn(&PromotedHealth) -> Number) {
    for promoted in &view.health.promoted {
        page.put(&[("name", &promoted.name)], number(promoted));
    }
}
