//! Every family that is about the daemon: what stands before and behind the resources. A new metric is a new row here and in
//! docs/metrics.md.

use std::collections::BTreeMap;

use super::families::Described;
use super::health::{Health, HistoryHealth, QueueHealth, RecorderHealth};
use super::text::Kind::{self, Counter, Gauge, Summary};
use super::text::{self, Number};
use super::{notify, promoter};

/// A family of samples that are not about a resource.
pub(super) struct Fixed {
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
    write: fn(&View<'_>, &mut Page<'_>),
}

/// What the samples are taken from.
pub(super) struct View<'a> {
    pub(super) health: &'a Health,
    resources: usize,
}

/// Where the samples of one family go. Its header is written with the first of them.
pub(super) struct Page<'a> {
    out: &'a mut Vec<u8>,
    name: &'a str,
    kind: Kind,
    help: &'a str,
    begun: bool,
}

impl Page<'_> {
    pub(super) fn put(&mut self, labels: &[(&str, &str)], number: impl Into<Number>) {
        self.put_as("", labels, number);
    }

    fn put_as(&mut self, suffix: &str, labels: &[(&str, &str)], number: impl Into<Number>) {
        if !std::mem::replace(&mut self.begun, true) {
            text::header(self.out, self.name, self.kind, self.help);
        }
        self.out.extend_from_slice(self.name.as_bytes());
        self.out.extend_from_slice(suffix.as_bytes());
        text::labels(self.out, labels);
        text::value(self.out, number.into());
    }

    pub(super) fn put_some(&mut self, number: Option<impl Into<Number>>) {
        if let Some(number) = number {
            self.put(&[], number);
        }
    }
}

impl Fixed {
    pub(super) fn described(&self) -> Described {
        Described {
            name: self.name,
            kind: self.kind,
            labels: self.labels.to_vec(),
            help: self.help,
            only_with_enums: false,
            rare: false,
        }
    }
}

pub(super) const fn row(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
    write: fn(&View<'_>, &mut Page<'_>),
) -> Fixed {
    Fixed { name, kind, labels, help, write }
}

pub(super) const HEAD: &[Fixed] = &[
    row("drbdreactor_up", Gauge, &[], "Whether the daemon runs: always 1", |_, page| page.put(&[], true)),
    row(
        "drbd_version",
        Gauge,
        &["kmod", "utils"],
        "Versions of the DRBD kernel module and of drbd-utils",
        |v, page| {
            if let Some(drbd) = &v.health.drbd {
                page.put(&[("kmod", &drbd.kmod), ("utils", &drbd.utils)], true);
            }
        },
    ),
    row("drbd_resource_resources", Gauge, &[], "How many resources there are", |v, page| {
        page.put(&[], v.resources as u64);
    }),
];

pub(super) const TAIL: &[Fixed] = &[
    row("storage_reactor_build_info", Gauge, &["version"], "Version of the daemon", |v, page| {
        page.put(&[("version", &v.health.version)], true);
    }),
    row(
        "storage_reactor_start_time_seconds",
        Gauge,
        &[],
        "When the daemon started, in seconds since 1970",
        |v, page| {
            page.put(&[], v.health.started_s);
        },
    ),
    row(
        "storage_reactor_source_up",
        Gauge,
        &[],
        "Whether DRBD events come in: if not, all drbd metrics are the last that was known",
        |v, page| page.put(&[], v.health.source.up),
    ),
    row(
        "storage_reactor_source_since_timestamp_seconds",
        Gauge,
        &[],
        "Since when the source of DRBD events is up or down, in seconds since 1970",
        |v, page| page.put_some(v.health.source.since_s),
    ),
    row(
        "storage_reactor_source_restarts_total",
        Counter,
        &[],
        "How often the source of DRBD events was started again",
        |v, page| page.put(&[], v.health.source.restarts),
    ),
    row(
        "storage_reactor_source_hung_total",
        Counter,
        &[],
        "How often it was ended because it hung before its picture was complete",
        |v, page| page.put(&[], v.health.source.hung),
    ),
    row("storage_reactor_lines_total", Counter, &[], "Lines read from the source", |v, page| {
        page.put(&[], v.health.input.lines);
    }),
    row(
        "storage_reactor_other_source_up",
        Gauge,
        &["source"],
        "1 if this source, which is not DRBD's, is up",
        |v, page| {
            for source in &v.health.sources {
                page.put(&[("source", source.name)], u64::from(source.up));
            }
        },
    ),
    row(
        "storage_reactor_other_source_overruns_total",
        Counter,
        &["source"],
        "How often this source lost something because it could not keep up",
        |v, page| {
            for source in &v.health.sources {
                page.put(&[("source", source.name)], source.overruns);
            }
        },
    ),
    row(
        "storage_reactor_other_source_not_understood_total",
        Counter,
        &["source"],
        "What this source said that could not be understood",
        |v, page| {
            for source in &v.health.sources {
                page.put(&[("source", source.name)], source.not_understood);
            }
        },
    ),
    row("storage_reactor_uevents_total", Counter, &["subsystem", "action"], "Uevents of the kernel", |v, page| {
        for (subsystem, action, count) in &v.health.uevents {
            page.put(&[("subsystem", subsystem), ("action", action)], *count);
        }
    }),
    row("storage_reactor_unparsed_lines_total", Counter, &[], "Lines that could not be understood", |v, page| {
        page.put(&[], v.health.input.unparsed);
    }),
    row(
        "storage_reactor_unknown_words_total",
        Counter,
        &[],
        "Words and keys of DRBD that this version does not know, each time they came",
        |v, page| page.put(&[], v.health.input.unknown_words),
    ),
    row(
        "storage_reactor_orphan_events_total",
        Counter,
        &[],
        "Events about a part of something that is not known",
        |v, page| page.put(&[], v.health.input.orphans),
    ),
    row("storage_reactor_events_total", Counter, &[], "Events applied to the picture of DRBD", |v, page| {
        page.put(&[], v.health.input.events);
    }),
    row("storage_reactor_bursts_total", Counter, &[], "Bursts of events: one per state change of DRBD", |v, page| {
        page.put(&[], v.health.input.bursts);
    }),
    row("storage_reactor_changes_total", Counter, &[], "Changes of objects that plugins could hear of", |v, page| {
        page.put(&[], v.health.input.changes);
    }),
    row("storage_reactor_actions_total", Counter, &[], "Actions that plugins asked for", |v, page| {
        page.put(&[], v.health.input.actions);
    }),
    row(
        "storage_reactor_model_violations_total",
        Counter,
        &[],
        "Contradictions in the picture of DRBD: anything but 0 is a bug",
        |v, page| page.put(&[], v.health.input.violations),
    ),
    row(
        "storage_reactor_loop_events_total",
        Counter,
        &["event"],
        "Events that the loop of the daemon has handled: what keeps it busy",
        |v, page| {
            for (event, count) in &v.health.loop_events {
                page.put(&[("event", event)], *count);
            }
        },
    ),
    row("storage_reactor_queue_depth", Gauge, &["queue"], "What is in a queue of the daemon", |v, page| {
        queues(v, page, |queue| queue.depth);
    }),
    row("storage_reactor_queue_limit", Gauge, &["queue"], "How much fits in a queue of the daemon", |v, page| {
        queues(v, page, |queue| Some(queue.limit));
    }),
    row(
        "storage_reactor_queue_dropped_total",
        Counter,
        &["queue"],
        "What was dropped because a queue was full",
        |v, page| queues(v, page, |queue| queue.dropped),
    ),
    row(
        "storage_reactor_config_ok",
        Gauge,
        &[],
        "Whether the last reload took everything that the files say",
        |v, page| page.put(&[], v.health.config.ok),
    ),
    row(
        "storage_reactor_config_last_reload_timestamp_seconds",
        Gauge,
        &[],
        "When the configuration was read last, in seconds since 1970",
        |v, page| page.put_some(v.health.config.last_reload_s),
    ),
    row("storage_reactor_config_findings", Gauge, &["severity"], "What is wrong in the configuration", |v, page| {
        page.put(&[("severity", "error")], v.health.config.errors);
        page.put(&[("severity", "warning")], v.health.config.warnings);
    }),
    row(
        "storage_reactor_config_drifted_files",
        Gauge,
        &[],
        "Configuration files that differ from what runs",
        |v, page| page.put_some(v.health.config.drifted_files),
    ),
    row("storage_reactor_control_up", Gauge, &[], "Whether there is a control socket", |v, page| {
        page.put_some(v.health.control_up);
    }),
    row("storage_reactor_drained", Gauge, &[], "Whether an operator has drained this node", |v, page| {
        page.put(&[], v.health.drained);
    }),
    row(
        "storage_reactor_leftovers",
        Gauge,
        &[],
        "Unit files that an earlier drbd-reactor left and that are in force",
        |v, page| page.put_some(v.health.leftovers),
    ),
    row("storage_reactor_plugin_up", Gauge, &["plugin", "id", "table"], "Whether a plugin runs", |v, page| {
        for plugin in &v.health.plugins {
            let id = plugin.id.to_string();
            page.put(&[("plugin", plugin.kind), ("id", &id), ("table", &plugin.table)], plugin.up);
        }
    }),
    row("storage_reactor_plugin_panics_total", Counter, &[], "Plugins stopped by an error of their own", |v, page| {
        page.put(&[], v.health.plugin_panics);
    }),
    row("storage_reactor_handlers_running", Gauge, &[], "Handlers that run now", |v, page| {
        page.put(&[], v.health.handlers.running);
    }),
    row("storage_reactor_handlers_started_total", Counter, &[], "Handlers started", |v, page| {
        page.put(&[], v.health.handlers.started);
    }),
    row("storage_reactor_handlers_ended_total", Counter, &["end"], "Handlers that ended, and how", |v, page| {
        for (end, count) in v.health.handlers.ended() {
            page.put(&[("end", end)], count);
        }
    }),
    row(
        "storage_reactor_handlers_seconds_total",
        Counter,
        &[],
        "Time that all handlers together took that ended",
        |v, page| page.put(&[], v.health.handlers.seconds()),
    ),
    row("storage_reactor_recorder_up", Gauge, &[], "Whether the recorder can write; absent if it is off", |v, page| {
        recorder(v, page, |recorder| recorder.up.into());
    }),
    row("storage_reactor_recorder_written_total", Counter, &[], "Inputs that the recorder wrote", |v, page| {
        recorder(v, page, |recorder| recorder.written.into());
    }),
    row("storage_reactor_recorder_lost_total", Counter, &[], "Inputs that the recorder could not write", |v, page| {
        recorder(v, page, |recorder| recorder.lost.into());
    }),
    row("storage_reactor_history_up", Gauge, &[], "Whether the history can be written", |v, page| {
        history(v, page, |history| history.up.into());
    }),
    row("storage_reactor_history_written_total", Counter, &[], "Entries written to the history", |v, page| {
        history(v, page, |history| history.written.into());
    }),
    row(
        "storage_reactor_history_lost_total",
        Counter,
        &[],
        "Entries that could not be written to the history",
        |v, page| {
            history(v, page, |history| history.lost.into());
        },
    ),
    row(
        "storage_reactor_scrape_duration_seconds",
        Summary,
        &[],
        "Time from the request for metrics to their last byte, of scrapes before this one",
        |v, page| {
            page.put_as("_sum", &[], v.health.http.scrape_seconds);
            page.put_as("_count", &[], v.health.http.scrapes);
        },
    ),
    row(
        "storage_reactor_scrapes_failed_total",
        Counter,
        &[],
        "Scrapes that did not get all metrics: the daemon was too busy, or the client too slow",
        |v, page| page.put(&[], v.health.http.scrapes_failed),
    ),
    row("storage_reactor_http_connections", Gauge, &[], "Connections to the metrics port", |v, page| {
        page.put(&[], v.health.http.connections);
    }),
    row(
        "storage_reactor_http_connections_refused_total",
        Counter,
        &[],
        "Connections to the metrics port that were turned away because there were too many",
        |v, page| page.put(&[], v.health.http.refused),
    ),
    row(
        "storage_reactor_http_connections_timed_out_total",
        Counter,
        &[],
        "Connections to the metrics port that were ended because the client was too slow or silent",
        |v, page| page.put(&[], v.health.http.timed_out),
    ),
    row(
        "storage_reactor_http_accept_errors_total",
        Counter,
        &[],
        "Connections to the metrics port that the system could not give us at once",
        |v, page| page.put(&[], v.health.http.accept_errors),
    ),
    row(
        "storage_reactor_http_web_config_ok",
        Gauge,
        &[],
        "Whether the web configuration file of the metrics port is used as it is; if 0, its last good version is",
        |v, page| page.put_some(v.health.http.web_config_ok),
    ),
    row(
        "storage_reactor_http_certificate_expiry_timestamp_seconds",
        Gauge,
        &[],
        "When the certificate of the metrics port expires, in seconds since 1970",
        |v, page| page.put_some(v.health.http.certificate_ends_s),
    ),
    row(
        "storage_reactor_http_tls_handshakes_failed_total",
        Counter,
        &[],
        "Connections to the metrics port that did not come to speak TLS with us",
        |v, page| {
            if v.health.http.certificate_ends_s.is_some() {
                page.put(&[], v.health.http.handshakes_failed);
            }
        },
    ),
    row(
        "storage_reactor_http_unauthorized_total",
        Counter,
        &[],
        "Requests to the metrics port without a password or with a wrong one",
        |v, page| {
            if v.health.http.web_config_ok.is_some() {
                page.put(&[], v.health.http.unauthorized);
            }
        },
    ),
];

fn queues(view: &View<'_>, page: &mut Page<'_>, number: impl Fn(&QueueHealth) -> Option<u64>) {
    for queue in &view.health.queues {
        if let Some(number) = number(queue) {
            page.put(&[("queue", queue.name)], number);
        }
    }
}

fn recorder(view: &View<'_>, page: &mut Page<'_>, number: impl Fn(&RecorderHealth) -> Number) {
    if let Some(recorder) = &view.health.recorder {
        page.put(&[], number(recorder));
    }
}

fn history(view: &View<'_>, page: &mut Page<'_>, number: impl Fn(&HistoryHealth) -> Number) {
    if let Some(history) = &view.health.history {
        page.put(&[], number(history));
    }
}

/// What stands before the resources.
pub(super) fn head(health: &Health, resources: usize) -> Vec<u8> {
    let mut out = Vec::new();
    rows(HEAD, &View { health, resources }, &mut out);
    out
}

/// What stands behind the resources.
pub(super) fn tail(health: &Health, resources: usize) -> Vec<u8> {
    let mut out = Vec::new();
    rows(TAIL, &View { health, resources }, &mut out);
    rows(promoter::ROWS, &View { health, resources }, &mut out);
    rows(notify::ROWS, &View { health, resources }, &mut out);
    plugin_counters(health, &mut out);
    out
}

fn rows(rows: &[Fixed], view: &View<'_>, out: &mut Vec<u8>) {
    for row in rows {
        (row.write)(view, &mut Page { out, name: row.name, kind: row.kind, help: row.help, begun: false });
    }
}

/// The counters that plugins name themselves: `storage_reactor_KIND_NAME_total`, with the number of the instance as `id`.
fn plugin_counters(health: &Health, out: &mut Vec<u8>) {
    let mut families: BTreeMap<String, Vec<(u64, &crate::plugin::Counter)>> = BTreeMap::new();
    for plugin in &health.plugins {
        for counter in &plugin.counters {
            let name = format!("storage_reactor_{}_{}_total", plugin.kind.replace('-', "_"), counter.name);
            families.entry(name).or_default().push((plugin.id, counter));
        }
    }
    for (name, counters) in &families {
        let help = counters.first().map_or("", |(_, counter)| counter.help);
        let mut page = Page { out, name, kind: Counter, help: help.trim_end_matches('.'), begun: false };
        for (id, counter) in counters {
            let id = id.to_string();
            let own = counter.labels.iter().map(|(label, value)| (*label, value.as_str()));
            let labels: Vec<(&str, &str)> = std::iter::once(("id", id.as_str())).chain(own).collect();
            page.put(&labels, counter.value);
        }
    }
}
